/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "../plugin.h"

#include <string.h>

/* Regions of Faster R-CNN (Ren et al. 2015). */

#define MAX_LIST 32

typedef struct {
  gint64 stride, base, before, after;
  double overlap, min_size;
  double ratios[MAX_LIST], scales[MAX_LIST];
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

/* Scores, deltas and im_info to regions, their scores and their number. */
static gboolean
propose(CaffeImport *im, CaffeLayer *layer, const Regions *r, InferTensor *const in[3],
        InferTensor *out[3], GError **error)
{
  GVariant *attrs =
      infer_attrs_new("feat_stride", 'i', r->stride, "base_size", 'i', r->base, "ratios", 'F',
                      r->ratios, r->n_ratios, "scales", 'F', r->scales, r->n_scales, "pre_nms_topn",
                      'i', r->before, "post_nms_topn", 'i', r->after, "nms_thresh", 'f', r->overlap,
                      "min_size", 'f', r->min_size, NULL);

  return caffe_add_n(im, layer, "infer.Proposal", attrs, in, 3, out, 3, error);
}

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
  return propose(im, layer, r, layer->in, out, error) && caffe_top(layer, 0, out[0]) &&
         (layer->n_out < 2 || caffe_top(layer, 1, out[1]));
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

static gboolean
read_number(const char *name, GVariant *value, double *number, GError **error)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64)) {
    *number = (double)g_variant_get_int64(value);
    return TRUE;
  }
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE)) {
    *number = g_variant_get_double(value);
    return TRUE;
  }
  return caffe_error(error, INFER_ERROR_MODEL, "its parameter '%s' is not a number", name);
}

static gboolean
read_numbers(const char *name, GVariant *value, double list[MAX_LIST], gsize *n, GError **error)
{
  gsize count = 0;

  if (g_variant_is_of_type(value, G_VARIANT_TYPE("ax"))) {
    const gint64 *ints = g_variant_get_fixed_array(value, &count, sizeof *ints);
    for (gsize i = 0; i < MIN(count, MAX_LIST); i++) {
      list[i] = (double)ints[i];
    }
  } else if (g_variant_is_of_type(value, G_VARIANT_TYPE("ad"))) {
    const double *reals = g_variant_get_fixed_array(value, &count, sizeof *reals);
    memcpy(list, reals, MIN(count, MAX_LIST) * sizeof *reals);
  }
  *n = count;
  return (count > 0 && count <= MAX_LIST) ||
         caffe_error(error, INFER_ERROR_UNSUPPORTED,
                     "its parameter '%s' is not a list of 1 to %d numbers", name, MAX_LIST);
}

/* What branches of ProposalLayer take; the published one has feat_stride and scales. */
static gboolean
read_parameter(const char *name, GVariant *value, Regions *r, GError **error)
{
  const struct {
    const char *name;
    gint64 *whole;
    double *real;
  } numbers[] = {{"feat_stride", &r->stride, NULL},  {"base_size", &r->base, NULL},
                 {"pre_nms_topn", &r->before, NULL}, {"rpn_pre_nms_top_n", &r->before, NULL},
                 {"post_nms_topn", &r->after, NULL}, {"rpn_post_nms_top_n", &r->after, NULL},
                 {"nms_thresh", NULL, &r->overlap},  {"rpn_nms_thresh", NULL, &r->overlap},
                 {"min_size", NULL, &r->min_size},   {"rpn_min_size", NULL, &r->min_size}};
  g_autofree char *lower = g_ascii_strdown(name, -1);
  double number = 0;

  if (g_str_equal(lower, "scales")) {
    return read_numbers(name, value, r->scales, &r->n_scales, error);
  }
  if (g_str_equal(lower, "ratios")) {
    return read_numbers(name, value, r->ratios, &r->n_ratios, error);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
    if (g_str_equal(lower, numbers[i].name)) {
      if (!read_number(name, value, &number, error)) {
        return FALSE;
      }
      if (numbers[i].real) {
        *numbers[i].real = number;
      } else {
        *numbers[i].whole = (gint64)CLAMP(number, -1, (double)G_MAXINT32);
      }
      return TRUE;
    }
  }
  return caffe_error(error, INFER_ERROR_UNSUPPORTED, "its parameter '%s' is not known", name);
}

/* The published nets have this layer in Python, with one parameter as text: 'feat_stride': 16 */
static gboolean
emit_python(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PythonParameter *p = layer->def->python_param;
  g_autoptr(GHashTable) fields = parsers_fields_new();
  GHashTableIter iter;
  gpointer name, value;
  Regions r = usual;

  if (!p || !p->layer || !g_str_equal(p->layer, "ProposalLayer")) {
    return caffe_error(
        error, INFER_ERROR_UNSUPPORTED,
        "code in Python cannot be run; ProposalLayer is known, and no plugin of the name '%s' is "
        "registered (--plugins=LIBRARY, INFER_PLUGIN_PATH)",
        p && p->layer ? p->layer : "");
  }
  if (p->param_str && !caffe_param_string(p->param_str, fields, error)) {
    return FALSE;
  }
  g_hash_table_iter_init(&iter, fields);
  while (g_hash_table_iter_next(&iter, &name, &value)) {
    if (!read_parameter(name, value, &r, error)) {
      return FALSE;
    }
  }
  return add_proposal(im, layer, &r, error);
}

/* Regions [R, 5] from a bottom that may have more dimensions of 1. */
static InferTensor *
regions_of(CaffeImport *im, CaffeLayer *layer, InferTensor *regions, GError **error)
{
  return regions->dims.n == 4 ? caffe_reshape(im, layer, regions, (gint64[]){-1, 5}, 2, error)
                              : regions;
}

static InferTensor *
roi_pool(CaffeImport *im, CaffeLayer *layer, InferTensor *map, InferTensor *regions,
         const InferCaffe__ROIPoolingParameter *p, GError **error)
{
  if (!p || !p->pooled_h || !p->pooled_w) {
    caffe_error(error, INFER_ERROR_MODEL, "it has no pooled_h and pooled_w");
    return NULL;
  }
  GVariant *attrs =
      infer_attrs_new("pooled_h", 'i', (gint64)p->pooled_h, "pooled_w", 'i', (gint64)p->pooled_w,
                      "spatial_scale", 'f', (double)p->spatial_scale, NULL);
  return caffe_add2(im, layer, "infer.RoiPool", attrs, map, regions, error);
}

static gboolean
emit_roi_pooling(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  if (!caffe_arity(layer, 2, 2, 1, error)) {
    return FALSE;
  }
  InferTensor *regions = regions_of(im, layer, layer->in[1], error);
  return caffe_top(
      layer, 0,
      regions ? roi_pool(im, layer, layer->in[0], regions, layer->def->roi_pooling_param, error)
              : NULL);
}

/* Every bin of a region is the mean of channels of its own (Dai et al. 2016). */
static gboolean
emit_psroi_pooling(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PSROIPoolingParameter *p = layer->def->psroi_pooling_param;

  if (!caffe_arity(layer, 2, 2, 1, error)) {
    return FALSE;
  }
  if (!p || p->output_dim < 1 || p->group_size < 1) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no output_dim and group_size");
  }
  GVariant *attrs =
      infer_attrs_new("output_dim", 'i', (gint64)p->output_dim, "group_size", 'i',
                      (gint64)p->group_size, "spatial_scale", 'f', (double)p->spatial_scale, NULL);
  return caffe_top(layer, 0,
                   caffe_add2(im, layer, "infer.PsRoiPool", attrs, layer->in[0],
                              regions_of(im, layer, layer->in[1], error), error));
}

static gboolean
read_fused(const InferCaffe__RegionProposalParameter *p, Regions *r, GError **error)
{
  if (p->n_anchor_ratio > MAX_LIST || p->n_anchor_scale > MAX_LIST ||
      (p->n_anchor_ratio && p->n_anchor_ratio != p->anchor_ratio_count) ||
      (p->n_anchor_scale && p->n_anchor_scale != p->anchor_scale_count)) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "there are %" G_GSIZE_FORMAT " ratios and %" G_GSIZE_FORMAT
                       " scales, not as many as it says, or more than %d",
                       p->n_anchor_ratio, p->n_anchor_scale, MAX_LIST);
  }
  r->stride = p->feature_stride;
  r->before = p->prenms_top;
  r->after = p->nms_max_out;
  r->overlap = (double)p->iou_threshold;
  r->min_size = (double)p->min_box_size;
  for (gsize i = 0; i < p->n_anchor_ratio; i++) {
    r->ratios[i] = (double)p->anchor_ratio[i];
    r->n_ratios = p->n_anchor_ratio;
  }
  for (gsize i = 0; i < p->n_anchor_scale; i++) {
    r->scales[i] = (double)p->anchor_scale[i];
    r->n_scales = p->n_anchor_scale;
  }
  return TRUE;
}

/* Proposal and ROIPooling in one, as the nets for TensorRT have it: scores, deltas, map, im_info;
 * its regions have no number of an image, and a dimension for the image instead. */
static gboolean
emit_fused(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__RegionProposalParameter none = INFER_CAFFE__REGION_PROPOSAL_PARAMETER__INIT;
  const InferCaffe__RegionProposalParameter *p =
      layer->def->region_proposal_param ? layer->def->region_proposal_param : &none;
  const gint64 from = 1, to = 5, axis = 1;
  InferTensor *out[3];
  Regions r = usual;

  if (!caffe_arity(layer, 4, 4, 2, error) || !read_fused(p, &r, error)) {
    return FALSE;
  }
  InferTensor *in[3] = {layer->in[0], layer->in[1], layer->in[3]};
  if (!propose(im, layer, &r, in, out, error)) {
    return FALSE;
  }
  InferTensor *cut[4] = {out[0], caffe_ints(im, &from, 1), caffe_ints(im, &to, 1),
                         caffe_ints(im, &axis, 1)};
  InferTensor *boxes = caffe_add(im, layer, "Slice", NULL, cut, 4, error);
  return boxes &&
         caffe_top(layer, 0,
                   caffe_reshape(im, layer, boxes, (gint64[]){-1, 1, r.after, 4}, 4, error)) &&
         caffe_top(layer, 1,
                   roi_pool(im, layer, layer->in[2], out[0], layer->def->roi_pooling_param, error));
}

const CaffeOp caffe_ops_region[] = {
    {"Proposal", emit_proposal},          {"Python", emit_python}, {"ROIPooling", emit_roi_pooling},
    {"PSROIPooling", emit_psroi_pooling}, {"RPROI", emit_fused},   {NULL, NULL},
};
