/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/layerdata.h>
#include <infer/layermove.h>
#include <infer/layertypes.h>
#include <infer/network.h>

G_BEGIN_DECLS

/*
 * Layers: a function for each, with TensorRT's name where TensorRT has the layer. They add one node
 * or a few to a network; infer_network_add_node() adds any operator.
 *
 * What is common to all: tensors are those of the same network. Weights are arrays of the right
 * dimensions, or of the right number of elements in that order; they are kept, not copied. A list
 * of numbers is an #InferDims. Outputs belong to the network. What is wrong with a layer is said in
 * an error that names it; what was added for it before stays without use and is dropped by the
 * builder. A layer that is given %NULL for a tensor, and an error that is set, returns %NULL and
 * leaves the error as it is, so that a chain of layers can be checked once, at its end.
 */

/**
 * infer_network_add_convolution:
 * @network: a network
 * @input: [N, C, spatial...]
 * @n_outputs: channels of the output
 * @kernel: spatial size of the kernel
 * @weights: [n_outputs, C / groups, kernel...]
 * @bias: (nullable): one number for each of the @n_outputs channels
 * @stride: (nullable): elements from a window to the next; ones when %NULL
 * @pre_padding: (nullable): zeros before each spatial dimension; none when %NULL
 * @post_padding: (nullable): zeros after; as @pre_padding when %NULL
 * @padding_mode: how the paddings are meant
 * @dilation: (nullable): elements between those that a kernel's elements read, ones when %NULL
 * @groups: into which channels are divided; 1 for one
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A convolution of any number of spatial dimensions.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_convolution(
    InferNetwork *network, InferTensor *input, gint64 n_outputs, const InferDims *kernel,
    InferArray *weights, InferArray *bias, const InferDims *stride, const InferDims *pre_padding,
    const InferDims *post_padding, InferPaddingMode padding_mode, const InferDims *dilation,
    gint64 groups, const char *name, GError **error);

/**
 * infer_network_add_deconvolution:
 * @network: a network
 * @input: [N, C, spatial...]
 * @n_outputs: channels of the output
 * @kernel: spatial size of the kernel
 * @weights: [C, n_outputs / groups, kernel...]
 * @bias: (nullable): one number for each of the @n_outputs channels
 * @stride: (nullable): elements from a window to the next; ones when %NULL
 * @pre_padding: (nullable): what is cut off the beginning of each spatial dimension; none when
 *   %NULL
 * @post_padding: (nullable): what is cut off the end; as @pre_padding when %NULL
 * @padding_mode: how the paddings are meant
 * @dilation: (nullable): elements between those that a kernel's elements read, ones when %NULL
 * @groups: into which channels are divided; 1 for one
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A transposed convolution. A dimension becomes (in - 1) * stride + (kernel - 1) * dilation + 1
 * less the paddings, or in * stride with the modes of same size.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_deconvolution(
    InferNetwork *network, InferTensor *input, gint64 n_outputs, const InferDims *kernel,
    InferArray *weights, InferArray *bias, const InferDims *stride, const InferDims *pre_padding,
    const InferDims *post_padding, InferPaddingMode padding_mode, const InferDims *dilation,
    gint64 groups, const char *name, GError **error);

/**
 * infer_network_add_fully_connected:
 * @network: a network
 * @input: [N, ...]; what follows the first dimension is flattened
 * @n_outputs: columns of the output
 * @weights: [n_outputs, elements of a row]
 * @bias: (nullable): n_outputs numbers
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The product of each row with the weights.
 *
 * Returns: (transfer none) (nullable): the output, [N, n_outputs]
 */
INFER_API InferTensor *infer_network_add_fully_connected(InferNetwork *network, InferTensor *input,
                                                         gint64 n_outputs, InferArray *weights,
                                                         InferArray *bias, const char *name,
                                                         GError **error);

/**
 * infer_network_add_pooling:
 * @network: a network
 * @input: [N, C, spatial...]
 * @kind: what is computed of a window
 * @kernel: (nullable): spatial size of the window; everything when %NULL
 * @stride: (nullable): elements from a window to the next; @kernel when %NULL
 * @pre_padding: (nullable): room before each spatial dimension, which a maximum ignores; none when
 *   %NULL
 * @post_padding: (nullable): room after; as @pre_padding when %NULL
 * @padding_mode: how the paddings are meant
 * @exclude_padding: whether a mean is over the elements inside the tensor alone
 * @blend: share of the mean in %INFER_POOLING_MAX_AVERAGE_BLEND, else not looked at
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The maximum or mean of a window at each place. Without @kernel the stride and the paddings do
 * not count.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *
infer_network_add_pooling(InferNetwork *network, InferTensor *input, InferPooling kind,
                          const InferDims *kernel, const InferDims *stride,
                          const InferDims *pre_padding, const InferDims *post_padding,
                          InferPaddingMode padding_mode, gboolean exclude_padding, double blend,
                          const char *name, GError **error);

/**
 * infer_network_add_activation:
 * @network: a network
 * @input: what the layer reads
 * @activation: the function
 * @alpha: its first parameter, 0 where it has none
 * @beta: its second parameter, 0 where it has none
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A function of each element.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_activation(InferNetwork *network, InferTensor *input,
                                                    InferActivation activation, double alpha,
                                                    double beta, const char *name, GError **error);

/**
 * infer_network_add_lrn:
 * @network: a network
 * @input: [N, C, spatial...]
 * @window: neighbouring channels, itself among them
 * @alpha: factor of the mean of squares
 * @beta: exponent
 * @k: what is added, 1 as a rule
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Local response normalization: x / (k + alpha / window * sum of squares in the window)^beta
 * (Krizhevsky, Sutskever and Hinton 2012).
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_lrn(InferNetwork *network, InferTensor *input,
                                             gint64 window, double alpha, double beta, double k,
                                             const char *name, GError **error);

/**
 * infer_network_add_scale:
 * @network: a network
 * @input: what the layer reads
 * @mode: what one number stands for
 * @shift: (nullable): what is added; nothing when %NULL
 * @scale: (nullable): factor; 1 when %NULL
 * @power: (nullable): exponent; 1 when %NULL
 * @channel_axis: dimension of the channels, 1 as a rule; only looked at where there is one number
 *   a channel
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * (x * scale + shift)^power. The arrays have 1 element, one a channel, or as many as a row of the
 * batch.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_scale(InferNetwork *network, InferTensor *input,
                                               InferScaleMode mode, InferArray *shift,
                                               InferArray *scale, InferArray *power,
                                               gint64 channel_axis, const char *name,
                                               GError **error);

/**
 * infer_network_add_batch_normalization:
 * @network: a network
 * @input: [N, C, ...]
 * @scale: C factors
 * @shift: C numbers that are added
 * @mean: C means
 * @variance: C variances
 * @epsilon: added to the variances, 1e-5 as a rule
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * scale * (x - mean) / sqrt(variance + epsilon) + shift per channel, which is folded into a
 * convolution before it (Ioffe and Szegedy 2015).
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_batch_normalization(InferNetwork *network,
                                                             InferTensor *input, InferArray *scale,
                                                             InferArray *shift, InferArray *mean,
                                                             InferArray *variance, double epsilon,
                                                             const char *name, GError **error);

/**
 * infer_network_add_normalization:
 * @network: a network
 * @input: [N, C, ...]
 * @kind: over what the mean and variance are taken
 * @scale: factors: one a channel, or the dimensions from @axis on
 * @bias: (nullable): what is added, as @scale; nothing when %NULL; has to be %NULL for
 *   %INFER_NORMALIZATION_RMS
 * @axis: first dimension of layer and root-mean-square normalization, else not looked at
 * @n_groups: groups of %INFER_NORMALIZATION_GROUP, else not looked at
 * @epsilon: added to the variance, 1e-5 as a rule
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * scale * (x - mean) / sqrt(variance + epsilon) + bias.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_normalization(InferNetwork *network, InferTensor *input,
                                                       InferNormalization kind, InferTensor *scale,
                                                       InferTensor *bias, gint64 axis,
                                                       gint64 n_groups, double epsilon,
                                                       const char *name, GError **error);

/**
 * infer_network_add_soft_max:
 * @network: a network
 * @input: what the layer reads
 * @axis: dimension along which the sum is 1; negative from the end
 * @logarithm: whether the logarithm is wanted
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * exp(x) divided by its sum, or the logarithm of that.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_soft_max(InferNetwork *network, InferTensor *input,
                                                  gint64 axis, gboolean logarithm, const char *name,
                                                  GError **error);

/**
 * infer_network_add_element_wise:
 * @network: a network
 * @a: a tensor
 * @b: a tensor, broadcast to @a or @a to it
 * @operation: what is computed
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * An operation on two tensors, element by element.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_element_wise(InferNetwork *network, InferTensor *a,
                                                      InferTensor *b, InferElementWise operation,
                                                      const char *name, GError **error);

/**
 * infer_network_add_unary:
 * @network: a network
 * @input: what the layer reads
 * @operation: what is computed
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * An operation on each element.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_unary(InferNetwork *network, InferTensor *input,
                                               InferUnary operation, const char *name,
                                               GError **error);

/**
 * infer_network_add_reduce:
 * @network: a network
 * @input: what the layer reads
 * @operation: what is computed
 * @axes: (nullable): dimensions that are reduced; all when %NULL
 * @keep_dimensions: whether they stay as dimensions of 1
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * One number of many.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_reduce(InferNetwork *network, InferTensor *input,
                                                InferReduce operation, const InferDims *axes,
                                                gboolean keep_dimensions, const char *name,
                                                GError **error);

/**
 * infer_network_add_matrix_multiply:
 * @network: a network
 * @a: left factor
 * @operation_a: what is done with it first
 * @b: right factor
 * @operation_b: what is done with it first
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The matrix product of the last two dimensions; those before are broadcast.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_matrix_multiply(InferNetwork *network, InferTensor *a,
                                                         InferMatrixOperation operation_a,
                                                         InferTensor *b,
                                                         InferMatrixOperation operation_b,
                                                         const char *name, GError **error);

/**
 * infer_network_add_rnn:
 * @network: a network
 * @input: [steps, N, features]
 * @kind: cell
 * @direction: order of the steps
 * @hidden_size: numbers in the state
 * @weights: [directions, gates * hidden_size, features], gates in the order of #InferRnnKind
 * @recurrence: [directions, gates * hidden_size, hidden_size]
 * @bias: (nullable): [directions, 2 * gates * hidden_size], those of the weights and then those of
 *   the recurrence; none when %NULL
 * @lengths: (nullable): int32 [N], steps of each sequence; all when %NULL
 * @hidden: (nullable): [directions, N, hidden_size], the state before the first step; zeros when
 *   %NULL
 * @cell: (nullable): the same of the cell of %INFER_RNN_KIND_LSTM, else %NULL
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A recurrent layer; layers are stacked by adding several.
 *
 * Returns: (transfer none) (nullable): the layer: output 0 is [steps, directions, N, hidden_size],
 *   output 1 the last state, output 2 the last cell of %INFER_RNN_KIND_LSTM
 */
INFER_API InferNode *infer_network_add_rnn(InferNetwork *network, InferTensor *input,
                                           InferRnnKind kind, InferRnnDirection direction,
                                           gint64 hidden_size, InferArray *weights,
                                           InferArray *recurrence, InferArray *bias,
                                           InferTensor *lengths, InferTensor *hidden,
                                           InferTensor *cell, const char *name, GError **error);

/**
 * infer_network_add_parametric_relu:
 * @network: a network
 * @input: what the layer reads
 * @slopes: factors of negative elements, broadcast to @input
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * x where x >= 0, else slope * x (He and others 2015).
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_parametric_relu(InferNetwork *network, InferTensor *input,
                                                         InferTensor *slopes, const char *name,
                                                         GError **error);

/**
 * infer_network_add_quantize:
 * @network: a network
 * @input: what the layer reads
 * @scale: what 1 stands for: a scalar, or one a channel
 * @zero_point: (nullable): of @type, as @scale; 0 when %NULL
 * @axis: dimension of the channels; not looked at where @scale is a scalar
 * @type: of the output, %INFER_TYPE_INT8 as a rule
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * Rounds x / scale + zero point to an integer of 8, 16 or 32 bits, saturating.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_quantize(InferNetwork *network, InferTensor *input,
                                                  InferTensor *scale, InferTensor *zero_point,
                                                  gint64 axis, InferType type, const char *name,
                                                  GError **error);

/**
 * infer_network_add_dequantize:
 * @network: a network
 * @input: what the layer reads
 * @scale: what 1 stands for: a scalar, or one a channel
 * @zero_point: (nullable): of @input's type, as @scale; 0 when %NULL
 * @axis: dimension of the channels; not looked at where @scale is a scalar
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * (x - zero point) * scale.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_dequantize(InferNetwork *network, InferTensor *input,
                                                    InferTensor *scale, InferTensor *zero_point,
                                                    gint64 axis, const char *name, GError **error);

/**
 * infer_network_add_cumulative:
 * @network: a network
 * @input: what the layer reads
 * @axis: dimension; negative from the end
 * @exclusive: whether an element's sum leaves itself out
 * @reverse: whether the sum starts at the end
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * The sum of the elements up to each.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_cumulative(InferNetwork *network, InferTensor *input,
                                                    gint64 axis, gboolean exclusive,
                                                    gboolean reverse, const char *name,
                                                    GError **error);

/**
 * infer_network_add_einsum:
 * @network: a network
 * @inputs: (array length=n_inputs): tensors
 * @n_inputs: how many there are, at least 1
 * @equation: such as "ij,jk->ik"
 * @name: (nullable): the layer's name; made up when %NULL
 * @error: return location
 *
 * A sum of products after Einstein's notation, as numpy.einsum has it.
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_add_einsum(InferNetwork *network, InferTensor *const *inputs,
                                                guint n_inputs, const char *equation,
                                                const char *name, GError **error);

G_END_DECLS
