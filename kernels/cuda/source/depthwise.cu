/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Depthwise convolution, channels-last: a thread makes VEC channels of a tile of TILE_X x TILE_Y
 * output pixels. It walks down the input's rows; each row is read once and goes into all outputs
 * that it hits, and an output row is stored as soon as its last input row has come by. Weights
 * are [tap][channel]. n[0]: threads. */

constexpr int ROWS = (TILE_Y - 1) * STRIDE_H + (KERNEL_H - 1) * DILATION_H + 1;
constexpr int COLUMNS = (TILE_X - 1) * STRIDE_W + (KERNEL_W - 1) * DILATION_W + 1;
constexpr bool KEEP_WEIGHTS = KERNEL_H * KERNEL_W <= 9 && TILE_Y > 1;

/* Whether column c of the tile is read at all; strides and dilations leave gaps. */
constexpr bool reads_column(int c)
{
  for (int k = 0; k < KERNEL_W; k++)
    for (int x = 0; x < TILE_X; x++)
      if (x * STRIDE_W + k * DILATION_W == c)
        return true;
  return false;
}

constexpr bool reads_row(int r)
{
  for (int k = 0; k < KERNEL_H; k++)
    for (int y = 0; y < TILE_Y; y++)
      if (y * STRIDE_H + k * DILATION_H == r)
        return true;
  return false;
}

INLINE void finish(const Params &p, int n, int c, int y, int x0, float (&sum)[TILE_X][VEC])
{
#pragma unroll
  for (int i = 0; i < TILE_X; i++) {
    idx o = n * (idx)Y_IMAGE + ((idx)y * OUT_W + x0 + i) * Y_PITCH + c;
#if SPATIAL == 1
    const idx at[3] = {n, c, x0 + i};
#else
    const idx at[4] = {n, c, y, x0 + i};
#endif
    OUT_V r[VEC];
    if (y < OUT_H && x0 + i < OUT_W) {
      chain<VEC>(p, o, at, sum[i], r);
      store<VEC, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
    }
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK) depthwise(const Params p)
{
  constexpr int VECTORS = OUT_C / VEC;
  constexpr int TILES_X = (OUT_W + TILE_X - 1) / TILE_X, TILES_Y = (OUT_H + TILE_Y - 1) / TILE_Y;
  const long long t = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (t >= p.n[0])
    return;
  const int c = (int)(t % VECTORS) * VEC;
  int rest = (int)(t / VECTORS);
  const int x0 = rest % TILES_X * TILE_X;
  rest /= TILES_X;
  const int y0 = rest % TILES_Y * TILE_Y, n = rest / TILES_Y;
  const int ix = x0 * STRIDE_W - BEGIN_W, iy = y0 * STRIDE_H - BEGIN_H;
  const X_T *image = (const X_T *)p.p[X_SLOT] + n * (idx)X_IMAGE + c;
  const X_T *weights = (const X_T *)p.p[WEIGHT_SLOT] + c;

  float sum[TILE_Y][TILE_X][VEC], bias[VEC];
#if BIAS_SLOT >= 0
  load<VEC, VEC * sizeof(BIAS_T) <= 16 ? VEC : 16 / (int)sizeof(BIAS_T)>(
      (const BIAS_T *)p.p[BIAS_SLOT] + c, bias);
#else
#pragma unroll
  for (int v = 0; v < VEC; v++)
    bias[v] = 0;
#endif
#pragma unroll
  for (int y = 0; y < TILE_Y; y++)
#pragma unroll
    for (int x = 0; x < TILE_X; x++)
#pragma unroll
      for (int v = 0; v < VEC; v++)
        sum[y][x][v] = bias[v];

  /* As they are stored, which takes half the registers for half precision. */
  constexpr int KEPT = KEEP_WEIGHTS ? KERNEL_H * KERNEL_W : 1;
  constexpr int TOGETHER = VEC * sizeof(X_T) <= 16 ? VEC : 16 / (int)sizeof(X_T);
  alignas(16) X_T kept[KEPT][VEC];
  if (KEEP_WEIGHTS)
#pragma unroll
    for (int k = 0; k < KEPT; k++)
#pragma unroll
      for (int v = 0; v < VEC; v += TOGETHER)
        get<TOGETHER>(weights + k * OUT_C + v, kept[k] + v);

#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (reads_row(r)) {
      const bool in_y = (unsigned)(iy + r) < (unsigned)IN_H;
      const X_T *from = image + ((idx)(iy + r) * IN_W + ix) * X_PITCH;
      float row[COLUMNS][VEC];
#pragma unroll
      for (int q = 0; q < COLUMNS; q++)
        if (reads_column(q)) {
#pragma unroll
          for (int v = 0; v < VEC; v++)
            row[q][v] = 0;
          if (in_y && (unsigned)(ix + q) < (unsigned)IN_W)
            load<VEC, X_ALIGNED>(from + (idx)q * X_PITCH, row[q]);
        }
#pragma unroll
      for (int ky = 0; ky < KERNEL_H; ky++) {
        const int up = r - ky * DILATION_H;
        if (up >= 0 && up % STRIDE_H == 0 && up / STRIDE_H < TILE_Y)
#pragma unroll
          for (int kx = 0; kx < KERNEL_W; kx++) {
            float w[VEC];
            if (KEEP_WEIGHTS)
#pragma unroll
              for (int v = 0; v < VEC; v++)
                w[v] = widen(kept[(ky * KERNEL_W + kx) % KEPT][v]);
            else
              load<VEC, TOGETHER>(weights + (ky * KERNEL_W + kx) * OUT_C, w);
#pragma unroll
            for (int x = 0; x < TILE_X; x++)
#pragma unroll
              for (int v = 0; v < VEC; v++)
                sum[up / STRIDE_H % TILE_Y][x][v] += row[x * STRIDE_W + kx * DILATION_W][v] * w[v];
          }
      }
    }
    const int done = r - (KERNEL_H - 1) * DILATION_H;
    if (done >= 0 && done % STRIDE_H == 0)
      finish(p, n, c, y0 + done / STRIDE_H, x0, sum[done / STRIDE_H % TILE_Y]);
  }
}
