/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"
#include "impls-ops.h"

#include <string.h>

/* MaxPool with or without indices, AveragePool and LpPool, channels-last. */

#define BLOCK 128

static gboolean
is(const InferNode *node, const char *op)
{
  return g_str_equal(infer_node_get_op_name(node), op);
}

/* Whether somebody wants to know where the maxima are. */
static gboolean
has_indices(const InferStep *step)
{
  return step->nodes[0]->n_outputs > 1;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0];

  if (!x || x->value || x->dims.n < 3 || x->dims.n > 2 + INFER_CUDA_MAX_SPATIAL ||
      !infer_cuda_type(x->type) || infer_step_find_input(step, x) != 0)
    return FALSE;
  inputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  if (has_indices(step)) {
    if (step->n_nodes != 1 || step->outputs[0] != node->outputs[0])
      return FALSE;
    for (guint i = 0; i < step->n_outputs; i++)
      outputs[i] = INFER_LAYOUT_CHANNELS_LAST;
    return TRUE;
  }
  if (!infer_cuda_chain_supports(step, TRUE))
    return FALSE;
  infer_cuda_chain_layouts(step, TRUE, INFER_LAYOUT_CHANNELS_LAST, inputs, outputs);
  inputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

/* What a chain is where there is none. */
static void
append_identity(GString *source, const InferPrepare *prepare)
{
  InferType type = prepare->outputs[0].type;

  infer_cuda_define_text(source, "OUT_T", infer_cuda_type(type));
  infer_cuda_define_text(source, "OUT_V", infer_cuda_value_type(type));
  g_string_append_printf(source,
                         "template <int V, class A> INLINE void chain(const Params &p, idx o, "
                         "const idx (&i)[%d], const A (&a)[V], OUT_V (&r)[V])\n"
                         "{\n  for (int k = 0; k < V; k++)\n    r[k] = a[k];\n}\n",
                         prepare->outputs[0].dims.n);
}

static gboolean
define_attributes(GString *source, const InferPrepare *prepare, const InferCudaWindow *window)
{
  const InferNode *node = prepare->step->nodes[0];
  gint indices =
      has_indices(prepare->step) ? infer_step_find_output(prepare->step, node->outputs[1]) : -1;
  gint64 taps = window->kernel[1] * window->kernel[2];

  infer_cuda_define(source, "KIND", is(node, "MaxPool") ? 0 : is(node, "AveragePool") ? 1 : 2);
  infer_cuda_define(source, "POWER", infer_node_get_int(node, "p", 2));
  infer_cuda_define(source, "INCLUDE_PAD", infer_node_get_int(node, "count_include_pad", 0) != 0);
  infer_cuda_define(source, "COLUMN_MAJOR", infer_node_get_int(node, "storage_order", 0) == 1);
  infer_cuda_define(source, "UNROLL", taps <= 16 ? 8 : 1);
  infer_cuda_define(source, "INDICES", indices >= 0);
  infer_cuda_define(source, "OUT_C", prepare->outputs[0].dims.d[1]);
  infer_cuda_define(source, "SPATIAL", window->n);
  infer_cuda_define(source, "BLOCK", BLOCK);
  infer_cuda_window_define(source, window);
  return infer_cuda_define_tensor(source, prepare, "X", FALSE, 0, NULL) &&
         infer_cuda_define_tensor(source, prepare, "Y", TRUE, 0, NULL) &&
         (indices < 0 ||
          infer_cuda_define_tensor(source, prepare, "INDEX", TRUE, (guint)indices, NULL));
}

static char *
write_source(const InferPrepare *prepare, const InferCudaWindow *window, gint vector,
             GError **error)
{
  g_autoptr(GString) source = NULL;
  InferCudaSpace space;

  if (has_indices(prepare->step)) {
    gint64 count = infer_dims_count(&prepare->inputs[0].dims);
    source = infer_cuda_source_new(FALSE, count > G_MAXINT32 / 2);
    append_identity(source, prepare);
  } else {
    if (!infer_cuda_space_init(&space, prepare, TRUE, error))
      return NULL;
    source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                   infer_cuda_space_is_wide(&space, prepare));
    if (!infer_cuda_chain_append(source, prepare, TRUE, &space, error))
      return NULL;
  }
  infer_cuda_define(source, "VEC", vector);
  if (!define_attributes(source, prepare, window)) {
    infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its operands are not channels-last");
    return NULL;
  }
  infer_cuda_source_append(source, "pooling");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

static gboolean
prepare_pooling(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  const InferBuffer *in = &prepare->inputs[0], *out = &prepare->outputs[0];
  g_autofree char *source = NULL;
  InferCudaWindow window;
  gint vector;

  if (!self || !infer_cuda_window(prepare, prepare->step->nodes[0], &in->dims, &out->dims, NULL,
                                  FALSE, &window, error))
    return FALSE;
  vector = infer_cuda_vector(prepare, 0);
  source = write_source(prepare, &window, vector, error);
  if (!source)
    return FALSE;
  self->params.n[0] = infer_dims_count(&out->dims) / vector;
  if (!infer_cuda_kernel_add(
          self, prepare, source, "pooling",
          (InferCudaSize){infer_cuda_blocks(self->params.n[0], BLOCK, G_MAXINT32), 1, 1},
          (InferCudaSize){BLOCK, 1, 1}, 0, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_pooling = {
    .name = "cuda.pooling",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_pooling,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = infer_cuda_strided_pixels,
};
