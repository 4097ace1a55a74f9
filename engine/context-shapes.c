/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which shapes a context is prepared for, and which are current. */
#include "context-private.h"

#include <string.h>

void
infer_context_rebase(InferContext *self)
{
  self->current->io = self->io->memory;
  infer_prepared_set_base(self->current, self->arena->memory);
  self->io_generation = self->io->generation;
  self->arena_generation = self->arena->generation;
}

static gboolean
reserve(InferContext *self, const InferPrepared *prepared, GError **error)
{
  return infer_arena_grow(self->io, prepared->io_size, self, error) &&
         infer_arena_grow(self->arena, infer_prepared_arena_size(prepared), self, error);
}

static InferPrepared *
get_prepared(InferContext *self, guint batch, GError **error)
{
  InferEngine *engine = self->engine;
  InferSymbolValues values = self->values;
  InferPrepared *prepared;
  guint size;

  if (batch < 1 || batch > engine->max_batch) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "a batch of %u cannot be run: the plan was built for 1 to %u", batch,
                engine->max_batch);
    return NULL;
  }
  size = infer_engine_round_batch(engine, batch);
  if (engine->batch_symbol)
    values.values[INFER_DIM_SYMBOL_INDEX(engine->batch_symbol)] = size;
  prepared = g_hash_table_lookup(self->prepared, &values);
  if (prepared)
    return reserve(self, prepared, error) ? prepared : NULL;
  prepared = infer_prepared_new(engine->program, engine->device, engine->packs, &values, size,
                                FALSE, error);
  if (!prepared)
    return NULL;
  if (!reserve(self, prepared, error)) {
    infer_prepared_free(prepared);
    return NULL;
  }
  g_hash_table_insert(self->prepared, g_memdup2(&values, sizeof values), prepared);
  return prepared;
}

gboolean
infer_context_prepare(InferContext *self, guint batch, GError **error)
{
  if (!get_prepared(self, batch, error))
    return FALSE;
  /* Growing the memory moved the current batch's as well. */
  return !self->current || infer_context_set_batch(self, self->batch, error);
}

gboolean
infer_context_write_default(InferContext *self, guint input, GError **error)
{
  const InferTensor *tensor = infer_network_get_input(infer_context_network(self), input);
  const InferArray *value = self->defaults[input];

  if (self->staging)
    return infer_staging_set(self->staging, tensor->index, value->data, value->size, error);
  memcpy(infer_context_data(self, tensor), value->data, value->size);
  return TRUE;
}

static gboolean
write_defaults(InferContext *self, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_inputs(infer_context_network(self)); i++)
    if (self->defaults[i] && !infer_context_write_default(self, i, error))
      return FALSE;
  return TRUE;
}

gboolean
infer_context_set_batch(InferContext *self, guint batch, GError **error)
{
  InferPrepared *prepared = get_prepared(self, batch, error);

  if (!prepared)
    return FALSE;
  self->batch = batch;
  if (self->current == prepared && self->io_generation == self->io->generation) {
    if (self->arena_generation != self->arena->generation)
      infer_context_rebase(self);
    return TRUE;
  }
  self->current = prepared;
  infer_context_rebase(self);
  return write_defaults(self, error);
}

static gboolean
set_symbol(InferContext *self, const InferTensor *tensor, gint axis, gint64 value, guint *batch,
           GError **error)
{
  gint64 dim = tensor->dims.d[axis];
  const InferSymbol *symbol =
      infer_network_get_symbol(infer_context_network(self), INFER_DIM_SYMBOL_INDEX(dim));

  if (value < symbol->min || value > symbol->max) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "input '%s': dimension %d ('%s') is %" G_GINT64_FORMAT
                ", the plan was built for %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                tensor->name, axis, symbol->name, value, symbol->min, symbol->max);
    return FALSE;
  }
  if (dim == self->engine->batch_symbol)
    *batch = (guint)value;
  else
    self->values.values[INFER_DIM_SYMBOL_INDEX(dim)] = value;
  return TRUE;
}

/* Gives symbols the values with which @tensor has @dims. */
static gboolean
match_dims(InferContext *self, const InferTensor *tensor, const InferDims *dims, guint *batch,
           GError **error)
{
  gboolean fits = dims->n == tensor->dims.n;

  for (gint i = 0; fits && i < dims->n; i++) {
    if (INFER_DIM_IS_SYMBOL(tensor->dims.d[i])) {
      if (!set_symbol(self, tensor, i, dims->d[i], batch, error))
        return FALSE;
    } else {
      fits = dims->d[i] == tensor->dims.d[i];
    }
  }
  if (!fits) {
    g_autofree char *wanted = infer_dims_to_string(dims);
    g_autofree char *have = infer_dims_to_string(&tensor->dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "input '%s' has dimensions %s, not %s",
                tensor->name, have, wanted);
  }
  return fits;
}

gboolean
infer_context_set_dims(InferContext *self, const char *name, const InferDims *dims, GError **error)
{
  const InferTensor *tensor =
      name ? infer_network_find_tensor(infer_context_network(self), name) : NULL;
  const InferSymbolValues before = self->values;
  guint batch = MAX(self->batch, 1);

  if (!tensor || !tensor->is_input) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "the plan has no input '%s'",
                name ? name : "(null)");
    return FALSE;
  }
  if (match_dims(self, tensor, dims, &batch, error) && infer_context_set_batch(self, batch, error))
    return TRUE;
  self->values = before;
  return FALSE;
}

guint
infer_context_get_batch(InferContext *self)
{
  return self->current ? self->batch : 0;
}
