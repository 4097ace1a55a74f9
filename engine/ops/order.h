/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

#include <string.h>

G_BEGIN_DECLS

#define INFER_ORDER_SIGN (G_GUINT64_CONSTANT(1) << 63)

/** infer_order_double: an integer of the number's order. Both zeros are one; NaNs are equal to
 *  each other, and the last. */
static inline guint64
infer_order_double(double value)
{
  guint64 bits;
  if (value != value)
    return G_MAXUINT64;
  value = value == 0 ? 0 : value;
  memcpy(&bits, &value, sizeof bits);
  return bits & INFER_ORDER_SIGN ? ~bits : bits | INFER_ORDER_SIGN;
}

static inline guint64
infer_order_int(gint64 value)
{
  return (guint64)value ^ INFER_ORDER_SIGN;
}

/** infer_order_key: an integer of the order of element @at, of any type of whole bytes. */
static inline guint64
infer_order_key(const InferArray *array, gint64 at)
{
  if (array->type == INFER_TYPE_UINT64)
    return ((const guint64 *)array->data)[at];
  if (infer_type_is_float(array->type))
    return infer_order_double(infer_array_get_double(array, (gsize)at));
  return infer_order_int(infer_array_get_int(array, (gsize)at));
}

G_END_DECLS
