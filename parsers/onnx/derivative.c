/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gradient.h"

#include <string.h>

/* Derivatives of operators, as operators. A NULL operand passes a NULL result on. */

static InferTensor *
one(OnnxGradient *g, const char *op, InferTensor *x, GError **error)
{
  return x ? onnx_add1(g->im, g->call, op, op, NULL, x, error) : NULL;
}

static InferTensor *
two(OnnxGradient *g, const char *op, InferTensor *a, InferTensor *b, GError **error)
{
  return a && b ? onnx_add2(g->im, g->call, op, op, NULL, a, b, error) : NULL;
}

static InferTensor *
number(OnnxGradient *g, const InferTensor *like, double value)
{
  return onnx_const_scalar(g->im, g->call, "number", like->type, value);
}

static InferTensor *
in_shape_of(OnnxGradient *g, const char *op, InferTensor *x, InferTensor *like, GError **error)
{
  return two(g, op, x, one(g, "Shape", like, error), error);
}

/* An operand that was broadcast gets the sum over what it was repeated for. */
static InferTensor *
unbroadcast(OnnxGradient *g, InferTensor *dy, InferTensor *x, GError **error)
{
  gint64 axes[INFER_MAX_DIMS];
  gsize n = 0;

  if (!dy || infer_dims_equal(&dy->dims, &x->dims)) {
    return dy;
  }
  gboolean known = dy->dims.n >= 0 && x->dims.n >= 0 && x->dims.n <= dy->dims.n;
  for (gint i = 0, k = x->dims.n - dy->dims.n; known && i < dy->dims.n; i++, k++) {
    if (k < 0 || (x->dims.d[k] == 1 && dy->dims.d[i] != 1)) {
      axes[n++] = i;
    } else {
      known = x->dims.d[k] == dy->dims.d[i] && x->dims.d[k] != INFER_DIM_UNKNOWN;
    }
  }
  if (!known) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED, "operands are broadcast in dimensions not known");
    return NULL;
  }
  InferTensor *sum =
      n == 0 ? dy
             : two(g, "ReduceSum", dy, onnx_const_ints(g->im, g->call, "axes", axes, n), error);
  return sum ? in_shape_of(g, "Reshape", sum, x, error) : NULL;
}

static InferTensor *
d_same(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return unbroadcast(g, dy, node->inputs[index], error);
}

static InferTensor *
d_neg(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return one(g, "Neg", dy, error);
}

static InferTensor *
d_sub(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return unbroadcast(g, index ? one(g, "Neg", dy, error) : dy, node->inputs[index], error);
}

static InferTensor *
d_mul(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return unbroadcast(g, two(g, "Mul", dy, node->inputs[1 - index], error), node->inputs[index],
                     error);
}

static InferTensor *
d_div(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *part = two(g, "Div", dy, node->inputs[1], error);

  if (index == 1) {
    part = one(g, "Neg", two(g, "Mul", part, node->outputs[0], error), error);
  }
  return unbroadcast(g, part, node->inputs[index], error);
}

static InferTensor *
d_pow(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *a = node->inputs[0], *b = node->inputs[1], *part;

  if (a->type != b->type) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED, "a power of another type is not differentiated");
    return NULL;
  }
  if (index == 0) {
    InferTensor *less = two(g, "Sub", b, number(g, b, 1), error);
    part = two(g, "Mul", b, two(g, "Pow", a, less, error), error);
  } else {
    part = two(g, "Mul", node->outputs[0], one(g, "Log", a, error), error);
  }
  return unbroadcast(g, two(g, "Mul", dy, part, error), node->inputs[index], error);
}

/* --- functions of one number --- */

static InferTensor *
d_exp(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return two(g, "Mul", dy, node->outputs[0], error);
}

static InferTensor *
d_log(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return two(g, "Div", dy, node->inputs[0], error);
}

static InferTensor *
d_sqrt(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return two(g, "Div", two(g, "Mul", dy, number(g, dy, 0.5), error), node->outputs[0], error);
}

static InferTensor *
d_reciprocal(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *square = two(g, "Mul", node->outputs[0], node->outputs[0], error);

  return one(g, "Neg", two(g, "Mul", dy, square, error), error);
}

static InferTensor *
d_sigmoid(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *y = node->outputs[0], *rest = two(g, "Sub", number(g, y, 1), y, error);

  return two(g, "Mul", dy, two(g, "Mul", y, rest, error), error);
}

static InferTensor *
d_tanh(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *square = two(g, "Mul", node->outputs[0], node->outputs[0], error);

  return two(g, "Mul", dy, two(g, "Sub", number(g, dy, 1), square, error), error);
}

static InferTensor *
d_relu(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *x = node->inputs[0], *zero = number(g, x, 0);
  InferTensor *inputs[] = {two(g, "Greater", x, zero, error), dy, zero};

  return inputs[0] ? onnx_add(g->im, g->call, "Where", "Where", NULL, inputs, 3, error) : NULL;
}

static InferTensor *
d_sin(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return two(g, "Mul", dy, one(g, "Cos", node->inputs[0], error), error);
}

static InferTensor *
d_cos(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *part = two(g, "Mul", dy, one(g, "Sin", node->inputs[0], error), error);

  return one(g, "Neg", part, error);
}

static InferTensor *
d_abs(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return two(g, "Mul", dy, one(g, "Sign", node->inputs[0], error), error);
}

static InferTensor *
d_softplus(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return two(g, "Mul", dy, one(g, "Sigmoid", node->inputs[0], error), error);
}

/* --- shapes --- */

static InferTensor *
d_reshape(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  return in_shape_of(g, "Reshape", dy, node->inputs[0], error);
}

static InferTensor *
d_transpose(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  gsize n = 0;
  const gint64 *perm = infer_node_get_ints(node, "perm", &n);
  gint64 back[INFER_MAX_DIMS];

  if (!perm || n == 0) {
    return one(g, "Transpose", dy, error);
  }
  for (gsize i = 0; i < MIN(n, INFER_MAX_DIMS); i++) {
    back[CLAMP(perm[i], 0, INFER_MAX_DIMS - 1)] = (gint64)i;
  }
  return onnx_add1(g->im, g->call, "Transpose", "Transpose",
                   infer_attrs_new("perm", 'I', back, n, NULL), dy, error);
}

/* The sum once more with its dimensions kept says which shape repeats to that of the input. */
static InferTensor *
d_reduce(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *x = node->inputs[0], *kept = dy;
  gint64 noop = infer_node_get_int(node, "noop_with_empty_axes", 0);

  if (infer_node_get_int(node, "keepdims", 1) == 0) {
    kept = onnx_add(g->im, g->call, "kept", "ReduceSum",
                    infer_attrs_new("noop_with_empty_axes", 'i', noop, NULL), node->inputs,
                    node->n_inputs, error);
    kept = kept ? in_shape_of(g, "Reshape", dy, kept, error) : NULL;
  }
  InferTensor *spread = kept ? in_shape_of(g, "Expand", kept, x, error) : NULL;
  if (!spread || g_str_equal(infer_node_get_op_name(node), "ReduceSum")) {
    return spread;
  }
  InferTensor *all = one(g, "Size", x, error);
  InferTensor *count =
      all ? two(g, "Div", all, one(g, "Size", node->outputs[0], error), error) : NULL;
  count = count ? onnx_add1(g->im, g->call, "count", "Cast",
                            infer_attrs_new("to", 'i', (gint64)dy->type, NULL), count, error)
                : NULL;
  return two(g, "Div", spread, count, error);
}

/* --- products --- */

static InferTensor *
turned(OnnxGradient *g, InferTensor *x, GError **error)
{
  gint64 perm[INFER_MAX_DIMS];

  for (gint i = 0; i < x->dims.n; i++) {
    perm[i] = i < x->dims.n - 2 ? i : 2 * (gint64)x->dims.n - 3 - i;
  }
  return onnx_add1(g->im, g->call, "turned", "Transpose",
                   infer_attrs_new("perm", 'I', perm, (gsize)x->dims.n, NULL), x, error);
}

static InferTensor *
d_matmul(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  InferTensor *a = node->inputs[0], *b = node->inputs[1], *part;

  if (a->dims.n < 2 || b->dims.n < 2) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED, "products of vectors are not differentiated");
    return NULL;
  }
  part = index == 0 ? two(g, "MatMul", dy, turned(g, b, error), error)
                    : two(g, "MatMul", turned(g, a, error), dy, error);
  return unbroadcast(g, part, node->inputs[index], error);
}

static InferTensor *
d_gemm(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  gint64 turn_a = infer_node_get_int(node, "transA", 0) != 0;
  gint64 turn_b = infer_node_get_int(node, "transB", 0) != 0;
  double alpha = infer_node_get_float(node, "alpha", 1);
  InferTensor *other = index < 2 ? node->inputs[1 - index] : NULL;

  if (index == 2) {
    InferTensor *beta = number(g, dy, infer_node_get_float(node, "beta", 1));
    return unbroadcast(g, two(g, "Mul", dy, beta, error), node->inputs[2], error);
  }
  /* The operand's own turn swaps the factors. */
  gboolean own = index == 0 ? turn_a : turn_b;
  gboolean dy_first = (index == 0) != own;
  gint64 turn_dy = own;
  gint64 turn_other = index == 0 ? (own ? turn_b : !turn_b) : (own ? turn_a : !turn_a);
  GVariant *attrs =
      infer_attrs_new("alpha", 'f', alpha, "transA", 'i', dy_first ? turn_dy : turn_other, "transB",
                      'i', dy_first ? turn_other : turn_dy, NULL);
  return onnx_add2(g->im, g->call, "Gemm", "Gemm", attrs, dy_first ? dy : other,
                   dy_first ? other : dy, error);
}

static InferTensor *
d_softmax(OnnxGradient *g, const InferNode *node, guint index, InferTensor *dy, GError **error)
{
  const gint64 axis = infer_node_get_int(node, "axis", -1);
  InferTensor *y = node->outputs[0], *part = two(g, "Mul", dy, y, error);
  InferTensor *sum =
      part ? two(g, "ReduceSum", part, onnx_const_ints(g->im, g->call, "axis", &axis, 1), error)
           : NULL;

  return two(g, "Sub", part, two(g, "Mul", y, sum, error), error);
}

OnnxDerivative
onnx_derivative(const char *op)
{
  static const struct {
    const char *op;
    OnnxDerivative derivative;
  } table[] = {
      {"Identity", d_same},     {"Add", d_same},          {"Sum", d_same},
      {"Sub", d_sub},           {"Neg", d_neg},           {"Mul", d_mul},
      {"Div", d_div},           {"Pow", d_pow},           {"Exp", d_exp},
      {"Log", d_log},           {"Sqrt", d_sqrt},         {"Reciprocal", d_reciprocal},
      {"Sigmoid", d_sigmoid},   {"Tanh", d_tanh},         {"Relu", d_relu},
      {"Sin", d_sin},           {"Cos", d_cos},           {"Abs", d_abs},
      {"Softplus", d_softplus}, {"Reshape", d_reshape},   {"Flatten", d_reshape},
      {"Squeeze", d_reshape},   {"Unsqueeze", d_reshape}, {"Transpose", d_transpose},
      {"ReduceSum", d_reduce},  {"ReduceMean", d_reduce}, {"MatMul", d_matmul},
      {"Gemm", d_gemm},         {"Softmax", d_softmax},
  };

  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    if (g_str_equal(table[i].op, op)) {
      return table[i].derivative;
    }
  }
  return NULL;
}
