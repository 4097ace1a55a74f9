/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_yolodecode[];

/*
 * "infer.YoloDecode": boxes and scores from one raw output of a YOLO network with anchors.
 *
 * Input: [N, A * (5 + C), H, W]; per anchor x, y, width, height, objectness and C classes. Outputs:
 * boxes [N, A * H * W, 4] as corners x1, y1, x2, y2 in pixels of the network's input, and scores
 * [N, A * H * W, C], objectness times class. "anchors" are pairs of width and height in such
 * pixels, "stride" is the pixels of a cell. With s = "scale_x_y":
 *
 *   centre = (sigmoid(t) * s - (s - 1) / 2 + cell) * stride
 *   size   = anchor * exp(t)                 version 3 (Redmon and Farhadi 2018), s is 1, and
 *                                            version 4 (Bochkovskiy et al. 2020), s is 1.05
 *   size   = anchor * (2 * sigmoid(t))^2     version 5, s is 2
 */

typedef struct {
  const double *anchors;
  gint64 n_anchors, classes, stride;
  double scale;
  gboolean squared;
} Yolo;

static gboolean
yolo_params(const InferNode *node, Yolo *yolo, GError **error)
{
  gint64 version = infer_node_get_int(node, "version", 3);
  gsize n = 0;
  yolo->anchors = infer_node_get_floats(node, "anchors", &n);
  yolo->n_anchors = (gint64)n / 2;
  yolo->stride = infer_node_get_int(node, "stride", 0);
  yolo->squared = version == 5;
  yolo->classes = INFER_DIM_UNKNOWN;
  yolo->scale = infer_node_get_float(node, "scale_x_y", version == 3 ? 1 : version == 4 ? 1.05 : 2);
  if (n == 0 || n % 2 != 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "anchors has %" G_GSIZE_FORMAT " values, pairs are needed", n);
  if (version < 3 || version > 5)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "version is %" G_GINT64_FORMAT ", it must be 3, 4 or 5", version);
  if (yolo->stride < 1 || yolo->stride > G_MAXINT16)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "stride is %" G_GINT64_FORMAT,
                          yolo->stride);
  return isfinite(yolo->scale) ||
         infer_op_error(node, error, INFER_ERROR_ARGUMENT, "scale_x_y is %g", yolo->scale);
}

static gboolean
yolo_dims(const InferNode *node, const InferDims *in, Yolo *yolo, InferDims *boxes,
          InferDims *scores, GError **error)
{
  gint64 cells = in->n == 4 ? data_product(in, 2, 4) : INFER_DIM_UNKNOWN;
  gint64 channels = in->n == 4 ? in->d[1] : INFER_DIM_UNKNOWN;
  gint64 rows = INFER_DIM_UNKNOWN;
  if (in->n >= 0 && (in->n != 4 || (channels >= 0 && (channels % yolo->n_anchors != 0 ||
                                                      channels / yolo->n_anchors < 6)))) {
    g_autofree char *text = infer_dims_to_string(in);
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "an input of %s is not [N, A * (5 + C), H, W] with %" G_GINT64_FORMAT
                          " anchors",
                          text, yolo->n_anchors);
  }
  if (cells >= 0 && __builtin_mul_overflow(cells, yolo->n_anchors, &rows))
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "the output has too many boxes");
  if (cells < 0 && yolo->n_anchors == 1)
    rows = cells;
  if (channels >= 0)
    yolo->classes = channels / yolo->n_anchors - 5;
  gint64 batch = in->n == 4 ? in->d[0] : INFER_DIM_UNKNOWN;
  *boxes = INFER_DIMS(batch, rows, 4);
  *scores = INFER_DIMS(batch, rows, yolo->classes);
  return TRUE;
}

static gboolean
yolo_infer(InferShapeArgs *args, GError **error)
{
  Yolo yolo;
  InferDims boxes, scores;
  return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED) &&
         yolo_params(args->node, &yolo, error) &&
         yolo_dims(args->node, &args->in[0].dims, &yolo, &boxes, &scores, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &boxes, error) &&
         data_set(args, 1, INFER_TYPE_FLOAT, &scores, error);
}

static float
sigmoid(float x)
{
  return 1 / (1 + expf(-x));
}

/* The values of a cell lie @step apart. */
static void
yolo_cell(const Yolo *yolo, const float *in, gint64 step, const double *anchor, gint64 x, gint64 y,
          float *box, float *scores)
{
  const gint64 cell[2] = {x, y};
  float s = (float)yolo->scale, objectness = sigmoid(in[4 * step]);
  for (guint i = 0; i < 2; i++) {
    float t = in[(i + 2) * step], twice = 2 * sigmoid(t);
    float centre = sigmoid(in[i * step]) * s - (s - 1) / 2 + (float)cell[i];
    float size = (float)anchor[i] * (yolo->squared ? twice * twice : expf(t));
    box[i] = centre * (float)yolo->stride - size / 2;
    box[i + 2] = centre * (float)yolo->stride + size / 2;
  }
  for (gint64 c = 0; c < yolo->classes; c++)
    scores[c] = objectness * sigmoid(in[(5 + c) * step]);
}

static gboolean
yolo_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  Yolo yolo;
  InferDims box_dims, score_dims;
  if (!yolo_params(args->node, &yolo, error) ||
      !yolo_dims(args->node, &in->dims, &yolo, &box_dims, &score_dims, error))
    return FALSE;
  InferArray *boxes = data_output(args, 0, INFER_TYPE_FLOAT, &box_dims, error);
  InferArray *scores = boxes ? data_output(args, 1, INFER_TYPE_FLOAT, &score_dims, error) : NULL;
  if (!scores)
    return FALSE;
  gint64 height = in->dims.d[2], width = in->dims.d[3], cells = height * width;
  const float *from = in->data;
  float *box = boxes->data, *score = scores->data;
  for (gint64 i = 0; i < in->dims.d[0] * yolo.n_anchors; i++) {
    const double *anchor = yolo.anchors + 2 * (i % yolo.n_anchors);
    for (gint64 k = 0; k < cells; k++, box += 4, score += yolo.classes)
      yolo_cell(&yolo, from + k, cells, anchor, k % width, k / width, box, score);
    from += (5 + yolo.classes) * cells;
  }
  return TRUE;
}

static const InferAttrSpec yolo_attrs[] = {{"anchors", 'F', TRUE},
                                           {"stride", 'i', TRUE},
                                           {"version", 'i', FALSE},
                                           {"scale_x_y", 'f', FALSE},
                                           {NULL, 0, FALSE}};

static const InferOp yolo_decode = {
    .name = "infer.YoloDecode",
    .version = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 2,
    .max_outputs = 2,
    .attrs = yolo_attrs,
    .infer = yolo_infer,
    .eval = yolo_eval,
};

const InferOp *const infer_ops_yolodecode[] = {&yolo_decode, NULL};
