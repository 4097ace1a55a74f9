/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Caffe's layers that are not of images alone, against what they say they do. */
#include "caffe-check.h"

#include <math.h>

static float
clamp(float x, float low, float high)
{
  return CLAMP(x, low, high);
}

static float
pointwise(guint i, float x)
{
  switch (i) {
  case 0:
    return x > 0 ? x : 0.1f * x;
  case 1:
    return x > 0 ? x : 0.5f * (expf(x) - 1);
  case 2:
    return 1 / (1 + expf(-x));
  case 3:
    return tanhf(x);
  case 4:
    return fabsf(x);
  case 5:
    return powf(0.5f * x + 4, 3);
  case 6:
    return powf(3, 2 * x + 1);
  case 7:
    return logf(0.5f * x + 4) / logf(2);
  case 8:
    return logf(1 + expf(x));
  case 9:
    return x > 0.25f;
  case 10:
    return clamp(x, -0.5f, 0.75f);
  case 11:
    return x / (1 + expf(-2 * x));
  case 12:
    return x * tanhf(logf(1 + expf(x)));
  case 13:
    return x * clamp(x + 3, 0, 6) / 6;
  case 14:
    return clamp(x + 3, 0, 6) / 6;
  case 15:
    return clamp(x, 0, 6);
  case 16:
    return x / (1 + expf(-x));
  default:
    return x;
  }
}

static void
test_pointwise(void)
{
  static const char *const layers[] = {
      "ReLU' relu_param { negative_slope: 0.1 }",
      "ELU' elu_param { alpha: 0.5 }",
      "Sigmoid'",
      "TanH'",
      "AbsVal'",
      "Power' power_param { power: 3 scale: 0.5 shift: 4 }",
      "Exp' exp_param { base: 3 scale: 2 shift: 1 }",
      "Log' log_param { base: 2 scale: 0.5 shift: 4 }",
      "BNLL'",
      "Threshold' threshold_param { threshold: 0.25 }",
      "Clip' clip_param { min: -0.5 max: 0.75 }",
      "Swish' swish_param { beta: 2 }",
      "Mish'",
      "HardSwish'",
      "HSigmoid'",
      "ReLU6'",
      "SiLU'",
      "Dropout' dropout_param { dropout_ratio: 0.9 }",
  };
  float x[24], want[24];

  cc_fill(x, 24, 1);
  x[0] = 6.5f;
  x[1] = -6.5f;
  for (guint i = 0; i < G_N_ELEMENTS(layers); i++) {
    g_autofree char *text = g_strdup_printf(
        CC_INPUT("x", "1,4,2,3") "layer { name: 'y' bottom: 'x' top: 'x' type: '%s }", layers[i]);
    for (guint k = 0; k < 24; k++) {
      want[k] = pointwise(i, x[k]);
    }
    cc_check1(text, NULL, x, 24, want, 24);
  }
}

static void
test_prelu(void)
{
  const float slopes[3] = {0.5f, -1, 2};
  float x[12], want[12];

  cc_fill(x, 12, 3);
  for (guint shared = 0; shared < 2; shared++) {
    GByteArray *net = g_byte_array_new();
    for (guint i = 0; i < 12; i++) {
      want[i] = x[i] > 0 ? x[i] : slopes[shared ? 0 : i / 4] * x[i];
    }
    cc_layer(net, "y", (const float *[]){slopes}, (gsize[]){shared ? 1 : 3}, 1);
    cc_check1(shared ? CC_INPUT("x", "1,3,4")
                           CC_LAYER("PReLU", "prelu_param { channel_shared: true }")
                     : CC_INPUT("x", "1,3,4") CC_LAYER("PReLU", ""),
              net, x, 12, want, 12);
  }
}

/* y = W x + b over the dimensions from an axis on. */
static void
test_inner_product(void)
{
  static const struct {
    const char *text;
    gint rows, count;
    gboolean transposed;
  } cases[] = {
      {"axis: 0", 1, 12, FALSE},
      {"", 1, 12, FALSE},
      {"axis: -1", 3, 4, FALSE},
      {"axis: 2 transpose: true", 3, 4, TRUE},
  };
  float x[12], weights[24], bias[2] = {1, -2}, want[6];

  cc_fill(x, 12, 3);
  cc_fill(weights, 24, 4);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    gint rows = cases[i].rows, count = cases[i].count;
    GByteArray *net = g_byte_array_new();
    const char *dims = i == 0 ? "3,4" : "1,3,4";
    g_autofree char *text = g_strdup_printf(
        "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [%s] } } "
        "}\n" CC_LAYER("InnerProduct", "inner_product_param { num_output: 2 %s }"),
        dims, cases[i].text);
    for (gint k = 0; k < 2 * rows; k++) {
      double sum = (double)bias[k % 2];
      for (gint c = 0; c < count; c++) {
        gint at = cases[i].transposed ? c * 2 + k % 2 : k % 2 * count + c;
        sum += (double)x[k / 2 * count + c] * (double)weights[at];
      }
      want[k] = (float)sum;
    }
    cc_layer(net, "y", (const float *[]){weights, bias}, (gsize[]){(gsize)count * 2, 2}, 2);
    cc_check1(text, net, x, 12, want, (gsize)rows * 2);
  }
}

static void
test_embed(void)
{
  const float table[6] = {1, 2, 3, 4, 5, 6}, bias[2] = {10, 20}, x[3] = {2, 0, 2};
  const float want[6] = {15, 26, 11, 22, 15, 26};
  GByteArray *net = g_byte_array_new();

  cc_layer(net, "y", (const float *[]){table, bias}, (gsize[]){6, 2}, 2);
  cc_check1(CC_INPUT("x", "1,3") CC_LAYER("Embed", "embed_param { num_output: 2 input_dim: 3 }"),
            net, x, 3, want, 6);
}

/* Weights along axes: "axis: 1 num_axes: 2" of 1x3x2x2 are 3x2. */
static void
test_scale(void)
{
  float x[12], scale[6], bias[6], want[12];
  GByteArray *net = g_byte_array_new();

  cc_fill(x, 12, 3);
  cc_fill(scale, 6, 4);
  cc_fill(bias, 6, 5);
  for (guint i = 0; i < 12; i++) {
    want[i] = x[i] * scale[i / 2] + bias[i / 2];
  }
  cc_layer(net, "y", (const float *[]){scale, bias}, (gsize[]){6, 6}, 2);
  cc_check1(CC_INPUT("x", "1,3,2,2")
                CC_LAYER("Scale", "scale_param { num_axes: 2 bias_term: true }"),
            net, x, 12, want, 12);
  net = g_byte_array_new();
  for (guint i = 0; i < 12; i++) {
    want[i] = x[i] + bias[i / 2 % 2 * 2 + i % 2];
  }
  cc_layer(net, "y", (const float *[]){bias}, (gsize[]){4}, 1);
  cc_check1(CC_INPUT("x", "1,3,2,2") CC_LAYER("Bias", "bias_param { axis: 2 num_axes: -1 }"), net,
            x, 12, want, 12);
  for (guint i = 0; i < 12; i++) {
    want[i] = x[i] * scale[i / 4];
  }
  cc_check(CC_INPUT("x", "1,3,2,2") CC_INPUT("s", "1,3") "layer { name: 'y' type: 'Scale' bottom: "
                                                         "'x' bottom: 's' top: 'y' scale_param { "
                                                         "axis: 0 } }",
           NULL, (CcInput[]){{"x", x, 12}, {"s", scale, 3}}, 2, want, 12);
}

static void
test_eltwise(void)
{
  static const char *const params[] = {"operation: PROD", "operation: SUM coeff: [1, -2, 0.5]",
                                       "operation: MAX"};
  float x[3][4], want[4];

  for (guint i = 0; i < 3; i++) {
    cc_fill(x[i], 4, i + 1);
  }
  const CcInput in[3] = {{"a", x[0], 4}, {"b", x[1], 4}, {"c", x[2], 4}};
  for (guint i = 0; i < 3; i++) {
    g_autofree char *text = g_strdup_printf(CC_INPUT("a", "1,4") CC_INPUT("b", "1,4")
                                                CC_INPUT("c", "1,4") "layer { name: 'y' type: "
                                                                     "'Eltwise' bottom: 'a' "
                                                                     "bottom: 'b' bottom: 'c' "
                                                                     "top: 'y' eltwise_param { "
                                                                     "%s } }",
                                            params[i]);
    for (guint k = 0; k < 4; k++) {
      want[k] = i == 0   ? x[0][k] * x[1][k] * x[2][k]
                : i == 1 ? x[0][k] - 2 * x[1][k] + 0.5f * x[2][k]
                         : MAX(MAX(x[0][k], x[1][k]), x[2][k]);
    }
    cc_check(text, NULL, in, 3, want, 4);
  }
}

static void
test_axpy(void)
{
  float a[3], x[12], y[12], want[12];

  cc_fill(a, 3, 1);
  cc_fill(x, 12, 2);
  cc_fill(y, 12, 3);
  for (guint i = 0; i < 12; i++) {
    want[i] = a[i / 4] * x[i] + y[i];
  }
  cc_check(CC_INPUT("a", "1,3,1,1") CC_INPUT("x", "1,3,2,2")
               CC_INPUT("y", "1,3,2,2") "layer { name: 'z' type: 'Axpy' bottom: 'a' bottom: 'x' "
                                        "bottom: 'y' top: 'z' }",
           NULL, (CcInput[]){{"a", a, 3}, {"x", x, 12}, {"y", y, 12}}, 3, want, 12);
}

static void
test_softmax(void)
{
  float x[6], want[6], logs[6];

  cc_fill(x, 6, 3);
  for (guint i = 0; i < 6; i++) {
    double sum = exp((double)x[i % 3]) + exp((double)x[i % 3 + 3]);
    want[i] = (float)(exp((double)x[i]) / sum);
    logs[i] = logf(want[i]);
  }
  cc_check1(CC_INPUT("x", "1,2,3") CC_LAYER("Softmax", ""), NULL, x, 6, want, 6);
  cc_check1(CC_INPUT("x", "1,2,3") CC_LAYER("LogSoftmax", "softmax_param { axis: 1 }"), NULL, x, 6,
            logs, 6);
}

static void
test_arg_max(void)
{
  const float x[6] = {3, 9, 4, 1, 7, 8};
  const float best[2] = {1, 5}, both[4] = {1, 5, 9, 8}, rows[2] = {1, 2}, values[3] = {3, 9, 8};
  g_autoptr(InferNetwork) network =
      cc_parse(CC_INPUT("x", "1,1,2,3") CC_LAYER("ArgMax", ""), NULL, NULL, NULL);

  g_assert_cmpint(infer_network_get_output(network, 0)->dims.n, ==, 4);
  cc_check1(CC_INPUT("x", "1,1,2,3") CC_LAYER("ArgMax", "argmax_param { top_k: 2 }"), NULL, x, 6,
            best, 2);
  cc_check1(CC_INPUT("x", "1,2,3")
                CC_LAYER("ArgMax", "argmax_param { top_k: 2 out_max_val: true }"),
            NULL, x, 6, both, 4);
  cc_check1(CC_INPUT("x", "1,2,3") CC_LAYER("ArgMax", "argmax_param { axis: -1 }"), NULL, x, 6,
            rows, 2);
  cc_check1(CC_INPUT("x", "1,2,3") CC_LAYER("ArgMax", "argmax_param { axis: 1 out_max_val: true }"),
            NULL, x, 6, values, 3);
}

static void
test_reduction(void)
{
  static const char *const params[] = {"operation: SUM axis: 1", "operation: ASUM axis: 1 coeff: 2",
                                       "operation: SUMSQ axis: -1", "operation: MEAN axis: 1"};
  const float x[4] = {1, -2, 3, -5}, want[4][2] = {{-3}, {22}, {5, 34}, {-0.75f}};

  for (guint i = 0; i < 4; i++) {
    g_autofree char *text = g_strdup_printf(
        CC_INPUT("x", "1,2,2") CC_LAYER("Reduction", "reduction_param { %s }"), params[i]);
    cc_check1(text, NULL, x, 4, want[i], i == 2 ? 2 : 1);
  }
}

static void
test_moves(void)
{
  float x[24];
  const float sliced[6] = {1, 2, 3, 13, 14, 15}, cropped[4] = {9, 10, 21, 22};
  const float tiled[8] = {1, 2, 1, 2, 3, 4, 3, 4}, permuted[6] = {1, 4, 2, 5, 3, 6};
  const float shuffled[4] = {1, 3, 2, 4}, joined[4] = {1, 2, 1, 2};

  for (guint i = 0; i < 24; i++) {
    x[i] = (float)(i + 1);
  }
  cc_check1(CC_INPUT("x", "1,2,12") "layer { name: 'y' type: 'Slice' bottom: 'x' top: 'a' top: 'b' "
                                    "top: 'c' slice_param { axis: 2 slice_point: [3, 7] } }",
            NULL, x, 24, sliced, 6);
  cc_check(CC_INPUT("x", "1,2,3,4")
               CC_INPUT("s", "1,2,1,2") "layer { name: 'y' type: 'Crop' bottom: 'x' bottom: 's' "
                                        "top: 'y' crop_param { axis: 2 offset: [2, 0] } }",
           NULL, (CcInput[]){{"x", x, 24}, {"s", x, 4}}, 2, cropped, 4);
  cc_check1(CC_INPUT("x", "1,2,2") CC_LAYER("Tile", "tile_param { axis: 2 tiles: 2 }"), NULL, x, 4,
            tiled, 8);
  cc_check1(CC_INPUT("x", "1,2,3") CC_LAYER("Permute", "permute_param { order: 0 order: 2 }"), NULL,
            x, 6, permuted, 6);
  cc_check1(CC_INPUT("x", "1,4,1,1")
                CC_LAYER("ShuffleChannel", "shuffle_channel_param { group: 2 }"),
            NULL, x, 4, shuffled, 4);
  cc_check1(
      CC_INPUT("x", "1,2") "layer { name: 's' type: 'Split' bottom: 'x' top: 'a' top: 'b' }"
                           "layer { name: 'y' type: 'Concat' bottom: 'a' bottom: 'b' top: 'y' "
                           "concat_param { axis: -1 } }",
      NULL, x, 2, joined, 4);
}

static void
check_dims(const char *layer, const InferDims *dims)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = g_strconcat(CC_INPUT("x", "1,2,3,4"), layer, NULL);
  g_autoptr(InferNetwork) network = cc_parse(text, NULL, NULL, &error);

  g_assert_no_error(error);
  const InferDims *have = &infer_network_get_output(network, 0)->dims;
  g_assert_cmpint(have->n, ==, dims->n);
  for (gint i = 0; i < dims->n; i++) {
    g_assert_cmpint(MAX(have->d[i], 1), ==, dims->d[i]);
  }
}

static void
test_shapes(void)
{
  check_dims(CC_LAYER("Flatten", ""), &INFER_DIMS(1, 24));
  check_dims(CC_LAYER("Flatten", "flatten_param { axis: 1 end_axis: -2 }"), &INFER_DIMS(1, 6, 4));
  check_dims(CC_LAYER("Reshape", "reshape_param { shape { dim: [0, -1, 6] } }"),
             &INFER_DIMS(1, 4, 6));
  check_dims(CC_LAYER("Reshape", "reshape_param { shape { dim: [12] } axis: 2 }"),
             &INFER_DIMS(1, 2, 12));
  check_dims(CC_LAYER("Reshape", "reshape_param { shape { dim: [1, 6] } axis: 1 num_axes: 2 }"),
             &INFER_DIMS(1, 1, 6, 4));
  check_dims(CC_LAYER("Reshape", "reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }"),
             &INFER_DIMS(1, 2, 3, 4, 1));
}

static void
test_parameter(void)
{
  const float weights[3] = {5, 6, 7}, x[3] = {1, 2, 3}, want[3] = {5, 12, 21};
  GByteArray *net = g_byte_array_new();

  cc_layer(net, "p", (const float *[]){weights}, (gsize[]){3}, 1);
  cc_check1(CC_INPUT("x", "1,3") "layer { name: 'p' type: 'Parameter' top: 'p' parameter_param { "
                                 "shape { dim: [1, 3] } } }"
                                 "layer { name: 'y' type: 'Eltwise' bottom: 'x' bottom: 'p' top: "
                                 "'y' eltwise_param { operation: PROD } }",
            net, x, 3, want, 3);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/caffe-layers/pointwise", test_pointwise);
  g_test_add_func("/caffe-layers/prelu", test_prelu);
  g_test_add_func("/caffe-layers/inner-product", test_inner_product);
  g_test_add_func("/caffe-layers/embed", test_embed);
  g_test_add_func("/caffe-layers/scale", test_scale);
  g_test_add_func("/caffe-layers/eltwise", test_eltwise);
  g_test_add_func("/caffe-layers/axpy", test_axpy);
  g_test_add_func("/caffe-layers/softmax", test_softmax);
  g_test_add_func("/caffe-layers/arg-max", test_arg_max);
  g_test_add_func("/caffe-layers/reduction", test_reduction);
  g_test_add_func("/caffe-layers/moves", test_moves);
  g_test_add_func("/caffe-layers/shapes", test_shapes);
  g_test_add_func("/caffe-layers/parameter", test_parameter);
  return g_test_run();
}
