/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Live streams: what the reported latency is made of, and what is judged by it. */
#include "toyharness.h"

#define SLOW "slow"

/* --- memory that takes its time to be mapped, and with it the batch it is in --- */

typedef struct {
  GstMemory memory;
  guint8 *bytes;
  gulong delay; /* microseconds */
} SlowMemory;

typedef struct {
  GstAllocator parent;
} SlowAllocator;

typedef struct {
  GstAllocatorClass parent;
} SlowAllocatorClass;

static GType slow_allocator_get_type(void);
G_DEFINE_TYPE(SlowAllocator, slow_allocator, GST_TYPE_ALLOCATOR)

static gpointer
slow_map(GstMemory *memory, gsize size, GstMapFlags flags)
{
  SlowMemory *slow = (SlowMemory *)memory;

  if (!(flags & GST_MAP_WRITE))
    g_usleep(slow->delay);
  return slow->bytes;
}

static void
slow_unmap(GstMemory *memory)
{
}

static void
slow_free(GstAllocator *allocator, GstMemory *memory)
{
  g_free(((SlowMemory *)memory)->bytes);
  g_free(memory);
}

static void
slow_allocator_class_init(SlowAllocatorClass *klass)
{
  klass->parent.free = slow_free;
}

static void
slow_allocator_init(SlowAllocator *self)
{
  self->parent.mem_type = SLOW;
  self->parent.mem_map = slow_map;
  self->parent.mem_unmap = slow_unmap;
  GST_OBJECT_FLAG_SET(self, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC);
}

static GstBuffer *
slow_frame(GstAllocator *allocator, guint milliseconds, GstClockTime pts)
{
  SlowMemory *slow = g_new0(SlowMemory, 1);
  GstBuffer *buffer = gst_buffer_new();
  const gsize size = WIDTH * HEIGHT * 4;

  slow->bytes = g_malloc(size);
  memset(slow->bytes, 200, size);
  slow->delay = milliseconds * 1000;
  gst_memory_init(GST_MEMORY_CAST(slow), GST_MEMORY_FLAG_NO_SHARE, allocator, NULL, size, 0, 0,
                  size);
  gst_buffer_append_memory(buffer, GST_MEMORY_CAST(slow));
  GST_BUFFER_PTS(buffer) = pts;
  return buffer;
}

/* Whether the frame was inferred on. */
static gboolean
infers(GstHarness *harness, GstAllocator *allocator, guint milliseconds, GstClockTime pts)
{
  gst_harness_push(harness, slow_frame(allocator, milliseconds, pts));
  return pull_mark(harness) >= 0;
}

static gboolean
told_of_latency(GstBus *bus)
{
  gboolean told = FALSE;
  GstMessage *message;

  while ((message = gst_bus_timed_pop_filtered(bus, told ? 0 : GST_SECOND, GST_MESSAGE_LATENCY))) {
    gst_message_unref(message);
    told = TRUE;
  }
  return told;
}

/* The longest batch counts; a lone stall up to twice the usual, until there is another. */
static void
test_longest(void)
{
  g_autoptr(GstAllocator) allocator =
      gst_object_ref_sink(g_object_new(slow_allocator_get_type(), NULL));
  GstElement *infer = make_infer();
  GstHarness *harness = add_stream(infer);
  g_autoptr(GstBus) bus = gst_bus_new();
  GstClockTime usual, reported;

  g_object_set(infer, "nireq", 1, NULL);
  gst_element_set_bus(infer, bus);
  wait_ready(infer);
  gst_harness_query_latency(harness);
  for (guint i = 0; i < 20; i++)
    g_assert_true(infers(harness, allocator, 50, i * FRAME_TIME));
  g_assert_true(told_of_latency(bus));
  usual = gst_harness_query_latency(harness);
  g_assert_cmpuint(usual, >=, 50 * GST_MSECOND);

  g_assert_true(infers(harness, allocator, 1500, 20 * FRAME_TIME));
  g_assert_true(infers(harness, allocator, 50, 21 * FRAME_TIME));
  reported = gst_harness_query_latency(harness);
  g_assert_cmpuint(reported, >=, 100 * GST_MSECOND);
  g_assert_cmpuint(reported, <, 1000 * GST_MSECOND);
  g_assert_cmpuint(reported, >, usual);
  told_of_latency(bus);

  g_assert_true(infers(harness, allocator, 1400, 22 * FRAME_TIME));
  g_assert_true(infers(harness, allocator, 50, 23 * FRAME_TIME));
  g_assert_true(told_of_latency(bus));
  reported = gst_harness_query_latency(harness);
  g_assert_cmpuint(reported, >=, 1400 * GST_MSECOND);
  g_assert_cmpuint(reported, <, 2500 * GST_MSECOND);
  g_assert_cmpuint(stat_of(infer, "latency"), ==, reported);

  /* By the mean all of these would come in time. */
  gst_harness_set_time(harness, 20 * GST_SECOND);
  gst_harness_push_upstream_event(harness, gst_event_new_latency(4 * GST_SECOND));
  g_assert_false(infers(harness, allocator, 1, 16500 * GST_MSECOND));
  g_assert_false(infers(harness, allocator, 1, 17300 * GST_MSECOND));
  g_assert_true(infers(harness, allocator, 1, 18500 * GST_MSECOND));
  /* A pipeline that has not heard of it yet: fresh frames are not late for that. */
  gst_harness_push_upstream_event(harness, gst_event_new_latency(100 * GST_MSECOND));
  g_assert_true(infers(harness, allocator, 1, 20 * GST_SECOND));
  g_assert_false(infers(harness, allocator, 1, 19800 * GST_MSECOND));
  gst_element_set_bus(infer, NULL);
  gst_harness_teardown(harness);
  gst_object_unref(infer);
}

/* Streams that a batch cannot hold together wait for their turn, and that counts. */
static void
test_turns(void)
{
  g_autoptr(GstAllocator) allocator =
      gst_object_ref_sink(g_object_new(slow_allocator_get_type(), NULL));
  GstElement *infer = make_infer();
  GstHarness *streams[5];
  GstClockTime one, five;

  g_object_set(infer, "nireq", 1, "batch-size", 1, NULL);
  streams[0] = add_stream(infer);
  wait_ready(infer);
  for (guint i = 0; i < 8; i++)
    g_assert_true(infers(streams[0], allocator, 50, i * FRAME_TIME));
  one = gst_harness_query_latency(streams[0]);
  for (guint i = 1; i < G_N_ELEMENTS(streams); i++)
    streams[i] = add_stream(infer);
  five = gst_harness_query_latency(streams[0]);
  g_assert_cmpuint(one, >=, 50 * GST_MSECOND);
  g_assert_cmpuint(five, >=, one + 200 * GST_MSECOND);
  g_assert_cmpuint(five, <, 6 * one);
  for (guint i = 0; i < G_N_ELEMENTS(streams); i++)
    gst_harness_teardown(streams[i]);
  gst_object_unref(infer);
}

/* --- more than can be inferred on --- */

#define STREAMS 4
#define RATE 50

typedef struct {
  GstElement *pipeline;
  GMutex lock;
  GArray *latencies; /* of frames that were inferred on */
  guint64 out[STREAMS], found[STREAMS];
  guint64 lagging; /* frames that came from a source which the machine gave no time */
  GstClockTime last[STREAMS];
} Overload;

typedef struct {
  Overload *overload;
  guint stream;
} Probe;

/* Nanoseconds since the buffer's time. */
static gint64
age_of(const Overload *o, GstBuffer *buffer)
{
  g_autoptr(GstClock) clock = gst_element_get_clock(o->pipeline);

  return GST_CLOCK_DIFF(gst_element_get_base_time(o->pipeline) + GST_BUFFER_PTS(buffer),
                        gst_clock_get_time(clock));
}

static GstPadProbeReturn
watch_arrival(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  const Probe *probe = user_data;
  const gint64 age = age_of(probe->overload, GST_PAD_PROBE_INFO_BUFFER(info));

  g_mutex_lock(&probe->overload->lock);
  probe->overload->lagging += age > 10 * (gint64)GST_MSECOND;
  g_mutex_unlock(&probe->overload->lock);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
watch(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  const Probe *probe = user_data;
  Overload *o = probe->overload;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  const gint64 latency = age_of(o, buffer);

  g_mutex_lock(&o->lock);
  if (o->out[probe->stream] > 0)
    g_assert_cmpuint(GST_BUFFER_PTS(buffer), >, o->last[probe->stream]);
  o->last[probe->stream] = GST_BUFFER_PTS(buffer);
  o->out[probe->stream]++;
  if (mark_of(buffer) >= 0) {
    o->found[probe->stream]++;
    g_array_append_val(o->latencies, latency);
  }
  g_mutex_unlock(&o->lock);
  return GST_PAD_PROBE_OK;
}

static gint
compare(gconstpointer a, gconstpointer b)
{
  const gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

  return x < y ? -1 : x > y;
}

static GstClockTime
latency_of(GstElement *pipeline)
{
  g_autoptr(GstQuery) query = gst_query_new_latency();
  GstClockTime min = 0;

  g_assert_true(gst_element_query(pipeline, query));
  gst_query_parse_latency(query, NULL, &min, NULL);
  return min;
}

static void
run_to_end(GstElement *pipeline, GstElement *infer)
{
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);

  gst_element_set_state(pipeline, GST_STATE_PAUSED);
  wait_ready(infer);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  for (;;) {
    g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
        bus, 60 * GST_SECOND, GST_MESSAGE_LATENCY | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    g_assert_nonnull(message);
    g_assert_cmpint(GST_MESSAGE_TYPE(message), !=, GST_MESSAGE_ERROR);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS)
      return;
    gst_bin_recalculate_latency(GST_BIN(pipeline));
  }
}

/* The longest that the phases of a batch took together, as far as the element tells. */
static gdouble
longest_batch(GstElement *infer)
{
  static const char *const phases[] = {"preprocess-time", "wait-time", "inference-time",
                                       "attach-time"};
  GstStructure *stats = NULL;
  gdouble sum = 0;

  g_object_get(infer, "stats", &stats, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(phases); i++) {
    const GValue *times = gst_structure_get_value(stats, phases[i]);
    sum += (gdouble)number_in(gst_value_get_structure(times), "max");
  }
  gst_structure_free(stats);
  return sum;
}

static void
check_overload(Overload *o, GstElement *infer, guint64 frames)
{
  const gdouble reported = (gdouble)latency_of(o->pipeline), longest = longest_batch(infer);
  guint64 least = G_MAXUINT64, most = 0;

  for (guint i = 0; i < STREAMS; i++) {
    g_assert_cmpuint(o->out[i], ==, frames);
    least = MIN(least, o->found[i]);
    most = MAX(most, o->found[i]);
  }
  g_assert_cmpuint(o->latencies->len, >, 0);
  g_array_sort(o->latencies, compare);
  const gint64 high = g_array_index(o->latencies, gint64, (guint)(0.9 * o->latencies->len));
  g_test_message("inferred %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
                 " frames of %" G_GUINT64_FORMAT "; 90 %% within %.1f ms, reported %.1f ms, the "
                 "longest batch %.1f ms; %" G_GUINT64_FORMAT " frames came late themselves",
                 least, most, frames, (gdouble)high / 1e6, reported / 1e6, longest / 1e6,
                 o->lagging);
  g_assert_cmpuint(stat_of(infer, "late"), >, 0);
  /* A tenth, and the frame by which a batch that has just ended is ahead. A frame that is late when
   * it comes may cost its stream a place: that is the machine's doing. */
  g_assert_cmpuint(most - least, <=, 1 + most / 10 + o->lagging);
  g_assert_cmpfloat((gdouble)high, <=, reported);
  /* Nothing is promised that is far from what was seen. */
  g_assert_cmpfloat(reported, <=, 1.25 * longest + 150e6);
}

static void
test_overload(void)
{
  const guint64 frames = 4 * RATE;
  g_autofree char *slow_plan = g_build_filename(folder, "slow.plan", NULL);
  g_autoptr(GString) line = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  Overload o = {.latencies = g_array_new(FALSE, FALSE, sizeof(gint64))};
  Probe probes[STREAMS];

  toy_model_save_slow(slow_plan, STREAMS, INFER_RESIZE_STRETCH, 1000);
  g_mutex_init(&o.lock);
  g_string_append_printf(line, "infer name=i device=cpu threads=1 model-file=\"%s\" ", slow_plan);
  for (guint i = 0; i < STREAMS; i++)
    g_string_append_printf(line,
                           "videotestsrc is-live=true pattern=white num-buffers=%" G_GUINT64_FORMAT
                           " ! video/x-raw,format=RGBx,width=%d,height=%d,framerate=%d/1 ! "
                           "i.sink_%u i.src_%u ! queue max-size-buffers=0 max-size-bytes=0 "
                           "max-size-time=0 ! fakesink sync=true ",
                           frames, WIDTH, HEIGHT, RATE, i, i);
  o.pipeline = gst_parse_launch(line->str, &error);
  g_assert_no_error(error);
  g_autoptr(GstElement) infer = gst_bin_get_by_name(GST_BIN(o.pipeline), "i");
  for (guint i = 0; i < STREAMS; i++) {
    g_autofree char *name = g_strdup_printf("src_%u", i);
    g_autoptr(GstPad) pad = gst_element_get_static_pad(infer, name);
    probes[i] = (Probe){.overload = &o, .stream = i};
    g_autoptr(GstPad) sink = sink_pad(infer, i);
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, watch, &probes[i], NULL);
    gst_pad_add_probe(sink, GST_PAD_PROBE_TYPE_BUFFER, watch_arrival, &probes[i], NULL);
  }
  run_to_end(o.pipeline, infer);
  check_overload(&o, infer, frames);
  gst_element_set_state(o.pipeline, GST_STATE_NULL);
  gst_object_unref(o.pipeline);
  g_array_unref(o.latencies);
  g_mutex_clear(&o.lock);
  g_unlink(slow_plan);
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  set_up_plan("live");
  g_test_add_func("/live/longest", test_longest);
  g_test_add_func("/live/turns", test_turns);
  g_test_add_func("/live/overload", test_overload);
  result = g_test_run();
  tear_down_plan();
  return result;
}
