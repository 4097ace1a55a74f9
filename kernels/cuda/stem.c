/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"
#include "impls-ops.h"

#include <string.h>

/* The first convolution of a network: up to 4 channels in, half precision, on tensor cores. What
 * libraries do is made for many channels, and pads these to 8 or more. */

#define MAX_OUT 64
#define MAX_SHARED (47 << 10)

typedef struct {
  gint wide, front; /* columns of the kernel with padding; zeros before its first */
  gint across, down, rows;
  gint steps, chunks;
} Plan;

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferDims *w = node->n_inputs > 1 && node->inputs[1] ? &node->inputs[1]->dims : NULL;
  gsize n = 0;
  const gint64 *dilations = infer_node_get_ints(node, "dilations", &n);
  const gint64 *strides;

  if (infer_cuda_device(device)->major < 8 || !w || w->n != 4 || w->d[1] < 1 || w->d[1] > 4 ||
      w->d[0] < 8 || w->d[0] > MAX_OUT || w->d[0] % 8 ||
      infer_node_get_int(node, "group", 1) != 1 || w->d[2] < 1 || w->d[2] > 7 || w->d[3] < 1 ||
      w->d[3] > 7)
    return FALSE;
  for (gsize i = 0; i < n; i++)
    if (dilations[i] != 1)
      return FALSE;
  strides = infer_node_get_ints(node, "strides", &n);
  for (gsize i = 0; i < n; i++)
    if (strides[i] > 4)
      return FALSE;
  if (!infer_cuda_conv_supports(step, inputs, outputs) ||
      !infer_cuda_is_half(step->inputs[0]->type) || infer_cuda_chain_reads(step, 0))
    return FALSE;
  inputs[0] = INFER_LAYOUT_ROW_MAJOR;
  return TRUE;
}

static gint64
shared_size(const InferCudaConv *conv, const Plan *plan)
{
  const InferCudaWindow *w = &conv->window;
  gint64 rows = (plan->down * plan->rows - 1) * w->stride[1] + w->kernel[1];
  gint64 words = ((plan->across * 16 - 1) * w->stride[2] + plan->wide + 1) / 2;
  gint64 pitch = (words + 31 - 12) / 32 * 32 + 12;
  gint64 copies = w->stride[2] % 2 ? 2 : 1;

  return (copies * (conv->in * rows * pitch + 6) + 8) * 4 +
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

static void
make_plan(const InferCudaConv *conv, Plan *plan)
{
  const InferCudaWindow *w = &conv->window;

  /* Seven columns and a zero are eight. */
  plan->front = w->begin[2] % 2 != 0;
  plan->wide = 2;
  while (plan->wide < w->kernel[2] + plan->front)
    plan->wide *= 2;
  plan->steps = (gint)((conv->in * w->kernel[1] * plan->wide + 15) / 16);
  plan->chunks = (gint)(conv->out / 8 * 2 + 3) / 4;
  plan->across = find_across((w->out[2] + 15) / 16);
  plan->down = MAX(1, 4 / plan->across);
  plan->rows = 2;
  while (shared_size(conv, plan) > MAX_SHARED && (plan->across > 1 || plan->down > 1)) {
    plan->across = MAX(plan->across / 2, 1);
    plan->down = plan->across == 1 ? 1 : plan->down;
  }
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

static gboolean
define(GString *source, const InferPrepare *prepare, const InferCudaConv *conv, const Plan *plan,
       GError **error)
{
  const InferBuffer *x = &prepare->inputs[0];
  gboolean even = x->dims.d[3] % 2 == 0 && x->alignment % 4 == 0 &&
                  (conv->window.begin[2] + plan->front) % 2 == 0;

  infer_cuda_window_define(source, &conv->window);
  infer_cuda_define(source, "IN_C", conv->in);
  infer_cuda_define(source, "OUT_C", conv->out);
  infer_cuda_define(source, "BIAS_SLOT", conv->bias);
  infer_cuda_define_text(source, "BIAS_T",
                         conv->bias < 0 ? "float"
                                        : infer_cuda_type(prepare->inputs[conv->bias].type));
  infer_cuda_define(source, "WEIGHT_SLOT", 1);
  infer_cuda_define(source, "X_SLOT", 0);
  infer_cuda_define(source, "X_IMAGE", x->dims.d[1] * x->dims.d[2] * x->dims.d[3]);
  infer_cuda_define(source, "X_PLANE", x->dims.d[2] * x->dims.d[3]);
  infer_cuda_define(source, "X_ROW", x->dims.d[3]);
  infer_cuda_define(source, "EVEN", even);
  infer_cuda_define(source, "HALF", x->type == INFER_TYPE_FLOAT16);
  infer_cuda_define(source, "WIDE_W", plan->wide);
  infer_cuda_define(source, "FRONT", plan->front);
  infer_cuda_define(source, "STEPS", plan->steps);
  infer_cuda_define(source, "XT", plan->across);
  infer_cuda_define(source, "YT", plan->down);
  infer_cuda_define(source, "TILES_M", plan->rows);
  return infer_cuda_define_tensor(source, prepare, "Y", TRUE, 0, error);
}

static char *
write_source(const InferPrepare *prepare, const InferCudaConv *conv, const Plan *plan,
             GError **error)
{
  g_autoptr(GString) source = NULL;
  InferCudaSpace space;

  if (!infer_cuda_space_init(&space, prepare, TRUE, error))
    return NULL;
  source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                 infer_cuda_space_is_wide(&space, prepare));
  if (!define(source, prepare, conv, plan, error) ||
      !infer_cuda_chain_append(source, prepare, TRUE, &space, error))
    return NULL;
  infer_cuda_source_append(source, "mma");
  infer_cuda_source_append(source, "stem");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

static gboolean
prepare_stem(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 1 << 1, error);
  guint blocks = MAX(infer_cuda_device(prepare->device)->n_multiprocessors, 1);
  g_autofree char *source = NULL, *key = NULL;
  const void *weights;
  InferCudaConv conv;
  Plan plan;
  Pack pack = {&conv, &plan};
  gint64 across, down;

  if (!self || !infer_cuda_conv_init(&conv, prepare, error))
    return FALSE;
  make_plan(&conv, &plan);
  key = g_strdup_printf("stem%d,%d", plan.wide, plan.front);
  weights = infer_prepare_pack(prepare, 1, key, strlen(key),
                               (gsize)(plan.steps * plan.chunks * 512), pack_weights, &pack, error);
  source = weights ? write_source(prepare, &conv, &plan, error) : NULL;
  if (!source)
    return FALSE;
  infer_cuda_kernel_set(self, 1, weights);
  across = (conv.window.out[2] + plan.across * 16 - 1) / (plan.across * 16);
  down = (conv.window.out[1] + plan.down * plan.rows - 1) / (plan.down * plan.rows);
  self->params.n[0] = prepare->outputs[0].dims.d[0] * across * down;
  blocks *= plan.across * plan.down <= 4 ? 4 : 2;
  if (!infer_cuda_kernel_add(self, prepare, source, "stem",
                             (InferCudaSize){infer_cuda_blocks(self->params.n[0], 1, blocks), 1, 1},
                             (InferCudaSize){(guint)(plan.across * plan.down * 32), 1, 1}, 0,
                             error))
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
};
