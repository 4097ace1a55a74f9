/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Loops over floats, compiled once per instruction set (simd.c). They are compiled without
 * contraction to fused multiply-add, so that an element's bits do not depend on whether it falls
 * into a vector or into the rest, and with it on how work is split. */

typedef enum {
  INFER_CPU_UNARY_CLIP, /* alpha: least, beta: greatest */
  INFER_CPU_UNARY_LEAKY_RELU,
  INFER_CPU_UNARY_SIGMOID,
  INFER_CPU_UNARY_TANH,
  INFER_CPU_UNARY_EXP,
  INFER_CPU_UNARY_LOG,
  INFER_CPU_UNARY_SQRT,
  INFER_CPU_UNARY_ABS,
  INFER_CPU_UNARY_NEG,
  INFER_CPU_UNARY_RECIPROCAL,
  INFER_CPU_UNARY_FLOOR,
  INFER_CPU_UNARY_CEIL,
  INFER_CPU_UNARY_ROUND, /* to even */
  INFER_CPU_UNARY_ELU,
  INFER_CPU_UNARY_SELU,         /* beta * (x > 0 ? x : alpha * (exp(x) - 1)) */
  INFER_CPU_UNARY_HARD_SIGMOID, /* clip(alpha * x + beta, 0, 1) */
  INFER_CPU_UNARY_HARD_SWISH,   /* x * clip(alpha * x + beta, 0, 1) */
  INFER_CPU_UNARY_SWISH,        /* x * sigmoid(alpha * x) */
  INFER_CPU_UNARY_SOFTPLUS,
  INFER_CPU_UNARY_SOFTSIGN,
  INFER_CPU_UNARY_MISH,
  INFER_CPU_UNARY_ERF,
  INFER_CPU_UNARY_GELU_ERF,
  INFER_CPU_UNARY_GELU_TANH,
  INFER_CPU_UNARY_LINEAR, /* alpha * x + beta */
} InferCpuUnary;

typedef enum {
  INFER_CPU_BINARY_ADD,
  INFER_CPU_BINARY_SUB,
  INFER_CPU_BINARY_MUL,
  INFER_CPU_BINARY_DIV,
  INFER_CPU_BINARY_MAX,
  INFER_CPU_BINARY_MIN,
  INFER_CPU_BINARY_PRELU,
} InferCpuBinary;

/**
 * InferCpuKernels:
 * @unary: dst[i] = op(src[i])
 * @binary: dst[i] = op(a[i * a_step], b[i * b_step])
 * @max: acc[i] = max(acc[i], src[i])
 * @add: acc[i] += src[i]
 * @scale: dst[i] = src[i] * factor
 * @affine: dst[i] = src[i] * scale[i] + shift[i]
 * @lerp: dst[i] = a[i] * (1 - t) + b[i] * t
 * @softmax: softmax (or its logarithm) of a dense row
 */
typedef struct {
  void (*unary)(InferCpuUnary op, float *dst, const float *src, gint64 n, float alpha, float beta);
  void (*binary)(InferCpuBinary op, float *dst, const float *a, gint64 a_step, const float *b,
                 gint64 b_step, gint64 n);
  void (*max)(float *acc, const float *src, gint64 n);
  void (*add)(float *acc, const float *src, gint64 n);
  void (*scale)(float *dst, const float *src, float factor, gint64 n);
  void (*affine)(float *dst, const float *src, const float *scale, const float *shift, gint64 n);
  void (*lerp)(float *dst, const float *a, const float *b, float t, gint64 n);
  void (*softmax)(float *dst, const float *src, gint64 n, gboolean logarithm);
} InferCpuKernels;

extern const InferCpuKernels infer_cpu_kernels_base;
extern const InferCpuKernels infer_cpu_kernels_avx2;
extern const InferCpuKernels infer_cpu_kernels_avx512;

G_END_DECLS
