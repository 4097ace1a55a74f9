/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

G_BEGIN_DECLS

/** InferFormat: model formats. */
typedef enum { INFER_FORMAT_UNKNOWN, INFER_FORMAT_TENSORFLOW, INFER_FORMAT_PLAN } InferFormat;

/**
 * InferParseOptions:
 * @outputs: (nullable): names of the tensors that become outputs, %NULL-terminated; by default
 *   every tensor that nothing reads
 * @max_batch: greatest batch of a model whose batch is open, 0 for 1024
 *
 * All zero means the defaults.
 */
typedef struct {
  const char *const *outputs;
  guint max_batch;
} InferParseOptions;

/** infer_format_of_file: recognises a file by its content, not its name. */
INFER_API InferFormat infer_format_of_file(const char *path, GError **error);

/**
 * infer_parse_file:
 * @path: a model file
 * @options: (nullable): options
 * @error: return location
 *
 * Recognises the format, parses the model, and lays the keys of a `.modelinfo` file that stands
 * beside it over what the parser found out (see infer_model_info_find()).
 *
 * Returns: (transfer full) (nullable): a network with its model info
 */
INFER_API InferNetwork *infer_parse_file(const char *path, const InferParseOptions *options,
                                         GError **error);

/**
 * infer_parse_tensorflow:
 * @path: a frozen GraphDef
 * @options: (nullable): options
 * @error: return location
 *
 * Every node that is not supported is named in the error, with operator and reason.
 *
 * Returns: (transfer full) (nullable): a network with its model info
 */
INFER_API InferNetwork *infer_parse_tensorflow(const char *path, const InferParseOptions *options,
                                               GError **error);
/** infer_parse_tensorflow_bytes: the same from memory; @source names it in errors. */
INFER_API InferNetwork *infer_parse_tensorflow_bytes(GBytes *bytes, const char *source,
                                                     const InferParseOptions *options,
                                                     GError **error);

G_END_DECLS
