/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

#include <string.h>

extern const InferOp *const infer_ops_sequencemap[];

/*
 * SequenceMap: the body runs on each tensor of the first input; other sequences give one tensor
 * each as well, tensors are given whole, and so are the captures.
 */

static gboolean
check_shape(const InferNode *node, guint n_in, guint n_out, guint *captures, GError **error)
{
  InferNetwork *body = node->graphs[0];

  if (!control_captures(node, n_in, 1, captures, error))
    return FALSE;
  if (infer_network_get_n_inputs(body) == n_in && infer_network_get_n_outputs(body) == n_out)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "it has %u inputs and %u outputs, its body %u and %u", n_in, n_out,
                        infer_network_get_n_inputs(body), infer_network_get_n_outputs(body));
}

static gboolean
map_infer(InferShapeArgs *args, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, args->n_in + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, args->n_out + 1);
  guint captures;

  if (!check_shape(args->node, args->n_in, args->n_out, &captures, error))
    return FALSE;
  if (args->in[0].kind != INFER_KIND_SEQUENCE)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 0 is a %s, not a sequence",
                          infer_kind_name(args->in[0].kind));
  for (guint i = 0; i < args->n_in; i++) {
    in[i] = args->in[i];
    if (in[i].kind == INFER_KIND_SEQUENCE && i < args->n_in - captures) {
      in[i].kind = INFER_KIND_TENSOR;
      in[i].dims = in[i].item_dims;
    }
  }
  if (!infer_graph_infer(args->node->graphs[0], in, args->n_in, out, args->n_out, args->settle,
                         error))
    return FALSE;
  for (guint i = 0; i < args->n_out; i++) {
    if (out[i].kind != INFER_KIND_TENSOR)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "output %u would hold a %s", i,
                            infer_kind_name(out[i].kind));
    args->out[i].kind = INFER_KIND_SEQUENCE;
    args->out[i].type = out[i].type;
    args->out[i].item_dims = out[i].dims;
  }
  return TRUE;
}

static gboolean
map_items(const InferEvalArgs *args, guint captures, ControlLists *lists, GError **error)
{
  g_autoptr(InferGraphRun) run = infer_graph_run_new(args->node->graphs[0]);
  g_autofree const InferArray **in = g_new0(const InferArray *, args->n_in + 1);
  g_autofree InferArray **out = g_new0(InferArray *, args->n_out + 1);

  for (guint at = 0; at < args->in[0]->n_items; at++) {
    gboolean ok = TRUE;

    for (guint i = 0; i < args->n_in; i++) {
      in[i] = args->in[i];
      if (!in[i] || in[i]->kind != INFER_KIND_SEQUENCE || i >= args->n_in - captures)
        continue;
      if (at >= args->in[i]->n_items)
        return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                              "input %u has %u tensors, input 0 %u", i, args->in[i]->n_items,
                              args->in[0]->n_items);
      in[i] = args->in[i]->items[at];
    }
    if (!infer_graph_run(run, in, args->n_in, out, args->n_out, error)) {
      g_prefix_error(error, "node '%s' (SequenceMap), tensor %u: ", args->node->name, at);
      return FALSE;
    }
    for (guint i = 0; i < args->n_out; i++)
      ok &= control_lists_add(lists, args->node, i, out[i], 0, ok ? error : NULL);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

static gboolean
map_eval(const InferEvalArgs *args, GError **error)
{
  ControlLists lists;
  guint captures;
  gboolean ok;

  if (!check_shape(args->node, args->n_in, args->n_out, &captures, error))
    return FALSE;
  if (args->in[0]->kind != INFER_KIND_SEQUENCE)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 0 is not a sequence");
  control_lists_init(&lists, args->n_out);
  ok = map_items(args, captures, &lists, error);
  for (guint i = 0; ok && i < args->n_out; i++) {
    const GPtrArray *list = lists.lists[i];
    InferType type = list->len ? ((const InferArray *)list->pdata[0])->type
                               : infer_network_get_output(args->node->graphs[0], i)->type;
    args->out[i] =
        infer_array_new_sequence(type, (InferArray *const *)list->pdata, list->len, error);
    ok = args->out[i] != NULL;
  }
  control_lists_clear(&lists);
  return ok;
}

static const InferAttrSpec attrs[] = {{"captures", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp op_map = {
    .name = "SequenceMap",
    .version = 17,
    .min_inputs = 1,
    .max_inputs = INFER_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = INFER_OP_VARIADIC,
    .attrs = attrs,
    .flags = INFER_OP_VALUES,
    .n_graphs = 1,
    .infer = map_infer,
    .eval = map_eval,
};

const InferOp *const infer_ops_sequencemap[] = {&op_map, NULL};
