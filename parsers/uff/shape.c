/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"

/* What moves elements and does not compute with them, and what works along axes. */

static gboolean
emit_const(UffImport *im, UffNode *node, GError **error)
{
  g_autoptr(InferArray) array = uff_constant(im, node, error);
  g_autofree char *name = g_utf8_make_valid(node->def->id, -1);

  return array && uff_out(node, infer_network_add_constant(im->network, name, array), FALSE);
}

static gboolean
emit_identity(UffImport *im, UffNode *node, GError **error)
{
  if (node->n_inputs != 1) {
    return uff_error(error, INFER_ERROR_MODEL, "it has %u inputs, not one", node->n_inputs);
  }
  node->plain = node->inputs[0]->plain;
  node->nchw = node->inputs[0]->nchw;
  return TRUE;
}

static gboolean
emit_flatten(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x = uff_in(im, node, 0, error);
  gint64 axis = uff_int(im, node, "axis", 1), count = 1;

  if (!x || axis != 1) {
    return x && uff_error(error, INFER_ERROR_UNSUPPORTED, "axis %" G_GINT64_FORMAT, axis);
  }
  for (gint i = 1; i < x->dims.n; i++) {
    if (x->dims.d[i] < 1 || __builtin_mul_overflow(count, x->dims.d[i], &count)) {
      return uff_error(error, INFER_ERROR_SHAPE, "its dimensions are not known");
    }
  }
  gint64 dims[2] = {0, count};
  return uff_out(node, uff_add2(im, node, "Reshape", NULL, x, uff_list(im, dims, 2), error), FALSE);
}

static gboolean
emit_reshape(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x = uff_in(im, node, 0, error), *shape = x ? uff_in(im, node, 1, error) : NULL;
  gint64 dims[INFER_MAX_DIMS];
  gsize n = 0;

  if (!shape) {
    return FALSE;
  }
  if (!shape->value || infer_array_count(shape->value) > INFER_MAX_DIMS) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED, "its shape is not a constant");
  }
  for (gint64 i = 0; i < infer_array_count(shape->value); i++) {
    dims[n++] = infer_array_get_int(shape->value, (gsize)i);
  }
  return uff_out(node, uff_add2(im, node, "Reshape", NULL, x, uff_list(im, dims, n), error), FALSE);
}

static gboolean
emit_transpose(UffImport *im, UffNode *node, GError **error)
{
  gint64 order[INFER_MAX_DIMS];
  gsize n = uff_ints(im, node, "permutation", order, INFER_MAX_DIMS);

  return uff_out(node,
                 uff_add1(im, node, "Transpose", infer_attrs_new("perm", 'I', order, n, NULL),
                          uff_in(im, node, 0, error), error),
                 FALSE);
}

static gboolean
emit_concat(UffImport *im, UffNode *node, GError **error)
{
  gint64 axis = uff_int(im, node, "axis", 1);
  g_autofree InferTensor **in = g_new0(InferTensor *, node->n_inputs + 1);
  gboolean nchw = node->n_inputs > 0 && uff_rank(node, 0) == 4 && (axis == 3 || axis == -1);

  for (guint i = 0; i < node->n_inputs; i++) {
    nchw = nchw && node->inputs[i]->nchw;
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    in[i] = nchw ? node->inputs[i]->nchw : uff_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', nchw ? (gint64)1 : axis, NULL);
  return uff_out(node, uff_add(im, node, "Concat", attrs, in, node->n_inputs, error), nchw);
}

static gboolean
emit_softmax(UffImport *im, UffNode *node, GError **error)
{
  gint64 axis = -1;

  uff_ints(im, node, "axis", &axis, 1);
  uff_ints(im, node, "axes", &axis, 1);
  return uff_out(node,
                 uff_add1(im, node, "Softmax", infer_attrs_new("axis", 'i', axis, NULL),
                          uff_in(im, node, 0, error), error),
                 FALSE);
}

static gboolean
axes_op(UffImport *im, UffNode *node, const char *op, GVariant *attrs, GError **error)
{
  gint64 axes[INFER_MAX_DIMS];
  gsize n = uff_ints(im, node, "axes", axes, INFER_MAX_DIMS);

  n = n ? n : uff_ints(im, node, "axis", axes, INFER_MAX_DIMS);
  InferTensor *list = n ? uff_list(im, axes, n) : NULL;
  if (!list) {
    g_clear_pointer(&attrs, g_variant_unref);
    return uff_error(error, INFER_ERROR_MODEL, "it has no axes");
  }
  return uff_out(node, uff_add2(im, node, op, attrs, uff_in(im, node, 0, error), list, error),
                 FALSE);
}

static gboolean
emit_squeeze(UffImport *im, UffNode *node, GError **error)
{
  return axes_op(im, node, "Squeeze", NULL, error);
}

static gboolean
emit_expand(UffImport *im, UffNode *node, GError **error)
{
  return axes_op(im, node, "Unsqueeze", NULL, error);
}

static gboolean
emit_reduce(UffImport *im, UffNode *node, GError **error)
{
  static const char *const names[][2] = {{"sum", "ReduceSum"},   {"mean", "ReduceMean"},
                                         {"max", "ReduceMax"},   {"min", "ReduceMin"},
                                         {"prod", "ReduceProd"}, {"mul", "ReduceProd"}};
  const char *func = uff_string(im, node, "func", "");

  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    if (g_ascii_strcasecmp(names[i][0], func) == 0) {
      gint64 keep = uff_int(im, node, "keepdims", 0) != 0;
      return axes_op(im, node, names[i][1], infer_attrs_new("keepdims", 'i', keep, NULL), error);
    }
  }
  return uff_error(error, INFER_ERROR_UNSUPPORTED, "the function '%s' is not known", func);
}

/* Pairs of what comes before and after each dimension become a list of all befores, all afters. */
static gboolean
emit_pad(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x = uff_in(im, node, 0, error), *pairs = x ? uff_in(im, node, 1, error) : NULL;
  gint64 pads[2 * INFER_MAX_DIMS];

  if (!pairs) {
    return FALSE;
  }
  gint rank = x->dims.n;
  if (!pairs->value || rank < 1 || infer_array_count(pairs->value) != 2 * rank) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED,
                     "its pads are not a constant pair a dimension");
  }
  for (gint i = 0; i < 2 * rank; i++) {
    pads[i % 2 * rank + i / 2] = infer_array_get_int(pairs->value, (gsize)i);
  }
  InferTensor *list = uff_list(im, pads, 2 * (gsize)rank);
  return uff_out(node, uff_add2(im, node, "Pad", NULL, x, list, error), FALSE);
}

static gboolean
emit_gather(UffImport *im, UffNode *node, GError **error)
{
  GVariant *attrs = infer_attrs_new("axis", 'i', uff_int(im, node, "axis", 0), NULL);
  InferTensor *x = uff_in(im, node, 0, error);

  return uff_out(
      node, uff_add2(im, node, "Gather", attrs, x, x ? uff_in(im, node, 1, error) : NULL, error),
      FALSE);
}

const UffOp uff_ops_shape[] = {
    {"Const", emit_const},
    {"Identity", emit_identity},
    {"Flatten", emit_flatten},
    {"Reshape", emit_reshape},
    {"Transpose", emit_transpose},
    {"Concat", emit_concat},
    {"Softmax", emit_softmax},
    {"Squeeze", emit_squeeze},
    {"ExpandDims", emit_expand},
    {"Reduce", emit_reduce},
    {"Pad", emit_pad},
    {"Gather", emit_gather},
    {"GatherV2", emit_gather},
    {NULL, NULL},
};
