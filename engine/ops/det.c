/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

static gboolean
det_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;
  const InferDims *x = &args->in[0].dims;

  if (!infer_check_reals(args, 0, 0, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (x->n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, 0, 2, INFER_MAX_DIMS, error))
    return FALSE;
  if (x->d[x->n - 1] >= 0 && x->d[x->n - 2] >= 0 && x->d[x->n - 1] != x->d[x->n - 2])
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "a matrix of %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
                          " has no determinant",
                          x->d[x->n - 2], x->d[x->n - 1]);
  *out = *x;
  out->n -= 2;
  return TRUE;
}

static gsize
det_scratch(const InferShapeArgs *args)
{
  const InferDims *x = &args->in[0].dims;
  gint64 n = x->d[x->n - 1];

  return infer_check_bytes(infer_check_product(n, n), sizeof(double), 0);
}

/* Gaussian elimination with partial pivoting. */
static double
eliminate(double *a, gint64 n)
{
  double product = 1;

  for (gint64 i = 0; i < n; i++) {
    gint64 pivot = i;

    for (gint64 r = i + 1; r < n; r++)
      if (fabs(a[r * n + i]) > fabs(a[pivot * n + i]))
        pivot = r;
    for (gint64 c = 0; pivot != i && c < n; c++) {
      double swap = a[i * n + c];
      a[i * n + c] = a[pivot * n + c];
      a[pivot * n + c] = swap;
    }
    product *= pivot != i ? -a[i * n + i] : a[i * n + i];
    if (a[i * n + i] == 0)
      return 0;
    for (gint64 r = i + 1; r < n; r++) {
      double factor = a[r * n + i] / a[i * n + i];

      for (gint64 c = i; c < n; c++)
        a[r * n + c] -= factor * a[i * n + c];
    }
  }
  return product;
}

static gboolean
det_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  gint64 n = x->dims.d[x->dims.n - 1], count = infer_array_count(args->out[0]);
  double *matrix = args->scratch;

  for (gint64 i = 0; i < count; i++) {
    for (gint64 k = 0; k < n * n; k++)
      matrix[k] = infer_real(x, i * n * n + k);
    infer_real_set(args->out[0], i, eliminate(matrix, n));
  }
  return TRUE;
}

static const InferOp det = {.name = "Det",
                            .version = 11,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .infer = det_infer,
                            .scratch = det_scratch,
                            .eval = det_eval};

extern const InferOp *const infer_ops_det[];
const InferOp *const infer_ops_det[] = {&det, NULL};
