/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared.h"

#include <string.h>

/* Small floats, bit for bit as engine/ops/cast.c rounds them: on the device and on the host. */

INFER_BOTH float
number_from_bits(uint32_t bits)
{
  float value;

  memcpy(&value, &bits, sizeof value);
  return value;
}

INFER_BOTH float
number_from_bfloat(uint16_t bits)
{
  return number_from_bits((uint32_t)bits << 16);
}

INFER_BOTH float
number_from_half(uint16_t half)
{
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;

  if (rest >= 0x7c00)
    return number_from_bits(sign | 0x7f800000 | (rest & 1023 ? 0x400000 : 0));
  if (rest >= 0x400)
    return number_from_bits(sign | ((rest << 13) + 0x38000000));
  /* Below the normal numbers: a multiple of 2^-24. */
  return (sign ? -1.0f : 1.0f) * ((float)rest * 5.9604644775390625e-8f);
}

/** number_small: rounds to nearest, ties to even, once. */
INFER_BOTH uint16_t
number_small(double value, uint32_t mantissa_bits, uint32_t exponent_bits)
{
  uint64_t bits;

  memcpy(&bits, &value, sizeof bits);
  uint32_t sign = (uint32_t)(bits >> 63) << 15;
  int32_t exponent = (int32_t)((bits >> 52) & 0x7ff);
  uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
  uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
  int32_t least = 2 - (1 << (exponent_bits - 1)), e = exponent - 1023;
  int32_t shift = 52 - (int32_t)mantissa_bits + (e < least ? least - e : 0);

  if (exponent == 0x7ff)
    return (uint16_t)(sign | infinity | (mantissa ? 1u << (mantissa_bits - 1) : 0));
  if (exponent == 0 || shift > 54)
    return (uint16_t)sign;
  mantissa |= (uint64_t)1 << 52;
  uint64_t rest = mantissa & (((uint64_t)1 << shift) - 1);
  uint64_t half = (uint64_t)1 << (shift - 1), result = mantissa >> shift;
  if (rest > half || (rest == half && (result & 1)))
    result++;
  if (e >= least)
    result += (uint64_t)(e - least) << mantissa_bits;
  return (uint16_t)(sign | (result > infinity ? infinity : result));
}

/** number_half: number_small() of a float to a half float. */
INFER_BOTH uint16_t
number_half(float value)
{
#ifdef __CUDA_ARCH__
  uint16_t half;

  if (value != value)
    return (uint16_t)(__float_as_uint(value) >> 16 & 0x8000) | 0x7e00;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
#else
  return number_small((double)value, 10, 5);
#endif
}

/** number_bfloat: number_small() of a float to a bfloat. */
INFER_BOTH uint16_t
number_bfloat(float value)
{
  uint32_t bits;

  memcpy(&bits, &value, sizeof bits);
  if (value != value)
    return (uint16_t)((bits >> 16 & 0x8000) | 0x7fc0);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
