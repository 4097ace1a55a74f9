/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Older versions of the operators of neural networks. */

/* Training is over: statistics are inputs, and there is one output. */
static gboolean
batch_normalization(OnnxImport *im, OnnxCall *call, GError **error)
{
  if (call->opset < 9 && onnx_int(call, "spatial", 1) == 0) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "statistics of each pixel (spatial=0) are not supported");
  }
  onnx_drop(call, "spatial");
  onnx_drop(call, "is_test");
  call->n_outputs = MIN(call->n_outputs, 1);
  return TRUE;
}

/* All but the channels. */
static InferTensor *
plane_axes(OnnxImport *im, const OnnxCall *call, const InferTensor *x)
{
  gint64 axes[INFER_MAX_DIMS];
  gsize n = 0;

  for (gint i = 0; i < x->dims.n; i++) {
    if (i != 1) {
      axes[n++] = i;
    }
  }
  return onnx_const_ints(im, call, "planes", axes, n);
}

static InferTensor *
channel_mean(OnnxImport *im, const OnnxCall *call, const char *name, InferTensor *x, gint64 keep,
             GError **error)
{
  return x ? onnx_add2(im, call, name, "ReduceMean", infer_attrs_new("keepdims", 'i', keep, NULL),
                       x, plane_axes(im, call, x), error)
           : NULL;
}

/* The variance of what there is, not an estimate for what it was drawn from. */
static InferTensor *
channel_variance(OnnxImport *im, const OnnxCall *call, InferTensor *x, GError **error)
{
  InferTensor *mean = channel_mean(im, call, "centre", x, 1, error);
  InferTensor *apart = mean ? onnx_add2(im, call, "apart", "Sub", NULL, x, mean, error) : NULL;
  InferTensor *square =
      apart ? onnx_add2(im, call, "square", "Mul", NULL, apart, apart, error) : NULL;

  return channel_mean(im, call, "variance", square, 0, error);
}

static InferTensor *
blend(OnnxImport *im, const OnnxCall *call, const char *name, InferTensor *running,
      InferTensor *fresh, GError **error)
{
  double momentum = onnx_float(call, "momentum", 0.9);
  g_autofree char *old_name = g_strdup_printf("%s/kept", name);
  g_autofree char *new_name = g_strdup_printf("%s/added", name);
  InferTensor *kept =
      onnx_add2(im, call, old_name, "Mul", NULL, running,
                onnx_const_scalar(im, call, "momentum", running->type, momentum), error);
  InferTensor *added =
      kept ? onnx_add2(im, call, new_name, "Mul", NULL, fresh,
                       onnx_const_scalar(im, call, "rest", fresh->type, 1 - momentum), error)
           : NULL;

  return added ? onnx_add2(im, call, name, "Add", NULL, kept, added, error) : NULL;
}

/* In training the statistics are those of the batch, and the running ones follow them. */
static gboolean
batch_training(OnnxImport *im, OnnxCall *call, GError **error)
{
  gboolean training = onnx_int(call, "training_mode", 0) != 0;
  InferTensor *x = onnx_require(call, 0, error);

  onnx_drop(call, "training_mode");
  for (guint i = 1; i < 5; i++) {
    if (!x || !onnx_require(call, i, error)) {
      return FALSE;
    }
  }
  if (!training) {
    call->n_outputs = MIN(call->n_outputs, 1);
    return TRUE;
  }
  if (x->dims.n < 2) {
    return onnx_error(error, INFER_ERROR_SHAPE, "training_mode needs a known rank of 2 or more");
  }
  InferTensor *mean = channel_mean(im, call, "mean", x, 0, error);
  InferTensor *variance = mean ? channel_variance(im, call, x, error) : NULL;
  InferTensor *old[] = {onnx_in(call, 3), onnx_in(call, 4)}, *fresh[] = {mean, variance};
  for (guint i = 0; i < 2 && i + 1 < call->n_outputs; i++) {
    if (!variance || !onnx_out(im, call, i + 1,
                               blend(im, call, i ? "running_variance" : "running_mean", old[i],
                                     fresh[i], error))) {
      return FALSE;
    }
  }
  onnx_drop(call, "momentum");
  onnx_set_in(call, 3, mean);
  onnx_set_in(call, 4, variance);
  return variance &&
         onnx_out(im, call, 0,
                  onnx_add(im, call, NULL, "BatchNormalization", g_variant_dict_end(call->dict),
                           (InferTensor *const *)call->in->pdata, 5, error));
}

/* What was an attribute is of no use without training; the mask's type followed the data's. */
static gboolean
dropout(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);
  InferTensor *outputs[2] = {NULL, NULL};
  guint n = MAX(1, MIN(call->n_outputs, 2));

  if (!x || !onnx_add_n(im, call, NULL, "Dropout", NULL, &x, 1, outputs, n, error)) {
    return FALSE;
  }
  if (n == 2 && call->opset < 10) {
    GVariant *attrs = infer_attrs_new("to", 'i', (gint64)x->type, NULL);
    outputs[1] = onnx_add1(im, call, "mask", "Cast", attrs, outputs[1], error);
  }
  return onnx_out(im, call, 0, outputs[0]) && (n < 2 || onnx_out(im, call, 1, outputs[1]));
}

static gboolean
lp_exponent(OnnxImport *im, OnnxCall *call, GError **error)
{
  double p = onnx_float(call, "p", 2);

  if (!(p >= 1 && p <= 1000) || p != (double)(gint64)p) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "the exponent %g is not a whole number", p);
  }
  onnx_drop(call, "p");
  onnx_set_int(call, "p", (gint64)p);
  return TRUE;
}

static gboolean
roi_align(OnnxImport *im, OnnxCall *call, GError **error)
{
  onnx_set_string(call, "coordinate_transformation_mode", "output_half_pixel");
  return TRUE;
}

static gboolean
grid_sample(OnnxImport *im, OnnxCall *call, GError **error)
{
  g_autofree char *mode = onnx_string(call, "mode", "bilinear");

  onnx_set_string(call, "mode",
                  g_str_equal(mode, "bilinear")  ? "linear"
                  : g_str_equal(mode, "bicubic") ? "cubic"
                                                 : mode);
  return TRUE;
}

/* One scale and bias a group, which are one a channel now. */
static InferTensor *
spread_group(OnnxImport *im, const OnnxCall *call, const char *name, InferTensor *input,
             gint64 per_group, GError **error)
{
  const gint64 axis = 1, repeats[] = {1, per_group}, flat = -1;
  InferTensor *column = onnx_unsqueeze(im, call, "column", input, &axis, 1, error);
  InferTensor *tiled = column ? onnx_add2(im, call, "tiled", "Tile", NULL, column,
                                          onnx_const_ints(im, call, "repeats", repeats, 2), error)
                              : NULL;

  return tiled ? onnx_add2(im, call, name, "Reshape", NULL, tiled,
                           onnx_const_ints(im, call, "flat", &flat, 1), error)
               : NULL;
}

static gboolean
group_normalization(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);
  gint64 groups = onnx_int(call, "num_groups", 0);

  if (!x) {
    return FALSE;
  }
  if (x->dims.n < 2 || x->dims.d[1] < 1 || groups < 1 || x->dims.d[1] % groups) {
    return onnx_error(error, INFER_ERROR_SHAPE,
                      "the channels are not known or no multiple of the groups");
  }
  for (guint i = 1; i <= 2; i++) {
    InferTensor *input = onnx_require(call, i, error);
    input = input ? spread_group(im, call, i == 1 ? "scale" : "bias", input, x->dims.d[1] / groups,
                                 error)
                  : NULL;
    if (!input) {
      return FALSE;
    }
    onnx_set_in(call, i, input);
  }
  return TRUE;
}

static gboolean
recurrent(OnnxImport *im, OnnxCall *call, GError **error)
{
  onnx_drop(call, "output_sequence");
  return TRUE;
}

/* Caffe's: over all channels or each alone. */
static gboolean
mean_variance(OnnxImport *im, OnnxCall *call, GError **error)
{
  const gint64 each[] = {0, 2, 3}, all[] = {0, 1, 2, 3};
  gboolean across = onnx_int(call, "across_channels", 0) != 0;

  if (onnx_int(call, "normalize_variance", 1) == 0) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "normalize_variance=0 is not supported");
  }
  onnx_drop(call, "across_channels");
  onnx_drop(call, "normalize_variance");
  g_variant_dict_insert_value(call->dict, "axes",
                              g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, across ? all : each,
                                                        across ? 4 : 3, sizeof(gint64)));
  return TRUE;
}

/* A name that optimizers write without a domain. */
static gboolean
simplified(OnnxImport *im, OnnxCall *call, GError **error)
{
  call->op = "RMSNormalization";
  call->n_outputs = MIN(call->n_outputs, 1);
  return TRUE;
}

static gboolean
swiglu(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *gate = onnx_require(call, 0, error);
  InferTensor *x = gate ? onnx_require(call, 1, error) : NULL;
  GVariant *attrs = infer_attrs_new("alpha", 'f', onnx_float(call, "alpha", 1), NULL);
  InferTensor *open = x ? onnx_add1(im, call, "gate", "Swish", attrs, gate, error) : NULL;

  if (!x) {
    g_variant_unref(g_variant_ref_sink(attrs));
  }
  return open && onnx_out(im, call, 0, onnx_add2(im, call, NULL, "Mul", NULL, open, x, error));
}

const OnnxRule onnx_rules_nn[] = {
    {"SwiGLU", 0, swiglu},
    {"SimplifiedLayerNormalization", 0, simplified},
    {"BatchNormalization", 14, batch_normalization},
    {"BatchNormalization", 0, batch_training},
    {"Dropout", 12, dropout},
    {"LpPool", 2, lp_exponent},
    {"GlobalLpPool", 2, lp_exponent},
    {"RoiAlign", 16, roi_align},
    {"GridSample", 20, grid_sample},
    {"GroupNormalization", 21, group_normalization},
    {"LSTM", 7, recurrent},
    {"GRU", 7, recurrent},
    {"RNN", 7, recurrent},
    {"MeanVarianceNormalization", 9, mean_variance},
    {NULL, 0, NULL},
};
