/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

static InferTensor *
resize(CaffeImport *im, CaffeLayer *layer, const gint64 size[2], gboolean linear, GError **error)
{
  static const gint64 axes[2] = {2, 3};
  InferTensor *in[4] = {layer->in[0], NULL, NULL, caffe_ints(im, size, 2)};
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
    gint64 in = dims->d[i + 2], wanted = i == 0 ? p->height : p->width;
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
  if (p->pad_beg != 0 || p->pad_end != 0) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "padding while resizing is not supported");
  }
  return interp_size(layer, p, size, error) &&
         caffe_top(layer, 0, resize(im, layer, size, TRUE, error));
}

static gboolean
emit_upsample(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__UpsampleParameter none = INFER_CAFFE__UPSAMPLE_PARAMETER__INIT;
  const InferCaffe__UpsampleParameter *p =
      layer->def->upsample_param ? layer->def->upsample_param : &none;

  if (layer->n_in == 2) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "putting maxima back by a mask is not supported");
  }
  if (!caffe_arity(layer, 1, 1, 1, error) || !caffe_image(layer, 0, error)) {
    return FALSE;
  }
  gint64 h = p->scale_h ? p->scale_h : p->stride ? p->stride : p->scale;
  gint64 w = p->scale_w ? p->scale_w : p->stride ? p->stride : p->scale;
  if (h < 1 || w < 1 || h > 1 << 12 || w > 1 << 12) {
    return caffe_error(error, INFER_ERROR_MODEL, "a scale of %" G_GINT64_FORMAT " cannot be",
                       MIN(h, w));
  }
  gint64 size[2] = {layer->in[0]->dims.d[2] * h, layer->in[0]->dims.d[3] * w};
  return caffe_top(layer, 0, resize(im, layer, size, FALSE, error));
}

static gboolean
emit_reorg(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ReorgParameter *p = layer->def->reorg_param;

  if (!caffe_arity(layer, 1, 1, 1, error)) {
    return FALSE;
  }
  if (p && p->reverse) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "the reverse way is not supported");
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
