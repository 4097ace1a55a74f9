/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "savedmodel-writer.h"

#include <unistd.h>

static const float weights[6] = {1, -2, 0.5f, 3, 4, -1}, bias[2] = {0.25f, -0.5f};
static const float pixels[3] = {2, -1, 0.5f};

/* picture[1, 3] x weights[3, 2] + bias, which are variables. */
static GByteArray *
linear_graph(void)
{
  GByteArray *graph = g_byte_array_new();

  gw_placeholder(graph, "serving_x", GW_FLOAT, (gint64[]){-1, 3}, 2);
  sw_variable(graph, "layer/weights");
  sw_variable(graph, "layer/bias");
  gw_op(graph, "product", "MatMul", "serving_x", "layer/weights/read", NULL);
  gw_op(graph, "sum", "BiasAdd", "product", "layer/bias/read", NULL);
  return graph;
}

static GByteArray *
data_file(void)
{
  GByteArray *data = g_byte_array_new();

  g_byte_array_append(data, (const guint8 *)weights, sizeof weights);
  g_byte_array_append(data, (const guint8 *)bias, sizeof bias);
  return data;
}

static GByteArray *
index_file(guint bias_offset)
{
  SwTable table;

  sw_begin(&table);
  sw_put(&table, "layer/bias", sw_entry((gint64[]){2}, 1, bias_offset, bias, sizeof bias));
  sw_put(&table, "layer/weights", sw_entry((gint64[]){3, 2}, 2, 0, weights, sizeof weights));
  return sw_end(&table);
}

/* A folder with @saved (freed) and the variables of linear_graph(). */
static char *
write_folder(GByteArray *saved, guint bias_offset)
{
  char *folder = sw_folder();
  g_autoptr(GByteArray) model = saved;
  g_autoptr(GByteArray) index = index_file(bias_offset);
  g_autoptr(GByteArray) data = data_file();

  sw_write(folder, "saved_model.pb", model);
  sw_write(folder, "variables/variables.index", index);
  sw_write(folder, "variables/variables.data-00000-of-00001", data);
  return folder;
}

static void
check_linear(const char *path)
{
  GError *error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_file(path, NULL, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_assert_cmpuint(infer_network_get_n_inputs(network), ==, 1);
  g_assert_cmpstr(infer_network_get_input(network, 0)->name, ==, "picture");
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 1);
  g_assert_cmpstr(infer_network_get_output(network, 0)->name, ==, "scores");
  g_autoptr(InferArray) out = gw_run(network, 0, pixels);
  g_assert_true(infer_dims_equal(&out->dims, &INFER_DIMS(1, 2)));
  for (guint i = 0; i < 2; i++) {
    float want = bias[i];
    for (guint k = 0; k < 3; k++)
      want += pixels[k] * weights[k * 2 + i];
    g_assert_cmpfloat_with_epsilon(((float *)out->data)[i], want, 1e-5);
  }
}

static void
test_folder(void)
{
  char *folder = write_folder(sw_model(linear_graph(), "serve", "serving_x:0", "sum:0"), 24);
  g_autofree char *file = g_build_filename(folder, "saved_model.pb", NULL);
  g_autofree char *slash = g_strconcat(folder, "/", NULL);
  GError *error = NULL;

  g_assert_cmpint(infer_format_of_file(folder, &error), ==, INFER_FORMAT_TENSORFLOW);
  g_assert_no_error(error);
  g_assert_cmpint(infer_format_of_file(file, &error), ==, INFER_FORMAT_TENSORFLOW);
  g_assert_no_error(error);
  check_linear(folder);
  check_linear(slash);
  check_linear(file);
  sw_remove(folder);
}

static void
check_refused(const char *path, const char *part)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_file(path, NULL, &error);

  g_assert_null(network);
  g_assert_nonnull(error);
  if (!strstr(error->message, part))
    g_error("'%s' does not say '%s'", error->message, part);
}

/* Whatever is wrong, the message says what and of which variable. */
static void
test_refused(void)
{
  GByteArray *graph = linear_graph();
  char *folder = write_folder(sw_model(graph, "train", "serving_x:0", "sum:0"), 24);
  g_autofree char *index = g_build_filename(folder, "variables/variables.index", NULL);
  g_autofree char *data = g_build_filename(folder, "variables/variables.data-00000-of-00001", NULL);
  g_autofree char *text = NULL;
  gsize size = 0;

  check_linear(folder); /* the only graph there is */
  sw_remove(folder);

  folder = write_folder(sw_model(linear_graph(), "serve", "serving_x:0", "sum:0"), 20);
  check_refused(folder, "checksum");
  sw_remove(folder);

  folder = write_folder(sw_model(linear_graph(), "serve", "serving_x:0", "sum:0"), 1000);
  check_refused(folder, "layer/bias");
  check_refused(folder, "has 32");
  sw_remove(folder);

  folder = write_folder(sw_model(linear_graph(), "serve", "serving_x:0", "sum:0"), 24);
  g_free(index);
  index = g_build_filename(folder, "variables/variables.index", NULL);
  g_assert_true(g_file_get_contents(index, &text, &size, NULL));
  text[3] ^= 1;
  g_assert_true(g_file_set_contents(index, text, (gssize)size, NULL));
  check_refused(folder, "block's checksum");
  g_remove(index);
  check_refused(folder, "not frozen");
  sw_remove(folder);

  folder = sw_folder();
  check_refused(folder, "SavedModel");
  sw_remove(folder);
}

/* The data may be a link, but not to a file elsewhere. */
static void
test_leaves_folder(void)
{
  char *folder = write_folder(sw_model(linear_graph(), "serve", "serving_x:0", "sum:0"), 24);
  g_autofree char *data = g_build_filename(folder, "variables/variables.data-00000-of-00001", NULL);
  g_autofree char *elsewhere = g_build_filename(folder, "elsewhere", NULL);

  g_assert_cmpint(g_rename(data, elsewhere), ==, 0);
  g_assert_cmpint(symlink(elsewhere, data), ==, 0);
  check_refused(folder, "not a regular file in its folder");
  g_remove(elsewhere);
  sw_remove(folder);
}

/* --- functions --- */

/* @nodes (freed) are fields 3 of the function. */
static void
add_function(GByteArray *library, const char *name, GByteArray *nodes, const char *result)
{
  sw_function_begin(nodes, name);
  sw_function_end(library, nodes, result);
}

static void
set_func(GByteArray *node, const char *key, const char *name)
{
  GByteArray *value = g_byte_array_new(), *func = g_byte_array_new();

  pw_string(func, 1, name);
  pw_message(value, 10, func);
  gw_attr(node, key, value);
}

static GByteArray *
body_of(const char *op, const char *second)
{
  GByteArray *nodes = g_byte_array_new();

  pw_message(nodes, 3, gw_node("y", op, "x", second, NULL));
  return nodes;
}

static GByteArray *
call_graph(const char *function, GByteArray *library)
{
  GByteArray *graph = g_byte_array_new();
  GByteArray *node = gw_node("call", "StatefulPartitionedCall", "image", NULL);

  gw_placeholder(graph, "image", GW_FLOAT, (gint64[]){1, 3}, 2);
  set_func(node, "f", function);
  gw_add(graph, node);
  pw_message(graph, 2, library);
  return graph;
}

static void
test_function(void)
{
  GByteArray *library = g_byte_array_new(), *outer = g_byte_array_new();
  GByteArray *call = gw_node("inner", "PartitionedCall", "x", NULL);
  GError *error = NULL;

  add_function(library, "double", body_of("AddV2", "x"), "y:z:0");
  set_func(call, "f", "double");
  pw_message(outer, 3, call);
  pw_message(outer, 3, gw_node("y", "Square", "inner:output:0", NULL));
  add_function(library, "outer", outer, "y:y:0");
  g_autoptr(GByteArray) graph = call_graph("outer", library);
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);
  g_assert_no_error(error);
  g_autoptr(InferArray) out = gw_run(network, 0, pixels);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpfloat(((float *)out->data)[i], ==, 4 * pixels[i] * pixels[i]);
}

/* A function that calls itself ends in an error, and so does one that is not there. */
static void
test_recursion(void)
{
  GByteArray *library = g_byte_array_new(), *nodes = g_byte_array_new();
  GByteArray *call = gw_node("y", "PartitionedCall", "x", NULL);
  g_autoptr(GError) error = NULL;

  set_func(call, "f", "again");
  pw_message(nodes, 3, call);
  add_function(library, "again", nodes, "y:output:0");
  g_autoptr(GByteArray) graph = call_graph("again", library);
  g_assert_null(gw_parse(graph, &error));
  g_assert_nonnull(strstr(error->message, "nested more than"));
  g_clear_error(&error);
  g_autoptr(GByteArray) missing = call_graph("nothing", g_byte_array_new());
  g_assert_null(gw_parse(missing, &error));
  g_assert_nonnull(strstr(error->message, "'nothing' is not in the file"));
}

/* Which function runs depends on the data: both are in the network. */
static void
test_if(void)
{
  GByteArray *library = g_byte_array_new();
  g_autoptr(GByteArray) graph = g_byte_array_new();
  GByteArray *node = gw_node("chosen", "StatelessIf", "positive", "image", NULL);
  GError *error = NULL;

  gw_placeholder(graph, "image", GW_FLOAT, (gint64[]){1, 3}, 2);
  GW_INT32S(graph, "axes", 0, 1);
  gw_op(graph, "total", "Sum", "image", "axes", NULL);
  gw_float(graph, "zero", 0);
  gw_op(graph, "positive", "Greater", "total", "zero", NULL);
  add_function(library, "yes", body_of("AddV2", "x"), "y:z:0");
  add_function(library, "no", body_of("Mul", "x"), "y:z:0");
  set_func(node, "then_branch", "yes");
  set_func(node, "else_branch", "no");
  gw_add(graph, node);
  pw_message(graph, 2, library);
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);
  g_assert_no_error(error);
  for (gint sign = -1; sign <= 1; sign += 2) {
    float data[3];
    for (guint i = 0; i < 3; i++)
      data[i] = pixels[i] * (float)sign;
    g_autoptr(InferArray) out = gw_run(network, 0, data);
    for (guint i = 0; i < 3; i++)
      g_assert_cmpfloat(((float *)out->data)[i], ==, sign > 0 ? 2 * data[i] : data[i] * data[i]);
  }
}

/* TensorFlow 1's ring of Enter, Merge, Switch, NextIteration and Exit: x + x, until it is 100. */
static void
test_ring(void)
{
  g_autoptr(GByteArray) graph = g_byte_array_new();
  GByteArray *node = gw_node("enter", "Enter", "image", NULL);
  GError *error = NULL;

  gw_placeholder(graph, "image", GW_FLOAT, (gint64[]){1, 3}, 2);
  gw_string(node, "frame_name", "ring");
  gw_add(graph, node);
  gw_op(graph, "merge", "Merge", "enter", "next", NULL);
  GW_INT32S(graph, "axes", 0, 1);
  gw_op(graph, "total", "Sum", "merge", "axes", NULL);
  gw_float(graph, "limit", 100);
  gw_op(graph, "less", "Less", "total", "limit", NULL);
  gw_op(graph, "going", "LoopCond", "less", NULL);
  gw_op(graph, "switch", "Switch", "merge", "going", NULL);
  gw_op(graph, "twice", "Add", "switch:1", "switch:1", NULL);
  gw_op(graph, "next", "NextIteration", "twice", NULL);
  gw_op(graph, "exit", "Exit", "switch", NULL);
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(infer_node_get_op_name(infer_network_get_output(network, 0)->producer), ==,
                  "Loop");
  g_autoptr(InferArray) out = gw_run(network, 0, pixels);
  for (guint i = 0; i < 3; i++) /* 1.5, 3, 6, 12, 24, 48, 96, 192 */
    g_assert_cmpfloat(((float *)out->data)[i], ==, 128 * pixels[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/savedmodel/folder", test_folder);
  g_test_add_func("/savedmodel/refused", test_refused);
  g_test_add_func("/savedmodel/leaves-folder", test_leaves_folder);
  g_test_add_func("/savedmodel/function", test_function);
  g_test_add_func("/savedmodel/recursion", test_recursion);
  g_test_add_func("/savedmodel/if", test_if);
  g_test_add_func("/savedmodel/ring", test_ring);
  return g_test_run();
}
