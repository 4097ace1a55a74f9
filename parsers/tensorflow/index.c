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
  InferTensor *values = b ? tf_join(im, node, pair, 2, 0, error) : NULL;
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
    InferTensor *parts[2] = {tf_part(im, node, x, axes[i], at, G_MAXINT64, 1, error), NULL};
    parts[1] = parts[0] ? tf_part(im, node, x, axes[i], 0, at, 1, error) : NULL;
    x = at == 0 ? x : parts[1] ? tf_join(im, node, parts, 2, axes[i], error) : NULL;
  }
  return x && tf_out(node, 0, x);
}

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
  InferTensor *all = tf_join(im, node, parts, n, 0, error);
  InferTensor *order = tf_ints(im, node, "order", (const gint64 *)places->data, places->len);
  return all && tf_out(node, 0,
                       tf_add2(im, node, NULL, "Gather",
                               infer_attrs_new("axis", 'i', (gint64)0, NULL), all, order, error));
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
    {NULL, NULL},
};
