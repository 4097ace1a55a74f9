/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinferpad.h"

G_BEGIN_DECLS

/** GstInferEntry: an item that left its in-queue and is on its way to the out-queue. */
typedef struct {
  GstInferPad *pad; /* owned */
  GstInferItem item;
  guint serial;
} GstInferEntry;

/**
 * GstInferRun:
 * @entries: (element-type GstInferEntry): in the order in which they were taken
 *
 * One batch, and the memory that batches need, kept from one to the next. Used by the worker alone.
 */
struct _GstInferRun {
  GArray *entries;
  /*< private >*/
  guint allocated;
  GstVideoFrame *maps;
  InferFrame *frames;
  InferPlacement *placements;
  guint *rows;
  GArray *objects;
};

GstInferRun *gst_infer_run_new(void);
void gst_infer_run_free(GstInferRun *run);

/**
 * gst_infer_run_execute:
 * @run: the batch
 * @model: the model
 * @score: score threshold, below 0 for the model's
 * @iou: IoU threshold, below 0 for the model's
 * @stats: counted up
 * @error: return location
 *
 * Maps the frames, infers, and attaches what was found. Frames that cannot be mapped pass.
 */
gboolean gst_infer_run_execute(GstInferRun *run, GstInferModel *model, gdouble score, gdouble iou,
                               GstInferStats *stats, GError **error);

G_END_DECLS
