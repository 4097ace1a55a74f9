/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <math.h>
#include <string.h>

static gboolean
channel_vector(const InferTensor *tensor, gint64 channels)
{
  return tensor && tensor->value && tensor->type == INFER_TYPE_FLOAT && tensor->dims.n == 1 &&
         tensor->dims.d[0] == channels;
}

/* y = x * scale + shift, computed in double since variances can be tiny. */
static gboolean
affine_of(const InferNode *node, gint64 channels, float **scale, float **shift)
{
  double epsilon = infer_node_get_float(node, "epsilon", 1e-5);
  const float *v[4];

  for (guint i = 0; i < 4; i++) {
    if (!channel_vector(node->inputs[i + 1], channels))
      return FALSE;
    v[i] = node->inputs[i + 1]->value->data;
  }
  *scale = g_new(float, (gsize)channels);
  *shift = g_new(float, (gsize)channels);
  for (gint64 c = 0; c < channels; c++) {
    double factor = (double)v[0][c] / sqrt((double)v[3][c] + epsilon);
    (*scale)[c] = (float)factor;
    (*shift)[c] = (float)((double)v[1][c] - (double)v[2][c] * factor);
  }
  return TRUE;
}

static InferTensor *
channel_constant(InferNetwork *network, const char *node, const char *what, const float *values,
                 gint64 channels, gint rank)
{
  InferDims dims = {.n = rank - 1};
  g_autoptr(InferArray) array = NULL;
  g_autofree char *name = g_strconcat(node, what, NULL);

  for (gint i = 0; i < dims.n; i++)
    dims.d[i] = i == 0 ? channels : 1;
  array = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
  memcpy(array->data, values, array->size);
  return infer_network_add_constant(network, name, array);
}

/* A batch normalization without a convolution becomes a product and a sum, which fuse elsewhere. */
static gboolean
split(InferNetwork *network, InferNode *node, const float *scale, const float *shift,
      gint64 channels, GError **error)
{
  gint rank = node->inputs[0]->dims.n;
  InferTensor *factors[2], *terms[2];
  InferNode *mul, *add;
  g_autofree char *mul_name = g_strconcat(node->name, ".scale", NULL);
  g_autofree char *add_name = g_strconcat(node->name, ".shift", NULL);

  factors[0] = node->inputs[0];
  factors[1] = channel_constant(network, node->name, ".factor", scale, channels, rank);
  mul = infer_network_add_node(network, "Mul", mul_name, factors, 2, NULL, 1, error);
  if (!mul)
    return FALSE;
  terms[0] = mul->outputs[0];
  terms[1] = channel_constant(network, node->name, ".term", shift, channels, rank);
  add = infer_network_add_node(network, "Add", add_name, terms, 2, NULL, 1, error);
  return add && infer_network_replace(network, node->outputs[0], add->outputs[0]);
}

/* Batch normalization with constant statistics, folded into the convolution before it. */
gint
infer_pass_batchnorm(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  guint n = infer_network_get_n_nodes(network);
  gint changes = 0;

  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    g_autofree float *scale = NULL;
    g_autofree float *shift = NULL;
    InferNode *conv;
    gint64 channels;

    if (strcmp(node->op->name, "BatchNormalization") != 0 || node->n_outputs != 1 ||
        node->inputs[0]->type != INFER_TYPE_FLOAT || !node->inputs[1] ||
        node->inputs[0]->dims.n < 2)
      continue;
    channels = node->inputs[1]->dims.n == 1 ? node->inputs[1]->dims.d[0] : -1;
    if (channels <= 0 || !affine_of(node, channels, &scale, &shift))
      continue;
    conv = node->inputs[0]->producer;
    if (infer_pass_conv_channels(conv) == channels &&
        infer_uses_single(uses, node->inputs[0]) == node) {
      if (infer_pass_scale_conv(network, conv, scale, shift) &&
          infer_network_replace(network, node->outputs[0], conv->outputs[0]))
        changes++;
      continue;
    }
    if (!split(network, node, scale, shift, channels, error))
      return -1;
    changes++;
  }
  return changes;
}
