/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libFuzzer target: a caffemodel alone, with a net in it, and as the weights of one. */
#include <infer/parsers.h>

#include "fuzz.h"
#include "proto-writer.h"

#include <string.h>

static const char *const text = "input: 'x' input_dim: [1, 1, 2, 2]\n"
                                "layer { name: 'i' type: 'InnerProduct' bottom: 'x' top: 'i' "
                                "inner_product_param { num_output: 2 } }";

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GBytes) prototxt = g_bytes_new_static(text, strlen(text));

  for (guint i = 0; i < 2; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(InferNetwork) network =
        infer_parse_caffe_bytes(i ? prototxt : NULL, bytes, "fuzzed", NULL, &error);
    g_assert_true((network == NULL) == (error != NULL));
    if (network)
      g_assert_true(infer_network_validate(network, NULL));
  }
  g_autoptr(InferArray) mean = infer_caffe_parse_mean(bytes, "fuzzed", NULL);
  return 0;
}

static GByteArray *
weights(gboolean old)
{
  const float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  GByteArray *layer = g_byte_array_new(), *param = g_byte_array_new();

  pw_int(param, 1, 2);
  pw_string(layer, old ? 4 : 1, "i");
  if (old) {
    pw_int(layer, 5, 14);
  } else {
    pw_string(layer, 2, "InnerProduct");
  }
  pw_string(layer, old ? 2 : 3, "x");
  pw_string(layer, old ? 3 : 4, "i");
  for (guint i = 0; i < 2; i++) {
    GByteArray *blob = g_byte_array_new();
    pw_bytes(blob, 5, values, i ? 8 : 32);
    pw_message(blob, 7, pw_ints(i ? (const gint64[]){2} : (const gint64[]){2, 4}, i ? 1 : 2));
    pw_message(layer, old ? 6 : 7, blob);
  }
  pw_message(layer, old ? 17 : 117, param);
  for (guint i = 0; i < 2; i++) {
    GByteArray *spec = g_byte_array_new();
    pw_string(spec, 1, "w");
    if (old) {
      pw_string(layer, 1001, "w");
      g_byte_array_unref(spec);
    } else {
      pw_message(layer, 6, spec);
    }
  }
  return layer;
}

static const char numpy[] = "\x93NUMPY\1\0\x45\0{'descr': '<f4', 'fortran_order': False, "
                            "'shape': (1, 1, 2), }      \n\0\0\x80\x3f\0\0\0\x40";

GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

  for (guint old = 0; old < 2; old++) {
    GByteArray *net = g_byte_array_new();
    pw_string(net, 1, "net");
    pw_string(net, 3, "x");
    pw_message(net, 8, pw_ints((const gint64[]){1, 1, 2, 2}, 4));
    pw_message(net, old ? 2 : 100, weights(old == 1));
    g_ptr_array_add(seeds, g_byte_array_free_to_bytes(net));
  }
  g_ptr_array_add(seeds, g_bytes_new_static(numpy, sizeof numpy - 1));
  return seeds;
}
