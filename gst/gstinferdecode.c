/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include "gstinferanalytics.h"
#include "gstinfermodel-private.h"

/* @wanted below 0 puts the default back. */
static void
set_scalar(GstInferContext *self, const gchar *name, gdouble initial, gdouble wanted, gdouble *last)
{
  if (isnan(initial))
    return;
  if (!(wanted >= 0))
    wanted = initial;
  if (wanted != *last && infer_context_set_scalar(self->context, name, wanted))
    *last = wanted;
}

gdouble
gst_infer_model_effective_score(const GstInferModel *self, gdouble score)
{
  return score >= 0 ? score : self->score;
}

static gboolean
view_output(GstInferModel *self, GstInferContext *context, guint index, GError **error)
{
  const gchar *name = self->outputs[index];
  InferArray *view = &context->views[index];

  view->type = infer_engine_find_binding(self->engine, name)->type;
  view->data = infer_context_map(context->context, name, &view->size, error);
  return view->data && infer_context_get_dims(context->context, name, &view->dims, error);
}

gboolean
gst_infer_model_preprocess(GstInferModel *self, guint index, const InferFrame *frames, guint n,
                           InferPlacement *placements, gdouble score, gdouble iou, GError **error)
{
  GstInferContext *context = &self->contexts[index];
  gboolean ok;

  if (!infer_context_set_batch(context->context, n, error))
    return FALSE;
  set_scalar(context, GST_INFER_SCORE_INPUT, self->score_default,
             gst_infer_model_effective_score(self, score), &context->score_set);
  set_scalar(context, GST_INFER_IOU_INPUT, self->iou_default, iou, &context->iou_set);
  ok = infer_context_enqueue_frames(context->context, frames, n, placements, error);
  /* Frames may not be unmapped while work that reads them is under way, also after an error. */
  return infer_context_synchronize(context->context, ok ? error : NULL) && ok;
}

gboolean
gst_infer_model_infer(GstInferModel *self, guint index, GError **error)
{
  GstInferContext *context = &self->contexts[index];
  gboolean ok = infer_context_run(context->context, error);

  for (guint i = 0; ok && i < self->n_outputs; i++)
    ok = view_output(self, context, i, error);
  return ok;
}

/* Objects that a row can hold, by the dimensions of the outputs. */
static gsize
capacity(const InferArray *views, guint row)
{
  const InferArray *boxes = &views[GST_INFER_OUTPUT_BOXES];
  const InferArray *scores = &views[GST_INFER_OUTPUT_SCORES];
  const InferArray *classes = &views[GST_INFER_OUTPUT_CLASSES];
  const gint64 k = boxes->dims.d[1];

  if (boxes->dims.d[2] != 4 || k < 0 || scores->dims.d[1] != k || classes->dims.d[1] != k ||
      row >= boxes->dims.d[0] || row >= scores->dims.d[0] || row >= classes->dims.d[0] ||
      row >= views[GST_INFER_OUTPUT_COUNT].dims.d[0])
    return 0;
  return (gsize)k;
}

/* Edges in pixels of the frame, clipped; FALSE for what is empty or no number. */
static gboolean
place_box(const GstInferModel *self, const InferArray *boxes, gsize box,
          const InferPlacement *place, guint width, guint height, GstInferObject *object)
{
  const guint swap = infer_model_info_get_detections(self->info)->yxyx ? 1 : 0;
  gdouble edges[4];

  for (guint i = 0; i < 4; i++) {
    const gboolean is_y = (i + swap) % 2 == 1;
    const gdouble value = infer_array_get_double(boxes, 4 * box + i);
    const gdouble pixel = is_y ? (value * self->height - place->offset_y) / place->scale_y
                               : (value * self->width - place->offset_x) / place->scale_x;
    if (!isfinite(pixel))
      return FALSE;
    edges[i] = CLAMP(pixel, 0, is_y ? height : width);
  }
  object->x = edges[swap];
  object->y = edges[1 - swap];
  object->w = edges[2 + swap] - edges[swap];
  object->h = edges[3 - swap] - edges[1 - swap];
  return object->w > 0 && object->h > 0;
}

static void
set_class(const GstInferModel *self, gdouble value, GstInferObject *object)
{
  const gint first = infer_model_info_get_detections(self->info)->first_class;
  const gdouble label = value - first;

  object->label_id = -1;
  if (!(label >= 0 && label < G_MAXINT))
    return;
  object->label_id = (gint)label;
  if ((guint)object->label_id < self->n_labels)
    object->label = self->labels[object->label_id];
}

/* In JSON each attribute has its name. */
static GstStructure *
class_structure(const GstInferModel *self, const GstInferObject *one, gsize rank, gdouble score)
{
  g_autofree gchar *name = rank == 0 ? g_strdup("classification")
                                     : g_strdup_printf("classification_%" G_GSIZE_FORMAT, rank + 1);

  return gst_structure_new(name, "label", G_TYPE_STRING,
                           one->label ? g_quark_to_string(one->label) : "", "label_id", G_TYPE_INT,
                           one->label_id, "confidence", G_TYPE_DOUBLE, MIN(score, 1), "model_name",
                           G_TYPE_STRING, self->name, NULL);
}

/* One object as large as the frame, of the best class; the others of the best are its parameters.
 */
static gboolean
decode_classes(GstInferModel *self, const InferArray *views, guint row, guint width, guint height,
               gdouble threshold, GArray *objects)
{
  const InferArray *scores = &views[GST_INFER_OUTPUT_TOP_SCORES];
  const InferArray *classes = &views[GST_INFER_OUTPUT_TOP_CLASSES];
  const gint64 k = scores->dims.d[1];
  GstInferObject object = {.id = -1, .parent_id = -1, .w = width, .h = height};

  if (k < 1 || classes->dims.d[1] != k || row >= scores->dims.d[0] || row >= classes->dims.d[0])
    return FALSE;
  for (gsize i = row * (gsize)k; i < (row + 1) * (gsize)k; i++) {
    const gdouble score = infer_array_get_double(scores, i);
    GstInferObject one = {.label_id = -1};

    if (!(score >= threshold))
      break;
    set_class(self, infer_array_get_double(classes, i), &one);
    if (i == row * (gsize)k) {
      object.label_id = one.label_id;
      object.label = one.label;
      object.confidence = MIN(score, 1);
    }
    object.params =
        g_list_append(object.params, class_structure(self, &one, i - row * (gsize)k, score));
  }
  if (object.params)
    g_array_append_val(objects, object);
  return TRUE;
}

static gboolean
decode_boxes(GstInferModel *self, const InferArray *views, guint row,
             const InferPlacement *placement, guint width, guint height, gdouble threshold,
             GArray *objects)
{
  const gsize k = capacity(views, row);
  gdouble count;
  gboolean ok;

  if (k == 0)
    return views[GST_INFER_OUTPUT_BOXES].dims.d[1] == 0;
  count = infer_array_get_double(&views[GST_INFER_OUTPUT_COUNT], row);
  ok = count >= 0 && count <= (gdouble)k;
  if (!ok)
    count = count > (gdouble)k ? (gdouble)k : 0;
  for (gsize i = row * k; i < row * k + (gsize)count; i++) {
    GstInferObject object = {.id = -1, .parent_id = -1};
    const gdouble confidence = infer_array_get_double(&views[GST_INFER_OUTPUT_SCORES], i);

    if (!(confidence >= threshold))
      continue;
    object.confidence = MIN(confidence, 1);
    set_class(self, infer_array_get_double(&views[GST_INFER_OUTPUT_CLASSES], i), &object);
    if (place_box(self, &views[GST_INFER_OUTPUT_BOXES], i, placement, width, height, &object))
      g_array_append_val(objects, object);
  }
  return ok;
}

gboolean
gst_infer_model_decode(GstInferModel *self, guint index, guint row, const InferPlacement *placement,
                       guint width, guint height, gdouble score, GArray *objects)
{
  const InferArray *views = self->contexts[index].views;
  const gdouble threshold = gst_infer_model_effective_score(self, score);

  g_array_set_size(objects, 0);
  switch (self->decoder) {
  case INFER_DECODER_DETECTIONS:
    return decode_boxes(self, views, row, placement, width, height, threshold, objects);
  case INFER_DECODER_CLASSIFICATION:
    return decode_classes(self, views, row, width, height, threshold, objects);
  default:
    return TRUE;
  }
}

void
gst_infer_model_attach_tensors(GstInferModel *self, guint index, guint row, GstBuffer *buffer)
{
  GstInferTensor tensors[GST_INFER_MAX_OUTPUTS];
  guint n = 0;

  for (guint i = 0; i < self->n_outputs; i++) {
    const InferArray *view = &self->contexts[index].views[i];
    const gsize rows = view->dims.n > 0 ? (gsize)MAX(view->dims.d[0], 0) : 0;
    GstInferTensor *tensor = &tensors[n];

    if (row >= rows || view->dims.n > (gint)G_N_ELEMENTS(tensor->dims))
      continue;
    *tensor = (GstInferTensor){.name = self->outputs[i],
                               .type = infer_type_name(view->type),
                               .n_dims = (guint)view->dims.n,
                               .data = (const guint8 *)view->data + row * (view->size / rows),
                               .size = view->size / rows};
    tensor->dims[0] = 1;
    for (gint k = 1; k < view->dims.n; k++)
      tensor->dims[k] = (gsize)view->dims.d[k];
    n++;
  }
  gst_infer_tensors_add(buffer, tensors, n);
}
