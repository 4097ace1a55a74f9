/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "images.h"

G_BEGIN_DECLS

/** More pixels than a picture of a camera or satellite has; a small file can claim any number. */
#define IMAGES_MAX_PIXELS ((guint64)1 << 28)

/** Picture: rows of bytes, three or more a pixel, of which the first are red, green and blue.
 * @free_data: (nullable): frees @owner */
typedef struct {
  guint8 *data;
  gint64 width, height, stride, channels;
  gpointer owner;
  GDestroyNotify free_data;
} Picture;

/** images_fail: sets an error. Returns: FALSE */
gboolean images_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** images_pixbuf: decodes with the loader @type of GdkPixbuf. */
gboolean images_pixbuf(const guint8 *data, gsize size, const char *type, Picture *picture,
                       GError **error);
/** images_jpeg2000: decodes JPEG 2000; @codestream: without the boxes of a file around it */
gboolean images_jpeg2000(const guint8 *data, gsize size, gboolean codestream, Picture *picture,
                         GError **error);

G_END_DECLS
