/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gated.h"

#include <string.h>

/* Whether @scale has one number for each channel of each image of @x, or of all images. */
static gboolean
is_scale(const InferTensor *scale, const InferTensor *x)
{
  if (scale->value || x->value || scale->type != x->type || scale->dims.n != x->dims.n ||
      x->dims.n < 3 || scale->dims.d[1] != x->dims.d[1] ||
      (scale->dims.d[0] != x->dims.d[0] && scale->dims.d[0] != 1))
    return FALSE;
  for (gint i = 2; i < scale->dims.n; i++)
    if (scale->dims.d[i] != 1)
      return FALSE;
  return TRUE;
}

/* What the gate reads and makes goes nowhere else in the step. */
static gboolean
is_apart(const InferStep *step)
{
  const InferNode *gate = step->nodes[0];

  for (guint i = 1; i < step->n_nodes; i++)
    for (guint k = 0; k < step->nodes[i]->n_inputs; k++) {
      const InferTensor *tensor = step->nodes[i]->inputs[k];
      if (tensor && (tensor == gate->inputs[0] || tensor == gate->inputs[1] ||
                     (tensor == gate->outputs[0]) != (i == 1 && k == 0)))
        return FALSE;
    }
  return TRUE;
}

/* Which operand of the gate is the scale; -1 where there is no gate. */
static gint
find_scale(const InferStep *step)
{
  const InferNode *gate = step->nodes[0];

  if (step->anchor != 1 || step->n_inputs < 3 || step->n_inputs > INFER_CUDA_MAX_INPUTS ||
      !g_str_equal(infer_node_get_op_name(gate), "Mul") || gate->n_inputs != 2 ||
      gate->n_outputs != 1 || step->inputs[0] != gate->inputs[0] ||
      step->inputs[1] != gate->inputs[1] || !is_apart(step))
    return -1;
  for (gint i = 1; i >= 0; i--)
    if (is_scale(gate->inputs[i], gate->inputs[1 - i]) &&
        infer_dims_equal(&gate->inputs[1 - i]->dims, &gate->outputs[0]->dims))
      return i;
  return -1;
}

gboolean
infer_cuda_gated_init(InferCudaGated *self, const InferStep *step)
{
  self->step = *step;
  self->scale = -1;
  if (step->n_inputs > INFER_CUDA_MAX_INPUTS)
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    self->map[i] = i;
  if (step->anchor == 0)
    return TRUE;
  self->scale = find_scale(step);
  if (self->scale < 0)
    return FALSE;
  self->step.nodes++;
  self->step.n_nodes--;
  self->step.n_inputs--;
  self->step.anchor = 0;
  self->step.inputs = self->inputs;
  self->inputs[0] = step->nodes[0]->outputs[0];
  self->map[0] = (guint)(1 - self->scale);
  for (guint i = 1; i < self->step.n_inputs; i++) {
    self->inputs[i] = step->inputs[i + 1];
    self->map[i] = i + 1;
  }
  return TRUE;
}

InferPrepare
infer_cuda_gated_prepare(InferCudaGated *self, const InferPrepare *prepare)
{
  InferPrepare result = *prepare;

  for (guint i = 0; i < self->step.n_inputs; i++)
    self->buffers[i] = prepare->inputs[self->map[i]];
  result.step = &self->step;
  result.inputs = self->buffers;
  return result;
}
