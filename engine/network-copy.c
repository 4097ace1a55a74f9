/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

InferTensor *
infer_network_restore_tensor(InferNetwork *self, const char *name, InferType type,
                             const InferDims *dims)
{
  return g_hash_table_contains(self->names, name)
             ? NULL
             : infer_network_add_tensor(self, name, type, dims);
}

gboolean
infer_network_restore_input(InferNetwork *self, InferTensor *tensor, InferArray *initial)
{
  if (tensor->is_input || tensor->producer || tensor->value)
    return FALSE;
  tensor->is_input = TRUE;
  tensor->initial = initial ? infer_array_ref(initial) : NULL;
  g_ptr_array_add(self->inputs, tensor);
  return TRUE;
}

InferNode *
infer_network_restore_node(InferNetwork *self, const InferOp *op, const char *name, GVariant *attrs,
                           InferTensor *const *inputs, guint n_inputs, InferTensor *const *outputs,
                           guint n_outputs, GError **error)
{
  InferNode *node = infer_node_new(self, op, name, attrs, inputs, n_inputs, n_outputs);

  for (guint i = 0; i < n_outputs; i++) {
    if (outputs[i]->producer || outputs[i]->is_input || outputs[i]->value) {
      infer_op_error(node, error, INFER_ERROR_PLAN, "its output '%s' is written elsewhere too",
                     outputs[i]->name);
      for (guint j = 0; j < i; j++)
        outputs[j]->producer = NULL;
      infer_node_free(node);
      return NULL;
    }
    node->outputs[i] = outputs[i];
    outputs[i]->producer = node;
  }
  g_ptr_array_add(self->nodes, node);
  return node;
}

static InferTensor *
copy_tensor(InferNetwork *copy, const InferTensor *tensor)
{
  InferTensor *twin = infer_network_add_tensor(copy, tensor->name, tensor->type, &tensor->dims);

  twin->value = tensor->value ? infer_array_ref(tensor->value) : NULL;
  twin->initial = tensor->initial ? infer_array_ref(tensor->initial) : NULL;
  twin->is_input = tensor->is_input;
  twin->is_output = tensor->is_output;
  twin->is_debug = tensor->is_debug;
  twin->kind = tensor->kind;
  twin->item_dims = tensor->item_dims;
  twin->has_content = tensor->has_content;
  twin->content = tensor->content;
  twin->has_range = tensor->has_range;
  twin->range_min = tensor->range_min;
  twin->range_max = tensor->range_max;
  return twin;
}

InferNetwork *
infer_network_copy(InferNetwork *self)
{
  InferNetwork *copy = infer_network_new();

  copy->counter = self->counter;
  for (guint i = 0; i < self->symbols->len; i++) {
    const InferSymbol *symbol = self->symbols->pdata[i];
    infer_network_add_symbol(copy, symbol->name, symbol->min, symbol->opt, symbol->max);
  }
  for (guint i = 0; i < self->tensors->len; i++)
    copy_tensor(copy, self->tensors->pdata[i]);
  for (guint i = 0; i < self->nodes->len; i++) {
    const InferNode *node = self->nodes->pdata[i];
    InferNode *twin = infer_node_new(copy, node->op, node->name, node->attrs, node->inputs,
                                     node->n_inputs, node->n_outputs);
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        twin->inputs[j] = copy->tensors->pdata[node->inputs[j]->index];
    for (guint j = 0; j < node->n_outputs; j++) {
      twin->outputs[j] = copy->tensors->pdata[node->outputs[j]->index];
      twin->outputs[j]->producer = twin;
    }
    twin->precision = node->precision;
    twin->on_host = node->on_host;
    infer_node_set_graphs(twin, node->graphs, node->n_graphs);
    g_ptr_array_add(copy->nodes, twin);
  }
  for (guint i = 0; i < self->inputs->len; i++)
    g_ptr_array_add(copy->inputs,
                    copy->tensors->pdata[((InferTensor *)self->inputs->pdata[i])->index]);
  for (guint i = 0; i < self->outputs->len; i++)
    g_ptr_array_add(copy->outputs,
                    copy->tensors->pdata[((InferTensor *)self->outputs->pdata[i])->index]);
  g_set_object(&copy->info, self->info);
  return copy;
}
