/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/* A network by itself, with its decoder and without pictures being prepared. */
typedef struct {
  InferEngine *engine;
  InferContext *context;
} Alone;

/** alone_open: builds @model (or loads it, if it is a plan) for the CPU and batches of up to
 *  @max_batch. */
gboolean alone_open(Alone *alone, const char *model, guint max_batch, GError **error);
/** alone_rate: Returns: rows per second in runs of @batch, one after the other; 0 with @error. */
gdouble alone_rate(Alone *alone, guint batch, gdouble seconds, GError **error);
/** alone_best: finds the batch with the most rows per second among 1, 2, 4 ..; 0 with @error. */
guint alone_best(Alone *alone, gdouble seconds, GError **error);
void alone_close(Alone *alone);
