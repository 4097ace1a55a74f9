/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The first convolution of a network: few channels in, planes one after the other; channels-last
 * out. An implicit product on tensor cores: rows are 16 output pixels side by side, columns output
 * channels, and what is summed over is (input channel, kernel row) times WIDE_W kernel columns, a
 * power of two. Two neighbours of what is summed over are two neighbours of an input row, so that
 * fragments are read from rows in shared memory as they are; for odd strides there is a second copy
 * of the rows that is shifted by one. A zero weight stands before the kernel's first column where
 * that makes rows of the tile start at even columns. Weights are packed as fragments.
 *
 * A warp makes TILES_M rows of 16 pixels; a block XT x YT warps. Blocks stay, and read the input of
 * the next tile while they compute one. n[0]: tiles.
 */

#define USES_BARRIERS

constexpr int THREADS = XT * YT * 32;
constexpr int TILE_X = XT * 16, TILE_Y = YT * TILES_M;
constexpr int NT = OUT_C / 8;
constexpr int ROWS = (TILE_Y - 1) * STRIDE_H + KERNEL_H;
constexpr int WORDS = ((TILE_X - 1) * STRIDE_W + WIDE_W + 1) / 2;
/* Filter rows that a warp reads together should lie in different banks. */
constexpr int PITCH = (WORDS + 31 - 12) / 32 * 32 + 12;
constexpr int PLANE = IN_C * ROWS * PITCH;
constexpr int COPIES = STRIDE_W % 2 ? 2 : 1;
constexpr int COPY = PLANE + 6;
constexpr int PER = (IN_C * ROWS * WORDS + THREADS - 1) / THREADS;
constexpr int CHUNKS = (NT * 2 + 3) / 4;
constexpr int PAIRS = WIDE_W / 2;
constexpr int LANE_C = 2 * NT;
/* Enough warps to hide what each waits for. */
constexpr int BLOCKS = THREADS <= 128 ? 4 : 2;
constexpr int EV = LANE_C % 8 == 0 ? 8 : LANE_C % 4 == 0 ? 4 : 2;

struct Tile {
  int n, y, x;
};

INLINE Tile tile_at(long long index)
{
  constexpr int ACROSS = (OUT_W + TILE_X - 1) / TILE_X, DOWN = (OUT_H + TILE_Y - 1) / TILE_Y;
  Tile t;
  t.x = (int)(index % ACROSS) * TILE_X;
  index /= ACROSS;
  t.y = (int)(index % DOWN) * TILE_Y;
  t.n = (int)(index / DOWN);
  return t;
}

INLINE unsigned fetch_half(const unsigned short *row, int x)
{
  return (unsigned)x < (unsigned)IN_W ? (unsigned)__ldg(row + x) : 0u;
}

/* The words of a tile's input that this thread brings. */
INLINE void fetch(const Params &p, const Tile &t, unsigned (&words)[PER])
{
  const unsigned short *image = (const unsigned short *)p.p[X_SLOT] + t.n * (idx)X_IMAGE;
  const int x0 = t.x * STRIDE_W - BEGIN_W - FRONT, y0 = t.y * STRIDE_H - BEGIN_H;
#pragma unroll
  for (int i = 0; i < PER; i++) {
    const int at = i * THREADS + (int)threadIdx.x;
    const int row = at / WORDS, x = x0 + at % WORDS * 2;
    const int c = row / ROWS, y = y0 + row % ROWS;
    words[i] = 0;
    if (c < IN_C && (unsigned)y < (unsigned)IN_H) {
      const unsigned short *from = image + (idx)c * X_PLANE + (idx)y * X_ROW;
      if (EVEN) {
        if ((unsigned)x < (unsigned)IN_W)
          words[i] = __ldg((const unsigned *)(from + x));
      } else {
        words[i] = fetch_half(from, x) | fetch_half(from, x + 1) << 16;
      }
    }
  }
}

INLINE void keep(unsigned *rows, const unsigned (&words)[PER])
{
#pragma unroll
  for (int i = 0; i < PER; i++) {
    const int at = i * THREADS + (int)threadIdx.x;
    const int row = at / WORDS, word = at % WORDS;
    if (row < IN_C * ROWS) {
      rows[row * PITCH + word] = words[i];
      if (COPIES == 2) {
        unsigned short *shifted = (unsigned short *)(rows + COPY + row * PITCH);
        if (word > 0)
          shifted[word * 2 - 1] = (unsigned short)words[i];
        shifted[word * 2] = (unsigned short)(words[i] >> 16);
      }
    }
  }
}

/* Where pair q of what is summed over starts in the rows. */
INLINE int pair_at(int q)
{
  const int row = q / PAIRS;
  const int c = row / KERNEL_H < IN_C ? row / KERNEL_H : 0;
  return (c * ROWS + row % KERNEL_H) * PITCH + q % PAIRS;
}

INLINE void finish(const Params &p, int n, int y, int x, float (&v)[LANE_C])
{
  const int first = (int)(threadIdx.x % 4) * LANE_C;
  const idx pixel = n * (idx)Y_IMAGE + ((idx)y * OUT_W + x) * Y_PITCH;
#pragma unroll
  for (int k = 0; k < LANE_C; k += EV) {
    const idx o = pixel + first + k;
    const idx at[4] = {n, first + k, y, x};
    float a[EV];
    OUT_V r[EV];
#pragma unroll
    for (int j = 0; j < EV; j++)
      a[j] = v[k + j];
    chain<EV>(p, o, at, a, r);
    store<EV, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) stem(const Params p)
{
  __shared__ uint4 weights[STEPS * CHUNKS * 32];
  __shared__ unsigned rows[COPIES * COPY + 8];
  __shared__ float bias[OUT_C];
  const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
  const int g = lane / 4, q = lane % 4;
  const int wx = warp % XT * 16, wy = warp / XT * TILES_M;

  for (int i = (int)threadIdx.x; i < STEPS * CHUNKS * 32; i += THREADS)
    weights[i] = __ldg((const uint4 *)p.p[WEIGHT_SLOT] + i);
  for (int i = (int)threadIdx.x; i < OUT_C; i += THREADS)
#if BIAS_SLOT >= 0
    bias[i] = widen(((const BIAS_T *)p.p[BIAS_SLOT])[i]);
#else
    bias[i] = 0;
#endif

  /* Pixels at odd columns read the shifted copy. */
  const int column = (wx + g) * STRIDE_W;
  const unsigned *from = rows + column / 2 + (column % 2 ? COPY : 0) + wy * STRIDE_H * PITCH;
  int places[STEPS][2];
#pragma unroll
  for (int s = 0; s < STEPS; s++) {
    places[s][0] = pair_at(s * 8 + q);
    places[s][1] = pair_at(s * 8 + 4 + q);
  }

  unsigned words[PER];
  long long index = blockIdx.x;
  if (index < p.n[0])
    fetch(p, tile_at(index), words);
  for (; index < p.n[0]; index += gridDim.x) {
    const Tile t = tile_at(index);
    __syncthreads();
    keep(rows, words);
    __syncthreads();
    if (index + gridDim.x < p.n[0])
      fetch(p, tile_at(index + gridDim.x), words);
    float sum[TILES_M][NT][4];
#pragma unroll
    for (int k = 0; k < NT; k++) {
      const float b0 = bias[q * LANE_C + k * 2], b1 = bias[q * LANE_C + k * 2 + 1];
#pragma unroll
      for (int m = 0; m < TILES_M; m++) {
        sum[m][k][0] = sum[m][k][2] = b0;
        sum[m][k][1] = sum[m][k][3] = b1;
      }
    }
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
      uint4 b[CHUNKS];
#pragma unroll
      for (int k = 0; k < CHUNKS; k++)
        b[k] = weights[(s * CHUNKS + k) * 32 + lane];
#pragma unroll
      for (int m = 0; m < TILES_M; m++) {
        const unsigned *row = from + m * STRIDE_H * PITCH;
        const unsigned a[4] = {row[places[s][0]], row[places[s][0] + 4 * STRIDE_W],
                               row[places[s][1]], row[places[s][1] + 4 * STRIDE_W]};
#pragma unroll
        for (int k = 0; k < NT; k++) {
          const unsigned pair[2] = {k % 2 ? b[k / 2].z : b[k / 2].x, k % 2 ? b[k / 2].w : b[k / 2].y};
          mma(sum[m][k], a, pair);
        }
      }
    }
#pragma unroll
    for (int m = 0; m < TILES_M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int y = t.y + wy + m, x = t.x + wx + g + h * 8;
        float v[LANE_C];
#pragma unroll
        for (int k = 0; k < LANE_C; k++)
          v[k] = sum[m][k / 2][h * 2 + k % 2];
        if (y < OUT_H && x < OUT_W)
          finish(p, t.n, y, x, v);
      }
  }
}
