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

static void
stream_free(gpointer data)
{
  ExecStream *stream = data;
  g_clear_pointer(&stream->inputs, g_ptr_array_unref);
  g_clear_object(&stream->context);
  g_free(stream);
}

static gboolean
start(ExecStream *stream, guint64 origin, GError **error)
{
  stream->time.start = now() - origin;
  if (!stream->resident && !exec_inputs_stage(stream->inputs, stream->context, error))
    return FALSE;
  stream->time.staged = now() - origin;
  if (!infer_context_enqueue(stream->context, error))
    return FALSE;
  stream->time.queued = now() - origin;
  stream->busy = TRUE;
  return TRUE;
}

static gboolean
finish(ExecStream *stream, guint64 origin, GError **error)
{
  stream->busy = FALSE;
  if (!infer_context_synchronize(stream->context, error))
    return FALSE;
  stream->time.finished = now() - origin;
  return TRUE;
}

/* A run that carries the inputs to the device, where they stay because the bindings are then taken
 * for the device's own. */
static gboolean
make_resident(ExecStream *stream, GError **error)
{
  if (!start(stream, now(), error) || !finish(stream, now(), error))
    return FALSE;
  for (guint i = 0; i < stream->inputs->len; i++) {
    const ExecInput *input = stream->inputs->pdata[i];
    if (!infer_context_map_device(stream->context, input->binding->name, error))
      return FALSE;
  }
  stream->resident = TRUE;
  return TRUE;
}

GPtrArray *
exec_streams_new(const ExecArgs *args, InferEngine *engine, GError **error)
{
  g_autoptr(GPtrArray) streams = g_ptr_array_new_with_free_func(stream_free);

  for (guint i = 0; i < args->streams; i++) {
    ExecStream *stream = g_new0(ExecStream, 1);
    g_ptr_array_add(streams, stream);
    stream->context = infer_context_new(engine, error);
    if (stream->context == NULL || !infer_context_set_batch(stream->context, args->batch, error) ||
        !exec_shapes_set(args, stream->context, error))
      return NULL;
    if (i > 0)
      stream->inputs = g_ptr_array_ref(((ExecStream *)streams->pdata[0])->inputs);
    else
      stream->inputs = exec_inputs_new(args, stream->context, error);
    if (stream->inputs == NULL || (args->no_transfers && !make_resident(stream, error)))
      return NULL;
  }
  return g_steal_pointer(&streams);
}

/* Keeps every stream busy until @least runs are done and @nanoseconds have passed. @times:
 * (nullable): where their times go. With several streams a run ends for us when its turn comes. */
static gboolean
run_streams(GPtrArray *streams, guint least, double nanoseconds, GArray *times, guint *runs,
            guint64 *last, GError **error)
{
  guint64 origin = now();
  gboolean more = least > 0 || nanoseconds > 0;
  guint busy = 0;

  *runs = 0;
  *last = 0;
  for (guint turn = 0; more || busy > 0; turn = (turn + 1) % streams->len) {
    ExecStream *stream = streams->pdata[turn];
    if (stream->busy) {
      if (!finish(stream, origin, error))
        return FALSE;
      busy--;
      (*runs)++;
      *last = stream->time.finished;
      if (times != NULL)
        g_array_append_val(times, stream->time);
      more = more && (*runs < least || (double)*last < nanoseconds) && *runs < EXEC_MAX_RUNS;
    }
    if (more) {
      if (!start(stream, origin, error))
        return FALSE;
      busy++;
    }
  }
  return TRUE;
}

gboolean
exec_run(const ExecArgs *args, GPtrArray *streams, ExecTrace *trace, GError **error)
{
  guint runs = 0;
  guint64 last = 0;

  if (!run_streams(streams, 0, args->warm_up * 1e6, NULL, &runs, &last, error))
    return FALSE;
  exec_info("Warmup: %u runs in %.0f ms", runs, last / 1e6);
  if (!run_streams(streams, args->iterations, args->duration * 1e9, trace->times, &runs, &last,
                   error))
    return FALSE;
  if ((double)last < args->duration * 1e9)
    exec_note("measuring ended at %u runs, before --duration=%g", runs, args->duration);
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
      step->operations = time.operations;
      step->bytes = time.bytes;
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
exec_profile(const ExecArgs *args, ExecStream *stream, ExecTrace *trace, GError **error)
{
  guint64 origin = now();
  double limit = MIN(args->duration, PROFILE_SECONDS) * 1e9;
  guint least = MIN(args->iterations, PROFILE_MIN_RUNS);
  infer_context_set_profiling(stream->context, TRUE);
  gboolean good = TRUE;
  stream->time.finished = 0;
  while (good && (trace->profiled < least || stream->time.finished < limit)) {
    good = start(stream, origin, error) && finish(stream, origin, error);
    if (good)
      collect_steps(stream->context, trace);
    trace->profiled++;
  }
  infer_context_set_profiling(stream->context, FALSE);
  return good;
}
