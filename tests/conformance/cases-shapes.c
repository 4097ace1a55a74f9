/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cases.h"

/* Shapes that are hard on kernels made for vectors, tiles and channels-last: odd channels, windows
 * and strides that leave tails, and operators that go over any axis. */

/* A map whose channels lie innermost on devices that want it: a depthwise convolution is cheap. */
static InferTensor *
channels_last(Case *c, gint64 channels, gint64 height, gint64 width)
{
  InferTensor *x = INPUT(c, 1, channels, height, width);
  return NODE(c, "Conv", infer_attrs_new("group", 'i', channels, NULL), x,
              constant_of(c, c->type, INFER_DIMS(channels, 1, 1, 1), 0.5, 1.0));
}

static InferTensor *
map(Case *c, gint64 channels, gint64 height, gint64 width)
{
  return infer_type_is_float(c->type) && coin(c) ? channels_last(c, channels, height, width)
                                                 : INPUT(c, 1, channels, height, width);
}

static void
depthwise(Case *c)
{
  gint64 unit = (gint64)1 << pick(c, 0, 3), ch = unit * pick(c, 1, 9), k = pick(c, 1, 3) * 2 - 1;
  gint64 stride = pick(c, 1, 2), dilation = pick(c, 0, 3) == 0 ? pick(c, 2, 5) : 1;
  gint64 strides[] = {stride, stride}, dilations[] = {dilation, dilation};
  gint64 pad = (k - 1) * dilation / 2, pads[] = {pad, pad, pad, pad};
  InferTensor *x = INPUT(c, 1, ch, k * 2 + pick(c, 0, 20), k * 2 + pick(c, 0, 20));
  g_string_append_printf(c->label, " k%d s%d d%d", (int)k, (int)stride, (int)dilation);
  InferTensor *y =
      NODE(c, "Conv",
           infer_attrs_new("group", 'i', ch, "strides", 'I', strides, (gsize)2, "dilations", 'I',
                           dilations, (gsize)2, "pads", 'I', pads, (gsize)4, NULL),
           x, CONSTANT(c, ch, 1, k, k), coin(c) ? CONSTANT(c, ch) : NULL);
  output(c, coin(c) ? activation(c, y) : y);
}

/* What reads images: few channels, one to seven taps a side. */
static void
stem(Case *c)
{
  gint64 ic = pick(c, 1, 4), oc = pick(c, 1, 8) * 8, kh = pick(c, 1, 7), kw = pick(c, 1, 7);
  gint64 strides[] = {pick(c, 1, 3), pick(c, 1, 3)};
  gint64 pads[] = {pick(c, 0, kh - 1), pick(c, 0, kw - 1), pick(c, 0, kh - 1), pick(c, 0, kw - 1)};
  InferTensor *x = INPUT(c, 1, ic, kh + pick(c, 0, 30), kw + pick(c, 0, 100));
  g_string_append_printf(c->label, " k%dx%d s%dx%d oc%d", (int)kh, (int)kw, (int)strides[0],
                         (int)strides[1], (int)oc);
  InferTensor *y =
      NODE(c, "Conv",
           infer_attrs_new("strides", 'I', strides, (gsize)2, "pads", 'I', pads, (gsize)4, NULL), x,
           constant_of(c, c->type, INFER_DIMS(oc, ic, kh, kw), -0.3, 0.3),
           coin(c) ? CONSTANT(c, oc) : NULL);
  output(c, coin(c) ? activation(c, y) : y);
}

/* An image, which may come as something else than what is computed with. @most: its numbers. */
static InferTensor *
image(Case *c, gint64 channels, gint64 height, gint64 width, double *most)
{
  const InferType types[] = {c->type, INFER_TYPE_FLOAT, INFER_TYPE_UINT8, INFER_TYPE_INT8};
  InferType type = types[pick(c, 0, 3)], own = c->type;
  InferTensor *x;

  c->type = type;
  x = INPUT(c, 1, channels, height, width);
  c->type = own;
  *most = infer_type_is_float(type) ? 1 : 128;
  if (!infer_type_is_float(type) && coin(c)) {
    x = NODE(c, "Cast", infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL), x);
    type = INFER_TYPE_FLOAT;
  }
  return type == own ? x : NODE(c, "Cast", infer_attrs_new("to", 'i', (gint64)own, NULL), x);
}

/* The first layers of a classifier: windows of the pooling that overlap, at all places of tiles. */
static void
pooled_stem(Case *c)
{
  gint64 ic = pick(c, 1, 4), oc = pick(c, 1, 8) * 8, k = pick(c, 1, 7), stride = pick(c, 1, 2);
  gint64 kernel[] = {pick(c, 1, 3), pick(c, 1, 3)}, steps[] = {pick(c, 1, 2), pick(c, 1, 2)};
  gint64 strides[] = {stride, stride}, pads[] = {k / 2, k / 2, k / 2, k / 2};
  gint64 around[] = {pick(c, 0, kernel[0] - 1), pick(c, 0, kernel[1] - 1),
                     pick(c, 0, kernel[0] - 1), pick(c, 0, kernel[1] - 1)};
  gint64 wide = pick(c, 0, 3) == 0 ? 300 : 60;
  double most;
  InferTensor *x = image(c, ic, k + 8 + pick(c, 0, 30), k + 8 + pick(c, 0, wide), &most), *y;

  g_string_append_printf(c->label, " k%d s%d oc%d pool %dx%d s%dx%d", (int)k, (int)stride, (int)oc,
                         (int)kernel[0], (int)kernel[1], (int)steps[0], (int)steps[1]);
  y = NODE(c, "Conv",
           infer_attrs_new("strides", 'I', strides, (gsize)2, "pads", 'I', pads, (gsize)4, NULL), x,
           constant_of(c, c->type, INFER_DIMS(oc, ic, k, k), -0.3 / most, 0.3 / most),
           coin(c) ? CONSTANT(c, oc) : NULL);
  y = coin(c) ? NODE(c, "Relu", NULL, y) : activation(c, y);
  output(c, NODE(c, "MaxPool",
                 infer_attrs_new("kernel_shape", 'I', kernel, (gsize)2, "strides", 'I', steps,
                                 (gsize)2, "pads", 'I', around, (gsize)4, "ceil_mode", 'i',
                                 pick(c, 0, 1), NULL),
                 y));
}

/* Squeeze and excitation. */
static void
excitation(Case *c)
{
  static const char *const functions[] = {"Relu", "Swish", "HardSwish", "Sigmoid", "HardSigmoid"};
  gint64 ch = coin(c) ? pick(c, 1, 9) * 8 : pick(c, 1, 70), few = pick(c, 1, 20);
  InferTensor *x = channels_last(c, ch, pick(c, 1, 40), pick(c, 1, 40));
  InferTensor *y = coin(c) ? NODE(c, "GlobalAveragePool", NULL, x)
                           : NODE(c, "ReduceMean", NULL, x, INTEGERS(c, -1, 2));
  y = NODE(c, "Conv", NULL, y, CONSTANT(c, few, ch, 1, 1), coin(c) ? CONSTANT(c, few) : NULL);
  y = NODE(c, functions[pick(c, 0, 2)], NULL, y);
  y = NODE(c, "Conv", NULL, y, CONSTANT(c, ch, few, 1, 1), coin(c) ? CONSTANT(c, ch) : NULL);
  y = NODE(c, functions[pick(c, 3, 4)], NULL, y);
  output(c, coin(c) ? NODE(c, "Mul", NULL, x, y) : NODE(c, "Mul", NULL, y, x));
}

/* The gate in front of a convolution of one tap, and what comes behind that. */
static void
gated(Case *c)
{
  gint64 ch = pick(c, 8, 90), out = pick(c, 8, 70);
  InferTensor *x = channels_last(c, ch, pick(c, 1, 20), pick(c, 1, 20));
  InferTensor *y = NODE(c, "GlobalAveragePool", NULL, x);
  y = NODE(c, "Conv", NULL, y, CONSTANT(c, ch, ch, 1, 1), CONSTANT(c, ch));
  y = NODE(c, "Sigmoid", NULL, y);
  y = coin(c) ? NODE(c, "Mul", NULL, x, y) : NODE(c, "Mul", NULL, y, x);
  y = NODE(c, "Conv", NULL, y, CONSTANT(c, out, ch, 1, 1), CONSTANT(c, out));
  output(c, coin(c) ? activation(c, y) : y);
}

static void
transposed(Case *c)
{
  gint64 groups = pick(c, 1, 2), ic = groups * pick(c, 1, 9), oc = pick(c, 1, 9);
  gint64 k = pick(c, 1, 4), stride = pick(c, 1, 3), strides[] = {stride, stride};
  gint64 pad = pick(c, 0, k - 1) / 2, pads[] = {pad, pad, pad, pad};
  gint64 more = stride > 1 ? pick(c, 0, 1) : 0, extra[] = {more, more};
  InferTensor *x = INPUT(c, 1, ic, pick(c, 2, 12), pick(c, 2, 12));
  output(c, NODE(c, "ConvTranspose",
                 infer_attrs_new("group", 'i', groups, "strides", 'I', strides, (gsize)2, "pads",
                                 'I', pads, (gsize)4, "output_padding", 'I', extra, (gsize)2, NULL),
                 x, CONSTANT(c, ic, oc, k, k), coin(c) ? CONSTANT(c, oc * groups) : NULL));
}

static void
pooled(Case *c)
{
  gint64 kernel[] = {pick(c, 1, 3), pick(c, 1, 3)}, strides[] = {pick(c, 1, 2), pick(c, 1, 2)};
  gint64 dilations[] = {pick(c, 1, 2), pick(c, 1, 2)}, ch = pick(c, 1, 33);
  GVariant *attrs = infer_attrs_new("kernel_shape", 'I', kernel, (gsize)2, "strides", 'I', strides,
                                    (gsize)2, "dilations", 'I', dilations, (gsize)2, NULL);
  InferTensor *x = map(c, ch, pick(c, 6, 15), pick(c, 6, 15));
  if (g_str_equal(c->op, "MaxPool") && coin(c)) {
    InferNode *node = add_node(c, c->op, attrs, 2, 1, &x);
    /* Indices count through the whole batch. */
    if (node != NULL && c->batch == 1)
      output(c, node->outputs[1]);
    output(c, first(node));
    return;
  }
  output(c, activation(c, NODE(c, c->op, attrs, x)));
}

static void
over_axes(Case *c)
{
  gint64 axes[] = {pick(c, 1, 3), 0}, n = 1;
  InferTensor *x = map(c, pick(c, 1, 40), pick(c, 1, 12), pick(c, 1, 300));
  if (coin(c))
    axes[n++] = axes[0] % 3 + 1;
  if (g_str_has_prefix(c->op, "ReduceLog"))
    x = NODE(c, "Abs", NULL, x);
  output(c, NODE(c, c->op, infer_attrs_new("keepdims", 'i', pick(c, 0, 1), NULL), x,
                 integers(c, (gsize)n, axes)));
}

static void
extreme(Case *c)
{
  InferTensor *x = map(c, pick(c, 1, 40), pick(c, 1, 12), pick(c, 1, 90));
  output(c, NODE(c, c->op,
                 infer_attrs_new("axis", 'i', pick(c, 1, 3), "keepdims", 'i', pick(c, 0, 1),
                                 "select_last_index", 'i', pick(c, 0, 1), NULL),
                 x));
}

static void
normalized(Case *c)
{
  gint64 groups = pick(c, 1, 4), ch = groups * pick(c, 1, 12);
  InferTensor *x = channels_last(c, ch, pick(c, 2, 12), pick(c, 2, 12));
  GVariant *attrs = g_str_equal(c->op, "GroupNormalization")
                        ? infer_attrs_new("num_groups", 'i', groups, NULL)
                        : NULL;
  output(c, NODE(c, c->op, attrs, x, CONSTANT(c, ch), CONSTANT(c, ch)));
}

static void
any_axis(Case *c)
{
  InferTensor *x = coin(c) ? channels_last(c, pick(c, 1, 40), pick(c, 1, 9), pick(c, 1, 9))
                           : INPUT(c, 1, pick(c, 1, 40), pick(c, 1, 9), pick(c, 1, 200));
  output(c, NODE(c, c->op, infer_attrs_new("axis", 'i', pick(c, 1, 3), NULL), x));
}

static void
resized(Case *c)
{
  static const char *const modes[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                      "align_corners", "asymmetric"};
  gint64 ch = pick(c, 1, 40), h = pick(c, 2, 12), w = pick(c, 2, 12), perm[] = {0, 1, 3, 2};
  InferTensor *x = map(c, ch, h, w);
  const gint64 sizes[] = {pick(c, 1, 30), pick(c, 1, 30)}, axes[] = {2, 3};
  GVariant *attrs =
      infer_attrs_new("mode", 's', coin(c) ? "cubic" : "linear", "coordinate_transformation_mode",
                      's', modes[pick(c, 0, 4)], "exclude_outside", 'i', pick(c, 0, 1), "axes", 'I',
                      axes, (gsize)2, NULL);
  if (pick(c, 0, 3) == 0)
    x = NODE(c, "Transpose", infer_attrs_new("perm", 'I', perm, (gsize)4, NULL), x);
  x = NODE(c, "Resize", attrs, x, NULL, NULL, integers(c, 2, sizes));
  output(c, coin(c) ? x : NODE(c, "Conv", NULL, x, CONSTANT(c, 8, ch, 1, 1)));
}

/* Comparisons, logic and casts in one chain. */
static void
logic(Case *c)
{
  static const char *const compare[] = {"Equal", "Greater", "GreaterOrEqual", "Less",
                                        "LessOrEqual"};
  static const char *const join[] = {"And", "Or", "Xor"};
  gint64 h = pick(c, 1, 30), w = pick(c, 1, 70);
  InferTensor *a = INPUT(c, 1, h, w), *b = INPUT(c, 1, 1, w);
  InferTensor *left = NODE(c, compare[pick(c, 0, 4)], NULL, a, b);
  InferTensor *right = NODE(c, "Not", NULL, NODE(c, compare[pick(c, 0, 4)], NULL, b, a));
  InferTensor *both = NODE(c, join[pick(c, 0, 2)], NULL, left, right);
  InferTensor *as = NODE(c, "Cast", infer_attrs_new("to", 'i', (gint64)c->type, NULL), both);
  output(c, NODE(c, "Where", NULL, both, NODE(c, "Add", NULL, a, as), b));
}

static void
integer_arithmetic(Case *c)
{
  gint64 h = pick(c, 1, 30), w = pick(c, 1, 70);
  InferTensor *a = INPUT(c, 1, h, w), *b = INPUT(c, 1, 1, w);
  InferTensor *y = NODE(c, c->op, NULL, a, b);
  output(c, NODE(c, "Cast", infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL), y));
}

#define FLOATS                                                                                     \
  {                                                                                                \
    INFER_TYPE_FLOAT                                                                               \
  }
#define INTEGERS_ONLY                                                                              \
  {                                                                                                \
    INFER_TYPE_INT8, INFER_TYPE_UINT8, INFER_TYPE_INT32, INFER_TYPE_INT64                          \
  }
#define OVER_AXES(NAME)                                                                            \
  {                                                                                                \
    NAME, over_axes, {INFER_TYPE_FLOAT, INFER_TYPE_INT32}, 4, FALSE                                \
  }

const Row rows_shapes[] = {
    {"Conv", depthwise, FLOATS, 16, FALSE},
    {"Conv", stem, FLOATS, 12, FALSE},
    {"Conv", pooled_stem, FLOATS, 36, FALSE},
    {"Conv", gated, FLOATS, 8, FALSE},
    {"GlobalAveragePool", excitation, FLOATS, 6, FALSE},
    {"ConvTranspose", transposed, FLOATS, 8, FALSE},
    {"MaxPool", pooled, FLOATS, 8, FALSE},
    {"AveragePool", pooled, FLOATS, 4, FALSE},
    {"LpPool", pooled, FLOATS, 4, FALSE},
    OVER_AXES("ReduceSum"),
    OVER_AXES("ReduceMean"),
    OVER_AXES("ReduceMax"),
    OVER_AXES("ReduceMin"),
    OVER_AXES("ReduceL1"),
    OVER_AXES("ReduceSumSquare"),
    {"ReduceL2", over_axes, FLOATS, 4, FALSE},
    {"ReduceLogSum", over_axes, FLOATS, 4, FALSE},
    {"ReduceLogSumExp", over_axes, FLOATS, 4, FALSE},
    {"ArgMax", extreme, {INFER_TYPE_FLOAT, INFER_TYPE_INT32}, 4, FALSE},
    {"ArgMin", extreme, {INFER_TYPE_FLOAT, INFER_TYPE_INT32}, 4, FALSE},
    {"InstanceNormalization", normalized, FLOATS, 4, FALSE},
    {"GroupNormalization", normalized, FLOATS, 4, FALSE},
    {"Softmax", any_axis, FLOATS, 6, FALSE},
    {"LogSoftmax", any_axis, FLOATS, 4, FALSE},
    {"LpNormalization", any_axis, FLOATS, 4, FALSE},
    {"Resize", resized, FLOATS, 24, FALSE},
    {"Where", logic, {INFER_TYPE_FLOAT, INFER_TYPE_INT32, INFER_TYPE_INT64}, 4, FALSE},
    {"Div", integer_arithmetic, INTEGERS_ONLY, 1, FALSE},
    {"Mod", integer_arithmetic, INTEGERS_ONLY, 1, FALSE},
    {"Mul", integer_arithmetic, INTEGERS_ONLY, 1, FALSE},
    {NULL},
};
