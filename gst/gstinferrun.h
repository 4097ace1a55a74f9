/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinferpad.h"

G_BEGIN_DECLS

/**
 * GstInferEntry:
 * @pad: the stream (owned)
 * @item: the frame
 * @serial: of the stream, when the frame was taken
 * @place: the frame's place in the out-queue
 * @score: score threshold, below 0 for the model's
 * @keep: later frames may need the objects
 * @attach_tensors: the outputs are attached
 * @n_objects: what was found
 *
 * A frame on its way from the in-queue to the out-queue.
 */
typedef struct {
  GstInferPad *pad;
  GstInferItem item;
  guint serial;
  guint64 place;
  gdouble score;
  gboolean keep;
  gboolean attach_tensors;
  guint n_objects;
} GstInferEntry;

/**
 * GstInferRun:
 * @index: which of the model's contexts it uses
 * @entries: (element-type GstInferEntry): in the order in which they were taken
 * @number: of the batch
 * @closed: monotonic time
 * @depth: batches in flight when it closed, itself included
 * @iou: IoU threshold, below 0 for the model's
 * @n: frames that were inferred on
 * @phases: nanoseconds, by #GstInferPhase
 *
 * One batch, and the memory that batches need, kept from one to the next. Used by one worker.
 */
struct _GstInferRun {
  guint index;
  GArray *entries;
  guint64 number;
  gint64 closed;
  guint depth;
  gdouble iou;
  guint n;
  GstClockTime phases[GST_INFER_N_PHASES];
  /*< private >*/
  guint allocated;
  GstVideoFrame *maps;
  InferFrame *frames;
  InferPlacement *placements;
  guint *rows;
  GArray *objects;
};

GstInferRun *gst_infer_run_new(guint index);
void gst_infer_run_free(GstInferRun *run);

/**
 * gst_infer_run_execute:
 * @run: the batch
 * @model: the model
 * @device: held while the device runs, so that batches are prepared beside it
 * @error: return location
 *
 * Maps the frames, infers, and attaches what was found. Frames that cannot be mapped pass.
 */
gboolean gst_infer_run_execute(GstInferRun *run, GstInferModel *model, GMutex *device,
                               GError **error);

/** gst_infer_planes_fit: whether the planes of a mapped frame lie in its memory. */
gboolean gst_infer_planes_fit(const GstVideoFrame *frame);
/** gst_infer_make_writable: Returns: (transfer full): @buffer (taken over) or a header of its own
 *  over the same memory. */
GstBuffer *gst_infer_make_writable(GstBuffer *buffer);
/** gst_infer_item_attach: attaches @objects; @carried says that they were found in an earlier
 *  frame. */
void gst_infer_item_attach(GstInferItem *item, GstInferPad *pad, const GArray *objects,
                           const gchar *model_name, GstInferMetadata metadata, gboolean carried);

G_END_DECLS
