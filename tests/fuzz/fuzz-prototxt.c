/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libFuzzer target: whatever the text is, there is a network or an error. */
#include <infer/parsers.h>

#include "fuzz.h"

#include <string.h>

/* Numbers of three digits and more would make large random weights, which only takes time. */
static gboolean
has_large_number(const guint8 *data, gsize size)
{
  gsize digits = 0;

  for (gsize i = 0; i < size; i++) {
    digits = g_ascii_isxdigit(data[i]) ? digits + (g_ascii_isdigit(data[i]) || digits > 0) : 0;
    if (digits > 2) {
      return TRUE;
    }
  }
  return FALSE;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GBytes) none = has_large_number(data, size) ? g_bytes_new(NULL, 0) : NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_caffe_bytes(bytes, none, "fuzzed", NULL, &error);

  g_assert_true((network == NULL) == (error != NULL));
  if (network)
    g_assert_true(infer_network_validate(network, NULL));
  return 0;
}

GPtrArray *
fuzz_seeds(void)
{
  static const char *const texts[] = {
      "input: 'x' input_dim: [1, 3, 9, 9]\n"
      "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'\n"
      "  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } "
      "}\n"
      "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' relu_param { negative_slope: 0.1 } }\n"
      "layer { name: 'p' type: 'Pooling' bottom: 'c' top: 'p' pooling_param { kernel_size: 3 "
      "stride: 2 } }\n"
      "layer { name: 'i' type: 'InnerProduct' bottom: 'p' top: 'i' inner_product_param { "
      "num_output: 5 } }\n"
      "layer { name: 's' type: 'Softmax' bottom: 'i' top: 's' }\n",
      "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 8 dim: 4 dim: 4 "
      "} } }\n"
      "layer { name: 'b' type: 'BatchNorm' bottom: 'x' top: 'b' }\n"
      "layer { name: 'k' type: 'Scale' bottom: 'b' top: 'b' scale_param { bias_term: true } }\n"
      "layer { name: 'h' type: 'Permute' bottom: 'b' top: 'h' permute_param { order: 0 order: 2 "
      "order: 3 } }\n"
      "layer { name: 'f' type: 'Flatten' bottom: 'h' top: 'f' }\n"
      "layer { name: 'q' type: 'PriorBox' bottom: 'b' bottom: 'x' top: 'q'\n"
      "  prior_box_param { min_size: 2 variance: 0.1 } }\n"
      "layer { name: 'v' type: 'Reshape' bottom: 'f' top: 'v' reshape_param { shape { dim: 0 dim: "
      "2 dim: -1 } } }\n",
      "input: 'x' input_dim: [3, 2, 4, 1] input: 'c' input_shape { dim: 3 dim: 2 }\n"
      "layer { name: 'l' type: 'LSTM' bottom: 'x' bottom: 'c' top: 'l' recurrent_param { "
      "num_output: "
      "3 } }\n"
      "layer { name: 'r' type: 'RNN' bottom: 'l' bottom: 'c' top: 'r' param { name: 'w' } "
      "recurrent_param { num_output: 2 } }\n",
      "input: 'x' input_dim: [1, 8, 6, 6] input: 'i' input_shape { dim: 1 dim: 3 }\n"
      "layer { name: 'p' type: 'Pooling' bottom: 'x' top: 'p' top: 'm' pooling_param { "
      "kernel_size: "
      "2 stride: 2 } }\n"
      "layer { name: 'u' type: 'Upsample' bottom: 'p' bottom: 'm' top: 'u' upsample_param { scale: "
      "2 "
      "} }\n"
      "layer { name: 's' type: 'Convolution' bottom: 'u' top: 's' param { name: 'w' } "
      "convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }\n"
      "layer { name: 'd' type: 'Convolution' bottom: 'u' top: 'd' convolution_param { num_output: "
      "4 "
      "kernel_size: 1 } }\n"
      "layer { name: 't' type: 'Python' bottom: 's' bottom: 'd' bottom: 'i' top: 't' python_param "
      "{ "
      "layer: 'ProposalLayer' param_str: \"{'feat_stride': 8, 'scales': (1,), 'ratios': [1]}\" } "
      "}\n"
      "layer { name: 'q' type: 'PSROIPooling' bottom: 'x' bottom: 't' top: 'q' psroi_pooling_param "
      "{ "
      "spatial_scale: 0.5 output_dim: 2 group_size: 2 } }\n",
      "layer { name: 'x' type: 'ImageData' top: 'x' top: 'l' image_data_param { new_height: 8 "
      "new_width: 8 } transform_param { mean_value: 9 scale: 0.5 } }\n"
      "layer { name: 'i' type: 'Interp' bottom: 'x' top: 'i' interp_param { zoom_factor: 2 "
      "pad_beg: "
      "-1 } }\n"
      "layer { name: 'o' type: 'Reorg' bottom: 'i' top: 'o' reorg_param { stride: 1 reverse: true "
      "} "
      "}\n"
      "layer { name: 'a' type: 'ArgMax' bottom: 'o' top: 'a' argmax_param { top_k: 2 out_max_val: "
      "true } }\n"
      "layer { name: 'e' type: 'Parameter' top: 'e' parameter_param { shape { dim: 2 } } }\n"};
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_ptr_array_add(seeds, g_bytes_new_static(texts[i], strlen(texts[i])));
  }
  return seeds;
}
