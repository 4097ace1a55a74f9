/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "window.h"

/* The attribute's values for height and width; those for batch and channels have to be 1. */
static gboolean
read_pair(TfNode *node, const char *name, gboolean channels_first, gint64 pair[2], GError **error)
{
  gint64 values[4] = {1, 1, 1, 1};
  gsize n = tf_attr_ints(node, name, values, 4);
  guint at = channels_first ? 2 : 1;

  if (n != 0 && n != 4) {
    return tf_error(error, INFER_ERROR_MODEL, "'%s' has %" G_GSIZE_FORMAT " values, not 4", name,
                    n);
  }
  pair[0] = values[at];
  pair[1] = values[at + 1];
  if (values[0] != 1 || values[channels_first ? 1 : 3] != 1) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "'%s' is not 1 for the batch or the channels",
                    name);
  }
  if (pair[0] < 1 || pair[1] < 1) {
    return tf_error(error, INFER_ERROR_MODEL, "'%s' is less than 1", name);
  }
  return TRUE;
}

static gboolean
read_pads(TfNode *node, TfWindow *window, GError **error)
{
  gint64 values[8] = {0};
  guint at = window->channels_first ? 4 : 2;

  if (tf_attr_is(node, "padding", "VALID", FALSE)) {
    return TRUE;
  }
  if (tf_attr_is(node, "padding", "SAME", FALSE)) {
    window->same = TRUE;
    return TRUE;
  }
  if (!tf_attr_is(node, "padding", "EXPLICIT", FALSE) ||
      tf_attr_ints(node, "explicit_paddings", values, 8) != 8) {
    return tf_error(error, INFER_ERROR_MODEL, "the padding is not SAME, VALID or EXPLICIT");
  }
  window->pads[0] = values[at];
  window->pads[1] = values[at + 2];
  window->pads[2] = values[at + 1];
  window->pads[3] = values[at + 3];
  for (guint i = 0; i < 4; i++) {
    if (window->pads[i] < 0 || window->pads[i] > G_MAXINT32) {
      return tf_error(error, INFER_ERROR_MODEL, "a padding of %" G_GINT64_FORMAT, window->pads[i]);
    }
  }
  return TRUE;
}

gboolean
tf_window_read(TfNode *node, const char *kernel, TfWindow *window, GError **error)
{
  *window = (TfWindow){.channels_first = tf_attr_is(node, "data_format", "NCHW", FALSE)};
  if (!window->channels_first && !tf_attr_is(node, "data_format", "NHWC", TRUE)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "its data format is neither NHWC nor NCHW");
  }
  if (kernel && !read_pair(node, kernel, window->channels_first, window->kernel, error)) {
    return FALSE;
  }
  return read_pair(node, "strides", window->channels_first, window->strides, error) &&
         read_pair(node, "dilations", window->channels_first, window->dilations, error) &&
         read_pads(node, window, error);
}

InferTensor *
tf_window_input(TfImport *im, TfNode *node, guint index, const TfWindow *window, GError **error)
{
  if (!window->channels_first) {
    return tf_in_nchw(im, node, index, error);
  }
  InferTensor *image = tf_in(im, node, index, error);
  if (image && image->dims.n >= 0 && image->dims.n != 4) {
    tf_error(error, INFER_ERROR_SHAPE, "the image has %d dimensions, not 4", image->dims.n);
    return NULL;
  }
  return image;
}

gboolean
tf_window_output(TfImport *im, TfNode *node, const TfWindow *window, InferTensor *tensor,
                 GError **error)
{
  return tf_out_as(node, 0, tensor, !window->channels_first);
}

GVariant *
tf_window_attrs(const TfWindow *window, gint64 group)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
  GVariant *strides = g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, window->strides, 2, 8);

  g_variant_dict_insert_value(&dict, "strides", strides);
  if (group) {
    g_variant_dict_insert(&dict, "group", "x", group);
    g_variant_dict_insert_value(
        &dict, "dilations",
        g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, window->dilations, 2, 8));
  } else {
    g_variant_dict_insert_value(
        &dict, "kernel_shape",
        g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, window->kernel, 2, 8));
  }
  if (window->same) {
    g_variant_dict_insert(&dict, "auto_pad", "s", "SAME_UPPER");
  } else {
    g_variant_dict_insert_value(
        &dict, "pads", g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, window->pads, 4, 8));
  }
  return g_variant_dict_end(&dict);
}

static gboolean
pool(TfImport *im, TfNode *node, const char *op, GError **error)
{
  TfWindow window;

  if (!tf_window_read(node, "ksize", &window, error)) {
    return FALSE;
  }
  InferTensor *image = tf_window_input(im, node, 0, &window, error);
  if (!image) {
    return FALSE;
  }
  InferTensor *out = tf_add1(im, node, NULL, op, tf_window_attrs(&window, 0), image, error);
  return tf_window_output(im, node, &window, out, error);
}

static gboolean
emit_max_pool(TfImport *im, TfNode *node, GError **error)
{
  return pool(im, node, "MaxPool", error);
}

/* Elements beyond the border do not count in TensorFlow's mean; that is ONNX's default too. */
static gboolean
emit_avg_pool(TfImport *im, TfNode *node, GError **error)
{
  return pool(im, node, "AveragePool", error);
}

const TfOp tf_ops_pool[] = {
    {"MaxPool", emit_max_pool},
    {"AvgPool", emit_avg_pool},
    {NULL, NULL},
};
