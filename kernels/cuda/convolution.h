/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "generate.h"

G_BEGIN_DECLS

/* What our kernels for convolutions share. */

/**
 * InferCudaConv:
 * @window: the window
 * @groups: groups of channels
 * @in: channels that come in
 * @out: channels that go out
 * @bias: the step's input that holds it, -1 for none
 */
typedef struct {
  InferCudaWindow window;
  gint64 groups, in, out;
  gint bias;
} InferCudaConv;

/** infer_cuda_conv_supports: whether @step is a Conv or ConvTranspose of floats with constant
 *  weights and nodes behind it that can be a chain; sets layouts to channels-last. */
gboolean infer_cuda_conv_supports(const InferStep *step, InferLayout *inputs, InferLayout *outputs);
gboolean infer_cuda_conv_init(InferCudaConv *conv, const InferPrepare *prepare, GError **error);

/** infer_cuda_conv_pack: weights as rows of output channels in their own type: [tap][input of the
 *  group][output]. Returns: (nullable): in the device's memory */
const void *infer_cuda_conv_pack(const InferCudaConv *conv, InferPrepare *prepare, GError **error);

/** infer_cuda_conv_define: appends what every kernel wants to know: IN_*, OUT_* of the tensors, the
 *  window, GROUPS, IN_C, OUT_C, BIAS_T, BIAS_SLOT (-1 for none), WEIGHT_SLOT. */
gboolean infer_cuda_conv_define(GString *source, const InferCudaConv *conv,
                                const InferPrepare *prepare, GError **error);

G_END_DECLS
