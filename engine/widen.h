/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/*
 * Evaluation of types that operators do not want to know of, for all operators at once: float16
 * and bfloat16 operands are widened to float, the operator evaluates floats, and what it gives is
 * rounded once; elements of 4 and 2 bits that are only moved become bytes and are packed again;
 * strings that are only moved or compared become numbers.
 *
 * An operator says by its type check that it wants this: infer_op_require_type() with float among
 * the types and the operand's own not, or infer_op_eval_type(). An operator which moves elements
 * without looking at them checks nothing of the kind and gets 16-bit floats as they are.
 */

/** infer_widen_shape: infer_op_shape(), and in @widens which InferWidening evaluating needs. */
gboolean infer_widen_shape(const InferNode *node, const InferOperand *in, guint n_in,
                           InferOperand *out, guint n_out, guint *widens, GError **error);

/** infer_widen_scratch: bytes of scratch that evaluating the wider types needs. */
gsize infer_widen_scratch(const InferShapeArgs *args, guint widens);

/** InferWiden: a call that widens, made ready to be run any number of times without allocating. */
typedef struct _InferWiden InferWiden;

/**
 * infer_widen_new:
 * @call: the call, with the arrays of all operands; kept, and their data is read at each run
 * @widens: InferWidening
 * @constant: per input: its elements are there already and never change; they are widened now
 * @size: (out): bytes of memory that a run needs
 * @error: return location
 *
 * Returns: (transfer full) (nullable): the prepared call
 */
InferWiden *infer_widen_new(const InferEvalArgs *call, guint widens, const gboolean *constant,
                            gsize *size, GError **error);
void infer_widen_free(InferWiden *widen);

/** infer_widen_run: evaluates; @memory is aligned to 64 and has no meaning between runs. */
gboolean infer_widen_run(InferWiden *widen, gpointer memory, gpointer scratch, GError **error);

/** infer_widen_eval: the call for once, with memory of its own. Outputs that are %NULL are made as
 *  the operator makes them, in @types. */
gboolean infer_widen_eval(const InferEvalArgs *call, guint widens, const InferType *types,
                          GError **error);

G_END_DECLS
