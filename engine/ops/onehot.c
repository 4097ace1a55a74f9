/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_onehot[];

static gboolean
onehot_dims(const InferNode *node, const InferDims *indices, InferElement depth, gint *axis,
            InferDims *out, GError **error)
{
  *out = INFER_DIMS_UNKNOWN;
  if (infer_element_is_number(depth) && depth.value < 1)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "depth is %" G_GINT64_FORMAT ", it must be at least 1", depth.value);
  if (indices->n < 0)
    return TRUE;
  if (indices->n == INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the output has %d dimensions, at most %d are supported", indices->n + 1,
                          INFER_MAX_DIMS);
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", -1), indices->n + 1, axis, error))
    return FALSE;
  out->n = indices->n + 1;
  for (gint i = 0; i < out->n; i++)
    out->d[i] = i < *axis ? indices->d[i] : i == *axis ? number_dim(depth) : indices->d[i - 1];
  return TRUE;
}

static gboolean
onehot_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims;
  gint axis;
  if (!number_require(args, 0, error) || !number_require(args, 1, error) ||
      !data_require(args, 2, error) || !number_require_scalar(args, 1, error))
    return FALSE;
  const InferDims *values = &args->in[2].dims;
  if (values->n >= 0 && (values->n != 1 || !number_fits(values->d[0], 2)))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "values must be a vector of two: off and on");
  return onehot_dims(args->node, &args->in[0].dims, number_scalar(args, 1), &axis, &dims, error) &&
         data_set(args, 0, args->in[2].type, &dims, error);
}

static gboolean
onehot_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *indices = args->in[0], *values = args->in[2];
  InferDims dims;
  gint axis;
  if (infer_array_count(args->in[1]) != 1 || infer_array_count(values) != 2)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "depth must be one element and values two");
  gint64 depth = infer_array_get_int(args->in[1], 0);
  if (!onehot_dims(args->node, &indices->dims, infer_element_number(depth), &axis, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, values->type, &dims, error);
  if (!out)
    return FALSE;
  gsize size = data_element_size(values);
  const char *off = values->data, *on = off + size;
  gint64 count = infer_array_count(out), n = infer_array_count(indices);
  gint64 inner = data_product(&indices->dims, axis, indices->dims.n);
  const gint64 strides[] = {1}, none[] = {0};
  infer_data_copy(out->data, off, size, 1, &count, strides, none);
  for (gint64 i = 0; i < n; i++) {
    gint64 index = infer_array_get_int(indices, (gsize)i);
    /* What lies outside is a row of nothing but off. */
    if (index < -depth || index >= depth)
      continue;
    index += index < 0 ? depth : 0;
    gint64 at = (i / inner * depth + index) * inner + i % inner;
    memcpy((char *)out->data + (gsize)at * size, on, size);
  }
  return TRUE;
}

static const InferAttrSpec onehot_attrs[] = {{"axis", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp onehot = {
    .name = "OneHot",
    .version = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = onehot_attrs,
    .infer = onehot_infer,
    .eval = onehot_eval,
};

const InferOp *const infer_ops_onehot[] = {&onehot, NULL};
