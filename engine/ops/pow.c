/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/broadcast.h"
#include "ops/convert.h"

#include <math.h>

INFER_BINARY_LOOP(pow_float, float, float, y == 2 ? x * x : powf(x, y))
INFER_BINARY_LOOP(pow_double, double, double, y == 2 ? x * x : pow(x, y))

static gboolean
pow_infer(InferShapeArgs *args, GError **error)
{
  if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT32,
                             INFER_TYPE_INT64, INFER_TYPE_UNDEFINED) ||
      !infer_op_require_type(args, 1, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT8,
                             INFER_TYPE_INT16, INFER_TYPE_INT32, INFER_TYPE_INT64, INFER_TYPE_UINT8,
                             INFER_TYPE_UINT16, INFER_TYPE_UINT32, INFER_TYPE_UINT64,
                             INFER_TYPE_UNDEFINED))
    return FALSE;
  args->out[0].type = args->in[0].type;
  return infer_op_broadcast(args->node, &args->in[0].dims, &args->in[1].dims, &args->out[0].dims,
                            error);
}

/* Wraps. A negative power of anything but 1 and -1 is 0, as the fraction is cut off. */
static gint64
integer_power(gint64 base, gint64 exponent)
{
  guint64 result = 1, factor = (guint64)base;

  if (exponent < 0)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  for (guint64 left = (guint64)exponent; left; left >>= 1) {
    if (left & 1)
      result *= factor;
    factor *= factor;
  }
  return (gint64)result;
}

typedef struct {
  const InferArray *base, *exponent;
  InferArray *out;
} Mixed;

static void
mixed_row(gpointer user_data, const gint64 *at, const gint64 *stride, gint64 at_out, gint64 n)
{
  const Mixed *mixed = user_data;
  gboolean integers =
      infer_type_is_integer(mixed->base->type) && infer_type_is_integer(mixed->exponent->type);

  for (gint64 i = 0; i < n; i++) {
    gsize b = (gsize)(at[0] + i * stride[0]), e = (gsize)(at[1] + i * stride[1]);

    if (!integers) {
      infer_store_double(
          mixed->out, at_out + i,
          pow(infer_array_get_double(mixed->base, b), infer_array_get_double(mixed->exponent, e)));
    } else {
      gint64 value = integer_power(infer_array_get_int(mixed->base, b),
                                   infer_array_get_int(mixed->exponent, e));

      if (mixed->out->type == INFER_TYPE_INT32)
        ((gint32 *)mixed->out->data)[at_out + i] = (gint32)value;
      else
        ((gint64 *)mixed->out->data)[at_out + i] = value;
    }
  }
}

static gboolean
pow_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *base = args->in[0], *exponent = args->in[1];
  const InferDims *dims[] = {&base->dims, &exponent->dims};
  Mixed mixed = {base, exponent, args->out[0]};

  if (base->type == INFER_TYPE_FLOAT && exponent->type == INFER_TYPE_FLOAT)
    infer_binary_eval(pow_float, base, exponent, args->out[0]);
  else if (base->type == INFER_TYPE_DOUBLE && exponent->type == INFER_TYPE_DOUBLE)
    infer_binary_eval(pow_double, base, exponent, args->out[0]);
  else
    infer_broadcast_rows(dims, 2, &args->out[0]->dims, mixed_row, &mixed);
  return TRUE;
}

static const InferOp power = {.name = "Pow",
                              .version = 15,
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .flags = INFER_OP_POINTWISE,
                              .infer = pow_infer,
                              .eval = pow_eval};

extern const InferOp *const infer_ops_pow[];
const InferOp *const infer_ops_pow[] = {&power, NULL};
