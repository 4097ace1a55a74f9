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
 * them, a QOS message tells of each late one, and an element message `infer-overload` (pad, stream,
 * overloaded, inferred, late) of the beginning and the end of lateness.
 *
 * Elements of one process with the same #GstInfer:model-instance-id and device share one model and
 * gather their frames into common batches, in one pipeline or in several. While a batch runs the
 * next one is prepared (#GstInfer:nireq).
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

#include "gstinfer-private.h"
#include "gstinferpad.h"

GST_DEBUG_CATEGORY(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

#define FORMATS "{ NV12, I420, YUY2, RGB, RGBA, RGBx, BGR, BGRA, BGRx, GRAY8, P010_10LE }"
#define CAPS                                                                                       \
  GST_VIDEO_CAPS_MAKE(FORMATS)                                                                     \
  "; " GST_VIDEO_CAPS_MAKE_WITH_FEATURES(GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY                     \
                                         ", " GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION, \
                                         FORMATS)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS(CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src_%u", GST_PAD_SRC, GST_PAD_SOMETIMES, GST_STATIC_CAPS(CAPS));

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
  pad = gst_infer_pad_new(templ, sink_name, src_templ, src_name, self->client);
  g_object_set_data(G_OBJECT(pad), "number", GUINT_TO_POINTER(number));
  gst_infer_client_add_pad(self->client, pad);

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

  gst_infer_client_remove_pad(self->client, pad);
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
  settings->n_runs = self->n_runs;
  GST_OBJECT_UNLOCK(self);
}

/* cuda-device-id is another way to say device; both may be given where they agree. */
static gboolean
resolve_device(GstInfer *self, GstInferModelSettings *settings, GError **error)
{
  g_autofree gchar *device = NULL;
  gint number;

  GST_OBJECT_LOCK(self);
  number = self->cuda_device;
  GST_OBJECT_UNLOCK(self);
  if (number < 0)
    return TRUE;
  device = g_strdup_printf("cuda:%d", number);
  if (!g_str_equal(settings->device, "auto") && !g_str_equal(settings->device, device)) {
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                "device=%s and cuda-device-id=%d contradict each other; set one of them",
                settings->device, number);
    return FALSE;
  }
  g_free(settings->device);
  settings->device = g_steal_pointer(&device);
  return TRUE;
}

static gboolean
same_or_unset(const gchar *wanted, const gchar *there)
{
  return !wanted || g_strcmp0(wanted, there) == 0;
}

/* The first element says what the others share; they may leave it out. */
static gboolean
claim(GstInferBatcher *batcher, const gchar *id, GstInferModelSettings *settings, GError **error)
{
  GstInferModelSettings *first = &batcher->claimed;

  if (batcher->users == 0 || !first->model_file) {
    gst_infer_model_settings_clear(first);
    gst_infer_model_settings_copy(first, settings);
    return TRUE;
  }
  if (!same_or_unset(settings->model_file, first->model_file) ||
      !same_or_unset(settings->model_info_file, first->model_info_file) ||
      !same_or_unset(settings->label_file, first->label_file)) {
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                "model-instance-id=%s is in use with model-file=%s, model-info-file=%s, "
                "label-file=%s; give the same files, none, or another id",
                id, first->model_file, first->model_info_file ? first->model_info_file : "(unset)",
                first->label_file ? first->label_file : "(unset)");
    return FALSE;
  }
  gst_infer_model_settings_clear(settings);
  gst_infer_model_settings_copy(settings, first);
  return TRUE;
}

/* Goes over to the batcher that elements of one model-instance-id on one device share. */
static gboolean
join_instance(GstInfer *self, GstInferModelSettings *settings, GError **error)
{
  g_autofree gchar *id = NULL, *key = NULL;
  GstInferBatcher *batcher;
  gboolean ok;

  GST_OBJECT_LOCK(self);
  id = g_strdup(self->instance_id);
  GST_OBJECT_UNLOCK(self);
  if (!id)
    return TRUE;
  key = g_strconcat(id, "\n", settings->device, NULL);
  batcher = gst_infer_batcher_shared(key);
  g_mutex_lock(&batcher->control);
  ok = claim(batcher, id, settings, error);
  if (ok) {
    batcher->users++;
    gst_infer_client_move(self->client, batcher);
  }
  g_mutex_unlock(&batcher->control);
  return ok;
}

static void
leave_instance(GstInfer *self)
{
  GstInferBatcher *batcher = self->client->batcher;
  const gboolean shared = batcher != self->client->own;

  g_mutex_lock(&batcher->control);
  if (shared)
    gst_infer_client_move(self->client, self->client->own);
  if (!shared || --batcher->users == 0)
    gst_infer_batcher_set_model(batcher, GST_INFER_MODEL_NONE, NULL);
  g_mutex_unlock(&batcher->control);
}

static gboolean
open_model(GstInfer *self)
{
  GstInferModelSettings settings;
  g_autoptr(GError) error = NULL;

  copy_model_settings(self, &settings);
  if (resolve_device(self, &settings, &error) && join_instance(self, &settings, &error) &&
      !gst_infer_model_check(&settings, &error))
    leave_instance(self);
  if (error) {
    gst_infer_post_error(GST_ELEMENT_CAST(self), error);
    gst_infer_model_settings_clear(&settings);
    return FALSE;
  }
  gst_infer_model_settings_clear(&self->opened);
  self->opened = settings;
  return TRUE;
}

/* What changed between READY and PAUSED is looked at again: properties may be set in READY. */
static void
start(GstInfer *self)
{
  GstInferModelSettings settings;

  copy_model_settings(self, &settings);
  if (self->client->batcher != self->client->own || !resolve_device(self, &settings, NULL)) {
    const guint n_streams = settings.n_streams;
    gst_infer_model_settings_clear(&settings);
    gst_infer_model_settings_copy(&settings, &self->opened);
    settings.n_streams = n_streams;
  }
  gst_infer_client_start(self->client, &settings, settings.n_runs);
  gst_infer_model_settings_clear(&settings);
}

static GstStateChangeReturn
gst_infer_change_state(GstElement *element, GstStateChange transition)
{
  GstInfer *self = GST_INFER(element);
  GstStateChangeReturn ret;

  switch (transition) {
  case GST_STATE_CHANGE_NULL_TO_READY:
    if (!open_model(self))
      return GST_STATE_CHANGE_FAILURE;
    break;
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    start(self);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    gst_infer_client_flush(self->client);
    break;
  default:
    break;
  }

  ret = GST_ELEMENT_CLASS(gst_infer_parent_class)->change_state(element, transition);

  switch (transition) {
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    if (ret == GST_STATE_CHANGE_FAILURE)
      gst_infer_client_stop(self->client);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    gst_infer_client_stop(self->client);
    break;
  case GST_STATE_CHANGE_READY_TO_NULL:
    leave_instance(self);
    break;
  default:
    break;
  }
  return ret;
}

static void
gst_infer_finalize(GObject *object)
{
  GstInfer *self = GST_INFER(object);

  gst_infer_model_settings_clear(&self->model);
  gst_infer_model_settings_clear(&self->opened);
  g_free(self->instance_id);
  g_hash_table_unref(self->numbers);
  gst_infer_client_retire(self->client);
  G_OBJECT_CLASS(gst_infer_parent_class)->finalize(object);
}

static void
gst_infer_class_init(GstInferClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS(klass);

  object_class->finalize = gst_infer_finalize;
  gst_infer_install_properties(object_class);

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
  gst_type_mark_as_plugin_api(GST_TYPE_INFER_LEAKY, 0);
  gst_type_mark_as_plugin_api(GST_TYPE_INFER_METADATA, 0);
  gst_type_mark_as_plugin_api(GST_TYPE_INFER_PAD, 0);
  gst_type_mark_as_plugin_api(GST_TYPE_INFER_SRC_PAD, 0);
}

static void
gst_infer_init(GstInfer *self)
{
  self->client = gst_infer_client_new(GST_ELEMENT_CAST(self));
  self->numbers = g_hash_table_new(NULL, NULL);
  self->model.device = g_strdup("auto");
  self->cuda_device = -1;
  self->settings = self->client->settings;
}
