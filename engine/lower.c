/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layouts.h"
#include "plugin-private.h"

#include <string.h>

/* Bounds what could go on for ever; two are usual. */
#define MAX_ROUNDS 16

/*
 * Orders are given from the inputs to the outputs: each tensor has the order that its producer
 * writes, and where a reader wants another one, a reformat step is put in between, once for each
 * order; what steps that take any order do was decided before. Transposes are free: their output is
 * the same memory under another order.
 */
typedef struct {
  InferNetwork *network;
  InferDevice *device;
  GPtrArray *steps;   /* what comes out */
  GArray *orders;     /* InferOrder by tensor index */
  GHashTable *twins;  /* "index order" -> InferTensor */
  GHashTable *copied; /* tensors whose memory is an input's or a constant's */
} Lowering;

static const InferOrder *
order_of(Lowering *self, const InferTensor *tensor)
{
  return &g_array_index(self->orders, InferOrder, tensor->index);
}

static void
set_order(Lowering *self, const InferTensor *tensor, InferOrder order)
{
  if (tensor->index >= self->orders->len)
    g_array_set_size(self->orders, tensor->index + 1);
  g_array_index(self->orders, InferOrder, tensor->index) = order;
}

/* A copy of @tensor in another order. */
static InferTensor *
reformat(Lowering *self, InferTensor *tensor, const InferOrder *order, GError **error)
{
  g_autoptr(GString) key = g_string_new(NULL);
  g_autofree char *name = NULL;
  InferTensor *twin;
  InferNode *node;
  InferStep *step;

  g_string_printf(key, "%u", tensor->index);
  for (gint i = 0; i < order->n; i++)
    g_string_append_printf(key, " %d", order->axis[i]);
  twin = g_hash_table_lookup(self->twins, key->str);
  if (twin)
    return twin;
  name = g_strconcat(tensor->name, ".reformat", NULL);
  node = infer_network_add_node(self->network, "infer.Reformat", name, &tensor, 1, NULL, 1, error);
  if (!node)
    return NULL;
  step = infer_step_new(&node, 1, 0);
  {
    InferLayout in, out;
    const InferImpl *impl = infer_step_choose(self->device, step, &in, &out);
    step->impl = impl == &infer_impl_reference ? &infer_impl_reformat : impl;
  }
  g_ptr_array_add(self->steps, step);
  set_order(self, node->outputs[0], *order);
  g_hash_table_insert(self->twins, g_strdup(key->str), node->outputs[0]);
  return node->outputs[0];
}

static void
redirect(InferStep *step, guint input, InferTensor *to)
{
  InferTensor *from = step->inputs[input];

  for (guint i = 0; i < step->n_nodes; i++)
    for (guint j = 0; j < step->nodes[i]->n_inputs; j++)
      if (step->nodes[i]->inputs[j] == from)
        step->nodes[i]->inputs[j] = to;
  step->inputs[input] = to;
}

/* Makes input @index of the step have @order. */
static gboolean
want_order(Lowering *self, InferStep *step, guint index, const InferOrder *order, GError **error)
{
  InferTensor *tensor = step->inputs[index], *twin;

  if (tensor->value || infer_order_same_memory(order_of(self, tensor), order, &tensor->dims))
    return TRUE;
  twin = reformat(self, tensor, order, error);
  if (!twin)
    return FALSE;
  redirect(step, index, twin);
  return TRUE;
}

/* --- views --- */

gboolean
infer_step_is_transpose(const InferStep *step, gint64 *perm)
{
  const InferNode *node = step->nodes[0];
  gint rank = node->inputs[0] ? node->inputs[0]->dims.n : -1;
  gsize n;
  const gint64 *list;

  if (step->n_nodes != 1 || strcmp(node->op->name, "Transpose") != 0 || rank < 0)
    return FALSE;
  list = infer_node_get_ints(node, "perm", &n);
  for (gint i = 0; i < rank; i++)
    perm[i] = list ? list[i] : rank - 1 - i;
  return TRUE;
}

static gboolean
lower_view(Lowering *self, InferStep *step, gboolean *done, GError **error)
{
  const InferNode *node = step->nodes[0];
  InferTensor *in = node->n_inputs ? node->inputs[0] : NULL, *out = node->outputs[0];
  gint64 perm[INFER_MAX_DIMS];
  InferOrder order;

  *done = FALSE;
  if (step->n_nodes != 1 || !in || in->value || node->n_outputs != 1)
    return TRUE;
  if (infer_step_is_transpose(step, perm)) {
    order = infer_order_transposed(order_of(self, in), perm);
  } else if ((node->op->flags & INFER_OP_VIEW) && in->dims.n >= 0 && out->dims.n >= 0) {
    InferOrder plain = infer_order_row_major(in->dims.n);
    if (!want_order(self, step, 0, &plain, error))
      return FALSE;
    order = infer_order_row_major(out->dims.n);
  } else {
    return TRUE;
  }
  set_order(self, out, order);
  if (step->inputs[0]->is_input || g_hash_table_contains(self->copied, step->inputs[0]))
    g_hash_table_add(self->copied, out);
  step->impl = NULL;
  *done = TRUE;
  return TRUE;
}

/* --- steps that run --- */

gboolean
infer_settles_row_major(const InferTensor *tensor)
{
  gint varying = 0;

  if (!tensor->value)
    return FALSE;
  for (gint i = 0; i < tensor->dims.n; i++)
    varying += tensor->dims.d[i] != 1;
  return varying > 1;
}

static InferOrder
common_order(Lowering *self, const InferStep *step, const InferLayout *layouts, InferLayout chosen)
{
  const InferOrder *best = NULL;
  gint rank = step->outputs[0]->dims.n;

  if (chosen == INFER_LAYOUT_CHANNELS_LAST)
    return infer_order_channels_last(rank);
  if (chosen == INFER_LAYOUT_ROW_MAJOR)
    return infer_order_row_major(rank);

  for (guint i = 0; i < step->n_inputs; i++) {
    const InferTensor *tensor = step->inputs[i];

    if (layouts[i] != INFER_LAYOUT_ANY)
      continue;
    if (infer_settles_row_major(tensor))
      return infer_order_row_major(rank);
    if (!tensor->value && tensor->dims.n == rank && !best)
      best = order_of(self, tensor);
  }
  return best ? *best : infer_order_row_major(rank);
}

/* What has no reference cannot fall back on it. */
static gboolean
check_runs(Lowering *self, const InferStep *step, GError **error)
{
  const InferNode *node = step->impl == &infer_impl_reference ? infer_step_find_opaque(step) : NULL;

  return !node ||
         infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "the plugin has no implementation for device '%s' with these types, and no "
                        "reference evaluation; load the library that brings one",
                        self->device->name);
}

static gboolean
lower_step(Lowering *self, InferStep *step, InferLayout chosen, GError **error)
{
  g_autofree InferLayout *inputs = g_new0(InferLayout, step->n_inputs + 1);
  g_autofree InferLayout *outputs = g_new0(InferLayout, step->n_outputs + 1);
  InferOrder common;

  step->impl = infer_step_choose(self->device, step, inputs, outputs);
  if (!check_runs(self, step, error))
    return FALSE;
  common = common_order(self, step, inputs, chosen);
  for (guint i = 0; i < step->n_inputs; i++) {
    gint rank = step->inputs[i]->dims.n;
    InferOrder order = infer_order_row_major(rank);

    if (inputs[i] == INFER_LAYOUT_CHANNELS_LAST)
      order = infer_order_channels_last(rank);
    else if (inputs[i] == INFER_LAYOUT_ANY && common.n == rank)
      order = common;
    if (!want_order(self, step, i, &order, error))
      return FALSE;
  }
  for (guint i = 0; i < step->n_outputs; i++) {
    gint rank = step->outputs[i]->dims.n;
    InferOrder order = infer_order_row_major(rank);

    if (outputs[i] == INFER_LAYOUT_CHANNELS_LAST)
      order = infer_order_channels_last(rank);
    else if (outputs[i] == INFER_LAYOUT_ANY && common.n == rank)
      order = common;
    set_order(self, step->outputs[i], order);
  }
  return TRUE;
}

/*
 * What leaves the network is row-major memory of its own. Where a tensor that has to leave is
 * neither, what was written goes under another name and a copy leaves in its place.
 */
static gboolean
finish_output(Lowering *self, InferTensor *tensor, GError **error)
{
  InferOrder plain = infer_order_row_major(tensor->dims.n);
  InferTensor *twin;

  if (infer_order_same_memory(order_of(self, tensor), &plain, &tensor->dims) &&
      !g_hash_table_contains(self->copied, tensor)) {
    set_order(self, tensor, plain);
    return TRUE;
  }
  twin = reformat(self, tensor, &plain, error);
  return twin && infer_network_replace_output(self->network, tensor, twin);
}

static gboolean
check_ranks(InferNetwork *network, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);
    for (guint j = 0; j < node->n_outputs; j++)
      if (node->outputs[j]->dims.n < 0)
        return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                              "the rank of its output depends on data; such networks are not "
                              "supported");
  }
  return TRUE;
}

static gboolean
lower_all(Lowering *self, GPtrArray *cut, GError **error)
{
  g_autoptr(GPtrArray) outputs = g_ptr_array_new();
  g_autofree InferLayout *chosen = infer_choose_layouts(self->network, self->device, cut);

  for (guint i = 0; i < cut->len; i++) {
    InferStep *step = cut->pdata[i];
    gboolean done;

    if (!lower_view(self, step, &done, error) ||
        (!done && !lower_step(self, step, chosen[i], error)))
      return FALSE;
    g_ptr_array_add(self->steps, step);
    cut->pdata[i] = NULL;
  }
  for (guint i = 0; i < infer_network_get_n_outputs(self->network); i++)
    g_ptr_array_add(outputs, infer_network_get_output(self->network, i));
  for (guint i = 0; i < outputs->len; i++)
    if (!finish_output(self, outputs->pdata[i], error))
      return FALSE;
  return TRUE;
}

gboolean
infer_join_siblings(InferNetwork *network, InferDevice *device, GError **error)
{
  for (guint round = 0; round < MAX_ROUNDS; round++) {
    gint n = infer_pass_horizontal(network, device, error);

    if (n <= 0)
      return n == 0;
    if (infer_network_compact(network, error) < 0 || !infer_network_infer(network, error) ||
        !infer_network_validate(network, error))
      return FALSE;
  }
  return TRUE;
}

static void
free_step_or_null(gpointer step)
{
  if (step)
    infer_step_free(step);
}

InferProgram *
infer_lower(InferNetwork *network, InferDevice *device, gboolean fuse, GError **error)
{
  Lowering self = {.network = network, .device = device};
  g_autoptr(GPtrArray) cut = NULL;
  InferProgram *program = NULL;
  guint n;

  if (!check_ranks(network, error))
    return NULL;
  cut = infer_pass_fusion(network, device, fuse, error);
  g_ptr_array_set_free_func(cut, free_step_or_null);
  self.steps = g_ptr_array_new_with_free_func(infer_step_free);
  self.orders = g_array_new(FALSE, TRUE, sizeof(InferOrder));
  self.twins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  self.copied = g_hash_table_new(NULL, NULL);
  n = infer_network_get_n_tensors(network);
  for (guint i = 0; i < n; i++) {
    InferTensor *tensor = infer_network_get_tensor(network, i);
    set_order(&self, tensor, infer_order_row_major(tensor->dims.n));
  }
  if (lower_all(&self, cut, error)) {
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    for (guint i = 0; i < self.steps->len; i++) {
      const InferStep *step = self.steps->pdata[i];
      for (guint j = 0; j < step->n_nodes; j++)
        g_ptr_array_add(nodes, step->nodes[j]);
    }
    infer_network_order_nodes(network, (InferNode *const *)nodes->pdata);
    program = g_new0(InferProgram, 1);
    program->network = g_object_ref(network);
    program->steps = g_steal_pointer(&self.steps);
    program->orders = (InferOrder *)(gpointer)g_array_free(g_steal_pointer(&self.orders), FALSE);
  }
  g_clear_pointer(&self.steps, g_ptr_array_unref);
  g_clear_pointer(&self.orders, g_array_unref);
  g_hash_table_unref(self.twins);
  g_hash_table_unref(self.copied);
  return program;
}
