/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Suppression of boxes, and what is cut out by them. */

static InferTensor *
padded(TfImport *im, TfNode *node, InferTensor *x, gint64 n, GError **error)
{
  InferTensor *size = tf_ints(im, node, "size", &n, 1);
  InferTensor *zero = tf_scalar(im, node, "zero", x->type, 0);
  InferTensor *zeros = tf_add2(im, node, "zeros", "Expand", NULL, zero, size, error);
  InferTensor *parts[2] = {x, zeros};
  InferTensor *all = zeros ? tf_join(im, node, parts, 2, 0, error) : NULL;

  return all ? tf_part(im, node, all, 0, 0, n, 1, error) : NULL;
}

static gboolean
emit_nms(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 first = 0, both[2] = {0, 1}, column = 1;
  gboolean with_scores = tf_is(node, "NonMaxSuppressionV5");
  gboolean pads = tf_attr_bool(node, "pad_to_max_output_size", FALSE);
  gint64 most = 0;
  gsize n = 0;
  InferTensor *boxes = tf_in(im, node, 0, error);
  InferTensor *scores = boxes ? tf_in(im, node, 1, error) : NULL;

  if (!scores || !tf_const_ints(node, 2, &most, 1, &n, error)) {
    return FALSE;
  }
  if (with_scores) {
    g_autoptr(InferArray) sigma = tf_const(node, 5, error);
    if (!sigma) {
      return FALSE;
    }
    if (infer_array_count(sigma) != 1 || infer_array_get_double(sigma, 0) != 0) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "soft suppression is not supported");
    }
  }
  if (n != 1 || most < 0 || most > G_MAXINT32) {
    return tf_error(error, INFER_ERROR_MODEL, "%" G_GINT64_FORMAT " boxes", most);
  }
  InferTensor *in[5] = {tf_unsqueeze(im, node, "boxes", boxes, &first, 1, error), NULL,
                        tf_ints(im, node, "most", &most, 1), NULL, NULL};
  in[1] = in[0] ? tf_unsqueeze(im, node, "scores", scores, both, 2, error) : NULL;
  gboolean old = tf_is(node, "NonMaxSuppression");
  in[3] = !in[1] ? NULL
          : old  ? tf_scalar(im, node, "iou", INFER_TYPE_FLOAT,
                             tf_attr_float(node, "iou_threshold", 0.5))
                 : tf_in(im, node, 3, error);
  gboolean filters = !old && !tf_is(node, "NonMaxSuppressionV2");
  in[4] = in[3] && filters ? tf_in(im, node, 4, error) : NULL;
  if (!in[3] || (filters && !in[4])) {
    return FALSE;
  }
  InferTensor *rows =
      tf_add(im, node, "rows", "NonMaxSuppression", NULL, in, filters ? 5 : 4, error);
  InferTensor *third = rows ? tf_part(im, node, rows, 1, 2, 3, 1, error) : NULL;
  InferTensor *chosen = third ? tf_squeeze(im, node, "chosen", third, &column, 1, error) : NULL;
  InferTensor *kept = chosen && with_scores ? tf_add2(im, node, "kept", "Gather",
                                                      infer_attrs_new("axis", 'i', (gint64)0, NULL),
                                                      scores, chosen, error)
                                            : NULL;
  InferTensor *count = chosen ? tf_add1(im, node, "size", "Size", NULL, chosen, error) : NULL;
  if (!count || (with_scores && !kept)) {
    return FALSE;
  }
  chosen = pads ? padded(im, node, chosen, most, error) : chosen;
  kept = pads && kept ? padded(im, node, kept, most, error) : kept;
  guint last = with_scores ? 2 : 1;
  return chosen && tf_out(node, 0, tf_cast(im, node, NULL, chosen, INFER_TYPE_INT32, error)) &&
         (!with_scores || tf_out(node, 1, kept)) &&
         tf_out(node, last, tf_cast(im, node, "count", count, INFER_TYPE_INT32, error));
}

/* Positions along one side of the boxes, from -1 at the image's beginning to 1 at its end:
 * [boxes, n]. */
static InferTensor *
positions(TfImport *im, TfNode *node, InferTensor *boxes, gint64 from, gint64 to, gint64 n,
          GError **error)
{
  g_autoptr(InferArray) steps = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1, n), error);

  for (gint64 i = 0; steps && i < n; i++) {
    infer_array_set_double(steps, (gsize)i, n > 1 ? (double)i / (double)(n - 1) : 0.5);
  }
  InferTensor *way = steps ? infer_network_add_constant(im->network, "way", steps) : NULL;
  InferTensor *a = way ? tf_part(im, node, boxes, 1, from, from + 1, 1, error) : NULL;
  InferTensor *b = a ? tf_part(im, node, boxes, 1, to, to + 1, 1, error) : NULL;
  InferTensor *range = b ? tf_add2(im, node, "range", "Sub", NULL, b, a, error) : NULL;
  InferTensor *part = range ? tf_add2(im, node, "part", "Mul", NULL, range, way, error) : NULL;
  InferTensor *at = part ? tf_add2(im, node, "at", "Add", NULL, part, a, error) : NULL;
  InferTensor *two = tf_scalar(im, node, "two", INFER_TYPE_FLOAT, 2);
  InferTensor *twice = at ? tf_add2(im, node, "twice", "Mul", NULL, at, two, error) : NULL;
  InferTensor *one = tf_scalar(im, node, "one", INFER_TYPE_FLOAT, 1);
  return twice ? tf_add2(im, node, "position", "Sub", NULL, twice, one, error) : NULL;
}

/* [boxes, height, width] of positions that are the same along the other axis, and whether they are
 * in the image: [boxes, 1, height, width]. */
static InferTensor *
spread(TfImport *im, TfNode *node, InferTensor *line, gint64 axis, gint64 n, InferTensor **inside,
       GError **error)
{
  static const gint64 channel = 1;
  InferDims dims = axis == 1 ? INFER_DIMS(1, n, 1) : INFER_DIMS(1, 1, n);
  g_autoptr(InferArray) zeros = infer_array_new(INFER_TYPE_FLOAT, &dims, error);
  InferTensor *wide = tf_unsqueeze(im, node, "wide", line, &axis, 1, error);

  if (!zeros || !wide) {
    return NULL;
  }
  memset(zeros->data, 0, zeros->size);
  InferTensor *more = infer_network_add_constant(im->network, "zeros", zeros);
  InferTensor *all = tf_add2(im, node, "all", "Add", NULL, wide, more, error);
  InferTensor *far = all ? tf_add1(im, node, "far", "Abs", NULL, all, error) : NULL;
  InferTensor *one = tf_scalar(im, node, "one", INFER_TYPE_FLOAT, 1);
  InferTensor *in = far ? tf_add2(im, node, "in", "LessOrEqual", NULL, far, one, error) : NULL;
  *inside = in ? tf_unsqueeze(im, node, "inside", in, &channel, 1, error) : NULL;
  return *inside ? all : NULL;
}

/* The nearest pixel of @size; halves go up, which a sampler need not do. */
static InferTensor *
snap(TfImport *im, TfNode *node, InferTensor *at, gint64 size, GError **error)
{
  InferTensor *scale = tf_scalar(im, node, "scale", INFER_TYPE_FLOAT, 0.5 * (double)(size - 1));
  InferTensor *shift = tf_scalar(im, node, "shift", INFER_TYPE_FLOAT, 0.5 * (double)size);
  InferTensor *one = tf_scalar(im, node, "one", INFER_TYPE_FLOAT, 1);

  if (size == 1) {
    return at;
  }
  InferTensor *wide = tf_add2(im, node, "pixel", "Mul", NULL, at, scale, error);
  InferTensor *up = wide ? tf_add2(im, node, "pixel", "Add", NULL, wide, shift, error) : NULL;
  InferTensor *whole = up ? tf_add1(im, node, "pixel", "Floor", NULL, up, error) : NULL;
  InferTensor *back = whole ? tf_add2(im, node, "back", "Div", NULL, whole, scale, error) : NULL;
  return back ? tf_add2(im, node, "back", "Sub", NULL, back, one, error) : NULL;
}

static gboolean
emit_crop(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 last = -1;
  gint64 size[2];
  gsize n = 0;
  InferTensor *image = tf_in_nchw(im, node, 0, error);
  InferTensor *boxes = image ? tf_in(im, node, 1, error) : NULL;
  InferTensor *which = boxes ? tf_in(im, node, 2, error) : NULL;

  if (!which || !tf_const_ints(node, 3, size, 2, &n, error)) {
    return FALSE;
  }
  if (n != 2 || size[0] < 1 || size[1] < 1 || size[0] > 16384 || size[1] > 16384) {
    return tf_error(error, INFER_ERROR_MODEL, "the size is not two positive numbers");
  }
  gboolean nearest = tf_attr_is(node, "method", "nearest", FALSE);
  InferTensor *in_y = NULL, *in_x = NULL;
  InferTensor *rows = positions(im, node, boxes, 0, 2, size[0], error);
  InferTensor *columns = rows ? positions(im, node, boxes, 1, 3, size[1], error) : NULL;
  InferTensor *y = columns ? spread(im, node, rows, 2, size[1], &in_y, error) : NULL;
  InferTensor *x = y ? spread(im, node, columns, 1, size[0], &in_x, error) : NULL;
  if (x && nearest) {
    const InferDims *dims = &image->dims;
    if (dims->n != 4 || dims->d[2] < 1 || dims->d[3] < 1) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "the image's size has to be known");
    }
    y = snap(im, node, y, dims->d[2], error);
    x = y ? snap(im, node, x, dims->d[3], error) : NULL;
  }
  InferTensor *pair[2] = {x ? tf_unsqueeze(im, node, "x", x, &last, 1, error) : NULL, NULL};
  pair[1] = pair[0] ? tf_unsqueeze(im, node, "y", y, &last, 1, error) : NULL;
  InferTensor *grid = pair[1] ? tf_join(im, node, pair, 2, 3, error) : NULL;
  InferTensor *pictures = grid ? tf_cast(im, node, "float", image, INFER_TYPE_FLOAT, error) : NULL;
  InferTensor *each =
      pictures ? tf_add2(im, node, "each", "Gather", infer_attrs_new("axis", 'i', (gint64)0, NULL),
                         pictures, which, error)
               : NULL;
  InferTensor *cut =
      each ? tf_add2(im, node, "cut", "GridSample",
                     infer_attrs_new("align_corners", 'i', (gint64)1, "padding_mode", 's', "border",
                                     "mode", 's', nearest ? "nearest" : "linear", NULL),
                     each, grid, error)
           : NULL;
  InferTensor *inside = cut ? tf_add2(im, node, "inside", "And", NULL, in_y, in_x, error) : NULL;
  InferTensor *choice[3] = {inside, cut,
                            tf_scalar(im, node, "outside", INFER_TYPE_FLOAT,
                                      tf_attr_float(node, "extrapolation_value", 0))};
  return inside && tf_out_nchw(node, 0, tf_add(im, node, NULL, "Where", NULL, choice, 3, error));
}

const TfOp tf_ops_boxes[] = {
    {"NonMaxSuppression", emit_nms},
    {"NonMaxSuppressionV2", emit_nms},
    {"NonMaxSuppressionV3", emit_nms},
    {"NonMaxSuppressionV4", emit_nms},
    {"NonMaxSuppressionV5", emit_nms},
    {"CropAndResize", emit_crop},
    {NULL, NULL},
};
