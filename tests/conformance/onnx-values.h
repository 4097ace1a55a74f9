/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/* Reads a TensorProto; @path is for messages. */
typedef InferArray *(*OnnxReadTensor)(const guint8 *data, gsize size, const char *path,
                                      GError **error);

/* Reads a file with a TensorProto, SequenceProto or OptionalProto, as @kind says. */
InferArray *onnx_read_value(const char *path, InferKind kind, InferType type,
                            OnnxReadTensor read_tensor, GError **error);
