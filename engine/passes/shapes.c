/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/*
 * A Reshape whose target was computed from Shape and its like gets a constant target, in which 0
 * copies a dimension and -1 is what remains; the computation is dead then.
 */
static gboolean
static_target(const InferNode *node, gint64 *target)
{
  const InferDims *in = &node->inputs[0]->dims, *out = &node->outputs[0]->dims;
  gint open = 0;

  if (in->n < 0 || out->n < 0)
    return FALSE;
  for (gint i = 0; i < out->n; i++) {
    target[i] = out->d[i];
    if (out->d[i] == 0)
      return FALSE; /* 0 means "copy" in a target */
    if (out->d[i] > 0)
      continue;
    if (out->d[i] != INFER_DIM_UNKNOWN && i < in->n && in->d[i] == out->d[i]) {
      target[i] = 0;
    } else {
      target[i] = -1;
      open++;
    }
  }
  return open <= 1;
}

gint
infer_pass_shapes(InferNetwork *network, GError **error)
{
  gint changes = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);
    gint64 target[INFER_MAX_DIMS];
    g_autoptr(InferArray) value = NULL;
    g_autofree char *name = NULL;
    InferTensor *inputs[2];

    if (strcmp(node->op->name, "Reshape") != 0 || node->inputs[1]->value ||
        !static_target(node, target))
      continue;
    value = infer_array_new_int64s(target, (gsize)node->outputs[0]->dims.n);
    name = g_strconcat(node->name, ".shape", NULL);
    inputs[0] = node->inputs[0];
    inputs[1] = infer_network_add_constant(network, name, value);
    infer_node_set_inputs(node, inputs, 2);
    infer_node_set_attrs(node, infer_attrs_new(NULL, NULL));
    changes++;
  }
  return changes;
}
