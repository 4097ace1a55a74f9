/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

G_BEGIN_DECLS

/**
 * InferFormat:
 *
 * Model formats.
 */
typedef enum {
  INFER_FORMAT_UNKNOWN,
  INFER_FORMAT_TENSORFLOW,
  INFER_FORMAT_PLAN,
  INFER_FORMAT_ONNX,
  INFER_FORMAT_CAFFE,
  INFER_FORMAT_UFF
} InferFormat;

/**
 * InferParseOptions:
 * @outputs: (nullable): names of the tensors that become outputs, %NULL-terminated; by default
 *   every tensor that nothing reads
 * @max_batch: greatest batch of a model whose batch is open, 0 for 1024
 * @shapes: (nullable): dimensions of inputs, for files that do not say them, as "name:3x300x300"
 *   without the batch, %NULL-terminated; read by UFF and TensorFlow, in the file's order. A
 *   node of a TensorFlow graph that is no placeholder becomes an input, and what is before it is
 *   left out
 * @problems: (nullable) (element-type utf8): gets a line, to free with g_free(), for each node that
 *   cannot be used: its name, operator, version of the operator set where there is one, and the
 *   reason. The error of the parser names the first of them only
 *
 * All zero means the defaults.
 */
typedef struct {
  const char *const *outputs;
  guint max_batch;
  const char *const *shapes;
  GPtrArray *problems;
} InferParseOptions;

/**
 * infer_format_of_file:
 *
 * Recognises a file by its content, not its name. A folder is a SavedModel of TensorFlow's, where
 * it has one.
 */
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
 * @path: a frozen GraphDef, the folder of a SavedModel, or its saved_model.pb
 * @options: (nullable): options; outputs of a SavedModel go by their names in its signature
 * @error: return location
 *
 * Of a SavedModel, the graph with the tag "serve" and its signature "serving_default" are taken;
 * where there is none of that name, the first by name. Its variables are read from the checkpoint
 * in its folder, and stay in the mapped file where they can. Functions are written out, and so are
 * conditions and loops that constants decide; the engine runs others.
 *
 * Every node that is not supported is named in the error, with operator and reason.
 *
 * Returns: (transfer full) (nullable): a network with its model info
 */
INFER_API InferNetwork *infer_parse_tensorflow(const char *path, const InferParseOptions *options,
                                               GError **error);
/**
 * infer_parse_tensorflow_bytes:
 *
 * The same from memory, where a SavedModel has no variables; @source names it in errors.
 */
INFER_API InferNetwork *infer_parse_tensorflow_bytes(GBytes *bytes, const char *source,
                                                     const InferParseOptions *options,
                                                     GError **error);

/**
 * infer_parse_onnx:
 * @path: an ONNX model of any opset up to 28
 * @options: (nullable): options
 * @error: return location
 *
 * Older operators become the newest ones; functions, branches on constants and loops of a constant
 * length are written out. Contents that lie in other files are read from the model's folder alone.
 * Large tensors stay in the mapped file. Every node that is not supported is named in the error,
 * with operator, opset and reason.
 *
 * Returns: (transfer full) (nullable): a network with its model info
 */
INFER_API InferNetwork *infer_parse_onnx(const char *path, const InferParseOptions *options,
                                         GError **error);
/**
 * infer_parse_onnx_bytes:
 *
 * The same from memory, where contents cannot lie in other files; @source names it in errors.
 */
INFER_API InferNetwork *infer_parse_onnx_bytes(GBytes *bytes, const char *source,
                                               const InferParseOptions *options, GError **error);

/**
 * infer_parse_caffe:
 * @prototxt: (nullable): the net as text, for deployment or training; %NULL where @caffemodel has
 *   the parameters of its layers and the dimensions of its inputs
 * @caffemodel: (nullable): the weights; %NULL for random ones from a fixed seed, within the bounds
 *   of the net's fillers
 * @options: (nullable): options; outputs are names of tops
 * @error: return location
 *
 * Layers of training and of the phase TRAIN are left out. Every layer that is not supported is
 * named in the error, with type and reason. The first dimension of the inputs becomes the batch
 * where it is 1 or where @options has a max_batch.
 *
 * Returns: (transfer full) (nullable): a network with its model info
 */
INFER_API InferNetwork *infer_parse_caffe(const char *prototxt, const char *caffemodel,
                                          const InferParseOptions *options, GError **error);
/**
 * infer_parse_caffe_bytes:
 *
 * The same from memory; @source names it in errors.
 */
INFER_API InferNetwork *infer_parse_caffe_bytes(GBytes *prototxt, GBytes *caffemodel,
                                                const char *source,
                                                const InferParseOptions *options, GError **error);

/**
 * infer_caffe_load_mean:
 * @path: a mean image as Caffe computes it (binaryproto), or as NumPy stores it (npy)
 * @error: return location
 *
 * Returns: (transfer full) (nullable): channels x height x width floats
 */
INFER_API InferArray *infer_caffe_load_mean(const char *path, GError **error);
/**
 * infer_caffe_parse_mean:
 *
 * The same from memory; @source names it in errors.
 */
INFER_API InferArray *infer_caffe_parse_mean(GBytes *bytes, const char *source, GError **error);
/**
 * infer_caffe_channel_means:
 * @mean: a mean image
 * @values: (out) (array fixed-size=3): the mean of each channel, in the image's order (BGR)
 */
INFER_API void infer_caffe_channel_means(const InferArray *mean, float values[3]);

/**
 * infer_parse_uff:
 * @path: a model in TensorRT's Universal Framework Format
 * @options: (nullable): options; @options->shapes where the file does not say an input's dimensions
 * @error: return location
 *
 * Every node that is not supported is named in the error, with operation and reason.
 *
 * Returns: (transfer full) (nullable): a network with its model info
 */
INFER_API InferNetwork *infer_parse_uff(const char *path, const InferParseOptions *options,
                                        GError **error);
/**
 * infer_parse_uff_bytes:
 *
 * The same from memory; @source names it in errors.
 */
INFER_API InferNetwork *infer_parse_uff_bytes(GBytes *bytes, const char *source,
                                              const InferParseOptions *options, GError **error);

G_END_DECLS
