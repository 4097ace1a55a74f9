/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a build goes on after it was cancelled: builds networks of the zoo, cancels each after a
 * longer time than the one before, and prints the longest wait.
 *
 *   cancel [--step SECONDS] [NETWORK ...]
 */
#include "zoo.h"

#include <stdio.h>

typedef struct {
  GCancellable *cancellable;
  double after;
  gint64 when;
  const char *stage; /* that was reached last */
} Cancel;

static void
progress(const char *stage, double fraction, gpointer user_data)
{
  ((Cancel *)user_data)->stage = stage;
}

static gpointer
cancel_later(gpointer data)
{
  Cancel *cancel = data;

  g_usleep((gulong)(cancel->after * 1e6));
  cancel->when = g_get_monotonic_time();
  g_cancellable_cancel(cancel->cancellable);
  return NULL;
}

/* Seconds from cancelling to the end; negative when the build was done before. */
static gboolean
build_cancelled(const ZooEntry *entry, double after, double *took, const char **stage,
                GError **error)
{
  g_autoptr(GError) reason = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  g_autoptr(InferNetwork) network = entry->create(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  Cancel cancel = {.cancellable = cancellable, .after = after};
  GThread *thread;
  gint64 end;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_timing_cache(builder, "");
  infer_builder_set_progress(builder, progress, &cancel, NULL);
  thread = g_thread_new("cancel", cancel_later, &cancel);
  engine = infer_builder_build(builder, network, entry->name, cancellable, &reason);
  end = g_get_monotonic_time();
  g_thread_join(thread);
  *stage = cancel.stage;
  *took = engine ? -1 : (double)(end - cancel.when) / 1e6;
  if (engine || g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&reason));
  return FALSE;
}

static gboolean
report(const ZooEntry *entry, double step, GError **error)
{
  double longest = 0, at = 0, took = 0;
  const char *stage = NULL, *where = NULL;

  for (double after = step; took >= 0; after += step) {
    if (!build_cancelled(entry, after, &took, &stage, error))
      return FALSE;
    if (took > longest)
      longest = took, at = after, where = stage;
  }
  printf("%-14s at most %.2f s, when cancelled after %.2f s, at '%s'\n", entry->name, longest, at,
         where ? where : "");
  fflush(stdout);
  return TRUE;
}

int
main(int argc, char **argv)
{
  g_auto(GStrv) only = NULL;
  double step = 0.35;
  const GOptionEntry options[] = {
      {"step", 0, 0, G_OPTION_ARG_DOUBLE, &step, "between the moments of cancelling", "SECONDS"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &only, NULL, "NETWORK..."},
      {NULL}};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;
  guint n = 0;

  g_option_context_add_main_entries(context, options, NULL);
  if (g_option_context_parse(context, &argc, &argv, &error))
    for (const ZooEntry *entry = zoo_entries; entry->name && !error; entry++)
      if (!only || g_strv_contains((const char *const *)only, entry->name))
        n += report(entry, MAX(step, 0.001), &error) ? 1 : 0;
  if (error || n == 0)
    fprintf(stderr, "cancel: %s\n", error ? error->message : "there is no network of that name");
  return error || n == 0;
}
