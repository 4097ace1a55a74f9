/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sstable.h"

#include <infer/error.h>

#include <string.h>

/*
 * LevelDB's table format, in which checkpoints have their index: blocks of keys in order, each
 * key without what it has in common with the one before; an index block of the blocks; a footer
 * of 48 bytes. Each block ends with its compression (0: none, 1: Snappy) and a checksum.
 */

#define FOOTER 48
#define TRAILER 5
#define MAGIC G_GUINT64_CONSTANT(0xdb4775248b80fb57)
/* Keys that share much take little of the file. */
#define MAX_KEYS ((gsize)256 << 20)
#define MAX_BLOCK ((gsize)256 << 20)

static gboolean
damaged(GError **error, const char *what)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "damaged: %s", what);
  return FALSE;
}

/* --- checksums --- */

guint32
tf_crc32c(guint32 crc, const guint8 *data, gsize size)
{
  static guint32 table[8][256];
  static gsize once = 0;

  if (g_once_init_enter(&once)) {
    for (guint i = 0; i < 256; i++) {
      guint32 c = i;
      for (guint k = 0; k < 8; k++) {
        c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
      }
      table[0][i] = c;
    }
    for (guint t = 1; t < 8; t++) {
      for (guint i = 0; i < 256; i++) {
        table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
      }
    }
    g_once_init_leave(&once, 1);
  }
  crc = ~crc;
  for (; size >= 8; size -= 8, data += 8) {
    guint64 word;
    memcpy(&word, data, 8);
    word = GUINT64_FROM_LE(word) ^ crc;
    crc = 0;
    for (guint t = 0; t < 8; t++) {
      crc ^= table[7 - t][word >> (8 * t) & 0xff];
    }
  }
  for (; size > 0; size--, data++) {
    crc = crc >> 8 ^ table[0][(crc ^ *data) & 0xff];
  }
  return ~crc;
}

guint32
tf_crc32c_masked(const guint8 *data, gsize size)
{
  guint32 crc = tf_crc32c(0, data, size);

  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* --- numbers --- */

typedef struct {
  const guint8 *data;
  gsize position, end;
} Cursor;

static gboolean
read_number(Cursor *cursor, guint64 *value)
{
  *value = 0;
  for (guint shift = 0; shift < 64 && cursor->position < cursor->end; shift += 7) {
    guint8 byte = cursor->data[cursor->position++];
    *value |= (guint64)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      return TRUE;
    }
  }
  return FALSE;
}

static guint64
read_fixed(const guint8 *data, guint n)
{
  guint64 value = 0;

  for (guint i = 0; i < n; i++) {
    value |= (guint64)data[i] << (8 * i);
  }
  return value;
}

/* --- Snappy --- */

/* A tag says whether bytes follow as they are, or are repeated from what is there already. */
static gboolean
snappy_element(Cursor *in, GByteArray *out, gsize size)
{
  guint8 tag = in->data[in->position++];
  guint kind = tag & 3, extra = kind == 3 ? 4 : kind;
  gsize length = (tag >> 2) + 1u, offset = 0;

  if (kind == 0) {
    guint n = length > 60 ? (guint)length - 60 : 0;
    if (n > in->end - in->position) {
      return FALSE;
    }
    length = n ? (gsize)read_fixed(in->data + in->position, n) + 1 : length;
    in->position += n;
    if (length > in->end - in->position || length > size - out->len) {
      return FALSE;
    }
    g_byte_array_append(out, in->data + in->position, (guint)length);
    in->position += length;
    return TRUE;
  }
  if (extra > in->end - in->position) {
    return FALSE;
  }
  offset = (gsize)read_fixed(in->data + in->position, extra);
  in->position += extra;
  if (kind == 1) {
    offset |= (gsize)(tag >> 5) << 8;
    length = (tag >> 2 & 7u) + 4;
  }
  if (offset == 0 || offset > out->len || length > size - out->len) {
    return FALSE;
  }
  guint from = out->len - (guint)offset;
  for (gsize i = 0; i < length; i++) {
    guint8 byte = out->data[from + i];
    g_byte_array_append(out, &byte, 1);
  }
  return TRUE;
}

static GBytes *
snappy(GBytes *packed, GError **error)
{
  Cursor in = {.position = 0};
  guint64 size = 0;

  in.data = g_bytes_get_data(packed, &in.end);
  /* No element makes more than 64 bytes of 2. */
  if (!read_number(&in, &size) || size > MAX_BLOCK || size > (guint64)in.end * 32) {
    damaged(error, "a packed block's length");
    return NULL;
  }
  g_autoptr(GByteArray) out = g_byte_array_sized_new((guint)size);
  while (in.position < in.end) {
    if (!snappy_element(&in, out, (gsize)size)) {
      damaged(error, "a packed block");
      return NULL;
    }
  }
  if (out->len != size) {
    damaged(error, "a packed block is too short");
    return NULL;
  }
  return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

/* --- blocks --- */

/* @handle: where the block is: two numbers, which are read on from the cursor. */
static GBytes *
read_block(GBytes *file, Cursor *handle, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(file, &size);
  guint64 offset = 0, length = 0;

  if (!read_number(handle, &offset) || !read_number(handle, &length) || offset > size ||
      length > size - offset || size - offset - length < TRAILER) {
    damaged(error, "a block lies outside of the file");
    return NULL;
  }
  const guint8 *trailer = data + offset + length;
  if (tf_crc32c_masked(data + offset, (gsize)length + 1) != read_fixed(trailer + 1, 4)) {
    damaged(error, "a block's checksum is wrong");
    return NULL;
  }
  if (trailer[0] > 1) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "a block is packed by method %u; only none and Snappy can be read", trailer[0]);
    return NULL;
  }
  g_autoptr(GBytes) block = g_bytes_new_from_bytes(file, (gsize)offset, (gsize)length);
  return trailer[0] ? snappy(block, error) : g_steal_pointer(&block);
}

typedef gboolean (*EntryFunc)(gpointer data, const GByteArray *key, GBytes *value, GError **error);

static gboolean
walk_block(GBytes *block, EntryFunc each, gpointer data, GError **error)
{
  Cursor cursor = {.position = 0};
  g_autoptr(GByteArray) key = g_byte_array_new();

  cursor.data = g_bytes_get_data(block, &cursor.end);
  guint64 restarts = cursor.end < 4 ? 0 : read_fixed(cursor.data + cursor.end - 4, 4);
  if (cursor.end < 4 || restarts > (cursor.end - 4) / 4) {
    return damaged(error, "a block has no end");
  }
  cursor.end -= 4 + (gsize)restarts * 4;
  while (cursor.position < cursor.end) {
    guint64 shared = 0, fresh = 0, length = 0;
    if (!read_number(&cursor, &shared) || !read_number(&cursor, &fresh) ||
        !read_number(&cursor, &length) || shared > key->len ||
        fresh > cursor.end - cursor.position || length > cursor.end - cursor.position - fresh) {
      return damaged(error, "an entry of a block");
    }
    g_byte_array_set_size(key, (guint)shared);
    g_byte_array_append(key, cursor.data + cursor.position, (guint)fresh);
    cursor.position += (gsize)fresh;
    g_autoptr(GBytes) value = g_bytes_new_from_bytes(block, cursor.position, (gsize)length);
    cursor.position += (gsize)length;
    if (!each(data, key, value, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

typedef struct {
  GBytes *file;
  GHashTable *entries;
  gsize key_bytes;
} Table;

static gboolean
add_entry(gpointer data, const GByteArray *key, GBytes *value, GError **error)
{
  Table *table = data;

  table->key_bytes += key->len + 64;
  if (table->key_bytes > MAX_KEYS) {
    return damaged(error, "its keys are too long");
  }
  if (!g_hash_table_insert(table->entries, g_bytes_new(key->data, key->len), g_bytes_ref(value))) {
    return damaged(error, "a key is there twice");
  }
  return TRUE;
}

static gboolean
add_block(gpointer data, const GByteArray *key, GBytes *value, GError **error)
{
  Table *table = data;
  Cursor handle = {.position = 0};

  handle.data = g_bytes_get_data(value, &handle.end);
  g_autoptr(GBytes) block = read_block(table->file, &handle, error);
  return block && walk_block(block, add_entry, table, error);
}

GHashTable *
tf_sstable_read(GBytes *file, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(file, &size);
  g_autoptr(GHashTable) entries = g_hash_table_new_full(
      g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, (GDestroyNotify)g_bytes_unref);
  Table table = {file, entries, 0};
  guint64 skipped = 0;

  if (size < FOOTER || read_fixed(data + size - 8, 8) != MAGIC) {
    damaged(error, "it is not a checkpoint's index");
    return NULL;
  }
  Cursor handles = {data + size - FOOTER, 0, FOOTER - 8};
  if (!read_number(&handles, &skipped) || !read_number(&handles, &skipped)) {
    damaged(error, "its footer");
    return NULL;
  }
  g_autoptr(GBytes) index = read_block(file, &handles, error);
  return index && walk_block(index, add_block, &table, error) ? g_steal_pointer(&entries) : NULL;
}
