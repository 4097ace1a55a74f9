/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <math.h>
#include <string.h>

/*
 * Activation functions and layer normalization that were written out in simpler nodes become the
 * operator that they are, which devices have kernels for. Each pattern is matched backwards from
 * its last node; what it leaves without a reader is dead.
 */
typedef struct {
  InferNetwork *network;
  const InferUses *uses;
} Pass;

static gboolean
is_op(const InferNode *node, const char *name)
{
  return node && strcmp(node->op->name, name) == 0;
}

static gboolean
near(double a, double b)
{
  return fabs(a - b) <= 1e-4 * fabs(b) + 1e-9;
}

static gboolean
get_scalar(const InferTensor *tensor, double *value)
{
  if (!tensor || !tensor->value || !infer_type_is_float(tensor->type) ||
      infer_array_count(tensor->value) != 1)
    return FALSE;
  *value = infer_array_get_double(tensor->value, 0);
  return TRUE;
}

/* The node that makes @tensor, where nothing else reads that. */
static InferNode *
maker(const Pass *self, const InferTensor *tensor, const char *op)
{
  InferNode *node = tensor && !tensor->value ? tensor->producer : NULL;

  return is_op(node, op) && infer_uses_single(self->uses, tensor) ? node : NULL;
}

/* @node is a sum or product of something, which is returned, and a constant scalar. */
static InferTensor *
with_scalar(const InferNode *node, double *value)
{
  if (!node || node->n_inputs != 2)
    return NULL;
  if (get_scalar(node->inputs[1], value) && node->inputs[1]->dims.n <= node->inputs[0]->dims.n)
    return node->inputs[0];
  if (get_scalar(node->inputs[0], value) && node->inputs[0]->dims.n <= node->inputs[1]->dims.n)
    return node->inputs[1];
  return NULL;
}

static InferTensor *
with_this(const InferNode *node, double wanted)
{
  double value;
  InferTensor *other = with_scalar(node, &value);

  return other && near(value, wanted) ? other : NULL;
}

/* The operand of a product, or of a quotient, that is scaled by @factor. */
static InferTensor *
scaled_by(const Pass *self, const InferTensor *tensor, double factor)
{
  InferNode *node = maker(self, tensor, "Mul");
  double value;

  if (node)
    return with_this(node, factor);
  node = maker(self, tensor, "Div");
  return node && get_scalar(node->inputs[1], &value) && near(value, 1 / factor) ? node->inputs[0]
                                                                                : NULL;
}

/* --- patterns; each returns what the function is of --- */

typedef InferTensor *(*Match)(const Pass *self, const InferNode *node, double *alpha);

/* f(x) of a product f(x) * x. */
static const InferTensor *
gate_of(const Pass *self, const InferNode *node, const char *op, InferTensor **x)
{
  for (guint i = 0; node->n_inputs == 2 && i < 2; i++) {
    InferNode *gate = maker(self, node->inputs[i], op);
    if (!gate)
      continue;
    *x = node->inputs[1 - i];
    return gate->outputs[0];
  }
  return NULL;
}

/* x * sigmoid(alpha x) */
static InferTensor *
match_swish(const Pass *self, const InferNode *node, double *alpha)
{
  InferTensor *x, *inner;
  const InferTensor *gate = is_op(node, "Mul") ? gate_of(self, node, "Sigmoid", &x) : NULL;
  InferNode *scale;

  if (!gate)
    return NULL;
  *alpha = 1;
  inner = gate->producer->inputs[0];
  if (inner == x)
    return x;
  scale = maker(self, inner, "Mul");
  return scale && with_scalar(scale, alpha) == x ? x : NULL;
}

/* clip(x + 3, 0, 6); Relu6 comes as Clip */
static InferTensor *
shifted_clip(const Pass *self, const InferTensor *tensor)
{
  InferNode *clip = maker(self, tensor, "Clip");
  double low, high;

  if (!clip || clip->n_inputs != 3 || !get_scalar(clip->inputs[1], &low) ||
      !get_scalar(clip->inputs[2], &high) || low != 0 || high != 6)
    return NULL;
  return with_this(maker(self, clip->inputs[0], "Add"), 3);
}

/* clip(x + 3, 0, 6) / 6 */
static InferTensor *
match_hard_sigmoid(const Pass *self, const InferNode *node, double *alpha)
{
  InferTensor *inner = NULL;
  double value;

  if (is_op(node, "Mul"))
    inner = with_this(node, 1.0 / 6);
  else if (is_op(node, "Div") && get_scalar(node->inputs[1], &value) && value == 6)
    inner = node->inputs[0];
  return inner ? shifted_clip(self, inner) : NULL;
}

/* x * hard_sigmoid(x), or (x * clip(x + 3, 0, 6)) / 6 */
static InferTensor *
match_hard_swish(const Pass *self, const InferNode *node, double *alpha)
{
  InferTensor *x, *inner = NULL;
  const InferTensor *gate;
  double value;

  if (is_op(node, "Mul") && (gate = gate_of(self, node, "HardSigmoid", &x)) != NULL)
    return near(infer_node_get_float(gate->producer, "alpha", 0.2), 1.0 / 6) &&
                   near(infer_node_get_float(gate->producer, "beta", 0.5), 0.5) &&
                   gate->producer->inputs[0] == x
               ? x
               : NULL;
  if (is_op(node, "Mul"))
    inner = with_this(node, 1.0 / 6);
  else if (is_op(node, "Div") && get_scalar(node->inputs[1], &value) && value == 6)
    inner = node->inputs[0];
  if (!inner || !maker(self, inner, "Mul"))
    return NULL;
  for (guint i = 0; i < 2; i++) {
    x = inner->producer->inputs[1 - i];
    if (shifted_clip(self, inner->producer->inputs[i]) == x)
      return x;
  }
  return NULL;
}

/* x * tanh(softplus(x)) */
static InferTensor *
match_mish(const Pass *self, const InferNode *node, double *alpha)
{
  InferTensor *x;
  const InferTensor *gate = is_op(node, "Mul") ? gate_of(self, node, "Tanh", &x) : NULL;
  InferNode *inner = gate ? maker(self, gate->producer->inputs[0], "Softplus") : NULL;

  return inner && inner->inputs[0] == x ? x : NULL;
}

/* Three factors, in any order and grouping, of which one is 0.5 and one 1 + something: the third,
 * and in @sum what the something is. */
static InferTensor *
halves(const Pass *self, const InferNode *node, InferTensor **sum)
{
  InferTensor *factors[4], *x = NULL;
  guint n = 0, half = 0;
  double value;

  *sum = NULL;
  if (!is_op(node, "Mul") || node->inputs[0] == node->inputs[1])
    return NULL;
  for (guint i = 0; i < 2; i++) {
    InferNode *inner = n + (1 - i) < 2 ? maker(self, node->inputs[i], "Mul") : NULL;
    if (inner) {
      factors[n++] = inner->inputs[0];
      factors[n++] = inner->inputs[1];
    } else {
      factors[n++] = node->inputs[i];
    }
  }
  if (n != 3)
    return NULL;
  for (guint i = 0; i < n; i++) {
    InferTensor *inner = with_this(maker(self, factors[i], "Add"), 1);
    if (get_scalar(factors[i], &value) && value == 0.5)
      half++;
    else if (inner && !*sum)
      *sum = inner;
    else
      x = factors[i];
  }
  return half == 1 && *sum ? x : NULL;
}

/* 0.5 x (1 + erf(x / sqrt 2)) */
static InferTensor *
match_gelu(const Pass *self, const InferNode *node, double *alpha)
{
  InferTensor *sum, *x = halves(self, node, &sum);
  InferNode *erf = x ? maker(self, sum, "Erf") : NULL;

  return erf && scaled_by(self, erf->inputs[0], G_SQRT2 / 2) == x ? x : NULL;
}

static gboolean
is_cube(const Pass *self, const InferTensor *tensor, const InferTensor *x)
{
  InferNode *node = maker(self, tensor, "Pow");
  double value;

  if (node)
    return node->inputs[0] == x && get_scalar(node->inputs[1], &value) && value == 3;
  node = maker(self, tensor, "Mul");
  for (guint i = 0; node && i < 2; i++) {
    InferNode *square = maker(self, node->inputs[i], "Mul");
    if (node->inputs[1 - i] == x && square && square->inputs[0] == x && square->inputs[1] == x)
      return TRUE;
  }
  return FALSE;
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
static InferTensor *
match_gelu_tanh(const Pass *self, const InferNode *node, double *alpha)
{
  InferTensor *sum, *x = halves(self, node, &sum);
  InferNode *tanh = x ? maker(self, sum, "Tanh") : NULL;
  InferTensor *inner = tanh ? scaled_by(self, tanh->inputs[0], sqrt(2 / G_PI)) : NULL;
  InferNode *add = inner ? maker(self, inner, "Add") : NULL;

  for (guint i = 0; add && i < 2; i++) {
    InferTensor *cube = add->inputs[i] == x ? scaled_by(self, add->inputs[1 - i], 0.044715) : NULL;
    if (cube && is_cube(self, cube, x))
      return x;
  }
  return NULL;
}

static const struct {
  Match match;
  const char *op;
  const char *alpha;       /* attribute that takes what was matched */
  const char *approximate; /* Gelu's */
} patterns[] = {
    {match_gelu, "Gelu", NULL, "none"},
    {match_gelu_tanh, "Gelu", NULL, "tanh"},
    {match_hard_swish, "HardSwish", NULL, NULL},
    {match_hard_sigmoid, "HardSigmoid", NULL, NULL},
    {match_mish, "Mish", NULL, NULL},
    {match_swish, "Swish", "alpha", NULL},
};

static GVariant *
attrs_of(guint pattern, double alpha)
{
  if (patterns[pattern].approximate)
    return infer_attrs_new("approximate", 's', patterns[pattern].approximate, NULL);
  if (patterns[pattern].alpha)
    return infer_attrs_new(patterns[pattern].alpha, 'f', alpha, NULL);
  if (patterns[pattern].match == match_hard_sigmoid)
    return infer_attrs_new("alpha", 'f', 1.0 / 6, "beta", 'f', 0.5, NULL);
  return NULL;
}

static gint
recognise(const Pass *self, InferNode *node, GError **error)
{
  const InferTensor *out = node->outputs[0];

  for (guint i = 0; i < G_N_ELEMENTS(patterns); i++) {
    double alpha = 0;
    g_autofree char *name = NULL;
    InferTensor *x = patterns[i].match(self, node, &alpha);
    InferNode *by;

    if (!x || x->value || x->type != out->type || !infer_dims_equal(&x->dims, &out->dims))
      continue;
    name = g_strdup_printf("%s.%s", node->name, patterns[i].op);
    by = infer_network_add_node(self->network, patterns[i].op, name, &x, 1, attrs_of(i, alpha), 1,
                                error);
    if (!by)
      return -1;
    return infer_network_replace(self->network, node->outputs[0], by->outputs[0]) ? 1 : 0;
  }
  return 0;
}

gint
infer_pass_activations(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  Pass self = {network, uses};
  gint changes = 0;

  /* What reads a new node is not known here: it is matched in the next round. */
  for (guint i = infer_network_get_n_nodes(network); i-- > 0;) {
    InferNode *node = infer_network_get_node(network, i);
    gint change;

    if (node->n_outputs != 1 || node->outputs[0]->index >= uses->n ||
        node->outputs[0]->type != INFER_TYPE_FLOAT || (!is_op(node, "Mul") && !is_op(node, "Div")))
      continue;
    change = recognise(&self, node, error);
    if (change < 0)
      return -1;
    changes += change;
  }
  return changes;
}
