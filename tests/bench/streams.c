/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many streams in one element.
 *
 *     streams --video VIDEO --model MODEL [--seconds S] [--rounds R] [--streams N,N...] [--live]
 *             [--infer PROPS]
 *
 * Without --live: frames per second over 1, 4 and 16 streams of one video, decoded beforehand, so
 * that batching is what is measured, and of the network by itself at the batch that it is fastest
 * at, in alternating rounds; the medians are compared. With --live: 16 sources of 30 frames per
 * second, which is more than the machine can infer on; it prints the latency of what comes out
 * beside the one reported, each stream's share of the inferences, and the memory at the beginning
 * and at the end. Run it inside `meson devenv -C build`. Nothing is asserted.
 */
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "alone.h"

#define FRAMES 48
#define MAX_STREAMS 64
#define LIVE_RATE 30
#define QUARTERS 4
/* A sink holds a frame until its time: behind the queue that is not the element's latency. */
#define ENDLESS_QUEUE "queue max-size-buffers=0 max-size-bytes=0 max-size-time=0"

static char *video, *model, *properties, *counts;
static gdouble seconds = 10;
static gint rounds = 3;
static gboolean live;

typedef struct {
  GstElement *src;
  GThread *thread;
  gint *stop;
  GstElement *pipeline;
  /* at the element's source pad */
  GMutex lock;
  GArray *latencies; /* of gint64, nanoseconds */
  guint room;        /* in latencies, so that memory stays as it is */
  guint64 over;      /* that came later than the pipeline had been told by then */
} Stream;

static GstClockTime told; /* the latency of the pipeline as asked last; under told_lock */
static GMutex told_lock;

static GstSample *samples[FRAMES];
static guint n_samples;

static void
fail(const char *what, const char *why)
{
  fprintf(stderr, "streams: %s: %s\n", what, why ? why : "");
  exit(1);
}

static GstElement *
launch(const char *line)
{
  g_autoptr(GError) error = NULL;
  GstElement *pipeline = gst_parse_launch(line, &error);

  if (error)
    fail(line, error->message);
  return pipeline;
}

static void
decode(void)
{
  g_autofree char *line = g_strdup_printf("filesrc location=\"%s\" ! decodebin ! videoconvert ! "
                                          "video/x-raw,format=I420 ! appsink name=a sync=false "
                                          "max-buffers=4",
                                          video);
  GstElement *pipeline = launch(line), *sink = gst_bin_get_by_name(GST_BIN(pipeline), "a");

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  while (n_samples < FRAMES && (samples[n_samples] = gst_app_sink_pull_sample(GST_APP_SINK(sink))))
    n_samples++;
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(sink);
  gst_object_unref(pipeline);
  if (n_samples == 0)
    fail(video, "no frame could be decoded");
}

static GstClockTime
running_time(GstElement *pipeline)
{
  g_autoptr(GstClock) clock = gst_element_get_clock(pipeline);

  return clock ? gst_clock_get_time(clock) - gst_element_get_base_time(pipeline) : 0;
}

/* Frames of the video over and over; live ones at their time, whoever waits for them. */
static gpointer
feed(gpointer user_data)
{
  Stream *stream = user_data;
  const gint64 start = g_get_monotonic_time();

  for (guint i = 0; !g_atomic_int_get(stream->stop); i++) {
    GstBuffer *buffer = gst_buffer_copy(gst_sample_get_buffer(samples[i % n_samples]));
    if (live) {
      const gint64 due = start + (gint64)i * G_USEC_PER_SEC / LIVE_RATE;
      const gint64 now = g_get_monotonic_time();
      if (due > now)
        g_usleep((gulong)(due - now));
      GST_BUFFER_PTS(buffer) = running_time(stream->pipeline);
    } else {
      GST_BUFFER_PTS(buffer) = i * GST_SECOND / 25;
    }
    GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
    if (gst_app_src_push_buffer(GST_APP_SRC(stream->src), buffer) != GST_FLOW_OK)
      break;
  }
  return NULL;
}

static GstPadProbeReturn
watch(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Stream *stream = user_data;
  const GstClockTime pts = GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info));
  const gint64 latency = (gint64)running_time(stream->pipeline) - (gint64)pts;

  g_mutex_lock(&told_lock);
  const gint64 most = (gint64)told;
  g_mutex_unlock(&told_lock);
  g_mutex_lock(&stream->lock);
  if (live && stream->latencies->len < stream->room)
    g_array_append_val(stream->latencies, latency);
  stream->over += latency > most;
  g_mutex_unlock(&stream->lock);
  return GST_PAD_PROBE_OK;
}

static GstElement *
make_pipeline(guint n)
{
  g_autoptr(GString) line = g_string_new(NULL);
  g_autofree char *caps = gst_caps_to_string(gst_sample_get_caps(samples[0]));

  g_string_append_printf(line, "infer name=i model-file=\"%s\" %s ", model, properties);
  for (guint i = 0; i < n; i++)
    g_string_append_printf(line,
                           "appsrc name=a%u format=time block=true max-buffers=2 is-live=%s %s ! "
                           "i.sink_%u i.src_%u ! %s ! fakesink sync=%s async=%s ",
                           i, live ? "true" : "false", live ? "max-latency=1000000000" : "", i, i,
                           live ? ENDLESS_QUEUE : "identity", live ? "true" : "false",
                           live ? "true" : "false");
  GstElement *pipeline = launch(line->str);
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("a%u", i);
    g_autoptr(GstElement) src = gst_bin_get_by_name(GST_BIN(pipeline), name);
    g_autoptr(GstCaps) parsed = gst_caps_from_string(caps);
    gst_caps_set_simple(parsed, "framerate", GST_TYPE_FRACTION, live ? LIVE_RATE : 25, 1, NULL);
    g_object_set(src, "caps", parsed, NULL);
  }
  return pipeline;
}

static gint
compare_rates(gconstpointer a, gconstpointer b)
{
  const gdouble x = *(const gdouble *)a, y = *(const gdouble *)b;

  return x < y ? -1 : x > y;
}

static void
ask_latency(GstElement *pipeline)
{
  g_autoptr(GstQuery) query = gst_query_new_latency();
  GstClockTime min = 0;

  if (!gst_element_query(pipeline, query))
    return;
  gst_query_parse_latency(query, NULL, &min, NULL);
  g_mutex_lock(&told_lock);
  told = min;
  g_mutex_unlock(&told_lock);
}

/* What gst-launch does: a pipeline learns of a latency that has grown. */
static void
wait_seconds(GstElement *pipeline, gdouble time)
{
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
  const gint64 end = g_get_monotonic_time() + (gint64)(time * G_USEC_PER_SEC);

  for (;;) {
    const gint64 left = end - g_get_monotonic_time();
    g_autoptr(GstMessage) message = NULL;
    g_autoptr(GError) error = NULL;
    if (left <= 0)
      return;
    message = gst_bus_timed_pop(bus, (GstClockTime)left * GST_USECOND);
    if (!message)
      return;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_LATENCY) {
      gst_bin_recalculate_latency(GST_BIN(pipeline));
      ask_latency(pipeline);
    }
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
      gst_message_parse_error(message, &error, NULL);
      fail("pipeline", error->message);
    }
  }
}

static gboolean
has_model(GstElement *infer)
{
  GstStructure *info = NULL;

  g_object_get(infer, "model-info", &info, NULL);
  if (info)
    gst_structure_free(info);
  return info != NULL;
}

static guint64
number(const GstStructure *structure, const char *name)
{
  guint64 value = 0;

  gst_structure_get_uint64(structure, name, &value);
  return value;
}

static GstStructure *
stats_of(GstElement *infer)
{
  GstStructure *stats = NULL;

  g_object_get(infer, "stats", &stats, NULL);
  return stats;
}

static glong
resident_kib(void)
{
  g_autofree char *text = NULL;
  glong pages = 0;

  if (g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
    sscanf(text, "%*d %ld", &pages);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static gint
compare(gconstpointer a, gconstpointer b)
{
  const gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

  return x < y ? -1 : x > y;
}

static gdouble
percentile(const GArray *sorted, gdouble share)
{
  return (gdouble)g_array_index(sorted, gint64, (guint)((sorted->len - 1) * share)) / 1e6;
}

static const char *const phases[] = {"queue", "preprocess", "wait", "inference", "attach", "total"};

static gdouble
time_of(const GstStructure *stats, const char *phase, const char *what)
{
  g_autofree char *field = g_strconcat(phase, "-time", NULL);
  const GValue *times = gst_structure_get_value(stats, field);

  return times ? (gdouble)number(gst_value_get_structure(times), what) / 1e6 : 0;
}

static void
report_phases(const GstStructure *stats)
{
  printf("%-12s%10s%10s%10s ms, from the beginning\n", "phase", "median", "99 %", "most");
  for (guint i = 0; i < G_N_ELEMENTS(phases); i++)
    printf("%-12s%10.1f%10.1f%10.1f\n", phases[i], time_of(stats, phases[i], "p50"),
           time_of(stats, phases[i], "p99"), time_of(stats, phases[i], "max"));
}

/* The ideal: a frame waits for those of the other streams, and its batch, prepared while another
 * one runs, for that one. */
static void
report_latency(Stream *streams, guint n, const GstStructure *stats)
{
  g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(gint64));
  gdouble batch = 0;

  for (guint i = 1; i + 1 < G_N_ELEMENTS(phases); i++)
    batch += time_of(stats, phases[i], "p50");
  const gdouble ideal = 1e3 / LIVE_RATE + batch;
  guint64 over = 0;

  for (guint i = 0; i < n; i++) {
    g_array_append_vals(all, streams[i].latencies->data, streams[i].latencies->len);
    over += streams[i].over;
  }
  if (all->len == 0)
    return;
  g_array_sort(all, compare);
  printf("latency in ms: median %.1f, 95 %% %.1f, 99 %% %.1f, 99.9 %% %.1f, most %.1f\n",
         percentile(all, 0.5), percentile(all, 0.95), percentile(all, 0.99), percentile(all, 0.999),
         percentile(all, 1));
  printf("reported %.1f ms; over what had been reported by then: %" G_GUINT64_FORMAT
         " of %u frames\n",
         (gdouble)told / 1e6, over, all->len);
  printf("ideal %.1f ms (a frame's time and the median batch's, the one before it included): "
         "reported / ideal %.2f\n",
         ideal, (gdouble)told / 1e6 / ideal);
}

static void
report_shares(const GstStructure *before, const GstStructure *after, guint n)
{
  guint64 least = G_MAXUINT64, most = 0, sum = 0;

  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("sink_%u", i);
    GstStructure *a = NULL, *b = NULL;
    gst_structure_get(before, name, GST_TYPE_STRUCTURE, &a, NULL);
    gst_structure_get(after, name, GST_TYPE_STRUCTURE, &b, NULL);
    const guint64 inferred = number(b, "inferred") - number(a, "inferred");
    least = MIN(least, inferred);
    most = MAX(most, inferred);
    sum += inferred;
    gst_structure_free(a);
    gst_structure_free(b);
  }
  printf("inferred per stream: least %" G_GUINT64_FORMAT ", mean %.1f, most %" G_GUINT64_FORMAT
         " (%.1f %% apart)\n",
         least, (gdouble)sum / n, most,
         sum ? 100.0 * (gdouble)(most - least) * n / (gdouble)sum : 0);
}

/* Returns: frames per second that were inferred on. */
static gdouble
run(guint n)
{
  GstElement *pipeline = make_pipeline(n), *infer = gst_bin_get_by_name(GST_BIN(pipeline), "i");
  g_autofree Stream *streams = g_new0(Stream, n);
  gint stop = 0;

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("a%u", i), *src = g_strdup_printf("src_%u", i);
    g_autoptr(GstPad) pad = gst_element_get_static_pad(infer, src);
    /* A quarter more than comes, and written once, so that it is there from the beginning. */
    const guint room = live ? (guint)(seconds * LIVE_RATE * 1.25) + 64 : 0;
    streams[i] = (Stream){.src = gst_bin_get_by_name(GST_BIN(pipeline), name),
                          .stop = &stop,
                          .pipeline = pipeline,
                          .latencies = g_array_new(FALSE, TRUE, sizeof(gint64)),
                          .room = room};
    g_array_set_size(streams[i].latencies, room);
    memset(streams[i].latencies->data, 1, room * sizeof(gint64));
    g_array_set_size(streams[i].latencies, 0);
    g_mutex_init(&streams[i].lock);
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, watch, &streams[i], NULL);
    streams[i].thread = g_thread_new("feed", feed, &streams[i]);
  }
  while (!has_model(infer))
    wait_seconds(pipeline, 0.01);
  wait_seconds(pipeline, live ? 5 : 2); /* what is there when it starts does not count */
  for (guint i = 0; i < n; i++) {
    g_mutex_lock(&streams[i].lock);
    g_array_set_size(streams[i].latencies, 0);
    streams[i].over = 0;
    g_mutex_unlock(&streams[i].lock);
  }
  ask_latency(pipeline);
  GstStructure *before = stats_of(infer);
  glong memory[QUARTERS + 1] = {resident_kib()};
  const gint64 start = g_get_monotonic_time();
  for (guint i = 0; i < QUARTERS; i++) {
    wait_seconds(pipeline, seconds / QUARTERS);
    memory[i + 1] = resident_kib();
  }
  GstStructure *after = stats_of(infer);
  const gdouble took = (gdouble)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
  const gdouble rate = (gdouble)(number(after, "inferred") - number(before, "inferred")) / took;
  gdouble batch = 0;

  gst_structure_get_double(after, "average-batch", &batch);
  printf("%2u streams: %7.1f frames/s inferred, %7.1f in, %" G_GUINT64_FORMAT
         " late; batches of %.1f\n",
         n, rate, (gdouble)(number(after, "frames") - number(before, "frames")) / took,
         number(after, "late") - number(before, "late"), batch);
  if (live) {
    report_latency(streams, n, after);
    report_phases(after);
    report_shares(before, after, n);
    printf("memory in MiB at the beginning and after each quarter:");
    for (guint i = 0; i <= QUARTERS; i++)
      printf(" %.1f", (gdouble)memory[i] / 1024);
    printf("\n");
  }
  g_atomic_int_set(&stop, 1);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  for (guint i = 0; i < n; i++) {
    g_thread_join(streams[i].thread);
    gst_object_unref(streams[i].src);
    g_array_unref(streams[i].latencies);
    g_mutex_clear(&streams[i].lock);
  }
  gst_structure_free(before);
  gst_structure_free(after);
  gst_object_unref(infer);
  gst_object_unref(pipeline);
  return rate;
}

static gdouble
median(GArray *values)
{
  g_array_sort(values, compare_rates);
  return g_array_index(values, gdouble, values->len / 2);
}

/* Rounds of the network by itself and of each number of streams. */
static void
compare_streams(char **list)
{
  const guint n = g_strv_length(list);
  g_autofree GArray **rates = g_new0(GArray *, n + 1);
  g_autoptr(GError) error = NULL;
  Alone alone;
  guint best = 0;

  if (alone_open(&alone, model, 16, &error))
    best = alone_best(&alone, seconds / 4, &error);
  if (best == 0)
    fail(model, error->message);
  for (guint i = 0; i <= n; i++)
    rates[i] = g_array_new(FALSE, FALSE, sizeof(gdouble));
  for (gint r = 0; r < rounds; r++) {
    gdouble rate = alone_rate(&alone, best, seconds, &error);
    g_array_append_val(rates[n], rate);
    printf("the network alone, batch %u: %7.1f frames/s\n", best, rate);
    for (guint i = 0; i < n; i++) {
      rate = run((guint)CLAMP(atoi(list[i]), 1, MAX_STREAMS));
      g_array_append_val(rates[i], rate);
    }
    fflush(stdout);
  }
  const gdouble bare = median(rates[n]), first = median(rates[0]);
  printf("medians of %d rounds; the network alone, batch %u: %.1f frames/s, %.2f ms a frame\n",
         rounds, best, bare, 1e3 / bare);
  for (guint i = 0; i < n; i++) {
    const gdouble rate = median(rates[i]);
    printf("%2s streams: %7.1f frames/s, %.3f of %s stream%s, %.3f of the network alone\n", list[i],
           rate, rate / first, list[0], atoi(list[0]) > 1 ? "s" : "", rate / bare);
  }
  for (guint i = 0; i <= n; i++)
    g_array_unref(rates[i]);
  alone_close(&alone);
}

int
main(int argc, char **argv)
{
  const GOptionEntry entries[] = {
      {"video", 0, 0, G_OPTION_ARG_FILENAME, &video, "video file", "FILE"},
      {"model", 0, 0, G_OPTION_ARG_FILENAME, &model, "model or plan", "FILE"},
      {"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "seconds to measure", "S"},
      {"rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "rounds", "R"},
      {"streams", 0, 0, G_OPTION_ARG_STRING, &counts, "numbers of streams", "N,N..."},
      {"live", 0, 0, G_OPTION_ARG_NONE, &live, "live sources, overloaded", NULL},
      {"infer", 0, 0, G_OPTION_ARG_STRING, &properties, "properties of infer", "PROPS"},
      G_OPTION_ENTRY_NULL};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;

  gst_init(&argc, &argv);
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error))
    fail("arguments", error->message);
  if (!video || !model)
    fail("arguments", "--video and --model are needed");
  properties = properties ? properties : g_strdup("device=cpu");
  decode();
  g_auto(GStrv) list = g_strsplit(counts ? counts : live ? "16" : "1,4,16", ",", 16);
  if (!list[0] || rounds < 1)
    fail("arguments", "--streams and --rounds are at least 1");
  if (!live)
    compare_streams(list);
  for (guint i = 0; live && list[i]; i++)
    run((guint)CLAMP(atoi(list[i]), 1, MAX_STREAMS));
  for (guint i = 0; i < n_samples; i++)
    gst_sample_unref(samples[i]);
  return 0;
}
