/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prepare.h"

G_BEGIN_DECLS

/**
 * infer_place_tensors:
 * @self: with the buffers of all tensors, dense in their orders; roots, shifts, strides and
 *   skipped are filled in
 * @device: the device
 *
 * Decides for this batch which tensors lie in the memory of others: views, and, where every step
 * that reads or writes them accepts the strides that come out, the parts of Split and Slice in what
 * is cut and the parts of Concat in what is joined. A step all of whose copies are saved is marked
 * as skipped; one that has some parts in place runs for the others.
 *
 * Nothing of this is stored in a plan: offsets come from dimensions that were inferred here.
 */
void infer_place_tensors(InferPrepared *self, InferDevice *device);

/**
 * infer_place_reshape:
 * @from: dimensions of a tensor
 * @from_strides: its strides
 * @to: dimensions with as many elements
 * @to_strides: (out): strides that give the same elements in row-major order
 *
 * Returns: whether there are such strides
 */
gboolean infer_place_reshape(const InferDims *from, const gint64 *from_strides, const InferDims *to,
                             gint64 *to_strides);

G_END_DECLS
