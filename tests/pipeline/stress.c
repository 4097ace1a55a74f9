/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many streams of one or more elements, which come and go, end, flush and seek at random. Every
 * frame says in its colours which stream and frame it is, and the toy network gives that back as an
 * object: each frame has to come out once, in order, with its own result. A watchdog aborts with a
 * report when nothing moves.
 *
 * stress [--seconds N] [--streams N] [--seed N]; in the test suite it runs a few seconds.
 */
#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <stdlib.h>
#include "toymodel.h"

#define SIDE 16
#define MAX_BATCH 8
#define ELEMENTS 2 /* which share one model */
#define PATIENCE (30 * G_TIME_SPAN_SECOND)

static char *folder, *plan;
static guint n_streams = 64, seconds = 3;
static gint progress; /* counts what moves, for the watchdog */
static gint stopping;

/*
 * One stream: a source pad of ours, the element's pads, a sink pad of ours. The feeder's thread is
 * the only one that pushes serialized things. @epoch counts flushes: of frames before a flush some
 * may be lost, never one of after it.
 */
typedef struct {
  GstElement *infer;
  guint number;
  GRand *rand;
  GThread *thread;
  GstPad *out, *in;

  GMutex lock;
  GCond cond;
  guint sent, received; /* in this epoch: the next number of each */
  guint epoch;          /* of the feeder */
  guint seen;           /* of the sink */
  gboolean eos_sent, eos_received;
  gboolean gap_expected;
  guint flushed_seeks;
  guint tags_sent, tags_received;
  guint64 total_in, total_out, total_epochs, total_lost;
} Stream;

/* Red: the frame's number; green: always found; blue: the stream, as a class of ten. */
static GstBuffer *
make_frame(Stream *stream, guint number)
{
  GstBuffer *buffer = gst_buffer_new_allocate(NULL, SIDE * SIDE * 4, NULL);
  const guint8 color[4] = {(guint8)(1 + number % 255), 200, (guint8)(stream->number % 10 * 25), 0};
  GstMapInfo map;

  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < map.size; i += 4)
    memcpy(map.data + i, color, 4);
  gst_buffer_unmap(buffer, &map);
  GST_BUFFER_PTS(buffer) = number * 40 * GST_MSECOND;
  GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
  /* The element neither knows nor changes them. */
  GST_BUFFER_OFFSET(buffer) = number;
  GST_BUFFER_OFFSET_END(buffer) = (guint64)stream->epoch << 32 | stream->number;
  return buffer;
}

static void
check_result(Stream *stream, GstBuffer *buffer)
{
  const guint number = (guint)GST_BUFFER_OFFSET(buffer);
  const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(
      buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  const GstStructure *detection;
  gdouble right = 0;
  gint label = -1;

  g_assert_nonnull(roi);
  detection = gst_video_region_of_interest_meta_get_param((gpointer)roi, "detection");
  g_assert_nonnull(detection);
  g_assert_true(gst_structure_get(detection, "x_max", G_TYPE_DOUBLE, &right, "label_id", G_TYPE_INT,
                                  &label, NULL));
  g_assert_cmpuint((guint)(right * 255 + 0.5), ==, 1 + number % 255);
  g_assert_cmpint(label, ==, (gint)(stream->number % 10));
}

static GstFlowReturn
sink_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  Stream *stream = gst_pad_get_element_private(pad);
  const guint64 mark = GST_BUFFER_OFFSET_END(buffer);
  const guint epoch = (guint)(mark >> 32);

  g_assert_cmpuint((guint)(mark & 0xffffffff), ==, stream->number);
  check_result(stream, buffer);
  g_mutex_lock(&stream->lock);
  /* What is left of the time before a flush may come until the flush is through. */
  if (epoch == stream->seen) {
    g_assert_cmpuint(GST_BUFFER_OFFSET(buffer), ==, stream->received);
    stream->received++;
    stream->total_out++;
  } else {
    g_assert_cmpuint(epoch, <, stream->seen);
  }
  g_cond_broadcast(&stream->cond);
  g_mutex_unlock(&stream->lock);
  g_atomic_int_inc(&progress);
  gst_buffer_unref(buffer);
  return GST_FLOW_OK;
}

static gboolean
sink_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
  Stream *stream = gst_pad_get_element_private(pad);
  const GstStructure *structure = gst_event_get_structure(event);
  guint number = 0;

  g_mutex_lock(&stream->lock);
  if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
    stream->eos_received = TRUE;
  } else if (GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM) {
    /* Sent before the frame of that number: it may overtake none and be overtaken by none. */
    gst_structure_get_uint(structure, "before", &number);
    g_assert_cmpuint(stream->received, ==, number);
    stream->tags_received++;
  }
  g_cond_broadcast(&stream->cond);
  g_mutex_unlock(&stream->lock);
  gst_event_unref(event);
  return TRUE;
}

static gboolean
source_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
  Stream *stream = gst_pad_get_element_private(pad);

  if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK) {
    g_mutex_lock(&stream->lock);
    stream->flushed_seeks++;
    g_mutex_unlock(&stream->lock);
  }
  gst_event_unref(event);
  return TRUE;
}

static void
begin_epoch(Stream *stream)
{
  g_mutex_lock(&stream->lock);
  stream->seen = stream->epoch;
  stream->sent = stream->received = 0;
  stream->eos_sent = stream->eos_received = FALSE;
  stream->tags_sent = stream->tags_received = 0;
  g_mutex_unlock(&stream->lock);
  stream->total_epochs++;
}

static void
send_start(Stream *stream, gboolean stream_start)
{
  g_autofree char *id = g_strdup_printf("stream-%u", stream->number);
  g_autoptr(GstCaps) caps =
      gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "RGBx", "width", G_TYPE_INT, SIDE,
                          "height", G_TYPE_INT, SIDE, "framerate", GST_TYPE_FRACTION, 25, 1, NULL);
  GstSegment segment;

  gst_segment_init(&segment, GST_FORMAT_TIME);
  if (stream_start) {
    gst_pad_push_event(stream->out, gst_event_new_stream_start(id));
    gst_pad_push_event(stream->out, gst_event_new_caps(caps));
  }
  gst_pad_push_event(stream->out, gst_event_new_segment(&segment));
}

static void
send_frames(Stream *stream, guint n)
{
  for (guint i = 0; i < n; i++) {
    if (g_rand_int_range(stream->rand, 0, 12) == 0) {
      gst_pad_push_event(stream->out,
                         gst_event_new_custom(
                             GST_EVENT_CUSTOM_DOWNSTREAM,
                             gst_structure_new("mark", "before", G_TYPE_UINT, stream->sent, NULL)));
      stream->tags_sent++;
    }
    g_assert_cmpint(gst_pad_push(stream->out, make_frame(stream, stream->sent)), ==, GST_FLOW_OK);
    stream->sent++;
    stream->total_in++;
    if (g_rand_int_range(stream->rand, 0, 40) == 0)
      g_usleep((gulong)g_rand_int_range(stream->rand, 0, 20000));
  }
}

static void
wait_all(Stream *stream)
{
  g_mutex_lock(&stream->lock);
  while (stream->received < stream->sent || stream->eos_received != stream->eos_sent)
    g_cond_wait(&stream->cond, &stream->lock);
  g_assert_cmpuint(stream->received, ==, stream->sent);
  g_assert_cmpuint(stream->tags_received, ==, stream->tags_sent);
  g_mutex_unlock(&stream->lock);
}

static void
do_eos(Stream *stream)
{
  stream->eos_sent = TRUE;
  gst_pad_push_event(stream->out, gst_event_new_eos());
  wait_all(stream);
  stream->epoch++;
  begin_epoch(stream);
  send_start(stream, TRUE);
}

/* Some frames are on their way, or in a batch, and are lost. */
static void
do_flush(Stream *stream)
{
  stream->epoch++;
  gst_pad_push_event(stream->out, gst_event_new_flush_start());
  g_mutex_lock(&stream->lock);
  stream->total_lost += stream->sent - stream->received;
  g_mutex_unlock(&stream->lock);
  begin_epoch(stream);
  gst_pad_push_event(stream->out, gst_event_new_flush_stop(TRUE));
  send_start(stream, FALSE);
}

static void
do_seek(Stream *stream)
{
  const guint before = stream->flushed_seeks;

  gst_pad_push_event(stream->in, gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                                    GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0));
  g_mutex_lock(&stream->lock);
  g_assert_cmpuint(stream->flushed_seeks, ==, before + 1);
  g_mutex_unlock(&stream->lock);
  do_flush(stream);
}

static void
do_drain(Stream *stream)
{
  g_autoptr(GstQuery) query = gst_query_new_drain();

  gst_pad_peer_query(stream->out, query);
  g_mutex_lock(&stream->lock);
  /* A drain is through when every frame before it has been pushed. */
  g_assert_cmpuint(stream->received, ==, stream->sent);
  g_mutex_unlock(&stream->lock);
}

static void
plug(Stream *stream)
{
  g_autofree char *name = NULL;
  GstPad *sink = gst_element_request_pad_simple(stream->infer, "sink_%u");
  g_autoptr(GstPad) src = NULL;

  g_assert_nonnull(sink);
  name = g_strdup_printf("src_%s", GST_PAD_NAME(sink) + strlen("sink_"));
  src = gst_element_get_static_pad(stream->infer, name);
  g_assert_nonnull(src);
  stream->out = gst_object_ref_sink(gst_pad_new("out", GST_PAD_SRC));
  stream->in = gst_object_ref_sink(gst_pad_new("in", GST_PAD_SINK));
  gst_pad_set_element_private(stream->out, stream);
  gst_pad_set_element_private(stream->in, stream);
  gst_pad_set_event_function(stream->out, source_event);
  gst_pad_set_chain_function(stream->in, sink_chain);
  gst_pad_set_event_function(stream->in, sink_event);
  gst_pad_set_active(stream->in, TRUE);
  gst_pad_set_active(stream->out, TRUE);
  g_assert_cmpint(gst_pad_link(src, stream->in), ==, GST_PAD_LINK_OK);
  g_assert_cmpint(gst_pad_link(stream->out, sink), ==, GST_PAD_LINK_OK);
  gst_object_unref(sink);
  stream->epoch++;
  begin_epoch(stream);
  send_start(stream, TRUE);
}

/* With frames in its queues or not. */
static void
unplug(Stream *stream)
{
  g_autoptr(GstPad) sink = gst_pad_get_peer(stream->out);

  gst_element_release_request_pad(stream->infer, sink);
  g_mutex_lock(&stream->lock);
  stream->total_lost += stream->sent - stream->received;
  g_mutex_unlock(&stream->lock);
  gst_pad_set_active(stream->out, FALSE);
  gst_pad_set_active(stream->in, FALSE);
  gst_clear_object(&stream->out);
  gst_clear_object(&stream->in);
}

static gpointer
run_stream(gpointer user_data)
{
  Stream *stream = user_data;

  plug(stream);
  while (!g_atomic_int_get(&stopping)) {
    send_frames(stream, (guint)g_rand_int_range(stream->rand, 1, 60));
    switch (g_rand_int_range(stream->rand, 0, 8)) {
    case 0:
      do_eos(stream);
      break;
    case 1:
      do_flush(stream);
      break;
    case 2:
      do_seek(stream);
      break;
    case 3:
      do_drain(stream);
      break;
    case 4:
      if (g_rand_boolean(stream->rand))
        wait_all(stream);
      unplug(stream);
      plug(stream);
      break;
    case 5:
      gst_pad_push_event(stream->out, gst_event_new_gap(stream->sent * 40 * GST_MSECOND, 0));
      break;
    default:
      wait_all(stream);
    }
    g_atomic_int_inc(&progress);
  }
  do_eos(stream);
  unplug(stream);
  return NULL;
}

static gpointer
watch(gpointer user_data)
{
  Stream *streams = user_data;
  gint last = g_atomic_int_get(&progress);
  gint64 since = g_get_monotonic_time();

  while (g_atomic_int_get(&stopping) < 2) {
    const gint now = g_atomic_int_get(&progress);
    g_usleep(100000);
    if (now != last) {
      last = now;
      since = g_get_monotonic_time();
    } else if (g_get_monotonic_time() - since > PATIENCE) {
      for (guint i = 0; i < n_streams; i++)
        g_printerr("# stream %u: epoch %u, sent %u, received %u, eos %d %d\n", i, streams[i].epoch,
                   streams[i].sent, streams[i].received, streams[i].eos_sent,
                   streams[i].eos_received);
      g_error("nothing has moved for %d s", (gint)(PATIENCE / G_TIME_SPAN_SECOND));
    }
  }
  return NULL;
}

static void
wait_ready(GstElement *element)
{
  GstStructure *info = NULL;

  for (guint i = 0; i < 3000 && !info; i++) {
    g_object_get(element, "model-info", &info, NULL);
    if (!info)
      g_usleep(10000);
  }
  g_assert_nonnull(info);
  gst_structure_free(info);
}

static void
change_properties(GstElement *infer, GRand *rand)
{
  g_object_set(infer, "batch-size", (guint)g_rand_int_range(rand, 0, MAX_BATCH + 1),
               "max-frames-per-stream", (guint)g_rand_int_range(rand, 0, 3), "batch-timeout",
               g_rand_boolean(rand) ? (gint64)-1 : (gint64)g_rand_int_range(rand, 0, 5000000),
               "max-size-buffers", (guint)g_rand_int_range(rand, 0, 6), NULL);
}

static void
test_stress(void)
{
  g_autofree Stream *streams = g_new0(Stream, n_streams);
  g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int_range(0, G_MAXINT32));
  GstElement *elements[ELEMENTS];
  guint64 inferred = 0, in = 0, out = 0, lost = 0, epochs = 0;
  GThread *watchdog;

  for (guint i = 0; i < ELEMENTS; i++) {
    elements[i] = gst_object_ref_sink(gst_element_factory_make("infer", NULL));
    g_object_set(elements[i], "model-file", plan, "device", "cpu", "threads", 1,
                 "model-instance-id", "stress", NULL);
    g_assert_cmpint(gst_element_set_state(elements[i], GST_STATE_PLAYING), !=,
                    GST_STATE_CHANGE_FAILURE);
    wait_ready(elements[i]);
  }
  watchdog = g_thread_new("watchdog", watch, streams);
  for (guint i = 0; i < n_streams; i++) {
    streams[i] = (Stream){.infer = elements[i % ELEMENTS], .number = i};
    streams[i].rand = g_rand_new_with_seed(g_rand_int(rand));
    g_mutex_init(&streams[i].lock);
    g_cond_init(&streams[i].cond);
    streams[i].thread = g_thread_new("stream", run_stream, &streams[i]);
  }
  for (guint i = 0; i < seconds * 20; i++) {
    g_usleep(50000);
    change_properties(elements[i % ELEMENTS], rand);
  }
  for (guint i = 0; i < ELEMENTS; i++)
    g_object_set(elements[i], "batch-timeout", (gint64)-1, NULL);
  g_atomic_int_set(&stopping, 1);
  for (guint i = 0; i < n_streams; i++) {
    g_thread_join(streams[i].thread);
    in += streams[i].total_in;
    out += streams[i].total_out;
    lost += streams[i].total_lost;
    epochs += streams[i].total_epochs;
    g_rand_free(streams[i].rand);
    g_mutex_clear(&streams[i].lock);
    g_cond_clear(&streams[i].cond);
  }
  g_atomic_int_set(&stopping, 2);
  g_thread_join(watchdog);

  for (guint i = 0; i < ELEMENTS; i++) {
    GstStructure *stats = NULL;
    guint64 frames = 0, one = 0;
    g_object_get(elements[i], "stats", &stats, NULL);
    g_assert_true(gst_structure_get(stats, "frames", G_TYPE_UINT64, &frames, "inferred",
                                    G_TYPE_UINT64, &one, NULL));
    g_assert_cmpuint(one, <=, frames);
    inferred += one;
    gst_structure_free(stats);
    gst_element_set_state(elements[i], GST_STATE_NULL);
    gst_object_unref(elements[i]);
  }
  g_test_message("%" G_GUINT64_FORMAT " frames in, %" G_GUINT64_FORMAT " out, %" G_GUINT64_FORMAT
                 " flushed, %" G_GUINT64_FORMAT " inferred on; %" G_GUINT64_FORMAT " beginnings",
                 in, out, lost, inferred, epochs);
  g_assert_cmpuint(out, >, 0);
  g_assert_cmpuint(inferred, >=, out);
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  for (int i = 1; i + 1 < argc; i += 2) {
    if (g_str_equal(argv[i], "--seconds"))
      seconds = (guint)atoi(argv[i + 1]);
    else if (g_str_equal(argv[i], "--streams"))
      n_streams = (guint)atoi(argv[i + 1]);
  }
  folder = g_dir_make_tmp("infer-stress-XXXXXX", NULL);
  plan = g_build_filename(folder, "toy.plan", NULL);
  toy_model_save(plan, MAX_BATCH, INFER_RESIZE_STRETCH);
  g_test_add_func("/infer/stress", test_stress);
  result = g_test_run();
  g_unlink(plan);
  g_rmdir(folder);
  g_free(plan);
  g_free(folder);
  gst_deinit();
  return result;
}
