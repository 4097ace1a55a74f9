/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Products of few rows with a matrix, as squeeze and excitation have: a warp makes one output of
 * BATCH rows, its lanes share what is summed over (VEC at a time). Weights are [output][input]. n[0]:
 * rows. */

#define USES_BARRIERS

extern "C" __global__ void __launch_bounds__(WARPS * 32) connected(const Params p)
{
  const int lane = threadIdx.x % 32, n0 = (int)blockIdx.x * BATCH;
  const int c = (int)(blockIdx.y * WARPS + threadIdx.x / 32);
  if (c >= OUT_C)
    return;
  const X_T *w = (const X_T *)p.p[WEIGHT_SLOT] + (idx)c * IN_C;
  const X_T *x = (const X_T *)p.p[X_SLOT];
  float sum[BATCH];
#pragma unroll
  for (int i = 0; i < BATCH; i++)
    sum[i] = 0;
#pragma unroll 4
  for (int k = lane * VEC; k < IN_C; k += 32 * VEC) {
    float b[VEC];
    load<VEC, VEC>(w + k, b);
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
      float a[VEC];
      /* Rows beyond the last are computed from the last and not stored. */
      const idx n = n0 + i < p.n[0] ? n0 + i : (idx)p.n[0] - 1;
      load<VEC, VEC>(x + n * (idx)X_ROW + k, a);
#pragma unroll
      for (int v = 0; v < VEC; v++)
        sum[i] += a[v] * b[v];
    }
  }
#pragma unroll
  for (int i = 0; i < BATCH; i++)
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2)
      sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], mask);
  float bias = 0;
#if BIAS_SLOT >= 0
  bias = widen(((const BIAS_T *)p.p[BIAS_SLOT])[c]);
#endif
#pragma unroll
  for (int i = 0; i < BATCH; i++)
    if (lane == i % 32 && n0 + i < p.n[0]) {
      const int n = n0 + i;
      const idx o = n * (idx)Y_ROW + c;
      idx at[RANK] = {n, c};
      const float a[1] = {sum[i] * (float)ALPHA + bias};
      OUT_V r[1];
      chain<1>(p, o, at, a, r);
      store<1, 1>((OUT_T *)p.p[Y_SLOT] + o, r);
    }
}
