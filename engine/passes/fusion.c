/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "program-private.h"

#include <string.h>

/* Longer chains than any epilogue; bounds the search. */
#define MAX_STEP_NODES 16

/* Operators that a step can be built around. */
static gboolean
can_anchor(const InferNode *node)
{
  static const char *const anchors[] = {"Conv",        "ConvTranspose", "Gemm", "MatMul",
                                        "AveragePool", "MaxPool",       NULL};

  return g_strv_contains(anchors, node->op->name);
}

const InferImpl *
infer_step_choose(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  const char *op = step->nodes[step->anchor]->op->name;
  const InferImpl *const *list = device->backend->impls ? device->backend->impls(op) : NULL;

  for (; list && *list; list++) {
    for (guint i = 0; i < step->n_inputs; i++)
      inputs[i] = INFER_LAYOUT_ROW_MAJOR;
    for (guint i = 0; i < step->n_outputs; i++)
      outputs[i] = INFER_LAYOUT_ROW_MAJOR;
    if ((*list)->supports(device, step, inputs, outputs))
      return *list;
  }
  for (guint i = 0; i < step->n_inputs; i++)
    inputs[i] = INFER_LAYOUT_ROW_MAJOR;
  for (guint i = 0; i < step->n_outputs; i++)
    outputs[i] = INFER_LAYOUT_ROW_MAJOR;
  return &infer_impl_reference;
}

static gboolean
is_supported(InferDevice *device, const InferStep *step)
{
  g_autofree InferLayout *inputs = g_new(InferLayout, step->n_inputs + 1);
  g_autofree InferLayout *outputs = g_new(InferLayout, step->n_outputs + 1);

  return infer_step_choose(device, step, inputs, outputs) != &infer_impl_reference;
}

/* Takes the one reader of the step's result in, again and again, while the device says yes. */
static InferStep *
grow(InferNode *anchor, const InferUses *uses, GHashTable *taken, InferDevice *device)
{
  InferNode *nodes[MAX_STEP_NODES] = {anchor};
  InferStep *step = infer_step_new(nodes, 1, 0);

  while (step->n_nodes < MAX_STEP_NODES && step->n_outputs == 1) {
    InferNode *next = infer_uses_single(uses, step->outputs[0]);
    InferStep *trial;

    if (!next || next->n_outputs != 1 || !(next->op->flags & INFER_OP_POINTWISE) ||
        g_hash_table_contains(taken, next))
      break;
    nodes[step->n_nodes] = next;
    trial = infer_step_new(nodes, step->n_nodes + 1, 0);
    if (!is_supported(device, trial)) {
      infer_step_free(trial);
      break;
    }
    infer_step_free(step);
    step = trial;
  }
  return step;
}

GPtrArray *
infer_pass_fusion(InferNetwork *network, InferDevice *device, gboolean fuse, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
  g_autoptr(GHashTable) ends = g_hash_table_new(NULL, NULL); /* last node -> step */
  guint n = infer_network_get_n_nodes(network);
  GPtrArray *steps = g_ptr_array_new_with_free_func(infer_step_free);

  /* Backwards, so that of two convolutions that are added the later one takes the sum in. */
  for (guint i = n; fuse && i-- > 0;) {
    InferNode *node = infer_network_get_node(network, i);
    InferStep *step;

    if (!can_anchor(node))
      continue;
    step = grow(node, uses, taken, device);
    for (guint j = 0; j < step->n_nodes; j++)
      g_hash_table_add(taken, step->nodes[j]);
    g_hash_table_insert(ends, step->nodes[step->n_nodes - 1], step);
  }
  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    InferStep *step = g_hash_table_lookup(ends, node);

    if (step)
      g_ptr_array_add(steps, step);
    else if (!g_hash_table_contains(taken, node))
      g_ptr_array_add(steps, infer_step_new(&node, 1, 0));
  }
  return steps;
}
