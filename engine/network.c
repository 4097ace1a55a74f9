/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"
#include "plugin-private.h"

#include <string.h>

G_DEFINE_FINAL_TYPE(InferNetwork, infer_network, G_TYPE_OBJECT)

void
infer_tensor_free(gpointer data)
{
  InferTensor *tensor = data;

  g_clear_pointer(&tensor->value, infer_array_unref);
  g_clear_pointer(&tensor->initial, infer_array_unref);
  g_free(tensor->name);
  g_free(tensor);
}

void
infer_node_free(gpointer data)
{
  InferNode *node = data;

  g_free(node->name);
  g_clear_pointer(&node->attrs, g_variant_unref);
  g_free(node->inputs);
  g_free(node->outputs);
  for (guint i = 0; i < node->n_graphs; i++)
    g_object_unref(node->graphs[i]);
  g_free(node->graphs);
  g_free(node);
}

static void
symbol_free(gpointer data)
{
  InferSymbol *symbol = data;

  g_free(symbol->name);
  g_free(symbol);
}

static void
infer_network_init(InferNetwork *self)
{
  self->tensors = g_ptr_array_new_with_free_func(infer_tensor_free);
  self->nodes = g_ptr_array_new_with_free_func(infer_node_free);
  self->inputs = g_ptr_array_new();
  self->outputs = g_ptr_array_new();
  self->symbols = g_ptr_array_new_with_free_func(symbol_free);
  self->names = g_hash_table_new(g_str_hash, g_str_equal);
}

static void
infer_network_finalize(GObject *object)
{
  InferNetwork *self = INFER_NETWORK(object);

  g_hash_table_unref(self->names);
  g_ptr_array_unref(self->symbols);
  g_ptr_array_unref(self->outputs);
  g_ptr_array_unref(self->inputs);
  g_ptr_array_unref(self->nodes);
  g_ptr_array_unref(self->tensors);
  g_clear_object(&self->info);
  G_OBJECT_CLASS(infer_network_parent_class)->finalize(object);
}

static void
infer_network_class_init(InferNetworkClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_network_finalize;
}

InferNetwork *
infer_network_new(void)
{
  return g_object_new(INFER_TYPE_NETWORK, NULL);
}

gint64
infer_network_add_symbol(InferNetwork *self, const char *name, gint64 min, gint64 opt, gint64 max)
{
  InferSymbol *symbol;

  for (guint i = 0; i < self->symbols->len; i++)
    if (g_str_equal(((InferSymbol *)self->symbols->pdata[i])->name, name))
      return INFER_DIM_SYMBOL(i);
  symbol = g_new0(InferSymbol, 1);
  symbol->name = g_strdup(name);
  symbol->min = MAX(min, 0);
  symbol->max = MAX(max, symbol->min);
  symbol->opt = CLAMP(opt, symbol->min, symbol->max);
  g_ptr_array_add(self->symbols, symbol);
  return INFER_DIM_SYMBOL(self->symbols->len - 1);
}

guint
infer_network_get_n_symbols(InferNetwork *self)
{
  return self->symbols->len;
}

const InferSymbol *
infer_network_get_symbol(InferNetwork *self, guint index)
{
  return index < self->symbols->len ? self->symbols->pdata[index] : NULL;
}

gboolean
infer_network_set_symbol_range(InferNetwork *self, const char *name, gint64 min, gint64 opt,
                               gint64 max, GError **error)
{
  if (min < 0 || opt < min || max < opt) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "dimension '%s': %" G_GINT64_FORMAT " <= %" G_GINT64_FORMAT " <= %" G_GINT64_FORMAT
                " does not hold",
                name, min, opt, max);
    return FALSE;
  }
  for (guint i = 0; i < self->symbols->len; i++) {
    InferSymbol *symbol = self->symbols->pdata[i];
    if (!g_str_equal(symbol->name, name))
      continue;
    symbol->min = min;
    symbol->opt = opt;
    symbol->max = max;
    return TRUE;
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "the network has no dimension '%s'", name);
  return FALSE;
}

static char *
unique_name(InferNetwork *self, const char *name)
{
  char *candidate = g_strdup(name);

  while (g_hash_table_contains(self->names, candidate)) {
    g_free(candidate);
    candidate = g_strdup_printf("%s_%u", name, ++self->counter);
  }
  return candidate;
}

InferTensor *
infer_network_add_tensor(InferNetwork *self, const char *name, InferType type,
                         const InferDims *dims)
{
  InferTensor *tensor = g_new0(InferTensor, 1);

  tensor->name = unique_name(self, name);
  tensor->type = type;
  tensor->dims = *dims;
  tensor->item_dims = INFER_DIMS_UNKNOWN;
  tensor->index = self->tensors->len;
  tensor->network = self;
  g_ptr_array_add(self->tensors, tensor);
  g_hash_table_insert(self->names, tensor->name, tensor);
  return tensor;
}

static gboolean
check_input(InferNetwork *self, const char *name, InferType type, const InferDims *dims,
            const InferArray *initial, GError **error)
{
  if (g_hash_table_contains(self->names, name)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "input '%s': a tensor of that name is there already", name);
    return FALSE;
  }
  if (infer_type_bits(type) == 0 && type != INFER_TYPE_STRING) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "input '%s': type %d is not known", name,
                (int)type);
    return FALSE;
  }
  if (dims->n < 0 || dims->n > INFER_MAX_DIMS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "input '%s' has %d dimensions; 0 to %d can be", name, dims->n, INFER_MAX_DIMS);
    return FALSE;
  }
  for (gint i = 0; i < dims->n; i++)
    if (dims->d[i] < 0 && (!INFER_DIM_IS_SYMBOL(dims->d[i]) ||
                           INFER_DIM_SYMBOL_INDEX(dims->d[i]) >= self->symbols->len)) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                  "input '%s': dimension %d is neither a number nor a symbol of the network; "
                  "add one with infer_network_add_symbol()",
                  name, i);
      return FALSE;
    }
  if (infer_dims_is_constant(dims) && infer_type_size(type, infer_dims_count(dims)) > (gsize)1
                                                                                          << 40) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "input '%s' is too large", name);
    return FALSE;
  }
  if (initial && (initial->type != type || !infer_dims_equal(&initial->dims, dims))) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "input '%s': its default has another type or other dimensions", name);
    return FALSE;
  }
  return TRUE;
}

InferTensor *
infer_network_add_input(InferNetwork *self, const char *name, InferType type, const InferDims *dims,
                        InferArray *initial, GError **error)
{
  InferTensor *tensor;

  if (!check_input(self, name, type, dims, initial, error))
    return NULL;
  tensor = infer_network_add_tensor(self, name, type, dims);
  tensor->is_input = TRUE;
  tensor->initial = initial ? infer_array_ref(initial) : NULL;
  g_ptr_array_add(self->inputs, tensor);
  return tensor;
}

InferTensor *
infer_network_add_constant(InferNetwork *self, const char *name, InferArray *value)
{
  InferTensor *tensor =
      infer_network_add_tensor(self, name ? name : "constant", value->type, &value->dims);

  tensor->value = infer_array_ref(value);
  return tensor;
}

InferNode *
infer_node_new(InferNetwork *self, const InferOp *op, const char *name, GVariant *attrs,
               InferTensor *const *inputs, guint n_inputs, guint n_outputs)
{
  InferNode *node = g_new0(InferNode, 1);

  if (!attrs)
    attrs = infer_attrs_new(NULL, NULL);
  node->network = self;
  node->name = g_strdup(name);
  node->op = op;
  node->attrs = g_variant_ref_sink(attrs);
  /* Serialized once, so that pointers into it, which the accessors give out, stay. */
  g_variant_get_data(node->attrs);
  infer_node_set_inputs(node, inputs, n_inputs);
  node->n_outputs = n_outputs;
  node->outputs = g_new0(InferTensor *, n_outputs + 1);
  return node;
}

static gboolean
infer_node_shape(InferNode *node, InferOperand *out, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, node->n_inputs + 1);

  for (guint i = 0; i < node->n_inputs; i++)
    infer_operand_from_tensor(&in[i], node->inputs[i]);
  return infer_op_settle(node, in, node->n_inputs, out, node->n_outputs, error);
}

static void
tensor_take_shape(InferTensor *tensor, const InferOperand *operand)
{
  tensor->type = operand->type;
  tensor->dims = operand->dims;
  tensor->kind = operand->kind;
  tensor->item_dims = operand->item_dims;
  tensor->has_content = operand->has_content;
  tensor->content = operand->content;
}

InferTensor *
infer_network_add_input_value(InferNetwork *self, const char *name, InferKind kind, InferType type,
                              const InferDims *item_dims, GError **error)
{
  const InferDims unknown = INFER_DIMS_UNKNOWN;
  InferDims known = INFER_DIMS_SCALAR;
  InferTensor *tensor;

  if ((guint)kind > INFER_KIND_OPTIONAL_SEQUENCE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "input '%s': kind %d is not known", name,
                (int)kind);
    return NULL;
  }
  /* What is known is checked, with ones in the place of the rest. */
  for (gint i = 0; item_dims && i < MIN(item_dims->n, INFER_MAX_DIMS); i++)
    known.d[i] = item_dims->d[i] == INFER_DIM_UNKNOWN ? 1 : item_dims->d[i];
  known.n = item_dims && item_dims->n >= 0 ? item_dims->n : 0;
  if (!check_input(self, name, type, &known, NULL, error))
    return NULL;
  tensor = infer_network_add_tensor(self, name, type, &unknown);
  tensor->kind = kind;
  if (item_dims && item_dims->n >= 0)
    *(kind == INFER_KIND_TENSOR ? &tensor->dims : &tensor->item_dims) = *item_dims;
  tensor->is_input = TRUE;
  g_ptr_array_add(self->inputs, tensor);
  return tensor;
}

InferNode *
infer_network_add_node(InferNetwork *self, const char *op_name, const char *name,
                       InferTensor *const *inputs, guint n_inputs, GVariant *attrs, guint n_outputs,
                       GError **error)
{
  return infer_network_add_node_full(self, op_name, name, inputs, n_inputs, attrs, NULL, 0,
                                     n_outputs, error);
}

InferNode *
infer_network_add_node_full(InferNetwork *self, const char *op_name, const char *name,
                            InferTensor *const *inputs, guint n_inputs, GVariant *attrs,
                            InferNetwork *const *graphs, guint n_graphs, guint n_outputs,
                            GError **error)
{
  const InferOp *op = infer_op_find(op_name);
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;
  g_autofree InferOperand *out = NULL;
  g_autofree char *made_up = NULL;
  InferNode *node;

  if (!name)
    name = made_up = g_strdup_printf("%s_%u", op_name, ++self->counter);
  if (!op) {
    g_autofree char *reason = infer_plugin_is_id(op_name)
                                  ? infer_plugin_unknown(op_name, 0)
                                  : g_strdup_printf("the operator '%s' is not known", op_name);
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED, "node '%s': %s", name, reason);
    return NULL;
  }
  if (infer_plugin_of(op)) {
    GVariant *fields = infer_plugin_fields(infer_plugin_of(op), name, owned, error);

    if (!fields)
      return NULL;
    g_clear_pointer(&owned, g_variant_unref);
    owned = fields;
  }
  node = infer_node_new(self, op, name, owned, inputs, n_inputs, n_outputs);
  out = g_new0(InferOperand, n_outputs + 1);
  infer_node_set_graphs(node, graphs, n_graphs);
  if (n_outputs > 65536 || !infer_node_check_graphs(node, error) ||
      !infer_node_shape(node, out, error)) {
    if (error && !*error)
      infer_op_error(node, error, INFER_ERROR_ARGUMENT, "it has too many outputs");
    infer_node_free(node);
    return NULL;
  }
  for (guint i = 0; i < n_outputs; i++) {
    g_autofree char *output = i ? g_strdup_printf("%s:%u", name, i) : g_strdup(name);
    node->outputs[i] = infer_network_add_tensor(self, output, out[i].type, &out[i].dims);
    tensor_take_shape(node->outputs[i], &out[i]);
    node->outputs[i]->producer = node;
  }
  g_ptr_array_add(self->nodes, node);
  return node;
}

gboolean
infer_network_rename(InferNetwork *self, InferTensor *tensor, const char *name)
{
  InferTensor *holder = g_hash_table_lookup(self->names, name);

  if (holder == tensor)
    return TRUE;
  if (holder) {
    /* A name that a user asked for goes before one that was made up for an inner tensor. */
    g_autofree char *free_name = NULL;
    if (holder->is_input || holder->is_output)
      return FALSE;
    free_name = unique_name(self, name);
    g_hash_table_remove(self->names, holder->name);
    g_free(holder->name);
    holder->name = g_steal_pointer(&free_name);
    g_hash_table_insert(self->names, holder->name, holder);
  }
  g_hash_table_remove(self->names, tensor->name);
  g_free(tensor->name);
  tensor->name = g_strdup(name);
  g_hash_table_insert(self->names, tensor->name, tensor);
  return TRUE;
}

gboolean
infer_network_mark_output(InferNetwork *self, InferTensor *tensor, const char *name, GError **error)
{
  InferTensor *source = tensor;

  /* Inputs, constants and tensors that are outputs already leave through a node of their own. */
  if (!tensor->producer || tensor->is_output) {
    InferNode *node = infer_network_add_node(self, "Identity", NULL, &source, 1, NULL, 1, error);
    if (!node)
      return FALSE;
    tensor = node->outputs[0];
  }
  if (name && !infer_network_rename(self, tensor, name)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "output '%s': an input or output of that name is there already", name);
    return FALSE;
  }
  tensor->is_output = TRUE;
  g_ptr_array_add(self->outputs, tensor);
  return TRUE;
}

guint
infer_network_get_n_nodes(InferNetwork *self)
{
  return self->nodes->len;
}

InferNode *
infer_network_get_node(InferNetwork *self, guint index)
{
  return index < self->nodes->len ? self->nodes->pdata[index] : NULL;
}

guint
infer_network_get_n_inputs(InferNetwork *self)
{
  return self->inputs->len;
}

InferTensor *
infer_network_get_input(InferNetwork *self, guint index)
{
  return index < self->inputs->len ? self->inputs->pdata[index] : NULL;
}

guint
infer_network_get_n_outputs(InferNetwork *self)
{
  return self->outputs->len;
}

InferTensor *
infer_network_get_output(InferNetwork *self, guint index)
{
  return index < self->outputs->len ? self->outputs->pdata[index] : NULL;
}

InferTensor *
infer_network_find_tensor(InferNetwork *self, const char *name)
{
  return g_hash_table_lookup(self->names, name);
}

InferModelInfo *
infer_network_get_model_info(InferNetwork *self)
{
  return self->info;
}

void
infer_network_set_model_info(InferNetwork *self, InferModelInfo *info)
{
  g_set_object(&self->info, info);
}

guint
infer_network_get_n_tensors(InferNetwork *self)
{
  return self->tensors->len;
}

InferTensor *
infer_network_get_tensor(InferNetwork *self, guint index)
{
  return index < self->tensors->len ? self->tensors->pdata[index] : NULL;
}

void
infer_network_set_value(InferNetwork *self, InferTensor *tensor, InferArray *value)
{
  if (tensor->value)
    infer_array_unref(tensor->value);
  tensor->value = infer_array_ref(value);
  tensor->type = value->type;
  tensor->dims = value->dims;
  tensor->kind = value->kind;
}

void
infer_node_set_inputs(InferNode *node, InferTensor *const *inputs, guint n_inputs)
{
  InferTensor **copy = g_new0(InferTensor *, n_inputs + 1);

  if (n_inputs)
    memcpy(copy, inputs, n_inputs * sizeof *copy);
  g_free(node->inputs);
  node->inputs = copy;
  node->n_inputs = n_inputs;
}

void
infer_node_set_attrs(InferNode *node, GVariant *attrs)
{
  g_variant_ref_sink(attrs);
  g_variant_get_data(attrs);
  g_variant_unref(node->attrs);
  node->attrs = attrs;
}

gboolean
infer_network_replace(InferNetwork *self, InferTensor *from, InferTensor *to)
{
  guint position;

  if (from->is_output) {
    if (to->is_output || !to->producer || to->value)
      return FALSE;
    if (!g_ptr_array_find(self->outputs, from, &position))
      return FALSE;
    from->is_output = FALSE;
    to->is_output = TRUE;
    self->outputs->pdata[position] = to;
    {
      g_autofree char *name = g_strdup(from->name);
      infer_network_rename(self, to, name);
    }
  }
  for (guint i = 0; i < self->nodes->len; i++) {
    InferNode *node = self->nodes->pdata[i];
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j] == from)
        node->inputs[j] = to;
  }
  return TRUE;
}

void
infer_network_unmark_output(InferNetwork *self, InferTensor *tensor)
{
  if (g_ptr_array_remove(self->outputs, tensor))
    tensor->is_output = FALSE;
}

gboolean
infer_network_replace_output(InferNetwork *self, InferTensor *from, InferTensor *to)
{
  g_autofree char *name = g_strdup(from->name);
  g_autofree char *inner = g_strconcat(name, ".inner", NULL);
  guint position;

  if (!from->is_output || to->is_output || !g_ptr_array_find(self->outputs, from, &position))
    return FALSE;
  from->is_output = FALSE;
  to->is_output = TRUE;
  self->outputs->pdata[position] = to;
  {
    g_autofree char *free_name = unique_name(self, inner);
    return infer_network_rename(self, from, free_name) && infer_network_rename(self, to, name);
  }
}

void
infer_network_order_nodes(InferNetwork *self, InferNode *const *nodes)
{
  if (self->nodes->len)
    memcpy(self->nodes->pdata, nodes, self->nodes->len * sizeof *nodes);
}

gboolean
infer_network_infer(InferNetwork *self, GError **error)
{
  for (guint i = 0; i < self->nodes->len; i++) {
    InferNode *node = self->nodes->pdata[i];
    g_autofree InferOperand *out = g_new0(InferOperand, node->n_outputs + 1);

    if (!infer_node_shape(node, out, error))
      return FALSE;
    for (guint j = 0; j < node->n_outputs; j++)
      if (!node->outputs[j]->value)
        tensor_take_shape(node->outputs[j], &out[j]);
  }
  return TRUE;
}
