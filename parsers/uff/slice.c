/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"

/* What takes parts of tensors, stacks them, looks for the best of them, and computes with shapes.
 */

static gboolean
emit_shape(UffImport *im, UffNode *node, GError **error)
{
  return uff_out(node, uff_add1(im, node, "Shape", NULL, uff_in(im, node, 0, error), error), FALSE);
}

/* A new dimension in which the inputs stand side by side. */
static gboolean
emit_stack(UffImport *im, UffNode *node, GError **error)
{
  gint64 axis = uff_int(im, node, "axis", 0);
  g_autofree InferTensor **in = g_new0(InferTensor *, node->n_inputs + 1);
  gboolean wide = FALSE;

  for (guint i = 0; i < node->n_inputs; i++) {
    in[i] = uff_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
    wide = wide || in[i]->type == INFER_TYPE_INT64;
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    in[i] = wide ? uff_to_int64(im, node, in[i], error) : in[i];
    in[i] =
        in[i] ? uff_add2(im, node, "Unsqueeze", NULL, in[i], uff_list(im, &axis, 1), error) : NULL;
    if (!in[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, NULL);
  return uff_out(node, uff_add(im, node, "Concat", attrs, in, node->n_inputs, error), FALSE);
}

/* TensorFlow's slice: bits of the masks stand for "from the first", "to the last", and "one
 * element, and then without the dimension". */
static gboolean
emit_strided_slice(UffImport *im, UffNode *node, GError **error)
{
  gint64 begin[INFER_MAX_DIMS], end[INFER_MAX_DIMS], step[INFER_MAX_DIMS];
  gint64 axes[INFER_MAX_DIMS], gone[INFER_MAX_DIMS];
  gint64 from_first = uff_int(im, node, "begin_mask", 0),
         to_last = uff_int(im, node, "end_mask", 0);
  gint64 shrink = uff_int(im, node, "shrink_axis_mask", 0);
  gsize n_gone = 0;
  InferTensor *x = uff_in(im, node, 0, error);
  gint n = x ? uff_const_ints(im, node, 1, begin, INFER_MAX_DIMS, error) : -1;

  if (n < 0) {
    return FALSE;
  }
  if (uff_const_ints(im, node, 2, end, INFER_MAX_DIMS, error) != n ||
      uff_const_ints(im, node, 3, step, INFER_MAX_DIMS, error) != n || n < 1) {
    if (error && *error) {
      return FALSE;
    }
    return uff_error(error, INFER_ERROR_MODEL, "begin, end and strides are not as many as others");
  }
  for (gint i = 0; i < n; i++) {
    axes[i] = i;
    if (shrink >> i & 1) {
      end[i] = begin[i] == -1 || begin[i] == G_MAXINT64 ? G_MAXINT64 : begin[i] + 1;
      step[i] = 1;
      gone[n_gone++] = i;
      continue;
    }
    if (step[i] == 0) {
      return uff_error(error, INFER_ERROR_MODEL, "its stride %d is 0", i);
    }
    begin[i] = from_first >> i & 1 ? step[i] > 0 ? 0 : G_MAXINT64 : begin[i];
    end[i] = to_last >> i & 1 ? step[i] > 0 ? G_MAXINT64 : G_MININT64 : end[i];
  }
  gsize count = (gsize)n;
  InferTensor *in[5] = {x, uff_list(im, begin, count), uff_list(im, end, count),
                        uff_list(im, axes, count), uff_list(im, step, count)};
  InferTensor *out = uff_add(im, node, "Slice", NULL, in, 5, error);
  if (out && n_gone > 0) {
    out = uff_add2(im, node, "Squeeze", NULL, out, uff_list(im, gone, n_gone), error);
  }
  return uff_out(node, out, FALSE);
}

static gboolean
best(UffImport *im, UffNode *node, const char *op, GError **error)
{
  GVariant *attrs =
      infer_attrs_new("axis", 'i', uff_int(im, node, "axis", 0), "keepdims", 'i', (gint64)0, NULL);
  InferTensor *index = uff_add1(im, node, op, attrs, uff_in(im, node, 0, error), error);
  GVariant *to = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_INT32, NULL);

  return uff_out(node, uff_add1(im, node, "Cast", to, index, error), FALSE);
}

static gboolean
emit_arg_max(UffImport *im, UffNode *node, GError **error)
{
  return best(im, node, "ArgMax", error);
}

static gboolean
emit_arg_min(UffImport *im, UffNode *node, GError **error)
{
  return best(im, node, "ArgMin", error);
}

const UffOp uff_ops_slice[] = {
    {"Shape", emit_shape},    {"Stack", emit_stack},    {"StridedSlice", emit_strided_slice},
    {"ArgMax", emit_arg_max}, {"ArgMin", emit_arg_min}, {NULL, NULL},
};
