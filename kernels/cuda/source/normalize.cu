/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Normalizations: statistics of what is reduced, then every element by them. FORM: 0 softmax, 1 its
 * logarithm, 2 moments, 3 root of the mean square, 4 division by a norm. n[0]: groups of VEC. */

extern "C" __global__ void __launch_bounds__(LANES *DEPTH) normalize(const Params p)
{
  constexpr idx kept_x[KEPT] = KEPT_X, kept_y[KEPT] = KEPT_Y;
  constexpr idx gone_x[GONE] = GONE_X, gone_y[GONE] = GONE_Y;
  const long long group = (long long)blockIdx.x * LANES + threadIdx.x % LANES;
  const bool live = group < p.n[0];
  idx at[KEPT];
  unravel(live ? (idx)group * VEC : 0, at);
  const X_T *x = (const X_T *)p.p[X_SLOT] + kept_offset(at, kept_x);
  Y_T *y = (Y_T *)p.p[OUT_SLOT] + kept_offset(at, kept_y);
  State s[VEC];
  ACC shift[VEC], first[VEC], factor[VEC];
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    start(s[v]);
    /* Squares of differences from an element, since squares of large numbers cancel. */
    shift[v] = FORM == 2 ? (ACC)widen(x[v]) : (ACC)0;
  }
  if (live)
    collect<COUNT>(x, 0, (idx)COUNT, shift, s);
  join(s);
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    first[v] = 0;
    if constexpr (FORM == 0 || FORM == 1) {
      first[v] = s[v].b;
      factor[v] = FORM == 0 ? (ACC)1 / s[v].a : op_Log(s[v].a);
    } else if constexpr (FORM == 2) {
      const ACC mean = s[v].a / (ACC)COUNT;
      const ACC variance = s[v].b / (ACC)COUNT - mean * mean;
      first[v] = shift[v] + mean;
      const ACC root = op_Sqrt((variance > 0 ? variance : variance != variance ? variance : (ACC)0) +
                               (ACC)EPSILON);
      factor[v] = (ACC)1 / (root + (ACC)EPSILON_AFTER);
    } else if constexpr (FORM == 3) {
      factor[v] = (ACC)1 / op_Sqrt(s[v].a / (ACC)COUNT + (ACC)EPSILON);
    } else {
      const ACC norm = finish(s[v]);
      factor[v] = norm == 0 ? (ACC)0 : (ACC)1 / norm;
    }
  }
  if (!live)
    return;
#if SCALE_SLOT >= 0
  constexpr idx scale_kept[KEPT] = KEPT_SCALE, scale_gone[GONE] = GONE_SCALE;
  const SCALE_T *scale = (const SCALE_T *)p.p[SCALE_SLOT] + kept_offset(at, scale_kept);
#endif
#if SHIFT_SLOT >= 0
  constexpr idx shift_kept[KEPT] = KEPT_SHIFT, shift_gone[GONE] = GONE_SHIFT;
  const SHIFT_T *bias = (const SHIFT_T *)p.p[SHIFT_SLOT] + kept_offset(at, shift_kept);
#endif
#pragma unroll 2
  for (idx r = (idx)(threadIdx.x / LANES) * RUN; r < (idx)COUNT; r += DEPTH * RUN) {
    S a[VEC * RUN];
    load<VEC * RUN, X_ALIGNED>(x + gone_offset(r, gone_x), a);
#pragma unroll
    for (int v = 0; v < VEC; v++)
#pragma unroll
      for (int j = 0; j < RUN; j++) {
        ACC e = (ACC)a[v * RUN + j] - first[v];
        if constexpr (FORM == 0)
          e = op_Exp(e) * factor[v];
        else if constexpr (FORM == 1)
          e = e - factor[v];
        else
          e = e * factor[v];
#if SCALE_SLOT >= 0
        e = e * (ACC)widen(scale[gone_offset(r + j, scale_gone) + v * (idx)scale_kept[KEPT - 1]]);
#endif
#if SHIFT_SLOT >= 0
        e = e + (ACC)widen(bias[gone_offset(r + j, shift_gone) + v * (idx)shift_kept[KEPT - 1]]);
#endif
        a[v * RUN + j] = (S)e;
      }
    store<VEC * RUN, Y_ALIGNED>(y + gone_offset(r, gone_y), a);
  }
}
