/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/modelinfo.h>
#include <infer/network.h>

G_BEGIN_DECLS

/**
 * infer_decoder_from_name:
 * @name: "auto", "detections", "classification", "ssd", "yolov5", "yolov8", "yolov10", "yolox",
 *   "fastestdet" or "raw"; other versions of YOLO by the version that they are decoded like
 * @decoder: (out): the decoder; %INFER_DECODER_NONE for "auto"
 *
 * Returns: %FALSE for a name that is not known
 */
INFER_API gboolean infer_decoder_from_name(const char *name, InferDecoder *decoder);
/**
 * infer_decoder_get_name:
 *
 * Returns: the name of @decoder; "none" where it is not known
 */
INFER_API const char *infer_decoder_get_name(InferDecoder decoder);

/**
 * infer_network_guess_decoder:
 * @network: a network whose outputs are those of the model
 *
 * Returns: the decoder that the dimensions and names of the outputs speak for;
 *   %INFER_DECODER_NONE where they speak for none
 */
INFER_API InferDecoder infer_network_guess_decoder(InferNetwork *network);

/**
 * infer_network_append_decoder:
 * @network: a network with a model info that names the image input
 * @error: return location
 *
 * Appends what turns the model's outputs into objects, as the model info's decoder says or, where
 * it says nothing, as the outputs look: box decode, top-k and non-maximum suppression become nodes
 * of the network, and are built, tuned and run with it. Detectors have the four outputs of
 * %INFER_DECODER_DETECTIONS afterwards, boxes normalised to the image input, with the optional
 * scalar inputs "score_threshold" and "iou_threshold"; classifiers have the labels' scores and
 * numbers. The model info says so then, and a plan keeps it.
 *
 * Keys of the model info's main group are read: iou-threshold (0.45), max-detections (100),
 * class-agnostic, top-k (5), activation (softmax, none; by the output's producer), anchors,
 * background (0 for ssd).
 *
 * Returns: success; nothing is changed where there is nothing to append
 */
INFER_API gboolean infer_network_append_decoder(InferNetwork *network, GError **error);

G_END_DECLS
