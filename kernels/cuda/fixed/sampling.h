/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared.h"

#define INFER_CUDA_SPATIAL 3

/** InferCudaRoiAlign: see engine/ops/roialign.c. */
typedef struct {
  uint32_t count;
  InferCudaDivisor width, height, channels; /* of the output */
  int64_t images, in_height, in_width, ratio;
  int32_t largest, half_pixel;
  double scale;
} InferCudaRoiAlign;

/** InferCudaGridSample: see engine/ops/gridsample.c; modes and paddings are numbered as there. */
typedef struct {
  uint32_t count; /* of images and positions */
  InferCudaDivisor positions;
  int32_t n, mode, padding, align;
  int64_t channels, in[INFER_CUDA_SPATIAL];
} InferCudaGridSample;
