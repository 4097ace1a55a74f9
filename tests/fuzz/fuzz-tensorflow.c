/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libFuzzer target: whatever the bytes are, there is a network or an error. */
#include <infer/parsers.h>

#include "fuzz.h"
#include "graphdef-writer.h"

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_tensorflow_bytes(bytes, "fuzzed", NULL, &error);

  g_assert_true((network == NULL) == (error != NULL));
  if (network)
    g_assert_true(infer_network_validate(network, NULL));
  return 0;
}

/* An image through a convolution, a pool and a classifier. */
GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  GByteArray *graph = g_byte_array_new();
  const gint64 image[] = {-1, 8, 8, 3}, kernel[] = {3, 3, 3, 4}, matrix[] = {4, 2};
  const gint64 strides[] = {1, 2, 2, 1};
  const gint32 axes[] = {1, 2};
  float weights[108] = {0};
  GByteArray *conv;

  gw_placeholder(graph, "image", GW_FLOAT, image, 4);
  gw_floats(graph, "weights", weights, kernel, 4);
  conv = gw_node("conv", "Conv2D", "image", "weights", NULL);
  gw_string(conv, "padding", "SAME");
  gw_string(conv, "data_format", "NHWC");
  gw_ints(conv, "strides", strides, 4);
  gw_add(graph, conv);
  gw_op(graph, "relu", "Relu6", "conv", NULL);
  gw_int32s(graph, "axes", axes, 2);
  gw_op(graph, "mean", "Mean", "relu", "axes", NULL);
  gw_floats(graph, "matrix", weights, matrix, 2);
  gw_op(graph, "logits", "MatMul", "mean", "matrix", NULL);
  gw_op(graph, "softmax", "Softmax", "logits", NULL);
  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(graph));
  return seeds;
}
