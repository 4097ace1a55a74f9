/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferrun.h"

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
gst_infer_run_new(void)
{
  GstInferRun *run = g_new0(GstInferRun, 1);

  run->entries = g_array_new(FALSE, TRUE, sizeof(GstInferEntry));
  g_array_set_clear_func(run->entries, entry_clear);
  run->objects = g_array_new(FALSE, TRUE, sizeof(GstInferObject));
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
static gboolean
planes_fit(const GstVideoFrame *frame)
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
  else if (!planes_fit(frame))
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
  GstElement *element = pad->batcher->element;

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
static GstBuffer *
make_writable(GstBuffer *buffer)
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

static void
attach(GstInferEntry *entry, const GArray *objects, const gchar *model_name)
{
  GstInferItem *item = &entry->item;
  g_autofree gchar *stream = gst_infer_pad_dup_stream_name(entry->pad);
  GstBuffer *buffer = make_writable(GST_BUFFER_CAST(item->object));

  item->object = GST_MINI_OBJECT_CAST(buffer);
  gst_infer_meta_attach(buffer, &item->format->info, stream, item->frame,
                        (const GstInferObject *)(gpointer)objects->data, objects->len, model_name);
}

gboolean
gst_infer_run_execute(GstInferRun *run, GstInferModel *model, gdouble score, gdouble iou,
                      GstInferStats *stats, GError **error)
{
  gboolean ok = TRUE;
  GstClockTime took;
  gint64 start;
  guint n;

  reserve(run, run->entries->len);
  n = map_entries(run);
  if (n == 0)
    return TRUE;

  start = g_get_monotonic_time();
  ok = gst_infer_model_infer(model, run->frames, n, run->placements, score, iou, error);
  took = (GstClockTime)(g_get_monotonic_time() - start) * GST_USECOND;
  for (guint i = 0; i < n; i++)
    gst_video_frame_unmap(&run->maps[i]);
  if (!ok)
    return FALSE;

  for (guint i = 0; i < n; i++) {
    GstInferEntry *entry = &g_array_index(run->entries, GstInferEntry, run->rows[i]);
    if (!gst_infer_model_decode(model, i, &run->placements[i], run->frames[i].crop_width,
                                run->frames[i].crop_height, score, run->objects))
      warn_once(entry->pad, "the model's outputs hold numbers that cannot be");
    attach(entry, run->objects, gst_infer_model_get_name(model));
    stats->objects += run->objects->len;
  }
  stats->inferred += n;
  stats->batches++;
  stats->largest_batch = MAX(stats->largest_batch, n);
  stats->last_run_time = took;
  stats->total_run_time += took;
  return TRUE;
}
