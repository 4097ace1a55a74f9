/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "../plugin.h"

#include <string.h>

static const WireRule mean_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_KEEP},
    {3, WIRE_KEEP},
    {4, WIRE_KEEP},
    {5, WIRE_CUT, NULL, 1005},
    {7, WIRE_KEEP},
    {8, WIRE_CUT, NULL, 1008},
    {0},
};

/* The header of NumPy's files is a dictionary in Python: its type of element and its shape. */
static gboolean
read_header(const guint8 *data, gsize size, InferType *type, InferDims *dims, gsize *start,
            GError **error)
{
  static const struct {
    const char *descr;
    InferType type;
  } types[] = {{"<f4", INFER_TYPE_FLOAT},
               {"<f8", INFER_TYPE_DOUBLE},
               {"<f2", INFER_TYPE_FLOAT16},
               {"|u1", INFER_TYPE_UINT8}};
  g_autoptr(GHashTable) fields = parsers_fields_new();
  gboolean old = size > 6 && data[6] == 1;
  gsize from = old ? 10 : 12, length = 0, n = 0;

  for (gsize i = from; size >= from && i-- > 8;) {
    length = length << 8 | data[i];
  }
  if (size < from || length > size - from || length > 1 << 16) {
    return caffe_error(error, INFER_ERROR_MODEL, "damaged: it has no header of NumPy");
  }
  g_autofree char *raw = g_strndup((const char *)data + from, length);
  g_autofree char *text = g_utf8_make_valid(raw, -1);
  if (!caffe_param_string(text, fields, error)) {
    return FALSE;
  }
  GVariant *descr = g_hash_table_lookup(fields, "descr");
  GVariant *fortran = g_hash_table_lookup(fields, "fortran_order");
  GVariant *shape = g_hash_table_lookup(fields, "shape");
  *type = INFER_TYPE_UNDEFINED;
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    if (descr && g_variant_is_of_type(descr, G_VARIANT_TYPE_STRING) &&
        g_str_equal(g_variant_get_string(descr, NULL), types[i].descr)) {
      *type = types[i].type;
    }
  }
  if (*type == INFER_TYPE_UNDEFINED || !shape ||
      !g_variant_is_of_type(shape, G_VARIANT_TYPE("ax")) ||
      (fortran && g_variant_is_of_type(fortran, G_VARIANT_TYPE_INT64) &&
       g_variant_get_int64(fortran))) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "'%s': floats or bytes in C's order can be read", text);
  }
  const gint64 *list = g_variant_get_fixed_array(shape, &n, sizeof *list);
  gboolean batch = n == 4 && list[0] == 1;
  if (n != 1 && n != 3 && !batch) {
    return caffe_error(error, INFER_ERROR_MODEL, "%" G_GSIZE_FORMAT " dimensions are no mean image",
                       n);
  }
  *dims = n == 1 ? INFER_DIMS(list[0], 1, 1) : INFER_DIMS(list[n - 3], list[n - 2], list[n - 1]);
  *start = from + length;
  return TRUE;
}

static InferArray *
parse_numpy(GBytes *bytes, GError **error)
{
  gsize size = 0, start = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  InferType type = INFER_TYPE_UNDEFINED;
  InferDims dims;

  if (!read_header(data, size, &type, &dims, &start, error)) {
    return NULL;
  }
  g_autoptr(InferArray) from =
      infer_array_new_from_data(type, &dims, data + start, size - start, error);
  InferArray *to = from ? infer_array_new(INFER_TYPE_FLOAT, &dims, error) : NULL;
  gint64 count = to ? infer_array_count(to) : 0;
  for (gint64 i = 0; i < count; i++) {
    ((float *)to->data)[i] = (float)infer_array_get_double(from, (gsize)i);
  }
  return to;
}

static InferArray *
parse_blob(GBytes *bytes, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  GError *trouble = NULL;
  g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  g_autoptr(GByteArray) kept = wire_scan(data, size, mean_rules, 8, ranges, &trouble);
  CaffeNet net = {.bytes = bytes, .ranges = ranges};
  InferArray *array = NULL;
  InferDims dims;

  wire_allocator_init(&net.allocator, ((gsize)1 << 20) + (kept ? (gsize)kept->len * 64 : 0));
  CaffeBlob *blob =
      kept ? infer_caffe__blob_proto__unpack(&net.allocator.base, kept->len, kept->data) : NULL;
  gint64 count = blob ? caffe_blob_count(blob, &dims) : -1;
  if (count > 0 && dims.n >= 3) {
    /* Without the batch of one that old files write. */
    InferDims image = INFER_DIMS(dims.d[dims.n - 3], dims.d[dims.n - 2], dims.d[dims.n - 1]);
    array = caffe_blob_array(&net, blob, &image, &trouble);
  } else if (!trouble) {
    caffe_error(&trouble, INFER_ERROR_MODEL, "it is not a mean image");
  }
  if (blob) {
    infer_caffe__blob_proto__free_unpacked(blob, &net.allocator.base);
  }
  if (trouble) {
    g_propagate_error(error, trouble);
  }
  return array;
}

InferArray *
infer_caffe_parse_mean(GBytes *bytes, const char *source, GError **error)
{
  static const guint8 numpy[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  GError *trouble = NULL;
  InferArray *array = size >= sizeof numpy && memcmp(data, numpy, sizeof numpy) == 0
                          ? parse_numpy(bytes, &trouble)
                          : parse_blob(bytes, &trouble);

  if (!array) {
    caffe_error(error, (InferError)trouble->code, "%s: %s", source ? source : "mean",
                trouble->message);
    g_error_free(trouble);
  }
  return array;
}

InferArray *
infer_caffe_load_mean(const char *path, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &trouble);

  if (!file) {
    caffe_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
    return NULL;
  }
  g_autoptr(GBytes) bytes = g_mapped_file_get_bytes(file);
  return infer_caffe_parse_mean(bytes, path, error);
}

void
infer_caffe_channel_means(const InferArray *mean, float values[3])
{
  gint64 planes = mean->dims.n == 3 ? mean->dims.d[0] : 0;
  gsize size = planes > 0 ? (gsize)(infer_array_count(mean) / planes) : 0;

  for (gint64 c = 0; c < 3 && size > 0; c++) {
    double sum = 0;
    for (gsize i = 0; i < size; i++) {
      sum += infer_array_get_double(mean, (gsize)MIN(c, planes - 1) * size + i);
    }
    values[c] = (float)(sum / (double)size);
  }
}
