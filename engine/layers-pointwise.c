/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

/* Layers whose output has an element for each element of the input. */

/* Operator and the attributes that alpha and beta become. */
static const struct {
  const char *op, *alpha, *beta;
} activations[] = {
    [INFER_ACTIVATION_RELU] = {"Relu", NULL, NULL},
    [INFER_ACTIVATION_SIGMOID] = {"Sigmoid", NULL, NULL},
    [INFER_ACTIVATION_TANH] = {"Tanh", NULL, NULL},
    [INFER_ACTIVATION_LEAKY_RELU] = {"LeakyRelu", "alpha", NULL},
    [INFER_ACTIVATION_ELU] = {"Elu", "alpha", NULL},
    [INFER_ACTIVATION_SELU] = {"Selu", "alpha", "gamma"},
    [INFER_ACTIVATION_SOFTSIGN] = {"Softsign", NULL, NULL},
    [INFER_ACTIVATION_SOFTPLUS] = {"Softplus", NULL, NULL},
    [INFER_ACTIVATION_CLIP] = {"Clip", NULL, NULL},
    [INFER_ACTIVATION_HARD_SIGMOID] = {"HardSigmoid", "alpha", "beta"},
    [INFER_ACTIVATION_SCALED_TANH] = {"Tanh", NULL, NULL},
    [INFER_ACTIVATION_THRESHOLDED_RELU] = {"ThresholdedRelu", "alpha", NULL},
    [INFER_ACTIVATION_GELU_ERF] = {"Gelu", NULL, NULL},
    [INFER_ACTIVATION_GELU_TANH] = {"Gelu", NULL, NULL},
    [INFER_ACTIVATION_CELU] = {"Celu", "alpha", NULL},
    [INFER_ACTIVATION_HARD_SWISH] = {"HardSwish", NULL, NULL},
    [INFER_ACTIVATION_SWISH] = {"Swish", "alpha", NULL},
    [INFER_ACTIVATION_MISH] = {"Mish", NULL, NULL},
};

static const char *const element_wise_ops[] = {
    [INFER_ELEMENT_WISE_SUM] = "Add",
    [INFER_ELEMENT_WISE_PROD] = "Mul",
    [INFER_ELEMENT_WISE_MAX] = "Max",
    [INFER_ELEMENT_WISE_MIN] = "Min",
    [INFER_ELEMENT_WISE_SUB] = "Sub",
    [INFER_ELEMENT_WISE_DIV] = "Div",
    [INFER_ELEMENT_WISE_POW] = "Pow",
    [INFER_ELEMENT_WISE_FLOOR_DIV] = "",
    [INFER_ELEMENT_WISE_AND] = "And",
    [INFER_ELEMENT_WISE_OR] = "Or",
    [INFER_ELEMENT_WISE_XOR] = "Xor",
    [INFER_ELEMENT_WISE_EQUAL] = "Equal",
    [INFER_ELEMENT_WISE_GREATER] = "Greater",
    [INFER_ELEMENT_WISE_LESS] = "Less",
    [INFER_ELEMENT_WISE_GREATER_OR_EQUAL] = "GreaterOrEqual",
    [INFER_ELEMENT_WISE_LESS_OR_EQUAL] = "LessOrEqual",
};

static const char *const unary_ops[] = {
    [INFER_UNARY_EXP] = "Exp",      [INFER_UNARY_LOG] = "Log",
    [INFER_UNARY_SQRT] = "Sqrt",    [INFER_UNARY_RECIP] = "Reciprocal",
    [INFER_UNARY_ABS] = "Abs",      [INFER_UNARY_NEG] = "Neg",
    [INFER_UNARY_SIN] = "Sin",      [INFER_UNARY_COS] = "Cos",
    [INFER_UNARY_TAN] = "Tan",      [INFER_UNARY_SINH] = "Sinh",
    [INFER_UNARY_COSH] = "Cosh",    [INFER_UNARY_ASIN] = "Asin",
    [INFER_UNARY_ACOS] = "Acos",    [INFER_UNARY_ATAN] = "Atan",
    [INFER_UNARY_ASINH] = "Asinh",  [INFER_UNARY_ACOSH] = "Acosh",
    [INFER_UNARY_ATANH] = "Atanh",  [INFER_UNARY_CEIL] = "Ceil",
    [INFER_UNARY_FLOOR] = "Floor",  [INFER_UNARY_ERF] = "Erf",
    [INFER_UNARY_NOT] = "Not",      [INFER_UNARY_SIGN] = "Sign",
    [INFER_UNARY_ROUND] = "Round",  [INFER_UNARY_IS_INF] = "IsInf",
    [INFER_UNARY_IS_NAN] = "IsNaN",
};

/* outer * f(inner * x). */
static InferTensor *
stretched(InferLayer *l, const char *op, InferTensor *input, double outer, double inner)
{
  InferLayer layer = *l;
  InferTensor *x = input;

  if (inner != 1)
    x = INFER_PART("Mul", NULL, x, infer_layer_number(&layer, input->type, inner));
  if (outer == 1)
    return INFER_LAST(op, NULL, x);
  x = INFER_PART(op, NULL, x);
  return INFER_LAST("Mul", NULL, x, infer_layer_number(&layer, input->type, outer));
}

InferTensor *
infer_network_add_activation(InferNetwork *network, InferTensor *input, InferActivation activation,
                             double alpha, double beta, const char *name, GError **error)
{
  INFER_LAYER("activation");
  const char *op;
  GVariantBuilder attrs;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "activation", (int)activation, G_N_ELEMENTS(activations)))
    return NULL;
  op = activations[activation].op;
  if (activation == INFER_ACTIVATION_SOFTPLUS || activation == INFER_ACTIVATION_SCALED_TANH)
    return stretched(&layer, op, input, alpha, beta);
  if (activation == INFER_ACTIVATION_CLIP)
    return INFER_LAST(op, NULL, input, infer_layer_number(&layer, input->type, alpha),
                      infer_layer_number(&layer, input->type, beta));
  g_variant_builder_init(&attrs, G_VARIANT_TYPE_VARDICT);
  if (activations[activation].alpha)
    g_variant_builder_add(&attrs, "{sv}", activations[activation].alpha,
                          g_variant_new_double(alpha));
  if (activations[activation].beta)
    g_variant_builder_add(&attrs, "{sv}", activations[activation].beta, g_variant_new_double(beta));
  if (activation == INFER_ACTIVATION_GELU_TANH)
    g_variant_builder_add(&attrs, "{sv}", "approximate", g_variant_new_string("tanh"));
  return INFER_LAST(op, g_variant_builder_end(&attrs), input);
}

/* Integers divide exactly once the remainder, which has the divisor's sign, is gone. */
static InferTensor *
floor_divide(InferLayer *l, InferTensor *a, InferTensor *b)
{
  InferLayer layer = *l;
  InferTensor *rest;

  if (infer_type_is_float(a->type))
    return INFER_LAST("Floor", NULL, INFER_PART("Div", NULL, a, b));
  rest = INFER_PART("Mod", NULL, a, b);
  return INFER_LAST("Div", NULL, INFER_PART("Sub", NULL, a, rest), b);
}

InferTensor *
infer_network_add_element_wise(InferNetwork *network, InferTensor *a, InferTensor *b,
                               InferElementWise operation, const char *name, GError **error)
{
  INFER_LAYER("element-wise");

  if (!infer_layer_needs(&layer, a, b, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation, G_N_ELEMENTS(element_wise_ops)))
    return NULL;
  if (operation == INFER_ELEMENT_WISE_FLOOR_DIV)
    return floor_divide(&layer, a, b);
  return INFER_LAST(element_wise_ops[operation], NULL, a, b);
}

InferTensor *
infer_network_add_unary(InferNetwork *network, InferTensor *input, InferUnary operation,
                        const char *name, GError **error)
{
  INFER_LAYER("unary");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation, G_N_ELEMENTS(unary_ops)))
    return NULL;
  return INFER_LAST(unary_ops[operation], NULL, input);
}

/* --- scale --- */

/* The dimensions that an array of a scale layer is broadcast from. */
static gboolean
scale_dims(InferLayer *layer, const InferTensor *input, InferScaleMode mode, gint64 axis,
           InferDims *dims)
{
  const InferDims *in = &input->dims;

  *dims = INFER_DIMS_SCALAR;
  if (mode == INFER_SCALE_MODE_UNIFORM)
    return TRUE;
  if (in->n < 1)
    return infer_layer_error(layer, INFER_ERROR_SHAPE, "the input has no dimensions to scale by");
  if (axis < 0)
    axis += in->n;
  if (mode == INFER_SCALE_MODE_CHANNEL && (axis < 0 || axis >= in->n))
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT,
                             "dimension %" G_GINT64_FORMAT " of %d cannot be the channels", axis,
                             in->n);
  if (mode == INFER_SCALE_MODE_CHANNEL) {
    dims->n = in->n - (gint)axis;
    for (gint i = 0; i < dims->n; i++)
      dims->d[i] = i ? 1 : in->d[axis];
  } else {
    dims->n = in->n - 1;
    for (gint i = 0; i < dims->n; i++)
      dims->d[i] = in->d[i + 1];
  }
  return infer_dims_is_constant(dims) ||
         infer_layer_error(layer, INFER_ERROR_SHAPE,
                           "the dimensions that are scaled have to be constant");
}

InferTensor *
infer_network_add_scale(InferNetwork *network, InferTensor *input, InferScaleMode mode,
                        InferArray *shift, InferArray *scale, InferArray *power,
                        gint64 channel_axis, const char *name, GError **error)
{
  INFER_LAYER("scale");
  struct {
    const char *what, *op;
    InferArray *array;
  } parts[] = {{"scale", "Mul", scale}, {"shift", "Add", shift}, {"power", "Pow", power}};
  guint left = 0;
  InferDims dims;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "mode", (int)mode, 3) ||
      !scale_dims(&layer, input, mode, channel_axis, &dims))
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
    left += parts[i].array != NULL;
  if (left == 0)
    return INFER_LAST("Identity", NULL, input);
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
    InferTensor *pair[2] = {input};

    if (!parts[i].array)
      continue;
    pair[1] = infer_layer_constant(&layer, parts[i].what, parts[i].array, &dims);
    input = (--left ? infer_layer_part : infer_layer_last)(&layer, parts[i].op, pair, 2, NULL);
  }
  return input;
}

InferTensor *
infer_network_add_parametric_relu(InferNetwork *network, InferTensor *input, InferTensor *slopes,
                                  const char *name, GError **error)
{
  INFER_LAYER("parametric relu");

  if (!infer_layer_needs(&layer, input, slopes, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("PRelu", NULL, input, slopes);
}

InferTensor *
infer_network_add_select(InferNetwork *network, InferTensor *condition, InferTensor *then_input,
                         InferTensor *else_input, const char *name, GError **error)
{
  INFER_LAYER("select");

  if (!infer_layer_needs(&layer, condition, then_input, else_input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("Where", NULL, condition, then_input, else_input);
}

InferTensor *
infer_network_add_identity(InferNetwork *network, InferTensor *input, const char *name,
                           GError **error)
{
  INFER_LAYER("identity");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("Identity", NULL, input);
}

InferTensor *
infer_network_add_cast(InferNetwork *network, InferTensor *input, InferType type, const char *name,
                       GError **error)
{
  INFER_LAYER("cast");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("Cast", INFER_ATTRS(INFER_INT("to", type)), input);
}

InferTensor *
infer_network_add_quantize(InferNetwork *network, InferTensor *input, InferTensor *scale,
                           InferTensor *zero_point, gint64 axis, InferType type, const char *name,
                           GError **error)
{
  INFER_LAYER("quantize");
  InferTensor *inputs[] = {input, scale, zero_point};

  if (!infer_layer_needs(&layer, input, scale, INFER_LAYER_END) ||
      !infer_layer_allows(&layer, zero_point))
    return NULL;
  if (zero_point && zero_point->type != type) {
    infer_layer_error(&layer, INFER_ERROR_SHAPE, "the zero point is %s, the output %s",
                      infer_type_name(zero_point->type), infer_type_name(type));
    return NULL;
  }
  return infer_layer_last(&layer, "QuantizeLinear", inputs, zero_point ? 3 : 2,
                          INFER_ATTRS(INFER_INT("axis", axis), INFER_INT("output_dtype", type)));
}

InferTensor *
infer_network_add_dequantize(InferNetwork *network, InferTensor *input, InferTensor *scale,
                             InferTensor *zero_point, gint64 axis, const char *name, GError **error)
{
  INFER_LAYER("dequantize");
  InferTensor *inputs[] = {input, scale, zero_point};

  if (!infer_layer_needs(&layer, input, scale, INFER_LAYER_END) ||
      !infer_layer_allows(&layer, zero_point))
    return NULL;
  return infer_layer_last(&layer, "DequantizeLinear", inputs, zero_point ? 3 : 2,
                          INFER_ATTRS(INFER_INT("axis", axis)));
}
