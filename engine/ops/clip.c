/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

/* The least value wins over the input and the greatest over both, also where they cross. */
#define DEFINE_CLIP(NAME, T)                                                                       \
  static void NAME(gconstpointer in, gconstpointer least, gconstpointer most, gpointer out,        \
                   gint64 n)                                                                       \
  {                                                                                                \
    const T *x = in;                                                                               \
    const T *low = least, *high = most;                                                            \
    T *y = out;                                                                                    \
    for (gint64 i = 0; i < n; i++) {                                                               \
      T value = x[i];                                                                              \
      if (low && value < *low)                                                                     \
        value = *low;                                                                              \
      if (high && value > *high)                                                                   \
        value = *high;                                                                             \
      y[i] = value;                                                                                \
    }                                                                                              \
  }

DEFINE_CLIP(clip_float, float)
DEFINE_CLIP(clip_double, double)
DEFINE_CLIP(clip_i8, gint8)
DEFINE_CLIP(clip_i16, gint16)
DEFINE_CLIP(clip_i32, gint32)
DEFINE_CLIP(clip_i64, gint64)
DEFINE_CLIP(clip_u8, guint8)
DEFINE_CLIP(clip_u16, guint16)
DEFINE_CLIP(clip_u32, guint32)
DEFINE_CLIP(clip_u64, guint64)

typedef void (*ClipFunc)(gconstpointer in, gconstpointer least, gconstpointer most, gpointer out,
                         gint64 n);

static const ClipFunc functions[INFER_N_TYPES] = {
    [INFER_TYPE_FLOAT] = clip_float, [INFER_TYPE_DOUBLE] = clip_double,
    [INFER_TYPE_INT8] = clip_i8,     [INFER_TYPE_INT16] = clip_i16,
    [INFER_TYPE_INT32] = clip_i32,   [INFER_TYPE_INT64] = clip_i64,
    [INFER_TYPE_UINT8] = clip_u8,    [INFER_TYPE_UINT16] = clip_u16,
    [INFER_TYPE_UINT32] = clip_u32,  [INFER_TYPE_UINT64] = clip_u64,
};

static gboolean
check_bound(const InferShapeArgs *args, guint index, GError **error)
{
  const InferOperand *bound;
  gint64 count;

  if (index >= args->n_in || args->in[index].type == INFER_TYPE_UNDEFINED)
    return TRUE;
  bound = &args->in[index];
  if (bound->type != args->in[0].type)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                          index, infer_type_name(bound->type), infer_type_name(args->in[0].type));
  count = infer_dims_count(&bound->dims);
  if (infer_dims_is_constant(&bound->dims) && count != 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "input %u has %" G_GINT64_FORMAT " elements, a scalar is needed", index,
                          count);
  return TRUE;
}

static gboolean
clip_infer(InferShapeArgs *args, GError **error)
{
  InferType type = args->in[0].type;

  if ((guint)type >= INFER_N_TYPES || !functions[infer_op_eval_type(args, 0)])
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "input 0 is of type %s, which is not supported", infer_type_name(type));
  args->out[0].type = type;
  args->out[0].dims = args->in[0].dims;
  return check_bound(args, 1, error) && check_bound(args, 2, error);
}

static gboolean
clip_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *bounds[2] = {NULL, NULL};

  for (guint i = 1; i < args->n_in; i++) {
    bounds[i - 1] = args->in[i];
    if (args->in[i] && infer_array_count(args->in[i]) != 1)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is not a scalar", i);
  }
  functions[args->in[0]->type](args->in[0]->data, bounds[0] ? bounds[0]->data : NULL,
                               bounds[1] ? bounds[1]->data : NULL, args->out[0]->data,
                               infer_array_count(args->in[0]));
  return TRUE;
}

static const InferOp clip = {.name = "Clip",
                             .version = 13,
                             .min_inputs = 1,
                             .max_inputs = 3,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .flags = INFER_OP_POINTWISE,
                             .infer = clip_infer,
                             .eval = clip_eval};

extern const InferOp *const infer_ops_clip[];
const InferOp *const infer_ops_clip[] = {&clip, NULL};
