/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"

#include <string.h>

/*
 * Products and sums with constants: two in a row become one, and per-channel ones in front of a
 * convolution go into its weights. A sum only where the convolution does not pad, since padding
 * comes after it.
 */
static gboolean
is_op(const InferNode *node, const char *name)
{
  return node && strcmp(node->op->name, name) == 0;
}

/* The operand of a node with two that is constant, and the other one. */
static InferTensor *
constant_of(const InferNode *node, InferTensor **other)
{
  if (node->n_inputs != 2 || !node->inputs[0] || !node->inputs[1] ||
      !node->inputs[0]->value == !node->inputs[1]->value)
    return NULL;
  *other = node->inputs[0]->value ? node->inputs[1] : node->inputs[0];
  return node->inputs[0]->value ? node->inputs[0] : node->inputs[1];
}

/* --- two in a row --- */

static gint
merge(InferNetwork *network, const InferUses *uses, InferNode *node, GError **error)
{
  InferTensor *between, *x, *a, *b = constant_of(node, &between);
  InferNode *first = b ? between->producer : NULL, *both;
  g_autofree char *name = NULL;

  if ((!is_op(node, "Mul") && !is_op(node, "Add")) || !first || first->op != node->op ||
      node->outputs[0]->type != INFER_TYPE_FLOAT || infer_uses_single(uses, between) != node ||
      !(a = constant_of(first, &x)))
    return 0;
  /* Two constants that are broadcast against each other make a larger one. */
  if (infer_array_count(a->value) > 1 && infer_array_count(b->value) > 1 &&
      !infer_dims_equal(&a->dims, &b->dims))
    return 0;
  name = g_strconcat(node->name, ".both", NULL);
  both = infer_network_add_node(network, node->op->name, name, (InferTensor *[]){a, b}, 2, NULL, 1,
                                error);
  if (!both)
    return -1;
  infer_node_set_inputs(node, (InferTensor *[]){x, both->outputs[0]}, 2);
  return 1;
}

/* --- in front of a convolution --- */

static gboolean
does_pad(const InferNode *conv)
{
  gsize n;
  const gint64 *pads = infer_node_get_ints(conv, "pads", &n);
  const char *mode = infer_node_get_string(conv, "auto_pad", "NOTSET");

  for (gsize i = 0; pads && i < n; i++)
    if (pads[i])
      return TRUE;
  return strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0;
}

/* What the node does to its operand: y = x * scale + shift; one of the two stays NULL. */
static gboolean
affine_of(const InferNode *node, const InferTensor *constant, gint rank, gint64 channels,
          float **scale, float **shift)
{
  gboolean second = node->inputs[1] == constant;
  g_autofree float *values = infer_pass_channel_values(constant, rank, channels);

  if (!values)
    return FALSE;
  if (is_op(node, "Mul") || (is_op(node, "Div") && second)) {
    for (gint64 c = 0; is_op(node, "Div") && c < channels; c++)
      values[c] = 1.0f / values[c];
    *scale = g_steal_pointer(&values);
    return TRUE;
  }
  if (!is_op(node, "Add") && !(is_op(node, "Sub") && second))
    return FALSE;
  for (gint64 c = 0; is_op(node, "Sub") && c < channels; c++)
    values[c] = -values[c];
  *shift = g_steal_pointer(&values);
  return TRUE;
}

static void
fold_weights(InferArray *weights, const InferArray *plain, gint64 groups, const float *scale,
             const float *shift, float *bias)
{
  gint64 out = plain->dims.d[0], in = plain->dims.d[1];
  gint64 window = out * in > 0 ? infer_array_count(plain) / (out * in) : 0;
  const float *src = plain->data;
  float *dst = weights->data;

  for (gint64 o = 0; o < out; o++) {
    double sum = 0;
    for (gint64 i = 0; i < in; i++) {
      gint64 channel = o / (out / groups) * in + i;
      for (gint64 k = 0; k < window; k++, src++, dst++) {
        *dst = scale ? *src * scale[channel] : *src;
        sum += shift ? (double)*src * (double)shift[channel] : 0;
      }
    }
    bias[o] += (float)sum;
  }
}

static gint
fold(InferNetwork *network, const InferUses *uses, InferNode *conv)
{
  InferTensor *y = conv->inputs[0], *x, *constant, *inputs[3];
  gint64 out = infer_pass_conv_channels(conv), groups = infer_node_get_int(conv, "group", 1);
  g_autofree float *scale = NULL;
  g_autofree float *shift = NULL;
  g_autoptr(InferArray) weights = NULL;
  g_autoptr(InferArray) bias = NULL;
  g_autofree char *name = g_strconcat(conv->name, ".bias", NULL);

  if (out <= 0 || groups <= 0 || out % groups || !y || !y->producer || y->dims.n < 3 ||
      infer_uses_single(uses, y) != conv || !(constant = constant_of(y->producer, &x)) ||
      x->dims.n != y->dims.n || !infer_dims_equal(&x->dims, &y->dims) ||
      !affine_of(y->producer, constant, y->dims.n, groups * conv->inputs[1]->dims.d[1], &scale,
                 &shift) ||
      (shift && does_pad(conv)))
    return 0;
  weights = infer_array_new(INFER_TYPE_FLOAT, &conv->inputs[1]->dims, NULL);
  bias = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(out), NULL);
  if (!weights || !bias)
    return 0;
  memset(bias->data, 0, bias->size);
  if (conv->n_inputs > 2 && conv->inputs[2])
    memcpy(bias->data, conv->inputs[2]->value->data, bias->size);
  fold_weights(weights, conv->inputs[1]->value, groups, scale, shift, bias->data);
  inputs[0] = x;
  inputs[1] = infer_network_add_constant(network, conv->inputs[1]->name, weights);
  inputs[2] = infer_network_add_constant(network, name, bias);
  infer_node_set_inputs(conv, inputs, 3);
  return 1;
}

gint
infer_pass_scale(InferNetwork *network, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  guint n = infer_network_get_n_nodes(network);
  gint changes = 0;

  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    gint change =
        is_op(node, "Conv") ? fold(network, uses, node) : merge(network, uses, node, error);

    if (change < 0)
      return -1;
    changes += change;
  }
  return changes;
}
