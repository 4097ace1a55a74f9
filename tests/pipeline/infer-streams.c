/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include "toymodel.h"

#define SIDE 32
#define MAX_BATCH 4
#define STREAMS 3
#define PATIENCE (20 * GST_SECOND)

static char *folder, *plan;

static GstBuffer *
frame(guint8 red, guint number)
{
  GstBuffer *buffer = gst_buffer_new_allocate(NULL, SIDE * SIDE * 4, NULL);
  GstMapInfo map;

  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < map.size; i += 4)
    memcpy(map.data + i, (guint8[]){red, 200, 50, 0}, 4);
  gst_buffer_unmap(buffer, &map);
  GST_BUFFER_PTS(buffer) = number * 40 * GST_MSECOND;
  GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
  return buffer;
}

/* The red that comes back in the object's width, -1 when there is no object. */
static gint
mark_of(GstBuffer *buffer)
{
  const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(
      buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  const GstStructure *detection =
      roi ? gst_video_region_of_interest_meta_get_param((gpointer)roi, "detection") : NULL;
  gdouble right = -1;

  if (detection)
    gst_structure_get_double(detection, "x_max", &right);
  return detection ? (gint)(right * 255 + 0.5) : -1;
}

typedef struct {
  GstElement *pipeline, *infer;
  GstElement *src[STREAMS], *sink[STREAMS];
} Fixture;

/* @n streams of appsrc ! infer ! appsink, paused or playing as soon as the model is there. */
static void
set_up(Fixture *fixture, guint n, const char *properties)
{
  g_autoptr(GString) line = g_string_new(NULL);
  g_autoptr(GError) error = NULL;

  *fixture = (Fixture){NULL};
  for (guint i = 0; i < n; i++) {
    g_string_append_printf(line,
                           "appsrc name=a%u format=time caps=video/x-raw,format=RGBx,width=%d,"
                           "height=%d,framerate=25/1 ! ",
                           i, SIDE, SIDE);
    if (i == 0)
      g_string_append_printf(line, "infer name=i model-file=%s device=cpu threads=1 %s ! ", plan,
                             properties);
    else
      g_string_append(line, "i. i. ! ");
    g_string_append_printf(line, "appsink name=o%u sync=false async=false ", i);
  }
  fixture->pipeline = gst_parse_launch(line->str, &error);
  g_assert_no_error(error);
  fixture->infer = gst_bin_get_by_name(GST_BIN(fixture->pipeline), "i");
  for (guint i = 0; i < n; i++) {
    g_autofree char *src = g_strdup_printf("a%u", i), *sink = g_strdup_printf("o%u", i);
    fixture->src[i] = gst_bin_get_by_name(GST_BIN(fixture->pipeline), src);
    fixture->sink[i] = gst_bin_get_by_name(GST_BIN(fixture->pipeline), sink);
  }
}

static void
tear_down(Fixture *fixture)
{
  gst_element_set_state(fixture->pipeline, GST_STATE_NULL);
  for (guint i = 0; i < STREAMS; i++) {
    gst_clear_object(&fixture->src[i]);
    gst_clear_object(&fixture->sink[i]);
  }
  gst_clear_object(&fixture->infer);
  gst_clear_object(&fixture->pipeline);
}

static void
push(Fixture *fixture, guint stream, guint8 red, guint number)
{
  gst_app_src_push_buffer(GST_APP_SRC(fixture->src[stream]), frame(red, number));
}

/* Returns: the mark of the stream's next frame; -2 at its end. */
static gint
pull(Fixture *fixture, guint stream)
{
  g_autoptr(GstSample) sample =
      gst_app_sink_try_pull_sample(GST_APP_SINK(fixture->sink[stream]), PATIENCE);

  if (!sample) {
    g_assert_true(gst_app_sink_is_eos(GST_APP_SINK(fixture->sink[stream])));
    return -2;
  }
  return mark_of(gst_sample_get_buffer(sample));
}

static void
wait_message(GstElement *pipeline, GstMessageType type)
{
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
  g_autoptr(GstMessage) message =
      gst_bus_timed_pop_filtered(bus, PATIENCE, type | GST_MESSAGE_ERROR);

  g_assert_nonnull(message);
  g_assert_cmpstr(GST_MESSAGE_TYPE_NAME(message), ==, gst_message_type_get_name(type));
}

static guint
stat_uint(Fixture *fixture, const char *name)
{
  GstStructure *stats = NULL;
  guint64 large = 0;
  guint value = 0;

  g_object_get(fixture->infer, "stats", &stats, NULL);
  if (!gst_structure_get_uint(stats, name, &value)) {
    g_assert_true(gst_structure_get_uint64(stats, name, &large));
    value = (guint)large;
  }
  gst_structure_free(stats);
  return value;
}

/* Frames that wait for the model are gathered into batches over the streams, and every stream gets
 * back its own, in order. */
static void
test_batches(void)
{
  Fixture f;

  set_up(&f, STREAMS, "");
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < 20; i++)
    for (guint s = 0; s < STREAMS; s++)
      push(&f, s, (guint8)(10 + 80 * s + i), i);
  for (guint s = 0; s < STREAMS; s++) {
    gst_app_src_end_of_stream(GST_APP_SRC(f.src[s]));
    for (guint i = 0; i < 20; i++)
      g_assert_cmpint(pull(&f, s), ==, (gint)(10 + 80 * s + i));
    g_assert_cmpint(pull(&f, s), ==, -2);
  }
  wait_message(f.pipeline, GST_MESSAGE_EOS);
  g_assert_cmpuint(stat_uint(&f, "inferred"), ==, STREAMS * 20);
  g_assert_cmpuint(stat_uint(&f, "largest-batch"), >=, 2);
  g_assert_cmpuint(stat_uint(&f, "largest-batch"), <=, MAX_BATCH);
  tear_down(&f);
}

/* One frame of each of two streams makes one batch of two: the timeout would hold it for a minute.
 */
static void
test_batch_of_two(void)
{
  Fixture f;

  set_up(&f, 2, "batch-size=2 batch-timeout=60000000000");
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  push(&f, 0, 40, 0);
  g_assert_null(gst_app_sink_try_pull_sample(GST_APP_SINK(f.sink[0]), 300 * GST_MSECOND));
  g_assert_cmpuint(stat_uint(&f, "batches"), ==, 0);
  push(&f, 1, 90, 0);
  g_assert_cmpint(pull(&f, 0), ==, 40);
  g_assert_cmpint(pull(&f, 1), ==, 90);
  g_assert_cmpuint(stat_uint(&f, "batches"), ==, 1);
  g_assert_cmpuint(stat_uint(&f, "largest-batch"), ==, 2);

  /* A timeout lets the one go that came, an end takes its pad out of the expected. */
  g_object_set(f.infer, "batch-timeout", (gint64)(20 * GST_MSECOND), NULL);
  push(&f, 0, 41, 1);
  g_assert_cmpint(pull(&f, 0), ==, 41);
  g_object_set(f.infer, "batch-timeout", (gint64)(60 * GST_SECOND), NULL);
  push(&f, 0, 42, 2);
  gst_app_src_end_of_stream(GST_APP_SRC(f.src[0]));
  gst_app_src_end_of_stream(GST_APP_SRC(f.src[1]));
  g_assert_cmpint(pull(&f, 0), ==, 42);
  g_assert_cmpint(pull(&f, 0), ==, -2);
  g_assert_cmpint(pull(&f, 1), ==, -2);
  tear_down(&f);
}

static void
test_silent_pad(void)
{
  Fixture f;

  set_up(&f, 2, "");
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < 10; i++)
    push(&f, 0, (guint8)(50 + i), i);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint(pull(&f, 0), ==, (gint)(50 + i));
  tear_down(&f);
}

/* A stream whose sink takes nothing fills its own queues and no other's. */
static void
test_stopped_stream(void)
{
  Fixture f;

  set_up(&f, 2, "");
  g_object_set(f.sink[1], "max-buffers", 1, NULL);
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < 60; i++)
    push(&f, 1, 90, i);
  for (guint i = 0; i < 60; i++) {
    push(&f, 0, (guint8)(50 + i), i);
    g_assert_cmpint(pull(&f, 0), ==, (gint)(50 + i));
  }
  tear_down(&f);
}

static void
test_end_of_one(void)
{
  Fixture f;

  set_up(&f, 2, "");
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  push(&f, 0, 30, 0);
  gst_app_src_end_of_stream(GST_APP_SRC(f.src[0]));
  g_assert_cmpint(pull(&f, 0), ==, 30);
  g_assert_cmpint(pull(&f, 0), ==, -2);
  for (guint i = 0; i < 10; i++) {
    push(&f, 1, (guint8)(60 + i), i);
    g_assert_cmpint(pull(&f, 1), ==, (gint)(60 + i));
  }
  g_assert_false(gst_app_sink_is_eos(GST_APP_SINK(f.sink[1])));
  tear_down(&f);
}

static GstPadProbeReturn
fail(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GST_PAD_PROBE_INFO_FLOW_RETURN(info) = GPOINTER_TO_INT(user_data);
  gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
  GST_PAD_PROBE_INFO_DATA(info) = NULL;
  return GST_PAD_PROBE_HANDLED;
}

/* What happens behind src_1 reaches sink_1 alone. */
static void
test_flow_returns(void)
{
  const GstFlowReturn returns[] = {GST_FLOW_EOS, GST_FLOW_FLUSHING, GST_FLOW_NOT_LINKED};

  for (guint r = 0; r < G_N_ELEMENTS(returns); r++) {
    g_autoptr(GstElement) infer = gst_element_factory_make("infer", NULL);
    GstHarness *h[2];
    GstFlowReturn flow = GST_FLOW_OK;

    gst_object_ref_sink(infer);
    g_object_set(infer, "model-file", plan, "threads", 1, NULL);
    for (guint i = 0; i < 2; i++) {
      g_autofree char *sink = g_strdup_printf("sink_%u", i), *src = g_strdup_printf("src_%u", i);
      g_autoptr(GstPad) pad = gst_element_request_pad_simple(infer, sink);
      h[i] = gst_harness_new_with_element(infer, sink, src);
      gst_harness_set_src_caps_str(h[i],
                                   "video/x-raw,format=RGBx,width=32,height=32,framerate=25/1");
    }
    gst_pad_add_probe(h[1]->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, fail, GINT_TO_POINTER(returns[r]),
                      NULL);
    for (guint i = 0; i < 500 && flow == GST_FLOW_OK; i++) {
      flow = gst_harness_push(h[1], frame(80, i));
      g_usleep(1000);
    }
    g_assert_cmpint(flow, ==, returns[r]);
    for (guint i = 0; i < 20; i++) {
      g_assert_cmpint(gst_harness_push(h[0], frame(70, i)), ==, GST_FLOW_OK);
      gst_buffer_unref(gst_harness_pull(h[0]));
    }
    gst_harness_teardown(h[0]);
    gst_harness_teardown(h[1]);
  }
}

typedef struct {
  GstPad *pad;
  gint stop;
} Feeder;

static gpointer
feed(gpointer user_data)
{
  Feeder *feeder = user_data;
  g_autoptr(GstCaps) caps =
      gst_caps_from_string("video/x-raw,format=RGBx,width=32,height=32,framerate=25/1");
  GstSegment segment;

  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(feeder->pad, gst_event_new_stream_start("feeder"));
  gst_pad_push_event(feeder->pad, gst_event_new_caps(caps));
  gst_pad_push_event(feeder->pad, gst_event_new_segment(&segment));
  for (guint i = 0; !g_atomic_int_get(&feeder->stop); i++) {
    if (gst_pad_push(feeder->pad, frame(99, i)) != GST_FLOW_OK)
      break;
  }
  return NULL;
}

static GstFlowReturn
swallow(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  gst_buffer_unref(buffer);
  return GST_FLOW_OK;
}

/* Streams come and go, with frames in every queue, while another plays on. */
static void
test_release_while_playing(void)
{
  Fixture f;

  set_up(&f, 1, "");
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  for (guint round = 0; round < 20; round++) {
    Feeder feeder = {.pad = gst_pad_new("out", GST_PAD_SRC)};
    GstPad *sink = gst_element_request_pad_simple(f.infer, "sink_%u");
    g_autoptr(GstPad) src = gst_element_get_static_pad(f.infer, "src_1");
    g_autoptr(GstPad) end = gst_object_ref_sink(gst_pad_new("in", GST_PAD_SINK));
    GThread *thread;

    g_assert_nonnull(src);
    gst_pad_set_chain_function(end, swallow);
    gst_pad_set_active(end, TRUE);
    gst_object_ref_sink(feeder.pad);
    gst_pad_set_active(feeder.pad, TRUE);
    g_assert_cmpint(gst_pad_link(src, end), ==, GST_PAD_LINK_OK);
    g_assert_cmpint(gst_pad_link(feeder.pad, sink), ==, GST_PAD_LINK_OK);
    thread = g_thread_new("feeder", feed, &feeder);
    for (guint i = 0; i < 5; i++) {
      push(&f, 0, (guint8)(10 + round), 5 * round + i);
      g_assert_cmpint(pull(&f, 0), ==, 10 + (gint)round);
    }
    gst_element_release_request_pad(f.infer, sink);
    gst_object_unref(sink);
    g_atomic_int_set(&feeder.stop, 1);
    g_thread_join(thread);
    gst_pad_set_active(feeder.pad, FALSE);
    gst_pad_set_active(end, FALSE);
    gst_object_unref(feeder.pad);
  }
  g_assert_cmpuint(stat_uint(&f, "streams"), ==, 1);
  tear_down(&f);
}

/* Chains that wait for the model, or for room, are let go when the pipeline stops. */
static void
test_stop_any_time(void)
{
  for (guint round = 0; round < 30; round++) {
    Fixture f;

    set_up(&f, 2, "max-size-buffers=1");
    g_object_set(f.sink[1], "max-buffers", 1, NULL);
    gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
    for (guint i = 0; i < 10; i++)
      for (guint s = 0; s < 2; s++)
        push(&f, s, 70, i);
    g_usleep(round * 1000);
    gst_element_set_state(f.pipeline, GST_STATE_READY);
    if (round % 2)
      gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
    tear_down(&f);
  }
}

/* Live frames that come before the model pass, and are counted; none is lost. */
static void
test_live(void)
{
  g_autofree char *line = g_strdup_printf(
      "videotestsrc is-live=true num-buffers=20 ! video/x-raw,format=NV12,width=64,height=48,"
      "framerate=100/1 ! infer name=i model-file=%s ! appsink name=o sync=true",
      plan);
  g_autoptr(GError) error = NULL;
  Fixture f = {.pipeline = gst_parse_launch(line, &error)};
  guint n = 0;

  g_assert_no_error(error);
  f.infer = gst_bin_get_by_name(GST_BIN(f.pipeline), "i");
  f.sink[0] = gst_bin_get_by_name(GST_BIN(f.pipeline), "o");
  gst_element_set_state(f.pipeline, GST_STATE_PLAYING);
  while (pull(&f, 0) != -2)
    n++;
  g_assert_cmpuint(n, ==, 20);
  g_assert_cmpuint(stat_uint(&f, "frames"), ==, 20);
  g_assert_cmpuint(stat_uint(&f, "inferred") + stat_uint(&f, "not-ready") + stat_uint(&f, "late"),
                   ==, 20);
  tear_down(&f);
}

/* Every raw format, odd sizes, and the ways in which people write a pipeline. */
static void
test_launch_lines(void)
{
  const char *const formats[] = {"NV12", "I420", "YUY2", "RGB",   "RGBA",     "RGBx",
                                 "BGR",  "BGRA", "BGRx", "GRAY8", "P010_10LE"};
  const char *const lines[] = {
      "videotestsrc num-buffers=10 ! infer model-file=%s ! fakesink",
      "videotestsrc num-buffers=10 ! infer model-file=%s ! video/x-raw,width=64 ! fakesink",
      "videotestsrc num-buffers=10 ! infer name=i model-file=%s sink_0::priority=2 "
      "sink_1::stream-name=door ! fakesink  videotestsrc num-buffers=5 ! i. i. ! fakesink",
      "infer name=i model-file=%s  videotestsrc num-buffers=10 ! i.sink_0 i.src_0 ! fakesink  "
      "videotestsrc num-buffers=5 ! i.sink_4  i.src_4 ! fakesink",
      "infer name=i model-file=%s  videotestsrc num-buffers=10 ! tee name=t ! i.sink_0 i.src_0 ! "
      "fakesink async=0  t. ! i.sink_1 i.src_1 ! fakesink async=0",
      "infer name=i model-file=%s  videotestsrc num-buffers=10 ! tee name=t ! queue ! i. i. ! "
      "fakesink  t. ! queue ! i. i. ! fakesink",
  };

  for (guint i = 0; i < G_N_ELEMENTS(lines) + G_N_ELEMENTS(formats); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *format = NULL, *line = NULL;
    GstElement *pipeline;

    if (i >= G_N_ELEMENTS(lines))
      format = g_strdup_printf("videotestsrc num-buffers=5 ! video/x-raw,format=%s,width=37,"
                               "height=21 ! infer model-file=%%s ! fakesink",
                               formats[i - G_N_ELEMENTS(lines)]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    line = g_strdup_printf(format ? format : lines[i], plan);
#pragma GCC diagnostic pop
    g_test_message("%s", line);
    pipeline = gst_parse_launch(line, &error);
    g_assert_no_error(error);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    wait_message(pipeline, GST_MESSAGE_EOS);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
  }
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  folder = g_dir_make_tmp("infer-streams-XXXXXX", NULL);
  plan = g_build_filename(folder, "toy.plan", NULL);
  toy_model_save(plan, MAX_BATCH, INFER_RESIZE_STRETCH);

  g_test_add_func("/infer/batches", test_batches);
  g_test_add_func("/infer/batch-of-two", test_batch_of_two);
  g_test_add_func("/infer/silent-pad", test_silent_pad);
  g_test_add_func("/infer/stopped-stream", test_stopped_stream);
  g_test_add_func("/infer/end-of-one", test_end_of_one);
  g_test_add_func("/infer/flow-returns", test_flow_returns);
  g_test_add_func("/infer/release-while-playing", test_release_while_playing);
  g_test_add_func("/infer/stop-any-time", test_stop_any_time);
  g_test_add_func("/infer/live", test_live);
  g_test_add_func("/infer/launch-lines", test_launch_lines);
  result = g_test_run();

  g_unlink(plan);
  g_rmdir(folder);
  g_free(plan);
  g_free(folder);
  gst_deinit();
  return result;
}
