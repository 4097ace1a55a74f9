/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "copy.h"

G_BEGIN_DECLS

/* What steps of one node that move elements share. */

/** infer_cuda_operand: the step's input that is the node's input @index; -1 where absent. */
gint infer_cuda_anchor_operand(const InferStep *step, guint index);

/** infer_cuda_constant_operand: Returns: (nullable): the value of the node's input @index. */
const InferArray *infer_cuda_constant_operand(const InferStep *step, guint index);

/** infer_cuda_is_bytes: Returns: whether elements can be moved one by one. */
gboolean infer_cuda_is_bytes(InferType type);

extern const InferImpl infer_cuda_reformat;
extern const InferImpl infer_cuda_transpose;
extern const InferImpl infer_cuda_slice;
extern const InferImpl infer_cuda_expand;
extern const InferImpl infer_cuda_tile;
extern const InferImpl infer_cuda_shuffle;
extern const InferImpl infer_cuda_concat;
extern const InferImpl infer_cuda_split;
extern const InferImpl infer_cuda_pad;
extern const InferImpl infer_cuda_gather;
extern const InferImpl infer_cuda_scatter;
extern const InferImpl infer_cuda_where;
extern const InferImpl infer_cuda_onehot;
extern const InferImpl infer_cuda_constantofshape;
extern const InferImpl infer_cuda_cast;
extern const InferImpl infer_cuda_boxdecode;
extern const InferImpl infer_cuda_detectionnms;
extern const InferImpl infer_cuda_topk;
extern const InferImpl infer_cuda_roialign;
extern const InferImpl infer_cuda_gridsample;
extern const InferImpl infer_cuda_priorbox;

G_END_DECLS
