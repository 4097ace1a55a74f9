/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

static gboolean
emit_concat(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ConcatParameter *p = layer->def->concat_param;
  gint axis;

  if (!caffe_arity(layer, 1, G_MAXUINT, 1, error)) {
    return FALSE;
  }
  gint64 wanted = !p ? 1 : p->has_concat_dim ? (gint64)p->concat_dim : p->axis;
  if (!caffe_axis(layer->in[0], wanted, &axis, error)) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)axis, NULL);
  return caffe_top(layer, 0, caffe_add(im, layer, "Concat", attrs, layer->in, layer->n_in, error));
}

/* The sizes of the parts: between the points, or all the same. */
static gboolean
part_sizes(const CaffeLayer *layer, const InferCaffe__SliceParameter *p, gint64 size, gint64 *sizes,
           GError **error)
{
  guint n = layer->n_out;
  gint64 from = 0;

  if (p && p->n_slice_point > 0 ? p->n_slice_point != n - 1 : size % n != 0) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "%" G_GINT64_FORMAT
                       " elements cannot be cut into %u tops by %" G_GSIZE_FORMAT " points",
                       size, n, p ? p->n_slice_point : 0);
  }
  for (guint i = 0; i < n; i++) {
    gint64 to = i + 1 == n                  ? size
                : p && p->n_slice_point > 0 ? (gint64)p->slice_point[i]
                                            : from + size / n;
    sizes[i] = to - from;
    if (sizes[i] < 1) {
      return caffe_error(error, INFER_ERROR_MODEL,
                         "the slice points do not ascend to %" G_GINT64_FORMAT, size);
    }
    from = to;
  }
  return TRUE;
}

static gboolean
emit_slice(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__SliceParameter *p = layer->def->slice_param;
  guint n = layer->n_out;
  gint axis;

  if (!caffe_arity(layer, 1, 1, MAX(n, 1), error)) {
    return FALSE;
  }
  gint64 wanted = !p ? 1 : p->has_slice_dim ? (gint64)p->slice_dim : p->axis;
  if (!caffe_axis(layer->in[0], wanted, &axis, error)) {
    return FALSE;
  }
  gint64 size = layer->in[0]->dims.d[axis];
  if (size < 1) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "the batch cannot be cut");
  }
  g_autofree gint64 *sizes = g_new(gint64, n);
  if (!part_sizes(layer, p, size, sizes, error)) {
    return FALSE;
  }
  InferTensor *in[2] = {layer->in[0], caffe_ints(im, sizes, n)};
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)axis, NULL);
  return caffe_add_n(im, layer, "Split", attrs, in, 2, layer->out, n, error);
}

static gboolean
emit_split(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  if (!caffe_arity(layer, 1, 1, MAX(layer->n_out, 1), error)) {
    return FALSE;
  }
  for (guint i = 0; i < layer->n_out; i++) {
    if (!caffe_top(layer, i, caffe_add1(im, layer, "Identity", NULL, layer->in[0], error))) {
      return FALSE;
    }
  }
  return TRUE;
}

/* A dimension for Reshape: the number, or -1 for the batch. */
static gint64
known(gint64 dim)
{
  return dim < 0 ? -1 : dim;
}

static gboolean
emit_flatten(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__FlattenParameter none = INFER_CAFFE__FLATTEN_PARAMETER__INIT;
  const InferCaffe__FlattenParameter *p =
      layer->def->flatten_param ? layer->def->flatten_param : &none;
  gint64 shape[INFER_MAX_DIMS];
  gint first, last;
  gsize n = 0;

  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_axis(layer->in[0], p->axis, &first, error) ||
      !caffe_axis(layer->in[0], p->end_axis, &last, error)) {
    return FALSE;
  }
  const InferDims *dims = &layer->in[0]->dims;
  InferDims inner = INFER_DIMS_SCALAR;
  if (first > last) {
    return caffe_error(error, INFER_ERROR_MODEL, "the axes %d to %d are none", first, last);
  }
  for (gint i = 0; i < first; i++) {
    shape[n++] = 0;
  }
  for (gint i = first; i <= last; i++) {
    inner.d[inner.n++] = dims->d[i];
  }
  shape[n++] = infer_dims_count(&inner);
  for (gint i = last + 1; i < dims->n; i++) {
    shape[n++] = known(dims->d[i]);
  }
  return caffe_top(layer, 0, caffe_reshape(im, layer, layer->in[0], shape, n, error));
}

/* The element @i of the new shape as Reshape takes it, @at being its place in the top. */
static gint64
reshape_dim(const CaffeImport *im, const InferDims *dims, gint64 value, gint from, gint at)
{
  /* A net for one image often says 1 for the batch. */
  if (at == 0 && dims->n > 0 && dims->d[0] < 0 && im->first_batch > 0 && value == im->first_batch) {
    return 0;
  }
  if (value != 0) {
    return value;
  }
  return from == at ? 0 : from < dims->n ? known(dims->d[from]) : -2;
}

static gboolean
emit_reshape(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ReshapeParameter *p = layer->def->reshape_param;
  gint64 shape[2 * INFER_MAX_DIMS];
  gsize n = 0;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  const InferDims *dims = &layer->in[0]->dims;
  gsize count = p && p->shape ? p->shape->n_dim : 0;
  gint64 axis = p ? p->axis : 0;
  axis += axis < 0 ? dims->n + 1 : 0;
  if (!p || dims->n < 0 || axis < 0 || axis > dims->n || count > INFER_MAX_DIMS ||
      p->num_axes < -1 || (p->num_axes >= 0 && axis + p->num_axes > dims->n)) {
    return caffe_error(error, INFER_ERROR_MODEL, "its reshape_param does not fit %d dimensions",
                       dims->n);
  }
  for (gint i = 0; i < axis; i++) {
    shape[n++] = 0;
  }
  for (gsize i = 0; i < count; i++) {
    gint64 value = p->shape->dim[i];
    shape[n] = reshape_dim(im, dims, value, (gint)(axis + (gint64)i), (gint)n);
    if (shape[n] < -1) {
      return caffe_error(error, INFER_ERROR_MODEL, "the dimension %" G_GINT64_FORMAT " cannot be",
                         value);
    }
    n++;
  }
  for (gint64 i = p->num_axes < 0 ? dims->n : axis + p->num_axes; i < dims->n; i++) {
    shape[n++] = known(dims->d[i]);
  }
  return n <= INFER_MAX_DIMS
             ? caffe_top(layer, 0, caffe_reshape(im, layer, layer->in[0], shape, n, error))
             : caffe_error(error, INFER_ERROR_UNSUPPORTED,
                           "it makes %" G_GSIZE_FORMAT " dimensions", n);
}

static gboolean
emit_permute(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PermuteParameter *p = layer->def->permute_param;
  gint64 order[INFER_MAX_DIMS];
  gboolean seen[INFER_MAX_DIMS] = {FALSE};
  gint n = 0;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  gint rank = layer->in[0]->dims.n;
  for (gsize i = 0; p && i < p->n_order; i++) {
    if (rank < 0 || p->order[i] >= (guint32)rank || seen[p->order[i]]) {
      return caffe_error(error, INFER_ERROR_MODEL, "the order has a %u too many", p->order[i]);
    }
    seen[p->order[i]] = TRUE;
    order[n++] = p->order[i];
  }
  for (gint i = 0; i < rank; i++) {
    if (!seen[i]) {
      order[n++] = i;
    }
  }
  return caffe_top(layer, 0, caffe_transpose(im, layer, layer->in[0], order, (gsize)n, error));
}

static gboolean
emit_crop(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__CropParameter *p = layer->def->crop_param;
  gint64 begin[INFER_MAX_DIMS], end[INFER_MAX_DIMS], axes[INFER_MAX_DIMS];
  gsize n = 0;
  gint axis;

  if (!caffe_arity(layer, 2, 2, 1, error) ||
      !caffe_axis(layer->in[0], p ? p->axis : 2, &axis, error)) {
    return FALSE;
  }
  const InferDims *from = &layer->in[0]->dims, *to = &layer->in[1]->dims;
  gsize offsets = p ? p->n_offset : 0;
  if (to->n != from->n || (offsets > 1 && offsets != (gsize)(from->n - axis))) {
    return caffe_error(error, INFER_ERROR_SHAPE,
                       "bottoms of %d and %d dimensions and %" G_GSIZE_FORMAT " offsets do not fit",
                       from->n, to->n, offsets);
  }
  for (gint i = axis; i < from->n; i++) {
    begin[n] = offsets ? p->offset[offsets == 1 ? 0 : i - axis] : 0;
    end[n] = begin[n] + to->d[i];
    axes[n] = i;
    if (from->d[i] < 1 || to->d[i] < 1 || end[n] > from->d[i]) {
      return caffe_error(error, INFER_ERROR_SHAPE, "the cut does not fit axis %d", i);
    }
    n++;
  }
  InferTensor *in[4] = {layer->in[0], caffe_ints(im, begin, n), caffe_ints(im, end, n),
                        caffe_ints(im, axes, n)};
  return caffe_top(layer, 0, caffe_add(im, layer, "Slice", NULL, in, 4, error));
}

static gboolean
emit_tile(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__TileParameter *p = layer->def->tile_param;
  gint64 repeats[INFER_MAX_DIMS];
  gint axis;

  if (!caffe_arity(layer, 1, 1, 1, error) ||
      !caffe_axis(layer->in[0], p ? p->axis : 1, &axis, error)) {
    return FALSE;
  }
  if (!p || p->tiles < 1) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no number of tiles");
  }
  for (gint i = 0; i < layer->in[0]->dims.n; i++) {
    repeats[i] = i == axis ? p->tiles : 1;
  }
  InferTensor *list = caffe_ints(im, repeats, (gsize)layer->in[0]->dims.n);
  return caffe_top(layer, 0, caffe_add2(im, layer, "Tile", NULL, layer->in[0], list, error));
}

static gboolean
emit_arg_max(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ArgMaxParameter none = INFER_CAFFE__ARG_MAX_PARAMETER__INIT;
  const InferCaffe__ArgMaxParameter *p =
      layer->def->argmax_param ? layer->def->argmax_param : &none;
  InferTensor *out[2], *x = layer->n_in ? layer->in[0] : NULL;
  gint64 k = p->top_k;
  gint axis = 1;

  if (!caffe_arity(layer, 1, 1, 1, error) ||
      (p->has_axis && !caffe_axis(x, p->axis, &axis, error))) {
    return FALSE;
  }
  if (!p->has_axis) {
    x = caffe_reshape(im, layer, x, (gint64[]){0, -1}, 2, error);
  }
  if (!x) {
    return FALSE;
  }
  InferTensor *in[2] = {x, caffe_ints(im, &k, 1)};
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)axis, NULL);
  if (!caffe_add_n(im, layer, "TopK", attrs, in, 2, out, 2, error)) {
    return FALSE;
  }
  GVariant *to = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL);
  if (p->has_axis) {
    return caffe_top(layer, 0,
                     p->out_max_val ? caffe_add1(im, layer, "Identity", NULL, out[0], error)
                                    : caffe_add1(im, layer, "Cast", to, out[1], error));
  }
  /* As many dimensions as the bottom has, but at least three. */
  gint64 dims[INFER_MAX_DIMS] = {0, 1, k};
  gsize rank = (gsize)MAX(layer->in[0]->dims.n, 3);
  for (gsize i = 3; i < rank; i++) {
    dims[i] = 1;
  }
  out[1] = caffe_add1(im, layer, "Cast", to, out[1], error);
  out[1] = out[1] ? caffe_reshape(im, layer, out[1], dims, rank, error) : NULL;
  if (!p->out_max_val || !out[1]) {
    return caffe_top(layer, 0, out[1]);
  }
  out[0] = caffe_reshape(im, layer, out[0], dims, rank, error);
  return caffe_top(layer, 0,
                   caffe_add2(im, layer, "Concat", infer_attrs_new("axis", 'i', (gint64)1, NULL),
                              out[1], out[0], error));
}

static gboolean
emit_reduction(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  static const char *const ops[] = {NULL, "ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceMean"};
  const InferCaffe__ReductionParameter none = INFER_CAFFE__REDUCTION_PARAMETER__INIT;
  const InferCaffe__ReductionParameter *p =
      layer->def->reduction_param ? layer->def->reduction_param : &none;
  gint64 axes[INFER_MAX_DIMS];
  gsize n = 0;
  gint axis;

  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_axis(layer->in[0], p->axis, &axis, error)) {
    return FALSE;
  }
  if (p->operation < 1 || p->operation > 4) {
    return caffe_error(error, INFER_ERROR_MODEL, "the operation %d is not known", p->operation);
  }
  for (gint i = axis; i < layer->in[0]->dims.n; i++) {
    axes[n++] = i;
  }
  InferTensor *x =
      caffe_add2(im, layer, ops[p->operation], infer_attrs_new("keepdims", 'i', (gint64)0, NULL),
                 layer->in[0], caffe_ints(im, axes, n), error);
  if (p->coeff != 1) {
    x = caffe_add2(im, layer, "Mul", NULL, x, caffe_float(im, (double)p->coeff), error);
  }
  return caffe_top(layer, 0, x);
}

static gboolean
emit_shuffle(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ShuffleChannelParameter *p = layer->def->shuffle_channel_param;
  gint64 group = p ? p->group : 1;

  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  const InferDims *dims = &layer->in[0]->dims;
  if (group < 1 || dims->d[1] % group) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "%" G_GINT64_FORMAT " channels are not a multiple of %" G_GINT64_FORMAT,
                       dims->d[1], group);
  }
  gint64 apart[5] = {0, group, dims->d[1] / group, dims->d[2], dims->d[3]};
  InferTensor *x = caffe_reshape(im, layer, layer->in[0], apart, 5, error);
  x = caffe_transpose(im, layer, x, (gint64[]){0, 2, 1, 3, 4}, 5, error);
  return caffe_top(
      layer, 0,
      caffe_reshape(im, layer, x, (gint64[]){0, dims->d[1], dims->d[2], dims->d[3]}, 4, error));
}

/* Weights as they are. */
static gboolean
emit_parameter(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__BlobShape *shape =
      layer->def->parameter_param ? layer->def->parameter_param->shape : NULL;
  InferDims dims = INFER_DIMS_SCALAR;

  if (!caffe_arity(layer, 0, 0, 1, error)) {
    return FALSE;
  }
  if (!shape || shape->n_dim > INFER_MAX_DIMS) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "it has no shape, or one of more than %d dimensions", INFER_MAX_DIMS);
  }
  for (gsize i = 0; i < shape->n_dim; i++) {
    dims.d[dims.n++] = shape->dim[i];
  }
  return caffe_top(layer, 0, caffe_weight_tensor(im, layer, 0, &dims, NULL, CAFFE_SPREAD, error));
}

const CaffeOp caffe_ops_shape[] = {
    {"Parameter", emit_parameter},
    {"Concat", emit_concat},
    {"Slice", emit_slice},
    {"Split", emit_split},
    {"Flatten", emit_flatten},
    {"Reshape", emit_reshape},
    {"Permute", emit_permute},
    {"Crop", emit_crop},
    {"Tile", emit_tile},
    {"ArgMax", emit_arg_max},
    {"Reduction", emit_reduction},
    {"ShuffleChannel", emit_shuffle},
    {NULL, NULL},
};
