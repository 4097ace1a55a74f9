/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who shares what: models between elements, batches between streams, results between frames. */
#include "gstinfermeta.h"
#include "toyharness.h"

#define LONG (gint64)(60 * GST_SECOND)

/* One frame of each of two elements makes one batch of two: a timeout would hold it for a minute.
 */
static void
test_one_batch(void)
{
  GstElement *a = make_infer(), *b = make_infer();
  GstHarness *x, *y;

  g_object_set(a, "model-instance-id", "pair", "batch-size", 2, "batch-timeout", LONG, NULL);
  /* The second says nothing of the model. */
  g_object_set(b, "model-instance-id", "pair", "model-file", NULL, "batch-size", 2, "batch-timeout",
               LONG, NULL);
  x = add_stream(a);
  wait_ready(a);
  y = add_stream(b);
  wait_ready(b);
  for (guint i = 0; i < 10; i++) {
    gst_harness_push(x, frame((guint8)(10 + i), i));
    g_usleep(1000);
    g_assert_cmpuint(gst_harness_buffers_in_queue(x), ==, 0);
    gst_harness_push(y, frame((guint8)(100 + i), i));
    g_assert_cmpint(pull_mark(x), ==, (gint)(10 + i));
    g_assert_cmpint(pull_mark(y), ==, (gint)(100 + i));
  }
  g_assert_cmpuint(stat_of(a, "largest-batch"), ==, 2);
  g_assert_cmpuint(stat_of(a, "inferred"), ==, 10);
  g_assert_cmpuint(stat_of(b, "inferred"), ==, 10);
  g_assert_cmpuint(stat_of(a, "streams"), ==, 1);

  /* The first leaves with a frame in the common batch; the other one goes on. */
  gst_harness_push(x, frame(10, 10));
  gst_harness_teardown(x);
  gst_object_unref(a);
  gst_harness_push(y, frame(101, 10));
  gst_harness_push(y, frame(102, 11));
  g_assert_cmpint(pull_mark(y), ==, 101);
  g_assert_cmpint(pull_mark(y), ==, 102);
  gst_harness_teardown(y);
  gst_object_unref(b);
}

/* Thresholds are an element's own, also in a common batch. */
static void
test_own_thresholds(void)
{
  GstElement *a = make_infer(), *b = make_infer();
  GstHarness *x, *y;

  g_object_set(a, "model-instance-id", "scores", "batch-size", 2, "batch-timeout", LONG,
               "score-threshold", 0.9, NULL);
  g_object_set(b, "model-instance-id", "scores", "batch-size", 2, "batch-timeout", LONG,
               "score-threshold", 0.1, NULL);
  x = add_stream(a);
  y = add_stream(b);
  wait_ready(a);
  wait_ready(b);
  gst_harness_push(x, frame(10, 0));
  gst_harness_push(y, frame(20, 0));
  g_assert_cmpint(pull_mark(x), ==, -1);
  g_assert_cmpint(pull_mark(y), ==, 20);
  gst_harness_teardown(y);
  gst_harness_teardown(x);
  gst_object_unref(a);
  gst_object_unref(b);
}

static void
expect_refusal(GstElement *element, const char *part)
{
  g_autoptr(GstBus) bus = gst_bus_new();
  g_autoptr(GstMessage) message = NULL;
  g_autoptr(GError) error = NULL;

  gst_element_set_bus(element, bus);
  g_assert_cmpint(gst_element_set_state(element, GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
  g_assert_nonnull(message);
  gst_message_parse_error(message, &error, NULL);
  g_test_message("%s", error->message);
  g_assert_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  g_assert_nonnull(strstr(error->message, part));
  gst_element_set_bus(element, NULL);
}

static void
test_refusals(void)
{
  GstElement *a = make_infer(), *b = make_infer(), *c = make_infer();
  g_autofree char *other = g_build_filename(folder, "other.plan", NULL);

  toy_model_save(other, 2, INFER_RESIZE_STRETCH);
  g_object_set(a, "model-instance-id", "refuse", NULL);
  g_assert_cmpint(gst_element_set_state(a, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
  g_object_set(b, "model-instance-id", "refuse", "model-file", other, NULL);
  expect_refusal(b, "refuse");
  /* When the last one has gone the name is free. */
  gst_element_set_state(a, GST_STATE_NULL);
  g_assert_cmpint(gst_element_set_state(b, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state(b, GST_STATE_NULL);

  g_object_set(c, "device", "cpu", "cuda-device-id", 1, NULL);
  expect_refusal(c, "cuda-device-id=1");
  g_object_set(c, "cuda-device-id", -1, NULL);
  g_assert_cmpint(gst_element_set_state(c, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state(c, GST_STATE_NULL);
  gst_object_unref(a);
  gst_object_unref(b);
  gst_object_unref(c);
  g_unlink(other);
}

/* Elements that share come and go in any state, again and again. */
static void
test_come_and_go(void)
{
  for (guint round = 0; round < 30; round++) {
    GstElement *a = make_infer(), *b = make_infer();
    GstHarness *x, *y;

    g_object_set(a, "model-instance-id", "go", NULL);
    g_object_set(b, "model-instance-id", "go", NULL);
    x = add_file(a);
    y = add_file(b);
    gst_harness_push(y, frame(20, 0));
    if (round % 3 == 0)
      g_assert_cmpint(pull_mark(y), ==, 20);
    gst_harness_push(x, frame(10, 0));
    if (round % 2) {
      gst_harness_teardown(y);
      g_assert_cmpint(pull_mark(x), ==, 10);
      gst_harness_teardown(x);
    } else {
      gst_harness_teardown(x);
      gst_harness_teardown(y);
    }
    gst_object_unref(a);
    gst_object_unref(b);
  }
}

/* Files whose frames wait for the model, so that the first batches are full. */
static void
fill(GstHarness *harness, guint n, guint8 first)
{
  for (guint i = 0; i < n; i++)
    g_assert_cmpint(gst_harness_push(harness, frame((guint8)(first + i), i)), ==, GST_FLOW_OK);
}

static void
test_max_frames(void)
{
  GstElement *infer = make_infer();
  g_autoptr(GstPad) second = NULL;
  GstHarness *x, *y;

  g_object_set(infer, "batch-size", MAX_BATCH, "max-size-buffers", 8, "max-frames-per-stream", 2,
               NULL);
  x = add_file(infer);
  y = add_file(infer);
  second = sink_pad(infer, 1);
  g_object_set(second, "max-frames-per-stream", 1, NULL);
  fill(x, 8, 10);
  fill(y, 4, 100);
  for (guint i = 0; i < 8; i++)
    g_assert_cmpint(pull_mark(x), ==, (gint)(10 + i));
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint(pull_mark(y), ==, (gint)(100 + i));
  g_assert_cmpuint(stat_of(infer, "largest-batch"), <=, 3);
  g_assert_cmpuint(stat_of(infer, "inferred"), ==, 12);
  gst_harness_teardown(y);
  gst_harness_teardown(x);
  gst_object_unref(infer);
}

static char *slow_plan; /* a run takes long enough to tell the order of batches by what comes out */

/* The order in which streams come out of batches of one: what a probe writes. */
typedef struct {
  GMutex lock;
  GString *order;
} Turns;

static GstPadProbeReturn
note_turn(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Turns *turns = user_data;

  g_mutex_lock(&turns->lock);
  g_string_append_c(turns->order, GST_PAD_NAME(pad)[4]);
  g_mutex_unlock(&turns->lock);
  return GST_PAD_PROBE_OK;
}

static void
run_turns(guint priority, Turns *turns)
{
  GstElement *infer = make_infer();
  GstHarness *streams[3];
  g_autoptr(GstPad) favoured = NULL;

  g_object_set(infer, "model-file", slow_plan, "batch-size", 1, "nireq", 1, "max-size-buffers", 12,
               NULL);
  for (guint i = 0; i < 3; i++) {
    g_autofree char *name = g_strdup_printf("src_%u", i);
    g_autoptr(GstPad) src = NULL;
    streams[i] = add_file(infer);
    src = gst_element_get_static_pad(infer, name);
    gst_pad_add_probe(src, GST_PAD_PROBE_TYPE_BUFFER, note_turn, turns, NULL);
  }
  favoured = sink_pad(infer, 2);
  g_object_set(favoured, "priority", priority, NULL);
  for (guint i = 0; i < 3; i++)
    fill(streams[i], 12, 10);
  for (guint i = 0; i < 3; i++)
    for (guint k = 0; k < 12; k++)
      g_assert_cmpint(pull_mark(streams[i]), ==, (gint)(10 + k));
  for (guint i = 3; i-- > 0;)
    gst_harness_teardown(streams[i]);
  gst_object_unref(infer);
}

static gint
count_before(const char *order, char stream, gsize n)
{
  gint count = 0;

  for (gsize i = 0; i < n && order[i]; i++)
    count += order[i] == stream;
  return count;
}

/* Equal streams take turns; a higher priority goes first, and does not starve the others. */
static void
test_turns(void)
{
  Turns turns = {.order = g_string_new(NULL)};

  g_mutex_init(&turns.lock);
  run_turns(0, &turns);
  g_test_message("equal: %s", turns.order->str);
  /* The model may be there before all have filled their queues: the last turns are all equal. */
  for (gchar stream = '0'; stream < '3'; stream++)
    g_assert_cmpint(count_before(turns.order->str + 18, stream, 18), >=, 4);
  g_string_truncate(turns.order, 0);
  run_turns(4, &turns);
  g_test_message("the third first: %s", turns.order->str);
  g_assert_cmpint(count_before(turns.order->str, '0', 30), >=, 5);
  g_string_free(turns.order, TRUE);
  g_mutex_clear(&turns.lock);
}

/* A queue that leaks never holds upstream; what is dropped is counted and marked. */
static void
test_leaky(void)
{
  const char *const kinds[] = {"upstream", "downstream"};

  for (guint kind = 0; kind < 2; kind++) {
    GstElement *infer = make_infer();
    GstHarness *harness, *silent; /* which the batch waits for */

    g_object_set(infer, "max-size-buffers", 3, "batch-size", 8, "batch-timeout", LONG, NULL);
    gst_util_set_object_arg(G_OBJECT(infer), "leaky", kinds[kind]);
    harness = add_file(infer);
    silent = add_file(infer);
    wait_ready(infer);
    fill(harness, 10, 10);
    g_assert_cmpuint(stat_of(infer, "dropped"), ==, 7);
    g_assert_cmpuint(stat_of(infer, "frames"), ==, 10);
    gst_harness_push_event(harness, gst_event_new_eos());
    gst_harness_push_event(silent, gst_event_new_eos());
    for (guint i = 0; i < 3; i++) {
      g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);
      g_assert_cmpint(mark_of(buffer), ==, (gint)(10 + i + (kind ? 7 : 0)));
      g_assert_cmpint(GST_BUFFER_IS_DISCONT(buffer), ==, kind && i == 0);
    }
    gst_harness_teardown(silent);
    gst_harness_teardown(harness);
    gst_object_unref(infer);
  }
}

/* Whether the result says that it is of an earlier frame. */
static gboolean
is_carried(GstBuffer *buffer)
{
  GstInferResult result;

  g_array_unref(gst_infer_meta_collect(buffer, NULL, &result));
  return result.carried;
}

static void
push_still(GstHarness *harness, guint8 red, guint number, gint mark, gboolean carried)
{
  g_autoptr(GstBuffer) out = NULL;

  gst_harness_push(harness, frame(red, number));
  out = gst_harness_pull(harness);
  g_assert_cmpint(mark_of(out), ==, mark);
  g_assert_cmpint(is_carried(out), ==, carried);
}

/* Frames without change are not inferred on: they carry what was found before, and say so. */
static void
test_motion(void)
{
  GstElement *infer = make_infer();
  GstHarness *harness, *other;
  g_autoptr(GstPad) pad = NULL;
  GstSegment segment;

  g_object_set(infer, "motion-threshold", 0.1, NULL);
  harness = add_stream(infer);
  other = add_stream(infer);
  pad = sink_pad(infer, 1);
  g_object_set(pad, "motion-threshold", 0.0, NULL);
  wait_ready(infer);
  push_still(harness, 100, 0, 100, FALSE);
  /* Noise is no motion, and the result is that of the frame that was inferred on. */
  for (guint i = 1; i < 5; i++)
    push_still(harness, (guint8)(100 + i), i, 100, TRUE);
  g_assert_cmpuint(stat_of(infer, "inferred"), ==, 1);
  g_assert_cmpuint(stat_of(infer, "still"), ==, 4);
  push_still(harness, 180, 5, 180, FALSE);
  push_still(harness, 181, 6, 180, TRUE);
  /* Streams are apart, and a pad may have its own threshold. */
  push_still(other, 180, 0, 180, FALSE);
  push_still(other, 180, 1, 180, FALSE);
  /* After a flush there is nothing to carry over. */
  gst_harness_push_event(harness, gst_event_new_flush_start());
  gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE));
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_harness_push_event(harness, gst_event_new_segment(&segment));
  push_still(harness, 181, 0, 181, FALSE);
  push_still(harness, 181, 1, 181, TRUE);
  g_object_set(infer, "motion-threshold", 0.0, NULL);
  push_still(harness, 181, 2, 181, FALSE);
  gst_harness_teardown(other);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* Half of the picture changes: it depends on the threshold whether that is motion. */
static void
test_motion_share(void)
{
  const gdouble thresholds[] = {0.2, 0.4, 0.6};
  const gboolean moved[] = {TRUE, TRUE, FALSE};

  for (guint i = 0; i < G_N_ELEMENTS(thresholds); i++) {
    GstElement *infer = make_infer();
    GstHarness *harness;
    GstBuffer *half = frame(100, 1);
    g_autoptr(GstBuffer) out = NULL;

    g_object_set(infer, "motion-threshold", thresholds[i], NULL);
    harness = add_stream(infer);
    wait_ready(infer);
    push_still(harness, 100, 0, 100, FALSE);
    gst_buffer_memset(half, 0, 200, WIDTH * HEIGHT * 4 / 2);
    gst_harness_push(harness, half);
    out = gst_harness_pull(harness);
    g_assert_cmpint(is_carried(out), ==, !moved[i]);
    gst_harness_teardown(harness);
    gst_object_unref(infer);
  }
}

/* What "stats" says of each pad and phase. */
static void
test_stats(void)
{
  GstElement *infer = make_infer();
  GstHarness *first = add_stream(infer), *second = add_stream(infer);
  GstStructure *stats = NULL, *pad = NULL, *times = NULL, *sizes = NULL;

  wait_ready(infer);
  for (guint i = 0; i < 20; i++) {
    gst_harness_push(first, frame(10, i));
    g_assert_cmpint(pull_mark(first), ==, 10);
  }
  gst_harness_push(second, frame(20, 0));
  g_assert_cmpint(pull_mark(second), ==, 20);
  g_object_get(infer, "stats", &stats, NULL);
  g_assert_true(gst_structure_get(stats, "sink_0", GST_TYPE_STRUCTURE, &pad, "batch-sizes",
                                  GST_TYPE_STRUCTURE, &sizes, NULL));
  g_assert_cmpuint(number_in(stats, "inferred"), ==, 21);
  g_assert_cmpuint(number_in(pad, "inferred"), ==, 20);
  g_assert_cmpuint(number_in(pad, "queue"), ==, 0);
  g_assert_cmpuint(number_in(sizes, "of-1"), ==, number_in(stats, "batches"));
  for (guint i = 0; i < 2; i++) {
    const char *const names[] = {"inference-time", "total-time"};
    g_assert_true(gst_structure_get(pad, names[i], GST_TYPE_STRUCTURE, &times, NULL));
    g_assert_cmpuint(number_in(times, "count"), ==, 20);
    g_assert_cmpuint(number_in(times, "p50"), >, 0);
    g_assert_cmpuint(number_in(times, "p50"), <=, number_in(times, "p95"));
    g_assert_cmpuint(number_in(times, "p95"), <=, number_in(times, "p99"));
    g_assert_cmpuint(number_in(times, "p99"), <=, number_in(times, "max"));
    gst_structure_free(times);
  }
  gst_structure_free(sizes);
  gst_structure_free(pad);
  gst_structure_free(stats);
  gst_harness_teardown(second);
  gst_harness_teardown(first);
  gst_object_unref(infer);
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  set_up_plan("infer-sharing");
  g_test_add_func("/infer/one-batch", test_one_batch);
  g_test_add_func("/infer/own-thresholds", test_own_thresholds);
  g_test_add_func("/infer/refusals", test_refusals);
  g_test_add_func("/infer/come-and-go", test_come_and_go);
  g_test_add_func("/infer/max-frames", test_max_frames);
  g_test_add_func("/infer/turns", test_turns);
  g_test_add_func("/infer/leaky", test_leaky);
  g_test_add_func("/infer/motion", test_motion);
  g_test_add_func("/infer/motion-share", test_motion_share);
  g_test_add_func("/infer/stats", test_stats);
  slow_plan = g_build_filename(folder, "slow.plan", NULL);
  toy_model_save_slow(slow_plan, 1, INFER_RESIZE_STRETCH, 100);
  result = g_test_run();
  g_unlink(slow_plan);
  g_free(slow_plan);
  tear_down_plan();
  return result;
}
