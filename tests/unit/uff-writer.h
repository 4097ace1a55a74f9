/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "proto-writer.h"

/* Makes graphs of UFF. */

static inline GByteArray *
uff_entry(const char *key, GByteArray *data)
{
  GByteArray *entry = g_byte_array_new();
  pw_string(entry, 1, key);
  pw_message(entry, 2, data);
  return entry;
}

static inline GByteArray *
uff_list_data(const gint64 *values, gsize n)
{
  GByteArray *data = g_byte_array_new();
  pw_message(data, 8, pw_ints(values, n));
  return data;
}

static inline GByteArray *
uff_text_data(guint field, const char *text)
{
  GByteArray *data = g_byte_array_new();
  pw_string(data, field, text);
  return data;
}

/** uff_node: adds a node; @fields are serialized fields, freed here. */
static inline void
uff_node(GByteArray *graph, const char *id, const char *operation, GByteArray *fields,
         const char *a, const char *b)
{
  GByteArray *node = g_byte_array_new();
  pw_string(node, 1, id);
  for (guint i = 0; i < 2; i++) {
    if (i == 0 ? a : b) {
      pw_string(node, 2, i == 0 ? a : b);
    }
  }
  pw_string(node, 3, operation);
  if (fields) {
    g_byte_array_append(node, fields->data, fields->len);
    g_byte_array_unref(fields);
  }
  pw_message(graph, 2, node);
}

/** uff_meta: @graph in its file, with serialized contents of constants; both are freed. */
static inline GByteArray *
uff_meta(GByteArray *graph, GByteArray *data)
{
  GByteArray *meta = g_byte_array_new();
  pw_int(meta, 1, 1);
  pw_int(meta, 2, 1);
  pw_message(meta, 4, graph);
  if (data) {
    g_byte_array_append(meta, data->data, data->len);
    g_byte_array_unref(data);
  }
  return meta;
}

static inline void
uff_const(GByteArray *graph, GByteArray *data, const char *id, const float *values,
          const gint64 *dims, gsize n_dims)
{
  GByteArray *fields = g_byte_array_new(), *type = g_byte_array_new(), *blob = g_byte_array_new();
  gsize n = 1;
  for (gsize i = 0; i < n_dims; i++) {
    n *= (gsize)dims[i];
  }
  pw_int(type, 101, 0x20020);
  pw_message(fields, 4, uff_entry("dtype", type));
  pw_message(fields, 4, uff_entry("shape", uff_list_data(dims, n_dims)));
  pw_message(fields, 4, uff_entry("values", uff_text_data(100, id)));
  uff_node(graph, id, "Const", fields, NULL, NULL);
  pw_bytes(blob, 9, values, n * sizeof(float));
  pw_message(data, 5, uff_entry(id, blob));
}

/** uff_orders: adds "inputs_orders": images with the channels last and a filter like TensorFlow's.
 */
static inline void
uff_orders(GByteArray *fields, gboolean filter)
{
  static const gint64 orders[2][3] = {{0, G_MAXINT32, 1}, {G_MAXINT32, 1, 0}};
  GByteArray *list = g_byte_array_new(), *data = g_byte_array_new();
  for (guint i = 0; i < (filter ? 2u : 1u); i++) {
    GByteArray *entry = g_byte_array_new(), *one = g_byte_array_new();
    pw_int(entry, 1, -1);
    pw_message(entry, 2, pw_ints(orders[i], 3));
    pw_message(one, 1, entry);
    pw_message(list, 1, one);
  }
  pw_message(data, 104, list);
  pw_message(fields, 4, uff_entry("inputs_orders", data));
}

/** uff_small: 2x2 pixels through a convolution by 2 and 3, a bias and a pool over all. */
static inline GByteArray *
uff_small(const float bias[2])
{
  GByteArray *graph = g_byte_array_new(), *data = g_byte_array_new();
  GByteArray *fields = g_byte_array_new();
  const float filter[2] = {2, 3};
  const gint64 two[2] = {2, 2}, image[4] = {-1, 2, 2, 1}, kernel[4] = {1, 1, 1, 2}, one[1] = {2};

  pw_message(fields, 4, uff_entry("shape", uff_list_data(image, 4)));
  uff_node(graph, "in", "Input", fields, NULL, NULL);
  uff_const(graph, data, "filter", filter, kernel, 4);
  uff_const(graph, data, "bias", bias, one, 1);
  fields = g_byte_array_new();
  uff_orders(fields, TRUE);
  uff_node(graph, "conv", "Conv", fields, "in", "filter");
  fields = g_byte_array_new();
  pw_message(fields, 4, uff_entry("func", uff_text_data(1, "add")));
  uff_node(graph, "sum", "Binary", fields, "conv", "bias");
  fields = g_byte_array_new();
  pw_message(fields, 4, uff_entry("func", uff_text_data(1, "max")));
  pw_message(fields, 4, uff_entry("kernel", uff_list_data(two, 2)));
  pw_message(fields, 4, uff_entry("strides", uff_list_data(two, 2)));
  uff_orders(fields, FALSE);
  uff_node(graph, "pool", "Pool", fields, "sum", NULL);
  uff_node(graph, "out", "MarkOutput", NULL, "pool", NULL);
  return uff_meta(graph, data);
}

/** uff_node_n: uff_node() of any number of inputs. */
static inline void
uff_node_n(GByteArray *graph, const char *id, const char *operation, GByteArray *fields,
           const char *const *inputs)
{
  GByteArray *node = g_byte_array_new();
  pw_string(node, 1, id);
  for (guint i = 0; inputs && inputs[i]; i++) {
    pw_string(node, 2, inputs[i]);
  }
  pw_string(node, 3, operation);
  if (fields) {
    g_byte_array_append(node, fields->data, fields->len);
    g_byte_array_unref(fields);
  }
  pw_message(graph, 2, node);
}

/* Fields. Each adds to @fields. */
static inline void
uff_set_int(GByteArray *fields, const char *key, gint64 value)
{
  GByteArray *data = g_byte_array_new();
  pw_int(data, 7, value);
  pw_message(fields, 4, uff_entry(key, data));
}

static inline void
uff_set_ints(GByteArray *fields, const char *key, const gint64 *values, gsize n)
{
  pw_message(fields, 4, uff_entry(key, uff_list_data(values, n)));
}

static inline void
uff_set_text(GByteArray *fields, const char *key, const char *value)
{
  pw_message(fields, 4, uff_entry(key, uff_text_data(1, value)));
}

static inline void
uff_set_double(GByteArray *fields, const char *key, double value)
{
  GByteArray *data = g_byte_array_new();
  pw_varint(data, 3 << 3 | 1);
  g_byte_array_append(data, (const guint8 *)&value, sizeof value);
  pw_message(fields, 4, uff_entry(key, data));
}

static inline void
uff_set_doubles(GByteArray *fields, const char *key, const double *values, gsize n)
{
  GByteArray *data = g_byte_array_new(), *list = g_byte_array_new();
  pw_bytes(list, 1, values, n * sizeof(double));
  pw_message(data, 4, list);
  pw_message(fields, 4, uff_entry(key, data));
}

/** uff_set_orders: @formats as UFF's writer takes them: N and K are 0, C is 1, + is all others. */
static inline void
uff_set_orders(GByteArray *fields, const char *const *formats)
{
  GByteArray *list = g_byte_array_new(), *data = g_byte_array_new();
  for (guint i = 0; formats[i]; i++) {
    GByteArray *entry = g_byte_array_new(), *one = g_byte_array_new();
    gint64 order[8];
    gsize n = 0;
    for (const char *c = formats[i]; *c && n < 7; c++) {
      if (*c == '+') {
        order[n++] = 2;
      }
      order[n++] = *c == '+' ? G_MAXINT32 : *c == 'C' ? 1 : 0;
    }
    pw_int(entry, 1, -1);
    pw_message(entry, 2, pw_ints(order, n));
    pw_message(one, 1, entry);
    pw_message(list, 1, one);
  }
  pw_message(data, 104, list);
  pw_message(fields, 4, uff_entry("inputs_orders", data));
}

/** uff_const_int32: a constant of integers. */
static inline void
uff_const_int32(GByteArray *graph, GByteArray *data, const char *id, const gint32 *values,
                const gint64 *dims, gsize n_dims)
{
  GByteArray *fields = g_byte_array_new(), *type = g_byte_array_new(), *blob = g_byte_array_new();
  gsize n = 1;
  for (gsize i = 0; i < n_dims; i++) {
    n *= (gsize)dims[i];
  }
  pw_int(type, 101, 0x10020);
  pw_message(fields, 4, uff_entry("dtype", type));
  uff_set_ints(fields, "shape", dims, n_dims);
  pw_message(fields, 4, uff_entry("values", uff_text_data(100, id)));
  uff_node(graph, id, "Const", fields, NULL, NULL);
  pw_bytes(blob, 9, values, n * sizeof *values);
  pw_message(data, 5, uff_entry(id, blob));
}
