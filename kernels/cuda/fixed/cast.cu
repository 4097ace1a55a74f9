/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.cuh"
#include "number.h"

/*
 * Conversions as engine/ops/cast.c has them: any number by way of a double or of 64 bits, which
 * hold it whole, and the pairs that networks are full of straight.
 */

#define THREADS 256
#define EACH 4

/* Numbers beyond an integer type saturate, and what is not a number gives 0. */
template <typename D>
static __device__ __forceinline__ D
saturate(double value, D least, D most)
{
  if (value != value)
    return 0;
  if (value <= (double)least)
    return least;
  return value >= (double)most ? most : (D)value;
}

/* A number on its way. */
struct Number {
  double real;
  int64_t whole; /* its 64 bits where @kind is not REAL */
  enum { REAL, SIGNED, UNSIGNED } kind;
};

static __device__ Number
load(const void *data, int64_t at, int32_t type)
{
  Number n = {0, 0, Number::SIGNED};

  switch (type) {
#define REAL_CASE(TYPE, VALUE)                                                                     \
  case TYPE:                                                                                       \
    n.real = (double)(VALUE);                                                                      \
    n.kind = Number::REAL;                                                                         \
    break
#define WHOLE_CASE(TYPE, T)                                                                        \
  case TYPE:                                                                                       \
    n.whole = (int64_t)((const T *)data)[at];                                                      \
    break
    REAL_CASE(INFER_CUDA_FLOAT, ((const float *)data)[at]);
    REAL_CASE(INFER_CUDA_DOUBLE, ((const double *)data)[at]);
    REAL_CASE(INFER_CUDA_HALF, number_from_half(((const uint16_t *)data)[at]));
    REAL_CASE(INFER_CUDA_BFLOAT, number_from_bfloat(((const uint16_t *)data)[at]));
    WHOLE_CASE(INFER_CUDA_INT8, int8_t);
    WHOLE_CASE(INFER_CUDA_INT16, int16_t);
    WHOLE_CASE(INFER_CUDA_INT32, int32_t);
    WHOLE_CASE(INFER_CUDA_INT64, int64_t);
    WHOLE_CASE(INFER_CUDA_UINT8, uint8_t);
    WHOLE_CASE(INFER_CUDA_UINT16, uint16_t);
    WHOLE_CASE(INFER_CUDA_UINT32, uint32_t);
  case INFER_CUDA_BOOL:
    n.whole = ((const uint8_t *)data)[at] != 0;
    break;
  default:
    n.whole = ((const int64_t *)data)[at];
    n.kind = Number::UNSIGNED;
  }
  return n;
}

template <typename T>
static __device__ __forceinline__ T
to_real(const Number &n)
{
  if (n.kind == Number::REAL)
    return (T)n.real;
  return n.kind == Number::SIGNED ? (T)n.whole : (T)(uint64_t)n.whole;
}

/* Of an integer the high bits are dropped. */
template <typename T>
static __device__ __forceinline__ T
to_whole(const Number &n, T least, T most)
{
  return n.kind == Number::REAL ? saturate<T>(n.real, least, most) : (T)n.whole;
}

static __device__ void
put(void *data, int64_t at, int32_t type, const Number &n)
{
  switch (type) {
#define PUT(TYPE, T, VALUE)                                                                        \
  case TYPE:                                                                                       \
    ((T *)data)[at] = VALUE;                                                                       \
    break
    PUT(INFER_CUDA_FLOAT, float, to_real<float>(n));
    PUT(INFER_CUDA_DOUBLE, double, to_real<double>(n));
    PUT(INFER_CUDA_HALF, uint16_t, number_small(to_real<double>(n), 10, 5));
    PUT(INFER_CUDA_BFLOAT, uint16_t, number_small(to_real<double>(n), 7, 8));
    PUT(INFER_CUDA_BOOL, uint8_t, n.kind == Number::REAL ? n.real != 0 : n.whole != 0);
    PUT(INFER_CUDA_INT8, int8_t, to_whole<int8_t>(n, -128, 127));
    PUT(INFER_CUDA_INT16, int16_t, to_whole<int16_t>(n, -32768, 32767));
    PUT(INFER_CUDA_INT32, int32_t, to_whole<int32_t>(n, -2147483647 - 1, 2147483647));
    PUT(INFER_CUDA_INT64, int64_t,
        to_whole<int64_t>(n, -9223372036854775807LL - 1, 9223372036854775807LL));
    PUT(INFER_CUDA_UINT8, uint8_t, to_whole<uint8_t>(n, 0, 255));
    PUT(INFER_CUDA_UINT16, uint16_t, to_whole<uint16_t>(n, 0, 65535));
    PUT(INFER_CUDA_UINT32, uint32_t, to_whole<uint32_t>(n, 0, 4294967295u));
    PUT(INFER_CUDA_UINT64, uint64_t, to_whole<uint64_t>(n, 0, 18446744073709551615ULL));
  }
}

/* @move(to, from) for the elements of this thread. */
template <typename Move>
static __device__ __forceinline__ void
each(const InferCudaCopyArgs &args, Move move)
{
  uint32_t first = blockIdx.x * (THREADS * EACH) + threadIdx.x;

  for (uint32_t k = 0; k < EACH; k++) {
    uint32_t i = first + k * THREADS;
    int64_t from, to;

    if (i >= args.count)
      return;
    infer_cuda_copy_offsets(&args, i, &from, &to);
    move(to, from);
  }
}

INFER_KERNEL(THREADS)
infer_cast(void *dst, const void *src, const InferCudaCastArgs args)
{
  each(args.copy,
       [&](int64_t to, int64_t from) { put(dst, to, args.to, load(src, from, args.from)); });
}

#define DIRECT(NAME, S, D, VALUE)                                                                  \
  INFER_KERNEL(THREADS)                                                                            \
  infer_cast_##NAME(D *dst, const S *src, const InferCudaCastArgs args)                            \
  {                                                                                                \
    each(args.copy, [&](int64_t to, int64_t from) {                                                \
      S x = src[from];                                                                             \
      dst[to] = VALUE;                                                                             \
    });                                                                                            \
  }

DIRECT(float_half, float, uint16_t, number_half(x))
DIRECT(float_bfloat, float, uint16_t, number_bfloat(x))
DIRECT(half_float, uint16_t, float, number_from_half(x))
DIRECT(bfloat_float, uint16_t, float, number_from_bfloat(x))
DIRECT(uint8_float, uint8_t, float, (float)x)
DIRECT(uint8_half, uint8_t, uint16_t, number_half((float)x))
