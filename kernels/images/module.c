/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoders.h"

#include <infer/error.h>
#include <string.h>

gboolean
images_fail(GError **error, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, INFER_ERROR, INFER_ERROR_FAILED, text);
  return FALSE;
}

/* What a file begins with. */
static const struct {
  const char *magic;
  gsize length;
  const char *type; /* GdkPixbuf's name; NULL for JPEG 2000 */
} signatures[] = {
    {"\xff\xd8\xff", 3, "jpeg"},
    {"\x89PNG\r\n\x1a\n", 8, "png"},
    {"BM", 2, "bmp"},
    {"II*\0", 4, "tiff"},
    {"MM\0*", 4, "tiff"},
    {"P1", 2, "pnm"},
    {"P2", 2, "pnm"},
    {"P3", 2, "pnm"},
    {"P4", 2, "pnm"},
    {"P5", 2, "pnm"},
    {"P6", 2, "pnm"},
    {"\0\0\0\x0cjP  \r\n\x87\n", 12, NULL},
    {"\xff\x4f\xff\x51", 4, NULL},
};

static gboolean
read_picture(const guint8 *data, gsize size, Picture *picture, GError **error)
{
  if (size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
    return images_pixbuf(data, size, "webp", picture, error);
  for (gsize i = 0; i < G_N_ELEMENTS(signatures); i++) {
    if (size < signatures[i].length || memcmp(data, signatures[i].magic, signatures[i].length) != 0)
      continue;
    return signatures[i].type
               ? images_pixbuf(data, size, signatures[i].type, picture, error)
               : images_jpeg2000(data, size, signatures[i].length == 4, picture, error);
  }
  return images_fail(error, "%" G_GSIZE_FORMAT " bytes are no picture of a known format", size);
}

/* The weights of ITU-R BT.601 in parts of 65536, rounded. */
static guint8
luma(const guint8 *p)
{
  return (guint8)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 32768u) >> 16);
}

static void
convert_row(const guint8 *from, gint64 channels, gint64 width, InferImageFormat format, guint8 *to)
{
  for (gint64 x = 0; x < width; x++, from += channels) {
    if (format == INFER_IMAGE_GRAY) {
      to[x] = luma(from);
      continue;
    }
    gint first = format == INFER_IMAGE_BGR ? 2 : 0;
    to[3 * x] = from[first];
    to[3 * x + 1] = from[1];
    to[3 * x + 2] = from[2 - first];
  }
}

static InferArray *
decode(const guint8 *data, gsize size, InferImageFormat format, GError **error)
{
  Picture picture = {0};
  InferArray *array = NULL;

  if (read_picture(data, size, &picture, error)) {
    gint64 channels = format == INFER_IMAGE_GRAY ? 1 : 3;
    InferDims dims = INFER_DIMS(picture.height, picture.width, channels);
    array = infer_array_new(INFER_TYPE_UINT8, &dims, error);
    for (gint64 y = 0; array && y < picture.height; y++)
      convert_row(picture.data + y * picture.stride, picture.channels, picture.width, format,
                  (guint8 *)array->data + y * picture.width * channels);
  }
  if (picture.free_data)
    picture.free_data(picture.owner);
  return array;
}

const InferImages *infer_images_get(void);

INFER_API const InferImages *
infer_images_get(void)
{
  static const InferImages images = {INFER_IMAGES_ABI, decode};

  return &images;
}
