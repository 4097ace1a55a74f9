/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* What shape inference of operators with many parameters shares: checking that operands agree. */

/** infer_check_present: whether the optional input @index is there. */
static inline gboolean
infer_check_present(const InferShapeArgs *args, guint index)
{
  return index < args->n_in && args->in[index].type != INFER_TYPE_UNDEFINED;
}

/** infer_check_reals: checks that the inputs from @first to @last that are there are all float,
 *  or all double. */
gboolean infer_check_reals(const InferShapeArgs *args, guint first, guint last, GError **error);

/** infer_check_dims: checks that input @index, where its rank is known, has @n dimensions, and
 *  that they agree with what @dims point at; unknown ones there are filled in. An absent input
 *  agrees. */
gboolean infer_check_dims(const InferShapeArgs *args, guint index, gint n, gint64 *const *dims,
                          GError **error);

/** infer_check_vector: infer_check_dims() for one dimension. */
gboolean infer_check_vector(const InferShapeArgs *args, guint index, gint64 *length,
                            GError **error);

/** infer_check_scalar: checks that input @index, where it is there and known, has one element. */
gboolean infer_check_scalar(const InferShapeArgs *args, guint index, GError **error);

/** infer_check_int: reads attribute @name and checks that it lies in [@least, @most]. */
gboolean infer_check_int(const InferNode *node, const char *name, gint64 fallback, gint64 least,
                         gint64 most, gint64 *value, GError **error);

/** infer_check_ints: reads a list of @n integers in [@least, 2^31]; @fallback for each of them
 *  where the attribute is absent or empty. */
gboolean infer_check_ints(const InferNode *node, const char *name, gint n, gint64 least,
                          gint64 fallback, gint64 *list, GError **error);

/** infer_check_choice: reads a string attribute as index into the %NULL-terminated @names. */
gboolean infer_check_choice(const InferNode *node, const char *name, const char *fallback,
                            const char *const *names, gint *choice, GError **error);

/** infer_check_unknown: @n dimensions of which nothing is known. */
InferDims infer_check_unknown(gint n);

/** infer_check_product: @a * @b, unknown where either is or where it does not fit; a factor of 1
 *  keeps a symbol. */
gint64 infer_check_product(gint64 a, gint64 b);

/** infer_check_bytes: @count elements of @size bytes and @more; a size that cannot be had where
 *  that does not fit. For InferOp.scratch(). */
gsize infer_check_bytes(gint64 count, gsize size, gsize more);

/** infer_real: element @i of an array of float or double. */
static inline double
infer_real(const InferArray *array, gint64 i)
{
  return array->type == INFER_TYPE_FLOAT ? (double)((const float *)array->data)[i]
                                         : ((const double *)array->data)[i];
}

static inline void
infer_real_set(InferArray *array, gint64 i, double value)
{
  if (array->type == INFER_TYPE_FLOAT)
    ((float *)array->data)[i] = (float)value;
  else
    ((double *)array->data)[i] = value;
}

/** infer_real_moments: mean and variance of @n elements from @at on, @stride apart. */
void infer_real_moments(const InferArray *array, gint64 at, gint64 stride, gint64 n, double *mean,
                        double *variance);

G_END_DECLS
