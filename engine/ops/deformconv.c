/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/window.h"

#include <math.h>

/* Dai et al., "Deformable Convolutional Networks", 2017; with a mask the modulated form of Zhu et
 * al., "Deformable ConvNets v2", 2018. */

static gboolean
check_groups(const InferShapeArgs *args, const InferDims *w, gint64 channels, GError **error)
{
  gint64 group, offset_group;

  if (!infer_check_int(args->node, "group", 1, 1, G_MAXINT32, &group, error) ||
      !infer_check_int(args->node, "offset_group", 1, 1, G_MAXINT32, &offset_group, error))
    return FALSE;
  if (w->d[0] == 0 || w->d[1] == 0 || (w->d[0] >= 0 && w->d[0] % group != 0) ||
      (channels >= 0 && channels % offset_group != 0) ||
      (channels >= 0 && w->d[1] >= 0 && channels != infer_check_product(w->d[1], group)))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " channels do not fit %" G_GINT64_FORMAT
                          " groups and %" G_GINT64_FORMAT " offset groups of the weight",
                          channels, group, offset_group);
  return TRUE;
}

static gboolean
deformconv_infer(InferShapeArgs *args, GError **error)
{
  InferDims x = args->in[0].dims, w = args->in[1].dims, *out = &args->out[0].dims;
  gint64 offset_group, taps, offsets, masks;
  InferWindow window;

  if (!infer_check_reals(args, 0, 4, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if ((x.n >= 0 && x.n != 4) || (w.n >= 0 && w.n != 4))
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "the input has %d dimensions and the weight %d; supported are 4", x.n,
                          w.n);
  x = x.n < 0 ? infer_check_unknown(4) : x;
  w = w.n < 0 ? infer_check_unknown(4) : w;
  *out = infer_check_unknown(4);
  out->d[0] = x.d[0];
  out->d[1] = w.d[0];
  if (!check_groups(args, &w, x.d[1], error) || !infer_check_vector(args, 3, &out->d[1], error) ||
      !infer_window_read(args->node, 2, w.d + 2, &window, error) ||
      !infer_window_output(args->node, &window, x.d + 2, out->d + 2, error))
    return FALSE;
  offset_group = infer_node_get_int(args->node, "offset_group", 1);
  taps = window.kernel[0] < 0 || window.kernel[1] < 0
             ? INFER_DIM_UNKNOWN
             : infer_check_product(window.kernel[0], window.kernel[1]);
  masks = infer_check_product(taps, offset_group);
  offsets = infer_check_product(masks, 2);
  return infer_check_dims(args, 2, 4, (gint64 *[]){&out->d[0], &offsets, &out->d[2], &out->d[3]},
                          error) &&
         infer_check_dims(args, 4, 4, (gint64 *[]){&out->d[0], &masks, &out->d[2], &out->d[3]},
                          error);
}

/* Everything outside of the plane is zero. */
static double
sample(const InferArray *x, gint64 plane, gint64 height, gint64 width, double v, double h)
{
  double sum = 0, v0, h0;

  if (!(v > -1 && v < (double)height && h > -1 && h < (double)width))
    return 0;
  v0 = floor(v);
  h0 = floor(h);
  for (gint i = 0; i < 4; i++) {
    gint64 row = (gint64)v0 + i / 2, column = (gint64)h0 + i % 2;
    double wv = i / 2 ? v - v0 : 1 - (v - v0), wh = i % 2 ? h - h0 : 1 - (h - h0);

    if (row >= 0 && row < height && column >= 0 && column < width)
      sum += wv * wh * infer_real(x, plane + row * width + column);
  }
  return sum;
}

/* Fills the columns of one image: [channel][tap][position of the output], as a convolution that
 * is a product of matrices wants them. */
static void
fill_columns(const InferEvalArgs *args, const InferSlide *s, gint64 image, double *columns)
{
  const InferArray *x = args->in[0], *offset = args->in[2];
  const InferArray *mask = args->n_in > 4 ? args->in[4] : NULL;
  gint64 offset_groups = infer_node_get_int(args->node, "offset_group", 1);
  gint64 channels = x->dims.d[1], taps = s->kernel[1] * s->kernel[2];
  gint64 plane = s->in[1] * s->in[2], positions = s->out[1] * s->out[2];

  for (gint64 ct = 0; ct < channels * taps; ct++) {
    gint64 c = ct / taps, tap = ct % taps, group = c / (channels / offset_groups);
    gint64 unit = (image * offset_groups + group) * taps + tap;
    gint64 v = tap / s->kernel[2] * s->dilation[1] - s->begin[1];
    gint64 h = tap % s->kernel[2] * s->dilation[2] - s->begin[2];

    for (gint64 p = 0; p < positions; p++) {
      double dv = infer_real(offset, unit * 2 * positions + p);
      double dh = infer_real(offset, (unit * 2 + 1) * positions + p);
      double value = sample(x, (image * channels + c) * plane, s->in[1], s->in[2],
                            (double)(v + p / s->out[2] * s->stride[1]) + dv,
                            (double)(h + p % s->out[2] * s->stride[2]) + dh);

      columns[ct * positions + p] = mask ? value * infer_real(mask, unit * positions + p) : value;
    }
  }
}

/* One channel of the output: weights times the columns of the group's channels. */
static void
multiply(const InferArray *w, gint64 row, gint64 length, const double *columns, gint64 positions,
         double bias, double *sums, InferArray *y, gint64 to)
{
  for (gint64 p = 0; p < positions; p++)
    sums[p] = bias;
  for (gint64 k = 0; k < length; k++) {
    double weight = infer_real(w, row * length + k);

    for (gint64 p = 0; p < positions; p++)
      sums[p] += weight * columns[k * positions + p];
  }
  for (gint64 p = 0; p < positions; p++)
    infer_real_set(y, to + p, sums[p]);
}

static gboolean
deformconv_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *w = args->in[1];
  const InferArray *bias = args->n_in > 3 ? args->in[3] : NULL;
  InferArray *y = args->out[0];
  gint64 groups = infer_node_get_int(args->node, "group", 1), m = w->dims.d[0];
  gint64 positions, length;
  double *columns = args->scratch, *sums;
  InferWindow window;
  InferSlide slide;

  if (infer_array_count(y) == 0)
    return TRUE;
  if (!infer_window_read(args->node, 2, w->dims.d + 2, &window, error))
    return FALSE;
  infer_window_slide(&window, x->dims.d + 2, y->dims.d + 2, &slide);
  positions = slide.out[1] * slide.out[2];
  length = w->dims.d[1] * slide.kernel[1] * slide.kernel[2];
  sums = columns + groups * length * positions;
  for (gint64 n = 0; n < x->dims.d[0]; n++) {
    fill_columns(args, &slide, n, columns);
    for (gint64 c = 0; c < m; c++) {
      if (!infer_op_go_on(error))
        return FALSE;
      multiply(w, c, length, columns + c / (m / groups) * length * positions, positions,
               bias ? infer_real(bias, c) : 0, sums, y, (n * m + c) * positions);
    }
  }
  return TRUE;
}

static gsize
deformconv_scratch(const InferShapeArgs *args)
{
  const InferDims *x = &args->in[0].dims, *w = &args->in[1].dims, *y = &args->out[0].dims;
  gint64 rows = infer_check_product(x->d[1], infer_check_product(w->d[2], w->d[3]));
  gint64 positions = infer_check_product(y->d[2], y->d[3]);

  return rows < 0 ? G_MAXSIZE / 2
                  : infer_check_bytes(infer_check_product(rows + 1, positions), sizeof(double), 0);
}

static const InferAttrSpec attrs[] = {{"dilations", 'I', FALSE},
                                      {"group", 'i', FALSE},
                                      {"kernel_shape", 'I', FALSE},
                                      {"offset_group", 'i', FALSE},
                                      {"pads", 'I', FALSE},
                                      {"strides", 'I', FALSE},
                                      {NULL, 0, FALSE}};

static const InferOp deformconv = {.name = "DeformConv",
                                   .version = 19,
                                   .min_inputs = 3,
                                   .max_inputs = 5,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .attrs = attrs,
                                   .infer = deformconv_infer,
                                   .scratch = deformconv_scratch,
                                   .eval = deformconv_eval};

extern const InferOp *const infer_ops_deformconv[];
const InferOp *const infer_ops_deformconv[] = {&deformconv, NULL};
