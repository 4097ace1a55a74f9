/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include "gstinfermodel-private.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

#define DEFAULT_SCORE 0.5

void
gst_infer_model_settings_clear(GstInferModelSettings *settings)
{
  g_clear_pointer(&settings->model_file, g_free);
  g_clear_pointer(&settings->model_info_file, g_free);
  g_clear_pointer(&settings->label_file, g_free);
  g_clear_pointer(&settings->device, g_free);
  g_clear_pointer(&settings->decoder, g_free);
  g_clear_pointer(&settings->plugins, g_free);
}

void
gst_infer_model_settings_copy(GstInferModelSettings *dst, const GstInferModelSettings *src)
{
  *dst = *src;
  dst->model_file = g_strdup(src->model_file);
  dst->model_info_file = g_strdup(src->model_info_file);
  dst->label_file = g_strdup(src->label_file);
  dst->device = g_strdup(src->device);
  dst->decoder = g_strdup(src->decoder);
  dst->plugins = g_strdup(src->plugins);
}

gboolean
gst_infer_model_settings_equal(const GstInferModelSettings *a, const GstInferModelSettings *b)
{
  return g_strcmp0(a->model_file, b->model_file) == 0 &&
         g_strcmp0(a->model_info_file, b->model_info_file) == 0 &&
         g_strcmp0(a->label_file, b->label_file) == 0 && g_strcmp0(a->device, b->device) == 0 &&
         g_strcmp0(a->decoder, b->decoder) == 0 && a->batch_size == b->batch_size &&
         a->threads == b->threads;
}

static gboolean settings_error(const GstInferModelSettings *settings, GError **error,
                               const gchar *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean
settings_error(const GstInferModelSettings *settings, GError **error, const gchar *format, ...)
{
  g_autofree gchar *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS, "%s: %s",
              settings->model_file, text);
  return FALSE;
}

/* Width and height of the image input: channels are the dimension of 3 or 1. */
static gboolean
find_image(GstInferModel *self, const GstInferModelSettings *settings, GError **error)
{
  const gchar *name = infer_model_info_get_input(self->info);
  const InferBinding *binding = name ? infer_engine_find_binding(self->engine, name) : NULL;
  g_autofree gchar *dims = NULL;
  gint64 width = 0, height = 0;

  if (!binding || !binding->is_input)
    return settings_error(settings, error,
                          "the image input %s%s; name it by its group with dir=input in a "
                          ".modelinfo file",
                          name ? name : "", name ? " is not there" : "is not known");
  if (binding->dims.n == 4 && (binding->dims.d[3] == 3 || binding->dims.d[3] == 1)) {
    height = binding->dims.d[1];
    width = binding->dims.d[2];
  } else if (binding->dims.n == 4) {
    height = binding->dims.d[2];
    width = binding->dims.d[3];
  }
  if (width < 1 || height < 1 || width > G_MAXINT || height > G_MAXINT) {
    dims = infer_dims_to_string(&binding->dims);
    return settings_error(settings, error,
                          "the input %s of %s is not an image: batch, channels and a fixed width "
                          "and height are needed",
                          name, dims);
  }
  self->width = (guint)width;
  self->height = (guint)height;
  return TRUE;
}

static gboolean
add_output(GstInferModel *self, const GstInferModelSettings *settings, const gchar *name, gint rank,
           GError **error)
{
  const InferBinding *binding = name ? infer_engine_find_binding(self->engine, name) : NULL;
  g_autofree gchar *dims = NULL;

  if (!binding || binding->is_input)
    return settings_error(settings, error,
                          "the model information names the output %s, which the model has not",
                          name ? name : "(none)");
  if ((rank > 0 && binding->dims.n != rank) ||
      !(infer_type_is_float(binding->type) || infer_type_is_integer(binding->type))) {
    dims = infer_dims_to_string(&binding->dims);
    return settings_error(settings, error,
                          "the output %s is %s of %s; %d dimensions of numbers "
                          "are needed",
                          name, dims, infer_type_name(binding->type), rank);
  }
  self->outputs[self->n_outputs++] = binding->name;
  return TRUE;
}

/* Whatever the outputs are, they are attached as they are. */
static gboolean
add_raw_outputs(GstInferModel *self)
{
  for (guint i = 0; i < infer_engine_get_n_bindings(self->engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(self->engine, i);
    if (!binding->is_input && self->n_outputs < GST_INFER_MAX_OUTPUTS &&
        infer_type_size(binding->type, 1) > 0)
      self->outputs[self->n_outputs++] = binding->name;
  }
  return TRUE;
}

/* A plan's decoder is built in; that it is not used can be asked for all the same. */
static InferDecoder
decoder_of(GstInferModel *self, const GstInferModelSettings *settings)
{
  InferDecoder asked = INFER_DECODER_NONE;

  if (settings->decoder && infer_decoder_from_name(settings->decoder, &asked) &&
      asked == INFER_DECODER_RAW)
    return asked;
  return infer_model_info_get_decoder(self->info);
}

static gboolean
find_outputs(GstInferModel *self, const GstInferModelSettings *settings, GError **error)
{
  const InferDetectionOutputs *names = infer_model_info_get_detections(self->info);
  const InferBinding *count;

  self->decoder = decoder_of(self, settings);
  switch (self->decoder) {
  case INFER_DECODER_DETECTIONS:
    count = names->count ? infer_engine_find_binding(self->engine, names->count) : NULL;
    return add_output(self, settings, names->boxes, 3, error) &&
           add_output(self, settings, names->scores, 2, error) &&
           add_output(self, settings, names->classes, 2, error) &&
           add_output(self, settings, names->count, count && count->dims.n == 2 ? 2 : 1, error);
  case INFER_DECODER_CLASSIFICATION:
    return add_output(self, settings, names->scores, 2, error) &&
           add_output(self, settings, names->classes, 2, error);
  case INFER_DECODER_RAW:
    return add_raw_outputs(self);
  case INFER_DECODER_NONE:
    return settings_error(
        settings, error,
        "it is not known how the outputs become objects; a plan has its decoder "
        "from when it was built (inferexec --decoder=auto or a name), for a model "
        "say it by the property decoder or in a .modelinfo file "
        "(model-info-file); decoder=raw attaches the outputs as they are");
  default:
    return settings_error(settings, error,
                          "the plan was built without decoder=%s, which its model information "
                          "asks for; build it from the model again",
                          infer_decoder_get_name(self->decoder));
  }
}

static gboolean
read_labels(GstInferModel *self, const GstInferModelSettings *settings, GError **error)
{
  const gchar *const *own = infer_model_info_get_labels(self->info), *const *labels = own;
  guint n_classes = own ? g_strv_length((gchar **)own)
                        : (guint)infer_model_info_get_detections(self->info)->n_classes;
  g_auto(GStrv) file = NULL;

  if (settings->label_file) {
    file = infer_labels_load(settings->label_file, error);
    if (!file)
      return FALSE;
    labels = (const gchar *const *)file;
    if (n_classes && n_classes != g_strv_length(file))
      return settings_error(settings, error,
                            "label-file %s has %u labels, the model has %u classes; give one label "
                            "a line for each class",
                            settings->label_file, g_strv_length(file), n_classes);
  }
  self->n_labels = labels ? g_strv_length((gchar **)labels) : 0;
  self->labels = g_new0(GQuark, self->n_labels);
  for (guint i = 0; i < self->n_labels; i++)
    self->labels[i] = *labels[i] ? g_quark_from_string(labels[i]) : 0;
  return TRUE;
}

/* The default of an optional scalar input; NaN where the plan has no such input. */
static gdouble
scalar_default(InferContext *context, const gchar *name)
{
  const InferBinding *binding = infer_engine_find_binding(infer_context_get_engine(context), name);
  gsize size = 0;
  gpointer data;

  if (!binding || !binding->is_input || !binding->is_optional)
    return NAN;
  data = infer_context_map(context, name, &size, NULL);
  if (!data || size < infer_type_size(binding->type, 1))
    return NAN;
  InferArray view = {.type = binding->type, .size = size, .data = data};
  return infer_array_get_double(&view, 0);
}

static gboolean
open_context(GstInferModel *self, GstInferContext *context, const GstInferModelSettings *settings,
             GCancellable *cancellable, GError **error)
{
  const guint max = infer_engine_get_max_batch(self->engine);
  guint wanted = settings->batch_size ? settings->batch_size : MAX(settings->n_streams, 8);

  context->context = infer_context_new(self->engine, error);
  if (!context->context)
    return FALSE;
  wanted = MIN(wanted, max);
  for (guint batch = 1;; batch = MIN(2 * batch, wanted)) {
    if (g_cancellable_set_error_if_cancelled(cancellable, error) ||
        !infer_context_prepare(context->context, batch, error))
      return FALSE;
    if (batch >= wanted)
      break;
  }
  if (!infer_context_set_batch(context->context, 1, error))
    return FALSE;
  self->score_default = scalar_default(context->context, GST_INFER_SCORE_INPUT);
  self->iou_default = scalar_default(context->context, GST_INFER_IOU_INPUT);
  context->score_set = self->score_default;
  context->iou_set = self->iou_default;
  return TRUE;
}

static gboolean
open_contexts(GstInferModel *self, const GstInferModelSettings *settings, GCancellable *cancellable,
              GError **error)
{
  self->n_contexts = MAX(settings->n_runs, 1);
  self->contexts = g_new0(GstInferContext, self->n_contexts);
  for (guint i = 0; i < self->n_contexts; i++) {
    if (!open_context(self, &self->contexts[i], settings, cancellable, error))
      return FALSE;
  }
  self->score = infer_model_info_get_score_threshold(self->info);
  if (!(self->score >= 0))
    self->score = DEFAULT_SCORE;
  return TRUE;
}

GstInferModel *
gst_infer_model_load(const GstInferModelSettings *settings, GstInferProgressFunc progress,
                     gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_autoptr(GstInferModel) self = g_atomic_rc_box_new0(GstInferModel);
  gchar *ending;

  self->engine =
      gst_infer_engine_open(settings, progress, user_data, cancellable, &self->info, error);
  if (!self->engine)
    return NULL;
  self->name = g_path_get_basename(settings->model_file);
  ending = strrchr(self->name, '.');
  if (ending && ending != self->name)
    *ending = '\0';
  if (!find_image(self, settings, error) || !find_outputs(self, settings, error) ||
      !read_labels(self, settings, error) || !open_contexts(self, settings, cancellable, error))
    return NULL;
  return g_steal_pointer(&self);
}

GstInferModel *
gst_infer_model_ref(GstInferModel *self)
{
  return g_atomic_rc_box_acquire(self);
}

static void
model_clear(gpointer data)
{
  GstInferModel *self = data;

  for (guint i = 0; self->contexts && i < self->n_contexts; i++)
    g_clear_object(&self->contexts[i].context);
  g_free(self->contexts);
  g_clear_object(&self->engine);
  g_clear_object(&self->info);
  g_free(self->name);
  g_free(self->labels);
}

void
gst_infer_model_unref(GstInferModel *self)
{
  g_atomic_rc_box_release_full(self, model_clear);
}

const gchar *
gst_infer_model_get_name(GstInferModel *self)
{
  return self->name;
}

guint
gst_infer_model_get_max_batch(GstInferModel *self)
{
  return MAX(infer_engine_get_max_batch(self->engine), 1);
}

guint
gst_infer_model_get_best_batch(GstInferModel *self)
{
  return MAX(infer_engine_get_best_batch(self->engine), 1);
}

GstClockTime
gst_infer_model_get_run_time(GstInferModel *self, guint batch)
{
  return infer_engine_get_run_time(self->engine, batch);
}

GstStructure *
gst_infer_model_to_structure(GstInferModel *self)
{
  static const gchar *const colors[] = {"rgb", "bgr", "gray"};
  static const gchar *const resizes[] = {"stretch", "letterbox", "crop"};
  const InferPreprocess *pre = infer_model_info_get_preprocess(self->info);
  GValue labels = G_VALUE_INIT, label = G_VALUE_INIT;
  GstStructure *structure;

  structure = gst_structure_new(
      "application/x-infer-model-info", "name", G_TYPE_STRING, self->name, "device", G_TYPE_STRING,
      infer_engine_get_device(self->engine), "max-batch", G_TYPE_UINT,
      gst_infer_model_get_max_batch(self), "input", G_TYPE_STRING,
      infer_model_info_get_input(self->info), "width", G_TYPE_UINT, self->width, "height",
      G_TYPE_UINT, self->height, "decoder", G_TYPE_STRING, infer_decoder_get_name(self->decoder),
      "score-threshold", G_TYPE_DOUBLE, self->score, NULL);
  if (pre && (guint)pre->color < G_N_ELEMENTS(colors) && (guint)pre->resize < G_N_ELEMENTS(resizes))
    gst_structure_set(structure, "color", G_TYPE_STRING, colors[pre->color], "resize",
                      G_TYPE_STRING, resizes[pre->resize], NULL);
  g_value_init(&labels, GST_TYPE_ARRAY);
  g_value_init(&label, G_TYPE_STRING);
  for (guint i = 0; i < self->n_labels; i++) {
    g_value_set_string(&label, self->labels[i] ? g_quark_to_string(self->labels[i]) : "");
    gst_value_array_append_value(&labels, &label);
  }
  gst_structure_take_value(structure, "labels", &labels);
  g_value_unset(&label);
  return structure;
}

static void
nearest_code(const GError *error, GQuark *domain, gint *code)
{
  *domain = GST_RESOURCE_ERROR;
  *code = GST_RESOURCE_ERROR_FAILED;
  if (error->domain == G_IO_ERROR || error->domain == G_FILE_ERROR) {
    const gboolean missing = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
                             g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    *code = missing ? GST_RESOURCE_ERROR_NOT_FOUND : GST_RESOURCE_ERROR_OPEN_READ;
  } else if (error->domain == GST_RESOURCE_ERROR || error->domain == GST_STREAM_ERROR) {
    *domain = error->domain;
    *code = error->code;
  } else if (error->domain == INFER_ERROR) {
    switch ((InferError)error->code) {
    case INFER_ERROR_MODEL:
    case INFER_ERROR_PLAN:
      *domain = GST_STREAM_ERROR;
      *code = GST_STREAM_ERROR_DECODE;
      break;
    case INFER_ERROR_UNSUPPORTED:
      *domain = GST_STREAM_ERROR;
      *code = GST_STREAM_ERROR_NOT_IMPLEMENTED;
      break;
    case INFER_ERROR_ARGUMENT:
    case INFER_ERROR_SHAPE:
    case INFER_ERROR_VERSION:
      *code = GST_RESOURCE_ERROR_SETTINGS;
      break;
    case INFER_ERROR_DEVICE:
      *code = GST_RESOURCE_ERROR_NOT_FOUND;
      break;
    case INFER_ERROR_MEMORY:
      *code = GST_RESOURCE_ERROR_NO_SPACE_LEFT;
      break;
    default:
      break;
    }
  }
}

void
gst_infer_post_error(GstElement *element, const GError *error)
{
  GQuark domain;
  gint code;

  nearest_code(error, &domain, &code);
  gst_element_message_full(element, GST_MESSAGE_ERROR, domain, code, g_strdup(error->message),
                           g_strdup_printf("%s %d", g_quark_to_string(error->domain), error->code),
                           __FILE__, G_STRFUNC, __LINE__);
}
