/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers of models that plugins have, in every format. */
#include <infer/infer.h>
#include <infer/parsers.h>

#include <string.h>

#include "graphdef-writer.h"
#include "onnx-writer.h"
#include "plugin-layers.h"
#include "uff-writer.h"

static void
check_message(GError **error, const char *words)
{
  g_assert_nonnull(*error);
  if (!strstr((*error)->message, words))
    g_error("'%s' is not in '%s'", words, (*error)->message);
  g_clear_error(error);
}

/* The one node of a plugin, and that the network gives 1, 2, 3, 4 times @by plus @plus. */
static void
check_network(InferNetwork *network, const char *op, guint version, float by, float plus)
{
  static const float in[4] = {1, 2, 3, 4};
  g_autoptr(GError) error = NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GBytes) bytes = g_bytes_new_static(in, sizeof in);
  g_autoptr(GBytes) out = NULL;
  gboolean found = FALSE;
  const float *y;

  g_assert_true(infer_network_validate(network, &error));
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    found |=
        g_str_equal(infer_node_get_op_name(node), op) && infer_node_get_op_version(node) == version;
  }
  g_assert_true(found);
  infer_builder_set_device(builder, "cpu");
  engine = infer_builder_build(builder, network, "a test", NULL, &error);
  g_assert_no_error(error);
  context = infer_context_new(engine, &error);
  g_assert_true(infer_context_set_batch(context, 1, &error));
  infer_context_set_input_bytes(context, infer_network_get_input(network, 0)->name, bytes, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_run(context, &error));
  out = infer_context_get_output_bytes(context, infer_network_get_output(network, 0)->name, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_bytes_get_size(out), ==, sizeof in);
  y = g_bytes_get_data(out, NULL);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpfloat_with_epsilon(y[i], in[i] * by + plus, 1e-5);
}

/* --- ONNX --- */

static GByteArray *
onnx_layer(const char *op, const char *domain)
{
  GByteArray *node = ow_node(op, "x", "y");

  if (domain)
    pw_string(node, 7, domain);
  return node;
}

static InferNetwork *
onnx_parse(GByteArray *node, const char *domain, gint64 version, GError **error)
{
  GByteArray *graph = g_byte_array_new(), *model;

  ow_input(graph, "x", &INFER_DIMS(1, 4), NULL);
  ow_output(graph, "y");
  ow_add(graph, node);
  model = ow_model(graph, 18);
  if (domain)
    ow_opset(model, 8, domain, version);
  return ow_parse(model, error);
}

static void
test_onnx(void)
{
  g_autoptr(GError) error = NULL;
  GByteArray *node = onnx_layer("Scale", "test");

  ow_float(node, "factor", 3);
  ow_int(node, "offset", 2);
  ow_ints(node, "axes", (gint64[]){1, 2}, 2);
  {
    g_autoptr(InferNetwork) network = onnx_parse(node, "test", 1, &error);
    g_assert_no_error(error);
    check_network(network, "test.Scale", 1, 3, 2);
  }
  /* A model for version 2 and later gets the newest version that it may know. */
  plugin_layers_register(TRUE);
  for (gint64 opset = 1; opset <= 3; opset++) {
    g_autoptr(InferNetwork) network = NULL;
    node = onnx_layer("Scale", "test");
    ow_float(node, "factor", 3);
    network = onnx_parse(node, "test", opset, &error);
    g_assert_no_error(error);
    check_network(network, "test.Scale", (guint)MIN(opset, 2), 3, 0.25);
  }
}

/* In ONNX's own domain, as exporters write what TensorRT's plugins are to take. */
static void
test_onnx_default_domain(void)
{
  g_autoptr(GError) error = NULL;
  GByteArray *node = onnx_layer("Twice", NULL);

  ow_float(node, "factor", 3);
  ow_string(node, "plugin_version", "1");
  ow_string(node, "plugin_namespace", "other");
  {
    g_autoptr(InferNetwork) network = onnx_parse(node, NULL, 0, &error);
    g_assert_no_error(error);
    check_network(network, "other.Twice", 1, 3, 0.25);
  }
  g_assert_null(onnx_parse(onnx_layer("Twice", NULL), NULL, 0, &error));
  check_message(&error, "write the namespace too");
}

static void
test_onnx_errors(void)
{
  g_autoptr(GError) error = NULL;
  GByteArray *node;

  g_assert_null(onnx_parse(onnx_layer("None", "test"), "test", 1, &error));
  check_message(&error, "'test.None' registered");
  g_assert_null(onnx_parse(onnx_layer("Scale", "foreign"), "foreign", 1, &error));
  check_message(&error, "'foreign.Scale' registered");
  g_assert_null(onnx_parse(onnx_layer("Scale", "test"), "test", 1, &error));
  check_message(&error, "field 'factor' (a float) is missing");
  g_assert_null(onnx_parse(onnx_layer("Rows", "test"), "test", 3, &error));
  check_message(&error, "'test.Rows' of version 3 is not registered, there is version 4");
  node = onnx_layer("Scale", "test");
  ow_float(node, "factor", 3);
  ow_string(node, "colour", "red");
  g_assert_null(onnx_parse(node, "test", 1, &error));
  check_message(&error, "no field 'colour'");
  node = onnx_layer("Scale", "test");
  ow_string(node, "factor", "red");
  g_assert_null(onnx_parse(node, "test", 1, &error));
  check_message(&error, "field 'factor' is a float");
  node = onnx_layer("Scale", "test");
  ow_graph(node, "factor", g_byte_array_new());
  g_assert_null(onnx_parse(node, "test", 1, &error));
  check_message(&error, "'factor' is a tensor or a graph");
}

/* --- Caffe --- */

#define CAFFE_INPUT                                                                                \
  "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [1, 4] } } }\n"
#define CAFFE_LAYER(TYPE, MORE)                                                                    \
  CAFFE_INPUT "layer { name: 'l' type: '" TYPE "' bottom: 'x' top: 'y' " MORE " }"

static InferNetwork *
caffe_parse(const char *text, GByteArray *model, GError **error)
{
  g_autoptr(GBytes) net = g_bytes_new_static(text, strlen(text));
  g_autoptr(GBytes) weights = model ? g_byte_array_free_to_bytes(model) : NULL;

  return infer_parse_caffe_bytes(net, weights, "test", NULL, error);
}

static GByteArray *
caffe_weights(void)
{
  static const float values[2] = {1, 2};
  GByteArray *net = g_byte_array_new(), *layer = g_byte_array_new(), *blob = g_byte_array_new();

  pw_message(blob, 7, pw_ints((gint64[]){2}, 1));
  pw_bytes(blob, 5, values, sizeof values);
  pw_string(layer, 1, "l");
  pw_string(layer, 2, "Reference");
  pw_message(layer, 7, blob);
  pw_message(net, 100, layer);
  return net;
}

static void
test_caffe(void)
{
  static const char *const text = CAFFE_LAYER(
      "Reference", "reference_param { factor: 2 offset: -1.5 axes: [1, 2] axes: 3 label: "
                   "'it' names: 'a' names: RED blob: 'xy' order: 0x10 }");
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = caffe_parse(text, NULL, &error);
  g_autoptr(InferNetwork) weighted = NULL;
  g_autofree const char **names = NULL;
  const InferNode *node;
  const gint64 *axes;
  gsize n;

  g_assert_no_error(error);
  check_network(network, "test.Reference", 1, 2, -1.5f);
  node = infer_network_get_node(network, 0);
  axes = infer_node_get_ints(node, "axes", &n);
  g_assert_true(n == 3 && axes[0] == 1 && axes[2] == 3);
  g_assert_cmpstr(infer_node_get_string(node, "label", NULL), ==, "it");
  names = infer_node_get_strings(node, "names");
  g_assert_cmpstrv(names, ((const char *[]){"a", "RED", NULL}));
  g_assert_cmpint(infer_node_get_int(node, "order", 0), ==, 16);
  /* Weights follow the bottoms as constants. */
  weighted = caffe_parse(text, caffe_weights(), &error);
  g_assert_no_error(error);
  check_network(weighted, "test.Reference", 1, 2, 1.5f);
}

/* A layer in Python goes to the plugin of its class with each of its parameters. */
static void
test_caffe_python(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network =
      caffe_parse(CAFFE_LAYER("Python", "python_param { module: 'layers' layer: 'Reference' "
                                        "param_str: \"{'factor': 2, 'offset': -1.5, 'axes': [1, 2, "
                                        "3], 'label': 'it'}\" }"),
                  NULL, &error);
  const gint64 *axes;
  gsize n;

  g_assert_no_error(error);
  check_network(network, "test.Reference", 1, 2, -1.5f);
  axes = infer_node_get_ints(infer_network_get_node(network, 0), "axes", &n);
  g_assert_true(n == 3 && axes[0] == 1 && axes[2] == 3);
}

static void
check_caffe_error(const char *text, const char *words)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(caffe_parse(text, NULL, &error));
  check_message(&error, words);
}

static void
test_caffe_errors(void)
{
  check_caffe_error(CAFFE_LAYER("Magic", "magic_param { a: 1 }"), "no plugin of that name");
  check_caffe_error(CAFFE_LAYER("ReLU", "magic_param { a: 1 }"),
                    "line 2: LayerParameter has no field 'magic_param'");
  check_caffe_error(CAFFE_LAYER("Reference", "magic: 1"), "LayerParameter has no field 'magic'");
  check_caffe_error(CAFFE_LAYER("Reference", "magic_param: 1"), "has no field 'magic_param'");
  check_caffe_error(CAFFE_LAYER("Reference", "p_param { colour: 1 }"), "no field 'colour'");
  check_caffe_error(CAFFE_LAYER("Reference", "p_param { factor { a: 1 } }"),
                    "field 'factor' is a float");
  check_caffe_error(CAFFE_LAYER("Reference", "p_param { factor: [1, 2] }"),
                    "field 'factor' is a float");
  check_caffe_error(CAFFE_LAYER("Reference", "p_param { factor: [1, 2 }"), "',' or ']' is missing");
  check_caffe_error(CAFFE_LAYER("Reference", "p_param { factor: 1"), "has no '}'");
  check_caffe_error(CAFFE_LAYER("Reference", "p_param { a{a{a{a{a{a{a{a{a{a{a{ } }"),
                    "nested too deeply");
  check_caffe_error(
      CAFFE_LAYER("Python", "python_param { layer: 'Reference' param_str: 'factor' }"),
      "are not understood");
  check_caffe_error(CAFFE_LAYER("Reference", ""), "field 'factor' (a float) is missing");
}

/* --- TensorFlow --- */

static void
test_tensorflow(void)
{
  static const char *const names[] = {"Reference", "test>Reference"};

  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    GByteArray *graph = g_byte_array_new(), *node = gw_node("x", "Placeholder", NULL);
    GByteArray *shape = g_byte_array_new(), *value = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(InferNetwork) network = NULL;

    for (guint k = 0; k < 2; k++) {
      GByteArray *dim = g_byte_array_new();
      pw_int(dim, 1, k ? 4 : 1);
      pw_message(shape, 2, dim);
    }
    pw_message(value, 7, shape);
    gw_attr(node, "shape", value);
    gw_type(node, "dtype", GW_FLOAT);
    gw_add(graph, node);
    node = gw_node("y", names[i], "x", NULL);
    gw_type(node, "T", GW_FLOAT);
    gw_string(node, "_class", "loc:@x");
    gw_int(node, "factor", 4);
    gw_string(node, "label", "it");
    gw_ints(node, "axes", (gint64[]){5}, 1);
    gw_add(graph, node);
    bytes = g_byte_array_free_to_bytes(graph);
    network = infer_parse_tensorflow_bytes(bytes, "test", NULL, &error);
    g_assert_no_error(error);
    check_network(network, "test.Reference", 1, 4, 0.25);
  }
}

/* --- UFF --- */

static InferNetwork *
uff_parse(const char *operation, GByteArray *fields, GError **error)
{
  GByteArray *graph = g_byte_array_new(), *input = g_byte_array_new();
  g_autoptr(GBytes) bytes = NULL;

  pw_message(input, 4, uff_entry("shape", uff_list_data((gint64[]){-1, 4}, 2)));
  uff_node(graph, "x", "Input", input, NULL, NULL);
  uff_node(graph, "y", operation, fields, "x", NULL);
  bytes = g_byte_array_free_to_bytes(uff_meta(graph, NULL));
  return infer_parse_uff_bytes(bytes, "test", NULL, error);
}

static void
test_uff(void)
{
  const double factor = 2.5;
  GByteArray *fields = g_byte_array_new(), *number = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = NULL;

  pw_varint(number, 3 << 3 | 1);
  g_byte_array_append(number, (const guint8 *)&factor, sizeof factor);
  pw_message(fields, 4, uff_entry("factor_u_float", number));
  pw_message(fields, 4, uff_entry("axes_u_ilist", uff_list_data((gint64[]){1, 2}, 2)));
  pw_message(fields, 4, uff_entry("label_u_str", uff_text_data(1, "it")));
  uff_orders(fields, FALSE);
  network = uff_parse("_Reference", fields, &error);
  g_assert_no_error(error);
  check_network(network, "test.Reference", 1, 2.5, 0.25);
  g_assert_null(uff_parse("_Nobody_TRT", NULL, &error));
  check_message(&error, "no plugin of the name 'Nobody_TRT' is registered");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  plugin_layers_register(FALSE);
  g_test_add_func("/plugin-models/onnx", test_onnx);
  g_test_add_func("/plugin-models/onnx-default-domain", test_onnx_default_domain);
  g_test_add_func("/plugin-models/onnx-errors", test_onnx_errors);
  g_test_add_func("/plugin-models/caffe", test_caffe);
  g_test_add_func("/plugin-models/caffe-python", test_caffe_python);
  g_test_add_func("/plugin-models/caffe-errors", test_caffe_errors);
  g_test_add_func("/plugin-models/tensorflow", test_tensorflow);
  g_test_add_func("/plugin-models/uff", test_uff);
  return g_test_run();
}
