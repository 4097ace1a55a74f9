/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control-net.h"

InferTensor *
control_add(InferNetwork *network, const char *op, GVariant *attrs, guint n, ...)
{
  g_autofree InferTensor **inputs = g_new0(InferTensor *, n + 1);
  g_autoptr(GError) error = NULL;
  InferNode *node;
  va_list args;

  va_start(args, n);
  for (guint i = 0; i < n; i++)
    inputs[i] = va_arg(args, InferTensor *);
  va_end(args);
  node = infer_network_add_node(network, op, NULL, inputs, n, attrs, 1, &error);
  g_assert_no_error(error);
  return node->outputs[0];
}

InferTensor *
control_number(InferNetwork *network, InferType type, double value)
{
  g_autoptr(InferArray) array = infer_array_new(type, &INFER_DIMS_SCALAR, NULL);

  infer_array_set_double(array, 0, value);
  return infer_network_add_constant(network, NULL, array);
}

InferTensor *
control_input(InferNetwork *network, const char *name, InferType type, InferDims dims)
{
  g_autoptr(GError) error = NULL;
  InferTensor *tensor =
      infer_network_add_input_value(network, name, INFER_KIND_TENSOR, type, &dims, &error);

  g_assert_no_error(error);
  return tensor;
}

void
control_output(InferNetwork *network, InferTensor *tensor, const char *name)
{
  g_autoptr(GError) error = NULL;

  infer_network_mark_output(network, tensor, name, &error);
  g_assert_no_error(error);
}

static InferNetwork *
branch(const char *op, double value)
{
  InferNetwork *graph = infer_network_new();
  InferTensor *x = control_input(graph, "x", INFER_TYPE_FLOAT, INFER_DIMS(3));

  control_output(graph,
                 control_add(graph, op, NULL, 2, x, control_number(graph, INFER_TYPE_FLOAT, value)),
                 "y");
  return graph;
}

InferNetwork *
control_net_if(void)
{
  InferNetwork *network = infer_network_new();
  InferTensor *yes = control_input(network, "yes", INFER_TYPE_BOOL, INFER_DIMS_SCALAR);
  InferTensor *x = control_input(network, "x", INFER_TYPE_FLOAT, INFER_DIMS(3));
  g_autoptr(InferNetwork) then_graph = branch("Add", 1);
  g_autoptr(InferNetwork) else_graph = branch("Mul", 10);
  g_autoptr(GError) error = NULL;
  InferNode *node =
      infer_network_add_if(network, "choice", yes, &x, 1, then_graph, else_graph, &error);

  g_assert_no_error(error);
  control_output(network, node->outputs[0], "y");
  return network;
}

InferNetwork *
control_net_loop(void)
{
  InferNetwork *network = infer_network_new();
  InferTensor *trips = control_input(network, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  InferTensor *x = control_input(network, "x", INFER_TYPE_FLOAT, INFER_DIMS(2));
  g_autoptr(InferNetwork) body = infer_network_new();
  InferTensor *going, *sum, *two, *next;
  g_autoptr(GError) error = NULL;
  InferNode *node;

  control_input(body, "iteration", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  going = control_input(body, "going", INFER_TYPE_BOOL, INFER_DIMS_SCALAR);
  sum = control_input(body, "sum", INFER_TYPE_FLOAT, INFER_DIMS(2));
  two = control_input(body, "two", INFER_TYPE_FLOAT, INFER_DIMS_SCALAR);
  next = control_add(body, "Mul", NULL, 2, sum, two);
  control_output(body, going, "going_on");
  control_output(body, next, "next");
  control_output(body, next, "step");
  two = control_number(network, INFER_TYPE_FLOAT, 2);
  node = infer_network_add_loop(network, "doubling", trips, NULL, &x, 1, &two, 1, body, &error);
  g_assert_no_error(error);
  control_output(network, node->outputs[0], "sum");
  control_output(network, node->outputs[1], "steps");
  return network;
}

InferNetwork *
control_net_sequence(void)
{
  InferNetwork *network = infer_network_new();
  InferTensor *at = control_input(network, "at", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  g_autoptr(GError) error = NULL;
  InferTensor *list = infer_network_add_input_value(network, "list", INFER_KIND_SEQUENCE,
                                                    INFER_TYPE_FLOAT, NULL, &error);

  g_assert_no_error(error);
  control_output(network, control_add(network, "SequenceAt", NULL, 2, list, at), "item");
  control_output(network, control_add(network, "SequenceLength", NULL, 1, list), "count");
  control_output(network, control_add(network, "SequenceErase", NULL, 2, list, at), "rest");
  return network;
}

InferNetwork *
control_net_optional(void)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(InferNetwork) given = infer_network_new();
  g_autoptr(InferNetwork) absent = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *maybe = infer_network_add_input_value(network, "maybe", INFER_KIND_OPTIONAL,
                                                     INFER_TYPE_FLOAT, &INFER_DIMS(1), &error);
  InferTensor *has = control_add(network, "OptionalHasElement", NULL, 1, maybe), *inner;
  g_autoptr(InferArray) seven = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1), NULL);
  InferNode *node;

  g_assert_no_error(error);
  *(float *)seven->data = 7;
  inner = infer_network_add_input_value(given, "maybe", INFER_KIND_OPTIONAL, INFER_TYPE_FLOAT,
                                        &INFER_DIMS(1), NULL);
  control_output(given, control_add(given, "OptionalGetElement", NULL, 1, inner), "value");
  infer_network_add_input_value(absent, "maybe", INFER_KIND_OPTIONAL, INFER_TYPE_FLOAT,
                                &INFER_DIMS(1), NULL);
  control_output(absent, infer_network_add_constant(absent, "seven", seven), "value");
  node = infer_network_add_if(network, NULL, has, &maybe, 1, given, absent, &error);
  g_assert_no_error(error);
  control_output(network, has, "has");
  control_output(network, node->outputs[0], "value");
  return network;
}
