/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Resize of the spatial axes. Channels-last a thread makes VEC channels of an output pixel. With
 * PLAIN, in any other order, it makes VEC neighbours along x in each of n[1] planes, so that weights
 * are found once for all of them. MODE: 0 nearest, 1 linear, 2 cubic; COORDINATES and NEAREST as
 * resize.c numbers them. n[0]: threads; n[2]: planes in all. */

#if SHARED
#define USES_BARRIERS
#endif

typedef Value<X_T>::type S;

/* One axis: its sizes, and what a coordinate is multiplied with and divided by. */
struct Axis {
  int in, out;
  double factor, divisor, scale;
  bool same;
};

/* As floats, which is what scales come as; beyond 24 bits a float cannot tell elements apart. */
INLINE double coordinate(const Axis &a, int i)
{
  const double half = (i + 0.5) * a.factor / a.divisor - 0.5;
  double x = half;
  if (COORDINATES == 1)
    x = a.in / 2.0 * (1 - a.out / (a.scale * a.in)) + half;
  else if (COORDINATES == 2)
    x = a.out > 1 ? half : 0;
  else if (COORDINATES == 3) {
    /* The resized length is what the scale gives, with its fraction. */
    const double length = a.factor == a.in ? a.out : a.in * a.scale;
    x = i > 0 ? i * (a.in - 1.0) / (length - 1) : 0;
  } else if (COORDINATES == 4)
    x = i * a.factor / a.divisor;
  else if (COORDINATES == 5)
    x = (i + 0.5) * a.factor / a.divisor;
  return fabs(x) < 1048576.0 ? (double)(float)x : x;
}

INLINE int clamp(long long x, int size)
{
  return x < 0 ? 0 : x > size - 1 ? size - 1 : (int)x;
}

INLINE int nearest(const Axis &a, int i)
{
  const double x = coordinate(a, i);
  return clamp((long long)(NEAREST == 0   ? ceil(x - 0.5)
                           : NEAREST == 1 ? floor(x + 0.5)
                           : NEAREST == 2 ? floor(x)
                                          : ceil(x)),
               a.in);
}

INLINE double filter(double x)
{
  x = fabs(x);
  if (MODE == 1)
    return x < 1 ? 1 - x : 0;
  if (x <= 1)
    return ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * x * CUBIC_A - 4 * CUBIC_A : 0;
}

/* Weights of the taps around output i. Returns: the first tap, maybe outside of the input. */
template <int TAPS> INLINE int weigh(const Axis &a, int i, float (&weights)[TAPS])
{
  if (a.same || MODE == 0) {
    weights[0] = 1;
    return a.same ? i : nearest(a, i);
  }
  const double wide = ANTIALIAS && a.scale < 1 ? 1 / a.scale : 1, x = coordinate(a, i);
  const int first = (int)floor(x) - (TAPS / 2 - 1);
  double sum = 0;
#pragma unroll
  for (int t = 0; t < TAPS; t++) {
    const bool in_range = first + t >= 0 && first + t < a.in;
    const double w = EXCLUDE_OUTSIDE && !in_range ? 0 : filter((first + t - x) / wide);
    weights[t] = (float)w;
    sum += w;
  }
  if (sum == 0) {
    weights[0] = 1;
    return clamp(first, a.in);
  }
  if (wide > 1 || EXCLUDE_OUTSIDE)
#pragma unroll
    for (int t = 0; t < TAPS; t++)
      weights[t] = (float)(weights[t] / sum);
  return first;
}

#if SPATIAL == 1
#define PLACE(N, C, Z, Y, X) {N, C, X}
#elif SPATIAL == 2
#define PLACE(N, C, Z, Y, X) {N, C, Y, X}
#else
#define PLACE(N, C, Z, Y, X) {N, C, Z, Y, X}
#endif

#if PLAIN
INLINE void make(const Params &p)
{
  constexpr idx from[5] = X_STRIDES, to[5] = Y_STRIDES;
  const Axis ad = {IN_D, OUT_D, FACTOR_D, DIVISOR_D, SCALE_D, SAME_D};
  const Axis ah = {IN_H, OUT_H, FACTOR_H, DIVISOR_H, SCALE_H, SAME_H};
  const Axis aw = {IN_W, OUT_W, FACTOR_W, DIVISOR_W, SCALE_W, SAME_W};
  const long long t = (long long)blockIdx.x * 128 + threadIdx.x;
  if (t >= p.n[0])
    return;
  const int x = (int)(t % (OUT_W / VEC)) * VEC;
  long long rest = t / (OUT_W / VEC);
  const int y = (int)(rest % OUT_H);
  rest /= OUT_H;
  const int z = (int)(rest % OUT_D);
  const long long first = rest / OUT_D * p.n[1];
  const long long last = first + p.n[1] < p.n[2] ? first + p.n[1] : p.n[2];
  float wd[TAPS_D], wh[TAPS_H], ww[VEC][TAPS_W];
  idx columns[VEC][TAPS_W];
  const int fd = weigh(ad, z, wd), fh = weigh(ah, y, wh);
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    const int fw = weigh(aw, x + v, ww[v]);
#pragma unroll
    for (int k = 0; k < TAPS_W; k++)
      columns[v][k] = clamp(fw + k, IN_W) * from[4];
  }
  int n = (int)(first / OUT_C), c = (int)(first % OUT_C);
#pragma unroll 2
  for (long long plane = first; plane < last; plane++) {
    const X_T *image = (const X_T *)p.p[X_SLOT] + n * from[0] + c * from[1];
    S s[VEC];
#pragma unroll
    for (int v = 0; v < VEC; v++)
      s[v] = 0;
#pragma unroll
    for (int kd = 0; kd < TAPS_D; kd++)
#pragma unroll
      for (int kh = 0; kh < TAPS_H; kh++) {
        const float weight = wh[kh] * wd[kd];
        const X_T *line = image + clamp(fd + kd, IN_D) * from[2] + clamp(fh + kh, IN_H) * from[3];
#pragma unroll
        for (int v = 0; v < VEC; v++) {
          S row = 0;
#pragma unroll
          for (int k = 0; k < TAPS_W; k++) {
            S a[1];
            load<1, 1>(line + columns[v][k], a);
            if (MODE == 0)
              row = a[0];
            else if (ww[v][k] != 0)
              row += (S)ww[v][k] * a[0];
          }
          if (MODE == 0)
            s[v] = row;
          else if (weight != 0)
            s[v] += (S)weight * row;
        }
      }
    const idx o = n * to[0] + c * to[1] + z * to[2] + y * to[3] + x * to[4];
    const idx at[SPATIAL + 2] = PLACE(n, c, z, y, x);
    OUT_V r[VEC];
    chain<VEC>(p, o, at, s, r);
    store<VEC, OUT_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
    n += c + 1 == OUT_C;
    c = c + 1 == OUT_C ? 0 : c + 1;
  }
}
#else
constexpr int VECTORS = OUT_C / VEC;
/* Pixels that a block's threads touch. */
constexpr int PIXELS = (128 + VECTORS - 2) / VECTORS + 1;

struct Place {
  int z, y, x;
  float wd[TAPS_D], wh[TAPS_H], ww[TAPS_W];
};

/* Where pixel @pixel of all images comes from. */
INLINE void find(long long pixel, Place &place)
{
  const Axis ad = {IN_D, OUT_D, FACTOR_D, DIVISOR_D, SCALE_D, SAME_D};
  const Axis ah = {IN_H, OUT_H, FACTOR_H, DIVISOR_H, SCALE_H, SAME_H};
  const Axis aw = {IN_W, OUT_W, FACTOR_W, DIVISOR_W, SCALE_W, SAME_W};
  place.x = weigh(aw, (int)(pixel % OUT_W), place.ww);
  place.y = weigh(ah, (int)(pixel / OUT_W % OUT_H), place.wh);
  place.z = weigh(ad, (int)(pixel / OUT_W / OUT_H % OUT_D), place.wd);
}

INLINE void make(const Params &p)
{
  const long long t = (long long)blockIdx.x * 128 + threadIdx.x;
  const int c = (int)(t % VECTORS) * VEC;
  long long rest = t / VECTORS;
  /* Threads that share a pixel share what it takes to find its places. */
#if SHARED
  __shared__ Place places[PIXELS];
  const long long first = (long long)blockIdx.x * 128 / VECTORS;
  if (threadIdx.x < PIXELS)
    find(first + threadIdx.x, places[threadIdx.x]);
  __syncthreads();
  const Place &place = places[rest - first];
#else
  Place place;
  find(rest, place);
#endif
  if (t >= p.n[0])
    return;
  const int x = (int)(rest % OUT_W);
  rest /= OUT_W;
  const int y = (int)(rest % OUT_H);
  rest /= OUT_H;
  const int z = (int)(rest % OUT_D), n = (int)(rest / OUT_D);
  const X_T *image = (const X_T *)p.p[X_SLOT] + n * (idx)X_IMAGE + c;
  S s[VEC];
#pragma unroll
  for (int v = 0; v < VEC; v++)
    s[v] = 0;
#pragma unroll
  for (int kd = 0; kd < TAPS_D; kd++)
#pragma unroll
    for (int kh = 0; kh < TAPS_H; kh++) {
      S row[VEC];
      const idx line = ((idx)clamp(place.z + kd, IN_D) * IN_H + clamp(place.y + kh, IN_H)) * IN_W;
#pragma unroll
      for (int v = 0; v < VEC; v++)
        row[v] = 0;
#pragma unroll
      for (int kw = 0; kw < TAPS_W; kw++) {
        S a[VEC];
        load<VEC, X_ALIGNED>(image + (line + clamp(place.x + kw, IN_W)) * X_PITCH, a);
#pragma unroll
        for (int v = 0; v < VEC; v++)
          if (MODE == 0)
            row[v] = a[v];
          else if (place.ww[kw] != 0)
            row[v] += (S)place.ww[kw] * a[v];
      }
#pragma unroll
      for (int v = 0; v < VEC; v++)
        if (MODE == 0)
          s[v] = row[v];
        else if (place.wh[kh] * place.wd[kd] != 0)
          s[v] += (S)(place.wh[kh] * place.wd[kd]) * row[v];
    }
  const idx pixel = ((idx)z * OUT_H + y) * OUT_W + x, o = n * (idx)Y_IMAGE + pixel * Y_PITCH + c;
  const idx at[SPATIAL + 2] = PLACE(n, c, z, y, x);
  OUT_V r[VEC];
  chain<VEC>(p, o, at, s, r);
  store<VEC, Y_ALIGNED>((OUT_T *)p.p[Y_SLOT] + o, r);
}
#endif

extern "C" __global__ void __launch_bounds__(128) resize(const Params p)
{
  make(p);
}
