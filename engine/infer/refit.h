/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/engine.h>
#include <infer/network.h>

G_BEGIN_DECLS

#define INFER_TYPE_REFIT (infer_refit_get_type())
/**
 * InferRefit:
 *
 * Other weights for an engine that was built with infer_builder_set_refittable() or
 * infer_builder_set_stripped(). The weights are those of the network that was built, under their
 * names there: what the builder has made of them (folded, joined, transposed, rounded, packed) is
 * made again, without measuring anything. Used by one thread at a time.
 */
INFER_API
G_DECLARE_FINAL_TYPE(InferRefit, infer_refit, INFER, REFIT, GObject)

/**
 * infer_refit_new:
 * @engine: an engine; it stays as it is
 * @error: return location
 *
 * Returns: (transfer full) (nullable): %NULL where the engine is not refittable
 */
INFER_API InferRefit *infer_refit_new(InferEngine *engine, GError **error);

/**
 * infer_refit_get_names:
 * @refit: a refit
 *
 * The weights: constants of floating-point numbers, and of integers of at most 8 bits. Others are
 * shapes and indices, which decide what the network is.
 *
 * Returns: (transfer none) (array zero-terminated=1): their names, in the order of the network
 */
INFER_API const char *const *infer_refit_get_names(InferRefit *refit);
/**
 * infer_refit_get_missing:
 * @refit: a refit
 *
 * Returns: (transfer container) (array zero-terminated=1): names of the weights that were left out
 *   of the plan and have not been set yet; to free with g_free()
 */
INFER_API const char **infer_refit_get_missing(InferRefit *refit);
/**
 * infer_refit_get_weights:
 * @refit: a refit
 * @name: a weight
 *
 * Returns: (transfer none) (nullable): what was set, else what the engine has; %NULL where there is
 *   none of that name or it was left out
 */
INFER_API InferArray *infer_refit_get_weights(InferRefit *refit, const char *name);
/**
 * infer_refit_get_prototype:
 * @refit: a refit
 * @name: a weight
 * @type: (out) (optional): its element type
 * @dims: (out caller-allocates) (optional): its dimensions
 *
 * Returns: FALSE when there is none of that name
 */
INFER_API gboolean infer_refit_get_prototype(InferRefit *refit, const char *name, InferType *type,
                                             InferDims *dims);
/**
 * infer_refit_set_weights:
 * @refit: a refit
 * @name: a weight
 * @value: its new contents, of the same type and dimensions; a reference is taken, and they may not
 *   change any more
 * @error: return location
 *
 * Returns: success
 */
INFER_API gboolean infer_refit_set_weights(InferRefit *refit, const char *name, InferArray *value,
                                           GError **error);
/**
 * infer_refit_set_from_network:
 * @refit: a refit
 * @network: a network that has weights under the same names, such as the same model parsed again
 * @error: return location
 *
 * Sets every weight that @network has a constant for. One of another type or other dimensions is an
 * error, and then none is set.
 *
 * Returns: how many were set, -1 with @error
 */
INFER_API gint infer_refit_set_from_network(InferRefit *refit, InferNetwork *network,
                                            GError **error);
/**
 * infer_refit_commit:
 * @refit: a refit without missing weights
 * @cancellable: (nullable): stops it
 * @error: return location
 *
 * Makes an engine with the weights. It has the tactics and recorded times of the old one where the
 * steps are the same, and shares what did not change. Weights that make another network of it, such
 * as a factor that became 1, are taken too; a note says that such an engine was not tuned.
 *
 * Returns: (transfer full) (nullable): an engine, refittable as well, whose plans are whole
 */
INFER_API InferEngine *infer_refit_commit(InferRefit *refit, GCancellable *cancellable,
                                          GError **error);

G_END_DECLS
