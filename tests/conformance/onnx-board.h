/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum { PASSED, FAILED, SKIPPED } Verdict;

/**
 * Board: the results of many models, held against what is known to fail.
 *
 * A model that is known to fail counts as skipped when it does, and as failed when it passes, so
 * that the list stays true.
 */
typedef struct _Board Board;

/**
 * board_new:
 * @exclusions: (nullable): a file with lines "SET MODEL REASON"; "*" is every set, # a comment
 * @set: which lines count
 * @tap: whether results are printed for meson, as they come
 * @error: return location
 *
 * Returns: (transfer full) (nullable)
 */
Board *board_new(const char *exclusions, const char *set, gboolean tap, GError **error);
void board_free(Board *board);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Board, board_free)

/** board_add: counts a model. @message: (nullable): why it failed or was skipped */
void board_add(Board *board, const char *model, Verdict verdict, const char *message);

/** board_finish: prints what was counted. @complete: whether all models of the set were there
 *  Returns: whether nothing failed that should not. */
gboolean board_finish(Board *board, gboolean complete);

G_END_DECLS
