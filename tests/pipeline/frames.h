/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "gstinfermeta.h"

/* Small frames with known contents, and objects for them. */

#define WIDTH 64
#define HEIGHT 48
#define GROUND 0x40

static inline GstCaps *
make_caps(const gchar *format, gint width, gint height)
{
  return gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, format, "width", G_TYPE_INT,
                             width, "height", G_TYPE_INT, height, "framerate", GST_TYPE_FRACTION,
                             25, 1, NULL);
}

static inline GstVideoInfo
make_info(const gchar *format, gint width, gint height)
{
  g_autoptr(GstCaps) caps = make_caps(format, width, height);
  GstVideoInfo info;

  g_assert_true(gst_video_info_from_caps(&info, caps));
  return info;
}

static inline GstBuffer *
make_buffer(const GstVideoInfo *info, guint64 number)
{
  GstBuffer *buffer = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(info), NULL);

  gst_buffer_memset(buffer, 0, GROUND, GST_VIDEO_INFO_SIZE(info));
  GST_BUFFER_PTS(buffer) = number * 40 * GST_MSECOND;
  GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
  return buffer;
}

static inline GstInferObject
make_object(const gchar *label, gint label_id, gdouble x, gdouble y, gdouble w, gdouble h)
{
  return (GstInferObject){.id = -1,
                          .parent_id = -1,
                          .label_id = label_id,
                          .label = label ? g_quark_from_string(label) : 0,
                          .confidence = 0.75,
                          .x = x,
                          .y = y,
                          .w = w,
                          .h = h};
}

static inline const GstInferObject *
at(GArray *objects, guint index)
{
  g_assert_cmpuint(index, <, objects->len);
  return &g_array_index(objects, GstInferObject, index);
}

static inline GstHarness *
harness_for(GstElement *element, const gchar *format, gint width, gint height)
{
  GstHarness *harness = gst_harness_new_with_element(element, "sink", "src");

  gst_object_unref(element);
  gst_harness_set_caps(harness, make_caps(format, width, height), make_caps(format, width, height));
  return harness;
}
