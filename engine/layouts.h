/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "program-private.h"

G_BEGIN_DECLS

/**
 * infer_choose_layouts:
 * @network: the network
 * @device: the device that steps will run on
 * @steps: (element-type InferStep): what fusion made of it, in order
 *
 * Decides for the steps that take any order which one costs the fewest bytes in conversions, all
 * over the network at once.
 *
 * Returns: (transfer full): for each step %INFER_LAYOUT_ROW_MAJOR or %INFER_LAYOUT_CHANNELS_LAST;
 *   %INFER_LAYOUT_ANY where it has no choice, or is to take what comes
 */
InferLayout *infer_choose_layouts(InferNetwork *network, InferDevice *device,
                                  const GPtrArray *steps);

G_END_DECLS
