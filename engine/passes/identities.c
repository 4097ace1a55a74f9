/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <math.h>
#include <string.h>

/* Nodes that change no number: bounds that hold already, neutral constants, and what one node does
 * twice. And means over whole images, which are global poolings. */

static gboolean
is_op(const InferNode *node, const char *name)
{
  return node && strcmp(node->op->name, name) == 0;
}

/* --- bounds --- */

static gboolean
clip_bound(const InferNode *node, guint index, double absent, double *bound)
{
  const InferTensor *tensor = node->n_inputs > index ? node->inputs[index] : NULL;

  *bound = absent;
  if (!tensor)
    return TRUE;
  if (!tensor->value || infer_array_count(tensor->value) != 1)
    return FALSE;
  *bound = infer_array_get_double(tensor->value, 0);
  return TRUE;
}

/* The range of what a node gives. */
static gboolean
range_of(const InferNode *node, double *low, double *high)
{
  *low = 0;
  *high = INFINITY;
  if (is_op(node, "Relu"))
    return TRUE;
  if (is_op(node, "Clip"))
    return clip_bound(node, 1, -INFINITY, low) && clip_bound(node, 2, INFINITY, high) &&
           *low <= *high;
  *high = 1;
  return is_op(node, "Sigmoid") || is_op(node, "HardSigmoid") || is_op(node, "Softmax");
}

/* A clip of what lies in its bounds. */
static gboolean
is_bounded(const InferNode *node)
{
  const InferNode *before = node->inputs[0] ? node->inputs[0]->producer : NULL;
  double low, high, has_low, has_high;

  if (!is_op(node, "Relu") && !is_op(node, "Clip"))
    return FALSE;
  if (!range_of(node, &low, &high))
    return FALSE;
  if (low == -INFINITY && high == INFINITY)
    return TRUE;
  return before && !node->inputs[0]->value && range_of(before, &has_low, &has_high) &&
         has_low >= low && has_high <= high;
}

/* --- neutral constants --- */

static gboolean
all_are(const InferTensor *tensor, double number)
{
  gint64 n = tensor && tensor->value ? infer_array_count(tensor->value) : 0;

  if (n == 0 || infer_type_bits(tensor->type) < 8 || tensor->type == INFER_TYPE_STRING)
    return FALSE;
  for (gint64 i = 0; i < n; i++)
    if (infer_array_get_double(tensor->value, (gsize)i) != number)
      return FALSE;
  return TRUE;
}

/* The operand that comes out as it went in: x * 1, x / 1, x - 0, x ^ 1. And x + 0, where only a
 * negative zero would become a positive one. */
static InferTensor *
neutral(const InferNode *node)
{
  gboolean sum = is_op(node, "Add"), product = is_op(node, "Mul");

  if (node->n_inputs != 2)
    return NULL;
  if (((sum || is_op(node, "Sub")) && all_are(node->inputs[1], 0)) ||
      ((product || is_op(node, "Div") || is_op(node, "Pow")) && all_are(node->inputs[1], 1)))
    return node->inputs[0];
  if ((sum && all_are(node->inputs[0], 0)) || (product && all_are(node->inputs[0], 1)))
    return node->inputs[1];
  return NULL;
}

static InferTensor *
unchanged(const InferNode *node)
{
  static const char *const twice[] = {"Abs", "Floor", "Ceil", "Round", "Sign", NULL};
  InferTensor *in = node->n_inputs ? node->inputs[0] : NULL;

  if (!in || node->n_outputs != 1)
    return NULL;
  if (is_bounded(node))
    return in;
  if (g_strv_contains(twice, node->op->name) && in->producer && in->producer->op == node->op)
    return in;
  return neutral(node);
}

static gboolean
same_shape(const InferTensor *a, const InferTensor *b)
{
  if (a->type != b->type || a->dims.n < 0 || !infer_dims_equal(&a->dims, &b->dims))
    return FALSE;
  for (gint i = 0; i < a->dims.n; i++)
    if (a->dims.d[i] == INFER_DIM_UNKNOWN)
      return FALSE;
  return TRUE;
}

/* --- global poolings --- */

static gboolean
list_is(const InferNode *node, const char *name, gint64 number)
{
  gsize n;
  const gint64 *list = infer_node_get_ints(node, name, &n);

  for (gsize i = 0; list && i < n; i++)
    if (list[i] != number)
      return FALSE;
  return TRUE;
}

/* A pooling whose one window is the image. */
static gboolean
is_whole_pool(const InferNode *node)
{
  const InferDims *in = &node->inputs[0]->dims, *out = &node->outputs[0]->dims;
  const char *mode = infer_node_get_string(node, "auto_pad", "NOTSET");
  gsize n;
  const gint64 *kernel = infer_node_get_ints(node, "kernel_shape", &n);

  if ((!is_op(node, "AveragePool") && !is_op(node, "MaxPool")) || node->n_outputs != 1 || !kernel ||
      node->inputs[0]->type != INFER_TYPE_FLOAT || in->n < 3 || n != (gsize)in->n - 2 ||
      out->n != in->n || !list_is(node, "pads", 0) || !list_is(node, "dilations", 1) ||
      (strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    if (in->d[i + 2] != kernel[i] || out->d[i + 2] != 1)
      return FALSE;
  return TRUE;
}

/* A mean over all spatial axes that keeps them. */
static gboolean
is_whole_mean(const InferNode *node)
{
  const InferTensor *axes = node->n_inputs > 1 ? node->inputs[1] : NULL;
  gint rank = node->inputs[0]->dims.n;
  guint seen = 0;

  if (!is_op(node, "ReduceMean") || infer_node_get_int(node, "keepdims", 1) != 1 || rank < 3 ||
      rank > 5 || !axes || !axes->value || node->inputs[0]->type != INFER_TYPE_FLOAT)
    return FALSE;
  for (gint64 i = 0; i < infer_array_count(axes->value); i++) {
    gint64 axis = infer_array_get_int(axes->value, (gsize)i);
    axis += axis < 0 ? rank : 0;
    if (axis < 2 || axis >= rank)
      return FALSE;
    seen |= 1u << axis;
  }
  return seen == (1u << rank) - 4;
}

static gint
make_global(InferNetwork *network, InferNode *node, GError **error)
{
  gboolean pool = node->n_inputs && node->inputs[0] && is_whole_pool(node);
  g_autofree char *name = g_strconcat(node->name, ".global", NULL);
  InferNode *by;

  if (!pool && !(node->n_inputs && node->inputs[0] && is_whole_mean(node)))
    return 0;
  by = infer_network_add_node(network,
                              is_op(node, "MaxPool") ? "GlobalMaxPool" : "GlobalAveragePool", name,
                              node->inputs, 1, NULL, 1, error);
  if (!by)
    return -1;
  return infer_network_replace(network, node->outputs[0], by->outputs[0]);
}

gint
infer_pass_identities(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  guint n = infer_network_get_n_nodes(network);
  gint changes = 0;

  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    InferTensor *same = unchanged(node);
    gint change;

    if (same && same_shape(same, node->outputs[0]) &&
        (uses->nodes[node->outputs[0]->index]->len || node->outputs[0]->is_output)) {
      changes += infer_network_replace(network, node->outputs[0], same);
      continue;
    }
    change = make_global(network, node, error);
    if (change < 0)
      return -1;
    changes += change;
  }
  return changes;
}
