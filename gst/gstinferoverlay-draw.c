/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferoverlay-draw.h"

#include <pango/pangocairo.h>

/* Texts that are kept: with scores in percent, a few labels soon make hundreds. */
#define MAX_TEXTS 512
#define MAX_TEXT_CHARS 80
#define MAX_TEXT_SIDE 4096

struct _GstInferTextMask {
  gint width, height, stride;
  guint8 *coverage;
  GList *link; /* of GstInferText.order, whose data is the key */
};

struct _GstInferText {
  PangoContext *context;
  PangoFontDescription *font;
  gint margin;
  GHashTable *masks; /* text -> GstInferTextMask */
  GQueue order;      /* texts, the one used last first */
};

/* One component of a frame: a grid of samples, each standing for a cell of pixels. */
typedef struct {
  guint8 *data;
  gint stride, step;
  guint shift_x, shift_y;
  gint pixels_x, pixels_y;
  gboolean wide;
} Grid;

static Grid
grid_of(GstVideoFrame *frame, guint component)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  Grid grid = {
      .data = GST_VIDEO_FRAME_COMP_DATA(frame, component),
      .stride = GST_VIDEO_FRAME_COMP_STRIDE(frame, component),
      .step = GST_VIDEO_FRAME_COMP_PSTRIDE(frame, component),
      .shift_x = GST_VIDEO_FORMAT_INFO_W_SUB(format, component),
      .shift_y = GST_VIDEO_FORMAT_INFO_H_SUB(format, component),
      .pixels_x = GST_VIDEO_FRAME_WIDTH(frame),
      .pixels_y = GST_VIDEO_FRAME_HEIGHT(frame),
      .wide = GST_VIDEO_FORMAT_INFO_DEPTH(format, component) > 8,
  };

  /* GStreamer 1.22 counts the place of P010's V in samples, not in bytes. */
  if (grid.wide && GST_VIDEO_FORMAT_INFO_POFFSET(format, component) == 1)
    grid.data++;
  return grid;
}

static inline guint
mix(guint below, guint above, guint alpha)
{
  return (below * (256 - alpha) + above * alpha + 128) >> 8;
}

static inline void
put_sample(const Grid *grid, gint cell_x, gint cell_y, guint value, guint alpha)
{
  guint8 *at = grid->data + (gssize)cell_y * grid->stride + (gssize)cell_x * grid->step;

  if (grid->wide)
    GST_WRITE_UINT16_LE(at, mix(GST_READ_UINT16_LE(at), value, alpha));
  else
    *at = (guint8)mix(*at, value, alpha);
}

/* The part of cell @cell, 1 << @shift pixels wide, that lies in [@from, @to). */
static inline gint
cell_part(gint cell, guint shift, gint from, gint to)
{
  return MIN((cell + 1) << shift, to) - MAX(cell << shift, from);
}

GstInferInk
gst_infer_ink(const GstVideoInfo *info, guint32 argb)
{
  const GstVideoFormatInfo *format = info->finfo;
  const gdouble r = ((argb >> 16) & 255) / 255.0, g = ((argb >> 8) & 255) / 255.0;
  const gdouble b = (argb & 255) / 255.0;
  GstInferInk ink = {.alpha = (argb >> 24) + (argb >> 31)};
  gint offset[GST_VIDEO_MAX_COMPONENTS], scale[GST_VIDEO_MAX_COMPONENTS];
  gdouble value[GST_VIDEO_MAX_COMPONENTS] = {r, g, b, 1}, kr, kb;

  gst_video_color_range_offsets(info->colorimetry.range, format, offset, scale);
  if (!GST_VIDEO_FORMAT_INFO_IS_RGB(format)) {
    if (!gst_video_color_matrix_get_Kr_Kb(info->colorimetry.matrix, &kr, &kb))
      gst_video_color_matrix_get_Kr_Kb(GST_VIDEO_COLOR_MATRIX_BT601, &kr, &kb);
    value[0] = kr * r + (1 - kr - kb) * g + kb * b;
    value[1] = (b - value[0]) / (2 * (1 - kb));
    value[2] = (r - value[0]) / (2 * (1 - kr));
  }
  for (guint i = 0; i < GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format); i++) {
    const gint highest = (1 << GST_VIDEO_FORMAT_INFO_DEPTH(format, i)) - 1;
    const gint sample = i == 3 ? highest : (gint)(offset[i] + scale[i] * value[i] + 0.5);
    ink.component[i] = (guint)CLAMP(sample, 0, highest) << format->shift[i];
  }
  return ink;
}

void
gst_infer_draw_rect(GstVideoFrame *frame, GstInferRect rect, const GstInferInk *ink)
{
  const gint x0 = MAX(rect.x0, 0), x1 = MIN(rect.x1, GST_VIDEO_FRAME_WIDTH(frame));
  const gint y0 = MAX(rect.y0, 0), y1 = MIN(rect.y1, GST_VIDEO_FRAME_HEIGHT(frame));

  if (x0 >= x1 || y0 >= y1)
    return;
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(frame); c++) {
    const Grid grid = grid_of(frame, c);
    for (gint cy = y0 >> grid.shift_y; cy <= (y1 - 1) >> grid.shift_y; cy++) {
      const gint rows = cell_part(cy, grid.shift_y, y0, y1);
      const gint all_rows = cell_part(cy, grid.shift_y, 0, grid.pixels_y);
      for (gint cx = x0 >> grid.shift_x; cx <= (x1 - 1) >> grid.shift_x; cx++) {
        const gint covered = rows * cell_part(cx, grid.shift_x, x0, x1);
        const gint all = all_rows * cell_part(cx, grid.shift_x, 0, grid.pixels_x);
        const guint alpha = covered == all ? ink->alpha : ink->alpha * (guint)covered / (guint)all;
        put_sample(&grid, cx, cy, ink->component[c], alpha);
      }
    }
  }
}

void
gst_infer_draw_outline(GstVideoFrame *frame, GstInferRect rect, gint width, const GstInferInk *ink)
{
  if (rect.x1 - rect.x0 <= 2 * width || rect.y1 - rect.y0 <= 2 * width) {
    gst_infer_draw_rect(frame, rect, ink);
    return;
  }
  const gint inner_y0 = rect.y0 + width, inner_y1 = rect.y1 - width;
  const GstInferRect sides[4] = {{rect.x0, rect.y0, rect.x1, inner_y0},
                                 {rect.x0, inner_y1, rect.x1, rect.y1},
                                 {rect.x0, inner_y0, rect.x0 + width, inner_y1},
                                 {rect.x1 - width, inner_y0, rect.x1, inner_y1}};
  for (guint i = 0; i < G_N_ELEMENTS(sides); i++)
    gst_infer_draw_rect(frame, sides[i], ink);
}

/* The mean coverage of a cell of pixels, outside of the mask 0. */
static inline guint
cell_coverage(const GstInferTextMask *mask, const Grid *grid, gint cell_x, gint cell_y, gint x,
              gint y)
{
  const gint left = MAX((cell_x << grid->shift_x) - x, 0);
  const gint right = MIN(((cell_x + 1) << grid->shift_x) - x, mask->width);
  const gint top = MAX((cell_y << grid->shift_y) - y, 0);
  const gint bottom = MIN(((cell_y + 1) << grid->shift_y) - y, mask->height);
  guint sum = 0;

  for (gint row = top; row < bottom; row++)
    for (gint column = left; column < right; column++)
      sum += mask->coverage[(gssize)row * mask->stride + column];
  return sum >> (grid->shift_x + grid->shift_y);
}

void
gst_infer_draw_text(GstVideoFrame *frame, const GstInferTextMask *mask, gint x, gint y,
                    const GstInferInk *ink)
{
  const gint x0 = MAX(x, 0), x1 = MIN(x + mask->width, GST_VIDEO_FRAME_WIDTH(frame));
  const gint y0 = MAX(y, 0), y1 = MIN(y + mask->height, GST_VIDEO_FRAME_HEIGHT(frame));

  if (x0 >= x1 || y0 >= y1)
    return;
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(frame); c++) {
    const Grid grid = grid_of(frame, c);
    for (gint cy = y0 >> grid.shift_y; cy <= (y1 - 1) >> grid.shift_y; cy++) {
      for (gint cx = x0 >> grid.shift_x; cx <= (x1 - 1) >> grid.shift_x; cx++) {
        const guint coverage = cell_coverage(mask, &grid, cx, cy, x, y);
        if (coverage > 0)
          put_sample(&grid, cx, cy, ink->component[c], (coverage * ink->alpha + 127) / 255);
      }
    }
  }
}

static void
mask_free(gpointer mask)
{
  g_free(((GstInferTextMask *)mask)->coverage);
  g_free(mask);
}

GstInferText *
gst_infer_text_new(const gchar *font, gint size)
{
  GstInferText *text = g_new0(GstInferText, 1);
  g_autoptr(PangoFontMap) map = pango_cairo_font_map_new();

  text->context = pango_font_map_create_context(map);
  text->font = pango_font_description_from_string(font);
  if (!(pango_font_description_get_set_fields(text->font) & PANGO_FONT_MASK_SIZE))
    pango_font_description_set_absolute_size(text->font, (gdouble)size * PANGO_SCALE);
  text->margin = MAX(size / 4, 3);
  text->masks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, mask_free);
  g_queue_init(&text->order);
  return text;
}

void
gst_infer_text_free(GstInferText *text)
{
  if (text == NULL)
    return;
  g_queue_clear(&text->order);
  g_hash_table_unref(text->masks);
  pango_font_description_free(text->font);
  g_object_unref(text->context);
  g_free(text);
}

static PangoLayout *
make_layout(GstInferText *text, const gchar *string)
{
  PangoLayout *layout = pango_layout_new(text->context);
  g_autofree gchar *valid = g_utf8_make_valid(string, -1);

  if (g_utf8_strlen(valid, -1) > MAX_TEXT_CHARS) {
    g_autofree gchar *start = g_utf8_substring(valid, 0, MAX_TEXT_CHARS - 1);
    g_free(valid);
    valid = g_strconcat(start, "\u2026", NULL);
  }
  pango_layout_set_font_description(layout, text->font);
  pango_layout_set_single_paragraph_mode(layout, TRUE);
  pango_layout_set_text(layout, valid, -1);
  return layout;
}

static GstInferTextMask *
render(GstInferText *text, const gchar *string)
{
  g_autoptr(PangoLayout) layout = make_layout(text, string);
  GstInferTextMask *mask = g_new0(GstInferTextMask, 1);
  gint width, height;

  pango_layout_get_pixel_size(layout, &width, &height);
  /* Even sides, so that a label's background falls on whole chroma samples. */
  width = (CLAMP(width, 1, MAX_TEXT_SIDE) + 4 * text->margin + 1) & ~1;
  height = (CLAMP(height, 1, MAX_TEXT_SIDE) + text->margin + 1) & ~1;
  mask->width = width;
  mask->height = height;
  mask->stride = cairo_format_stride_for_width(CAIRO_FORMAT_A8, width);
  mask->coverage = g_malloc0((gsize)mask->stride * (gsize)height);

  cairo_surface_t *surface = cairo_image_surface_create_for_data(mask->coverage, CAIRO_FORMAT_A8,
                                                                 width, height, mask->stride);
  cairo_t *cairo = cairo_create(surface);
  cairo_move_to(cairo, 2 * text->margin, 0.5 * text->margin);
  pango_cairo_update_layout(cairo, layout);
  pango_cairo_show_layout(cairo, layout);
  cairo_destroy(cairo);
  cairo_surface_finish(surface);
  cairo_surface_destroy(surface);
  return mask;
}

const GstInferTextMask *
gst_infer_text_get(GstInferText *text, const gchar *string, gint *width, gint *height)
{
  GstInferTextMask *mask = g_hash_table_lookup(text->masks, string);

  if (mask == NULL) {
    if (g_hash_table_size(text->masks) >= MAX_TEXTS)
      g_hash_table_remove(text->masks, g_queue_pop_tail(&text->order));
    gchar *key = g_strdup(string);
    mask = render(text, string);
    g_queue_push_head(&text->order, key);
    mask->link = text->order.head;
    g_hash_table_insert(text->masks, key, mask);
  } else if (mask->link != text->order.head) {
    g_queue_unlink(&text->order, mask->link);
    g_queue_push_head_link(&text->order, mask->link);
  }
  *width = mask->width;
  *height = mask->height;
  return mask;
}
