/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.cuh"
#include "frames.h"
#include "number.h"

/* Frames to images: a thread per pixel of the network's image, all frames of a batch at once. */

#define X INFER_CUDA_FRAME_X
#define Y INFER_CUDA_FRAME_Y

/* What one column or row of a block reads. */
struct FrameTaps {
  int32_t first, count;
  float weights[INFER_CUDA_TAPS];
};

struct FrameBlock {
  FrameTaps columns[2][X], rows[2][Y]; /* of luma, of chroma */
};

static __device__ void
make_taps(FrameTaps *taps, const InferCudaAxis &axis, const InferCudaFrames &all, int32_t chroma,
          int32_t at)
{
  taps->count = 0;
  if (at < axis.low || at >= axis.high)
    return;
  InferCudaWindow window =
      infer_cuda_frame_window(&axis, all.filter, all.coordinates, at - axis.low);

  taps->count = infer_cuda_window_samples(&axis, chroma, &window, &taps->first);
  for (int32_t i = 0; i < taps->count && i < INFER_CUDA_TAPS; i++)
    taps->weights[i] = (float)infer_cuda_sample_weight(&axis, all.filter, chroma, &window,
                                                       (int64_t)taps->first + i);
}

/* The weight of sample @i, which may be beyond those that are kept. */
static __device__ __forceinline__ float
tap_weight(const FrameTaps &taps, const InferCudaAxis &axis, const InferCudaFrames &all,
           int32_t chroma, int32_t at, int32_t i)
{
  if (i < INFER_CUDA_TAPS)
    return taps.weights[i];
  InferCudaWindow window =
      infer_cuda_frame_window(&axis, all.filter, all.coordinates, at - axis.low);

  return (float)infer_cuda_sample_weight(&axis, all.filter, chroma, &window,
                                         (int64_t)taps.first + i);
}

static __device__ float
read_component(const InferCudaFrame &frame, const InferCudaFrames &all, const FrameTaps &columns,
               const FrameTaps &rows, int32_t component, int32_t x, int32_t y)
{
  int32_t plane = frame.plane[component], chroma = frame.chroma[component];
  int32_t step = frame.step[component];
  const uint8_t *row = frame.planes[plane] + (int64_t)rows.first * frame.strides[plane];
  int64_t offset = (int64_t)columns.first * step + frame.offset[component];
  float sum = 0;

  for (int32_t j = 0; j < rows.count; j++, row += frame.strides[plane]) {
    float line = 0;

    for (int32_t i = 0; i < columns.count; i++) {
      float weight = tap_weight(columns, frame.axes[0], all, chroma, x, i);
      int64_t at = offset + (int64_t)i * step;
      /* Ten bits at the top of two bytes, least byte first. */
      float sample = frame.ten_bits ? (float)((row[2 * at] | (uint32_t)row[2 * at + 1] << 8) >> 6)
                                    : (float)row[at];

      line += weight * sample;
    }
    sum += tap_weight(rows, frame.axes[1], all, chroma, y, j) * line;
  }
  return sum;
}

static __device__ __forceinline__ float
clamp255(float value)
{
  value = value > 0.0f ? value : 0.0f;
  return value < 255.0f ? value : 255.0f;
}

/* Samples to R, G, B of 0 to 255; gray in all three. */
static __device__ void
to_colors(const InferCudaFrame &frame, const InferCudaFrames &all, float *v)
{
  const float *m = frame.matrix;
  float a = v[0], b = v[1], c = v[2];

  if (frame.n_components == 1) {
    v[0] = v[1] = v[2] = clamp255(a * m[0] + frame.black);
  } else if (frame.yuv) {
    for (int i = 0; i < 3; i++)
      v[i] = clamp255(m[4 * i] * a + m[4 * i + 1] * b + m[4 * i + 2] * c + m[4 * i + 3]);
  } else if (all.channels == 1) {
    v[0] = frame.weights[0] * a + frame.weights[1] * b + frame.weights[2] * c;
  }
}

static __device__ __forceinline__ void
store(void *data, int64_t at, const InferCudaFrames &all, uint32_t channel, float value)
{
  value = value * all.scale[channel] + all.bias[channel];
  if (all.type == INFER_CUDA_FLOAT)
    ((float *)data)[at] = value;
  else if (all.type == INFER_CUDA_UINT8)
    ((uint8_t *)data)[at] = (uint8_t)(int32_t)(clamp255(value) + 0.5f);
  else if (all.type == INFER_CUDA_HALF)
    ((uint16_t *)data)[at] = number_small((double)value, 10, 5);
  else
    ((uint16_t *)data)[at] = number_small((double)value, 7, 8);
}

INFER_KERNEL(X *Y)
infer_frames(void *data, const InferCudaFrame *frames, const InferCudaFrames all)
{
  __shared__ FrameBlock block;
  const InferCudaFrame &frame = frames[blockIdx.z];
  int32_t column = threadIdx.x % X, line = threadIdx.x / X;
  int32_t x0 = (int32_t)(blockIdx.x * X), y0 = (int32_t)(blockIdx.y * Y);
  int32_t x = x0 + column, y = y0 + line;

  /* A line of threads each for columns and rows of luma and chroma. */
  if (line < 2)
    make_taps(&block.columns[line][column], frame.axes[0], all, line, x);
  else if (line < 4 && column < Y)
    make_taps(&block.rows[line - 2][column], frame.axes[1], all, line - 2, y0 + column);
  __syncthreads();
  if (x >= (int32_t)all.width || y >= (int32_t)all.height)
    return;
  bool inside = block.columns[0][column].count > 0 && block.rows[0][line].count > 0;
  float v[3] = {0, 0, 0};

  for (int32_t i = 0; inside && i < frame.n_components; i++)
    v[i] = read_component(frame, all, block.columns[frame.chroma[i]][column],
                          block.rows[frame.chroma[i]][line], i, x, y);
  if (inside)
    to_colors(frame, all, v);
  int64_t at = blockIdx.z * all.stride_n + y * all.stride_y + x * all.stride_x;

  for (uint32_t c = 0; c < all.channels; c++)
    store(data, at + c * all.stride_c, all, c, inside ? v[all.swap ? 2 - c : c] : all.pad[c]);
}
