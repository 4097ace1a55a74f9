/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds that are cancelled, by their progress callback and by another thread, also in the middle
 * of evaluating one layer. */
#include <infer/infer.h>

#include "op.h"
#include "small-net.h"

/* What a build may take to end, on a machine with other work and under sanitizers. Evaluating the
 * heavy layer takes many times that. */
#define LIMIT (3 * G_USEC_PER_SEC)

/* --- evaluations --- */

typedef struct {
  const char *op;
  const char *attrs; /* a vardict in GVariant's text format */
  InferDims in[4];
  guint n_in, n_out;
} Case;

static const Case cases[] = {
    {"Conv", "@a{sv} {}", {{4, {1, 2, 4, 4}}, {4, {2, 2, 1, 1}}}, 2, 1},
    {"ConvTranspose", "@a{sv} {}", {{4, {1, 2, 4, 4}}, {4, {2, 2, 1, 1}}}, 2, 1},
    {"DeformConv", "@a{sv} {}", {{4, {1, 2, 4, 4}}, {4, {2, 2, 1, 1}}, {4, {1, 2, 4, 4}}}, 3, 1},
    {"Gemm", "@a{sv} {}", {{2, {2, 3}}, {2, {3, 4}}}, 2, 1},
    {"MatMul", "@a{sv} {}", {{3, {2, 2, 3}}, {3, {2, 3, 4}}}, 2, 1},
    {"Einsum", "{'equation': <'bij,bjk->bik'>}", {{3, {2, 2, 3}}, {3, {2, 3, 4}}}, 2, 1},
    {"RNN", "{'hidden_size': <int64 2>}", {{3, {5, 1, 3}}, {3, {1, 2, 3}}, {3, {1, 2, 2}}}, 3, 1},
    {"GridSample", "@a{sv} {}", {{4, {1, 2, 4, 4}}, {4, {1, 3, 3, 2}}}, 2, 1},
    {"Attention", "@a{sv} {}", {{4, {1, 2, 3, 4}}, {4, {1, 2, 3, 4}}, {4, {1, 2, 3, 4}}}, 3, 1},
};

/* Evaluates a case on zeros. */
static gboolean
evaluate(const Case *what, GError **error)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *tensors[4];
  InferArray *arrays[4], *out[1] = {NULL};
  InferNode *node;
  gboolean ok;

  for (guint i = 0; i < what->n_in; i++) {
    arrays[i] = infer_array_new(INFER_TYPE_FLOAT, &what->in[i], error);
    tensors[i] = infer_network_add_constant(network, NULL, arrays[i]);
  }
  node = infer_network_add_node(network, what->op, NULL, tensors, what->n_in,
                                g_variant_parse(NULL, what->attrs, NULL, NULL, NULL), what->n_out,
                                error);
  ok = node && infer_op_eval_alloc(node, (const InferArray *const *)arrays, what->n_in, out,
                                   what->n_out, error);
  for (guint i = 0; i < what->n_in; i++)
    infer_array_unref(arrays[i]);
  g_clear_pointer(&out[0], infer_array_unref);
  return ok;
}

/* Whether a cancelled evaluation ends does not depend on how long it would take. */
static void
test_evaluations(void)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new();

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;

    g_cancellable_push_current(cancellable);
    g_assert_true(evaluate(&cases[i], &error));
    g_assert_no_error(error);
    g_cancellable_cancel(cancellable);
    g_test_message("%s", cases[i].op);
    g_assert_false(evaluate(&cases[i], &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_cancellable_pop_current(cancellable);
    g_cancellable_reset(cancellable);
  }
}

/* --- builds --- */

typedef struct {
  GCancellable *cancellable;
  const char *stage; /* at which it is cancelled */
  gboolean later;    /* a moment after it began, by another thread */
  GThread *thread;
  gint64 when;
} Cancel;

static gpointer
cancel_now(gpointer data)
{
  Cancel *self = data;

  g_usleep(self->later ? 300000 : 0);
  self->when = g_get_monotonic_time();
  g_cancellable_cancel(self->cancellable);
  return NULL;
}

static void
progress(const char *stage, double fraction, gpointer user_data)
{
  Cancel *self = user_data;

  g_assert_cmpfloat(fraction, >=, 0);
  g_assert_cmpfloat(fraction, <=, 1);
  if (self->when || self->thread || !g_str_equal(stage, self->stage))
    return;
  if (self->later)
    self->thread = g_thread_new("cancel", cancel_now, self);
  else
    cancel_now(self);
}

/* Returns: microseconds from cancelling to the end. */
static gint64
build_cancelled(InferNetwork *network, const char *device, const char *stage, gboolean later)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  g_autoptr(InferBuilder) builder = infer_builder_new();
  Cancel cancel = {.cancellable = cancellable, .stage = stage, .later = later};
  gint64 end;

  infer_builder_set_device(builder, device);
  infer_builder_set_threads(builder, 2);
  infer_builder_set_optimization_level(builder, 0);
  infer_builder_set_timing_cache(builder, "");
  infer_builder_set_progress(builder, progress, &cancel, NULL);
  g_assert_null(infer_builder_build(builder, network, "a test", cancellable, &error));
  end = g_get_monotonic_time();
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_pointer(&cancel.thread, g_thread_join);
  g_assert_cmpint(cancel.when, !=, 0);
  return end - cancel.when;
}

static void
test_stages(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  const char *const stages[] = {"passes", "fusion", "tune", "prepare", "verify", "done"};

  for (guint i = 0; i < G_N_ELEMENTS(stages); i++)
    build_cancelled(network, "cpu", stages[i], FALSE);
}

/* A convolution of 10^10 products, which are many seconds where they are made one by one. */
static InferNetwork *
heavy_net(gboolean constant)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  const InferDims dims = INFER_DIMS(1, 512, 64, 64);
  g_autoptr(InferArray) zeros = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
  g_autoptr(GError) error = NULL;
  InferTensor *weight =
      small_net_weight(network, random, "weight", &INFER_DIMS(512, 512, 3, 3), 0.1);
  InferTensor *image =
      constant ? infer_network_add_constant(network, "image", zeros)
               : infer_network_add_input(network, "image", INFER_TYPE_FLOAT, &dims, NULL, &error);
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(1), NULL, &error);
  InferNode *conv = infer_network_add_node(
      network, "Conv", "heavy", (InferTensor *const[]){image, weight}, 2, NULL, 1, &error);
  InferNode *sum = infer_network_add_node(network, "Add", "sum",
                                          (InferTensor *const[]){infer_node_get_output(conv, 0), x},
                                          2, NULL, 1, &error);

  g_assert_no_error(error);
  infer_network_mark_output(network, infer_node_get_output(sum, 0), "y", &error);
  g_assert_no_error(error);
  return network;
}

static void
test_verification(void)
{
  g_autoptr(InferNetwork) network = heavy_net(FALSE);

  g_assert_cmpint(build_cancelled(network, "cpu", "verify", TRUE), <, LIMIT);
}

/* A device without implementations of its own evaluates in its own thread. */
static void
test_reference(void)
{
  g_autoptr(InferNetwork) network = heavy_net(FALSE);

  g_assert_cmpint(build_cancelled(network, "null", "tune", TRUE), <, LIMIT);
}

static void
test_folding(void)
{
  g_autoptr(InferNetwork) network = heavy_net(TRUE);

  g_assert_cmpint(build_cancelled(network, "cpu", "passes", TRUE), <, LIMIT);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cancel/evaluations", test_evaluations);
  g_test_add_func("/cancel/stages", test_stages);
  g_test_add_func("/cancel/verification", test_verification);
  g_test_add_func("/cancel/reference", test_reference);
  g_test_add_func("/cancel/folding", test_folding);
  return g_test_run();
}
