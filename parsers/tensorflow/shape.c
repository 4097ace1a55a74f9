/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Shapes, and operators that rearrange whole tensors. */

/* The longest sequence that is counted out while parsing. */
#define MAX_RANGE (1 << 24)

static InferTensor *
as_int64(TfImport *im, TfNode *node, guint index, GError **error)
{
  InferTensor *tensor = tf_in(im, node, index, error);
  return tensor ? tf_cast(im, node, "int64", tensor, INFER_TYPE_INT64, error) : NULL;
}

/* The shape in TensorFlow's order, without turning the tensor itself. */
static InferTensor *
shape_of(TfImport *im, TfNode *node, guint index, GError **error)
{
  static const gint64 order[4] = {0, 2, 3, 1};
  TfValue *value = tf_value(node, index, error);

  if (!value) {
    return NULL;
  }
  InferTensor *tensor = value->tf ? value->tf : value->nchw;
  InferTensor *shape = tf_add1(im, node, "shape", "Shape", NULL, tensor, error);
  if (!shape || value->tf) {
    return shape;
  }
  InferTensor *places = tf_ints(im, node, "order", order, 4);
  return tf_add2(im, node, "nhwc", "Gather", NULL, shape, places, error);
}

static gboolean
emit_shape(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "out_type", INFER_TYPE_INT32);
  InferTensor *shape = shape_of(im, node, 0, error);

  return shape && tf_out(node, 0, tf_cast(im, node, NULL, shape, type, error));
}

static gboolean
emit_shape_n(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "out_type", INFER_TYPE_INT32);

  for (guint i = 0; i < node->n_inputs; i++) {
    InferTensor *shape = shape_of(im, node, i, error);
    if (!shape || !tf_out(node, i, tf_cast(im, node, NULL, shape, type, error))) {
      return FALSE;
    }
  }
  return TRUE;
}

/* The greater of both, from the end on. */
static gboolean
emit_broadcast_args(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) a = tf_const(node, 0, error);
  g_autoptr(InferArray) b = a ? tf_const(node, 1, error) : NULL;
  gint64 dims[INFER_MAX_DIMS];

  if (!b) {
    return FALSE;
  }
  gint64 na = infer_array_count(a), nb = infer_array_count(b), n = MAX(na, nb);
  if (n > INFER_MAX_DIMS) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "%" G_GINT64_FORMAT " dimensions", n);
  }
  for (gint64 i = 0; i < n; i++) {
    gint64 x = i < n - na ? 1 : infer_array_get_int(a, (gsize)(i - (n - na)));
    gint64 y = i < n - nb ? 1 : infer_array_get_int(b, (gsize)(i - (n - nb)));
    if (x != y && x != 1 && y != 1) {
      return tf_error(error, INFER_ERROR_SHAPE,
                      "%" G_GINT64_FORMAT " and %" G_GINT64_FORMAT " do not go together", x, y);
    }
    dims[i] = x == 1 ? y : x;
  }
  InferTensor *shape = tf_ints(im, node, "shape", dims, (gsize)n);
  return tf_out(node, 0, tf_cast(im, node, NULL, shape, a->type, error));
}

static gboolean
emit_size(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "out_type", INFER_TYPE_INT32);
  TfValue *value = tf_value(node, 0, error);

  if (!value) {
    return FALSE;
  }
  InferTensor *tensor = value->tf ? value->tf : value->nchw;
  InferTensor *size = tf_add1(im, node, "size", "Size", NULL, tensor, error);
  return size && tf_out(node, 0, tf_cast(im, node, NULL, size, type, error));
}

static gboolean
emit_rank(TfImport *im, TfNode *node, GError **error)
{
  gint rank = tf_in_rank(node, 0);

  if (!tf_value(node, 0, error)) {
    return FALSE;
  }
  if (rank < 0) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "the number of dimensions is not known");
  }
  return tf_out(node, 0, tf_scalar(im, node, NULL, INFER_TYPE_INT32, rank));
}

/* The symbol of which @input has exactly one while its other dimensions are constant. */
static gint64
only_symbol(const InferDims *input, gint64 *rest)
{
  gint64 symbol = 0;

  *rest = 1;
  for (gint i = 0; i < input->n; i++) {
    if (input->d[i] < 0 && (symbol || !INFER_DIM_IS_SYMBOL(input->d[i]))) {
      return 0;
    }
    if (input->d[i] < 0) {
      symbol = input->d[i];
    } else if (__builtin_mul_overflow(*rest, input->d[i], rest)) {
      return 0;
    }
  }
  return symbol;
}

/* A target such as [batch, -1, 4] of which everything but the batch can be computed becomes
 * [-1, 1083, 4], and the arithmetic that led to it is not needed any more. The one element that is
 * not known follows from the others: both sides have the same number of elements. */
static gboolean
constant_target(const InferDims *input, const InferDims *content, gint64 *target)
{
  gint64 rest = 0, known = 1;
  gint64 symbol = only_symbol(input, &rest);
  gint at_symbol = -1, at_free = -1;

  for (gint i = 0; i < content->n; i++) {
    gint64 d = content->d[i];
    if (symbol && d == symbol && at_symbol < 0) {
      at_symbol = i;
    } else if (d > 0) {
      if (__builtin_mul_overflow(known, d, &known)) {
        return FALSE;
      }
    } else if (d < 0 && at_free < 0) {
      at_free = i;
    } else {
      return FALSE;
    }
    target[i] = d;
  }
  if (at_symbol < 0) {
    return FALSE;
  }
  target[at_symbol] = -1;
  if (at_free >= 0) {
    if (rest <= 0 || rest % known != 0) {
      return FALSE;
    }
    target[at_free] = rest / known;
  }
  return TRUE;
}

static gboolean
emit_reshape(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2] = {tf_in(im, node, 0, error)};
  gint64 target[INFER_MAX_DIMS];
  gint64 zero = 0;

  in[1] = in[0] ? as_int64(im, node, 1, error) : NULL;
  if (!in[1]) {
    return FALSE;
  }
  g_autoptr(InferArray) known = parsers_known(in[1]);
  if (known) {
    for (gint64 i = 0; i < infer_array_count(known); i++) {
      zero = zero || infer_array_get_int(known, (gsize)i) == 0;
    }
  } else if (in[1]->has_content && in[1]->content.n >= 0 &&
             constant_target(&in[0]->dims, &in[1]->content, target)) {
    in[1] = tf_ints(im, node, "shape", target, (gsize)in[1]->content.n);
  }
  /* A dimension of 0 means 0 in TensorFlow, "as it was" in ONNX unless told. */
  GVariant *attrs = zero ? infer_attrs_new("allowzero", 'i', (gint64)1, NULL) : NULL;
  return tf_out(node, 0, tf_add(im, node, NULL, "Reshape", attrs, in, 2, error));
}

static gboolean
emit_expand_dims(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *input = tf_in(im, node, 0, error);
  gint64 axis = 0;

  if (!input || !tf_const_axis(node, 1, input->dims.n < 0 ? -1 : input->dims.n + 1, &axis, error)) {
    return FALSE;
  }
  return tf_out(node, 0, tf_unsqueeze(im, node, NULL, input, &axis, 1, error));
}

static gboolean
emit_transpose(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 nhwc[4] = {0, 2, 3, 1}, nchw[4] = {0, 3, 1, 2};
  gint64 perm[INFER_MAX_DIMS];
  gsize n = 0;

  if (!tf_const_ints(node, 1, perm, INFER_MAX_DIMS, &n, error)) {
    return FALSE;
  }
  /* The graph asks for the form that may be there already. */
  if (n == 4 && memcmp(perm, nchw, sizeof nchw) == 0 && tf_has_nchw(node, 0)) {
    return tf_out(node, 0, tf_in_nchw(im, node, 0, error));
  }
  InferTensor *input = tf_in(im, node, 0, error);
  if (input && n == 4 && memcmp(perm, nhwc, sizeof nhwc) == 0 && input->dims.n == 4) {
    return tf_out_nchw(node, 0, input);
  }
  return input && tf_out(node, 0, tf_transpose(im, node, NULL, input, perm, n, error));
}

static gboolean
emit_pack(TfImport *im, TfNode *node, GError **error)
{
  gint rank = tf_in_rank(node, 0);
  gint64 axis = tf_attr_int(node, "axis", 0);
  g_autofree InferTensor **parts = g_new0(InferTensor *, node->n_inputs + 1);

  if (node->n_inputs == 0 || !tf_axis(&axis, rank < 0 ? -1 : rank + 1, error)) {
    return node->n_inputs ? FALSE : tf_error(error, INFER_ERROR_MODEL, "it has no inputs");
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    InferTensor *part = tf_in(im, node, i, error);
    parts[i] = part ? tf_unsqueeze(im, node, "part", part, &axis, 1, error) : NULL;
    if (!parts[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, NULL);
  return tf_out(node, 0, tf_add(im, node, NULL, "Concat", attrs, parts, node->n_inputs, error));
}

/* Concat has its axis first, ConcatV2 last. */
static gboolean
emit_concat(TfImport *im, TfNode *node, GError **error)
{
  gboolean old = tf_is(node, "Concat");
  guint n = node->n_inputs ? node->n_inputs - 1 : 0;
  guint first = old ? 1 : 0;
  gboolean nchw = FALSE, all4 = TRUE;
  gint64 axis = 0;

  if (n == 0) {
    return tf_error(error, INFER_ERROR_MODEL, "it has no inputs");
  }
  if (!tf_const_axis(node, old ? 0 : n, tf_in_rank(node, first), &axis, error)) {
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    nchw = nchw || tf_has_nchw(node, first + i);
    all4 = all4 && tf_in_rank(node, first + i) == 4;
  }
  nchw = nchw && all4;
  g_autofree InferTensor **parts = g_new0(InferTensor *, n);
  for (guint i = 0; i < n; i++) {
    parts[i] = nchw ? tf_in_nchw(im, node, first + i, error) : tf_in(im, node, first + i, error);
    if (!parts[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', nchw ? tf_nchw_axis(axis) : axis, NULL);
  return tf_out_as(node, 0, tf_add(im, node, NULL, "Concat", attrs, parts, n, error), nchw);
}

static gboolean
emit_tile(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *input = tf_in(im, node, 0, error);
  InferTensor *repeats = input ? as_int64(im, node, 1, error) : NULL;

  return repeats && tf_out(node, 0, tf_add2(im, node, NULL, "Tile", NULL, input, repeats, error));
}

static gboolean
emit_fill(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *shape = as_int64(im, node, 0, error);
  InferTensor *value = shape ? tf_in(im, node, 1, error) : NULL;

  return value && tf_out(node, 0, tf_add2(im, node, NULL, "Expand", NULL, value, shape, error));
}

static gboolean
emit_broadcast_to(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *input = tf_in(im, node, 0, error);
  InferTensor *shape = input ? as_int64(im, node, 1, error) : NULL;

  return shape && tf_out(node, 0, tf_add2(im, node, NULL, "Expand", NULL, input, shape, error));
}

static gboolean
emit_like(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *shape = shape_of(im, node, 0, error);
  TfValue *value = shape ? tf_value(node, 0, error) : NULL;

  if (!value) {
    return FALSE;
  }
  InferType type = value->tf ? value->tf->type : value->nchw->type;
  InferTensor *fill = tf_scalar(im, node, "fill", type, tf_is(node, "OnesLike") ? 1 : 0);
  return tf_out(node, 0, tf_add2(im, node, NULL, "Expand", NULL, fill, shape, error));
}

static gboolean
emit_range(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[3];
  double number[3] = {0};
  gboolean constant = TRUE;

  for (guint i = 0; i < 3; i++) {
    in[i] = tf_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
    g_autoptr(InferArray) known = parsers_known(in[i]);
    constant = constant && known && infer_array_count(known) == 1;
    number[i] = constant ? infer_array_get_double(known, 0) : 0;
  }
  if (constant && !((number[1] - number[0]) / number[2] <= MAX_RANGE)) {
    return tf_error(error, INFER_ERROR_MODEL, "a sequence from %g to %g in steps of %g", number[0],
                    number[1], number[2]);
  }
  return tf_out(node, 0, tf_add(im, node, NULL, "Range", NULL, in, 3, error));
}

const TfOp tf_ops_shape[] = {
    {"Shape", emit_shape},
    {"ShapeN", emit_shape_n},
    {"BroadcastArgs", emit_broadcast_args},
    {"Size", emit_size},
    {"Rank", emit_rank},
    {"Reshape", emit_reshape},
    {"ExpandDims", emit_expand_dims},
    {"Transpose", emit_transpose},
    {"Pack", emit_pack},
    {"Concat", emit_concat},
    {"ConcatV2", emit_concat},
    {"Tile", emit_tile},
    {"Fill", emit_fill},
    {"BroadcastTo", emit_broadcast_to},
    {"ZerosLike", emit_like},
    {"OnesLike", emit_like},
    {"Range", emit_range},
    {NULL, NULL},
};
