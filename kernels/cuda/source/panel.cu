/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Products with few numbers to sum over, which only memory limits. The weights of COLUMNS blocks of
 * columns stay in shared memory; a warp holds ROWS rows of the input in registers, walks over the
 * columns, and goes on to other rows without waiting for other warps. n[1]: tiles of ROWS rows.
 */

struct Tile {
  uint4 a[KB][TILES_M][2];
};

INLINE void fetch_tile(const Params &p, long long tile, Tile &t)
{
  const int lane = (int)(threadIdx.x % 32);
#pragma unroll
  for (int m = 0; m < TILES_M; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const long long row = tile * ROWS + m * 16 + h * 8 + lane / 4;
      const bool is_there = row < p.n[0];
      const X_T *from = (const X_T *)p.p[X_SLOT] + (is_there ? x_of((idx)row) : 0);
#pragma unroll
      for (int k = 0; k < KB; k++)
        t.a[k][m][h] = fetch(from, k * 32 + lane % 4 * 8, is_there);
    }
}

/* When the rows are there, not when they are asked for. */
INLINE void finish_tile(const Params &p, long long tile, Tile &t)
{
#if SCALED
  const int lane = (int)(threadIdx.x % 32);
#pragma unroll
  for (int m = 0; m < TILES_M; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const long long row = tile * ROWS + m * 16 + h * 8 + lane / 4;
      const bool is_there = row < p.n[0];
#pragma unroll
      for (int k = 0; k < KB; k++)
        scale(t.a[k][m][h],
              fetch_scale(p, is_there ? (idx)row : 0, k * 32 + lane % 4 * 8, is_there));
    }
#endif
}

INLINE void make_columns(const Params &p, idx row, int block, const Tile &t, const uint4 *weights,
                         const float *bias)
{
  const int lane = (int)(threadIdx.x % 32);
  float sum[TILES_M][4][4];
#pragma unroll
  for (int j = 0; j < 4; j++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const float b = bias[lane % 4 * 8 + j * 2 + i];
#pragma unroll
      for (int m = 0; m < TILES_M; m++)
        sum[m][j][i] = sum[m][j][i + 2] = b;
    }
#pragma unroll
  for (int k = 0; k < KB; k++) {
    uint4 b[4];
#pragma unroll
    for (int j = 0; j < 4; j++)
      b[j] = weights[(k * 4 + j) * 32 + lane];
    multiply(sum, t.a[k], b);
  }
#pragma unroll
  for (int m = 0; m < TILES_M; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float v[8];
#pragma unroll
      for (int i = 0; i < 8; i++)
        v[i] = sum[m][i / 2][h * 2 + i % 2];
      finish(p, row + m * 16 + h * 8 + lane / 4, block * 32 + lane % 4 * 8, v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) panel(const Params p)
{
  DYNAMIC_SHARED(uint4, weights);
  float *bias = (float *)(weights + COLUMNS * KB * 128);
  const int first = (int)blockIdx.y * COLUMNS;
  const int count = first + COLUMNS <= NB ? COLUMNS : NB - first;
  const uint4 *from = (const uint4 *)p.p[WEIGHT_SLOT] + (long long)first * KB * 128;
  const long long step = (long long)gridDim.x * WARPS;
  long long tile = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
  Tile t;

  for (int i = (int)threadIdx.x; i < count * KB * 128; i += THREADS)
    bring(weights + i, from + i);
  for (int i = (int)threadIdx.x; i < count * 32; i += THREADS)
    bias[i] = bias_of(p, first * 32 + i);
  fetch_tile(p, tile, t);
  wait_for_all();
  __syncthreads();
  while (tile < p.n[1]) {
    const idx row = (idx)(tile * ROWS);
    Tile next;
    finish_tile(p, tile, t);
    tile += step;
    if (AHEAD && tile < p.n[1])
      fetch_tile(p, tile, next);
#pragma unroll 1
    for (int n = 0; n < count; n++)
      make_columns(p, row, first + n, t, weights + n * KB * 128, bias + n * 32);
    if (AHEAD)
      t = next;
    else if (tile < p.n[1])
      fetch_tile(p, tile, t);
  }
}
