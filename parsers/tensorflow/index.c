/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Operators with indices, and those that take tensors apart and put them together. */

static InferTensor *
int64_in(TfImport *im, TfNode *node, guint index, GError **error)
{
  InferTensor *tensor = tf_in(im, node, index, error);

  return tensor ? tf_cast(im, node, "int64", tensor, INFER_TYPE_INT64, error) : NULL;
}

static InferTensor *
slice(TfImport *im, TfNode *node, InferTensor *x, gint64 axis, gint64 start, gint64 end,
      gint64 step, GError **error)
{
  InferTensor *in[5] = {x, tf_ints(im, node, "starts", &start, 1),
                        tf_ints(im, node, "ends", &end, 1), tf_ints(im, node, "axes", &axis, 1),
                        tf_ints(im, node, "steps", &step, 1)};

  return tf_add(im, node, "part", "Slice", NULL, in, 5, error);
}

static InferTensor *
concat(TfImport *im, TfNode *node, InferTensor *const *parts, guint n, gint64 axis, GError **error)
{
  return n == 1 ? parts[0]
                : tf_add(im, node, "joined", "Concat", infer_attrs_new("axis", 'i', axis, NULL),
                         parts, n, error);
}

static gboolean
emit_gather_nd(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *data = tf_in(im, node, 0, error);
  InferTensor *indices = data ? int64_in(im, node, 1, error) : NULL;

  if (!indices) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("batch_dims", 'i', tf_attr_int(node, "batch_dims", 0), NULL);
  return tf_out(node, 0, tf_add2(im, node, NULL, "GatherND", attrs, data, indices, error));
}

static gboolean
scatter(TfImport *im, TfNode *node, InferTensor *data, InferTensor *indices, InferTensor *updates,
        const char *reduction, GError **error)
{
  InferTensor *in[3] = {data, indices, updates};
  GVariant *attrs = infer_attrs_new("reduction", 's', reduction, NULL);

  return tf_out(node, 0, tf_add(im, node, NULL, "ScatterND", attrs, in, 3, error));
}

/* Indices, updates, shape: what meets in one place is added. */
static gboolean
emit_scatter_nd(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *indices = int64_in(im, node, 0, error);
  InferTensor *updates = indices ? tf_in(im, node, 1, error) : NULL;
  InferTensor *shape = updates ? int64_in(im, node, 2, error) : NULL;

  if (!shape) {
    return FALSE;
  }
  InferTensor *zero = tf_scalar(im, node, "zero", updates->type, 0);
  InferTensor *data = tf_add2(im, node, "zeros", "Expand", NULL, zero, shape, error);
  return data && scatter(im, node, data, indices, updates, "add", error);
}

static gboolean
emit_tensor_scatter(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *data = tf_in(im, node, 0, error);
  InferTensor *indices = data ? int64_in(im, node, 1, error) : NULL;
  InferTensor *updates = indices ? tf_in(im, node, 2, error) : NULL;
  const char *reduction = tf_is(node, "TensorScatterAdd")   ? "add"
                          : tf_is(node, "TensorScatterMax") ? "max"
                          : tf_is(node, "TensorScatterMin") ? "min"
                                                            : "none";

  return updates && scatter(im, node, data, indices, updates, reduction, error);
}

/* Sums of rows that have the same number; the numbers of the older operator rise to the last. */
static gboolean
emit_segment_sum(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 last = -1;
  g_autoptr(InferArray) ids = tf_const(node, 1, error);
  InferTensor *data = ids ? tf_in(im, node, 0, error) : NULL;
  InferTensor *indices = data ? int64_in(im, node, 1, error) : NULL;
  gint64 shape[INFER_MAX_DIMS], n = 0;
  gsize m = 0;

  if (!indices) {
    return FALSE;
  }
  for (gint64 i = 0; i < infer_array_count(ids); i++) {
    gint64 id = infer_array_get_int(ids, (gsize)i);
    if (id < 0 || id >= G_MAXINT32) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "a segment of number %" G_GINT64_FORMAT, id);
    }
    n = MAX(n, id + 1);
  }
  if (tf_is(node, "UnsortedSegmentSum") && !tf_const_ints(node, 2, &n, 1, &m, error)) {
    return FALSE;
  }
  if (ids->dims.n != 1 || data->dims.n < 1 || !infer_dims_is_constant(&data->dims)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "its dimensions have to be known");
  }
  memcpy(shape, data->dims.d, sizeof shape);
  shape[0] = n;
  InferTensor *dims = tf_ints(im, node, "shape", shape, (gsize)data->dims.n);
  InferTensor *zero = tf_scalar(im, node, "zero", data->type, 0);
  InferTensor *zeros = tf_add2(im, node, "zeros", "Expand", NULL, zero, dims, error);
  InferTensor *places = zeros ? tf_unsqueeze(im, node, "places", indices, &last, 1, error) : NULL;
  return places && scatter(im, node, zeros, places, data, "add", error);
}

/* What is beyond the classes is nowhere; ONNX counts negative numbers from the end. */
static gboolean
emit_one_hot(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *indices = int64_in(im, node, 0, error);
  InferTensor *depth = indices ? int64_in(im, node, 1, error) : NULL;
  InferTensor *on = depth ? tf_in(im, node, 2, error) : NULL;
  InferTensor *off = on ? tf_in(im, node, 3, error) : NULL;
  static const gint64 first = 0;

  if (!off) {
    return FALSE;
  }
  InferTensor *zero = tf_scalar(im, node, "zero", INFER_TYPE_INT64, 0);
  InferTensor *below = tf_add2(im, node, "below", "Less", NULL, indices, zero, error);
  InferTensor *choice[3] = {below, depth, indices};
  InferTensor *safe = below ? tf_add(im, node, "safe", "Where", NULL, choice, 3, error) : NULL;
  InferTensor *a = safe ? tf_unsqueeze(im, node, "off", off, &first, 1, error) : NULL;
  InferTensor *b = a ? tf_unsqueeze(im, node, "on", on, &first, 1, error) : NULL;
  InferTensor *pair[2] = {a, b};
  InferTensor *values = b ? concat(im, node, pair, 2, 0, error) : NULL;
  InferTensor *in[3] = {safe, depth, values};
  return values && tf_out(node, 0,
                          tf_add(im, node, NULL, "OneHot",
                                 infer_attrs_new("axis", 'i', tf_attr_int(node, "axis", -1), NULL),
                                 in, 3, error));
}

static gboolean
emit_where(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 perm[2] = {1, 0};
  InferTensor *x = tf_in(im, node, 0, error);
  InferTensor *places = x ? tf_add1(im, node, "places", "NonZero", NULL, x, error) : NULL;

  return places && tf_out(node, 0, tf_transpose(im, node, NULL, places, perm, 2, error));
}

static gboolean
emit_reverse(TfImport *im, TfNode *node, GError **error)
{
  gint64 starts[INFER_MAX_DIMS], ends[INFER_MAX_DIMS], axes[INFER_MAX_DIMS], steps[INFER_MAX_DIMS];
  InferTensor *x = tf_in(im, node, 0, error);
  gsize n = 0;

  if (!x || !tf_const_ints(node, 1, axes, INFER_MAX_DIMS, &n, error)) {
    return FALSE;
  }
  if (n == 0) {
    return tf_forward(node, 0, 0, error);
  }
  for (gsize i = 0; i < n; i++) {
    starts[i] = steps[i] = -1;
    ends[i] = G_MININT64;
    if (!tf_axis(&axes[i], x->dims.n, error)) {
      return FALSE;
    }
  }
  InferTensor *in[5] = {x, tf_ints(im, node, "starts", starts, n),
                        tf_ints(im, node, "ends", ends, n), tf_ints(im, node, "axes", axes, n),
                        tf_ints(im, node, "steps", steps, n)};
  return tf_out(node, 0, tf_add(im, node, NULL, "Slice", NULL, in, 5, error));
}

static gboolean
emit_reverse_sequence(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *x = tf_in(im, node, 0, error);
  InferTensor *lengths = x ? int64_in(im, node, 1, error) : NULL;
  gint64 time = tf_attr_int(node, "seq_dim", 0), batch = tf_attr_int(node, "batch_dim", 0);

  if (!lengths) {
    return FALSE;
  }
  if (time + batch != 1 || time < 0 || batch < 0) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "batch and sequence have to be its first two dimensions");
  }
  GVariant *attrs = infer_attrs_new("time_axis", 'i', time, "batch_axis", 'i', batch, NULL);
  return tf_out(node, 0, tf_add2(im, node, NULL, "ReverseSequence", attrs, x, lengths, error));
}

static gboolean
emit_roll(TfImport *im, TfNode *node, GError **error)
{
  gint64 shifts[INFER_MAX_DIMS], axes[INFER_MAX_DIMS];
  InferTensor *x = tf_in(im, node, 0, error);
  gsize n = 0, m = 0;

  if (!x || !tf_const_ints(node, 1, shifts, INFER_MAX_DIMS, &n, error) ||
      !tf_const_ints(node, 2, axes, INFER_MAX_DIMS, &m, error)) {
    return FALSE;
  }
  for (gsize i = 0; i < MIN(n, m) && x; i++) {
    if (!tf_axis(&axes[i], x->dims.n, error)) {
      return FALSE;
    }
    gint64 size = x->dims.d[axes[i]];
    if (size < 1) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "the dimension that it rolls is not known");
    }
    gint64 at = ((-shifts[i]) % size + size) % size;
    InferTensor *parts[2] = {slice(im, node, x, axes[i], at, G_MAXINT64, 1, error), NULL};
    parts[1] = parts[0] ? slice(im, node, x, axes[i], 0, at, 1, error) : NULL;
    x = at == 0 ? x : parts[1] ? concat(im, node, parts, 2, axes[i], error) : NULL;
  }
  return x && tf_out(node, 0, x);
}

/* --- spaces of blocks --- */

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
      x = slice(im, node, x, 1 + i, blocks.pads[2 * i], MAX(end, 0), 1, error);
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

/* --- others --- */

static gboolean
emit_einsum(TfImport *im, TfNode *node, GError **error)
{
  const InferTf__Attr *attr = tf_attr(node, "equation");
  g_autofree InferTensor **in = g_new0(InferTensor *, node->n_inputs + 1);

  for (guint i = 0; i < node->n_inputs; i++) {
    in[i] = tf_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  g_autofree char *equation =
      attr && attr->has_s ? g_strndup((const char *)attr->s.data, attr->s.len) : NULL;
  if (!equation || !g_str_is_ascii(equation)) {
    return tf_error(error, INFER_ERROR_MODEL, "it has no equation");
  }
  return tf_out(node, 0,
                tf_add(im, node, NULL, "Einsum", infer_attrs_new("equation", 's', equation, NULL),
                       in, node->n_inputs, error));
}

/* Rows and columns around the diagonal; a negative number keeps all on that side. */
static gboolean
emit_band_part(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *x = tf_in(im, node, 0, error);
  gint64 keep[2] = {0};
  gsize n = 0;

  for (guint i = 0; i < 2; i++) {
    if (!x || !tf_const_ints(node, 1 + i, &keep[i], 1, &n, error) || n != 1 ||
        keep[i] > G_MAXINT32) {
      return error && *error ? FALSE : tf_error(error, INFER_ERROR_MODEL, "its band is no number");
    }
  }
  for (guint i = 0; i < 2 && x; i++) {
    if (keep[i] >= 0) {
      InferTensor *k =
          tf_scalar(im, node, "k", INFER_TYPE_INT64, (double)(i == 0 ? -keep[i] : keep[i]));
      GVariant *attrs = infer_attrs_new("upper", 'i', (gint64)(i == 0), NULL);
      x = tf_add2(im, node, "band", "Trilu", attrs, x, k, error);
    }
  }
  return x && tf_out(node, 0, x);
}

static gboolean
emit_diag(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 last = -1;
  InferTensor *x = tf_in(im, node, 0, error);
  gint64 n = x && x->dims.n > 0 ? x->dims.d[x->dims.n - 1] : -1, k = 0;
  gsize m = 0;

  if (!x) {
    return FALSE;
  }
  if (n < 0 || n > 16384 || (tf_is(node, "Diag") && x->dims.n != 1) ||
      (node->n_inputs > 1 && (!tf_const_ints(node, 1, &k, 1, &m, NULL) || k != 0))) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "only main diagonals of a known size can be");
  }
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_BOOL, &INFER_DIMS(n, n), error);
  if (!array) {
    return FALSE;
  }
  memset(array->data, 0, array->size);
  for (gint64 i = 0; i < n; i++) {
    ((guint8 *)array->data)[i * n + i] = 1;
  }
  InferTensor *wide = tf_unsqueeze(im, node, "wide", x, &last, 1, error);
  InferTensor *in[3] = {infer_network_add_constant(im->network, "diagonal", array), wide,
                        tf_scalar(im, node, "zero", x->type, 0)};
  return wide && tf_out(node, 0, tf_add(im, node, NULL, "Where", NULL, in, 3, error));
}

static gboolean
emit_unique(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *x = tf_in(im, node, 0, error), *out[4];
  InferType type = tf_attr_type(node, "out_idx", INFER_TYPE_INT32);

  if (!x || !tf_add_n(im, node, NULL, "Unique", infer_attrs_new("sorted", 'i', (gint64)0, NULL), &x,
                      1, out, 4, error)) {
    return FALSE;
  }
  return tf_out(node, 0, out[0]) &&
         tf_out(node, 1, tf_cast(im, node, "index", out[2], type, error)) &&
         tf_out(node, 2, tf_cast(im, node, "count", out[3], type, error));
}

/* The order that sorts a permutation is its inverse. */
static gboolean
emit_invert_permutation(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2] = {tf_in(im, node, 0, error)}, *out[2];

  if (!in[0]) {
    return FALSE;
  }
  gint64 n = in[0]->dims.n == 1 ? in[0]->dims.d[0] : -1;
  if (n < 0) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "its length has to be known");
  }
  in[1] = tf_ints(im, node, "k", &n, 1);
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, "largest", 'i', (gint64)0, NULL);
  return tf_add_n(im, node, "sorted", "TopK", attrs, in, 2, out, 2, error) &&
         tf_out(node, 0, tf_cast(im, node, NULL, out[1], in[0]->type, error));
}

static gboolean
emit_lin_space(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *start = tf_in(im, node, 0, error);
  InferTensor *stop = start ? tf_in(im, node, 1, error) : NULL;
  gint64 n = 0;
  gsize m = 0;

  if (!stop || !tf_const_ints(node, 2, &n, 1, &m, error)) {
    return FALSE;
  }
  if (m != 1 || n < 1 || n > 1 << 24) {
    return tf_error(error, INFER_ERROR_MODEL, "%" G_GINT64_FORMAT " numbers", n);
  }
  g_autoptr(InferArray) steps = infer_array_new(start->type, &INFER_DIMS(n), error);
  for (gint64 i = 0; steps && i < n; i++) {
    infer_array_set_double(steps, (gsize)i, n > 1 ? (double)i / (double)(n - 1) : 0);
  }
  if (!steps) {
    return FALSE;
  }
  InferTensor *way = infer_network_add_constant(im->network, "way", steps);
  InferTensor *range = tf_add2(im, node, "range", "Sub", NULL, stop, start, error);
  InferTensor *part = range ? tf_add2(im, node, "part", "Mul", NULL, range, way, error) : NULL;
  return part && tf_out(node, 0, tf_add2(im, node, NULL, "Add", NULL, part, start, error));
}

/* Indices first, then as many tensors; what comes later wins. */
static gboolean
emit_stitch(TfImport *im, TfNode *node, GError **error)
{
  guint n = node->n_inputs / 2;
  g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(gint64));
  g_autofree InferTensor **parts = g_new0(InferTensor *, n + 1);
  gint64 at = 0;
  static const gint64 minus = -1;

  for (guint i = 0; i < n; i++) {
    g_autoptr(InferArray) indices = tf_const(node, i, error);
    InferTensor *data = indices ? tf_in(im, node, n + i, error) : NULL;
    if (!data) {
      return FALSE;
    }
    for (gint64 k = 0; k < infer_array_count(indices); k++, at++) {
      gint64 place = infer_array_get_int(indices, (gsize)k);
      if (place < 0 || place > 1 << 20) {
        return tf_error(error, INFER_ERROR_MODEL, "an index of %" G_GINT64_FORMAT, place);
      }
      while (places->len <= place) {
        g_array_append_val(places, minus);
      }
      g_array_index(places, gint64, place) = at;
    }
    static const gint64 first = 0;
    if (indices->dims.n > 1) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "its indices are not vectors");
    }
    parts[i] = indices->dims.n == 0 ? tf_unsqueeze(im, node, "row", data, &first, 1, error) : data;
    if (!parts[i]) {
      return FALSE;
    }
  }
  for (guint i = 0; i < places->len; i++) {
    if (g_array_index(places, gint64, i) < 0) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "nothing is put in place %u", i);
    }
  }
  if (n == 0) {
    return tf_error(error, INFER_ERROR_MODEL, "it has no inputs");
  }
  InferTensor *all = concat(im, node, parts, n, 0, error);
  InferTensor *order = tf_ints(im, node, "order", (const gint64 *)places->data, places->len);
  return all && tf_out(node, 0,
                       tf_add2(im, node, NULL, "Gather",
                               infer_attrs_new("axis", 'i', (gint64)0, NULL), all, order, error));
}

/* --- suppression of boxes, and what is cut out by them --- */

static InferTensor *
padded(TfImport *im, TfNode *node, InferTensor *x, gint64 n, GError **error)
{
  InferTensor *size = tf_ints(im, node, "size", &n, 1);
  InferTensor *zero = tf_scalar(im, node, "zero", x->type, 0);
  InferTensor *zeros = tf_add2(im, node, "zeros", "Expand", NULL, zero, size, error);
  InferTensor *parts[2] = {x, zeros};
  InferTensor *all = zeros ? concat(im, node, parts, 2, 0, error) : NULL;

  return all ? slice(im, node, all, 0, 0, n, 1, error) : NULL;
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
  InferTensor *third = rows ? slice(im, node, rows, 1, 2, 3, 1, error) : NULL;
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
  InferTensor *a = way ? slice(im, node, boxes, 1, from, from + 1, 1, error) : NULL;
  InferTensor *b = a ? slice(im, node, boxes, 1, to, to + 1, 1, error) : NULL;
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
  InferTensor *grid = pair[1] ? concat(im, node, pair, 2, 3, error) : NULL;
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

const TfOp tf_ops_index[] = {
    {"GatherNd", emit_gather_nd},
    {"ScatterNd", emit_scatter_nd},
    {"TensorScatterUpdate", emit_tensor_scatter},
    {"TensorScatterAdd", emit_tensor_scatter},
    {"TensorScatterMax", emit_tensor_scatter},
    {"TensorScatterMin", emit_tensor_scatter},
    {"SegmentSum", emit_segment_sum},
    {"UnsortedSegmentSum", emit_segment_sum},
    {"OneHot", emit_one_hot},
    {"Where", emit_where},
    {"ReverseV2", emit_reverse},
    {"ReverseSequence", emit_reverse_sequence},
    {"Roll", emit_roll},
    {"SpaceToBatchND", emit_space_to_batch},
    {"BatchToSpaceND", emit_batch_to_space},
    {"SpaceToDepth", emit_depth},
    {"DepthToSpace", emit_depth},
    {"Einsum", emit_einsum},
    {"MatrixBandPart", emit_band_part},
    {"Diag", emit_diag},
    {"MatrixDiag", emit_diag},
    {"MatrixDiagV2", emit_diag},
    {"MatrixDiagV3", emit_diag},
    {"Unique", emit_unique},
    {"UniqueWithCounts", emit_unique},
    {"InvertPermutation", emit_invert_permutation},
    {"LinSpace", emit_lin_space},
    {"DynamicStitch", emit_stitch},
    {"ParallelDynamicStitch", emit_stitch},
    {"NonMaxSuppression", emit_nms},
    {"NonMaxSuppressionV2", emit_nms},
    {"NonMaxSuppressionV3", emit_nms},
    {"NonMaxSuppressionV4", emit_nms},
    {"NonMaxSuppressionV5", emit_nms},
    {"CropAndResize", emit_crop},
    {NULL, NULL},
};
