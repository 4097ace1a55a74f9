/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images per second of a plan, with inputs and outputs left on the device:
 *
 *   throughput PLAN BATCH[,BATCH...] [SECONDS [DEVICE]]
 *
 * Runs are enqueued one after the other without waiting in between, as a pipeline does; each line
 * of the output is a batch and the median of five rounds.
 */
#include <infer/infer.h>

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 5
/* So many are enqueued before the first is waited for. */
#define IN_FLIGHT 8

static gboolean
run_for(InferContext *context, double seconds, guint *runs, double *took, GError **error)
{
  gint64 start = g_get_monotonic_time();

  for (*runs = 0, *took = 0; *took < seconds;
       *took = (double)(g_get_monotonic_time() - start) / 1e6) {
    for (guint i = 0; i < IN_FLIGHT; i++, (*runs)++)
      if (!infer_context_enqueue(context, error))
        return FALSE;
    if (!infer_context_synchronize(context, error))
      return FALSE;
  }
  return TRUE;
}

/* Random contents go to the device once; then nothing is copied. */
static gboolean
fill_inputs(InferEngine *engine, InferContext *context, GError **error)
{
  g_autoptr(GRand) random = g_rand_new_with_seed(1);

  for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    gsize size;
    gpointer data;

    if (!binding->is_input || binding->is_optional)
      continue;
    data = infer_context_map(context, binding->name, &size, error);
    if (!data)
      return FALSE;
    if (binding->type == INFER_TYPE_FLOAT)
      for (gsize k = 0; k < size / sizeof(float); k++)
        ((float *)data)[k] = (float)g_rand_double_range(random, -1, 1);
  }
  if (!infer_context_run(context, error))
    return FALSE;
  for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (!binding->is_optional && !infer_context_map_device(context, binding->name, error))
      return FALSE;
  }
  return TRUE;
}

static int
by_size(const void *a, const void *b)
{
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static gboolean
measure(InferEngine *engine, guint batch, double seconds, GError **error)
{
  g_autoptr(InferContext) context = infer_context_new(engine, error);
  double rates[ROUNDS], took;
  guint runs;

  if (!context || !infer_context_set_batch(context, batch, error) ||
      !fill_inputs(engine, context, error) || !run_for(context, 0.3, &runs, &took, error))
    return FALSE;
  for (guint i = 0; i < ROUNDS; i++) {
    if (!run_for(context, seconds, &runs, &took, error))
      return FALSE;
    rates[i] = runs * (double)batch / took;
  }
  qsort(rates, ROUNDS, sizeof *rates, by_size);
  printf("%u %.1f\n", batch, rates[ROUNDS / 2]);
  fflush(stdout);
  return TRUE;
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_auto(GStrv) batches = NULL;
  gboolean ok = TRUE;

  if (argc < 3) {
    fprintf(stderr, "usage: %s PLAN BATCH[,BATCH...] [SECONDS [DEVICE]]\n", argv[0]);
    return 2;
  }
  engine =
      infer_engine_new_from_file(argv[1], argc > 4 ? argv[4] : "auto", 0, INFER_LOAD_MAP, &error);
  batches = g_strsplit(argv[2], ",", -1);
  for (guint i = 0; engine && ok && batches[i]; i++) {
    guint64 batch = 0;
    ok = g_ascii_string_to_unsigned(batches[i], 10, 1, 65536, &batch, &error) &&
         measure(engine, (guint)batch, argc > 3 ? g_ascii_strtod(argv[3], NULL) : 1, &error);
  }
  if (error)
    fprintf(stderr, "%s\n", error->message);
  return engine && ok ? 0 : 1;
}
