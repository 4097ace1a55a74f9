/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Pixels into batches and channels, by blocks, and back. */

typedef struct {
  gint64 block[INFER_MAX_DIMS], pads[2 * INFER_MAX_DIMS];
  gsize n;
} Blocks;

static gboolean
read_blocks(TfNode *node, const InferTensor *x, Blocks *blocks, GError **error)
{
  g_autoptr(InferArray) pads = tf_const(node, 2, error);

  if (!pads || !tf_const_ints(node, 1, blocks->block, INFER_MAX_DIMS, &blocks->n, error)) {
    return FALSE;
  }
  if (infer_array_count(pads) != (gint64)blocks->n * 2 || x->dims.n < (gint)blocks->n + 1 ||
      x->dims.n + (gint)blocks->n > INFER_MAX_DIMS) {
    return tf_error(error, INFER_ERROR_MODEL, "its blocks do not fit %d dimensions", x->dims.n);
  }
  for (gsize i = 0; i < blocks->n * 2; i++) {
    blocks->pads[i] = infer_array_get_int(pads, i);
    if (blocks->pads[i] < 0 || blocks->pads[i] > G_MAXINT32 || blocks->block[i / 2] < 1 ||
        blocks->block[i / 2] > G_MAXINT16) {
      return tf_error(error, INFER_ERROR_MODEL, "a block or a border of a wrong size");
    }
  }
  for (gint i = 1; i < x->dims.n; i++) {
    if (x->dims.d[i] < 1) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "dimension %d has to be known", i);
    }
  }
  return TRUE;
}

static InferTensor *
reshape(TfImport *im, TfNode *node, InferTensor *x, const gint64 *dims, gsize n, GError **error)
{
  return x ? tf_add2(im, node, "shaped", "Reshape", NULL, x, tf_ints(im, node, "shape", dims, n),
                     error)
           : NULL;
}

static gboolean
emit_space_to_batch(TfImport *im, TfNode *node, GError **error)
{
  gint64 pads[2 * INFER_MAX_DIMS] = {0}, dims[INFER_MAX_DIMS], perm[INFER_MAX_DIMS];
  InferTensor *x = tf_in(im, node, 0, error);
  Blocks blocks;

  if (!x || !read_blocks(node, x, &blocks, error)) {
    return FALSE;
  }
  gint rank = x->dims.n, n = (gint)blocks.n;
  for (gint i = 0; i < n; i++) {
    pads[1 + i] = blocks.pads[2 * i];
    pads[1 + i + rank] = blocks.pads[2 * i + 1];
  }
  x = tf_add2(im, node, "padded", "Pad", NULL, x, tf_ints(im, node, "pads", pads, (gsize)rank * 2),
              error);
  if (!x) {
    return FALSE;
  }
  dims[0] = -1;
  for (gint i = 0; i < n; i++) {
    gint64 size = x->dims.d[1 + i];
    if (size % blocks.block[i] != 0) {
      return tf_error(error, INFER_ERROR_MODEL, "a dimension does not divide into blocks");
    }
    dims[1 + 2 * i] = size / blocks.block[i];
    dims[2 + 2 * i] = blocks.block[i];
    perm[i] = 2 + 2 * i;
    perm[n + 1 + i] = 1 + 2 * i;
  }
  perm[n] = 0;
  for (gint i = n + 1; i < rank; i++) {
    dims[i + n] = x->dims.d[i];
    perm[i + n] = i + n;
  }
  InferTensor *parts = reshape(im, node, x, dims, (gsize)(rank + n), error);
  InferTensor *turned =
      parts ? tf_transpose(im, node, "turned", parts, perm, (gsize)(rank + n), error) : NULL;
  for (gint i = 0; i < n; i++) {
    dims[1 + i] = x->dims.d[1 + i] / blocks.block[i];
  }
  for (gint i = n + 1; i < rank; i++) {
    dims[i] = x->dims.d[i];
  }
  return tf_out(node, 0, reshape(im, node, turned, dims, (gsize)rank, error));
}

static gboolean
emit_batch_to_space(TfImport *im, TfNode *node, GError **error)
{
  gint64 dims[INFER_MAX_DIMS], perm[INFER_MAX_DIMS];
  InferTensor *x = tf_in(im, node, 0, error);
  Blocks blocks;

  if (!x || !read_blocks(node, x, &blocks, error)) {
    return FALSE;
  }
  gint rank = x->dims.n, n = (gint)blocks.n;
  InferDims in = x->dims;
  for (gint i = 0; i < n; i++) {
    dims[i] = blocks.block[i];
  }
  dims[n] = -1;
  perm[0] = n;
  for (gint i = 1; i < rank; i++) {
    dims[n + i] = in.d[i];
  }
  for (gint i = 0; i < n; i++) {
    perm[1 + 2 * i] = n + 1 + i;
    perm[2 + 2 * i] = i;
  }
  for (gint i = n + 1; i < rank; i++) {
    perm[i + n] = i + n;
  }
  x = reshape(im, node, x, dims, (gsize)(rank + n), error);
  x = x ? tf_transpose(im, node, "turned", x, perm, (gsize)(rank + n), error) : NULL;
  dims[0] = -1;
  for (gint i = 1; i < rank; i++) {
    dims[i] = in.d[i];
    if (i <= n && __builtin_mul_overflow(in.d[i], blocks.block[i - 1], &dims[i])) {
      return tf_error(error, INFER_ERROR_MODEL, "its blocks are too large");
    }
  }
  x = reshape(im, node, x, dims, (gsize)rank, error);
  for (gint i = 0; i < n && x; i++) {
    gint64 end = dims[1 + i] - blocks.pads[2 * i + 1];
    if (blocks.pads[2 * i] || blocks.pads[2 * i + 1]) {
      x = tf_part(im, node, x, 1 + i, blocks.pads[2 * i], MAX(end, 0), 1, error);
    }
  }
  return x && tf_out(node, 0, x);
}

/* TensorFlow's channels are in the order that ONNX calls DCR. */
static gboolean
emit_depth(TfImport *im, TfNode *node, GError **error)
{
  gboolean first = tf_attr_is(node, "data_format", "NCHW", FALSE);
  gboolean deep = tf_is(node, "DepthToSpace");
  InferTensor *x = first ? tf_in(im, node, 0, error) : tf_in_nchw(im, node, 0, error);

  if (!x) {
    return FALSE;
  }
  if (!first && !tf_attr_is(node, "data_format", "NHWC", TRUE)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "its data format is neither NHWC nor NCHW");
  }
  gint64 size = tf_attr_int(node, "block_size", 0);
  GVariant *attrs = infer_attrs_new("blocksize", 'i', size, deep ? "mode" : NULL, 's', "DCR", NULL);
  return tf_out_as(node, 0, tf_add1(im, node, NULL, node->def->op, attrs, x, error), !first);
}

const TfOp tf_ops_blocks[] = {
    {"SpaceToBatchND", emit_space_to_batch},
    {"BatchToSpaceND", emit_batch_to_space},
    {"SpaceToDepth", emit_depth},
    {"DepthToSpace", emit_depth},
    {NULL, NULL},
};
