/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/parsers.h>

#include "uff-writer.h"

#include <string.h>

static InferNetwork *
parse(GByteArray *graph, const char *shape, GError **error)
{
  const char *shapes[] = {shape, NULL};
  const InferParseOptions options = {.shapes = shapes};
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(graph);

  return infer_parse_uff_bytes(bytes, "graph", &options, error);
}

/* A convolution of one by one that doubles and triples, a bias, and the maximum of four pixels. */
static void
test_layers(void)
{
  GError *error = NULL;
  const float pixels[4] = {-1, 2, 3, -4}, bias[2] = {1, -1}, want[2] = {7, 8};
  g_autoptr(InferNetwork) network = parse(uff_small(bias), NULL, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_autoptr(InferBuilder) builder = infer_builder_new();
  infer_builder_set_device(builder, "cpu");
  g_autoptr(InferEngine) engine = infer_builder_build(builder, network, "graph", NULL, &error);
  g_assert_no_error(error);
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_set_batch(context, 1, &error));
  g_autoptr(GBytes) in = g_bytes_new(pixels, sizeof pixels);
  g_assert_true(infer_context_set_input_bytes(context, "in", in, &error));
  g_assert_true(infer_context_run(context, &error));
  g_autoptr(GBytes) out = infer_context_get_output_bytes(context, "pool", &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_bytes_get_size(out), ==, sizeof want);
  g_assert_cmpint(memcmp(g_bytes_get_data(out, NULL), want, sizeof want), ==, 0);
}

static void
check_error(GByteArray *graph, const char *shape, const char *message)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = parse(graph, shape, &error);

  g_assert_null(network);
  if (!strstr(error->message, message)) {
    g_test_message("'%s' is not in: %s", message, error->message);
    g_test_fail();
  }
}

static void
test_errors(void)
{
  GByteArray *graph = g_byte_array_new();
  uff_node(graph, "in", "Input", NULL, NULL, NULL);
  check_error(uff_meta(graph, NULL), NULL, "does not say its dimensions");

  graph = g_byte_array_new();
  uff_node(graph, "in", "Input", NULL, NULL, NULL);
  uff_node(graph, "x", "_Plugin_TRT", NULL, "in", NULL);
  check_error(uff_meta(graph, NULL), "in:4x4x1", "'x' (_Plugin_TRT)");

  graph = g_byte_array_new();
  uff_node(graph, "a", "Identity", NULL, "b", NULL);
  uff_node(graph, "b", "Identity", NULL, "a", NULL);
  uff_node(graph, "c", "Identity", NULL, "b", NULL);
  check_error(uff_meta(graph, NULL), NULL, "a cycle");

  graph = g_byte_array_new();
  uff_node(graph, "a", "Identity", NULL, "nobody", NULL);
  check_error(uff_meta(graph, NULL), NULL, "which is not in the graph");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/uff/layers", test_layers);
  g_test_add_func("/uff/errors", test_errors);
  return g_test_run();
}
