/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/*
 * What was found in a frame, and the two functions through which every element of this plugin
 * writes and reads it. On the buffer it is a GstVideoRegionOfInterestMeta per object (with DL
 * Streamer's `detection` and `object_id` parameters) and beside them one untagged InferResultMeta,
 * because converters keep ROI rectangles but drop their parameters.
 */

/**
 * GstInferObject:
 * @id: id of the region in its frame (the ROI meta's id); below 0 when attaching: the next free one
 * @parent_id: id of the region this one lies in, -1 for none
 * @label_id: number of the label, from 0; -1 when not known
 * @label: the label, 0 when there is none (the ROI type is then "object")
 * @confidence: score, 0..1
 * @x: left edge in pixels of the frame
 * @y: top edge in pixels
 * @w: width in pixels
 * @h: height in pixels
 * @has_object_id: @object_id is valid
 * @object_id: lasting id that a tracker gave, unique in the stream
 * @params: (element-type GstStructure) (nullable): further parameters (classifications and what
 *   other elements left), without `detection` and `object_id`. Copied when attaching; owned by the
 *   array that gst_infer_meta_collect() returns.
 *
 * One object in one frame.
 */
typedef struct {
  gint id;
  gint parent_id;
  gint label_id;
  GQuark label;
  gdouble confidence;
  gdouble x, y, w, h;
  gboolean has_object_id;
  guint64 object_id;
  GList *params;
} GstInferObject;

/**
 * GstInferMetadata:
 * @GST_INFER_METADATA_AUTO: regions of interest, and analytics where this GStreamer has them
 * @GST_INFER_METADATA_ROI: GstVideoRegionOfInterestMeta alone
 * @GST_INFER_METADATA_ANALYTICS: GstAnalyticsRelationMeta alone (from GStreamer 1.24 on)
 * @GST_INFER_METADATA_BOTH: both
 *
 * How objects are attached for others; our own record is always there.
 */
typedef enum {
  GST_INFER_METADATA_AUTO,
  GST_INFER_METADATA_ROI,
  GST_INFER_METADATA_ANALYTICS,
  GST_INFER_METADATA_BOTH,
} GstInferMetadata;

#define GST_TYPE_INFER_METADATA (gst_infer_metadata_get_type())
GType gst_infer_metadata_get_type(void);

/**
 * GstInferAttachment:
 * @stream: (nullable): name of the stream
 * @frame: number of the frame in its stream, from 0
 * @model_name: (nullable): name of the model
 * @metadata: how objects are attached
 * @carried: the objects were found in an earlier frame of the stream
 *
 * What is attached beside the objects.
 */
typedef struct {
  const gchar *stream;
  guint64 frame;
  const gchar *model_name;
  GstInferMetadata metadata;
  gboolean carried;
} GstInferAttachment;

/**
 * GstInferResult:
 * @inferred: an InferResultMeta was on the buffer, so that "no objects" means that none was found
 * @stream: (nullable): name of the stream
 * @frame: number of the frame in its stream, from 0; %GST_BUFFER_OFFSET_NONE when not known
 * @model_name: (nullable): name of the model
 * @carried: the objects were found in an earlier frame, which this one does not differ from
 * @width: width in pixels of the frame the result was attached to; 0 when not known
 * @height: height in pixels, same
 *
 * What is known of a frame beside its objects. Strings are valid as long as the buffer's metadata.
 */
typedef struct {
  gboolean inferred;
  const gchar *stream;
  guint64 frame;
  const gchar *model_name;
  gboolean carried;
  guint width, height;
} GstInferResult;

/**
 * gst_infer_meta_attach:
 * @buffer: a writable buffer; its memory is not touched
 * @info: (nullable): the frame's video info, for the frame size and the normalised coordinates
 * @stream: (nullable): name of the stream
 * @frame_number: number of the frame in its stream, from 0
 * @objects: (array length=n) (nullable): objects; rectangles are clipped to the frame
 * @n: their number; 0 says that the frame was looked at and nothing found
 * @model_name: (nullable): name of the model
 *
 * Adds one ROI meta per object and one InferResultMeta; where the buffer has an InferResultMeta
 * already the objects are appended to it and keep their distance in ids. Objects of others stay.
 *
 * Returns: %FALSE when the buffer is not writable.
 */
gboolean gst_infer_meta_attach(GstBuffer *buffer, const GstVideoInfo *info, const gchar *stream,
                               guint64 frame_number, const GstInferObject *objects, guint n,
                               const gchar *model_name);

/**
 * gst_infer_meta_attach_full:
 * @buffer: a writable buffer
 * @info: (nullable): the frame's video info
 * @what: what is attached beside the objects, and how
 * @objects: (array length=n) (nullable): objects
 * @n: their number
 *
 * gst_infer_meta_attach() with all there is to say.
 *
 * Returns: %FALSE when the buffer is not writable.
 */
gboolean gst_infer_meta_attach_full(GstBuffer *buffer, const GstVideoInfo *info,
                                    const GstInferAttachment *what, const GstInferObject *objects,
                                    guint n);

/**
 * gst_infer_meta_collect:
 * @buffer: a buffer
 * @info: (nullable): the frame's video info as it is now
 * @result: (out) (optional): what is known of the frame
 *
 * The one reader: merges ROI metas and InferResultMeta by id; geometry from the ROI, parameters
 * from the InferResultMeta; a record whose ROI is gone is ignored unless all are gone and the
 * frame size is unchanged. ROIs of other elements are objects too.
 *
 * Returns: (transfer full) (element-type GstInferObject): the objects, in the order they were
 *   attached; to be released with g_array_unref(), which frees @params as well.
 */
GArray *gst_infer_meta_collect(GstBuffer *buffer, const GstVideoInfo *info, GstInferResult *result);

/** gst_infer_result_meta_api_get_type: Returns: the API type of InferResultMeta, without tags. */
GType gst_infer_result_meta_api_get_type(void);

/**
 * gst_infer_meta_update:
 * @buffer: a writable buffer; its memory is not touched
 * @info: (nullable): the frame's video info as it is now
 * @objects: (array length=n): objects as gst_infer_meta_collect() returned them, changed
 * @n: their number
 *
 * Writes rectangle, object id, confidence and parameters of objects that are on the buffer, found
 * by id and label: how a tracker or a classifier adds what it knows. Objects of other elements
 * get a record too. What is not in @objects stays as it is; unknown ids are ignored.
 *
 * Returns: %FALSE when the buffer is not writable.
 */
gboolean gst_infer_meta_update(GstBuffer *buffer, const GstVideoInfo *info,
                               const GstInferObject *objects, guint n);

G_END_DECLS
