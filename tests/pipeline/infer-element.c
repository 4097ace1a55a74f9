/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include "toymodel.h"

#define WIDTH 64
#define HEIGHT 32
#define MAX_BATCH 4
/** Blue of the class "two". */
#define BLUE 50

static char *folder, *plan;

/* A frame of one colour; red is the mark that has to come back as the object's width. */
static GstBuffer *
frame(guint8 red, guint8 green, guint width, guint height, guint number)
{
  GstVideoInfo info;
  GstBuffer *buffer;
  GstMapInfo map;

  gst_video_info_set_format(&info, GST_VIDEO_FORMAT_RGBx, width, height);
  buffer = gst_buffer_new_allocate(NULL, info.size, NULL);
  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i + 3 < map.size; i += 4) {
    map.data[i] = red;
    map.data[i + 1] = green;
    map.data[i + 2] = BLUE;
    map.data[i + 3] = 0;
  }
  gst_buffer_unmap(buffer, &map);
  GST_BUFFER_PTS(buffer) = number * 40 * GST_MSECOND;
  GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
  return buffer;
}

static char *
caps_string(guint width, guint height)
{
  return g_strdup_printf("video/x-raw,format=RGBx,width=%u,height=%u,framerate=25/1,"
                         "pixel-aspect-ratio=16/15,our-field=kept",
                         width, height);
}

/* The mark of the one object on @buffer, -1 when there is none. */
static gint
mark_of(GstBuffer *buffer, guint width, guint height)
{
  const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(
      buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  const GstStructure *detection;
  gdouble right = 0;
  gint label = -1;

  if (!roi)
    return -1;
  g_assert_cmpstr(g_quark_to_string(roi->roi_type), ==, "two");
  g_assert_cmpuint(roi->x, ==, 0);
  g_assert_cmpuint(roi->h, ==, height);
  detection = gst_video_region_of_interest_meta_get_param((gpointer)roi, "detection");
  g_assert_nonnull(detection);
  g_assert_true(gst_structure_get(detection, "x_max", G_TYPE_DOUBLE, &right, "label_id", G_TYPE_INT,
                                  &label, NULL));
  g_assert_cmpint(label, ==, 2);
  g_assert_cmpint(ABS((gint)roi->w - (gint)(right * width + 0.5)), <=, 1);
  return (gint)(right * 255 + 0.5);
}

static void
wait_ready(GstElement *element)
{
  for (guint i = 0; i < 1000; i++) {
    GstStructure *info = NULL;
    g_object_get(element, "model-info", &info, NULL);
    if (info) {
      gst_structure_free(info);
      return;
    }
    g_usleep(10000);
  }
  g_error("the model was not loaded within 10 s");
}

static guint64
stat_of(GstElement *element, const char *name)
{
  GstStructure *stats = NULL;
  guint64 value = 0;
  guint small = 0;

  g_object_get(element, "stats", &stats, NULL);
  if (!gst_structure_get_uint64(stats, name, &value)) {
    g_assert_true(gst_structure_get_uint(stats, name, &small));
    value = small;
  }
  gst_structure_free(stats);
  return value;
}

static GstElement *
make_infer(void)
{
  GstElement *infer = gst_element_factory_make("infer", NULL);

  g_assert_nonnull(infer);
  g_object_set(infer, "model-file", plan, "device", "cpu", "threads", 1, NULL);
  return gst_object_ref_sink(infer);
}

static GstHarness *
add_stream(GstElement *infer, guint number)
{
  g_autofree char *sink = g_strdup_printf("sink_%u", number);
  g_autofree char *src = g_strdup_printf("src_%u", number);
  g_autofree char *caps = caps_string(WIDTH, HEIGHT);
  GstPad *pad = gst_element_request_pad_simple(infer, "sink_%u");
  GstHarness *harness;

  g_assert_cmpstr(GST_PAD_NAME(pad), ==, sink);
  gst_object_unref(pad);
  harness = gst_harness_new_with_element(infer, sink, src);
  gst_harness_set_src_caps_str(harness, caps);
  return harness;
}

static void
test_one_stream(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);
  g_autofree char *expected = caps_string(WIDTH, HEIGHT);
  g_autoptr(GstCaps) caps = gst_caps_from_string(expected);

  wait_ready(infer);
  for (guint i = 0; i < 50; i++) {
    GstBuffer *out;
    gst_harness_push(harness, frame((guint8)(i * 5), 200, WIDTH, HEIGHT, i));
    out = gst_harness_pull(harness);
    g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * 40 * GST_MSECOND);
    g_assert_cmpint(mark_of(out, WIDTH, HEIGHT), ==, i == 0 ? -1 : (gint)i * 5);
    gst_buffer_unref(out);
  }
  g_autoptr(GstCaps) seen = gst_pad_get_current_caps(harness->sinkpad);
  g_assert_true(gst_caps_is_equal(caps, seen));
  g_assert_cmpuint(stat_of(infer, "inferred"), ==, 50);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_memory_is_shared(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);
  GstBuffer *in = frame(100, 200, WIDTH, HEIGHT, 0), *out;

  wait_ready(infer);
  GST_MINI_OBJECT_FLAG_SET(gst_buffer_peek_memory(in, 0), GST_MEMORY_FLAG_NO_SHARE);
  gst_buffer_add_video_meta(in, 0, GST_VIDEO_FORMAT_RGBx, WIDTH, HEIGHT);
  gst_harness_push(harness, gst_buffer_ref(in));
  out = gst_harness_pull(harness);
  g_assert_true(out != in);
  g_assert_true(gst_buffer_peek_memory(in, 0) == gst_buffer_peek_memory(out, 0));
  g_assert_nonnull(gst_buffer_get_video_meta(out));
  g_assert_cmpint(mark_of(out, WIDTH, HEIGHT), ==, 100);
  g_assert_cmpint(mark_of(in, WIDTH, HEIGHT), ==, -1);
  gst_buffer_unref(in);
  gst_buffer_unref(out);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_interval_and_threshold(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness;

  g_object_set(infer, "inference-interval", 3, NULL);
  harness = add_stream(infer, 0);
  wait_ready(infer);
  for (guint i = 0; i < 9; i++) {
    gst_harness_push(harness, frame(100, 200, WIDTH, HEIGHT, i));
    g_autoptr(GstBuffer) out = gst_harness_pull(harness);
    g_assert_cmpint(mark_of(out, WIDTH, HEIGHT), ==, i % 3 == 0 ? 100 : -1);
  }
  g_assert_cmpuint(stat_of(infer, "skipped"), ==, 6);

  /* 90 / 255 is above the model's threshold and below the one set. */
  g_object_set(infer, "inference-interval", 1, NULL);
  gst_harness_push(harness, frame(100, 90, WIDTH, HEIGHT, 9));
  g_autoptr(GstBuffer) above = gst_harness_pull(harness);
  g_assert_cmpint(mark_of(above, WIDTH, HEIGHT), ==, 100);
  g_object_set(infer, "score-threshold", 0.4, NULL);
  gst_harness_push(harness, frame(100, 90, WIDTH, HEIGHT, 10));
  g_autoptr(GstBuffer) below = gst_harness_pull(harness);
  g_assert_cmpint(mark_of(below, WIDTH, HEIGHT), ==, -1);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_flush(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);
  GstSegment segment;

  wait_ready(infer);
  for (guint round = 0; round < 5; round++) {
    for (guint i = 0; i < 3; i++)
      gst_harness_push(harness, frame(100, 200, WIDTH, HEIGHT, i));
    gst_harness_push_event(harness, gst_event_new_flush_start());
    gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE));
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
    while (gst_harness_buffers_in_queue(harness) > 0)
      gst_buffer_unref(gst_harness_pull(harness));
    gst_harness_push(harness, frame((guint8)(10 + round), 200, WIDTH, HEIGHT, 7));
    g_autoptr(GstBuffer) out = gst_harness_pull(harness);
    g_assert_cmpint(mark_of(out, WIDTH, HEIGHT), ==, 10 + (gint)round);
  }
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_caps_change(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);

  wait_ready(infer);
  for (guint i = 0; i < 8; i++) {
    const guint width = 33 + 10 * i, height = 17 + 6 * i;
    g_autofree char *caps = caps_string(width, height);
    gst_harness_set_src_caps_str(harness, caps);
    gst_harness_push(harness, frame(120, 200, width, height, 2 * i));
    gst_harness_push(harness, frame(130, 200, width, height, 2 * i + 1));
    g_autoptr(GstBuffer) first = gst_harness_pull(harness);
    g_autoptr(GstBuffer) second = gst_harness_pull(harness);
    g_assert_cmpint(mark_of(first, width, height), ==, 120);
    g_assert_cmpint(mark_of(second, width, height), ==, 130);
  }
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_crop(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);
  GstBuffer *buffer = frame(100, 200, WIDTH, HEIGHT, 0);
  GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta(buffer);

  wait_ready(infer);
  crop->x = 10;
  crop->y = 4;
  crop->width = 20;
  crop->height = 16;
  gst_harness_push(harness, buffer);
  g_autoptr(GstBuffer) out = gst_harness_pull(harness);
  const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(
      out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  g_assert_nonnull(roi);
  g_assert_cmpuint(roi->w, ==, 8);
  g_assert_cmpuint(roi->h, ==, 16);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* What others wrote on a buffer may be wrong: such frames pass. */
static void
test_unusable_frames(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);
  gsize offsets[] = {0, 0, 0, 0};
  gint strides[][4] = {{WIDTH * 8}, {WIDTH}, {0}, {-WIDTH * 4}};
  GstVideoCropMeta *crop;
  GstBuffer *buffer;

  wait_ready(infer);
  for (guint i = 0; i < G_N_ELEMENTS(strides); i++) {
    buffer = frame(100, 200, WIDTH, HEIGHT, i);
    gst_buffer_add_video_meta_full(buffer, 0, GST_VIDEO_FORMAT_RGBx, WIDTH, HEIGHT, 1, offsets,
                                   strides[i]);
    gst_harness_push(harness, buffer);
  }
  buffer = frame(100, 200, WIDTH, HEIGHT, 4);
  crop = gst_buffer_add_video_crop_meta(buffer);
  crop->x = WIDTH - 1;
  crop->y = 0;
  crop->width = 2;
  crop->height = HEIGHT;
  gst_harness_push(harness, buffer);
  gst_harness_push(harness, frame(100, 200, 4, 4, 5));
  for (guint i = 0; i < 6; i++) {
    g_autoptr(GstBuffer) out = gst_harness_pull(harness);
    g_assert_cmpint(mark_of(out, WIDTH, HEIGHT), ==, -1);
  }
  g_assert_cmpuint(stat_of(infer, "unusable"), ==, 6);
  gst_harness_push(harness, frame(100, 200, WIDTH, HEIGHT, 6));
  g_autoptr(GstBuffer) good = gst_harness_pull(harness);
  g_assert_cmpint(mark_of(good, WIDTH, HEIGHT), ==, 100);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* Judged by running time and the pipeline's latency: what is too late for its sink passes. */
static void
test_late_frames(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);

  wait_ready(infer);
  gst_harness_push_upstream_event(harness, gst_event_new_latency(100 * GST_MSECOND));
  gst_harness_set_time(harness, 984 * GST_MSECOND);
  for (guint i = 0; i < 30; i++)
    gst_harness_push(harness, frame(100, 200, WIDTH, HEIGHT, i));
  for (guint i = 0; i < 30; i++) {
    g_autoptr(GstBuffer) out = gst_harness_pull(harness);
    g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * 40 * GST_MSECOND);
    g_assert_cmpint(mark_of(out, WIDTH, HEIGHT), ==, i * 40 < 884 ? -1 : 100);
  }
  g_assert_cmpuint(stat_of(infer, "late"), ==, 23);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_unsupported_caps(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0);

  wait_ready(infer);
  gst_harness_set_src_caps_str(harness, "video/x-raw,format=Y444,width=8,height=8,framerate=25/1");
  g_assert_cmpint(gst_harness_push(harness, frame(1, 2, 8, 8, 0)), ==, GST_FLOW_NOT_NEGOTIATED);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_queries(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer, 0), *second;
  g_autofree char *text = caps_string(WIDTH, HEIGHT);
  g_autoptr(GstCaps) caps = gst_caps_from_string(text);
  g_autoptr(GstQuery) query = gst_query_new_allocation(caps, TRUE);
  g_autoptr(GstIterator) links = NULL;
  g_autoptr(GstPad) sink = gst_element_get_static_pad(infer, "sink_0");
  g_auto(GValue) value = G_VALUE_INIT;
  guint min = 0;

  wait_ready(infer);
  gst_harness_add_propose_allocation_meta(harness, GST_VIDEO_META_API_TYPE, NULL);
  g_assert_true(gst_pad_query(sink, query));
  g_assert_cmpuint(gst_query_get_n_allocation_pools(query), >=, 1);
  gst_query_parse_nth_allocation_pool(query, 0, NULL, NULL, &min, NULL);
  g_assert_cmpuint(min, >=, 8);
  g_assert_true(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL));

  /* A batch of one waits for nobody; one of two at most for a frame's duration. */
  gst_harness_set_upstream_latency(harness, 5 * GST_MSECOND);
  g_assert_cmpuint(gst_harness_query_latency(harness), >=, 5 * GST_MSECOND);
  g_assert_cmpuint(gst_harness_query_latency(harness), <, 45 * GST_MSECOND);
  second = add_stream(infer, 1);
  g_assert_cmpuint(gst_harness_query_latency(harness), >=, 45 * GST_MSECOND);

  links = gst_pad_iterate_internal_links(sink);
  g_assert_cmpint(gst_iterator_next(links, &value), ==, GST_ITERATOR_OK);
  g_assert_cmpstr(GST_PAD_NAME(g_value_get_object(&value)), ==, "src_0");
  g_value_reset(&value);
  g_assert_cmpint(gst_iterator_next(links, &value), ==, GST_ITERATOR_DONE);
  gst_harness_teardown(second);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static void
test_pad_names(void)
{
  GstElement *infer = make_infer();
  GstPad *three = gst_element_request_pad_simple(infer, "sink_3");
  GstPad *first = gst_element_request_pad_simple(infer, "sink_%u");
  GstPad *second =
      gst_element_request_pad(infer, gst_element_get_pad_template(infer, "sink_%u"), NULL, NULL);
  GstPad *again;

  g_assert_cmpstr(GST_PAD_NAME(three), ==, "sink_3");
  g_assert_cmpstr(GST_PAD_NAME(first), ==, "sink_0");
  g_assert_cmpstr(GST_PAD_NAME(second), ==, "sink_1");
  gst_element_release_request_pad(infer, first);
  again = gst_element_request_pad_simple(infer, "sink_%u");
  g_assert_cmpstr(GST_PAD_NAME(again), ==, "sink_0");
  g_assert_null(gst_element_request_pad_simple(infer, "sink_x"));
  gst_child_proxy_set(GST_CHILD_PROXY(infer), "sink_3::priority", 7, NULL);
  guint priority = 0;
  g_object_get(three, "priority", &priority, NULL);
  g_assert_cmpuint(priority, ==, 7);
  gst_object_unref(first);
  gst_object_unref(second);
  gst_object_unref(three);
  gst_object_unref(again);
  gst_object_unref(infer);
}

static GstMessage *
run_until(GstElement *pipeline, GstMessageType types)
{
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(bus, 20 * GST_SECOND, types | GST_MESSAGE_ERROR);

  g_assert_nonnull(message);
  return message;
}

static void
expect_error(const char *properties, GQuark domain, gint code, const char *part)
{
  g_autofree char *line = g_strdup_printf("videotestsrc num-buffers=5 ! video/x-raw,format=RGBx ! "
                                          "infer %s ! fakesink",
                                          properties);
  g_autoptr(GError) error = NULL;
  GstElement *pipeline = gst_parse_launch(line, &error);
  g_autoptr(GstMessage) message = NULL;

  g_assert_no_error(error);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  message = run_until(pipeline, GST_MESSAGE_EOS);
  g_assert_cmpint(GST_MESSAGE_TYPE(message), ==, GST_MESSAGE_ERROR);
  gst_message_parse_error(message, &error, NULL);
  g_test_message("%s", error->message);
  g_assert_error(error, domain, code);
  g_assert_nonnull(strstr(error->message, part));
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
}

static void
test_errors(void)
{
  g_autofree char *text = g_build_filename(folder, "text.pb", NULL);
  g_autofree char *labels = g_build_filename(folder, "labels.txt", NULL);
  g_autofree char *wrong = g_strdup_printf("model-file=%s", text);
  g_autofree char *device = g_strdup_printf("model-file=%s device=toaster", plan);
  g_autofree char *count = g_strdup_printf("model-file=%s labels-file=%s", plan, labels);
  g_autofree char *missing = g_strdup_printf("model-file=%s label-file=/nowhere/labels", plan);

  g_assert_true(g_file_set_contents(text, "This is not a model.\n", -1, NULL));
  g_assert_true(g_file_set_contents(labels, "cat\ndog\n", -1, NULL));
  expect_error("", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND, "model-file");
  expect_error("model-file=/nowhere/x.plan", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
               "/nowhere/x.plan");
  expect_error(wrong, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE, "text.pb");
  expect_error(missing, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND, "/nowhere/labels");
  expect_error(device, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS, "toaster");
  expect_error(count, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS, "2 labels");
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  folder = g_dir_make_tmp("infer-element-XXXXXX", NULL);
  plan = g_build_filename(folder, "toy.plan", NULL);
  toy_model_save(plan, MAX_BATCH, INFER_RESIZE_STRETCH);

  g_test_add_func("/infer/one-stream", test_one_stream);
  g_test_add_func("/infer/memory-is-shared", test_memory_is_shared);
  g_test_add_func("/infer/interval-and-threshold", test_interval_and_threshold);
  g_test_add_func("/infer/flush", test_flush);
  g_test_add_func("/infer/caps-change", test_caps_change);
  g_test_add_func("/infer/crop", test_crop);
  g_test_add_func("/infer/unusable-frames", test_unusable_frames);
  g_test_add_func("/infer/late-frames", test_late_frames);
  g_test_add_func("/infer/unsupported-caps", test_unsupported_caps);
  g_test_add_func("/infer/queries", test_queries);
  g_test_add_func("/infer/pad-names", test_pad_names);
  g_test_add_func("/infer/errors", test_errors);
  result = g_test_run();

  g_autofree char *clean = g_strdup_printf("%s/text.pb", folder);
  g_autofree char *labels = g_strdup_printf("%s/labels.txt", folder);
  g_unlink(clean);
  g_unlink(labels);
  g_unlink(plan);
  g_rmdir(folder);
  g_free(plan);
  g_free(folder);
  gst_deinit();
  return result;
}
