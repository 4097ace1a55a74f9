/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* Casts from and to strings. */

/** infer_cast_to_strings: numbers and booleans as text: floats with as many digits as tell them
 *  apart, in Python's notation, and "inf", "nan", "True" and "False". */
gboolean infer_cast_to_strings(const InferNode *node, const InferArray *in, InferArray *out,
                               GError **error);

/** infer_cast_from_strings: text as numbers: decimal and scientific notation, "inf", "nan" and
 *  "true", in any case. An error names a string that is none. */
gboolean infer_cast_from_strings(const InferNode *node, const InferArray *in, gboolean saturate,
                                 InferArray *out, GError **error);

G_END_DECLS
