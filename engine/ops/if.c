/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

extern const InferOp *const infer_ops_if[];

/* If: the first sub-network runs when the condition is true, the second when it is not. */

static gboolean
is_true(const InferArray *condition)
{
  return infer_array_get_int(condition, 0) != 0;
}

static gboolean
join_branches(InferShapeArgs *args, const InferOperand *other, GError **error)
{
  for (guint i = 0; i < args->n_out; i++) {
    const InferOperand own = args->out[i];
    if (!infer_operand_join(&args->out[i], &other[i]))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "output %u is a %s of %s in one branch and a %s of %s in the other", i,
                            infer_kind_name(own.kind), infer_type_name(own.type),
                            infer_kind_name(other[i].kind), infer_type_name(other[i].type));
  }
  return TRUE;
}

static gboolean
if_infer(InferShapeArgs *args, GError **error)
{
  const InferOperand *condition = &args->in[0];
  g_autofree InferOperand *other = g_new0(InferOperand, args->n_out + 1);

  if (condition->type != INFER_TYPE_BOOL || condition->kind != INFER_KIND_TENSOR ||
      (infer_dims_is_constant(&condition->dims) && infer_dims_count(&condition->dims) != 1))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the condition has to be one bool");
  for (guint i = 0; i < 2; i++)
    if (!infer_graph_infer(args->node->graphs[i], args->in + 1, args->n_in - 1,
                           i ? other : args->out, args->n_out, args->settle, error)) {
      g_prefix_error(error, "node '%s' (If), branch '%s': ", args->node->name, i ? "else" : "then");
      return FALSE;
    }
  return join_branches(args, other, error);
}

static gboolean
run_branch(const InferEvalArgs *args, GError **error)
{
  g_autofree InferArray **out = g_new0(InferArray *, args->n_out + 1);
  g_autoptr(InferGraphRun) run = NULL;
  gboolean ok;

  if (args->in[0]->kind != INFER_KIND_TENSOR || infer_array_count(args->in[0]) != 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the condition is not one bool");
  run = infer_graph_run_new(args->node->graphs[is_true(args->in[0]) ? 0 : 1]);
  ok = infer_graph_run(run, args->in + 1, args->n_in - 1, out, args->n_out, error);
  for (guint i = 0; i < args->n_out; i++) {
    ok = ok && control_put(args, i, out[i], error);
    g_clear_pointer(&out[i], infer_array_unref);
  }
  return ok;
}

static gboolean
if_eval(const InferEvalArgs *args, GError **error)
{
  return control_finish(args, run_branch(args, error), error);
}

static const InferAttrSpec attrs[] = {{NULL, 0, FALSE}};

static const InferOp op_if = {
    .name = "If",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = INFER_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = INFER_OP_VARIADIC,
    .attrs = attrs,
    .flags = INFER_OP_VALUES,
    .n_graphs = 2,
    .infer = if_infer,
    .eval = if_eval,
};

const InferOp *const infer_ops_if[] = {&op_if, NULL};
