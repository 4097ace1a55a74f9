/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/engine.h>
#include <infer/frame.h>

G_BEGIN_DECLS

#define INFER_TYPE_CONTEXT (infer_context_get_type())
/**
 * InferContext:
 *
 * What one thread at a time needs to run an engine: memory, prepared shapes, bindings. Several
 * contexts of one engine run side by side.
 */
INFER_API
G_DECLARE_FINAL_TYPE(InferContext, infer_context, INFER, CONTEXT, GObject)

/**
 * infer_context_new:
 *
 * Returns: (transfer full) (nullable): a context of @engine; nothing is prepared yet.
 */
INFER_API InferContext *infer_context_new(InferEngine *engine, GError **error);
/**
 * infer_context_get_engine:
 *
 * Returns: (transfer none): the engine
 */
INFER_API InferEngine *infer_context_get_engine(InferContext *context);

/**
 * infer_context_prepare:
 * @context: a context
 * @batch: rows, 1..max batch
 * @error: return location
 *
 * Prepares to run @batch rows: rounds up to the prepared size, infers shapes, plans memory,
 * creates what the backend needs. May allocate and compile; what was prepared stays cached.
 * Does not make it current. Not while work is under way.
 */
INFER_API gboolean infer_context_prepare(InferContext *context, guint batch, GError **error);

/**
 * infer_context_set_batch:
 *
 * Sets the rows of the next runs; prepares them where that was not done. Allocates nothing when
 * it was.
 */
INFER_API gboolean infer_context_set_batch(InferContext *context, guint batch, GError **error);
/**
 * infer_context_set_dims:
 * @context: a context
 * @name: an input
 * @dims: its dimensions for the next runs
 * @error: return location
 *
 * Gives the open dimensions of an input their values, the batch among them, and prepares where
 * that was not done. Other inputs that share a dimension follow. Dimensions that were never set
 * have the value that the plan was tuned for.
 *
 * Returns: FALSE, and nothing has changed, when the plan was not built for them
 */
INFER_API gboolean infer_context_set_dims(InferContext *context, const char *name,
                                          const InferDims *dims, GError **error);

INFER_API guint infer_context_get_batch(InferContext *context);

/**
 * infer_context_map: (skip)
 * @context: a context with a batch set
 * @name: a binding
 * @size: (out) (optional): bytes of the current batch's rows
 * @error: return location
 *
 * The host memory of an input (to write before enqueueing) or an output (to read after
 * synchronizing), row-major. It belongs to the context and stays where it is until the next
 * infer_context_set_batch(). Unused rows of an input are zeroed by enqueue. Where the device has
 * memory of its own it is a copy: of an input, made by every run; of an output, by every run after
 * it was mapped.
 *
 * Returns: (nullable): the memory
 */
INFER_API gpointer infer_context_map(InferContext *context, const char *name, gsize *size,
                                     GError **error);

/**
 * infer_context_map_device: (skip)
 * @context: a context with a batch set
 * @name: a binding
 * @error: return location
 *
 * The memory of a binding on the device, laid out as infer_context_map() says; on the CPU it is the
 * same. An input stays there between runs and an output is not copied to the host, until the
 * binding is mapped again by infer_context_map().
 *
 * Returns: (nullable): an address that the device understands
 */
INFER_API gpointer infer_context_map_device(InferContext *context, const char *name,
                                            GError **error);

/**
 * infer_context_set_strings:
 * @context: a context with a batch set
 * @name: an input of strings
 * @strings: (array length=n): the current batch's rows, row-major; copied
 * @n: how many there are
 * @error: return location
 *
 * Strings have no memory to map. They are empty until they are set, and stay for later runs of the
 * same dimensions.
 *
 * Returns: success
 */
INFER_API gboolean infer_context_set_strings(InferContext *context, const char *name,
                                             const char *const *strings, gsize n, GError **error);

/**
 * infer_context_get_strings:
 * @context: a context that has run
 * @name: an output of strings
 * @error: return location
 *
 * Returns: (transfer full) (array zero-terminated=1) (nullable): the elements, row-major;
 *   infer_context_get_dims() tells their dimensions
 */
INFER_API char **infer_context_get_strings(InferContext *context, const char *name, GError **error);

/**
 * infer_context_set_input_bytes:
 * @context: a context with a batch set
 * @name: an input
 * @bytes: the current batch's rows, row-major; copied
 * @error: return location
 *
 * infer_context_map() for languages that cannot write to memory.
 *
 * Returns: success
 */
INFER_API gboolean infer_context_set_input_bytes(InferContext *context, const char *name,
                                                 GBytes *bytes, GError **error);

/**
 * infer_context_get_output_bytes:
 * @context: a context that was synchronized
 * @name: an input or output
 * @error: return location
 *
 * Returns: (transfer full) (nullable): a copy of the current batch's rows, row-major
 */
INFER_API GBytes *infer_context_get_output_bytes(InferContext *context, const char *name,
                                                 GError **error);

/**
 * infer_context_set_value:
 * @context: a context
 * @name: an input
 * @value: its contents, of the binding's kind and type
 * @error: return location
 *
 * Sets an input that is a sequence or an optional (a tensor as well, once a batch is set). It stays
 * until it is set again. Not while work is under way.
 *
 * Returns: success
 */
INFER_API gboolean infer_context_set_value(InferContext *context, const char *name,
                                           InferArray *value, GError **error);

/**
 * infer_context_get_value:
 * @context: a context that was synchronized
 * @name: an input or output
 * @error: return location
 *
 * What a binding of any kind holds; a tensor is copied.
 *
 * Returns: (transfer full) (nullable): the contents
 */
INFER_API InferArray *infer_context_get_value(InferContext *context, const char *name,
                                              GError **error);

/**
 * infer_context_get_dims:
 * @context: a context with a batch set
 * @name: a binding
 * @dims: (out caller-allocates): its dimensions
 * @error: return location
 *
 * The dimensions of a binding at the current batch.
 */
INFER_API gboolean infer_context_get_dims(InferContext *context, const char *name, InferDims *dims,
                                          GError **error);

/**
 * infer_context_set_scalar:
 *
 * Sets an optional scalar input such as "score_threshold"; stays until set again.
 *
 * Returns: FALSE when there is no such input.
 */
INFER_API gboolean infer_context_set_scalar(InferContext *context, const char *name, double value);

/**
 * infer_context_enqueue_frames: (skip)
 * @context: a context with a batch set
 * @frames: (array length=n_frames): one frame a row; they have to stay valid until
 *   infer_context_synchronize()
 * @n_frames: at most the batch
 * @placements: (nullable) (out caller-allocates): where each frame lies, filled at once
 * @error: return location
 *
 * Enqueues the pre-processing of the model info: colour conversion, resize and normalisation
 * straight into the image input.
 */
INFER_API gboolean infer_context_enqueue_frames(InferContext *context, const InferFrame *frames,
                                                guint n_frames, InferPlacement *placements,
                                                GError **error);

/**
 * infer_context_set_cancellable:
 * @context: a context
 * @cancellable: (nullable): stops runs
 *
 * Loops whose length depends on data look at @cancellable in each iteration; a run that it stops
 * fails with %G_IO_ERROR_CANCELLED. Not while work is under way.
 */
INFER_API void infer_context_set_cancellable(InferContext *context, GCancellable *cancellable);

/**
 * infer_context_enqueue:
 *
 * Starts a run of the current batch and returns; allocates nothing.
 */
INFER_API gboolean infer_context_enqueue(InferContext *context, GError **error);
/**
 * infer_context_synchronize:
 *
 * Waits for all that was enqueued; its error if it failed.
 */
INFER_API gboolean infer_context_synchronize(InferContext *context, GError **error);
/**
 * infer_context_run:
 *
 * Enqueue and synchronize.
 */
INFER_API gboolean infer_context_run(InferContext *context, GError **error);

/**
 * infer_context_get_memory_size:
 * @context: a context
 * @tensors_size: (out) (optional): bytes that all tensors would take without sharing memory
 *
 * Returns: bytes of memory of the current batch: inputs, outputs, arena and workspaces
 */
INFER_API gsize infer_context_get_memory_size(InferContext *context, gsize *tensors_size);

/**
 * InferStepTime:
 * @name: the step's name
 * @implementation: what ran it
 * @nanoseconds: time of the last run
 */
typedef struct {
  const char *name;
  const char *implementation;
  guint64 nanoseconds;
} InferStepTime;

/**
 * infer_context_set_profiling:
 *
 * Whether runs are timed step by step (slower).
 */
INFER_API void infer_context_set_profiling(InferContext *context, gboolean profiling);
/**
 * infer_context_get_step_time:
 * @context: a context
 * @index: step
 * @time: (out caller-allocates): its time
 *
 * Returns: FALSE when @index is past the last step.
 */
INFER_API gboolean infer_context_get_step_time(InferContext *context, guint index,
                                               InferStepTime *time);

G_END_DECLS
