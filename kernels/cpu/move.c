/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <string.h>

/* Steps that only move elements: each is a list of strided copies. */

typedef struct {
  InferCpuCopy copy;
  gint input, output; /* of the step */
  gint64 src, dst;    /* offsets in bytes */
} Part;

typedef struct {
  guint n;
  Part parts[];
} Move;

static Move *
move_new(guint n)
{
  Move *move = g_malloc0(sizeof(Move) + n * sizeof(Part));
  move->n = n;
  return move;
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Move *move = state;
  for (guint i = 0; i < move->n; i++) {
    const Part *part = &move->parts[i];
    const guint8 *src = (const guint8 *)inputs[part->input] + part->src;
    guint8 *dst = (guint8 *)outputs[part->output] + part->dst;
    /* What was written where it belongs has nothing to do. */
    if (src != dst)
      infer_cpu_copy_run(&part->copy, src, dst);
  }
  return TRUE;
}

/* Copies take any strides. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

static gboolean
can_move(const InferStep *step, gint input)
{
  guint bits = input >= 0 ? infer_type_bits(step->inputs[input]->type) : 0;
  return step->n_nodes == 1 && (bits == 8 || bits == 16 || bits == 32 || bits == 64) &&
         step->inputs[input]->value == NULL;
}

static gint
operand(const InferStep *step, guint index)
{
  const InferNode *node = step->nodes[0];
  return index < node->n_inputs && node->inputs[index] != NULL
             ? infer_step_find_input(step, node->inputs[index])
             : -1;
}

/* --- infer.Reformat --- */

static gboolean
reformat_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  return can_move(step, operand(step, 0));
}

static gboolean
reformat_prepare(InferPrepare *prepare, GError **error)
{
  g_autofree Move *move = move_new(1);
  const InferBuffer *in = &prepare->inputs[0], *out = &prepare->outputs[0];
  if (!infer_cpu_copy_init(&move->parts[0].copy, in->type, &out->dims, in->strides, out->strides,
                           error))
    return FALSE;
  prepare->state = g_steal_pointer(&move);
  return TRUE;
}

/* --- Transpose --- */

static gboolean
transpose_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                   InferLayout *outputs)
{
  return can_move(step, operand(step, 0)) && step->outputs[0]->dims.n >= 0;
}

static gboolean
transpose_prepare(InferPrepare *prepare, GError **error)
{
  g_autofree Move *move = move_new(1);
  const InferBuffer *in = &prepare->inputs[0], *out = &prepare->outputs[0];
  gint64 strides[INFER_MAX_DIMS];
  gsize n = 0;
  const gint64 *perm = infer_node_get_ints(prepare->step->nodes[0], "perm", &n);
  for (gint i = 0; i < out->dims.n; i++) {
    gint64 axis = perm != NULL ? perm[i] : out->dims.n - 1 - i;
    if ((perm != NULL && n != (gsize)out->dims.n) || axis < 0 || axis >= in->dims.n)
      return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "perm does not fit the rank");
    strides[i] = in->strides[axis];
  }
  if (!infer_cpu_copy_init(&move->parts[0].copy, in->type, &out->dims, strides, out->strides,
                           error))
    return FALSE;
  prepare->state = g_steal_pointer(&move);
  return TRUE;
}

/* --- Slice --- */

static gboolean
slice_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
               InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  gint input = operand(step, 0);
  if (!can_move(step, input))
    return FALSE;
  for (guint i = 1; i < node->n_inputs; i++)
    if (node->inputs[i] != NULL && node->inputs[i]->value == NULL)
      return FALSE;
  inputs[input] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static const InferArray *
constant(const InferNode *node, guint index)
{
  return index < node->n_inputs && node->inputs[index] != NULL ? node->inputs[index]->value : NULL;
}

static gboolean
slice_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferArray *starts = constant(node, 1), *axes = constant(node, 3);
  const InferArray *steps = constant(node, 4);
  g_autofree Move *move = move_new(1);
  Part *part = &move->parts[0];
  part->input = operand(prepare->step, 0);
  const InferBuffer *in = &prepare->inputs[part->input], *out = &prepare->outputs[0];
  gint64 strides[INFER_MAX_DIMS], n = starts != NULL ? infer_array_count(starts) : -1;
  if (n < 0 || (axes != NULL && infer_array_count(axes) != n) ||
      (steps != NULL && infer_array_count(steps) != n))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "starts, axes and steps do not fit");
  memcpy(strides, in->strides, sizeof strides);
  gint64 offset = 0;
  for (gint64 i = 0; i < n; i++) {
    gint64 axis = axes != NULL ? infer_array_get_int(axes, i) : i;
    gint64 step = steps != NULL ? infer_array_get_int(steps, i) : 1;
    gint64 start = infer_array_get_int(starts, i);
    axis += axis < 0 ? in->dims.n : 0;
    if (axis < 0 || axis >= in->dims.n || step == 0)
      return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "an axis or step is out of range");
    if (out->dims.d[axis] == 0)
      continue;
    gint64 dim = in->dims.d[axis];
    start = CLAMP(start < 0 ? start + dim : start, 0, dim - 1);
    offset += start * in->strides[axis];
    /* A step that is never taken may be too large to multiply. */
    strides[axis] = out->dims.d[axis] > 1 ? in->strides[axis] * step : 0;
  }
  if (!infer_cpu_copy_init(&part->copy, in->type, &out->dims, strides, out->strides, error))
    return FALSE;
  part->src = offset * (gint64)part->copy.size;
  prepare->state = g_steal_pointer(&move);
  return TRUE;
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
  guint bits = infer_type_bits(step->outputs[0]->type);
  gint rank = step->outputs[0]->dims.n;
  gboolean varying = FALSE;
  if (step->n_nodes != 1 || rank < 1 || (bits != 8 && bits != 16 && bits != 32 && bits != 64))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    varying = varying || step->inputs[i]->value == NULL;
  if (!varying)
    return TRUE;
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i]->value == NULL)
      inputs[i] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static gboolean
concat_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Move *move = move_new(node->n_inputs);
  gint64 axis, at = 0;
  if (!joint_axis(prepare, out->dims.n, &axis))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  for (guint i = 0; i < node->n_inputs; i++) {
    Part *part = &move->parts[i];
    part->input = operand(prepare->step, i);
    if (part->input < 0)
      return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "input %u is missing", i);
    const InferBuffer *in = &prepare->inputs[part->input];
    if (!infer_cpu_copy_init(&part->copy, out->type, &in->dims, in->strides, out->strides, error))
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
  gint input = operand(step, 0);
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
  gint input = operand(prepare->step, 0);
  const InferBuffer *in = &prepare->inputs[input];
  g_autofree Move *move = move_new(node->n_outputs);
  gint64 axis, at = 0;
  if (!joint_axis(prepare, in->dims.n, &axis))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  for (guint i = 0; i < node->n_outputs; i++) {
    Part *part = &move->parts[i];
    part->input = input;
    part->output = infer_step_find_output(prepare->step, node->outputs[i]);
    if (part->output < 0)
      return infer_cpu_fail(prepare, error, INFER_ERROR_FAILED, "output %u is missing", i);
    const InferBuffer *out = &prepare->outputs[part->output];
    if (!infer_cpu_copy_init(&part->copy, in->type, &out->dims, in->strides, out->strides, error))
      return FALSE;
    part->src = at * in->strides[axis] * (gint64)part->copy.size;
    at += out->dims.d[axis];
  }
  prepare->state = g_steal_pointer(&move);
  return TRUE;
}

#define MOVE(NAME)                                                                                 \
  const InferImpl infer_cpu_##NAME = {                                                             \
      .name = "cpu." #NAME,                                                                        \
      .batch_invariant = TRUE,                                                                     \
      .supports = NAME##_supports,                                                                 \
      .prepare = NAME##_prepare,                                                                   \
      .release = g_free,                                                                           \
      .run = run,                                                                                  \
      .strided = strided,                                                                          \
  }

MOVE(reformat);
MOVE(transpose);
MOVE(slice);
MOVE(concat);
MOVE(split);
