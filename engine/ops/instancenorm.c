/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

/* Normalization over a run of channels of one image: one channel (InstanceNormalization) or a group
 * of them (GroupNormalization, Wu and He, 2018). Scale and bias are per channel. */

static gboolean
norm_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;
  gint64 channels = INFER_DIM_UNKNOWN, groups, stash;

  if (!infer_check_reals(args, 0, 2, error) ||
      !infer_check_int(args->node, "num_groups", 1, 1, G_MAXINT64, &groups, error) ||
      !infer_check_int(args->node, "stash_type", 1, 1, 1, &stash, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  *out = args->in[0].dims;
  if (out->n >= 0 && !infer_op_require_rank(args, 0, 2, INFER_MAX_DIMS, error))
    return FALSE;
  if (out->n >= 0)
    channels = out->d[1];
  if (!infer_check_vector(args, 1, &channels, error) ||
      !infer_check_vector(args, 2, &channels, error))
    return FALSE;
  if (channels >= 0 && channels % groups != 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " channels do not divide into %" G_GINT64_FORMAT
                          " groups",
                          channels, groups);
  if (out->n >= 0)
    out->d[1] = channels;
  return TRUE;
}

/* @blocks: per image, as many as are normalized on their own */
static gboolean
normalize(const InferEvalArgs *args, gint64 blocks)
{
  const InferArray *x = args->in[0], *scale = args->in[1], *bias = args->in[2];
  InferArray *y = args->out[0];
  double epsilon = infer_node_get_float(args->node, "epsilon", 1e-5);
  gint64 count = infer_array_count(x), channels = x->dims.d[1], plane, size;

  if (count == 0)
    return TRUE;
  plane = count / x->dims.d[0] / channels;
  size = plane * (channels / blocks);
  for (gint64 at = 0; at < count; at += size) {
    double mean, variance, factor;

    infer_real_moments(x, at, 1, size, &mean, &variance);
    factor = 1 / sqrt(variance + epsilon);
    for (gint64 i = at; i < at + size; i++) {
      gint64 c = i / plane % channels;

      infer_real_set(
          y, i, (infer_real(x, i) - mean) * factor * infer_real(scale, c) + infer_real(bias, c));
    }
  }
  return TRUE;
}

static gboolean
instance_eval(const InferEvalArgs *args, GError **error)
{
  return normalize(args, args->in[0]->dims.d[1]);
}

static gboolean
group_eval(const InferEvalArgs *args, GError **error)
{
  return normalize(args, infer_node_get_int(args->node, "num_groups", 1));
}

static const InferAttrSpec instance_attrs[] = {{"epsilon", 'f', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec group_attrs[] = {{"epsilon", 'f', FALSE},
                                            {"num_groups", 'i', TRUE},
                                            {"stash_type", 'i', FALSE},
                                            {NULL, 0, FALSE}};

static const InferOp instance = {.name = "InstanceNormalization",
                                 .version = 6,
                                 .min_inputs = 3,
                                 .max_inputs = 3,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attrs = instance_attrs,
                                 .infer = norm_infer,
                                 .eval = instance_eval};
static const InferOp group = {.name = "GroupNormalization",
                              .version = 21,
                              .min_inputs = 3,
                              .max_inputs = 3,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attrs = group_attrs,
                              .infer = norm_infer,
                              .eval = group_eval};

extern const InferOp *const infer_ops_instancenorm[];
const InferOp *const infer_ops_instancenorm[] = {&instance, &group, NULL};
