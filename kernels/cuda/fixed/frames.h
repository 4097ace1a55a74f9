/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared.h"

/*
 * How frames become images, as kernels/cpu/preprocess.h has it: sampling positions, weights and
 * where chroma lies are the same arithmetic, done per output element here.
 */

/** Weights of an output that are kept in shared memory; those of more are computed when read. */
#define INFER_CUDA_TAPS 16
#define INFER_CUDA_FRAME_X 32
#define INFER_CUDA_FRAME_Y 8

/* Numbered as InferFilter, InferCoordinates and the CPU's InferSiting are. */
#define INFER_CUDA_NEAREST 0
#define INFER_CUDA_BILINEAR 1
#define INFER_CUDA_AREA 2
#define INFER_CUDA_HALF_PIXEL 0
#define INFER_CUDA_ASYMMETRIC 1
#define INFER_CUDA_SITING_FULL 0
#define INFER_CUDA_SITING_COSITED 1
#define INFER_CUDA_SITING_CENTRED 2

/**
 * InferCudaAxis:
 * @in: pixels of the crop
 * @origin: pixel of the frame where it starts
 * @out: pixels that it is scaled to
 * @skip: of these, those before the first one in the image
 * @low: first element of the image that the frame covers
 * @high: one past the last
 * @samples: of luma, of chroma
 * @siting: of luma, of chroma
 */
typedef struct {
  int64_t in, origin, out, skip;
  int32_t low, high;
  int32_t samples[2], siting[2];
} InferCudaAxis;

/** InferCudaFrame: one frame. A component's sample i of a row is at @offset + i * @step, in
 *  samples of one byte or, with @ten_bits, two. */
typedef struct {
  const uint8_t *planes[3];
  int32_t strides[3];
  int32_t n_components, ten_bits, yuv;
  int32_t plane[3], offset[3], step[3], chroma[3];
  InferCudaAxis axes[2]; /* x, y */
  float matrix[12], black, weights[3];
} InferCudaFrame;

/** InferCudaFrames: what all frames of a call share. @swap: the network reads BGR. */
typedef struct {
  uint32_t width, height, channels;
  int32_t type, filter, coordinates, swap;
  int64_t stride_n, stride_c, stride_y, stride_x;
  float scale[3], bias[3], pad[3];
} InferCudaFrames;

/** Pixels of the crop that an output reads: of two, the second weighs @fraction; of more, what
 *  lies between @low and @high is averaged. */
typedef struct {
  int64_t first, count;
  double fraction, low, high;
} InferCudaWindow;

INFER_BOTH int
infer_cuda_averages(const InferCudaAxis *axis, int32_t filter)
{
  return filter == INFER_CUDA_AREA && axis->out < axis->in;
}

INFER_BOTH InferCudaWindow
infer_cuda_window_nearest(const InferCudaAxis *axis, int32_t coordinates, int64_t x)
{
  InferCudaWindow window = {0, 1, 0, 0, 0};

  if (coordinates == INFER_CUDA_HALF_PIXEL)
    window.first = (2 * x + 1) * axis->in / (2 * axis->out);
  else if (coordinates == INFER_CUDA_ASYMMETRIC)
    window.first = x * axis->in / axis->out;
  else if (axis->out > 1)
    window.first = (2 * x * (axis->in - 1) + axis->out - 1) / (2 * (axis->out - 1));
  if (window.first > axis->in - 1)
    window.first = axis->in - 1;
  return window;
}

INFER_BOTH InferCudaWindow
infer_cuda_window_bilinear(const InferCudaAxis *axis, int32_t coordinates, int64_t x)
{
  InferCudaWindow window = {0, 1, 0, 0, 0};
  double position = 0;

  if (coordinates == INFER_CUDA_HALF_PIXEL)
    position = (double)((2 * x + 1) * axis->in - axis->out) / (double)(2 * axis->out);
  else if (coordinates == INFER_CUDA_ASYMMETRIC)
    position = (double)(x * axis->in) / (double)axis->out;
  else if (axis->out > 1)
    position = (double)(x * (axis->in - 1)) / (double)(axis->out - 1);
  position = position < 0 ? 0 : position;
  position = position > (double)(axis->in - 1) ? (double)(axis->in - 1) : position;
  window.first = (int64_t)position;
  window.fraction = position - (double)window.first;
  window.count = window.fraction > 0 ? 2 : 1;
  return window;
}

/** infer_cuda_window: what output @i of those that the frame covers reads. */
INFER_BOTH InferCudaWindow
infer_cuda_frame_window(const InferCudaAxis *axis, int32_t filter, int32_t coordinates, int64_t i)
{
  InferCudaWindow window = {0, 0, 0, 0, 0};
  int64_t x = axis->skip + i;

  if (!infer_cuda_averages(axis, filter))
    return filter == INFER_CUDA_NEAREST ? infer_cuda_window_nearest(axis, coordinates, x)
                                        : infer_cuda_window_bilinear(axis, coordinates, x);
  window.first = x * axis->in / axis->out;
  window.count = ((x + 1) * axis->in - 1) / axis->out - window.first + 1;
  window.low = (double)(x * axis->in) / (double)axis->out;
  window.high = (double)((x + 1) * axis->in) / (double)axis->out;
  return window;
}

/* Of pixel @i of a window. */
INFER_BOTH double
infer_cuda_pixel_weight(const InferCudaAxis *axis, int32_t filter, const InferCudaWindow *window,
                        int64_t i)
{
  double low, high;

  if (window->count == 1)
    return 1;
  if (!infer_cuda_averages(axis, filter))
    return i ? window->fraction : 1 - window->fraction;
  low = (double)(window->first + i);
  high = low + 1;
  low = low > window->low ? low : window->low;
  high = high < window->high ? high : window->high;
  return (high - low) / (window->high - window->low);
}

/** infer_cuda_upsample: the samples that a pixel of the frame is made of: *@a, and the next one
 *  with the weight that is returned. @chroma: 0 or 1 */
INFER_BOTH double
infer_cuda_upsample(const InferCudaAxis *axis, int32_t chroma, int64_t pixel, int64_t *a)
{
  int64_t half = pixel >> 1;
  double fraction;

  if (axis->siting[chroma] == INFER_CUDA_SITING_FULL) {
    *a = pixel;
    return 0;
  }
  if (axis->siting[chroma] == INFER_CUDA_SITING_COSITED) {
    *a = half;
    fraction = pixel & 1 ? 0.5 : 0;
  } else {
    *a = pixel & 1 ? half : half - 1;
    fraction = pixel & 1 ? 0.25 : 0.75;
  }
  if (*a < 0) {
    *a = 0;
    return 0;
  }
  return *a < axis->samples[chroma] - 1 ? fraction : 0;
}

/** infer_cuda_window_samples: first sample that a window reads. Returns: how many. */
INFER_BOTH int32_t
infer_cuda_window_samples(const InferCudaAxis *axis, int32_t chroma, const InferCudaWindow *window,
                          int32_t *first)
{
  int64_t start, end;

  infer_cuda_upsample(axis, chroma, axis->origin + window->first, &start);
  if (infer_cuda_upsample(axis, chroma, axis->origin + window->first + window->count - 1, &end) > 0)
    end++;
  *first = (int32_t)start;
  return (int32_t)(end - start + 1);
}

/** infer_cuda_sample_weight: of a sample, over all pixels of the window that it is a part of. */
INFER_BOTH double
infer_cuda_sample_weight(const InferCudaAxis *axis, int32_t filter, int32_t chroma,
                         const InferCudaWindow *window, int64_t sample)
{
  int64_t first = axis->origin + window->first, last = first + window->count - 1;
  double sum = 0;

  if (axis->siting[chroma] == INFER_CUDA_SITING_FULL)
    return infer_cuda_pixel_weight(axis, filter, window, sample - first);
  /* A sample reaches at most two pixels to each side. */
  for (int64_t pixel = 2 * sample - 2; pixel <= 2 * sample + 3; pixel++) {
    int64_t a;
    double second, weight;

    if (pixel < first || pixel > last)
      continue;
    second = infer_cuda_upsample(axis, chroma, pixel, &a);
    weight = infer_cuda_pixel_weight(axis, filter, window, pixel - first);
    if (a == sample)
      sum += weight * (1 - second);
    else if (a + 1 == sample)
      sum += weight * second;
  }
  return sum;
}
