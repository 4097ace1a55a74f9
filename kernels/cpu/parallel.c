/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <omp.h>

/* Below this many elements waking the team costs more than it saves. */
#define LEAST_WORK 32768

void
infer_cpu_parallel(gint64 n, gint64 work, InferCpuRange func, gpointer data)
{
  int threads = omp_get_max_threads();
  if (n <= 0)
    return;
  if (threads < 2 || n < 2 || work * n < LEAST_WORK) {
    func(data, 0, n);
    return;
  }
#pragma omp parallel
  {
    gint64 team = omp_get_num_threads(), id = omp_get_thread_num();
    gint64 part = n / team, rest = n % team;
    gint64 begin = id * part + MIN(id, rest);
    gint64 end = begin + part + (id < rest);
    if (begin < end)
      func(data, begin, end);
  }
}
