/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

#include <math.h>

/* Real numbers to integers and back: real = (integer - zero point) * scale. */

enum { IN_X, IN_SCALE, IN_ZERO };

/* What a quantized type can hold; types narrower than a byte and floats would get rows here. */
static gboolean
type_range(InferType type, gint64 *least, gint64 *most)
{
  static const struct {
    InferType type;
    gint64 least, most;
  } ranges[] = {
      {INFER_TYPE_INT8, G_MININT8, G_MAXINT8},    {INFER_TYPE_UINT8, 0, G_MAXUINT8},
      {INFER_TYPE_INT16, G_MININT16, G_MAXINT16}, {INFER_TYPE_UINT16, 0, G_MAXUINT16},
      {INFER_TYPE_INT32, G_MININT32, G_MAXINT32},
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
refuse_type(const InferNode *node, const char *what, InferType type, GError **error)
{
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "%s is %s; supported are int8, uint8, int16, uint16 and int32", what,
                        infer_type_name(type));
}

static gboolean
check_precision(const InferNode *node, GError **error)
{
  gint64 precision = infer_node_get_int(node, "precision", 0);

  if (precision == 0 || precision == INFER_TYPE_FLOAT)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "precision is %" G_GINT64_FORMAT ", supported is 1 (float)", precision);
}

static gboolean
quantize_infer(InferShapeArgs *args, GError **error)
{
  gint64 want = infer_node_get_int(args->node, "output_dtype", 0), least, most;
  InferType type = INFER_TYPE_UINT8;

  if (!infer_op_require_type(args, IN_X, error, INFER_TYPE_FLOAT, INFER_TYPE_INT32,
                             INFER_TYPE_UNDEFINED) ||
      !infer_op_require_type(args, IN_SCALE, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED) ||
      !check_precision(args->node, error) || !check_pair(args, error))
    return FALSE;
  if (infer_check_present(args, IN_ZERO))
    type = args->in[IN_ZERO].type;
  else if (want > 0 && want < INFER_N_TYPES)
    type = (InferType)want;
  if (want != 0 && want != (gint64)type)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "output_dtype is %" G_GINT64_FORMAT ", the zero point's type is %s", want,
                          infer_type_name(type));
  if (type == INFER_TYPE_INT32 || !type_range(type, &least, &most))
    return refuse_type(args->node, "the output's type", type, error);
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
to_integer(float x, float scale, gint64 zero, gint64 least, gint64 most)
{
  float quotient = rintf(x / scale);

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
  default:
    ((guint32 *)y->data)[i] = (guint32)value;
  }
}

static gboolean
quantize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[IN_X], *zero = data_array(args, IN_ZERO);
  const float *scale = args->in[IN_SCALE]->data;
  gint64 count = infer_array_count(x), least = 0, most = 0;
  Scales scales;

  if (!read_scales(args, &scales, error) || !type_range(args->out[0]->type, &least, &most))
    return FALSE;
  for (gint64 i = 0; i < count; i++) {
    gint64 at = scale_index(&scales, i);
    float value = x->type == INFER_TYPE_FLOAT ? ((const float *)x->data)[i]
                                              : (float)((const gint32 *)x->data)[i];
    gint64 offset = zero ? infer_array_get_int(zero, (gsize)at) : 0;

    store_integer(args->out[0], i, to_integer(value, scale[at], offset, least, most));
  }
  return TRUE;
}

static gboolean
dequantize_infer(InferShapeArgs *args, GError **error)
{
  gint64 want = infer_node_get_int(args->node, "output_dtype", 0), least, most;

  if (!type_range(args->in[IN_X].type, &least, &most))
    return refuse_type(args->node, "the input's type", args->in[IN_X].type, error);
  if (!infer_op_require_type(args, IN_SCALE, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED) ||
      !check_pair(args, error))
    return FALSE;
  if (infer_check_present(args, IN_ZERO) && args->in[IN_ZERO].type != args->in[IN_X].type)
    return infer_op_error(
        args->node, error, INFER_ERROR_SHAPE, "the zero point is %s, the input %s",
        infer_type_name(args->in[IN_ZERO].type), infer_type_name(args->in[IN_X].type));
  if (want != 0 && want != INFER_TYPE_FLOAT)
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "output_dtype is %" G_GINT64_FORMAT ", supported is 1 (float)", want);
  args->out[0].type = INFER_TYPE_FLOAT;
  args->out[0].dims = args->in[IN_X].dims;
  return TRUE;
}

static gboolean
dequantize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[IN_X], *zero = data_array(args, IN_ZERO);
  const float *scale = args->in[IN_SCALE]->data;
  float *y = args->out[0]->data;
  gint64 count = infer_array_count(x);
  Scales scales;

  if (!read_scales(args, &scales, error))
    return FALSE;
  for (gint64 i = 0; i < count; i++) {
    gint64 at = scale_index(&scales, i);
    gint64 offset = zero ? infer_array_get_int(zero, (gsize)at) : 0;

    y[i] = (float)(infer_array_get_int(x, (gsize)i) - offset) * scale[at];
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
  zero = to_integer(-least, scale, 0, 0, G_MAXUINT8);
  for (gint64 i = 0; i < count; i++)
    store_integer(args->out[0], i, to_integer(x[i], scale, zero, 0, G_MAXUINT8));
  *(float *)args->out[1]->data = scale;
  store_integer(args->out[2], 0, zero);
  return TRUE;
}

/* saturate is about float8 only. */
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
