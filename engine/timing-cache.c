/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "timing-cache.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC "INFERTC1"
#define MAX_SIZE (64u << 20)

struct _InferTimingCache {
  char *path;        /* NULL where nothing is kept */
  GHashTable *times; /* key -> guint64 * */
  gboolean changed;
};

static void
put(GHashTable *times, const char *key, guint64 nanoseconds)
{
  g_hash_table_insert(times, g_strdup(key), g_memdup2(&nanoseconds, sizeof nanoseconds));
}

/* Adds what the file has and @times has not. */
static void
read_file(const char *path, GHashTable *times)
{
  g_autofree char *data = NULL;
  g_autoptr(GVariant) table = NULL;
  g_autoptr(GBytes) bytes = NULL;
  GVariantIter iter;
  const char *key;
  guint64 hash, nanoseconds;
  gsize size;

  if (!g_file_get_contents(path, &data, &size, NULL))
    return;
  memcpy(&hash, data + MIN(size, 8), size >= 16 ? sizeof hash : 0);
  if (size < 16 || size > MAX_SIZE || memcmp(data, MAGIC, 8) != 0 ||
      XXH3_64bits(data + 16, size - 16) != GUINT64_FROM_LE(hash)) {
    g_info("timing cache '%s' cannot be read and is started anew", path);
    return;
  }
  bytes = g_bytes_new(data + 16, size - 16);
  table = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE("a{st}"), bytes, FALSE));
  if (!g_variant_is_normal_form(table))
    return;
  /* What is not known to be in order is searched for each entry anew. */
  g_variant_unref(table);
  table = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE("a{st}"), bytes, TRUE));
  g_variant_iter_init(&iter, table);
  while (g_variant_iter_next(&iter, "{&st}", &key, &nanoseconds))
    if (!g_hash_table_contains(times, key))
      put(times, key, nanoseconds);
}

InferTimingCache *
infer_timing_cache_open(const char *path)
{
  InferTimingCache *self = g_new0(InferTimingCache, 1);

  self->times = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  if (!path)
    self->path = g_build_filename(g_get_user_cache_dir(), "gst-infer", "timing.cache", NULL);
  else if (*path)
    self->path = g_strdup(path);
  if (self->path)
    read_file(self->path, self->times);
  return self;
}

gboolean
infer_timing_cache_lookup(InferTimingCache *self, const char *key, guint64 *nanoseconds)
{
  const guint64 *found = g_hash_table_lookup(self->times, key);

  if (found)
    *nanoseconds = *found;
  return found != NULL;
}

void
infer_timing_cache_add(InferTimingCache *self, const char *key, guint64 nanoseconds)
{
  put(self->times, key, nanoseconds);
  self->changed = TRUE;
}

static gboolean
write_file(InferTimingCache *self, GError **error)
{
  g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(self->times), (GCompareFunc)strcmp);
  g_autoptr(GVariant) table = NULL;
  g_autofree char *file = NULL;
  GVariantBuilder builder;
  guint64 hash;
  gsize size;

  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{st}"));
  for (GList *l = keys; l; l = l->next)
    g_variant_builder_add(&builder, "{st}", l->data,
                          *(guint64 *)g_hash_table_lookup(self->times, l->data));
  table = g_variant_ref_sink(g_variant_builder_end(&builder));
  size = g_variant_get_size(table);
  file = g_malloc(size + 16);
  memcpy(file, MAGIC, 8);
  g_variant_store(table, file + 16);
  hash = GUINT64_TO_LE(XXH3_64bits(file + 16, size));
  memcpy(file + 8, &hash, sizeof hash);
  return g_file_set_contents_full(self->path, file, (gssize)size + 16,
                                  G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
}

/* Under a lock, so that what another process added in between is kept. */
static void
save(InferTimingCache *self)
{
  g_autofree char *folder = g_path_get_dirname(self->path);
  g_autofree char *lock = g_strconcat(self->path, ".lock", NULL);
  g_autoptr(GError) error = NULL;
  int fd;

  g_mkdir_with_parents(folder, 0700);
  fd = g_open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0)
    flock(fd, LOCK_EX);
  read_file(self->path, self->times);
  if (!write_file(self, &error))
    g_warning("timing cache '%s' cannot be written: %s", self->path, error->message);
  if (fd >= 0)
    close(fd);
}

void
infer_timing_cache_close(InferTimingCache *self)
{
  if (self->changed && self->path)
    save(self);
  g_hash_table_unref(self->times);
  g_free(self->path);
  g_free(self);
}
