/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "generate.h"

G_BEGIN_DECLS

/* What reductions and normalizations share: which axes are kept, which go, and how threads are laid
 * over them (source/reduce.cu). */

#define INFER_CUDA_NEST_AXES (INFER_MAX_DIMS + 1)

/** Operands that are walked: the input, the output, and factors and terms of normalizations. */
enum { INFER_NEST_X, INFER_NEST_Y, INFER_NEST_SCALE, INFER_NEST_SHIFT, INFER_NEST_OPERANDS };

typedef struct {
  gint64 dim;
  gint64 stride[INFER_NEST_OPERANDS];
  gint axis; /* of the output; 0 where there is none */
} InferCudaNestAxis;

/**
 * InferCudaNest:
 * @kept: axes that are kept, innermost of the input last
 * @gone: axes that go
 * @outputs: elements of all kept axes
 * @count: elements of all axes that go
 * @lanes: threads side by side on what is kept
 * @depth: threads that share what goes
 * @vec: neighbours on what is kept
 * @run: neighbours on what goes; one of the two is 1
 */
typedef struct {
  gint n_kept, n_gone;
  InferCudaNestAxis kept[INFER_CUDA_NEST_AXES], gone[INFER_CUDA_NEST_AXES];
  gint64 outputs, count;
  gint lanes, depth, vec, run;
} InferCudaNest;

void infer_cuda_nest_add(InferCudaNest *nest, gboolean gone, const InferCudaNestAxis *axis);
/** infer_cuda_nest_finish: sorts and, kept axes only with @join_kept, joins the axes; decides on
 *  threads. @stores_run: the output is as large as the input. */
void infer_cuda_nest_finish(InferCudaNest *nest, const InferBuffer *x, const InferBuffer *y,
                            gboolean join_kept, gboolean stores_run);
void infer_cuda_nest_define(const InferCudaNest *nest, GString *source, const InferBuffer *x,
                            const InferBuffer *y);
/** infer_cuda_nest_is_wide: whether offsets into @buffer need 64 bits. */
gboolean infer_cuda_nest_is_wide(const InferBuffer *x, const InferBuffer *y);
/** infer_cuda_accumulator: Returns: (nullable): the C type that a kind of reduction adds in. */
const char *infer_cuda_accumulator(InferType type, gboolean roots);

/** infer_cuda_any_strides: an InferImpl.strided for kernels that walk by strides. */
gboolean infer_cuda_any_strides(const InferPrepare *prepare, gboolean output, guint index);

G_END_DECLS
