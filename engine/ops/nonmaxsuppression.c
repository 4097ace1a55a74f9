/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nms-core.h"
#include "number.h"

extern const InferOp *const infer_ops_nonmaxsuppression[];

/* ONNX's NonMaxSuppression: as many rows as boxes are left. What has to have a fixed size takes
 * infer.DetectionNMS. */

typedef struct {
  gint64 batches, classes, boxes;
  gint64 limit; /* most boxes of a class */
  gboolean centre, filter;
  float iou, score;
  guint64 *heap;
  InferNmsBox *kept;
} Suppress;

static gboolean
check_dims(const InferNode *node, const InferDims *boxes, const InferDims *scores, GError **error)
{
  gboolean good = (boxes->n < 0 || (boxes->n == 3 && number_fits(boxes->d[2], 4))) &&
                  (scores->n < 0 || scores->n == 3);
  if (good && boxes->n == 3 && scores->n == 3)
    good = number_fits(boxes->d[0], scores->d[0]) && number_fits(boxes->d[1], scores->d[2]);
  if (good && scores->n == 3)
    good = scores->d[2] <= G_MAXINT32;
  if (good)
    return TRUE;
  g_autofree char *a = infer_dims_to_string(boxes);
  g_autofree char *b = infer_dims_to_string(scores);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "boxes of %s and scores of %s are not [N, A, 4] and [N, C, A]", a, b);
}

static gboolean
box_format(const InferNode *node, gboolean *centre, GError **error)
{
  gint64 format = infer_node_get_int(node, "center_point_box", 0);
  *centre = format == 1;
  return format == 0 || format == 1 ||
         infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "center_point_box is %" G_GINT64_FORMAT ", it must be 0 or 1", format);
}

static gboolean
suppress_infer(InferShapeArgs *args, GError **error)
{
  gboolean centre;
  if (!box_format(args->node, &centre, error))
    return FALSE;
  for (guint i = 0; i < 5; i++) {
    if (i >= 2 && !data_present(args, i))
      continue;
    if (!data_require(args, i, error) ||
        !infer_op_require_type(args, i, error, i == 2 ? INFER_TYPE_INT64 : INFER_TYPE_FLOAT,
                               INFER_TYPE_UNDEFINED) ||
        (i >= 2 && !number_require_scalar(args, i, error)))
      return FALSE;
  }
  return check_dims(args->node, &args->in[0].dims, &args->in[1].dims, error) &&
         data_set(args, 0, INFER_TYPE_INT64, &INFER_DIMS(INFER_DIM_UNKNOWN, 3), error);
}

static InferNmsBox
box_at(const Suppress *s, const float *boxes, gint64 index)
{
  const float *b = boxes + 4 * index;
  if (!s->centre)
    return infer_nms_box(b);
  const float corners[4] = {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
  return infer_nms_box(corners);
}

/* The boxes of one class that are left, best first, in the numbers at @out. */
static gint64
one_class(const Suppress *s, const float *boxes, const float *scores, gint64 batch, gint64 class,
          gint64 *out)
{
  gsize n = 0;
  gint64 kept = 0;
  for (gint64 i = 0; i < s->boxes; i++)
    if (s->filter ? scores[i] > s->score : scores[i] == scores[i])
      s->heap[n++] = infer_nms_pack(scores[i], (guint32)i);
  for (gsize at = n / 2; at-- > 0;)
    infer_nms_sift(s->heap, n, at);
  while (n > 0 && kept < s->limit) {
    guint32 index = (guint32)s->heap[0];
    InferNmsBox box = box_at(s, boxes, index);
    s->heap[0] = s->heap[--n];
    if (n > 0)
      infer_nms_sift(s->heap, n, 0);
    gint64 k = 0;
    while (k < kept && !(infer_nms_iou(&s->kept[k], &box) > s->iou))
      k++;
    if (k < kept)
      continue;
    s->kept[kept] = box;
    out[3 * kept] = batch;
    out[3 * kept + 1] = class;
    out[3 * kept + 2] = index;
    kept++;
  }
  return kept;
}

static gboolean
read_inputs(const InferEvalArgs *args, Suppress *s, GError **error)
{
  const InferArray *limit = data_array(args, 2), *iou = data_array(args, 3);
  const InferArray *score = data_array(args, 4), *scores = args->in[1];
  memset(s, 0, sizeof *s);
  for (guint i = 2; i < 5; i++)
    if (data_array(args, i) && infer_array_count(args->in[i]) != 1)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u must be one element",
                            i);
  if (!box_format(args->node, &s->centre, error) ||
      !check_dims(args->node, &args->in[0]->dims, &scores->dims, error))
    return FALSE;
  s->batches = scores->dims.d[0];
  s->classes = scores->dims.d[1];
  s->boxes = scores->dims.d[2];
  s->limit = CLAMP(limit ? infer_array_get_int(limit, 0) : 0, 0, s->boxes);
  s->filter = score != NULL;
  s->score = score ? *(const float *)score->data : 0;
  s->iou = iou ? *(const float *)iou->data : 0;
  return TRUE;
}

static gboolean
suppress_eval(const InferEvalArgs *args, GError **error)
{
  Suppress s;
  gint64 most = 0, n = 0;
  if (!read_inputs(args, &s, error))
    return FALSE;
  gboolean fits = !__builtin_mul_overflow(s.batches, s.classes, &most) &&
                  !__builtin_mul_overflow(most, 3 * s.limit, &most);
  g_autofree gint64 *rows = fits ? g_try_new(gint64, (gsize)MAX(most, 1)) : NULL;
  g_autofree guint64 *heap = g_try_new(guint64, (gsize)MAX(s.boxes, 1));
  g_autofree InferNmsBox *kept = g_try_new(InferNmsBox, (gsize)MAX(s.limit, 1));
  if (!rows || !heap || !kept)
    return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                          "no memory for up to %" G_GINT64_FORMAT " boxes of a class; lower "
                          "max_output_boxes_per_class",
                          s.limit);
  s.heap = heap;
  s.kept = kept;
  for (gint64 b = 0; b < s.batches; b++)
    for (gint64 c = 0; c < s.classes && s.limit > 0; c++)
      n += one_class(&s, (const float *)args->in[0]->data + b * s.boxes * 4,
                     (const float *)args->in[1]->data + (b * s.classes + c) * s.boxes, b, c,
                     rows + 3 * n);
  InferArray *out = data_output(args, 0, INFER_TYPE_INT64, &INFER_DIMS(n, 3), error);
  if (!out)
    return FALSE;
  memcpy(out->data, rows, out->size);
  return TRUE;
}

static const InferAttrSpec suppress_attrs[] = {{"center_point_box", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp suppression = {
    .name = "NonMaxSuppression",
    .version = 11,
    .min_inputs = 2,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = suppress_attrs,
    .infer = suppress_infer,
    .eval = suppress_eval,
};

const InferOp *const infer_ops_nonmaxsuppression[] = {&suppression, NULL};
