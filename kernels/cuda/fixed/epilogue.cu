/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../epilogue.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

/* Interprets an epilogue. It waits for memory most of the time, so that this costs little. */

static __device__ __forceinline__ float
load(const float *p)
{
  return *p;
}

static __device__ __forceinline__ float
load(const __half *p)
{
  return __half2float(*p);
}

static __device__ __forceinline__ float
load(const __nv_bfloat16 *p)
{
  return __bfloat162float(*p);
}

static __device__ __forceinline__ void
store(float *p, float x)
{
  *p = x;
}

static __device__ __forceinline__ void
store(__half *p, float x)
{
  *p = __float2half_rn(x);
}

static __device__ __forceinline__ void
store(__nv_bfloat16 *p, float x)
{
  *p = __float2bfloat16_rn(x);
}

/* NaN goes through, as it does in the reference. */
static __device__ __forceinline__ float
clip(float x, float low, float high)
{
  return x < low ? low : x > high ? high : x;
}

static __device__ float
apply(const InferEpilogueOp &op, float x, float y)
{
  switch (op.mode) {
  case INFER_EPILOGUE_ADD:
    return x + y;
  case INFER_EPILOGUE_SUB:
    return x - y;
  case INFER_EPILOGUE_MUL:
    return x * y;
  case INFER_EPILOGUE_DIV:
    return x / y;
  case INFER_EPILOGUE_MAX:
    return x != x || x > y ? x : y;
  case INFER_EPILOGUE_MIN:
    return x != x || x < y ? x : y;
  case INFER_EPILOGUE_RELU:
    return clip(x, op.p0, op.p1);
  case INFER_EPILOGUE_LEAKY:
    return x < 0.0f ? x * op.p0 : x;
  case INFER_EPILOGUE_SIGMOID:
    return 1.0f / (1.0f + expf(-x));
  case INFER_EPILOGUE_TANH:
    return tanhf(x);
  case INFER_EPILOGUE_ELU:
    return x < 0.0f ? op.p0 * expm1f(x) : x;
  case INFER_EPILOGUE_GELU:
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
  case INFER_EPILOGUE_GELU_TANH:
    return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
  case INFER_EPILOGUE_SWISH:
    return x / (1.0f + expf(-op.p0 * x));
  case INFER_EPILOGUE_SOFTPLUS:
    return x > 20.0f ? x : log1pf(expf(x));
  case INFER_EPILOGUE_EXP:
    return expf(x);
  case INFER_EPILOGUE_ABS:
    return fabsf(x);
  case INFER_EPILOGUE_NEG:
    return -x;
  case INFER_EPILOGUE_SQRT:
    return sqrtf(x);
  default:
    return x;
  }
}

static __device__ __forceinline__ long long
offset_of(const InferEpilogueTensor &tensor, const long long *at)
{
  return at[0] * tensor.stride[0] + at[1] * tensor.stride[1] + at[2] * tensor.stride[2] +
         at[3] * tensor.stride[3];
}

template <typename T>
static __device__ __forceinline__ void
epilogue(const InferEpilogueShape &shape, const T *from, const InferEpilogueTensor &to,
         const InferEpilogueSides &sides, const InferEpilogueProgram &program)
{
  const int channels = shape.groups * shape.channels;
  const long long total = shape.size[0] * shape.size[1] * shape.size[2] * shape.size[3] * channels;
  const long long step = (long long)gridDim.x * blockDim.x;

  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
    const int c = (int)(i % channels);
    const long long pixel = i / channels;
    long long at[4], rest = pixel;
    float values[INFER_EPILOGUE_MAX_OPS + 1];
#pragma unroll
    for (int axis = 3; axis >= 0; axis--) {
      at[axis] = rest % shape.size[axis];
      rest /= shape.size[axis];
    }
    values[0] = load(from + pixel * shape.groups * shape.padded +
                     c / shape.channels * shape.padded + c % shape.channels);
    for (int k = 0; k < program.n; k++) {
      const InferEpilogueOp &op = program.ops[k];
      float y = op.p0;
      if (op.operand == INFER_EPILOGUE_VALUE)
        y = values[op.b];
      else if (op.operand == INFER_EPILOGUE_CHANNEL)
        y = load((const T *)sides.side[op.b].data + c);
      else if (op.operand == INFER_EPILOGUE_TENSOR)
        y = load((const T *)sides.side[op.b].data + offset_of(sides.side[op.b], at) + c);
      values[k + 1] = apply(op, values[op.a], y);
    }
    store((T *)to.data + offset_of(to, at) + c, values[program.n]);
  }
}

#define KERNEL(NAME, T)                                                                            \
  extern "C" __global__ void __launch_bounds__(256)                                                \
      NAME(const __grid_constant__ InferEpilogueShape shape, const T *from,                        \
           const __grid_constant__ InferEpilogueTensor to,                                         \
           const __grid_constant__ InferEpilogueSides sides,                                       \
           const __grid_constant__ InferEpilogueProgram program)                                   \
  {                                                                                                \
    epilogue<T>(shape, from, to, sides, program);                                                  \
  }

KERNEL(infer_epilogue_f32, float)
KERNEL(infer_epilogue_f16, __half)
KERNEL(infer_epilogue_bf16, __nv_bfloat16)
