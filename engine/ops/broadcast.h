/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* What pointwise operators share: walking over broadcast operands, and arithmetic on shapes. */

/** The most operands of infer_broadcast_rows(). */
#define INFER_BROADCAST_MAX 3

/**
 * InferRowFunc:
 * @user_data: closure
 * @at: per operand, the element that the row starts at
 * @stride: per operand, the elements from one to the next; 0 where it is broadcast
 * @at_out: the element of the output that the row starts at; its elements are contiguous
 * @n: elements of the row, at least 1
 */
typedef void (*InferRowFunc)(gpointer user_data, const gint64 *at, const gint64 *stride,
                             gint64 at_out, gint64 n);

/** infer_broadcast_rows: cuts the output into rows that are as long as broadcasting allows and
 *  calls @func for each. @in broadcast to @out; all dimensions are constant. Allocates nothing. */
void infer_broadcast_rows(const InferDims *const *in, guint n_in, const InferDims *out,
                          InferRowFunc func, gpointer user_data);

/**
 * InferElement:
 * @known: whether anything is known
 * @symbol: @value is a symbol's code, not a number
 * @value: the number (any sign) or the symbol
 *
 * One element of a tensor that takes part in the arithmetic of shapes.
 */
typedef struct {
  gboolean known;
  gboolean symbol;
  gint64 value;
} InferElement;

#define INFER_ELEMENT_UNKNOWN ((InferElement){FALSE, FALSE, 0})

static inline InferElement
infer_element_number(gint64 value)
{
  return (InferElement){TRUE, FALSE, value};
}

static inline gboolean
infer_element_is(InferElement e, gint64 value)
{
  return e.known && !e.symbol && e.value == value;
}

static inline gboolean
infer_element_is_number(InferElement e)
{
  return e.known && !e.symbol;
}

/** infer_element_get: element @index of an operand of integers; unknown where it is not known. */
InferElement infer_element_get(const InferOperand *operand, gint index);
/** infer_element_put: stores @e as element @index of the content of @operand. */
void infer_element_put(InferOperand *operand, gint index, InferElement e);
/** infer_element_mul: the product; unknown where it is neither a number nor one symbol. */
InferElement infer_element_mul(InferElement a, InferElement b);
InferElement infer_element_add(InferElement a, InferElement b);

typedef InferElement (*InferElementFunc)(const InferNode *node, const InferElement *in, guint n_in);

/** infer_content_pointwise: computes the content of output 0 from the inputs' where the output
 *  is a scalar or short vector of integers or booleans; else leaves it unknown. */
void infer_content_pointwise(InferShapeArgs *args, InferElementFunc func);

/** Inner loop of a binary operator. Strides in elements. @out may be @a. */
typedef void (*InferBinaryKernel)(gconstpointer a, gint64 stride_a, gconstpointer b,
                                  gint64 stride_b, gpointer out, gint64 n);

/* Defines an InferBinaryKernel over elements of type T with results of type R. EXPR computes from
 * x and y; E names T in it. The contiguous cases are apart so that they vectorize. */
#define INFER_BINARY_LOOP(NAME, T, R, EXPR)                                                        \
  static void NAME(gconstpointer pa, gint64 sa, gconstpointer pb, gint64 sb, gpointer po,          \
                   gint64 n)                                                                       \
  {                                                                                                \
    typedef T E G_GNUC_UNUSED;                                                                     \
    const T *a = pa, *b = pb;                                                                      \
    R *o = po;                                                                                     \
    if (sa == 1 && sb == 1)                                                                        \
      for (gint64 i = 0; i < n; i++) {                                                             \
        const T x = a[i], y = b[i];                                                                \
        o[i] = (R)(EXPR);                                                                          \
      }                                                                                            \
    else if (sa == 1 && sb == 0) {                                                                 \
      const T y = b[0];                                                                            \
      for (gint64 i = 0; i < n; i++) {                                                             \
        const T x = a[i];                                                                          \
        o[i] = (R)(EXPR);                                                                          \
      }                                                                                            \
    } else                                                                                         \
      for (gint64 i = 0; i < n; i++) {                                                             \
        const T x = a[i * sa], y = b[i * sb];                                                      \
        o[i] = (R)(EXPR);                                                                          \
      }                                                                                            \
  }

/** infer_binary_eval: @kernel over inputs @a and @b into @out, which has the broadcast shape and
 *  may be @a. */
void infer_binary_eval(InferBinaryKernel kernel, const InferArray *a, const InferArray *b,
                       InferArray *out);

G_END_DECLS
