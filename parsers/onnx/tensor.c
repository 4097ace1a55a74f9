/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The most bytes of all tensors that are mostly zeros which the file does not hold. */
#define MAX_FILLED ((gsize)256 << 20)

InferType
onnx_type(gint64 number)
{
  return number > 0 && number < INFER_N_TYPES ? (InferType)number : INFER_TYPE_UNDEFINED;
}

static gboolean
read_dims(const int64_t *values, gsize n, InferDims *dims, GError **error)
{
  if (n > INFER_MAX_DIMS) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the tensor has %" G_GSIZE_FORMAT " dimensions; at most %d can be", n,
                      INFER_MAX_DIMS);
  }
  dims->n = (gint)n;
  for (gsize i = 0; i < n; i++) {
    dims->d[i] = values[i];
    if (values[i] < 0) {
      return onnx_error(error, INFER_ERROR_MODEL,
                        "the tensor's dimension %" G_GSIZE_FORMAT " is %" G_GINT64_FORMAT, i,
                        (gint64)values[i]);
    }
  }
  return infer_dims_count(dims) >= 0 ||
         onnx_error(error, INFER_ERROR_MODEL, "the tensor's dimensions are too large");
}

typedef struct {
  gconstpointer data;
  gsize n;           /* how many are given */
  gsize size;        /* bytes of one */
  gsize per_number;  /* elements in one */
  gsize per_element; /* numbers for one */
} Field;

static Field
typed_field(const InferOnnx__Tensor *t, InferType type)
{
  switch (type) {
  case INFER_TYPE_FLOAT:
    return (Field){t->float_data, t->n_float_data, 4, 1, 1};
  case INFER_TYPE_COMPLEX64:
    return (Field){t->float_data, t->n_float_data, 4, 1, 2};
  case INFER_TYPE_DOUBLE:
    return (Field){t->double_data, t->n_double_data, 8, 1, 1};
  case INFER_TYPE_COMPLEX128:
    return (Field){t->double_data, t->n_double_data, 8, 1, 2};
  case INFER_TYPE_INT64:
    return (Field){t->int64_data, t->n_int64_data, 8, 1, 1};
  case INFER_TYPE_UINT32:
  case INFER_TYPE_UINT64:
    return (Field){t->uint64_data, t->n_uint64_data, 8, 1, 1};
  default: {
    guint bits = infer_type_bits(type);
    return (Field){t->int32_data, t->n_int32_data, 4, bits > 0 && bits < 8 ? 8 / bits : 1, 1};
  }
  }
}

/* A number of the field is cut to the element's size: types of less than 8 bits come as bytes. */
static void
store(guint8 *to, gsize size, const guint8 *from, gsize from_size)
{
  guint64 wide = 0;
  guint32 narrow = 0;

  if (size >= from_size) {
    memcpy(to, from, from_size);
    return;
  }
  if (from_size == 8) {
    memcpy(&wide, from, 8);
  } else {
    memcpy(&narrow, from, 4);
    wide = narrow;
  }
  guint8 byte = (guint8)wide;
  guint16 half = (guint16)wide;
  guint32 word = (guint32)wide;
  memcpy(to, size == 1 ? (gconstpointer)&byte : size == 2 ? (gconstpointer)&half : &word, size);
}

static InferArray *
array_of_field(const InferOnnx__Tensor *tensor, InferType type, const InferDims *dims,
               GError **error)
{
  Field field = typed_field(tensor, type);
  gsize count = (gsize)infer_dims_count(dims);
  gsize need = (count + field.per_number - 1) / field.per_number;

  if (need > G_MAXSIZE / 2 || field.n != need * field.per_element) {
    g_autofree char *text = infer_dims_to_string(dims);
    onnx_error(error, INFER_ERROR_MODEL,
               "the tensor has %s elements of %s, but %" G_GSIZE_FORMAT " values are given", text,
               infer_type_name(type), field.n);
    return NULL;
  }
  InferArray *array = infer_array_new(type, dims, error);
  if (!array) {
    return NULL;
  }
  guint bits = infer_type_bits(type);
  gsize size = field.per_element == 2 ? field.size : MAX(bits / 8, 1);
  for (gsize i = 0; i < field.n; i++) {
    store((guint8 *)array->data + i * size, size, (const guint8 *)field.data + i * field.size,
          field.size);
  }
  return array;
}

/* What was copied out of the file, since its place is not one for numbers of that size, need not be
 * in memory twice. */
static void
release_pages(const OnnxModel *model, GBytes *bytes)
{
  gsize size, page = (gsize)sysconf(_SC_PAGESIZE);
  const guint8 *data = g_bytes_get_data(bytes, &size);
  gsize skip = (page - (gsize)data % page) % page;

  if (model->mapped && size > skip + page) {
    madvise((guint8 *)data + skip, (size - skip) / page * page, MADV_DONTNEED);
  }
}

static GBytes *
range_bytes(const OnnxModel *model, guint64 index, GError **error)
{
  if (index == 0 || index > model->ranges->len) {
    onnx_error(error, INFER_ERROR_MODEL, "the tensor's contents are not there");
    return NULL;
  }
  WireRange range = g_array_index(model->ranges, WireRange, index - 1);
  return g_bytes_new_from_bytes(model->bytes, range.offset, range.length);
}

static InferArray *
array_of_raw(OnnxModel *model, guint64 index, InferType type, const InferDims *dims, GError **error)
{
  g_autoptr(GBytes) bytes = range_bytes(model, index, error);
  InferArray *array = bytes ? infer_array_new_from_bytes(type, dims, bytes, error) : NULL;

  if (array && array->data != g_bytes_get_data(bytes, NULL)) {
    release_pages(model, bytes);
  }
  return array;
}

/* Long lists of floats are in the file as they are in memory. */
static InferArray *
array_of_ranges(OnnxModel *model, const InferOnnx__Tensor *tensor, InferType type,
                const InferDims *dims, GError **error)
{
  gboolean is_double = type == INFER_TYPE_DOUBLE || type == INFER_TYPE_COMPLEX128;
  gboolean is_float = type == INFER_TYPE_FLOAT || type == INFER_TYPE_COMPLEX64;
  gsize n = is_double ? tensor->n_double_ranges : tensor->n_float_ranges;
  const uint64_t *ranges = is_double ? tensor->double_ranges : tensor->float_ranges;

  if (!(is_double || is_float) || n != 1 ||
      (is_double ? tensor->n_double_data : tensor->n_float_data) > 0) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED,
               "the tensor's values are of another type, or in several pieces; write it anew, as "
               "raw_data");
    return NULL;
  }
  return array_of_raw(model, ranges[0], type, dims, error);
}

static InferArray *
array_of_strings(const InferOnnx__Tensor *tensor, const InferDims *dims, GError **error)
{
  if ((gsize)infer_dims_count(dims) != tensor->n_string_data) {
    g_autofree char *text = infer_dims_to_string(dims);
    onnx_error(error, INFER_ERROR_MODEL,
               "the tensor has %s strings, but %" G_GSIZE_FORMAT " are given", text,
               tensor->n_string_data);
    return NULL;
  }
  InferArray *array = infer_array_new(INFER_TYPE_STRING, dims, error);
  for (gsize i = 0; array && i < tensor->n_string_data; i++) {
    const ProtobufCBinaryData *bytes = &tensor->string_data[i];
    if (bytes->len > 0 && memchr(bytes->data, 0, bytes->len)) {
      onnx_error(error, INFER_ERROR_UNSUPPORTED,
                 "string %" G_GSIZE_FORMAT " of the tensor has a zero byte in it", i);
      infer_array_unref(array);
      return NULL;
    }
    g_autofree char *text = g_strndup(bytes->len ? (const char *)bytes->data : "", bytes->len);
    infer_array_set_string(array, i, text);
  }
  return array;
}

static InferArray *
tensor_contents(OnnxModel *model, const InferOnnx__Tensor *tensor, GError **error)
{
  InferType type = onnx_type(tensor->has_data_type ? tensor->data_type : 0);
  InferDims dims;

  if (type == INFER_TYPE_UNDEFINED) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED, "a constant of the unknown type %d",
               tensor->data_type);
    return NULL;
  }
  if (!read_dims(tensor->dims, tensor->n_dims, &dims, error)) {
    return NULL;
  }
  if (type == INFER_TYPE_STRING) {
    return array_of_strings(tensor, &dims, error);
  }
  if (tensor->has_data_location && tensor->data_location == 1) {
    g_autoptr(GBytes) bytes = onnx_external_bytes(model, tensor, error);
    return bytes ? infer_array_new_from_bytes(type, &dims, bytes, error) : NULL;
  }
  if (tensor->has_raw_range) {
    WireRange none = {0, 0};
    WireRange range = tensor->raw_range > 0 && tensor->raw_range <= model->ranges->len
                          ? g_array_index(model->ranges, WireRange, tensor->raw_range - 1)
                          : none;
    /* Some writers put an empty raw_data beside the typed values. */
    if (range.length > 0 || infer_dims_count(&dims) == 0) {
      return array_of_raw(model, tensor->raw_range, type, &dims, error);
    }
  }
  if (tensor->n_float_ranges > 0 || tensor->n_double_ranges > 0) {
    return array_of_ranges(model, tensor, type, &dims, error);
  }
  return array_of_field(tensor, type, &dims, error);
}

/* A bool is any byte in the file and 0 or 1 here. */
static InferArray *
clean_bools(InferArray *array, GError **error)
{
  gboolean clean = TRUE;

  for (gsize i = 0; array->type == INFER_TYPE_BOOL && i < array->size; i++) {
    clean = clean && ((const guint8 *)array->data)[i] <= 1;
  }
  if (clean) {
    return array;
  }
  InferArray *copy = infer_array_new(array->type, &array->dims, error);
  for (gsize i = 0; copy && i < array->size; i++) {
    ((guint8 *)copy->data)[i] = ((const guint8 *)array->data)[i] != 0;
  }
  infer_array_unref(array);
  return copy;
}

InferArray *
onnx_tensor_array(OnnxModel *model, const InferOnnx__Tensor *tensor, GError **error)
{
  InferArray *array = tensor_contents(model, tensor, error);

  return array ? clean_bools(array, error) : NULL;
}

/* The place of value @i: indices are flat, or one row of coordinates a value. */
static gboolean
sparse_place(const InferArray *indices, gsize i, const InferDims *dims, gsize *place)
{
  gint columns = indices->dims.n == 2 ? dims->n : 1;
  gint64 at = 0;

  for (gint c = 0; c < columns; c++) {
    gint64 limit = indices->dims.n == 2 ? dims->d[c] : infer_dims_count(dims);
    gint64 index = infer_array_get_int(indices, i * (gsize)columns + (gsize)c);
    if (index < 0 || index >= limit) {
      return FALSE;
    }
    at = at * limit + index;
  }
  *place = (gsize)at;
  return TRUE;
}

static gboolean
sparse_fits(OnnxModel *model, const InferArray *values, const InferArray *indices,
            const InferDims *dims, GError **error)
{
  gint64 n = infer_array_count(values);
  gsize size = infer_type_size(values->type, infer_dims_count(dims));
  const InferDims *at = &indices->dims;

  if (values->dims.n != 1 || indices->type != INFER_TYPE_INT64 || at->n < 1 || at->n > 2 ||
      at->d[0] != n || (at->n == 2 && at->d[1] != dims->n) || infer_type_bits(values->type) < 8) {
    return onnx_error(error, INFER_ERROR_MODEL,
                      "the sparse tensor's values and indices do not fit each other");
  }
  if (size > MAX_FILLED - model->filled) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the sparse tensor is too large to be filled with zeros");
  }
  model->filled += size;
  return TRUE;
}

InferArray *
onnx_sparse_array(OnnxModel *model, const InferOnnx__SparseTensor *sparse, GError **error)
{
  InferDims dims;

  if (!sparse->values || !sparse->indices) {
    onnx_error(error, INFER_ERROR_MODEL, "the sparse tensor has no values or no indices");
    return NULL;
  }
  g_autoptr(InferArray) values = onnx_tensor_array(model, sparse->values, error);
  g_autoptr(InferArray) indices = values ? onnx_tensor_array(model, sparse->indices, error) : NULL;
  if (!indices || !read_dims(sparse->dims, sparse->n_dims, &dims, error) ||
      !sparse_fits(model, values, indices, &dims, error)) {
    return NULL;
  }
  g_autoptr(InferArray) array = infer_array_new(values->type, &dims, error);
  gsize size = infer_type_bits(values->type) / 8;
  for (gsize i = 0; array && i < (gsize)infer_array_count(values); i++) {
    gsize place = 0;
    if (!sparse_place(indices, i, &dims, &place)) {
      onnx_error(error, INFER_ERROR_MODEL,
                 "an index of the sparse tensor is outside of its dimensions");
      return NULL;
    }
    memcpy((guint8 *)array->data + place * size, (const guint8 *)values->data + i * size, size);
  }
  return g_steal_pointer(&array);
}
