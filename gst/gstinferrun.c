/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferrun.h"
#include "gstinfermeta-private.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

static void
entry_clear(gpointer data)
{
  GstInferEntry *entry = data;

  gst_infer_item_clear(&entry->item);
  gst_clear_object(&entry->pad);
}

GstInferRun *
gst_infer_run_new(guint index)
{
  GstInferRun *run = g_new0(GstInferRun, 1);

  run->index = index;
  run->entries = g_array_new(FALSE, TRUE, sizeof(GstInferEntry));
  g_array_set_clear_func(run->entries, entry_clear);
  run->objects = gst_infer_objects_new(16);
  return run;
}

void
gst_infer_run_free(GstInferRun *run)
{
  g_array_unref(run->entries);
  g_array_unref(run->objects);
  g_free(run->maps);
  g_free(run->frames);
  g_free(run->placements);
  g_free(run->rows);
  g_free(run);
}

/* Memory grows with the largest batch and stays. */
static void
reserve(GstInferRun *run, guint n)
{
  if (n <= run->allocated)
    return;
  run->maps = g_renew(GstVideoFrame, run->maps, n);
  run->frames = g_renew(InferFrame, run->frames, n);
  run->placements = g_renew(InferPlacement, run->placements, n);
  run->rows = g_renew(guint, run->rows, n);
  run->allocated = n;
}

/* Bytes of a row and rows of a plane that the engine reads. */
static void
plane_extent(const GstVideoFrame *frame, guint plane, gsize *bytes, gsize *rows)
{
  const gsize width = GST_VIDEO_FRAME_WIDTH(frame), half = (width + 1) / 2;

  *rows = GST_VIDEO_FRAME_HEIGHT(frame);
  switch (GST_VIDEO_FRAME_FORMAT(frame)) {
  case GST_VIDEO_FORMAT_NV12:
    *bytes = plane ? 2 * half : width;
    break;
  case GST_VIDEO_FORMAT_P010_10LE:
    *bytes = plane ? 4 * half : 2 * width;
    break;
  case GST_VIDEO_FORMAT_I420:
    *bytes = plane ? half : width;
    break;
  case GST_VIDEO_FORMAT_YUY2:
    *bytes = 4 * half;
    break;
  default:
    *bytes = width * (gsize)GST_VIDEO_FRAME_COMP_PSTRIDE(frame, 0);
  }
  if (plane)
    *rows = (*rows + 1) / 2;
}

/* A buffer's GstVideoMeta is not checked against its memory when it is mapped. Strides are negative
 * for pictures stored bottom up. */
gboolean
gst_infer_planes_fit(const GstVideoFrame *frame)
{
  for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES(frame); i++) {
    const GstMapInfo *map = &frame->map[frame->meta ? i : 0];
    const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA(frame, i);
    const gint64 stride = GST_VIDEO_FRAME_PLANE_STRIDE(frame, i);
    gsize bytes, rows;

    plane_extent(frame, i, &bytes, &rows);
    if (rows < 1 || bytes < 1 || (gsize)ABS(stride) < bytes || data < map->data ||
        data > map->data + map->size)
      return FALSE;
    const gsize before = (gsize)(data - map->data), after = map->size - before;
    const gsize reach = stride < 0 ? before : after < bytes ? 0 : after - bytes;
    if (after < bytes || reach / (gsize)ABS(stride) < rows - 1)
      return FALSE;
  }
  return TRUE;
}

/* The part to infer on: what the crop meta says, else the caps' size. */
static gboolean
set_crop(InferFrame *out, GstBuffer *buffer, const GstVideoInfo *info)
{
  const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta(buffer);

  out->crop_x = crop ? crop->x : 0;
  out->crop_y = crop ? crop->y : 0;
  out->crop_width = crop ? crop->width : (guint)info->width;
  out->crop_height = crop ? crop->height : (guint)info->height;
  return out->crop_width > 0 && out->crop_height > 0 && out->crop_x < out->width &&
         out->crop_y < out->height && out->crop_width <= out->width - out->crop_x &&
         out->crop_height <= out->height - out->crop_y;
}

static const gchar *
map_frame(const GstInferItem *item, GstVideoFrame *frame, InferFrame *out)
{
  GstBuffer *buffer = GST_BUFFER_CAST(item->object);
  const GstInferFormat *format = item->format;

  if (!gst_video_frame_map(frame, &format->info, buffer,
                           GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF))
    return "its memory cannot be mapped, or is smaller than the caps say";

  *out = (InferFrame){.format = format->pixel,
                      .width = (guint)GST_VIDEO_FRAME_WIDTH(frame),
                      .height = (guint)GST_VIDEO_FRAME_HEIGHT(frame),
                      .kr = format->kr,
                      .kb = format->kb,
                      .full_range = format->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255};
  for (guint i = 0; i < MIN(GST_VIDEO_FRAME_N_PLANES(frame), G_N_ELEMENTS(out->planes)); i++) {
    out->planes[i] = GST_VIDEO_FRAME_PLANE_DATA(frame, i);
    out->strides[i] = GST_VIDEO_FRAME_PLANE_STRIDE(frame, i);
  }
  const gchar *reason = NULL;
  if (GST_VIDEO_FRAME_FORMAT(frame) != GST_VIDEO_INFO_FORMAT(&format->info))
    reason = "its video meta says another format than the caps";
  else if (!gst_infer_planes_fit(frame))
    reason = "its video meta does not fit its memory";
  else if (!set_crop(out, buffer, &format->info))
    reason = "its crop or its caps reach beyond its picture";
  if (reason)
    gst_video_frame_unmap(frame);
  return reason;
}

static void
warn_once(GstInferPad *pad, const gchar *reason)
{
  GstElement *element = pad->client->element;

  if (pad->warned)
    return;
  pad->warned = TRUE;
  GST_ELEMENT_WARNING(element, STREAM, FAILED,
                      ("%s: a frame is not inferred on: %s", GST_PAD_NAME(pad), reason),
                      ("said once for each pad; see \"unusable\" in the property stats"));
}

static guint
map_entries(GstInferRun *run)
{
  guint n = 0;

  for (guint i = 0; i < run->entries->len; i++) {
    GstInferEntry *entry = &g_array_index(run->entries, GstInferEntry, i);
    const gchar *reason;

    if (entry->item.pass != GST_INFER_PASS_NONE)
      continue;
    reason = map_frame(&entry->item, &run->maps[n], &run->frames[n]);
    if (reason) {
      entry->item.pass = GST_INFER_PASS_UNUSABLE;
      warn_once(entry->pad, reason);
      continue;
    }
    run->rows[n++] = i;
  }
  return n;
}

static gboolean
copy_meta(GstBuffer *buffer, GstMeta **meta, gpointer user_data)
{
  GstMetaTransformCopy data = {.region = FALSE, .offset = 0, .size = (gsize)-1};

  if ((*meta)->info->transform_func)
    (*meta)->info->transform_func(user_data, *meta, buffer, _gst_meta_transform_copy, &data);
  return TRUE;
}

/*
 * A buffer that others hold as well is copied as a header that shares the memory, also where the
 * memory is marked as not to be shared, which gst_buffer_make_writable() would duplicate. Metas go
 * over one by one, because gst_buffer_copy_into() leaves out those that describe memory when it
 * does not copy any. The parent keeps a pool from taking the memory back.
 */
GstBuffer *
gst_infer_make_writable(GstBuffer *buffer)
{
  GstBuffer *copy;

  if (gst_buffer_is_writable(buffer))
    return buffer;
  copy = gst_buffer_new();
  gst_buffer_copy_into(copy, buffer, GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS, 0,
                       (gsize)-1);
  for (guint i = 0; i < gst_buffer_n_memory(buffer); i++)
    gst_buffer_append_memory(copy, gst_buffer_get_memory(buffer, i));
  gst_buffer_foreach_meta(buffer, copy_meta, copy);
  gst_buffer_add_parent_buffer_meta(copy, buffer);
  gst_buffer_unref(buffer);
  return copy;
}

void
gst_infer_item_attach(GstInferItem *item, GstInferPad *pad, const GArray *objects,
                      const gchar *model_name, GstInferMetadata metadata, gboolean carried)
{
  g_autofree gchar *stream = gst_infer_pad_dup_stream_name(pad);
  GstBuffer *buffer = gst_infer_make_writable(GST_BUFFER_CAST(item->object));
  const GstInferAttachment what = {.stream = stream,
                                   .frame = item->frame,
                                   .model_name = model_name,
                                   .metadata = metadata,
                                   .carried = carried};

  item->object = GST_MINI_OBJECT_CAST(buffer);
  gst_infer_meta_attach_full(buffer, &item->format->info, &what,
                             (const GstInferObject *)(gpointer)objects->data, objects->len);
}

static GArray *
copy_objects(const GArray *objects)
{
  GArray *copy = gst_infer_objects_new(objects->len);

  for (guint i = 0; i < objects->len; i++)
    gst_infer_objects_append_copy(copy, &g_array_index(objects, GstInferObject, i));
  return copy;
}

static void
attach_row(GstInferRun *run, GstInferModel *model, guint row)
{
  GstInferEntry *entry = &g_array_index(run->entries, GstInferEntry, run->rows[row]);
  const InferFrame *frame = &run->frames[row];

  if (!gst_infer_model_decode(model, run->index, row, &run->placements[row], frame->crop_width,
                              frame->crop_height, entry->score, run->objects))
    warn_once(entry->pad, "the model's outputs hold numbers that cannot be");
  entry->n_objects = run->objects->len;
  entry->item.model_name = gst_infer_model_get_name(model);
  gst_infer_item_attach(&entry->item, entry->pad, run->objects, entry->item.model_name,
                        entry->item.metadata, FALSE);
  if (entry->attach_tensors)
    gst_infer_model_attach_tensors(model, run->index, row, GST_BUFFER_CAST(entry->item.object));
  if (entry->keep)
    entry->item.objects = copy_objects(run->objects);
  GST_LOG_OBJECT(entry->pad,
                 "batch %" G_GUINT64_FORMAT ", row %u: frame %" G_GUINT64_FORMAT ", %u objects",
                 run->number, row, entry->item.frame, run->objects->len);
}

/* The least threshold of those that the frames want; the rest is told apart when decoding. */
static gdouble
least_score(const GstInferRun *run, GstInferModel *model)
{
  gdouble least = 1;

  for (guint i = 0; i < run->n; i++) {
    const GstInferEntry *entry = &g_array_index(run->entries, GstInferEntry, run->rows[i]);
    least = MIN(least, gst_infer_model_effective_score(model, entry->score));
  }
  return least;
}

/* Nanoseconds since the last call, or since the batch was closed. */
static GstClockTime
lap(gint64 *last)
{
  const gint64 before = *last;

  *last = g_get_monotonic_time();
  return (GstClockTime)(*last - before) * GST_USECOND;
}

gboolean
gst_infer_run_execute(GstInferRun *run, GstInferModel *model, GMutex *device, GError **error)
{
  gint64 last = run->closed;
  gboolean ok;

  reserve(run, run->entries->len);
  run->n = map_entries(run);
  if (run->n == 0)
    return TRUE;

  ok = gst_infer_model_preprocess(model, run->index, run->frames, run->n, run->placements,
                                  least_score(run, model), run->iou, error);
  run->phases[GST_INFER_PHASE_PREPROCESS] = lap(&last);
  for (guint i = 0; i < run->n; i++)
    gst_video_frame_unmap(&run->maps[i]);
  if (!ok)
    return FALSE;
  g_mutex_lock(device);
  run->phases[GST_INFER_PHASE_WAIT] = lap(&last);
  ok = gst_infer_model_infer(model, run->index, error);
  g_mutex_unlock(device);
  run->phases[GST_INFER_PHASE_INFERENCE] = lap(&last);
  if (!ok)
    return FALSE;
  for (guint i = 0; i < run->n; i++)
    attach_row(run, model, i);
  run->phases[GST_INFER_PHASE_ATTACH] = lap(&last);
  GST_DEBUG("batch %" G_GUINT64_FORMAT ": %u frames; pre-processing %" G_GUINT64_FORMAT
            " us, wait %" G_GUINT64_FORMAT " us, inference %" G_GUINT64_FORMAT
            " us, metadata %" G_GUINT64_FORMAT " us",
            run->number, run->n, run->phases[GST_INFER_PHASE_PREPROCESS] / GST_USECOND,
            run->phases[GST_INFER_PHASE_WAIT] / GST_USECOND,
            run->phases[GST_INFER_PHASE_INFERENCE] / GST_USECOND,
            run->phases[GST_INFER_PHASE_ATTACH] / GST_USECOND);
  return TRUE;
}
