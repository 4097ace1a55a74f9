/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/array.h>

G_BEGIN_DECLS

/* Arrays of strings in files: each element and a zero byte after it, in row-major order. */

/** infer_strings_pack: Returns: (transfer full): the bytes of an array of strings. */
GBytes *infer_strings_pack(const InferArray *array);

/** infer_strings_unpack: the array of such bytes; an error where they are not @dims' number of
 *  strings. */
InferArray *infer_strings_unpack(const InferDims *dims, GBytes *bytes, GError **error);

G_END_DECLS
