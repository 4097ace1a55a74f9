/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "impls-ops.h"
#include "nest.h"

#include <string.h>

/* Reduce*, ArgMax and ArgMin, and global pooling, with a chain behind. */

/* Bytes of what is kept of one result, at most. */
#define MAX_STATE 32

/* The numbers are those of source/reduce.cu. */
static const struct {
  const char *op;
  gint kind;
  gboolean roots; /* integers are computed as doubles */
} kinds[] = {
    {"ReduceSum", 0, FALSE},         {"ReduceMean", 1, FALSE},    {"ReduceMax", 2, FALSE},
    {"ReduceMin", 3, FALSE},         {"ReduceProd", 4, FALSE},    {"ReduceL1", 5, FALSE},
    {"ReduceL2", 6, TRUE},           {"ReduceLogSum", 7, TRUE},   {"ReduceLogSumExp", 8, TRUE},
    {"ReduceSumSquare", 9, FALSE},   {"ArgMax", 10, FALSE},       {"ArgMin", 11, FALSE},
    {"GlobalAveragePool", 1, FALSE}, {"GlobalMaxPool", 2, FALSE}, {"GlobalLpPool", 12, FALSE},
};

static gint
find_kind(const InferNode *node)
{
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
    if (g_str_equal(kinds[i].op, infer_node_get_op_name(node)))
      return (gint)i;
  return -1;
}

static gboolean
pick(gint64 axis, gint rank, gboolean *gone)
{
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank)
    return FALSE;
  gone[axis] = TRUE;
  return TRUE;
}

/* Which axes of the input go. */
static gboolean
find_axes(const InferNode *node, gint rank, gboolean *gone)
{
  const char *op = infer_node_get_op_name(node);
  const InferTensor *list = node->n_inputs > 1 ? node->inputs[1] : NULL;
  gint64 n;

  memset(gone, 0, sizeof *gone * INFER_MAX_DIMS);
  if (g_str_has_prefix(op, "Arg"))
    return pick(infer_node_get_int(node, "axis", 0), rank, gone);
  if (g_str_has_prefix(op, "Global")) {
    for (gint i = 2; i < rank; i++)
      gone[i] = TRUE;
    return rank >= 3;
  }
  if (list && !list->value)
    return FALSE;
  n = list ? infer_array_count(list->value) : 0;
  for (gint i = 0; n == 0 && i < rank; i++)
    gone[i] = infer_node_get_int(node, "noop_with_empty_axes", 0) == 0;
  for (gint64 i = 0; i < n; i++)
    if (!pick(infer_array_get_int(list->value, (gsize)i), rank, gone))
      return FALSE;
  return TRUE;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0];
  gboolean gone[INFER_MAX_DIMS];

  if (!x || x->value || x->dims.n < 0 || !infer_cuda_type(x->type) ||
      infer_step_find_input(step, x) != 0 || !find_axes(node, x->dims.n, gone) ||
      !infer_cuda_chain_supports(step, TRUE) ||
      (node->n_inputs > 1 && node->inputs[1] &&
       infer_cuda_chain_reads(step, (guint)infer_step_find_input(step, node->inputs[1]))))
    return FALSE;
  if (x->dims.n == step->outputs[0]->dims.n)
    infer_cuda_chain_layouts(step, TRUE, INFER_LAYOUT_ANY, inputs, outputs);
  inputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

/* Axes of the output follow those of the input, without those that are gone and not kept as 1. */
static gboolean
fill_nest(InferCudaNest *nest, const InferPrepare *prepare, GError **error)
{
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  gboolean gone[INFER_MAX_DIMS], same = x->dims.n == y->dims.n;
  gint axis = 0;

  memset(nest, 0, sizeof *nest);
  if (!find_axes(prepare->step->nodes[0], x->dims.n, gone))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its axes are not known");
  for (gint i = 0; i < x->dims.n; i++) {
    InferCudaNestAxis one = {.dim = x->dims.d[i], .stride = {x->strides[i]}};

    if (!gone[i] && axis < y->dims.n) {
      one.stride[INFER_NEST_Y] = y->strides[axis];
      one.axis = axis;
    }
    if (!gone[i] && (axis >= y->dims.n || y->dims.d[axis] != one.dim))
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its output does not fit");
    infer_cuda_nest_add(nest, gone[i], &one);
    axis += !gone[i] || same;
  }
  infer_cuda_nest_finish(nest, x, y, prepare->step->n_nodes == 1, FALSE);
  return TRUE;
}

static void
define_kind(GString *source, const InferPrepare *prepare)
{
  const InferNode *node = prepare->step->nodes[0];
  gint index = find_kind(node);
  InferType type = prepare->inputs[0].type;
  gboolean real = infer_type_is_float(type), most = kinds[index].kind == 3;
  gboolean arg = kinds[index].kind >= 10 && kinds[index].kind <= 11;

  infer_cuda_define(source, "KIND", kinds[index].kind);
  infer_cuda_define(source, "LAST_INDEX", infer_node_get_int(node, "select_last_index", 0) != 0);
  infer_cuda_define(source, "POWER", infer_node_get_int(node, "p", 2));
  infer_cuda_define_text(source, "ACC", infer_cuda_accumulator(type, kinds[index].roots));
  infer_cuda_define_text(source, "OUT_A",
                         arg ? "long long" : infer_cuda_type(node->outputs[0]->type));
  if (real)
    infer_cuda_define_text(source, "EXTREME", most ? "infinity(false)" : "infinity(true)");
  else if (type == INFER_TYPE_BOOL)
    infer_cuda_define_text(source, "EXTREME", most ? "1" : "0");
  else if (type == INFER_TYPE_UINT8 || type == INFER_TYPE_UINT16 || type == INFER_TYPE_UINT32 ||
           type == INFER_TYPE_UINT64)
    infer_cuda_define_text(source, "EXTREME", most ? "((S)~(S)0)" : "0");
  else
    infer_cuda_define_text(source, "EXTREME",
                           most ? "((S)((1ull << (sizeof(S) * 8 - 1)) - 1))"
                                : "((S)(1ull << (sizeof(S) * 8 - 1)))");
}

static char *
write_source(const InferPrepare *prepare, const InferCudaNest *nest, gint64 splits,
             gboolean clusters, GError **error)
{
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  g_autoptr(GString) source = NULL;
  InferCudaSpace space;

  if (!infer_cuda_space_init(&space, prepare, TRUE, error))
    return NULL;
  /* The chain's neighbours lie on the innermost kept axis. */
  space.vector = nest->kept[nest->n_kept - 1].axis;
  source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step), infer_cuda_nest_is_wide(x, y));
  if (clusters)
    infer_cuda_define(source, "CLUSTER", splits);
  infer_cuda_define(source, "JOINS_LATER", splits > 1 && !clusters);
  infer_cuda_define(source, "RANK", space.n);
  infer_cuda_define(source, "OUT_SLOT", prepare->step->n_inputs);
  infer_cuda_define(source, "X_SLOT", 0);
  infer_cuda_define(source, "WORK_SLOT", prepare->step->n_inputs + prepare->step->n_outputs);
  infer_cuda_define(source, "SPLITS", splits);
  define_kind(source, prepare);
  infer_cuda_nest_define(nest, source, x, y);
  if (!infer_cuda_chain_append(source, prepare, TRUE, &space, error))
    return NULL;
  infer_cuda_source_append(source, "reduce");
  infer_cuda_source_append(source, "reduction");
  return g_string_free(g_steal_pointer(&source), FALSE);
}

/* The most blocks of a cluster on every device that has clusters. */
#define MAX_CLUSTER 8

/* How many blocks share one result, and whether those of a cluster can. On devices with clusters it
 * follows from what is summed alone, so that results do not depend on the batch. */
static gint64
find_splits(const InferPrepare *prepare, const InferCudaNest *nest, gint64 blocks,
            gboolean *clusters)
{
  const InferCudaDevice *device = infer_cuda_device(prepare->device);
  gint64 want = device->n_multiprocessors, splits = 1;
  gint64 steps = nest->count / ((gint64)nest->depth * nest->run);

  *clusters = device->major >= 9 && (steps <= 64 * MAX_CLUSTER || blocks >= 4 * want);
  if (device->major >= 9 && !*clusters)
    return MIN(steps / 16, 128);
  while (*clusters && splits < MAX_CLUSTER && splits * 16 <= steps)
    splits *= 2;
  if (*clusters || blocks >= want || blocks == 0 || steps < 8)
    return splits;
  return CLAMP(MIN(2 * want / blocks, steps / 4), 1, 128);
}

static gboolean
prepare_reduction(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  g_autofree char *source = NULL;
  InferCudaNest nest;
  InferCudaSize grid, block;
  gint64 splits;
  gboolean clusters;

  if (!self || !fill_nest(&nest, prepare, error))
    return FALSE;
  self->params.n[0] = nest.outputs / nest.vec;
  grid = (InferCudaSize){infer_cuda_blocks(self->params.n[0], (guint)nest.lanes, G_MAXINT32), 1, 1};
  block = (InferCudaSize){(guint)(nest.lanes * nest.depth), 1, 1};
  splits = find_splits(prepare, &nest, grid.x, &clusters);
  grid.y = (guint)splits;
  clusters = clusters && splits > 1;
  source = write_source(prepare, &nest, splits, clusters, error);
  if (!source ||
      !infer_cuda_kernel_add(self, prepare, source, "reduction", grid, block,
                             clusters ? (guint)(nest.lanes * nest.vec) * MAX_STATE : 0, error))
    return FALSE;
  if (splits > 1 && !clusters) {
    prepare->workspace = (gsize)(splits * nest.outputs) * MAX_STATE;
    grid = (InferCudaSize){infer_cuda_blocks(self->params.n[0], 128, G_MAXINT32), 1, 1};
    block.x = 128;
    if (!infer_cuda_kernel_add(self, prepare, source, "reduction_join", grid, block, 0, error))
      return FALSE;
  }
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_reduction = {
    .name = "cuda.reduction",
    .supports = supports,
    .prepare = prepare_reduction,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = infer_cuda_any_strides,
};
