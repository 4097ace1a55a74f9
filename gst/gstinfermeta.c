/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinfermeta-private.h"

#include <math.h>

typedef struct {
  GstMeta meta;
  GstInferResultData *data;
} InferResultMeta;

static const GstMetaInfo *result_meta_get_info(void);

static void
free_params(GList *params)
{
  g_list_free_full(params, (GDestroyNotify)gst_structure_free);
}

GList *
gst_infer_params_copy(const GList *params)
{
  GList *copy = NULL;

  for (const GList *l = params; l != NULL; l = l->next)
    copy = g_list_prepend(copy, gst_structure_copy(l->data));
  return g_list_reverse(copy);
}

static void
object_clear(gpointer object)
{
  free_params(((GstInferObject *)object)->params);
}

GArray *
gst_infer_objects_new(guint reserve)
{
  GArray *objects = g_array_sized_new(FALSE, FALSE, sizeof(GstInferObject), reserve);
  g_array_set_clear_func(objects, object_clear);
  return objects;
}

GstInferObject *
gst_infer_objects_at(GArray *objects, guint index)
{
  return &g_array_index(objects, GstInferObject, index);
}

void
gst_infer_objects_append_copy(GArray *objects, const GstInferObject *object)
{
  GstInferObject copy = *object;

  copy.params = gst_infer_params_copy(object->params);
  g_array_append_val(objects, copy);
}

static GstInferResultData *
data_new(guint reserve)
{
  GstInferResultData *data = g_new0(GstInferResultData, 1);

  g_atomic_ref_count_init(&data->ref_count);
  data->frame = GST_BUFFER_OFFSET_NONE;
  data->objects = gst_infer_objects_new(reserve);
  return data;
}

static GstInferResultData *
data_ref(GstInferResultData *data)
{
  g_atomic_ref_count_inc(&data->ref_count);
  return data;
}

static void
data_unref(GstInferResultData *data)
{
  if (data != NULL && g_atomic_ref_count_dec(&data->ref_count)) {
    g_array_unref(data->objects);
    g_free(data);
  }
}

/* Makes the contents of @meta its own. */
static GstInferResultData *
meta_own_data(InferResultMeta *meta)
{
  GstInferResultData *old = meta->data;

  if (g_atomic_ref_count_compare(&old->ref_count, 1))
    return old;
  meta->data = data_new(old->objects->len);
  meta->data->width = old->width;
  meta->data->height = old->height;
  meta->data->stream = old->stream;
  meta->data->model_name = old->model_name;
  meta->data->frame = old->frame;
  meta->data->carried = old->carried;
  for (guint i = 0; i < old->objects->len; i++)
    gst_infer_objects_append_copy(meta->data->objects, gst_infer_objects_at(old->objects, i));
  data_unref(old);
  return meta->data;
}

static gboolean
result_meta_init(GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  ((InferResultMeta *)meta)->data = NULL;
  return TRUE;
}

static void
result_meta_free(GstMeta *meta, GstBuffer *buffer)
{
  data_unref(((InferResultMeta *)meta)->data);
}

static InferResultMeta *
find_result(GstBuffer *buffer)
{
  return (InferResultMeta *)gst_buffer_get_meta(buffer, gst_infer_result_meta_api_get_type());
}

gint
gst_infer_objects_find_id(GArray *objects, gint id)
{
  for (guint i = 0; i < objects->len; i++)
    if (gst_infer_objects_at(objects, i)->id == id)
      return (gint)i;
  return -1;
}

const GstInferResultData *
gst_infer_result_data(GstBuffer *buffer)
{
  const InferResultMeta *meta = find_result(buffer);
  return meta != NULL ? meta->data : NULL;
}

/* Copies under every kind of transformation: the geometry comes from the ROI metas, and a record
 * whose ROI did not survive is not used. */
static gboolean
result_meta_transform(GstBuffer *dest, GstMeta *meta, GstBuffer *source, GQuark type, gpointer data)
{
  GstInferResultData *from = ((InferResultMeta *)meta)->data;
  InferResultMeta *to = find_result(dest);

  if (from == NULL)
    return FALSE;
  if (to == NULL) {
    to = (InferResultMeta *)gst_buffer_add_meta(dest, result_meta_get_info(), NULL);
    if (to == NULL)
      return FALSE;
    to->data = data_ref(from);
    return TRUE;
  }
  if (to->data == from)
    return TRUE;
  GstInferResultData *own = meta_own_data(to);
  for (guint i = 0; i < from->objects->len; i++)
    if (gst_infer_objects_find_id(own->objects, gst_infer_objects_at(from->objects, i)->id) < 0)
      gst_infer_objects_append_copy(own->objects, gst_infer_objects_at(from->objects, i));
  return TRUE;
}

/* Names are looked up first: a program may hold this file beside the plugin. */
GType
gst_infer_result_meta_api_get_type(void)
{
  static gsize type = 0;
  static const gchar *no_tags[] = {NULL};

  if (g_once_init_enter(&type)) {
    GType found = g_type_from_name("InferResultMetaAPI");
    g_once_init_leave(&type,
                      found ? found : gst_meta_api_type_register("InferResultMetaAPI", no_tags));
  }
  return type;
}

static const GstMetaInfo *
result_meta_get_info(void)
{
  static gsize info = 0;

  if (g_once_init_enter(&info)) {
    const GstMetaInfo *found = gst_meta_get_info("InferResultMeta");
    if (found == NULL)
      found = gst_meta_register(gst_infer_result_meta_api_get_type(), "InferResultMeta",
                                sizeof(InferResultMeta), result_meta_init, result_meta_free,
                                result_meta_transform);
    g_once_init_leave(&info, (gsize)found);
  }
  return (const GstMetaInfo *)info;
}

/* The rectangle that a ROI meta holds for an object: whole pixels, at least one. */
static void
pixel_rectangle(const GstInferObject *object, guint rect[4])
{
  gdouble left = MIN(round(object->x), ceil(object->x + object->w) - 1);
  gdouble top = MIN(round(object->y), ceil(object->y + object->h) - 1);
  gdouble right = MAX(round(object->x + object->w), left + 1);
  gdouble bottom = MAX(round(object->y + object->h), top + 1);

  rect[0] = (guint)left;
  rect[1] = (guint)top;
  rect[2] = (guint)(right - left);
  rect[3] = (guint)(bottom - top);
}

/* GstStructure takes no other text than UTF-8. */
static GQuark
valid_label(GQuark label)
{
  const gchar *text = g_quark_to_string(label);

  if (text == NULL || g_utf8_validate(text, -1, NULL))
    return label;
  g_autofree gchar *valid = g_utf8_make_valid(text, -1);
  return g_quark_from_string(valid);
}

/* Clips to the frame; FALSE where nothing is left, or where the numbers are none. */
static gboolean
check_object(GstInferObject *object, guint width, guint height)
{
  const gdouble limit_x = width > 0 ? (gdouble)width : (gdouble)G_MAXINT;
  const gdouble limit_y = height > 0 ? (gdouble)height : (gdouble)G_MAXINT;
  gdouble right = object->x + object->w, bottom = object->y + object->h;

  if (!isfinite(right) || !isfinite(bottom) || !isfinite(object->x) || !isfinite(object->y))
    return FALSE;
  object->x = MAX(object->x, 0);
  object->y = MAX(object->y, 0);
  object->w = MIN(right, limit_x) - object->x;
  object->h = MIN(bottom, limit_y) - object->y;
  if (!(object->w > 0 && object->h > 0))
    return FALSE;
  if (!isfinite(object->confidence))
    object->confidence = 0;
  object->label = valid_label(object->label);
  return TRUE;
}

static GstStructure *
detection_structure(const GstInferObject *object, guint width, guint height)
{
  GstStructure *detection =
      gst_structure_new("detection", "label_id", G_TYPE_INT, object->label_id, "confidence",
                        G_TYPE_DOUBLE, object->confidence, NULL);

  if (width > 0 && height > 0)
    gst_structure_set(detection, "x_min", G_TYPE_DOUBLE, object->x / width, "x_max", G_TYPE_DOUBLE,
                      (object->x + object->w) / width, "y_min", G_TYPE_DOUBLE, object->y / height,
                      "y_max", G_TYPE_DOUBLE, (object->y + object->h) / height, NULL);
  if (object->label != 0)
    gst_structure_set(detection, "label", G_TYPE_STRING, g_quark_to_string(object->label), NULL);
  return detection;
}

/* DL Streamer's number is an int; ours is kept whole in the InferResultMeta. */
static GstStructure *
object_id_structure(const GstInferObject *object)
{
  return gst_structure_new("object_id", "id", G_TYPE_INT, (gint)(object->object_id & G_MAXINT),
                           NULL);
}

GQuark
gst_infer_object_roi_type(const GstInferObject *object)
{
  return object->label != 0 ? object->label : g_quark_from_static_string("object");
}

static void
roi_set_params(GstVideoRegionOfInterestMeta *roi, const GstInferObject *object, guint width,
               guint height)
{
  free_params(roi->params);
  roi->params = g_list_prepend(gst_infer_params_copy(object->params),
                               detection_structure(object, width, height));
  if (object->has_object_id)
    roi->params = g_list_append(roi->params, object_id_structure(object));
}

static void
add_roi(GstBuffer *buffer, const GstInferObject *object, guint width, guint height)
{
  guint rect[4];

  pixel_rectangle(object, rect);
  GstVideoRegionOfInterestMeta *roi = gst_buffer_add_video_region_of_interest_meta_id(
      buffer, gst_infer_object_roi_type(object), rect[0], rect[1], rect[2], rect[3]);
  roi->id = object->id;
  roi->parent_id = object->parent_id;
  roi_set_params(roi, object, width, height);
}

/* The highest id in use; 0 counts as used, because it is what elements that give no ids leave. */
static gint
highest_id(GstBuffer *buffer, const GstInferResultData *data)
{
  gpointer state = NULL;
  GstMeta *meta;
  gint highest = 0;

  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, ROI_META_API)))
    highest = MAX(highest, ((GstVideoRegionOfInterestMeta *)meta)->id);
  for (guint i = 0; data != NULL && i < data->objects->len; i++)
    highest = MAX(highest, gst_infer_objects_at(data->objects, i)->id);
  return highest;
}

static gboolean
id_in_use(GstBuffer *buffer, const GstInferResultData *data, gint id)
{
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, ROI_META_API)))
    if (((GstVideoRegionOfInterestMeta *)meta)->id == id)
      return TRUE;
  return data != NULL && gst_infer_objects_find_id(data->objects, id) >= 0;
}

/* Fills @ids: what was given, moved as a whole where one of them is taken; the rest follow. */
static void
assign_ids(GstBuffer *buffer, const GstInferResultData *data, const GstInferObject *objects,
           guint n, gint *ids)
{
  gint highest = highest_id(buffer, data), lowest = G_MAXINT, shift = 0;
  gboolean taken = FALSE;

  for (guint i = 0; i < n; i++) {
    if (objects[i].id < 0)
      continue;
    lowest = MIN(lowest, objects[i].id);
    taken = taken || id_in_use(buffer, data, objects[i].id);
  }
  if (taken)
    shift = highest + 1 - lowest;
  for (guint i = 0; i < n; i++) {
    ids[i] = objects[i].id < 0 ? -1 : objects[i].id + shift;
    highest = MAX(highest, ids[i]);
  }
  for (guint i = 0; i < n; i++)
    if (ids[i] < 0)
      ids[i] = highest < G_MAXINT ? ++highest : highest;
}

static gint
assigned_parent(const GstInferObject *objects, guint n, const gint *ids, gint parent)
{
  for (guint i = 0; parent >= 0 && i < n; i++)
    if (objects[i].id == parent)
      return ids[i];
  return parent;
}

/* The InferResultMeta of @buffer, added where there is none, ready to be changed. */
static GstInferResultData *
ensure_result(GstBuffer *buffer, guint reserve)
{
  InferResultMeta *meta = find_result(buffer);

  if (meta != NULL)
    return meta_own_data(meta);
  meta = (InferResultMeta *)gst_buffer_add_meta(buffer, result_meta_get_info(), NULL);
  meta->data = data_new(reserve);
  return meta->data;
}

/* Rectangles of one record set are all in pixels of one frame size. */
static void
rescale_data(GstInferResultData *data, guint width, guint height)
{
  if (width == 0 || height == 0)
    return;
  if (data->width > 0 && data->height > 0 && (data->width != width || data->height != height)) {
    const gdouble sx = (gdouble)width / data->width, sy = (gdouble)height / data->height;
    for (guint i = 0; i < data->objects->len; i++) {
      GstInferObject *object = gst_infer_objects_at(data->objects, i);
      object->x *= sx;
      object->w *= sx;
      object->y *= sy;
      object->h *= sy;
    }
  }
  data->width = width;
  data->height = height;
}

GType
gst_infer_metadata_get_type(void)
{
  static const GEnumValue values[] = {
      {GST_INFER_METADATA_AUTO, "Regions of interest, and analytics from GStreamer 1.24 on",
       "auto"},
      {GST_INFER_METADATA_ROI, "Regions of interest", "roi"},
      {GST_INFER_METADATA_ANALYTICS, "Analytics (GStreamer 1.24 and newer)", "analytics"},
      {GST_INFER_METADATA_BOTH, "Regions of interest and analytics", "both"},
      {0, NULL, NULL}};
  static gsize type = 0;

  if (g_once_init_enter(&type)) {
    GType found = g_type_from_name("GstInferMetadata");
    g_once_init_leave(&type, found ? found : g_enum_register_static("GstInferMetadata", values));
  }
  return type;
}

static void
describe(GstInferResultData *data, const GstInferAttachment *what, guint width, guint height)
{
  rescale_data(data, width, height);
  if (what->stream != NULL)
    data->stream = g_intern_string(what->stream);
  if (what->model_name != NULL)
    data->model_name = g_intern_string(what->model_name);
  if (what->frame != GST_BUFFER_OFFSET_NONE)
    data->frame = what->frame;
  data->carried = what->carried;
}

/* Copies of the objects that lie in the frame. */
static GstInferObject *
check_objects(const GstInferObject *objects, guint n, guint width, guint height, gboolean *valid)
{
  GstInferObject *checked = g_new(GstInferObject, MAX(n, 1));

  for (guint i = 0; i < n; i++) {
    checked[i] = objects[i];
    valid[i] = check_object(&checked[i], width, height);
  }
  return checked;
}

/* The entries' numbers are the ids, where none were given and no region has them yet. */
static gboolean
ids_are_free(GstBuffer *buffer, const GstInferResultData *data, const GstInferObject *objects,
             const gboolean *valid, const gint *ids, guint n)
{
  for (guint i = 0; i < n; i++)
    if (objects[i].id >= 0 || (valid[i] && (ids[i] < 0 || id_in_use(buffer, data, ids[i]))))
      return FALSE;
  return TRUE;
}

gboolean
gst_infer_meta_attach_full(GstBuffer *buffer, const GstVideoInfo *info,
                           const GstInferAttachment *what, const GstInferObject *objects, guint n)
{
  if (!gst_buffer_is_writable(buffer))
    return FALSE;

  const guint width = info ? (guint)GST_VIDEO_INFO_WIDTH(info) : 0;
  const guint height = info ? (guint)GST_VIDEO_INFO_HEIGHT(info) : 0;
  const gboolean analytics =
      what->metadata != GST_INFER_METADATA_ROI && gst_infer_analytics_available();
  const gboolean rois = what->metadata != GST_INFER_METADATA_ANALYTICS || !analytics;
  const InferResultMeta *before = find_result(buffer);
  const GstInferResultData *there = before ? before->data : NULL;
  g_autofree gint *ids = g_new(gint, MAX(n, 1));
  g_autofree gboolean *valid = g_new(gboolean, MAX(n, 1));
  g_autofree GstInferObject *checked = check_objects(objects, n, width, height, valid);

  if (analytics)
    gst_infer_analytics_add(buffer, checked, valid, n, ids);
  if (!analytics || !ids_are_free(buffer, there, objects, valid, ids, n))
    assign_ids(buffer, there, objects, n, ids);
  GstInferResultData *data = ensure_result(buffer, n);
  describe(data, what, width, height);

  for (guint i = 0; i < n; i++) {
    GstInferObject *object = &checked[i];
    if (!valid[i])
      continue;
    object->id = ids[i];
    object->parent_id = assigned_parent(objects, n, ids, objects[i].parent_id);
    if (rois)
      add_roi(buffer, object, width, height);
    gst_infer_objects_append_copy(data->objects, object);
  }
  return TRUE;
}

gboolean
gst_infer_meta_attach(GstBuffer *buffer, const GstVideoInfo *info, const gchar *stream,
                      guint64 frame_number, const GstInferObject *objects, guint n,
                      const gchar *model_name)
{
  const GstInferAttachment what = {
      .stream = stream, .frame = frame_number, .model_name = model_name};

  return gst_infer_meta_attach_full(buffer, info, &what, objects, n);
}

static GstVideoRegionOfInterestMeta *
find_roi(GstBuffer *buffer, const GstInferObject *record)
{
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, ROI_META_API))) {
    GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)meta;
    if (roi->id == record->id && roi->roi_type == gst_infer_object_roi_type(record))
      return roi;
  }
  return NULL;
}

gboolean
gst_infer_meta_update(GstBuffer *buffer, const GstVideoInfo *info, const GstInferObject *objects,
                      guint n)
{
  const guint width = info ? (guint)GST_VIDEO_INFO_WIDTH(info) : 0;
  const guint height = info ? (guint)GST_VIDEO_INFO_HEIGHT(info) : 0;

  if (!gst_buffer_is_writable(buffer))
    return FALSE;
  GstInferResultData *data = ensure_result(buffer, n);
  rescale_data(data, width, height);
  for (guint i = 0; i < n; i++) {
    GstInferObject object = objects[i];
    GstVideoRegionOfInterestMeta *roi = find_roi(buffer, &object);
    const gint index = gst_infer_objects_find_id(data->objects, object.id);
    if (!check_object(&object, width, height))
      continue;
    if (roi != NULL) {
      guint rect[4];
      pixel_rectangle(&object, rect);
      roi->x = rect[0];
      roi->y = rect[1];
      roi->w = rect[2];
      roi->h = rect[3];
      roi_set_params(roi, &object, width, height);
    }
    if (index >= 0) {
      GstInferObject *record = gst_infer_objects_at(data->objects, (guint)index);
      GList *old = record->params;
      *record = object;
      record->params = gst_infer_params_copy(object.params);
      free_params(old);
    } else if (roi != NULL) {
      gst_infer_objects_append_copy(data->objects, &object);
    }
    gst_infer_analytics_update(buffer, &object);
  }
  return TRUE;
}
