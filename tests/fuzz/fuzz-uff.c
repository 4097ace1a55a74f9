/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libFuzzer target: whatever the bytes are, there is a network or an error. */
#include <infer/parsers.h>

#include "fuzz.h"
#include "uff-writer.h"

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_uff_bytes(bytes, "fuzzed", NULL, &error);

  g_assert_true((network == NULL) == (error != NULL));
  if (network)
    g_assert_true(infer_network_validate(network, NULL));
  return 0;
}

#define IN(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Slices, shapes, and a transposed convolution. */
static GByteArray *
moves(void)
{
  static const gint64 image[4] = {-1, 2, 2, 1}, filter[4] = {2, 2, 1, 1}, two[2] = {2, 2}, one = 1;
  static const float values[4] = {1, 2, 3, 4};
  static const gint32 zero = 0, first = 1, out[4] = {1, 4, 4, 1};
  GByteArray *graph = g_byte_array_new(), *data = g_byte_array_new();
  GByteArray *fields = g_byte_array_new();

  uff_set_ints(fields, "shape", image, 4);
  uff_node(graph, "x", "Input", fields, NULL, NULL);
  uff_const(graph, data, "f", values, filter, 4);
  uff_const_int32(graph, data, "o", out, (const gint64[]){4}, 1);
  uff_const_int32(graph, data, "b", &zero, &one, 1);
  uff_const_int32(graph, data, "e", &first, &one, 1);
  fields = g_byte_array_new();
  uff_set_ints(fields, "strides", two, 2);
  uff_set_text(fields, "implicit_padding", "same");
  uff_set_orders(fields, IN("N+C", "+KC"));
  uff_node_n(graph, "t", "ConvTranspose", fields, IN("x", "f", "o"));
  fields = g_byte_array_new();
  uff_set_int(fields, "window_size", 1);
  uff_node_n(graph, "l", "LRN", fields, IN("t"));
  uff_node_n(graph, "s", "Shape", NULL, IN("l"));
  fields = g_byte_array_new();
  uff_set_int(fields, "shrink_axis_mask", 1);
  uff_node_n(graph, "n", "StridedSlice", fields, IN("s", "b", "e", "e"));
  uff_node_n(graph, "d", "Stack", NULL, IN("n", "n"));
  fields = g_byte_array_new();
  uff_set_int(fields, "axis", 3);
  uff_node_n(graph, "a", "ArgMax", fields, IN("l"));
  return uff_meta(graph, data);
}

/* Anchors, and the suppression of what an input has. */
static GByteArray *
detector(void)
{
  static const gint64 codes[2] = {1, 12}, order[3] = {0, 1, 2}, maps[1] = {1};
  static const double ratios[3] = {1, 2, 0.5}, variance[4] = {0.1, 0.1, 0.2, 0.2};
  GByteArray *graph = g_byte_array_new(), *fields = g_byte_array_new();

  uff_set_ints(fields, "shape", codes, 2);
  uff_node(graph, "x", "Input", fields, NULL, NULL);
  fields = g_byte_array_new();
  uff_set_int(fields, "numLayers", 1);
  uff_set_doubles(fields, "aspectRatios", ratios, 3);
  uff_set_doubles(fields, "variance_u_flist", variance, 4);
  uff_set_ints(fields, "featureMapShapes", maps, 1);
  uff_node_n(graph, "g", "_GridAnchor_TRT", fields, NULL);
  uff_node_n(graph, "c", "Concat", NULL, IN("g", "g"));
  uff_node_n(graph, "f", "_FlattenConcat_TRT", NULL, IN("x"));
  fields = g_byte_array_new();
  uff_set_int(fields, "numClasses_u_int", 4);
  uff_set_int(fields, "topK", 2);
  uff_set_int(fields, "keepTopK", 2);
  uff_set_int(fields, "confSigmoid", 1);
  uff_set_ints(fields, "inputOrder", order, 3);
  uff_node_n(graph, "n", "_NMS_TRT", fields, IN("f", "x", "c"));
  uff_node(graph, "m", "MarkOutput", NULL, "n", NULL);
  return uff_meta(graph, NULL);
}

GPtrArray *
fuzz_seeds(void)
{
  const float bias[2] = {1, 2};
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(uff_small(bias)));
  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(moves()));
  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(detector()));
  return seeds;
}
