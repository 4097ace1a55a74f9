/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "graphdef-writer.h"

/* Writes SavedModels for tests: a graph with a signature, and a checkpoint of its variables. */

/* CRC-32C in its plainest form, masked as checkpoints have it. */
static inline guint32
sw_checksum(const guint8 *data, gsize size)
{
  guint32 crc = 0xffffffff;

  for (gsize i = 0; i < size; i++) {
    crc ^= data[i];
    for (guint k = 0; k < 8; k++)
      crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static inline void
sw_fixed(GByteArray *out, guint64 value, guint n)
{
  for (guint i = 0; i < n; i++) {
    guint8 byte = (guint8)(value >> (8 * i));
    g_byte_array_append(out, &byte, 1);
  }
}

static inline void
sw_shape(GByteArray *entry, const gint64 *dims, gsize n)
{
  pw_message(entry, 2, gw_shape_message(dims, n));
}

/* An entry of the index: floats that start at @offset of the only file of data. */
static inline GByteArray *
sw_entry(const gint64 *dims, gsize n, guint offset, gconstpointer data, gsize size)
{
  GByteArray *entry = g_byte_array_new();

  pw_int(entry, 1, GW_FLOAT);
  sw_shape(entry, dims, n);
  pw_int(entry, 4, offset);
  pw_int(entry, 5, (gint64)size);
  pw_varint(entry, 6 << 3 | 5);
  sw_fixed(entry, sw_checksum(data, size), 4);
  return entry;
}

typedef struct {
  GByteArray *block;
  GByteArray *last; /* key */
} SwTable;

static inline void
sw_put(SwTable *table, const char *key, GByteArray *value)
{
  gsize length = strlen(key), shared = 0;

  while (shared < MIN(length, table->last->len) && table->last->data[shared] == (guint8)key[shared])
    shared++;
  pw_varint(table->block, shared);
  pw_varint(table->block, length - shared);
  pw_varint(table->block, value->len);
  g_byte_array_append(table->block, (const guint8 *)key + shared, (guint)(length - shared));
  g_byte_array_append(table->block, value->data, value->len);
  g_byte_array_set_size(table->last, 0);
  g_byte_array_append(table->last, (const guint8 *)key, (guint)length);
  g_byte_array_unref(value);
}

/* Ends a block: restarts, compression, checksum. Returns: where it lies, as two numbers. */
static inline GByteArray *
sw_block(GByteArray *file, GByteArray *block)
{
  GByteArray *handle = g_byte_array_new();
  guint8 plain = 0;

  sw_fixed(block, 0, 4);
  sw_fixed(block, 1, 4);
  pw_varint(handle, file->len);
  pw_varint(handle, block->len);
  g_byte_array_append(block, &plain, 1);
  sw_fixed(block, sw_checksum(block->data, block->len), 4);
  g_byte_array_append(file, block->data, block->len);
  g_byte_array_unref(block);
  return handle;
}

static inline void
sw_begin(SwTable *table)
{
  GByteArray *header = g_byte_array_new();

  table->block = g_byte_array_new();
  table->last = g_byte_array_new();
  pw_int(header, 1, 1);
  sw_put(table, "", header);
}

/* Returns: the index file. */
static inline GByteArray *
sw_end(SwTable *table)
{
  GByteArray *file = g_byte_array_new();
  SwTable index = {g_byte_array_new(), g_byte_array_new()};
  GByteArray *handle = sw_block(file, table->block);
  GByteArray *meta = g_byte_array_new();

  g_byte_array_unref(table->last);
  sw_put(&index, "~", handle);
  g_byte_array_unref(index.last);
  GByteArray *meta_handle = sw_block(file, meta);
  GByteArray *index_handle = sw_block(file, index.block);
  guint start = file->len;
  g_byte_array_append(file, meta_handle->data, meta_handle->len);
  g_byte_array_append(file, index_handle->data, index_handle->len);
  while (file->len < start + 40)
    sw_fixed(file, 0, 1);
  sw_fixed(file, G_GUINT64_CONSTANT(0xdb4775248b80fb57), 8);
  g_byte_array_unref(meta_handle);
  g_byte_array_unref(index_handle);
  return file;
}

/* A variable, and how it is read: "NAME/read". */
static inline void
sw_variable(GByteArray *graph, const char *name)
{
  g_autofree char *read = g_strconcat(name, "/read", NULL);
  GByteArray *node = gw_node(name, "VarHandleOp", NULL);

  gw_string(node, "shared_name", name);
  gw_type(node, "dtype", GW_FLOAT);
  gw_add(graph, node);
  node = gw_node(read, "ReadVariableOp", name, NULL);
  gw_type(node, "dtype", GW_FLOAT);
  gw_add(graph, node);
}

static inline GByteArray *
sw_info(const char *key, const char *tensor)
{
  GByteArray *entry = g_byte_array_new(), *info = g_byte_array_new();

  pw_string(entry, 1, key);
  pw_string(info, 1, tensor);
  pw_int(info, 2, GW_FLOAT);
  pw_message(entry, 2, info);
  return entry;
}

/* @graph is freed. Its signature has one input and one output. Returns: saved_model.pb */
static inline GByteArray *
sw_model(GByteArray *graph, const char *tag, const char *input, const char *output)
{
  GByteArray *saved = g_byte_array_new(), *meta = g_byte_array_new(), *info = g_byte_array_new();
  GByteArray *entry = g_byte_array_new(), *signature = g_byte_array_new();

  pw_int(saved, 1, 1);
  pw_string(info, 4, tag);
  pw_message(meta, 1, info);
  pw_message(meta, 2, graph);
  pw_message(signature, 1, sw_info("picture", input));
  pw_message(signature, 2, sw_info("scores", output));
  pw_string(entry, 1, "serving_default");
  pw_message(entry, 2, signature);
  pw_message(meta, 5, entry);
  pw_message(saved, 2, meta);
  return saved;
}

static inline void
sw_arg(GByteArray *signature, guint field, const char *name)
{
  GByteArray *arg = g_byte_array_new();

  pw_string(arg, 1, name);
  pw_int(arg, 3, GW_FLOAT);
  pw_message(signature, field, arg);
}

/* A function of "x" that gives "out"; its nodes are field 3 of @function. */
static inline void
sw_function_begin(GByteArray *function, const char *name)
{
  GByteArray *signature = g_byte_array_new();

  pw_string(signature, 1, name);
  sw_arg(signature, 2, "x");
  sw_arg(signature, 3, "out");
  pw_message(function, 1, signature);
}

/* @function is freed. */
static inline void
sw_function_end(GByteArray *library, GByteArray *function, const char *result)
{
  GByteArray *ret = g_byte_array_new();

  pw_string(ret, 1, "out");
  pw_string(ret, 2, result);
  pw_message(function, 4, ret);
  pw_message(library, 1, function);
}

static inline void
sw_write(const char *folder, const char *name, const GByteArray *bytes)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  GError *error = NULL;

  g_file_set_contents_full(path, (const char *)bytes->data, (gssize)bytes->len,
                           G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error(error);
}

/* Makes DIR/variables too. Returns: a new folder. */
static inline char *
sw_folder(void)
{
  GError *error = NULL;
  char *folder = g_dir_make_tmp("savedmodel-XXXXXX", &error);
  g_autofree char *variables = NULL;

  g_assert_no_error(error);
  variables = g_build_filename(folder, "variables", NULL);
  g_assert_cmpint(g_mkdir(variables, 0700), ==, 0);
  return folder;
}

static inline void
sw_remove(char *folder)
{
  static const char *const names[] = {"variables/variables.index",
                                      "variables/variables.data-00000-of-00001", "variables",
                                      "saved_model.pb", ""};

  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(folder, names[i], NULL);
    g_remove(path);
  }
  g_free(folder);
}
