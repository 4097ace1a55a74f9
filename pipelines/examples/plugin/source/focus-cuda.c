/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CUDA half of example.FocusNormalize, as a library of its own: it registers an implementation
 * of a layer that another library brings, whichever of the two is loaded first.
 */
#include <infer/plugin.h>
#include <infer/error.h>

#include "focus-kernel.h"

#include <cuda_runtime_api.h>

typedef struct {
  FocusShape shape;
  float *numbers; /* scales, then shifts, on the device */
} Focus;

static gboolean
failed(int code, GError **error)
{
  if (code == cudaSuccess)
    return FALSE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "%s", cudaGetErrorString((cudaError_t)code));
  return TRUE;
}

static void
focus_release(gpointer state)
{
  Focus *self = state;

  cudaFree(self->numbers);
  g_free(self);
}

static float *
make_numbers(const InferNode *node, gint64 channels)
{
  gsize n_mean, n_deviation;
  const double *mean = infer_node_get_floats(node, "mean", &n_mean);
  const double *deviation = infer_node_get_floats(node, "deviation", &n_deviation);
  float *numbers = g_new(float, 2 * channels + 1);

  for (gint64 i = 0; i < channels; i++) {
    double divisor = deviation[n_deviation == 1 ? 0 : i];

    numbers[i] = (float)(1 / divisor);
    numbers[channels + i] = (float)(-mean[n_mean == 1 ? 0 : i] / divisor);
  }
  return numbers;
}

static gboolean
focus_prepare(InferPluginPrepare *prepare, GError **error)
{
  const gint64 *in = prepare->inputs[0].dims.d, *out = prepare->outputs[0].dims.d;
  gsize size = (gsize)in[1] * 2 * sizeof(float);
  g_autofree float *numbers = make_numbers(prepare->node, in[1]);
  Focus *self = g_new0(Focus, 1);

  self->shape = (FocusShape){.rows = out[0],
                             .channels = in[1],
                             .height = out[2],
                             .width = out[3],
                             .block = infer_node_get_int(prepare->node, "block", 2),
                             .is_uint8 = prepare->inputs[0].type == INFER_TYPE_UINT8};
  if (failed(cudaMalloc((void **)&self->numbers, size + sizeof(float)), error) ||
      failed(cudaMemcpy(self->numbers, numbers, size, cudaMemcpyHostToDevice), error)) {
    focus_release(self);
    return FALSE;
  }
  self->shape.scale = self->numbers;
  self->shape.shift = self->numbers + in[1];
  prepare->state = self;
  return TRUE;
}

static gboolean
focus_run(const InferPluginRun *run, GError **error)
{
  const Focus *self = run->state;

  return !failed(focus_launch(&self->shape, run->inputs[0], run->outputs[0], run->stream), error);
}

static const InferPluginFormats formats[] = {
    {{{INFER_TYPE_FLOAT, INFER_PLUGIN_ROW_MAJOR}}, {{INFER_TYPE_FLOAT, INFER_PLUGIN_ROW_MAJOR}}},
    {{{INFER_TYPE_UINT8, INFER_PLUGIN_ROW_MAJOR}}, {{INFER_TYPE_FLOAT, INFER_PLUGIN_ROW_MAJOR}}},
};

static const InferPluginImpl impl = {
    .backend = "cuda",
    .batch_invariant = TRUE,
    .formats = formats,
    .n_formats = G_N_ELEMENTS(formats),
    .prepare = focus_prepare,
    .run = focus_run,
    .release = focus_release,
};

static gboolean
focus_init(InferPluginRegistrar *registrar, GError **error)
{
  return infer_plugin_register_impl(registrar, "example.FocusNormalize", 1, &impl, error);
}

INFER_PLUGIN_DEFINE("focus-cuda", "an example: example.FocusNormalize on CUDA", focus_init)
