/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferloader.h"
#include "gstinferrun.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/** How often late frames are looked for while every worker is busy; microseconds. */
#define SWEEP (10 * G_TIME_SPAN_MILLISECOND)

GstInferBatcher *
gst_infer_batcher_new(void)
{
  GstInferBatcher *self = g_atomic_rc_box_new0(GstInferBatcher);

  g_mutex_init(&self->control);
  g_mutex_init(&self->device);
  g_mutex_init(&self->lock);
  g_cond_init(&self->wake);
  g_cond_init(&self->idle);
  g_cond_init(&self->busy);
  self->pads = g_ptr_array_new_with_free_func(gst_object_unref);
  self->clients = g_ptr_array_new_with_free_func((GDestroyNotify)gst_infer_client_unref);
  self->capacity = 4;
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
  g_ptr_array_unref(self->clients);
  g_clear_pointer(&self->model, gst_infer_model_unref);
  gst_infer_model_settings_clear(&self->loaded);
  gst_infer_model_settings_clear(&self->claimed);
  for (guint i = 0; i < G_N_ELEMENTS(self->workers); i++)
    g_clear_pointer(&self->workers[i].run, gst_infer_run_free);
  g_cond_clear(&self->wake);
  g_cond_clear(&self->idle);
  g_cond_clear(&self->busy);
  g_mutex_clear(&self->lock);
  g_mutex_clear(&self->device);
  g_mutex_clear(&self->control);
}

void
gst_infer_batcher_unref(GstInferBatcher *self)
{
  g_atomic_rc_box_release_full(self, batcher_clear);
}

/* They are few, as many as there are names in use, and small without a model; that they stay lets a
 * thread lock the batcher that its client is about to leave. */
GstInferBatcher *
gst_infer_batcher_shared(const gchar *key)
{
  static GMutex lock;
  static GHashTable *shared;
  GstInferBatcher *self;

  g_mutex_lock(&lock);
  if (!shared)
    shared = g_hash_table_new(g_str_hash, g_str_equal);
  self = g_hash_table_lookup(shared, key);
  if (!self) {
    self = gst_infer_batcher_new();
    g_hash_table_insert(shared, g_strdup(key), self);
  }
  g_mutex_unlock(&lock);
  return self;
}

void
gst_infer_batcher_update(GstInferBatcher *self)
{
  const guint n = MAX(self->pads->len, 1), runs = MAX(self->n_workers, GST_INFER_DEFAULT_RUNS);
  guint target;

  self->live = FALSE;
  for (guint i = 0; i < self->clients->len; i++) {
    GstInferClient *client = g_ptr_array_index(self->clients, i);
    client->live = FALSE;
    client->upstream = 0;
  }
  for (guint i = 0; i < self->pads->len; i++) {
    const GstInferPad *pad = g_ptr_array_index(self->pads, i);
    self->live |= pad->live;
    pad->client->live |= pad->live;
    pad->client->upstream = MAX(pad->client->upstream, pad->upstream);
  }

  target = gst_infer_batcher_target(self);
  self->planned = self->model ? gst_infer_model_get_run_time(self->model, target) : 0;
  self->capacity = MAX(4, runs * ((target + n - 1) / n));
  for (guint i = 0; i < self->pads->len; i++)
    g_cond_broadcast(&((GstInferPad *)g_ptr_array_index(self->pads, i))->in_cond);
  g_cond_broadcast(&self->wake);
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

GPtrArray *
gst_infer_batcher_dup_elements(GstInferBatcher *self)
{
  GPtrArray *elements = g_ptr_array_new_with_free_func(gst_object_unref);

  g_mutex_lock(&self->lock);
  for (guint i = 0; i < self->clients->len; i++) {
    GstInferClient *client = g_ptr_array_index(self->clients, i);
    if (client->running)
      g_ptr_array_add(elements, gst_object_ref(client->element));
  }
  g_mutex_unlock(&self->lock);
  return elements;
}

static void
count_entry(GstInferBatcher *self, const GstInferRun *run, const GstInferEntry *entry)
{
  GstInferPad *pad = entry->pad;
  GstInferStats *stats = &pad->stats;
  GstInferClient *client = pad->client;

  client->in_flight--;
  if (entry->item.pass != GST_INFER_PASS_NONE) {
    stats->passed[entry->item.pass]++;
    pad->reference_lost = TRUE;
    return;
  }
  stats->inferred++;
  stats->objects += entry->n_objects;
  stats->batches++;
  stats->batched += run->n;
  stats->largest_batch = MAX(stats->largest_batch, run->n);
  gst_infer_times_add(&stats->phases[GST_INFER_PHASE_QUEUE],
                      (GstClockTime)(run->closed - entry->item.arrival) * GST_USECOND);
  for (guint i = GST_INFER_PHASE_PREPROCESS; i < GST_INFER_PHASE_TOTAL; i++)
    gst_infer_times_add(&stats->phases[i], run->phases[i]);
  if (client->batch == run->number)
    return;
  client->batch = run->number;
  client->batches++;
  client->sizes[MIN(run->n, GST_INFER_MAX_BATCH)]++;
  client->last_run_time = run->phases[GST_INFER_PHASE_INFERENCE];
  client->total_run_time += run->phases[GST_INFER_PHASE_INFERENCE];
}

/* Fills the places that the frames left in their out-queues. */
static void
deliver(GstInferBatcher *self, GstInferRun *run)
{
  const gint64 now = g_get_monotonic_time();

  for (guint i = 0; i < run->entries->len; i++) {
    GstInferEntry *entry = &g_array_index(run->entries, GstInferEntry, i);

    count_entry(self, run, entry);
    entry->item.done = now;
    if (entry->serial == entry->pad->serial && !entry->pad->flushing)
      gst_infer_pad_fill_out(entry->pad, entry->place, &entry->item);
  }
  if (run->n > 0)
    gst_infer_batcher_note_batch(self, run->depth, (GstClockTime)(now - run->closed) * GST_USECOND);
}

/* After an error nothing comes out any more; the places are left to be dropped by a flush. */
static void
give_up(GstInferBatcher *self, GstInferRun *run)
{
  for (guint i = 0; i < run->entries->len; i++) {
    GstInferEntry *entry = &g_array_index(run->entries, GstInferEntry, i);

    entry->pad->client->in_flight--;
    if (entry->serial == entry->pad->serial && !entry->pad->flushing)
      gst_infer_pad_abandon_out(entry->pad, entry->place);
  }
  self->state = GST_INFER_MODEL_FAILED;
  gst_infer_batcher_update(self);
}

static void
post_run_error(GstInferBatcher *self, const GError *error)
{
  g_autoptr(GPtrArray) elements = gst_infer_batcher_dup_elements(self);

  for (guint i = 0; i < elements->len; i++)
    gst_infer_post_error(g_ptr_array_index(elements, i), error);
}

/* Closes a batch and runs it; called and left with the lock held. */
static void
run_batch(GstInferBatcher *self, GstInferRun *run, guint target, const gchar *why)
{
  g_autoptr(GstInferModel) model = gst_infer_model_ref(self->model);
  g_autoptr(GError) error = NULL;

  run->closed = g_get_monotonic_time();
  gst_infer_batcher_collect(self, run, target);
  if (run->entries->len == 0)
    return;
  run->number = self->served;
  run->depth = ++self->in_flight;
  if (self->in_flight == self->n_workers)
    g_cond_signal(&self->busy);
  g_mutex_unlock(&self->lock);
  GST_DEBUG("batch %" G_GUINT64_FORMAT ": %u of %u frames, closed because %s", run->number,
            run->entries->len, target, why);
  const gboolean ok = gst_infer_run_execute(run, model, &self->device, &error);
  if (!ok)
    post_run_error(self, error);
  g_mutex_lock(&self->lock);

  self->in_flight--;
  if (ok)
    deliver(self, run);
  else
    give_up(self, run);
  g_cond_broadcast(&self->idle);
  g_cond_signal(&self->wake);
  g_mutex_unlock(&self->lock);
  g_array_set_size(run->entries, 0);
  g_mutex_lock(&self->lock);
}

/* Tells the pipelines, without the lock, that the latency they were told is too little by now. */
static gboolean
announce_latency(GstInferBatcher *self)
{
  for (guint i = 0; i < self->clients->len; i++) {
    GstInferClient *client = g_ptr_array_index(self->clients, i);
    if (!gst_infer_client_latency_grew(client))
      continue;
    g_autoptr(GstElement) element = gst_object_ref(client->element);
    GST_DEBUG_OBJECT(element, "latency grew to %" GST_TIME_FORMAT, GST_TIME_ARGS(client->reported));
    g_mutex_unlock(&self->lock);
    gst_element_post_message(element, gst_message_new_latency(GST_OBJECT(element)));
    g_mutex_lock(&self->lock);
    return TRUE;
  }
  return FALSE;
}

static gpointer
work(gpointer user_data)
{
  GstInferWorker *worker = user_data;
  GstInferBatcher *self = worker->batcher;

  g_mutex_lock(&self->lock);
  while (self->running) {
    gint64 wake = G_MAXINT64;

    /* A batch is not full by frames that are too late for it. */
    gst_infer_batcher_expire(self);
    if (announce_latency(self))
      continue;
    if (self->state == GST_INFER_MODEL_READY) {
      const guint target = gst_infer_batcher_target(self);
      const gchar *why = gst_infer_batcher_closes(self, target, g_get_monotonic_time(), &wake);
      if (why) {
        run_batch(self, worker->run, target, why);
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

/* While every worker has a batch, late frames of live streams pass by themselves. */
static gpointer
sweep(gpointer user_data)
{
  GstInferBatcher *self = user_data;

  g_mutex_lock(&self->lock);
  while (self->running) {
    if (self->live && self->in_flight == self->n_workers) {
      gst_infer_batcher_expire(self);
      g_cond_wait_until(&self->busy, &self->lock, g_get_monotonic_time() + SWEEP);
    } else {
      g_cond_wait(&self->busy, &self->lock);
    }
  }
  g_mutex_unlock(&self->lock);
  return NULL;
}

/* Called with @control held. */
static void
start_workers(GstInferBatcher *self, guint n)
{
  g_mutex_lock(&self->lock);
  self->running = TRUE;
  self->n_workers = CLAMP(n, 1, GST_INFER_MAX_RUNS);
  self->handover = 0;
  memset(self->pace, 0, sizeof self->pace);
  gst_infer_batcher_update(self);
  g_mutex_unlock(&self->lock);
  for (guint i = 0; i < self->n_workers; i++) {
    GstInferWorker *worker = &self->workers[i];
    worker->batcher = self;
    worker->index = i;
    if (!worker->run)
      worker->run = gst_infer_run_new(i);
    worker->thread = g_thread_new("infer-batch", work, worker);
  }
  self->sweeper = g_thread_new("infer-sweep", sweep, self);
}

static void
stop_workers(GstInferBatcher *self)
{
  if (self->loader)
    gst_infer_loader_cancel(self->loader);
  g_mutex_lock(&self->lock);
  self->running = FALSE;
  g_cond_broadcast(&self->wake);
  g_cond_broadcast(&self->busy);
  g_mutex_unlock(&self->lock);
  g_clear_pointer(&self->sweeper, g_thread_join);
  for (guint i = 0; i < self->n_workers; i++)
    g_clear_pointer(&self->workers[i].thread, g_thread_join);
  g_clear_pointer(&self->loader, gst_infer_loader_free);
}

static guint
count_running(GstInferBatcher *self)
{
  guint n = 0;

  for (guint i = 0; i < self->clients->len; i++)
    n += ((GstInferClient *)g_ptr_array_index(self->clients, i))->running;
  return n;
}

static void
begin_client(GstInferClient *client)
{
  GstInferBatcher *self = client->batcher;

  client->running = TRUE;
  client->pipeline_latency = GST_CLOCK_TIME_NONE;
  client->reported = GST_CLOCK_TIME_NONE;
  client->gone = (GstInferStats){0};
  client->batches = 0;
  client->last_run_time = client->total_run_time = 0;
  memset(client->sizes, 0, (GST_INFER_MAX_BATCH + 1) * sizeof *client->sizes);
  for (guint i = 0; i < self->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(self->pads, i);
    if (pad->client == client)
      pad->stats = (GstInferStats){0};
  }
}

/* An element that comes while others wait for the model is told what they were told before. */
static void
join_loading(GstInferBatcher *self, GstInferClient *client)
{
  GstInferModelState state;

  g_mutex_lock(&self->lock);
  state = self->state;
  g_mutex_unlock(&self->lock);
  if (state == GST_INFER_MODEL_LOADING)
    gst_infer_loader_post_start(client->element);
  g_mutex_lock(&self->lock);
  begin_client(client);
  const gboolean over = state == GST_INFER_MODEL_LOADING && self->state != GST_INFER_MODEL_LOADING;
  const gboolean failed = self->state == GST_INFER_MODEL_FAILED;
  g_mutex_unlock(&self->lock);
  if (over)
    gst_infer_loader_post_end(client->element, !failed);
  if (failed)
    GST_ELEMENT_ERROR(client->element, RESOURCE, FAILED,
                      ("the model that this element shares by model-instance-id failed"),
                      ("the element that loaded it said why"));
}

void
gst_infer_client_start(GstInferClient *client, const GstInferModelSettings *model, guint n_runs)
{
  GstInferBatcher *self = client->batcher;

  g_mutex_lock(&self->control);
  g_mutex_lock(&self->lock);
  const gboolean first = count_running(self) == 0;
  const gboolean ready = self->state == GST_INFER_MODEL_READY;
  if (first)
    begin_client(client);
  g_mutex_unlock(&self->lock);
  n_runs = n_runs ? n_runs : GST_INFER_DEFAULT_RUNS;
  if (!first) {
    join_loading(self, client);
  } else {
    start_workers(self, n_runs);
    if (!ready || self->loaded.n_runs != n_runs ||
        !gst_infer_model_settings_equal(&self->loaded, model)) {
      gst_infer_model_settings_clear(&self->loaded);
      gst_infer_model_settings_copy(&self->loaded, model);
      self->loaded.n_runs = n_runs;
      self->loader = gst_infer_loader_new(self, &self->loaded);
    }
  }
  g_mutex_unlock(&self->control);
}

void
gst_infer_client_stop(GstInferClient *client)
{
  GstInferBatcher *self = client->batcher;
  gboolean last;

  g_mutex_lock(&self->control);
  g_mutex_lock(&self->lock);
  last = client->running && count_running(self) == 1;
  g_mutex_unlock(&self->lock);
  if (last)
    stop_workers(self);
  g_mutex_lock(&self->lock);
  client->running = FALSE;
  while (client->in_flight > 0)
    g_cond_wait(&self->idle, &self->lock);
  gst_infer_batcher_update(self);
  g_mutex_unlock(&self->lock);
  g_mutex_unlock(&self->control);
}
