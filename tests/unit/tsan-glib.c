/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib locks with futexes of its own, which the thread sanitizer cannot see, and counts references
 * with atomic operations in code that it did not build. In its builds these stand in front of
 * GLib's functions and tell it what they order: a lock, or the last release of an object, what went
 * before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glib-object.h>
#include <infer/types.h>
#include <sanitizer/tsan_interface.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

INFER_API void g_mutex_lock(GMutex *mutex);
INFER_API gboolean g_mutex_trylock(GMutex *mutex);
INFER_API void g_mutex_unlock(GMutex *mutex);
INFER_API void g_cond_wait(GCond *cond, GMutex *mutex);
INFER_API gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time);
INFER_API void(g_object_unref)(gpointer object);
INFER_API gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count);
INFER_API void(g_atomic_rc_box_release)(gpointer box);
INFER_API void(g_atomic_rc_box_release_full)(gpointer box, GDestroyNotify clear);
INFER_API void gst_mini_object_unref(gpointer object);

void
g_mutex_lock(GMutex *mutex)
{
  static __typeof__(&g_mutex_lock) real;

  if (!real)
    real = REAL(g_mutex_lock);
  real(mutex);
  __tsan_acquire(mutex);
}

gboolean
g_mutex_trylock(GMutex *mutex)
{
  gboolean locked = REAL(g_mutex_trylock)(mutex);

  if (locked)
    __tsan_acquire(mutex);
  return locked;
}

void
g_mutex_unlock(GMutex *mutex)
{
  static __typeof__(&g_mutex_unlock) real;

  if (!real)
    real = REAL(g_mutex_unlock);
  __tsan_release(mutex);
  real(mutex);
}

void
g_cond_wait(GCond *cond, GMutex *mutex)
{
  __tsan_release(mutex);
  REAL(g_cond_wait)(cond, mutex);
  __tsan_acquire(mutex);
}

gboolean
g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
  gboolean woken;

  __tsan_release(mutex);
  woken = REAL(g_cond_wait_until)(cond, mutex, end_time);
  __tsan_acquire(mutex);
  return woken;
}

/* Whoever releases last frees, and has to know what the others did before. */
static void
order(gpointer object)
{
  __tsan_release(object);
  __tsan_acquire(object);
}

void(g_object_unref)(gpointer object)
{
  order(object);
  ((void (*)(gpointer))dlsym(RTLD_NEXT, "g_object_unref"))(object);
}

gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count)
{
  order((gpointer)count);
  return ((gboolean(*)(gatomicrefcount *))dlsym(RTLD_NEXT, "g_atomic_ref_count_dec"))(count);
}

void(g_atomic_rc_box_release)(gpointer box)
{
  order(box);
  ((void (*)(gpointer))dlsym(RTLD_NEXT, "g_atomic_rc_box_release"))(box);
}

void(g_atomic_rc_box_release_full)(gpointer box, GDestroyNotify clear)
{
  order(box);
  ((void (*)(gpointer, GDestroyNotify))dlsym(RTLD_NEXT, "g_atomic_rc_box_release_full"))(box,
                                                                                         clear);
}

void
gst_mini_object_unref(gpointer object)
{
  order(object);
  ((void (*)(gpointer))dlsym(RTLD_NEXT, "gst_mini_object_unref"))(object);
}
