/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_tile[];

static gboolean
tile_dims(const InferNode *node, const InferDims *in, const DataInts *repeats, InferDims *out,
          GError **error)
{
  *out = *in;
  if (in->n < 0 || repeats->n < 0) {
    if (repeats->n > INFER_MAX_DIMS)
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "repeats has %d values, at most %d",
                            repeats->n, INFER_MAX_DIMS);
    out->n = MAX(in->n, repeats->n);
    for (gint i = 0; i < out->n; i++)
      out->d[i] = INFER_DIM_UNKNOWN;
    return TRUE;
  }
  if (repeats->n != in->n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "repeats has %d values, the input has rank %d", repeats->n, in->n);
  for (gint i = 0; i < in->n; i++) {
    gint64 r = repeats->v[i];
    if (repeats->known[i] && r < 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "repeats has the negative value %" G_GINT64_FORMAT, r);
    if (in->d[i] == 0 || r == 0)
      out->d[i] = 0;
    else if (r == 1 || in->d[i] == 1)
      out->d[i] = r == 1 ? in->d[i] : r;
    else if (!repeats->known[i] || in->d[i] < 0)
      out->d[i] = INFER_DIM_UNKNOWN;
    else if (__builtin_mul_overflow(in->d[i], r, &out->d[i]))
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "dimension %d repeated %" G_GINT64_FORMAT " times is too large", i, r);
  }
  return TRUE;
}

static gboolean
tile_infer(InferShapeArgs *args, GError **error)
{
  DataInts repeats;
  InferDims dims;
  return data_require(args, 0, error) && data_ints(args, 1, &repeats, error) &&
         tile_dims(args->node, &args->in[0].dims, &repeats, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
tile_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  DataInts repeats;
  InferDims dims;
  if (!data_ints_from_array(args->node, args->in[1], &repeats, error) ||
      !tile_dims(args->node, &in->dims, &repeats, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  if (out->size == 0)
    return TRUE;
  /* Every dimension becomes two: the repetition, which reads again from the start, and itself. */
  gint64 in_strides[INFER_MAX_DIMS], out_strides[INFER_MAX_DIMS];
  gint64 block[DATA_MAX_INTS], dst[DATA_MAX_INTS], src[DATA_MAX_INTS];
  data_strides(&in->dims, in_strides);
  data_strides(&dims, out_strides);
  for (gint i = 0; i < dims.n; i++) {
    block[2 * i] = repeats.v[i];
    dst[2 * i] = out_strides[i] * in->dims.d[i];
    src[2 * i] = 0;
    block[2 * i + 1] = in->dims.d[i];
    dst[2 * i + 1] = out_strides[i];
    src[2 * i + 1] = in_strides[i];
  }
  infer_data_copy(out->data, in->data, data_element_size(in), 2 * dims.n, block, dst, src);
  return TRUE;
}

static const InferAttrSpec tile_attrs[] = {{NULL, 0, FALSE}};

static const InferOp tile = {
    .name = "Tile",
    .version = 13,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = tile_attrs,
    .infer = tile_infer,
    .eval = tile_eval,
};

const InferOp *const infer_ops_tile[] = {&tile, NULL};
