/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** FocusShape: row-major tensors; @scale and @shift are on the device, one number a channel. */
typedef struct {
  int64_t rows, channels, height,
      width; /* of the output: [rows, channels * block^2, height, width] */
  int64_t block;
  const float *scale, *shift;
  int is_uint8;
} FocusShape;

/** Enqueues the layer. Returns: a cudaError_t */
int focus_launch(const FocusShape *shape, const void *in, float *out, void *stream);

#ifdef __cplusplus
}
#endif
