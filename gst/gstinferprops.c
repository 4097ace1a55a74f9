/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinfer-private.h"
#include "gstinferpad.h"

#define DEFAULT_SCORE 0.5

enum {
  PROP_0,
  PROP_MODEL_FILE,
  PROP_MODEL_INFO_FILE,
  PROP_LABEL_FILE,
  PROP_LABELS_FILE,
  PROP_DEVICE,
  PROP_CUDA_DEVICE_ID,
  PROP_MODEL_INSTANCE_ID,
  PROP_DECODER,
  PROP_PLUGINS,
  PROP_BATCH_SIZE,
  PROP_BATCH_TIMEOUT,
  PROP_NIREQ,
  PROP_SCORE_THRESHOLD,
  PROP_IOU_THRESHOLD,
  PROP_INFERENCE_INTERVAL,
  PROP_MAX_FRAMES,
  PROP_MAX_SIZE_BUFFERS,
  PROP_LEAKY,
  PROP_MOTION_THRESHOLD,
  PROP_QOS,
  PROP_METADATA,
  PROP_ATTACH_TENSORS,
  PROP_THREADS,
  PROP_MODEL_INFO,
  PROP_STATS,
};

static void
set_string(gchar **field, const GValue *value)
{
  const gchar *text = g_value_get_string(value);

  g_free(*field);
  *field = text && *text ? g_strdup(text) : NULL;
}

/* What says which model is loaded; with the object lock. */
static gboolean
set_model_property(GstInfer *self, guint id, const GValue *value)
{
  switch (id) {
  case PROP_MODEL_FILE:
    set_string(&self->model.model_file, value);
    return TRUE;
  case PROP_MODEL_INFO_FILE:
    set_string(&self->model.model_info_file, value);
    return TRUE;
  case PROP_LABEL_FILE:
  case PROP_LABELS_FILE:
    set_string(&self->model.label_file, value);
    return TRUE;
  case PROP_DEVICE:
    set_string(&self->model.device, value);
    if (!self->model.device)
      self->model.device = g_strdup("auto");
    return TRUE;
  case PROP_DECODER:
    set_string(&self->model.decoder, value);
    return TRUE;
  case PROP_PLUGINS:
    set_string(&self->model.plugins, value);
    return TRUE;
  case PROP_CUDA_DEVICE_ID:
    self->cuda_device = g_value_get_int(value);
    return TRUE;
  case PROP_MODEL_INSTANCE_ID:
    set_string(&self->instance_id, value);
    return TRUE;
  case PROP_NIREQ:
    self->n_runs = g_value_get_uint(value);
    return TRUE;
  case PROP_THREADS:
    self->model.threads = g_value_get_uint(value);
    return TRUE;
  default:
    return FALSE;
  }
}

/* What may change at any time; with the object lock. */
static gboolean
set_setting(GstInferSettings *settings, guint id, const GValue *value)
{
  switch (id) {
  case PROP_BATCH_SIZE:
    settings->batch_size = g_value_get_uint(value);
    return TRUE;
  case PROP_BATCH_TIMEOUT:
    settings->batch_timeout = g_value_get_int64(value);
    return TRUE;
  case PROP_SCORE_THRESHOLD:
    settings->score = g_value_get_double(value);
    return TRUE;
  case PROP_IOU_THRESHOLD:
    settings->iou = g_value_get_double(value);
    return TRUE;
  case PROP_INFERENCE_INTERVAL:
    settings->interval = g_value_get_uint(value);
    return TRUE;
  case PROP_MAX_FRAMES:
    settings->max_frames = g_value_get_uint(value);
    return TRUE;
  case PROP_MAX_SIZE_BUFFERS:
    settings->max_buffers = g_value_get_uint(value);
    return TRUE;
  case PROP_LEAKY:
    settings->leaky = (GstInferLeaky)g_value_get_enum(value);
    if (settings->leaky == GST_INFER_LEAKY_ELEMENT)
      settings->leaky = GST_INFER_LEAKY_NO;
    return TRUE;
  case PROP_MOTION_THRESHOLD:
    settings->motion = g_value_get_double(value);
    return TRUE;
  case PROP_QOS:
    settings->qos = g_value_get_boolean(value);
    return TRUE;
  case PROP_METADATA:
    settings->metadata = (GstInferMetadata)g_value_get_enum(value);
    return TRUE;
  case PROP_ATTACH_TENSORS:
    settings->attach_tensors = g_value_get_boolean(value);
    return TRUE;
  default:
    return FALSE;
  }
}

static void
gst_infer_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstInfer *self = GST_INFER(object);
  GstInferSettings settings;
  gboolean known;

  GST_OBJECT_LOCK(self);
  known = set_model_property(self, id, value) || set_setting(&self->settings, id, value);
  settings = self->settings;
  GST_OBJECT_UNLOCK(self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  gst_infer_client_set_settings(self->client, &settings);
}

static gboolean
get_model_property(GstInfer *self, guint id, GValue *value)
{
  switch (id) {
  case PROP_MODEL_FILE:
    g_value_set_string(value, self->model.model_file);
    return TRUE;
  case PROP_MODEL_INFO_FILE:
    g_value_set_string(value, self->model.model_info_file);
    return TRUE;
  case PROP_LABEL_FILE:
  case PROP_LABELS_FILE:
    g_value_set_string(value, self->model.label_file);
    return TRUE;
  case PROP_DEVICE:
    g_value_set_string(value, self->model.device);
    return TRUE;
  case PROP_PLUGINS:
    g_value_set_string(value, self->model.plugins);
    return TRUE;
  case PROP_DECODER:
    g_value_set_string(value, self->model.decoder ? self->model.decoder : "auto");
    return TRUE;
  case PROP_CUDA_DEVICE_ID:
    g_value_set_int(value, self->cuda_device);
    return TRUE;
  case PROP_MODEL_INSTANCE_ID:
    g_value_set_string(value, self->instance_id);
    return TRUE;
  case PROP_NIREQ:
    g_value_set_uint(value, self->n_runs);
    return TRUE;
  case PROP_THREADS:
    g_value_set_uint(value, self->model.threads);
    return TRUE;
  default:
    return FALSE;
  }
}

static gboolean
get_setting(const GstInferSettings *settings, guint id, GValue *value)
{
  switch (id) {
  case PROP_BATCH_SIZE:
    g_value_set_uint(value, settings->batch_size);
    return TRUE;
  case PROP_BATCH_TIMEOUT:
    g_value_set_int64(value, settings->batch_timeout);
    return TRUE;
  case PROP_SCORE_THRESHOLD:
    g_value_set_double(value, settings->score < 0 ? DEFAULT_SCORE : settings->score);
    return TRUE;
  case PROP_IOU_THRESHOLD:
    g_value_set_double(value, settings->iou);
    return TRUE;
  case PROP_INFERENCE_INTERVAL:
    g_value_set_uint(value, settings->interval);
    return TRUE;
  case PROP_MAX_FRAMES:
    g_value_set_uint(value, settings->max_frames);
    return TRUE;
  case PROP_MAX_SIZE_BUFFERS:
    g_value_set_uint(value, settings->max_buffers);
    return TRUE;
  case PROP_LEAKY:
    g_value_set_enum(value, settings->leaky);
    return TRUE;
  case PROP_MOTION_THRESHOLD:
    g_value_set_double(value, settings->motion);
    return TRUE;
  case PROP_QOS:
    g_value_set_boolean(value, settings->qos);
    return TRUE;
  case PROP_METADATA:
    g_value_set_enum(value, settings->metadata);
    return TRUE;
  case PROP_ATTACH_TENSORS:
    g_value_set_boolean(value, settings->attach_tensors);
    return TRUE;
  default:
    return FALSE;
  }
}

static GstStructure *
model_structure(GstInfer *self)
{
  GstInferBatcher *batcher = gst_infer_client_lock(self->client);
  g_autoptr(GstInferModel) model = batcher->model ? gst_infer_model_ref(batcher->model) : NULL;

  g_mutex_unlock(&batcher->lock);
  return model ? gst_infer_model_to_structure(model) : NULL;
}

static void
gst_infer_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstInfer *self = GST_INFER(object);
  gboolean known;

  if (id == PROP_STATS) {
    g_value_take_boxed(value, gst_infer_client_get_stats(self->client));
    return;
  }
  if (id == PROP_MODEL_INFO) {
    g_value_take_boxed(value, model_structure(self));
    return;
  }
  GST_OBJECT_LOCK(self);
  known = get_model_property(self, id, value) || get_setting(&self->settings, id, value);
  GST_OBJECT_UNLOCK(self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void
install_model_properties(GObjectClass *klass)
{
  const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

  g_object_class_install_property(
      klass, PROP_MODEL_FILE,
      g_param_spec_string(
          "model-file", "Model file",
          "Plan file, or model file (ONNX, frozen TensorFlow graph, Caffe, UFF) that is "
          "built for the device and cached",
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
      klass, PROP_CUDA_DEVICE_ID,
      g_param_spec_int("cuda-device-id", "CUDA device",
                       "Number of the CUDA device to run on, short for device=cuda:N (-1 = as "
                       "device says)",
                       -1, G_MAXINT, -1, ready));
  g_object_class_install_property(
      klass, PROP_MODEL_INSTANCE_ID,
      g_param_spec_string(
          "model-instance-id", "Model instance",
          "Elements of one process with the same id and device share one model and gather their "
          "frames into common batches; the first one says which model (unset: no sharing)",
          NULL, ready));
  g_object_class_install_property(
      klass, PROP_DECODER,
      g_param_spec_string(
          "decoder", "Decoder",
          "How the outputs of a model become objects, where a plan is built from it: auto (as the "
          "model information says, or as the outputs look), detections, classification, ssd, "
          "yolov5, yolov8, yolov10, yolox, fastestdet, raw",
          "auto", ready));
  g_object_class_install_property(
      klass, PROP_PLUGINS,
      g_param_spec_string("plugins", "Plugins",
                          "Shared libraries with layers that the model needs, with commas between; "
                          "they are loaded for good when the element becomes READY",
                          NULL, ready));
  g_object_class_install_property(
      klass, PROP_NIREQ,
      g_param_spec_uint("nireq", "Inference requests",
                        "Batches in flight: the next is prepared while one runs (0 = automatic: 2)",
                        0, GST_INFER_MAX_RUNS, 0, ready));
  g_object_class_install_property(
      klass, PROP_THREADS,
      g_param_spec_uint("threads", "Threads",
                        "Threads that the CPU infers with (0 = every processor)", 0, 1024, 0,
                        ready));
}

static void
install_batch_properties(GObjectClass *klass)
{
  const GParamFlags playing =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

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
      klass, PROP_MAX_SIZE_BUFFERS,
      g_param_spec_uint("max-size-buffers", "Maximum queue size",
                        "Frames that wait before and after inference, for each pad (0 = automatic: "
                        "its share of the batches in flight, at least 4; live as many more as come "
                        "within the latency)",
                        0, G_MAXINT, 0, playing));
  g_object_class_install_property(
      klass, PROP_MAX_FRAMES,
      g_param_spec_uint("max-frames-per-stream", "Maximum frames of a stream",
                        "Frames of one stream in one batch (0 = any number)", 0, G_MAXINT, 0,
                        playing));
  g_object_class_install_property(
      klass, PROP_LEAKY,
      g_param_spec_enum("leaky", "Leaky", "Which frames are dropped when a pad's queue is full",
                        GST_TYPE_INFER_LEAKY, GST_INFER_LEAKY_NO, playing));
  g_object_class_install_property(
      klass, PROP_QOS,
      g_param_spec_boolean("qos", "Quality of service",
                           "Whether live frames that would be too late for their sink pass without "
                           "inference",
                           TRUE, playing));
}

static void
install_result_properties(GObjectClass *klass)
{
  const GParamFlags playing =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

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
      klass, PROP_MOTION_THRESHOLD,
      g_param_spec_double(
          "motion-threshold", "Motion threshold",
          "Share of the picture, 0 to 1, that has to change since the frame inferred on last for a "
          "frame to be inferred on; others carry its objects over (0 = every frame is inferred on)",
          0, 1, 0, playing));
  g_object_class_install_property(
      klass, PROP_METADATA,
      g_param_spec_enum("metadata", "Metadata",
                        "How objects are attached, beside the record that our elements read",
                        GST_TYPE_INFER_METADATA, GST_INFER_METADATA_AUTO, playing));
  g_object_class_install_property(
      klass, PROP_ATTACH_TENSORS,
      g_param_spec_boolean("attach-tensors", "Attach tensors",
                           "Attach the model's outputs to the frames as well (GStreamer 1.26 and "
                           "newer)",
                           FALSE, playing));
}

void
gst_infer_install_properties(GObjectClass *klass)
{
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  klass->set_property = gst_infer_set_property;
  klass->get_property = gst_infer_get_property;
  install_model_properties(klass);
  install_batch_properties(klass);
  install_result_properties(klass);
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
          "Counters of frames and batches, percentiles of times in nanoseconds, and the same for "
          "each pad under its name",
          GST_TYPE_STRUCTURE, readable));
}
