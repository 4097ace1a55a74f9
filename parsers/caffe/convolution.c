/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#define MAX_SPATIAL 3

typedef struct {
  gsize n;
  gint64 kernel[MAX_SPATIAL], stride[MAX_SPATIAL], pad[2 * MAX_SPATIAL], dilation[MAX_SPATIAL];
} Window;

/* One number for all dimensions, one for each, or h and w by name. */
static gboolean
read_list(const guint32 *list, gsize n_list, gboolean has_hw, guint32 h, guint32 w,
          guint32 fallback, gsize n, const char *name, gint64 *values, GError **error)
{
  if (has_hw && n == 2) {
    values[0] = h;
    values[1] = w;
    return TRUE;
  }
  if (n_list > 1 && n_list != n) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "%s has %" G_GSIZE_FORMAT " values for %" G_GSIZE_FORMAT " dimensions", name,
                       n_list, n);
  }
  for (gsize i = 0; i < n; i++) {
    values[i] = n_list == 0 ? fallback : list[n_list == 1 ? 0 : i];
  }
  return TRUE;
}

static gboolean
read_window(const InferCaffe__ConvolutionParameter *p, const InferTensor *input, Window *window,
            GError **error)
{
  gint rank = input->dims.n;
  gsize n = window->n = (gsize)(rank - 2);

  if (rank < 3 || rank > MAX_SPATIAL + 2 || input->dims.d[1] < 1 ||
      (p->axis != 1 && p->axis != 1 - rank)) {
    g_autofree char *text = infer_dims_to_string(&input->dims);
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "it reads %s with the channels in axis %d; images of one to three "
                       "dimensions with the channels in axis 1 can be",
                       text, p->axis);
  }
  if (!read_list(p->kernel_size, p->n_kernel_size, p->has_kernel_h && p->has_kernel_w, p->kernel_h,
                 p->kernel_w, 0, n, "kernel_size", window->kernel, error) ||
      !read_list(p->stride, p->n_stride, p->has_stride_h && p->has_stride_w, p->stride_h,
                 p->stride_w, 1, n, "stride", window->stride, error) ||
      !read_list(p->pad, p->n_pad, p->has_pad_h || p->has_pad_w, p->pad_h, p->pad_w, 0, n, "pad",
                 window->pad, error) ||
      !read_list(p->dilation, p->n_dilation, FALSE, 0, 0, 1, n, "dilation", window->dilation,
                 error)) {
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    window->pad[n + i] = window->pad[i];
    if (window->kernel[i] == 0) {
      return caffe_error(error, INFER_ERROR_MODEL, "it has no kernel_size");
    }
  }
  return TRUE;
}

static InferTensor *
bias_tensor(CaffeImport *im, CaffeLayer *layer, gboolean there, guint32 count,
            const InferCaffe__FillerParameter *filler, GError **error)
{
  return there ? caffe_weight_tensor(im, layer, 1, &INFER_DIMS(count), filler, CAFFE_ZERO, error)
               : NULL;
}

static gboolean
convolve(CaffeImport *im, CaffeLayer *layer, gboolean transposed, gint64 group, GError **error)
{
  const InferCaffe__ConvolutionParameter *p = layer->def->convolution_param;
  InferTensor *input = layer->in[0];
  gint64 channels = input->dims.d[1];
  Window w;

  if (!read_window(p, input, &w, error)) {
    return FALSE;
  }
  if (group < 1 || channels % group || p->num_output < 1 || p->num_output % group) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "%" G_GINT64_FORMAT
                       " channels and %u outputs are not multiples of %" G_GINT64_FORMAT " groups",
                       channels, p->num_output, group);
  }
  InferDims dims = {.n = (gint)w.n + 2, .d = {p->num_output, channels / group}};
  if (transposed) {
    dims.d[0] = channels;
    dims.d[1] = p->num_output / group;
  }
  for (gsize i = 0; i < w.n; i++) {
    dims.d[i + 2] = w.kernel[i];
  }
  InferTensor *in[3] = {input, NULL, NULL};
  in[1] = caffe_weight_tensor(im, layer, 0, &dims, p->weight_filler, CAFFE_SPREAD, error);
  if (!in[1]) {
    return FALSE;
  }
  in[2] = bias_tensor(im, layer, p->bias_term, p->num_output, p->bias_filler, error);
  if (p->bias_term && !in[2]) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("group", 'i', group, "kernel_shape", 'I', w.kernel, w.n,
                                    "strides", 'I', w.stride, w.n, "dilations", 'I', w.dilation,
                                    w.n, "pads", 'I', w.pad, 2 * w.n, NULL);
  return caffe_top(
      layer, 0,
      caffe_add(im, layer, transposed ? "ConvTranspose" : "Conv", attrs, in, in[2] ? 3 : 2, error));
}

static gboolean
check(CaffeLayer *layer, GError **error)
{
  return caffe_arity(layer, 1, 1, 1, error) &&
         (layer->def->convolution_param ||
          caffe_error(error, INFER_ERROR_MODEL, "it has no convolution_param"));
}

static gboolean
emit_convolution(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return check(layer, error) &&
         convolve(im, layer, FALSE, layer->def->convolution_param->group, error);
}

static gboolean
emit_deconvolution(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return check(layer, error) &&
         convolve(im, layer, TRUE, layer->def->convolution_param->group, error);
}

/* A group for each channel, whether or not that is written. */
static gboolean
emit_depthwise(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  return check(layer, error) &&
         convolve(im, layer, FALSE, layer->in[0]->dims.n > 1 ? MAX(layer->in[0]->dims.d[1], 1) : 1,
                  error);
}

/* The product of the dimensions from @axis on, or -1. */
static gint64
inner_count(const InferDims *dims, gint axis)
{
  InferDims inner = INFER_DIMS_SCALAR;

  for (gint i = axis; i < dims->n; i++) {
    inner.d[inner.n++] = dims->d[i];
  }
  return infer_dims_count(&inner);
}

/* Weights of several rows for each of several leading dimensions. */
static InferTensor *
product(CaffeImport *im, CaffeLayer *layer, InferTensor *input, gint axis, gint64 count,
        InferTensor *weights, InferTensor *bias, gboolean stored_transposed, GError **error)
{
  gint64 shape[INFER_MAX_DIMS] = {0};

  shape[axis] = count;
  if (input->dims.n != axis + 1) {
    input = caffe_reshape(im, layer, input, shape, (gsize)axis + 1, error);
  }
  if (axis == 1) {
    InferTensor *in[3] = {input, weights, bias};
    GVariant *attrs = infer_attrs_new("transB", 'i', (gint64)(stored_transposed ? 0 : 1), NULL);
    return input ? caffe_add(im, layer, "Gemm", attrs, in, bias ? 3 : 2, error)
                 : caffe_add1(im, layer, "Gemm", attrs, NULL, error);
  }
  if (!stored_transposed) {
    weights = caffe_transpose(im, layer, weights, (gint64[]){1, 0}, 2, error);
  }
  InferTensor *out = caffe_add2(im, layer, "MatMul", NULL, input, weights, error);
  return bias ? caffe_add2(im, layer, "Add", NULL, out, bias, error) : out;
}

static gboolean
emit_inner_product(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__InnerProductParameter *p = layer->def->inner_product_param;
  gint axis;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (!p || p->num_output < 1) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no num_output");
  }
  if (!caffe_axis(layer->in[0], p->axis, &axis, error)) {
    return FALSE;
  }
  gint64 count = inner_count(&layer->in[0]->dims, axis);
  if (count < 1) {
    g_autofree char *text = infer_dims_to_string(&layer->in[0]->dims);
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "it reads %s from axis %d on", text, axis);
  }
  InferDims dims =
      p->transpose ? INFER_DIMS(count, p->num_output) : INFER_DIMS(p->num_output, count);
  InferTensor *weights =
      caffe_weight_tensor(im, layer, 0, &dims, p->weight_filler, CAFFE_SPREAD, error);
  if (!weights) {
    return FALSE;
  }
  InferTensor *bias = bias_tensor(im, layer, p->bias_term, p->num_output, p->bias_filler, error);
  if (p->bias_term && !bias) {
    return FALSE;
  }
  if (axis > 0) {
    return caffe_top(
        layer, 0,
        product(im, layer, layer->in[0], axis, count, weights, bias, p->transpose, error));
  }
  /* All is one row, and the top has no dimension for it. */
  InferTensor *row = caffe_reshape(im, layer, layer->in[0], (gint64[]){1, count}, 2, error);
  row = row ? product(im, layer, row, 1, count, weights, bias, p->transpose, error) : NULL;
  return caffe_top(layer, 0,
                   row ? caffe_reshape(im, layer, row, (gint64[]){p->num_output}, 1, error) : NULL);
}

static gboolean
emit_embed(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__EmbedParameter *p = layer->def->embed_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (!p || p->num_output < 1 || p->input_dim < 1) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no num_output or no input_dim");
  }
  InferTensor *table = caffe_weight_tensor(im, layer, 0, &INFER_DIMS(p->input_dim, p->num_output),
                                           p->weight_filler, CAFFE_SPREAD, error);
  if (!table) {
    return FALSE;
  }
  InferTensor *bias = bias_tensor(im, layer, p->bias_term, p->num_output, p->bias_filler, error);
  if (p->bias_term && !bias) {
    return FALSE;
  }
  GVariant *to = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_INT32, NULL);
  InferTensor *index = caffe_add1(im, layer, "Cast", to, layer->in[0], error);
  InferTensor *rows = caffe_add2(im, layer, "Gather", NULL, table, index, error);
  return caffe_top(layer, 0, bias ? caffe_add2(im, layer, "Add", NULL, rows, bias, error) : rows);
}

/* The oldest nets pad in a layer of its own. */
static gboolean
emit_padding(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ConvolutionParameter *p = layer->def->convolution_param;

  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  gint64 pad = p && p->n_pad ? p->pad[0] : 0;
  gint64 pads[8] = {0, 0, pad, pad, 0, 0, pad, pad};
  return caffe_top(
      layer, 0, caffe_add2(im, layer, "Pad", NULL, layer->in[0], caffe_ints(im, pads, 8), error));
}

const CaffeOp caffe_ops_convolution[] = {
    {"Convolution", emit_convolution},
    {"Deconvolution", emit_deconvolution},
    {"DepthwiseConvolution", emit_depthwise},
    {"ConvolutionDepthwise", emit_depthwise},
    {"InnerProduct", emit_inner_product},
    {"Embed", emit_embed},
    {"Padding", emit_padding},
    {NULL, NULL},
};
