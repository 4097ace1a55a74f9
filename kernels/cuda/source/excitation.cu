/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Squeeze and excitation, channels-last. BLOCKS blocks, a cluster where they are several, share an
 * image: each has a part of the pixels, whose channels it sums and multiplies, and a part of the
 * channels, for which it goes through the layers. All sums are made in an order that is always the
 * same. Without MULTIPLIES the factors are the result. blockIdx.x: the image.
 */

#define USES_BARRIERS

#ifdef CLUSTER
#define IN_CLUSTER __cluster_dims__(1, CLUSTER, 1)
#else
#define IN_CLUSTER
#define cluster_wait __syncthreads
#endif

constexpr int VECTORS = CHANNELS / VEC;
constexpr int WIDTH = VECTORS < THREADS ? VECTORS : THREADS; /* threads of a row of pixels */
constexpr int ROWS = THREADS / WIDTH;
constexpr int PART = (PIXELS + BLOCKS - 1) / BLOCKS;
constexpr int SLICE = (VECTORS + BLOCKS - 1) / BLOCKS * VEC; /* channels of a block */
constexpr int TURNS = PART >= 8 * ROWS ? 8 : (PART + ROWS - 1) / ROWS;
constexpr int FULL = (int)sizeof(X_T) * VEC > 16 ? 16 / (int)sizeof(X_T) : VEC;

template <class T> INLINE const T *block_has(const T *p, int rank)
{
#ifdef CLUSTER
  return of_block(p, rank);
#else
  return p;
#endif
}

/* The least power of two that is not below n, at most a warp. */
constexpr int power_of_two(int n)
{
  return n <= 1 ? 1 : n > 16 ? 32 : 2 * power_of_two((n + 1) / 2);
}

/* The products of COUNT rows of weights, STRIDE apart, with @size numbers. Some threads make a
 * result together, V weights at a time each; the first of them hands it to @give. */
template <int COUNT, int STRIDE, int MOST, int V, class F>
INLINE void products(const X_T *weights, const float *numbers, int count, int size, F give)
{
  constexpr int LANES = power_of_two((MOST / V + 1) / 2);
  constexpr int GROUPS = THREADS / LANES;
  const int lane = threadIdx.x % LANES;
#pragma unroll 2
  for (int from = 0; from < COUNT; from += GROUPS) {
    const int row = from + threadIdx.x / LANES;
    float sum = 0;
    if (row < count) {
      const X_T *w = weights + row * STRIDE;
#pragma unroll
      for (int k = 0; k < MOST; k += LANES * V) {
        const int at = k + lane * V;
        float a[V];
        if (at < size) {
          load<V, V>(w + at, a);
#pragma unroll
          for (int v = 0; v < V; v++)
            sum += a[v] * numbers[at + v];
        }
      }
    }
#pragma unroll
    for (int mask = LANES / 2; mask > 0; mask /= 2)
      sum += __shfl_xor_sync(0xffffffffu, sum, mask);
    if (row < count && lane == 0)
      give(row, sum);
  }
}

/* Sums of the channels over pixels [from, to), in @sums; @parts is room for all threads. */
INLINE void sum_pixels(const X_T *image, int from, int to, float *parts, float *sums)
{
  const int row = threadIdx.x / WIDTH;
  for (int column = threadIdx.x % WIDTH; row < ROWS && column < VECTORS; column += WIDTH) {
    const X_T *x = image + column * VEC;
    float sum[VEC];
#pragma unroll
    for (int v = 0; v < VEC; v++)
      sum[v] = 0;
#pragma unroll 1
    for (int r = from + row; r < to; r += TURNS * ROWS) {
      alignas(16) X_T t[TURNS][VEC];
#pragma unroll
      for (int i = 0; i < TURNS; i++)
        if (i == 0 || r + i * ROWS < to)
          fetch<VEC, X_ALIGNED>(x + (r + i * ROWS) * (idx)X_PITCH, t[i]);
#pragma unroll
      for (int i = 0; i < TURNS; i++)
        if (i == 0 || r + i * ROWS < to)
#pragma unroll
          for (int v = 0; v < VEC; v++)
            sum[v] += widen(t[i][v]);
    }
#pragma unroll
    for (int v = 0; v < VEC; v++)
      parts[row * CHANNELS + column * VEC + v] = sum[v];
  }
  __syncthreads();
  /* Narrow images have many rows: first a few threads for each channel. */
  constexpr int GROUPS = ROWS < 8 || CHANNELS >= THREADS ? 1
                         : THREADS / CHANNELS < ROWS     ? THREADS / CHANNELS
                                                         : ROWS;
  if constexpr (GROUPS > 1) {
    const int c = threadIdx.x % CHANNELS, group = threadIdx.x / CHANNELS;
    if (group < GROUPS) {
      float sum = 0;
#pragma unroll
      for (int r = 0; r < ROWS; r += GROUPS)
        if (r + group < ROWS)
          sum += parts[(r + group) * CHANNELS + c];
      parts[group * CHANNELS + c] = sum;
    }
    __syncthreads();
  }
  for (int c = threadIdx.x; c < CHANNELS; c += THREADS) {
    float sum = 0;
#pragma unroll
    for (int r = 0; r < (GROUPS > 1 ? GROUPS : ROWS); r++)
      sum += parts[r * CHANNELS + c];
    sums[c] = sum;
  }
}

/* Pixels [from, to) times their channels' factors. */
INLINE void multiply(const X_T *image, Y_T *out, int from, int to, const float *factors)
{
  const int row = threadIdx.x / WIDTH;
  for (int column = threadIdx.x % WIDTH; row < ROWS && column < VECTORS; column += WIDTH) {
    float factor[VEC];
#pragma unroll
    for (int v = 0; v < VEC; v++)
      factor[v] = factors[column * VEC + v];
#pragma unroll 1
    for (int r = from + row; r < to; r += TURNS * ROWS) {
      alignas(16) X_T t[TURNS][VEC];
#pragma unroll
      for (int i = 0; i < TURNS; i++)
        if (i == 0 || r + i * ROWS < to)
          fetch<VEC, X_ALIGNED>(image + (r + i * ROWS) * (idx)X_PITCH + column * VEC, t[i]);
#pragma unroll
      for (int i = 0; i < TURNS; i++)
        if (i == 0 || r + i * ROWS < to) {
          float a[VEC];
#pragma unroll
          for (int v = 0; v < VEC; v++)
            a[v] = widen(t[i][v]) * factor[v];
          store<VEC, Y_ALIGNED>(out + (r + i * ROWS) * (idx)Y_PITCH + column * VEC, a);
        }
    }
  }
}

extern "C" __global__ void IN_CLUSTER __launch_bounds__(THREADS, 2) excitation(const Params p)
{
  DYNAMIC_SHARED(float, memory);
  constexpr int PARTS = ROWS * CHANNELS;
  float *parts = memory, *sums = parts + PARTS, *own = sums + CHANNELS;
  float *factors = own + SLICE, *mine = factors + CHANNELS, *few = mine + FEW;
  const int rank = BLOCKS > 1 ? (int)blockIdx.y : 0;
  const int from = rank * PART, to = from + PART < PIXELS ? from + PART : PIXELS;
  const int first = rank * SLICE;
  const int count = first >= CHANNELS ? 0 : CHANNELS - first < SLICE ? CHANNELS - first : SLICE;
  const X_T *image = (const X_T *)p.p[X_SLOT] + blockIdx.x * (idx)X_IMAGE;
  const X_T *narrow = (const X_T *)p.p[NARROW_SLOT] + first;
  const X_T *wide = (const X_T *)p.p[WIDEN_SLOT] + (idx)first * FEW;

  sum_pixels(image, from, to, parts, sums);
  cluster_wait();
  for (int c = threadIdx.x; c < count; c += THREADS) {
    float sum = 0;
#pragma unroll
    for (int k = 0; k < BLOCKS; k++)
      sum += block_has(sums, k)[first + c];
    own[c] = sum * (1.0f / PIXELS);
  }
  __syncthreads();
  products<FEW, CHANNELS, SLICE, FULL>(narrow, own, FEW, count,
                                       [&](int k, float sum) { mine[k] = sum; });
  cluster_wait();
  for (int k = threadIdx.x; k < FEW; k += THREADS) {
    float sum = 0;
#if NARROW_BIAS_SLOT >= 0
    sum = widen(((const NARROW_BIAS_T *)p.p[NARROW_BIAS_SLOT])[k]);
#endif
#pragma unroll
    for (int r = 0; r < BLOCKS; r++)
      sum += block_has(mine, r)[k];
    few[k] = first_function(sum);
  }
  __syncthreads();
  products<SLICE, FEW, FEW, FEW_VEC>(wide, few, count, FEW, [&](int c, float sum) {
#if WIDEN_BIAS_SLOT >= 0
    sum += widen(((const WIDEN_BIAS_T *)p.p[WIDEN_BIAS_SLOT])[first + c]);
#endif
#if MULTIPLIES
    own[c] = second_function(sum);
#else
    ((Y_T *)p.p[Y_SLOT])[blockIdx.x * (idx)Y_IMAGE + first + c] =
      Narrow<Y_T>::of(second_function(sum));
#endif
  });
  cluster_wait();
#if MULTIPLIES
  for (int c = threadIdx.x; c < CHANNELS; c += THREADS)
    factors[c] = block_has(own, c / SLICE)[c % SLICE];
  /* Nobody leaves whose memory is read. */
  cluster_wait();
  multiply(image, (Y_T *)p.p[Y_SLOT] + blockIdx.x * (idx)Y_IMAGE, from, to, factors);
#endif
}
