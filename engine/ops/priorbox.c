/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_priorbox[];

/*
 * "infer.PriorBox": the default boxes of SSD (Liu et al. 2016) as Caffe's layer makes them.
 *
 * Inputs: a feature map [N, C, H, W] and the image [N, C, IH, IW], of which only the sizes count.
 * Output: [1, 2, H * W * P * 4] floats: the corners x1, y1, x2, y2 relative to the image, then the
 * variances. The P boxes of a cell are, for each of "min_size": a square of it, a square of the
 * geometric mean with the "max_size" of the same place, then one for each of "aspect_ratio" other
 * than 1 and, with "flip", for its inverse. "step" (or "step_h" and "step_w") are pixels of a cell,
 * 0 for the quotient of the sizes; "offset" is where in its cell a box has its centre; "img_h" and
 * "img_w" stand for the image's size where they are not 0.
 */

/** The most boxes of a cell; models have about six. */
#define MAX_PRIORS 4096

typedef struct {
  const double *min, *max, *ratio, *variance;
  gsize n_min, n_max, n_ratio, n_variance;
  gsize n_shapes; /* distinct ratios other than 1, with their inverses */
  gboolean flip, clip;
  double offset;
  gint64 height, width;     /* cells */
  double image[2], step[2]; /* of x and y */
} Prior;

/* Ratio @i of those that make boxes; FALSE where it repeats one of before. */
static gboolean
ratio_counts(const Prior *prior, gsize i, gboolean inverse)
{
  double ratio = inverse ? 1 / prior->ratio[i] : prior->ratio[i];
  if (fabs(ratio - 1) < 1e-6)
    return FALSE;
  for (gsize k = 0; k <= i; k++) {
    if (k == i && !inverse)
      return TRUE;
    if (fabs(prior->ratio[k] - ratio) < 1e-6)
      return FALSE;
    if (k < i && prior->flip && fabs(1 / prior->ratio[k] - ratio) < 1e-6)
      return FALSE;
  }
  return TRUE;
}

static gboolean
all_positive(const InferNode *node, const char *name, const double *list, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!(list[i] > 0) || !isfinite(list[i]))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "%s has %g, it must be positive",
                            name, list[i]);
  return n <= MAX_PRIORS ||
         infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "%s has %" G_GSIZE_FORMAT " values, at most %d are supported", name, n,
                        MAX_PRIORS);
}

static gboolean
prior_params(const InferNode *node, Prior *prior, GError **error)
{
  double step = infer_node_get_float(node, "step", 0);
  memset(prior, 0, sizeof *prior);
  prior->min = infer_node_get_floats(node, "min_size", &prior->n_min);
  prior->max = infer_node_get_floats(node, "max_size", &prior->n_max);
  prior->ratio = infer_node_get_floats(node, "aspect_ratio", &prior->n_ratio);
  prior->variance = infer_node_get_floats(node, "variance", &prior->n_variance);
  prior->flip = infer_node_get_int(node, "flip", 1) != 0;
  prior->clip = infer_node_get_int(node, "clip", 0) != 0;
  prior->offset = infer_node_get_float(node, "offset", 0.5);
  prior->step[0] = infer_node_get_float(node, "step_w", step);
  prior->step[1] = infer_node_get_float(node, "step_h", step);
  if (!all_positive(node, "min_size", prior->min, prior->n_min, error) ||
      !all_positive(node, "max_size", prior->max, prior->n_max, error) ||
      !all_positive(node, "aspect_ratio", prior->ratio, prior->n_ratio, error) ||
      !all_positive(node, "variance", prior->variance, prior->n_variance, error))
    return FALSE;
  if (prior->n_min == 0 || (prior->n_max != 0 && prior->n_max != prior->n_min) ||
      (prior->n_variance > 1 && prior->n_variance != 4))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%" G_GSIZE_FORMAT " of min_size, %" G_GSIZE_FORMAT " of max_size and "
                          "%" G_GSIZE_FORMAT " of variance: max_size needs as many as min_size, or "
                          "none, and variance 1 or 4",
                          prior->n_min, prior->n_max, prior->n_variance);
  if (!(prior->step[0] >= 0) || !(prior->step[1] >= 0) || !isfinite(prior->offset))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "steps of %g and %g and an offset of %g cannot be used", prior->step[0],
                          prior->step[1], prior->offset);
  for (gsize i = 0; i < prior->n_ratio; i++)
    for (gint inverse = 0; inverse <= prior->flip; inverse++)
      prior->n_shapes += ratio_counts(prior, i, inverse);
  return TRUE;
}

static gint64
priors_of_cell(const Prior *prior)
{
  return (gint64)(prior->n_min * (1 + prior->n_shapes) + prior->n_max);
}

static gboolean
prior_dims(const InferNode *node, const InferDims *map, const InferDims *image, Prior *prior,
           InferDims *out, GError **error)
{
  gint64 cells = map->n == 4 ? data_product(map, 2, 4) : INFER_DIM_UNKNOWN, count;
  const gint64 given[2] = {infer_node_get_int(node, "img_w", 0),
                           infer_node_get_int(node, "img_h", 0)};
  *out = INFER_DIMS(1, 2, INFER_DIM_UNKNOWN);
  if ((map->n >= 0 && map->n != 4) || (image->n >= 0 && image->n != 4) || given[0] < 0 ||
      given[1] < 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "a map and an image of four dimensions are needed");
  if (cells >= 0) {
    if (__builtin_mul_overflow(cells, 4 * priors_of_cell(prior), &count))
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "the output has too many boxes");
    out->d[2] = count;
    prior->height = map->d[2];
    prior->width = map->d[3];
  }
  for (guint i = 0; i < 2 && image->n == 4; i++) {
    gint64 size = given[i] > 0 ? given[i] : image->d[3 - i];
    if (size == 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "the image is empty");
    prior->image[i] = (double)size;
  }
  return TRUE;
}

static gboolean
prior_infer(InferShapeArgs *args, GError **error)
{
  Prior prior;
  InferDims dims;
  return data_require(args, 0, error) && data_require(args, 1, error) &&
         prior_params(args->node, &prior, error) &&
         prior_dims(args->node, &args->in[0].dims, &args->in[1].dims, &prior, &dims, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &dims, error);
}

static float *
put_box(const Prior *prior, const double *centre, double width, double height, float *out)
{
  const double half[2] = {width / 2, height / 2};
  for (guint i = 0; i < 2; i++) {
    double low = (centre[i] - half[i]) / prior->image[i];
    double high = (centre[i] + half[i]) / prior->image[i];
    out[i] = (float)(prior->clip ? CLAMP(low, 0, 1) : low);
    out[i + 2] = (float)(prior->clip ? CLAMP(high, 0, 1) : high);
  }
  return out + 4;
}

static float *
put_cell(const Prior *prior, const double *centre, float *out)
{
  for (gsize m = 0; m < prior->n_min; m++) {
    double size = prior->min[m];
    out = put_box(prior, centre, size, size, out);
    if (m < prior->n_max) {
      double mean = sqrt(size * prior->max[m]);
      out = put_box(prior, centre, mean, mean, out);
    }
    for (gsize i = 0; i < prior->n_ratio; i++)
      for (gint inverse = 0; inverse <= prior->flip; inverse++)
        if (ratio_counts(prior, i, inverse)) {
          double root = sqrt(inverse ? 1 / prior->ratio[i] : prior->ratio[i]);
          out = put_box(prior, centre, size * root, size / root, out);
        }
  }
  return out;
}

static gboolean
prior_eval(const InferEvalArgs *args, GError **error)
{
  Prior prior;
  InferDims dims;
  if (!prior_params(args->node, &prior, error) ||
      !prior_dims(args->node, &args->in[0]->dims, &args->in[1]->dims, &prior, &dims, error))
    return FALSE;
  InferArray *array = data_output(args, 0, INFER_TYPE_FLOAT, &dims, error);
  if (!array)
    return FALSE;
  float *out = array->data;
  const gint64 cells[2] = {prior.width, prior.height};
  for (guint i = 0; i < 2; i++)
    if (prior.step[i] == 0)
      prior.step[i] = prior.image[i] / (double)cells[i];
  for (gint64 y = 0; y < prior.height; y++)
    for (gint64 x = 0; x < prior.width; x++) {
      const double centre[2] = {((double)x + prior.offset) * prior.step[0],
                                ((double)y + prior.offset) * prior.step[1]};
      out = put_cell(&prior, centre, out);
    }
  for (gint64 i = 0; i < dims.d[2]; i++)
    out[i] =
        prior.n_variance == 0 ? 0.1f : (float)prior.variance[prior.n_variance == 4 ? i % 4 : 0];
  return TRUE;
}

static const InferAttrSpec prior_attrs[] = {
    {"min_size", 'F', TRUE}, {"max_size", 'F', FALSE}, {"aspect_ratio", 'F', FALSE},
    {"flip", 'i', FALSE},    {"clip", 'i', FALSE},     {"variance", 'F', FALSE},
    {"step", 'f', FALSE},    {"step_h", 'f', FALSE},   {"step_w", 'f', FALSE},
    {"offset", 'f', FALSE},  {"img_h", 'i', FALSE},    {"img_w", 'i', FALSE},
    {NULL, 0, FALSE}};

static const InferOp prior_box = {
    .name = "infer.PriorBox",
    .version = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = prior_attrs,
    .infer = prior_infer,
    .eval = prior_eval,
};

const InferOp *const infer_ops_priorbox[] = {&prior_box, NULL};
