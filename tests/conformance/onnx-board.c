/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onnx-board.h"

#include <string.h>

struct _Board {
  gboolean tap;
  guint totals[3];
  GHashTable *by_op;     /* name -> guint[3] */
  GHashTable *known;     /* model -> why it fails */
  GHashTable *seen;      /* models */
  GPtrArray *unexpected; /* char *, a line each */
};

static gboolean
read_line(Board *board, const char *line, const char *set, GError **error)
{
  g_auto(GStrv) words = g_strsplit(line, " ", 3);

  if (!line[0] || line[0] == '#')
    return TRUE;
  if (g_strv_length(words) != 3) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "'%s' is not a set, a model and a reason with single spaces between", line);
    return FALSE;
  }
  if ((g_str_equal(words[0], "*") || g_str_equal(words[0], set)) &&
      !g_hash_table_insert(board->known, g_strdup(words[1]), g_strdup(words[2]))) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s is listed twice", words[1]);
    return FALSE;
  }
  return TRUE;
}

static gboolean
read_exclusions(Board *board, const char *path, const char *set, GError **error)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents(path, &text, NULL, error))
    return FALSE;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (guint i = 0; lines[i]; i++)
    if (!read_line(board, lines[i], set, error)) {
      g_prefix_error(error, "%s:%u: ", path, i + 1);
      return FALSE;
    }
  return TRUE;
}

Board *
board_new(const char *exclusions, const char *set, gboolean tap, GError **error)
{
  g_autoptr(Board) board = g_new0(Board, 1);

  board->tap = tap;
  board->by_op = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  board->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  board->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  board->unexpected = g_ptr_array_new_with_free_func(g_free);
  if (exclusions && !read_exclusions(board, exclusions, set, error))
    return NULL;
  return g_steal_pointer(&board);
}

void
board_free(Board *board)
{
  g_hash_table_unref(board->by_op);
  g_hash_table_unref(board->known);
  g_hash_table_unref(board->seen);
  g_ptr_array_unref(board->unexpected);
  g_free(board);
}

static guint *
counts_of(Board *board, const char *model)
{
  const char *name = g_str_has_prefix(model, "test_") ? model + 5 : model;
  g_autofree char *op = g_strndup(name, strcspn(name, "_"));
  guint *counts = g_hash_table_lookup(board->by_op, op);

  if (!counts) {
    counts = g_new0(guint, 3);
    g_hash_table_insert(board->by_op, g_steal_pointer(&op), counts);
  }
  return counts;
}

static void
count(Board *board, const char *model, Verdict verdict, const char *message)
{
  /* A message may have several lines, a result may not. */
  g_autofree char *text = g_strdelimit(g_strdup(message ? message : ""), "\r\n", ' ');

  board->totals[verdict]++;
  if (verdict == FAILED)
    g_ptr_array_add(board->unexpected, g_strdup_printf("%s: %s", model, text));
  if (!board->tap)
    return;
  guint n = board->totals[PASSED] + board->totals[FAILED] + board->totals[SKIPPED];
  g_print("%s %u - %s%s%s\n", verdict == FAILED ? "not ok" : "ok", n, model,
          verdict == SKIPPED ? " # SKIP " : "", verdict == SKIPPED ? text : "");
  if (verdict == FAILED)
    g_print("# %s\n", text);
}

void
board_add(Board *board, const char *model, Verdict verdict, const char *message)
{
  const char *reason = g_hash_table_lookup(board->known, model);

  g_hash_table_add(board->seen, g_strdup(model));
  counts_of(board, model)[verdict]++;
  if (reason && verdict == PASSED)
    count(board, model, FAILED, "it passes: take it out of the list of known failures");
  else if (reason && verdict == FAILED)
    count(board, model, SKIPPED, reason);
  else
    count(board, model, verdict, message);
}

static void
count_stale(Board *board)
{
  GHashTableIter iter;
  gpointer model;

  g_hash_table_iter_init(&iter, board->known);
  while (g_hash_table_iter_next(&iter, &model, NULL))
    if (!g_hash_table_contains(board->seen, model))
      count(board, model, FAILED, "it is listed as a known failure, but there is no such model");
}

gboolean
board_finish(Board *board, gboolean complete)
{
  g_autoptr(GList) ops = g_list_sort(g_hash_table_get_keys(board->by_op), (GCompareFunc)strcmp);

  if (complete)
    count_stale(board);
  for (GList *l = ops; l && !board->tap; l = l->next) {
    const guint *counts = g_hash_table_lookup(board->by_op, l->data);
    g_print("%-28s %4u passed %4u failed %4u skipped\n", (const char *)l->data, counts[PASSED],
            counts[FAILED], counts[SKIPPED]);
  }
  for (guint i = 0; i < board->unexpected->len && !board->tap; i++)
    g_print("failed %s\n", (const char *)board->unexpected->pdata[i]);
  if (board->tap)
    g_print("1..%u\n# ", board->totals[PASSED] + board->totals[FAILED] + board->totals[SKIPPED]);
  g_print("%u passed, %u failed, %u skipped\n", board->totals[PASSED], board->totals[FAILED],
          board->totals[SKIPPED]);
  return board->totals[FAILED] == 0;
}
