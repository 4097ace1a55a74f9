/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cuda.h"
#include "epilogue.h"

G_BEGIN_DECLS

/**
 * InferCudaFused:
 * @program: what the nodes after the anchor do to its result
 * @n_sides: operands of the program that are not made in the step
 * @sides: their indices among the step's inputs
 * @constant: per side: one element for each channel, to be packed; else a tensor of the result's
 *   dimensions
 * @type: of everything: FLOAT, FLOAT16 or BFLOAT16
 */
typedef struct {
  InferEpilogueProgram program;
  guint n_sides;
  gint sides[INFER_EPILOGUE_MAX_SIDES];
  gboolean constant[INFER_EPILOGUE_MAX_SIDES];
  InferType type;
} InferCudaFused;

/**
 * infer_cuda_fused_parse:
 * @step: a step whose anchor comes first
 * @bias: (nullable): a constant of one element a channel that the anchor itself adds
 * @axis: the axis of channels; negative from the last
 * @channels: their number
 * @chain: (out): the program
 *
 * Returns: whether all of the step's nodes after the anchor can be a program, and all types are one
 */
gboolean infer_cuda_fused_parse(const InferStep *step, const InferTensor *bias, gint axis,
                                gint64 channels, InferCudaFused *chain);

/** infer_cuda_fused_side: a constant side in the device's memory, @padded elements for each of
 *  @groups groups. */
const void *infer_cuda_fused_side(InferPrepare *prepare, const InferCudaFused *chain, guint side,
                                  gint64 groups, gint64 padded, GError **error);

/** infer_cuda_fused_kernel: the kernel that interprets programs for a type. */
CUfunction infer_cuda_fused_kernel(InferCudaDevice *device, InferType type, GError **error);

/** infer_cuda_fused_blocks: blocks of 256 threads for @n elements, which loop where there are more.
 */
InferCudaSize infer_cuda_fused_blocks(const InferCudaDevice *device, gint64 n);

G_END_DECLS
