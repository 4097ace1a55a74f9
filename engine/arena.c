/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arena.h"
#include "planner.h"

InferAllocator *
infer_allocator_new(InferAllocFunc alloc, InferFreeFunc free_func, gpointer user_data,
                    GDestroyNotify destroy)
{
  InferAllocator *self = g_new0(InferAllocator, 1);

  g_atomic_ref_count_init(&self->refs);
  self->alloc = alloc;
  self->free = free_func;
  self->user_data = user_data;
  self->destroy = destroy;
  return self;
}

InferAllocator *
infer_allocator_ref(InferAllocator *self)
{
  g_atomic_ref_count_inc(&self->refs);
  return self;
}

void
infer_allocator_unref(InferAllocator *self)
{
  if (!g_atomic_ref_count_dec(&self->refs))
    return;
  if (self->destroy)
    self->destroy(self->user_data);
  g_free(self);
}

InferArena *
infer_arena_new(InferDevice *device, InferAllocator *allocator)
{
  InferArena *self = g_new0(InferArena, 1);

  g_atomic_ref_count_init(&self->refs);
  self->device = infer_device_ref(device);
  self->allocator = allocator ? infer_allocator_ref(allocator) : NULL;
  return self;
}

InferArena *
infer_arena_ref(InferArena *self)
{
  g_atomic_ref_count_inc(&self->refs);
  return self;
}

static guint8 *
get_memory(InferArena *self, gsize size, GError **error)
{
  const InferAllocator *allocator = self->allocator;
  guint8 *memory;

  if (!allocator)
    return self->device->backend->alloc(self->device, size, error);
  memory = allocator->alloc(size, INFER_MEMORY_ALIGNMENT, allocator->user_data);
  if (memory && (gsize)memory % INFER_MEMORY_ALIGNMENT == 0)
    return memory;
  if (memory)
    allocator->free(memory, size, allocator->user_data);
  g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
              memory ? "the allocator gave memory for %" G_GSIZE_FORMAT
                       " bytes that is not aligned to %d"
                     : "the allocator gave no memory for %" G_GSIZE_FORMAT " bytes aligned to %d",
              size, INFER_MEMORY_ALIGNMENT);
  return NULL;
}

static void
drop_memory(InferArena *self)
{
  if (self->memory && !self->fixed) {
    if (self->allocator)
      self->allocator->free(self->memory, self->size, self->allocator->user_data);
    else
      self->device->backend->free(self->device, self->memory);
  }
  self->memory = NULL;
  self->size = 0;
}

void
infer_arena_unref(InferArena *self)
{
  if (!g_atomic_ref_count_dec(&self->refs))
    return;
  drop_memory(self);
  g_clear_pointer(&self->allocator, infer_allocator_unref);
  infer_device_unref(self->device);
  g_free(self);
}

static gboolean
check_free(InferArena *self, gpointer user, GError **error)
{
  gpointer owner = g_atomic_pointer_get(&self->owner);

  if (!owner || owner == user)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
              "a context that shares its memory with this one is running; synchronize it first");
  return FALSE;
}

gboolean
infer_arena_grow(InferArena *self, gsize size, gpointer user, GError **error)
{
  guint8 *memory;

  /* Of no bytes too, so that what lies in them is somewhere. */
  size = MAX(size, 1);
  if (size <= self->size || self->fixed)
    return TRUE;
  if (!check_free(self, user, error))
    return FALSE;
  memory = get_memory(self, size, error);
  if (!memory)
    return FALSE;
  drop_memory(self);
  self->memory = memory;
  self->size = size;
  self->generation++;
  return TRUE;
}

gboolean
infer_arena_acquire(InferArena *self, gpointer user, GError **error)
{
  if (g_atomic_pointer_compare_and_exchange(&self->owner, NULL, user))
    return TRUE;
  return check_free(self, user, error);
}

void
infer_arena_release(InferArena *self, gpointer user)
{
  g_atomic_pointer_compare_and_exchange(&self->owner, user, NULL);
}
