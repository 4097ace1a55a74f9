/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "library.h"
#include "device.h"

gboolean
infer_cudnn_check(cudnnStatus_t status, const char *what, GError **error)
{
  char text[512] = "";

  if (status == CUDNN_STATUS_SUCCESS)
    return TRUE;
  if (!error)
    return FALSE;
  cudnnGetLastErrorString(text, sizeof text);
  g_set_error(error, INFER_ERROR,
              status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ? INFER_ERROR_MEMORY
                                                                             : INFER_ERROR_DEVICE,
              "cuDNN: %s: %s%s%s", what, cudnnGetErrorString(status), *text ? ": " : "", text);
  return FALSE;
}

gboolean
infer_cublaslt_check(cublasStatus_t status, const char *what, GError **error)
{
  if (status == CUBLAS_STATUS_SUCCESS)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "cuBLASLt: %s: %s", what,
              cublasLtGetStatusString(status));
  return FALSE;
}

gboolean
infer_cuda_allows_tf32(const char *tactic)
{
  return tactic && g_str_has_suffix(tactic, ",tf32");
}

char *
infer_cuda_libraries_version(void)
{
  gsize dnn = cudnnGetVersion(), blas = cublasLtGetVersion();

  return g_strdup_printf("cuDNN %zu.%zu.%zu, cuBLASLt %zu.%zu.%zu", dnn / 10000, dnn % 10000 / 100,
                         dnn % 100, blas / 10000, blas % 10000 / 100, blas % 100);
}

static void
destroy_cudnn(gpointer handle)
{
  cudnnDestroy(handle);
}

/* A handle of cuDNN's is for one thread at a time, and compiling with it takes long: each thread
 * that prepares has one of its own. Making them takes a while and memory, so that they are kept. */
static __thread cudnnHandle_t entered;

void
infer_cuda_library_enter(InferCudaDevice *device)
{
  infer_cuda_push(device);
  g_mutex_lock(&device->lock);
  if (!device->cudnn)
    device->cudnn = g_ptr_array_new_with_free_func(destroy_cudnn);
  entered = device->cudnn->len ? g_ptr_array_steal_index_fast(device->cudnn, device->cudnn->len - 1)
                               : NULL;
  g_mutex_unlock(&device->lock);
}

void
infer_cuda_library_leave(InferCudaDevice *device)
{
  g_mutex_lock(&device->lock);
  if (entered)
    g_ptr_array_add(device->cudnn, entered);
  entered = NULL;
  g_mutex_unlock(&device->lock);
  infer_cuda_pop();
}

cudnnHandle_t
infer_cuda_cudnn(GError **error)
{
  if (!entered && !infer_cudnn_check(cudnnCreate(&entered), "starting", error))
    entered = NULL;
  return entered;
}

cublasLtHandle_t
infer_cuda_cublaslt(InferCudaDevice *device, GError **error)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&device->lock);
  cublasLtHandle_t handle = NULL;

  if (!device->cublaslt && infer_cublaslt_check(cublasLtCreate(&handle), "starting", error))
    device->cublaslt = handle;
  return device->cublaslt;
}

void
infer_cuda_libraries_close(InferCudaDevice *device)
{
  g_clear_pointer(&device->cudnn, g_ptr_array_unref);
  if (device->cublaslt)
    cublasLtDestroy(device->cublaslt);
}
