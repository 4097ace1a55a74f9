/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* LabelEncoder where keys or values are strings, or where the values' type is given. */

/** infer_labels_concern: whether @node is such a one. */
gboolean infer_labels_concern(const InferNode *node);

gboolean infer_labels_infer(InferShapeArgs *args, GError **error);
gboolean infer_labels_eval(const InferEvalArgs *args, GError **error);

G_END_DECLS
