/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "simd.h"
#include <math.h>

#ifndef INFER_CPU_KERNELS
#define INFER_CPU_KERNELS infer_cpu_kernels_base
#endif

typedef union {
  float f;
  guint32 u;
} Bits;

/* exp by x = n ln 2 + r with |r| <= ln 2 / 2 and the Taylor polynomial of degree 7 (relative error
 * 4e-9); 2^n is applied in two halves so that neither overflows and subnormals come out. */
static inline float
exp1(float x)
{
  float clamped = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
  Bits n = {.f = clamped * 1.44269504f + 12582912.0f};
  float whole = n.f - 12582912.0f;
  gint32 exponent = (gint32)(n.u - 0x4b400000u);
  float r = clamped - whole * 0.693145752f;
  r -= whole * 1.42860677e-6f;
  float p = 1.98412698e-4f;
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  gint32 half = exponent >> 1;
  Bits low = {.u = ((guint32)half + 127u) << 23};
  Bits high = {.u = ((guint32)(exponent - half) + 127u) << 23};
  return p * low.f * high.f;
}

static inline float
sigmoid1(float x)
{
  return 1.0f / (1.0f + exp1(-x));
}

/* Near 0 an odd polynomial (Cephes' coefficients), because 1 - 2 / (e + 1) cancels there. */
static inline float
tanh1(float x)
{
  float a = fabsf(x), s = x * x;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  float small = x + x * s * p;
  float large = copysignf(1.0f - 2.0f / (exp1(a + a) + 1.0f), x);
  return a < 0.625f ? small : a >= 0.625f ? large : x;
}

static inline float
expm1_1(float x)
{
  float small =
      x *
      (1.0f + x * (0.5f + x * (1.66666667e-1f +
                               x * (4.16666667e-2f + x * (8.33333333e-3f + x * 1.38888889e-3f)))));
  float large = exp1(x) - 1.0f;
  return fabsf(x) < 0.25f ? small : large;
}

static inline float
clip1(float x, float low, float high)
{
  x = x < low ? low : x;
  return x > high ? high : x;
}

static inline float
softplus1(float x)
{
  float rest = log1pf(expf(-fabsf(x)));
  return x > 0.0f ? x + rest : rest;
}

#define LOOP(EXPRESSION)                                                                           \
  _Pragma("omp simd") for (gint64 i = 0; i < n; i++)                                               \
  {                                                                                                \
    float x = src[i];                                                                              \
    dst[i] = (EXPRESSION);                                                                         \
  }                                                                                                \
  break

/* What calls into libm: no vectors. */
#define SCALAR_LOOP(EXPRESSION)                                                                    \
  for (gint64 i = 0; i < n; i++) {                                                                 \
    float x = src[i];                                                                              \
    dst[i] = (EXPRESSION);                                                                         \
  }                                                                                                \
  break

static void
unary(InferCpuUnary op, float *dst, const float *src, gint64 n, float alpha, float beta)
{
  switch (op) {
  case INFER_CPU_UNARY_CLIP:
    LOOP(clip1(x, alpha, beta));
  case INFER_CPU_UNARY_LEAKY_RELU:
    LOOP(x < 0.0f ? alpha * x : x);
  case INFER_CPU_UNARY_SIGMOID:
    LOOP(sigmoid1(x));
  case INFER_CPU_UNARY_TANH:
    LOOP(tanh1(x));
  case INFER_CPU_UNARY_EXP:
    LOOP(exp1(x));
  case INFER_CPU_UNARY_LOG:
    SCALAR_LOOP(logf(x));
  case INFER_CPU_UNARY_SQRT:
    LOOP(sqrtf(x));
  case INFER_CPU_UNARY_ABS:
    LOOP(fabsf(x));
  case INFER_CPU_UNARY_NEG:
    LOOP(-x);
  case INFER_CPU_UNARY_RECIPROCAL:
    LOOP(1.0f / x);
  case INFER_CPU_UNARY_FLOOR:
    LOOP(floorf(x));
  case INFER_CPU_UNARY_CEIL:
    LOOP(ceilf(x));
  case INFER_CPU_UNARY_ROUND:
    LOOP(rintf(x));
  case INFER_CPU_UNARY_ELU:
    LOOP(x < 0.0f ? alpha * expm1_1(x) : x);
  case INFER_CPU_UNARY_SELU:
    LOOP(beta * (x <= 0.0f ? alpha * expm1_1(x) : x));
  case INFER_CPU_UNARY_HARD_SIGMOID:
    LOOP(clip1(alpha * x + beta, 0.0f, 1.0f));
  case INFER_CPU_UNARY_HARD_SWISH:
    LOOP(x * clip1(alpha * x + beta, 0.0f, 1.0f));
  case INFER_CPU_UNARY_SWISH:
    LOOP(x / (1.0f + exp1(-alpha * x)));
  case INFER_CPU_UNARY_SOFTPLUS:
    SCALAR_LOOP(softplus1(x));
  case INFER_CPU_UNARY_SOFTSIGN:
    LOOP(x / (1.0f + fabsf(x)));
  case INFER_CPU_UNARY_MISH:
    SCALAR_LOOP(x * tanh1(softplus1(x)));
  case INFER_CPU_UNARY_ERF:
    SCALAR_LOOP(erff(x));
  case INFER_CPU_UNARY_GELU_ERF:
    SCALAR_LOOP(0.5f * x * (1.0f + erff(x * 0.707106781f)));
  case INFER_CPU_UNARY_GELU_TANH:
    LOOP(0.5f * x * (1.0f + tanh1(0.797884561f * (x + 0.044715f * x * x * x))));
  case INFER_CPU_UNARY_LINEAR:
    LOOP(alpha * x + beta);
  }
}

#define BINARY_LOOP(I, J, EXPRESSION)                                                              \
  _Pragma("omp simd") for (gint64 i = 0; i < n; i++)                                               \
  {                                                                                                \
    float x = a[I], y = b[J];                                                                      \
    dst[i] = (EXPRESSION);                                                                         \
  }

/* The usual steps get loops of their own, so that they become vectors. */
#define BINARY(EXPRESSION)                                                                         \
  if (a_step == 1 && b_step == 1) {                                                                \
    BINARY_LOOP(i, i, EXPRESSION)                                                                  \
  } else if (a_step == 1 && b_step == 0) {                                                         \
    BINARY_LOOP(i, 0, EXPRESSION)                                                                  \
  } else if (a_step == 0 && b_step == 1) {                                                         \
    BINARY_LOOP(0, i, EXPRESSION)                                                                  \
  } else {                                                                                         \
    for (gint64 i = 0; i < n; i++) {                                                               \
      float x = a[i * a_step], y = b[i * b_step];                                                  \
      dst[i] = (EXPRESSION);                                                                       \
    }                                                                                              \
  }                                                                                                \
  break

static void
binary(InferCpuBinary op, float *dst, const float *a, gint64 a_step, const float *b, gint64 b_step,
       gint64 n)
{
  switch (op) {
  case INFER_CPU_BINARY_ADD:
    BINARY(x + y);
  case INFER_CPU_BINARY_SUB:
    BINARY(x - y);
  case INFER_CPU_BINARY_MUL:
    BINARY(x * y);
  case INFER_CPU_BINARY_DIV:
    BINARY(x / y);
  case INFER_CPU_BINARY_MAX:
    BINARY(x > y || x != x ? x : y);
  case INFER_CPU_BINARY_MIN:
    BINARY(x < y || x != x ? x : y);
  case INFER_CPU_BINARY_PRELU:
    BINARY(x < 0.0f ? x * y : x);
  }
}

static void
maximum(float *acc, const float *src, gint64 n)
{
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    acc[i] = (src[i] > acc[i]) | (src[i] != src[i]) ? src[i] : acc[i];
}

static void
add(float *acc, const float *src, gint64 n)
{
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    acc[i] += src[i];
}

static void
scale(float *dst, const float *src, float factor, gint64 n)
{
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    dst[i] = src[i] * factor;
}

static void
affine(float *dst, const float *src, const float *scales, const float *shifts, gint64 n)
{
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    dst[i] = src[i] * scales[i] + shifts[i];
}

static void
lerp(float *dst, const float *a, const float *b, float t, gint64 n)
{
  float s = 1.0f - t;
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    dst[i] = a[i] * s + b[i] * t;
}

static void
softmax(float *dst, const float *src, gint64 n, gboolean logarithm)
{
  float largest = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : largest)
  for (gint64 i = 0; i < n; i++)
    largest = src[i] > largest ? src[i] : largest;
  if (logarithm) {
#pragma omp simd reduction(+ : sum)
    for (gint64 i = 0; i < n; i++)
      sum += exp1(src[i] - largest);
    float shift = logf(sum);
#pragma omp simd
    for (gint64 i = 0; i < n; i++)
      dst[i] = (src[i] - largest) - shift;
    return;
  }
#pragma omp simd reduction(+ : sum)
  for (gint64 i = 0; i < n; i++) {
    float e = exp1(src[i] - largest);
    dst[i] = e;
    sum += e;
  }
  float factor = 1.0f / sum;
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    dst[i] *= factor;
}

const InferCpuKernels INFER_CPU_KERNELS = {
    .unary = unary,
    .binary = binary,
    .max = maximum,
    .add = add,
    .scale = scale,
    .affine = affine,
    .lerp = lerp,
    .softmax = softmax,
};
