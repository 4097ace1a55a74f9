/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole networks: a plan that is loaded computes what the engine did that wrote it, a batch gives
 * bit for bit what its rows give alone, and tensors share memory. Prints TAP.
 */
#include <infer/infer.h>

#include <stdio.h>
#include <string.h>

#include "zoo.h"

#define BATCH 3
/* How much smaller the memory is than all tensors together. */
#define LEAST_SHARING 4

typedef struct {
  InferEngine *engine;
  const char *input, *output;
} Net;

static guint number, failures;

static void
report(gboolean ok, const char *network, const char *what)
{
  failures += !ok;
  printf("%sok %u - %s: %s\n", ok ? "" : "not ", ++number, network, what);
  fflush(stdout);
}

static InferEngine *
build(const ZooEntry *entry, GError **error)
{
  g_autoptr(InferNetwork) network = entry->create(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_max_batch(builder, BATCH);
  infer_builder_set_timing_cache(builder, "");
  /* The memory of tensors is looked at, and timing may choose a tactic that wants far more. */
  infer_builder_set_workspace_limit(builder, 1 << 20);
  /* The plain evaluation of these takes minutes; their layers are compared with it elsewhere. */
  infer_builder_set_verify(builder, FALSE);
  return infer_builder_build(builder, network, entry->name, NULL, error);
}

static Net
net_of(InferEngine *engine)
{
  Net net = {.engine = engine};

  for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (binding->is_input)
      net.input = binding->name;
    else
      net.output = binding->name;
  }
  return net;
}

/* The output of @rows pictures, @first the first of them, run as one batch. */
static GBytes *
run(const Net *net, InferContext *context, guint first, guint rows, GError **error)
{
  gsize size;
  float *image;
  gpointer output;

  if (!infer_context_set_batch(context, rows, error))
    return NULL;
  image = infer_context_map(context, net->input, &size, error);
  for (guint row = 0; image && row < rows; row++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(first + row);
    gsize n = size / sizeof(float) / rows;
    for (gsize i = 0; i < n; i++)
      image[row * n + i] = (float)g_rand_double_range(random, -1, 1);
  }
  if (!image || !infer_context_run(context, error))
    return NULL;
  output = infer_context_map(context, net->output, &size, error);
  return output ? g_bytes_new(output, size) : NULL;
}

static gboolean
rows_equal(const Net *net, InferContext *context, GBytes *batch)
{
  gsize size = g_bytes_get_size(batch) / BATCH;

  for (guint row = 0; row < BATCH; row++) {
    g_autoptr(GBytes) alone = run(net, context, row, 1, NULL);
    g_autoptr(GBytes) part = g_bytes_new_from_bytes(batch, row * size, size);
    if (!alone || !g_bytes_equal(alone, part))
      return FALSE;
  }
  return TRUE;
}

static void
check(const ZooEntry *entry)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = build(entry, &error);
  g_autoptr(GBytes) plan = engine ? infer_engine_serialize(engine, &error) : NULL;
  g_autoptr(InferEngine) loaded =
      plan ? infer_engine_new_from_bytes(plan, entry->name, "cpu", 0, &error) : NULL;
  g_autoptr(InferContext) first = loaded ? infer_context_new(engine, &error) : NULL;
  g_autoptr(InferContext) second = loaded ? infer_context_new(loaded, &error) : NULL;
  g_autoptr(GBytes) batch = NULL;
  g_autoptr(GBytes) again = NULL;
  Net net;
  gsize tensors, memory;

  if (!first || !second) {
    report(FALSE, entry->name, error->message);
    return;
  }
  net = net_of(engine);
  batch = run(&net, first, 0, BATCH, &error);
  again = run(&net, second, 0, BATCH, &error);
  report(batch && again && g_bytes_equal(batch, again), entry->name,
         "a loaded plan gives the same bits");
  report(batch && rows_equal(&net, first, batch), entry->name,
         "a batch gives the bits of its rows");
  memory = infer_context_get_memory_size(first, &tensors);
  report(memory * LEAST_SHARING <= tensors, entry->name, "tensors share memory");
}

int
main(int argc, char **argv)
{
  for (const ZooEntry *entry = zoo_entries; entry->name; entry++)
    if (argc < 2 || g_str_equal(argv[1], entry->name))
      check(entry);
  printf("1..%u\n", number);
  return failures || !number ? 1 : 0;
}
