/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boxcoder.h"
#include "trace.h"

#include <string.h>

/*
 * The back of a graph of TensorFlow's Object Detection API: boxes are decoded, then a loop over
 * the batch suppresses what overlaps, for each class. The loop becomes one "infer.DetectionNMS",
 * with the numbers that its nodes have; what leads to it is imported like any other node.
 */

static const char *const detection_names[4] = {"detection_boxes", "detection_scores",
                                               "detection_classes", "num_detections"};

typedef struct {
  TfEdge boxes;  /* [N, A, 1, 4], outside of the loop */
  TfEdge scores; /* [N, A, C] */
  double score, iou;
  gint64 per_class, total, class_offset;
  gboolean agnostic;
  guint n_nodes; /* suppressions in the loop: one for each class */
} Suppression;

gboolean
tf_detection_is(const TfGraph *graph)
{
  for (guint i = 0; i < 4; i++) {
    if (!tf_graph_find(graph, detection_names[i])) {
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
tf_detection_is_output(const char *name)
{
  guint port = 0;
  g_autofree char *node = tf_split_name(name, &port);

  for (guint i = 0; i < 4; i++) {
    if (port == 0 && g_str_equal(node, detection_names[i])) {
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
is_suppression(const TfNode *node)
{
  return tf_is_any(node, "NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3",
                   "NonMaxSuppressionV4", "NonMaxSuppressionV5", NULL);
}

/* The least constant of a chain of Minimum: how many boxes may be kept. */
static gboolean
find_limit(const TfGraph *graph, TfNode *node, gint64 *limit)
{
  double number = 0;

  if (tf_is(node, "Minimum")) {
    gboolean found = tf_number(graph, tf_source(node, 0), &number) ||
                     tf_number(graph, tf_source(node, 1), &number);
    *limit = (gint64)CLAMP(number, 0, G_MAXINT32);
    return found;
  }
  gboolean found = tf_number(graph, node, &number);
  *limit = (gint64)CLAMP(number, 0, G_MAXINT32);
  return found;
}

/* The threshold by which boxes are taken out before the older suppressions, which have none:
 * Gather(boxes, Where(scores > x)). */
static gboolean
find_filter(const TfGraph *graph, const TfEdge *boxes, double *score)
{
  TfEdge at = *boxes;

  for (guint i = 0; i < 32 && at.node; i++) {
    TfNode *gather = at.node;
    if (tf_is_any(gather, "Gather", "GatherV2", NULL) && gather->n_inputs > 1) {
      TfNode *where = tf_trace(graph, &gather->inputs[1]);
      TfNode *greater = tf_is(where, "Where") ? tf_source(where, 0) : NULL;
      if (tf_is_any(greater, "Greater", "GreaterEqual", NULL) &&
          tf_number(graph, tf_source(greater, 1), score)) {
        return TRUE;
      }
    }
    if (!tf_trace_step(gather, &at)) {
      return FALSE;
    }
  }
  return FALSE;
}

static gboolean
read_thresholds(const TfGraph *graph, TfNode *node, Suppression *s, GError **error)
{
  const InferTf__Attr *iou = tf_attr(node, "iou_threshold");
  double soft = 0;
  gboolean found = TRUE;

  if (tf_is(node, "NonMaxSuppression")) {
    s->iou = iou && iou->has_f ? iou->f : 0.5;
  } else {
    found = tf_number(graph, tf_source(node, 3), &s->iou);
  }
  if (tf_is_any(node, "NonMaxSuppression", "NonMaxSuppressionV2", NULL)) {
    s->score = 0;
    found = found && find_filter(graph, &node->inputs[0], &s->score);
  } else {
    found = found && tf_number(graph, tf_source(node, 4), &s->score);
  }
  if (!found || !find_limit(graph, tf_source(node, 2), &s->per_class) || s->per_class < 1) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "'%s': thresholds and the number of boxes have to be constants",
                    node->def->name);
  }
  if (tf_is(node, "NonMaxSuppressionV5") && tf_number(graph, tf_source(node, 5), &soft) &&
      soft != 0) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "'%s': soft suppression is not supported",
                    node->def->name);
  }
  return TRUE;
}

/* What the loop was given: from an input of a suppression back to the array that is read. */
static gboolean
find_given(const TfGraph *graph, TfNode *node, guint input, TfEdge *given, gboolean *maximum,
           GError **error)
{
  TfNode *read = tf_trace(graph, &node->inputs[input]);

  if (maximum && tf_is(read, "Max") && read->n_inputs > 0) {
    *maximum = TRUE;
    read = tf_trace(graph, &read->inputs[0]);
  }
  return tf_outside(graph, read, given) ||
         tf_error(error, INFER_ERROR_UNSUPPORTED,
                  "'%s' reads '%s' (%s), not an array that a loop over the batch was given",
                  node->def->name, read ? read->def->name : "?", read ? read->def->op : "?");
}

static gboolean
same_edge(const TfEdge *a, const TfEdge *b)
{
  return a->node == b->node && a->port == b->port;
}

static gboolean
read_suppressions(const TfGraph *graph, Suppression *s, GError **error)
{
  *s = (Suppression){.n_nodes = 0};
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *node = &graph->nodes[i];
    if (!is_suppression(node)) {
      continue;
    }
    Suppression one = {.n_nodes = s->n_nodes + 1};
    if (node->n_inputs < 3) {
      return tf_error(error, INFER_ERROR_MODEL, "'%s' has too few inputs", node->def->name);
    }
    if (!read_thresholds(graph, node, &one, error) ||
        !find_given(graph, node, 0, &one.boxes, NULL, error) ||
        !find_given(graph, node, 1, &one.scores, &one.agnostic, error)) {
      return FALSE;
    }
    if (s->n_nodes > 0 &&
        (one.iou != s->iou || one.score != s->score || one.per_class != s->per_class ||
         !same_edge(&one.boxes, &s->boxes) || !same_edge(&one.scores, &s->scores))) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "'%s' differs from the suppressions of other classes; only equal ones are "
                      "supported",
                      node->def->name);
    }
    *s = one;
  }
  return TRUE;
}

/* The number of rows of the result: a part of the shape of what the loop put out, else the limit
 * that counts out the rows which are kept. */
static gboolean
read_total(const TfGraph *graph, Suppression *s, GError **error)
{
  TfEdge edge = {tf_graph_find(graph, detection_names[0]), 0};
  TfNode *gather = tf_trace(graph, &edge);
  const InferTf__Attr *attr =
      tf_is_array_op(gather, "Gather") ? tf_attr(gather, "element_shape") : NULL;

  if (attr && attr->shape && attr->shape->n_dim == 2 && attr->shape->dim[0]->size > 0) {
    s->total = MIN(attr->shape->dim[0]->size, G_MAXINT32);
    return TRUE;
  }
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *node = &graph->nodes[i];
    gint64 limit = 0;
    if (tf_is(node, "Range") && tf_is(tf_source(node, 1), "Minimum") &&
        find_limit(graph, tf_source(node, 1), &limit) && limit > 0) {
      s->total = s->total ? MIN(s->total, limit) : limit;
    }
  }
  return s->total > 0 ||
         tf_error(error, INFER_ERROR_UNSUPPORTED, "how many objects there can be is not known");
}

static gint64
read_class_offset(const TfGraph *graph)
{
  TfEdge edge = {tf_graph_find(graph, detection_names[2]), 0};
  double offset = 0;

  for (guint i = 0; i < 8; i++) {
    TfNode *node = tf_trace(graph, &edge);
    double number = 0;
    if (!tf_is_any(node, "Add", "AddV2", NULL) || node->n_inputs != 2) {
      break;
    }
    guint other = tf_number(graph, node->inputs[1].node, &number) ? 1 : 0;
    if (other == 0 && !tf_number(graph, node->inputs[0].node, &number)) {
      break;
    }
    offset += number;
    edge = node->inputs[1 - other];
  }
  return (gint64)CLAMP(offset, -1e6, 1e6);
}

static gboolean
reads_both(const TfNode *unpack)
{
  gboolean least = FALSE, greatest = FALSE;

  for (guint i = 0; unpack->readers && i < unpack->readers->len; i++) {
    least = least || tf_is(unpack->readers->pdata[i], "Minimum");
    greatest = greatest || tf_is(unpack->readers->pdata[i], "Maximum");
  }
  return least && greatest;
}

/* The window that boxes are cut to: an Unpack whose parts bound the corners from both sides. */
static gboolean
read_window(TfImport *im, gboolean *clip, double window[4], GError **error)
{
  TfEdge edge = {NULL, 0};

  *clip = FALSE;
  for (guint i = 0; i < im->graph->n_nodes && !edge.node; i++) {
    TfNode *node = &im->graph->nodes[i];
    if (tf_is(node, "Unpack") && node->n_inputs == 1 && tf_attr_int(node, "num", 0) == 4 &&
        reads_both(node)) {
      edge = node->inputs[0];
    }
  }
  if (!edge.node) {
    return TRUE;
  }
  tf_outside(im->graph, tf_trace(im->graph, &edge), &edge);
  GError *trouble = NULL;
  InferTensor *tensor = tf_import_value(im, &edge, &trouble);
  if (trouble) {
    g_propagate_error(error, trouble);
    return FALSE;
  }
  g_autoptr(InferArray) value = tensor ? parsers_known(tensor) : NULL;
  if (!value || infer_array_count(value) < 4) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "the window that boxes are cut to ('%s') is not constant",
                    edge.node->def->name);
  }
  for (guint i = 0; i < 4; i++) {
    window[i] = infer_array_get_double(value, i);
    if (window[i] != (i < 2 ? 0 : 1)) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "boxes are cut to a part of the image, which is not supported");
    }
  }
  *clip = TRUE;
  return TRUE;
}

/* [N, A, 1, 4] as [N, A, 4]. */
static InferTensor *
import_codes(TfImport *im, const TfEdge *edge, GError **error)
{
  static const gint64 axis = 2;
  InferTensor *codes = tf_import_value(im, edge, error);

  if (codes && codes->dims.n == 4) {
    return tf_squeeze(im, edge->node, "codes", codes, &axis, 1, error);
  }
  return codes;
}

static InferTensor *
import_anchors(TfImport *im, const TfEdge *edge, GError **error)
{
  InferTensor *anchors = tf_import_value(im, edge, error);
  gint64 count = anchors && anchors->value ? infer_dims_count(&anchors->dims) : 0;

  if (!anchors) {
    return NULL;
  }
  if (count < 4 || anchors->dims.n < 2 || anchors->dims.d[anchors->dims.n - 1] != 4) {
    g_autofree char *text = infer_dims_to_string(&anchors->dims);
    tf_error(error, INFER_ERROR_UNSUPPORTED,
             "the anchors ('%s', %s) are not a constant of "
             "corners",
             edge->node->def->name, text);
    return NULL;
  }
  if (anchors->dims.n == 2) {
    return anchors;
  }
  InferTensor *shape = tf_ints(im, edge->node, "shape", (gint64[]){count / 4, 4}, 2);
  return tf_add2(im, edge->node, "anchors", "Reshape", NULL, anchors, shape, error);
}

static gboolean
check_classes(const Suppression *s, InferTensor *scores, GError **error)
{
  if (scores->dims.n != 3) {
    g_autofree char *text = infer_dims_to_string(&scores->dims);
    return tf_error(error, INFER_ERROR_SHAPE, "the scores are %s, not [N, A, C]", text);
  }
  if (!s->agnostic && scores->dims.d[2] != (gint64)s->n_nodes) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "%u suppressions for %" G_GINT64_FORMAT " classes are not supported",
                    s->n_nodes, scores->dims.d[2]);
  }
  return TRUE;
}

static InferTensor *
threshold_input(TfImport *im, const char *name, double value, GError **error)
{
  g_autoptr(InferArray) array = infer_array_new_float((float)value);

  return infer_network_add_input(im->network, name, INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, array,
                                 error);
}

static gboolean
add_outputs(TfImport *im, const Suppression *s, InferTensor *boxes, InferTensor *scores,
            gboolean clip, const double window[4], GError **error)
{
  InferTensor *in[4] = {boxes, scores, threshold_input(im, "score_threshold", s->score, error)};

  in[3] = in[2] ? threshold_input(im, "iou_threshold", s->iou, error) : NULL;
  if (!in[3]) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("max_per_class", 'i', s->per_class, "max_total", 'i', s->total,
                                    "order", 's', "yx", "class_offset", 'i', s->class_offset,
                                    "class_agnostic", 'i', (gint64)s->agnostic,
                                    clip ? "clip_window" : NULL, 'F', window, (gsize)4, NULL);
  InferNode *node = infer_network_add_node(im->network, "infer.DetectionNMS",
                                           "detection/suppression", in, 4, attrs, 4, error);
  for (guint i = 0; node && i < 4; i++) {
    if (!infer_network_mark_output(im->network, node->outputs[i], detection_names[i], error)) {
      return FALSE;
    }
  }
  return node != NULL;
}

static void
set_info(InferModelInfo *info, gint64 class_offset, gint64 n_classes)
{
  InferDetectionOutputs outputs = {
      .boxes = (char *)detection_names[0],
      .scores = (char *)detection_names[1],
      .classes = (char *)detection_names[2],
      .count = (char *)detection_names[3],
      .yxyx = TRUE,
      .first_class = (gint)class_offset,
      .n_classes = (gint)CLAMP(n_classes, 0, G_MAXINT),
  };

  infer_model_info_set_detections(info, &outputs);
}

/* The outputs as the graph computes them, where there is no loop to be replaced. */
static gboolean
import_plainly(TfImport *im, GError **error)
{
  for (guint i = 0; i < 4; i++) {
    TfEdge edge = {tf_graph_find(im->graph, detection_names[i]), 0};
    g_hash_table_add(im->wanted, edge.node);
    GError *trouble = NULL;
    InferTensor *tensor = tf_import_value(im, &edge, &trouble);
    if (trouble) {
      g_propagate_error(error, trouble);
      return FALSE;
    }
    if (tensor && !infer_network_mark_output(im->network, tensor, detection_names[i], error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
import_suppression(TfImport *im, const Suppression *s, GError **error)
{
  TfBoxCoder coder;
  double window[4] = {0, 0, 1, 1};
  gboolean clip = FALSE;

  if (!tf_box_coder_find(im->graph, &s->boxes, &coder, error)) {
    return FALSE;
  }
  /* All three are tried before giving up, so that all that is not supported is named. */
  InferTensor *codes = import_codes(im, &coder.encodings, error);
  InferTensor *anchors = error && *error ? NULL : import_anchors(im, &coder.anchors, error);
  InferTensor *scores = error && *error ? NULL : tf_import_value(im, &s->scores, error);
  if (!codes || !anchors || !scores || !check_classes(s, scores, error) ||
      !read_window(im, &clip, window, error)) {
    return FALSE;
  }
  GVariant *attrs =
      infer_attrs_new("scales", 'F', coder.scales, (gsize)4, "order", 's', "yx", NULL);
  InferTensor *inputs[2] = {codes, anchors};
  InferNode *decode = infer_network_add_node(im->network, "infer.BoxDecode", "detection/decode",
                                             inputs, 2, attrs, 1, error);
  return decode && add_outputs(im, s, decode->outputs[0], scores, clip, window, error);
}

/* The width of the scores that are suppressed. */
static gint64
count_classes(InferNetwork *network)
{
  const InferTensor *found = infer_network_find_tensor(network, detection_names[1]);
  const InferNode *node = found ? found->producer : NULL;
  const InferTensor *scores = node && node->n_inputs > 1 ? node->inputs[1] : NULL;

  return scores && scores->dims.n == 3 ? scores->dims.d[2] : 0;
}

gboolean
tf_detection_outputs(TfImport *im, InferModelInfo *info, GError **error)
{
  Suppression s;

  if (!read_suppressions(im->graph, &s, error)) {
    return FALSE;
  }
  if (s.n_nodes == 0) {
    set_info(info, read_class_offset(im->graph), 0);
    return import_plainly(im, error);
  }
  if (!read_total(im->graph, &s, error)) {
    return FALSE;
  }
  s.class_offset = read_class_offset(im->graph);
  if (!import_suppression(im, &s, error)) {
    return FALSE;
  }
  set_info(info, s.class_offset, count_classes(im->network));
  return TRUE;
}
