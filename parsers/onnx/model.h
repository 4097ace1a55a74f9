/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>

#include "../wire.h"
#include "onnx.pb-c.h"

G_BEGIN_DECLS

/**
 * OnnxModel: a file as it was read.
 * @folder: (nullable): where external data may lie; %NULL where the model came from memory
 * @mapped: @bytes are a mapped file's
 * @external: path -> GBytes of the files that were mapped
 * @functions: "domain\nname\noverload" -> InferOnnx__Function
 * @filled: bytes of tensors that are larger than what the file says of them
 */
typedef struct {
  GBytes *bytes;
  gboolean mapped;
  char *folder;
  GArray *ranges;
  WireAllocator allocator;
  InferOnnx__Model *def;
  GHashTable *external;
  GHashTable *functions;
  gsize filled;
} OnnxModel;

/** onnx_model_load: reads a ModelProto. */
OnnxModel *onnx_model_load(GBytes *bytes, const char *folder, GError **error);
void onnx_model_free(OnnxModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OnnxModel, onnx_model_free)

/** onnx_model_function: Returns: (nullable): the model's own function of that name. */
const InferOnnx__Function *onnx_model_function(const OnnxModel *model, const char *domain,
                                               const char *name, const char *overload);

/** onnx_tensor_array: Returns: (transfer full) (nullable): the contents of a TensorProto. */
InferArray *onnx_tensor_array(OnnxModel *model, const InferOnnx__Tensor *tensor, GError **error);
/** onnx_sparse_array: the same of a SparseTensorProto, zeros filled in. */
InferArray *onnx_sparse_array(OnnxModel *model, const InferOnnx__SparseTensor *sparse,
                              GError **error);
/** onnx_external_bytes: Returns: (transfer full) (nullable): what a tensor's external_data names.
 */
GBytes *onnx_external_bytes(OnnxModel *model, const InferOnnx__Tensor *tensor, GError **error);

/** onnx_type: Returns: ONNX's number of an element type as ours, UNDEFINED where there is none. */
InferType onnx_type(gint64 number);

/** onnx_text: a byte string as valid UTF-8. */
char *onnx_text(const ProtobufCBinaryData *bytes);
/** onnx_valid: Returns: (transfer full): @text as valid UTF-8, "" for %NULL. */
char *onnx_valid(const char *text);

/** onnx_error: Returns: FALSE, with an error. */
gboolean onnx_error(GError **error, InferError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

G_END_DECLS
