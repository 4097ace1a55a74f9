/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_expand[];

static gboolean
expand_dims(const InferNode *node, const InferDims *in, const DataInts *shape, InferDims *out,
            GError **error)
{
  if (shape->n > INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the shape has %d dimensions, at most %d are supported", shape->n,
                          INFER_MAX_DIMS);
  InferDims target = {.n = shape->n};
  for (gint i = 0; i < shape->n; i++) {
    if (shape->known[i] && shape->v[i] < 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the shape has the negative dimension %" G_GINT64_FORMAT, shape->v[i]);
    target.d[i] = shape->v[i];
  }
  return infer_op_broadcast(node, in, &target, out, error);
}

static gboolean
expand_infer(InferShapeArgs *args, GError **error)
{
  DataInts shape;
  InferDims dims;
  if (!data_require(args, 0, error) || !data_ints(args, 1, &shape, error) ||
      !expand_dims(args->node, &args->in[0].dims, &shape, &dims, error) ||
      !data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  InferOperand *out = &args->out[0];
  if (dims.n < 0 || dims.n > 1 || (dims.n == 1 && (dims.d[0] < 0 || dims.d[0] > INFER_MAX_DIMS)))
    return TRUE;
  out->has_content = data_content(args, 0, &out->content);
  if (out->has_content && out->content.n == 1 && dims.n == 1) {
    out->content.n = (gint)dims.d[0];
    for (gint i = 1; i < out->content.n; i++)
      out->content.d[i] = out->content.d[0];
  }
  return TRUE;
}

static gboolean
expand_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  DataInts shape;
  InferDims dims;
  if (!data_ints_from_array(args->node, args->in[1], &shape, error) ||
      !expand_dims(args->node, &in->dims, &shape, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  gint64 src[INFER_MAX_DIMS], dst[INFER_MAX_DIMS];
  infer_op_broadcast_strides(&in->dims, &dims, src);
  data_strides(&dims, dst);
  infer_data_copy(out->data, in->data, data_element_size(in), dims.n, dims.d, dst, src);
  return TRUE;
}

static const InferAttrSpec expand_attrs[] = {{NULL, 0, FALSE}};

static const InferOp expand = {
    .name = "Expand",
    .version = 13,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = expand_attrs,
    .infer = expand_infer,
    .eval = expand_eval,
};

const InferOp *const infer_ops_expand[] = {&expand, NULL};
