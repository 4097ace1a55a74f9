/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-inferoverlay
 * @title: inferoverlay
 *
 * Draws what was found in a frame: a box around each object, its label, its score and, where a
 * tracker gave one, its number. Each class has a colour of its own unless one is set. Frames
 * without objects pass untouched.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=street.mp4 ! decodebin ! infer model-file=model.onnx \
 *     ! inferoverlay ! videoconvert ! autovideosink
 * ]| Shows a video with the objects that a model finds in it.
 */
#include "gstinferoverlay.h"

#include <math.h>

#include "gstinfermeta.h"
#include "gstinferoverlay-draw.h"

#define DEFAULT_FONT "Sans Bold"
#define FORMATS "{ NV12, I420, YUY2, P010_10LE, RGB, RGBA, RGBx, BGR, BGRA, BGRx, GRAY8 }"

GST_DEBUG_CATEGORY_STATIC(gst_infer_overlay_debug);
#define GST_CAT_DEFAULT gst_infer_overlay_debug

struct _GstInferOverlay {
  GstBaseTransform parent;

  /* properties, under the object lock */
  guint outline_color;
  guint labels_color;
  gboolean draw_labels;
  gboolean draw_scores;
  gboolean draw_tracking_labels;
  gboolean filled_box;
  guint line_width;
  gchar *font;
  gboolean font_changed;

  /* of the streaming thread */
  GstVideoInfo info;
  GArray *objects;
  GstInferText *text;
  GString *caption;
  GArray *placed; /* of GstInferRect: the labels of this frame */
};

/* What one frame is drawn with. */
typedef struct {
  GstVideoFrame *frame;
  guint outline_color, labels_color;
  gboolean labels, scores, ids, filled;
  gint line_width;
} Style;

enum {
  PROP_0,
  PROP_OUTLINE_COLOR,
  PROP_DRAW_LABELS,
  PROP_DRAW_SCORES,
  PROP_DRAW_TRACKING_LABELS,
  PROP_LABELS_COLOR,
  PROP_FILLED_BOX,
  PROP_LINE_WIDTH,
  PROP_FONT,
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(FORMATS)));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(FORMATS)));

G_DEFINE_TYPE(GstInferOverlay, gst_infer_overlay, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE(inferoverlay, "inferoverlay", GST_RANK_NONE,
                                      GST_TYPE_INFER_OVERLAY,
                                      GST_DEBUG_CATEGORY_INIT(gst_infer_overlay_debug,
                                                              "inferoverlay", 0, "inferoverlay"))

/* Colours that stay apart on most pictures; further classes go round the circle of hues. */
static guint32
class_color(const GstInferObject *object)
{
  static const guint32 palette[] = {0x00c853, 0x2979ff, 0xff6d00, 0xd500f9, 0xffd600,
                                    0x00e5ff, 0xff1744, 0x76ff03, 0xf50057, 0x1de9b6,
                                    0xffab00, 0x651fff, 0xc6ff00, 0x00b0ff, 0xff9e80};
  guint index = object->label_id >= 0 ? (guint)object->label_id
                                      : g_str_hash(g_quark_to_string(object->label) ?: "");
  if (object->label_id >= 0 && index < G_N_ELEMENTS(palette))
    return 0xff000000 | palette[index];

  const gdouble hue = fmod(index * 0.6180339887498949, 1.0) * 6;
  guint32 color = 0xff;
  for (guint i = 0; i < 3; i++) {
    const gdouble k = fmod((i == 0 ? 5 : i == 1 ? 3 : 1) + hue, 6);
    const gdouble v = 1 - 0.8 * CLAMP(MIN(k, 4 - k), 0, 1);
    color = color << 8 | (guint32)(v * 245);
  }
  return color;
}

/* Black or white, whichever is read better on @background. */
static guint32
readable_color(guint32 background)
{
  const guint luma =
      299 * ((background >> 16) & 255) + 587 * ((background >> 8) & 255) + 114 * (background & 255);
  return luma > 140 * 1000 ? 0xff000000 : 0xffffffff;
}

/* Edges fall on whole chroma samples, so that the colour of a box does not leak. */
static GstInferRect
object_rect(const GstInferObject *object, const GstVideoFormatInfo *format)
{
  const gint sx = GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format) > 1 ? 1 << format->w_sub[1] : 1;
  const gint sy = GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format) > 1 ? 1 << format->h_sub[1] : 1;
  const gdouble limit = 1 << 24;
  GstInferRect rect = {
      (gint)round(CLAMP(object->x, -limit, limit) / sx) * sx,
      (gint)round(CLAMP(object->y, -limit, limit) / sy) * sy,
      (gint)round(CLAMP(object->x + object->w, -limit, limit) / sx) * sx,
      (gint)round(CLAMP(object->y + object->h, -limit, limit) / sy) * sy,
  };

  rect.x1 = MAX(rect.x1, rect.x0 + sx);
  rect.y1 = MAX(rect.y1, rect.y0 + sy);
  return rect;
}

static void
draw_box(const Style *style, const GstInferObject *object)
{
  const GstVideoInfo *info = &style->frame->info;
  const GstInferRect rect = object_rect(object, info->finfo);
  const guint32 color = style->outline_color ? style->outline_color : class_color(object);
  const GstInferInk ink = gst_infer_ink(info, color);

  if (style->filled) {
    GstInferInk fill = ink;
    if (style->outline_color == 0)
      fill.alpha = 96;
    gst_infer_draw_rect(style->frame, rect, &fill);
    if (style->outline_color != 0)
      return;
  }
  gst_infer_draw_outline(style->frame, rect, style->line_width, &ink);
}

static const gchar *
make_caption(GstInferOverlay *self, const Style *style, const GstInferObject *object)
{
  GString *caption = self->caption;

  g_string_truncate(caption, 0);
  if (style->labels)
    g_string_append(caption, object->label ? g_quark_to_string(object->label) : "object");
  if (style->ids && object->has_object_id)
    g_string_append_printf(caption, "%s#%" G_GUINT64_FORMAT, caption->len ? " " : "",
                           object->object_id);
  if (style->scores && object->confidence > 0)
    g_string_append_printf(caption, "%s%d%%", caption->len ? " " : "",
                           (gint)round(100 * MIN(object->confidence, 1)));
  return caption->len > 0 ? caption->str : NULL;
}

static gboolean
covers_a_label(GArray *placed, const GstInferRect *rect)
{
  for (guint i = placed->len > 64 ? placed->len - 64 : 0; i < placed->len; i++) {
    const GstInferRect *other = &g_array_index(placed, GstInferRect, i);
    if (rect->x0 < other->x1 && other->x0 < rect->x1 && rect->y0 < other->y1 &&
        other->y0 < rect->y1)
      return TRUE;
  }
  return FALSE;
}

/* Above the box, else inside, else below: the first place in the frame that is free. Where none
 * is, the first that is in the frame, or as much of it as fits. */
static GstInferRect
place_caption(GArray *placed, const GstVideoInfo *info, const GstInferRect *box, gint width,
              gint height)
{
  const gint lowest = MAX((GST_VIDEO_INFO_HEIGHT(info) - height) & ~1, 0);
  const gint x = MAX(MIN(box->x0, (GST_VIDEO_INFO_WIDTH(info) - width) & ~1), 0);
  const gint tops[] = {box->y0 - height, box->y0, box->y1};
  const gint fallback = CLAMP(tops[0] >= 0 ? tops[0] : tops[1], 0, lowest);
  GstInferRect rect = {x, fallback, x + width, fallback + height};

  for (guint i = 0; i < G_N_ELEMENTS(tops); i++) {
    const GstInferRect try = {x, tops[i], x + width, tops[i] + height};
    if (tops[i] >= 0 && tops[i] <= lowest && !covers_a_label(placed, &try)) {
      rect = try;
      break;
    }
  }
  g_array_append_val(placed, rect);
  return rect;
}

static void
draw_caption(GstInferOverlay *self, const Style *style, const GstInferObject *object)
{
  const GstVideoInfo *info = &style->frame->info;
  const gchar *caption = make_caption(self, style, object);
  gint width, height;

  if (caption == NULL)
    return;
  const GstInferRect box = object_rect(object, info->finfo);
  const GstInferTextMask *mask = gst_infer_text_get(self->text, caption, &width, &height);
  const guint32 color = style->outline_color ? style->outline_color : class_color(object);
  const GstInferInk background = gst_infer_ink(info, color | 0xff000000);
  const GstInferInk ink =
      gst_infer_ink(info, style->labels_color ? style->labels_color : readable_color(color));
  const GstInferRect rect = place_caption(self->placed, info, &box, width, height);

  gst_infer_draw_rect(style->frame, rect, &background);
  gst_infer_draw_text(style->frame, mask, rect.x0, rect.y0, &ink);
}

/* Without a width set: two pixels on a small picture, eight on a large one. */
static gint
pick_line_width(guint wanted, gint height)
{
  return wanted > 0 ? (gint)wanted : CLAMP((height + 180) / 360, 1, 4) * 2;
}

static void
take_style(GstInferOverlay *self, Style *style)
{
  const gint height = GST_VIDEO_INFO_HEIGHT(&self->info);

  GST_OBJECT_LOCK(self);
  style->outline_color = self->outline_color;
  style->labels_color = self->labels_color;
  style->labels = self->draw_labels;
  style->scores = self->draw_scores;
  style->ids = self->draw_tracking_labels;
  style->filled = self->filled_box;
  style->line_width = pick_line_width(self->line_width, height);
  if (self->font_changed || self->text == NULL) {
    g_clear_pointer(&self->text, gst_infer_text_free);
    self->text = gst_infer_text_new(self->font, CLAMP(height / 38, 12, 96));
    self->font_changed = FALSE;
  }
  GST_OBJECT_UNLOCK(self);
}

static GstFlowReturn
gst_infer_overlay_transform_ip(GstBaseTransform *trans, GstBuffer *buffer)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(trans);
  g_autoptr(GArray) objects = g_steal_pointer(&self->objects);
  GstVideoFrame frame;
  Style style = {.frame = &frame};

  if (objects == NULL || objects->len == 0)
    return GST_FLOW_OK;
  if (!gst_video_frame_map(&frame, &self->info, buffer, GST_MAP_READWRITE)) {
    GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("A video frame cannot be drawn on."),
                      ("gst_video_frame_map() failed for %" GST_PTR_FORMAT, buffer));
    return GST_FLOW_ERROR;
  }
  take_style(self, &style);
  for (guint i = 0; i < objects->len; i++)
    draw_box(&style, &g_array_index(objects, GstInferObject, i));
  g_array_set_size(self->placed, 0);
  for (guint i = 0; i < objects->len; i++)
    draw_caption(self, &style, &g_array_index(objects, GstInferObject, i));
  gst_video_frame_unmap(&frame);
  return GST_FLOW_OK;
}

/* A frame with nothing to draw goes on as it is, writable or not. */
static GstFlowReturn
gst_infer_overlay_prepare_output_buffer(GstBaseTransform *trans, GstBuffer *input,
                                        GstBuffer **output)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(trans);

  g_clear_pointer(&self->objects, g_array_unref);
  self->objects = gst_infer_meta_collect(input, &self->info, NULL);
  if (self->objects->len == 0) {
    *output = input;
    return GST_FLOW_OK;
  }
  return GST_BASE_TRANSFORM_CLASS(gst_infer_overlay_parent_class)
      ->prepare_output_buffer(trans, input, output);
}

static gboolean
gst_infer_overlay_set_caps(GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(trans);

  if (!gst_video_info_from_caps(&self->info, incaps)) {
    GST_ERROR_OBJECT(self, "caps cannot be read: %" GST_PTR_FORMAT, incaps);
    return FALSE;
  }
  g_clear_pointer(&self->text, gst_infer_text_free);
  return TRUE;
}

static gboolean
gst_infer_overlay_stop(GstBaseTransform *trans)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(trans);

  g_clear_pointer(&self->objects, g_array_unref);
  g_clear_pointer(&self->text, gst_infer_text_free);
  return TRUE;
}

static void
gst_infer_overlay_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(object);

  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_OUTLINE_COLOR:
    self->outline_color = g_value_get_uint(value);
    break;
  case PROP_DRAW_LABELS:
    self->draw_labels = g_value_get_boolean(value);
    break;
  case PROP_DRAW_SCORES:
    self->draw_scores = g_value_get_boolean(value);
    break;
  case PROP_DRAW_TRACKING_LABELS:
    self->draw_tracking_labels = g_value_get_boolean(value);
    break;
  case PROP_LABELS_COLOR:
    self->labels_color = g_value_get_uint(value);
    break;
  case PROP_FILLED_BOX:
    self->filled_box = g_value_get_boolean(value);
    break;
  case PROP_LINE_WIDTH:
    self->line_width = g_value_get_uint(value);
    break;
  case PROP_FONT:
    g_free(self->font);
    self->font = g_strdup(g_value_get_string(value) ?: DEFAULT_FONT);
    self->font_changed = TRUE;
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void
gst_infer_overlay_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(object);

  GST_OBJECT_LOCK(self);
  switch (id) {
  case PROP_OUTLINE_COLOR:
    g_value_set_uint(value, self->outline_color);
    break;
  case PROP_DRAW_LABELS:
    g_value_set_boolean(value, self->draw_labels);
    break;
  case PROP_DRAW_SCORES:
    g_value_set_boolean(value, self->draw_scores);
    break;
  case PROP_DRAW_TRACKING_LABELS:
    g_value_set_boolean(value, self->draw_tracking_labels);
    break;
  case PROP_LABELS_COLOR:
    g_value_set_uint(value, self->labels_color);
    break;
  case PROP_FILLED_BOX:
    g_value_set_boolean(value, self->filled_box);
    break;
  case PROP_LINE_WIDTH:
    g_value_set_uint(value, self->line_width);
    break;
  case PROP_FONT:
    g_value_set_string(value, self->font);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void
gst_infer_overlay_finalize(GObject *object)
{
  GstInferOverlay *self = GST_INFER_OVERLAY(object);

  g_free(self->font);
  g_string_free(self->caption, TRUE);
  g_array_unref(self->placed);
  G_OBJECT_CLASS(gst_infer_overlay_parent_class)->finalize(object);
}

#define PROPERTY_FLAGS                                                                             \
  (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING | GST_PARAM_CONTROLLABLE)

static void
install_properties(GObjectClass *object_class)
{
  const GParamFlags flags = (GParamFlags)PROPERTY_FLAGS;

  g_object_class_install_property(
      object_class, PROP_OUTLINE_COLOR,
      g_param_spec_uint("object-detection-outline-color", "Outline color",
                        "Color of boxes and label backgrounds (ARGB, 0 = a color for each class)",
                        0, G_MAXUINT, 0, flags));
  g_object_class_install_property(object_class, PROP_DRAW_LABELS,
                                  g_param_spec_boolean("draw-labels", "Draw labels",
                                                       "Draw the label of each object", TRUE,
                                                       flags));
  g_object_class_install_property(object_class, PROP_DRAW_SCORES,
                                  g_param_spec_boolean("draw-scores", "Draw scores",
                                                       "Draw the score of each object in percent",
                                                       TRUE, flags));
  g_object_class_install_property(
      object_class, PROP_DRAW_TRACKING_LABELS,
      g_param_spec_boolean("draw-tracking-labels", "Draw tracking labels",
                           "Draw the number that a tracker gave each object", TRUE, flags));
  g_object_class_install_property(
      object_class, PROP_LABELS_COLOR,
      g_param_spec_uint("labels-color", "Labels color",
                        "Color of the text (ARGB, 0 = black or white, whichever is read better)", 0,
                        G_MAXUINT, 0, flags));
  g_object_class_install_property(
      object_class, PROP_FILLED_BOX,
      g_param_spec_boolean("filled-box", "Filled box",
                           "Fill the boxes: with the outline color where one is set, else with a "
                           "translucent color for each class",
                           FALSE, flags));
  g_object_class_install_property(
      object_class, PROP_LINE_WIDTH,
      g_param_spec_uint("line-width", "Line width",
                        "Width of the outline in pixels (0 = by the height of the picture)", 0, 256,
                        0, flags));
  g_object_class_install_property(
      object_class, PROP_FONT,
      g_param_spec_string("font", "Font",
                          "Pango font description of the text, for example \"Sans Bold 14\"; "
                          "without a size it is by the height of the picture",
                          DEFAULT_FONT, flags));
}

static void
gst_infer_overlay_class_init(GstInferOverlayClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
  GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS(klass);

  object_class->set_property = gst_infer_overlay_set_property;
  object_class->get_property = gst_infer_overlay_get_property;
  object_class->finalize = gst_infer_overlay_finalize;
  install_properties(object_class);

  transform_class->set_caps = gst_infer_overlay_set_caps;
  transform_class->stop = gst_infer_overlay_stop;
  transform_class->prepare_output_buffer = gst_infer_overlay_prepare_output_buffer;
  transform_class->transform_ip = gst_infer_overlay_transform_ip;

  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Inference overlay", "Filter/Effect/Video/Analyzer",
      "Draws boxes, labels and scores of the objects found in video frames",
      "The gst-infer authors");
}

static void
gst_infer_overlay_init(GstInferOverlay *self)
{
  self->draw_labels = TRUE;
  self->draw_scores = TRUE;
  self->draw_tracking_labels = TRUE;
  self->font = g_strdup(DEFAULT_FONT);
  self->caption = g_string_new(NULL);
  self->placed = g_array_new(FALSE, FALSE, sizeof(GstInferRect));
  gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
}
