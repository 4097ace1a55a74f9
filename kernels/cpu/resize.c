/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <math.h>
#include <string.h>

/* Nearest and (bi)linear Resize of one or two spatial dimensions, channels-last. */

/* Which two source positions an output position mixes; nearest has weight 0. */
typedef struct {
  gint64 first, second;
  float weight;
} Tap;

typedef struct {
  const InferCpuKernels *kernels;
  gint input;
  gboolean linear;
  gint64 batch, channels;
  gint64 in[2], out[2];
  Tap *taps[2];
} Resize;

static const InferTensor *
input_at(const InferNode *node, guint index)
{
  return index < node->n_inputs ? node->inputs[index] : NULL;
}

/* Exporters leave an empty tensor where an optional input is absent. */
static const InferArray *
numbers(const InferNode *node, guint index)
{
  const InferTensor *tensor = input_at(node, index);
  const InferArray *value = tensor != NULL ? tensor->value : NULL;
  return value != NULL && infer_array_count(value) > 0 ? value : NULL;
}

/* Whether sizes are given, as numbers or computed, and no scales: then the dimensions say all. */
static gboolean
has_sizes(const InferNode *node)
{
  const InferTensor *scales = input_at(node, 2), *sizes = input_at(node, 3);
  return sizes != NULL && (scales == NULL || infer_dims_count(&scales->dims) == 0);
}

static gboolean
has_known_mode(const InferNode *node)
{
  static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel", "asymmetric",
                                            "align_corners", NULL};
  static const char *const rounding[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                         NULL};
  const char *mode = infer_node_get_string(node, "mode", "nearest");
  return (g_str_equal(mode, "nearest") || g_str_equal(mode, "linear")) &&
         g_strv_contains(coordinates, infer_node_get_string(node, "coordinate_transformation_mode",
                                                            "half_pixel")) &&
         g_strv_contains(rounding,
                         infer_node_get_string(node, "nearest_mode", "round_prefer_floor")) &&
         infer_node_get_int(node, "antialias", 0) == 0 && !infer_node_has_attr(node, "axes") &&
         g_str_equal(infer_node_get_string(node, "keep_aspect_ratio_policy", "stretch"), "stretch");
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0];
  gint rank = x->dims.n, input = infer_step_find_input(step, x);
  if (step->n_nodes != 1 || x->type != INFER_TYPE_FLOAT || x->value != NULL || rank < 3 ||
      rank > 4 || input < 0 || !has_known_mode(node))
    return FALSE;
  const InferArray *scales = numbers(node, 2);
  const InferDims *out = &node->outputs[0]->dims;
  if (scales != NULL ? infer_array_count(scales) != rank : !has_sizes(node) || out->n != rank)
    return FALSE;
  for (gint i = 0; i < 2; i++)
    if (scales != NULL ? infer_array_get_double(scales, i) != 1.0
                       : out->d[i] != x->dims.d[i] || out->d[i] == INFER_DIM_UNKNOWN)
      return FALSE;
  inputs[input] = INFER_LAYOUT_CHANNELS_LAST;
  outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

static double
source_position(const char *mode, gint64 at, double scale, gint64 in, gint64 out, double length)
{
  if (g_str_equal(mode, "asymmetric"))
    return at / scale;
  if (g_str_equal(mode, "align_corners"))
    return at > 0 ? (double)at * (double)(in - 1) / (length - 1) : 0.0;
  if (g_str_equal(mode, "pytorch_half_pixel") && out == 1)
    return 0.0;
  return (at + 0.5) / scale - 0.5;
}

static gint64
nearest(const char *mode, double x)
{
  if (g_str_equal(mode, "floor"))
    return (gint64)floor(x);
  if (g_str_equal(mode, "ceil"))
    return (gint64)ceil(x);
  return (gint64)(g_str_equal(mode, "round_prefer_ceil") ? floor(x + 0.5) : ceil(x - 0.5));
}

static Tap *
make_taps(const InferNode *node, gboolean linear, double scale, gint64 in, gint64 out)
{
  /* The length that positions refer to: a scale may give one with a fraction. */
  double length = numbers(node, 2) != NULL ? (double)in * scale : (double)out;
  const char *coordinates =
      infer_node_get_string(node, "coordinate_transformation_mode", "half_pixel");
  const char *rounding = infer_node_get_string(node, "nearest_mode", "round_prefer_floor");
  Tap *taps = g_new0(Tap, MAX(out, 1));
  for (gint64 i = 0; i < out; i++) {
    double x = source_position(coordinates, i, scale, in, out, length);
    x = CLAMP(x, -2.0, (double)in + 1.0);
    gint64 first = linear ? (gint64)floor(x) : nearest(rounding, x);
    taps[i].weight = linear ? (float)(x - (double)first) : 0.0f;
    taps[i].first = CLAMP(first, 0, in - 1);
    taps[i].second = linear ? CLAMP(first + 1, 0, in - 1) : taps[i].first;
  }
  return taps;
}

static void
release(gpointer state)
{
  Resize *resize = state;
  g_free(resize->taps[0]);
  g_free(resize->taps[1]);
  g_free(resize);
}

static gboolean
prepare_resize(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  gint input = infer_step_find_input(prepare->step, node->inputs[0]);
  const InferDims *in = &prepare->inputs[input].dims, *out = &prepare->outputs[0].dims;
  const InferArray *scales = numbers(node, 2);
  gint spatial = in->n - 2;
  if (infer_dims_count(in) == 0 && infer_dims_count(out) > 0)
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "an empty tensor cannot be resized");
  Resize *resize = g_new0(Resize, 1);
  resize->kernels = infer_cpu_device(prepare->device)->kernels;
  resize->input = input;
  resize->linear = g_str_equal(infer_node_get_string(node, "mode", "nearest"), "linear");
  resize->batch = in->d[0];
  resize->channels = in->d[1];
  for (gint i = 0; i < 2; i++) {
    gint axis = i + in->n - 2;
    gboolean there = axis - 2 >= 0 && i >= 2 - spatial;
    resize->in[i] = there ? in->d[axis] : 1;
    resize->out[i] = there ? out->d[axis] : 1;
    double scale = !there           ? 1.0
                   : scales != NULL ? infer_array_get_double(scales, axis)
                                    : (double)out->d[axis] / (double)MAX(in->d[axis], 1);
    if (infer_dims_count(out) > 0)
      resize->taps[i] = make_taps(node, resize->linear, scale, resize->in[i], resize->out[i]);
  }
  prepare->state = resize;
  return TRUE;
}

typedef struct {
  const Resize *resize;
  const float *src;
  float *dst;
} Call;

#define PIECE 256

static void
mix(const Resize *resize, float *dst, const float *const *corners, float wx, float wy)
{
  float top[PIECE], bottom[PIECE];
  for (gint64 c = 0; c < resize->channels; c += PIECE) {
    gint64 n = MIN(resize->channels - c, PIECE);
    resize->kernels->lerp(top, corners[0] + c, corners[1] + c, wx, n);
    resize->kernels->lerp(bottom, corners[2] + c, corners[3] + c, wx, n);
    resize->kernels->lerp(dst + c, top, bottom, wy, n);
  }
}

static void
run_rows(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Resize *resize = call->resize;
  gint64 channels = resize->channels, width = resize->in[1] * channels;
  for (gint64 row = begin; row < end; row++) {
    const Tap *y = &resize->taps[0][row % resize->out[0]];
    const float *image = call->src + row / resize->out[0] * resize->in[0] * width;
    const float *top = image + y->first * width, *bottom = image + y->second * width;
    float *dst = call->dst + row * resize->out[1] * channels;
    for (gint64 i = 0; i < resize->out[1]; i++, dst += channels) {
      const Tap *x = &resize->taps[1][i];
      const float *corners[] = {top + x->first * channels, top + x->second * channels,
                                bottom + x->first * channels, bottom + x->second * channels};
      if (resize->linear)
        mix(resize, dst, corners, x->weight, y->weight);
      else
        memcpy(dst, corners[0], (gsize)channels * sizeof(float));
    }
  }
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Resize *resize = state;
  Call call = {resize, inputs[resize->input], outputs[0]};
  if (resize->taps[0] != NULL)
    infer_cpu_parallel(resize->batch * resize->out[0], resize->out[1] * resize->channels, run_rows,
                       &call);
  return TRUE;
}

const InferImpl infer_cpu_resize = {
    .name = "cpu.resize",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_resize,
    .release = release,
    .run = run,
};
