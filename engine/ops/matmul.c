/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/gemm.h"

/* A vector is a row on the left and a column on the right, as in NumPy. */
static InferDims
as_matrix(const InferDims *dims, gboolean left)
{
  if (dims->n != 1)
    return *dims;
  return left ? INFER_DIMS(1, dims->d[0]) : INFER_DIMS(dims->d[0], 1);
}

static InferDims
batch_of(const InferDims *matrix)
{
  InferDims batch = *matrix;

  batch.n = MAX(batch.n - 2, 0);
  return batch;
}

static gboolean
check_types(const InferShapeArgs *args, GError **error)
{
  for (guint i = 0; i < 2; i++)
    if (!infer_gemm_supports(infer_op_eval_type(args, i)))
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "input %u is of type %s, which is not supported", i,
                            infer_type_name(args->in[i].type));
  if (args->in[0].type != args->in[1].type)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 1 is %s, input 0 is %s",
                          infer_type_name(args->in[1].type), infer_type_name(args->in[0].type));
  return TRUE;
}

static gboolean
matmul_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *in_a = &args->in[0].dims, *in_b = &args->in[1].dims;
  InferDims *out = &args->out[0].dims;
  InferDims a, b, batch_a, batch_b;
  gint64 ka, kb;

  if (!check_types(args, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (in_a->n == 0 || in_b->n == 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %d is a scalar",
                          in_a->n == 0 ? 0 : 1);
  if (in_a->n < 0 || in_b->n < 0)
    return TRUE;
  a = as_matrix(in_a, TRUE);
  b = as_matrix(in_b, FALSE);
  ka = a.d[a.n - 1];
  kb = b.d[b.n - 2];
  if (ka >= 0 && kb >= 0 && ka != kb) {
    g_autofree char *left = infer_dims_to_string(in_a);
    g_autofree char *right = infer_dims_to_string(in_b);
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "%s and %s cannot be multiplied",
                          left, right);
  }
  batch_a = batch_of(&a);
  batch_b = batch_of(&b);
  if (!infer_op_broadcast(args->node, &batch_a, &batch_b, out, error))
    return FALSE;
  if (in_a->n > 1)
    out->d[out->n++] = a.d[a.n - 2];
  if (in_b->n > 1)
    out->d[out->n++] = b.d[b.n - 1];
  return TRUE;
}

static gboolean
matmul_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in_a = args->in[0], *in_b = args->in[1];
  InferArray *y = args->out[0];
  InferDims a = as_matrix(&in_a->dims, TRUE), b = as_matrix(&in_b->dims, FALSE);
  InferDims batch_a = batch_of(&a), batch_b = batch_of(&b), batch = y->dims;
  gint64 m = a.d[a.n - 2], k = a.d[a.n - 1], n = b.d[b.n - 1], count;
  gint64 stride_a[INFER_MAX_DIMS], stride_b[INFER_MAX_DIMS];
  gsize size = infer_type_bits(y->type) / 8;

  batch.n -= (in_a->dims.n > 1) + (in_b->dims.n > 1);
  infer_op_broadcast_strides(&batch_a, &batch, stride_a);
  infer_op_broadcast_strides(&batch_b, &batch, stride_b);
  count = infer_dims_count(&batch);
  for (gint64 i = 0; i < count; i++) {
    gint64 at_a = 0, at_b = 0, rest = i;

    for (gint d = batch.n - 1; d >= 0; d--) {
      at_a += rest % batch.d[d] * stride_a[d];
      at_b += rest % batch.d[d] * stride_b[d];
      rest /= batch.d[d];
    }
    if (!infer_gemm(y->type, FALSE, FALSE, m, n, k,
                    (const guint8 *)in_a->data + (gsize)(at_a * m * k) * size,
                    (const guint8 *)in_b->data + (gsize)(at_b * k * n) * size,
                    (guint8 *)y->data + (gsize)(i * m * n) * size, error))
      return FALSE;
  }
  return TRUE;
}

static const InferOp matmul = {.name = "MatMul",
                               .version = 13,
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .infer = matmul_infer,
                               .eval = matmul_eval};

extern const InferOp *const infer_ops_matmul[];
const InferOp *const infer_ops_matmul[] = {&matmul, NULL};
