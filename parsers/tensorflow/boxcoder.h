/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

/**
 * TfBoxCoder: what turns encodings and anchors into boxes.
 * @encodings: the tensor of encodings, [N, A, 4] or [N, A, 1, 4]
 * @anchors: the tensor of anchors, [A, 4] corners
 * @scales: what the four encodings are divided by
 */
typedef struct {
  TfEdge encodings;
  TfEdge anchors;
  double scales[4];
} TfBoxCoder;

/** tf_box_coder_find: recognises the box coder that makes @boxes, by probing its arithmetic. */
gboolean tf_box_coder_find(const TfGraph *graph, const TfEdge *boxes, TfBoxCoder *coder,
                           GError **error);

G_END_DECLS
