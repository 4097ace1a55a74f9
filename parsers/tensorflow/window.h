/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

/**
 * TfWindow: what convolutions and pools have in common: a window that moves over an image.
 * @channels_first: the graph itself is NCHW
 * @same: padding SAME, which is ONNX's SAME_UPPER
 * @pads: explicit padding: top, left, bottom, right
 */
typedef struct {
  gboolean channels_first;
  gboolean same;
  gint64 kernel[2];
  gint64 strides[2];
  gint64 dilations[2];
  gint64 pads[4];
} TfWindow;

/** tf_window_read: reads the attributes; the window's size is the attribute @kernel, or the
 *  filter's own where that is NULL. */
gboolean tf_window_read(TfNode *node, const char *kernel, TfWindow *window, GError **error);
/** tf_window_input: the image in NCHW. */
InferTensor *tf_window_input(TfImport *im, TfNode *node, guint index, const TfWindow *window,
                             GError **error);
/** tf_window_output: stores the result. */
gboolean tf_window_output(TfImport *im, TfNode *node, const TfWindow *window, InferTensor *tensor,
                          GError **error);
/** tf_window_attrs: ONNX's attributes; those of Conv where @group is not 0, else those of a pool.
 */
GVariant *tf_window_attrs(const TfWindow *window, gint64 group);

G_END_DECLS
