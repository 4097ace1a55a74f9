/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <string.h>

/* Older ones lack instructions that the kernels use. */
#define LEAST_MAJOR 8

static gboolean
parse_name(const char *name, gint *index, GError **error)
{
  guint64 number = 0;

  if (!g_str_equal(name, "cuda") &&
      (!g_str_has_prefix(name, "cuda:") ||
       !g_ascii_string_to_unsigned(name + 5, 10, 0, 255, &number, NULL))) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "device '%s' is not one of the CUDA backend's; they are 'cuda:0', 'cuda:1' ...",
                name);
    return FALSE;
  }
  *index = (gint)number;
  return TRUE;
}

static gboolean
start_driver(GError **error)
{
  CUresult result = cuInit(0);
  int version = 0;

  if (result == CUDA_ERROR_NO_DEVICE || result == CUDA_ERROR_STUB_LIBRARY ||
      result == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH || result == CUDA_ERROR_SYSTEM_NOT_READY) {
    g_set_error(
        error, INFER_ERROR, INFER_ERROR_DEVICE,
        "there is no NVIDIA GPU that can be used, or no driver for it is loaded (CUDA error "
        "%d); 'nvidia-smi' says what the driver sees",
        result);
    return FALSE;
  }
  if (!infer_cuda_check(result, "starting the driver", error) ||
      !infer_cuda_check(cuDriverGetVersion(&version), "asking the driver's version", error))
    return FALSE;
  if (version >= CUDA_VERSION / 1000 * 1000)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
              "the NVIDIA driver is for CUDA %d.%d, this backend needs CUDA %d; install a newer "
              "driver",
              version / 1000, version % 1000 / 10, CUDA_VERSION / 1000);
  return FALSE;
}

static gboolean
find_device(const char *name, gint index, CUdevice *device, GError **error)
{
  int count = 0;

  if (!infer_cuda_check(cuDeviceGetCount(&count), "counting devices", error))
    return FALSE;
  if (index >= count) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "device '%s' does not exist; this machine has %d, counted from 0 "
                "(CUDA_VISIBLE_DEVICES hides others)",
                name, count);
    return FALSE;
  }
  return infer_cuda_check(cuDeviceGet(device, index), name, error);
}

static gboolean
read_attributes(InferCudaDevice *device, GError **error)
{
  int shared = 0, l2 = 0, n = 0;
  const struct {
    CUdevice_attribute attribute;
    int *value;
  } wanted[] = {
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &device->major},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &device->minor},
      {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &n},
      {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &l2},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &shared},
  };

  for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
    if (!infer_cuda_check(
            cuDeviceGetAttribute(wanted[i].value, wanted[i].attribute, device->device),
            "asking the device's properties", error))
      return FALSE;
  device->n_multiprocessors = (guint)n;
  device->l2_size = device->base.cache_size = (gsize)l2;
  device->shared_per_block = (gsize)shared;
  if (device->major >= LEAST_MAJOR)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
              "device '%s' has compute capability %d.%d; %d.0 (Ampere) is the least",
              device->base.name, device->major, device->minor, LEAST_MAJOR);
  return FALSE;
}

static gboolean
make_key(InferCudaDevice *device, GError **error)
{
  g_autofree char *libraries = infer_cuda_libraries_version();
  char name[256] = "";
  int driver = 0;

  if (!infer_cuda_check(cuDeviceGetName(name, sizeof name - 1, device->device),
                        "asking the device's name", error) ||
      !infer_cuda_check(cuDriverGetVersion(&driver), "asking the driver's version", error))
    return FALSE;
  device->base.key =
      g_strdup_printf("cuda sm_%d%d %s, driver %d.%d, %s", device->major, device->minor, name,
                      driver / 1000, driver % 1000 / 10, libraries);
  return TRUE;
}

static CUresult
create_context(CUcontext *context, CUdevice device)
{
#if CUDA_VERSION >= 13000
  CUresult result = cuCtxCreate(context, NULL, CU_CTX_SCHED_AUTO, device);
#else
  CUresult result = cuCtxCreate(context, CU_CTX_SCHED_AUTO, device);
#endif
  /* It is current now; every entry pushes it for itself. */
  if (result == CUDA_SUCCESS)
    cuCtxPopCurrent(NULL);
  return result;
}

static gboolean
load_fixed(InferCudaDevice *device, GError **error)
{
  guint n = 0;

  while (infer_cuda_fixed_blobs[n].name)
    n++;
  device->fixed = g_new0(CUmodule, n + 1);
  for (guint i = 0; i < n; i++) {
    const InferCudaBlob *blob = &infer_cuda_fixed_blobs[i];
    CUresult result = cuModuleLoadData(&device->fixed[i], blob->data);
    if (result == CUDA_ERROR_NO_BINARY_FOR_GPU) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                  "device '%s' has compute capability %d.%d, but this backend was compiled "
                  "for " INFER_CUDA_ARCHS " only; build it with -Dcuda-archs=%d%d",
                  device->base.name, device->major, device->minor, device->major, device->minor);
      return FALSE;
    }
    if (!infer_cuda_check(result, blob->name, error))
      return FALSE;
  }
  return TRUE;
}

/* All that needs the context. */
static gboolean
set_up(InferCudaDevice *device, GError **error)
{
  gboolean ok;

  infer_cuda_push(device);
  ok = load_fixed(device, error) &&
       infer_cuda_check(cuStreamCreate(&device->loading, CU_STREAM_NON_BLOCKING), "making a stream",
                        error);
  infer_cuda_pop();
  return ok;
}

static InferDevice *
finish(InferCudaDevice *device, GError **error)
{
  device->base.backend = infer_backend_get();
  device->base.threads = 1;
  device->compiler = infer_cuda_compiler_new();
  g_mutex_init(&device->lock);
  if (read_attributes(device, error) && make_key(device, error) &&
      (device->context || infer_cuda_check(create_context(&device->context, device->device),
                                           "making a context", error)) &&
      set_up(device, error))
    return &device->base;
  infer_cuda_close(&device->base);
  return NULL;
}

InferDevice *
infer_cuda_open(const char *name, guint threads, GError **error)
{
  InferCudaDevice *device;
  CUdevice found;
  gint index;

  if (!parse_name(name, &index, error) || !start_driver(error) ||
      !find_device(name, index, &found, error))
    return NULL;
  device = g_new0(InferCudaDevice, 1);
  device->base.name = g_strdup_printf("cuda:%d", index);
  device->device = found;
  return finish(device, error);
}

InferDevice *
infer_cuda_open_context(CUcontext context, GError **error)
{
  InferCudaDevice *device;
  CUdevice found;
  gboolean ok;

  if (!start_driver(error) ||
      !infer_cuda_check(cuCtxPushCurrent(context), "using the context given", error))
    return NULL;
  ok = infer_cuda_check(cuCtxGetDevice(&found), "asking the context's device", error);
  cuCtxPopCurrent(NULL);
  if (!ok)
    return NULL;
  device = g_new0(InferCudaDevice, 1);
  device->base.name = g_strdup_printf("cuda:%d", found);
  device->device = found;
  device->context = context;
  device->borrowed = TRUE;
  return finish(device, error);
}

void
infer_cuda_close(InferDevice *base)
{
  InferCudaDevice *device = infer_cuda_device(base);

  if (device->context)
    infer_cuda_push(device);
  infer_cuda_libraries_close(device);
  if (device->loading)
    cuStreamDestroy(device->loading);
  for (guint i = 0; device->fixed && device->fixed[i]; i++)
    cuModuleUnload(device->fixed[i]);
  infer_cuda_compiler_free(device->compiler);
  if (device->context) {
    infer_cuda_pop();
    if (!device->borrowed)
      cuCtxDestroy(device->context);
  }
  g_mutex_clear(&device->lock);
  g_free(device->fixed);
  g_free(base->name);
  g_free(base->key);
  g_free(device);
}
