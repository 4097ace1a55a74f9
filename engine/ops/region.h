/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "number.h"

#include <math.h>

G_BEGIN_DECLS

/* What Caffe's poolings of regions share: regions [R, 5] of an image's number and x1, y1, x2, y2.
 */

/** region_scale: "spatial_scale", cells of the map per pixel. */
static inline gboolean
region_scale(const InferNode *node, double *scale, GError **error)
{
  *scale = infer_node_get_float(node, "spatial_scale", 1);
  return (*scale > 0 && isfinite(*scale)) ||
         infer_op_error(node, error, INFER_ERROR_ARGUMENT, "spatial_scale is %g", *scale);
}

/** region_at: Returns: (nullable): region @r of input 1, whose image there is in input 0. */
static inline const float *
region_at(const InferEvalArgs *args, gint64 r, GError **error)
{
  const float *region = (const float *)args->in[1]->data + 5 * r;
  gint64 images = args->in[0]->dims.d[0];

  if (region[0] >= 0 && region[0] < (float)images)
    return region;
  infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                 "region %" G_GINT64_FORMAT " is of image %g, there are %" G_GINT64_FORMAT, r,
                 (double)region[0], images);
  return NULL;
}

G_END_DECLS
