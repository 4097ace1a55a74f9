/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "cpu.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define MAX_THREADS 1024

/* Processors that this process may run on; the set grows until the kernel's mask fits. */
static guint
available_processors(void)
{
  for (int n = 1024; n <= 1 << 20; n *= 2) {
    cpu_set_t *set = CPU_ALLOC(n);
    if (set == NULL)
      break;
    gsize size = CPU_ALLOC_SIZE(n);
    CPU_ZERO_S(size, set);
    int rc = sched_getaffinity(0, size, set), reason = errno;
    int count = rc == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0)
      return count;
    if (reason != EINVAL)
      break;
  }
  return MAX(g_get_num_processors(), 1);
}

static const char *
isa_name(dnnl_cpu_isa_t isa)
{
  switch (isa) {
  case dnnl_cpu_isa_sse41:
    return "sse41";
  case dnnl_cpu_isa_avx:
    return "avx";
  case dnnl_cpu_isa_avx2:
    return "avx2";
  case dnnl_cpu_isa_avx2_vnni:
    return "avx2_vnni";
  case dnnl_cpu_isa_avx512_core:
    return "avx512_core";
  case dnnl_cpu_isa_avx512_core_vnni:
    return "avx512_core_vnni";
  case dnnl_cpu_isa_avx512_core_bf16:
    return "avx512_core_bf16";
  case dnnl_cpu_isa_avx512_core_amx:
    return "avx512_core_amx";
  default:
    return NULL;
  }
}

static const InferCpuKernels *
choose_kernels(dnnl_cpu_isa_t isa)
{
#ifdef INFER_CPU_X86
  if ((isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core)
    return &infer_cpu_kernels_avx512;
  if ((isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2)
    return &infer_cpu_kernels_avx2;
#endif
  return &infer_cpu_kernels_base;
}

static char *
make_key(dnnl_cpu_isa_t isa, guint threads)
{
  const dnnl_version_t *version = dnnl_version();
  const char *known = isa_name(isa);
  g_autofree char *number = g_strdup_printf("isa%#x", (guint)isa);
  return g_strdup_printf("cpu %s, oneDNN %d.%d.%d, %u threads", known != NULL ? known : number,
                         version->major, version->minor, version->patch, threads);
}

InferDevice *
infer_cpu_open(const char *name, guint threads, GError **error)
{
  if (g_strcmp0(name, "cpu") != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "device '%s' is not one of the CPU backend's; it has only 'cpu'", name);
    return NULL;
  }
  if (threads > MAX_THREADS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "%u threads are too many; at most %d do",
                threads, MAX_THREADS);
    return NULL;
  }
  g_autofree InferCpuDevice *device = g_new0(InferCpuDevice, 1);
  dnnl_status_t status = dnnl_engine_create(&device->engine, dnnl_cpu, 0);
  if (status != dnnl_success) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "oneDNN cannot be used on this processor (status %d)", status);
    return NULL;
  }
  dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  device->base.backend = infer_backend_get();
  device->base.threads = threads > 0 ? threads : MIN(available_processors(), MAX_THREADS);
  device->base.name = g_strdup("cpu");
  device->base.key = make_key(isa, device->base.threads);
  device->kernels = choose_kernels(isa);
  return &g_steal_pointer(&device)->base;
}

void
infer_cpu_close(InferDevice *base)
{
  InferCpuDevice *device = infer_cpu_device(base);
  dnnl_engine_destroy(device->engine);
  g_free(base->name);
  g_free(base->key);
  g_free(device);
}

void *
infer_cpu_alloc(InferDevice *device, gsize size, GError **error)
{
  gsize rounded = (MAX(size, 1) + 63) & ~(gsize)63;
  void *memory = rounded >= size ? aligned_alloc(64, rounded) : NULL;
  if (memory == NULL)
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "no memory for %" G_GSIZE_FORMAT " bytes",
                size);
  return memory;
}

void
infer_cpu_free(InferDevice *device, void *memory)
{
  free(memory);
}
