/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * InferTimingCache:
 *
 * What was measured on a device, so that it need not be measured again, and two builds decide the
 * same. A file of names and nanoseconds; what cannot be read is started anew, since it can be
 * measured again. Used by one thread at a time; processes that share a file add to it in turn.
 */
typedef struct _InferTimingCache InferTimingCache;

/** infer_timing_cache_open: @path is %NULL for the user's cache, "" for none that is kept. */
InferTimingCache *infer_timing_cache_open(const char *path);
/** infer_timing_cache_close: writes what was added, by replacing the file. A failure is only
 *  logged. */
void infer_timing_cache_close(InferTimingCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferTimingCache, infer_timing_cache_close)

gboolean infer_timing_cache_lookup(InferTimingCache *cache, const char *key, guint64 *nanoseconds);
void infer_timing_cache_add(InferTimingCache *cache, const char *key, guint64 nanoseconds);

G_END_DECLS
