/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "impls-ops.h"

/*
 * Fully connected layers of few numbers: 1x1 convolutions of single pixels and Gemm with constant
 * weights. What squeeze and excitation has is over sooner than a library's kernel has begun; larger
 * ones are left to libraries.
 */

/* Weights that are more than this are better read once for many rows. */
#define MAX_WEIGHTS (1 << 17)
#define WARPS 4

static gboolean
is_small(const InferDims *w)
{
  return w->n >= 2 && w->d[0] >= 1 && w->d[1] >= 1 && w->d[0] <= MAX_WEIGHTS &&
         w->d[1] <= MAX_WEIGHTS && w->d[0] * w->d[1] <= MAX_WEIGHTS;
}

static gboolean
is_pixel(const InferNode *node)
{
  const InferTensor *x = node->inputs[0], *w = node->inputs[1];
  gsize n = 0;
  const gint64 *pads = infer_node_get_ints(node, "pads", &n);

  for (gint i = 2; i < x->dims.n; i++)
    if (x->dims.d[i] != 1 || w->dims.d[i] != 1 || node->outputs[0]->dims.d[i] != 1)
      return FALSE;
  for (gsize i = 0; i < n; i++)
    if (pads[i] != 0)
      return FALSE;
  return infer_node_get_int(node, "group", 1) == 1;
}

/* A row-major product with rows of weights, and at most a vector to add. */
static gboolean
is_rows(const InferStep *step)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0], *w = node->inputs[1];
  const InferTensor *bias = node->n_inputs > 2 ? node->inputs[2] : NULL;

  if (x->dims.n != 2 || w->dims.n != 2 || !infer_node_get_int(node, "transB", 0) ||
      infer_node_get_int(node, "transA", 0) ||
      (bias && (infer_node_get_float(node, "beta", 1) != 1 || !bias->value ||
                !infer_cuda_is_data(bias->type) || bias->dims.n < 1 ||
                infer_dims_count(&bias->dims) != w->dims.d[0])))
    return FALSE;
  return !bias || bias->dims.d[bias->dims.n - 1] == w->dims.d[0];
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0], *w = node->n_inputs > 1 ? node->inputs[1] : NULL;

  if (!x || !w || x->value || !w->value || !infer_cuda_is_data(x->type) || w->type != x->type ||
      x->dims.n != w->dims.n || !is_small(&w->dims))
    return FALSE;
  if (g_str_equal(infer_node_get_op_name(node), "Conv"))
    return x->dims.n >= 3 && is_pixel(node) && infer_cuda_conv_supports(step, inputs, outputs);
  if (!is_rows(step) || !infer_cuda_chain_supports(step, TRUE) ||
      infer_step_find_input(step, x) != 0)
    return FALSE;
  infer_cuda_chain_layouts(step, TRUE, INFER_LAYOUT_ROW_MAJOR, inputs, outputs);
  return TRUE;
}

static gint64
row_of(const InferBuffer *buffer)
{
  return buffer->dims.d[0] == 1 ? buffer->dims.d[1] : buffer->strides[0];
}

static gint
find_vector(const InferBuffer *x)
{
  gint count = infer_cuda_aligned(x, x->dims.n, x->dims.d, x->strides, 1);

  while (x->dims.d[1] % count != 0)
    count /= 2;
  return count;
}

static char *
write_source(const InferPrepare *prepare, gint batch, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  gint weights = infer_cuda_operand(prepare->step, node, 1);
  gint bias = infer_cuda_operand(prepare->step, node, 2);
  g_autoptr(GString) source = NULL;
  InferCudaSpace space;
  char digits[64];

  if (!infer_cuda_space_init(&space, prepare, TRUE, error))
    return NULL;
  source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                 infer_cuda_space_is_wide(&space, prepare));
  infer_cuda_define(source, "WARPS", WARPS);
  infer_cuda_define(source, "BATCH", batch);
  infer_cuda_define(source, "VEC", find_vector(x));
  infer_cuda_define(source, "IN_C", x->dims.d[1]);
  infer_cuda_define(source, "OUT_C", y->dims.d[1]);
  infer_cuda_define(source, "X_ROW", row_of(x));
  infer_cuda_define(source, "Y_ROW", row_of(y));
  infer_cuda_define(source, "X_SLOT", 0);
  infer_cuda_define(source, "Y_SLOT", prepare->step->n_inputs);
  infer_cuda_define(source, "WEIGHT_SLOT", weights);
  infer_cuda_define(source, "BIAS_SLOT", bias);
  infer_cuda_define(source, "RANK", space.n);
  infer_cuda_define_text(source, "X_T", infer_cuda_type(x->type));
  infer_cuda_define_text(source, "BIAS_T",
                         bias < 0 ? "float" : infer_cuda_type(prepare->inputs[bias].type));
  infer_cuda_define_text(
      source, "ALPHA",
      g_ascii_formatd(digits, sizeof digits, "%.17e", infer_node_get_float(node, "alpha", 1)));
  if (!infer_cuda_chain_append(source, prepare, TRUE, &space, error))
    return NULL;
  infer_cuda_source_append(source, "connected");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

static gboolean
prepare_connected(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  gint64 rows = prepare->outputs[0].dims.d[0], out = prepare->outputs[0].dims.d[1];
  gint batch = rows >= 8 ? 8 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
  g_autofree char *source = self ? write_source(prepare, batch, error) : NULL;

  if (!source)
    return FALSE;
  self->params.n[0] = rows;
  if (!infer_cuda_kernel_add(self, prepare, source, "connected",
                             (InferCudaSize){infer_cuda_blocks(rows, (guint)batch, G_MAXINT32),
                                             infer_cuda_blocks(out, WARPS, 65535), 1},
                             (InferCudaSize){WARPS * 32, 1, 1}, 0, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_connected = {
    .name = "cuda.connected",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_connected,
    .release = g_free,
    .run = infer_cuda_kernel_run,
};
