/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_concat[];

/* A number says most, then a symbol. */
static gint64
better_dim(gint64 a, gint64 b)
{
  if (a >= 0 || b == INFER_DIM_UNKNOWN)
    return a;
  return b >= 0 || a == INFER_DIM_UNKNOWN ? b : a;
}

/* Adds a dimension to the sum along the axis. */
static gboolean
add_dim(const InferNode *node, gint64 *sum, gint64 d, GError **error)
{
  if (*sum == 0 || d == 0)
    *sum = *sum == 0 ? d : *sum;
  else if (*sum < 0 || d < 0)
    *sum = INFER_DIM_UNKNOWN;
  else if (__builtin_add_overflow(*sum, d, sum))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the concatenated dimension is too large");
  return TRUE;
}

/* Merges one more input into the output's dimensions. */
static gboolean
concat_add(const InferNode *node, guint index, const InferDims *in, InferDims *out, gint *axis,
           GError **error)
{
  if (in->n < 0)
    return TRUE;
  if (out->n < 0) {
    *out = *in;
    return infer_op_axis(node, infer_node_get_int(node, "axis", 0), in->n, axis, error);
  }
  g_autofree char *text = NULL;
  gboolean fits = in->n == out->n;
  for (gint i = 0; fits && i < in->n; i++) {
    gint64 a = out->d[i], b = in->d[i];
    if (i == *axis) {
      if (!add_dim(node, &out->d[i], b, error))
        return FALSE;
    } else {
      fits = a < 0 || b < 0 || a == b;
      out->d[i] = better_dim(a, b);
    }
  }
  if (fits)
    return TRUE;
  text = infer_dims_to_string(in);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "input %u has dimensions %s, which differ from those before outside of "
                        "the axis",
                        index, text);
}

static void
concat_content(InferShapeArgs *args)
{
  InferOperand *out = &args->out[0];
  if (out->dims.n != 1 || out->dims.d[0] < 0 || out->dims.d[0] > INFER_MAX_DIMS)
    return;
  gint n = 0;
  gboolean any = FALSE;
  for (guint i = 0; i < args->n_in; i++) {
    InferDims content;
    gboolean known = data_content(args, i, &content);
    any = any || known;
    for (gint64 k = 0; k < args->in[i].dims.d[0] && n < INFER_MAX_DIMS; k++)
      out->content.d[n++] = known && k < content.n ? content.d[k] : INFER_DIM_UNKNOWN;
  }
  out->content.n = n;
  out->has_content = any && n == out->dims.d[0];
}

static gboolean
concat_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims = INFER_DIMS_UNKNOWN;
  gboolean open = FALSE;
  gint axis = 0;
  for (guint i = 0; i < args->n_in; i++) {
    if (!data_require(args, i, error) ||
        !concat_add(args->node, i, &args->in[i].dims, &dims, &axis, error))
      return FALSE;
    if (args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "input %u has type %s, input 0 has %s", i,
                            infer_type_name(args->in[i].type), infer_type_name(args->in[0].type));
    open = open || args->in[i].dims.n < 0;
  }
  if (open && dims.n >= 0)
    dims.d[axis] = INFER_DIM_UNKNOWN;
  if (!data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  concat_content(args);
  return TRUE;
}

static gboolean
concat_eval(const InferEvalArgs *args, GError **error)
{
  InferDims dims = INFER_DIMS_UNKNOWN;
  gint axis = 0;
  for (guint i = 0; i < args->n_in; i++)
    if (!concat_add(args->node, i, &args->in[i]->dims, &dims, &axis, error))
      return FALSE;
  InferArray *out = data_output(args, 0, args->in[0]->type, &dims, error);
  if (!out)
    return FALSE;
  if (out->size == 0)
    return TRUE;
  gint64 rows = data_product(&dims, 0, axis);
  gsize pitch = (gsize)data_product(&dims, axis, dims.n) * data_element_size(out);
  char *column = out->data;
  for (guint i = 0; i < args->n_in; i++) {
    const InferArray *in = args->in[i];
    gsize width = (gsize)data_product(&in->dims, axis, in->dims.n) * data_element_size(out);
    for (gint64 row = 0; row < rows && width > 0; row++)
      memcpy(column + (gsize)row * pitch, (const char *)in->data + (gsize)row * width, width);
    column += width;
  }
  return TRUE;
}

static const InferAttrSpec concat_attrs[] = {{"axis", 'i', TRUE}, {NULL, 0, FALSE}};

static const InferOp concat = {
    .name = "Concat",
    .version = 13,
    .min_inputs = 1,
    .max_inputs = INFER_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = concat_attrs,
    .infer = concat_infer,
    .eval = concat_eval,
};

const InferOp *const infer_ops_concat[] = {&concat, NULL};
