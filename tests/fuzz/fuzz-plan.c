/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libFuzzer target: loads bytes as a plan, whose checksums are made to fit, and runs what loads.
 */
#include <infer/infer.h>

#include <string.h>
#include <xxhash.h>

#include "control-net.h"
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

/* Sequences and optionals have to be set before a run, which is stopped where it goes on. */
static void
set_values(InferContext *context, InferEngine *engine)
{
  for (guint i = 0; i < infer_engine_get_n_bindings(engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    g_autoptr(InferArray) item = NULL, value = NULL;

    if (!binding->is_input || binding->kind == INFER_KIND_TENSOR)
      continue;
    item = infer_array_new(binding->type, &INFER_DIMS(1), NULL);
    if (item && binding->kind == INFER_KIND_SEQUENCE)
      value = infer_array_new_sequence(binding->type, &item, 1, NULL);
    else if (item && binding->kind == INFER_KIND_OPTIONAL)
      value = infer_array_new_optional(binding->kind, binding->type, item, NULL);
    if (value)
      infer_context_set_value(context, binding->name, value, NULL);
  }
}

static gpointer
watch(gpointer data)
{
  GAsyncQueue *queue = g_object_get_data(data, "done");

  if (!g_async_queue_timeout_pop(queue, 200000))
    g_cancellable_cancel(data);
  return NULL;
}

/* A loop may go on for a million iterations. */
static void
run_watched(InferContext *context)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  GAsyncQueue *queue = g_async_queue_new();
  GThread *thread;

  g_object_set_data_full(G_OBJECT(cancellable), "done", queue, (GDestroyNotify)g_async_queue_unref);
  infer_context_set_cancellable(context, cancellable);
  thread = g_thread_new("watch", watch, cancellable);
  infer_context_run(context, NULL);
  g_async_queue_push(queue, cancellable);
  g_thread_join(thread);
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
  if (context && infer_context_set_batch(context, 1, &error)) {
    set_values(context, engine);
    run_watched(context);
  }
  return 0;
}

static void
add_seed(GPtrArray *seeds, InferNetwork *network, const char *device, gboolean refittable,
         gboolean stripped)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;

  infer_builder_set_device(builder, device);
  infer_builder_set_threads(builder, 1);
  infer_builder_set_refittable(builder, refittable);
  infer_builder_set_stripped(builder, stripped);
  engine = infer_builder_build(builder, network, "a seed", NULL, NULL);
  g_assert_nonnull(engine);
  g_ptr_array_add(seeds, infer_engine_serialize(engine, NULL));
}

GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  const char *const devices[] = {"cpu", "null", "cpu", "cpu"};
  InferNetwork *(*const control[])(void) = {control_net_if, control_net_loop, control_net_sequence,
                                            control_net_optional};

  for (guint i = 0; i < G_N_ELEMENTS(devices); i++) {
    g_autoptr(InferNetwork) network = small_net_new(1);
    add_seed(seeds, network, devices[i], i == 2, i == 3);
  }
  for (guint i = 0; i < G_N_ELEMENTS(control); i++) {
    g_autoptr(InferNetwork) network = control[i]();
    add_seed(seeds, network, "cpu", FALSE, FALSE);
  }
  return seeds;
}
