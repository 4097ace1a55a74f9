/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <math.h>

/* Pooling, channels-last: each output pixel is a maximum or sum of rows of channels. Our own,
 * because oneDNN counts padding differently from ONNX where ceil_mode cuts a window off. */

typedef struct {
  const InferCpuKernels *kernels;
  InferCpuWindow window;
  gint64 batch, channels;
  gint64 src_pitch, dst_pitch, src_image,
      dst_image;                         /* elements from a pixel, an image to the next */
  gint64 pad_end[INFER_CPU_MAX_SPATIAL]; /* declared padding, which counts where it is included */
  gboolean maximum, include_pad;
} Pooling;

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  gint rank = step->nodes[0]->inputs[0] != NULL ? step->nodes[0]->inputs[0]->dims.n : -1;
  if (!infer_cpu_single_float(step) || step->n_inputs != 1 || infer_cpu_is_constant(step, 0) ||
      step->nodes[0]->n_outputs != 1 || rank < 3 || rank > 2 + INFER_CPU_MAX_SPATIAL)
    return FALSE;
  inputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

static void
global_window(const InferDims *in, InferCpuWindow *w)
{
  *w = (InferCpuWindow){.n = in->n - 2};
  for (gint i = 0; i < INFER_CPU_MAX_SPATIAL; i++) {
    gint k = i - (INFER_CPU_MAX_SPATIAL - w->n);
    w->in[i] = w->kernel[i] = k >= 0 ? in->d[2 + k] : 1;
    w->out[i] = w->stride[i] = w->dilation[i] = 1;
  }
}

/* With automatic padding all of it counts; else what "pads" says, however far a window of
 * ceil_mode reaches beyond. */
static void
find_padding(const InferNode *node, Pooling *pooling)
{
  const InferCpuWindow *w = &pooling->window;
  const char *mode = infer_node_get_string(node, "auto_pad", "NOTSET");
  gsize n = 0;
  const gint64 *pads = infer_node_get_ints(node, "pads", &n);
  for (gint i = 0; i < INFER_CPU_MAX_SPATIAL; i++) {
    gint k = i - (INFER_CPU_MAX_SPATIAL - w->n);
    if (g_str_has_prefix(mode, "SAME_"))
      pooling->pad_end[i] = w->end[i];
    else if (k >= 0 && pads != NULL && n == 2 * (gsize)w->n && !g_str_equal(mode, "VALID"))
      pooling->pad_end[i] = pads[w->n + k];
  }
}

static gboolean
prepare_pooling(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const char *name = infer_node_get_op_name(node);
  const InferDims *in = &prepare->inputs[0].dims, *out = &prepare->outputs[0].dims;
  g_autofree Pooling *pooling = g_new0(Pooling, 1);
  pooling->kernels = infer_cpu_device(prepare->device)->kernels;
  pooling->maximum = g_str_has_suffix(name, "MaxPool");
  pooling->include_pad = infer_node_get_int(node, "count_include_pad", 0) != 0;
  pooling->batch = in->d[0];
  pooling->channels = in->d[1];
  pooling->src_image = prepare->inputs[0].strides[0];
  pooling->dst_image = prepare->outputs[0].strides[0];
  if (!infer_cpu_pixels(&prepare->inputs[0], &pooling->src_pitch) ||
      !infer_cpu_pixels(&prepare->outputs[0], &pooling->dst_pitch))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "not channels-last");
  if (g_str_has_prefix(name, "Global"))
    global_window(in, &pooling->window);
  else if (!infer_cpu_window(node, in, out, NULL, &pooling->window))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                          "the window does not fit the dimensions");
  else
    find_padding(node, pooling);
  prepare->state = g_steal_pointer(&pooling);
  return TRUE;
}

typedef struct {
  const Pooling *pooling;
  const float *src;
  float *dst;
} Call;

/* The taps of dimension @i at output @at that hit the input, and how many count in a mean. */
static void
find_taps(const Pooling *pooling, gint i, gint64 at, gint64 *first, gint64 *last, gint64 *start,
          gint64 *count)
{
  const InferCpuWindow *w = &pooling->window;
  gint64 d = w->dilation[i], room;
  *start = at * w->stride[i] - w->begin[i];
  *first = *start >= 0 ? 0 : (-*start + d - 1) / d;
  *last = *start >= w->in[i] ? 0 : MIN(w->kernel[i], (w->in[i] - 1 - *start) / d + 1);
  room = w->in[i] + pooling->pad_end[i] - *start;
  if (!pooling->include_pad)
    *count *= MAX(*last - *first, 0);
  else
    *count *= room <= 0 ? 0 : MIN(w->kernel[i], (room - 1) / d + 1);
}

static void
pool_pixel(const Pooling *pooling, const float *image, float *dst, const gint64 *at, gint64 channel,
           gint64 n)
{
  const InferCpuWindow *w = &pooling->window;
  gint64 first[3], last[3], start[3], count = 1;
  for (gint i = 0; i < 3; i++)
    find_taps(pooling, i, at[i], &first[i], &last[i], &start[i], &count);
  for (gint64 i = 0; i < n; i++)
    dst[i] = pooling->maximum ? -INFINITY : 0.0f;
  for (gint64 z = first[0]; z < last[0]; z++)
    for (gint64 y = first[1]; y < last[1]; y++) {
      gint64 row = (start[0] + z * w->dilation[0]) * w->in[1] + start[1] + y * w->dilation[1];
      for (gint64 x = first[2]; x < last[2]; x++) {
        gint64 pixel = row * w->in[2] + start[2] + x * w->dilation[2];
        const float *src = image + pixel * pooling->src_pitch + channel;
        if (pooling->maximum)
          pooling->kernels->max(dst, src, n);
        else
          pooling->kernels->add(dst, src, n);
      }
    }
  if (!pooling->maximum && count > 0)
    pooling->kernels->scale(dst, dst, 1.0f / (float)count, n);
}

/* Channels are cut into pieces, so that a global pooling has something to share out too. */
#define PIECE 64

static void
run_pieces(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Pooling *pooling = call->pooling;
  const InferCpuWindow *w = &pooling->window;
  gint64 pieces = (pooling->channels + PIECE - 1) / PIECE;
  gint64 size = w->out[0] * w->out[1] * w->out[2];
  for (gint64 i = begin; i < end; i++) {
    gint64 pixel = i / pieces, channel = i % pieces * PIECE, rest = pixel, at[3];
    for (gint k = 2; k >= 0; k--) {
      at[k] = rest % w->out[k];
      rest /= w->out[k];
    }
    pool_pixel(pooling, call->src + rest * pooling->src_image,
               call->dst + rest * pooling->dst_image + pixel % size * pooling->dst_pitch + channel,
               at, channel, MIN(pooling->channels - channel, PIECE));
  }
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Pooling *pooling = state;
  const InferCpuWindow *w = &pooling->window;
  Call call = {pooling, inputs[0], outputs[0]};
  gint64 pieces = (pooling->channels + PIECE - 1) / PIECE;
  gint64 pixels = pooling->batch * w->out[0] * w->out[1] * w->out[2];
  gint64 taps = w->kernel[0] * w->kernel[1] * w->kernel[2];
  infer_cpu_parallel(pixels * pieces, taps * MIN(pooling->channels, PIECE), run_pieces, &call);
  return TRUE;
}

static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  gint64 pitch;
  return infer_cpu_pixels(output ? &prepare->outputs[index] : &prepare->inputs[index], &pitch);
}

const InferImpl infer_cpu_pooling = {
    .name = "cpu.pooling",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_pooling,
    .release = g_free,
    .run = run,
    .strided = strided,
};
