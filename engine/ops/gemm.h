/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/** infer_gemm_supports: whether infer_gemm() has arithmetic for @type. */
gboolean infer_gemm_supports(InferType type);

/**
 * infer_gemm:
 * @type: float, double, or an integer of 32 or 64 bits (which wraps)
 * @trans_a: @a is stored k x m
 * @trans_b: @b is stored n x k
 * @m: rows of the result
 * @n: columns of the result
 * @k: length of the sums
 * @a: first matrix, row-major
 * @b: second matrix
 * @out: m x n, overwritten; not @a or @b
 *
 * The product of two matrices. Allocates nothing; see infer_op_go_on() for when it fails.
 */
gboolean infer_gemm(InferType type, gboolean trans_a, gboolean trans_b, gint64 m, gint64 n,
                    gint64 k, gconstpointer a, gconstpointer b, gpointer out, GError **error);

G_END_DECLS
