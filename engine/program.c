/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "program-private.h"

#include <string.h>

InferOrder
infer_order_row_major(gint rank)
{
  InferOrder order = {.n = MAX(rank, 0)};

  for (gint i = 0; i < order.n; i++)
    order.axis[i] = (guint8)i;
  return order;
}

InferOrder
infer_order_channels_last(gint rank)
{
  InferOrder order = infer_order_row_major(rank);

  if (rank < 3)
    return order;
  for (gint i = 1; i < rank - 1; i++)
    order.axis[i] = (guint8)(i + 1);
  order.axis[rank - 1] = 1;
  return order;
}

gboolean
infer_order_equal(const InferOrder *a, const InferOrder *b)
{
  return a->n == b->n && memcmp(a->axis, b->axis, (gsize)a->n) == 0;
}

gboolean
infer_order_is_valid(const InferOrder *order)
{
  guint seen = 0;

  if (order->n < 0 || order->n > INFER_MAX_DIMS)
    return FALSE;
  for (gint i = 0; i < order->n; i++) {
    if (order->axis[i] >= order->n || (seen & 1u << order->axis[i]))
      return FALSE;
    seen |= 1u << order->axis[i];
  }
  return TRUE;
}

void
infer_order_strides(const InferOrder *order, const InferDims *dims, gint64 *strides)
{
  gint64 stride = 1;

  for (gint i = order->n - 1; i >= 0; i--) {
    strides[order->axis[i]] = stride;
    stride *= MAX(dims->d[order->axis[i]], 1);
  }
}

/* Axes of one element take no part in where elements lie. */
gboolean
infer_order_same_memory(const InferOrder *a, const InferOrder *b, const InferDims *dims)
{
  gint i = 0, j = 0;

  if (a->n != b->n)
    return FALSE;
  for (;;) {
    while (i < a->n && dims->d[a->axis[i]] == 1)
      i++;
    while (j < b->n && dims->d[b->axis[j]] == 1)
      j++;
    if (i == a->n || j == b->n)
      return i == a->n && j == b->n;
    if (a->axis[i++] != b->axis[j++])
      return FALSE;
  }
}

InferOrder
infer_order_transposed(const InferOrder *order, const gint64 *perm)
{
  InferOrder result = {.n = order->n};

  for (gint k = 0; k < order->n; k++)
    for (gint j = 0; j < order->n; j++)
      if (perm[j] == order->axis[k])
        result.axis[k] = (guint8)j;
  return result;
}

gint
infer_step_find_input(const InferStep *step, const InferTensor *tensor)
{
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i] == tensor)
      return (gint)i;
  return -1;
}

gint
infer_step_find_output(const InferStep *step, const InferTensor *tensor)
{
  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i] == tensor)
      return (gint)i;
  return -1;
}

static gboolean
written_inside(InferNode *const *nodes, guint n, const InferTensor *tensor)
{
  for (guint i = 0; i < n; i++)
    if (tensor->producer == nodes[i] && !tensor->value)
      return TRUE;
  return FALSE;
}

static void
collect_operands(InferNode *const *nodes, guint n_nodes, GPtrArray *inputs, GPtrArray *inner)
{
  for (guint i = 0; i < n_nodes; i++)
    for (guint j = 0; j < nodes[i]->n_inputs; j++) {
      InferTensor *tensor = nodes[i]->inputs[j];
      GPtrArray *list;

      if (!tensor)
        continue;
      list = written_inside(nodes, i, tensor) ? inner : inputs;
      if (!g_ptr_array_find(list, tensor, NULL))
        g_ptr_array_add(list, tensor);
    }
}

InferStep *
infer_step_new(InferNode *const *nodes, guint n_nodes, guint anchor)
{
  InferStep *step = g_new0(InferStep, 1);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  g_autoptr(GPtrArray) outputs = g_ptr_array_new();
  g_autoptr(GPtrArray) inner = g_ptr_array_new();

  step->name = g_strdup(nodes[anchor]->name);
  step->n_nodes = n_nodes;
  step->nodes = g_memdup2(nodes, n_nodes * sizeof *nodes);
  step->anchor = anchor;
  collect_operands(nodes, n_nodes, inputs, inner);
  /* Fusion takes in the only reader of a tensor, so that what is read inside never leaves. */
  for (guint i = 0; i < n_nodes; i++)
    for (guint j = 0; j < nodes[i]->n_outputs; j++)
      if (!g_ptr_array_find(inner, nodes[i]->outputs[j], NULL))
        g_ptr_array_add(outputs, nodes[i]->outputs[j]);
  step->n_inputs = inputs->len;
  step->inputs = g_new0(InferTensor *, inputs->len + 1);
  step->n_outputs = outputs->len;
  step->outputs = g_new0(InferTensor *, outputs->len + 1);
  if (inputs->len)
    memcpy(step->inputs, inputs->pdata, inputs->len * sizeof(gpointer));
  if (outputs->len)
    memcpy(step->outputs, outputs->pdata, outputs->len * sizeof(gpointer));
  return step;
}

void
infer_step_free(gpointer data)
{
  InferStep *step = data;

  g_free(step->name);
  g_free(step->nodes);
  g_free(step->inputs);
  g_free(step->outputs);
  g_free(step);
}

void
infer_program_free(InferProgram *program)
{
  g_clear_pointer(&program->tunings, g_ptr_array_unref);
  g_clear_pointer(&program->steps, g_ptr_array_unref);
  g_clear_object(&program->network);
  g_free(program->orders);
  g_free(program);
}
