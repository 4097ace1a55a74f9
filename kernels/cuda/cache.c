/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/*
 * Machine code that was compiled on this machine. It is run, so that only what this user alone can
 * write is read, and what was cut off or damaged is not taken.
 */

#define MAGIC "INFERGPU"
#define LARGEST_FILE ((gsize)256 << 20)

typedef struct {
  char magic[8];
  guint64 size;
  guint8 key[16];  /* of the key: a file that was renamed is another's */
  guint8 data[16]; /* of the contents */
} Header;

static void
hash(const void *data, gsize size, guint8 *result)
{
  XXH128_canonical_t canonical;

  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
  memcpy(result, canonical.digest, sizeof canonical.digest);
}

/* Whether nobody else can write there. */
static gboolean
is_ours(const struct stat *info)
{
  return info->st_uid == geteuid() && (info->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static char *
directory(void)
{
  g_autofree char *path = g_build_filename(g_get_user_cache_dir(), "gst-infer", "kernels", NULL);
  struct stat info;

  if (g_mkdir_with_parents(path, 0700) != 0 || lstat(path, &info) != 0 || !S_ISDIR(info.st_mode) ||
      !is_ours(&info))
    return NULL;
  return g_steal_pointer(&path);
}

static char *
file_name(const char *kind, GBytes *key, guint8 *digest)
{
  g_autofree char *folder = directory();
  char name[33];
  gsize size;
  gconstpointer data = g_bytes_get_data(key, &size);

  hash(data, size, digest);
  for (guint i = 0; i < 16; i++)
    g_snprintf(name + 2 * i, 3, "%02x", digest[i]);
  return folder ? g_strdup_printf("%s/%s.%s", folder, name, kind) : NULL;
}

static gboolean
read_all(int file, void *data, gsize size)
{
  for (gsize done = 0; done < size;) {
    gssize n = read(file, (guint8 *)data + done, size - done);
    if (n == 0 || (n < 0 && errno != EINTR))
      return FALSE;
    done += n > 0 ? (gsize)n : 0;
  }
  return TRUE;
}

static GBytes *
read_file(int file, const guint8 *key)
{
  struct stat info;
  Header header;
  guint8 digest[16];
  g_autofree guint8 *data = NULL;

  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || !is_ours(&info) ||
      !read_all(file, &header, sizeof header) || memcmp(header.magic, MAGIC, 8) != 0 ||
      memcmp(header.key, key, 16) != 0 || header.size > LARGEST_FILE ||
      (guint64)info.st_size != header.size + sizeof header)
    return NULL;
  data = g_malloc(header.size + 1);
  if (!read_all(file, data, header.size))
    return NULL;
  hash(data, header.size, digest);
  if (memcmp(header.data, digest, 16) != 0)
    return NULL;
  return g_bytes_new_take(g_steal_pointer(&data), header.size);
}

GBytes *
infer_cuda_cache_load(const char *kind, GBytes *key)
{
  guint8 digest[16];
  g_autofree char *path = file_name(kind, key, digest);
  int file = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
  GBytes *data;

  if (file < 0)
    return NULL;
  data = read_file(file, digest);
  close(file);
  return data;
}

void
infer_cuda_cache_store(const char *kind, GBytes *key, GBytes *data)
{
  Header header = {.magic = MAGIC, .size = g_bytes_get_size(data)};
  g_autofree char *path = file_name(kind, key, header.key);
  g_autoptr(GByteArray) whole = g_byte_array_new();
  g_autoptr(GError) error = NULL;

  if (!path || header.size > LARGEST_FILE)
    return;
  hash(g_bytes_get_data(data, NULL), header.size, header.data);
  g_byte_array_append(whole, (const guint8 *)&header, sizeof header);
  g_byte_array_append(whole, g_bytes_get_data(data, NULL), (guint)header.size);
  if (!g_file_set_contents_full(path, (const char *)whole->data, whole->len,
                                G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
    g_debug("compiled code is not kept: %s", error->message);
}
