/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events and queries: order, direction, flushes, latency, quality of service, allocation. */
#include "toyharness.h"

/* What passes a pad, as a line: f for a frame and its number, else the event's name. */
typedef struct {
  GMutex lock;
  GString *text;
} Record;

static GstPadProbeReturn
note(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Record *record = user_data;

  g_mutex_lock(&record->lock);
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    g_string_append_printf(record->text, " f%u",
                           (guint)(GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)) / FRAME_TIME));
  } else {
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
    const GstStructure *structure = gst_event_get_structure(event);
    const gboolean custom = GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM ||
                            GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM_OOB ||
                            GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM_STICKY;
    g_string_append_printf(record->text, " %s",
                           custom ? gst_structure_get_name(structure) : GST_EVENT_TYPE_NAME(event));
  }
  g_mutex_unlock(&record->lock);
  return GST_PAD_PROBE_OK;
}

static Record *
record_new(GstPad *pad)
{
  Record *record = g_new0(Record, 1);

  g_mutex_init(&record->lock);
  record->text = g_string_new(NULL);
  gst_pad_add_probe(pad,
                    GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                        GST_PAD_PROBE_TYPE_EVENT_FLUSH,
                    note, record, NULL);
  return record;
}

static void
record_free(Record *record)
{
  g_mutex_clear(&record->lock);
  g_string_free(record->text, TRUE);
  g_free(record);
}

static GstEvent *
custom(const char *name, GstEventType type)
{
  return gst_event_new_custom(type, gst_structure_new_empty(name));
}

static void
wait_eos(GstHarness *harness)
{
  for (;;) {
    g_autoptr(GstEvent) event = gst_harness_pull_event(harness);
    g_assert_nonnull(event);
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS)
      return;
  }
}

static void
test_order(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_file(infer);
  Record *record = record_new(harness->sinkpad);
  GstSegment segment;

  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = 5 * FRAME_TIME;
  /* Nothing is inferred before the model is there: all of this waits and is sorted afterwards. */
  g_assert_cmpint(gst_harness_push(harness, frame(10, 0)), ==, GST_FLOW_OK);
  gst_harness_push_event(harness, gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "a", NULL)));
  gst_harness_push(harness, frame(20, 1));
  gst_harness_push_event(harness, custom("serial", GST_EVENT_CUSTOM_DOWNSTREAM));
  gst_harness_push_event(harness, gst_event_new_gap(2 * FRAME_TIME, FRAME_TIME));
  gst_harness_push(harness, frame(30, 3));
  gst_harness_push_event(harness, custom("sticky", GST_EVENT_CUSTOM_DOWNSTREAM_STICKY));
  gst_harness_push_event(harness, gst_event_new_segment(&segment));
  wait_ready(infer);
  gst_harness_push(harness, frame(40, 5));
  gst_harness_push_event(harness, gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "b", NULL)));
  gst_harness_push(harness, frame(50, 6));
  gst_harness_push_event(harness, gst_event_new_stream_group_done(1));
  gst_harness_push_event(harness, gst_event_new_segment_done(GST_FORMAT_TIME, 7 * FRAME_TIME));
  gst_harness_push_event(harness, gst_event_new_eos());
  wait_eos(harness);
  g_mutex_lock(&record->lock);
  g_test_message("%s", record->text->str);
  g_assert_true(g_str_has_suffix(record->text->str,
                                 " f0 tag f1 serial gap f3 sticky segment f5 tag f6 "
                                 "stream-group-done segment-done eos"));
  g_mutex_unlock(&record->lock);
  for (gint i = 0; i < 5; i++)
    g_assert_cmpint(pull_mark(harness), ==, 10 * (i + 1));
  gst_harness_teardown(harness);
  record_free(record);
  gst_object_unref(infer);
}

/* What is not serialized does not wait for the model. */
static void
test_out_of_band(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness;
  Record *record;

  g_object_set(infer, "batch-size", 8, "batch-timeout", (gint64)(60 * GST_SECOND), NULL);
  harness = add_stream(infer);
  record = record_new(harness->sinkpad);
  wait_ready(infer);
  gst_harness_push(harness, frame(10, 0));
  gst_harness_push_event(harness, custom("oob", GST_EVENT_CUSTOM_DOWNSTREAM_OOB));
  g_mutex_lock(&record->lock);
  g_assert_nonnull(strstr(record->text->str, " oob"));
  g_assert_null(strstr(record->text->str, " f0"));
  g_mutex_unlock(&record->lock);
  gst_harness_push_event(harness, gst_event_new_eos());
  wait_eos(harness);
  g_assert_cmpint(pull_mark(harness), ==, 10);
  gst_harness_teardown(harness);
  record_free(record);
  gst_object_unref(infer);
}

/* The end of a stream ends it alone; it may begin again. */
static void
test_eos_per_pad(void)
{
  GstElement *infer = make_infer();
  GstHarness *first = add_stream(infer), *second = add_stream(infer);

  wait_ready(infer);
  gst_harness_push(first, frame(10, 0));
  gst_harness_push_event(first, gst_event_new_eos());
  wait_eos(first);
  g_assert_cmpint(gst_harness_push(first, frame(11, 1)), ==, GST_FLOW_EOS);
  for (guint i = 0; i < 10; i++) {
    gst_harness_push(second, frame((guint8)(20 + i), i));
    g_assert_cmpint(pull_mark(second), ==, (gint)(20 + i));
  }
  g_assert_cmpint(pull_mark(first), ==, 10);
  gst_harness_push_event(first, gst_event_new_stream_start("again"));
  gst_harness_set_src_caps_str(first, "video/x-raw,format=RGBx,width=64,height=32,framerate=25/1");
  g_assert_cmpint(gst_harness_push(first, frame(12, 0)), ==, GST_FLOW_OK);
  g_assert_cmpint(pull_mark(first), ==, 12);
  gst_harness_teardown(second);
  gst_harness_teardown(first);
  gst_object_unref(infer);
}

/* A drain is answered when every frame before it has come out, also those of a waiting batch. */
static void
test_drain(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness;
  g_autoptr(GstQuery) query = gst_query_new_drain();

  g_object_set(infer, "batch-size", 8, "batch-timeout", (gint64)(60 * GST_SECOND), NULL);
  harness = add_stream(infer);
  wait_ready(infer);
  for (guint i = 0; i < 3; i++)
    gst_harness_push(harness, frame((guint8)(10 + i), i));
  g_assert_cmpuint(gst_harness_buffers_in_queue(harness), ==, 0);
  gst_pad_peer_query(harness->srcpad, query);
  g_assert_cmpuint(gst_harness_buffers_in_queue(harness), ==, 3);
  g_assert_cmpuint(stat_of(infer, "batches"), ==, 1);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* Upstream events go to the one source of their stream. */
static void
test_upstream_events(void)
{
  GstElement *infer = make_infer();
  GstHarness *first = add_stream(infer), *second = add_stream(infer);
  const GstSeekFlags flags[] = {GST_SEEK_FLAG_FLUSH, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE,
                                GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_TRICKMODE |
                                    GST_SEEK_FLAG_TRICKMODE_KEY_UNITS,
                                GST_SEEK_FLAG_SEGMENT};
  guint before;

  wait_ready(infer);
  before = gst_harness_upstream_events_received(first);
  while (gst_harness_upstream_events_in_queue(second) > 0)
    gst_event_unref(gst_harness_pull_upstream_event(second));
  for (guint i = 0; i < G_N_ELEMENTS(flags); i++) {
    const gdouble rate = i % 2 ? -2 : 1;
    GstEvent *event;
    GstSeekFlags seen;
    gdouble seen_rate;

    gst_harness_push_upstream_event(second, gst_event_new_seek(rate, GST_FORMAT_TIME, flags[i],
                                                               GST_SEEK_TYPE_SET, 0,
                                                               GST_SEEK_TYPE_SET, GST_SECOND));
    event = gst_harness_pull_upstream_event(second);
    g_assert_cmpint(GST_EVENT_TYPE(event), ==, GST_EVENT_SEEK);
    gst_event_parse_seek(event, &seen_rate, NULL, &seen, NULL, NULL, NULL, NULL);
    g_assert_cmpint(seen, ==, flags[i]);
    g_assert_cmpfloat(seen_rate, ==, rate);
    gst_event_unref(event);
  }
  g_assert_cmpuint(gst_harness_upstream_events_received(first), ==, before);
  gst_harness_teardown(second);
  gst_harness_teardown(first);
  gst_object_unref(infer);
}

/* A flush of one stream leaves the others' frames in their common batch alone. */
static void
test_flush_of_one(void)
{
  GstElement *infer = make_infer();
  GstHarness *first, *second;
  GstSegment segment;

  g_object_set(infer, "batch-size", 3, "batch-timeout", (gint64)(60 * GST_SECOND), NULL);
  first = add_stream(infer);
  second = add_stream(infer);
  wait_ready(infer);
  for (guint round = 0; round < 20; round++) {
    gst_harness_push(first, frame((guint8)(10 + round), round));
    gst_harness_push(second, frame(200, round));
    gst_harness_push_event(second, gst_event_new_flush_start());
    gst_harness_push_event(second, gst_event_new_flush_stop(round % 2));
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(second, gst_event_new_segment(&segment));
    g_assert_cmpuint(gst_harness_buffers_in_queue(first), ==, 0);
    gst_harness_push(second, frame((guint8)(100 + round), 0));
    gst_harness_push(second, frame((guint8)(150 + round), 1));
    g_assert_cmpint(pull_mark(first), ==, (gint)(10 + round));
    g_assert_cmpint(pull_mark(second), ==, (gint)(100 + round));
    g_assert_cmpint(pull_mark(second), ==, (gint)(150 + round));
  }
  gst_harness_teardown(second);
  gst_harness_teardown(first);
  gst_object_unref(infer);
}

static GstPadProbeReturn
block(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  g_atomic_int_set((gint *)user_data, 1);
  return GST_PAD_PROBE_OK;
}

/* A blocked stream fills its own queues, and goes on where it was when it is let go. */
static void
test_blocked(void)
{
  GstElement *infer = make_infer();
  GstHarness *first = add_stream(infer), *second = add_stream(infer);
  g_autoptr(GstPad) src = gst_element_get_static_pad(infer, "src_1");
  gint blocked = 0;
  gulong id;

  wait_ready(infer);
  gst_harness_push(second, frame(1, 0));
  g_assert_cmpint(pull_mark(second), ==, 1);
  id = gst_pad_add_probe(src, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, block, &blocked, NULL);
  for (guint i = 0; i < 4; i++)
    gst_harness_push(second, frame((guint8)(2 + i), 1 + i));
  while (!g_atomic_int_get(&blocked))
    g_usleep(1000);
  for (guint i = 0; i < 50; i++) {
    gst_harness_push(first, frame((guint8)(50 + i), i));
    g_assert_cmpint(pull_mark(first), ==, (gint)(50 + i));
  }
  g_assert_cmpuint(gst_harness_buffers_in_queue(second), ==, 0);
  gst_pad_remove_probe(src, id);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint(pull_mark(second), ==, (gint)(2 + i));
  gst_harness_teardown(second);
  gst_harness_teardown(first);
  gst_object_unref(infer);
}

/* A peer that comes late, or is replaced, gets caps and segment and the frames from then on. */
static void
test_relink(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer);
  g_autoptr(GstPad) src = gst_element_get_static_pad(infer, "src_0");

  wait_ready(infer);
  for (guint round = 0; round < 5; round++) {
    gst_harness_push(harness, frame((guint8)(10 + round), round));
    g_assert_cmpint(pull_mark(harness), ==, (gint)(10 + round));
    if (round % 2)
      gst_pad_set_active(harness->sinkpad, FALSE);
    else
      g_assert_true(gst_pad_unlink(src, harness->sinkpad));
    /* The first return that says so is that of a later frame. */
    while (gst_harness_push(harness, frame(99, round)) == GST_FLOW_OK)
      g_usleep(1000);
    if (round % 2) {
      g_assert_true(gst_pad_unlink(src, harness->sinkpad));
      gst_pad_set_active(harness->sinkpad, TRUE);
    }
    g_assert_cmpint(gst_pad_link(src, harness->sinkpad), ==, GST_PAD_LINK_OK);
    while (gst_harness_buffers_in_queue(harness) > 0)
      gst_buffer_unref(gst_harness_pull(harness));
  }
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

static GstMessage *
next_message(GstBus *bus, GstMessageType type)
{
  return gst_bus_timed_pop_filtered(bus, 5 * GST_SECOND, type);
}

/* A live stream's latency is what batching and running take, and growth is announced. */
static void
test_latency(void)
{
  GstElement *infer = make_infer();
  g_autoptr(GstBus) bus = gst_bus_new();
  g_autoptr(GstMessage) message = NULL;
  g_autoptr(GstQuery) query = gst_query_new_latency();
  g_autoptr(GstPad) src = NULL;
  GstClockTime min, max, before;
  GstHarness *harness, *second;
  gboolean live;

  g_object_set(infer, "batch-timeout", (gint64)(10 * GST_MSECOND), NULL);
  gst_element_set_bus(infer, bus);
  harness = add_stream(infer);
  second = add_stream(infer);
  wait_ready(infer);
  gst_harness_set_upstream_latency(harness, 5 * GST_MSECOND);
  before = gst_harness_query_latency(harness);
  g_assert_cmpuint(before, >=, 15 * GST_MSECOND);
  g_assert_cmpuint(before, <, 100 * GST_MSECOND);
  src = gst_element_get_static_pad(infer, "src_0");
  g_assert_true(gst_pad_query(src, query));
  gst_query_parse_latency(query, &live, &min, &max);
  g_assert_true(live);
  g_assert_cmpuint(max, >=, min);

  g_object_set(infer, "batch-timeout", (gint64)(200 * GST_MSECOND), NULL);
  message = next_message(bus, GST_MESSAGE_LATENCY);
  g_assert_nonnull(message);
  g_assert_cmpuint(gst_harness_query_latency(harness), >=, 205 * GST_MSECOND);
  /* It never shrinks while it plays: that would be a jump of every stream. */
  g_object_set(infer, "batch-timeout", (gint64)0, NULL);
  g_assert_cmpuint(gst_harness_query_latency(harness), >=, 205 * GST_MSECOND);
  gst_element_set_bus(infer, NULL);
  gst_harness_teardown(second);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* A stream that is not live has no latency of ours. */
static void
test_latency_not_live(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer);
  g_autoptr(GstPad) src = gst_element_get_static_pad(infer, "src_0");
  g_autoptr(GstQuery) query = gst_query_new_latency();
  GstClockTime min = 1;
  gboolean live = TRUE;

  wait_ready(infer);
  gst_harness_set_live(harness, FALSE);
  g_assert_true(gst_pad_query(src, query));
  gst_query_parse_latency(query, &live, &min, NULL);
  g_assert_false(live);
  g_assert_cmpuint(min, ==, 0);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* Late frames pass and are counted, each stream's for itself, and the application is told. */
static void
test_qos(void)
{
  GstElement *infer = make_infer();
  GstHarness *first = add_stream(infer), *second = add_stream(infer);
  g_autoptr(GstBus) bus = gst_bus_new();
  g_autoptr(GstPad) pad = sink_pad(infer, 1);
  guint qos = 0, overloads = 0;
  guint64 processed, dropped;

  wait_ready(infer);
  gst_element_set_bus(infer, bus);
  gst_harness_set_time(first, 984 * GST_MSECOND);
  gst_harness_push_upstream_event(first, gst_event_new_latency(100 * GST_MSECOND));
  for (guint i = 0; i < 30; i++) {
    gst_harness_push(first, frame(100, 20 + i));
    gst_harness_push(second, frame(100, i));
    g_assert_cmpint(pull_mark(first), ==, i < 3 ? -1 : 100);
    g_assert_cmpint(pull_mark(second), ==, i < 23 ? -1 : 100);
  }
  g_assert_cmpuint(stat_of(infer, "late"), ==, 26);
  g_assert_cmpuint(stat_of(pad, "late"), ==, 23);
  for (;;) {
    g_autoptr(GstMessage) message =
        gst_bus_pop_filtered(bus, GST_MESSAGE_QOS | GST_MESSAGE_ELEMENT);
    if (!message)
      break;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_QOS) {
      gst_message_parse_qos_stats(message, NULL, &processed, &dropped);
      g_assert_cmpuint(processed, ==, 0);
      g_assert_cmpuint(dropped, >=, 1);
      qos++;
    } else {
      overloads += gst_message_has_name(message, "infer-overload");
    }
  }
  g_assert_cmpuint(qos, ==, 26);
  g_assert_cmpuint(overloads, ==, 4);

  /* What the sink measured counts as well, until a frame comes in time. */
  gst_harness_push_upstream_event(
      first, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 0.5, 100 * GST_MSECOND, 50 * FRAME_TIME));
  gst_harness_push(first, frame(100, 51));
  g_assert_cmpint(pull_mark(first), ==, -1);
  gst_harness_push(first, frame(100, 53));
  g_assert_cmpint(pull_mark(first), ==, 100);

  g_object_set(infer, "qos", FALSE, NULL);
  gst_harness_push(first, frame(100, 1));
  g_assert_cmpint(pull_mark(first), ==, 100);
  gst_element_set_bus(infer, NULL);
  gst_harness_teardown(second);
  gst_harness_teardown(first);
  gst_object_unref(infer);
}

/* Downstream's pools hold what our queues keep; its parameters and metas stay as they are. */
static void
test_allocation(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer);
  g_autoptr(GstCaps) caps = gst_pad_get_current_caps(harness->srcpad);
  GstAllocationParams params = {.align = 63, .prefix = 16, .padding = 32}, seen;
  g_autoptr(GstQuery) query = gst_query_new_allocation(caps, TRUE);
  GstAllocator *allocator = gst_allocator_find(NULL), *got = NULL;
  guint size, min, max;

  wait_ready(infer);
  gst_harness_set_propose_allocator(harness, allocator, &params);
  g_assert_true(gst_pad_peer_query(harness->srcpad, query));
  g_assert_cmpuint(gst_query_get_n_allocation_pools(query), ==, 1);
  gst_query_parse_nth_allocation_pool(query, 0, NULL, &size, &min, &max);
  g_assert_cmpuint(size, ==, WIDTH * HEIGHT * 4);
  g_assert_cmpuint(min, >=, 9);
  g_assert_true(max == 0 || max >= min);
  g_assert_cmpuint(gst_query_get_n_allocation_params(query), ==, 1);
  gst_query_parse_nth_allocation_param(query, 0, &got, &seen);
  g_assert_cmpuint(seen.align, ==, 63);
  g_assert_cmpuint(seen.prefix, ==, 16);
  g_assert_cmpuint(seen.padding, ==, 32);
  gst_clear_object(&got);
  g_assert_cmpuint(gst_query_get_n_allocation_metas(query), ==, 0);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* A peer without an answer is not answered for. */
static void
test_allocation_unlinked(void)
{
  GstElement *infer = make_infer();
  g_autoptr(GstPad) sink = gst_element_request_pad_simple(infer, "sink_%u");
  g_autoptr(GstCaps) caps =
      gst_caps_from_string("video/x-raw,format=RGBx,width=64,height=32,framerate=25/1");
  g_autoptr(GstQuery) query = gst_query_new_allocation(caps, TRUE);

  gst_element_set_state(infer, GST_STATE_PLAYING);
  g_assert_false(gst_pad_query(sink, query));
  gst_element_set_state(infer, GST_STATE_NULL);
  gst_object_unref(infer);
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  set_up_plan("infer-manners");
  g_test_add_func("/infer/order", test_order);
  g_test_add_func("/infer/out-of-band", test_out_of_band);
  g_test_add_func("/infer/eos-per-pad", test_eos_per_pad);
  g_test_add_func("/infer/drain", test_drain);
  g_test_add_func("/infer/upstream-events", test_upstream_events);
  g_test_add_func("/infer/flush-of-one", test_flush_of_one);
  g_test_add_func("/infer/blocked", test_blocked);
  g_test_add_func("/infer/relink", test_relink);
  g_test_add_func("/infer/latency", test_latency);
  g_test_add_func("/infer/latency-not-live", test_latency_not_live);
  g_test_add_func("/infer/qos", test_qos);
  g_test_add_func("/infer/allocation", test_allocation);
  g_test_add_func("/infer/allocation-unlinked", test_allocation_unlinked);
  result = g_test_run();
  tear_down_plan();
  return result;
}
