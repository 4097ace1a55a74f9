/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Depthwise convolution, channels-last: a thread makes VEC channels of a tile of TILE_X x TILE_Y
 * output pixels, which lie GRID_W and GRID_H apart: a dilated window is one that is not, on every
 * GRID-th pixel. It walks down the input's rows; each row is read once and goes into all outputs
 * that it hits, and an output row is stored as soon as its last input row has come by. Weights
 * are [tap][channel]. n[0]: threads. */

constexpr int STEP_W = GRID_W > 1 ? 1 : DILATION_W, STEP_H = GRID_H > 1 ? 1 : DILATION_H;
constexpr int ROWS = (TILE_Y - 1) * STRIDE_H + (KERNEL_H - 1) * STEP_H + 1;
constexpr int COLUMNS = (TILE_X - 1) * STRIDE_W + (KERNEL_W - 1) * STEP_W + 1;
constexpr bool KEEP_WEIGHTS = KEEPS || (KERNEL_H * KERNEL_W <= 9 && TILE_Y > 1);

/* Whether column c of the tile is read at all; strides and dilations leave gaps. */
constexpr bool reads_column(int c)
{
  for (int k = 0; k < KERNEL_W; k++)
    for (int x = 0; x < TILE_X; x++)
      if (x * STRIDE_W + k * STEP_W == c)
        return true;
  return false;
}

constexpr bool reads_row(int r)
{
  for (int k = 0; k < KERNEL_H; k++)
    for (int y = 0; y < TILE_Y; y++)
      if (y * STRIDE_H + k * STEP_H == r)
        return true;
  return false;
}

template <bool yes, class A, class B> struct Pick {
  typedef A type;
};
template <class A, class B> struct Pick<false, A, B> {
  typedef B type;
};

template <int A> INLINE void keep(const X_T *p, float (&t)[VEC])
{
  load<VEC, A>(p, t);
}
template <int A, class T> INLINE void keep(const T *p, T (&t)[VEC])
{
  fetch<VEC, A>(p, t);
}

INLINE void finish(const Params &p, int n, int c, int y, int x0, float (&sum)[TILE_X][VEC])
{
#pragma unroll
  for (int i = 0; i < TILE_X; i++) {
    const int x = x0 + i * GRID_W;
    idx o = n * (idx)Y_IMAGE + ((idx)y * OUT_W + x) * Y_PITCH + c;
#if SPATIAL == 1
    const idx at[3] = {n, c, x};
#else
    const idx at[4] = {n, c, y, x};
#endif
    OUT_V r[VEC];
    if (y < OUT_H && x < OUT_W) {
      chain<VEC>(p, o, at, sum[i], r);
      store<VEC, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
    }
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK) depthwise(const Params p)
{
  constexpr int VECTORS = OUT_C / VEC;
  constexpr int PLACES_X = (OUT_W + GRID_W - 1) / GRID_W, PLACES_Y = (OUT_H + GRID_H - 1) / GRID_H;
  constexpr int TILES_X = (PLACES_X + TILE_X - 1) / TILE_X * GRID_W;
  constexpr int TILES_Y = (PLACES_Y + TILE_Y - 1) / TILE_Y * GRID_H;
  const long long t = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (t >= p.n[0])
    return;
  const int c = (int)(t % VECTORS) * VEC;
  int rest = (int)(t / VECTORS);
  const int tile_x = rest % TILES_X;
  rest /= TILES_X;
  const int tile_y = rest % TILES_Y, n = rest / TILES_Y;
  const int x0 = tile_x / GRID_W * (TILE_X * GRID_W) + tile_x % GRID_W;
  const int y0 = tile_y / GRID_H * (TILE_Y * GRID_H) + tile_y % GRID_H;
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

  /* Few as floats, more as they are stored: half the registers for half precision. */
  constexpr int KEPT = KEEP_WEIGHTS ? KERNEL_H * KERNEL_W : 1;
  constexpr int TOGETHER = VEC * sizeof(X_T) <= 16 ? VEC : 16 / (int)sizeof(X_T);
  typedef Pick<KEEPS, float, X_T>::type K;
  alignas(16) K kept[KEPT][VEC];
  if (KEEP_WEIGHTS)
#pragma unroll
    for (int k = 0; k < KEPT; k++)
      keep<TOGETHER>(weights + k * OUT_C, kept[k]);

#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (reads_row(r)) {
      const int row_y = iy + r * GRID_H;
      const bool in_y = (unsigned)row_y < (unsigned)IN_H;
      const X_T *from = image + ((idx)row_y * IN_W + ix) * X_PITCH;
      float row[COLUMNS][VEC];
#pragma unroll
      for (int q = 0; q < COLUMNS; q++)
        if (reads_column(q)) {
#pragma unroll
          for (int v = 0; v < VEC; v++)
            row[q][v] = 0;
          if (in_y && (unsigned)(ix + q * GRID_W) < (unsigned)IN_W)
            load<VEC, X_ALIGNED>(from + (idx)(q * GRID_W) * X_PITCH, row[q]);
        }
#pragma unroll
      for (int ky = 0; ky < KERNEL_H; ky++) {
        const int up = r - ky * STEP_H;
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
                sum[up / STRIDE_H % TILE_Y][x][v] += row[x * STRIDE_W + kx * STEP_W][v] * w[v];
          }
      }
    }
    const int done = r - (KERNEL_H - 1) * STEP_H;
    if (done >= 0 && done % STRIDE_H == 0)
      finish(p, n, c, y0 + done / STRIDE_H * GRID_H, x0, sum[done / STRIDE_H % TILE_Y]);
  }
}
