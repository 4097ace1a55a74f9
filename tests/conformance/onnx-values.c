/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onnx-values.h"

/* SequenceProto has its tensors in field 3, OptionalProto a tensor in field 3 or a sequence in 5.
 */

typedef struct {
  const guint8 *at, *end;
} Bytes;

static gboolean
read_varint(Bytes *bytes, guint64 *value)
{
  *value = 0;
  for (guint shift = 0; shift < 64 && bytes->at < bytes->end; shift += 7) {
    guint8 byte = *bytes->at++;
    *value |= (guint64)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return TRUE;
  }
  return FALSE;
}

/* The next field that has bytes; numbers are passed over. */
static gboolean
next_field(Bytes *bytes, guint *field, Bytes *content)
{
  guint64 key, size;
  while (bytes->at < bytes->end && read_varint(bytes, &key) && read_varint(bytes, &size)) {
    if ((key & 7) == 0)
      continue;
    if ((key & 7) != 2 || size > (guint64)(bytes->end - bytes->at))
      return FALSE;
    *field = (guint)(key >> 3);
    *content = (Bytes){bytes->at, bytes->at + size};
    bytes->at += size;
    return TRUE;
  }
  return FALSE;
}

typedef struct {
  const char *path;
  OnnxReadTensor read_tensor;
} Reader;

static InferArray *
read_sequence(const Reader *self, Bytes bytes, InferType type, GError **error)
{
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  Bytes content;
  guint field;
  while (next_field(&bytes, &field, &content)) {
    if (field != 3)
      continue;
    InferArray *item =
        self->read_tensor(content.at, (gsize)(content.end - content.at), self->path, error);
    if (item == NULL)
      return NULL;
    g_ptr_array_add(items, item);
  }
  return infer_array_new_sequence(type, (InferArray *const *)items->pdata, items->len, error);
}

static InferArray *
read_optional(const Reader *self, Bytes bytes, InferKind kind, InferType type, GError **error)
{
  g_autoptr(InferArray) value = NULL;
  Bytes content;
  guint field;
  while (next_field(&bytes, &field, &content)) {
    g_clear_pointer(&value, infer_array_unref);
    if (field == 3)
      value = self->read_tensor(content.at, (gsize)(content.end - content.at), self->path, error);
    else if (field == 5)
      value = read_sequence(self, content, type, error);
    else
      continue;
    if (value == NULL)
      return NULL;
  }
  return infer_array_new_optional(kind, type, value, error);
}

InferArray *
onnx_read_value(const char *path, InferKind kind, InferType type, OnnxReadTensor read_tensor,
                GError **error)
{
  const Reader reader = {path, read_tensor};
  g_autofree char *data = NULL;
  gsize size;
  if (!g_file_get_contents(path, &data, &size, error))
    return NULL;
  Bytes bytes = {(const guint8 *)data, (const guint8 *)data + size};
  switch (kind) {
  case INFER_KIND_TENSOR:
    return read_tensor(bytes.at, size, path, error);
  case INFER_KIND_SEQUENCE:
    return read_sequence(&reader, bytes, type, error);
  default:
    return read_optional(&reader, bytes, kind, type, error);
  }
}
