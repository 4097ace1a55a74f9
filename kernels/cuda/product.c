/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "product.h"

#include <stdio.h>
#include <string.h>

#define MAX_OUT (1 << 20)

/* @map: where the kernel's inputs are among the step's; @scale likewise, -1 for none */
typedef struct {
  InferCudaKernel *kernel;
  guint map[INFER_CUDA_MAX_INPUTS];
  gint scale;
} State;

static gboolean
is_product(InferDevice *device, const InferStep *step)
{
  const InferNode *node = step->nodes[0];
  const InferDims *w = node->n_inputs > 1 && node->inputs[1] ? &node->inputs[1]->dims : NULL;
  gsize n = 0;
  const gint64 *pads = infer_node_get_ints(node, "pads", &n);

  if (infer_cuda_device(device)->major < 8 || !w || w->n < 3 || w->d[0] < 8 || w->d[0] > MAX_OUT ||
      w->d[1] < 8 || infer_node_get_int(node, "group", 1) != 1)
    return FALSE;
  for (gint i = 2; i < w->n; i++)
    if (w->d[i] != 1)
      return FALSE;
  for (gsize i = 0; i < n; i++)
    if (pads[i] != 0)
      return FALSE;
  return infer_cuda_is_half(node->inputs[1]->type);
}

gboolean
infer_cuda_product_supports(InferDevice *device, const InferStep *step, gint64 least, gint64 most,
                            InferLayout *inputs, InferLayout *outputs)
{
  InferLayout own[INFER_CUDA_MAX_INPUTS] = {INFER_LAYOUT_ROW_MAJOR};
  InferCudaGated gated;
  const InferNode *node;

  if (!infer_cuda_gated_init(&gated, step) || !is_product(device, &gated.step))
    return FALSE;
  node = gated.step.nodes[0];
  if (node->inputs[1]->dims.d[1] < least || node->inputs[1]->dims.d[1] > most ||
      !infer_cuda_conv_supports(&gated.step, own, outputs))
    return FALSE;
  for (guint i = 0; i < gated.step.n_inputs; i++)
    inputs[gated.map[i]] = own[i];
  if (gated.scale >= 0)
    inputs[gated.scale] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

gboolean
infer_cuda_product_init(InferCudaProduct *product, const InferPrepare *prepare, InferPrepare *own,
                        GError **error)
{
  const InferCudaDevice *device = infer_cuda_device(prepare->device);
  const InferCudaWindow *w = &product->conv.window;

  if (!infer_cuda_gated_init(&product->gated, prepare->step))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "its first node is no gate");
  *own = infer_cuda_gated_prepare(&product->gated, prepare);
  product->scale = product->gated.scale >= 0 ? &prepare->inputs[product->gated.scale] : NULL;
  if (!infer_cuda_conv_init(&product->conv, own, error))
    return FALSE;
  for (gint i = 0; i < 3; i++)
    if (w->kernel[i] != 1 || w->begin[i] != 0 || (w->out[i] - 1) * w->stride[i] >= w->in[i])
      return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                             "this is no convolution of one tap");
  product->rows = prepare->outputs[0].dims.d[0] * w->out[0] * w->out[1] * w->out[2];
  product->depth = (gint)((product->conv.in + 31) / 32);
  product->columns = (gint)((product->conv.out + 31) / 32);
  product->sms = MAX(device->n_multiprocessors, 1);
  product->shared = (gint64)device->shared_per_block;
  return TRUE;
}

gint64
infer_cuda_product_rows(const InferCudaProduct *product, gint tiles)
{
  return (product->rows + tiles * 16 - 1) / (tiles * 16);
}

gint
infer_cuda_product_panels(const InferCudaProduct *product, gint columns)
{
  return (product->columns + columns - 1) / columns;
}

/* --- weights --- */

typedef struct {
  gint64 in, out;
  gint depth, columns;
} Pack;

/* Column (g / 2) * 8 + j * 2 + g % 2 of a block is column g of its fragment j. */
static gboolean
pack_weights(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const Pack *pack = user_data;
  const guint16 *from = (const guint16 *)value->data;
  guint16 *to = dst;

  for (gint n = 0; n < pack->columns; n++)
    for (gint k = 0; k < pack->depth; k++)
      for (gint i = 0; i < 4 * 32; i++, to += 8) {
        gint j = i / 32, g = i % 32 / 4, q = i % 4;
        gint64 out = n * 32 + g / 2 * 8 + j * 2 + g % 2, in = k * 32 + q * 8;
        gint64 count = out < pack->out ? CLAMP(pack->in - in, 0, 8) : 0;

        memset(to, 0, 16);
        if (count > 0)
          memcpy(to, from + out * pack->in + in, (gsize)count * 2);
      }
  return TRUE;
}

static const void *
get_weights(InferPrepare *prepare, const InferCudaProduct *product, GError **error)
{
  Pack pack = {product->conv.in, product->conv.out, product->depth, product->columns};

  return infer_prepare_pack(prepare, product->gated.map[1], "blocks32", 8,
                            (gsize)product->depth * (gsize)product->columns * 2048, pack_weights,
                            &pack, error);
}

/* --- source --- */

/* The most neighbours that are accessed together: aligned, and a divisor of the channels. */
static gint
find_piece(const InferBuffer *buffer)
{
  gint count = infer_cuda_aligned(buffer, buffer->dims.n, buffer->dims.d, buffer->strides, 1);

  while (buffer->dims.d[1] % count != 0)
    count /= 2;
  return count;
}

gboolean
infer_cuda_product_is_wide(const InferPrepare *own)
{
  return find_piece(&own->inputs[0]) == 8;
}

static gboolean
is_flat(const InferBuffer *buffer, gint64 pixels)
{
  gint64 pitch, image;

  return infer_cuda_pixels(buffer, &pitch, &image) &&
         (buffer->dims.d[0] == 1 || image == pixels * pitch);
}

static gboolean
define_scale(GString *source, const InferPrepare *prepare, const InferCudaProduct *product,
             GError **error)
{
  gint64 pitch, image;

  infer_cuda_define(source, "SCALED", product->scale != NULL);
  if (!product->scale)
    return TRUE;
  if (!infer_cuda_pixels(product->scale, &pitch, &image))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its gate is not channels-last");
  infer_cuda_define(source, "S_SLOT", prepare->step->n_inputs + prepare->step->n_outputs);
  infer_cuda_define(source, "S_IMAGE", product->scale->dims.d[0] == 1 ? 0 : image);
  infer_cuda_define(source, "S_PIECE", find_piece(product->scale));
  return TRUE;
}

static char *
write_source(const InferPrepare *prepare, const InferCudaProduct *product,
             const InferCudaTile *tile, const InferCudaProductLaunch *launch, GError **error)
{
  g_autoptr(GString) source = NULL;
  const InferCudaWindow *w = &product->conv.window;
  gint64 pixels = w->out[0] * w->out[1] * w->out[2];
  gboolean same = w->stride[0] == 1 && w->stride[1] == 1 && w->stride[2] == 1;
  gint vector = 8;
  InferCudaSpace space;

  if (!infer_cuda_space_init(&space, prepare, TRUE, error))
    return NULL;
  source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                 infer_cuda_space_is_wide(&space, prepare));
  while (product->conv.out % vector != 0)
    vector /= 2;
  infer_cuda_define(source, "HALF", prepare->inputs[0].type == INFER_TYPE_FLOAT16);
  infer_cuda_define(source, "SPATIAL", w->n);
  infer_cuda_define(source, "TILES_M", launch->tiles);
  infer_cuda_define(source, "COLUMNS", tile->columns);
  infer_cuda_define(source, "WARPS", tile->warps);
  infer_cuda_define(source, "BLOCKS", launch->blocks);
  infer_cuda_define(source, "STAGES", launch->stages);
  infer_cuda_define(source, "ACROSS", launch->across);
  infer_cuda_define(source, "DOWN", tile->warps / launch->across);
  infer_cuda_define(source, "AHEAD", launch->stages > 1);
  infer_cuda_define(source, "EV", vector);
  infer_cuda_define(source, "X_PIECE", find_piece(&prepare->inputs[0]));
  infer_cuda_define(source, "X_FLAT", same && is_flat(&prepare->inputs[0], pixels));
  infer_cuda_define(source, "Y_FLAT", is_flat(&prepare->outputs[0], pixels));
  if (!define_scale(source, prepare, product, error) ||
      !infer_cuda_conv_define(source, &product->conv, prepare, error) ||
      !infer_cuda_chain_append(source, prepare, TRUE, &space, error))
    return NULL;
  infer_cuda_source_append(source, "mma");
  infer_cuda_source_append(source, "product");
  infer_cuda_source_append(source, launch->kernel);
  return g_string_free(g_steal_pointer(&source), FALSE);
}

gboolean
infer_cuda_product_prepare(InferPrepare *prepare, InferPrepare *own,
                           const InferCudaProduct *product, const InferCudaTile *tile,
                           const InferCudaProductLaunch *launch, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(own, 1 << 1, error);
  const void *weights = self ? get_weights(prepare, product, error) : NULL;
  g_autofree char *source = weights ? write_source(own, product, tile, launch, error) : NULL;
  State *state;

  if (!source)
    return FALSE;
  infer_cuda_kernel_set(self, 1, weights);
  self->params.n[0] = product->rows;
  self->params.n[1] = infer_cuda_product_rows(product, tile->tiles);
  if (!infer_cuda_kernel_add(self, own, source, launch->kernel, launch->grid,
                             (InferCudaSize){(guint)tile->warps * 32, 1, 1}, (guint)launch->shared,
                             error))
    return FALSE;
  state = g_new0(State, 1);
  state->kernel = g_steal_pointer(&self);
  state->scale = product->gated.scale;
  memcpy(state->map, product->gated.map, sizeof state->map);
  prepare->state = state;
  return TRUE;
}

void
infer_cuda_product_release(gpointer data)
{
  State *state = data;

  g_free(state->kernel);
  g_free(state);
}

/* Where other kernels have their workspace, this has the gate. */
gboolean
infer_cuda_product_run(gpointer data, InferStream *stream, void *const *inputs,
                       void *const *outputs, void *workspace, GError **error)
{
  const State *state = data;
  void *list[INFER_CUDA_MAX_INPUTS];

  for (guint i = 0; i < state->kernel->n_inputs; i++)
    list[i] = inputs[state->map[i]];
  return infer_cuda_kernel_run(state->kernel, stream, list, outputs,
                               state->scale >= 0 ? inputs[state->scale] : workspace, error);
}

/* --- tactics --- */

static char *
name_of(const InferCudaTile *tile)
{
  return g_strdup_printf("r%dc%dw%d", tile->tiles * 16, tile->columns * 32, tile->warps);
}

char **
infer_cuda_tile_names(const InferCudaTile *list, guint n, guint level)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();

  for (guint i = 0; i < n && (i == 0 || level > 0); i++) {
    g_autofree char *name = name_of(&list[i]);
    g_strv_builder_add(names, name);
  }
  return g_strv_builder_end(names);
}

guint
infer_cuda_tile_add(InferCudaTile *list, guint n, InferCudaTile tile)
{
  for (guint i = 0; i < n; i++)
    if (memcmp(&list[i], &tile, sizeof tile) == 0)
      return n;
  if (n < INFER_CUDA_PRODUCT_CANDIDATES)
    list[n++] = tile;
  return n;
}

gboolean
infer_cuda_tile_parse(const InferPrepare *prepare, const InferCudaProduct *product,
                      InferCudaTileFunc fits, InferCudaTile *tile, GError **error)
{
  if (!prepare->tactic)
    return TRUE;
  if (sscanf(prepare->tactic, "r%3dc%5dw%2d", &tile->tiles, &tile->columns, &tile->warps) != 3 ||
      tile->tiles % 16 || tile->columns % 32)
    tile->tiles = 0;
  tile->tiles /= 16;
  tile->columns /= 32;
  if (tile->tiles < 1 || tile->tiles > 8 || (tile->tiles & (tile->tiles - 1)) != 0 ||
      tile->columns < 1 || tile->columns > MAX(product->columns, 2) || tile->warps < 1 ||
      tile->warps > 16 || (tile->warps & (tile->warps - 1)) != 0 || !fits(product, tile))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "it has no tactic '%.32s' for these dimensions", prepare->tactic);
  return TRUE;
}
