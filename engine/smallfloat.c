/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "smallfloat.h"

#include <math.h>
#include <string.h>

/* Codes without the sign bit. */
typedef struct {
  guint exponent, mantissa; /* bits */
  gint bias;
  guint greatest;            /* the greatest finite number */
  guint infinity;            /* 0: none */
  guint nan;                 /* 0: none */
  gboolean no_negative_zero; /* whose code is not-a-number */
} Format;

static const Format formats[INFER_N_TYPES] = {
    [INFER_TYPE_FLOAT16] = {5, 10, 15, 0x7bff, 0x7c00, 0x7e00, FALSE},
    [INFER_TYPE_BFLOAT16] = {8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, FALSE},
    [INFER_TYPE_FLOAT8E4M3FN] = {4, 3, 7, 0x7e, 0, 0x7f, FALSE},
    [INFER_TYPE_FLOAT8E4M3FNUZ] = {4, 3, 8, 0x7f, 0, 0x80, TRUE},
    [INFER_TYPE_FLOAT8E5M2] = {5, 2, 15, 0x7b, 0x7c, 0x7e, FALSE},
    [INFER_TYPE_FLOAT8E5M2FNUZ] = {5, 2, 16, 0x7f, 0, 0x80, TRUE},
    [INFER_TYPE_FLOAT4E2M1] = {2, 1, 1, 0x7, 0, 0, FALSE},
};

gboolean
infer_type_is_small_float(InferType type)
{
  return type == INFER_TYPE_FLOAT8E8M0 ||
         ((guint)type < INFER_N_TYPES && formats[type].exponent != 0);
}

/* What not-a-number becomes where there is none: e2m1's negative zero. */
#define NO_NAN 0x8

static double
decode_e8m0(guint code)
{
  return code == 0xff ? (double)NAN : ldexp(1, (int)code - 127);
}

double
infer_small_float_decode(InferType type, guint code)
{
  const Format *f = &formats[type];
  guint bits = f->exponent + f->mantissa, magnitude, exponent, mantissa;
  double value;

  if (type == INFER_TYPE_FLOAT8E8M0)
    return decode_e8m0(code);
  if (f->no_negative_zero && code == f->nan)
    return (double)NAN;
  magnitude = code & ((1u << bits) - 1);
  exponent = magnitude >> f->mantissa;
  mantissa = magnitude & ((1u << f->mantissa) - 1);
  if (f->infinity && magnitude == f->infinity)
    value = (double)INFINITY;
  else if (magnitude > f->greatest)
    value = (double)NAN;
  else if (exponent == 0)
    value = ldexp(mantissa, 1 - f->bias - (int)f->mantissa);
  else
    value = ldexp(mantissa + (1u << f->mantissa), (int)exponent - f->bias - (int)f->mantissa);
  return code >> bits & 1 ? -value : value;
}

/* Powers of two from 2^-127 on, and 255. The sign is dropped. */
static guint
encode_e8m0(double value, gboolean saturate, InferRounding rounding)
{
  double fraction, magnitude = fabs(value);
  int exponent;

  if (isnan(value))
    return 0xff;
  if (isinf(value))
    return saturate ? 0xfe : 0xff;
  if (magnitude == 0)
    return saturate ? 0 : 0xff;
  /* From [1/2, 1) to [1, 2). */
  fraction = 2 * frexp(magnitude, &exponent);
  exponent += 126;
  if (rounding == INFER_ROUND_UP ? fraction > 1
                                 : rounding == INFER_ROUND_NEAREST && fraction >= 1.5)
    exponent++;
  if (exponent < 0)
    return saturate ? 0 : 0xff;
  if (exponent > 0xfe)
    return saturate ? 0xfe : 0xff;
  return (guint)exponent;
}

/* Rounds the magnitude of a finite number, without a limit above. */
static guint64
round_magnitude(const Format *f, guint64 bits)
{
  gint exponent = (gint)((bits >> 52) & 0x7ff), least = 1 - f->bias;
  gint e = exponent - 1023, shift = 52 - (gint)f->mantissa + (e < least ? least - e : 0);
  guint64 mantissa = bits & ((G_GUINT64_CONSTANT(1) << 52) - 1), rest, half, result;

  if (exponent == 0 || shift > 54)
    return 0;
  mantissa |= G_GUINT64_CONSTANT(1) << 52;
  rest = mantissa & ((G_GUINT64_CONSTANT(1) << shift) - 1);
  half = G_GUINT64_CONSTANT(1) << (shift - 1);
  result = mantissa >> shift;
  if (rest > half || (rest == half && (result & 1)))
    result++;
  /* The implicit bit of a normal number adds the missing one to the exponent. */
  if (e >= least)
    result += (guint64)(e - least) << f->mantissa;
  return result;
}

guint
infer_small_float_encode(InferType type, double value, gboolean saturate, InferRounding rounding)
{
  const Format *f = &formats[type];
  guint64 bits, result;
  guint sign;

  if (type == INFER_TYPE_FLOAT8E8M0)
    return encode_e8m0(value, saturate, rounding);
  if (infer_type_bits(type) == 16)
    saturate = FALSE;
  else if (type == INFER_TYPE_FLOAT4E2M1)
    saturate = TRUE;
  memcpy(&bits, &value, sizeof bits);
  sign = (guint)(bits >> 63) << (f->exponent + f->mantissa);
  if (isnan(value))
    return f->no_negative_zero ? f->nan : f->nan ? sign | f->nan : NO_NAN;
  result = isinf(value) ? G_MAXUINT64 : round_magnitude(f, bits);
  if (result > f->greatest) {
    if (saturate)
      return sign | f->greatest;
    if (f->no_negative_zero)
      return f->nan;
    return sign | (f->infinity ? f->infinity : f->nan);
  }
  if (result == 0 && f->no_negative_zero)
    return 0;
  return sign | (guint)result;
}
