/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "impls-ops.h"
#include "product.h"

/* Many channels in and few rows; see source/deep.cu. */

#define MAX_DEEP_CHANNELS (1 << 14)

/* Registers that a step of 32 channels takes, and the sums. */
static gint
step_registers(const InferCudaTile *tile)
{
  return tile->tiles * 8 + tile->columns * 16;
}

static gint
sum_registers(const InferCudaTile *tile)
{
  return tile->tiles * tile->columns * 16;
}

static gint
deep_stages(const InferCudaTile *tile)
{
  return CLAMP((160 - sum_registers(tile)) / step_registers(tile), 2, 4);
}

static gint
deep_registers(const InferCudaTile *tile)
{
  return 40 + sum_registers(tile) + deep_stages(tile) * step_registers(tile);
}

static gint64
deep_shared(const InferCudaTile *tile)
{
  return (gint64)tile->warps * tile->tiles * tile->columns * 2048;
}

static gboolean
deep_fits(const InferCudaProduct *product, const InferCudaTile *tile)
{
  return deep_registers(tile) <= 255 && tile->warps >= 2 && deep_shared(tile) <= product->shared;
}

static gint
deep_blocks(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gint64 registers = 65536 / (32 * tile->warps * deep_registers(tile));
  gint64 shared = (product->shared + 1024) / (deep_shared(tile) + 1024);

  return (gint)CLAMP(MIN(registers, shared), 1, 16 / tile->warps);
}

/* What one takes, about, in cycles: waves of blocks that wait for memory, and what goes through the
 * second cache. */
static double
deep_cost(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gint64 blocks = infer_cuda_product_rows(product, tile->tiles) *
                  infer_cuda_product_panels(product, tile->columns);
  gint64 fit = product->sms * deep_blocks(product, tile);
  double waves = (double)((blocks + fit - 1) / fit);
  double steps = (double)((product->depth + tile->warps - 1) / tile->warps);
  double bytes = (double)blocks * product->depth * (tile->tiles * 1024 + tile->columns * 2048);

  return waves * (1500 + steps * 300) + bytes / (double)MIN(blocks, product->sms) / 40;
}

static guint
deep_list(const InferCudaProduct *product, InferCudaTile *list)
{
  static const InferCudaTile all[] = {{1, 1, 4}, {1, 1, 8}, {1, 2, 4}, {1, 2, 8},
                                      {2, 1, 4}, {2, 1, 8}, {2, 2, 4}, {2, 2, 8},
                                      {4, 1, 4}, {4, 1, 8}, {1, 1, 16}};
  gboolean taken[G_N_ELEMENTS(all)] = {FALSE};
  guint n = 0;

  while (n < INFER_CUDA_PRODUCT_CANDIDATES) {
    gint best = -1;

    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
      if (!taken[i] && all[i].columns <= product->columns && deep_fits(product, &all[i]) &&
          (best < 0 || deep_cost(product, &all[i]) < deep_cost(product, &all[best])))
        best = (gint)i;
    if (best < 0)
      break;
    taken[best] = TRUE;
    list[n++] = all[best];
  }
  return n;
}

static gboolean
supports_deep(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  return infer_cuda_product_supports(device, step, 64, MAX_DEEP_CHANNELS, inputs, outputs);
}

static char **
tactics_deep(const InferPrepare *prepare, const InferTacticArgs *args)
{
  InferCudaTile list[INFER_CUDA_PRODUCT_CANDIDATES];
  InferPrepare own;
  InferCudaProduct product;

  return infer_cuda_product_init(&product, prepare, &own, NULL)
             ? infer_cuda_tile_names(list, deep_list(&product, list), args->level)
             : NULL;
}

static gboolean
prepare_deep(InferPrepare *prepare, GError **error)
{
  InferCudaTile list[INFER_CUDA_PRODUCT_CANDIDATES];
  InferPrepare own;
  InferCudaProduct product;

  if (!infer_cuda_product_init(&product, prepare, &own, error))
    return FALSE;
  deep_list(&product, list);
  if (!infer_cuda_tile_parse(prepare, &product, deep_fits, list, error))
    return FALSE;
  return infer_cuda_product_prepare(
      prepare, &own, &product, list,
      &(InferCudaProductLaunch){.kernel = "deep",
                                .tiles = list->tiles,
                                .blocks = deep_blocks(&product, list),
                                .stages = deep_stages(list),
                                .across = 1,
                                .grid = {(guint)infer_cuda_product_rows(&product, list->tiles),
                                         (guint)infer_cuda_product_panels(&product, list->columns),
                                         1},
                                .shared = deep_shared(list)},
      error);
}

const InferImpl infer_cuda_deep = {
    .name = "cuda.deep",
    .supports = supports_deep,
    .tactics = tactics_deep,
    .prepare = prepare_deep,
    .release = infer_cuda_product_release,
    .run = infer_cuda_product_run,
    .strided = infer_cuda_strided_pixels,
    .takes_leading = TRUE,
};
