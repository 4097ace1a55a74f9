/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinfermotion.h"
#include "gstinferrun.h"

/** Blocks of a side, and samples of a block's side. */
#define GRID 32
#define SAMPLES 4
/** Levels of brightness, of 255, that noise makes in the mean of a block. */
#define NOISE 6

struct _GstInferMotion {
  gboolean valid;
  gint width, height;
  guint columns, rows;
  guint16 reference[GRID * GRID], current[GRID * GRID];
};

GstInferMotion *
gst_infer_motion_new(void)
{
  return g_new0(GstInferMotion, 1);
}

void
gst_infer_motion_free(GstInferMotion *self)
{
  g_free(self);
}

void
gst_infer_motion_reset(GstInferMotion *self)
{
  self->valid = FALSE;
}

/* How brightness is read: bytes from one pixel to the next, and where in them it lies. */
typedef struct {
  guint step, offset;
  gboolean rgb;
} Luma;

static Luma
luma_of(const GstVideoFrame *frame)
{
  switch (GST_VIDEO_FRAME_FORMAT(frame)) {
  case GST_VIDEO_FORMAT_NV12:
  case GST_VIDEO_FORMAT_I420:
  case GST_VIDEO_FORMAT_GRAY8:
    return (Luma){1, 0, FALSE};
  case GST_VIDEO_FORMAT_P010_10LE:
    return (Luma){2, 1, FALSE};
  case GST_VIDEO_FORMAT_YUY2:
    return (Luma){2, 0, FALSE};
  default:
    return (Luma){(guint)GST_VIDEO_FRAME_COMP_PSTRIDE(frame, 0), 0, TRUE};
  }
}

static guint
read_luma(const guint8 *row, const Luma *luma, guint x)
{
  const guint8 *pixel = row + (gsize)x * luma->step + luma->offset;

  return luma->rgb ? (pixel[0] + 2u * pixel[1] + pixel[2]) / 4 : pixel[0];
}

/* The mean of SAMPLES x SAMPLES pixels spread over each block. */
static void
sample(GstInferMotion *self, const GstVideoFrame *frame)
{
  const guint width = (guint)self->width, height = (guint)self->height;
  const Luma luma = luma_of(frame);
  const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA(frame, 0);
  const gint stride = GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0);

  memset(self->current, 0, sizeof self->current);
  for (guint i = 0; i < self->rows * SAMPLES; i++) {
    const guint y = MIN((2 * i + 1) * height / (2 * self->rows * SAMPLES), height - 1);
    const guint8 *row = data + (gssize)y * stride;
    guint16 *blocks = self->current + (i / SAMPLES) * self->columns;
    for (guint k = 0; k < self->columns * SAMPLES; k++) {
      const guint x = MIN((2 * k + 1) * width / (2 * self->columns * SAMPLES), width - 1);
      blocks[k / SAMPLES] = (guint16)(blocks[k / SAMPLES] + read_luma(row, &luma, x));
    }
  }
}

static guint
count_changed(const GstInferMotion *self)
{
  guint changed = 0;

  for (guint i = 0; i < self->rows * self->columns; i++)
    changed += ABS((gint)self->current[i] - (gint)self->reference[i]) > NOISE * SAMPLES * SAMPLES;
  return changed;
}

gboolean
gst_infer_motion_check(GstInferMotion *self, GstBuffer *buffer, const GstVideoInfo *info,
                       gdouble threshold)
{
  GstVideoFrame frame;
  gboolean moved = TRUE;

  if (!gst_video_frame_map(&frame, info, buffer, GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF))
    return TRUE;
  if (GST_VIDEO_FRAME_FORMAT(&frame) == GST_VIDEO_INFO_FORMAT(info) &&
      gst_infer_planes_fit(&frame)) {
    if (self->width != GST_VIDEO_FRAME_WIDTH(&frame) ||
        self->height != GST_VIDEO_FRAME_HEIGHT(&frame))
      self->valid = FALSE;
    self->width = GST_VIDEO_FRAME_WIDTH(&frame);
    self->height = GST_VIDEO_FRAME_HEIGHT(&frame);
    self->columns = (guint)CLAMP(self->width / SAMPLES, 1, GRID);
    self->rows = (guint)CLAMP(self->height / SAMPLES, 1, GRID);
    sample(self, &frame);
    moved = !self->valid || (gdouble)count_changed(self) >= threshold * self->rows * self->columns;
    self->valid = TRUE;
    if (moved)
      memcpy(self->reference, self->current, sizeof self->reference);
  }
  gst_video_frame_unmap(&frame);
  return moved;
}
