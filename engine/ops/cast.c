/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

#include <math.h>

extern const InferOp *const infer_ops_cast[];

/* Rounds to the nearest number of a small float format, ties to even, straight from the double:
 * by way of a float it would round twice. */
static guint16
small_float(double value, guint mantissa_bits, guint exponent_bits)
{
  guint64 bits;
  memcpy(&bits, &value, sizeof bits);
  guint sign = (guint)(bits >> 63) << 15;
  gint exponent = (gint)((bits >> 52) & 0x7ff);
  guint64 mantissa = bits & ((G_GUINT64_CONSTANT(1) << 52) - 1);
  guint infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
  if (exponent == 0x7ff)
    return (guint16)(sign | infinity | (mantissa ? 1u << (mantissa_bits - 1) : 0));
  gint least = 2 - (1 << (exponent_bits - 1));
  gint e = exponent - 1023;
  gint shift = 52 - (gint)mantissa_bits + (e < least ? least - e : 0);
  if (exponent == 0 || shift > 54)
    return (guint16)sign;
  mantissa |= G_GUINT64_CONSTANT(1) << 52;
  guint64 rest = mantissa & ((G_GUINT64_CONSTANT(1) << shift) - 1);
  guint64 half = G_GUINT64_CONSTANT(1) << (shift - 1);
  guint64 result = mantissa >> shift;
  if (rest > half || (rest == half && (result & 1)))
    result++;
  /* The implicit bit of a normal number adds the missing one to the exponent. */
  if (e >= least)
    result += (guint64)(e - least) << mantissa_bits;
  return (guint16)(sign | (result > infinity ? infinity : result));
}

static guint16
to_half(double value)
{
  return small_float(value, 10, 5);
}

static guint16
to_bfloat(double value)
{
  return small_float(value, 7, 8);
}

static float
from_half(guint16 half)
{
  guint exponent = (half >> 10) & 31, mantissa = half & 1023;
  float value = exponent == 0 ? ldexpf((float)mantissa, -24)
                              : ldexpf((float)(mantissa + 1024), (int)exponent - 25);
  if (exponent == 31)
    value = mantissa ? NAN : INFINITY;
  return half & 0x8000 ? -value : value;
}

static float
from_bfloat(guint16 bits)
{
  guint32 wide = (guint32)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

/* ONNX leaves floats beyond an integer's range open; they saturate, and NaN gives 0. */
static gint64
to_signed(double value, gint64 low, gint64 high)
{
  if (isnan(value))
    return 0;
  if (value <= (double)low)
    return low;
  return value >= (double)high ? high : (gint64)value;
}

static guint64
to_unsigned(double value, guint64 high)
{
  if (isnan(value) || value <= 0)
    return 0;
  return value >= (double)high ? high : (guint64)value;
}

#define LOOP(S, LOAD, D, VALUE)                                                                    \
  for (gsize i = 0; i < n; i++) {                                                                  \
    S raw;                                                                                         \
    memcpy(&raw, from + i * sizeof raw, sizeof raw);                                               \
    __typeof__(LOAD) x = LOAD;                                                                     \
    D y = (D)(VALUE);                                                                              \
    memcpy(to + i * sizeof y, &y, sizeof y);                                                       \
  }                                                                                                \
  break

#define TO_FLOATS(S, LOAD)                                                                         \
  case INFER_TYPE_FLOAT:                                                                           \
    LOOP(S, LOAD, float, x);                                                                       \
  case INFER_TYPE_DOUBLE:                                                                          \
    LOOP(S, LOAD, double, x);                                                                      \
  case INFER_TYPE_FLOAT16:                                                                         \
    LOOP(S, LOAD, guint16, to_half((double)x));                                                    \
  case INFER_TYPE_BFLOAT16:                                                                        \
    LOOP(S, LOAD, guint16, to_bfloat((double)x));                                                  \
  case INFER_TYPE_BOOL:                                                                            \
    LOOP(S, LOAD, guint8, x != 0)

#define TO_INT(S, LOAD, TYPE, D, SIGN, ...)                                                        \
  case INFER_TYPE_##TYPE:                                                                          \
    LOOP(S, LOAD, D, SIGN(x, __VA_ARGS__))

/* Integers drop their high bits, as ONNX asks. */
#define KEEP(x, ...) (x)
#define SIGNED(x, low, high) to_signed((double)(x), low, high)
#define UNSIGNED(x, low, high) to_unsigned((double)(x), high)

#define DEFINE_CAST(NAME, S, LOAD, SIGNED_BY, UNSIGNED_BY)                                         \
  static void cast_##NAME(const char *from, gsize n, InferType type, char *to)                     \
  {                                                                                                \
    switch (type) {                                                                                \
      TO_FLOATS(S, LOAD);                                                                          \
      TO_INT(S, LOAD, INT8, gint8, SIGNED_BY, G_MININT8, G_MAXINT8);                               \
      TO_INT(S, LOAD, INT16, gint16, SIGNED_BY, G_MININT16, G_MAXINT16);                           \
      TO_INT(S, LOAD, INT32, gint32, SIGNED_BY, G_MININT32, G_MAXINT32);                           \
      TO_INT(S, LOAD, INT64, gint64, SIGNED_BY, G_MININT64, G_MAXINT64);                           \
      TO_INT(S, LOAD, UINT8, guint8, UNSIGNED_BY, 0, G_MAXUINT8);                                  \
      TO_INT(S, LOAD, UINT16, guint16, UNSIGNED_BY, 0, G_MAXUINT16);                               \
      TO_INT(S, LOAD, UINT32, guint32, UNSIGNED_BY, 0, G_MAXUINT32);                               \
      TO_INT(S, LOAD, UINT64, guint64, UNSIGNED_BY, 0, G_MAXUINT64);                               \
    default:                                                                                       \
      break;                                                                                       \
    }                                                                                              \
  }

DEFINE_CAST(float, float, raw, SIGNED, UNSIGNED)
DEFINE_CAST(double, double, raw, SIGNED, UNSIGNED)
DEFINE_CAST(half, guint16, from_half(raw), SIGNED, UNSIGNED)
DEFINE_CAST(bfloat, guint16, from_bfloat(raw), SIGNED, UNSIGNED)
DEFINE_CAST(bool, guint8, (guint8)(raw != 0), KEEP, KEEP)
DEFINE_CAST(int8, gint8, raw, KEEP, KEEP)
DEFINE_CAST(int16, gint16, raw, KEEP, KEEP)
DEFINE_CAST(int32, gint32, raw, KEEP, KEEP)
DEFINE_CAST(int64, gint64, raw, KEEP, KEEP)
DEFINE_CAST(uint8, guint8, raw, KEEP, KEEP)
DEFINE_CAST(uint16, guint16, raw, KEEP, KEEP)
DEFINE_CAST(uint32, guint32, raw, KEEP, KEEP)
DEFINE_CAST(uint64, guint64, raw, KEEP, KEEP)

typedef void (*CastFunc)(const char *from, gsize n, InferType type, char *to);

static const CastFunc cast_funcs[INFER_N_TYPES] = {
    [INFER_TYPE_FLOAT] = cast_float,   [INFER_TYPE_DOUBLE] = cast_double,
    [INFER_TYPE_FLOAT16] = cast_half,  [INFER_TYPE_BFLOAT16] = cast_bfloat,
    [INFER_TYPE_BOOL] = cast_bool,     [INFER_TYPE_INT8] = cast_int8,
    [INFER_TYPE_INT16] = cast_int16,   [INFER_TYPE_INT32] = cast_int32,
    [INFER_TYPE_INT64] = cast_int64,   [INFER_TYPE_UINT8] = cast_uint8,
    [INFER_TYPE_UINT16] = cast_uint16, [INFER_TYPE_UINT32] = cast_uint32,
    [INFER_TYPE_UINT64] = cast_uint64,
};

static gboolean
cast_supported(gint64 type)
{
  return type > 0 && type < INFER_N_TYPES && cast_funcs[type] != NULL;
}

/* The greatest number of an integer type that shape arithmetic may keep; symbols are at most
 * that of int32. */
static gint64
cast_limit(InferType type)
{
  switch (type) {
  case INFER_TYPE_INT8:
    return G_MAXINT8;
  case INFER_TYPE_UINT8:
    return G_MAXUINT8;
  case INFER_TYPE_INT16:
    return G_MAXINT16;
  case INFER_TYPE_UINT16:
    return G_MAXUINT16;
  case INFER_TYPE_INT32:
    return G_MAXINT32;
  case INFER_TYPE_UINT32:
    return G_MAXUINT32;
  case INFER_TYPE_INT64:
  case INFER_TYPE_UINT64:
    return G_MAXINT64;
  default:
    return -1;
  }
}

static gboolean
cast_infer(InferShapeArgs *args, GError **error)
{
  const InferNode *node = args->node;
  /* CastLike: to the type of a second input. */
  gint64 to = args->n_in > 1 ? (gint64)args->in[1].type : infer_node_get_int(node, "to", 0);
  InferOperand *out = &args->out[0];
  if (!data_require(args, 0, error))
    return FALSE;
  InferType from = args->in[0].type;
  if (!cast_supported(from) || !cast_supported(to)) {
    const char *name = to > 0 && to < INFER_N_TYPES ? infer_type_name((InferType)to) : "unknown";
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "a cast from %s to %s (to=%" G_GINT64_FORMAT
                          ") is not supported; integers, bool, float16, bfloat16, float and "
                          "double are",
                          infer_type_name(from), name, to);
  }
  if (!data_set(args, 0, (InferType)to, &args->in[0].dims, error))
    return FALSE;
  gint64 limit = cast_limit(out->type);
  if (limit < 0)
    return TRUE;
  data_pass_content(args);
  for (gint i = 0; out->has_content && i < out->content.n; i++) {
    gint64 d = out->content.d[i];
    if (d >= 0 ? d > limit : limit < G_MAXINT32)
      out->content.d[i] = INFER_DIM_UNKNOWN;
  }
  return TRUE;
}

static gboolean
cast_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  InferType to =
      args->n_in > 1 ? args->in[1]->type : (InferType)infer_node_get_int(args->node, "to", 0);
  InferArray *out = data_output(args, 0, to, &in->dims, error);
  if (!out)
    return FALSE;
  cast_funcs[in->type](in->data, (gsize)infer_array_count(in), to, out->data);
  return TRUE;
}

/* "saturate" concerns float8 alone. */
static const InferAttrSpec cast_attrs[] = {
    {"to", 'i', TRUE}, {"saturate", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp cast = {
    .name = "Cast",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = cast_attrs,
    .flags = INFER_OP_POINTWISE,
    .infer = cast_infer,
    .eval = cast_eval,
};

static const InferAttrSpec like_attrs[] = {{"saturate", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp cast_like = {
    .name = "CastLike",
    .version = 21,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = like_attrs,
    .infer = cast_infer,
    .eval = cast_eval,
};

const InferOp *const infer_ops_cast[] = {&cast, &cast_like, NULL};
