/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libFuzzer target: loads bytes as a plan, whose checksums are made to fit, and runs what loads.
 */
#include <infer/infer.h>

#include <string.h>
#include <xxhash.h>

#include "fuzz.h"
#include "plan.h"
#include "small-net.h"

static void
fix_hashes(guint8 *bytes, gsize size)
{
  InferPlanHeader header;

  if (size < sizeof header)
    return;
  memcpy(&header, bytes, sizeof header);
  if (header.table_size > size - sizeof header || header.data_offset > size)
    return;
  header.table_hash = XXH3_64bits(bytes + sizeof header, header.table_size);
  header.data_hash = XXH3_64bits(bytes + header.data_offset, size - header.data_offset);
  memcpy(bytes, &header, sizeof header);
}

/* A plan may ask for more memory than a fuzzer should give. */
static gboolean
is_small(InferEngine *engine)
{
  gsize sum = 0;

  for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++)
    sum += MIN(infer_engine_get_binding(engine, i)->max_size, G_MAXUINT32);
  return sum < (64u << 20);
}

/* The passes go over a network that came from the file. */
static void
refit(InferEngine *engine)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferRefit) refit = infer_refit_new(engine, &error);
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferEngine) made = NULL;

  if (refit && infer_refit_set_from_network(refit, network, NULL) > 0)
    made = infer_refit_commit(refit, NULL, &error);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  guint8 *copy = g_memdup2(data, size);
  g_autoptr(GBytes) bytes = g_bytes_new_take(copy, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;

  fix_hashes(copy, size);
  engine = infer_engine_new_from_bytes(bytes, "fuzzed", "cpu", 1, &error);
  if (engine && is_small(engine) && infer_engine_is_refittable(engine))
    refit(engine);
  if (engine && is_small(engine))
    context = infer_context_new(engine, &error);
  if (context && infer_context_set_batch(context, 1, &error))
    infer_context_run(context, &error);
  return 0;
}

GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  const char *const devices[] = {"cpu", "null", "cpu", "cpu"};

  for (guint i = 0; i < G_N_ELEMENTS(devices); i++) {
    g_autoptr(InferNetwork) network = small_net_new(1);
    g_autoptr(InferBuilder) builder = infer_builder_new();
    g_autoptr(InferEngine) engine = NULL;

    infer_builder_set_device(builder, devices[i]);
    infer_builder_set_threads(builder, 1);
    infer_builder_set_refittable(builder, i == 2);
    infer_builder_set_stripped(builder, i == 3);
    engine = infer_builder_build(builder, network, "a seed", NULL, NULL);
    g_assert_nonnull(engine);
    g_ptr_array_add(seeds, infer_engine_serialize(engine, NULL));
  }
  return seeds;
}
