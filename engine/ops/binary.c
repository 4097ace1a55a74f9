/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/broadcast.h"

#include <math.h>
#include <string.h>

#define ARITHMETIC_FLOATS(NAME, EXPR)                                                              \
  INFER_BINARY_LOOP(NAME##_float, float, float, EXPR)                                              \
  INFER_BINARY_LOOP(NAME##_double, double, double, EXPR)
#define ARITHMETIC_SIGNED(NAME, EXPR)                                                              \
  INFER_BINARY_LOOP(NAME##_i8, gint8, gint8, EXPR)                                                 \
  INFER_BINARY_LOOP(NAME##_i16, gint16, gint16, EXPR)                                              \
  INFER_BINARY_LOOP(NAME##_i32, gint32, gint32, EXPR)                                              \
  INFER_BINARY_LOOP(NAME##_i64, gint64, gint64, EXPR)
#define ARITHMETIC_UNSIGNED(NAME, EXPR)                                                            \
  INFER_BINARY_LOOP(NAME##_u8, guint8, guint8, EXPR)                                               \
  INFER_BINARY_LOOP(NAME##_u16, guint16, guint16, EXPR)                                            \
  INFER_BINARY_LOOP(NAME##_u32, guint32, guint32, EXPR)                                            \
  INFER_BINARY_LOOP(NAME##_u64, guint64, guint64, EXPR)

#define FLOAT_KERNELS(NAME) [INFER_TYPE_FLOAT] = NAME##_float, [INFER_TYPE_DOUBLE] = NAME##_double
#define INTEGER_KERNELS(NAME)                                                                      \
  [INFER_TYPE_INT8] = NAME##_i8, [INFER_TYPE_INT16] = NAME##_i16, [INFER_TYPE_INT32] = NAME##_i32, \
  [INFER_TYPE_INT64] = NAME##_i64, [INFER_TYPE_UINT8] = NAME##_u8,                                 \
  [INFER_TYPE_UINT16] = NAME##_u16, [INFER_TYPE_UINT32] = NAME##_u32,                              \
  [INFER_TYPE_UINT64] = NAME##_u64

#define ARITHMETIC(NAME, FLOAT_EXPR, SIGNED_EXPR, UNSIGNED_EXPR)                                   \
  ARITHMETIC_FLOATS(NAME, FLOAT_EXPR)                                                              \
  ARITHMETIC_SIGNED(NAME, SIGNED_EXPR)                                                             \
  ARITHMETIC_UNSIGNED(NAME, UNSIGNED_EXPR)                                                         \
  static const InferBinaryKernel NAME[INFER_N_TYPES] = {FLOAT_KERNELS(NAME), INTEGER_KERNELS(NAME)};

/* The remainder with the divisor's sign. */
static inline gint64
floor_mod(gint64 x, gint64 y)
{
  gint64 rest = y == 0 || y == -1 ? 0 : x % y;

  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

static inline double
floor_fmod(double x, double y)
{
  double rest = fmod(x, y);

  if (rest == 0)
    return copysign(0, y);
  return (rest < 0) != (y < 0) ? rest + y : rest;
}

#define WRAP(OPERATOR) (E)((guint64)x OPERATOR(guint64) y)
#define SLOPE (x < 0 ? (E)((guint64)x * (guint64)y) : x)

ARITHMETIC(add, x + y, WRAP(+), WRAP(+))
ARITHMETIC(sub, x - y, WRAP(-), WRAP(-))
ARITHMETIC(mul, x *y, WRAP(*), WRAP(*))
ARITHMETIC(divide, x / y, y == 0 ? 0 : y == -1 ? (E)(0 - (guint64)x) : x / y, y == 0 ? 0 : x / y)
/* Not-a-number wins, as it does in NumPy. */
ARITHMETIC(larger, x > y || x != x ? x : y, x > y ? x : y, x > y ? x : y)
ARITHMETIC(smaller, x < y || x != x ? x : y, x < y ? x : y, x < y ? x : y)
ARITHMETIC(c_mod, (E)fmod(x, y), y == 0 || y == -1 ? 0 : x % y, y == 0 ? 0 : x % y)

ARITHMETIC_FLOATS(modulo, (E)floor_fmod(x, y))
ARITHMETIC_SIGNED(modulo, floor_mod(x, y))
ARITHMETIC_UNSIGNED(modulo, y == 0 ? 0 : x % y)
static const InferBinaryKernel modulo[INFER_N_TYPES] = {FLOAT_KERNELS(modulo),
                                                        INTEGER_KERNELS(modulo)};

ARITHMETIC_FLOATS(prelu, x < 0 ? x * y : x)
INFER_BINARY_LOOP(prelu_i32, gint32, gint32, SLOPE)
INFER_BINARY_LOOP(prelu_i64, gint64, gint64, SLOPE)
/* Unsigned numbers are never below 0. */
INFER_BINARY_LOOP(prelu_u32, guint32, guint32, ((void)y, x))
INFER_BINARY_LOOP(prelu_u64, guint64, guint64, ((void)y, x))
static const InferBinaryKernel prelu[INFER_N_TYPES] = {
    FLOAT_KERNELS(prelu), [INFER_TYPE_INT32] = prelu_i32, [INFER_TYPE_INT64] = prelu_i64,
    [INFER_TYPE_UINT32] = prelu_u32, [INFER_TYPE_UINT64] = prelu_u64};

static const InferBinaryKernel sum[INFER_N_TYPES] = {FLOAT_KERNELS(add)};

typedef struct {
  InferOp op;
  const InferBinaryKernel *kernels;
  InferElementFunc content;
} Binary;

static InferElement
add_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return infer_element_add(in[0], in[1]);
}

static InferElement
sub_element(const InferNode *node, const InferElement *in, guint n_in)
{
  gint64 value;

  if (infer_element_is(in[1], 0))
    return in[0];
  if (!in[0].known || !in[1].known)
    return INFER_ELEMENT_UNKNOWN;
  if (in[0].symbol && in[1].symbol && in[0].value == in[1].value)
    return infer_element_number(0);
  if (in[0].symbol || in[1].symbol || __builtin_sub_overflow(in[0].value, in[1].value, &value))
    return INFER_ELEMENT_UNKNOWN;
  return infer_element_number(value);
}

static InferElement
mul_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return infer_element_mul(in[0], in[1]);
}

static InferElement
div_element(const InferNode *node, const InferElement *in, guint n_in)
{
  if (infer_element_is(in[1], 1))
    return in[0];
  if (!infer_element_is_number(in[0]) || !infer_element_is_number(in[1]))
    return INFER_ELEMENT_UNKNOWN;
  if (in[1].value == 0 || in[1].value == -1)
    return INFER_ELEMENT_UNKNOWN;
  return infer_element_number(in[0].value / in[1].value);
}

static InferElement
mod_element(const InferNode *node, const InferElement *in, guint n_in)
{
  if (!infer_element_is_number(in[0]) || !infer_element_is_number(in[1]) || in[0].value < 0 ||
      in[1].value <= 0)
    return INFER_ELEMENT_UNKNOWN;
  return infer_element_number(in[0].value % in[1].value);
}

static InferElement
extreme_element(const InferElement *in, guint n_in, gboolean largest)
{
  InferElement best = in[0];

  for (guint i = 1; i < n_in; i++) {
    gboolean same = best.known && in[i].known && best.symbol == in[i].symbol;

    if (same && best.value == in[i].value)
      continue;
    if (!same || best.symbol)
      return INFER_ELEMENT_UNKNOWN;
    if (largest ? in[i].value > best.value : in[i].value < best.value)
      best = in[i];
  }
  return best;
}

static InferElement
max_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return extreme_element(in, n_in, TRUE);
}

static InferElement
min_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return extreme_element(in, n_in, FALSE);
}

static InferBinaryKernel
kernel_of(const InferNode *node, InferType type)
{
  const Binary *binary = (const Binary *)node->op;
  const InferBinaryKernel *kernels = binary->kernels;

  if (kernels == modulo && infer_node_get_int(node, "fmod", 0) != 0)
    kernels = c_mod;
  return (guint)type < INFER_N_TYPES ? kernels[type] : NULL;
}

static gboolean
check_types(const InferShapeArgs *args, GError **error)
{
  for (guint i = 0; i < args->n_in; i++) {
    InferType type = args->in[i].type;

    if (!kernel_of(args->node, infer_op_eval_type(args, i)))
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "input %u is of type %s, which is not supported", i,
                            infer_type_name(type));
    if (type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                            i, infer_type_name(type), infer_type_name(args->in[0].type));
  }
  return TRUE;
}

static gboolean
binary_infer(InferShapeArgs *args, GError **error)
{
  const Binary *binary = (const Binary *)args->node->op;
  InferOperand *out = &args->out[0];

  if (!check_types(args, error))
    return FALSE;
  out->type = args->in[0].type;
  out->dims = args->in[0].dims;
  for (guint i = 1; i < args->n_in; i++) {
    InferDims before = out->dims;

    if (!infer_op_broadcast(args->node, &before, &args->in[i].dims, &out->dims, error))
      return FALSE;
  }
  if (binary->content)
    infer_content_pointwise(args, binary->content);
  return TRUE;
}

/* The slope broadcasts to the input, never the other way round. */
static gboolean
prelu_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims, *slope = &args->in[1].dims;
  InferDims both;

  if (!check_types(args, error) || !infer_op_broadcast(args->node, x, slope, &both, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = *x;
  if (x->n < 0 || slope->n < 0)
    return TRUE;
  for (gint i = 0; i < both.n; i++) {
    gint at = i - (both.n - x->n);

    if (at < 0 || (x->d[at] >= 0 && both.d[i] >= 0 && x->d[at] != both.d[i])) {
      g_autofree char *have = infer_dims_to_string(slope);
      g_autofree char *want = infer_dims_to_string(x);
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "the slope is %s, which does not broadcast to %s", have, want);
    }
  }
  return TRUE;
}

static gboolean
binary_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *first = args->in[0];
  InferArray *out = args->out[0];
  InferBinaryKernel kernel = kernel_of(args->node, first->type);

  if (args->n_in == 1 && out->size > 0)
    memmove(out->data, first->data, out->size);
  for (guint i = 1; i < args->n_in; i++)
    infer_binary_eval(kernel, i == 1 ? first : out, args->in[i], out);
  return TRUE;
}

static gboolean
mean_eval(const InferEvalArgs *args, GError **error)
{
  InferArray *out = args->out[0];
  gint64 count = infer_array_count(out);

  if (!binary_eval(args, error))
    return FALSE;
  for (gint64 i = 0; i < count; i++)
    if (out->type == INFER_TYPE_FLOAT)
      ((float *)out->data)[i] /= (float)args->n_in;
    else
      ((double *)out->data)[i] /= args->n_in;
  return TRUE;
}

static const InferAttrSpec mod_attrs[] = {{"fmod", 'i', FALSE}, {NULL, 0, FALSE}};

#define BINARY(NAME, VERSION, LEAST, MOST, KERNELS, CONTENT, INFER, EVAL)                          \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = VERSION,                                                                     \
           .min_inputs = LEAST,                                                                    \
           .max_inputs = MOST,                                                                     \
           .min_outputs = 1,                                                                       \
           .max_outputs = 1,                                                                       \
           .flags = INFER_OP_POINTWISE,                                                            \
           .infer = INFER,                                                                         \
           .eval = EVAL},                                                                          \
    .kernels = KERNELS, .content = CONTENT                                                         \
  }
#define PAIR(NAME, VERSION, KERNELS, CONTENT)                                                      \
  BINARY(NAME, VERSION, 2, 2, KERNELS, CONTENT, binary_infer, binary_eval)
#define MANY(NAME, VERSION, KERNELS, CONTENT, EVAL)                                                \
  BINARY(NAME, VERSION, 1, INFER_OP_VARIADIC, KERNELS, CONTENT, binary_infer, EVAL)

static const Binary op_add = PAIR("Add", 14, add, add_element);
static const Binary op_sub = PAIR("Sub", 14, sub, sub_element);
static const Binary op_mul = PAIR("Mul", 14, mul, mul_element);
static const Binary op_div = PAIR("Div", 14, divide, div_element);
static const Binary op_max = MANY("Max", 13, larger, max_element, binary_eval);
static const Binary op_min = MANY("Min", 13, smaller, min_element, binary_eval);
static const Binary op_sum = MANY("Sum", 13, sum, NULL, binary_eval);
static const Binary op_mean = MANY("Mean", 13, sum, NULL, mean_eval);
static const Binary op_prelu = BINARY("PRelu", 16, 2, 2, prelu, NULL, prelu_infer, binary_eval);
static const Binary op_mod = {.op = {.name = "Mod",
                                     .version = 13,
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .min_outputs = 1,
                                     .max_outputs = 1,
                                     .attrs = mod_attrs,
                                     .flags = INFER_OP_POINTWISE,
                                     .infer = binary_infer,
                                     .eval = binary_eval},
                              .kernels = modulo,
                              .content = mod_element};

extern const InferOp *const infer_ops_binary[];
const InferOp *const infer_ops_binary[] = {&op_add.op,  &op_sub.op,   &op_mul.op, &op_div.op,
                                           &op_mod.op,  &op_max.op,   &op_min.op, &op_sum.op,
                                           &op_mean.op, &op_prelu.op, NULL};
