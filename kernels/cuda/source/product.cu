/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What products of rows (pixels, channels-last) with constant weights share. Blocks of 32 times 32
 * numbers: since it does not matter in which order is summed, and columns may stand in any order
 * as well, each lane takes 8 neighbouring channels of two rows with one access each, and ends up
 * with 8 neighbouring channels of the result. So rows go from memory to registers and back as they
 * are, in whole sectors. Weights are packed as such fragments: [block of columns][block of what is
 * summed over][4][lane] of 16 bytes, with zeros beyond the last. n[0]: rows.
 */

#define USES_BARRIERS

constexpr int KB = (IN_C + 31) / 32;
constexpr int NB = (OUT_C + 31) / 32;
constexpr int ROWS = TILES_M * 16;
constexpr int PIXELS = OUT_D * OUT_H * OUT_W;
constexpr int THREADS = WARPS * 32;

/* Where the input of a row begins. */
INLINE idx x_of(idx row)
{
  if (X_FLAT)
    return row * (idx)X_PITCH;
  const idx n = row / PIXELS;
  const int pixel = (int)(row % PIXELS);
  const int x = pixel % OUT_W, y = pixel / OUT_W % OUT_H, z = pixel / (OUT_W * OUT_H);
  return n * (idx)X_IMAGE +
         (((idx)z * STRIDE_D * IN_H + y * STRIDE_H) * IN_W + x * STRIDE_W) * (idx)X_PITCH;
}

INLINE uint4 fetch(const X_T *row, int k, bool is_there)
{
  alignas(16) X_T t[8];
  *(uint4 *)t = uint4{0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < 8; i += X_PIECE)
    if (is_there && k + i < IN_C)
      get<X_PIECE>(row + k + i, t + i);
  return *(uint4 *)t;
}

#if SCALED
/* What a row's eight channels from k on are multiplied by: numbers of its image. */
INLINE uint4 fetch_scale(const Params &p, idx row, int k, bool is_there)
{
  const X_T *from = (const X_T *)p.p[S_SLOT] + (is_there ? row / PIXELS * (idx)S_IMAGE : 0);
  alignas(16) X_T t[8];
  *(uint4 *)t = uint4{0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < 8; i += S_PIECE)
    if (is_there && k + i < IN_C)
      get<S_PIECE>(from + k + i, t + i);
  return *(uint4 *)t;
}

INLINE unsigned scale_pair(unsigned a, unsigned s)
{
#ifdef EMULATED
  X_T x[2], y[2];
  memcpy(x, &a, 4);
  memcpy(y, &s, 4);
  for (int i = 0; i < 2; i++)
    x[i] = Narrow<X_T>::of(widen(x[i]) * widen(y[i]));
  memcpy(&a, x, 4);
  return a;
#else
  unsigned r;
#if HALF
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(s));
#else
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(s), "r"(0x80008000u));
#endif
  return r;
#endif
}

INLINE void scale(uint4 &a, const uint4 &s)
{
  a = uint4{scale_pair(a.x, s.x), scale_pair(a.y, s.y), scale_pair(a.z, s.z),
            scale_pair(a.w, s.w)};
}
#endif

INLINE void multiply(float (&sum)[TILES_M][4][4], const uint4 (&a)[TILES_M][2],
                     const uint4 (&b)[4])
{
#pragma unroll
  for (int m = 0; m < TILES_M; m++) {
    const unsigned low[4] = {a[m][0].x, a[m][1].x, a[m][0].y, a[m][1].y};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const unsigned pair[2] = {b[j].x, b[j].y};
      mma(sum[m][j], low, pair);
    }
  }
#pragma unroll
  for (int m = 0; m < TILES_M; m++) {
    const unsigned high[4] = {a[m][0].z, a[m][1].z, a[m][0].w, a[m][1].w};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const unsigned pair[2] = {b[j].z, b[j].w};
      mma(sum[m][j], high, pair);
    }
  }
}

/* Eight channels of a row, from c on. */
INLINE void finish(const Params &p, idx row, int c, const float (&v)[8])
{
  const idx n = row / PIXELS;
  const int pixel = (int)(row % PIXELS);
  const int x = pixel % OUT_W, y = pixel / OUT_W % OUT_H, z = pixel / (OUT_W * OUT_H);
  const idx start = Y_FLAT ? row * (idx)Y_PITCH : n * (idx)Y_IMAGE + (idx)pixel * (idx)Y_PITCH;
#pragma unroll
  for (int k = 0; k < 8; k += EV)
    if (row < p.n[0] && c + k < OUT_C) {
      const idx o = start + c + k;
#if SPATIAL == 1
      const idx at[3] = {n, c + k, x};
#elif SPATIAL == 2
      const idx at[4] = {n, c + k, y, x};
#else
      const idx at[5] = {n, c + k, z, y, x};
#endif
      float a[EV];
      OUT_V r[EV];
#pragma unroll
      for (int j = 0; j < EV; j++)
        a[j] = v[k + j];
      chain<EV>(p, o, at, a, r);
      store<EV, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
    }
}

INLINE float bias_of(const Params &p, int c)
{
#if BIAS_SLOT >= 0
  return c < OUT_C ? widen(((const BIAS_T *)p.p[BIAS_SLOT])[c]) : 0;
#else
  return 0;
#endif
}

#ifdef EMULATED
INLINE void bring(uint4 *to, const uint4 *from)
{
  *to = __ldg(from);
}
INLINE void wait_for_all()
{
}
#else
INLINE void bring(uint4 *to, const uint4 *from)
{
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                   (unsigned)__cvta_generic_to_shared(to)),
               "l"(from));
}
INLINE void wait_for_all()
{
  asm volatile("cp.async.wait_all;" ::: "memory");
}
#endif
