/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinfermeta-private.h"

#include <math.h>

static gboolean
is_own_param(const GstStructure *param)
{
  return gst_structure_has_name(param, "detection") || gst_structure_has_name(param, "object_id");
}

static void
read_object_id(GstInferObject *object, const GstStructure *param)
{
  gint id = 0;

  if (gst_structure_get_int(param, "id", &id)) {
    object->has_object_id = TRUE;
    object->object_id = (guint64)id;
  }
}

/* An object that another element described by a ROI meta alone. */
static GstInferObject
object_from_roi(GstVideoRegionOfInterestMeta *roi)
{
  GstInferObject object = {.label_id = -1, .label = roi->roi_type};

  for (GList *l = roi->params; l != NULL; l = l->next) {
    const GstStructure *param = l->data;
    if (gst_structure_has_name(param, "detection")) {
      gst_structure_get_int(param, "label_id", &object.label_id);
      gst_structure_get_double(param, "confidence", &object.confidence);
      const gchar *label = gst_structure_get_string(param, "label");
      if (label != NULL && *label != '\0')
        object.label = g_quark_from_string(label);
    } else if (gst_structure_has_name(param, "object_id")) {
      read_object_id(&object, param);
    } else {
      object.params = g_list_prepend(object.params, gst_structure_copy(param));
    }
  }
  object.params = g_list_reverse(object.params);
  if (!isfinite(object.confidence))
    object.confidence = 0;
  return object;
}

static gboolean
has_param(const GList *params, const GstStructure *wanted)
{
  for (const GList *l = params; l != NULL; l = l->next)
    if (gst_structure_is_equal(l->data, wanted))
      return TRUE;
  return FALSE;
}

/* Ours, with what other elements have put on its ROI since. */
static GstInferObject
object_from_record(const GstInferObject *record, GstVideoRegionOfInterestMeta *roi)
{
  GstInferObject object = *record;

  object.params = gst_infer_params_copy(record->params);
  for (GList *l = roi->params; l != NULL; l = l->next) {
    const GstStructure *param = l->data;
    if (!object.has_object_id && gst_structure_has_name(param, "object_id"))
      read_object_id(&object, param);
    else if (!is_own_param(param) && !has_param(record->params, param))
      object.params = g_list_append(object.params, gst_structure_copy(param));
  }
  return object;
}

/* The ROI holds whole pixels; where it is the record's rectangle rounded, the record is exact. */
static void
set_geometry(GstInferObject *object, const GstInferObject *record,
             const GstVideoRegionOfInterestMeta *roi, gdouble sx, gdouble sy)
{
  const gdouble rect[4] = {roi->x, roi->y, (gdouble)roi->x + roi->w, (gdouble)roi->y + roi->h};

  object->x = rect[0];
  object->y = rect[1];
  object->w = roi->w;
  object->h = roi->h;
  if (record == NULL)
    return;
  const gdouble exact[4] = {record->x * sx, record->y * sy, (record->x + record->w) * sx,
                            (record->y + record->h) * sy};
  /* Scaling a rounded rectangle adds its own error to that of the first rounding. */
  const gdouble slack_x = sx == 1 ? 0.5 : 1 + sx, slack_y = sy == 1 ? 0.5 : 1 + sy;
  if (fabs(rect[0] - exact[0]) > slack_x || fabs(rect[2] - exact[2]) > slack_x ||
      fabs(rect[1] - exact[1]) > slack_y || fabs(rect[3] - exact[3]) > slack_y)
    return;
  object->x = exact[0];
  object->y = exact[1];
  object->w = exact[2] - exact[0];
  object->h = exact[3] - exact[1];
}

/* The record of @roi; the search starts where the last one ended, as the order is usually kept. */
static const GstInferObject *
find_record(const GstInferResultData *data, const GstVideoRegionOfInterestMeta *roi, guint *next)
{
  const guint n = data != NULL ? data->objects->len : 0;

  for (guint i = 0; i < n; i++) {
    const guint index = (*next + i) % n;
    const GstInferObject *record = gst_infer_objects_at(data->objects, index);
    if (record->id == roi->id && gst_infer_object_roi_type(record) == roi->roi_type) {
      *next = index + 1;
      return record;
    }
  }
  return NULL;
}

/* Elements that know no parents leave 0, or the object's own id. */
static void
check_parents(GArray *objects)
{
  for (guint i = 0; i < objects->len; i++) {
    GstInferObject *object = gst_infer_objects_at(objects, i);
    if (object->parent_id < 0 || object->parent_id == object->id ||
        (object->parent_id == 0 && gst_infer_objects_find_id(objects, 0) < 0))
      object->parent_id = -1;
  }
}

static void
fill_result(GstInferResult *result, const GstInferResultData *data)
{
  *result = (GstInferResult){.frame = GST_BUFFER_OFFSET_NONE};
  if (data == NULL)
    return;
  result->inferred = TRUE;
  result->stream = data->stream;
  result->frame = data->frame;
  result->model_name = data->model_name;
  result->carried = data->carried;
  result->width = data->width;
  result->height = data->height;
}

static gboolean
is_there(GArray *objects, const GstInferObject *wanted)
{
  for (guint i = 0; i < objects->len; i++) {
    const GstInferObject *object = gst_infer_objects_at(objects, i);
    if (gst_infer_object_roi_type(object) != gst_infer_object_roi_type(wanted))
      continue;
    if (object->id == wanted->id ||
        (fabs(object->x - wanted->x) < 1 && fabs(object->y - wanted->y) < 1 &&
         fabs(object->w - wanted->w) < 2 && fabs(object->h - wanted->h) < 2))
      return TRUE;
  }
  return FALSE;
}

/* Whether an entry lies where a record does in a frame scaled so. */
static gboolean
lies_at(const GstInferObject *entry, const GstInferObject *record, gdouble sx, gdouble sy)
{
  return fabs(entry->x - record->x * sx) <= 1 + sx && fabs(entry->y - record->y * sy) <= 1 + sy &&
         fabs(entry->w - record->w * sx) <= 1 + sx && fabs(entry->h - record->h * sy) <= 1 + sy;
}

/* What our record knows of an entry; FALSE for one that nobody took along to a new frame size. */
static gboolean
merge_record(GstInferObject *object, const GstInferObject *record, gdouble sx, gdouble sy)
{
  const GstInferObject entry = *object;
  const gboolean there = lies_at(&entry, record, sx, sy);
  const gboolean left_behind = !there && (sx != 1 || sy != 1) && lies_at(&entry, record, 1, 1);

  *object = *record;
  if (entry.has_object_id && !record->has_object_id) {
    object->has_object_id = TRUE;
    object->object_id = entry.object_id;
  }
  if (there) {
    object->x = record->x * sx;
    object->y = record->y * sy;
    object->w = record->w * sx;
    object->h = record->h * sy;
    return TRUE;
  }
  object->x = entry.x;
  object->y = entry.y;
  object->w = entry.w;
  object->h = entry.h;
  /* Before 1.26 no entry is taken along. */
  return !left_behind && (gst_infer_analytics_scales() || (sx == 1 && sy == 1));
}

/* Objects that lie in the analytics alone: of others, or ours where no region was wanted; with
 * @regions, where others of ours have regions, somebody took this one's away. */
static gboolean
collect_analytics(GstBuffer *buffer, const GstInferResultData *data, gdouble sx, gdouble sy,
                  gboolean regions, GArray *objects)
{
  g_autoptr(GArray) found = gst_infer_objects_new(0);
  gboolean any_record = FALSE;

  gst_infer_analytics_collect(buffer, found);
  for (guint i = 0; i < found->len; i++) {
    GstInferObject object = *gst_infer_objects_at(found, i);
    const gint index = data ? gst_infer_objects_find_id(data->objects, object.id) : -1;

    if (is_there(objects, &object) || (index >= 0 && regions))
      continue;
    if (index >= 0 &&
        !merge_record(&object, gst_infer_objects_at(data->objects, (guint)index), sx, sy))
      continue;
    any_record |= index >= 0;
    gst_infer_objects_append_copy(objects, &object);
  }
  return any_record;
}

GArray *
gst_infer_meta_collect(GstBuffer *buffer, const GstVideoInfo *info, GstInferResult *result)
{
  const GstInferResultData *data = gst_infer_result_data(buffer);
  const gboolean sized = data != NULL && info != NULL && data->width > 0 && data->height > 0;
  const gdouble sx = sized ? (gdouble)GST_VIDEO_INFO_WIDTH(info) / data->width : 1;
  const gdouble sy = sized ? (gdouble)GST_VIDEO_INFO_HEIGHT(info) / data->height : 1;
  GArray *objects = gst_infer_objects_new(data != NULL ? data->objects->len : 0);
  gboolean any_record = FALSE;
  gpointer state = NULL;
  GstMeta *item;
  guint next = 0;

  while ((item = gst_buffer_iterate_meta_filtered(buffer, &state, ROI_META_API))) {
    GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)item;
    const GstInferObject *record = find_record(data, roi, &next);
    GstInferObject object = record ? object_from_record(record, roi) : object_from_roi(roi);
    set_geometry(&object, record, roi, sx, sy);
    object.id = roi->id;
    object.parent_id = roi->parent_id;
    any_record |= record != NULL;
    g_array_append_val(objects, object);
  }
  any_record |= collect_analytics(buffer, data, sx, sy, any_record, objects);
  if (data != NULL && !any_record && (info == NULL || (sized && sx == 1 && sy == 1)))
    for (guint i = 0; i < data->objects->len; i++)
      gst_infer_objects_append_copy(objects, gst_infer_objects_at(data->objects, i));
  check_parents(objects);
  if (result != NULL)
    fill_result(result, data);
  return objects;
}
