/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"

G_BEGIN_DECLS

/* What the files of the backend share that know nothing of a device. */

/** A file that is kept in the library; a zero byte follows it. */
typedef struct {
  const char *name;
  const guint8 *data, *end;
} InferCudaBlob;

/** Fat binaries, and texts of kernels; both end with a %NULL name. */
extern const InferCudaBlob infer_cuda_fixed_blobs[];
extern const InferCudaBlob infer_cuda_sources_blobs[];

/* cache.c */

/**
 * infer_cuda_cache_load:
 * @kind: suffix of the file
 * @key: everything that the contents depend on
 *
 * Returns: (transfer full) (nullable): what was stored for @key by this user and is undamaged
 */
GBytes *infer_cuda_cache_load(const char *kind, GBytes *key);
/** infer_cuda_cache_store: stores @data for @key; a failure only costs time later. */
void infer_cuda_cache_store(const char *kind, GBytes *key, GBytes *data);

/* nvrtc.c */

/** infer_cuda_nvrtc_arch: what kernels are compiled for on a device of that compute capability:
 *  "sm_90a" machine code, or "compute_120" PTX where the compiler does not know the device.
 *  Returns: (transfer full) (nullable) */
char *infer_cuda_nvrtc_arch(gint major, gint minor, GError **error);
/** infer_cuda_nvrtc_compile: Returns: (transfer full) (nullable): machine code or PTX, from the
 *  cache where it is there. Errors hold the compiler's log. */
GBytes *infer_cuda_nvrtc_compile(const char *source, const char *arch, GError **error);

G_END_DECLS
