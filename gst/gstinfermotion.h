/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/**
 * GstInferMotion:
 *
 * Tells whether a frame shows something new: brightness is averaged over blocks, and the share of
 * blocks that differ from those of the last frame that did is compared with a threshold. Used by
 * one thread at a time; allocates nothing.
 */
typedef struct _GstInferMotion GstInferMotion;

GstInferMotion *gst_infer_motion_new(void);
void gst_infer_motion_free(GstInferMotion *motion);
/** gst_infer_motion_reset: the next frame counts as new. */
void gst_infer_motion_reset(GstInferMotion *motion);

/**
 * gst_infer_motion_check:
 * @motion: state
 * @buffer: a frame
 * @info: its format
 * @threshold: share of the picture, above 0 to 1, that has to differ
 *
 * Returns: whether the frame is new; it is what the next ones are compared with then. A frame that
 *   cannot be mapped is new.
 */
gboolean gst_infer_motion_check(GstInferMotion *motion, GstBuffer *buffer, const GstVideoInfo *info,
                                gdouble threshold);

G_END_DECLS
