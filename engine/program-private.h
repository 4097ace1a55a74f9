/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"
#include "network-private.h"

G_BEGIN_DECLS

gboolean infer_order_is_valid(const InferOrder *order);
/** Whether dense tensors of @dims in the two orders have each element at the same place. */
gboolean infer_order_same_memory(const InferOrder *a, const InferOrder *b, const InferDims *dims);
/** The order of the output of a Transpose whose memory is the input's. */
InferOrder infer_order_transposed(const InferOrder *order, const gint64 *perm);

/** A step of @nodes, with its operands found; no implementation yet. */
InferStep *infer_step_new(InferNode *const *nodes, guint n_nodes, guint anchor);
void infer_step_free(gpointer step);

/** Whether a step only gives its input another shape: it has no implementation. */
static inline gboolean
infer_step_is_view(const InferStep *step)
{
  return step->impl == NULL;
}

/** infer_step_is_transpose: whether it is a Transpose alone; @perm has its permutation then. */
gboolean infer_step_is_transpose(const InferStep *step, gint64 *perm);
/** infer_settles_row_major: constants stay row-major, so that one which varies along more than an
 *  axis settles the order of what is read with it. */
gboolean infer_settles_row_major(const InferTensor *tensor);

/** infer_pass_fusion: cuts a network into steps, taking pointwise nodes into the step before them
 *  where the device supports the result. Returns: (transfer full): steps without layouts. */
GPtrArray *infer_pass_fusion(InferNetwork *network, InferDevice *device, gboolean fuse,
                             GError **error);

/** infer_pass_horizontal: joins convolutions that read one tensor where that pays on the device.
 *  Returns: the number of changes, -1 with @error. */
gint infer_pass_horizontal(InferNetwork *network, InferDevice *device, GError **error);

/** infer_join_siblings: infer_pass_horizontal() until nothing changes. */
gboolean infer_join_siblings(InferNetwork *network, InferDevice *device, GError **error);

/** infer_step_choose: the first implementation that supports the step; fills layouts, which have
 *  room for its operands. The reference is the last. */
const InferImpl *infer_step_choose(InferDevice *device, const InferStep *step, InferLayout *inputs,
                                   InferLayout *outputs);

/** infer_lower: steps, layouts and reformat steps of a network that passes have left.
 *  @network is changed and owned by the program. */
InferProgram *infer_lower(InferNetwork *network, InferDevice *device, gboolean fuse,
                          GError **error);

/** Copies between dense orders on the host; what the CPU backend does faster. */
extern const InferImpl infer_impl_reformat;

G_END_DECLS
