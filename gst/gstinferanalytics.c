/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferanalytics.h"

#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#include <math.h>

gboolean
gst_infer_analytics_available(void)
{
  return TRUE;
}

gboolean
gst_infer_analytics_scales(void)
{
  return GST_CHECK_VERSION(1, 26, 0);
}

static GstAnalyticsRelationMeta *
ensure_relations(GstBuffer *buffer, guint n)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
  GstAnalyticsRelationMetaInitParams params = {.initial_relation_order = 3 * MAX(n, 1),
                                               .initial_buf_size = 256 * MAX(n, 1)};

  return meta ? meta : gst_buffer_add_analytics_relation_meta_full(buffer, &params);
}

static void
relate(GstAnalyticsRelationMeta *meta, guint a, guint b)
{
  gst_analytics_relation_meta_set_relation(meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, a, b);
  gst_analytics_relation_meta_set_relation(meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, b, a);
}

static void
add_track(GstAnalyticsRelationMeta *meta, guint object, guint64 track, GstClockTime seen)
{
  GstAnalyticsTrackingMtd mtd;

  if (gst_analytics_relation_meta_add_tracking_mtd(meta, track, seen, &mtd))
    relate(meta, object, mtd.id);
}

static gint
add_object(GstAnalyticsRelationMeta *meta, const GstInferObject *object, GstClockTime time)
{
  const GQuark type = object->label ? object->label : g_quark_from_static_string("object");
  const gint x = (gint)round(object->x), y = (gint)round(object->y);
  const gint w = MAX((gint)round(object->x + object->w) - x, 1);
  const gint h = MAX((gint)round(object->y + object->h) - y, 1);
  GstAnalyticsClsMtd class;
  GstAnalyticsODMtd found;

  if (!gst_analytics_relation_meta_add_one_cls_mtd(meta, (gfloat)object->confidence, type,
                                                   &class) ||
      !gst_analytics_relation_meta_add_od_mtd(meta, type, x, y, w, h, (gfloat)object->confidence,
                                              &found))
    return -1;
  relate(meta, found.id, class.id);
  if (object->has_object_id)
    add_track(meta, found.id, object->object_id, time);
  return (gint)found.id;
}

void
gst_infer_analytics_add(GstBuffer *buffer, const GstInferObject *objects, const gboolean *valid,
                        guint n, gint *ids)
{
  GstAnalyticsRelationMeta *meta = ensure_relations(buffer, n);

  for (guint i = 0; i < n; i++)
    ids[i] = valid[i] && meta ? add_object(meta, &objects[i], GST_BUFFER_PTS(buffer)) : -1;
}

void
gst_infer_analytics_update(GstBuffer *buffer, const GstInferObject *object)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
  GstAnalyticsODMtd found;
  GstAnalyticsMtd track;
  gpointer state = NULL;
  guint64 id = 0;

  if (!meta || object->id < 0 || !object->has_object_id ||
      !gst_analytics_relation_meta_get_od_mtd(meta, (guint)object->id, &found))
    return;
  while (gst_analytics_relation_meta_get_direct_related(
      meta, found.id, GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_tracking_mtd_get_mtd_type(),
      &state, &track)) {
    if (gst_analytics_tracking_mtd_get_info(&track, &id, NULL, NULL, NULL) &&
        id == object->object_id)
      return;
  }
  add_track(meta, found.id, object->object_id, GST_BUFFER_PTS(buffer));
}

static void
read_track(GstAnalyticsRelationMeta *meta, guint id, GstInferObject *object)
{
  GstClockTime first, last;
  GstAnalyticsMtd track;
  gpointer state = NULL;
  gboolean lost = FALSE;

  if (gst_analytics_relation_meta_get_direct_related(meta, id, GST_ANALYTICS_REL_TYPE_RELATE_TO,
                                                     gst_analytics_tracking_mtd_get_mtd_type(),
                                                     &state, &track) &&
      gst_analytics_tracking_mtd_get_info(&track, &object->object_id, &first, &last, &lost))
    object->has_object_id = TRUE;
}

void
gst_infer_analytics_collect(GstBuffer *buffer, GArray *objects)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
  gpointer state = NULL;
  GstAnalyticsMtd mtd;

  while (meta && gst_analytics_relation_meta_iterate(meta, &state,
                                                     gst_analytics_od_mtd_get_mtd_type(), &mtd)) {
    GstInferObject object = {.id = (gint)mtd.id, .parent_id = -1, .label_id = -1};
    gint x, y, w, h;
    gfloat confidence;

    if (!gst_analytics_od_mtd_get_location(&mtd, &x, &y, &w, &h, &confidence))
      continue;
    object.label = gst_analytics_od_mtd_get_obj_type(&mtd);
    object.confidence = isfinite(confidence) ? (gdouble)confidence : 0;
    object.x = x;
    object.y = y;
    object.w = w;
    object.h = h;
    read_track(meta, mtd.id, &object);
    g_array_append_val(objects, object);
  }
}

#else

gboolean
gst_infer_analytics_available(void)
{
  return FALSE;
}

gboolean
gst_infer_analytics_scales(void)
{
  return FALSE;
}

void
gst_infer_analytics_add(GstBuffer *buffer, const GstInferObject *objects, const gboolean *valid,
                        guint n, gint *ids)
{
}

void
gst_infer_analytics_update(GstBuffer *buffer, const GstInferObject *object)
{
}

void
gst_infer_analytics_collect(GstBuffer *buffer, GArray *objects)
{
}
#endif

#if defined(HAVE_GST_ANALYTICS) && GST_CHECK_VERSION(1, 26, 0)
static gboolean
tensor_type(const gchar *name, GstTensorDataType *type)
{
  static const struct {
    const gchar *name;
    GstTensorDataType type;
  } types[] = {
    {"float", GST_TENSOR_DATA_TYPE_FLOAT32},
    {"float16", GST_TENSOR_DATA_TYPE_FLOAT16},
    {"double", GST_TENSOR_DATA_TYPE_FLOAT64},
    {"bfloat16", GST_TENSOR_DATA_TYPE_BFLOAT16},
    {"int8", GST_TENSOR_DATA_TYPE_INT8},
    {"int16", GST_TENSOR_DATA_TYPE_INT16},
    {"int32", GST_TENSOR_DATA_TYPE_INT32},
    {"int64", GST_TENSOR_DATA_TYPE_INT64},
    {"uint8", GST_TENSOR_DATA_TYPE_UINT8},
    {"uint16", GST_TENSOR_DATA_TYPE_UINT16},
    {"uint32", GST_TENSOR_DATA_TYPE_UINT32},
    {"uint64", GST_TENSOR_DATA_TYPE_UINT64},
#if GST_CHECK_VERSION(1, 28, 0)
    {"bool", GST_TENSOR_DATA_TYPE_BOOL},
#endif
  };

  for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
    *type = types[i].type;
    if (g_str_equal(types[i].name, name))
      return TRUE;
  }
  return FALSE;
}

gboolean
gst_infer_tensors_add(GstBuffer *buffer, const GstInferTensor *tensors, guint n)
{
  GstTensor **made = g_new0(GstTensor *, MAX(n, 1));
  GstTensorDataType type;
  guint count = 0;

  for (guint i = 0; i < n; i++) {
    const GstInferTensor *from = &tensors[i];
    gsize dims[G_N_ELEMENTS(from->dims)];
    if (!tensor_type(from->type, &type))
      continue;
    memcpy(dims, from->dims, sizeof dims);
    made[count++] = gst_tensor_new_simple(g_quark_from_string(from->name), type,
                                          gst_buffer_new_memdup(from->data, from->size),
                                          GST_TENSOR_DIM_ORDER_ROW_MAJOR, from->n_dims, dims);
  }
  gst_tensor_meta_set(gst_buffer_add_tensor_meta(buffer), count, made);
  return TRUE;
}

gint
gst_infer_tensors_count(GstBuffer *buffer)
{
  GstTensorMeta *meta = gst_buffer_get_tensor_meta(buffer);

  return meta ? (gint)meta->num_tensors : 0;
}

gboolean
gst_infer_tensors_read(GstBuffer *buffer, const gchar *name, gpointer data, gsize size)
{
  GstTensorMeta *meta = gst_buffer_get_tensor_meta(buffer);
  const GstTensor *tensor =
      meta ? gst_tensor_meta_get_by_id(meta, g_quark_from_string(name)) : NULL;

  return tensor && gst_buffer_get_size(tensor->data) == size &&
         gst_buffer_extract(tensor->data, 0, data, size) == size;
}
#else
gboolean
gst_infer_tensors_add(GstBuffer *buffer, const GstInferTensor *tensors, guint n)
{
  return FALSE;
}

gint
gst_infer_tensors_count(GstBuffer *buffer)
{
  return -1;
}

gboolean
gst_infer_tensors_read(GstBuffer *buffer, const gchar *name, gpointer data, gsize size)
{
  return FALSE;
}
#endif
