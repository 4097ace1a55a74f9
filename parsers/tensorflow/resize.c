/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/*
 * Resizing and padding of images. TensorFlow's sampling positions are ONNX's "align_corners",
 * "half_pixel", and, when neither is asked for, "asymmetric". Its nearest neighbour rounds halves
 * up where positions are rounded, and cuts in the asymmetric case.
 */

static gboolean
resize(TfImport *im, TfNode *node, const char *mode, GError **error)
{
  static const gint64 axes[2] = {2, 3};
  gboolean corners = tf_attr_bool(node, "align_corners", FALSE);
  gboolean half = tf_attr_bool(node, "half_pixel_centers", FALSE);
  gboolean nearest = g_str_equal(mode, "nearest"), cubic = g_str_equal(mode, "cubic");
  gint64 size[2];
  gsize n = 0;

  if (!tf_const_ints(node, 1, size, 2, &n, error)) {
    return FALSE;
  }
  if (n != 2 || size[0] < 1 || size[1] < 1 || size[0] > G_MAXINT32 || size[1] > G_MAXINT32) {
    return tf_error(error, INFER_ERROR_MODEL, "the size is not two positive numbers");
  }
  InferTensor *in[4] = {tf_in_nchw(im, node, 0, error)};
  if (!in[0]) {
    return FALSE;
  }
  /* A bilinear resize of integers gives floats in TensorFlow. */
  if (!nearest) {
    in[0] = tf_cast(im, node, "float", in[0], INFER_TYPE_FLOAT, error);
  }
  in[3] = tf_ints(im, node, "sizes", size, 2);
  const char *position = corners ? "align_corners" : half ? "half_pixel" : "asymmetric";
  GVariant *attrs =
      infer_attrs_new("axes", 'I', axes, (gsize)2, "mode", 's', mode, "cubic_coeff_a", 'f',
                      cubic && half ? -0.5 : -0.75, "exclude_outside", 'i', (gint64)(cubic && half),
                      "coordinate_transformation_mode", 's', position, "nearest_mode", 's',
                      corners || half ? "round_prefer_ceil" : "floor", NULL);
  return in[0] && tf_out_nchw(node, 0, tf_add(im, node, NULL, "Resize", attrs, in, 4, error));
}

static gboolean
emit_bilinear(TfImport *im, TfNode *node, GError **error)
{
  return resize(im, node, "linear", error);
}

static gboolean
emit_nearest(TfImport *im, TfNode *node, GError **error)
{
  return resize(im, node, "nearest", error);
}

/* TensorFlow's curve is steeper where the positions are not those of pixels' centres. */
static gboolean
emit_bicubic(TfImport *im, TfNode *node, GError **error)
{
  return resize(im, node, "cubic", error);
}

static const char *
pad_mode(const TfNode *node)
{
  if (!tf_is(node, "MirrorPad")) {
    return "constant";
  }
  return tf_attr_is(node, "mode", "REFLECT", FALSE)     ? "reflect"
         : tf_attr_is(node, "mode", "SYMMETRIC", FALSE) ? "symmetric"
                                                        : NULL;
}

/* Reads [rank, 2] into ONNX's order: all beginnings, then all ends. */
static gboolean
read_pads(TfNode *node, gint rank, gboolean nchw, gint64 *pads, GError **error)
{
  g_autoptr(InferArray) array = tf_const(node, 1, error);

  if (!array) {
    return FALSE;
  }
  if (rank < 0 || !infer_type_is_integer(array->type) ||
      infer_array_count(array) != (gint64)rank * 2) {
    return tf_error(error, INFER_ERROR_MODEL, "the paddings are not two for each dimension");
  }
  for (gint i = 0; i < rank; i++) {
    gint64 to = nchw ? tf_nchw_axis(i) : i;
    pads[to] = infer_array_get_int(array, (gsize)i * 2);
    pads[to + rank] = infer_array_get_int(array, (gsize)i * 2 + 1);
    if (pads[to] < 0 || pads[to + rank] < 0) {
      return tf_error(error, INFER_ERROR_MODEL, "a padding is negative");
    }
  }
  return TRUE;
}

/* The border's own elements come back, which is no mode of ONNX's: parts of the tensor, backwards,
 * are put to its ends. */
static gboolean
pad_symmetric(TfImport *im, TfNode *node, InferTensor *x, const gint64 *pads, gboolean nchw,
              GError **error)
{
  gint rank = x->dims.n;

  for (gint64 axis = 0; axis < rank && x; axis++) {
    InferTensor *parts[3] = {NULL, x, NULL};
    for (guint side = 0; side < 2; side++) {
      gint64 n = pads[axis + (side ? rank : 0)];
      if (n == 0) {
        continue;
      }
      if (x->dims.d[axis] >= 0 && n > x->dims.d[axis]) {
        return tf_error(error, INFER_ERROR_MODEL, "a padding is larger than the image");
      }
      gint64 start = side ? -1 : n - 1, end = side ? -n - 1 : G_MININT64;
      parts[side * 2] = tf_part(im, node, x, axis, start, end, -1, error);
      if (!parts[side * 2]) {
        return FALSE;
      }
    }
    if (parts[0] || parts[2]) {
      x = tf_join(im, node, parts + (parts[0] ? 0 : 1), 1 + !!parts[0] + !!parts[2], axis, error);
    }
  }
  return x && tf_out_as(node, 0, x, nchw);
}

static gboolean
emit_pad(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = tf_has_nchw(node, 0);
  InferTensor *in[3] = {nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error)};
  gint64 pads[2 * INFER_MAX_DIMS];

  if (!in[0] || !read_pads(node, in[0]->dims.n, nchw, pads, error)) {
    return FALSE;
  }
  const char *mode = pad_mode(node);
  if (!mode) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "it mirrors in a way that is not known");
  }
  if (g_str_equal(mode, "symmetric")) {
    return pad_symmetric(im, node, in[0], pads, nchw, error);
  }
  in[1] = tf_ints(im, node, "pads", pads, (gsize)in[0]->dims.n * 2);
  if (tf_is(node, "PadV2")) {
    in[2] = tf_in(im, node, 2, error);
    if (!in[2]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("mode", 's', mode, NULL);
  InferTensor *out = tf_add(im, node, NULL, "Pad", attrs, in, in[2] ? 3 : 2, error);
  return tf_out_as(node, 0, out, nchw);
}

const TfOp tf_ops_resize[] = {
    {"ResizeBilinear", emit_bilinear},
    {"ResizeNearestNeighbor", emit_nearest},
    {"ResizeBicubic", emit_bicubic},
    {"Pad", emit_pad},
    {"PadV2", emit_pad},
    {"MirrorPad", emit_pad},
    {NULL, NULL},
};
