/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "impls-ops.h"

#include <stdio.h>

/* Depthwise convolution: as many output channels as input channels, each of its own. */

/* Larger windows are not worth the code that they unroll to. */
#define MAX_TAPS 81

/* Tiles of output pixels that a thread makes, the largest first. */
static const struct {
  gint x, y;
} tiles[] = {{4, 4}, {4, 2}, {2, 4}, {2, 2}, {4, 1}, {2, 1}, {1, 1}};

typedef struct {
  gint vector, x, y;
} Tactic;

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferDims *w = node->n_inputs > 1 && node->inputs[1] ? &node->inputs[1]->dims : NULL;
  gint64 groups = infer_node_get_int(node, "group", 1);
  gint64 taps = 1;

  if (!w || w->n < 3 || w->n > 4 || groups < 2 || w->d[0] != groups || w->d[1] != 1)
    return FALSE;
  for (gint i = 2; i < w->n; i++)
    taps *= CLAMP(w->d[i], 0, 1 << 20);
  return taps >= 1 && taps <= MAX_TAPS && infer_cuda_conv_supports(step, inputs, outputs);
}

static gint64
count_threads(const InferPrepare *prepare, const InferCudaConv *conv, const Tactic *tactic)
{
  const gint64 *out = conv->window.out;

  return prepare->outputs[0].dims.d[0] * ((out[1] + tactic->y - 1) / tactic->y) *
         ((out[2] + tactic->x - 1) / tactic->x) * (conv->out / tactic->vector);
}

/* Whether a thread's registers hold what the tile needs. */
static gboolean
fits(const InferCudaConv *conv, const Tactic *tactic)
{
  const InferCudaWindow *w = &conv->window;
  gint64 columns = (tactic->x - 1) * w->stride[2] + (w->kernel[2] - 1) * w->dilation[2] + 1;
  gint64 rows = MIN(tactic->y, (w->kernel[1] - 1) * w->dilation[1] / w->stride[1] + 1);
  gint64 taps = w->kernel[1] * w->kernel[2];

  if (tactic->x > MAX(w->out[2], 1) || tactic->y > MAX(w->out[1], 1))
    return FALSE;
  columns = MIN(columns, tactic->x * w->kernel[2]);
  return (columns + rows * tactic->x) * tactic->vector <= 136 &&
         taps * tactic->x * tactic->y <= 512;
}

/* The largest tile that leaves enough threads for the device; for strides less is shared. */
static Tactic
choose(const InferPrepare *prepare, const InferCudaConv *conv)
{
  gint64 want = (gint64)infer_cuda_device(prepare->device)->n_multiprocessors * 1024;
  Tactic tactic = {.vector = infer_cuda_vector(prepare, 0), .x = 1, .y = 1};

  for (gsize i = 0; i < G_N_ELEMENTS(tiles); i++) {
    Tactic trial = {tactic.vector, tiles[i].x, tiles[i].y};
    gboolean large = trial.x * trial.y > (conv->window.stride[2] > 1 ? 4 : 8);

    if (!large && fits(conv, &trial) && count_threads(prepare, conv, &trial) >= want)
      return trial;
  }
  return tactic;
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  InferCudaConv conv;
  Tactic first;

  if (!infer_cuda_conv_init(&conv, prepare, NULL))
    return NULL;
  first = choose(prepare, &conv);
  for (gint pass = 0; pass < 3 && (pass == 0 || args->level > 0); pass++)
    for (gsize i = 0; i < G_N_ELEMENTS(tiles); i++) {
      Tactic trial = {first.vector, tiles[i].x, tiles[i].y};
      gboolean same = trial.x == first.x && trial.y == first.y;
      g_autofree char *name = NULL;

      /* First the likely one, then other tiles, then narrower vectors. */
      if (pass == 2)
        trial.vector /= 2;
      if ((pass == 0) != same || trial.vector < 1 || (pass == 2 && args->level < 3) ||
          !(fits(&conv, &trial) || same))
        continue;
      name = g_strdup_printf("v%dx%dy%d", trial.vector, trial.x, trial.y);
      g_strv_builder_add(names, name);
    }
  return g_strv_builder_end(names);
}

static gboolean
parse_tactic(const InferPrepare *prepare, const InferCudaConv *conv, Tactic *tactic, GError **error)
{
  Tactic most = choose(prepare, conv);
  gboolean known = FALSE;

  *tactic = most;
  if (!prepare->tactic)
    return TRUE;
  if (sscanf(prepare->tactic, "v%2dx%1dy%1d", &tactic->vector, &tactic->x, &tactic->y) == 3)
    for (gsize i = 0; i < G_N_ELEMENTS(tiles); i++)
      known = known || (tactic->x == tiles[i].x && tactic->y == tiles[i].y);
  if (!known || tactic->vector < 1 || most.vector % tactic->vector)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "it has no tactic '%.32s' for these dimensions", prepare->tactic);
  return TRUE;
}

static char *
write_source(const InferPrepare *prepare, const InferCudaConv *conv, const InferCudaSpace *space,
             const Tactic *tactic, guint block, GError **error)
{
  g_autoptr(GString) source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                                    infer_cuda_space_is_wide(space, prepare));

  infer_cuda_define(source, "BLOCK", block);
  infer_cuda_define(source, "VEC", tactic->vector);
  infer_cuda_define(source, "TILE_X", tactic->x);
  infer_cuda_define(source, "TILE_Y", tactic->y);
  infer_cuda_define(source, "SPATIAL", conv->window.n);
  if (!infer_cuda_conv_define(source, conv, prepare, error) ||
      !infer_cuda_chain_append(source, prepare, TRUE, space, error))
    return NULL;
  infer_cuda_source_append(source, "depthwise");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

static gboolean
prepare_depthwise(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 1 << 1, error);
  gint64 few = (gint64)infer_cuda_device(prepare->device)->n_multiprocessors * 128;
  g_autofree char *source = NULL;
  const void *weights;
  InferCudaConv conv;
  InferCudaSpace space;
  Tactic tactic;
  guint block;

  if (!self || !infer_cuda_conv_init(&conv, prepare, error) ||
      !infer_cuda_space_init(&space, prepare, TRUE, error) ||
      !parse_tactic(prepare, &conv, &tactic, error))
    return FALSE;
  self->params.n[0] = count_threads(prepare, &conv, &tactic);
  block = self->params.n[0] >= few ? 128 : self->params.n[0] >= few / 2 ? 64 : 32;
  weights = infer_cuda_conv_pack(&conv, prepare, error);
  source = weights ? write_source(prepare, &conv, &space, &tactic, block, error) : NULL;
  if (!source)
    return FALSE;
  infer_cuda_kernel_set(self, 1, weights);
  if (!infer_cuda_kernel_add(
          self, prepare, source, "depthwise",
          (InferCudaSize){infer_cuda_blocks(self->params.n[0], block, G_MAXINT32), 1, 1},
          (InferCudaSize){block, 1, 1}, 0, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_depthwise = {
    .name = "cuda.depthwise",
    .batch_invariant = TRUE,
    .supports = supports,
    .tactics = tactics,
    .prepare = prepare_depthwise,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = infer_cuda_strided_pixels,
};
