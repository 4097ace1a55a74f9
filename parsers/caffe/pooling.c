/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

typedef InferCaffe__PoolingParameter Param;

typedef struct {
  gint64 kernel[2], stride[2], pad[4];
} Window;

static gboolean
read_window(const Param *p, Window *w, GError **error)
{
  gboolean kernels = p->has_kernel_h && p->has_kernel_w,
           strides = p->has_stride_h && p->has_stride_w;
  gboolean pads = p->has_pad_h || p->has_pad_w;

  *w = (Window){
      .kernel = {kernels ? p->kernel_h : p->kernel_size, kernels ? p->kernel_w : p->kernel_size},
      .stride = {strides ? p->stride_h : p->stride, strides ? p->stride_w : p->stride},
      .pad = {pads ? p->pad_h : p->pad, pads ? p->pad_w : p->pad},
  };
  for (guint i = 0; i < 2; i++) {
    w->pad[i + 2] = w->pad[i];
    if (w->kernel[i] < 1 || w->stride[i] < 1 || w->pad[i] >= w->kernel[i]) {
      return caffe_error(error, INFER_ERROR_MODEL,
                         "a kernel of %" G_GINT64_FORMAT ", a stride of %" G_GINT64_FORMAT
                         " and a pad of %" G_GINT64_FORMAT " cannot be",
                         w->kernel[i], w->stride[i], w->pad[i]);
    }
  }
  return TRUE;
}

/* What Caffe says the output has: rounded up, without windows that begin behind the image. */
static gint64
caffe_output(const Window *w, guint i, gint64 size, gboolean up)
{
  gint64 span = size + 2 * w->pad[i] - w->kernel[i];
  gint64 out = span < 0 ? (up && -span < w->stride[i] ? 1 : 0)
                        : span / w->stride[i] + 1 + (up && span % w->stride[i] ? 1 : 0);

  if ((w->pad[0] || w->pad[1]) && (out - 1) * w->stride[i] >= size + w->pad[i]) {
    out--;
  }
  return out;
}

/* A kernel that is larger than the image with its padding: Caffe's rounding up gives one window. */
static void
shrink_kernel(Window *w, guint i, gint64 size)
{
  w->kernel[i] = MIN(w->kernel[i], size + 2 * w->pad[i]);
}

static gboolean
check_output(const InferTensor *out, const gint64 want[2], GError **error)
{
  if (out->dims.n == 4 && out->dims.d[2] == want[0] && out->dims.d[3] == want[1]) {
    return TRUE;
  }
  g_autofree char *text = infer_dims_to_string(&out->dims);
  return caffe_error(
      error, INFER_ERROR_UNSUPPORTED,
      "windows that begin outside of the image: the output would be %" G_GINT64_FORMAT
      "x%" G_GINT64_FORMAT ", not %s",
      want[0], want[1], text);
}

static gboolean
emit_window(CaffeImport *im, CaffeLayer *layer, const Param *p, GError **error)
{
  gboolean average = p->pool == INFER_CAFFE__POOLING_PARAMETER__POOL_METHOD__AVE;
  gboolean up = p->round_mode == INFER_CAFFE__POOLING_PARAMETER__ROUND_MODE__CEIL && p->ceil_mode;
  gint64 want[2];
  Window w;

  if (!read_window(p, &w, error)) {
    return FALSE;
  }
  for (guint i = 0; i < 2; i++) {
    gint64 size = layer->in[0]->dims.d[i + 2];
    want[i] = caffe_output(&w, i, size, up);
    if (want[i] == 1 && up) {
      shrink_kernel(&w, i, size);
    }
  }
  GVariant *attrs =
      infer_attrs_new("kernel_shape", 'I', w.kernel, (gsize)2, "strides", 'I', w.stride, (gsize)2,
                      "pads", 'I', w.pad, (gsize)4, "ceil_mode", 'i', (gint64)up,
                      average ? "count_include_pad" : NULL, 'i', (gint64)1, NULL);
  InferTensor *out =
      caffe_add1(im, layer, average ? "AveragePool" : "MaxPool", attrs, layer->in[0], error);
  return out && check_output(out, want, error) && caffe_top(layer, 0, out);
}

static gboolean
emit_pooling(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const Param *p = layer->def->pooling_param;

  if (layer->n_out == 2) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "a mask of the maxima as a second top is not supported");
  }
  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  if (!p) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no pooling_param");
  }
  if (p->pool == INFER_CAFFE__POOLING_PARAMETER__POOL_METHOD__STOCHASTIC) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "stochastic pooling is not supported");
  }
  if (!p->global_pooling) {
    return emit_window(im, layer, p, error);
  }
  gboolean average = p->pool == INFER_CAFFE__POOLING_PARAMETER__POOL_METHOD__AVE;
  return caffe_top(layer, 0,
                   caffe_add1(im, layer, average ? "GlobalAveragePool" : "GlobalMaxPool", NULL,
                              layer->in[0], error));
}

const CaffeOp caffe_ops_pooling[] = {
    {"Pooling", emit_pooling},
    {NULL, NULL},
};
