/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <infer/infer.h>
#include <math.h>
#include <string.h>

#include "small-net.h"

/* Evaluates a network node by node; inputs random from a seed, optional ones at their default. */
static GHashTable *
evaluate(InferNetwork *network, guint32 seed)
{
  GHashTable *values =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)infer_array_unref);
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *tensor = infer_network_get_input(network, i);
    InferDims dims = tensor->dims;
    InferArray *array;

    if (tensor->initial) {
      array = infer_array_ref(tensor->initial);
    } else {
      for (gint k = 0; k < dims.n; k++)
        dims.d[k] = dims.d[k] < 0 ? 2 : dims.d[k];
      array = infer_array_new(tensor->type, &dims, NULL);
      for (gint64 k = 0; k < infer_array_count(array); k++)
        infer_array_set_double(array, (gsize)k, g_rand_double_range(random, -1, 1));
    }
    g_hash_table_insert(values, g_strdup(tensor->name), array);
  }
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    const InferArray *in[16] = {NULL};
    InferArray *out[8] = {NULL};

    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        in[j] = node->inputs[j]->value ? node->inputs[j]->value
                                       : g_hash_table_lookup(values, node->inputs[j]->name);
    infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < node->n_outputs; j++)
      g_hash_table_insert(values, g_strdup(node->outputs[j]->name), out[j]);
  }
  return values;
}

static void
assert_same_outputs(InferNetwork *before, InferNetwork *after, double tolerance)
{
  g_autoptr(GHashTable) want = evaluate(before, 3);
  g_autoptr(GHashTable) have = evaluate(after, 3);

  for (guint i = 0; i < infer_network_get_n_outputs(before); i++) {
    const char *name = infer_network_get_output(before, i)->name;
    const InferArray *a = g_hash_table_lookup(want, name), *b = g_hash_table_lookup(have, name);

    g_assert_nonnull(a);
    g_assert_nonnull(b);
    g_assert_true(infer_dims_equal(&a->dims, &b->dims));
    for (gint64 k = 0; k < infer_array_count(a); k++)
      g_assert_cmpfloat(
          fabs(infer_array_get_double(a, (gsize)k) - infer_array_get_double(b, (gsize)k)), <=,
          tolerance);
  }
}

static guint
count_ops(InferNetwork *network, const char *op)
{
  guint n = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    n += g_str_equal(infer_node_get_op_name(infer_network_get_node(network, i)), op);
  return n;
}

static InferNetwork *
optimized(InferNetwork *network)
{
  InferNetwork *copy = infer_network_copy(network);
  g_autoptr(GError) error = NULL;

  infer_passes_run(copy, NULL, &error);
  g_assert_no_error(error);
  g_assert_true(infer_network_validate(copy, &error));
  return copy;
}

static void
test_small_net(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferNetwork) after = optimized(network);

  g_assert_cmpuint(count_ops(network, "BatchNormalization"), ==, 7);
  g_assert_cmpuint(count_ops(after, "BatchNormalization"), ==, 0);
  g_assert_cmpuint(count_ops(after, "Conv"), ==, 7);
  assert_same_outputs(network, after, 1e-4);
  /* The copy was changed, not the network that was given. */
  g_assert_cmpuint(count_ops(network, "BatchNormalization"), ==, 7);
}

static InferTensor *
node(InferNetwork *network, const char *op, InferTensor *const *inputs, guint n, GVariant *attrs)
{
  g_autoptr(GError) error = NULL;
  InferNode *added = infer_network_add_node(network, op, NULL, inputs, n, attrs, 1, &error);

  g_assert_no_error(error);
  return added->outputs[0];
}

static InferTensor *
int_constant(InferNetwork *network, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(network, NULL, array);
}

/* The shape arithmetic of exported graphs disappears although the batch stays open. */
static void
test_shape_arithmetic(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 batch = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(batch, 6, 4), NULL, NULL);
  InferTensor *shape = node(network, "Shape", &x, 1, NULL);
  InferTensor *first, *target;
  g_autoptr(InferNetwork) after = NULL;

  first = node(network, "Slice",
               (InferTensor *[]){shape, int_constant(network, (gint64[]){0}, 1),
                                 int_constant(network, (gint64[]){1}, 1)},
               3, NULL);
  target =
      node(network, "Concat", (InferTensor *[]){first, int_constant(network, (gint64[]){-1, 2}, 2)},
           2, infer_attrs_new("axis", 'i', (gint64)0, NULL));
  x = node(network, "Reshape", (InferTensor *[]){x, target}, 2, NULL);
  x = node(network, "Relu", &x, 1, NULL);
  g_assert_true(infer_network_mark_output(network, x, "y", NULL));
  after = optimized(network);
  g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 2); /* Reshape and Relu */
  assert_same_outputs(network, after, 0);
}

static void
test_constants(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(3), NULL, NULL);
  g_autoptr(InferArray) two = infer_array_new_float(2);
  InferTensor *a = infer_network_add_constant(network, NULL, two);
  InferTensor *sum = node(network, "Add", (InferTensor *[]){a, a}, 2, NULL);
  g_autoptr(InferNetwork) after = NULL;

  sum = node(network, "Sqrt", &sum, 1, NULL);
  x = node(network, "Mul", (InferTensor *[]){x, sum}, 2, NULL);
  g_assert_true(infer_network_mark_output(network, x, "y", NULL));
  after = optimized(network);
  g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 1);
  assert_same_outputs(network, after, 0);
}

static InferTensor *
plain_conv(InferNetwork *network, InferTensor *x, GRand *random, gint64 out)
{
  InferTensor *w =
      small_net_weight(network, random, NULL, &INFER_DIMS(out, x->dims.d[1], 3, 3), 0.3);

  return node(network, "Conv", (InferTensor *[]){x, w}, 2, NULL);
}

/* Pad, per-channel sums, products and quotients go into the convolution; others stay. */
static void
test_convolution(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(5);
  gint64 pads[] = {0, 0, 1, 2, 0, 0, 3, 0};
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(1, 3, 8, 9), NULL, NULL);
  g_autoptr(InferNetwork) after = NULL;

  x = node(network, "Pad", (InferTensor *[]){x, int_constant(network, pads, 8)}, 2, NULL);
  x = plain_conv(network, x, random, 5);
  x = node(network, "Mul",
           (InferTensor *[]){x, small_net_weight(network, random, NULL, &INFER_DIMS(5, 1, 1), 2)},
           2, NULL);
  x = node(
      network, "Add",
      (InferTensor *[]){small_net_weight(network, random, NULL, &INFER_DIMS(1, 5, 1, 1), 2), x}, 2,
      NULL);
  x = node(network, "Sub",
           (InferTensor *[]){x, small_net_weight(network, random, NULL, &INFER_DIMS(1), 2)}, 2,
           NULL);
  /* Varies along the width: must not be taken for a bias. */
  x = node(
      network, "Add",
      (InferTensor *[]){x, small_net_weight(network, random, NULL, &INFER_DIMS(x->dims.d[3]), 1)},
      2, NULL);
  g_assert_true(infer_network_mark_output(network, x, "y", NULL));
  after = optimized(network);
  g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 2); /* Conv and the last Add */
  assert_same_outputs(network, after, 1e-4);
}

/* A convolution that others read too keeps its result. */
static void
test_shared_convolution(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(6);
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(1, 2, 6, 6), NULL, NULL);
  InferTensor *c = plain_conv(network, x, random, 4), *y;
  g_autoptr(InferNetwork) after = NULL;

  y = node(network, "Mul",
           (InferTensor *[]){c, small_net_weight(network, random, NULL, &INFER_DIMS(4, 1, 1), 2)},
           2, NULL);
  g_assert_true(infer_network_mark_output(network, y, "y", NULL));
  g_assert_true(infer_network_mark_output(network, c, "c", NULL));
  after = optimized(network);
  assert_same_outputs(network, after, 1e-5);
}

static void
test_views(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 a[] = {0, 2, 3, 1}, b[] = {0, 3, 1, 2};
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 3, 4, 5), NULL, NULL);
  g_autoptr(InferNetwork) after = NULL;

  x = node(network, "Transpose", &x, 1, infer_attrs_new("perm", 'I', a, (gsize)4, NULL));
  x = node(network, "Identity", &x, 1, NULL);
  x = node(network, "Transpose", &x, 1, infer_attrs_new("perm", 'I', b, (gsize)4, NULL));
  x = node(network, "Relu", &x, 1, NULL);
  x = node(network, "Reshape", (InferTensor *[]){x, int_constant(network, (gint64[]){6, 20}, 2)}, 2,
           NULL);
  x = node(network, "Reshape", (InferTensor *[]){x, int_constant(network, (gint64[]){0, 4, 5}, 3)},
           2, NULL);
  g_assert_true(infer_network_mark_output(network, x, "y", NULL));
  after = optimized(network);
  g_assert_cmpuint(count_ops(after, "Transpose"), ==, 0);
  g_assert_cmpuint(count_ops(after, "Identity"), ==, 0);
  assert_same_outputs(network, after, 0);
}

static InferTensor *
number(InferNetwork *network, float value)
{
  g_autoptr(InferArray) array = infer_array_new_float(value);

  return infer_network_add_constant(network, NULL, array);
}

static InferTensor *
op2(InferNetwork *network, const char *op, InferTensor *a, InferTensor *b)
{
  return node(network, op, (InferTensor *[]){a, b}, 2, NULL);
}

static InferTensor *
op1(InferNetwork *network, const char *op, InferTensor *x)
{
  return node(network, op, &x, 1, NULL);
}

static InferTensor *
clip(InferNetwork *network, InferTensor *x, float low, float high)
{
  return node(network, "Clip", (InferTensor *[]){x, number(network, low), number(network, high)}, 3,
              NULL);
}

/* Equal branches and equal constants become one; random ones stay. */
static void
test_common_subexpressions(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 5), NULL, NULL);
  InferTensor *branch[2], *noise[2], *y;
  g_autoptr(InferNetwork) after = NULL;
  g_autoptr(InferNetwork) random_after = NULL;

  for (guint i = 0; i < 2; i++)
    branch[i] = op1(network, "Sin", op2(network, "Mul", x, number(network, 3)));
  y = op2(network, "Mul", op1(network, "Exp", branch[0]), branch[1]);
  g_assert_true(infer_network_mark_output(network, y, "y", NULL));
  g_assert_true(infer_network_mark_output(network, branch[1], "z", NULL));
  after = optimized(network);
  g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 4);
  assert_same_outputs(network, after, 0);
  for (guint i = 0; i < 2; i++)
    noise[i] = op1(network, "RandomNormalLike", x);
  g_assert_true(
      infer_network_mark_output(network, op2(network, "Sub", noise[0], noise[1]), "n", NULL));
  random_after = optimized(network);
  g_assert_cmpuint(count_ops(random_after, "RandomNormalLike"), ==, 2);
}

static InferTensor *
gelu_sum(InferNetwork *network, InferTensor *x, gboolean tanh)
{
  InferTensor *y;

  if (!tanh)
    return op1(network, "Erf", op2(network, "Div", x, number(network, 1.41421356f)));
  y = op2(network, "Mul", number(network, 0.044715f), op2(network, "Pow", x, number(network, 3)));
  return op1(network, "Tanh",
             op2(network, "Mul", op2(network, "Add", x, y), number(network, 0.7978845608f)));
}

/* Activation functions as exporters write them out. */
static void
test_activations(void)
{
  static const char *const ops[] = {"Swish", "Swish",       "HardSwish", "HardSwish",
                                    "Mish",  "HardSigmoid", "Gelu",      "Gelu"};

  for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
    g_autoptr(InferNetwork) network = infer_network_new();
    InferTensor *x =
        infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(3, 40), NULL, NULL);
    InferTensor *wide, *y, *six = number(network, 6);
    g_autoptr(InferNetwork) after = NULL;

    x = wide = op1(network, "Neg", op2(network, "Mul", x, number(network, 5)));
    y = clip(network, op2(network, "Add", wide, number(network, 3)), 0, 6);
    if (i == 0)
      y = op2(network, "Mul", op1(network, "Sigmoid", x), x);
    else if (i == 1)
      y = op2(network, "Mul", x,
              op1(network, "Sigmoid", op2(network, "Mul", x, number(network, 1.702f))));
    else if (i == 2)
      y = op2(network, "Div", op2(network, "Mul", x, y), six);
    else if (i == 3)
      y = op2(network, "Mul", x, op2(network, "Mul", y, number(network, 1.0f / 6)));
    else if (i == 4)
      y = op2(network, "Mul", x, op1(network, "Tanh", op1(network, "Softplus", x)));
    else if (i == 5)
      y = op2(network, "Div", y, six);
    else
      y = op2(network, "Mul",
              op2(network, "Mul", x,
                  op2(network, "Add", gelu_sum(network, x, i == 7), number(network, 1))),
              number(network, 0.5f));
    g_assert_true(infer_network_mark_output(network, y, "y", NULL));
    after = optimized(network);
    g_assert_cmpuint(count_ops(after, ops[i]), ==, 1);
    g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 3);
    assert_same_outputs(network, after, 1e-5);
  }
}

/* What looks like an activation function but is none. */
static void
test_near_activations(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(3, 40), NULL, NULL);
  InferTensor *gate = op1(network, "Sigmoid", x), *other = op1(network, "Neg", x), *y;
  g_autoptr(InferNetwork) after = NULL;

  /* The gate is read elsewhere, or of something else; constants are not the right ones. */
  g_assert_true(infer_network_mark_output(network, op2(network, "Mul", x, gate), "a", NULL));
  g_assert_true(infer_network_mark_output(network, op1(network, "Exp", gate), "b", NULL));
  y = op2(network, "Mul", other, op1(network, "Sigmoid", op1(network, "Abs", x)));
  g_assert_true(infer_network_mark_output(network, y, "c", NULL));
  y = clip(network, op2(network, "Add", x, number(network, 2)), 0, 6);
  y = op2(network, "Mul", x, op2(network, "Div", y, number(network, 6)));
  g_assert_true(infer_network_mark_output(network, y, "d", NULL));
  after = optimized(network);
  g_assert_cmpuint(infer_network_get_n_nodes(after), ==, infer_network_get_n_nodes(network));
  assert_same_outputs(network, after, 0);
}

/* A pair of transposes around a chain and a branch of functions of elements. */
static void
test_transposes(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 there[] = {0, 2, 3, 1}, back[] = {0, 3, 1, 2};
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 3, 4, 5), NULL, NULL);
  InferTensor *y, *z;
  g_autoptr(InferNetwork) after = NULL;

  y = node(network, "Transpose", &x, 1, infer_attrs_new("perm", 'I', there, (gsize)4, NULL));
  z = op1(network, "Neg", x);
  z = node(network, "Transpose", &z, 1, infer_attrs_new("perm", 'I', there, (gsize)4, NULL));
  y = op2(network, "Mul", clip(network, y, -0.5f, 0.5f), op1(network, "Exp", z));
  z = node(network, "Transpose", &y, 1, infer_attrs_new("perm", 'I', there, (gsize)4, NULL));
  y = node(network, "Transpose", &y, 1, infer_attrs_new("perm", 'I', back, (gsize)4, NULL));
  g_assert_true(infer_network_mark_output(network, y, "y", NULL));
  /* The product has two readers: it stays where it is. */
  g_assert_true(infer_network_mark_output(network, z, "z", NULL));
  y = op1(network, "Sin", x);
  y = node(network, "Transpose", &y, 1, infer_attrs_new("perm", 'I', there, (gsize)4, NULL));
  y = op2(network, "Add", op1(network, "Cos", y), number(network, 2));
  y = node(network, "Transpose", &y, 1, infer_attrs_new("perm", 'I', back, (gsize)4, NULL));
  g_assert_true(infer_network_mark_output(network, y, "w", NULL));
  after = optimized(network);
  g_assert_cmpuint(count_ops(network, "Transpose"), ==, 6);
  g_assert_cmpuint(count_ops(after, "Transpose"), ==, 4);
  assert_same_outputs(network, after, 1e-6);
}

/* Layer normalization, written out with and without its scale and bias. */
static void
test_layernorm(void)
{
  for (guint i = 0; i < 3; i++) {
    g_autoptr(InferNetwork) network = infer_network_new();
    g_autoptr(GRand) random = g_rand_new_with_seed(9);
    InferTensor *x =
        infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 5, 12), NULL, NULL);
    InferTensor *axes = int_constant(network, (gint64[]){-1}, 1), *d, *square, *y;
    g_autoptr(InferNetwork) after = NULL;

    d = op2(network, "Sub", x, op2(network, "ReduceMean", x, axes));
    square = i ? op2(network, "Pow", d, number(network, 2)) : op2(network, "Mul", d, d);
    square = op2(network, "Add", op2(network, "ReduceMean", square, axes), number(network, 1e-3f));
    y = op2(network, "Div", d, op1(network, "Sqrt", square));
    if (i > 0)
      y = op2(network, "Mul", small_net_weight(network, random, NULL, &INFER_DIMS(12), 2), y);
    if (i > 1)
      y = op2(network, "Add", y, small_net_weight(network, random, NULL, &INFER_DIMS(12), 2));
    g_assert_true(infer_network_mark_output(network, y, "y", NULL));
    after = optimized(network);
    g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 1);
    g_assert_cmpuint(count_ops(after, "LayerNormalization"), ==, 1);
    assert_same_outputs(network, after, 1e-5);
  }
}

static void
test_identities(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 3, 4, 5), NULL, NULL);
  gint64 kernel[] = {4, 5}, axes[] = {-1, 2};
  g_autoptr(InferNetwork) after = NULL;
  InferTensor *y;

  x = clip(network, op1(network, "Relu", clip(network, x, 0, 0.5f)), -1, 1);
  x = op2(network, "Add", op2(network, "Mul", number(network, 1), x), number(network, 0));
  y = op2(network, "Add",
          op2(network, "Mul", op2(network, "Mul", x, number(network, 3)), number(network, 2)),
          number(network, 0.25f));
  y = op2(network, "Add", y, number(network, 0.5f));
  g_assert_true(infer_network_mark_output(network, y, "y", NULL));
  g_assert_true(
      infer_network_mark_output(network,
                                node(network, "AveragePool", &x, 1,
                                     infer_attrs_new("kernel_shape", 'I', kernel, (gsize)2, NULL)),
                                "mean", NULL));
  g_assert_true(infer_network_mark_output(
      network, op2(network, "ReduceMean", y, int_constant(network, axes, 2)), "all", NULL));
  after = optimized(network);
  /* Clip, Mul, Add and two poolings */
  g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 5);
  g_assert_cmpuint(count_ops(after, "GlobalAveragePool"), ==, 2);
  assert_same_outputs(network, after, 1e-6);
}

/* Constants before a convolution go into its weights: a sum only where nothing is padded. */
static void
test_before_convolution(void)
{
  for (gint64 pad = 0; pad < 2; pad++) {
    g_autoptr(InferNetwork) network = infer_network_new();
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    gint64 pads[] = {pad, pad, pad, pad};
    InferTensor *x = infer_network_add_input(network, "x", INFER_TYPE_FLOAT,
                                             &INFER_DIMS(2, 6, 7, 8), NULL, NULL);
    g_autoptr(InferNetwork) after = NULL;

    x = op2(network, "Sub", x, small_net_weight(network, random, NULL, &INFER_DIMS(6, 1, 1), 1));
    x = op2(network, "Mul", small_net_weight(network, random, NULL, &INFER_DIMS(1, 6, 1, 1), 1), x);
    x = op2(network, "Div", x, number(network, 3));
    x = node(
        network, "Conv",
        (InferTensor *[]){x, small_net_weight(network, random, NULL, &INFER_DIMS(4, 3, 3, 3), 1)},
        2, infer_attrs_new("group", 'i', (gint64)2, "pads", 'I', pads, (gsize)4, NULL));
    g_assert_true(infer_network_mark_output(network, x, "y", NULL));
    after = optimized(network);
    g_assert_cmpuint(infer_network_get_n_nodes(after), ==, 1 + pad);
    assert_same_outputs(network, after, 1e-5);
  }
}

/* Zeros around a pooling: counted by a mean, no matter to a maximum of what is not negative. */
static void
test_pad_pooling(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 pads[] = {0, 0, 1, 1, 0, 0, 1, 0}, kernel[] = {3, 2};
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 3, 7, 6), NULL, NULL);
  g_autoptr(InferNetwork) after = NULL;

  for (guint i = 0; i < 3; i++) {
    const char *name = ((const char *[]){"mean", "max", "negative"})[i];
    InferTensor *y = i == 1 ? op1(network, "Relu", x) : op1(network, "Neg", x);

    y = op2(network, "Pad", y, int_constant(network, pads, 8));
    y = node(network, i ? "MaxPool" : "AveragePool", &y, 1,
             infer_attrs_new("kernel_shape", 'I', kernel, (gsize)2, NULL));
    g_assert_true(infer_network_mark_output(network, y, name, NULL));
  }
  after = optimized(network);
  g_assert_cmpuint(count_ops(after, "Pad"), ==, 1);
  assert_same_outputs(network, after, 1e-6);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/passes/small-net", test_small_net);
  g_test_add_func("/passes/shape-arithmetic", test_shape_arithmetic);
  g_test_add_func("/passes/constants", test_constants);
  g_test_add_func("/passes/convolution", test_convolution);
  g_test_add_func("/passes/shared-convolution", test_shared_convolution);
  g_test_add_func("/passes/views", test_views);
  g_test_add_func("/passes/common-subexpressions", test_common_subexpressions);
  g_test_add_func("/passes/activations", test_activations);
  g_test_add_func("/passes/near-activations", test_near_activations);
  g_test_add_func("/passes/transposes", test_transposes);
  g_test_add_func("/passes/layernorm", test_layernorm);
  g_test_add_func("/passes/identities", test_identities);
  g_test_add_func("/passes/before-convolution", test_before_convolution);
  g_test_add_func("/passes/pad-pooling", test_pad_pooling);
  return g_test_run();
}
