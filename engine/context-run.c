/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a context does in its stream. */
#include "context-private.h"
#include "graph.h"
#include "tail.h"

#include <string.h>

static gboolean
run_frames(gpointer data, InferStream *stream, GError **error)
{
  InferContext *self = data;
  const InferTensor *tensor = self->image.tensor;
  const InferBuffer *buffer = &self->current->buffers[tensor->index];
  InferImageTarget target = {
      .data = infer_context_data(self, tensor),
      .type = tensor->type,
      .width = (guint)buffer->dims.d[self->image.axis_w],
      .height = (guint)buffer->dims.d[self->image.axis_h],
      .channels = (guint)buffer->dims.d[self->image.axis_c],
      .stride_n = buffer->strides[0],
      .stride_c = buffer->strides[self->image.axis_c],
      .stride_y = buffer->strides[self->image.axis_h],
      .stride_x = buffer->strides[self->image.axis_w],
  };

  return infer_context_backend(self)->preprocess(
      stream, self->frames, self->n_frames, infer_model_info_get_preprocess(self->engine->info),
      &target, error);
}

gboolean
infer_context_enqueue_frames(InferContext *self, const InferFrame *frames, guint n_frames,
                             InferPlacement *placements, GError **error)
{
  const InferPreprocess *pre = infer_model_info_get_preprocess(self->engine->info);
  const InferDims *dims;

  if (!self->current || n_frames > self->batch) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE, "%u frames do not fit a batch of %u",
                n_frames, self->current ? self->batch : 0);
    return FALSE;
  }
  if (!self->image.tensor) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the model has no image input: none is named in its model info that is float or "
                "uint8 of 4 dimensions with 1 or 3 channels; name it in a .modelinfo file");
    return FALSE;
  }
  dims = &self->current->buffers[self->image.tensor->index].dims;
  for (guint i = 0; i < n_frames; i++) {
    if (!infer_frame_validate(&frames[i], error))
      return FALSE;
    self->frames[i] = frames[i];
    if (placements)
      placements[i] = infer_frame_place(&frames[i], pre, (guint)dims->d[self->image.axis_w],
                                        (guint)dims->d[self->image.axis_h]);
  }
  self->n_frames = n_frames;
  if (self->staging)
    infer_staging_forget(self->staging, self->image.tensor->index);
  return infer_context_backend(self)->stream_run(self->stream, run_frames, self, error);
}

/* Rows that the batch does not fill hold zeros, so that their results are the same every time. */
static gboolean
zero_unused_rows(InferContext *self, InferStream *stream, GError **error)
{
  if (self->batch == self->current->batch)
    return TRUE;
  for (guint i = 0; i < infer_network_get_n_inputs(infer_context_network(self)); i++) {
    const InferTensor *tensor = infer_network_get_input(infer_context_network(self), i);
    guint8 *data;
    gsize row;

    if (!infer_engine_has_rows(self->engine, tensor))
      continue;
    row = infer_buffer_size(&self->current->buffers[tensor->index]) / self->current->batch;
    data = (guint8 *)infer_context_data(self, tensor) + row * self->batch;
    row *= self->current->batch - self->batch;
    if (!self->staging)
      memset(data, 0, row);
    else if (!infer_context_backend(self)->fill(stream, data, 0, row, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
take_bound(InferContext *self, InferTensor *input, GError **error)
{
  InferArray *value = g_hash_table_lookup(self->bound, input->name);

  if (!value) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "input '%s' is not set; call infer_context_set_value() first", input->name);
    return FALSE;
  }
  g_hash_table_insert(self->tail_values, input, infer_array_ref(value));
  return TRUE;
}

/* The strings that were set, the input's default, or empty ones. */
static InferArray *
tail_strings(InferContext *self, const InferTensor *source, const InferDims *dims, GError **error)
{
  InferArray *array = g_hash_table_lookup(self->bound, source->name);

  array = array ? array : source->initial;
  if (!array)
    return infer_array_new(INFER_TYPE_STRING, dims, error);
  if (infer_dims_equal(&array->dims, dims))
    return infer_array_ref(array);
  g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
              "the strings of input '%s' were set for other dimensions", source->name);
  return NULL;
}

/* What depends on data, from what the steps left. */
static gboolean
run_tail(InferContext *self, InferStream *stream, GError **error)
{
  InferNetwork *tail = self->engine->tail;

  if (self->staging && !infer_context_backend(self)->stream_sync(stream, error))
    return FALSE;
  g_hash_table_remove_all(self->tail_values);
  for (guint i = 0; i < infer_network_get_n_inputs(tail); i++) {
    InferTensor *input = infer_network_get_input(tail, i);
    const InferTensor *source;
    const InferBuffer *buffer;
    gpointer data;
    InferArray *array;

    if (input->kind != INFER_KIND_TENSOR) {
      if (!take_bound(self, input, error))
        return FALSE;
      continue;
    }
    source = infer_network_find_tensor(infer_context_network(self), input->name);
    buffer = source ? &self->current->buffers[source->index] : NULL;
    if (!buffer) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "there is no tensor '%s'", input->name);
      return FALSE;
    }
    if (buffer->type == INFER_TYPE_STRING) {
      array = tail_strings(self, source, &buffer->dims, error);
    } else {
      data = self->staging ? infer_context_map_copy(self, source, error)
                           : infer_context_data(self, source);
      array = data ? infer_array_new_view(buffer->type, &buffer->dims, data) : NULL;
    }
    if (!array)
      return FALSE;
    g_hash_table_insert(self->tail_values, input, array);
  }
  if (!infer_tail_run(tail, self->tail_values, error))
    return FALSE;
  infer_observers_tail(self);
  return TRUE;
}

static gboolean
run_each(InferContext *self, InferStream *stream, GError **error)
{
  const InferPrepared *prepared = self->current;
  gboolean timed = infer_context_is_timed(self);

  if (timed && !infer_context_backend(self)->stream_mark(stream, 0, error))
    return FALSE;
  for (guint i = 0; i < prepared->n_steps; i++) {
    if (!infer_prepared_run_step(prepared, i, self->arena->memory, stream, error)) {
      const InferStep *step = prepared->program->steps->pdata[i];
      g_prefix_error(error, "step '%s': ", step->name);
      return FALSE;
    }
    if (self->observers.debug && !infer_observers_step(self, i, stream, error))
      return FALSE;
    if (timed && !infer_context_backend(self)->stream_mark(stream, i + 1, error))
      return FALSE;
  }
  return TRUE;
}

/* The first run goes step by step, since libraries allocate in it; the second is captured, and
 * from then on the graph is launched. What cannot be captured goes on step by step. */
static gboolean
run_graph(InferContext *self, InferStream *stream, GError **error)
{
  const InferBackend *backend = infer_context_backend(self);
  InferPrepared *prepared = self->current;
  gboolean watched = infer_context_is_timed(self) || self->observers.debug;

  if (!watched && !prepared->graph && prepared->n_runs == 1 &&
      infer_prepared_can_capture(prepared) && backend->capture_begin(stream, NULL)) {
    gboolean ok = run_each(self, stream, NULL);
    prepared->graph = backend->capture_end(stream, NULL);
    if (!ok && prepared->graph) {
      backend->graph_free(prepared->graph);
      prepared->graph = NULL;
    }
  }
  prepared->n_runs = MIN(prepared->n_runs + 1, 2);
  return prepared->graph && !watched ? backend->graph_launch(prepared->graph, stream, error)
                                     : run_each(self, stream, error);
}

/* What is made up may make no sense to what depends on it; stopping is another matter. */
static gboolean
finish_tail(InferContext *self, InferStream *stream, GError **error)
{
  if (!self->engine->tail || run_tail(self, stream, error))
    return TRUE;
  if (!self->trial || g_cancellable_is_cancelled(self->cancellable))
    return FALSE;
  g_clear_error(error);
  return TRUE;
}

static gboolean
run_planned(InferContext *self, InferStream *stream, GError **error)
{
  if ((self->staging &&
       !infer_staging_upload(self->staging, self->current, self->arena->memory, stream, error)) ||
      !zero_unused_rows(self, stream, error) || !run_graph(self, stream, error) ||
      (self->staging &&
       !infer_staging_download(self->staging, self->current, self->arena->memory, stream, error)))
    return FALSE;
  return finish_tail(self, stream, error);
}

static gboolean
run_steps(gpointer data, InferStream *stream, GError **error)
{
  InferContext *self = data;
  gboolean ok;

  if (self->cancellable)
    g_cancellable_push_current(self->cancellable);
  infer_graph_set_trial(self->trial);
  ok = run_planned(self, stream, error);
  infer_graph_set_trial(FALSE);
  if (self->cancellable)
    g_cancellable_pop_current(self->cancellable);
  return ok;
}

void
infer_context_set_cancellable(InferContext *self, GCancellable *cancellable)
{
  g_set_object(&self->cancellable, cancellable);
}

void
infer_context_set_trial(InferContext *self, gboolean trial)
{
  self->trial = trial;
}

static gboolean
check_memory(InferContext *self, GError **error)
{
  if (!self->current) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "nothing is prepared; call infer_context_set_batch() first");
    return FALSE;
  }
  if (self->arena->size < infer_prepared_arena_size(self->current)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "the current shapes need %" G_GSIZE_FORMAT " bytes of memory, %" G_GSIZE_FORMAT
                " were given; call infer_context_set_memory() with more",
                infer_prepared_arena_size(self->current), self->arena->size);
    return FALSE;
  }
  return TRUE;
}

gboolean
infer_context_enqueue(InferContext *self, GError **error)
{
  gboolean running = g_atomic_pointer_get(&self->arena->owner) == self;

  if (!check_memory(self, error) || !infer_arena_acquire(self->arena, self, error))
    return FALSE;
  /* Another context that shares the memory made it larger. */
  if (self->arena_generation != self->arena->generation)
    infer_context_rebase(self);
  if (infer_context_backend(self)->stream_run(self->stream, run_steps, self, error)) {
    self->timed = infer_context_is_timed(self);
    return TRUE;
  }
  if (!running)
    infer_arena_release(self->arena, self);
  return FALSE;
}

gboolean
infer_context_synchronize(InferContext *self, GError **error)
{
  gboolean ok = infer_context_backend(self)->stream_sync(self->stream, error);

  infer_arena_release(self->arena, self);
  if (!ok)
    return FALSE;
  for (guint i = 0; infer_context_is_timed(self) && self->current && i < self->current->n_steps;
       i++)
    self->times[i] = infer_context_backend(self)->stream_elapsed(self->stream, i + 1);
  if (self->timed && self->observers.profiler)
    infer_observers_times(self);
  self->timed = FALSE;
  return TRUE;
}

gboolean
infer_context_run(InferContext *self, GError **error)
{
  return infer_context_enqueue(self, error) && infer_context_synchronize(self, error);
}
