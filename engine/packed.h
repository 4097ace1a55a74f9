/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/*
 * Elements of 4 and 2 bits: the first element has the least bits of a byte, as in ONNX, and what
 * is left over in the last byte is zero.
 */

/** infer_packed_get: the bits of element @index, without a sign. */
static inline guint
infer_packed_get(guint bits, gconstpointer data, gsize index)
{
  const gsize per_byte = 8 / bits;

  return ((const guint8 *)data)[index / per_byte] >> (index % per_byte * bits) & ((1u << bits) - 1);
}

/** infer_packed_set: stores the least bits of @value as element @index. */
static inline void
infer_packed_set(guint bits, gpointer data, gsize index, guint value)
{
  const gsize per_byte = 8 / bits;
  const guint shift = (guint)(index % per_byte) * bits, mask = ((1u << bits) - 1) << shift;
  guint8 *byte = (guint8 *)data + index / per_byte;

  *byte = (guint8)((*byte & ~mask) | (value << shift & mask));
}

/** infer_packed_sign: @value of @bits bits as a two's complement number. */
static inline gint
infer_packed_sign(guint bits, guint value)
{
  const guint sign = 1u << (bits - 1);

  return (gint)(value ^ sign) - (gint)sign;
}

/** infer_unpack: @n elements of @type, of fewer than 8 bits, to one a byte; int4 and int2 with
 *  their sign. */
INFER_API void infer_unpack(InferType type, gconstpointer from, gpointer to, gsize n);
/** infer_pack: the least bits of @n bytes to elements of @type, of fewer than 8 bits. */
INFER_API void infer_pack(InferType type, gconstpointer from, gpointer to, gsize n);

G_END_DECLS
