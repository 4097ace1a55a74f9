/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_gather[];

static gboolean
require_indices(const InferShapeArgs *args, GError **error)
{
  return data_require(args, 0, error) && data_require(args, 1, error) &&
         infer_op_require_type(args, 1, error, INFER_TYPE_INT64, INFER_TYPE_INT32,
                               INFER_TYPE_UNDEFINED);
}

static inline gint64
read_index(const InferArray *indices, gint64 i)
{
  if (indices->type == INFER_TYPE_INT32)
    return ((const gint32 *)indices->data)[i];
  return ((const gint64 *)indices->data)[i];
}

/* Index @i normalised to [0, d). */
static inline gboolean
checked_index(const InferNode *node, const InferArray *indices, gint64 i, gint64 d, gint64 *index,
              GError **error)
{
  gint64 v = read_index(indices, i);
  if (v < -d || v >= d)
    return infer_op_error(
        node, error, INFER_ERROR_SHAPE,
        "index %" G_GINT64_FORMAT " is out of the range of %" G_GINT64_FORMAT " elements", v, d);
  *index = v < 0 ? v + d : v;
  return TRUE;
}

static gboolean
too_many_dims(const InferNode *node, gint n, GError **error)
{
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "the output has %d dimensions, at most %d are supported", n,
                        INFER_MAX_DIMS);
}

/* Gather: the dimensions of the indices stand where the axis was. */
static gboolean
gather_dims(const InferNode *node, const InferDims *data, const InferDims *indices, gint *axis,
            InferDims *out, GError **error)
{
  *out = INFER_DIMS_UNKNOWN;
  *axis = -1;
  if (data->n < 0)
    return TRUE;
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", 0), data->n, axis, error))
    return FALSE;
  if (indices->n < 0)
    return TRUE;
  if (data->n - 1 + indices->n > INFER_MAX_DIMS)
    return too_many_dims(node, data->n - 1 + indices->n, error);
  out->n = 0;
  for (gint i = 0; i < *axis; i++)
    out->d[out->n++] = data->d[i];
  for (gint i = 0; i < indices->n; i++)
    out->d[out->n++] = indices->d[i];
  for (gint i = *axis + 1; i < data->n; i++)
    out->d[out->n++] = data->d[i];
  return TRUE;
}

static gboolean
gather_content(InferShapeArgs *args, GError **error)
{
  InferOperand *out = &args->out[0];
  const InferArray *indices = args->in[1].value;
  InferDims content;
  if (out->dims.n < 0 || out->dims.n > 1 || args->in[0].dims.n != 1 || !indices ||
      !data_content(args, 0, &content))
    return TRUE;
  gint64 n = infer_array_count(indices);
  if (n < 0 || n > INFER_MAX_DIMS)
    return TRUE;
  for (gint64 i = 0; i < n; i++) {
    gint64 index = 0;
    if (!checked_index(args->node, indices, i, content.n, &index, error))
      return FALSE;
    out->content.d[i] = content.d[index];
  }
  out->content.n = (gint)n;
  out->has_content = TRUE;
  return TRUE;
}

static gboolean
gather_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims;
  gint axis;
  return require_indices(args, error) &&
         gather_dims(args->node, &args->in[0].dims, &args->in[1].dims, &axis, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error) && gather_content(args, error);
}

static gboolean
gather_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *indices = args->in[1];
  InferDims dims;
  gint axis;
  if (!gather_dims(args->node, &in->dims, &indices->dims, &axis, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  gint64 rows = data_product(&in->dims, 0, axis), n = infer_array_count(indices);
  gint64 d = in->dims.d[axis];
  gsize width = (gsize)data_product(&in->dims, axis + 1, in->dims.n) * data_element_size(in);
  gsize pitch = (gsize)d * width;
  for (gint64 i = 0; i < n; i++) {
    gint64 index = 0;
    if (!checked_index(args->node, indices, i, d, &index, error))
      return FALSE;
    const char *from = (const char *)in->data + (gsize)index * width;
    char *to = (char *)out->data + (gsize)i * width;
    for (gint64 row = 0; row < rows && width > 0; row++)
      memcpy(to + (gsize)(row * n) * width, from + (gsize)row * pitch, width);
  }
  return TRUE;
}

/* GatherElements: the output has the dimensions of the indices, which lie within the data. */
static gboolean
elements_check(const InferNode *node, const InferDims *data, const InferDims *indices, gint *axis,
               GError **error)
{
  gint rank = data->n >= 0 ? data->n : indices->n;
  if (rank < 0)
    return TRUE;
  if (data->n >= 0 && indices->n >= 0 && data->n != indices->n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the indices have rank %d, the data has rank %d", indices->n, data->n);
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", 0), rank, axis, error))
    return FALSE;
  for (gint i = 0; data->n >= 0 && i < indices->n; i++)
    if (i != *axis && data->d[i] >= 0 && indices->d[i] > data->d[i])
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the indices have %" G_GINT64_FORMAT " elements in dimension %d, the "
                            "data has %" G_GINT64_FORMAT,
                            indices->d[i], i, data->d[i]);
  return TRUE;
}

static gboolean
elements_infer(InferShapeArgs *args, GError **error)
{
  gint axis;
  return require_indices(args, error) &&
         elements_check(args->node, &args->in[0].dims, &args->in[1].dims, &axis, error) &&
         data_set(args, 0, args->in[0].type, &args->in[1].dims, error);
}

static gboolean
elements_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *indices = args->in[1];
  const InferDims *dims = &indices->dims;
  gint64 strides[INFER_MAX_DIMS], at[INFER_MAX_DIMS] = {0}, base = 0;
  gint axis;
  if (!elements_check(args->node, &in->dims, dims, &axis, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, dims, error);
  if (!out)
    return FALSE;
  gsize size = data_element_size(in);
  gint64 n = infer_array_count(indices);
  data_strides(&in->dims, strides);
  gint64 step = strides[axis];
  /* The axis does not move the base: the index does. */
  strides[axis] = 0;
  for (gint64 i = 0; i < n; i++) {
    gint64 index = 0;
    if (!checked_index(args->node, indices, i, in->dims.d[axis], &index, error))
      return FALSE;
    memcpy((char *)out->data + (gsize)i * size,
           (const char *)in->data + (gsize)(base + index * step) * size, size);
    for (gint k = dims->n - 1; k >= 0; k--) {
      base += strides[k];
      if (++at[k] < dims->d[k])
        break;
      base -= strides[k] * dims->d[k];
      at[k] = 0;
    }
  }
  return TRUE;
}

/* GatherND: the last dimension of the indices says how many axes an index has. */
static gboolean
nd_dims(const InferNode *node, const InferDims *data, const InferDims *indices, InferDims *out,
        GError **error)
{
  gint64 batch = infer_node_get_int(node, "batch_dims", 0);
  *out = INFER_DIMS_UNKNOWN;
  if (batch < 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "batch_dims is %" G_GINT64_FORMAT, batch);
  if (data->n < 0 || indices->n < 0)
    return TRUE;
  if (batch >= data->n || batch >= indices->n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "batch_dims is %" G_GINT64_FORMAT ", the data has rank %d and the "
                          "indices %d",
                          batch, data->n, indices->n);
  for (gint i = 0; i < batch; i++)
    if (data->d[i] >= 0 && indices->d[i] >= 0 && data->d[i] != indices->d[i])
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "batch dimension %d is %" G_GINT64_FORMAT " in the data and "
                            "%" G_GINT64_FORMAT " in the indices",
                            i, data->d[i], indices->d[i]);
  gint64 depth = indices->d[indices->n - 1];
  if (depth < 0)
    return TRUE;
  if (depth < 1 || depth > data->n - batch)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "an index has %" G_GINT64_FORMAT " axes, the data has rank %d beside "
                          "%" G_GINT64_FORMAT " batch dimensions",
                          depth, data->n, batch);
  gint first = (gint)(batch + depth);
  if (indices->n - 1 + data->n - first > INFER_MAX_DIMS)
    return too_many_dims(node, indices->n - 1 + data->n - first, error);
  out->n = 0;
  for (gint i = 0; i < indices->n - 1; i++)
    out->d[out->n++] = indices->d[i];
  for (gint i = first; i < data->n; i++)
    out->d[out->n++] = data->d[i];
  return TRUE;
}

static gboolean
nd_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims;
  return require_indices(args, error) &&
         nd_dims(args->node, &args->in[0].dims, &args->in[1].dims, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
nd_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *indices = args->in[1];
  InferDims dims;
  if (!nd_dims(args->node, &in->dims, &indices->dims, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out || out->size == 0)
    return out != NULL;
  gint batch = (gint)infer_node_get_int(args->node, "batch_dims", 0);
  gint depth = (gint)indices->dims.d[indices->dims.n - 1];
  gint64 strides[INFER_MAX_DIMS];
  data_strides(&in->dims, strides);
  gint64 batches = data_product(&in->dims, 0, batch);
  gint64 rows = data_product(&indices->dims, batch, indices->dims.n - 1);
  gint64 pitch = data_product(&in->dims, batch, in->dims.n);
  gsize size = data_element_size(in);
  gsize width = (gsize)data_product(&in->dims, batch + depth, in->dims.n) * size;
  for (gint64 row = 0; row < batches * rows; row++) {
    gint64 offset = row / rows * pitch;
    for (gint k = 0; k < depth; k++) {
      gint64 index = 0;
      if (!checked_index(args->node, indices, row * depth + k, in->dims.d[batch + k], &index,
                         error))
        return FALSE;
      offset += index * strides[batch + k];
    }
    memcpy((char *)out->data + (gsize)row * width, (const char *)in->data + (gsize)offset * size,
           width);
  }
  return TRUE;
}

static const InferAttrSpec axis_attrs[] = {{"axis", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec nd_attrs[] = {{"batch_dims", 'i', FALSE}, {NULL, 0, FALSE}};

#define GATHER(ID, NAME, ATTRS)                                                                    \
  static const InferOp ID = {                                                                      \
      .name = NAME,                                                                                \
      .version = 13,                                                                               \
      .min_inputs = 2,                                                                             \
      .max_inputs = 2,                                                                             \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = ATTRS,                                                                              \
      .infer = ID##_infer,                                                                         \
      .eval = ID##_eval,                                                                           \
  }

GATHER(gather, "Gather", axis_attrs);
GATHER(elements, "GatherElements", axis_attrs);
GATHER(nd, "GatherND", nd_attrs);

const InferOp *const infer_ops_gather[] = {&gather, &elements, &nd, NULL};
