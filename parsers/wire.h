/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <protobuf-c/protobuf-c.h>

G_BEGIN_DECLS

/*
 * Protobuf's wire format, read with suspicion. protobuf-c copies every field and trusts nesting;
 * here a message is first walked along a table of the fields that are wanted. What comes out is a
 * small copy without the unwanted fields, in which large bytes fields are replaced by the number
 * of a range of the file.
 */

/** WireAction: what happens to a field.
 * @WIRE_KEEP: copied as it is
 * @WIRE_MESSAGE: walked with a table of its own
 * @WIRE_CUT: recorded as a range; a varint, number of the range plus one, takes its place
 * @WIRE_CUT_LONG: cut where it is a list of %WIRE_LONG bytes or more, else kept
 */
typedef enum { WIRE_KEEP, WIRE_MESSAGE, WIRE_CUT, WIRE_CUT_LONG } WireAction;

#define WIRE_LONG 4096

/**
 * WireRule:
 * @field: field number; 0 ends a table. Fields without a rule are dropped
 * @action: what to do with it
 * @sub: (nullable): the table of a message
 * @cut_field: the field number that takes the place of a field that is cut out
 */
typedef struct _WireRule WireRule;
struct _WireRule {
  guint32 field;
  WireAction action;
  const WireRule *sub;
  guint32 cut_field;
};

/** WireRange: bytes of the scanned file. */
typedef struct {
  gsize offset;
  gsize length;
} WireRange;

/**
 * WireReader: walks the fields of one message.
 * @data: start of the file
 * @position: next byte to read
 * @end: end of the message
 * @field: number of the field that was read
 * @wire_type: 0 varint, 1 eight bytes, 2 counted bytes, 5 four bytes
 * @start: where the field's tag stands
 * @payload: where its contents stand
 * @varint: value of a varint
 */
typedef struct {
  const guint8 *data;
  gsize position;
  gsize end;
  guint32 field;
  guint wire_type;
  gsize start;
  gsize payload;
  guint64 varint;
} WireReader;

/** wire_reader_next: reads a field. Returns: FALSE at the end, and with @error set when damaged. */
gboolean wire_reader_next(WireReader *reader, GError **error);

/**
 * wire_scan:
 * @data: (array length=size): a serialized message
 * @size: bytes
 * @rules: what to keep
 * @max_depth: the deepest nesting that is allowed
 * @ranges: (element-type WireRange): takes the ranges that were cut out
 * @error: return location
 *
 * Returns: (transfer full) (nullable): the message without what was dropped and cut out
 */
GByteArray *wire_scan(const guint8 *data, gsize size, const WireRule *rules, guint max_depth,
                      GArray *ranges, GError **error);

/** WireAllocator: gives protobuf-c at most @left bytes in all. */
typedef struct {
  ProtobufCAllocator base;
  gsize left;
} WireAllocator;

void wire_allocator_init(WireAllocator *allocator, gsize limit);

G_END_DECLS
