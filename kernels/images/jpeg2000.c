/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoders.h"

#include <openjpeg.h>
#include <string.h>

/* GdkPixbuf has no loader for JPEG 2000 any more; OpenJPEG does it. */

typedef struct {
  const guint8 *data;
  gsize size, position;
} Memory;

static OPJ_SIZE_T
read_memory(void *buffer, OPJ_SIZE_T n, void *user_data)
{
  Memory *memory = user_data;
  gsize left = memory->size - memory->position;

  if (left == 0)
    return (OPJ_SIZE_T)-1;
  n = MIN(n, left);
  memcpy(buffer, memory->data + memory->position, n);
  memory->position += n;
  return n;
}

static OPJ_OFF_T
skip_memory(OPJ_OFF_T n, void *user_data)
{
  Memory *memory = user_data;
  gsize left = memory->size - memory->position;

  if (n < 0)
    return -1;
  n = MIN(n, (OPJ_OFF_T)left);
  memory->position += (gsize)n;
  return n;
}

static OPJ_BOOL
seek_memory(OPJ_OFF_T position, void *user_data)
{
  Memory *memory = user_data;

  if (position < 0 || (guint64)position > memory->size)
    return OPJ_FALSE;
  memory->position = (gsize)position;
  return OPJ_TRUE;
}

static opj_stream_t *
open_stream(Memory *memory)
{
  opj_stream_t *stream = opj_stream_create(MIN(memory->size, 1 << 20), OPJ_TRUE);

  opj_stream_set_user_data(stream, memory, NULL);
  opj_stream_set_user_data_length(stream, memory->size);
  opj_stream_set_read_function(stream, read_memory);
  opj_stream_set_skip_function(stream, skip_memory);
  opj_stream_set_seek_function(stream, seek_memory);
  return stream;
}

static gboolean
check_image(const opj_image_t *image, GError **error)
{
  guint64 width = image->x1 > image->x0 ? image->x1 - image->x0 : 0;
  guint64 height = image->y1 > image->y0 ? image->y1 - image->y0 : 0;

  if (width == 0 || height == 0 || width > IMAGES_MAX_PIXELS / height || image->numcomps < 1 ||
      image->numcomps > 16)
    return images_fail(error, "the picture has too many pixels or none");
  return TRUE;
}

/* The number of a component at a pixel of the picture, as a byte. */
static gint
sample(const opj_image_t *image, guint c, gint64 x, gint64 y)
{
  const opj_image_comp_t *comp = &image->comps[c];
  gint64 column = MIN(x / MAX(comp->dx, 1), (gint64)comp->w - 1);
  gint64 row = MIN(y / MAX(comp->dy, 1), (gint64)comp->h - 1);
  gint64 value = comp->data[row * comp->w + column];

  if (comp->sgnd)
    value += (gint64)1 << (comp->prec - 1);
  if (comp->prec > 8)
    value >>= comp->prec - 8;
  else if (comp->prec < 8)
    value = value * 255 / ((1 << comp->prec) - 1);
  return (gint)CLAMP(value, 0, 255);
}

/* ITU-R BT.601 with full range, as JPEG has it. */
static void
to_rgb(guint8 *pixel)
{
  double y = pixel[0], cb = pixel[1] - 128.0, cr = pixel[2] - 128.0;

  pixel[0] = (guint8)CLAMP(y + 1.402 * cr + 0.5, 0, 255);
  pixel[1] = (guint8)CLAMP(y - 0.344136 * cb - 0.714136 * cr + 0.5, 0, 255);
  pixel[2] = (guint8)CLAMP(y + 1.772 * cb + 0.5, 0, 255);
}

static gboolean
copy_image(const opj_image_t *image, Picture *picture, GError **error)
{
  gint64 width = image->x1 - image->x0, height = image->y1 - image->y0;
  guint colors = image->numcomps >= 3 ? 3 : 1;

  for (guint c = 0; c < colors; c++)
    if (!image->comps[c].data || image->comps[c].w < 1 || image->comps[c].h < 1 ||
        image->comps[c].prec < 1 || image->comps[c].prec > 31)
      return images_fail(error, "a component of the picture is missing");
  guint8 *pixels = g_try_malloc((gsize)(width * height * 3));
  if (!pixels)
    return images_fail(error, "no memory for the picture");
  for (gint64 y = 0; y < height; y++)
    for (gint64 x = 0; x < width; x++) {
      guint8 *pixel = pixels + 3 * (y * width + x);
      for (guint c = 0; c < 3; c++)
        pixel[c] = (guint8)sample(image, MIN(c, colors - 1), x, y);
      if (image->color_space == OPJ_CLRSPC_SYCC && colors == 3)
        to_rgb(pixel);
    }
  *picture = (Picture){pixels, width, height, 3 * width, 3, pixels, g_free};
  return TRUE;
}

static gboolean
decode_stream(opj_codec_t *codec, opj_stream_t *stream, Picture *picture, GError **error)
{
  opj_dparameters_t parameters;
  opj_image_t *image = NULL;
  gboolean good;

  opj_set_default_decoder_parameters(&parameters);
  good = opj_setup_decoder(codec, &parameters) && opj_read_header(stream, codec, &image) &&
         image != NULL;
  if (!good)
    images_fail(error, "the JPEG 2000 header is damaged");
  good = good && check_image(image, error);
  if (good && !(opj_decode(codec, stream, image) && opj_end_decompress(codec, stream)))
    good = images_fail(error, "the JPEG 2000 data is damaged");
  good = good && copy_image(image, picture, error);
  if (image)
    opj_image_destroy(image);
  return good;
}

gboolean
images_jpeg2000(const guint8 *data, gsize size, gboolean codestream, Picture *picture,
                GError **error)
{
  Memory memory = {data, size, 0};
  opj_stream_t *stream = open_stream(&memory);
  opj_codec_t *codec = opj_create_decompress(codestream ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
  gboolean good = decode_stream(codec, stream, picture, error);

  opj_destroy_codec(codec);
  opj_stream_destroy(stream);
  return good;
}
