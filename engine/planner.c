/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "planner.h"

static gint
by_size(gconstpointer a, gconstpointer b, gpointer lives)
{
  const InferLife *x = (const InferLife *)lives + *(const guint *)a;
  const InferLife *y = (const InferLife *)lives + *(const guint *)b;

  if (x->size != y->size)
    return x->size < y->size ? 1 : -1;
  if (x->first != y->first)
    return x->first < y->first ? -1 : 1;
  return *(const guint *)a < *(const guint *)b ? -1 : 1;
}

static gint
by_offset(gconstpointer a, gconstpointer b)
{
  const InferLife *x = *(InferLife *const *)a, *y = *(InferLife *const *)b;

  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The lowest gap between the blocks that live at the same time, which are sorted by offset. */
static gsize
lowest_gap(GPtrArray *placed, const InferLife *life)
{
  gsize offset = 0;

  for (guint i = 0; i < placed->len; i++) {
    const InferLife *other = placed->pdata[i];

    if (other->last < life->first || other->first > life->last)
      continue;
    if (other->offset >= offset && other->offset - offset >= life->size)
      break;
    offset = MAX(offset, other->offset + other->size);
  }
  return offset;
}

gboolean
infer_plan_memory(InferLife *lives, guint n, gsize *total)
{
  g_autofree guint *order = g_new(guint, n + 1);
  g_autoptr(GPtrArray) placed = g_ptr_array_new();
  gsize sum = 0;

  *total = 0;
  for (guint i = 0; i < n; i++) {
    gsize rounded;

    order[i] = i;
    if (__builtin_add_overflow(lives[i].size, (gsize)INFER_MEMORY_ALIGNMENT - 1, &rounded))
      return FALSE;
    lives[i].size = rounded / INFER_MEMORY_ALIGNMENT * INFER_MEMORY_ALIGNMENT;
    if (__builtin_add_overflow(sum, lives[i].size, &sum))
      return FALSE;
  }
  if (n)
    g_qsort_with_data(order, (gint)n, sizeof *order, by_size, lives);
  for (guint i = 0; i < n; i++) {
    InferLife *life = &lives[order[i]];

    life->offset = life->size ? lowest_gap(placed, life) : 0;
    *total = MAX(*total, life->offset + life->size);
    if (life->size) {
      g_ptr_array_add(placed, life);
      g_ptr_array_sort(placed, by_offset);
    }
  }
  return TRUE;
}
