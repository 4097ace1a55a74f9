/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who looks at a run from outside: profilers, and listeners to single tensors. */
#include "context-private.h"

#include <string.h>

void
infer_context_set_profiling(InferContext *self, gboolean profiling)
{
  self->profiling = profiling;
}

gboolean
infer_context_get_step_time(InferContext *self, guint index, InferStepTime *time)
{
  const GPtrArray *steps = self->engine->program->steps;
  const InferStep *step;

  if (index >= steps->len)
    return FALSE;
  step = steps->pdata[index];
  time->name = step->name;
  time->implementation = !step->impl || (self->current && self->current->skipped[index]) ? "view"
                         : self->current ? self->current->impls[index]->name
                                         : step->impl->name;
  time->nanoseconds = self->times[index];
  time->operations = self->current ? infer_prepared_step_operations(self->current, index) : 0;
  time->bytes = self->current ? infer_prepared_step_bytes(self->current, index) : 0;
  return TRUE;
}

/* --- listeners --- */

/* Returns: place in the list of debug tensors, -1 where it is none or muted. */
static gint
find_debug(const InferContext *self, const char *name)
{
  char **names = self->engine->debug;

  for (gint i = 0; names[i]; i++)
    if (g_str_equal(names[i], name))
      return self->observers.muted[i] ? -1 : i;
  return -1;
}

static gboolean
tell(InferContext *self, const InferTensor *tensor, InferStream *stream, GError **error)
{
  const InferBackend *backend = infer_context_backend(self);
  const void *memory = infer_context_data(self, tensor);
  g_autoptr(InferArray) array = NULL;
  InferDims dims;

  infer_context_tensor_dims(self, tensor, &dims);
  /* A copy, since a listener may keep it. */
  array = infer_array_new(tensor->type, &dims, error);
  if (!array) {
    g_prefix_error(error, "debug tensor '%s': ", tensor->name);
    return FALSE;
  }
  if (array->size && backend->host_memory)
    memcpy(array->data, memory, array->size);
  else if (array->size && (!backend->download(stream, array->data, memory, array->size, error) ||
                           !backend->stream_sync(stream, error)))
    return FALSE;
  self->observers.debug(self, tensor->name, array, self->observers.debug_data);
  return TRUE;
}

gboolean
infer_observers_step(InferContext *self, guint index, InferStream *stream, GError **error)
{
  const InferStep *step = self->engine->program->steps->pdata[index];

  for (guint i = 0; i < step->n_outputs; i++)
    if (step->outputs[i]->is_output && find_debug(self, step->outputs[i]->name) >= 0 &&
        !tell(self, step->outputs[i], stream, error))
      return FALSE;
  return TRUE;
}

void
infer_observers_tail(InferContext *self)
{
  InferNetwork *tail = self->engine->tail;

  for (guint i = 0; self->observers.debug && i < infer_network_get_n_outputs(tail); i++) {
    const InferTensor *tensor = infer_network_get_output(tail, i);
    InferArray *array = g_hash_table_lookup(self->tail_values, tensor);

    if (array && find_debug(self, tensor->name) >= 0)
      self->observers.debug(self, tensor->name, array, self->observers.debug_data);
  }
}

void
infer_context_set_debug_listener(InferContext *self, InferDebugFunc func, gpointer user_data,
                                 GDestroyNotify destroy)
{
  InferObservers *observers = &self->observers;

  if (observers->debug_destroy)
    observers->debug_destroy(observers->debug_data);
  observers->debug = func;
  observers->debug_data = user_data;
  observers->debug_destroy = destroy;
}

gboolean
infer_context_set_debug_state(InferContext *self, const char *name, gboolean enabled,
                              GError **error)
{
  char **names = self->engine->debug;
  gboolean found = name == NULL;

  for (guint i = 0; names[i]; i++) {
    if (name && !g_str_equal(names[i], name))
      continue;
    self->observers.muted[i] = !enabled;
    found = TRUE;
  }
  if (!found)
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "the plan has no debug tensor '%s'; mark it with infer_network_mark_debug() and "
                "build again",
                name);
  return found;
}

/* --- profilers --- */

void
infer_observers_times(InferContext *self)
{
  const GPtrArray *steps = self->engine->program->steps;

  for (guint i = 0; i < steps->len; i++)
    self->observers.profiler(self, ((const InferStep *)steps->pdata[i])->name, self->times[i],
                             self->observers.profiler_data);
}

void
infer_context_set_profiler(InferContext *self, InferProfilerFunc func, gpointer user_data,
                           GDestroyNotify destroy)
{
  InferObservers *observers = &self->observers;

  if (observers->profiler_destroy)
    observers->profiler_destroy(observers->profiler_data);
  observers->profiler = func;
  observers->profiler_data = user_data;
  observers->profiler_destroy = destroy;
}

void
infer_observers_clear(InferContext *self)
{
  infer_context_set_debug_listener(self, NULL, NULL, NULL);
  infer_context_set_profiler(self, NULL, NULL, NULL);
}
