/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/parsers.h>

#include "proto-writer.h"

#include <math.h>
#include <string.h>

static InferNetwork *
parse(const char *text, GByteArray *model, const InferParseOptions *options, GError **error)
{
  g_autoptr(GBytes) prototxt = text ? g_bytes_new_static(text, strlen(text)) : NULL;
  g_autoptr(GBytes) caffemodel = model ? g_byte_array_free_to_bytes(model) : NULL;

  return infer_parse_caffe_bytes(prototxt, caffemodel, "net", options, error);
}

/* One input, one output, on the processor. */
static GBytes *
run(InferNetwork *network, const float *input, gsize n)
{
  GError *error = NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GBytes) bytes = g_bytes_new(input, n * sizeof(float));

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  g_autoptr(InferEngine) engine = infer_builder_build(builder, network, "net", NULL, &error);
  g_assert_no_error(error);
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  infer_context_set_batch(context, 1, &error);
  g_assert_no_error(error);
  infer_context_set_input_bytes(context, infer_network_get_input(network, 0)->name, bytes, &error);
  g_assert_no_error(error);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  GBytes *out =
      infer_context_get_output_bytes(context, infer_network_get_output(network, 0)->name, &error);
  g_assert_no_error(error);
  return out;
}

#define INPUT(dims)                                                                                \
  "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [" dims "] } } }\n"

static void
check_layer(const char *text, const float *in, gsize n_in, const float *want, gsize n)
{
  GError *error = NULL;
  g_autoptr(InferNetwork) network = parse(text, NULL, NULL, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_autoptr(GBytes) out = run(network, in, n_in);
  g_assert_cmpuint(g_bytes_get_size(out), ==, n * sizeof(float));
  const float *have = g_bytes_get_data(out, NULL);
  for (gsize i = 0; i < n; i++) {
    g_assert_cmpfloat_with_epsilon(have[i], want[i], 1e-4);
  }
}

static const float line[4] = {-2, -1, 0.5f, 3};

static void
test_pointwise(void)
{
  const float leaky[4] = {-0.2f, -0.1f, 0.5f, 3}, power[4] = {9, 4, 0.25f, 4};
  const float sum[4] = {-2, -1, 0.5f, 3}, exps[4] = {0.25f, 0.5f, sqrtf(2), 8};

  check_layer(INPUT("1,4") "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'x' relu_param { "
                           "negative_slope: 0.1 } }",
              line, 4, leaky, 4);
  check_layer(INPUT("1,4") "layer { name: 'y' type: 'Power' bottom: 'x' top: 'y' power_param { "
                           "power: 2 shift: -1 } }",
              line, 4, power, 4);
  check_layer(INPUT("1,4") "layer { name: 'y' type: 'Eltwise' bottom: 'x' bottom: 'x' top: 'y' "
                           "eltwise_param { coeff: 2 coeff: -1 } }",
              line, 4, sum, 4);
  check_layer(
      INPUT("1,4") "layer { name: 'y' type: 'Exp' bottom: 'x' top: 'y' exp_param { base: 2 } }",
      line, 4, exps, 4);
}

/* Rounding up: a window of 2 by 2 at the border has what is left; the mean counts the padding. */
static void
test_pooling(void)
{
  const float image[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const float max[4] = {5, 6, 8, 9}, mean[4] = {3, 4.5f, 7.5f, 9};
  const float padded[4] = {1 / 4.f, 5 / 4.f, 11 / 4.f, 28 / 4.f};

  check_layer(INPUT("1,1,3,3") "layer { name: 'y' type: 'Pooling' bottom: 'x' top: 'y' "
                               "pooling_param { kernel_size: 2 stride: 2 } }",
              image, 9, max, 4);
  check_layer(INPUT("1,1,3,3") "layer { name: 'y' type: 'Pooling' bottom: 'x' top: 'y' "
                               "pooling_param { pool: AVE kernel_size: 2 stride: 2 } }",
              image, 9, mean, 4);
  check_layer(INPUT("1,1,3,3") "layer { name: 'y' type: 'Pooling' bottom: 'x' top: 'y' "
                               "pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 } }",
              image, 9, padded, 4);
}

static void
test_shapes(void)
{
  const float six[6] = {1, 2, 3, 4, 5, 6}, permuted[6] = {1, 4, 2, 5, 3, 6}, three[3] = {4, 5, 6};

  check_layer(INPUT("1,2,3") "layer { name: 'y' type: 'Permute' bottom: 'x' top: 'y' permute_param "
                             "{ order: [0, 2, 1] } }",
              six, 6, permuted, 6);
  check_layer(INPUT("1,2,3") "layer { name: 'y' type: 'Slice' bottom: 'x' top: 'a' top: 'b' }"
                             "layer { name: 's' type: 'Eltwise' bottom: 'b' bottom: 'a' top: 'b' "
                             "eltwise_param { coeff: [1, 0] } }"
                             "layer { name: 'z' type: 'Reshape' bottom: 'b' top: 'z' reshape_param "
                             "{ shape { dim: 1 dim: -1 } } }",
              six, 6, three, 3);
}

static GByteArray *
blob(const float *values, const gint64 *dims, gsize n_dims)
{
  GByteArray *out = g_byte_array_new();
  gsize n = 1;

  for (gsize i = 0; i < n_dims; i++) {
    n *= (gsize)dims[i];
  }
  pw_bytes(out, 5, values, n * sizeof(float));
  pw_message(out, 7, pw_ints(dims, n_dims));
  return out;
}

static GByteArray *
product_model(gboolean old)
{
  GByteArray *net = g_byte_array_new(), *layer = g_byte_array_new();
  const float weights[8] = {1, 0, 0, 0, 0, 1, 1, 1}, bias[2] = {10, 20};

  pw_string(layer, old ? 4 : 1, "y");
  if (old) {
    pw_int(layer, 5, 14);
  } else {
    pw_string(layer, 2, "InnerProduct");
  }
  pw_message(layer, old ? 6 : 7, blob(weights, (gint64[]){2, 4}, 2));
  pw_message(layer, old ? 6 : 7, blob(bias, (gint64[]){2}, 1));
  pw_message(net, old ? 2 : 100, layer);
  return net;
}

static void
test_weights(void)
{
  static const char *const text = INPUT("1,4") "layer { name: 'y' type: 'InnerProduct' bottom: 'x' "
                                               "top: 'y' inner_product_param { num_output: 2 } }";

  for (guint old = 0; old < 2; old++) {
    GError *error = NULL;
    g_autoptr(InferNetwork) network = parse(text, product_model(old == 1), NULL, &error);
    g_assert_no_error(error);
    g_autoptr(GBytes) out = run(network, line, 4);
    const float *have = g_bytes_get_data(out, NULL);
    g_assert_cmpfloat_with_epsilon(have[0], 8, 1e-5);
    g_assert_cmpfloat_with_epsilon(have[1], 22.5, 1e-5);
  }
}

static void
check_error(const char *text, GByteArray *model, const char *message)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = parse(text, model, NULL, &error);

  g_assert_null(network);
  if (!strstr(error->message, message)) {
    g_test_message("'%s' is not in: %s", message, error->message);
    g_test_fail();
  }
}

static void
test_errors(void)
{
  check_error(INPUT("1,3,4,4") "layer { name: 'a' type: 'Magic' bottom: 'x' top: 'a' } layer { "
                               "name: 'b' type: 'Im2col' bottom: 'a' top: 'b' }",
              NULL, "2 layers cannot be used: 'a' (Magic)");
  check_error(INPUT("1,3") "layer { name: 'y' type: 'InnerProduct' bottom: 'x' top: 'y' "
                           "inner_product_param { num_output: 2 } }",
              product_model(FALSE), "blob 0 of the caffemodel is 2x4, not 2x3");
  check_error(INPUT("1,3") "layer { name: 'z' type: 'InnerProduct' bottom: 'x' top: 'z' "
                           "inner_product_param { num_output: 2 } }",
              product_model(FALSE), "do not belong together");
  check_error(INPUT("1,3") "layer { name: 'z' type: 'ReLU' bottom: 'w' top: 'z' }", NULL,
              "no layer before it has the top 'w'");
  check_error("layer { name: 'd' type: 'Data' top: 'x' } layer { name: 'z' type: 'ReLU' bottom: "
              "'x' top: 'z' }",
              NULL, "is in a data set");
}

/* A file of tests/data parses with random weights and runs on the processor. */
static void
test_file(gconstpointer name)
{
  GError *error = NULL;
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", name, NULL);
  g_autoptr(InferNetwork) network = infer_parse_file(path, NULL, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_assert_no_error(error);
  const InferTensor *input = infer_network_get_input(network, 0);
  gsize n =
      (gsize)(MAX(input->dims.d[0], 1) * input->dims.d[1] * input->dims.d[2] * input->dims.d[3]);
  g_autofree float *zeros = g_new0(float, n);
  g_autoptr(GBytes) out = run(network, zeros, n);
  const float *have = g_bytes_get_data(out, NULL);
  if (g_str_equal(name, "ssd.prototxt")) {
    InferModelInfo *info = infer_network_get_model_info(network);
    g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_DETECTIONS);
    g_assert_cmpstr(infer_model_info_get_detections(info)->boxes, ==, "detection_out/boxes");
    g_assert_cmpint(infer_model_info_get_detections(info)->n_classes, ==, 2);
    return;
  }
  float sum = 0;
  for (guint i = 0; i < 20; i++) {
    sum += have[i];
  }
  g_assert_cmpfloat_with_epsilon(sum, 1, 1e-3);
}

static void
test_mean(void)
{
  GError *error = NULL;
  GByteArray *file = g_byte_array_new();
  const float values[12] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5, 6};
  float means[3];

  pw_int(file, 1, 1);
  pw_int(file, 2, 3);
  pw_int(file, 3, 2);
  pw_int(file, 4, 2);
  pw_bytes(file, 5, values, sizeof values);
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(file);
  g_autoptr(InferArray) mean = infer_caffe_parse_mean(bytes, "mean", &error);
  g_assert_no_error(error);
  infer_caffe_channel_means(mean, means);
  g_assert_cmpfloat(means[0], ==, 1);
  g_assert_cmpfloat(means[1], ==, 2);
  g_assert_cmpfloat(means[2], ==, 4.5f);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/caffe/pointwise", test_pointwise);
  g_test_add_func("/caffe/pooling", test_pooling);
  g_test_add_func("/caffe/shapes", test_shapes);
  g_test_add_func("/caffe/weights", test_weights);
  g_test_add_func("/caffe/errors", test_errors);
  g_test_add_func("/caffe/mean", test_mean);
  g_test_add_data_func("/caffe/alexnet", "alexnet.prototxt", test_file);
  g_test_add_data_func("/caffe/googlenet", "googlenet.prototxt", test_file);
  g_test_add_data_func("/caffe/resnet", "resnet.prototxt", test_file);
  g_test_add_data_func("/caffe/squeezenet", "squeezenet.prototxt", test_file);
  g_test_add_data_func("/caffe/ssd", "ssd.prototxt", test_file);
  return g_test_run();
}
