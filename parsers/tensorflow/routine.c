/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "routine.h"

/* A function may call functions; a damaged file may have one that calls itself, or calls so many
 * that a small file makes a giant network. */
#define MAX_CALLS 48
#define MAX_NODES (1u << 21)
#define MAX_PASSED 256

TfRoutine *
tf_routine_new(const char *name, gboolean in_function)
{
  TfRoutine *routine = g_new0(TfRoutine, 1);

  routine->name = g_strdup(name);
  routine->in_function = in_function;
  routine->defs = g_ptr_array_new();
  routine->own = g_ptr_array_new_with_free_func(g_free);
  routine->binds = g_array_new(FALSE, FALSE, sizeof(TfBind));
  routine->results = g_ptr_array_new_with_free_func(g_free);
  return routine;
}

void
tf_routine_free(TfRoutine *routine)
{
  g_free(routine->name);
  g_ptr_array_unref(routine->defs);
  g_ptr_array_unref(routine->own);
  g_array_unref(routine->binds);
  g_ptr_array_unref(routine->results);
  g_free(routine);
}

void
tf_routine_bind(TfRoutine *routine, const char *name, guint port, guint arg)
{
  TfBind bind = {name, port, arg};

  g_array_append_val(routine->binds, bind);
}

/* Arguments become nodes of an operator that no file has. */
static void
add_args(TfRoutine *routine, const InferTf__OpDef *signature)
{
  static const InferTf__Node blank = INFER_TF__NODE__INIT;

  for (gsize i = 0; i < signature->n_input_arg; i++) {
    TfDef *def = g_new(TfDef, 1);
    *def = blank;
    def->name = signature->input_arg[i]->name;
    def->op = (char *)"_Arg";
    g_ptr_array_add(routine->own, def);
    g_ptr_array_add(routine->defs, def);
    tf_routine_bind(routine, def->name ? def->name : "", 0, routine->n_args++);
  }
}

static const char *
find_return(const InferTf__Function *function, const char *name)
{
  for (gsize i = 0; name && i < function->n_ret; i++) {
    if (g_strcmp0(function->ret[i]->key, name) == 0) {
      return function->ret[i]->value;
    }
  }
  return NULL;
}

TfRoutine *
tf_routine_of(TfModel *model, const char *name, GError **error)
{
  TfRoutine *known = name ? g_hash_table_lookup(model->routines, name) : NULL;
  InferTf__Function *function = name ? g_hash_table_lookup(model->functions, name) : NULL;

  if (known) {
    return known;
  }
  if (!function) {
    tf_error(error, INFER_ERROR_MODEL, "the function '%s' is not in the file", name ? name : "");
    return NULL;
  }
  const InferTf__OpDef *signature = function->signature;
  g_autoptr(TfRoutine) routine = tf_routine_new(name, TRUE);
  add_args(routine, signature);
  for (gsize i = 0; i < function->n_node_def; i++) {
    g_ptr_array_add(routine->defs, function->node_def[i]);
  }
  for (gsize i = 0; i < signature->n_output_arg; i++) {
    const char *value = find_return(function, signature->output_arg[i]->name);
    if (!value) {
      tf_error(error, INFER_ERROR_MODEL,
               "the function '%s' does not say its result %" G_GSIZE_FORMAT, name, i);
      return NULL;
    }
    g_ptr_array_add(routine->results, g_strdup(value));
  }
  g_hash_table_insert(model->routines, signature->name, routine);
  return g_steal_pointer(&routine);
}

TfGraph *
tf_routine_joined(TfModel *model, const TfRoutine *routine, GError **error)
{
  return tf_graph_new(model, (TfDef *const *)routine->defs->pdata, routine->defs->len,
                      routine->in_function, NULL, error);
}

gboolean
tf_routine_arg(const TfRoutine *routine, TfEdge edge, guint *arg)
{
  for (guint steps = 0; edge.node && steps < MAX_PASSED; steps++) {
    for (guint i = 0; i < routine->binds->len; i++) {
      const TfBind *bind = &g_array_index(routine->binds, TfBind, i);
      if (bind->port == edge.port && g_str_equal(bind->name, edge.node->def->name)) {
        *arg = bind->arg;
        return TRUE;
      }
    }
    if (!tf_is_any(edge.node, "Identity", "StopGradient", NULL) || edge.node->n_inputs != 1) {
      return FALSE;
    }
    edge = edge.node->inputs[0];
  }
  return FALSE;
}

static gboolean
bind_args(TfGraph *graph, const TfRoutine *routine, const TfValue *args, guint n_args,
          GError **error)
{
  if (n_args < routine->n_args) {
    return tf_error(error, INFER_ERROR_MODEL, "'%s' takes %u arguments, %u are given",
                    routine->name, routine->n_args, n_args);
  }
  for (guint i = 0; i < routine->binds->len; i++) {
    const TfBind *bind = &g_array_index(routine->binds, TfBind, i);
    TfNode *node = tf_graph_find(graph, bind->name);
    if (node && bind->arg < n_args) {
      *tf_output(node, bind->port) = args[bind->arg];
      node->state = TF_DONE;
    }
  }
  return TRUE;
}

static gboolean
take_result(TfImport *im, TfGraph *graph, const char *name, TfEdge edge, TfValue *result,
            GError **error)
{
  if (!edge.node) {
    return tf_error(error, INFER_ERROR_MODEL, "the result '%s' is not in it", name);
  }
  if (!tf_import(im, edge.node, error) || edge.node->failed) {
    return FALSE;
  }
  GArray *values = edge.node->values;
  *result = (TfValue){.dead = edge.node->dead};
  if (values && edge.port < values->len) {
    *result = g_array_index(values, TfValue, edge.port);
  }
  if (!result->tf && !result->nchw && !result->thing && !result->dead) {
    return tf_error(error, INFER_ERROR_MODEL, "'%s' (%s) has no output %u", edge.node->def->name,
                    edge.node->def->op, edge.port);
  }
  return TRUE;
}

gboolean
tf_routine_run(TfImport *im, const TfRoutine *routine, const char *prefix, const TfValue *args,
               guint n_args, const gboolean *needed, TfValue *results, GError **error)
{
  if (im->calls >= MAX_CALLS) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "functions and loops are nested more than %d deep at '%s'", MAX_CALLS,
                    routine->name);
  }
  im->written += routine->defs->len;
  if (im->written > MAX_NODES) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "functions and loops make more than %u nodes when they are written out",
                    MAX_NODES);
  }
  g_autoptr(TfGraph) graph = tf_graph_new(im->graph->model, (TfDef *const *)routine->defs->pdata,
                                          routine->defs->len, routine->in_function, prefix, error);
  if (!graph || !bind_args(graph, routine, args, n_args, error)) {
    return FALSE;
  }
  tf_index_ops(im, graph);
  guint n = routine->results->len;
  g_autofree TfEdge *edges = g_new0(TfEdge, n + 1);
  for (guint i = 0; i < n; i++) {
    if (!needed || needed[i]) {
      edges[i] = tf_graph_edge(graph, routine->results->pdata[i], routine->in_function);
      tf_graph_target(graph, edges[i]);
    }
  }
  gboolean good = TRUE;
  GError *trouble = NULL;
  im->calls++;
  /* All results are tried, so that all problems are found. */
  for (guint i = 0; i < n && !trouble; i++) {
    results[i] = (TfValue){.tf = NULL};
    good = ((needed && !needed[i]) ||
            take_result(im, graph, routine->results->pdata[i], edges[i], &results[i], &trouble)) &&
           good;
  }
  im->calls--;
  if (trouble) {
    g_propagate_error(error, trouble);
  }
  return good;
}
