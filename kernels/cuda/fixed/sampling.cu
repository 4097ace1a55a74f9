/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.cuh"
#include "sampling.h"

/* RoiAlign and GridSample of floats, in double as eval has them. */

#define THREADS 128
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define MOST(a, b) ((a) > (b) ? (a) : (b))
#define WITHIN(x, low, high) ((x) > (high) ? (high) : (x) < (low) ? (low) : (x))

/* One dimension of a bin: samples at start + (i + 0.5) * step, of which those from @first to
 * before @last may lie inside of the plane. */
struct Span {
  double start, step, n, first, last;
  int64_t size;
};

static __device__ Span
make_span(double start, double bin, double n, int64_t size)
{
  Span s = {start, bin / n, n, 0, n, size};

  if (s.step > 0) {
    double first = floor((-1 - start) / s.step - 0.5) - 1;
    double last = ceil(((double)size - start) / s.step - 0.5) + 2;

    s.first = WITHIN(first, 0.0, n);
    s.last = WITHIN(last, s.first, n);
  }
  return s;
}

static __device__ bool
between(const Span &s, double i, int64_t *low, int64_t *high, double *t)
{
  double x = s.start + (i + 0.5) * s.step;

  if (!(x >= -1 && x <= (double)s.size))
    return false;
  x = MOST(x, 0.0);
  *low = LEAST((int64_t)x, s.size - 1);
  *high = LEAST(*low + 1, s.size - 1);
  *t = *high > *low ? x - (double)*low : 0;
  return true;
}

/* The largest is taken of the four weighted neighbours. Outside is zero. */
static __device__ double
sample(const float *plane, bool largest, const Span &v, const Span &h, double i, double j)
{
  int64_t row[2], column[2];
  double tv, th, sum = 0, most = -INFINITY;

  if (!between(v, i, &row[0], &row[1], &tv) || !between(h, j, &column[0], &column[1], &th))
    return 0;
  for (int k = 0; k < 4; k++) {
    double weight = (k / 2 ? tv : 1 - tv) * (k % 2 ? th : 1 - th);
    double value = weight * (double)plane[row[k / 2] * h.size + column[k % 2]];

    sum += value;
    most = MOST(most, value);
  }
  return largest ? most : sum;
}

/* An image or a region that is none gives zeros, as it comes at run time. */
INFER_KERNEL(THREADS)
infer_roialign(float *out, const float *data, const float *rois, const int64_t *images,
               const InferCudaRoiAlign args)
{
  uint32_t index = blockIdx.x * THREADS + threadIdx.x;

  if (index >= args.count)
    return;
  uint32_t rest = infer_cuda_divide(index, args.width);
  uint32_t j = index - rest * args.width.divisor;
  uint32_t plane = infer_cuda_divide(rest, args.height), i = rest - plane * args.height.divisor;
  uint32_t roi = infer_cuda_divide(plane, args.channels);
  uint32_t c = plane - roi * args.channels.divisor;
  const uint32_t at[2] = {i, j}, sizes[2] = {args.height.divisor, args.width.divisor};
  const int64_t in[2] = {args.in_height, args.in_width};
  double offset = args.half_pixel ? 0.5 : 0, sum = 0;
  int64_t image = images[roi];
  bool bad = image < 0 || image >= args.images;
  Span spans[2];

  /* Boxes are left, top, right, bottom; ours are rows, columns. */
  for (int k = 0; k < 2; k++) {
    double low = rois[(int64_t)roi * 4 + 1 - k], high = rois[(int64_t)roi * 4 + 3 - k];
    double start = low * args.scale - offset, size = high * args.scale - offset - start;

    bad = bad || !(fabs(low) < INFINITY) || !(fabs(high) < INFINITY);
    if (!args.half_pixel)
      size = MOST(size, 1.0);
    double bin = size / (double)sizes[k], n = args.ratio > 0 ? (double)args.ratio : ceil(bin);

    n = MOST(n, 0.0);
    spans[k] = make_span(start + (double)at[k] * bin, bin, n, in[k]);
  }
  if (bad) {
    out[index] = 0;
    return;
  }
  const Span &v = spans[0], &h = spans[1];
  const float *source = data + (image * args.channels.divisor + c) * in[0] * in[1];
  bool all = v.first == 0 && h.first == 0 && v.last == v.n && h.last == h.n;
  double most = all ? -INFINITY : 0;

  for (double y = v.first; y < v.last; y++)
    for (double x = h.first; x < h.last; x++) {
      double value = sample(source, args.largest, v, h, y, x);

      sum += value;
      most = MOST(most, value);
    }
  out[index] = v.n * h.n == 0 ? 0 : (float)(args.largest ? most : sum / (v.n * h.n));
}

/* --- GridSample --- */

enum { NEAREST, LINEAR, CUBIC };
enum { ZEROS, BORDER, REFLECTION };

static __device__ double
reflect(double x, double least, double most)
{
  double range = most - least, turns, rest;

  if (range <= 0)
    return least;
  if (x >= least && x <= most)
    return x;
  rest = fabs(x - least);
  turns = floor(rest / range);
  rest -= turns * range;
  return fmod(turns, 2.0) == 0 ? least + rest : most - rest;
}

/* From [-1, 1] to elements, moved inside where the padding says so. */
static __device__ double
coordinate(const InferCudaGridSample &s, int i, double x)
{
  double size = (double)s.in[i];
  double least = s.align ? 0 : -0.5, most = s.align ? size - 1 : size - 0.5;

  x = s.align ? (x + 1) / 2 * (size - 1) : ((x + 1) * size - 1) / 2;
  if (s.mode == NEAREST)
    x = rint(x);
  if (x >= least && x <= most)
    return x;
  if (s.padding == BORDER)
    x = s.mode == CUBIC ? WITHIN(x, -3.0, size + 2) : WITHIN(x, 0.0, size - 1);
  else if (s.padding == REFLECTION)
    x = reflect(x, least, most);
  return x > -4 && x < size + 4 ? x : s.padding == ZEROS ? -4 : 0;
}

/* The taps of one dimension: indices, -1 where there is zero, and weights. */
struct Taps {
  int n;
  int64_t at[4];
  double weight[4];
};

/* Keys' cubic with a = -0.75. */
static __device__ void
cubic_weights(double t, double *w)
{
  const double a = -0.75;
  double u = 1 - t;

  w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
  w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
  w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
  w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

static __device__ void
find_taps(const InferCudaGridSample &s, int i, double x, Taps *taps)
{
  double base = s.mode == NEAREST ? rint(x) : floor(x), t = x - base;
  int64_t first = (int64_t)base - (s.mode == CUBIC ? 1 : 0), size = s.in[i];

  taps->n = s.mode == NEAREST ? 1 : s.mode == LINEAR ? 2 : 4;
  taps->weight[0] = s.mode == NEAREST ? 1 : 1 - t;
  taps->weight[1] = t;
  if (s.mode == CUBIC)
    cubic_weights(t, taps->weight);
  for (int k = 0; k < taps->n; k++) {
    int64_t at = first + k;

    if (at < 0 || at >= size) {
      if (s.padding == REFLECTION)
        at = (int64_t)reflect((double)at, s.align ? 0 : -0.5, (double)size - (s.align ? 1 : 0.5));
      at = s.padding == ZEROS ? -1 : WITHIN(at, (int64_t)0, size - 1);
    }
    taps->at[k] = at;
  }
}

static __device__ double
gather(const InferCudaGridSample &s, const Taps *taps, const float *plane)
{
  double sum = 0;

  /* Dimensions that are missing have one tap at 0, the innermost ones. */
  for (int i = 0; i < taps[0].n; i++) {
    double outer = 0;

    if (taps[0].at[i] < 0)
      continue;
    for (int j = 0; j < taps[1].n; j++) {
      double inner = 0;

      if (taps[1].at[j] < 0)
        continue;
      for (int k = 0; k < taps[2].n; k++)
        if (taps[2].at[k] >= 0)
          inner +=
              taps[2].weight[k] *
              (double)plane[(taps[0].at[i] * s.in[1] + taps[1].at[j]) * s.in[2] + taps[2].at[k]];
      outer += taps[1].weight[j] * inner;
    }
    sum += taps[0].weight[i] * outer;
  }
  return sum;
}

INFER_KERNEL(THREADS)
infer_gridsample(float *out, const float *data, const float *grid, const InferCudaGridSample args)
{
  uint32_t index = blockIdx.x * THREADS + threadIdx.x;
  int64_t plane = args.in[0] * args.in[1] * args.in[2];
  Taps taps[INFER_CUDA_SPATIAL];

  if (index >= args.count)
    return;
  uint32_t image = infer_cuda_divide(index, args.positions);
  uint32_t position = index - image * args.positions.divisor;

  /* The grid gives the innermost coordinate first. */
  for (int i = 0; i < INFER_CUDA_SPATIAL; i++) {
    taps[i].n = 1;
    taps[i].at[0] = 0;
    taps[i].weight[0] = 1;
    if (i < args.n)
      find_taps(args, i,
                coordinate(args, i, (double)grid[(int64_t)index * args.n + args.n - 1 - i]),
                &taps[i]);
  }
  for (int64_t c = 0; c < args.channels; c++) {
    int64_t channel = image * args.channels + c;

    out[channel * args.positions.divisor + position] =
        (float)gather(args, taps, data + channel * plane);
  }
}
