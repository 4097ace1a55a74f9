/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "half.h"

#include <string.h>

/* A block of constant length is what compilers make vectors of at any level of optimization. */
#define BLOCK 32

#define RUN(ONE, FROM, TO)                                                                         \
  gsize i = 0;                                                                                     \
  for (; n - i >= BLOCK; i += BLOCK)                                                               \
    for (gsize k = 0; k < BLOCK; k++)                                                              \
      TO[i + k] = ONE(FROM[i + k]);                                                                \
  for (; i < n; i++)                                                                               \
  TO[i] = ONE(FROM[i])

static inline float
float_of(guint32 bits)
{
  float value;

  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline guint32
bits_of(float value)
{
  guint32 bits;

  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* All ones where the condition holds: a choice without a branch. */
#define MASK(CONDITION) (0u - (guint32)(CONDITION))

static inline float
half_float(guint16 half)
{
  const guint32 magnitude = half & 0x7fffu, sign = (guint32)(half & 0x8000u) << 16;
  guint32 bits = (magnitude << 13) + (112u << 23);

  /* The greatest exponent becomes the greatest one; numbers are made quiet. */
  bits += MASK(magnitude >= 0x7c00) & (112u << 23);
  bits |= MASK(magnitude > 0x7c00) & 0x400000u;
  {
    /* Without the implicit bit: 2^-14 is put before the mantissa and taken away again. */
    guint32 small = bits_of(float_of(bits + (1u << 23)) - 0x1p-14f);
    guint32 is_small = MASK(magnitude < 0x0400);

    bits = (small & is_small) | (bits & ~is_small);
  }
  return float_of(bits | sign);
}

static inline guint16
float_half(float value)
{
  const guint32 bits = bits_of(value), magnitude = bits & 0x7fffffffu;
  /* A carry out of the mantissa is the next exponent, and after the last one infinity. */
  guint32 half = (magnitude - (112u << 23) + 0x0fff + ((magnitude >> 13) & 1)) >> 13;
  /* Beside 1/2, the last bit of a float is the least float16; the addition rounds. */
  guint32 is_small = MASK(magnitude < (113u << 23));
  guint32 small = bits_of(float_of(magnitude & is_small) + 0.5f) - bits_of(0.5f);
  guint32 is_great = MASK(magnitude >= (143u << 23));
  guint32 is_nan = MASK(magnitude > (255u << 23));

  half = (small & is_small) | (half & ~is_small);
  half = (0x7c00u & is_great) | (half & ~is_great);
  half |= is_nan & (0x0200u | ((magnitude >> 13) & 0x03ffu));
  return (guint16)(half | (bits >> 16 & 0x8000u));
}

static inline float
bfloat_float(guint16 half)
{
  guint32 bits = (guint32)half << 16;

  return float_of(bits | (MASK((bits & 0x7fffffffu) > (255u << 23)) & 0x400000u));
}

static inline guint16
float_bfloat(float value)
{
  const guint32 bits = bits_of(value);
  guint32 is_nan = MASK((bits & 0x7fffffffu) > (255u << 23));
  guint32 rounded = bits + 0x7fff + ((bits >> 16) & 1);

  return (guint16)(((rounded & ~is_nan) | ((bits | 0x400000u) & is_nan)) >> 16);
}

void
infer_half_to_float(const guint16 *restrict from, float *restrict to, gsize n)
{
  RUN(half_float, from, to);
}

void
infer_float_to_half(const float *restrict from, guint16 *restrict to, gsize n)
{
  RUN(float_half, from, to);
}

void
infer_bfloat_to_float(const guint16 *restrict from, float *restrict to, gsize n)
{
  RUN(bfloat_float, from, to);
}

void
infer_float_to_bfloat(const float *restrict from, guint16 *restrict to, gsize n)
{
  RUN(float_bfloat, from, to);
}

void
infer_widen_floats(InferType type, gconstpointer from, float *to, gsize n)
{
  if (type == INFER_TYPE_FLOAT16)
    infer_half_to_float(from, to, n);
  else
    infer_bfloat_to_float(from, to, n);
}

void
infer_narrow_floats(InferType type, const float *from, gpointer to, gsize n)
{
  if (type == INFER_TYPE_FLOAT16)
    infer_float_to_half(from, to, n);
  else
    infer_float_to_bfloat(from, to, n);
}
