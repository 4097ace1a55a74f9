/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"
#include "number.h"

/* Conversions as engine/ops/cast.c has them. */

#define THREADS 256
#define EACH 4

/* Numbers below an integer type's range saturate, and what is not a number gives 0. */
template <typename D>
static __device__ __forceinline__ D
saturate(double value, double low, double high, D least, D most)
{
  if (value != value)
    return 0;
  if (value <= low)
    return least;
  return value >= high ? most : (D)value;
}

template <typename D> struct To {
};

#define TO_INTEGER(T, LOW, HIGH)                                                                   \
  template <> struct To<T> {                                                                       \
    static __device__ __forceinline__ T real(double x)                                             \
    {                                                                                              \
      return saturate<T>(x, (double)(LOW), (double)(HIGH), LOW, HIGH);                             \
    }                                                                                              \
    template <typename S> static __device__ __forceinline__ T number(S x)                          \
    {                                                                                              \
      return (T)x;                                                                                 \
    }                                                                                              \
  };

TO_INTEGER(int8_t, -128, 127)
TO_INTEGER(int16_t, -32768, 32767)
TO_INTEGER(int32_t, (-2147483647 - 1), 2147483647)
TO_INTEGER(int64_t, (-9223372036854775807LL - 1), 9223372036854775807LL)
TO_INTEGER(uint8_t, 0, 255)
TO_INTEGER(uint16_t, 0, 65535)
TO_INTEGER(uint32_t, 0, 4294967295u)
TO_INTEGER(uint64_t, 0, 18446744073709551615ULL)

/* What a type is in memory, and the number that it stands for. */
struct Half {
  uint16_t bits;
};
struct Bfloat {
  uint16_t bits;
};
struct Bool {
  uint8_t bits;
};

template <typename S, typename D> struct Convert {
  static __device__ __forceinline__ D of(S x)
  {
    return To<D>::number(x);
  }
};

/* From floats: through the double, which holds each of them. */
#define FROM_REAL(S, VALUE)                                                                        \
  template <typename D> struct Convert<S, D> {                                                     \
    static __device__ __forceinline__ D of(S x)                                                    \
    {                                                                                              \
      return To<D>::real((double)(VALUE));                                                         \
    }                                                                                              \
  };

FROM_REAL(float, x)
FROM_REAL(double, x)
FROM_REAL(Half, number_from_half(x.bits))
FROM_REAL(Bfloat, number_from_bfloat(x.bits))

template <typename D> struct Convert<Bool, D> {
  static __device__ __forceinline__ D of(Bool x)
  {
    return To<D>::number((uint8_t)(x.bits != 0));
  }
};

template <> struct To<float> {
  static __device__ __forceinline__ float real(double x)
  {
    return (float)x;
  }
  template <typename S> static __device__ __forceinline__ float number(S x)
  {
    return (float)x;
  }
};

template <> struct To<double> {
  static __device__ __forceinline__ double real(double x)
  {
    return x;
  }
  template <typename S> static __device__ __forceinline__ double number(S x)
  {
    return (double)x;
  }
};

#define TO_SMALL(T, MANTISSA, EXPONENT)                                                            \
  template <> struct To<T> {                                                                       \
    static __device__ __forceinline__ T real(double x)                                             \
    {                                                                                              \
      T y = {number_small(x, MANTISSA, EXPONENT)};                                                 \
      return y;                                                                                    \
    }                                                                                              \
    template <typename S> static __device__ __forceinline__ T number(S x)                          \
    {                                                                                              \
      return real((double)x);                                                                      \
    }                                                                                              \
  };

TO_SMALL(Half, 10, 5)
TO_SMALL(Bfloat, 7, 8)

template <> struct To<Bool> {
  static __device__ __forceinline__ Bool real(double x)
  {
    Bool y = {(uint8_t)(x != 0)};
    return y;
  }
  template <typename S> static __device__ __forceinline__ Bool number(S x)
  {
    Bool y = {(uint8_t)(x != 0)};
    return y;
  }
};

template <typename S, typename D>
static __device__ __forceinline__ void
cast_all(D *dst, const S *src, const InferCudaCopyArgs &args)
{
  uint32_t first = blockIdx.x * (THREADS * EACH) + threadIdx.x;

  for (uint32_t k = 0; k < EACH; k++) {
    uint32_t i = first + k * THREADS;
    int64_t from, to;

    if (i >= args.count)
      return;
    infer_cuda_copy_offsets(&args, i, &from, &to);
    dst[to] = Convert<S, D>::of(src[from]);
  }
}

template <typename S>
static __device__ void
cast_to(void *dst, const void *src, const InferCudaCastArgs &args)
{
  switch (args.to) {
#undef CASE
#define CASE(TYPE, D)                                                                              \
  case TYPE:                                                                                       \
    cast_all<S, D>((D *)dst, (const S *)src, args.copy);                                           \
    break
#define CASES                                                                                      \
  CASE(INFER_CUDA_FLOAT, float);                                                                   \
  CASE(INFER_CUDA_DOUBLE, double);                                                                 \
  CASE(INFER_CUDA_HALF, Half);                                                                     \
  CASE(INFER_CUDA_BFLOAT, Bfloat);                                                                 \
  CASE(INFER_CUDA_BOOL, Bool);                                                                     \
  CASE(INFER_CUDA_INT8, int8_t);                                                                   \
  CASE(INFER_CUDA_INT16, int16_t);                                                                 \
  CASE(INFER_CUDA_INT32, int32_t);                                                                 \
  CASE(INFER_CUDA_INT64, int64_t);                                                                 \
  CASE(INFER_CUDA_UINT8, uint8_t);                                                                 \
  CASE(INFER_CUDA_UINT16, uint16_t);                                                               \
  CASE(INFER_CUDA_UINT32, uint32_t);                                                               \
  CASE(INFER_CUDA_UINT64, uint64_t)
    CASES;
  }
}

#undef CASE
#define CASE(TYPE, S)                                                                              \
  case TYPE:                                                                                       \
    cast_to<S>(dst, src, args);                                                                    \
    break

INFER_KERNEL(THREADS)
infer_cast(void *dst, const void *src, const InferCudaCastArgs args)
{
  switch (args.from) {
    CASES;
  }
}

#undef CASE
