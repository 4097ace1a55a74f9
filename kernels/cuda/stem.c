/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "impls-ops.h"

#include <string.h>

/* The first convolution of a network: up to 4 channels in, half precision, on tensor cores. What
 * libraries do is made for many channels, and pads these to 8 or more. */

#define MAX_OUT 64
#define MAX_SHARED (47 << 10)
/* With more in it; two blocks should fit into a multiprocessor. */
#define MAX_MORE_SHARED (100 << 10)
#define MAX_ACROSS 16

typedef struct {
  gint wide, front; /* columns of the kernel with padding; zeros before its first */
  gint across, down, rows;
  gint steps, chunks;
  gboolean pools;
  gboolean even; /* words of two neighbours start at even columns, as memory has them */
  gint staged;   /* words of a pair of the next tile's input in shared memory; 0: in registers */
} Plan;

/**
 * Core:
 * @step: the convolution, and what is pointwise behind it
 * @pool: (nullable): the MaxPool that takes the result
 *
 * A step without the casts that bring its input and the pooling that takes its result.
 */
typedef struct {
  InferStep step;
  InferTensor *inputs[INFER_CUDA_MAX_INPUTS], *outputs[1];
  const InferNode *pool;
} Core;

/* Whether the nodes before the anchor hand the input on to it as another type. */
static gboolean
is_led(const InferStep *step)
{
  const InferTensor *x = step->inputs[0];

  for (guint i = 0; i <= step->anchor; i++) {
    const InferNode *node = step->nodes[i];

    if (node->n_inputs == 0 || node->inputs[0] != x)
      return FALSE;
    if (i == step->anchor)
      break;
    /* Only what the product takes may have fewer digits than what comes. */
    if (!g_str_equal(infer_node_get_op_name(node), "Cast") || node->n_outputs != 1 ||
        (i + 1 < step->anchor && node->outputs[0]->type != INFER_TYPE_FLOAT))
      return FALSE;
    x = node->outputs[0];
  }
  return TRUE;
}

static gboolean
is_read(const InferStep *step, const InferTensor *tensor)
{
  for (guint i = 0; i < step->n_nodes; i++)
    for (guint k = 0; k < step->nodes[i]->n_inputs; k++)
      if (step->nodes[i]->inputs[k] == tensor)
        return TRUE;
  return FALSE;
}

static gboolean
find_core(const InferStep *step, Core *core)
{
  const InferNode *last = step->nodes[step->n_nodes - 1];
  guint n = step->n_nodes - step->anchor;

  memset(core, 0, sizeof *core);
  if (step->n_inputs < 2 || step->n_inputs > INFER_CUDA_MAX_INPUTS || step->n_outputs != 1 ||
      !is_led(step))
    return FALSE;
  if (n > 1 && g_str_equal(infer_node_get_op_name(last), "MaxPool"))
    core->pool = last;
  n -= core->pool ? 1 : 0;
  core->step = *step;
  core->step.nodes = step->nodes + step->anchor;
  core->step.n_nodes = n;
  core->step.anchor = 0;
  core->step.inputs = core->inputs;
  core->step.outputs = core->outputs;
  memcpy(core->inputs, step->inputs, step->n_inputs * sizeof *core->inputs);
  core->inputs[0] = core->step.nodes[0]->inputs[0];
  core->outputs[0] = core->pool ? core->step.nodes[n - 1]->outputs[0] : step->outputs[0];
  return (step->anchor == 0 || !is_read(&core->step, step->inputs[0])) &&
         (!core->pool || core->pool->inputs[0] == core->outputs[0]);
}

static gboolean
is_small(const InferNode *node, const char *name, gsize want, gint64 most)
{
  gsize n = 0;
  const gint64 *list = infer_node_get_ints(node, name, &n);

  for (gsize i = 0; i < n; i++)
    if (list[i] < 1 || list[i] > most)
      return FALSE;
  return want == 0 || n == want;
}

static gboolean
supports_pool(const Core *core)
{
  const InferNode *node = core->pool;
  InferType type = core->outputs[0]->type;

  return node->n_outputs == 1 && type == core->inputs[0]->type && infer_cuda_is_half(type) &&
         is_small(node, "kernel_shape", 2, 3) && is_small(node, "strides", 0, 2) &&
         is_small(node, "dilations", 0, 1);
}

static gboolean
supports_input(const Core *core, InferType type)
{
  return infer_cuda_is_half(core->inputs[0]->type) &&
         (infer_cuda_is_data(type) || type == INFER_TYPE_UINT8 || type == INFER_TYPE_INT8);
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[step->anchor];
  const InferDims *w = node->n_inputs > 1 && node->inputs[1] ? &node->inputs[1]->dims : NULL;
  Core core;

  if (infer_cuda_device(device)->major < 8 || !w || w->n != 4 || w->d[1] < 1 || w->d[1] > 4 ||
      w->d[0] < 8 || w->d[0] > MAX_OUT || w->d[0] % 8 ||
      infer_node_get_int(node, "group", 1) != 1 || w->d[2] < 1 || w->d[2] > 7 || w->d[3] < 1 ||
      w->d[3] > 7 || !is_small(node, "dilations", 0, 1) || !is_small(node, "strides", 0, 4))
    return FALSE;
  if (!find_core(step, &core) || (core.pool && !supports_pool(&core)) ||
      !supports_input(&core, step->inputs[0]->type) || step->inputs[0]->value ||
      !infer_cuda_conv_supports(&core.step, inputs, outputs) ||
      infer_cuda_chain_reads(&core.step, 0))
    return FALSE;
  inputs[0] = INFER_LAYOUT_ROW_MAJOR;
  return TRUE;
}

static gint64
shared_size(const InferCudaConv *conv, const Plan *plan)
{
  gint64 warps = plan->across * plan->down;
  const InferCudaWindow *w = &conv->window;
  gint64 rows = (plan->down * plan->rows - 1) * w->stride[1] + w->kernel[1];
  gint64 words = ((plan->across * 16 - 1) * w->stride[2] + plan->wide + 1) / 2;
  gint64 pitch = (words + 31 - 12) / 32 * 32 + 12;
  gint64 copies = w->stride[2] % 2 ? 2 : 1;
  gint64 line = plan->pools ? plan->across * 16 * (conv->out / 2 + 4) : 0;

  gint64 lines = (conv->in * rows + warps - 1) / warps, parts = (words + 31) / 32;
  gint64 pairs = lines * parts * warps * 32 * plan->staged;

  return (copies * (conv->in * rows * pitch + 6) + 8 + line + pairs) * 4 +
         (gint64)plan->steps * plan->chunks * 512 + conv->out * 4;
}

/* Warps side by side: as many as waste least of the output's width. */
static gint
find_across(gint64 tiles)
{
  gint best = 1;
  gint64 least = G_MAXINT64;

  for (gint i = 8; i >= 1; i--) {
    gint64 waste = (tiles + i - 1) / i * i - tiles;
    if (waste < least || (waste == least && i > best)) {
      least = waste;
      best = i;
    }
  }
  return best > 2 || tiles < 8 ? best : 4;
}

/* The columns that a block's pooled pixels need are its own; those at its edge are computed by two,
 * unless one is as wide as the image. */
static gint
find_pool_across(gint64 tiles, const InferCudaWindow *pool)
{
  gint best = 1;
  gint64 least = G_MAXINT64;

  if (tiles <= MAX_ACROSS)
    return (gint)MAX(tiles, 1);
  for (gint i = MAX_ACROSS; i >= 4; i--) {
    gint64 span = (i * 16 - pool->kernel[2]) / pool->stride[2] + 1;
    gint64 all = (pool->out[2] + span - 1) / span * i;

    if (all < least) {
      least = all;
      best = i;
    }
  }
  return best;
}

static gboolean
is_even(const InferCudaConv *conv, const InferBuffer *x, const Plan *plan)
{
  const InferCudaWindow *w = &conv->window;
  gsize pair = 2 * infer_type_bits(x->type) / 8;

  /* Tiles of a pooling stem start at any column. */
  if (plan->pools && plan->across * 16 < w->out[2] && w->stride[2] % 2)
    return FALSE;
  return x->dims.d[3] % 2 == 0 && x->alignment % pair == 0 && (w->begin[2] + plan->front) % 2 == 0;
}

/* Returns: whether it fits into @memory bytes of shared memory. */
static gboolean
make_plan(const InferCudaConv *conv, const InferCudaWindow *pool, const InferBuffer *x,
          gint64 memory, Plan *plan)
{
  const InferCudaWindow *w = &conv->window;
  gint64 tiles = (w->out[2] + 15) / 16;

  /* Seven columns and a zero are eight. */
  plan->front = w->begin[2] % 2 != 0;
  plan->wide = 2;
  while (plan->wide < w->kernel[2] + plan->front)
    plan->wide *= 2;
  plan->steps = (gint)((conv->in * w->kernel[1] * plan->wide + 15) / 16);
  plan->chunks = (gint)(conv->out / 8 * 2 + 3) / 4;
  plan->pools = pool != NULL;
  plan->across = pool ? find_pool_across(tiles, pool) : find_across(tiles);
  plan->down = pool ? 1 : MAX(1, 4 / plan->across);
  plan->rows = pool ? (gint)MIN(pool->kernel[1], pool->stride[1]) : 2;
  plan->staged = is_even(conv, x, plan) ? (gint)infer_type_bits(x->type) / 16 : 0;
  memory = MIN(memory, plan->pools || plan->staged ? MAX_MORE_SHARED : MAX_SHARED);
  while (shared_size(conv, plan) > memory && (plan->across > 1 || plan->down > 1)) {
    plan->across = MAX(plan->across / 2, 1);
    plan->down = plan->across == 1 ? 1 : plan->down;
  }
  plan->even = is_even(conv, x, plan);
  plan->staged = plan->even ? plan->staged : 0;
  return shared_size(conv, plan) <= memory;
}

typedef struct {
  const InferCudaConv *conv;
  const Plan *plan;
} Pack;

/* Fragments of the product's right operand, in the order that lanes read them: output channel
 * (column / 2) * lane channels + tile * 2 + column % 2, so that each lane stores neighbours. */
static gboolean
pack_weights(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const Pack *pack = user_data;
  const InferCudaWindow *w = &pack->conv->window;
  const Plan *plan = pack->plan;
  gint tiles = (gint)pack->conv->out / 8;
  guint16 *to = dst;

  for (gint step = 0; step < plan->steps; step++)
    for (gint chunk = 0; chunk < plan->chunks; chunk++)
      for (gint lane = 0; lane < 32; lane++)
        for (gint i = 0; i < 8; i++, to++) {
          gint tile = chunk * 2 + i / 4, column = lane / 4;
          gint64 k = step * 16 + i / 2 % 2 * 8 + lane % 4 * 2 + i % 2;
          gint64 row = k / plan->wide, x = k % plan->wide - plan->front;
          gint64 c = row / w->kernel[1], y = row % w->kernel[1];
          gint64 out = column / 2 * tiles * 2 + tile * 2 + column % 2;
          gint64 from = ((out * pack->conv->in + c) * w->kernel[1] + y) * w->kernel[2] + x;
          gboolean there = tile < tiles && c < pack->conv->in && x >= 0 && x < w->kernel[2];

          *to = there ? ((const guint16 *)value->data)[from] : 0;
        }
  return TRUE;
}

/**
 * Stem:
 * @inner: the core with buffers of its own: of the convolution's type, and what would be written if
 *   it were not pooled
 */
typedef struct {
  Core core;
  InferPrepare inner;
  InferBuffer inputs[INFER_CUDA_MAX_INPUTS], output;
  InferCudaConv conv;
  InferCudaWindow pool;
  Plan plan;
} Stem;

static gint64
item(const gint64 *list, gsize n, gsize i, gint64 fallback)
{
  return list && i < n ? list[i] : fallback;
}

/* The dimensions of the convolution's result; some are 0 or less where it does not fit. */
static void
find_result(const InferNode *node, const InferDims *x, const InferDims *w, InferDims *out)
{
  gsize n_strides, n_pads;
  const gint64 *strides = infer_node_get_ints(node, "strides", &n_strides);
  const gint64 *pads = infer_node_get_ints(node, "pads", &n_pads);
  const char *mode = infer_node_get_string(node, "auto_pad", "NOTSET");
  gboolean given = g_str_equal(mode, "NOTSET");

  *out = *x;
  out->d[1] = w->d[0];
  for (gsize i = 0; i < 2; i++) {
    gint64 stride = item(strides, n_strides, i, 1), room = x->d[2 + i];

    if (given)
      room += item(pads, n_pads, i, 0) + item(pads, n_pads, 2 + i, 0);
    room -= g_str_has_prefix(mode, "SAME_") ? 1 : w->d[2 + i];
    out->d[2 + i] = room < 0 ? 0 : room / stride + 1;
  }
}

static gboolean
find_stem(Stem *stem, const InferPrepare *prepare, GError **error)
{
  const InferStep *step = prepare->step;
  InferOrder order = infer_order_channels_last(4);

  if (!find_core(step, &stem->core) || prepare->inputs[0].dims.n != 4)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "it is not a stem");
  stem->inner = *prepare;
  stem->inner.step = &stem->core.step;
  memcpy(stem->inputs, prepare->inputs, step->n_inputs * sizeof *stem->inputs);
  stem->inputs[0].type = stem->core.inputs[0]->type;
  stem->inner.inputs = stem->inputs;
  stem->output = prepare->outputs[0];
  stem->inner.outputs = &stem->output;
  if (stem->core.pool) {
    find_result(stem->core.step.nodes[0], &stem->inputs[0].dims, &stem->inputs[1].dims,
                &stem->output.dims);
    infer_order_strides(&order, &stem->output.dims, stem->output.strides);
    if (!infer_cuda_window(prepare, stem->core.pool, &stem->output.dims, &prepare->outputs[0].dims,
                           NULL, FALSE, &stem->pool, error))
      return FALSE;
  }
  if (!infer_cuda_conv_init(&stem->conv, &stem->inner, error))
    return FALSE;
  if (!make_plan(&stem->conv, stem->core.pool ? &stem->pool : NULL, &prepare->inputs[0],
                 (gint64)infer_cuda_device(prepare->device)->shared_per_block, &stem->plan))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "its window does not fit into shared memory");
  return TRUE;
}

static void
define_pool(GString *source, const Stem *stem)
{
  const InferCudaWindow *w = &stem->pool;
  const struct {
    const char *name;
    gint64 value;
  } list[] = {{"POOL_KH", w->kernel[1]}, {"POOL_KW", w->kernel[2]}, {"POOL_SH", w->stride[1]},
              {"POOL_SW", w->stride[2]}, {"POOL_TOP", w->begin[1]}, {"POOL_LEFT", w->begin[2]},
              {"POOL_H", w->out[1]},     {"POOL_W", w->out[2]}};

  infer_cuda_define(source, "POOL", stem->core.pool != NULL);
  for (gsize i = 0; stem->core.pool && i < G_N_ELEMENTS(list); i++)
    infer_cuda_define(source, list[i].name, list[i].value);
}

static gboolean
define(GString *source, const InferPrepare *prepare, const Stem *stem, GError **error)
{
  const InferBuffer *x = &prepare->inputs[0];
  const InferCudaConv *conv = &stem->conv;
  const Plan *plan = &stem->plan;
  InferType type = stem->inputs[0].type;

  infer_cuda_window_define(source, &conv->window);
  infer_cuda_define(source, "IN_C", conv->in);
  infer_cuda_define(source, "OUT_C", conv->out);
  infer_cuda_define(source, "BIAS_SLOT", conv->bias);
  infer_cuda_define_text(source, "BIAS_T",
                         conv->bias < 0 ? "float"
                                        : infer_cuda_type(prepare->inputs[conv->bias].type));
  infer_cuda_define(source, "WEIGHT_SLOT", 1);
  infer_cuda_define(source, "X_SLOT", 0);
  infer_cuda_define_text(source, "X_T", infer_cuda_type(x->type));
  infer_cuda_define(source, "X_IMAGE", x->dims.d[1] * x->dims.d[2] * x->dims.d[3]);
  infer_cuda_define(source, "X_PLANE", x->dims.d[2] * x->dims.d[3]);
  infer_cuda_define(source, "X_ROW", x->dims.d[3]);
  infer_cuda_define(source, "CAST", x->type != type);
  infer_cuda_define(source, "EVEN", plan->even);
  infer_cuda_define(source, "STAGED", plan->staged > 0);
  infer_cuda_define(source, "HALF", type == INFER_TYPE_FLOAT16);
  infer_cuda_define(source, "WIDE_W", plan->wide);
  infer_cuda_define(source, "FRONT", plan->front);
  infer_cuda_define(source, "STEPS", plan->steps);
  infer_cuda_define(source, "XT", plan->across);
  infer_cuda_define(source, "YT", plan->down);
  infer_cuda_define(source, "TILES_M", plan->rows);
  define_pool(source, stem);
  return infer_cuda_define_tensor(source, &stem->inner, "O", TRUE, 0, error) &&
         infer_cuda_define_tensor(source, prepare, "Y", TRUE, 0, error);
}

static char *
write_source(const InferPrepare *prepare, const Stem *stem, GError **error)
{
  g_autoptr(GString) source = NULL;
  InferCudaSpace space;

  if (!infer_cuda_space_init(&space, &stem->inner, TRUE, error))
    return NULL;
  source = infer_cuda_source_new(infer_cuda_is_fast(&stem->core.step),
                                 infer_cuda_space_is_wide(&space, &stem->inner));
  if (!define(source, prepare, stem, error) ||
      !infer_cuda_chain_append(source, &stem->inner, TRUE, &space, error))
    return NULL;
  infer_cuda_source_append(source, "mma");
  infer_cuda_source_append(source, "stem");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

/* What source/stem.cu goes over. */
static gint64
count_tiles(const Stem *stem)
{
  const InferCudaWindow *w = &stem->conv.window, *pool = &stem->pool;
  const Plan *plan = &stem->plan;
  gint64 columns = plan->across * 16, rows = plan->down * plan->rows, span, carry;

  if (!stem->core.pool)
    return stem->output.dims.d[0] * ((w->out[2] + columns - 1) / columns) *
           ((w->out[1] + rows - 1) / rows);
  span = columns >= w->out[2] ? pool->out[2] : (columns - pool->kernel[2]) / pool->stride[2] + 1;
  carry = MAX(pool->kernel[1] - pool->stride[1], 0);
  rows = pool->out[1] +
         (pool->begin[1] >= carry ? 0 : (carry + pool->stride[1] - 1) / pool->stride[1]);
  return span < 1 ? 0 : stem->output.dims.d[0] * ((pool->out[2] + span - 1) / span) * rows;
}

static gboolean
prepare_stem(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 1 << 1, error);
  guint blocks = MAX(infer_cuda_device(prepare->device)->n_multiprocessors, 1);
  g_autofree char *source = NULL, *key = NULL;
  const void *weights;
  Stem stem;
  const Plan *plan = &stem.plan;
  Pack pack = {&stem.conv, plan};
  guint warps, shared;

  if (!self || !find_stem(&stem, prepare, error))
    return FALSE;
  key = g_strdup_printf("stem%d,%d", plan->wide, plan->front);
  weights =
      infer_prepare_pack(prepare, 1, key, strlen(key), (gsize)(plan->steps * plan->chunks * 512),
                         pack_weights, &pack, error);
  source = weights ? write_source(prepare, &stem, error) : NULL;
  if (!source)
    return FALSE;
  infer_cuda_kernel_set(self, 1, weights);
  self->params.n[0] = infer_dims_count(&prepare->outputs[0].dims) > 0 ? count_tiles(&stem) : 0;
  warps = (guint)(plan->across * plan->down);
  blocks *= warps <= 4 ? 4 : warps <= 8 ? 2 : 1;
  shared = (guint)shared_size(&stem.conv, plan);
  if (!infer_cuda_kernel_add(self, prepare, source, "stem",
                             (InferCudaSize){infer_cuda_blocks(self->params.n[0], 1, blocks), 1, 1},
                             (InferCudaSize){warps * 32, 1, 1}, shared, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return (output || index > 0) && infer_cuda_strided_pixels(prepare, output, index);
}

const InferImpl infer_cuda_stem = {
    .name = "cuda.stem",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_stem,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = strided,
    .takes_leading = TRUE,
};
