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
/** Side of the matrix that a slow model multiplies by. */
#define TOY_WORK_SIDE 512

/** toy_model_network: Returns: (transfer full): the network with its model info. */
InferNetwork *toy_model_network(guint max_batch, InferResize resize);
/** toy_model_network_slow: multiplies @work times by a square matrix on the way. */
InferNetwork *toy_model_network_slow(guint max_batch, InferResize resize, guint work);
/** toy_model_save: builds for the CPU and writes a plan. */
void toy_model_save(const char *path, guint max_batch, InferResize resize);
void toy_model_save_slow(const char *path, guint max_batch, InferResize resize, guint work);
