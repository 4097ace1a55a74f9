/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>
#include <op.h>

#include <stdarg.h>
#include <glib/gstdio.h>
#include <string.h>

#include "proto-writer.h"

/* Writes TensorFlow graphs, good and bad ones, for tests. Nodes and graphs are byte arrays. */

enum { GW_FLOAT = 1, GW_INT32 = 3, GW_UINT8 = 4, GW_STRING = 7, GW_BOOL = 10 };

/* A node; the inputs end with NULL. */
static inline GByteArray *
gw_node_valist(const char *name, const char *op, va_list inputs)
{
  GByteArray *node = g_byte_array_new();

  pw_string(node, 1, name);
  pw_string(node, 2, op);
  for (const char *input = va_arg(inputs, const char *); input;
       input = va_arg(inputs, const char *)) {
    pw_string(node, 3, input);
  }
  return node;
}

static inline GByteArray *G_GNUC_NULL_TERMINATED
gw_node(const char *name, const char *op, ...)
{
  va_list inputs;

  va_start(inputs, op);
  GByteArray *node = gw_node_valist(name, op, inputs);
  va_end(inputs);
  return node;
}

static inline void
gw_add(GByteArray *graph, GByteArray *node)
{
  pw_message(graph, 1, node);
}

/* A node without attributes, at once into the graph. */
static inline void G_GNUC_NULL_TERMINATED
gw_op(GByteArray *graph, const char *name, const char *op, ...)
{
  va_list inputs;

  va_start(inputs, op);
  gw_add(graph, gw_node_valist(name, op, inputs));
  va_end(inputs);
}

/* An attribute; @value is an AttrValue and freed. */
static inline void
gw_attr(GByteArray *node, const char *key, GByteArray *value)
{
  GByteArray *entry = g_byte_array_new();

  pw_string(entry, 1, key);
  pw_message(entry, 2, value);
  pw_message(node, 5, entry);
}

static inline void
gw_attr_number(GByteArray *node, const char *key, guint field, gint64 number)
{
  GByteArray *value = g_byte_array_new();

  pw_int(value, field, (guint64)number);
  gw_attr(node, key, value);
}

#define gw_int(node, key, number) gw_attr_number(node, key, 3, number)
#define gw_bool(node, key, number) gw_attr_number(node, key, 5, number)
#define gw_type(node, key, number) gw_attr_number(node, key, 6, number)

static inline void
gw_string(GByteArray *node, const char *key, const char *text)
{
  GByteArray *value = g_byte_array_new();

  pw_string(value, 2, text);
  gw_attr(node, key, value);
}

static inline void
gw_ints(GByteArray *node, const char *key, const gint64 *numbers, gsize n)
{
  GByteArray *value = g_byte_array_new();
  GByteArray *list = g_byte_array_new();

  for (gsize i = 0; i < n; i++) {
    pw_int(list, 3, (guint64)numbers[i]);
  }
  pw_message(value, 1, list);
  gw_attr(node, key, value);
}

static inline GByteArray *
gw_shape_message(const gint64 *dims, gsize n)
{
  GByteArray *shape = g_byte_array_new();

  for (gsize i = 0; i < n; i++) {
    GByteArray *dim = g_byte_array_new();
    pw_int(dim, 1, (guint64)dims[i]);
    pw_message(shape, 2, dim);
  }
  return shape;
}

static inline void
gw_shape(GByteArray *node, const char *key, const gint64 *dims, gsize n)
{
  GByteArray *value = g_byte_array_new();

  pw_message(value, 7, gw_shape_message(dims, n));
  gw_attr(node, key, value);
}

static inline void
gw_const(GByteArray *graph, const char *name, guint dtype, const gint64 *dims, gsize n,
         gconstpointer data, gsize size)
{
  GByteArray *node = gw_node(name, "Const", NULL);
  GByteArray *value = g_byte_array_new();
  GByteArray *tensor = g_byte_array_new();

  pw_int(tensor, 1, dtype);
  pw_message(tensor, 2, gw_shape_message(dims, n));
  pw_bytes(tensor, 4, data, size);
  pw_message(value, 8, tensor);
  gw_attr(node, "value", value);
  gw_type(node, "dtype", dtype);
  gw_add(graph, node);
}

static inline void
gw_floats(GByteArray *graph, const char *name, const float *values, const gint64 *dims, gsize n)
{
  gsize count = 1;

  for (gsize i = 0; i < n; i++) {
    count *= (gsize)dims[i];
  }
  gw_const(graph, name, GW_FLOAT, dims, n, values, count * sizeof(float));
}

static inline void
gw_float(GByteArray *graph, const char *name, float value)
{
  gw_const(graph, name, GW_FLOAT, NULL, 0, &value, sizeof value);
}

/* A vector of int32; a scalar where @n is 0. */
static inline void
gw_int32s(GByteArray *graph, const char *name, const gint32 *values, gint64 n)
{
  gw_const(graph, name, GW_INT32, &n, n ? 1 : 0, values, (gsize)MAX(n, 1) * sizeof(gint32));
}

#define GW_INT32S(graph, name, ...)                                                                \
  gw_int32s(graph, name, (gint32[]){__VA_ARGS__}, sizeof((gint32[]){__VA_ARGS__}) / sizeof(gint32))
#define GW_INT32_SCALAR(graph, name, value) gw_int32s(graph, name, (gint32[]){value}, 0)

static inline void
gw_placeholder(GByteArray *graph, const char *name, guint dtype, const gint64 *dims, gsize n)
{
  GByteArray *node = gw_node(name, "Placeholder", NULL);

  gw_type(node, "dtype", dtype);
  gw_shape(node, "shape", dims, n);
  gw_add(graph, node);
}

static inline InferNetwork *
gw_parse_outputs(GByteArray *graph, const char *const *outputs, GError **error)
{
  g_autoptr(GBytes) bytes = g_bytes_new(graph->data, graph->len);
  InferParseOptions options = {.outputs = outputs};

  return infer_parse_tensorflow_bytes(bytes, "test.pb", &options, error);
}

static inline InferNetwork *
gw_parse(GByteArray *graph, GError **error)
{
  return gw_parse_outputs(graph, NULL, error);
}

/* Computes the network node by node; symbols are 1. Inputs without a default come from @data.
 * The result belongs to the caller. */
static inline InferArray *
gw_run(InferNetwork *network, guint output, const float *data)
{
  g_autoptr(GHashTable) values =
      g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
  GError *error = NULL;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    InferTensor *tensor = infer_network_get_input(network, i);
    InferDims dims = tensor->dims;
    for (gint k = 0; k < dims.n; k++) {
      dims.d[k] = dims.d[k] < 0 ? 1 : dims.d[k];
    }
    InferArray *array = tensor->initial ? infer_array_ref(tensor->initial)
                                        : infer_array_new(tensor->type, &dims, &error);
    g_assert_no_error(error);
    if (!tensor->initial) {
      memcpy(array->data, data, array->size);
    }
    g_hash_table_insert(values, tensor, array);
  }
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    InferNode *node = infer_network_get_node(network, i);
    const InferArray *in[16] = {NULL};
    InferArray *out[16] = {NULL};
    g_assert_cmpuint(node->n_inputs, <=, 16);
    for (guint k = 0; k < node->n_inputs; k++) {
      InferTensor *tensor = node->inputs[k];
      in[k] = !tensor ? NULL : tensor->value ? tensor->value : g_hash_table_lookup(values, tensor);
    }
    infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, &error);
    g_assert_no_error(error);
    for (guint k = 0; k < node->n_outputs; k++) {
      g_hash_table_insert(values, node->outputs[k], out[k]);
    }
  }
  return infer_array_ref(g_hash_table_lookup(values, infer_network_get_output(network, output)));
}
