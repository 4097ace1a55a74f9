/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "convolution.h"
#include "gated.h"

G_BEGIN_DECLS

/*
 * Convolutions of one tap in half precision on tensor cores, with any chain behind them and maybe a
 * gate in front: products of rows, which are pixels, with constant weights. "cuda.panel" is for few
 * input channels, where memory is the limit; "cuda.staged" for many; "cuda.deep" for many and few
 * rows.
 */

#define INFER_CUDA_PRODUCT_CANDIDATES 4

/**
 * InferCudaTile:
 * @tiles: of 16 rows, that a warp makes at once; for cuda.staged, that a block of threads makes
 * @columns: blocks of 32 output channels that a block of threads makes
 * @warps: of a block
 */
typedef struct {
  gint tiles, columns, warps;
} InferCudaTile;

/**
 * InferCudaProduct:
 * @conv: the convolution
 * @rows: pixels of all images
 * @depth: blocks of 32 input channels
 * @columns: blocks of 32 output channels
 * @sms: multiprocessors of the device
 * @shared: bytes of shared memory that a block may have
 * @gated: the step without its gate
 * @scale: (nullable): the gate
 */
typedef struct {
  InferCudaConv conv;
  gint64 rows;
  gint depth, columns;
  gint64 sms, shared;
  InferCudaGated gated;
  const InferBuffer *scale;
} InferCudaProduct;

/**
 * InferCudaProductLaunch:
 * @kernel: name of the source and of the kernel in it
 * @tiles: of 16 rows, of a warp
 * @blocks: that a multiprocessor should hold
 * @stages: of what is read ahead
 * @across: warps of a block side by side; the others are below each other
 */
typedef struct {
  const char *kernel;
  gint tiles, blocks, stages, across;
  InferCudaSize grid;
  gint64 shared;
} InferCudaProductLaunch;

/** infer_cuda_product_supports: an InferImpl.supports for @least to @most input channels. */
gboolean infer_cuda_product_supports(InferDevice *device, const InferStep *step, gint64 least,
                                     gint64 most, InferLayout *inputs, InferLayout *outputs);
/** infer_cuda_product_init: @own: (out): what @prepare is without a gate; refers to @self. */
gboolean infer_cuda_product_init(InferCudaProduct *self, const InferPrepare *prepare,
                                 InferPrepare *own, GError **error);
/** infer_cuda_product_rows: tiles of @tiles * 16 rows. */
gint64 infer_cuda_product_rows(const InferCudaProduct *self, gint tiles);
/** infer_cuda_product_panels: panels of @columns blocks of columns. */
gint infer_cuda_product_panels(const InferCudaProduct *self, gint columns);
/** infer_cuda_product_is_wide: whether rows can be read 16 bytes at a time. */
gboolean infer_cuda_product_is_wide(const InferPrepare *own);
/** infer_cuda_product_prepare: compiles the kernel and fills @prepare. */
gboolean infer_cuda_product_prepare(InferPrepare *prepare, InferPrepare *own,
                                    const InferCudaProduct *self, const InferCudaTile *tile,
                                    const InferCudaProductLaunch *launch, GError **error);
void infer_cuda_product_release(gpointer state);
gboolean infer_cuda_product_run(gpointer state, InferStream *stream, void *const *inputs,
                                void *const *outputs, void *workspace, GError **error);

/* --- tactics: "r32c96w4" --- */

typedef gboolean (*InferCudaTileFunc)(const InferCudaProduct *self, const InferCudaTile *tile);
/** infer_cuda_tile_add: appends @tile unless it is there. Returns: the new number, at most
 *  INFER_CUDA_PRODUCT_CANDIDATES. */
guint infer_cuda_tile_add(InferCudaTile *list, guint n, InferCudaTile tile);
/** infer_cuda_tile_names: (transfer full): for InferImpl.tactics. */
char **infer_cuda_tile_names(const InferCudaTile *list, guint n, guint level);
/** infer_cuda_tile_parse: reads the tactic, which may come from a file; leaves @tile as it is where
 *  there is none. */
gboolean infer_cuda_tile_parse(const InferPrepare *prepare, const InferCudaProduct *self,
                               InferCudaTileFunc fits, InferCudaTile *tile, GError **error);

G_END_DECLS
