/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include <infer/infer.h>
#include "gstinfermeta.h"

G_BEGIN_DECLS

/**
 * GstInferModelSettings:
 * @model_file: plan or model
 * @model_info_file: (nullable): key file laid over the model's information
 * @label_file: (nullable): labels in place of the model's
 * @device: "auto", "cpu", "cuda:N"
 * @batch_size: greatest batch wanted, 0 for automatic
 * @n_streams: streams that are there when loading begins
 * @decoder: (nullable): how outputs become objects, in place of what the model says
 * @plugins: (nullable): shared libraries with layers, with commas between
 * @threads: threads to run on, 0 for every processor
 * @n_runs: batches that are in flight at once
 *
 * What a model is loaded from. Copied into the loader, so that properties may change meanwhile.
 */
typedef struct {
  gchar *model_file;
  gchar *model_info_file;
  gchar *label_file;
  gchar *device;
  gchar *decoder;
  gchar *plugins;
  guint batch_size;
  guint n_streams;
  guint threads;
  guint n_runs;
} GstInferModelSettings;

void gst_infer_model_settings_copy(GstInferModelSettings *dst, const GstInferModelSettings *src);
/** gst_infer_model_settings_equal: whether they load the same model on the same device. */
gboolean gst_infer_model_settings_equal(const GstInferModelSettings *a,
                                        const GstInferModelSettings *b);
void gst_infer_model_settings_clear(GstInferModelSettings *settings);

/**
 * GstInferModel:
 *
 * An engine with a context for each batch in flight, and what turns its outputs into objects.
 * Refcounted; after loading one thread at a time uses a context, everything else is constant.
 */
typedef struct _GstInferModel GstInferModel;

/** Called while loading, from the thread that loads. */
typedef void (*GstInferProgressFunc)(const gchar *text, gpointer user_data);

/**
 * gst_infer_model_check:
 * @settings: what would be loaded
 * @error: return location; of GStreamer's resource, stream and library error domains
 *
 * The cheap checks that can fail before anything is loaded: files, formats, device.
 */
gboolean gst_infer_model_check(const GstInferModelSettings *settings, GError **error);

/**
 * gst_infer_model_load:
 * @settings: what to load
 * @progress: (nullable): told what goes on
 * @user_data: closure
 * @cancellable: stops it
 * @error: return location
 *
 * Loads a plan, or parses a model, builds it and keeps the plan in the user's cache. Takes from
 * milliseconds to minutes.
 *
 * Returns: (transfer full) (nullable): the model
 */
GstInferModel *gst_infer_model_load(const GstInferModelSettings *settings,
                                    GstInferProgressFunc progress, gpointer user_data,
                                    GCancellable *cancellable, GError **error);

GstInferModel *gst_infer_model_ref(GstInferModel *model);
void gst_infer_model_unref(GstInferModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GstInferModel, gst_infer_model_unref)

/** gst_infer_model_get_name: Returns: (transfer none): the file's name without folder and ending.
 */
const gchar *gst_infer_model_get_name(GstInferModel *model);
guint gst_infer_model_get_max_batch(GstInferModel *model);
guint gst_infer_model_get_best_batch(GstInferModel *model);
/** gst_infer_model_get_run_time: Returns: nanoseconds of a run of @batch rows as recorded when the
 *  plan was built, 0 when not known. */
GstClockTime gst_infer_model_get_run_time(GstInferModel *model, guint batch);
/** gst_infer_model_to_structure: Returns: (transfer full): the model's information. */
GstStructure *gst_infer_model_to_structure(GstInferModel *model);

/** gst_infer_model_effective_score: Returns: @score, or the model's where that is below 0. */
gdouble gst_infer_model_effective_score(const GstInferModel *model, gdouble score);

/**
 * gst_infer_model_preprocess:
 * @model: a model
 * @index: which context
 * @frames: (array length=n): frames that stay valid during the call
 * @n: 1 .. greatest batch
 * @placements: (array length=n): filled
 * @score: score threshold, below 0 for the model's
 * @iou: IoU threshold, below 0 for the model's
 * @error: return location
 *
 * Writes the frames into the image input and waits for it.
 */
gboolean gst_infer_model_preprocess(GstInferModel *model, guint index, const InferFrame *frames,
                                    guint n, InferPlacement *placements, gdouble score, gdouble iou,
                                    GError **error);
/** gst_infer_model_infer: runs what was pre-processed, and waits for it. */
gboolean gst_infer_model_infer(GstInferModel *model, guint index, GError **error);

/**
 * gst_infer_model_decode:
 * @model: a model
 * @index: the context that has just inferred
 * @row: row of the batch
 * @placement: where the frame lay
 * @width: pixels of the (cropped) frame
 * @height: same
 * @score: score threshold, below 0 for the model's
 * @objects: (element-type GstInferObject): emptied and filled
 *
 * Turns the outputs of one row into objects in pixels of the frame.
 *
 * Returns: %FALSE when the outputs hold a count or class that cannot be
 */
gboolean gst_infer_model_decode(GstInferModel *model, guint index, guint row,
                                const InferPlacement *placement, guint width, guint height,
                                gdouble score, GArray *objects);
/** gst_infer_model_attach_tensors: attaches one row of every output, from GStreamer 1.26 on. */
void gst_infer_model_attach_tensors(GstInferModel *model, guint index, guint row,
                                    GstBuffer *buffer);

/** gst_infer_post_error: posts @error as an element error, with GStreamer's nearest code. */
void gst_infer_post_error(GstElement *element, const GError *error);

G_END_DECLS
