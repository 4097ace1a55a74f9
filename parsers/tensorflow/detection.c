/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* The one operator of TensorFlow's that has the whole of a detector's suppression in it. */

static gboolean
positive_int(TfNode *node, guint index, gint64 *value, GError **error)
{
  gsize n = 0;

  if (!tf_const_ints(node, index, value, 1, &n, error)) {
    return FALSE;
  }
  return (n == 1 && *value > 0 && *value <= G_MAXINT32) ||
         tf_error(error, INFER_ERROR_MODEL, "input %u is not one positive number", index);
}

static gboolean
emit_combined(TfImport *im, TfNode *node, GError **error)
{
  static const double window[4] = {0, 0, 1, 1};
  gint64 per_class = 0, total = 0;
  InferTensor *in[4], *out[4];

  if (!positive_int(node, 2, &per_class, error) || !positive_int(node, 3, &total, error)) {
    return FALSE;
  }
  for (guint i = 0; i < 4; i++) {
    in[i] = tf_in(im, node, i < 2 ? i : i + 2, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  /* The thresholds come as iou, score. */
  InferTensor *iou = in[2];
  in[2] = tf_in(im, node, 5, error);
  in[3] = iou;
  gint64 classes = in[1]->dims.n == 3 ? in[1]->dims.d[2] : -1;
  if (tf_attr_bool(node, "pad_per_class", FALSE)) {
    if (classes < 1 || classes > G_MAXINT32) {
      return tf_error(error, INFER_ERROR_SHAPE, "the number of classes is not known");
    }
    total = MIN(total, per_class * classes);
  }
  gboolean clip = tf_attr_bool(node, "clip_boxes", TRUE);
  GVariant *attrs = infer_attrs_new("max_per_class", 'i', per_class, "max_total", 'i', total,
                                    "order", 's', "yx", "class_offset", 'i', (gint64)0,
                                    clip ? "clip_window" : NULL, 'F', window, (gsize)4, NULL);
  if (!tf_add_n(im, node, NULL, "infer.DetectionNMS", attrs, in, 4, out, 4, error)) {
    return FALSE;
  }
  for (guint i = 0; i < 3; i++) {
    tf_out(node, i, out[i]);
  }
  return tf_out(node, 3, tf_cast(im, node, "count", out[3], INFER_TYPE_INT32, error));
}

const TfOp tf_ops_detection[] = {
    {"CombinedNonMaxSuppression", emit_combined},
    {NULL, NULL},
};
