/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "variables.h"

#include "import.h"

#include <string.h>

/*
 * Which entry of the checkpoint is which variable is said by the graph itself: the part that
 * restores it assigns output k of RestoreV2, whose name is element k of a constant, to a variable.
 * In TensorFlow 1 that part is in the graph, in TensorFlow 2 in a function that gets the variables.
 */

#define MAX_CALLS 4
#define MAX_PASSED 16

struct _TfVariables {
  TfBundle *bundle;
  GHashTable *keys;   /* name of a variable's node -> Restored */
  GHashTable *copies; /* name of a variable's node -> name of one that starts as its copy */
  GHashTable *arrays; /* TfDef of a variable -> InferArray */
};

typedef struct {
  char *key;
  char *part; /* (nullable): "ROWS COLUMNS 0,5:-", a part of what is stored */
} Restored;

static void
restored_free(gpointer data)
{
  Restored *restored = data;

  g_free(restored->key);
  g_free(restored->part);
  g_free(restored);
}

void
tf_variables_free(TfVariables *variables)
{
  g_clear_pointer(&variables->bundle, tf_bundle_free);
  g_clear_pointer(&variables->keys, g_hash_table_unref);
  g_clear_pointer(&variables->copies, g_hash_table_unref);
  g_clear_pointer(&variables->arrays, g_hash_table_unref);
  g_free(variables);
}

/* --- finding out --- */

/* Element @index of a constant of texts. */
static char *
text_of(const TfNode *node, guint index)
{
  const InferTf__Attr *attr = tf_is(node, "Const") ? tf_attr(node, "value") : NULL;
  const InferTf__Tensor *tensor = attr ? attr->tensor : NULL;

  if (!tensor || tensor->n_string_val == 0) {
    return NULL;
  }
  const ProtobufCBinaryData *text = &tensor->string_val[MIN(index, tensor->n_string_val - 1)];
  return memchr(text->data, 0, text->len) ? NULL : g_strndup((const char *)text->data, text->len);
}

static TfEdge
passed_on(TfEdge edge)
{
  for (guint i = 0; i < MAX_PASSED && tf_is(edge.node, "Identity") && edge.node->n_inputs == 1;
       i++) {
    edge = edge.node->inputs[0];
  }
  return edge;
}

/* @args: names of the variables that a function's arguments are; NULL for those that are none */
static void find_in_graph(TfModel *model, const TfGraph *graph, const InferTf__OpDef *signature,
                          const char *const *args, guint calls);

static const char *
variable_name(const TfEdge *edge, const InferTf__OpDef *signature, const char *const *args)
{
  if (tf_is_any(edge->node, "VarHandleOp", "VariableV2", "Variable", "AutoReloadVariable", NULL)) {
    return edge->node->def->name;
  }
  for (gsize i = 0; signature && edge->node && i < signature->n_input_arg; i++) {
    if (g_strcmp0(signature->input_arg[i]->name, edge->node->def->name) == 0) {
      return args[i];
    }
  }
  return NULL;
}

static void
find_in_function(TfModel *model, const TfNode *call, const InferTf__OpDef *outer,
                 const char *const *outer_args, guint calls)
{
  const char *name = tf_attr_func(call, "f");
  const InferTf__Function *function = name ? g_hash_table_lookup(model->functions, name) : NULL;
  gboolean restores = FALSE;

  for (gsize i = 0; function && i < function->n_node_def; i++) {
    const char *op = function->node_def[i]->op;
    restores = restores ||
               (op && (g_str_equal(op, "RestoreV2") || g_str_equal(op, "StatefulPartitionedCall")));
  }
  if (!restores || calls >= MAX_CALLS) {
    return;
  }
  const InferTf__OpDef *signature = function->signature;
  g_autofree const char **args = g_new0(const char *, signature->n_input_arg + 1);
  for (gsize i = 0; i < signature->n_input_arg && i < call->n_inputs; i++) {
    args[i] = variable_name(&call->inputs[i], outer, outer_args);
  }
  g_autoptr(GPtrArray) defs = g_ptr_array_new();
  g_autofree TfDef *arg_defs = g_new0(TfDef, signature->n_input_arg + 1);
  for (gsize i = 0; i < signature->n_input_arg; i++) {
    infer_tf__node__init(&arg_defs[i]);
    arg_defs[i].name = signature->input_arg[i]->name;
    arg_defs[i].op = (char *)"_Arg";
    g_ptr_array_add(defs, &arg_defs[i]);
  }
  for (gsize i = 0; i < function->n_node_def; i++) {
    g_ptr_array_add(defs, function->node_def[i]);
  }
  g_autoptr(TfGraph) graph =
      tf_graph_new(model, (TfDef *const *)defs->pdata, defs->len, TRUE, NULL, NULL);
  if (graph) {
    find_in_graph(model, graph, signature, args, calls + 1);
  }
}

static void
find_in_graph(TfModel *model, const TfGraph *graph, const InferTf__OpDef *signature,
              const char *const *args, guint calls)
{
  for (guint i = 0; i < graph->n_nodes; i++) {
    const TfNode *node = &graph->nodes[i];
    if (tf_is_any(node, "StatefulPartitionedCall", "PartitionedCall", NULL)) {
      find_in_function(model, node, signature, args, calls);
    }
    if (!tf_is_any(node, "AssignVariableOp", "Assign", NULL) || node->n_inputs < 2) {
      continue;
    }
    const char *name = variable_name(&node->inputs[0], signature, args);
    TfEdge value = passed_on(node->inputs[1]);
    /* Keras saves copies of its variables, and computes with the variables themselves. */
    if (name && tf_is(value.node, "ReadVariableOp") && value.node->n_inputs == 1) {
      const char *source = variable_name(&value.node->inputs[0], signature, args);
      if (source) {
        g_hash_table_insert(model->variables->copies, (gpointer)source, (gpointer)name);
      }
    }
    if (!name || !tf_is(value.node, "RestoreV2")) {
      continue;
    }
    char *key = text_of(tf_source(value.node, 1), value.port);
    if (key) {
      Restored *restored = g_new0(Restored, 1);
      restored->key = key;
      restored->part = text_of(tf_source(value.node, 2), value.port);
      g_hash_table_insert(model->variables->keys, (gpointer)name, restored);
    }
  }
}

gboolean
tf_variables_open(TfModel *model, const char *folder, GError **error)
{
  GError *trouble = NULL;
  TfBundle *bundle = tf_bundle_open(folder, &trouble);

  if (trouble) {
    g_propagate_error(error, trouble);
    return FALSE;
  }
  model->variables = g_new0(TfVariables, 1);
  model->variables->bundle = bundle;
  model->variables->copies = g_hash_table_new(g_str_hash, g_str_equal);
  model->variables->keys = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, restored_free);
  model->variables->arrays =
      g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
  g_autoptr(TfGraph) graph =
      tf_graph_new(model, model->root->node, model->root->n_node, FALSE, NULL, error);
  if (graph) {
    find_in_graph(model, graph, NULL, NULL, 0);
  }
  return graph != NULL;
}

/* --- reading --- */

/* "10 20 0,5:-": the shape of the whole, then start and length of each dimension, or "-". */
static InferArray *
cut_part(const InferArray *whole, const char *part, GError **error)
{
  g_auto(GStrv) words = g_strsplit(part, " ", -1);
  gint rank = whole->dims.n;
  InferDims dims = whole->dims;
  gint64 starts[INFER_MAX_DIMS] = {0};

  g_auto(GStrv) extents =
      g_strv_length(words) == (guint)rank + 1 ? g_strsplit(words[rank], ":", -1) : NULL;
  gboolean good = extents && g_strv_length(extents) == (guint)rank;
  for (gint i = 0; i < rank && good; i++) {
    if (g_str_equal(extents[i], "-")) {
      continue;
    }
    g_auto(GStrv) pair = g_strsplit(extents[i], ",", 3);
    guint64 start = 0, length = 0;
    good = g_strv_length(pair) == 2 &&
           g_ascii_string_to_unsigned(pair[0], 10, 0, (guint64)dims.d[i], &start, NULL) &&
           g_ascii_string_to_unsigned(pair[1], 10, 0, (guint64)dims.d[i] - start, &length, NULL);
    starts[i] = (gint64)start;
    dims.d[i] = (gint64)length;
  }
  if (!good) {
    tf_error(error, INFER_ERROR_MODEL, "'%s' is no part of what the checkpoint has", part);
    return NULL;
  }
  InferArray *array = infer_array_new(whole->type, &dims, error);
  gsize size = infer_type_bits(whole->type) / 8;
  for (gint64 i = 0; array && i < infer_array_count(array); i++) {
    gint64 rest = i, at = 0, stride = 1;
    for (gint k = rank - 1; k >= 0; k--) {
      at += (starts[k] + rest % dims.d[k]) * stride;
      rest /= dims.d[k];
      stride *= whole->dims.d[k];
    }
    memcpy((guint8 *)array->data + (gsize)i * size, (const guint8 *)whole->data + (gsize)at * size,
           size);
  }
  return array;
}

static char *
string_attr(const TfDef *def, const char *name)
{
  const TfNode node = {.def = def};
  const InferTf__Attr *attr = tf_attr(&node, name);

  return attr && attr->has_s && attr->s.len && !memchr(attr->s.data, 0, attr->s.len)
             ? g_strndup((const char *)attr->s.data, attr->s.len)
             : NULL;
}

static InferArray *
load(TfVariables *variables, const TfDef *def, GError **error)
{
  const Restored *restored = g_hash_table_lookup(variables->keys, def->name);
  const char *copy = g_hash_table_lookup(variables->copies, def->name);
  g_autofree char *shared = string_attr(def, "shared_name");
  if (!restored && copy) {
    restored = g_hash_table_lookup(variables->keys, copy);
  }
  gboolean is_shared = shared && tf_bundle_has(variables->bundle, shared);
  const char *key = restored ? restored->key : is_shared ? shared : def->name;
  InferArray *array = tf_bundle_read(variables->bundle, key, error);

  if (array && restored && restored->part && restored->part[0]) {
    InferArray *part = cut_part(array, restored->part, error);
    infer_array_unref(array);
    array = part;
  }
  return array;
}

InferArray *
tf_variables_read(TfVariables *variables, const TfDef *variable, GError **error)
{
  GError *trouble = NULL;

  if (!variables || !variables->bundle) {
    tf_error(error, INFER_ERROR_UNSUPPORTED,
             "variable '%s' has no contents: the graph is not frozen%s; freeze it, or give the "
             "SavedModel's folder with its variables/variables.index",
             variable->name, variables ? ", and its folder has no checkpoint" : "");
    return NULL;
  }
  InferArray *array = g_hash_table_lookup(variables->arrays, variable);
  if (!array) {
    array = load(variables, variable, &trouble);
    if (!array) {
      tf_error(error, (InferError)trouble->code, "variable '%s': %s", variable->name,
               trouble->message);
      g_error_free(trouble);
      return NULL;
    }
    g_hash_table_insert(variables->arrays, (gpointer)variable, array);
  }
  return infer_array_ref(array);
}
