/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/* What a product or sum with a per-channel constant does: y = x * scale + shift. */
static gboolean
affine_of(const InferNode *node, const InferTensor *constant, gboolean constant_first, gint rank,
          gint64 channels, float **scale, float **shift)
{
  const char *op = node->op->name;
  g_autofree float *values = infer_pass_channel_values(constant, rank, channels);

  if (!values)
    return FALSE;
  if (strcmp(op, "Add") == 0) {
    *shift = g_steal_pointer(&values);
  } else if (strcmp(op, "Mul") == 0) {
    *scale = g_steal_pointer(&values);
  } else if (strcmp(op, "Sub") == 0 && !constant_first) {
    for (gint64 c = 0; c < channels; c++)
      values[c] = -values[c];
    *shift = g_steal_pointer(&values);
  } else if (strcmp(op, "Div") == 0 && !constant_first) {
    for (gint64 c = 0; c < channels; c++)
      values[c] = 1.0f / values[c];
    *scale = g_steal_pointer(&values);
  } else {
    return FALSE;
  }
  return TRUE;
}

/* Sums and products with per-channel constants, folded into the convolution before them. */
gint
infer_pass_bias(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  gint changes = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);
    g_autofree float *scale = NULL;
    g_autofree float *shift = NULL;
    guint variable;
    InferNode *conv;
    InferTensor *out;
    gint64 channels;

    if (node->n_inputs != 2 || !node->inputs[0] || !node->inputs[1] ||
        !node->inputs[0]->value == !node->inputs[1]->value)
      continue;
    variable = node->inputs[0]->value ? 1 : 0;
    out = node->inputs[variable];
    conv = out->producer;
    channels = infer_pass_conv_channels(conv);
    /* A constant of higher rank or extent would broadcast the convolution's result. */
    if (channels <= 0 || infer_uses_single(uses, out) != node ||
        !affine_of(node, node->inputs[1 - variable], variable == 1, out->dims.n, channels, &scale,
                   &shift))
      continue;
    if (infer_pass_scale_conv(network, conv, scale, shift) &&
        infer_network_replace(network, node->outputs[0], out))
      changes++;
  }
  return changes;
}
