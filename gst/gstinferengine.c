/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/parsers.h>
#include "gstinfermodel-private.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

/** The least batch that a plan is built for when nothing says how many. */
#define LEAST_BATCH 4

static gboolean
check_readable(const gchar *what, const gchar *path, GError **error)
{
  g_autoptr(GFile) file = NULL;
  g_autoptr(GFileInputStream) stream = NULL;
  g_autoptr(GError) reason = NULL;

  if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                "%s %s does not exist; check the property %s", what, path, what);
    return FALSE;
  }
  file = g_file_new_for_path(path);
  stream = g_file_read(file, NULL, &reason);
  if (!stream) {
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ, "%s %s cannot be read: %s",
                what, path, reason->message);
    return FALSE;
  }
  return TRUE;
}

/* Opens the device by building the smallest network there is. */
static gboolean
check_device(const GstInferModelSettings *settings, GError **error)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  InferTensor *input;
  InferNode *node;

  input = infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(1), NULL, error);
  if (!input)
    return FALSE;
  node = infer_network_add_node(network, "Relu", "y", &input, 1, NULL, 1, error);
  if (!node || !infer_network_mark_output(network, node->outputs[0], "y", error))
    return FALSE;
  infer_builder_set_device(builder, settings->device);
  infer_builder_set_threads(builder, settings->threads);
  infer_builder_set_verify(builder, FALSE);
  engine = infer_builder_build(builder, network, NULL, NULL, error);
  return engine != NULL;
}

static gboolean
check_model_file(const GstInferModelSettings *settings, GError **error)
{
  g_autoptr(GError) reason = NULL;

  switch (infer_format_of_file(settings->model_file, &reason)) {
  case INFER_FORMAT_PLAN:
    return infer_engine_check_file(settings->model_file, settings->device, error);
  case INFER_FORMAT_UNKNOWN:
    g_set_error(error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
                "model-file %s is neither a plan nor a model of a known format%s%s; give a plan "
                "file or a frozen TensorFlow graph",
                settings->model_file, reason ? ": " : "", reason ? reason->message : "");
    return FALSE;
  default:
    return check_device(settings, error);
  }
}

static gboolean
check_decoder(const GstInferModelSettings *settings, InferDecoder *decoder, GError **error)
{
  *decoder = INFER_DECODER_NONE;
  if (!settings->decoder || infer_decoder_from_name(settings->decoder, decoder))
    return TRUE;
  g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
              "decoder=%s is not known; allowed are auto, detections, classification, ssd, yolov5, "
              "yolov8, yolov10, yolox, fastestdet and raw",
              settings->decoder);
  return FALSE;
}

/* Layers have to be there before a model or a plan with them is looked at. */
static gboolean
load_plugins(const GstInferModelSettings *settings, GError **error)
{
  g_auto(GStrv) paths = settings->plugins ? g_strsplit(settings->plugins, ",", -1) : NULL;

  for (guint i = 0; paths && paths[i]; i++) {
    const gchar *path = g_strstrip(paths[i]);
    if (*path && !infer_plugin_load(path, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_infer_model_check(const GstInferModelSettings *settings, GError **error)
{
  InferDecoder decoder;

  if (!load_plugins(settings, error) || !check_decoder(settings, &decoder, error))
    return FALSE;
  if (!settings->model_file || !*settings->model_file) {
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
                "no model is given; set the property model-file to a plan or a model");
    return FALSE;
  }
  /* A folder is a SavedModel, or is refused by its contents. */
  if (!g_file_test(settings->model_file, G_FILE_TEST_IS_DIR) &&
      !check_readable("model-file", settings->model_file, error))
    return FALSE;
  if (settings->model_info_file &&
      !check_readable("model-info-file", settings->model_info_file, error))
    return FALSE;
  if (settings->label_file) {
    g_auto(GStrv) labels = NULL;
    if (!check_readable("label-file", settings->label_file, error) ||
        !(labels = infer_labels_load(settings->label_file, error)))
      return FALSE;
  }
  return check_model_file(settings, error);
}

static gboolean
same_preprocess(const InferPreprocess *a, const InferPreprocess *b)
{
  if (a->color != b->color || a->resize != b->resize || a->filter != b->filter ||
      a->coordinates != b->coordinates)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(a->scale); i++) {
    if (a->scale[i] != b->scale[i] || a->bias[i] != b->bias[i] || a->pad[i] != b->pad[i])
      return FALSE;
  }
  return TRUE;
}

/* The plan's information, or a copy of it under the keys of model-info-file. */
static InferModelInfo *
plan_info(const GstInferModelSettings *settings, InferEngine *engine, GError **error)
{
  InferModelInfo *own = infer_engine_get_model_info(engine);
  g_autoptr(InferModelInfo) info = NULL;
  g_autofree gchar *text = NULL;

  if (!settings->model_info_file)
    return g_object_ref(own);
  text = infer_model_info_to_data(own);
  info = infer_model_info_new_from_data(text, strlen(text), settings->model_file, error);
  if (!info || !infer_model_info_load_over(info, settings->model_info_file, error))
    return NULL;
  if (!same_preprocess(infer_model_info_get_preprocess(own),
                       infer_model_info_get_preprocess(info)) ||
      g_strcmp0(infer_model_info_get_input(own), infer_model_info_get_input(info)) != 0) {
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                "%s asks for another pre-processing than the plan %s was built with; build the "
                "plan anew with it, or leave these keys out",
                settings->model_info_file, settings->model_file);
    return NULL;
  }
  return g_steal_pointer(&info);
}

static guint
wanted_batch(const GstInferModelSettings *settings)
{
  guint batch = LEAST_BATCH;

  if (settings->batch_size > 0)
    return settings->batch_size;
  while (batch < MIN(settings->n_streams, 1024))
    batch *= 2;
  return batch;
}

typedef struct {
  GstInferProgressFunc func;
  gpointer user_data;
  gchar *stage;
  gdouble fraction;
} Progress;

static void
build_progress(const char *stage, double fraction, gpointer user_data)
{
  Progress *progress = user_data;
  g_autofree gchar *text = NULL;

  if (g_strcmp0(stage, progress->stage) == 0 && fraction - progress->fraction < 0.05)
    return;
  g_free(progress->stage);
  progress->stage = g_strdup(stage);
  progress->fraction = fraction;
  text = g_strdup_printf("Building the plan: %s (%d %%)", stage, (gint)(fraction * 100));
  if (progress->func)
    progress->func(text, progress->user_data);
}

/* What the property says goes before what the model says. */
static gboolean
append_decoder(InferNetwork *network, const GstInferModelSettings *settings, GError **error)
{
  InferModelInfo *info = infer_network_get_model_info(network);
  InferDecoder decoder = INFER_DECODER_NONE;

  if (!check_decoder(settings, &decoder, error))
    return FALSE;
  if (info && decoder != INFER_DECODER_NONE)
    infer_model_info_set_decoder(info, decoder);
  return infer_network_append_decoder(network, error);
}

static InferEngine *
build(const GstInferModelSettings *settings, guint batch, Progress *progress,
      GCancellable *cancellable, GError **error)
{
  const InferParseOptions options = {.max_batch = batch};
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferNetwork) network = NULL;
  InferModelInfo *info;

  build_progress("parse", 0, progress);
  network = infer_parse_file(settings->model_file, &options, error);
  if (!network || g_cancellable_set_error_if_cancelled(cancellable, error))
    return NULL;
  if (settings->model_info_file) {
    info = infer_network_get_model_info(network);
    if (!info) {
      g_autoptr(InferModelInfo) made = infer_model_info_new();
      infer_network_set_model_info(network, made);
      info = infer_network_get_model_info(network);
    }
    if (!infer_model_info_load_over(info, settings->model_info_file, error))
      return NULL;
  }
  if (!append_decoder(network, settings, error))
    return NULL;
  infer_builder_set_device(builder, settings->device);
  infer_builder_set_threads(builder, settings->threads);
  infer_builder_set_max_batch(builder, batch);
  infer_builder_set_progress(builder, build_progress, progress, NULL);
  return infer_builder_build(builder, network, settings->model_file, cancellable, error);
}

/* From the cache, or built and put there. A cache that cannot be used only costs time. */
static InferEngine *
open_model(const GstInferModelSettings *settings, Progress *progress, GCancellable *cancellable,
           GError **error)
{
  const guint batch = wanted_batch(settings);
  g_autoptr(GError) reason = NULL;
  g_autofree gchar *path = gst_infer_cache_path(settings, batch, cancellable, &reason);
  InferEngine *engine = NULL;

  if (path && g_file_test(path, G_FILE_TEST_EXISTS)) {
    engine = infer_engine_new_from_file(path, settings->device, settings->threads, INFER_LOAD_MAP,
                                        &reason);
    if (engine) {
      GST_INFO("%s comes from the cache: %s", settings->model_file, path);
      return engine;
    }
  }
  if (g_cancellable_set_error_if_cancelled(cancellable, error))
    return NULL;
  if (reason)
    GST_WARNING("no plan of %s from the cache: %s", settings->model_file, reason->message);
  g_clear_error(&reason);

  engine = build(settings, batch, progress, cancellable, error);
  if (engine && path && !infer_engine_save(engine, path, &reason))
    GST_WARNING("the plan of %s is not kept: %s", settings->model_file, reason->message);
  return engine;
}

InferEngine *
gst_infer_engine_open(const GstInferModelSettings *settings, GstInferProgressFunc func,
                      gpointer user_data, GCancellable *cancellable, InferModelInfo **info,
                      GError **error)
{
  Progress progress = {.func = func, .user_data = user_data};
  g_autoptr(InferEngine) engine = NULL;

  if (infer_format_of_file(settings->model_file, NULL) == INFER_FORMAT_PLAN) {
    engine = infer_engine_new_from_file(settings->model_file, settings->device, settings->threads,
                                        INFER_LOAD_MAP, error);
    *info = engine ? plan_info(settings, engine, error) : NULL;
  } else {
    engine = open_model(settings, &progress, cancellable, error);
    *info = engine ? g_object_ref(infer_engine_get_model_info(engine)) : NULL;
  }
  g_free(progress.stage);
  return *info ? g_steal_pointer(&engine) : NULL;
}
