/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Parts of tensors: slices, splits, gathers. */

/* What a slice takes of each dimension, and what becomes of the dimensions afterwards. */
typedef struct {
  gint64 starts[INFER_MAX_DIMS], ends[INFER_MAX_DIMS];
  gint64 axes[INFER_MAX_DIMS], steps[INFER_MAX_DIMS];
  gsize n;
  gint64 gone[INFER_MAX_DIMS]; /* input dimensions that vanish */
  gsize n_gone;
  gint64 fresh[INFER_MAX_DIMS]; /* output dimensions that are put in */
  gsize n_fresh;
} Part;

static void
part_add(Part *part, gint64 axis, gint64 start, gint64 end, gint64 step)
{
  part->starts[part->n] = start;
  part->ends[part->n] = end;
  part->axes[part->n] = axis;
  part->steps[part->n++] = step;
}

static InferTensor *
take_part(TfImport *im, TfNode *node, InferTensor *input, const Part *part, GError **error)
{
  gboolean more = part->n_gone || part->n_fresh;
  InferTensor *in[5] = {input};
  InferTensor *out = input;

  if (part->n > 0) {
    in[1] = tf_ints(im, node, "starts", part->starts, part->n);
    in[2] = tf_ints(im, node, "ends", part->ends, part->n);
    in[3] = tf_ints(im, node, "axes", part->axes, part->n);
    in[4] = tf_ints(im, node, "steps", part->steps, part->n);
    out = tf_add(im, node, more ? "part" : NULL, "Slice", NULL, in, 5, error);
  }
  if (out) {
    const char *suffix = part->n_fresh ? "squeezed" : NULL;
    out = tf_squeeze(im, node, suffix, out, part->gone, part->n_gone, error);
  }
  return out ? tf_unsqueeze(im, node, NULL, out, part->fresh, part->n_fresh, error) : NULL;
}

static gboolean
emit_slice(TfImport *im, TfNode *node, GError **error)
{
  gint64 begin[INFER_MAX_DIMS], size[INFER_MAX_DIMS];
  gboolean nchw = tf_has_nchw(node, 0);
  gsize n = 0, m = 0;
  Part part = {.n = 0};

  if (!tf_const_ints(node, 1, begin, INFER_MAX_DIMS, &n, error) ||
      !tf_const_ints(node, 2, size, INFER_MAX_DIMS, &m, error)) {
    return FALSE;
  }
  nchw = nchw && n == 4;
  InferTensor *input = nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);
  if (!input) {
    return FALSE;
  }
  if (n != m || (input->dims.n >= 0 && (gsize)input->dims.n != n)) {
    return tf_error(error, INFER_ERROR_MODEL, "begin and size do not fit the input's dimensions");
  }
  for (gsize i = 0; i < n; i++) {
    gint64 end = 0, axis = nchw ? tf_nchw_axis((gint64)i) : (gint64)i;
    if (begin[i] < 0 || size[i] < -1 || __builtin_add_overflow(begin[i], size[i], &end)) {
      return tf_error(error, INFER_ERROR_MODEL,
                      "begin %" G_GINT64_FORMAT " and size %" G_GINT64_FORMAT " do not make a part",
                      begin[i], size[i]);
    }
    if (begin[i] != 0 || size[i] != -1) {
      part_add(&part, axis, begin[i], size[i] == -1 ? G_MAXINT64 : end, 1);
    }
  }
  return tf_out_as(node, 0, take_part(im, node, input, &part, error), nchw);
}

/* The masks of a strided slice: bit i is for element i of begin, end and strides. */
typedef struct {
  gint64 begin[2 * INFER_MAX_DIMS], end[2 * INFER_MAX_DIMS], step[2 * INFER_MAX_DIMS];
  gsize n;
  gint64 begin_mask, end_mask, ellipsis_mask, new_mask, shrink_mask;
} Spec;

static gboolean
read_spec(TfNode *node, Spec *spec, GError **error)
{
  gsize n_end = 0, n_step = 0;

  spec->begin_mask = tf_attr_int(node, "begin_mask", 0);
  spec->end_mask = tf_attr_int(node, "end_mask", 0);
  spec->ellipsis_mask = tf_attr_int(node, "ellipsis_mask", 0);
  spec->new_mask = tf_attr_int(node, "new_axis_mask", 0);
  spec->shrink_mask = tf_attr_int(node, "shrink_axis_mask", 0);
  if (!tf_const_ints(node, 1, spec->begin, G_N_ELEMENTS(spec->begin), &spec->n, error) ||
      !tf_const_ints(node, 2, spec->end, G_N_ELEMENTS(spec->end), &n_end, error) ||
      !tf_const_ints(node, 3, spec->step, G_N_ELEMENTS(spec->step), &n_step, error)) {
    return FALSE;
  }
  if (n_end != spec->n || n_step != spec->n) {
    return tf_error(error, INFER_ERROR_MODEL, "begin, end and strides have different lengths");
  }
  if (spec->ellipsis_mask & (spec->ellipsis_mask - 1)) {
    return tf_error(error, INFER_ERROR_MODEL, "it has more than one ellipsis");
  }
  return TRUE;
}

static gboolean
has_bit(gint64 mask, gsize i)
{
  return (mask >> i & 1) != 0;
}

/* One dimension of the input that element @i speaks of. */
static gboolean
spec_dimension(const Spec *spec, gsize i, gint64 axis, Part *part, GError **error)
{
  gint64 step = spec->step[i], begin = spec->begin[i], end = spec->end[i];

  if (has_bit(spec->shrink_mask, i)) {
    if (begin == G_MAXINT64) {
      return tf_error(error, INFER_ERROR_MODEL, "an index is out of range");
    }
    part_add(part, axis, begin, begin == -1 ? G_MAXINT64 : begin + 1, 1);
    part->gone[part->n_gone++] = axis;
    return TRUE;
  }
  if (step == 0 || step == G_MININT64) {
    return tf_error(error, INFER_ERROR_MODEL, "a stride of %" G_GINT64_FORMAT, step);
  }
  if (has_bit(spec->begin_mask, i)) {
    begin = step > 0 ? 0 : G_MAXINT64;
  }
  if (has_bit(spec->end_mask, i)) {
    end = step > 0 ? G_MAXINT64 : G_MININT64;
  }
  if (begin != 0 || end != G_MAXINT64 || step != 1) {
    part_add(part, axis, begin, end, step);
  }
  return TRUE;
}

/* Translates the spec for an input of @rank dimensions; -1 does where there is no ellipsis. */
static gboolean
translate(const Spec *spec, gint rank, Part *part, GError **error)
{
  gint64 in = 0, out = 0, spoken = 0;

  for (gsize i = 0; i < spec->n; i++) {
    spoken += !has_bit(spec->ellipsis_mask, i) && !has_bit(spec->new_mask, i);
  }
  for (gsize i = 0; i < spec->n; i++) {
    if (has_bit(spec->ellipsis_mask, i)) {
      if (rank < spoken) {
        return tf_error(error, INFER_ERROR_MODEL, "the slice does not fit %d dimensions", rank);
      }
      in += rank - spoken;
      out += rank - spoken;
    } else if (has_bit(spec->new_mask, i)) {
      if (part->n_fresh >= INFER_MAX_DIMS) {
        return tf_error(error, INFER_ERROR_UNSUPPORTED, "it makes too many dimensions");
      }
      part->fresh[part->n_fresh++] = out++;
    } else {
      if (in >= (rank < 0 ? INFER_MAX_DIMS : rank)) {
        return tf_error(error, INFER_ERROR_MODEL, "the slice does not fit %d dimensions", rank);
      }
      if (!spec_dimension(spec, i, in++, part, error)) {
        return FALSE;
      }
      out += !has_bit(spec->shrink_mask, i);
    }
  }
  return TRUE;
}

static gboolean
emit_strided_slice(TfImport *im, TfNode *node, GError **error)
{
  gboolean nchw = tf_has_nchw(node, 0);
  gint rank = tf_in_rank(node, 0);
  Spec spec = {.n = 0};
  Part part = {.n = 0};

  if (!read_spec(node, &spec, error) || !translate(&spec, rank, &part, error)) {
    return FALSE;
  }
  nchw = nchw && part.n_gone == 0 && part.n_fresh == 0;
  InferTensor *input = nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);
  if (!input) {
    return FALSE;
  }
  for (gsize i = 0; i < part.n && nchw; i++) {
    part.axes[i] = tf_nchw_axis(part.axes[i]);
  }
  return tf_out_as(node, 0, take_part(im, node, input, &part, error), nchw);
}

static gboolean
store_all(TfNode *node, InferTensor **parts, guint n, gboolean nchw)
{
  for (guint i = 0; i < n; i++) {
    tf_out_as(node, i, parts[i], nchw);
  }
  return TRUE;
}

/* The outputs of a split, or of an unpack, are counted by the graph: no more than 65535. */
static gboolean
check_count(gint64 n, GError **error)
{
  return (n > 0 && n <= 65535) ||
         tf_error(error, INFER_ERROR_MODEL, "%" G_GINT64_FORMAT " outputs", n);
}

static gboolean
split(TfImport *im, TfNode *node, guint data, guint axis_input, gint64 n, InferTensor *sizes,
      GError **error)
{
  gboolean nchw = tf_has_nchw(node, data);
  InferTensor *in[2] = {NULL, sizes};
  gint64 axis = 0;

  if (!check_count(n, error) ||
      !tf_const_axis(node, axis_input, tf_in_rank(node, data), &axis, error)) {
    return FALSE;
  }
  in[0] = nchw ? tf_in_nchw(im, node, data, error) : tf_in(im, node, data, error);
  if (!in[0]) {
    return FALSE;
  }
  axis = nchw ? tf_nchw_axis(axis) : axis;
  gint64 dim = axis >= 0 && axis < in[0]->dims.n ? in[0]->dims.d[axis] : INFER_DIM_UNKNOWN;
  if (!sizes && dim >= 0 && dim % n != 0) {
    return tf_error(error, INFER_ERROR_MODEL,
                    "%" G_GINT64_FORMAT " elements do not split into %" G_GINT64_FORMAT " parts",
                    dim, n);
  }
  GVariant *attrs = sizes ? infer_attrs_new("axis", 'i', axis, NULL)
                          : infer_attrs_new("axis", 'i', axis, "num_outputs", 'i', n, NULL);
  g_autofree InferTensor **out = g_new0(InferTensor *, (gsize)n);
  return tf_add_n(im, node, NULL, "Split", attrs, in, sizes ? 2 : 1, out, (guint)n, error) &&
         store_all(node, out, (guint)n, nchw);
}

static gboolean
emit_split(TfImport *im, TfNode *node, GError **error)
{
  return split(im, node, 1, 0, tf_attr_int(node, "num_split", 0), NULL, error);
}

static gboolean
emit_split_v(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) sizes = tf_const(node, 1, error);
  gint64 n = sizes ? infer_array_count(sizes) : 0;
  gint64 axis = 0, sum = 0, open = -1;
  TfValue *value = tf_value(node, 0, error);

  if (!sizes || !value || !check_count(n, error) ||
      !tf_const_axis(node, 2, tf_in_rank(node, 0), &axis, error)) {
    return FALSE;
  }
  g_autofree gint64 *list = g_new(gint64, (gsize)n);
  for (gint64 i = 0; i < n; i++) {
    list[i] = infer_array_get_int(sizes, (gsize)i);
    if (list[i] == -1 && open < 0) {
      open = i;
    } else if (list[i] < 0 || __builtin_add_overflow(sum, list[i], &sum)) {
      return tf_error(error, INFER_ERROR_MODEL, "a part of %" G_GINT64_FORMAT, list[i]);
    }
  }
  if (open >= 0) {
    const InferDims *dims = value->tf ? &value->tf->dims : &value->nchw->dims;
    gint64 at = value->tf ? axis : tf_nchw_axis(axis);
    gint64 dim = at >= 0 && at < dims->n ? dims->d[at] : -1;
    if (dim < sum) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "the size of part %" G_GINT64_FORMAT " cannot be told", open);
    }
    list[open] = dim - sum;
  }
  return split(im, node, 0, 2, n, tf_ints(im, node, "sizes", list, (gsize)n), error);
}

static gboolean
emit_unpack(TfImport *im, TfNode *node, GError **error)
{
  gint64 axis = tf_attr_int(node, "axis", 0), n = tf_attr_int(node, "num", 0);
  InferTensor *input = tf_in(im, node, 0, error);

  if (!input || !check_count(n, error) || !tf_axis(&axis, input->dims.n, error)) {
    return FALSE;
  }
  if (axis >= 0 && axis < input->dims.n && input->dims.d[axis] >= 0 && input->dims.d[axis] != n) {
    return tf_error(error, INFER_ERROR_MODEL,
                    "the dimension is %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
                    input->dims.d[axis], n);
  }
  g_autofree InferTensor **out = g_new0(InferTensor *, (gsize)n);
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, "num_outputs", 'i', n, NULL);
  if (!tf_add_n(im, node, "split", "Split", attrs, &input, 1, out, (guint)n, error)) {
    return FALSE;
  }
  for (guint i = 0; i < (guint)n; i++) {
    out[i] = tf_squeeze(im, node, i ? "part" : NULL, out[i], &axis, 1, error);
    if (!out[i]) {
      return FALSE;
    }
  }
  return store_all(node, out, (guint)n, FALSE);
}

static gboolean
emit_gather(TfImport *im, TfNode *node, GError **error)
{
  gint64 axis = 0;
  InferTensor *data = tf_in(im, node, 0, error);
  InferTensor *indices = data ? tf_in(im, node, 1, error) : NULL;

  if (!indices ||
      (tf_is(node, "GatherV2") && !tf_const_axis(node, 2, data->dims.n, &axis, error))) {
    return FALSE;
  }
  gint64 batch = tf_attr_int(node, "batch_dims", 0);
  batch += batch < 0 ? MAX(indices->dims.n, 0) : 0;
  if (batch != 0) {
    static const gint64 last = -1;
    if (axis != batch) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "with batch_dims, the axis has to be the first behind the batch");
    }
    InferTensor *wide = tf_cast(im, node, "int64", indices, INFER_TYPE_INT64, error);
    wide = wide ? tf_unsqueeze(im, node, "wide", wide, &last, 1, error) : NULL;
    GVariant *dims = infer_attrs_new("batch_dims", 'i', batch, NULL);
    if (!wide) {
      g_variant_unref(g_variant_ref_sink(dims));
      return FALSE;
    }
    return tf_out(node, 0, tf_add2(im, node, NULL, "GatherND", dims, data, wide, error));
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, NULL);
  return tf_out(node, 0, tf_add2(im, node, NULL, "Gather", attrs, data, indices, error));
}

const TfOp tf_ops_slice[] = {
    {"Slice", emit_slice},     {"StridedSlice", emit_strided_slice},
    {"Split", emit_split},     {"SplitV", emit_split_v},
    {"Unpack", emit_unpack},   {"Gather", emit_gather},
    {"GatherV2", emit_gather}, {NULL, NULL},
};
