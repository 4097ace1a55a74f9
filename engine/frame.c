/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include "backend.h"

/* Positions inside a frame stay far from the limits of 32 bits. */
#define MAX_SIDE 65535

typedef struct {
  const char *name;
  guint planes;
  guint group[3];     /* bytes of a group of samples, per plane */
  guint group_log[3]; /* log2 of the pixels that a group covers */
} FormatLayout;

static const FormatLayout format_layouts[] = {
    [INFER_PIXEL_NV12] = {"NV12", 2, {1, 2}, {0, 1}},
    [INFER_PIXEL_P010_LE] = {"P010_LE", 2, {2, 4}, {0, 1}},
    [INFER_PIXEL_I420] = {"I420", 3, {1, 1, 1}, {0, 1, 1}},
    [INFER_PIXEL_YUY2] = {"YUY2", 1, {4}, {1}},
    [INFER_PIXEL_RGB] = {"RGB", 1, {3}, {0}},
    [INFER_PIXEL_BGR] = {"BGR", 1, {3}, {0}},
    [INFER_PIXEL_RGBA] = {"RGBA", 1, {4}, {0}},
    [INFER_PIXEL_BGRA] = {"BGRA", 1, {4}, {0}},
    [INFER_PIXEL_GRAY8] = {"GRAY8", 1, {1}, {0}},
};

/* Where a side of @in pixels lies in @size network pixels, in whole network pixels. */
static void
place_side(guint in, guint size, double scale, InferResize resize, double *placed_scale,
           double *offset)
{
  double content = size;

  if (resize == INFER_RESIZE_LETTERBOX)
    content = CLAMP(floor(in * scale + 0.5), 1.0, (double)size);
  else if (resize == INFER_RESIZE_CROP)
    content = MAX(floor(in * scale + 0.5), (double)size);
  *placed_scale = content / in;
  *offset = content <= size ? floor((size - content) / 2) : -floor((content - size) / 2);
}

/**
 * infer_frame_place:
 * @frame: a frame that infer_frame_validate() accepted
 * @pre: how frames become the image input
 * @width: width of the network's image in pixels, at least 1
 * @height: its height
 *
 * Where the cropped frame lies in the network's image. The scaled frame always covers whole network
 * pixels: its sides are rounded (at least 1 pixel for a letterbox, at least the image for a crop)
 * and its offset is rounded down, so that each axis has a scale of its own, which is exact.
 * Offsets are negative for %INFER_RESIZE_CROP. Sampling positions (InferPreprocess.coordinates) do
 * not move the placement, as networks give boxes relative to the image's edges.
 *
 * Returns: the placement; 1:1 at 0 for an empty frame or image
 */
InferPlacement
infer_frame_place(const InferFrame *frame, const InferPreprocess *pre, guint width, guint height)
{
  InferPlacement place = {1, 1, 0, 0};
  guint in_w = frame->crop_width ? frame->crop_width : frame->width;
  guint in_h = frame->crop_height ? frame->crop_height : frame->height;
  double sx, sy, scale = 1;

  if (!in_w || !in_h || !width || !height)
    return place;
  sx = (double)width / in_w;
  sy = (double)height / in_h;
  if (pre->resize == INFER_RESIZE_LETTERBOX)
    scale = MIN(sx, sy);
  else if (pre->resize == INFER_RESIZE_CROP)
    scale = MAX(sx, sy);
  place_side(in_w, width, scale, pre->resize, &place.scale_x, &place.offset_x);
  place_side(in_h, height, scale, pre->resize, &place.scale_y, &place.offset_y);
  return place;
}

static gboolean
validate_side(const char *what, guint size, guint crop, guint crop_size, GError **error)
{
  if (size < 1 || size > MAX_SIDE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "frame: %s %u is not in 1..%d; scale or crop the frame before", what, size,
                MAX_SIDE);
    return FALSE;
  }
  if (crop > size || (crop_size ? crop_size : size) > size - crop) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "frame: a crop of %s %u at %u leaves the frame's %s %u; clip it to the frame", what,
                crop_size ? crop_size : size, crop, what, size);
    return FALSE;
  }
  return TRUE;
}

static gboolean
validate_plane(const InferFrame *frame, const FormatLayout *layout, guint plane, GError **error)
{
  guint mask = (1u << layout->group_log[plane]) - 1;
  guint groups = (frame->width + mask) >> layout->group_log[plane];
  gint64 row = (gint64)groups * layout->group[plane];
  gint64 stride = frame->strides[plane];

  if (!frame->planes[plane]) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "frame: plane %u of format %s is NULL; give all %u planes", plane, layout->name,
                layout->planes);
    return FALSE;
  }
  if (ABS(stride) < row) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "frame: stride %d of plane %u is less than the %" G_GINT64_FORMAT
                " bytes of a row of %u %s pixels",
                frame->strides[plane], plane, row, frame->width, layout->name);
    return FALSE;
  }
  return TRUE;
}

/**
 * infer_frame_validate:
 * @frame: a frame
 * @error: return location
 *
 * Checks that the format is known, that the sides are 1..65535 pixels, that the crop rectangle
 * lies inside the frame (0 as its width or height means the whole side), that every plane is
 * there with a stride that holds a row (negative for pictures stored bottom up), and that the luma
 * weights make a color matrix (both 0 means BT.601). What the planes point at cannot be checked.
 *
 * Returns: whether it can be pre-processed; else %INFER_ERROR_ARGUMENT
 */
gboolean
infer_frame_validate(const InferFrame *frame, GError **error)
{
  const FormatLayout *layout;

  if ((guint)frame->format >= G_N_ELEMENTS(format_layouts)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "frame: unknown pixel format %d",
                (gint)frame->format);
    return FALSE;
  }
  layout = &format_layouts[frame->format];
  if (!validate_side("width", frame->width, frame->crop_x, frame->crop_width, error) ||
      !validate_side("height", frame->height, frame->crop_y, frame->crop_height, error))
    return FALSE;
  for (guint i = 0; i < layout->planes; i++) {
    if (!validate_plane(frame, layout, i, error))
      return FALSE;
  }
  /* Written so that a NaN fails. */
  if (!(frame->kr >= 0 && frame->kb >= 0 && frame->kr + frame->kb < 1)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "frame: kr %g and kb %g are no luma weights; use 0.299 and 0.114 for BT.601",
                (double)frame->kr, (double)frame->kb);
    return FALSE;
  }
  return TRUE;
}

static gboolean
takes_type(InferType type, gboolean halves)
{
  return type == INFER_TYPE_FLOAT || type == INFER_TYPE_UINT8 ||
         (halves && (type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16));
}

gboolean
infer_image_target_validate(const InferImageTarget *target, const InferPreprocess *pre,
                            gboolean halves, GError **error)
{
  guint channels = pre->color == INFER_COLOR_GRAY ? 1 : 3;

  if (!takes_type(target->type, halves)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "an image input of type %s is not supported; use float%s or uint8",
                infer_type_name(target->type), halves ? ", float16, bfloat16" : "");
    return FALSE;
  }
  if (target->channels != channels) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "the image input has %u channels where the model info's color order has %u; set "
                "the model info's color to %s",
                target->channels, channels, target->channels == 1 ? "gray" : "rgb or bgr");
    return FALSE;
  }
  if (target->width < 1 || target->width > MAX_SIDE || target->height < 1 ||
      target->height > MAX_SIDE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "an image input of %ux%u is not supported; sides may be 1..%d", target->width,
                target->height, MAX_SIDE);
    return FALSE;
  }
  return TRUE;
}
