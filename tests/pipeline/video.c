/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What frames and streams look like: formats, strides, rates, stills, seeks, and what becomes of
 * the results in the elements that people put behind. */
#include <gst/app/gstappsink.h>
#include "gstinferanalytics.h"
#include "gstinfermeta.h"
#include "toyharness.h"

#define PATIENCE (20 * GST_SECOND)

static GstBuffer *
gray_frame(GstCaps *caps, guint number)
{
  GstVideoInfo info;
  GstBuffer *buffer;

  g_assert_true(gst_video_info_from_caps(&info, caps));
  buffer = gst_buffer_new_allocate(NULL, info.size, NULL);
  gst_buffer_memset(buffer, 0, 0x80, info.size);
  GST_BUFFER_PTS(buffer) = number * FRAME_TIME;
  return buffer;
}

/* Caps pass as they are, and frames of every kind are inferred on. */
static void
test_caps(void)
{
  const char *const texts[] = {
      "video/x-raw,format=NV12,width=65,height=33,framerate=25/1,interlace-mode=interleaved,"
      "field-order=top-field-first",
      "video/x-raw,format=I420,width=33,height=17,framerate=30000/1001,interlace-mode=mixed",
      "video/x-raw,format=YUY2,width=31,height=1,framerate=0/1",
      "video/x-raw,format=NV12,width=1,height=1,framerate=0/1,max-framerate=60/1",
      "video/x-raw,format=P010_10LE,width=7,height=5,framerate=25/1,colorimetry=bt2100-pq",
      "video/x-raw,format=GRAY8,width=19,height=3,framerate=1/10",
      "video/x-raw,format=BGRx,width=640,height=480,framerate=25/1,pixel-aspect-ratio=16/15,"
      "chroma-site=none,multiview-mode=mono,views=1,something-of-others=(string)kept",
      "video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=RGB,width=5,"
      "height=5,framerate=25/1",
  };

  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GstCaps) caps = gst_caps_from_string(texts[i]), seen = NULL;
    GstElement *infer = make_infer();
    GstHarness *harness = add_stream_of(infer, texts[i]);

    g_test_message("%s", texts[i]);
    wait_ready(infer);
    for (guint k = 0; k < 3; k++) {
      g_assert_cmpint(gst_harness_push(harness, gray_frame(caps, k)), ==, GST_FLOW_OK);
      g_autoptr(GstBuffer) out = gst_harness_pull(harness);
      g_assert_cmpint(mark_of(out), >=, 100);
    }
    seen = gst_pad_get_current_caps(harness->sinkpad);
    g_assert_true(gst_caps_is_strictly_equal(caps, seen));
    g_assert_cmpuint(stat_of(infer, "inferred"), ==, 3);
    gst_harness_teardown(harness);
    gst_object_unref(infer);
  }
}

/* Frames without times pass in order, and are never late. */
static void
test_no_times(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer);

  wait_ready(infer);
  gst_harness_push_upstream_event(harness, gst_event_new_latency(0));
  gst_harness_set_time(harness, 10 * GST_SECOND);
  for (guint i = 0; i < 10; i++) {
    GstBuffer *buffer = frame((guint8)(10 + i), i);
    GST_BUFFER_PTS(buffer) = GST_CLOCK_TIME_NONE;
    gst_harness_push(harness, buffer);
  }
  for (gint i = 0; i < 10; i++)
    g_assert_cmpint(pull_mark(harness), ==, 10 + i);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* The picture lies where the video meta says, with rows as far apart as it says, in one memory or
 * in several; crop and stride together. */
static void
test_strides(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream_of(infer, "video/x-raw,format=NV12,width=32,height=16,"
                                             "framerate=25/1,colorimetry=1:4:0:0");

  wait_ready(infer);
  for (guint i = 0; i < 12; i++) {
    const gint stride = 32 + (gint)i * 16;
    const gboolean split = i % 2;
    const gsize luma = (gsize)stride * 16 + 64, chroma = (gsize)stride * 8;
    gsize offsets[GST_VIDEO_MAX_PLANES] = {64, luma + (split ? 0 : 128)};
    gint strides[GST_VIDEO_MAX_PLANES] = {stride, stride};
    GstBuffer *buffer = gst_buffer_new();
    g_autoptr(GstBuffer) out = NULL;

    gst_buffer_append_memory(buffer,
                             gst_allocator_alloc(NULL, luma + (split ? 0 : 128 + chroma), NULL));
    if (split)
      gst_buffer_append_memory(buffer, gst_allocator_alloc(NULL, chroma, NULL));
    /* Around the picture it is white. */
    gst_buffer_memset(buffer, 0, 0xff, (gsize)-1);
    for (guint y = 0; y < 16; y++)
      gst_buffer_memset(buffer, 64 + y * (gsize)stride, 100, 32);
    for (guint y = 0; y < 8; y++)
      gst_buffer_memset(buffer, offsets[1] + y * (gsize)stride, 128, 32);
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, 32, 16,
                                   2, offsets, strides);
    GST_BUFFER_PTS(buffer) = i * FRAME_TIME;
    gst_harness_push(harness, buffer);
    out = gst_harness_pull(harness);
    /* Full range: 100 of 255. */
    g_assert_cmpint(mark_of(out), >=, 96);
    g_assert_cmpint(mark_of(out), <=, 104);
  }
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* One stream changes its caps with every frame while another plays on. */
static void
test_renegotiation(void)
{
  GstElement *infer = make_infer();
  GstHarness *steady, *fickle;

  g_object_set(infer, "batch-size", 4, "batch-timeout", (gint64)(5 * GST_MSECOND), NULL);
  steady = add_stream(infer);
  fickle = add_stream(infer);
  wait_ready(infer);
  for (guint i = 0; i < 40; i++) {
    g_autofree char *text = g_strdup_printf("video/x-raw,format=%s,width=%u,height=%u,"
                                            "framerate=%u/1",
                                            i % 2 ? "NV12" : "RGB", 16 + i, 9 + 3 * i, 10 + i);
    g_autoptr(GstCaps) caps = gst_caps_from_string(text), seen = NULL;
    g_autoptr(GstBuffer) out = NULL;

    gst_harness_push(steady, frame((guint8)(10 + i), i));
    gst_harness_set_src_caps(fickle, gst_caps_ref(caps));
    gst_harness_push(fickle, gray_frame(caps, i));
    out = gst_harness_pull(fickle);
    g_assert_cmpint(mark_of(out), >=, 100);
    seen = gst_pad_get_current_caps(fickle->sinkpad);
    g_assert_true(gst_caps_is_equal(caps, seen));
    g_assert_cmpint(pull_mark(steady), ==, (gint)(10 + i));
  }
  gst_harness_teardown(fickle);
  gst_harness_teardown(steady);
  gst_object_unref(infer);
}

static GstElement *
launch(const char *format)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) parts = g_strsplit(format, "INFER", -1);
  g_autofree char *infer = g_strdup_printf("infer model-file=%s device=cpu threads=1", plan);
  g_autofree char *line = g_strjoinv(infer, parts);
  GstElement *pipeline = gst_parse_launch(line, &error);

  g_assert_no_error(error);
  return pipeline;
}

static void
wait_for(GstElement *pipeline, GstMessageType type)
{
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
  g_autoptr(GstMessage) message =
      gst_bus_timed_pop_filtered(bus, PATIENCE, type | GST_MESSAGE_ERROR);

  g_assert_nonnull(message);
  g_assert_cmpstr(GST_MESSAGE_TYPE_NAME(message), ==, gst_message_type_get_name(type));
}

/* One picture is a stream too: nothing waits for a second one. */
static void
test_stills(void)
{
  const char *const lines[] = {
      "videotestsrc num-buffers=1 ! pngenc ! pngdec ! videoconvert ! INFER batch-size=8 "
      "batch-timeout=60000000000 ! fakesink",
      "videotestsrc num-buffers=1 ! jpegenc ! jpegdec ! INFER name=i batch-size=8 "
      "batch-timeout=60000000000 ! fakesink  videotestsrc num-buffers=3 ! i. i. ! fakesink",
      "videotestsrc num-buffers=1 ! imagefreeze num-buffers=20 ! INFER ! fakesink",
      "videotestsrc num-buffers=5 ! video/x-raw,framerate=0/1 ! INFER ! fakesink sync=true",
      "videotestsrc num-buffers=20 ! video/x-raw,interlace-mode=interleaved ! INFER ! fakesink",
  };

  for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
    GstElement *pipeline = launch(lines[i]);
    g_test_message("%s", lines[i]);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    wait_for(pipeline, GST_MESSAGE_EOS);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
  }
}

static GstClockTime
next_time(GstElement *sink, gint *mark)
{
  g_autoptr(GstSample) sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), PATIENCE);

  g_assert_nonnull(sample);
  *mark = mark_of(gst_sample_get_buffer(sample));
  return GST_BUFFER_PTS(gst_sample_get_buffer(sample));
}

/* Seeks of every kind, forwards and backwards, with two streams in one element. */
static void
test_seeks(void)
{
  static const struct {
    gdouble rate;
    GstSeekFlags flags;
    GstClockTime start, stop;
  } seeks[] = {
      {1, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE, 3 * GST_SECOND, 5 * GST_SECOND},
      {1, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT, 1 * GST_SECOND, 9 * GST_SECOND},
      {4, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_TRICKMODE, 2 * GST_SECOND, 6 * GST_SECOND},
      {-1, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE, 2 * GST_SECOND, 4 * GST_SECOND},
      {-2, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_TRICKMODE, 1 * GST_SECOND, 3 * GST_SECOND},
      {1, GST_SEEK_FLAG_FLUSH, 0, GST_SECOND},
  };
  GstElement *pipeline = launch(
      "videotestsrc pattern=white ! video/x-raw,format=RGBx,width=32,height=32,framerate=10/1 "
      "! INFER name=i ! appsink name=a sync=false max-buffers=5  "
      "videotestsrc pattern=white ! video/x-raw,format=RGBx,width=32,height=32,"
      "framerate=10/1 ! i. i. ! appsink name=b sync=false max-buffers=5");
  GstElement *sinks[2] = {gst_bin_get_by_name(GST_BIN(pipeline), "a"),
                          gst_bin_get_by_name(GST_BIN(pipeline), "b")};

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  wait_for(pipeline, GST_MESSAGE_ASYNC_DONE);
  for (guint i = 0; i < G_N_ELEMENTS(seeks); i++) {
    g_test_message("rate %g, flags %x", seeks[i].rate, seeks[i].flags);
    g_assert_true(gst_element_seek(pipeline, seeks[i].rate, GST_FORMAT_TIME, seeks[i].flags,
                                   GST_SEEK_TYPE_SET, (gint64)seeks[i].start, GST_SEEK_TYPE_SET,
                                   (gint64)seeks[i].stop));
    for (guint s = 0; s < 2; s++) {
      GstClockTime last = GST_CLOCK_TIME_NONE;
      for (guint k = 0; k < 8; k++) {
        gint mark;
        const GstClockTime now = next_time(sinks[s], &mark);
        g_assert_cmpint(mark, ==, 255);
        g_assert_cmpuint(now + 100 * GST_MSECOND, >, seeks[i].start);
        g_assert_cmpuint(now, <=, seeks[i].stop);
        if (k == 0 && seeks[i].rate == 1)
          g_assert_cmpuint(now, ==, seeks[i].start);
        if (k > 0)
          g_assert_true(seeks[i].rate > 0 ? now > last : now < last);
        last = now;
      }
    }
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(sinks[0]);
  gst_object_unref(sinks[1]);
  gst_object_unref(pipeline);
}

/* A segment seek ends with SEGMENT_DONE, behind the last frame, and not with EOS. */
static void
test_segment_seek(void)
{
  GstElement *pipeline = launch("videotestsrc ! video/x-raw,framerate=10/1,width=32,height=32 ! "
                                "INFER ! fakesink name=f sync=false");

  gst_element_set_state(pipeline, GST_STATE_PAUSED);
  wait_for(pipeline, GST_MESSAGE_ASYNC_DONE);
  g_assert_true(gst_element_seek(pipeline, 1, GST_FORMAT_TIME,
                                 GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, GST_SEEK_TYPE_SET, 0,
                                 GST_SEEK_TYPE_SET, GST_SECOND));
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  wait_for(pipeline, GST_MESSAGE_SEGMENT_DONE);
  g_assert_true(gst_element_seek(pipeline, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_SEGMENT,
                                 GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, GST_SECOND));
  wait_for(pipeline, GST_MESSAGE_SEGMENT_DONE);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
}

typedef struct {
  const char *line;
  guint width, height;
  gdouble x, w, h; /* where the whole frame's box lies; w below 0 where results may be gone */
} Walk;

/* What is behind the element keeps, scales or drops the results; it never leaves wrong ones. */
static void
test_walk(void)
{
  static const Walk walks[] = {
      {"identity", 64, 48, 0, 64, 48},
      {"queue ! identity sync=false", 64, 48, 0, 64, 48},
      {"videoconvert ! video/x-raw,format=I420", 64, 48, 0, 64, 48},
      {"videoscale ! video/x-raw,width=128,height=96", 128, 96, 0, 128, 96},
      {"videoscale ! video/x-raw,width=32,height=24", 32, 24, 0, 32, 24},
      {"videoconvert ! video/x-raw,format=NV12 ! videoscale ! video/x-raw,width=20,height=10", 20,
       10, 0, 20, 10},
      {"videorate ! video/x-raw,framerate=5/1", 64, 48, 0, 64, 48},
      {"tee ! queue", 64, 48, 0, 64, 48},
      {"videobalance saturation=0.5", 64, 48, 0, 64, 48},
      {"gamma gamma=1.2", 64, 48, 0, 64, 48},
      {"videocrop left=16 right=16", 32, 48, 0, -1, 0},
      {"videobox left=-16", 80, 48, 16, -1, 0},
      {"compositor ! video/x-raw,width=64,height=48", 64, 48, 0, -1, 0},
      {"videoflip video-direction=90r", 48, 64, 0, -1, 0},
  };
  const char *const modes[] = {"auto", "roi", "analytics", "both"};

  for (guint m = 0; m < G_N_ELEMENTS(modes); m++) {
    for (guint i = 0; i < G_N_ELEMENTS(walks); i++) {
      const Walk *walk = &walks[i];
      g_autofree char *line = g_strdup_printf(
          "videotestsrc pattern=white num-buffers=5 ! video/x-raw,format=RGBx,width=64,height=48,"
          "framerate=10/1 ! INFER metadata=%s ! %s ! appsink name=a sync=false",
          modes[m], walk->line);
      GstElement *pipeline = launch(line);
      g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), "a");
      g_autoptr(GstSample) sample = NULL;
      g_autoptr(GArray) objects = NULL;
      GstVideoInfo info;

      gst_element_set_state(pipeline, GST_STATE_PLAYING);
      sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), PATIENCE);
      g_assert_nonnull(sample);
      g_assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(sample)));
      g_assert_cmpint(info.width, ==, (gint)walk->width);
      objects = gst_infer_meta_collect(gst_sample_get_buffer(sample), &info, NULL);
      g_test_message("%s, metadata=%s: %u objects", walk->line, modes[m], objects->len);
      if (walk->w >= 0) {
        const GstInferObject *object = &g_array_index(objects, GstInferObject, 0);
        g_assert_cmpuint(objects->len, ==, 1);
        g_assert_cmpfloat_with_epsilon(object->x, walk->x, 0.5);
        g_assert_cmpfloat_with_epsilon(object->w, walk->w, 0.5);
        g_assert_cmpfloat_with_epsilon(object->h, walk->h, 0.5);
        g_assert_cmpfloat_with_epsilon(object->confidence, 1, 0.01);
      }
      gst_element_set_state(pipeline, GST_STATE_NULL);
      gst_object_unref(pipeline);
    }
  }
}

/* From GStreamer 1.24 on objects are in GstAnalytics as well; before they are regions whatever is
 * asked for. */
static void
test_analytics(void)
{
  const char *const modes[] = {"auto", "roi", "analytics", "both"};
  const gboolean entries[] = {TRUE, FALSE, TRUE, TRUE}, regions[] = {TRUE, TRUE, FALSE, TRUE};
  const gboolean available = gst_infer_analytics_available();

  for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
    GstElement *infer = make_infer();
    GstHarness *harness;
    g_autoptr(GstBuffer) out = NULL;
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(GstInferObject)), merged = NULL;
    GstVideoRegionOfInterestMeta *roi;

    gst_util_set_object_arg(G_OBJECT(infer), "metadata", modes[i]);
    g_object_set(infer, "attach-tensors", TRUE, NULL);
    harness = add_stream(infer);
    wait_ready(infer);
    gst_harness_push(harness, frame(100, 0));
    out = gst_harness_pull(harness);
    gst_infer_analytics_collect(out, found);
    g_assert_cmpuint(found->len, ==, available && entries[i] ? 1 : 0);
    roi = (gpointer)gst_buffer_get_meta(out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    g_assert_cmpint(roi != NULL, ==, regions[i] || !available);
    if (found->len > 0) {
      const GstInferObject *object = &g_array_index(found, GstInferObject, 0);
      g_assert_cmpstr(g_quark_to_string(object->label), ==, "two");
      g_assert_cmpfloat_with_epsilon(object->w, 25, 1);
      g_assert_cmpint(object->id, >, 0);
      if (roi)
        g_assert_cmpint(roi->id, ==, object->id);
    }
    merged = gst_infer_meta_collect(out, NULL, NULL);
    g_assert_cmpuint(merged->len, ==, 1);
    gst_harness_teardown(harness);
    gst_object_unref(infer);
  }
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  set_up_plan("infer-video");
  g_test_add_func("/infer/caps", test_caps);
  g_test_add_func("/infer/no-times", test_no_times);
  g_test_add_func("/infer/strides", test_strides);
  g_test_add_func("/infer/renegotiation", test_renegotiation);
  g_test_add_func("/infer/stills", test_stills);
  g_test_add_func("/infer/seeks", test_seeks);
  g_test_add_func("/infer/segment-seek", test_segment_seek);
  g_test_add_func("/infer/walk", test_walk);
  g_test_add_func("/infer/analytics", test_analytics);
  result = g_test_run();
  tear_down_plan();
  return result;
}
