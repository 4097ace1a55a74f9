/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/refit.h>
#include <infer/context.h>
#include "engine-private.h"
#include "model.h"

#include <string.h>

/* Weights that an error names. */
#define MAX_NAMED 5

struct _InferRefit {
  GObject parent;

  InferEngine *engine;
  GPtrArray *names;   /* borrowed from the model's network, then NULL */
  GHashTable *values; /* name -> InferArray that was set */
};

G_DEFINE_FINAL_TYPE(InferRefit, infer_refit, G_TYPE_OBJECT)

static void
infer_refit_init(InferRefit *self)
{
  self->names = g_ptr_array_new();
  self->values =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)infer_array_unref);
}

static void
infer_refit_finalize(GObject *object)
{
  InferRefit *self = INFER_REFIT(object);

  g_ptr_array_unref(self->names);
  g_hash_table_unref(self->values);
  g_clear_object(&self->engine);
  G_OBJECT_CLASS(infer_refit_parent_class)->finalize(object);
}

static void
infer_refit_class_init(InferRefitClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_refit_finalize;
}

InferRefit *
infer_refit_new(InferEngine *engine, GError **error)
{
  InferRefit *self;
  InferNetwork *network;

  if (!engine->model) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "'%s' was not built to take other weights; build it again with "
                "infer_builder_set_refittable()",
                engine->source);
    return NULL;
  }
  self = g_object_new(INFER_TYPE_REFIT, NULL);
  self->engine = g_object_ref(engine);
  network = engine->model->network;
  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(network, i);
    if (infer_model_is_weight(tensor))
      g_ptr_array_add(self->names, tensor->name);
  }
  g_ptr_array_add(self->names, NULL);
  return self;
}

const char *const *
infer_refit_get_names(InferRefit *self)
{
  return (const char *const *)self->names->pdata;
}

static gboolean
is_missing(InferRefit *self, const char *name)
{
  return g_hash_table_contains(self->engine->model->missing, name) &&
         !g_hash_table_contains(self->values, name);
}

const char **
infer_refit_get_missing(InferRefit *self)
{
  GPtrArray *missing = g_ptr_array_new();

  for (guint i = 0; self->names->pdata[i]; i++)
    if (is_missing(self, self->names->pdata[i]))
      g_ptr_array_add(missing, self->names->pdata[i]);
  g_ptr_array_add(missing, NULL);
  return (const char **)g_ptr_array_free(missing, FALSE);
}

/* Returns: (nullable): the weight of that name. */
static const InferTensor *
find_weight(InferRefit *self, const char *name)
{
  const InferTensor *tensor =
      name ? infer_network_find_tensor(self->engine->model->network, name) : NULL;

  return tensor && infer_model_is_weight(tensor) ? tensor : NULL;
}

InferArray *
infer_refit_get_weights(InferRefit *self, const char *name)
{
  const InferTensor *tensor = find_weight(self, name);
  InferArray *set = tensor ? g_hash_table_lookup(self->values, name) : NULL;

  return !tensor || is_missing(self, name) ? NULL : set ? set : tensor->value;
}

gboolean
infer_refit_get_prototype(InferRefit *self, const char *name, InferType *type, InferDims *dims)
{
  const InferTensor *tensor = find_weight(self, name);

  if (tensor && type)
    *type = tensor->type;
  if (tensor && dims)
    *dims = tensor->value->dims;
  return tensor != NULL;
}

static gboolean
check_weight(const InferTensor *tensor, const InferArray *value, GError **error)
{
  g_autofree char *have = NULL;
  g_autofree char *wanted = NULL;

  if (value->type == tensor->type && infer_dims_equal(&value->dims, &tensor->value->dims))
    return TRUE;
  have = infer_dims_to_string(&value->dims);
  wanted = infer_dims_to_string(&tensor->value->dims);
  g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
              "weights '%s' are %s of %s, %s of %s was given", tensor->name, wanted,
              infer_type_name(tensor->type), have, infer_type_name(value->type));
  return FALSE;
}

gboolean
infer_refit_set_weights(InferRefit *self, const char *name, InferArray *value, GError **error)
{
  const InferTensor *tensor = find_weight(self, name);

  if (!tensor) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "the engine has no weights '%s'; infer_refit_get_names() lists them",
                name ? name : "(null)");
    return FALSE;
  }
  if (!check_weight(tensor, value, error))
    return FALSE;
  g_hash_table_replace(self->values, tensor->name, infer_array_ref(value));
  return TRUE;
}

gint
infer_refit_set_from_network(InferRefit *self, InferNetwork *network, GError **error)
{
  gint n = 0;

  for (guint pass = 0; pass < 2; pass++) {
    for (guint i = 0; self->names->pdata[i]; i++) {
      const InferTensor *tensor = find_weight(self, self->names->pdata[i]);
      const InferTensor *other = infer_network_find_tensor(network, tensor->name);

      if (!other || !other->value)
        continue;
      if (pass == 0 && !check_weight(tensor, other->value, error))
        return -1;
      if (pass == 0)
        continue;
      g_hash_table_replace(self->values, tensor->name, infer_array_ref(other->value));
      n++;
    }
  }
  return n;
}

/* --- a new engine --- */

static gboolean
check_complete(InferRefit *self, GError **error)
{
  g_autofree const char **missing = infer_refit_get_missing(self);
  g_autoptr(GString) list = g_string_new(NULL);
  guint n = 0;

  for (; missing[n]; n++)
    if (n < MAX_NAMED)
      g_string_append_printf(list, "%s'%s'", n ? ", " : "", missing[n]);
  if (n == 0)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
              "%u weights were left out of the plan and have to be set first: %s%s", n, list->str,
              n > MAX_NAMED ? " ..." : "");
  return FALSE;
}

static InferModel *
filled_model(InferRefit *self)
{
  const InferModel *old = self->engine->model;
  g_autoptr(InferNetwork) network = infer_network_copy(old->network);
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init(&iter, self->values);
  while (g_hash_table_iter_next(&iter, &name, &value))
    infer_network_set_value(network, infer_network_find_tensor(network, name), value);
  return infer_model_new(network, old->fusion, old->precisions);
}

static gboolean
same_node(const InferNode *a, const InferNode *b)
{
  gboolean same = a->op == b->op && a->n_inputs == b->n_inputs && a->n_outputs == b->n_outputs &&
                  g_variant_equal(a->attrs, b->attrs);

  for (guint i = 0; same && i < a->n_inputs; i++)
    same = (a->inputs[i] ? a->inputs[i]->index : G_MAXUINT) ==
           (b->inputs[i] ? b->inputs[i]->index : G_MAXUINT);
  for (guint i = 0; same && i < a->n_outputs; i++)
    same = a->outputs[i]->index == b->outputs[i]->index;
  return same;
}

static gboolean
same_step(const InferStep *a, const InferStep *b)
{
  gboolean same = a->impl == b->impl && a->n_nodes == b->n_nodes && a->anchor == b->anchor;

  for (guint i = 0; same && i < a->n_nodes; i++)
    same = same_node(a->nodes[i], b->nodes[i]);
  return same;
}

/* Whether the programs differ by the contents of constants only. */
static gboolean
same_program(const InferProgram *a, const InferProgram *b)
{
  guint n = infer_network_get_n_tensors(a->network);
  gboolean same = n == infer_network_get_n_tensors(b->network) && a->steps->len == b->steps->len;

  for (guint i = 0; same && i < n; i++) {
    const InferTensor *x = infer_network_get_tensor(a->network, i);
    const InferTensor *y = infer_network_get_tensor(b->network, i);
    same = x->type == y->type && infer_dims_equal(&x->dims, &y->dims) && !x->value == !y->value &&
           infer_order_equal(&a->orders[i], &b->orders[i]);
  }
  for (guint i = 0; same && i < a->steps->len; i++)
    same = same_step(a->steps->pdata[i], b->steps->pdata[i]);
  return same;
}

static void
copy_tunings(const InferProgram *from, InferProgram *to)
{
  to->tunings = g_ptr_array_new_with_free_func(infer_tuning_free);
  for (guint i = 0; from->tunings && i < from->tunings->len; i++) {
    const InferTuning *tuning = from->tunings->pdata[i];
    InferTuning *copy = infer_tuning_new(&tuning->values, tuning->n);

    for (guint k = 0; k < tuning->n; k++) {
      copy->choices[k].impl = tuning->choices[k].impl;
      copy->choices[k].tactic = g_strdup(tuning->choices[k].tactic);
    }
    g_ptr_array_add(to->tunings, copy);
  }
}

/* Weights that are the same are packed the same. */
static void
share_packs(InferEngine *from, InferEngine *to)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&from->packs->lock);

  for (guint i = 0; i < from->packs->entries->len; i++) {
    const InferPack *pack = from->packs->entries->pdata[i];
    const InferTensor *x = infer_network_get_tensor(from->program->network, pack->tensor);
    const InferTensor *y = infer_network_get_tensor(to->program->network, pack->tensor);

    if (x && y && x->value && y->value && x->value->size == y->value->size &&
        memcmp(x->value->data, y->value->data, x->value->size) == 0)
      infer_packs_add(to->packs, pack->tensor, pack->key, pack->data);
  }
}

static void
keep_choices(InferEngine *from, InferEngine *to)
{
  if (same_program(from->program, to->program)) {
    copy_tunings(from->program, to->program);
    share_packs(from, to);
  } else {
    g_ptr_array_insert(to->notes, (gint)to->notes->len - 1,
                       g_strdup("the new weights make other steps of the network, which are not "
                                "tuned; build it again to have them measured"));
  }
  g_array_append_vals(to->timings, from->timings->data, from->timings->len);
}

/* Packs the weights of the sizes that a plan has, as the builder does. */
static gboolean
prepare_sizes(InferEngine *engine, GCancellable *cancellable, GError **error)
{
  g_autoptr(InferContext) context = infer_context_new(engine, error);

  for (guint size = 1; context && size; size = infer_engine_next_size(engine, size))
    if (g_cancellable_set_error_if_cancelled(cancellable, error) ||
        !infer_context_prepare(context, size, error))
      return FALSE;
  return context != NULL;
}

InferEngine *
infer_refit_commit(InferRefit *self, GCancellable *cancellable, GError **error)
{
  g_autoptr(InferModel) model = NULL;
  g_autoptr(InferEngine) engine = NULL;

  if (!check_complete(self, error))
    return NULL;
  model = filled_model(self);
  engine = infer_model_build(model, self->engine, cancellable, error);
  if (!engine)
    return NULL;
  g_set_object(&engine->info, self->engine->info);
  keep_choices(self->engine, engine);
  engine->model = g_steal_pointer(&model);
  if (!prepare_sizes(engine, cancellable, error))
    return NULL;
  return g_steal_pointer(&engine);
}
