/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include <math.h>
#include <string.h>
#include <tgmath.h>

/* One loop: p are the numbers that the operator's attributes give. */
typedef void (*UnaryKernel)(gconstpointer in, gpointer out, gint64 n, const double *p);

/* EXPR computes from x, and from a and b, the first two attributes; <tgmath.h> picks the function
 * of the element's precision. */
#define LOOP(NAME, T, R, EXPR)                                                                     \
  static void NAME(gconstpointer in, gpointer out, gint64 n, const double *p)                      \
  {                                                                                                \
    typedef T E G_GNUC_UNUSED;                                                                     \
    const T *from = in;                                                                            \
    R *to = out;                                                                                   \
    const T a G_GNUC_UNUSED = (T)p[0], b G_GNUC_UNUSED = (T)p[1];                                  \
    for (gint64 i = 0; i < n; i++) {                                                               \
      const T x = from[i];                                                                         \
      to[i] = (R)(EXPR);                                                                           \
    }                                                                                              \
  }

#define FLOATS(NAME, EXPR)                                                                         \
  LOOP(NAME##_float, float, float, EXPR)                                                           \
  LOOP(NAME##_double, double, double, EXPR)
#define SIGNED(NAME, EXPR)                                                                         \
  LOOP(NAME##_i8, gint8, gint8, EXPR)                                                              \
  LOOP(NAME##_i16, gint16, gint16, EXPR)                                                           \
  LOOP(NAME##_i32, gint32, gint32, EXPR)                                                           \
  LOOP(NAME##_i64, gint64, gint64, EXPR)
#define UNSIGNED(NAME, EXPR)                                                                       \
  LOOP(NAME##_u8, guint8, guint8, EXPR)                                                            \
  LOOP(NAME##_u16, guint16, guint16, EXPR)                                                         \
  LOOP(NAME##_u32, guint32, guint32, EXPR)                                                         \
  LOOP(NAME##_u64, guint64, guint64, EXPR)

#define FLOAT_KERNELS(NAME) [INFER_TYPE_FLOAT] = NAME##_float, [INFER_TYPE_DOUBLE] = NAME##_double
#define SIGNED_KERNELS(NAME)                                                                       \
  [INFER_TYPE_INT8] = NAME##_i8, [INFER_TYPE_INT16] = NAME##_i16, [INFER_TYPE_INT32] = NAME##_i32, \
  [INFER_TYPE_INT64] = NAME##_i64
#define UNSIGNED_KERNELS(NAME)                                                                     \
  [INFER_TYPE_UINT8] = NAME##_u8, [INFER_TYPE_UINT16] = NAME##_u16,                                \
  [INFER_TYPE_UINT32] = NAME##_u32, [INFER_TYPE_UINT64] = NAME##_u64

#define FLOAT_TABLE(NAME, EXPR)                                                                    \
  FLOATS(NAME, EXPR)                                                                               \
  static const UnaryKernel NAME[INFER_N_TYPES] = {FLOAT_KERNELS(NAME)};
#define SIGNED_TABLE(NAME, FLOAT_EXPR, SIGNED_EXPR)                                                \
  FLOATS(NAME, FLOAT_EXPR)                                                                         \
  SIGNED(NAME, SIGNED_EXPR)                                                                        \
  static const UnaryKernel NAME[INFER_N_TYPES] = {FLOAT_KERNELS(NAME), SIGNED_KERNELS(NAME)};
#define NUMBER_TABLE(NAME, FLOAT_EXPR, SIGNED_EXPR, UNSIGNED_EXPR)                                 \
  FLOATS(NAME, FLOAT_EXPR)                                                                         \
  SIGNED(NAME, SIGNED_EXPR)                                                                        \
  UNSIGNED(NAME, UNSIGNED_EXPR)                                                                    \
  static const UnaryKernel NAME[INFER_N_TYPES] = {FLOAT_KERNELS(NAME), SIGNED_KERNELS(NAME),       \
                                                  UNSIGNED_KERNELS(NAME)};

/* Comparisons are turned so that not-a-number passes through. */
#define ONE ((E)1)
#define SIGMOID(X) (ONE / (ONE + exp(-(X))))
/* log(1 + exp(x)) without overflow. */
#define SOFTPLUS(X) (fmax(X, (E)0) + log1p(exp(-fabs(X))))
#define SIGN (x > 0 ? 1 : x < 0 ? -1 : 0)
#define RAMP(X) ((X) < 0 ? (E)0 : (X) > 1 ? ONE : (X))

NUMBER_TABLE(abs_value, fabs(x), x < 0 ? 0 - (guint64)x : (guint64)x, x)
SIGNED_TABLE(negate, -x, 0 - (guint64)x)
NUMBER_TABLE(sign, x != x ? x : (E)SIGN, SIGN, x > 0)
SIGNED_TABLE(relu, x < 0 ? (E)0 : x, x < 0 ? 0 : x)
SIGNED(invert, ~x)
UNSIGNED(invert, ~x)
static const UnaryKernel invert[INFER_N_TYPES] = {SIGNED_KERNELS(invert), UNSIGNED_KERNELS(invert)};

FLOAT_TABLE(exponential, exp(x))
FLOAT_TABLE(logarithm, log(x))
FLOAT_TABLE(square_root, sqrt(x))
FLOAT_TABLE(reciprocal, ONE / x)
FLOAT_TABLE(round_down, floor(x))
FLOAT_TABLE(round_up, ceil(x))
FLOAT_TABLE(round_even, rint(x))
FLOAT_TABLE(sine, sin(x))
FLOAT_TABLE(cosine, cos(x))
FLOAT_TABLE(tangent, tan(x))
FLOAT_TABLE(arc_sine, asin(x))
FLOAT_TABLE(arc_cosine, acos(x))
FLOAT_TABLE(arc_tangent, atan(x))
FLOAT_TABLE(sine_h, sinh(x))
FLOAT_TABLE(cosine_h, cosh(x))
FLOAT_TABLE(tangent_h, tanh(x))
FLOAT_TABLE(arc_sine_h, asinh(x))
FLOAT_TABLE(arc_cosine_h, acosh(x))
FLOAT_TABLE(arc_tangent_h, atanh(x))
FLOAT_TABLE(error_function, erf(x))
FLOAT_TABLE(leaky_relu, x < 0 ? a * x : x)
FLOAT_TABLE(elu, x < 0 ? a * expm1(x) : x)
FLOAT_TABLE(selu, b *(x < 0 ? a * expm1(x) : x))
FLOAT_TABLE(celu, x < 0 ? a * expm1(x / a) : x)
FLOAT_TABLE(sigmoid, SIGMOID(x))
FLOAT_TABLE(hard_sigmoid, RAMP(a *x + b))
FLOAT_TABLE(hard_swish, x *RAMP(x / 6 + (E)0.5))
FLOAT_TABLE(softplus, x != x ? x : SOFTPLUS(x))
FLOAT_TABLE(softsign, x / (ONE + fabs(x)))
FLOAT_TABLE(thresholded_relu, x <= a ? (E)0 : x)
FLOAT_TABLE(swish, x *SIGMOID(a *x))
FLOAT_TABLE(mish, x != x ? x : x * tanh(SOFTPLUS(x)))
FLOAT_TABLE(gelu_exact, x *(E)0.5 * (ONE + erf(x * (E)M_SQRT1_2)))
FLOAT_TABLE(gelu_tanh,
            x *(E)0.5 * (ONE + tanh((E)(M_2_SQRTPI * M_SQRT1_2) * (x + (E)0.044715 * x * x * x))))
FLOAT_TABLE(shrink, x<-b ? x + a : x> b ? x - a : x != x ? x : (E)0)

LOOP(not_bool, guint8, guint8, !x)
LOOP(is_nan_float, float, guint8, x != x)
LOOP(is_nan_double, double, guint8, x != x)
LOOP(is_inf_float, float, guint8, isinf(x) && (x < 0 ? a : b) != 0)
LOOP(is_inf_double, double, guint8, isinf(x) && (x < 0 ? a : b) != 0)
static const UnaryKernel logical_not[INFER_N_TYPES] = {[INFER_TYPE_BOOL] = not_bool};
static const UnaryKernel is_nan[INFER_N_TYPES] = {FLOAT_KERNELS(is_nan)};
static const UnaryKernel is_inf[INFER_N_TYPES] = {FLOAT_KERNELS(is_inf)};

/* @fallback: of the attributes, in their order; integers and numbers become doubles. */
typedef struct {
  InferOp op;
  const UnaryKernel *kernels;
  double fallback[2];
  gboolean gives_bool;
} Unary;

static UnaryKernel
kernel_of(const InferNode *node, InferType type)
{
  const UnaryKernel *kernels = ((const Unary *)node->op)->kernels;

  if (kernels == gelu_exact &&
      strcmp(infer_node_get_string(node, "approximate", "none"), "tanh") == 0)
    kernels = gelu_tanh;
  return (guint)type < INFER_N_TYPES ? kernels[type] : NULL;
}

static gboolean
check_attrs(const InferNode *node, GError **error)
{
  const char *approximate = infer_node_get_string(node, "approximate", "none");

  if (strcmp(approximate, "none") != 0 && strcmp(approximate, "tanh") != 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "approximate is '%.32s', it can be none or tanh", approximate);
  if (((const Unary *)node->op)->kernels == celu && infer_node_get_float(node, "alpha", 1) == 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "alpha is 0");
  return TRUE;
}

static gboolean
unary_infer(InferShapeArgs *args, GError **error)
{
  const Unary *unary = (const Unary *)args->node->op;
  InferType type = args->in[0].type;

  if (!check_attrs(args->node, error))
    return FALSE;
  if (!kernel_of(args->node, infer_op_eval_type(args, 0)))
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "input 0 is of type %s, which is not supported", infer_type_name(type));
  args->out[0].type = unary->gives_bool ? INFER_TYPE_BOOL : type;
  args->out[0].dims = args->in[0].dims;
  return TRUE;
}

static gboolean
unary_eval(const InferEvalArgs *args, GError **error)
{
  const Unary *unary = (const Unary *)args->node->op;
  const InferArray *x = args->in[0];
  double p[2] = {unary->fallback[0], unary->fallback[1]};

  for (guint i = 0; i < 2 && unary->op.attrs && unary->op.attrs[i].name; i++) {
    const InferAttrSpec *spec = &unary->op.attrs[i];

    if (spec->kind == 'f')
      p[i] = infer_node_get_float(args->node, spec->name, p[i]);
    else if (spec->kind == 'i')
      p[i] = infer_node_get_int(args->node, spec->name, p[i] != 0) != 0;
  }
  kernel_of(args->node, x->type)(x->data, args->out[0]->data, infer_array_count(x), p);
  return TRUE;
}

static const InferAttrSpec alpha[] = {{"alpha", 'f', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec alpha_beta[] = {
    {"alpha", 'f', FALSE}, {"beta", 'f', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec alpha_gamma[] = {
    {"alpha", 'f', FALSE}, {"gamma", 'f', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec bias_lambd[] = {
    {"bias", 'f', FALSE}, {"lambd", 'f', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec approximate_attr[] = {{"approximate", 's', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec detect[] = {
    {"detect_negative", 'i', FALSE}, {"detect_positive", 'i', FALSE}, {NULL, 0, FALSE}};

#define UNARY(NAME, VERSION, KERNELS, ATTRS, P0, P1, BOOL)                                         \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = VERSION,                                                                     \
           .min_inputs = 1,                                                                        \
           .max_inputs = 1,                                                                        \
           .min_outputs = 1,                                                                       \
           .max_outputs = 1,                                                                       \
           .attrs = ATTRS,                                                                         \
           .flags = INFER_OP_POINTWISE,                                                            \
           .infer = unary_infer,                                                                   \
           .eval = unary_eval},                                                                    \
    .kernels = KERNELS, .fallback = {P0, P1}, .gives_bool = BOOL                                   \
  }
#define PLAIN(NAME, VERSION, KERNELS) UNARY(NAME, VERSION, KERNELS, NULL, 0, 0, FALSE)

static const Unary ops[] = {
    PLAIN("Abs", 13, abs_value),
    PLAIN("Neg", 13, negate),
    PLAIN("Sign", 13, sign),
    PLAIN("Relu", 14, relu),
    PLAIN("BitwiseNot", 18, invert),
    PLAIN("Exp", 13, exponential),
    PLAIN("Log", 13, logarithm),
    PLAIN("Sqrt", 13, square_root),
    PLAIN("Reciprocal", 13, reciprocal),
    PLAIN("Floor", 13, round_down),
    PLAIN("Ceil", 13, round_up),
    PLAIN("Round", 11, round_even),
    PLAIN("Sin", 7, sine),
    PLAIN("Cos", 7, cosine),
    PLAIN("Tan", 7, tangent),
    PLAIN("Asin", 7, arc_sine),
    PLAIN("Acos", 7, arc_cosine),
    PLAIN("Atan", 7, arc_tangent),
    PLAIN("Sinh", 9, sine_h),
    PLAIN("Cosh", 9, cosine_h),
    PLAIN("Tanh", 13, tangent_h),
    PLAIN("Asinh", 9, arc_sine_h),
    PLAIN("Acosh", 9, arc_cosine_h),
    PLAIN("Atanh", 9, arc_tangent_h),
    PLAIN("Erf", 13, error_function),
    UNARY("LeakyRelu", 16, leaky_relu, alpha, 0.01, 0, FALSE),
    UNARY("Elu", 6, elu, alpha, 1, 0, FALSE),
    UNARY("Selu", 6, selu, alpha_gamma, 1.67326319217681884765625, 1.05070102214813232421875,
          FALSE),
    UNARY("Celu", 12, celu, alpha, 1, 0, FALSE),
    PLAIN("Sigmoid", 13, sigmoid),
    UNARY("HardSigmoid", 6, hard_sigmoid, alpha_beta, 0.2, 0.5, FALSE),
    PLAIN("HardSwish", 14, hard_swish),
    PLAIN("Softplus", 1, softplus),
    PLAIN("Softsign", 1, softsign),
    UNARY("ThresholdedRelu", 10, thresholded_relu, alpha, 1, 0, FALSE),
    UNARY("Gelu", 20, gelu_exact, approximate_attr, 0, 0, FALSE),
    PLAIN("Mish", 18, mish),
    UNARY("Swish", 24, swish, alpha, 1, 0, FALSE),
    UNARY("Shrink", 9, shrink, bias_lambd, 0, 0.5, FALSE),
    UNARY("Not", 1, logical_not, NULL, 0, 0, TRUE),
    UNARY("IsNaN", 20, is_nan, NULL, 0, 0, TRUE),
    UNARY("IsInf", 20, is_inf, detect, 1, 1, TRUE),
};

#define OP4(I) &ops[I].op, &ops[I + 1].op, &ops[I + 2].op, &ops[I + 3].op

extern const InferOp *const infer_ops_unary[];
const InferOp *const infer_ops_unary[] = {OP4(0),      OP4(4),      OP4(8),  OP4(12), OP4(16),
                                          OP4(20),     OP4(24),     OP4(28), OP4(32), OP4(36),
                                          &ops[40].op, &ops[41].op, NULL};
G_STATIC_ASSERT(G_N_ELEMENTS(ops) == 42);
