/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"
#include "program-private.h"
#include "plugin-private.h"

#include <string.h>

/* Longer chains than any epilogue; bounds the search. */
#define MAX_STEP_NODES 16

/* Operators that a step can be built around. */
static gboolean
can_anchor(const InferNode *node)
{
  static const char *const anchors[] = {
      "Conv",    "ConvTranspose",     "Gemm",          "MatMul",     "AveragePool",
      "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Resize",
      NULL};

  return g_strv_contains(anchors, node->op->name);
}

/* Those that can be a part of an earlier one's step too: they look at few of its results at a time,
 * so that these need not lie in memory. */
static gboolean
can_follow(const InferNode *node)
{
  return strcmp(node->op->name, "MaxPool") == 0 && node->n_outputs == 1;
}

gboolean
infer_impl_supports(const InferImpl *impl, InferDevice *device, const InferStep *step,
                    InferLayout *inputs, InferLayout *outputs)
{
  for (guint i = 0; i < step->n_inputs; i++)
    inputs[i] = INFER_LAYOUT_ROW_MAJOR;
  for (guint i = 0; i < step->n_outputs; i++)
    outputs[i] = INFER_LAYOUT_ROW_MAJOR;
  return (step->anchor == 0 || impl->takes_leading) &&
         impl->supports(device, step, inputs, outputs);
}

const InferImpl *
infer_step_choose(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  const InferOp *op = step->nodes[step->anchor]->op;
  const InferImpl *const *list = device->backend->impls ? device->backend->impls(op->name) : NULL;
  gboolean on_host = FALSE;
  const InferImpl *plugin;

  for (guint i = 0; i < step->n_nodes; i++)
    on_host |= step->nodes[i]->on_host;
  if (on_host)
    list = NULL;
  plugin =
      infer_plugin_of(op) && !on_host ? infer_plugin_choose(device, step, inputs, outputs) : NULL;
  if (plugin)
    return plugin;
  for (; list && *list; list++)
    if (infer_impl_supports(*list, device, step, inputs, outputs))
      return *list;
  for (guint i = 0; i < step->n_inputs; i++)
    inputs[i] = INFER_LAYOUT_ROW_MAJOR;
  for (guint i = 0; i < step->n_outputs; i++)
    outputs[i] = INFER_LAYOUT_ROW_MAJOR;
  return &infer_impl_reference;
}

static gboolean
is_supported(InferDevice *device, const InferStep *step)
{
  g_autofree InferLayout *inputs = g_new(InferLayout, step->n_inputs + 1);
  g_autofree InferLayout *outputs = g_new(InferLayout, step->n_outputs + 1);

  return infer_step_choose(device, step, inputs, outputs) != &infer_impl_reference;
}

static gboolean
is_pointwise(const InferNode *node)
{
  return node->n_outputs == 1 && (node->op->flags & INFER_OP_POINTWISE);
}

/* x * f(x), as SiLU and hard swish are exported: two readers that come together at once. */
static guint
gate_after(const InferUses *uses, const InferTensor *tensor, InferNode **found)
{
  GPtrArray *readers = uses->nodes[tensor->index];
  InferNode *first, *second;

  if (tensor->is_output || readers->len != 2)
    return 0;
  first = readers->pdata[0];
  second = readers->pdata[1];
  if (first == second || first->n_outputs != 1 || second->n_outputs != 1)
    return 0;
  if (infer_uses_single(uses, second->outputs[0]) == first) {
    InferNode *swap = first;
    first = second;
    second = swap;
  }
  if (infer_uses_single(uses, first->outputs[0]) != second || !is_pointwise(first) ||
      !is_pointwise(second) || second->n_inputs != 2)
    return 0;
  found[0] = first;
  found[1] = second;
  return 2;
}

/* The nodes that could be taken in next, and their number. */
static guint
next_nodes(const InferUses *uses, const InferTensor *tensor, GHashTable *taken, InferNode **found)
{
  guint n;

  found[0] = infer_uses_single(uses, tensor);
  n = !found[0]                                        ? gate_after(uses, tensor, found)
      : is_pointwise(found[0]) || can_follow(found[0]) ? 1
                                                       : 0;
  for (guint i = 0; i < n; i++)
    if (g_hash_table_contains(taken, found[i]))
      return 0;
  return n;
}

/* Takes the readers of the step's result in, again and again, while the device says yes. */
static InferStep *
grow(InferNode *anchor, const InferUses *uses, GHashTable *taken, InferDevice *device)
{
  InferNode *nodes[MAX_STEP_NODES + 2] = {anchor};
  InferStep *step = infer_step_new(nodes, 1, 0);

  while (step->n_nodes < MAX_STEP_NODES && step->n_outputs == 1) {
    guint n = next_nodes(uses, step->outputs[0], taken, nodes + step->n_nodes);
    InferStep *trial;

    if (n == 0)
      break;
    trial = infer_step_new(nodes, step->n_nodes + n, 0);
    if (!is_supported(device, trial)) {
      infer_step_free(trial);
      break;
    }
    infer_step_free(step);
    step = trial;
  }
  return step;
}

/* Takes in what makes the anchor's data, where nobody else wants it so: another type, or the gate
 * of squeeze and excitation. */
static InferStep *
lead(InferStep *step, const InferUses *uses, GHashTable *taken, InferDevice *device)
{
  while (step->n_nodes < MAX_STEP_NODES) {
    InferNode *nodes[MAX_STEP_NODES + 1], *first = step->nodes[0];
    InferTensor *x = first->n_inputs > 0 ? first->inputs[0] : NULL;
    InferStep *trial;

    nodes[0] = x && !x->value && !x->is_output ? x->producer : NULL;
    if (!nodes[0] || !is_pointwise(nodes[0]) || infer_uses_single(uses, x) != first ||
        g_hash_table_contains(taken, nodes[0]))
      break;
    memcpy(nodes + 1, step->nodes, step->n_nodes * sizeof *nodes);
    trial = infer_step_new(nodes, step->n_nodes + 1, step->anchor + 1);
    if (trial->n_outputs != 1 || !is_supported(device, trial)) {
      infer_step_free(trial);
      break;
    }
    infer_step_free(step);
    step = trial;
  }
  return step;
}

/* A pointwise node that only the step reads from, and that stands alone so far. */
static InferNode *
find_feeder(const InferStep *step, const InferUses *uses, GHashTable *taken, GHashTable *refused)
{
  for (guint i = 0; i < step->n_inputs; i++) {
    InferNode *node = step->inputs[i]->producer;

    if (!step->inputs[i]->value && node && is_pointwise(node) &&
        infer_uses_single(uses, step->inputs[i]) && !g_hash_table_contains(taken, node) &&
        !g_hash_table_contains(refused, node))
      return node;
  }
  return NULL;
}

/* Takes in what makes the other operands of a chain of pointwise nodes. None of it reads what the
 * step makes, or that would be read by two. */
static InferStep *
pull(InferStep *step, const InferUses *uses, GHashTable *taken, InferDevice *device)
{
  g_autoptr(GHashTable) refused = g_hash_table_new(NULL, NULL);
  InferNode *feeder;

  while (step->n_nodes < MAX_STEP_NODES &&
         (feeder = find_feeder(step, uses, taken, refused)) != NULL) {
    InferNode *nodes[MAX_STEP_NODES + 1] = {step->nodes[0], feeder};
    InferStep *trial;

    memcpy(nodes + 2, step->nodes + 1, (step->n_nodes - 1) * sizeof *nodes);
    trial = infer_step_new(nodes, step->n_nodes + 1, 0);
    if (is_supported(device, trial)) {
      infer_step_free(step);
      step = trial;
    } else {
      infer_step_free(trial);
      g_hash_table_add(refused, feeder);
    }
  }
  return step;
}

/* A step takes its nodes; it runs where its last node stood, when all that it reads is there. */
static void
keep(InferStep *step, GHashTable *taken, GHashTable *ends)
{
  for (guint j = 0; j < step->n_nodes; j++)
    g_hash_table_add(taken, step->nodes[j]);
  g_hash_table_insert(ends, step->nodes[step->n_nodes - 1], step);
}

static void
take(InferNode *anchor, const InferUses *uses, GHashTable *taken, GHashTable *ends,
     InferDevice *device)
{
  InferStep *step = grow(anchor, uses, taken, device);

  if (!is_pointwise(anchor))
    step = lead(step, uses, taken, device);
  else if (step->n_nodes > 1)
    step = pull(step, uses, taken, device);
  keep(step, taken, ends);
}

/* Whether a step around what reads @node takes it in as its first one. */
static gboolean
is_led_by(InferNode *node, const InferUses *uses, InferDevice *device)
{
  InferNode *reader = infer_uses_single(uses, node->outputs[0]);
  InferStep *step;
  gboolean led;

  if (!reader || !can_anchor(reader) || is_pointwise(reader) ||
      reader->inputs[0] != node->outputs[0])
    return FALSE;
  step = infer_step_new((InferNode *[]){node, reader}, 2, 1);
  led = step->n_outputs == 1 && is_supported(device, step);
  infer_step_free(step);
  return led;
}

/* Several anchors together, where the device has something for just that. The last node, which
 * multiplies, is left to a convolution behind it that takes it in: that saves a way to memory. */
static void
take_gate(InferNode *pooling, const InferUses *uses, GHashTable *taken, GHashTable *ends,
          InferDevice *device)
{
  InferNode *nodes[MAX_STEP_NODES];
  guint n = infer_pass_find_gate(uses, pooling, nodes, G_N_ELEMENTS(nodes));
  InferStep *step;

  if (n > 1 && is_led_by(nodes[n - 1], uses, device))
    n--;
  step = n > 0 ? infer_step_new(nodes, n, 0) : NULL;

  if (step && is_supported(device, step))
    keep(step, taken, ends);
  else if (step)
    infer_step_free(step);
}

GPtrArray *
infer_pass_fusion(InferNetwork *network, InferDevice *device, gboolean fuse, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
  g_autoptr(GHashTable) ends = g_hash_table_new(NULL, NULL); /* last node -> step */
  guint n = infer_network_get_n_nodes(network);
  GPtrArray *steps = g_ptr_array_new_with_free_func(infer_step_free);

  for (guint i = 0; fuse && i < n; i++)
    take_gate(infer_network_get_node(network, i), uses, taken, ends, device);
  /* Backwards, so that of two convolutions that are added the later one takes the sum in; what can
   * be a part of another's step once all others had their choice. */
  for (guint round = 0; round < 2; round++)
    for (guint i = n; fuse && i-- > 0;) {
      InferNode *node = infer_network_get_node(network, i);

      if (can_anchor(node) && can_follow(node) == (round == 1) &&
          !g_hash_table_contains(taken, node))
        take(node, uses, taken, ends, device);
    }
  /* Forwards, so that a chain of pointwise nodes that is left is found from its start. */
  for (guint i = 0; fuse && i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    if (is_pointwise(node) && !g_hash_table_contains(taken, node))
      take(node, uses, taken, ends, device);
  }
  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    InferStep *step = g_hash_table_lookup(ends, node);

    if (step)
      g_ptr_array_add(steps, step);
    else if (!g_hash_table_contains(taken, node))
      g_ptr_array_add(steps, infer_step_new(&node, 1, 0));
  }
  return steps;
}
