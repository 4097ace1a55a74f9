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

GPtrArray *
fuzz_seeds(void)
{
  const float bias[2] = {1, 2};
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(uff_small(bias)));
  return seeds;
}
