/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libFuzzer target: the first byte says which file of a SavedModel's folder the rest becomes, or,
 * as 'b', that it is a block of the index, which gets a right checksum. */
#include <infer/parsers.h>

#include "fuzz.h"
#include "savedmodel-writer.h"

static const float values[6] = {1, 2, 3, 4, 5, 6};

static GByteArray *
good_model(void)
{
  GByteArray *graph = g_byte_array_new();

  gw_placeholder(graph, "x", GW_FLOAT, (gint64[]){-1, 3}, 2);
  sw_variable(graph, "weights");
  gw_op(graph, "out", "MatMul", "x", "weights/read", NULL);
  return sw_model(graph, "serve", "x:0", "out:0");
}

/* A loop and a condition as TensorFlow 1 has them, a list, and a function that is called twice. */
static GByteArray *
control_model(void)
{
  GByteArray *graph = g_byte_array_new(), *library = g_byte_array_new(), *node;
  GByteArray *function = g_byte_array_new();

  gw_placeholder(graph, "x", GW_FLOAT, (gint64[]){1, 3}, 2);
  node = gw_node("enter", "Enter", "x", NULL);
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
  gw_op(graph, "sum", "Sum", "exit", "axes", NULL);
  gw_op(graph, "asked", "Greater", "sum", "limit", NULL);
  gw_op(graph, "branch", "Switch", "exit", "asked", NULL);
  gw_op(graph, "no", "Neg", "branch", NULL);
  gw_op(graph, "yes", "Tanh", "branch:1", NULL);
  gw_op(graph, "either", "Merge", "no", "yes", NULL);
  gw_op(graph, "list", "TensorListFromTensor", "either", NULL);
  GW_INT32_SCALAR(graph, "first", 0);
  gw_op(graph, "item", "TensorListGetItem", "list", "first", NULL);
  gw_op(graph, "once", "again", "item", NULL);
  gw_op(graph, "out", "again", "once", NULL);
  sw_function_begin(function, "again");
  pw_message(function, 3, gw_node("y", "Square", "x", NULL));
  sw_function_end(library, function, "y:y:0");
  pw_message(graph, 2, library);
  return sw_model(graph, "serve", "x:0", "out:0");
}

static GByteArray *
good_index(void)
{
  SwTable table;

  sw_begin(&table);
  sw_put(&table, "weights", sw_entry((gint64[]){3, 2}, 2, 0, values, sizeof values));
  return sw_end(&table);
}

/* The entries that good_index() has, as they lie in a block. */
static GByteArray *
good_block(SwTable *table)
{
  sw_begin(table);
  sw_put(table, "weights", sw_entry((gint64[]){3, 2}, 2, 0, values, sizeof values));
  return table->block;
}

static GByteArray *
index_around(const guint8 *data, gsize size)
{
  SwTable table = {g_byte_array_new(), g_byte_array_new()};

  g_byte_array_append(table.block, data, (guint)size);
  return sw_end(&table);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  static char *folder = NULL;
  g_autoptr(GByteArray) model = good_model();
  g_autoptr(GByteArray) index = good_index();
  g_autoptr(GByteArray) contents = g_byte_array_new();
  g_autoptr(GError) error = NULL;

  if (size == 0)
    return 0;
  if (!folder)
    folder = sw_folder();
  GByteArray *fuzzed = data[0] == 'm' ? model : data[0] == 'i' ? index : contents;
  g_byte_array_append(contents, (const guint8 *)values, sizeof values);
  g_byte_array_set_size(fuzzed, 0);
  g_byte_array_append(fuzzed, data + 1, (guint)size - 1);
  if (data[0] == 'b') {
    g_byte_array_set_size(contents, sizeof values);
    memcpy(contents->data, values, sizeof values);
    g_byte_array_unref(index);
    index = index_around(data + 1, size - 1);
  }
  sw_write(folder, "saved_model.pb", model);
  sw_write(folder, "variables/variables.index", index);
  sw_write(folder, "variables/variables.data-00000-of-00001", contents);
  g_autoptr(InferNetwork) network = infer_parse_tensorflow(folder, NULL, &error);
  g_assert_true((network == NULL) == (error != NULL));
  if (network)
    g_assert_true(infer_network_validate(network, NULL));
  return 0;
}

static void
add_seed(GPtrArray *seeds, char kind, GByteArray *bytes)
{
  GByteArray *seed = g_byte_array_new();

  g_byte_array_append(seed, (const guint8 *)&kind, 1);
  g_byte_array_append(seed, bytes->data, bytes->len);
  g_byte_array_unref(bytes);
  g_ptr_array_add(seeds, g_byte_array_free_to_bytes(seed));
}

GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  GByteArray *contents = g_byte_array_new();

  g_byte_array_append(contents, (const guint8 *)values, sizeof values);
  add_seed(seeds, 'm', good_model());
  add_seed(seeds, 'm', control_model());
  add_seed(seeds, 'i', good_index());
  add_seed(seeds, 'd', contents);
  SwTable table;
  add_seed(seeds, 'b', good_block(&table));
  g_byte_array_unref(table.last);
  return seeds;
}
