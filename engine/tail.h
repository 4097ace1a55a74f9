/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prepare.h"

G_BEGIN_DECLS

/*
 * What follows from data-dependent dimensions (NonZero, NonMaxSuppression, Unique ...) cannot be
 * planned. It is split off as a network of its own, the tail, which is evaluated node by node on
 * the host after the planned steps, with memory from the heap.
 */

/**
 * infer_tail_split:
 * @network: a network that passes have left; the tail's nodes are taken out of it, and what the
 *   tail reads of it becomes an output
 * @values: of its symbols, to tell what is known in advance from what is not
 * @tail: (out) (transfer full) (nullable): the tail; %NULL when there is none
 * @error: return location
 *
 * The inputs of the tail have the names of tensors of @network.
 */
gboolean infer_tail_split(InferNetwork *network, const InferSymbolValues *values,
                          InferNetwork **tail, GError **error);

/**
 * infer_tail_run:
 * @tail: a tail
 * @values: InferTensor of @tail -> InferArray; the inputs are there, everything else is added
 * @error: return location
 */
gboolean infer_tail_run(InferNetwork *tail, GHashTable *values, GError **error);

G_END_DECLS
