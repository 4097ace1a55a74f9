/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinfermeta.h"

G_BEGIN_DECLS

/*
 * GStreamer's own analytics metadata: objects, their classes and tracks as related entries of one
 * GstAnalyticsRelationMeta (from 1.24), and tensors (from 1.26). Without them these do nothing.
 */

/** gst_infer_analytics_available: whether objects can be attached so. */
gboolean gst_infer_analytics_available(void);

/**
 * gst_infer_analytics_add:
 * @buffer: a writable buffer
 * @objects: (array length=n): objects within the frame
 * @valid: (array length=n): which of them to attach
 * @n: their number
 * @ids: (array length=n): filled with the number of each object among the entries, which is not 0
 *
 * For each object a class, then the object, related to its class and to its track.
 */
void gst_infer_analytics_add(GstBuffer *buffer, const GstInferObject *objects,
                             const gboolean *valid, guint n, gint *ids);

/**
 * gst_infer_analytics_update:
 * @buffer: a writable buffer
 * @object: an object with an @object_id whose id is that of an entry
 *
 * Relates the object to its track, which is added where it is not there.
 */
void gst_infer_analytics_update(GstBuffer *buffer, const GstInferObject *object);

/**
 * gst_infer_analytics_collect:
 * @buffer: a buffer
 * @objects: (element-type GstInferObject): the objects of the entries are appended
 *
 * Reads what others, or we, have attached.
 */
void gst_infer_analytics_collect(GstBuffer *buffer, GArray *objects);

/** gst_infer_analytics_scales: whether converters of this GStreamer scale the rectangles. */
gboolean gst_infer_analytics_scales(void);

/**
 * GstInferTensor:
 * @name: of the output
 * @type: a name as the engine gives it ("float", "int64" ...)
 * @dims: (array length=n_dims): dimensions
 * @data: (array length=size): row-major contents, copied
 *
 * A tensor to attach.
 */
typedef struct {
  const gchar *name;
  const gchar *type;
  guint n_dims;
  gsize dims[16];
  gconstpointer data;
  gsize size;
} GstInferTensor;

/** gst_infer_tensors_add: attaches tensors; those of a type that GStreamer has no name for are left
 *  out. Returns: %FALSE before 1.26. */
gboolean gst_infer_tensors_add(GstBuffer *buffer, const GstInferTensor *tensors, guint n);
/** gst_infer_tensors_count: Returns: tensors on @buffer; below 0 before 1.26. */
gint gst_infer_tensors_count(GstBuffer *buffer);
/** gst_infer_tensors_read: copies a tensor's contents, which have to be @size bytes. */
gboolean gst_infer_tensors_read(GstBuffer *buffer, const gchar *name, gpointer data, gsize size);

G_END_DECLS
