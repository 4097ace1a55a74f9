/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinfermodel.h"

G_BEGIN_DECLS

/** Names of the scalar inputs that plans with thresholds have. */
#define GST_INFER_SCORE_INPUT "score_threshold"
#define GST_INFER_IOU_INPUT "iou_threshold"

typedef enum {
  GST_INFER_OUTPUT_BOXES,
  GST_INFER_OUTPUT_SCORES,
  GST_INFER_OUTPUT_CLASSES,
  GST_INFER_OUTPUT_COUNT,
} GstInferOutput;

/** The outputs of a classifier. */
typedef enum { GST_INFER_OUTPUT_TOP_SCORES, GST_INFER_OUTPUT_TOP_CLASSES } GstInferTopOutput;

/** The most outputs that are read. */
#define GST_INFER_MAX_OUTPUTS 16

/**
 * GstInferContext:
 * @score_set: what the scalar input was set to last
 * @iou_set: same
 * @views: the outputs of the last run
 *
 * One batch in flight.
 */
typedef struct {
  InferContext *context;
  gdouble score_set, iou_set;
  InferArray views[GST_INFER_MAX_OUTPUTS];
} GstInferContext;

/**
 * GstInferModel:
 * @contexts: (array length=n_contexts): one for each batch in flight
 * @outputs: (array length=n_outputs): names of the outputs in the order of @decoder
 * @labels: (array length=n_labels): labels
 * @width: pixels of the image input
 * @height: same
 * @score: score threshold of the model
 * @score_default: default of the scalar input, NaN where there is none
 * @iou_default: same
 */
struct _GstInferModel {
  InferEngine *engine;
  GstInferContext *contexts;
  guint n_contexts;
  InferModelInfo *info;
  gchar *name;
  const gchar *outputs[GST_INFER_MAX_OUTPUTS];
  guint n_outputs;
  InferDecoder decoder;
  GQuark *labels;
  guint n_labels;
  guint width, height;
  gdouble score;
  gdouble score_default, iou_default;
};

/**
 * gst_infer_cache_path:
 * @settings: what the plan is built from
 * @max_batch: greatest batch
 * @cancellable: stops it
 * @error: return location
 *
 * Returns: (transfer full) (nullable): where the plan of exactly these contents and settings is
 *   kept. Its folder is made, readable by the user alone.
 */
gchar *gst_infer_cache_path(const GstInferModelSettings *settings, guint max_batch,
                            GCancellable *cancellable, GError **error);

/** gst_infer_engine_open: loads or builds the engine; @info is what the labels and the decoder are
 *  taken from (gstinferengine.c). */
InferEngine *gst_infer_engine_open(const GstInferModelSettings *settings,
                                   GstInferProgressFunc progress, gpointer user_data,
                                   GCancellable *cancellable, InferModelInfo **info,
                                   GError **error);

G_END_DECLS
