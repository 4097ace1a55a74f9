/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine-private.h"
#include "timing-cache.h"

G_BEGIN_DECLS

/**
 * InferTuneOptions:
 * @args: what implementations are asked for tactics with; level 0 measures nothing
 * @budget: nanoseconds after which nothing more is measured; 0 for no limit
 */
typedef struct {
  InferTacticArgs args;
  guint64 budget;
} InferTuneOptions;

/**
 * infer_tune:
 * @engine: an engine without tunings, which gets them
 * @options: how much to try
 * @cache: times of before, and what is measured now
 * @cancellable: (nullable): asked before each measurement
 *
 * Measures, for the batches that are worth it, every implementation and tactic of each step in
 * its place on the device, and keeps the fastest. Equal steps are measured once.
 */
gboolean infer_tune(InferEngine *engine, const InferTuneOptions *options, InferTimingCache *cache,
                    GCancellable *cancellable, GError **error);

G_END_DECLS
