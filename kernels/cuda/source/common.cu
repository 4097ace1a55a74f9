/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What generated kernels share: types, loads and stores of several elements. */

struct Params {
  const void *p[24];
  long long n[8];
};

#ifdef WIDE
typedef long long idx;
#else
typedef int idx;
#endif

#define INLINE static __device__ __forceinline__

struct half_t {
  unsigned short x;
};
struct bf16_t {
  unsigned short x;
};

#ifdef EMULATED
#define CHECK_ALIGNED(P, BYTES) emu_aligned(P, BYTES)
#else
#define CHECK_ALIGNED(P, BYTES)
#define DYNAMIC_SHARED(T, NAME) extern __shared__ __align__(16) T NAME[]

/* Waits for all blocks of a cluster; what they wrote before is seen after. */
INLINE void cluster_wait()
{
  asm volatile("barrier.cluster.arrive;\n\tbarrier.cluster.wait;" ::: "memory");
}

/* Where another block of the cluster has what this one has at p, in shared memory. */
template <class T> INLINE const T *of_block(const T *p, int rank)
{
  const T *q;
  asm("mapa.u64 %0, %1, %2;" : "=l"(q) : "l"(p), "r"(rank));
  return q;
}

INLINE float half_to_float(unsigned short x)
{
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(x));
  return f;
}

INLINE unsigned short float_to_half(float f)
{
  unsigned short x;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(x) : "f"(f));
  return x;
}
#endif

INLINE float bf16_to_float(unsigned short x)
{
  return __int_as_float((int)((unsigned)x << 16));
}

INLINE unsigned short float_to_bf16(float f)
{
  unsigned u = (unsigned)__float_as_int(f);
  if ((u & 0x7fffffffu) > 0x7f800000u)
    return (unsigned short)((u >> 16) | 0x40u);
  return (unsigned short)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/* What an element is computed in. */
template <class T> struct Value {
  typedef T type;
};
template <> struct Value<half_t> {
  typedef float type;
};
template <> struct Value<bf16_t> {
  typedef float type;
};

template <class T> INLINE T widen(T x)
{
  return x;
}
INLINE float widen(half_t x)
{
  return half_to_float(x.x);
}
INLINE float widen(bf16_t x)
{
  return bf16_to_float(x.x);
}

template <class T> struct Narrow {
  template <class V> INLINE T of(V v)
  {
    return (T)v;
  }
};
template <> struct Narrow<half_t> {
  INLINE half_t of(float v)
  {
    half_t h = {float_to_half(v)};
    return h;
  }
};
template <> struct Narrow<bf16_t> {
  INLINE bf16_t of(float v)
  {
    bf16_t h = {float_to_bf16(v)};
    return h;
  }
};

/* N elements at an address that is aligned to all of them. */
template <int N, class T> INLINE void get(const T *p, T *t)
{
  constexpr int B = N * (int)sizeof(T);
  CHECK_ALIGNED(p, B);
  if constexpr (B == 16)
    *(uint4 *)t = __ldg((const uint4 *)p);
  else if constexpr (B == 8)
    *(uint2 *)t = __ldg((const uint2 *)p);
  else if constexpr (B == 4)
    *(unsigned *)t = __ldg((const unsigned *)p);
  else if constexpr (B == 2)
    *(unsigned short *)t = __ldg((const unsigned short *)p);
  else
    *(unsigned char *)t = __ldg((const unsigned char *)p);
}

template <int N, class T> INLINE void put(T *p, const T *t)
{
  constexpr int B = N * (int)sizeof(T);
  CHECK_ALIGNED(p, B);
  if constexpr (B == 16)
    *(uint4 *)p = *(const uint4 *)t;
  else if constexpr (B == 8)
    *(uint2 *)p = *(const uint2 *)t;
  else if constexpr (B == 4)
    *(unsigned *)p = *(const unsigned *)t;
  else if constexpr (B == 2)
    *(unsigned short *)p = *(const unsigned short *)t;
  else
    *(unsigned char *)p = *(const unsigned char *)t;
}

/* V neighbours as they are stored, of which A can be read together. */
template <int V, int A, class T> INLINE void fetch(const T *p, T (&t)[V])
{
  constexpr int S = V < A ? V : A;
#pragma unroll
  for (int k = 0; k < V; k += S)
    get<S>(p + k, t + k);
}

/* V neighbours, of which A can be read together. */
template <int V, int A, class T, class R> INLINE void load(const T *p, R (&v)[V])
{
  constexpr int S = V < A ? V : A;
#pragma unroll
  for (int k = 0; k < V; k += S) {
    alignas(16) T t[S];
    get<S>(p + k, t);
#pragma unroll
    for (int j = 0; j < S; j++)
      v[k + j] = widen(t[j]);
  }
}

template <int V, class T, class R> INLINE void load_strided(const T *p, idx stride, R (&v)[V])
{
#pragma unroll
  for (int k = 0; k < V; k++) {
    alignas(16) T t[1];
    get<1>(p + k * stride, t);
    v[k] = widen(t[0]);
  }
}

template <int V, class T, class R> INLINE void load_same(const T *p, R (&v)[V])
{
  alignas(16) T t[1];
  get<1>(p, t);
  R x = widen(t[0]);
#pragma unroll
  for (int k = 0; k < V; k++)
    v[k] = x;
}

template <int V, int A, class T, class R> INLINE void store(T *p, const R (&v)[V])
{
  constexpr int S = V < A ? V : A;
#pragma unroll
  for (int k = 0; k < V; k += S) {
    alignas(16) T t[S];
#pragma unroll
    for (int j = 0; j < S; j++)
      t[j] = Narrow<T>::of(v[k + j]);
    put<S>(p + k, t);
  }
}

template <class A, class B> struct Same {
  static constexpr bool yes = false;
};
template <class A> struct Same<A, A> {
  static constexpr bool yes = true;
};
template <class T> struct Real {
  static constexpr bool yes = Same<T, float>::yes || Same<T, double>::yes;
};
