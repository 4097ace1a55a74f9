/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

/* A string between quotes, as Graphviz reads it; \n stays a line break between its parts. */
static void
append_text(GString *dot, const char *text)
{
  for (const char *p = text; *p != '\0'; p++) {
    if (*p == '"' || *p == '\\')
      g_string_append_c(dot, '\\');
    g_string_append_c(dot, (guchar)*p < 0x20 ? ' ' : *p);
  }
}

static void
append_node(GString *dot, const char *kind, guint index, const char *shape, const char *first,
            const char *second, const char *third)
{
  const char *lines[] = {first, second, third};

  g_string_append_printf(dot, "    %s%u [shape=%s, label=\"", kind, index, shape);
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
    if (lines[i] == NULL)
      continue;
    if (i > 0)
      g_string_append(dot, "\\n");
    append_text(dot, lines[i]);
  }
  g_string_append(dot, "\"];\n");
}

/* @from: "kind index" of what writes the tensor. */
static void
append_edge(GString *dot, const char *from, const char *kind, guint index, const char *label)
{
  g_string_append_printf(dot, "    %s -> %s%u [label=\"", from, kind, index);
  append_text(dot, label);
  g_string_append(dot, "\"];\n");
}

/* What writes a tensor, once. */
static void
set_source(GHashTable *sources, const char *tensor, const char *kind, guint index)
{
  g_hash_table_insert(sources, g_strdup(tensor), g_strdup_printf("%s%u", kind, index));
}

/* --- as parsed --- */

static char *
describe_tensor(const InferTensor *tensor)
{
  g_autofree char *dims = infer_dims_to_string(&tensor->dims);

  return g_strdup_printf("%s %s", infer_type_name(tensor->type), dims);
}

static void
append_parsed_node(GString *dot, GHashTable *sources, const InferNode *node, guint index)
{
  append_node(dot, "n", index, "box", node->name, infer_node_get_op_name(node), NULL);
  for (guint j = 0; j < node->n_inputs; j++) {
    const char *from =
        node->inputs[j] != NULL ? g_hash_table_lookup(sources, node->inputs[j]->name) : NULL;
    if (from == NULL)
      continue;
    g_autofree char *label = describe_tensor(node->inputs[j]);
    append_edge(dot, from, "n", index, label);
  }
  for (guint j = 0; j < node->n_outputs; j++)
    set_source(sources, node->outputs[j]->name, "n", index);
}

static void
append_parsed(GString *dot, InferNetwork *network)
{
  g_autoptr(GHashTable) sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  guint n_inputs = infer_network_get_n_inputs(network);
  guint n_outputs = infer_network_get_n_outputs(network);
  guint n_nodes = infer_network_get_n_nodes(network);

  g_string_append_printf(dot, "  subgraph cluster_before {\n    label=\"as parsed: %u nodes\";\n",
                         n_nodes);
  for (guint i = 0; i < n_inputs; i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    g_autofree char *text = describe_tensor(input);
    append_node(dot, "i", i, "ellipse", input->name, text, NULL);
    set_source(sources, input->name, "i", i);
  }
  for (guint i = 0; i < n_nodes; i++)
    append_parsed_node(dot, sources, infer_network_get_node(network, i), i);
  for (guint i = 0; i < n_outputs; i++) {
    const InferTensor *output = infer_network_get_output(network, i);
    const char *from = g_hash_table_lookup(sources, output->name);
    g_autofree char *text = describe_tensor(output);
    append_node(dot, "o", i, "ellipse", output->name, text, NULL);
    if (from != NULL)
      append_edge(dot, from, "o", i, text);
  }
  g_string_append(dot, "  }\n");
}

static void
print_tensors(InferTensor *const *tensors, guint n)
{
  for (guint i = 0; i < n; i++) {
    g_autofree char *text = tensors[i] != NULL ? describe_tensor(tensors[i]) : NULL;
    if (text != NULL)
      printf("%s%s[%s]%s", i > 0 ? ", " : " ", tensors[i]->name, text,
             tensors[i]->value != NULL ? " constant" : "");
    else
      printf("%s-", i > 0 ? ", " : " ");
  }
}

void
exec_graph_print(InferNetwork *network)
{
  guint n = infer_network_get_n_nodes(network);

  exec_info("Layers as parsed: %u", n);
  for (guint i = 0; i < n; i++) {
    const InferNode *node = infer_network_get_node(network, i);
    printf("%s (%s):", node->name, infer_node_get_op_name(node));
    print_tensors(node->inputs, node->n_inputs);
    printf(" ->");
    print_tensors(node->outputs, node->n_outputs);
    printf("\n");
  }
}

/* --- the steps, as infer_engine_inspect() tells of them --- */

static void
append_reads(GString *dot, GHashTable *sources, JsonArray *inputs, guint index)
{
  for (guint j = 0; j < json_array_get_length(inputs); j++) {
    JsonObject *tensor = json_array_get_object_element(inputs, j);
    const char *name = json_object_get_string_member(tensor, "Name");
    const char *format = json_object_get_string_member(tensor, "Format/Datatype");
    const char *dims = json_object_get_string_member(tensor, "Dimensions");
    const char *from = g_hash_table_lookup(sources, name);
    if (g_str_has_prefix(format, "constant"))
      continue;
    if (from == NULL) {
      /* Nothing writes it, so it is an input of the engine. */
      guint number = g_hash_table_size(sources);
      append_node(dot, "x", number, "ellipse", name, NULL, NULL);
      set_source(sources, name, "x", number);
      from = g_hash_table_lookup(sources, name);
    }
    g_autofree char *label = g_strdup_printf("%s %s", format, dims);
    append_edge(dot, from, "s", index, label);
  }
}

static void
append_step(GString *dot, GHashTable *sources, JsonObject *step, guint index)
{
  g_autoptr(GString) ops = g_string_new(NULL);
  JsonArray *operators = json_object_get_array_member(step, "Operators");
  JsonArray *outputs = json_object_get_array_member(step, "Outputs");

  for (guint i = 0; i < json_array_get_length(operators); i++)
    g_string_append_printf(ops, "%s%s", i > 0 ? " + " : "",
                           json_array_get_string_element(operators, i));
  append_node(dot, "s", index, "box", json_object_get_string_member(step, "Name"), ops->str,
              json_object_get_string_member(step, "Implementation"));
  append_reads(dot, sources, json_object_get_array_member(step, "Inputs"), index);
  for (guint i = 0; i < json_array_get_length(outputs); i++)
    set_source(sources,
               json_object_get_string_member(json_array_get_object_element(outputs, i), "Name"),
               "s", index);
}

static gboolean
append_steps(GString *dot, InferEngine *engine, GError **error)
{
  g_autofree char *text = infer_engine_inspect(engine);
  g_autoptr(JsonParser) parser = json_parser_new();
  g_autoptr(GHashTable) sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

  if (!json_parser_load_from_data(parser, text, -1, error))
    return FALSE;
  JsonObject *root = json_node_get_object(json_parser_get_root(parser));
  JsonArray *steps = json_object_get_array_member(root, "Layers");
  guint n_steps = json_array_get_length(steps);
  g_string_append_printf(dot, "  subgraph cluster_after {\n    label=\"on %s: %u steps\";\n",
                         infer_engine_get_device(engine), n_steps);
  for (guint i = 0; i < n_steps; i++)
    append_step(dot, sources, json_array_get_object_element(steps, i), i);
  guint n = infer_engine_get_n_bindings(engine);
  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    const char *from = g_hash_table_lookup(sources, binding->name);
    if (binding->is_input || from == NULL)
      continue;
    g_autofree char *dims = infer_dims_to_string(&binding->dims);
    append_node(dot, "y", i, "ellipse", binding->name, NULL, NULL);
    append_edge(dot, from, "y", i, dims);
  }
  g_string_append(dot, "  }\n");
  return TRUE;
}

gboolean
exec_graph_export(const char *path, InferNetwork *parsed, InferEngine *engine, GError **error)
{
  g_autoptr(GString) dot = g_string_new("digraph model {\n  node [fontsize=10];\n"
                                        "  edge [fontsize=8];\n");

  if (parsed != NULL)
    append_parsed(dot, parsed);
  if (!append_steps(dot, engine, error))
    return FALSE;
  g_string_append(dot, "}\n");
  return exec_write_file(path, dot->str, dot->len, error);
}
