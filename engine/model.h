/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/builder.h>
#include "network-private.h"

G_BEGIN_DECLS

/** Constants of fewer bytes stay in stripped plans: what implementations ask for (scales, bounds)
 *  is among them. */
#define INFER_MODEL_MIN_STRIPPED 1024

/**
 * InferModel:
 * @network: what the passes began with
 * @missing: names of its weights that were left out of the plan
 * @fusion: of the builder
 * @precisions: of the builder
 *
 * What a refittable engine keeps of how it was built.
 */
typedef struct {
  InferNetwork *network;
  GHashTable *missing;
  gboolean fusion;
  InferPrecisions precisions;
} InferModel;

/** infer_model_new: @network: (transfer none) */
InferModel *infer_model_new(InferNetwork *network, gboolean fusion, InferPrecisions precisions);
void infer_model_free(InferModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferModel, infer_model_free)

/** infer_model_is_weight_type: Returns: whether constants of @type may be set. */
gboolean infer_model_is_weight_type(InferType type);
/** infer_model_is_weight: Returns: whether a tensor is a constant that may be set. */
gboolean infer_model_is_weight(const InferTensor *tensor);
/** infer_model_is_stripped: Returns: whether a stripped plan leaves out the constant. */
gboolean infer_model_is_stripped(const InferTensor *tensor);

/** infer_model_build: runs the passes and lowers @model again, with the bindings of @engine.
 *  (builder.c) */
InferEngine *infer_model_build(const InferModel *model, InferEngine *engine,
                               GCancellable *cancellable, GError **error);

G_END_DECLS
