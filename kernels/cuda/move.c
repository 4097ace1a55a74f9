/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"

#include <string.h>

/* Steps that only move elements: each is a list of strided copies. */

typedef struct {
  InferCudaCopy copy;
  gint input, output;   /* of the step */
  gint64 src, dst;      /* offsets in bytes */
  const void *constant; /* in place of the input */
} Part;

typedef struct {
  InferCudaCopyKernels kernels;
  guint n;
  Part parts[];
} Move;

static Move *
move_new(InferPrepare *prepare, guint n, GError **error)
{
  g_autofree Move *move = g_malloc0(sizeof(Move) + n * sizeof(Part));

  move->n = n;
  if (!infer_cuda_copy_kernels(infer_cuda_device(prepare->device), &move->kernels, error))
    return NULL;
  return g_steal_pointer(&move);
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Move *move = state;
  const InferCudaQueue *queue = infer_cuda_queue(stream);

  for (guint i = 0; i < move->n; i++) {
    const Part *part = &move->parts[i];
    const guint8 *src = part->constant ? part->constant : inputs[part->input];
    guint8 *dst = (guint8 *)outputs[part->output] + part->dst;

    src += part->src;
    /* What was written where it belongs has nothing to do. */
    if (src != dst && !infer_cuda_copy_run(&part->copy, &move->kernels, queue, src, dst, error))
      return FALSE;
  }
  return TRUE;
}

/* Copies take any strides. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

gint
infer_cuda_anchor_operand(const InferStep *step, guint index)
{
  const InferNode *node = step->nodes[0];

  return index < node->n_inputs && node->inputs[index] != NULL
             ? infer_step_find_input(step, node->inputs[index])
             : -1;
}

const InferArray *
infer_cuda_constant_operand(const InferStep *step, guint index)
{
  const InferNode *node = step->nodes[0];

  return index < node->n_inputs && node->inputs[index] != NULL ? node->inputs[index]->value : NULL;
}

gboolean
infer_cuda_is_bytes(InferType type)
{
  guint bits = infer_type_bits(type);

  return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

static gboolean
can_move(const InferStep *step, gint input)
{
  return step->n_nodes == 1 && input >= 0 && infer_cuda_is_bytes(step->inputs[input]->type) &&
         step->inputs[input]->value == NULL;
}

/* Any order where input and output have the same axes. */
static void
any_layout(const InferStep *step, gint input, InferLayout *inputs, InferLayout *outputs)
{
  if (step->inputs[input]->dims.n != step->outputs[0]->dims.n || step->outputs[0]->dims.n < 0)
    return;
  inputs[input] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
}

/* One copy of output 0 from input 0, whose strides are given along the output's axes. */
static gboolean
prepare_one(InferPrepare *prepare, gint n, const gint64 *dims, const gint64 *src, const gint64 *dst,
            gint64 offset, GError **error)
{
  g_autofree Move *move = move_new(prepare, 1, error);

  if (!move)
    return FALSE;
  move->parts[0].input = infer_cuda_anchor_operand(prepare->step, 0);
  if (!infer_cuda_copy_init(&move->parts[0].copy, prepare->outputs[0].type, n, dims, src, dst,
                            error))
    return FALSE;
  move->parts[0].src = offset * (gint64)move->parts[0].copy.size;
  prepare->state = g_steal_pointer(&move);
  return TRUE;
}

static const InferBuffer *
input_of(const InferPrepare *prepare)
{
  return &prepare->inputs[infer_cuda_anchor_operand(prepare->step, 0)];
}

/* --- infer.Reformat --- */

static gboolean
reformat_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  return step->n_nodes == 1 && infer_cuda_is_bytes(step->outputs[0]->type);
}

static gboolean
reformat_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *in = input_of(prepare), *out = &prepare->outputs[0];
  Move *move;

  if (!prepare_one(prepare, out->dims.n, out->dims.d, in->strides, out->strides, 0, error))
    return FALSE;
  move = prepare->state;
  /* An output may be a constant. */
  if (in->value) {
    move->parts[0].constant = infer_cuda_constant(prepare, 0, error);
    if (!move->parts[0].constant) {
      g_clear_pointer(&prepare->state, g_free);
      return FALSE;
    }
  }
  return TRUE;
}

/* --- Transpose --- */

static gboolean
transpose_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                   InferLayout *outputs)
{
  return can_move(step, infer_cuda_anchor_operand(step, 0)) && step->outputs[0]->dims.n >= 0;
}

static gboolean
transpose_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *in = input_of(prepare), *out = &prepare->outputs[0];
  gint64 strides[INFER_MAX_DIMS] = {0};
  gsize n = 0;
  const gint64 *perm = infer_node_get_ints(prepare->step->nodes[0], "perm", &n);

  for (gint i = 0; i < out->dims.n; i++) {
    gint64 axis = perm != NULL && i < (gint)n ? perm[i] : out->dims.n - 1 - i;

    if ((perm != NULL && n != (gsize)out->dims.n) || axis < 0 || axis >= in->dims.n)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "perm does not fit the rank");
    strides[i] = in->strides[axis];
  }
  return prepare_one(prepare, out->dims.n, out->dims.d, strides, out->strides, 0, error);
}

/* --- Slice --- */

static gboolean
slice_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
               InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  gint input = infer_cuda_anchor_operand(step, 0);

  if (!can_move(step, input))
    return FALSE;
  for (guint i = 1; i < node->n_inputs; i++)
    if (node->inputs[i] != NULL && node->inputs[i]->value == NULL)
      return FALSE;
  any_layout(step, input, inputs, outputs);
  return TRUE;
}

static gboolean
slice_prepare(InferPrepare *prepare, GError **error)
{
  const InferArray *starts = infer_cuda_constant_operand(prepare->step, 1);
  const InferArray *axes = infer_cuda_constant_operand(prepare->step, 3);
  const InferArray *steps = infer_cuda_constant_operand(prepare->step, 4);
  const InferBuffer *in = input_of(prepare), *out = &prepare->outputs[0];
  gint64 strides[INFER_MAX_DIMS], n = starts != NULL ? infer_array_count(starts) : -1, offset = 0;

  if (n < 0 || (axes != NULL && infer_array_count(axes) != n) ||
      (steps != NULL && infer_array_count(steps) != n))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "starts, axes and steps do not fit");
  memcpy(strides, in->strides, sizeof strides);
  for (gint64 i = 0; i < n; i++) {
    gint64 axis = axes != NULL ? infer_array_get_int(axes, (gsize)i) : i, dim;
    gint64 step = steps != NULL ? infer_array_get_int(steps, (gsize)i) : 1;
    gint64 start = infer_array_get_int(starts, (gsize)i);

    axis += axis < 0 ? in->dims.n : 0;
    if (axis < 0 || axis >= in->dims.n || step == 0)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "an axis or step is out of range");
    if (out->dims.d[axis] == 0)
      continue;
    dim = in->dims.d[axis];
    start = CLAMP(start < 0 ? start + dim : start, 0, dim - 1);
    offset += start * in->strides[axis];
    /* A step that is never taken may be too large to multiply. */
    strides[axis] = out->dims.d[axis] > 1 ? in->strides[axis] * step : 0;
  }
  return prepare_one(prepare, out->dims.n, out->dims.d, strides, out->strides, offset, error);
}

/* --- Expand and Tile --- */

static gboolean
expand_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                InferLayout *outputs)
{
  gint input = infer_cuda_anchor_operand(step, 0);

  if (!can_move(step, input) || step->outputs[0]->dims.n < 0 || step->inputs[input]->dims.n < 0)
    return FALSE;
  any_layout(step, input, inputs, outputs);
  return TRUE;
}

static gboolean
expand_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *in = input_of(prepare), *out = &prepare->outputs[0];
  gint64 strides[INFER_MAX_DIMS] = {0};
  gint skip = out->dims.n - in->dims.n;

  for (gint i = 0; i < in->dims.n; i++) {
    if (skip + i < 0 || (in->dims.d[i] != 1 && in->dims.d[i] != out->dims.d[skip + i]))
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the shape does not fit the input");
    strides[skip + i] = in->dims.d[i] == 1 ? 0 : in->strides[i];
  }
  return prepare_one(prepare, out->dims.n, out->dims.d, strides, out->strides, 0, error);
}

static gboolean
tile_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *in = input_of(prepare), *out = &prepare->outputs[0];
  gint64 dims[2 * INFER_MAX_DIMS], src[2 * INFER_MAX_DIMS], dst[2 * INFER_MAX_DIMS];

  if (in->dims.n != out->dims.n)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "repeats do not fit the rank");
  /* Every dimension becomes two: the repetition, which reads again from the start, and itself. */
  for (gint i = 0; i < in->dims.n; i++) {
    gint64 d = in->dims.d[i];

    dims[2 * i] = d > 0 ? out->dims.d[i] / d : 0;
    src[2 * i] = 0;
    dst[2 * i] = out->strides[i] * d;
    dims[2 * i + 1] = d;
    src[2 * i + 1] = in->strides[i];
    dst[2 * i + 1] = out->strides[i];
  }
  return prepare_one(prepare, 2 * in->dims.n, dims, src, dst, 0, error);
}

/* --- DepthToSpace and SpaceToDepth --- */

static gboolean
shuffle_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                 InferLayout *outputs)
{
  return expand_supports(device, step, inputs, outputs) && step->outputs[0]->dims.n == 4;
}

static gboolean
shuffle_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  gboolean to_space = g_str_equal(infer_node_get_op_name(node), "DepthToSpace");
  gboolean crd = g_str_equal(infer_node_get_string(node, "mode", "DCR"), "CRD");
  const InferBuffer *in = input_of(prepare), *out = &prepare->outputs[0];
  const InferBuffer *deep = to_space ? in : out, *wide = to_space ? out : in;
  gint64 block = infer_node_get_int(node, "blocksize", 1);

  if (block < 1 || block > G_MAXINT16 || deep->dims.n != 4 ||
      deep->dims.d[1] % (block * block) != 0)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the blocks do not fit");
  const gint64 *d = deep->strides, *w = wide->strides;
  gint64 c = deep->dims.d[1] / (block * block);
  gint64 dims[6] = {deep->dims.d[0], c, deep->dims.d[2], block, deep->dims.d[3], block};
  gint64 wides[6] = {w[0], w[1], block * w[2], w[2], block * w[3], w[3]};
  gint64 deeps[6] = {d[0], crd ? block * block * d[1] : d[1],
                     d[2], crd ? block * d[1] : block * c * d[1],
                     d[3], crd ? d[1] : c * d[1]};

  return prepare_one(prepare, 6, dims, to_space ? deeps : wides, to_space ? wides : deeps, 0,
                     error);
}

/* --- Concat and Split --- */

static gboolean
joint_axis(const InferPrepare *prepare, gint rank, gint64 *axis)
{
  *axis = infer_node_get_int(prepare->step->nodes[0], "axis", 0);
  *axis += *axis < 0 ? rank : 0;
  return *axis >= 0 && *axis < rank;
}

static gboolean
concat_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                InferLayout *outputs)
{
  gboolean varying = FALSE;

  if (step->n_nodes != 1 || step->outputs[0]->dims.n < 1 ||
      !infer_cuda_is_bytes(step->outputs[0]->type))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++) {
    if (step->inputs[i]->value != NULL)
      continue;
    varying = TRUE;
    inputs[i] = INFER_LAYOUT_ANY;
  }
  if (varying)
    outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static gboolean
concat_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Move *move = move_new(prepare, node->n_inputs, error);
  gint64 axis, at = 0;

  if (!move)
    return FALSE;
  if (!joint_axis(prepare, out->dims.n, &axis))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  for (guint i = 0; i < node->n_inputs; i++) {
    Part *part = &move->parts[i];
    const InferBuffer *in;

    part->input = infer_cuda_anchor_operand(prepare->step, i);
    if (part->input < 0)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "input %u is missing", i);
    in = &prepare->inputs[part->input];
    if (in->value && !(part->constant = infer_cuda_constant(prepare, (guint)part->input, error)))
      return FALSE;
    if (!infer_cuda_copy_init(&part->copy, out->type, in->dims.n, in->dims.d, in->strides,
                              out->strides, error))
      return FALSE;
    part->dst = at * out->strides[axis] * (gint64)part->copy.size;
    at += in->dims.d[axis];
  }
  prepare->state = g_steal_pointer(&move);
  return TRUE;
}

static gboolean
split_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
               InferLayout *outputs)
{
  gint input = infer_cuda_anchor_operand(step, 0);

  if (!can_move(step, input))
    return FALSE;
  inputs[input] = INFER_LAYOUT_ANY;
  for (guint i = 0; i < step->n_outputs; i++)
    outputs[i] = INFER_LAYOUT_ANY;
  return TRUE;
}

static gboolean
split_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  gint input = infer_cuda_anchor_operand(prepare->step, 0);
  const InferBuffer *in = &prepare->inputs[input];
  g_autofree Move *move = move_new(prepare, node->n_outputs, error);
  gint64 axis, at = 0;

  if (!move)
    return FALSE;
  if (!joint_axis(prepare, in->dims.n, &axis))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  for (guint i = 0; i < node->n_outputs; i++) {
    Part *part = &move->parts[i];
    const InferBuffer *out;

    part->input = input;
    part->output = infer_step_find_output(prepare->step, node->outputs[i]);
    if (part->output < 0)
      return infer_cuda_fail(prepare, error, INFER_ERROR_FAILED, "output %u is missing", i);
    out = &prepare->outputs[part->output];
    if (!infer_cuda_copy_init(&part->copy, in->type, out->dims.n, out->dims.d, in->strides,
                              out->strides, error))
      return FALSE;
    part->src = at * in->strides[axis] * (gint64)part->copy.size;
    at += out->dims.d[axis];
  }
  prepare->state = g_steal_pointer(&move);
  return TRUE;
}

#define MOVE(NAME, SUPPORTS)                                                                       \
  const InferImpl infer_cuda_##NAME = {                                                            \
      .name = "cuda." #NAME,                                                                       \
      .batch_invariant = TRUE,                                                                     \
      .supports = SUPPORTS##_supports,                                                             \
      .prepare = NAME##_prepare,                                                                   \
      .release = g_free,                                                                           \
      .run = run,                                                                                  \
      .strided = strided,                                                                          \
  }

MOVE(reformat, reformat);
MOVE(transpose, transpose);
MOVE(slice, slice);
MOVE(expand, expand);
MOVE(tile, expand);
MOVE(shuffle, shuffle);
MOVE(concat, concat);
MOVE(split, split);
