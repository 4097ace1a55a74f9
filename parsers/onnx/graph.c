/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Graphs around a graph, and functions that call each other. */
#define MAX_SCOPES 48
/* Nodes, with those of functions and loops that are written out. */
#define MAX_NODES (1u << 20)

OnnxScope *
onnx_scope_new(const OnnxScope *parent, const char *prefix)
{
  OnnxScope *scope = g_new0(OnnxScope, 1);

  scope->parent = parent;
  scope->values = g_hash_table_new(g_str_hash, g_str_equal);
  scope->prefix = g_strdup(prefix);
  if (parent) {
    scope->opsets = g_hash_table_ref(parent->opsets);
    scope->attrs = parent->attrs ? g_hash_table_ref(parent->attrs) : NULL;
    scope->depth = parent->depth + 1;
  } else {
    scope->opsets = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  }
  return scope;
}

void
onnx_scope_free(OnnxScope *scope)
{
  g_hash_table_unref(scope->values);
  g_hash_table_unref(scope->opsets);
  g_clear_pointer(&scope->attrs, g_hash_table_unref);
  g_free(scope->prefix);
  g_free(scope);
}

gboolean
onnx_scope_opsets(OnnxScope *scope, InferOnnx__OpsetId **ids, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++) {
    const char *domain = ids[i]->domain ? ids[i]->domain : "";
    gint64 *version = g_new(gint64, 1);
    *version = ids[i]->has_version ? ids[i]->version : 1;
    gint64 given = *version;
    g_hash_table_insert(scope->opsets, (gpointer)(g_str_equal(domain, "ai.onnx") ? "" : domain),
                        version);
    if (given < 1) {
      return onnx_error(error, INFER_ERROR_MODEL, "opset %" G_GINT64_FORMAT " does not exist",
                        given);
    }
  }
  return TRUE;
}

OnnxValue *
onnx_lookup(const OnnxScope *scope, const char *name)
{
  for (; scope; scope = scope->parent) {
    OnnxValue *value = g_hash_table_lookup(scope->values, name);
    if (value) {
      return value;
    }
  }
  return NULL;
}

gboolean
onnx_bind(OnnxScope *scope, const char *name, OnnxValue *value, GError **error)
{
  if (g_hash_table_insert(scope->values, (gpointer)name, value)) {
    return TRUE;
  }
  return onnx_error(error, INFER_ERROR_MODEL, "two values are named '%s'", name);
}

gboolean
onnx_count(OnnxImport *im, gsize n, GError **error)
{
  if (n > MAX_NODES - im->n_nodes) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "with its functions and loops written out the graph has more than %u nodes",
                      MAX_NODES);
  }
  im->n_nodes += (guint)n;
  return TRUE;
}

/* --- what a node reads --- */

static void collect_free(const InferOnnx__Graph *graph, GPtrArray *names);

static void
collect_reads(const InferOnnx__Node *node, GPtrArray *names)
{
  for (gsize i = 0; i < node->n_input; i++) {
    if (node->input[i][0]) {
      g_ptr_array_add(names, node->input[i]);
    }
  }
  for (gsize i = 0; i < node->n_attribute; i++) {
    if (node->attribute[i]->g) {
      collect_free(node->attribute[i]->g, names);
    }
  }
}

/* Names that a subgraph takes from the graphs around it. How deeply they are nested was bounded
 * when the file was read. */
static void
collect_free(const InferOnnx__Graph *graph, GPtrArray *names)
{
  g_autoptr(GHashTable) own = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GPtrArray) reads = g_ptr_array_new();

  for (gsize i = 0; i < graph->n_input; i++) {
    g_hash_table_add(own, graph->input[i]->name ? graph->input[i]->name : "");
  }
  for (gsize i = 0; i < graph->n_initializer; i++) {
    g_hash_table_add(own, graph->initializer[i]->name ? graph->initializer[i]->name : "");
  }
  for (gsize i = 0; i < graph->n_node; i++) {
    for (gsize k = 0; k < graph->node[i]->n_output; k++) {
      g_hash_table_add(own, graph->node[i]->output[k]);
    }
    collect_reads(graph->node[i], reads);
  }
  for (gsize i = 0; i < graph->n_output; i++) {
    if (graph->output[i]->name) {
      g_ptr_array_add(reads, graph->output[i]->name);
    }
  }
  for (guint i = 0; i < reads->len; i++) {
    if (!g_hash_table_contains(own, reads->pdata[i])) {
      g_ptr_array_add(names, reads->pdata[i]);
    }
  }
}

/* --- order --- */

typedef struct {
  InferOnnx__Node **nodes;
  gsize n;
  GHashTable *producers; /* name -> index + 1 */
  guint8 *states;        /* 0 new, 1 open, 2 done */
  GPtrArray *stack;      /* Visit */
} Order;

typedef struct {
  gsize node;
  GPtrArray *reads;
  guint next;
} Visit;

static void
visit_free(gpointer data)
{
  Visit *visit = data;

  g_ptr_array_unref(visit->reads);
  g_free(visit);
}

static gboolean
index_producers(Order *order, const OnnxScope *scope, GError **error)
{
  order->producers = g_hash_table_new(g_str_hash, g_str_equal);
  for (gsize i = 0; i < order->n; i++) {
    const InferOnnx__Node *node = order->nodes[i];
    for (gsize k = 0; k < node->n_output; k++) {
      if (node->output[k][0] &&
          (g_hash_table_contains(scope->values, node->output[k]) ||
           !g_hash_table_insert(order->producers, node->output[k], GSIZE_TO_POINTER(i + 1)))) {
        g_autofree char *name = onnx_valid(node->output[k]);
        return onnx_error(error, INFER_ERROR_MODEL, "two values are named '%s'", name);
      }
    }
  }
  return TRUE;
}

static gboolean
push(Order *order, const char *name, GError **error)
{
  gsize index = GPOINTER_TO_SIZE(g_hash_table_lookup(order->producers, name));

  if (index == 0 || order->states[index - 1] == 2) {
    return TRUE;
  }
  if (order->states[index - 1] == 1) {
    g_autofree char *valid = onnx_valid(name);
    return onnx_error(error, INFER_ERROR_MODEL,
                      "'%s' is computed from itself: the graph has a cycle", valid);
  }
  Visit *visit = g_new0(Visit, 1);
  visit->node = index - 1;
  visit->reads = g_ptr_array_new();
  collect_reads(order->nodes[index - 1], visit->reads);
  order->states[index - 1] = 1;
  g_ptr_array_add(order->stack, visit);
  return TRUE;
}

static gboolean
import_with_inputs(OnnxImport *im, OnnxScope *scope, Order *order, const char *name, GError **error)
{
  if (!push(order, name, error)) {
    return FALSE;
  }
  while (order->stack->len > 0) {
    Visit *top = order->stack->pdata[order->stack->len - 1];
    if (top->next < top->reads->len) {
      if (!push(order, top->reads->pdata[top->next++], error)) {
        return FALSE;
      }
      continue;
    }
    gsize index = top->node;
    order->states[index] = 2;
    g_ptr_array_set_size(order->stack, (gint)order->stack->len - 1);
    onnx_import_node(im, scope, order->nodes[index]);
  }
  return TRUE;
}

gboolean
onnx_import_nodes(OnnxImport *im, OnnxScope *scope, InferOnnx__Node **nodes, gsize n,
                  const char *const *wanted, GError **error)
{
  Order order = {.nodes = nodes, .n = n};

  if (scope->depth > MAX_SCOPES) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "more than %d graphs or functions are nested; does a function call itself?",
                      MAX_SCOPES);
  }
  if (!onnx_count(im, n + 1, error)) {
    return FALSE;
  }
  scope->nodes = nodes;
  scope->n_nodes = n;
  gboolean good = index_producers(&order, scope, error);
  g_autofree guint8 *states = order.states = g_new0(guint8, n + 1);
  g_autoptr(GPtrArray) stack = order.stack = g_ptr_array_new_with_free_func(visit_free);
  for (gsize i = 0; good && wanted[i]; i++) {
    good = import_with_inputs(im, scope, &order, wanted[i], error);
  }
  g_hash_table_unref(order.producers);
  return good;
}

/* --- constants and subgraphs --- */

static gboolean
bind_constant(OnnxImport *im, OnnxScope *scope, const char *name, InferArray *array, GError **error)
{
  if (!array) {
    g_autofree char *valid = onnx_valid(name);
    g_prefix_error(error, "initializer '%s': ", valid);
    return FALSE;
  }
  g_autofree char *valid = onnx_valid(name);
  g_autofree char *full = g_strdup_printf("%s%s", scope->prefix, valid);
  InferTensor *tensor = infer_network_add_constant(im->network, full, array);
  return onnx_bind(scope, name, onnx_value(im, ONNX_TENSOR, tensor), error);
}

gboolean
onnx_import_initializers(OnnxImport *im, OnnxScope *scope, const InferOnnx__Graph *graph,
                         GError **error)
{
  if (!onnx_count(im, graph->n_initializer + graph->n_sparse_initializer, error)) {
    return FALSE;
  }
  g_autoptr(GHashTable) bound = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GList) names = g_hash_table_get_keys(scope->values);
  for (GList *l = names; l; l = l->next) {
    g_hash_table_add(bound, l->data);
  }
  for (gsize i = 0; i < graph->n_initializer; i++) {
    const InferOnnx__Tensor *tensor = graph->initializer[i];
    const char *name = tensor->name ? tensor->name : "";
    if (!g_hash_table_contains(bound, name) &&
        !bind_constant(im, scope, name, onnx_array(im, tensor, error), error)) {
      return FALSE;
    }
  }
  for (gsize i = 0; i < graph->n_sparse_initializer; i++) {
    const InferOnnx__SparseTensor *sparse = graph->sparse_initializer[i];
    const char *name = sparse->values && sparse->values->name ? sparse->values->name : "";
    if (!g_hash_table_contains(bound, name) &&
        !bind_constant(im, scope, name, onnx_array_sparse(im, sparse, error), error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
bind_inputs(OnnxScope *scope, const InferOnnx__Graph *graph, OnnxValue *const *inputs,
            guint n_inputs, GError **error)
{
  if (graph->n_input != n_inputs) {
    return onnx_error(error, INFER_ERROR_MODEL,
                      "the subgraph has %" G_GSIZE_FORMAT " inputs; %u are given", graph->n_input,
                      n_inputs);
  }
  for (guint i = 0; i < n_inputs; i++) {
    const char *name = graph->input[i]->name ? graph->input[i]->name : "";
    if (!onnx_bind(scope, name, inputs[i], error)) {
      return FALSE;
    }
  }
  return TRUE;
}

GPtrArray *
onnx_inline(OnnxImport *im, const OnnxCall *call, const InferOnnx__Graph *graph, const char *suffix,
            OnnxValue *const *inputs, guint n_inputs, GError **error)
{
  g_autofree char *prefix = g_strdup_printf("%s/%s/", call->name, suffix);
  g_autoptr(OnnxScope) scope = onnx_scope_new(call->scope, prefix);
  g_autoptr(GPtrArray) wanted = g_ptr_array_new();
  g_autoptr(GPtrArray) outputs = g_ptr_array_new();

  for (gsize i = 0; i < graph->n_output; i++) {
    g_ptr_array_add(wanted, graph->output[i]->name ? graph->output[i]->name : (gpointer) "");
  }
  g_ptr_array_add(wanted, NULL);
  if (!bind_inputs(scope, graph, inputs, n_inputs, error) ||
      !onnx_import_initializers(im, scope, graph, error) ||
      !onnx_import_nodes(im, scope, graph->node, graph->n_node, (const char *const *)wanted->pdata,
                         error)) {
    return NULL;
  }
  for (guint i = 0; i + 1 < wanted->len; i++) {
    OnnxValue *value = onnx_lookup(scope, wanted->pdata[i]);
    if (!value) {
      g_autofree char *name = onnx_valid(wanted->pdata[i]);
      onnx_error(error, INFER_ERROR_MODEL, "the subgraph's output '%s' is never computed", name);
      return NULL;
    }
    value = onnx_local(im, value, error);
    if (!value) {
      return NULL;
    }
    g_ptr_array_add(outputs, value);
  }
  return g_steal_pointer(&outputs);
}
