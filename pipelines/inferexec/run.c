/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <time.h>

/* Profiled runs are slower and only their shares matter: a second of them is enough. */
#define PROFILE_SECONDS 1.0
#define PROFILE_MIN_RUNS 10

static guint64
now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (guint64)time.tv_sec * 1000000000u + (guint64)time.tv_nsec;
}

static void
step_free(gpointer data)
{
  ExecStep *step = data;
  g_free(step->name);
  g_free(step->implementation);
  g_array_unref(step->times);
  g_free(step);
}

ExecTrace *
exec_trace_new(void)
{
  ExecTrace *trace = g_new0(ExecTrace, 1);
  trace->times = g_array_new(FALSE, FALSE, sizeof(ExecTime));
  trace->steps = g_ptr_array_new_with_free_func(step_free);
  return trace;
}

void
exec_trace_free(ExecTrace *trace)
{
  g_array_unref(trace->times);
  g_ptr_array_unref(trace->steps);
  g_free(trace);
}

static gboolean
run_once(InferContext *context, GPtrArray *inputs, guint64 origin, ExecTime *time, GError **error)
{
  time->start = now() - origin;
  if (!exec_inputs_stage(inputs, context, error))
    return FALSE;
  time->staged = now() - origin;
  if (!infer_context_enqueue(context, error))
    return FALSE;
  time->queued = now() - origin;
  if (!infer_context_synchronize(context, error))
    return FALSE;
  time->finished = now() - origin;
  return TRUE;
}

static gboolean
warm_up(const ExecArgs *args, InferContext *context, GPtrArray *inputs, GError **error)
{
  ExecTime time = {0};
  guint64 start = now();
  guint runs = 0;
  while (time.finished < args->warm_up * 1e6) {
    if (!run_once(context, inputs, start, &time, error))
      return FALSE;
    runs++;
  }
  exec_info("Warmup: %u runs in %.0f ms", runs, time.finished / 1e6);
  return TRUE;
}

gboolean
exec_run(const ExecArgs *args, InferContext *context, GPtrArray *inputs, ExecTrace *trace,
         GError **error)
{
  if (!warm_up(args, context, inputs, error))
    return FALSE;
  ExecTime time = {0};
  guint64 start = now();
  while (trace->times->len < args->iterations || time.finished < args->duration * 1e9) {
    if (trace->times->len == EXEC_MAX_RUNS) {
      exec_note("measuring ended at %u runs, before --duration=%g", EXEC_MAX_RUNS, args->duration);
      break;
    }
    if (!run_once(context, inputs, start, &time, error))
      return FALSE;
    g_array_append_val(trace->times, time);
  }
  return TRUE;
}

static void
collect_steps(InferContext *context, ExecTrace *trace)
{
  InferStepTime time;
  for (guint i = 0; infer_context_get_step_time(context, i, &time); i++) {
    if (i == trace->steps->len) {
      ExecStep *step = g_new0(ExecStep, 1);
      step->name = g_strdup(time.name);
      step->implementation = g_strdup(time.implementation);
      step->times = g_array_new(FALSE, FALSE, sizeof(double));
      g_ptr_array_add(trace->steps, step);
    }
    ExecStep *step = trace->steps->pdata[i];
    double milliseconds = time.nanoseconds / 1e6;
    step->total += milliseconds;
    g_array_append_val(step->times, milliseconds);
  }
}

gboolean
exec_profile(const ExecArgs *args, InferContext *context, GPtrArray *inputs, ExecTrace *trace,
             GError **error)
{
  ExecTime time = {0};
  guint64 start = now();
  double limit = MIN(args->duration, PROFILE_SECONDS) * 1e9;
  guint least = MIN(args->iterations, PROFILE_MIN_RUNS);
  infer_context_set_profiling(context, TRUE);
  gboolean good = TRUE;
  while (good && (trace->profiled < least || time.finished < limit)) {
    good = run_once(context, inputs, start, &time, error);
    if (good)
      collect_steps(context, trace);
    trace->profiled++;
  }
  infer_context_set_profiling(context, FALSE);
  return good;
}
