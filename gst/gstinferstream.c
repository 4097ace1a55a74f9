/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/*
 * One stream: chain, events and queries of the sink pad fill the in-queue; the source pad's task
 * (gstinferout.c) empties the out-queue. Locks: a pad's stream lock may be held when the batcher's
 * lock is taken, never the other way round; nothing is pushed, queried or posted under the
 * batcher's lock.
 */

static GstInferPad *
get_partner(GstPad *srcpad)
{
  return g_weak_ref_get(&GST_INFER_SRC_PAD(srcpad)->partner);
}

/* Why nothing more can be taken in, or GST_FLOW_OK. */
static GstFlowReturn
in_state(GstInferPad *self)
{
  if (self->flushing)
    return GST_FLOW_FLUSHING;
  if (self->flow != GST_FLOW_OK)
    return self->flow;
  if (self->client->batcher->state == GST_INFER_MODEL_FAILED)
    return GST_FLOW_ERROR;
  return GST_FLOW_OK;
}

/* Numbers of a pad that are 0 are the element's. */
static guint
get_interval(GstInferPad *self)
{
  const gint interval = g_atomic_int_get(&self->interval);

  return interval > 0 ? (guint)interval : MAX(self->client->settings.interval, 1);
}

static GstInferLeaky
get_leaky(GstInferPad *self)
{
  const gint leaky = g_atomic_int_get(&self->leaky);

  return leaky == GST_INFER_LEAKY_ELEMENT ? self->client->settings.leaky : (GstInferLeaky)leaky;
}

static void
enqueue_buffer(GstInferPad *self, GstBuffer *buffer, gboolean still)
{
  GstInferItem item = {.object = GST_MINI_OBJECT_CAST(buffer)};

  item.format = g_atomic_rc_box_acquire(self->format);
  item.frame = self->frame++;
  item.arrival = g_get_monotonic_time();
  item.discont = self->discont;
  item.metadata = self->client->settings.metadata;
  self->discont = FALSE;
  item.running_time = GST_CLOCK_TIME_NONE;
  if (self->segment.format == GST_FORMAT_TIME && GST_BUFFER_PTS_IS_VALID(buffer))
    item.running_time =
        gst_segment_to_running_time(&self->segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  if (item.frame % get_interval(self) != 0)
    item.pass = GST_INFER_PASS_INTERVAL;
  else if (still)
    item.pass = GST_INFER_PASS_STILL;
  self->last_arrival = item.arrival;
  self->gap = FALSE;
  self->stats.frames++;
  gst_infer_pad_push_in(self, &item);
}

/* Waits for room, or makes it; FALSE for a frame that is dropped. */
static gboolean
make_room(GstInferPad *self, GstInferBatcher *batcher, GstFlowReturn *ret)
{
  while ((*ret = in_state(self)) == GST_FLOW_OK && !self->eos &&
         self->in_buffers >= gst_infer_pad_capacity(self)) {
    switch (get_leaky(self)) {
    case GST_INFER_LEAKY_UPSTREAM:
      self->stats.frames++;
      self->stats.dropped++;
      self->frame++;
      self->discont = TRUE;
      return FALSE;
    case GST_INFER_LEAKY_DOWNSTREAM:
      gst_infer_pad_drop_oldest(self);
      break;
    default:
      g_cond_wait(&self->in_cond, &batcher->lock);
    }
  }
  if (*ret == GST_FLOW_OK && self->eos)
    *ret = GST_FLOW_EOS;
  if (*ret == GST_FLOW_OK && !self->format)
    *ret = GST_FLOW_NOT_NEGOTIATED;
  return *ret == GST_FLOW_OK;
}

/* Whether the frame shows what an earlier one did. Looked at before the queue, in upstream's thread
 * and without the lock. */
static gboolean
is_still(GstInferPad *self, GstBuffer *buffer)
{
  GstInferBatcher *batcher = gst_infer_pad_lock(self);
  const gint own = g_atomic_int_get(&self->motion);
  const gdouble threshold = own < 0 ? self->client->settings.motion : own / 1e6;
  const gboolean lost = self->reference_lost;
  /* Frames between those that are inferred on are no reference. */
  const gboolean counts = self->frame % get_interval(self) == 0;
  GstInferFormat *format = NULL;
  gboolean still = FALSE;

  if (counts)
    self->reference_lost = FALSE;
  if (counts && threshold > 0 && self->format)
    format = g_atomic_rc_box_acquire(self->format);
  g_mutex_unlock(&batcher->lock);
  if (lost || !(threshold > 0))
    gst_infer_motion_reset(self->motion_state);
  if (format) {
    still = !gst_infer_motion_check(self->motion_state, buffer, &format->info, threshold);
    g_atomic_rc_box_release(format);
  }
  return still;
}

static GstFlowReturn
sink_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  GstInferPad *self = GST_INFER_PAD(pad);
  const gboolean still = is_still(self, buffer);
  GstInferBatcher *batcher = gst_infer_pad_lock(self);
  GstFlowReturn ret;

  if (make_room(self, batcher, &ret))
    enqueue_buffer(self, g_steal_pointer(&buffer), still);
  else if (!still)
    self->reference_lost = TRUE;
  g_mutex_unlock(&batcher->lock);

  if (ret == GST_FLOW_NOT_NEGOTIATED && !gst_pad_has_current_caps(pad))
    GST_ELEMENT_ERROR(parent, CORE, NEGOTIATION, (NULL),
                      ("%s: a buffer came before caps", GST_PAD_NAME(pad)));
  gst_clear_buffer(&buffer);
  return ret;
}

static void
query_live(GstInferPad *self)
{
  g_autoptr(GstQuery) query = gst_query_new_latency();
  GstInferBatcher *batcher;
  GstClockTime upstream = 0;
  gboolean live = FALSE;

  if (gst_pad_peer_query(GST_PAD_CAST(self), query))
    gst_query_parse_latency(query, &live, &upstream, NULL);
  batcher = gst_infer_pad_lock(self);
  self->live = live;
  self->upstream = GST_CLOCK_TIME_IS_VALID(upstream) ? upstream : 0;
  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&batcher->lock);
}

static gboolean
handle_caps(GstInferPad *self, GstObject *parent, GstEvent *event)
{
  g_autoptr(GError) error = NULL;
  GstCaps *caps;
  GstInferFormat *format;
  GstInferBatcher *batcher;

  gst_event_parse_caps(event, &caps);
  format = gst_infer_format_new(caps, &error);
  if (!format) {
    GST_ELEMENT_ERROR(parent, STREAM, FORMAT, ("%s: %s", GST_PAD_NAME(self), error->message),
                      (NULL));
    return FALSE;
  }
  batcher = gst_infer_pad_lock(self);
  g_clear_pointer(&self->format, g_atomic_rc_box_release);
  self->format = format;
  self->reference_lost = TRUE;
  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&batcher->lock);
  return TRUE;
}

/* With the lock: lets the source pad's task run again after it had paused over a flow return. */
static void
resume(GstInferPad *self)
{
  self->flow = GST_FLOW_OK;
  gst_pad_start_task(self->srcpad, gst_infer_stream_loop, self->srcpad, NULL);
}

/* What a serialized event changes at once, before it waits in the queue. */
static void
note_event(GstInferPad *self, GstEvent *event)
{
  const GstEventType type = GST_EVENT_TYPE(event);
  const gchar *id = NULL;

  switch (type) {
  case GST_EVENT_STREAM_START:
    gst_event_parse_stream_start(event, &id);
    GST_OBJECT_LOCK(self);
    g_free(self->stream_id);
    self->stream_id = g_strdup(id);
    GST_OBJECT_UNLOCK(self);
    self->eos = FALSE;
    self->gap = FALSE;
    self->frame = 0;
    self->last_arrival = g_get_monotonic_time();
    break;
  case GST_EVENT_SEGMENT:
    gst_event_copy_segment(event, &self->segment);
    self->earliest = GST_CLOCK_TIME_NONE;
    break;
  case GST_EVENT_EOS:
    self->eos = TRUE;
    break;
  case GST_EVENT_GAP:
    self->gap = TRUE;
    break;
  default:
    break;
  }
  /* A new stream or segment: a peer that had enough of the old one may want it. */
  if (self->flow == GST_FLOW_EOS && !self->flushing &&
      (type == GST_EVENT_STREAM_START || type == GST_EVENT_SEGMENT))
    resume(self);
}

/* Whether no stream of the element has a peer: then the end of one has to say so. */
static gboolean
nothing_linked(GstInferBatcher *batcher, GstInferClient *client)
{
  for (guint i = 0; i < batcher->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(batcher->pads, i);
    if (pad->client == client && pad->flow != GST_FLOW_NOT_LINKED)
      return FALSE;
  }
  return TRUE;
}

static GstFlowReturn
enqueue_event(GstInferPad *self, GstObject *parent, GstEvent *event)
{
  const gboolean is_eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
  gboolean unlinked = FALSE, failed;
  GstInferBatcher *batcher;
  GstFlowReturn ret;

  batcher = gst_infer_pad_lock(self);
  note_event(self, event);
  ret = in_state(self);
  if (ret == GST_FLOW_OK) {
    GstInferItem item = {.object = GST_MINI_OBJECT_CAST(event), .arrival = g_get_monotonic_time()};
    gst_infer_pad_push_in(self, &item);
    event = NULL;
  } else if (ret == GST_FLOW_NOT_LINKED) {
    unlinked = nothing_linked(batcher, self->client);
  }
  failed = batcher->state == GST_INFER_MODEL_FAILED;
  g_mutex_unlock(&batcher->lock);

  if (event && is_eos) {
    /* Upstream has returned from its last chain, so that nobody would learn of the error. */
    if (unlinked || (ret < GST_FLOW_EOS && !failed))
      GST_ELEMENT_FLOW_ERROR(parent, ret);
    /* The task is paused and the queues are empty: the end of the stream may overtake nothing. */
    if (ret == GST_FLOW_EOS) {
      GST_PAD_STREAM_LOCK(self->srcpad);
      gst_pad_push_event(self->srcpad, gst_event_ref(event));
      GST_PAD_STREAM_UNLOCK(self->srcpad);
      ret = GST_FLOW_OK;
    }
  }
  g_clear_pointer(&event, gst_event_unref);
  return ret;
}

static GstFlowReturn
sink_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
  GstInferPad *self = GST_INFER_PAD(pad);
  GstInferBatcher *batcher;
  GstFlowReturn ret;

  switch (GST_EVENT_TYPE(event)) {
  case GST_EVENT_FLUSH_START:
    gst_pad_push_event(self->srcpad, event);
    batcher = gst_infer_pad_lock(self);
    gst_infer_pad_flush(self, GST_INFER_KEEP_EVENTS);
    g_mutex_unlock(&batcher->lock);
    gst_pad_pause_task(self->srcpad);
    return GST_FLOW_OK;
  case GST_EVENT_FLUSH_STOP:
    gst_pad_push_event(self->srcpad, event);
    batcher = gst_infer_pad_lock(self);
    if (gst_pad_is_active(self->srcpad)) {
      gst_infer_pad_start(self);
      resume(self);
    }
    g_mutex_unlock(&batcher->lock);
    return GST_FLOW_OK;
  case GST_EVENT_CAPS:
    if (!handle_caps(self, parent, event)) {
      gst_event_unref(event);
      return GST_FLOW_NOT_NEGOTIATED;
    }
    return enqueue_event(self, parent, event);
  case GST_EVENT_SEGMENT:
    ret = enqueue_event(self, parent, event);
    query_live(self);
    return ret;
  default:
    if (GST_EVENT_IS_SERIALIZED(event))
      return enqueue_event(self, parent, event);
    return gst_pad_push_event(self->srcpad, event) ? GST_FLOW_OK : GST_FLOW_ERROR;
  }
}

static gboolean
enqueue_query(GstInferPad *self, GstQuery *query)
{
  GstInferBatcher *batcher = gst_infer_pad_lock(self);
  gboolean result = FALSE;

  if (in_state(self) == GST_FLOW_OK) {
    GstInferItem item = {.object = GST_MINI_OBJECT_CAST(query), .arrival = g_get_monotonic_time()};
    self->query = query;
    self->query_result = FALSE;
    gst_infer_pad_push_in(self, &item);
    while (self->query == query)
      g_cond_wait(&self->in_cond, &batcher->lock);
    result = self->query_result;
  }
  g_mutex_unlock(&batcher->lock);
  return result;
}

static gboolean
sink_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_IS_SERIALIZED(query))
    return enqueue_query(GST_INFER_PAD(pad), query);
  return gst_pad_query_default(pad, parent, query);
}

/* With the lock: frames that a live sink could not show any more need no inference. */
static void
note_qos(GstInferPad *self, GstEvent *event)
{
  GstClockTimeDiff diff;
  GstClockTime timestamp;
  GstQOSType type;

  gst_event_parse_qos(event, &type, NULL, &diff, &timestamp);
  if (type == GST_QOS_TYPE_THROTTLE || !GST_CLOCK_TIME_IS_VALID(timestamp))
    return;
  self->earliest = diff > 0 ? timestamp + (GstClockTime)diff : GST_CLOCK_TIME_NONE;
}

static gboolean
src_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
  g_autoptr(GstInferPad) self = get_partner(pad);
  GstInferBatcher *batcher;
  GstClockTime latency;

  if (!self) {
    gst_event_unref(event);
    return FALSE;
  }
  batcher = gst_infer_pad_lock(self);
  switch (GST_EVENT_TYPE(event)) {
  case GST_EVENT_RECONFIGURE:
    /* Another peer than the one that was not there, or that was being taken away. */
    if ((self->flow == GST_FLOW_NOT_LINKED || self->flow == GST_FLOW_FLUSHING) && !self->flushing)
      resume(self);
    break;
  case GST_EVENT_LATENCY:
    gst_event_parse_latency(event, &latency);
    self->client->pipeline_latency = latency;
    break;
  case GST_EVENT_QOS:
    note_qos(self, event);
    break;
  default:
    break;
  }
  g_mutex_unlock(&batcher->lock);
  return gst_pad_push_event(GST_PAD_CAST(self), event);
}

static gboolean
answer_latency(GstInferPad *self, GstQuery *query)
{
  GstClockTime min, max, own, hold = 0;
  GstInferBatcher *batcher;
  gboolean live;

  if (!gst_pad_peer_query(GST_PAD_CAST(self), query))
    return FALSE;
  gst_query_parse_latency(query, &live, &min, &max);

  batcher = gst_infer_pad_lock(self);
  if (self->live != live || self->upstream != min) {
    self->live = live;
    self->upstream = GST_CLOCK_TIME_IS_VALID(min) ? min : 0;
    gst_infer_batcher_update(batcher);
  }
  own = gst_infer_client_get_latency(self->client);
  if (self->format && self->format->info.fps_n > 0)
    hold =
        gst_infer_pad_capacity(self) *
        gst_util_uint64_scale_int(GST_SECOND, self->format->info.fps_d, self->format->info.fps_n);
  g_mutex_unlock(&batcher->lock);

  if (live) {
    min += own;
    if (GST_CLOCK_TIME_IS_VALID(max))
      max = MAX(max + MAX(hold, own), min);
  }
  gst_query_set_latency(query, live, min, max);
  return TRUE;
}

static gboolean
src_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) {
    g_autoptr(GstInferPad) self = get_partner(pad);
    return self && answer_latency(self, query);
  }
  return gst_pad_query_default(pad, parent, query);
}

static gboolean
sink_activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  GstInferPad *self = GST_INFER_PAD(pad);
  GstInferBatcher *batcher;

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  batcher = gst_infer_pad_lock(self);
  if (active) {
    gst_infer_pad_start(self);
  } else {
    gst_infer_pad_flush(self, GST_INFER_KEEP_NOTHING);
    g_clear_pointer(&self->format, g_atomic_rc_box_release);
    self->live = FALSE;
    self->upstream = 0;
  }
  g_mutex_unlock(&batcher->lock);
  return TRUE;
}

static gboolean
src_activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  g_autoptr(GstInferPad) self = get_partner(pad);
  GstInferBatcher *batcher;

  if (mode != GST_PAD_MODE_PUSH || !self)
    return FALSE;
  batcher = gst_infer_pad_lock(self);
  if (active)
    gst_infer_pad_start(self);
  else
    gst_infer_pad_flush(self, GST_INFER_KEEP_NOTHING);
  g_mutex_unlock(&batcher->lock);
  return active ? gst_pad_start_task(pad, gst_infer_stream_loop, pad, NULL)
                : gst_pad_stop_task(pad);
}

/* Exactly the partner: the default, every pad of the other side, would mix streams. */
static GstIterator *
internal_links(GstPad *pad, GstObject *parent)
{
  g_auto(GValue) value = G_VALUE_INIT;

  g_value_init(&value, GST_TYPE_PAD);
  if (GST_PAD_IS_SINK(pad))
    g_value_set_object(&value, GST_INFER_PAD(pad)->srcpad);
  else
    g_value_take_object(&value, get_partner(pad));
  return g_value_get_object(&value) ? gst_iterator_new_single(GST_TYPE_PAD, &value) : NULL;
}

void
gst_infer_stream_install(GstInferPad *self)
{
  GstPad *sink = GST_PAD_CAST(self), *src = self->srcpad;

  gst_pad_set_chain_function(sink, sink_chain);
  gst_pad_set_event_full_function(sink, sink_event);
  gst_pad_set_query_function(sink, sink_query);
  gst_pad_set_activatemode_function(sink, sink_activate_mode);
  gst_pad_set_iterate_internal_links_function(sink, internal_links);
  GST_PAD_SET_PROXY_CAPS(sink);

  gst_pad_set_event_function(src, src_event);
  gst_pad_set_query_function(src, src_query);
  gst_pad_set_activatemode_function(src, src_activate_mode);
  gst_pad_set_iterate_internal_links_function(src, internal_links);
  GST_PAD_SET_PROXY_CAPS(src);
}
