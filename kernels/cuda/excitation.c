/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"
#include "impls-ops.h"

#include <stdio.h>
#include <string.h>

/*
 * Squeeze and excitation in one kernel: means of an image's channels, a small layer that narrows, a
 * function, a small layer that widens, a function, and the image times that, unless a convolution
 * behind it does that. On devices that have
 * clusters, the blocks of one share an image; its size is what tactics are about.
 */

/* So that what blocks keep fits in 48 KB, and weights are not better read once for all images. */
#define MAX_CHANNELS 2048
#define MAX_FEW 512
#define MAX_WEIGHTS (1 << 18)
#define THREADS 512

static const gint clusters[] = {8, 4, 2, 1};

/**
 * Parts: of a step
 * @narrow: the first convolution
 * @n_first: nodes of the function behind it
 * @n_second: nodes of the function behind the second
 * @multiplies: whether the image times what comes out is made
 */
typedef struct {
  InferNode *const *nodes;
  const InferNode *narrow, *widen;
  guint n_first, n_second;
  gboolean multiplies;
} Parts;

/* The mean of whole images, channel by channel. */
static gboolean
is_mean(const InferNode *node)
{
  const InferTensor *x = node->inputs[0], *axes = node->n_inputs > 1 ? node->inputs[1] : NULL;
  gint64 seen = 0;

  if (!x || x->value || x->dims.n < 3 || x->dims.n > 2 + INFER_CUDA_MAX_SPATIAL ||
      !infer_cuda_is_data(x->type) || node->outputs[0]->dims.n != x->dims.n)
    return FALSE;
  if (g_str_equal(infer_node_get_op_name(node), "GlobalAveragePool"))
    return TRUE;
  if (!axes || !axes->value || infer_node_get_int(node, "keepdims", 1) != 1)
    return FALSE;
  for (gint64 i = 0; i < infer_array_count(axes->value); i++) {
    gint64 axis = infer_array_get_int(axes->value, (gsize)i);
    axis += axis < 0 ? x->dims.n : 0;
    if (axis < 2 || axis >= x->dims.n)
      return FALSE;
    seen |= 1 << axis;
  }
  return seen == (1 << x->dims.n) - 4;
}

/* A 1x1 convolution of @in to @out channels, one of which may be 0 for any. */
static gboolean
is_layer(const InferNode *node, InferType type, gint64 in, gint64 out)
{
  const InferTensor *w = node->n_inputs > 1 ? node->inputs[1] : NULL;
  const InferTensor *bias = node->n_inputs > 2 ? node->inputs[2] : NULL;
  gsize n = 0;
  const gint64 *pads = infer_node_get_ints(node, "pads", &n);

  if (!g_str_equal(infer_node_get_op_name(node), "Conv") || !w || !w->value || w->type != type ||
      w->dims.n < 3 || w->dims.d[1] != in || w->dims.d[0] < 1 || (out && w->dims.d[0] != out) ||
      infer_node_get_int(node, "group", 1) != 1 || node->outputs[0]->type != type)
    return FALSE;
  for (gint i = 2; i < w->dims.n; i++)
    if (w->dims.d[i] != 1 || node->outputs[0]->dims.d[i] != 1)
      return FALSE;
  for (gsize i = 0; i < n; i++)
    if (pads[i] != 0)
      return FALSE;
  return !bias || (bias->value && infer_cuda_is_data(bias->type) &&
                   infer_array_count(bias->value) == w->dims.d[0]);
}

static gboolean
follows(const InferNode *node, const InferNode *before)
{
  return node->n_inputs > 0 && node->inputs[0] == before->outputs[0];
}

/* Functions of one number from node @at on. */
static guint
count_functions(const InferStep *step, guint at)
{
  guint n = 0;

  while (at + n < step->n_nodes && infer_cuda_unary_supports(step->nodes[at + n]) &&
         follows(step->nodes[at + n], step->nodes[at + n - 1]) &&
         infer_dims_equal(&step->nodes[at + n]->outputs[0]->dims,
                          &step->nodes[at + n - 1]->outputs[0]->dims))
    n++;
  return n;
}

static gboolean
is_product(const InferNode *node, const InferTensor *a, const InferTensor *b)
{
  return g_str_equal(infer_node_get_op_name(node), "Mul") && node->n_inputs == 2 && a != b &&
         ((node->inputs[0] == a && node->inputs[1] == b) ||
          (node->inputs[0] == b && node->inputs[1] == a));
}

static gboolean
find_parts(const InferStep *step, Parts *parts)
{
  InferNode *const *nodes = parts->nodes = step->nodes;
  const InferTensor *x = nodes[0]->n_inputs > 0 ? nodes[0]->inputs[0] : NULL;
  guint at = 2;
  gint64 few;

  if (step->anchor != 0 || step->n_nodes < 4 || step->n_outputs != 1 || !x ||
      infer_step_find_input(step, x) != 0 || !is_mean(nodes[0]) || x->dims.d[1] < 1 ||
      x->dims.d[1] > MAX_CHANNELS || !follows(nodes[1], nodes[0]) ||
      !is_layer(nodes[1], x->type, x->dims.d[1], 0))
    return FALSE;
  few = nodes[1]->inputs[1]->dims.d[0];
  parts->narrow = nodes[1];
  parts->n_first = count_functions(step, at);
  at += parts->n_first;
  if (few > MAX_FEW || few * x->dims.d[1] > MAX_WEIGHTS || at + 1 >= step->n_nodes ||
      !follows(nodes[at], nodes[at - 1]) || !is_layer(nodes[at], x->type, few, x->dims.d[1]))
    return FALSE;
  parts->widen = nodes[at++];
  parts->n_second = count_functions(step, at);
  at += parts->n_second;
  parts->multiplies = at + 1 == step->n_nodes;
  if (parts->multiplies && !is_product(nodes[at], x, nodes[at - 1]->outputs[0]))
    return FALSE;
  at += parts->multiplies;
  return at == step->n_nodes && nodes[at - 1]->outputs[0] == step->outputs[0] &&
         step->outputs[0]->type == x->type && step->n_inputs <= INFER_CUDA_MAX_INPUTS;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  Parts parts;

  if (!find_parts(step, &parts))
    return FALSE;
  inputs[0] = outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

static gint64
count_pixels(const InferPrepare *prepare)
{
  const InferDims *dims = &prepare->inputs[0].dims;
  gint64 pixels = 1;

  for (gint i = 2; i < dims->n; i++)
    pixels *= dims->d[i];
  return pixels;
}

/* Blocks that find no pixel to do are of no use. */
static gboolean
fits(const InferPrepare *prepare, gint cluster)
{
  return cluster == 1 ||
         (infer_cuda_device(prepare->device)->major >= 9 && cluster <= count_pixels(prepare));
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  guint n = 0;

  for (gsize i = 0; i < G_N_ELEMENTS(clusters) && n < (args->level > 0 ? 3 : 1); i++)
    if (fits(prepare, clusters[i])) {
      g_autofree char *name = g_strdup_printf("c%d", clusters[i]);
      g_strv_builder_add(names, name);
      n++;
    }
  return g_strv_builder_end(names);
}

static gboolean
choose(const InferPrepare *prepare, gint *cluster, GError **error)
{
  gint wanted = 0;

  if (prepare->tactic && sscanf(prepare->tactic, "c%1d", &wanted) != 1)
    wanted = -1;
  for (gsize i = 0; i < G_N_ELEMENTS(clusters); i++)
    if (fits(prepare, clusters[i]) && (wanted == 0 || wanted == clusters[i])) {
      *cluster = clusters[i];
      return TRUE;
    }
  return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                         "it has no tactic '%.32s' for these dimensions", prepare->tactic);
}

/* Neighbours of a row of weights that can be read together. */
static gint
neighbours(const InferPrepare *prepare, gint64 row)
{
  gint count = 128 / (gint)infer_type_bits(prepare->inputs[0].type);

  while (row % count != 0)
    count /= 2;
  return count;
}

static void
define_layer(GString *source, const InferPrepare *prepare, const char *prefix,
             const InferNode *node)
{
  gint weights = infer_cuda_operand(prepare->step, node, 1);
  gint bias = infer_cuda_operand(prepare->step, node, 2);
  g_autofree char *slot = g_strconcat(prefix, "_SLOT", NULL);
  g_autofree char *bias_slot = g_strconcat(prefix, "_BIAS_SLOT", NULL);
  g_autofree char *bias_type = g_strconcat(prefix, "_BIAS_T", NULL);

  infer_cuda_define(source, slot, weights);
  infer_cuda_define(source, bias_slot, bias);
  infer_cuda_define_text(source, bias_type,
                         bias < 0 ? "float" : infer_cuda_type(prepare->inputs[bias].type));
}

static char *
write_source(const InferPrepare *prepare, const Parts *parts, gint cluster, GError **error)
{
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  g_autoptr(GString) source = NULL;
  gint64 few = parts->narrow->inputs[1]->dims.d[0];
  gboolean wide = MAX(x->strides[0], y->strides[0]) > G_MAXINT32 / MAX(2 * x->dims.d[0], 1);

  source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step), wide);
  if (cluster > 1)
    infer_cuda_define(source, "CLUSTER", cluster);
  infer_cuda_define(source, "BLOCKS", cluster);
  infer_cuda_define(source, "THREADS", THREADS);
  infer_cuda_define(source, "VEC", infer_cuda_vector(prepare, 0));
  infer_cuda_define(source, "CHANNELS", x->dims.d[1]);
  infer_cuda_define(source, "PIXELS", count_pixels(prepare));
  infer_cuda_define(source, "MULTIPLIES", parts->multiplies);
  infer_cuda_define(source, "FEW", few);
  infer_cuda_define(source, "FEW_VEC", neighbours(prepare, few));
  define_layer(source, prepare, "NARROW", parts->narrow);
  define_layer(source, prepare, "WIDEN", parts->widen);
  if (!infer_cuda_define_tensor(source, prepare, "X", FALSE, 0, error) ||
      !infer_cuda_define_tensor(source, prepare, "Y", TRUE, 0, error))
    return NULL;
  infer_cuda_unary_append(source, "first_function", parts->nodes + 2, parts->n_first);
  infer_cuda_unary_append(source, "second_function", parts->nodes + 3 + parts->n_first,
                          parts->n_second);
  infer_cuda_source_append(source, "excitation");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

/* What a block keeps, in floats: sums by thread, sums of channels, what they become, the few. */
static guint
shared_size(const InferPrepare *prepare, const Parts *parts)
{
  gint64 channels = prepare->inputs[0].dims.d[1], few = parts->narrow->inputs[1]->dims.d[0];
  gint64 sums = MAX((gint64)THREADS * infer_cuda_vector(prepare, 0), channels);

  return (guint)((sums + 3 * (channels + 8) + 2 * few) * (gint64)sizeof(float));
}

static gboolean
prepare_excitation(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  gint64 images = prepare->inputs[0].dims.d[0];
  g_autofree char *source = NULL;
  gint cluster = 1;
  Parts parts;

  if (!self || !choose(prepare, &cluster, error))
    return FALSE;
  if (!find_parts(prepare->step, &parts))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "its nodes are not squeeze and excitation");
  if (count_pixels(prepare) == 0) {
    prepare->state = g_steal_pointer(&self);
    return TRUE;
  }
  source = write_source(prepare, &parts, cluster, error);
  if (!source ||
      !infer_cuda_kernel_add(self, prepare, source, "excitation",
                             (InferCudaSize){(guint)images, (guint)cluster, 1},
                             (InferCudaSize){THREADS, 1, 1}, shared_size(prepare, &parts), error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_excitation = {
    .name = "cuda.excitation",
    .batch_invariant = TRUE,
    .supports = supports,
    .tactics = tactics,
    .prepare = prepare_excitation,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = infer_cuda_strided_pixels,
};
