/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

static gboolean
channels_of(const CaffeLayer *layer, gint64 *channels, GError **error)
{
  const InferDims *dims = &layer->in[0]->dims;

  if (dims->n < 1 || dims->d[dims->n > 1 ? 1 : 0] < 1) {
    return caffe_error(error, INFER_ERROR_SHAPE, "the number of channels is not known");
  }
  *channels = dims->d[dims->n > 1 ? 1 : 0];
  return TRUE;
}

static InferTensor *
constant_vector(CaffeImport *im, gint64 n, float value, GError **error)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(n), error);

  for (gint64 i = 0; array && i < n; i++) {
    ((float *)array->data)[i] = value;
  }
  return array ? infer_network_add_constant(im->network, NULL, array) : NULL;
}

/* A running sum of moments: blob 2 is what it has to be divided by. */
static InferTensor *
moment(CaffeImport *im, CaffeLayer *layer, guint index, gint64 channels, double factor,
       GError **error)
{
  g_autoptr(InferArray) array = caffe_weights(im, layer, index, &INFER_DIMS(channels), NULL,
                                              index ? CAFFE_POSITIVE : CAFFE_ZERO, error);
  g_autoptr(InferArray) scaled =
      array ? infer_array_new(INFER_TYPE_FLOAT, &array->dims, error) : NULL;

  for (gint64 i = 0; scaled && i < channels; i++) {
    ((float *)scaled->data)[i] = (float)((double)((const float *)array->data)[i] * factor);
  }
  return scaled ? infer_network_add_constant(im->network, NULL, scaled) : NULL;
}

static gboolean
emit_batch_norm(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__BatchNormParameter *p = layer->def->batch_norm_param;
  double factor = 1;
  gint64 channels = 0;

  if (!caffe_arity(layer, 1, 1, 1, error) || !channels_of(layer, &channels, error)) {
    return FALSE;
  }
  if (p && p->has_use_global_stats && !p->use_global_stats) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "use_global_stats is false, so that it would measure each batch; remove "
                       "the line for inference");
  }
  if (caffe_has_weights(im, layer, 2)) {
    g_autoptr(InferArray) sum = caffe_weights(im, layer, 2, &INFER_DIMS(1), NULL, CAFFE_ONE, error);
    if (!sum) {
      return FALSE;
    }
    double value = infer_array_get_double(sum, 0);
    factor = value == 0 ? 0 : 1 / value;
  }
  InferTensor *in[5] = {layer->in[0], NULL, NULL, NULL, NULL};
  if (p && p->scale_bias) {
    in[1] =
        caffe_weight_tensor(im, layer, 3, &INFER_DIMS(channels), p->scale_filler, CAFFE_ONE, error);
    in[2] = in[1] ? caffe_weight_tensor(im, layer, 4, &INFER_DIMS(channels), p->bias_filler,
                                        CAFFE_ZERO, error)
                  : NULL;
  } else {
    in[1] = constant_vector(im, channels, 1, error);
    in[2] = constant_vector(im, channels, 0, error);
  }
  if (!in[1] || !in[2]) {
    return FALSE;
  }
  in[3] = moment(im, layer, 0, channels, factor, error);
  in[4] = in[3] ? moment(im, layer, 1, channels, factor, error) : NULL;
  if (!in[4]) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("epsilon", 'f', p ? (double)p->eps : 1e-5, NULL);
  return caffe_top(layer, 0, caffe_add(im, layer, "BatchNormalization", attrs, in, 5, error));
}

/* The dimensions of weights that lie along @n axes from @axis on, with ones for what follows. */
static gboolean
along(const InferTensor *x, gint64 first, gint64 n, InferDims *dims, GError **error)
{
  gint axis;

  if (!caffe_axis(x, first, &axis, error)) {
    return FALSE;
  }
  n = n < 0 ? x->dims.n - axis : n;
  if (n > x->dims.n - axis) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "%" G_GINT64_FORMAT " axes from axis %d on are not there", n, axis);
  }
  *dims = INFER_DIMS_SCALAR;
  for (gint i = axis; n > 0 && i < x->dims.n; i++) {
    dims->d[dims->n++] = i < axis + n ? x->dims.d[i] : 1;
  }
  if (infer_dims_count(dims) < 1) {
    g_autofree char *text = infer_dims_to_string(&x->dims);
    return caffe_error(error, INFER_ERROR_SHAPE, "its weights lie along %s, which is not known",
                       text);
  }
  return TRUE;
}

/* A second bottom in the place of weights, which lies along the axes from @first on. */
static InferTensor *
second_bottom(CaffeImport *im, CaffeLayer *layer, gint64 first, GError **error)
{
  InferTensor *y = layer->in[1];
  gint64 shape[INFER_MAX_DIMS];
  gint axis;

  if (!caffe_axis(layer->in[0], first, &axis, error)) {
    return NULL;
  }
  gint rank = layer->in[0]->dims.n;
  if (y->dims.n < 0 || axis + y->dims.n > rank) {
    caffe_error(error, INFER_ERROR_SHAPE,
                "the second bottom does not fit the first from axis %d on", axis);
    return NULL;
  }
  gint n = rank - axis;
  for (gint i = 0; i < n; i++) {
    shape[i] = i < y->dims.n ? (y->dims.d[i] < 0 ? 0 : y->dims.d[i]) : 1;
  }
  return n == y->dims.n ? y : caffe_reshape(im, layer, y, shape, (gsize)n, error);
}

static gboolean
emit_scale(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ScaleParameter none = INFER_CAFFE__SCALE_PARAMETER__INIT;
  const InferCaffe__ScaleParameter *p = layer->def->scale_param ? layer->def->scale_param : &none;
  InferTensor *factor = NULL;
  InferDims dims;

  if (!caffe_arity(layer, 1, 2, 1, error)) {
    return FALSE;
  }
  gint64 n = layer->n_in == 2 ? MAX(layer->in[1]->dims.n, 0) : p->num_axes;
  gboolean weights = layer->n_in == 1 || p->bias_term;
  if (weights && !along(layer->in[0], p->axis, n, &dims, error)) {
    return FALSE;
  }
  factor = layer->n_in == 2 ? second_bottom(im, layer, p->axis, error)
                            : caffe_weight_tensor(im, layer, 0, &dims, p->filler, CAFFE_ONE, error);
  InferTensor *x = caffe_add2(im, layer, "Mul", NULL, layer->in[0], factor, error);
  if (x && p->bias_term) {
    InferTensor *bias = caffe_weight_tensor(im, layer, layer->n_in == 2 ? 0 : 1, &dims,
                                            p->bias_filler, CAFFE_ZERO, error);
    x = caffe_add2(im, layer, "Add", NULL, x, bias, error);
  }
  return caffe_top(layer, 0, x);
}

static gboolean
emit_bias(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__BiasParameter none = INFER_CAFFE__BIAS_PARAMETER__INIT;
  const InferCaffe__BiasParameter *p = layer->def->bias_param ? layer->def->bias_param : &none;
  InferTensor *bias = NULL;
  InferDims dims;

  if (!caffe_arity(layer, 1, 2, 1, error)) {
    return FALSE;
  }
  if (layer->n_in == 2) {
    bias = second_bottom(im, layer, p->axis, error);
  } else if (along(layer->in[0], p->axis, p->num_axes, &dims, error)) {
    bias = caffe_weight_tensor(im, layer, 0, &dims, p->filler, CAFFE_ZERO, error);
  }
  return caffe_top(layer, 0, caffe_add2(im, layer, "Add", NULL, layer->in[0], bias, error));
}

/* x * (k + alpha / n^2 * sum of squares in a window)^-beta; the window's mean counts the padding.
 */
static InferTensor *
lrn_within(CaffeImport *im, CaffeLayer *layer, const InferCaffe__LRNParameter *p, GError **error)
{
  gint64 size = p->local_size, pad = (size - 1) / 2;
  gint64 kernel[2] = {size, size}, strides[2] = {1, 1}, pads[4] = {pad, pad, pad, pad};
  GVariant *attrs =
      infer_attrs_new("kernel_shape", 'I', kernel, (gsize)2, "strides", 'I', strides, (gsize)2,
                      "pads", 'I', pads, (gsize)4, "count_include_pad", 'i', (gint64)1, NULL);
  InferTensor *square = caffe_add2(im, layer, "Mul", NULL, layer->in[0], layer->in[0], error);
  InferTensor *mean = caffe_add1(im, layer, "AveragePool", attrs, square, error);
  InferTensor *x =
      caffe_add2(im, layer, "Mul", NULL, mean, caffe_float(im, (double)p->alpha), error);
  x = caffe_add2(im, layer, "Add", NULL, x, caffe_float(im, 1), error);
  x = caffe_add2(im, layer, "Pow", NULL, x, caffe_float(im, -(double)p->beta), error);
  return caffe_add2(im, layer, "Mul", NULL, layer->in[0], x, error);
}

static gboolean
emit_lrn(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__LRNParameter none = INFER_CAFFE__LRNPARAMETER__INIT;
  const InferCaffe__LRNParameter *p = layer->def->lrn_param ? layer->def->lrn_param : &none;

  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  if (p->local_size % 2 == 0 || p->local_size > 1 << 20) {
    return caffe_error(error, INFER_ERROR_MODEL, "local_size is %u; it has to be odd",
                       p->local_size);
  }
  if (p->norm_region == INFER_CAFFE__LRNPARAMETER__NORM_REGION__WITHIN_CHANNEL) {
    return caffe_top(layer, 0, lrn_within(im, layer, p, error));
  }
  GVariant *attrs =
      infer_attrs_new("size", 'i', (gint64)p->local_size, "alpha", 'f', (double)p->alpha, "beta",
                      'f', (double)p->beta, "bias", 'f', (double)p->k, NULL);
  return caffe_top(layer, 0, caffe_add1(im, layer, "LRN", attrs, layer->in[0], error));
}

static gboolean
emit_mvn(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__MVNParameter none = INFER_CAFFE__MVNPARAMETER__INIT;
  const InferCaffe__MVNParameter *p = layer->def->mvn_param ? layer->def->mvn_param : &none;

  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  static const gint64 axes[] = {1, 2, 3};
  InferTensor *list = p->across_channels ? caffe_ints(im, axes, 3) : caffe_ints(im, axes + 1, 2);
  InferTensor *mean = caffe_add2(im, layer, "ReduceMean", NULL, layer->in[0], list, error);
  InferTensor *x = caffe_add2(im, layer, "Sub", NULL, layer->in[0], mean, error);
  if (x && p->normalize_variance) {
    InferTensor *square = caffe_add2(im, layer, "Mul", NULL, x, x, error);
    InferTensor *variance = caffe_add2(im, layer, "ReduceMean", NULL, square, list, error);
    InferTensor *deviation = caffe_add1(im, layer, "Sqrt", NULL, variance, error);
    deviation =
        caffe_add2(im, layer, "Add", NULL, deviation, caffe_float(im, (double)p->eps), error);
    x = caffe_add2(im, layer, "Div", NULL, x, deviation, error);
  }
  return caffe_top(layer, 0, x);
}

static gboolean
emit_normalize(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__NormalizeParameter none = INFER_CAFFE__NORMALIZE_PARAMETER__INIT;
  const InferCaffe__NormalizeParameter *p = layer->def->norm_param ? layer->def->norm_param : &none;
  gint64 channels = 0;

  if (!caffe_arity(layer, 1, 1, 1, error) || !channels_of(layer, &channels, error)) {
    return FALSE;
  }
  InferTensor *scale =
      caffe_weight_tensor(im, layer, 0, &INFER_DIMS(p->channel_shared ? 1 : channels),
                          p->scale_filler, CAFFE_ONE, error);
  GVariant *attrs = infer_attrs_new("across_spatial", 'i', (gint64)p->across_spatial, "eps", 'f',
                                    (double)p->eps, NULL);
  return caffe_top(layer, 0,
                   caffe_add2(im, layer, "infer.Normalize", attrs, layer->in[0], scale, error));
}

static gboolean
softmax(CaffeImport *im, CaffeLayer *layer, const char *op, GError **error)
{
  const InferCaffe__SoftmaxParameter *p = layer->def->softmax_param;
  gint axis;

  if (!caffe_arity(layer, 1, 1, 1, error) ||
      !caffe_axis(layer->in[0], p ? p->axis : 1, &axis, error)) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)axis, NULL);
  return caffe_top(layer, 0, caffe_add1(im, layer, op, attrs, layer->in[0], error));
}

static gboolean
emit_softmax(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return softmax(im, layer, "Softmax", error);
}

static gboolean
emit_log_softmax(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return softmax(im, layer, "LogSoftmax", error);
}

const CaffeOp caffe_ops_norm[] = {
    {"BatchNorm", emit_batch_norm},
    {"Scale", emit_scale},
    {"Bias", emit_bias},
    {"LRN", emit_lrn},
    {"MVN", emit_mvn},
    {"Normalize", emit_normalize},
    {"Softmax", emit_softmax},
    {"LogSoftmax", emit_log_softmax},
    {NULL, NULL},
};
