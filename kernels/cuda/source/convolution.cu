/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any convolution: a thread makes one output channel of PIXELS neighbours along x. Transposed, a
 * tap hits where the stride divides. n[0]: threads. */

/* Where tap k of output o lies in the input; negative where it hits nothing. */
INLINE int place(int o, int k, int stride, int dilation, int begin, int size)
{
  int at = TRANSPOSED ? o + begin - k * dilation : o * stride - begin + k * dilation;
  if (TRANSPOSED) {
    if (at < 0 || at % stride != 0)
      return -1;
    at /= stride;
  }
  return at >= 0 && at < size ? at : -1;
}

extern "C" __global__ void __launch_bounds__(128) convolution(const Params p)
{
  constexpr int TILES = (OUT_W + PIXELS - 1) / PIXELS;
  constexpr int GROUP_IN = IN_C / GROUPS, GROUP_OUT = OUT_C / GROUPS;
  const X_T *weights = (const X_T *)p.p[WEIGHT_SLOT];
  for (long long t = (long long)blockIdx.x * 128 + threadIdx.x; t < p.n[0];
       t += (long long)gridDim.x * 128) {
    int c = (int)(t % OUT_C);
    long long rest = t / OUT_C;
    int x0 = (int)(rest % TILES) * PIXELS;
    rest /= TILES;
    int y = (int)(rest % OUT_H);
    rest /= OUT_H;
    int z = (int)(rest % OUT_D), n = (int)(rest / OUT_D);
    const X_T *image = (const X_T *)p.p[X_SLOT] + n * (idx)X_IMAGE + c / GROUP_OUT * GROUP_IN;
    float sum[PIXELS];
    float bias = 0;
#if BIAS_SLOT >= 0
    bias = widen(((const BIAS_T *)p.p[BIAS_SLOT])[c]);
#endif
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
      sum[i] = bias;
    for (int kz = 0; kz < KERNEL_D; kz++) {
      int iz = place(z, kz, STRIDE_D, DILATION_D, BEGIN_D, IN_D);
      for (int ky = 0; ky < KERNEL_H && iz >= 0; ky++) {
        int iy = place(y, ky, STRIDE_H, DILATION_H, BEGIN_H, IN_H);
        for (int kx = 0; kx < KERNEL_W && iy >= 0; kx++) {
          const X_T *w =
              weights + (idx)((kz * KERNEL_H + ky) * KERNEL_W + kx) * GROUP_IN * OUT_C + c;
          const X_T *from[PIXELS];
#pragma unroll
          for (int i = 0; i < PIXELS; i++) {
            int ix = x0 + i < OUT_W ? place(x0 + i, kx, STRIDE_W, DILATION_W, BEGIN_W, IN_W) : -1;
            from[i] = ix < 0 ? nullptr : image + ((idx)(iz * IN_H + iy) * IN_W + ix) * X_PITCH;
          }
          for (int k = 0; k < GROUP_IN; k++) {
            float weight = widen(w[(idx)k * OUT_C]);
#pragma unroll
            for (int i = 0; i < PIXELS; i++)
              if (from[i])
                sum[i] += widen(from[i][k]) * weight;
          }
        }
      }
    }
#pragma unroll
    for (int i = 0; i < PIXELS; i++) {
      idx pixel = ((idx)z * OUT_H + y) * OUT_W + x0 + i;
      idx o = n * (idx)Y_IMAGE + pixel * Y_PITCH + c;
#if SPATIAL == 1
      const idx at[3] = {n, c, x0 + i};
#elif SPATIAL == 2
      const idx at[4] = {n, c, y, x0 + i};
#else
      const idx at[5] = {n, c, z, y, x0 + i};
#endif
      const float a[1] = {sum[i]};
      OUT_V r[1];
      if (x0 + i < OUT_W) {
        chain<1>(p, o, at, a, r);
        store<1, 1>((OUT_T *)p.p[Y_SLOT] + o, r);
      }
    }
  }
}
