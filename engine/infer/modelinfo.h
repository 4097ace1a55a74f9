/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib-object.h>
#include <infer/types.h>

G_BEGIN_DECLS

/**
 * InferColor:
 *
 * Order of the colour channels that a network reads.
 */
typedef enum { INFER_COLOR_RGB, INFER_COLOR_BGR, INFER_COLOR_GRAY } InferColor;

/**
 * InferResize:
 * @INFER_RESIZE_STRETCH: both sides scaled, aspect ratio not kept
 * @INFER_RESIZE_LETTERBOX: aspect ratio kept, the rest padded, centred
 * @INFER_RESIZE_CROP: aspect ratio kept, the centre cut out
 *
 * How a frame fills the network's input.
 */
typedef enum { INFER_RESIZE_STRETCH, INFER_RESIZE_LETTERBOX, INFER_RESIZE_CROP } InferResize;

/**
 * InferFilter:
 * @INFER_FILTER_NEAREST: the nearest pixel
 * @INFER_FILTER_BILINEAR: two by two pixels, without smoothing when a frame is made smaller
 * @INFER_FILTER_AREA: the mean of the covered pixels when smaller, bilinear when larger
 *
 * Interpolation of the resize.
 */
typedef enum { INFER_FILTER_NEAREST, INFER_FILTER_BILINEAR, INFER_FILTER_AREA } InferFilter;

/**
 * InferCoordinates:
 * @INFER_COORDINATES_HALF_PIXEL: scale * (x + 0.5) - 0.5
 * @INFER_COORDINATES_ASYMMETRIC: x * scale, as TensorFlow 1 does
 * @INFER_COORDINATES_ALIGN_CORNERS: x * (in - 1) / (out - 1)
 *
 * Which source position an output pixel reads.
 */
typedef enum {
  INFER_COORDINATES_HALF_PIXEL,
  INFER_COORDINATES_ASYMMETRIC,
  INFER_COORDINATES_ALIGN_CORNERS
} InferCoordinates;

/**
 * InferDecoder:
 * @INFER_DECODER_NONE: raw tensors
 * @INFER_DECODER_DETECTIONS: four outputs: boxes [N,K,4] normalised to 0..1, scores [N,K], classes
 *   [N,K], count [N], as TensorFlow's Object Detection API and TensorRT's EfficientNMS have
 * @INFER_DECODER_CLASSIFICATION: one output [N,C] with a score for each class; after
 *   infer_network_append_decoder() scores [N,K] and classes [N,K] of the best
 * @INFER_DECODER_SSD: boxes [N,A,4], corners normalised to 0..1, and scores [N,A,C] with a
 * background class; also the face detectors built so
 * @INFER_DECODER_YOLOV5: [N,A,5+C]: centre and size in pixels, objectness, classes; or the three
 * raw maps [N,3*(5+C),H,W] or [N,3,H,W,5+C] before the anchors
 * @INFER_DECODER_YOLOV8: [N,4+C,A] or [N,A,4+C]: centre and size in pixels, classes (version 8 and
 *   later without anchors)
 * @INFER_DECODER_YOLOV10: [N,K,6]: corners in pixels, score, class, one for each object (version 10
 *   and later without suppression)
 * @INFER_DECODER_YOLOX: [N,A,5+C]: offsets and sizes in units of a grid with strides 8, 16 and 32
 * @INFER_DECODER_FASTESTDET: [N,5+C,H,W]: objectness, box, classes of each cell
 * @INFER_DECODER_RAW: the outputs are left to others
 *
 * How outputs become objects.
 */
typedef enum {
  INFER_DECODER_NONE,
  INFER_DECODER_DETECTIONS,
  INFER_DECODER_CLASSIFICATION,
  INFER_DECODER_SSD,
  INFER_DECODER_YOLOV5,
  INFER_DECODER_YOLOV8,
  INFER_DECODER_YOLOV10,
  INFER_DECODER_YOLOX,
  INFER_DECODER_FASTESTDET,
  INFER_DECODER_RAW
} InferDecoder;

/**
 * InferPreprocess:
 * @color: channel order
 * @resize: resize policy
 * @filter: interpolation
 * @coordinates: sampling positions
 * @scale: per channel, in the network's channel order: element = pixel (0..255) * scale + bias
 * @bias: per channel
 * @pad: pixel value (0..255) per channel around a letterbox
 *
 * How a frame becomes the image input.
 */
typedef struct {
  InferColor color;
  InferResize resize;
  InferFilter filter;
  InferCoordinates coordinates;
  float scale[3];
  float bias[3];
  float pad[3];
} InferPreprocess;

/**
 * InferDetectionOutputs:
 * @boxes: name of the output with boxes
 * @scores: name of the output with scores
 * @classes: name of the output with classes
 * @count: name of the output with the number of objects
 * @yxyx: boxes are (ymin, xmin, ymax, xmax), else (xmin, ymin, xmax, ymax)
 * @first_class: the number that the first label has in @classes
 * @n_classes: how many classes there are, and so how many labels; 0 when not known
 */
typedef struct {
  char *boxes;
  char *scores;
  char *classes;
  char *count;
  gboolean yxyx;
  gint first_class;
  gint n_classes;
} InferDetectionOutputs;

#define INFER_TYPE_MODEL_INFO (infer_model_info_get_type())
/**
 * InferModelInfo:
 *
 * What belongs to a model beside the network: pre-processing, decoder, labels, default threshold.
 * Read from `<model>.modelinfo`, set by parsers, stored in plans. See the README for the
 * file's groups and keys. Not changed after it was handed over; then safe to share by threads.
 */
INFER_API
G_DECLARE_FINAL_TYPE(InferModelInfo, infer_model_info, INFER, MODEL_INFO, GObject)

/**
 * infer_model_info_new:
 *
 * Returns: (transfer full): a model info in which nothing is known yet.
 */
INFER_API InferModelInfo *infer_model_info_new(void);

/**
 * infer_model_info_new_from_file:
 *
 * Reads @path.
 *
 * Returns: (transfer full) (nullable)
 */
INFER_API InferModelInfo *infer_model_info_new_from_file(const char *path, GError **error);
/**
 * infer_model_info_new_from_data:
 * @text: (array length=length) (element-type guint8): key-file text
 * @length: its bytes
 * @source: names it in errors
 * @error: return location
 *
 * Reads key-file text; @source names it in errors.
 */
INFER_API InferModelInfo *infer_model_info_new_from_data(const char *text, gsize length,
                                                         const char *source, GError **error);
/**
 * infer_model_info_to_data:
 *
 * Returns: (transfer full): the key-file text.
 */
INFER_API char *infer_model_info_to_data(InferModelInfo *info);

/**
 * infer_model_info_load_over:
 * @info: a model info, as a parser made it
 * @path: a `.modelinfo` file whose keys replace those of @info; keys not in it stay
 *
 * Returns: success
 */
INFER_API gboolean infer_model_info_load_over(InferModelInfo *info, const char *path,
                                              GError **error);

/**
 * infer_model_info_find:
 *
 * Returns: (transfer full) (nullable): the path of the file that belongs to @model_path
 *   (`model.onnx.modelinfo`, then `model.modelinfo`), %NULL where there is none.
 */
INFER_API char *infer_model_info_find(const char *model_path);

/**
 * infer_model_info_get_input:
 *
 * Returns: (nullable): the name of the image input; %NULL when not known
 */
INFER_API const char *infer_model_info_get_input(InferModelInfo *info);
/**
 * infer_model_info_set_input:
 * @info: a model info
 * @name: (nullable): name of the network's image input
 */
INFER_API void infer_model_info_set_input(InferModelInfo *info, const char *name);
/**
 * infer_model_info_get_preprocess:
 *
 * Returns: (transfer none): how a frame becomes the image input
 */
INFER_API const InferPreprocess *infer_model_info_get_preprocess(InferModelInfo *info);
/**
 * infer_model_info_set_preprocess:
 * @info: a model info
 * @pre: how a frame becomes the image input; copied
 */
INFER_API void infer_model_info_set_preprocess(InferModelInfo *info, const InferPreprocess *pre);
/**
 * infer_model_info_get_decoder:
 *
 * Returns: how outputs become objects
 */
INFER_API InferDecoder infer_model_info_get_decoder(InferModelInfo *info);
/**
 * infer_model_info_set_decoder:
 * @info: a model info
 * @decoder: how outputs become objects
 *
 * Says what the outputs are, in place of what the file said or was guessed.
 */
INFER_API void infer_model_info_set_decoder(InferModelInfo *info, InferDecoder decoder);
/**
 * infer_model_info_get_option:
 * @info: a model info
 * @key: a key of the main group, such as "iou-threshold"
 *
 * Returns: (transfer full) (nullable): its text, %NULL where it is not set
 */
INFER_API char *infer_model_info_get_option(InferModelInfo *info, const char *key);
/**
 * infer_model_info_set_option:
 * @info: a model info
 * @key: a key of the main group that has no function of its own
 * @value: (nullable): its text, %NULL to unset it
 */
INFER_API void infer_model_info_set_option(InferModelInfo *info, const char *key,
                                           const char *value);
/**
 * infer_model_info_get_detections:
 *
 * Returns: (transfer none): never %NULL; of use where the decoder is %INFER_DECODER_DETECTIONS, and
 *   for its scores and classes where it is %INFER_DECODER_CLASSIFICATION.
 */
INFER_API const InferDetectionOutputs *infer_model_info_get_detections(InferModelInfo *info);
/**
 * infer_model_info_set_detections:
 *
 * Sets the decoder to %INFER_DECODER_DETECTIONS; copies.
 */
INFER_API void infer_model_info_set_detections(InferModelInfo *info,
                                               const InferDetectionOutputs *outputs);
/**
 * infer_model_info_get_score_threshold:
 *
 * Returns: the score below which an object is not reported; a negative number when not known
 */
INFER_API double infer_model_info_get_score_threshold(InferModelInfo *info);
/**
 * infer_model_info_set_score_threshold:
 * @info: a model info
 * @threshold: the score below which an object is not reported
 */
INFER_API void infer_model_info_set_score_threshold(InferModelInfo *info, double threshold);
/**
 * infer_model_info_get_labels:
 *
 * Returns: (transfer none) (array zero-terminated=1) (nullable): labels; %NULL when there are none
 */
INFER_API const char *const *infer_model_info_get_labels(InferModelInfo *info);
/**
 * infer_model_info_set_labels:
 * @info: a model info
 * @labels: (array zero-terminated=1) (nullable): labels
 */
INFER_API void infer_model_info_set_labels(InferModelInfo *info, const char *const *labels);

/**
 * infer_labels_load:
 * @path: a text file with one label a line (empty lines keep their number; a trailing one is
 *   dropped), UTF-8, at most 1 MiB
 * @error: return location
 *
 * Returns: (transfer full) (nullable): the labels, %NULL-terminated
 */
INFER_API char **infer_labels_load(const char *path, GError **error);

G_END_DECLS
