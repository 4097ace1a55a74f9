/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire.h"

#include <infer/error.h>

#include <string.h>

/* The bytes of a length that is not known yet: protobuf allows leading zeros in a varint. */
#define LENGTH_BYTES 5

/* The most bytes that are kept beside the ranges. */
#define MAX_COPY (1u << 30)

static gboolean
wire_error(GError **error, gsize position, const char *what)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "damaged at byte %" G_GSIZE_FORMAT ": %s",
              position, what);
  return FALSE;
}

static gboolean
read_varint(WireReader *reader, guint64 *value, GError **error)
{
  guint64 result = 0;
  for (guint shift = 0; shift < 64; shift += 7) {
    if (reader->position >= reader->end) {
      return wire_error(error, reader->position, "a number runs past the end");
    }
    guint8 byte = reader->data[reader->position++];
    result |= (guint64)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      *value = result;
      return TRUE;
    }
  }
  return wire_error(error, reader->position, "a number is longer than 10 bytes");
}

static gboolean
skip_bytes(WireReader *reader, guint64 count, GError **error)
{
  if (count > reader->end - reader->position) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "damaged at byte %" G_GSIZE_FORMAT ": field %u of %" G_GUINT64_FORMAT
                " bytes runs past the end of its message",
                reader->start, reader->field, count);
    return FALSE;
  }
  reader->position += (gsize)count;
  return TRUE;
}

gboolean
wire_reader_next(WireReader *reader, GError **error)
{
  if (reader->position >= reader->end) {
    return FALSE;
  }
  reader->start = reader->position;
  guint64 tag = 0;
  if (!read_varint(reader, &tag, error)) {
    return FALSE;
  }
  if (tag >> 3 == 0 || tag > G_MAXUINT32) {
    return wire_error(error, reader->start, "no such field number");
  }
  reader->field = (guint32)(tag >> 3);
  reader->wire_type = tag & 7;
  reader->payload = reader->position;
  switch (reader->wire_type) {
  case 0:
    return read_varint(reader, &reader->varint, error);
  case 1:
    return skip_bytes(reader, 8, error);
  case 2: {
    guint64 length = 0;
    if (!read_varint(reader, &length, error)) {
      return FALSE;
    }
    reader->payload = reader->position;
    return skip_bytes(reader, length, error);
  }
  case 5:
    return skip_bytes(reader, 4, error);
  default:
    return wire_error(error, reader->start, "a wire type that is not used");
  }
}

static void
put_varint(GByteArray *out, guint64 value)
{
  guint8 bytes[10];
  guint n = 0;
  do {
    bytes[n] = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>= 7;
    n++;
  } while (value > 0);
  g_byte_array_append(out, bytes, n);
}

static void
patch_length(GByteArray *out, guint at)
{
  guint length = out->len - at - LENGTH_BYTES;
  for (guint i = 0; i < LENGTH_BYTES; i++) {
    out->data[at + i] = (guint8)((length & 0x7f) | (i + 1 < LENGTH_BYTES ? 0x80 : 0));
    length >>= 7;
  }
}

static gboolean scan_message(WireReader *reader, const WireRule *rules, guint depth, GArray *ranges,
                             GByteArray *out, GError **error);

static gboolean
scan_nested(const WireReader *outer, const WireRule *rules, guint depth, GArray *ranges,
            GByteArray *out, GError **error)
{
  if (depth == 0) {
    return wire_error(error, outer->start, "messages are nested too deeply");
  }
  static const guint8 no_length[LENGTH_BYTES] = {0};
  put_varint(out, (guint64)outer->field << 3 | 2);
  guint at = out->len;
  g_byte_array_append(out, no_length, LENGTH_BYTES);
  WireReader inner = {.data = outer->data, .position = outer->payload, .end = outer->position};
  if (!scan_message(&inner, rules, depth - 1, ranges, out, error)) {
    return FALSE;
  }
  patch_length(out, at);
  return TRUE;
}

static const WireRule *
find_rule(const WireRule *rules, guint32 field)
{
  for (; rules->field != 0; rules++) {
    if (rules->field == field) {
      return rules;
    }
  }
  return NULL;
}

static gboolean
scan_field(const WireReader *reader, const WireRule *rule, guint depth, GArray *ranges,
           GByteArray *out, GError **error)
{
  gboolean is_short = reader->wire_type != 2 || reader->position - reader->payload < WIRE_LONG;
  if (rule->action == WIRE_KEEP || (rule->action == WIRE_CUT_LONG && is_short)) {
    g_byte_array_append(out, reader->data + reader->start,
                        (guint)(reader->position - reader->start));
    return TRUE;
  }
  if (reader->wire_type != 2) {
    return wire_error(error, reader->start, "a number where bytes are expected");
  }
  if (rule->action == WIRE_MESSAGE) {
    return scan_nested(reader, rule->sub, depth, ranges, out, error);
  }
  WireRange range = {reader->payload, reader->position - reader->payload};
  g_array_append_val(ranges, range);
  put_varint(out, (guint64)rule->cut_field << 3);
  put_varint(out, ranges->len);
  return TRUE;
}

static gboolean
scan_message(WireReader *reader, const WireRule *rules, guint depth, GArray *ranges,
             GByteArray *out, GError **error)
{
  GError *damage = NULL;
  while (wire_reader_next(reader, &damage)) {
    const WireRule *rule = find_rule(rules, reader->field);
    if (!rule) {
      continue;
    }
    /* The copy has lengths of 32 bits, and what is kept grows by the padding of lengths. */
    if (out->len > MAX_COPY - 64 || (rule->action == WIRE_KEEP &&
                                     reader->position - reader->start > MAX_COPY - 64 - out->len)) {
      return wire_error(error, reader->start, "more than 1 GiB beside the tensors' contents");
    }
    if (!scan_field(reader, rule, depth, ranges, out, error)) {
      return FALSE;
    }
  }
  if (damage) {
    g_propagate_error(error, damage);
    return FALSE;
  }
  return TRUE;
}

GByteArray *
wire_scan(const guint8 *data, gsize size, const WireRule *rules, guint max_depth, GArray *ranges,
          GError **error)
{
  g_autoptr(GByteArray) out = g_byte_array_new();
  WireReader reader = {.data = data, .position = 0, .end = size};
  if (!scan_message(&reader, rules, max_depth, ranges, out, error)) {
    return NULL;
  }
  return g_steal_pointer(&out);
}

static void *
bounded_alloc(void *data, size_t size)
{
  WireAllocator *allocator = data;
  if (size > allocator->left) {
    return NULL;
  }
  void *block = g_try_malloc(MAX(size, 1));
  if (block) {
    allocator->left -= size;
  }
  return block;
}

static void
bounded_free(void *data, void *block)
{
  g_free(block);
}

void
wire_allocator_init(WireAllocator *allocator, gsize limit)
{
  allocator->base.alloc = bounded_alloc;
  allocator->base.free = bounded_free;
  allocator->base.allocator_data = allocator;
  allocator->left = limit;
}
