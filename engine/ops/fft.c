/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fft.h"

#include <math.h>
#include <string.h>

static gint64
work_length(gint64 n)
{
  gint64 m = 1;
  while (m < n)
    m *= 2;
  if (m == n)
    return m;
  while (m < 2 * n - 1)
    m *= 2;
  return m;
}

gsize
infer_fft_bytes(gint64 n)
{
  gint64 m = work_length(n), pairs = (m + 1) / 2;
  if (m != n)
    pairs += n + 2 * m;
  return (gsize)pairs * 2 * sizeof(double);
}

/* The numbers in the order of their reversed indices. */
static void
reverse_bits(gint64 m, double *data)
{
  for (gint64 i = 1, j = 0; i < m; i++) {
    gint64 bit = m / 2;
    for (; j & bit; bit /= 2)
      j ^= bit;
    j |= bit;
    if (i < j)
      for (guint part = 0; part < 2; part++) {
        double swap = data[2 * i + part];
        data[2 * i + part] = data[2 * j + part];
        data[2 * j + part] = swap;
      }
  }
}

static void
transform(gint64 m, const double *roots, double *data)
{
  reverse_bits(m, data);
  for (gint64 half = 1; half < m; half *= 2)
    for (gint64 first = 0; first < m; first += 2 * half)
      for (gint64 i = 0; i < half; i++) {
        const double *w = roots + 2 * (i * (m / 2 / half));
        double *a = data + 2 * (first + i), *b = a + 2 * half;
        double re = b[0] * w[0] - b[1] * w[1], im = b[0] * w[1] + b[1] * w[0];
        b[0] = a[0] - re;
        b[1] = a[1] - im;
        a[0] += re;
        a[1] += im;
      }
}

void
infer_fft_init(InferFft *fft, gint64 n, gpointer memory)
{
  gint64 m = work_length(n);
  *fft = (InferFft){.n = n, .m = m, .roots = memory};
  for (gint64 i = 0; i < m / 2; i++) {
    fft->roots[2 * i] = cos(2 * G_PI * (double)i / (double)m);
    fft->roots[2 * i + 1] = -sin(2 * G_PI * (double)i / (double)m);
  }
  if (m == n)
    return;
  fft->chirp = fft->roots + (m + 1) / 2 * 2;
  fft->filter = fft->chirp + 2 * n;
  fft->product = fft->filter + 2 * m;
  memset(fft->filter, 0, (gsize)m * 2 * sizeof(double));
  for (gint64 i = 0; i < n; i++) {
    double angle = G_PI * (double)(i * i % (2 * n)) / (double)n;
    fft->chirp[2 * i] = cos(angle);
    fft->chirp[2 * i + 1] = -sin(angle);
    gint64 mirror = (m - i) % m;
    fft->filter[2 * i] = fft->filter[2 * mirror] = cos(angle);
    fft->filter[2 * i + 1] = fft->filter[2 * mirror + 1] = sin(angle);
  }
  transform(m, fft->roots, fft->filter);
}

static void
multiply(const double *a, const double *b, double *out)
{
  double re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0];
  out[0] = re;
  out[1] = im;
}

static void
conjugate(gint64 n, double scale, double *data)
{
  for (gint64 i = 0; i < n; i++) {
    data[2 * i] *= scale;
    data[2 * i + 1] *= -scale;
  }
}

static void
forward(const InferFft *fft, double *data)
{
  if (!fft->chirp) {
    transform(fft->m, fft->roots, data);
    return;
  }
  double *product = fft->product;
  memset(product, 0, (gsize)fft->m * 2 * sizeof(double));
  for (gint64 i = 0; i < fft->n; i++)
    multiply(data + 2 * i, fft->chirp + 2 * i, product + 2 * i);
  transform(fft->m, fft->roots, product);
  for (gint64 i = 0; i < fft->m; i++)
    multiply(product + 2 * i, fft->filter + 2 * i, product + 2 * i);
  /* The inverse, by the forward transform of conjugates. */
  conjugate(fft->m, 1, product);
  transform(fft->m, fft->roots, product);
  conjugate(fft->m, 1 / (double)fft->m, product);
  for (gint64 i = 0; i < fft->n; i++)
    multiply(product + 2 * i, fft->chirp + 2 * i, data + 2 * i);
}

void
infer_fft_run(const InferFft *fft, gboolean inverse, double *data)
{
  if (inverse)
    conjugate(fft->n, 1, data);
  forward(fft, data);
  if (inverse)
    conjugate(fft->n, 1 / (double)fft->n, data);
}
