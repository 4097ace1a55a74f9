/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "list.h"
#include "routine.h"
#include "variables.h"

/* Calls of functions, the conditions and loops of TensorFlow 2 that consist of them, and variables.
 */

static gboolean
take_args(TfNode *node, guint from, TfValue *args, GError **error)
{
  for (guint i = from; i < node->n_inputs; i++) {
    const TfEdge *edge = &node->inputs[i];
    GArray *values = edge->node->values;
    if (values && edge->port < values->len) {
      args[i - from] = g_array_index(values, TfValue, edge->port);
    }
    const TfValue *arg = &args[i - from];
    if (!arg->tf && !arg->nchw && !arg->thing && !arg->dead) {
      return tf_error(error, INFER_ERROR_MODEL, "input %u reads output %u of '%s', which has none",
                      i, edge->port, edge->node->def->name);
    }
  }
  return TRUE;
}

static gboolean *
needed_of(const TfNode *node, guint n)
{
  gboolean *needed = g_new0(gboolean, n + 1);

  for (guint i = 0; i < n; i++) {
    needed[i] = tf_is_read(node, i);
  }
  return needed;
}

static void
store(TfNode *node, const TfValue *results, const gboolean *needed, guint n)
{
  for (guint i = 0; i < n; i++) {
    if (!needed || needed[i]) {
      *tf_output(node, i) = results[i];
    }
  }
}

static gboolean
call(TfImport *im, TfNode *node, const char *name, GError **error)
{
  TfRoutine *routine = tf_routine_of(im->graph->model, name, error);
  g_autofree TfValue *args = g_new0(TfValue, node->n_inputs + 1);

  if (!routine || !take_args(node, 0, args, error)) {
    return FALSE;
  }
  guint n = routine->results->len;
  g_autofree TfValue *results = g_new0(TfValue, n + 1);
  g_autofree gboolean *needed = needed_of(node, n);
  g_autofree char *full = tf_node_name(node);
  g_autofree char *prefix = g_strconcat(full, "/", NULL);
  if (!tf_routine_run(im, routine, prefix, args, node->n_inputs, needed, results, error)) {
    return FALSE;
  }
  store(node, results, needed, n);
  return TRUE;
}

static gboolean
emit_call(TfImport *im, TfNode *node, GError **error)
{
  return call(im, node, tf_attr_func(node, "f"), error);
}

/* The operator is itself the name of a function. */
static gboolean
emit_named(TfImport *im, TfNode *node, GError **error)
{
  return call(im, node, node->def->op, error);
}

const TfOp tf_op_function = {"function", emit_named};

static gboolean
emit_if(TfImport *im, TfNode *node, GError **error)
{
  TfModel *model = im->graph->model;
  const TfRoutine *branches[2] = {tf_routine_of(model, tf_attr_func(node, "then_branch"), error),
                                  NULL};
  InferTensor *condition = branches[0] ? tf_in(im, node, 0, error) : NULL;
  g_autofree TfValue *args = g_new0(TfValue, node->n_inputs + 1);

  branches[1] = condition ? tf_routine_of(model, tf_attr_func(node, "else_branch"), error) : NULL;
  if (!branches[1] || !take_args(node, 1, args, error)) {
    return FALSE;
  }
  guint n = MAX(branches[0]->results->len, branches[1]->results->len);
  g_autofree TfValue *results = g_new0(TfValue, n + 1);
  g_autofree gboolean *needed = needed_of(node, n);
  if (!tf_run_if(im, node, condition, branches, args, node->n_inputs - 1, needed, results, error)) {
    return FALSE;
  }
  store(node, results, needed, n);
  return TRUE;
}

static gboolean
emit_while(TfImport *im, TfNode *node, GError **error)
{
  TfModel *model = im->graph->model;
  TfLoop loop = {.node = node, .n_vars = node->n_inputs, .n_args = node->n_inputs};
  g_autofree TfValue *args = g_new0(TfValue, node->n_inputs + 1);

  loop.condition = tf_routine_of(model, tf_attr_func(node, "cond"), error);
  loop.body = loop.condition ? tf_routine_of(model, tf_attr_func(node, "body"), error) : NULL;
  if (!loop.body || !take_args(node, 0, args, error)) {
    return FALSE;
  }
  g_autofree TfValue *results = g_new0(TfValue, MAX(node->n_inputs, loop.body->results->len) + 1);
  loop.args = args;
  if (!tf_run_loop(im, &loop, results, error)) {
    return FALSE;
  }
  store(node, results, NULL, node->n_inputs);
  return TRUE;
}

/* A choice among several functions: only one that a constant makes. */
static gboolean
emit_case(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) choice = tf_const(node, 0, error);
  const InferTf__Attr *attr = tf_attr(node, "branches");
  gsize n_branches = attr && attr->list ? attr->list->n_func : 0;
  g_autofree TfValue *args = g_new0(TfValue, node->n_inputs + 1);

  if (!choice || !take_args(node, 1, args, error)) {
    return FALSE;
  }
  if (n_branches == 0 || infer_array_count(choice) != 1) {
    return tf_error(error, INFER_ERROR_MODEL, "it has no branches, or its choice is not one value");
  }
  gint64 at = infer_array_get_int(choice, 0);
  at = at < 0 || at >= (gint64)n_branches ? (gint64)n_branches - 1 : at;
  TfRoutine *routine = tf_routine_of(im->graph->model, attr->list->func[at]->name, error);
  if (!routine) {
    return FALSE;
  }
  guint n = routine->results->len;
  g_autofree TfValue *results = g_new0(TfValue, n + 1);
  g_autofree gboolean *needed = needed_of(node, n);
  g_autofree char *full = tf_node_name(node);
  g_autofree char *prefix = g_strconcat(full, "/", NULL);
  if (!tf_routine_run(im, routine, prefix, args, node->n_inputs - 1, needed, results, error)) {
    return FALSE;
  }
  store(node, results, needed, n);
  return TRUE;
}

/* --- variables --- */

static gboolean
emit_handle(TfImport *im, TfNode *node, GError **error)
{
  TfThing *thing = tf_thing_new(im, TF_VARIABLE);

  thing->variable = node->def;
  return tf_out_thing(node, 0, thing);
}

static InferTensor *
read_variable(TfImport *im, TfNode *node, const TfDef *variable, GError **error)
{
  g_autoptr(InferArray) array = tf_variables_read(im->graph->model->variables, variable, error);
  g_autofree char *name = tf_node_name(node);

  return array ? infer_network_add_constant(im->network, name, array) : NULL;
}

static gboolean
emit_read(TfImport *im, TfNode *node, GError **error)
{
  TfThing *thing = tf_thing_in(node, 0);

  if (!thing || thing->kind != TF_VARIABLE) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "what it reads is not a variable");
  }
  return tf_out(node, 0, read_variable(im, node, thing->variable, error));
}

static gboolean
emit_resource_gather(TfImport *im, TfNode *node, GError **error)
{
  TfThing *thing = tf_thing_in(node, 0);
  InferTensor *indices = tf_in(im, node, 1, error);

  if (!indices) {
    return FALSE;
  }
  if (!thing || thing->kind != TF_VARIABLE) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "what it reads is not a variable");
  }
  if (tf_attr_int(node, "batch_dims", 0) != 0) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "batch_dims is not supported");
  }
  InferTensor *table = read_variable(im, node, thing->variable, error);
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, NULL);
  if (!table) {
    g_variant_unref(g_variant_ref_sink(attrs));
    return FALSE;
  }
  return tf_out(node, 0, tf_add2(im, node, NULL, "Gather", attrs, table, indices, error));
}

static gboolean
emit_variable(TfImport *im, TfNode *node, GError **error)
{
  return tf_out(node, 0, read_variable(im, node, node->def, error));
}

static gboolean
emit_is_initialized(TfImport *im, TfNode *node, GError **error)
{
  return tf_out(node, 0, tf_scalar(im, node, NULL, INFER_TYPE_BOOL, 1));
}

const TfOp tf_ops_function[] = {
    {"PartitionedCall", emit_call},
    {"StatefulPartitionedCall", emit_call},
    {"If", emit_if},
    {"StatelessIf", emit_if},
    {"While", emit_while},
    {"StatelessWhile", emit_while},
    {"Case", emit_case},
    {"StatelessCase", emit_case},
    {"VarHandleOp", emit_handle},
    {"ReadVariableOp", emit_read},
    {"ResourceGather", emit_resource_gather},
    {"Variable", emit_variable},
    {"VariableV2", emit_variable},
    {"AutoReloadVariable", emit_variable},
    {"VarIsInitializedOp", emit_is_initialized},
    {"IsVariableInitialized", emit_is_initialized},
    {NULL, NULL},
};
