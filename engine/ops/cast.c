/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cast-string.h"
#include "half.h"
#include "number.h"
#include "packed.h"
#include "smallfloat.h"

#include <math.h>

extern const InferOp *const infer_ops_cast[];

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
    [INFER_TYPE_BOOL] = cast_bool,     [INFER_TYPE_INT8] = cast_int8,
    [INFER_TYPE_INT16] = cast_int16,   [INFER_TYPE_INT32] = cast_int32,
    [INFER_TYPE_INT64] = cast_int64,   [INFER_TYPE_UINT8] = cast_uint8,
    [INFER_TYPE_UINT16] = cast_uint16, [INFER_TYPE_UINT32] = cast_uint32,
    [INFER_TYPE_UINT64] = cast_uint64,
};

/* --- types that the compiler does not know --- */

static gboolean
is_packed_int(InferType type)
{
  return infer_type_bits(type) > 0 && infer_type_bits(type) < 8 && type != INFER_TYPE_FLOAT4E2M1;
}

static gboolean
cast_supported(gint64 type)
{
  return type > 0 && type < INFER_N_TYPES &&
         (type == INFER_TYPE_STRING || cast_funcs[type] ||
          infer_type_is_small_float((InferType)type) || is_packed_int((InferType)type));
}

typedef struct {
  InferType from, to;
  gboolean saturate;
  InferRounding rounding;
} Cast;

/* A block goes by way of doubles, or of int64 between integers. Its elements fill whole bytes. */
#define BLOCK 256
typedef union {
  double real[BLOCK];
  gint64 whole[BLOCK];
  float narrow[BLOCK];
} Block;

static InferType
middle_of(const Cast *cast)
{
  gboolean whole = !infer_type_is_small_float(cast->from) && cast->from != INFER_TYPE_FLOAT &&
                   cast->from != INFER_TYPE_DOUBLE;

  if (infer_type_is_half(cast->from))
    return INFER_TYPE_FLOAT;
  return whole && !infer_type_is_small_float(cast->to) ? INFER_TYPE_INT64 : INFER_TYPE_DOUBLE;
}

static guint
code_at(InferType type, gconstpointer data, gsize i)
{
  guint bits = infer_type_bits(type);

  return bits == 8 ? ((const guint8 *)data)[i] : infer_packed_get(bits, data, i);
}

static void
load_block(const Cast *cast, InferType middle, const char *from, gsize n, Block *block)
{
  guint bits = infer_type_bits(cast->from);

  if (cast_funcs[cast->from]) {
    cast_funcs[cast->from](from, n, middle, (char *)block);
    return;
  }
  if (infer_type_is_half(cast->from)) {
    infer_widen_floats(cast->from, from, block->narrow, n);
    return;
  }
  for (gsize i = 0; i < n; i++) {
    guint code = code_at(cast->from, from, i);
    gint whole = cast->from == INFER_TYPE_INT4 || cast->from == INFER_TYPE_INT2
                     ? infer_packed_sign(bits, code)
                     : (gint)code;

    if (infer_type_is_small_float(cast->from))
      block->real[i] = infer_small_float_decode(cast->from, code);
    else if (middle == INFER_TYPE_INT64)
      block->whole[i] = whole;
    else
      block->real[i] = whole;
  }
}

/* Low bits are kept, of floats too: ONNX's tests want it of these types. */
static guint
to_packed(InferType middle, const Block *block, gsize i)
{
  if (middle == INFER_TYPE_INT64)
    return (guint)(guint64)block->whole[i];
  return (guint)(guint64)to_signed(middle == INFER_TYPE_FLOAT ? (double)block->narrow[i]
                                                              : block->real[i],
                                   G_MININT64, G_MAXINT64);
}

static void
store_block(const Cast *cast, InferType middle, const Block *block, gsize n, char *to)
{
  guint bits = infer_type_bits(cast->to);

  if (cast_funcs[cast->to]) {
    cast_funcs[middle]((const char *)block, n, cast->to, to);
    return;
  }
  if (middle == INFER_TYPE_FLOAT && infer_type_is_half(cast->to)) {
    infer_narrow_floats(cast->to, block->narrow, to, n);
    return;
  }
  for (gsize i = 0; i < n; i++) {
    double value = middle == INFER_TYPE_FLOAT ? (double)block->narrow[i] : block->real[i];
    guint code = infer_type_is_small_float(cast->to)
                     ? infer_small_float_encode(cast->to, value, cast->saturate, cast->rounding)
                     : to_packed(middle, block, i);

    if (bits == 16)
      ((guint16 *)to)[i] = (guint16)code;
    else if (bits == 8)
      ((guint8 *)to)[i] = (guint8)code;
    else
      infer_packed_set(bits, to, i, code);
  }
}

static void
cast_blocks(const Cast *cast, const char *from, gsize n, char *to)
{
  InferType middle = middle_of(cast);
  Block block;

  for (gsize at = 0; at < n; at += BLOCK) {
    gsize count = MIN(n - at, BLOCK);

    load_block(cast, middle, from + at / 8 * infer_type_bits(cast->from), count, &block);
    store_block(cast, middle, &block, count, to + at / 8 * infer_type_bits(cast->to));
  }
}

static void
cast_elements(const Cast *cast, const char *from, gsize n, char *to)
{
  if (cast_funcs[cast->from] && cast_funcs[cast->to])
    cast_funcs[cast->from](from, n, cast->to, to);
  else if (cast->from == INFER_TYPE_FLOAT && infer_type_is_half(cast->to))
    infer_narrow_floats(cast->to, (const float *)from, to, n);
  else if (cast->to == INFER_TYPE_FLOAT && infer_type_is_half(cast->from))
    infer_widen_floats(cast->from, from, (float *)to, n);
  else
    cast_blocks(cast, from, n, to);
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

/* In the order of InferRounding. */
static const char *const rounding_names[] = {"up", "down", "nearest", NULL};

static gboolean
cast_infer(InferShapeArgs *args, GError **error)
{
  const InferNode *node = args->node;
  /* CastLike: to the type of a second input. */
  gint64 to = args->n_in > 1 ? (gint64)args->in[1].type : infer_node_get_int(node, "to", 0);
  InferOperand *out = &args->out[0];
  guint mode;
  if (!number_choice(node, "round_mode", rounding_names, &mode, error))
    return FALSE;
  InferType from = args->in[0].type;
  if (!cast_supported(from) || !cast_supported(to)) {
    const char *name = to > 0 && to < INFER_N_TYPES ? infer_type_name((InferType)to) : "unknown";
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "a cast from %s to %s (to=%" G_GINT64_FORMAT
                          ") is not supported; integers, bool, floats and "
                          "strings are",
                          infer_type_name(from), name, to);
  }
  if (!data_set(args, 0, (InferType)to, &args->in[0].dims, error))
    return FALSE;
  gint64 limit = cast_limit(out->type);
  if (limit < 0 || from == INFER_TYPE_STRING)
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
  guint mode;
  if (!number_choice(args->node, "round_mode", rounding_names, &mode, error))
    return FALSE;
  if (to == INFER_TYPE_STRING)
    return infer_cast_to_strings(args->node, in, out, error);
  if (in->type == INFER_TYPE_STRING)
    return infer_cast_from_strings(args->node, in,
                                   infer_node_get_int(args->node, "saturate", 1) != 0, out, error);
  const Cast how = {in->type, to, infer_node_get_int(args->node, "saturate", 1) != 0,
                    (InferRounding)mode};
  cast_elements(&how, in->data, (gsize)infer_array_count(in), out->data);
  return TRUE;
}

/* "saturate" concerns float8 alone, "round_mode" float8e8m0. */
static const InferAttrSpec cast_attrs[] = {
    {"to", 'i', TRUE}, {"saturate", 'i', FALSE}, {"round_mode", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp cast = {
    .name = "Cast",
    .version = 24,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = cast_attrs,
    .flags = INFER_OP_POINTWISE,
    .infer = cast_infer,
    .eval = cast_eval,
};

static const InferAttrSpec like_attrs[] = {
    {"saturate", 'i', FALSE}, {"round_mode", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp cast_like = {
    .name = "CastLike",
    .version = 24,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = like_attrs,
    .infer = cast_infer,
    .eval = cast_eval,
};

const InferOp *const infer_ops_cast[] = {&cast, &cast_like, NULL};
