/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferrun.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/*
 * The source pad's task: takes what is ready at the head of the out-queue and pushes it. Nothing is
 * pushed, queried or posted under the batcher's lock.
 */

/* The frames that the queues hold come out of upstream's pool. */
static void
raise_pools(GstInferPad *self, GstQuery *query)
{
  GstInferBatcher *batcher = gst_infer_pad_lock(self);
  const guint hold = 2 * MIN(gst_infer_pad_capacity(self), G_MAXINT / 4) + 1;
  guint size, min, max;
  GstBufferPool *pool;

  g_mutex_unlock(&batcher->lock);
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
  GstInferBatcher *batcher;
  gboolean result;

  result = gst_pad_peer_query(self->srcpad, query);
  if (result && GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
    raise_pools(self, query);

  batcher = gst_infer_pad_lock(self);
  self->query_busy = FALSE;
  self->query_result = result;
  self->query = NULL;
  g_cond_broadcast(&self->in_cond);
  g_mutex_unlock(&batcher->lock);
}

/* The head of the out-queue where it is ready; NULL where it is in a batch still. */
static GstInferItem *
ready_head(GstInferPad *self)
{
  GstInferItem *head = gst_queue_array_peek_head_struct(self->out);

  return head && (head->object || head->abandoned) ? head : NULL;
}

/* From the end of the batch, or from when the task was back from downstream, until it goes on. */
static void
note_handover(GstInferBatcher *batcher, const GstInferItem *item, gint64 since)
{
  const gint64 took = g_get_monotonic_time() - MAX(item->done, since);

  if (item->done > 0)
    batcher->handover = MAX(batcher->handover, (GstClockTime)took * GST_USECOND);
}

/* Waits for the next item of the out-queue; FALSE when there is nothing to wait for. */
static gboolean
pop_out(GstInferPad *self, GstInferItem *item, guint *serial)
{
  GstInferBatcher *batcher = gst_infer_pad_lock(self);
  const gint64 since = g_get_monotonic_time();
  gboolean found = FALSE;

  while (!self->flushing && self->flow == GST_FLOW_OK && !ready_head(self))
    g_cond_wait(&self->out_cond, &batcher->lock);
  if (!self->flushing && self->flow == GST_FLOW_OK) {
    found = TRUE;
    *item = *(GstInferItem *)gst_queue_array_pop_head_struct(self->out);
    *serial = self->serial;
    self->out_popped++;
    note_handover(batcher, item, since);
    if (!item->object || GST_IS_BUFFER(item->object)) {
      self->out_buffers--;
      g_cond_signal(&batcher->wake);
    }
    self->query_busy = item->object && GST_IS_QUERY(item->object);
  } else {
    gst_pad_pause_task(self->srcpad);
  }
  g_mutex_unlock(&batcher->lock);
  return found;
}

/* Downstream and the application learn of frames that pass because time is short. */
static void
post_late(GstInferPad *self, const GstInferItem *item, const GstSegment *segment, gboolean live)
{
  GstElement *element = self->client->element;
  GstBuffer *buffer = GST_BUFFER_CAST(item->object);
  const GstClockTime stream_time =
      gst_segment_to_stream_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  const gint64 waited = (g_get_monotonic_time() - item->arrival) * (gint64)GST_USECOND;
  const guint64 all = self->qos_processed + self->qos_late;
  GstMessage *message;

  message = gst_message_new_qos(GST_OBJECT(self->srcpad), live, item->running_time, stream_time,
                                GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer));
  gst_message_set_qos_values(message, waited, all ? (gdouble)self->qos_processed / (gdouble)all : 0,
                             G_MAXINT);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, self->qos_processed, self->qos_late);
  gst_element_post_message(element, message);
}

/* Says when a stream begins to pass frames for lack of time, and when that is over. */
static void
note_overload(GstInferPad *self, gboolean late)
{
  GstElement *element = self->client->element;
  g_autofree gchar *name = NULL;

  if (late == self->overloaded)
    return;
  self->overloaded = late;
  name = gst_infer_pad_dup_stream_name(self);
  GST_INFO_OBJECT(self->srcpad, late ? "frames are too late to be inferred on" : "in time again");
  gst_element_post_message(
      element, gst_message_new_element(
                   GST_OBJECT(element),
                   gst_structure_new("infer-overload", "pad", G_TYPE_STRING, GST_PAD_NAME(self),
                                     "stream", G_TYPE_STRING, name, "overloaded", G_TYPE_BOOLEAN,
                                     late, "inferred", G_TYPE_UINT64, self->qos_processed, "late",
                                     G_TYPE_UINT64, self->qos_late, NULL)));
}

static void
judge_time(GstInferPad *self, const GstInferItem *item)
{
  GstInferBatcher *batcher;
  GstSegment segment;
  gboolean live;

  if (item->pass == GST_INFER_PASS_NONE) {
    self->qos_processed++;
    note_overload(self, FALSE);
  } else if (item->pass == GST_INFER_PASS_LATE) {
    self->qos_late++;
    batcher = gst_infer_pad_lock(self);
    segment = self->segment;
    live = self->live;
    g_mutex_unlock(&batcher->lock);
    post_late(self, item, &segment, live);
    note_overload(self, TRUE);
  }
}

/* Frames in which nothing moved have the objects of the last one that was inferred on. */
static void
carry_over(GstInferPad *self, GstInferItem *item, guint serial)
{
  if (self->last && self->last_serial != serial)
    g_clear_pointer(&self->last, g_array_unref);
  if (item->objects) {
    g_clear_pointer(&self->last, g_array_unref);
    self->last = g_steal_pointer(&item->objects);
    self->last_serial = serial;
    self->last_model = item->model_name;
  } else if (item->pass == GST_INFER_PASS_STILL && self->last) {
    gst_infer_item_attach(item, self, self->last, self->last_model, item->metadata, TRUE);
  }
}

static GstFlowReturn
push_buffer(GstInferPad *self, GstInferItem *item, guint serial)
{
  GstInferBatcher *batcher;
  GstBuffer *buffer;

  carry_over(self, item, serial);
  judge_time(self, item);
  buffer = GST_BUFFER_CAST(item->object);
  if (item->discont && !GST_BUFFER_IS_DISCONT(buffer)) {
    buffer = gst_infer_make_writable(buffer);
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  }
  batcher = gst_infer_pad_lock(self);
  gst_infer_times_add(&self->stats.phases[GST_INFER_PHASE_TOTAL],
                      (GstClockTime)(g_get_monotonic_time() - item->arrival) * GST_USECOND);
  g_mutex_unlock(&batcher->lock);
  g_clear_pointer(&item->format, g_atomic_rc_box_release);
  return gst_pad_push(self->srcpad, buffer);
}

void
gst_infer_stream_loop(gpointer user_data)
{
  g_autoptr(GstInferPad) self = g_weak_ref_get(&GST_INFER_SRC_PAD(user_data)->partner);
  GstFlowReturn ret = GST_FLOW_OK;
  GstInferBatcher *batcher;
  GstInferItem item;
  guint serial;

  if (!self || !pop_out(self, &item, &serial))
    return;
  if (!item.object)
    gst_infer_item_clear(&item);
  else if (GST_IS_BUFFER(item.object))
    ret = push_buffer(self, &item, serial);
  else if (GST_IS_EVENT(item.object))
    gst_pad_push_event(self->srcpad, GST_EVENT_CAST(item.object));
  else
    push_query(self, GST_QUERY_CAST(item.object));
  if (ret == GST_FLOW_OK)
    return;

  GST_DEBUG_OBJECT(self->srcpad, "paused: %s", gst_flow_get_name(ret));
  batcher = gst_infer_pad_lock(self);
  /* A flush between the push and now has begun anew: the return is of what was before. */
  if (!self->flushing && self->serial == serial) {
    self->flow = ret;
    gst_infer_pad_drop(self, GST_INFER_KEEP_STICKY);
    gst_pad_pause_task(self->srcpad);
  }
  g_mutex_unlock(&batcher->lock);
}
