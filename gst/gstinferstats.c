/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include "gstinferstats.h"

static const gchar *const phase_names[GST_INFER_N_PHASES] = {"queue",     "preprocess", "wait",
                                                             "inference", "attach",     "total"};

static guint
bucket_of(GstClockTime duration)
{
  const gdouble bucket = 8 * log2((gdouble)MAX(duration, 1) / (gdouble)GST_USECOND);

  return bucket <= 0 ? 0 : (guint)MIN(bucket, GST_INFER_N_BUCKETS - 1);
}

void
gst_infer_times_add(GstInferTimes *times, GstClockTime duration)
{
  times->counts[bucket_of(duration)]++;
  times->n++;
  times->max = MAX(times->max, duration);
}

GstClockTime
gst_infer_times_percentile(const GstInferTimes *times, gdouble share)
{
  const guint64 wanted = (guint64)ceil((gdouble)times->n * share);
  guint64 seen = 0;

  for (guint i = 0; i < GST_INFER_N_BUCKETS; i++) {
    seen += times->counts[i];
    if (seen >= wanted && seen > 0)
      return MIN((GstClockTime)((gdouble)GST_USECOND * exp2((i + 1) / 8.0)), times->max);
  }
  return times->max;
}

void
gst_infer_stats_add(GstInferStats *to, const GstInferStats *from)
{
  to->frames += from->frames;
  to->inferred += from->inferred;
  to->objects += from->objects;
  to->dropped += from->dropped;
  to->batches += from->batches;
  to->batched += from->batched;
  to->largest_batch = MAX(to->largest_batch, from->largest_batch);
  for (guint i = 0; i < GST_INFER_N_PASS; i++)
    to->passed[i] += from->passed[i];
  for (guint p = 0; p < GST_INFER_N_PHASES; p++) {
    for (guint i = 0; i < GST_INFER_N_BUCKETS; i++)
      to->phases[p].counts[i] += from->phases[p].counts[i];
    to->phases[p].n += from->phases[p].n;
    to->phases[p].max = MAX(to->phases[p].max, from->phases[p].max);
  }
}

GstStructure *
gst_infer_stats_to_structure(const GstInferStats *s, const gchar *name)
{
  GstStructure *structure = gst_structure_new(
      name, "frames", G_TYPE_UINT64, s->frames, "inferred", G_TYPE_UINT64, s->inferred, "skipped",
      G_TYPE_UINT64, s->passed[GST_INFER_PASS_INTERVAL], "still", G_TYPE_UINT64,
      s->passed[GST_INFER_PASS_STILL], "not-ready", G_TYPE_UINT64,
      s->passed[GST_INFER_PASS_NOT_READY], "late", G_TYPE_UINT64, s->passed[GST_INFER_PASS_LATE],
      "unusable", G_TYPE_UINT64, s->passed[GST_INFER_PASS_UNUSABLE], "dropped", G_TYPE_UINT64,
      s->dropped, "objects", G_TYPE_UINT64, s->objects, "largest-batch", G_TYPE_UINT,
      s->largest_batch, NULL);

  for (guint p = 0; p < GST_INFER_N_PHASES; p++) {
    const GstInferTimes *times = &s->phases[p];
    g_autofree gchar *field = g_strconcat(phase_names[p], "-time", NULL);
    g_autoptr(GstStructure) inner = gst_structure_new(
        "application/x-infer-times", "count", G_TYPE_UINT64, times->n, "p50", G_TYPE_UINT64,
        gst_infer_times_percentile(times, 0.5), "p90", G_TYPE_UINT64,
        gst_infer_times_percentile(times, 0.9), "p95", G_TYPE_UINT64,
        gst_infer_times_percentile(times, 0.95), "p99", G_TYPE_UINT64,
        gst_infer_times_percentile(times, 0.99), "max", G_TYPE_UINT64, times->max, NULL);
    gst_structure_set(structure, field, GST_TYPE_STRUCTURE, inner, NULL);
  }
  return structure;
}
