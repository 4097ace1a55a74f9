/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

/* Normalization without parameters: to zero mean and unit variance, or to unit length. */

typedef struct {
  gboolean picked[INFER_MAX_DIMS];
} Axes;

static gboolean
read_axes(const InferNode *node, gint rank, Axes *axes, GError **error)
{
  static const gint64 usual[] = {0, 2, 3};
  gsize n = 0;
  const gint64 *list = infer_node_get_ints(node, "axes", &n);

  if (!list) {
    list = usual;
    n = G_N_ELEMENTS(usual);
  }
  *axes = (Axes){{FALSE}};
  for (gsize i = 0; i < n; i++) {
    gint axis;

    if (!infer_op_axis(node, list[i], rank, &axis, error))
      return FALSE;
    axes->picked[axis] = TRUE;
  }
  return TRUE;
}

static gboolean
mvn_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  Axes axes;

  if (!infer_check_reals(args, 0, 0, error) ||
      (x->n >= 0 && !read_axes(args->node, x->n, &axes, error)))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = *x;
  return TRUE;
}

/* The dimensions of one kind, picked or not, flattened: the offset of their @index-th element. */
static gint64
offset_of(const InferDims *dims, const gint64 *strides, const Axes *axes, gboolean picked,
          gint64 index)
{
  gint64 offset = 0;

  for (gint i = dims->n - 1; i >= 0; i--)
    if (axes->picked[i] == picked) {
      offset += index % dims->d[i] * strides[i];
      index /= dims->d[i];
    }
  return offset;
}

static void
mvn_block(const InferArray *x, InferArray *y, const gint64 *strides, const Axes *axes, gint64 at,
          gint64 size)
{
  double sum = 0, squares = 0, mean, deviation;

  for (gint64 i = 0; i < size; i++)
    sum += infer_real(x, at + offset_of(&x->dims, strides, axes, TRUE, i));
  mean = sum / (double)size;
  for (gint64 i = 0; i < size; i++) {
    double d = infer_real(x, at + offset_of(&x->dims, strides, axes, TRUE, i)) - mean;
    squares += d * d;
  }
  /* The term that keeps the divisor from zero is ONNX's. */
  deviation = sqrt(squares / (double)size) + 1e-9;
  for (gint64 i = 0; i < size; i++) {
    gint64 to = at + offset_of(&x->dims, strides, axes, TRUE, i);
    infer_real_set(y, to, (infer_real(x, to) - mean) / deviation);
  }
}

static gboolean
mvn_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  gint64 strides[INFER_MAX_DIMS], count = infer_array_count(x), size = 1;
  Axes axes;

  if (!read_axes(args->node, x->dims.n, &axes, error))
    return FALSE;
  infer_op_broadcast_strides(&x->dims, &x->dims, strides);
  for (gint i = 0; i < x->dims.n; i++) {
    strides[i] = x->dims.d[i] == 1 ? 0 : strides[i];
    size *= axes.picked[i] ? x->dims.d[i] : 1;
  }
  for (gint64 i = 0; size > 0 && i < count / size; i++)
    mvn_block(x, args->out[0], strides, &axes, offset_of(&x->dims, strides, &axes, FALSE, i), size);
  return TRUE;
}

static gboolean
lp_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  gint64 p;
  gint axis;

  if (!infer_check_reals(args, 0, 0, error) ||
      !infer_check_int(args->node, "p", 2, 1, 2, &p, error) ||
      (x->n >= 0 &&
       !infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), x->n, &axis, error)))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = *x;
  return TRUE;
}

static gboolean
lp_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  gboolean absolute = infer_node_get_int(args->node, "p", 2) == 1;
  gint64 count = infer_array_count(x), inner = 1, size;
  gint axis;

  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), x->dims.n, &axis,
                     error))
    return FALSE;
  size = x->dims.d[axis];
  for (gint i = axis + 1; i < x->dims.n; i++)
    inner *= x->dims.d[i];
  for (gint64 line = 0; count > 0 && line < count / size; line++) {
    gint64 at = line / inner * size * inner + line % inner;
    double norm = 0;

    for (gint64 i = 0; i < size; i++) {
      double value = infer_real(x, at + i * inner);
      norm += absolute ? fabs(value) : value * value;
    }
    norm = absolute ? norm : sqrt(norm);
    for (gint64 i = 0; i < size; i++)
      infer_real_set(args->out[0], at + i * inner,
                     norm == 0 ? 0 : infer_real(x, at + i * inner) / norm);
  }
  return TRUE;
}

static const InferAttrSpec mvn_attrs[] = {{"axes", 'I', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec lp_attrs[] = {{"axis", 'i', FALSE}, {"p", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp mvn = {.name = "MeanVarianceNormalization",
                            .version = 13,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .attrs = mvn_attrs,
                            .infer = mvn_infer,
                            .eval = mvn_eval};
static const InferOp lp = {.name = "LpNormalization",
                           .version = 1,
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attrs = lp_attrs,
                           .infer = lp_infer,
                           .eval = lp_eval};

extern const InferOp *const infer_ops_lpnorm[];
const InferOp *const infer_ops_lpnorm[] = {&mvn, &lp, NULL};
