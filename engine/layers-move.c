/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

/* Layers that arrange elements anew; operators check their own attributes. */

InferTensor *
infer_network_add_flatten(InferNetwork *network, InferTensor *input, gint64 axis, const char *name,
                          GError **error)
{
  INFER_LAYER("flatten");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("Flatten", INFER_ATTRS(INFER_INT("axis", axis)), input);
}

InferNode *
infer_network_add_split(InferNetwork *network, InferTensor *input, gint64 axis,
                        const InferDims *sizes, guint n_parts, const char *name, GError **error)
{
  INFER_LAYER("split");
  InferTensor *inputs[2] = {input};

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      (sizes && !infer_layer_list(&layer, "sizes", sizes, -1)))
    return NULL;
  n_parts = sizes ? (guint)sizes->n : n_parts;
  if (n_parts < 1 || n_parts > G_MAXUINT16) {
    infer_layer_error(&layer, INFER_ERROR_ARGUMENT, "%u parts are not possible", n_parts);
    return NULL;
  }
  if (!sizes)
    return infer_layer_node(&layer, "Split", inputs, 1,
                            INFER_ATTRS(INFER_INT("axis", axis), INFER_INT("num_outputs", n_parts)),
                            n_parts);
  inputs[1] = infer_layer_list_constant(&layer, sizes);
  return infer_layer_node(&layer, "Split", inputs, 2, INFER_ATTRS(INFER_INT("axis", axis)),
                          n_parts);
}

InferTensor *
infer_network_add_tile(InferNetwork *network, InferTensor *input, const InferDims *repeats,
                       const char *name, GError **error)
{
  INFER_LAYER("tile");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_list(&layer, "repeats", repeats, input->dims.n))
    return NULL;
  return INFER_LAST("Tile", NULL, input, infer_layer_list_constant(&layer, repeats));
}

InferTensor *
infer_network_add_expand(InferNetwork *network, InferTensor *input, const InferDims *dims,
                         const char *name, GError **error)
{
  INFER_LAYER("expand");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_list(&layer, "dims", dims, -1))
    return NULL;
  return INFER_LAST("Expand", NULL, input, infer_layer_list_constant(&layer, dims));
}

InferTensor *
infer_network_add_depth_to_space(InferNetwork *network, InferTensor *input, gint64 block_size,
                                 gboolean channels_first, const char *name, GError **error)
{
  INFER_LAYER("depth to space");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST(
      "DepthToSpace",
      INFER_ATTRS(INFER_INT("blocksize", block_size), "mode", 's', channels_first ? "CRD" : "DCR"),
      input);
}

InferTensor *
infer_network_add_space_to_depth(InferNetwork *network, InferTensor *input, gint64 block_size,
                                 const char *name, GError **error)
{
  INFER_LAYER("space to depth");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("SpaceToDepth", INFER_ATTRS(INFER_INT("blocksize", block_size)), input);
}

InferTensor *
infer_network_add_range(InferNetwork *network, InferTensor *start, InferTensor *limit,
                        InferTensor *delta, const char *name, GError **error)
{
  INFER_LAYER("range");

  if (!infer_layer_needs(&layer, start, limit, delta, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("Range", NULL, start, limit, delta);
}

InferTensor *
infer_network_add_arg_reduce(InferNetwork *network, InferTensor *input, InferTopK operation,
                             gint64 axis, gboolean keep_dimension, gboolean last, const char *name,
                             GError **error)
{
  INFER_LAYER("arg-reduce");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation, 2))
    return NULL;
  return INFER_LAST(operation == INFER_TOP_K_MAX ? "ArgMax" : "ArgMin",
                    INFER_ATTRS(INFER_INT("axis", axis),
                                INFER_INT("keepdims", keep_dimension != FALSE),
                                INFER_INT("select_last_index", last != FALSE)),
                    input);
}

InferTensor *
infer_network_add_roi_align(InferNetwork *network, InferTensor *input, InferTensor *rois,
                            InferTensor *images, gint64 height, gint64 width, gint64 sampling_ratio,
                            double spatial_scale, gboolean maximum, gboolean half_pixel,
                            const char *name, GError **error)
{
  INFER_LAYER("region alignment");

  if (!infer_layer_needs(&layer, input, rois, images, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("RoiAlign",
                    INFER_ATTRS(INFER_INT("output_height", height),
                                INFER_INT("output_width", width),
                                INFER_INT("sampling_ratio", sampling_ratio),
                                INFER_REAL("spatial_scale", spatial_scale), "mode", 's',
                                maximum ? "max" : "avg", "coordinate_transformation_mode", 's',
                                half_pixel ? "half_pixel" : "output_half_pixel"),
                    input, rois, images);
}
