/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"
#include "plugin-private.h"

#include <string.h>

static gboolean
refuse(const InferStep *step, GError **error, const char *what)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "step '%s' %s", step->name, what);
  return FALSE;
}

static gboolean
is_node_of(const InferStep *step, const InferNode *node)
{
  for (guint i = 0; i < step->n_nodes; i++)
    if (step->nodes[i] == node)
      return TRUE;
  return FALSE;
}

/* Nobody outside may read what a step keeps to itself: it is never written to memory. */
static gboolean
check_inside(const InferStep *step, const InferUses *uses, GError **error)
{
  for (guint i = 0; i < step->n_nodes; i++)
    for (guint j = 0; j < step->nodes[i]->n_outputs; j++) {
      const InferTensor *tensor = step->nodes[i]->outputs[j];
      const GPtrArray *readers = uses->nodes[tensor->index];

      if (infer_step_find_output(step, tensor) >= 0)
        continue;
      for (guint k = 0; k < readers->len; k++)
        if (tensor->is_output || !is_node_of(step, readers->pdata[k]))
          return refuse(step, error, "keeps a tensor that others read");
    }
  return TRUE;
}

static gboolean
check_view(const InferProgram *program, const InferStep *step, GError **error)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *in = node->n_inputs ? node->inputs[0] : NULL, *out = node->outputs[0];
  const InferOrder *from, *to;
  InferOrder plain;

  if (step->n_nodes != 1 || !in || in->value || node->n_outputs != 1 || in->type != out->type)
    return refuse(step, error, "cannot be a view");
  from = &program->orders[in->index];
  to = &program->orders[out->index];
  if (strcmp(node->op->name, "Transpose") == 0) {
    gint64 perm[INFER_MAX_DIMS];
    gsize n;
    const gint64 *list = infer_node_get_ints(node, "perm", &n);
    for (gint i = 0; i < from->n; i++)
      perm[i] = list ? list[i] : from->n - 1 - i;
    plain = infer_order_transposed(from, perm);
    return infer_order_same_memory(&plain, to, &out->dims) ||
           refuse(step, error, "is a view in the wrong order");
  }
  if (!(node->op->flags & INFER_OP_VIEW))
    return refuse(step, error, "cannot be a view");
  plain = infer_order_row_major(from->n);
  if (!infer_order_same_memory(from, &plain, &in->dims))
    return refuse(step, error, "is a view of memory in another order");
  plain = infer_order_row_major(to->n);
  return infer_order_equal(&plain, to) || refuse(step, error, "is a view in the wrong order");
}

static gboolean
fits(const InferOrder *have, InferLayout layout, const InferTensor *tensor, const InferOrder *any)
{
  InferOrder want = infer_order_row_major(tensor->dims.n);

  if (tensor->value)
    return TRUE;
  if (layout == INFER_LAYOUT_CHANNELS_LAST)
    want = infer_order_channels_last(tensor->dims.n);
  else if (layout == INFER_LAYOUT_ANY && any->n == tensor->dims.n)
    want = *any;
  return infer_order_same_memory(have, &want, &tensor->dims);
}

static gboolean
varies(const InferTensor *tensor)
{
  gint n = 0;

  for (gint i = 0; tensor->value && i < tensor->dims.n; i++)
    n += tensor->dims.d[i] != 1;
  return n > 1;
}

static gboolean
check_layouts(const InferProgram *program, const InferStep *step, const InferImpl *impl,
              InferDevice *device, GError **error)
{
  g_autofree InferLayout *inputs = g_new0(InferLayout, step->n_inputs + 1);
  g_autofree InferLayout *outputs = g_new0(InferLayout, step->n_outputs + 1);
  InferOrder any = program->orders[step->outputs[0]->index];

  if (!infer_impl_supports(impl, device, step, inputs, outputs))
    return refuse(step, error, "has an implementation that does not support it");
  for (guint i = 0; i < step->n_inputs; i++)
    if (inputs[i] == INFER_LAYOUT_ANY && varies(step->inputs[i]))
      any = infer_order_row_major(any.n);
  for (guint i = 0; i < step->n_inputs; i++)
    if (!fits(&program->orders[step->inputs[i]->index], inputs[i], step->inputs[i], &any))
      return refuse(step, error, "reads a tensor in the wrong layout");
  for (guint i = 0; i < step->n_outputs; i++)
    if (!fits(&program->orders[step->outputs[i]->index], outputs[i], step->outputs[i], &any))
      return refuse(step, error, "writes a tensor in the wrong layout");
  return TRUE;
}

/* Another implementation that some shapes were tuned for has to fit as the step's own does. */
static gboolean
check_choices(const InferProgram *program, guint index, InferDevice *device, GError **error)
{
  const InferStep *step = program->steps->pdata[index];

  for (guint i = 0; program->tunings && i < program->tunings->len; i++) {
    const InferTuning *tuning = program->tunings->pdata[i];
    const InferImpl *impl = tuning->choices[index].impl;

    if (impl == &infer_impl_reformat)
      return refuse(step, error, "is tuned for an implementation that does not support it");
    if (impl && !check_layouts(program, step, impl, device, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_step(const InferProgram *program, const InferStep *step, const InferUses *uses,
           InferDevice *device, GError **error)
{
  const char *op = step->nodes[step->anchor]->op->name;

  if (step->n_outputs == 0 || !check_inside(step, uses, error))
    return step->n_outputs ? FALSE : refuse(step, error, "has no output");
  if (infer_step_is_view(step))
    return check_view(program, step, error);
  /* A reformat takes any order to any other. */
  if (strcmp(op, "infer.Reformat") == 0 && step->n_nodes == 1 &&
      step->impl != &infer_impl_reference)
    return TRUE;
  if (step->impl == &infer_impl_reference && infer_step_find_opaque(step))
    return refuse(step, error, "has a plugin without a reference and no implementation of it");
  if (step->impl == &infer_impl_reformat)
    return refuse(step, error, "has an implementation that does not support it");
  return check_layouts(program, step, step->impl, device, error);
}

/* What leaves is row-major memory of its own; what comes in is row-major. */
static gboolean
check_bindings(const InferProgram *program, GError **error)
{
  g_autoptr(GHashTable) borrowed = g_hash_table_new(NULL, NULL);
  InferNetwork *network = program->network;

  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(network, i);
    InferOrder plain = infer_order_row_major(tensor->dims.n);
    const InferOrder *order = &program->orders[i];

    if (order->n != tensor->dims.n || ((tensor->is_input || tensor->is_output || tensor->value) &&
                                       !infer_order_same_memory(order, &plain, &tensor->dims))) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "tensor '%s' has the wrong order",
                  tensor->name);
      return FALSE;
    }
    if (tensor->is_input || tensor->value)
      g_hash_table_add(borrowed, (gpointer)tensor);
  }
  for (guint i = 0; i < program->steps->len; i++) {
    const InferStep *step = program->steps->pdata[i];
    if (!infer_step_is_view(step) || !g_hash_table_contains(borrowed, step->inputs[0]))
      continue;
    if (step->outputs[0]->is_output)
      return refuse(step, error, "would let an input leave");
    g_hash_table_add(borrowed, step->outputs[0]);
  }
  return TRUE;
}

gboolean
infer_program_check(const InferProgram *program, InferDevice *device, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(program->network);

  if (!check_bindings(program, error))
    return FALSE;
  for (guint i = 0; i < program->steps->len; i++)
    if (!check_step(program, program->steps->pdata[i], uses, device, error) ||
        !check_choices(program, i, device, error))
      return FALSE;
  return TRUE;
}
