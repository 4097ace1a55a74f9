/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"

#include <string.h>

/* Layers with weights, pools, and what works element by element. */

typedef struct {
  gint64 kernel[2], strides[2], dilations[2], pads[4];
  const char *auto_pad;
} Window;

static void
pair(const UffImport *im, const UffNode *node, const char *name, gint64 values[2])
{
  gint64 list[4];
  gsize n = uff_ints(im, node, name, list, 4);

  /* Some writers count the batch and the channels in. */
  if (n == 4) {
    gboolean last = uff_channels_last(im, node, 0);
    values[0] = list[last ? 1 : 2];
    values[1] = list[last ? 2 : 3];
  } else if (n > 0) {
    values[0] = list[0];
    values[1] = list[n > 1 ? 1 : 0];
  }
}

static gboolean
read_window(const UffImport *im, const UffNode *node, Window *w, GError **error)
{
  const char *implicit = uff_string(im, node, "implicit_padding", NULL);
  gint64 pads[2] = {0, 0};

  *w = (Window){.strides = {1, 1}, .dilations = {1, 1}, .kernel = {0, 0}};
  pair(im, node, "kernel", w->kernel);
  pair(im, node, "strides", w->strides);
  pair(im, node, "dilation", w->dilations);
  pair(im, node, "padding", pads);
  for (guint i = 0; i < 4; i++) {
    w->pads[i] = pads[i % 2];
  }
  if (implicit && g_ascii_strcasecmp(implicit, "same") == 0) {
    w->auto_pad = "SAME_UPPER";
  } else if (implicit && g_ascii_strcasecmp(implicit, "valid") != 0) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED, "the padding '%s' is not known", implicit);
  }
  return TRUE;
}

static InferTensor *
image(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x =
      uff_channels_last(im, node, 0) ? uff_in_nchw(im, node, 0, error) : uff_in(im, node, 0, error);

  if (x && x->dims.n != 4) {
    uff_error(error, INFER_ERROR_SHAPE, "it reads %d dimensions, not the four of images",
              x->dims.n);
    return NULL;
  }
  return x;
}

/* The filter as [K, C, h, w]; its order in the file is that of TensorFlow or of Caffe. */
static InferTensor *
filter(UffImport *im, UffNode *node, GError **error)
{
  g_autoptr(InferArray) value =
      node->n_inputs > 1 && g_str_equal(node->inputs[1]->def->operation, "Const")
          ? uff_constant(im, node->inputs[1], error)
          : NULL;

  if (!value || value->dims.n != 4 || value->type != INFER_TYPE_FLOAT) {
    if (error && !*error) {
      uff_error(error, INFER_ERROR_UNSUPPORTED, "its filter is not a constant of four dimensions");
    }
    return NULL;
  }
  const InferUff__Data *data = uff_field(im, node, "inputs_orders");
  const InferUff__ListDimensionOrders *list = data ? data->dim_orders_list : NULL;
  const InferUff__ListInt64 *order =
      list && list->n_val > 1 && list->val[1]->n_orders > 0 ? list->val[1]->orders[0]->value : NULL;
  if (!order || order->n_val < 3 || order->val[0] == 0 || order->val[0] == 1) {
    return infer_network_add_constant(im->network, NULL, value);
  }
  /* Rows and columns first, then the channels and the outputs in either order. */
  gboolean outputs_last = order->val[order->n_val - 1] == 0;
  const gint64 *d = value->dims.d;
  gint64 outputs = d[outputs_last ? 3 : 2], channels = d[outputs_last ? 2 : 3], area = d[0] * d[1];
  g_autoptr(InferArray) to =
      infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(outputs, channels, d[0], d[1]), error);
  if (!to) {
    return NULL;
  }
  for (gint64 k = 0; k < outputs; k++) {
    for (gint64 c = 0; c < channels; c++) {
      for (gint64 i = 0; i < area; i++) {
        gint64 at = (i * d[2] + (outputs_last ? c : k)) * d[3] + (outputs_last ? k : c);
        ((float *)to->data)[(k * channels + c) * area + i] = ((const float *)value->data)[at];
      }
    }
  }
  return infer_network_add_constant(im->network, NULL, to);
}

static gboolean
emit_conv(UffImport *im, UffNode *node, GError **error)
{
  gint64 group = uff_int(im, node, "number_groups", 1);
  Window w;

  if (!read_window(im, node, &w, error)) {
    return FALSE;
  }
  InferTensor *x = image(im, node, error);
  InferTensor *weights = x ? filter(im, node, error) : NULL;
  if (!weights) {
    return FALSE;
  }
  if (group > 1 && weights->dims.d[1] > 1 && weights->dims.d[1] == x->dims.d[1]) {
    /* A filter for each channel, written as [h, w, C, multiplier]. */
    gint64 dims[4] = {weights->dims.d[1] * weights->dims.d[0], 1, weights->dims.d[2],
                      weights->dims.d[3]};
    InferTensor *swapped = uff_add1(
        im, node, "Transpose", infer_attrs_new("perm", 'I', (gint64[]){1, 0, 2, 3}, (gsize)4, NULL),
        weights, error);
    weights = uff_add2(im, node, "Reshape", NULL, swapped, uff_list(im, dims, 4), error);
  }
  GVariant *attrs = infer_attrs_new("group", 'i', group, "strides", 'I', w.strides, (gsize)2,
                                    "dilations", 'I', w.dilations, (gsize)2,
                                    w.auto_pad ? NULL : "pads", 'I', w.pads, (gsize)4, NULL);
  if (w.auto_pad) {
    g_variant_unref(g_variant_ref_sink(attrs));
    attrs = infer_attrs_new("group", 'i', group, "strides", 'I', w.strides, (gsize)2, "dilations",
                            'I', w.dilations, (gsize)2, "auto_pad", 's', w.auto_pad, NULL);
  }
  return uff_out(node, uff_add2(im, node, "Conv", attrs, x, weights, error),
                 uff_channels_last(im, node, 0));
}

static gboolean
emit_pool(UffImport *im, UffNode *node, GError **error)
{
  const char *func = uff_string(im, node, "func", "");
  gboolean average = g_str_equal(func, "avg");
  Window w;

  if (!average && !g_str_equal(func, "max")) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED, "the function '%s' is not known", func);
  }
  if (!read_window(im, node, &w, error)) {
    return FALSE;
  }
  const char *name = w.auto_pad ? "auto_pad" : "pads";
  GVariant *attrs = w.auto_pad
                        ? infer_attrs_new("kernel_shape", 'I', w.kernel, (gsize)2, "strides", 'I',
                                          w.strides, (gsize)2, name, 's', w.auto_pad, NULL)
                        : infer_attrs_new("kernel_shape", 'I', w.kernel, (gsize)2, "strides", 'I',
                                          w.strides, (gsize)2, name, 'I', w.pads, (gsize)4, NULL);
  InferTensor *x = image(im, node, error);
  return uff_out(node, uff_add1(im, node, average ? "AveragePool" : "MaxPool", attrs, x, error),
                 uff_channels_last(im, node, 0));
}

static gboolean
emit_fully_connected(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x = uff_in(im, node, 0, error);
  InferTensor *weights = x ? uff_in(im, node, 1, error) : NULL;
  const InferUff__Data *data = uff_field(im, node, "inputs_orders");
  const InferUff__ListDimensionOrders *list = data ? data->dim_orders_list : NULL;
  const InferUff__ListInt64 *order =
      list && list->n_val > 1 && list->val[1]->n_orders > 0 ? list->val[1]->orders[0]->value : NULL;

  if (!weights) {
    return FALSE;
  }
  if (x->dims.n != 2 || weights->dims.n != 2) {
    return uff_error(error, INFER_ERROR_SHAPE, "it reads %d and %d dimensions, not two matrices",
                     x->dims.n, weights->dims.n);
  }
  /* Rows of weights are outputs where their order begins with 0. */
  gboolean by_outputs = order && order->n_val > 0 && order->val[0] == 0;
  GVariant *attrs = infer_attrs_new("transB", 'i', (gint64)by_outputs, NULL);
  return uff_out(node, uff_add2(im, node, "Gemm", attrs, x, weights, error), FALSE);
}

typedef struct {
  const char *func;
  const char *op;
} Name;

static const char *
find(const Name *names, const char *func)
{
  for (; names->func; names++) {
    if (g_ascii_strcasecmp(names->func, func) == 0) {
      return names->op;
    }
  }
  return NULL;
}

/* One input, in whichever form it has. */
static gboolean
pointwise(UffImport *im, UffNode *node, const char *op, GVariant *attrs, GError **error)
{
  gboolean nchw = node->n_inputs > 0 && node->inputs[0]->nchw;
  InferTensor *x = nchw ? node->inputs[0]->nchw : uff_in(im, node, 0, error);

  return uff_out(node, uff_add1(im, node, op, attrs, x, error), nchw);
}

static gboolean
emit_activation(UffImport *im, UffNode *node, GError **error)
{
  static const Name names[] = {{"relu", "Relu"},         {"sigmoid", "Sigmoid"},
                               {"tanh", "Tanh"},         {"elu", "Elu"},
                               {"selu", "Selu"},         {"softplus", "Softplus"},
                               {"softsign", "Softsign"}, {"leakyrelu", "LeakyRelu"},
                               {"lrelu", "LeakyRelu"},   {NULL, NULL}};
  const char *func = uff_string(im, node, "func", "");
  const char *op = find(names, func);

  if (g_ascii_strcasecmp(func, "relu6") == 0) {
    gboolean nchw = node->n_inputs > 0 && node->inputs[0]->nchw;
    g_autoptr(InferArray) low = infer_array_new_float(0);
    g_autoptr(InferArray) high = infer_array_new_float(6);
    InferTensor *in[3] = {nchw ? node->inputs[0]->nchw : uff_in(im, node, 0, error), NULL, NULL};
    if (!in[0]) {
      return FALSE;
    }
    in[1] = infer_network_add_constant(im->network, NULL, low);
    in[2] = infer_network_add_constant(im->network, NULL, high);
    return uff_out(node, uff_add(im, node, "Clip", NULL, in, 3, error), nchw);
  }
  if (!op) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED, "the function '%s' is not known", func);
  }
  gboolean leaky = g_str_equal(op, "LeakyRelu");
  double alpha = uff_double(im, node, "alpha", 0.2);
  return pointwise(im, node, op, leaky ? infer_attrs_new("alpha", 'f', alpha, NULL) : NULL, error);
}

static gboolean
emit_leaky(UffImport *im, UffNode *node, GError **error)
{
  double alpha = uff_double(im, node, "alpha", 0.2);

  return pointwise(im, node, "LeakyRelu", infer_attrs_new("alpha", 'f', alpha, NULL), error);
}

static gboolean
emit_unary(UffImport *im, UffNode *node, GError **error)
{
  static const Name names[] = {
      {"neg", "Neg"},          {"exp", "Exp"},     {"log", "Log"},
      {"abs", "Abs"},          {"sqrt", "Sqrt"},   {"reciprocal", "Reciprocal"},
      {"recip", "Reciprocal"}, {"sin", "Sin"},     {"cos", "Cos"},
      {"tan", "Tan"},          {"asin", "Asin"},   {"acos", "Acos"},
      {"atan", "Atan"},        {"sinh", "Sinh"},   {"cosh", "Cosh"},
      {"asinh", "Asinh"},      {"acosh", "Acosh"}, {"atanh", "Atanh"},
      {"ceil", "Ceil"},        {"floor", "Floor"}, {NULL, NULL}};
  const char *func = uff_string(im, node, "func", "");
  const char *op = find(names, func);

  if (g_ascii_strcasecmp(func, "rsqrt") == 0) {
    InferTensor *root = uff_add1(im, node, "Sqrt", NULL, uff_in(im, node, 0, error), error);
    return uff_out(node, uff_add1(im, node, "Reciprocal", NULL, root, error), FALSE);
  }
  return op ? pointwise(im, node, op, NULL, error)
            : uff_error(error, INFER_ERROR_UNSUPPORTED, "the function '%s' is not known", func);
}

/* A constant of one dimension goes along the channels; as [C, 1, 1] it does so in the other form.
 */
static InferTensor *
operand_nchw(UffImport *im, UffNode *node, guint index, GError **error)
{
  UffNode *from = node->inputs[index];

  if (from->nchw || !from->plain || from->plain->dims.n == 0 || from->plain->dims.n > 1) {
    return from->nchw || !from->plain || from->plain->dims.n > 1
               ? uff_in_nchw(im, node, index, error)
               : from->plain;
  }
  gint64 dims[3] = {-1, 1, 1};
  return uff_add2(im, node, "Reshape", NULL, from->plain, uff_list(im, dims, 3), error);
}

static gboolean
emit_binary(UffImport *im, UffNode *node, GError **error)
{
  static const Name names[] = {{"add", "Add"}, {"sub", "Sub"}, {"mul", "Mul"}, {"div", "Div"},
                               {"min", "Min"}, {"max", "Max"}, {"pow", "Pow"}, {NULL, NULL}};
  const char *func = uff_string(im, node, "func", "");
  const char *op = find(names, func);
  InferTensor *in[2] = {NULL, NULL};
  gboolean nchw = FALSE;

  if (!op || node->n_inputs != 2) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED, "the function '%s' of %u inputs is not known",
                     func, node->n_inputs);
  }
  /* Both as they are in the file, unless one is an image that a layer made and the other fits it.
   */
  for (guint i = 0; i < 2; i++) {
    gint rank = uff_rank(node, 1 - i);
    nchw = nchw || (node->inputs[i]->nchw && (rank == 0 || rank == 1 || rank == uff_rank(node, i)));
  }
  for (guint i = 0; i < 2; i++) {
    in[i] = nchw ? operand_nchw(im, node, i, error) : uff_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  return uff_out(node, uff_add(im, node, op, NULL, in, 2, error), nchw);
}

static gboolean
emit_batch_norm(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *in[5] = {NULL};
  gboolean last = uff_channels_last(im, node, 0) || (node->n_inputs > 0 && node->inputs[0]->nchw);

  for (guint i = 0; i < 5; i++) {
    in[i] = i == 0 && last ? uff_in_nchw(im, node, 0, error) : uff_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("epsilon", 'f', uff_double(im, node, "epsilon", 1e-3), NULL);
  return uff_out(node, uff_add(im, node, "BatchNormalization", attrs, in, 5, error), last);
}

const UffOp uff_ops_layers[] = {
    {"Conv", emit_conv},
    {"Pool", emit_pool},
    {"FullyConnected", emit_fully_connected},
    {"Activation", emit_activation},
    {"LeakyRelu", emit_leaky},
    {"Unary", emit_unary},
    {"Binary", emit_binary},
    {"BatchNorm", emit_batch_norm},
    {NULL, NULL},
};
