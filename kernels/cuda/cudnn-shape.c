/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cudnn-conv.h"

#include <string.h>

/* What cuDNN's engines and our kernels count with. */
#define LARGEST G_MAXINT32

static gboolean
is_sane(gint64 value, gint64 least)
{
  return value >= least && value <= LARGEST;
}

/* A list of @n attributes into the last of three. */
static gboolean
read_list(const InferNode *node, const char *name, gint n, gint64 fallback, gint64 least,
          gint64 *values)
{
  gsize count = 0;
  const gint64 *list = infer_node_get_ints(node, name, &count);

  if (list && count != (gsize)n)
    return FALSE;
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++) {
    gint k = i - (INFER_CUDNN_SPATIAL - n);
    values[i] = k >= 0 && list ? list[k] : fallback;
    if (!is_sane(values[i], least))
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_same(const InferNode *node)
{
  return g_str_has_prefix(infer_node_get_string(node, "auto_pad", "NOTSET"), "SAME_");
}

/* The last output_padding rows of a transposed convolution are beyond what cuDNN's shapes allow. */
static gboolean
parse_transposed(const InferNode *node, gint n, const InferCudnnConv *conv)
{
  gint64 more[INFER_CUDNN_SPATIAL];

  if (infer_node_has_attr(node, "output_shape") ||
      !read_list(node, "output_padding", n, 0, 0, more))
    return FALSE;
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++) {
    gint64 extent = (conv->kernel[i] - 1) * conv->dilation[i] + 1;
    if (more[i] >= conv->stride[i] || (is_same(node) && extent < conv->stride[i]))
      return FALSE;
  }
  return TRUE;
}

static gboolean
parse_weights(const InferNode *node, InferCudnnConv *conv)
{
  const InferDims *w = &node->inputs[1]->dims;
  gint n = w->n - 2;

  conv->groups = infer_node_get_int(node, "group", 1);
  if (!is_sane(conv->groups, 1) || w->d[0] < 1 || w->d[0] % conv->groups != 0)
    return FALSE;
  conv->channels_in = conv->transposed ? w->d[0] / conv->groups : w->d[1];
  conv->channels_out = conv->transposed ? w->d[1] : w->d[0] / conv->groups;
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++) {
    gint k = i - (INFER_CUDNN_SPATIAL - n);
    conv->kernel[i] = k >= 0 ? w->d[2 + k] : 1;
    if (!is_sane(conv->kernel[i], 1))
      return FALSE;
  }
  /* Engines for narrow groups are slow; depthwise convolutions have kernels of their own. */
  return is_sane(conv->channels_in, 1) && is_sane(conv->channels_out, 1) &&
         (conv->groups == 1 || (conv->channels_in >= 4 && conv->channels_out >= 4));
}

gboolean
infer_cudnn_conv_parse(const InferStep *step, InferCudnnConv *conv)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0], *w = node->inputs[1];
  const InferTensor *bias = node->n_inputs > 2 ? node->inputs[2] : NULL;
  gint n = w ? w->dims.n - 2 : 0;

  memset(conv, 0, sizeof *conv);
  conv->transposed = g_str_equal(infer_node_get_op_name(node), "ConvTranspose");
  if (!x || !w || x->value || !w->value || n < 1 || n > INFER_CUDNN_SPATIAL ||
      x->dims.n != w->dims.n)
    return FALSE;
  conv->spatial = MAX(n, 2);
  conv->x = infer_step_find_input(step, x);
  conv->w = infer_step_find_input(step, w);
  if (!parse_weights(node, conv) || !read_list(node, "strides", n, 1, 1, conv->stride) ||
      !read_list(node, "dilations", n, 1, 1, conv->dilation))
    return FALSE;
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++)
    if (conv->kernel[i] > LARGEST / conv->dilation[i])
      return FALSE;
  if (conv->transposed && !parse_transposed(node, n, conv))
    return FALSE;
  if (!infer_cuda_fused_parse(step, bias, 1, conv->groups * conv->channels_out, &conv->chain))
    return FALSE;
  conv->type = conv->chain.type;
  return x->type == conv->type && w->type == conv->type && conv->x >= 0 && conv->w >= 0;
}

/* Begin and end from the attributes and the sizes. The convolution that is meant goes from @wide to
 * @narrow, which for a transposed one is from its output to its input. */
static gboolean
read_pads(const InferNode *node, gint n, InferCudnnConv *conv)
{
  const gint64 *wide = conv->transposed ? conv->out : conv->in;
  const gint64 *narrow = conv->transposed ? conv->in : conv->out;
  const char *mode = infer_node_get_string(node, "auto_pad", "NOTSET");
  gboolean given = g_str_equal(mode, "NOTSET") || g_str_equal(mode, "");
  gsize count = 0;
  const gint64 *pads = infer_node_get_ints(node, "pads", &count);
  gint64 more[INFER_CUDNN_SPATIAL];

  if (!read_list(node, "output_padding", n, 0, 0, more) || (pads && count != 2 * (gsize)n))
    return FALSE;
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++) {
    gint k = i - (INFER_CUDNN_SPATIAL - n);
    gint64 extent = (conv->kernel[i] - 1) * conv->dilation[i] + 1;
    gint64 total = (narrow[i] - 1) * conv->stride[i] + extent - wide[i];
    if (is_same(node)) {
      gint64 most = MAX(total + (conv->transposed ? more[i] : 0), 0);
      conv->begin[i] = g_str_equal(mode, "SAME_UPPER") ? most / 2 : most - most / 2;
    } else {
      conv->begin[i] = k >= 0 && pads && given ? pads[k] : 0;
    }
    conv->end[i] = MAX(total - conv->begin[i], 0);
    if (!is_sane(conv->begin[i], 0) || !is_sane(conv->end[i], 0))
      return FALSE;
  }
  return TRUE;
}

gboolean
infer_cudnn_conv_strides(const InferBuffer *buffer, gint64 *strides)
{
  const InferDims *dims = &buffer->dims;
  gint64 next = dims->d[1];

  if (dims->d[1] != 1 && buffer->strides[1] != 1)
    return FALSE;
  for (gint i = INFER_CUDNN_SPATIAL; i >= 0; i--) {
    gint axis = i == 0 ? 0 : dims->n - 1 - (INFER_CUDNN_SPATIAL - i);
    gboolean there = i == 0 || axis >= 2;
    gint64 size = there ? dims->d[axis] : 1;
    strides[i] = size != 1 ? buffer->strides[axis] : next;
    next = MAX(next, strides[i] * size);
  }
  return TRUE;
}

gboolean
infer_cudnn_conv_shape(const InferPrepare *prepare, InferCudnnConv *conv, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *x = &prepare->inputs[conv->x], *y = &prepare->outputs[0];
  gint n = x->dims.n - 2;
  gboolean ok =
      infer_cudnn_conv_strides(x, conv->x_strides) && infer_cudnn_conv_strides(y, conv->y_strides);

  conv->images = x->dims.d[0];
  for (gint i = 0; i < INFER_CUDNN_SPATIAL; i++) {
    gint k = i - (INFER_CUDNN_SPATIAL - n);
    conv->in[i] = k >= 0 ? x->dims.d[2 + k] : 1;
    conv->out[i] = k >= 0 ? y->dims.d[2 + k] : 1;
    ok = ok && is_sane(conv->in[i], 0) && is_sane(conv->out[i], 0);
  }
  for (guint i = 0; i < conv->chain.n_sides; i++)
    if (!conv->chain.constant[i])
      ok = ok &&
           infer_cudnn_conv_strides(&prepare->inputs[conv->chain.sides[i]], conv->side_strides[i]);
  if (ok && is_sane(conv->images, 0) && read_pads(node, n, conv))
    return TRUE;
  return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE,
                         "attributes, weights and dimensions of the convolution do not fit");
}

/* --- weights --- */

typedef struct {
  const InferCudnnConv *conv;
  gint64 in, out; /* padded */
} Packing;

/* ONNX has output channel, input channel, taps; and for a transposed convolution input channel,
 * output channel, taps. cuDNN sees the transposed one from its other end, so that the first two
 * keep their places. */
static gboolean
pack_weights(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const Packing *p = user_data;
  const InferCudnnConv *conv = p->conv;
  gint64 taps = conv->kernel[0] * conv->kernel[1] * conv->kernel[2];
  gint64 first = conv->transposed ? conv->channels_in : conv->channels_out;
  gint64 second = conv->transposed ? conv->channels_out : conv->channels_in;
  gint64 first_padded = conv->transposed ? p->in : p->out;
  gint64 second_padded = conv->transposed ? p->out : p->in;
  gsize size = infer_type_bits(conv->type) / 8;
  const guint8 *src = value->data;

  memset(dst, 0, (gsize)(conv->groups * first_padded * taps * second_padded) * size);
  for (gint64 k = 0; k < conv->groups * first; k++) {
    gint64 row = k / first * first_padded + k % first;
    for (gint64 t = 0; t < taps; t++) {
      guint8 *to = (guint8 *)dst + (gsize)((row * taps + t) * second_padded) * size;
      for (gint64 c = 0; c < second; c++)
        memcpy(to + (gsize)c * size, src + (gsize)((k * second + c) * taps + t) * size, size);
    }
  }
  return TRUE;
}

const void *
infer_cudnn_conv_weights(InferPrepare *prepare, const InferCudnnConv *conv, gint64 padded_in,
                         gint64 padded_out, GError **error)
{
  Packing packing = {conv, padded_in, padded_out};
  struct {
    char name[8];
    gint64 transposed, groups, in, out;
  } key = {"krsc", conv->transposed, conv->groups, padded_in, padded_out};
  gint64 taps = conv->kernel[0] * conv->kernel[1] * conv->kernel[2];
  gsize size = infer_type_bits(conv->type) / 8;

  if (__builtin_mul_overflow((gsize)taps, size, &size) ||
      __builtin_mul_overflow((gsize)conv->groups, size, &size) ||
      __builtin_mul_overflow((gsize)padded_in, size, &size) ||
      __builtin_mul_overflow((gsize)padded_out, size, &size) || size > (gsize)1 << 40) {
    infer_cuda_fail(prepare, error, INFER_ERROR_MEMORY, "the weights are too large");
    return NULL;
  }
  return infer_prepare_pack(prepare, (guint)conv->w, &key, sizeof key, size, pack_weights, &packing,
                            error);
}
