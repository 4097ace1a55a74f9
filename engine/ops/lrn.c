/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

/* Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
 * section 3.3; the sum is divided by the size of its window. */

static gboolean
lrn_infer(InferShapeArgs *args, GError **error)
{
  gint64 size;

  if (!infer_check_reals(args, 0, 0, error) ||
      !infer_check_int(args->node, "size", 1, 1, G_MAXINT64, &size, error) ||
      (args->in[0].dims.n >= 0 && !infer_op_require_rank(args, 0, 2, INFER_MAX_DIMS, error)))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = args->in[0].dims;
  return TRUE;
}

static gboolean
lrn_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  InferArray *y = args->out[0];
  double alpha = infer_node_get_float(args->node, "alpha", 1e-4);
  double beta = infer_node_get_float(args->node, "beta", 0.75);
  double bias = infer_node_get_float(args->node, "bias", 1);
  gint64 size = infer_node_get_int(args->node, "size", 1), channels = x->dims.d[1];
  gint64 count = infer_array_count(x), plane = count ? count / x->dims.d[0] / channels : 1;
  gint64 before = MIN((size - 1) / 2, channels), after = MIN(size / 2, channels);

  for (gint64 i = 0; i < count; i++) {
    gint64 c = i / plane % channels, start = i - c * plane;
    double sum = 0;

    for (gint64 k = MAX(c - before, 0); k <= MIN(c + after, channels - 1); k++) {
      double value = infer_real(x, start + k * plane);
      sum += value * value;
    }
    infer_real_set(y, i, infer_real(x, i) / pow(bias + alpha / (double)size * sum, beta));
  }
  return TRUE;
}

static const InferAttrSpec attrs[] = {{"alpha", 'f', FALSE},
                                      {"beta", 'f', FALSE},
                                      {"bias", 'f', FALSE},
                                      {"size", 'i', TRUE},
                                      {NULL, 0, FALSE}};

static const InferOp lrn = {.name = "LRN",
                            .version = 13,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .attrs = attrs,
                            .infer = lrn_infer,
                            .eval = lrn_eval};

extern const InferOp *const infer_ops_lrn[];
const InferOp *const infer_ops_lrn[] = {&lrn, NULL};
