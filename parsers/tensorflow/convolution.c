/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "window.h"

/* Convolutions, their biases, and batch normalization. They put out the NCHW form. */

/* How the filter of a convolution stands against ONNX's order. */
typedef struct {
  InferTensor *weights; /* [out, in / group, height, width] */
  gint64 group;
} Filter;

static gboolean
plain_filter(TfImport *im, TfNode *node, InferTensor *filter, gint64 channels, Filter *result,
             GError **error)
{
  static const gint64 perm[4] = {3, 2, 0, 1};
  gint64 in = filter->dims.d[2];

  result->group = 1;
  if (channels > 0 && channels != in) {
    if (in <= 0 || channels % in != 0) {
      return tf_error(error, INFER_ERROR_SHAPE,
                      "the filter reads %" G_GINT64_FORMAT
                      " channels, the image has %" G_GINT64_FORMAT,
                      in, channels);
    }
    result->group = channels / in;
  }
  result->weights = tf_transpose(im, node, "weights", filter, perm, 4, error);
  return result->weights != NULL;
}

/* [height, width, in, multiplier] becomes [in * multiplier, 1, height, width]. */
static gboolean
depthwise_filter(TfImport *im, TfNode *node, InferTensor *filter, gint64 channels, Filter *result,
                 GError **error)
{
  static const gint64 perm[4] = {2, 3, 0, 1};
  const gint64 *d = filter->dims.d;
  gint64 out = 0;

  if (__builtin_mul_overflow(d[2], d[3], &out) || out <= 0) {
    return tf_error(error, INFER_ERROR_MODEL, "the filter is empty or too large");
  }
  result->group = d[2];
  InferTensor *turned = tf_transpose(im, node, "turned", filter, perm, 4, error);
  if (!turned) {
    return FALSE;
  }
  InferTensor *shape = tf_ints(im, node, "shape", (gint64[]){out, 1, d[0], d[1]}, 4);
  result->weights = tf_add2(im, node, "weights", "Reshape", NULL, turned, shape, error);
  return result->weights != NULL;
}

static gboolean
convolve(TfImport *im, TfNode *node, gboolean depthwise, GError **error)
{
  TfWindow window;
  Filter filter;

  if (!tf_window_read(node, NULL, &window, error)) {
    return FALSE;
  }
  InferTensor *image = tf_window_input(im, node, 0, &window, error);
  InferTensor *weights = image ? tf_in(im, node, 1, error) : NULL;
  if (!weights) {
    return FALSE;
  }
  if (weights->dims.n != 4 || !infer_dims_is_constant(&weights->dims)) {
    return tf_error(error, INFER_ERROR_SHAPE, "the filter needs 4 constant dimensions");
  }
  gint64 channels = image->dims.n == 4 ? image->dims.d[1] : -1;
  if (!(depthwise ? depthwise_filter : plain_filter)(im, node, weights, channels, &filter, error)) {
    return FALSE;
  }
  GVariant *attrs = tf_window_attrs(&window, filter.group);
  InferTensor *out = tf_add2(im, node, NULL, "Conv", attrs, image, filter.weights, error);
  return tf_window_output(im, node, &window, out, error);
}

static gboolean
emit_conv2d(TfImport *im, TfNode *node, GError **error)
{
  return convolve(im, node, FALSE, error);
}

static gboolean
emit_depthwise(TfImport *im, TfNode *node, GError **error)
{
  return convolve(im, node, TRUE, error);
}

/* The bias lies along the channels: last in NHWC, second in NCHW. */
static gboolean
emit_bias_add(TfImport *im, TfNode *node, GError **error)
{
  gboolean first = tf_attr_is(node, "data_format", "NCHW", FALSE);
  gboolean nchw = !first && tf_has_nchw(node, 0);
  InferTensor *input = nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);
  InferTensor *bias = input ? tf_in(im, node, 1, error) : NULL;

  if (!bias) {
    return FALSE;
  }
  if (bias->dims.n != 1) {
    return tf_error(error, INFER_ERROR_SHAPE, "the bias is not a vector");
  }
  if (nchw || first) {
    gint spread = (nchw ? 4 : input->dims.n) - 2;
    if (spread < 0 || spread > 3) {
      return tf_error(error, INFER_ERROR_SHAPE, "the input has no channels in the second place");
    }
    bias = tf_unsqueeze(im, node, "bias", bias, (const gint64[]){1, 2, 3}, (gsize)spread, error);
  }
  return bias && tf_out_as(node, 0, tf_add2(im, node, NULL, "Add", NULL, input, bias, error), nchw);
}

static gboolean
emit_batch_norm(TfImport *im, TfNode *node, GError **error)
{
  gboolean first = tf_attr_is(node, "data_format", "NCHW", FALSE);
  InferTensor *inputs[5] = {NULL};

  if (tf_attr_bool(node, "is_training", TRUE)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "it is in training mode; export the graph for "
                    "inference");
  }
  inputs[0] = first ? tf_in(im, node, 0, error) : tf_in_nchw(im, node, 0, error);
  for (guint i = 1; i < 5 && inputs[i - 1]; i++) {
    inputs[i] = tf_in(im, node, i, error);
  }
  if (!inputs[4]) {
    return FALSE;
  }
  double epsilon = tf_attr_float(node, "epsilon", 1e-4);
  GVariant *attrs = infer_attrs_new("epsilon", 'f', epsilon, NULL);
  InferTensor *out = tf_add(im, node, NULL, "BatchNormalization", attrs, inputs, 5, error);
  return tf_out_as(node, 0, out, !first);
}

/* --- what TensorFlow's own optimizer has fused --- */

/* The value so far is the node's output; it is taken on. */
static gboolean
then_add(TfImport *im, TfNode *node, const char *op, InferTensor *operand, GVariant *attrs,
         GError **error)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;
  TfValue value = *tf_output(node, 0);
  gboolean nchw = value.nchw != NULL;
  InferTensor *in[2] = {nchw ? value.nchw : value.tf, operand};

  return tf_out_as(node, 0, tf_add(im, node, NULL, op, owned, in, operand ? 2 : 1, error), nchw);
}

static gboolean
fused_bias(TfImport *im, TfNode *node, guint index, GError **error)
{
  TfValue value = *tf_output(node, 0);
  gboolean first = tf_attr_is(node, "data_format", "NCHW", FALSE);
  InferTensor *bias = tf_in(im, node, index, error);

  if (bias && (value.nchw || first)) {
    bias = tf_unsqueeze(im, node, "bias", bias, (const gint64[]){1, 2}, 2, error);
  }
  return bias && then_add(im, node, "Add", bias, NULL, error);
}

static gboolean
fused_norm(TfImport *im, TfNode *node, GError **error)
{
  TfValue value = *tf_output(node, 0);
  gboolean nchw = value.nchw != NULL;
  InferTensor *in[5] = {nchw ? value.nchw : value.tf};

  for (guint i = 1; i < 5; i++) {
    in[i] = tf_in(im, node, i + 1, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("epsilon", 'f', tf_attr_float(node, "epsilon", 1e-4), NULL);
  return tf_out_as(node, 0, tf_add(im, node, NULL, "BatchNormalization", attrs, in, 5, error),
                   nchw);
}

static gboolean
fused_activation(TfImport *im, TfNode *node, const char *name, GError **error)
{
  static const char *const plain[] = {"Relu", "Elu", "Sigmoid", "Tanh", NULL};

  if (g_strv_contains(plain, name)) {
    return then_add(im, node, name, NULL, NULL, error);
  }
  if (g_str_equal(name, "LeakyRelu")) {
    double alpha = tf_attr_float(node, "leakyrelu_alpha", 0.2);
    return then_add(im, node, name, NULL, infer_attrs_new("alpha", 'f', alpha, NULL), error);
  }
  if (g_str_equal(name, "Relu6")) {
    InferTensor *zero = tf_scalar(im, node, "min", INFER_TYPE_FLOAT, 0);
    InferTensor *six = tf_scalar(im, node, "max", INFER_TYPE_FLOAT, 6);
    return then_add(im, node, "Max", zero, NULL, error) &&
           then_add(im, node, "Min", six, NULL, error);
  }
  if (g_str_equal(name, "GeluExact") || g_str_equal(name, "GeluApproximate")) {
    const char *form = g_str_equal(name, "GeluExact") ? "none" : "tanh";
    return then_add(im, node, "Gelu", NULL, infer_attrs_new("approximate", 's', form, NULL), error);
  }
  return tf_error(error, INFER_ERROR_UNSUPPORTED, "'%s' is fused with it", name);
}

/* Inputs behind the first two belong to what is fused: a bias, a sum, or a normalization. */
static gboolean
fused(TfImport *im, TfNode *node, GError **error)
{
  const InferTf__Attr *attr = tf_attr(node, "fused_ops");
  gsize n = attr && attr->list ? attr->list->n_s : 0;
  guint next = 2;

  for (gsize i = 0; i < n; i++) {
    const ProtobufCBinaryData *text = &attr->list->s[i];
    g_autofree char *raw = g_strndup((const char *)text->data, text->len);
    g_autofree char *name = g_utf8_make_valid(raw, -1);
    gboolean good;
    if (g_str_equal(name, "BiasAdd")) {
      good = fused_bias(im, node, next++, error);
    } else if (g_str_equal(name, "FusedBatchNorm")) {
      good = fused_norm(im, node, error);
      next = 6;
    } else if (g_str_equal(name, "Add")) {
      gboolean nchw = tf_output(node, 0)->nchw != NULL;
      InferTensor *other = nchw ? tf_in_nchw(im, node, next, error) : tf_in(im, node, next, error);
      next++;
      good = other && then_add(im, node, "Add", other, NULL, error);
    } else {
      good = fused_activation(im, node, name, error);
    }
    if (!good) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
emit_fused_conv2d(TfImport *im, TfNode *node, GError **error)
{
  return convolve(im, node, FALSE, error) && fused(im, node, error);
}

static gboolean
emit_fused_depthwise(TfImport *im, TfNode *node, GError **error)
{
  return convolve(im, node, TRUE, error) && fused(im, node, error);
}

static gboolean
emit_fused_matmul(TfImport *im, TfNode *node, GError **error)
{
  return tf_emit_matmul(im, node, error) && fused(im, node, error);
}

/* A normalization with a sum and an activation. */
static gboolean
emit_fused_norm(TfImport *im, TfNode *node, GError **error)
{
  const InferTf__Attr *attr = tf_attr(node, "activation_mode");

  if (!emit_batch_norm(im, node, error)) {
    return FALSE;
  }
  if (node->n_inputs > 5) {
    gboolean nchw = tf_output(node, 0)->nchw != NULL;
    InferTensor *side = nchw ? tf_in_nchw(im, node, 5, error) : tf_in(im, node, 5, error);
    if (!side || !then_add(im, node, "Add", side, NULL, error)) {
      return FALSE;
    }
  }
  if (!attr || !attr->has_s || tf_attr_is(node, "activation_mode", "Identity", TRUE)) {
    return TRUE;
  }
  g_autofree char *raw = g_strndup((const char *)attr->s.data, attr->s.len);
  g_autofree char *name = g_utf8_make_valid(raw, -1);
  return fused_activation(im, node, name, error);
}

const TfOp tf_ops_convolution[] = {
    {"_FusedConv2D", emit_fused_conv2d},
    {"_FusedDepthwiseConv2dNative", emit_fused_depthwise},
    {"_FusedMatMul", emit_fused_matmul},
    {"_FusedBatchNormEx", emit_fused_norm},
    {"Conv2D", emit_conv2d},
    {"DepthwiseConv2dNative", emit_depthwise},
    {"BiasAdd", emit_bias_add},
    {"BiasAddV1", emit_bias_add},
    {"FusedBatchNorm", emit_batch_norm},
    {"FusedBatchNormV2", emit_batch_norm},
    {"FusedBatchNormV3", emit_batch_norm},
    {NULL, NULL},
};
