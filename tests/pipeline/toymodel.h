/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/*
 * A detector without weights, whose results can be told from the frame's colour: one object from
 * the upper left corner, as high as the frame, its width the frame's times red / 255, its score
 * green / 255, its class blue / 25. Colours are means over 4x4 pixels.
 */

#define TOY_SIDE 4
#define TOY_N_LABELS 10

/** toy_model_network: Returns: (transfer full): the network with its model info. */
InferNetwork *toy_model_network(guint max_batch, InferResize resize);
/** toy_model_save: builds for the CPU and writes a plan. */
void toy_model_save(const char *path, guint max_batch, InferResize resize);
