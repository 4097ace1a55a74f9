/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tail.h"
#include "graph.h"

typedef struct {
  InferNetwork *network;
  InferNetwork *tail;
  GHashTable *dynamic; /* nodes of @network that go */
  GHashTable *twins;   /* InferTensor of @network -> of @tail */
} Split;

static gboolean
is_host_only(const InferTensor *tensor)
{
  return tensor->type == INFER_TYPE_STRING;
}

static gboolean
reads_dynamic(const Split *self, const InferNode *node)
{
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] && (is_host_only(node->inputs[i]) ||
                            (!node->inputs[i]->value && node->inputs[i]->producer &&
                             g_hash_table_contains(self->dynamic, node->inputs[i]->producer))))
      return TRUE;
  return FALSE;
}

static gboolean
find_dynamic(Split *self, const InferSymbolValues *values, GError **error)
{
  g_autofree InferOperand *operands =
      g_new0(InferOperand, infer_network_get_n_tensors(self->network) + 1);

  if (!infer_network_shapes(self->network, values, operands, error))
    return FALSE;
  for (guint i = 0; i < infer_network_get_n_nodes(self->network); i++) {
    InferNode *node = infer_network_get_node(self->network, i);
    gboolean known = !reads_dynamic(self, node);

    for (guint j = 0; j < node->n_inputs; j++)
      known &= !node->inputs[j] || node->inputs[j]->kind == INFER_KIND_TENSOR;
    for (guint j = 0; j < node->n_outputs; j++)
      known &= infer_dims_is_constant(&operands[node->outputs[j]->index].dims) &&
               !is_host_only(node->outputs[j]) && node->outputs[j]->kind == INFER_KIND_TENSOR;
    if (!known)
      g_hash_table_add(self->dynamic, node);
  }
  return TRUE;
}

static InferTensor *
new_twin(Split *self, InferTensor *tensor)
{
  InferTensor *twin =
      infer_network_restore_tensor(self->tail, tensor->name, tensor->type, &tensor->dims);

  if (tensor->value)
    infer_network_set_value(self->tail, twin, tensor->value);
  twin->kind = tensor->kind;
  twin->item_dims = tensor->item_dims;
  g_hash_table_insert(self->twins, tensor, twin);
  return twin;
}

/* What the tail reads: constants come along, the rest leaves the network for it. */
static InferTensor *
tail_input(Split *self, InferTensor *tensor, GError **error)
{
  InferTensor *twin = tensor ? g_hash_table_lookup(self->twins, tensor) : NULL;

  if (twin || !tensor)
    return twin;
  twin = new_twin(self, tensor);
  if (tensor->value)
    return twin;
  infer_network_restore_input(self->tail, twin, NULL);
  if (!tensor->is_input && !tensor->is_output &&
      !infer_network_mark_output(self->network, tensor, NULL, error))
    return NULL;
  return twin;
}

static gboolean
move_node(Split *self, const InferNode *node, GError **error)
{
  g_autofree InferTensor **inputs = g_new0(InferTensor *, node->n_inputs + 1);
  g_autofree InferTensor **outputs = g_new0(InferTensor *, node->n_outputs + 1);
  InferNode *twin;

  if (node->op->flags & INFER_OP_OPAQUE)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "dimensions here depend on data, where only the reference evaluation "
                          "runs, and the plugin has none");
  for (guint i = 0; i < node->n_inputs; i++) {
    inputs[i] = tail_input(self, node->inputs[i], error);
    if (node->inputs[i] && !inputs[i])
      return FALSE;
  }
  for (guint i = 0; i < node->n_outputs; i++)
    outputs[i] = new_twin(self, node->outputs[i]);
  twin = infer_network_restore_node(self->tail, node->op, node->name, node->attrs, inputs,
                                    node->n_inputs, outputs, node->n_outputs, error);
  if (twin)
    infer_node_set_graphs(twin, node->graphs, node->n_graphs);
  return twin != NULL;
}

/* Outputs that the tail computes leave it, and the network no more. */
static gboolean
move_outputs(Split *self, GError **error)
{
  g_autoptr(GPtrArray) moved = g_ptr_array_new();

  for (guint i = 0; i < infer_network_get_n_outputs(self->network); i++) {
    InferTensor *tensor = infer_network_get_output(self->network, i);
    if (tensor->producer && g_hash_table_contains(self->dynamic, tensor->producer))
      g_ptr_array_add(moved, tensor);
  }
  for (guint i = 0; i < moved->len; i++) {
    InferTensor *tensor = moved->pdata[i];
    infer_network_unmark_output(self->network, tensor);
    if (!infer_network_mark_output(self->tail, g_hash_table_lookup(self->twins, tensor), NULL,
                                   error))
      return FALSE;
  }
  return TRUE;
}

/* Sequences and optionals come to the tail from the user, without a place in planned memory. */
static void
take_value_inputs(Split *self)
{
  GPtrArray *inputs = self->network->inputs;

  for (guint i = 0; i < inputs->len;) {
    InferTensor *tensor = inputs->pdata[i];
    if (tensor->kind == INFER_KIND_TENSOR) {
      i++;
      continue;
    }
    infer_network_restore_input(self->tail, new_twin(self, tensor), NULL);
    tensor->is_input = FALSE;
    g_ptr_array_remove_index(inputs, i);
  }
}

static gboolean
has_value_inputs(InferNetwork *network)
{
  for (guint i = 0; i < infer_network_get_n_inputs(network); i++)
    if (infer_network_get_input(network, i)->kind != INFER_KIND_TENSOR)
      return TRUE;
  return FALSE;
}

static gboolean
split(Split *self, GError **error)
{
  self->tail = infer_network_new();
  for (guint i = 0; i < infer_network_get_n_symbols(self->network); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(self->network, i);
    infer_network_add_symbol(self->tail, symbol->name, symbol->min, symbol->opt, symbol->max);
  }
  take_value_inputs(self);
  for (guint i = 0; i < infer_network_get_n_nodes(self->network); i++) {
    InferNode *node = infer_network_get_node(self->network, i);
    if (g_hash_table_contains(self->dynamic, node) && !move_node(self, node, error))
      return FALSE;
  }
  return move_outputs(self, error) && infer_network_compact(self->network, error) >= 0;
}

gboolean
infer_tail_split(InferNetwork *network, const InferSymbolValues *values, InferNetwork **tail,
                 GError **error)
{
  Split self = {.network = network};
  gboolean ok;

  *tail = NULL;
  self.dynamic = g_hash_table_new(NULL, NULL);
  self.twins = g_hash_table_new(NULL, NULL);
  ok = find_dynamic(&self, values, error);
  if (ok && (g_hash_table_size(self.dynamic) > 0 || has_value_inputs(network)))
    ok = split(&self, error);
  g_hash_table_unref(self.dynamic);
  g_hash_table_unref(self.twins);
  if (ok)
    *tail = self.tail;
  else
    g_clear_object(&self.tail);
  return ok;
}

static gboolean
run_node(const InferNode *node, GHashTable *values, GError **error)
{
  g_autofree const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
  g_autofree InferArray **out = g_new0(InferArray *, node->n_outputs + 1);
  gboolean ok = TRUE;

  if (g_cancellable_set_error_if_cancelled(g_cancellable_get_current(), error))
    return FALSE;
  for (guint i = 0; i < node->n_inputs; i++) {
    const InferTensor *tensor = node->inputs[i];
    if (!tensor)
      continue;
    in[i] = tensor->value ? tensor->value : g_hash_table_lookup(values, tensor);
    if (!in[i])
      return infer_op_error(node, error, INFER_ERROR_FAILED, "its input '%s' was not computed",
                            tensor->name);
  }
  if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
    return FALSE;
  for (guint i = 0; i < node->n_outputs; i++) {
    const InferTensor *tensor = node->outputs[i];
    /* Bindings say what leaves, and a plan may say what is not so. */
    if (out[i]->type != tensor->type || out[i]->kind != tensor->kind)
      ok = infer_op_error(node, ok ? error : NULL, INFER_ERROR_SHAPE,
                          "output '%s' is a %s of %s, not a %s of %s", tensor->name,
                          infer_kind_name(out[i]->kind), infer_type_name(out[i]->type),
                          infer_kind_name(tensor->kind), infer_type_name(tensor->type));
    g_hash_table_insert(values, node->outputs[i], out[i]);
  }
  return ok;
}

gboolean
infer_tail_run(InferNetwork *tail, GHashTable *values, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_nodes(tail); i++)
    if (!run_node(infer_network_get_node(tail, i), values, error))
      return FALSE;
  return TRUE;
}
