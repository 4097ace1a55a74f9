/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"
#include "network-private.h"

G_BEGIN_DECLS

/**
 * infer_assign_precision:
 * @network: a network that passes have left, in FP32; it is not changed
 * @device: the device that it is for
 * @type: the type that layers may compute in beside float: %INFER_TYPE_FLOAT16,
 *   %INFER_TYPE_BFLOAT16, or %INFER_TYPE_FLOAT where only layers that ask for another get one
 * @notes: (element-type utf8): sentences on layers that stay in FP32 are appended
 * @error: return location
 *
 * Gives layers @type where the device has an implementation for it, with Cast nodes where it
 * changes and constants converted. What decodes and sorts objects stays in FP32, with everything
 * pointwise that leads to it, since coordinates in half precision are off by pixels.
 *
 * Returns: (transfer full) (nullable): the network with types assigned
 */
InferNetwork *infer_assign_precision(InferNetwork *network, InferDevice *device, InferType type,
                                     GPtrArray *notes, GError **error);

G_END_DECLS
