/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "region.h"

extern const InferOp *const infer_ops_roipool[];

/*
 * "infer.RoiPool": the maximum in each of a grid of bins over a region, as Caffe's ROIPooling of
 * Fast R-CNN (Girshick 2015).
 *
 * Inputs: x [N, C, H, W], regions [R, 5]: image, x1, y1, x2, y2 in pixels; float. Output:
 * [R, C, pooled_h, pooled_w]. "spatial_scale" is cells of x per pixel. A bin outside of x is 0.
 */

typedef struct {
  gint64 size[2]; /* pooled height and width */
  double scale;
} RoiPool;

static gboolean
pool_params(const InferNode *node, RoiPool *pool, GError **error)
{
  pool->size[0] = infer_node_get_int(node, "pooled_h", 0);
  pool->size[1] = infer_node_get_int(node, "pooled_w", 0);
  for (guint i = 0; i < 2; i++)
    if (pool->size[i] < 1 || pool->size[i] > G_MAXINT16)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "a grid of %" G_GINT64_FORMAT " by %" G_GINT64_FORMAT " bins",
                            pool->size[0], pool->size[1]);
  return region_scale(node, &pool->scale, error);
}

static gboolean
pool_dims(const InferNode *node, const InferDims *x, const InferDims *rois, const RoiPool *pool,
          InferDims *out, GError **error)
{
  *out = INFER_DIMS(rois->n == 2 ? rois->d[0] : INFER_DIM_UNKNOWN,
                    x->n == 4 ? x->d[1] : INFER_DIM_UNKNOWN, pool->size[0], pool->size[1]);
  if ((x->n < 0 || x->n == 4) && (rois->n < 0 || (rois->n == 2 && number_fits(rois->d[1], 5))))
    return TRUE;
  g_autofree char *a = infer_dims_to_string(x);
  g_autofree char *b = infer_dims_to_string(rois);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "an input of %s and regions of %s are not [N, C, H, W] and [R, 5]", a, b);
}

static gboolean
pool_infer(InferShapeArgs *args, GError **error)
{
  RoiPool pool;
  InferDims dims;
  for (guint i = 0; i < 2; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  return pool_params(args->node, &pool, error) &&
         pool_dims(args->node, &args->in[0].dims, &args->in[1].dims, &pool, &dims, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &dims, error);
}

/* A coordinate in cells, far within what a number holds; NaN is 0. */
static gint64
to_cell(double pixel, double scale)
{
  double cell = round(pixel * scale);
  return cell == cell ? (gint64)CLAMP(cell, -(double)G_MAXINT32, (double)G_MAXINT32) : 0;
}

/* The cells [from, to) of bin @i of an axis with @limit cells. */
static void
bin_range(gint64 first, gint64 length, gint64 bins, gint64 i, gint64 limit, gint64 *from,
          gint64 *to)
{
  float size = (float)length / (float)bins;
  gint64 low = first + (gint64)floorf((float)i * size);
  gint64 high = first + (gint64)ceilf((float)(i + 1) * size);
  *from = CLAMP(low, 0, limit);
  *to = CLAMP(high, 0, limit);
}

static void
pool_region(const RoiPool *pool, const float *x, gint64 channels, gint64 height, gint64 width,
            const float *roi, float *out)
{
  gint64 left = to_cell(roi[1], pool->scale), top = to_cell(roi[2], pool->scale);
  gint64 w = MAX(to_cell(roi[3], pool->scale) - left + 1, 1);
  gint64 h = MAX(to_cell(roi[4], pool->scale) - top + 1, 1);
  for (gint64 c = 0; c < channels; c++, x += height * width)
    for (gint64 by = 0; by < pool->size[0]; by++)
      for (gint64 bx = 0; bx < pool->size[1]; bx++) {
        gint64 y0, y1, x0, x1;
        bin_range(top, h, pool->size[0], by, height, &y0, &y1);
        bin_range(left, w, pool->size[1], bx, width, &x0, &x1);
        float best = y1 > y0 && x1 > x0 ? -INFINITY : 0;
        for (gint64 row = y0; row < y1; row++)
          for (gint64 column = x0; column < x1; column++)
            best = MAX(best, x[row * width + column]);
        *out++ = best;
      }
}

static gboolean
pool_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *rois = args->in[1];
  RoiPool pool;
  InferDims dims;
  if (!pool_params(args->node, &pool, error) ||
      !pool_dims(args->node, &x->dims, &rois->dims, &pool, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, INFER_TYPE_FLOAT, &dims, error);
  if (!out)
    return FALSE;
  gint64 image = data_product(&x->dims, 1, 4), region = data_product(&dims, 1, 4);
  for (gint64 r = 0; r < dims.d[0]; r++) {
    const float *roi = region_at(args, r, error);
    if (!roi)
      return FALSE;
    pool_region(&pool, (const float *)x->data + (gint64)roi[0] * image, x->dims.d[1], x->dims.d[2],
                x->dims.d[3], roi, (float *)out->data + r * region);
  }
  return TRUE;
}

static const InferAttrSpec pool_attrs[] = {{"pooled_h", 'i', TRUE},
                                           {"pooled_w", 'i', TRUE},
                                           {"spatial_scale", 'f', FALSE},
                                           {NULL, 0, FALSE}};

static const InferOp roi_pool = {
    .name = "infer.RoiPool",
    .version = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = pool_attrs,
    .infer = pool_infer,
    .eval = pool_eval,
};

const InferOp *const infer_ops_roipool[] = {&roi_pool, NULL};
