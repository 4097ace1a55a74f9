/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* Equations of Einsum. Labels are numbers: 0 to 51 for the letters, then the dimensions that an
 * ellipsis stands for, counted from the last. */

#define INFER_EINSUM_LABELS (52 + INFER_MAX_DIMS)

/**
 * InferEinsumTerm: one operand of an equation
 * @n: labels written
 * @ellipsis: how many labels precede the ellipsis; -1 where there is none
 */
typedef struct {
  gint n;
  guint8 labels[INFER_MAX_DIMS];
  gint ellipsis;
} InferEinsumTerm;

/**
 * InferEinsum:
 * @size: of each label; a symbol, or unknown
 * @last_use: index of the last input that has a label, plus 1; 0 where none has it
 * @out: labels of the output; n is -1 where the rank is not known
 */
typedef struct {
  gint64 size[INFER_EINSUM_LABELS];
  guint last_use[INFER_EINSUM_LABELS];
  gint n_out;
  guint8 out[INFER_MAX_DIMS];
} InferEinsum;

/** infer_einsum_read: reads the equation of @node and checks it against the dimensions. */
gboolean infer_einsum_read(const InferNode *node, const InferDims *const *dims, guint n,
                           InferEinsum *einsum, GError **error);

/** infer_einsum_next: reads a term of an equation that was checked before.
 *  Returns: what follows the term. */
const char *infer_einsum_next(const char *text, InferEinsumTerm *term);

/** infer_einsum_expand: labels of all @rank dimensions of a term. */
void infer_einsum_expand(const InferEinsumTerm *term, gint rank, guint8 *labels);

G_END_DECLS
