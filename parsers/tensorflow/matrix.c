/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Matrix products, softmax, and the operators that sort. */

/* A matrix, or a stack of them, with its last two dimensions exchanged where @turn. */
static InferTensor *
operand(TfImport *im, TfNode *node, guint index, gboolean turn, GError **error)
{
  InferTensor *tensor = tf_in(im, node, index, error);
  gint64 perm[INFER_MAX_DIMS];

  if (!tensor || !turn) {
    return tensor;
  }
  gint rank = tensor->dims.n;
  if (rank < 2) {
    tf_error(error, INFER_ERROR_SHAPE, "input %u is not a matrix", index);
    return NULL;
  }
  for (gint i = 0; i < rank; i++) {
    perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
  }
  return tf_transpose(im, node, index ? "b" : "a", tensor, perm, (gsize)rank, error);
}

static gboolean
product(TfImport *im, TfNode *node, const char *turn_a, const char *turn_b, GError **error)
{
  InferTensor *a = operand(im, node, 0, tf_attr_bool(node, turn_a, FALSE), error);
  InferTensor *b = a ? operand(im, node, 1, tf_attr_bool(node, turn_b, FALSE), error) : NULL;

  return b && tf_out(node, 0, tf_add2(im, node, NULL, "MatMul", NULL, a, b, error));
}

gboolean
tf_emit_matmul(TfImport *im, TfNode *node, GError **error)
{
  return product(im, node, "transpose_a", "transpose_b", error);
}

static gboolean
emit_batch_matmul(TfImport *im, TfNode *node, GError **error)
{
  return product(im, node, "adj_x", "adj_y", error);
}

/* TensorFlow's softmax runs over the last dimension: the channels, second in NCHW. */
static gboolean
emit_softmax(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = tf_has_nchw(node, 0);
  InferTensor *input = nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);

  if (!input) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)(nchw ? 1 : -1), NULL);
  return tf_out_as(node, 0, tf_add1(im, node, NULL, node->def->op, attrs, input, error), nchw);
}

static gboolean
emit_arg(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "output_type", INFER_TYPE_INT64);
  InferTensor *input = tf_in(im, node, 0, error);
  gint64 axis = 0;

  if (!input || !tf_const_axis(node, 1, input->dims.n, &axis, error)) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, "keepdims", 'i', (gint64)0, NULL);
  const char *suffix = type == INFER_TYPE_INT64 ? NULL : "index";
  InferTensor *out = tf_add1(im, node, suffix, node->def->op, attrs, input, error);
  return out && tf_out(node, 0, tf_cast(im, node, NULL, out, type, error));
}

static gboolean
emit_topk(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2] = {tf_in(im, node, 0, error)};
  InferTensor *out[2] = {NULL};
  gint64 k = tf_attr_int(node, "k", 0);
  gsize n = 0;

  if (!in[0] || (tf_is(node, "TopKV2") && !tf_const_ints(node, 1, &k, 1, &n, error))) {
    return FALSE;
  }
  if (k < 0) {
    return tf_error(error, INFER_ERROR_MODEL, "k is %" G_GINT64_FORMAT, k);
  }
  in[1] = tf_ints(im, node, "k", &k, 1);
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)-1, "sorted", 'i',
                                    (gint64)tf_attr_bool(node, "sorted", TRUE), NULL);
  if (!tf_add_n(im, node, NULL, "TopK", attrs, in, 2, out, 2, error)) {
    return FALSE;
  }
  InferType type = tf_attr_type(node, "index_type", INFER_TYPE_INT32);
  return tf_out(node, 0, out[0]) &&
         tf_out(node, 1, tf_cast(im, node, "indices", out[1], type, error));
}

const TfOp tf_ops_matrix[] = {
    {"MatMul", tf_emit_matmul},
    {"BatchMatMul", emit_batch_matmul},
    {"BatchMatMulV2", emit_batch_matmul},
    {"BatchMatMulV3", emit_batch_matmul},
    {"Softmax", emit_softmax},
    {"LogSoftmax", emit_softmax},
    {"ArgMax", emit_arg},
    {"ArgMin", emit_arg},
    {"TopK", emit_topk},
    {"TopKV2", emit_topk},
    {NULL, NULL},
};
