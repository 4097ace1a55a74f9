/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib-object.h>
#include <infer/modelinfo.h>
#include <infer/array.h>

G_BEGIN_DECLS

#define INFER_TYPE_ENGINE (infer_engine_get_type())
/**
 * InferEngine:
 *
 * A network made ready for one device. Immutable; shared by threads and contexts.
 */
INFER_API
G_DECLARE_FINAL_TYPE(InferEngine, infer_engine, INFER, ENGINE, GObject)

/**
 * InferBinding:
 * @name: tensor name
 * @is_input: input or output
 * @is_optional: an input with a default
 * @type: element type
 * @dims: logical dimensions; negative where they depend on the batch
 * @max_size: bytes at the largest batch; 0 where that depends on data
 * @kind: what it is; all but tensors are set and read with infer_context_set_value() and
 *   infer_context_get_value()
 *
 * An input or output of an engine. As a boxed type a copy has a name of its own, and may outlive
 * the engine.
 */
typedef struct {
  const char *name;
  gboolean is_input;
  gboolean is_optional;
  InferType type;
  InferDims dims;
  gsize max_size;
  InferKind kind;
} InferBinding;

INFER_API GType infer_binding_get_type(void);

/**
 * InferLoadFlags:
 * @INFER_LOAD_MAP: map weights from the file (the default)
 * @INFER_LOAD_READ: read the whole file into memory, so that a file that is truncated later cannot
 *   fault
 */
typedef enum { INFER_LOAD_MAP = 0, INFER_LOAD_READ = 1 } InferLoadFlags;

/**
 * infer_engine_new_from_file:
 * @path: a plan file
 * @device: (nullable): as in infer_builder_set_device(); it has to fit the plan
 * @threads: threads to run on, 0 for every processor
 * @flags: how to load
 * @error: return location
 *
 * Loads a plan. Header and tables are copied and validated, weights are mapped.
 *
 * Returns: (transfer full) (nullable): the engine
 */
INFER_API InferEngine *infer_engine_new_from_file(const char *path, const char *device,
                                                  guint threads, InferLoadFlags flags,
                                                  GError **error);
/**
 * infer_engine_new_from_bytes:
 * @bytes: a plan
 * @source: (nullable): what it is called in errors
 * @device: (nullable): as in infer_builder_set_device()
 * @threads: threads to run on, 0 for every processor
 * @error: return location
 *
 * The same from memory; @bytes are kept, not copied.
 */
INFER_API InferEngine *infer_engine_new_from_bytes(GBytes *bytes, const char *source,
                                                   const char *device, guint threads,
                                                   GError **error);

/**
 * infer_engine_check_file:
 * @path: a plan file
 * @device: (nullable): as in infer_builder_set_device()
 * @error: return location
 *
 * Checks magic, versions and device of a plan without loading it.
 *
 * Returns: success; %INFER_ERROR_PLAN when the file is not a plan at all.
 */
INFER_API gboolean infer_engine_check_file(const char *path, const char *device, GError **error);

/**
 * infer_engine_save:
 *
 * Writes the plan; the file is replaced by a rename, or left as it was.
 */
INFER_API gboolean infer_engine_save(InferEngine *engine, const char *path, GError **error);
/**
 * infer_engine_serialize:
 *
 * Returns: (transfer full) (nullable): the plan in memory.
 */
INFER_API GBytes *infer_engine_serialize(InferEngine *engine, GError **error);

/**
 * infer_engine_get_n_bindings:
 *
 * Returns: how many inputs and outputs there are, inputs first
 */
INFER_API guint infer_engine_get_n_bindings(InferEngine *engine);
/**
 * infer_engine_get_binding:
 *
 * Returns: (transfer none) (nullable): the binding; it belongs to the engine
 */
INFER_API const InferBinding *infer_engine_get_binding(InferEngine *engine, guint index);
/**
 * infer_engine_find_binding:
 *
 * Returns: (transfer none) (nullable): the binding of that name
 */
INFER_API const InferBinding *infer_engine_find_binding(InferEngine *engine, const char *name);
/**
 * infer_engine_is_refittable:
 *
 * Returns: whether an #InferRefit can set other weights.
 */
INFER_API gboolean infer_engine_is_refittable(InferEngine *engine);
/**
 * infer_engine_is_stripped:
 *
 * Returns: whether weights were left out of its plan, so that it cannot run before an #InferRefit
 *   has made a whole engine of it.
 */
INFER_API gboolean infer_engine_is_stripped(InferEngine *engine);

/**
 * infer_engine_get_debug_names:
 * @engine: an engine
 *
 * Returns: (transfer none) (array zero-terminated=1): the tensors that were marked by
 *   infer_network_mark_debug()
 */
INFER_API const char *const *infer_engine_get_debug_names(InferEngine *engine);

/**
 * infer_engine_get_notes:
 * @engine: an engine that was built, not loaded
 *
 * What the builder could not do as asked: layers that stay in FP32 or run on the host, constraints
 * on layers that were folded away.
 *
 * Returns: (transfer none) (array zero-terminated=1): one sentence each
 */
INFER_API const char *const *infer_engine_get_notes(InferEngine *engine);
/**
 * infer_engine_get_model_info:
 *
 * Returns: (transfer none): never %NULL, maybe empty
 */
INFER_API InferModelInfo *infer_engine_get_model_info(InferEngine *engine);
/**
 * infer_engine_get_device:
 *
 * Returns: the device's name, "cpu" or "cuda:0"
 */
INFER_API const char *infer_engine_get_device(InferEngine *engine);
/**
 * infer_engine_get_max_batch:
 *
 * Returns: the most rows of a run; 1 where the batch is fixed
 */
INFER_API guint infer_engine_get_max_batch(InferEngine *engine);
/**
 * infer_engine_get_run_time:
 *
 * Returns: nanoseconds that the largest prepared batch @batch took when the engine was built, 0
 *   when not known.
 */
INFER_API guint64 infer_engine_get_run_time(InferEngine *engine, guint batch);
/**
 * infer_engine_get_best_batch:
 *
 * Returns: the batch that took least time a row when the engine was built; of equal ones the
 *   smallest
 */
INFER_API guint infer_engine_get_best_batch(InferEngine *engine);
/**
 * infer_engine_get_weights_size:
 *
 * Returns: bytes of plain and packed weights
 */
INFER_API gsize infer_engine_get_weights_size(InferEngine *engine);

/**
 * infer_engine_inspect:
 *
 * Returns: (transfer full): the steps as JSON: name, operators, implementation, inputs and
 *   outputs with types, dimensions and layouts (TensorRT's engine inspector).
 */
INFER_API char *infer_engine_inspect(InferEngine *engine);

G_END_DECLS
