/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pooling, channels-last: a thread makes VEC channels of an output pixel. KIND: 0 maximum, 1 mean,
 * 2 norm of power POWER. n[0]: threads. */

typedef Value<X_T>::type S;

INLINE S power_of(S x)
{
  x = x < 0 ? -x : x;
  return POWER == 1 ? x : POWER == 2 ? x * x : (S)pow((double)x, (double)POWER);
}

INLINE S root_of(S x)
{
  return POWER == 1 ? x : POWER == 2 ? (S)sqrt((double)x) : (S)pow((double)x, 1.0 / POWER);
}

/* Taps before the end of the padding behind the input. */
INLINE int padded(int start, int kernel, int dilation, int size, int end)
{
  int room = size + end - start;
  int taps = room <= 0 ? 0 : (room - 1) / dilation + 1;
  return taps < kernel ? taps : kernel;
}

extern "C" __global__ void __launch_bounds__(BLOCK) pooling(const Params p)
{
  constexpr int VECTORS = OUT_C / VEC;
  const long long t = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (t >= p.n[0])
    return;
  const int c = (int)(t % VECTORS) * VEC;
  long long rest = t / VECTORS;
  const int x = (int)(rest % OUT_W);
  rest /= OUT_W;
  const int y = (int)(rest % OUT_H);
  rest /= OUT_H;
  const int z = (int)(rest % OUT_D), n = (int)(rest / OUT_D);
  const int ix = x * STRIDE_W - BEGIN_W, iy = y * STRIDE_H - BEGIN_H, iz = z * STRIDE_D - BEGIN_D;
  const X_T *image = (const X_T *)p.p[X_SLOT] + n * (idx)X_IMAGE + c;
  S s[VEC];
  long long found[VEC];
  int inside = 0;
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    s[v] = 0;
    found[v] = -1;
  }
  for (int kz = 0; kz < KERNEL_D; kz++) {
    const int az = iz + kz * DILATION_D;
    if ((unsigned)az >= (unsigned)IN_D)
      continue;
#pragma unroll UNROLL
    for (int ky = 0; ky < KERNEL_H; ky++) {
      const int ay = iy + ky * DILATION_H;
#pragma unroll UNROLL
      for (int kx = 0; kx < KERNEL_W; kx++) {
        const int ax = ix + kx * DILATION_W;
        if ((unsigned)ay < (unsigned)IN_H && (unsigned)ax < (unsigned)IN_W) {
          const idx pixel = ((idx)az * IN_H + ay) * IN_W + ax;
          S a[VEC];
          load<VEC, X_ALIGNED>(image + pixel * X_PITCH, a);
#pragma unroll
          for (int v = 0; v < VEC; v++) {
            if (KIND == 0) {
              const bool first = INDICES ? found[v] < 0 : inside == 0;
              if (first || a[v] > s[v] || (a[v] != a[v] && s[v] == s[v])) {
                s[v] = a[v];
                found[v] = COLUMN_MAJOR ? az + (long long)IN_D * (ay + (long long)IN_H * ax) : pixel;
              }
            } else {
              s[v] += KIND == 1 ? a[v] : power_of(a[v]);
            }
          }
          inside++;
        }
      }
    }
  }
  int count = inside;
  if (KIND == 1 && INCLUDE_PAD)
    count = padded(ix, KERNEL_W, DILATION_W, IN_W, END_W) *
            padded(iy, KERNEL_H, DILATION_H, IN_H, END_H) *
            padded(iz, KERNEL_D, DILATION_D, IN_D, END_D);
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    if (KIND == 0 && inside == 0)
      s[v] = cast_to<S>((float)__int_as_float((int)0xff800000u));
    if (KIND == 1)
      s[v] = count > 0 ? (S)(s[v] / count) : (S)0;
    if (KIND == 2)
      s[v] = root_of(s[v]);
  }
  const idx pixel = ((idx)z * OUT_H + y) * OUT_W + x, o = n * (idx)Y_IMAGE + pixel * Y_PITCH + c;
#if SPATIAL == 1
  const idx at[3] = {n, c, x};
#elif SPATIAL == 2
  const idx at[4] = {n, c, y, x};
#else
  const idx at[5] = {n, c, z, y, x};
#endif
  OUT_V r[VEC];
  chain<VEC>(p, o, at, s, r);
  store<VEC, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
#if INDICES
  for (int v = 0; v < VEC; v++) {
    long long plane = ((long long)n * OUT_C + c + v) * IN_D * IN_H * IN_W;
    ((long long *)p.p[INDEX_SLOT])[n * (idx)INDEX_IMAGE + pixel * INDEX_PITCH + c + v] =
        found[v] < 0 ? -1 : plane + found[v];
  }
#endif
}
