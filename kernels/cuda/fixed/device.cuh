/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared.h"

/* What the fixed kernels share on the device. */

#define INFER_KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)

#ifndef INFER_EMULATE
/* Memory of a block whose size the launch says. */
#define INFER_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

/** An index of 32 or 64 bits, from the end where negative; -1 where it is out of range. */
static __device__ __forceinline__ int64_t
read_index(const void *indices, int64_t at, int32_t wide, int64_t size)
{
  int64_t index = wide ? ((const int64_t *)indices)[at] : ((const int32_t *)indices)[at];

  index += index < 0 ? size : 0;
  return index >= 0 && index < size ? index : -1;
}

/* Products and sums that are never made one operation, where results have to be those of C. */
static __device__ __forceinline__ float
mul(float a, float b)
{
  return __fmul_rn(a, b);
}

static __device__ __forceinline__ float
add(float a, float b)
{
  return __fadd_rn(a, b);
}
