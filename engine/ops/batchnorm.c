/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include <math.h>

static gboolean
check_channels(const InferShapeArgs *args, gint64 *channels, GError **error)
{
  for (guint i = 1; i < 5; i++) {
    const InferDims *dims = &args->in[i].dims;

    if (dims->n < 0)
      continue;
    if (!infer_op_require_rank(args, i, 1, 1, error))
      return FALSE;
    if (dims->d[0] >= 0 && *channels >= 0 && dims->d[0] != *channels)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "input %u has %" G_GINT64_FORMAT " elements for %" G_GINT64_FORMAT
                            " channels",
                            i, dims->d[0], *channels);
    if (*channels < 0)
      *channels = dims->d[0];
  }
  return TRUE;
}

static gboolean
batchnorm_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;
  gint64 channels = INFER_DIM_UNKNOWN;

  for (guint i = 0; i < 5; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_UNDEFINED))
      return FALSE;
  if (infer_node_get_int(args->node, "training_mode", 0) != 0)
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "training_mode is set; export the model for inference");
  if (args->n_out > 1)
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "running statistics are outputs of training only");
  args->out[0].type = args->in[0].type;
  if (args->in[0].dims.n < 0)
    return check_channels(args, &channels, error);
  if (!infer_op_require_rank(args, 0, 2, INFER_MAX_DIMS, error))
    return FALSE;
  *out = args->in[0].dims;
  return check_channels(args, &out->d[1], error);
}

static void
normalize(const InferArray *x, InferArray *y, gint64 at, gint64 n, double factor, double mean,
          double offset)
{
  if (x->type == INFER_TYPE_FLOAT) {
    const float *from = (const float *)x->data + at;
    float *to = (float *)y->data + at;

    for (gint64 i = 0; i < n; i++)
      to[i] = (float)((from[i] - mean) * factor + offset);
  } else {
    const double *from = (const double *)x->data + at;
    double *to = (double *)y->data + at;

    for (gint64 i = 0; i < n; i++)
      to[i] = (from[i] - mean) * factor + offset;
  }
}

static gboolean
batchnorm_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  double epsilon = infer_node_get_float(args->node, "epsilon", 1e-5);
  gint64 channels = x->dims.d[1], plane = 1;

  if (infer_array_count(x) == 0)
    return TRUE;
  for (gint i = 2; i < x->dims.n; i++)
    plane *= x->dims.d[i];
  for (gint64 i = 0; i < x->dims.d[0] * channels; i++) {
    gsize c = (gsize)(i % channels);
    double variance = infer_array_get_double(args->in[4], c);

    normalize(x, args->out[0], i * plane, plane,
              infer_array_get_double(args->in[1], c) / sqrt(variance + epsilon),
              infer_array_get_double(args->in[3], c), infer_array_get_double(args->in[2], c));
  }
  return TRUE;
}

static const InferAttrSpec batchnorm_attrs[] = {{"epsilon", 'f', FALSE},
                                                {"momentum", 'f', FALSE},
                                                {"training_mode", 'i', FALSE},
                                                {NULL, 0, FALSE}};

static const InferOp batchnorm = {.name = "BatchNormalization",
                                  .version = 15,
                                  .min_inputs = 5,
                                  .max_inputs = 5,
                                  .min_outputs = 1,
                                  .max_outputs = 3,
                                  .attrs = batchnorm_attrs,
                                  .infer = batchnorm_infer,
                                  .eval = batchnorm_eval};

extern const InferOp *const infer_ops_batchnorm[];
const InferOp *const infer_ops_batchnorm[] = {&batchnorm, NULL};
