/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <math.h>

/* LayerNormalization and RMSNormalization of rows that lie innermost. */

typedef struct {
  gint x, scale, bias; /* inputs; -1 for none */
  gboolean centered;
  double epsilon;
  gint64 rows, width;
} Norm;

static gint
operand(const InferStep *step, guint index)
{
  const InferNode *node = step->nodes[0];
  return index < node->n_inputs && node->inputs[index] != NULL
             ? infer_step_find_input(step, node->inputs[index])
             : -1;
}

/* One number for each element of a row. */
static gboolean
is_row(const InferTensor *tensor, const InferDims *dims, gint axis)
{
  if (tensor->dims.n != dims->n - axis)
    return FALSE;
  for (gint i = 0; i < tensor->dims.n; i++)
    if (tensor->dims.d[i] < 0 || tensor->dims.d[i] != dims->d[axis + i])
      return FALSE;
  return TRUE;
}

static gboolean
parse(const InferStep *step, Norm *norm, gint *axis)
{
  const InferNode *node = step->nodes[0];
  const InferDims *dims = &step->outputs[0]->dims;
  gint64 first = infer_node_get_int(node, "axis", -1);
  first += first < 0 ? dims->n : 0;
  if (!infer_cpu_single_float(step) || node->n_outputs != 1 || dims->n < 1 || first < 0 ||
      first >= dims->n)
    return FALSE;
  *axis = (gint)first;
  norm->x = operand(step, 0);
  norm->scale = operand(step, 1);
  norm->bias = operand(step, 2);
  norm->centered = g_str_equal(infer_node_get_op_name(node), "LayerNormalization");
  norm->epsilon = infer_node_get_float(node, "epsilon", 1e-5);
  return norm->x >= 0 && norm->scale >= 0 && is_row(step->inputs[norm->scale], dims, *axis) &&
         (norm->bias < 0 || is_row(step->inputs[norm->bias], dims, *axis));
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  Norm norm;
  gint axis;
  return parse(step, &norm, &axis);
}

static gboolean
prepare_norm(InferPrepare *prepare, GError **error)
{
  g_autofree Norm *norm = g_new0(Norm, 1);
  const InferDims *dims = &prepare->outputs[0].dims;
  gint axis;
  if (!parse(prepare->step, norm, &axis))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "scale and bias do not fit the rows");
  norm->width = 1;
  for (gint i = axis; i < dims->n; i++)
    norm->width *= dims->d[i];
  norm->rows = norm->width > 0 ? infer_dims_count(dims) / norm->width : 0;
  prepare->state = g_steal_pointer(&norm);
  return TRUE;
}

typedef struct {
  const Norm *norm;
  const float *x, *scale, *bias;
  float *y;
} Call;

/* Two walks: the variance from differences, since squares of large numbers cancel. */
static void
run_row(const Norm *norm, const float *x, const float *scale, const float *bias, float *y)
{
  gint64 n = norm->width;
  float sum = 0, squares = 0, mean = 0;
  if (norm->centered) {
#pragma omp simd reduction(+ : sum)
    for (gint64 i = 0; i < n; i++)
      sum += x[i];
    mean = sum / (float)n;
  }
#pragma omp simd reduction(+ : squares)
  for (gint64 i = 0; i < n; i++)
    squares += (x[i] - mean) * (x[i] - mean);
  float factor = (float)(1.0 / sqrt((double)squares / (double)n + norm->epsilon));
#pragma omp simd
  for (gint64 i = 0; i < n; i++)
    y[i] = (x[i] - mean) * factor * scale[i] + (bias != NULL ? bias[i] : 0.0f);
}

static void
run_rows(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  gint64 n = call->norm->width;
  for (gint64 i = begin; i < end; i++)
    run_row(call->norm, call->x + i * n, call->scale, call->bias, call->y + i * n);
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Norm *norm = state;
  Call call = {norm, inputs[norm->x], inputs[norm->scale],
               norm->bias >= 0 ? inputs[norm->bias] : NULL, outputs[0]};
  infer_cpu_parallel(norm->rows, 3 * norm->width, run_rows, &call);
  return TRUE;
}

const InferImpl infer_cpu_layernorm = {
    .name = "cpu.layernorm",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_norm,
    .release = g_free,
    .run = run,
};
