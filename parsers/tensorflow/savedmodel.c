/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "savedmodel.h"

#include <string.h>

/* What a SavedModel says beside its graph: the names by which users know inputs and outputs. */

/* "serving_default" is what servers answer to; else what is first by name, but for the signature
 * that only initializes the model. */
static InferTf__Signature *
choose(const InferTf__MetaGraph *meta)
{
  const InferTf__SignatureEntry *best = NULL;

  for (gsize i = 0; i < meta->n_signature_def; i++) {
    const InferTf__SignatureEntry *entry = meta->signature_def[i];
    if (!entry->key || !entry->value || entry->value->n_outputs == 0 ||
        g_str_equal(entry->key, "__saved_model_init_op") ||
        g_str_equal(entry->key, "__saved_model_train_op")) {
      continue;
    }
    if (g_str_equal(entry->key, "serving_default")) {
      return entry->value;
    }
    if (!best || strcmp(entry->key, best->key) < 0) {
      best = entry;
    }
  }
  return best ? best->value : NULL;
}

static gboolean
is_complete(const InferTf__InfoEntry *entry)
{
  return entry->key && entry->key[0] && entry->value && entry->value->name;
}

void
tf_signature_read(TfImport *im)
{
  const TfModel *model = im->graph->model;

  im->signature = model->meta ? choose(model->meta) : NULL;
  im->placeholders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (gsize i = 0; im->signature && i < im->signature->n_inputs; i++) {
    InferTf__InfoEntry *entry = im->signature->inputs[i];
    if (is_complete(entry)) {
      guint port = 0;
      g_hash_table_insert(im->placeholders, tf_split_name(entry->value->name, &port), entry);
    }
  }
}

const char *
tf_signature_output(const TfImport *im, const char *name)
{
  for (gsize i = 0; im->signature && i < im->signature->n_outputs; i++) {
    const InferTf__InfoEntry *entry = im->signature->outputs[i];
    if (is_complete(entry) && g_str_equal(entry->key, name)) {
      return entry->value->name;
    }
  }
  return name;
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

gboolean
tf_signature_outputs(const TfImport *im, GPtrArray *names)
{
  for (gsize i = 0; im->signature && i < im->signature->n_outputs; i++) {
    if (is_complete(im->signature->outputs[i])) {
      g_ptr_array_add(names, im->signature->outputs[i]->key);
    }
  }
  /* The file has them in the order of a hash table. */
  g_ptr_array_sort(names, by_name);
  return names->len > 0;
}
