/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <string.h>

/*
 * Kernels that are compiled when a step is prepared. A source is compiled by the first who asks;
 * others who ask for it meanwhile wait, those who ask for another do not.
 */

typedef struct {
  CUmodule module;
  GError *error;
  gboolean ready;
} Entry;

struct _InferCudaCompiler {
  GMutex lock;
  GCond done;
  GHashTable *entries; /* source -> Entry */
  char *arch;
};

static void
entry_free(gpointer data)
{
  Entry *entry = data;

  if (entry->module)
    cuModuleUnload(entry->module);
  g_clear_error(&entry->error);
  g_free(entry);
}

struct _InferCudaCompiler *
infer_cuda_compiler_new(void)
{
  struct _InferCudaCompiler *compiler = g_new0(struct _InferCudaCompiler, 1);

  g_mutex_init(&compiler->lock);
  g_cond_init(&compiler->done);
  compiler->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  return compiler;
}

void
infer_cuda_compiler_free(struct _InferCudaCompiler *compiler)
{
  g_hash_table_unref(compiler->entries);
  g_mutex_clear(&compiler->lock);
  g_cond_clear(&compiler->done);
  g_free(compiler->arch);
  g_free(compiler);
}

static gboolean
fill(InferCudaDevice *device, const char *arch, const char *source, CUmodule *module,
     GError **error)
{
  g_autoptr(GBytes) code = infer_cuda_nvrtc_compile(source, arch, error);

  /* PTX is text that ends with a zero byte. */
  return code && infer_cuda_check(cuModuleLoadData(module, g_bytes_get_data(code, NULL)),
                                  "loading a compiled kernel", error);
}

/* The entry of @source, compiled. */
static const Entry *
get_entry(InferCudaDevice *device, const char *source, GError **error)
{
  struct _InferCudaCompiler *compiler = device->compiler;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&compiler->lock);
  Entry *entry = g_hash_table_lookup(compiler->entries, source);
  CUmodule module = NULL;
  GError *failure = NULL;

  if (!compiler->arch)
    compiler->arch = infer_cuda_nvrtc_arch(device->major, device->minor, error);
  if (!compiler->arch)
    return NULL;
  if (!entry) {
    entry = g_new0(Entry, 1);
    g_hash_table_insert(compiler->entries, g_strdup(source), entry);
    g_mutex_unlock(&compiler->lock);
    fill(device, compiler->arch, source, &module, &failure);
    g_mutex_lock(&compiler->lock);
    entry->module = module;
    entry->error = failure;
    entry->ready = TRUE;
    g_cond_broadcast(&compiler->done);
  }
  while (!entry->ready)
    g_cond_wait(&compiler->done, &compiler->lock);
  if (entry->error) {
    g_propagate_error(error, g_error_copy(entry->error));
    return NULL;
  }
  return entry;
}

CUfunction
infer_cuda_compile(InferCudaDevice *device, const char *source, const char *name, GError **error)
{
  const Entry *entry = get_entry(device, source, error);
  CUfunction function = NULL;

  if (!entry)
    return NULL;
  if (!infer_cuda_check(cuModuleGetFunction(&function, entry->module, name), name, error))
    return NULL;
  return function;
}

const char *
infer_cuda_source(const char *name)
{
  for (const InferCudaBlob *blob = infer_cuda_sources_blobs; blob->name; blob++)
    if (strcmp(blob->name, name) == 0)
      return (const char *)blob->data;
  return NULL;
}
