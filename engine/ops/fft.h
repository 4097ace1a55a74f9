/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** The longest transform; its scratch fits the memory of a machine. */
#define INFER_FFT_MAX (G_GINT64_CONSTANT(1) << 28)

/**
 * InferFft:
 *
 * A discrete Fourier transform of any length: powers of two by Cooley and Tukey (1965), the rest
 * as a convolution of such a length by Bluestein (1970). Numbers are pairs of real and imaginary
 * part. A transform is used by one thread at a time.
 */
typedef struct {
  gint64 n;        /* length */
  gint64 m;        /* the power of two that does the work */
  double *roots;   /* m / 2 roots of unity */
  double *chirp;   /* n; NULL where n is a power of two */
  double *filter;  /* m, transformed */
  double *product; /* m */
} InferFft;

/** infer_fft_bytes: memory that a transform of @n needs, aligned to 8; @n in [1, MAX]. */
gsize infer_fft_bytes(gint64 n);

/** infer_fft_init: prepares a transform of @n in @memory. */
void infer_fft_init(InferFft *fft, gint64 n, gpointer memory);

/** infer_fft_run: transforms @n numbers in place. The inverse is divided by n. */
void infer_fft_run(const InferFft *fft, gboolean inverse, double *data);

G_END_DECLS
