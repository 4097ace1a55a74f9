/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/quantized.h"

/* Products of matrices of 8-bit integers: as 32-bit sums, or quantized again. */

/* Where operands are among the inputs. */
typedef struct {
  guint a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero;
} Layout;

static const Layout plain = {.a = 0, .b = 1, .a_zero = 2, .b_zero = 3};
static const Layout quantized = {0, 1, 2, 3, 4, 5, 6, 7};

static gint64
dim_at(const InferDims *dims, gint from_end)
{
  gint i = dims->n - 1 - from_end;

  return i < 0 ? 1 : dims->d[i];
}

/* Zero points and scales: one, a vector along @from_end (0 columns, 1 rows), or that with the
 * matrix's leading dimensions and a 1. */
static gboolean
check_parameter(const InferShapeArgs *args, guint index, guint matrix, gint from_end,
                GError **error)
{
  const InferDims *p = index < args->n_in ? &args->in[index].dims : NULL;
  const InferDims *m = &args->in[matrix].dims;
  gboolean fits = TRUE;

  if (!infer_check_present(args, index) || p->n <= 0 || m->n < 0 || (p->n == 1 && p->d[0] == 1))
    return TRUE;
  if (p->n == 1) {
    gint64 want = dim_at(m, from_end);
    fits = want < 0 || p->d[0] < 0 || want == p->d[0];
  } else if (p->n == m->n) {
    for (gint i = 0; i < p->n; i++) {
      gint64 want = i == p->n - 2 + from_end ? 1 : m->d[i];
      fits = fits && (want < 0 || p->d[i] < 0 || want == p->d[i]);
    }
  } else {
    fits = infer_dims_count(p) == 1;
  }
  if (fits)
    return TRUE;
  {
    g_autofree char *have = infer_dims_to_string(p);
    g_autofree char *want = infer_dims_to_string(m);
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s for a matrix of %s",
                          index, have, want);
  }
}

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
product_dims(const InferShapeArgs *args, const InferDims *in_a, const InferDims *in_b,
             InferDims *out, GError **error)
{
  InferDims a = as_matrix(in_a, TRUE), b = as_matrix(in_b, FALSE), batch_a, batch_b;

  if (a.n == 0 || b.n == 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "a scalar is not a matrix");
  if (a.n < 0 || b.n < 0)
    return TRUE;
  if (a.d[a.n - 1] >= 0 && b.d[b.n - 2] >= 0 && a.d[a.n - 1] != b.d[b.n - 2])
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "rows of %" G_GINT64_FORMAT " and columns of %" G_GINT64_FORMAT
                          " cannot be multiplied",
                          a.d[a.n - 1], b.d[b.n - 2]);
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
check_matrices(InferShapeArgs *args, const Layout *l, GError **error)
{
  return infer_q8_require(args, l->a, l->a, error) && infer_q8_require(args, l->b, l->b, error) &&
         infer_q8_require(args, l->a_zero, l->a, error) &&
         infer_q8_require(args, l->b_zero, l->b, error) &&
         check_parameter(args, l->a_zero, l->a, 1, error) &&
         check_parameter(args, l->b_zero, l->b, 0, error) &&
         product_dims(args, &args->in[l->a].dims, &args->in[l->b].dims, &args->out[0].dims, error);
}

static gboolean
plain_infer(InferShapeArgs *args, GError **error)
{
  args->out[0].type = INFER_TYPE_INT32;
  return check_matrices(args, &plain, error);
}

static gboolean
quantized_infer(InferShapeArgs *args, GError **error)
{
  const Layout *l = &quantized;
  const guint scales[] = {l->a_scale, l->b_scale, l->y_scale};

  for (guint i = 0; i < G_N_ELEMENTS(scales); i++)
    if (!infer_op_require_type(args, scales[i], error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  args->out[0].type = args->in[l->y_zero].type;
  return infer_q8_require(args, l->y_zero, l->y_zero, error) && check_matrices(args, l, error) &&
         check_parameter(args, l->a_scale, l->a, 1, error) &&
         check_parameter(args, l->b_scale, l->b, 0, error) &&
         infer_check_scalar(args, l->y_scale, error) && infer_check_scalar(args, l->y_zero, error);
}

/* The product of one pair of matrices; starts are in elements of their arrays. */
typedef struct {
  const InferEvalArgs *args;
  const Layout *l;
  gint64 m, n, k;
  gint64 a, b, y;       /* starts of the matrices */
  gint64 rows, columns; /* starts of their rows and columns among all of the batch */
} Pair;

static const InferArray *
input(const InferEvalArgs *args, guint index)
{
  return index < args->n_in ? args->in[index] : NULL;
}

/* The index of a row's or column's parameter: within the matrix unless there are some for each. */
static gint64
parameter_index(const InferArray *p, gint64 start, gint64 i)
{
  return p && p->dims.n > 1 ? start + i : i;
}

static float
scale_of(const InferArray *scale, gint64 i)
{
  return ((const float *)scale->data)[infer_array_count(scale) == 1 ? 0 : i];
}

static void
store(const Pair *p, gint64 i, gint64 j, gint32 sum)
{
  const InferEvalArgs *args = p->args;
  const Layout *l = p->l;
  gint64 at = p->y + i * p->n + j;
  const InferArray *a_scale, *b_scale, *y_scale;

  if (args->out[0]->type == INFER_TYPE_INT32) {
    ((gint32 *)args->out[0]->data)[at] = sum;
    return;
  }
  a_scale = args->in[l->a_scale];
  b_scale = args->in[l->b_scale];
  y_scale = args->in[l->y_scale];
  infer_q8_store(args->out[0], at, sum,
                 scale_of(a_scale, parameter_index(a_scale, p->rows, i)) *
                     scale_of(b_scale, parameter_index(b_scale, p->columns, j)) /
                     scale_of(y_scale, 0),
                 infer_q8_zero(args->in[l->y_zero], 0));
}

static gboolean
multiply(const Pair *p, GError **error)
{
  const InferArray *a = p->args->in[p->l->a], *b = p->args->in[p->l->b];
  const InferArray *a_zero = input(p->args, p->l->a_zero), *b_zero = input(p->args, p->l->b_zero);

  for (gint64 i = 0; i < p->m; i++) {
    gint32 row_zero = infer_q8_zero(a_zero, parameter_index(a_zero, p->rows, i));

    if (!infer_op_go_on(error))
      return FALSE;
    for (gint64 j = 0; j < p->n; j++) {
      gint32 sum = 0, zero = infer_q8_zero(b_zero, parameter_index(b_zero, p->columns, j));

      for (gint64 k = 0; k < p->k; k++)
        sum = infer_q8_mac(sum, infer_q8(a, p->a + i * p->k + k) - row_zero,
                           infer_q8(b, p->b + k * p->n + j) - zero);
      store(p, i, j, sum);
    }
  }
  return TRUE;
}

static gboolean
multiply_all(const InferEvalArgs *args, const Layout *l, GError **error)
{
  const InferDims *in_a = &args->in[l->a]->dims, *in_b = &args->in[l->b]->dims;
  InferDims a = as_matrix(in_a, TRUE), b = as_matrix(in_b, FALSE), batch = args->out[0]->dims;
  InferDims batch_a = batch_of(&a), batch_b = batch_of(&b);
  gint64 stride_a[INFER_MAX_DIMS], stride_b[INFER_MAX_DIMS], count;
  Pair p = {.args = args, .l = l, .m = a.d[a.n - 2], .k = a.d[a.n - 1], .n = b.d[b.n - 1]};

  batch.n -= (in_a->n > 1) + (in_b->n > 1);
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
    p.a = at_a * p.m * p.k;
    p.b = at_b * p.k * p.n;
    p.y = i * p.m * p.n;
    p.rows = at_a * p.m;
    p.columns = at_b * p.n;
    if (!multiply(&p, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
plain_eval(const InferEvalArgs *args, GError **error)
{
  return multiply_all(args, &plain, error);
}

static gboolean
quantized_eval(const InferEvalArgs *args, GError **error)
{
  return multiply_all(args, &quantized, error);
}

static const InferOp matmul_integer = {.name = "MatMulInteger",
                                       .version = 10,
                                       .min_inputs = 2,
                                       .max_inputs = 4,
                                       .min_outputs = 1,
                                       .max_outputs = 1,
                                       .infer = plain_infer,
                                       .eval = plain_eval};
static const InferOp qlinear_matmul = {.name = "QLinearMatMul",
                                       .version = 21,
                                       .min_inputs = 8,
                                       .max_inputs = 8,
                                       .min_outputs = 1,
                                       .max_outputs = 1,
                                       .infer = quantized_infer,
                                       .eval = quantized_eval};

extern const InferOp *const infer_ops_qmatmul[];
const InferOp *const infer_ops_qmatmul[] = {&matmul_integer, &qlinear_matmul, NULL};
