/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "frames.h"

static void
test_meta_ids(void)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstBuffer *buffer = make_buffer(&info, 0);
  GstInferObject first[2] = {make_object("car", 2, 1, 2, 30, 20),
                             make_object("plate", 3, 4.5, 6.25, 7, 5)};
  GstInferResult result;

  gst_buffer_add_video_region_of_interest_meta(buffer, "face", 1, 2, 3, 4);
  first[0].id = 0;
  first[1].id = 5;
  first[1].parent_id = 0;
  g_assert_true(gst_infer_meta_attach(buffer, &info, "cam", 9, first, 2, "model"));
  g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, GST_BUFFER_OFFSET_NONE, first, 2, NULL));

  g_autoptr(GArray) objects = gst_infer_meta_collect(buffer, &info, &result);
  g_assert_cmpuint(objects->len, ==, 5);
  g_assert_cmpstr(g_quark_to_string(at(objects, 0)->label), ==, "face");
  g_assert_cmpint(at(objects, 0)->parent_id, ==, -1);
  g_assert_cmpint(at(objects, 0)->label_id, ==, -1);
  for (guint i = 1; i < 5; i += 2) {
    g_assert_cmpint(at(objects, i + 1)->id - at(objects, i)->id, ==, 5);
    g_assert_cmpint(at(objects, i + 1)->parent_id, ==, at(objects, i)->id);
    g_assert_true(at(objects, i + 1)->x == 4.5 && at(objects, i + 1)->y == 6.25);
  }
  for (guint i = 0; i < 5; i++)
    for (guint k = i + 1; k < 5; k++)
      g_assert_cmpint(at(objects, i)->id, !=, at(objects, k)->id);
  g_assert_true(result.inferred);
  g_assert_cmpstr(result.stream, ==, "cam");
  g_assert_cmpstr(result.model_name, ==, "model");
  g_assert_cmpuint(result.frame, ==, 9);
  gst_buffer_unref(buffer);
}

/* What does not lie in the frame, or is no number, leaves no region. */
static void
test_meta_odd_rectangles(void)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstBuffer *buffer = make_buffer(&info, 0);
  const GstInferObject odd[] = {
      make_object("a", 0, NAN, 0, 5, 5),        make_object("a", 0, 0, 0, INFINITY, 5),
      make_object("a", 0, 100, 0, 5, 5),        make_object("a", 0, -20, 0, 5, 5),
      make_object("a", 0, 0, 0, -5, 5),         make_object("a", 0, 0, 0, 0, 5),
      make_object("a", 0, 63.7, 47.8, 20, 20),  make_object("a", 0, 10.6, 10.6, 0.2, 0.2),
      make_object("a", 0, -1e9, -1e9, 2e9, 2e9)};

  g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, 0, odd, G_N_ELEMENTS(odd), NULL));
  g_autoptr(GArray) objects = gst_infer_meta_collect(buffer, &info, NULL);
  g_assert_cmpuint(objects->len, ==, 3);
  gpointer state = NULL;
  GstMeta *meta;
  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state,
                                                  GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)meta;
    g_assert_cmpuint(roi->w, >=, 1);
    g_assert_cmpuint(roi->h, >=, 1);
    g_assert_cmpuint(roi->x + roi->w, <=, WIDTH);
    g_assert_cmpuint(roi->y + roi->h, <=, HEIGHT);
  }
  gst_buffer_unref(buffer);
}

/* Copies share what is known until one of them is changed. */
static void
test_meta_copy(void)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstBuffer *buffer = make_buffer(&info, 0);
  GstInferObject object = make_object("a", 0, 8, 10, 20, 16);

  g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, 0, &object, 1, NULL));
  GstBuffer *copy = gst_buffer_copy(buffer);
  g_assert_true(gst_infer_meta_attach(copy, &info, NULL, 0, &object, 1, NULL));
  g_autoptr(GArray) found = gst_infer_meta_collect(copy, &info, NULL);
  GstInferObject changed = *at(found, 0);
  changed.has_object_id = TRUE;
  changed.object_id = 1ull << 40;
  changed.x = 12;
  g_autolist(GstStructure) params =
      g_list_append(NULL, gst_structure_new("color", "label", G_TYPE_STRING, "red", NULL));
  changed.params = params;
  g_assert_true(gst_infer_meta_update(copy, &info, &changed, 1));

  g_autoptr(GArray) old = gst_infer_meta_collect(buffer, &info, NULL);
  g_autoptr(GArray) objects = gst_infer_meta_collect(copy, &info, NULL);
  g_assert_cmpuint(old->len, ==, 1);
  g_assert_false(at(old, 0)->has_object_id);
  g_assert_cmpuint(objects->len, ==, 2);
  g_assert_true(at(objects, 0)->has_object_id && at(objects, 0)->object_id == 1ull << 40);
  g_assert_true(at(objects, 0)->x == 12 && at(objects, 1)->x == 8);
  g_assert_cmpuint(g_list_length(at(objects, 0)->params), ==, 1);
  gst_buffer_ref(copy);
  g_assert_false(gst_infer_meta_attach(copy, &info, NULL, 0, &object, 1, NULL));
  g_assert_false(gst_infer_meta_update(copy, &info, &object, 1));
  gst_buffer_unref(copy);
  gst_buffer_unref(copy);
  gst_buffer_unref(buffer);
}

static void
test_meta_lost_regions(void)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT), other = make_info("RGB", 100, 100);
  const GstInferObject pair[2] = {make_object("a", 0, 1, 1, 9, 9),
                                  make_object("b", 1, 20, 20, 9, 9)};
  GstBuffer *buffer = make_buffer(&info, 0);
  GstMeta *roi;

  g_assert_true(gst_infer_meta_attach(buffer, &info, NULL, 0, pair, 2, NULL));
  roi = gst_buffer_get_meta(buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  gst_buffer_remove_meta(buffer, roi);
  g_autoptr(GArray) one = gst_infer_meta_collect(buffer, &info, NULL);
  g_assert_cmpuint(one->len, ==, 1);
  roi = gst_buffer_get_meta(buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  gst_buffer_remove_meta(buffer, roi);
  g_autoptr(GArray) all = gst_infer_meta_collect(buffer, &info, NULL);
  g_autoptr(GArray) none = gst_infer_meta_collect(buffer, &other, NULL);
  g_assert_cmpuint(all->len, ==, 2);
  g_assert_cmpuint(none->len, ==, 0);
  gst_buffer_unref(buffer);
}

static void
test_meta_survives(void)
{
  GstHarness *harness =
      gst_harness_new_parse("videoconvert ! queue ! videoscale ! queue ! identity");
  GstVideoInfo info = make_info("I420", WIDTH, HEIGHT), scaled = make_info("RGB", 128, 24);
  GstBuffer *buffer = make_buffer(&info, 0);
  GstInferObject object = make_object("person", 4, 8, 10, 20, 16);
  GstInferResult result;

  gst_harness_set_caps(harness, make_caps("I420", WIDTH, HEIGHT), make_caps("RGB", 128, 24));
  object.has_object_id = TRUE;
  object.object_id = 77;
  g_autolist(GstStructure) params =
      g_list_append(NULL, gst_structure_new("color", "label", G_TYPE_STRING, "red", NULL));
  object.params = params;
  g_assert_true(gst_infer_meta_attach(buffer, &info, "cam", 3, &object, 1, "model"));
  buffer = gst_harness_push_and_pull(harness, buffer);
  g_assert_nonnull(buffer);

  g_autoptr(GArray) objects = gst_infer_meta_collect(buffer, &scaled, &result);
  g_assert_cmpuint(objects->len, ==, 1);
  const GstInferObject *found = at(objects, 0);
  g_assert_true(found->x == 16 && found->y == 5 && found->w == 40 && found->h == 8);
  g_assert_cmpint(found->label_id, ==, 4);
  g_assert_true(found->confidence == 0.75 && found->has_object_id && found->object_id == 77);
  g_assert_cmpstr(g_quark_to_string(found->label), ==, "person");
  g_assert_cmpuint(g_list_length(found->params), ==, 1);
  g_assert_cmpstr(result.stream, ==, "cam");
  g_assert_cmpuint(result.frame, ==, 3);
  gst_buffer_unref(buffer);
  gst_harness_teardown(harness);
}

/* As DL Streamer and upstream's elements leave them. */
static void
test_meta_of_others(void)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstBuffer *buffer = make_buffer(&info, 0);
  GstInferResult result;
  GstVideoRegionOfInterestMeta *roi =
      gst_buffer_add_video_region_of_interest_meta(buffer, "car", 1, 2, 30, 20);

  roi->id = 41;
  gst_video_region_of_interest_meta_add_param(
      roi, gst_structure_new("detection", "label_id", G_TYPE_INT, 2, "confidence", G_TYPE_DOUBLE,
                             0.5, "x_min", G_TYPE_DOUBLE, 0.1, NULL));
  gst_video_region_of_interest_meta_add_param(
      roi, gst_structure_new("object_id", "id", G_TYPE_INT, 12, NULL));
  gst_video_region_of_interest_meta_add_param(
      roi, gst_structure_new("color", "label", G_TYPE_STRING, "red", NULL));
  g_autoptr(GArray) objects = gst_infer_meta_collect(buffer, &info, &result);
  g_assert_cmpuint(objects->len, ==, 1);
  g_assert_cmpint(at(objects, 0)->id, ==, 41);
  g_assert_cmpint(at(objects, 0)->label_id, ==, 2);
  g_assert_true(at(objects, 0)->confidence == 0.5 && at(objects, 0)->object_id == 12);
  g_assert_cmpstr(g_quark_to_string(at(objects, 0)->label), ==, "car");
  g_assert_cmpuint(g_list_length(at(objects, 0)->params), ==, 1);
  g_assert_false(result.inferred);
  gst_buffer_unref(buffer);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  gst_init(&argc, &argv);
  g_test_add_func("/meta/ids", test_meta_ids);
  g_test_add_func("/meta/odd-rectangles", test_meta_odd_rectangles);
  g_test_add_func("/meta/copy", test_meta_copy);
  g_test_add_func("/meta/lost-regions", test_meta_lost_regions);
  g_test_add_func("/meta/survives", test_meta_survives);
  g_test_add_func("/meta/of-others", test_meta_of_others);
  return g_test_run();
}
