/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinfermodel.h"

G_BEGIN_DECLS

typedef struct _GstInferPad GstInferPad;
typedef struct _GstInferRun GstInferRun;

/** A pad that was silent for so long is not waited for; microseconds. */
#define GST_INFER_SILENCE (40 * G_TIME_SPAN_MILLISECOND)

/** GstInferPass: why a frame passes without being inferred on. */
typedef enum {
  GST_INFER_PASS_NONE,      /* it is inferred on */
  GST_INFER_PASS_INTERVAL,  /* inference-interval leaves it out */
  GST_INFER_PASS_NOT_READY, /* live, and the model is still being loaded */
  GST_INFER_PASS_LATE,      /* live, and it would be too late at the sink */
  GST_INFER_PASS_UNUSABLE,  /* it could not be mapped */
  GST_INFER_N_PASS,
} GstInferPass;

typedef enum {
  GST_INFER_MODEL_NONE,
  GST_INFER_MODEL_LOADING,
  GST_INFER_MODEL_READY,
  GST_INFER_MODEL_FAILED,
} GstInferModelState;

/**
 * GstInferSettings:
 * @batch_size: frames in a batch, 0 for automatic
 * @batch_timeout: nanoseconds, below 0 for automatic
 * @interval: every how many frames of a pad is inferred on
 * @max_buffers: frames that each of a pad's two queues holds, 0 for automatic
 * @score: score threshold, below 0 for the model's
 * @iou: IoU threshold, below 0 for the model's
 */
typedef struct {
  guint batch_size;
  gint64 batch_timeout;
  guint interval;
  guint max_buffers;
  gdouble score;
  gdouble iou;
} GstInferSettings;

typedef struct {
  guint64 frames, inferred, objects, batches;
  guint64 passed[GST_INFER_N_PASS];
  guint largest_batch;
  GstClockTime last_run_time, total_run_time;
} GstInferStats;

/** Batches whose run times are remembered for the latency. */
#define GST_INFER_N_TIMES 64

/**
 * GstInferBatcher:
 *
 * The queues' lock, the streams, and the worker thread that gathers their frames into batches.
 * The worker moves items from the pads' in-queues to their out-queues and never pushes.
 * Refcounted: pads keep it alive. Everything from @pads on is guarded by @lock.
 */
typedef struct {
  GstElement *element; /* not owned; outlives the worker and the pads' tasks */
  GMutex lock;
  GCond wake; /* the worker's */

  GPtrArray *pads; /* of GstInferPad, with a reference */
  GThread *thread;
  gboolean running;
  GstInferModelState state;
  GstInferModel *model;
  GstInferSettings settings;
  GstInferStats stats;
  gboolean live;
  guint capacity;                /* frames in each queue of a pad */
  GstClockTime pipeline_latency; /* as configured by the pipeline; NONE when not known */
  GstClockTime reported;         /* own latency as told to the pipeline; NONE before, only grows */
  GstClockTime run_time;         /* what the reported latency allows for a run; only grows */
  GstClockTime times[GST_INFER_N_TIMES];
  guint64 served; /* batches so far, the clock of fairness */
  GstInferRun *run;
} GstInferBatcher;

GstInferBatcher *gst_infer_batcher_new(GstElement *element);
GstInferBatcher *gst_infer_batcher_ref(GstInferBatcher *batcher);
void gst_infer_batcher_unref(GstInferBatcher *batcher);

void gst_infer_batcher_add_pad(GstInferBatcher *batcher, GstInferPad *pad);
void gst_infer_batcher_remove_pad(GstInferBatcher *batcher, GstInferPad *pad);

/** gst_infer_batcher_start: starts the worker; it forwards events before there is a model. */
void gst_infer_batcher_start(GstInferBatcher *batcher);
/** gst_infer_batcher_flush: wakes and empties every pad, for good until it is activated again. */
void gst_infer_batcher_flush(GstInferBatcher *batcher);
/** gst_infer_batcher_stop: joins the worker. */
void gst_infer_batcher_stop(GstInferBatcher *batcher);

/** gst_infer_batcher_set_model: @model is taken over; %NULL but for %GST_INFER_MODEL_READY. */
void gst_infer_batcher_set_model(GstInferBatcher *batcher, GstInferModelState state,
                                 GstInferModel *model);
void gst_infer_batcher_set_settings(GstInferBatcher *batcher, const GstInferSettings *settings);
GstStructure *gst_infer_batcher_get_stats(GstInferBatcher *batcher);
/** gst_infer_batcher_get_latency: Returns: what batching and running adds to a live stream. */
GstClockTime gst_infer_batcher_get_latency(GstInferBatcher *batcher);

/* With the lock held. */
/** gst_infer_batcher_update: to be called after pads, settings, model or liveness changed. */
void gst_infer_batcher_update(GstInferBatcher *batcher);
guint gst_infer_batcher_target(GstInferBatcher *batcher);

G_END_DECLS
