/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a build measures, and what users ask of it: levels, limits, precisions, single layers. */
#include <infer/infer.h>

#include <string.h>

#include "small-net.h"

static InferBuilder *
builder_new(void)
{
  InferBuilder *builder = infer_builder_new();

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, 3);
  infer_builder_set_timing_cache(builder, "");
  return builder;
}

static InferEngine *
build(InferBuilder *builder, InferNetwork *network)
{
  g_autoptr(GError) error = NULL;
  InferEngine *engine = infer_builder_build(builder, network, "a test", NULL, &error);

  g_assert_no_error(error);
  return engine;
}

/* The boxes of @batch equal pictures. */
static GBytes *
detect(InferEngine *engine, guint batch)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  gsize size, row;
  float *image;
  GBytes *boxes;

  g_assert_true(infer_context_set_batch(context, batch, &error));
  image = infer_context_map(context, "image", &size, &error);
  g_assert_no_error(error);
  row = size / batch;
  for (gsize i = 0; i < row / sizeof(float); i++)
    image[i] = (float)g_rand_double_range(random, -1, 1);
  for (guint i = 1; i < batch; i++)
    memcpy((guint8 *)image + i * row, image, row);
  g_assert_true(infer_context_run(context, &error));
  boxes = infer_context_get_output_bytes(context, "boxes", &error);
  g_assert_no_error(error);
  return boxes;
}

static void
assert_near(GBytes *a, GBytes *b)
{
  gsize n, m;
  const float *x = g_bytes_get_data(a, &n), *y = g_bytes_get_data(b, &m);

  g_assert_cmpuint(n, ==, m);
  for (gsize i = 0; i < n / sizeof(float); i++)
    g_assert_cmpfloat_with_epsilon(x[i], y[i], 1e-4f);
}

static void
test_levels(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(GBytes) want = NULL;

  for (guint level = 0; level <= 5; level++) {
    g_autoptr(InferBuilder) builder = builder_new();
    g_autoptr(InferEngine) engine = NULL;
    g_autoptr(GBytes) have = NULL;

    infer_builder_set_optimization_level(builder, level);
    engine = build(builder, network);
    have = detect(engine, 1);
    if (!want)
      want = g_bytes_ref(have);
    assert_near(have, want);
  }
}

/* The fastest tactic is not the same in every build; whichever it is, a batch gives the bits of its
 * rows. */
static void
test_rows(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);

  for (guint i = 0; i < 3; i++) {
    g_autoptr(InferBuilder) builder = builder_new();
    g_autoptr(InferEngine) engine = build(builder, network);
    g_autoptr(GBytes) one = detect(engine, 1);
    g_autoptr(GBytes) three = detect(engine, 3);
    gsize n = g_bytes_get_size(one);

    g_assert_cmpuint(g_bytes_get_size(three), ==, 3 * n);
    for (guint k = 0; k < 3; k++)
      g_assert_cmpmem((const guint8 *)g_bytes_get_data(three, NULL) + k * n, n,
                      g_bytes_get_data(one, NULL), n);
  }
}

static void
test_saved(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = builder_new();
  g_autoptr(InferEngine) engine = build(builder, network);
  g_autoptr(GBytes) plan = infer_engine_serialize(engine, &error);
  g_autoptr(InferEngine) loaded = NULL;
  g_autoptr(GBytes) a = detect(engine, 2);
  g_autoptr(GBytes) b = NULL;

  g_assert_no_error(error);
  loaded = infer_engine_new_from_bytes(plan, "a test", "cpu", 1, &error);
  g_assert_no_error(error);
  b = detect(loaded, 2);
  g_assert_true(g_bytes_equal(a, b));
}

static void
test_limits(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = builder_new();
  g_autoptr(InferEngine) hurried = NULL;
  g_autoptr(InferEngine) narrow = NULL;
  g_autoptr(GBytes) a = NULL;
  g_autoptr(GBytes) b = NULL;

  infer_builder_set_time_budget(builder, 1);
  hurried = build(builder, network);
  infer_builder_set_time_budget(builder, 0);
  infer_builder_set_workspace_limit(builder, 1);
  narrow = build(builder, network);
  a = detect(hurried, 1);
  b = detect(narrow, 1);
  assert_near(a, b);
}

static void
cancel_while_tuning(const char *stage, double fraction, gpointer cancellable)
{
  if (g_str_equal(stage, "tune"))
    g_cancellable_cancel(cancellable);
}

static void
test_cancelled(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = builder_new();

  infer_builder_set_progress(builder, cancel_while_tuning, cancellable, NULL);
  g_assert_null(infer_builder_build(builder, network, "a test", cancellable, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* The CPU computes in FP32; that is said, and the result is that of FP32. */
static void
test_precisions(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = builder_new();
  g_autoptr(InferEngine) plain = build(builder, network);
  g_autoptr(InferEngine) half = NULL;
  g_autoptr(GBytes) a = detect(plain, 1);
  g_autoptr(GBytes) b = NULL;

  g_assert_null(infer_engine_get_notes(plain)[0]);
  infer_builder_set_precisions(builder, INFER_PRECISION_FP16);
  half = build(builder, network);
  g_assert_nonnull(infer_engine_get_notes(half)[0]);
  g_assert_nonnull(strstr(infer_engine_get_notes(half)[0], "float16"));
  g_assert_nonnull(strstr(infer_engine_get_notes(half)[0], "cpu"));
  b = detect(half, 1);
  assert_near(a, b);
}

/* Where nothing computes in INT8, what lies between quantize and dequantize nodes is as exact as
 * they say, and that too is said. */
static void
test_int8(void)
{
  const float scale = 0.5f, picture[] = {0.2f, 0.3f, -1.1f, 70};
  const float rounded[] = {0, 0.5f, -1, 63.5f};
  g_autoptr(InferNetwork) plain = small_net_new(1);
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferBuilder) builder = builder_new();
  g_autoptr(InferEngine) nowhere = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(InferArray) step = infer_array_new_float(scale);
  g_autoptr(GError) error = NULL;
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(4), NULL, &error);
  InferTensor *steps = infer_network_add_constant(network, "step", step);

  infer_builder_set_precisions(builder, INFER_PRECISION_INT8);
  nowhere = build(builder, plain);
  g_assert_nonnull(infer_engine_get_notes(nowhere)[0]);
  g_assert_nonnull(strstr(infer_engine_get_notes(nowhere)[0], "int8"));
  x = infer_network_add_quantize(network, x, steps, NULL, 0, INFER_TYPE_INT8, "q", &error);
  x = infer_network_add_dequantize(network, x, steps, NULL, 0, "dq", &error);
  infer_network_mark_output(network, x, "y", &error);
  g_assert_no_error(error);
  engine = build(builder, network);
  g_assert_nonnull(infer_engine_get_notes(engine)[0]);
  g_assert_nonnull(strstr(infer_engine_get_notes(engine)[0], "cpu"));
  context = infer_context_new(engine, &error);
  infer_context_set_batch(context, 1, &error);
  memcpy(infer_context_map(context, "x", NULL, &error), picture, sizeof picture);
  g_assert_true(infer_context_run(context, &error));
  g_assert_cmpmem(infer_context_map(context, "y", NULL, &error), sizeof rounded, rounded,
                  sizeof rounded);
}

static InferNode *
find_node(InferNetwork *network, const char *op)
{
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    if (g_str_equal(infer_node_get_op_name(infer_network_get_node(network, i)), op))
      return infer_network_get_node(network, i);
  return NULL;
}

static void
test_layers(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = builder_new();
  g_autoptr(InferEngine) plain = build(builder, network);
  g_autoptr(InferEngine) placed = NULL;
  g_autoptr(GBytes) a = detect(plain, 1);
  g_autoptr(GBytes) b = NULL;
  g_autofree char *layers = NULL;
  InferNode *conv = find_node(network, "Conv");

  g_assert_false(infer_node_set_precision(conv, INFER_TYPE_INT64, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_false(infer_node_set_device(conv, "elsewhere", &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);

  g_assert_true(infer_node_set_device(conv, "host", &error));
  placed = build(builder, network);
  layers = infer_engine_inspect(placed);
  g_assert_nonnull(strstr(layers, "\"Implementation\": \"reference\""));
  b = detect(placed, 1);
  assert_near(a, b);

  g_assert_true(infer_node_set_precision(conv, INFER_TYPE_FLOAT16, &error));
  g_assert_null(infer_builder_build(builder, network, "a test", NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  g_assert_nonnull(strstr(error->message, conv->name));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tuning/levels", test_levels);
  g_test_add_func("/tuning/rows", test_rows);
  g_test_add_func("/tuning/saved", test_saved);
  g_test_add_func("/tuning/limits", test_limits);
  g_test_add_func("/tuning/cancelled", test_cancelled);
  g_test_add_func("/tuning/precisions", test_precisions);
  g_test_add_func("/tuning/int8", test_int8);
  g_test_add_func("/tuning/layers", test_layers);
  return g_test_run();
}
