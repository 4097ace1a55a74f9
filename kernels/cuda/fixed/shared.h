/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * What host and device code share: arguments of kernels and the arithmetic of indices. Compiled as
 * C by the host's compiler and as C++ by nvcc, so that tests run the same functions without a GPU.
 */

#ifdef __CUDACC__
#define INFER_BOTH static inline __host__ __device__
#else
#define INFER_BOTH static inline
#endif

/* Element types, numbered as InferType is. */
#define INFER_CUDA_FLOAT 1
#define INFER_CUDA_UINT8 2
#define INFER_CUDA_INT8 3
#define INFER_CUDA_UINT16 4
#define INFER_CUDA_INT16 5
#define INFER_CUDA_INT32 6
#define INFER_CUDA_INT64 7
#define INFER_CUDA_BOOL 9
#define INFER_CUDA_HALF 10
#define INFER_CUDA_DOUBLE 11
#define INFER_CUDA_UINT32 12
#define INFER_CUDA_UINT64 13
#define INFER_CUDA_BFLOAT 16

/** The most dimensions of a copy: a Tile has two for each of a tensor. */
#define INFER_CUDA_DIMS 16
/** Elements of one launch stay below this, for division by multiplication. */
#define INFER_CUDA_MOST 0x7fffffff

/** InferCudaDivisor: division of numbers below 2^31 by a constant (Granlund, Montgomery 1994).
 *  An empty dimension divides as 1, as nothing is done along it. */
typedef struct {
  uint32_t divisor, multiplier, shift;
} InferCudaDivisor;

INFER_BOTH InferCudaDivisor
infer_cuda_divisor(uint32_t divisor)
{
  InferCudaDivisor d = {divisor > 0 ? divisor : 1, 0, 0};

  divisor = d.divisor;
  while (d.shift < 32 && ((uint64_t)1 << d.shift) < divisor)
    d.shift++;
  d.multiplier =
      (uint32_t)((((uint64_t)1 << 32) * (((uint64_t)1 << d.shift) - divisor)) / divisor + 1);
  return d;
}

INFER_BOTH uint32_t
infer_cuda_divide(uint32_t n, InferCudaDivisor d)
{
#ifdef __CUDA_ARCH__
  return (__umulhi(n, d.multiplier) + n) >> d.shift;
#else
  return ((uint32_t)(((uint64_t)n * d.multiplier) >> 32) + n) >> d.shift;
#endif
}

/**
 * InferCudaCopyArgs: a strided copy.
 * @count: elements
 * @n: dimensions, outermost first
 *
 * Strides are in elements of the kernel's size.
 */
typedef struct {
  uint32_t count;
  int32_t n;
  InferCudaDivisor dims[INFER_CUDA_DIMS];
  int64_t src[INFER_CUDA_DIMS], dst[INFER_CUDA_DIMS];
} InferCudaCopyArgs;

INFER_BOTH void
infer_cuda_copy_offsets(const InferCudaCopyArgs *args, uint32_t index, int64_t *src, int64_t *dst)
{
  int64_t from = 0, to = 0;

  for (int32_t i = args->n - 1; i > 0; i--) {
    uint32_t rest = infer_cuda_divide(index, args->dims[i]);
    int64_t at = index - rest * args->dims[i].divisor;

    from += at * args->src[i];
    to += at * args->dst[i];
    index = rest;
  }
  *src = from + index * args->src[0];
  *dst = to + index * args->dst[0];
}

/** Sides of a tile of a transpose, in elements. */
#define INFER_CUDA_TILE(size) ((size) <= 2 ? 64 : 32)
#define INFER_CUDA_TILE_THREADS 256

/**
 * InferCudaTransposeArgs: a copy of matrices whose source is dense along rows, and whose
 * destination is dense along columns.
 * @rows: elements along the axis that is dense in the source
 * @columns: elements along the axis that is dense in the destination
 * @src_column: distance of two columns in the source
 * @dst_row: distance of two rows in the destination
 * @tiles_r: tiles along the rows
 * @tiles_c: tiles along the columns
 * @wide_src: columns of the source start at multiples of 16 bytes
 * @wide_dst: rows of the destination do
 * @n: dimensions around
 */
typedef struct {
  uint32_t rows, columns;
  int64_t src_column, dst_row;
  InferCudaDivisor tiles_r, tiles_c;
  int32_t wide_src, wide_dst;
  int32_t n;
  InferCudaDivisor dims[INFER_CUDA_DIMS];
  int64_t src[INFER_CUDA_DIMS], dst[INFER_CUDA_DIMS];
} InferCudaTransposeArgs;

/** InferCudaPadArgs: see engine/ops/pad.c; per axis of the output. */
typedef struct {
  uint32_t count;
  int32_t n, mode; /* constant, reflect, edge, wrap */
  InferCudaDivisor dims[8];
  int64_t in[8], before[8], first[8], left[8];
  int64_t src[8], dst[8];
  uint32_t size;
} InferCudaPadArgs;

/** infer_cuda_pad_source: the input element that output element @o shows; -1 for the constant. */
INFER_BOTH int64_t
infer_cuda_pad_source(int32_t mode, int64_t in, int64_t before, int64_t first, int64_t left,
                      int64_t o)
{
  int64_t i = o - before, period = mode == 1 ? 2 * (left - 1) : left;

  if (mode == 0)
    return i >= 0 && i < in ? i : -1;
  i -= first;
  if (mode == 2)
    return first + (i < 0 ? 0 : i < left ? i : left - 1);
  if (left == 1)
    return first;
  i %= period;
  i = i < 0 ? i + period : i;
  return first + (i < left ? i : period - i);
}

/**
 * InferCudaGatherArgs: rows of a matrix stack, chosen by indices.
 * @count: elements of the output
 * @width: elements of what one index chooses
 * @n_indices: indices of a stack
 * @rows: what indices choose from
 * @wide: indices are 64-bit
 *
 * out[stack][index][width] = in[stack][indices[index]][width], or 0 where an index is out of range
 */
typedef struct {
  uint32_t count, size;
  InferCudaDivisor width, n_indices;
  int64_t rows;
  int32_t wide;
} InferCudaGatherArgs;

/**
 * InferCudaElementsArgs: GatherElements and ScatterElements.
 * @count: indices
 * @dims: of the indices
 * @strides: of the data, 0 along the axis
 * @step: of the data along the axis
 * @axis_size: what indices choose from
 */
typedef struct {
  uint32_t count, size;
  int32_t n, wide;
  InferCudaDivisor dims[8];
  int64_t strides[8];
  int64_t step, axis_size;
} InferCudaElementsArgs;

INFER_BOTH int64_t
infer_cuda_elements_base(const InferCudaElementsArgs *args, uint32_t index)
{
  int64_t at = 0;

  for (int32_t i = args->n - 1; i > 0; i--) {
    uint32_t rest = infer_cuda_divide(index, args->dims[i]);

    at += (int64_t)(index - rest * args->dims[i].divisor) * args->strides[i];
    index = rest;
  }
  return args->n > 0 ? at + (int64_t)index * args->strides[0] : 0;
}

/**
 * InferCudaNdArgs: GatherND and ScatterND.
 * @rows: indices of a batch
 * @depth: axes of an index
 * @width: elements that one chooses
 * @pitch: elements of the data of a batch
 */
typedef struct {
  uint32_t count, size;
  InferCudaDivisor width, rows;
  int32_t depth, wide;
  int64_t pitch;
  int64_t dims[8], strides[8];
} InferCudaNdArgs;

/** InferCudaScatterArgs: @count elements of data in rows of @width, each of which may have been
 *  chosen by updates; the number of an element type, and none, add, mul, max or min. */
typedef struct {
  uint32_t count;
  InferCudaDivisor width;
  int32_t type, reduction;
  uint32_t size;
} InferCudaScatterArgs;

/** InferCudaWhereArgs: strides of the condition, of both values, and of the output. */
typedef struct {
  uint32_t count, size;
  int32_t n;
  InferCudaDivisor dims[8];
  int64_t strides[4][8];
} InferCudaWhereArgs;

/** InferCudaOneHotArgs: out[outer][depth][inner]; indices of @type. */
typedef struct {
  uint32_t count, size;
  InferCudaDivisor inner, depth;
  int32_t type;
} InferCudaOneHotArgs;

/** InferCudaCastArgs: a strided copy that converts, between numbers of element types. */
typedef struct {
  InferCudaCopyArgs copy;
  int32_t from, to;
} InferCudaCastArgs;
