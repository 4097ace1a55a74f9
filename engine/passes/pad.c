/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/* The pads of a Pad node that adds zeros to spatial axes only, as Conv wants them. */
static gboolean
spatial_pads(const InferNode *pad, gint rank, gint64 *pads)
{
  const InferTensor *amounts = pad->inputs[1];
  const InferTensor *value = pad->n_inputs > 2 ? pad->inputs[2] : NULL;

  if (strcmp(infer_node_get_string(pad, "mode", "constant"), "constant") != 0 ||
      (pad->n_inputs > 3 && pad->inputs[3]) || !amounts || !amounts->value ||
      infer_array_count(amounts->value) != 2 * rank)
    return FALSE;
  if (value && (!value->value || infer_array_get_double(value->value, 0) != 0))
    return FALSE;
  for (gint side = 0; side < 2; side++)
    for (gint axis = 0; axis < rank; axis++) {
      gint64 amount = infer_array_get_int(amounts->value, (gsize)(side * rank + axis));
      if (amount < 0 || (axis < 2 && amount != 0))
        return FALSE;
      if (axis >= 2)
        pads[side * (rank - 2) + axis - 2] = amount;
    }
  return TRUE;
}

static gboolean
explicit_pads(const InferNode *conv, gint spatial, gint64 *pads)
{
  gsize n;
  const gint64 *own = infer_node_get_ints(conv, "pads", &n);
  const char *mode = infer_node_get_string(conv, "auto_pad", "NOTSET");

  if (strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0)
    return FALSE;
  if (own && n != (gsize)(2 * spatial))
    return FALSE;
  if (own && strcmp(mode, "NOTSET") == 0)
    for (gint i = 0; i < 2 * spatial; i++)
      if (__builtin_add_overflow(pads[i], own[i], &pads[i]))
        return FALSE;
  return TRUE;
}

/* The node's attributes with @pads in place of its own padding. */
static GVariant *
attrs_with_pads(const InferNode *node, const gint64 *pads, gsize n)
{
  GVariantDict dict;

  g_variant_dict_init(&dict, node->attrs);
  g_variant_dict_remove(&dict, "auto_pad");
  g_variant_dict_insert_value(&dict, "pads",
                              g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, pads, n, 8));
  return g_variant_dict_end(&dict);
}

static gboolean
is_op(const InferNode *node, const char *name)
{
  return node && strcmp(node->op->name, name) == 0;
}

/* Whether no element is below zero, so that zeros around it never are a maximum. */
static gboolean
is_positive(const InferTensor *tensor)
{
  static const char *const ops[] = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", NULL};
  const InferNode *node = tensor->value ? NULL : tensor->producer;
  const InferTensor *low = is_op(node, "Clip") && node->n_inputs > 1 ? node->inputs[1] : NULL;

  if (low && low->value && infer_array_count(low->value) == 1)
    return infer_array_get_double(low->value, 0) >= 0;
  return node && g_strv_contains(ops, node->op->name);
}

/* A mean has to count the zeros; a maximum has to see an element beside them. */
static gboolean
pool_takes(const InferNode *pool, const InferNode *pad, gint spatial, const gint64 *pads)
{
  gsize n, n_own;
  const gint64 *kernel = infer_node_get_ints(pool, "kernel_shape", &n);
  const gint64 *own = infer_node_get_ints(pool, "pads", &n_own);

  if (pool->n_outputs != 1 || infer_node_get_int(pool, "ceil_mode", 0) != 0 || !kernel ||
      n != (gsize)spatial)
    return FALSE;
  for (gint i = 0; i < 2 * spatial; i++)
    if (pads[i] >= kernel[i % spatial])
      return FALSE;
  if (is_op(pool, "MaxPool"))
    return is_positive(pad->inputs[0]);
  if (infer_node_get_int(pool, "count_include_pad", 0) == 1)
    return TRUE;
  for (gsize i = 0; own && i < n_own; i++)
    if (own[i])
      return FALSE;
  return TRUE;
}

static void
set_pads(InferNode *node, const gint64 *pads, gsize n)
{
  infer_node_set_attrs(node, attrs_with_pads(node, pads, n));
  if (is_op(node, "AveragePool")) {
    GVariantDict dict;
    g_variant_dict_init(&dict, node->attrs);
    g_variant_dict_insert_value(&dict, "count_include_pad", g_variant_new_int64(1));
    infer_node_set_attrs(node, g_variant_dict_end(&dict));
  }
}

/* Zero padding in front of a convolution or a pooling becomes its own. */
gint
infer_pass_pad(InferNetwork *network, GError **error)
{
  gint changes = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);
    gboolean pool = is_op(node, "AveragePool") || is_op(node, "MaxPool");
    InferNode *pad;
    gint64 pads[2 * INFER_MAX_DIMS] = {0};
    gint rank;

    if ((!pool && !is_op(node, "Conv")) || !node->inputs[0])
      continue;
    pad = node->inputs[0]->producer;
    rank = node->inputs[0]->dims.n;
    if (!is_op(pad, "Pad") || rank < 3 || node->inputs[0]->value ||
        !spatial_pads(pad, rank, pads) || !explicit_pads(node, rank - 2, pads) ||
        (pool && !pool_takes(node, pad, rank - 2, pads)))
      continue;
    node->inputs[0] = pad->inputs[0];
    set_pads(node, pads, (gsize)(2 * (rank - 2)));
    changes++;
  }
  return changes;
}
