/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/** tf_crc32c: CRC-32C (Castagnoli) of @size bytes, behind @crc of what came before (0 at first). */
guint32 tf_crc32c(guint32 crc, const guint8 *data, gsize size);
/** tf_crc32c_masked: the form in which TensorFlow and LevelDB store it. */
guint32 tf_crc32c_masked(const guint8 *data, gsize size);

/**
 * tf_sstable_read:
 * @file: a table in LevelDB's format
 * @error: return location
 *
 * Returns: (transfer full) (nullable) (element-type GBytes GBytes): all its keys and values
 */
GHashTable *tf_sstable_read(GBytes *file, GError **error);

G_END_DECLS
