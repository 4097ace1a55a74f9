/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ops/check.h"

#include <math.h>

G_BEGIN_DECLS

/* Arithmetic on 8-bit integers with zero points. */

static inline gint32
infer_q8(const InferArray *array, gint64 i)
{
  return array->type == INFER_TYPE_INT8 ? ((const gint8 *)array->data)[i]
                                        : ((const guint8 *)array->data)[i];
}

/** infer_q8_zero: the zero point for @i; 0 where there is none, the only one where there is one. */
static inline gint32
infer_q8_zero(const InferArray *zero, gint64 i)
{
  return zero ? infer_q8(zero, infer_array_count(zero) == 1 ? 0 : i) : 0;
}

/** infer_q8_mac: adds a product; wraps as 32-bit integers do. */
static inline gint32
infer_q8_mac(gint32 sum, gint32 a, gint32 b)
{
  return (gint32)((guint32)sum + (guint32)(a * b));
}

/** infer_q8_store: scales a sum, rounds halves to even, adds the zero point and saturates. */
static inline void
infer_q8_store(InferArray *y, gint64 i, gint32 sum, float factor, gint32 zero)
{
  float value = rintf((float)sum * factor) + (float)zero;

  if (y->type == INFER_TYPE_INT8)
    ((gint8 *)y->data)[i] = (gint8)(value >= -128 ? MIN(value, 127) : -128);
  else
    ((guint8 *)y->data)[i] = (guint8)(value >= 0 ? MIN(value, 255) : 0);
}

/** infer_q8_require: checks that input @index, if it is there, is int8 or uint8, and of the type
 *  of input @like. */
static inline gboolean
infer_q8_require(const InferShapeArgs *args, guint index, guint like, GError **error)
{
  if (!infer_check_present(args, index))
    return TRUE;
  if (!infer_op_require_type(args, index, error, INFER_TYPE_INT8, INFER_TYPE_UINT8,
                             INFER_TYPE_UNDEFINED))
    return FALSE;
  return args->in[index].type == args->in[like].type ||
         infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input %u is %s",
                        index, infer_type_name(args->in[index].type), like,
                        infer_type_name(args->in[like].type));
}

G_END_DECLS
