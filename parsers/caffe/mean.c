/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

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

InferArray *
infer_caffe_parse_mean(GBytes *bytes, const char *source, GError **error)
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
