/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/*
 * float16 (IEEE 754 binary16) and bfloat16 (the upper half of binary32) to and from float, in runs.
 *
 * Widening is exact. Narrowing rounds to nearest, ties to even; what lies beyond the greatest
 * number becomes an infinity. Not-a-number stays one, with its sign and the upper bits of its
 * payload, and becomes a quiet one. Neither depends on the processor's flags for denormal numbers.
 * The arrays do not overlap.
 */

/** infer_half_to_float: @n float16 to float. */
INFER_API void infer_half_to_float(const guint16 *restrict from, float *restrict to, gsize n);
/** infer_float_to_half: @n float to float16. */
INFER_API void infer_float_to_half(const float *restrict from, guint16 *restrict to, gsize n);
/** infer_bfloat_to_float: @n bfloat16 to float. */
INFER_API void infer_bfloat_to_float(const guint16 *restrict from, float *restrict to, gsize n);
/** infer_float_to_bfloat: @n float to bfloat16. */
INFER_API void infer_float_to_bfloat(const float *restrict from, guint16 *restrict to, gsize n);

/** infer_type_is_half: whether @type is one of the two. */
static inline gboolean
infer_type_is_half(InferType type)
{
  return type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16;
}

/** infer_widen_floats: @n elements of @type, one of the two, to float. */
INFER_API void infer_widen_floats(InferType type, gconstpointer from, float *to, gsize n);
/** infer_narrow_floats: @n float to @type, one of the two. */
INFER_API void infer_narrow_floats(InferType type, const float *from, gpointer to, gsize n);

G_END_DECLS
