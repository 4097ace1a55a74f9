/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"

/* infer.PriorBox depends on nothing but sizes: it is evaluated when it is prepared, and what runs
 * is a copy. */

typedef struct {
  InferDevice *device;
  void *memory;
  InferCudaCopy copy;
  InferCudaCopyKernels kernels;
} Prior;

static void
prior_release(gpointer state)
{
  Prior *prior = state;

  if (prior->memory)
    prior->device->backend->free(prior->device, prior->memory);
  g_free(prior);
}

static gboolean
priorbox_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  return step->n_nodes == 1 && infer_cuda_anchor_operand(step, 0) >= 0 &&
         infer_cuda_anchor_operand(step, 1) >= 0;
}

static InferArray *
evaluate(InferPrepare *prepare, GError **error)
{
  g_autoptr(InferArray) map = NULL;
  g_autoptr(InferArray) image = NULL;
  static guint64 unread;
  const InferArray *in[2];
  InferArray *out = NULL;
  const InferBuffer *buffers[2];

  for (guint i = 0; i < 2; i++)
    buffers[i] = &prepare->inputs[infer_cuda_anchor_operand(prepare->step, i)];
  map = infer_array_new_view(buffers[0]->type, &buffers[0]->dims, &unread);
  image = infer_array_new_view(buffers[1]->type, &buffers[1]->dims, &unread);
  in[0] = map;
  in[1] = image;
  return infer_op_eval_alloc(prepare->step->nodes[0], in, 2, &out, 1, error) ? out : NULL;
}

static gboolean
priorbox_prepare(InferPrepare *prepare, GError **error)
{
  const InferBackend *backend = prepare->device->backend;
  const InferBuffer *out = &prepare->outputs[0];
  g_autoptr(InferArray) boxes = evaluate(prepare, error);
  Prior *prior;

  if (!boxes)
    return FALSE;
  if (!infer_dims_equal(&boxes->dims, &out->dims))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the boxes do not fit the output");
  prior = g_new0(Prior, 1);
  prior->device = prepare->device;
  if (!infer_cuda_copy_kernels(infer_cuda_device(prepare->device), &prior->kernels, error) ||
      !infer_cuda_copy_init(&prior->copy, out->type, out->dims.n, out->dims.d, out->strides,
                            out->strides, error) ||
      !(prior->memory = backend->alloc(prepare->device, MAX(boxes->size, 1), error)) ||
      !backend->load(prepare->device, prior->memory, boxes->data, boxes->size, error)) {
    prior_release(prior);
    return FALSE;
  }
  prepare->state = prior;
  return TRUE;
}

static gboolean
priorbox_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
             void *workspace, GError **error)
{
  const Prior *prior = state;

  return infer_cuda_copy_run(&prior->copy, &prior->kernels, infer_cuda_queue(stream), prior->memory,
                             outputs[0], error);
}

const InferImpl infer_cuda_priorbox = {
    .name = "cuda.priorbox",
    .batch_invariant = TRUE,
    .supports = priorbox_supports,
    .prepare = priorbox_prepare,
    .release = prior_release,
    .run = priorbox_run,
};
