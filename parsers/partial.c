/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "partial.h"

#include "plugin.h"

#include <string.h>

/* How many nodes an error message names. */
#define MAX_NAMED 20

/*
 * While parsing, shapes and anchors were computed to constants, and what computed them is left
 * over. The network that is handed out has only what its outputs need.
 */

static GHashTable *
find_live(InferNetwork *network)
{
  GHashTable *live = g_hash_table_new(NULL, NULL);
  g_autoptr(GPtrArray) stack = g_ptr_array_new();

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    g_ptr_array_add(stack, infer_network_get_output(network, i)->producer);
  }
  while (stack->len > 0) {
    InferNode *node = g_ptr_array_steal_index_fast(stack, stack->len - 1);
    if (!node || !g_hash_table_add(live, node)) {
      continue;
    }
    for (guint i = 0; i < node->n_inputs; i++) {
      if (node->inputs[i]) {
        g_ptr_array_add(stack, node->inputs[i]->producer);
      }
    }
  }
  return live;
}

static InferTensor *
copy_tensor(InferNetwork *to, GHashTable *map, InferTensor *tensor)
{
  InferTensor *copy = tensor ? g_hash_table_lookup(map, tensor) : NULL;

  if (tensor && !copy && tensor->value) {
    copy = infer_network_add_constant(to, tensor->name, tensor->value);
    g_hash_table_insert(map, tensor, copy);
  }
  return copy;
}

static gboolean
copy_node(InferNetwork *to, GHashTable *map, const InferNode *node, GError **error)
{
  g_autofree InferTensor **inputs = g_new0(InferTensor *, node->n_inputs + 1);

  for (guint i = 0; i < node->n_inputs; i++) {
    inputs[i] = copy_tensor(to, map, node->inputs[i]);
  }
  g_autofree char *op = parsers_op_key(node);
  InferNode *copy =
      infer_network_add_node_full(to, op, node->name, inputs, node->n_inputs, node->attrs,
                                  node->graphs, node->n_graphs, node->n_outputs, error);
  for (guint i = 0; copy && i < node->n_outputs; i++) {
    g_hash_table_insert(map, node->outputs[i], copy->outputs[i]);
  }
  return copy != NULL;
}

InferNetwork *
parsers_prune(InferNetwork *from, GError **error)
{
  g_autoptr(InferNetwork) to = infer_network_new();
  g_autoptr(GHashTable) live = find_live(from);
  g_autoptr(GHashTable) map = g_hash_table_new(NULL, NULL);

  for (guint i = 0; i < infer_network_get_n_symbols(from); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(from, i);
    infer_network_add_symbol(to, symbol->name, symbol->min, symbol->opt, symbol->max);
  }
  for (guint i = 0; i < infer_network_get_n_inputs(from); i++) {
    InferTensor *input = infer_network_get_input(from, i);
    const InferDims *dims = input->kind == INFER_KIND_TENSOR ? &input->dims : &input->item_dims;
    InferTensor *copy =
        input->initial
            ? infer_network_add_input(to, input->name, input->type, dims, input->initial, error)
            : infer_network_add_input_value(to, input->name, input->kind, input->type, dims, error);
    if (!copy) {
      return NULL;
    }
    g_hash_table_insert(map, input, copy);
  }
  for (guint i = 0; i < infer_network_get_n_nodes(from); i++) {
    InferNode *node = infer_network_get_node(from, i);
    if (g_hash_table_contains(live, node) && !copy_node(to, map, node, error)) {
      return NULL;
    }
  }
  for (guint i = 0; i < infer_network_get_n_outputs(from); i++) {
    InferTensor *output = infer_network_get_output(from, i);
    if (!infer_network_mark_output(to, g_hash_table_lookup(map, output), output->name, error)) {
      return NULL;
    }
  }
  infer_network_set_model_info(to, infer_network_get_model_info(from));
  return g_steal_pointer(&to);
}

InferArray *
parsers_known(const InferTensor *tensor)
{
  if (tensor->value) {
    return infer_array_ref(tensor->value);
  }
  if (!tensor->has_content || tensor->dims.n < 0 || tensor->dims.n > 1 ||
      !infer_dims_is_constant(&tensor->content) ||
      infer_dims_count(&tensor->dims) != tensor->content.n) {
    return NULL;
  }
  InferArray *array = infer_array_new(tensor->type, &tensor->dims, NULL);
  for (gint i = 0; array && i < tensor->content.n; i++) {
    if (tensor->type == INFER_TYPE_INT64) {
      ((gint64 *)array->data)[i] = tensor->content.d[i];
    } else {
      infer_array_set_double(array, (gsize)i, (double)tensor->content.d[i]);
    }
  }
  return array;
}

char *
parsers_tell_problems(const InferParseOptions *options, const GPtrArray *problems, const char *what)
{
  GString *text = g_string_new(NULL);

  for (guint i = 0; options && options->problems && i < problems->len; i++) {
    g_ptr_array_add(options->problems, g_strdup(problems->pdata[i]));
  }
  g_string_append_printf(text, "%u %s%s cannot be used: ", problems->len, what,
                         problems->len == 1 ? "" : "s");
  for (guint i = 0; i < MIN(problems->len, MAX_NAMED); i++) {
    g_string_append_printf(text, "%s%s", i ? "; " : "", (const char *)problems->pdata[i]);
  }
  if (problems->len > MAX_NAMED) {
    g_string_append_printf(text, "; and %u more", problems->len - MAX_NAMED);
  }
  return g_string_free(text, FALSE);
}

gboolean
parsers_join_dims(InferDims *dims, const InferDims *other)
{
  gboolean changed = FALSE;

  if (dims->n != other->n) {
    changed = dims->n >= 0;
    dims->n = -1;
  }
  for (gint i = 0; i < dims->n; i++) {
    if (dims->d[i] != other->d[i] && dims->d[i] != INFER_DIM_UNKNOWN) {
      dims->d[i] = INFER_DIM_UNKNOWN;
      changed = TRUE;
    }
  }
  return changed;
}

/* "3x300x300" as numbers. */
static gboolean
read_shape(const char *text, InferDims *dims)
{
  while (*text) {
    char *end = NULL;
    gint64 value = g_ascii_strtoll(text, &end, 10);
    if (end == text || value < 1 || value > 1 << 24 || dims->n == INFER_MAX_DIMS ||
        (*end != 0 && *end != 'x')) {
      return FALSE;
    }
    dims->d[dims->n++] = value;
    text = *end ? end + 1 : end;
  }
  return dims->n > 1;
}

gboolean
parsers_find_shape(const InferParseOptions *options, const char *name, InferDims *dims,
                   GError **error)
{
  const char *const *shapes = options ? options->shapes : NULL;
  gsize length = strlen(name);

  *dims = INFER_DIMS(INFER_DIM_UNKNOWN);
  for (gsize i = 0; shapes && shapes[i]; i++) {
    if (strncmp(shapes[i], name, length) != 0 || shapes[i][length] != ':') {
      continue;
    }
    if (!read_shape(shapes[i] + length + 1, dims)) {
      g_autofree char *valid = g_utf8_make_valid(shapes[i], -1);
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "'%s' is not a shape like name:28x28x1",
                  valid);
      return FALSE;
    }
    break;
  }
  return TRUE;
}
