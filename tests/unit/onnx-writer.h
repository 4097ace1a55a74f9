/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>
#include <op.h>

#include <stdarg.h>
#include <string.h>

#include "proto-writer.h"

/* Writes ONNX models, good and bad ones, for tests. Messages are byte arrays; what takes a message
 * frees it. */

/* A TensorProto with raw contents. */
static inline GByteArray *
ow_tensor(const char *name, InferType type, const InferDims *dims, gconstpointer data)
{
  GByteArray *tensor = g_byte_array_new();

  for (gint i = 0; i < dims->n; i++)
    pw_int(tensor, 1, dims->d[i]);
  pw_int(tensor, 2, type);
  pw_string(tensor, 8, name);
  pw_bytes(tensor, 9, data, infer_type_size(type, infer_dims_count(dims)));
  return tensor;
}

/* Adds a constant to a graph. */
static inline void
ow_constant(GByteArray *graph, const char *name, InferType type, const InferDims *dims,
            gconstpointer data)
{
  pw_message(graph, 5, ow_tensor(name, type, dims, data));
}

static inline void
ow_ints_constant(GByteArray *graph, const char *name, const gint64 *values, gint64 n)
{
  ow_constant(graph, name, INFER_TYPE_INT64, &INFER_DIMS(n), values);
}

/* A ValueInfoProto; a dimension of -1 has the name @open. */
static inline GByteArray *
ow_value(const char *name, InferType type, const InferDims *dims, const char *open)
{
  GByteArray *value = g_byte_array_new(), *holder = g_byte_array_new();
  GByteArray *tensor = g_byte_array_new(), *shape = g_byte_array_new();

  for (gint i = 0; i < dims->n; i++) {
    GByteArray *dim = g_byte_array_new();
    if (dims->d[i] < 0 && open != NULL)
      pw_string(dim, 2, open);
    else
      pw_int(dim, 1, dims->d[i]);
    pw_message(shape, 1, dim);
  }
  pw_int(tensor, 1, type);
  pw_message(tensor, 2, shape);
  pw_message(holder, 1, tensor);
  pw_string(value, 1, name);
  pw_message(value, 2, holder);
  return value;
}

static inline void
ow_input(GByteArray *graph, const char *name, const InferDims *dims, const char *open)
{
  pw_message(graph, 11, ow_value(name, INFER_TYPE_FLOAT, dims, open));
}

static inline void
ow_output(GByteArray *graph, const char *name)
{
  GByteArray *value = g_byte_array_new();

  pw_string(value, 1, name);
  pw_message(graph, 12, value);
}

/* A node: @inputs and @outputs are names with blanks between; "-" is an absent one. */
static inline GByteArray *
ow_node(const char *op, const char *inputs, const char *outputs)
{
  GByteArray *node = g_byte_array_new();
  g_auto(GStrv) in = g_strsplit(inputs, " ", -1);
  g_auto(GStrv) out = g_strsplit(outputs, " ", -1);

  for (guint i = 0; in[i] != NULL; i++)
    if (in[i][0] != '\0')
      pw_string(node, 1, g_str_equal(in[i], "-") ? "" : in[i]);
  for (guint i = 0; out[i] != NULL; i++)
    if (out[i][0] != '\0')
      pw_string(node, 2, out[i]);
  pw_string(node, 4, op);
  return node;
}

static inline GByteArray *
ow_attr(const char *name, guint type)
{
  GByteArray *attr = g_byte_array_new();

  pw_string(attr, 1, name);
  pw_int(attr, 20, type);
  return attr;
}

static inline void
ow_int(GByteArray *node, const char *name, gint64 value)
{
  GByteArray *attr = ow_attr(name, 2);

  pw_int(attr, 3, value);
  pw_message(node, 5, attr);
}

static inline void
ow_float(GByteArray *node, const char *name, float value)
{
  GByteArray *attr = ow_attr(name, 1);

  pw_varint(attr, 2 << 3 | 5);
  g_byte_array_append(attr, (const guint8 *)&value, 4);
  pw_message(node, 5, attr);
}

static inline void
ow_string(GByteArray *node, const char *name, const char *value)
{
  GByteArray *attr = ow_attr(name, 3);

  pw_string(attr, 4, value);
  pw_message(node, 5, attr);
}

static inline void
ow_ints(GByteArray *node, const char *name, const gint64 *values, gsize n)
{
  GByteArray *attr = ow_attr(name, 7);

  for (gsize i = 0; i < n; i++)
    pw_int(attr, 8, values[i]);
  pw_message(node, 5, attr);
}

static inline void
ow_graph(GByteArray *node, const char *name, GByteArray *graph)
{
  GByteArray *attr = ow_attr(name, 5);

  pw_message(attr, 6, graph);
  pw_message(node, 5, attr);
}

static inline void
ow_add(GByteArray *graph, GByteArray *node)
{
  pw_message(graph, 1, node);
}

/* An OperatorSetIdProto, as field @field of a model or function. */
static inline void
ow_opset(GByteArray *message, guint field, const char *domain, gint64 version)
{
  GByteArray *opset = g_byte_array_new();

  pw_string(opset, 1, domain);
  pw_int(opset, 2, version);
  pw_message(message, field, opset);
}

/* A ModelProto; @graph is freed. */
static inline GByteArray *
ow_model(GByteArray *graph, gint64 opset)
{
  GByteArray *model = g_byte_array_new();

  pw_int(model, 1, 8);
  pw_message(model, 7, graph);
  ow_opset(model, 8, "", opset);
  return model;
}

static inline InferNetwork *
ow_parse(GByteArray *model, GError **error)
{
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(model);

  return infer_parse_onnx_bytes(bytes, "test", NULL, error);
}
