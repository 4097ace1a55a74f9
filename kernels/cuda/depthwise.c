/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "impls-ops.h"

#include <stdio.h>

/* Depthwise convolution: as many output channels as input channels, each of its own. */

/* Larger windows are not worth the code that they unroll to. */
#define MAX_TAPS 81
/* Weights that a thread keeps. */
#define MAX_KEPT 56

/* Tiles of output pixels that a thread makes. */
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

/* Neighbours of a tile along an axis lie a dilation apart, so that they read the same elements. */
static gint64
grid_of(const InferCudaWindow *w, gint axis)
{
  return w->stride[axis] == 1 && w->dilation[axis] <= w->out[axis] ? w->dilation[axis] : 1;
}

static gint64
count_tiles(const InferCudaWindow *w, gint axis, gint tile)
{
  gint64 grid = grid_of(w, axis), places = (w->out[axis] + grid - 1) / grid;

  return grid * ((places + tile - 1) / tile);
}

static gint64
count_threads(const InferPrepare *prepare, const InferCudaConv *conv, const Tactic *tactic)
{
  const InferCudaWindow *w = &conv->window;

  return prepare->outputs[0].dims.d[0] * count_tiles(w, 1, tactic->y) *
         count_tiles(w, 2, tactic->x) * (conv->out / tactic->vector);
}

/* Elements along an axis that a tile reads, those between them left out. */
static gint64
count_read(const InferCudaWindow *w, gint axis, gint tile)
{
  gint64 dilation = grid_of(w, axis) > 1 ? 1 : w->dilation[axis];

  return MIN((tile - 1) * w->stride[axis] + (w->kernel[axis] - 1) * dilation + 1,
             tile * w->kernel[axis]);
}

/* Weights that a thread has as floats from the start to the end. */
static gboolean
keeps(const InferCudaConv *conv, const Tactic *tactic)
{
  return conv->window.kernel[1] * conv->window.kernel[2] * tactic->vector <= MAX_KEPT;
}

/* What a thread has in registers at once: a row, the outputs that are not done, weights. */
static gint64
count_registers(const InferCudaConv *conv, const Tactic *tactic)
{
  const InferCudaWindow *w = &conv->window;
  gint64 taps = w->kernel[1] * w->kernel[2];
  gint64 rows = MIN(tactic->y, (w->kernel[1] - 1) * w->dilation[1] / w->stride[1] + 1);
  gint64 weights = keeps(conv, tactic) ? taps : taps <= 9 && tactic->y > 1 ? taps / 2 : 1;

  return (count_read(w, 2, tactic->x) + rows * tactic->x + weights) * tactic->vector;
}

static gboolean
fits(const InferCudaConv *conv, const Tactic *tactic)
{
  const InferCudaWindow *w = &conv->window;
  gint64 taps = w->kernel[1] * w->kernel[2];

  if (tactic->x > MAX(w->out[2] / grid_of(w, 2), 1) ||
      tactic->y > MAX(w->out[1] / grid_of(w, 1), 1))
    return FALSE;
  return count_registers(conv, tactic) <= 150 && taps * tactic->x * tactic->y <= 512;
}

/* Instructions that a thread issues about, times threads, where there are enough to be busy. Many
 * registers leave room for few threads, which wait for memory. */
static gint64
estimate(const InferPrepare *prepare, const InferCudaConv *conv, const Tactic *tactic)
{
  const InferCudaWindow *w = &conv->window;
  gint64 want = (gint64)infer_cuda_device(prepare->device)->n_multiprocessors * 512;
  gint64 taps = w->kernel[1] * w->kernel[2], made = tactic->x * tactic->y;
  gint64 loads = count_read(w, 1, tactic->y) * count_read(w, 2, tactic->x);

  loads += keeps(conv, tactic) ? taps : taps * tactic->y;
  return (loads * (4 + tactic->vector) + made * (taps * tactic->vector + tactic->vector + 3)) *
         MAX(count_threads(prepare, conv, tactic), want) * MAX(count_registers(conv, tactic), 96) /
         96;
}

typedef struct {
  Tactic tactic;
  gint64 cost;
} Choice;

static int
compare(gconstpointer a, gconstpointer b)
{
  const Choice *x = a, *y = b;

  return x->cost != y->cost ? (x->cost < y->cost ? -1 : 1) : y->tactic.vector - x->tactic.vector;
}

/* All that can be, the most promising first. */
static GArray *
list_choices(const InferPrepare *prepare, const InferCudaConv *conv)
{
  GArray *list = g_array_new(FALSE, FALSE, sizeof(Choice));

  for (gint vector = infer_cuda_vector(prepare, 0); vector > 0; vector /= 2)
    for (gsize i = 0; i < G_N_ELEMENTS(tiles); i++) {
      Choice choice = {.tactic = {vector, tiles[i].x, tiles[i].y}};
      gboolean least = vector == 1 && tiles[i].x * tiles[i].y == 1;

      if (!least && !fits(conv, &choice.tactic))
        continue;
      choice.cost = estimate(prepare, conv, &choice.tactic);
      g_array_append_val(list, choice);
    }
  g_array_sort(list, compare);
  return list;
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  g_autoptr(GArray) list = NULL;
  gint widest = infer_cuda_vector(prepare, 0);
  guint most = args->level < 4 ? 4 : 8, taken[3] = {0};
  InferCudaConv conv;

  if (!infer_cuda_conv_init(&conv, prepare, NULL))
    return NULL;
  list = list_choices(prepare, &conv);
  /* Large maps want wide accesses, whatever the instructions; small ones many threads. */
  for (guint i = 0; i < list->len && (i == 0 || args->level > 0); i++) {
    const Tactic *tactic = &g_array_index(list, Choice, i).tactic;
    guint width = tactic->vector == widest ? 0 : tactic->vector * 2 == widest ? 1 : 2;
    g_autofree char *name = NULL;

    if (taken[width]++ >= (width == 2 ? most / 4 : most))
      continue;
    name = g_strdup_printf("v%dx%dy%d", tactic->vector, tactic->x, tactic->y);
    g_strv_builder_add(names, name);
  }
  return g_strv_builder_end(names);
}

static gboolean
parse_tactic(const InferPrepare *prepare, const InferCudaConv *conv, Tactic *tactic, GError **error)
{
  g_autoptr(GArray) list = list_choices(prepare, conv);
  Tactic wanted = {0};

  *tactic = g_array_index(list, Choice, 0).tactic;
  if (!prepare->tactic)
    return TRUE;
  if (sscanf(prepare->tactic, "v%2dx%1dy%1d", &wanted.vector, &wanted.x, &wanted.y) == 3)
    for (guint i = 0; i < list->len; i++) {
      *tactic = g_array_index(list, Choice, i).tactic;
      if (tactic->vector == wanted.vector && tactic->x == wanted.x && tactic->y == wanted.y)
        return TRUE;
    }
  return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                         "it has no tactic '%.32s' for these dimensions", prepare->tactic);
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
  infer_cuda_define(source, "GRID_W", grid_of(&conv->window, 2));
  infer_cuda_define(source, "GRID_H", grid_of(&conv->window, 1));
  infer_cuda_define(source, "KEEPS", keeps(conv, tactic));
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
