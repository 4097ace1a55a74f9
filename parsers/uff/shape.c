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

/* The product of dimensions [1, n), or -1. */
static gint64
of_image(const gint64 *dims, gsize n)
{
  gint64 count = 1;

  for (gsize i = 1; i < n; i++) {
    if (dims[i] < 1 || __builtin_mul_overflow(count, dims[i], &count)) {
      return -1;
    }
  }
  return count;
}

/* A graph made for one image says 1 for the batch; images stay apart where their size does. */
static void
keep_batch(const InferTensor *x, gint64 *dims, gsize n)
{
  if (n > 0 && dims[0] == 1 && x->dims.n > 0 && x->dims.d[0] < 0 &&
      (of_image(dims, n) == of_image(x->dims.d, (gsize)x->dims.n) || of_image(dims, n) < 0)) {
    dims[0] = 0;
  }
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
  if (shape->value && infer_array_count(shape->value) <= INFER_MAX_DIMS) {
    for (gint64 i = 0; i < infer_array_count(shape->value); i++) {
      dims[n++] = infer_array_get_int(shape->value, (gsize)i);
    }
    keep_batch(x, dims, n);
    shape = uff_list(im, dims, n);
  }
  shape = uff_to_int64(im, node, shape, error);
  return uff_out(node, uff_add2(im, node, "Reshape", NULL, x, shape, error), FALSE);
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
  gboolean nchw = node->n_inputs > 0 && uff_rank(node, 0) == 4, wide = FALSE;

  /* Anchors of several layers come from one node, which has joined them already. */
  if (node->n_inputs > 0 && uff_is_anchors(node->inputs[0])) {
    for (guint i = 1; i < node->n_inputs; i++) {
      if (node->inputs[i] != node->inputs[0]) {
        return uff_error(error, INFER_ERROR_UNSUPPORTED, "it joins anchors with '%s'",
                         node->inputs[i]->def->id);
      }
    }
    node->plain = node->inputs[0]->plain;
    return TRUE;
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    nchw = nchw && node->inputs[i]->nchw;
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    in[i] = nchw ? node->inputs[i]->nchw : uff_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
    wide = wide || in[i]->type == INFER_TYPE_INT64;
  }
  for (guint i = 0; wide && i < node->n_inputs; i++) {
    in[i] = uff_to_int64(im, node, in[i], error);
    if (!in[i]) {
      return FALSE;
    }
  }
  axis += nchw && axis < 0 ? 4 : 0;
  axis = !nchw || axis == 0 ? axis : axis == 3 ? 1 : axis + 1;
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, NULL);
  return uff_out(node, uff_add(im, node, "Concat", attrs, in, node->n_inputs, error), nchw);
}

/* TensorFlow's operator works along the last dimension; 0 is what is written where it says none,
 * for nothing is computed over the batch. */
static gboolean
emit_softmax(UffImport *im, UffNode *node, GError **error)
{
  gint64 axis = 0;

  uff_ints(im, node, "axis", &axis, 1);
  uff_ints(im, node, "axes", &axis, 1);
  return uff_out(node,
                 uff_add1(im, node, "Softmax",
                          infer_attrs_new("axis", 'i', axis ? axis : (gint64)-1, NULL),
                          uff_in(im, node, 0, error), error),
                 FALSE);
}

/* All dimensions of one element but the batch. */
static gsize
ones_of(const InferTensor *x, gint64 *axes)
{
  gsize n = 0;

  for (gint i = 1; x && i < x->dims.n; i++) {
    if (x->dims.d[i] == 1) {
      axes[n++] = i;
    }
  }
  return n;
}

static gboolean
axes_op(UffImport *im, UffNode *node, const char *op, GVariant *attrs, GError **error)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;
  InferTensor *x = uff_in(im, node, 0, error);
  gint64 axes[INFER_MAX_DIMS];
  gsize n = uff_ints(im, node, "axes", axes, INFER_MAX_DIMS);

  n = n ? n : uff_ints(im, node, "axis", axes, INFER_MAX_DIMS);
  if (n == 0 && g_str_equal(op, "Squeeze")) {
    n = ones_of(x, axes);
  }
  if (x && n == 0) {
    return uff_error(error, INFER_ERROR_MODEL, "it has no axes");
  }
  return x && uff_out(node, uff_add2(im, node, op, owned, x, uff_list(im, axes, n), error), FALSE);
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
      gint64 keep = uff_int(im, node, "keepdims", 0) != 0, axes[INFER_MAX_DIMS];
      gsize n = uff_ints(im, node, "axes", axes, INFER_MAX_DIMS);
      /* The mean of each channel of an image, without turning the image. */
      if (n == 2 && axes[0] == 1 && axes[1] == 2 && uff_rank(node, 0) == 4 &&
          node->inputs[0]->nchw) {
        InferTensor *list = uff_list(im, (gint64[]){2, 3}, 2);
        return uff_out(node,
                       uff_add2(im, node, names[i][1], infer_attrs_new("keepdims", 'i', keep, NULL),
                                node->inputs[0]->nchw, list, error),
                       keep != 0);
      }
      return axes_op(im, node, names[i][1], infer_attrs_new("keepdims", 'i', keep, NULL), error);
    }
  }
  return uff_error(error, INFER_ERROR_UNSUPPORTED, "the function '%s' is not known", func);
}

/* Pairs of what comes before and after each dimension become a list of all befores, all afters. */
static gboolean
emit_pad(UffImport *im, UffNode *node, GError **error)
{
  gboolean nchw = node->n_inputs > 0 && uff_rank(node, 0) == 4 && node->inputs[0]->nchw;
  InferTensor *x = nchw ? node->inputs[0]->nchw : uff_in(im, node, 0, error);
  InferTensor *pairs = x ? uff_in(im, node, 1, error) : NULL;
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
    gint axis = i / 2;
    axis = !nchw || axis == 0 ? axis : axis == rank - 1 ? 1 : axis + 1;
    pads[i % 2 * rank + axis] = infer_array_get_int(pairs->value, (gsize)i);
  }
  InferTensor *list = uff_list(im, pads, 2 * (gsize)rank);
  return uff_out(node, uff_add2(im, node, "Pad", NULL, x, list, error), nchw);
}

static gboolean
emit_gather(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x = uff_in(im, node, 0, error), *index = x ? uff_in(im, node, 1, error) : NULL;

  if (index && infer_type_is_float(index->type)) {
    index = uff_to_int64(im, node, index, error);
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', uff_int(im, node, "axis", 0), NULL);
  return uff_out(node, uff_add2(im, node, "Gather", attrs, x, index, error), FALSE);
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
