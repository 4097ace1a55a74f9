/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops-check.h"

/* Arithmetic operators: shapes, and results small enough to work out by hand. */

static void
test_conv(void)
{
  check("Conv", NULL, IN(counting(D(1, 1, 3, 3)), floats(D(1, 1, 2, 2), N(1, 2, 3, 4))),
        D(1, 1, 2, 2), N(37, 47, 67, 77));
  check("Conv", infer_attrs_new("pads", 'I', I(1, 1), "strides", 'I', I(2), NULL),
        IN(counting(D(1, 1, 4)), floats(D(1, 1, 3), N(1, 1, 1)), floats(D(1), N(10))), D(1, 1, 2),
        N(13, 19));
  check("Conv", infer_attrs_new("group", INT(2), NULL),
        IN(counting(D(1, 2, 2)), floats(D(2, 1, 1), N(10, 100))), D(1, 2, 2), N(10, 20, 300, 400));
  check("Conv", infer_attrs_new("dilations", 'I', I(2), NULL),
        IN(counting(D(1, 1, 4)), floats(D(1, 1, 2), N(1, 10))), D(1, 1, 2), N(31, 42));
  check("Conv", infer_attrs_new("auto_pad", 's', "SAME_UPPER", NULL),
        IN(counting(D(1, 1, 3)), floats(D(1, 1, 2), N(1, 10))), D(1, 1, 3), N(21, 32, 3));
  check("Conv", infer_attrs_new("auto_pad", 's', "SAME_LOWER", NULL),
        IN(counting(D(1, 1, 3)), floats(D(1, 1, 2), N(1, 10))), D(1, 1, 3), N(10, 21, 32));
  check("Conv", infer_attrs_new("auto_pad", 's', "VALID", "kernel_shape", 'I', I(2, 1, 1), NULL),
        IN(counting(D(1, 1, 2, 1, 2)), floats(D(1, 1, 2, 1, 1), N(1, 10))), D(1, 1, 1, 1, 2),
        N(31, 42));
}

static void
test_conv_shapes(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  gint64 h = infer_network_add_symbol(network, "height", 1, 8, 64);
  InferDims x = D(1, 4, 8, 8), w = D(6, 4, 3, 3);

  expect_shape(network, "Conv", infer_attrs_new("pads", 'I', I(1, 1, 1, 1), NULL),
               SHAPES(D(n, 4, h, 8), w), D(n, 6, h, 8));
  expect_shape(network, "Conv", infer_attrs_new("strides", 'I', I(2, 2), NULL),
               SHAPES(D(n, 4, h, 9), w), D(n, 6, INFER_DIM_UNKNOWN, 4));
  refuse_shape("Conv", NULL, SHAPES(D(1, 3, 8, 8), w));
  refuse_shape("Conv", NULL, SHAPES(D(1, 4, 2, 8), w));
  refuse_shape("Conv", NULL, SHAPES(x, w, D(5)));
  refuse_shape("Conv", NULL, SHAPES(x, D(6, 4, 3)));
  refuse_shape("Conv", NULL, SHAPES(x, D(6, 4, 0, 3)));
  refuse_shape("Conv", NULL, SHAPES(D(1, 4), D(6, 4)));
  refuse_shape("Conv", infer_attrs_new("group", INT(0), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("group", INT(G_MAXINT64), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("group", INT(4), NULL), SHAPES(x, D(6, 1, 3, 3)));
  refuse_shape("Conv", infer_attrs_new("strides", 'I', I(0, 1), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("strides", 'I', I(1), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("dilations", 'I', I(-1, 1), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("pads", 'I', I(-1, 0, 0, 0), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("pads", 'I', I(G_MAXINT64, 0, G_MAXINT64, 0), NULL),
               SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("pads", 'I', I(1 << 30, 1 << 30, 0, 0), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("kernel_shape", 'I', I(5, 5), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("auto_pad", 's', "SOMETIMES", NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("strides", INT(2), NULL), SHAPES(x, w));
  refuse_shape("Conv", infer_attrs_new("unheard_of", INT(2), NULL), SHAPES(x, w));
  refuse("Conv", NULL, IN(array(INT64, D(1, 1, 1), N(1)), array(INT64, D(1, 1, 1), N(1))));
}

static void
test_pool(void)
{
  check2("MaxPool", infer_attrs_new("kernel_shape", 'I', I(2, 2), NULL),
         IN(counting(D(1, 2, 2, 3))), D(1, 2, 1, 2), N(5, 6, 11, 12), N(4, 5, 10, 11));
  check2("MaxPool", infer_attrs_new("kernel_shape", 'I', I(2, 2), "storage_order", INT(1), NULL),
         IN(counting(D(1, 1, 2, 3))), D(1, 1, 1, 2), N(5, 6), N(3, 5));
  check("MaxPool",
        infer_attrs_new("kernel_shape", 'I', I(2), "strides", 'I', I(2), "ceil_mode", INT(1), NULL),
        IN(counting(D(1, 1, 5))), D(1, 1, 3), N(2, 4, 5));
  check("MaxPool", infer_attrs_new("kernel_shape", 'I', I(2), "dilations", 'I', I(3), NULL),
        IN(floats(D(1, 1, 4), N(NAN, 1, -1, 0))), D(1, 1, 1), N(NAN));
  check("AveragePool", infer_attrs_new("kernel_shape", 'I', I(3), "pads", 'I', I(1, 1), NULL),
        IN(counting(D(1, 1, 3))), D(1, 1, 3), N(1.5, 2, 2.5));
  check("AveragePool",
        infer_attrs_new("kernel_shape", 'I', I(3), "pads", 'I', I(1, 1), "count_include_pad",
                        INT(1), NULL),
        IN(counting(D(1, 1, 3))), D(1, 1, 3), N(1, 2, 5 / 3.0));
  check("AveragePool",
        infer_attrs_new("kernel_shape", 'I', I(2), "strides", 'I', I(2), "ceil_mode", INT(1),
                        "count_include_pad", INT(1), NULL),
        IN(counting(D(1, 1, 3))), D(1, 1, 2), N(1.5, 3));
  check("LpPool", infer_attrs_new("kernel_shape", 'I', I(2), NULL),
        IN(floats(D(1, 1, 3), N(3, -4, 0))), D(1, 1, 2), N(5, 4));
  check("LpPool", infer_attrs_new("kernel_shape", 'I', I(2), "p", INT(1), NULL),
        IN(floats(D(1, 1, 3), N(3, -4, 0))), D(1, 1, 2), N(7, 4));
  check("GlobalAveragePool", NULL, IN(counting(D(1, 2, 2, 2))), D(1, 2, 1, 1), N(2.5, 6.5));
  check("GlobalMaxPool", NULL, IN(counting(D(1, 2, 4))), D(1, 2, 1), N(4, 8));
  check("GlobalLpPool", NULL, IN(floats(D(1, 1, 2), N(3, 4))), D(1, 1, 1), N(5));
  refuse("MaxPool", NULL, IN(counting(D(1, 1, 4))));
  refuse("MaxPool", infer_attrs_new("kernel_shape", 'I', I(0), NULL), IN(counting(D(1, 1, 4))));
  refuse("MaxPool", infer_attrs_new("kernel_shape", 'I', I(5), NULL), IN(counting(D(1, 1, 4))));
  refuse("MaxPool", infer_attrs_new("kernel_shape", 'I', I(1), "storage_order", INT(2), NULL),
         IN(counting(D(1, 1, 4))));
  refuse("LpPool", infer_attrs_new("kernel_shape", 'I', I(1), "p", INT(0), NULL),
         IN(counting(D(1, 1, 4))));
  refuse("AveragePool", infer_attrs_new("kernel_shape", 'I', I(1), NULL),
         IN(array(INFER_TYPE_UINT8, D(1, 1, 1), N(1))));
}

static void
test_gemm(void)
{
  check("Gemm", infer_attrs_new("alpha", 'f', 2.0, "beta", 'f', 3.0, NULL),
        IN(counting(D(2, 2)), floats(D(2, 2), N(1, 0, 0, 1)), floats(D(2), N(1, 2))), D(2, 2),
        N(5, 10, 9, 14));
  check("Gemm", infer_attrs_new("transA", INT(1), "transB", INT(1), NULL),
        IN(counting(D(2, 1)), floats(D(3, 2), N(1, 0, 0, 1, 1, 1))), D(1, 3), N(1, 2, 3));
  check("Gemm", NULL, IN(counting(D(2, 1)), counting(D(1, 2)), floats(D(2, 1), N(10, 20))), D(2, 2),
        N(11, 12, 22, 24));
  refuse("Gemm", NULL, IN(counting(D(2, 2)), counting(D(3, 2))));
  refuse("Gemm", NULL, IN(counting(D(2, 2)), counting(D(2, 2)), counting(D(3))));
  refuse("Gemm", NULL, IN(counting(D(2, 2, 2)), counting(D(2, 2))));
  check("MatMul", NULL, IN(counting(D(2, 2)), counting(D(2, 2))), D(2, 2), N(7, 10, 15, 22));
  check("MatMul", NULL, IN(counting(D(2)), counting(D(2, 3))), D(3), N(9, 12, 15));
  check("MatMul", NULL, IN(counting(D(2)), counting(D(2))), SCALAR, N(5));
  check("MatMul", NULL, IN(counting(D(2, 1, 2)), counting(D(2, 1))), D(2, 1, 1), N(5, 11));
  check("MatMul", NULL, IN(counting(D(2, 1, 1, 2)), counting(D(1, 2, 2, 1))), D(2, 2, 1, 1),
        N(5, 11, 11, 25));
  check("MatMul", NULL,
        IN(array(INFER_TYPE_INT32, D(1, 1), N(65536)), array(INFER_TYPE_INT32, D(1, 1), N(65536))),
        D(1, 1), N(0));
  refuse("MatMul", NULL, IN(counting(D(2, 3)), counting(D(2, 3))));
  refuse("MatMul", NULL, IN(counting(SCALAR), counting(D(2))));
  refuse("MatMul", NULL, IN(counting(D(2, 1, 2)), counting(D(3, 2, 1))));
  refuse_shape("MatMul", NULL, SHAPES(D((gint64)1 << 36, 1), D(1, (gint64)1 << 36)));
}

static void
test_batchnorm(void)
{
  check("BatchNormalization", infer_attrs_new("epsilon", 'f', 0.0, NULL),
        IN(counting(D(1, 2, 2)), floats(D(2), N(1, 2)), floats(D(2), N(0, 10)),
           floats(D(2), N(1, 3)), floats(D(2), N(4, 1))),
        D(1, 2, 2), N(0, 0.5, 10, 12));
  refuse("BatchNormalization", infer_attrs_new("training_mode", INT(1), NULL),
         IN(counting(D(1, 1, 1)), counting(D(1)), counting(D(1)), counting(D(1)), counting(D(1))));
  refuse("BatchNormalization", NULL,
         IN(counting(D(1, 2, 1)), counting(D(2)), counting(D(2)), counting(D(3)), counting(D(2))));
}

static void
check_unary(const char *op, double x, double want)
{
  check(op, NULL, IN(floats(D(1), &x)), D(1), &want);
  check(op, NULL, IN(array(INFER_TYPE_DOUBLE, D(1), &x)), D(1), &want);
}

static void
test_unary(void)
{
  static const struct {
    const char *op;
    double x, want;
  } cases[] = {
      {"Abs", -2, 2},
      {"Neg", 3, -3},
      {"Exp", 1, M_E},
      {"Log", M_E, 1},
      {"Sqrt", 9, 3},
      {"Reciprocal", 4, 0.25},
      {"Floor", -1.5, -2},
      {"Ceil", -1.5, -1},
      {"Round", 2.5, 2},
      {"Round", -1.5, -2},
      {"Sign", -7, -1},
      {"Sin", M_PI_2, 1},
      {"Cos", M_PI, -1},
      {"Tan", M_PI_4, 1},
      {"Asin", 1, M_PI_2},
      {"Acos", 0, M_PI_2},
      {"Atan", 1, M_PI_4},
      {"Sinh", 1, 1.1752012},
      {"Cosh", 1, 1.5430806},
      {"Tanh", 1, 0.7615942},
      {"Asinh", 1, 0.8813736},
      {"Acosh", 1, 0},
      {"Atanh", 0.5, 0.5493061},
      {"Erf", 1, 0.8427008},
      {"Relu", -1, 0},
      {"LeakyRelu", -1, -0.01},
      {"Elu", -1, -0.6321206},
      {"Selu", 1, 1.0507010},
      {"Selu", -1, -1.1113307},
      {"Celu", -1, -0.6321206},
      {"Sigmoid", 0, 0.5},
      {"HardSigmoid", 1, 0.7},
      {"HardSwish", 1, 2 / 3.0},
      {"HardSwish", -4, 0},
      {"Softplus", 0, M_LN2},
      {"Softplus", 200, 200},
      {"Softsign", -1, -0.5},
      {"ThresholdedRelu", 1, 0},
      {"ThresholdedRelu", 1.5, 1.5},
      {"Gelu", 1, 0.8413447},
      {"Mish", 1, 0.8650984},
      {"Swish", 1, 0.7310586},
      {"Shrink", 1, 1},
      {"Shrink", 0.25, 0},
      {"Relu", NAN, NAN},
      {"Sigmoid", -200, 0},
      {"Sigmoid", NAN, NAN},
      {"Softplus", NAN, NAN},
  };

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
    check_unary(cases[i].op, cases[i].x, cases[i].want);
  check("Gelu", infer_attrs_new("approximate", 's', "tanh", NULL), IN(counting(D(1))), D(1),
        N(0.8411920));
  check("LeakyRelu", infer_attrs_new("alpha", 'f', 0.5, NULL), IN(floats(D(1), N(-4))), D(1),
        N(-2));
  check("IsNaN", NULL, IN(floats(D(2), N(NAN, 1))), D(2), N(1, 0));
  check("IsInf", NULL, IN(floats(D(3), N(INFINITY, -INFINITY, NAN))), D(3), N(1, 1, 0));
  check("IsInf", infer_attrs_new("detect_negative", INT(0), NULL),
        IN(floats(D(2), N(INFINITY, -INFINITY))), D(2), N(1, 0));
  check("Not", NULL, IN(array(INFER_TYPE_BOOL, D(2), N(1, 0))), D(2), N(0, 1));
  check("Abs", NULL, IN(array(INFER_TYPE_INT8, D(2), N(-128, -5))), D(2), N(-128, 5));
  check("BitwiseNot", NULL, IN(array(INFER_TYPE_UINT8, D(1), N(1))), D(1), N(254));
  refuse("Exp", NULL, IN(array(INT64, D(1), N(1))));
  refuse("Gelu", infer_attrs_new("approximate", 's', "roughly", NULL), IN(counting(D(1))));
  refuse("Celu", infer_attrs_new("alpha", 'f', 0.0, NULL), IN(counting(D(1))));
  check("Clip", NULL, IN(counting(D(4)), floats(SCALAR, N(2)), floats(SCALAR, N(3))), D(4),
        N(2, 2, 3, 3));
  check("Clip", NULL, IN(counting(D(2)), NULL, floats(SCALAR, N(1))), D(2), N(1, 1));
  check("Clip", NULL, IN(counting(D(1)), floats(SCALAR, N(5)), floats(SCALAR, N(3))), D(1), N(3));
  refuse("Clip", NULL, IN(counting(D(2)), counting(D(2))));
  refuse("Clip", NULL, IN(counting(D(2)), array(INT64, SCALAR, N(1))));
}

static void
test_binary(void)
{
  InferDims row = D(1, 2), column = D(2, 1), square = D(2, 2);

  check("Add", NULL, IN(counting(column), counting(row)), square, N(2, 3, 3, 4));
  check("Sub", NULL, IN(counting(row), counting(column)), square, N(0, 1, -1, 0));
  check("Mul", NULL, IN(counting(square), counting(SCALAR)), square, N(1, 2, 3, 4));
  check("Div", NULL, IN(counting(square), counting(D(2))), square, N(1, 1, 3, 2));
  check("Div", NULL,
        IN(array(INFER_TYPE_INT32, D(4), N(-7, 7, G_MININT32, 5)),
           array(INFER_TYPE_INT32, D(4), N(2, 0, -1, 2))),
        D(4), N(-3, 0, G_MININT32, 2));
  check("Add", NULL, IN(array(INFER_TYPE_INT8, D(1), N(127)), array(INFER_TYPE_INT8, D(1), N(1))),
        D(1), N(-128));
  check("Pow", NULL, IN(counting(D(3)), array(INT64, SCALAR, N(2))), D(3), N(1, 4, 9));
  check("Pow", NULL, IN(array(INT64, D(3), N(2, -1, 3)), array(INT64, D(3), N(-1, -3, 3))), D(3),
        N(0, -1, 27));
  check("Mod", NULL, IN(array(INT64, D(4), N(-7, 7, 7, 3)), array(INT64, D(4), N(3, -3, 3, 0))),
        D(4), N(2, -2, 1, 0));
  check("Mod", infer_attrs_new("fmod", INT(1), NULL),
        IN(floats(D(2), N(-7.5, 7.5)), floats(D(2), N(2, -2))), D(2), N(-1.5, 1.5));
  check("BitShift", infer_attrs_new("direction", 's', "LEFT", NULL),
        IN(array(INFER_TYPE_UINT8, D(3), N(1, 255, 1)), array(INFER_TYPE_UINT8, D(3), N(2, 1, 9))),
        D(3), N(4, 254, 0));
  check("Equal", NULL, IN(counting(D(2)), floats(D(1), N(2))), D(2), N(0, 1));
  check("Greater", NULL, IN(counting(D(2)), floats(D(1), N(1))), D(2), N(0, 1));
  check("GreaterOrEqual", NULL, IN(counting(D(2)), floats(D(1), N(2))), D(2), N(0, 1));
  check("Less", NULL, IN(counting(D(2)), floats(D(1), N(2))), D(2), N(1, 0));
  check("LessOrEqual", NULL, IN(counting(D(2)), floats(D(1), N(1))), D(2), N(1, 0));
  check("And", NULL,
        IN(array(INFER_TYPE_BOOL, D(2), N(1, 1)), array(INFER_TYPE_BOOL, D(2), N(1, 0))), D(2),
        N(1, 0));
  check("Xor", NULL,
        IN(array(INFER_TYPE_BOOL, D(2), N(1, 1)), array(INFER_TYPE_BOOL, D(2), N(1, 0))), D(2),
        N(0, 1));
  check("Max", NULL, IN(counting(D(2)), floats(D(1), N(1.5)), floats(column, N(0, 9))), square,
        N(1.5, 2, 9, 9));
  check("Min", NULL, IN(counting(D(2)), floats(D(1), N(NAN))), D(2), N(NAN, NAN));
  check("Sum", NULL, IN(counting(D(2))), D(2), N(1, 2));
  check("Mean", NULL, IN(counting(row), counting(column), floats(SCALAR, N(3))), square,
        N(5 / 3.0, 2, 2, 7 / 3.0));
  check("PRelu", NULL, IN(floats(D(2, 1), N(-1, -2)), floats(D(2, 1), N(0.5, 2))), D(2, 1),
        N(-0.5, -4));
  check("Where", NULL,
        IN(array(INFER_TYPE_BOOL, column, N(1, 0)), counting(row), floats(SCALAR, N(9))), square,
        N(1, 2, 9, 9));
  refuse("Add", NULL, IN(counting(D(2)), counting(D(3))));
  refuse("Add", NULL, IN(counting(D(2)), array(INT64, D(2), N(1, 2))));
  refuse("And", NULL, IN(counting(D(2)), counting(D(2))));
  refuse("PRelu", NULL, IN(counting(D(2)), counting(D(2, 2))));
  refuse("BitShift", infer_attrs_new("direction", 's', "UP", NULL),
         IN(array(INFER_TYPE_UINT8, D(1), N(1)), array(INFER_TYPE_UINT8, D(1), N(1))));
  refuse("Where", NULL, IN(counting(D(1)), counting(D(1)), counting(D(1))));
  refuse_shape("Add", NULL, SHAPES(D((gint64)1 << 36, 1), D(1, (gint64)1 << 36)));
}

static void
test_softmax(void)
{
  double third = 1 / 3.0, big = 0.7310586;

  check("Softmax", NULL, IN(floats(D(1, 3), N(500, 500, 500))), D(1, 3), N(third, third, third));
  check("Softmax", infer_attrs_new("axis", INT(0), NULL), IN(floats(D(2, 2), N(1, 0, 0, 1))),
        D(2, 2), N(big, 1 - big, 1 - big, big));
  check("LogSoftmax", NULL, IN(floats(D(2), N(1, 0))), D(2), N(-0.3132617, -1.3132617));
  check("Hardmax", NULL, IN(floats(D(3), N(1, 3, 3))), D(3), N(0, 1, 0));
  refuse("Softmax", infer_attrs_new("axis", INT(2), NULL), IN(counting(D(2, 2))));
  refuse("Softmax", NULL, IN(array(INT64, D(1), N(1))));
}

static void
test_reduce(void)
{
  InferDims x = D(2, 3);

  check("ReduceSum", NULL, IN(counting(x)), D(1, 1), N(21));
  check("ReduceSum", infer_attrs_new("keepdims", INT(0), NULL),
        IN(counting(x), array(INT64, D(1), N(-1))), D(2), N(6, 15));
  check("ReduceMean", NULL, IN(counting(x), array(INT64, D(1), N(0))), D(1, 3), N(2.5, 3.5, 4.5));
  check("ReduceMax", infer_attrs_new("keepdims", INT(0), NULL), IN(counting(x)), SCALAR, N(6));
  check("ReduceMin", NULL, IN(array(INFER_TYPE_INT8, D(2), N(-3, 4))), D(1), N(-3));
  check("ReduceProd", NULL, IN(array(INT64, D(3), N(2, 3, 4))), D(1), N(24));
  check("ReduceL1", NULL, IN(floats(D(2), N(-1, 2))), D(1), N(3));
  check("ReduceL2", NULL, IN(floats(D(2), N(3, -4))), D(1), N(5));
  check("ReduceLogSum", NULL, IN(floats(D(2), N(1, 1))), D(1), N(M_LN2));
  check("ReduceLogSumExp", NULL, IN(floats(D(2), N(1000, 1000))), D(1), N(1000 + M_LN2));
  check("ReduceSumSquare", NULL, IN(counting(x)), D(1, 1), N(91));
  check("ReduceSumSquare", infer_attrs_new("noop_with_empty_axes", INT(1), NULL),
        IN(counting(D(2))), D(2), N(1, 4));
  check("ReduceSum", NULL, IN(floats(D(2, 0), NULL), array(INT64, D(1), N(1))), D(2, 1), N(0, 0));
  check("ArgMax", NULL, IN(floats(D(3, 1), N(1, 5, 5))), D(1, 1), N(1));
  check("ArgMax", infer_attrs_new("select_last_index", INT(1), "keepdims", INT(0), NULL),
        IN(floats(D(3, 1), N(1, 5, 5))), D(1), N(2));
  check("ArgMin", infer_attrs_new("axis", INT(-1), NULL), IN(counting(x)), D(2, 1), N(0, 0));
  refuse("ReduceSum", NULL, IN(counting(x), array(INT64, D(1), N(2))));
  refuse("ReduceSum", NULL, IN(counting(x), array(INT64, D(2), N(1, -1))));
  refuse("ReduceSum", NULL, IN(counting(x), floats(D(1), N(1))));
  refuse("ArgMax", infer_attrs_new("axis", INT(5), NULL), IN(counting(x)));
  refuse("ArgMax", NULL, IN(floats(D(0, 2), NULL)));
}

/* One row resized by the attributes given. */
static void
check_resize(GVariant *attrs, double scale, InferDims dims, const double *want)
{
  check("Resize", attrs, IN(counting(D(1, 4)), NULL, floats(D(2), N(1, scale))), dims, want);
}

static void
test_resize(void)
{
  InferArray *in[4] = {counting(D(1, 4)), NULL, NULL, array(INT64, D(2), N(1, 2))};

  check("Resize", infer_attrs_new("mode", 's', "linear", NULL), in, 4, D(1, 2), N(1.5, 3.5));
  check_resize(NULL, 2, D(1, 8), N(1, 1, 2, 2, 3, 3, 4, 4));
  check_resize(infer_attrs_new("mode", 's', "linear", NULL), 2, D(1, 8),
               N(1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4));
  check_resize(infer_attrs_new("mode", 's', "linear", "coordinate_transformation_mode", 's',
                               "align_corners", NULL),
               1.75, D(1, 7), N(1, 1.5, 2, 2.5, 3, 3.5, 4));
  check_resize(infer_attrs_new("mode", 's', "linear", "coordinate_transformation_mode", 's',
                               "asymmetric", NULL),
               2, D(1, 8), N(1, 1.5, 2, 2.5, 3, 3.5, 4, 4));
  check_resize(infer_attrs_new("mode", 's', "linear", "antialias", INT(1), NULL), 0.5, D(1, 2),
               N(1.625, 3.375));
  check_resize(infer_attrs_new("mode", 's', "cubic", "coordinate_transformation_mode", 's',
                               "asymmetric", NULL),
               0.5, D(1, 2), N(1, 3));
  check_resize(infer_attrs_new("nearest_mode", 's', "ceil", "coordinate_transformation_mode", 's',
                               "asymmetric", NULL),
               2, D(1, 8), N(1, 2, 2, 3, 3, 4, 4, 4));
  check("Resize",
        infer_attrs_new("mode", 's', "linear", "coordinate_transformation_mode", 's',
                        "tf_crop_and_resize", "axes", 'I', I(1), "extrapolation_value", 'f', 9.0,
                        NULL),
        IN(counting(D(1, 4)), floats(D(2), N(0, 2)), NULL, array(INT64, D(1), N(3))), D(1, 3),
        N(1, 4, 9));
  check("Resize", infer_attrs_new("keep_aspect_ratio_policy", 's', "not_larger", NULL),
        IN(counting(D(2, 4)), NULL, NULL, array(INT64, D(2), N(2, 2))), D(1, 2), N(1, 3));
  refuse("Resize", NULL, IN(counting(D(4))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, floats(D(1), N(2)), array(INT64, D(1), N(8))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, floats(D(1), N(0))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, floats(D(1), N(NAN))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, floats(D(1), N(1e30))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, NULL, array(INT64, D(1), N(-1))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, NULL, array(INT64, D(1), N(1e17))));
  refuse("Resize", NULL, IN(floats(D(0), NULL), NULL, NULL, array(INT64, D(1), N(3))));
  refuse("Resize", NULL, IN(counting(D(4)), NULL, floats(D(2), N(2, 2))));
  refuse("Resize", infer_attrs_new("mode", 's', "psychic", NULL),
         IN(counting(D(4)), NULL, floats(D(1), N(2))));
  refuse("Resize", infer_attrs_new("axes", 'I', I(0, 0), NULL),
         IN(counting(D(4)), NULL, floats(D(2), N(2, 2))));
  refuse("Resize",
         infer_attrs_new("coordinate_transformation_mode", 's', "tf_crop_and_resize", NULL),
         IN(counting(D(4)), NULL, floats(D(1), N(2))));
}

/* The first output of a node that has to be accepted. */
static InferTensor *
put(InferNetwork *network, const char *op, InferTensor *const *in, guint n_in)
{
  g_autoptr(GError) error = NULL;
  InferNode *node = infer_network_add_node(network, op, NULL, in, n_in, NULL, 1, &error);

  g_assert_no_error(error);
  return node->outputs[0];
}

static void
expect_content(InferTensor *tensor, InferDims want)
{
  g_assert_true(tensor->has_content);
  g_assert_true(infer_dims_equal(&tensor->content, &want));
}

/* Arithmetic on the shape of a tensor keeps its symbol. */
static void
test_content(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferDims dims = D(n, 4);
  g_autoptr(InferArray) factors = array(INT64, D(2), N(1, 2)), ones = array(INT64, D(2), N(1, 1)),
                        minus = array(INT64, D(1), N(-1)), other = array(INT64, D(2), N(7, 9));
  InferTensor *x = infer_network_add_input(network, "x", FLOAT, &dims, NULL, NULL);
  InferTensor *shape = put(network, "Shape", &x, 1);
  InferTensor *by[] = {shape, infer_network_add_constant(network, NULL, factors)};
  InferTensor *ones_in = infer_network_add_constant(network, NULL, ones);
  InferTensor *is[] = {shape, infer_network_add_constant(network, NULL, minus)};
  InferTensor *none[] = {shape, shape}, *where[3];

  expect_content(put(network, "Mul", by, 2), D(n, 8));
  expect_content(put(network, "Div", by, 2), D(n, 2));
  expect_content(put(network, "Add", by, 2), D(INFER_DIM_UNKNOWN, 6));
  expect_content(put(network, "Sub", none, 2), D(0, 0));
  expect_content(put(network, "Max", none, 2), D(n, 4));
  expect_content(put(network, "ReduceProd", &by[1], 1), D(2));
  expect_content(put(network, "ReduceProd", &shape, 1), D(INFER_DIM_UNKNOWN));
  where[0] = put(network, "Equal", is, 2);
  expect_content(where[0], D(0, 0));
  where[1] = ones_in;
  where[2] = shape;
  expect_content(put(network, "Where", where, 3), D(n, 4));
  where[0] = put(network, "Equal", (InferTensor *[]){by[1], ones_in}, 2);
  where[1] = infer_network_add_constant(network, NULL, other);
  expect_content(put(network, "Where", where, 3), D(7, 4));
}

static void
test_symbols(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  gint64 m = infer_network_add_symbol(network, "other", 1, 1, 8);

  expect_shape(network, "Add", NULL, SHAPES(D(n, 3), D(1, 1)), D(n, 3));
  expect_shape(network, "Add", NULL, SHAPES(D(n, 3), D(n, 1)), D(n, 3));
  expect_shape(network, "Mul", NULL, SHAPES(D(n), D(m)), D(INFER_DIM_UNKNOWN));
  expect_shape(network, "MatMul", NULL, SHAPES(D(n, 3, 4), D(4, 5)), D(n, 3, 5));
  expect_shape(network, "Gemm", NULL, SHAPES(D(n, 4), D(4, 5), D(5)), D(n, 5));
  expect_shape(network, "Softmax", NULL, SHAPES(D(n, 4)), D(n, 4));
  expect_shape(network, "GlobalAveragePool", NULL, SHAPES(D(n, 4, m, 7)), D(n, 4, 1, 1));
  expect_shape(network, "ReduceSum", infer_attrs_new("keepdims", INT(0), NULL), SHAPES(D(n, 4)),
               SCALAR);
  expect_shape(network, "ArgMax", infer_attrs_new("axis", INT(1), NULL), SHAPES(D(n, 4)), D(n, 1));
  expect_shape(network, "MaxPool", infer_attrs_new("kernel_shape", 'I', I(1), NULL),
               SHAPES(D(1, 1, n)), D(1, 1, n));
}

/* An output whose shape depends on data is made by eval. */
static void
test_late_axes(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) axis = array(INT64, D(1), N(0)), x = counting(D(2, 3));
  const InferArray *in[] = {x, axis};
  InferTensor *tensors[2];
  InferArray *out = NULL;
  InferNode *node;

  tensors[0] = infer_network_add_input(network, "x", FLOAT, &x->dims, NULL, &error);
  tensors[1] = infer_network_add_input(network, "axes", INT64, &axis->dims, NULL, &error);
  node = infer_network_add_node(network, "ReduceSum", NULL, tensors, 2,
                                infer_attrs_new("keepdims", INT(0), NULL), 1, &error);
  g_assert_no_error(error);
  g_assert_cmpint(node->outputs[0]->dims.n, ==, 1);
  g_assert_true(node->outputs[0]->dims.d[0] == INFER_DIM_UNKNOWN);
  infer_op_eval_alloc(node, in, 2, &out, 1, &error);
  g_assert_no_error(error);
  compare("ReduceSum", out, D(3), N(5, 7, 9));
  infer_array_unref(out);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ops/conv", test_conv);
  g_test_add_func("/ops/conv/shapes", test_conv_shapes);
  g_test_add_func("/ops/pool", test_pool);
  g_test_add_func("/ops/gemm", test_gemm);
  g_test_add_func("/ops/batchnorm", test_batchnorm);
  g_test_add_func("/ops/unary", test_unary);
  g_test_add_func("/ops/binary", test_binary);
  g_test_add_func("/ops/softmax", test_softmax);
  g_test_add_func("/ops/reduce", test_reduce);
  g_test_add_func("/ops/resize", test_resize);
  g_test_add_func("/ops/symbols", test_symbols);
  g_test_add_func("/ops/content", test_content);
  g_test_add_func("/ops/late-axes", test_late_axes);
  return g_test_run();
}
