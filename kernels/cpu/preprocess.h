/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"

G_BEGIN_DECLS

/*
 * Frames become network images in three moves over one output row at a time:
 *
 *   vertical:   a weighted sum of source rows, contiguous, of whole planes (interleaved samples
 * too) horizontal: a weighted sum of samples of each component at the places the output row reads
 *   color:      Y'CbCr to RGB, then scale and bias, stored in the network's layout
 *
 * What is computed equals, up to rounding, converting the frame to RGB at its own size and resizing
 * that, because both are linear; only the clamp to 0..255 comes after the interpolation instead of
 * before it, which shows where neighbours lie on both sides of the RGB cube's surface.
 *
 * Chroma of 4:2:0 and 4:2:2 is upsampled linearly for samples that lie on the even luma columns and
 * between the luma rows (MPEG-2's siting, what decoders announce and GStreamer's videoconvert does
 * for it), within the whole frame, not the crop. The upsampling is folded into the weights.
 */

/** InferSiting: where chroma samples lie on an axis. */
typedef enum { INFER_SITING_FULL, INFER_SITING_COSITED, INFER_SITING_CENTRED } InferSiting;

/**
 * InferAxis:
 * @filter: interpolation
 * @coordinates: sampling positions
 * @siting: of the samples
 * @in: pixels of the crop
 * @origin: pixel of the frame where the crop starts
 * @out: pixels that the crop is scaled to
 * @skip: of these, those before the first that is wanted
 * @n: how many are wanted
 * @samples: samples that the plane has along the axis
 * @step: elements from a sample to the next, for the starts
 *
 * One axis of a resize.
 */
typedef struct {
  InferFilter filter;
  InferCoordinates coordinates;
  InferSiting siting;
  gint64 in, origin, out, skip;
  guint n;
  guint samples;
  guint step;
} InferAxis;

/**
 * InferTaps:
 * @n: outputs
 * @count: weights per output
 * @first: first sample that an output reads
 * @end: one past the last sample that an output reads
 * @start: per output, (first sample - @first) * step
 * @weights: [n][count] for rows, [count][n] for columns
 *
 * What each output of an axis reads. The arrays are kept and only grow.
 */
typedef struct {
  guint n, count, first, end;
  gint32 *start;
  float *weights;
  /*< private >*/
  gsize start_capacity, weights_capacity;
} InferTaps;

/** infer_taps_build: fills @taps; @columns chooses the order of the weights. */
gboolean infer_taps_build(InferTaps *taps, const InferAxis *axis, gboolean columns, GError **error);
void infer_taps_clear(InferTaps *taps);

/**
 * InferRowOps: loops over one row, for one instruction set.
 * @vertical8: @out = sum of @w[k] * row k, rows @stride bytes apart
 * @vertical10: the same over 16-bit little-endian samples with 10 bits at the top
 * @horizontal: @out[i] = sum of w[k * n + i] * in[start[i] + k * step]
 * @to_rgb: Y, Cb, Cr to R, G, B in place, by a 3x4 matrix, clamped to 0..255
 * @gain: a[i] * gain + offset in place, clamped to 0..255
 * @weigh: a = w[0] * a + w[1] * b + w[2] * c
 * @store_float: @dst[i * stride] = a[i] * scale + bias
 * @store_u8: the same, rounded, saturated
 * @pack_float: three rows interleaved, dst[3 * i + c] = rows[c][i] * scale[c] + bias[c]
 * @pack_u8: the same, rounded, saturated
 */
typedef struct {
  const char *name;
  void (*vertical8)(float *out, const guint8 *rows, gssize stride, const float *w, guint count,
                    gsize n);
  void (*vertical10)(float *out, const guint8 *rows, gssize stride, const float *w, guint count,
                     gsize n);
  void (*horizontal)(float *out, const float *in, const InferTaps *taps, guint step);
  void (*to_rgb)(float *a, float *b, float *c, const float *matrix, gsize n);
  void (*gain)(float *a, float gain, float offset, gsize n);
  void (*weigh)(float *a, const float *b, const float *c, const float *w, gsize n);
  void (*store_float)(float *dst, gint64 stride, const float *a, float scale, float bias, gsize n);
  void (*store_u8)(guint8 *dst, gint64 stride, const float *a, float scale, float bias, gsize n);
  void (*pack_float)(float *dst, const float *const *rows, const float *scale, const float *bias,
                     gsize n);
  void (*pack_u8)(guint8 *dst, const float *const *rows, const float *scale, const float *bias,
                  gsize n);
} InferRowOps;

/** infer_row_ops: Returns: (nullable): the loops for the @index-th instruction set that this
 *  machine has, the best first; %NULL past the last. */
const InferRowOps *infer_row_ops(guint index);

/** infer_preprocess_frames: infer_cpu_preprocess() with the loops of a chosen instruction set. */
gboolean infer_preprocess_frames(const InferRowOps *ops, const InferFrame *frames, guint n_frames,
                                 const InferPreprocess *pre, const InferImageTarget *target,
                                 GError **error);

G_END_DECLS
