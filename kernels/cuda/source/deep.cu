/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Products with many numbers to sum over and few rows: the warps of a block make one tile of ROWS
 * times COLUMNS blocks of columns together, each sums over every WARPS-th block, and their sums are
 * added at the end. Nothing is read by two of them, so that all goes straight to registers, STAGES
 * blocks at a time to hide what memory takes.
 */

constexpr int UNITS = TILES_M * COLUMNS * 2;

struct Step {
  uint4 a[TILES_M][2], b[COLUMNS][4];
#if SCALED
  uint4 scales[TILES_M][2];
#endif
};

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) deep(const Params p)
{
  DYNAMIC_SHARED(float, partial);
  const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
  const int first = (int)blockIdx.y * COLUMNS;
  const idx row = (idx)blockIdx.x * ROWS;
  const uint4 *weights = (const uint4 *)p.p[WEIGHT_SLOT] + (long long)first * KB * 128 + lane;
  const X_T *from[TILES_M][2];
  bool is_there[TILES_M][2];
  float sum[COLUMNS][TILES_M][4][4];

#pragma unroll
  for (int m = 0; m < TILES_M; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const idx at = row + m * 16 + h * 8 + lane / 4;
      is_there[m][h] = at < p.n[0];
      from[m][h] = (const X_T *)p.p[X_SLOT] + (is_there[m][h] ? x_of(at) : 0);
    }
#pragma unroll
  for (int n = 0; n < COLUMNS; n++)
#pragma unroll
    for (int m = 0; m < TILES_M; m++)
#pragma unroll
      for (int i = 0; i < 16; i++)
        sum[n][m][i / 4][i % 4] = 0;

  auto bring_step = [&](int k, Step &s) {
#pragma unroll
    for (int n = 0; n < COLUMNS; n++)
#pragma unroll
      for (int j = 0; j < 4; j++)
        if (first + n < NB)
          s.b[n][j] = __ldg(weights + (n * KB + k) * 128 + j * 32);
        else
          s.b[n][j] = uint4{0, 0, 0, 0};
#pragma unroll
    for (int m = 0; m < TILES_M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        s.a[m][h] = fetch(from[m][h], k * 32 + lane % 4 * 8, is_there[m][h]);
#if SCALED
        s.scales[m][h] = fetch_scale(p, row + m * 16 + h * 8 + lane / 4, k * 32 + lane % 4 * 8,
                                     is_there[m][h]);
#endif
      }
  };
  Step ring[STAGES];
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++)
    if (warp + s * WARPS < KB)
      bring_step(warp + s * WARPS, ring[s]);
#pragma unroll 1
  for (int first_k = warp; first_k < KB; first_k += WARPS * STAGES)
#pragma unroll
    for (int s = 0; s < STAGES; s++) {
      const int k = first_k + s * WARPS, later = k + (STAGES - 1) * WARPS;
      if (later < KB)
        bring_step(later, ring[(s + STAGES - 1) % STAGES]);
      if (k < KB) {
#if SCALED
#pragma unroll
        for (int i = 0; i < TILES_M * 2; i++)
          scale(ring[s].a[i / 2][i % 2], ring[s].scales[i / 2][i % 2]);
#endif
#pragma unroll
        for (int n = 0; n < COLUMNS; n++)
          multiply(sum[n], ring[s].a, ring[s].b[n]);
      }
    }

  /* Half a tile of 16 rows and 32 columns is a unit. */
  float4 *all = (float4 *)partial;
#pragma unroll
  for (int u = 0; u < UNITS; u++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int n = u / 2 % COLUMNS, m = u / 2 / COLUMNS, h = u % 2 * 2;
      const float4 v = {sum[n][m][i * 2][h], sum[n][m][i * 2][h + 1], sum[n][m][i * 2 + 1][h],
                        sum[n][m][i * 2 + 1][h + 1]};
      all[((warp * UNITS + u) * 2 + i) * 32 + lane] = v;
    }
  __syncthreads();
  for (int u = warp; u < UNITS; u += WARPS) {
    const int n = u / 2 % COLUMNS, m = u / 2 / COLUMNS;
    const int c = (first + n) * 32 + lane % 4 * 8;
    float v[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
      v[i] = bias_of(p, c + i);
#pragma unroll
    for (int w = 0; w < WARPS; w++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const float4 part = all[((w * UNITS + u) * 2 + i) * 32 + lane];
        v[i * 4] += part.x;
        v[i * 4 + 1] += part.y;
        v[i * 4 + 2] += part.z;
        v[i * 4 + 3] += part.w;
      }
    finish(p, row + m * 16 + u % 2 * 8 + lane / 4, c, v);
  }
}
