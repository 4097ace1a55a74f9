/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <string.h>

#define MAX_LENGTH 64

/* The edit distance of Levenshtein (1966), upper and lower case alike, of the first MAX_LENGTH
 * characters. */
static guint
edit_distance(const char *a, const char *b)
{
  guint row[MAX_LENGTH + 1];
  guint n_a = MIN(strlen(a), MAX_LENGTH);
  guint n_b = MIN(strlen(b), MAX_LENGTH);
  for (guint j = 0; j <= n_b; j++)
    row[j] = j;
  for (guint i = 1; i <= n_a; i++) {
    guint diagonal = row[0];
    row[0] = i;
    for (guint j = 1; j <= n_b; j++) {
      gboolean same = g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 1]);
      guint replaced = diagonal + (same ? 0 : 1);
      diagonal = row[j];
      row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[n_b];
}

const char *
exec_nearest_flag(const char *name)
{
  const char *nearest = exec_flags[0].name;
  guint least = G_MAXUINT;
  for (const ExecFlag *flag = exec_flags; flag->name != NULL; flag++) {
    /* Who wrote only the beginning meant that flag. */
    gboolean begun = name[0] != '\0' && g_ascii_strncasecmp(flag->name, name, strlen(name)) == 0;
    guint distance = begun ? 0 : edit_distance(name, flag->name);
    if (distance < least) {
      least = distance;
      nearest = flag->name;
    }
  }
  return nearest;
}
