/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "zoo.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * zoo-report [--device NAME] [--threads N] [--runs N] [--batch N] [NAME...]: builds each network,
 * saves and loads its plan, and prints a table: nodes of the definition, steps without and with
 * fusion, memory of a run beside what the tensors would take without sharing, plain and packed
 * weights, what else is resident after a run, build and load time, the latency of one batch, the
 * largest probability, and the largest difference that fusion makes. Nothing is asserted.
 *
 * The plan is loaded, prepared and run once by a process of its own (zoo-report --resident PLAN),
 * whose resident memory less weights and memory of the run is what else there is.
 */

typedef struct {
  const char *device;
  gint threads, runs, batch;
} Options;

/* Steps that run something; views cost nothing. */
static guint
count_steps(InferContext *context)
{
  InferStepTime step;
  guint n = 0;

  for (guint i = 0; infer_context_get_step_time(context, i, &step); i++)
    n += !g_str_equal(step.implementation, "view");
  return n;
}

static double
milliseconds(gint64 since)
{
  return (double)(g_get_monotonic_time() - since) / 1000;
}

static InferEngine *
build(const Options *options, InferNetwork *network, gboolean fusion, double *time, GError **error)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  gint64 start = g_get_monotonic_time();
  InferEngine *engine;

  infer_builder_set_device(builder, options->device);
  infer_builder_set_threads(builder, (guint)options->threads);
  infer_builder_set_verify(builder, FALSE);
  infer_builder_set_fusion(builder, fusion);
  infer_builder_set_max_batch(builder, (guint)options->batch);
  engine = infer_builder_build(builder, network, "zoo", NULL, error);
  *time = milliseconds(start);
  return engine;
}

static InferContext *
prepare(const Options *options, InferEngine *engine, GError **error)
{
  g_autoptr(InferContext) context = infer_context_new(engine, error);

  if (!context || !infer_context_set_batch(context, (guint)options->batch, error))
    return NULL;
  return g_steal_pointer(&context);
}

/* Bytes of this process that lie in memory. */
static gint64
resident(void)
{
  g_autofree char *text = NULL;
  g_auto(GStrv) fields = NULL;

  if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
    return 0;
  fields = g_strsplit(text, " ", 3);
  return fields[0] && fields[1] ? g_ascii_strtoll(fields[1], NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

/* What the process of its own prints: bytes beside weights and the memory of a run. */
static gboolean
print_resident(const Options *options, const char *path, GError **error)
{
  g_autoptr(InferEngine) engine = infer_engine_new_from_file(
      path, options->device, (guint)options->threads, INFER_LOAD_MAP, error);
  g_autoptr(InferContext) context = engine ? prepare(options, engine, error) : NULL;
  gsize known;

  if (!context || !infer_context_run(context, error))
    return FALSE;
  known = infer_engine_get_weights_size(engine) + infer_context_get_memory_size(context, NULL);
  g_print("%" G_GINT64_FORMAT "\n", resident() - (gint64)known);
  return TRUE;
}

static gboolean
ask_resident(const Options *options, const char *path, double *bytes, GError **error)
{
  g_autofree char *threads = g_strdup_printf("--threads=%d", options->threads);
  g_autofree char *batch = g_strdup_printf("--batch=%d", options->batch);
  g_autofree char *device = g_strdup_printf("--device=%s", options->device);
  g_autofree char *plan = g_strdup_printf("--resident=%s", path);
  const char *const argv[] = {"/proc/self/exe", threads, batch, device, plan, NULL};
  g_autofree char *text = NULL;
  int status;

  if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &text, NULL, &status,
                    error) ||
      !g_spawn_check_wait_status(status, error))
    return FALSE;
  *bytes = g_ascii_strtod(text, NULL);
  return TRUE;
}

static InferEngine *
save_and_load(const Options *options, InferEngine *engine, double *time, double *beside,
              GError **error)
{
  g_autofree char *path = g_build_filename(g_get_tmp_dir(), "zoo-report-XXXXXX", NULL);
  InferEngine *loaded = NULL;
  int file = g_mkstemp(path);

  if (file < 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "'%s' cannot be written", path);
    return NULL;
  }
  g_close(file, NULL);
  if (infer_engine_save(engine, path, error) && ask_resident(options, path, beside, error)) {
    gint64 start = g_get_monotonic_time();
    loaded = infer_engine_new_from_file(path, options->device, (guint)options->threads,
                                        INFER_LOAD_MAP, error);
    *time = milliseconds(start);
  }
  g_unlink(path);
  return loaded;
}

/* Runs one picture. */
static GBytes *
run_once(InferContext *context, GError **error)
{
  gsize size;
  float *data = infer_context_map(context, "data", &size, error);

  if (!data)
    return NULL;
  for (gsize i = 0; i < size / sizeof *data; i++)
    data[i] = (float)(i % 256) / 256;
  return infer_context_run(context, error) ? infer_context_get_output_bytes(context, "prob", error)
                                           : NULL;
}

/* The largest difference between two results, and the largest element of the first; not a number
 * where an element is not. */
static double
difference(GBytes *a, GBytes *b, double *top)
{
  gsize size;
  const float *x = g_bytes_get_data(a, &size), *y = g_bytes_get_data(b, NULL);
  double largest = 0;

  *top = 0;
  for (gsize i = 0; i < MIN(size, g_bytes_get_size(b)) / sizeof *x; i++) {
    double d = fabs((double)x[i] - (double)y[i]);

    if (isnan(d))
      return *top = NAN;
    largest = MAX(largest, d);
    *top = MAX(*top, (double)x[i]);
  }
  return largest;
}

static int
by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static gboolean
median_latency(InferContext *context, gint runs, double *result, GError **error)
{
  g_autofree double *times = g_new0(double, runs);

  for (gint i = 0; i < runs; i++) {
    gint64 start = g_get_monotonic_time();

    if (!infer_context_run(context, error))
      return FALSE;
    times[i] = milliseconds(start);
  }
  qsort(times, (gsize)runs, sizeof *times, by_value);
  *result = times[runs / 2];
  return TRUE;
}

static gboolean
report(const Options *options, const ZooEntry *entry, GError **error)
{
  g_autoptr(InferNetwork) network = entry->create(1);
  g_autoptr(InferEngine) plain = NULL;
  g_autoptr(InferEngine) fused = NULL;
  g_autoptr(InferEngine) loaded = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GBytes) want = NULL;
  g_autoptr(GBytes) have = NULL;
  double build_time, ignored, load_time, latency, top, differ, beside = 0;
  guint plain_steps;
  gsize memory, tensors;

  plain = build(options, network, FALSE, &ignored, error);
  context = plain ? prepare(options, plain, error) : NULL;
  want = context ? run_once(context, error) : NULL;
  if (!want)
    return FALSE;
  plain_steps = count_steps(context);
  /* The weights of two engines at once would not fit small machines. */
  g_clear_object(&context);
  g_clear_object(&plain);
  fused = build(options, network, TRUE, &build_time, error);
  loaded = fused ? save_and_load(options, fused, &load_time, &beside, error) : NULL;
  g_clear_object(&fused);
  context = loaded ? prepare(options, loaded, error) : NULL;
  have = context ? run_once(context, error) : NULL;
  if (!have || !median_latency(context, options->runs, &latency, error))
    return FALSE;
  differ = difference(want, have, &top);
  memory = infer_context_get_memory_size(context, &tensors);
  g_print("%-16s%8u%8u%8u%10.1f%10.1f%8.2f%10.1f%10.1f%10.0f%10.1f%10.2f%10.4f%10.1e\n",
          entry->name, infer_network_get_n_nodes(network), plain_steps, count_steps(context),
          (double)memory / 1e6, (double)tensors / 1e6, (double)memory / (double)tensors,
          (double)infer_engine_get_weights_size(loaded) / 1e6, beside / 1e6, build_time, load_time,
          latency, top, differ);
  return TRUE;
}

int
main(int argc, char **argv)
{
  g_autofree char *device = NULL;
  g_auto(GStrv) only = NULL;
  g_autofree char *plan = NULL;
  Options options = {.runs = 10, .batch = 1};
  const GOptionEntry entries[] = {
      {"device", 0, 0, G_OPTION_ARG_STRING, &device, "where to run (cpu)", "NAME"},
      {"threads", 0, 0, G_OPTION_ARG_INT, &options.threads, "0 for every processor", "N"},
      {"runs", 0, 0, G_OPTION_ARG_INT, &options.runs, "timed runs (10)", "N"},
      {"batch", 0, 0, G_OPTION_ARG_INT, &options.batch, "pictures of a run (1)", "N"},
      {"resident", 0, 0, G_OPTION_ARG_FILENAME, &plan, "print what is resident", "PLAN"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &only, NULL, "NETWORK..."},
      {NULL}};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;

  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  options.device = device ? device : "cpu";
  options.runs = MAX(options.runs, 1);
  options.threads = MAX(options.threads, 0);
  options.batch = CLAMP(options.batch, 1, 4096);
  if (plan) {
    if (print_resident(&options, plan, &error))
      return 0;
    g_printerr("%s\n", error->message);
    return 1;
  }
  g_print("%-16s%8s%8s%8s%10s%10s%8s%10s%10s%10s%10s%10s%10s%10s\n", "network", "nodes", "split",
          "fused", "run MB", "plain MB", "ratio", "weight MB", "else MB", "build ms", "load ms",
          "run ms", "top", "differ");
  for (const ZooEntry *entry = zoo_entries; entry->name; entry++) {
    if (only && !g_strv_contains((const char *const *)only, entry->name))
      continue;
    if (!report(&options, entry, &error)) {
      g_printerr("%s: %s\n", entry->name, error->message);
      return 1;
    }
  }
  return 0;
}
