/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/**
 * InferActivation:
 * @INFER_ACTIVATION_RELU: max(x, 0)
 * @INFER_ACTIVATION_SIGMOID: 1 / (1 + exp(-x))
 * @INFER_ACTIVATION_TANH: tanh(x)
 * @INFER_ACTIVATION_LEAKY_RELU: x where x >= 0, else alpha * x
 * @INFER_ACTIVATION_ELU: x where x >= 0, else alpha * (exp(x) - 1)
 * @INFER_ACTIVATION_SELU: beta * (x where x > 0, else alpha * (exp(x) - 1))
 * @INFER_ACTIVATION_SOFTSIGN: x / (1 + |x|)
 * @INFER_ACTIVATION_SOFTPLUS: alpha * log(exp(beta * x) + 1)
 * @INFER_ACTIVATION_CLIP: max(alpha, min(beta, x))
 * @INFER_ACTIVATION_HARD_SIGMOID: max(0, min(1, alpha * x + beta))
 * @INFER_ACTIVATION_SCALED_TANH: alpha * tanh(beta * x)
 * @INFER_ACTIVATION_THRESHOLDED_RELU: x where x > alpha, else 0
 * @INFER_ACTIVATION_GELU_ERF: x / 2 * (1 + erf(x / sqrt(2)))
 * @INFER_ACTIVATION_GELU_TANH: the same with tanh as an approximation
 * @INFER_ACTIVATION_CELU: max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
 * @INFER_ACTIVATION_HARD_SWISH: x * max(0, min(1, x / 6 + 1 / 2))
 * @INFER_ACTIVATION_SWISH: x / (1 + exp(-alpha * x))
 * @INFER_ACTIVATION_MISH: x * tanh(log(exp(x) + 1))
 *
 * Activations. Those that name neither alpha nor beta do not look at them.
 */
typedef enum {
  INFER_ACTIVATION_RELU,
  INFER_ACTIVATION_SIGMOID,
  INFER_ACTIVATION_TANH,
  INFER_ACTIVATION_LEAKY_RELU,
  INFER_ACTIVATION_ELU,
  INFER_ACTIVATION_SELU,
  INFER_ACTIVATION_SOFTSIGN,
  INFER_ACTIVATION_SOFTPLUS,
  INFER_ACTIVATION_CLIP,
  INFER_ACTIVATION_HARD_SIGMOID,
  INFER_ACTIVATION_SCALED_TANH,
  INFER_ACTIVATION_THRESHOLDED_RELU,
  INFER_ACTIVATION_GELU_ERF,
  INFER_ACTIVATION_GELU_TANH,
  INFER_ACTIVATION_CELU,
  INFER_ACTIVATION_HARD_SWISH,
  INFER_ACTIVATION_SWISH,
  INFER_ACTIVATION_MISH,
} InferActivation;

/**
 * InferElementWise:
 * @INFER_ELEMENT_WISE_SUM: a + b
 * @INFER_ELEMENT_WISE_PROD: a * b
 * @INFER_ELEMENT_WISE_MAX: the larger
 * @INFER_ELEMENT_WISE_MIN: the smaller
 * @INFER_ELEMENT_WISE_SUB: a - b
 * @INFER_ELEMENT_WISE_DIV: a / b
 * @INFER_ELEMENT_WISE_POW: a to the power of b
 * @INFER_ELEMENT_WISE_FLOOR_DIV: a / b rounded down
 * @INFER_ELEMENT_WISE_AND: of booleans
 * @INFER_ELEMENT_WISE_OR: of booleans
 * @INFER_ELEMENT_WISE_XOR: of booleans
 * @INFER_ELEMENT_WISE_EQUAL: a boolean
 * @INFER_ELEMENT_WISE_GREATER: a boolean
 * @INFER_ELEMENT_WISE_LESS: a boolean
 * @INFER_ELEMENT_WISE_GREATER_OR_EQUAL: a boolean
 * @INFER_ELEMENT_WISE_LESS_OR_EQUAL: a boolean
 *
 * Operations on two tensors, which are broadcast to each other.
 */
typedef enum {
  INFER_ELEMENT_WISE_SUM,
  INFER_ELEMENT_WISE_PROD,
  INFER_ELEMENT_WISE_MAX,
  INFER_ELEMENT_WISE_MIN,
  INFER_ELEMENT_WISE_SUB,
  INFER_ELEMENT_WISE_DIV,
  INFER_ELEMENT_WISE_POW,
  INFER_ELEMENT_WISE_FLOOR_DIV,
  INFER_ELEMENT_WISE_AND,
  INFER_ELEMENT_WISE_OR,
  INFER_ELEMENT_WISE_XOR,
  INFER_ELEMENT_WISE_EQUAL,
  INFER_ELEMENT_WISE_GREATER,
  INFER_ELEMENT_WISE_LESS,
  INFER_ELEMENT_WISE_GREATER_OR_EQUAL,
  INFER_ELEMENT_WISE_LESS_OR_EQUAL,
} InferElementWise;

/**
 * InferUnary:
 *
 * Operations on one tensor; rounding is to the nearest even number.
 */
typedef enum {
  INFER_UNARY_EXP,
  INFER_UNARY_LOG,
  INFER_UNARY_SQRT,
  INFER_UNARY_RECIP,
  INFER_UNARY_ABS,
  INFER_UNARY_NEG,
  INFER_UNARY_SIN,
  INFER_UNARY_COS,
  INFER_UNARY_TAN,
  INFER_UNARY_SINH,
  INFER_UNARY_COSH,
  INFER_UNARY_ASIN,
  INFER_UNARY_ACOS,
  INFER_UNARY_ATAN,
  INFER_UNARY_ASINH,
  INFER_UNARY_ACOSH,
  INFER_UNARY_ATANH,
  INFER_UNARY_CEIL,
  INFER_UNARY_FLOOR,
  INFER_UNARY_ERF,
  INFER_UNARY_NOT,
  INFER_UNARY_SIGN,
  INFER_UNARY_ROUND,
  INFER_UNARY_IS_INF,
  INFER_UNARY_IS_NAN,
} InferUnary;

/**
 * InferPooling:
 * @INFER_POOLING_MAX: the largest element of the window
 * @INFER_POOLING_AVERAGE: the mean of the window
 * @INFER_POOLING_MAX_AVERAGE_BLEND: blend * mean + (1 - blend) * maximum
 * @INFER_POOLING_L2: the root of the sum of squares
 */
typedef enum {
  INFER_POOLING_MAX,
  INFER_POOLING_AVERAGE,
  INFER_POOLING_MAX_AVERAGE_BLEND,
  INFER_POOLING_L2,
} InferPooling;

/**
 * InferPaddingMode:
 * @INFER_PADDING_MODE_EXPLICIT_ROUND_DOWN: the paddings given; a last window that does not fit is
 *   left out
 * @INFER_PADDING_MODE_EXPLICIT_ROUND_UP: the paddings given; a last window that does not fit hangs
 *   over
 * @INFER_PADDING_MODE_SAME_UPPER: as many windows as elements divided by the stride, rounded up;
 *   an odd padding has more at the end; the paddings given do not count
 * @INFER_PADDING_MODE_SAME_LOWER: the same with more at the beginning
 */
typedef enum {
  INFER_PADDING_MODE_EXPLICIT_ROUND_DOWN,
  INFER_PADDING_MODE_EXPLICIT_ROUND_UP,
  INFER_PADDING_MODE_SAME_UPPER,
  INFER_PADDING_MODE_SAME_LOWER,
} InferPaddingMode;

/**
 * InferScaleMode:
 * @INFER_SCALE_MODE_UNIFORM: one number for all elements
 * @INFER_SCALE_MODE_CHANNEL: one number a channel
 * @INFER_SCALE_MODE_ELEMENT_WISE: one number an element, the same for every row of the batch
 */
typedef enum {
  INFER_SCALE_MODE_UNIFORM,
  INFER_SCALE_MODE_CHANNEL,
  INFER_SCALE_MODE_ELEMENT_WISE,
} InferScaleMode;

/**
 * InferReduce:
 * @INFER_REDUCE_SUM: sum
 * @INFER_REDUCE_PROD: product
 * @INFER_REDUCE_MAX: maximum
 * @INFER_REDUCE_MIN: minimum
 * @INFER_REDUCE_AVG: mean
 * @INFER_REDUCE_L1: sum of absolute values
 * @INFER_REDUCE_L2: root of the sum of squares
 * @INFER_REDUCE_SUM_SQUARE: sum of squares
 * @INFER_REDUCE_LOG_SUM: logarithm of the sum
 * @INFER_REDUCE_LOG_SUM_EXP: logarithm of the sum of exponentials
 */
typedef enum {
  INFER_REDUCE_SUM,
  INFER_REDUCE_PROD,
  INFER_REDUCE_MAX,
  INFER_REDUCE_MIN,
  INFER_REDUCE_AVG,
  INFER_REDUCE_L1,
  INFER_REDUCE_L2,
  INFER_REDUCE_SUM_SQUARE,
  INFER_REDUCE_LOG_SUM,
  INFER_REDUCE_LOG_SUM_EXP,
} InferReduce;

/**
 * InferTopK:
 * @INFER_TOP_K_MAX: the largest first
 * @INFER_TOP_K_MIN: the smallest first
 */
typedef enum { INFER_TOP_K_MAX, INFER_TOP_K_MIN } InferTopK;

/**
 * InferGatherMode:
 * @INFER_GATHER_MODE_DEFAULT: slices of the data along an axis
 * @INFER_GATHER_MODE_ELEMENT: one element an index
 * @INFER_GATHER_MODE_ND: an index is a vector along the last axis of the indices
 */
typedef enum {
  INFER_GATHER_MODE_DEFAULT,
  INFER_GATHER_MODE_ELEMENT,
  INFER_GATHER_MODE_ND,
} InferGatherMode;

/**
 * InferScatterMode:
 * @INFER_SCATTER_MODE_ELEMENT: one element an index
 * @INFER_SCATTER_MODE_ND: an index is a vector along the last axis of the indices
 */
typedef enum { INFER_SCATTER_MODE_ELEMENT, INFER_SCATTER_MODE_ND } InferScatterMode;

/**
 * InferMatrixOperation:
 * @INFER_MATRIX_OPERATION_NONE: a matrix, or a stack of them
 * @INFER_MATRIX_OPERATION_TRANSPOSE: the last two dimensions are swapped first
 * @INFER_MATRIX_OPERATION_VECTOR: a vector, or a stack of them
 */
typedef enum {
  INFER_MATRIX_OPERATION_NONE,
  INFER_MATRIX_OPERATION_TRANSPOSE,
  INFER_MATRIX_OPERATION_VECTOR,
} InferMatrixOperation;

/**
 * InferSampleMode:
 * @INFER_SAMPLE_MODE_STRICT_BOUNDS: reading outside is an error
 * @INFER_SAMPLE_MODE_WRAP: the tensor repeats
 * @INFER_SAMPLE_MODE_CLAMP: the element at the edge
 * @INFER_SAMPLE_MODE_FILL: a fill value
 * @INFER_SAMPLE_MODE_REFLECT: mirrored at the edge, which is not repeated
 *
 * What is read outside a tensor.
 */
typedef enum {
  INFER_SAMPLE_MODE_STRICT_BOUNDS,
  INFER_SAMPLE_MODE_WRAP,
  INFER_SAMPLE_MODE_CLAMP,
  INFER_SAMPLE_MODE_FILL,
  INFER_SAMPLE_MODE_REFLECT,
} InferSampleMode;

/**
 * InferResizeMode:
 * @INFER_RESIZE_MODE_NEAREST: the nearest element
 * @INFER_RESIZE_MODE_LINEAR: linear in every dimension
 * @INFER_RESIZE_MODE_CUBIC: cubic convolution in the last two dimensions
 */
typedef enum {
  INFER_RESIZE_MODE_NEAREST,
  INFER_RESIZE_MODE_LINEAR,
  INFER_RESIZE_MODE_CUBIC,
} InferResizeMode;

/**
 * InferResizeRound:
 * @INFER_RESIZE_ROUND_HALF_DOWN: to the nearest, halves down
 * @INFER_RESIZE_ROUND_HALF_UP: to the nearest, halves up
 * @INFER_RESIZE_ROUND_FLOOR: down
 * @INFER_RESIZE_ROUND_CEIL: up
 *
 * Which element is the nearest.
 */
typedef enum {
  INFER_RESIZE_ROUND_HALF_DOWN,
  INFER_RESIZE_ROUND_HALF_UP,
  INFER_RESIZE_ROUND_FLOOR,
  INFER_RESIZE_ROUND_CEIL,
} InferResizeRound;

/**
 * InferFill:
 * @INFER_FILL_CONSTANT: alpha
 * @INFER_FILL_LINSPACE: alpha + beta * i for element i in row-major order
 * @INFER_FILL_RANDOM_UNIFORM: uniform from alpha to beta
 * @INFER_FILL_RANDOM_NORMAL: normal with the mean alpha and the standard deviation beta
 */
typedef enum {
  INFER_FILL_CONSTANT,
  INFER_FILL_LINSPACE,
  INFER_FILL_RANDOM_UNIFORM,
  INFER_FILL_RANDOM_NORMAL,
} InferFill;

/**
 * InferRnnKind:
 * @INFER_RNN_KIND_RELU: an Elman cell with max(x, 0)
 * @INFER_RNN_KIND_TANH: an Elman cell with tanh(x)
 * @INFER_RNN_KIND_LSTM: long short-term memory; gates input, output, forget, cell
 * @INFER_RNN_KIND_GRU: gated recurrent unit whose reset gate comes before the product with the
 *   recurrent weights; gates update, reset, hidden
 * @INFER_RNN_KIND_GRU_LINEAR: the same with the reset gate after that product, as cuDNN has it
 */
typedef enum {
  INFER_RNN_KIND_RELU,
  INFER_RNN_KIND_TANH,
  INFER_RNN_KIND_LSTM,
  INFER_RNN_KIND_GRU,
  INFER_RNN_KIND_GRU_LINEAR,
} InferRnnKind;

/**
 * InferRnnDirection:
 * @INFER_RNN_DIRECTION_FORWARD: from the first step to the last
 * @INFER_RNN_DIRECTION_REVERSE: from the last to the first
 * @INFER_RNN_DIRECTION_BIDIRECTIONAL: both, with weights of their own
 */
typedef enum {
  INFER_RNN_DIRECTION_FORWARD,
  INFER_RNN_DIRECTION_REVERSE,
  INFER_RNN_DIRECTION_BIDIRECTIONAL,
} InferRnnDirection;

/**
 * InferNormalization:
 * @INFER_NORMALIZATION_INSTANCE: over the dimensions after the channels
 * @INFER_NORMALIZATION_GROUP: over groups of channels and what follows them
 * @INFER_NORMALIZATION_LAYER: over the dimensions from an axis on
 * @INFER_NORMALIZATION_RMS: the same by the root of the mean of squares, without a mean
 */
typedef enum {
  INFER_NORMALIZATION_INSTANCE,
  INFER_NORMALIZATION_GROUP,
  INFER_NORMALIZATION_LAYER,
  INFER_NORMALIZATION_RMS,
} InferNormalization;

G_END_DECLS
