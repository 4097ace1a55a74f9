/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"

/* Cast and CastLike, of any strides. */

#define THREADS 256
#define EACH 4

typedef struct {
  CUfunction function;
  InferCudaCastArgs args;
  gint input;
} Cast;

static gboolean
is_number(InferType type)
{
  return type == INFER_TYPE_FLOAT || type == INFER_TYPE_DOUBLE || type == INFER_TYPE_FLOAT16 ||
         type == INFER_TYPE_BFLOAT16 || type == INFER_TYPE_BOOL ||
         (infer_type_is_integer(type) && infer_type_bits(type) >= 8);
}

static gboolean
cast_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  gint input = infer_cuda_anchor_operand(step, 0);

  if (step->n_nodes != 1 || input < 0 || step->inputs[input]->value ||
      !is_number(step->inputs[input]->type) || !is_number(step->outputs[0]->type))
    return FALSE;
  inputs[input] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

/* The kernel that knows both types, or the one that knows all. */
static const char *
kernel_name(InferType from, InferType to)
{
  static const struct {
    InferType from, to;
    const char *name;
  } direct[] = {{INFER_TYPE_FLOAT, INFER_TYPE_FLOAT16, "infer_cast_float_half"},
                {INFER_TYPE_FLOAT, INFER_TYPE_BFLOAT16, "infer_cast_float_bfloat"},
                {INFER_TYPE_FLOAT16, INFER_TYPE_FLOAT, "infer_cast_half_float"},
                {INFER_TYPE_BFLOAT16, INFER_TYPE_FLOAT, "infer_cast_bfloat_float"},
                {INFER_TYPE_UINT8, INFER_TYPE_FLOAT, "infer_cast_uint8_float"},
                {INFER_TYPE_UINT8, INFER_TYPE_FLOAT16, "infer_cast_uint8_half"}};

  for (guint i = 0; i < G_N_ELEMENTS(direct); i++)
    if (direct[i].from == from && direct[i].to == to)
      return direct[i].name;
  return "infer_cast";
}

static gboolean
cast_prepare(InferPrepare *prepare, GError **error)
{
  g_autofree Cast *cast = g_new0(Cast, 1);
  const InferBuffer *in, *out = &prepare->outputs[0];
  InferCudaCopy copy;

  cast->input = infer_cuda_anchor_operand(prepare->step, 0);
  in = &prepare->inputs[cast->input];
  cast->function =
      infer_cuda_fixed(infer_cuda_device(prepare->device), kernel_name(in->type, out->type), error);
  if (!cast->function || !infer_cuda_copy_init(&copy, out->type, out->dims.n, out->dims.d,
                                               in->strides, out->strides, error))
    return FALSE;
  if (!infer_cuda_copy_args(&copy, &cast->args.copy))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "there are too many elements for one launch");
  cast->args.from = (gint32)in->type;
  cast->args.to = (gint32)out->type;
  prepare->state = g_steal_pointer(&cast);
  return TRUE;
}

static gboolean
cast_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
         void *workspace, GError **error)
{
  Cast *cast = state;
  void *src = inputs[cast->input], *dst = outputs[0];
  void *params[] = {&dst, &src, &cast->args};

  return infer_cuda_linear(infer_cuda_queue(stream), cast->function, cast->args.copy.count, THREADS,
                           EACH, params, error);
}

static gboolean
cast_strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

const InferImpl infer_cuda_cast = {
    .name = "cuda.cast",
    .batch_invariant = TRUE,
    .supports = cast_supports,
    .prepare = cast_prepare,
    .release = g_free,
    .run = cast_run,
    .strided = cast_strided,
};
