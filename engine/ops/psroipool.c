/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "region.h"

extern const InferOp *const infer_ops_psroipool[];

/*
 * "infer.PsRoiPool": position-sensitive pooling of regions, as Caffe's PSROIPooling of R-FCN (Dai
 * et al. 2016): each bin of a region is the mean over cells of channels that are the bin's own.
 *
 * Inputs: x [N, output_dim * group_size^2, H, W], regions [R, 5]: image, x1, y1, x2, y2 in pixels,
 * x2 and y2 belonging to the region; float. Output: [R, output_dim, group_size, group_size]. Bin
 * (i, j) of output d reads channel (d * group_size + i) * group_size + j. "spatial_scale" is cells
 * of x per pixel. A bin outside of x is 0.
 */

typedef struct {
  gint64 outputs, group;
  double scale;
} PsRoiPool;

static gboolean
pool_params(const InferNode *node, PsRoiPool *pool, GError **error)
{
  pool->outputs = infer_node_get_int(node, "output_dim", 0);
  pool->group = infer_node_get_int(node, "group_size", 0);
  if (pool->outputs < 1 || pool->outputs > G_MAXINT32 || pool->group < 1 ||
      pool->group > G_MAXINT16)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "output_dim %" G_GINT64_FORMAT " and group_size %" G_GINT64_FORMAT
                          " must be positive",
                          pool->outputs, pool->group);
  return region_scale(node, &pool->scale, error);
}

static gboolean
pool_dims(const InferNode *node, const InferDims *x, const InferDims *rois, const PsRoiPool *pool,
          InferDims *out, GError **error)
{
  gint64 channels = 0;
  gboolean good = !__builtin_mul_overflow(pool->outputs, pool->group * pool->group, &channels) &&
                  (x->n < 0 || (x->n == 4 && number_fits(x->d[1], channels))) &&
                  (rois->n < 0 || (rois->n == 2 && number_fits(rois->d[1], 5)));
  *out = INFER_DIMS(rois->n == 2 ? rois->d[0] : INFER_DIM_UNKNOWN, pool->outputs, pool->group,
                    pool->group);
  if (good)
    return TRUE;
  g_autofree char *a = infer_dims_to_string(x);
  g_autofree char *b = infer_dims_to_string(rois);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "an input of %s and regions of %s are not [N, %" G_GINT64_FORMAT
                        ", H, W] and [R, 5]",
                        a, b, channels);
}

static gboolean
pool_infer(InferShapeArgs *args, GError **error)
{
  PsRoiPool pool;
  InferDims dims;
  for (guint i = 0; i < 2; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  return pool_params(args->node, &pool, error) &&
         pool_dims(args->node, &args->in[0].dims, &args->in[1].dims, &pool, &dims, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &dims, error);
}

/* A pixel, far within what a number holds; NaN is 0. */
static float
to_pixel(float value)
{
  float pixel = roundf(value);
  return pixel == pixel ? CLAMP(pixel, -1e9f, 1e9f) : 0;
}

/* The cells [from, to) of bin @i of an axis with @limit cells. */
static void
bin_range(float first, float size, gint64 i, gint64 limit, gint64 *from, gint64 *to)
{
  *from = (gint64)CLAMP(floorf((float)i * size + first), 0.0f, (float)limit);
  *to = (gint64)CLAMP(ceilf((float)(i + 1) * size + first), 0.0f, (float)limit);
}

static float
mean(const float *plane, gint64 width, const gint64 y[2], const gint64 x[2])
{
  double sum = 0;
  for (gint64 row = y[0]; row < y[1]; row++)
    for (gint64 column = x[0]; column < x[1]; column++)
      sum += (double)plane[row * width + column];
  return y[1] > y[0] && x[1] > x[0] ? (float)(sum / (double)((y[1] - y[0]) * (x[1] - x[0]))) : 0;
}

static void
pool_region(const PsRoiPool *pool, const float *x, gint64 height, gint64 width, const float *roi,
            float *out)
{
  float scale = (float)pool->scale, least = 0.1f, bins = (float)pool->group;
  float left = to_pixel(roi[1]) * scale, top = to_pixel(roi[2]) * scale;
  float w = fmaxf((to_pixel(roi[3]) + 1) * scale - left, least) / bins;
  float h = fmaxf((to_pixel(roi[4]) + 1) * scale - top, least) / bins;
  for (gint64 d = 0; d < pool->outputs; d++)
    for (gint64 by = 0; by < pool->group; by++)
      for (gint64 bx = 0; bx < pool->group; bx++, x += height * width) {
        gint64 ys[2], xs[2];
        bin_range(top, h, by, height, &ys[0], &ys[1]);
        bin_range(left, w, bx, width, &xs[0], &xs[1]);
        *out++ = mean(x, width, ys, xs);
      }
}

static gboolean
pool_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *rois = args->in[1];
  PsRoiPool pool;
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
    pool_region(&pool, (const float *)x->data + (gint64)roi[0] * image, x->dims.d[2], x->dims.d[3],
                roi, (float *)out->data + r * region);
  }
  return TRUE;
}

static const InferAttrSpec pool_attrs[] = {{"output_dim", 'i', TRUE},
                                           {"group_size", 'i', TRUE},
                                           {"spatial_scale", 'f', FALSE},
                                           {NULL, 0, FALSE}};

static const InferOp ps_roi_pool = {
    .name = "infer.PsRoiPool",
    .version = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = pool_attrs,
    .infer = pool_infer,
    .eval = pool_eval,
};

const InferOp *const infer_ops_psroipool[] = {&ps_roi_pool, NULL};
