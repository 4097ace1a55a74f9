/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "half.h"
#include "ops/check.h"
#include "ops/data.h"
#include "packed.h"
#include "smallfloat.h"

#include <math.h>

/* Real numbers to integers and back: real = (integer - zero point) * scale. */

enum { IN_X, IN_SCALE, IN_ZERO };

/* What a quantized type of integers can hold. */
static gboolean
type_range(InferType type, gint64 *least, gint64 *most)
{
  static const struct {
    InferType type;
    gint64 least, most;
  } ranges[] = {
      {INFER_TYPE_INT8, G_MININT8, G_MAXINT8},
      {INFER_TYPE_UINT8, 0, G_MAXUINT8},
      {INFER_TYPE_INT16, G_MININT16, G_MAXINT16},
      {INFER_TYPE_UINT16, 0, G_MAXUINT16},
      {INFER_TYPE_INT32, G_MININT32, G_MAXINT32},
      {INFER_TYPE_INT4, -8, 7},
      {INFER_TYPE_UINT4, 0, 15},
      {INFER_TYPE_INT2, -2, 1},
      {INFER_TYPE_UINT2, 0, 3},
  };

  for (guint i = 0; i < G_N_ELEMENTS(ranges); i++)
    if (ranges[i].type == type) {
      *least = ranges[i].least;
      *most = ranges[i].most;
      return TRUE;
    }
  return FALSE;
}

/* Where the scale of an element is: element / inner % size, in blocks of block. For one scale the
 * inner part is everything. Blocked scales keep the inner part. */
typedef struct {
  gint64 inner, size, block, blocks;
  gboolean per_element;
} Scales;

static void
scales_init(Scales *s, const InferDims *x, const InferDims *scale, gint axis, gint64 block)
{
  *s = (Scales){.inner = 1, .size = 1, .block = 1, .blocks = 1};
  if (scale->n == 0 || (infer_dims_count(scale) == 1 && block == 0 && scale->n != x->n))
    return;
  s->size = x->d[axis];
  for (gint i = axis + 1; i < x->n; i++)
    s->inner *= x->d[i];
  s->per_element = block > 0;
  s->block = MAX(block, 1);
  s->blocks = scale->d[block > 0 ? axis : 0];
}

static inline gint64
scale_index(const Scales *s, gint64 i)
{
  gint64 at;

  if (s->size == 1 && s->inner == 1 && !s->per_element)
    return 0;
  at = i / s->inner % s->size;
  if (!s->per_element)
    return s->blocks == 1 ? 0 : at;
  return (i / s->inner / s->size * s->blocks + at / s->block) * s->inner + i % s->inner;
}

/* Scales of x's rank: one for each block along the axis. */
static gboolean
check_blocked(const InferShapeArgs *args, guint index, gint axis, gint64 block, GError **error)
{
  const InferDims *x = &args->in[IN_X].dims, *s = &args->in[index].dims;

  if (!infer_op_require_rank(args, index, x->n, x->n, error))
    return FALSE;
  for (gint i = 0; i < x->n; i++) {
    gint64 want = x->d[i];

    if (i == axis && want >= 0)
      want = want / block + (want % block != 0);
    if (want >= 0 && s->d[i] >= 0 && want != s->d[i])
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "input %u has %" G_GINT64_FORMAT
                            " in dimension %d, blocks of %" G_GINT64_FORMAT
                            " need %" G_GINT64_FORMAT,
                            index, s->d[i], i, block, want);
  }
  return TRUE;
}

static gboolean
check_scales(const InferShapeArgs *args, guint index, GError **error)
{
  const InferDims *x = &args->in[IN_X].dims;
  const InferDims *s = index < args->n_in ? &args->in[index].dims : NULL;
  gint64 block;
  gint axis;

  if (!infer_check_int(args->node, "block_size", 0, 0, G_MAXINT32, &block, error))
    return FALSE;
  if (!infer_check_present(args, index) || s->n < 0 || x->n < 0)
    return TRUE;
  if (block == 0 && (s->n == 0 || (s->n == 1 && s->d[0] == 1)))
    return TRUE;
  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 1), x->n, &axis, error))
    return FALSE;
  if (block > 0)
    return check_blocked(args, index, axis, block, error);
  return infer_check_vector(args, index, &(gint64){x->d[axis]}, error);
}

/* Scale and zero point go in pairs. */
static gboolean
check_pair(const InferShapeArgs *args, GError **error)
{
  const InferDims *s = &args->in[IN_SCALE].dims;

  if (infer_check_present(args, IN_ZERO) && args->in[IN_ZERO].dims.n >= 0 && s->n >= 0) {
    gint64 have = infer_dims_count(&args->in[IN_ZERO].dims), want = infer_dims_count(s);

    if (have >= 0 && want >= 0 && have != want)
      return infer_op_error(
          args->node, error, INFER_ERROR_SHAPE,
          "there are %" G_GINT64_FORMAT " scales and %" G_GINT64_FORMAT " zero points", want, have);
  }
  return check_scales(args, IN_SCALE, error) && check_scales(args, IN_ZERO, error);
}

static gboolean
is_quantized_float(InferType type)
{
  return infer_type_is_small_float(type) && infer_type_bits(type) <= 8 &&
         type != INFER_TYPE_FLOAT8E8M0;
}

static gboolean
require_quantized(const InferNode *node, const char *what, InferType type, gboolean wide,
                  GError **error)
{
  gint64 least, most;

  if (is_quantized_float(type) ||
      (type_range(type, &least, &most) && (wide || type != INFER_TYPE_INT32)))
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "%s is %s; supported are integers of up to 16 bits%s, float8 and "
                        "float4e2m1",
                        what, infer_type_name(type), wide ? ", int32" : "");
}

/* Attribute @name as a type to compute in; @fallback where it is absent. */
static gboolean
real_type(const InferNode *node, const char *name, InferType fallback, InferType *type,
          GError **error)
{
  gint64 value = infer_node_get_int(node, name, 0);

  *type = value == 0 ? fallback : (InferType)CLAMP(value, 0, INFER_N_TYPES - 1);
  if (value == 0 && *type == INFER_TYPE_FLOAT8E8M0)
    *type = INFER_TYPE_FLOAT;
  if (*type == INFER_TYPE_FLOAT || infer_type_is_half(*type))
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "%s is %" G_GINT64_FORMAT
                        "; supported are 1 (float), 10 (float16) and 16 (bfloat16)",
                        name, value);
}

/* A float as the type that is computed in has it. */
static inline float
round_to(InferType type, float value)
{
  guint16 half;

  if (type == INFER_TYPE_FLOAT)
    return value;
  infer_narrow_floats(type, &value, &half, 1);
  infer_widen_floats(type, &half, &value, 1);
  return value;
}

static gboolean
quantize_infer(InferShapeArgs *args, GError **error)
{
  gint64 want = infer_node_get_int(args->node, "output_dtype", 0);
  InferType type = INFER_TYPE_UINT8, precision;

  if (!infer_op_require_type(args, IN_X, error, INFER_TYPE_FLOAT, INFER_TYPE_FLOAT16,
                             INFER_TYPE_BFLOAT16, INFER_TYPE_INT32, INFER_TYPE_UNDEFINED) ||
      !infer_op_require_type(args, IN_SCALE, error, INFER_TYPE_FLOAT, INFER_TYPE_FLOAT16,
                             INFER_TYPE_BFLOAT16, INFER_TYPE_FLOAT8E8M0, INFER_TYPE_INT32,
                             INFER_TYPE_UNDEFINED) ||
      !real_type(args->node, "precision", INFER_TYPE_FLOAT, &precision, error) ||
      !check_pair(args, error))
    return FALSE;
  if (infer_check_present(args, IN_ZERO))
    type = args->in[IN_ZERO].type;
  else if (want > 0 && want < INFER_N_TYPES)
    type = (InferType)want;
  if (want != 0 && want != (gint64)type)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "output_dtype is %" G_GINT64_FORMAT ", the zero point's type is %s", want,
                          infer_type_name(type));
  if (!require_quantized(args->node, "the output's type", type, FALSE, error))
    return FALSE;
  args->out[0].type = type;
  args->out[0].dims = args->in[IN_X].dims;
  return TRUE;
}

static gboolean
read_scales(const InferEvalArgs *args, Scales *scales, GError **error)
{
  const InferDims *x = &args->in[IN_X]->dims, *s = &args->in[IN_SCALE]->dims;
  gint64 block = infer_node_get_int(args->node, "block_size", 0);
  gint axis = 0;

  if ((block > 0 || infer_dims_count(s) != 1) &&
      !infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 1), x->n, &axis, error))
    return FALSE;
  scales_init(scales, x, s, axis, block);
  return TRUE;
}

/* Halves go to the even number. Not-a-number gives the zero point. */
static inline gint64
to_integer(float quotient, gint64 zero, gint64 least, gint64 most)
{
  quotient = rintf(quotient);
  if (!(quotient > -0x1p40f))
    return quotient != quotient ? zero : least;
  if (quotient > 0x1p40f)
    return most;
  return CLAMP((gint64)quotient + zero, least, most);
}

static inline void
store_integer(InferArray *y, gint64 i, gint64 value)
{
  switch (infer_type_bits(y->type)) {
  case 8:
    ((guint8 *)y->data)[i] = (guint8)value;
    break;
  case 16:
    ((guint16 *)y->data)[i] = (guint16)value;
    break;
  case 32:
    ((guint32 *)y->data)[i] = (guint32)value;
    break;
  default:
    infer_packed_set(infer_type_bits(y->type), y->data, (gsize)i, (guint)value);
  }
}

static inline float
real_at(const InferArray *array, gint64 i)
{
  return array->type == INFER_TYPE_FLOAT ? ((const float *)array->data)[i]
                                         : (float)infer_array_get_double(array, (gsize)i);
}

static gboolean
quantize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[IN_X], *zero = data_array(args, IN_ZERO);
  const InferArray *scale = args->in[IN_SCALE];
  const gboolean saturate = infer_node_get_int(args->node, "saturate", 1) != 0;
  InferArray *y = args->out[0];
  gint64 count = infer_array_count(x), least = 0, most = 0;
  gboolean whole = type_range(y->type, &least, &most);
  InferType type = scale->type == INFER_TYPE_INT32 ? INFER_TYPE_FLOAT : scale->type;
  Scales scales;

  if (!read_scales(args, &scales, error) || !real_type(args->node, "precision", type, &type, error))
    return FALSE;
  for (gint64 i = 0; i < count; i++) {
    gint64 at = scale_index(&scales, i);
    float quotient =
        round_to(type, round_to(type, real_at(x, i)) / round_to(type, real_at(scale, at)));

    if (whole) {
      gint64 offset = zero ? infer_array_get_int(zero, (gsize)at) : 0;
      store_integer(y, i, to_integer(quotient, offset, least, most));
    } else {
      float offset = zero ? real_at(zero, at) : 0;
      store_integer(y, i,
                    infer_small_float_encode(y->type, (double)(quotient + offset), saturate,
                                             INFER_ROUND_NEAREST));
    }
  }
  return TRUE;
}

static gboolean
dequantize_infer(InferShapeArgs *args, GError **error)
{
  InferType type;

  if (!require_quantized(args->node, "the input's type", args->in[IN_X].type, TRUE, error) ||
      !infer_op_require_type(args, IN_SCALE, error, INFER_TYPE_FLOAT, INFER_TYPE_FLOAT16,
                             INFER_TYPE_BFLOAT16, INFER_TYPE_FLOAT8E8M0, INFER_TYPE_UNDEFINED) ||
      !real_type(args->node, "output_dtype", args->in[IN_SCALE].type, &type, error) ||
      !check_pair(args, error))
    return FALSE;
  if (infer_check_present(args, IN_ZERO) && args->in[IN_ZERO].type != args->in[IN_X].type)
    return infer_op_error(
        args->node, error, INFER_ERROR_SHAPE, "the zero point is %s, the input %s",
        infer_type_name(args->in[IN_ZERO].type), infer_type_name(args->in[IN_X].type));
  args->out[0].type = type;
  args->out[0].dims = args->in[IN_X].dims;
  return TRUE;
}

static gboolean
dequantize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[IN_X], *zero = data_array(args, IN_ZERO);
  const InferArray *scale = args->in[IN_SCALE];
  InferArray *y = args->out[0];
  gint64 count = infer_array_count(x);
  Scales scales;

  if (!read_scales(args, &scales, error))
    return FALSE;
  for (gint64 i = 0; i < count; i++) {
    gint64 at = scale_index(&scales, i);
    double offset = zero ? infer_array_get_double(zero, (gsize)at) : 0;
    float value = (float)(infer_array_get_double(x, (gsize)i) - offset) * real_at(scale, at);

    if (y->type == INFER_TYPE_FLOAT)
      ((float *)y->data)[i] = value;
    else
      infer_narrow_floats(y->type, &value, (guint16 *)y->data + i, 1);
  }
  return TRUE;
}

static gboolean
dynamic_infer(InferShapeArgs *args, GError **error)
{
  if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
    return FALSE;
  args->out[0].type = args->out[2].type = INFER_TYPE_UINT8;
  args->out[1].type = INFER_TYPE_FLOAT;
  args->out[0].dims = args->in[0].dims;
  args->out[1].dims = args->out[2].dims = INFER_DIMS_SCALAR;
  return TRUE;
}

static gboolean
dynamic_eval(const InferEvalArgs *args, GError **error)
{
  const float *x = args->in[0]->data;
  gint64 count = infer_array_count(args->in[0]);
  float least = 0, most = 0, scale;
  gint64 zero;

  for (gint64 i = 0; i < count; i++) {
    /* In this order, so that not-a-number counts for nothing. */
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  scale = most == least ? 1 : (most - least) / G_MAXUINT8;
  zero = to_integer(-least / scale, 0, 0, G_MAXUINT8);
  for (gint64 i = 0; i < count; i++)
    store_integer(args->out[0], i, to_integer(x[i] / scale, zero, 0, G_MAXUINT8));
  *(float *)args->out[1]->data = scale;
  store_integer(args->out[2], 0, zero);
  return TRUE;
}

static const InferAttrSpec quantize_attrs[] = {
    {"axis", 'i', FALSE},      {"block_size", 'i', FALSE}, {"output_dtype", 'i', FALSE},
    {"precision", 'i', FALSE}, {"saturate", 'i', FALSE},   {NULL, 0, FALSE}};
static const InferAttrSpec dequantize_attrs[] = {{"axis", 'i', FALSE},
                                                 {"block_size", 'i', FALSE},
                                                 {"output_dtype", 'i', FALSE},
                                                 {NULL, 0, FALSE}};

static const InferOp quantize = {.name = "QuantizeLinear",
                                 .version = 23,
                                 .min_inputs = 2,
                                 .max_inputs = 3,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attrs = quantize_attrs,
                                 .infer = quantize_infer,
                                 .eval = quantize_eval};
static const InferOp dequantize = {.name = "DequantizeLinear",
                                   .version = 23,
                                   .min_inputs = 2,
                                   .max_inputs = 3,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .attrs = dequantize_attrs,
                                   .infer = dequantize_infer,
                                   .eval = dequantize_eval};
static const InferOp dynamic = {.name = "DynamicQuantizeLinear",
                                .version = 11,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .min_outputs = 3,
                                .max_outputs = 3,
                                .infer = dynamic_infer,
                                .eval = dynamic_eval};

extern const InferOp *const infer_ops_quantize[];
const InferOp *const infer_ops_quantize[] = {&quantize, &dequantize, &dynamic, NULL};
