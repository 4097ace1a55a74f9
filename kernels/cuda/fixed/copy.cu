/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.cuh"

/* Strided copies: by element, of up to 16 bytes, and by tiles where two orders cross. */

#define THREADS 256
#define EACH 4

template <typename T>
static __device__ __forceinline__ void
copy_elements(T *dst, const T *src, const InferCudaCopyArgs &args)
{
  uint32_t first = blockIdx.x * (THREADS * EACH) + threadIdx.x;

#pragma unroll
  for (uint32_t k = 0; k < EACH; k++) {
    uint32_t i = first + k * THREADS;
    int64_t from, to;

    if (i >= args.count)
      return;
    infer_cuda_copy_offsets(&args, i, &from, &to);
    dst[to] = src[from];
  }
}

#define COPY(SIZE, T)                                                                              \
  INFER_KERNEL(THREADS)                                                                            \
  infer_copy_##SIZE(T *dst, const T *src, const InferCudaCopyArgs args)                            \
  {                                                                                                \
    copy_elements(dst, src, args);                                                                 \
  }

COPY(1, uint8_t)
COPY(2, uint16_t)
COPY(4, uint32_t)
COPY(8, uint2)
COPY(16, uint4)

template <typename T> union Vector {
  uint4 all;
  T part[16 / sizeof(T)];
};

/*
 * One tile: read along the rows, written along the columns. The pitch of the tile is an odd number
 * of words, so that a column of it lies in different banks.
 */
template <typename T, int TILE>
static __device__ __forceinline__ void
copy_tile(T *dst, const T *src, const InferCudaTransposeArgs &args)
{
  constexpr int N = 16 / sizeof(T), GROUPS = TILE / N;
  constexpr int PITCH = sizeof(T) < 4 ? TILE + 4 / sizeof(T) : TILE + 1;
  __shared__ T tile[TILE * PITCH];
  uint32_t block = infer_cuda_divide(blockIdx.x, args.tiles_r);
  uint32_t r0 = (blockIdx.x - block * args.tiles_r.divisor) * TILE;
  uint32_t rest = infer_cuda_divide(block, args.tiles_c);
  uint32_t c0 = (block - rest * args.tiles_c.divisor) * TILE;

  for (int32_t i = args.n - 1; i >= 0; i--) {
    uint32_t outer = infer_cuda_divide(rest, args.dims[i]);
    int64_t at = rest - outer * args.dims[i].divisor;

    src += at * args.src[i];
    dst += at * args.dst[i];
    rest = outer;
  }
  for (uint32_t i = threadIdx.x; i < TILE * GROUPS; i += INFER_CUDA_TILE_THREADS) {
    uint32_t c = i / GROUPS, r = i % GROUPS * N;
    const T *from = src + (int64_t)(c0 + c) * args.src_column + r0 + r;

    if (c0 + c >= args.columns)
      continue;
    if (args.wide_src && r0 + r + N <= args.rows) {
      Vector<T> v;

      v.all = *(const uint4 *)from;
#pragma unroll
      for (int k = 0; k < N; k++)
        tile[c * PITCH + r + k] = v.part[k];
    } else {
      for (int k = 0; k < N && r0 + r + k < args.rows; k++)
        tile[c * PITCH + r + k] = from[k];
    }
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < TILE * GROUPS; i += INFER_CUDA_TILE_THREADS) {
    uint32_t r = i / GROUPS, c = i % GROUPS * N;
    T *to = dst + (int64_t)(r0 + r) * args.dst_row + c0 + c;

    if (r0 + r >= args.rows)
      continue;
    if (args.wide_dst && c0 + c + N <= args.columns) {
      Vector<T> v;

#pragma unroll
      for (int k = 0; k < N; k++)
        v.part[k] = tile[(c + k) * PITCH + r];
      *(uint4 *)to = v.all;
    } else {
      for (int k = 0; k < N && c0 + c + k < args.columns; k++)
        to[k] = tile[(c + k) * PITCH + r];
    }
  }
}

#define TRANSPOSE(SIZE, T)                                                                         \
  INFER_KERNEL(INFER_CUDA_TILE_THREADS)                                                            \
  infer_transpose_##SIZE(T *dst, const T *src, const InferCudaTransposeArgs args)                  \
  {                                                                                                \
    copy_tile<T, INFER_CUDA_TILE(SIZE)>(dst, src, args);                                           \
  }

TRANSPOSE(1, uint8_t)
TRANSPOSE(2, uint16_t)
TRANSPOSE(4, uint32_t)
TRANSPOSE(8, unsigned long long)

/* @count elements of @size bytes, all @value. */
INFER_KERNEL(THREADS)
infer_fill(void *dst, uint32_t count, uint32_t size, uint64_t value)
{
  uint32_t i = blockIdx.x * THREADS + threadIdx.x;

  if (i >= count)
    return;
  if (size == 1)
    ((uint8_t *)dst)[i] = (uint8_t)value;
  else if (size == 2)
    ((uint16_t *)dst)[i] = (uint16_t)value;
  else if (size == 4)
    ((uint32_t *)dst)[i] = (uint32_t)value;
  else
    ((uint64_t *)dst)[i] = value;
}
