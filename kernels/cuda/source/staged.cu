/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Products with many numbers to sum over and more rows than "deep" is good for: a block makes a tile
 * of DOWN * ROWS rows and COLUMNS blocks of columns, and brings both operands to shared memory once,
 * 64 channels in a stage. Its warps are DOWN x ACROSS. Rows of the second half of a stage change
 * places by twos, so that both halves of a row lie in different banks.
 */

constexpr int HEIGHT = DOWN * ROWS;
constexpr int HALVES = 2;
constexpr int STEPS = (KB + HALVES - 1) / HALVES;
constexpr int A_UNITS = HALVES * HEIGHT * 4, B_UNITS = COLUMNS * HALVES * 128;
constexpr int A_PER = (A_UNITS + THREADS - 1) / THREADS;
constexpr int OWN = COLUMNS / ACROSS;

#ifdef EMULATED
INLINE void bring_or_zero(uint4 *to, const void *from, bool is_there)
{
  *to = is_there ? __ldg((const uint4 *)from) : uint4{0, 0, 0, 0};
}
INLINE void close_stage()
{
}
INLINE void wait_for_stage()
{
}
#else
INLINE void bring_or_zero(uint4 *to, const void *from, bool is_there)
{
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   (unsigned)__cvta_generic_to_shared(to)),
               "l"(from), "r"(is_there ? 16 : 0));
}
INLINE void close_stage()
{
  asm volatile("cp.async.commit_group;" ::: "memory");
}
INLINE void wait_for_stage()
{
  asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) staged(const Params p)
{
  DYNAMIC_SHARED(uint4, stages);
  const int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
  const int down = warp / ACROSS * ROWS, across = warp % ACROSS * OWN;
  const int first = (int)blockIdx.y * COLUMNS;
  const idx row = (idx)blockIdx.x * HEIGHT;
  const uint4 *weights = (const uint4 *)p.p[WEIGHT_SLOT];
  const X_T *from[A_PER];
  float sum[OWN][TILES_M][4][4];

  /* Eight threads bring the 128 bytes of a row. */
#pragma unroll
  for (int i = 0; i < A_PER; i++) {
    const int unit = i * THREADS + (int)threadIdx.x;
    const idx at = row + unit / 8;
    from[i] = unit < A_UNITS && at < p.n[0] ? (const X_T *)p.p[X_SLOT] + x_of(at) : nullptr;
  }
#pragma unroll
  for (int n = 0; n < OWN; n++)
#pragma unroll
    for (int i = 0; i < TILES_M * 16; i++)
      sum[n][i / 16][i / 4 % 4][i % 4] = 0;

  auto bring_step = [&](int step) {
    uint4 *a = stages + step % STAGES * (A_UNITS + B_UNITS), *b = a + A_UNITS;
#pragma unroll
    for (int i = 0; i < A_PER; i++) {
      const int unit = i * THREADS + (int)threadIdx.x;
      const int half = unit % 8 / 4, k = step * HALVES * 32 + unit % 8 * 8;
      const bool is_there = from[i] && k < IN_C;
      if (unit < A_UNITS)
        bring_or_zero(a + half * HEIGHT * 4 + (unit / 8 ^ half) * 4 + unit % 4,
                      is_there ? (const void *)(from[i] + k) : (const void *)weights, is_there);
    }
    for (int unit = (int)threadIdx.x; unit < B_UNITS; unit += THREADS) {
      const int n = first + unit / (HALVES * 128), k = step * HALVES + unit / 128 % HALVES;
      const bool is_there = n < NB && k < KB;
      bring_or_zero(b + unit,
                    weights + (is_there ? ((long long)n * KB + k) * 128 + unit % 128 : 0), is_there);
    }
  };
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < STEPS)
      bring_step(s);
    close_stage();
  }
#pragma unroll 1
  for (int step = 0; step < STEPS; step++) {
    wait_for_stage();
    __syncthreads();
    if (step + STAGES - 1 < STEPS)
      bring_step(step + STAGES - 1);
    close_stage();
    const uint4 *a = stages + step % STAGES * (A_UNITS + B_UNITS), *b = a + A_UNITS;
#pragma unroll
    for (int half = 0; half < HALVES; half++) {
      uint4 rows[TILES_M][2];
#pragma unroll
      for (int m = 0; m < TILES_M; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const int at = down + m * 16 + h * 8 + lane / 4;
          rows[m][h] = a[half * HEIGHT * 4 + (at ^ half) * 4 + lane % 4];
#if SCALED
          const bool is_there = row + at < p.n[0];
          scale(rows[m][h],
                fetch_scale(p, is_there ? row + at : 0,
                            (step * HALVES + half) * 32 + lane % 4 * 8, is_there));
#endif
        }
#pragma unroll
      for (int n = 0; n < OWN; n++) {
        uint4 columns[4];
#pragma unroll
        for (int j = 0; j < 4; j++)
          columns[j] = b[((across + n) * HALVES + half) * 128 + j * 32 + lane];
        multiply(sum[n], rows, columns);
      }
    }
  }
#pragma unroll
  for (int n = 0; n < OWN; n++) {
    const int c = (first + across + n) * 32 + lane % 4 * 8;
    float bias[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
      bias[i] = bias_of(p, c + i);
#pragma unroll
    for (int m = 0; m < TILES_M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float v[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
          v[i] = sum[n][m][i / 2][h * 2 + i % 2] + bias[i];
        finish(p, row + down + m * 16 + h * 8 + lane / 4, c, v);
      }
  }
}
