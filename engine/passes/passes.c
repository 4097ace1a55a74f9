/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/* Each round can only shrink the network or make something constant; this bounds a pass that
 * undoes another's work. */
#define MAX_ROUNDS 32

static const struct {
  const char *name;
  InferPassFunc run;
} passes[] = {
    {"control", infer_pass_control},
    {"constants", infer_pass_constants},
    {"shapes", infer_pass_shapes},
    {"views", infer_pass_views},
    {"transposes", infer_pass_transposes},
    {"cse", infer_pass_cse},
    {"activations", infer_pass_activations},
    {"layernorm", infer_pass_layernorm},
    {"identities", infer_pass_identities},
    {"batchnorm", infer_pass_batchnorm},
    {"bias", infer_pass_bias},
    {"scale", infer_pass_scale},
    {"pad", infer_pass_pad},
};

static gint
run_round(InferNetwork *network, GCancellable *cancellable, GError **error)
{
  gint changes = 0;

  for (guint i = 0; i < G_N_ELEMENTS(passes); i++) {
    gint n;

    if (g_cancellable_set_error_if_cancelled(cancellable, error))
      return -1;
    n = passes[i].run(network, error);
    if (n < 0 || infer_network_compact(network, error) < 0)
      return -1;
    if (n && !infer_network_infer(network, error))
      return -1;
    if (!infer_network_validate(network, error)) {
      g_prefix_error(error, "after the pass '%s': ", passes[i].name);
      return -1;
    }
    changes += n;
  }
  return changes;
}

/* Sub-networks last: constants have come into them from around by then. */
static gboolean
run_inside(InferNetwork *network, GCancellable *cancellable, GError **error)
{
  gboolean any = FALSE;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);
    for (guint k = 0; k < node->n_graphs; k++) {
      any = TRUE;
      if (!infer_passes_run(node->graphs[k], cancellable, error)) {
        g_prefix_error(error, "node '%s' (%s): ", node->name, node->op->name);
        return FALSE;
      }
    }
  }
  return !any || (infer_network_infer(network, error) && infer_network_validate(network, error));
}

gboolean
infer_passes_run(InferNetwork *network, GCancellable *cancellable, GError **error)
{
  if (infer_network_compact(network, error) < 0 || !infer_network_infer(network, error))
    return FALSE;
  for (guint round = 0; round < MAX_ROUNDS; round++) {
    gint changes = run_round(network, cancellable, error);
    if (changes < 0)
      return FALSE;
    if (changes == 0)
      break;
  }
  return run_inside(network, cancellable, error);
}

gint64
infer_pass_conv_channels(const InferNode *node)
{
  if (!node || strcmp(node->op->name, "Conv") != 0 || !node->inputs[1]->value ||
      node->inputs[1]->type != INFER_TYPE_FLOAT ||
      (node->n_inputs > 2 && node->inputs[2] && !node->inputs[2]->value))
    return 0;
  return node->inputs[1]->dims.d[0];
}

float *
infer_pass_channel_values(const InferTensor *constant, gint rank, gint64 channels)
{
  const InferArray *array = constant ? constant->value : NULL;
  gint offset;
  gint64 count;
  float *values;

  if (!array || array->type != INFER_TYPE_FLOAT || array->dims.n > rank || rank < 2)
    return NULL;
  offset = rank - array->dims.n;
  for (gint i = 0; i < array->dims.n; i++)
    if (array->dims.d[i] != 1 && !(i + offset == 1 && array->dims.d[i] == channels))
      return NULL;
  count = infer_array_count(array);
  values = g_new(float, (gsize)channels);
  for (gint64 c = 0; c < channels; c++)
    values[c] = ((const float *)array->data)[count == 1 ? 0 : c];
  return values;
}

gboolean
infer_pass_scale_conv(InferNetwork *network, InferNode *node, const float *scale,
                      const float *shift)
{
  gint64 channels = infer_pass_conv_channels(node);
  InferTensor *old_bias = node->n_inputs > 2 ? node->inputs[2] : NULL;
  g_autoptr(InferArray) weights = NULL;
  g_autoptr(InferArray) bias = NULL;
  InferTensor *inputs[3] = {node->inputs[0], node->inputs[1], NULL};
  const InferArray *plain = node->inputs[1]->value;

  if (channels <= 0)
    return FALSE;
  bias = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(channels), NULL);
  if (!bias)
    return FALSE;
  if (scale) {
    gint64 block = infer_array_count(plain) / channels;

    weights = infer_array_new(INFER_TYPE_FLOAT, &plain->dims, NULL);
    if (!weights)
      return FALSE;
    for (gint64 c = 0; c < channels; c++)
      for (gint64 i = c * block; i < (c + 1) * block; i++)
        ((float *)weights->data)[i] = ((const float *)plain->data)[i] * scale[c];
    inputs[1] = infer_network_add_constant(network, node->inputs[1]->name, weights);
  }
  for (gint64 c = 0; c < channels; c++) {
    float value = old_bias ? ((const float *)old_bias->value->data)[c] : 0;
    ((float *)bias->data)[c] = (scale ? value * scale[c] : value) + (shift ? shift[c] : 0);
  }
  {
    g_autofree char *name = g_strconcat(node->name, ".bias", NULL);
    inputs[2] = infer_network_add_constant(network, name, bias);
  }
  infer_node_set_inputs(node, inputs, 3);
  return TRUE;
}
