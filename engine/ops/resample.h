/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* Sampling for Resize, when shapes and attributes are settled. */

typedef enum {
  INFER_RESAMPLE_NEAREST,
  INFER_RESAMPLE_LINEAR,
  INFER_RESAMPLE_CUBIC
} InferResampleMode;

typedef enum {
  INFER_RESAMPLE_COORD_HALF_PIXEL,
  INFER_RESAMPLE_COORD_HALF_PIXEL_SYMMETRIC,
  INFER_RESAMPLE_COORD_PYTORCH_HALF_PIXEL,
  INFER_RESAMPLE_COORD_ALIGN_CORNERS,
  INFER_RESAMPLE_COORD_ASYMMETRIC,
  INFER_RESAMPLE_COORD_TF_HALF_PIXEL_FOR_NN,
  INFER_RESAMPLE_COORD_TF_CROP_AND_RESIZE,
} InferResampleCoord;

typedef enum {
  INFER_RESAMPLE_NEAR_PREFER_FLOOR,
  INFER_RESAMPLE_NEAR_PREFER_CEIL,
  INFER_RESAMPLE_NEAR_FLOOR,
  INFER_RESAMPLE_NEAR_CEIL
} InferResampleNear;

typedef enum {
  INFER_RESAMPLE_POLICY_STRETCH,
  INFER_RESAMPLE_POLICY_NOT_LARGER,
  INFER_RESAMPLE_POLICY_NOT_SMALLER
} InferResamplePolicy;

/**
 * InferResample: what is asked for, per dimension of the input
 * @by_sizes: the sizes are given exactly, so that @scale is only derived from them
 * @scale: output to input
 * @start: of the region, as a part of the input; used by tf_crop_and_resize
 * @end: of the region
 */
typedef struct {
  gint mode, coord, near, policy;
  gboolean antialias, exclude_outside;
  double extrapolation, cubic_a;
  gint n_axes;
  gint axes[INFER_MAX_DIMS];
  gboolean by_sizes;
  InferDims in, out;
  double scale[INFER_MAX_DIMS], start[INFER_MAX_DIMS], end[INFER_MAX_DIMS];
} InferResample;

/** infer_resample_scratch: Returns: bytes that the two functions below need, from the mode, the
 *  antialias flag and the dimensions alone; 0 where there is nothing to do. */
gsize infer_resample_scratch(const InferResample *r);

/** infer_resample_nearest: picks elements of any type of 8 bits or more. */
void infer_resample_nearest(const InferResample *r, const InferArray *x, InferArray *y,
                            gpointer scratch);

/** infer_resample_interpolate: filters numbers, one axis after the other, in double precision. */
void infer_resample_interpolate(const InferResample *r, const InferArray *x, InferArray *y,
                                gpointer scratch);

G_END_DECLS
