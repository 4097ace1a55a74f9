/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/*
 * One stream: chain, events and queries of the sink pad fill the in-queue; the source pad's task
 * empties the out-queue. Locks: a pad's stream lock may be held when the batcher's lock is taken,
 * never the other way round; nothing is pushed, queried or posted under the batcher's lock.
 */

static void src_loop(gpointer user_data);

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
  if (self->batcher->state == GST_INFER_MODEL_FAILED)
    return GST_FLOW_ERROR;
  return GST_FLOW_OK;
}

static guint
get_interval(GstInferPad *self)
{
  guint interval;

  GST_OBJECT_LOCK(self);
  interval = self->interval;
  GST_OBJECT_UNLOCK(self);
  return interval ? interval : MAX(self->batcher->settings.interval, 1);
}

static void
enqueue_buffer(GstInferPad *self, GstBuffer *buffer)
{
  GstInferItem item = {.object = GST_MINI_OBJECT_CAST(buffer)};

  item.format = g_atomic_rc_box_acquire(self->format);
  item.frame = self->frame++;
  item.arrival = g_get_monotonic_time();
  item.running_time = GST_CLOCK_TIME_NONE;
  if (self->segment.format == GST_FORMAT_TIME && GST_BUFFER_PTS_IS_VALID(buffer))
    item.running_time =
        gst_segment_to_running_time(&self->segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  if (item.frame % get_interval(self) != 0)
    item.pass = GST_INFER_PASS_INTERVAL;
  self->last_arrival = item.arrival;
  self->gap = FALSE;
  self->batcher->stats.frames++;
  gst_infer_pad_push_in(self, &item);
}

static GstFlowReturn
sink_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  GstInferPad *self = GST_INFER_PAD(pad);
  GstInferBatcher *batcher = self->batcher;
  GstFlowReturn ret;

  g_mutex_lock(&batcher->lock);
  while ((ret = in_state(self)) == GST_FLOW_OK && !self->eos &&
         self->in_buffers >= batcher->capacity)
    g_cond_wait(&self->in_cond, &batcher->lock);
  if (ret == GST_FLOW_OK && self->eos)
    ret = GST_FLOW_EOS;
  if (ret == GST_FLOW_OK && !self->format)
    ret = GST_FLOW_NOT_NEGOTIATED;
  if (ret == GST_FLOW_OK)
    enqueue_buffer(self, g_steal_pointer(&buffer));
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
  gboolean live = FALSE;

  if (gst_pad_peer_query(GST_PAD_CAST(self), query))
    gst_query_parse_latency(query, &live, NULL, NULL);
  g_mutex_lock(&self->batcher->lock);
  self->live = live;
  gst_infer_batcher_update(self->batcher);
  g_mutex_unlock(&self->batcher->lock);
}

static gboolean
handle_caps(GstInferPad *self, GstObject *parent, GstEvent *event)
{
  g_autoptr(GError) error = NULL;
  GstCaps *caps;
  GstInferFormat *format;

  gst_event_parse_caps(event, &caps);
  format = gst_infer_format_new(caps, &error);
  if (!format) {
    GST_ELEMENT_ERROR(parent, STREAM, FORMAT, ("%s: %s", GST_PAD_NAME(self), error->message),
                      (NULL));
    return FALSE;
  }
  g_mutex_lock(&self->batcher->lock);
  g_clear_pointer(&self->format, g_atomic_rc_box_release);
  self->format = format;
  gst_infer_batcher_update(self->batcher);
  g_mutex_unlock(&self->batcher->lock);
  return TRUE;
}

/* With the lock: lets the source pad's task run again after it had paused over a flow return. */
static void
resume(GstInferPad *self)
{
  self->flow = GST_FLOW_OK;
  gst_pad_start_task(self->srcpad, src_loop, self->srcpad, NULL);
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

/* Whether no stream at all has a peer: then the end of one has to say so. */
static gboolean
nothing_linked(GstInferBatcher *batcher)
{
  for (guint i = 0; i < batcher->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(batcher->pads, i);
    if (pad->flow != GST_FLOW_NOT_LINKED)
      return FALSE;
  }
  return TRUE;
}

static GstFlowReturn
enqueue_event(GstInferPad *self, GstObject *parent, GstEvent *event)
{
  GstInferBatcher *batcher = self->batcher;
  const gboolean is_eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
  gboolean unlinked = FALSE, failed;
  GstFlowReturn ret;

  g_mutex_lock(&batcher->lock);
  note_event(self, event);
  ret = in_state(self);
  if (ret == GST_FLOW_OK) {
    GstInferItem item = {.object = GST_MINI_OBJECT_CAST(event), .arrival = g_get_monotonic_time()};
    gst_infer_pad_push_in(self, &item);
    event = NULL;
  } else if (ret == GST_FLOW_NOT_LINKED) {
    unlinked = nothing_linked(batcher);
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
  GstInferBatcher *batcher = self->batcher;
  GstFlowReturn ret;

  switch (GST_EVENT_TYPE(event)) {
  case GST_EVENT_FLUSH_START:
    gst_pad_push_event(self->srcpad, event);
    g_mutex_lock(&batcher->lock);
    gst_infer_pad_flush(self, GST_INFER_KEEP_EVENTS);
    g_mutex_unlock(&batcher->lock);
    gst_pad_pause_task(self->srcpad);
    return GST_FLOW_OK;
  case GST_EVENT_FLUSH_STOP:
    gst_pad_push_event(self->srcpad, event);
    g_mutex_lock(&batcher->lock);
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
  GstInferBatcher *batcher = self->batcher;
  gboolean result = FALSE;

  g_mutex_lock(&batcher->lock);
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

/* The frames that the queues hold come out of upstream's pool. */
static void
raise_pools(GstInferPad *self, GstQuery *query)
{
  guint hold, size, min, max;
  GstBufferPool *pool;

  g_mutex_lock(&self->batcher->lock);
  hold = 2 * self->batcher->capacity + 1;
  g_mutex_unlock(&self->batcher->lock);

  for (guint i = 0; i < gst_query_get_n_allocation_pools(query); i++) {
    gst_query_parse_nth_allocation_pool(query, i, &pool, &size, &min, &max);
    min = min > G_MAXINT - hold ? G_MAXINT : min + hold;
    if (max != 0 && max < min)
      max = min;
    gst_query_set_nth_allocation_pool(query, i, pool, size, min, max);
    gst_clear_object(&pool);
  }
  if (gst_query_get_n_allocation_pools(query) == 0) {
    GstCaps *caps = NULL;
    GstVideoInfo info;
    gst_query_parse_allocation(query, &caps, NULL);
    if (caps && gst_video_info_from_caps(&info, caps))
      gst_query_add_allocation_pool(query, NULL, (guint)info.size, hold, 0);
  }
}

static void
push_query(GstInferPad *self, GstQuery *query)
{
  gboolean result;

  result = gst_pad_peer_query(self->srcpad, query);
  if (result && GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
    raise_pools(self, query);

  g_mutex_lock(&self->batcher->lock);
  self->query_busy = FALSE;
  self->query_result = result;
  self->query = NULL;
  g_cond_broadcast(&self->in_cond);
  g_mutex_unlock(&self->batcher->lock);
}

/* Waits for the next item of the out-queue; FALSE when there is nothing to wait for. */
static gboolean
pop_out(GstInferPad *self, GstInferItem *item)
{
  GstInferBatcher *batcher = self->batcher;
  GstInferItem *head = NULL;

  g_mutex_lock(&batcher->lock);
  while (!self->flushing && self->flow == GST_FLOW_OK && gst_queue_array_is_empty(self->out))
    g_cond_wait(&self->out_cond, &batcher->lock);
  if (!self->flushing && self->flow == GST_FLOW_OK)
    head = gst_queue_array_pop_head_struct(self->out);
  if (head) {
    *item = *head;
    if (GST_IS_BUFFER(item->object)) {
      self->out_buffers--;
      g_cond_signal(&batcher->wake);
    }
    self->query_busy = GST_IS_QUERY(item->object);
  } else {
    gst_pad_pause_task(self->srcpad);
  }
  g_mutex_unlock(&batcher->lock);
  return head != NULL;
}

static void
src_loop(gpointer user_data)
{
  g_autoptr(GstInferPad) self = get_partner(user_data);
  GstFlowReturn ret = GST_FLOW_OK;
  GstInferItem item;

  if (!self || !pop_out(self, &item))
    return;
  g_clear_pointer(&item.format, g_atomic_rc_box_release);
  if (GST_IS_BUFFER(item.object))
    ret = gst_pad_push(self->srcpad, GST_BUFFER_CAST(item.object));
  else if (GST_IS_EVENT(item.object))
    gst_pad_push_event(self->srcpad, GST_EVENT_CAST(item.object));
  else
    push_query(self, GST_QUERY_CAST(item.object));
  if (ret == GST_FLOW_OK)
    return;

  GST_DEBUG_OBJECT(self->srcpad, "paused: %s", gst_flow_get_name(ret));
  g_mutex_lock(&self->batcher->lock);
  if (!self->flushing) {
    self->flow = ret;
    gst_infer_pad_drop(self, GST_INFER_KEEP_STICKY);
    gst_pad_pause_task(self->srcpad);
  }
  g_mutex_unlock(&self->batcher->lock);
}

static gboolean
src_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
  g_autoptr(GstInferPad) self = get_partner(pad);
  GstClockTime latency;

  if (!self) {
    gst_event_unref(event);
    return FALSE;
  }
  g_mutex_lock(&self->batcher->lock);
  switch (GST_EVENT_TYPE(event)) {
  case GST_EVENT_RECONFIGURE:
    if (self->flow == GST_FLOW_NOT_LINKED && !self->flushing)
      resume(self);
    break;
  case GST_EVENT_LATENCY:
    gst_event_parse_latency(event, &latency);
    self->batcher->pipeline_latency = latency;
    break;
  default:
    break;
  }
  g_mutex_unlock(&self->batcher->lock);
  return gst_pad_push_event(GST_PAD_CAST(self), event);
}

static gboolean
answer_latency(GstInferPad *self, GstQuery *query)
{
  GstClockTime min, max, own, hold = 0;
  gboolean live;

  if (!gst_pad_peer_query(GST_PAD_CAST(self), query))
    return FALSE;
  gst_query_parse_latency(query, &live, &min, &max);

  g_mutex_lock(&self->batcher->lock);
  if (self->live != live) {
    self->live = live;
    gst_infer_batcher_update(self->batcher);
  }
  own = gst_infer_batcher_get_latency(self->batcher);
  if (self->format && self->format->info.fps_n > 0)
    hold = self->batcher->capacity * gst_util_uint64_scale_int(GST_SECOND, self->format->info.fps_d,
                                                               self->format->info.fps_n);
  g_mutex_unlock(&self->batcher->lock);

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

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  g_mutex_lock(&self->batcher->lock);
  if (active) {
    gst_infer_pad_start(self);
  } else {
    gst_infer_pad_flush(self, GST_INFER_KEEP_NOTHING);
    g_clear_pointer(&self->format, g_atomic_rc_box_release);
    self->live = FALSE;
  }
  g_mutex_unlock(&self->batcher->lock);
  return TRUE;
}

static gboolean
src_activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  g_autoptr(GstInferPad) self = get_partner(pad);

  if (mode != GST_PAD_MODE_PUSH || !self)
    return FALSE;
  g_mutex_lock(&self->batcher->lock);
  if (active)
    gst_infer_pad_start(self);
  else
    gst_infer_pad_flush(self, GST_INFER_KEEP_NOTHING);
  g_mutex_unlock(&self->batcher->lock);
  return active ? gst_pad_start_task(pad, src_loop, pad, NULL) : gst_pad_stop_task(pad);
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
