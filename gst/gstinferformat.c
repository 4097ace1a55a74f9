/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

/** The most pixels of a side that the engine takes. */
#define MAX_SIDE 65535

static gboolean
pixel_format(GstVideoFormat format, InferPixelFormat *pixel)
{
  switch (format) {
  case GST_VIDEO_FORMAT_NV12:
    *pixel = INFER_PIXEL_NV12;
    return TRUE;
  case GST_VIDEO_FORMAT_P010_10LE:
    *pixel = INFER_PIXEL_P010_LE;
    return TRUE;
  case GST_VIDEO_FORMAT_I420:
    *pixel = INFER_PIXEL_I420;
    return TRUE;
  case GST_VIDEO_FORMAT_YUY2:
    *pixel = INFER_PIXEL_YUY2;
    return TRUE;
  case GST_VIDEO_FORMAT_RGB:
    *pixel = INFER_PIXEL_RGB;
    return TRUE;
  case GST_VIDEO_FORMAT_BGR:
    *pixel = INFER_PIXEL_BGR;
    return TRUE;
  case GST_VIDEO_FORMAT_RGBA:
  case GST_VIDEO_FORMAT_RGBx:
    *pixel = INFER_PIXEL_RGBA;
    return TRUE;
  case GST_VIDEO_FORMAT_BGRA:
  case GST_VIDEO_FORMAT_BGRx:
    *pixel = INFER_PIXEL_BGRA;
    return TRUE;
  case GST_VIDEO_FORMAT_GRAY8:
    *pixel = INFER_PIXEL_GRAY8;
    return TRUE;
  default:
    return FALSE;
  }
}

GstInferFormat *
gst_infer_format_new(GstCaps *caps, GError **error)
{
  GstVideoInfo info;
  InferPixelFormat pixel;
  gdouble kr, kb;

  if (!gst_video_info_from_caps(&info, caps)) {
    g_set_error(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
                "caps %" GST_PTR_FORMAT
                " do not describe raw video; put videoconvert before this element",
                caps);
    return NULL;
  }
  if (!pixel_format(GST_VIDEO_INFO_FORMAT(&info), &pixel)) {
    g_set_error(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
                "frames of format %s cannot be inferred on; put videoconvert before this element",
                gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&info)));
    return NULL;
  }
  if (info.width < 1 || info.height < 1 || info.width > MAX_SIDE || info.height > MAX_SIDE) {
    g_set_error(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
                "frames of %dx%d pixels cannot be inferred on; a side has 1 to %d pixels, put "
                "videoscale before this element",
                info.width, info.height, MAX_SIDE);
    return NULL;
  }
  if (!gst_video_color_matrix_get_Kr_Kb(info.colorimetry.matrix, &kr, &kb))
    gst_video_color_matrix_get_Kr_Kb(
        info.height > 576 ? GST_VIDEO_COLOR_MATRIX_BT709 : GST_VIDEO_COLOR_MATRIX_BT601, &kr, &kb);

  GstInferFormat *format = g_atomic_rc_box_new0(GstInferFormat);
  format->info = info;
  format->pixel = pixel;
  format->kr = (gfloat)kr;
  format->kb = (gfloat)kb;
  return format;
}
