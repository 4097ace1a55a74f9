/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "recognize.h"

#include "wire.h"

#include <string.h>

/* How much of a text is looked at. */
#define MAX_TEXT 65536

static gboolean
is_text(const guint8 *data, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    if (data[i] < 0x20 && !g_ascii_isspace(data[i]) && data[i] != '\v') {
      return FALSE;
    }
  }
  return TRUE;
}

/* A layer has a name and a type: a text in today's form, a number in the old one. */
static gboolean
is_layer(const guint8 *data, gsize from, gsize to, gboolean old)
{
  WireReader reader = {.data = data, .position = from, .end = to};
  gboolean named = FALSE, typed = FALSE;
  g_autoptr(GError) error = NULL;

  while (wire_reader_next(&reader, &error)) {
    gsize length = reader.position - reader.payload;
    gboolean text = reader.wire_type == 2 && is_text(data + reader.payload, length);
    if (old) {
      named = named || (reader.field == 4 && text) || (reader.field == 1 && reader.wire_type == 2);
      typed = typed || (reader.field == 5 && reader.wire_type == 0) || reader.field == 1;
    } else {
      named = named || (reader.field == 1 && text);
      typed = typed || (reader.field == 2 && text && length > 0);
    }
  }
  return !error && named && typed;
}

gboolean
recognize_caffemodel(const guint8 *data, gsize size)
{
  WireReader reader = {.data = data, .position = 0, .end = size};

  while (wire_reader_next(&reader, NULL)) {
    if (reader.field == 100 || reader.field == 2) {
      return reader.wire_type == 2 &&
             is_layer(data, reader.payload, reader.position, reader.field == 2);
    }
    gboolean text =
        reader.wire_type == 2 && is_text(data + reader.payload, reader.position - reader.payload);
    if (reader.field > 8 || ((reader.field == 1 || reader.field == 3) && !text)) {
      return FALSE;
    }
  }
  return FALSE;
}

/* Text that begins with the name of a field and has a layer. */
gboolean
recognize_prototxt(const guint8 *data, gsize size)
{
  gsize n = MIN(size, MAX_TEXT), i = 0;

  if (!is_text(data, n)) {
    return FALSE;
  }
  while (i < n && (g_ascii_isspace(data[i]) || data[i] == '#')) {
    for (gboolean comment = data[i] == '#'; comment && i < n && data[i] != '\n'; i++) {
    }
    i += i < n ? 1 : 0;
  }
  gsize word = i;
  while (i < n && (g_ascii_isalnum(data[i]) || data[i] == '_')) {
    i++;
  }
  if (i == word) {
    return FALSE;
  }
  while (i < n && g_ascii_isspace(data[i])) {
    i++;
  }
  return i < n && strchr(":{<", data[i]) && g_strstr_len((const char *)data, (gssize)n, "layer");
}

/* Two numbers of versions, then descriptors, graphs and the contents of constants. */
gboolean
recognize_uff(const guint8 *data, gsize size)
{
  WireReader reader = {.data = data, .position = 0, .end = size};
  gboolean graph = FALSE;
  g_autoptr(GError) error = NULL;

  while (wire_reader_next(&reader, &error)) {
    guint want = reader.field <= 2 ? 0 : 2;
    if ((reader.field > 5 && reader.field != 100) || reader.wire_type != want) {
      return FALSE;
    }
    graph = graph || reader.field == 4;
  }
  return !error && graph;
}

/* Fields of a NodeDef: its operator is an identifier. */
static gboolean
is_node_def(const guint8 *data, gsize from, gsize to)
{
  WireReader reader = {.data = data, .position = from, .end = to};
  gboolean named = FALSE, has_op = FALSE;
  g_autoptr(GError) error = NULL;

  while (wire_reader_next(&reader, &error)) {
    gsize length = reader.position - reader.payload;
    if (reader.field > 7 || reader.wire_type != 2) {
      return FALSE;
    }
    named = named || (reader.field == 1 && length > 0);
    if (reader.field == 2) {
      has_op = length > 0 && g_ascii_isalpha(data[reader.payload]);
      for (gsize i = 0; i < length && has_op; i++) {
        guint8 c = data[reader.payload + i];
        has_op = g_ascii_isalnum(c) || c == '_' || c == '>';
      }
      if (!has_op) {
        return FALSE;
      }
    }
  }
  return !error && named && has_op;
}

/* A GraphDef is a row of nodes, beside a few small fields. */
gboolean
recognize_graph_def(const guint8 *data, gsize size)
{
  WireReader reader = {.data = data, .position = 0, .end = size};

  while (wire_reader_next(&reader, NULL)) {
    if (reader.field == 1) {
      return reader.wire_type == 2 && is_node_def(data, reader.payload, reader.position);
    }
    if (reader.field > 5) {
      return FALSE;
    }
  }
  return FALSE;
}

/* The graphs of a SavedModel are in its field 2, and its first field is a version. */
gboolean
recognize_saved_model(const guint8 *data, gsize size)
{
  WireReader reader = {.data = data, .position = 0, .end = size};
  gboolean graph = FALSE;
  g_autoptr(GError) error = NULL;

  while (wire_reader_next(&reader, &error)) {
    if (reader.field > 2 || reader.wire_type != (reader.field == 1 ? 0u : 2u)) {
      return FALSE;
    }
    WireReader meta = {.data = data, .position = reader.payload, .end = reader.position};
    while (reader.field == 2 && wire_reader_next(&meta, &error)) {
      if (meta.field > 7 || meta.wire_type != 2) {
        return FALSE;
      }
      graph = graph || meta.field == 2;
    }
    if (error) {
      return FALSE;
    }
  }
  return !error && graph;
}

char *
parsers_saved_model_file(const char *path)
{
  return g_file_test(path, G_FILE_TEST_IS_DIR) ? g_build_filename(path, "saved_model.pb", NULL)
                                               : g_strdup(path);
}
