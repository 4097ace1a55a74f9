/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <math.h>

/* He et al., "Mask R-CNN", 2017, section 3. */

static const char *const modes[] = {"avg", "max", NULL};
static const char *const coordinates[] = {"half_pixel", "output_half_pixel", NULL};

typedef struct {
  gint64 out[2], ratio;
  gint mode, coordinate;
  double scale;
} Settings;

static gboolean
read_settings(const InferNode *node, Settings *s, GError **error)
{
  s->scale = infer_node_get_float(node, "spatial_scale", 1);
  return infer_check_int(node, "output_height", 1, 1, G_MAXINT32, &s->out[0], error) &&
         infer_check_int(node, "output_width", 1, 1, G_MAXINT32, &s->out[1], error) &&
         infer_check_int(node, "sampling_ratio", 0, 0, 1024, &s->ratio, error) &&
         infer_check_choice(node, "mode", "avg", modes, &s->mode, error) &&
         infer_check_choice(node, "coordinate_transformation_mode", "half_pixel", coordinates,
                            &s->coordinate, error);
}

static gboolean
roialign_infer(InferShapeArgs *args, GError **error)
{
  gint64 batch = INFER_DIM_UNKNOWN, channels = INFER_DIM_UNKNOWN, rois = INFER_DIM_UNKNOWN;
  gint64 height = INFER_DIM_UNKNOWN, width = INFER_DIM_UNKNOWN, four = 4;
  Settings s;

  if (!infer_check_reals(args, 0, 1, error) ||
      !infer_op_require_type(args, 2, error, INFER_TYPE_INT64, INFER_TYPE_UNDEFINED) ||
      !read_settings(args->node, &s, error) ||
      !infer_check_dims(args, 0, 4, (gint64 *[]){&batch, &channels, &height, &width}, error) ||
      !infer_check_dims(args, 1, 2, (gint64 *[]){&rois, &four}, error) ||
      !infer_check_vector(args, 2, &rois, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = INFER_DIMS(rois, channels, s.out[0], s.out[1]);
  return TRUE;
}

/* One dimension of a bin: samples at start + (i + 0.5) * step, of which those from @first to
 * before @last may lie inside of the plane. */
typedef struct {
  double start, step, n;
  double first, last;
  gint64 size;
} Span;

static Span
make_span(double start, double bin, double n, gint64 size)
{
  Span s = {.start = start, .step = bin / n, .n = n, .size = size};

  s.last = n;
  if (s.step > 0) {
    s.first = CLAMP(floor((-1 - start) / s.step - 0.5) - 1, 0, n);
    s.last = CLAMP(ceil(((double)size - start) / s.step - 0.5) + 2, s.first, n);
  }
  return s;
}

/* The two elements that a coordinate lies between. Returns: whether it is on the plane at all. */
static gboolean
between(const Span *s, double i, gint64 *low, gint64 *high, double *t)
{
  double x = s->start + (i + 0.5) * s->step;

  if (!(x >= -1 && x <= (double)s->size))
    return FALSE;
  x = MAX(x, 0);
  *low = MIN((gint64)x, s->size - 1);
  *high = MIN(*low + 1, s->size - 1);
  *t = *high > *low ? x - (double)*low : 0;
  return TRUE;
}

typedef struct {
  const InferArray *x;
  gint64 plane;
  gboolean largest;
} Source;

/* The largest is taken of the four weighted neighbours, as ONNX has it. Outside is zero. */
static double
sample(const Source *source, const Span *v, const Span *h, double i, double j)
{
  gint64 row[2], column[2];
  double tv, th, sum = 0, most = -INFINITY;

  if (!between(v, i, &row[0], &row[1], &tv) || !between(h, j, &column[0], &column[1], &th))
    return 0;
  for (gint k = 0; k < 4; k++) {
    double weight = (k / 2 ? tv : 1 - tv) * (k % 2 ? th : 1 - th);
    double value =
        weight * infer_real(source->x, source->plane + row[k / 2] * h->size + column[k % 2]);

    sum += value;
    most = MAX(most, value);
  }
  return source->largest ? most : sum;
}

static double
pool_bin(const Source *source, const Span *v, const Span *h)
{
  gboolean all = v->first == 0 && h->first == 0 && v->last == v->n && h->last == h->n;
  double sum = 0, most = all ? -INFINITY : 0;

  for (double i = v->first; i < v->last; i++)
    for (double j = h->first; j < h->last; j++) {
      double value = sample(source, v, h, i, j);

      sum += value;
      most = MAX(most, value);
    }
  if (v->n * h->n == 0)
    return 0;
  return source->largest ? most : sum / (v->n * h->n);
}

static gboolean
read_roi(const InferEvalArgs *args, const Settings *s, gint64 roi, double *start, double *size,
         GError **error)
{
  double offset = s->coordinate == 0 ? 0.5 : 0;

  /* Boxes are left, top, right, bottom; ours are rows, columns. */
  for (gint i = 0; i < 2; i++) {
    double low = infer_real(args->in[1], roi * 4 + 1 - i);
    double high = infer_real(args->in[1], roi * 4 + 3 - i);

    if (!isfinite(low) || !isfinite(high))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "region %" G_GINT64_FORMAT " is from %g to %g", roi, low, high);
    start[i] = low * s->scale - offset;
    size[i] = high * s->scale - offset - start[i];
    if (s->coordinate == 1)
      size[i] = MAX(size[i], 1);
  }
  return TRUE;
}

static void
pool_roi(const InferEvalArgs *args, const Settings *s, gint64 roi, gint64 image,
         const double *start, const double *size)
{
  const InferDims *x = &args->in[0]->dims;
  Source source = {.x = args->in[0], .largest = s->mode == 1};
  gint64 to = roi * x->d[1] * s->out[0] * s->out[1];
  double bin[2], n[2];

  for (gint i = 0; i < 2; i++) {
    bin[i] = size[i] / (double)s->out[i];
    n[i] = s->ratio > 0 ? (double)s->ratio : MAX(ceil(bin[i]), 0);
  }
  for (gint64 c = 0; c < x->d[1]; c++) {
    source.plane = (image * x->d[1] + c) * x->d[2] * x->d[3];
    for (gint64 i = 0; i < s->out[0]; i++) {
      Span v = make_span(start[0] + (double)i * bin[0], bin[0], n[0], x->d[2]);

      for (gint64 j = 0; j < s->out[1]; j++, to++) {
        Span h = make_span(start[1] + (double)j * bin[1], bin[1], n[1], x->d[3]);

        infer_real_set(args->out[0], to, pool_bin(&source, &v, &h));
      }
    }
  }
}

static gboolean
roialign_eval(const InferEvalArgs *args, GError **error)
{
  const gint64 *images = args->in[2]->data;
  const InferDims *x = &args->in[0]->dims;
  Settings s;

  if (!read_settings(args->node, &s, error))
    return FALSE;
  for (gint64 roi = 0; roi < args->in[1]->dims.d[0]; roi++) {
    double start[2] = {0}, size[2] = {0};

    if (images[roi] < 0 || images[roi] >= x->d[0])
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "region %" G_GINT64_FORMAT " is of image %" G_GINT64_FORMAT
                            ", there are %" G_GINT64_FORMAT,
                            roi, images[roi], x->d[0]);
    if (!read_roi(args, &s, roi, start, size, error))
      return FALSE;
    pool_roi(args, &s, roi, images[roi], start, size);
  }
  return TRUE;
}

static const InferAttrSpec attrs[] = {{"coordinate_transformation_mode", 's', FALSE},
                                      {"mode", 's', FALSE},
                                      {"output_height", 'i', FALSE},
                                      {"output_width", 'i', FALSE},
                                      {"sampling_ratio", 'i', FALSE},
                                      {"spatial_scale", 'f', FALSE},
                                      {NULL, 0, FALSE}};

static const InferOp roialign = {.name = "RoiAlign",
                                 .version = 16,
                                 .min_inputs = 3,
                                 .max_inputs = 3,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attrs = attrs,
                                 .infer = roialign_infer,
                                 .eval = roialign_eval};

extern const InferOp *const infer_ops_roialign[];
const InferOp *const infer_ops_roialign[] = {&roialign, NULL};
