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
 * the next tile while they compute one. n[0]: tiles. With CAST the input has another type, and is
 * rounded on the way to shared memory.
 *
 * With POOL a maximum over windows of the result is written instead. A tile is then the rows that
 * are new to a row of pooled pixels: a block goes down a strip of the image, and keeps the rows that
 * the next windows share with these in registers. Where it starts inside a strip, it computes
 * those of the LEAD tiles above again. The maximum down a window is taken in registers, that across
 * goes through shared memory.
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
/* A warp brings whole rows, so that a lane knows where from without dividing. */
constexpr int WARPS = XT * YT;
constexpr int LINES = (IN_C * ROWS + WARPS - 1) / WARPS, PARTS = (WORDS + 31) / 32;
constexpr int PER = LINES * PARTS;
constexpr int CHUNKS = (NT * 2 + 3) / 4;
constexpr int PAIRS = WIDE_W / 2;
constexpr int LANE_C = 2 * NT;
/* Enough warps to hide what each waits for. */
constexpr int BLOCKS = THREADS <= 128 ? 4 : THREADS <= 256 ? 2 : 1;
constexpr int EV = LANE_C % 8 == 0 ? 8 : LANE_C % 4 == 0 ? 4 : 2;

#if POOL
constexpr int CARRY = POOL_KH > POOL_SH ? POOL_KH - POOL_SH : 0;
constexpr int LEAD = (CARRY + POOL_SH - 1) / POOL_SH;
/* Tiles above the first pooled row; none where the rows that it shares with them are padding. */
constexpr int HEAD = POOL_TOP >= CARRY ? 0 : LEAD;
constexpr int STRIP = POOL_H + HEAD;
constexpr bool WHOLE = TILE_X >= OUT_W;
constexpr int SPAN = WHOLE ? POOL_W : (TILE_X - POOL_KW) / POOL_SW + 1;
constexpr int ACROSS = (POOL_W + SPAN - 1) / SPAN;
/* Words of a pixel in shared memory; lanes that store together should reach different banks. */
constexpr int LINE = OUT_C / 2 + 4;
constexpr unsigned LOWEST = HALF ? 0xfc00fc00u : 0xff80ff80u;
#else
constexpr int LINE = 0;
#endif

#ifdef EMULATED
/* Two numbers as halves of a word. */
INLINE unsigned narrow(float low, float high)
{
  return HALF ? float_to_half(low) | (unsigned)float_to_half(high) << 16
              : float_to_bf16(low) | (unsigned)float_to_bf16(high) << 16;
}

INLINE unsigned greater(unsigned a, unsigned b)
{
  const float x = HALF ? half_to_float((unsigned short)a) : bf16_to_float((unsigned short)a);
  const float y = HALF ? half_to_float((unsigned short)b) : bf16_to_float((unsigned short)b);
  return x != x || x > y ? a : b;
}

/* Each half the greater one; not-a-number wins. */
INLINE unsigned most(unsigned a, unsigned b)
{
  return greater(a & 0xffffu, b & 0xffffu) | greater(a >> 16, b >> 16) << 16;
}
#else
/* Two numbers as halves of a word. */
INLINE unsigned narrow(float low, float high)
{
  unsigned word;
#if HALF
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#else
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#endif
  return word;
}

/* Each half the greater one; not-a-number wins. */
INLINE unsigned most(unsigned a, unsigned b)
{
  unsigned word;
#if HALF
  asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
#else
  asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
#endif
  return word;
}
#endif

/* Of the convolution; with POOL beside it the first pooled column, and the pooled row, which is
 * negative above the first. */
struct Tile {
  int n, y, x, pooled_y, pooled_x;
};

INLINE Tile tile_at(long long index)
{
  Tile t;
#if POOL
  t.pooled_y = (int)(index % STRIP) - HEAD;
  index /= STRIP;
  t.pooled_x = (int)(index % ACROSS) * SPAN;
  t.n = (int)(index / ACROSS);
  t.y = t.pooled_y * POOL_SH - POOL_TOP + CARRY;
  t.x = WHOLE ? 0 : t.pooled_x * POOL_SW - POOL_LEFT;
#else
  constexpr int ACROSS = (OUT_W + TILE_X - 1) / TILE_X, DOWN = (OUT_H + TILE_Y - 1) / TILE_Y;
  t.x = (int)(index % ACROSS) * TILE_X;
  index /= ACROSS;
  t.y = (int)(index % DOWN) * TILE_Y;
  t.n = (int)(index / DOWN);
  t.pooled_y = t.pooled_x = 0;
#endif
  return t;
}

/* Neighbours of a row as they come. */
struct alignas(2 * sizeof(X_T)) Pair {
  X_T v[2];
};

INLINE unsigned word_of(const Pair &pair)
{
#if CAST
  return narrow((float)widen(pair.v[0]), (float)widen(pair.v[1]));
#else
  return pair.v[0].x | (unsigned)pair.v[1].x << 16;
#endif
}

#if STAGED
/* Pairs are too many for registers: they wait in shared memory. */
typedef Pair *Pairs;

#ifdef EMULATED
INLINE void bring(Pair *to, const X_T *from, bool there)
{
  *to = there ? *(const Pair *)from : Pair();
}

INLINE void wait_for_pairs()
{
}
#else
INLINE void bring(Pair *to, const X_T *from, bool there)
{
  constexpr int BYTES = sizeof(Pair);
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(
                   (unsigned)__cvta_generic_to_shared(to)),
               "l"(from), "n"(BYTES), "r"(there ? BYTES : 0)
               : "memory");
}

INLINE void wait_for_pairs()
{
  asm volatile("cp.async.wait_all;" ::: "memory");
}
#endif

INLINE Pair &pair_of(Pairs pairs, int i)
{
  return pairs[i * THREADS + (int)threadIdx.x];
}
#else
typedef Pair (&Pairs)[PER];

INLINE void wait_for_pairs()
{
}

INLINE Pair &pair_of(Pairs pairs, int i)
{
  return pairs[i];
}
#endif

/* What this thread brings of a tile's input. */
INLINE void fetch(const Params &p, const Tile &t, Pairs pairs)
{
  const X_T *image = (const X_T *)p.p[X_SLOT] + t.n * (idx)X_IMAGE;
  const int x0 = t.x * STRIDE_W - BEGIN_W - FRONT + (int)(threadIdx.x % 32) * 2;
  const int y0 = t.y * STRIDE_H - BEGIN_H;
#pragma unroll
  for (int l = 0; l < LINES; l++) {
    const int row = (int)(threadIdx.x / 32) + l * WARPS, c = row / ROWS, y = y0 + row % ROWS;
    const bool there = c < IN_C && (unsigned)y < (unsigned)IN_H;
    const X_T *line = image + (idx)c * X_PLANE + (idx)y * X_ROW;
#pragma unroll
    for (int k = 0; k < PARTS; k++) {
      const int x = x0 + k * 64;
#if STAGED
      const bool inside = there && (unsigned)x < (unsigned)IN_W;
      bring(&pair_of(pairs, l * PARTS + k), inside ? line + x : image, inside);
#else
      Pair &pair = pairs[l * PARTS + k];
      pair = Pair();
      if (there && EVEN) {
        if ((unsigned)x < (unsigned)IN_W)
          get<2>(line + x, pair.v);
      } else if (there) {
        if ((unsigned)x < (unsigned)IN_W)
          get<1>(line + x, pair.v);
        if ((unsigned)(x + 1) < (unsigned)IN_W)
          get<1>(line + x + 1, pair.v + 1);
      }
#endif
    }
  }
}

INLINE void keep(unsigned *rows, Pairs pairs)
{
  wait_for_pairs();
#pragma unroll
  for (int l = 0; l < LINES; l++) {
    const int row = (int)(threadIdx.x / 32) + l * WARPS;
#pragma unroll
    for (int k = 0; k < PARTS; k++) {
      const int column = (int)(threadIdx.x % 32) + k * 32;
      if (row < IN_C * ROWS && column < WORDS) {
        const unsigned word = word_of(pair_of(pairs, l * PARTS + k));
        rows[row * PITCH + column] = word;
        if (COPIES == 2) {
          unsigned short *shifted = (unsigned short *)(rows + COPY + row * PITCH);
          if (column > 0)
            shifted[column * 2 - 1] = (unsigned short)word;
          shifted[column * 2] = (unsigned short)(word >> 16);
        }
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

/* What the nodes behind the convolution make of EV channels from k on of this lane. */
INLINE void follow(const Params &p, const Tile &t, int y, int x, int k, const float (&v)[LANE_C],
                   OUT_V (&r)[EV])
{
  const int c = (int)(threadIdx.x % 4) * LANE_C + k;
  const idx o = t.n * (idx)O_IMAGE + ((idx)y * OUT_W + x) * O_PITCH + c;
  const idx at[4] = {t.n, c, y, x};
  float a[EV];
#pragma unroll
  for (int j = 0; j < EV; j++)
    a[j] = v[k + j];
  chain<EV>(p, o, at, a, r);
}

#if POOL
struct Pixel {
  unsigned c[NT];
};

INLINE Pixel lowest()
{
  Pixel pixel;
#pragma unroll
  for (int k = 0; k < NT; k++)
    pixel.c[k] = LOWEST;
  return pixel;
}

INLINE Pixel most(const Pixel &a, const Pixel &b)
{
  Pixel pixel;
#pragma unroll
  for (int k = 0; k < NT; k++)
    pixel.c[k] = most(a.c[k], b.c[k]);
  return pixel;
}

/* The lowest number where there is no pixel. */
INLINE Pixel finish(const Params &p, const Tile &t, int y, int x, const float (&v)[LANE_C])
{
  Pixel pixel = lowest();
  if ((unsigned)y < (unsigned)OUT_H && (unsigned)x < (unsigned)OUT_W)
#pragma unroll
    for (int k = 0; k < LANE_C; k += EV) {
      OUT_V r[EV];
      follow(p, t, y, x, k, v, r);
#pragma unroll
      for (int j = 0; j < EV; j += 2)
        pixel.c[(k + j) / 2] = narrow(r[j], r[j + 1]);
    }
  return pixel;
}

/* Maxima across, of a row of maxima down. */
INLINE void pool_across(const Params &p, const Tile &t, const unsigned *line)
{
  constexpr int GROUPS = OUT_C / 8;
  for (int i = (int)threadIdx.x; i < SPAN * GROUPS; i += THREADS) {
    const int x = t.pooled_x + i / GROUPS, group = i % GROUPS;
    if (x >= POOL_W)
      break;
    alignas(16) unsigned best[4] = {LOWEST, LOWEST, LOWEST, LOWEST};
#pragma unroll
    for (int k = 0; k < POOL_KW; k++) {
      const int column = x * POOL_SW - POOL_LEFT + k;
      if ((unsigned)column < (unsigned)OUT_W) {
        const uint4 v = *(const uint4 *)(line + (column - t.x) * LINE + group * 4);
        best[0] = most(best[0], v.x);
        best[1] = most(best[1], v.y);
        best[2] = most(best[2], v.z);
        best[3] = most(best[3], v.w);
      }
    }
    const idx o =
        t.n * (idx)Y_IMAGE + ((idx)t.pooled_y * POOL_W + x) * Y_PITCH + group * 8;
    constexpr int S = Y_ALIGNED < 8 ? Y_ALIGNED : 8;
#pragma unroll
    for (int k = 0; k < 8; k += S)
      put<S>((Y_T *)p.p[Y_SLOT] + o + k, (const Y_T *)best + k);
  }
}
#else
INLINE void finish(const Params &p, const Tile &t, int y, int x, const float (&v)[LANE_C])
{
  if (y < OUT_H && x < OUT_W)
#pragma unroll
    for (int k = 0; k < LANE_C; k += EV) {
      const idx o = t.n * (idx)Y_IMAGE + ((idx)y * OUT_W + x) * Y_PITCH +
                    (int)(threadIdx.x % 4) * LANE_C + k;
      OUT_V r[EV];
      follow(p, t, y, x, k, v, r);
      store<EV, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) stem(const Params p)
{
  DYNAMIC_SHARED(uint4, weights);
  unsigned *const line = (unsigned *)(weights + STEPS * CHUNKS * 32);
  unsigned *const rows = line + TILE_X * LINE;
  float *const bias = (float *)(rows + COPIES * COPY + 8);
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

#if POOL
  const long long first = p.n[0] * blockIdx.x / gridDim.x;
  const long long last = p.n[0] * (blockIdx.x + 1) / gridDim.x, stride = 1;
  long long index = first - (first % STRIP < LEAD ? first % STRIP : LEAD);
  Pixel shared[CARRY + 1][2];
#else
  const long long last = p.n[0], stride = gridDim.x;
  long long index = blockIdx.x;
#endif
#if STAGED
  Pair *const pairs = (Pair *)(bias + OUT_C);
#else
  Pair pairs[PER];
#endif
  if (index < last)
    fetch(p, tile_at(index), pairs);
  for (; index < last; index += stride) {
    const Tile t = tile_at(index);
    __syncthreads();
    keep(rows, pairs);
    __syncthreads();
    if (index + stride < last)
      fetch(p, tile_at(index + stride), pairs);
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
#if POOL
    if (index % STRIP == 0)
#pragma unroll
      for (int i = 0; i < CARRY; i++)
        shared[i][0] = shared[i][1] = lowest();
    Pixel down[2] = {lowest(), lowest()};
#pragma unroll
    for (int i = 0; i < CARRY; i++)
#pragma unroll
      for (int h = 0; h < 2; h++)
        down[h] = most(down[h], shared[i][h]);
#endif
#pragma unroll
    for (int m = 0; m < TILES_M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int y = t.y + wy + m, x = t.x + wx + g + h * 8;
        float v[LANE_C];
#pragma unroll
        for (int k = 0; k < LANE_C; k++)
          v[k] = sum[m][k / 2][h * 2 + k % 2];
#if POOL
        const Pixel pixel = finish(p, t, y, x, v);
        down[h] = most(down[h], pixel);
        shared[CARRY][h] = pixel;
#pragma unroll
        for (int i = 0; i < CARRY; i++)
          shared[i][h] = shared[i + 1][h];
#else
        finish(p, t, y, x, v);
#endif
      }
#if POOL
    if (index < first || t.pooled_y < 0)
      continue;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      constexpr int S = NT % 4 == 0 ? 4 : NT % 2 == 0 ? 2 : 1;
#pragma unroll
      for (int k = 0; k < NT; k += S)
        put<S>(line + (wx + g + h * 8) * LINE + q * NT + k, down[h].c + k);
    }
    __syncthreads();
    pool_across(p, t, line);
#endif
  }
}
