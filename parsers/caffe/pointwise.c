/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <math.h>

static gboolean
emit_one(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs, GError **error)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;

  return caffe_arity(layer, 1, 1, 1, error) &&
         caffe_top(layer, 0, caffe_add1(im, layer, op, owned, layer->in[0], error));
}

static gboolean
emit_relu(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ReLUParameter *p = layer->def->relu_param;

  if (p && p->negative_slope != 0) {
    GVariant *attrs = infer_attrs_new("alpha", 'f', (double)p->negative_slope, NULL);
    return emit_one(im, layer, "LeakyRelu", attrs, error);
  }
  return emit_one(im, layer, "Relu", NULL, error);
}

static gboolean
clip(CaffeImport *im, CaffeLayer *layer, double min, double max, GError **error)
{
  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  InferTensor *in[3] = {layer->in[0], caffe_float(im, min), caffe_float(im, max)};
  return caffe_top(layer, 0, caffe_add(im, layer, "Clip", NULL, in, 3, error));
}

static gboolean
emit_relu6(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return clip(im, layer, 0, 6, error);
}

static gboolean
emit_clip(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ClipParameter *p = layer->def->clip_param;

  return p ? clip(im, layer, (double)p->min, (double)p->max, error)
           : caffe_error(error, INFER_ERROR_MODEL, "it has no clip_param");
}

static gboolean
emit_prelu(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PReLUParameter *p = layer->def->prelu_param;
  const InferDims *dims = layer->n_in ? &layer->in[0]->dims : NULL;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (dims->n < 2 || dims->d[1] < 1) {
    return caffe_error(error, INFER_ERROR_SHAPE, "the number of channels is not known");
  }
  /* One slope for each channel, along the dimensions after the batch. */
  InferDims slope = {.n = dims->n - 1, .d = {p && p->channel_shared ? 1 : dims->d[1]}};
  for (gint i = 1; i < slope.n; i++) {
    slope.d[i] = 1;
  }
  const InferCaffe__FillerParameter quarter = INFER_CAFFE__FILLER_PARAMETER__INIT;
  InferCaffe__FillerParameter filler = quarter;
  filler.value = 0.25f;
  InferTensor *weights = caffe_weight_tensor(
      im, layer, 0, &slope, p && p->filler ? p->filler : &filler, CAFFE_ONE, error);
  return caffe_top(layer, 0, caffe_add2(im, layer, "PRelu", NULL, layer->in[0], weights, error));
}

static gboolean
emit_elu(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ELUParameter *p = layer->def->elu_param;
  double alpha = p ? (double)p->alpha : 1;

  return emit_one(im, layer, "Elu", infer_attrs_new("alpha", 'f', alpha, NULL), error);
}

static gboolean
emit_swish(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__SwishParameter *p = layer->def->swish_param;
  double beta = p ? (double)p->beta : 1;

  return emit_one(im, layer, "Swish", infer_attrs_new("alpha", 'f', beta, NULL), error);
}

static gboolean
emit_silu(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return emit_one(im, layer, "Swish", infer_attrs_new("alpha", 'f', 1.0, NULL), error);
}

/* MobileNetV3's: (x + 3) / 6 between 0 and 1. */
static gboolean
emit_hard_sigmoid(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return emit_one(im, layer, "HardSigmoid",
                  infer_attrs_new("alpha", 'f', 1.0 / 6, "beta", 'f', 0.5, NULL), error);
}

/* x * scale + shift, without what does nothing. */
static InferTensor *
affine(CaffeImport *im, CaffeLayer *layer, InferTensor *x, double scale, double shift,
       GError **error)
{
  if (scale != 1) {
    x = caffe_add2(im, layer, "Mul", NULL, x, caffe_float(im, scale), error);
  }
  return shift == 0 ? x : caffe_add2(im, layer, "Add", NULL, x, caffe_float(im, shift), error);
}

/* A node even where nothing is to be done, so that the top is not the bottom itself. */
static gboolean
finish(CaffeImport *im, CaffeLayer *layer, InferTensor *x, GError **error)
{
  if (x == layer->in[0]) {
    x = caffe_add1(im, layer, "Identity", NULL, x, error);
  }
  return caffe_top(layer, 0, x);
}

static gboolean
emit_power(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PowerParameter *p = layer->def->power_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (!p) {
    return finish(im, layer, layer->in[0], error);
  }
  InferTensor *x = affine(im, layer, layer->in[0], (double)p->scale, (double)p->shift, error);
  if (p->power != 1) {
    x = caffe_add2(im, layer, "Pow", NULL, x, caffe_float(im, (double)p->power), error);
  }
  return finish(im, layer, x, error);
}

/* base ^ (shift + scale * x); a base of -1 stands for e. */
static gboolean
emit_exp(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ExpParameter *p = layer->def->exp_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (p && p->base_ != -1 && !(p->base_ > 0)) {
    return caffe_error(error, INFER_ERROR_MODEL, "the base is %g", (double)p->base_);
  }
  double factor = p && p->base_ != -1 ? log((double)p->base_) : 1;
  InferTensor *x = p ? affine(im, layer, layer->in[0], factor * (double)p->scale,
                              factor * (double)p->shift, error)
                     : layer->in[0];
  return caffe_top(layer, 0, caffe_add1(im, layer, "Exp", NULL, x, error));
}

/* log_base(shift + scale * x) */
static gboolean
emit_log(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__LogParameter *p = layer->def->log_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (p && p->base_ != -1 && (!(p->base_ > 0) || p->base_ == 1)) {
    return caffe_error(error, INFER_ERROR_MODEL, "the base is %g", (double)p->base_);
  }
  InferTensor *x =
      p ? affine(im, layer, layer->in[0], (double)p->scale, (double)p->shift, error) : layer->in[0];
  x = caffe_add1(im, layer, "Log", NULL, x, error);
  return caffe_top(
      layer, 0,
      affine(im, layer, x, p && p->base_ != -1 ? 1 / log((double)p->base_) : 1, 0, error));
}

static gboolean
emit_threshold(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ThresholdParameter *p = layer->def->threshold_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  InferTensor *above = caffe_add2(im, layer, "Greater", NULL, layer->in[0],
                                  caffe_float(im, p ? (double)p->threshold : 0), error);
  GVariant *to = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL);
  return caffe_top(layer, 0, caffe_add1(im, layer, "Cast", to, above, error));
}

static gboolean
emit_eltwise(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__EltwiseParameter *p = layer->def->eltwise_param;
  static const char *const ops[] = {"Mul", "Add", "Max"};
  guint operation = p ? (guint)p->operation : 1;

  if (!caffe_arity(layer, 2, G_MAXUINT, 1, error)) {
    return FALSE;
  }
  if (operation > 2) {
    return caffe_error(error, INFER_ERROR_MODEL, "the operation %u is not known", operation);
  }
  if (p && p->n_coeff > 0 && (p->n_coeff != layer->n_in || operation != 1)) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "there are %" G_GSIZE_FORMAT " coefficients for %u bottoms, or no sum",
                       p->n_coeff, layer->n_in);
  }
  InferTensor *sum = NULL;
  for (guint i = 0; i < layer->n_in; i++) {
    double factor = p && p->n_coeff > 0 ? (double)p->coeff[i] : 1;
    InferTensor *x = affine(im, layer, layer->in[i], factor, 0, error);
    sum = i == 0 ? x : caffe_add2(im, layer, ops[operation], NULL, sum, x, error);
    if (!sum) {
      return FALSE;
    }
  }
  return caffe_top(layer, 0, sum);
}

/* a * x + y with a number a for each image and channel. */
static gboolean
emit_axpy(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  if (!caffe_arity(layer, 3, 3, 1, error)) {
    return FALSE;
  }
  InferTensor *a = layer->in[0];
  if (a->dims.n == 2) {
    a = caffe_reshape(im, layer, a, (gint64[]){0, 0, 1, 1}, 4, error);
  }
  InferTensor *x = caffe_add2(im, layer, "Mul", NULL, a, layer->in[1], error);
  return caffe_top(layer, 0, caffe_add2(im, layer, "Add", NULL, x, layer->in[2], error));
}

#define PLAIN(function, op)                                                                        \
  static gboolean emit_##function(CaffeImport *im, CaffeLayer *layer, GError **error)              \
  {                                                                                                \
    return emit_one(im, layer, op, NULL, error);                                                   \
  }

PLAIN(sigmoid, "Sigmoid")
PLAIN(tanh, "Tanh")
PLAIN(abs, "Abs")
PLAIN(bnll, "Softplus")
PLAIN(mish, "Mish")
PLAIN(hard_swish, "HardSwish")
PLAIN(identity, "Identity")

const CaffeOp caffe_ops_pointwise[] = {
    {"ReLU", emit_relu},
    {"ReLU6", emit_relu6},
    {"Clip", emit_clip},
    {"PReLU", emit_prelu},
    {"ELU", emit_elu},
    {"Sigmoid", emit_sigmoid},
    {"TanH", emit_tanh},
    {"AbsVal", emit_abs},
    {"Power", emit_power},
    {"Exp", emit_exp},
    {"Log", emit_log},
    {"BNLL", emit_bnll},
    {"Swish", emit_swish},
    {"Mish", emit_mish},
    {"SiLU", emit_silu},
    {"HardSwish", emit_hard_swish},
    {"HSwish", emit_hard_swish},
    {"Hswish", emit_hard_swish},
    {"HardSigmoid", emit_hard_sigmoid},
    {"HSigmoid", emit_hard_sigmoid},
    {"Hsigmoid", emit_hard_sigmoid},
    {"Threshold", emit_threshold},
    {"Eltwise", emit_eltwise},
    {"Axpy", emit_axpy},
    {"Dropout", emit_identity},
    {NULL, NULL},
};
