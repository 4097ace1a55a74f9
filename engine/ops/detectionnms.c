/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"
#include "nms-core.h"

#include <math.h>

extern const InferOp *const infer_ops_detectionnms[];

/*
 * "infer.DetectionNMS": the detections of an image from the boxes and scores of a detector, with
 * the semantics of TensorFlow's Object Detection API; see nms-core.h.
 *
 * Inputs: boxes [N, A, 4], [N, A, 1, 4] or [N, A, C, 4], scores [N, A, C], score_threshold and
 * iou_threshold, one float each. Outputs: boxes [N, K, 4], scores [N, K], classes [N, K] and
 * count [N], all float; K is "max_total". The corners stay in the order that they have, which
 * "order" says to whoever reads the result.
 */

static gboolean
nms_limit(const InferNode *node, const char *name, gsize *value, GError **error)
{
  gint64 v = infer_node_get_int(node, name, 0);
  *value = (gsize)v;
  if (v < 1 || v > G_MAXINT32)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%s is %" G_GINT64_FORMAT ", it must be between 1 and %d", name, v,
                          G_MAXINT32);
  return TRUE;
}

static gboolean
nms_window(const InferNode *node, InferNms *nms, GError **error)
{
  gsize n = 0;
  const double *window = infer_node_get_floats(node, "clip_window", &n);
  nms->clip = infer_node_has_attr(node, "clip_window");
  if (!nms->clip)
    return TRUE;
  if (n != 4)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "clip_window has %" G_GSIZE_FORMAT " values, 4 are needed", n);
  for (guint i = 0; i < 4; i++) {
    nms->window[i] = (float)window[i];
    if (isnan(nms->window[i]) || (i >= 2 && nms->window[i] < nms->window[i - 2]))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "clip_window %g %g %g %g is not two corners, the lower one first",
                            window[0], window[1], window[2], window[3]);
  }
  return TRUE;
}

static gboolean
nms_params(const InferNode *node, InferNms *nms, GError **error)
{
  const char *order = infer_node_get_string(node, "order", "yx");
  memset(nms, 0, sizeof *nms);
  if (!g_str_equal(order, "yx") && !g_str_equal(order, "xy"))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "order '%s' is neither yx nor xy",
                          order);
  nms->background = infer_node_get_int(node, "background", -1);
  nms->class_offset = infer_node_get_int(node, "class_offset", 0);
  nms->agnostic = infer_node_get_int(node, "class_agnostic", 0) != 0;
  if (ABS(CLAMP(nms->class_offset, -G_MAXINT32, G_MAXINT32)) == G_MAXINT32)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "class_offset is %" G_GINT64_FORMAT ", which no class can have",
                          nms->class_offset);
  return nms_limit(node, "max_per_class", &nms->max_per_class, error) &&
         nms_limit(node, "max_total", &nms->max_total, error) && nms_window(node, nms, error);
}

static gboolean
fits(gint64 a, gint64 b)
{
  return a < 0 || b < 0 || a == b;
}

/* Checks the operands and takes the sizes over where they are numbers. */
static gboolean
nms_dims(const InferNode *node, const InferDims *boxes, const InferDims *scores, InferNms *nms,
         gint64 *batch, GError **error)
{
  gint last = boxes->n - 1;
  gboolean good = scores->n < 0 || scores->n == 3;
  *batch = scores->n == 3 ? scores->d[0] : INFER_DIM_UNKNOWN;
  if (boxes->n >= 0) {
    good = good && (boxes->n == 3 || boxes->n == 4) && fits(boxes->d[last], 4);
    for (gint i = 0; good && scores->n == 3 && i < 2; i++)
      good = fits(boxes->d[i], scores->d[i]);
    if (good && boxes->n == 4 && scores->n == 3 && boxes->d[2] != 1)
      good = fits(boxes->d[2], scores->d[2]);
    if (good && *batch < 0 && boxes->d[0] != INFER_DIM_UNKNOWN)
      *batch = boxes->d[0] >= 0 || *batch == INFER_DIM_UNKNOWN ? boxes->d[0] : *batch;
  }
  if (good && scores->n == 3 && (scores->d[1] > G_MAXINT32 || scores->d[2] > G_MAXINT32))
    good = FALSE;
  if (!good) {
    g_autofree char *left = infer_dims_to_string(boxes);
    g_autofree char *right = infer_dims_to_string(scores);
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "boxes of %s and scores of %s are not [N, A, 1 or C, 4] or [N, A, 4], "
                          "and [N, A, C]",
                          left, right);
  }
  if (scores->n == 3 && boxes->n >= 3) {
    nms->n_boxes = (gsize)MAX(scores->d[1], 0);
    nms->n_classes = (gsize)MAX(scores->d[2], 0);
    nms->box_classes = boxes->n == 4 ? (gsize)MAX(boxes->d[2], 0) : 1;
  }
  return TRUE;
}

static gboolean
nms_infer(InferShapeArgs *args, GError **error)
{
  InferNms nms;
  gint64 batch;
  for (guint i = 0; i < 4; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  for (guint i = 2; i < 4; i++)
    for (gint k = 0; k < args->in[i].dims.n; k++)
      if (args->in[i].dims.d[k] >= 0 && args->in[i].dims.d[k] != 1)
        return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                              "the threshold of input %u is not a scalar", i);
  if (!nms_params(args->node, &nms, error) ||
      !nms_dims(args->node, &args->in[0].dims, &args->in[1].dims, &nms, &batch, error))
    return FALSE;
  gint64 k = (gint64)nms.max_total;
  return data_set(args, 0, INFER_TYPE_FLOAT, &INFER_DIMS(batch, k, 4), error) &&
         data_set(args, 1, INFER_TYPE_FLOAT, &INFER_DIMS(batch, k), error) &&
         data_set(args, 2, INFER_TYPE_FLOAT, &INFER_DIMS(batch, k), error) &&
         data_set(args, 3, INFER_TYPE_FLOAT, &INFER_DIMS(batch), error);
}

static gsize
nms_scratch(const InferShapeArgs *args)
{
  InferNms nms;
  gint64 batch;
  if (!nms_params(args->node, &nms, NULL) ||
      !nms_dims(args->node, &args->in[0].dims, &args->in[1].dims, &nms, &batch, NULL))
    return 0;
  return infer_nms_scratch(&nms);
}

static gboolean
nms_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *boxes = args->in[0], *scores = args->in[1];
  InferNms nms;
  gint64 batch;
  if (!nms_params(args->node, &nms, error) ||
      !nms_dims(args->node, &boxes->dims, &scores->dims, &nms, &batch, error))
    return FALSE;
  for (guint i = 2; i < 4; i++)
    if (infer_array_count(args->in[i]) != 1)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "the threshold of input %u is not a scalar", i);
  gint64 k = (gint64)nms.max_total;
  const InferDims dims[4] = {INFER_DIMS(batch, k, 4), INFER_DIMS(batch, k), INFER_DIMS(batch, k),
                             INFER_DIMS(batch)};
  float *out[4];
  for (guint i = 0; i < 4; i++) {
    InferArray *array = data_output(args, i, INFER_TYPE_FLOAT, &dims[i], error);
    if (!array)
      return FALSE;
    out[i] = array->data;
  }
  g_autofree void *own = NULL;
  void *scratch = args->scratch;
  gsize need = infer_nms_scratch(&nms);
  if (!scratch && need > 0) {
    /* Sizes that were not known beforehand. */
    scratch = own = g_try_malloc(need);
    if (!scratch)
      return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                            "%" G_GSIZE_FORMAT " bytes of scratch cannot be had", need);
  }
  const float *box = boxes->data, *score = scores->data;
  float score_threshold = *(const float *)args->in[2]->data;
  float iou_threshold = *(const float *)args->in[3]->data;
  for (gint64 i = 0; i < batch; i++) {
    out[3][i] = (float)infer_nms_run(&nms, box, score, score_threshold, iou_threshold, scratch,
                                     out[0] + i * k * 4, out[1] + i * k, out[2] + i * k);
    box += nms.n_boxes * nms.box_classes * 4;
    score += nms.n_boxes * nms.n_classes;
  }
  return TRUE;
}

static const InferAttrSpec nms_attrs[] = {
    {"max_per_class", 'i', TRUE},   {"max_total", 'i', TRUE},   {"order", 's', FALSE},
    {"clip_window", 'F', FALSE},    {"background", 'i', FALSE}, {"class_offset", 'i', FALSE},
    {"class_agnostic", 'i', FALSE}, {NULL, 0, FALSE},
};

static const InferOp detection_nms = {
    .name = "infer.DetectionNMS",
    .version = 1,
    .min_inputs = 4,
    .max_inputs = 4,
    .min_outputs = 4,
    .max_outputs = 4,
    .attrs = nms_attrs,
    .infer = nms_infer,
    .scratch = nms_scratch,
    .eval = nms_eval,
};

const InferOp *const infer_ops_detectionnms[] = {&detection_nms, NULL};
