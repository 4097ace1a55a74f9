/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "impls-ops.h"
#include "product.h"

#include <string.h>

/* Many channels in and many rows; see source/staged.cu. */

#define MAX_STAGED_CHANNELS (1 << 14)
#define STAGES 4

/* Tiles of a block of threads that its warps can share out. */
static const InferCudaTile shapes[] = {{2, 2, 4}, {2, 4, 4}, {4, 2, 4}, {4, 3, 4},
                                       {2, 6, 4}, {4, 4, 8}, {4, 6, 8}, {8, 2, 8},
                                       {8, 4, 8}, {4, 8, 8}, {8, 8, 8}};

static gint
across(const InferCudaTile *tile)
{
  return tile->columns % 4 == 0 ? 4 : tile->columns % 2 == 0 ? 2 : 1;
}

/* Of a warp. */
static gint
tiles(const InferCudaTile *tile)
{
  return tile->tiles * across(tile) / tile->warps;
}

static gint64
shared(const InferCudaTile *tile)
{
  return (gint64)STAGES * (tile->tiles * 2048 + tile->columns * 4096);
}

static gboolean
fits(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gboolean known = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS(shapes); i++)
    known = known || memcmp(&shapes[i], tile, sizeof *tile) == 0;
  return known && shared(tile) <= product->shared;
}

static gint
blocks(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gint sums = tiles(tile) * (tile->columns / across(tile)) * 16;
  gint64 registers = 65536 / (32 * tile->warps * (72 + sums + tiles(tile) * 8));
  gint64 memory = (product->shared + 1024) / (shared(tile) + 1024);

  return (gint)CLAMP(MIN(registers, memory), 1, 16 / tile->warps);
}

/* What it takes, about, in cycles: what the busiest multiprocessor reads from the second cache, and
 * one block's way through its steps. */
static double
cost(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gint64 all = infer_cuda_product_rows(product, tile->tiles) *
               infer_cuda_product_panels(product, tile->columns);
  gint64 most = (all + product->sms - 1) / product->sms;
  gint64 waves = (most + blocks(product, tile) - 1) / blocks(product, tile);
  double bytes = (double)(most * product->depth) * (tile->tiles * 1024 + tile->columns * 2048);

  return bytes / 40 + (double)waves * (1500 + product->depth * 40);
}

static guint
list_tiles(const InferCudaProduct *product, InferCudaTile *list)
{
  gboolean taken[G_N_ELEMENTS(shapes)] = {FALSE};
  guint n = 0;

  while (n < INFER_CUDA_PRODUCT_CANDIDATES) {
    gint best = -1;

    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++)
      if (!taken[i] && shapes[i].columns <= MAX(product->columns, 2) && fits(product, &shapes[i]) &&
          (best < 0 || cost(product, &shapes[i]) < cost(product, &shapes[best])))
        best = (gint)i;
    if (best < 0)
      break;
    taken[best] = TRUE;
    list[n++] = shapes[best];
  }
  return n;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  return infer_cuda_product_supports(device, step, 64, MAX_STAGED_CHANNELS, inputs, outputs) &&
         step->nodes[step->anchor]->inputs[1]->dims.d[1] % 8 == 0;
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  InferCudaTile list[INFER_CUDA_PRODUCT_CANDIDATES];
  InferCudaProduct product;
  InferPrepare own;

  return infer_cuda_product_init(&product, prepare, &own, NULL)
             ? infer_cuda_tile_names(list, list_tiles(&product, list), args->level)
             : NULL;
}

static gboolean
prepare_staged(InferPrepare *prepare, GError **error)
{
  InferCudaTile list[INFER_CUDA_PRODUCT_CANDIDATES];
  InferCudaProduct product;
  InferPrepare own;

  if (!infer_cuda_product_init(&product, prepare, &own, error))
    return FALSE;
  if (!infer_cuda_product_is_wide(&own) || list_tiles(&product, list) == 0)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "its input cannot be read 16 bytes at a time");
  if (!infer_cuda_tile_parse(prepare, &product, fits, list, error))
    return FALSE;
  return infer_cuda_product_prepare(
      prepare, &own, &product, list,
      &(InferCudaProductLaunch){.kernel = "staged",
                                .tiles = tiles(list),
                                .blocks = blocks(&product, list),
                                .stages = STAGES,
                                .across = across(list),
                                .grid = {(guint)infer_cuda_product_rows(&product, list->tiles),
                                         (guint)infer_cuda_product_panels(&product, list->columns),
                                         1},
                                .shared = shared(list)},
      error);
}

/* What is not aligned is for others. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  const InferBuffer *buffer = output ? &prepare->outputs[index] : &prepare->inputs[index];

  return infer_cuda_strided_pixels(prepare, output, index) &&
         (output ||
          infer_cuda_aligned(buffer, buffer->dims.n, buffer->dims.d, buffer->strides, 1) == 8);
}

const InferImpl infer_cuda_staged = {
    .name = "cuda.staged",
    .batch_invariant = TRUE,
    .supports = supports,
    .tactics = tactics,
    .prepare = prepare_staged,
    .release = infer_cuda_product_release,
    .run = infer_cuda_product_run,
    .strided = strided,
    .takes_leading = TRUE,
};
