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

static gboolean
emit_transposed(TfImport *im, TfNode *node, GError **error)
{
  return tf_error(error, INFER_ERROR_UNSUPPORTED, "transposed convolutions are not supported");
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

const TfOp tf_ops_convolution[] = {
    {"Conv2D", emit_conv2d},
    {"DepthwiseConv2dNative", emit_depthwise},
    {"Conv2DBackpropInput", emit_transposed},
    {"BiasAdd", emit_bias_add},
    {"BiasAddV1", emit_bias_add},
    {"FusedBatchNorm", emit_batch_norm},
    {"FusedBatchNormV2", emit_batch_norm},
    {"FusedBatchNormV3", emit_batch_norm},
    {NULL, NULL},
};
