/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "routine.h"

#include <string.h>

/*
 * Conditions and loops of TensorFlow 1 are nodes among the others: Switch sends a value into one of
 * two branches and Merge takes what comes out of either; in a loop, Enter, Merge, Switch and
 * NextIteration make a ring for each variable, and Exit lets it out. Rings and branches are cut out
 * as routines whose arguments are what flows in. Where a constant decides, the branch that is not
 * taken is dead, and so is all that reads from it.
 */

#define MAX_PASSED 64

/* The node and port behind any number of Identity. */
static TfEdge
behind(TfEdge edge)
{
  for (guint i = 0; i < MAX_PASSED && tf_is(edge.node, "Identity") && edge.node->n_inputs > 0;
       i++) {
    edge = edge.node->inputs[0];
  }
  return edge;
}

static gboolean
is_loop_switch(const TfNode *node)
{
  if (!tf_is_any(node, "Switch", "RefSwitch", NULL) || node->n_inputs < 2) {
    return FALSE;
  }
  return tf_is(behind(node->inputs[1]).node, "LoopCond");
}

static gboolean
is_loop_merge(const TfNode *node)
{
  for (guint i = 0; i < node->n_inputs; i++) {
    if (tf_is_any(node->inputs[i].node, "NextIteration", "RefNextIteration", NULL)) {
      return TRUE;
    }
  }
  return FALSE;
}

/* --- conditions --- */

typedef struct {
  TfNode *node;
  gint level;
} Step;

/**
 * Branches: what leads to a Merge.
 * @switches: of TfEdge, the outputs of Switch where its branches begin
 * @condition: what they ask
 * @mixed: they do not ask the same
 */
typedef struct {
  GArray *switches[2];
  TfEdge condition;
  gboolean mixed;
} Branches;

static void
branches_clear(Branches *branches)
{
  for (guint i = 0; i < 2; i++) {
    g_clear_pointer(&branches->switches[i], g_array_unref);
  }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Branches, branches_clear)

static void
found_switch(Branches *branches, guint side, TfEdge edge)
{
  TfEdge condition = behind(edge.node->inputs[1]);

  if (branches->condition.node &&
      (branches->condition.node != condition.node || branches->condition.port != condition.port)) {
    branches->mixed = TRUE;
  }
  branches->condition = condition;
  g_array_append_val(branches->switches[side], edge);
}

static void
go_to(GArray *stack, GHashTable *seen, TfNode *node, gint level)
{
  Step step = {node, level};

  if (node && g_hash_table_add(seen, node)) {
    g_array_append_val(stack, step);
  }
}

/* One way back: to a Switch of this condition, or on. */
static void
go_back(GArray *stack, GHashTable *seen, Branches *branches, guint side, TfEdge edge, gint level)
{
  gboolean is_switch = tf_is_any(edge.node, "Switch", "RefSwitch", NULL) &&
                       edge.node->n_inputs >= 2 && !is_loop_switch(edge.node);

  if (is_switch && level == 0) {
    found_switch(branches, side, edge);
  } else {
    go_to(stack, seen, edge.node, is_switch ? level - 1 : level);
  }
}

/* Back from one input of a Merge to the Switches that belong to it; conditions within are passed.
 */
static void
search_branch(const TfNode *merge, guint side, Branches *branches)
{
  g_autoptr(GArray) stack = g_array_new(FALSE, FALSE, sizeof(Step));
  g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

  branches->switches[side] = g_array_new(FALSE, FALSE, sizeof(TfEdge));
  go_back(stack, seen, branches, side, merge->inputs[side], 0);
  while (stack->len > 0) {
    Step at = g_array_index(stack, Step, stack->len - 1);
    g_array_set_size(stack, stack->len - 1);
    gboolean is_merge = tf_is_any(at.node, "Merge", "RefMerge", NULL) && !is_loop_merge(at.node);
    gint level = at.level + (is_merge ? 1 : 0);
    for (guint i = 0; i < at.node->n_inputs; i++) {
      go_back(stack, seen, branches, side, at.node->inputs[i], level);
    }
    /* A branch may be a constant that only waits for its turn. */
    for (gsize i = 0; i < at.node->def->n_input; i++) {
      if (at.node->def->input[i][0] == '^') {
        TfEdge edge = tf_graph_edge(at.node->graph, at.node->def->input[i] + 1, FALSE);
        edge.port = 0;
        edge = behind(edge);
        if (tf_is(edge.node, "Switch")) {
          go_back(stack, seen, branches, side, edge, level);
        }
      }
    }
  }
}

static gboolean
find_branches(const TfNode *merge, Branches *branches)
{
  if (merge->n_inputs != 2 || !merge->inputs[0].node || !merge->inputs[1].node) {
    return FALSE;
  }
  search_branch(merge, 0, branches);
  search_branch(merge, 1, branches);
  return branches->condition.node && !branches->mixed;
}

/* Phases: 1 waits for the condition, 2 is in a loop, 3 is decided by a constant, 4 at run time. */

/* First the condition; then, where a constant decides, what Merge reads, else what flows into its
 * branches. */
static gboolean
merge_wait(TfImport *im, TfNode *node)
{
  g_auto(Branches) branches = {.condition = {NULL, 0}};

  if (node->phase > 1) {
    return FALSE;
  }
  if (is_loop_merge(node)) {
    tf_wait(node, NULL, 0);
    node->phase = 2;
    return FALSE;
  }
  if (!find_branches(node, &branches)) {
    tf_wait(node, node->inputs, node->n_inputs);
    node->phase = 3;
    return TRUE;
  }
  if (node->phase == 0) {
    tf_wait(node, &branches.condition, 1);
    node->phase = 1;
    return TRUE;
  }
  TfNode *condition = branches.condition.node;
  GArray *values = condition->values;
  const TfValue *value = values && branches.condition.port < values->len
                             ? &g_array_index(values, TfValue, branches.condition.port)
                             : NULL;
  g_autoptr(InferArray) known = value && value->tf ? parsers_known(value->tf) : NULL;
  if (known || condition->failed || condition->dead) {
    tf_wait(node, node->inputs, node->n_inputs);
    node->phase = 3;
    return TRUE;
  }
  g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(TfEdge));
  g_array_append_val(edges, branches.condition);
  for (guint side = 0; side < 2; side++) {
    for (guint i = 0; i < branches.switches[side]->len; i++) {
      TfNode *at = g_array_index(branches.switches[side], TfEdge, i).node;
      g_array_append_val(edges, at->inputs[0]);
    }
  }
  tf_wait(node, (const TfEdge *)edges->data, edges->len);
  node->phase = 4;
  return TRUE;
}

/* All nodes that lead to @edge, up to those that @stop holds. */
static void
collect(TfRoutine *routine, TfEdge edge, GHashTable *stop)
{
  g_autoptr(GPtrArray) stack = g_ptr_array_new();
  g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

  for (guint i = 0; i < routine->defs->len; i++) {
    g_hash_table_add(seen, routine->defs->pdata[i]);
  }
  g_ptr_array_add(stack, edge.node);
  while (stack->len > 0) {
    TfNode *node = g_ptr_array_steal_index_fast(stack, stack->len - 1);
    if (!node || !g_hash_table_add(seen, (gpointer)node->def)) {
      continue;
    }
    g_ptr_array_add(routine->defs, (gpointer)node->def);
    for (guint i = 0; i < node->n_inputs && !g_hash_table_contains(stop, node); i++) {
      g_ptr_array_add(stack, node->inputs[i].node);
    }
  }
}

/* The text of a node's value input, without its control inputs. */
static const char *
input_text(const TfNode *node, guint index)
{
  for (gsize i = 0; i < node->def->n_input; i++) {
    if (node->def->input[i][0] != '^' && index-- == 0) {
      return node->def->input[i];
    }
  }
  return "";
}

static TfRoutine *
branch_routine(const TfNode *merge, guint side, const Branches *branches)
{
  TfRoutine *routine = tf_routine_new(merge->def->name, merge->graph->in_function);
  g_autoptr(GHashTable) stop = g_hash_table_new(NULL, NULL);
  guint first = side ? branches->switches[0]->len : 0;

  for (guint i = 0; i < branches->switches[side]->len; i++) {
    TfNode *at = g_array_index(branches->switches[side], TfEdge, i).node;
    if (g_hash_table_add(stop, at)) {
      tf_routine_bind(routine, at->def->name, 0, first + i);
      tf_routine_bind(routine, at->def->name, 1, first + i);
    }
  }
  collect(routine, merge->inputs[side], stop);
  g_ptr_array_add(routine->results, g_strdup(input_text(merge, side)));
  return routine;
}

static gboolean
edge_value(const TfEdge *edge, TfValue *value, GError **error)
{
  GArray *values = edge->node ? edge->node->values : NULL;

  *value = (TfValue){.dead = edge->node && edge->node->dead};
  if (values && edge->port < values->len) {
    *value = g_array_index(values, TfValue, edge->port);
  }
  return value->tf || value->nchw || value->thing || value->dead ||
         tf_error(error, INFER_ERROR_MODEL, "it reads output %u of '%s', which has none",
                  edge->port, edge->node ? edge->node->def->name : "?");
}

/* Which of the inputs is computed when the condition is true; by custom the second. */
static guint
true_side(const Branches *branches)
{
  for (guint side = 0; side < 2; side++) {
    if (branches->switches[side]->len > 0) {
      guint port = g_array_index(branches->switches[side], TfEdge, 0).port;
      return port ? side : 1 - side;
    }
  }
  return 1;
}

static gboolean
run_merge(TfImport *im, TfNode *node, GError **error)
{
  g_auto(Branches) branches = {.condition = {NULL, 0}};
  const gboolean needed = TRUE;
  TfValue condition, result = {NULL};

  if (!find_branches(node, &branches) || !edge_value(&branches.condition, &condition, error)) {
    return error && *error ? FALSE : tf_error(error, INFER_ERROR_MODEL, "it has no condition");
  }
  guint n = branches.switches[0]->len + branches.switches[1]->len;
  g_autofree TfValue *args = g_new0(TfValue, n + 1);
  for (guint side = 0, k = 0; side < 2; side++) {
    for (guint i = 0; i < branches.switches[side]->len; i++, k++) {
      TfNode *at = g_array_index(branches.switches[side], TfEdge, i).node;
      if (!edge_value(&at->inputs[0], &args[k], error)) {
        return FALSE;
      }
    }
  }
  g_autoptr(TfRoutine) first = branch_routine(node, 0, &branches);
  g_autoptr(TfRoutine) second = branch_routine(node, 1, &branches);
  guint taken = true_side(&branches);
  const TfRoutine *routines[2] = {taken ? second : first, taken ? first : second};
  InferTensor *tensor = tf_value_form(im, node, &condition, FALSE, error);
  if (!tensor || !tf_run_if(im, node, tensor, routines, args, n, &needed, &result, error)) {
    return FALSE;
  }
  *tf_output(node, 0) = result;
  if (tf_is_read(node, 1)) {
    InferTensor *index = tf_cast(im, node, "index", tensor, INFER_TYPE_INT32, error);
    InferTensor *one = tf_scalar(im, node, "one", INFER_TYPE_INT32, 1);
    return index &&
           tf_out(node, 1,
                  taken ? index : tf_add2(im, node, "side", "Sub", NULL, one, index, error));
  }
  return TRUE;
}

static gboolean
is_dead(const TfEdge *edge)
{
  GArray *values = edge->node->values;
  return edge->node->dead ||
         (values && edge->port < values->len && g_array_index(values, TfValue, edge->port).dead);
}

static gboolean
emit_merge(TfImport *im, TfNode *node, GError **error)
{
  guint alive = 0, n_alive = 0;

  if (node->phase == 4) {
    return run_merge(im, node, error);
  }
  if (is_loop_merge(node)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "an output within a loop has no value; ask for what leaves the loop");
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    if (!is_dead(&node->inputs[i])) {
      alive = i;
      n_alive++;
    }
  }
  if (n_alive == 0) {
    node->dead = TRUE;
    return TRUE;
  }
  if (n_alive > 1) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "it joins branches that are not of one condition");
  }
  return tf_forward(node, 0, alive, error) &&
         tf_out(node, 1, tf_scalar(im, node, "index", INFER_TYPE_INT32, alive));
}

/* The same with any number of branches. */
static gboolean
emit_switch_n(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) choice = tf_const(node, 1, error);
  gint64 n = tf_attr_int(node, "num_outs", 0);

  if (!choice) {
    return FALSE;
  }
  if (infer_array_count(choice) != 1 || n < 1 || n > G_MAXUINT16) {
    return tf_error(error, INFER_ERROR_MODEL,
                    "the choice is not one value of those that there are");
  }
  gint64 taken = infer_array_get_int(choice, 0);
  taken = taken < 0 || taken >= n ? n - 1 : taken;
  for (gint64 i = 0; i < n; i++) {
    tf_output(node, (guint)i)->dead = i != taken;
  }
  return tf_forward(node, (guint)taken, 0, error);
}

static gboolean
emit_switch(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) predicate = tf_const(node, 1, NULL);

  if (!predicate) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "a branch that is decided at run time has to end in a Merge");
  }
  if (infer_array_count(predicate) != 1) {
    return tf_error(error, INFER_ERROR_MODEL, "the condition is not one value");
  }
  guint taken = infer_array_get_int(predicate, 0) != 0 ? 1 : 0;
  tf_output(node, 1 - taken)->dead = TRUE;
  return tf_forward(node, taken, 0, error);
}

/* --- loops --- */

/**
 * Frame: the nodes of a loop.
 * @switches: of TfNode, one for each variable
 * @enters: of TfNode, first those of the variables, then what is the same in all iterations
 */
typedef struct {
  TfNode *condition;
  GPtrArray *switches;
  GPtrArray *enters;
} Frame;

static void
frame_clear(Frame *frame)
{
  g_clear_pointer(&frame->switches, g_ptr_array_unref);
  g_clear_pointer(&frame->enters, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Frame, frame_clear)

/* The input of a loop's Merge with that operator. */
static TfNode *
merge_input(const TfNode *merge, const char *op)
{
  for (guint i = 0; merge && i < merge->n_inputs; i++) {
    if (tf_is(merge->inputs[i].node, op)) {
      return merge->inputs[i].node;
    }
  }
  return NULL;
}

static gboolean
same_frame(const TfNode *a, const TfNode *b)
{
  const InferTf__Attr *first = tf_attr(a, "frame_name"), *second = tf_attr(b, "frame_name");

  return first && second && first->has_s && second->has_s && first->s.len == second->s.len &&
         memcmp(first->s.data, second->s.data, first->s.len) == 0;
}

static gboolean
find_frame(const TfNode *out, Frame *frame)
{
  TfNode *at = tf_source(out, 0);

  frame->switches = g_ptr_array_new();
  frame->enters = g_ptr_array_new();
  frame->condition = is_loop_switch(at) ? behind(at->inputs[1]).node : NULL;
  for (guint i = 0; frame->condition && i < out->graph->n_nodes; i++) {
    TfNode *node = &out->graph->nodes[i];
    if (!is_loop_switch(node) || behind(node->inputs[1]).node != frame->condition) {
      continue;
    }
    TfNode *merge = node->inputs[0].node;
    TfNode *enter = tf_is(merge, "Merge") ? merge_input(merge, "Enter") : NULL;
    if (!enter || !merge_input(merge, "NextIteration")) {
      return FALSE;
    }
    g_ptr_array_add(frame->switches, node);
    g_ptr_array_add(frame->enters, enter);
  }
  for (guint i = 0; frame->switches->len > 0 && i < out->graph->n_nodes; i++) {
    TfNode *node = &out->graph->nodes[i];
    if (tf_is(node, "Enter") && same_frame(node, frame->enters->pdata[0]) &&
        !g_ptr_array_find(frame->enters, node, NULL)) {
      g_ptr_array_add(frame->enters, node);
    }
  }
  return frame->switches->len > 0;
}

static gboolean
exit_wait(TfNode *node)
{
  g_auto(Frame) frame = {.condition = NULL};

  if (node->phase > 0) {
    return FALSE;
  }
  node->phase = 1;
  g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(TfEdge));
  if (find_frame(node, &frame)) {
    for (guint i = 0; i < frame.enters->len; i++) {
      const TfNode *enter = frame.enters->pdata[i];
      if (enter->n_inputs > 0) {
        g_array_append_val(edges, enter->inputs[0]);
      }
    }
  }
  tf_wait(node, (const TfEdge *)edges->data, edges->len);
  return TRUE;
}

gboolean
tf_frame_wait(TfImport *im, TfNode *node)
{
  if (tf_is_any(node, "Exit", "RefExit", NULL)) {
    return exit_wait(node);
  }
  return tf_is_any(node, "Merge", "RefMerge", NULL) && merge_wait(im, node);
}

/* The part of a frame that leads to @edges, with what flows into the frame bound. */
static TfRoutine *
frame_routine(const TfNode *out, const Frame *frame, const char *const *results, guint n_results)
{
  TfRoutine *routine = tf_routine_new(out->def->name, out->graph->in_function);
  g_autoptr(GHashTable) stop = g_hash_table_new(NULL, NULL);

  for (guint i = 0; i < frame->switches->len; i++) {
    TfNode *at = frame->switches->pdata[i];
    tf_routine_bind(routine, at->def->name, 1, i);
    tf_routine_bind(routine, at->inputs[0].node->def->name, 0, i);
    g_hash_table_add(stop, at);
    g_hash_table_add(stop, at->inputs[0].node);
  }
  for (guint i = frame->switches->len; i < frame->enters->len; i++) {
    TfNode *enter = frame->enters->pdata[i];
    tf_routine_bind(routine, enter->def->name, 0, i);
    g_hash_table_add(stop, enter);
  }
  for (guint i = 0; i < n_results; i++) {
    g_ptr_array_add(routine->results, g_strdup(results[i]));
    collect(routine, tf_graph_edge(out->graph, results[i], out->graph->in_function), stop);
  }
  return routine;
}

static gboolean
run_frame(TfImport *im, TfNode *out, const Frame *frame, TfValue *results, GError **error)
{
  guint n = frame->switches->len;
  g_autofree TfValue *args = g_new0(TfValue, frame->enters->len + 1);
  g_autofree const char **next = g_new0(const char *, n + 1);
  const char *condition = input_text(frame->condition, 0);

  for (guint i = 0; i < frame->enters->len; i++) {
    const TfNode *enter = frame->enters->pdata[i];
    if (enter->n_inputs < 1 || !edge_value(&enter->inputs[0], &args[i], error)) {
      return error && *error ? FALSE : tf_error(error, INFER_ERROR_MODEL, "Enter has no input");
    }
  }
  for (guint i = 0; i < n; i++) {
    const TfNode *at = frame->switches->pdata[i];
    next[i] = input_text(merge_input(at->inputs[0].node, "NextIteration"), 0);
  }
  g_autoptr(TfRoutine) test = frame_routine(out, frame, &condition, 1);
  g_autoptr(TfRoutine) body = frame_routine(out, frame, next, n);
  TfLoop loop = {out, test, body, n, args, frame->enters->len};
  return tf_run_loop(im, &loop, results, error);
}

static gboolean
emit_exit(TfImport *im, TfNode *node, GError **error)
{
  g_auto(Frame) frame = {.condition = NULL};

  if (node->values) {
    return TRUE; /* another variable's Exit came first */
  }
  if (!find_frame(node, &frame)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "it does not leave a loop of a known form");
  }
  guint n = frame.switches->len;
  g_autofree TfValue *results = g_new0(TfValue, n + 1);
  if (!run_frame(im, node, &frame, results, error)) {
    return FALSE;
  }
  /* The other variables leave the same loop. */
  for (guint i = 0; i < node->graph->n_nodes; i++) {
    TfNode *other = &node->graph->nodes[i];
    guint at = 0;
    if (tf_is_any(other, "Exit", "RefExit", NULL) &&
        g_ptr_array_find(frame.switches, tf_source(other, 0), &at)) {
      *tf_output(other, 0) = results[at];
    }
  }
  return node->values != NULL;
}

/* Marks what reads from nodes of the operator @from, as far as @to. */
static void
mark_inside(GHashTable *inside, const TfGraph *graph, const char *from, const char *to)
{
  g_autoptr(GPtrArray) stack = g_ptr_array_new();

  for (guint i = 0; i < graph->n_nodes; i++) {
    if (tf_is(&graph->nodes[i], from)) {
      g_ptr_array_add(stack, &graph->nodes[i]);
    }
  }
  while (stack->len > 0) {
    TfNode *node = g_ptr_array_steal_index_fast(stack, stack->len - 1);
    if (tf_is(node, to) || !g_hash_table_add(inside, node)) {
      continue;
    }
    for (guint i = 0; node->readers && i < node->readers->len; i++) {
      g_ptr_array_add(stack, node->readers->pdata[i]);
    }
  }
}

GHashTable *
tf_frame_inside(const TfGraph *graph, gboolean branches)
{
  GHashTable *inside = g_hash_table_new(NULL, NULL);

  mark_inside(inside, graph, "Enter", "Exit");
  if (branches) {
    mark_inside(inside, graph, "Switch", "Merge");
  }
  return inside;
}

static gboolean
emit_inside(TfImport *im, TfNode *node, GError **error)
{
  return tf_error(error, INFER_ERROR_UNSUPPORTED,
                  "an output within a loop has no value; ask for what leaves the loop");
}

const TfOp tf_ops_control[] = {
    {"Switch", emit_switch},
    {"RefSwitch", emit_switch},
    {"Merge", emit_merge},
    {"RefMerge", emit_merge},
    {"_SwitchN", emit_switch_n},
    {"Exit", emit_exit},
    {"RefExit", emit_exit},
    {"Enter", emit_inside},
    {"RefEnter", emit_inside},
    {"NextIteration", emit_inside},
    {"RefNextIteration", emit_inside},
    {"LoopCond", emit_inside},
    {NULL, NULL},
};
