/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "gated.h"
#include "impls-ops.h"

#include <stdio.h>
#include <string.h>

/*
 * Convolutions of one tap in half precision on tensor cores, with any chain behind them: products
 * of rows, which are pixels, with constant weights. "cuda.panel" is for few input channels, where
 * memory is the limit; "cuda.deep" for many input channels and few rows.
 */

/* Registers of a thread that hold its rows, of 32 channels each 8 for a tile. */
#define MAX_PANEL_DEPTH 8
/* From here on what libraries have is as good. */
#define MAX_PANEL_CHANNELS 192
#define MAX_DEEP_CHANNELS (1 << 14)
#define MAX_CANDIDATES 4

/**
 * Tactic:
 * @tiles: of 16 rows, that a warp makes at once
 * @columns: blocks of 32 output channels that a block of threads makes
 * @warps: of a block
 */
typedef struct {
  gint tiles, columns, warps;
} Tactic;

typedef struct {
  InferCudaConv conv;
  gint64 rows;
  gint depth, columns; /* blocks of 32 input and output channels */
  gint64 sms, shared;
  InferCudaGated gated;
  const InferBuffer *scale; /* or NULL */
} Product;

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

  if (infer_cuda_device(device)->major < 8 || !w || w->n < 3 || w->d[0] < 8 || w->d[1] < 8 ||
      infer_node_get_int(node, "group", 1) != 1)
    return FALSE;
  for (gint i = 2; i < w->n; i++)
    if (w->d[i] != 1)
      return FALSE;
  for (gsize i = 0; i < n; i++)
    if (pads[i] != 0)
      return FALSE;
  return infer_cuda_is_half(node->inputs[1]->type);
}

static gboolean
supports(InferDevice *device, const InferStep *step, gint64 least, gint64 most, InferLayout *inputs,
         InferLayout *outputs)
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

/* Leaves in @own what @prepare is without a gate. */
static gboolean
init(Product *product, const InferPrepare *prepare, InferPrepare *own, GError **error)
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

static gint64
count_tiles(const Product *product, gint tiles)
{
  return (product->rows + tiles * 16 - 1) / (tiles * 16);
}

static gint
count_panels(const Product *product, gint columns)
{
  return (product->columns + columns - 1) / columns;
}

/* Registers that a step of 32 channels takes, and the sums. */
static gint
step_registers(const Tactic *tactic)
{
  return tactic->tiles * 8 + tactic->columns * 16;
}

static gint
sum_registers(const Tactic *tactic)
{
  return tactic->tiles * tactic->columns * 16;
}

static gint
deep_stages(const Tactic *tactic)
{
  return CLAMP((160 - sum_registers(tactic)) / step_registers(tactic), 2, 4);
}

static gint
deep_registers(const Tactic *tactic)
{
  return 40 + sum_registers(tactic) + deep_stages(tactic) * step_registers(tactic);
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
get_weights(InferPrepare *prepare, const Product *product, GError **error)
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

static gboolean
is_flat(const InferBuffer *buffer, gint64 pixels)
{
  gint64 pitch, image;

  return infer_cuda_pixels(buffer, &pitch, &image) &&
         (buffer->dims.d[0] == 1 || image == pixels * pitch);
}

static gboolean
define_scale(GString *source, const InferPrepare *prepare, const Product *product, GError **error)
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
write_source(const InferPrepare *prepare, const Product *product, const Tactic *tactic,
             const char *kernel, gint blocks, GError **error)
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
  infer_cuda_define(source, "TILES_M", tactic->tiles);
  infer_cuda_define(source, "COLUMNS", tactic->columns);
  infer_cuda_define(source, "WARPS", tactic->warps);
  infer_cuda_define(source, "BLOCKS", blocks);
  infer_cuda_define(source, "AHEAD", tactic->tiles * product->depth <= 4);
  infer_cuda_define(source, "STAGES", deep_stages(tactic));
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
  infer_cuda_source_append(source, kernel);
  return g_string_free(g_steal_pointer(&source), FALSE);
}

/* @own: without a gate; the state goes to @prepare. */
static gboolean
prepare_product(InferPrepare *prepare, InferPrepare *own, const Product *product,
                const Tactic *tactic, const char *kernel, gint blocks, InferCudaSize grid,
                gint64 shared, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(own, 1 << 1, error);
  const void *weights = self ? get_weights(prepare, product, error) : NULL;
  g_autofree char *source =
      weights ? write_source(own, product, tactic, kernel, blocks, error) : NULL;
  State *state;

  if (!source)
    return FALSE;
  infer_cuda_kernel_set(self, 1, weights);
  self->params.n[0] = product->rows;
  self->params.n[1] = count_tiles(product, tactic->tiles);
  if (!infer_cuda_kernel_add(self, own, source, kernel, grid,
                             (InferCudaSize){(guint)tactic->warps * 32, 1, 1}, (guint)shared,
                             error))
    return FALSE;
  state = g_new0(State, 1);
  state->kernel = g_steal_pointer(&self);
  state->scale = product->gated.scale;
  memcpy(state->map, product->gated.map, sizeof state->map);
  prepare->state = state;
  return TRUE;
}

static void
release(gpointer data)
{
  State *state = data;

  g_free(state->kernel);
  g_free(state);
}

/* Where other kernels have their workspace, this has the gate. */
static gboolean
run(gpointer data, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const State *state = data;
  void *list[INFER_CUDA_MAX_INPUTS];

  for (guint i = 0; i < state->kernel->n_inputs; i++)
    list[i] = inputs[state->map[i]];
  return infer_cuda_kernel_run(state->kernel, stream, list, outputs,
                               state->scale >= 0 ? inputs[state->scale] : workspace, error);
}

/* --- tactics --- */

typedef gboolean (*FitsFunc)(const Product *product, const Tactic *tactic);

static char *
name_of(const Tactic *tactic)
{
  return g_strdup_printf("r%dc%dw%d", tactic->tiles * 16, tactic->columns * 32, tactic->warps);
}

static char **
name_all(const Tactic *list, guint n, guint level)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();

  for (guint i = 0; i < n && (i == 0 || level > 0); i++) {
    g_autofree char *name = name_of(&list[i]);
    g_strv_builder_add(names, name);
  }
  return g_strv_builder_end(names);
}

static guint
add_tactic(Tactic *list, guint n, Tactic tactic)
{
  for (guint i = 0; i < n; i++)
    if (memcmp(&list[i], &tactic, sizeof tactic) == 0)
      return n;
  if (n < MAX_CANDIDATES)
    list[n++] = tactic;
  return n;
}

static gboolean
parse_tactic(const InferPrepare *prepare, const Product *product, FitsFunc fits, Tactic *tactic,
             GError **error)
{
  if (!prepare->tactic)
    return TRUE;
  if (sscanf(prepare->tactic, "r%3dc%5dw%2d", &tactic->tiles, &tactic->columns, &tactic->warps) !=
          3 ||
      tactic->tiles % 16 || tactic->columns % 32)
    tactic->tiles = 0;
  tactic->tiles /= 16;
  tactic->columns /= 32;
  if ((tactic->tiles != 1 && tactic->tiles != 2 && tactic->tiles != 4) || tactic->columns < 1 ||
      tactic->columns > product->columns || tactic->warps < 1 || tactic->warps > 16 ||
      (tactic->warps & (tactic->warps - 1)) != 0 || !fits(product, tactic))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "it has no tactic '%.32s' for these dimensions", prepare->tactic);
  return TRUE;
}

/* --- few channels in --- */

static gint64
panel_shared(const Product *product, gint columns)
{
  return (gint64)columns * product->depth * 2048 + columns * 128;
}

/* Registers of a thread, about. */
static gint
panel_registers(const Product *product, const Tactic *tactic)
{
  gint rows = tactic->tiles * product->depth * 8;
  gboolean ahead = tactic->tiles * product->depth <= 4;

  return 40 + rows * (ahead ? 2 : 1) + tactic->tiles * 16;
}

static gint
panel_blocks(const Product *product, const Tactic *tactic)
{
  gint64 registers = 65536 / (32 * tactic->warps * panel_registers(product, tactic));
  gint64 shared = (product->shared + 1024) / (panel_shared(product, tactic->columns) + 1024);

  return (gint)CLAMP(MIN(registers, shared), 1, 32 / tactic->warps);
}

static gboolean
panel_fits(const Product *product, const Tactic *tactic)
{
  return product->depth * tactic->tiles <= MAX_PANEL_DEPTH && tactic->tiles <= 2 &&
         panel_shared(product, tactic->columns) <= product->shared;
}

/* All columns at once where that leaves enough warps for the device: then rows are read once. */
static gint
panel_columns(const Product *product, gint tiles, gint64 want)
{
  gint64 rows = count_tiles(product, tiles);
  gint panels = 1;

  while (panels < product->columns &&
         (rows * panels < want ||
          panel_shared(product, (product->columns + panels - 1) / panels) > product->shared / 2))
    panels++;
  return (product->columns + panels - 1) / panels;
}

static guint
panel_list(const Product *product, Tactic *list)
{
  const gint64 want = product->sms * 12;
  gint most = product->depth * 2 <= MAX_PANEL_DEPTH && count_tiles(product, 2) >= want ? 2 : 1;
  gint other = most == 2 ? 1 : product->depth * 2 <= MAX_PANEL_DEPTH ? 2 : 1;
  gint few = count_tiles(product, most) >= want * 2 ? 8 : 4;
  gint columns = panel_columns(product, most, want);
  guint n = add_tactic(list, 0, (Tactic){most, columns, few});

  n = add_tactic(list, n, (Tactic){other, panel_columns(product, other, want), 4});
  n = add_tactic(list, n, (Tactic){most, (columns + 1) / 2, 4});
  return add_tactic(list, n, (Tactic){most, columns, 12 - few});
}

static gboolean
supports_panel(InferDevice *device, const InferStep *step, InferLayout *inputs,
               InferLayout *outputs)
{
  return supports(device, step, 8, step->anchor ? MAX_PANEL_DEPTH * 32 : MAX_PANEL_CHANNELS, inputs,
                  outputs);
}

static char **
tactics_panel(const InferPrepare *prepare, const InferTacticArgs *args)
{
  Tactic list[MAX_CANDIDATES];
  InferPrepare own;
  Product product;

  return init(&product, prepare, &own, NULL)
             ? name_all(list, panel_list(&product, list), args->level)
             : NULL;
}

static gboolean
prepare_panel(InferPrepare *prepare, GError **error)
{
  Tactic list[MAX_CANDIDATES];
  InferPrepare own;
  Product product;
  gint64 tiles, panels, most;
  gint blocks;

  if (!init(&product, prepare, &own, error))
    return FALSE;
  panel_list(&product, list);
  if (!parse_tactic(prepare, &product, panel_fits, list, error))
    return FALSE;
  tiles = (count_tiles(&product, list->tiles) + list->warps - 1) / list->warps;
  panels = count_panels(&product, list->columns);
  blocks = panel_blocks(&product, list);
  most = MAX(product.sms * blocks / panels, 1);
  return prepare_product(prepare, &own, &product, list, "panel", blocks,
                         (InferCudaSize){(guint)MIN(tiles, most), (guint)panels, 1},
                         panel_shared(&product, list->columns), error);
}

/* --- many channels in --- */

static gint64
deep_shared(const Tactic *tactic)
{
  return (gint64)tactic->warps * tactic->tiles * tactic->columns * 2048;
}

static gboolean
deep_fits(const Product *product, const Tactic *tactic)
{
  return deep_registers(tactic) <= 255 && tactic->warps >= 2 &&
         deep_shared(tactic) <= product->shared;
}

static gint
deep_blocks(const Product *product, const Tactic *tactic)
{
  gint64 registers = 65536 / (32 * tactic->warps * deep_registers(tactic));
  gint64 shared = (product->shared + 1024) / (deep_shared(tactic) + 1024);

  return (gint)CLAMP(MIN(registers, shared), 1, 16 / tactic->warps);
}

/* What one takes, about, in cycles: waves of blocks that wait for memory, and what goes through the
 * second cache. */
static double
deep_cost(const Product *product, const Tactic *tactic)
{
  gint64 blocks = count_tiles(product, tactic->tiles) * count_panels(product, tactic->columns);
  gint64 fit = product->sms * deep_blocks(product, tactic);
  double waves = (double)((blocks + fit - 1) / fit);
  double steps = (double)((product->depth + tactic->warps - 1) / tactic->warps);
  double bytes = (double)blocks * product->depth * (tactic->tiles * 1024 + tactic->columns * 2048);

  return waves * (1500 + steps * 300) + bytes / (double)MIN(blocks, product->sms) / 40;
}

static guint
deep_list(const Product *product, Tactic *list)
{
  static const Tactic all[] = {{1, 1, 4}, {1, 1, 8}, {1, 2, 4}, {1, 2, 8}, {2, 1, 4}, {2, 1, 8},
                               {2, 2, 4}, {2, 2, 8}, {4, 1, 4}, {4, 1, 8}, {1, 1, 16}};
  gboolean taken[G_N_ELEMENTS(all)] = {FALSE};
  guint n = 0;

  while (n < MAX_CANDIDATES) {
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
  return supports(device, step, 64, MAX_DEEP_CHANNELS, inputs, outputs);
}

static char **
tactics_deep(const InferPrepare *prepare, const InferTacticArgs *args)
{
  Tactic list[MAX_CANDIDATES];
  InferPrepare own;
  Product product;

  return init(&product, prepare, &own, NULL)
             ? name_all(list, deep_list(&product, list), args->level)
             : NULL;
}

static gboolean
prepare_deep(InferPrepare *prepare, GError **error)
{
  Tactic list[MAX_CANDIDATES];
  InferPrepare own;
  Product product;

  if (!init(&product, prepare, &own, error))
    return FALSE;
  deep_list(&product, list);
  if (!parse_tactic(prepare, &product, deep_fits, list, error))
    return FALSE;
  return prepare_product(prepare, &own, &product, list, "deep", deep_blocks(&product, list),
                         (InferCudaSize){(guint)count_tiles(&product, list->tiles),
                                         (guint)count_panels(&product, list->columns), 1},
                         deep_shared(list), error);
}

const InferImpl infer_cuda_panel = {
    .name = "cuda.panel",
    .batch_invariant = TRUE,
    .supports = supports_panel,
    .tactics = tactics_panel,
    .prepare = prepare_panel,
    .release = release,
    .run = run,
    .strided = infer_cuda_strided_pixels,
    .takes_leading = TRUE,
};

const InferImpl infer_cuda_deep = {
    .name = "cuda.deep",
    .supports = supports_deep,
    .tactics = tactics_deep,
    .prepare = prepare_deep,
    .release = release,
    .run = run,
    .strided = infer_cuda_strided_pixels,
    .takes_leading = TRUE,
};
