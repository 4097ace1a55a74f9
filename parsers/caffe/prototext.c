/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prototext.h"

#include "anyvalue.h"
#include "token.h"

#include <infer/error.h>

#include <math.h>
#include <string.h>

#define MAX_DEPTH 32

typedef struct {
  TokenReader in;
  ProtobufCAllocator *allocator;
  const char *const *skipped;
  const ProtobufCMessageDescriptor *holder;
  const char *suffix;
  GPtrArray *custom;
  GHashTable *lines;
} Reader;

static gsize
element_size(const ProtobufCFieldDescriptor *field)
{
  switch (field->type) {
  case PROTOBUF_C_TYPE_MESSAGE:
  case PROTOBUF_C_TYPE_STRING:
    return sizeof(gpointer);
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return 8;
  case PROTOBUF_C_TYPE_BOOL:
    return sizeof(protobuf_c_boolean);
  default:
    return 4;
  }
}

static void *
allocate(Reader *reader, gsize size, GError **error)
{
  void *block = reader->allocator->alloc(reader->allocator->allocator_data, size);

  if (!block) {
    token_error(&reader->in, error, "the text takes more memory than its size allows");
  }
  return block;
}

/* Where the next element of a repeated field goes; the room doubles when it is full. */
static void *
append_slot(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
            GError **error)
{
  gsize *n = (gsize *)((guint8 *)message + field->quantifier_offset);
  void **list = (void **)((guint8 *)message + field->offset);
  gsize size = element_size(field);

  if ((*n & (*n - 1)) == 0) {
    void *room = allocate(reader, MAX(*n * 2, 1) * size, error);
    if (!room) {
      return NULL;
    }
    if (*n > 0) {
      memcpy(room, *list, *n * size);
      reader->allocator->free(reader->allocator->allocator_data, *list);
    }
    *list = room;
  }
  return (guint8 *)*list + (*n)++ * size;
}

static void *
slot(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
     GError **error)
{
  void *at = (guint8 *)message + field->offset;

  if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    return append_slot(reader, message, field, error);
  }
  gboolean pointer =
      field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING;
  protobuf_c_boolean *has = (protobuf_c_boolean *)((guint8 *)message + field->quantifier_offset);
  if (pointer ? *(gconstpointer *)at && *(gconstpointer *)at != field->default_value : *has) {
    token_error(&reader->in, error, "field '%s' of %s is given twice", field->name,
                message->descriptor->short_name);
    return NULL;
  }
  if (!pointer) {
    *has = TRUE;
  }
  return at;
}

static gboolean
store_text(Reader *reader, void *at, GError **error)
{
  g_autoptr(GString) text = token_text(&reader->in, error);

  *(char **)at = NULL;
  if (!text) {
    return FALSE;
  }
  char *copy = allocate(reader, text->len + 1, error);
  if (!copy) {
    return FALSE;
  }
  memcpy(copy, text->str, text->len + 1);
  *(char **)at = copy;
  return TRUE;
}

static gboolean
store_enum(Reader *reader, const ProtobufCFieldDescriptor *field, void *at, GError **error)
{
  const ProtobufCEnumDescriptor *values = field->descriptor;
  TokenReader *in = &reader->in;

  if (in->kind == TOKEN_WORD) {
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value_by_name(values, in->word);
    if (!value) {
      return token_error(in, error, "'%s' is no value of field '%s'", in->word, field->name);
    }
    *(gint32 *)at = value->value;
    return token_next(in, error);
  }
  gint64 number = 0;
  if (!token_integer(in, G_MININT32, G_MAXINT32, &number, error)) {
    return FALSE;
  }
  if (!protobuf_c_enum_descriptor_get_value(values, (int)number)) {
    return token_error(in, error, "%" G_GINT64_FORMAT " is no value of field '%s'", number,
                       field->name);
  }
  *(gint32 *)at = (gint32)number;
  return TRUE;
}

static gboolean
store_number(Reader *reader, const ProtobufCFieldDescriptor *field, void *at, GError **error)
{
  gint64 number = 0;
  double real = 0;

  switch (field->type) {
  case PROTOBUF_C_TYPE_INT32:
    if (!token_integer(&reader->in, G_MININT32, G_MAXINT32, &number, error)) {
      return FALSE;
    }
    *(gint32 *)at = (gint32)number;
    return TRUE;
  case PROTOBUF_C_TYPE_UINT32:
    if (!token_integer(&reader->in, 0, G_MAXUINT32, &number, error)) {
      return FALSE;
    }
    *(guint32 *)at = (guint32)number;
    return TRUE;
  case PROTOBUF_C_TYPE_INT64:
    return token_integer(&reader->in, G_MININT64, G_MAXINT64, at, error);
  case PROTOBUF_C_TYPE_FLOAT:
    if (!token_real(&reader->in, &real, error)) {
      return FALSE;
    }
    *(float *)at = (float)real;
    return TRUE;
  default:
    return token_real(&reader->in, at, error);
  }
}

static gboolean
store_bool(Reader *reader, const ProtobufCFieldDescriptor *field, void *at, GError **error)
{
  static const char *const yes[] = {"true", "True", "t", "1", NULL};
  static const char *const no[] = {"false", "False", "f", "0", NULL};
  const char *word = reader->in.word;
  gboolean plain = reader->in.kind == TOKEN_WORD || reader->in.kind == TOKEN_NUMBER;

  if (!plain || !(g_strv_contains(yes, word) || g_strv_contains(no, word))) {
    return token_error(&reader->in, error, "field '%s' is true or false, not '%s'", field->name,
                       word);
  }
  *(protobuf_c_boolean *)at = g_strv_contains(yes, word);
  return token_next(&reader->in, error);
}

static gboolean
store_scalar(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
             GError **error)
{
  void *at = slot(reader, message, field, error);

  if (!at) {
    return FALSE;
  }
  /* A failed value leaves an element behind that is freed with the message. */
  memset(at, 0, element_size(field));
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
    return store_text(reader, at, error);
  case PROTOBUF_C_TYPE_ENUM:
    return store_enum(reader, field, at, error);
  case PROTOBUF_C_TYPE_BOOL:
    return store_bool(reader, field, at, error);
  default:
    return store_number(reader, field, at, error);
  }
}

static gboolean read_message(Reader *reader, ProtobufCMessage *message, char end, guint depth,
                             GError **error);

static gboolean
store_message(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
              guint depth, GError **error)
{
  const ProtobufCMessageDescriptor *type = field->descriptor;
  char open = reader->in.sign;

  if (reader->in.kind != TOKEN_SIGN || (open != '{' && open != '<')) {
    return token_error(&reader->in, error, "field '%s' is a message, so '{' has to follow",
                       field->name);
  }
  if (depth == 0) {
    return token_error(&reader->in, error, "messages are nested too deeply");
  }
  ProtobufCMessage *inner = allocate(reader, type->sizeof_message, error);
  if (!inner) {
    return FALSE;
  }
  type->message_init(inner);
  void *at = slot(reader, message, field, error);
  if (!at) {
    reader->allocator->free(reader->allocator->allocator_data, inner);
    return FALSE;
  }
  *(ProtobufCMessage **)at = inner;
  if (reader->lines && depth == MAX_DEPTH) {
    g_hash_table_insert(reader->lines, inner, GUINT_TO_POINTER(reader->in.line));
  }
  return token_next(&reader->in, error) &&
         read_message(reader, inner, open == '{' ? '}' : '>', depth - 1, error);
}

static gboolean
store_value(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
            guint depth, GError **error)
{
  return field->type == PROTOBUF_C_TYPE_MESSAGE
             ? store_message(reader, message, field, depth, error)
             : store_scalar(reader, message, field, error);
}

static gboolean
store_list(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
           guint depth, GError **error)
{
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    return token_error(&reader->in, error, "field '%s' takes one value, not a list", field->name);
  }
  if (!token_next(&reader->in, error)) {
    return FALSE;
  }
  while (!token_is(&reader->in, ']')) {
    if (!store_value(reader, message, field, depth, error)) {
      return FALSE;
    }
    if (token_is(&reader->in, ',') ? !token_next(&reader->in, error)
                                   : !token_is(&reader->in, ']')) {
      return token_error(&reader->in, error, "',' or ']' is missing in the list of '%s'",
                         field->name);
    }
  }
  return token_next(&reader->in, error);
}

/* Passes over a value that nobody reads: a word, a number, texts, or something in brackets. */
static gboolean
skip_value(Reader *reader, const char *name, GError **error)
{
  TokenReader *in = &reader->in;
  guint open = 0, line = in->line;

  if (token_is(in, ':') && !token_next(in, error)) {
    return FALSE;
  }
  do {
    gboolean text = in->kind == TOKEN_TEXT;
    if (in->kind == TOKEN_END) {
      return token_error(in, error, "field '%s' of line %u has no end", name, line);
    }
    if (in->kind == TOKEN_SIGN) {
      open += strchr("{<[", in->sign) ? 1 : 0;
      if (strchr("}>]", in->sign) && open-- == 0) {
        return token_error(in, error, "field '%s' has no value", name);
      }
    }
    if (!token_next(in, error)) {
      return FALSE;
    }
    if (text && open == 0 && in->kind == TOKEN_TEXT) {
      continue;
    }
  } while (open > 0);
  return TRUE;
}

/* protobuf-c has names of its own in its structures; a field of such a name ends in "_". */
static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessage *message, const char *name)
{
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
  g_autofree char *other = field ? NULL : g_strconcat(name, "_", NULL);

  return field ? field
               : protobuf_c_message_descriptor_get_field_by_name(message->descriptor, other);
}

static gboolean
read_custom(Reader *reader, const ProtobufCMessage *message, const char *name, guint line,
            GError **error)
{
  TokenReader *in = &reader->in;
  PrototextCustom *custom;
  GVariant *fields;

  if (token_is(in, ':') && !token_next(in, error)) {
    return FALSE;
  }
  if (!token_is(in, '{') && !token_is(in, '<')) {
    return token_error(in, error, "%s has no field '%s'", message->descriptor->short_name, name);
  }
  fields = prototext_any_message(in, error);
  if (!fields) {
    return FALSE;
  }
  custom = g_new0(PrototextCustom, 1);
  custom->message = message;
  custom->name = g_strdup(name);
  custom->line = line;
  custom->fields = fields;
  g_ptr_array_add(reader->custom, custom);
  return TRUE;
}

static gboolean
read_field(Reader *reader, ProtobufCMessage *message, guint depth, GError **error)
{
  TokenReader *in = &reader->in;

  if (in->kind != TOKEN_WORD) {
    return token_error(in, error, "the name of a field is expected, not '%s'", in->word);
  }
  const ProtobufCFieldDescriptor *field = find_field(message, in->word);
  g_autofree char *name = g_strdup(in->word);
  gboolean skip = !field && g_strv_contains(reader->skipped, name);
  gboolean custom = !field && !skip && message->descriptor == reader->holder &&
                    g_str_has_suffix(name, reader->suffix);
  guint line = in->line;
  if (!field && !skip && !custom) {
    return token_error(in, error, "%s has no field '%s'", message->descriptor->short_name, name);
  }
  if (!token_next(in, error)) {
    return FALSE;
  }
  if (skip) {
    return skip_value(reader, name, error);
  }
  if (custom) {
    return read_custom(reader, message, name, line, error);
  }
  if (token_is(in, ':')) {
    if (!token_next(in, error)) {
      return FALSE;
    }
  } else if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
    return token_error(in, error, "':' is missing after '%s'", name);
  }
  return token_is(in, '[') ? store_list(reader, message, field, depth, error)
                           : store_value(reader, message, field, depth, error);
}

/* Fields up to @end, which is passed over; 0 is the end of the text. */
static gboolean
read_message(Reader *reader, ProtobufCMessage *message, char end, guint depth, GError **error)
{
  TokenReader *in = &reader->in;
  guint line = in->line;

  while (!(end ? token_is(in, end) : in->kind == TOKEN_END)) {
    if (in->kind == TOKEN_END) {
      return token_error(in, error, "the %s that begins in line %u has no '%c'",
                         message->descriptor->short_name, line, end);
    }
    if (!read_field(reader, message, depth, error)) {
      return FALSE;
    }
    if ((token_is(in, ',') || token_is(in, ';')) && !token_next(in, error)) {
      return FALSE;
    }
  }
  return !end || token_next(in, error);
}

void
prototext_custom_free(gpointer data)
{
  PrototextCustom *custom = data;

  g_free(custom->name);
  g_variant_unref(custom->fields);
  g_free(custom);
}

gboolean
prototext_read_custom(const char *text, gsize size, ProtobufCMessage *message,
                      ProtobufCAllocator *allocator, const char *const *skipped,
                      const ProtobufCMessageDescriptor *holder, const char *suffix,
                      GPtrArray *custom, GHashTable *lines, GError **error)
{
  Reader reader = {.allocator = allocator,
                   .skipped = skipped,
                   .holder = holder,
                   .suffix = suffix,
                   .custom = custom,
                   .lines = lines};

  token_reader_init(&reader.in, text, size);
  return token_next(&reader.in, error) && read_message(&reader, message, 0, MAX_DEPTH, error);
}

gboolean
prototext_read(const char *text, gsize size, ProtobufCMessage *message,
               ProtobufCAllocator *allocator, const char *const *skipped, GError **error)
{
  return prototext_read_custom(text, size, message, allocator, skipped, NULL, NULL, NULL, NULL,
                               error);
}
