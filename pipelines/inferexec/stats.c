/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <math.h>
#include <stdlib.h>

static int
compare(const void *a, const void *b)
{
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

void
exec_stats_init(ExecStats *stats, const double *values, gsize n)
{
  *stats = (ExecStats){.n = n};
  if (n == 0)
    return;
  stats->sorted = g_memdup2(values, n * sizeof(double));
  qsort(stats->sorted, n, sizeof(double), compare);
  double sum = 0;
  for (gsize i = 0; i < n; i++)
    sum += values[i];
  stats->mean = sum / n;
  stats->min = stats->sorted[0];
  stats->max = stats->sorted[n - 1];
  stats->median = (stats->sorted[(n - 1) / 2] + stats->sorted[n / 2]) / 2;
}

/* The nearest rank: the least value that @percent of all values do not exceed. */
double
exec_stats_percentile(const ExecStats *stats, double percent)
{
  if (stats->n == 0)
    return 0;
  double rank = ceil(percent / 100 * stats->n);
  gsize index = rank < 1 ? 0 : (gsize)rank - 1;
  return stats->sorted[MIN(index, stats->n - 1)];
}

void
exec_stats_clear(ExecStats *stats)
{
  g_clear_pointer(&stats->sorted, g_free);
}
