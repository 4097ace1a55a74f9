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
 * infer_context_new_sharing:
 * @engine: an engine
 * @other: a context of this engine or of another one on the same device
 * @error: return location
 *
 * A context that computes in the memory of @other: for contexts that never run at once. Inputs and
 * outputs are its own, so what was read or written stays while the other runs. The memory is as
 * large as the one that needs most of it, and belongs to both. To run, or to prepare larger shapes,
 * while a run of the other is under way is an error; the other may be used by another thread
 * between runs when that is kept in order from outside.
 *
 * Returns: (transfer full) (nullable): the context; nothing is prepared yet.
 */
INFER_API InferContext *infer_context_new_sharing(InferEngine *engine, InferContext *other,
                                                  GError **error);
/**
 * infer_context_set_memory: (skip)
 * @context: a context without a run under way
 * @memory: (nullable): memory that the device can use, aligned to 256 bytes; it stays the caller's
 *   and has to live as long as the context uses it
 * @size: its bytes
 * @error: return location
 *
 * Lets the context compute in @memory, in place of its own, from now on; inputs and outputs stay
 * the context's. infer_context_get_arena_size() says how much the current shapes need. With %NULL
 * shapes can be set, and runs are errors until memory is given. Contexts that never run at once may
 * be given the same memory, which nobody checks.
 *
 * Returns: success; an error when the current shapes need more
 */
INFER_API gboolean infer_context_set_memory(InferContext *context, gpointer memory, gsize size,
                                            GError **error);
/**
 * infer_context_get_arena_size:
 * @context: a context
 *
 * Returns: bytes that the current shapes need beside inputs and outputs; 0 when none are set
 */
INFER_API gsize infer_context_get_arena_size(InferContext *context);

/**
 * InferAllocFunc:
 * @size: bytes wanted
 * @alignment: a power of two
 * @user_data: closure
 *
 * Returns: (nullable): memory that the context's device can use, aligned so; %NULL when it cannot
 *   be had
 */
typedef gpointer (*InferAllocFunc)(gsize size, gsize alignment, gpointer user_data);
/**
 * InferFreeFunc:
 * @memory: what an #InferAllocFunc gave
 * @size: its bytes
 * @user_data: closure
 */
typedef void (*InferFreeFunc)(gpointer memory, gsize size, gpointer user_data);
/**
 * infer_context_set_allocator: (skip)
 * @context: a context that has no shapes yet
 * @alloc: gets memory; called when shapes are prepared, by the thread that does, never by a run
 * @free_func: gives it back
 * @user_data: for both
 * @destroy: (nullable): frees @user_data when no memory is left
 * @error: return location
 *
 * Where the context gets its memory from: that of inputs, outputs and everything between. On a
 * device with memory of its own it has to be that. Weights belong to the engine.
 *
 * Returns: success; an error, and nothing is kept, when the context has memory already
 */
INFER_API gboolean infer_context_set_allocator(InferContext *context, InferAllocFunc alloc,
                                               InferFreeFunc free_func, gpointer user_data,
                                               GDestroyNotify destroy, GError **error);

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

/**
 * infer_context_get_batch:
 *
 * Returns: the rows of the next runs; 0 when no batch is set
 */
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
 * @operations: multiplications and additions of its convolutions and matrix products, of the
 *   current batch; what else it computes is not counted
 * @bytes: of its operands, each counted once: what has to be read and written at least
 */
typedef struct {
  const char *name;
  const char *implementation;
  guint64 nanoseconds;
  gint64 operations;
  gint64 bytes;
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

/**
 * InferProfilerFunc:
 * @context: the context
 * @name: a step's name
 * @nanoseconds: its time in the last run
 * @user_data: closure
 *
 * Told of each step, in order.
 */
typedef void (*InferProfilerFunc)(InferContext *context, const char *name, guint64 nanoseconds,
                                  gpointer user_data);
/**
 * infer_context_set_profiler:
 * @context: a context without a run under way
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): told of the times of
 *   every run
 * @user_data: for @func
 * @destroy: frees @user_data
 *
 * Times runs step by step, as infer_context_set_profiling() does, and tells @func of each step in
 * infer_context_synchronize(), in the thread that calls it.
 */
INFER_API void infer_context_set_profiler(InferContext *context, InferProfilerFunc func,
                                          gpointer user_data, GDestroyNotify destroy);

/**
 * InferDebugFunc:
 * @context: the context, which may not be used before the run is over
 * @name: name of a tensor
 * @value: its type, dimensions at the current batch, and contents in host memory, row-major; may be
 *   kept with a reference
 * @user_data: closure
 *
 * Told of a tensor that was marked by infer_network_mark_debug().
 */
typedef void (*InferDebugFunc)(InferContext *context, const char *name, InferArray *value,
                               gpointer user_data);
/**
 * infer_context_set_debug_listener:
 * @context: a context without a run under way
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): gets the debug tensors
 *   of every run
 * @user_data: for @func
 * @destroy: frees @user_data
 *
 * Hands each debug tensor to @func as soon as it lies row-major in memory, which need not be in the
 * order of the layers; the run goes on when @func returns. @func is called in the thread that runs
 * the steps, which on the CPU is the context's own. Runs allocate and are slower, and are not
 * captured, while a listener is set.
 */
INFER_API void infer_context_set_debug_listener(InferContext *context, InferDebugFunc func,
                                                gpointer user_data, GDestroyNotify destroy);
/**
 * infer_context_set_debug_state:
 * @context: a context without a run under way
 * @name: (nullable): a debug tensor; %NULL for all
 * @enabled: whether the listener is told of it (at first all are on)
 * @error: return location
 *
 * Returns: FALSE when there is no debug tensor of that name
 */
INFER_API gboolean infer_context_set_debug_state(InferContext *context, const char *name,
                                                 gboolean enabled, GError **error);

G_END_DECLS
