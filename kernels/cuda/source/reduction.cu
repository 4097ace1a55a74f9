/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reductions. With several SPLITS each block has a part of the elements; blocks of a CLUSTER hand
 * their states to the first of them, others leave them in the workspace for a second kernel. n[0]:
 * groups of VEC outputs. */

#ifdef CLUSTER
#define IN_CLUSTER __cluster_dims__(1, CLUSTER, 1)
#else
#define IN_CLUSTER
#endif

INLINE void give(const Params &p, idx column, const State (&s)[VEC])
{
  constexpr idx strides[KEPT] = KEPT_Y;
  constexpr int axes[KEPT] = KEPT_AXES;
  idx at[KEPT], logical[RANK] = {0};
  typedef Value<OUT_A>::type A;
  unravel(column, at);
#pragma unroll
  for (int k = 0; k < KEPT; k++)
    logical[axes[k]] = at[k];
  const idx o = kept_offset(at, strides);
  A a[VEC];
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    if constexpr (IS_ARG)
      a[v] = (A)s[v].at;
    else
      a[v] = (A)finish(s[v]);
  }
  OUT_V r[VEC];
  chain<VEC>(p, o, logical, a, r);
  store<VEC, Y_ALIGNED>((OUT_T *)p.p[OUT_SLOT] + o, r);
}

/* Joins what the blocks of a cluster have, for the first of them. */
INLINE void join_blocks(State (&s)[VEC], bool first)
{
#ifdef CLUSTER
  DYNAMIC_SHARED(State, mine);
  State *place = mine + threadIdx.x % LANES * VEC;
  if (threadIdx.x < LANES)
#pragma unroll
    for (int v = 0; v < VEC; v++)
      place[v] = s[v];
  cluster_wait();
  if (first && threadIdx.x < LANES)
#pragma unroll
    for (int k = 1; k < CLUSTER; k++)
#pragma unroll
      for (int v = 0; v < VEC; v++)
        merge(s[v], of_block(place, k)[v]);
  /* Nobody leaves whose memory is read. */
  cluster_wait();
#endif
}

extern "C" __global__ void IN_CLUSTER __launch_bounds__(LANES *DEPTH) reduction(const Params p)
{
  constexpr idx strides[KEPT] = KEPT_X;
  const long long group = (long long)blockIdx.x * LANES + threadIdx.x % LANES;
  const bool live = group < p.n[0];
  const idx column = live ? (idx)group * VEC : 0;
  idx at[KEPT];
  unravel(column, at);
  State s[VEC];
  ACC shift[VEC];
#pragma unroll
  for (int v = 0; v < VEC; v++) {
    start(s[v]);
    shift[v] = 0;
  }
  constexpr idx CHUNK = (COUNT / RUN + SPLITS - 1) / SPLITS * RUN;
  const idx from = (idx)blockIdx.y * CHUNK;
  const idx to = from + CHUNK < (idx)COUNT ? from + CHUNK : (idx)COUNT;
  if (live)
    collect<CHUNK>((const X_T *)p.p[X_SLOT] + kept_offset(at, strides), from, to, shift, s);
  join(s);
  join_blocks(s, blockIdx.y == 0);
  if (!live || threadIdx.x / LANES != 0)
    return;
  if constexpr (!JOINS_LATER) {
    if (blockIdx.y == 0)
      give(p, column, s);
  } else {
    State *states = (State *)p.p[WORK_SLOT] + (long long)blockIdx.y * p.n[0] * VEC + column;
#pragma unroll
    for (int v = 0; v < VEC; v++)
      states[v] = s[v];
  }
}

extern "C" __global__ void __launch_bounds__(128) reduction_join(const Params p)
{
  const long long group = (long long)blockIdx.x * 128 + threadIdx.x;
  if (group >= p.n[0])
    return;
  State s[VEC];
#pragma unroll
  for (int v = 0; v < VEC; v++)
    start(s[v]);
#pragma unroll 4
  for (int k = 0; k < SPLITS; k++) {
    const State *states = (const State *)p.p[WORK_SLOT] + ((long long)k * p.n[0] + group) * VEC;
#pragma unroll
    for (int v = 0; v < VEC; v++)
      merge(s[v], states[v]);
  }
  give(p, (idx)group * VEC, s);
}
