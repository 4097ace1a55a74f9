/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onnx-writer.h"

#include <glib/gstdio.h>
#include <unistd.h>

/* --- helpers --- */

static void
unref_array(gpointer array)
{
  infer_array_unref(array);
}

/* Output @index of a network whose inputs are all @input, node by node. */
static InferArray *
evaluate(InferNetwork *network, InferArray *input, guint index)
{
  g_autoptr(GHashTable) values = g_hash_table_new_full(NULL, NULL, NULL, unref_array);
  GError *error = NULL;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++)
    g_hash_table_insert(values, infer_network_get_input(network, i), infer_array_ref(input));
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    const InferArray *in[16] = {NULL};
    InferArray *out[16] = {NULL};
    for (guint k = 0; k < node->n_inputs; k++)
      if (node->inputs[k] != NULL)
        in[k] = node->inputs[k]->value ? node->inputs[k]->value
                                       : g_hash_table_lookup(values, node->inputs[k]);
    infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, &error);
    g_assert_no_error(error);
    for (guint k = 0; k < node->n_outputs; k++)
      g_hash_table_insert(values, node->outputs[k], out[k]);
  }
  return infer_array_ref(g_hash_table_lookup(values, infer_network_get_output(network, index)));
}

static InferArray *
floats(const InferDims *dims, const float *values)
{
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);
  memcpy(array->data, values, array->size);
  return array;
}

static InferNetwork *
parse(GByteArray *model)
{
  GError *error = NULL;
  InferNetwork *network = ow_parse(model, &error);

  g_assert_no_error(error);
  infer_network_validate(network, &error);
  g_assert_no_error(error);
  return network;
}

/* Runs a model of one input of @dims, and compares output @index. */
static void
check(InferNetwork *network, const InferDims *dims, const float *input, guint index,
      const InferDims *want_dims, const float *want)
{
  g_autoptr(InferArray) in = floats(dims, input);
  g_autoptr(InferArray) out = evaluate(network, in, index);

  g_assert_true(infer_dims_equal(&out->dims, want_dims));
  for (gint64 i = 0; i < infer_array_count(out); i++)
    g_assert_cmpfloat_with_epsilon(infer_array_get_double(out, (gsize)i), (double)want[i], 1e-5);
}

static void
check_refused(GByteArray *model, const char *const *words)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = ow_parse(model, &error);

  g_assert_null(network);
  g_assert_nonnull(error);
  for (; *words != NULL; words++)
    if (strstr(error->message, *words) == NULL)
      g_error("'%s' is not in '%s'", *words, error->message);
}
#define REFUSED(model, ...) check_refused(model, (const char *const[]){__VA_ARGS__, NULL})

static const float six[] = {1, 2, 3, 4, 5, 6};

/* --- upgrades --- */

static void
test_attributes_become_inputs(void)
{
  GByteArray *graph = g_byte_array_new(), *node;
  const float sums[] = {6, 15}, sliced[] = {2, 3, 5, 6};

  ow_input(graph, "x", &INFER_DIMS(2, 3), NULL);
  node = ow_node("ReduceSum", "x", "sum");
  ow_ints(node, "axes", (const gint64[]){-1}, 1);
  ow_int(node, "keepdims", 1);
  ow_add(graph, node);
  node = ow_node("Squeeze", "sum", "sums");
  ow_ints(node, "axes", (const gint64[]){1}, 1);
  ow_add(graph, node);
  node = ow_node("Slice", "x", "slice");
  ow_ints(node, "axes", (const gint64[]){1}, 1);
  ow_ints(node, "starts", (const gint64[]){1}, 1);
  ow_ints(node, "ends", (const gint64[]){9}, 1);
  ow_add(graph, node);
  ow_output(graph, "sums");
  ow_output(graph, "slice");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 9));
  check(network, &INFER_DIMS(2, 3), six, 0, &INFER_DIMS(2), sums);
  check(network, &INFER_DIMS(2, 3), six, 1, &INFER_DIMS(2, 2), sliced);
}

static void
test_old_broadcast(void)
{
  GByteArray *graph = g_byte_array_new(), *node;
  const float rows[] = {10, 20}, want[] = {11, 12, 13, 24, 25, 26};

  ow_input(graph, "x", &INFER_DIMS(2, 3), NULL);
  ow_constant(graph, "rows", INFER_TYPE_FLOAT, &INFER_DIMS(2), rows);
  node = ow_node("Add", "x rows", "y");
  ow_int(node, "broadcast", 1);
  ow_int(node, "axis", 0);
  ow_add(graph, node);
  ow_output(graph, "y");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 6));
  check(network, &INFER_DIMS(2, 3), six, 0, &INFER_DIMS(2, 3), want);
}

static void
test_flat_softmax(void)
{
  GByteArray *graph = g_byte_array_new();
  const float zeros[8] = {0}, want[] = {.25f, .25f, .25f, .25f, .25f, .25f, .25f, .25f};

  ow_input(graph, "x", &INFER_DIMS(2, 2, 2), NULL);
  ow_add(graph, ow_node("Softmax", "x", "y"));
  ow_output(graph, "y");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 11));
  check(network, &INFER_DIMS(2, 2, 2), zeros, 0, &INFER_DIMS(2, 2, 2), want);
}

static void
test_upsample(void)
{
  GByteArray *graph = g_byte_array_new();
  const float scales[] = {1, 1, 1, 2}, x[] = {1, 2}, want[] = {1, 1, 2, 2};

  ow_input(graph, "x", &INFER_DIMS(1, 1, 1, 2), NULL);
  ow_constant(graph, "scales", INFER_TYPE_FLOAT, &INFER_DIMS(4), scales);
  ow_add(graph, ow_node("Upsample", "x scales", "y"));
  ow_output(graph, "y");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 9));
  check(network, &INFER_DIMS(1, 1, 1, 2), x, 0, &INFER_DIMS(1, 1, 1, 4), want);
}

/* --- inputs and constants --- */

static void
test_open_dims(void)
{
  GByteArray *graph = g_byte_array_new();

  ow_input(graph, "image", &INFER_DIMS(-1, 3, 4, 4), "N");
  ow_input(graph, "words", &INFER_DIMS(2, -1), "length");
  ow_add(graph, ow_node("Relu", "image", "y"));
  ow_add(graph, ow_node("Relu", "words", "z"));
  ow_output(graph, "y");
  ow_output(graph, "z");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 13));
  InferModelInfo *info = infer_network_get_model_info(network);
  g_assert_cmpuint(infer_network_get_n_symbols(network), ==, 2);
  g_assert_cmpstr(infer_network_get_symbol(network, 0)->name, ==, "batch");
  g_assert_cmpstr(infer_network_get_symbol(network, 1)->name, ==, "length");
  g_assert_cmpstr(infer_model_info_get_input(info), ==, "image");
  g_assert_cmpfloat_with_epsilon(infer_model_info_get_preprocess(info)->scale[0], 1.0f / 255.0f,
                                 1e-7);
}

static void
test_default_input(void)
{
  GByteArray *graph = g_byte_array_new();
  const float limit = 2;

  ow_input(graph, "x", &INFER_DIMS(2, 3), NULL);
  ow_input(graph, "limit", &INFER_DIMS_SCALAR, NULL);
  ow_constant(graph, "limit", INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, &limit);
  ow_add(graph, ow_node("Clip", "x limit", "y"));
  ow_output(graph, "y");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 13));
  g_assert_cmpuint(infer_network_get_n_inputs(network), ==, 2);
  const InferTensor *input = infer_network_get_input(network, 1);
  g_assert_nonnull(input->initial);
  g_assert_cmpfloat(infer_array_get_double(input->initial, 0), ==, 2.0);
}

static GByteArray *
sparse_model(gint64 index)
{
  GByteArray *graph = g_byte_array_new(), *sparse = g_byte_array_new();
  const float values[] = {5, 7};
  const gint64 places[] = {1, index};

  pw_message(sparse, 1, ow_tensor("s", INFER_TYPE_FLOAT, &INFER_DIMS(2), values));
  pw_message(sparse, 2, ow_tensor("", INFER_TYPE_INT64, &INFER_DIMS(2), places));
  pw_int(sparse, 3, 2);
  pw_int(sparse, 3, 3);
  ow_input(graph, "x", &INFER_DIMS(2, 3), NULL);
  pw_message(graph, 15, sparse);
  ow_add(graph, ow_node("Add", "x s", "y"));
  ow_output(graph, "y");
  return ow_model(graph, 13);
}

static void
test_sparse(void)
{
  const float want[] = {1, 7, 3, 4, 5, 13};
  g_autoptr(InferNetwork) network = parse(sparse_model(5));

  check(network, &INFER_DIMS(2, 3), six, 0, &INFER_DIMS(2, 3), want);
  REFUSED(sparse_model(6), "index", "outside");
  REFUSED(sparse_model(-1), "index", "outside");
}

static void
test_typed_fields(void)
{
  GByteArray *graph = g_byte_array_new(), *tensor = g_byte_array_new();

  pw_int(tensor, 1, 3);
  pw_int(tensor, 2, INFER_TYPE_INT8);
  for (gint64 i = -1; i < 2; i++)
    pw_int(tensor, 5, i);
  pw_string(tensor, 8, "c");
  pw_message(graph, 5, tensor);
  ow_output(graph, "c");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 13));
  const InferArray *value = infer_network_get_output(network, 0)->producer->inputs[0]->value;
  for (gint64 i = 0; i < 3; i++)
    g_assert_cmpint(infer_array_get_int(value, (gsize)i), ==, i - 1);
}

/* --- external data --- */

static GByteArray *
external_model(const char *location, const char *offset)
{
  GByteArray *graph = g_byte_array_new(), *tensor = g_byte_array_new();
  const char *const keys[] = {"location", "offset", "length"};
  const char *const values[] = {location, offset, "8"};

  pw_int(tensor, 1, 2);
  pw_int(tensor, 2, INFER_TYPE_FLOAT);
  pw_string(tensor, 8, "w");
  for (guint i = 0; i < 3; i++) {
    GByteArray *entry = g_byte_array_new();
    pw_string(entry, 1, keys[i]);
    pw_string(entry, 2, values[i]);
    pw_message(tensor, 13, entry);
  }
  pw_int(tensor, 14, 1);
  pw_message(graph, 5, tensor);
  ow_output(graph, "w");
  return ow_model(graph, 13);
}

static InferNetwork *
parse_in(const char *folder, GByteArray *model, GError **error)
{
  g_autofree char *path = g_build_filename(folder, "m.onnx", NULL);

  g_assert_true(g_file_set_contents(path, (const char *)model->data, model->len, NULL));
  g_byte_array_unref(model);
  return infer_parse_file(path, NULL, error);
}

static void
test_external(void)
{
  g_autofree char *top = g_dir_make_tmp("onnx-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename(top, "model", NULL);
  g_autofree char *inside = g_build_filename(folder, "w.bin", NULL);
  g_autofree char *outside = g_build_filename(top, "secret", NULL);
  g_autofree char *link = g_build_filename(folder, "link", NULL);
  g_autofree char *model = g_build_filename(folder, "m.onnx", NULL);
  const float weights[] = {0, 3, 4};
  GError *error = NULL;

  g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
  g_assert_true(g_file_set_contents(inside, (const char *)weights, sizeof weights, NULL));
  g_assert_true(g_file_set_contents(outside, (const char *)weights, sizeof weights, NULL));
  g_assert_cmpint(symlink(outside, link), ==, 0);
  InferNetwork *network = parse_in(folder, external_model("w.bin", "4"), &error);
  g_assert_no_error(error);
  const InferArray *value = infer_network_get_output(network, 0)->producer->inputs[0]->value;
  g_assert_cmpfloat(infer_array_get_double(value, 0), ==, 3.0);
  g_assert_cmpfloat(infer_array_get_double(value, 1), ==, 4.0);
  g_object_unref(network);
  const char *const refused[] = {"../secret", outside, "link", "", ".", "none", "w.bin"};
  for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
    network = parse_in(folder, external_model(refused[i], i == 6 ? "8" : "0"), &error);
    g_assert_null(network);
    g_assert_nonnull(error);
    g_clear_error(&error);
  }
  REFUSED(external_model("w.bin", "4"), "another file");
  g_unlink(link);
  g_unlink(inside);
  g_unlink(model);
  g_unlink(outside);
  g_rmdir(folder);
  g_rmdir(top);
}

/* --- control --- */

static GByteArray *
loop_body(void)
{
  GByteArray *body = g_byte_array_new();

  pw_message(body, 11, ow_value("i", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, NULL));
  pw_message(body, 11, ow_value("going", INFER_TYPE_BOOL, &INFER_DIMS_SCALAR, NULL));
  ow_input(body, "sum", &INFER_DIMS(2), NULL);
  ow_add(body, ow_node("Identity", "going", "goes_on"));
  ow_add(body, ow_node("Add", "sum x", "more"));
  ow_output(body, "goes_on");
  ow_output(body, "more");
  ow_output(body, "more");
  return body;
}

static GByteArray *
loop_model(gint64 trips)
{
  GByteArray *graph = g_byte_array_new(), *node = ow_node("Loop", "n - x", "total steps");

  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_constant(graph, "n", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, &trips);
  ow_graph(node, "body", loop_body());
  ow_add(graph, node);
  ow_output(graph, "total");
  ow_output(graph, "steps");
  return ow_model(graph, 17);
}

static void
test_loop(void)
{
  const float x[] = {1, 2}, total[] = {4, 8}, steps[] = {2, 4, 3, 6, 4, 8};
  g_autoptr(InferNetwork) network = parse(loop_model(3));

  check(network, &INFER_DIMS(2), x, 0, &INFER_DIMS(2), total);
  check(network, &INFER_DIMS(2), x, 1, &INFER_DIMS(3, 2), steps);
  {
    g_autoptr(InferNetwork) none = parse(loop_model(0));
    check(none, &INFER_DIMS(2), x, 0, &INFER_DIMS(2), x);
    check(none, &INFER_DIMS(2), x, 1, &INFER_DIMS(0, 2), NULL);
  }
}

static GByteArray *
branch(const char *op)
{
  GByteArray *graph = g_byte_array_new();

  ow_add(graph, ow_node(op, "x", "y"));
  ow_output(graph, "y");
  return graph;
}

static GByteArray *
if_model(gboolean constant, guint8 condition)
{
  GByteArray *graph = g_byte_array_new(), *node = ow_node("If", "c", "y");

  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  if (constant)
    ow_constant(graph, "c", INFER_TYPE_BOOL, &INFER_DIMS_SCALAR, &condition);
  else
    pw_message(graph, 11, ow_value("c", INFER_TYPE_BOOL, &INFER_DIMS_SCALAR, NULL));
  ow_graph(node, "then_branch", branch("Neg"));
  ow_graph(node, "else_branch", branch("Abs"));
  ow_add(graph, node);
  ow_output(graph, "y");
  return ow_model(graph, 17);
}

static void
test_if(void)
{
  const float x[] = {1, -2}, negated[] = {-1, 2}, positive[] = {1, 2};
  g_autoptr(InferNetwork) then = parse(if_model(TRUE, 1));
  g_autoptr(InferNetwork) other = parse(if_model(TRUE, 0));

  check(then, &INFER_DIMS(2), x, 0, &INFER_DIMS(2), negated);
  check(other, &INFER_DIMS(2), x, 0, &INFER_DIMS(2), positive);
  {
    g_autoptr(InferNetwork) open = parse(if_model(FALSE, 0));
    g_assert_cmpuint(infer_network_get_n_nodes(open), ==, 1);
    g_assert_nonnull(infer_node_get_graph(infer_network_get_node(open, 0), 1));
  }
}

static GByteArray *
function_model(const char *called)
{
  GByteArray *graph = g_byte_array_new(), *function = g_byte_array_new();
  GByteArray *node = ow_node("Leak", "x", "y"), *inner = ow_node(called, "v", "w");
  GByteArray *attr = g_byte_array_new();

  pw_string(node, 7, "mine");
  ow_float(node, "slope", 0.5f);
  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_add(graph, node);
  ow_output(graph, "y");
  pw_string(attr, 1, "alpha");
  pw_int(attr, 20, 1);
  pw_string(attr, 21, "slope");
  pw_message(inner, 5, attr);
  if (!g_str_equal(called, "LeakyRelu"))
    pw_string(inner, 7, "mine");
  pw_string(function, 1, "Leak");
  pw_string(function, 4, "v");
  pw_string(function, 5, "w");
  pw_string(function, 6, "slope");
  pw_message(function, 7, inner);
  ow_opset(function, 9, "", 17);
  ow_opset(function, 9, "mine", 1);
  pw_string(function, 10, "mine");
  GByteArray *model = ow_model(graph, 17);
  ow_opset(model, 8, "mine", 1);
  pw_message(model, 25, function);
  return model;
}

static void
test_function(void)
{
  const float x[] = {1, -2}, want[] = {1, -1};
  g_autoptr(InferNetwork) network = parse(function_model("LeakyRelu"));

  check(network, &INFER_DIMS(2), x, 0, &INFER_DIMS(2), want);
  REFUSED(function_model("Leak"), "call itself");
}

static void
test_sequence(void)
{
  GByteArray *graph = g_byte_array_new(), *node = ow_node("SplitToSequence", "x", "parts");
  const gint64 one = 1;
  const float want[] = {4, 5, 6, 1, 2, 3}, last[] = {4, 5, 6};

  ow_input(graph, "x", &INFER_DIMS(2, 3), NULL);
  ow_constant(graph, "one", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, &one);
  ow_add(graph, node);
  ow_add(graph, ow_node("SequenceAt", "parts one", "last"));
  ow_add(graph, ow_node("SequenceErase", "parts one", "rest"));
  ow_constant(graph, "zero", INFER_TYPE_INT64, &INFER_DIMS_SCALAR, &(gint64){0});
  ow_add(graph, ow_node("SequenceInsert", "rest last zero", "turned"));
  node = ow_node("ConcatFromSequence", "turned", "y");
  ow_int(node, "axis", 0);
  ow_add(graph, node);
  ow_output(graph, "y");
  ow_output(graph, "last");
  g_autoptr(InferNetwork) network = parse(ow_model(graph, 17));
  check(network, &INFER_DIMS(2, 3), six, 0, &INFER_DIMS(2, 3), want);
  check(network, &INFER_DIMS(2, 3), six, 1, &INFER_DIMS(1, 3), last);
}

/* --- what is refused --- */

static GByteArray *
chain(const char *const *nodes, const char *output)
{
  GByteArray *graph = g_byte_array_new();

  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  for (guint i = 0; nodes[i] != NULL; i += 3)
    ow_add(graph, ow_node(nodes[i], nodes[i + 1], nodes[i + 2]));
  ow_output(graph, output);
  return ow_model(graph, 17);
}
#define CHAIN(output, ...) chain((const char *const[]){__VA_ARGS__, NULL}, output)

static void
test_broken(void)
{
  GByteArray *graph = g_byte_array_new();

  REFUSED(CHAIN("c", "Foo", "x", "a", "Bar", "a", "b", "Relu", "b", "c"), "2 nodes", "Foo", "Bar",
          "opset 17");
  REFUSED(CHAIN("a", "Relu", "b", "a", "Relu", "a", "b"), "cycle");
  REFUSED(CHAIN("a", "Relu", "a", "a"), "cycle");
  REFUSED(CHAIN("a", "Relu", "x", "a", "Abs", "x", "a"), "two values", "'a'");
  REFUSED(CHAIN("x", "Relu", "x", "x"), "two values", "'x'");
  REFUSED(CHAIN("a", "Relu", "lost", "a"), "'lost'");
  REFUSED(CHAIN("lost", "Relu", "x", "a"), "'lost'");
  ow_input(graph, "x", &INFER_DIMS(-7), NULL);
  ow_output(graph, "x");
  REFUSED(ow_model(graph, 17), "'x'", "-7");
  REFUSED(ow_model(g_byte_array_new(), 17), "no output");
  REFUSED(g_byte_array_new(), "no graph");
}

static void
test_new_opset(void)
{
  GByteArray *graph = g_byte_array_new();

  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_add(graph, ow_node("Relu", "x", "y"));
  ow_output(graph, "y");
  REFUSED(ow_model(graph, 1000), "opset 1000", "newer");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/onnx/attributes-become-inputs", test_attributes_become_inputs);
  g_test_add_func("/onnx/old-broadcast", test_old_broadcast);
  g_test_add_func("/onnx/flat-softmax", test_flat_softmax);
  g_test_add_func("/onnx/upsample", test_upsample);
  g_test_add_func("/onnx/open-dims", test_open_dims);
  g_test_add_func("/onnx/default-input", test_default_input);
  g_test_add_func("/onnx/sparse", test_sparse);
  g_test_add_func("/onnx/typed-fields", test_typed_fields);
  g_test_add_func("/onnx/external", test_external);
  g_test_add_func("/onnx/loop", test_loop);
  g_test_add_func("/onnx/if", test_if);
  g_test_add_func("/onnx/function", test_function);
  g_test_add_func("/onnx/sequence", test_sequence);
  g_test_add_func("/onnx/broken", test_broken);
  g_test_add_func("/onnx/new-opset", test_new_opset);
  return g_test_run();
}
