/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "impls-ops.h"
#include "product.h"

/* Few channels in; see source/panel.cu. */

/* Registers of a thread that hold its rows, of 32 channels each 8 for a tile. */
#define MAX_PANEL_DEPTH 8
/* From here on what libraries have is as good. */
#define MAX_PANEL_CHANNELS 192

static gint64
panel_shared(const InferCudaProduct *product, gint columns)
{
  return (gint64)columns * product->depth * 2048 + columns * 128;
}

/* Whether there are registers for the next rows. */
static gboolean
panel_is_ahead(const InferCudaProduct *product, const InferCudaTile *tile)
{
  return tile->tiles * product->depth <= 4;
}

/* Registers of a thread, about. */
static gint
panel_registers(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gint rows = tile->tiles * product->depth * 8;

  return 40 + rows * (panel_is_ahead(product, tile) ? 2 : 1) + tile->tiles * 16;
}

static gint
panel_blocks(const InferCudaProduct *product, const InferCudaTile *tile)
{
  gint64 registers = 65536 / (32 * tile->warps * panel_registers(product, tile));
  gint64 shared = (product->shared + 1024) / (panel_shared(product, tile->columns) + 1024);

  return (gint)CLAMP(MIN(registers, shared), 1, 32 / tile->warps);
}

static gboolean
panel_fits(const InferCudaProduct *product, const InferCudaTile *tile)
{
  return product->depth * tile->tiles <= MAX_PANEL_DEPTH && tile->tiles <= 2 &&
         panel_shared(product, tile->columns) <= product->shared;
}

/* All columns at once where that leaves enough warps for the device: then rows are read once. */
static gint
panel_columns(const InferCudaProduct *product, gint tiles, gint64 want)
{
  gint64 rows = infer_cuda_product_rows(product, tiles);
  gint panels = 1;

  while (panels < product->columns &&
         (rows * panels < want ||
          panel_shared(product, (product->columns + panels - 1) / panels) > product->shared / 2))
    panels++;
  return (product->columns + panels - 1) / panels;
}

static guint
panel_list(const InferCudaProduct *product, InferCudaTile *list)
{
  const gint64 want = product->sms * 12;
  gint most =
      product->depth * 2 <= MAX_PANEL_DEPTH && infer_cuda_product_rows(product, 2) >= want ? 2 : 1;
  gint other = most == 2 ? 1 : product->depth * 2 <= MAX_PANEL_DEPTH ? 2 : 1;
  gint few = infer_cuda_product_rows(product, most) >= want * 2 ? 8 : 4;
  gint columns = panel_columns(product, most, want);
  guint n = infer_cuda_tile_add(list, 0, (InferCudaTile){most, columns, few});

  n = infer_cuda_tile_add(list, n, (InferCudaTile){other, panel_columns(product, other, want), 4});
  n = infer_cuda_tile_add(list, n, (InferCudaTile){most, (columns + 1) / 2, 4});
  return infer_cuda_tile_add(list, n, (InferCudaTile){most, columns, 12 - few});
}

static gboolean
supports_panel(InferDevice *device, const InferStep *step, InferLayout *inputs,
               InferLayout *outputs)
{
  return infer_cuda_product_supports(
      device, step, 8, step->anchor ? MAX_PANEL_DEPTH * 32 : MAX_PANEL_CHANNELS, inputs, outputs);
}

static char **
tactics_panel(const InferPrepare *prepare, const InferTacticArgs *args)
{
  InferCudaTile list[INFER_CUDA_PRODUCT_CANDIDATES];
  InferPrepare own;
  InferCudaProduct product;

  return infer_cuda_product_init(&product, prepare, &own, NULL)
             ? infer_cuda_tile_names(list, panel_list(&product, list), args->level)
             : NULL;
}

static gboolean
prepare_panel(InferPrepare *prepare, GError **error)
{
  InferCudaTile list[INFER_CUDA_PRODUCT_CANDIDATES];
  InferPrepare own;
  InferCudaProduct product;
  gint64 tiles, panels, most;
  gint blocks;

  if (!infer_cuda_product_init(&product, prepare, &own, error))
    return FALSE;
  panel_list(&product, list);
  if (!infer_cuda_tile_parse(prepare, &product, panel_fits, list, error))
    return FALSE;
  tiles = (infer_cuda_product_rows(&product, list->tiles) + list->warps - 1) / list->warps;
  panels = infer_cuda_product_panels(&product, list->columns);
  blocks = panel_blocks(&product, list);
  most = MAX(product.sms * blocks / panels, 1);
  return infer_cuda_product_prepare(
      prepare, &own, &product, list,
      &(InferCudaProductLaunch){.kernel = "panel",
                                .tiles = list->tiles,
                                .blocks = blocks,
                                .stages = panel_is_ahead(&product, list) ? 2 : 1,
                                .across = 1,
                                .grid = {(guint)MIN(tiles, most), (guint)panels, 1},
                                .shared = panel_shared(&product, list->columns)},
      error);
}

const InferImpl infer_cuda_panel = {
    .name = "cuda.panel",
    .batch_invariant = TRUE,
    .supports = supports_panel,
    .tactics = tactics_panel,
    .prepare = prepare_panel,
    .release = infer_cuda_product_release,
    .run = infer_cuda_product_run,
    .strided = infer_cuda_strided_pixels,
    .takes_leading = TRUE,
};
