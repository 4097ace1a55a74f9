/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "impls.h"

G_BEGIN_DECLS

/* What NVIDIA's libraries run. */

extern const InferImpl infer_cublaslt_convolution;
extern const InferImpl infer_cublaslt_gemm;
extern const InferImpl infer_cudnn_convolution;

G_END_DECLS
