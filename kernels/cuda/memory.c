/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

static void
no_memory(InferDevice *device, gsize size, const char *kind, CUresult result, GError **error)
{
  size_t available = 0, total = 0;

  if (result != CUDA_ERROR_OUT_OF_MEMORY) {
    infer_cuda_check(result, "getting memory", error);
    return;
  }
  cuMemGetInfo(&available, &total);
  g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
              "%s has no memory for %" G_GSIZE_FORMAT " bytes%s; %zu of %zu bytes are free",
              device->name, size, kind, available, total);
}

void *
infer_cuda_alloc(InferDevice *device, gsize size, GError **error)
{
  CUdeviceptr memory = 0;
  CUresult result;

  infer_cuda_push(infer_cuda_device(device));
  result = cuMemAlloc(&memory, MAX(size, 1));
  if (result != CUDA_SUCCESS)
    no_memory(device, size, "", result, error);
  infer_cuda_pop();
  return result == CUDA_SUCCESS ? (void *)memory : NULL;
}

void
infer_cuda_free(InferDevice *device, void *memory)
{
  if (!memory)
    return;
  infer_cuda_push(infer_cuda_device(device));
  cuMemFree((CUdeviceptr)memory);
  infer_cuda_pop();
}

void *
infer_cuda_alloc_host(InferDevice *device, gsize size, GError **error)
{
  void *memory = NULL;
  CUresult result;

  infer_cuda_push(infer_cuda_device(device));
  result = cuMemHostAlloc(&memory, MAX(size, 1), CU_MEMHOSTALLOC_PORTABLE);
  if (result != CUDA_SUCCESS)
    no_memory(device, size, " of the host that it can reach", result, error);
  infer_cuda_pop();
  return result == CUDA_SUCCESS ? memory : NULL;
}

void
infer_cuda_free_host(InferDevice *device, void *memory)
{
  if (!memory)
    return;
  infer_cuda_push(infer_cuda_device(device));
  cuMemFreeHost(memory);
  infer_cuda_pop();
}

/* On a stream of its own, since copies on the default one break captures of others. */
gboolean
infer_cuda_load(InferDevice *base, void *dst, const void *src, gsize size, GError **error)
{
  InferCudaDevice *device = infer_cuda_device(base);
  gboolean ok;

  if (size == 0)
    return TRUE;
  infer_cuda_push(device);
  g_mutex_lock(&device->lock);
  ok = infer_cuda_check(cuMemcpyHtoDAsync((CUdeviceptr)dst, src, size, device->loading),
                        "copying to the device", error) &&
       infer_cuda_check(cuStreamSynchronize(device->loading), "copying to the device", error);
  g_mutex_unlock(&device->lock);
  infer_cuda_pop();
  return ok;
}

/* These three also come from outside an InferStreamFunc. */
static const InferCudaQueue *
enter(InferStream *stream)
{
  const InferCudaQueue *queue = infer_cuda_queue(stream);

  infer_cuda_push(queue->device);
  return queue;
}

static gboolean
leave(CUresult result, const char *what, GError **error)
{
  infer_cuda_pop();
  return infer_cuda_check(result, what, error);
}

gboolean
infer_cuda_upload(InferStream *stream, void *dst, const void *src, gsize size, GError **error)
{
  if (size == 0)
    return TRUE;
  return leave(cuMemcpyHtoDAsync((CUdeviceptr)dst, src, size, enter(stream)->stream),
               "copying to the device", error);
}

gboolean
infer_cuda_download(InferStream *stream, void *dst, const void *src, gsize size, GError **error)
{
  if (size == 0)
    return TRUE;
  return leave(cuMemcpyDtoHAsync(dst, (CUdeviceptr)src, size, enter(stream)->stream),
               "copying from the device", error);
}

gboolean
infer_cuda_fill(InferStream *stream, void *dst, guint8 byte, gsize size, GError **error)
{
  if (size == 0)
    return TRUE;
  return leave(cuMemsetD8Async((CUdeviceptr)dst, byte, size, enter(stream)->stream),
               "setting bytes of the device", error);
}
