/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_centercroppad[];

static gboolean
centre_dims(const InferNode *node, const InferDims *in, const DataInts *shape, InferDims *out,
            GError **error)
{
  gsize n = 0;
  const gint64 *axes = infer_node_get_ints(node, "axes", &n);
  gboolean given = infer_node_has_attr(node, "axes");
  guint seen = 0;
  *out = *in;
  if (in->n < 0)
    return TRUE;
  n = given ? n : (gsize)in->n;
  if (n > (gsize)in->n || (shape->n >= 0 && (gsize)shape->n != n))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "%" G_GSIZE_FORMAT " axes of %d dimensions are given %d sizes", n, in->n,
                          shape->n);
  for (gsize i = 0; i < n; i++) {
    gint axis = (gint)i;
    if (given && !infer_op_axis(node, axes[i], in->n, &axis, error))
      return FALSE;
    if (seen & (1u << axis))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "axis %d is given twice", axis);
    seen |= 1u << axis;
    out->d[axis] = shape->n >= 0 ? shape->v[i] : INFER_DIM_UNKNOWN;
    if (shape->n >= 0 && shape->known[i] && shape->v[i] < 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the size of axis %d is %" G_GINT64_FORMAT, axis, shape->v[i]);
  }
  return TRUE;
}

static gboolean
centre_infer(InferShapeArgs *args, GError **error)
{
  DataInts shape;
  InferDims dims;
  return data_require(args, 0, error) && number_require_index(args, 1, error) &&
         data_ints(args, 1, &shape, error) &&
         centre_dims(args->node, &args->in[0].dims, &shape, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
centre_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  gint64 from_strides[INFER_MAX_DIMS], to_strides[INFER_MAX_DIMS], count[INFER_MAX_DIMS];
  gint64 from = 0, to = 0;
  DataInts shape;
  InferDims dims;
  if (!data_ints_from_array(args->node, args->in[1], &shape, error) ||
      !centre_dims(args->node, &in->dims, &shape, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  memset(out->data, 0, out->size);
  if (out->size == 0 || in->size == 0)
    return TRUE;
  data_strides(&in->dims, from_strides);
  data_strides(&dims, to_strides);
  for (gint i = 0; i < dims.n; i++) {
    gint64 more = dims.d[i] - in->dims.d[i];
    count[i] = MIN(dims.d[i], in->dims.d[i]);
    if (more > 0)
      to += more / 2 * to_strides[i];
    else
      from += -more / 2 * from_strides[i];
  }
  gsize size = data_element_size(in);
  infer_data_copy((char *)out->data + (gsize)to * size, (const char *)in->data + (gsize)from * size,
                  size, dims.n, count, to_strides, from_strides);
  return TRUE;
}

static const InferAttrSpec centre_attrs[] = {{"axes", 'I', FALSE}, {NULL, 0, FALSE}};

static const InferOp center_crop_pad = {
    .name = "CenterCropPad",
    .version = 18,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = centre_attrs,
    .infer = centre_infer,
    .eval = centre_eval,
};

const InferOp *const infer_ops_centercroppad[] = {&center_crop_pad, NULL};
