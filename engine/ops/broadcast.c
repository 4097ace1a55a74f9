/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/broadcast.h"

#include <string.h>

/* Dimensions that every operand walks through with one stride are merged into one. */
typedef struct {
  gint n;
  gint64 size[INFER_MAX_DIMS];
  gint64 stride[INFER_BROADCAST_MAX][INFER_MAX_DIMS];
} Walk;

static gboolean
can_merge(const Walk *walk, guint n_in, gint64 size, gint64 (*next)[INFER_MAX_DIMS], gint i)
{
  for (guint k = 0; k < n_in; k++)
    if (walk->stride[k][walk->n - 1] != next[k][i] * size)
      return FALSE;
  return TRUE;
}

static void
walk_init(Walk *walk, const InferDims *const *in, guint n_in, const InferDims *out)
{
  gint64 strides[INFER_BROADCAST_MAX][INFER_MAX_DIMS];

  memset(walk, 0, sizeof *walk);
  for (guint k = 0; k < n_in; k++)
    infer_op_broadcast_strides(in[k], out, strides[k]);
  for (gint i = 0; i < out->n; i++) {
    if (out->d[i] == 1)
      continue;
    if (walk->n > 0 && can_merge(walk, n_in, out->d[i], strides, i)) {
      walk->size[walk->n - 1] *= out->d[i];
    } else {
      walk->size[walk->n] = out->d[i];
      walk->n++;
    }
    for (guint k = 0; k < n_in; k++)
      walk->stride[k][walk->n - 1] = strides[k][i];
  }
  if (walk->n == 0) {
    walk->n = 1;
    walk->size[0] = 1;
  }
}

void
infer_broadcast_rows(const InferDims *const *in, guint n_in, const InferDims *out,
                     InferRowFunc func, gpointer user_data)
{
  gint64 index[INFER_MAX_DIMS] = {0}, at[INFER_BROADCAST_MAX] = {0};
  gint64 row[INFER_BROADCAST_MAX] = {0}, count = infer_dims_count(out);
  Walk walk;

  walk_init(&walk, in, n_in, out);
  for (guint k = 0; k < n_in; k++)
    row[k] = walk.stride[k][walk.n - 1];
  for (gint64 to = 0; to < count; to += walk.size[walk.n - 1]) {
    func(user_data, at, row, to, walk.size[walk.n - 1]);
    for (gint i = walk.n - 2; i >= 0; i--) {
      for (guint k = 0; k < n_in; k++)
        at[k] += walk.stride[k][i];
      if (++index[i] < walk.size[i])
        break;
      for (guint k = 0; k < n_in; k++)
        at[k] -= walk.stride[k][i] * walk.size[i];
      index[i] = 0;
    }
  }
}

typedef struct {
  InferBinaryKernel kernel;
  const guint8 *a, *b;
  guint8 *out;
  gsize size, size_out;
} BinaryRows;

static void
binary_row(gpointer user_data, const gint64 *at, const gint64 *stride, gint64 at_out, gint64 n)
{
  BinaryRows *rows = user_data;

  rows->kernel(rows->a + (gsize)at[0] * rows->size, stride[0], rows->b + (gsize)at[1] * rows->size,
               stride[1], rows->out + (gsize)at_out * rows->size_out, n);
}

void
infer_binary_eval(InferBinaryKernel kernel, const InferArray *a, const InferArray *b,
                  InferArray *out)
{
  const InferDims *dims[] = {&a->dims, &b->dims};
  BinaryRows rows = {kernel,
                     a->data,
                     b->data,
                     out->data,
                     infer_type_bits(a->type) / 8,
                     infer_type_bits(out->type) / 8};

  infer_broadcast_rows(dims, 2, &out->dims, binary_row, &rows);
}

/* Other integers are not used for shapes, and narrow ones would wrap. */
static gboolean
is_shape_type(InferType type)
{
  return type == INFER_TYPE_INT64 || type == INFER_TYPE_INT32 || type == INFER_TYPE_BOOL;
}

InferElement
infer_element_get(const InferOperand *operand, gint index)
{
  gint64 value;

  if (!is_shape_type(operand->type))
    return INFER_ELEMENT_UNKNOWN;
  if (operand->value)
    return infer_element_number(infer_array_get_int(operand->value, (gsize)index));
  if (!operand->has_content || index >= operand->content.n)
    return INFER_ELEMENT_UNKNOWN;
  value = operand->content.d[index];
  if (value == INFER_DIM_UNKNOWN)
    return INFER_ELEMENT_UNKNOWN;
  return (InferElement){TRUE, INFER_DIM_IS_SYMBOL(value), value};
}

void
infer_element_put(InferOperand *operand, gint index, InferElement e)
{
  gint64 most = operand->type == INFER_TYPE_INT64 ? G_MAXINT64 : G_MAXINT32;

  /* A negative number would read as a symbol. */
  operand->content.d[index] =
      e.known && (e.symbol || (e.value >= 0 && e.value <= most)) ? e.value : INFER_DIM_UNKNOWN;
}

InferElement
infer_element_mul(InferElement a, InferElement b)
{
  gint64 value;

  if (infer_element_is(a, 0) || infer_element_is(b, 1))
    return a;
  if (infer_element_is(b, 0) || infer_element_is(a, 1))
    return b;
  if (!infer_element_is_number(a) || !infer_element_is_number(b) ||
      __builtin_mul_overflow(a.value, b.value, &value))
    return INFER_ELEMENT_UNKNOWN;
  return infer_element_number(value);
}

InferElement
infer_element_add(InferElement a, InferElement b)
{
  gint64 value;

  if (infer_element_is(a, 0))
    return b;
  if (infer_element_is(b, 0))
    return a;
  if (!infer_element_is_number(a) || !infer_element_is_number(b) ||
      __builtin_add_overflow(a.value, b.value, &value))
    return INFER_ELEMENT_UNKNOWN;
  return infer_element_number(value);
}

static gint
content_count(const InferDims *dims)
{
  if (dims->n == 0)
    return 1;
  return dims->n == 1 && dims->d[0] >= 0 && dims->d[0] <= INFER_MAX_DIMS ? (gint)dims->d[0] : -1;
}

void
infer_content_pointwise(InferShapeArgs *args, InferElementFunc func)
{
  InferOperand *out = &args->out[0];
  InferElement e[INFER_MAX_DIMS];
  gint count = content_count(&out->dims), have;

  if (count < 0 || args->n_in > G_N_ELEMENTS(e) || !is_shape_type(out->type))
    return;
  out->content.n = count;
  for (gint i = 0; i < count; i++) {
    for (guint k = 0; k < args->n_in; k++) {
      const InferOperand *in = &args->in[k];

      have = content_count(&in->dims);
      if (!is_shape_type(in->type) || (have != 1 && have != count))
        return;
      e[k] = infer_element_get(in, have == 1 ? 0 : i);
    }
    infer_element_put(out, i, func(args->node, e, args->n_in));
    out->has_content = TRUE;
  }
}
