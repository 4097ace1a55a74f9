/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

static gboolean
is_op(const InferNode *node, const char *name)
{
  return node && strcmp(node->op->name, name) == 0;
}

/* The permutation of a Transpose, reversed axes where the attribute is absent. */
static gboolean
get_perm(const InferNode *node, gint64 *perm, gint rank)
{
  gsize n;
  const gint64 *list = infer_node_get_ints(node, "perm", &n);

  if (rank < 0)
    return FALSE;
  for (gint i = 0; i < rank; i++)
    perm[i] = list ? list[i] : rank - 1 - i;
  return !list || n == (gsize)rank;
}

/* Whether the output has the elements, the dimensions and the order of the first input. */
static gboolean
does_nothing(const InferNode *node)
{
  const InferTensor *in = node->n_inputs ? node->inputs[0] : NULL, *out = node->outputs[0];

  if (!in || in->type != out->type)
    return FALSE;
  if (is_op(node, "Identity"))
    return TRUE;
  if (is_op(node, "Concat"))
    return node->n_inputs == 1;
  if (is_op(node, "Transpose")) {
    gint64 perm[INFER_MAX_DIMS];
    if (!get_perm(node, perm, in->dims.n))
      return FALSE;
    for (gint i = 0; i < in->dims.n; i++)
      if (perm[i] != i)
        return FALSE;
    return TRUE;
  }
  if (is_op(node, "Cast"))
    return TRUE;
  if (!infer_dims_equal(&in->dims, &out->dims))
    return FALSE;
  for (gint i = 0; i < in->dims.n; i++)
    if (in->dims.d[i] == INFER_DIM_UNKNOWN)
      return FALSE;
  return in->dims.n >= 0 && ((node->op->flags & INFER_OP_VIEW) || is_op(node, "Expand"));
}

static gboolean
merge_transposes(InferNode *node)
{
  InferNode *first = node->inputs[0] ? node->inputs[0]->producer : NULL;
  gint rank = node->inputs[0] ? node->inputs[0]->dims.n : -1;
  gint64 inner[INFER_MAX_DIMS], outer[INFER_MAX_DIMS], both[INFER_MAX_DIMS];

  if (!is_op(node, "Transpose") || !is_op(first, "Transpose") || node->inputs[0]->value ||
      !get_perm(first, inner, rank) || !get_perm(node, outer, rank))
    return FALSE;
  for (gint i = 0; i < rank; i++)
    both[i] = inner[outer[i]];
  infer_node_set_inputs(node, first->inputs, 1);
  infer_node_set_attrs(node, infer_attrs_new("perm", 'I', both, (gsize)rank, NULL));
  return TRUE;
}

/* Only the last of two reshapes counts, unless it copies a dimension of the first. */
static gboolean
merge_reshapes(InferNode *node)
{
  InferNode *first = node->inputs[0] ? node->inputs[0]->producer : NULL;
  const InferArray *target;
  InferTensor *inputs[2];

  if (!is_op(node, "Reshape") || !first || !(first->op->flags & INFER_OP_VIEW) ||
      is_op(first, "Identity") || node->inputs[0]->value)
    return FALSE;
  target = node->inputs[1]->value;
  if (!target)
    return FALSE;
  for (gint64 i = 0; i < infer_array_count(target); i++)
    if (infer_array_get_int(target, (gsize)i) == 0 &&
        (i >= first->inputs[0]->dims.n || i >= node->inputs[0]->dims.n ||
         first->inputs[0]->dims.d[i] != node->inputs[0]->dims.d[i]))
      return FALSE;
  inputs[0] = first->inputs[0];
  inputs[1] = node->inputs[1];
  infer_node_set_inputs(node, inputs, 2);
  return TRUE;
}

/* Removes what moves no element, and joins chains of transposes and reshapes. */
gint
infer_pass_views(InferNetwork *network, GError **error)
{
  gint changes = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);

    if (merge_transposes(node) || merge_reshapes(node))
      changes++;
    if (node->n_outputs != 1 || !does_nothing(node))
      continue;
    /* An output that is a plain copy of an input has to stay a copy. */
    if (infer_network_replace(network, node->outputs[0], node->inputs[0])) {
      gboolean used = FALSE;
      for (guint j = 0; j < node->n_outputs; j++)
        used |= node->outputs[j]->is_output;
      changes += !used;
    }
  }
  return changes;
}
