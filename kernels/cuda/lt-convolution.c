/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cudnn-conv.h"
#include "impls-library.h"
#include "lt-product.h"

#include <string.h>

/* Convolutions of one tap, which are products of the pixels with the weights, by cuBLASLt. */

typedef struct {
  InferCudaDevice *device;
  InferCublasltProductState *product;
  gint x;
  const void *weights;
} State;

static gboolean
parse(const InferStep *step, InferCudnnConv *conv)
{
  if (!infer_cudnn_conv_parse(step, conv) || conv->transposed || conv->groups != 1)
    return FALSE;
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++)
    if (conv->kernel[i] != 1 || conv->stride[i] != 1)
      return FALSE;
  /* What the sizes say of padding is known later, but without any they are equal. */
  gsize n = 0;
  const gint64 *pads = infer_node_get_ints(step->nodes[0], "pads", &n);
  for (gsize i = 0; pads && i < n; i++)
    if (pads[i] != 0)
      return FALSE;
  return TRUE;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  InferCudnnConv conv;

  if (!parse(step, &conv))
    return FALSE;
  inputs[conv.x] = INFER_LAYOUT_CHANNELS_LAST;
  for (guint i = 0; i < conv.chain.n_sides; i++)
    if (!conv.chain.constant[i])
      inputs[conv.chain.sides[i]] = INFER_LAYOUT_CHANNELS_LAST;
  outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

/* Elements from a pixel to the next, the same all over. */
static gboolean
pixel_pitch(const InferCudnnConv *conv, const gint64 *strides, gint64 channels, gint64 *pitch)
{
  const gint64 size[] = {conv->images, conv->out[0], conv->out[1], conv->out[2]};
  gint64 next = 0;

  *pitch = channels;
  for (gint i = INFER_CUDNN_SPATIAL; i >= 0; i--) {
    if (size[i] == 1)
      continue;
    if (next == 0)
      *pitch = strides[i];
    else if (strides[i] != next)
      return FALSE;
    next = strides[i] * size[i];
  }
  return TRUE;
}

static gboolean
read_product(const InferPrepare *prepare, const InferCudnnConv *conv, InferCublasltProduct *p,
             GError **error)
{
  gint64 pixels = conv->images * conv->out[0] * conv->out[1] * conv->out[2];

  *p = (InferCublasltProduct){.type = conv->type,
                              .m = pixels,
                              .n = conv->channels_out,
                              .k = conv->channels_in,
                              .count = 1,
                              .alpha = 1.0f,
                              .c_input = -1,
                              .chain = conv->chain};
  p->b = (InferCublasltMatrix){conv->channels_in, 0, TRUE};
  p->shape = (InferEpilogueShape){{conv->images, conv->out[0], conv->out[1], conv->out[2]},
                                  1,
                                  (int)conv->channels_out,
                                  (int)conv->channels_out};
  memcpy(p->d_strides, conv->y_strides, sizeof p->d_strides);
  memcpy(p->side_strides, conv->side_strides, sizeof p->side_strides);
  gboolean ok = pixels <= G_MAXINT32 &&
                pixel_pitch(conv, conv->x_strides, conv->channels_in, &p->a.pitch) &&
                pixel_pitch(conv, conv->y_strides, conv->channels_out, &p->d.pitch);
  p->c = p->d;
  /* The first tensor that is added is the one that the library may take. */
  for (guint i = 0; i < conv->chain.n_sides; i++)
    if (!conv->chain.constant[i]) {
      ok = ok && pixel_pitch(conv, conv->side_strides[i], conv->channels_out, &p->c.pitch);
      break;
    }
  if (!ok)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "the pixels do not lie at equal distances");
  return TRUE;
}

static void
release(gpointer data)
{
  State *state = data;

  infer_cuda_push(state->device);
  if (state->product)
    infer_cublaslt_product_free(state->product);
  infer_cuda_pop();
  g_free(state);
}

static gboolean
prepare_current(InferPrepare *prepare, State *state, const InferCudnnConv *conv, GError **error)
{
  g_autofree InferCublasltProduct *p = g_new0(InferCublasltProduct, 1);

  if (infer_dims_count(&prepare->outputs[0].dims) == 0)
    return TRUE;
  if (!read_product(prepare, conv, p, error))
    return FALSE;
  state->weights =
      infer_cudnn_conv_weights(prepare, conv, conv->channels_in, conv->channels_out, error);
  state->product = state->weights ? infer_cublaslt_product_new(prepare, p, error) : NULL;
  return state->product != NULL;
}

static gboolean
prepare_convolution(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudnnConv *conv = g_new0(InferCudnnConv, 1);
  State *state;
  gboolean ok;

  if (!parse(prepare->step, conv))
    return infer_cuda_fail(prepare, error, INFER_ERROR_PLAN, "this is no convolution of one tap");
  if (!infer_cudnn_conv_shape(prepare, conv, error))
    return FALSE;
  state = g_new0(State, 1);
  state->device = infer_cuda_device(prepare->device);
  state->x = conv->x;
  infer_cuda_push(state->device);
  ok = prepare_current(prepare, state, conv, error);
  infer_cuda_pop();
  if (ok)
    prepare->state = state;
  else
    release(state);
  return ok;
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autofree InferCudnnConv *conv = g_new0(InferCudnnConv, 1);
  g_autofree InferCublasltProduct *p = g_new0(InferCublasltProduct, 1);
  char **names;

  if (!parse(prepare->step, conv) || !infer_cudnn_conv_shape(prepare, conv, NULL) ||
      infer_dims_count(&prepare->outputs[0].dims) == 0 || !read_product(prepare, conv, p, NULL))
    return NULL;
  infer_cuda_push(infer_cuda_device(prepare->device));
  names = infer_cublaslt_product_tactics(prepare, p, args);
  infer_cuda_pop();
  return names;
}

static gboolean
run(gpointer data, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  State *state = data;

  return !state->product ||
         infer_cublaslt_product_run(state->product, stream, inputs[state->x], state->weights,
                                    inputs, outputs[0], workspace, error);
}

/* Slices of channels have a pitch; parts of a picture have more than one. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  const InferBuffer *buffer = output ? &prepare->outputs[index] : &prepare->inputs[index];
  gint64 strides[1 + INFER_CUDNN_SPATIAL], unit = 16 / (infer_type_bits(buffer->type) / 8),
                                           next = 0;

  if (buffer->dims.n < 3 || buffer->dims.n > 2 + INFER_CUDNN_SPATIAL || buffer->alignment < 16 ||
      !infer_cudnn_conv_strides(buffer, strides))
    return FALSE;
  for (gint i = buffer->dims.n - 1; i >= 0; i--) {
    gint64 stride = buffer->strides[i];
    if (i == 1 || buffer->dims.d[i] == 1)
      continue;
    if (stride % unit != 0 || (next != 0 && stride != next))
      return FALSE;
    next = stride * buffer->dims.d[i];
  }
  return TRUE;
}

const InferImpl infer_cublaslt_convolution = {
    .name = "cublaslt.convolution",
    .supports = supports,
    .tactics = tactics,
    .prepare = prepare_convolution,
    .release = release,
    .run = run,
    .strided = strided,
};
