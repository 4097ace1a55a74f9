/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_trilu[];

/* EyeLike and Trilu: matrices by their diagonals. */

static gboolean
trilu_infer(InferShapeArgs *args, GError **error)
{
  if (!data_require(args, 0, error) ||
      (args->in[0].dims.n >= 0 && !infer_op_require_rank(args, 0, 2, INFER_MAX_DIMS, error)))
    return FALSE;
  if (data_present(args, 1) &&
      !(number_require_index(args, 1, error) && number_require_scalar(args, 1, error)))
    return FALSE;
  return data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

static gboolean
trilu_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *shift = data_array(args, 1);
  gint rank = in->dims.n;
  InferArray *out = data_output(args, 0, in->type, &in->dims, error);
  if (!out)
    return FALSE;
  if (shift && infer_array_count(shift) != 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "k must be one element");
  gint64 rows = in->dims.d[rank - 2], columns = in->dims.d[rank - 1];
  /* Beyond the corners there is nothing, and sums cannot wrap. */
  gint64 k = CLAMP(shift ? infer_array_get_int(shift, 0) : 0, -rows - 1, columns + 1);
  gboolean upper = infer_node_get_int(args->node, "upper", 1) != 0;
  gsize size = data_element_size(in), pitch = (gsize)columns * size;
  gint64 all = pitch > 0 ? data_product(&in->dims, 0, rank - 1) : 0;
  memset(out->data, 0, out->size);
  for (gint64 row = 0; row < all; row++) {
    gint64 first = CLAMP(row % rows + k + !upper, 0, columns);
    gint64 from = upper ? first : 0, to = upper ? columns : first;
    gsize offset = (gsize)row * pitch + (gsize)from * size;
    memcpy((char *)out->data + offset, (const char *)in->data + offset, (gsize)(to - from) * size);
  }
  return TRUE;
}

static gboolean
eye_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims = args->in[0].dims;
  InferType type = args->in[0].type;
  if (!data_require(args, 0, error) ||
      (dims.n >= 0 && !infer_op_require_rank(args, 0, 2, 2, error)) ||
      !number_type(args->node, "dtype", type, &type, error))
    return FALSE;
  if (dims.n < 0)
    dims = INFER_DIMS(INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN);
  return data_set(args, 0, type, &dims, error);
}

static gboolean
eye_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  InferType type;
  if (!number_type(args->node, "dtype", in->type, &type, error))
    return FALSE;
  InferArray *out = data_output(args, 0, type, &in->dims, error);
  if (!out)
    return FALSE;
  gint64 rows = in->dims.d[0], columns = in->dims.d[1];
  gint64 k = CLAMP(infer_node_get_int(args->node, "k", 0), -rows - 1, columns + 1);
  memset(out->data, 0, out->size);
  for (gint64 row = MAX(-k, 0); row < rows && row + k < columns; row++)
    infer_array_set_double(out, (gsize)(row * columns + row + k), 1);
  return TRUE;
}

static const InferAttrSpec trilu_attrs[] = {{"upper", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec eye_attrs[] = {
    {"dtype", 'i', FALSE}, {"k", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp trilu = {
    .name = "Trilu",
    .version = 14,
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = trilu_attrs,
    .infer = trilu_infer,
    .eval = trilu_eval,
};

static const InferOp eye = {
    .name = "EyeLike",
    .version = 9,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = eye_attrs,
    .infer = eye_infer,
    .eval = eye_eval,
};

const InferOp *const infer_ops_trilu[] = {&trilu, &eye, NULL};
