/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

typedef struct {
  gint64 axes[INFER_MAX_DIMS];
  gsize n;
} Axes;

/* Whether the dimensions that stay stand in the same order in NCHW as in NHWC. */
static gboolean
order_stays(const Axes *axes)
{
  gboolean gone[4] = {FALSE};
  gint64 last = -1;

  for (gsize i = 0; i < axes->n; i++) {
    gone[axes->axes[i]] = TRUE;
  }
  for (gint64 i = 0; i < 4; i++) {
    if (gone[i]) {
      continue;
    }
    if (tf_nchw_axis(i) < last) {
      return FALSE;
    }
    last = tf_nchw_axis(i);
  }
  return TRUE;
}

static gboolean
normalize(Axes *axes, gint rank, GError **error)
{
  for (gsize i = 0; i < axes->n; i++) {
    if (!tf_axis(&axes->axes[i], rank, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
reduce(TfImport *im, TfNode *node, const char *op, GError **error)
{
  gboolean keep = tf_attr_bool(node, "keep_dims", FALSE) || tf_attr_bool(node, "keepdims", FALSE);
  Axes axes = {.n = 0};
  gboolean nchw = tf_has_nchw(node, 0);

  if (!tf_const_ints(node, 1, axes.axes, INFER_MAX_DIMS, &axes.n, error) ||
      !normalize(&axes, tf_in_rank(node, 0), error)) {
    return FALSE;
  }
  nchw = nchw && (keep || order_stays(&axes));
  InferTensor *in[2] = {nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error)};
  if (!in[0]) {
    return FALSE;
  }
  for (gsize i = 0; i < axes.n && nchw; i++) {
    axes.axes[i] = tf_nchw_axis(axes.axes[i]);
  }
  in[1] = tf_ints(im, node, "axes", axes.axes, axes.n);
  GVariant *attrs =
      infer_attrs_new("keepdims", 'i', (gint64)keep, "noop_with_empty_axes", 'i', (gint64)1, NULL);
  InferTensor *out = tf_add(im, node, NULL, op, attrs, in, 2, error);
  return tf_out_as(node, 0, out, nchw && keep);
}

static gboolean
emit_reduce(TfImport *im, TfNode *node, GError **error)
{
  g_autofree char *op = g_strconcat("Reduce", node->def->op, NULL);

  return reduce(im, node, tf_is(node, "EuclideanNorm") ? "ReduceL2" : op, error);
}

/* For booleans: all are true where the least is, any is true where the greatest is. */
static gboolean
emit_logical(TfImport *im, TfNode *node, GError **error)
{
  return reduce(im, node, tf_is(node, "All") ? "ReduceMin" : "ReduceMax", error);
}

static gboolean
emit_squeeze(TfImport *im, TfNode *node, GError **error)
{
  Axes axes = {.n = 0};
  gint rank = tf_in_rank(node, 0);

  axes.n = tf_attr_ints(node, "squeeze_dims", axes.axes, INFER_MAX_DIMS);
  if (axes.n == 0) {
    axes.n = tf_attr_ints(node, "axis", axes.axes, INFER_MAX_DIMS);
  }
  if (!normalize(&axes, rank, error)) {
    return FALSE;
  }
  if (axes.n == 0) {
    /* All dimensions that are 1 go: which are has to be known. */
    InferTensor *input = tf_in(im, node, 0, error);
    return input && tf_out(node, 0, tf_add1(im, node, NULL, "Squeeze", NULL, input, error));
  }
  gboolean nchw = tf_has_nchw(node, 0) && order_stays(&axes);
  InferTensor *input = nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);
  for (gsize i = 0; i < axes.n && nchw; i++) {
    axes.axes[i] = tf_nchw_axis(axes.axes[i]);
  }
  return input && tf_out(node, 0, tf_squeeze(im, node, NULL, input, axes.axes, axes.n, error));
}

const TfOp tf_ops_reduce[] = {
    {"Mean", emit_reduce}, {"Sum", emit_reduce},      {"Max", emit_reduce},
    {"Min", emit_reduce},  {"Prod", emit_reduce},     {"All", emit_logical},
    {"Any", emit_logical}, {"Squeeze", emit_squeeze}, {"EuclideanNorm", emit_reduce},
    {NULL, NULL},
};
