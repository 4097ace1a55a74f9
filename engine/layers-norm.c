/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

/* Normalizations, reductions, and recurrent layers. */

InferTensor *
infer_network_add_lrn(InferNetwork *network, InferTensor *input, gint64 window, double alpha,
                      double beta, double k, const char *name, GError **error)
{
  INFER_LAYER("lrn");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("LRN",
                    INFER_ATTRS(INFER_INT("size", window), INFER_REAL("alpha", alpha),
                                INFER_REAL("beta", beta), INFER_REAL("bias", k)),
                    input);
}

InferTensor *
infer_network_add_batch_normalization(InferNetwork *network, InferTensor *input, InferArray *scale,
                                      InferArray *shift, InferArray *mean, InferArray *variance,
                                      double epsilon, const char *name, GError **error)
{
  INFER_LAYER("batch normalization");
  InferArray *const arrays[] = {scale, shift, mean, variance};
  static const char *const whats[] = {"scale", "shift", "mean", "variance"};
  InferTensor *inputs[5] = {input};
  InferDims dims = {.n = 1};

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  dims.d[0] = input->dims.n > 1 ? input->dims.d[1] : -1;
  for (guint i = 0; i < G_N_ELEMENTS(arrays); i++)
    inputs[i + 1] =
        infer_layer_constant(&layer, whats[i], arrays[i], dims.d[0] >= 0 ? &dims : NULL);
  return infer_layer_last(&layer, "BatchNormalization", inputs, 5,
                          INFER_ATTRS(INFER_REAL("epsilon", epsilon)));
}

/* A tensor of zeros with the dimensions of @scale, where an operator has to have a bias. */
static InferTensor *
zeros_like(InferLayer *layer, const InferTensor *scale)
{
  g_autoptr(InferArray) zeros = NULL;

  if (!infer_dims_is_constant(&scale->dims)) {
    infer_layer_error(layer, INFER_ERROR_SHAPE, "a bias is needed: the scale's dimensions vary");
    return NULL;
  }
  zeros = infer_array_new(scale->type, &scale->dims, layer->error);
  layer->failed = layer->failed || !zeros;
  return zeros ? infer_layer_constant(layer, "bias", zeros, NULL) : NULL;
}

InferTensor *
infer_network_add_normalization(InferNetwork *network, InferTensor *input, InferNormalization kind,
                                InferTensor *scale, InferTensor *bias, gint64 axis, gint64 n_groups,
                                double epsilon, const char *name, GError **error)
{
  INFER_LAYER("normalization");
  InferTensor *inputs[] = {input, scale, bias};

  if (!infer_layer_needs(&layer, input, scale, INFER_LAYER_END) ||
      !infer_layer_allows(&layer, bias) || !infer_layer_choice(&layer, "kind", (int)kind, 4))
    return NULL;
  if (kind == INFER_NORMALIZATION_RMS && bias) {
    infer_layer_error(&layer, INFER_ERROR_ARGUMENT, "root-mean-square normalization has no bias");
    return NULL;
  }
  if (kind <= INFER_NORMALIZATION_GROUP && !bias)
    inputs[2] = zeros_like(&layer, scale);
  switch (kind) {
  case INFER_NORMALIZATION_INSTANCE:
    return infer_layer_last(&layer, "InstanceNormalization", inputs, 3,
                            INFER_ATTRS(INFER_REAL("epsilon", epsilon)));
  case INFER_NORMALIZATION_GROUP:
    return infer_layer_last(
        &layer, "GroupNormalization", inputs, 3,
        INFER_ATTRS(INFER_REAL("epsilon", epsilon), INFER_INT("num_groups", n_groups)));
  case INFER_NORMALIZATION_LAYER:
    return infer_layer_last(&layer, "LayerNormalization", inputs, bias ? 3 : 2,
                            INFER_ATTRS(INFER_REAL("epsilon", epsilon), INFER_INT("axis", axis)));
  default:
    return infer_layer_last(&layer, "RMSNormalization", inputs, 2,
                            INFER_ATTRS(INFER_REAL("epsilon", epsilon), INFER_INT("axis", axis)));
  }
}

InferTensor *
infer_network_add_soft_max(InferNetwork *network, InferTensor *input, gint64 axis,
                           gboolean logarithm, const char *name, GError **error)
{
  INFER_LAYER("softmax");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST(logarithm ? "LogSoftmax" : "Softmax", INFER_ATTRS(INFER_INT("axis", axis)),
                    input);
}

static const char *const reduce_ops[] = {
    [INFER_REDUCE_SUM] = "ReduceSum",        [INFER_REDUCE_PROD] = "ReduceProd",
    [INFER_REDUCE_MAX] = "ReduceMax",        [INFER_REDUCE_MIN] = "ReduceMin",
    [INFER_REDUCE_AVG] = "ReduceMean",       [INFER_REDUCE_L1] = "ReduceL1",
    [INFER_REDUCE_L2] = "ReduceL2",          [INFER_REDUCE_SUM_SQUARE] = "ReduceSumSquare",
    [INFER_REDUCE_LOG_SUM] = "ReduceLogSum", [INFER_REDUCE_LOG_SUM_EXP] = "ReduceLogSumExp",
};

InferTensor *
infer_network_add_reduce(InferNetwork *network, InferTensor *input, InferReduce operation,
                         const InferDims *axes, gboolean keep_dimensions, const char *name,
                         GError **error)
{
  INFER_LAYER("reduce");
  InferTensor *inputs[2] = {input};

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation, G_N_ELEMENTS(reduce_ops)) ||
      (axes && !infer_layer_list(&layer, "axes", axes, -1)))
    return NULL;
  /* An empty list means none here, and would mean all there. */
  if (axes && axes->n == 0)
    return INFER_LAST("Identity", NULL, input);
  if (axes)
    inputs[1] = infer_layer_list_constant(&layer, axes);
  return infer_layer_last(&layer, reduce_ops[operation], inputs, axes ? 2 : 1,
                          INFER_ATTRS(INFER_INT("keepdims", keep_dimensions != FALSE)));
}

InferTensor *
infer_network_add_cumulative(InferNetwork *network, InferTensor *input, gint64 axis,
                             gboolean exclusive, gboolean reverse, const char *name, GError **error)
{
  INFER_LAYER("cumulative");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("CumSum",
                    INFER_ATTRS(INFER_INT("exclusive", exclusive != FALSE),
                                INFER_INT("reverse", reverse != FALSE)),
                    input, infer_layer_number(&layer, INFER_TYPE_INT64, (double)axis));
}

/* --- recurrent layers --- */

static const struct {
  const char *op;
  guint gates;
} cells[] = {
    [INFER_RNN_KIND_RELU] = {"RNN", 1},       [INFER_RNN_KIND_TANH] = {"RNN", 1},
    [INFER_RNN_KIND_LSTM] = {"LSTM", 4},      [INFER_RNN_KIND_GRU] = {"GRU", 3},
    [INFER_RNN_KIND_GRU_LINEAR] = {"GRU", 3},
};

static GVariant *
cell_attrs(InferRnnKind kind, InferRnnDirection direction, gint64 hidden_size)
{
  static const char *const directions[] = {"forward", "reverse", "bidirectional"};
  static const char *const relu[] = {"Relu", "Relu", NULL};
  GVariantBuilder attrs;

  g_variant_builder_init(&attrs, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&attrs, "{sv}", "direction", g_variant_new_string(directions[direction]));
  g_variant_builder_add(&attrs, "{sv}", "hidden_size", g_variant_new_int64(hidden_size));
  if (kind == INFER_RNN_KIND_RELU)
    g_variant_builder_add(
        &attrs, "{sv}", "activations",
        g_variant_new_strv(relu, direction == INFER_RNN_DIRECTION_BIDIRECTIONAL ? 2 : 1));
  if (kind == INFER_RNN_KIND_GRU_LINEAR)
    g_variant_builder_add(&attrs, "{sv}", "linear_before_reset", g_variant_new_int64(1));
  return g_variant_builder_end(&attrs);
}

static gboolean
check_cell(InferLayer *layer, const InferTensor *input, InferRnnKind kind,
           InferRnnDirection direction, gint64 hidden_size, const InferTensor *cell)
{
  if (!infer_layer_choice(layer, "kind", (int)kind, G_N_ELEMENTS(cells)) ||
      !infer_layer_choice(layer, "direction", (int)direction, 3))
    return FALSE;
  if (hidden_size < 1 || hidden_size > G_MAXINT32)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT,
                             "the hidden size is %" G_GINT64_FORMAT ", 1 at least is needed",
                             hidden_size);
  if (input->dims.n >= 0 && input->dims.n != 3)
    return infer_layer_error(layer, INFER_ERROR_SHAPE,
                             "the input has %d dimensions, 3 are needed: steps, batch, features",
                             input->dims.n);
  if (cell && kind != INFER_RNN_KIND_LSTM)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "only an LSTM has a cell");
  return TRUE;
}

InferNode *
infer_network_add_rnn(InferNetwork *network, InferTensor *input, InferRnnKind kind,
                      InferRnnDirection direction, gint64 hidden_size, InferArray *weights,
                      InferArray *recurrence, InferArray *bias, InferTensor *lengths,
                      InferTensor *hidden, InferTensor *cell, const char *name, GError **error)
{
  INFER_LAYER("rnn");
  InferTensor *inputs[7] = {input, NULL, NULL, NULL, lengths, hidden, cell};
  gint64 n_directions, rows, features;
  guint n = 7;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) || !infer_layer_allows(&layer, lengths) ||
      !infer_layer_allows(&layer, hidden) || !infer_layer_allows(&layer, cell) ||
      !check_cell(&layer, input, kind, direction, hidden_size, cell))
    return NULL;
  n_directions = direction == INFER_RNN_DIRECTION_BIDIRECTIONAL ? 2 : 1;
  rows = cells[kind].gates * hidden_size;
  features = input->dims.n == 3 ? input->dims.d[2] : -1;
  inputs[1] = infer_layer_constant(
      &layer, "weights", weights, features >= 0 ? &INFER_DIMS(n_directions, rows, features) : NULL);
  inputs[2] = infer_layer_constant(&layer, "recurrence", recurrence,
                                   &INFER_DIMS(n_directions, rows, hidden_size));
  if (bias)
    inputs[3] = infer_layer_constant(&layer, "bias", bias, &INFER_DIMS(n_directions, 2 * rows));
  while (!inputs[n - 1] && n > 3)
    n--;
  return infer_layer_node(&layer, cells[kind].op, inputs, n,
                          cell_attrs(kind, direction, hidden_size),
                          kind == INFER_RNN_KIND_LSTM ? 3 : 2);
}
