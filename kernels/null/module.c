/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backend.h"
#include <stdlib.h>

/* A backend without implementations, for tests: everything runs by reference, in the caller's
 * thread. */

static const InferBackend backend;

struct _InferStream {
  GError *error;
};

static InferDevice *
null_open(const char *name, guint threads, GError **error)
{
  if (g_strcmp0(name, "null") != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "device '%s' is not one of the null backend's; it has only 'null'", name);
    return NULL;
  }
  InferDevice *device = g_new0(InferDevice, 1);
  device->backend = &backend;
  device->name = g_strdup("null");
  device->key = g_strdup("null");
  device->threads = 1;
  return device;
}

static void
null_close(InferDevice *device)
{
  g_free(device->name);
  g_free(device->key);
  g_free(device);
}

static void *
null_alloc(InferDevice *device, gsize size, GError **error)
{
  gsize rounded = (MAX(size, 1) + 63) & ~(gsize)63;
  void *memory = rounded >= size ? aligned_alloc(64, rounded) : NULL;
  if (memory == NULL)
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "no memory for %" G_GSIZE_FORMAT " bytes",
                size);
  return memory;
}

static void
null_free(InferDevice *device, void *memory)
{
  free(memory);
}

static InferStream *
null_stream_new(InferDevice *device, GError **error)
{
  return g_new0(InferStream, 1);
}

static void
null_stream_free(InferStream *stream)
{
  g_clear_error(&stream->error);
  g_free(stream);
}

static gboolean
null_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data, GError **error)
{
  g_autoptr(GError) failure = NULL;
  if (!func(user_data, stream, &failure) && stream->error == NULL)
    stream->error = g_steal_pointer(&failure);
  return TRUE;
}

static gboolean
null_stream_sync(InferStream *stream, GError **error)
{
  if (stream->error == NULL)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&stream->error));
  return FALSE;
}

static guint64
null_stream_time(InferStream *stream)
{
  return (guint64)g_get_monotonic_time() * 1000;
}

static const InferImpl *const *
null_impls(const char *op)
{
  return NULL;
}

static gboolean
null_preprocess(InferStream *stream, const InferFrame *frames, guint n_frames,
                const InferPreprocess *pre, const InferImageTarget *target, GError **error)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
              "the null device does not pre-process frames; use the device 'cpu'");
  return FALSE;
}

static const InferBackend backend = {
    .abi = INFER_BACKEND_ABI,
    .name = "null",
    .host_memory = TRUE,
    .open = null_open,
    .close = null_close,
    .alloc = null_alloc,
    .free = null_free,
    .stream_new = null_stream_new,
    .stream_free = null_stream_free,
    .stream_run = null_stream_run,
    .stream_sync = null_stream_sync,
    .stream_time = null_stream_time,
    .impls = null_impls,
    .preprocess = null_preprocess,
};

const InferBackend *
infer_backend_get(void)
{
  return &backend;
}
