/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/resample.h"
#include "ops/convert.h"

#include <math.h>
#include <string.h>

/* Where a coordinate lies outside of the input and gets the extrapolation value. */
#define OUTSIDE G_MININT64

/* The coordinate in the input that element @i of the output is taken at. */
static double
exact_coordinate(const InferResample *r, gint axis, gint64 i)
{
  double in = (double)r->in.d[axis], out = (double)r->out.d[axis], x = (double)i;
  double factor = r->by_sizes ? in : 1, divisor = r->by_sizes ? out : r->scale[axis];
  double half_pixel = (x + 0.5) * factor / divisor - 0.5;

  switch (r->coord) {
  case INFER_RESAMPLE_COORD_HALF_PIXEL_SYMMETRIC:
    return in / 2 * (1 - out / (r->scale[axis] * in)) + half_pixel;
  case INFER_RESAMPLE_COORD_PYTORCH_HALF_PIXEL:
    return out > 1 ? half_pixel : 0;
  case INFER_RESAMPLE_COORD_ALIGN_CORNERS:
    /* The resized length is what the scale gives, with its fraction. */
    return i > 0 ? x * (in - 1) / ((r->by_sizes ? out : in * r->scale[axis]) - 1) : 0;
  case INFER_RESAMPLE_COORD_ASYMMETRIC:
    return x * factor / divisor;
  case INFER_RESAMPLE_COORD_TF_HALF_PIXEL_FOR_NN:
    return (x + 0.5) * factor / divisor;
  case INFER_RESAMPLE_COORD_TF_CROP_AND_RESIZE: {
    double start = r->start[axis], end = r->end[axis];

    return out > 1 ? start * (in - 1) + x * (end - start) * (in - 1) / (out - 1)
                   : 0.5 * (start + end) * (in - 1);
  }
  default:
    return half_pixel;
  }
}

/* Scales and regions come as floats: 3.5 / 0.7f is meant to be 5, which a float still says but a
 * double does not. Beyond 24 bits a float cannot tell elements apart. */
static double
coordinate(const InferResample *r, gint axis, gint64 i)
{
  double x = exact_coordinate(r, axis, i);

  return fabs(x) < 0x1p20 ? (double)(float)x : x;
}

static gboolean
is_outside(const InferResample *r, gint axis, double x)
{
  return r->coord == INFER_RESAMPLE_COORD_TF_CROP_AND_RESIZE &&
         (x < 0 || x > (double)(r->in.d[axis] - 1));
}

static gint64
nearest(const InferResample *r, gint axis, gint64 i)
{
  double x = coordinate(r, axis, i);

  if (is_outside(r, axis, x))
    return OUTSIDE;
  switch (r->near) {
  case INFER_RESAMPLE_NEAR_PREFER_FLOOR:
    x = ceil(x - 0.5);
    break;
  case INFER_RESAMPLE_NEAR_PREFER_CEIL:
    x = floor(x + 0.5);
    break;
  case INFER_RESAMPLE_NEAR_FLOOR:
    x = floor(x);
    break;
  default:
    x = ceil(x);
  }
  return CLAMP((gint64)x, 0, r->in.d[axis] - 1);
}

/* The filter at distance @x. Cubic: Keys, "Cubic convolution interpolation for digital image
 * processing", IEEE Transactions on Acoustics, Speech, and Signal Processing, 1981, equation 4. */
static double
filter(const InferResample *r, double x)
{
  double a = r->cubic_a;

  x = fabs(x);
  if (r->mode == INFER_RESAMPLE_LINEAR)
    return x < 1 ? 1 - x : 0;
  if (x <= 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
}

/* How much wider the filter is where it also has to smooth. */
static double
widening(const InferResample *r, double scale)
{
  return r->antialias && scale < 1 ? 1 / scale : 1;
}

/* Taps before the element that the coordinate lies on or after; there is one more after it. */
static gint64
taps_before(const InferResample *r, double scale)
{
  return (gint64)ceil((r->mode == INFER_RESAMPLE_LINEAR ? 1 : 2) * widening(r, scale)) - 1;
}

static gint64
n_taps(const InferResample *r, double scale)
{
  return 2 * taps_before(r, scale) + 2;
}

/* Fills the weights of output @i. Returns: the first tap's index, maybe outside of the input. */
static gint64
weigh(const InferResample *r, gint axis, gint64 i, gint64 taps, double *weights)
{
  double x = coordinate(r, axis, i), wide = widening(r, r->scale[axis]), sum = 0;
  gint64 first;

  if (is_outside(r, axis, x))
    return OUTSIDE;
  first = (gint64)floor(x) - taps_before(r, r->scale[axis]);
  for (gint64 t = 0; t < taps; t++) {
    gboolean in_range = first + t >= 0 && first + t < r->in.d[axis];

    weights[t] = r->exclude_outside && !in_range ? 0 : filter(r, ((double)(first + t) - x) / wide);
    sum += weights[t];
  }
  if (sum == 0) {
    weights[0] = 1;
    return CLAMP(first, 0, r->in.d[axis] - 1);
  }
  for (gint64 t = 0; t < taps && (wide > 1 || r->exclude_outside); t++)
    weights[t] /= sum;
  return first;
}

static gint64
count_before(const InferDims *dims, gint axis)
{
  gint64 count = 1;

  for (gint i = 0; i < axis; i++)
    count *= dims->d[i];
  return count;
}

static gint64
count_after(const InferDims *dims, gint axis)
{
  gint64 count = 1;

  for (gint i = axis + 1; i < dims->n; i++)
    count *= dims->d[i];
  return count;
}

/* Resizes one axis. @dims are those of @from, and become those of @to. */
static void
resize_axis(const InferResample *r, gint axis, InferDims *dims, const double *from, double *to,
            double *weights)
{
  gint64 outer = count_before(dims, axis), inner = count_after(dims, axis);
  gint64 in = dims->d[axis], out = r->out.d[axis], taps = n_taps(r, r->scale[axis]);

  for (gint64 i = 0; i < out; i++) {
    gint64 first = weigh(r, axis, i, taps, weights);

    for (gint64 o = 0; o < outer; o++) {
      double *row = to + (o * out + i) * inner;

      for (gint64 j = 0; j < inner; j++)
        row[j] = first == OUTSIDE ? r->extrapolation : 0;
      for (gint64 t = 0; t < taps && first != OUTSIDE; t++) {
        const double *source = from + (o * in + CLAMP(first + t, 0, in - 1)) * inner;

        for (gint64 j = 0; weights[t] != 0 && j < inner; j++)
          row[j] += weights[t] * source[j];
      }
    }
  }
  dims->d[axis] = out;
}

static gboolean
is_identity(const InferResample *r, gint axis)
{
  return r->in.d[axis] == r->out.d[axis] && r->scale[axis] == 1 && r->start[axis] == 0 &&
         r->end[axis] == 1 && r->coord != INFER_RESAMPLE_COORD_TF_HALF_PIXEL_FOR_NN;
}

/* Doubles for two copies of the larger of input and output, and the weights of one element. Sizes
 * are scaled and rounded, so that the scale can be a little less than the sizes' ratio. */
gsize
infer_resample_scratch(const InferResample *r)
{
  gsize size =
      infer_type_size(INFER_TYPE_DOUBLE, MAX(infer_dims_count(&r->in), infer_dims_count(&r->out)));
  gsize total = 0;
  gint64 weights = 4;

  if (infer_dims_count(&r->out) <= 0)
    return 0;
  if (r->mode == INFER_RESAMPLE_NEAREST) {
    for (gint i = 0; i < r->out.n; i++)
      total += (gsize)r->out.d[i] * sizeof(gint64);
    return total;
  }
  for (gint i = 0; i < r->in.n; i++) {
    double least = ((double)r->out.d[i] - 0.5) / (double)r->in.d[i] * 0.999;

    weights = MAX(weights, n_taps(r, least));
  }
  if (__builtin_mul_overflow(size, (gsize)2, &total) ||
      __builtin_add_overflow(total, (gsize)weights * sizeof(double), &total))
    return G_MAXSIZE / 2;
  return total;
}

/* Axes that shrink come first, so that nothing between is larger than both ends. */
void
infer_resample_interpolate(const InferResample *r, const InferArray *x, InferArray *y,
                           gpointer scratch)
{
  gint64 n_in = infer_array_count(x), n_out = infer_array_count(y), size = MAX(n_in, n_out);
  double *from = scratch, *to = from + size, *weights = to + size;
  InferDims dims = r->in;

  infer_load_doubles(x->type, x->data, 0, 1, n_in, from);
  for (gint pass = 0; pass < 2; pass++)
    for (gint axis = 0; axis < r->in.n; axis++) {
      gboolean shrinks = r->out.d[axis] < r->in.d[axis];
      double *swap = from;

      if (shrinks != (pass == 0) || is_identity(r, axis))
        continue;
      resize_axis(r, axis, &dims, from, to, weights);
      from = to;
      to = swap;
    }
  for (gint64 i = 0; i < n_out; i++)
    infer_store_double(y, i, from[i]);
}

static inline void
copy_element(gsize size, guint8 *to, const guint8 *from)
{
  switch (size) {
  case 1:
    *to = *from;
    break;
  case 4:
    memcpy(to, from, 4);
    break;
  default:
    memcpy(to, from, size);
  }
}

/* @tables: per axis, the index in the input of each element. */
void
infer_resample_nearest(const InferResample *r, const InferArray *x, InferArray *y, gpointer scratch)
{
  gsize size = infer_type_bits(x->type) / 8;
  gint64 *table[INFER_MAX_DIMS] = {NULL}, strides[INFER_MAX_DIMS] = {0};
  gint64 *tables = scratch, count = infer_array_count(y);

  infer_op_broadcast_strides(&r->in, &r->in, strides);
  for (gint a = 0; a < r->out.n; a++) {
    table[a] = tables;
    for (gint64 i = 0; i < r->out.d[a]; i++)
      tables[i] = is_identity(r, a) ? i : nearest(r, a, i);
    tables += r->out.d[a];
  }
  for (gint64 i = 0; i < count; i++) {
    gint64 rest = i, from = 0;

    for (gint a = r->out.n - 1; a >= 0 && from != OUTSIDE; a--) {
      gint64 index = table[a][rest % r->out.d[a]];

      from = index == OUTSIDE ? OUTSIDE : from + index * strides[a];
      rest /= r->out.d[a];
    }
    if (from == OUTSIDE)
      infer_array_set_double(y, (gsize)i, r->extrapolation);
    else
      copy_element(size, (guint8 *)y->data + (gsize)i * size,
                   (const guint8 *)x->data + (gsize)from * size);
  }
}
