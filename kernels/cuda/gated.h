/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "generate.h"

G_BEGIN_DECLS

/**
 * InferCudaGated:
 * @step: the step from its anchor on, as if what is in front of that were computed elsewhere
 * @scale: input of the whole step that input 0 is multiplied by, one number for each channel of an
 *   image; -1 for none
 * @map: for each input of @step, which of the whole step's it is
 * @buffers: the operands of @step, once infer_cuda_gated_prepare() was called
 *
 * A convolution whose input goes through the gate of squeeze and excitation. Not to be copied.
 */
typedef struct {
  InferStep step;
  gint scale;
  guint map[INFER_CUDA_MAX_INPUTS];
  InferTensor *inputs[INFER_CUDA_MAX_INPUTS];
  InferBuffer buffers[INFER_CUDA_MAX_INPUTS];
} InferCudaGated;

/** infer_cuda_gated_init: Returns: whether @step is built around its first node, or around the
 *  second with a gate as the first. */
gboolean infer_cuda_gated_init(InferCudaGated *self, const InferStep *step);
/** infer_cuda_gated_prepare: @prepare as it is for @self->step, whose memory it refers to. */
InferPrepare infer_cuda_gated_prepare(InferCudaGated *self, const InferPrepare *prepare);

G_END_DECLS
