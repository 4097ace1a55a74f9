/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/broadcast.h"

#include <string.h>

#define COMPARE(NAME, EXPR)                                                                        \
  INFER_BINARY_LOOP(NAME##_float, float, guint8, EXPR)                                             \
  INFER_BINARY_LOOP(NAME##_double, double, guint8, EXPR)                                           \
  INFER_BINARY_LOOP(NAME##_i8, gint8, guint8, EXPR)                                                \
  INFER_BINARY_LOOP(NAME##_i16, gint16, guint8, EXPR)                                              \
  INFER_BINARY_LOOP(NAME##_i32, gint32, guint8, EXPR)                                              \
  INFER_BINARY_LOOP(NAME##_i64, gint64, guint8, EXPR)                                              \
  INFER_BINARY_LOOP(NAME##_u8, guint8, guint8, EXPR)                                               \
  INFER_BINARY_LOOP(NAME##_u16, guint16, guint8, EXPR)                                             \
  INFER_BINARY_LOOP(NAME##_u32, guint32, guint8, EXPR)                                             \
  INFER_BINARY_LOOP(NAME##_u64, guint64, guint8, EXPR)

#define COMPARE_TABLE(NAME, BOOL)                                                                  \
  static const InferBinaryKernel NAME[INFER_N_TYPES] = {                                           \
      [INFER_TYPE_FLOAT] = NAME##_float, [INFER_TYPE_DOUBLE] = NAME##_double,                      \
      [INFER_TYPE_INT8] = NAME##_i8,     [INFER_TYPE_INT16] = NAME##_i16,                          \
      [INFER_TYPE_INT32] = NAME##_i32,   [INFER_TYPE_INT64] = NAME##_i64,                          \
      [INFER_TYPE_UINT8] = NAME##_u8,    [INFER_TYPE_UINT16] = NAME##_u16,                         \
      [INFER_TYPE_UINT32] = NAME##_u32,  [INFER_TYPE_UINT64] = NAME##_u64,                         \
      [INFER_TYPE_BOOL] = BOOL};

#define BITWISE(NAME, EXPR)                                                                        \
  INFER_BINARY_LOOP(NAME##_8, guint8, guint8, EXPR)                                                \
  INFER_BINARY_LOOP(NAME##_16, guint16, guint16, EXPR)                                             \
  INFER_BINARY_LOOP(NAME##_32, guint32, guint32, EXPR)                                             \
  INFER_BINARY_LOOP(NAME##_64, guint64, guint64, EXPR)

#define UNSIGNED_KERNELS(NAME)                                                                     \
  [INFER_TYPE_UINT8] = NAME##_8, [INFER_TYPE_UINT16] = NAME##_16, [INFER_TYPE_UINT32] = NAME##_32, \
  [INFER_TYPE_UINT64] = NAME##_64
#define SIGNED_KERNELS(NAME)                                                                       \
  [INFER_TYPE_INT8] = NAME##_8, [INFER_TYPE_INT16] = NAME##_16, [INFER_TYPE_INT32] = NAME##_32,    \
  [INFER_TYPE_INT64] = NAME##_64

#define BITS ((guint64)(sizeof(E) * 8))

INFER_BINARY_LOOP(equal_bool, guint8, guint8, !x == !y)
COMPARE(equal, x == y)
COMPARE_TABLE(equal, equal_bool)
COMPARE(greater, x > y)
COMPARE_TABLE(greater, NULL)
COMPARE(greater_equal, x >= y)
COMPARE_TABLE(greater_equal, NULL)
COMPARE(less, x < y)
COMPARE_TABLE(less, NULL)
COMPARE(less_equal, x <= y)
COMPARE_TABLE(less_equal, NULL)

INFER_BINARY_LOOP(and_bool, guint8, guint8, x &&y)
INFER_BINARY_LOOP(or_bool, guint8, guint8, x || y)
INFER_BINARY_LOOP(xor_bool, guint8, guint8, !x != !y)
static const InferBinaryKernel logical_and[INFER_N_TYPES] = {[INFER_TYPE_BOOL] = and_bool};
static const InferBinaryKernel logical_or[INFER_N_TYPES] = {[INFER_TYPE_BOOL] = or_bool};
static const InferBinaryKernel logical_xor[INFER_N_TYPES] = {[INFER_TYPE_BOOL] = xor_bool};

BITWISE(bit_and, x &y)
BITWISE(bit_or, x | y)
BITWISE(bit_xor, x ^ y)
BITWISE(shift_left, y >= BITS ? 0 : (guint64)x << y)
BITWISE(shift_right, y >= BITS ? 0 : (guint64)x >> y)
/* Signs move in from the left; a distance below 0 moves all of them in. */
#define SHIFT_SIGNED ((guint64)y >= BITS ? (x < 0 ? -1 : 0) : x >> y)
INFER_BINARY_LOOP(shift_right_i8, gint8, gint8, SHIFT_SIGNED)
INFER_BINARY_LOOP(shift_right_i16, gint16, gint16, SHIFT_SIGNED)
INFER_BINARY_LOOP(shift_right_i32, gint32, gint32, SHIFT_SIGNED)
INFER_BINARY_LOOP(shift_right_i64, gint64, gint64, SHIFT_SIGNED)
static const InferBinaryKernel bitwise_and[INFER_N_TYPES] = {SIGNED_KERNELS(bit_and),
                                                             UNSIGNED_KERNELS(bit_and)};
static const InferBinaryKernel bitwise_or[INFER_N_TYPES] = {SIGNED_KERNELS(bit_or),
                                                            UNSIGNED_KERNELS(bit_or)};
static const InferBinaryKernel bitwise_xor[INFER_N_TYPES] = {SIGNED_KERNELS(bit_xor),
                                                             UNSIGNED_KERNELS(bit_xor)};
static const InferBinaryKernel left[INFER_N_TYPES] = {UNSIGNED_KERNELS(shift_left),
                                                      SIGNED_KERNELS(shift_left)};
static const InferBinaryKernel right[INFER_N_TYPES] = {
    UNSIGNED_KERNELS(shift_right), [INFER_TYPE_INT8] = shift_right_i8,
    [INFER_TYPE_INT16] = shift_right_i16, [INFER_TYPE_INT32] = shift_right_i32,
    [INFER_TYPE_INT64] = shift_right_i64};

typedef struct {
  InferOp op;
  const InferBinaryKernel *kernels;
  InferElementFunc content;
  gboolean gives_bool;
} Compare;

static InferElement
equal_element(const InferNode *node, const InferElement *in, guint n_in)
{
  if (!in[0].known || !in[1].known)
    return INFER_ELEMENT_UNKNOWN;
  if (in[0].symbol == in[1].symbol) {
    if (in[0].value == in[1].value)
      return infer_element_number(1);
    return in[0].symbol ? INFER_ELEMENT_UNKNOWN : infer_element_number(0);
  }
  /* A dimension is never negative. */
  if ((in[0].symbol ? in[1].value : in[0].value) < 0)
    return infer_element_number(0);
  return INFER_ELEMENT_UNKNOWN;
}

/* The comparison of two numbers, %UNKNOWN for anything else. */
static InferElement
order_element(const InferElement *in, gboolean lower, gboolean equal_too)
{
  gint64 a = in[0].value, b = in[1].value;

  if (!infer_element_is_number(in[0]) || !infer_element_is_number(in[1]))
    return INFER_ELEMENT_UNKNOWN;
  return infer_element_number((lower ? a < b : a > b) || (equal_too && a == b));
}

static InferElement
greater_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return order_element(in, FALSE, FALSE);
}

static InferElement
greater_equal_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return order_element(in, FALSE, TRUE);
}

static InferElement
less_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return order_element(in, TRUE, FALSE);
}

static InferElement
less_equal_element(const InferNode *node, const InferElement *in, guint n_in)
{
  return order_element(in, TRUE, TRUE);
}

static InferBinaryKernel
kernel_of(const InferNode *node, InferType type)
{
  const InferBinaryKernel *kernels = ((const Compare *)node->op)->kernels;

  if (kernels == left && strcmp(infer_node_get_string(node, "direction", ""), "RIGHT") == 0)
    kernels = right;
  return (guint)type < INFER_N_TYPES ? kernels[type] : NULL;
}

static InferType
eval_type(const InferShapeArgs *args, guint index)
{
  if (args->in[index].type != INFER_TYPE_STRING ||
      ((const Compare *)args->node->op)->kernels != equal)
    return infer_op_eval_type(args, index);
  *args->widens |= INFER_WIDEN_STRING;
  return INFER_TYPE_UINT64;
}

static gboolean
compare_infer(InferShapeArgs *args, GError **error)
{
  const Compare *compare = (const Compare *)args->node->op;
  InferType type = args->in[0].type;

  for (guint i = 0; i < 2; i++)
    if (!kernel_of(args->node, eval_type(args, i)))
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "input %u is of type %s, which is not supported", i,
                            infer_type_name(args->in[i].type));
  if (args->in[1].type != type)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 1 is %s, input 0 is %s",
                          infer_type_name(args->in[1].type), infer_type_name(type));
  args->out[0].type = compare->gives_bool ? INFER_TYPE_BOOL : type;
  if (!infer_op_broadcast(args->node, &args->in[0].dims, &args->in[1].dims, &args->out[0].dims,
                          error))
    return FALSE;
  if (compare->content)
    infer_content_pointwise(args, compare->content);
  return TRUE;
}

static gboolean
shift_infer(InferShapeArgs *args, GError **error)
{
  const char *direction = infer_node_get_string(args->node, "direction", "");

  if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "direction is '%.32s', it can be LEFT or RIGHT", direction);
  return compare_infer(args, error);
}

static gboolean
compare_eval(const InferEvalArgs *args, GError **error)
{
  infer_binary_eval(kernel_of(args->node, args->in[0]->type), args->in[0], args->in[1],
                    args->out[0]);
  return TRUE;
}

static const InferAttrSpec shift_attrs[] = {{"direction", 's', TRUE}, {NULL, 0, FALSE}};

#define COMPARISON(NAME, VERSION, KERNELS, CONTENT, BOOL, ATTRS, INFER)                            \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = VERSION,                                                                     \
           .min_inputs = 2,                                                                        \
           .max_inputs = 2,                                                                        \
           .min_outputs = 1,                                                                       \
           .max_outputs = 1,                                                                       \
           .attrs = ATTRS,                                                                         \
           .flags = INFER_OP_POINTWISE,                                                            \
           .infer = INFER,                                                                         \
           .eval = compare_eval},                                                                  \
    .kernels = KERNELS, .content = CONTENT, .gives_bool = BOOL                                     \
  }

static const Compare ops[] = {
    COMPARISON("Equal", 19, equal, equal_element, TRUE, NULL, compare_infer),
    COMPARISON("Greater", 13, greater, greater_element, TRUE, NULL, compare_infer),
    COMPARISON("GreaterOrEqual", 16, greater_equal, greater_equal_element, TRUE, NULL,
               compare_infer),
    COMPARISON("Less", 13, less, less_element, TRUE, NULL, compare_infer),
    COMPARISON("LessOrEqual", 16, less_equal, less_equal_element, TRUE, NULL, compare_infer),
    COMPARISON("And", 7, logical_and, NULL, TRUE, NULL, compare_infer),
    COMPARISON("Or", 7, logical_or, NULL, TRUE, NULL, compare_infer),
    COMPARISON("Xor", 7, logical_xor, NULL, TRUE, NULL, compare_infer),
    COMPARISON("BitwiseAnd", 18, bitwise_and, NULL, FALSE, NULL, compare_infer),
    COMPARISON("BitwiseOr", 18, bitwise_or, NULL, FALSE, NULL, compare_infer),
    COMPARISON("BitwiseXor", 18, bitwise_xor, NULL, FALSE, NULL, compare_infer),
    COMPARISON("BitShift", 28, left, NULL, FALSE, shift_attrs, shift_infer),
};

extern const InferOp *const infer_ops_compare[];
const InferOp *const infer_ops_compare[] = {
    &ops[0].op, &ops[1].op, &ops[2].op, &ops[3].op,  &ops[4].op,  &ops[5].op, &ops[6].op,
    &ops[7].op, &ops[8].op, &ops[9].op, &ops[10].op, &ops[11].op, NULL};
