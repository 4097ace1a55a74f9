/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-seed.h"
#include "net-check.h"

#include <math.h>

/* What layers compute, beside numbers worked out by hand: that their arguments reach the right
 * attributes of the right operators in the right order. */

static InferTensor *
numbers(Seed *s, InferType type, InferDims dims, const double *values)
{
  InferArray *array = infer_array_new(type, &dims, s->e);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i, values[i]);
  g_ptr_array_add(s->arrays, array);
  return infer_network_add_constant(s->net, NULL, array);
}

static InferArray *
array_of(Seed *s, InferDims dims, const double *values)
{
  return numbers(s, FLOAT, dims, values)->value;
}
#define N(...) ((const double[]){__VA_ARGS__})

/* Evaluates everything and compares one tensor. */
static void
expect(Seed *s, InferTensor *tensor, InferDims dims, const double *want)
{
  g_autoptr(GPtrArray) none = g_ptr_array_new();
  g_autoptr(GHashTable) values = NULL;
  const InferArray *have;
  g_autofree char *text = NULL;

  g_assert_no_error(*s->e);
  values = net_evaluate(s->net, none, s->e);
  g_assert_no_error(*s->e);
  have = g_hash_table_lookup(values, tensor);
  text = infer_dims_to_string(&have->dims);
  if (!infer_dims_equal(&have->dims, &dims))
    g_error("'%s' is %s", tensor->name, text);
  for (gint64 i = 0; i < infer_array_count(have); i++)
    if (fabs(infer_array_get_double(have, (gsize)i) - want[i]) > 1e-4)
      g_error("'%s': element %d is %g, not %g", tensor->name, (int)i,
              infer_array_get_double(have, (gsize)i), want[i]);
}

static void
test_activation(Seed *s)
{
  static const struct {
    InferActivation kind;
    double alpha, beta, want[2]; /* of -1 and 2 */
  } rows[] = {
      {INFER_ACTIVATION_RELU, 9, 9, {0, 2}},
      {INFER_ACTIVATION_LEAKY_RELU, 0.5, 9, {-0.5, 2}},
      {INFER_ACTIVATION_ELU, 2, 9, {-1.264241, 2}},
      {INFER_ACTIVATION_SELU, 2, 3, {-3.792723, 6}},
      {INFER_ACTIVATION_SOFTPLUS, 2, 3, {0.097175, 12.004951}},
      {INFER_ACTIVATION_CLIP, -0.5, 1.5, {-0.5, 1.5}},
      {INFER_ACTIVATION_HARD_SIGMOID, 0.25, 0.3, {0.05, 0.8}},
      {INFER_ACTIVATION_SCALED_TANH, 2, 0.5, {-0.924234, 1.523188}},
      {INFER_ACTIVATION_THRESHOLDED_RELU, 1.5, 9, {0, 2}},
      {INFER_ACTIVATION_GELU_ERF, 9, 9, {-0.158655, 1.954500}},
      {INFER_ACTIVATION_GELU_TANH, 9, 9, {-0.158808, 1.954598}},
      {INFER_ACTIVATION_CELU, 2, 9, {-0.786939, 2}},
      {INFER_ACTIVATION_HARD_SWISH, 9, 9, {-0.333333, 1.666667}},
      {INFER_ACTIVATION_SWISH, 2, 9, {-0.119203, 1.964028}},
      {INFER_ACTIVATION_MISH, 9, 9, {-0.303401, 1.943959}},
      {INFER_ACTIVATION_SOFTSIGN, 9, 9, {-0.5, 0.666667}},
  };
  InferTensor *x = numbers(s, FLOAT, INFER_DIMS(2), N(-1, 2));

  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    expect(s,
           infer_network_add_activation(s->net, x, rows[i].kind, rows[i].alpha, rows[i].beta, NULL,
                                        s->e),
           INFER_DIMS(2), rows[i].want);
}

static void
test_arithmetic(Seed *s)
{
  InferTensor *a = numbers(s, INT64, INFER_DIMS(4), N(-7, 7, -7, 6));
  InferTensor *b = numbers(s, INT64, INFER_DIMS(4), N(2, 2, -2, -4));
  InferTensor *x = numbers(s, FLOAT, INFER_DIMS(2), N(-7, 7)), *y;
  InferTensor *two = numbers(s, FLOAT, INFER_DIMS_SCALAR, N(2));
  InferTensor *plane = numbers(s, FLOAT, INFER_DIMS(1, 2, 2), N(1, 2, 3, 4));

  expect(s, infer_network_add_element_wise(s->net, a, b, INFER_ELEMENT_WISE_FLOOR_DIV, NULL, s->e),
         INFER_DIMS(4), N(-4, 3, 3, -2));
  expect(s,
         infer_network_add_element_wise(s->net, x, two, INFER_ELEMENT_WISE_FLOOR_DIV, NULL, s->e),
         INFER_DIMS(2), N(-4, 3));
  expect(s, infer_network_add_element_wise(s->net, x, two, INFER_ELEMENT_WISE_SUB, NULL, s->e),
         INFER_DIMS(2), N(-9, 5));
  y = infer_network_add_scale(
      s->net, plane, INFER_SCALE_MODE_CHANNEL, array_of(s, INFER_DIMS(2), N(1, -1)),
      array_of(s, INFER_DIMS(2), N(2, 3)), array_of(s, INFER_DIMS(2), N(2, 1)), 1, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 2, 2), N(9, 25, 8, 11));
  y = infer_network_add_scale(s->net, plane, INFER_SCALE_MODE_ELEMENT_WISE,
                              array_of(s, INFER_DIMS(4), N(1, 2, 3, 4)), NULL, NULL, 0, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 2, 2), N(2, 4, 6, 8));
  y = infer_network_add_fill(s->net, D(2, 2), INFER_FILL_LINSPACE, 3, -0.5, FLOAT, 0, NULL, s->e);
  expect(s, y, INFER_DIMS(2, 2), N(3, 2.5, 2, 1.5));
  y = infer_network_add_cumulative(s->net, plane, 2, TRUE, FALSE, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 2, 2), N(0, 1, 0, 3));
  y = infer_network_add_quantize(s->net, plane, two, NULL, 0, INFER_TYPE_INT8, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 2, 2), N(0, 1, 2, 2));
}

static void
test_windows(Seed *s)
{
  InferTensor *x = numbers(s, FLOAT, INFER_DIMS(1, 1, 4), N(1, 2, 4, 8)), *y;
  InferArray *ones = array_of(s, INFER_DIMS(2), N(1, 1)),
             *pair = array_of(s, INFER_DIMS(2), N(1, 3));

  y = infer_network_add_convolution(s->net, x, 1, D(2), pair, NULL, D(3), NULL, NULL, ROUND_DOWN,
                                    NULL, 1, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 1), N(7));
  y = infer_network_add_convolution(s->net, x, 1, D(2), pair, NULL, D(3), NULL, NULL, ROUND_UP,
                                    NULL, 1, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 2), N(7, 8));
  y = infer_network_add_convolution(s->net, x, 1, D(2), pair, NULL, NULL, D(1), D(0), ROUND_DOWN,
                                    D(2), 1, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 3), N(6, 13, 26));
  y = infer_network_add_deconvolution(s->net, x, 1, D(2), ones, NULL, D(2), D(1), D(0), ROUND_DOWN,
                                      NULL, 1, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 7), N(1, 2, 2, 4, 4, 8, 8));
  y = infer_network_add_pooling(s->net, x, INFER_POOLING_MAX_AVERAGE_BLEND, D(2), NULL, NULL, NULL,
                                ROUND_DOWN, TRUE, 0.25, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 2), N(1.875, 7.5));
  y = infer_network_add_pooling(s->net, x, INFER_POOLING_AVERAGE, D(3), D(3), D(1), D(1),
                                ROUND_DOWN, TRUE, 0, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 2), N(1.5, 6));
  y = infer_network_add_pooling(s->net, x, INFER_POOLING_AVERAGE, D(3), D(3), D(1), D(1),
                                ROUND_DOWN, FALSE, 0, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 2), N(1, 4));
  y = infer_network_add_pooling(s->net, x, INFER_POOLING_L2, NULL, NULL, NULL, NULL, ROUND_DOWN,
                                FALSE, 0, NULL, s->e);
  expect(s, y, INFER_DIMS(1, 1, 1), N(9.219544));
}

static void
test_products(Seed *s)
{
  InferTensor *a = numbers(s, FLOAT, INFER_DIMS(2, 2), N(1, 2, 3, 4));
  InferTensor *v = numbers(s, FLOAT, INFER_DIMS(2), N(1, 10)), *y;
  const InferMatrixOperation none = INFER_MATRIX_OPERATION_NONE;
  const InferMatrixOperation vector = INFER_MATRIX_OPERATION_VECTOR;

  y = infer_network_add_matrix_multiply(s->net, a, none, v, vector, NULL, s->e);
  expect(s, y, INFER_DIMS(2), N(21, 43));
  y = infer_network_add_matrix_multiply(s->net, v, vector, a, none, NULL, s->e);
  expect(s, y, INFER_DIMS(2), N(31, 42));
  y = infer_network_add_matrix_multiply(s->net, v, vector, v, vector, NULL, s->e);
  expect(s, y, INFER_DIMS_SCALAR, N(101));
  y = infer_network_add_matrix_multiply(s->net, a, INFER_MATRIX_OPERATION_TRANSPOSE, a, none, NULL,
                                        s->e);
  expect(s, y, INFER_DIMS(2, 2), N(10, 14, 14, 20));
  y = infer_network_add_fully_connected(s->net, a, 1, array_of(s, INFER_DIMS(2), N(2, 1)),
                                        array_of(s, INFER_DIMS(1), N(0.5)), NULL, s->e);
  expect(s, y, INFER_DIMS(2, 1), N(4.5, 10.5));
}

static void
test_movement(Seed *s)
{
  InferTensor *x = numbers(s, FLOAT, INFER_DIMS(2, 3), N(1, 2, 3, 4, 5, 6)), *y;
  const InferDims start = INFER_DIMS(1, -1), size = INFER_DIMS(2, 5), back = INFER_DIMS(-1, 1);
  static const struct {
    InferSampleMode mode;
    double want[10];
  } rows[] = {
      {INFER_SAMPLE_MODE_FILL, {9, 4, 5, 6, 9, 9, 1, 2, 3, 9}},
      {INFER_SAMPLE_MODE_CLAMP, {4, 4, 5, 6, 6, 1, 1, 2, 3, 3}},
      {INFER_SAMPLE_MODE_WRAP, {6, 4, 5, 6, 4, 3, 1, 2, 3, 1}},
      {INFER_SAMPLE_MODE_REFLECT, {5, 4, 5, 6, 5, 2, 1, 2, 3, 2}},
  };

  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    y = infer_network_add_slice(s->net, x, &start, &size, &back, rows[i].mode, 9, NULL, s->e);
    expect(s, y, INFER_DIMS(2, 5), rows[i].want);
  }
  y = infer_network_add_slice(s->net, x, D(0, 2), D(-1, 2), D(1, -2),
                              INFER_SAMPLE_MODE_STRICT_BOUNDS, 0, NULL, s->e);
  expect(s, y, INFER_DIMS(2, 2), N(3, 1, 6, 4));
  y = infer_network_add_padding(s->net, x, D(1), D(-1), INFER_SAMPLE_MODE_FILL, 7, NULL, s->e);
  expect(s, y, INFER_DIMS(2, 3), N(7, 1, 2, 7, 4, 5));
  y = infer_network_add_shuffle(s->net, x, D(1, 0), D(1, -1), TRUE, D(1, 0), NULL, s->e);
  expect(s, y, INFER_DIMS(6, 1), N(1, 4, 2, 5, 3, 6));
  y = infer_network_add_resize(s->net, x, D(2, 2), NULL, 0, INFER_RESIZE_MODE_NEAREST,
                               INFER_COORDINATES_ASYMMETRIC, INFER_RESIZE_ROUND_CEIL, 0, FALSE,
                               NULL, s->e);
  expect(s, y, INFER_DIMS(2, 2), N(1, 3, 4, 6));
  y = infer_network_add_reduce(s->net, x, INFER_REDUCE_AVG, D(-1), TRUE, NULL, s->e);
  expect(s, y, INFER_DIMS(2, 1), N(2, 5));
  y = infer_network_add_one_hot(s->net, numbers(s, INT64, INFER_DIMS(2), N(1, -1)),
                                numbers(s, FLOAT, INFER_DIMS(2), N(0.5, 3)),
                                numbers(s, INT64, INFER_DIMS_SCALAR, N(3)), 0, NULL, s->e);
  expect(s, y, INFER_DIMS(3, 2), N(0.5, 0.5, 3, 0.5, 0.5, 3));
}

/* One unit, one feature, two steps: the cell's equations by hand. */
static void
test_rnn(Seed *s)
{
  InferTensor *x = numbers(s, FLOAT, INFER_DIMS(2, 1, 1), N(1, -2));
  InferArray *weight = array_of(s, INFER_DIMS(1), N(0.5)), *past = array_of(s, INFER_DIMS(1), N(2));
  InferArray *bias = array_of(s, INFER_DIMS(2), N(0.25, 0.5));
  InferArray *three = array_of(s, INFER_DIMS(3), N(0.5, -1, 1)),
             *r = array_of(s, INFER_DIMS(3), N(1, 2, 3));
  InferArray *six = array_of(s, INFER_DIMS(6), N(0, 0, 0, 0, 0, 0.5));
  InferTensor *state = numbers(s, FLOAT, INFER_DIMS(1, 1, 1), N(0.5));
  InferNode *node;
  /* update z, reset g; h' = (1 - z) * tanh(...) + z * h */
  double z = 1 / (1 + exp(-(0.5 + 0.5))), g = 1 / (1 + exp(-(-1 + 1.0)));
  double before = (1 - z) * tanh(1 + 3 * g * 0.5 + 0.5) + z * 0.5;
  double after = (1 - z) * tanh(1 + g * (3 * 0.5 + 0.5)) + z * 0.5;
  InferTensor *first = numbers(s, FLOAT, INFER_DIMS(1, 1, 1), N(1));

  node = infer_network_add_rnn(s->net, x, INFER_RNN_KIND_RELU, INFER_RNN_DIRECTION_FORWARD, 1,
                               weight, past, bias, NULL, NULL, NULL, NULL, s->e);
  expect(s, infer_node_get_output(node, 0), INFER_DIMS(2, 1, 1, 1), N(1.25, 2.25));
  node = infer_network_add_rnn(s->net, x, INFER_RNN_KIND_TANH, INFER_RNN_DIRECTION_REVERSE, 1,
                               weight, past, bias, NULL, NULL, NULL, NULL, s->e);
  expect(s, infer_node_get_output(node, 1), INFER_DIMS(1, 1, 1),
         N(tanh(0.5 + 0.75 + 2 * tanh(-1 + 0.75))));
  node = infer_network_add_rnn(s->net, first, INFER_RNN_KIND_GRU, INFER_RNN_DIRECTION_FORWARD, 1,
                               three, r, six, NULL, state, NULL, NULL, s->e);
  expect(s, infer_node_get_output(node, 1), INFER_DIMS(1, 1, 1), &before);
  node =
      infer_network_add_rnn(s->net, first, INFER_RNN_KIND_GRU_LINEAR, INFER_RNN_DIRECTION_FORWARD,
                            1, three, r, six, NULL, state, NULL, NULL, s->e);
  expect(s, infer_node_get_output(node, 1), INFER_DIMS(1, 1, 1), &after);
}

static void
test_arrangement(Seed *s)
{
  const InferDims four = INFER_DIMS(1, 4, 1, 2);
  InferTensor *x = numbers(s, FLOAT, four, N(0, 1, 2, 3, 4, 5, 6, 7));
  InferTensor *deep = numbers(s, FLOAT, INFER_DIMS(1, 8, 1, 1), N(0, 1, 2, 3, 4, 5, 6, 7));
  InferTensor *row = numbers(s, FLOAT, INFER_DIMS(2, 2), N(3, 3, 1, 2));
  InferTensor *plane = numbers(s, FLOAT, INFER_DIMS(1, 1, 2, 2), N(0, 2, 4, 6));
  InferNode *parts;

  expect(s, infer_network_add_flatten(s->net, x, 2, NULL, s->e), INFER_DIMS(4, 2),
         N(0, 1, 2, 3, 4, 5, 6, 7));
  parts = infer_network_add_split(s->net, x, 1, D(1, 3), 7, NULL, s->e);
  expect(s, infer_node_get_output(parts, 0), INFER_DIMS(1, 1, 1, 2), N(0, 1));
  expect(s, infer_node_get_output(parts, 1), INFER_DIMS(1, 3, 1, 2), N(2, 3, 4, 5, 6, 7));
  g_assert_null(infer_node_get_output(parts, 2));
  parts = infer_network_add_split(s->net, x, 1, NULL, 3, NULL, s->e);
  expect(s, infer_node_get_output(parts, 1), INFER_DIMS(1, 2, 1, 2), N(4, 5, 6, 7));
  expect(s, infer_network_add_tile(s->net, row, D(1, 2), NULL, s->e), INFER_DIMS(2, 4),
         N(3, 3, 3, 3, 1, 2, 1, 2));
  expect(s, infer_network_add_expand(s->net, row, D(2, 1, 1), NULL, s->e), INFER_DIMS(2, 2, 2),
         N(3, 3, 1, 2, 3, 3, 1, 2));
  expect(s, infer_network_add_depth_to_space(s->net, deep, 2, FALSE, NULL, s->e),
         INFER_DIMS(1, 2, 2, 2), N(0, 2, 4, 6, 1, 3, 5, 7));
  expect(s, infer_network_add_depth_to_space(s->net, deep, 2, TRUE, NULL, s->e),
         INFER_DIMS(1, 2, 2, 2), N(0, 1, 2, 3, 4, 5, 6, 7));
  expect(s, infer_network_add_space_to_depth(s->net, plane, 2, NULL, s->e), INFER_DIMS(1, 4, 1, 1),
         N(0, 2, 4, 6));
  expect(s,
         infer_network_add_range(s->net, numbers(s, INT64, INFER_DIMS_SCALAR, N(5)),
                                 numbers(s, INT64, INFER_DIMS_SCALAR, N(0)),
                                 numbers(s, INT64, INFER_DIMS_SCALAR, N(-2)), NULL, s->e),
         INFER_DIMS(3), N(5, 3, 1));
  expect(s, infer_network_add_arg_reduce(s->net, row, INFER_TOP_K_MAX, 1, FALSE, FALSE, NULL, s->e),
         INFER_DIMS(2), N(0, 1));
  expect(s, infer_network_add_arg_reduce(s->net, row, INFER_TOP_K_MIN, 1, TRUE, TRUE, NULL, s->e),
         INFER_DIMS(2, 1), N(1, 0));
  expect(s,
         infer_network_add_roi_align(
             s->net, plane, numbers(s, FLOAT, INFER_DIMS(1, 4), N(0, 0, 4, 4)),
             numbers(s, INT64, INFER_DIMS(1), N(0)), 1, 2, 1, 0.5, FALSE, TRUE, NULL, s->e),
         INFER_DIMS(1, 1, 1, 2), N(2, 4));
  expect(s,
         infer_network_add_roi_align(
             s->net, plane, numbers(s, FLOAT, INFER_DIMS(1, 4), N(0, 0, 4, 4)),
             numbers(s, INT64, INFER_DIMS(1), N(0)), 1, 1, 2, 0.5, TRUE, TRUE, NULL, s->e),
         INFER_DIMS(1, 1, 1, 1), N(6));
}

static void
run(gconstpointer data)
{
  void (*const *test)(Seed *) = data;
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GPtrArray) arrays = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  GError *error = NULL;
  Seed seed = {.net = network, .arrays = arrays, .e = &error};

  (*test)(&seed);
}

#define TEST(NAME)                                                                                 \
  {                                                                                                \
    static void (*const test)(Seed *) = test_##NAME;                                               \
    g_test_add_data_func("/layers-values/" #NAME, &test, run);                                     \
  }

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST(activation)
  TEST(arithmetic)
  TEST(windows)
  TEST(products)
  TEST(movement)
  TEST(rnn)
  TEST(arrangement)
  return g_test_run();
}
