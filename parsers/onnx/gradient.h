/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

/**
 * OnnxGradient: a Gradient node while it is written out.
 * @sums: InferTensor -> InferTensor, its derivative as far as it is known
 * @active: tensors that depend on a variable
 */
typedef struct {
  OnnxImport *im;
  const OnnxCall *call;
  GHashTable *sums;
  GHashTable *active;
} OnnxGradient;

/** OnnxDerivative: what input @index of @node gets of the derivative @dy of its output.
 *  Returns: (nullable): NULL with an error */
typedef InferTensor *(*OnnxDerivative)(OnnxGradient *g, const InferNode *node, guint index,
                                       InferTensor *dy, GError **error);

/** onnx_derivative: Returns: (nullable): the rule for an operator. */
OnnxDerivative onnx_derivative(const char *op);

/** onnx_gradient: the handler of Gradient. */
gboolean onnx_gradient(OnnxImport *im, OnnxCall *call, GError **error);

G_END_DECLS
