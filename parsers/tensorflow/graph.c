/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

/* The fields of GraphDef that are read, see graphdef.proto. */
static const WireRule dim_rules[] = {{1, WIRE_KEEP}, {0}};
static const WireRule shape_rules[] = {{2, WIRE_MESSAGE, dim_rules}, {3, WIRE_KEEP}, {0}};
static const WireRule tensor_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_MESSAGE, shape_rules},
    {4, WIRE_CUT, NULL, 1000},
    {5, WIRE_KEEP},
    {6, WIRE_KEEP},
    {7, WIRE_KEEP},
    {10, WIRE_KEEP},
    {11, WIRE_KEEP},
    {13, WIRE_KEEP},
    {16, WIRE_KEEP},
    {17, WIRE_KEEP},
    {0},
};
static const WireRule list_rules[] = {{2, WIRE_KEEP}, {3, WIRE_KEEP}, {4, WIRE_KEEP}, {0}};
static const WireRule attr_rules[] = {
    {1, WIRE_MESSAGE, list_rules},
    {2, WIRE_KEEP},
    {3, WIRE_KEEP},
    {4, WIRE_KEEP},
    {5, WIRE_KEEP},
    {6, WIRE_KEEP},
    {7, WIRE_MESSAGE, shape_rules},
    {8, WIRE_MESSAGE, tensor_rules},
    {0},
};
static const WireRule entry_rules[] = {{1, WIRE_KEEP}, {2, WIRE_MESSAGE, attr_rules}, {0}};
static const WireRule node_rules[] = {
    {1, WIRE_KEEP}, {2, WIRE_KEEP}, {3, WIRE_KEEP}, {5, WIRE_MESSAGE, entry_rules}, {0},
};
static const WireRule graph_rules[] = {{1, WIRE_MESSAGE, node_rules}, {0}};

#define MAX_DEPTH 16

void
tf_graph_free(TfGraph *graph)
{
  for (guint i = 0; i < graph->n_nodes; i++) {
    g_free(graph->nodes[i].inputs);
    g_clear_pointer(&graph->nodes[i].readers, g_ptr_array_unref);
    g_clear_pointer(&graph->nodes[i].values, g_array_unref);
  }
  g_free(graph->nodes);
  g_clear_pointer(&graph->by_name, g_hash_table_unref);
  if (graph->def) {
    infer_tf__graph__free_unpacked(graph->def, &graph->allocator.base);
  }
  g_clear_pointer(&graph->ranges, g_array_unref);
  g_clear_pointer(&graph->bytes, g_bytes_unref);
  g_free(graph);
}

char *
tf_split_name(const char *name, guint *port)
{
  const char *colon = strrchr(name, ':');
  guint64 number = 0;

  *port = 0;
  if (!colon || !g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, &number, NULL)) {
    return g_strdup(name);
  }
  *port = (guint)number;
  return g_strndup(name, (gsize)(colon - name));
}

TfNode *
tf_graph_find(const TfGraph *graph, const char *name)
{
  return g_hash_table_lookup(graph->by_name, name);
}

static gboolean
unpack(TfGraph *graph, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(graph->bytes, &size);

  graph->ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  g_autoptr(GByteArray) kept = wire_scan(data, size, graph_rules, MAX_DEPTH, graph->ranges, error);
  if (!kept) {
    return FALSE;
  }
  /* An empty message of two bytes becomes a structure of about a hundred. */
  wire_allocator_init(&graph->allocator, (gsize)1 << 20);
  graph->allocator.left += (gsize)kept->len * 96;
  graph->def = infer_tf__graph__unpack(&graph->allocator.base, kept->len, kept->data);
  if (!graph->def) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "damaged: it is not a TensorFlow GraphDef, or memory is short");
    return FALSE;
  }
  if (graph->def->n_node == 0 || graph->def->n_node > G_MAXINT32 / 2) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "the graph has no nodes");
    return FALSE;
  }
  return TRUE;
}

static gboolean
index_nodes(TfGraph *graph, GError **error)
{
  graph->n_nodes = (guint)graph->def->n_node;
  graph->nodes = g_new0(TfNode, graph->n_nodes);
  graph->by_name = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *node = &graph->nodes[i];
    node->def = graph->def->node[i];
    if (!node->def->name || !node->def->op || !node->def->name[0]) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "node %u has no name or no operator", i);
      return FALSE;
    }
    if (!g_hash_table_insert(graph->by_name, node->def->name, node)) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "two nodes are named '%s'",
                  node->def->name);
      return FALSE;
    }
  }
  return TRUE;
}

static void
join_inputs(TfGraph *graph, TfNode *node)
{
  node->inputs = g_new0(TfEdge, node->def->n_input + 1);
  for (gsize i = 0; i < node->def->n_input; i++) {
    const char *text = node->def->input[i];
    if (text[0] == '^') {
      continue;
    }
    TfEdge *edge = &node->inputs[node->n_inputs++];
    g_autofree char *name = tf_split_name(text, &edge->port);
    edge->node = tf_graph_find(graph, name);
    if (edge->node) {
      if (!edge->node->readers) {
        edge->node->readers = g_ptr_array_new();
      }
      g_ptr_array_add(edge->node->readers, node);
    }
  }
}

TfGraph *
tf_graph_load(GBytes *bytes, GError **error)
{
  g_autoptr(TfGraph) graph = g_new0(TfGraph, 1);

  graph->bytes = g_bytes_ref(bytes);
  if (!unpack(graph, error) || !index_nodes(graph, error)) {
    return NULL;
  }
  for (guint i = 0; i < graph->n_nodes; i++) {
    join_inputs(graph, &graph->nodes[i]);
  }
  return g_steal_pointer(&graph);
}

gboolean
tf_is(const TfNode *node, const char *op)
{
  return node && g_str_equal(node->def->op, op);
}

gboolean
tf_is_any(const TfNode *node, ...)
{
  gboolean found = FALSE;
  va_list args;

  va_start(args, node);
  for (const char *op = va_arg(args, const char *); op; op = va_arg(args, const char *)) {
    found = found || tf_is(node, op);
  }
  va_end(args);
  return found;
}

TfNode *
tf_source(const TfNode *node, guint index)
{
  return node && index < node->n_inputs ? node->inputs[index].node : NULL;
}

const InferTf__Attr *
tf_attr(const TfNode *node, const char *name)
{
  for (gsize i = 0; i < node->def->n_attr; i++) {
    const InferTf__AttrEntry *entry = node->def->attr[i];
    if (entry->key && g_str_equal(entry->key, name)) {
      return entry->value;
    }
  }
  return NULL;
}

gint64
tf_attr_int(const TfNode *node, const char *name, gint64 fallback)
{
  const InferTf__Attr *attr = tf_attr(node, name);
  return attr && attr->has_i ? attr->i : fallback;
}

gboolean
tf_attr_bool(const TfNode *node, const char *name, gboolean fallback)
{
  const InferTf__Attr *attr = tf_attr(node, name);
  return attr && attr->has_b ? attr->b != 0 : fallback;
}

double
tf_attr_float(const TfNode *node, const char *name, double fallback)
{
  const InferTf__Attr *attr = tf_attr(node, name);
  return attr && attr->has_f ? (double)attr->f : fallback;
}

gboolean
tf_attr_is(const TfNode *node, const char *name, const char *value, gboolean fallback)
{
  const InferTf__Attr *attr = tf_attr(node, name);

  if (!attr || !attr->has_s) {
    return fallback;
  }
  return attr->s.len == strlen(value) && memcmp(attr->s.data, value, attr->s.len) == 0;
}

InferType
tf_attr_type(const TfNode *node, const char *name, InferType fallback)
{
  const InferTf__Attr *attr = tf_attr(node, name);
  return attr && attr->has_type ? tf_type(attr->type) : fallback;
}

gsize
tf_attr_ints(const TfNode *node, const char *name, gint64 *values, gsize max)
{
  const InferTf__Attr *attr = tf_attr(node, name);
  gsize n = attr && attr->list ? MIN(attr->list->n_i, max) : 0;

  for (gsize i = 0; i < n; i++) {
    values[i] = attr->list->i[i];
  }
  return n;
}
