/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "packed.h"

#include <string.h>

void
infer_unpack(InferType type, gconstpointer from, gpointer to, gsize n)
{
  const guint bits = infer_type_bits(type);
  const gboolean has_sign = type == INFER_TYPE_INT4 || type == INFER_TYPE_INT2;
  guint8 *bytes = to;

  for (gsize i = 0; i < n; i++) {
    guint value = infer_packed_get(bits, from, i);

    bytes[i] = (guint8)(has_sign ? (guint)infer_packed_sign(bits, value) : value);
  }
}

void
infer_pack(InferType type, gconstpointer from, gpointer to, gsize n)
{
  const guint bits = infer_type_bits(type);
  const guint8 *bytes = from;

  memset(to, 0, infer_type_size(type, (gint64)n));
  for (gsize i = 0; i < n; i++)
    infer_packed_set(bits, to, i, bytes[i]);
}
