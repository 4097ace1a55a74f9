/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"

#include <op.h>

#include <math.h>
#include <string.h>

/*
 * Plugins that TensorRT ships and that graphs of detectors name: the anchors of TensorFlow's Object
 * Detection API (Huang et al. 2017), their joining, and the suppression. A plugin of the same name
 * that a user registers stands before them.
 */

#define MAX_LAYERS 64
#define MAX_RATIOS 64
#define MAX_BOXES ((gint64)1 << 22)
#define MAX_KEPT 65536

gboolean
uff_is_anchors(const UffNode *node)
{
  return g_str_has_prefix(node->def->operation, "_GridAnchor") && node->plain;
}

/* What the fields of GridAnchor say. */
typedef struct {
  gint64 maps[2 * MAX_LAYERS];
  double ratios[MAX_RATIOS + 1], scales[MAX_RATIOS + 1], variance[4];
  double least, most;
  gsize n_layers, n_ratios;
} Grid;

static gboolean
read_grid(const UffImport *im, const UffNode *node, gboolean rect, Grid *g, GError **error)
{
  gsize n = uff_ints(im, node, "featureMapShapes", g->maps, 2 * MAX_LAYERS);
  gint64 layers = uff_int(im, node, "numLayers", 6);

  g->least = uff_double(im, node, "minSize", 0.2);
  g->most = uff_double(im, node, "maxSize", 0.95);
  g->n_ratios = uff_doubles(im, node, "aspectRatios", g->ratios, MAX_RATIOS);
  g->n_layers = rect ? n / 2 : n;
  if (layers < 1 || layers > MAX_LAYERS || g->n_layers != (guint64)layers || (rect && n % 2)) {
    return uff_error(error, INFER_ERROR_MODEL,
                     "numLayers is %" G_GINT64_FORMAT " and featureMapShapes has %" G_GSIZE_FORMAT
                     " numbers",
                     layers, n);
  }
  if (g->n_ratios < 3 || uff_doubles(im, node, "variance", g->variance, 4) != 4) {
    return uff_error(error, INFER_ERROR_MODEL, "it has no three aspectRatios or no four variances");
  }
  for (gsize i = 0; i < g->n_ratios; i++) {
    if (!(g->ratios[i] > 1e-3) || !(g->ratios[i] < 1e3)) {
      return uff_error(error, INFER_ERROR_MODEL, "an aspect ratio is %g", g->ratios[i]);
    }
  }
  for (gsize i = n; !rect && i-- > 0;) {
    g->maps[2 * i] = g->maps[2 * i + 1] = g->maps[i];
  }
  return TRUE;
}

static double
scale_of(const Grid *g, gsize layer)
{
  return layer >= g->n_layers ? 1
         : g->n_layers == 1
             ? g->least
             : g->least + (g->most - g->least) * (double)layer / (double)(g->n_layers - 1);
}

/* Boxes of a cell of a layer. The first layer has only three, the first of them small; the others
 * have one more, a square between their scale and the next one. Returns: how many */
static gsize
cell_boxes(const Grid *g, gsize layer, double sizes[MAX_RATIOS + 1][2])
{
  gsize n = layer == 0 ? 3 : g->n_ratios + 1;
  double scale = scale_of(g, layer), next = layer + 1 == g->n_layers ? 1 : scale_of(g, layer + 1);

  for (gsize i = 0; i < n; i++) {
    gboolean extra = layer > 0 && i == g->n_ratios;
    double ratio = extra ? 1 : g->ratios[i], s = extra ? sqrt(scale * next) : scale;
    s = layer == 0 && i == 0 ? 0.1 : s;
    sizes[i][0] = s * sqrt(ratio);
    sizes[i][1] = s / sqrt(ratio);
  }
  return n;
}

/* Corners x1, y1, x2, y2 of all layers, cell by cell, then as often the variances. */
static gboolean
emit_grid_anchor(UffImport *im, UffNode *node, GError **error)
{
  double sizes[MAX_RATIOS + 1][2];
  Grid g = {.n_layers = 0};
  gint64 total = 0;

  if (!read_grid(im, node, g_str_has_prefix(node->def->operation, "_GridAnchorRect"), &g, error)) {
    return FALSE;
  }
  for (gsize i = 0; i < g.n_layers; i++) {
    gint64 h = g.maps[2 * i], w = g.maps[2 * i + 1];
    if (h < 1 || w < 1 || h > 4096 || w > 4096) {
      return uff_error(error, INFER_ERROR_MODEL, "a map of %" G_GINT64_FORMAT "x%" G_GINT64_FORMAT,
                       h, w);
    }
    total += h * w * (gint64)cell_boxes(&g, i, sizes);
    if (total > MAX_BOXES) {
      return uff_error(error, INFER_ERROR_UNSUPPORTED, "more than 4 million anchors");
    }
  }
  g_autoptr(InferArray) out =
      infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1, 2, 4 * total, 1), error);
  if (!out) {
    return FALSE;
  }
  float *box = out->data, *variance = box + 4 * total;
  for (gsize i = 0; i < g.n_layers; i++) {
    gint64 h = g.maps[2 * i], w = g.maps[2 * i + 1];
    gsize n = cell_boxes(&g, i, sizes);
    for (gint64 cell = 0; cell < h * w; cell++) {
      double x = ((double)(cell % w) + 0.5) / (double)w, y = ((double)(cell / w) + 0.5) / (double)h;
      for (gsize k = 0; k < n; k++, box += 4, variance += 4) {
        for (gint c = 0; c < 4; c++) {
          box[c] = (float)((c % 2 ? y : x) + (c < 2 ? -0.5 : 0.5) * sizes[k][c % 2]);
          variance[c] = (float)g.variance[c];
        }
      }
    }
  }
  return uff_out(node, infer_network_add_constant(im->network, NULL, out), FALSE);
}

/* Each input flat, side by side. */
static gboolean
emit_flatten_concat(UffImport *im, UffNode *node, GError **error)
{
  g_autofree InferTensor **in = g_new0(InferTensor *, node->n_inputs + 1);

  if (uff_int(im, node, "axis", 1) != 1 || uff_int(im, node, "ignoreBatch", 0) != 0) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED, "axis other than 1, or with ignoreBatch");
  }
  for (guint i = 0; i < node->n_inputs; i++) {
    InferTensor *x = uff_in(im, node, i, error);
    InferDims inner = INFER_DIMS_SCALAR;
    for (gint k = 1; x && k < x->dims.n; k++) {
      inner.d[inner.n++] = x->dims.d[k];
    }
    gint64 count = x && x->dims.n > 0 ? infer_dims_count(&inner) : 0;
    if (count < 1) {
      return x &&
             uff_error(error, INFER_ERROR_SHAPE, "the dimensions of input %u are not known", i);
    }
    in[i] = uff_add2(im, node, "Reshape", NULL, x, uff_list(im, (gint64[]){0, count}, 2), error);
    if (!in[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)1, NULL);
  return uff_out(node, uff_add(im, node, "Concat", attrs, in, node->n_inputs, error), FALSE);
}

typedef enum { CORNER, CENTER_SIZE, CORNER_SIZE, TF_CENTER } Code;

/* Anchors for BoxDecode, in the order of the codes: y first where they are TensorFlow's. */
static InferTensor *
anchors(UffImport *im, const InferTensor *priors, gboolean yx, gint64 *n, double scales[4],
        gboolean plain, GError **error)
{
  const InferArray *value = priors->value;

  *n = value ? infer_array_count(value) / 8 : 0;
  if (*n < 1 || *n > MAX_BOXES || value->type != INFER_TYPE_FLOAT || infer_array_count(value) % 8) {
    uff_error(error, INFER_ERROR_UNSUPPORTED, "its boxes to start from are not constant");
    return NULL;
  }
  const float *from = value->data, *variance = from + 4 * *n;
  for (gint64 i = 0; i < 4 * *n; i++) {
    if (!(variance[i] > 0) || (i > 3 && variance[i] != variance[i % 4])) {
      uff_error(error, INFER_ERROR_UNSUPPORTED, "its variances are not positive, or differ by box");
      return NULL;
    }
  }
  for (guint i = 0; i < 4; i++) {
    scales[i] = plain ? 1 : 1 / (double)variance[i];
  }
  g_autoptr(InferArray) to = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(*n, 4), error);
  for (gint64 i = 0; to && i < 4 * *n; i++) {
    ((float *)to->data)[i] = from[yx ? i ^ 1 : i];
  }
  return to ? infer_network_add_constant(im->network, NULL, to) : NULL;
}

static gboolean
mark_detections(UffImport *im, UffNode *node, InferTensor *const *out, gboolean yx,
                gint64 n_classes, gint64 background, GError **error)
{
  static const char *const parts[4] = {"boxes", "scores", "classes", "count"};
  g_autofree char *valid = g_utf8_make_valid(node->def->id, -1);
  char *names[4];
  gboolean done = TRUE, first = background == 0;

  for (guint i = 0; i < 4; i++) {
    names[i] = g_strdup_printf("%s/%s", valid, parts[i]);
    done = done && infer_network_mark_output(im->network, out[i], names[i], error);
  }
  InferDetectionOutputs outputs = {.boxes = names[0],
                                   .scores = names[1],
                                   .classes = names[2],
                                   .count = names[3],
                                   .yxyx = yx,
                                   .first_class = first ? 1 : 0,
                                   .n_classes = (gint)n_classes - (first ? 1 : 0)};
  infer_model_info_set_detections(im->info, &outputs);
  for (guint i = 0; i < 4; i++) {
    g_free(names[i]);
  }
  return done;
}

static InferTensor *
threshold(UffImport *im, const char *name, double value, GError **error)
{
  g_autoptr(InferArray) array = infer_array_new_float((float)value);

  return infer_network_add_input(im->network, name, INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, array,
                                 error);
}

/* Which inputs are codes, scores and anchors. */
static gboolean
read_order(const UffImport *im, const UffNode *node, gint64 order[3], GError **error)
{
  gsize n = uff_ints(im, node, "inputOrder", order, 3);

  if (n == 0) {
    order[0] = 0;
    order[1] = 1;
    order[2] = 2;
  } else if (n != 3) {
    return uff_error(error, INFER_ERROR_MODEL, "inputOrder has %" G_GSIZE_FORMAT " numbers", n);
  }
  for (guint i = 0; i < 3; i++) {
    if (order[i] < 0 || order[i] > 2 || node->n_inputs != 3) {
      return uff_error(error, INFER_ERROR_MODEL, "inputOrder does not fit its %u inputs",
                       node->n_inputs);
    }
  }
  return TRUE;
}

/* Boxes [N, n, 4] and scores [N, n, classes] from its inputs. */
static gboolean
decode(UffImport *im, UffNode *node, gint64 classes, gboolean yx, InferTensor *out[2],
       GError **error)
{
  gboolean plain = uff_int(im, node, "varianceEncodedInTarget", 0) != 0;
  gint64 order[3], n = 0;
  double scales[4];

  if (!read_order(im, node, order, error)) {
    return FALSE;
  }
  InferTensor *codes = uff_in(im, node, (guint)order[0], error);
  InferTensor *scores = codes ? uff_in(im, node, (guint)order[1], error) : NULL;
  InferTensor *priors = scores ? uff_in(im, node, (guint)order[2], error) : NULL;
  InferTensor *boxes = priors ? anchors(im, priors, yx, &n, scales, plain, error) : NULL;
  if (!boxes) {
    return FALSE;
  }
  codes = uff_add2(im, node, "Reshape", NULL, codes, uff_list(im, (gint64[]){0, n, 4}, 3), error);
  scores = codes ? uff_add2(im, node, "Reshape", NULL, scores,
                            uff_list(im, (gint64[]){0, n, classes}, 3), error)
                 : NULL;
  if (scores && uff_int(im, node, "confSigmoid", 0)) {
    scores = uff_add1(im, node, "Sigmoid", NULL, scores, error);
  }
  GVariant *attrs =
      infer_attrs_new("order", 's', yx ? "yx" : "xy", "scales", 'F', scales, (gsize)4, NULL);
  out[0] = uff_add2(im, node, "infer.BoxDecode", attrs, scores ? codes : NULL, boxes, error);
  out[1] = scores;
  return out[0] != NULL;
}

static gboolean
emit_nms(UffImport *im, UffNode *node, GError **error)
{
  gint64 classes = uff_int(im, node, "numClasses", 0),
         code = uff_int(im, node, "codeType", TF_CENTER);
  gint64 background = uff_int(im, node, "backgroundLabelId", 0);
  gint64 per_class = uff_int(im, node, "topK", 0), total = uff_int(im, node, "keepTopK", 0);
  gboolean yx = code == TF_CENTER;
  InferTensor *in[4], *made[2];

  if (classes < 1 || classes > 1 << 20 || per_class < 1 || total < 1) {
    return uff_error(error, INFER_ERROR_MODEL,
                     "numClasses, topK and keepTopK are %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT
                     " and %" G_GINT64_FORMAT,
                     classes, per_class, total);
  }
  if ((code != TF_CENTER && code != CENTER_SIZE) || !uff_int(im, node, "shareLocation", 1) ||
      !uff_int(im, node, "isNormalized", 1) ||
      infer_model_info_get_decoder(im->info) == INFER_DECODER_DETECTIONS) {
    return uff_error(error, INFER_ERROR_UNSUPPORTED,
                     "boxes of a class of their own, in pixels, coded as corners, or a second "
                     "layer of detections");
  }
  if (!decode(im, node, classes, yx, made, error)) {
    return FALSE;
  }
  in[0] = made[0];
  in[1] = made[1];
  in[2] = threshold(im, "score_threshold", uff_double(im, node, "confidenceThreshold", 0), error);
  in[3] = in[2] ? threshold(im, "iou_threshold", uff_double(im, node, "nmsThreshold", 0.6), error)
                : NULL;
  if (!in[3]) {
    return FALSE;
  }
  GVariant *attrs =
      infer_attrs_new("max_per_class", 'i', MIN(per_class, MAX_KEPT), "max_total", 'i',
                      MIN(total, MAX_KEPT), "order", 's', yx ? "yx" : "xy", "class_offset", 'i',
                      (gint64)0, "background", 'i', MAX(background, -1), NULL);
  InferNode *added =
      infer_network_add_node(im->network, "infer.DetectionNMS", NULL, in, 4, attrs, 4, error);
  node->detections = TRUE;
  return added && mark_detections(im, node, added->outputs, yx, classes, background, error);
}

const UffOp uff_ops_detection[] = {
    {"_GridAnchor_TRT", emit_grid_anchor},
    {"_GridAnchorRect_TRT", emit_grid_anchor},
    {"_FlattenConcat_TRT", emit_flatten_concat},
    {"_NMS_TRT", emit_nms},
    {NULL, NULL},
};
