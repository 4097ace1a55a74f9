/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <stdlib.h>
#include <string.h>

/*
 * Tensors whose contents lie in another file. The model says which, and the model is not trusted:
 * only regular files in the model's own folder are opened.
 */

static const char *
entry(const InferOnnx__Tensor *tensor, const char *key)
{
  for (gsize i = 0; i < tensor->n_external_data; i++) {
    const InferOnnx__Entry *e = tensor->external_data[i];
    if (e->key && e->value && g_str_equal(e->key, key)) {
      return e->value;
    }
  }
  return NULL;
}

static gboolean
leaves_folder(const char *location)
{
  g_auto(GStrv) parts = g_strsplit(location, "/", -1);

  return location[0] == '\0' || g_path_is_absolute(location) ||
         g_strv_contains((const char *const *)parts, "..") || strchr(location, '\\');
}

static char *
resolve(const char *folder, const char *location, GError **error)
{
  g_autofree char *path = g_build_filename(folder, location, NULL);
  char *real_folder = realpath(folder, NULL);
  char *real = realpath(path, NULL);
  gsize length = real_folder ? strlen(real_folder) : 0;
  gboolean inside = real && real_folder && strncmp(real, real_folder, length) == 0 &&
                    (real[length] == '/' || g_str_equal(real_folder, "/"));
  char *result = NULL;

  if (!real) {
    onnx_error(error, INFER_ERROR_FAILED, "the file '%s' with a tensor's contents is not there",
               path);
  } else if (!inside) {
    onnx_error(error, INFER_ERROR_MODEL, "'%s' leads out of the model's folder", path);
  } else if (!g_file_test(real, G_FILE_TEST_IS_REGULAR)) {
    onnx_error(error, INFER_ERROR_MODEL, "'%s' is not a regular file", path);
  } else {
    result = g_strdup(real);
  }
  free(real);
  free(real_folder);
  return result;
}

static GBytes *
map_file(OnnxModel *model, const char *location, GError **error)
{
  GBytes *known = g_hash_table_lookup(model->external, location);

  if (known) {
    return known;
  }
  g_autofree char *path = resolve(model->folder, location, error);
  if (!path) {
    return NULL;
  }
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &trouble);
  if (!file) {
    onnx_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
    return NULL;
  }
  GBytes *bytes = g_mapped_file_get_bytes(file);
  g_hash_table_insert(model->external, g_strdup(location), bytes);
  return bytes;
}

static gboolean
number(const InferOnnx__Tensor *tensor, const char *key, guint64 *value, GError **error)
{
  const char *text = entry(tensor, key);
  g_autofree char *valid = onnx_valid(text);

  return !text || g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, value, NULL) ||
         onnx_error(error, INFER_ERROR_MODEL, "external data: the %s '%s' is not a number", key,
                    valid);
}

GBytes *
onnx_external_bytes(OnnxModel *model, const InferOnnx__Tensor *tensor, GError **error)
{
  const char *location = entry(tensor, "location");
  guint64 offset = 0, length = 0;

  if (!model->folder) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED,
               "its contents are in another file, which a model in memory has not; parse it from "
               "its file");
    return NULL;
  }
  if (!location || leaves_folder(location)) {
    g_autofree char *valid = onnx_valid(location);
    onnx_error(error, INFER_ERROR_MODEL, "external data: '%s' is not a file in the model's folder",
               valid);
    return NULL;
  }
  GBytes *bytes = map_file(model, location, error);
  if (!bytes || !number(tensor, "offset", &offset, error)) {
    return NULL;
  }
  gsize size = g_bytes_get_size(bytes);
  length = offset <= size ? size - offset : 0;
  if (!number(tensor, "length", &length, error)) {
    return NULL;
  }
  if (offset > size || length > size - offset) {
    onnx_error(error, INFER_ERROR_MODEL,
               "external data: '%s' has %" G_GSIZE_FORMAT " bytes; %" G_GUINT64_FORMAT
               " from %" G_GUINT64_FORMAT " on are asked for",
               location, size, length, offset);
    return NULL;
  }
  return g_bytes_new_from_bytes(bytes, offset, length);
}
