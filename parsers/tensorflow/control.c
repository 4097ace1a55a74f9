/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "list.h"
#include "routine.h"

/*
 * Loops and conditions. What constants decide is written out: only the branch that is taken, and
 * one copy of the body for each iteration. The rest becomes Loop and If of the engine.
 */

#define MAX_TRIPS 1024
#define MAX_UNROLLED 16384
/* Variables whose dimensions change are imported again with less known of them. */
#define MAX_ROUNDS 4

static gboolean
known_bool(const TfValue *value, gboolean *is_true)
{
  g_autoptr(InferArray) array = value->tf ? parsers_known(value->tf) : NULL;

  if (!array || infer_array_count(array) != 1) {
    return FALSE;
  }
  *is_true = infer_array_get_double(array, 0) != 0;
  return TRUE;
}

static char *
sub_name(const TfNode *node, const char *part)
{
  g_autofree char *name = tf_node_name(node);

  return g_strdup_printf("%s/%s/", name, part);
}

/* Outputs of a network are tensors of its own nodes, each once. */
static gboolean
give_out(InferNetwork *network, InferTensor *tensor, GError **error)
{
  if (tensor->value || tensor->is_input || tensor->is_output) {
    InferNode *copy = infer_network_add_node(network, "Identity", NULL, &tensor, 1, NULL, 1, error);
    tensor = copy ? copy->outputs[0] : NULL;
  }
  return tensor && infer_network_mark_output(network, tensor, NULL, error);
}

static gboolean
finish_body(TfBody *body, GError **error)
{
  InferNetwork *pruned = parsers_prune(body->network, error);

  if (pruned) {
    g_object_unref(body->network);
    body->network = pruned;
  }
  return pruned != NULL;
}

/* --- conditions --- */

static TfBody *
branch_body(TfImport *im, TfNode *node, const TfRoutine *branch, const char *prefix,
            const TfValue *args, guint n_args, const gboolean *needed, GError **error)
{
  g_autoptr(TfBody) body = tf_body_open(im);
  g_autofree TfValue *inner = g_new0(TfValue, n_args + 1);
  g_autofree TfValue *results = g_new0(TfValue, branch->results->len + 1);
  gboolean good = TRUE;

  for (guint i = 0; i < n_args && good; i++) {
    good = tf_body_capture(im, body, node, &args[i], &inner[i], error);
  }
  good = good && tf_routine_run(im, branch, prefix, inner, n_args, needed, results, error);
  for (guint i = 0; i < branch->results->len && good; i++) {
    if (needed[i]) {
      InferTensor *tensor = NULL;
      if (results[i].thing) {
        tf_error(error, INFER_ERROR_UNSUPPORTED, "result %u of a branch is not a tensor", i);
      } else if (results[i].dead) {
        tf_error(error, INFER_ERROR_MODEL, "result %u of a branch is never computed", i);
      } else {
        tensor = tf_value_form(im, node, &results[i], FALSE, error);
      }
      good = tensor && give_out(body->network, tensor, error);
    }
  }
  tf_body_close(im, body);
  return good && finish_body(body, error) ? g_steal_pointer(&body) : NULL;
}

gboolean
tf_run_if(TfImport *im, TfNode *node, InferTensor *condition, const TfRoutine *branches[2],
          const TfValue *args, guint n_args, const gboolean *needed, TfValue *results,
          GError **error)
{
  const TfValue value = {.tf = condition};
  gboolean is_true = FALSE;

  if (known_bool(&value, &is_true)) {
    g_autofree char *prefix = sub_name(node, is_true ? "then" : "else");
    return tf_routine_run(im, branches[is_true ? 0 : 1], prefix, args, n_args, needed, results,
                          error);
  }
  if (branches[0]->results->len != branches[1]->results->len) {
    return tf_error(error, INFER_ERROR_MODEL, "the branches have %u and %u results",
                    branches[0]->results->len, branches[1]->results->len);
  }
  condition = tf_cast(im, node, "condition", condition, INFER_TYPE_BOOL, error);
  g_autofree char *then_name = sub_name(node, "then");
  g_autofree char *else_name = sub_name(node, "else");
  g_autoptr(TfBody) first =
      condition ? branch_body(im, node, branches[0], then_name, args, n_args, needed, error) : NULL;
  g_autoptr(TfBody) second =
      first ? branch_body(im, node, branches[1], else_name, args, n_args, needed, error) : NULL;
  if (!second) {
    return FALSE;
  }
  g_autofree char *name = tf_node_name(node);
  InferNode *added = infer_network_add_if(
      im->network, name, condition, (InferTensor *const *)first->captures->pdata,
      first->captures->len, first->network, second->network, error);
  for (guint i = 0, out = 0; added && i < branches[0]->results->len; i++) {
    if (needed[i]) {
      results[i] = (TfValue){.tf = added->outputs[out++]};
    }
  }
  return added != NULL;
}

/* --- loops that are written out --- */

static gboolean
run_condition(TfImport *im, const TfLoop *loop, const char *prefix, const TfValue *values,
              TfValue *result, GError **error)
{
  if (loop->condition->results->len != 1) {
    return tf_error(error, INFER_ERROR_MODEL, "the loop's condition has %u results",
                    loop->condition->results->len);
  }
  return tf_routine_run(im, loop->condition, prefix, values, loop->n_args, NULL, result, error) &&
         (result->dead || tf_value_form(im, loop->node, result, FALSE, error));
}

typedef enum { TF_UNROLLED, TF_NOT_UNROLLED, TF_UNROLL_FAILED } Unrolled;

static Unrolled
unroll(TfImport *im, const TfLoop *loop, TfValue *results, GError **error)
{
  g_autofree TfValue *values = g_memdup2(loop->args, sizeof(TfValue) * MAX(loop->n_args, 1));
  guint size = MAX(loop->body->defs->len, 1);

  for (guint trip = 0;; trip++) {
    g_autofree char *step = g_strdup_printf("%u", trip);
    g_autofree char *prefix = sub_name(loop->node, step);
    TfValue going = {NULL};
    gboolean is_true = FALSE;
    if (!run_condition(im, loop, prefix, values, &going, error)) {
      return TF_UNROLL_FAILED;
    }
    if (!known_bool(&going, &is_true)) {
      return TF_NOT_UNROLLED;
    }
    if (!is_true) {
      break;
    }
    if (trip >= MAX_TRIPS || (trip + 1) * (guint64)size > MAX_UNROLLED) {
      return TF_NOT_UNROLLED;
    }
    if (!tf_routine_run(im, loop->body, prefix, values, loop->n_args, NULL, results, error)) {
      return TF_UNROLL_FAILED;
    }
    for (guint i = 0; i < loop->n_vars; i++) {
      values[i] = results[i];
    }
  }
  for (guint i = 0; i < loop->n_vars; i++) {
    results[i] = values[i];
  }
  return TF_UNROLLED;
}

/* --- loops of the engine --- */

/* A slot is a list that the iterations fill, a last one a list of one element that each of them
 * writes again. */
typedef enum { VAR_SAME, VAR_CARRIED, VAR_LIST, VAR_SLOT, VAR_LAST } VarKind;

static gboolean
is_filled(VarKind kind)
{
  return kind == VAR_SLOT || kind == VAR_LAST;
}

typedef struct {
  VarKind kind;
  InferTensor *first; /* of the network around */
  InferDims dims;
  InferTensor *input; /* of the body */
  InferTensor *next;
} Var;

static gboolean
plan_vars(TfImport *im, const TfLoop *loop, Var *vars, GError **error)
{
  g_autoptr(TfGraph) joined = tf_routine_joined(im->graph->model, loop->body, error);
  if (!joined) {
    return FALSE;
  }
  for (guint i = 0; i < loop->n_vars; i++) {
    TfValue first = loop->args[i];
    TfEdge edge = tf_graph_edge(joined, loop->body->results->pdata[i], loop->body->in_function);
    guint arg = 0;
    if (tf_routine_arg(loop->body, edge, &arg) && arg == i) {
      vars[i].kind = VAR_SAME;
      continue;
    }
    if (first.dead || (first.thing && !tf_thing_is_list(first.thing))) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "loop variable %u is not a tensor", i);
    }
    if (first.thing && tf_list_is_open(first.thing)) {
      gboolean single = first.thing->items && first.thing->items->len == 1;
      vars[i].kind = single ? VAR_LAST : VAR_SLOT;
      continue;
    }
    vars[i].kind = first.thing ? VAR_LIST : VAR_CARRIED;
    vars[i].first = first.thing ? tf_list_stacked(im, loop->node, first.thing, error)
                                : tf_value_form(im, loop->node, &first, FALSE, error);
    if (!vars[i].first) {
      return FALSE;
    }
    vars[i].dims = vars[i].first->dims;
  }
  return TRUE;
}

static gboolean
body_inputs(TfImport *im, const TfLoop *loop, TfBody *body, Var *vars, TfValue *inner,
            GError **error)
{
  const InferDims scalar = INFER_DIMS_SCALAR;
  InferNetwork *network = body->network;

  if (!infer_network_add_input_value(network, "iteration", INFER_KIND_TENSOR, INFER_TYPE_INT64,
                                     &scalar, error) ||
      !infer_network_add_input_value(network, "going", INFER_KIND_TENSOR, INFER_TYPE_BOOL, &scalar,
                                     error)) {
    return FALSE;
  }
  for (guint i = 0; i < loop->n_vars; i++) {
    if (vars[i].kind == VAR_CARRIED || vars[i].kind == VAR_LIST) {
      g_autofree char *name = g_strdup_printf("variable.%u", i);
      vars[i].input = infer_network_add_input_value(network, name, INFER_KIND_TENSOR,
                                                    vars[i].first->type, &vars[i].dims, error);
      if (!vars[i].input) {
        return FALSE;
      }
      inner[i] = vars[i].kind == VAR_LIST ? (TfValue){.thing = tf_list_of_tensor(im, vars[i].input)}
                                          : (TfValue){.tf = vars[i].input};
    } else if (is_filled(vars[i].kind)) {
      inner[i] = (TfValue){.thing = tf_thing_new(im, TF_SLOT)};
      inner[i].thing->type = loop->args[i].thing->type;
    }
  }
  for (guint i = 0; i < loop->n_args; i++) {
    if ((i >= loop->n_vars || vars[i].kind == VAR_SAME) &&
        !tf_body_capture(im, body, loop->node, &loop->args[i], &inner[i], error)) {
      return FALSE;
    }
  }
  return TRUE;
}

/* Whether @index is a variable that counts the iterations: 0 at first, 1 more each time. */
static gboolean
is_counter(const Var *vars, guint n, const InferTensor *index)
{
  while (index->producer && g_str_equal(infer_node_get_op_name(index->producer), "Cast")) {
    index = index->producer->inputs[0];
  }
  for (guint i = 0; i < n; i++) {
    const InferNode *step = vars[i].next ? vars[i].next->producer : NULL;
    if (vars[i].kind != VAR_CARRIED || vars[i].input != index || !step ||
        !g_str_equal(infer_node_get_op_name(step), "Add")) {
      continue;
    }
    const InferTensor *other = step->inputs[step->inputs[0] == index ? 1 : 0];
    const TfValue first = {.tf = vars[i].first};
    g_autoptr(InferArray) start = parsers_known(first.tf);
    g_autoptr(InferArray) by = parsers_known(other);
    return (step->inputs[0] == index || step->inputs[1] == index) && start && by &&
           infer_array_count(start) == 1 && infer_array_count(by) == 1 &&
           infer_array_get_double(start, 0) == 0 && infer_array_get_double(by, 0) == 1;
  }
  return FALSE;
}

/* Whether the condition is "a variable is less than something", or several of these: a loop that
 * fills a list of as many elements as it has iterations. */
static gboolean
is_counted(TfImport *im, const TfLoop *loop)
{
  g_autoptr(TfGraph) joined = tf_routine_joined(im->graph->model, loop->condition, NULL);
  g_autoptr(GPtrArray) stack = g_ptr_array_new();
  guint seen = 0;

  if (!joined) {
    return FALSE;
  }
  g_ptr_array_add(
      stack,
      tf_graph_edge(joined, loop->condition->results->pdata[0], loop->condition->in_function).node);
  while (stack->len > 0 && seen++ < 64) {
    TfNode *node = g_ptr_array_steal_index_fast(stack, stack->len - 1);
    guint arg = 0;
    if (tf_is_any(node, "Identity", "LoopCond", NULL) && node->n_inputs == 1) {
      g_ptr_array_add(stack, node->inputs[0].node);
    } else if (tf_is(node, "LogicalAnd") && node->n_inputs == 2) {
      g_ptr_array_add(stack, node->inputs[0].node);
      g_ptr_array_add(stack, node->inputs[1].node);
    } else if (!tf_is(node, "Less") || node->n_inputs != 2 ||
               !tf_routine_arg(loop->condition, node->inputs[0], &arg)) {
      return FALSE;
    }
  }
  return stack->len == 0;
}

/* What an iteration gives on: the tensors of @vars, as far as they are in the network. */
static gboolean
take_next(TfImport *im, const TfLoop *loop, Var *vars, TfValue *inner, TfValue *next,
          GError **error)
{
  for (guint i = 0; i < loop->n_vars; i++) {
    Var *var = &vars[i];
    if (var->kind == VAR_SAME) {
      next[i] = inner[i];
    } else if (is_filled(var->kind)) {
      if (!next[i].thing || next[i].thing->kind != TF_SLOT || !next[i].thing->item) {
        return tf_error(error, INFER_ERROR_UNSUPPORTED,
                        "the list in loop variable %u is not written once in each iteration", i);
      }
      var->next = next[i].thing->item;
    } else {
      var->next = next[i].thing && var->kind == VAR_LIST
                      ? tf_list_stacked(im, loop->node, next[i].thing, error)
                  : next[i].thing ? NULL
                                  : tf_value_form(im, loop->node, &next[i], FALSE, error);
      if (!var->next) {
        return error && *error ? FALSE
                               : tf_error(error, INFER_ERROR_UNSUPPORTED,
                                          "loop variable %u changes its kind", i);
      }
      if (var->next->type != var->first->type) {
        return tf_error(error, INFER_ERROR_MODEL, "loop variable %u changes its type", i);
      }
    }
  }
  return TRUE;
}

static gboolean
check_slots(TfImport *im, const TfLoop *loop, const Var *vars, const TfValue *next, GError **error)
{
  for (guint i = 0; i < loop->n_vars; i++) {
    const TfValue index = {.tf = is_filled(vars[i].kind) ? next[i].thing->index : NULL};
    gboolean nonzero = TRUE;
    if (vars[i].kind == VAR_LAST && known_bool(&index, &nonzero) && !nonzero) {
      continue;
    }
    if (is_filled(vars[i].kind) &&
        (vars[i].kind == VAR_LAST || !is_counter(vars, loop->n_vars, index.tf) ||
         !is_counted(im, loop))) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "the loop does not fill the list in loop variable %u in order; only loops "
                      "that count up to a limit may fill lists",
                      i);
    }
  }
  return TRUE;
}

/* One try at a body. @changed: the dimensions of a variable did not last, and less is known now. */
static TfBody *
loop_body(TfImport *im, const TfLoop *loop, Var *vars, guint round, gboolean *changed,
          GError **error)
{
  g_autoptr(TfBody) body = tf_body_open(im);
  g_autofree TfValue *inner = g_new0(TfValue, loop->n_args + 1);
  g_autofree TfValue *next = g_new0(TfValue, loop->n_args + loop->body->results->len + 1);
  g_autofree char *prefix = sub_name(loop->node, "body");
  TfValue going = {NULL};

  *changed = FALSE;
  gboolean good = body_inputs(im, loop, body, vars, inner, error) &&
                  tf_routine_run(im, loop->body, prefix, inner, loop->n_args, NULL, next, error) &&
                  take_next(im, loop, vars, inner, next, error);
  for (guint i = 0; i < loop->n_vars && good; i++) {
    if (vars[i].kind == VAR_CARRIED || vars[i].kind == VAR_LIST) {
      *changed = parsers_join_dims(&vars[i].dims, &vars[i].next->dims) || *changed;
      if (*changed && round + 1 >= MAX_ROUNDS) {
        vars[i].dims = INFER_DIMS_UNKNOWN;
      }
    }
  }
  if (good && !*changed) {
    for (guint i = loop->n_vars; i < loop->n_args; i++) {
      next[i] = inner[i];
    }
    good = check_slots(im, loop, vars, next, error) &&
           run_condition(im, loop, prefix, next, &going, error) &&
           give_out(body->network, going.tf, error);
    for (guint pass = 0; pass < 2; pass++) {
      for (guint i = 0; i < loop->n_vars && good; i++) {
        if (vars[i].kind != VAR_SAME && is_filled(vars[i].kind) == (pass == 1)) {
          good = give_out(body->network, vars[i].next, error);
        }
      }
    }
  }
  tf_body_close(im, body);
  return good && (*changed || finish_body(body, error)) ? g_steal_pointer(&body) : NULL;
}

static gboolean
engine_loop(TfImport *im, const TfLoop *loop, TfValue *results, GError **error)
{
  g_autofree Var *vars = g_new0(Var, loop->n_vars + 1);
  g_autofree char *name = tf_node_name(loop->node);
  g_autofree char *prefix = sub_name(loop->node, "first");
  g_autoptr(TfBody) body = NULL;
  TfValue going = {NULL};
  gboolean changed = TRUE;

  if (!plan_vars(im, loop, vars, error) ||
      !run_condition(im, loop, prefix, loop->args, &going, error)) {
    return FALSE;
  }
  for (guint round = 0; changed && round <= MAX_ROUNDS; round++) {
    g_clear_pointer(&body, tf_body_free);
    body = loop_body(im, loop, vars, round, &changed, error);
    if (!body) {
      return FALSE;
    }
  }
  if (changed) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "the loop's variables never keep their shapes");
  }
  g_autoptr(GPtrArray) first = g_ptr_array_new();
  for (guint i = 0; i < loop->n_vars; i++) {
    if (vars[i].first) {
      g_ptr_array_add(first, vars[i].first);
    }
  }
  InferNode *node = infer_network_add_loop(
      im->network, name, NULL, going.tf, (InferTensor *const *)first->pdata, first->len,
      (InferTensor *const *)body->captures->pdata, body->captures->len, body->network, error);
  for (guint i = 0, carried = 0, slot = first->len; node && i < loop->n_vars; i++) {
    InferTensor *out = vars[i].kind == VAR_SAME  ? NULL
                       : is_filled(vars[i].kind) ? node->outputs[slot++]
                                                 : node->outputs[carried++];
    if (vars[i].kind == VAR_LAST) {
      const gint64 start = -1, end = G_MAXINT64;
      InferTensor *in[3] = {out, tf_ints(im, loop->node, "start", &start, 1),
                            tf_ints(im, loop->node, "end", &end, 1)};
      out = tf_add(im, loop->node, "last", "Slice", NULL, in, 3, error);
      if (!out) {
        return FALSE;
      }
    }
    results[i] = vars[i].kind == VAR_SAME      ? loop->args[i]
                 : vars[i].kind == VAR_CARRIED ? (TfValue){.tf = out}
                                               : (TfValue){.thing = tf_list_of_tensor(im, out)};
  }
  return node != NULL;
}

gboolean
tf_run_loop(TfImport *im, const TfLoop *loop, TfValue *results, GError **error)
{
  guint n_problems = im->problems->len;
  GError *trouble = NULL;

  if (loop->body->results->len < loop->n_vars || loop->n_args < loop->n_vars) {
    return tf_error(error, INFER_ERROR_MODEL, "the loop's body gives %u values for %u variables",
                    loop->body->results->len, loop->n_vars);
  }
  Unrolled done = unroll(im, loop, results, &trouble);
  if (done == TF_UNROLLED) {
    return TRUE;
  }
  if (done == TF_UNROLL_FAILED) {
    if (trouble) {
      g_propagate_error(error, trouble);
    }
    return FALSE;
  }
  g_clear_error(&trouble);
  tf_forget(im, n_problems);
  return engine_loop(im, loop, results, error);
}
