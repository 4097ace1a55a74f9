/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/*
 * Floating point of 16 bits and fewer, one number at a time: float16, bfloat16, the four float8,
 * float8e8m0 and float4e2m1.
 *
 * Sources: IEEE 754-2019; "FP8 Formats for Deep Learning" (Micikevicius et al., 2022) for e4m3fn
 * and e5m2; "8-bit Numerical Formats for Deep Neural Networks" (Noune et al., 2022) for the fnuz
 * ones; OCP Microscaling Formats (MX) 1.0 for e2m1 and e8m0.
 */

/** InferRounding: of float8e8m0 alone; everything else rounds to nearest, ties to even.
 * @INFER_ROUND_UP: away from zero
 * @INFER_ROUND_DOWN: towards zero
 * @INFER_ROUND_NEAREST: to the nearest power of two, ties away from zero */
typedef enum {
  INFER_ROUND_UP,
  INFER_ROUND_DOWN,
  INFER_ROUND_NEAREST,
} InferRounding;

/** infer_type_is_small_float: whether @type is one of those above. */
gboolean infer_type_is_small_float(InferType type);

/** infer_small_float_decode: the number that @code means. */
double infer_small_float_decode(InferType type, guint code);

/**
 * infer_small_float_encode:
 * @type: one of those above
 * @value: the number; rounded once
 * @saturate: what is too great becomes the greatest number, infinities too; else an infinity, or
 *   not-a-number where the type has none. float16 and bfloat16 never saturate, float4e2m1 always.
 *
 * ONNX's Cast. Not-a-number keeps its sign where the type has two of them; float4e2m1, which has
 * none, gets its negative zero, as in ONNX's tests.
 *
 * Returns: the code.
 */
guint infer_small_float_encode(InferType type, double value, gboolean saturate,
                               InferRounding rounding);

G_END_DECLS
