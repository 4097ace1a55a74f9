/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/*
 * A Transpose behind functions of elements that themselves stand behind the opposite Transpose, as
 * converters leave them around every activation: the functions are done before, on what was not
 * transposed, and both are gone. A Transpose costs nothing by itself, but it parts what could be
 * one step.
 */
#define MAX_DEPTH 16

typedef struct {
  InferNetwork *network;
  const InferUses *uses;
  const gint64 *perm; /* of the Transpose at the end */
  gint rank;
} Lift;

static gboolean
get_perm(const InferNode *node, gint64 *perm, gint rank)
{
  gsize n;
  const gint64 *list = infer_node_get_ints(node, "perm", &n);

  if (strcmp(node->op->name, "Transpose") != 0 || (list && n != (gsize)rank))
    return FALSE;
  for (gint i = 0; i < rank; i++)
    perm[i] = list ? list[i] : rank - 1 - i;
  return TRUE;
}

static gboolean
is_number(const Lift *self, const InferTensor *tensor)
{
  return tensor->value && infer_array_count(tensor->value) == 1 && tensor->dims.n <= self->rank;
}

static gboolean
is_opposite(const Lift *self, const InferTensor *tensor)
{
  gint64 perm[INFER_MAX_DIMS];

  if (tensor->value || !tensor->producer || tensor->dims.n != self->rank ||
      !get_perm(tensor->producer, perm, self->rank))
    return FALSE;
  for (gint i = 0; i < self->rank; i++)
    if (perm[self->perm[i]] != i)
      return FALSE;
  return TRUE;
}

static gboolean
can_lift(const Lift *self, const InferTensor *tensor, guint depth)
{
  const InferNode *node = tensor->value ? NULL : tensor->producer;
  gboolean any = FALSE;

  if (is_number(self, tensor) || is_opposite(self, tensor))
    return TRUE;
  if (!node || depth == MAX_DEPTH || !(node->op->flags & INFER_OP_POINTWISE) ||
      node->n_outputs != 1 || tensor->dims.n != self->rank ||
      !infer_uses_single(self->uses, tensor))
    return FALSE;
  for (guint i = 0; i < node->n_inputs; i++) {
    if (node->inputs[i] && !can_lift(self, node->inputs[i], depth + 1))
      return FALSE;
    any |= node->inputs[i] && !node->inputs[i]->value;
  }
  return any;
}

static InferTensor *
lift(const Lift *self, InferTensor *tensor, GError **error)
{
  InferNode *node = tensor->producer, *copy;
  g_autofree InferTensor **inputs = NULL;
  g_autofree char *name = NULL;

  if (is_number(self, tensor))
    return tensor;
  if (is_opposite(self, tensor))
    return node->inputs[0];
  inputs = g_new0(InferTensor *, node->n_inputs + 1);
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] && !(inputs[i] = lift(self, node->inputs[i], error)))
      return NULL;
  name = g_strconcat(node->name, ".before", NULL);
  copy = infer_network_add_node(self->network, node->op->name, name, inputs, node->n_inputs,
                                node->attrs, 1, error);
  return copy ? copy->outputs[0] : NULL;
}

gint
infer_pass_transposes(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  guint n = infer_network_get_n_nodes(network);
  gint changes = 0;

  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    InferTensor *in = node->n_inputs ? node->inputs[0] : NULL, *lifted;
    gint64 perm[INFER_MAX_DIMS];
    Lift self = {network, uses, perm, in ? in->dims.n : -1};

    /* What was lifted a moment ago is unknown here; there is another round. */
    if (!in || in->value || self.rank < 1 || in->index >= uses->n ||
        !get_perm(node, perm, self.rank) || is_opposite(&self, in) || !can_lift(&self, in, 0))
      continue;
    lifted = lift(&self, in, error);
    if (!lifted)
      return -1;
    changes += infer_network_replace(network, node->outputs[0], lifted);
  }
  return changes;
}
