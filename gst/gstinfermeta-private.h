/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinferanalytics.h"

G_BEGIN_DECLS

#define ROI_META_API GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE

/* The contents of an InferResultMeta. Copies of a buffer share it; it is changed only while one
 * writable buffer holds it. */
typedef struct {
  gatomicrefcount ref_count;
  guint width, height;
  const gchar *stream;
  const gchar *model_name;
  gboolean carried;
  guint64 frame;
  GArray *objects; /* of GstInferObject */
} GstInferResultData;

/** gst_infer_result_data: Returns: (transfer none) (nullable): what is known of @buffer. */
const GstInferResultData *gst_infer_result_data(GstBuffer *buffer);

GList *gst_infer_params_copy(const GList *params);

/** gst_infer_objects_new: Returns: (transfer full) (element-type GstInferObject): an array that
 *  frees the parameters of its objects. */
GArray *gst_infer_objects_new(guint reserve);
GstInferObject *gst_infer_objects_at(GArray *objects, guint index);
void gst_infer_objects_append_copy(GArray *objects, const GstInferObject *object);
/** gst_infer_objects_find_id: Returns: the index of the object with @id, -1 where there is none. */
gint gst_infer_objects_find_id(GArray *objects, gint id);

/** gst_infer_object_roi_type: Returns: the type of an object's ROI meta. */
GQuark gst_infer_object_roi_type(const GstInferObject *object);

G_END_DECLS
