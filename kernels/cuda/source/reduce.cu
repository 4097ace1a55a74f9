/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What reductions and normalizations share. A block has LANES threads side by side on what is kept
 * (each VEC neighbours), and DEPTH threads that share the COUNT elements that go (each RUN
 * neighbours at a time); one of VEC and RUN is 1. Coordinates of the kept axes KEPT_DIMS, the
 * outermost of which nobody asks for, and of the reduced ones GONE_DIMS, innermost last.
 */

#define USES_BARRIERS

typedef Value<X_T>::type S;

#define SUM 0
#define MEAN 1
#define MAX 2
#define MIN 3
#define PROD 4
#define L1 5
#define L2 6
#define LOG_SUM 7
#define LOG_SUM_EXP 8
#define SUM_SQUARE 9
#define ARG_MAX 10
#define ARG_MIN 11
#define LP 12
#define MOMENTS 13

constexpr bool IS_ARG = KIND == ARG_MAX || KIND == ARG_MIN;
constexpr bool HAS_PAIR = KIND == LOG_SUM_EXP || KIND == MOMENTS;

/* Roots and logarithms are of real numbers, also in code that integers never come to. */
template <class T> struct RootOf {
  typedef double type;
};
template <> struct RootOf<float> {
  typedef float type;
};
typedef RootOf<ACC>::type R;

/* @a: sum or extreme; @b: the largest, or the sum of squares; @at: where the extreme is. */
struct State {
  ACC a;
  ACC b;
  idx at;
};

INLINE ACC infinity(bool negative)
{
  return (ACC)__int_as_float((int)(negative ? 0xff800000u : 0x7f800000u));
}

INLINE void start(State &s)
{
  s.a = KIND == PROD ? (ACC)1 : (ACC)0;
  s.b = 0;
  s.at = -1;
  if constexpr (KIND == LOG_SUM_EXP)
    s.b = infinity(true);
  if constexpr (KIND == MAX || KIND == MIN)
    s.a = (ACC)EXTREME;
}

/* Whether x at i is before y at j. Not-a-number comes first. */
INLINE bool beats(ACC x, idx i, ACC y, idx j)
{
  const bool earlier = LAST_INDEX ? i > j : i < j;
  if (j < 0 || i < 0)
    return j < 0;
  if (x != x || y != y)
    return x != x && (y == y || earlier);
  return (KIND == ARG_MAX ? x > y : x < y) || (x == y && earlier);
}

INLINE void merge(State &s, const State &t)
{
  if constexpr (IS_ARG) {
    if (beats(t.a, t.at, s.a, s.at))
      s = t;
  } else if constexpr (KIND == MAX) {
    s.a = t.a > s.a || t.a != t.a ? t.a : s.a;
  } else if constexpr (KIND == MIN) {
    s.a = t.a < s.a || t.a != t.a ? t.a : s.a;
  } else if constexpr (KIND == PROD) {
    s.a *= t.a;
  } else if constexpr (KIND == LOG_SUM_EXP) {
    const ACC most = t.b > s.b ? t.b : s.b;
    if (most == infinity(true)) {
      s.a += t.a;
    } else {
      s.a = (s.b == most ? s.a : s.b == infinity(true) && s.a == s.a ? (ACC)0
                                                           : s.a * (ACC)op_Exp((R)(s.b - most))) +
            (t.b == most ? t.a : t.b == infinity(true) && t.a == t.a ? (ACC)0
                                                           : t.a * (ACC)op_Exp((R)(t.b - most)));
      s.b = most;
    }
  } else {
    s.a += t.a;
    s.b += t.b;
  }
}

INLINE void add(State &s, S x, ACC shift, idx at)
{
  const ACC v = (ACC)x;
  if constexpr (IS_ARG) {
    if (beats(v, at, s.a, s.at)) {
      s.a = v;
      s.at = at;
    }
  } else if constexpr (KIND == MAX) {
    s.a = v > s.a || v != v ? v : s.a;
  } else if constexpr (KIND == MIN) {
    s.a = v < s.a || v != v ? v : s.a;
  } else if constexpr (KIND == PROD) {
    s.a *= v;
  } else if constexpr (KIND == L1) {
    s.a += v < 0 ? -v : v;
  } else if constexpr (KIND == L2 || KIND == SUM_SQUARE) {
    s.a += v * v;
  } else if constexpr (KIND == LP) {
    const ACC w = v < 0 ? -v : v;
    s.a += POWER == 1 ? w : POWER == 2 ? v * v : (ACC)pow((double)w, (double)POWER);
  } else if constexpr (KIND == LOG_SUM_EXP) {
    if (v > s.b) {
      s.a = (s.b == infinity(true) ? (s.a != s.a ? s.a : (ACC)0) : s.a * (ACC)op_Exp((R)(s.b - v))) + 1;
      s.b = v;
    } else if (v != infinity(true)) {
      s.a += v == s.b ? (ACC)1 : (ACC)op_Exp((R)(v - s.b));
    }
  } else if constexpr (KIND == MOMENTS) {
    const ACC d = v - shift;
    s.a += d;
    s.b += d * d;
  } else {
    s.a += v;
  }
}

/* The offset of reduced element r, by the strides of one operand. */
INLINE idx gone_offset(idx r, const idx (&strides)[GONE])
{
  constexpr idx dims[GONE] = GONE_DIMS;
  idx offset = 0;
#pragma unroll
  for (int k = GONE - 1; k > 0; k--) {
    offset += r % dims[k] * strides[k];
    r /= dims[k];
  }
  return offset + r * strides[0];
}

INLINE idx kept_offset(const idx (&at)[KEPT], const idx (&strides)[KEPT])
{
  idx offset = 0;
#pragma unroll
  for (int k = 0; k < KEPT; k++)
    offset += at[k] * strides[k];
  return offset;
}

INLINE void unravel(idx column, idx (&at)[KEPT])
{
  constexpr idx dims[KEPT] = KEPT_DIMS;
#pragma unroll
  for (int k = KEPT - 1; k > 0; k--) {
    at[k] = column % dims[k];
    column /= dims[k];
  }
  at[0] = column;
}

INLINE void share(State &s, int mask)
{
  State t;
  t.a = __shfl_xor_sync(0xffffffffu, s.a, mask);
  t.b = s.b;
  t.at = s.at;
  if constexpr (HAS_PAIR)
    t.b = __shfl_xor_sync(0xffffffffu, s.b, mask);
  if constexpr (IS_ARG)
    t.at = __shfl_xor_sync(0xffffffffu, s.at, mask);
  merge(s, t);
}

/* Joins what the DEPTH threads of a lane have, always in the same order; all of them get the result.
 */
INLINE void join(State (&s)[VEC])
{
  constexpr int WARPS = LANES * DEPTH / 32;
#pragma unroll
  for (int mask = 16; mask >= LANES; mask /= 2)
#pragma unroll
    for (int v = 0; v < VEC; v++)
      share(s[v], mask);
  if constexpr (WARPS > 1) {
    /* Field by field, so that banks of memory do not collide. */
    alignas(16) __shared__ ACC a[WARPS][LANES][VEC];
    alignas(16) __shared__ ACC b[HAS_PAIR ? WARPS : 1][LANES][VEC];
    __shared__ idx where[IS_ARG ? WARPS : 1][LANES][VEC];
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / 32;
    __syncthreads();
    if (threadIdx.x % 32 < LANES)
#pragma unroll
      for (int v = 0; v < VEC; v++) {
        a[warp][lane][v] = s[v].a;
        if constexpr (HAS_PAIR)
          b[warp][lane][v] = s[v].b;
        if constexpr (IS_ARG)
          where[warp][lane][v] = s[v].at;
      }
    __syncthreads();
#pragma unroll
    for (int w = 0; w < WARPS; w++)
#pragma unroll
      for (int v = 0; v < VEC; v++) {
        State t = {a[w][lane][v], (ACC)0, (idx)-1};
        if constexpr (HAS_PAIR)
          t.b = b[w][lane][v];
        if constexpr (IS_ARG)
          t.at = where[w][lane][v];
        if (w == 0)
          s[v] = t;
        else
          merge(s[v], t);
      }
  }
}

/* Adds this thread's part of elements [from, to), of which there are MOST at most: what it reads
 * next is under way together. */
template <long long MOST>
INLINE void collect(const X_T *x, idx from, idx to, const ACC (&shift)[VEC], State (&s)[VEC])
{
  constexpr idx strides[GONE] = GONE_X;
  constexpr idx STEP = DEPTH * RUN;
  constexpr int N = VEC * RUN;
  constexpr int TURNS = MOST >= 8 * STEP ? 8 : MOST <= STEP ? 1 : (int)((MOST + STEP - 1) / STEP);
#pragma unroll 1
  for (idx r = from + (idx)(threadIdx.x / LANES) * RUN; r < to; r += TURNS * STEP) {
    alignas(16) X_T t[TURNS][N];
#pragma unroll
    for (int i = 0; i < TURNS; i++)
      if (i == 0 || r + i * STEP < to)
        fetch<N, X_ALIGNED>(x + gone_offset(r + i * STEP, strides), t[i]);
#pragma unroll
    for (int i = 0; i < TURNS; i++)
      if (i == 0 || r + i * STEP < to)
#pragma unroll
        for (int v = 0; v < VEC; v++)
#pragma unroll
          for (int j = 0; j < RUN; j++)
            add(s[v], widen(t[i][v * RUN + j]), shift[v], r + i * STEP + j);
  }
}

INLINE ACC finish(const State &s)
{
  if constexpr (KIND == MEAN)
    return s.a / (ACC)(COUNT > 0 || Real<ACC>::yes ? COUNT : 1);
  else if constexpr (KIND == L2)
    return (ACC)op_Sqrt((R)s.a);
  else if constexpr (KIND == LOG_SUM)
    return (ACC)op_Log((R)s.a);
  else if constexpr (KIND == LOG_SUM_EXP)
    return s.b == infinity(true) ? (ACC)op_Log((R)s.a) : s.b + (ACC)op_Log((R)s.a);
  else if constexpr (KIND == LP)
    return POWER == 1   ? s.a
           : POWER == 2 ? (ACC)sqrt((double)s.a)
                        : (ACC)pow((double)s.a, 1.0 / POWER);
  else
    return s.a;
}
