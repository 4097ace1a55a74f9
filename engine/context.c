/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "context-private.h"
#include "planner.h"

#include <string.h>

G_DEFINE_FINAL_TYPE(InferContext, infer_context, G_TYPE_OBJECT)

static guint
values_hash(gconstpointer key)
{
  const InferSymbolValues *values = key;
  guint hash = 0;

  for (guint i = 0; i < INFER_MAX_SYMBOLS; i++)
    hash = hash * 31 + (guint)values->values[i];
  return hash;
}

static gboolean
values_equal(gconstpointer a, gconstpointer b)
{
  return memcmp(a, b, sizeof(InferSymbolValues)) == 0;
}

static void
infer_context_init(InferContext *self)
{
  self->prepared = g_hash_table_new_full(values_hash, values_equal, g_free, infer_prepared_free);
  self->bound =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)infer_array_unref);
  self->tail_values = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
}

static void
infer_context_finalize(GObject *object)
{
  InferContext *self = INFER_CONTEXT(object);

  if (self->stream) {
    infer_context_backend(self)->stream_sync(self->stream, NULL);
    infer_context_backend(self)->stream_free(self->stream);
  }
  g_hash_table_unref(self->prepared);
  g_hash_table_unref(self->bound);
  g_hash_table_unref(self->tail_values);
  g_clear_object(&self->cancellable);
  g_clear_pointer(&self->staging, infer_staging_free);
  if (self->arena)
    infer_arena_release(self->arena, self);
  g_clear_pointer(&self->arena, infer_arena_unref);
  g_clear_pointer(&self->io, infer_arena_unref);
  if (self->defaults)
    for (guint i = 0; i < infer_network_get_n_inputs(infer_context_network(self)); i++)
      g_clear_pointer(&self->defaults[i], infer_array_unref);
  infer_observers_clear(self);
  g_free(self->observers.muted);
  g_free(self->defaults);
  g_free(self->frames);
  g_free(self->times);
  g_clear_object(&self->engine);
  G_OBJECT_CLASS(infer_context_parent_class)->finalize(object);
}

static void
infer_context_class_init(InferContextClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_context_finalize;
}

static void
find_image(InferContext *self)
{
  const char *name = infer_model_info_get_input(self->engine->info);
  InferTensor *tensor = name ? infer_network_find_tensor(infer_context_network(self), name) : NULL;
  const InferDims *dims;

  if (!tensor || !tensor->is_input || tensor->dims.n != 4 ||
      (tensor->type != INFER_TYPE_FLOAT && tensor->type != INFER_TYPE_UINT8))
    return;
  dims = &tensor->dims;
  self->image.tensor = tensor;
  if (dims->d[1] != 1 && dims->d[1] != 3 && (dims->d[3] == 1 || dims->d[3] == 3)) {
    self->image.axis_h = 1, self->image.axis_w = 2, self->image.axis_c = 3;
  } else if (dims->d[1] == 1 || dims->d[1] == 3) {
    self->image.axis_c = 1, self->image.axis_h = 2, self->image.axis_w = 3;
  } else {
    self->image.tensor = NULL;
  }
}

static gboolean
copy_defaults(InferContext *self, GError **error)
{
  guint n = infer_network_get_n_inputs(infer_context_network(self));

  self->defaults = g_new0(InferArray *, n + 1);
  for (guint i = 0; i < n; i++) {
    const InferArray *initial = infer_network_get_input(infer_context_network(self), i)->initial;
    if (!initial || initial->type == INFER_TYPE_STRING)
      continue;
    self->defaults[i] = infer_array_new(initial->type, &initial->dims, error);
    if (!self->defaults[i])
      return FALSE;
    memcpy(self->defaults[i]->data, initial->data, initial->size);
  }
  return TRUE;
}

/* @arena: (nullable) (transfer none): memory to share */
static InferContext *
new_context(InferEngine *engine, InferArena *arena, GError **error)
{
  g_autoptr(InferContext) self = NULL;

  if (engine->hollow) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "'%s' cannot run: its weights were left out of the plan; set them with an "
                "InferRefit (inferexec --refitFrom=MODEL) and run the engine that it makes",
                engine->source);
    return NULL;
  }
  self = g_object_new(INFER_TYPE_CONTEXT, NULL);
  self->engine = g_object_ref(engine);
  self->times = g_new0(guint64, engine->program->steps->len + 1);
  self->frames = g_new0(InferFrame, engine->max_batch);
  self->observers.muted = g_new0(gboolean, g_strv_length(engine->debug) + 1);
  self->values = infer_engine_values(engine, 1, INFER_RANGE_OPT);
  self->io = infer_arena_new(engine->device, NULL);
  self->arena = arena ? infer_arena_ref(arena) : infer_arena_new(engine->device, NULL);
  self->stream = infer_context_backend(self)->stream_new(engine->device, error);
  if (!self->stream || !copy_defaults(self, error))
    return NULL;
  if (!infer_context_backend(self)->host_memory)
    self->staging =
        infer_staging_new(engine->device, infer_network_get_n_tensors(infer_context_network(self)));
  find_image(self);
  return g_steal_pointer(&self);
}

InferContext *
infer_context_new(InferEngine *engine, GError **error)
{
  return new_context(engine, NULL, error);
}

InferContext *
infer_context_new_sharing(InferEngine *engine, InferContext *other, GError **error)
{
  if (engine->device != other->engine->device) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "contexts on %s (%u threads) and %s (%u threads) cannot share memory",
                engine->device->name, engine->device->threads, other->engine->device->name,
                other->engine->device->threads);
    return NULL;
  }
  return new_context(engine, other->arena, error);
}

static gboolean
check_idle(InferContext *self, GError **error)
{
  if (g_atomic_pointer_get(&self->arena->owner) != self)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
              "a run is under way; call infer_context_synchronize() first");
  return FALSE;
}

gboolean
infer_context_set_memory(InferContext *self, gpointer memory, gsize size, GError **error)
{
  gsize needed = infer_context_get_arena_size(self);
  InferArena *arena;

  if (!check_idle(self, error))
    return FALSE;
  if ((gsize)memory % INFER_MEMORY_ALIGNMENT != 0 || (!memory && size > 0)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "memory has to be aligned to %d bytes",
                INFER_MEMORY_ALIGNMENT);
    return FALSE;
  }
  if (memory && size < needed) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "the current shapes need %" G_GSIZE_FORMAT " bytes of memory, %" G_GSIZE_FORMAT
                " were given",
                needed, size);
    return FALSE;
  }
  arena = infer_arena_new(self->engine->device, NULL);
  arena->fixed = TRUE;
  arena->memory = memory;
  arena->size = size;
  infer_arena_unref(self->arena);
  self->arena = arena;
  self->arena_generation = arena->generation - 1; /* whatever it was: pointers are made anew */
  return TRUE;
}

gboolean
infer_context_set_allocator(InferContext *self, InferAllocFunc alloc, InferFreeFunc free_func,
                            gpointer user_data, GDestroyNotify destroy, GError **error)
{
  InferAllocator *allocator;

  if (self->io->memory || self->arena->memory || self->arena->fixed) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "the context has memory already; its allocator is set before the first shapes are");
    return FALSE;
  }
  allocator = infer_allocator_new(alloc, free_func, user_data, destroy);
  infer_arena_unref(self->io);
  infer_arena_unref(self->arena);
  self->io = infer_arena_new(self->engine->device, allocator);
  self->arena = infer_arena_new(self->engine->device, allocator);
  infer_allocator_unref(allocator);
  return TRUE;
}

gsize
infer_context_get_arena_size(InferContext *self)
{
  return self->current ? infer_prepared_arena_size(self->current) : 0;
}

InferEngine *
infer_context_get_engine(InferContext *self)
{
  return self->engine;
}

gsize
infer_context_get_memory_size(InferContext *self, gsize *tensors_size)
{
  if (tensors_size)
    *tensors_size = self->current ? self->current->tensors_size : 0;
  return self->current ? self->current->memory_size : 0;
}
