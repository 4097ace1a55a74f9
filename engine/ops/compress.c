/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_compress[];

/* The dimensions with @count elements along the axis, or of the flattened input. */
static gboolean
compress_dims(const InferNode *node, const InferDims *in, gint64 count, gint *axis, InferDims *out,
              GError **error)
{
  *axis = -1;
  *out = INFER_DIMS(count);
  if (!infer_node_has_attr(node, "axis"))
    return TRUE;
  *out = *in;
  if (in->n < 0)
    return TRUE;
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", 0), in->n, axis, error))
    return FALSE;
  out->d[*axis] = count;
  return TRUE;
}

/* How many are selected; those beyond the @limit elements must not be. */
static gboolean
count_selected(const InferNode *node, const InferArray *condition, gint64 limit, gint64 *count,
               GError **error)
{
  const guint8 *flags = condition->data;
  gint64 n = infer_array_count(condition);
  *count = 0;
  for (gint64 i = 0; i < n; i++) {
    if (!flags[i])
      continue;
    if (limit >= 0 && i >= limit)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "element %" G_GINT64_FORMAT " is selected of %" G_GINT64_FORMAT, i,
                            limit);
    (*count)++;
  }
  return TRUE;
}

static gboolean
compress_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *in = &args->in[0].dims;
  gint64 count = INFER_DIM_UNKNOWN;
  InferDims dims;
  gint axis;
  if (!data_require(args, 0, error) || !data_require(args, 1, error) ||
      !infer_op_require_type(args, 1, error, INFER_TYPE_BOOL, INFER_TYPE_UNDEFINED) ||
      (args->in[1].dims.n >= 0 && !infer_op_require_rank(args, 1, 1, 1, error)) ||
      !compress_dims(args->node, in, count, &axis, &dims, error))
    return FALSE;
  if (args->in[1].value) {
    gint64 limit = axis >= 0 ? in->d[axis] : infer_dims_count(in);
    if (!count_selected(args->node, args->in[1].value, limit, &count, error) ||
        !compress_dims(args->node, in, count, &axis, &dims, error))
      return FALSE;
  }
  return data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
compress_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *condition = args->in[1];
  const guint8 *flags = condition->data;
  InferDims dims;
  gint axis;
  gint64 count = 0;
  if (!compress_dims(args->node, &in->dims, 0, &axis, &dims, error))
    return FALSE;
  gint64 d = axis >= 0 ? in->dims.d[axis] : infer_array_count(in);
  if (!count_selected(args->node, condition, d, &count, error) ||
      !compress_dims(args->node, &in->dims, count, &axis, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  gint64 rows = axis >= 0 ? data_product(&in->dims, 0, axis) : 1;
  gsize width = data_element_size(in);
  width *= axis >= 0 ? (gsize)data_product(&in->dims, axis + 1, in->dims.n) : 1;
  const char *from = in->data;
  char *to = out->data;
  gint64 n = MIN(d, infer_array_count(condition));
  for (gint64 row = 0; row < rows && width > 0; row++, from += (gsize)d * width)
    for (gint64 i = 0; i < n; i++)
      if (flags[i]) {
        memcpy(to, from + (gsize)i * width, width);
        to += width;
      }
  return TRUE;
}

static const InferAttrSpec compress_attrs[] = {{"axis", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp compress = {
    .name = "Compress",
    .version = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = compress_attrs,
    .infer = compress_infer,
    .eval = compress_eval,
};

const InferOp *const infer_ops_compress[] = {&compress, NULL};
