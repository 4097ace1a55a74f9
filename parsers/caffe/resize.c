/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

static const gint64 axes[2] = {2, 3};

static InferTensor *
resize(CaffeImport *im, CaffeLayer *layer, InferTensor *x, const gint64 size[2], gboolean linear,
       GError **error)
{
  InferTensor *in[4] = {x, NULL, NULL, caffe_ints(im, size, 2)};
  GVariant *attrs = infer_attrs_new("axes", 'I', axes, (gsize)2, "mode", 's',
                                    linear ? "linear" : "nearest", "coordinate_transformation_mode",
                                    's', linear ? "align_corners" : "asymmetric",
                                    linear ? NULL : "nearest_mode", 's', "floor", NULL);

  return caffe_add(im, layer, "Resize", attrs, in, 4, error);
}

static gboolean
interp_size(const CaffeLayer *layer, const InferCaffe__InterpParameter *p, gint64 size[2],
            GError **error)
{
  const InferDims *dims = &layer->in[0]->dims;

  for (guint i = 0; i < 2; i++) {
    gint64 in = dims->d[i + 2] + p->pad_beg + p->pad_end, wanted = i == 0 ? p->height : p->width;
    if (layer->n_in == 2) {
      size[i] = layer->in[1]->dims.n == 4 ? layer->in[1]->dims.d[i + 2] : -1;
    } else if (wanted > 0) {
      size[i] = wanted;
    } else if (p->shrink_factor > 0 && p->zoom_factor > 0) {
      gint64 less = (in - 1) / p->shrink_factor + 1;
      size[i] = less + (less - 1) * (p->zoom_factor - 1);
    } else {
      size[i] = -1;
    }
    if (size[i] < 1 || size[i] > 1 << 20) {
      return caffe_error(error, INFER_ERROR_MODEL, "the size %" G_GINT64_FORMAT " cannot be",
                         size[i]);
    }
  }
  return TRUE;
}

/* A padding that is not positive cuts the image. */
static InferTensor *
cut(CaffeImport *im, CaffeLayer *layer, const InferCaffe__InterpParameter *p, GError **error)
{
  InferTensor *x = layer->in[0];
  gint64 from[2], to[2];

  for (guint i = 0; i < 2; i++) {
    from[i] = -(gint64)p->pad_beg;
    to[i] = x->dims.d[i + 2] + p->pad_end;
    if (p->pad_beg > 0 || p->pad_end > 0 || from[i] >= to[i]) {
      caffe_error(error, INFER_ERROR_MODEL,
                  "pads of %d and %d for %" G_GINT64_FORMAT
                  " pixels; they have to be negative, and to leave something",
                  p->pad_beg, p->pad_end, x->dims.d[i + 2]);
      return NULL;
    }
  }
  if (p->pad_beg == 0 && p->pad_end == 0) {
    return x;
  }
  InferTensor *in[4] = {x, caffe_ints(im, from, 2), caffe_ints(im, to, 2), caffe_ints(im, axes, 2)};
  return caffe_add(im, layer, "Slice", NULL, in, 4, error);
}

static gboolean
emit_interp(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__InterpParameter none = INFER_CAFFE__INTERP_PARAMETER__INIT;
  const InferCaffe__InterpParameter *p =
      layer->def->interp_param ? layer->def->interp_param : &none;
  gint64 size[2];

  if (!caffe_arity(layer, 1, 2, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  InferTensor *x = cut(im, layer, p, error);
  return x && interp_size(layer, p, size, error) &&
         caffe_top(layer, 0, resize(im, layer, x, size, TRUE, error));
}

/* Puts each maximum back where the mask of its pooling says, between zeros (SegNet). */
static gboolean
unpool(CaffeImport *im, CaffeLayer *layer, const gint64 size[2], GError **error)
{
  const InferDims *dims = &layer->in[0]->dims;
  gint64 from = dims->d[2] * dims->d[3], to = size[0] * size[1];
  gint64 flat[3] = {0, dims->d[1], from}, image[4] = {0, dims->d[1], size[0], size[1]};
  gint64 pads[6] = {0, 0, 0, 0, 0, to - from};

  if (to < from || dims->d[2] > 1 << 20 || dims->d[3] > 1 << 20) {
    return caffe_error(error, INFER_ERROR_MODEL, "its top would be smaller than its bottom");
  }
  InferTensor *x = caffe_reshape(im, layer, layer->in[0], flat, 3, error);
  InferTensor *mask = x ? caffe_reshape(im, layer, layer->in[1], flat, 3, error) : NULL;
  GVariant *to_int = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_INT64, NULL);
  GVariant *to_float = infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL);
  mask = caffe_add1(im, layer, "Cast", to_int, mask, error);
  /* Nothing is less than itself: zeros for as many images as there are. */
  InferTensor *zeros = mask ? caffe_add2(im, layer, "Less", NULL, x, x, error) : NULL;
  zeros = caffe_add1(im, layer, "Cast", to_float, zeros, error);
  zeros = caffe_add2(im, layer, "Pad", NULL, zeros, caffe_ints(im, pads, 6), error);
  InferTensor *in[3] = {zeros, mask, x};
  GVariant *axis = infer_attrs_new("axis", 'i', (gint64)2, NULL);
  InferTensor *out = zeros ? caffe_add(im, layer, "ScatterElements", axis, in, 3, error)
                           : caffe_add1(im, layer, "ScatterElements", axis, NULL, error);
  return caffe_top(layer, 0, out ? caffe_reshape(im, layer, out, image, 4, error) : NULL);
}

static gboolean
emit_upsample(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__UpsampleParameter none = INFER_CAFFE__UPSAMPLE_PARAMETER__INIT;
  const InferCaffe__UpsampleParameter *p =
      layer->def->upsample_param ? layer->def->upsample_param : &none;

  if (!caffe_arity(layer, 1, 2, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  gint64 h = p->scale_h ? p->scale_h : p->stride ? p->stride : p->scale;
  gint64 w = p->scale_w ? p->scale_w : p->stride ? p->stride : p->scale;
  if (h < 1 || w < 1 || h > 1 << 12 || w > 1 << 12) {
    return caffe_error(error, INFER_ERROR_MODEL, "a scale of %" G_GINT64_FORMAT " cannot be",
                       MIN(h, w));
  }
  gint64 size[2] = {layer->in[0]->dims.d[2] * h, layer->in[0]->dims.d[3] * w};
  if (layer->n_in == 2) {
    size[0] = p->upsample_h > 0 ? p->upsample_h : size[0] - p->pad_out_h;
    size[1] = p->upsample_w > 0 ? p->upsample_w : size[1] - p->pad_out_w;
    return unpool(im, layer, size, error);
  }
  return caffe_top(layer, 0, resize(im, layer, layer->in[0], size, FALSE, error));
}

/* The way back spreads blocks of channels over space. */
static gboolean
emit_reverse(CaffeImport *im, CaffeLayer *layer, const InferCaffe__ReorgParameter *p,
             GError **error)
{
  GVariant *attrs = infer_attrs_new("blocksize", 'i', (gint64)p->stride, "mode", 's', "DCR", NULL);

  return caffe_top(layer, 0, caffe_add1(im, layer, "DepthToSpace", attrs, layer->in[0], error));
}

static gboolean
emit_reorg(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ReorgParameter *p = layer->def->reorg_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (p && p->reverse) {
    return emit_reverse(im, layer, p, error);
  }
  GVariant *attrs = infer_attrs_new("stride", 'i', (gint64)(p ? p->stride : 2), NULL);
  return caffe_top(layer, 0, caffe_add1(im, layer, "infer.Reorg", attrs, layer->in[0], error));
}

const CaffeOp caffe_ops_resize[] = {
    {"Interp", emit_interp},
    {"Upsample", emit_upsample},
    {"Reorg", emit_reorg},
    {NULL, NULL},
};
