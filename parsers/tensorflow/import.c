/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "../recognize.h"
#include "routine.h"
#include "savedmodel.h"
#include "variables.h"

#include <string.h>

static const TfOp *const families[] = {
    tf_ops_basic,       tf_ops_blocks,    tf_ops_boxes,     tf_ops_cell,   tf_ops_control,
    tf_ops_convolution, tf_ops_detection, tf_ops_function,  tf_ops_index,  tf_ops_list,
    tf_ops_math,        tf_ops_matrix,    tf_ops_pointwise, tf_ops_pool,   tf_ops_reduce,
    tf_ops_resize,      tf_ops_shape,     tf_ops_slice,     tf_ops_volume,
};

void
tf_problem(TfImport *im, TfNode *node, GError *error)
{
  node->failed = TRUE;
  if (im->problems->len == 0) {
    im->problem_code = error->code;
  }
  g_autofree char *name = tf_node_name(node);
  g_ptr_array_add(im->problems,
                  g_strdup_printf("'%s' (%s): %s", name, node->def->op, error->message));
  g_error_free(error);
}

void
tf_forget(TfImport *im, guint n)
{
  if (im->problems->len > n) {
    g_ptr_array_set_size(im->problems, (gint)n);
  }
}

void
tf_wait(TfNode *node, const TfEdge *edges, guint n)
{
  g_free(node->deps);
  node->deps = g_new0(TfEdge, n + 1);
  node->n_deps = n;
  if (n) {
    memcpy(node->deps, edges, n * sizeof *edges);
  }
}

static void
mark_dead(TfNode *node)
{
  node->dead = TRUE;
  node->failed = FALSE;
}

/* Whether @node can be added: all it reads is there. */
static gboolean
inputs_ready(TfImport *im, TfNode *node)
{
  gboolean dead = FALSE;
  const TfEdge *edges = node->deps ? node->deps : node->inputs;
  guint n = node->deps ? node->n_deps : node->n_inputs;

  for (guint i = 0; i < n; i++) {
    const TfEdge *edge = &edges[i];
    if (!edge->node) {
      GError *error =
          g_error_new(INFER_ERROR, INFER_ERROR_MODEL, "input %u is not in the graph", i);
      tf_problem(im, node, error);
      return FALSE;
    }
    /* The cause is already named; an operator that is not supported is named in any case. */
    if (edge->node->failed) {
      node->failed = TRUE;
    }
    GArray *values = edge->node->values;
    gboolean dead_port =
        values && edge->port < values->len && g_array_index(values, TfValue, edge->port).dead;
    dead = dead || edge->node->dead || dead_port;
  }
  if (dead && !tf_is_any(node, "Merge", "RefMerge", NULL)) {
    mark_dead(node);
    return FALSE;
  }
  return !node->failed || !node->op;
}

static void
emit_node(TfImport *im, TfNode *node)
{
  GError *error = NULL;
  guint n_problems = im->problems->len;

  if (!inputs_ready(im, node)) {
    return;
  }
  if (!node->op) {
    error = g_error_new(INFER_ERROR, INFER_ERROR_UNSUPPORTED, "this operator is not supported");
  } else if (!node->op->emit(im, node, &error) && !error) {
    if (im->problems->len > n_problems) {
      node->failed = TRUE; /* a function that it calls has said why */
      return;
    }
    error = g_error_new(INFER_ERROR, INFER_ERROR_FAILED, "it could not be added");
  }
  if (error) {
    tf_problem(im, node, error);
  }
}

typedef struct {
  TfNode *node;
  guint next;
  gboolean asked;
} Visit;

static gboolean
push(GArray *stack, TfNode *node, const TfNode *from, GError **error)
{
  if (node->state == TF_DONE || (node->values && node->state == TF_NEW)) {
    return TRUE;
  }
  if (node->state == TF_OPEN) {
    return tf_error(error, INFER_ERROR_MODEL,
                    "the nodes '%s' and '%s' wait for each other: the "
                    "graph has a cycle",
                    node->def->name, from->def->name);
  }
  node->state = TF_OPEN;
  Visit visit = {node, 0, FALSE};
  g_array_append_val(stack, visit);
  return TRUE;
}

gboolean
tf_import(TfImport *im, TfNode *root, GError **error)
{
  g_autoptr(GArray) stack = g_array_new(FALSE, FALSE, sizeof(Visit));

  if (!push(stack, root, root, error)) {
    return FALSE;
  }
  while (stack->len > 0) {
    Visit *top = &g_array_index(stack, Visit, stack->len - 1);
    TfNode *node = top->node;
    if (!top->asked) {
      top->asked = TRUE;
      tf_frame_wait(im, node);
    }
    const TfEdge *edges = node->deps ? node->deps : node->inputs;
    guint n = node->deps ? node->n_deps : node->n_inputs;
    if (top->next < n) {
      TfNode *source = edges[top->next++].node;
      if (source && !push(stack, source, node, error)) {
        return FALSE;
      }
      continue;
    }
    if (node->deps && tf_frame_wait(im, node)) {
      top->next = 0;
      continue;
    }
    g_array_set_size(stack, stack->len - 1);
    node->state = TF_DONE;
    emit_node(im, node);
  }
  return TRUE;
}

InferTensor *
tf_import_value(TfImport *im, const TfEdge *edge, GError **error)
{
  if (!edge->node) {
    tf_error(error, INFER_ERROR_MODEL, "a node is not in the graph");
    return NULL;
  }
  if (!tf_import(im, edge->node, error) || edge->node->failed) {
    return NULL;
  }
  GArray *values = edge->node->values;
  TfValue *value =
      values && edge->port < values->len ? &g_array_index(values, TfValue, edge->port) : NULL;
  if (!value || (!value->tf && !value->nchw)) {
    tf_error(error, INFER_ERROR_MODEL, "'%s' (%s) has no output %u", edge->node->def->name,
             edge->node->def->op, edge->port);
    return NULL;
  }
  return tf_value_form(im, edge->node, value, FALSE, error);
}

static gboolean
report(TfImport *im, GError **error)
{
  g_autofree char *text = NULL;

  if (im->problems->len == 0) {
    return TRUE;
  }
  text = parsers_tell_problems(im->options, im->problems, "node");
  return tf_error(error, (InferError)im->problem_code, "%s", text);
}

static gboolean
mark_output(TfImport *im, const char *name, gboolean asked, GError **error)
{
  TfEdge edge = {NULL, 0};
  g_autofree char *node_name = tf_split_name(tf_signature_output(im, name), &edge.port);

  edge.node = tf_graph_find(im->graph, node_name);
  if (!edge.node) {
    return tf_error(error, INFER_ERROR_ARGUMENT, "there is no node '%s' to be an output",
                    node_name);
  }
  GError *trouble = NULL;
  if (!tf_import(im, edge.node, error)) {
    return FALSE;
  }
  /* What nobody has asked for may be a list, or on a branch that is not taken. */
  GArray *values = edge.node->values;
  const TfValue *value =
      values && edge.port < values->len ? &g_array_index(values, TfValue, edge.port) : NULL;
  if (!asked && !edge.node->failed && (edge.node->dead || !value || value->thing || value->dead)) {
    return TRUE;
  }
  InferTensor *tensor = tf_import_value(im, &edge, &trouble);
  if (trouble) {
    g_propagate_error(error, trouble);
    return FALSE;
  }
  if (!tensor && edge.node->dead) {
    return tf_error(error, INFER_ERROR_MODEL, "output '%s' is never computed", name);
  }
  g_autofree char *valid = g_utf8_make_valid(name, -1);
  return !tensor || infer_network_mark_output(im->network, tensor, valid, error);
}

static gboolean
is_result(const TfNode *node)
{
  return (!node->readers || node->readers->len == 0) && !node->awaited &&
         !tf_is_any(node, "NoOp", "Assert", "Const", "Placeholder", "PlaceholderWithDefault",
                    "Switch", "_SwitchN", "ControlTrigger", "TensorListReserve", "EmptyTensorList",
                    "TensorArrayV3", "VarHandleOp", NULL);
}

/* The nodes that nothing reads; those that are not supported only where there are no others. */
static GPtrArray *
default_outputs(TfImport *im)
{
  GPtrArray *names = g_ptr_array_new();

  if (tf_signature_outputs(im, names)) {
    return names;
  }
  for (guint pass = 0; pass < 3 && names->len == 0; pass++) {
    g_autoptr(GHashTable) inside = tf_frame_inside(im->graph, pass == 0);
    for (guint i = 0; i < im->graph->n_nodes; i++) {
      TfNode *node = &im->graph->nodes[i];
      if (is_result(node) && (pass == 2 || (node->op && !g_hash_table_contains(inside, node)))) {
        g_ptr_array_add(names, node->def->name);
      }
    }
  }
  return names;
}

/* The names that were asked for; the four of a detector are taken out, for they come together. */
static GPtrArray *
asked_outputs(TfImport *im, gboolean *detection)
{
  GPtrArray *names = g_ptr_array_new();

  *detection = FALSE;
  for (gsize i = 0; im->options->outputs[i]; i++) {
    if (tf_detection_is(im->graph) && tf_detection_is_output(im->options->outputs[i])) {
      *detection = TRUE;
    } else {
      g_ptr_array_add(names, (gpointer)im->options->outputs[i]);
    }
  }
  return names;
}

static gboolean
all_outputs(TfImport *im, InferModelInfo *info, GError **error)
{
  gboolean asked = im->options && im->options->outputs && im->options->outputs[0];
  gboolean detection = !asked && tf_detection_is(im->graph);
  g_autoptr(GPtrArray) names = asked       ? asked_outputs(im, &detection)
                               : detection ? g_ptr_array_new()
                                           : default_outputs(im);

  for (guint i = 0; i < names->len; i++) {
    TfEdge edge = tf_graph_edge(im->graph, tf_signature_output(im, names->pdata[i]), FALSE);
    if (edge.node) {
      g_hash_table_add(im->wanted, edge.node);
      tf_graph_target(im->graph, edge);
    }
  }
  if (detection && !tf_detection_outputs(im, info, error)) {
    return FALSE;
  }
  for (guint i = 0; i < names->len; i++) {
    if (!mark_output(im, names->pdata[i], asked || im->signature, error)) {
      return FALSE;
    }
  }
  return detection || im->problems->len > 0 || infer_network_get_n_outputs(im->network) > 0 ||
         tf_error(error, INFER_ERROR_MODEL, "the graph has nothing that could be an output");
}

/* Names the image input, when there is only one thing that could be it. */
static void
guess_image(TfImport *im, InferModelInfo *info)
{
  const char *name = NULL;
  guint found = 0;

  for (guint i = 0; i < infer_network_get_n_inputs(im->network); i++) {
    InferTensor *input = infer_network_get_input(im->network, i);
    gint64 last = input->dims.n == 4 ? input->dims.d[3] : 0;
    gint64 second = input->dims.n == 4 ? input->dims.d[1] : 0;
    if (!input->initial && (last == 1 || last == 3 || second == 1 || second == 3)) {
      name = input->name;
      found++;
    }
  }
  if (found == 1 && !infer_model_info_get_input(info)) {
    infer_model_info_set_input(info, name);
  }
}

static void
index_families(TfImport *im)
{
  im->ops = g_hash_table_new(g_str_hash, g_str_equal);
  for (gsize i = 0; i < G_N_ELEMENTS(families); i++) {
    for (const TfOp *op = families[i]; op->name; op++) {
      g_hash_table_insert(im->ops, (gpointer)op->name, (gpointer)op);
    }
  }
}

void
tf_index_ops(TfImport *im, TfGraph *graph)
{
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *node = &graph->nodes[i];
    node->op = g_hash_table_lookup(im->ops, node->def->op);
    if (!node->op && g_hash_table_contains(graph->model->functions, node->def->op)) {
      node->op = &tf_op_function;
    }
    if (!node->op && tf_plugin_is(node)) {
      node->op = &tf_op_plugin;
    }
  }
}

/* Nodes that the options give dimensions of become inputs, as placeholders are. */
static gboolean
give_inputs(TfImport *im, GError **error)
{
  const char *const *shapes = im->options ? im->options->shapes : NULL;

  for (gsize i = 0; shapes && shapes[i]; i++) {
    const char *colon = strrchr(shapes[i], ':');
    g_autofree char *name = g_strndup(shapes[i], colon ? (gsize)(colon - shapes[i]) : 0);
    TfNode *node = tf_graph_find(im->graph, name);

    if (!node) {
      g_autofree char *valid = g_utf8_make_valid(shapes[i], -1);
      return tf_error(error, INFER_ERROR_ARGUMENT, "the shape '%s' is of no node of the graph",
                      valid);
    }
    if (tf_is_any(node, "Placeholder", "PlaceholderV2", NULL)) {
      continue;
    }
    node->op = &tf_op_given;
    node->n_inputs = 0;
    node->n_deps = 0;
  }
  return TRUE;
}

static void
import_clear(TfImport *im)
{
  g_clear_pointer(&im->graph, tf_graph_free);
  g_clear_pointer(&im->things, g_ptr_array_unref);
  g_clear_pointer(&im->placeholders, g_hash_table_unref);
  g_clear_object(&im->network);
  g_clear_pointer(&im->ops, g_hash_table_unref);
  g_clear_pointer(&im->wanted, g_hash_table_unref);
  g_clear_pointer(&im->problems, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TfImport, import_clear)

static gboolean
open_model(TfImport *im, TfModel *model, GError **error)
{
  im->graph = tf_graph_new(model, model->root->node, model->root->n_node, FALSE, NULL, error);
  if (!im->graph) {
    return FALSE;
  }
  im->network = im->main = infer_network_new();
  im->wanted = g_hash_table_new(NULL, NULL);
  im->problems = g_ptr_array_new_with_free_func(g_free);
  index_families(im);
  tf_index_ops(im, im->graph);
  tf_signature_read(im);
  return give_inputs(im, error);
}

/* @folder: (nullable): where a SavedModel has its variables */
static InferNetwork *
parse(GBytes *bytes, const char *folder, const InferParseOptions *options, GError **error)
{
  g_autoptr(TfModel) model = tf_model_load(bytes, error);
  g_auto(TfImport) im = {.options = options};
  g_autoptr(InferModelInfo) info = infer_model_info_new();

  if (!model || (model->saved && folder && !tf_variables_open(model, folder, error)) ||
      !open_model(&im, model, error)) {
    return NULL;
  }
  GError *trouble = NULL;
  gboolean done = tf_detection_find_input(&im, info, &trouble) && all_outputs(&im, info, &trouble);
  /* Nodes that cannot be used are the cause of what else went wrong. */
  if (!report(&im, error)) {
    g_clear_error(&trouble);
    return NULL;
  }
  if (!done && !trouble) {
    tf_error(&trouble, INFER_ERROR_FAILED, "the graph has no output that can be computed");
  }
  if (trouble) {
    g_propagate_error(error, trouble);
    return NULL;
  }
  guess_image(&im, info);
  infer_network_set_model_info(im.network, info);
  return parsers_prune(im.network, error);
}

static InferNetwork *
parse_named(GBytes *bytes, const char *source, const char *folder, const InferParseOptions *options,
            GError **error)
{
  GError *trouble = NULL;
  InferNetwork *network = parse(bytes, folder, options, &trouble);

  if (!network) {
    g_autofree char *text = g_utf8_make_valid(trouble->message, -1);
    tf_error(error, (InferError)trouble->code, "%s: %s", source ? source : "graph", text);
    g_error_free(trouble);
  }
  return network;
}

InferNetwork *
infer_parse_tensorflow_bytes(GBytes *bytes, const char *source, const InferParseOptions *options,
                             GError **error)
{
  return parse_named(bytes, source, NULL, options, error);
}

InferNetwork *
infer_parse_tensorflow(const char *path, const InferParseOptions *options, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autofree char *file_name = parsers_saved_model_file(path);
  g_autofree char *folder = g_path_get_dirname(file_name);
  g_autoptr(GMappedFile) file = g_mapped_file_new(file_name, FALSE, &trouble);
  if (!file) {
    tf_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
    return NULL;
  }
  g_autoptr(GBytes) bytes = g_mapped_file_get_bytes(file);
  return parse_named(bytes, path, folder, options, error);
}
