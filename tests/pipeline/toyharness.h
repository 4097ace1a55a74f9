/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include "toymodel.h"

/* Frames of one colour for the toy detector, in harnesses around one or more pads of the element.
 */

#define WIDTH 64
#define HEIGHT 32
#define MAX_BATCH 8
#define FRAME_TIME (40 * GST_MSECOND)

static char *folder, *plan;

/* Red is the mark that comes back as the object's width. */
static inline GstBuffer *
frame(guint8 red, guint number)
{
  GstBuffer *buffer = gst_buffer_new_allocate(NULL, WIDTH * HEIGHT * 4, NULL);
  GstMapInfo map;

  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i + 3 < map.size; i += 4)
    memcpy(map.data + i, (guint8[]){red, 200, 50, 0}, 4);
  gst_buffer_unmap(buffer, &map);
  GST_BUFFER_PTS(buffer) = number * FRAME_TIME;
  GST_BUFFER_DURATION(buffer) = FRAME_TIME;
  return buffer;
}

/* The mark of the one object on @buffer, -1 when there is none. */
static inline gint
mark_of(GstBuffer *buffer)
{
  const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(
      buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  const GstStructure *detection =
      roi ? gst_video_region_of_interest_meta_get_param((gpointer)roi, "detection") : NULL;
  gdouble right = 0;

  if (!detection)
    return -1;
  g_assert_true(gst_structure_get_double(detection, "x_max", &right));
  return (gint)(right * 255 + 0.5);
}

static inline gint
pull_mark(GstHarness *harness)
{
  g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);

  g_assert_nonnull(buffer);
  return mark_of(buffer);
}

static inline gboolean
is_ready(GstElement *element)
{
  GstStructure *info = NULL;

  g_object_get(element, "model-info", &info, NULL);
  if (info)
    gst_structure_free(info);
  return info != NULL;
}

static inline void
wait_ready(GstElement *element)
{
  for (guint i = 0; i < 2000 && !is_ready(element); i++)
    g_usleep(10000);
  g_assert_true(is_ready(element));
}

static inline guint64
number_in(const GstStructure *stats, const char *name)
{
  guint64 value = 0;
  guint small = 0;

  if (gst_structure_get_uint64(stats, name, &value))
    return value;
  g_assert_true(gst_structure_get_uint(stats, name, &small));
  return small;
}

static inline guint64
stat_of(gpointer object, const char *name)
{
  GstStructure *stats = NULL;
  guint64 value;

  g_object_get(object, "stats", &stats, NULL);
  value = number_in(stats, name);
  gst_structure_free(stats);
  return value;
}

static inline GstElement *
make_infer(void)
{
  GstElement *infer = gst_element_factory_make("infer", NULL);

  g_assert_nonnull(infer);
  g_object_set(infer, "model-file", plan, "device", "cpu", "threads", 1, NULL);
  return gst_object_ref_sink(infer);
}

static inline GstHarness *
add_stream_full(GstElement *infer, const char *caps, gboolean live)
{
  GstPad *pad = gst_element_request_pad_simple(infer, "sink_%u");
  g_autofree char *sink = gst_object_get_name(GST_OBJECT(pad));
  g_autofree char *src = g_strdup_printf("src_%s", sink + strlen("sink_"));
  GstHarness *harness;

  gst_object_unref(pad);
  harness = gst_harness_new_with_element(infer, sink, src);
  gst_harness_set_live(harness, live);
  gst_harness_set_src_caps_str(harness, caps);
  return harness;
}

#define TOY_CAPS "video/x-raw,format=RGBx,width=64,height=32,framerate=25/1"

static inline GstHarness *
add_stream_of(GstElement *infer, const char *caps)
{
  return add_stream_full(infer, caps, TRUE);
}

/* Of a stream that is not live: frames wait for the model. */
static inline GstHarness *
add_file(GstElement *infer)
{
  return add_stream_full(infer, TOY_CAPS, FALSE);
}

static inline GstHarness *
add_stream(GstElement *infer)
{
  return add_stream_of(infer, TOY_CAPS);
}

static inline GstPad *
sink_pad(GstElement *infer, guint number)
{
  g_autofree char *name = g_strdup_printf("sink_%u", number);
  GstPad *pad = gst_element_get_static_pad(infer, name);

  g_assert_nonnull(pad);
  return pad;
}

/* Waits until @name counts @wanted, at most for some seconds. */
static inline void
wait_stat(gpointer object, const char *name, guint64 wanted)
{
  for (guint i = 0; i < 500 && stat_of(object, name) != wanted; i++)
    g_usleep(10000);
  g_assert_cmpuint(stat_of(object, name), ==, wanted);
}

static inline void
set_up_plan(const char *name)
{
  g_autofree char *template = g_strconcat(name, "-XXXXXX", NULL);

  folder = g_dir_make_tmp(template, NULL);
  plan = g_build_filename(folder, "toy.plan", NULL);
  toy_model_save(plan, MAX_BATCH, INFER_RESIZE_STRETCH);
}

static inline void
tear_down_plan(void)
{
  g_unlink(plan);
  g_rmdir(folder);
  g_free(plan);
  g_free(folder);
  gst_deinit();
}
