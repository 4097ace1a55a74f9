/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect.h"
#include "number.h"
#include "select.cuh"

/* TopK: a block per row takes chunks of sorted elements until there are enough. */

#define THREADS 512
#define CHUNK 1024

/* A number whose order is that of the values: both zeros are one, NaN comes after infinity. */
static __device__ __forceinline__ uint32_t
float_order(float value)
{
  uint32_t bits;

  if (value != value)
    return 0xffffffffu;
  value = value == 0 ? 0 : value;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct ReadRow {
  const void *data;
  int64_t inner;
  int32_t type, largest;
  __device__ uint64_t operator()(uint32_t i) const
  {
    int64_t at = (int64_t)i * inner;
    uint32_t order;

    switch (type) {
    case INFER_CUDA_FLOAT:
      order = float_order(((const float *)data)[at]);
      break;
    case INFER_CUDA_HALF:
      order = float_order(number_from_half(((const uint16_t *)data)[at]));
      break;
    case INFER_CUDA_BFLOAT:
      order = float_order(number_from_bfloat(((const uint16_t *)data)[at]));
      break;
    case INFER_CUDA_INT8:
      order = (uint32_t)((const int8_t *)data)[at] ^ 0x80000000u;
      break;
    case INFER_CUDA_INT16:
      order = (uint32_t)((const int16_t *)data)[at] ^ 0x80000000u;
      break;
    case INFER_CUDA_INT32:
      order = (uint32_t)((const int32_t *)data)[at] ^ 0x80000000u;
      break;
    case INFER_CUDA_UINT8:
      order = ((const uint8_t *)data)[at];
      break;
    case INFER_CUDA_UINT16:
      order = ((const uint16_t *)data)[at];
      break;
    default:
      order = ((const uint32_t *)data)[at];
    }
    return (uint64_t)(largest ? ~order : order) << 32 | i;
  }
};

INFER_KERNEL(THREADS)
infer_topk(void *values, int64_t *indices, const void *data, const InferCudaTopK args)
{
  __shared__ uint64_t keys[CHUNK];
  __shared__ Selection selection;
  int64_t row = blockIdx.x, outer = row / args.inner, column = row - outer * args.inner;
  const unsigned char *src =
      (const unsigned char *)data + (outer * args.n * args.inner + column) * args.size;
  ReadRow read = {src, args.inner, args.type, args.largest};
  uint64_t from = 0;

  for (int64_t done = 0; done < args.k;) {
    uint32_t found = select_next(read, (uint32_t)args.n, from, keys, CHUNK, THREADS, &selection);

    if (found == 0)
      break;
    from = keys[found - 1] + 1;
    for (uint32_t i = threadIdx.x; i < found && done + i < args.k; i += THREADS) {
      uint32_t index = (uint32_t)keys[i];
      int64_t to = (outer * args.k + done + i) * args.inner + column;
      int64_t at = (int64_t)index * args.inner;

      if (values && args.size == 4)
        ((uint32_t *)values)[to] = ((const uint32_t *)src)[at];
      else if (values && args.size == 2)
        ((uint16_t *)values)[to] = ((const uint16_t *)src)[at];
      else if (values)
        ((uint8_t *)values)[to] = src[at];
      if (indices)
        indices[to] = index;
    }
    done += found;
    __syncthreads();
  }
}
