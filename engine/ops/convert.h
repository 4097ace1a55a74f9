/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* Runs of elements of any numeric type to and from double. */

#define INFER_CONVERT_LOAD(T)                                                                      \
  {                                                                                                \
    const T *src = (const T *)data;                                                                \
    for (gint64 i = 0; i < n; i++)                                                                 \
      out[i] = (double)src[at + i * stride];                                                       \
    break;                                                                                         \
  }

/** infer_load_doubles: elements @at, @at + @stride ... of @data, @n of them. */
static inline void
infer_load_doubles(InferType type, gconstpointer data, gint64 at, gint64 stride, gint64 n,
                   double *out)
{
  switch (type) {
  case INFER_TYPE_FLOAT:
    INFER_CONVERT_LOAD(float)
  case INFER_TYPE_DOUBLE:
    INFER_CONVERT_LOAD(double)
  case INFER_TYPE_INT8:
    INFER_CONVERT_LOAD(gint8)
  case INFER_TYPE_UINT8:
  case INFER_TYPE_BOOL:
    INFER_CONVERT_LOAD(guint8)
  case INFER_TYPE_INT16:
    INFER_CONVERT_LOAD(gint16)
  case INFER_TYPE_UINT16:
    INFER_CONVERT_LOAD(guint16)
  case INFER_TYPE_INT32:
    INFER_CONVERT_LOAD(gint32)
  case INFER_TYPE_UINT32:
    INFER_CONVERT_LOAD(guint32)
  case INFER_TYPE_INT64:
    INFER_CONVERT_LOAD(gint64)
  case INFER_TYPE_UINT64:
    INFER_CONVERT_LOAD(guint64)
  default:
    for (gint64 i = 0; i < n; i++)
      out[i] = 0;
  }
}

#undef INFER_CONVERT_LOAD

/** infer_store_double: stores @value as element @at; integers are truncated and saturated, and
 *  not-a-number is 0. */
static inline void
infer_store_double(InferArray *array, gint64 at, double value)
{
  if (array->type == INFER_TYPE_FLOAT)
    ((float *)array->data)[at] = (float)value;
  else if (array->type == INFER_TYPE_DOUBLE)
    ((double *)array->data)[at] = value;
  else
    infer_array_set_double(array, (gsize)at, value != value ? 0 : __builtin_trunc(value));
}

G_END_DECLS
