/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "network-private.h"

G_BEGIN_DECLS

/*
 * A pass takes a valid network and leaves a valid one. It returns the number of changes, or -1
 * with an error. Nodes that it makes useless are taken away by infer_network_compact() after it.
 */
typedef gint (*InferPassFunc)(InferNetwork *network, GError **error);

gint infer_pass_control(InferNetwork *network, GError **error);
gint infer_pass_constants(InferNetwork *network, GError **error);
gint infer_pass_shapes(InferNetwork *network, GError **error);
gint infer_pass_views(InferNetwork *network, GError **error);
gint infer_pass_batchnorm(InferNetwork *network, GError **error);
gint infer_pass_bias(InferNetwork *network, GError **error);
gint infer_pass_pad(InferNetwork *network, GError **error);
gint infer_pass_cse(InferNetwork *network, GError **error);
gint infer_pass_activations(InferNetwork *network, GError **error);
gint infer_pass_layernorm(InferNetwork *network, GError **error);
gint infer_pass_transposes(InferNetwork *network, GError **error);
gint infer_pass_identities(InferNetwork *network, GError **error);
gint infer_pass_scale(InferNetwork *network, GError **error);

/**
 * infer_pass_find_gate:
 * @pooling: a node
 * @nodes: (out): room for @most nodes, in order
 *
 * Returns: how many nodes, from @pooling to the product of its input with what convolutions make of
 *   the means, nobody else reads from; 0 where it is no such thing
 */
guint infer_pass_find_gate(const InferUses *uses, InferNode *pooling, InferNode **nodes,
                           guint most);

/** infer_passes_run: all passes until nothing changes, with the validator between them. */
gboolean infer_passes_run(InferNetwork *network, GCancellable *cancellable, GError **error);

/* Helpers that several passes need. */

/** Returns: the per-channel values (one per channel, or one for all) of a constant that is
 *  broadcast over axis 1 of tensors of @rank and @channels; %NULL when it varies elsewhere. */
float *infer_pass_channel_values(const InferTensor *constant, gint rank, gint64 channels);

/** Multiplies output channel c of the convolution @node's weights by @scale[c], and its bias
 *  likewise before adding @shift[c]; NULL for none. FALSE where it does not fit (not constant). */
gboolean infer_pass_scale_conv(InferNetwork *network, InferNode *node, const float *scale,
                               const float *shift);
/** The output channels of a Conv with constant float weights; 0 when it is none. */
gint64 infer_pass_conv_channels(const InferNode *node);

G_END_DECLS
