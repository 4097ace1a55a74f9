/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

/* Writes protobuf messages by hand, for models that tests make. */

static inline void
pw_varint(GByteArray *out, guint64 value)
{
  do {
    guint8 byte = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    g_byte_array_append(out, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

static inline void
pw_int(GByteArray *out, guint field, gint64 value)
{
  pw_varint(out, (guint64)field << 3);
  pw_varint(out, (guint64)value);
}

static inline void
pw_bytes(GByteArray *out, guint field, gconstpointer data, gsize size)
{
  pw_varint(out, (guint64)field << 3 | 2);
  pw_varint(out, size);
  g_byte_array_append(out, data, (guint)size);
}

static inline void
pw_string(GByteArray *out, guint field, const char *text)
{
  pw_bytes(out, field, text, strlen(text));
}

/** pw_message: adds @inner, which is freed. */
static inline void
pw_message(GByteArray *out, guint field, GByteArray *inner)
{
  pw_bytes(out, field, inner->data, inner->len);
  g_byte_array_unref(inner);
}

/** pw_ints: Returns: a message whose field 1 are packed integers */
static inline GByteArray *
pw_ints(const gint64 *values, gsize n)
{
  GByteArray *packed = g_byte_array_new(), *out = g_byte_array_new();
  for (gsize i = 0; i < n; i++) {
    pw_varint(packed, (guint64)values[i]);
  }
  pw_message(out, 1, packed);
  return out;
}
