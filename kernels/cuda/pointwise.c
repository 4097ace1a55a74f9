/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"
#include "impls-ops.h"

/* Functions of elements, one or a whole graph of them, on tensors in any order. */

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  gboolean varying = FALSE;

  if (!infer_cuda_chain_supports(step, FALSE))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    varying =
        varying || (!step->inputs[i]->value && step->inputs[i]->dims.n == step->outputs[0]->dims.n);
  if (varying)
    infer_cuda_chain_layouts(step, FALSE, INFER_LAYOUT_ANY, inputs, outputs);
  return TRUE;
}

/* As many neighbours as 16 bytes of the narrowest operand hold. */
static gint
find_vector(const InferPrepare *prepare, const InferCudaSpace *space, gboolean *tail)
{
  gint64 inner = space->dims[space->n - 1];
  gint most =
      infer_cuda_aligned(&prepare->outputs[0], space->n, space->dims, space->out, space->n - 1);

  if (space->out[space->n - 1] != 1)
    most = 1;
  for (guint i = 0; i < prepare->step->n_inputs; i++) {
    const InferBuffer *buffer = &prepare->inputs[i];
    gint aligned;

    if (space->in[i][space->n - 1] != 1)
      continue;
    aligned = infer_cuda_aligned(buffer, space->n, space->dims, space->in[i], space->n - 1);
    most = MAX(most, MIN(aligned, 8));
  }
  most = MIN(most, 8);
  *tail = space->n == 1 && inner % most != 0;
  while (!*tail && inner % most != 0)
    most /= 2;
  return most;
}

static char *
write_source(const InferPrepare *prepare, const InferCudaSpace *space, gint vector, gboolean tail,
             GError **error)
{
  g_autoptr(GString) source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                                    infer_cuda_space_is_wide(space, prepare));
  gint64 dims[INFER_MAX_DIMS];

  for (gint i = 0; i < space->n; i++)
    dims[i] = i == 0 ? 1 : space->dims[i];
  infer_cuda_define(source, "RANK", space->n);
  infer_cuda_define(source, "VEC", vector);
  infer_cuda_define(source, "TAIL", tail);
  infer_cuda_define(source, "OUT_SLOT", prepare->step->n_inputs);
  infer_cuda_define(source, "OUT_ALIGNED",
                    space->out[space->n - 1] != 1
                        ? 1
                        : infer_cuda_aligned(&prepare->outputs[0], space->n, space->dims,
                                             space->out, space->n - 1));
  infer_cuda_define_list(source, "DIMS", dims, space->n);
  infer_cuda_define_list(source, "OUT_STRIDES", space->out, space->n);
  if (!infer_cuda_chain_append(source, prepare, FALSE, space, error))
    return NULL;
  infer_cuda_source_append(source, "pointwise");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

static gboolean
prepare_pointwise(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  gint64 count = infer_dims_count(&prepare->outputs[0].dims);
  g_autofree char *source = NULL;
  InferCudaSpace space;
  gboolean tail;
  gint vector;

  if (!self || !infer_cuda_space_init(&space, prepare, FALSE, error))
    return FALSE;
  infer_cuda_space_merge(&space, prepare->step->n_inputs);
  vector = find_vector(prepare, &space, &tail);
  source = write_source(prepare, &space, vector, tail, error);
  self->params.n[0] = (count + vector - 1) / vector;
  self->params.n[1] = count;
  if (!source || !infer_cuda_kernel_add(
                     self, prepare, source, "pointwise",
                     (InferCudaSize){infer_cuda_blocks(self->params.n[0], 256, 1 << 16), 1, 1},
                     (InferCudaSize){256, 1, 1}, 0, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

/* It reads and writes by strides. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

const InferImpl infer_cuda_pointwise = {
    .name = "cuda.pointwise",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_pointwise,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = strided,
};
