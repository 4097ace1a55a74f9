/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "impls-ops.h"

#include <string.h>

/* Any convolution and transposed convolution, with groups, of 1 to 3 spatial dimensions: what no
 * faster kernel wants. */

gboolean
infer_cuda_conv_supports(const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0], *w = node->n_inputs > 1 ? node->inputs[1] : NULL;
  const InferTensor *bias = node->n_inputs > 2 ? node->inputs[2] : NULL;

  if (!x || !w || x->value || !w->value || !infer_cuda_is_data(x->type) || w->type != x->type ||
      x->dims.n < 3 || x->dims.n > 2 + INFER_CUDA_MAX_SPATIAL || w->dims.n != x->dims.n)
    return FALSE;
  if (bias && (!bias->value || !infer_cuda_is_data(bias->type)))
    return FALSE;
  if (!infer_cuda_chain_supports(step, TRUE) || infer_cuda_chain_reads(step, 1) ||
      infer_step_find_input(step, w) != 1)
    return FALSE;
  infer_cuda_chain_layouts(step, TRUE, INFER_LAYOUT_CHANNELS_LAST, inputs, outputs);
  inputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

static gboolean
is_transposed(const InferStep *step)
{
  return g_str_equal(infer_node_get_op_name(step->nodes[0]), "ConvTranspose");
}

gboolean
infer_cuda_conv_init(InferCudaConv *conv, const InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferDims *w = &prepare->inputs[1].dims, *in = &prepare->inputs[0].dims;
  const InferDims *out = &prepare->outputs[0].dims;
  gboolean transposed = is_transposed(prepare->step);

  memset(conv, 0, sizeof *conv);
  conv->groups = infer_node_get_int(node, "group", 1);
  conv->in = in->d[1];
  conv->out = out->d[1];
  conv->bias = infer_cuda_operand(prepare->step, node, 2);
  if (conv->groups < 1 || conv->in % conv->groups || conv->out % conv->groups ||
      w->d[0] != (transposed ? conv->in : conv->out) ||
      w->d[1] != (transposed ? conv->out : conv->in) / conv->groups ||
      (conv->bias >= 0 && infer_dims_count(&prepare->inputs[conv->bias].dims) != conv->out))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "weights do not fit the channels");
  return infer_cuda_window(prepare, node, in, out, w->d + 2, transposed, &conv->window, error);
}

typedef struct {
  gint64 taps, in, out, groups; /* channels of a group */
  gboolean transposed;
  gsize size;
} Pack;

static gboolean
pack_weights(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const Pack *pack = user_data;
  const guint8 *from = value->data;
  guint8 *to = dst;

  for (gint64 t = 0; t < pack->taps; t++)
    for (gint64 i = 0; i < pack->in; i++)
      for (gint64 g = 0; g < pack->groups; g++)
        for (gint64 o = 0; o < pack->out; o++, to += pack->size) {
          gint64 row = pack->transposed ? (g * pack->in + i) * pack->out + o
                                        : (g * pack->out + o) * pack->in + i;
          memcpy(to, from + (gsize)(row * pack->taps + t) * pack->size, pack->size);
        }
  return TRUE;
}

const void *
infer_cuda_conv_pack(const InferCudaConv *conv, InferPrepare *prepare, GError **error)
{
  const InferCudaWindow *w = &conv->window;
  const InferArray *value = prepare->inputs[1].value;
  Pack pack = {.taps = w->kernel[0] * w->kernel[1] * w->kernel[2],
               .in = conv->in / conv->groups,
               .out = conv->out / conv->groups,
               .groups = conv->groups,
               .transposed = is_transposed(prepare->step),
               .size = infer_type_bits(value->type) / 8};

  return infer_prepare_pack(prepare, 1, "taps", 4, value->size, pack_weights, &pack, error);
}

gboolean
infer_cuda_conv_define(GString *source, const InferCudaConv *conv, const InferPrepare *prepare,
                       GError **error)
{
  infer_cuda_window_define(source, &conv->window);
  infer_cuda_define(source, "GROUPS", conv->groups);
  infer_cuda_define(source, "IN_C", conv->in);
  infer_cuda_define(source, "OUT_C", conv->out);
  infer_cuda_define(source, "BIAS_SLOT", conv->bias);
  infer_cuda_define_text(source, "BIAS_T",
                         conv->bias < 0 ? "float"
                                        : infer_cuda_type(prepare->inputs[conv->bias].type));
  infer_cuda_define(source, "WEIGHT_SLOT", 1);
  return infer_cuda_define_tensor(source, prepare, "X", FALSE, 0, error) &&
         infer_cuda_define_tensor(source, prepare, "Y", TRUE, 0, error);
}

/* --- the direct kernel --- */

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  return infer_cuda_conv_supports(step, inputs, outputs);
}

static char *
write_source(const InferPrepare *prepare, const InferCudaConv *conv, const InferCudaSpace *space,
             gint pixels, GError **error)
{
  g_autoptr(GString) source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                                    infer_cuda_space_is_wide(space, prepare));

  infer_cuda_define(source, "TRANSPOSED", is_transposed(prepare->step));
  infer_cuda_define(source, "PIXELS", pixels);
  infer_cuda_define(source, "SPATIAL", conv->window.n);
  if (!infer_cuda_conv_define(source, conv, prepare, error) ||
      !infer_cuda_chain_append(source, prepare, TRUE, space, error))
    return NULL;
  infer_cuda_source_append(source, "convolution");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

static gboolean
prepare_direct(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 1 << 1, error);
  g_autofree char *source = NULL;
  const void *weights;
  InferCudaConv conv;
  InferCudaSpace space;
  gint pixels;

  if (!self || !infer_cuda_conv_init(&conv, prepare, error) ||
      !infer_cuda_space_init(&space, prepare, TRUE, error))
    return FALSE;
  pixels = conv.window.out[2] >= 4 && !is_transposed(prepare->step) ? 4 : 1;
  weights = infer_cuda_conv_pack(&conv, prepare, error);
  source = weights ? write_source(prepare, &conv, &space, pixels, error) : NULL;
  if (!source)
    return FALSE;
  infer_cuda_kernel_set(self, 1, weights);
  self->params.n[0] = space.dims[0] * conv.window.out[0] * conv.window.out[1] *
                      ((conv.window.out[2] + pixels - 1) / pixels) * conv.out;
  if (!infer_cuda_kernel_add(
          self, prepare, source, "convolution",
          (InferCudaSize){infer_cuda_blocks(self->params.n[0], 128, 1 << 20), 1, 1},
          (InferCudaSize){128, 1, 1}, 0, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_convolution = {
    .name = "cuda.direct",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_direct,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = infer_cuda_strided_pixels,
};
