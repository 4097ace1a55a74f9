/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other weights for engines, and plans without weights. */
#include <infer/infer.h>

#include <string.h>

#include "small-net.h"

/* The null device's memory is apart from the host's. */
static const char *device = "cpu";

/* Level 0 measures nothing, so that two builds run the same implementations, bit for bit. */
static InferEngine *
build_at(InferNetwork *network, guint level, gboolean refittable, gboolean stripped)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferEngine *engine;

  infer_builder_set_device(builder, device);
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, 4);
  infer_builder_set_timing_cache(builder, "");
  infer_builder_set_refittable(builder, refittable);
  infer_builder_set_stripped(builder, stripped);
  infer_builder_set_optimization_level(builder, level);
  engine = infer_builder_build(builder, network, "test", NULL, &error);
  g_assert_no_error(error);
  return engine;
}

static InferEngine *
build(InferNetwork *network, gboolean refittable, gboolean stripped)
{
  return build_at(network, 0, refittable, stripped);
}

static InferEngine *
build_small(guint32 seed, gboolean refittable, gboolean stripped)
{
  g_autoptr(InferNetwork) network = small_net_new(seed);

  return build(network, refittable, stripped);
}

static GBytes *
serialize(InferEngine *engine)
{
  g_autoptr(GError) error = NULL;
  GBytes *plan = infer_engine_serialize(engine, &error);

  g_assert_no_error(error);
  return plan;
}

static InferEngine *
reload(InferEngine *engine)
{
  g_autoptr(GBytes) plan = serialize(engine);
  g_autoptr(GError) error = NULL;
  InferEngine *loaded = infer_engine_new_from_bytes(plan, "test", device, 1, &error);

  g_assert_no_error(error);
  return loaded;
}

/* All outputs for a picture, one after the other. */
static GByteArray *
detect(InferEngine *engine, guint batch)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_autoptr(GRand) random = g_rand_new_with_seed(9);
  GByteArray *all = g_byte_array_new();

  g_assert_no_error(error);
  infer_context_set_batch(context, batch, &error);
  for (guint pass = 0; pass < 2; pass++) {
    for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++) {
      const InferBinding *binding = infer_engine_get_binding(engine, i);
      gsize size;
      gpointer data = infer_context_map(context, binding->name, &size, &error);

      g_assert_no_error(error);
      if (binding->is_input && !binding->is_optional && pass == 0)
        for (gsize k = 0; k < size / sizeof(float); k++)
          ((float *)data)[k] = (float)g_rand_double_range(random, -1, 1);
      if (!binding->is_input && pass == 1)
        g_byte_array_append(all, data, (guint)size);
    }
    if (pass == 0)
      infer_context_run(context, &error);
    g_assert_no_error(error);
  }
  return all;
}

static void
assert_same_results(InferEngine *a, InferEngine *b)
{
  for (guint batch = 1; batch <= 4; batch++) {
    g_autoptr(GByteArray) x = detect(a, batch);
    g_autoptr(GByteArray) y = detect(b, batch);

    g_assert_cmpmem(x->data, x->len, y->data, y->len);
  }
}

static InferRefit *
refit_new(InferEngine *engine)
{
  g_autoptr(GError) error = NULL;
  InferRefit *refit = infer_refit_new(engine, &error);

  g_assert_no_error(error);
  return refit;
}

static InferEngine *
commit(InferRefit *refit)
{
  g_autoptr(GError) error = NULL;
  InferEngine *engine = infer_refit_commit(refit, NULL, &error);

  g_assert_no_error(error);
  return engine;
}

static gint
set_from(InferRefit *refit, guint32 seed)
{
  g_autoptr(InferNetwork) network = small_net_new(seed);
  g_autoptr(GError) error = NULL;
  gint n = infer_refit_set_from_network(refit, network, &error);

  g_assert_no_error(error);
  return n;
}

/* Every convolution of the network has its batch normalization folded into it. */
static void
test_all(void)
{
  g_autoptr(InferEngine) first = build_small(1, TRUE, FALSE);
  g_autoptr(InferEngine) second = build_small(2, FALSE, FALSE);
  g_autoptr(InferEngine) loaded = reload(first);
  g_autoptr(GByteArray) before = detect(first, 2);
  g_autoptr(GByteArray) after = NULL;
  g_autoptr(GByteArray) other = detect(second, 2);
  InferEngine *engines[] = {first, loaded};

  g_assert_true(before->len != other->len || memcmp(before->data, other->data, other->len) != 0);
  for (guint i = 0; i < G_N_ELEMENTS(engines); i++) {
    g_autoptr(InferRefit) refit = refit_new(engines[i]);
    g_autoptr(InferEngine) made = NULL;
    g_autoptr(InferEngine) again = NULL;

    g_assert_true(infer_engine_is_refittable(engines[i]));
    g_assert_cmpint(set_from(refit, 2), ==, g_strv_length((char **)infer_refit_get_names(refit)));
    made = commit(refit);
    assert_same_results(made, second);
    g_assert_false(infer_engine_is_stripped(made));
    again = reload(made);
    assert_same_results(again, second);
  }
  after = detect(first, 2);
  g_assert_cmpmem(before->data, before->len, after->data, after->len);
}

/* A part of what is folded together: the rest comes from the plan. */
static void
test_one(void)
{
  g_autoptr(InferEngine) engine = build_small(1, TRUE, FALSE);
  g_autoptr(InferNetwork) other = small_net_new(2);
  g_autoptr(InferRefit) all = refit_new(engine);
  guint n = g_strv_length((char **)infer_refit_get_names(all));

  g_assert_cmpuint(n, >, 20);
  for (guint i = 0; i < n; i += 3) {
    g_autoptr(InferRefit) refit = refit_new(engine);
    const char *name = infer_refit_get_names(refit)[i];
    InferTensor *source = infer_network_find_tensor(other, name);
    g_autoptr(InferNetwork) network = small_net_new(1);
    g_autoptr(InferEngine) wanted = NULL;
    g_autoptr(InferEngine) made = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(infer_refit_set_weights(refit, name, source->value, &error));
    g_assert_true(infer_refit_get_weights(refit, name) == source->value);
    made = commit(refit);
    memcpy(infer_network_find_tensor(network, name)->value->data, source->value->data,
           source->value->size);
    wanted = build(network, FALSE, FALSE);
    assert_same_results(made, wanted);
  }
}

/* Nothing was set: the plan comes out the same byte for byte, packed weights, tactics and all. */
static void
test_same(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferEngine) engine = build_at(network, 3, TRUE, FALSE);
  g_autoptr(InferRefit) refit = refit_new(engine);
  g_autoptr(InferEngine) made = commit(refit);
  g_autoptr(GBytes) before = serialize(engine);
  g_autoptr(GBytes) after = serialize(made);

  g_assert_true(g_bytes_equal(before, after));
}

static void
test_stripped(void)
{
  g_autoptr(InferEngine) engine = build_small(1, FALSE, TRUE);
  g_autoptr(InferEngine) plain = build_small(1, FALSE, FALSE);
  g_autoptr(InferEngine) refittable = build_small(1, TRUE, FALSE);
  g_autoptr(GBytes) filled_plan = NULL;
  g_autoptr(GBytes) refittable_plan = NULL;
  g_autoptr(InferEngine) hollow = reload(engine);
  g_autoptr(InferEngine) again = reload(hollow);
  g_autoptr(GBytes) stripped_plan = serialize(hollow);
  g_autoptr(GBytes) plan = serialize(plain);
  g_autoptr(InferRefit) refit = refit_new(again);
  g_autofree const char **missing = infer_refit_get_missing(refit);
  g_autofree const char **still = NULL;
  g_autoptr(InferEngine) made = NULL;
  g_autoptr(InferEngine) whole = NULL;
  g_autoptr(GError) error = NULL;
  InferType type;
  InferDims dims;

  assert_same_results(engine, plain);
  g_assert_false(infer_engine_is_stripped(engine));
  g_assert_true(infer_engine_is_stripped(hollow));
  g_assert_cmpuint(g_bytes_get_size(stripped_plan) + 2 * infer_engine_get_weights_size(plain) / 3,
                   <, g_bytes_get_size(plan) + 40000);
  g_test_message("plan %" G_GSIZE_FORMAT " bytes, stripped %" G_GSIZE_FORMAT,
                 g_bytes_get_size(plan), g_bytes_get_size(stripped_plan));
  g_assert_null(infer_context_new(hollow, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_assert_nonnull(strstr(error->message, "left out"));
  g_clear_error(&error);

  g_assert_cmpuint(g_strv_length((char **)missing), >=, 3);
  g_assert_null(infer_refit_get_weights(refit, missing[0]));
  g_assert_true(infer_refit_get_prototype(refit, missing[0], &type, &dims));
  g_assert_cmpint(type, ==, INFER_TYPE_FLOAT);
  g_assert_cmpint(infer_dims_count(&dims), >=, 256);
  g_assert_null(infer_refit_commit(refit, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_assert_nonnull(strstr(error->message, missing[0]));
  g_clear_error(&error);

  set_from(refit, 1);
  still = infer_refit_get_missing(refit);
  g_assert_null(still[0]);
  made = commit(refit);
  assert_same_results(made, plain);
  whole = reload(made);
  assert_same_results(whole, plain);
  filled_plan = serialize(made);
  refittable_plan = serialize(refittable);
  g_assert_cmpuint(g_bytes_get_size(filled_plan), ==, g_bytes_get_size(refittable_plan));
}

static void
test_errors(void)
{
  g_autoptr(InferEngine) plain = build_small(1, FALSE, FALSE);
  g_autoptr(InferEngine) engine = build_small(1, TRUE, FALSE);
  g_autoptr(InferRefit) refit = refit_new(engine);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) wrong_type = infer_array_new_int64s((gint64[]){1, 2}, 2);
  g_autoptr(InferArray) wrong_dims = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(7, 7), &error);
  g_autoptr(InferNetwork) network = infer_network_new();
  const char *name = infer_refit_get_names(refit)[0];
  const char *last = infer_refit_get_names(refit)[1];
  InferArray *have = infer_refit_get_weights(refit, name);

  g_assert_null(infer_refit_new(plain, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);
  g_assert_false(infer_refit_set_weights(refit, "nothing", wrong_dims, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_false(infer_refit_set_weights(refit, name, wrong_dims, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_assert_nonnull(strstr(error->message, "7x7"));
  g_clear_error(&error);
  g_assert_false(infer_refit_set_weights(refit, name, wrong_type, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_clear_error(&error);
  g_assert_false(infer_refit_get_prototype(refit, "image", NULL, NULL));

  /* The first fits, the second does not: neither is taken. */
  infer_network_add_constant(network, name, have);
  infer_network_add_constant(network, last, wrong_dims);
  g_assert_cmpint(infer_refit_set_from_network(refit, network, &error), ==, -1);
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_assert_true(infer_refit_get_weights(refit, name) == have);
}

/* y = relu(x * factor + 1) where factors of one are no work. */
static InferNetwork *
scale_network(float factor)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) factors = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(8), &error);
  g_autoptr(InferArray) one = infer_array_new_float(1);
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(3, 8), NULL, &error);
  InferTensor *y;

  for (guint i = 0; i < 8; i++)
    ((float *)factors->data)[i] = factor;
  y = infer_network_add_node(
          network, "Mul", "scale",
          (InferTensor *[]){x, infer_network_add_constant(network, "factors", factors)}, 2, NULL, 1,
          &error)
          ->outputs[0];
  y = infer_network_add_node(network, "Tanh", "tanh", &y, 1, NULL, 1, &error)->outputs[0];
  y = infer_network_add_node(network, "Add", "sum",
                             (InferTensor *[]){y, infer_network_add_constant(network, "one", one)},
                             2, NULL, 1, &error)
          ->outputs[0];
  infer_network_mark_output(network, y, "y", &error);
  g_assert_no_error(error);
  return network;
}

/* Weights that take a step away, and others that bring it back. */
static void
test_other_steps(void)
{
  const float factors[] = {1, 3};

  for (guint i = 0; i < 2; i++) {
    g_autoptr(InferNetwork) from = scale_network(factors[i]);
    g_autoptr(InferNetwork) to = scale_network(factors[1 - i]);
    g_autoptr(InferEngine) engine = build(from, TRUE, FALSE);
    g_autoptr(InferEngine) wanted = build(to, FALSE, FALSE);
    g_autoptr(InferRefit) refit = refit_new(engine);
    g_autoptr(InferEngine) made = NULL;
    g_autoptr(GByteArray) a = NULL;
    g_autoptr(GByteArray) b = NULL;
    g_autofree char *notes = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(infer_refit_set_from_network(refit, to, &error), ==, 2);
    made = commit(refit);
    a = detect(made, 1);
    b = detect(wanted, 1);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    notes = g_strjoinv("\n", (char **)infer_engine_get_notes(made));
    g_assert_nonnull(strstr(notes, "not tuned"));
  }
}

static void
on_device(gconstpointer data)
{
  device = data;
  test_all();
  test_same();
  test_stripped();
  test_other_steps();
  device = "cpu";
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/refit/all", test_all);
  g_test_add_func("/refit/one", test_one);
  g_test_add_func("/refit/same", test_same);
  g_test_add_func("/refit/stripped", test_stripped);
  g_test_add_func("/refit/errors", test_errors);
  g_test_add_func("/refit/other-steps", test_other_steps);
  g_test_add_data_func("/refit/memory-apart", "null", on_device);
  return g_test_run();
}
