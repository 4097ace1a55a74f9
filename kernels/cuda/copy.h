/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cuda.h"
#include "fixed/shared.h"

G_BEGIN_DECLS

/** InferCudaCopyKernels: by log2 of an element's bytes. */
typedef struct {
  CUfunction copy[5];
  CUfunction transpose[4];
} InferCudaCopyKernels;

/**
 * InferCudaCopy:
 * @size: bytes of an element: 1, 2, 4 or 8
 * @transpose: the source is dense along dims[n - 2], the destination along the last, and both are
 *   long enough for tiles
 *
 * A copy between two strided tensors of the same dimensions; dimensions are merged, and sorted as
 * the destination lies in memory.
 */
typedef struct {
  gint n;
  gint64 dims[INFER_CUDA_DIMS];
  gint64 src[INFER_CUDA_DIMS]; /* strides in elements; maybe 0 or negative */
  gint64 dst[INFER_CUDA_DIMS];
  gsize size;
  gboolean transpose;
} InferCudaCopy;

gboolean infer_cuda_copy_kernels(InferCudaDevice *device, InferCudaCopyKernels *kernels,
                                 GError **error);

/**
 * infer_cuda_copy_init:
 * @n: dimensions, at most INFER_CUDA_DIMS
 *
 * Returns: FALSE with an error where elements of @type are not whole bytes
 */
gboolean infer_cuda_copy_init(InferCudaCopy *copy, InferType type, gint n, const gint64 *dims,
                              const gint64 *src, const gint64 *dst, GError **error);

/** infer_cuda_copy_run: enqueues it, in elements as wide as dimensions and pointers allow. */
gboolean infer_cuda_copy_run(const InferCudaCopy *copy, const InferCudaCopyKernels *kernels,
                             const InferCudaQueue *queue, const void *src, void *dst,
                             GError **error);

/** infer_cuda_copy_args: Returns: whether the merged copy is small enough for one launch. */
gboolean infer_cuda_copy_args(const InferCudaCopy *copy, InferCudaCopyArgs *args);

/** infer_cuda_linear: launches one thread of @threads per @each elements. */
gboolean infer_cuda_linear(const InferCudaQueue *queue, CUfunction function, guint32 count,
                           guint threads, guint each, void **params, GError **error);

G_END_DECLS
