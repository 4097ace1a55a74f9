/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graphdef-writer.h"

#include <math.h>

static const float pixels[32] = {0.5f, -1, 2,  0.25f, 3,    -2,   1, 0,  0.75f, 1.5f, -0.5f,
                                 2.5f, 1,  -3, 0.5f,  0.5f, -1,   2, 1,  0.25f, 4,    -1,
                                 0.5f, 1,  2,  -0.5f, 1,    0.5f, 3, -1, 0,     1.25f};

static void
check_floats(const InferArray *array, const float *want, gsize n)
{
  g_assert_cmpint(array->type, ==, INFER_TYPE_FLOAT);
  g_assert_cmpint(infer_array_count(array), ==, (gint64)n);
  for (gsize i = 0; i < n; i++) {
    g_assert_cmpfloat_with_epsilon(((float *)array->data)[i], want[i], 1e-5);
  }
}

/* The output of a graph with one input of 1x4x4x2 pixels. */
static InferArray *
run_graph(GByteArray *graph, const InferDims *dims)
{
  GError *error = NULL;
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 1);
  InferArray *array = gw_run(network, 0, pixels);
  g_assert_true(infer_dims_equal(&array->dims, dims));
  return array;
}

static GByteArray *
image_graph(void)
{
  GByteArray *graph = g_byte_array_new();
  gw_placeholder(graph, "image", GW_FLOAT, (gint64[]){-1, 4, 4, 2}, 4);
  return graph;
}

static void
add_convolution(GByteArray *graph, const float *weights, gint64 stride)
{
  gw_floats(graph, "weights", weights, (gint64[]){3, 3, 2, 3}, 4);
  GByteArray *node = gw_node("conv", "Conv2D", "image", "weights", NULL);
  gw_ints(node, "strides", (gint64[]){1, stride, stride, 1}, 4);
  gw_string(node, "padding", "SAME");
  gw_string(node, "data_format", "NHWC");
  gw_add(graph, node);
}

/* A convolution with SAME padding in NHWC, in the plainest way: at stride 2 on 4 pixels, the
 * one row of padding is at the end. */
static void
convolve(const float *weights, gint stride, float *out)
{
  gint size = 4 / stride, before = stride == 1 ? 1 : 0;

  for (gint y = 0; y < size; y++) {
    for (gint x = 0; x < size; x++) {
      for (gint o = 0; o < 3; o++) {
        float sum = 0;
        for (gint k = 0; k < 18; k++) {
          gint iy = y * stride + k / 6 - before, ix = x * stride + k / 2 % 3 - before;
          if (iy >= 0 && iy < 4 && ix >= 0 && ix < 4) {
            sum += pixels[(iy * 4 + ix) * 2 + k % 2] * weights[k * 3 + o];
          }
        }
        out[(y * size + x) * 3 + o] = sum;
      }
    }
  }
}

static void
make_weights(float *weights)
{
  for (guint i = 0; i < 54; i++) {
    weights[i] = (float)((i * 7 + 3) % 11) / 8 - 0.6f;
  }
}

static void
test_convolution(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  const float bias[3] = {0.5f, -1, 2};
  float weights[54], want[12];

  make_weights(weights);
  add_convolution(graph, weights, 2);
  gw_floats(graph, "bias", bias, (gint64[]){3}, 1);
  gw_op(graph, "sum", "BiasAdd", "conv", "bias", NULL);
  gw_op(graph, "relu", "Relu6", "sum", NULL);
  gw_op(graph, "out", "Identity", "relu", NULL);
  g_autoptr(InferArray) out = run_graph(graph, &INFER_DIMS(1, 2, 2, 3));
  convolve(weights, 2, want);
  for (guint i = 0; i < 12; i++) {
    want[i] = CLAMP(want[i] + bias[i % 3], 0, 6);
  }
  check_floats(out, want, 12);
}

/* What comes after a convolution is computed in its layout, and says the same. */
static void
test_layout(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  float weights[54], conv[48], want[6] = {0};

  make_weights(weights);
  add_convolution(graph, weights, 1);
  gw_floats(graph, "row", (float[]){1, 2, 3, 4}, (gint64[]){1, 4, 1}, 3);
  gw_op(graph, "scaled", "Mul", "conv", "row", NULL);
  gw_int32s(graph, "pads", (gint32[]){0, 0, 1, 0, 0, 2, 0, 0}, 8);
  gw_int32s(graph, "pads_shape", (gint32[]){4, 2}, 2);
  gw_op(graph, "pads2", "Reshape", "pads", "pads_shape", NULL);
  gw_op(graph, "padded", "Pad", "scaled", "pads2", NULL);
  GW_INT32_SCALAR(graph, "axis", 3);
  gw_op(graph, "twice", "ConcatV2", "padded", "padded", "axis", NULL);
  GW_INT32S(graph, "spatial", 1, 2);
  gw_op(graph, "mean", "Mean", "twice", "spatial", NULL);
  g_autoptr(InferArray) out = run_graph(graph, &INFER_DIMS(1, 6));
  convolve(weights, 1, conv);
  for (guint i = 0; i < 48; i++) {
    want[i % 3] += conv[i] * (float)(i / 3 % 4 + 1) / 30;
  }
  memcpy(want + 3, want, 3 * sizeof(float));
  check_floats(out, want, 6);
}

static void
test_depthwise_and_norm(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  float weights[4] = {2, -1, 0.5f, 3}, want[64];
  const float four[4] = {1, 2, 3, 4};

  gw_floats(graph, "weights", weights, (gint64[]){1, 1, 2, 2}, 4);
  GByteArray *node = gw_node("conv", "DepthwiseConv2dNative", "image", "weights", NULL);
  gw_ints(node, "strides", (gint64[]){1, 1, 1, 1}, 4);
  gw_string(node, "padding", "VALID");
  gw_add(graph, node);
  gw_floats(graph, "four", four, (gint64[]){4}, 1);
  node = gw_node("norm", "FusedBatchNormV3", "conv", "four", "four", "four", "four", NULL);
  gw_bool(node, "is_training", 0);
  gw_add(graph, node);
  g_autoptr(InferArray) out = run_graph(graph, &INFER_DIMS(1, 4, 4, 4));
  for (guint i = 0; i < 64; i++) {
    guint c = i % 4;
    float x = pixels[i / 4 * 2 + c / 2] * weights[c];
    want[i] = (x - four[c]) / sqrtf(four[c] + 1e-4f) * four[c] + four[c];
  }
  check_floats(out, want, 64);
}

/* The batch stays open, and all else of the shape is known. */
static void
test_shape_arithmetic(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  GError *error = NULL;

  gw_op(graph, "shape", "Shape", "image", NULL);
  GW_INT32S(graph, "zero", 0);
  GW_INT32S(graph, "one", 1);
  GByteArray *node = gw_node("batch", "StridedSlice", "shape", "zero", "one", "one", NULL);
  gw_int(node, "shrink_axis_mask", 1);
  gw_add(graph, node);
  GW_INT32_SCALAR(graph, "rest", -1);
  GW_INT32_SCALAR(graph, "four", 4);
  gw_op(graph, "target", "Pack", "batch", "rest", "four", NULL);
  gw_op(graph, "out", "Reshape", "image", "target", NULL);
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);
  g_assert_no_error(error);
  InferTensor *out = infer_network_get_output(network, 0);
  g_assert_cmpint(out->dims.n, ==, 3);
  g_assert_true(INFER_DIM_IS_SYMBOL(out->dims.d[0]));
  g_assert_cmpint(out->dims.d[1], ==, 8);
  g_assert_cmpint(out->dims.d[2], ==, 4);
  g_assert_cmpuint(infer_network_get_n_nodes(network), ==, 1);
  g_assert_cmpstr(infer_network_get_symbol(network, 0)->name, ==, "batch");
  g_assert_cmpint(infer_network_get_symbol(network, 0)->max, ==, 1024);
}

/* image[..., ::-1, 1:2][:, newaxis, 0] */
static void
test_strided_slice(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  float want[4];

  GW_INT32S(graph, "begin", 0, 0, 1);
  GW_INT32S(graph, "end", 0, 0, 2);
  GW_INT32S(graph, "step", 1, -1, 1);
  GByteArray *node = gw_node("a", "StridedSlice", "image", "begin", "end", "step", NULL);
  gw_int(node, "ellipsis_mask", 1);
  gw_int(node, "begin_mask", 2);
  gw_int(node, "end_mask", 2);
  gw_add(graph, node);
  GW_INT32S(graph, "ones", 1, 1, 1);
  GW_INT32S(graph, "zeros", 0, 0, 0);
  node = gw_node("b", "StridedSlice", "a", "zeros", "ones", "ones", NULL);
  gw_int(node, "begin_mask", 1);
  gw_int(node, "end_mask", 1);
  gw_int(node, "new_axis_mask", 2);
  gw_int(node, "shrink_axis_mask", 4);
  gw_add(graph, node);
  g_autoptr(InferArray) out = run_graph(graph, &INFER_DIMS(1, 1, 4, 1));
  for (guint i = 0; i < 4; i++) {
    want[i] = pixels[(3 - i) * 2 + 1];
  }
  check_floats(out, want, 4);
}

/* Training code that is switched off does not matter, whatever operators it has. */
static void
test_condition(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  guint8 no = 0;
  float want[32];

  gw_const(graph, "training", GW_BOOL, NULL, 0, &no, 1);
  gw_op(graph, "switch", "Switch", "image", "training", NULL);
  gw_op(graph, "drop", "RandomThing", "switch:1", NULL);
  gw_op(graph, "keep", "Neg", "switch", NULL);
  gw_op(graph, "merge", "Merge", "keep", "drop", NULL);
  gw_op(graph, "out", "Abs", "merge", NULL);
  g_autoptr(InferArray) out = run_graph(graph, &INFER_DIMS(1, 4, 4, 2));
  for (guint i = 0; i < 32; i++) {
    want[i] = fabsf(pixels[i]);
  }
  check_floats(out, want, 32);
}

static void
test_typed_values(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  GByteArray *node = gw_node("fill", "Const", NULL);
  GByteArray *value = g_byte_array_new();
  GByteArray *tensor = g_byte_array_new();
  const float packed[2] = {1.5f, -2};
  float want[32];

  /* Two values for four elements: the last one repeats. */
  pw_int(tensor, 1, GW_FLOAT);
  pw_message(tensor, 2, gw_shape_message((gint64[]){2, 2}, 2));
  pw_bytes(tensor, 5, packed, sizeof packed);
  pw_message(value, 8, tensor);
  gw_attr(node, "value", value);
  gw_add(graph, node);
  gw_op(graph, "out", "MatMul", "image", "fill", NULL);
  g_autoptr(InferArray) out = run_graph(graph, &INFER_DIMS(1, 4, 4, 2));
  for (guint i = 0; i < 32; i += 2) {
    want[i] = pixels[i] * 1.5f - pixels[i + 1] * 2;
    want[i + 1] = pixels[i] * -2 - pixels[i + 1] * 2;
  }
  check_floats(out, want, 32);
}

static void
check_refused(GByteArray *graph, gint code, const char *text)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(gw_parse(graph, &error));
  g_assert_error(error, INFER_ERROR, code);
  if (!strstr(error->message, text) || !g_str_has_prefix(error->message, "test.pb: ")) {
    g_error("\"%s\" does not say \"%s\"", error->message, text);
  }
}

static void
test_unknown_operators(void)
{
  g_autoptr(GByteArray) graph = image_graph();

  gw_op(graph, "first", "Frobnicate", "image", NULL);
  gw_op(graph, "middle", "Relu", "first", NULL);
  gw_op(graph, "second", "Defenestrate", "middle", NULL);
  gw_op(graph, "out", "Relu", "second", NULL);
  check_refused(graph, INFER_ERROR_UNSUPPORTED, "2 nodes cannot be used: 'first' (Frobnicate)");
  check_refused(graph, INFER_ERROR_UNSUPPORTED, "'second' (Defenestrate)");
}

static void
test_many_unknown_operators(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  g_autofree char *last = g_strdup("image");

  for (guint i = 0; i < 50; i++) {
    g_autofree char *name = g_strdup_printf("n%u", i);
    gw_op(graph, name, "Frobnicate", last, NULL);
    g_free(last);
    last = g_steal_pointer(&name);
  }
  check_refused(graph, INFER_ERROR_UNSUPPORTED, "; and 30 more");
}

static void
test_structure(void)
{
  g_autoptr(GByteArray) cycle = image_graph();
  gw_op(cycle, "a", "Add", "image", "b", NULL);
  gw_op(cycle, "b", "Relu", "a", NULL);
  gw_op(cycle, "out", "Relu", "b", NULL);
  check_refused(cycle, INFER_ERROR_MODEL, "cycle");

  g_autoptr(GByteArray) missing = image_graph();
  gw_op(missing, "out", "Add", "image", "nowhere", NULL);
  check_refused(missing, INFER_ERROR_MODEL, "'out' (Add): input 1 is not in the graph");

  g_autoptr(GByteArray) port = image_graph();
  gw_op(port, "out", "Relu", "image:3", NULL);
  check_refused(port, INFER_ERROR_MODEL, "output 3 of 'image'");

  g_autoptr(GByteArray) twice = image_graph();
  gw_op(twice, "image", "Relu", "image", NULL);
  check_refused(twice, INFER_ERROR_MODEL, "two nodes are named 'image'");

  g_autoptr(GByteArray) loop = image_graph();
  gw_op(loop, "enter", "Enter", "image", NULL);
  gw_op(loop, "merge", "Merge", "enter", "next", NULL);
  gw_op(loop, "next", "NextIteration", "merge", NULL);
  gw_op(loop, "out", "Exit", "merge", NULL);
  check_refused(loop, INFER_ERROR_UNSUPPORTED, "does not leave a loop of a known form");

  g_autoptr(GByteArray) empty = g_byte_array_new();
  check_refused(empty, INFER_ERROR_MODEL, "no nodes");
}

/* A node that the caller gives dimensions of is an input; what is before it need not be known. */
static void
test_given_input(void)
{
  const char *const shapes[] = {"features:3x2", NULL}, *const wrong[] = {"feature:3x2", NULL};
  const char *const no_numbers[] = {"features:3xb", NULL};
  const InferParseOptions options = {.shapes = shapes}, misspelt = {.shapes = wrong};
  const InferParseOptions unread = {.shapes = no_numbers};
  g_autoptr(GByteArray) graph = image_graph();
  g_autoptr(GError) error = NULL;

  gw_op(graph, "spectrum", "AudioSpectrogram", "image", NULL);
  gw_op(graph, "features", "Mfcc", "spectrum", NULL);
  gw_op(graph, "out", "Relu", "features", NULL);
  check_refused(graph, INFER_ERROR_UNSUPPORTED, "Mfcc");
  g_autoptr(GBytes) bytes = g_bytes_new(graph->data, graph->len);
  g_autoptr(InferNetwork) network = infer_parse_tensorflow_bytes(bytes, "cut.pb", &options, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_inputs(network), ==, 1);
  const InferTensor *input = infer_network_get_input(network, 0);
  g_assert_cmpstr(input->name, ==, "features");
  g_assert_cmpint(input->dims.n, ==, 3);
  g_assert_true(INFER_DIM_IS_SYMBOL(input->dims.d[0]));
  g_assert_cmpint(input->dims.d[1], ==, 3);
  g_assert_cmpint(input->dims.d[2], ==, 2);
  g_assert_cmpuint(infer_network_get_n_nodes(network), ==, 1);
  g_assert_null(infer_parse_tensorflow_bytes(bytes, "cut.pb", &misspelt, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_assert_nonnull(strstr(error->message, "'feature:3x2' is of no node"));
  g_clear_error(&error);
  g_assert_null(infer_parse_tensorflow_bytes(bytes, "cut.pb", &unread, &error));
  g_assert_nonnull(strstr(error->message, "features:3xb"));
}

static void
test_constants(void)
{
  const float one = 1;
  g_autoptr(GByteArray) huge = image_graph();
  gw_const(huge, "c", GW_FLOAT, (gint64[]){1 << 20, 1 << 20, 1 << 20, 1 << 20}, 4, &one, 4);
  gw_op(huge, "out", "Add", "image", "c", NULL);
  check_refused(huge, INFER_ERROR_MODEL, "too large");

  g_autoptr(GByteArray) large = image_graph();
  gw_const(large, "c", GW_FLOAT, (gint64[]){1 << 15, 1 << 15}, 2, NULL, 0);
  gw_op(large, "out", "Add", "image", "c", NULL);
  check_refused(large, INFER_ERROR_MODEL, "32768x32768");

  g_autoptr(GByteArray) negative = image_graph();
  gw_const(negative, "c", GW_FLOAT, (gint64[]){-4}, 1, &one, 4);
  gw_op(negative, "out", "Add", "image", "c", NULL);
  check_refused(negative, INFER_ERROR_MODEL, "dimension 0 is -4");

  g_autoptr(GByteArray) shorter = image_graph();
  gw_const(shorter, "c", GW_FLOAT, (gint64[]){2}, 1, &one, 4);
  gw_op(shorter, "out", "Add", "image", "c", NULL);
  check_refused(shorter, INFER_ERROR_SHAPE, "'c' (Const)");

  g_autoptr(GByteArray) type = image_graph();
  gw_const(type, "c", 99, (gint64[]){1}, 1, &one, 4);
  gw_op(type, "out", "Add", "image", "c", NULL);
  check_refused(type, INFER_ERROR_UNSUPPORTED, "type 99");

  g_autoptr(GByteArray) mixed = image_graph();
  GW_INT32S(mixed, "c", 1);
  gw_op(mixed, "out", "Add", "image", "c", NULL);
  check_refused(mixed, INFER_ERROR_SHAPE, "'out' (Add)");
}

static void
test_truncated(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  float weights[54];

  make_weights(weights);
  add_convolution(graph, weights, 1);
  for (guint length = 0; length < graph->len; length++) {
    g_autoptr(GBytes) bytes = g_bytes_new(graph->data, length);
    g_autoptr(GError) error = NULL;
    g_autoptr(InferNetwork) network = infer_parse_tensorflow_bytes(bytes, "cut.pb", NULL, &error);
    g_assert_true((network != NULL) != (error != NULL));
    g_assert_true(!error || error->domain == INFER_ERROR);
  }
  g_autoptr(GByteArray) past = g_byte_array_new();
  pw_varint(past, 1 << 3 | 2);
  pw_varint(past, G_MAXUINT64 >> 1);
  check_refused(past, INFER_ERROR_MODEL, "runs past the end");
}

/* A hundred thousand functions, each an attribute of the one before. */
static void
test_deep_nesting(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  GByteArray *value = g_byte_array_new();
  gsize length = 0;

  /* Each level takes less than 16 bytes more than the one inside; written from the outside. */
  for (guint depth = 0; depth < 100000; depth++) {
    length = 16 * (100000 - (gsize)depth);
    pw_varint(value, 10 << 3 | 2);
    pw_varint(value, length);
    pw_varint(value, 2 << 3 | 2);
    pw_varint(value, length);
    pw_varint(value, 2 << 3 | 2);
    pw_varint(value, length);
  }
  GByteArray *node = gw_node("out", "Relu", "image", NULL);
  gw_attr(node, "f", value);
  gw_add(graph, node);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);
  g_assert_true((network != NULL) != (error != NULL));
}

static void
test_corrupted(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  g_autoptr(GRand) random = g_rand_new_with_seed(20);
  float weights[54];
  guint good = 0;

  make_weights(weights);
  add_convolution(graph, weights, 1);
  gw_op(graph, "relu", "Relu6", "conv", NULL);
  GW_INT32S(graph, "spatial", 1, 2);
  gw_op(graph, "mean", "Mean", "relu", "spatial", NULL);
  gw_op(graph, "out", "Softmax", "mean", NULL);
  for (guint i = 0; i < 500; i++) {
    g_autofree guint8 *copy = g_memdup2(graph->data, graph->len);
    for (gint k = g_rand_int_range(random, 1, 9); k > 0; k--) {
      guint at = (guint)g_rand_int_range(random, 0, (gint)graph->len);
      copy[at] = (guint8)(g_rand_boolean(random) ? g_rand_int(random)
                                                 : copy[at] ^ 1u << g_rand_int_range(random, 0, 8));
    }
    g_autoptr(GBytes) bytes = g_bytes_new(copy, graph->len);
    g_autoptr(GError) error = NULL;
    g_autoptr(InferNetwork) network = infer_parse_tensorflow_bytes(bytes, "bad.pb", NULL, &error);
    g_assert_true((network != NULL) != (error != NULL));
    good += network != NULL;
  }
  g_test_message("%u of 500 damaged graphs are graphs all the same", good);
}

static void
test_outputs(void)
{
  g_autoptr(GByteArray) graph = image_graph();
  const char *const names[] = {"a", "b:0", NULL};
  const char *const wrong[] = {"zzz", NULL};
  GError *error = NULL;

  gw_op(graph, "a", "Relu", "image", NULL);
  gw_op(graph, "b", "Identity", "a", NULL);
  g_autoptr(InferNetwork) network = gw_parse_outputs(graph, names, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 2);
  g_assert_cmpstr(infer_network_get_output(network, 0)->name, ==, "a");
  g_assert_cmpstr(infer_network_get_output(network, 1)->name, ==, "b:0");
  g_assert_null(gw_parse_outputs(graph, wrong, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_assert_nonnull(strstr(error->message, "'zzz'"));
  g_clear_error(&error);
}

static void
check_format(const char *path, gconstpointer data, gsize size, InferFormat want)
{
  GError *error = NULL;

  g_assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
  g_assert_cmpint(infer_format_of_file(path, &error), ==, want);
  g_assert_no_error(error);
}

static void
test_files(void)
{
  g_autofree char *folder = g_dir_make_tmp("infer-tf-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(folder, "model.pb", NULL);
  g_autofree char *info = g_build_filename(folder, "model.modelinfo", NULL);
  g_autoptr(GByteArray) graph = image_graph();
  GError *error = NULL;

  gw_op(graph, "out", "Relu", "image", NULL);
  check_format(path, "INFERPLN\1\0\0\0", 12, INFER_FORMAT_PLAN);
  g_assert_null(infer_parse_file(path, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  check_format(path, "a text", 6, INFER_FORMAT_UNKNOWN);
  g_assert_null(infer_parse_file(path, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  g_clear_error(&error);
  check_format(path, "", 0, INFER_FORMAT_UNKNOWN);
  check_format(path, graph->data, graph->len, INFER_FORMAT_TENSORFLOW);
  g_assert_true(g_file_set_contents(info,
                                    "[modelinfo]\nversion=1.0\n\n[image]\ndir=input\n"
                                    "color=bgr\n",
                                    -1, NULL));
  g_autoptr(InferNetwork) network = infer_parse_file(path, NULL, &error);
  g_assert_no_error(error);
  InferModelInfo *model = infer_network_get_model_info(network);
  g_assert_cmpstr(infer_model_info_get_input(model), ==, "image");
  g_assert_cmpint(infer_model_info_get_preprocess(model)->color, ==, INFER_COLOR_BGR);
  g_unlink(info);
  g_unlink(path);
  g_assert_null(infer_parse_file(path, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_FAILED);
  g_assert_nonnull(strstr(error->message, "model.pb"));
  g_clear_error(&error);
  g_rmdir(folder);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tensorflow/convolution", test_convolution);
  g_test_add_func("/tensorflow/layout", test_layout);
  g_test_add_func("/tensorflow/depthwise-and-norm", test_depthwise_and_norm);
  g_test_add_func("/tensorflow/shape-arithmetic", test_shape_arithmetic);
  g_test_add_func("/tensorflow/strided-slice", test_strided_slice);
  g_test_add_func("/tensorflow/condition", test_condition);
  g_test_add_func("/tensorflow/typed-values", test_typed_values);
  g_test_add_func("/tensorflow/outputs", test_outputs);
  g_test_add_func("/tensorflow/files", test_files);
  g_test_add_func("/tensorflow/unknown-operators", test_unknown_operators);
  g_test_add_func("/tensorflow/many-unknown-operators", test_many_unknown_operators);
  g_test_add_func("/tensorflow/structure", test_structure);
  g_test_add_func("/tensorflow/given-input", test_given_input);
  g_test_add_func("/tensorflow/constants", test_constants);
  g_test_add_func("/tensorflow/truncated", test_truncated);
  g_test_add_func("/tensorflow/deep-nesting", test_deep_nesting);
  g_test_add_func("/tensorflow/corrupted", test_corrupted);
  return g_test_run();
}
