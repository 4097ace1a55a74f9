/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/infer.h>

#include <glib/gstdio.h>
#include <string.h>
#include <xxhash.h>

#include "plan.h"
#include "small-net.h"

static const char *device = "cpu";

static InferEngine *
build(guint max_batch)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferEngine *engine;

  infer_builder_set_device(builder, device);
  infer_builder_set_threads(builder, 2);
  infer_builder_set_max_batch(builder, max_batch);
  engine = infer_builder_build(builder, network, "a test", NULL, &error);
  g_assert_no_error(error);
  return engine;
}

/* The bytes of all outputs of a run on pseudo-random images. */
static GBytes *
run(InferEngine *engine, guint batch)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_autoptr(GRand) random = g_rand_new_with_seed(9);
  GByteArray *all = g_byte_array_new();
  gsize size;
  float *image;

  g_assert_no_error(error);
  infer_context_set_batch(context, batch, &error);
  g_assert_no_error(error);
  image = infer_context_map(context, "image", &size, &error);
  g_assert_no_error(error);
  for (gsize i = 0; i < size / sizeof(float); i++)
    image[i] = (float)g_rand_double_range(random, -1, 1);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (!binding->is_input) {
      const guint8 *data = infer_context_map(context, binding->name, &size, &error);
      g_byte_array_append(all, data, (guint)size);
    }
  }
  return g_byte_array_free_to_bytes(all);
}

static void
test_round_trip(void)
{
  g_autoptr(InferEngine) engine = build(4);
  g_autoptr(GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp("infer-plan-XXXXXX", &error);
  g_autofree char *path = g_build_filename(dir, "small.plan", NULL);
  const InferLoadFlags flags[] = {INFER_LOAD_MAP, INFER_LOAD_READ};

  g_assert_true(infer_engine_save(engine, path, &error));
  g_assert_no_error(error);
  g_assert_true(infer_engine_check_file(path, "cpu", &error));
  for (guint i = 0; i < G_N_ELEMENTS(flags); i++) {
    g_autoptr(InferEngine) loaded = infer_engine_new_from_file(path, device, 2, flags[i], &error);
    g_autofree char *before = infer_engine_inspect(engine);
    g_autofree char *after = NULL;
    g_autoptr(GBytes) first = infer_engine_serialize(engine, &error);
    g_autoptr(GBytes) again = NULL;

    g_assert_no_error(error);
    again = infer_engine_serialize(loaded, &error);
    g_assert_true(g_bytes_equal(first, again));
    after = infer_engine_inspect(loaded);
    g_assert_cmpstr(before, ==, after);
    g_assert_cmpuint(infer_engine_get_max_batch(loaded), ==, 4);
    g_assert_cmpuint(infer_engine_get_run_time(loaded, 4), >, 0);
    g_assert_cmpstr(infer_model_info_get_input(infer_engine_get_model_info(loaded)), ==, "image");
    for (guint batch = 1; batch <= 4; batch++) {
      g_autoptr(GBytes) want = run(engine, batch);
      g_autoptr(GBytes) have = run(loaded, batch);
      g_assert_true(g_bytes_equal(want, have));
    }
  }
  g_unlink(path);
  g_rmdir(dir);
}

/* Row i of a batch is bit for bit what the row alone gives, however full the batch is. */
static void
test_batch_invariance(void)
{
  g_autoptr(InferEngine) engine = build(12);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_autoptr(GRand) random = g_rand_new_with_seed(4);
  gsize row;
  g_autofree float *images = NULL;
  g_autofree float *alone = g_new(float, 12 * 20 * 4);

  g_assert_true(infer_context_set_batch(context, 1, &error));
  infer_context_map(context, "image", &row, &error);
  images = g_malloc(12 * row);
  for (gsize i = 0; i < 12 * row / sizeof(float); i++)
    images[i] = (float)g_rand_double_range(random, -1, 1);
  for (guint i = 0; i < 12; i++) {
    memcpy(infer_context_map(context, "image", NULL, &error), (guint8 *)images + i * row, row);
    g_assert_true(infer_context_run(context, &error));
    memcpy(alone + i * 80, infer_context_map(context, "boxes", NULL, &error), 320);
  }
  for (guint batch = 2; batch <= 12; batch++) {
    gsize size;
    g_assert_true(infer_context_set_batch(context, batch, &error));
    memcpy(infer_context_map(context, "image", NULL, &error), images, batch * row);
    g_assert_true(infer_context_run(context, &error));
    {
      gconstpointer boxes = infer_context_map(context, "boxes", &size, &error);
      g_assert_cmpmem(boxes, size, alone, batch * 320);
    }
  }
}

static void
test_scalars(void)
{
  g_autoptr(InferEngine) engine = build(1);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  float some, none;

  g_assert_true(infer_context_set_batch(context, 1, &error));
  g_assert_true(infer_context_set_scalar(context, "score_threshold", 0));
  g_assert_true(infer_context_run(context, &error));
  some = *(float *)infer_context_map(context, "count", NULL, &error);
  g_assert_true(infer_context_set_scalar(context, "score_threshold", 1.5));
  g_assert_true(infer_context_run(context, &error));
  none = *(float *)infer_context_map(context, "count", NULL, &error);
  g_assert_cmpfloat(some, >, 0);
  g_assert_cmpfloat(none, ==, 0);
  g_assert_false(infer_context_set_scalar(context, "image", 1));
  g_assert_false(infer_context_set_scalar(context, "absent", 1));
}

static void
test_states(void)
{
  g_autoptr(InferEngine) engine = build(2);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);

  g_assert_false(infer_context_enqueue(context, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);
  g_assert_false(infer_context_set_batch(context, 3, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_true(infer_context_set_batch(context, 1, &error));
  g_assert_null(infer_context_map(context, "absent", NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  /* Preparing more moves memory, not what is current. */
  g_assert_true(infer_context_prepare(context, 2, &error));
  g_assert_cmpuint(infer_context_get_batch(context), ==, 1);
  g_assert_true(infer_context_run(context, &error));
}

static void
assert_refused(GBytes *bytes, gint code, const char *part, const char *wanted_device)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine =
      infer_engine_new_from_bytes(bytes, "bad.plan", wanted_device, 2, &error);

  g_assert_null(engine);
  g_assert_error(error, INFER_ERROR, code);
  g_assert_nonnull(strstr(error->message, part));
}

static void
test_refused(void)
{
  g_autoptr(InferEngine) engine = build(1);
  g_autoptr(GBytes) plan = infer_engine_serialize(engine, NULL);
  gsize size;
  g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(plan, &size), g_bytes_get_size(plan));
  g_autoptr(GBytes) short_plan = g_bytes_new(copy, size - 100);
  g_autoptr(GBytes) tiny = g_bytes_new(copy, 10);
  g_autoptr(GBytes) other = NULL;

  assert_refused(short_plan, INFER_ERROR_PLAN, "bad.plan", device);
  assert_refused(tiny, INFER_ERROR_PLAN, "not a plan", device);
  assert_refused(plan, INFER_ERROR_VERSION, "'cuda:0'", "cuda:0");
  ((InferPlanHeader *)copy)->format = 77;
  other = g_bytes_new(copy, size);
  assert_refused(other, INFER_ERROR_VERSION, "format 77", device);
}

/* A plan whose checksums were made to fit, as one who means harm would do. */
static GBytes *
corrupt(GBytes *plan, GRand *random, gboolean fix_hashes)
{
  gsize size;
  guint8 *copy = g_memdup2(g_bytes_get_data(plan, &size), g_bytes_get_size(plan));
  InferPlanHeader *header = (InferPlanHeader *)copy;
  guint n = (guint)g_rand_int_range(random, 1, 6);

  size = g_bytes_get_size(plan);
  for (guint i = 0; i < n; i++) {
    gsize limit = fix_hashes ? sizeof *header + header->table_size : size;
    gsize at = (gsize)g_rand_double_range(random, fix_hashes ? sizeof *header : 0, (double)limit);
    copy[at] = g_rand_boolean(random) ? (guint8)g_rand_int_range(random, 0, 256)
                                      : copy[at] ^ (guint8)(1 << g_rand_int_range(random, 0, 8));
  }
  if (fix_hashes)
    header->table_hash = XXH3_64bits(copy + sizeof *header, header->table_size);
  return g_bytes_new_take(copy, size);
}

/* Every one is refused, or loads and then runs or says why not. */
static void
test_corrupted(gconstpointer fix_hashes)
{
  g_autoptr(InferEngine) engine = build(1);
  g_autoptr(GBytes) plan = infer_engine_serialize(engine, NULL);
  g_autoptr(GRand) random = g_rand_new_with_seed(11);
  guint refused = 0;

  for (guint i = 0; i < 400; i++) {
    g_autoptr(GBytes) bad = corrupt(plan, random, fix_hashes != NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(InferEngine) loaded =
        g_bytes_equal(bad, plan) ? NULL
                                 : infer_engine_new_from_bytes(bad, "bad.plan", device, 2, &error);
    if (!loaded) {
      refused++;
      continue;
    }
    g_assert_nonnull(fix_hashes);
    {
      g_autoptr(InferContext) context = infer_context_new(loaded, &error);
      if (context && infer_context_set_batch(context, 1, &error))
        infer_context_run(context, &error);
    }
  }
  g_test_message("%u of 400 refused when loaded", refused);
  if (!fix_hashes)
    g_assert_cmpuint(refused, ==, 400);
}

static void
test_weights_are_mapped(void)
{
  g_autoptr(InferEngine) engine = build(1);
  g_autoptr(GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp("infer-plan-XXXXXX", &error);
  g_autofree char *path = g_build_filename(dir, "small.plan", NULL);
  g_autofree char *maps = NULL;
  g_autoptr(InferEngine) loaded = NULL;
  gboolean inside = FALSE;

  g_assert_true(infer_engine_save(engine, path, &error));
  loaded = infer_engine_new_from_file(path, device, 2, INFER_LOAD_MAP, &error);
  g_assert_no_error(error);
  g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
  {
    g_auto(GStrv) lines = g_strsplit(maps, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
      guint64 from, to;
      gsize checked = 0;
      if (!strstr(lines[i], path) ||
          sscanf(lines[i], "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x", &from, &to) != 2)
        continue;
      inside = TRUE;
      for (guint k = 0; k < infer_network_get_n_nodes(loaded->program->network); k++) {
        const InferNode *node = infer_network_get_node(loaded->program->network, k);
        for (guint j = 0; j < node->n_inputs; j++) {
          if (!node->inputs[j] || !node->inputs[j]->value)
            continue;
          g_assert_cmpuint((guint64)(gsize)node->inputs[j]->value->data, >=, from);
          g_assert_cmpuint((guint64)(gsize)node->inputs[j]->value->data, <, to);
          checked++;
        }
      }
      for (guint k = 0; k < loaded->packs->entries->len; k++) {
        const InferPack *pack = loaded->packs->entries->pdata[k];
        gsize at = (gsize)g_bytes_get_data(pack->data, NULL);
        g_assert_cmpuint((guint64)at, >=, from);
        g_assert_cmpuint((guint64)at, <, to);
      }
      g_assert_cmpuint(checked, >, 10);
    }
  }
  g_assert_true(inside);
  g_unlink(path);
  g_rmdir(dir);
}

/* Times that were measured once make the next build decide, and write, the same. */
static void
test_timing_cache(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp("infer-timing-XXXXXX", &error);
  g_autofree char *path = g_build_filename(dir, "sub", "timing.cache", NULL);
  g_autofree char *lock = g_strconcat(path, ".lock", NULL);
  g_autofree char *folder = g_path_get_dirname(path);
  GBytes *plans[4];

  for (guint i = 0; i < 4; i++) {
    g_autoptr(InferNetwork) network = small_net_new(1);
    g_autoptr(InferBuilder) builder = infer_builder_new();
    g_autoptr(InferEngine) engine = NULL;

    if (i == 2) /* what cannot be read is measured again */
      g_assert_true(g_file_set_contents(path, "damaged", -1, &error));
    infer_builder_set_device(builder, device);
    infer_builder_set_threads(builder, 2);
    infer_builder_set_max_batch(builder, 4);
    infer_builder_set_timing_cache(builder, path);
    engine = infer_builder_build(builder, network, "a test", NULL, &error);
    g_assert_no_error(error);
    plans[i] = infer_engine_serialize(engine, &error);
    g_assert_no_error(error);
  }
  g_assert_true(g_bytes_equal(plans[0], plans[1]));
  g_assert_true(g_bytes_equal(plans[2], plans[3]));
  for (guint i = 0; i < 4; i++)
    g_bytes_unref(plans[i]);
  g_unlink(path);
  g_unlink(lock);
  g_rmdir(folder);
  g_rmdir(dir);
}

static void
test_cancel(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  g_autoptr(GError) error = NULL;

  infer_builder_set_device(builder, device);
  g_cancellable_cancel(cancellable);
  g_assert_null(infer_builder_build(builder, network, NULL, cancellable, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* Weights of more than 4 GiB need offsets of more than 32 bits. */
static void
test_large(void)
{
  const InferDims dims = INFER_DIMS(1100000, 1000);
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *dir = NULL;
  g_autofree char *path = NULL;
  InferTensor *x, *table;

  if (!g_test_slow()) {
    g_test_skip("it needs 10 GB of memory and 5 GB of disk; -m slow runs it");
    return;
  }
  {
    g_autoptr(InferArray) rows = infer_array_new(INFER_TYPE_FLOAT, &dims, &error);
    g_assert_no_error(error);
    infer_array_set_double(rows, (gsize)(dims.d[0] * dims.d[1] - 1), 42);
    table = infer_network_add_constant(network, "table", rows);
  }
  dir = g_dir_make_tmp("infer-plan-XXXXXX", &error);
  path = g_build_filename(dir, "large.plan", NULL);
  x = infer_network_add_input(network, "row", INFER_TYPE_INT64, &INFER_DIMS(1), NULL, &error);
  x = infer_network_add_gather(network, table, x, INFER_GATHER_MODE_DEFAULT, 0, 0, "look", &error);
  infer_network_mark_output(network, x, "found", &error);
  g_assert_no_error(error);
  infer_builder_set_device(builder, "cpu");
  infer_builder_set_verify(builder, FALSE);
  infer_builder_set_optimization_level(builder, 0);
  {
    g_autoptr(InferEngine) engine = infer_builder_build(builder, network, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(infer_engine_save(engine, path, &error));
    g_assert_no_error(error);
  }
  {
    g_autoptr(InferEngine) engine =
        infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error);
    g_autoptr(InferContext) context = engine ? infer_context_new(engine, &error) : NULL;

    g_assert_no_error(error);
    infer_context_set_batch(context, 1, &error);
    *(gint64 *)infer_context_map(context, "row", NULL, &error) = dims.d[0] - 1;
    g_assert_true(infer_context_run(context, &error));
    g_assert_true(((float *)infer_context_map(context, "found", NULL, &error))[999] == 42);
  }
  g_unlink(path);
  g_rmdir(dir);
}

static void
test_devices(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  const char *const names[] = {"cuda:9", "tpu", "cpu:1", "cuda:x", "../../tmp/x"};

  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(InferBuilder) builder = infer_builder_new();
    g_autoptr(GError) error = NULL;
    infer_builder_set_device(builder, names[i]);
    g_assert_null(infer_builder_build(builder, network, NULL, NULL, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, i == 0 ? "cuda" : names[i]));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/plan/round-trip", test_round_trip);
  g_test_add_func("/plan/batch-invariance", test_batch_invariance);
  g_test_add_func("/plan/scalars", test_scalars);
  g_test_add_func("/plan/states", test_states);
  g_test_add_func("/plan/refused", test_refused);
  g_test_add_data_func("/plan/corrupted", NULL, test_corrupted);
  g_test_add_data_func("/plan/corrupted-with-checksums", "yes", test_corrupted);
  g_test_add_func("/plan/weights-are-mapped", test_weights_are_mapped);
  g_test_add_func("/plan/timing-cache", test_timing_cache);
  g_test_add_func("/plan/cancel", test_cancel);
  g_test_add_func("/plan/devices", test_devices);
  g_test_add_func("/plan/large", test_large);
  return g_test_run();
}
