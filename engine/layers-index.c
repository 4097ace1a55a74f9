/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

/* Layers that pick elements by number, by position or by rank. */

InferNode *
infer_network_add_top_k(InferNetwork *network, InferTensor *input, InferTopK operation, gint64 k,
                        gint64 axis, const char *name, GError **error)
{
  INFER_LAYER("top-k");
  InferTensor *inputs[2] = {input};

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation, 2))
    return NULL;
  inputs[1] = infer_layer_ints(&layer, &k, 1);
  return infer_layer_node(
      &layer, "TopK", inputs, 2,
      INFER_ATTRS(INFER_INT("axis", axis), INFER_INT("largest", operation == INFER_TOP_K_MAX)), 2);
}

InferTensor *
infer_network_add_gather(InferNetwork *network, InferTensor *data, InferTensor *indices,
                         InferGatherMode mode, gint64 axis, gint64 batch_dims, const char *name,
                         GError **error)
{
  INFER_LAYER("gather");
  GVariant *attrs;

  if (!infer_layer_needs(&layer, data, indices, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "mode", (int)mode, 3))
    return NULL;
  if (mode != INFER_GATHER_MODE_ND && batch_dims != 0) {
    infer_layer_error(&layer, INFER_ERROR_ARGUMENT,
                      "only the mode ND has dimensions in common, %" G_GINT64_FORMAT
                      " are asked for",
                      batch_dims);
    return NULL;
  }
  if (mode == INFER_GATHER_MODE_ND) {
    if (indices->type == INFER_TYPE_INT32)
      indices = INFER_PART("Cast", INFER_ATTRS(INFER_INT("to", INFER_TYPE_INT64)), indices);
    attrs = INFER_ATTRS(INFER_INT("batch_dims", batch_dims));
    return INFER_LAST("GatherND", attrs, data, indices);
  }
  attrs = INFER_ATTRS(INFER_INT("axis", axis));
  return INFER_LAST(mode == INFER_GATHER_MODE_ELEMENT ? "GatherElements" : "Gather", attrs, data,
                    indices);
}

InferTensor *
infer_network_add_scatter(InferNetwork *network, InferTensor *data, InferTensor *indices,
                          InferTensor *updates, InferScatterMode mode, gint64 axis,
                          const char *name, GError **error)
{
  INFER_LAYER("scatter");

  if (!infer_layer_needs(&layer, data, indices, updates, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "mode", (int)mode, 2))
    return NULL;
  if (mode == INFER_SCATTER_MODE_ND)
    return INFER_LAST("ScatterND", NULL, data, indices, updates);
  return INFER_LAST("ScatterElements", INFER_ATTRS(INFER_INT("axis", axis)), data, indices,
                    updates);
}

InferTensor *
infer_network_add_one_hot(InferNetwork *network, InferTensor *indices, InferTensor *values,
                          InferTensor *depth, gint64 axis, const char *name, GError **error)
{
  INFER_LAYER("one-hot");

  if (!infer_layer_needs(&layer, indices, values, depth, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("OneHot", INFER_ATTRS(INFER_INT("axis", axis)), indices, depth, values);
}

InferTensor *
infer_network_add_non_zero(InferNetwork *network, InferTensor *input, const char *name,
                           GError **error)
{
  INFER_LAYER("non-zero");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("NonZero", NULL, input);
}

InferTensor *
infer_network_add_grid_sample(InferNetwork *network, InferTensor *input, InferTensor *grid,
                              InferResizeMode interpolation, InferSampleMode mode,
                              gboolean align_corners, const char *name, GError **error)
{
  INFER_LAYER("grid sample");
  static const char *const modes[] = {[INFER_RESIZE_MODE_NEAREST] = "nearest",
                                      [INFER_RESIZE_MODE_LINEAR] = "linear",
                                      [INFER_RESIZE_MODE_CUBIC] = "cubic"};
  const char *outside = mode == INFER_SAMPLE_MODE_FILL      ? "zeros"
                        : mode == INFER_SAMPLE_MODE_CLAMP   ? "border"
                        : mode == INFER_SAMPLE_MODE_REFLECT ? "reflection"
                                                            : NULL;

  if (!infer_layer_needs(&layer, input, grid, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "interpolation", (int)interpolation, G_N_ELEMENTS(modes)))
    return NULL;
  if (!outside) {
    infer_layer_error(&layer, INFER_ERROR_ARGUMENT,
                      "sample mode %d is neither fill, clamp nor reflect", (int)mode);
    return NULL;
  }
  return INFER_LAST("GridSample",
                    infer_attrs_new("mode", 's', modes[interpolation], "padding_mode", 's', outside,
                                    "align_corners", 'i', (gint64)(align_corners != FALSE), NULL),
                    input, grid);
}

InferTensor *
infer_network_add_nms(InferNetwork *network, InferTensor *boxes, InferTensor *scores,
                      gint64 max_per_class, double iou_threshold, double score_threshold,
                      gboolean center_format, const char *name, GError **error)
{
  INFER_LAYER("nms");

  if (!infer_layer_needs(&layer, boxes, scores, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("NonMaxSuppression",
                    INFER_ATTRS(INFER_INT("center_point_box", center_format != FALSE)), boxes,
                    scores, infer_layer_ints(&layer, &max_per_class, 1),
                    infer_layer_number(&layer, INFER_TYPE_FLOAT, iou_threshold),
                    infer_layer_number(&layer, INFER_TYPE_FLOAT, score_threshold));
}

InferNode *
infer_network_add_detection_nms(InferNetwork *network, InferTensor *boxes, InferTensor *scores,
                                InferTensor *score_threshold, InferTensor *iou_threshold,
                                gint64 max_per_class, gint64 max_total, const char *name,
                                GError **error)
{
  INFER_LAYER("detection nms");
  InferTensor *inputs[] = {boxes, scores, score_threshold, iou_threshold};

  if (!infer_layer_needs(&layer, boxes, scores, score_threshold, iou_threshold, INFER_LAYER_END))
    return NULL;
  return infer_layer_node(
      &layer, "infer.DetectionNMS", inputs, 4,
      INFER_ATTRS(INFER_INT("max_per_class", max_per_class), INFER_INT("max_total", max_total)), 4);
}

InferTensor *
infer_network_add_reverse_sequence(InferNetwork *network, InferTensor *input, InferTensor *lengths,
                                   gint64 batch_axis, gint64 sequence_axis, const char *name,
                                   GError **error)
{
  INFER_LAYER("reverse sequence");

  if (!infer_layer_needs(&layer, input, lengths, INFER_LAYER_END))
    return NULL;
  return INFER_LAST(
      "ReverseSequence",
      INFER_ATTRS(INFER_INT("batch_axis", batch_axis), INFER_INT("time_axis", sequence_axis)),
      input, lengths);
}
