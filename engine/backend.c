/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "backend.h"

#include <dlfcn.h>
#include <gmodule.h>
#include <string.h>
#include <unistd.h>

/* --- OpenMP --- */

/*
 * GNU OpenMP's threads spin for milliseconds at each barrier by default. Where other threads of a
 * pipeline want the processors (decoders, encoders) that makes a network ten times slower, since a
 * thread that is waited for does not get to run. A short spin keeps the barrier cheap. It reads the
 * variable when it is loaded, so that this is done before any backend is, and before there are
 * threads that could read the environment meanwhile.
 */
__attribute__((constructor)) static void
limit_spinning(void)
{
  if (!g_getenv("OMP_WAIT_POLICY") && !g_getenv("GOMP_SPINCOUNT"))
    g_setenv("GOMP_SPINCOUNT", "1000", FALSE);
}

/* --- modules --- */

typedef const InferBackend *(*GetFunc)(void);

static GMutex modules_lock;
static GHashTable *modules; /* name -> InferBackend */

/* The directory of this library, so that a relocated tree finds its backends. */
static char *
own_directory(void)
{
  Dl_info info;

  if (!dladdr((const void *)own_directory, &info) || !info.dli_fname)
    return NULL;
  return g_path_get_dirname(info.dli_fname);
}

static GPtrArray *
search_path(void)
{
  GPtrArray *path = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *own = own_directory();
  const char *variable = getuid() == geteuid() ? g_getenv("INFER_BACKEND_PATH") : NULL;

  if (variable) {
    g_auto(GStrv) parts = g_strsplit(variable, G_SEARCHPATH_SEPARATOR_S, -1);
    for (guint i = 0; parts[i]; i++)
      if (*parts[i])
        g_ptr_array_add(path, g_strdup(parts[i]));
  }
  if (own)
    g_ptr_array_add(path, g_build_filename(own, "infer-1.0", NULL));
  g_ptr_array_add(path, g_strdup(INFER_BACKEND_DIR));
  return path;
}

char *
infer_backend_find_module(const char *name)
{
  g_autoptr(GPtrArray) path = search_path();

  for (guint i = 0; i < path->len; i++) {
    g_autofree char *file = g_strdup_printf("%s/libinfer-%s.so", (char *)path->pdata[i], name);
    if (g_file_test(file, G_FILE_TEST_EXISTS))
      return g_steal_pointer(&file);
  }
  return NULL;
}

static const InferBackend *
open_module(const char *file, GError **error)
{
  GModule *module = g_module_open(file, G_MODULE_BIND_LOCAL | G_MODULE_BIND_LAZY);
  const InferBackend *backend;
  gpointer symbol;

  if (!module) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "backend '%s' cannot be loaded: %s", file,
                g_module_error());
    return NULL;
  }
  /* OpenMP's and CUDA's threads outlive an unloaded module. */
  g_module_make_resident(module);
  if (!g_module_symbol(module, "infer_backend_get", &symbol)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "'%s' is not a backend", file);
    return NULL;
  }
  backend = ((GetFunc)symbol)();
  if (!backend || backend->abi != INFER_BACKEND_ABI) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                "backend '%s' was made for interface %u of the engine, this is %u; install the "
                "backend that came with this version",
                file, backend ? backend->abi : 0, INFER_BACKEND_ABI);
    return NULL;
  }
  return backend;
}

static const InferBackend *
load_backend(const char *name, GError **error)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&modules_lock);
  g_autoptr(GPtrArray) path = search_path();
  const InferBackend *backend;

  if (!modules)
    modules = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  backend = g_hash_table_lookup(modules, name);
  for (guint i = 0; !backend && i < path->len; i++) {
    g_autofree char *file = g_strdup_printf("%s/libinfer-%s.so", (char *)path->pdata[i], name);

    if (!g_file_test(file, G_FILE_TEST_EXISTS))
      continue;
    backend = open_module(file, error);
    if (!backend)
      return NULL;
    g_hash_table_insert(modules, g_strdup(name), (gpointer)backend);
  }
  if (!backend)
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "device '%s': there is no backend libinfer-%s.so in %s; this build or installation "
                "does not have it (INFER_BACKEND_PATH names other directories)",
                name, name, (char *)path->pdata[path->len - 1]);
  return backend;
}

/* --- devices --- */

typedef struct {
  InferDevice *device;
  guint refs;
} Shared;

static GMutex devices_lock;
static GHashTable *devices; /* "name threads" -> Shared */

static gboolean
valid_name(const char *device)
{
  const char *index = strchr(device, ':');
  guint64 number;

  if (g_str_equal(device, "cpu") || g_str_equal(device, "cuda") || g_str_equal(device, "null"))
    return TRUE;
  return index && strncmp(device, "cuda:", 5) == 0 &&
         g_ascii_string_to_unsigned(index + 1, 10, 0, 255, &number, NULL);
}

static InferDevice *
open_named(const char *device, guint threads, GError **error)
{
  g_autofree char *key = g_strdup_printf("%s %u", device, threads);
  g_auto(GStrv) parts = NULL;
  const InferBackend *backend;
  Shared *shared;

  if (!valid_name(device)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "device '%s' is not known; there are auto, cpu and cuda:N", device);
    return NULL;
  }
  parts = g_strsplit(device, ":", 2);
  backend = load_backend(parts[0], error);
  if (!backend)
    return NULL;
  g_mutex_lock(&devices_lock);
  if (!devices)
    devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  shared = g_hash_table_lookup(devices, key);
  if (!shared) {
    InferDevice *opened = backend->open(device, threads, error);
    if (opened) {
      shared = g_new0(Shared, 1);
      shared->device = opened;
      g_hash_table_insert(devices, g_steal_pointer(&key), shared);
    }
  }
  if (shared)
    shared->refs++;
  g_mutex_unlock(&devices_lock);
  return shared ? shared->device : NULL;
}

InferDevice *
infer_device_open(const char *device, guint threads, GError **error)
{
  InferDevice *found;

  if (device && *device && !g_str_equal(device, "auto"))
    return open_named(device, threads, error);
  found = open_named("cuda:0", threads, NULL);
  return found ? found : open_named("cpu", threads, error);
}

static Shared *
find_shared(InferDevice *device, gpointer *key)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, devices);
  while (g_hash_table_iter_next(&iter, key, &value))
    if (((Shared *)value)->device == device)
      return value;
  return NULL;
}

InferDevice *
infer_device_ref(InferDevice *device)
{
  gpointer key;

  g_mutex_lock(&devices_lock);
  find_shared(device, &key)->refs++;
  g_mutex_unlock(&devices_lock);
  return device;
}

void
infer_device_unref(InferDevice *device)
{
  gpointer key;
  Shared *shared;

  g_mutex_lock(&devices_lock);
  shared = find_shared(device, &key);
  if (--shared->refs == 0) {
    g_hash_table_remove(devices, key);
    device->backend->close(device);
  }
  g_mutex_unlock(&devices_lock);
}

const InferImpl *
infer_device_find_impl(InferDevice *device, const char *op, const char *name)
{
  const InferImpl *const *list = device->backend->impls ? device->backend->impls(op) : NULL;

  for (; list && *list; list++)
    if (g_str_equal((*list)->name, name))
      return *list;
  return NULL;
}
