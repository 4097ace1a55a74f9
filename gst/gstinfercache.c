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

static gint
by_name(gconstpointer a, gconstpointer b)
{
  return g_strcmp0(*(const gchar *const *)a, *(const gchar *const *)b);
}

/* A SavedModel of TensorFlow's is a folder: its variables count as much as its graph. */
static gboolean
hash_model(GChecksum *checksum, const gchar *path, GCancellable *cancellable, GError **error)
{
  gboolean is_folder = g_file_test(path, G_FILE_TEST_IS_DIR);
  g_autofree gchar *root = is_folder ? g_strdup(path) : g_path_get_dirname(path);
  g_autofree gchar *graph =
      is_folder ? g_build_filename(path, "saved_model.pb", NULL) : g_strdup(path);
  g_autofree gchar *folder = g_build_filename(root, "variables", NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  GDir *variables = g_str_has_suffix(graph, "saved_model.pb") ? g_dir_open(folder, 0, NULL) : NULL;
  const gchar *name;

  while (variables && (name = g_dir_read_name(variables)))
    g_ptr_array_add(names, g_build_filename(folder, name, NULL));
  g_clear_pointer(&variables, g_dir_close);
  g_ptr_array_sort(names, by_name);
  if (!hash_file(checksum, graph, cancellable, error))
    return FALSE;
  for (guint i = 0; i < names->len; i++) {
    if (g_file_test(names->pdata[i], G_FILE_TEST_IS_REGULAR) &&
        !hash_file(checksum, names->pdata[i], cancellable, error))
      return FALSE;
  }
  return TRUE;
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
  if (!hash_model(checksum, settings->model_file, cancellable, error) ||
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
