/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/**
 * InferPixelFormat:
 *
 * Pixel formats of frames; layouts are those of GStreamer's formats of the same name, memory order
 * of the bytes.
 */
typedef enum {
  INFER_PIXEL_NV12,
  INFER_PIXEL_P010_LE,
  INFER_PIXEL_I420,
  INFER_PIXEL_YUY2,
  INFER_PIXEL_RGB,
  INFER_PIXEL_BGR,
  INFER_PIXEL_RGBA, /* also RGBx */
  INFER_PIXEL_BGRA, /* also BGRx */
  INFER_PIXEL_GRAY8,
} InferPixelFormat;

/**
 * InferFrameMemory:
 * @INFER_FRAME_HOST: memory of the host
 * @INFER_FRAME_CUDA: memory of the CUDA device that the network runs on, in its context
 *
 * Where the planes of a frame lie.
 */
typedef enum { INFER_FRAME_HOST, INFER_FRAME_CUDA } InferFrameMemory;

/**
 * InferFrame:
 * @format: pixel format
 * @width: pixels, of the whole frame
 * @height: pixels
 * @planes: the planes
 * @strides: bytes from a row to the next, per plane
 * @crop_x: the part to read, in pixels
 * @crop_y: same
 * @crop_width: same; 0 for the whole frame
 * @crop_height: same
 * @kr: luma weight of red (0.299 for BT.601, 0.2126 for BT.709, 0.2627 for BT.2020)
 * @kb: luma weight of blue (0.114, 0.0722, 0.0593)
 * @full_range: luma spans 0..255 instead of 16..235
 * @memory: where the planes lie
 *
 * A view of a video frame in host memory (or device memory for a backend that takes it). The
 * planes have to stay valid until the work that reads them is finished.
 */
typedef struct {
  InferPixelFormat format;
  guint width, height;
  const guint8 *planes[3];
  gint strides[3];
  guint crop_x, crop_y, crop_width, crop_height;
  float kr, kb;
  gboolean full_range;
  InferFrameMemory memory;
} InferFrame;

/**
 * InferPlacement:
 * @scale_x: network pixels of one frame pixel
 * @scale_y: same
 * @offset_x: network pixel where the (cropped) frame's left edge lies
 * @offset_y: same
 *
 * Where a frame lies in the network's image, to map boxes back: frame = (net - offset) / scale.
 */
typedef struct {
  double scale_x, scale_y, offset_x, offset_y;
} InferPlacement;

G_END_DECLS
