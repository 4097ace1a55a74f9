/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inferdemo: reads a video, finds objects, draws them, and writes annotated.mp4 and objects.jsonl
 * into a directory. Both appear under their names only when they are complete.
 */
#include <glib/gstdio.h>
#include <gst/gst.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VIDEO_NAME "annotated.mp4"
#define OBJECTS_NAME "objects.jsonl"
#define PART_SUFFIX ".part"
/* A source that gives nothing for so long, with the model ready, is broken. Its error can be lost:
 * decodebin drops one that comes while it adds the demuxer. */
#define PATIENCE (30 * G_USEC_PER_SEC)

typedef struct {
  char *source, *model, *labels, *output, *device;
} Options;

typedef struct {
  GMainLoop *loop;
  GstElement *pipeline;
  const Options *options;
  gboolean failed;
  gboolean bar_shown;
  gint64 started;
  gint64 alive;            /* when something was last heard of the pipeline */
  guint64 frames, objects; /* of the streaming thread, read after EOS */
} Demo;

/* --- command line --- */

static gboolean
parse_options(int argc, char **argv, Options *options, GError **error)
{
  const GOptionEntry entries[] = {
      {"source", 0, 0, G_OPTION_ARG_STRING, &options->source, "video to read", "FILE|URI"},
      {"model", 0, 0, G_OPTION_ARG_FILENAME, &options->model, "model or plan", "FILE"},
      {"labels", 0, 0, G_OPTION_ARG_FILENAME, &options->labels, "one label a line", "FILE"},
      {"output", 0, 0, G_OPTION_ARG_FILENAME, &options->output,
       "directory for " VIDEO_NAME " and " OBJECTS_NAME " (default: demo-output)", "DIR"},
      {"device", 0, 0, G_OPTION_ARG_STRING, &options->device, "auto, cpu or cuda:N", "DEVICE"},
      {NULL}};
  g_autoptr(GOptionContext) context =
      g_option_context_new("- find, draw and write the objects of a video");

  g_option_context_add_main_entries(context, entries, NULL);
  g_option_context_add_group(context, gst_init_get_option_group());
  if (!g_option_context_parse(context, &argc, &argv, error))
    return FALSE;
  if (argc > 1 || !options->source || !options->model) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                argc > 1 ? "unknown argument '%s'" : "%s are needed; see --help",
                argc > 1 ? argv[1] : "--source and --model");
    return FALSE;
  }
  if (!options->output)
    options->output = g_strdup("demo-output");
  return TRUE;
}

/* --- pipeline --- */

/* What follows depends on the encoders that are installed. */
static char *
encoder_description(void)
{
  static const char *const choices[][2] = {
      {"x264enc", "x264enc speed-preset=veryfast pass=quant quantizer=22"},
      {"openh264enc", "openh264enc rate-control=bitrate bitrate=4000000"},
      {NULL, NULL}};

  for (guint i = 0; choices[i][0]; i++) {
    g_autoptr(GstElementFactory) factory = gst_element_factory_find(choices[i][0]);
    if (factory)
      return g_strdup(choices[i][1]);
  }
  return NULL;
}

static char *
source_uri(const char *source, GError **error)
{
  if (gst_uri_is_valid(source))
    return g_strdup(source);
  if (!g_file_test(source, G_FILE_TEST_IS_REGULAR)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                "'%s' is not there; --source takes a video file or a URI", source);
    return NULL;
  }
  return gst_filename_to_uri(source, error);
}

static GstElement *
make_pipeline(const Options *options, GError **error)
{
  g_autofree char *encoder = encoder_description();
  g_autofree char *uri = source_uri(options->source, error);
  g_autofree char *video = g_build_filename(options->output, VIDEO_NAME PART_SUFFIX, NULL);
  g_autofree char *objects = g_build_filename(options->output, OBJECTS_NAME PART_SUFFIX, NULL);
  g_autofree char *description = NULL;
  GstElement *pipeline;

  if (!uri)
    return NULL;
  if (!encoder) {
    g_set_error(error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
                "there is no H.264 encoder; install gstreamer1.0-plugins-ugly (x264enc)");
    return NULL;
  }
  description = g_strdup_printf(
      "uridecodebin name=decode caps=video/x-raw(ANY) expose-all-streams=false ! videoconvert ! "
      "infer name=infer ! inferpublish name=publish ! inferoverlay name=overlay ! "
      "queue max-size-buffers=8 ! videoconvert ! %s ! h264parse ! mp4mux faststart=true ! "
      "filesink name=sink",
      encoder);
  pipeline = gst_parse_launch(description, error);
  if (!pipeline)
    return NULL;
  gst_child_proxy_set(GST_CHILD_PROXY(pipeline), "decode::uri", uri, "infer::model-file",
                      options->model, "infer::device", options->device ? options->device : "auto",
                      "publish::file-path", objects, "sink::location", video, NULL);
  if (options->labels)
    gst_child_proxy_set(GST_CHILD_PROXY(pipeline), "infer::label-file", options->labels, NULL);
  return pipeline;
}

/* Objects are regions of interest on the frames that leave. */
static GstPadProbeReturn
count_frame(GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  static GType roi_api;
  Demo *demo = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);

  if (!roi_api)
    roi_api = g_type_from_name("GstVideoRegionOfInterestMetaAPI");
  demo->frames++;
  if (roi_api)
    demo->objects += gst_buffer_get_n_meta(buffer, roi_api);
  return GST_PAD_PROBE_OK;
}

/* --- progress --- */

static void
end_bar(Demo *demo)
{
  if (demo->bar_shown)
    fputc('\n', stderr);
  demo->bar_shown = FALSE;
}

static void
check_alive(Demo *demo)
{
  if (demo->frames > 0 || g_get_monotonic_time() - demo->alive < PATIENCE)
    return;
  end_bar(demo);
  fprintf(stderr, "inferdemo: '%s' gave no video frames for %d seconds\n", demo->options->source,
          (int)(PATIENCE / G_USEC_PER_SEC));
  demo->failed = TRUE;
  g_main_loop_quit(demo->loop);
}

static gboolean
show_progress(gpointer user_data)
{
  Demo *demo = user_data;
  gint64 position = 0, duration = 0;
  double fraction, seconds = (double)(g_get_monotonic_time() - demo->started) / G_USEC_PER_SEC;
  char bar[41];
  guint filled;

  check_alive(demo);
  if (!isatty(STDERR_FILENO) ||
      !gst_element_query_duration(demo->pipeline, GST_FORMAT_TIME, &duration) || duration <= 0 ||
      !gst_element_query_position(demo->pipeline, GST_FORMAT_TIME, &position))
    return G_SOURCE_CONTINUE;
  fraction = CLAMP((double)position / (double)duration, 0, 1);
  filled = (guint)lrint(fraction * 40);
  memset(bar, '.', 40);
  memset(bar, '#', filled);
  bar[40] = 0;
  fprintf(stderr, "\r[%s] %3.0f %%  %.0f s ", bar, fraction * 100, seconds);
  fflush(stderr);
  demo->bar_shown = TRUE;
  return G_SOURCE_CONTINUE;
}

static void
show_stage(Demo *demo, GstMessage *message)
{
  g_autofree char *text = NULL;

  demo->alive = g_get_monotonic_time();
  gst_message_parse_progress(message, NULL, NULL, &text);
  if (isatty(STDERR_FILENO) && text) {
    fprintf(stderr, "\r%-70s", text);
    fflush(stderr);
    demo->bar_shown = TRUE;
  }
}

static gboolean
on_message(GstBus *bus, GstMessage *message, gpointer user_data)
{
  Demo *demo = user_data;

  switch (GST_MESSAGE_TYPE(message)) {
  case GST_MESSAGE_ERROR: {
    g_autoptr(GError) error = NULL;
    g_autofree char *debug = NULL;
    gst_message_parse_error(message, &error, &debug);
    end_bar(demo);
    fprintf(stderr, "inferdemo: %s: %s\n", GST_OBJECT_NAME(GST_MESSAGE_SRC(message)),
            error->message);
    if (debug)
      fprintf(stderr, "  %s\n", debug);
    demo->failed = TRUE;
    g_main_loop_quit(demo->loop);
    break;
  }
  case GST_MESSAGE_EOS:
    g_main_loop_quit(demo->loop);
    break;
  case GST_MESSAGE_PROGRESS:
    show_stage(demo, message);
    break;
  default:
    break;
  }
  return G_SOURCE_CONTINUE;
}

/* --- results --- */

static gboolean
publish(const Options *options, const char *name)
{
  g_autofree char *to = g_build_filename(options->output, name, NULL);
  g_autofree char *from = g_strconcat(to, PART_SUFFIX, NULL);

  if (g_rename(from, to) == 0)
    return TRUE;
  fprintf(stderr, "inferdemo: '%s' cannot be renamed to '%s': %s\n", from, to, g_strerror(errno));
  return FALSE;
}

static void
drop_parts(const Options *options)
{
  g_autofree char *video = g_build_filename(options->output, VIDEO_NAME PART_SUFFIX, NULL);
  g_autofree char *objects = g_build_filename(options->output, OBJECTS_NAME PART_SUFFIX, NULL);

  g_unlink(video);
  g_unlink(objects);
}

static gboolean
finish(Demo *demo)
{
  double seconds = (double)(g_get_monotonic_time() - demo->started) / G_USEC_PER_SEC;

  end_bar(demo);
  if (!demo->failed && demo->frames == 0) {
    fprintf(stderr, "inferdemo: '%s' has no video frames\n", demo->options->source);
    demo->failed = TRUE;
  }
  if (demo->failed || !publish(demo->options, OBJECTS_NAME) ||
      !publish(demo->options, VIDEO_NAME)) {
    drop_parts(demo->options);
    return FALSE;
  }
  printf("%" G_GUINT64_FORMAT " frames, %" G_GUINT64_FORMAT " objects, %.1f s, %.1f fps\n",
         demo->frames, demo->objects, seconds, (double)demo->frames / MAX(seconds, 1e-3));
  printf("%s/%s\n%s/%s\n", demo->options->output, VIDEO_NAME, demo->options->output, OBJECTS_NAME);
  return TRUE;
}

static void
run(Demo *demo)
{
  g_autoptr(GstBus) bus = gst_element_get_bus(demo->pipeline);
  g_autoptr(GstElement) overlay = gst_bin_get_by_name(GST_BIN(demo->pipeline), "overlay");
  g_autoptr(GstPad) pad = gst_element_get_static_pad(overlay, "sink");
  guint timer = g_timeout_add(200, show_progress, demo);
  guint watch = gst_bus_add_watch(bus, on_message, demo);

  demo->loop = g_main_loop_new(NULL, FALSE);
  demo->started = demo->alive = g_get_monotonic_time();
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, count_frame, demo, NULL);
  gst_element_set_state(demo->pipeline, GST_STATE_PLAYING);
  g_main_loop_run(demo->loop);
  gst_element_set_state(demo->pipeline, GST_STATE_NULL);
  g_source_remove(timer);
  g_source_remove(watch);
  g_main_loop_unref(demo->loop);
}

int
main(int argc, char **argv)
{
  Options options = {0};
  g_autoptr(GError) error = NULL;
  Demo demo = {.options = &options};
  int status = 1;

  if (!parse_options(argc, argv, &options, &error)) {
    fprintf(stderr, "inferdemo: %s\n", error->message);
  } else if (g_mkdir_with_parents(options.output, 0777) != 0) {
    fprintf(stderr, "inferdemo: directory '%s' cannot be made: %s\n", options.output,
            g_strerror(errno));
  } else if (!(demo.pipeline = make_pipeline(&options, &error))) {
    fprintf(stderr, "inferdemo: %s\n", error->message);
  } else {
    run(&demo);
    status = finish(&demo) ? 0 : 1;
    gst_object_unref(demo.pipeline);
  }
  g_free(options.source);
  g_free(options.model);
  g_free(options.labels);
  g_free(options.output);
  g_free(options.device);
  return status;
}
