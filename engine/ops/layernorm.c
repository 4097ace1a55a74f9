/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

/* Normalization over the trailing dimensions: LayerNormalization (Ba et al., 2016) and, without a
 * mean, RMSNormalization (Zhang and Sennrich, 2019). */

/* Scale and bias broadcast to the input, not the other way. */
static gboolean
check_parameter(const InferShapeArgs *args, guint index, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  const InferDims *p = index < args->n_in ? &args->in[index].dims : NULL;

  if (!infer_check_present(args, index) || p->n < 0 || x->n < 0)
    return TRUE;
  for (gint i = 0; i < p->n; i++) {
    gint j = i + x->n - p->n;

    if (j >= 0 && (p->d[i] == 1 || p->d[i] < 0 || x->d[j] < 0 || p->d[i] == x->d[j]))
      continue;
    {
      g_autofree char *have = infer_dims_to_string(p);
      g_autofree char *want = infer_dims_to_string(x);
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "input %u is %s, which does not broadcast to %s", index, have, want);
    }
  }
  return TRUE;
}

static gboolean
norm_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  gint64 stash;
  gint axis;

  if (!infer_check_reals(args, 0, 2, error) ||
      !infer_check_int(args->node, "stash_type", 1, 1, 1, &stash, error) ||
      !check_parameter(args, 1, error) || !check_parameter(args, 2, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = *x;
  for (guint i = 1; i < args->n_out; i++)
    args->out[i].type = INFER_TYPE_FLOAT;
  if (x->n < 0)
    return TRUE;
  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), x->n, &axis, error))
    return FALSE;
  for (guint i = 1; i < args->n_out; i++) {
    args->out[i].dims = *x;
    for (gint j = axis; j < x->n; j++)
      args->out[i].dims.d[j] = 1;
  }
  return TRUE;
}

/* The element of a parameter that belongs to element @i of the input. */
static double
parameter(const InferArray *p, const gint64 *strides, const InferDims *x, gint64 i)
{
  gint64 at = 0;

  for (gint d = x->n - 1; d >= 0 && i; d--) {
    at += i % x->d[d] * strides[d];
    i /= x->d[d];
  }
  return infer_real(p, at);
}

static void
finish(const InferEvalArgs *args, gint64 at, gint64 size, double mean, double factor)
{
  const InferArray *x = args->in[0], *scale = args->in[1];
  const InferArray *bias = args->n_in > 2 ? args->in[2] : NULL;
  gint64 scale_strides[INFER_MAX_DIMS], bias_strides[INFER_MAX_DIMS];

  infer_op_broadcast_strides(&scale->dims, &x->dims, scale_strides);
  if (bias)
    infer_op_broadcast_strides(&bias->dims, &x->dims, bias_strides);
  for (gint64 i = at; i < at + size; i++) {
    double value =
        (infer_real(x, i) - mean) * factor * parameter(scale, scale_strides, &x->dims, i);

    infer_real_set(args->out[0], i,
                   bias ? value + parameter(bias, bias_strides, &x->dims, i) : value);
  }
}

static gboolean
norm_eval(const InferEvalArgs *args, gboolean centered, GError **error)
{
  const InferArray *x = args->in[0];
  double epsilon = infer_node_get_float(args->node, "epsilon", 1e-5);
  gint64 count = infer_array_count(x), size = 1;
  gint axis;

  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), x->dims.n, &axis,
                     error))
    return FALSE;
  for (gint i = axis; i < x->dims.n; i++)
    size *= x->dims.d[i];
  for (gint64 row = 0; size > 0 && row < count / size; row++) {
    double mean, variance, factor;

    infer_real_moments(x, row * size, 1, size, &mean, &variance);
    if (!centered) {
      variance += mean * mean;
      mean = 0;
    }
    factor = 1 / sqrt(variance + epsilon);
    finish(args, row * size, size, mean, factor);
    if (args->n_out > 1)
      infer_real_set(args->out[1], row, mean);
    if (args->n_out > 2)
      infer_real_set(args->out[2], row, factor);
  }
  return TRUE;
}

static gboolean
layer_eval(const InferEvalArgs *args, GError **error)
{
  return norm_eval(args, TRUE, error);
}

static gboolean
rms_eval(const InferEvalArgs *args, GError **error)
{
  return norm_eval(args, FALSE, error);
}

static const InferAttrSpec attrs[] = {
    {"axis", 'i', FALSE}, {"epsilon", 'f', FALSE}, {"stash_type", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp layer = {.name = "LayerNormalization",
                              .version = 17,
                              .min_inputs = 2,
                              .max_inputs = 3,
                              .min_outputs = 1,
                              .max_outputs = 3,
                              .attrs = attrs,
                              .infer = norm_infer,
                              .eval = layer_eval};
static const InferOp rms = {.name = "RMSNormalization",
                            .version = 23,
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .attrs = attrs,
                            .infer = norm_infer,
                            .eval = rms_eval};

extern const InferOp *const infer_ops_layernorm[];
const InferOp *const infer_ops_layernorm[] = {&layer, &rms, NULL};
