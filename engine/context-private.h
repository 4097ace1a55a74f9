/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/context.h>
#include "arena.h"
#include "engine-private.h"
#include "staging.h"

G_BEGIN_DECLS

/* The image input, where the model info names one that looks like one. */
typedef struct {
  const InferTensor *tensor;
  gint axis_h, axis_w, axis_c;
} InferImageInput;

/* Who is told of tensors and of times. */
typedef struct {
  InferDebugFunc debug;
  gpointer debug_data;
  GDestroyNotify debug_destroy;
  gboolean *muted; /* per name of InferEngine.debug */
  InferProfilerFunc profiler;
  gpointer profiler_data;
  GDestroyNotify profiler_destroy;
} InferObservers;

struct _InferContext {
  GObject parent;

  InferEngine *engine;
  InferStream *stream;
  GHashTable *prepared;     /* InferSymbolValues -> InferPrepared */
  InferSymbolValues values; /* of open dimensions; the batch's place is not used */
  InferPrepared *current;
  guint batch;
  InferArena *io;      /* inputs and outputs, which stay between runs */
  InferArena *arena;   /* everything else, maybe shared */
  guint io_generation; /* of what the current pointers were made for */
  guint arena_generation;
  InferStaging *staging; /* (nullable): where the host cannot reach the memory */
  GHashTable *bound;     /* name -> InferArray: inputs that have no bytes to map */
  GCancellable *cancellable;
  gboolean trial;
  GHashTable *tail_values; /* InferTensor of the tail -> InferArray, of the last run */
  InferArray **defaults;   /* per input: contents of optional ones */

  InferImageInput image;
  InferFrame *frames; /* of the job under way, max_batch of them */
  guint n_frames;

  gboolean profiling;
  gboolean timed; /* a run with times was enqueued */
  guint64 *times; /* per step */
  InferObservers observers;
};

static inline const InferBackend *
infer_context_backend(const InferContext *self)
{
  return self->engine->device->backend;
}

static inline InferNetwork *
infer_context_network(const InferContext *self)
{
  return self->engine->program->network;
}

static inline gpointer
infer_context_data(const InferContext *self, const InferTensor *tensor)
{
  return infer_prepared_data(self->current, tensor, self->arena->memory);
}

/* Bytes of a preparation that are neither inputs nor outputs. */
static inline gsize
infer_prepared_arena_size(const InferPrepared *prepared)
{
  return prepared->memory_size - prepared->io_size;
}

/* Whether runs are timed. */
static inline gboolean
infer_context_is_timed(const InferContext *self)
{
  return self->profiling || self->observers.profiler;
}

/** Pointers for the memory as it is now. */
void infer_context_rebase(InferContext *self);

/** Writes the contents of an optional input. */
gboolean infer_context_write_default(InferContext *self, guint input, GError **error);

/** The dimensions of a tensor at the current batch. */
void infer_context_tensor_dims(InferContext *self, const InferTensor *tensor, InferDims *dims);

/** A copy in host memory; what was not copied by the last run yet is fetched. */
gpointer infer_context_map_copy(InferContext *self, const InferTensor *tensor, GError **error);

/* context-observe.c */
void infer_observers_clear(InferContext *self);
/** Tells of what step @index has written. */
gboolean infer_observers_step(InferContext *self, guint index, InferStream *stream, GError **error);
/** Tells of what the tail has written. */
void infer_observers_tail(InferContext *self);
/** Tells of the times of the last run. */
void infer_observers_times(InferContext *self);

G_END_DECLS
