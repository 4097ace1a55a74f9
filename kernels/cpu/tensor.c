/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"

gboolean
infer_cpu_is_constant(const InferStep *step, guint index)
{
  return step->inputs[index]->value != NULL;
}

gboolean
infer_cpu_all_float(const InferStep *step)
{
  for (guint i = 0; i < step->n_nodes; i++) {
    const InferNode *node = step->nodes[i];
    for (guint k = 0; k < node->n_inputs; k++)
      if (node->inputs[k] != NULL && node->inputs[k]->type != INFER_TYPE_FLOAT)
        return FALSE;
    for (guint k = 0; k < node->n_outputs; k++)
      if (node->outputs[k] != NULL && node->outputs[k]->type != INFER_TYPE_FLOAT)
        return FALSE;
  }
  return TRUE;
}

gboolean
infer_cpu_single_float(const InferStep *step)
{
  return step->n_nodes == 1 && step->n_outputs == 1 && infer_cpu_all_float(step);
}

gboolean
infer_cpu_scalar(const InferTensor *tensor, double *value)
{
  if (tensor == NULL || tensor->value == NULL || infer_array_count(tensor->value) != 1)
    return FALSE;
  *value = infer_array_get_double(tensor->value, 0);
  return TRUE;
}

gboolean
infer_cpu_fail(const InferPrepare *prepare, GError **error, InferError code, const char *format,
               ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, code, "step '%s' on %s: %s", prepare->step->name,
              prepare->device->name, text);
  return FALSE;
}
