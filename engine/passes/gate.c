/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/*
 * Squeeze and excitation (Hu et al., 2018): an image's channels are multiplied by what small layers
 * make of their means. All of it can be one step, since nobody else reads what lies between.
 */

static gboolean
is_pooling(const InferNode *node)
{
  return strcmp(node->op->name, "GlobalAveragePool") == 0 ||
         strcmp(node->op->name, "ReduceMean") == 0;
}

static gboolean
reads(const InferNode *node, const InferTensor *tensor)
{
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] == tensor)
      return TRUE;
  return FALSE;
}

guint
infer_pass_find_gate(const InferUses *uses, InferNode *pooling, InferNode **nodes, guint most)
{
  const InferTensor *x = pooling->n_inputs > 0 ? pooling->inputs[0] : NULL;
  guint n = 1, n_layers = 0;

  nodes[0] = pooling;
  if (!x || x->value || !is_pooling(pooling))
    return 0;
  while (n < most) {
    InferNode *last = nodes[n - 1];
    InferNode *node = last->n_outputs == 1 ? infer_uses_single(uses, last->outputs[0]) : NULL;

    if (!node || node->n_inputs < 1)
      return 0;
    nodes[n++] = node;
    if (strcmp(node->op->name, "Mul") == 0 && reads(node, x))
      return n_layers > 0 ? n : 0;
    if (strcmp(node->op->name, "Conv") == 0)
      n_layers++;
    else if (!(node->op->flags & INFER_OP_POINTWISE))
      return 0;
  }
  return 0;
}
