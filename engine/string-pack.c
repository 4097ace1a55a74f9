/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "string-pack.h"

#include <infer/error.h>

#include <string.h>

GBytes *
infer_strings_pack(const InferArray *array)
{
  GByteArray *bytes = g_byte_array_new();

  for (gint64 i = 0; i < infer_array_count(array); i++) {
    const char *string = infer_array_get_string(array, (gsize)i);

    g_byte_array_append(bytes, (const guint8 *)string, (guint)strlen(string) + 1);
  }
  return g_byte_array_free_to_bytes(bytes);
}

static gsize
count_strings(const char *data, gsize size)
{
  gsize n = 0;

  for (gsize i = 0; i < size; i++)
    n += data[i] == 0;
  return n;
}

InferArray *
infer_strings_unpack(const InferDims *dims, GBytes *bytes, GError **error)
{
  gsize size;
  const char *data = g_bytes_get_data(bytes, &size);
  gint64 count = infer_dims_count(dims);
  InferArray *array;

  if (count < 0 || count_strings(data, size) != (gsize)count || (size > 0 && data[size - 1] != 0)) {
    g_autofree char *text = infer_dims_to_string(dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN,
                "%" G_GSIZE_FORMAT " bytes are not %s strings", size, text);
    return NULL;
  }
  array = infer_array_new(INFER_TYPE_STRING, dims, error);
  for (gint64 i = 0; array && i < count; i++) {
    infer_array_set_string(array, (gsize)i, data);
    data += strlen(data) + 1;
  }
  return array;
}
