/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network-private.h"

#include <string.h>

struct _InferNetwork {
  GObject parent;

  GPtrArray *tensors; /* InferTensor */
  GPtrArray *nodes;   /* InferNode */
  GPtrArray *inputs;  /* borrowed */
  GPtrArray *outputs; /* borrowed */
  GPtrArray *symbols; /* InferSymbol */
  GHashTable *names;  /* name -> InferTensor */
  InferModelInfo *info;
  guint counter;
};

G_DEFINE_FINAL_TYPE(InferNetwork, infer_network, G_TYPE_OBJECT)

static void
tensor_free(gpointer data)
{
  InferTensor *tensor = data;

  g_clear_pointer(&tensor->value, infer_array_unref);
  g_clear_pointer(&tensor->initial, infer_array_unref);
  g_free(tensor->name);
  g_free(tensor);
}

static void
node_free(gpointer data)
{
  InferNode *node = data;

  g_free(node->name);
  g_clear_pointer(&node->attrs, g_variant_unref);
  g_free(node->inputs);
  g_free(node->outputs);
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
  self->tensors = g_ptr_array_new_with_free_func(tensor_free);
  self->nodes = g_ptr_array_new_with_free_func(node_free);
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

static InferTensor *
add_tensor(InferNetwork *self, const char *name, InferType type, const InferDims *dims)
{
  InferTensor *tensor = g_new0(InferTensor, 1);

  tensor->name = unique_name(self, name);
  tensor->type = type;
  tensor->dims = *dims;
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
  tensor = add_tensor(self, name, type, dims);
  tensor->is_input = TRUE;
  tensor->initial = initial ? infer_array_ref(initial) : NULL;
  g_ptr_array_add(self->inputs, tensor);
  return tensor;
}

InferTensor *
infer_network_add_constant(InferNetwork *self, const char *name, InferArray *value)
{
  InferTensor *tensor = add_tensor(self, name ? name : "constant", value->type, &value->dims);

  tensor->value = infer_array_ref(value);
  return tensor;
}

static InferNode *
node_new(InferNetwork *self, const InferOp *op, const char *name, GVariant *attrs,
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
  return infer_op_shape(node, in, node->n_inputs, out, node->n_outputs, error);
}

static void
tensor_take_shape(InferTensor *tensor, const InferOperand *operand)
{
  tensor->type = operand->type;
  tensor->dims = operand->dims;
  tensor->has_content = operand->has_content;
  tensor->content = operand->content;
}

InferNode *
infer_network_add_node(InferNetwork *self, const char *op_name, const char *name,
                       InferTensor *const *inputs, guint n_inputs, GVariant *attrs, guint n_outputs,
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
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "node '%s': the operator '%s' is not known", name, op_name);
    return NULL;
  }
  node = node_new(self, op, name, owned, inputs, n_inputs, n_outputs);
  out = g_new0(InferOperand, n_outputs + 1);
  if (n_outputs > 65536 || !infer_node_shape(node, out, error)) {
    if (error && !*error)
      infer_op_error(node, error, INFER_ERROR_ARGUMENT, "it has too many outputs");
    node_free(node);
    return NULL;
  }
  for (guint i = 0; i < n_outputs; i++) {
    g_autofree char *output = i ? g_strdup_printf("%s:%u", name, i) : g_strdup(name);
    node->outputs[i] = add_tensor(self, output, out[i].type, &out[i].dims);
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

/* --- order and dead code --- */

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
  GPtrArray *kept = g_ptr_array_new_with_free_func(tensor_free);

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
      tensor_free(tensor);
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
  g_autoptr(GPtrArray) dead = g_ptr_array_new_with_free_func(node_free);
  GPtrArray *all = self->nodes;

  self->nodes = g_ptr_array_new_with_free_func(node_free);
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

/* --- copies and restored plans --- */

InferTensor *
infer_network_restore_tensor(InferNetwork *self, const char *name, InferType type,
                             const InferDims *dims)
{
  return g_hash_table_contains(self->names, name) ? NULL : add_tensor(self, name, type, dims);
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
  InferNode *node = node_new(self, op, name, attrs, inputs, n_inputs, n_outputs);

  for (guint i = 0; i < n_outputs; i++) {
    if (outputs[i]->producer || outputs[i]->is_input || outputs[i]->value) {
      infer_op_error(node, error, INFER_ERROR_PLAN, "its output '%s' is written elsewhere too",
                     outputs[i]->name);
      for (guint j = 0; j < i; j++)
        outputs[j]->producer = NULL;
      node_free(node);
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
  InferTensor *twin = add_tensor(copy, tensor->name, tensor->type, &tensor->dims);

  twin->value = tensor->value ? infer_array_ref(tensor->value) : NULL;
  twin->initial = tensor->initial ? infer_array_ref(tensor->initial) : NULL;
  twin->is_input = tensor->is_input;
  twin->is_output = tensor->is_output;
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
    InferNode *twin = node_new(copy, node->op, node->name, node->attrs, node->inputs,
                               node->n_inputs, node->n_outputs);
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        twin->inputs[j] = copy->tensors->pdata[node->inputs[j]->index];
    for (guint j = 0; j < node->n_outputs; j++) {
      twin->outputs[j] = copy->tensors->pdata[node->outputs[j]->index];
      twin->outputs[j]->producer = twin;
    }
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
