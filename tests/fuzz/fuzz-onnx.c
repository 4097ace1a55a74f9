/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libFuzzer target: whatever the bytes are, there is a network or an error. */
#include <infer/parsers.h>

#include "fuzz.h"
#include "onnx-writer.h"

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_onnx_bytes(bytes, "fuzzed", NULL, &error);

  g_assert_true((network == NULL) == (error != NULL));
  if (network)
    g_assert_true(infer_network_validate(network, NULL));
  return 0;
}

/* A convolution of opset 9 and what surrounds it in a classifier. */
static GByteArray *
classifier(void)
{
  GByteArray *graph = g_byte_array_new(), *node;
  const float weights[108] = {0};

  ow_input(graph, "image", &INFER_DIMS(-1, 3, 8, 8), "N");
  ow_constant(graph, "weights", INFER_TYPE_FLOAT, &INFER_DIMS(4, 3, 3, 3), weights);
  node = ow_node("Conv", "image weights", "conv");
  ow_ints(node, "pads", (const gint64[]){1, 1, 1, 1}, 4);
  ow_ints(node, "strides", (const gint64[]){2, 2}, 2);
  ow_add(graph, node);
  node = ow_node("Clip", "conv", "relu");
  ow_float(node, "min", 0);
  ow_float(node, "max", 6);
  ow_add(graph, node);
  ow_add(graph, ow_node("Shape", "relu", "shape"));
  node = ow_node("Slice", "shape", "rows");
  ow_ints(node, "starts", (const gint64[]){0}, 1);
  ow_ints(node, "ends", (const gint64[]){1}, 1);
  ow_add(graph, node);
  ow_ints_constant(graph, "rest", (const gint64[]){-1}, 1);
  node = ow_node("Concat", "rows rest", "target");
  ow_int(node, "axis", 0);
  ow_add(graph, node);
  ow_add(graph, ow_node("Reshape", "relu target", "flat"));
  ow_add(graph, ow_node("Softmax", "flat", "scores"));
  ow_output(graph, "scores");
  return ow_model(graph, 9);
}

/* A loop of three, a branch and a function. */
static GByteArray *
control(void)
{
  GByteArray *graph = g_byte_array_new(), *body = g_byte_array_new(), *node;
  GByteArray *then = g_byte_array_new(), *other = g_byte_array_new();
  GByteArray *function = g_byte_array_new(), *model;
  const gint64 three = 3;
  const guint8 yes = 1;

  pw_message(body, 11, ow_value("i", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, NULL));
  pw_message(body, 11, ow_value("going", INFER_TYPE_BOOL, &INFER_DIMS_SCALAR, NULL));
  ow_input(body, "sum", &INFER_DIMS(2), NULL);
  ow_add(body, ow_node("Identity", "going", "goes_on"));
  ow_add(body, ow_node("Add", "sum x", "more"));
  ow_output(body, "goes_on");
  ow_output(body, "more");
  ow_output(body, "more");
  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_constant(graph, "n", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, &three);
  ow_constant(graph, "yes", INFER_TYPE_BOOL, &INFER_DIMS_SCALAR, &yes);
  node = ow_node("Loop", "n yes x", "total steps");
  ow_graph(node, "body", body);
  ow_add(graph, node);
  ow_add(then, ow_node("Neg", "total", "a"));
  ow_output(then, "a");
  ow_add(other, ow_node("Abs", "total", "b"));
  ow_output(other, "b");
  node = ow_node("If", "yes", "chosen");
  ow_graph(node, "then_branch", then);
  ow_graph(node, "else_branch", other);
  ow_add(graph, node);
  node = ow_node("Twice", "chosen", "y");
  pw_string(node, 7, "mine");
  ow_add(graph, node);
  ow_output(graph, "y");
  ow_output(graph, "steps");
  pw_string(function, 1, "Twice");
  pw_string(function, 4, "v");
  pw_string(function, 5, "w");
  pw_message(function, 7, ow_node("Add", "v v", "w"));
  ow_opset(function, 9, "", 17);
  pw_string(function, 10, "mine");
  model = ow_model(graph, 17);
  pw_message(model, 25, function);
  return model;
}

GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(classifier()));
  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(control()));
  return seeds;
}
