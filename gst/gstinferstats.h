/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** GstInferPass: why a frame passes without being inferred on. */
typedef enum {
  GST_INFER_PASS_NONE,      /* it is inferred on */
  GST_INFER_PASS_INTERVAL,  /* inference-interval leaves it out */
  GST_INFER_PASS_STILL,     /* nothing moved: the last result is carried over */
  GST_INFER_PASS_NOT_READY, /* live, and the model is still being loaded */
  GST_INFER_PASS_LATE,      /* live, and it would be too late at the sink */
  GST_INFER_PASS_UNUSABLE,  /* it could not be mapped */
  GST_INFER_N_PASS,
} GstInferPass;

/** GstInferPhase: what a frame spends its time with. */
typedef enum {
  GST_INFER_PHASE_QUEUE,      /* from its arrival to the closing of its batch */
  GST_INFER_PHASE_PREPROCESS, /* mapping, colours, resize, of the whole batch */
  GST_INFER_PHASE_WAIT,       /* until the device had finished the batch before */
  GST_INFER_PHASE_INFERENCE,  /* the batch's run */
  GST_INFER_PHASE_ATTACH,     /* objects and metadata of the whole batch */
  GST_INFER_PHASE_TOTAL,      /* from its arrival to its push */
  GST_INFER_N_PHASES,
} GstInferPhase;

/** Eight buckets for each doubling, from a microsecond to a quarter of an hour. */
#define GST_INFER_N_BUCKETS (30 * 8)

/**
 * GstInferTimes:
 *
 * A histogram of durations whose percentiles are right to a tenth, in constant memory.
 */
typedef struct {
  guint32 counts[GST_INFER_N_BUCKETS];
  guint64 n;
  GstClockTime max;
} GstInferTimes;

void gst_infer_times_add(GstInferTimes *times, GstClockTime duration);
/** gst_infer_times_percentile: Returns: nanoseconds that @share of the durations do not exceed. */
GstClockTime gst_infer_times_percentile(const GstInferTimes *times, gdouble share);

/**
 * GstInferStats:
 *
 * Counters of a stream, or the sum over an element's streams.
 */
typedef struct {
  guint64 frames, inferred, objects, dropped;
  guint64 passed[GST_INFER_N_PASS];
  guint64 batches, batched; /* batches with a frame of it, and the sum of their sizes */
  guint largest_batch;
  GstInferTimes phases[GST_INFER_N_PHASES];
} GstInferStats;

/** gst_infer_stats_add: adds @from to @to. */
void gst_infer_stats_add(GstInferStats *to, const GstInferStats *from);
/** gst_infer_stats_to_structure: Returns: (transfer full): the counters under the names that the
 *  property stats has. */
GstStructure *gst_infer_stats_to_structure(const GstInferStats *stats, const gchar *name);

G_END_DECLS
