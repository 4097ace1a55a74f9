/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_nonzero[];

static gboolean
nonzero_infer(InferShapeArgs *args, GError **error)
{
  gint rank = args->in[0].dims.n;
  InferDims dims = INFER_DIMS(rank < 0 ? INFER_DIM_UNKNOWN : rank, INFER_DIM_UNKNOWN);
  if (!data_require(args, 0, error) ||
      !infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                             INFER_TYPE_FLOAT16, INFER_TYPE_BFLOAT16, INFER_TYPE_INT8,
                             INFER_TYPE_INT16, INFER_TYPE_INT32, INFER_TYPE_INT64, INFER_TYPE_UINT8,
                             INFER_TYPE_UINT16, INFER_TYPE_UINT32, INFER_TYPE_UINT64,
                             INFER_TYPE_BOOL, INFER_TYPE_UNDEFINED))
    return FALSE;
  return data_set(args, 0, INFER_TYPE_INT64, &dims, error);
}

/* By the bits: a float's sign does not count, which the two zeros differ in. */
static gboolean
is_zero(const InferArray *in, gint64 at)
{
  gboolean real = infer_type_is_float(in->type);
  switch (data_element_size(in)) {
  case 1:
    return ((const guint8 *)in->data)[at] == 0;
  case 2:
    return (guint16)(((const guint16 *)in->data)[at] << real) == 0;
  case 4:
    return ((const guint32 *)in->data)[at] << real == 0;
  default:
    return ((const guint64 *)in->data)[at] << real == 0;
  }
}

static gboolean
nonzero_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  gint64 n = infer_array_count(in), found = 0, column = 0, at[INFER_MAX_DIMS] = {0};
  gint rank = in->dims.n;
  for (gint64 i = 0; i < n; i++)
    found += !is_zero(in, i);
  InferArray *out = data_output(args, 0, INFER_TYPE_INT64, &INFER_DIMS(rank, found), error);
  if (!out)
    return FALSE;
  gint64 *indices = out->data;
  for (gint64 i = 0; i < n; i++) {
    if (!is_zero(in, i)) {
      for (gint k = 0; k < rank; k++)
        indices[k * found + column] = at[k];
      column++;
    }
    for (gint k = rank - 1; k >= 0 && ++at[k] == in->dims.d[k]; k--)
      at[k] = 0;
  }
  return TRUE;
}

static const InferOp nonzero = {
    .name = "NonZero",
    .version = 13,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = nonzero_infer,
    .eval = nonzero_eval,
};

const InferOp *const infer_ops_nonzero[] = {&nonzero, NULL};
