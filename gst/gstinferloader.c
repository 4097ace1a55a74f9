/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferloader.h"

GST_DEBUG_CATEGORY_EXTERN(gst_infer_debug);
#define GST_CAT_DEFAULT gst_infer_debug

#define PROGRESS_CODE "load"

struct _GstInferLoader {
  GstInferBatcher *batcher; /* it outlives the loader */
  GstInferModelSettings settings;
  GCancellable *cancellable;
  GThread *thread;
};

static void
post_on(GstElement *element, GstProgressType type, const gchar *text)
{
  gst_element_post_message(
      element, gst_message_new_progress(GST_OBJECT(element), type, PROGRESS_CODE, text));
}

static void
post(GstInferLoader *self, GstProgressType type, const gchar *text)
{
  g_autoptr(GPtrArray) elements = gst_infer_batcher_dup_elements(self->batcher);

  for (guint i = 0; i < elements->len; i++)
    post_on(g_ptr_array_index(elements, i), type, text);
}

static void
progress(const gchar *text, gpointer user_data)
{
  post(user_data, GST_PROGRESS_TYPE_CONTINUE, text);
}

static gpointer
load(gpointer user_data)
{
  GstInferLoader *self = user_data;
  g_autoptr(GError) error = NULL;
  GstInferModel *model;

  model = gst_infer_model_load(&self->settings, progress, self, self->cancellable, &error);
  if (model) {
    gst_infer_batcher_set_model(self->batcher, GST_INFER_MODEL_READY, model);
    post(self, GST_PROGRESS_TYPE_COMPLETE, "The model is ready");
    g_autoptr(GPtrArray) elements = gst_infer_batcher_dup_elements(self->batcher);
    for (guint i = 0; i < elements->len; i++)
      g_object_notify(g_ptr_array_index(elements, i), "model-info");
    return NULL;
  }
  if (g_cancellable_is_cancelled(self->cancellable)) {
    gst_infer_batcher_set_model(self->batcher, GST_INFER_MODEL_NONE, NULL);
    post(self, GST_PROGRESS_TYPE_CANCELED, "Loading the model was stopped");
    return NULL;
  }
  /* The error before the state: who sees a stream fail finds the reason on the bus. */
  post(self, GST_PROGRESS_TYPE_ERROR, error->message);
  g_autoptr(GPtrArray) elements = gst_infer_batcher_dup_elements(self->batcher);
  for (guint i = 0; i < elements->len; i++)
    gst_infer_post_error(g_ptr_array_index(elements, i), error);
  gst_infer_batcher_set_model(self->batcher, GST_INFER_MODEL_FAILED, NULL);
  return NULL;
}

GstInferLoader *
gst_infer_loader_new(GstInferBatcher *batcher, const GstInferModelSettings *settings)
{
  GstInferLoader *self = g_new0(GstInferLoader, 1);

  self->batcher = batcher;
  self->cancellable = g_cancellable_new();
  gst_infer_model_settings_copy(&self->settings, settings);
  gst_infer_batcher_set_model(batcher, GST_INFER_MODEL_LOADING, NULL);
  post(self, GST_PROGRESS_TYPE_START, "Loading the model");
  self->thread = g_thread_new("infer-load", load, self);
  return self;
}

void
gst_infer_loader_post_start(GstElement *element)
{
  post_on(element, GST_PROGRESS_TYPE_START, "Loading the model");
}

void
gst_infer_loader_post_end(GstElement *element, gboolean ok)
{
  post_on(element, ok ? GST_PROGRESS_TYPE_COMPLETE : GST_PROGRESS_TYPE_ERROR,
          ok ? "The model is ready" : "The model could not be loaded");
}

void
gst_infer_loader_cancel(GstInferLoader *self)
{
  g_cancellable_cancel(self->cancellable);
}

void
gst_infer_loader_free(GstInferLoader *self)
{
  g_thread_join(self->thread);
  g_object_unref(self->cancellable);
  gst_infer_model_settings_clear(&self->settings);
  g_free(self);
}
