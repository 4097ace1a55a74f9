/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Operators that work element by element keep the form their input has. */

typedef struct {
  const char *tf;
  const char *onnx;
} Pair;

static const char *
onnx_name(const Pair *pairs, const TfNode *node)
{
  for (; pairs->tf; pairs++) {
    if (tf_is(node, pairs->tf)) {
      return pairs->onnx;
    }
  }
  return node->def->op;
}

static InferTensor *
keep_form(TfImport *im, TfNode *node, gboolean *nchw, GError **error)
{
  *nchw = tf_has_nchw(node, 0);
  return *nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);
}

static gboolean
unary(TfImport *im, TfNode *node, const char *op, GVariant *attrs, GError **error)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;
  gboolean nchw = FALSE;
  InferTensor *input = keep_form(im, node, &nchw, error);

  return input && tf_out_as(node, 0, tf_add1(im, node, NULL, op, owned, input, error), nchw);
}

static gboolean
emit_unary(TfImport *im, TfNode *node, GError **error)
{
  static const Pair pairs[] = {
      {"LogicalNot", "Not"}, {"Inv", "Reciprocal"},    {"Rint", "Round"}, {"IsNan", "IsNaN"},
      {"IsInf", "IsInf"},    {"Invert", "BitwiseNot"}, {NULL, NULL},
  };

  return unary(im, node, onnx_name(pairs, node), NULL, error);
}

static gboolean
emit_leaky_relu(TfImport *im, TfNode *node, GError **error)
{
  double alpha = tf_attr_float(node, "alpha", 0.2);

  return unary(im, node, "LeakyRelu", infer_attrs_new("alpha", 'f', alpha, NULL), error);
}

static gboolean
emit_selu(TfImport *im, TfNode *node, GError **error)
{
  return unary(
      im, node, "Selu",
      infer_attrs_new("alpha", 'f', 1.6732632423543772, "gamma", 'f', 1.0507009873554805, NULL),
      error);
}

static gboolean
emit_relu6(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = FALSE;
  InferTensor *inputs[3] = {keep_form(im, node, &nchw, error)};

  if (!inputs[0]) {
    return FALSE;
  }
  inputs[1] = tf_scalar(im, node, "min", inputs[0]->type, 0);
  inputs[2] = tf_scalar(im, node, "max", inputs[0]->type, 6);
  return tf_out_as(node, 0, tf_add(im, node, NULL, "Clip", NULL, inputs, 3, error), nchw);
}

static gboolean
emit_rsqrt(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = FALSE;
  InferTensor *input = keep_form(im, node, &nchw, error);
  InferTensor *root = input ? tf_add1(im, node, "sqrt", "Sqrt", NULL, input, error) : NULL;

  return root && tf_out_as(node, 0, tf_add1(im, node, NULL, "Reciprocal", NULL, root, error), nchw);
}

static gboolean
emit_square(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = FALSE;
  InferTensor *input = keep_form(im, node, &nchw, error);

  return input &&
         tf_out_as(node, 0, tf_add2(im, node, NULL, "Mul", NULL, input, input, error), nchw);
}

/* Brings an operand that is broadcast to an image of 4 dimensions into NCHW. */
static InferTensor *
operand_nchw(TfImport *im, TfNode *node, guint index, GError **error)
{
  static const gint64 leading[3] = {0, 1, 2};
  static const gint64 perm[4] = {0, 3, 1, 2};
  gint rank = tf_in_rank(node, index);

  if (rank == 4) {
    return tf_in_nchw(im, node, index, error);
  }
  InferTensor *tensor = tf_in(im, node, index, error);
  if (!tensor || rank == 0 || infer_dims_count(&tensor->dims) == 1) {
    return tensor;
  }
  InferTensor *wide = tf_unsqueeze(im, node, "wide", tensor, leading, (gsize)(4 - rank), error);
  return wide ? tf_transpose(im, node, "operand", wide, perm, 4, error) : NULL;
}

/* All operands in one form: NCHW where one is there in it and the others can be. */
static gboolean
operands(TfImport *im, TfNode *node, guint first, guint n, InferTensor **tensors, gboolean *nchw,
         GError **error)
{
  gboolean any = FALSE, possible = TRUE;

  for (guint i = first; i < first + n; i++) {
    gint rank = tf_in_rank(node, i);
    any = any || tf_has_nchw(node, i);
    possible = possible && rank >= 0 && rank <= 4;
  }
  *nchw = any && possible;
  for (guint i = 0; i < n; i++) {
    tensors[i] =
        *nchw ? operand_nchw(im, node, first + i, error) : tf_in(im, node, first + i, error);
    if (!tensors[i]) {
      return FALSE;
    }
  }
  return TRUE;
}

/* Whether the second operand changes nothing, as the scale of logits that is 1. */
static gboolean
is_neutral(TfNode *node)
{
  gboolean factor = tf_is_any(node, "Mul", "RealDiv", "Div", NULL);

  if ((!factor && !tf_is_any(node, "Add", "AddV2", "Sub", NULL)) || tf_in_rank(node, 1) != 0) {
    return FALSE;
  }
  g_autoptr(InferArray) value = tf_const(node, 1, NULL);
  return value && infer_array_get_double(value, 0) == (factor ? 1 : 0);
}

static gboolean
emit_binary(TfImport *im, TfNode *node, GError **error)
{
  static const Pair pairs[] = {
      {"AddV2", "Add"},
      {"RealDiv", "Div"},
      {"Maximum", "Max"},
      {"Minimum", "Min"},
      {"LogicalAnd", "And"},
      {"LogicalOr", "Or"},
      {"GreaterEqual", "GreaterOrEqual"},
      {"LessEqual", "LessOrEqual"},
      {"BitwiseAnd", "BitwiseAnd"},
      {"BitwiseOr", "BitwiseOr"},
      {"BitwiseXor", "BitwiseXor"},
      {NULL, NULL},
  };
  InferTensor *in[2];
  gboolean nchw = FALSE;

  if (is_neutral(node)) {
    return tf_forward(node, 0, 0, error);
  }
  return operands(im, node, 0, 2, in, &nchw, error) &&
         tf_out_as(node, 0, tf_add(im, node, NULL, onnx_name(pairs, node), NULL, in, 2, error),
                   nchw);
}

static gboolean
emit_add_n(TfImport *im, TfNode *node, GError **error)
{
  g_autofree InferTensor **in = g_new0(InferTensor *, node->n_inputs + 1);
  gboolean nchw = FALSE;

  if (node->n_inputs == 0) {
    return tf_error(error, INFER_ERROR_MODEL, "it has no inputs");
  }
  if (!operands(im, node, 0, node->n_inputs, in, &nchw, error)) {
    return FALSE;
  }
  InferTensor *sum = in[0];
  for (guint i = 1; i < node->n_inputs && sum; i++) {
    const char *suffix = i + 1 < node->n_inputs ? "sum" : NULL;
    sum = tf_add2(im, node, suffix, "Add", NULL, sum, in[i], error);
  }
  return tf_out_as(node, 0, sum, nchw);
}

static gboolean
emit_squared_difference(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2];
  gboolean nchw = FALSE;

  if (!operands(im, node, 0, 2, in, &nchw, error)) {
    return FALSE;
  }
  InferTensor *less = tf_add(im, node, "difference", "Sub", NULL, in, 2, error);
  return less && tf_out_as(node, 0, tf_add2(im, node, NULL, "Mul", NULL, less, less, error), nchw);
}

static gboolean
emit_not_equal(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2];
  gboolean nchw = FALSE;

  if (!operands(im, node, 0, 2, in, &nchw, error)) {
    return FALSE;
  }
  InferTensor *equal = tf_add(im, node, "equal", "Equal", NULL, in, 2, error);
  return equal && tf_out_as(node, 0, tf_add1(im, node, NULL, "Not", NULL, equal, error), nchw);
}

/* Rounds down: floats by Floor; integers, for which division cuts, by taking the sign of the
 * remainder into account: q - 1 where a != q * b and a and b have different signs. */
static gboolean
emit_floor_div(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2];
  gboolean nchw = FALSE;

  if (!operands(im, node, 0, 2, in, &nchw, error)) {
    return FALSE;
  }
  InferTensor *q = tf_add(im, node, "quotient", "Div", NULL, in, 2, error);
  if (!q) {
    return FALSE;
  }
  if (infer_type_is_float(q->type)) {
    return tf_out_as(node, 0, tf_add1(im, node, NULL, "Floor", NULL, q, error), nchw);
  }
  InferTensor *zero = tf_scalar(im, node, "zero", q->type, 0);
  InferTensor *one = tf_scalar(im, node, "one", q->type, 1);
  InferTensor *back = tf_add2(im, node, "product", "Mul", NULL, q, in[1], error);
  InferTensor *exact = back ? tf_add2(im, node, "exact", "Equal", NULL, back, in[0], error) : NULL;
  InferTensor *a = exact ? tf_add2(im, node, "a", "Less", NULL, in[0], zero, error) : NULL;
  InferTensor *b = a ? tf_add2(im, node, "b", "Less", NULL, in[1], zero, error) : NULL;
  InferTensor *alike = b ? tf_add2(im, node, "alike", "Equal", NULL, a, b, error) : NULL;
  InferTensor *keep = alike ? tf_add2(im, node, "keep", "Or", NULL, exact, alike, error) : NULL;
  InferTensor *less = keep ? tf_add2(im, node, "less", "Sub", NULL, q, one, error) : NULL;
  InferTensor *choice[3] = {keep, q, less};
  return less && tf_out_as(node, 0, tf_add(im, node, NULL, "Where", NULL, choice, 3, error), nchw);
}

/* The older Select takes a vector as the choice of whole rows. */
static gboolean
emit_select(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 trailing[] = {1, 2, 3, 4, 5, 6, 7};
  gint rank = tf_in_rank(node, 1);
  InferTensor *in[3];
  gboolean nchw = FALSE;

  if (tf_is(node, "Select") && tf_in_rank(node, 0) == 1 && rank > 1) {
    for (guint i = 0; i < 3; i++) {
      in[i] = tf_in(im, node, i, error);
      if (!in[i]) {
        return FALSE;
      }
    }
    in[0] = tf_unsqueeze(im, node, "rows", in[0], trailing, (gsize)(rank - 1), error);
    if (!in[0]) {
      return FALSE;
    }
  } else if (!operands(im, node, 0, 3, in, &nchw, error)) {
    return FALSE;
  }
  return tf_out_as(node, 0, tf_add(im, node, NULL, "Where", NULL, in, 3, error), nchw);
}

static gboolean
emit_clip(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = FALSE;
  InferTensor *in[3] = {keep_form(im, node, &nchw, error)};

  for (guint i = 1; i < 3 && in[i - 1]; i++) {
    in[i] = tf_in(im, node, i, error);
  }
  return in[2] && tf_out_as(node, 0, tf_add(im, node, NULL, "Clip", NULL, in, 3, error), nchw);
}

const TfOp tf_ops_pointwise[] = {
    {"Relu", emit_unary},
    {"Relu6", emit_relu6},
    {"LeakyRelu", emit_leaky_relu},
    {"Elu", emit_unary},
    {"Selu", emit_selu},
    {"Sigmoid", emit_unary},
    {"Tanh", emit_unary},
    {"Softplus", emit_unary},
    {"Softsign", emit_unary},
    {"Exp", emit_unary},
    {"Log", emit_unary},
    {"Sqrt", emit_unary},
    {"Rsqrt", emit_rsqrt},
    {"Square", emit_square},
    {"Neg", emit_unary},
    {"Abs", emit_unary},
    {"Floor", emit_unary},
    {"Ceil", emit_unary},
    {"Round", emit_unary},
    {"Sign", emit_unary},
    {"Erf", emit_unary},
    {"Invert", emit_unary},
    {"IsInf", emit_unary},
    {"IsNan", emit_unary},
    {"Rint", emit_unary},
    {"Inv", emit_unary},
    {"Atanh", emit_unary},
    {"Acosh", emit_unary},
    {"Asinh", emit_unary},
    {"Atan", emit_unary},
    {"Acos", emit_unary},
    {"Asin", emit_unary},
    {"Cosh", emit_unary},
    {"Sinh", emit_unary},
    {"Tan", emit_unary},
    {"Cos", emit_unary},
    {"Sin", emit_unary},
    {"Reciprocal", emit_unary},
    {"LogicalNot", emit_unary},
    {"Add", emit_binary},
    {"AddV2", emit_binary},
    {"AddN", emit_add_n},
    {"Sub", emit_binary},
    {"BitwiseXor", emit_binary},
    {"BitwiseOr", emit_binary},
    {"BitwiseAnd", emit_binary},
    {"Mul", emit_binary},
    {"RealDiv", emit_binary},
    {"Div", emit_binary},
    {"FloorDiv", emit_floor_div},
    {"Maximum", emit_binary},
    {"Minimum", emit_binary},
    {"Pow", emit_binary},
    {"SquaredDifference", emit_squared_difference},
    {"Greater", emit_binary},
    {"GreaterEqual", emit_binary},
    {"Less", emit_binary},
    {"LessEqual", emit_binary},
    {"Equal", emit_binary},
    {"NotEqual", emit_not_equal},
    {"LogicalAnd", emit_binary},
    {"LogicalOr", emit_binary},
    {"Select", emit_select},
    {"SelectV2", emit_select},
    {"ClipByValue", emit_clip},
    {NULL, NULL},
};
