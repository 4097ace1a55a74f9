/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <string.h>

/* Errors and kernels. */

/* After these the context does nothing more. */
static gboolean
is_sticky(CUresult result)
{
  switch (result) {
  case CUDA_ERROR_ILLEGAL_ADDRESS:
  case CUDA_ERROR_MISALIGNED_ADDRESS:
  case CUDA_ERROR_INVALID_ADDRESS_SPACE:
  case CUDA_ERROR_INVALID_PC:
  case CUDA_ERROR_ILLEGAL_INSTRUCTION:
  case CUDA_ERROR_HARDWARE_STACK_ERROR:
  case CUDA_ERROR_LAUNCH_FAILED:
  case CUDA_ERROR_LAUNCH_TIMEOUT:
  case CUDA_ERROR_ASSERT:
  case CUDA_ERROR_ECC_UNCORRECTABLE:
  case CUDA_ERROR_NVLINK_UNCORRECTABLE:
  case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
infer_cuda_check(CUresult result, const char *what, GError **error)
{
  const char *text = NULL, *name = NULL;

  if (result == CUDA_SUCCESS)
    return TRUE;
  if (cuGetErrorString(result, &text) != CUDA_SUCCESS)
    text = "unknown error";
  if (cuGetErrorName(result, &name) != CUDA_SUCCESS)
    name = "?";
  g_set_error(error, INFER_ERROR,
              result == CUDA_ERROR_OUT_OF_MEMORY ? INFER_ERROR_MEMORY : INFER_ERROR_DEVICE,
              "CUDA: %s: %s (%s)%s", what, text, name,
              is_sticky(result) ? "; the device is lost to what has it open: close all of that and "
                                  "open the device again, or start the process anew"
                                : "");
  return FALSE;
}

void
infer_cuda_push(InferCudaDevice *device)
{
  cuCtxPushCurrent(device->context);
}

void
infer_cuda_pop(void)
{
  cuCtxPopCurrent(NULL);
}

CUfunction
infer_cuda_fixed(InferCudaDevice *device, const char *name, GError **error)
{
  CUfunction function = NULL;

  for (guint i = 0; device->fixed[i]; i++) {
    CUresult result = cuModuleGetFunction(&function, device->fixed[i], name);
    if (result == CUDA_SUCCESS)
      return function;
    if (result != CUDA_ERROR_NOT_FOUND && !infer_cuda_check(result, name, error))
      return NULL;
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "this backend has no kernel '%s'", name);
  return NULL;
}

gboolean
infer_cuda_allow_shared(CUfunction function, guint shared, GError **error)
{
  return infer_cuda_check(
      cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)shared),
      "asking for shared memory", error);
}

gboolean
infer_cuda_launch(const InferCudaQueue *queue, CUfunction function, InferCudaSize grid,
                  InferCudaSize block, guint shared, void **params, GError **error)
{
  return infer_cuda_check(cuLaunchKernel(function, grid.x, grid.y, grid.z, block.x, block.y,
                                         block.z, shared, queue->stream, params, NULL),
                          "starting a kernel", error);
}

gboolean
infer_cuda_fail(const InferPrepare *prepare, GError **error, InferError code, const char *format,
                ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, code, "step '%s' on %s: %s", prepare->step->name,
              prepare->device->name, text);
  return FALSE;
}

static gboolean
copy_value(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  memcpy(dst, value->data, value->size);
  return TRUE;
}

const void *
infer_cuda_constant(InferPrepare *prepare, guint input, GError **error)
{
  static const char key[] = "plain";
  const InferTensor *tensor = prepare->step->inputs[input];

  if (!tensor->value) {
    infer_cuda_fail(prepare, error, INFER_ERROR_FAILED, "'%s' is not constant", tensor->name);
    return NULL;
  }
  return infer_prepare_pack(prepare, input, key, sizeof key, tensor->value->size, copy_value, NULL,
                            error);
}
