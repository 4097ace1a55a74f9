/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"
#include "fixed/sampling.h"

/* RoiAlign and GridSample of floats, one launch each. */

#define THREADS 128

typedef struct {
  CUfunction function;
  guint n_inputs;
  gint inputs[3];
  const void *constants[3];
  guint32 count;
  union {
    InferCudaRoiAlign roialign;
    InferCudaGridSample gridsample;
  } args;
} Sampling;

static gboolean
floats(const InferStep *step, guint n)
{
  const InferNode *node = step->nodes[0];

  if (step->n_nodes != 1 || step->outputs[0]->type != INFER_TYPE_FLOAT)
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (i >= node->n_inputs || !node->inputs[i] || node->inputs[i]->type != INFER_TYPE_FLOAT)
      return FALSE;
  return TRUE;
}

static Sampling *
sampling_new(InferPrepare *prepare, const char *kernel, guint n_inputs, gint64 count,
             GError **error)
{
  g_autofree Sampling *sampling = g_new0(Sampling, 1);

  sampling->function = infer_cuda_fixed(infer_cuda_device(prepare->device), kernel, error);
  sampling->n_inputs = n_inputs;
  sampling->count = (guint32)count;
  if (!sampling->function)
    return NULL;
  if (count < 0 || count > INFER_CUDA_MOST) {
    infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                    "%" G_GINT64_FORMAT " elements are too many for one launch", count);
    return NULL;
  }
  for (guint i = 0; i < n_inputs; i++) {
    gint at = infer_cuda_anchor_operand(prepare->step, i);
    const InferArray *value = at >= 0 ? prepare->inputs[at].value : NULL;

    sampling->inputs[i] = at;
    if (at < 0) {
      infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "input %u is missing", i);
      return NULL;
    }
    if (!value || infer_array_count(value) == 0)
      continue;
    sampling->constants[i] = infer_cuda_constant(prepare, (guint)at, error);
    if (!sampling->constants[i])
      return NULL;
  }
  return g_steal_pointer(&sampling);
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  Sampling *sampling = state;
  const void *in[3];
  void *out = outputs[0], *params[5] = {&out};

  for (guint i = 0; i < sampling->n_inputs; i++) {
    in[i] = sampling->constants[i] ? sampling->constants[i] : inputs[sampling->inputs[i]];
    params[1 + i] = &in[i];
  }
  params[1 + sampling->n_inputs] = &sampling->args;
  return infer_cuda_linear(infer_cuda_queue(stream), sampling->function, sampling->count, THREADS,
                           1, params, error);
}

/* --- RoiAlign --- */

static gboolean
roialign_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  return floats(step, 2);
}

static gboolean
roialign_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferDims *out = &prepare->outputs[0].dims, *in;
  g_autofree Sampling *sampling =
      sampling_new(prepare, "infer_roialign", 3, infer_dims_count(out), error);
  InferCudaRoiAlign *args;

  if (!sampling)
    return FALSE;
  in = &prepare->inputs[sampling->inputs[0]].dims;
  if (in->n != 4 || out->n != 4)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the map is not [N, C, H, W]");
  args = &sampling->args.roialign;
  args->count = sampling->count;
  args->channels = infer_cuda_divisor((guint32)out->d[1]);
  args->height = infer_cuda_divisor((guint32)out->d[2]);
  args->width = infer_cuda_divisor((guint32)out->d[3]);
  args->images = in->d[0];
  args->in_height = in->d[2];
  args->in_width = in->d[3];
  args->ratio = infer_node_get_int(node, "sampling_ratio", 0);
  args->scale = infer_node_get_float(node, "spatial_scale", 1);
  args->largest = g_str_equal(infer_node_get_string(node, "mode", "avg"), "max");
  args->half_pixel = g_str_equal(
      infer_node_get_string(node, "coordinate_transformation_mode", "half_pixel"), "half_pixel");
  prepare->state = g_steal_pointer(&sampling);
  return TRUE;
}

/* --- GridSample --- */

static gboolean
gridsample_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                    InferLayout *outputs)
{
  return floats(step, 2);
}

/* Index of @name among @names, of which the first @n have synonyms after them. */
static gint32
choice(const char *name, const char *const *names, guint n_names, guint n)
{
  for (guint i = 0; i < n_names; i++)
    if (g_str_equal(name, names[i]))
      return (gint32)(i < n ? i : i - n + 1);
  return 0;
}

static gboolean
gridsample_prepare(InferPrepare *prepare, GError **error)
{
  /* "bilinear" stands for "linear", "bicubic" for "cubic". */
  static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic"};
  static const char *const paddings[] = {"zeros", "border", "reflection"};
  const InferNode *node = prepare->step->nodes[0];
  const InferDims *out = &prepare->outputs[0].dims, *in;
  gint64 positions = 1;
  g_autofree Sampling *sampling = NULL;
  InferCudaGridSample *args;

  for (gint i = 2; i < out->n; i++)
    positions *= out->d[i];
  sampling =
      sampling_new(prepare, "infer_gridsample", 2, out->n > 2 ? out->d[0] * positions : 0, error);
  if (!sampling)
    return FALSE;
  in = &prepare->inputs[sampling->inputs[0]].dims;
  if (in->n != out->n || in->n < 3 || in->n > 2 + INFER_CUDA_SPATIAL)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the ranks do not fit");
  args = &sampling->args.gridsample;
  args->count = sampling->count;
  args->positions = infer_cuda_divisor((guint32)positions);
  args->n = in->n - 2;
  args->channels = in->d[1];
  for (gint i = 0; i < INFER_CUDA_SPATIAL; i++)
    args->in[i] = i < args->n ? in->d[2 + i] : 1;
  args->mode = choice(infer_node_get_string(node, "mode", "linear"), modes, 5, 3);
  args->padding = choice(infer_node_get_string(node, "padding_mode", "zeros"), paddings, 3, 3);
  args->align = infer_node_get_int(node, "align_corners", 0) != 0;
  prepare->state = g_steal_pointer(&sampling);
  return TRUE;
}

#define SAMPLING(NAME)                                                                             \
  const InferImpl infer_cuda_##NAME = {                                                            \
      .name = "cuda." #NAME,                                                                       \
      .batch_invariant = TRUE,                                                                     \
      .supports = NAME##_supports,                                                                 \
      .prepare = NAME##_prepare,                                                                   \
      .release = g_free,                                                                           \
      .run = run,                                                                                  \
  }

SAMPLING(roialign);
SAMPLING(gridsample);
