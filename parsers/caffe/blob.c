/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"

#include <string.h>

/* Kinds of raw_data, as NVIDIA's branch numbers them. */
enum { RAW_DOUBLE = 0, RAW_FLOAT = 1, RAW_FLOAT16 = 2 };

gint64
caffe_blob_count(const CaffeBlob *blob, InferDims *dims)
{
  *dims = INFER_DIMS_SCALAR;
  if (blob->shape) {
    if (blob->shape->n_dim > INFER_MAX_DIMS) {
      return -1;
    }
    for (gsize i = 0; i < blob->shape->n_dim; i++) {
      dims->d[dims->n++] = blob->shape->dim[i];
    }
  } else {
    /* The old form always has four dimensions. */
    *dims = INFER_DIMS(blob->num, blob->channels, blob->height, blob->width);
  }
  for (gint i = 0; i < dims->n; i++) {
    if (dims->d[i] < 0) {
      return -1;
    }
  }
  return infer_dims_count(dims);
}

static gsize
ranges_length(const CaffeNet *net, const guint32 *numbers, gsize n)
{
  gsize length = 0;

  for (gsize i = 0; i < n; i++) {
    if (numbers[i] > 0 && numbers[i] <= net->ranges->len) {
      length += g_array_index(net->ranges, WireRange, numbers[i] - 1).length;
    }
  }
  return length;
}

static GBytes *
ranges_bytes(const CaffeNet *net, const guint32 *numbers, gsize n)
{
  if (n == 1 && numbers[0] > 0 && numbers[0] <= net->ranges->len) {
    WireRange range = g_array_index(net->ranges, WireRange, numbers[0] - 1);
    return g_bytes_new_from_bytes(net->bytes, range.offset, range.length);
  }
  g_autoptr(GByteArray) all = g_byte_array_new();
  const guint8 *data = net->bytes ? g_bytes_get_data(net->bytes, NULL) : NULL;
  for (gsize i = 0; data && i < n; i++) {
    if (numbers[i] > 0 && numbers[i] <= net->ranges->len) {
      WireRange range = g_array_index(net->ranges, WireRange, numbers[i] - 1);
      g_byte_array_append(all, data + range.offset, (guint)range.length);
    }
  }
  return g_byte_array_free_to_bytes(g_steal_pointer(&all));
}

static InferArray *
to_float(InferType type, const InferDims *dims, GBytes *bytes, GError **error)
{
  g_autoptr(InferArray) from = infer_array_new_from_bytes(type, dims, bytes, error);

  if (!from || type == INFER_TYPE_FLOAT) {
    return g_steal_pointer(&from);
  }
  InferArray *to = infer_array_new(INFER_TYPE_FLOAT, dims, error);
  gint64 count = infer_array_count(from);
  for (gint64 i = 0; to && i < count; i++) {
    ((float *)to->data)[i] = (float)infer_array_get_double(from, (gsize)i);
  }
  return to;
}

/* The elements that a text has. */
static InferArray *
from_values(const CaffeBlob *blob, const InferDims *dims, GError **error)
{
  gsize n = blob->n_data ? blob->n_data : blob->n_double_data;
  gint64 count = infer_dims_count(dims);

  if (count < 0 || n != (guint64)count) {
    caffe_error(error, INFER_ERROR_SHAPE,
                "the blob has %" G_GSIZE_FORMAT " values where %" G_GINT64_FORMAT " are needed", n,
                count);
    return NULL;
  }
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, dims, error);
  for (gsize i = 0; array && i < n; i++) {
    ((float *)array->data)[i] = blob->n_data ? blob->data[i] : (float)blob->double_data[i];
  }
  return array;
}

InferArray *
caffe_blob_array(const CaffeNet *net, const CaffeBlob *blob, const InferDims *dims, GError **error)
{
  static const struct {
    gint32 raw;
    InferType type;
  } raws[] = {{RAW_DOUBLE, INFER_TYPE_DOUBLE},
              {RAW_FLOAT, INFER_TYPE_FLOAT},
              {RAW_FLOAT16, INFER_TYPE_FLOAT16}};
  g_autoptr(GBytes) bytes = NULL;
  InferType type = INFER_TYPE_FLOAT;

  if (ranges_length(net, blob->data_range, blob->n_data_range) > 0) {
    bytes = ranges_bytes(net, blob->data_range, blob->n_data_range);
  } else if (ranges_length(net, blob->double_range, blob->n_double_range) > 0) {
    type = INFER_TYPE_DOUBLE;
    bytes = ranges_bytes(net, blob->double_range, blob->n_double_range);
  } else if (ranges_length(net, blob->raw_range, blob->n_raw_range) > 0) {
    type = INFER_TYPE_UNDEFINED;
    for (gsize i = 0; i < G_N_ELEMENTS(raws); i++) {
      type = raws[i].raw == blob->raw_data_type ? raws[i].type : type;
    }
    bytes = ranges_bytes(net, blob->raw_range, blob->n_raw_range);
  } else {
    return from_values(blob, dims, error);
  }
  if (type == INFER_TYPE_UNDEFINED) {
    caffe_error(error, INFER_ERROR_UNSUPPORTED, "the blob's elements are of the unknown kind %d",
                blob->raw_data_type);
    return NULL;
  }
  return to_float(type, dims, bytes, error);
}
