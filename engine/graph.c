/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

/* Nodes looked at in one inference. Loops infer their bodies several times, so that loops in loops
 * in loops could keep a machine busy for hours. */
#define MAX_WORK 4000000

static _Thread_local guint nesting;
static _Thread_local guint work;
static _Thread_local gboolean trial;

void
infer_graph_set_trial(gboolean now)
{
  trial = now;
}

gboolean
infer_graph_is_trial(void)
{
  return trial;
}

/* --- inference --- */

static gboolean
infer_one(const InferNode *node, InferOperand *operands, gboolean settle, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, node->n_inputs + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, node->n_outputs + 1);

  if (++work > MAX_WORK)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the loops around it are too many to infer its dimensions");
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i])
      in[i] = operands[node->inputs[i]->index];
  if (!(settle ? infer_op_settle : infer_op_shape)(node, in, node->n_inputs, out, node->n_outputs,
                                                   error))
    return FALSE;
  for (guint i = 0; i < node->n_outputs; i++)
    if (!node->outputs[i]->value)
      operands[node->outputs[i]->index] = out[i];
  return TRUE;
}

static void
record(InferNetwork *graph, const InferOperand *operands)
{
  for (guint i = 0; i < graph->tensors->len; i++) {
    InferTensor *tensor = graph->tensors->pdata[i];
    const InferOperand *operand = &operands[i];

    if (tensor->value || operand->type == INFER_TYPE_UNDEFINED)
      continue;
    tensor->type = operand->type;
    tensor->dims = operand->dims;
    tensor->kind = operand->kind;
    tensor->item_dims = operand->item_dims;
    tensor->has_content = operand->has_content;
    tensor->content = operand->content;
  }
}

static gboolean
infer_all(InferNetwork *graph, InferOperand *operands, const InferOperand *in, gboolean settle,
          GError **error)
{
  for (guint i = 0; i < graph->tensors->len; i++) {
    const InferTensor *tensor = graph->tensors->pdata[i];
    operands[i].dims = operands[i].item_dims = INFER_DIMS_UNKNOWN;
    if (tensor->value)
      infer_operand_from_array(&operands[i], tensor->value);
  }
  for (guint i = 0; i < graph->inputs->len; i++)
    operands[((const InferTensor *)graph->inputs->pdata[i])->index] = in[i];
  for (guint i = 0; i < graph->nodes->len; i++)
    if (!infer_one(graph->nodes->pdata[i], operands, settle, error))
      return FALSE;
  return TRUE;
}

gboolean
infer_graph_infer(InferNetwork *graph, const InferOperand *in, guint n_in, InferOperand *out,
                  guint n_out, gboolean settle, GError **error)
{
  g_autofree InferOperand *operands = NULL;
  gboolean ok;

  if (graph->inputs->len != n_in || graph->outputs->len != n_out || nesting >= INFER_MAX_NESTING) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "a sub-network has %u inputs and %u outputs, %u and %u are needed, and is %u deep",
                graph->inputs->len, graph->outputs->len, n_in, n_out, nesting);
    return FALSE;
  }
  if (nesting == 0)
    work = 0;
  operands = g_new0(InferOperand, graph->tensors->len + 1);
  nesting++;
  ok = infer_all(graph, operands, in, settle, error);
  nesting--;
  if (!ok)
    return FALSE;
  for (guint i = 0; i < n_out; i++)
    out[i] = operands[((const InferTensor *)graph->outputs->pdata[i])->index];
  if (settle)
    record(graph, operands);
  return TRUE;
}

/* --- evaluation --- */

struct _InferGraphRun {
  InferNetwork *graph;
  guint *uses;         /* per tensor: readers, and one for leaving */
  guint *left;         /* the same, of this run */
  InferArray **values; /* per tensor */
};

InferGraphRun *
infer_graph_run_new(InferNetwork *graph)
{
  InferGraphRun *self = g_new0(InferGraphRun, 1);
  guint n = graph->tensors->len;

  self->graph = graph;
  self->uses = g_new0(guint, n + 1);
  self->left = g_new0(guint, n + 1);
  self->values = g_new0(InferArray *, n + 1);
  for (guint i = 0; i < graph->nodes->len; i++) {
    const InferNode *node = graph->nodes->pdata[i];
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        self->uses[node->inputs[j]->index]++;
  }
  for (guint i = 0; i < graph->outputs->len; i++)
    self->uses[((const InferTensor *)graph->outputs->pdata[i])->index]++;
  return self;
}

static void
drop_values(InferGraphRun *self)
{
  for (guint i = 0; i < self->graph->tensors->len; i++)
    g_clear_pointer(&self->values[i], infer_array_unref);
}

void
infer_graph_run_free(InferGraphRun *self)
{
  drop_values(self);
  g_free(self->uses);
  g_free(self->left);
  g_free(self->values);
  g_free(self);
}

static void
release(InferGraphRun *self, const InferTensor *tensor)
{
  if (self->left[tensor->index] && --self->left[tensor->index] == 0)
    g_clear_pointer(&self->values[tensor->index], infer_array_unref);
}

static gboolean
run_node(InferGraphRun *self, const InferNode *node, GError **error)
{
  g_autofree const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
  g_autofree InferArray **out = g_new0(InferArray *, node->n_outputs + 1);

  for (guint i = 0; i < node->n_inputs; i++) {
    const InferTensor *tensor = node->inputs[i];
    if (!tensor)
      continue;
    in[i] = tensor->value ? tensor->value : self->values[tensor->index];
    if (!in[i])
      return infer_op_error(node, error, INFER_ERROR_FAILED, "its input '%s' was not computed",
                            tensor->name);
  }
  if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
    return FALSE;
  for (guint i = 0; i < node->n_outputs; i++) {
    guint index = node->outputs[i]->index;
    if (self->left[index])
      self->values[index] = out[i];
    else
      infer_array_unref(out[i]);
  }
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i])
      release(self, node->inputs[i]);
  return TRUE;
}

static gboolean
run_nodes(InferGraphRun *self, GError **error)
{
  for (guint i = 0; i < self->graph->nodes->len; i++)
    if (g_cancellable_set_error_if_cancelled(g_cancellable_get_current(), error) ||
        !run_node(self, self->graph->nodes->pdata[i], error))
      return FALSE;
  return TRUE;
}

gboolean
infer_graph_run(InferGraphRun *self, const InferArray *const *in, guint n_in, InferArray **out,
                guint n_out, GError **error)
{
  InferNetwork *graph = self->graph;
  gboolean ok;

  if (graph->inputs->len != n_in || graph->outputs->len != n_out || nesting >= INFER_MAX_NESTING) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "a sub-network has %u inputs, not %u",
                graph->inputs->len, n_in);
    return FALSE;
  }
  memcpy(self->left, self->uses, graph->tensors->len * sizeof *self->left);
  for (guint i = 0; i < n_in; i++) {
    const InferTensor *input = graph->inputs->pdata[i];
    if (in[i] && self->left[input->index])
      self->values[input->index] = infer_array_ref((InferArray *)in[i]);
  }
  nesting++;
  ok = run_nodes(self, error);
  nesting--;
  for (guint i = 0; i < n_out; i++) {
    const InferTensor *tensor = graph->outputs->pdata[i];
    const InferArray *value = tensor->value ? tensor->value : self->values[tensor->index];
    out[i] = ok && value ? infer_array_ref((InferArray *)value) : NULL;
    ok &= out[i] != NULL;
  }
  if (!ok && error && !*error)
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "an output of a sub-network has no value");
  for (guint i = 0; !ok && i < n_out; i++)
    g_clear_pointer(&out[i], infer_array_unref);
  drop_values(self);
  return ok;
}

/* --- nodes and their sub-networks --- */

InferNetwork *
infer_node_get_graph(const InferNode *node, guint index)
{
  return index < node->n_graphs ? node->graphs[index] : NULL;
}

void
infer_node_set_graphs(InferNode *node, InferNetwork *const *graphs, guint n_graphs)
{
  InferNetwork **copies = g_new0(InferNetwork *, n_graphs + 1);

  for (guint i = 0; i < n_graphs; i++)
    copies[i] = infer_network_copy(graphs[i]);
  for (guint i = 0; i < node->n_graphs; i++)
    g_object_unref(node->graphs[i]);
  g_free(node->graphs);
  node->graphs = copies;
  node->n_graphs = n_graphs;
}

guint
infer_network_get_depth(InferNetwork *network)
{
  guint depth = 0;

  for (guint i = 0; i < network->nodes->len; i++) {
    const InferNode *node = network->nodes->pdata[i];
    for (guint j = 0; j < node->n_graphs; j++)
      depth = MAX(depth, infer_network_get_depth(node->graphs[j]));
  }
  return depth + 1;
}

gboolean
infer_node_check_graphs(const InferNode *node, GError **error)
{
  for (guint i = 0; i < node->n_graphs; i++) {
    if (infer_network_get_depth(node->graphs[i]) > INFER_MAX_NESTING)
      return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                            "more than %d sub-networks are in each other", INFER_MAX_NESTING);
    if (!infer_network_validate(node->graphs[i], error)) {
      g_prefix_error(error, "node '%s' (%s), sub-network %u: ", node->name, node->op->name, i);
      return FALSE;
    }
  }
  return TRUE;
}
