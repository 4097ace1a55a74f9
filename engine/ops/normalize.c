/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_normalize[];

/*
 * "infer.Normalize": Caffe's Normalize layer of SSD (Liu et al. 2016): divides by the L2 norm and
 * scales by channel.
 *
 * Inputs: x [N, C, d...], scale [C] or one element; float. Output: as x. With "across_spatial" the
 * norm is of all of an image, else of the channels at each place. "eps" is added to the sum of
 * squares.
 */

static gboolean
normalize_check(const InferNode *node, const InferDims *x, const InferDims *scale, GError **error)
{
  double eps = infer_node_get_float(node, "eps", 1e-10);
  gboolean good = (x->n < 0 || x->n >= 2) && scale->n <= 1;
  if (good && scale->n == 1 && x->n >= 2 && scale->d[0] != 1)
    good = number_fits(scale->d[0], x->d[1]);
  if (!(eps >= 0) || !isfinite(eps))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "eps is %g, it must not be negative",
                          eps);
  if (good)
    return TRUE;
  g_autofree char *a = infer_dims_to_string(x);
  g_autofree char *b = infer_dims_to_string(scale);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "an input of %s and scales of %s are not [N, C, d...] and [C] or one", a,
                        b);
}

static gboolean
normalize_infer(InferShapeArgs *args, GError **error)
{
  for (guint i = 0; i < 2; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  return normalize_check(args->node, &args->in[0].dims, &args->in[1].dims, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &args->in[0].dims, error);
}

/* Divides @n channels of @inner elements, @step apart, by the norm of all of them. */
static void
normalize_part(const float *x, const float *scale, gint64 scale_step, gint64 channels, gint64 step,
               gint64 inner, double eps, float *out)
{
  double sum = 0;
  for (gint64 c = 0; c < channels; c++)
    for (gint64 i = 0; i < inner; i++)
      sum += (double)x[c * step + i] * x[c * step + i];
  double norm = sqrt(sum + eps);
  for (gint64 c = 0; c < channels; c++)
    for (gint64 i = 0; i < inner; i++)
      /* Without an eps nothing but zeros stays so. */
      out[c * step + i] =
          norm > 0 ? (float)(x[c * step + i] / norm * scale[c * scale_step]) : x[c * step + i];
}

static gboolean
normalize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *scale = args->in[1];
  if (!normalize_check(args->node, &x->dims, &scale->dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, INFER_TYPE_FLOAT, &x->dims, error);
  if (!out)
    return FALSE;
  gint64 channels = x->dims.d[1], inner = data_product(&x->dims, 2, x->dims.n);
  gboolean whole = infer_node_get_int(args->node, "across_spatial", 1) != 0;
  gint64 scale_step = infer_array_count(scale) == 1 ? 0 : 1;
  double eps = infer_node_get_float(args->node, "eps", 1e-10);
  for (gint64 n = 0; n < x->dims.d[0]; n++) {
    const float *from = (const float *)x->data + n * channels * inner;
    float *to = (float *)out->data + n * channels * inner;
    for (gint64 i = 0; i < (whole ? 1 : inner); i++)
      normalize_part(from + i, scale->data, scale_step, channels, inner, whole ? inner : 1, eps,
                     to + i);
  }
  return TRUE;
}

static const InferAttrSpec normalize_attrs[] = {
    {"across_spatial", 'i', FALSE}, {"eps", 'f', FALSE}, {NULL, 0, FALSE}};

static const InferOp normalize = {
    .name = "infer.Normalize",
    .version = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = normalize_attrs,
    .infer = normalize_infer,
    .eval = normalize_eval,
};

const InferOp *const infer_ops_normalize[] = {&normalize, NULL};
