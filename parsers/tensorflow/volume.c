/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "window.h"

#include <string.h>

/* Convolutions and pools in three dimensions, transposed convolutions in two and three, and what
 * else slides over images. */

/* A window over @n spatial dimensions. */
typedef struct {
  guint n;
  gboolean channels_first, same;
  gint64 kernel[3], strides[3], dilations[3];
} Space;

static gboolean
read_list(TfNode *node, const char *name, const Space *space, gint64 *values, GError **error)
{
  gint64 list[5] = {1, 1, 1, 1, 1};
  gsize n = tf_attr_ints(node, name, list, 5);
  guint first = space->channels_first ? 2 : 1;

  if (n != 0 && n != space->n + 2) {
    return tf_error(error, INFER_ERROR_MODEL, "'%s' has %" G_GSIZE_FORMAT " values, not %u", name,
                    n, space->n + 2);
  }
  if (list[0] != 1 || list[space->channels_first ? 1 : space->n + 1] != 1) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "'%s' is not 1 for the batch or the channels",
                    name);
  }
  for (guint i = 0; i < space->n; i++) {
    values[i] = list[first + i];
    if (values[i] < 1 || values[i] > G_MAXINT32) {
      return tf_error(error, INFER_ERROR_MODEL, "'%s' is %" G_GINT64_FORMAT, name, values[i]);
    }
  }
  return TRUE;
}

static gboolean
read_space(TfNode *node, guint n, const char *kernel, Space *space, GError **error)
{
  const char *first = n == 3 ? "NCDHW" : "NCHW";

  *space = (Space){.n = n, .channels_first = tf_attr_is(node, "data_format", first, FALSE)};
  space->same = tf_attr_is(node, "padding", "SAME", FALSE);
  if (!space->same && !tf_attr_is(node, "padding", "VALID", FALSE)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "the padding is neither SAME nor VALID");
  }
  return (!kernel || read_list(node, kernel, space, space->kernel, error)) &&
         read_list(node, "strides", space, space->strides, error) &&
         read_list(node, "dilations", space, space->dilations, error);
}

static InferTensor *
channels_first(TfImport *im, TfNode *node, guint index, const Space *space, GError **error)
{
  static const gint64 perm[5] = {0, 4, 1, 2, 3};

  if (space->n == 2 && !space->channels_first) {
    return tf_in_nchw(im, node, index, error);
  }
  InferTensor *tensor = tf_in(im, node, index, error);
  if (tensor && tensor->dims.n != (gint)space->n + 2) {
    tf_error(error, INFER_ERROR_SHAPE, "the input has %d dimensions, not %u", tensor->dims.n,
             space->n + 2);
    return NULL;
  }
  return !tensor || space->channels_first ? tensor
                                          : tf_transpose(im, node, "ncdhw", tensor, perm, 5, error);
}

static gboolean
store(TfImport *im, TfNode *node, const Space *space, InferTensor *tensor, GError **error)
{
  static const gint64 perm[5] = {0, 2, 3, 4, 1};

  if (space->n == 2 || space->channels_first || !tensor) {
    return tf_out_as(node, 0, tensor, space->n == 2 && !space->channels_first);
  }
  return tf_out(node, 0, tf_transpose(im, node, NULL, tensor, perm, 5, error));
}

static InferTensor *
filter(TfImport *im, TfNode *node, guint n, GError **error)
{
  static const gint64 plane[4] = {3, 2, 0, 1}, volume[5] = {4, 3, 0, 1, 2};
  InferTensor *tensor = tf_in(im, node, 1, error);

  if (tensor && (tensor->dims.n != (gint)n + 2 || !infer_dims_is_constant(&tensor->dims))) {
    tf_error(error, INFER_ERROR_SHAPE, "the filter needs %u constant dimensions", n + 2);
    return NULL;
  }
  return tensor ? tf_transpose(im, node, "weights", tensor, n == 2 ? plane : volume, n + 2, error)
                : NULL;
}

static gboolean
emit_conv3d(TfImport *im, TfNode *node, GError **error)
{
  Space space;

  if (!read_space(node, 3, NULL, &space, error)) {
    return FALSE;
  }
  InferTensor *image = channels_first(im, node, 0, &space, error);
  InferTensor *weights = image ? filter(im, node, 3, error) : NULL;
  if (!weights) {
    return FALSE;
  }
  gint64 group = image->dims.d[1] > 0 && weights->dims.d[1] > 0
                     ? MAX(image->dims.d[1] / weights->dims.d[1], 1)
                     : 1;
  GVariant *attrs = infer_attrs_new("strides", 'I', space.strides, (gsize)3, "dilations", 'I',
                                    space.dilations, (gsize)3, "group", 'i', group, "auto_pad", 's',
                                    space.same ? "SAME_UPPER" : "VALID", NULL);
  return store(im, node, &space, tf_add2(im, node, "conv", "Conv", attrs, image, weights, error),
               error);
}

static gboolean
emit_pool3d(TfImport *im, TfNode *node, GError **error)
{
  Space space;
  InferTensor *image = read_space(node, 3, "ksize", &space, error)
                           ? channels_first(im, node, 0, &space, error)
                           : NULL;

  if (!image) {
    return FALSE;
  }
  GVariant *attrs =
      infer_attrs_new("kernel_shape", 'I', space.kernel, (gsize)3, "strides", 'I', space.strides,
                      (gsize)3, "auto_pad", 's', space.same ? "SAME_UPPER" : "VALID", NULL);
  const char *op = tf_is(node, "MaxPool3D") ? "MaxPool" : "AveragePool";
  return store(im, node, &space, tf_add1(im, node, "pool", op, attrs, image, error), error);
}

/* --- transposed convolutions --- */

/* What is cut from the ends so that the output has the size that input 0 asks for. The filter lies
 * as in the convolution that makes the input of the output. */
static gboolean
transposed_pads(const Space *space, const gint64 *sizes, const InferTensor *image, gint64 *pads,
                gint64 *more, GError **error)
{
  for (guint i = 0; i < space->n; i++) {
    gint64 in = image->dims.d[2 + i], out = sizes[i], stride = space->strides[i];
    gint64 reach = (space->kernel[i] - 1) * space->dilations[i] + 1, full = 0;
    if (in < 1 || out < 1 || __builtin_mul_overflow(in - 1, stride, &full) ||
        __builtin_add_overflow(full, reach, &full)) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "the sizes of its input and output have to be known");
    }
    pads[i] = space->same ? MAX(full - out, 0) / 2 : 0;
    pads[i + space->n] = full - out - pads[i];
    more[i] = MAX(-pads[i + space->n], 0);
    pads[i + space->n] = MAX(pads[i + space->n], 0);
    if (more[i] >= stride || (out + stride - 1) / stride > in + reach) {
      return tf_error(
          error, INFER_ERROR_MODEL,
          "an output of %" G_GINT64_FORMAT " does not fit an input of %" G_GINT64_FORMAT, out, in);
    }
  }
  return TRUE;
}

static gboolean
output_sizes(TfImport *im, TfNode *node, const Space *space, gint64 *sizes, GError **error)
{
  InferTensor *tensor = tf_in(im, node, 0, error);
  g_autoptr(InferArray) known = tensor ? parsers_known(tensor) : NULL;
  guint first = space->channels_first ? 2 : 1;

  if (!tensor) {
    return FALSE;
  }
  /* Keras gives the sizes without batch and channels where the filter says them. */
  gint64 count = known ? infer_array_count(known) : tensor->has_content ? tensor->content.n : 0;
  if (count == space->n) {
    first = 0;
  } else if (count != space->n + 2) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "its output's size has to be known");
  }
  for (guint i = 0; i < space->n; i++) {
    sizes[i] = known ? infer_array_get_int(known, first + i) : tensor->content.d[first + i];
  }
  return TRUE;
}

static gboolean
transposed(TfImport *im, TfNode *node, guint n, GError **error)
{
  gint64 sizes[3], pads[6], more[3];
  Space space;

  if (!read_space(node, n, NULL, &space, error) || !output_sizes(im, node, &space, sizes, error)) {
    return FALSE;
  }
  InferTensor *image = channels_first(im, node, 2, &space, error);
  InferTensor *weights = image ? filter(im, node, n, error) : NULL;
  if (!weights) {
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    space.kernel[i] = weights->dims.d[2 + i];
  }
  if (!transposed_pads(&space, sizes, image, pads, more, error)) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("strides", 'I', space.strides, (gsize)n, "dilations", 'I',
                                    space.dilations, (gsize)n, "pads", 'I', pads, (gsize)n * 2,
                                    "output_padding", 'I', more, (gsize)n, NULL);
  const char *suffix = n == 2 ? NULL : "conv";
  return store(im, node, &space,
               tf_add2(im, node, suffix, "ConvTranspose", attrs, image, weights, error), error);
}

static gboolean
emit_transposed(TfImport *im, TfNode *node, GError **error)
{
  return transposed(im, node, 2, error);
}

static gboolean
emit_transposed3d(TfImport *im, TfNode *node, GError **error)
{
  return transposed(im, node, 3, error);
}

/* --- others --- */

static gboolean
emit_lrn(TfImport *im, TfNode *node, GError **error)
{
  gint64 size = 0;
  InferTensor *image = tf_in_nchw(im, node, 0, error);

  if (!image) {
    return FALSE;
  }
  if (__builtin_mul_overflow(tf_attr_int(node, "depth_radius", 5), 2, &size) || size < 0 ||
      size > G_MAXINT16) {
    return tf_error(error, INFER_ERROR_MODEL, "a radius of %" G_GINT64_FORMAT, size / 2);
  }
  size++;
  /* ONNX divides alpha by the size. */
  GVariant *attrs = infer_attrs_new(
      "size", 'i', size, "alpha", 'f', tf_attr_float(node, "alpha", 1) * (double)size, "beta", 'f',
      tf_attr_float(node, "beta", 0.5), "bias", 'f', tf_attr_float(node, "bias", 1), NULL);
  return tf_out_nchw(node, 0, tf_add1(im, node, NULL, "LRN", attrs, image, error));
}

/* The window's size and strides are inputs. */
static gboolean
emit_max_pool_v2(TfImport *im, TfNode *node, GError **error)
{
  gint64 kernel[4], strides[4];
  gsize n = 0, m = 0;
  gboolean first = tf_attr_is(node, "data_format", "NCHW", FALSE);

  if (!tf_const_ints(node, 1, kernel, 4, &n, error) ||
      !tf_const_ints(node, 2, strides, 4, &m, error)) {
    return FALSE;
  }
  if (n != 4 || m != 4 || kernel[0] != 1 || strides[0] != 1 || kernel[first ? 1 : 3] != 1 ||
      strides[first ? 1 : 3] != 1) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "the window is not over height and width");
  }
  InferTensor *image = first ? tf_in(im, node, 0, error) : tf_in_nchw(im, node, 0, error);
  if (!image) {
    return FALSE;
  }
  guint at = first ? 2 : 1;
  gboolean same = tf_attr_is(node, "padding", "SAME", FALSE);
  GVariant *attrs =
      infer_attrs_new("kernel_shape", 'I', kernel + at, (gsize)2, "strides", 'I', strides + at,
                      (gsize)2, "auto_pad", 's', same ? "SAME_UPPER" : "VALID", NULL);
  return tf_out_as(node, 0, tf_add1(im, node, NULL, "MaxPool", attrs, image, error), !first);
}

/* Each patch becomes the channels of a pixel: a convolution whose filters each take one element. */
#define MAX_PATCH (16 << 20)

static gboolean
emit_patches(TfImport *im, TfNode *node, GError **error)
{
  gint64 k[4] = {1, 1, 1, 1}, s[4] = {1, 1, 1, 1}, r[4] = {1, 1, 1, 1};
  InferTensor *image = tf_in_nchw(im, node, 0, error);

  if (!image) {
    return FALSE;
  }
  gboolean good = tf_attr_ints(node, "ksizes", k, 4) == 4 &&
                  tf_attr_ints(node, "strides", s, 4) == 4 &&
                  tf_attr_ints(node, "rates", r, 4) == 4;
  gint64 c = image->dims.n == 4 ? image->dims.d[1] : -1;
  if (!good || c < 1 || c > 4096 || k[1] < 1 || k[2] < 1 || k[1] > 64 || k[2] > 64 || s[1] < 1 ||
      s[2] < 1 || r[1] < 1 || r[2] < 1 || image->type != INFER_TYPE_FLOAT ||
      k[1] * k[2] * k[1] * k[2] * c * c > MAX_PATCH) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "its patches or its channels are too large");
  }
  gint64 area = k[1] * k[2];
  g_autoptr(InferArray) taps =
      infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(area * c, c, k[1], k[2]), error);
  if (!taps) {
    return FALSE;
  }
  memset(taps->data, 0, taps->size);
  for (gint64 i = 0; i < area * c; i++) {
    ((float *)taps->data)[(i * c + i % c) * area + i / c] = 1;
  }
  InferTensor *weights = infer_network_add_constant(im->network, "patches", taps);
  GVariant *attrs = infer_attrs_new(
      "strides", 'I', s + 1, (gsize)2, "dilations", 'I', r + 1, (gsize)2, "auto_pad", 's',
      tf_attr_is(node, "padding", "SAME", FALSE) ? "SAME_UPPER" : "VALID", NULL);
  return tf_out_nchw(node, 0, tf_add2(im, node, NULL, "Conv", attrs, image, weights, error));
}

const TfOp tf_ops_volume[] = {
    {"Conv3D", emit_conv3d},
    {"MaxPool3D", emit_pool3d},
    {"AvgPool3D", emit_pool3d},
    {"Conv2DBackpropInput", emit_transposed},
    {"Conv3DBackpropInputV2", emit_transposed3d},
    {"LRN", emit_lrn},
    {"MaxPoolV2", emit_max_pool_v2},
    {"ExtractImagePatches", emit_patches},
    {NULL, NULL},
};
