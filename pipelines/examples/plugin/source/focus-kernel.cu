/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "focus-kernel.h"

#include <cuda_runtime.h>

template <typename T>
static __global__ void
focus(FocusShape s, const T *__restrict__ in, float *__restrict__ out, int64_t count)
{
  int64_t step = (int64_t)gridDim.x * blockDim.x;

  for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < count; at += step) {
    int64_t x = at % s.width, y = at / s.width % s.height;
    int64_t all = s.channels * s.block * s.block, k = at / (s.width * s.height) % all;
    int64_t n = at / (s.width * s.height * all);
    int64_t c = k % s.channels, i = k / s.channels / s.block, j = k / s.channels % s.block;
    int64_t row = (n * s.channels + c) * s.height * s.block + y * s.block + i;

    out[at] = (float)in[row * s.width * s.block + x * s.block + j] * s.scale[c] + s.shift[c];
  }
}

int
focus_launch(const FocusShape *s, const void *in, float *out, void *stream)
{
  const int threads = 256;
  int64_t count = s->rows * s->channels * s->block * s->block * s->height * s->width;
  int64_t blocks = (count + threads - 1) / threads;

  if (count == 0)
    return cudaSuccess;
  if (blocks > 65535)
    blocks = 65535;
  if (s->is_uint8)
    focus<<<(unsigned)blocks, threads, 0, (cudaStream_t)stream>>>(*s, (const unsigned char *)in, out,
                                                                  count);
  else
    focus<<<(unsigned)blocks, threads, 0, (cudaStream_t)stream>>>(*s, (const float *)in, out, count);
  return cudaGetLastError();
}
