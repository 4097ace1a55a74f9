/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

#include <string.h>

G_BEGIN_DECLS

/*
 * What the operators that move data share: reading small integer parameters (axes, starts, pads)
 * alike from operands of shape inference and from arrays, setting outputs, and strided copies.
 */

/** The most integers of a parameter: the pads of a tensor of INFER_MAX_DIMS dimensions. */
#define DATA_MAX_INTS (2 * INFER_MAX_DIMS)

/**
 * DataInts:
 * @n: how many; -1 where even that is not known
 * @v: the integers; a symbol or %INFER_DIM_UNKNOWN where not @known
 * @known: which of @v are numbers. A number may be negative, as a symbol is, hence the flag.
 */
typedef struct {
  gint n;
  gint64 v[DATA_MAX_INTS];
  gboolean known[DATA_MAX_INTS];
} DataInts;

static inline gboolean
data_present(const InferShapeArgs *args, guint index)
{
  return index < args->n_in && args->in[index].type != INFER_TYPE_UNDEFINED;
}

static inline const InferArray *
data_array(const InferEvalArgs *args, guint index)
{
  return index < args->n_in ? args->in[index] : NULL;
}

/** data_require: checks that input @index is there and has elements that can be moved; those of
 *  less than a byte reach eval as bytes. */
static inline gboolean
data_require(const InferShapeArgs *args, guint index, GError **error)
{
  if (!data_present(args, index))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is missing", index);
  InferType type = args->in[index].type;
  if (infer_type_bits(type) > 0 && infer_type_bits(type) < 8)
    *args->widens |= INFER_WIDEN_PACKED;
  if (type == INFER_TYPE_STRING)
    *args->widens |= INFER_WIDEN_STRING;
  else if (infer_type_bits(type) == 0)
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "input %u has type %s, which is not supported", index,
                          infer_type_name(type));
  return TRUE;
}

static inline gboolean
data_ints_from_array(const InferNode *node, const InferArray *array, DataInts *ints, GError **error)
{
  gint64 n = array ? infer_array_count(array) : 0;
  if (n < 0 || n > DATA_MAX_INTS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "a parameter has %" G_GINT64_FORMAT " values, at most %d are supported",
                          n, DATA_MAX_INTS);
  ints->n = (gint)n;
  for (gint i = 0; i < ints->n; i++) {
    ints->v[i] = infer_array_get_int(array, (gsize)i);
    ints->known[i] = TRUE;
  }
  return TRUE;
}

/** data_ints: reads the integer parameter of input @index, int32 or int64; n is -1 if absent. */
static inline gboolean
data_ints(const InferShapeArgs *args, guint index, DataInts *ints, GError **error)
{
  ints->n = -1;
  if (!data_present(args, index))
    return TRUE;
  const InferOperand *in = &args->in[index];
  if (!infer_op_require_type(args, index, error, INFER_TYPE_INT64, INFER_TYPE_INT32,
                             INFER_TYPE_UNDEFINED))
    return FALSE;
  if (in->dims.n > 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "input %u has rank %d, it must be a vector", index, in->dims.n);
  if (in->value)
    return data_ints_from_array(args->node, in->value, ints, error);
  if (in->dims.n == 1 && in->dims.d[0] > DATA_MAX_INTS)
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "input %u has %" G_GINT64_FORMAT " values, at most %d are supported",
                          index, in->dims.d[0], DATA_MAX_INTS);
  InferDims content;
  if (infer_op_content(args, index, &content)) {
    ints->n = content.n;
    for (gint i = 0; i < content.n; i++) {
      ints->v[i] = content.d[i];
      ints->known[i] = content.d[i] >= 0;
    }
    return TRUE;
  }
  if (in->dims.n == 0)
    ints->n = 1;
  else if (in->dims.n == 1 && in->dims.d[0] >= 0)
    ints->n = (gint)in->dims.d[0];
  for (gint i = 0; i < ints->n; i++) {
    ints->v[i] = INFER_DIM_UNKNOWN;
    ints->known[i] = FALSE;
  }
  return TRUE;
}

/**
 * data_content: the partly known integers of input @index, for an output's content.
 *
 * A negative constant cannot stand in a content, where it would read as a symbol: it becomes
 * %INFER_DIM_UNKNOWN. Returns: whether anything is known.
 */
static inline gboolean
data_content(const InferShapeArgs *args, guint index, InferDims *content)
{
  const InferOperand *in = &args->in[index];
  if (!infer_type_is_integer(in->type) || in->dims.n < 0 || in->dims.n > 1)
    return FALSE;
  if (!in->value)
    return infer_op_content(args, index, content);
  gint64 n = infer_array_count(in->value);
  if (n < 0 || n > INFER_MAX_DIMS)
    return FALSE;
  content->n = (gint)n;
  for (gint i = 0; i < content->n; i++) {
    gint64 v = infer_array_get_int(in->value, (gsize)i);
    /* The greatest number stands for whatever a uint64 has beyond it. */
    content->d[i] = v >= 0 && v < G_MAXINT64 ? v : INFER_DIM_UNKNOWN;
  }
  return TRUE;
}

/** data_pass_content: the first output has the elements of the first input, in order. */
static inline void
data_pass_content(InferShapeArgs *args)
{
  InferOperand *out = &args->out[0];
  if (out->dims.n == 0 || out->dims.n == 1)
    out->has_content = data_content(args, 0, &out->content);
}

/** data_set: sets type and dimensions of output @index; refuses what no memory can hold. */
static inline gboolean
data_set(InferShapeArgs *args, guint index, InferType type, const InferDims *dims, GError **error)
{
  if (infer_dims_is_constant(dims)) {
    gint64 count = infer_dims_count(dims);
    if (count < 0 || infer_type_size(type, count) > G_MAXSSIZE)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "output %u has more elements than memory can hold", index);
  }
  args->out[index].type = type;
  args->out[index].dims = *dims;
  return TRUE;
}

/**
 * data_output: output @index, made where it was not allocated; @dims are what this run gives.
 *
 * Returns: (transfer none) (nullable): %NULL where the array at hand has other dimensions.
 */
static inline InferArray *
data_output(const InferEvalArgs *args, guint index, InferType type, const InferDims *dims,
            GError **error)
{
  InferArray *out = args->out[index];
  if (!out) {
    args->out[index] = infer_array_new(type, dims, error);
    return args->out[index];
  }
  if (out->type == type && infer_dims_equal(&out->dims, dims))
    return out;
  g_autofree char *have = infer_dims_to_string(&out->dims);
  g_autofree char *want = infer_dims_to_string(dims);
  infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                 "output %u was planned as %s %s, the inputs of this run give %s %s", index,
                 infer_type_name(out->type), have, infer_type_name(type), want);
  return NULL;
}

static inline gsize
data_element_size(const InferArray *array)
{
  return infer_type_bits(array->type) / 8;
}

/** data_strides: row-major strides, in elements. They may wrap where a dimension is 0, and then
 *  serve for nothing. */
static inline void
data_strides(const InferDims *dims, gint64 *strides)
{
  guint64 stride = 1;
  for (gint i = dims->n - 1; i >= 0; i--) {
    strides[i] = (gint64)stride;
    stride *= (guint64)dims->d[i];
  }
}

/** data_product: the product of dimensions [from, to): a number, the symbol if only one counts,
 *  else %INFER_DIM_UNKNOWN. */
static inline gint64
data_product(const InferDims *dims, gint from, gint to)
{
  gint64 product = 1, other = 0;
  gboolean zero = FALSE, open = FALSE;
  for (gint i = from; i < to; i++) {
    gint64 d = dims->d[i];
    zero = zero || d == 0;
    if (d < 0) {
      open = open || other != 0;
      other = d;
    } else if (d > 0 && __builtin_mul_overflow(product, d, &product)) {
      open = TRUE;
    }
  }
  if (zero)
    return 0;
  if (open || (other != 0 && product != 1))
    return INFER_DIM_UNKNOWN;
  return other != 0 ? other : product;
}

/**
 * infer_data_copy:
 * @dst: first element to write
 * @src: first element to read
 * @size: bytes of an element
 * @n: number of dimensions, at most 2 * INFER_MAX_DIMS
 * @dims: how many elements per dimension
 * @dst_strides: in elements; positive
 * @src_strides: in elements; zero repeats, negative reverses
 *
 * Copies a block between two strided layouts that do not overlap.
 */
void infer_data_copy(void *dst, const void *src, gsize size, gint n, const gint64 *dims,
                     const gint64 *dst_strides, const gint64 *src_strides);

G_END_DECLS
