/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/*
 * Layer normalization (Ba et al., 2016) as exporters before opset 17 wrote it: with d = x - mean(x)
 * it is d / sqrt(mean(d * d) + epsilon), then maybe times a scale plus a bias, all along the last
 * axis.
 */
static gboolean
is_op(const InferNode *node, const char *name)
{
  return node && strcmp(node->op->name, name) == 0;
}

static InferNode *
made_by(const InferTensor *tensor, const char *op)
{
  return tensor && !tensor->value && is_op(tensor->producer, op) ? tensor->producer : NULL;
}

/* A mean over the last axis, which stays with one element. */
static InferTensor *
mean_of(const InferTensor *tensor)
{
  const InferNode *node = made_by(tensor, "ReduceMean");
  const InferTensor *axes = node && node->n_inputs > 1 ? node->inputs[1] : NULL;
  gint64 axis;

  if (!axes || !axes->value || infer_array_count(axes->value) != 1 || node->inputs[0]->dims.n < 1 ||
      infer_node_get_int(node, "keepdims", 1) != 1)
    return NULL;
  axis = infer_array_get_int(axes->value, 0);
  return axis == -1 || axis == node->inputs[0]->dims.n - 1 ? node->inputs[0] : NULL;
}

static InferTensor *
square_of(const InferTensor *tensor)
{
  const InferNode *node = made_by(tensor, "Mul");

  if (node)
    return node->inputs[0] == node->inputs[1] ? node->inputs[0] : NULL;
  node = made_by(tensor, "Pow");
  if (!node || !node->inputs[1]->value || infer_array_count(node->inputs[1]->value) != 1 ||
      infer_array_get_double(node->inputs[1]->value, 0) != 2)
    return NULL;
  return node->inputs[0];
}

/* What @node, a quotient, normalizes. */
static InferTensor *
match(const InferNode *node, double *epsilon)
{
  const InferNode *root = is_op(node, "Div") ? made_by(node->inputs[1], "Sqrt") : NULL;
  const InferNode *sum = root ? made_by(root->inputs[0], "Add") : NULL;
  const InferNode *sub = sum ? made_by(node->inputs[0], "Sub") : NULL;
  const InferTensor *constant;
  guint variable;

  if (!sub || !sum->inputs[0]->value == !sum->inputs[1]->value)
    return NULL;
  variable = sum->inputs[0]->value ? 1 : 0;
  constant = sum->inputs[1 - variable];
  if (infer_array_count(constant->value) != 1 || sub->outputs[0]->type != INFER_TYPE_FLOAT)
    return NULL;
  *epsilon = infer_array_get_double(constant->value, 0);
  if (mean_of(sub->inputs[1]) != sub->inputs[0] || *epsilon < 0 ||
      square_of(mean_of(sum->inputs[variable])) != sub->outputs[0])
    return NULL;
  return sub->inputs[0];
}

/* The constant vector that the only reader of @tensor, of operator @op, applies to the last axis.
 */
static InferTensor *
vector_of(const InferUses *uses, const InferTensor *tensor, const char *op, gint64 width,
          InferNode **reader)
{
  InferNode *node = infer_uses_single(uses, tensor);

  for (guint i = 0; is_op(node, op) && i < 2; i++) {
    InferTensor *vector = node->inputs[i];
    if (vector->value && vector->dims.n == 1 && vector->dims.d[0] == width) {
      *reader = node;
      return vector;
    }
  }
  return NULL;
}

static InferTensor *
ones(InferNetwork *network, const InferNode *node, gint64 width)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(width), NULL);
  g_autofree char *name = g_strconcat(node->name, ".ones", NULL);

  for (gint64 i = 0; array && i < width; i++)
    ((float *)array->data)[i] = 1;
  return array ? infer_network_add_constant(network, name, array) : NULL;
}

gint
infer_pass_layernorm(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  guint n = infer_network_get_n_nodes(network);
  gint changes = 0;

  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i), *last = node, *by;
    double epsilon;
    InferTensor *x = match(node, &epsilon), *inputs[3] = {x};
    gint64 width = x ? x->dims.d[x->dims.n - 1] : 0;
    g_autofree char *name = NULL;

    if (width <= 0 || node->outputs[0]->index >= uses->n)
      continue;
    inputs[1] = vector_of(uses, node->outputs[0], "Mul", width, &last);
    if (inputs[1])
      inputs[2] = vector_of(uses, last->outputs[0], "Add", width, &last);
    else
      inputs[1] = ones(network, node, width);
    if (!inputs[1])
      continue;
    name = g_strconcat(node->name, ".LayerNormalization", NULL);
    by = infer_network_add_node(network, "LayerNormalization", name, inputs, inputs[2] ? 3 : 2,
                                infer_attrs_new("epsilon", 'f', epsilon, NULL), 1, error);
    if (!by)
      return -1;
    changes += infer_network_replace(network, last->outputs[0], by->outputs[0]);
  }
  return changes;
}
