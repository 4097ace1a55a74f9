/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_split[];

/* The axis, and that the number of parts agrees with the node. @n_sizes: -1 without sizes. */
static gboolean
split_check(const InferNode *node, gint rank, guint n_out, gint64 n_sizes, gint *axis,
            GError **error)
{
  gint64 wanted = infer_node_get_int(node, "num_outputs", (gint64)n_out);
  if (n_sizes >= 0 && infer_node_has_attr(node, "num_outputs"))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the input split and the attribute num_outputs exclude each other");
  if (n_sizes >= 0 ? n_sizes != (gint64)n_out : wanted != (gint64)n_out)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " parts are asked for, the node has %u outputs",
                          n_sizes >= 0 ? n_sizes : wanted, n_out);
  return infer_op_axis(node, infer_node_get_int(node, "axis", 0), rank, axis, error);
}

/* The size of part @index of @d elements without given sizes: the last one may be smaller. */
static gint64
split_even(gint64 d, guint index, guint n_out)
{
  gint64 chunk = d / n_out + (d % n_out != 0), start;
  if (__builtin_mul_overflow(chunk, (gint64)index, &start) || start >= d)
    return 0;
  return MIN(d - start, chunk);
}

/* Checks the sizes of the parts against the dimension, -1 where it is not a number. */
static gboolean
split_check_sizes(const InferNode *node, const InferArray *sizes, gint64 d, GError **error)
{
  gint64 n = infer_array_count(sizes), sum = 0;
  for (gint64 i = 0; i < n; i++) {
    gint64 size = infer_array_get_int(sizes, (gsize)i);
    if (size < 0 || __builtin_add_overflow(sum, size, &sum))
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "part %" G_GINT64_FORMAT " cannot have %" G_GINT64_FORMAT " elements",
                            i, size);
  }
  if (d >= 0 && sum != d)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the parts have %" G_GINT64_FORMAT " elements together, the axis has "
                          "%" G_GINT64_FORMAT,
                          sum, d);
  return TRUE;
}

static void
split_content(InferShapeArgs *args)
{
  InferDims content;
  if (args->in[0].dims.n != 1 || !data_content(args, 0, &content))
    return;
  gint at = 0;
  for (guint i = 0; i < args->n_out; i++) {
    InferOperand *out = &args->out[i];
    if (out->dims.d[0] < 0 || out->dims.d[0] > content.n - at)
      return;
    out->has_content = TRUE;
    out->content.n = (gint)out->dims.d[0];
    for (gint k = 0; k < out->content.n; k++)
      out->content.d[k] = content.d[at++];
  }
}

static gboolean
split_infer(InferShapeArgs *args, GError **error)
{
  gboolean given = data_present(args, 1);
  const InferOperand *in = &args->in[0];
  const InferArray *sizes = given ? args->in[1].value : NULL;
  gint64 n_sizes = -1;
  gint axis = 0;
  if (!data_require(args, 0, error))
    return FALSE;
  if (given) {
    if (!infer_op_require_type(args, 1, error, INFER_TYPE_INT64, INFER_TYPE_INT32,
                               INFER_TYPE_UNDEFINED))
      return FALSE;
    gint64 count = infer_dims_count(&args->in[1].dims);
    n_sizes = count >= 0 ? count : args->n_out;
  }
  if (in->dims.n >= 0 && !split_check(args->node, in->dims.n, args->n_out, n_sizes, &axis, error))
    return FALSE;
  if (in->dims.n >= 0 && sizes && !split_check_sizes(args->node, sizes, in->dims.d[axis], error))
    return FALSE;
  for (guint i = 0; i < args->n_out; i++) {
    InferDims dims = in->dims;
    if (in->dims.n >= 0 && sizes)
      dims.d[axis] = infer_array_get_int(sizes, i);
    else if (in->dims.n >= 0 && args->n_out > 1)
      dims.d[axis] = given || in->dims.d[axis] < 0 ? INFER_DIM_UNKNOWN
                                                   : split_even(in->dims.d[axis], i, args->n_out);
    if (!data_set(args, i, in->type, &dims, error))
      return FALSE;
  }
  split_content(args);
  return TRUE;
}

static gboolean
split_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *sizes = data_array(args, 1);
  gint axis;
  if (!split_check(args->node, in->dims.n, args->n_out, sizes ? infer_array_count(sizes) : -1,
                   &axis, error) ||
      (sizes && !split_check_sizes(args->node, sizes, in->dims.d[axis], error)))
    return FALSE;
  gint64 rows = data_product(&in->dims, 0, axis);
  gsize inner = (gsize)data_product(&in->dims, axis + 1, in->dims.n) * data_element_size(in);
  gsize pitch = (gsize)in->dims.d[axis] * inner;
  const char *column = in->data;
  for (guint i = 0; i < args->n_out; i++) {
    InferDims dims = in->dims;
    dims.d[axis] =
        sizes ? infer_array_get_int(sizes, i) : split_even(in->dims.d[axis], i, args->n_out);
    InferArray *out = data_output(args, i, in->type, &dims, error);
    if (!out)
      return FALSE;
    gsize width = (gsize)dims.d[axis] * inner;
    for (gint64 row = 0; row < rows && width > 0; row++)
      memcpy((char *)out->data + (gsize)row * width, column + (gsize)row * pitch, width);
    column += width;
  }
  return TRUE;
}

static const InferAttrSpec split_attrs[] = {
    {"axis", 'i', FALSE}, {"num_outputs", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp split = {
    .name = "Split",
    .version = 18,
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = INFER_OP_VARIADIC,
    .attrs = split_attrs,
    .infer = split_infer,
    .eval = split_eval,
};

const InferOp *const infer_ops_split[] = {&split, NULL};
