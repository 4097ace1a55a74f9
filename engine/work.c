/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a step has to do at least, to hold against the time that it takes. */
#include "prepare.h"

#include <string.h>

static gint64
product(gint64 a, gint64 b)
{
  gint64 result;

  return __builtin_mul_overflow(a, b, &result) ? G_MAXINT64 : result;
}

/* Factors of one output element of a product; of one input element of a transposed convolution. */
static gint64
depth(const InferPrepared *self, const InferNode *node)
{
  const InferDims *a = &self->buffers[node->inputs[0]->index].dims;
  const InferDims *b = &self->buffers[node->inputs[1]->index].dims;
  const char *op = node->op->name;
  gint64 n = 1;

  if (g_str_has_prefix(op, "Conv")) {
    for (gint i = 1; i < b->n; i++)
      n = product(n, b->d[i]);
    return n;
  }
  if (a->n < 1)
    return 0;
  if (strcmp(op, "Gemm") == 0)
    return a->d[infer_node_get_int(node, "transA", 0) ? 0 : a->n - 1];
  return strcmp(op, "MatMul") == 0 ? a->d[a->n - 1] : 0;
}

static gint64
node_operations(const InferPrepared *self, const InferNode *node)
{
  const InferTensor *counted = node->outputs[0];

  if (node->n_inputs < 2 || !node->inputs[0] || !node->inputs[1])
    return 0;
  if (strcmp(node->op->name, "ConvTranspose") == 0)
    counted = node->inputs[0];
  return product(2 * infer_dims_count(&self->buffers[counted->index].dims), depth(self, node));
}

gint64
infer_prepared_step_operations(const InferPrepared *self, guint index)
{
  const InferStep *step = self->program->steps->pdata[index];
  gint64 sum = 0;

  for (guint i = 0; !self->skipped[index] && i < step->n_nodes; i++)
    if (__builtin_add_overflow(sum, node_operations(self, step->nodes[i]), &sum))
      return G_MAXINT64;
  return sum;
}

gint64
infer_prepared_step_bytes(const InferPrepared *self, guint index)
{
  const InferStep *step = self->program->steps->pdata[index];
  gsize sum = 0;

  if (infer_step_is_view(step) || self->skipped[index])
    return 0;
  for (guint i = 0; i < step->n_inputs; i++)
    sum += infer_buffer_size(&self->buffers[step->inputs[i]->index]);
  for (guint i = 0; i < step->n_outputs; i++)
    sum += infer_buffer_size(&self->buffers[step->outputs[i]->index]);
  return (gint64)MIN(sum, (gsize)G_MAXINT64);
}
