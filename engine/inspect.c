/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-private.h"

/* JSON without a library: libinfer depends on GLib alone, and only writes it. */
static void
append_string(GString *json, const char *text)
{
  g_string_append_c(json, '"');
  for (const char *p = text; *p; p++) {
    if (*p == '"' || *p == '\\')
      g_string_append_c(json, '\\');
    if ((guchar)*p < 0x20)
      g_string_append_printf(json, "\\u%04x", (guchar)*p);
    else
      g_string_append_c(json, *p);
  }
  g_string_append_c(json, '"');
}

static const char *
layout_name(const InferOrder *order)
{
  InferOrder row_major = infer_order_row_major(order->n);
  InferOrder channels_last = infer_order_channels_last(order->n);

  if (infer_order_equal(order, &row_major))
    return "row-major";
  return infer_order_equal(order, &channels_last) ? "channels-last" : "permuted";
}

static void
append_tensors(GString *json, const InferProgram *program, InferTensor *const *tensors, guint n)
{
  g_string_append_c(json, '[');
  for (guint i = 0; i < n; i++) {
    const InferTensor *tensor = tensors[i];
    g_autofree char *dims = infer_dims_to_string(&tensor->dims);

    g_string_append(json, i ? ", {\"Name\": " : "{\"Name\": ");
    append_string(json, tensor->name);
    g_string_append_printf(
        json, ", \"Dimensions\": \"%s\", \"Format/Datatype\": \"%s %s\"%s}", dims,
        tensor->value ? "constant" : layout_name(&program->orders[tensor->index]),
        infer_type_name(tensor->type), "");
  }
  g_string_append_c(json, ']');
}

/* What sub-networks hold, and what is in those. */
static void
append_graphs(GString *json, const InferNode *node)
{
  g_string_append(json, ", \"SubNetworks\": [");
  for (guint i = 0; i < node->n_graphs; i++) {
    InferNetwork *graph = node->graphs[i];

    g_string_append(json, i ? ", [" : "[");
    for (guint k = 0; k < infer_network_get_n_nodes(graph); k++) {
      const InferNode *inner = infer_network_get_node(graph, k);
      g_string_append(json, k ? ", {\"Name\": " : "{\"Name\": ");
      append_string(json, inner->name);
      g_string_append(json, ", \"LayerType\": ");
      append_string(json, inner->op->name);
      if (inner->n_graphs > 0)
        append_graphs(json, inner);
      g_string_append_c(json, '}');
    }
    g_string_append_c(json, ']');
  }
  g_string_append_c(json, ']');
}

static void
append_values(GString *json, InferTensor *const *tensors, guint n)
{
  gboolean first = TRUE;

  g_string_append_c(json, '[');
  for (guint i = 0; i < n; i++) {
    if (!tensors[i])
      continue;
    g_string_append(json, first ? "{\"Name\": " : ", {\"Name\": ");
    append_string(json, tensors[i]->name);
    g_string_append_printf(json, ", \"Format/Datatype\": \"%s %s\"}",
                           infer_kind_name(tensors[i]->kind), infer_type_name(tensors[i]->type));
    first = FALSE;
  }
  g_string_append_c(json, ']');
}

/* A node that depends on data is evaluated on the host, behind the steps. */
static void
append_host_node(GString *json, const InferNode *node)
{
  g_string_append(json, "    {\"Name\": ");
  append_string(json, node->name);
  g_string_append(json, ", \"LayerType\": ");
  append_string(json, node->op->name);
  g_string_append(json, ", \"Implementation\": \"host\",\n     \"Inputs\": ");
  append_values(json, node->inputs, node->n_inputs);
  g_string_append(json, ",\n     \"Outputs\": ");
  append_values(json, node->outputs, node->n_outputs);
  if (node->n_graphs > 0)
    append_graphs(json, node);
  g_string_append_c(json, '}');
}

static void
append_step(GString *json, const InferProgram *program, const InferStep *step)
{
  g_string_append(json, "    {\"Name\": ");
  append_string(json, step->name);
  g_string_append(json, ", \"LayerType\": ");
  append_string(json, step->nodes[step->anchor]->op->name);
  g_string_append(json, ", \"Operators\": [");
  for (guint i = 0; i < step->n_nodes; i++) {
    g_string_append(json, i ? ", " : "");
    append_string(json, step->nodes[i]->op->name);
  }
  g_string_append(json, "], \"Implementation\": ");
  append_string(json, step->impl ? step->impl->name : "view");
  g_string_append(json, ",\n     \"Inputs\": ");
  append_tensors(json, program, step->inputs, step->n_inputs);
  g_string_append(json, ",\n     \"Outputs\": ");
  append_tensors(json, program, step->outputs, step->n_outputs);
  for (guint i = 0; i < step->n_nodes; i++)
    if (step->nodes[i]->n_graphs > 0)
      append_graphs(json, step->nodes[i]);
  g_string_append_c(json, '}');
}

char *
infer_engine_inspect(InferEngine *engine)
{
  const InferProgram *program = engine->program;
  GString *json = g_string_new("{\n  \"Source\": ");

  append_string(json, engine->source);
  g_string_append(json, ",\n  \"Device\": ");
  append_string(json, engine->device->name);
  g_string_append_printf(json, ",\n  \"MaxBatch\": %u,\n  \"Layers\": [\n", engine->max_batch);
  for (guint i = 0; i < program->steps->len; i++) {
    g_string_append(json, i ? ",\n" : "");
    append_step(json, program, program->steps->pdata[i]);
  }
  for (guint i = 0; engine->tail && i < infer_network_get_n_nodes(engine->tail); i++) {
    g_string_append(json, i || program->steps->len ? ",\n" : "");
    append_host_node(json, infer_network_get_node(engine->tail, i));
  }
  g_string_append(json, "\n  ],\n  \"Bindings\": [");
  for (guint i = 0; i < engine->bindings->len; i++) {
    g_string_append(json, i ? ", " : "");
    append_string(json, infer_engine_get_binding(engine, i)->name);
  }
  g_string_append(json, "]\n}\n");
  return g_string_free(json, FALSE);
}
