/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

enum {
  PROP_0,
  PROP_PRIORITY,
  PROP_STREAM_NAME,
  PROP_INFERENCE_INTERVAL,
  PROP_MAX_FRAMES,
  PROP_MAX_SIZE_BUFFERS,
  PROP_LEAKY,
  PROP_MOTION_THRESHOLD,
  PROP_STATS,
};

#define MILLION 1e6
/** The most frames that a queue holds for the sake of latency. */
#define MOST_LIVE_FRAMES 256

G_DEFINE_FINAL_TYPE(GstInferPad, gst_infer_pad, GST_TYPE_PAD)
G_DEFINE_FINAL_TYPE(GstInferSrcPad, gst_infer_src_pad, GST_TYPE_PAD)

GType
gst_infer_leaky_get_type(void)
{
  static const GEnumValue values[] = {
      {GST_INFER_LEAKY_NO, "Nothing is dropped, upstream waits", "no"},
      {GST_INFER_LEAKY_UPSTREAM, "New frames are dropped", "upstream"},
      {GST_INFER_LEAKY_DOWNSTREAM, "The oldest waiting frames are dropped", "downstream"},
      {GST_INFER_LEAKY_ELEMENT, "Of a pad: as the element says", "element"},
      {0, NULL, NULL}};
  static gsize type = 0;

  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstInferLeaky", values));
  return type;
}

void
gst_infer_item_clear(GstInferItem *item)
{
  if (item->object && !GST_IS_QUERY(item->object))
    gst_mini_object_unref(item->object);
  item->object = NULL;
  g_clear_pointer(&item->format, g_atomic_rc_box_release);
  g_clear_pointer(&item->objects, g_array_unref);
}

/* A live stream goes on while its frames are in a batch: what comes meanwhile has to find room, or
 * upstream would stop. */
static guint
live_frames(const GstInferPad *pad)
{
  const GstClockTime latency = pad->client->reported;

  if (!pad->live || !pad->format || pad->format->info.fps_n <= 0 ||
      !GST_CLOCK_TIME_IS_VALID(latency))
    return 0;
  return (guint)MIN(gst_util_uint64_scale(latency, (guint64)pad->format->info.fps_n,
                                          (guint64)pad->format->info.fps_d * GST_SECOND),
                    MOST_LIVE_FRAMES);
}

guint
gst_infer_pad_capacity(GstInferPad *pad)
{
  guint capacity = (guint)g_atomic_int_get(&pad->max_buffers);

  if (capacity == 0)
    capacity = pad->client->settings.max_buffers;
  return capacity ? capacity : pad->client->batcher->capacity + live_frames(pad);
}

guint
gst_infer_pad_max_frames(GstInferPad *pad)
{
  guint frames = (guint)g_atomic_int_get(&pad->max_frames);

  if (frames == 0)
    frames = pad->client->settings.max_frames;
  return frames ? frames : G_MAXUINT;
}

gboolean
gst_infer_pad_watches_motion(GstInferPad *pad)
{
  const gint motion = g_atomic_int_get(&pad->motion);

  return motion < 0 ? pad->client->settings.motion > 0 : motion > 0;
}

void
gst_infer_pad_push_in(GstInferPad *pad, const GstInferItem *item)
{
  gst_queue_array_push_tail_struct(pad->in, (gpointer)item);
  if (GST_IS_BUFFER(item->object))
    pad->in_buffers++;
  g_cond_signal(&pad->client->batcher->wake);
}

void
gst_infer_pad_push_out(GstInferPad *pad, const GstInferItem *item)
{
  gst_queue_array_push_tail_struct(pad->out, (gpointer)item);
  if (GST_IS_BUFFER(item->object))
    pad->out_buffers++;
  g_cond_signal(&pad->out_cond);
}

guint64
gst_infer_pad_reserve_out(GstInferPad *pad)
{
  const guint64 place = pad->out_popped + (guint64)gst_queue_array_get_length(pad->out);
  GstInferItem item = {.object = NULL};

  gst_queue_array_push_tail_struct(pad->out, &item);
  pad->out_buffers++;
  return place;
}

void
gst_infer_pad_fill_out(GstInferPad *pad, guint64 place, GstInferItem *item)
{
  GstInferItem *slot = gst_queue_array_peek_nth_struct(pad->out, (guint)(place - pad->out_popped));

  *slot = *item;
  *item = (GstInferItem){.object = NULL};
  g_cond_signal(&pad->out_cond);
}

void
gst_infer_pad_abandon_out(GstInferPad *pad, guint64 place)
{
  GstInferItem *slot = gst_queue_array_peek_nth_struct(pad->out, (guint)(place - pad->out_popped));

  slot->abandoned = TRUE;
  g_cond_signal(&pad->out_cond);
}

void
gst_infer_pad_drop_oldest(GstInferPad *pad)
{
  const guint length = (guint)gst_queue_array_get_length(pad->in);

  for (guint i = 0; i < length; i++) {
    GstInferItem item, *next;
    if (!GST_IS_BUFFER(((GstInferItem *)gst_queue_array_peek_nth_struct(pad->in, i))->object))
      continue;
    gst_queue_array_drop_struct(pad->in, i, &item);
    if (item.pass == GST_INFER_PASS_NONE)
      pad->reference_lost = TRUE;
    gst_infer_item_clear(&item);
    pad->in_buffers--;
    pad->stats.dropped++;
    for (; i < length - 1; i++) {
      next = gst_queue_array_peek_nth_struct(pad->in, i);
      if (GST_IS_BUFFER(next->object)) {
        next->discont = TRUE;
        return;
      }
    }
    pad->discont = TRUE;
    return;
  }
}

static void
store_sticky(GstInferPad *pad, GstInferItem *item, GstInferKeep keep)
{
  GstEvent *event;

  if (!item->object || !GST_IS_EVENT(item->object))
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
  for (guint n = (guint)gst_queue_array_get_length(queue); n > 0; n--) {
    GstInferItem item = *(GstInferItem *)gst_queue_array_pop_head_struct(queue);
    if (keep == GST_INFER_KEEP_EVENTS && item.object && GST_IS_EVENT(item.object)) {
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
  pad->reference_lost = TRUE;
  /* A query that nobody works on any more is answered; one in work is left to who works on it. */
  if (!pad->query_busy)
    pad->query = NULL;
  g_cond_broadcast(&pad->in_cond);
  g_cond_broadcast(&pad->out_cond);
  g_cond_signal(&pad->client->batcher->wake);
}

void
gst_infer_pad_start(GstInferPad *pad)
{
  gst_infer_pad_drop(pad, GST_INFER_KEEP_BUT_SEGMENT);
  pad->flushing = FALSE;
  pad->eos = FALSE;
  pad->gap = FALSE;
  pad->flow = GST_FLOW_OK;
  pad->earliest = GST_CLOCK_TIME_NONE;
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

/* The properties that are one atomic number. */
static gint *
number_of(GstInferPad *self, guint id)
{
  switch (id) {
  case PROP_PRIORITY:
    return &self->priority;
  case PROP_INFERENCE_INTERVAL:
    return &self->interval;
  case PROP_MAX_FRAMES:
    return &self->max_frames;
  case PROP_MAX_SIZE_BUFFERS:
    return &self->max_buffers;
  default:
    return NULL;
  }
}

static void
wake_batcher(GstInferPad *self)
{
  GstInferBatcher *batcher = gst_infer_pad_lock(self);

  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&batcher->lock);
}

static void
gst_infer_pad_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstInferPad *self = GST_INFER_PAD(object);
  gint *number = number_of(self, id);

  if (number) {
    g_atomic_int_set(number, (gint)g_value_get_uint(value));
    wake_batcher(self);
    return;
  }
  switch (id) {
  case PROP_STREAM_NAME:
    GST_OBJECT_LOCK(self);
    g_free(self->stream_name);
    self->stream_name = g_value_dup_string(value);
    GST_OBJECT_UNLOCK(self);
    break;
  case PROP_LEAKY:
    g_atomic_int_set(&self->leaky, g_value_get_enum(value));
    wake_batcher(self);
    break;
  case PROP_MOTION_THRESHOLD:
    g_atomic_int_set(&self->motion, (gint)(g_value_get_double(value) * MILLION));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static GstStructure *
pad_stats(GstInferPad *self)
{
  GstInferBatcher *batcher = gst_infer_pad_lock(self);
  GstStructure *stats = gst_infer_stats_to_structure(&self->stats, "application/x-infer-pad-stats");

  g_mutex_unlock(&batcher->lock);
  return stats;
}

static void
gst_infer_pad_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstInferPad *self = GST_INFER_PAD(object);
  gint *number = number_of(self, id);

  if (number) {
    g_value_set_uint(value, (guint)g_atomic_int_get(number));
    return;
  }
  switch (id) {
  case PROP_STREAM_NAME:
    g_value_take_string(value, gst_infer_pad_dup_stream_name(self));
    break;
  case PROP_LEAKY:
    g_value_set_enum(value, g_atomic_int_get(&self->leaky));
    break;
  case PROP_MOTION_THRESHOLD: {
    const gint motion = g_atomic_int_get(&self->motion);
    g_value_set_double(value, motion < 0 ? -1 : motion / MILLION);
    break;
  }
  case PROP_STATS:
    g_value_take_boxed(value, pad_stats(self));
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
  g_clear_pointer(&self->last, g_array_unref);
  gst_infer_motion_free(self->motion_state);
  gst_clear_object(&self->srcpad);
  g_clear_pointer(&self->client, gst_infer_client_unref);
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
  /**
   * GstInferPad:max-frames-per-stream:
   *
   * As the element's property, for this stream alone.
   */
  g_object_class_install_property(
      object_class, PROP_MAX_FRAMES,
      g_param_spec_uint("max-frames-per-stream", "Maximum frames in a batch",
                        "Frames of this stream in one batch (0 = as the element says)", 0, G_MAXINT,
                        0, flags));
  /**
   * GstInferPad:max-size-buffers:
   *
   * As the element's property, for this stream alone.
   */
  g_object_class_install_property(
      object_class, PROP_MAX_SIZE_BUFFERS,
      g_param_spec_uint("max-size-buffers", "Maximum queue size",
                        "Frames of this stream that wait before and after inference (0 = as the "
                        "element says)",
                        0, G_MAXINT, 0, flags));
  /**
   * GstInferPad:leaky:
   *
   * As the element's property, for this stream alone.
   */
  g_object_class_install_property(
      object_class, PROP_LEAKY,
      g_param_spec_enum("leaky", "Leaky", "Which frames are dropped when the queue is full",
                        GST_TYPE_INFER_LEAKY, GST_INFER_LEAKY_ELEMENT, flags));
  /**
   * GstInferPad:motion-threshold:
   *
   * As the element's property, for this stream alone.
   */
  g_object_class_install_property(
      object_class, PROP_MOTION_THRESHOLD,
      g_param_spec_double("motion-threshold", "Motion threshold",
                          "Share of the picture, 0 to 1, that has to change for a frame to be "
                          "inferred on (0 = every frame is; -1 = as the element says)",
                          -1, 1, -1, flags));
  /**
   * GstInferPad:stats:
   *
   * Counters of this stream; see #GstInfer:stats.
   */
  g_object_class_install_property(
      object_class, PROP_STATS,
      g_param_spec_boxed("stats", "Statistics",
                         "Counters of this stream and percentiles of its times in nanoseconds",
                         GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
gst_infer_pad_init(GstInferPad *self)
{
  self->in = gst_queue_array_new_for_struct(sizeof(GstInferItem), 16);
  self->out = gst_queue_array_new_for_struct(sizeof(GstInferItem), 16);
  g_cond_init(&self->in_cond);
  g_cond_init(&self->out_cond);
  self->motion_state = gst_infer_motion_new();
  self->motion = -1;
  self->leaky = GST_INFER_LEAKY_ELEMENT;
  self->earliest = GST_CLOCK_TIME_NONE;
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
                  const gchar *src_name, GstInferClient *client)
{
  GstInferPad *self = g_object_new(GST_TYPE_INFER_PAD, "name", sink_name, "direction", GST_PAD_SINK,
                                   "template", sink, NULL);
  GstInferSrcPad *out = g_object_new(GST_TYPE_INFER_SRC_PAD, "name", src_name, "direction",
                                     GST_PAD_SRC, "template", src, NULL);

  self->client = gst_infer_client_ref(client);
  self->srcpad = gst_object_ref_sink(GST_PAD_CAST(out));
  g_weak_ref_set(&out->partner, self);
  gst_infer_stream_install(self);
  return self;
}
