/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

#include <math.h>

extern const InferOp *const infer_ops_range[];

/* How many integers there are from start to limit; differences are taken without a sign, as they
 * may exceed a signed integer. */
static gboolean
count_ints(const InferNode *node, gint64 start, gint64 limit, gint64 delta, gint64 *n,
           GError **error)
{
  *n = 0;
  if (delta == 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "delta is 0");
  if (delta > 0 ? limit <= start : limit >= start)
    return TRUE;
  guint64 width = delta > 0 ? (guint64)limit - (guint64)start : (guint64)start - (guint64)limit;
  guint64 step = delta > 0 ? (guint64)delta : 0 - (guint64)delta;
  guint64 count = (width - 1) / step + 1;
  if (count > G_MAXINT64)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the range has more elements than memory can hold");
  *n = (gint64)count;
  return TRUE;
}

static gboolean
count_floats(const InferNode *node, double start, double limit, double delta, gint64 *n,
             GError **error)
{
  double count = ceil((limit - start) / delta);
  *n = 0;
  if (delta == 0 || isnan(count) || count >= 9e18)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "a range from %g to %g in steps of %g is not finite", start, limit,
                          delta);
  if (count > 0)
    *n = (gint64)count;
  return TRUE;
}

static gboolean
range_count(const InferNode *node, const InferArray *const *in, gint64 *n, GError **error)
{
  for (guint i = 0; i < 3; i++)
    if (infer_array_count(in[i]) != 1)
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "input %u is not a scalar", i);
  if (infer_type_is_float(in[0]->type))
    return count_floats(node, infer_array_get_double(in[0], 0), infer_array_get_double(in[1], 0),
                        infer_array_get_double(in[2], 0), n, error);
  return count_ints(node, infer_array_get_int(in[0], 0), infer_array_get_int(in[1], 0),
                    infer_array_get_int(in[2], 0), n, error);
}

/* A range from 0 in steps of 1 is as long as its limit, symbol or not. */
static gint64
range_symbol(const InferShapeArgs *args)
{
  InferDims c[3];
  for (guint i = 0; i < 3; i++)
    if (!data_content(args, i, &c[i]) || c[i].n != 1)
      return INFER_DIM_UNKNOWN;
  return c[0].d[0] == 0 && c[2].d[0] == 1 ? c[1].d[0] : INFER_DIM_UNKNOWN;
}

static gboolean
range_infer(InferShapeArgs *args, GError **error)
{
  const InferArray *values[3];
  gboolean constant = TRUE;
  gint64 n;
  for (guint i = 0; i < 3; i++) {
    if (!data_require(args, i, error) ||
        !infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_INT16, INFER_TYPE_INT32, INFER_TYPE_INT64,
                               INFER_TYPE_UNDEFINED))
      return FALSE;
    if (args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "start, limit and delta differ in type");
    values[i] = args->in[i].value;
    constant = constant && values[i];
  }
  if (!constant)
    n = range_symbol(args);
  else if (!range_count(args->node, values, &n, error))
    return FALSE;
  return data_set(args, 0, args->in[0].type, &INFER_DIMS(n), error);
}

#define FILL(TYPE, T, EXPR)                                                                        \
  case INFER_TYPE_##TYPE:                                                                          \
    for (gint64 i = 0; i < n; i++)                                                                 \
      ((T *)out->data)[i] = (T)(EXPR);                                                             \
    break

static gboolean
range_eval(const InferEvalArgs *args, GError **error)
{
  gint64 n;
  if (!range_count(args->node, args->in, &n, error))
    return FALSE;
  InferArray *out = data_output(args, 0, args->in[0]->type, &INFER_DIMS(n), error);
  if (!out)
    return FALSE;
  double start = infer_array_get_double(args->in[0], 0);
  double delta = infer_array_get_double(args->in[2], 0);
  guint64 first = (guint64)infer_array_get_int(args->in[0], 0);
  guint64 step = (guint64)infer_array_get_int(args->in[2], 0);
  switch (out->type) {
    FILL(FLOAT, float, start + (double)i * delta);
    FILL(DOUBLE, double, start + (double)i * delta);
    FILL(INT16, gint16, first + (guint64)i * step);
    FILL(INT32, gint32, first + (guint64)i * step);
    FILL(INT64, gint64, first + (guint64)i * step);
  default:
    break;
  }
  return TRUE;
}

static const InferAttrSpec range_attrs[] = {{NULL, 0, FALSE}};

static const InferOp range = {
    .name = "Range",
    .version = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = range_attrs,
    .infer = range_infer,
    .eval = range_eval,
};

const InferOp *const infer_ops_range[] = {&range, NULL};
