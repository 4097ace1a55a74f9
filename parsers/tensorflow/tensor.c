/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

/* The most bytes that a tensor may have whose file says only "all elements are x". */
#define MAX_FILLED ((gsize)256 << 20)

InferType
tf_type(gint64 dtype)
{
  static const guint8 types[] = {
      [1] = INFER_TYPE_FLOAT,       [2] = INFER_TYPE_DOUBLE,    [3] = INFER_TYPE_INT32,
      [4] = INFER_TYPE_UINT8,       [5] = INFER_TYPE_INT16,     [6] = INFER_TYPE_INT8,
      [7] = INFER_TYPE_STRING,      [8] = INFER_TYPE_COMPLEX64, [9] = INFER_TYPE_INT64,
      [10] = INFER_TYPE_BOOL,       [14] = INFER_TYPE_BFLOAT16, [17] = INFER_TYPE_UINT16,
      [18] = INFER_TYPE_COMPLEX128, [19] = INFER_TYPE_FLOAT16,  [22] = INFER_TYPE_UINT32,
      [23] = INFER_TYPE_UINT64,
  };
  return dtype > 0 && dtype < (gint64)G_N_ELEMENTS(types) ? types[dtype] : INFER_TYPE_UNDEFINED;
}

gboolean
tf_shape_dims(const InferTf__Shape *shape, InferDims *dims, GError **error)
{
  dims->n = 0;
  if (!shape) {
    return TRUE;
  }
  if (shape->n_dim > INFER_MAX_DIMS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the tensor has %" G_GSIZE_FORMAT " dimensions; at most %d can be", shape->n_dim,
                INFER_MAX_DIMS);
    return FALSE;
  }
  for (gsize i = 0; i < shape->n_dim; i++) {
    dims->d[dims->n++] = shape->dim[i]->has_size ? shape->dim[i]->size : 0;
    if (dims->d[i] < 0) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                  "the tensor's dimension %" G_GSIZE_FORMAT " is %" G_GINT64_FORMAT, i, dims->d[i]);
      return FALSE;
    }
  }
  if (infer_dims_count(dims) < 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "the tensor's dimensions are too large");
    return FALSE;
  }
  return TRUE;
}

static InferArray *
array_of_content(const TfGraph *graph, InferType type, const InferDims *dims, guint64 number,
                 GError **error)
{
  if (number == 0 || number > graph->model->ranges->len) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "the tensor's contents are not there");
    return NULL;
  }
  WireRange range = g_array_index(graph->model->ranges, WireRange, number - 1);
  g_autoptr(GBytes) bytes = g_bytes_new_from_bytes(graph->model->bytes, range.offset, range.length);
  return infer_array_new_from_bytes(type, dims, bytes, error);
}

/* How many elements the typed field for @type has; their bytes go to @data where they have the
 * element's own size, else they are in @wide. */
static gsize
typed_values(const InferTf__Tensor *t, InferType type, gconstpointer *data, const gint32 **wide)
{
  switch (type) {
  case INFER_TYPE_FLOAT:
    *data = t->float_val;
    return t->n_float_val;
  case INFER_TYPE_DOUBLE:
    *data = t->double_val;
    return t->n_double_val;
  case INFER_TYPE_INT64:
    *data = t->int64_val;
    return t->n_int64_val;
  case INFER_TYPE_UINT32:
    *data = t->uint32_val;
    return t->n_uint32_val;
  case INFER_TYPE_UINT64:
    *data = t->uint64_val;
    return t->n_uint64_val;
  case INFER_TYPE_BOOL:
    *wide = t->bool_val;
    return t->n_bool_val;
  case INFER_TYPE_FLOAT16:
  case INFER_TYPE_BFLOAT16:
    *wide = t->half_val;
    return t->n_half_val;
  default:
    *wide = t->int_val;
    return t->n_int_val;
  }
}

static void
store_narrow(guint8 *to, gint32 value, gsize size)
{
  gint8 byte = (gint8)value;
  gint16 half = (gint16)value;

  memcpy(to, size == 1 ? (gconstpointer)&byte : size == 2 ? (gconstpointer)&half : &value, size);
}

/* TensorFlow writes the elements up to the last one that differs from its predecessor. */
static InferArray *
array_of_values(const InferTf__Tensor *tensor, InferType type, const InferDims *dims,
                GError **error)
{
  gconstpointer data = NULL;
  const gint32 *wide = NULL;
  gsize have = typed_values(tensor, type, &data, &wide);
  gsize count = (gsize)infer_dims_count(dims);
  gsize size = infer_type_bits(type) / 8;

  if (have > count || (have == 0 && count > 0 && tensor->n_int_val > 0)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "the tensor has %" G_GSIZE_FORMAT " elements, but %" G_GSIZE_FORMAT
                " values are given",
                count, have);
    return NULL;
  }
  if (infer_type_size(type, (gint64)count) > MAX_FILLED) {
    g_autofree char *text = infer_dims_to_string(dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "the tensor has %s elements of %s, but only %" G_GSIZE_FORMAT
                " of them are in the file",
                text, infer_type_name(type), have);
    return NULL;
  }
  g_autoptr(InferArray) array = infer_array_new(type, dims, error);
  if (!array) {
    return NULL;
  }
  guint8 *to = array->data;
  for (gsize i = 0; have > 0 && i < count; i++) {
    gsize from = MIN(i, have - 1);
    if (wide) {
      store_narrow(to + i * size, wide[from], size);
    } else {
      memcpy(to + i * size, (const guint8 *)data + from * size, size);
    }
  }
  return g_steal_pointer(&array);
}

InferArray *
tf_tensor_array(const TfGraph *graph, const InferTf__Tensor *tensor, GError **error)
{
  InferType type = tf_type(tensor->has_dtype ? tensor->dtype : 0);
  InferDims dims;

  if (type == INFER_TYPE_UNDEFINED || type == INFER_TYPE_STRING || type == INFER_TYPE_COMPLEX64 ||
      type == INFER_TYPE_COMPLEX128) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "a constant of TensorFlow's type %d is not supported", tensor->dtype);
    return NULL;
  }
  if (!tf_shape_dims(tensor->tensor_shape, &dims, error)) {
    return NULL;
  }
  if (tensor->has_content_range) {
    WireRange none = {0, 0};
    guint64 number = tensor->content_range;
    WireRange range = number > 0 && number <= graph->model->ranges->len
                          ? g_array_index(graph->model->ranges, WireRange, number - 1)
                          : none;
    /* Some writers put an empty tensor_content beside the typed values. */
    if (range.length > 0 || infer_dims_count(&dims) == 0) {
      return array_of_content(graph, type, &dims, number, error);
    }
  }
  return array_of_values(tensor, type, &dims, error);
}

InferArray *
tf_const_array(const TfGraph *graph, const TfNode *node, GError **error)
{
  const InferTf__Attr *attr = tf_attr(node, "value");

  if (!attr || !attr->tensor) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "the constant has no value");
    return NULL;
  }
  return tf_tensor_array(graph, attr->tensor, error);
}
