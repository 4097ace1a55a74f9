/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "widen.h"

#include "half.h"

#include <string.h>

#define ALIGN(size) (((size) + 63) / 64 * 64)

typedef struct {
  const InferArray *half;
  InferArray *wide;
  gsize offset; /* in the memory of a run */
  gsize count;
  gboolean constant; /* has memory of its own */
} Copy;

struct _InferWiden {
  InferEvalArgs call;
  const InferArray **in;
  InferArray **out;
  Copy *copies; /* of inputs, then of outputs */
  guint n_in, n_copies;
};

gboolean
infer_widen_shape(const InferNode *node, const InferOperand *in, guint n_in, InferOperand *out,
                  guint n_out, gboolean *widens, GError **error)
{
  InferShapeArgs args = {.node = node, .n_in = n_in, .in = in, .n_out = n_out, .out = out};

  *widens = FALSE;
  args.widens = widens;
  return infer_op_shape_args(&args, error);
}

static void
widen_operands(InferOperand *operands, guint n)
{
  for (guint i = 0; i < n; i++)
    if (infer_type_is_half(operands[i].type)) {
      operands[i].type = INFER_TYPE_FLOAT;
      operands[i].value = NULL;
    }
}

gsize
infer_widen_scratch(const InferShapeArgs *args, gboolean widens)
{
  g_autofree InferOperand *in = NULL, *out = NULL;
  InferShapeArgs wide = *args;

  if (!args->node->op->scratch)
    return 0;
  if (!widens)
    return args->node->op->scratch(args);
  in = g_memdup2(args->in, args->n_in * sizeof *in);
  out = g_memdup2(args->out, args->n_out * sizeof *out);
  widen_operands(in, args->n_in);
  widen_operands(out, args->n_out);
  wide.in = in;
  wide.out = out;
  return args->node->op->scratch(&wide);
}

/* --- prepared --- */

static void
widen_copy(const Copy *copy)
{
  infer_widen_floats(copy->half->type, copy->half->data, copy->wide->data, copy->count);
}

static InferArray *
add_copy(InferWiden *self, const InferArray *half, gboolean constant, gsize *size, GError **error)
{
  Copy *copy = &self->copies[self->n_copies];

  copy->half = half;
  copy->constant = constant;
  copy->count = (gsize)infer_array_count(half);
  if (!constant) {
    copy->offset = *size;
    *size += ALIGN(copy->count * sizeof(float));
    copy->wide = infer_array_new_view(INFER_TYPE_FLOAT, &half->dims, NULL);
  } else {
    copy->wide = infer_array_new(INFER_TYPE_FLOAT, &half->dims, error);
    if (!copy->wide)
      return NULL;
    widen_copy(copy);
  }
  self->n_copies++;
  return copy->wide;
}

static InferArray *
copy_of(const InferWiden *self, const InferArray *half)
{
  for (guint i = 0; i < self->n_copies; i++)
    if (self->copies[i].half == half)
      return self->copies[i].wide;
  return NULL;
}

InferWiden *
infer_widen_new(const InferEvalArgs *call, const gboolean *constant, gsize *size, GError **error)
{
  InferWiden *self = g_new0(InferWiden, 1);

  *size = 0;
  self->in = g_memdup2(call->in, (call->n_in + 1) * sizeof *self->in);
  self->out = g_memdup2(call->out, (call->n_out + 1) * sizeof *self->out);
  self->copies = g_new0(Copy, call->n_in + call->n_out);
  for (guint i = 0; i < call->n_in; i++) {
    if (!call->in[i] || !infer_type_is_half(call->in[i]->type))
      continue;
    self->in[i] = copy_of(self, call->in[i]);
    if (!self->in[i])
      self->in[i] = add_copy(self, call->in[i], constant[i], size, error);
    if (!self->in[i]) {
      infer_widen_free(self);
      return NULL;
    }
  }
  self->n_in = self->n_copies;
  for (guint i = 0; i < call->n_out; i++)
    if (infer_type_is_half(call->out[i]->type))
      self->out[i] = add_copy(self, call->out[i], FALSE, size, error);
  self->call = *call;
  self->call.in = self->in;
  self->call.out = self->out;
  return self;
}

void
infer_widen_free(InferWiden *widen)
{
  if (!widen)
    return;
  for (guint i = 0; i < widen->n_copies; i++)
    infer_array_unref(widen->copies[i].wide);
  g_free(widen->copies);
  g_free(widen->in);
  g_free(widen->out);
  g_free(widen);
}

gboolean
infer_widen_run(InferWiden *widen, gpointer memory, gpointer scratch, GError **error)
{
  for (guint i = 0; i < widen->n_copies; i++) {
    const Copy *copy = &widen->copies[i];

    if (copy->constant)
      continue;
    copy->wide->data = (guint8 *)memory + copy->offset;
    if (i < widen->n_in)
      widen_copy(copy);
  }
  widen->call.scratch = scratch;
  if (!widen->call.node->op->eval(&widen->call, error))
    return FALSE;
  for (guint i = widen->n_in; i < widen->n_copies; i++) {
    const Copy *copy = &widen->copies[i];

    infer_narrow_floats(copy->half->type, copy->wide->data, copy->half->data, copy->count);
  }
  return TRUE;
}

/* --- once --- */

static InferArray *
array_as(const InferArray *from, InferType type, GError **error)
{
  InferArray *to = infer_array_new(type, &from->dims, error);
  gsize n = (gsize)infer_array_count(from);

  if (to && type == INFER_TYPE_FLOAT)
    infer_widen_floats(from->type, from->data, to->data, n);
  else if (to)
    infer_narrow_floats(type, from->data, to->data, n);
  return to;
}

static gboolean
widen_all(const InferEvalArgs *call, const InferType *types, const InferArray **in,
          InferArray **out, GPtrArray *made, GError **error)
{
  for (guint i = 0; i < call->n_in; i++) {
    in[i] = call->in[i];
    if (!in[i] || !infer_type_is_half(in[i]->type))
      continue;
    in[i] = array_as(in[i], INFER_TYPE_FLOAT, error);
    if (!in[i])
      return FALSE;
    g_ptr_array_add(made, (gpointer)in[i]);
  }
  for (guint i = 0; i < call->n_out; i++) {
    out[i] = call->out[i];
    if (!out[i] || !infer_type_is_half(types[i]))
      continue;
    out[i] = infer_array_new(INFER_TYPE_FLOAT, &out[i]->dims, error);
    if (!out[i])
      return FALSE;
    g_ptr_array_add(made, out[i]);
  }
  return TRUE;
}

/* The outputs were there as half precision, or are new. */
static gboolean
narrow_all(const InferEvalArgs *call, const InferType *types, InferArray **out, GError **error)
{
  gboolean ok = TRUE;

  for (guint i = 0; i < call->n_out; i++) {
    if (!out[i] || !infer_type_is_half(types[i]) || out[i]->type != INFER_TYPE_FLOAT) {
      call->out[i] = out[i];
    } else if (call->out[i]) {
      infer_narrow_floats(types[i], out[i]->data, call->out[i]->data,
                          (gsize)infer_array_count(out[i]));
    } else {
      call->out[i] = ok ? array_as(out[i], types[i], error) : NULL;
      ok = ok && call->out[i];
      infer_array_unref(out[i]);
    }
  }
  return ok;
}

gboolean
infer_widen_eval(const InferEvalArgs *call, const InferType *types, GError **error)
{
  g_autoptr(GPtrArray) made = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  g_autofree const InferArray **in = g_new0(const InferArray *, call->n_in + 1);
  g_autofree InferArray **out = g_new0(InferArray *, call->n_out + 1);
  InferEvalArgs wide = *call;
  gboolean ok;

  if (!widen_all(call, types, in, out, made, error))
    return FALSE;
  wide.in = in;
  wide.out = out;
  ok = call->node->op->eval(&wide, error);
  /* What was made before an error is handed over as well, for the caller to free. */
  return narrow_all(call, types, out, ok ? error : NULL) && ok;
}
