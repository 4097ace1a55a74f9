/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/array.h>
#include <infer/error.h>

G_BEGIN_DECLS

/*
 * Pictures of files, for the operator that decodes them. The libraries that can do it are in a
 * module of their own, "libinfer-images.so", which is loaded when the first picture comes.
 */

#define INFER_IMAGES_ABI 1

typedef enum { INFER_IMAGE_RGB, INFER_IMAGE_BGR, INFER_IMAGE_GRAY } InferImageFormat;

/** InferImages: what the module gives; it exports infer_images_get().
 * @abi: %INFER_IMAGES_ABI
 * @decode: JPEG, JPEG 2000, PNG, BMP, TIFF, WebP and the portable formats, told apart by content.
 *   Returns: (transfer full) (nullable): uint8 height x width x channels, NULL with an error where
 *   the data is no such picture; from any thread
 */
typedef struct {
  guint abi;
  InferArray *(*decode)(const guint8 *data, gsize size, InferImageFormat format, GError **error);
} InferImages;

/** infer_images_open: Returns: (transfer none) (nullable): the module, NULL with an error. */
const InferImages *infer_images_open(GError **error);

G_END_DECLS
