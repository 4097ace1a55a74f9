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
  add_seed(seeds, 'i', good_index());
  add_seed(seeds, 'd', contents);
  SwTable table;
  add_seed(seeds, 'b', good_block(&table));
  g_byte_array_unref(table.last);
  return seeds;
}
