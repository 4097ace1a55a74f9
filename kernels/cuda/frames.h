/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cuda.h"

G_BEGIN_DECLS

/**
 * InferCudaUploads: what a stream needs to pre-process frames: memory of the host from which
 * descriptions and frames are copied to the device, which only grows.
 */
typedef struct _InferCudaUploads InferCudaUploads;

/** infer_cuda_uploads: where the stream keeps it; %NULL before the first frames. */
InferCudaUploads **infer_cuda_uploads(InferStream *stream);
/** infer_cuda_uploads_free: with the context current, after the stream's work has ended. */
void infer_cuda_uploads_free(InferCudaUploads *uploads);

/**
 * infer_cuda_preprocess:
 * @frames: in host memory, which is copied before this returns, or in memory of the device, which
 *   is read in place and has to stay as it is until the stream comes by
 *
 * Color conversion, resize, normalisation and layout of all frames in one launch; the results are
 * those of infer_cpu_preprocess() within 1 of 255. Images may also be of half floats.
 */
gboolean infer_cuda_preprocess(InferStream *stream, const InferFrame *frames, guint n_frames,
                               const InferPreprocess *pre, const InferImageTarget *target,
                               GError **error);

G_END_DECLS
