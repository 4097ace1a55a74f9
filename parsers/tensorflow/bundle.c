/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "sstable.h"
#include "variables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* TensorFlow's checkpoints of version 2: an index of entries, and files of data. */

#define MAX_SHARDS 65536
#define MAX_DEPTH 8

struct _TfBundle {
  char *folder; /* the real path of "variables" */
  GHashTable *entries;
  guint n_shards;
  GHashTable *shards; /* number + 1 -> GBytes, a mapped file */
};

/* The fields that are read, see graphdef.proto. */
static const WireRule dim_rules[] = {{1, WIRE_KEEP}, {0}};
static const WireRule shape_rules[] = {{2, WIRE_MESSAGE, dim_rules}, {3, WIRE_KEEP}, {0}};
static const WireRule extent_rules[] = {{1, WIRE_KEEP}, {2, WIRE_KEEP}, {0}};
static const WireRule slice_rules[] = {{1, WIRE_MESSAGE, extent_rules}, {0}};
static const WireRule entry_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_MESSAGE, shape_rules},
    {3, WIRE_KEEP},
    {4, WIRE_KEEP},
    {5, WIRE_KEEP},
    {6, WIRE_KEEP},
    {7, WIRE_MESSAGE, slice_rules},
    {0},
};
static const WireRule header_rules[] = {{1, WIRE_KEEP}, {2, WIRE_KEEP}, {0}};

void
tf_bundle_free(TfBundle *bundle)
{
  g_free(bundle->folder);
  g_clear_pointer(&bundle->entries, g_hash_table_unref);
  g_clear_pointer(&bundle->shards, g_hash_table_unref);
  g_free(bundle);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TfBundle, tf_bundle_free)

/* --- files --- */

/* A regular file of that folder itself: names are made here, but a link could lead elsewhere. */
static GBytes *
map_file(const char *folder, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  char *real = realpath(path, NULL);
  g_autofree char *parent = real ? g_path_get_dirname(real) : NULL;
  gboolean inside =
      real && g_str_equal(parent, folder) && g_file_test(real, G_FILE_TEST_IS_REGULAR);
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = inside ? g_mapped_file_new(real, FALSE, &trouble) : NULL;

  free(real);
  if (!inside) {
    tf_error(error, INFER_ERROR_MODEL,
             parent ? "'%s' is not a regular file in its folder" : "'%s' is not there", path);
    return NULL;
  }
  if (!file) {
    tf_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
    return NULL;
  }
  return g_mapped_file_get_bytes(file);
}

static GBytes *
shard(TfBundle *bundle, guint number, GError **error)
{
  GBytes *known = g_hash_table_lookup(bundle->shards, GUINT_TO_POINTER(number + 1));

  if (!known) {
    g_autofree char *name =
        g_strdup_printf("variables.data-%05u-of-%05u", number, bundle->n_shards);
    known = map_file(bundle->folder, name, error);
    if (known) {
      g_hash_table_insert(bundle->shards, GUINT_TO_POINTER(number + 1), known);
    }
  }
  return known;
}

/* --- entries --- */

static gboolean
read_header(TfBundle *bundle, GError **error)
{
  g_autoptr(GBytes) key = g_bytes_new_static("", 0);
  GBytes *value = g_hash_table_lookup(bundle->entries, key);
  g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  WireAllocator allocator;
  gsize size = 0;

  if (!value) {
    return tf_error(error, INFER_ERROR_MODEL, "the index has no header");
  }
  const guint8 *data = g_bytes_get_data(value, &size);
  g_autoptr(GByteArray) kept = wire_scan(data, size, header_rules, MAX_DEPTH, ranges, error);
  if (!kept) {
    return FALSE;
  }
  wire_allocator_init(&allocator, 4096 + (gsize)kept->len * 96);
  InferTf__BundleHeader *header =
      infer_tf__bundle_header__unpack(&allocator.base, kept->len, kept->data);
  gint n = header && header->has_num_shards ? header->num_shards : 0;
  gint order = header && header->has_endianness ? header->endianness : 0;
  if (header) {
    infer_tf__bundle_header__free_unpacked(header, &allocator.base);
  }
  if (n < 1 || n > MAX_SHARDS) {
    return tf_error(error, INFER_ERROR_MODEL, "the index says that there are %d files of data", n);
  }
  if (order != 0) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "the checkpoint was written on a machine with the highest byte first");
  }
  bundle->n_shards = (guint)n;
  return TRUE;
}

TfBundle *
tf_bundle_open(const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename(folder, "variables", NULL);
  g_autofree char *index = g_build_filename(path, "variables.index", NULL);
  char *real = realpath(folder, NULL);
  char *real_sub = realpath(path, NULL);
  g_autoptr(TfBundle) bundle = g_new0(TfBundle, 1);
  g_autofree char *parent = real_sub ? g_path_get_dirname(real_sub) : NULL;
  gboolean inside = real && parent && g_str_equal(parent, real);

  bundle->folder = g_strdup(real_sub);
  free(real);
  free(real_sub);
  if (!bundle->folder || !g_file_test(index, G_FILE_TEST_EXISTS)) {
    return NULL;
  }
  if (!inside) {
    tf_error(error, INFER_ERROR_MODEL, "'%s' leads out of the model's folder", path);
    return NULL;
  }
  g_autoptr(GBytes) bytes = map_file(bundle->folder, "variables.index", error);
  GError *trouble = NULL;
  bundle->entries = bytes ? tf_sstable_read(bytes, &trouble) : NULL;
  bundle->shards = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_bytes_unref);
  if (bundle->entries && read_header(bundle, &trouble)) {
    return g_steal_pointer(&bundle);
  }
  if (trouble) {
    tf_error(error, (InferError)trouble->code, "variables/variables.index: %s", trouble->message);
    g_error_free(trouble);
  }
  return NULL;
}

static GBytes *
find_entry(const TfBundle *bundle, gconstpointer key, gsize size)
{
  g_autoptr(GBytes) bytes = g_bytes_new_static(key, size);

  return g_hash_table_lookup(bundle->entries, bytes);
}

gboolean
tf_bundle_has(const TfBundle *bundle, const char *key)
{
  return key[0] && find_entry(bundle, key, strlen(key));
}

typedef struct {
  WireAllocator allocator;
  InferTf__BundleEntry *def;
  InferType type;
  InferDims dims;
} Entry;

static void
entry_clear(Entry *entry)
{
  if (entry->def) {
    infer_tf__bundle_entry__free_unpacked(entry->def, &entry->allocator.base);
    entry->def = NULL;
  }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Entry, entry_clear)

static gboolean
entry_read(const TfBundle *bundle, gconstpointer key, gsize key_size, Entry *entry, GError **error)
{
  GBytes *value = find_entry(bundle, key, key_size);
  g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  gsize size = 0;

  if (!value) {
    return tf_error(error, INFER_ERROR_MODEL, "the checkpoint does not have it");
  }
  const guint8 *data = g_bytes_get_data(value, &size);
  g_autoptr(GByteArray) kept = wire_scan(data, size, entry_rules, MAX_DEPTH, ranges, error);
  if (!kept) {
    return FALSE;
  }
  wire_allocator_init(&entry->allocator, 4096 + (gsize)kept->len * 96);
  entry->def = infer_tf__bundle_entry__unpack(&entry->allocator.base, kept->len, kept->data);
  if (!entry->def) {
    return tf_error(error, INFER_ERROR_MODEL, "its entry in the checkpoint's index is damaged");
  }
  entry->type = tf_type(entry->def->has_dtype ? entry->def->dtype : 0);
  if (entry->type == INFER_TYPE_UNDEFINED || entry->type == INFER_TYPE_STRING ||
      entry->type == INFER_TYPE_COMPLEX64 || entry->type == INFER_TYPE_COMPLEX128) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "a variable of TensorFlow's type %d is not supported", entry->def->dtype);
  }
  return tf_shape_dims(entry->def->shape, &entry->dims, error);
}

static InferArray *
read_plain(TfBundle *bundle, const Entry *entry, GError **error)
{
  const InferTf__BundleEntry *def = entry->def;
  gint64 number = def->has_shard_id ? def->shard_id : 0;
  gint64 offset = def->has_offset ? def->offset : 0, size = def->has_size ? def->size : 0;

  if (number < 0 || number >= bundle->n_shards) {
    tf_error(error, INFER_ERROR_MODEL, "it lies in file %" G_GINT64_FORMAT " of %u", number,
             bundle->n_shards);
    return NULL;
  }
  GBytes *file = shard(bundle, (guint)number, error);
  gint64 have = file ? (gint64)g_bytes_get_size(file) : 0;
  if (!file) {
    return NULL;
  }
  if (offset < 0 || size < 0 || offset > have || size > have - offset) {
    tf_error(error, INFER_ERROR_MODEL,
             "%" G_GINT64_FORMAT " bytes from %" G_GINT64_FORMAT " on are asked for, "
             "variables.data-%05u-of-%05u has %" G_GINT64_FORMAT,
             size, offset, (guint)number, bundle->n_shards, have);
    return NULL;
  }
  g_autoptr(GBytes) bytes = g_bytes_new_from_bytes(file, (gsize)offset, (gsize)size);
  if (def->has_crc32c &&
      tf_crc32c_masked(g_bytes_get_data(bytes, NULL), (gsize)size) != def->crc32c) {
    tf_error(error, INFER_ERROR_MODEL, "its checksum is wrong: the file is damaged");
    return NULL;
  }
  return infer_array_new_from_bytes(entry->type, &entry->dims, bytes, error);
}

/* --- slices --- */

/* Numbers and texts in the order-preserving form that keys of slices have. */
static void
put_unsigned(GByteArray *key, guint64 value)
{
  guint8 bytes[9];
  guint n = 0;

  for (guint64 rest = value; rest; rest >>= 8) {
    n++;
  }
  bytes[0] = (guint8)n;
  for (guint i = 0; i < n; i++) {
    bytes[1 + i] = (guint8)(value >> (8 * (n - 1 - i)));
  }
  g_byte_array_append(key, bytes, n + 1);
}

static void
put_text(GByteArray *key, const char *text)
{
  static const guint8 end[2] = {0, 1}, escaped[2] = {0xff, 0};

  for (; *text; text++) {
    if ((guint8)*text == 0xff) {
      g_byte_array_append(key, escaped, 2);
    } else {
      g_byte_array_append(key, (const guint8 *)text, 1);
    }
  }
  g_byte_array_append(key, end, 2);
}

/* The number of leading ones says how many bytes there are; a negative number is inverted. */
static void
put_signed(GByteArray *key, gint64 value)
{
  guint64 magnitude = value < 0 ? ~(guint64)value : (guint64)value;
  guint8 bytes[10];
  guint n = 1;

  while (n < 10 && magnitude >> MIN(7 * n - 1, 63)) {
    n++;
  }
  for (guint i = 0; i < n; i++) {
    guint shift = 8 * (n - 1 - i);
    bytes[i] = shift > 56 ? (value < 0 ? 0xff : 0) : (guint8)((guint64)value >> shift);
  }
  bytes[0] ^= n >= 8 ? 0xff : (guint8)(0xff << (8 - n));
  if (n > 8) {
    bytes[1] ^= (guint8)(0xff << (16 - n));
  }
  g_byte_array_append(key, bytes, n);
}

static gboolean
slice_extents(const Entry *entry, const InferTf__TensorSlice *slice, gint64 *starts,
              gint64 *lengths, GError **error)
{
  if (slice->n_extent != (gsize)entry->dims.n) {
    return tf_error(error, INFER_ERROR_MODEL, "a slice does not have %d dimensions", entry->dims.n);
  }
  for (gint i = 0; i < entry->dims.n; i++) {
    const InferTf__Extent *extent = slice->extent[i];
    starts[i] = extent->has_start ? extent->start : 0;
    lengths[i] = extent->has_length ? extent->length : entry->dims.d[i];
    if (starts[i] < 0 || lengths[i] < 0 || starts[i] > entry->dims.d[i] ||
        lengths[i] > entry->dims.d[i] - starts[i]) {
      return tf_error(error, INFER_ERROR_MODEL, "a slice is not within its tensor");
    }
  }
  return TRUE;
}

/* Copies a box of @lengths elements at @starts into the array of @whole. */
static void
put_slice(const Entry *whole, InferArray *to, const InferArray *from, const gint64 *starts,
          const gint64 *lengths)
{
  gsize size = infer_type_bits(whole->type) / 8;
  gint rank = whole->dims.n;
  gsize row = rank ? (gsize)lengths[rank - 1] * size : size;
  gint64 n_rows = 1;

  for (gint i = 0; i + 1 < rank; i++) {
    n_rows *= lengths[i];
  }
  for (gint64 r = 0; r < n_rows && row > 0; r++) {
    gint64 rest = r, at = 0, stride = rank ? whole->dims.d[rank - 1] : 1;
    for (gint i = rank - 2; i >= 0; i--) {
      at += (starts[i] + rest % lengths[i]) * stride;
      rest /= lengths[i];
      stride *= whole->dims.d[i];
    }
    at += rank ? starts[rank - 1] : 0;
    memcpy((guint8 *)to->data + (gsize)at * size, (const guint8 *)from->data + (gsize)r * row, row);
  }
}

static InferArray *
read_slices(TfBundle *bundle, const char *name, const Entry *whole, GError **error)
{
  g_autoptr(InferArray) array = infer_array_new(whole->type, &whole->dims, error);
  gint64 filled = 0;

  for (gsize i = 0; array && i < whole->def->n_slices; i++) {
    const InferTf__TensorSlice *slice = whole->def->slices[i];
    g_autoptr(GByteArray) key = g_byte_array_new();
    gint64 starts[INFER_MAX_DIMS], lengths[INFER_MAX_DIMS];
    g_auto(Entry) entry = {.def = NULL};
    if (!slice_extents(whole, slice, starts, lengths, error)) {
      return NULL;
    }
    put_unsigned(key, 0);
    put_text(key, name);
    put_unsigned(key, slice->n_extent);
    for (gsize k = 0; k < slice->n_extent; k++) {
      const InferTf__Extent *extent = slice->extent[k];
      put_signed(key, extent->has_start ? extent->start : 0);
      put_signed(key, extent->has_length ? extent->length : -1);
    }
    if (!entry_read(bundle, key->data, key->len, &entry, error)) {
      return NULL;
    }
    g_autoptr(InferArray) part = read_plain(bundle, &entry, error);
    InferDims want = {.n = whole->dims.n};
    memcpy(want.d, lengths, sizeof *lengths * (gsize)want.n);
    if (part && (part->type != whole->type || !infer_dims_equal(&part->dims, &want))) {
      tf_error(error, INFER_ERROR_MODEL, "a slice has other dimensions than the index says");
      return NULL;
    }
    if (!part) {
      return NULL;
    }
    put_slice(whole, array, part, starts, lengths);
    filled += infer_array_count(part);
  }
  if (array && filled != infer_array_count(array)) {
    tf_error(error, INFER_ERROR_MODEL, "its slices do not make up the whole");
    return NULL;
  }
  return g_steal_pointer(&array);
}

InferArray *
tf_bundle_read(TfBundle *bundle, const char *key, GError **error)
{
  g_auto(Entry) entry = {.def = NULL};

  if (!entry_read(bundle, key, strlen(key), &entry, error)) {
    return NULL;
  }
  return entry.def->n_slices ? read_slices(bundle, key, &entry, error)
                             : read_plain(bundle, &entry, error);
}
