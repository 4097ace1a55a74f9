/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/context.h>
#include "backend.h"

G_BEGIN_DECLS

/**
 * InferAllocator: functions of a user, shared by the arenas that use them.
 */
typedef struct {
  gatomicrefcount refs;
  InferAllocFunc alloc;
  InferFreeFunc free;
  gpointer user_data;
  GDestroyNotify destroy;
} InferAllocator;

InferAllocator *infer_allocator_new(InferAllocFunc alloc, InferFreeFunc free_func,
                                    gpointer user_data, GDestroyNotify destroy);
InferAllocator *infer_allocator_ref(InferAllocator *allocator);
void infer_allocator_unref(InferAllocator *allocator);

/**
 * InferArena:
 * @memory: (nullable): of the device
 * @size: its bytes
 * @generation: counts the changes of @memory
 * @fixed: @memory is a user's and does not grow
 * @owner: the context whose run is under way, which no other may disturb
 *
 * Memory of contexts that never run at once.
 */
typedef struct {
  gatomicrefcount refs;
  InferDevice *device;
  InferAllocator *allocator; /* (nullable) */
  guint8 *memory;
  gsize size;
  guint generation;
  gboolean fixed;
  gpointer owner;
} InferArena;

/** infer_arena_new: @allocator: (nullable) (transfer none) */
InferArena *infer_arena_new(InferDevice *device, InferAllocator *allocator);
InferArena *infer_arena_ref(InferArena *arena);
void infer_arena_unref(InferArena *arena);

/** infer_arena_grow: makes the arena hold at least @size bytes; what was in it is lost when it
 *  moves. A fixed one stays as it is. An error while a context other than @user runs in it. */
gboolean infer_arena_grow(InferArena *arena, gsize size, gpointer user, GError **error);

/** infer_arena_acquire: takes the arena for a run of @user. */
gboolean infer_arena_acquire(InferArena *arena, gpointer user, GError **error);
void infer_arena_release(InferArena *arena, gpointer user);

G_END_DECLS
