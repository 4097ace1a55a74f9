/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_shape[];

/* The part [start, end) of the dimensions that Shape gives, clamped to the rank. */
static void
shape_range(const InferNode *node, gint rank, gint *start, gint *end)
{
  gint64 s = infer_node_get_int(node, "start", 0);
  gint64 e = infer_node_get_int(node, "end", rank);
  s = CLAMP(s < 0 ? s + rank : s, 0, rank);
  e = CLAMP(e < 0 ? e + rank : e, 0, rank);
  *start = (gint)s;
  *end = (gint)MAX(s, e);
}

static gboolean
shape_infer(InferShapeArgs *args, GError **error)
{
  if (!data_present(args, 0))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 0 is missing");
  const InferDims *in = &args->in[0].dims;
  InferOperand *out = &args->out[0];
  if (in->n < 0)
    return data_set(args, 0, INFER_TYPE_INT64, &INFER_DIMS(INFER_DIM_UNKNOWN), error);
  gint start, end;
  shape_range(args->node, in->n, &start, &end);
  out->has_content = TRUE;
  out->content.n = end - start;
  for (gint i = start; i < end; i++)
    out->content.d[i - start] = in->d[i];
  return data_set(args, 0, INFER_TYPE_INT64, &INFER_DIMS(end - start), error);
}

static gboolean
shape_eval(const InferEvalArgs *args, GError **error)
{
  const InferDims *in = &args->in[0]->dims;
  gint start, end;
  shape_range(args->node, in->n, &start, &end);
  InferArray *out = data_output(args, 0, INFER_TYPE_INT64, &INFER_DIMS(end - start), error);
  if (!out)
    return FALSE;
  if (end > start)
    memcpy(out->data, in->d + start, (gsize)(end - start) * sizeof(gint64));
  return TRUE;
}

static gboolean
size_infer(InferShapeArgs *args, GError **error)
{
  if (!data_present(args, 0))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 0 is missing");
  const InferDims *in = &args->in[0].dims;
  InferOperand *out = &args->out[0];
  if (in->n >= 0) {
    out->has_content = TRUE;
    out->content = INFER_DIMS(data_product(in, 0, in->n));
  }
  return data_set(args, 0, INFER_TYPE_INT64, &INFER_DIMS_SCALAR, error);
}

static gboolean
size_eval(const InferEvalArgs *args, GError **error)
{
  InferArray *out = data_output(args, 0, INFER_TYPE_INT64, &INFER_DIMS_SCALAR, error);
  if (!out)
    return FALSE;
  gint64 count = infer_array_count(args->in[0]);
  memcpy(out->data, &count, sizeof count);
  return TRUE;
}

static const InferAttrSpec shape_attrs[] = {
    {"start", 'i', FALSE}, {"end", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec size_attrs[] = {{NULL, 0, FALSE}};

static const InferOp shape = {
    .name = "Shape",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = shape_attrs,
    .infer = shape_infer,
    .eval = shape_eval,
};

static const InferOp size = {
    .name = "Size",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = size_attrs,
    .infer = size_infer,
    .eval = size_eval,
};

const InferOp *const infer_ops_shape[] = {&shape, &size, NULL};
