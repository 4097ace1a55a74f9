/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <infer/parsers.h>
#include "gstinfermodel-private.h"

#define CHUNK (1 << 20)

static gboolean
hash_file(GChecksum *checksum, const gchar *path, GCancellable *cancellable, GError **error)
{
  g_autoptr(GFile) file = g_file_new_for_path(path);
  g_autoptr(GFileInputStream) stream = g_file_read(file, cancellable, error);
  g_autofree guchar *chunk = g_malloc(CHUNK);
  guint64 total = 0;
  gssize n = 0;

  if (!stream)
    return FALSE;
  while ((n = g_input_stream_read(G_INPUT_STREAM(stream), chunk, CHUNK, cancellable, error)) > 0) {
    g_checksum_update(checksum, chunk, n);
    total += (guint64)n;
  }
  /* The length keeps the contents of two files apart. */
  g_checksum_update(checksum, (const guchar *)&total, sizeof total);
  return n == 0;
}

/* The library that holds @symbol, as built: a plan of another build is not used, since its version
 * does not tell two builds of a checkout apart. */
static void
hash_library(GChecksum *checksum, gconstpointer symbol)
{
  Dl_info info;
  GStatBuf status;

  if (!dladdr(symbol, &info) || g_stat(info.dli_fname, &status) != 0)
    return;
  g_checksum_update(checksum, (const guchar *)&status.st_size, sizeof status.st_size);
  g_checksum_update(checksum, (const guchar *)&status.st_mtim, sizeof status.st_mtim);
}

gchar *
gst_infer_cache_path(const GstInferModelSettings *settings, guint max_batch,
                     GCancellable *cancellable, GError **error)
{
  g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
  g_autofree gchar *info = infer_model_info_find(settings->model_file);
  g_autofree gchar *folder = g_build_filename(g_get_user_cache_dir(), "gst-infer", "plans", NULL);
  g_autofree gchar *how =
      g_strdup_printf("%s|%s|%u|%u|%d%d|%s", PACKAGE_VERSION, settings->device, settings->threads,
                      max_batch, info != NULL, settings->model_info_file != NULL,
                      settings->decoder ? settings->decoder : "auto");

  g_checksum_update(checksum, (const guchar *)how, -1);
  hash_library(checksum, (gconstpointer)infer_network_new);
  hash_library(checksum, (gconstpointer)infer_parse_file);
  if (!hash_file(checksum, settings->model_file, cancellable, error) ||
      (info && !hash_file(checksum, info, cancellable, error)) ||
      (settings->model_info_file &&
       !hash_file(checksum, settings->model_info_file, cancellable, error)))
    return NULL;
  if (g_mkdir_with_parents(folder, 0700) != 0) {
    const int number = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(number),
                "the folder %s cannot be made: %s", folder, g_strerror(number));
    return NULL;
  }
  g_autofree gchar *name = g_strconcat(g_checksum_get_string(checksum), ".plan", NULL);
  return g_build_filename(folder, name, NULL);
}
