/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

/* Girshick, "Fast R-CNN", 2015, section 2.1. */

static gboolean
pool_infer(InferShapeArgs *args, GError **error)
{
  gint64 dims[4], rois = INFER_DIM_UNKNOWN, five = 5, pooled[2];

  for (gint i = 0; i < 4; i++)
    dims[i] = INFER_DIM_UNKNOWN;
  if (!infer_check_reals(args, 0, 1, error) ||
      !infer_check_ints(args->node, "pooled_shape", 2, 1, 0, pooled, error) ||
      !infer_check_dims(args, 0, 4, (gint64 *[]){&dims[0], &dims[1], &dims[2], &dims[3]}, error) ||
      !infer_check_dims(args, 1, 2, (gint64 *[]){&rois, &five}, error))
    return FALSE;
  if (pooled[0] == 0)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT, "pooled_shape is empty");
  args->out[0].type = args->in[0].type;
  args->out[0].dims = INFER_DIMS(rois, dims[1], pooled[0], pooled[1]);
  return TRUE;
}

/* The rows, or columns, of one bin. */
static void
bin_range(double start, double bin, gint64 index, gint64 size, gint64 *first, gint64 *last)
{
  *first = (gint64)CLAMP(floor((double)index * bin) + start, 0, (double)size);
  *last = (gint64)CLAMP(ceil((double)(index + 1) * bin) + start, 0, (double)size);
}

static void
pool_roi(const InferEvalArgs *args, gint64 roi, gint64 image, const double *start,
         const double *bin)
{
  const InferArray *x = args->in[0];
  const gint64 *in = x->dims.d, *out = args->out[0]->dims.d;
  gint64 to = roi * out[1] * out[2] * out[3];

  for (gint64 c = 0; c < in[1]; c++)
    for (gint64 i = 0; i < out[2]; i++)
      for (gint64 j = 0; j < out[3]; j++, to++) {
        gint64 plane = (image * in[1] + c) * in[2] * in[3], v, v_end, h, h_end;
        double most = 0;
        gboolean any = FALSE;

        bin_range(start[0], bin[0], i, in[2], &v, &v_end);
        bin_range(start[1], bin[1], j, in[3], &h, &h_end);
        for (gint64 row = v; row < v_end; row++)
          for (gint64 column = h; column < h_end; column++, any = TRUE) {
            double value = infer_real(x, plane + row * in[3] + column);
            most = !any || value > most ? value : most;
          }
        infer_real_set(args->out[0], to, most);
      }
}

static gboolean
pool_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *rois = args->in[1];
  const gint64 *in = args->in[0]->dims.d, *out = args->out[0]->dims.d;
  double scale = infer_node_get_float(args->node, "spatial_scale", 1);

  for (gint64 roi = 0; roi < rois->dims.d[0]; roi++) {
    double image = infer_real(rois, roi * 5), start[2], bin[2];

    if (!(image >= 0 && image < (double)in[0]))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "region %" G_GINT64_FORMAT
                            " is of image %g, there are %" G_GINT64_FORMAT,
                            roi, image, in[0]);
    for (gint i = 0; i < 2; i++) {
      double end = round(infer_real(rois, roi * 5 + 4 - i) * scale);

      start[i] = round(infer_real(rois, roi * 5 + 2 - i) * scale);
      if (!isfinite(start[i]) || !isfinite(end))
        return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                              "region %" G_GINT64_FORMAT " is from %g to %g", roi, start[i], end);
      bin[i] = MAX(end - start[i] + 1, 1) / (double)out[2 + i];
    }
    pool_roi(args, roi, (gint64)image, start, bin);
  }
  return TRUE;
}

static const InferAttrSpec attrs[] = {
    {"pooled_shape", 'I', TRUE}, {"spatial_scale", 'f', FALSE}, {NULL, 0, FALSE}};

static const InferOp maxroipool = {.name = "MaxRoiPool",
                                   .version = 1,
                                   .min_inputs = 2,
                                   .max_inputs = 2,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .attrs = attrs,
                                   .infer = pool_infer,
                                   .eval = pool_eval};

extern const InferOp *const infer_ops_maxroipool[];
const InferOp *const infer_ops_maxroipool[] = {&maxroipool, NULL};
