/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <string.h>

gboolean
exec_debug_mark(const ExecArgs *args, InferNetwork *network, GError **error)
{
  for (char **name = args->mark_debug; name != NULL && *name != NULL; name++) {
    InferTensor *tensor = infer_network_find_tensor(network, *name);
    if (tensor == NULL) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "--markDebug: there is no tensor '%s'; --dumpLayerInfo prints their names",
                  *name);
      return FALSE;
    }
    if (!infer_network_mark_debug(network, tensor, error))
      return FALSE;
  }
  return TRUE;
}

/* Names of NumPy's types, of those that there are. */
static const char *
npy_type(InferType type)
{
  switch (type) {
  case INFER_TYPE_FLOAT:
    return "<f4";
  case INFER_TYPE_FLOAT16:
    return "<f2";
  case INFER_TYPE_DOUBLE:
    return "<f8";
  case INFER_TYPE_UINT8:
    return "|u1";
  case INFER_TYPE_INT8:
    return "|i1";
  case INFER_TYPE_UINT16:
    return "<u2";
  case INFER_TYPE_INT16:
    return "<i2";
  case INFER_TYPE_UINT32:
    return "<u4";
  case INFER_TYPE_INT32:
    return "<i4";
  case INFER_TYPE_UINT64:
    return "<u8";
  case INFER_TYPE_INT64:
    return "<i8";
  case INFER_TYPE_BOOL:
    return "|b1";
  default:
    return NULL;
  }
}

/* Format version 1: the header is padded so that elements begin at a multiple of 64. */
static GByteArray *
to_npy(const InferArray *array)
{
  g_autoptr(GString) header = g_string_new(NULL);
  g_autoptr(GString) shape = g_string_new(NULL);
  GByteArray *file = g_byte_array_new();

  for (gint i = 0; i < array->dims.n; i++)
    g_string_append_printf(shape, "%" G_GINT64_FORMAT ", ", array->dims.d[i]);
  g_string_printf(header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                  npy_type(array->type), shape->str);
  while ((header->len + 11) % 64 != 0)
    g_string_append_c(header, ' ');
  g_string_append_c(header, '\n');
  guint8 start[10] = {
      0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (guint8)(header->len & 255), (guint8)(header->len >> 8)};
  g_byte_array_append(file, start, sizeof start);
  g_byte_array_append(file, (const guint8 *)header->str, (guint)header->len);
  g_byte_array_append(file, array->data, (guint)array->size);
  return file;
}

static void
keep(InferContext *context, const char *name, InferArray *value, gpointer user_data)
{
  g_hash_table_replace(user_data, g_strdup(name), infer_array_ref(value));
}

static gboolean
save(const char *item, GHashTable *values, GError **error)
{
  g_autofree char *name = NULL;
  const InferArray *array = NULL;
  const char *colon = strrchr(item, ':');

  for (; colon != NULL && array == NULL; colon = g_strrstr_len(item, colon - item, ":")) {
    g_free(name);
    name = g_strndup(item, (gsize)(colon - item));
    array = g_hash_table_lookup(values, name);
    if (array != NULL)
      break;
  }
  if (array == NULL || colon[1] == '\0') {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--saveDebugTensors: '%s' is not NAME:FILE with the name of a tensor that was "
                "marked by --markDebug when the plan was built",
                item);
    return FALSE;
  }
  if (npy_type(array->type) == NULL || array->size > G_MAXINT) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "debug tensor '%s' of %s cannot be written as a .npy file", name,
                infer_type_name(array->type));
    return FALSE;
  }
  g_autoptr(GByteArray) file = to_npy(array);
  g_autofree char *shape = infer_dims_to_string(&array->dims);
  exec_info("Debug tensor '%s' (%s %s) written to %s", name, infer_type_name(array->type), shape,
            colon + 1);
  return exec_write_file(colon + 1, (const char *)file->data, file->len, error);
}

gboolean
exec_debug_save(const ExecArgs *args, ExecStream *stream, GError **error)
{
  g_autoptr(GHashTable) values =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)infer_array_unref);

  if (args->save_debug == NULL)
    return TRUE;
  infer_context_set_debug_listener(stream->context, keep, values, NULL);
  gboolean good = (stream->resident || exec_inputs_stage(stream->inputs, stream->context, error)) &&
                  infer_context_run(stream->context, error);
  infer_context_set_debug_listener(stream->context, NULL, NULL, NULL);
  for (char **item = args->save_debug; good && *item != NULL; item++)
    good = save(*item, values, error);
  return good;
}
