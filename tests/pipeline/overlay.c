/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frames.h"
#include "gstinferoverlay.h"

static const gchar *const formats[] = {"NV12", "I420", "YUY2", "P010_10LE", "RGB",  "RGBA",
                                       "RGBx", "BGR",  "BGRA", "BGRx",      "GRAY8"};

static GstHarness *
overlay_harness(const gchar *format, gboolean texts)
{
  GstElement *overlay = gst_element_factory_make("inferoverlay", NULL);

  g_object_set(overlay, "object-detection-outline-color", 0xffffffffu, "line-width", 2,
               "draw-labels", texts, "draw-scores", texts, "draw-tracking-labels", texts, NULL);
  return harness_for(overlay, format, WIDTH, HEIGHT);
}

/* A sample of component @c that stands for pixel (@x, @y). */
static guint
sample_at(GstVideoFrame *frame, guint c, gint x, gint y)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  const gboolean wide = GST_VIDEO_FORMAT_INFO_DEPTH(format, c) > 8;
  const guint offset = wide && c == 2 ? 2 : (guint)GST_VIDEO_FORMAT_INFO_POFFSET(format, c);
  const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA(frame, GST_VIDEO_FORMAT_INFO_PLANE(format, c));

  data += (y >> format->h_sub[c]) * GST_VIDEO_FRAME_COMP_STRIDE(frame, c) + offset +
          (x >> format->w_sub[c]) * GST_VIDEO_FRAME_COMP_PSTRIDE(frame, c);
  return wide ? GST_READ_UINT16_LE(data) : *data;
}

static gboolean
on_ring(gint x, gint y, gint x0, gint y0, gint x1, gint y1)
{
  const gboolean inside = x >= x0 && x < x1 && y >= y0 && y < y1;
  return inside && (x < x0 + 2 || x >= x1 - 2 || y < y0 + 2 || y >= y1 - 2);
}

/* White, in the full or the limited range, in 8 or 10 bits. */
static void
check_white(GstVideoFrame *frame, guint c, guint sample)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  const guint shift = GST_VIDEO_FORMAT_INFO_DEPTH(format, c) > 8 ? 8 : 0;

  if (GST_VIDEO_FORMAT_INFO_IS_RGB(format))
    g_assert_cmpuint(sample, ==, 255);
  else if (c > 0)
    g_assert_cmpuint(sample, ==, 128u << shift);
  else
    g_assert_true(sample == 235u << shift || (shift == 0 && sample == 255));
}

static void
check_outline(GstBuffer *buffer, const gchar *name, gint x0, gint y0, gint x1, gint y1)
{
  GstVideoInfo info = make_info(name, WIDTH, HEIGHT);
  GstVideoFrame frame;

  g_assert_true(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ));
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&frame); c++) {
    const guint ground =
        GST_VIDEO_FORMAT_INFO_DEPTH(info.finfo, c) > 8 ? GROUND << 8 | GROUND : GROUND;
    for (gint y = 0; y < HEIGHT; y++) {
      for (gint x = 0; x < WIDTH; x++) {
        if (on_ring(x, y, x0, y0, x1, y1))
          check_white(&frame, c, sample_at(&frame, c, x, y));
        else
          g_assert_cmpuint(sample_at(&frame, c, x, y), ==, ground);
      }
    }
  }
  gst_video_frame_unmap(&frame);
}

static void
test_pixels(gconstpointer data)
{
  const gchar *format = data;
  GstVideoInfo info = make_info(format, WIDTH, HEIGHT);
  GstHarness *harness = overlay_harness(format, FALSE);
  GstBuffer *buffer = make_buffer(&info, 0);
  const GstInferObject object = make_object("a", 0, 8, 10, 20, 16);

  g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, 0, &object, 1, NULL));
  buffer = gst_harness_push_and_pull(harness, buffer);
  check_outline(buffer, format, 8, 10, 28, 26);
  gst_buffer_unref(buffer);
  gst_harness_teardown(harness);
}

/* A region of another element that hangs over each edge in turn. */
static void
test_clip(gconstpointer data)
{
  const gchar *format = data;
  GstVideoInfo info = make_info(format, WIDTH, HEIGHT);
  GstHarness *harness = overlay_harness(format, FALSE);
  GstBuffer *buffer = make_buffer(&info, 0);

  gst_buffer_add_video_region_of_interest_meta(buffer, "face", 40, 30, 1000, G_MAXUINT / 2);
  gst_buffer_add_video_region_of_interest_meta(buffer, "far", 5000, 5000, 10, 10);
  buffer = gst_harness_push_and_pull(harness, buffer);
  check_outline(buffer, format, 40, 30, 1040, 100000);
  gst_buffer_unref(buffer);

  buffer = make_buffer(&info, 1);
  const GstInferObject object = make_object("a", 0, -10, -10, 24, 24);
  g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, 0, &object, 1, NULL));
  buffer = gst_harness_push_and_pull(harness, buffer);
  check_outline(buffer, format, 0, 0, 14, 14);
  gst_buffer_unref(buffer);
  gst_harness_teardown(harness);
}

static guint
count_changed(GstBuffer *buffer)
{
  GstMapInfo map;
  guint changed = 0;

  g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
  for (gsize i = 0; i < map.size; i++)
    changed += map.data[i] != GROUND;
  gst_buffer_unmap(buffer, &map);
  return changed;
}

/* Labels at every corner, larger than the frame, of odd text, and more than are remembered. */
static void
test_labels(gconstpointer data)
{
  static const gdouble places[][2] = {{0, 0}, {60, 0}, {0, 44}, {60, 44}, {30, 30}, {29.5, 9.3}};
  static const gchar *const texts[] = {"a", "line\nbreak", "bad\xff text", "\xe2\x80\xaeright",
                                       "a very long label that is wider than the whole frame is, "
                                       "and longer than any sensible label in the world"};
  const gchar *format = data;
  GstVideoInfo info = make_info(format, WIDTH, HEIGHT);
  GstHarness *harness = overlay_harness(format, TRUE);
  guint plain = 0;

  for (guint i = 0; i < 700; i++) {
    const gdouble *place = places[i % G_N_ELEMENTS(places)];
    g_autofree gchar *numbered = g_strdup_printf("n%u", i);
    const gchar *text = i < 30 ? texts[i % G_N_ELEMENTS(texts)] : numbered;
    GstInferObject object = make_object(text, (gint)i, place[0], place[1], 12, 12);
    GstBuffer *buffer = make_buffer(&info, i);
    object.has_object_id = i % 3 == 0;
    object.object_id = G_MAXUINT64 - i;
    g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, i, &object, 1, NULL));
    buffer = gst_harness_push_and_pull(harness, buffer);
    plain = count_changed(buffer);
    g_assert_cmpuint(plain, >, 100);
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(harness);
}

static void
test_passthrough(void)
{
  GstVideoInfo info = make_info("NV12", WIDTH, HEIGHT);
  GstHarness *harness = overlay_harness("NV12", TRUE);
  GstBuffer *empty = make_buffer(&info, 0), *shared = make_buffer(&info, 1);
  const GstInferObject object = make_object("a", 0, 8, 10, 20, 16);

  gst_buffer_ref(empty);
  GstBuffer *out = gst_harness_push_and_pull(harness, empty);
  g_assert_true(out == empty);
  gst_buffer_unref(out);
  gst_buffer_unref(empty);

  g_assert_true(gst_infer_meta_attach(shared, &info, NULL, 0, &object, 1, NULL));
  gst_buffer_ref(shared);
  out = gst_harness_push_and_pull(harness, shared);
  g_assert_true(out != shared);
  g_assert_cmpuint(count_changed(shared), ==, 0);
  g_assert_cmpuint(count_changed(out), >, 100);
  gst_buffer_unref(out);
  gst_buffer_unref(shared);
  gst_harness_teardown(harness);
}

static void
test_styles(void)
{
  GstVideoInfo info = make_info("I420", WIDTH, HEIGHT);
  GstElement *overlay = gst_element_factory_make("inferoverlay", NULL);
  GstHarness *harness = harness_for(overlay, "I420", WIDTH, HEIGHT);
  guint before = 0;

  for (guint i = 0; i < 4; i++) {
    const GstInferObject object = make_object("a", (gint)(i * 20), 3, 3, 40, 40);
    GstBuffer *buffer = make_buffer(&info, i);
    g_object_set(overlay, "filled-box", i % 2 == 1, "line-width", i * 80, "font",
                 i < 2 ? "Sans 8" : "no such font", "draw-labels", i != 3, NULL);
    g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, 0, &object, 1, NULL));
    buffer = gst_harness_push_and_pull(harness, buffer);
    before = i == 0 ? count_changed(buffer) : before;
    if (i > 0)
      g_assert_cmpuint(count_changed(buffer), >, before);
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(harness);
}

static void
add_per_format(const gchar *name, GTestDataFunc func)
{
  for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
    g_autofree gchar *path = g_strdup_printf("/overlay/%s/%s", name, formats[i]);
    g_test_add_data_func(path, formats[i], func);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  gst_init(&argc, &argv);
  GST_ELEMENT_REGISTER(inferoverlay, NULL);
  add_per_format("pixels", test_pixels);
  add_per_format("clip", test_clip);
  add_per_format("labels", test_labels);
  g_test_add_func("/overlay/passthrough", test_passthrough);
  g_test_add_func("/overlay/styles", test_styles);
  return g_test_run();
}
