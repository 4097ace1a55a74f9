/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/layertypes.h>
#include <infer/modelinfo.h>
#include <infer/network.h>

G_BEGIN_DECLS

/* Layers that move, pick or make elements; infer/layers.h says what is common to all layers. */

/**
 * infer_network_add_concatenation:
 * @network: a network
 * @inputs: (array length=n_inputs): tensors that differ in @axis alone
 * @n_inputs: how many there are, at least 1
 * @axis: dimension that grows; negative from the end
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The inputs one after the other.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_concatenation(InferNetwork *network,
                                                       InferTensor *const *inputs, guint n_inputs,
                                                       gint64 axis, const char *name,
                                                       GError **error);

/**
 * infer_network_add_padding:
 * @network: a network
 * @input: what the layer reads
 * @pre_padding: elements before each of the last dimensions, as many as there are numbers;
 *   negative to cut off
 * @post_padding: elements after, as many numbers
 * @mode: what they are; not %INFER_SAMPLE_MODE_STRICT_BOUNDS
 * @value: of %INFER_SAMPLE_MODE_FILL, else not looked at
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Adds to dimensions, or cuts off.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_padding(InferNetwork *network, InferTensor *input,
                                                 const InferDims *pre_padding,
                                                 const InferDims *post_padding,
                                                 InferSampleMode mode, double value,
                                                 const char *name, GError **error);

/**
 * infer_network_add_shuffle:
 * @network: a network
 * @input: what the layer reads
 * @first_permutation: (nullable): which dimension comes first, second ...; as they are when %NULL
 * @dims: (nullable): new dimensions; -1 once for what is left, 0 for that of the same place; as
 *   they are when %NULL
 * @zero_is_placeholder: whether a 0 in @dims is what the input has there, else it is empty
 * @second_permutation: (nullable): the same after the change of dimensions
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A transposition, a change of dimensions, and a transposition.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_shuffle(InferNetwork *network, InferTensor *input,
                                                 const InferDims *first_permutation,
                                                 const InferDims *dims,
                                                 gboolean zero_is_placeholder,
                                                 const InferDims *second_permutation,
                                                 const char *name, GError **error);

/**
 * infer_network_add_top_k:
 * @network: a network
 * @input: what the layer reads
 * @operation: the largest or the smallest
 * @k: how many
 * @axis: along which dimension; negative from the end
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The first elements in order.
 *
 * Returns: (transfer none) (nullable): the layer: output 0 has the elements, output 1 their
 *   indices, int64
 */
INFER_API InferNode *infer_network_add_top_k(InferNetwork *network, InferTensor *input,
                                             InferTopK operation, gint64 k, gint64 axis,
                                             const char *name, GError **error);

/**
 * infer_network_add_gather:
 * @network: a network
 * @data: what is read
 * @indices: indices, int32 or int64; negative from the end
 * @mode: what an index stands for
 * @axis: dimension of @data that is indexed; not looked at by %INFER_GATHER_MODE_ND
 * @batch_dims: leading dimensions that data and indices have in common, for %INFER_GATHER_MODE_ND;
 *   else 0
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Elements or slices of a tensor by index.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_gather(InferNetwork *network, InferTensor *data,
                                                InferTensor *indices, InferGatherMode mode,
                                                gint64 axis, gint64 batch_dims, const char *name,
                                                GError **error);

/**
 * infer_network_add_identity:
 * @network: a network
 * @input: what the layer reads
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The input.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_identity(InferNetwork *network, InferTensor *input,
                                                  const char *name, GError **error);

/**
 * infer_network_add_cast:
 * @network: a network
 * @input: what the layer reads
 * @type: element type
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The elements in another type; floats saturate where they do not fit in a float8, and lose what
 * follows the point in an integer.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_cast(InferNetwork *network, InferTensor *input,
                                              InferType type, const char *name, GError **error);

/**
 * infer_network_add_slice:
 * @network: a network
 * @input: what the layer reads
 * @start: first element of each dimension
 * @size: elements of each dimension of the output; -1 for as many as there are, with a stride
 *   above 0
 * @stride: (nullable): elements from one to the next, maybe negative; ones when %NULL
 * @mode: what is read outside the tensor; other than %INFER_SAMPLE_MODE_STRICT_BOUNDS needs
 *   constant dimensions
 * @value: of %INFER_SAMPLE_MODE_FILL, else not looked at
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A regular part of a tensor.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_slice(InferNetwork *network, InferTensor *input,
                                               const InferDims *start, const InferDims *size,
                                               const InferDims *stride, InferSampleMode mode,
                                               double value, const char *name, GError **error);

/**
 * infer_network_add_resize:
 * @network: a network
 * @input: what the layer reads
 * @dims: (nullable): dimensions of the output; %NULL to use @scales
 * @scales: (nullable) (array length=n_scales): factors of the dimensions; %NULL to use @dims
 * @n_scales: how many there are, 0 or one a dimension
 * @mode: interpolation
 * @coordinates: which position an element reads
 * @rounding: which element is the nearest, else not looked at
 * @cubic_coefficient: of %INFER_RESIZE_MODE_CUBIC, -0.75 as a rule; else not looked at
 * @exclude_outside: whether %INFER_RESIZE_MODE_CUBIC leaves elements outside the tensor out, else
 *   they are those at the edge
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Makes a tensor larger or smaller by interpolation.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_resize(
    InferNetwork *network, InferTensor *input, const InferDims *dims, const double *scales,
    guint n_scales, InferResizeMode mode, InferCoordinates coordinates, InferResizeRound rounding,
    double cubic_coefficient, gboolean exclude_outside, const char *name, GError **error);

/**
 * infer_network_add_fill:
 * @network: a network
 * @dims: constant dimensions
 * @operation: what the elements are
 * @alpha: see #InferFill
 * @beta: see #InferFill
 * @type: element type; a float for random numbers
 * @seed: of random numbers, which are the same in every run
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A tensor that reads nothing.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_fill(InferNetwork *network, const InferDims *dims,
                                              InferFill operation, double alpha, double beta,
                                              InferType type, gint64 seed, const char *name,
                                              GError **error);

/**
 * infer_network_add_select:
 * @network: a network
 * @condition: booleans
 * @then_input: elements where @condition holds
 * @else_input: elements where it does not
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Elements of one tensor or another; all three are broadcast.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_select(InferNetwork *network, InferTensor *condition,
                                                InferTensor *then_input, InferTensor *else_input,
                                                const char *name, GError **error);

/**
 * infer_network_add_scatter:
 * @network: a network
 * @data: what is written over
 * @indices: indices, int64
 * @updates: what is written
 * @mode: what an index stands for
 * @axis: dimension of @data that is indexed, for %INFER_SCATTER_MODE_ELEMENT; else not looked at
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A copy of @data with elements replaced. Where an index is there twice either may win.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_scatter(InferNetwork *network, InferTensor *data,
                                                 InferTensor *indices, InferTensor *updates,
                                                 InferScatterMode mode, gint64 axis,
                                                 const char *name, GError **error);

/**
 * infer_network_add_one_hot:
 * @network: a network
 * @indices: indices; negative from the end
 * @values: two elements: off and on
 * @depth: scalar: size of the new dimension
 * @axis: where the new dimension goes; -1 for the end
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A new dimension, on at the index and off elsewhere.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_one_hot(InferNetwork *network, InferTensor *indices,
                                                 InferTensor *values, InferTensor *depth,
                                                 gint64 axis, const char *name, GError **error);

/**
 * infer_network_add_non_zero:
 * @network: a network
 * @input: what the layer reads
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The indices of elements that are not 0, [dimensions, found], int64. How many are found is not
 * known in advance: an engine runs what needs it only where the input is constant.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_non_zero(InferNetwork *network, InferTensor *input,
                                                  const char *name, GError **error);

/**
 * infer_network_add_grid_sample:
 * @network: a network
 * @input: [N, C, spatial...]
 * @grid: [N, spatial of the output..., dimensions], positions from -1 to 1, the last dimension
 *   first
 * @interpolation: interpolation
 * @mode: what is read outside: %INFER_SAMPLE_MODE_FILL for zeros, %INFER_SAMPLE_MODE_CLAMP or
 *   %INFER_SAMPLE_MODE_REFLECT
 * @align_corners: whether -1 and 1 are the centres of the elements at the edge, else their outer
 *   sides
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Elements at given positions (Jaderberg and others 2015).
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_grid_sample(InferNetwork *network, InferTensor *input,
                                                     InferTensor *grid,
                                                     InferResizeMode interpolation,
                                                     InferSampleMode mode, gboolean align_corners,
                                                     const char *name, GError **error);

/**
 * infer_network_add_nms:
 * @network: a network
 * @boxes: [N, boxes, 4]
 * @scores: [N, classes, boxes]
 * @max_per_class: boxes kept of a class
 * @iou_threshold: overlap above which the box of the lower score goes
 * @score_threshold: boxes below it go
 * @center_format: whether boxes are (x, y, width, height) of a centre, else two corners (y, x, y,
 *   x)
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Non-maximum suppression: [found, 3] with batch, class and box, int64. How many are found is not
 * known in advance: an engine runs it only where the inputs are constant; see
 * infer_network_add_detection_nms().
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_nms(InferNetwork *network, InferTensor *boxes,
                                             InferTensor *scores, gint64 max_per_class,
                                             double iou_threshold, double score_threshold,
                                             gboolean center_format, const char *name,
                                             GError **error);

/**
 * infer_network_add_detection_nms:
 * @network: a network
 * @boxes: [N, boxes, 1 or classes, 4], corners (y, x, y, x)
 * @scores: [N, boxes, classes]
 * @score_threshold: scalar: boxes below it go
 * @iou_threshold: scalar: overlap above which the box of the lower score goes
 * @max_per_class: boxes kept of a class
 * @max_total: boxes kept of an image
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Non-maximum suppression with outputs of a fixed size; thresholds may be inputs of the network.
 *
 * Returns: (transfer none) (nullable): the layer: output 0 has boxes [N, max_total, 4], 1 scores,
 *   2 classes [N, max_total], 3 the number of boxes [N]
 */
INFER_API InferNode *infer_network_add_detection_nms(InferNetwork *network, InferTensor *boxes,
                                                     InferTensor *scores,
                                                     InferTensor *score_threshold,
                                                     InferTensor *iou_threshold,
                                                     gint64 max_per_class, gint64 max_total,
                                                     const char *name, GError **error);

/**
 * infer_network_add_reverse_sequence:
 * @network: a network
 * @input: what the layer reads
 * @lengths: int64 [N], steps of each sequence
 * @batch_axis: dimension of the sequences
 * @sequence_axis: dimension of the steps
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Reverses the beginning of each sequence and leaves the rest.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_reverse_sequence(InferNetwork *network, InferTensor *input,
                                                          InferTensor *lengths, gint64 batch_axis,
                                                          gint64 sequence_axis, const char *name,
                                                          GError **error);

/**
 * infer_network_add_squeeze:
 * @network: a network
 * @input: what the layer reads
 * @axes: (nullable): dimensions of 1 that go; all of them when %NULL
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Removes dimensions.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_squeeze(InferNetwork *network, InferTensor *input,
                                                 const InferDims *axes, const char *name,
                                                 GError **error);

/**
 * infer_network_add_unsqueeze:
 * @network: a network
 * @input: what the layer reads
 * @axes: places of new dimensions of 1 in the output; negative from the end
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Adds dimensions.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_unsqueeze(InferNetwork *network, InferTensor *input,
                                                   const InferDims *axes, const char *name,
                                                   GError **error);

/**
 * infer_network_add_shape:
 * @network: a network
 * @input: what the layer reads
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The dimensions as int64, known when the network is built or its batch is set.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_shape(InferNetwork *network, InferTensor *input,
                                               const char *name, GError **error);

G_END_DECLS
