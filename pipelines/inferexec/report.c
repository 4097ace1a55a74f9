/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

typedef double (*TimeFunc)(const ExecTime *time);

static double
run_latency(const ExecTime *time)
{
  return (time->finished - time->staged) / 1e6;
}

static double
host_latency(const ExecTime *time)
{
  return (time->finished - time->start) / 1e6;
}

static double
enqueue_time(const ExecTime *time)
{
  return (time->queued - time->staged) / 1e6;
}

static void
report_line(const ExecArgs *args, const ExecTrace *trace, const char *title, TimeFunc func)
{
  g_autofree double *values = g_new(double, trace->times->len);
  for (guint i = 0; i < trace->times->len; i++)
    values[i] = func(&g_array_index(trace->times, ExecTime, i));
  g_auto(ExecStats) stats = {0};
  exec_stats_init(&stats, values, trace->times->len);
  g_autoptr(GString) line = g_string_new(NULL);
  g_string_printf(line, "%s: min = %g ms, max = %g ms, mean = %g ms, median = %g ms", title,
                  stats.min, stats.max, stats.mean, stats.median);
  for (guint i = 0; i < args->percentiles->len; i++) {
    double percent = g_array_index(args->percentiles, double, i);
    g_string_append_printf(line, ", percentile(%g%%) = %g ms", percent,
                           exec_stats_percentile(&stats, percent));
  }
  exec_info("%s", line->str);
}

static void
report_averages(const ExecArgs *args, const ExecTrace *trace)
{
  for (guint first = 0; first < trace->times->len; first += args->avg_runs) {
    guint n = MIN(args->avg_runs, trace->times->len - first);
    double latency = 0, host = 0, enqueue = 0;
    for (guint i = first; i < first + n; i++) {
      const ExecTime *time = &g_array_index(trace->times, ExecTime, i);
      latency += run_latency(time) / n;
      host += host_latency(time) / n;
      enqueue += enqueue_time(time) / n;
    }
    exec_info("Average on %u runs - latency: %g ms - Host latency: %g ms (enqueue %g ms)", n,
              latency, host, enqueue);
    /* The next sum would wrap. */
    if (args->avg_runs > G_MAXUINT - first)
      break;
  }
}

void
exec_report_times(const ExecArgs *args, guint batch, const ExecTrace *trace)
{
  guint n = trace->times->len;
  if (n == 0)
    return;
  if (args->given_avg_runs || args->verbose)
    report_averages(args, trace);
  double wall = g_array_index(trace->times, ExecTime, n - 1).finished / 1e9;
  exec_info("=== Performance summary ===");
  exec_info("Runs: %u of batch %u", n, batch);
  if (args->streams > 1)
    exec_info("Streams: %u; latencies include waiting for other streams", args->streams);
  exec_info("Throughput: %g qps (%g rows/s)", n / wall, (double)n * batch / wall);
  report_line(args, trace, "Latency", run_latency);
  report_line(args, trace, "Enqueue Time", enqueue_time);
  report_line(args, trace, "Host Latency", host_latency);
  exec_info("Total Host Walltime: %g s", wall);
  exec_info("Latency is from enqueueing to the results; Host Latency also copies the inputs.");
}

static double
total_time(const ExecTrace *trace)
{
  double total = 0;
  for (guint i = 0; i < trace->steps->len; i++)
    total += ((const ExecStep *)trace->steps->pdata[i])->total;
  return total;
}

static double
step_median(const ExecStep *step)
{
  g_auto(ExecStats) stats = {0};
  exec_stats_init(&stats, (const double *)step->times->data, step->times->len);
  return stats.median;
}

static double
share(double part, double whole)
{
  return whole > 0 ? part / whole * 100 : 0;
}

/* Shortened in the middle, where names of layers differ least. */
static char *
fit(const char *text, glong width)
{
  gsize length = strlen(text);
  if ((glong)length <= width || !g_str_is_ascii(text))
    return g_strdup(text);
  glong left = (width - 3) / 2;
  glong right = width - 3 - left;
  return g_strdup_printf("%.*s...%s", (int)left, text, text + length - right);
}

/* Of a step's median time: @work is in units of one: operations or bytes; the result is in 10^9 a
 * second. */
static double
per_second(const ExecStep *step, gint64 work)
{
  double median = step_median(step);
  return median > 0 ? (double)work / (median * 1e6) : 0;
}

void
exec_report_profile(const ExecArgs *args, const ExecTrace *trace)
{
  double total = total_time(trace);
  guint views = 0;
  exec_info("=== Profile (%u runs of their own) ===", trace->profiled);
  exec_info("%-48s %-32s %12s %12s %12s %8s %10s %10s", "Step", "Implementation", "Time (ms)",
            "Avg. (ms)", "Median (ms)", "Time %", "GFLOP/s", "GB/s");
  for (guint i = 0; i < trace->steps->len; i++) {
    const ExecStep *step = trace->steps->pdata[i];
    /* A view runs nothing: its time is that of reading the clock. */
    if (!args->verbose && strcmp(step->implementation, "view") == 0) {
      views++;
      continue;
    }
    g_autofree char *name = fit(step->name, 48);
    g_autofree char *implementation = fit(step->implementation, 32);
    exec_info("%-48s %-32s %12.3f %12.4f %12.4f %7.1f%% %10.1f %10.1f", name, implementation,
              step->total, step->total / trace->profiled, step_median(step),
              share(step->total, total), per_second(step, step->operations),
              per_second(step, step->bytes));
  }
  exec_info("%-48s %-32s %12.3f %12.4f %12s %7.1f%%", "Total", "", total, total / trace->profiled,
            "", share(total, total));
  if (views > 0)
    exec_info("%u views run nothing and are shown with --verbose only", views);
}

static void
add_double(JsonBuilder *builder, const char *name, double value)
{
  json_builder_set_member_name(builder, name);
  json_builder_add_double_value(builder, value);
}

static gboolean
write_json(const char *path, JsonBuilder *builder, GError **error)
{
  g_autoptr(JsonNode) root = json_builder_get_root(builder);
  g_autoptr(JsonGenerator) generator = json_generator_new();
  json_generator_set_root(generator, root);
  json_generator_set_pretty(generator, TRUE);
  gsize size = 0;
  g_autofree char *text = json_generator_to_data(generator, &size);
  return exec_write_file(path, text, size, error);
}

gboolean
exec_export_times(const char *path, const ExecTrace *trace, GError **error)
{
  g_autoptr(JsonBuilder) builder = json_builder_new();
  json_builder_begin_array(builder);
  for (guint i = 0; i < trace->times->len; i++) {
    const ExecTime *time = &g_array_index(trace->times, ExecTime, i);
    json_builder_begin_object(builder);
    add_double(builder, "startInMs", time->start / 1e6);
    add_double(builder, "endInMs", time->staged / 1e6);
    add_double(builder, "startEnqMs", time->staged / 1e6);
    add_double(builder, "endEnqMs", time->queued / 1e6);
    add_double(builder, "startComputeMs", time->staged / 1e6);
    add_double(builder, "endComputeMs", time->finished / 1e6);
    add_double(builder, "inMs", (time->staged - time->start) / 1e6);
    add_double(builder, "enqMs", enqueue_time(time));
    add_double(builder, "computeMs", run_latency(time));
    add_double(builder, "latencyMs", host_latency(time));
    json_builder_end_object(builder);
  }
  json_builder_end_array(builder);
  return write_json(path, builder, error);
}

gboolean
exec_export_profile(const char *path, const ExecTrace *trace, GError **error)
{
  double total = total_time(trace);
  g_autoptr(JsonBuilder) builder = json_builder_new();
  json_builder_begin_array(builder);
  json_builder_begin_object(builder);
  json_builder_set_member_name(builder, "count");
  json_builder_add_int_value(builder, trace->profiled);
  json_builder_end_object(builder);
  for (guint i = 0; i < trace->steps->len; i++) {
    const ExecStep *step = trace->steps->pdata[i];
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "name");
    json_builder_add_string_value(builder, step->name);
    json_builder_set_member_name(builder, "implementation");
    json_builder_add_string_value(builder, step->implementation);
    add_double(builder, "timeMs", step->total);
    add_double(builder, "averageMs", step->total / trace->profiled);
    add_double(builder, "medianMs", step_median(step));
    add_double(builder, "percentage", share(step->total, total));
    json_builder_set_member_name(builder, "operations");
    json_builder_add_int_value(builder, step->operations);
    json_builder_set_member_name(builder, "bytes");
    json_builder_add_int_value(builder, step->bytes);
    json_builder_end_object(builder);
  }
  json_builder_end_array(builder);
  return write_json(path, builder, error);
}
