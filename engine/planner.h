/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/** Every block starts at a multiple of this: what libraries on devices want of their workspaces. */
#define INFER_MEMORY_ALIGNMENT 256

/**
 * InferLife: a block of memory and when it is needed.
 * @size: bytes
 * @first: the first step that touches it
 * @last: the last step that touches it
 * @offset: (out): where it lies
 */
typedef struct {
  gsize size;
  guint first, last;
  gsize offset;
} InferLife;

/**
 * infer_plan_memory:
 * @lives: blocks; offsets are filled in
 * @n: their number
 * @total: (out): bytes of the whole
 *
 * Places blocks so that two that live at once do not overlap: the largest first, each at the
 * lowest place that is free during its life (greedy by size; Pisarchyk and Lee, 2020).
 *
 * Returns: FALSE when the sum does not fit a gsize.
 */
gboolean infer_plan_memory(InferLife *lives, guint n, gsize *total);

G_END_DECLS
