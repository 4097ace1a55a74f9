/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Which layers of a net are there for inference: those of the phase TEST that outputs need. */

typedef InferCaffe__NetStateRule Rule;

static gboolean
has_stage(const InferCaffe__NetState *state, const char *stage)
{
  for (gsize i = 0; state && i < state->n_stage; i++) {
    if (g_str_equal(state->stage[i], stage)) {
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
matches(const InferCaffe__NetState *state, const Rule *rule)
{
  gint32 level = state ? state->level : 0;

  if ((rule->has_phase && rule->phase != INFER_CAFFE__PHASE__TEST) ||
      (rule->has_min_level && level < rule->min_level) ||
      (rule->has_max_level && level > rule->max_level)) {
    return FALSE;
  }
  for (gsize i = 0; i < rule->n_stage; i++) {
    if (!has_stage(state, rule->stage[i])) {
      return FALSE;
    }
  }
  for (gsize i = 0; i < rule->n_not_stage; i++) {
    if (has_stage(state, rule->not_stage[i])) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
included(const InferCaffe__NetState *state, const CaffeDef *layer)
{
  for (gsize i = 0; i < layer->n_include; i++) {
    if (matches(state, layer->include[i])) {
      return TRUE;
    }
  }
  if (layer->n_include > 0) {
    return FALSE;
  }
  for (gsize i = 0; i < layer->n_exclude; i++) {
    if (matches(state, layer->exclude[i])) {
      return FALSE;
    }
  }
  return TRUE;
}

/* Layers of training and of measuring it; what they would read are the outputs. */
static gboolean
is_training(const char *type)
{
  /* Branches have losses of their own, which all say so. */
  if (g_str_has_suffix(type, "Loss")) {
    return TRUE;
  }
  static const char *const types[] = {"Accuracy",
                                      "SoftmaxWithLoss",
                                      "EuclideanLoss",
                                      "HingeLoss",
                                      "InfogainLoss",
                                      "ContrastiveLoss",
                                      "MultinomialLogisticLoss",
                                      "SigmoidCrossEntropyLoss",
                                      "SmoothL1Loss",
                                      "MultiBoxLoss",
                                      "DetectionEvaluate",
                                      "CenterLoss",
                                      "FocalLoss",
                                      "HDF5Output",
                                      "Silence",
                                      NULL};
  return g_strv_contains(types, type);
}

gboolean
caffe_is_input(const char *type)
{
  static const char *const types[] = {"Input",     "Data",     "DummyData",     "MemoryData",
                                      "ImageData", "HDF5Data", "AnnotatedData", "WindowData",
                                      "VideoData", NULL};
  return g_strv_contains(types, type);
}

/* Blobs that no layer reads after they were written. */
static GPtrArray *
loose_ends(CaffeImport *im)
{
  g_autoptr(GHashTable) last = g_hash_table_new(g_str_hash, g_str_equal);
  GPtrArray *names = g_ptr_array_new();

  for (guint i = 0; i < im->layers->len; i++) {
    const CaffeDef *layer = im->layers->pdata[i];
    for (gsize k = 0; k < layer->n_bottom; k++) {
      g_hash_table_remove(last, layer->bottom[k]);
    }
    for (gsize k = 0; k < layer->n_top && !caffe_is_input(layer->type); k++) {
      g_hash_table_insert(last, layer->top[k], (gpointer)layer);
    }
  }
  for (guint i = 0; i < im->layers->len; i++) {
    const CaffeDef *layer = im->layers->pdata[i];
    for (gsize k = 0; k < layer->n_top; k++) {
      if (g_hash_table_lookup(last, layer->top[k]) == layer) {
        g_hash_table_remove(last, layer->top[k]);
        g_ptr_array_add(names, layer->top[k]);
      }
    }
  }
  return names;
}

/* Drops what no output needs, going backwards: a name stands for the blob of that place. */
static void
prune(CaffeImport *im, GPtrArray *outputs)
{
  g_autoptr(GHashTable) needed = g_hash_table_new(g_str_hash, g_str_equal);
  GPtrArray *kept = g_ptr_array_new();

  for (guint i = 0; i < outputs->len; i++) {
    g_hash_table_add(needed, outputs->pdata[i]);
  }
  for (guint i = im->layers->len; i-- > 0;) {
    const CaffeDef *layer = im->layers->pdata[i];
    gboolean wanted = FALSE;
    for (gsize k = 0; k < layer->n_top; k++) {
      wanted = g_hash_table_remove(needed, layer->top[k]) || wanted;
    }
    if (!wanted && !caffe_is_input(layer->type)) {
      continue;
    }
    g_ptr_array_insert(kept, -1, (gpointer)layer);
    for (gsize k = 0; k < layer->n_bottom; k++) {
      g_hash_table_add(needed, layer->bottom[k]);
    }
  }
  for (guint i = 0; i < kept->len / 2; i++) {
    gpointer swap = kept->pdata[i];
    kept->pdata[i] = kept->pdata[kept->len - 1 - i];
    kept->pdata[kept->len - 1 - i] = swap;
  }
  g_ptr_array_unref(im->layers);
  im->layers = kept;
}

gboolean
caffe_select(CaffeImport *im, GPtrArray *outputs, GError **error)
{
  const InferCaffe__NetState *state = im->net->proto->state;

  for (guint i = 0; i < im->net->layers->len; i++) {
    CaffeDef *layer = im->net->layers->pdata[i];
    if (!layer->type || !layer->type[0]) {
      return caffe_error(error, INFER_ERROR_MODEL, "layer %u ('%s') has no type", i,
                         layer->name ? layer->name : "");
    }
    if (included(state, layer) && !is_training(layer->type)) {
      g_ptr_array_add(im->layers, layer);
    }
  }
  const char *const *asked = im->options ? im->options->outputs : NULL;
  for (gsize i = 0; asked && asked[i]; i++) {
    g_ptr_array_add(outputs, (gpointer)asked[i]);
  }
  if (outputs->len == 0) {
    g_autoptr(GPtrArray) ends = loose_ends(im);
    g_ptr_array_extend(outputs, ends, NULL, NULL);
  }
  if (outputs->len == 0) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "the net has no layer whose top could be an output");
  }
  prune(im, outputs);
  return TRUE;
}
