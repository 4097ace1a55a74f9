/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <op.h>

#include <math.h>
#include <string.h>

/* The detector of SSD (Liu et al. 2016): priors, which are constants, and what decodes and
 * suppresses boxes. */

/* More cells than this has no feature map. */
#define MAX_CELLS ((gint64)1 << 22)
#define MAX_KEPT 65536
/* Boxes of a net in which every class has its own. */
#define MAX_WIDE ((gint64)1 << 24)

/* The list of floats as an attribute takes it; NULL as the name where it is empty. */
static GVariant *
prior_attrs(const InferCaffe__PriorBoxParameter *p, gint64 height, gint64 width)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
  const struct {
    const char *name;
    const float *values;
    gsize n;
  } lists[] = {{"min_size", p->min_size, p->n_min_size},
               {"max_size", p->max_size, p->n_max_size},
               {"aspect_ratio", p->aspect_ratio, p->n_aspect_ratio},
               {"variance", p->variance, p->n_variance}};

  for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("ad"));
    for (gsize k = 0; k < lists[i].n; k++) {
      g_variant_builder_add(&builder, "d", (double)lists[i].values[k]);
    }
    if (lists[i].n > 0 || i == 0) {
      g_variant_dict_insert_value(&dict, lists[i].name, g_variant_builder_end(&builder));
    } else {
      g_variant_builder_clear(&builder);
    }
  }
  g_variant_dict_insert(&dict, "flip", "x", (gint64)p->flip);
  g_variant_dict_insert(&dict, "clip", "x", (gint64)p->clip);
  g_variant_dict_insert(&dict, "offset", "d", (double)p->offset);
  g_variant_dict_insert(&dict, "step", "d", (double)p->step);
  g_variant_dict_insert(&dict, "step_h", "d", (double)p->step_h);
  g_variant_dict_insert(&dict, "step_w", "d", (double)p->step_w);
  g_variant_dict_insert(&dict, "img_h", "x", height);
  g_variant_dict_insert(&dict, "img_w", "x", width);
  return g_variant_dict_end(&dict);
}

/* Only sizes count: it is computed on an image of one channel that has nothing in it. */
static InferArray *
make_priors(GVariant *attrs, const InferDims *map, GError **error)
{
  g_autoptr(GVariant) owned = g_variant_ref_sink(attrs);
  g_autoptr(InferNetwork) side = infer_network_new();
  g_autoptr(InferArray) cells =
      infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1, 1, map->d[2], map->d[3]), error);
  g_autoptr(InferArray) image = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1, 1, 1, 1), error);
  InferArray *out = NULL;

  if (!cells || !image) {
    return NULL;
  }
  InferTensor *in[2] = {infer_network_add_constant(side, NULL, cells),
                        infer_network_add_constant(side, NULL, image)};
  InferNode *node = infer_network_add_node(side, "infer.PriorBox", NULL, in, 2, owned, 1, error);
  const InferArray *arrays[2] = {cells, image};
  if (!node || !infer_op_eval_alloc(node, arrays, 2, &out, 1, error)) {
    return NULL;
  }
  return out;
}

static gboolean
emit_prior_box(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__PriorBoxParameter *p = layer->def->prior_box_param;

  if (!caffe_arity(layer, 2, 2, 1, error) || !caffe_image(layer, 0, error) ||
      !caffe_image(layer, 1, error)) {
    return FALSE;
  }
  if (!p || p->n_min_size == 0 || p->n_min_size > 64 || p->n_max_size > 64 ||
      p->n_aspect_ratio > 64) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no min_size, or more than 64 sizes");
  }
  const InferDims *map = &layer->in[0]->dims, *image = &layer->in[1]->dims;
  if (map->d[2] > MAX_CELLS / map->d[3]) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "a map of more than 4 million cells");
  }
  gint64 height = p->img_h ? p->img_h : p->img_size ? p->img_size : image->d[2];
  gint64 width = p->img_w ? p->img_w : p->img_size ? p->img_size : image->d[3];
  g_autoptr(InferArray) priors = make_priors(prior_attrs(p, height, width), map, error);
  return priors &&
         caffe_top(layer, 0, infer_network_add_constant(im->network, layer->def->name, priors));
}

/* What the priors say: boxes, and the variances by which codes are multiplied. */
typedef struct {
  gint64 n;
  const float *boxes, *variances;
  gboolean same; /* all boxes have the variances of the first one */
} Priors;

static gboolean
read_priors(const InferTensor *tensor, Priors *priors, GError **error)
{
  const InferArray *array = tensor->value;

  if (!array || array->type != INFER_TYPE_FLOAT || array->dims.n != 3 || array->dims.d[0] != 1 ||
      array->dims.d[1] != 2 || array->dims.d[2] < 4 || array->dims.d[2] % 4) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "its third bottom are not the tops of PriorBox layers, joined by axis 2");
  }
  priors->n = array->dims.d[2] / 4;
  priors->boxes = array->data;
  priors->variances = priors->boxes + array->dims.d[2];
  priors->same = TRUE;
  for (gint64 i = 0; i < priors->n && priors->same; i++) {
    priors->same = memcmp(priors->variances, priors->variances + 4 * i, 4 * sizeof(float)) == 0;
  }
  for (gint64 i = 0; i < 4 * priors->n; i++) {
    if (!isfinite(priors->variances[i]) || priors->variances[i] <= 0) {
      return caffe_error(error, INFER_ERROR_MODEL, "a variance of the priors is %g",
                         (double)priors->variances[i]);
    }
  }
  return TRUE;
}

/* The priors with each one as often as there are classes. Returns: (transfer full): their floats */
static float *
repeat(Priors *priors, gint64 classes, GError **error)
{
  gint64 n = 0;

  if (__builtin_mul_overflow(priors->n, classes, &n) || n > MAX_WIDE) {
    caffe_error(error, INFER_ERROR_UNSUPPORTED,
                "%" G_GINT64_FORMAT " priors for each of %" G_GINT64_FORMAT
                " classes are more than 16 million boxes",
                priors->n, classes);
    return NULL;
  }
  float *all = g_try_new(float, 8 * (gsize)n);
  if (!all) {
    caffe_error(error, INFER_ERROR_MEMORY, "no memory for %" G_GINT64_FORMAT " boxes", n);
    return NULL;
  }
  for (gint64 i = 0; i < n; i++) {
    memcpy(all + 4 * i, priors->boxes + i / classes * 4, 4 * sizeof *all);
    memcpy(all + 4 * (n + i), priors->variances + i / classes * 4, 4 * sizeof *all);
  }
  priors->boxes = all;
  priors->variances = all + 4 * n;
  priors->n = n;
  return all;
}

/* Corners that move by themselves, in the unit of the image or of the prior's size. */
static InferTensor *
decode_corners(CaffeImport *im, CaffeLayer *layer, InferTensor *codes, const Priors *priors,
               gboolean sized, gboolean plain, GError **error)
{
  const InferDims dims = INFER_DIMS(priors->n, 4);
  g_autoptr(InferArray) factors = infer_array_new(INFER_TYPE_FLOAT, &dims, error);

  for (gint64 i = 0; factors && i < 4 * priors->n; i++) {
    const float *box = priors->boxes + (i & ~(gint64)3);
    float size = sized ? box[(i & 1) + 2] - box[i & 1] : 1;
    ((float *)factors->data)[i] = size * (plain ? 1 : priors->variances[i]);
  }
  InferTensor *moves =
      factors ? caffe_add2(im, layer, "Mul", NULL, codes,
                           infer_network_add_constant(im->network, NULL, factors), error)
              : NULL;
  return caffe_add2(im, layer, "Add", NULL, moves, caffe_floats(im, priors->boxes, &dims), error);
}

static InferTensor *
decode(CaffeImport *im, CaffeLayer *layer, InferTensor *codes, const Priors *priors,
       const InferCaffe__DetectionOutputParameter *p, GError **error)
{
  const InferDims dims = INFER_DIMS(priors->n, 4);
  gboolean plain = p->variance_encoded_in_target;
  double scales[4] = {1, 1, 1, 1};

  if (p->code_type != INFER_CAFFE__CODE_TYPE__CENTER_SIZE) {
    return decode_corners(im, layer, codes, priors,
                          p->code_type == INFER_CAFFE__CODE_TYPE__CORNER_SIZE, plain, error);
  }
  if (!plain && priors->same) {
    for (guint i = 0; i < 4; i++) {
      scales[i] = 1 / (double)priors->variances[i];
    }
  } else if (!plain) {
    codes = caffe_add2(im, layer, "Mul", NULL, codes, caffe_floats(im, priors->variances, &dims),
                       error);
  }
  GVariant *attrs = infer_attrs_new("order", 's', "xy", "scales", 'F', scales, (gsize)4, NULL);
  return caffe_add2(im, layer, "infer.BoxDecode", attrs, codes,
                    caffe_floats(im, priors->boxes, &dims), error);
}

/* Boxes [N, priors, 4], or [N, priors, classes, 4] where every class has its own. */
static InferTensor *
make_boxes(CaffeImport *im, CaffeLayer *layer, Priors *priors,
           const InferCaffe__DetectionOutputParameter *p, GError **error)
{
  gint64 n = priors->n, classes = p->num_classes;
  g_autofree float *own = p->share_location ? NULL : repeat(priors, classes, error);

  if (!p->share_location && !own) {
    return NULL;
  }
  InferTensor *codes =
      caffe_reshape(im, layer, layer->in[0], (gint64[]){0, priors->n, 4}, 3, error);
  InferTensor *boxes = codes ? decode(im, layer, codes, priors, p, error) : NULL;
  priors->n = n;
  return boxes && own ? caffe_reshape(im, layer, boxes, (gint64[]){0, n, classes, 4}, 4, error)
                      : boxes;
}

/* A number that can be changed without building anew. */
static InferTensor *
threshold_input(CaffeImport *im, const char *name, double value, GError **error)
{
  g_autoptr(InferArray) array = infer_array_new_float((float)value);

  return infer_network_add_input(im->network, name, INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, array,
                                 error);
}

static gboolean
mark_detections(CaffeImport *im, CaffeLayer *layer, InferTensor *const *out,
                const InferCaffe__DetectionOutputParameter *p, GError **error)
{
  static const char *const parts[4] = {"boxes", "scores", "classes", "count"};
  g_autofree char *top = g_utf8_make_valid(layer->def->top[0], -1);
  char *names[4];
  gboolean done = TRUE;

  for (guint i = 0; i < 4; i++) {
    names[i] = g_strdup_printf("%s/%s", top, parts[i]);
    done = done && infer_network_mark_output(im->network, out[i], names[i], error);
  }
  gboolean first = p->background_label_id == 0;
  InferDetectionOutputs outputs = {.boxes = names[0],
                                   .scores = names[1],
                                   .classes = names[2],
                                   .count = names[3],
                                   .first_class = first ? 1 : 0,
                                   .n_classes = (gint)p->num_classes - (first ? 1 : 0)};
  infer_model_info_set_detections(im->info, &outputs);
  for (guint i = 0; i < 4; i++) {
    g_free(names[i]);
  }
  return done;
}

static gboolean
check_output_layer(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__DetectionOutputParameter *p = layer->def->detection_output_param;

  if (!caffe_arity(layer, 3, 3, 1, error)) {
    return FALSE;
  }
  if (!p || p->num_classes < 1 || p->num_classes > 1 << 20) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no num_classes");
  }
  if (im->detections) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "a second layer of detections");
  }
  if (p->nms_param && p->nms_param->eta != 1) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "a threshold that adapts (eta: %g) is not supported",
                       (double)p->nms_param->eta);
  }
  return TRUE;
}

/* Caffe takes the top_k best of a class before the suppression; here that bounds what is left. */
static gboolean
emit_detection_output(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const InferCaffe__DetectionOutputParameter *p = layer->def->detection_output_param;
  InferTensor *out[4];
  Priors priors = {0};

  if (!check_output_layer(im, layer, error) || !read_priors(layer->in[2], &priors, error)) {
    return FALSE;
  }
  gint64 classes = p->num_classes;
  InferTensor *scores =
      caffe_reshape(im, layer, layer->in[1], (gint64[]){0, priors.n, classes}, 3, error);
  InferTensor *boxes = scores ? make_boxes(im, layer, &priors, p, error) : NULL;
  if (!boxes) {
    return FALSE;
  }
  gint64 all = MIN(priors.n, MAX_KEPT), kept = MIN(priors.n * classes, MAX_KEPT);
  gint64 per_class = p->nms_param && p->nms_param->top_k > 0 ? MIN(all, p->nms_param->top_k) : all;
  gint64 total = p->keep_top_k > 0 ? MIN(kept, p->keep_top_k) : kept;
  double threshold = p->has_confidence_threshold ? (double)p->confidence_threshold : 0;
  double overlap = p->nms_param ? (double)p->nms_param->nms_threshold : 0.3;
  InferTensor *in[4] = {boxes, scores, threshold_input(im, "score_threshold", threshold, error)};
  in[3] = in[2] ? threshold_input(im, "iou_threshold", overlap, error) : NULL;
  if (!in[3]) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new(
      "max_per_class", 'i', per_class, "max_total", 'i', total, "order", 's', "xy", "class_offset",
      'i', (gint64)0, "background", 'i', (gint64)MAX(p->background_label_id, -1), NULL);
  if (!caffe_add_n(im, layer, "infer.DetectionNMS", attrs, in, 4, out, 4, error) ||
      !mark_detections(im, layer, out, p, error)) {
    return FALSE;
  }
  im->detections = TRUE;
  return TRUE;
}

const CaffeOp caffe_ops_detection[] = {
    {"PriorBox", emit_prior_box},
    {"DetectionOutput", emit_detection_output},
    {NULL, NULL},
};
