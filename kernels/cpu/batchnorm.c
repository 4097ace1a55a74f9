/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <math.h>

/* Batch normalization that could not be folded into a convolution, in any dense order. */

typedef struct {
  const InferCpuKernels *kernels;
  gint input;
  gint64 channels, outer, inner; /* blocks of memory around the channels */
  float *scale, *shift;
} Batchnorm;

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  if (!infer_cpu_single_float(step) || node->n_inputs != 5 || node->n_outputs != 1)
    return FALSE;
  gint input = infer_step_find_input(step, node->inputs[0]);
  if (input < 0 || node->inputs[0]->value != NULL || node->inputs[0]->dims.n < 2)
    return FALSE;
  for (guint i = 1; i < 5; i++)
    if (node->inputs[i]->value == NULL)
      return FALSE;
  inputs[input] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static void
release(gpointer state)
{
  Batchnorm *norm = state;
  g_free(norm->scale);
  g_free(norm->shift);
  g_free(norm);
}

static gboolean
prepare_batchnorm(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *out = &prepare->outputs[0];
  double epsilon = infer_node_get_float(node, "epsilon", 1e-5);
  gint64 channels = out->dims.d[1], count = infer_dims_count(&out->dims);
  for (guint i = 1; i < 5; i++)
    if (infer_array_count(node->inputs[i]->value) != channels)
      return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                            "parameters do not fit the channels");
  Batchnorm *norm = g_new0(Batchnorm, 1);
  norm->kernels = infer_cpu_device(prepare->device)->kernels;
  norm->input = infer_step_find_input(prepare->step, node->inputs[0]);
  norm->channels = channels;
  norm->inner = channels == 1 ? count : out->strides[1];
  norm->outer = count > 0 ? count / (channels * norm->inner) : 0;
  norm->scale = g_new(float, channels);
  norm->shift = g_new(float, channels);
  for (gint64 i = 0; i < channels; i++) {
    double scale = infer_array_get_double(node->inputs[1]->value, i) /
                   sqrt(infer_array_get_double(node->inputs[4]->value, i) + epsilon);
    norm->scale[i] = (float)scale;
    norm->shift[i] = (float)(infer_array_get_double(node->inputs[2]->value, i) -
                             scale * infer_array_get_double(node->inputs[3]->value, i));
  }
  prepare->state = norm;
  return TRUE;
}

typedef struct {
  const Batchnorm *norm;
  const float *src;
  float *dst;
} Call;

static void
run_pixels(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Batchnorm *norm = call->norm;
  for (gint64 i = begin * norm->channels; i < end * norm->channels; i += norm->channels)
    norm->kernels->affine(call->dst + i, call->src + i, norm->scale, norm->shift, norm->channels);
}

static void
run_planes(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Batchnorm *norm = call->norm;
  for (gint64 i = begin; i < end; i++)
    norm->kernels->unary(INFER_CPU_UNARY_LINEAR, call->dst + i * norm->inner,
                         call->src + i * norm->inner, norm->inner, norm->scale[i % norm->channels],
                         norm->shift[i % norm->channels]);
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Batchnorm *norm = state;
  Call call = {norm, inputs[norm->input], outputs[0]};
  if (norm->inner == 1)
    infer_cpu_parallel(norm->outer, norm->channels, run_pixels, &call);
  else
    infer_cpu_parallel(norm->outer * norm->channels, norm->inner, run_planes, &call);
  return TRUE;
}

const InferImpl infer_cpu_batchnorm = {
    .name = "cpu.batchnorm",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_batchnorm,
    .release = release,
    .run = run,
};
