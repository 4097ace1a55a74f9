/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferrun.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/** What the batcher knows of a pad when it looks for a batch. */
typedef struct {
  guint ready;       /* frames that could enter a batch */
  gboolean can_add;  /* upstream may deliver another one that this batch could take */
  gboolean expected; /* and it is worth waiting for */
} PadState;

GstInferBatcher *
gst_infer_batcher_new(GstElement *element)
{
  GstInferBatcher *self = g_atomic_rc_box_new0(GstInferBatcher);

  self->element = element;
  g_mutex_init(&self->lock);
  g_cond_init(&self->wake);
  self->pads = g_ptr_array_new_with_free_func(gst_object_unref);
  self->settings = (GstInferSettings){.batch_timeout = -1, .interval = 1, .score = -1, .iou = -1};
  self->pipeline_latency = GST_CLOCK_TIME_NONE;
  self->reported = GST_CLOCK_TIME_NONE;
  self->capacity = 4;
  self->run = gst_infer_run_new();
  return self;
}

GstInferBatcher *
gst_infer_batcher_ref(GstInferBatcher *self)
{
  return g_atomic_rc_box_acquire(self);
}

static void
batcher_clear(gpointer data)
{
  GstInferBatcher *self = data;

  g_ptr_array_unref(self->pads);
  g_clear_pointer(&self->model, gst_infer_model_unref);
  gst_infer_run_free(self->run);
  g_cond_clear(&self->wake);
  g_mutex_clear(&self->lock);
}

void
gst_infer_batcher_unref(GstInferBatcher *self)
{
  g_atomic_rc_box_release_full(self, batcher_clear);
}

/* Frames that the next batch should have. */
guint
gst_infer_batcher_target(GstInferBatcher *self)
{
  const guint max = self->model ? gst_infer_model_get_max_batch(self->model) : 1;
  guint active = 0;

  if (self->settings.batch_size > 0)
    return MIN(self->settings.batch_size, max);
  if (!self->live)
    return self->model ? gst_infer_model_get_best_batch(self->model) : 1;
  for (guint i = 0; i < self->pads->len; i++) {
    const GstInferPad *pad = g_ptr_array_index(self->pads, i);
    active += !pad->eos && !pad->flushing && pad->flow == GST_FLOW_OK;
  }
  return CLAMP(active, 1, max);
}

void
gst_infer_batcher_update(GstInferBatcher *self)
{
  const guint n = MAX(self->pads->len, 1);
  guint target;

  self->live = FALSE;
  for (guint i = 0; i < self->pads->len; i++)
    self->live |= ((GstInferPad *)g_ptr_array_index(self->pads, i))->live;

  target = gst_infer_batcher_target(self);
  self->capacity = self->settings.max_buffers;
  if (self->capacity == 0)
    self->capacity = MAX(4, 2 * ((target + n - 1) / n));
  for (guint i = 0; i < self->pads->len; i++)
    g_cond_broadcast(&((GstInferPad *)g_ptr_array_index(self->pads, i))->in_cond);
  g_cond_signal(&self->wake);
}

void
gst_infer_batcher_add_pad(GstInferBatcher *self, GstInferPad *pad)
{
  g_mutex_lock(&self->lock);
  g_ptr_array_add(self->pads, gst_object_ref(pad));
  gst_infer_batcher_update(self);
  g_mutex_unlock(&self->lock);
}

void
gst_infer_batcher_remove_pad(GstInferBatcher *self, GstInferPad *pad)
{
  g_autoptr(GstInferPad) keep = gst_object_ref(pad);

  g_mutex_lock(&self->lock);
  gst_infer_pad_flush(pad, GST_INFER_KEEP_NOTHING);
  g_ptr_array_remove(self->pads, pad);
  gst_infer_batcher_update(self);
  g_mutex_unlock(&self->lock);
}

void
gst_infer_batcher_flush(GstInferBatcher *self)
{
  g_mutex_lock(&self->lock);
  for (guint i = 0; i < self->pads->len; i++)
    gst_infer_pad_flush(g_ptr_array_index(self->pads, i), GST_INFER_KEEP_NOTHING);
  g_mutex_unlock(&self->lock);
}

void
gst_infer_batcher_set_model(GstInferBatcher *self, GstInferModelState state, GstInferModel *model)
{
  g_autoptr(GstInferModel) old = NULL;

  g_mutex_lock(&self->lock);
  old = self->model;
  self->model = model;
  self->state = state;
  gst_infer_batcher_update(self);
  g_mutex_unlock(&self->lock);
}

void
gst_infer_batcher_set_settings(GstInferBatcher *self, const GstInferSettings *settings)
{
  g_mutex_lock(&self->lock);
  self->settings = *settings;
  gst_infer_batcher_update(self);
  g_mutex_unlock(&self->lock);
}

/* Microseconds from the first frame to the end of waiting. */
static gint64
timeout(GstInferBatcher *self)
{
  GstClockTime shortest = GST_INFER_SILENCE * GST_USECOND;

  if (self->settings.batch_timeout >= 0)
    return self->settings.batch_timeout / GST_USECOND;
  for (guint i = 0; i < self->pads->len; i++) {
    const GstInferPad *pad = g_ptr_array_index(self->pads, i);
    if (pad->format && pad->format->info.fps_n > 0)
      shortest = MIN(shortest, gst_util_uint64_scale_int(GST_SECOND, pad->format->info.fps_d,
                                                         pad->format->info.fps_n));
  }
  return (gint64)(shortest / GST_USECOND);
}

/* What batching and running add to a live stream; a batch of one waits for nobody. */
static GstClockTime
own_latency(GstInferBatcher *self)
{
  const guint target = gst_infer_batcher_target(self);

  if (self->run_time == 0 && self->model)
    self->run_time = gst_infer_model_get_run_time(self->model, target);
  return (target > 1 ? (GstClockTime)timeout(self) * GST_USECOND : 0) + self->run_time;
}

GstClockTime
gst_infer_batcher_get_latency(GstInferBatcher *self)
{
  const GstClockTime own = own_latency(self);

  if (!GST_CLOCK_TIME_IS_VALID(self->reported) || own > self->reported)
    self->reported = own;
  return self->reported;
}

/* Moves what is not inferred on: events, queries, and frames that pass. */
static void
move_through(GstInferBatcher *self, GstInferPad *pad)
{
  GstInferItem *head;

  while (!pad->flushing && (head = gst_queue_array_peek_head_struct(pad->in))) {
    if (GST_IS_BUFFER(head->object) && self->state == GST_INFER_MODEL_FAILED) {
      gst_infer_item_clear(gst_queue_array_pop_head_struct(pad->in));
      pad->in_buffers--;
      continue;
    }
    if (GST_IS_BUFFER(head->object)) {
      if (head->pass == GST_INFER_PASS_NONE && self->state == GST_INFER_MODEL_LOADING && self->live)
        head->pass = GST_INFER_PASS_NOT_READY;
      if (head->pass == GST_INFER_PASS_NONE || pad->out_buffers >= self->capacity)
        return;
      self->stats.passed[head->pass]++;
      pad->in_buffers--;
      g_cond_broadcast(&pad->in_cond);
    }
    const GstInferItem item = *(GstInferItem *)gst_queue_array_pop_head_struct(pad->in);
    gst_infer_pad_push_out(pad, &item);
  }
}

static PadState
look_at(GstInferBatcher *self, GstInferPad *pad, guint target, gint64 now)
{
  PadState state = {0};
  guint room, length;

  if (pad->flushing || pad->flow != GST_FLOW_OK)
    return state;
  room = pad->out_buffers < self->capacity ? self->capacity - pad->out_buffers : 0;
  length = (guint)gst_queue_array_get_length(pad->in);
  while (state.ready < MIN(room, target) && state.ready < length) {
    const GstInferItem *item = gst_queue_array_peek_nth_struct(pad->in, state.ready);
    if (!GST_IS_BUFFER(item->object) || item->pass != GST_INFER_PASS_NONE)
      break;
    state.ready++;
  }
  state.can_add = !pad->eos && state.ready == length && length < self->capacity && room > length;
  state.expected =
      state.can_add && length == 0 && !pad->gap && now - pad->last_arrival < GST_INFER_SILENCE;
  return state;
}

/*
 * Whether a batch is to be closed now; if not, @wake is when to look again. Without a timeout of
 * the user's a batch waits only for pads that have nothing in it yet, and for a live stream at most
 * until the timeout.
 */
static gboolean
batch_closes(GstInferBatcher *self, guint target, gint64 now, gint64 *wake)
{
  const gboolean automatic = self->settings.batch_timeout < 0;
  gboolean urgent = FALSE, waits = FALSE;
  gint64 oldest = G_MAXINT64;
  guint total = 0;

  for (guint i = 0; i < self->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(self->pads, i);
    const PadState state = look_at(self, pad, target, now);

    total += state.ready;
    if (state.ready > 0) {
      const GstInferItem *head = gst_queue_array_peek_head_struct(pad->in);
      oldest = MIN(oldest, head->arrival);
      urgent |= pad->query != NULL;
    }
    waits |= automatic ? state.expected : state.can_add;
    if (automatic && state.expected)
      *wake = MIN(*wake, pad->last_arrival + GST_INFER_SILENCE);
  }
  if (total == 0) {
    *wake = G_MAXINT64;
    return FALSE;
  }
  if (total >= target || urgent || !waits)
    return TRUE;
  if (!automatic || self->live)
    *wake = MIN(*wake, oldest + timeout(self));
  return now >= *wake;
}

/* Streams in the order in which they are served: by priority, raised by one for each batch that
 * left them out, then the one that waits longest. */
static gint
compare_pads(gconstpointer a, gconstpointer b)
{
  const GstInferPad *x = *(GstInferPad *const *)a, *y = *(GstInferPad *const *)b;
  const guint64 px = (guint64)x->priority + x->waited, py = (guint64)y->priority + y->waited;

  if (px != py)
    return px > py ? -1 : 1;
  return x->served < y->served ? -1 : x->served > y->served;
}

/* Running time of now, or NONE where frames cannot be late. */
static GstClockTime
time_limit(GstInferBatcher *self)
{
  g_autoptr(GstClock) clock = NULL;
  GstClockTime now, base;

  if (!self->live || !GST_CLOCK_TIME_IS_VALID(self->pipeline_latency) ||
      GST_STATE(self->element) != GST_STATE_PLAYING)
    return GST_CLOCK_TIME_NONE;
  clock = gst_element_get_clock(self->element);
  base = gst_element_get_base_time(self->element);
  if (!clock || !GST_CLOCK_TIME_IS_VALID(base))
    return GST_CLOCK_TIME_NONE;
  now = gst_clock_get_time(clock);
  if (now < base || now - base < self->pipeline_latency)
    return GST_CLOCK_TIME_NONE;
  return now - base - self->pipeline_latency;
}

/* Takes the next frame of @pad; those that are too late come along without counting. */
static gboolean
take_frame(GstInferBatcher *self, GstInferPad *pad, GstClockTime limit)
{
  GstInferEntry entry = {.pad = NULL};
  GstInferItem *head;

  while (!pad->flushing && pad->flow == GST_FLOW_OK &&
         pad->out_buffers + pad->busy_buffers < self->capacity &&
         (head = gst_queue_array_peek_head_struct(pad->in)) && GST_IS_BUFFER(head->object) &&
         head->pass == GST_INFER_PASS_NONE) {
    entry.item = *(GstInferItem *)gst_queue_array_pop_head_struct(pad->in);
    entry.pad = gst_object_ref(pad);
    entry.serial = pad->serial;
    pad->in_buffers--;
    pad->busy_buffers++;
    g_cond_broadcast(&pad->in_cond);
    if (GST_CLOCK_TIME_IS_VALID(limit) && GST_CLOCK_TIME_IS_VALID(entry.item.running_time) &&
        entry.item.running_time < limit)
      entry.item.pass = GST_INFER_PASS_LATE;
    g_array_append_val(self->run->entries, entry);
    if (entry.item.pass == GST_INFER_PASS_NONE)
      return TRUE;
  }
  return FALSE;
}

static void
collect(GstInferBatcher *self, guint target, GstClockTime limit)
{
  guint taken = 0;
  gboolean more = TRUE;

  g_ptr_array_sort(self->pads, compare_pads);
  self->served++;
  for (guint i = 0; i < self->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(self->pads, i);
    pad->busy_buffers = 0;
    if (pad->in_buffers > 0)
      pad->waited = MIN(pad->waited + 1, G_MAXINT);
  }
  while (more && taken < target) {
    more = FALSE;
    for (guint i = 0; i < self->pads->len && taken < target; i++) {
      GstInferPad *pad = g_ptr_array_index(self->pads, i);
      if (!take_frame(self, pad, limit))
        continue;
      pad->served = self->served;
      pad->waited = 0;
      more = TRUE;
      taken++;
    }
  }
}

static void
deliver(GstInferBatcher *self)
{
  GArray *entries = self->run->entries;

  for (guint i = 0; i < entries->len; i++) {
    GstInferEntry *entry = &g_array_index(entries, GstInferEntry, i);
    GstInferPad *pad = entry->pad;

    pad->busy_buffers = 0;
    if (entry->item.pass != GST_INFER_PASS_NONE)
      self->stats.passed[entry->item.pass]++;
    if (entry->serial != pad->serial || pad->flushing)
      continue;
    gst_infer_pad_push_out(pad, &entry->item);
    entry->item = (GstInferItem){.object = NULL};
  }
}

static gint
compare_times(gconstpointer a, gconstpointer b)
{
  const GstClockTime x = *(const GstClockTime *)a, y = *(const GstClockTime *)b;

  return x < y ? -1 : x > y;
}

/* The run time that the latency allows for follows the 95th percentile, upwards alone. */
static void
note_run_time(GstInferBatcher *self)
{
  GstClockTime sorted[GST_INFER_N_TIMES], high;
  const guint64 n = self->stats.batches;

  if (n == 0)
    return;
  self->times[n % GST_INFER_N_TIMES] = self->stats.last_run_time;
  if (!self->live || n % (GST_INFER_N_TIMES / 4) != 0)
    return;
  memcpy(sorted, self->times, sizeof sorted);
  qsort(sorted, GST_INFER_N_TIMES, sizeof *sorted, compare_times);
  high = sorted[GST_INFER_N_TIMES - 1 - (guint)(MIN(n, GST_INFER_N_TIMES) / 20)];
  if (high > self->run_time + self->run_time / 5)
    self->run_time = high;
}

/* Closes a batch and runs it; called and left with the lock held. */
static void
run_batch(GstInferBatcher *self, guint target)
{
  g_autoptr(GstInferModel) model = gst_infer_model_ref(self->model);
  g_autoptr(GError) error = NULL;
  const GstInferSettings settings = self->settings;
  GstInferStats stats;

  collect(self, target, time_limit(self));
  stats = self->stats;
  g_mutex_unlock(&self->lock);
  const gboolean ok =
      gst_infer_run_execute(self->run, model, settings.score, settings.iou, &stats, &error);
  if (!ok)
    gst_infer_post_error(self->element, error);
  g_mutex_lock(&self->lock);

  if (ok) {
    self->stats.inferred = stats.inferred;
    self->stats.objects = stats.objects;
    self->stats.batches = stats.batches;
    self->stats.largest_batch = stats.largest_batch;
    self->stats.last_run_time = stats.last_run_time;
    self->stats.total_run_time = stats.total_run_time;
    deliver(self);
    note_run_time(self);
  } else {
    self->state = GST_INFER_MODEL_FAILED;
    gst_infer_batcher_update(self);
  }
  g_mutex_unlock(&self->lock);
  g_array_set_size(self->run->entries, 0);
  g_mutex_lock(&self->lock);
}

/* Tells the pipeline, without the lock, that the latency it was told is too little by now. */
static gboolean
announce_latency(GstInferBatcher *self)
{
  if (!self->live || !GST_CLOCK_TIME_IS_VALID(self->reported) ||
      own_latency(self) <= self->reported)
    return FALSE;
  self->reported = own_latency(self);
  g_mutex_unlock(&self->lock);
  gst_element_post_message(self->element, gst_message_new_latency(GST_OBJECT(self->element)));
  g_mutex_lock(&self->lock);
  return TRUE;
}

static gpointer
worker(gpointer user_data)
{
  GstInferBatcher *self = user_data;

  g_mutex_lock(&self->lock);
  while (self->running) {
    gint64 wake = G_MAXINT64;

    for (guint i = 0; i < self->pads->len; i++)
      move_through(self, g_ptr_array_index(self->pads, i));
    if (announce_latency(self))
      continue;
    if (self->state == GST_INFER_MODEL_READY) {
      const guint target = gst_infer_batcher_target(self);
      if (batch_closes(self, target, g_get_monotonic_time(), &wake)) {
        run_batch(self, target);
        continue;
      }
    }
    if (wake == G_MAXINT64)
      g_cond_wait(&self->wake, &self->lock);
    else
      g_cond_wait_until(&self->wake, &self->lock, wake);
  }
  g_mutex_unlock(&self->lock);
  return NULL;
}

void
gst_infer_batcher_start(GstInferBatcher *self)
{
  g_mutex_lock(&self->lock);
  self->running = TRUE;
  self->stats = (GstInferStats){0};
  self->run_time = 0;
  self->reported = GST_CLOCK_TIME_NONE;
  self->pipeline_latency = GST_CLOCK_TIME_NONE;
  memset(self->times, 0, sizeof self->times);
  g_mutex_unlock(&self->lock);
  self->thread = g_thread_new("infer-batch", worker, self);
}

void
gst_infer_batcher_stop(GstInferBatcher *self)
{
  g_mutex_lock(&self->lock);
  self->running = FALSE;
  g_cond_signal(&self->wake);
  g_mutex_unlock(&self->lock);
  g_clear_pointer(&self->thread, g_thread_join);
}

GstStructure *
gst_infer_batcher_get_stats(GstInferBatcher *self)
{
  GstStructure *structure;

  g_mutex_lock(&self->lock);
  const GstInferStats *s = &self->stats;
  structure = gst_structure_new(
      "application/x-infer-stats", "frames", G_TYPE_UINT64, s->frames, "inferred", G_TYPE_UINT64,
      s->inferred, "skipped", G_TYPE_UINT64, s->passed[GST_INFER_PASS_INTERVAL], "not-ready",
      G_TYPE_UINT64, s->passed[GST_INFER_PASS_NOT_READY], "late", G_TYPE_UINT64,
      s->passed[GST_INFER_PASS_LATE], "unusable", G_TYPE_UINT64, s->passed[GST_INFER_PASS_UNUSABLE],
      "objects", G_TYPE_UINT64, s->objects, "batches", G_TYPE_UINT64, s->batches, "largest-batch",
      G_TYPE_UINT, s->largest_batch, "average-batch", G_TYPE_DOUBLE,
      s->batches ? (gdouble)s->inferred / (gdouble)s->batches : 0.0, "last-run-time", G_TYPE_UINT64,
      s->last_run_time, "average-run-time", G_TYPE_UINT64,
      s->batches ? s->total_run_time / s->batches : 0, "streams", G_TYPE_UINT, self->pads->len,
      "live", G_TYPE_BOOLEAN, self->live, NULL);
  g_mutex_unlock(&self->lock);
  return structure;
}
