/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib locks with futexes of its own, which the thread sanitizer cannot see. In its builds these
 * stand in front of GLib's functions and tell it what they order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <infer/types.h>
#include <sanitizer/tsan_interface.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

INFER_API void g_mutex_lock(GMutex *mutex);
INFER_API gboolean g_mutex_trylock(GMutex *mutex);
INFER_API void g_mutex_unlock(GMutex *mutex);
INFER_API void g_cond_wait(GCond *cond, GMutex *mutex);
INFER_API gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time);

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
