/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"

/* Softmax and LogSoftmax along an axis that lies innermost in memory. */

typedef struct {
  const InferCpuKernels *kernels;
  gint64 rows, width;
  gboolean logarithm;
} Softmax;

static gboolean
find_axis(const InferStep *step, gint rank, gint *axis)
{
  gint64 value = infer_node_get_int(step->nodes[0], "axis", -1);
  value += value < 0 ? rank : 0;
  *axis = (gint)value;
  return rank >= 1 && value >= 0 && value < rank;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  gint axis, rank = step->outputs[0]->dims.n;
  if (!infer_cpu_single_float(step) || step->n_inputs != 1 || infer_cpu_is_constant(step, 0) ||
      !find_axis(step, rank, &axis))
    return FALSE;
  if (axis == rank - 1)
    return TRUE;
  if (axis != 1)
    return FALSE;
  inputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

static gboolean
prepare_softmax(InferPrepare *prepare, GError **error)
{
  const InferDims *dims = &prepare->outputs[0].dims;
  gint axis;
  if (!find_axis(prepare->step, dims->n, &axis))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  Softmax *softmax = g_new0(Softmax, 1);
  softmax->kernels = infer_cpu_device(prepare->device)->kernels;
  softmax->width = dims->d[axis];
  softmax->rows = softmax->width > 0 ? infer_dims_count(dims) / softmax->width : 0;
  softmax->logarithm = g_str_equal(infer_node_get_op_name(prepare->step->nodes[0]), "LogSoftmax");
  prepare->state = softmax;
  return TRUE;
}

typedef struct {
  const Softmax *softmax;
  const float *src;
  float *dst;
} Call;

static void
run_rows(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Softmax *softmax = call->softmax;
  for (gint64 i = begin; i < end; i++)
    softmax->kernels->softmax(call->dst + i * softmax->width, call->src + i * softmax->width,
                              softmax->width, softmax->logarithm);
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Softmax *softmax = state;
  Call call = {softmax, inputs[0], outputs[0]};
  infer_cpu_parallel(softmax->rows, 4 * softmax->width, run_rows, &call);
  return TRUE;
}

const InferImpl infer_cpu_softmax = {
    .name = "cpu.softmax",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_softmax,
    .release = g_free,
    .run = run,
};
