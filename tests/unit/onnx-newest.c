/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onnx-writer.h"

#include <math.h>

/* Operators that are written out, differentiated or decoded. ONNX's own models of the newest ones
 * are run by hand; what they do not look at, and a little of each, is here. */

/* --- helpers --- */

static void
unref_array(gpointer array)
{
  infer_array_unref(array);
}

/* Output @index of a network whose inputs are @inputs, node by node. */
static InferArray *
evaluate(InferNetwork *network, InferArray *const *inputs, guint index)
{
  g_autoptr(GHashTable) values = g_hash_table_new_full(NULL, NULL, NULL, unref_array);
  GError *error = NULL;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++)
    g_hash_table_insert(values, infer_network_get_input(network, i), infer_array_ref(inputs[i]));
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    const InferArray *in[16] = {NULL};
    InferArray *out[16] = {NULL};
    for (guint k = 0; k < node->n_inputs; k++)
      if (node->inputs[k] != NULL)
        in[k] = node->inputs[k]->value ? node->inputs[k]->value
                                       : g_hash_table_lookup(values, node->inputs[k]);
    infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, &error);
    g_assert_no_error(error);
    for (guint k = 0; k < node->n_outputs; k++)
      g_hash_table_insert(values, node->outputs[k], out[k]);
  }
  InferTensor *output = infer_network_get_output(network, index);
  return infer_array_ref(output->producer ? g_hash_table_lookup(values, output) : output->value);
}

static InferNetwork *
parse(GByteArray *model)
{
  GError *error = NULL;
  InferNetwork *network = ow_parse(model, &error);

  g_assert_no_error(error);
  infer_network_validate(network, &error);
  g_assert_no_error(error);
  return network;
}

static void
check_refused(GByteArray *model, const char *word)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = ow_parse(model, &error);

  g_assert_null(network);
  g_assert_nonnull(error);
  if (strstr(error->message, word) == NULL)
    g_error("'%s' is not in '%s'", word, error->message);
}

static void
check_floats(const InferArray *array, const float *want, gint64 n)
{
  g_assert_cmpint(infer_array_count(array), ==, n);
  for (gint64 i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon(infer_array_get_double(array, (gsize)i), (double)want[i], 1e-5);
}

static InferArray *
floats(const InferDims *dims, const float *values)
{
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);

  memcpy(array->data, values, array->size);
  return array;
}

/* Numbers that follow no rule that an operator could share. */
static InferArray *
mixed(const InferDims *dims, guint seed)
{
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    ((float *)array->data)[i] = (float)g_rand_double_range(random, 0.25, 1.75);
  return array;
}

static void
text_list(GByteArray *node, const char *name, const char *texts)
{
  GByteArray *attr = ow_attr(name, 8);
  g_auto(GStrv) list = g_strsplit(texts, " ", -1);

  for (guint i = 0; list[i] != NULL; i++)
    pw_string(attr, 9, list[i]);
  pw_message(node, 5, attr);
}

/* --- Gradient --- */

static void
add_gradient(GByteArray *graph, const char *xs, const char *y, const char *outputs)
{
  GByteArray *node = ow_node("Gradient", xs, outputs);

  pw_string(node, 7, "ai.onnx.preview.training");
  text_list(node, "xs", xs);
  ow_string(node, "y", y);
  ow_add(graph, node);
}

static GByteArray *
gradient_model(GByteArray *graph)
{
  GByteArray *model = ow_model(graph, 17);

  ow_opset(model, 8, "ai.onnx.preview.training", 1);
  return model;
}

/* a is 2x3, b is 3x4, c is 4. @nodes are operators with inputs and outputs, the last output is y;
 * dy/da, dy/db and dy/dc are compared with quotients of differences of the sum of y. */
static GByteArray *
abc_graph(const char *const *nodes)
{
  GByteArray *graph = g_byte_array_new();

  ow_input(graph, "a", &INFER_DIMS(2, 3), NULL);
  ow_input(graph, "b", &INFER_DIMS(3, 4), NULL);
  ow_input(graph, "c", &INFER_DIMS(4), NULL);
  for (guint i = 0; nodes[i] != NULL; i += 3) {
    GByteArray *node = ow_node(nodes[i], nodes[i + 1], nodes[i + 2]);
    if (g_str_has_prefix(nodes[i], "ReduceMean"))
      ow_int(node, "keepdims", 0);
    if (g_str_equal(nodes[i], "Gemm")) {
      ow_int(node, "transA", 1);
      ow_float(node, "alpha", 0.5f);
      ow_float(node, "beta", 3);
    }
    ow_add(graph, node);
  }
  ow_output(graph, "y");
  add_gradient(graph, "a b c", "y", "da db dc");
  ow_output(graph, "da");
  ow_output(graph, "db");
  ow_output(graph, "dc");
  return graph;
}

static double
sum_of_y(InferNetwork *network, InferArray *const *inputs)
{
  g_autoptr(InferArray) y = evaluate(network, inputs, 0);
  double sum = 0;

  for (gint64 i = 0; i < infer_array_count(y); i++)
    sum += infer_array_get_double(y, (gsize)i);
  return sum;
}

static double
quotient(InferNetwork *network, InferArray *const *inputs, float *x, float step)
{
  float was = *x;

  *x = was + step;
  double above = sum_of_y(network, inputs);
  *x = was - step;
  double below = sum_of_y(network, inputs);
  *x = was;
  return (above - below) / (2 * (double)step);
}

static void
check_gradient(const char *const *nodes)
{
  g_autoptr(InferNetwork) network = parse(gradient_model(abc_graph(nodes)));
  InferArray *inputs[] = {mixed(&INFER_DIMS(2, 3), 1), mixed(&INFER_DIMS(3, 4), 2),
                          mixed(&INFER_DIMS(4), 3)};

  for (guint i = 0; i < 3; i++) {
    g_autoptr(InferArray) gradient = evaluate(network, inputs, i + 1);
    g_assert_true(infer_dims_equal(&gradient->dims, &inputs[i]->dims));
    for (gint64 k = 0; k < infer_array_count(inputs[i]); k++) {
      float *x = (float *)inputs[i]->data + k;
      /* Richardson's extrapolation of two quotients. */
      double want =
          (4 * quotient(network, inputs, x, 1.0f / 128) - quotient(network, inputs, x, 1.0f / 64)) /
          3;
      double have = infer_array_get_double(gradient, (gsize)k);
      g_assert_cmpfloat_with_epsilon(have, want, 4e-3 * MAX(1, fabs(want)));
    }
  }
  for (guint i = 0; i < 3; i++)
    infer_array_unref(inputs[i]);
}
#define GRADIENT(...) check_gradient((const char *const[]){__VA_ARGS__, NULL})

static void
test_gradient(void)
{
  GRADIENT("MatMul", "a b", "m", "Add", "m c", "n", "Sigmoid", "n", "y");
  GRADIENT("MatMul", "a b", "m", "Mul", "c m", "n", "Tanh", "n", "t", "Sub", "t c", "u", "Div",
           "u m", "y");
  GRADIENT("MatMul", "a b", "m", "Log", "m", "n", "Softmax", "n", "s", "Mul", "s c", "y");
  GRADIENT("MatMul", "a b", "m", "Sqrt", "m", "n", "ReduceMean", "n", "r", "Exp", "c", "e", "Mul",
           "e r", "y");
  GRADIENT("Transpose", "a", "t", "Gemm", "t b c", "g", "Relu", "g", "y");
  GRADIENT("MatMul", "a b", "m", "Pow", "c m", "p", "Reciprocal", "p", "q", "Softplus", "q", "y");
  GRADIENT("MatMul", "a b", "m", "Sin", "m", "s", "Cos", "c", "t", "Sum", "s t s", "n", "Abs", "n",
           "p", "Neg", "p", "y");
}

/* The second derivative of x^3 is 6x, and a variable that does not matter has none. */
static void
test_gradient_twice(void)
{
  GByteArray *graph = g_byte_array_new();
  const float three = 3, at[] = {2, -1}, want[] = {12, -6}, zeros[] = {0, 0};

  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_constant(graph, "three", INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, &three);
  ow_constant(graph, "z", INFER_TYPE_FLOAT, &INFER_DIMS(2), at);
  ow_add(graph, ow_node("Pow", "x three", "y"));
  add_gradient(graph, "x", "y", "dx");
  add_gradient(graph, "x z", "dx", "ddx dz");
  ow_output(graph, "ddx");
  ow_output(graph, "dz");
  g_autoptr(InferNetwork) network = parse(gradient_model(graph));
  g_autoptr(InferArray) x = floats(&INFER_DIMS(2), at);
  g_autoptr(InferArray) second = evaluate(network, &x, 0);
  g_autoptr(InferArray) other = evaluate(network, &x, 1);
  check_floats(second, want, 2);
  check_floats(other, zeros, 2);
}

static void
test_gradient_refused(void)
{
  static const char *const erf[] = {"Erf", "c", "y", NULL};
  GByteArray *graph = g_byte_array_new(), *own = g_byte_array_new();

  check_refused(gradient_model(abc_graph(erf)), "the derivative of Erf");
  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  add_gradient(graph, "x", "lost", "dx");
  ow_output(graph, "dx");
  check_refused(gradient_model(graph), "'lost'");
  /* It is computed from itself, without an end. */
  ow_input(own, "x", &INFER_DIMS(2), NULL);
  ow_add(own, ow_node("Mul", "x dx", "y"));
  add_gradient(own, "x", "y", "dx");
  ow_output(own, "dx");
  check_refused(gradient_model(own), "nested");
}

/* --- pictures --- */

static InferNetwork *
decoder(const char *format)
{
  GByteArray *graph = g_byte_array_new(), *node = ow_node("ImageDecoder", "file", "picture");

  pw_message(graph, 11, ow_value("file", INFER_TYPE_UINT8, &INFER_DIMS(-1), "n"));
  ow_string(node, "pixel_format", format);
  ow_add(graph, node);
  ow_output(graph, "picture");
  return parse(ow_model(graph, 20));
}

static void
check_picture(const char *format, gconstpointer file, gsize size, const InferDims *dims,
              const guint8 *want)
{
  g_autoptr(InferNetwork) network = decoder(format);
  g_autoptr(InferArray) in =
      infer_array_new_from_data(INFER_TYPE_UINT8, &INFER_DIMS((gint64)size), file, size, NULL);
  g_autoptr(InferArray) out = evaluate(network, &in, 0);

  g_assert_true(infer_dims_equal(&out->dims, dims));
  if (want != NULL)
    g_assert_cmpmem(out->data, out->size, want, out->size);
}

static void
test_pictures(void)
{
  static const guint8 ppm[] = "P6\n2 1\n255\n\x0a\x14\x1e\xff\x80\x00";
  static const guint8 rgb[] = {10, 20, 30, 255, 128, 0}, bgr[] = {30, 20, 10, 0, 128, 255};
  static const guint8 gray[] = {18, 151};
  static const char huge[] = "P6\n60000 60000\n255\n";
  static const guint8 jp2[] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', '\r', '\n', 0x87, '\n', 1, 2, 3};

  if (g_getenv("INFER_TEST_IMAGES") == NULL) {
    g_test_skip("this build has no decoder of pictures");
    return;
  }
  check_picture("RGB", ppm, sizeof ppm - 1, &INFER_DIMS(1, 2, 3), rgb);
  check_picture("BGR", ppm, sizeof ppm - 1, &INFER_DIMS(1, 2, 3), bgr);
  check_picture("Grayscale", ppm, sizeof ppm - 1, &INFER_DIMS(1, 2, 1), gray);
  check_picture("RGB", "no picture", 10, &INFER_DIMS(0, 0, 3), NULL);
  check_picture("RGB", huge, sizeof huge - 1, &INFER_DIMS(0, 0, 3), NULL);
  check_picture("Grayscale", jp2, sizeof jp2, &INFER_DIMS(0, 0, 1), NULL);
  check_picture("RGB", "\xff\xd8\xff\xe0", 4, &INFER_DIMS(0, 0, 3), NULL);
  check_picture("RGB", "II*\0\xff\xff\xff\xff", 8, &INFER_DIMS(0, 0, 3), NULL);
}

/* --- attention --- */

static GByteArray *
linear_attention(const char *rule, const char *inputs, gint64 kv_heads)
{
  GByteArray *graph = g_byte_array_new(), *node = ow_node("LinearAttention", inputs, "y state");

  ow_input(graph, "x", &INFER_DIMS(1, 2, 2), NULL);
  ow_int(node, "q_num_heads", 2);
  ow_int(node, "kv_num_heads", kv_heads);
  ow_float(node, "scale", 1);
  ow_string(node, "update_rule", rule);
  ow_add(graph, node);
  ow_output(graph, "y");
  ow_output(graph, "state");
  return ow_model(graph, 27);
}

/* Two heads of one number each: the state sums x^2, with the rule's changes. */
static void
test_linear_attention(void)
{
  const float steps[] = {1, 2, 3, 4};
  /* S = x^2, then S + x^2; y = x S */
  const float linear[] = {1, 8, 30, 80}, linear_state[] = {10, 20};
  /* beta is x: S1 = 1 and 2*2*2, S2 = 1 + 3*3*(3 - 3*1) and 8 + 4*4*(4 - 4*8) */
  const float delta[] = {1, 16, 3, -1760}, delta_state[] = {1, -440};
  g_autoptr(InferArray) x = floats(&INFER_DIMS(1, 2, 2), steps);
  g_autoptr(InferNetwork) plain = parse(linear_attention("linear", "x x x", 2));
  g_autoptr(InferNetwork) fixed = parse(linear_attention("delta", "x x x - - x", 2));
  g_autoptr(InferArray) y = evaluate(plain, &x, 0), state = evaluate(plain, &x, 1);
  g_autoptr(InferArray) fixed_y = evaluate(fixed, &x, 0), fixed_state = evaluate(fixed, &x, 1);

  check_floats(y, linear, 4);
  check_floats(state, linear_state, 2);
  check_floats(fixed_y, delta, 4);
  check_floats(fixed_state, delta_state, 2);
  check_refused(linear_attention("gated", "x x x", 2), "needs a decay");
  check_refused(linear_attention("linear", "x x x", 3), "cannot share");
  check_refused(linear_attention("other", "x x x", 2), "other");
}

/* --- what is exact --- */

static void
test_bits(void)
{
  GByteArray *graph = g_byte_array_new(), *node;
  const gint8 x[] = {-128, -1, 64, 5}, y[] = {1, 9, -1, 2}, right[] = {-64, -1, 0, 1};
  const gint8 left[] = {0, 0, 0, 20};
  const gint32 bits = 0x3f800000;

  ow_constant(graph, "x", INFER_TYPE_INT8, &INFER_DIMS(4), x);
  ow_constant(graph, "y", INFER_TYPE_INT8, &INFER_DIMS(4), y);
  ow_constant(graph, "bits", INFER_TYPE_INT32, &INFER_DIMS(1), &bits);
  node = ow_node("BitShift", "x y", "right");
  ow_string(node, "direction", "RIGHT");
  ow_add(graph, node);
  node = ow_node("BitShift", "x y", "left");
  ow_string(node, "direction", "LEFT");
  ow_add(graph, node);
  node = ow_node("BitCast", "bits", "one");
  ow_int(node, "to", INFER_TYPE_FLOAT);
  ow_add(graph, node);
  ow_output(graph, "right");
  ow_output(graph, "left");
  ow_output(graph, "one");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 28));
  g_autoptr(InferArray) a = evaluate(network, NULL, 0), b = evaluate(network, NULL, 1);
  g_autoptr(InferArray) one = evaluate(network, NULL, 2);
  g_assert_cmpmem(a->data, a->size, right, sizeof right);
  g_assert_cmpmem(b->data, b->size, left, sizeof left);
  check_floats(one, (const float[]){1}, 1);
}

static void
test_cumprod(void)
{
  GByteArray *graph = g_byte_array_new(), *node = ow_node("CumProd", "x axis", "y");
  const float x[] = {2, 3, 4}, want[] = {12, 4, 1};

  ow_input(graph, "x", &INFER_DIMS(3), NULL);
  ow_constant(graph, "axis", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, &(gint64){-1});
  ow_int(node, "exclusive", 1);
  ow_int(node, "reverse", 1);
  ow_add(graph, node);
  ow_output(graph, "y");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 26));
  g_autoptr(InferArray) in = floats(&INFER_DIMS(3), x);
  g_autoptr(InferArray) out = evaluate(network, &in, 0);
  check_floats(out, want, 3);
}

/* PyTorch's expand(n, -1, 3): what is kept is found out with a comparison. */
static void
test_expand_kept(void)
{
  GByteArray *graph = g_byte_array_new(), *node;
  const gint64 minus[] = {-1, -1, -1}, ones[] = {1, 1, 1}, three = 3, less = -1, first = 0;

  ow_input(graph, "x", &INFER_DIMS(-1, 2), "batch");
  ow_constant(graph, "token", INFER_TYPE_FLOAT, &INFER_DIMS(1, 2, 1), (const float[]){1, 2});
  ow_ints_constant(graph, "first", &first, 1);
  ow_ints_constant(graph, "less", &less, 1);
  ow_ints_constant(graph, "three", &three, 1);
  ow_ints_constant(graph, "minus", minus, 3);
  ow_ints_constant(graph, "ones", ones, 3);
  ow_add(graph, ow_node("Shape", "x", "shape"));
  ow_add(graph, ow_node("Gather", "shape first", "n"));
  node = ow_node("Concat", "n less three", "joined");
  ow_int(node, "axis", 0);
  ow_add(graph, node);
  ow_add(graph, ow_node("Reshape", "joined less", "sizes"));
  ow_add(graph, ow_node("Equal", "sizes minus", "kept"));
  ow_add(graph, ow_node("Where", "kept ones sizes", "target"));
  ow_add(graph, ow_node("Expand", "token target", "y"));
  ow_output(graph, "y");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 17));
  const InferDims *dims = &infer_network_get_output(network, 0)->dims;
  g_assert_cmpint(dims->n, ==, 3);
  g_assert_true(INFER_DIM_IS_SYMBOL(dims->d[0]));
  g_assert_cmpint(dims->d[1], ==, 2);
  g_assert_cmpint(dims->d[2], ==, 3);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/onnx/gradient", test_gradient);
  g_test_add_func("/onnx/gradient-twice", test_gradient_twice);
  g_test_add_func("/onnx/gradient-refused", test_gradient_refused);
  g_test_add_func("/onnx/pictures", test_pictures);
  g_test_add_func("/onnx/linear-attention", test_linear_attention);
  g_test_add_func("/onnx/bits", test_bits);
  g_test_add_func("/onnx/cumprod", test_cumprod);
  g_test_add_func("/onnx/expand-kept", test_expand_kept);
  return g_test_run();
}
