/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <omp.h>
#include <time.h>

/* A power of two. */
#define RING 64

typedef struct {
  InferStreamFunc func;
  gpointer user_data;
} Job;

/*
 * One thread runs all work of a stream, because libgomp keeps a team per calling thread. After a
 * parallel loop the team spins for a moment before it sleeps (OMP_WAIT_POLICY and GOMP_SPINCOUNT
 * change that); the worker itself sleeps at once.
 */
struct _InferStream {
  InferDevice *device;
  dnnl_stream_t dnnl;
  GThread *thread;
  GMutex mutex;
  GCond changed;
  Job ring[RING];
  guint first, count; /* the running job stays in the ring until it is finished */
  gboolean quit;
  GError *error; /* the first one since the last sync */
  GArray *marks; /* guint64, nanoseconds */
};

static gpointer
worker(gpointer data)
{
  InferStream *stream = data;
  omp_set_num_threads(stream->device->threads);
  g_mutex_lock(&stream->mutex);
  for (;;) {
    while (stream->count == 0 && !stream->quit)
      g_cond_wait(&stream->changed, &stream->mutex);
    if (stream->count == 0)
      break;
    Job job = stream->ring[stream->first];
    g_mutex_unlock(&stream->mutex);
    GError *error = NULL;
    gboolean ok = job.func(job.user_data, stream, &error);
    if (!ok && error == NULL)
      g_set_error(&error, INFER_ERROR, INFER_ERROR_FAILED, "work on %s failed without a reason",
                  stream->device->name);
    g_mutex_lock(&stream->mutex);
    if (stream->error == NULL)
      stream->error = g_steal_pointer(&error);
    g_clear_error(&error);
    stream->first = (stream->first + 1) % RING;
    stream->count--;
    g_cond_broadcast(&stream->changed);
  }
  g_mutex_unlock(&stream->mutex);
  return NULL;
}

InferStream *
infer_cpu_stream_new(InferDevice *device, GError **error)
{
  InferStream *stream = g_new0(InferStream, 1);
  stream->device = device;
  stream->marks = g_array_new(FALSE, TRUE, sizeof(guint64));
  g_mutex_init(&stream->mutex);
  g_cond_init(&stream->changed);
  dnnl_status_t status = dnnl_stream_create(&stream->dnnl, infer_cpu_device(device)->engine,
                                            dnnl_stream_default_flags);
  if (status != dnnl_success)
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "oneDNN makes no stream (status %d)",
                status);
  else
    stream->thread = g_thread_try_new("infer-cpu", worker, stream, error);
  if (stream->thread == NULL)
    g_clear_pointer(&stream, infer_cpu_stream_free);
  return stream;
}

void
infer_cpu_stream_free(InferStream *stream)
{
  if (stream->thread != NULL) {
    g_mutex_lock(&stream->mutex);
    stream->quit = TRUE;
    g_cond_broadcast(&stream->changed);
    g_mutex_unlock(&stream->mutex);
    g_thread_join(stream->thread);
  }
  if (stream->dnnl != NULL)
    dnnl_stream_destroy(stream->dnnl);
  g_clear_error(&stream->error);
  g_array_unref(stream->marks);
  g_cond_clear(&stream->changed);
  g_mutex_clear(&stream->mutex);
  g_free(stream);
}

gboolean
infer_cpu_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data, GError **error)
{
  /* Work that gives out more work would wait for itself. */
  if (g_thread_self() == stream->thread)
    return func(user_data, stream, error);
  g_mutex_lock(&stream->mutex);
  while (stream->count == RING)
    g_cond_wait(&stream->changed, &stream->mutex);
  stream->ring[(stream->first + stream->count) % RING] = (Job){func, user_data};
  stream->count++;
  g_cond_broadcast(&stream->changed);
  g_mutex_unlock(&stream->mutex);
  return TRUE;
}

gboolean
infer_cpu_stream_sync(InferStream *stream, GError **error)
{
  g_mutex_lock(&stream->mutex);
  while (stream->count > 0)
    g_cond_wait(&stream->changed, &stream->mutex);
  GError *first = g_steal_pointer(&stream->error);
  g_mutex_unlock(&stream->mutex);
  if (first == NULL)
    return TRUE;
  g_propagate_error(error, first);
  return FALSE;
}

gboolean
infer_cpu_stream_mark(InferStream *stream, guint index, GError **error)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (index >= stream->marks->len)
    g_array_set_size(stream->marks, index + 1);
  g_array_index(stream->marks, guint64, index) =
      (guint64)now.tv_sec * 1000000000u + (guint64)now.tv_nsec;
  return TRUE;
}

guint64
infer_cpu_stream_elapsed(InferStream *stream, guint index)
{
  if (index == 0 || index >= stream->marks->len)
    return 0;
  return g_array_index(stream->marks, guint64, index) -
         g_array_index(stream->marks, guint64, index - 1);
}

dnnl_stream_t
infer_cpu_stream_dnnl(InferStream *stream)
{
  return stream->dnnl;
}
