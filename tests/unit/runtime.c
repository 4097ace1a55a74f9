/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a context lets its user see and give: debug tensors, profiles, and memory. */
#include <infer/infer.h>

#include <stdlib.h>
#include <string.h>

#include "small-net.h"

/* The null device's memory is apart from the host's. */
static const char *device = "cpu";

static const char *const outputs[] = {"boxes", "scores", "classes", "count"};

static InferEngine *
build(InferNetwork *network)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferEngine *engine;

  infer_builder_set_device(builder, device);
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, 16);
  infer_builder_set_timing_cache(builder, "");
  infer_builder_set_optimization_level(builder, 0);
  engine = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  return engine;
}

static InferEngine *
build_small(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);

  return build(network);
}

static void
fill(InferContext *context, guint32 seed)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);
  gsize size;
  float *image = infer_context_map(context, "image", &size, &error);

  g_assert_no_error(error);
  for (gsize i = 0; i < size / sizeof(float); i++)
    image[i] = (float)g_rand_double_range(random, -1, 1);
}

/* All outputs of a run, one after the other. */
static GByteArray *
collect(InferContext *context)
{
  g_autoptr(GError) error = NULL;
  GByteArray *all = g_byte_array_new();

  for (guint i = 0; i < G_N_ELEMENTS(outputs); i++) {
    gsize size;
    gconstpointer data = infer_context_map(context, outputs[i], &size, &error);
    g_assert_no_error(error);
    g_byte_array_append(all, data, (guint)size);
  }
  return all;
}

static GByteArray *
detect(InferContext *context, guint32 seed, guint batch)
{
  g_autoptr(GError) error = NULL;

  infer_context_set_batch(context, batch, &error);
  g_assert_no_error(error);
  fill(context, seed);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  return collect(context);
}

static void
assert_same(GByteArray *a, GByteArray *b)
{
  g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

/* --- debug tensors --- */

typedef struct {
  GPtrArray *names;
  GPtrArray *values;
} Heard;

static void
listen(InferContext *context, const char *name, InferArray *value, gpointer user_data)
{
  Heard *heard = user_data;

  g_assert_true(INFER_IS_CONTEXT(context));
  g_ptr_array_add(heard->names, g_strdup(name));
  g_ptr_array_add(heard->values, infer_array_ref(value));
}

static Heard
heard_new(void)
{
  return (Heard){g_ptr_array_new_with_free_func(g_free),
                 g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref)};
}

static void
heard_clear(Heard *heard)
{
  g_ptr_array_unref(heard->names);
  g_ptr_array_unref(heard->values);
}

static void
mark(InferNetwork *network, const char *name)
{
  g_autoptr(GError) error = NULL;

  infer_network_mark_debug(network, infer_network_find_tensor(network, name), &error);
  g_assert_no_error(error);
}

/* What the tensors are, from an engine that has them as outputs. */
static GByteArray *
expect_tensor(const char *name, guint batch, InferDims *dims)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GByteArray) ignored = NULL;
  GByteArray *bytes = g_byte_array_new();
  gconstpointer data;
  gsize size;

  infer_network_mark_output(network, infer_network_find_tensor(network, name), NULL, &error);
  g_assert_no_error(error);
  engine = build(network);
  context = infer_context_new(engine, &error);
  ignored = detect(context, 5, batch);
  data = infer_context_map(context, name, &size, &error);
  infer_context_get_dims(context, name, dims, &error);
  g_assert_no_error(error);
  return g_byte_array_append(bytes, data, (guint)size);
}

static void
check_heard(InferEngine *engine, guint batch)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_autoptr(GByteArray) run = NULL;
  Heard heard = heard_new();

  g_assert_no_error(error);
  infer_context_set_debug_listener(context, listen, &heard, NULL);
  run = detect(context, 5, batch);
  g_assert_cmpuint(heard.names->len, ==, 2);
  g_assert_true(
      g_ptr_array_find_with_equal_func(heard.names, "block/expand/norm", g_str_equal, NULL));
  g_assert_true(g_ptr_array_find_with_equal_func(heard.names, "sigmoid", g_str_equal, NULL));
  for (guint i = 0; i < 2; i++) {
    const InferArray *value = heard.values->pdata[i];
    InferDims dims;
    g_autoptr(GByteArray) wanted = expect_tensor(heard.names->pdata[i], batch, &dims);

    g_assert_true(infer_dims_equal(&value->dims, &dims));
    g_assert_cmpint(dims.d[0], ==, batch);
    g_assert_cmpint(value->type, ==, INFER_TYPE_FLOAT);
    g_assert_cmpmem(value->data, value->size, wanted->data, wanted->len);
  }
  heard_clear(&heard);
}

static void
test_debug(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferEngine) loaded = NULL;
  g_autoptr(GBytes) plan = NULL;
  g_autoptr(GError) error = NULL;

  mark(network, "block/expand/norm");
  mark(network, "sigmoid");
  engine = build(network);
  g_assert_cmpuint(infer_engine_get_n_bindings(engine), ==, 7);
  g_assert_null(infer_engine_find_binding(engine, "sigmoid"));
  g_assert_true(g_strv_contains(infer_engine_get_debug_names(engine), "block/expand/norm"));
  check_heard(engine, 1);
  check_heard(engine, 9); /* prepared for 12 */

  plan = infer_engine_serialize(engine, &error);
  g_assert_no_error(error);
  loaded = infer_engine_new_from_bytes(plan, NULL, device, 1, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(infer_engine_get_n_bindings(loaded), ==, 7);
  check_heard(loaded, 2);
}

static void
test_debug_state(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;
  Heard heard = heard_new();

  mark(network, "block/expand/norm");
  mark(network, "sigmoid");
  mark(network, "block/add");
  infer_network_unmark_debug(network, infer_network_find_tensor(network, "block/add"));
  engine = build(network);
  context = infer_context_new(engine, &error);
  infer_context_set_debug_listener(context, listen, &heard, NULL);
  g_assert_true(infer_context_set_debug_state(context, "sigmoid", FALSE, &error));
  g_byte_array_unref(detect(context, 1, 1));
  g_assert_cmpuint(heard.names->len, ==, 1);
  g_assert_true(infer_context_set_debug_state(context, NULL, FALSE, &error));
  g_byte_array_unref(detect(context, 1, 1));
  g_assert_cmpuint(heard.names->len, ==, 1);
  g_assert_true(infer_context_set_debug_state(context, NULL, TRUE, &error));
  g_byte_array_unref(detect(context, 1, 1));
  g_assert_cmpuint(heard.names->len, ==, 3);
  infer_context_set_debug_listener(context, NULL, NULL, NULL);
  g_byte_array_unref(detect(context, 1, 1));
  g_assert_cmpuint(heard.names->len, ==, 3);

  g_assert_false(infer_context_set_debug_state(context, "block/add", TRUE, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_assert_nonnull(strstr(error->message, "'block/add'"));
  g_clear_error(&error);
  g_assert_false(
      infer_network_mark_debug(network, infer_network_find_tensor(network, "image"), &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  heard_clear(&heard);
}

/* A tensor whose size depends on data, behind the planned steps. */
static void
test_debug_tail(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;
  Heard heard = heard_new();
  InferTensor *x =
      infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(4), NULL, &error);
  InferNode *where = infer_network_add_node(network, "NonZero", "where", &x, 1, NULL, 1, &error);
  InferNode *cast = infer_network_add_node(network, "Cast", "cast", where->outputs, 1,
                                           infer_attrs_new("to", 'i', (gint64)1, NULL), 1, &error);

  g_assert_no_error(error);
  infer_network_mark_output(network, cast->outputs[0], "y", &error);
  mark(network, "where");
  engine = build(network);
  context = infer_context_new(engine, &error);
  infer_context_set_batch(context, 1, &error);
  infer_context_set_debug_listener(context, listen, &heard, NULL);
  memcpy(infer_context_map(context, "x", NULL, &error), (float[]){0, 2, 0, 3}, 16);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(heard.names->len, ==, 1);
  g_assert_cmpint(infer_array_count(heard.values->pdata[0]), ==, 2);
  g_assert_cmpint(infer_array_get_int(heard.values->pdata[0], 0), ==, 1);
  g_assert_cmpint(infer_array_get_int(heard.values->pdata[0], 1), ==, 3);
  heard_clear(&heard);
}

/* --- profiler --- */

typedef struct {
  GPtrArray *names;
  guint64 total;
  GThread *thread;
} Profile;

static void
profile(InferContext *context, const char *name, guint64 nanoseconds, gpointer user_data)
{
  Profile *self = user_data;

  g_assert_true(INFER_IS_CONTEXT(context));
  g_ptr_array_add(self->names, (gpointer)name);
  self->total += nanoseconds;
  self->thread = g_thread_self();
}

static void
test_profiler(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  Profile self = {.names = names};
  InferStepTime time;
  guint steps = 0;

  infer_context_set_profiler(context, profile, &self, NULL);
  infer_context_synchronize(context, &error);
  g_assert_cmpuint(names->len, ==, 0);
  g_byte_array_unref(detect(context, 1, 2));
  for (; infer_context_get_step_time(context, steps, &time); steps++)
    g_assert_cmpstr(names->pdata[steps], ==, time.name);
  g_assert_cmpuint(names->len, ==, steps);
  if (g_str_equal(device, "cpu")) /* the null device has no clock */
    g_assert_cmpuint(self.total, >, 0);
  g_assert_true(self.thread == g_thread_self());
  infer_context_synchronize(context, &error);
  g_assert_cmpuint(names->len, ==, steps); /* nothing ran in between */
  g_byte_array_unref(detect(context, 1, 2));
  g_assert_cmpuint(names->len, ==, 2 * steps);
  infer_context_set_profiler(context, NULL, NULL, NULL);
  g_byte_array_unref(detect(context, 1, 2));
  g_assert_cmpuint(names->len, ==, 2 * steps);
}

/* --- memory --- */

typedef struct {
  guint alive;
  gsize bytes;
  gboolean fail, askew;
  gboolean destroyed;
} Pool;

static gpointer
pool_alloc(gsize size, gsize alignment, gpointer user_data)
{
  Pool *pool = user_data;
  guint8 *memory;

  if (pool->fail)
    return NULL;
  pool->alive++;
  pool->bytes += size;
  memory = aligned_alloc(alignment, (size + 2 * alignment) / alignment * alignment);
  /* Who reads what nobody wrote shows. */
  memset(memory, 0xff, size);
  return pool->askew ? memory + 4 : memory;
}

static void
pool_free(gpointer memory, gsize size, gpointer user_data)
{
  Pool *pool = user_data;

  pool->alive--;
  pool->bytes -= size;
  free(pool->askew ? (guint8 *)memory - 4 : memory);
}

static void
pool_destroy(gpointer user_data)
{
  ((Pool *)user_data)->destroyed = TRUE;
}

static void
test_allocator(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(GError) error = NULL;
  InferContext *context = infer_context_new(engine, &error);
  g_autoptr(InferContext) plain = infer_context_new(engine, &error);
  g_autoptr(GByteArray) mine = NULL;
  g_autoptr(GByteArray) theirs = NULL;
  Pool pool = {0};

  g_assert_true(
      infer_context_set_allocator(context, pool_alloc, pool_free, &pool, pool_destroy, &error));
  g_byte_array_unref(detect(context, 3, 1));
  g_assert_cmpuint(pool.alive, ==, 2);
  mine = detect(context, 3, 8);
  theirs = detect(plain, 3, 8);
  assert_same(mine, theirs);
  g_assert_cmpuint(pool.bytes, >=, infer_context_get_memory_size(context, NULL));
  g_assert_false(
      infer_context_set_allocator(context, pool_alloc, pool_free, &pool, pool_destroy, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_assert_false(pool.destroyed);
  g_object_unref(context);
  g_assert_cmpuint(pool.alive, ==, 0);
  g_assert_cmpuint(pool.bytes, ==, 0);
  g_assert_true(pool.destroyed);
}

static void
test_allocator_fails(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(GError) error = NULL;
  Pool pool = {0};

  for (guint i = 0; i < 2; i++) {
    g_autoptr(InferContext) context = infer_context_new(engine, &error);

    pool = (Pool){.fail = i == 0, .askew = i == 1};
    infer_context_set_allocator(context, pool_alloc, pool_free, &pool, NULL, &error);
    g_assert_no_error(error);
    g_assert_false(infer_context_set_batch(context, 1, &error));
    g_assert_error(error, INFER_ERROR, INFER_ERROR_MEMORY);
    g_clear_error(&error);
    g_assert_cmpuint(pool.alive, ==, 0);
    pool = (Pool){0};
    g_byte_array_unref(detect(context, 1, 1)); /* goes on when there is memory */
  }
}

static void
test_sharing(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(InferNetwork) other_network = small_net_new(2);
  g_autoptr(InferEngine) other_engine = build(other_network);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) alone = infer_context_new(engine, &error);
  g_autoptr(InferContext) other_alone = infer_context_new(other_engine, &error);
  InferContext *first = infer_context_new(engine, &error);
  g_autoptr(InferContext) second = infer_context_new_sharing(engine, first, &error);
  g_autoptr(InferContext) third = infer_context_new_sharing(other_engine, second, &error);

  g_assert_no_error(error);
  infer_context_set_scalar(first, "score_threshold", 0.4);
  infer_context_set_scalar(alone, "score_threshold", 0.4);
  for (guint i = 0; i < 6; i++) {
    guint batch = 1 + 3 * (i % 3);
    g_autoptr(GByteArray) a = detect(first, i, batch);
    g_autoptr(GByteArray) b = NULL;
    g_autoptr(GByteArray) c = NULL;
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GByteArray) wanted = detect(alone, i, batch);
    g_autoptr(GByteArray) other = detect(other_alone, i + 50, 5 - i % 3);

    assert_same(a, wanted);
    /* The inputs stay while others run, and the outputs as well. */
    fill(first, 100 + i);
    b = detect(second, i, batch + 2);
    c = detect(third, i + 50, 5 - i % 3);
    assert_same(c, other);
    g_assert_cmpuint(b->len, >, a->len);
    again = collect(first);
    assert_same(again, a);
    infer_context_run(first, &error);
    g_assert_no_error(error);
    g_byte_array_set_size(again, 0);
    g_byte_array_unref(g_steal_pointer(&again));
    again = collect(first);
    g_byte_array_unref(g_steal_pointer(&wanted));
    wanted = detect(alone, 100 + i, batch);
    assert_same(again, wanted);
  }
  /* The memory lives on with those that are left. */
  g_object_unref(first);
  g_byte_array_unref(detect(second, 1, 2));
}

static void
test_sharing_at_once(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) first = infer_context_new(engine, &error);
  g_autoptr(InferContext) second = infer_context_new_sharing(engine, first, &error);

  g_byte_array_unref(detect(second, 1, 2));
  infer_context_set_batch(first, 1, &error);
  fill(first, 1);
  infer_context_enqueue(first, &error);
  g_assert_no_error(error);
  g_assert_false(infer_context_enqueue(second, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);
  g_assert_false(infer_context_set_batch(second, 16, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);
  infer_context_synchronize(first, &error);
  g_assert_no_error(error);
  g_byte_array_unref(detect(second, 1, 16));
}

static void
test_devices_differ(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(GBytes) plan = infer_engine_serialize(engine, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) threaded = infer_engine_new_from_bytes(plan, NULL, "cpu", 2, &error);
  g_autoptr(InferContext) first = infer_context_new(engine, NULL);

  g_assert_no_error(error);
  g_assert_null(infer_context_new_sharing(threaded, first, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
}

static void
test_given_memory(void)
{
  g_autoptr(InferEngine) engine = build_small();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) alone = infer_context_new(engine, &error);
  g_autoptr(InferContext) first = infer_context_new(engine, &error);
  g_autoptr(InferContext) second = infer_context_new(engine, &error);
  g_autoptr(GByteArray) wanted = detect(alone, 3, 4);
  g_autoptr(GByteArray) a = NULL;
  g_autoptr(GByteArray) b = NULL;
  guint8 *memory;
  gsize size;

  g_assert_true(infer_context_set_memory(first, NULL, 0, &error));
  g_assert_cmpuint(infer_context_get_arena_size(first), ==, 0);
  infer_context_set_batch(first, 4, &error);
  g_assert_no_error(error);
  size = infer_context_get_arena_size(first);
  g_assert_cmpuint(size, >, 0);
  g_assert_false(infer_context_run(first, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);

  memory = aligned_alloc(256, (size + 64 + 255) / 256 * 256);
  memset(memory, 0xff, size + 64);
  g_assert_false(infer_context_set_memory(first, memory, size - 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_false(infer_context_set_memory(first, memory + 4, size, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_true(infer_context_set_memory(first, memory, size, &error));
  g_assert_true(infer_context_set_memory(second, memory, size, &error));
  a = detect(first, 3, 4);
  b = detect(second, 3, 4);
  assert_same(a, wanted);
  assert_same(b, wanted);
  for (guint i = 0; i < 64; i++)
    g_assert_cmpuint(memory[size + i], ==, 0xff);
  g_assert_true(infer_context_set_batch(first, 16, &error)); /* the memory may follow */
  g_assert_false(infer_context_run(first, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);
  g_clear_object(&first);
  g_clear_object(&second);
  free(memory);
}

static void
test_binding(void)
{
  InferEngine *engine = build_small();
  InferBinding *copy =
      g_boxed_copy(infer_binding_get_type(), infer_engine_find_binding(engine, "boxes"));

  g_object_unref(engine);
  g_assert_cmpstr(copy->name, ==, "boxes");
  g_assert_false(copy->is_input);
  g_boxed_free(infer_binding_get_type(), copy);
}

static void
on_device(gconstpointer data)
{
  static void (*const tests[])(void) = {test_debug,    test_debug_state, test_debug_tail,
                                        test_profiler, test_sharing,     test_sharing_at_once};

  device = data;
  for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
    tests[i]();
  device = "cpu";
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/runtime/debug", test_debug);
  g_test_add_func("/runtime/debug-state", test_debug_state);
  g_test_add_func("/runtime/debug-tail", test_debug_tail);
  g_test_add_func("/runtime/profiler", test_profiler);
  g_test_add_func("/runtime/allocator", test_allocator);
  g_test_add_func("/runtime/allocator-fails", test_allocator_fails);
  g_test_add_func("/runtime/sharing", test_sharing);
  g_test_add_func("/runtime/sharing-at-once", test_sharing_at_once);
  g_test_add_func("/runtime/devices-differ", test_devices_differ);
  g_test_add_func("/runtime/given-memory", test_given_memory);
  g_test_add_func("/runtime/binding", test_binding);
  g_test_add_data_func("/runtime/memory-apart", "null", on_device);
  return g_test_run();
}
