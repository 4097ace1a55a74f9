/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

/* Marks what the outputs need, walking backwards with a stack of our own: a model may be deep. */
static GHashTable *
live_nodes(InferNetwork *self)
{
  GHashTable *live = g_hash_table_new(NULL, NULL);
  g_autoptr(GPtrArray) stack = g_ptr_array_new();

  for (guint i = 0; i < self->outputs->len; i++)
    g_ptr_array_add(stack, self->outputs->pdata[i]);
  while (stack->len) {
    InferTensor *tensor = g_ptr_array_steal_index_fast(stack, stack->len - 1);
    InferNode *node = tensor->value ? NULL : tensor->producer;

    if (!node || !g_hash_table_add(live, node))
      continue;
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        g_ptr_array_add(stack, node->inputs[j]);
  }
  return live;
}

static gboolean
ready(InferNode *node, GHashTable *done)
{
  for (guint j = 0; j < node->n_inputs; j++) {
    InferTensor *tensor = node->inputs[j];
    if (tensor && !tensor->value && tensor->producer &&
        !g_hash_table_contains(done, tensor->producer))
      return FALSE;
  }
  return TRUE;
}

/* Depth-first from each node in the old order: stable, linear, without recursion. */
static gboolean
sort_nodes(InferNetwork *self, GPtrArray *sorted, GError **error)
{
  g_autoptr(GHashTable) done = g_hash_table_new(NULL, NULL);
  g_autoptr(GHashTable) open = g_hash_table_new(NULL, NULL);
  g_autoptr(GPtrArray) stack = g_ptr_array_new();

  for (guint i = 0; i < self->nodes->len; i++) {
    g_ptr_array_add(stack, self->nodes->pdata[i]);
    while (stack->len) {
      InferNode *node = stack->pdata[stack->len - 1];

      if (g_hash_table_contains(done, node)) {
        g_ptr_array_set_size(stack, (gint)stack->len - 1);
        continue;
      }
      if (ready(node, done)) {
        g_hash_table_add(done, node);
        g_ptr_array_add(sorted, node);
        g_ptr_array_set_size(stack, (gint)stack->len - 1);
        continue;
      }
      if (!g_hash_table_add(open, node))
        return infer_op_error(node, error, INFER_ERROR_MODEL, "it depends on its own output");
      for (guint j = 0; j < node->n_inputs; j++) {
        InferTensor *tensor = node->inputs[j];
        if (tensor && !tensor->value && tensor->producer &&
            !g_hash_table_contains(done, tensor->producer))
          g_ptr_array_add(stack, tensor->producer);
      }
    }
  }
  return TRUE;
}

static void
drop_tensors(InferNetwork *self)
{
  g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
  GPtrArray *kept = g_ptr_array_new_with_free_func(infer_tensor_free);

  for (guint i = 0; i < self->nodes->len; i++) {
    InferNode *node = self->nodes->pdata[i];
    for (guint j = 0; j < node->n_inputs; j++)
      g_hash_table_add(used, node->inputs[j]);
    for (guint j = 0; j < node->n_outputs; j++)
      g_hash_table_add(used, node->outputs[j]);
  }
  g_ptr_array_set_free_func(self->tensors, NULL);
  for (guint i = 0; i < self->tensors->len; i++) {
    InferTensor *tensor = self->tensors->pdata[i];
    if (tensor->is_input || tensor->is_output || g_hash_table_contains(used, tensor)) {
      tensor->index = kept->len;
      g_ptr_array_add(kept, tensor);
    } else {
      g_hash_table_remove(self->names, tensor->name);
      infer_tensor_free(tensor);
    }
  }
  g_ptr_array_unref(self->tensors);
  self->tensors = kept;
}

gint
infer_network_compact(InferNetwork *self, GError **error)
{
  g_autoptr(GHashTable) live = live_nodes(self);
  g_autoptr(GPtrArray) sorted = g_ptr_array_new();
  g_autoptr(GPtrArray) dead = g_ptr_array_new_with_free_func(infer_node_free);
  GPtrArray *all = self->nodes;

  self->nodes = g_ptr_array_new_with_free_func(infer_node_free);
  g_ptr_array_set_free_func(all, NULL);
  for (guint i = 0; i < all->len; i++)
    g_ptr_array_add(g_hash_table_contains(live, all->pdata[i]) ? self->nodes : dead, all->pdata[i]);
  g_ptr_array_unref(all);

  /* What a dead node wrote may be a constant by now, and then still has readers. */
  for (guint i = 0; i < self->tensors->len; i++) {
    InferTensor *tensor = self->tensors->pdata[i];
    if (tensor->producer && !g_hash_table_contains(live, tensor->producer))
      tensor->producer = NULL;
  }
  if (!sort_nodes(self, sorted, error))
    return -1;
  for (guint i = 0; i < sorted->len; i++)
    self->nodes->pdata[i] = sorted->pdata[i];
  drop_tensors(self);
  return (gint)dead->len;
}

/* --- checks --- */

static gboolean
invalid(GError **error, const char *name, const char *what)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "the network is not valid: '%s' %s", name,
              what);
  return FALSE;
}

gboolean
infer_network_validate(InferNetwork *self, GError **error)
{
  g_autoptr(GHashTable) known = g_hash_table_new(NULL, NULL);

  for (guint i = 0; i < self->tensors->len; i++) {
    InferTensor *tensor = self->tensors->pdata[i];
    if (tensor->index != i)
      return invalid(error, tensor->name, "has another index than its place");
    if (g_hash_table_lookup(self->names, tensor->name) != tensor)
      return invalid(error, tensor->name, "is not the tensor of that name");
    if (tensor->value && (tensor->value->type != tensor->type ||
                          !infer_dims_equal(&tensor->value->dims, &tensor->dims)))
      return invalid(error, tensor->name, "has another type or dimensions than its contents");
    if (tensor->is_input || tensor->value)
      g_hash_table_add(known, tensor);
  }
  for (guint i = 0; i < self->nodes->len; i++) {
    InferNode *node = self->nodes->pdata[i];
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j] && !g_hash_table_contains(known, node->inputs[j]))
        return invalid(error, node->name, "reads a tensor before it is written");
    if (!infer_node_check_graphs(node, error))
      return FALSE;
    for (guint j = 0; j < node->n_outputs; j++) {
      if (node->outputs[j]->producer != node && !node->outputs[j]->value)
        return invalid(error, node->outputs[j]->name, "does not know its producer");
      g_hash_table_add(known, node->outputs[j]);
    }
  }
  for (guint i = 0; i < self->outputs->len; i++)
    if (!g_hash_table_contains(known, self->outputs->pdata[i]))
      return invalid(error, ((InferTensor *)self->outputs->pdata[i])->name, "is never written");
  return TRUE;
}

/* --- uses --- */

InferUses *
infer_uses_new(InferNetwork *self)
{
  InferUses *uses = g_new0(InferUses, 1);

  uses->n = self->tensors->len;
  uses->nodes = g_new0(GPtrArray *, uses->n + 1);
  for (guint i = 0; i < uses->n; i++)
    uses->nodes[i] = g_ptr_array_new();
  for (guint i = 0; i < self->nodes->len; i++) {
    InferNode *node = self->nodes->pdata[i];
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        g_ptr_array_add(uses->nodes[node->inputs[j]->index], node);
  }
  return uses;
}

void
infer_uses_free(InferUses *uses)
{
  for (guint i = 0; i < uses->n; i++)
    g_ptr_array_unref(uses->nodes[i]);
  g_free(uses->nodes);
  g_free(uses);
}

InferNode *
infer_uses_single(const InferUses *uses, const InferTensor *tensor)
{
  if (tensor->is_output || tensor->index >= uses->n || uses->nodes[tensor->index]->len != 1)
    return NULL;
  return uses->nodes[tensor->index]->pdata[0];
}
