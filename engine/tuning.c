/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prepare.h"

#include <math.h>

InferTuning *
infer_tuning_new(const InferSymbolValues *values, guint n_steps)
{
  InferTuning *tuning = g_new0(InferTuning, 1);

  tuning->values = *values;
  tuning->n = n_steps;
  tuning->choices = g_new0(InferChoice, n_steps + 1);
  return tuning;
}

void
infer_tuning_free(gpointer data)
{
  InferTuning *tuning = data;

  for (guint i = 0; i < tuning->n; i++)
    g_free(tuning->choices[i].tactic);
  g_free(tuning->choices);
  g_free(tuning);
}

/* How far shapes are from each other: by factors, since twice as much is as far as half. */
static double
distance(const InferSymbolValues *a, const InferSymbolValues *b)
{
  double sum = 0;

  for (guint i = 0; i < INFER_MAX_SYMBOLS; i++)
    sum += fabs(log((double)MAX(a->values[i], 1) / (double)MAX(b->values[i], 1)));
  return sum;
}

const InferTuning *
infer_program_find_tuning(const InferProgram *program, const InferSymbolValues *values)
{
  const InferTuning *best = NULL;

  for (guint i = 0; program->tunings && i < program->tunings->len; i++) {
    const InferTuning *tuning = program->tunings->pdata[i];

    if (!best || distance(&tuning->values, values) < distance(&best->values, values))
      best = tuning;
  }
  return best;
}
