/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/array.h>
#include <infer/decoder.h>
#include <infer/error.h>

G_BEGIN_DECLS

/**
 * InferDecoding:
 * @network: what is appended to
 * @info: its model info
 * @width: pixels of the image input
 * @height: same
 * @failed: an error was set; everything after it does nothing
 *
 * A decoder while it is appended.
 */
typedef struct {
  InferNetwork *network;
  InferModelInfo *info;
  gint64 width, height;
  gboolean failed;
  GError **error;
} InferDecoding;

/* Nodes by operator, with a sticky error; the first output, NULL after an error. */
InferTensor *infer_decoding_op1(InferDecoding *d, const char *op, InferTensor *a, GVariant *attrs);
InferTensor *infer_decoding_op2(InferDecoding *d, const char *op, InferTensor *a, InferTensor *b,
                                GVariant *attrs);
InferTensor *infer_decoding_number(InferDecoding *d, float value);
InferTensor *infer_decoding_ints(InferDecoding *d, const gint64 *values, gsize n);
/** infer_decoding_constant: a float constant; @values row-major. */
InferTensor *infer_decoding_constant(InferDecoding *d, const InferDims *dims, const float *values);
/** infer_decoding_slice: elements @start up to @end (G_MAXINT64 for all) of @axis. */
InferTensor *infer_decoding_slice(InferDecoding *d, InferTensor *x, gint64 axis, gint64 start,
                                  gint64 end);
InferTensor *infer_decoding_concat(InferDecoding *d, InferTensor *const *parts, guint n,
                                   gint64 axis);
InferTensor *infer_decoding_transpose(InferDecoding *d, InferTensor *x, const gint64 *perm,
                                      gsize n);
InferTensor *infer_decoding_reshape(InferDecoding *d, InferTensor *x, const gint64 *dims, gsize n);
/** infer_decoding_fail: sets the error; Returns: %FALSE. */
gboolean infer_decoding_fail(InferDecoding *d, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** infer_decoding_output: the @index-th output where it has @rank dimensions, else NULL. */
InferTensor *infer_decoding_output(InferDecoding *d, guint index, gint rank);
/** infer_decoding_corners: corners [N,A,4], normalised, of centres and sizes [N,A,2] in pixels. */
InferTensor *infer_decoding_corners(InferDecoding *d, InferTensor *centre, InferTensor *size);
/** infer_decoding_suppress: ends a detector; boxes [N,A,4] and scores [N,A,C]. */
gboolean infer_decoding_suppress(InferDecoding *d, InferTensor *boxes, InferTensor *scores,
                                 gint64 background);
/** infer_decoding_finish: makes these four the only outputs. */
gboolean infer_decoding_finish(InferDecoding *d, InferTensor *const *outputs);
gint64 infer_decoding_get_int(InferDecoding *d, const char *key, gint64 fallback, gint64 min,
                              gint64 max);
double infer_decoding_get_float(InferDecoding *d, const char *key, double fallback, double min,
                                double max);

gboolean infer_decode_yolov5(InferDecoding *d);
gboolean infer_decode_yolov8(InferDecoding *d);
gboolean infer_decode_yolov10(InferDecoding *d);
gboolean infer_decode_yolox(InferDecoding *d);
gboolean infer_decode_fastestdet(InferDecoding *d);

/** infer_decoder_cells: cells of the grids with strides 8, 16 and 32 over an image. */
gint64 infer_decoder_cells(gint64 width, gint64 height);
/** infer_decoder_image: FALSE where the image input is not known, or open in width or height. */
gboolean infer_decoder_image(InferNetwork *network, gint64 *width, gint64 *height);

G_END_DECLS
