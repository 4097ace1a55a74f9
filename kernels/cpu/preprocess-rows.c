/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preprocess.h"

/*
 * The loops of the pre-processing, written once in C. They are compiled once per instruction set by
 * inlining them into functions with a target attribute: unlike ifuncs, that works with sanitizers
 * and leaves the choice to a table.
 */

#define BODY static inline __attribute__((always_inline)) void

/* @ten is constant where this is inlined. */
static inline __attribute__((always_inline)) float
sample(const guint8 *row, gsize i, gboolean ten)
{
  guint16 value;

  if (!ten)
    return (float)row[i];
  memcpy(&value, row + 2 * i, 2);
  return (float)(gint32)(GUINT16_FROM_LE(value) >> 6);
}

/* Three rows, then two at a time, so that most sums stay in registers. */
BODY
vertical_body(float *restrict out, const guint8 *rows, gssize stride, const float *w, guint count,
              gsize n, gboolean ten)
{
  const guint8 *a = rows, *b = a + (count > 1 ? stride : 0), *c = b + (count > 2 ? stride : 0);
  float wa = w[0], wb = count > 1 ? w[1] : 0, wc = count > 2 ? w[2] : 0;

  if (count == 1) {
#pragma omp simd
    for (gsize i = 0; i < n; i++)
      out[i] = wa * sample(a, i, ten);
  } else if (count == 2) {
#pragma omp simd
    for (gsize i = 0; i < n; i++)
      out[i] = wa * sample(a, i, ten) + wb * sample(b, i, ten);
  } else {
#pragma omp simd
    for (gsize i = 0; i < n; i++)
      out[i] = wa * sample(a, i, ten) + wb * sample(b, i, ten) + wc * sample(c, i, ten);
  }
  for (guint k = 3; k < count; k += 2) {
    gboolean pair = k + 1 < count;
    const guint8 *d = rows + (gssize)k * stride, *e = pair ? d + stride : d;
    float wd = w[k], we = pair ? w[k + 1] : 0;

#pragma omp simd
    for (gsize i = 0; i < n; i++)
      out[i] += wd * sample(d, i, ten) + we * sample(e, i, ten);
  }
}

BODY
horizontal_body(float *restrict out, const float *restrict in, const InferTaps *taps, guint step)
{
  const gint32 *restrict start = taps->start;
  const float *restrict w = taps->weights;
  gsize n = taps->n;
  const float *restrict second = in + step;

  if (taps->count == 1) {
#pragma omp simd
    for (gsize i = 0; i < n; i++)
      out[i] = in[start[i]];
    return;
  }
#pragma omp simd
  for (gsize i = 0; i < n; i++)
    out[i] = w[i] * in[start[i]] + w[n + i] * second[start[i]];
  for (guint k = 2; k < taps->count; k++) {
    const float *restrict at = in + (gsize)k * step;
    const float *restrict wk = w + k * n;

#pragma omp simd
    for (gsize i = 0; i < n; i++)
      out[i] += wk[i] * at[start[i]];
  }
}

/* A NaN, which only a model's own scale or bias can bring in, becomes 0. */
static inline __attribute__((always_inline)) float
clamp255(float value)
{
  value = value > 0.0f ? value : 0.0f;
  return value < 255.0f ? value : 255.0f;
}

BODY
to_rgb_body(float *restrict a, float *restrict b, float *restrict c, const float *m, gsize n)
{
#pragma omp simd
  for (gsize i = 0; i < n; i++) {
    float y = a[i], u = b[i], v = c[i];

    a[i] = clamp255(m[0] * y + m[1] * u + m[2] * v + m[3]);
    b[i] = clamp255(m[4] * y + m[5] * u + m[6] * v + m[7]);
    c[i] = clamp255(m[8] * y + m[9] * u + m[10] * v + m[11]);
  }
}

BODY
gain_body(float *restrict a, float gain, float offset, gsize n)
{
#pragma omp simd
  for (gsize i = 0; i < n; i++)
    a[i] = clamp255(a[i] * gain + offset);
}

BODY
weigh_body(float *restrict a, const float *restrict b, const float *restrict c, const float *w,
           gsize n)
{
#pragma omp simd
  for (gsize i = 0; i < n; i++)
    a[i] = w[0] * a[i] + w[1] * b[i] + w[2] * c[i];
}

BODY
store_float_body(float *restrict dst, gint64 stride, const float *restrict a, float scale,
                 float bias, gsize n)
{
  if (stride == 1) {
#pragma omp simd
    for (gsize i = 0; i < n; i++)
      dst[i] = a[i] * scale + bias;
    return;
  }
  for (gsize i = 0; i < n; i++)
    dst[(gint64)i * stride] = a[i] * scale + bias;
}

#define BLOCK 256

/* Two loops, as compilers turn the clamps into branches when the conversion follows at once. */
BODY
round_block(guint8 *restrict dst, const float *restrict a, float scale, float bias, gsize n)
{
  float clamped[BLOCK];

#pragma omp simd
  for (gsize i = 0; i < n; i++)
    clamped[i] = clamp255(a[i] * scale + bias);
#pragma omp simd
  for (gsize i = 0; i < n; i++)
    dst[i] = (guint8)(gint32)(clamped[i] + 0.5f);
}

BODY
store_u8_body(guint8 *restrict dst, gint64 stride, const float *restrict a, float scale, float bias,
              gsize n)
{
  guint8 block[BLOCK];

  for (gsize first = 0; first < n; first += BLOCK) {
    gsize size = MIN(n - first, BLOCK);

    round_block(stride == 1 ? dst + first : block, a + first, scale, bias, size);
    for (gsize i = 0; stride != 1 && i < size; i++)
      dst[(gint64)(first + i) * stride] = block[i];
  }
}

BODY
pack_float_body(float *restrict dst, const float *const *rows, const float *scale,
                const float *bias, gsize n)
{
  const float *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2];
  float sa = scale[0], sb = scale[1], sc = scale[2], ba = bias[0], bb = bias[1], bc = bias[2];

#pragma omp simd
  for (gsize i = 0; i < n; i++) {
    dst[3 * i] = a[i] * sa + ba;
    dst[3 * i + 1] = b[i] * sb + bb;
    dst[3 * i + 2] = c[i] * sc + bc;
  }
}

BODY
pack_u8_body(guint8 *restrict dst, const float *const *rows, const float *scale, const float *bias,
             gsize n)
{
  guint8 block[3][BLOCK];

  for (gsize first = 0; first < n; first += BLOCK) {
    gsize size = MIN(n - first, BLOCK);

    for (guint c = 0; c < 3; c++)
      round_block(block[c], rows[c] + first, scale[c], bias[c], size);
    for (gsize i = 0; i < size; i++) {
      dst[3 * (first + i)] = block[0][i];
      dst[3 * (first + i) + 1] = block[1][i];
      dst[3 * (first + i) + 2] = block[2][i];
    }
  }
}

/* One set of functions with the attribute @target, and their table. */
#define ROW_OPS(isa, target)                                                                       \
  target static void vertical8_##isa(float *out, const guint8 *rows, gssize stride,                \
                                     const float *w, guint count, gsize n)                         \
  {                                                                                                \
    vertical_body(out, rows, stride, w, count, n, FALSE);                                          \
  }                                                                                                \
  target static void vertical10_##isa(float *out, const guint8 *rows, gssize stride,               \
                                      const float *w, guint count, gsize n)                        \
  {                                                                                                \
    vertical_body(out, rows, stride, w, count, n, TRUE);                                           \
  }                                                                                                \
  target static void horizontal_##isa(float *out, const float *in, const InferTaps *taps,          \
                                      guint step)                                                  \
  {                                                                                                \
    horizontal_body(out, in, taps, step);                                                          \
  }                                                                                                \
  target static void to_rgb_##isa(float *a, float *b, float *c, const float *matrix, gsize n)      \
  {                                                                                                \
    to_rgb_body(a, b, c, matrix, n);                                                               \
  }                                                                                                \
  target static void gain_##isa(float *a, float gain, float offset, gsize n)                       \
  {                                                                                                \
    gain_body(a, gain, offset, n);                                                                 \
  }                                                                                                \
  target static void weigh_##isa(float *a, const float *b, const float *c, const float *w,         \
                                 gsize n)                                                          \
  {                                                                                                \
    weigh_body(a, b, c, w, n);                                                                     \
  }                                                                                                \
  target static void store_float_##isa(float *dst, gint64 stride, const float *a, float scale,     \
                                       float bias, gsize n)                                        \
  {                                                                                                \
    store_float_body(dst, stride, a, scale, bias, n);                                              \
  }                                                                                                \
  target static void store_u8_##isa(guint8 *dst, gint64 stride, const float *a, float scale,       \
                                    float bias, gsize n)                                           \
  {                                                                                                \
    store_u8_body(dst, stride, a, scale, bias, n);                                                 \
  }                                                                                                \
  target static void pack_float_##isa(float *dst, const float *const *rows, const float *scale,    \
                                      const float *bias, gsize n)                                  \
  {                                                                                                \
    pack_float_body(dst, rows, scale, bias, n);                                                    \
  }                                                                                                \
  target static void pack_u8_##isa(guint8 *dst, const float *const *rows, const float *scale,      \
                                   const float *bias, gsize n)                                     \
  {                                                                                                \
    pack_u8_body(dst, rows, scale, bias, n);                                                       \
  }                                                                                                \
  static const InferRowOps row_ops_##isa =                                                         \
      {                                                                                            \
          #isa,           vertical8_##isa,  vertical10_##isa, horizontal_##isa,                    \
          to_rgb_##isa,   gain_##isa,       weigh_##isa,      store_float_##isa,                   \
          store_u8_##isa, pack_float_##isa, pack_u8_##isa,                                         \
  };

ROW_OPS(baseline, )

#if defined(__x86_64__)
ROW_OPS(avx2, __attribute__((target("avx2,fma"))))
ROW_OPS(avx512, __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,"
                                      "prefer-vector-width=512"))))
#endif

const InferRowOps *
infer_row_ops(guint index)
{
  const InferRowOps *list[4] = {NULL};
  guint n = 0;

#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    list[n++] = &row_ops_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    list[n++] = &row_ops_avx2;
#endif
  list[n++] = &row_ops_baseline;
  return index < n ? list[index] : NULL;
}
