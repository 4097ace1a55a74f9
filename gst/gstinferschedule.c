/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferrun.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/** What the batcher knows of a pad when it looks for a batch. */
typedef struct {
  guint ready;       /* frames that could enter a batch */
  gint64 oldest;     /* when the first of them came */
  gboolean can_add;  /* upstream may deliver another one that this batch could take */
  gboolean expected; /* and it is worth waiting for */
} PadState;

guint
gst_infer_batcher_active(GstInferBatcher *self)
{
  guint active = 0;

  for (guint i = 0; i < self->pads->len; i++) {
    const GstInferPad *pad = g_ptr_array_index(self->pads, i);
    active += !pad->eos && !pad->flushing && pad->flow == GST_FLOW_OK;
  }
  return MAX(active, 1);
}

/* Frames that the next batch should have. */
guint
gst_infer_batcher_target(GstInferBatcher *self)
{
  const guint max = self->model ? gst_infer_model_get_max_batch(self->model) : 1;
  guint wanted = 0;

  for (guint i = 0; i < self->clients->len; i++) {
    const GstInferClient *client = g_ptr_array_index(self->clients, i);
    wanted = MAX(wanted, client->settings.batch_size);
  }
  if (wanted > 0)
    return MIN(wanted, max);
  if (!self->live)
    return self->model ? gst_infer_model_get_best_batch(self->model) : 1;
  return MIN(gst_infer_batcher_active(self), max);
}

/* The least explicit timeout of the elements; below 0 where there is none. */
static gint64
explicit_timeout(GstInferBatcher *self)
{
  gint64 least = -1;

  for (guint i = 0; i < self->clients->len; i++) {
    const gint64 timeout =
        ((GstInferClient *)g_ptr_array_index(self->clients, i))->settings.batch_timeout;
    if (timeout >= 0 && (least < 0 || timeout < least))
      least = timeout;
  }
  return least;
}

gint64
gst_infer_batcher_timeout(GstInferBatcher *self)
{
  const gint64 given = explicit_timeout(self);
  GstClockTime shortest = GST_INFER_SILENCE * GST_USECOND;

  if (given >= 0)
    return given / (gint64)GST_USECOND;
  for (guint i = 0; i < self->pads->len; i++) {
    const GstInferPad *pad = g_ptr_array_index(self->pads, i);
    if (pad->format && pad->format->info.fps_n > 0)
      shortest = MIN(shortest, gst_util_uint64_scale_int(GST_SECOND, pad->format->info.fps_d,
                                                         pad->format->info.fps_n));
  }
  return (gint64)(shortest / GST_USECOND);
}

static gboolean
drop_after_failure(GstInferBatcher *self, GstInferPad *pad, GstInferItem *head)
{
  if (self->state != GST_INFER_MODEL_FAILED || !GST_IS_BUFFER(head->object))
    return FALSE;
  gst_infer_item_clear(gst_queue_array_pop_head_struct(pad->in));
  pad->in_buffers--;
  return TRUE;
}

void
gst_infer_batcher_move_through(GstInferBatcher *self, GstInferPad *pad)
{
  GstInferItem *head;

  while (!pad->flushing && (head = gst_queue_array_peek_head_struct(pad->in))) {
    if (drop_after_failure(self, pad, head))
      continue;
    if (GST_IS_BUFFER(head->object)) {
      if (head->pass == GST_INFER_PASS_NONE && self->state == GST_INFER_MODEL_LOADING &&
          self->live) {
        head->pass = GST_INFER_PASS_NOT_READY;
        pad->reference_lost = TRUE;
      }
      if (head->pass == GST_INFER_PASS_NONE || pad->out_buffers >= gst_infer_pad_capacity(pad))
        return;
      pad->stats.passed[head->pass]++;
      pad->in_buffers--;
      g_cond_broadcast(&pad->in_cond);
    }
    const GstInferItem item = *(GstInferItem *)gst_queue_array_pop_head_struct(pad->in);
    gst_infer_pad_push_out(pad, &item);
  }
}

/* Places in the out-queue are taken when a frame enters a batch, so that order is kept: a batch may
 * reach beyond events and frames that pass. */
static PadState
look_at(GstInferPad *pad, guint target, gint64 now)
{
  const guint capacity = gst_infer_pad_capacity(pad);
  PadState state = {.oldest = G_MAXINT64};
  guint room, length, buffers = 0;

  if (pad->flushing || pad->flow != GST_FLOW_OK)
    return state;
  room = pad->out_buffers < capacity ? capacity - pad->out_buffers : 0;
  length = (guint)gst_queue_array_get_length(pad->in);
  target = MIN(target, gst_infer_pad_max_frames(pad));
  for (guint i = 0; i < length && state.ready < target && buffers < room; i++) {
    const GstInferItem *item = gst_queue_array_peek_nth_struct(pad->in, i);
    if (!GST_IS_BUFFER(item->object))
      continue;
    buffers++;
    if (item->pass != GST_INFER_PASS_NONE)
      continue;
    state.oldest = MIN(state.oldest, item->arrival);
    state.ready++;
  }
  state.can_add = !pad->eos && state.ready < target && buffers == pad->in_buffers &&
                  pad->in_buffers < capacity && room > buffers;
  state.expected =
      state.can_add && length == 0 && !pad->gap && now - pad->last_arrival < GST_INFER_SILENCE;
  return state;
}

/*
 * Without a timeout of the user's a batch waits only for pads that have nothing in it yet, and for
 * a live stream at most until the timeout. While another batch is in flight it waits to become
 * full: the device could not take it yet.
 */
const gchar *
gst_infer_batcher_closes(GstInferBatcher *self, guint target, gint64 now, gint64 *wake)
{
  const gboolean automatic = explicit_timeout(self) < 0;
  gboolean urgent = FALSE, waits = FALSE;
  gint64 oldest = G_MAXINT64, look = G_MAXINT64;
  guint total = 0;

  for (guint i = 0; i < self->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(self->pads, i);
    const PadState state = look_at(pad, target, now);

    total += state.ready;
    oldest = MIN(oldest, state.oldest);
    urgent |= state.ready > 0 && pad->query != NULL;
    waits |= automatic ? state.expected : state.can_add;
    if (automatic && state.expected)
      look = MIN(look, pad->last_arrival + GST_INFER_SILENCE);
  }
  if (total == 0)
    return NULL;
  if (total >= target)
    return "it is full";
  if (urgent)
    return "a query waits behind it";
  if (!waits && self->in_flight == 0)
    return "no stream has more for it";
  if (!waits && self->live && self->in_flight < self->n_workers)
    return "no stream has more for it, and it is prepared meanwhile";
  if (!automatic || self->live) {
    look = MIN(look, oldest + gst_infer_batcher_timeout(self));
    if (now >= oldest + gst_infer_batcher_timeout(self))
      return "its time is over";
  } else if (waits && now >= look) {
    return "a stream is silent";
  }
  *wake = MIN(*wake, look);
  return NULL;
}

/* Streams in the order in which they are served: by priority, raised by one for each batch that
 * left them out, then the one that waits longest. */
static gint
compare_pads(gconstpointer a, gconstpointer b)
{
  const GstInferPad *x = *(GstInferPad *const *)a, *y = *(GstInferPad *const *)b;
  const guint64 px = (guint64)x->turn_priority + x->waited;
  const guint64 py = (guint64)y->turn_priority + y->waited;

  if (px != py)
    return px > py ? -1 : 1;
  return x->served < y->served ? -1 : x->served > y->served;
}

/* The running time up to which frames that come out after the run of a batch are too late for their
 * sink; NONE where frames cannot be late. */
static GstClockTime
time_limit(GstInferClient *client)
{
  g_autoptr(GstClock) clock = NULL;
  GstClockTime now, base;

  if (!client->running || !client->live || !client->settings.qos ||
      !GST_CLOCK_TIME_IS_VALID(client->pipeline_latency) ||
      GST_STATE(client->element) != GST_STATE_PLAYING)
    return GST_CLOCK_TIME_NONE;
  clock = gst_element_get_clock(client->element);
  base = gst_element_get_base_time(client->element);
  if (!clock || !GST_CLOCK_TIME_IS_VALID(base))
    return GST_CLOCK_TIME_NONE;
  now = gst_clock_get_time(clock) + gst_infer_client_ahead(client);
  if (now < base || now - base < client->pipeline_latency)
    return GST_CLOCK_TIME_NONE;
  return now - base - client->pipeline_latency;
}

static gboolean
is_late(GstInferPad *pad, const GstInferItem *item)
{
  const GstClockTime limit = pad->client->limit;

  if (!GST_CLOCK_TIME_IS_VALID(item->running_time) || !pad->client->settings.qos)
    return FALSE;
  if (GST_CLOCK_TIME_IS_VALID(limit) && item->running_time < limit)
    return TRUE;
  /* What the sink itself measured, for streams that cannot wait. */
  return pad->live && GST_CLOCK_TIME_IS_VALID(pad->earliest) && item->running_time < pad->earliest;
}

static void
set_limits(GstInferBatcher *self)
{
  for (guint i = 0; i < self->clients->len; i++) {
    GstInferClient *client = g_ptr_array_index(self->clients, i);
    client->limit = time_limit(client);
  }
}

void
gst_infer_batcher_expire(GstInferBatcher *self)
{
  set_limits(self);
  for (guint i = 0; i < self->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(self->pads, i);
    for (;;) {
      GstInferItem *head;
      gst_infer_batcher_move_through(self, pad);
      head = pad->flushing ? NULL : gst_queue_array_peek_head_struct(pad->in);
      if (!head || !GST_IS_BUFFER(head->object) || head->pass != GST_INFER_PASS_NONE ||
          !is_late(pad, head))
        break;
      head->pass = GST_INFER_PASS_LATE;
      pad->reference_lost = TRUE;
    }
  }
}

/* Takes the next frame of @pad into the batch; those that are late keep their place and pass. */
static gboolean
take_frame(GstInferBatcher *self, GstInferPad *pad, GstInferRun *run)
{
  GstInferItem *head;

  for (;;) {
    gst_infer_batcher_move_through(self, pad);
    if (pad->flushing || pad->flow != GST_FLOW_OK ||
        pad->out_buffers >= gst_infer_pad_capacity(pad) ||
        !(head = gst_queue_array_peek_head_struct(pad->in)) || !GST_IS_BUFFER(head->object) ||
        head->pass != GST_INFER_PASS_NONE)
      return FALSE;
    if (!is_late(pad, head))
      break;
    head->pass = GST_INFER_PASS_LATE;
    pad->reference_lost = TRUE;
  }

  GstInferEntry entry = {.pad = gst_object_ref(pad), .serial = pad->serial};
  entry.item = *(GstInferItem *)gst_queue_array_pop_head_struct(pad->in);
  entry.place = gst_infer_pad_reserve_out(pad);
  entry.score = pad->client->settings.score;
  entry.keep = gst_infer_pad_watches_motion(pad);
  entry.attach_tensors = pad->client->settings.attach_tensors;
  pad->in_buffers--;
  pad->client->in_flight++;
  g_cond_broadcast(&pad->in_cond);
  g_array_append_val(run->entries, entry);
  return TRUE;
}

/* Elements that share a batcher may want different IoU thresholds, which the plan has one of. */
static gboolean
may_join(GstInferRun *run, const GstInferPad *pad)
{
  if (run->entries->len == 0)
    run->iou = pad->client->settings.iou;
  return run->iou == pad->client->settings.iou;
}

void
gst_infer_batcher_collect(GstInferBatcher *self, GstInferRun *run, guint target)
{
  guint taken = 0, round = 0;
  gboolean more = TRUE;

  set_limits(self);
  for (guint i = 0; i < self->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(self->pads, i);
    pad->turn_priority = (guint)g_atomic_int_get(&pad->priority);
    if (pad->in_buffers > 0)
      pad->waited = MIN(pad->waited + 1, G_MAXINT);
  }
  g_ptr_array_sort(self->pads, compare_pads);
  self->served++;
  for (; more && taken < target; round++) {
    more = FALSE;
    for (guint i = 0; i < self->pads->len && taken < target; i++) {
      GstInferPad *pad = g_ptr_array_index(self->pads, i);
      if (round >= gst_infer_pad_max_frames(pad) || !may_join(run, pad) ||
          !take_frame(self, pad, run))
        continue;
      pad->served = self->served;
      pad->waited = 0;
      more = TRUE;
      taken++;
    }
  }
}
