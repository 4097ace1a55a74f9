/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-infer
 * @title: infer
 * @short_description: runs a neural network on the frames of one or more streams
 *
 * Gathers frames of all its streams into batches, runs a plan (or a model, which is built for the
 * device and cached) on them, and attaches what was found: a #GstVideoRegionOfInterestMeta with a
 * `detection` structure for each object. Frames pass in order and are never copied.
 *
 * Each requested `sink_%u` pad brings a `src_%u` pad of the same number. A slow, stopped or silent
 * stream does not stall the others. With live sources frames that come before the model is ready,
 * or too late for their sink, pass without being inferred on; the property #GstInfer:stats counts
 * them.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=street.mp4 ! decodebin ! videoconvert !
 *     infer model-file=detector.pb ! inferoverlay ! videoconvert ! autovideosink
 * ]| Finds and draws the objects of one video.
 * |[
 * gst-launch-1.0 v4l2src ! infer name=i model-file=detector.plan sink_1::priority=1 !
 *     inferpublish ! fakesink  v4l2src device=/dev/video1 ! i. i. ! inferpublish ! fakesink
 * ]| Runs two cameras through one model in batches; the second goes first when time is short.
 */

#include "gstinfer.h"
#include "gstinferloader.h"
#include "gstinferpad.h"

GST_DEBUG_CATEGORY(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

#define FORMATS "{ NV12, I420, YUY2, RGB, RGBA, RGBx, BGR, BGRA, BGRx, GRAY8, P010_10LE }"
#define CAPS                                                                                       \
  GST_VIDEO_CAPS_MAKE(FORMATS)                                                                     \
  "; " GST_VIDEO_CAPS_MAKE_WITH_FEATURES(GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY                     \
                                         ", " GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION, \
                                         FORMATS)

#define DEFAULT_SCORE 0.5

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS(CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src_%u", GST_PAD_SRC, GST_PAD_SOMETIMES, GST_STATIC_CAPS(CAPS));

enum {
  PROP_0,
  PROP_MODEL_FILE,
  PROP_MODEL_INFO_FILE,
  PROP_LABEL_FILE,
  PROP_LABELS_FILE,
  PROP_DEVICE,
  PROP_BATCH_SIZE,
  PROP_BATCH_TIMEOUT,
  PROP_SCORE_THRESHOLD,
  PROP_IOU_THRESHOLD,
  PROP_INFERENCE_INTERVAL,
  PROP_MAX_SIZE_BUFFERS,
  PROP_THREADS,
  PROP_MODEL_INFO,
  PROP_STATS,
};

/**
 * GstInfer:
 *
 * Properties and @numbers are guarded by the object lock; @loader belongs to state changes.
 */
struct _GstInfer {
  GstElement parent;

  GstInferBatcher *batcher;
  GstInferLoader *loader;
  GstInferModelSettings model; /* without n_streams */
  GstInferSettings settings;
  gboolean reload;     /* the model in the batcher is not that of @model */
  GHashTable *numbers; /* pad numbers in use */
};

static void child_proxy_init(gpointer iface, gpointer data);

G_DEFINE_FINAL_TYPE_WITH_CODE(GstInfer, gst_infer, GST_TYPE_ELEMENT,
                              G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY, child_proxy_init))
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE(infer, "infer", GST_RANK_NONE, GST_TYPE_INFER,
                                      GST_DEBUG_CATEGORY_INIT(gst_infer_debug, "infer", 0,
                                                              "inference on video"))

static GObject *
get_child_by_index(GstChildProxy *proxy, guint index)
{
  GObject *child;

  GST_OBJECT_LOCK(proxy);
  child = g_list_nth_data(GST_ELEMENT_CAST(proxy)->sinkpads, index);
  if (child)
    g_object_ref(child);
  GST_OBJECT_UNLOCK(proxy);
  return child;
}

static guint
get_children_count(GstChildProxy *proxy)
{
  guint count;

  GST_OBJECT_LOCK(proxy);
  count = GST_ELEMENT_CAST(proxy)->numsinkpads;
  GST_OBJECT_UNLOCK(proxy);
  return count;
}

static void
child_proxy_init(gpointer iface, gpointer data)
{
  GstChildProxyInterface *proxy = iface;

  proxy->get_child_by_index = get_child_by_index;
  proxy->get_children_count = get_children_count;
}

/* Reserves the number that @name asks for, or the lowest free one. */
static gboolean
take_number(GstInfer *self, const gchar *name, guint *number)
{
  guint64 wanted = 0;
  gboolean ok = TRUE;

  GST_OBJECT_LOCK(self);
  if (name && !g_str_equal(name, "sink_%u")) {
    ok = g_str_has_prefix(name, "sink_") &&
         g_ascii_string_to_unsigned(name + strlen("sink_"), 10, 0, G_MAXUINT, &wanted, NULL) &&
         !g_hash_table_contains(self->numbers, GUINT_TO_POINTER((guint)wanted));
  } else {
    while (g_hash_table_contains(self->numbers, GUINT_TO_POINTER((guint)wanted)))
      wanted++;
  }
  *number = (guint)wanted;
  if (ok)
    g_hash_table_add(self->numbers, GUINT_TO_POINTER(*number));
  GST_OBJECT_UNLOCK(self);
  return ok;
}

static void
give_number(GstInfer *self, guint number)
{
  GST_OBJECT_LOCK(self);
  g_hash_table_remove(self->numbers, GUINT_TO_POINTER(number));
  GST_OBJECT_UNLOCK(self);
}

static GstPad *
gst_infer_request_new_pad(GstElement *element, GstPadTemplate *templ, const gchar *name,
                          const GstCaps *caps)
{
  GstInfer *self = GST_INFER(element);
  g_autofree gchar *sink_name = NULL, *src_name = NULL;
  GstPadTemplate *src_templ;
  gboolean active;
  GstInferPad *pad;
  guint number;

  if (!take_number(self, name, &number)) {
    GST_WARNING_OBJECT(self, "pad %s is taken, or no name of the form sink_%%u", name);
    return NULL;
  }
  sink_name = g_strdup_printf("sink_%u", number);
  src_name = g_strdup_printf("src_%u", number);
  src_templ = gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(element), "src_%u");
  pad = gst_infer_pad_new(templ, sink_name, src_templ, src_name, self->batcher);
  g_object_set_data(G_OBJECT(pad), "number", GUINT_TO_POINTER(number));
  gst_infer_batcher_add_pad(self->batcher, pad);

  GST_OBJECT_LOCK(self);
  active = GST_STATE(self) > GST_STATE_READY || GST_STATE_NEXT(self) == GST_STATE_PAUSED;
  GST_OBJECT_UNLOCK(self);
  if (active) {
    gst_pad_set_active(pad->srcpad, TRUE);
    gst_pad_set_active(GST_PAD_CAST(pad), TRUE);
  }
  gst_element_add_pad(element, GST_PAD_CAST(pad));
  gst_element_add_pad(element, pad->srcpad);
  gst_child_proxy_child_added(GST_CHILD_PROXY(self), G_OBJECT(pad), sink_name);
  return GST_PAD_CAST(pad);
}

static void
gst_infer_release_pad(GstElement *element, GstPad *sink)
{
  GstInfer *self = GST_INFER(element);
  g_autoptr(GstInferPad) pad = gst_object_ref(GST_INFER_PAD(sink));
  const guint number = GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(pad), "number"));

  gst_infer_batcher_remove_pad(self->batcher, pad);
  gst_pad_set_active(sink, FALSE);
  gst_pad_set_active(pad->srcpad, FALSE);
  gst_child_proxy_child_removed(GST_CHILD_PROXY(self), G_OBJECT(pad), GST_PAD_NAME(pad));
  gst_element_remove_pad(element, pad->srcpad);
  gst_element_remove_pad(element, sink);
  give_number(self, number);
}

static void
copy_model_settings(GstInfer *self, GstInferModelSettings *settings)
{
  GST_OBJECT_LOCK(self);
  gst_infer_model_settings_copy(settings, &self->model);
  settings->batch_size = self->settings.batch_size;
  settings->n_streams = GST_ELEMENT_CAST(self)->numsinkpads;
  GST_OBJECT_UNLOCK(self);
}

static gboolean
check(GstInfer *self)
{
  GstInferModelSettings settings;
  g_autoptr(GError) error = NULL;

  copy_model_settings(self, &settings);
  if (!gst_infer_model_check(&settings, &error))
    gst_infer_post_error(GST_ELEMENT_CAST(self), error);
  gst_infer_model_settings_clear(&settings);
  return error == NULL;
}

static void
start(GstInfer *self)
{
  GstInferModelSettings settings;
  gboolean reload;

  GST_OBJECT_LOCK(self);
  reload = self->reload || self->batcher->state != GST_INFER_MODEL_READY;
  self->reload = FALSE;
  GST_OBJECT_UNLOCK(self);

  gst_infer_batcher_start(self->batcher);
  if (!reload)
    return;
  copy_model_settings(self, &settings);
  self->loader = gst_infer_loader_new(GST_ELEMENT_CAST(self), self->batcher, &settings);
  gst_infer_model_settings_clear(&settings);
}

static void
stop(GstInfer *self)
{
  gst_infer_batcher_stop(self->batcher);
  g_clear_pointer(&self->loader, gst_infer_loader_free);
}

static GstStateChangeReturn
gst_infer_change_state(GstElement *element, GstStateChange transition)
{
  GstInfer *self = GST_INFER(element);
  GstStateChangeReturn ret;

  switch (transition) {
  case GST_STATE_CHANGE_NULL_TO_READY:
    if (!check(self))
      return GST_STATE_CHANGE_FAILURE;
    break;
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    start(self);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    if (self->loader)
      gst_infer_loader_cancel(self->loader);
    gst_infer_batcher_flush(self->batcher);
    break;
  default:
    break;
  }

  ret = GST_ELEMENT_CLASS(gst_infer_parent_class)->change_state(element, transition);

  switch (transition) {
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    if (ret == GST_STATE_CHANGE_FAILURE) {
      if (self->loader)
        gst_infer_loader_cancel(self->loader);
      stop(self);
    }
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    stop(self);
    break;
  case GST_STATE_CHANGE_READY_TO_NULL:
    gst_infer_batcher_set_model(self->batcher, GST_INFER_MODEL_NONE, NULL);
    break;
  default:
    break;
  }
  return ret;
}

static void
set_string(GstInfer *self, gchar **field, const GValue *value)
{
  const gchar *text = g_value_get_string(value);

  g_free(*field);
  *field = text && *text ? g_strdup(text) : NULL;
  self->reload = TRUE;
}

static void
gst_infer_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstInfer *self = GST_INFER(object);
  GstInferSettings settings;

  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_MODEL_FILE:
    set_string(self, &self->model.model_file, value);
    break;
  case PROP_MODEL_INFO_FILE:
    set_string(self, &self->model.model_info_file, value);
    break;
  case PROP_LABEL_FILE:
  case PROP_LABELS_FILE:
    set_string(self, &self->model.label_file, value);
    break;
  case PROP_DEVICE:
    set_string(self, &self->model.device, value);
    if (!self->model.device)
      self->model.device = g_strdup("auto");
    break;
  case PROP_BATCH_SIZE:
    self->settings.batch_size = g_value_get_uint(value);
    if (GST_STATE(self) < GST_STATE_PAUSED)
      self->reload = TRUE;
    break;
  case PROP_BATCH_TIMEOUT:
    self->settings.batch_timeout = g_value_get_int64(value);
    break;
  case PROP_SCORE_THRESHOLD:
    self->settings.score = g_value_get_double(value);
    break;
  case PROP_IOU_THRESHOLD:
    self->settings.iou = g_value_get_double(value);
    break;
  case PROP_INFERENCE_INTERVAL:
    self->settings.interval = g_value_get_uint(value);
    break;
  case PROP_MAX_SIZE_BUFFERS:
    self->settings.max_buffers = g_value_get_uint(value);
    break;
  case PROP_THREADS:
    self->model.threads = g_value_get_uint(value);
    self->reload = TRUE;
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  settings = self->settings;
  GST_OBJECT_UNLOCK(self);
  gst_infer_batcher_set_settings(self->batcher, &settings);
}

static GstInferModel *
get_model(GstInfer *self)
{
  GstInferModel *model;

  g_mutex_lock(&self->batcher->lock);
  model = self->batcher->model ? gst_infer_model_ref(self->batcher->model) : NULL;
  g_mutex_unlock(&self->batcher->lock);
  return model;
}

static void
get_structure(GstInfer *self, guint id, GValue *value)
{
  g_autoptr(GstInferModel) model = NULL;

  if (id == PROP_STATS) {
    g_value_take_boxed(value, gst_infer_batcher_get_stats(self->batcher));
    return;
  }
  model = get_model(self);
  g_value_take_boxed(value, model ? gst_infer_model_to_structure(model) : NULL);
}

static void
gst_infer_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstInfer *self = GST_INFER(object);

  if (id == PROP_STATS || id == PROP_MODEL_INFO) {
    get_structure(self, id, value);
    return;
  }
  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_MODEL_FILE:
    g_value_set_string(value, self->model.model_file);
    break;
  case PROP_MODEL_INFO_FILE:
    g_value_set_string(value, self->model.model_info_file);
    break;
  case PROP_LABEL_FILE:
  case PROP_LABELS_FILE:
    g_value_set_string(value, self->model.label_file);
    break;
  case PROP_DEVICE:
    g_value_set_string(value, self->model.device);
    break;
  case PROP_BATCH_SIZE:
    g_value_set_uint(value, self->settings.batch_size);
    break;
  case PROP_BATCH_TIMEOUT:
    g_value_set_int64(value, self->settings.batch_timeout);
    break;
  case PROP_SCORE_THRESHOLD:
    g_value_set_double(value, self->settings.score < 0 ? DEFAULT_SCORE : self->settings.score);
    break;
  case PROP_IOU_THRESHOLD:
    g_value_set_double(value, self->settings.iou);
    break;
  case PROP_INFERENCE_INTERVAL:
    g_value_set_uint(value, self->settings.interval);
    break;
  case PROP_MAX_SIZE_BUFFERS:
    g_value_set_uint(value, self->settings.max_buffers);
    break;
  case PROP_THREADS:
    g_value_set_uint(value, self->model.threads);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void
gst_infer_finalize(GObject *object)
{
  GstInfer *self = GST_INFER(object);

  gst_infer_model_settings_clear(&self->model);
  g_hash_table_unref(self->numbers);
  gst_infer_batcher_unref(self->batcher);
  G_OBJECT_CLASS(gst_infer_parent_class)->finalize(object);
}

static void
install_properties(GObjectClass *klass)
{
  const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags playing =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property(
      klass, PROP_MODEL_FILE,
      g_param_spec_string("model-file", "Model file",
                          "Plan file, or model file (frozen TensorFlow graph) that is built for "
                          "the device and cached",
                          NULL, ready));
  g_object_class_install_property(
      klass, PROP_MODEL_INFO_FILE,
      g_param_spec_string(
          "model-info-file", "Model information file",
          "Key file over the model's information: pre-processing, decoder, labels (unset: the one "
          "beside the model, <model-file>.modelinfo or without the model's extension)",
          NULL, ready));
  g_object_class_install_property(
      klass, PROP_LABEL_FILE,
      g_param_spec_string("label-file", "Label file",
                          "Text file with one label a line, in place of the model's labels", NULL,
                          ready));
  g_object_class_install_property(
      klass, PROP_LABELS_FILE,
      g_param_spec_string("labels-file", "Label file", "Another name of label-file", NULL, ready));
  g_object_class_install_property(klass, PROP_DEVICE,
                                  g_param_spec_string("device", "Device",
                                                      "What to run on: auto, cpu, or cuda:N",
                                                      "auto", ready));
  g_object_class_install_property(
      klass, PROP_BATCH_SIZE,
      g_param_spec_uint(
          "batch-size", "Batch size",
          "Frames in a batch (0 = number of streams when live, else the plan's fastest)", 0, 1024,
          0, playing));
  g_object_class_install_property(
      klass, PROP_BATCH_TIMEOUT,
      g_param_spec_int64(
          "batch-timeout", "Batch timeout",
          "Nanoseconds that the first frame of a batch waits for others (-1 = automatic: live the "
          "shortest frame duration, at most 40 ms; else no longer than other streams deliver)",
          -1, G_MAXINT64, -1, playing));
  g_object_class_install_property(
      klass, PROP_SCORE_THRESHOLD,
      g_param_spec_double("score-threshold", "Score threshold",
                          "Score, 0 to 1, below which an object is not reported (until it is set, "
                          "the model's own where it has one)",
                          0, 1, DEFAULT_SCORE, playing));
  g_object_class_install_property(
      klass, PROP_IOU_THRESHOLD,
      g_param_spec_double(
          "iou-threshold", "IoU threshold",
          "Overlap (intersection over union), 0 to 1, above which the weaker of two objects of a "
          "class is dropped, for models that suppress in the plan (-1 = the model's)",
          -1, 1, -1, playing));
  g_object_class_install_property(
      klass, PROP_INFERENCE_INTERVAL,
      g_param_spec_uint("inference-interval", "Inference interval",
                        "Infer on every n-th frame of a stream (1 = every frame); those between "
                        "pass without objects",
                        1, G_MAXINT, 1, playing));
  g_object_class_install_property(
      klass, PROP_MAX_SIZE_BUFFERS,
      g_param_spec_uint("max-size-buffers", "Maximum queue size",
                        "Frames that wait before and after inference, for each pad (0 = automatic: "
                        "twice a pad's share of a batch, at least 4)",
                        0, G_MAXINT, 0, playing));
  g_object_class_install_property(
      klass, PROP_THREADS,
      g_param_spec_uint("threads", "Threads",
                        "Threads that the CPU infers with (0 = every processor)", 0, 1024, 0,
                        ready));
  g_object_class_install_property(
      klass, PROP_MODEL_INFO,
      g_param_spec_boxed("model-info", "Model information",
                         "What is known of the model: name, device, input, labels, thresholds "
                         "(NULL until it is loaded)",
                         GST_TYPE_STRUCTURE, readable));
  g_object_class_install_property(
      klass, PROP_STATS,
      g_param_spec_boxed(
          "stats", "Statistics",
          "Counters: frames that came, were inferred on, and passed (skipped, not-ready, late, "
          "unusable); batches and their sizes; run times in nanoseconds",
          GST_TYPE_STRUCTURE, readable));
}

static void
gst_infer_class_init(GstInferClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS(klass);

  object_class->set_property = gst_infer_set_property;
  object_class->get_property = gst_infer_get_property;
  object_class->finalize = gst_infer_finalize;
  install_properties(object_class);

  element_class->request_new_pad = gst_infer_request_new_pad;
  element_class->release_pad = gst_infer_release_pad;
  element_class->change_state = gst_infer_change_state;
  gst_element_class_add_static_pad_template_with_gtype(element_class, &sink_template,
                                                       GST_TYPE_INFER_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &src_template,
                                                       GST_TYPE_INFER_SRC_PAD);
  gst_element_class_set_static_metadata(
      element_class, "Neural network inference", "Filter/Analyzer/Video",
      "Runs a neural network on the frames of one or more streams, in batches, and attaches the "
      "objects found as metadata",
      "gst-infer developers");
  gst_type_mark_as_plugin_api(GST_TYPE_INFER_PAD, 0);
  gst_type_mark_as_plugin_api(GST_TYPE_INFER_SRC_PAD, 0);
}

static void
gst_infer_init(GstInfer *self)
{
  self->batcher = gst_infer_batcher_new(GST_ELEMENT_CAST(self));
  self->numbers = g_hash_table_new(NULL, NULL);
  self->model.device = g_strdup("auto");
  self->settings = self->batcher->settings;
}
