/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoders.h"

#include <gdk-pixbuf/gdk-pixbuf.h>

static void
check_size(GdkPixbufLoader *loader, gint width, gint height, gpointer refused)
{
  if (width < 1 || height < 1 || (guint64)width * (guint64)height > IMAGES_MAX_PIXELS) {
    *(gboolean *)refused = TRUE;
    /* A loader stops where nothing is wanted. */
    gdk_pixbuf_loader_set_size(loader, 0, 0);
  }
}

/* A number of a portable format's header, comments before it skipped; 0 where there is none. */
static guint64
header_number(const guint8 *data, gsize size, gsize *at)
{
  guint64 value = 0;

  for (gboolean comment = FALSE; *at < size; (*at)++) {
    comment = data[*at] == '#' || (comment && data[*at] != '\n');
    if (!comment && !g_ascii_isspace(data[*at]))
      break;
  }
  for (; *at < size && g_ascii_isdigit(data[*at]) && value <= IMAGES_MAX_PIXELS; (*at)++)
    value = value * 10 + (guint64)(data[*at] - '0');
  return value;
}

/* The loader of the portable formats takes a refusal for a bug of its own and says so. */
static gboolean
portable_fits(const guint8 *data, gsize size)
{
  gsize at = 2;
  guint64 width = header_number(data, size, &at), height = header_number(data, size, &at);

  return width > 0 && height > 0 && width <= IMAGES_MAX_PIXELS && height <= IMAGES_MAX_PIXELS &&
         width * height <= IMAGES_MAX_PIXELS;
}

gboolean
images_pixbuf(const guint8 *data, gsize size, const char *type, Picture *picture, GError **error)
{
  g_autoptr(GdkPixbufLoader) loader = gdk_pixbuf_loader_new_with_type(type, error);
  gboolean refused = FALSE;

  if (!loader)
    return FALSE;
  if (g_str_equal(type, "pnm") && !portable_fits(data, size)) {
    gdk_pixbuf_loader_close(loader, NULL);
    return images_fail(error, "the picture has too many pixels or none");
  }
  g_signal_connect(loader, "size-prepared", G_CALLBACK(check_size), &refused);
  gboolean written = gdk_pixbuf_loader_write(loader, data, size, error);
  /* It has to be closed in any case, and says why only once. */
  gboolean closed = gdk_pixbuf_loader_close(loader, written ? error : NULL);
  if (!written || !closed)
    return FALSE;
  GdkPixbuf *pixbuf = gdk_pixbuf_loader_get_pixbuf(loader);
  if (!pixbuf || refused)
    return images_fail(error, refused ? "the picture has too many pixels or none"
                                      : "there is no picture in the file");
  if (gdk_pixbuf_get_bits_per_sample(pixbuf) != 8 || gdk_pixbuf_get_n_channels(pixbuf) < 3)
    return images_fail(error, "the picture's pixels are not of three bytes");
  *picture = (Picture){gdk_pixbuf_get_pixels(pixbuf),
                       gdk_pixbuf_get_width(pixbuf),
                       gdk_pixbuf_get_height(pixbuf),
                       gdk_pixbuf_get_rowstride(pixbuf),
                       gdk_pixbuf_get_n_channels(pixbuf),
                       g_object_ref(pixbuf),
                       g_object_unref};
  return TRUE;
}
