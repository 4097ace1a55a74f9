/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cuda.h"

#include <cublasLt.h>
#include <cudnn_backend.h>
#include <cudnn_graph.h>

G_BEGIN_DECLS

/* NVIDIA's libraries: handles and errors. */

/** infer_cuda_library_enter: makes the device's context current, and gives this thread a handle to
 *  prepare with until infer_cuda_library_leave(). */
void infer_cuda_library_enter(InferCudaDevice *device);
void infer_cuda_library_leave(InferCudaDevice *device);
/** infer_cuda_cudnn: the handle of the thread that entered. */
cudnnHandle_t infer_cuda_cudnn(GError **error);

/** infer_cuda_cudnn_of: the stream's handle, to run with. */
cudnnHandle_t infer_cuda_cudnn_of(InferStream *stream, GError **error);

/** infer_cuda_cublaslt: the device's handle, which any thread may use. */
cublasLtHandle_t infer_cuda_cublaslt(InferCudaDevice *device, GError **error);

/** infer_cuda_allows_tf32: Returns: whether a tactic computes products of FP32 with TF32's 10 bits,
 *  for which it ends in ",tf32"; a step that has none keeps all bits. */
gboolean infer_cuda_allows_tf32(const char *tactic);

/** infer_cudnn_check: sets an error that names what was done and cuDNN's reason. */
gboolean infer_cudnn_check(cudnnStatus_t status, const char *what, GError **error);
gboolean infer_cublaslt_check(cublasStatus_t status, const char *what, GError **error);

G_END_DECLS
