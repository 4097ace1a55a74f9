/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/*
 * Drawing straight into the planes of a video frame, in any of the formats that have 8 bits per
 * component or P010's 16, whatever the sub-sampling.
 */

/**
 * GstInferInk:
 * @component: the value of each component of the format
 * @alpha: 0 (nothing) to 256 (opaque)
 *
 * A colour in the terms of a frame's format.
 */
typedef struct {
  guint component[GST_VIDEO_MAX_COMPONENTS];
  guint alpha;
} GstInferInk;

/** GstInferRect: the pixels from (x0, y0) up to, not including, (x1, y1). */
typedef struct {
  gint x0, y0, x1, y1;
} GstInferRect;

/** gst_infer_ink: Returns: @argb (0xAARRGGBB, sRGB) as components of the format of @info, by its
 *  colour matrix and range. */
GstInferInk gst_infer_ink(const GstVideoInfo *info, guint32 argb);

/** gst_infer_draw_rect: fills @rect, clipped to the frame. A chroma sample that @rect covers in
 *  part is mixed by the covered part. */
void gst_infer_draw_rect(GstVideoFrame *frame, GstInferRect rect, const GstInferInk *ink);

/** gst_infer_draw_outline: draws the border of @rect inwards, @width pixels wide, each pixel
 *  once. */
void gst_infer_draw_outline(GstVideoFrame *frame, GstInferRect rect, gint width,
                            const GstInferInk *ink);

typedef struct _GstInferText GstInferText;
typedef struct _GstInferTextMask GstInferTextMask;

/**
 * gst_infer_text_new:
 * @font: a Pango font description; without a size in it @size is used
 * @size: height of the font in pixels
 *
 * Returns: (transfer full): a renderer of short texts which remembers the last ones. For one
 *   thread at a time.
 */
GstInferText *gst_infer_text_new(const gchar *font, gint size);
void gst_infer_text_free(GstInferText *text);

/** gst_infer_text_get: Returns: (transfer none): @string as a coverage mask, valid until the next
 *  call; its size includes a margin. */
const GstInferTextMask *gst_infer_text_get(GstInferText *text, const gchar *string, gint *width,
                                           gint *height);

/** gst_infer_draw_text: paints @mask with its top left corner at (@x, @y), clipped. */
void gst_infer_draw_text(GstVideoFrame *frame, const GstInferTextMask *mask, gint x, gint y,
                         const GstInferInk *ink);

G_END_DECLS
