/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "images.h"
#include "backend.h"

#include <gmodule.h>

static const InferImages *
load(GError **error)
{
  g_autofree char *file = infer_backend_find_module("images");
  GModule *module = file ? g_module_open(file, G_MODULE_BIND_LOCAL | G_MODULE_BIND_LAZY) : NULL;
  const InferImages *(*get)(void) = NULL;
  gpointer symbol;

  if (!module) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "pictures cannot be decoded: %s; this build or installation lacks the module",
                file ? g_module_error() : "libinfer-images.so is not there");
    return NULL;
  }
  g_module_make_resident(module);
  if (g_module_symbol(module, "infer_images_get", &symbol))
    *(gpointer *)&get = symbol;
  if (!get || get()->abi != INFER_IMAGES_ABI) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                "'%s' was made for another version of the engine", file);
    return NULL;
  }
  return get();
}

const InferImages *
infer_images_open(GError **error)
{
  static GMutex lock;
  static const InferImages *images;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

  if (!images)
    images = load(error);
  return images;
}
