/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>
#include <xxhash.h>

/* Common subexpressions: equal constants become one, then nodes with one operator, equal attributes
 * and the same inputs. */

static gboolean
is_random(const InferNode *node)
{
  static const char *const ops[] = {
      "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
      "Bernoulli",    "Multinomial",      "Dropout",       NULL};

  return g_strv_contains(ops, node->op->name);
}

static char *
constant_key(const InferTensor *tensor)
{
  const InferArray *array = tensor->value;
  XXH128_hash_t hash = XXH3_128bits(array->data, array->size);
  g_autofree char *dims = infer_dims_to_string(&array->dims);

  return g_strdup_printf("%d %s %" G_GINT64_MODIFIER "x%" G_GINT64_MODIFIER "x", (gint)array->type,
                         dims, (guint64)hash.high64, (guint64)hash.low64);
}

static gint
merge_constants(InferNetwork *network)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  gint changes = 0;

  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    InferTensor *tensor = infer_network_get_tensor(network, i), *first;
    char *key;

    if (!tensor->value || tensor->type == INFER_TYPE_STRING || tensor->is_output ||
        uses->nodes[i]->len == 0)
      continue;
    key = constant_key(tensor);
    first = g_hash_table_lookup(seen, key);
    if (!first) {
      g_hash_table_insert(seen, key, tensor);
      continue;
    }
    g_free(key);
    changes += infer_network_replace(network, tensor, first);
  }
  return changes;
}

static char *
node_key(const InferNode *node)
{
  g_autofree char *attrs = node->attrs ? g_variant_print(node->attrs, TRUE) : NULL;
  GString *key = g_string_new(node->op->name);

  g_string_append_printf(key, " %u %s", node->n_outputs, attrs ? attrs : "");
  for (guint i = 0; i < node->n_inputs; i++)
    g_string_append_printf(key, " %d", node->inputs[i] ? (gint)node->inputs[i]->index : -1);
  return g_string_free(key, FALSE);
}

/* Two outputs of the network stay two tensors. */
static gboolean
can_replace(const InferNode *node, const InferNode *by)
{
  for (guint i = 0; i < node->n_outputs; i++)
    if (node->outputs[i]->is_output &&
        (by->outputs[i]->is_output || by->outputs[i]->value || node->outputs[i]->value))
      return FALSE;
  return TRUE;
}

static gboolean
is_read(const InferUses *uses, const InferNode *node)
{
  for (guint i = 0; i < node->n_outputs; i++)
    if (node->outputs[i]->is_output || uses->nodes[node->outputs[i]->index]->len)
      return TRUE;
  return FALSE;
}

gint
infer_pass_cse(InferNetwork *network, GError **error)
{
  gint changes = merge_constants(network);
  g_autoptr(InferUses) uses = infer_uses_new(network);
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  /* Nodes come in order, so what reads two equal results is found in the same walk. */
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i), *first;
    char *key;

    if (is_random(node) || node->n_graphs > 0 || !is_read(uses, node))
      continue;
    key = node_key(node);
    first = g_hash_table_lookup(seen, key);
    if (!first) {
      g_hash_table_insert(seen, key, node);
      continue;
    }
    g_free(key);
    if (!can_replace(node, first))
      continue;
    for (guint j = 0; j < node->n_outputs; j++)
      infer_network_replace(network, node->outputs[j], first->outputs[j]);
    changes++;
  }
  return changes;
}
