/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net-check.h"
#include "op.h"

#include <math.h>
#include <string.h>

static void
unref_array(gpointer array)
{
  if (array)
    infer_array_unref(array);
}

GPtrArray *
net_inputs(InferNetwork *network, guint rows, guint32 seed, GError **error)
{
  g_autoptr(GPtrArray) inputs = g_ptr_array_new_with_free_func(unref_array);
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *tensor = infer_network_get_input(network, i);
    double low = tensor->has_range ? (double)tensor->range_min : -1;
    double high = tensor->has_range ? (double)tensor->range_max : 1;
    InferDims dims = tensor->dims;
    InferArray *array;

    if (tensor->initial) {
      g_ptr_array_add(inputs, infer_array_ref(tensor->initial));
      continue;
    }
    for (gint k = 0; k < dims.n; k++)
      dims.d[k] = dims.d[k] < 0 ? rows : dims.d[k];
    array = infer_array_new(tensor->type, &dims, error);
    if (!array)
      return NULL;
    g_ptr_array_add(inputs, array);
    for (gint64 k = 0; k < infer_array_count(array); k++)
      infer_array_set_double(array, (gsize)k,
                             infer_type_is_float(tensor->type)
                                 ? g_rand_double_range(random, low, high)
                                 : (double)g_rand_int_range(random, 0, 3));
  }
  return g_steal_pointer(&inputs);
}

GHashTable *
net_evaluate(InferNetwork *network, GPtrArray *inputs, GError **error)
{
  g_autoptr(GHashTable) values = g_hash_table_new_full(NULL, NULL, NULL, unref_array);

  for (guint i = 0; i < inputs->len; i++)
    g_hash_table_insert(values, infer_network_get_input(network, i),
                        infer_array_ref(inputs->pdata[i]));
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    g_autofree const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
    g_autofree InferArray **out = g_new0(InferArray *, node->n_outputs + 1);

    for (guint k = 0; k < node->n_inputs; k++)
      if (node->inputs[k])
        in[k] = node->inputs[k]->value ? node->inputs[k]->value
                                       : g_hash_table_lookup(values, node->inputs[k]);
    if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
      return NULL;
    for (guint k = 0; k < node->n_outputs; k++)
      g_hash_table_insert(values, node->outputs[k], out[k]);
  }
  return g_steal_pointer(&values);
}

static gboolean
compare(InferContext *context, const InferTensor *output, const InferArray *want, double tolerance,
        GError **error)
{
  gsize size;
  gpointer data = infer_context_map(context, output->name, &size, error);
  g_autoptr(InferArray) have = NULL;

  if (!data)
    return FALSE;
  if (size != want->size) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "output '%s' has %" G_GSIZE_FORMAT " bytes, not %" G_GSIZE_FORMAT, output->name,
                size, want->size);
    return FALSE;
  }
  have = infer_array_new_view(want->type, &want->dims, data);
  for (gint64 i = 0; i < infer_array_count(want); i++) {
    double a = infer_array_get_double(want, (gsize)i), b = infer_array_get_double(have, (gsize)i);

    if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (1 + fabs(a)))
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "output '%s': element %" G_GINT64_FORMAT " is %.9g, not %.9g", output->name, i, b,
                a);
    return FALSE;
  }
  return TRUE;
}

/* An engine from the plan of an engine. */
static InferEngine *
build_and_load(InferNetwork *network, const char *device, guint rows, GError **error)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(GBytes) plan = NULL;

  infer_builder_set_device(builder, device);
  infer_builder_set_max_batch(builder, rows);
  infer_builder_set_verify(builder, FALSE);
  engine = infer_builder_build(builder, network, "a test", NULL, error);
  plan = engine ? infer_engine_serialize(engine, error) : NULL;
  return plan ? infer_engine_new_from_bytes(plan, "a test", device, 0, error) : NULL;
}

gboolean
net_check(InferNetwork *network, const char *device, guint rows, guint32 seed, double tolerance,
          GError **error)
{
  g_autoptr(GPtrArray) inputs = net_inputs(network, rows, seed, error);
  g_autoptr(GHashTable) want = inputs ? net_evaluate(network, inputs, error) : NULL;
  g_autoptr(InferEngine) engine = want ? build_and_load(network, device, rows, error) : NULL;
  g_autoptr(InferContext) context = engine ? infer_context_new(engine, error) : NULL;

  if (!context || !infer_context_set_batch(context, infer_engine_get_max_batch(engine), error))
    return FALSE;
  for (guint i = 0; i < inputs->len; i++) {
    const InferArray *array = inputs->pdata[i];
    g_autoptr(GBytes) bytes = infer_array_get_bytes(array);

    if (!infer_context_set_input_bytes(context, infer_network_get_input(network, i)->name, bytes,
                                       error))
      return FALSE;
  }
  if (!infer_context_run(context, error))
    return FALSE;
  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    const InferTensor *output = infer_network_get_output(network, i);

    if (!compare(context, output, g_hash_table_lookup(want, output), tolerance, error))
      return FALSE;
  }
  return TRUE;
}
