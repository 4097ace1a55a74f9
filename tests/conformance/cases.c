/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cases.h"

#include <string.h>

gint64
pick(Case *c, gint64 least, gint64 most)
{
  return g_rand_int_range(c->random, (gint32)least, (gint32)most + 1);
}

gboolean
coin(Case *c)
{
  return pick(c, 0, 1) == 1;
}

void
fill_random(InferArray *array, GRand *random)
{
  gint64 count = infer_array_count(array);
  for (gint64 i = 0; i < count; i++) {
    double value = g_rand_double_range(random, -1.0, 1.0);
    if (array->type == INFER_TYPE_BOOL)
      value = value > 0;
    else if (!infer_type_is_float(array->type))
      value = infer_type_is_integer(array->type) ? (int)(60 + value * 60) : 0;
    infer_array_set_double(array, (gsize)i, value);
  }
}

InferTensor *
input(Case *c, gint rank, const gint64 *dims)
{
  InferDims all = {.n = rank};
  g_autofree char *name = g_strdup_printf("x%u", infer_network_get_n_inputs(c->network));
  if (c->error != NULL)
    return NULL;
  memcpy(all.d, dims, (gsize)rank * sizeof *dims);
  all.d[0] = c->rows;
  g_string_append_printf(c->label, " %u", c->batch);
  for (gint i = 1; i < rank; i++)
    g_string_append_printf(c->label, "x%d", (int)dims[i]);
  return infer_network_add_input(c->network, name, c->type, &all, NULL, &c->error);
}

InferTensor *
constant_of(Case *c, InferType type, InferDims dims, double low, double high)
{
  if (c->error != NULL)
    return NULL;
  g_autoptr(InferArray) array = infer_array_new(type, &dims, &c->error);
  if (array == NULL)
    return NULL;
  gint64 count = infer_array_count(array);
  for (gint64 i = 0; i < count; i++)
    infer_array_set_double(array, (gsize)i, g_rand_double_range(c->random, low, high));
  return infer_network_add_constant(c->network, NULL, array);
}

InferTensor *
scalar(Case *c, double value)
{
  InferDims dims = INFER_DIMS_SCALAR;
  if (c->error != NULL)
    return NULL;
  g_autoptr(InferArray) array = infer_array_new(c->type, &dims, &c->error);
  if (array == NULL)
    return NULL;
  infer_array_set_double(array, 0, value);
  return infer_network_add_constant(c->network, NULL, array);
}

InferTensor *
integers(Case *c, gsize n, const gint64 *values)
{
  if (c->error != NULL)
    return NULL;
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);
  return infer_network_add_constant(c->network, NULL, array);
}

InferNode *
add_node(Case *c, const char *op, GVariant *attrs, guint n_out, guint n_in, InferTensor *const *in)
{
  g_autoptr(GVariant) sunk = attrs != NULL ? g_variant_ref_sink(attrs) : NULL;
  if (c->error != NULL)
    return NULL;
  g_string_append_printf(c->label, " %s", op);
  return infer_network_add_node(c->network, op, NULL, in, n_in, sunk, n_out, &c->error);
}

InferTensor *
first(InferNode *node)
{
  return node != NULL ? node->outputs[0] : NULL;
}

void
output(Case *c, InferTensor *tensor)
{
  if (c->error == NULL)
    infer_network_mark_output(c->network, tensor, NULL, &c->error);
}

/* A tensor that convolutional networks would have here: on devices that want it, its channels lie
 * innermost, so that what follows is tried in that order too. */
InferTensor *
feature_map(Case *c, gint64 channels, gint64 height, gint64 width)
{
  InferTensor *x = INPUT(c, 1, channels, height, width);
  if (c->type != INFER_TYPE_FLOAT || coin(c))
    return x;
  return NODE(c, "Conv", NULL, x, CONSTANT(c, channels, channels, 1, 1));
}

InferTensor *
activation(Case *c, InferTensor *x)
{
  static const char *const names[] = {"Relu", "LeakyRelu", "Sigmoid", "Tanh",
                                      "Elu",  "HardSwish", "Mish",    "HardSigmoid"};
  gint64 choice = pick(c, 0, G_N_ELEMENTS(names) + 1);
  if (choice == G_N_ELEMENTS(names))
    return NODE(c, "Clip", NULL, x, scalar(c, 0.0), scalar(c, 0.5));
  if (choice == G_N_ELEMENTS(names) + 1)
    return NODE(c, "Mul", NULL, x, NODE(c, "Sigmoid", NULL, x));
  return NODE(c, names[choice], NULL, x);
}

/* --- convolution --- */

static void
convolution(Case *c)
{
  gint spatial = (gint)pick(c, 1, 8) / 4 + 1; /* mostly 1 and 2 */
  gint64 groups = coin(c) ? 1 : pick(c, 1, 3), depthwise = pick(c, 0, 3) == 0;
  gint64 ic = groups * pick(c, 1, 17), oc = groups * pick(c, 1, 17), pads[6], strides[3],
         dilations[3], xd[5] = {1}, wd[5];
  if (depthwise) {
    groups = ic = pick(c, 1, 40);
    oc = ic * (pick(c, 0, 3) == 0 ? 2 : 1);
  }
  for (gint i = 0; i < spatial; i++) {
    wd[2 + i] = pick(c, 1, 3) * 2 - (pick(c, 0, 4) != 0);
    strides[i] = pick(c, 1, 2);
    dilations[i] = pick(c, 0, 3) == 0 ? 2 : 1;
    gint64 extent = (wd[2 + i] - 1) * dilations[i] + 1;
    pads[i] = pick(c, 0, wd[2 + i] - 1);
    pads[spatial + i] = pick(c, 0, wd[2 + i] - 1);
    xd[2 + i] = extent + pick(c, 0, spatial == 3 ? 5 : 15);
  }
  xd[1] = ic;
  wd[0] = oc;
  wd[1] = ic / groups;
  InferDims weights = {.n = spatial + 2};
  memcpy(weights.d, wd, (gsize)weights.n * sizeof *wd);
  GVariant *attrs =
      infer_attrs_new("group", 'i', groups, "pads", 'I', pads, (gsize)spatial * 2, "strides", 'I',
                      strides, (gsize)spatial, "dilations", 'I', dilations, (gsize)spatial, NULL);
  InferTensor *x = input(c, spatial + 2, xd);
  g_string_append_printf(c->label, " k%d s%d d%d g%d oc%d", (int)wd[2], (int)strides[0],
                         (int)dilations[0], (int)groups, (int)oc);
  InferTensor *y = NODE(c, "Conv", attrs, x, constant_of(c, c->type, weights, -1.0, 1.0),
                        coin(c) ? CONSTANT(c, oc) : NULL);
  /* What a residual block has: the sum with another tensor, then an activation. */
  if (c->error == NULL && coin(c)) {
    InferTensor *other =
        infer_network_add_input(c->network, "residual", c->type, &y->dims, NULL, &c->error);
    y = coin(c) ? NODE(c, "Add", NULL, y, other) : NODE(c, "Add", NULL, other, y);
  }
  if (coin(c))
    y = activation(c, y);
  output(c, y);
}

static void
convolution_auto_pad(Case *c)
{
  static const char *const modes[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
  gint64 ic = pick(c, 1, 8), oc = pick(c, 1, 20), k = pick(c, 1, 4);
  gint64 strides[] = {pick(c, 1, 3), pick(c, 1, 3)};
  InferTensor *x = INPUT(c, 1, ic, pick(c, 5, 20), pick(c, 5, 20));
  output(c, NODE(c, "Conv",
                 infer_attrs_new("auto_pad", 's', modes[pick(c, 0, 2)], "strides", 'I', strides,
                                 (gsize)2, NULL),
                 x, CONSTANT(c, oc, ic, k, k), CONSTANT(c, oc)));
}

/* --- pooling --- */

static void
pooling(Case *c)
{
  gint spatial = (gint)pick(c, 1, 8) / 4 + 1;
  gint64 kernel[3], strides[3], pads[6], dims[5] = {1, pick(c, 1, 70)};
  for (gint i = 0; i < spatial; i++) {
    kernel[i] = pick(c, 1, 4);
    strides[i] = pick(c, 1, 3);
    pads[i] = pick(c, 0, kernel[i] - 1);
    pads[spatial + i] = pick(c, 0, kernel[i] - 1);
    dims[2 + i] = kernel[i] + pick(c, 0, 9);
  }
  gboolean mean = g_str_equal(c->op, "AveragePool");
  GVariant *attrs =
      infer_attrs_new("kernel_shape", 'I', kernel, (gsize)spatial, "strides", 'I', strides,
                      (gsize)spatial, "pads", 'I', pads, (gsize)spatial * 2, "ceil_mode", 'i',
                      pick(c, 0, 1), mean ? "count_include_pad" : NULL, 'i', pick(c, 0, 1), NULL);
  output(c, NODE(c, c->op, attrs, input(c, spatial + 2, dims)));
}

static void
global_pooling(Case *c)
{
  output(c, NODE(c, c->op, NULL, INPUT(c, 1, pick(c, 1, 150), pick(c, 1, 12), pick(c, 1, 12))));
}

/* --- products --- */

static void
gemm(Case *c)
{
  gint64 k = pick(c, 1, 150), n = pick(c, 1, 70), transposed = pick(c, 0, 1);
  InferTensor *a = INPUT(c, 1, k);
  InferTensor *b = transposed ? CONSTANT(c, n, k) : CONSTANT(c, k, n);
  GVariant *attrs = infer_attrs_new("transB", 'i', transposed, NULL);
  g_string_append_printf(c->label, " n%d", (int)n);
  InferTensor *y = NODE(c, "Gemm", attrs, a, b, coin(c) ? CONSTANT(c, n) : NULL);
  output(c, coin(c) ? activation(c, y) : y);
}

static void
matmul_constant(Case *c)
{
  gint64 k = pick(c, 1, 100), n = pick(c, 1, 70);
  InferTensor *a = coin(c) ? INPUT(c, 1, k) : INPUT(c, 1, pick(c, 1, 30), k);
  InferTensor *y = NODE(c, "MatMul", NULL, a, CONSTANT(c, k, n));
  if (coin(c))
    y = NODE(c, "Add", NULL, y, CONSTANT(c, n));
  output(c, coin(c) ? activation(c, y) : y);
}

static void
matmul_computed(Case *c)
{
  gint64 m = pick(c, 1, 40), k = pick(c, 1, 40), n = pick(c, 1, 40), heads = pick(c, 1, 4);
  InferTensor *a = INPUT(c, 1, heads, m, k);
  output(c, NODE(c, "MatMul", NULL, a, INPUT(c, 1, coin(c) ? heads : 1, k, n)));
}

/* --- element by element --- */

static void
unary(Case *c)
{
  gint64 ch = pick(c, 1, 40), h = pick(c, 1, 40), w = pick(c, 1, 40);
  /* Steps would turn a rounding difference of what comes before into a large one. */
  gboolean steps =
      g_str_equal(c->op, "Floor") || g_str_equal(c->op, "Ceil") || g_str_equal(c->op, "Round");
  InferTensor *x = steps ? INPUT(c, 1, ch, h, w) : feature_map(c, ch, h, w);
  gboolean positive =
      g_str_equal(c->op, "Log") || g_str_equal(c->op, "Sqrt") || g_str_equal(c->op, "Reciprocal");
  if (positive)
    x = NODE(c, "Add", NULL, NODE(c, "Abs", NULL, x), scalar(c, 0.1));
  else if (c->type == INFER_TYPE_FLOAT && coin(c))
    x = NODE(c, "Mul", NULL, x, scalar(c, 10.0));
  if (g_str_equal(c->op, "Clip"))
    output(c, NODE(c, "Clip", NULL, x, coin(c) ? scalar(c, -0.3) : NULL, scalar(c, 0.4)));
  else
    output(c, NODE(c, c->op, NULL, x));
}

static void
gelu(Case *c)
{
  InferTensor *x = INPUT(c, 1, pick(c, 1, 40), pick(c, 1, 80));
  output(c,
         NODE(c, "Gelu", infer_attrs_new("approximate", 's', coin(c) ? "tanh" : "none", NULL), x));
}

static void
binary(Case *c)
{
  gint64 ch = pick(c, 1, 40), h = pick(c, 1, 30), w = pick(c, 1, 30);
  gboolean slope = g_str_equal(c->op, "PRelu");
  double low = g_str_equal(c->op, "Div") ? 0.5 : -1.0, high = 1.0;
  InferTensor *a = feature_map(c, ch, h, w), *b = NULL;
  if (!infer_type_is_float(c->type))
    low = 1.0, high = 20.0;
  switch (pick(c, 0, 5)) {
  case 0:
    b = scalar(c, 0.7 * high);
    break;
  case 1:
    b = constant_of(c, c->type, INFER_DIMS(ch, 1, 1), low, high);
    break;
  case 2:
    b = constant_of(c, c->type, INFER_DIMS(1, ch, h, w), low, high);
    break;
  case 3:
    b = constant_of(c, c->type, INFER_DIMS(w), low, high);
    break;
  case 4:
    b = g_str_equal(c->op, "Div") || !infer_type_is_float(c->type)
            ? constant_of(c, c->type, INFER_DIMS(h, 1), low, high)
            : INPUT(c, 1, ch, 1, 1);
    break;
  default:
    b = g_str_equal(c->op, "Div") || !infer_type_is_float(c->type)
            ? constant_of(c, c->type, INFER_DIMS(1, 1, h, w), low, high)
            : feature_map(c, ch, h, w);
    break;
  }
  output(c, slope || coin(c) || g_str_equal(c->op, "Div") ? NODE(c, c->op, NULL, a, b)
                                                          : NODE(c, c->op, NULL, b, a));
}

static void
batchnorm(Case *c)
{
  gint64 ch = pick(c, 1, 40);
  InferTensor *x = coin(c) ? feature_map(c, ch, pick(c, 1, 20), pick(c, 1, 20)) : INPUT(c, 1, ch);
  x = NODE(c, "Relu", NULL, x); /* keeps it from being folded */
  output(c, NODE(c, "BatchNormalization", NULL, x, CONSTANT(c, ch), CONSTANT(c, ch),
                 CONSTANT(c, ch), constant_of(c, c->type, INFER_DIMS(ch), 0.1, 1.0)));
}

static void
softmax(Case *c)
{
  InferTensor *x = coin(c) ? INPUT(c, 1, pick(c, 1, 30), pick(c, 1, 100))
                           : feature_map(c, pick(c, 1, 90), pick(c, 1, 9), pick(c, 1, 9));
  gint64 axis = x != NULL && x->dims.n == 4 ? 1 : -1;
  output(c, NODE(c, c->op, infer_attrs_new("axis", 'i', axis, NULL), x));
}

/* Up to a dozen functions of elements in a row, with operands of every shape and of before. */
static void
chain(Case *c)
{
  static const char *const ops[] = {"Add", "Sub", "Mul", "Max", "Min"};
  gint64 ch = pick(c, 1, 40), h = pick(c, 1, 40), w = pick(c, 1, 40), n = pick(c, 2, 12);
  InferTensor *x = feature_map(c, ch, h, w), *y = x, *other;
  for (gint64 i = 0; i < n; i++) {
    gint64 choice = pick(c, 0, 8);
    other = choice == 0   ? CONSTANT(c, ch, 1, 1)
            : choice == 1 ? scalar(c, 0.7)
            : choice == 2 ? CONSTANT(c, 1, 1, h, w)
            : choice == 3 ? INPUT(c, 1, 1, 1, w)
            : choice == 4 ? activation(c, x)
                          : x;
    if (choice > 5)
      y = activation(c, y);
    else if (coin(c))
      y = NODE(c, ops[pick(c, 0, 4)], NULL, y, other);
    else
      y = NODE(c, ops[pick(c, 0, 4)], NULL, other, y);
    y = y == x ? activation(c, y) : y;
  }
  output(c, NODE(c, "Tanh", NULL, y));
}

static void
layernorm(Case *c)
{
  gint64 w = pick(c, 1, 90);
  InferTensor *in[] = {INPUT(c, 1, pick(c, 1, 30), w), CONSTANT(c, w), CONSTANT(c, w)};
  guint n = g_str_equal(c->op, "LayerNormalization") && coin(c) ? 3 : 2;
  output(c, first(add_node(c, c->op, NULL, 1, n, in)));
}

static void
where(Case *c)
{
  gint64 h = pick(c, 1, 20), w = pick(c, 1, 20);
  InferTensor *a = INPUT(c, 1, h, w), *b = INPUT(c, 1, 1, w);
  output(c, NODE(c, "Where", NULL, NODE(c, "Greater", NULL, a, b), a, b));
}

/* --- moving --- */

static void
concat(Case *c)
{
  gint64 d[] = {1, pick(c, 1, 20), pick(c, 1, 9), pick(c, 1, 9)}, axis = pick(c, 1, 3);
  InferTensor *parts[3];
  for (guint i = 0; i < 3; i++) {
    d[axis] = pick(c, 1, 20);
    parts[i] = coin(c) ? input(c, 4, d) : feature_map(c, d[1], d[2], d[3]);
  }
  output(c, first(add_node(c, "Concat", infer_attrs_new("axis", 'i', axis, NULL), 1, 3, parts)));
}

/* What writes into the join, and what reads parts of it: all may work in place. */
static void
joined(Case *c)
{
  const gint64 window[] = {3, 3}, ones[] = {1, 1, 1, 1};
  gint64 ch = pick(c, 1, 20), h = pick(c, 1, 9), w = pick(c, 1, 9), axis = pick(c, 1, 3);
  InferTensor *x = feature_map(c, ch, h, w), *parts[4], *y;
  parts[0] = NODE(
      c, "MaxPool",
      infer_attrs_new("kernel_shape", 'I', window, (gsize)2, "pads", 'I', ones, (gsize)4, NULL), x);
  parts[1] = activation(c, x);
  parts[2] = NODE(c, "Conv", NULL, x, CONSTANT(c, ch, ch, 1, 1));
  parts[3] = first(add_node(c, "Concat", infer_attrs_new("axis", 'i', pick(c, 1, 3), NULL), 1, 1,
                            (InferTensor *[]){NODE(c, "Abs", NULL, parts[coin(c)])}));
  y = first(add_node(c, "Concat", infer_attrs_new("axis", 'i', axis, NULL), 1, 4, parts));
  gint64 from = pick(c, 0, ch - 1);
  y = NODE(c, "Slice", NULL, y, INTEGERS(c, from), INTEGERS(c, pick(c, from + 1, ch)),
           INTEGERS(c, 1));
  output(c, coin(c) ? NODE(c, "GlobalAveragePool", NULL, y) : activation(c, y));
  if (coin(c))
    output(c, NODE(c, "Neg", NULL, parts[2]));
}

static void
split(Case *c)
{
  gint64 d[] = {1, pick(c, 3, 20), pick(c, 3, 9), pick(c, 3, 9)}, axis = pick(c, 1, 3);
  InferTensor *in[] = {feature_map(c, d[1], d[2], d[3]), INTEGERS(c, 1, d[axis] - 2, 1)};
  InferNode *node = add_node(c, "Split", infer_attrs_new("axis", 'i', axis, NULL), 3, 2, in);
  for (guint i = 0; node != NULL && i < 3; i++)
    output(c, node->outputs[i]);
}

static void
slice(Case *c)
{
  gint64 h = pick(c, 4, 20), w = pick(c, 4, 20), step = pick(c, 1, 3);
  InferTensor *x = feature_map(c, pick(c, 2, 20), h, w);
  if (coin(c))
    output(c, NODE(c, "Slice", NULL, x, INTEGERS(c, 1, -3), INTEGERS(c, h - 1, G_MAXINT64),
                   INTEGERS(c, 2, 3), INTEGERS(c, step, 1)));
  else
    output(c, NODE(c, "Slice", NULL, x, INTEGERS(c, -1), INTEGERS(c, -h), INTEGERS(c, 2),
                   INTEGERS(c, -step)));
}

static void
transpose(Case *c)
{
  static const gint64 perms[][4] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 3, 2, 1}};
  InferTensor *x = feature_map(c, pick(c, 1, 50), pick(c, 1, 40), pick(c, 1, 40));
  output(c, NODE(c, "Transpose", infer_attrs_new("perm", 'I', perms[pick(c, 0, 3)], (gsize)4, NULL),
                 x));
}

static void
reshape(Case *c)
{
  gint64 ch = pick(c, 1, 9), h = pick(c, 1, 9), w = pick(c, 1, 9);
  InferTensor *x = feature_map(c, ch, h, w);
  output(c, NODE(c, "Reshape", NULL, x, INTEGERS(c, 0, h * ch, w)));
}

static void
resize(Case *c)
{
  static const char *const modes[] = {"half_pixel", "asymmetric", "align_corners",
                                      "pytorch_half_pixel"};
  static const char *const rounding[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                         "ceil"};
  gint64 ch = pick(c, 1, 40), h = pick(c, 2, 12), w = pick(c, 2, 12);
  InferTensor *x = feature_map(c, ch, h, w);
  const float scales[] = {1.0f, 1.0f, pick(c, 1, 6) * 0.5f, pick(c, 1, 6) * 0.5f};
  GVariant *attrs = infer_attrs_new("mode", 's', coin(c) ? "linear" : "nearest",
                                    "coordinate_transformation_mode", 's', modes[pick(c, 0, 3)],
                                    "nearest_mode", 's', rounding[pick(c, 0, 3)], NULL);
  g_autoptr(GBytes) bytes = g_bytes_new(scales, sizeof scales);
  g_autoptr(InferArray) array =
      infer_array_new_from_bytes(INFER_TYPE_FLOAT, &INFER_DIMS(4), bytes, NULL);
  if (c->error == NULL)
    output(c,
           NODE(c, "Resize", attrs, x, NULL, infer_network_add_constant(c->network, NULL, array)));
}

static void
gather(Case *c)
{
  gint64 h = pick(c, 2, 20);
  InferTensor *x = INPUT(c, 1, h, pick(c, 1, 20));
  output(c, NODE(c, "Gather", infer_attrs_new("axis", 'i', (gint64)1, NULL), x,
                 INTEGERS(c, 0, -1, h - 1)));
}

static void
pad(Case *c)
{
  InferTensor *x = INPUT(c, 1, pick(c, 1, 9), pick(c, 2, 9), pick(c, 2, 9));
  output(c, NODE(c, "Pad", NULL, x,
                 INTEGERS(c, 0, 0, pick(c, 0, 2), pick(c, 0, 2), 0, 1, pick(c, 0, 2), 0)));
}

static void
tile(Case *c)
{
  InferTensor *x = INPUT(c, 1, pick(c, 1, 9), pick(c, 1, 9));
  output(c, NODE(c, "Tile", NULL, x, INTEGERS(c, 1, 2, 3)));
}

static void
reduce(Case *c)
{
  InferTensor *x = INPUT(c, 1, pick(c, 1, 9), pick(c, 1, 9), pick(c, 1, 9));
  output(c, NODE(c, c->op, infer_attrs_new("keepdims", 'i', pick(c, 0, 1), NULL), x,
                 INTEGERS(c, 2, 3)));
}

#define FLOATS                                                                                     \
  {                                                                                                \
    INFER_TYPE_FLOAT                                                                               \
  }
#define MOVABLE                                                                                    \
  {                                                                                                \
    INFER_TYPE_FLOAT, INFER_TYPE_UINT8, INFER_TYPE_INT32, INFER_TYPE_INT64                         \
  }
#define UNARY(NAME)                                                                                \
  {                                                                                                \
    NAME, unary, FLOATS, 3, TRUE                                                                   \
  }
#define BINARY(NAME)                                                                               \
  {                                                                                                \
    NAME, binary, {INFER_TYPE_FLOAT, INFER_TYPE_INT32}, 12, FALSE                                  \
  }

const Row rows[] = {
    {"Conv", convolution, FLOATS, 60, TRUE},
    {"Conv", convolution_auto_pad, FLOATS, 8, TRUE},
    {"MaxPool", pooling, FLOATS, 12, TRUE},
    {"AveragePool", pooling, FLOATS, 16, TRUE},
    {"GlobalMaxPool", global_pooling, FLOATS, 3, TRUE},
    {"GlobalAveragePool", global_pooling, FLOATS, 3, TRUE},
    {"Gemm", gemm, FLOATS, 8, TRUE},
    {"MatMul", matmul_constant, FLOATS, 8, TRUE},
    {"MatMul", matmul_computed, FLOATS, 6, TRUE},
    UNARY("Relu"),
    UNARY("Clip"),
    UNARY("LeakyRelu"),
    UNARY("Sigmoid"),
    UNARY("Tanh"),
    UNARY("Exp"),
    UNARY("Log"),
    UNARY("Sqrt"),
    UNARY("Abs"),
    UNARY("Neg"),
    UNARY("Reciprocal"),
    UNARY("Floor"),
    UNARY("Ceil"),
    UNARY("Round"),
    UNARY("Elu"),
    UNARY("Selu"),
    UNARY("HardSigmoid"),
    UNARY("HardSwish"),
    UNARY("Swish"),
    UNARY("Softplus"),
    UNARY("Softsign"),
    UNARY("Mish"),
    UNARY("Erf"),
    {"Sin", unary, FLOATS, 1, FALSE},
    {"Gelu", gelu, FLOATS, 4, TRUE},
    BINARY("Add"),
    BINARY("Sub"),
    BINARY("Mul"),
    BINARY("Div"),
    BINARY("Max"),
    BINARY("Min"),
    {"PRelu", binary, FLOATS, 8, TRUE},
    {"Add", chain, FLOATS, 40, TRUE},
    {"BatchNormalization", batchnorm, FLOATS, 6, TRUE},
    {"Softmax", softmax, FLOATS, 6, TRUE},
    {"LogSoftmax", softmax, FLOATS, 6, TRUE},
    {"LayerNormalization", layernorm, FLOATS, 6, TRUE},
    {"RMSNormalization", layernorm, FLOATS, 3, TRUE},
    {"Where", where, {INFER_TYPE_FLOAT, INFER_TYPE_INT32}, 2, FALSE},
    {"Concat", concat, MOVABLE, 6, TRUE},
    {"Concat", joined, FLOATS, 40, TRUE},
    {"Split", split, MOVABLE, 3, TRUE},
    {"Slice", slice, MOVABLE, 4, TRUE},
    {"Transpose", transpose, MOVABLE, 4, TRUE},
    {"Reshape", reshape, MOVABLE, 2, TRUE},
    {"Resize", resize, FLOATS, 24, TRUE},
    {"Gather", gather, MOVABLE, 2, FALSE},
    {"Pad", pad, MOVABLE, 2, FALSE},
    {"Tile", tile, MOVABLE, 2, FALSE},
    {"ReduceMean", reduce, FLOATS, 2, FALSE},
    {"ReduceSum", reduce, FLOATS, 2, FALSE},
    {"ReduceMax", reduce, FLOATS, 2, FALSE},
    {NULL},
};
