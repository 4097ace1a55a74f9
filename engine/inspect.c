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
  g_string_append(json, "\n  ],\n  \"Bindings\": [");
  for (guint i = 0; i < engine->bindings->len; i++) {
    g_string_append(json, i ? ", " : "");
    append_string(json, infer_engine_get_binding(engine, i)->name);
  }
  g_string_append(json, "]\n}\n");
  return g_string_free(json, FALSE);
}
