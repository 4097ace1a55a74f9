/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../epilogue.h"

/* Makes a channels-last tensor dense, each group's channels padded with zeros. */

template <typename T, int V> struct alignas(sizeof(T) * V) Pack {
  T v[V];
};

template <typename T, int V>
static __device__ __forceinline__ void
pad_channels(InferEpilogueShape shape, InferEpilogueTensor from, T *to)
{
  const int channels = shape.groups * shape.padded, packs = channels / V;
  const long long total = shape.size[0] * shape.size[1] * shape.size[2] * shape.size[3] * packs;
  const long long step = (long long)gridDim.x * blockDim.x;

  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
    const int first = (int)(i % packs) * V;
    long long rest = i / packs, offset = 0;
    Pack<T, V> pack;
#pragma unroll
    for (int axis = 3; axis >= 0; axis--) {
      offset += rest % shape.size[axis] * from.stride[axis];
      rest /= shape.size[axis];
    }
#pragma unroll
    for (int k = 0; k < V; k++) {
      const int group = (first + k) / shape.padded, channel = (first + k) % shape.padded;
      pack.v[k] = channel < shape.channels
                      ? ((const T *)from.data)[offset + group * shape.channels + channel]
                      : T(0);
    }
    ((Pack<T, V> *)to)[i] = pack;
  }
}

#define KERNEL(NAME, T, V)                                                                         \
  extern "C" __global__ void __launch_bounds__(256)                                                \
      NAME(InferEpilogueShape shape, InferEpilogueTensor from, T *to)                              \
  {                                                                                                \
    pad_channels<T, V>(shape, from, to);                                                           \
  }

KERNEL(infer_pad_channels_2, unsigned short, 1)
KERNEL(infer_pad_channels_2x4, unsigned short, 4)
KERNEL(infer_pad_channels_2x8, unsigned short, 8)
KERNEL(infer_pad_channels_4, unsigned int, 1)
KERNEL(infer_pad_channels_4x4, unsigned int, 4)
