/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"
#include "ops/window.h"

/* What MaxPool with the same attributes was given, as far as it can be told from its result. */
static gboolean
pooled_dims(const InferNode *node, const InferDims *x, InferDims *out, GError **error)
{
  InferWindow window;

  if (!infer_window_read(node, x->n - 2, NULL, &window, error))
    return FALSE;
  *out = *x;
  for (gint i = 0; i < window.n; i++) {
    gint64 size;

    out->d[2 + i] = INFER_DIM_UNKNOWN;
    if (x->d[2 + i] < 0 || window.kernel[i] < 0)
      continue;
    if (x->d[2 + i] == 0 || __builtin_mul_overflow(x->d[2 + i] - 1, window.stride[i], &size) ||
        size > G_MAXINT64 / 2)
      size = G_MININT64 / 2;
    size += window.kernel[i] - window.begin[i] - window.end[i];
    if (size < 1)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "spatial dimension %d of %" G_GINT64_FORMAT " cannot be unpooled", i,
                            x->d[2 + i]);
    out->d[2 + i] = size;
  }
  return TRUE;
}

static gboolean
wanted_dims(const InferShapeArgs *args, InferDims *out, GError **error)
{
  DataInts shape;

  if (!data_ints(args, 2, &shape, error))
    return FALSE;
  if (shape.n < 0) {
    *out = data_present(args, 2) ? infer_check_unknown(out->n) : *out;
    return TRUE;
  }
  if (shape.n != out->n)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "output_shape has %d elements for %d dimensions", shape.n, out->n);
  for (gint i = 0; i < out->n; i++) {
    if (shape.known[i] && (shape.v[i] < 0 || (out->d[i] >= 0 && shape.v[i] < out->d[i]) ||
                           (i < 2 && out->d[i] >= 0 && shape.v[i] != out->d[i])))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "output_shape has %" G_GINT64_FORMAT
                            " for dimension %d, which is %" G_GINT64_FORMAT " unpooled",
                            shape.v[i], i, out->d[i]);
    out->d[i] = shape.v[i];
  }
  return TRUE;
}

static gboolean
unpool_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  InferDims same = *x;
  gint64 *same_at[INFER_MAX_DIMS];

  if (!infer_check_reals(args, 0, 0, error) ||
      !infer_op_require_type(args, 1, error, INFER_TYPE_INT64, INFER_TYPE_UNDEFINED))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (x->n < 0)
    return TRUE;
  for (gint i = 0; i < x->n; i++)
    same_at[i] = &same.d[i];
  return infer_op_require_rank(args, 0, 3, 2 + INFER_WINDOW_MAX, error) &&
         infer_check_dims(args, 1, x->n, same_at, error) &&
         pooled_dims(args->node, &same, &args->out[0].dims, error) &&
         wanted_dims(args, &args->out[0].dims, error);
}

/* Where element @at of @from lies in @to, which is larger at the end of its dimensions. */
static gint64
move_index(const InferDims *from, const InferDims *to, gint64 at)
{
  gint64 result = 0, stride = 1;

  for (gint i = from->n - 1; i >= 0; i--) {
    result += at % from->d[i] * stride;
    at /= from->d[i];
    stride *= to->d[i];
  }
  return result;
}

static gboolean
unpool_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *indices = args->in[1], *shape = data_array(args, 2);
  InferDims pooled, dims;
  gint64 count, total;
  InferArray *y;

  if (!pooled_dims(args->node, &x->dims, &pooled, error))
    return FALSE;
  dims = pooled;
  for (gint i = 0; shape && i < dims.n; i++) {
    dims.d[i] = infer_array_get_int(shape, (gsize)i);
    if (dims.d[i] < pooled.d[i])
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "output_shape has %" G_GINT64_FORMAT
                            " for dimension %d, which is %" G_GINT64_FORMAT " unpooled",
                            dims.d[i], i, pooled.d[i]);
  }
  y = data_output(args, 0, x->type, &dims, error);
  if (!y)
    return FALSE;
  memset(y->data, 0, y->size);
  count = infer_array_count(x);
  total = infer_dims_count(&pooled);
  for (gint64 i = 0; i < count; i++) {
    gint64 at = ((const gint64 *)indices->data)[i];

    if (at < 0 || at >= total)
      return infer_op_error(
          args->node, error, INFER_ERROR_SHAPE,
          "index %" G_GINT64_FORMAT " is not one of %" G_GINT64_FORMAT " elements", at, total);
    infer_real_set(y, move_index(&pooled, &dims, at), infer_real(x, i));
  }
  return TRUE;
}

static const InferAttrSpec attrs[] = {
    {"kernel_shape", 'I', TRUE}, {"pads", 'I', FALSE}, {"strides", 'I', FALSE}, {NULL, 0, FALSE}};

static const InferOp unpool = {.name = "MaxUnpool",
                               .version = 11,
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .attrs = attrs,
                               .infer = unpool_infer,
                               .eval = unpool_eval};

extern const InferOp *const infer_ops_unpool[];
const InferOp *const infer_ops_unpool[] = {&unpool, NULL};
