/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backend.h"

#include <infer/infer.h>
#include <math.h>
#include <string.h>

#include "zoo.h"

/*
 * The CUDA backend as a whole: memory and streams, captures of several threads at once, whole
 * networks against the CPU, plans, contexts on threads, and errors. Without a GPU it ends with 77
 * and says why.
 *
 *   gpu [--device NAME] [GLib's test options]
 */

#define SKIPPED 77
#define THREADS 4
#define RUNS 20

static char *device_name;
static InferDevice *device;

/* --- the device --- */

static void
test_memory(void)
{
  const InferBackend *backend = device->backend;
  g_autoptr(GError) error = NULL;
  gsize size = 100003;
  guint8 *host = backend->alloc_host(device, size, &error);
  guint8 *back = backend->alloc_host(device, size, &error);
  guint8 *memory = backend->alloc(device, size, &error);
  InferStream *stream = backend->stream_new(device, &error);

  g_assert_no_error(error);
  g_assert_true(((gsize)memory & 63) == 0 && ((gsize)host & 63) == 0);
  for (gsize i = 0; i < size; i++)
    host[i] = (guint8)(i * 7);
  g_assert_true(backend->load(device, memory, host, size, &error));
  g_assert_true(backend->fill(stream, memory + 10, 0xab, 100, &error));
  g_assert_true(backend->upload(stream, memory + 5, host, 3, &error));
  g_assert_true(backend->download(stream, back, memory, size, &error));
  g_assert_true(backend->stream_sync(stream, &error));
  g_assert_no_error(error);
  memcpy(host + 5, (guint8[]){0, 7, 14}, 3);
  memset(host + 10, 0xab, 100);
  g_assert_cmpmem(host, size, back, size);
  backend->stream_free(stream);
  backend->free(device, memory);
  backend->free_host(device, host);
  backend->free_host(device, back);
}

static void
test_no_memory(void)
{
  g_autoptr(GError) error = NULL;
  void *memory = device->backend->alloc(device, (gsize)1 << 44, &error);

  g_assert_null(memory);
  g_assert_error(error, INFER_ERROR, INFER_ERROR_MEMORY);
  g_assert_nonnull(strstr(error->message, "17592186044416"));
  /* It is no lasting harm. */
  memory = device->backend->alloc(device, 1 << 20, NULL);
  g_assert_nonnull(memory);
  device->backend->free(device, memory);
}

static void
test_names(void)
{
  static const char *const names[] = {"cuda:255", "cuda:x", "cuda:", "cuda:-1"};

  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(infer_device_open(names[i], 0, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, names[i]));
  }
}

static gboolean
fails(gpointer data, InferStream *stream, GError **error)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "number %d", ++*(int *)data);
  return FALSE;
}

static void
test_errors_wait(void)
{
  const InferBackend *backend = device->backend;
  g_autoptr(GError) error = NULL;
  InferStream *stream = backend->stream_new(device, NULL);
  int count = 0;

  g_assert_true(backend->stream_run(stream, fails, &count, NULL));
  g_assert_true(backend->stream_run(stream, fails, &count, NULL));
  g_assert_false(backend->stream_sync(stream, &error));
  g_assert_cmpstr(error->message, ==, "number 1");
  g_assert_true(backend->stream_sync(stream, NULL));
  backend->stream_free(stream);
}

typedef struct {
  guint8 *memory;
  gboolean ok;
} Capture;

/* One fill, captured while other threads capture, get memory and copy. */
static gboolean
capture(gpointer data, InferStream *stream, GError **error)
{
  const InferBackend *backend = device->backend;
  Capture *self = data;
  gpointer graph;
  void *other;

  if (!backend->capture_begin(stream, error))
    return FALSE;
  self->ok = backend->fill(stream, self->memory, 0x5a, 4096, error);
  other = backend->alloc(device, 1 << 16, NULL);
  g_usleep(200);
  graph = backend->capture_end(stream, error);
  self->ok = self->ok && other && graph && backend->graph_launch(graph, stream, error) &&
             backend->stream_sync(stream, error);
  if (graph)
    backend->graph_free(graph);
  backend->free(device, other);
  return self->ok;
}

static gpointer
capture_thread(gpointer unused)
{
  const InferBackend *backend = device->backend;
  InferStream *stream = backend->stream_new(device, NULL);
  guint8 *memory = backend->alloc(device, 4096, NULL), host[4096];
  gboolean ok = stream && memory;

  for (guint i = 0; ok && i < 50; i++) {
    g_autoptr(GError) error = NULL;
    Capture self = {.memory = memory};
    memset(host, 0, sizeof host);
    ok = backend->load(device, memory, host, sizeof host, &error) &&
         backend->stream_run(stream, capture, &self, &error) &&
         backend->stream_sync(stream, &error) &&
         backend->download(stream, host, memory, sizeof host, &error) &&
         backend->stream_sync(stream, &error) && self.ok;
    for (guint k = 0; ok && k < sizeof host; k++)
      ok = host[k] == 0x5a;
    if (error)
      g_test_message("%s", error->message);
  }
  backend->free(device, memory);
  backend->stream_free(stream);
  return GINT_TO_POINTER(ok);
}

static void
test_captures(void)
{
  GThread *threads[THREADS];

  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new("capture", capture_thread, NULL);
  for (guint i = 0; i < THREADS; i++)
    g_assert_true(GPOINTER_TO_INT(g_thread_join(threads[i])));
}

/* --- networks --- */

static InferEngine *
build(const ZooEntry *entry, const char *name, guint batch)
{
  g_autoptr(InferNetwork) network = entry->create(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferEngine *engine;

  infer_builder_set_device(builder, name);
  infer_builder_set_max_batch(builder, batch);
  infer_builder_set_timing_cache(builder, "");
  infer_builder_set_verify(builder, FALSE);
  infer_builder_set_precisions(builder, 0); /* the bar is that of FP32 */
  engine = infer_builder_build(builder, network, entry->name, NULL, &error);
  g_assert_no_error(error);
  return engine;
}

/* The output for pictures number @seed, @seed + 1 ... */
static GBytes *
run(InferContext *context, guint32 seed, guint batch, GError **error)
{
  gsize size;
  float *input;
  gpointer output;

  if (!infer_context_set_batch(context, batch, error))
    return NULL;
  input = infer_context_map(context, "data", &size, error);
  for (guint row = 0; input && row < batch; row++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(seed + row);
    gsize n = size / sizeof(float) / batch;
    for (gsize i = 0; i < n; i++)
      input[row * n + i] = (float)g_rand_double_range(random, -1, 1);
  }
  if (!input || !infer_context_run(context, error))
    return NULL;
  output = infer_context_map(context, "prob", &size, error);
  return output ? g_bytes_new(output, size) : NULL;
}

static void
assert_close(GBytes *want, GBytes *got, double tolerance)
{
  gsize size, other;
  const float *a = g_bytes_get_data(want, &size), *b = g_bytes_get_data(got, &other);
  double range = 0, worst = 0;

  g_assert_cmpuint(size, ==, other);
  for (gsize i = 0; i < size / sizeof(float); i++) {
    g_assert_false(isnan(b[i]));
    range = MAX(range, fabs((double)a[i]));
    worst = MAX(worst, fabs((double)a[i] - (double)b[i]));
  }
  g_test_message("differs by %g of a range of %g", worst, range);
  g_assert_cmpfloat(worst, <=, tolerance * range);
}

static GBytes *
run_new(InferEngine *engine, guint batch)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  GBytes *result = NULL;

  /* Step by step, captured, and launched. */
  for (guint i = 0; context && i < 3; i++) {
    g_autoptr(GBytes) before = result;
    result = run(context, 5, batch, &error);
    g_assert_no_error(error);
    if (before)
      assert_close(before, result, 1e-5);
  }
  g_assert_no_error(error);
  return result;
}

static void
test_zoo(gconstpointer data)
{
  const ZooEntry *entry = data;
  g_autoptr(InferEngine) cpu = build(entry, "cpu", 2);
  g_autoptr(InferEngine) gpu = build(entry, device_name, 2);
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) plan = infer_engine_serialize(gpu, &error);
  g_autoptr(InferEngine) loaded = NULL;
  g_autoptr(GBytes) want = run_new(cpu, 2);
  g_autoptr(GBytes) got = run_new(gpu, 2);
  g_autoptr(GBytes) again = NULL;

  g_assert_no_error(error);
  assert_close(want, got, 1e-3);
  loaded = infer_engine_new_from_bytes(plan, entry->name, device_name, 0, &error);
  g_assert_no_error(error);
  again = run_new(loaded, 2);
  assert_close(got, again, 1e-5);
}

typedef struct {
  InferEngine *engine;
  GBytes *want;
  guint32 seed;
} Worker;

static gpointer
work(gpointer data)
{
  Worker *self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(self->engine, &error);
  gboolean ok = context != NULL;

  for (guint i = 0; ok && i < RUNS; i++) {
    g_autoptr(GBytes) got = run(context, self->seed, 1, &error);
    ok = got && g_bytes_equal(got, self->want);
  }
  if (error)
    g_test_message("%s", error->message);
  return GINT_TO_POINTER(ok);
}

/* Each of the contexts gets its own pictures, and what comes out is what one alone gives. */
static void
test_threads(void)
{
  const ZooEntry *entry = zoo_entries;
  g_autoptr(InferEngine) engine = NULL;
  Worker workers[THREADS];
  GThread *threads[THREADS];

  while (entry->name && !g_str_equal(entry->name, "squeezenet"))
    entry++;
  engine = build(entry->name ? entry : zoo_entries, device_name, 1);
  for (guint i = 0; i < THREADS; i++) {
    g_autoptr(InferContext) context = infer_context_new(engine, NULL);
    workers[i] = (Worker){engine, NULL, 100 * i};
    workers[i].want = run(context, workers[i].seed, 1, NULL);
    g_assert_nonnull(workers[i].want);
  }
  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new("context", work, &workers[i]);
  for (guint i = 0; i < THREADS; i++) {
    g_assert_true(GPOINTER_TO_INT(g_thread_join(threads[i])));
    g_bytes_unref(workers[i].want);
  }
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  int result;

  g_test_init(&argc, &argv, NULL);
  device_name = g_strdup(argc > 2 && g_str_equal(argv[1], "--device") ? argv[2] : "cuda:0");
  device = infer_device_open(device_name, 0, &error);
  if (!device) {
    g_print("1..0 # SKIP %s\n", error->message);
    return SKIPPED;
  }
  g_print("# %s\n", device->key);
  if (!device->backend->host_memory) {
    g_test_add_func("/gpu/memory", test_memory);
    g_test_add_func("/gpu/no-memory", test_no_memory);
    g_test_add_func("/gpu/names", test_names);
    g_test_add_func("/gpu/errors-wait", test_errors_wait);
    g_test_add_func("/gpu/captures", test_captures);
  }
  for (const ZooEntry *entry = zoo_entries; entry->name; entry++) {
    g_autofree char *path = g_strconcat("/gpu/zoo/", entry->name, NULL);
    g_test_add_data_func(path, entry, test_zoo);
  }
  g_test_add_func("/gpu/threads", test_threads);
  result = g_test_run();
  infer_device_unref(device);
  g_free(device_name);
  return result;
}
