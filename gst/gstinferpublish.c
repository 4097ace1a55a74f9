/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-inferpublish
 * @title: inferpublish
 *
 * Writes what was found as JSON, one line per frame, to a file or to the standard output, and
 * passes the frames on untouched. It stands in the middle of a pipeline or at its end.
 *
 * A line has the members `timestamp` (presentation time in nanoseconds), `frame`, `stream`,
 * `resolution` and `objects`, and `source` and `tags` where these are set. An object has its
 * rectangle in pixels (`x`, `y`, `w`, `h`), `region_id`, `parent_id` and `id` where there are any,
 * `roi_type`, and `detection` with `confidence`, `label`, `label_id` and `bounding_box` (0 to 1);
 * classifications follow under the names of their attributes.
 *
 * Several elements may write to one file: they share it line by line.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=street.mp4 ! decodebin ! infer model-file=model.onnx \
 *     ! inferpublish file-path=objects.jsonl
 * ]| Writes the objects in a video to a file.
 */
#include "gstinferpublish.h"

#include <gst/video/video.h>

#include "gstinfermeta.h"
#include "gstinferpublish-json.h"

#define DEFAULT_FILE_PATH "stdout"

GST_DEBUG_CATEGORY_STATIC(gst_infer_publish_debug);
#define GST_CAT_DEFAULT gst_infer_publish_debug

typedef enum { METHOD_FILE, METHOD_STDOUT } PublishMethod;
typedef enum { FORMAT_JSON_LINES } PublishFormat;

struct _GstInferPublish {
  GstBaseTransform parent;

  /* properties, under the object lock */
  PublishMethod method;
  PublishFormat format;
  gchar *file_path;
  gboolean append;
  gboolean add_empty_frames;
  gchar *source;
  gchar *stream;
  gchar *tags;

  /* from start to stop; the texts are copies of the properties */
  GstInferWriter *writer;
  gchar *line_source, *line_stream, *line_tags;
  gint stopping;

  /* of the streaming thread */
  GstPadChainFunction chain;
  GstVideoInfo info;
  gchar *stream_id;
  guint64 n_frames;
  GString *text;
};

enum {
  PROP_0,
  PROP_METHOD,
  PROP_FILE_PATH,
  PROP_LOCATION,
  PROP_FORMAT,
  PROP_APPEND,
  PROP_ADD_EMPTY_FRAMES,
  PROP_SOURCE,
  PROP_STREAM,
  PROP_TAGS,
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

G_DEFINE_TYPE(GstInferPublish, gst_infer_publish, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE(inferpublish, "inferpublish", GST_RANK_NONE,
                                      GST_TYPE_INFER_PUBLISH,
                                      GST_DEBUG_CATEGORY_INIT(gst_infer_publish_debug,
                                                              "inferpublish", 0, "inferpublish"))

#define TYPE_PUBLISH_METHOD (publish_method_get_type())
static GType
publish_method_get_type(void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {{METHOD_FILE, "Write to a file", "file"},
                                      {METHOD_STDOUT, "Write to the standard output", "stdout"},
                                      {0, NULL, NULL}};

  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstInferPublishMethod", values));
  return type;
}

#define TYPE_PUBLISH_FORMAT (publish_format_get_type())
static GType
publish_format_get_type(void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
      {FORMAT_JSON_LINES, "One JSON object a line for each frame", "json-lines"}, {0, NULL, NULL}};

  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstInferPublishFormat", values));
  return type;
}

static gboolean
is_linked(GstInferPublish *self)
{
  return gst_pad_is_linked(GST_BASE_TRANSFORM_SRC_PAD(self));
}

/* At the end of a pipeline the element is its sink: bins wait for its EOS message. */
static void
update_sink_flag(GstInferPublish *self)
{
  if (is_linked(self)) {
    GST_OBJECT_FLAG_UNSET(self, GST_ELEMENT_FLAG_SINK);
    return;
  }
  GST_OBJECT_FLAG_SET(self, GST_ELEMENT_FLAG_SINK);
  GstObject *parent = gst_object_get_parent(GST_OBJECT(self));
  while (parent != NULL) {
    GstObject *bin = parent;
    GST_OBJECT_FLAG_SET(bin, GST_ELEMENT_FLAG_SINK);
    parent = gst_object_get_parent(bin);
    gst_object_unref(bin);
  }
}

static gboolean
open_writer(GstInferPublish *self)
{
  g_autoptr(GError) error = NULL;
  g_autofree gchar *path = NULL;

  GST_OBJECT_LOCK(self);
  const gboolean append = self->append;
  if (self->method == METHOD_FILE && !g_str_equal(self->file_path, "stdout") &&
      !g_str_equal(self->file_path, "-"))
    path = g_strdup(self->file_path);
  GST_OBJECT_UNLOCK(self);

  self->writer = gst_infer_writer_open(path, append, &error);
  if (self->writer == NULL) {
    GST_ELEMENT_ERROR(self, RESOURCE, OPEN_WRITE, ("%s", error->message),
                      ("set file-path to a file that can be written"));
    return FALSE;
  }
  return TRUE;
}

static gboolean
gst_infer_publish_start(GstBaseTransform *trans)
{
  GstInferPublish *self = GST_INFER_PUBLISH(trans);
  g_autoptr(GError) error = NULL;
  g_autofree gchar *tags = NULL;

  GST_OBJECT_LOCK(self);
  self->line_source = g_strdup(self->source);
  self->line_stream = g_strdup(self->stream);
  tags = g_strdup(self->tags);
  GST_OBJECT_UNLOCK(self);

  if (tags != NULL && *tags != '\0') {
    self->line_tags = gst_infer_json_normalise(tags, &error);
    if (self->line_tags == NULL) {
      GST_ELEMENT_ERROR(
          self, RESOURCE, SETTINGS, ("The property tags is not JSON: %s", tags),
          ("%s; allowed is a JSON value such as {\"place\": \"gate\"}", error->message));
      return FALSE;
    }
  }
  self->n_frames = 0;
  gst_video_info_init(&self->info);
  return open_writer(self);
}

static gboolean
gst_infer_publish_stop(GstBaseTransform *trans)
{
  GstInferPublish *self = GST_INFER_PUBLISH(trans);

  g_clear_pointer(&self->writer, gst_infer_writer_close);
  g_clear_pointer(&self->line_source, g_free);
  g_clear_pointer(&self->line_stream, g_free);
  g_clear_pointer(&self->line_tags, g_free);
  g_clear_pointer(&self->stream_id, g_free);
  return TRUE;
}

/* Caps may be of anything; what has a width and a height is a frame. */
static gboolean
gst_infer_publish_set_caps(GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstInferPublish *self = GST_INFER_PUBLISH(trans);
  const GstStructure *structure = gst_caps_get_structure(incaps, 0);
  gint width = 0, height = 0;

  if (gst_structure_has_name(structure, "video/x-raw") &&
      gst_video_info_from_caps(&self->info, incaps))
    return TRUE;
  gst_video_info_init(&self->info);
  gst_structure_get_int(structure, "width", &width);
  gst_structure_get_int(structure, "height", &height);
  if (width > 0 && height > 0)
    gst_video_info_set_format(&self->info, GST_VIDEO_FORMAT_ENCODED, (guint)width, (guint)height);
  return TRUE;
}

static void
fill_frame(GstInferPublish *self, GstBuffer *buffer, const GstInferResult *result,
           GstInferJsonFrame *frame)
{
  frame->timestamp = GST_BUFFER_PTS(buffer);
  frame->frame = result->frame != GST_BUFFER_OFFSET_NONE ? result->frame : self->n_frames;
  frame->stream = self->line_stream ?: result->stream ?: self->stream_id;
  frame->source = self->line_source;
  frame->tags = self->line_tags;
  frame->carried = result->carried;
  frame->width = GST_VIDEO_INFO_WIDTH(&self->info);
  frame->height = GST_VIDEO_INFO_HEIGHT(&self->info);
}

static GstFlowReturn
gst_infer_publish_transform_ip(GstBaseTransform *trans, GstBuffer *buffer)
{
  GstInferPublish *self = GST_INFER_PUBLISH(trans);
  const GstVideoInfo *info = GST_VIDEO_INFO_WIDTH(&self->info) > 0 ? &self->info : NULL;
  g_autoptr(GError) error = NULL;
  GstInferResult result;
  g_autoptr(GArray) objects = gst_infer_meta_collect(buffer, info, &result);
  GstInferJsonFrame frame = {.objects = objects};

  fill_frame(self, buffer, &result, &frame);
  self->n_frames++;
  GST_OBJECT_LOCK(self);
  const gboolean add_empty = self->add_empty_frames;
  GST_OBJECT_UNLOCK(self);
  if (objects->len == 0 && !add_empty)
    return GST_FLOW_OK;

  g_string_truncate(self->text, 0);
  gst_infer_json_append_frame(self->text, &frame);
  if (!gst_infer_writer_write(self->writer, self->text->str, self->text->len, &self->stopping,
                              &error)) {
    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC))
      GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, ("%s", error->message), (NULL));
    else
      GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("%s", error->message), (NULL));
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_infer_publish_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  GstInferPublish *self = GST_INFER_PUBLISH(parent);
  const GstFlowReturn flow = self->chain(pad, parent, buffer);

  return flow == GST_FLOW_NOT_LINKED && !is_linked(self) ? GST_FLOW_OK : flow;
}

static gboolean
gst_infer_publish_sink_event(GstBaseTransform *trans, GstEvent *event)
{
  GstInferPublish *self = GST_INFER_PUBLISH(trans);
  const gboolean at_end = !is_linked(self);
  const gboolean eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
  const guint32 seqnum = gst_event_get_seqnum(event);

  if (GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START) {
    const gchar *id = NULL;
    gst_event_parse_stream_start(event, &id);
    g_free(self->stream_id);
    self->stream_id = g_strdup(id);
    self->n_frames = 0;
  }
  const gboolean handled =
      GST_BASE_TRANSFORM_CLASS(gst_infer_publish_parent_class)->sink_event(trans, event);
  if (at_end && eos) {
    GstMessage *message = gst_message_new_eos(GST_OBJECT(self));
    gst_message_set_seqnum(message, seqnum);
    gst_element_post_message(GST_ELEMENT(self), message);
  }
  return handled || at_end;
}

/* As the last element it is asked to seek and to set latency; what goes upstream starts here. */
static gboolean
gst_infer_publish_send_event(GstElement *element, GstEvent *event)
{
  GstInferPublish *self = GST_INFER_PUBLISH(element);

  if (!is_linked(self) && GST_EVENT_IS_UPSTREAM(event))
    return gst_pad_push_event(GST_BASE_TRANSFORM_SINK_PAD(self), event);
  return GST_ELEMENT_CLASS(gst_infer_publish_parent_class)->send_event(element, event);
}

static GstStateChangeReturn
gst_infer_publish_change_state(GstElement *element, GstStateChange transition)
{
  GstInferPublish *self = GST_INFER_PUBLISH(element);

  if (transition == GST_STATE_CHANGE_NULL_TO_READY)
    update_sink_flag(self);
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    g_atomic_int_set(&self->stopping, 0);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    g_atomic_int_set(&self->stopping, 1);
  return GST_ELEMENT_CLASS(gst_infer_publish_parent_class)->change_state(element, transition);
}

static void
replace_text(gchar **text, const GValue *value)
{
  g_free(*text);
  *text = g_value_dup_string(value);
}

static void
gst_infer_publish_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstInferPublish *self = GST_INFER_PUBLISH(object);

  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_METHOD:
    self->method = (PublishMethod)g_value_get_enum(value);
    break;
  case PROP_FILE_PATH:
  case PROP_LOCATION:
    g_free(self->file_path);
    self->file_path = g_strdup(g_value_get_string(value) ?: DEFAULT_FILE_PATH);
    break;
  case PROP_FORMAT:
    self->format = (PublishFormat)g_value_get_enum(value);
    break;
  case PROP_APPEND:
    self->append = g_value_get_boolean(value);
    break;
  case PROP_ADD_EMPTY_FRAMES:
    self->add_empty_frames = g_value_get_boolean(value);
    break;
  case PROP_SOURCE:
    replace_text(&self->source, value);
    break;
  case PROP_STREAM:
    replace_text(&self->stream, value);
    break;
  case PROP_TAGS:
    replace_text(&self->tags, value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void
gst_infer_publish_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstInferPublish *self = GST_INFER_PUBLISH(object);

  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_METHOD:
    g_value_set_enum(value, (gint)self->method);
    break;
  case PROP_FILE_PATH:
  case PROP_LOCATION:
    g_value_set_string(value, self->file_path);
    break;
  case PROP_FORMAT:
    g_value_set_enum(value, (gint)self->format);
    break;
  case PROP_APPEND:
    g_value_set_boolean(value, self->append);
    break;
  case PROP_ADD_EMPTY_FRAMES:
    g_value_set_boolean(value, self->add_empty_frames);
    break;
  case PROP_SOURCE:
    g_value_set_string(value, self->source);
    break;
  case PROP_STREAM:
    g_value_set_string(value, self->stream);
    break;
  case PROP_TAGS:
    g_value_set_string(value, self->tags);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void
gst_infer_publish_finalize(GObject *object)
{
  GstInferPublish *self = GST_INFER_PUBLISH(object);

  /* A start that failed is not followed by a stop. */
  gst_infer_publish_stop(GST_BASE_TRANSFORM(self));
  g_free(self->file_path);
  g_free(self->source);
  g_free(self->stream);
  g_free(self->tags);
  g_string_free(self->text, TRUE);
  G_OBJECT_CLASS(gst_infer_publish_parent_class)->finalize(object);
}

static void
install_properties(GObjectClass *klass)
{
  const GParamFlags flags =
      (GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  const GParamFlags playing =
      (GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  const gchar *path_blurb = "Path of the file to write, stdout or - for the standard output "
                            "(method=file)";

  g_object_class_install_property(klass, PROP_METHOD,
                                  g_param_spec_enum("method", "Method",
                                                    "Where the lines are written to",
                                                    TYPE_PUBLISH_METHOD, METHOD_FILE, flags));
  g_object_class_install_property(
      klass, PROP_FILE_PATH,
      g_param_spec_string("file-path", "File path", path_blurb, DEFAULT_FILE_PATH, flags));
  g_object_class_install_property(klass, PROP_LOCATION,
                                  g_param_spec_string("location", "Location",
                                                      "The same as file-path", DEFAULT_FILE_PATH,
                                                      flags));
  g_object_class_install_property(klass, PROP_FORMAT,
                                  g_param_spec_enum("format", "Format", "What is written",
                                                    TYPE_PUBLISH_FORMAT, FORMAT_JSON_LINES, flags));
  g_object_class_install_property(
      klass, PROP_APPEND,
      g_param_spec_boolean("append", "Append",
                           "Keep what is in the file and write after it, else empty it first",
                           FALSE, flags));
  g_object_class_install_property(
      klass, PROP_ADD_EMPTY_FRAMES,
      g_param_spec_boolean("add-empty-frames", "Add empty frames",
                           "Write a line for frames without objects too", TRUE, playing));
  g_object_class_install_property(
      klass, PROP_SOURCE,
      g_param_spec_string("source", "Source",
                          "Where the stream comes from, written as \"source\" to each line", NULL,
                          flags));
  g_object_class_install_property(
      klass, PROP_STREAM,
      g_param_spec_string("stream", "Stream",
                          "Name of the stream, written as \"stream\" to each line (NULL = the name "
                          "that came with the frame, else the stream-id)",
                          NULL, flags));
  g_object_class_install_property(
      klass, PROP_TAGS,
      g_param_spec_string("tags", "Tags", "A JSON value, written as \"tags\" to each line", NULL,
                          flags));
}

static void
gst_infer_publish_class_init(GstInferPublishClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
  GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS(klass);

  object_class->set_property = gst_infer_publish_set_property;
  object_class->get_property = gst_infer_publish_get_property;
  object_class->finalize = gst_infer_publish_finalize;
  install_properties(object_class);

  element_class->change_state = gst_infer_publish_change_state;
  element_class->send_event = gst_infer_publish_send_event;
  transform_class->start = gst_infer_publish_start;
  transform_class->stop = gst_infer_publish_stop;
  transform_class->set_caps = gst_infer_publish_set_caps;
  transform_class->sink_event = gst_infer_publish_sink_event;
  transform_class->transform_ip = gst_infer_publish_transform_ip;
  transform_class->transform_ip_on_passthrough = TRUE;
  transform_class->passthrough_on_same_caps = TRUE;

  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Inference publisher", "Generic/Metadata",
      "Writes the objects found in frames as JSON lines, and passes the frames on",
      "The gst-infer authors");
  gst_type_mark_as_plugin_api(TYPE_PUBLISH_METHOD, (GstPluginAPIFlags)0);
  gst_type_mark_as_plugin_api(TYPE_PUBLISH_FORMAT, (GstPluginAPIFlags)0);
}

static void
gst_infer_publish_init(GstInferPublish *self)
{
  GstPad *sink = GST_BASE_TRANSFORM_SINK_PAD(self);

  self->file_path = g_strdup(DEFAULT_FILE_PATH);
  self->add_empty_frames = TRUE;
  self->text = g_string_new(NULL);
  gst_video_info_init(&self->info);
  /* The base class reports NOT_LINKED at the end of a pipeline. */
  self->chain = GST_PAD_CHAINFUNC(sink);
  gst_pad_set_chain_function(sink, gst_infer_publish_chain);
  gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), TRUE);
}
