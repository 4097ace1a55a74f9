/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * driver [ROUNDS [PATH...]]: gives a fuzz target its seeds (and the files, and those in the
 * directories), whole, cut and changed at random, ROUNDS times. The sequence is the same every
 * time. driver --write-seeds DIR: writes the seeds into a directory.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GBytes *
change(GBytes *seed, GRand *random)
{
  gsize size = g_bytes_get_size(seed);
  guint8 *copy = g_memdup2(g_bytes_get_data(seed, NULL), size);
  guint n = (guint)g_rand_int_range(random, 1, 9);

  if (size == 0)
    return g_bytes_new_take(copy, 0);
  if (g_rand_int_range(random, 0, 8) == 0)
    size = (gsize)g_rand_double_range(random, 0, (double)size);
  for (guint i = 0; i < n && size; i++) {
    /* Half of the changes near the start, where the structure of most formats is. */
    double limit = g_rand_boolean(random) ? MIN((double)size, 4096) : (double)size;
    gsize at = (gsize)g_rand_double_range(random, 0, limit);

    switch (g_rand_int_range(random, 0, 4)) {
    case 0:
      copy[at] = (guint8)g_rand_int_range(random, 0, 256);
      break;
    case 1:
      copy[at] ^= (guint8)(1 << g_rand_int_range(random, 0, 8));
      break;
    case 2:
      copy[at] = g_rand_boolean(random) ? 0xff : 0;
      break;
    default: {
      gsize from = (gsize)g_rand_double_range(random, 0, limit);
      gsize wanted = (gsize)g_rand_int_range(random, 1, 33);
      gsize length = MIN(size - MAX(at, from), wanted);
      memmove(copy + at, copy + from, length);
    }
    }
  }
  return g_bytes_new_take(copy, size);
}

static int
write_seeds(const char *dir)
{
  g_autoptr(GPtrArray) seeds = fuzz_seeds();

  for (guint i = 0; i < seeds->len; i++) {
    g_autofree char *path = g_strdup_printf("%s/seed-%u", dir, i);
    gsize size;
    const char *data = g_bytes_get_data(seeds->pdata[i], &size);
    if (!g_file_set_contents(path, data, (gssize)size, NULL))
      return 1;
  }
  return 0;
}

static void
add_file(GPtrArray *seeds, const char *path)
{
  g_autoptr(GError) error = NULL;
  char *data;
  gsize size;

  if (!g_file_get_contents(path, &data, &size, &error)) {
    printf("Bail out! %s\n", error->message);
    exit(1);
  }
  g_ptr_array_add(seeds, g_bytes_new_take(data, size));
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
add_path(GPtrArray *seeds, const char *path)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  GDir *dir = g_file_test(path, G_FILE_TEST_IS_DIR) ? g_dir_open(path, 0, NULL) : NULL;
  const char *name;

  if (!dir) {
    add_file(seeds, path);
    return;
  }
  while ((name = g_dir_read_name(dir)))
    g_ptr_array_add(names, g_build_filename(path, name, NULL));
  g_dir_close(dir);
  g_ptr_array_sort(names, by_name);
  for (guint i = 0; i < names->len; i++)
    add_file(seeds, names->pdata[i]);
}

int
main(int argc, char **argv)
{
  g_autoptr(GPtrArray) seeds = NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  guint rounds = argc > 1 ? (guint)atoi(argv[1]) : 1000;

  if (argc == 3 && strcmp(argv[1], "--write-seeds") == 0)
    return write_seeds(argv[2]);
  seeds = fuzz_seeds();
  for (int i = 2; i < argc; i++)
    add_path(seeds, argv[i]);
  for (guint i = 0; i < seeds->len; i++) {
    gsize size;
    const guint8 *data = g_bytes_get_data(seeds->pdata[i], &size);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("ok 1 - %u seeds\n", seeds->len);
  for (guint i = 0; i < rounds; i++) {
    g_autoptr(GBytes) bytes = change(seeds->pdata[i % seeds->len], random);
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("ok 2 - %u changed inputs\n1..2\n", rounds);
  return 0;
}
