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

/* The constant behind an input, whatever names it has been given on the way. */
static InferArray *
constant_input(UffImport *im, const UffNode *node, guint index, GError **error)
{
  const UffNode *from = index < node->n_inputs ? node->inputs[index] : NULL;

  for (guint i = 0; from && g_str_equal(from->def->operation, "Identity") && i < 64; i++) {
    from = from->n_inputs == 1 ? from->inputs[0] : NULL;
  }
  return from && g_str_equal(from->def->operation, "Const") ? uff_constant(im, from, error) : NULL;
}

/* The filter as [K, C, h, w], or [C, K, h, w] for a transposed one; its order in the file is that
 * of TensorFlow or of Caffe. */
static InferTensor *
filter(UffImport *im, UffNode *node, guint index, gboolean transposed, GError **error)
{
  g_autoptr(InferArray) value = constant_input(im, node, index, error);

  if (!value || value->dims.n != 4 || value->type != INFER_TYPE_FLOAT) {
    if (error && !*error) {
      uff_error(error, INFER_ERROR_UNSUPPORTED, "its filter is not a constant of four dimensions");
    }
    return NULL;
  }
  gint64 order[UFF_MAX_ORDER];
  gsize n = uff_order(im, node, 1, order);
  gint seen = 0;
  for (gsize i = 0; i < n; i++) {
    seen |= 1 << CLAMP(order[i], 0, 3);
  }
  if (n > 0 && (n != 3 || seen != (1 << 0 | 1 << 1 | 1 << UFF_REST))) {
    uff_error(error, INFER_ERROR_MODEL, "the order of its filter's dimensions is not one of them");
    return NULL;
  }
  gint outputs = 0, channels = 1, rows = 2;
  for (gint i = 0, at = 0; n && i < 3; i++) {
    gint *place = order[i] == 0 ? &outputs : order[i] == 1 ? &channels : &rows;
    *place = at;
    at += place == &rows ? 2 : 1;
  }
  gint64 strides[4] = {0, 0, 0, 1};
  const gint64 *d = value->dims.d;
  for (gint i = 2; i >= 0; i--) {
    strides[i] = strides[i + 1] * d[i + 1];
  }
  if (transposed) {
    gint swap = outputs;
    outputs = channels;
    channels = swap;
  }
  if (outputs == 0 && channels == 1) {
    return infer_network_add_constant(im->network, NULL, value);
  }
  const InferDims dims = INFER_DIMS(d[outputs], d[channels], d[rows], d[rows + 1]);
  const gint64 from[4] = {strides[outputs], strides[channels], strides[rows], strides[rows + 1]};
  g_autoptr(InferArray) to = infer_array_new(INFER_TYPE_FLOAT, &dims, error);
  if (!to) {
    return NULL;
  }
  gint64 count = infer_array_count(to);
  for (gint64 i = 0; i < count; i++) {
    gint64 left = i, at = 0;
    for (gint k = 3; k >= 0; k--) {
      at += left % dims.d[k] * from[k];
      left /= dims.d[k];
    }
    ((float *)to->data)[i] = ((const float *)value->data)[at];
  }
  return infer_network_add_constant(im->network, NULL, to);
}

/* Graphs for TensorRT may have an input whose channels come first, before layers that want them
 * last: there the parser was told so by its user. The filter tells it here. */
static void
settle_input(const UffImport *im, UffNode *node, gint64 channels)
{
  UffNode *from = node->inputs[0];

  if (uff_channels_last(im, node, 0) && g_str_equal(from->def->operation, "Input") && from->plain &&
      !from->nchw && from->plain->dims.n == 4 && from->plain->dims.d[1] == channels &&
      from->plain->dims.d[3] != channels) {
    from->nchw = from->plain;
    from->plain = NULL;
  }
}

static gboolean
emit_conv(UffImport *im, UffNode *node, GError **error)
{
  gint64 group = uff_int(im, node, "number_groups", 1);
  Window w;

  if (!read_window(im, node, &w, error)) {
    return FALSE;
  }
  InferTensor *weights = filter(im, node, 1, FALSE, error);
  if (!weights) {
    return FALSE;
  }
  settle_input(im, node, weights->dims.d[1]);
  InferTensor *x = image(im, node, error);
  if (!x) {
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
  gint64 left[UFF_MAX_ORDER], right[UFF_MAX_ORDER];
  gsize n_left = uff_order(im, node, 0, left), n_right = uff_order(im, node, 1, right);

  if (!weights) {
    return FALSE;
  }
  if (x->dims.n != 2 || weights->dims.n != 2) {
    return uff_error(error, INFER_ERROR_SHAPE, "it reads %d and %d dimensions, not two matrices",
                     x->dims.n, weights->dims.n);
  }
  /* Rows of the input are images, and those of weights outputs, where their orders begin with 0. */
  gint64 by_channels = n_left == 2 && left[0] == 1, by_outputs = n_right == 2 && right[0] == 0;
  GVariant *attrs = infer_attrs_new("transA", 'i', by_channels, "transB", 'i', by_outputs, NULL);
  return uff_out(node, uff_add2(im, node, "Gemm", attrs, x, weights, error), FALSE);
}

static gboolean
emit_mat_mul(UffImport *im, UffNode *node, GError **error)
{
  InferTensor *x = uff_in(im, node, 0, error);

  if (x && x->dims.n == 2 && uff_field(im, node, "inputs_orders")) {
    return emit_fully_connected(im, node, error);
  }
  return uff_out(
      node, uff_add2(im, node, "MatMul", NULL, x, x ? uff_in(im, node, 1, error) : NULL, error),
      FALSE);
}

/* What a transposed convolution takes off its output's borders and adds to its end, so that the
 * convolution of TensorFlow that it is the gradient of would give the input's size. */
static gboolean
trim(const InferTensor *x, const InferTensor *weights, const gint64 *wanted, gboolean same,
     const Window *w, gint64 pads[4], gint64 extra[2], GError **error)
{
  for (gint i = 0; i < 2; i++) {
    gint64 in = x->dims.d[i + 2], kernel = weights->dims.d[i + 2];
    gint64 full = 0, span = 0;
    if (in < 1 || w->strides[i] < 1 || w->dilations[i] < 1 ||
        __builtin_mul_overflow(in - 1, w->strides[i], &full) ||
        __builtin_mul_overflow(kernel - 1, w->dilations[i], &span) ||
        __builtin_add_overflow(full, span + 1, &full)) {
      return uff_error(error, INFER_ERROR_SHAPE, "the size of its image is not known");
    }
    gint64 out = wanted ? wanted[i] : same ? in * w->strides[i] : MAX(full, in * w->strides[i]);
    gint64 off = same ? MAX(full - out, 0) : 2 * w->pads[i];
    pads[i] = off / 2;
    pads[i + 2] = off - off / 2;
    extra[i] = out - (full - off);
    if (!wanted && !same) {
      extra[i] = MAX(w->strides[i] - span - 1, 0);
    }
    if (out < 1 || extra[i] < 0 || extra[i] >= MAX(w->strides[i], w->dilations[i])) {
      return uff_error(error, INFER_ERROR_SHAPE,
                       "%" G_GINT64_FORMAT " pixels cannot become %" G_GINT64_FORMAT, in, out);
    }
  }
  return TRUE;
}

/* Inputs: image, filter, and the dimensions of the output; some graphs have the last two swapped.
 */
static gboolean
emit_conv_transpose(UffImport *im, UffNode *node, GError **error)
{
  gint64 group = uff_int(im, node, "number_groups", 1), sizes[4], pads[4], extra[2];
  g_autoptr(InferArray) first = constant_input(im, node, 1, NULL);
  guint at = first && first->dims.n == 4 ? 1 : 2;
  gboolean last = uff_channels_last(im, node, 0);
  Window w;

  if (!read_window(im, node, &w, error)) {
    return FALSE;
  }
  InferTensor *weights = filter(im, node, at, TRUE, error);
  InferTensor *x = weights ? image(im, node, error) : NULL;
  if (!x) {
    return FALSE;
  }
  g_autoptr(InferArray) shape = constant_input(im, node, 3 - at, NULL);
  gint64 n = shape && infer_type_is_integer(shape->type) ? infer_array_count(shape) : 0;
  for (gint64 i = 0; i < MIN(n, 4); i++) {
    sizes[i] = infer_array_get_int(shape, (gsize)i);
  }
  const gint64 *wanted = n == 2 ? sizes : n == 4 ? sizes + (last ? 1 : 2) : NULL;
  if (!trim(x, weights, wanted, w.auto_pad != NULL, &w, pads, extra, error)) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("group", 'i', group, "strides", 'I', w.strides, (gsize)2,
                                    "dilations", 'I', w.dilations, (gsize)2, "pads", 'I', pads,
                                    (gsize)4, "output_padding", 'I', extra, (gsize)2, NULL);
  return uff_out(node, uff_add2(im, node, "ConvTranspose", attrs, x, weights, error), last);
}

/* Over the channels; the window is TensorFlow's radius, which is what the format's only writer
 * puts there, and alpha counts for each of its elements. */
static gboolean
emit_lrn(UffImport *im, UffNode *node, GError **error)
{
  gint64 radius = uff_int(im, node, "window_size", 5);
  gboolean last = uff_channels_last(im, node, 0) || im->channels_last ||
                  (node->n_inputs && node->inputs[0]->nchw);

  if (radius < 0 || radius > 1 << 16) {
    return uff_error(error, INFER_ERROR_MODEL, "its window is %" G_GINT64_FORMAT, radius);
  }
  gint64 size = 2 * radius + 1;
  GVariant *attrs = infer_attrs_new(
      "size", 'i', size, "alpha", 'f', uff_double(im, node, "alpha", 1) * (double)size, "beta", 'f',
      uff_double(im, node, "beta", 0.5), "bias", 'f', uff_double(im, node, "k", 1), NULL);
  InferTensor *x = last ? uff_in_nchw(im, node, 0, error) : uff_in(im, node, 0, error);
  return uff_out(node, uff_add1(im, node, "LRN", attrs, x, error), last);
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
      {"ceil", "Ceil"},        {"floor", "Floor"}, {"sign", "Sign"},
      {"round", "Round"},      {"erf", "Erf"},     {NULL, NULL}};
  const char *func = uff_string(im, node, "func", "");
  const char *op = find(names, func);

  if (g_ascii_strcasecmp(func, "rsqrt") == 0) {
    InferTensor *root = uff_add1(im, node, "Sqrt", NULL, uff_in(im, node, 0, error), error);
    return uff_out(node, uff_add1(im, node, "Reciprocal", NULL, root, error), FALSE);
  }
  if (g_ascii_strcasecmp(func, "square") == 0) {
    gboolean nchw = node->n_inputs > 0 && node->inputs[0]->nchw;
    InferTensor *x = nchw ? node->inputs[0]->nchw : uff_in(im, node, 0, error);
    return uff_out(node, uff_add2(im, node, "Mul", NULL, x, x, error), nchw);
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
    {"ConvTranspose", emit_conv_transpose},
    {"LRN", emit_lrn},
    {"FullyConnected", emit_fully_connected},
    {"MatMul", emit_mat_mul},
    {"Activation", emit_activation},
    {"LeakyRelu", emit_leaky},
    {"Unary", emit_unary},
    {"Binary", emit_binary},
    {"BatchNorm", emit_batch_norm},
    {NULL, NULL},
};
