/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* The sliding window of convolution and pooling, over 1 to 3 spatial dimensions. */

#define INFER_WINDOW_MAX 3

typedef enum {
  INFER_PAD_EXPLICIT,
  INFER_PAD_SAME_UPPER,
  INFER_PAD_SAME_LOWER,
  INFER_PAD_VALID,
} InferAutoPad;

/**
 * InferWindow:
 * @n: spatial dimensions
 * @kernel: taps per dimension; -1 where not known
 * @stride: steps
 * @dilation: distance of taps
 * @begin: padding before, as the attributes give it; 0 unless @auto_pad is explicit
 * @end: padding after
 * @ceil_mode: whether the last, partial window counts
 */
typedef struct {
  gint n;
  gint64 kernel[INFER_WINDOW_MAX], stride[INFER_WINDOW_MAX], dilation[INFER_WINDOW_MAX];
  gint64 begin[INFER_WINDOW_MAX], end[INFER_WINDOW_MAX];
  InferAutoPad auto_pad;
  gboolean ceil_mode;
} InferWindow;

/** infer_window_read: reads and checks strides, dilations, pads, auto_pad and ceil_mode of @node;
 *  @kernel is the kernel's size where it comes from a weight, else %NULL for the attribute
 *  kernel_shape, which has to agree with it. */
gboolean infer_window_read(const InferNode *node, gint n, const gint64 *kernel, InferWindow *window,
                           GError **error);

/** infer_window_output: the output's spatial dimensions; unknown where they depend on a symbol. */
gboolean infer_window_output(const InferNode *node, const InferWindow *window, const gint64 *in,
                             gint64 *out, GError **error);

/**
 * InferSlide:
 *
 * A window on constant dimensions, always three of them (outermost first, leading ones 1), with
 * the padding resolved.
 */
typedef struct {
  gint64 in[INFER_WINDOW_MAX], out[INFER_WINDOW_MAX], kernel[INFER_WINDOW_MAX];
  gint64 stride[INFER_WINDOW_MAX], dilation[INFER_WINDOW_MAX];
  gint64 begin[INFER_WINDOW_MAX], end[INFER_WINDOW_MAX];
} InferSlide;

void infer_window_slide(const InferWindow *window, const gint64 *in, const gint64 *out,
                        InferSlide *slide);

G_END_DECLS
