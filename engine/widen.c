/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "widen.h"

#include "half.h"
#include "packed.h"

#include <string.h>

#define ALIGN(size) (((size) + 63) / 64 * 64)

typedef struct {
  const InferArray *narrow;
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
  guint n_in, n_copies, widens;
};

gboolean
infer_widen_shape(const InferNode *node, const InferOperand *in, guint n_in, InferOperand *out,
                  guint n_out, guint *widens, GError **error)
{
  InferShapeArgs args = {.node = node, .n_in = n_in, .in = in, .n_out = n_out, .out = out};

  *widens = 0;
  args.widens = widens;
  return infer_op_shape_args(&args, error);
}

/* The type that eval gets for @type; the same where it gets it as it is. */
static InferType
wide_type(InferType type, guint widens)
{
  guint bits = infer_type_bits(type);

  if ((widens & INFER_WIDEN_HALF) && infer_type_is_half(type))
    return INFER_TYPE_FLOAT;
  if ((widens & INFER_WIDEN_PACKED) && bits > 0 && bits < 8)
    return type == INFER_TYPE_INT4 || type == INFER_TYPE_INT2 ? INFER_TYPE_INT8 : INFER_TYPE_UINT8;
  if ((widens & INFER_WIDEN_STRING) && type == INFER_TYPE_STRING)
    return sizeof(gpointer) == 8 ? INFER_TYPE_UINT64 : INFER_TYPE_UINT32;
  return type;
}

static void
widen_operands(InferOperand *operands, guint n, guint widens)
{
  for (guint i = 0; i < n; i++) {
    InferType type = wide_type(operands[i].type, widens);

    if (type != operands[i].type)
      operands[i].value = NULL;
    operands[i].type = type;
  }
}

gsize
infer_widen_scratch(const InferShapeArgs *args, guint widens)
{
  g_autofree InferOperand *in = NULL, *out = NULL;
  InferShapeArgs wide = *args;

  if (!args->node->op->scratch)
    return 0;
  if (widens == 0)
    return args->node->op->scratch(args);
  in = g_memdup2(args->in, args->n_in * sizeof *in);
  out = g_memdup2(args->out, args->n_out * sizeof *out);
  widen_operands(in, args->n_in, widens);
  widen_operands(out, args->n_out, widens);
  wide.in = in;
  wide.out = out;
  return args->node->op->scratch(&wide);
}

static void
widen(const InferArray *from, InferArray *to, gsize n)
{
  if (to->type == INFER_TYPE_FLOAT)
    infer_widen_floats(from->type, from->data, to->data, n);
  else if (from->type == INFER_TYPE_STRING)
    memcpy(to->data, from->data, n * sizeof(char *));
  else
    infer_unpack(from->type, from->data, to->data, n);
}

/* The numbers are those of the inputs' strings, which live still. */
static void
copy_strings(char *const *from, char **to, gsize n)
{
  for (gsize i = 0; i < n; i++)
    to[i] = from[i] ? g_ref_string_acquire(from[i]) : NULL;
}

static void
narrow(const InferArray *from, InferArray *to, gsize n)
{
  if (from->type == INFER_TYPE_FLOAT)
    infer_narrow_floats(to->type, from->data, to->data, n);
  else if (to->type == INFER_TYPE_STRING)
    copy_strings(from->data, to->data, n);
  else
    infer_pack(to->type, from->data, to->data, n);
}

/* --- prepared --- */

static InferArray *
add_copy(InferWiden *self, const InferArray *from, gboolean constant, gsize *size, GError **error)
{
  InferType type = wide_type(from->type, self->widens);
  Copy *copy = &self->copies[self->n_copies];

  copy->narrow = from;
  copy->constant = constant;
  copy->count = (gsize)infer_array_count(from);
  if (!constant) {
    copy->offset = *size;
    *size += ALIGN(infer_type_size(type, (gint64)copy->count));
    copy->wide = infer_array_new_view(type, &from->dims, NULL);
  } else {
    copy->wide = infer_array_new(type, &from->dims, error);
    if (!copy->wide)
      return NULL;
    widen(from, copy->wide, copy->count);
  }
  self->n_copies++;
  return copy->wide;
}

static InferArray *
copy_of(const InferWiden *self, const InferArray *from)
{
  for (guint i = 0; i < self->n_copies; i++)
    if (self->copies[i].narrow == from)
      return self->copies[i].wide;
  return NULL;
}

InferWiden *
infer_widen_new(const InferEvalArgs *call, guint widens, const gboolean *constant, gsize *size,
                GError **error)
{
  InferWiden *self = g_new0(InferWiden, 1);

  *size = 0;
  self->widens = widens;
  self->in = g_memdup2(call->in, (call->n_in + 1) * sizeof *self->in);
  self->out = g_memdup2(call->out, (call->n_out + 1) * sizeof *self->out);
  self->copies = g_new0(Copy, call->n_in + call->n_out);
  for (guint i = 0; i < call->n_in; i++) {
    if (!call->in[i] || wide_type(call->in[i]->type, widens) == call->in[i]->type)
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
    if (wide_type(call->out[i]->type, widens) != call->out[i]->type)
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
infer_widen_run(InferWiden *self, gpointer memory, gpointer scratch, GError **error)
{
  for (guint i = 0; i < self->n_copies; i++) {
    const Copy *copy = &self->copies[i];

    if (copy->constant)
      continue;
    copy->wide->data = (guint8 *)memory + copy->offset;
    if (i < self->n_in)
      widen(copy->narrow, copy->wide, copy->count);
  }
  self->call.scratch = scratch;
  if (!self->call.node->op->eval(&self->call, error))
    return FALSE;
  for (guint i = self->n_in; i < self->n_copies; i++) {
    const Copy *copy = &self->copies[i];

    narrow(copy->wide, (InferArray *)copy->narrow, copy->count);
  }
  return TRUE;
}

/* --- once --- */

typedef struct {
  const InferEvalArgs *call;
  const InferType *types; /* of the outputs */
  guint widens;
  const InferArray **in;
  InferArray **out;
  GPtrArray *made;
} Once;

static gboolean
widen_all(Once *self, GError **error)
{
  const InferEvalArgs *call = self->call;

  for (guint i = 0; i < call->n_in + call->n_out; i++) {
    const InferArray *array = i < call->n_in ? call->in[i] : call->out[i - call->n_in];
    InferType type = array ? wide_type(array->type, self->widens) : INFER_TYPE_UNDEFINED;
    InferArray *wide = (InferArray *)array;

    if (array && type != array->type) {
      wide = infer_array_new(type, &array->dims, error);
      if (!wide)
        return FALSE;
      g_ptr_array_add(self->made, wide);
    }
    if (i >= call->n_in) {
      self->out[i - call->n_in] = wide;
      continue;
    }
    self->in[i] = wide;
    if (wide != array)
      widen(array, wide, (gsize)infer_array_count(array));
  }
  return TRUE;
}

/* The outputs were there, or the operator has made them. */
static gboolean
narrow_all(Once *self, GError **error)
{
  const InferEvalArgs *call = self->call;
  gboolean ok = TRUE;

  for (guint i = 0; i < call->n_out; i++) {
    InferArray *wide = self->out[i];
    InferType type = self->types[i];

    if (!wide || wide->type != wide_type(type, self->widens) || wide->type == type) {
      call->out[i] = wide;
      continue;
    }
    if (!call->out[i]) {
      call->out[i] = ok ? infer_array_new(type, &wide->dims, error) : NULL;
      g_ptr_array_add(self->made, wide);
      ok = ok && call->out[i];
    }
    if (call->out[i])
      narrow(wide, call->out[i], (gsize)infer_array_count(wide));
  }
  return ok;
}

gboolean
infer_widen_eval(const InferEvalArgs *call, guint widens, const InferType *types, GError **error)
{
  g_autoptr(GPtrArray) made = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  g_autofree const InferArray **in = g_new0(const InferArray *, call->n_in + 1);
  g_autofree InferArray **out = g_new0(InferArray *, call->n_out + 1);
  Once self = {call, types, widens, in, out, made};
  InferEvalArgs wide = *call;
  gboolean ok;

  if (!widen_all(&self, error))
    return FALSE;
  wide.in = in;
  wide.out = out;
  ok = call->node->op->eval(&wide, error);
  if (ok)
    return narrow_all(&self, error);
  for (guint i = 0; i < call->n_out; i++)
    if (out[i] && out[i] != call->out[i] && !call->out[i])
      infer_array_unref(out[i]);
  return FALSE;
}
