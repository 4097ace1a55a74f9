/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open dimensions: one plan for pictures of many sizes. */
#include <infer/infer.h>

#include <math.h>
#include <string.h>

#include "op.h"
#include "small-net.h"

static InferTensor *
add(InferNetwork *network, const char *op, InferTensor *const *inputs, guint n, GVariant *attrs)
{
  g_autoptr(GError) error = NULL;
  InferNode *node = infer_network_add_node(network, op, NULL, inputs, n, attrs, 1, &error);

  g_assert_no_error(error);
  return node->outputs[0];
}

/* Convolution, pool and residual over pictures of any even size. */
static InferNetwork *
make_network(void)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(2);
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  gint64 h = infer_network_add_symbol(network, "height", 8, 16, 64);
  gint64 w = infer_network_add_symbol(network, "width", 8, 16, 64);
  gint64 pads[] = {1, 1, 1, 1}, two[] = {2, 2};
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(n, 3, h, w), NULL, NULL);
  InferTensor *y;

  y = add(network, "Conv",
          (InferTensor *[]){x, small_net_weight(network, random, NULL, &INFER_DIMS(8, 3, 3, 3), 1)},
          2, infer_attrs_new("pads", 'I', pads, (gsize)4, NULL));
  y = add(network, "Relu", &y, 1, NULL);
  y = add(network, "MaxPool", &y, 1,
          infer_attrs_new("kernel_shape", 'I', two, (gsize)2, "strides", 'I', two, (gsize)2, NULL));
  g_assert_true(infer_network_mark_output(network, y, "map", NULL));
  y = add(network, "GlobalAveragePool", &y, 1, NULL);
  g_assert_true(infer_network_mark_output(network, y, "mean", NULL));
  return network;
}

static InferEngine *
build(InferNetwork *network, gboolean profile)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferEngine *engine;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 2);
  infer_builder_set_max_batch(builder, 4);
  if (profile) {
    infer_builder_set_profile(builder, "height", 8, 16, 48);
    infer_builder_set_profile(builder, "width", 8, 16, 48);
  }
  engine = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  return engine;
}

/* The network's nodes one by one on the same picture. */
static InferArray *
reference(InferNetwork *network, const InferDims *dims, const float *data)
{
  g_autoptr(InferArray) value = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);

  memcpy(value->data, data, value->size);
  for (guint i = 0; i < 3; i++) {
    const InferNode *node = infer_network_get_node(network, i);
    const InferArray *in[2] = {value, node->n_inputs > 1 ? node->inputs[1]->value : NULL};
    InferArray *out = NULL;

    g_assert_true(infer_op_eval_alloc(node, in, node->n_inputs, &out, 1, NULL));
    infer_array_unref(value);
    value = out;
  }
  return g_steal_pointer(&value);
}

static void
check_size(InferContext *context, InferNetwork *network, const InferDims *dims)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(5);
  g_autoptr(InferArray) want = NULL;
  InferDims got;
  gsize size;
  float *x;
  const float *map;

  infer_context_set_dims(context, "x", dims, &error);
  g_assert_no_error(error);
  x = infer_context_map(context, "x", &size, &error);
  g_assert_cmpuint(size, ==, (gsize)infer_dims_count(dims) * sizeof(float));
  for (gsize i = 0; i < size / sizeof(float); i++)
    x[i] = (float)g_rand_double_range(random, -1, 1);
  want = reference(network, dims, x);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_get_dims(context, "map", &got, &error));
  g_assert_true(infer_dims_equal(&got, &want->dims));
  map = infer_context_map(context, "map", &size, &error);
  g_assert_cmpuint(size, ==, want->size);
  for (gsize i = 0; i < size / sizeof(float); i++)
    g_assert_cmpfloat(fabsf(map[i] - ((const float *)want->data)[i]), <, 1e-4f);
}

/* Only the convolution's multiplications and additions count; its operands are read and written. */
static void
check_work(InferContext *context, gint64 pixels)
{
  InferStepTime time;
  gint64 operations = 0, bytes = 0;

  for (guint i = 0; infer_context_get_step_time(context, i, &time); i++) {
    operations += time.operations;
    bytes += time.bytes;
  }
  g_assert_cmpint(operations, ==, 2 * pixels * 8 * 3 * 3 * 3);
  g_assert_cmpint(bytes, >=, pixels * (3 + 8 / 4) * (gint64)sizeof(float));
}

static void
test_sizes(void)
{
  g_autoptr(InferNetwork) network = make_network();
  g_autoptr(InferEngine) engine = build(network, TRUE);
  g_autoptr(GBytes) plan = infer_engine_serialize(engine, NULL);
  g_autoptr(InferEngine) loaded = infer_engine_new_from_bytes(plan, "memory", "cpu", 2, NULL);
  InferEngine *engines[] = {engine, loaded};

  g_assert_cmpuint(infer_engine_find_binding(engine, "map")->max_size, ==, 4 * 8 * 24 * 24 * 4);
  for (guint i = 0; i < 2; i++) {
    g_autoptr(InferContext) context = infer_context_new(engines[i], NULL);

    check_size(context, network, &INFER_DIMS(1, 3, 16, 16));
    check_size(context, network, &INFER_DIMS(3, 3, 20, 48));
    check_size(context, network, &INFER_DIMS(4, 3, 48, 8));
    check_work(context, 4 * 48 * 8);
    check_size(context, network, &INFER_DIMS(1, 3, 16, 16));
  }
}

static void
assert_refused(InferContext *context, InferDims dims, const char *part)
{
  g_autoptr(GError) error = NULL;

  g_assert_false(infer_context_set_dims(context, "x", &dims, &error));
  g_assert_nonnull(error);
  g_assert_nonnull(strstr(error->message, part));
}

static void
test_refused(void)
{
  g_autoptr(InferNetwork) network = make_network();
  g_autoptr(InferEngine) engine = build(network, TRUE);
  g_autoptr(InferContext) context = infer_context_new(engine, NULL);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;

  assert_refused(context, INFER_DIMS(1, 3, 50, 16), "8 to 48");
  assert_refused(context, INFER_DIMS(1, 4, 16, 16), "1x4x16x16");
  assert_refused(context, INFER_DIMS(1, 3, 16), "1x3x16");
  assert_refused(context, INFER_DIMS(5, 3, 16, 16), "batch");
  infer_builder_set_profile(builder, "depth", 1, 1, 1);
  g_assert_null(infer_builder_build(builder, network, NULL, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_assert_nonnull(strstr(error->message, "depth"));
}

/* Without a profile the plan is for the size that the network tunes for. */
static void
test_fixed(void)
{
  g_autoptr(InferNetwork) network = make_network();
  g_autoptr(InferEngine) engine = build(network, FALSE);
  g_autoptr(InferContext) context = infer_context_new(engine, NULL);

  check_size(context, network, &INFER_DIMS(2, 3, 16, 16));
  assert_refused(context, INFER_DIMS(2, 3, 20, 16), "2x3x20x16");
}

/* Where the positive elements are, and their sum: known only when it has run. */
static InferNetwork *
make_data_dependent(gboolean planned_part)
{
  InferNetwork *network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(n, 4), NULL, NULL);
  InferTensor *where;

  if (planned_part) {
    x = add(network, "Relu", &x, 1, NULL);
    g_assert_true(
        infer_network_mark_output(network, add(network, "Neg", &x, 1, NULL), "negative", NULL));
  }
  where = add(network, "NonZero", &x, 1, NULL);
  g_assert_true(infer_network_mark_output(network, where, "where", NULL));
  where = add(network, "Transpose", &where, 1, NULL);
  g_assert_true(
      infer_network_mark_output(network, add(network, "Shape", &where, 1, NULL), "shape", NULL));
  return network;
}

static void
check_data_dependent(InferEngine *engine)
{
  g_autoptr(InferContext) context = infer_context_new(engine, NULL);
  g_autoptr(GError) error = NULL;
  const float rows[] = {0, 1, 0, 2, 3, 0, 0, 0};
  const gint64 expected[] = {0, 0, 1, 1, 3, 0};
  InferDims dims;
  gsize size;

  g_assert_true(infer_context_set_batch(context, 2, &error));
  g_assert_null(infer_context_map(context, "where", NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);
  memcpy(infer_context_map(context, "x", NULL, &error), rows, sizeof rows);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_get_dims(context, "where", &dims, &error));
  g_assert_true(infer_dims_equal(&dims, &INFER_DIMS(2, 3)));
  {
    gconstpointer where = infer_context_map(context, "where", &size, &error);
    g_assert_cmpmem(where, size, expected, sizeof expected);
  }
  g_assert_cmpint(*(gint64 *)infer_context_map(context, "shape", NULL, &error), ==, 3);
  /* The next run has fewer. */
  memset(infer_context_map(context, "x", NULL, &error), 0, sizeof rows);
  g_assert_true(infer_context_run(context, &error));
  g_assert_true(infer_context_get_dims(context, "where", &dims, &error));
  g_assert_true(infer_dims_equal(&dims, &INFER_DIMS(2, 0)));
}

static void
test_data_dependent(void)
{
  for (guint planned = 0; planned < 2; planned++) {
    g_autoptr(InferNetwork) network = make_data_dependent(planned);
    g_autoptr(InferEngine) engine = build(network, FALSE);
    g_autoptr(GBytes) plan = infer_engine_serialize(engine, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(InferEngine) loaded = infer_engine_new_from_bytes(plan, "memory", "cpu", 2, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(infer_engine_get_binding(loaded, 1)->name, ==, planned ? "negative" : "where");
    check_data_dependent(engine);
    check_data_dependent(loaded);
  }
}

/* A picture twice as large as it comes, by what Shape says: no constant can say it. */
static InferNetwork *
make_doubled(void)
{
  InferNetwork *network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  gint64 h = infer_network_add_symbol(network, "height", 4, 8, 16);
  const gint64 zero = 0, two = 2, four = 4, twice[] = {2, 2};
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(n, 3, h, 8), NULL, NULL);
  InferTensor *shape = add(network, "Shape", &x, 1, NULL), *first, *last, *sizes, *y;
  g_autoptr(InferArray) start = infer_array_new_int64s(&zero, 1);
  g_autoptr(InferArray) middle = infer_array_new_int64s(&two, 1);
  g_autoptr(InferArray) end = infer_array_new_int64s(&four, 1);
  g_autoptr(InferArray) factors = infer_array_new_int64s(twice, 2);
  InferTensor *from = infer_network_add_constant(network, NULL, start);
  InferTensor *half = infer_network_add_constant(network, NULL, middle);
  InferTensor *to = infer_network_add_constant(network, NULL, end);

  first = add(network, "Slice", (InferTensor *[]){shape, from, half}, 3, NULL);
  last = add(network, "Slice", (InferTensor *[]){shape, half, to}, 3, NULL);
  last = add(network, "Mul",
             (InferTensor *[]){last, infer_network_add_constant(network, NULL, factors)}, 2, NULL);
  sizes = add(network, "Concat", (InferTensor *[]){first, last}, 2,
              infer_attrs_new("axis", 'i', (gint64)0, NULL));
  y = add(network, "Relu", &x, 1, NULL);
  y = add(network, "Resize", (InferTensor *[]){y, NULL, NULL, sizes}, 4,
          infer_attrs_new("mode", 's', "nearest", "coordinate_transformation_mode", 's',
                          "asymmetric", "nearest_mode", 's', "floor", NULL));
  g_assert_true(infer_network_mark_output(network, y, "y", NULL));
  return network;
}

static void
check_doubled(InferContext *context, gint64 batch, gint64 height)
{
  g_autoptr(GError) error = NULL;
  InferDims dims = INFER_DIMS(batch, 3, height, 8);
  gsize size;
  float *x;
  const float *y;

  g_assert_true(infer_context_set_dims(context, "x", &dims, &error));
  x = infer_context_map(context, "x", &size, &error);
  for (gsize i = 0; i < size / sizeof(float); i++)
    x[i] = (float)i;
  y = infer_context_map(context, "y", &size, &error);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(size, ==, (gsize)(batch * 3 * height * 2 * 16) * sizeof(float));
  for (gint64 plane = 0; plane < batch * 3; plane++)
    for (gint64 i = 0; i < height * 2; i++)
      for (gint64 j = 0; j < 16; j++, y++)
        g_assert_cmpfloat(*y, ==, (float)((plane * height + i / 2) * 8 + j / 2));
}

/* What shapes alone tell is computed when a shape is prepared and not again. */
static void
test_shape_arithmetic(gconstpointer device)
{
  g_autoptr(InferNetwork) network = make_doubled();
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;
  InferStepTime time;
  guint n = 0;

  infer_builder_set_device(builder, device);
  infer_builder_set_max_batch(builder, 4);
  infer_builder_set_profile(builder, "height", 4, 8, 16);
  engine = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  context = infer_context_new(engine, &error);
  check_doubled(context, 1, 8);
  check_doubled(context, 3, 16);
  check_doubled(context, 1, 8);
  for (guint i = 0; infer_context_get_step_time(context, i, &time); i++)
    if (g_str_has_prefix(time.name, "Shape") || g_str_has_prefix(time.name, "Slice") ||
        g_str_has_prefix(time.name, "Mul") || g_str_has_prefix(time.name, "Concat")) {
      g_assert_cmpstr(time.implementation, ==, "view");
      n++;
    }
  g_assert_cmpuint(n, >=, 3);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/dynamic/sizes", test_sizes);
  g_test_add_func("/dynamic/refused", test_refused);
  g_test_add_func("/dynamic/fixed", test_fixed);
  g_test_add_func("/dynamic/data-dependent", test_data_dependent);
  g_test_add_data_func("/dynamic/shape-arithmetic", "cpu", test_shape_arithmetic);
  g_test_add_data_func("/dynamic/shape-arithmetic-apart", "null", test_shape_arithmetic);
  return g_test_run();
}
