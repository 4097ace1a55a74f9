/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/broadcast.h"
#include "ops/data.h"

static InferElement
where_element(const InferNode *node, const InferElement *in, guint n_in)
{
  if (in[1].known && in[2].known && in[1].symbol == in[2].symbol && in[1].value == in[2].value)
    return in[1];
  if (!infer_element_is_number(in[0]))
    return INFER_ELEMENT_UNKNOWN;
  return in[0].value ? in[1] : in[2];
}

static gboolean
where_infer(InferShapeArgs *args, GError **error)
{
  InferType type = args->in[1].type;
  InferDims some;

  if (!infer_op_require_type(args, 0, error, INFER_TYPE_BOOL, INFER_TYPE_UNDEFINED))
    return FALSE;
  if (!data_require(args, 1, error))
    return FALSE;
  if (args->in[2].type != type)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 2 is %s, input 1 is %s",
                          infer_type_name(args->in[2].type), infer_type_name(type));
  args->out[0].type = type;
  if (!infer_op_broadcast(args->node, &args->in[1].dims, &args->in[2].dims, &some, error) ||
      !infer_op_broadcast(args->node, &args->in[0].dims, &some, &args->out[0].dims, error))
    return FALSE;
  infer_content_pointwise(args, where_element);
  return TRUE;
}

typedef struct {
  const guint8 *condition;
  gconstpointer x, y;
  gpointer out;
  gsize size;
} WhereRows;

typedef struct {
  guint64 part[2];
} Wide;

#define DEFINE_WHERE(NAME, T)                                                                      \
  static void NAME(const WhereRows *rows, const gint64 *at, const gint64 *stride, gint64 at_out,   \
                   gint64 n)                                                                       \
  {                                                                                                \
    const guint8 *condition = rows->condition + at[0];                                             \
    const T *x = (const T *)rows->x + at[1], *y = (const T *)rows->y + at[2];                      \
    T *out = (T *)rows->out + at_out;                                                              \
    for (gint64 i = 0; i < n; i++)                                                                 \
      out[i] = condition[i * stride[0]] ? x[i * stride[1]] : y[i * stride[2]];                     \
  }

DEFINE_WHERE(where_8, guint8)
DEFINE_WHERE(where_16, guint16)
DEFINE_WHERE(where_32, guint32)
DEFINE_WHERE(where_64, guint64)
DEFINE_WHERE(where_128, Wide)

static void
where_row(gpointer user_data, const gint64 *at, const gint64 *stride, gint64 at_out, gint64 n)
{
  const WhereRows *rows = user_data;

  switch (rows->size) {
  case 1:
    where_8(rows, at, stride, at_out, n);
    break;
  case 2:
    where_16(rows, at, stride, at_out, n);
    break;
  case 4:
    where_32(rows, at, stride, at_out, n);
    break;
  case 8:
    where_64(rows, at, stride, at_out, n);
    break;
  default:
    where_128(rows, at, stride, at_out, n);
  }
}

static gboolean
where_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *condition = args->in[0], *x = args->in[1], *y = args->in[2];
  InferArray *out = args->out[0];
  const InferDims *dims[] = {&condition->dims, &x->dims, &y->dims};
  WhereRows rows = {condition->data, x->data, y->data, out->data, infer_type_bits(out->type) / 8};

  infer_broadcast_rows(dims, 3, &out->dims, where_row, &rows);
  return TRUE;
}

static const InferOp where = {.name = "Where",
                              .version = 16,
                              .min_inputs = 3,
                              .max_inputs = 3,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .flags = INFER_OP_POINTWISE,
                              .infer = where_infer,
                              .eval = where_eval};

extern const InferOp *const infer_ops_where[];
const InferOp *const infer_ops_where[] = {&where, NULL};
