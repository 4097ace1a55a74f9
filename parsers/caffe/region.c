/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Regions of Faster R-CNN (Ren et al. 2015). */

typedef struct {
  gint64 stride, base, before, after;
  double overlap, min_size;
  double ratios[32], scales[32];
  gsize n_ratios, n_scales;
} Regions;

static const Regions usual = {
    .stride = 16,
    .base = 16,
    .before = 6000,
    .after = 300,
    .overlap = 0.7,
    .min_size = 16,
    .ratios = {0.5, 1, 2},
    .scales = {8, 16, 32},
    .n_ratios = 3,
    .n_scales = 3,
};

static gboolean
add_proposal(CaffeImport *im, CaffeLayer *layer, const Regions *r, GError **error)
{
  InferTensor *out[3];

  if (layer->n_in != 3 || layer->n_out < 1 || layer->n_out > 2) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "it has %u bottoms and %u tops; scores, deltas and im_info, and one or two "
                       "tops are needed",
                       layer->n_in, layer->n_out);
  }
  GVariant *attrs =
      infer_attrs_new("feat_stride", 'i', r->stride, "base_size", 'i', r->base, "ratios", 'F',
                      r->ratios, r->n_ratios, "scales", 'F', r->scales, r->n_scales, "pre_nms_topn",
                      'i', r->before, "post_nms_topn", 'i', r->after, "nms_thresh", 'f', r->overlap,
                      "min_size", 'f', r->min_size, NULL);
  if (!caffe_add_n(im, layer, "infer.Proposal", attrs, layer->in, 3, out, 3, error)) {
    return FALSE;
  }
  return caffe_top(layer, 0, out[0]) && (layer->n_out < 2 || caffe_top(layer, 1, out[1]));
}

static gboolean
emit_proposal(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ProposalParameter none = INFER_CAFFE__PROPOSAL_PARAMETER__INIT;
  const InferCaffe__ProposalParameter *p =
      layer->def->proposal_param ? layer->def->proposal_param : &none;
  Regions r = usual;

  if (p->n_ratio > G_N_ELEMENTS(r.ratios) || p->n_scale > G_N_ELEMENTS(r.scales)) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "more than 32 ratios or scales");
  }
  r.stride = p->feat_stride;
  r.base = p->base_size;
  r.before = p->pre_nms_topn;
  r.after = p->post_nms_topn;
  r.overlap = (double)p->nms_thresh;
  r.min_size = p->min_size;
  for (gsize i = 0; i < p->n_ratio; i++) {
    r.ratios[i] = (double)p->ratio[i];
    r.n_ratios = p->n_ratio;
  }
  for (gsize i = 0; i < p->n_scale; i++) {
    r.scales[i] = (double)p->scale[i];
    r.n_scales = p->n_scale;
  }
  return add_proposal(im, layer, &r, error);
}

/* The published nets have this layer in Python, with one parameter as text: 'feat_stride': 16 */
static gboolean
emit_python(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PythonParameter *p = layer->def->python_param;
  Regions r = usual;

  if (!p || !p->layer || !g_str_equal(p->layer, "ProposalLayer")) {
    return caffe_error(
        error, INFER_ERROR_UNSUPPORTED,
        "code in Python ('%s') cannot be run; ProposalLayer is the one that is known",
        p && p->layer ? p->layer : "");
  }
  const char *stride = p->param_str ? strstr(p->param_str, "feat_stride") : NULL;
  for (; stride && *stride && !g_ascii_isdigit(*stride); stride++) {
  }
  if (stride && *stride) {
    r.stride = g_ascii_strtoll(stride, NULL, 10);
  }
  if (p->param_str && strstr(p->param_str, "scales")) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "its parameters '%s' are not understood",
                       p->param_str);
  }
  return add_proposal(im, layer, &r, error);
}

static gboolean
emit_roi_pooling(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__ROIPoolingParameter *p = layer->def->roi_pooling_param;

  if (!caffe_arity(layer, 2, 2, 1, error)) {
    return FALSE;
  }
  if (!p || !p->pooled_h || !p->pooled_w) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no pooled_h and pooled_w");
  }
  InferTensor *regions = layer->in[1];
  if (regions->dims.n == 4) {
    regions = caffe_reshape(im, layer, regions, (gint64[]){-1, 5}, 2, error);
  }
  GVariant *attrs =
      infer_attrs_new("pooled_h", 'i', (gint64)p->pooled_h, "pooled_w", 'i', (gint64)p->pooled_w,
                      "spatial_scale", 'f', (double)p->spatial_scale, NULL);
  return caffe_top(layer, 0,
                   caffe_add2(im, layer, "infer.RoiPool", attrs, layer->in[0], regions, error));
}

const CaffeOp caffe_ops_region[] = {
    {"Proposal", emit_proposal},
    {"Python", emit_python},
    {"ROIPooling", emit_roi_pooling},
    {NULL, NULL},
};
