/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include "../recognize.h"
#include "routine.h"
#include "variables.h"

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
    {8, WIRE_KEEP},
    {10, WIRE_KEEP},
    {11, WIRE_KEEP},
    {13, WIRE_KEEP},
    {16, WIRE_KEEP},
    {17, WIRE_KEEP},
    {0},
};
static const WireRule func_rules[] = {{1, WIRE_KEEP}, {0}};
static const WireRule list_rules[] = {
    {2, WIRE_KEEP}, {3, WIRE_KEEP}, {4, WIRE_KEEP}, {9, WIRE_MESSAGE, func_rules}, {0},
};
static const WireRule attr_rules[] = {
    {1, WIRE_MESSAGE, list_rules},
    {2, WIRE_KEEP},
    {3, WIRE_KEEP},
    {4, WIRE_KEEP},
    {5, WIRE_KEEP},
    {6, WIRE_KEEP},
    {7, WIRE_MESSAGE, shape_rules},
    {8, WIRE_MESSAGE, tensor_rules},
    {10, WIRE_MESSAGE, func_rules},
    {0},
};
static const WireRule entry_rules[] = {{1, WIRE_KEEP}, {2, WIRE_MESSAGE, attr_rules}, {0}};
static const WireRule node_rules[] = {
    {1, WIRE_KEEP}, {2, WIRE_KEEP}, {3, WIRE_KEEP}, {5, WIRE_MESSAGE, entry_rules}, {0},
};
static const WireRule arg_rules[] = {{1, WIRE_KEEP}, {0}};
static const WireRule op_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_MESSAGE, arg_rules},
    {3, WIRE_MESSAGE, arg_rules},
    {0},
};
static const WireRule ret_rules[] = {{1, WIRE_KEEP}, {2, WIRE_KEEP}, {0}};
static const WireRule function_rules[] = {
    {1, WIRE_MESSAGE, op_rules},
    {3, WIRE_MESSAGE, node_rules},
    {4, WIRE_MESSAGE, ret_rules},
    {0},
};
static const WireRule library_rules[] = {{1, WIRE_MESSAGE, function_rules}, {0}};
static const WireRule graph_rules[] = {
    {1, WIRE_MESSAGE, node_rules},
    {2, WIRE_MESSAGE, library_rules},
    {0},
};

/* Those of SavedModel. */
static const WireRule info_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_KEEP},
    {3, WIRE_MESSAGE, shape_rules},
    {0},
};
static const WireRule info_entry_rules[] = {{1, WIRE_KEEP}, {2, WIRE_MESSAGE, info_rules}, {0}};
static const WireRule signature_rules[] = {
    {1, WIRE_MESSAGE, info_entry_rules},
    {2, WIRE_MESSAGE, info_entry_rules},
    {0},
};
static const WireRule signature_entry_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_MESSAGE, signature_rules},
    {0},
};
static const WireRule meta_info_rules[] = {{4, WIRE_KEEP}, {0}};
static const WireRule meta_rules[] = {
    {1, WIRE_MESSAGE, meta_info_rules},
    {2, WIRE_MESSAGE, graph_rules},
    {5, WIRE_MESSAGE, signature_entry_rules},
    {0},
};
static const WireRule saved_rules[] = {{1, WIRE_KEEP}, {2, WIRE_MESSAGE, meta_rules}, {0}};

#define MAX_DEPTH 16

void
tf_model_free(TfModel *model)
{
  g_clear_pointer(&model->routines, g_hash_table_unref);
  g_clear_pointer(&model->functions, g_hash_table_unref);
  g_clear_pointer(&model->variables, tf_variables_free);
  if (model->def) {
    infer_tf__graph__free_unpacked(model->def, &model->allocator.base);
  }
  if (model->saved) {
    infer_tf__saved_model__free_unpacked(model->saved, &model->allocator.base);
  }
  g_clear_pointer(&model->ranges, g_array_unref);
  g_clear_pointer(&model->bytes, g_bytes_unref);
  g_free(model);
}

void
tf_graph_free(TfGraph *graph)
{
  for (guint i = 0; i < graph->n_nodes; i++) {
    g_free(graph->nodes[i].inputs);
    g_free(graph->nodes[i].deps);
    g_clear_pointer(&graph->nodes[i].readers, g_ptr_array_unref);
    g_clear_pointer(&graph->nodes[i].values, g_array_unref);
  }
  g_free(graph->nodes);
  g_clear_pointer(&graph->by_name, g_hash_table_unref);
  g_clear_pointer(&graph->targets, g_array_unref);
  g_free(graph->prefix);
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

/* The message without what is not wanted, as protobuf-c makes it. */
static gboolean
unpack(TfModel *model, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(model->bytes, &size);
  gboolean is_saved = recognize_saved_model(data, size);

  model->ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  g_autoptr(GByteArray) kept =
      wire_scan(data, size, is_saved ? saved_rules : graph_rules, MAX_DEPTH, model->ranges, error);
  if (!kept) {
    return FALSE;
  }
  /* An empty message of two bytes becomes a structure of about a hundred. */
  wire_allocator_init(&model->allocator, (gsize)1 << 20);
  model->allocator.left += (gsize)kept->len * 96;
  if (is_saved) {
    model->saved = infer_tf__saved_model__unpack(&model->allocator.base, kept->len, kept->data);
  } else {
    model->def = infer_tf__graph__unpack(&model->allocator.base, kept->len, kept->data);
  }
  if (!model->def && !model->saved) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "damaged: it is not a TensorFlow GraphDef or SavedModel, or memory is short");
    return FALSE;
  }
  return TRUE;
}

/* The graph for inference has the tag "serve"; where none has it, there has to be only one. */
static gboolean
choose_meta(TfModel *model, GError **error)
{
  g_autoptr(GString) seen = g_string_new(NULL);

  for (gsize i = 0; i < model->saved->n_meta_graphs; i++) {
    InferTf__MetaGraph *meta = model->saved->meta_graphs[i];
    for (gsize k = 0; meta->meta_info_def && k < meta->meta_info_def->n_tags; k++) {
      const char *tag = meta->meta_info_def->tags[k];
      g_string_append_printf(seen, "%s%s", seen->len ? ", " : "", tag);
      if (!model->meta && g_str_equal(tag, "serve")) {
        model->meta = meta;
      }
    }
  }
  if (!model->meta && model->saved->n_meta_graphs == 1) {
    model->meta = model->saved->meta_graphs[0];
  }
  if (!model->meta) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "none of the %" G_GSIZE_FORMAT " graphs of the SavedModel has the tag 'serve'; "
                "their tags are: %s",
                model->saved->n_meta_graphs, seen->len ? seen->str : "none");
    return FALSE;
  }
  model->root = model->meta->graph_def;
  return TRUE;
}

static void
index_functions(TfModel *model)
{
  const InferTf__Library *library = model->root->library;

  model->functions = g_hash_table_new(g_str_hash, g_str_equal);
  model->routines =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)tf_routine_free);
  for (gsize i = 0; library && i < library->n_function; i++) {
    InferTf__Function *function = library->function[i];
    if (function->signature && function->signature->name) {
      g_hash_table_insert(model->functions, function->signature->name, function);
    }
  }
}

TfModel *
tf_model_load(GBytes *bytes, GError **error)
{
  g_autoptr(TfModel) model = g_new0(TfModel, 1);

  model->bytes = g_bytes_ref(bytes);
  if (!unpack(model, error) || (model->saved && !choose_meta(model, error))) {
    return NULL;
  }
  model->root = model->saved ? model->root : model->def;
  if (!model->root || model->root->n_node == 0 || model->root->n_node > G_MAXINT32 / 2) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "the graph has no nodes");
    return NULL;
  }
  index_functions(model);
  return g_steal_pointer(&model);
}

/* The outputs of operators that have several; in functions they go by their names. */
guint
tf_output_port(const TfModel *model, const TfDef *def, const char *arg, guint index)
{
  static const struct {
    const char *op, *args;
  } table[] = {
      {"BlockLSTM", "i,cs,f,o,ci,co,h"},
      {"BlockLSTMV2", "i,cs,f,o,ci,co,h"},
      {"CombinedNonMaxSuppression", "nmsed_boxes,nmsed_scores,nmsed_classes,valid_detections"},
      {"CudnnRNN", "output,output_h,output_c,reserve_space"},
      {"CudnnRNNV2", "output,output_h,output_c,reserve_space,host_reserved"},
      {"CudnnRNNV3", "output,output_h,output_c,reserve_space,host_reserved"},
      {"FusedBatchNorm", "y,batch_mean,batch_variance,reserve_space_1,reserve_space_2"},
      {"FusedBatchNormV2", "y,batch_mean,batch_variance,reserve_space_1,reserve_space_2"},
      {"FusedBatchNormV3",
       "y,batch_mean,batch_variance,reserve_space_1,reserve_space_2,reserve_space_3"},
      {"GRUBlockCell", "r,u,c,h"},
      {"LSTMBlockCell", "i,cs,f,o,ci,co,h"},
      {"MaxPoolWithArgmax", "output,argmax"},
      {"Merge", "output,value_index"},
      {"NonMaxSuppressionV4", "selected_indices,valid_outputs"},
      {"NonMaxSuppressionV5", "selected_indices,selected_scores,valid_outputs"},
      {"Switch", "output_false,output_true"},
      {"TensorArrayV3", "handle,flow"},
      {"TensorArrayUnstackV3", "flow_out"},
      {"TensorListPopBack", "output_handle,tensor"},
      {"TopK", "values,indices"},
      {"TopKV2", "values,indices"},
      {"Unique", "y,idx"},
      {"UniqueWithCounts", "y,idx,count"},
  };
  const InferTf__Function *function = g_hash_table_lookup(model->functions, def->op);

  for (gsize i = 0; function && i < function->signature->n_output_arg; i++) {
    if (g_strcmp0(function->signature->output_arg[i]->name, arg) == 0) {
      return (guint)i + index;
    }
  }
  for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
    if (g_str_equal(table[i].op, def->op)) {
      g_auto(GStrv) names = g_strsplit(table[i].args, ",", -1);
      for (guint k = 0; names[k]; k++) {
        if (g_str_equal(names[k], arg)) {
          return k + index;
        }
      }
    }
  }
  return index;
}

static gboolean
index_nodes(TfGraph *graph, TfDef *const *defs, GError **error)
{
  graph->nodes = g_new0(TfNode, graph->n_nodes + 1);
  graph->by_name = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *node = &graph->nodes[i];
    node->def = defs[i];
    node->graph = graph;
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

TfEdge
tf_graph_edge(const TfGraph *graph, const char *text, gboolean in_function)
{
  TfEdge edge = {NULL, 0};

  if (in_function) {
    g_auto(GStrv) parts = g_strsplit(text, ":", 3);
    guint64 index = 0;
    edge.node = parts[0] ? tf_graph_find(graph, parts[0]) : NULL;
    if (edge.node && parts[1] && parts[2] &&
        g_ascii_string_to_unsigned(parts[2], 10, 0, 65535, &index, NULL)) {
      edge.port = tf_output_port(graph->model, edge.node->def, parts[1], (guint)index);
    }
    return edge;
  }
  g_autofree char *name = tf_split_name(text, &edge.port);
  edge.node = tf_graph_find(graph, name);
  return edge;
}

static void
join_inputs(TfGraph *graph, TfNode *node, gboolean in_function)
{
  node->inputs = g_new0(TfEdge, node->def->n_input + 1);
  for (gsize i = 0; i < node->def->n_input; i++) {
    const char *text = node->def->input[i];
    if (text[0] == '^') {
      TfNode *before = tf_is(node, "NoOp") ? NULL : tf_graph_find(graph, text + 1);
      if (before) {
        before->awaited = TRUE;
      }
      continue;
    }
    TfEdge *edge = &node->inputs[node->n_inputs++];
    *edge = tf_graph_edge(graph, text, in_function);
    if (edge->node) {
      if (!edge->node->readers) {
        edge->node->readers = g_ptr_array_new();
      }
      g_ptr_array_add(edge->node->readers, node);
    }
  }
}

TfGraph *
tf_graph_new(TfModel *model, TfDef *const *defs, gsize n_defs, gboolean in_function,
             const char *prefix, GError **error)
{
  g_autoptr(TfGraph) graph = g_new0(TfGraph, 1);

  graph->model = model;
  graph->prefix = g_strdup(prefix);
  graph->in_function = in_function;
  graph->n_nodes = (guint)n_defs;
  graph->targets = g_array_new(FALSE, FALSE, sizeof(TfEdge));
  if (!index_nodes(graph, defs, error)) {
    return NULL;
  }
  for (guint i = 0; i < graph->n_nodes; i++) {
    join_inputs(graph, &graph->nodes[i], in_function);
  }
  return g_steal_pointer(&graph);
}

void
tf_graph_target(TfGraph *graph, TfEdge edge)
{
  g_array_append_val(graph->targets, edge);
}

gboolean
tf_is_read(const TfNode *node, guint port)
{
  const GArray *targets = node->graph->targets;

  for (guint i = 0; i < targets->len; i++) {
    const TfEdge *edge = &g_array_index(targets, TfEdge, i);
    if (edge->node == node && edge->port == port) {
      return TRUE;
    }
  }
  for (guint i = 0; node->readers && i < node->readers->len; i++) {
    const TfNode *reader = node->readers->pdata[i];
    for (guint k = 0; k < reader->n_inputs; k++) {
      if (reader->inputs[k].node == node && reader->inputs[k].port == port) {
        return TRUE;
      }
    }
  }
  return FALSE;
}

char *
tf_node_name(const TfNode *node)
{
  g_autofree char *name =
      g_strconcat(node->graph->prefix ? node->graph->prefix : "", node->def->name, NULL);

  return g_utf8_make_valid(name, -1);
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

const char *
tf_attr_func(const TfNode *node, const char *name)
{
  const InferTf__Attr *attr = tf_attr(node, name);

  return attr && attr->func ? attr->func->name : NULL;
}
