/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A chain alone. RANK axes of sizes DIMS, the outermost of which nobody asks for; VEC neighbours
 * along the innermost at a time. n[0]: groups of VEC; n[1]: elements. */

extern "C" __global__ void __launch_bounds__(256) pointwise(const Params p)
{
  constexpr idx dims[RANK] = DIMS;
  constexpr idx strides[RANK] = OUT_STRIDES;
  for (long long t = (long long)blockIdx.x * 256 + threadIdx.x; t < p.n[0];
       t += (long long)gridDim.x * 256) {
    idx i[RANK], o = 0;
    idx rest = (idx)t * VEC;
#pragma unroll
    for (int k = RANK - 1; k > 0; k--) {
      i[k] = rest % dims[k];
      rest /= dims[k];
      o += i[k] * strides[k];
    }
    i[0] = rest;
    o += rest * strides[0];
    OUT_T *out = (OUT_T *)p.p[OUT_SLOT] + o;
    if (!TAIL || (t + 1) * VEC <= p.n[1]) {
      const float a[VEC] = {0};
      OUT_V r[VEC];
      chain<VEC>(p, o, i, a, r);
      store<VEC, OUT_ALIGNED>(out, r);
    } else {
      for (idx k = 0; t * VEC + k < p.n[1]; k++) {
        const float a[1] = {0};
        OUT_V r[1];
        chain<1>(p, o, i, a, r);
        store<1, 1>(out + k, r);
        o++;
        i[RANK - 1]++;
      }
    }
  }
}
