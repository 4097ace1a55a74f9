/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"

#define IMPLS(NAME, ...) static const InferImpl *const NAME[] = {__VA_ARGS__, NULL}

IMPLS(convolution, &infer_cpu_convolution);
IMPLS(pooling, &infer_cpu_pooling);
IMPLS(gemm, &infer_cpu_gemm);
IMPLS(matmul, &infer_cpu_gemm, &infer_cpu_matmul);
IMPLS(pointwise, &infer_cpu_pointwise);
IMPLS(batchnorm, &infer_cpu_batchnorm);
IMPLS(softmax, &infer_cpu_softmax);
IMPLS(layernorm, &infer_cpu_layernorm);
IMPLS(concat, &infer_cpu_concat);
IMPLS(split, &infer_cpu_split);
IMPLS(slice, &infer_cpu_slice);
IMPLS(transpose, &infer_cpu_transpose);
IMPLS(reformat, &infer_cpu_reformat);
IMPLS(resize, &infer_cpu_resize);
IMPLS(boxdecode, &infer_cpu_boxdecode);
IMPLS(detectionnms, &infer_cpu_detectionnms);

static const struct {
  const char *op;
  const InferImpl *const *impls;
} table[] = {
    {"Conv", convolution},
    {"MaxPool", pooling},
    {"AveragePool", pooling},
    {"GlobalMaxPool", pooling},
    {"GlobalAveragePool", pooling},
    {"Gemm", gemm},
    {"MatMul", matmul},
    {"Relu", pointwise},
    {"Clip", pointwise},
    {"LeakyRelu", pointwise},
    {"Sigmoid", pointwise},
    {"Tanh", pointwise},
    {"Exp", pointwise},
    {"Log", pointwise},
    {"Sqrt", pointwise},
    {"Abs", pointwise},
    {"Neg", pointwise},
    {"Reciprocal", pointwise},
    {"Floor", pointwise},
    {"Ceil", pointwise},
    {"Round", pointwise},
    {"Elu", pointwise},
    {"Selu", pointwise},
    {"HardSigmoid", pointwise},
    {"HardSwish", pointwise},
    {"Swish", pointwise},
    {"Softplus", pointwise},
    {"Softsign", pointwise},
    {"Mish", pointwise},
    {"Erf", pointwise},
    {"Gelu", pointwise},
    {"Add", pointwise},
    {"Sub", pointwise},
    {"Mul", pointwise},
    {"Div", pointwise},
    {"Max", pointwise},
    {"Min", pointwise},
    {"PRelu", pointwise},
    {"Pow", pointwise},
    {"BatchNormalization", batchnorm},
    {"Softmax", softmax},
    {"LogSoftmax", softmax},
    {"LayerNormalization", layernorm},
    {"RMSNormalization", layernorm},
    {"Concat", concat},
    {"Split", split},
    {"Slice", slice},
    {"Transpose", transpose},
    {"infer.Reformat", reformat},
    {"Resize", resize},
    {"infer.BoxDecode", boxdecode},
    {"infer.DetectionNMS", detectionnms},
};

static const InferImpl *const *
find_impls(const char *op)
{
  for (guint i = 0; i < G_N_ELEMENTS(table); i++)
    if (g_str_equal(table[i].op, op))
      return table[i].impls;
  return NULL;
}

static const InferBackend backend = {
    .abi = INFER_BACKEND_ABI,
    .name = "cpu",
    .host_memory = TRUE,
    .exact_rows = TRUE,
    .open = infer_cpu_open,
    .close = infer_cpu_close,
    .alloc = infer_cpu_alloc,
    .free = infer_cpu_free,
    .stream_new = infer_cpu_stream_new,
    .stream_free = infer_cpu_stream_free,
    .stream_run = infer_cpu_stream_run,
    .stream_sync = infer_cpu_stream_sync,
    .stream_mark = infer_cpu_stream_mark,
    .stream_elapsed = infer_cpu_stream_elapsed,
    .impls = find_impls,
    .preprocess = infer_cpu_preprocess,
};

const InferBackend *
infer_backend_get(void)
{
  return &backend;
}
