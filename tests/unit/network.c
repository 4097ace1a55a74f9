/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/infer.h>

#include <string.h>

#include "small-net.h"

static InferTensor *
input(InferNetwork *network, const char *name, InferDims dims)
{
  GError *error = NULL;
  InferTensor *tensor =
      infer_network_add_input(network, name, INFER_TYPE_FLOAT, &dims, NULL, &error);

  g_assert_no_error(error);
  return tensor;
}

static void
test_errors_name_the_node(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = input(network, "x", INFER_DIMS(2, 3));
  InferTensor *y = input(network, "y", INFER_DIMS(4, 5));
  g_autoptr(GError) error = NULL;

  g_assert_null(
      infer_network_add_node(network, "Add", "sum", (InferTensor *[]){x, y}, 2, NULL, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_assert_nonnull(strstr(error->message, "'sum' (Add)"));
  g_assert_nonnull(strstr(error->message, "2x3"));
  g_clear_error(&error);
  g_assert_null(infer_network_add_node(network, "Frobnicate", "odd", &x, 1, NULL, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  g_assert_nonnull(strstr(error->message, "Frobnicate"));
  g_clear_error(&error);
  g_assert_null(
      infer_network_add_node(network, "Relu", "r", (InferTensor *[]){x, y}, 2, NULL, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_null(infer_network_add_node(network, "Relu", "r", &x, 1,
                                       infer_attrs_new("slope", 'f', 1.0, NULL), 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_assert_nonnull(strstr(error->message, "slope"));
}

static void
test_inputs(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferDims dims = INFER_DIMS(1, 2);

  input(network, "x", dims);
  g_assert_null(infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &dims, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  dims.d[0] = INFER_DIM_SYMBOL(3);
  g_assert_null(infer_network_add_input(network, "y", INFER_TYPE_FLOAT, &dims, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_clear_error(&error);
  dims = INFER_DIMS(G_MAXINT64, G_MAXINT64);
  g_assert_null(infer_network_add_input(network, "z", INFER_TYPE_FLOAT, &dims, NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
}

static void
test_names(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = input(network, "x", INFER_DIMS(4));
  g_autoptr(GError) error = NULL;
  InferNode *a = infer_network_add_node(network, "Relu", "same", &x, 1, NULL, 1, &error);
  InferNode *b = infer_network_add_node(network, "Relu", "same", &x, 1, NULL, 1, &error);

  g_assert_cmpstr(a->outputs[0]->name, ==, "same");
  g_assert_cmpstr(b->outputs[0]->name, !=, "same");
  g_assert_true(infer_network_mark_output(network, b->outputs[0], "y", &error));
  g_assert_true(infer_network_find_tensor(network, "y") == b->outputs[0]);
  g_assert_false(infer_network_mark_output(network, a->outputs[0], "y", &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  /* An input leaves through a copy. */
  g_assert_true(infer_network_mark_output(network, x, "copy", &error));
  g_assert_false(x->is_output);
  g_assert_true(infer_network_validate(network, &error));
}

static void
test_attributes(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = input(network, "x", INFER_DIMS(2, 3, 4));
  gint64 perm[] = {2, 0, 1};
  gsize n;
  InferNode *node =
      infer_network_add_node(network, "Transpose", NULL, &x, 1,
                             infer_attrs_new("perm", 'I', perm, (gsize)3, NULL), 1, NULL);

  g_assert_cmpmem(infer_node_get_ints(node, "perm", &n), 24, perm, 24);
  g_assert_cmpuint(n, ==, 3);
  g_assert_null(infer_node_get_ints(node, "absent", &n));
  g_assert_cmpint(infer_node_get_int(node, "perm", 7), ==, 7); /* another kind */
  g_assert_true(infer_dims_equal(&node->outputs[0]->dims, &INFER_DIMS(4, 2, 3)));
}

static void
test_symbols(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  InferTensor *boxes = infer_network_find_tensor(network, "boxes");
  InferTensor *codes = infer_network_find_tensor(network, "head/boxes/reshape");

  g_assert_true(infer_dims_equal(&codes->dims, &INFER_DIMS(INFER_DIM_SYMBOL(0), 128, 4)));
  g_assert_true(infer_dims_equal(&boxes->dims, &INFER_DIMS(INFER_DIM_SYMBOL(0), 20, 4)));
  g_assert_true(infer_network_validate(network, NULL));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/network/errors-name-the-node", test_errors_name_the_node);
  g_test_add_func("/network/inputs", test_inputs);
  g_test_add_func("/network/names", test_names);
  g_test_add_func("/network/attributes", test_attributes);
  g_test_add_func("/network/symbols", test_symbols);
  return g_test_run();
}
