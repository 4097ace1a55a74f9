/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/*
 * A small detector with random weights that has a bit of everything: convolutions with batch
 * normalization, a depthwise one, a residual sum, clip, heads in channels-last order, box decode
 * and suppression, and optional inputs.
 */
InferNetwork *small_net_new(guint32 seed);

/** A random float constant. */
InferTensor *small_net_weight(InferNetwork *network, GRand *random, const char *name,
                              const InferDims *dims, double scale);
