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

/* The maxima and, as the second top, where in its plane each of them is. */
static gboolean
emit_masked(CaffeImport *im, CaffeLayer *layer, GVariant *attrs, const gint64 want[2],
            GError **error)
{
  const gint64 *d = layer->in[0]->dims.d;
  gint64 plane = 0;
  InferTensor *out[2];

  if (__builtin_mul_overflow(d[2], d[3], &plane) || plane > 1 << 24) {
    g_variant_unref(g_variant_ref_sink(attrs));
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "a mask of maxima counts pixels as floats; more than 2^24 cannot be");
  }
  if (!caffe_add_n(im, layer, "MaxPool", attrs, layer->in, 1, out, 2, error) ||
      !check_output(out[0], want, error)) {
    return FALSE;
  }
  InferTensor *place = caffe_add2(im, layer, "Mod", NULL, out[1], caffe_ints(im, &plane, 1), error);
  GVariant *to = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL);
  return caffe_top(layer, 0, out[0]) &&
         caffe_top(layer, 1, caffe_add1(im, layer, "Cast", to, place, error));
}

/* What Caffe computes when it does not train: the mean of a window weighted by its own elements,
 * which are not negative. */
static InferTensor *
weighted(CaffeImport *im, CaffeLayer *layer, GVariant *attrs, GError **error)
{
  g_autoptr(GVariant) owned = g_variant_ref_sink(attrs);
  InferTensor *square = caffe_add2(im, layer, "Mul", NULL, layer->in[0], layer->in[0], error);
  InferTensor *above = caffe_add1(im, layer, "AveragePool", owned, square, error);
  InferTensor *below =
      above ? caffe_add1(im, layer, "AveragePool", owned, layer->in[0], error) : NULL;
  InferTensor *there = caffe_add2(im, layer, "Greater", NULL, below, caffe_float(im, 0), error);
  InferTensor *in[3] = {there, caffe_add2(im, layer, "Div", NULL, above, below, error),
                        caffe_float(im, 0)};

  return in[0] && in[1] ? caffe_add(im, layer, "Where", NULL, in, 3, error) : NULL;
}

static gboolean
emit_window(CaffeImport *im, CaffeLayer *layer, const Param *p, GError **error)
{
  gboolean stochastic = p->pool == INFER_CAFFE__POOLING_PARAMETER__POOL_METHOD__STOCHASTIC;
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
  if (layer->n_out == 2) {
    return emit_masked(im, layer, attrs, want, error);
  }
  InferTensor *out = stochastic ? weighted(im, layer, attrs, error)
                                : caffe_add1(im, layer, average ? "AveragePool" : "MaxPool", attrs,
                                             layer->in[0], error);
  return out && check_output(out, want, error) && caffe_top(layer, 0, out);
}

/* One window over the whole image. */
static Param
all_of(const Param *p, const InferTensor *x)
{
  Param whole = *p;

  whole.has_kernel_h = whole.has_kernel_w = TRUE;
  whole.kernel_h = (guint32)MIN(x->dims.d[2], G_MAXUINT32);
  whole.kernel_w = (guint32)MIN(x->dims.d[3], G_MAXUINT32);
  whole.has_stride_h = whole.has_stride_w = whole.has_pad_h = whole.has_pad_w = FALSE;
  whole.stride = 1;
  whole.pad = 0;
  return whole;
}

static gboolean
emit_pooling(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const Param *p = layer->def->pooling_param;

  if (!caffe_arity(layer, 1, 1, CLAMP(layer->n_out, 1, 2), error) ||
      !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  if (!p) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no pooling_param");
  }
  gboolean average = p->pool == INFER_CAFFE__POOLING_PARAMETER__POOL_METHOD__AVE;
  gboolean max = p->pool == INFER_CAFFE__POOLING_PARAMETER__POOL_METHOD__MAX;
  if (layer->n_out == 2 && !max) {
    return caffe_error(error, INFER_ERROR_MODEL, "only maxima have a mask as a second top");
  }
  if (!p->global_pooling || layer->n_out == 2 || !(max || average)) {
    Param whole = *p;
    if (p->global_pooling) {
      whole = all_of(p, layer->in[0]);
    }
    return emit_window(im, layer, &whole, error);
  }
  return caffe_top(layer, 0,
                   caffe_add1(im, layer, average ? "GlobalAveragePool" : "GlobalMaxPool", NULL,
                              layer->in[0], error));
}

const CaffeOp caffe_ops_pooling[] = {
    {"Pooling", emit_pooling},
    {NULL, NULL},
};
