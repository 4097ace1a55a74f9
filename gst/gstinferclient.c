/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

GstInferClient *
gst_infer_client_new(GstElement *element)
{
  GstInferClient *self = g_atomic_rc_box_new0(GstInferClient);

  self->element = element;
  self->own = gst_infer_batcher_new();
  self->batcher = self->own;
  self->settings =
      (GstInferSettings){.batch_timeout = -1, .interval = 1, .score = -1, .iou = -1, .qos = TRUE};
  self->pipeline_latency = GST_CLOCK_TIME_NONE;
  self->reported = GST_CLOCK_TIME_NONE;
  self->sizes = g_new0(guint64, GST_INFER_MAX_BATCH + 1);
  g_ptr_array_add(self->own->clients, gst_infer_client_ref(self));
  return self;
}

GstInferClient *
gst_infer_client_ref(GstInferClient *self)
{
  return g_atomic_rc_box_acquire(self);
}

static void
client_clear(gpointer data)
{
  GstInferClient *self = data;

  gst_infer_batcher_unref(self->own);
  g_free(self->instance);
  g_free(self->sizes);
}

void
gst_infer_client_unref(GstInferClient *self)
{
  g_atomic_rc_box_release_full(self, client_clear);
}

/* The batcher may change until its lock is had. Both outlive the client. */
GstInferBatcher *
gst_infer_client_lock(GstInferClient *self)
{
  for (;;) {
    GstInferBatcher *batcher = g_atomic_pointer_get(&self->batcher);
    g_mutex_lock(&batcher->lock);
    if (batcher == g_atomic_pointer_get(&self->batcher))
      return batcher;
    g_mutex_unlock(&batcher->lock);
  }
}

/* The list of the batcher holds a reference, and the client one of its batcher. */
void
gst_infer_client_retire(GstInferClient *self)
{
  GstInferBatcher *batcher = gst_infer_client_lock(self);

  g_ptr_array_remove(batcher->clients, self);
  g_mutex_unlock(&batcher->lock);
  gst_infer_client_unref(self);
}

void
gst_infer_client_move(GstInferClient *self, GstInferBatcher *batcher)
{
  GstInferBatcher *old = self->batcher;

  if (old == batcher)
    return;
  /* One of the two belongs to this client alone, so that no circle of waiters comes about. */
  GstInferBatcher *first = old == self->own ? old : batcher;
  GstInferBatcher *second = first == old ? batcher : old;
  g_mutex_lock(&first->lock);
  g_mutex_lock(&second->lock);
  for (guint i = old->pads->len; i-- > 0;) {
    GstInferPad *pad = g_ptr_array_index(old->pads, i);
    if (pad->client != self)
      continue;
    g_ptr_array_add(batcher->pads, gst_object_ref(pad));
    g_ptr_array_remove_index(old->pads, i);
  }
  g_ptr_array_add(batcher->clients, gst_infer_client_ref(self));
  g_atomic_pointer_set(&self->batcher, batcher);
  g_ptr_array_remove(old->clients, self);
  gst_infer_batcher_update(old);
  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&second->lock);
  g_mutex_unlock(&first->lock);
}

void
gst_infer_client_add_pad(GstInferClient *self, GstInferPad *pad)
{
  GstInferBatcher *batcher = gst_infer_client_lock(self);

  g_ptr_array_add(batcher->pads, gst_object_ref(pad));
  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&batcher->lock);
}

void
gst_infer_client_remove_pad(GstInferClient *self, GstInferPad *pad)
{
  g_autoptr(GstInferPad) keep = gst_object_ref(pad);
  GstInferBatcher *batcher = gst_infer_client_lock(self);

  gst_infer_pad_flush(pad, GST_INFER_KEEP_NOTHING);
  gst_infer_stats_add(&self->gone, &pad->stats);
  g_ptr_array_remove(batcher->pads, pad);
  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&batcher->lock);
}

void
gst_infer_client_flush(GstInferClient *self)
{
  GstInferBatcher *batcher = gst_infer_client_lock(self);

  for (guint i = 0; i < batcher->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(batcher->pads, i);
    if (pad->client == self)
      gst_infer_pad_flush(pad, GST_INFER_KEEP_NOTHING);
  }
  g_mutex_unlock(&batcher->lock);
}

void
gst_infer_client_set_settings(GstInferClient *self, const GstInferSettings *settings)
{
  GstInferBatcher *batcher = gst_infer_client_lock(self);

  self->settings = *settings;
  gst_infer_batcher_update(batcher);
  g_mutex_unlock(&batcher->lock);
}

static void
add_pad_stats(GstInferPad *pad, GstStructure *structure)
{
  const GstInferStats *s = &pad->stats;
  g_autoptr(GstStructure) inner = gst_infer_stats_to_structure(s, "application/x-infer-pad-stats");

  gst_structure_set(inner, "queue", G_TYPE_UINT, pad->in_buffers, "out-queue", G_TYPE_UINT,
                    pad->out_buffers, "batches", G_TYPE_UINT64, s->batches, "average-batch",
                    G_TYPE_DOUBLE, s->batches ? (gdouble)s->batched / (gdouble)s->batches : 0.0,
                    NULL);
  gst_structure_set(structure, GST_OBJECT_NAME(pad), GST_TYPE_STRUCTURE, inner, NULL);
}

static void
add_sizes(GstInferClient *self, GstStructure *structure)
{
  g_autoptr(GstStructure) sizes = gst_structure_new_empty("application/x-infer-batch-sizes");

  for (guint i = 1; i <= GST_INFER_MAX_BATCH; i++) {
    g_autofree gchar *name = NULL;
    if (self->sizes[i] == 0)
      continue;
    name = g_strdup_printf("of-%u", i);
    gst_structure_set(sizes, name, G_TYPE_UINT64, self->sizes[i], NULL);
  }
  gst_structure_set(structure, "batch-sizes", GST_TYPE_STRUCTURE, sizes, NULL);
}

GstStructure *
gst_infer_client_get_stats(GstInferClient *self)
{
  g_autofree GstInferStats *sum = g_new(GstInferStats, 1);
  GstInferBatcher *batcher = gst_infer_client_lock(self);
  GstStructure *structure;
  guint n = 0;

  *sum = self->gone;
  for (guint i = 0; i < batcher->pads->len; i++) {
    const GstInferPad *pad = g_ptr_array_index(batcher->pads, i);
    if (pad->client == self)
      gst_infer_stats_add(sum, &pad->stats);
  }
  structure = gst_infer_stats_to_structure(sum, "application/x-infer-stats");
  for (guint i = 0; i < batcher->pads->len; i++) {
    GstInferPad *pad = g_ptr_array_index(batcher->pads, i);
    if (pad->client != self)
      continue;
    add_pad_stats(pad, structure);
    n++;
  }
  add_sizes(self, structure);
  gst_structure_set(
      structure, "batches", G_TYPE_UINT64, self->batches, "average-batch", G_TYPE_DOUBLE,
      self->batches ? (gdouble)sum->inferred / (gdouble)self->batches : 0.0, "last-run-time",
      G_TYPE_UINT64, self->last_run_time, "average-run-time", G_TYPE_UINT64,
      self->batches ? self->total_run_time / self->batches : 0, "latency", G_TYPE_UINT64,
      GST_CLOCK_TIME_IS_VALID(self->reported) && self->live ? self->reported : 0, "streams",
      G_TYPE_UINT, n, "live", G_TYPE_BOOLEAN, self->live, NULL);
  g_mutex_unlock(&batcher->lock);
  return structure;
}
