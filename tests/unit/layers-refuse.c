/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-seed.h"

#include <math.h>
#include <string.h>

/* What layers and tensors refuse, and what an error of theirs says. */

typedef struct {
  InferNetwork *network;
  GRand *random;
  GPtrArray *arrays;
  GError *error;
  Seed seed;
} Fixture;

static void
set_up(Fixture *f, gconstpointer data)
{
  f->network = infer_network_new();
  f->random = g_rand_new_with_seed(1);
  f->arrays = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  f->seed = (Seed){.net = f->network, .random = f->random, .arrays = f->arrays, .e = &f->error};
  f->seed.batch = infer_network_add_symbol(f->network, "batch", 1, 1, 4);
}

static void
tear_down(Fixture *f, gconstpointer data)
{
  g_clear_error(&f->error);
  g_ptr_array_unref(f->arrays);
  g_rand_free(f->random);
  g_object_unref(f->network);
}

/* The layer was refused, with an error that has its name and @part. */
static void
refused(Fixture *f, gconstpointer result, InferError code, const char *part)
{
  g_assert_null(result);
  g_assert_error(f->error, INFER_ERROR, (gint)code);
  if (!strstr(f->error->message, "'bad'") || !strstr(f->error->message, part))
    g_error("'%s' does not say '%s'", f->error->message, part);
  g_clear_error(&f->error);
}

static InferTensor *
convolve(Fixture *f, InferTensor *x, gint64 n, const InferDims *kernel, InferArray *weights,
         const InferDims *stride, gint64 groups)
{
  return infer_network_add_convolution(f->network, x, n, kernel, weights, NULL, stride, NULL, NULL,
                                       ROUND_DOWN, NULL, groups, "bad", &f->error);
}

static void
test_convolution(Fixture *f, gconstpointer data)
{
  Seed *s = &f->seed;
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 4, 8, 8));
  InferTensor *open_size = in(s, FLOAT, INFER_DIMS(1, 4, s->batch, 8));
  InferArray *weights = w(s, INFER_DIMS(6, 4, 3, 3));
  const InferDims broken = {.n = 77}, three = INFER_DIMS(3, 3);

  refused(f, convolve(f, x, 6, &three, w(s, INFER_DIMS(6, 3, 3, 3)), NULL, 1), INFER_ERROR_SHAPE,
          "the weights is 6x3x3x3, 6x4x3x3 is needed");
  refused(f, convolve(f, x, 6, &three, NULL, NULL, 1), INFER_ERROR_ARGUMENT, "missing");
  refused(f, convolve(f, x, 6, NULL, weights, NULL, 1), INFER_ERROR_ARGUMENT, "missing");
  refused(f, convolve(f, x, 6, D(3, 3, 3), weights, NULL, 1), INFER_ERROR_ARGUMENT, "3 numbers");
  refused(f, convolve(f, x, 6, &broken, weights, NULL, 1), INFER_ERROR_ARGUMENT, "77 numbers");
  refused(f, convolve(f, x, 6, &three, weights, D(0, 1), 1), INFER_ERROR_ARGUMENT, "stride");
  refused(f, convolve(f, x, 6, &three, weights, NULL, 0), INFER_ERROR_ARGUMENT, "0 groups");
  refused(f, convolve(f, x, 6, &three, weights, NULL, 4), INFER_ERROR_ARGUMENT, "4 groups");
  refused(f, convolve(f, x, 0, &three, weights, NULL, 1), INFER_ERROR_ARGUMENT, "0 outputs");
  refused(f, convolve(f, in(s, FLOAT, INFER_DIMS(4)), 6, &three, weights, NULL, 1),
          INFER_ERROR_SHAPE, "1 dimensions");
  refused(f,
          infer_network_add_convolution(f->network, open_size, 6, &three, weights, NULL, D(2, 2),
                                        NULL, NULL, ROUND_UP, NULL, 1, "bad", &f->error),
          INFER_ERROR_UNSUPPORTED, "constant");
  refused(f,
          infer_network_add_convolution(f->network, x, 6, &three, weights, NULL,
                                        D(G_MAXINT64, G_MAXINT64), D(G_MAXINT64, 0), NULL, ROUND_UP,
                                        D(G_MAXINT64, 2), 1, "bad", &f->error),
          INFER_ERROR_ARGUMENT, "");
  refused(f,
          infer_network_add_convolution(f->network, x, 6, &three, weights, NULL, NULL, NULL, NULL,
                                        (InferPaddingMode)9, NULL, 1, "bad", &f->error),
          INFER_ERROR_ARGUMENT, "padding mode 9");
}

static void
test_slice(Fixture *f, gconstpointer data)
{
  Seed *s = &f->seed;
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 6));
  const struct {
    InferDims start, size, stride;
    InferSampleMode mode;
    InferError code;
    const char *part;
  } cases[] = {
      {INFER_DIMS(0, 4), INFER_DIMS(1, 3), INFER_DIMS(1, 1), INFER_SAMPLE_MODE_STRICT_BOUNDS,
       INFER_ERROR_SHAPE, "4 to 6"},
      {INFER_DIMS(0, 0), INFER_DIMS(1, 2), INFER_DIMS(1, 0), INFER_SAMPLE_MODE_FILL,
       INFER_ERROR_ARGUMENT, "stride 1"},
      {INFER_DIMS(0, -1), INFER_DIMS(1, -1), INFER_DIMS(1, 1), INFER_SAMPLE_MODE_FILL,
       INFER_ERROR_ARGUMENT, "size 1"},
      {INFER_DIMS(0, G_MAXINT64), INFER_DIMS(1, 1), INFER_DIMS(1, 1), INFER_SAMPLE_MODE_FILL,
       INFER_ERROR_ARGUMENT, "start 1"},
      {INFER_DIMS(0, 0), INFER_DIMS(1, G_MAXINT64), INFER_DIMS(1, 2), INFER_SAMPLE_MODE_FILL,
       INFER_ERROR_ARGUMENT, "too large"},
      {INFER_DIMS(0), INFER_DIMS(1), INFER_DIMS(1), INFER_SAMPLE_MODE_FILL, INFER_ERROR_ARGUMENT,
       "1 numbers, 2 are needed"},
      {INFER_DIMS(0, 5), INFER_DIMS(1, 4), INFER_DIMS(1, 1), INFER_SAMPLE_MODE_FILL,
       INFER_ERROR_UNSUPPORTED, "constant"},
  };

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
    refused(f,
            infer_network_add_slice(f->network, x, &cases[i].start, &cases[i].size,
                                    &cases[i].stride, cases[i].mode, 0, "bad", &f->error),
            cases[i].code, cases[i].part);
  refused(f,
          infer_network_add_slice(f->network, x, NULL, NULL, NULL, INFER_SAMPLE_MODE_FILL, 0, "bad",
                                  &f->error),
          INFER_ERROR_ARGUMENT, "start is missing");
}

/* Numbers that no enumeration has, and combinations that make no sense. */
static void
test_choices(Fixture *f, gconstpointer data)
{
  Seed *s = &f->seed;
  InferNetwork *n = f->network;
  GError **e = &f->error;
  InferTensor *x = in(s, FLOAT, INFER_DIMS(2, 3, 4)), *k = c(s, INFER_DIMS(3));
  InferError code = INFER_ERROR_ARGUMENT;

  refused(f, infer_network_add_activation(n, x, (InferActivation)-1, 0, 0, "bad", e), code, "-1");
  refused(f, infer_network_add_element_wise(n, x, x, (InferElementWise)99, "bad", e), code, "99");
  refused(f, infer_network_add_unary(n, x, (InferUnary)99, "bad", e), code, "99");
  refused(f, infer_network_add_reduce(n, x, (InferReduce)99, NULL, TRUE, "bad", e), code, "99");
  refused(f, infer_network_add_top_k(n, x, (InferTopK)2, 1, 0, "bad", e), code, "2");
  refused(f, infer_network_add_gather(n, x, x, (InferGatherMode)9, 0, 0, "bad", e), code, "9");
  refused(f, infer_network_add_scatter(n, x, x, x, (InferScatterMode)9, 0, "bad", e), code, "9");
  refused(f,
          infer_network_add_normalization(n, x, INFER_NORMALIZATION_RMS, k, k, -1, 0, 1, "bad", e),
          code, "no bias");
  refused(f,
          infer_network_add_padding(n, x, D(1), D(1), INFER_SAMPLE_MODE_STRICT_BOUNDS, 0, "bad", e),
          code, "strict");
  refused(f, infer_network_add_fill(n, D(4), (InferFill)9, 0, 0, FLOAT, 0, "bad", e), code, "9");
  refused(f,
          infer_network_add_resize(n, x, NULL, NULL, 0, INFER_RESIZE_MODE_LINEAR,
                                   INFER_COORDINATES_ASYMMETRIC, INFER_RESIZE_ROUND_FLOOR, 0, FALSE,
                                   "bad", e),
          code, "either");
  refused(f,
          infer_network_add_rnn(n, x, INFER_RNN_KIND_GRU, INFER_RNN_DIRECTION_FORWARD, 2,
                                w(s, INFER_DIMS(1, 6, 4)), w(s, INFER_DIMS(1, 6, 2)), NULL, NULL,
                                NULL, x, "bad", e),
          code, "cell");
  refused(f,
          infer_network_add_rnn(n, x, INFER_RNN_KIND_GRU, INFER_RNN_DIRECTION_FORWARD, G_MAXINT64,
                                w(s, INFER_DIMS(1, 6, 4)), w(s, INFER_DIMS(1, 6, 2)), NULL, NULL,
                                NULL, NULL, "bad", e),
          code, "hidden size");
  refused(f,
          infer_network_add_scale(n, x, INFER_SCALE_MODE_CHANNEL, w(s, INFER_DIMS(2)), NULL, NULL,
                                  1, "bad", e),
          INFER_ERROR_SHAPE, "the shift is 2, 3x1 is needed");
  refused(f, infer_network_add_scale(n, x, INFER_SCALE_MODE_CHANNEL, NULL, NULL, NULL, 5, "bad", e),
          code, "dimension 5");
}

static void
test_arrangement(Fixture *f, gconstpointer data)
{
  Seed *s = &f->seed;
  InferNetwork *n = f->network;
  GError **e = &f->error;
  InferTensor *x = in(s, FLOAT, INFER_DIMS(1, 6, 4, 4)), *i = in(s, INT64, INFER_DIMS_SCALAR);

  refused(f, infer_network_add_flatten(n, x, 5, "bad", e), INFER_ERROR_SHAPE, "axis");
  refused(f, infer_network_add_split(n, x, 1, D(2, 2), 0, "bad", e), INFER_ERROR_SHAPE, "4");
  refused(f, infer_network_add_split(n, x, 1, NULL, 0, "bad", e), INFER_ERROR_ARGUMENT, "0 parts");
  refused(f, infer_network_add_tile(n, x, D(1, 2), "bad", e), INFER_ERROR_ARGUMENT, "repeats");
  refused(f, infer_network_add_tile(n, x, D(1, 2, -1, 1), "bad", e), INFER_ERROR_SHAPE, "-1");
  refused(f, infer_network_add_expand(n, x, NULL, "bad", e), INFER_ERROR_ARGUMENT, "missing");
  refused(f, infer_network_add_expand(n, x, D(5, 1), "bad", e), INFER_ERROR_SHAPE, "5");
  refused(f, infer_network_add_depth_to_space(n, x, 2, FALSE, "bad", e), INFER_ERROR_SHAPE, "6");
  refused(f, infer_network_add_space_to_depth(n, x, 3, "bad", e), INFER_ERROR_SHAPE, "3");
  refused(f, infer_network_add_range(n, i, i, x, "bad", e), INFER_ERROR_SHAPE, "");
  refused(f, infer_network_add_range(n, i, i, NULL, "bad", e), INFER_ERROR_ARGUMENT, "");
  refused(f, infer_network_add_arg_reduce(n, x, (InferTopK)7, 1, TRUE, TRUE, "bad", e),
          INFER_ERROR_ARGUMENT, "7");
  refused(f, infer_network_add_roi_align(n, x, x, i, 1, 1, 0, 1, TRUE, TRUE, "bad", e),
          INFER_ERROR_SHAPE, "");
}

/* The error of the first layer that fails survives a chain of others, which do nothing. */
static void
test_chain(Fixture *f, gconstpointer data)
{
  Seed *s = &f->seed;
  InferTensor *x = in(s, FLOAT, INFER_DIMS(2, 3)), *y;
  guint before = infer_network_get_n_nodes(f->network);

  y = infer_network_add_soft_max(f->network, x, 7, FALSE, "bad", &f->error);
  y = infer_network_add_activation(f->network, y, INFER_ACTIVATION_RELU, 0, 0, "next", &f->error);
  y = infer_network_add_element_wise(f->network, x, y, INFER_ELEMENT_WISE_SUM, "last", &f->error);
  y = infer_network_add_fill(f->network, D(3), INFER_FILL_CONSTANT, 1, 0, FLOAT, 0, "fill",
                             &f->error);
  g_assert_cmpuint(infer_network_get_n_nodes(f->network), ==, before);
  refused(f, y, INFER_ERROR_SHAPE, "axis");

  /* Without a place for the error the layers are refused all the same. */
  g_assert_null(infer_network_add_convolution(
      f->network, in(s, FLOAT, INFER_DIMS(1, 2, 4, 4)), 2, D(1, 1), w(s, INFER_DIMS(2, 2, 1, 1)),
      w(s, INFER_DIMS(5)), NULL, NULL, NULL, ROUND_DOWN, NULL, 1, "bias", NULL));
  g_assert_null(infer_network_find_tensor(f->network, "bias"));
}

static void
test_strangers(Fixture *f, gconstpointer data)
{
  g_autoptr(InferNetwork) other = infer_network_new();
  InferTensor *x = in(&f->seed, FLOAT, INFER_DIMS(2, 3));
  InferTensor *y = infer_network_add_input(other, "y", FLOAT, D(2, 3), NULL, NULL);

  refused(
      f, infer_network_add_element_wise(f->network, x, y, INFER_ELEMENT_WISE_SUM, "bad", &f->error),
      INFER_ERROR_ARGUMENT, "'y' is of another network");
}

static void
test_tensor(Fixture *f, gconstpointer data)
{
  Seed *s = &f->seed;
  InferTensor *x = in(s, FLOAT, INFER_DIMS(2, 3)), *y, *z;

  y = infer_network_add_activation(f->network, x, INFER_ACTIVATION_RELU, 0, 0, "y", &f->error);
  z = infer_network_add_activation(f->network, y, INFER_ACTIVATION_SIGMOID, 0, 0, "z", &f->error);
  g_assert_no_error(f->error);
  g_assert_true(infer_tensor_set_name(z, "y", &f->error));
  g_assert_true(infer_network_find_tensor(f->network, "y") == z);
  g_assert_cmpstr(y->name, !=, "y");
  g_assert_false(infer_tensor_set_name(z, x->name, NULL));
  g_assert_false(infer_tensor_set_name(z, "", NULL));

  g_assert_true(infer_tensor_set_type(x, INFER_TYPE_DOUBLE, &f->error));
  g_assert_cmpint(z->type, ==, INFER_TYPE_DOUBLE);
  /* A sigmoid of integers is none: everything stays as it was. */
  g_assert_false(infer_tensor_set_type(x, INFER_TYPE_INT32, NULL));
  g_assert_cmpint(x->type, ==, INFER_TYPE_DOUBLE);
  g_assert_cmpint(y->type, ==, INFER_TYPE_DOUBLE);
  g_assert_false(infer_tensor_set_type(y, FLOAT, NULL));
  g_assert_false(infer_tensor_set_type(x, (InferType)99, NULL));

  g_assert_true(infer_tensor_set_dynamic_range(z, 0, 1, &f->error));
  g_assert_true(z->has_range && z->range_max == 1);
  g_assert_false(infer_tensor_set_dynamic_range(z, 1, 1, NULL));
  g_assert_false(infer_tensor_set_dynamic_range(z, 0, INFINITY, NULL));
}

#define TEST(NAME, FUNC) g_test_add("/layers-refuse/" NAME, Fixture, NULL, set_up, FUNC, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("convolution", test_convolution);
  TEST("slice", test_slice);
  TEST("choices", test_choices);
  TEST("arrangement", test_arrangement);
  TEST("chain", test_chain);
  TEST("strangers", test_strangers);
  TEST("tensor", test_tensor);
  return g_test_run();
}
