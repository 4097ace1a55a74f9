/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>
#include <op.h>

#include <stdarg.h>
#include <string.h>

/* Writes ONNX models, good and bad ones, for tests. Messages are byte arrays; what takes a message
 * frees it. */

static inline void
ow_varint(GByteArray *out, guint64 value)
{
  do {
    guint8 byte = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    g_byte_array_append(out, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

static inline void
ow_number(GByteArray *out, guint field, gint64 value)
{
  ow_varint(out, (guint64)field << 3);
  ow_varint(out, (guint64)value);
}

static inline void
ow_bytes(GByteArray *out, guint field, gconstpointer data, gsize size)
{
  ow_varint(out, (guint64)field << 3 | 2);
  ow_varint(out, size);
  g_byte_array_append(out, data, (guint)size);
}

static inline void
ow_text(GByteArray *out, guint field, const char *text)
{
  ow_bytes(out, field, text, strlen(text));
}

static inline void
ow_message(GByteArray *out, guint field, GByteArray *message)
{
  ow_bytes(out, field, message->data, message->len);
  g_byte_array_unref(message);
}

/* A TensorProto with raw contents. */
static inline GByteArray *
ow_tensor(const char *name, InferType type, const InferDims *dims, gconstpointer data)
{
  GByteArray *tensor = g_byte_array_new();

  for (gint i = 0; i < dims->n; i++)
    ow_number(tensor, 1, dims->d[i]);
  ow_number(tensor, 2, type);
  ow_text(tensor, 8, name);
  ow_bytes(tensor, 9, data, infer_type_size(type, infer_dims_count(dims)));
  return tensor;
}

/* Adds a constant to a graph. */
static inline void
ow_constant(GByteArray *graph, const char *name, InferType type, const InferDims *dims,
            gconstpointer data)
{
  ow_message(graph, 5, ow_tensor(name, type, dims, data));
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
      ow_text(dim, 2, open);
    else
      ow_number(dim, 1, dims->d[i]);
    ow_message(shape, 1, dim);
  }
  ow_number(tensor, 1, type);
  ow_message(tensor, 2, shape);
  ow_message(holder, 1, tensor);
  ow_text(value, 1, name);
  ow_message(value, 2, holder);
  return value;
}

static inline void
ow_input(GByteArray *graph, const char *name, const InferDims *dims, const char *open)
{
  ow_message(graph, 11, ow_value(name, INFER_TYPE_FLOAT, dims, open));
}

static inline void
ow_output(GByteArray *graph, const char *name)
{
  GByteArray *value = g_byte_array_new();

  ow_text(value, 1, name);
  ow_message(graph, 12, value);
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
      ow_text(node, 1, g_str_equal(in[i], "-") ? "" : in[i]);
  for (guint i = 0; out[i] != NULL; i++)
    if (out[i][0] != '\0')
      ow_text(node, 2, out[i]);
  ow_text(node, 4, op);
  return node;
}

static inline GByteArray *
ow_attr(const char *name, guint type)
{
  GByteArray *attr = g_byte_array_new();

  ow_text(attr, 1, name);
  ow_number(attr, 20, type);
  return attr;
}

static inline void
ow_int(GByteArray *node, const char *name, gint64 value)
{
  GByteArray *attr = ow_attr(name, 2);

  ow_number(attr, 3, value);
  ow_message(node, 5, attr);
}

static inline void
ow_float(GByteArray *node, const char *name, float value)
{
  GByteArray *attr = ow_attr(name, 1);

  ow_varint(attr, 2 << 3 | 5);
  g_byte_array_append(attr, (const guint8 *)&value, 4);
  ow_message(node, 5, attr);
}

static inline void
ow_string(GByteArray *node, const char *name, const char *value)
{
  GByteArray *attr = ow_attr(name, 3);

  ow_text(attr, 4, value);
  ow_message(node, 5, attr);
}

static inline void
ow_ints(GByteArray *node, const char *name, const gint64 *values, gsize n)
{
  GByteArray *attr = ow_attr(name, 7);

  for (gsize i = 0; i < n; i++)
    ow_number(attr, 8, values[i]);
  ow_message(node, 5, attr);
}

static inline void
ow_graph(GByteArray *node, const char *name, GByteArray *graph)
{
  GByteArray *attr = ow_attr(name, 5);

  ow_message(attr, 6, graph);
  ow_message(node, 5, attr);
}

static inline void
ow_add(GByteArray *graph, GByteArray *node)
{
  ow_message(graph, 1, node);
}

/* An OperatorSetIdProto, as field @field of a model or function. */
static inline void
ow_opset(GByteArray *message, guint field, const char *domain, gint64 version)
{
  GByteArray *opset = g_byte_array_new();

  ow_text(opset, 1, domain);
  ow_number(opset, 2, version);
  ow_message(message, field, opset);
}

/* A ModelProto; @graph is freed. */
static inline GByteArray *
ow_model(GByteArray *graph, gint64 opset)
{
  GByteArray *model = g_byte_array_new();

  ow_number(model, 1, 8);
  ow_message(model, 7, graph);
  ow_opset(model, 8, "", opset);
  return model;
}

static inline InferNetwork *
ow_parse(GByteArray *model, GError **error)
{
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(model);

  return infer_parse_onnx_bytes(bytes, "test", NULL, error);
}
