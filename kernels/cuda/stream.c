/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "library.h"
#include "device.h"
#include "frames.h"

struct _InferStream {
  InferCudaQueue queue;
  cudnnHandle_t cudnn;
  GArray *marks; /* CUevent */
  InferCudaUploads *uploads;
  GError *error; /* the first one since the last sync */
};

typedef struct {
  InferCudaDevice *device;
  CUgraphExec graph;
} Graph;

const InferCudaQueue *
infer_cuda_queue(InferStream *stream)
{
  return &stream->queue;
}

InferCudaUploads **
infer_cuda_uploads(InferStream *stream)
{
  return &stream->uploads;
}

InferStream *
infer_cuda_stream_new(InferDevice *base, GError **error)
{
  InferStream *stream = g_new0(InferStream, 1);
  gboolean ok;

  stream->queue.device = infer_cuda_device(base);
  stream->marks = g_array_new(FALSE, TRUE, sizeof(CUevent));
  infer_cuda_push(stream->queue.device);
  ok = infer_cuda_check(cuStreamCreate(&stream->queue.stream, CU_STREAM_NON_BLOCKING),
                        "making a stream", error);
  infer_cuda_pop();
  if (!ok)
    g_clear_pointer(&stream, infer_cuda_stream_free);
  return stream;
}

void
infer_cuda_stream_free(InferStream *stream)
{
  infer_cuda_push(stream->queue.device);
  if (stream->cudnn)
    cudnnDestroy(stream->cudnn);
  for (guint i = 0; i < stream->marks->len; i++)
    if (g_array_index(stream->marks, CUevent, i))
      cuEventDestroy(g_array_index(stream->marks, CUevent, i));
  if (stream->queue.stream) {
    if (stream->uploads)
      cuStreamSynchronize(stream->queue.stream);
    cuStreamDestroy(stream->queue.stream);
  }
  infer_cuda_uploads_free(stream->uploads);
  infer_cuda_pop();
  g_array_unref(stream->marks);
  g_clear_error(&stream->error);
  g_free(stream);
}

cudnnHandle_t
infer_cuda_cudnn_of(InferStream *stream, GError **error)
{
  if (stream->cudnn)
    return stream->cudnn;
  if (!infer_cudnn_check(cudnnCreate(&stream->cudnn), "starting", error))
    return NULL;
  if (!infer_cudnn_check(cudnnSetStream(stream->cudnn, (cudaStream_t)stream->queue.stream),
                         "setting the stream", error)) {
    cudnnDestroy(stream->cudnn);
    stream->cudnn = NULL;
  }
  return stream->cudnn;
}

gboolean
infer_cuda_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data, GError **error)
{
  GError *failure = NULL;
  gboolean ok;

  infer_cuda_push(stream->queue.device);
  ok = func(user_data, stream, &failure);
  infer_cuda_pop();
  if (!ok && !failure)
    g_set_error(&failure, INFER_ERROR, INFER_ERROR_FAILED, "work on %s failed without a reason",
                stream->queue.device->base.name);
  if (!stream->error)
    stream->error = g_steal_pointer(&failure);
  g_clear_error(&failure);
  return TRUE;
}

gboolean
infer_cuda_stream_sync(InferStream *stream, GError **error)
{
  GError *first = g_steal_pointer(&stream->error);
  CUresult result;

  infer_cuda_push(stream->queue.device);
  result = cuStreamSynchronize(stream->queue.stream);
  infer_cuda_pop();
  if (first) {
    g_propagate_error(error, first);
    return FALSE;
  }
  return infer_cuda_check(result, "waiting for the device", error);
}

gpointer
infer_cuda_stream_native(InferStream *stream)
{
  return infer_cuda_queue(stream)->stream;
}

gboolean
infer_cuda_stream_mark(InferStream *stream, guint index, GError **error)
{
  CUevent *event;

  if (index >= stream->marks->len)
    g_array_set_size(stream->marks, index + 1);
  event = &g_array_index(stream->marks, CUevent, index);
  if (!*event &&
      !infer_cuda_check(cuEventCreate(event, CU_EVENT_DEFAULT), "making an event", error))
    return FALSE;
  return infer_cuda_check(cuEventRecord(*event, stream->queue.stream), "recording an event", error);
}

guint64
infer_cuda_stream_elapsed(InferStream *stream, guint index)
{
  CUevent first, second;
  float milliseconds = 0.0f;

  if (index == 0 || index >= stream->marks->len)
    return 0;
  first = g_array_index(stream->marks, CUevent, index - 1);
  second = g_array_index(stream->marks, CUevent, index);
  infer_cuda_push(stream->queue.device);
  if (!first || !second || cuEventElapsedTime(&milliseconds, first, second) != CUDA_SUCCESS)
    milliseconds = 0.0f;
  infer_cuda_pop();
  return (guint64)((double)milliseconds * 1e6);
}

/* --- graphs --- */

/* Relaxed, so that libraries may load a kernel meanwhile, and so that what other threads do neither
 * breaks the capture nor is forbidden by it. */
gboolean
infer_cuda_capture_begin(InferStream *stream, GError **error)
{
  return infer_cuda_check(
      cuStreamBeginCapture(stream->queue.stream, CU_STREAM_CAPTURE_MODE_RELAXED),
      "beginning a capture", error);
}

gpointer
infer_cuda_capture_end(InferStream *stream, GError **error)
{
  Graph result = {.device = stream->queue.device};
  CUgraph graph = NULL;
  gboolean ok;

  if (!infer_cuda_check(cuStreamEndCapture(stream->queue.stream, &graph), "capturing", error))
    return NULL;
  ok = infer_cuda_check(cuGraphInstantiate(&result.graph, graph, 0), "making a graph", error);
  cuGraphDestroy(graph);
  if (ok && !infer_cuda_check(cuGraphUpload(result.graph, stream->queue.stream),
                              "uploading a graph", error)) {
    cuGraphExecDestroy(result.graph);
    ok = FALSE;
  }
  return ok ? g_memdup2(&result, sizeof result) : NULL;
}

gboolean
infer_cuda_graph_launch(gpointer graph, InferStream *stream, GError **error)
{
  return infer_cuda_check(cuGraphLaunch(((Graph *)graph)->graph, stream->queue.stream),
                          "starting a graph", error);
}

void
infer_cuda_graph_free(gpointer data)
{
  Graph *graph = data;

  infer_cuda_push(graph->device);
  cuGraphExecDestroy(graph->graph);
  infer_cuda_pop();
  g_free(graph);
}
