/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a build goes on after it was cancelled: builds networks of the zoo, cancels each after a
 * longer time than the one before, and prints the longest wait.
 *
 *   cancel [NETWORK ...]
 */
#include "zoo.h"

#include <stdio.h>

/* Seconds between the moments at which builds are cancelled. */
#define STEP 0.35

typedef struct {
  GCancellable *cancellable;
  double after;
  gint64 when;
} Cancel;

static gpointer
cancel_later(gpointer data)
{
  Cancel *cancel = data;

  g_usleep((gulong)(cancel->after * 1e6));
  cancel->when = g_get_monotonic_time();
  g_cancellable_cancel(cancel->cancellable);
  return NULL;
}

/* Returns: seconds from cancelling to the end; negative when the build was done before. */
static double
build_cancelled(const ZooEntry *entry, double after)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  g_autoptr(InferNetwork) network = entry->create(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  Cancel cancel = {.cancellable = cancellable, .after = after};
  GThread *thread;
  gint64 end;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_timing_cache(builder, "");
  thread = g_thread_new("cancel", cancel_later, &cancel);
  engine = infer_builder_build(builder, network, entry->name, cancellable, &error);
  end = g_get_monotonic_time();
  g_thread_join(thread);
  return engine ? -1 : (double)(end - cancel.when) / 1e6;
}

int
main(int argc, char **argv)
{
  for (const ZooEntry *entry = zoo_entries; entry->name; entry++) {
    double longest = 0, at = 0;

    if (argc > 1 && !g_strv_contains((const char *const *)argv + 1, entry->name))
      continue;
    for (double after = STEP;; after += STEP) {
      double took = build_cancelled(entry, after);
      if (took < 0)
        break;
      if (took > longest)
        longest = took, at = after;
    }
    printf("%-14s at most %.2f s, when cancelled after %.2f s\n", entry->name, longest, at);
    fflush(stdout);
  }
  return 0;
}
