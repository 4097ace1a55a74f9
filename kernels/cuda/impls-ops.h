/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "impls.h"

G_BEGIN_DECLS

extern const InferImpl infer_cuda_connected;
extern const InferImpl infer_cuda_convolution;
extern const InferImpl infer_cuda_depthwise;
extern const InferImpl infer_cuda_excitation;
extern const InferImpl infer_cuda_normalize;
extern const InferImpl infer_cuda_panel;
extern const InferImpl infer_cuda_pointwise;
extern const InferImpl infer_cuda_pooling;
extern const InferImpl infer_cuda_reduction;
extern const InferImpl infer_cuda_resize;
extern const InferImpl infer_cuda_deep;
extern const InferImpl infer_cuda_staged;
extern const InferImpl infer_cuda_stem;

#define INFER_CUDA_IMPLS(...)                                                                      \
  (const InferImpl *const[])                                                                       \
  {                                                                                                \
    __VA_ARGS__, NULL                                                                              \
  }
#define INFER_CUDA_POINTWISE(OP)                                                                   \
  {                                                                                                \
    OP, INFER_CUDA_IMPLS(&infer_cuda_pointwise)                                                    \
  }

/** What any other implementation comes before. */
static const InferCudaOp infer_cuda_ops_last[] = {
    {"Conv", INFER_CUDA_IMPLS(&infer_cuda_staged, &infer_cuda_deep, &infer_cuda_convolution)},
    {"ConvTranspose", INFER_CUDA_IMPLS(&infer_cuda_convolution)},
};

/** What kernels made of generated source do. */
static const InferCudaOp infer_cuda_ops_ops[] = {
    INFER_CUDA_POINTWISE("Abs"),
    INFER_CUDA_POINTWISE("Acos"),
    INFER_CUDA_POINTWISE("Acosh"),
    INFER_CUDA_POINTWISE("Add"),
    INFER_CUDA_POINTWISE("And"),
    INFER_CUDA_POINTWISE("Asin"),
    INFER_CUDA_POINTWISE("Asinh"),
    INFER_CUDA_POINTWISE("Atan"),
    INFER_CUDA_POINTWISE("Atanh"),
    INFER_CUDA_POINTWISE("BatchNormalization"),
    INFER_CUDA_POINTWISE("Binarizer"),
    INFER_CUDA_POINTWISE("BitShift"),
    INFER_CUDA_POINTWISE("BitwiseAnd"),
    INFER_CUDA_POINTWISE("BitwiseNot"),
    INFER_CUDA_POINTWISE("BitwiseOr"),
    INFER_CUDA_POINTWISE("BitwiseXor"),
    INFER_CUDA_POINTWISE("Cast"),
    INFER_CUDA_POINTWISE("Ceil"),
    INFER_CUDA_POINTWISE("Celu"),
    INFER_CUDA_POINTWISE("Clip"),
    {"Conv", INFER_CUDA_IMPLS(&infer_cuda_connected, &infer_cuda_stem, &infer_cuda_depthwise,
                              &infer_cuda_panel)},
    {"AveragePool", INFER_CUDA_IMPLS(&infer_cuda_pooling)},
    {"LpPool", INFER_CUDA_IMPLS(&infer_cuda_pooling)},
    {"MaxPool", INFER_CUDA_IMPLS(&infer_cuda_pooling)},
    {"ArgMax", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ArgMin", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"GlobalAveragePool", INFER_CUDA_IMPLS(&infer_cuda_excitation, &infer_cuda_reduction)},
    {"GlobalLpPool", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"GlobalMaxPool", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceL1", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceL2", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceLogSum", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceLogSumExp", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceMax", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceMean", INFER_CUDA_IMPLS(&infer_cuda_excitation, &infer_cuda_reduction)},
    {"ReduceMin", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceProd", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceSum", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"ReduceSumSquare", INFER_CUDA_IMPLS(&infer_cuda_reduction)},
    {"GroupNormalization", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"InstanceNormalization", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"LayerNormalization", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"LogSoftmax", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"LpNormalization", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"MeanVarianceNormalization", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"RMSNormalization", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"Softmax", INFER_CUDA_IMPLS(&infer_cuda_normalize)},
    {"Gemm", INFER_CUDA_IMPLS(&infer_cuda_connected)},
    {"Resize", INFER_CUDA_IMPLS(&infer_cuda_resize)},
    INFER_CUDA_POINTWISE("Cos"),
    INFER_CUDA_POINTWISE("Cosh"),
    INFER_CUDA_POINTWISE("Div"),
    INFER_CUDA_POINTWISE("Elu"),
    INFER_CUDA_POINTWISE("Equal"),
    INFER_CUDA_POINTWISE("Erf"),
    INFER_CUDA_POINTWISE("Exp"),
    INFER_CUDA_POINTWISE("Floor"),
    INFER_CUDA_POINTWISE("Gelu"),
    INFER_CUDA_POINTWISE("Greater"),
    INFER_CUDA_POINTWISE("GreaterOrEqual"),
    INFER_CUDA_POINTWISE("HardSigmoid"),
    INFER_CUDA_POINTWISE("HardSwish"),
    INFER_CUDA_POINTWISE("IsInf"),
    INFER_CUDA_POINTWISE("IsNaN"),
    INFER_CUDA_POINTWISE("LeakyRelu"),
    INFER_CUDA_POINTWISE("Less"),
    INFER_CUDA_POINTWISE("LessOrEqual"),
    INFER_CUDA_POINTWISE("Log"),
    INFER_CUDA_POINTWISE("Max"),
    INFER_CUDA_POINTWISE("Mean"),
    INFER_CUDA_POINTWISE("Min"),
    INFER_CUDA_POINTWISE("Mish"),
    INFER_CUDA_POINTWISE("Mod"),
    INFER_CUDA_POINTWISE("Mul"),
    INFER_CUDA_POINTWISE("Neg"),
    INFER_CUDA_POINTWISE("Not"),
    INFER_CUDA_POINTWISE("Or"),
    INFER_CUDA_POINTWISE("PRelu"),
    INFER_CUDA_POINTWISE("Pow"),
    INFER_CUDA_POINTWISE("Reciprocal"),
    INFER_CUDA_POINTWISE("Relu"),
    INFER_CUDA_POINTWISE("Round"),
    INFER_CUDA_POINTWISE("Selu"),
    INFER_CUDA_POINTWISE("Shrink"),
    INFER_CUDA_POINTWISE("Sigmoid"),
    INFER_CUDA_POINTWISE("Sign"),
    INFER_CUDA_POINTWISE("Sin"),
    INFER_CUDA_POINTWISE("Sinh"),
    INFER_CUDA_POINTWISE("Softplus"),
    INFER_CUDA_POINTWISE("Softsign"),
    INFER_CUDA_POINTWISE("Sqrt"),
    INFER_CUDA_POINTWISE("Sub"),
    INFER_CUDA_POINTWISE("Sum"),
    INFER_CUDA_POINTWISE("Swish"),
    INFER_CUDA_POINTWISE("Tan"),
    INFER_CUDA_POINTWISE("Tanh"),
    INFER_CUDA_POINTWISE("ThresholdedRelu"),
    INFER_CUDA_POINTWISE("Where"),
    INFER_CUDA_POINTWISE("Xor"),
};

G_END_DECLS
