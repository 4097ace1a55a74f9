/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/layertypes.h>
#include <infer/network.h>

G_BEGIN_DECLS

/* Layers that arrange elements anew; <infer/layers.h> says what is common to all layers. */

/**
 * infer_network_add_flatten:
 * @network: a network
 * @input: what the layer reads
 * @axis: the first dimension of the second one, 1 as a rule; negative from the end
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A matrix: the dimensions before @axis become one, and those from it on another.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_flatten(InferNetwork *network, InferTensor *input,
                                                 gint64 axis, const char *name, GError **error);

/**
 * infer_network_add_split:
 * @network: a network
 * @input: what the layer reads
 * @axis: dimension that is divided; negative from the end
 * @sizes: (nullable): elements of each part; equal ones when %NULL, of which the last may be
 *   smaller
 * @n_parts: parts; the length of @sizes where it is given
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Parts that follow each other, which cost nothing where they need not move.
 *
 * Returns: (transfer none) (nullable): the layer; infer_node_get_output() gives the parts
 */
INFER_API InferNode *infer_network_add_split(InferNetwork *network, InferTensor *input, gint64 axis,
                                             const InferDims *sizes, guint n_parts,
                                             const char *name, GError **error);

/**
 * infer_network_add_tile:
 * @network: a network
 * @input: what the layer reads
 * @repeats: how often each dimension is there
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The tensor side by side with itself.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_tile(InferNetwork *network, InferTensor *input,
                                              const InferDims *repeats, const char *name,
                                              GError **error);

/**
 * infer_network_add_expand:
 * @network: a network
 * @input: what the layer reads
 * @dims: dimensions that it is broadcast to, as in NumPy; 1 leaves a dimension as it is
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Repeats dimensions of 1.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_expand(InferNetwork *network, InferTensor *input,
                                                const InferDims *dims, const char *name,
                                                GError **error);

/**
 * infer_network_add_depth_to_space:
 * @network: a network
 * @input: [N, C, H, W]
 * @block_size: side of the squares of pixels that channels become
 * @channels_first: whether the output's channel is the outer part of the input's (ONNX's mode CRD,
 *   PyTorch's pixel shuffle), not the inner one (DCR)
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Returns: (transfer none) (nullable): the output, [N, C / block_size^2, H * block_size,
 *   W * block_size]
 */
INFER_API InferTensor *infer_network_add_depth_to_space(InferNetwork *network, InferTensor *input,
                                                        gint64 block_size, gboolean channels_first,
                                                        const char *name, GError **error);

/**
 * infer_network_add_space_to_depth:
 * @network: a network
 * @input: [N, C, H, W]
 * @block_size: side of the squares of pixels that become channels
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * What infer_network_add_depth_to_space() undoes without @channels_first.
 *
 * Returns: (transfer none) (nullable): the output, [N, C * block_size^2, H / block_size,
 *   W / block_size]
 */
INFER_API InferTensor *infer_network_add_space_to_depth(InferNetwork *network, InferTensor *input,
                                                        gint64 block_size, const char *name,
                                                        GError **error);

/**
 * infer_network_add_range:
 * @network: a network
 * @start: the first number, a scalar
 * @limit: before which the numbers end, a scalar of the same type
 * @delta: what each is more than the one before, a scalar of the same type
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Numbers at equal distances. How many there are may depend on data; infer_network_add_fill() makes
 * a number that is known.
 *
 * Returns: (transfer none) (nullable): the output, a vector
 */
INFER_API InferTensor *infer_network_add_range(InferNetwork *network, InferTensor *start,
                                               InferTensor *limit, InferTensor *delta,
                                               const char *name, GError **error);

/**
 * infer_network_add_arg_reduce:
 * @network: a network
 * @input: what the layer reads
 * @operation: whether the largest is looked for or the smallest
 * @axis: dimension that is searched; negative from the end
 * @keep_dimension: whether it stays as a dimension of 1
 * @last: whether of equal elements the last counts, not the first
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Where the largest or smallest elements are.
 *
 * Returns: (transfer none) (nullable): the output, indices as int64
 */
INFER_API InferTensor *infer_network_add_arg_reduce(InferNetwork *network, InferTensor *input,
                                                    InferTopK operation, gint64 axis,
                                                    gboolean keep_dimension, gboolean last,
                                                    const char *name, GError **error);

/**
 * infer_network_add_roi_align:
 * @network: a network
 * @input: [N, C, H, W]
 * @rois: float [R, 4]: x1, y1, x2, y2 of each region
 * @images: int64 [R]: the row of the batch that a region is of
 * @height: rows of a region's output
 * @width: columns of it
 * @sampling_ratio: samples of a bin in each direction; 0 for as many as the input has pixels there
 * @spatial_scale: pixels of @input for one unit of @rois
 * @maximum: whether a bin's largest sample counts, not the mean
 * @half_pixel: whether coordinates are moved by half a pixel, as they have to be for the centres of
 *   pixels to be where they are
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Regions of equal size by bilinear sampling (He and others, Mask R-CNN, 2017).
 *
 * Returns: (transfer none) (nullable): the output, [R, C, height, width]
 */
INFER_API InferTensor *infer_network_add_roi_align(InferNetwork *network, InferTensor *input,
                                                   InferTensor *rois, InferTensor *images,
                                                   gint64 height, gint64 width,
                                                   gint64 sampling_ratio, double spatial_scale,
                                                   gboolean maximum, gboolean half_pixel,
                                                   const char *name, GError **error);

G_END_DECLS
