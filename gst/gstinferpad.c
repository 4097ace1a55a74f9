/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

enum { PROP_0, PROP_PRIORITY, PROP_STREAM_NAME, PROP_INFERENCE_INTERVAL };

G_DEFINE_FINAL_TYPE(GstInferPad, gst_infer_pad, GST_TYPE_PAD)
G_DEFINE_FINAL_TYPE(GstInferSrcPad, gst_infer_src_pad, GST_TYPE_PAD)

void
gst_infer_item_clear(GstInferItem *item)
{
  if (item->object && !GST_IS_QUERY(item->object))
    gst_mini_object_unref(item->object);
  item->object = NULL;
  g_clear_pointer(&item->format, g_atomic_rc_box_release);
}

void
gst_infer_pad_push_in(GstInferPad *pad, const GstInferItem *item)
{
  gst_queue_array_push_tail_struct(pad->in, (gpointer)item);
  if (GST_IS_BUFFER(item->object))
    pad->in_buffers++;
  g_cond_signal(&pad->batcher->wake);
}

void
gst_infer_pad_push_out(GstInferPad *pad, const GstInferItem *item)
{
  gst_queue_array_push_tail_struct(pad->out, (gpointer)item);
  if (GST_IS_BUFFER(item->object))
    pad->out_buffers++;
  g_cond_signal(&pad->out_cond);
}

static void
store_sticky(GstInferPad *pad, GstInferItem *item, GstInferKeep keep)
{
  GstEvent *event;

  if (!GST_IS_EVENT(item->object))
    return;
  event = GST_EVENT_CAST(item->object);
  if (!GST_EVENT_IS_STICKY(event) || GST_EVENT_TYPE(event) == GST_EVENT_EOS ||
      (keep == GST_INFER_KEEP_BUT_SEGMENT && GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT))
    return;
  gst_pad_store_sticky_event(pad->srcpad, event);
}

static void
drop_queue(GstInferPad *pad, GstQueueArray *queue, GstInferKeep keep)
{
  for (guint n = gst_queue_array_get_length(queue); n > 0; n--) {
    GstInferItem item = *(GstInferItem *)gst_queue_array_pop_head_struct(queue);
    if (keep == GST_INFER_KEEP_EVENTS && GST_IS_EVENT(item.object)) {
      gst_queue_array_push_tail_struct(queue, &item);
      continue;
    }
    if (keep == GST_INFER_KEEP_STICKY || keep == GST_INFER_KEEP_BUT_SEGMENT)
      store_sticky(pad, &item, keep);
    gst_infer_item_clear(&item);
  }
}

void
gst_infer_pad_drop(GstInferPad *pad, GstInferKeep keep)
{
  drop_queue(pad, pad->out, keep);
  drop_queue(pad, pad->in, keep);
  pad->in_buffers = 0;
  pad->out_buffers = 0;
  pad->serial++;
  /* A query that nobody works on any more is answered; one in work is left to who works on it. */
  if (!pad->query_busy)
    pad->query = NULL;
  g_cond_broadcast(&pad->in_cond);
  g_cond_broadcast(&pad->out_cond);
  g_cond_signal(&pad->batcher->wake);
}

void
gst_infer_pad_start(GstInferPad *pad)
{
  gst_infer_pad_drop(pad, GST_INFER_KEEP_BUT_SEGMENT);
  pad->flushing = FALSE;
  pad->eos = FALSE;
  pad->gap = FALSE;
  pad->flow = GST_FLOW_OK;
  pad->last_arrival = g_get_monotonic_time();
  gst_segment_init(&pad->segment, GST_FORMAT_TIME);
}

void
gst_infer_pad_flush(GstInferPad *pad, GstInferKeep keep)
{
  pad->flushing = TRUE;
  gst_infer_pad_drop(pad, keep);
}

gchar *
gst_infer_pad_dup_stream_name(GstInferPad *pad)
{
  gchar *name;

  GST_OBJECT_LOCK(pad);
  if (pad->stream_name && *pad->stream_name)
    name = g_strdup(pad->stream_name);
  else
    name = g_strdup(pad->stream_id ? pad->stream_id : GST_OBJECT_NAME(pad));
  GST_OBJECT_UNLOCK(pad);
  return name;
}

static void
gst_infer_pad_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstInferPad *self = GST_INFER_PAD(object);

  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_PRIORITY:
    self->priority = g_value_get_uint(value);
    break;
  case PROP_STREAM_NAME:
    g_free(self->stream_name);
    self->stream_name = g_value_dup_string(value);
    break;
  case PROP_INFERENCE_INTERVAL:
    self->interval = g_value_get_uint(value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void
gst_infer_pad_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstInferPad *self = GST_INFER_PAD(object);

  switch (id) {
  case PROP_PRIORITY:
    GST_OBJECT_LOCK(self);
    g_value_set_uint(value, self->priority);
    GST_OBJECT_UNLOCK(self);
    break;
  case PROP_STREAM_NAME:
    g_value_take_string(value, gst_infer_pad_dup_stream_name(self));
    break;
  case PROP_INFERENCE_INTERVAL:
    GST_OBJECT_LOCK(self);
    g_value_set_uint(value, self->interval);
    GST_OBJECT_UNLOCK(self);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void
gst_infer_pad_finalize(GObject *object)
{
  GstInferPad *self = GST_INFER_PAD(object);

  drop_queue(self, self->in, GST_INFER_KEEP_NOTHING);
  drop_queue(self, self->out, GST_INFER_KEEP_NOTHING);
  gst_queue_array_free(self->in);
  gst_queue_array_free(self->out);
  g_cond_clear(&self->in_cond);
  g_cond_clear(&self->out_cond);
  g_clear_pointer(&self->format, g_atomic_rc_box_release);
  g_clear_pointer(&self->stream_name, g_free);
  g_clear_pointer(&self->stream_id, g_free);
  gst_clear_object(&self->srcpad);
  g_clear_pointer(&self->batcher, gst_infer_batcher_unref);
  G_OBJECT_CLASS(gst_infer_pad_parent_class)->finalize(object);
}

static void
gst_infer_pad_class_init(GstInferPadClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

  object_class->set_property = gst_infer_pad_set_property;
  object_class->get_property = gst_infer_pad_get_property;
  object_class->finalize = gst_infer_pad_finalize;

  /**
   * GstInferPad:priority:
   *
   * When more streams have a frame than a batch has room, streams of a higher priority go first.
   * A stream that was left out rises by one for each batch, so that none starves.
   */
  g_object_class_install_property(
      object_class, PROP_PRIORITY,
      g_param_spec_uint("priority", "Priority",
                        "Streams of a higher priority enter a batch first (a number without unit)",
                        0, G_MAXINT, 0, flags));
  /**
   * GstInferPad:stream-name:
   *
   * The name of the stream in the metadata; the id that upstream gave the stream when not set, the
   * pad's name when there is none.
   */
  g_object_class_install_property(
      object_class, PROP_STREAM_NAME,
      g_param_spec_string(
          "stream-name", "Stream name",
          "Name of the stream in metadata (unset: upstream's stream id, or the pad's name)", NULL,
          flags));
  /**
   * GstInferPad:inference-interval:
   *
   * As the element's property, for this stream alone.
   */
  g_object_class_install_property(
      object_class, PROP_INFERENCE_INTERVAL,
      g_param_spec_uint("inference-interval", "Inference interval",
                        "Infer on every n-th frame of this stream (0 = as the element says)", 0,
                        G_MAXINT, 0, flags));
}

static void
gst_infer_pad_init(GstInferPad *self)
{
  self->in = gst_queue_array_new_for_struct(sizeof(GstInferItem), 16);
  self->out = gst_queue_array_new_for_struct(sizeof(GstInferItem), 16);
  g_cond_init(&self->in_cond);
  g_cond_init(&self->out_cond);
  self->flushing = TRUE;
  gst_segment_init(&self->segment, GST_FORMAT_TIME);
}

static void
gst_infer_src_pad_finalize(GObject *object)
{
  g_weak_ref_clear(&GST_INFER_SRC_PAD(object)->partner);
  G_OBJECT_CLASS(gst_infer_src_pad_parent_class)->finalize(object);
}

static void
gst_infer_src_pad_class_init(GstInferSrcPadClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = gst_infer_src_pad_finalize;
}

static void
gst_infer_src_pad_init(GstInferSrcPad *self)
{
  g_weak_ref_init(&self->partner, NULL);
}

GstInferPad *
gst_infer_pad_new(GstPadTemplate *sink, const gchar *sink_name, GstPadTemplate *src,
                  const gchar *src_name, GstInferBatcher *batcher)
{
  GstInferPad *self = g_object_new(GST_TYPE_INFER_PAD, "name", sink_name, "direction", GST_PAD_SINK,
                                   "template", sink, NULL);
  GstInferSrcPad *out = g_object_new(GST_TYPE_INFER_SRC_PAD, "name", src_name, "direction",
                                     GST_PAD_SRC, "template", src, NULL);

  self->batcher = gst_infer_batcher_ref(batcher);
  self->srcpad = gst_object_ref_sink(GST_PAD_CAST(out));
  g_weak_ref_set(&out->partner, self);
  gst_infer_stream_install(self);
  return self;
}
