/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "fused.h"
#include "library.h"

G_BEGIN_DECLS

/** One of the matrices, row-major: elements from a row to the next and from a product to the next.
 */
typedef struct {
  gint64 pitch, batch;
  gboolean transposed; /* it lies with rows and columns exchanged */
} InferCublasltMatrix;

/**
 * InferCublasltProduct:
 * @m: rows of the result
 * @n: its columns
 * @k: what is summed over
 * @count: products of one call; the matrices' distances are in InferCublasltMatrix.batch
 * @n_outer: dimensions that calls are made for, one after the other
 * @alpha: factor of the product
 * @c_input: step input that is added to it, -1 for none
 * @beta: factor of that
 * @shape: the whole result, for the epilogue
 *
 * What cuBLASLt computes: epilogue(alpha * A * B + beta * C).
 */
typedef struct {
  InferType type;
  gint64 m, n, k, count;
  InferCublasltMatrix a, b, c, d;
  guint n_outer;
  gint64 outer[INFER_MAX_DIMS], a_outer[INFER_MAX_DIMS], b_outer[INFER_MAX_DIMS];
  gint64 d_outer[INFER_MAX_DIMS];
  gfloat alpha, beta;
  gint c_input;
  InferCudaFused chain;
  InferEpilogueShape shape;
  gint64 d_strides[4], side_strides[INFER_EPILOGUE_MAX_SIDES][4];
} InferCublasltProduct;

typedef struct _InferCublasltProductState InferCublasltProductState;

/** infer_cublaslt_product_tactics: as InferImpl.tactics. */
char **infer_cublaslt_product_tactics(const InferPrepare *prepare,
                                      const InferCublasltProduct *product,
                                      const InferTacticArgs *args);
/** infer_cublaslt_product_new: with the tactic of @prepare, or what the heuristics put first. The
 *  context has to be current. */
InferCublasltProductState *infer_cublaslt_product_new(InferPrepare *prepare,
                                                      const InferCublasltProduct *product,
                                                      GError **error);
void infer_cublaslt_product_free(InferCublasltProductState *state);
gboolean infer_cublaslt_product_run(InferCublasltProductState *state, InferStream *stream,
                                    const void *a, const void *b, void *const *inputs, void *d,
                                    void *workspace, GError **error);

G_END_DECLS
