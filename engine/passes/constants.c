/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/* A constant that large costs more in the plan than its computation at run time. */
#define MAX_FOLDED_SIZE ((gsize)256 << 20)

static gboolean
foldable(const InferNode *node)
{
  if (node->op->flags & INFER_OP_OPAQUE)
    return FALSE;
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] && !node->inputs[i]->value)
      return FALSE;
  if (node->n_graphs > 0)
    return FALSE; /* what is in it is folded; numbers may be drawn there at each run */
  for (guint i = 0; i < node->n_outputs; i++) {
    const InferTensor *out = node->outputs[i];
    if (out->is_output || out->type == INFER_TYPE_STRING || out->kind != INFER_KIND_TENSOR)
      return FALSE;
    if (infer_dims_is_constant(&out->dims) &&
        infer_type_size(out->type, infer_dims_count(&out->dims)) > MAX_FOLDED_SIZE)
      return FALSE;
  }
  return TRUE;
}

static gboolean
fold(InferNetwork *network, InferNode *node, GError **error)
{
  g_autofree const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
  g_autofree InferArray **out = g_new0(InferArray *, node->n_outputs + 1);

  for (guint i = 0; i < node->n_inputs; i++)
    in[i] = node->inputs[i] ? node->inputs[i]->value : NULL;
  if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
    return FALSE;
  for (guint i = 0; i < node->n_outputs; i++) {
    infer_network_set_value(network, node->outputs[i], out[i]);
    infer_array_unref(out[i]);
  }
  return TRUE;
}

/* A vector of known numbers, for example the Shape of a tensor of constant dimensions. */
static gboolean
fold_content(InferNetwork *network, const InferUses *uses, InferTensor *tensor)
{
  g_autoptr(InferArray) value = NULL;
  g_autofree char *name = g_strconcat(tensor->name, ".value", NULL);

  if (!tensor->has_content || tensor->value || tensor->is_output || tensor->is_input ||
      !infer_dims_is_constant(&tensor->content) || !infer_dims_is_constant(&tensor->dims) ||
      infer_dims_count(&tensor->dims) != tensor->content.n || uses->nodes[tensor->index]->len == 0)
    return FALSE;
  value = infer_operand_content_new(tensor->type, &tensor->dims, &tensor->content, NULL);
  if (!value)
    return FALSE;
  /* The node may have other outputs, so that it goes on to write this one. */
  return infer_network_replace(network, tensor, infer_network_add_constant(network, name, value));
}

/* Evaluates every node whose inputs are all constant; nodes come in order, so one walk is enough.
 */
gint
infer_pass_constants(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  gint changes = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);

    if (foldable(node)) {
      if (!fold(network, node, error))
        return -1;
      changes++;
      continue;
    }
    for (guint j = 0; j < node->n_outputs; j++)
      changes += fold_content(network, uses, node->outputs[j]);
  }
  return changes;
}
