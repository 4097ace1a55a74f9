/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/engine.h>
#include <infer/network.h>

G_BEGIN_DECLS

#define INFER_TYPE_BUILDER (infer_builder_get_type())
/**
 * InferBuilder:
 *
 * Turns a network into an engine for one device. Used by one thread at a time.
 */
INFER_API G_DECLARE_FINAL_TYPE(InferBuilder, infer_builder, INFER, BUILDER, GObject)

    /**
     * InferProgressFunc:
     * @stage: what is being done ("passes", "fusion", "tune", "prepare", "verify")
     * @fraction: 0..1 of the whole build
     * @user_data: closure
     */
    typedef void (*InferProgressFunc)(const char *stage, double fraction, gpointer user_data);

/**
 * infer_builder_new:
 *
 * Returns: (transfer full): a builder with the defaults that its setters name.
 */
INFER_API InferBuilder *infer_builder_new(void);
/**
 * infer_builder_set_device:
 * @builder: a builder
 * @device: (nullable): device
 *
 * "auto" (default), "cpu", "cuda:N", or "null" for tests.
 */
INFER_API void infer_builder_set_device(InferBuilder *builder, const char *device);
/**
 * infer_builder_set_threads:
 *
 * Threads to prepare for; 0 (default) for every processor.
 */
INFER_API void infer_builder_set_threads(InferBuilder *builder, guint threads);
/**
 * infer_builder_set_max_batch:
 *
 * The largest batch; prepared sizes are 1, 2, 4 ... and @max_batch. The default is 1.
 */
INFER_API void infer_builder_set_max_batch(InferBuilder *builder, guint max_batch);
/**
 * infer_builder_set_profile:
 * @builder: a builder
 * @dimension: name of an open dimension of the network (InferSymbol.name); the batch has
 *   infer_builder_set_max_batch()
 * @min: least value
 * @opt: the value to tune for
 * @max: greatest value
 *
 * Lets a dimension stay open in the plan (an optimization profile). Open dimensions without one
 * are built at the value that the network tunes for.
 */
INFER_API void infer_builder_set_profile(InferBuilder *builder, const char *dimension, gint64 min,
                                         gint64 opt, gint64 max);
/**
 * infer_builder_set_verify:
 *
 * Whether the result is compared with the reference (default TRUE).
 */
INFER_API void infer_builder_set_verify(InferBuilder *builder, gboolean verify);
/**
 * infer_builder_set_fusion:
 *
 * Whether nodes may be fused into steps (default TRUE).
 */
INFER_API void infer_builder_set_fusion(InferBuilder *builder, gboolean fusion);
/**
 * InferPrecisions:
 * @INFER_PRECISION_TF32: FP32 products may round their factors to 10 bits of mantissa
 * @INFER_PRECISION_FP16: layers may compute in FP16, with sums in FP32
 * @INFER_PRECISION_BF16: layers may compute in BF16, with sums in FP32
 * @INFER_PRECISION_INT8: layers between quantize and dequantize nodes may compute in INT8
 *
 * What the builder may use beside FP32.
 */
typedef enum {
  INFER_PRECISION_TF32 = 1 << 0,
  INFER_PRECISION_FP16 = 1 << 1,
  INFER_PRECISION_BF16 = 1 << 2,
  INFER_PRECISION_INT8 = 1 << 3,
} InferPrecisions;

/**
 * infer_builder_set_precisions:
 * @builder: a builder
 * @precisions: what is allowed beside FP32; the default is %INFER_PRECISION_TF32
 *
 * Layers that the device cannot run so stay in FP32, and infer_engine_get_notes() says which, or
 * that none can. With
 * both FP16 and BF16 allowed FP16 is taken. Inputs and outputs keep their types.
 */
INFER_API void infer_builder_set_precisions(InferBuilder *builder, InferPrecisions precisions);
/**
 * infer_builder_set_optimization_level:
 * @builder: a builder
 * @level: 0..5, as TensorRT's: 0 builds at once and measures nothing, 3 (the default) measures what
 *   usually wins, 5 everything that could
 */
INFER_API void infer_builder_set_optimization_level(InferBuilder *builder, guint level);
/**
 * infer_builder_set_time_budget:
 * @builder: a builder
 * @nanoseconds: after which nothing more is measured; 0 (the default) for no limit
 */
INFER_API void infer_builder_set_time_budget(InferBuilder *builder, guint64 nanoseconds);
/**
 * infer_builder_set_workspace_limit:
 * @builder: a builder
 * @bytes: the most that a tactic may need while it runs; 0 (the default) for no limit
 */
INFER_API void infer_builder_set_workspace_limit(InferBuilder *builder, gsize bytes);
/**
 * infer_builder_set_deterministic:
 * @builder: a builder
 * @deterministic: whether only tactics are taken that give the same bits in every run (default
 *   FALSE)
 */
INFER_API void infer_builder_set_deterministic(InferBuilder *builder, gboolean deterministic);
/**
 * infer_builder_set_timing_cache:
 * @builder: a builder
 * @path: (nullable): a file, %NULL (the default) for the one in the user's cache directory, "" for
 *   none
 *
 * Where measured times are kept. Identical inputs with the same times build an identical plan.
 */
INFER_API void infer_builder_set_timing_cache(InferBuilder *builder, const char *path);
/**
 * infer_builder_set_refittable:
 * @builder: a builder
 * @refittable: whether an #InferRefit can give the engine other weights (default FALSE)
 *
 * The engine and its plans keep the network as it was given, with the weights that differ from
 * those in the steps; that is what it costs.
 */
INFER_API void infer_builder_set_refittable(InferBuilder *builder, gboolean refittable);
/**
 * infer_builder_set_stripped:
 * @builder: a builder
 * @stripped: whether plans leave out the weights (default FALSE); it makes the engine refittable
 *
 * The engine itself can run. What is loaded from its plan has to get the weights of 1 KiB and more
 * from an #InferRefit first.
 */
INFER_API void infer_builder_set_stripped(InferBuilder *builder, gboolean stripped);
/**
 * infer_builder_set_progress:
 * @builder: a builder
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): told what is being
 *   done
 * @user_data: for @func
 * @destroy: frees @user_data
 */
INFER_API void infer_builder_set_progress(InferBuilder *builder, InferProgressFunc func,
                                          gpointer user_data, GDestroyNotify destroy);

/**
 * infer_builder_build:
 * @builder: a builder
 * @network: the network; it is not changed
 * @source: (nullable): what the network was made from, for the plan's header
 * @cancellable: (nullable): stops the build
 * @error: return location
 *
 * Runs the passes, chooses an implementation for each step, packs weights, plans memory and
 * verifies the result.
 *
 * Returns: (transfer full) (nullable): an engine that can run at once and be saved.
 */
INFER_API InferEngine *infer_builder_build(InferBuilder *builder, InferNetwork *network,
                                           const char *source, GCancellable *cancellable,
                                           GError **error);

G_END_DECLS
