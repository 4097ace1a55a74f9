/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../wire.h"

G_BEGIN_DECLS

/**
 * prototext_read:
 * @text: (array length=size): a message in protobuf's text format; need not end with a zero
 * @size: bytes
 * @message: an initialised message whose fields are set; freed by the caller, also on error
 * @allocator: gives the memory of all that @message points at
 * @skipped: (array zero-terminated=1): names of fields that @message does not have and that are
 *   passed over with whatever they contain
 * @error: return location
 *
 * Reads protobuf's text format along the descriptors of protobuf-c. A field that is neither in
 * @message nor in @skipped, a value of the wrong kind, a number that does not fit, and a field that
 * is given twice but not repeated are errors, which name the line.
 *
 * Returns: success
 */
gboolean prototext_read(const char *text, gsize size, ProtobufCMessage *message,
                        ProtobufCAllocator *allocator, const char *const *skipped, GError **error);

/**
 * PrototextCustom: a message that no descriptor describes.
 * @message: the message that it is a field of
 * @name: name of the field
 * @line: where it begins
 * @fields: what it says, see prototext_any_message()
 */
typedef struct {
  const ProtobufCMessage *message;
  char *name;
  guint line;
  GVariant *fields;
} PrototextCustom;

void prototext_custom_free(gpointer custom);

/**
 * prototext_read_custom: the same as prototext_read(), but
 * @holder: messages of this type may have unknown fields
 * @suffix: whose names end so and which are messages
 * @custom: (element-type PrototextCustom): gets them
 * @lines: (nullable): gets the lines, from 1, in which messages that are fields of @message begin;
 *   keys are the messages
 */
gboolean prototext_read_custom(const char *text, gsize size, ProtobufCMessage *message,
                               ProtobufCAllocator *allocator, const char *const *skipped,
                               const ProtobufCMessageDescriptor *holder, const char *suffix,
                               GPtrArray *custom, GHashTable *lines, GError **error);

G_END_DECLS
