/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "frames.h"
#include "gstinferpublish.h"

typedef struct {
  gchar *folder, *path;
} Fixture;

static void
setup(Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp("inferpublish-XXXXXX", NULL);
  g_assert_nonnull(fixture->folder);
  fixture->path = g_build_filename(fixture->folder, "objects.jsonl", NULL);
}

static void
teardown(Fixture *fixture, gconstpointer data)
{
  g_remove(fixture->path);
  g_rmdir(fixture->folder);
  g_free(fixture->path);
  g_free(fixture->folder);
}

static GstHarness *
publish_harness(Fixture *fixture)
{
  GstElement *publish = gst_element_factory_make("inferpublish", NULL);

  g_object_set(publish, "file-path", fixture->path, NULL);
  return harness_for(publish, "RGB", WIDTH, HEIGHT);
}

/* Frame @number, with an object in every second one. */
static void
push_frame(GstHarness *harness, guint64 number)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstBuffer *buffer = make_buffer(&info, number);
  const GstInferObject object = make_object("per\"son\\\n\xff", 4, 8, 12, 16, 24);

  if (number % 2 == 1)
    g_assert_true(gst_infer_meta_attach(buffer, &info, "cam", 100 + number, &object, 1, NULL));
  g_assert_cmpint(gst_harness_push(harness, buffer), ==, GST_FLOW_OK);
  gst_buffer_unref(gst_harness_pull(harness));
}

/* The lines of the file as JSON objects. */
static GPtrArray *
read_lines(const gchar *path)
{
  g_autofree gchar *text = NULL;
  GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  g_assert_true(*text == '\0' || g_str_has_suffix(text, "\n"));
  g_auto(GStrv) parts = g_strsplit(text, "\n", -1);
  for (guint i = 0; parts[i] != NULL; i++) {
    if (*parts[i] == '\0')
      continue;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = json_from_string(parts[i], &error);
    g_assert_no_error(error);
    g_ptr_array_add(lines, json_node_dup_object(node));
  }
  return lines;
}

static void
test_publish(Fixture *fixture, gconstpointer data)
{
  GstHarness *harness = publish_harness(fixture);

  g_object_set(harness->element, "source", "file://a", "append", TRUE, NULL);
  for (guint i = 0; i < 4; i++)
    push_frame(harness, i);
  /* Each line is there at once. */
  g_autoptr(GPtrArray) lines = read_lines(fixture->path);
  g_assert_cmpuint(lines->len, ==, 4);
  JsonObject *empty = lines->pdata[0], *line = lines->pdata[3];
  g_assert_cmpuint(json_array_get_length(json_object_get_array_member(empty, "objects")), ==, 0);
  g_assert_cmpint(json_object_get_int_member(empty, "frame"), ==, 0);
  g_assert_cmpint(json_object_get_int_member(line, "timestamp"), ==, 120000000);
  g_assert_cmpint(json_object_get_int_member(line, "frame"), ==, 103);
  g_assert_cmpstr(json_object_get_string_member(line, "stream"), ==, "cam");
  JsonObject *size = json_object_get_object_member(line, "resolution");
  g_assert_cmpint(json_object_get_int_member(size, "width"), ==, WIDTH);
  g_assert_cmpint(json_object_get_int_member(size, "height"), ==, HEIGHT);

  JsonArray *objects = json_object_get_array_member(line, "objects");
  g_assert_cmpuint(json_array_get_length(objects), ==, 1);
  JsonObject *object = json_array_get_object_element(objects, 0);
  g_assert_cmpint(json_object_get_int_member(object, "x"), ==, 8);
  g_assert_cmpint(json_object_get_int_member(object, "y"), ==, 12);
  g_assert_cmpint(json_object_get_int_member(object, "w"), ==, 16);
  g_assert_cmpint(json_object_get_int_member(object, "h"), ==, 24);
  g_assert_cmpint(json_object_get_int_member(object, "region_id"), ==, 1);
  g_assert_false(json_object_has_member(object, "id"));
  g_assert_false(json_object_has_member(object, "parent_id"));
  g_assert_cmpstr(json_object_get_string_member(object, "roi_type"), ==,
                  "per\"son\\\n\xef\xbf\xbd");
  JsonObject *detection = json_object_get_object_member(object, "detection");
  g_assert_cmpint(json_object_get_int_member(detection, "label_id"), ==, 4);
  g_assert_true(json_object_get_double_member(detection, "confidence") == 0.75);
  JsonObject *box = json_object_get_object_member(detection, "bounding_box");
  g_assert_true(json_object_get_double_member(box, "x_min") == 0.125);
  g_assert_true(json_object_get_double_member(box, "y_max") == 0.75);
  gst_harness_teardown(harness);
}

static void
test_publish_options(Fixture *fixture, gconstpointer data)
{
  GstElement *publish = gst_element_factory_make("inferpublish", NULL);

  g_assert_true(g_file_set_contents(fixture->path, "{\"cut\": 1}", -1, NULL));
  g_object_set(publish, "location", fixture->path, "append", TRUE, "add-empty-frames", FALSE,
               "source", "s\x01", "stream", "mine", "tags", "{ \"a\" : [ 1, 2 ] }", NULL);
  GstHarness *harness = harness_for(publish, "RGB", WIDTH, HEIGHT);
  for (guint i = 0; i < 3; i++)
    push_frame(harness, i);
  gst_harness_teardown(harness);

  g_autoptr(GPtrArray) lines = read_lines(fixture->path);
  g_assert_cmpuint(lines->len, ==, 2);
  g_assert_true(json_object_has_member(lines->pdata[0], "cut"));
  JsonObject *line = lines->pdata[1];
  g_assert_cmpstr(json_object_get_string_member(line, "stream"), ==, "mine");
  g_assert_cmpstr(json_object_get_string_member(line, "source"), ==, "s\x01");
  JsonObject *tags = json_object_get_object_member(line, "tags");
  g_assert_cmpuint(json_array_get_length(json_object_get_array_member(tags, "a")), ==, 2);
}

static void
expect_error(GstElement *element, GstStateChangeReturn wanted, GQuark domain, gint code,
             const gchar *word)
{
  g_autoptr(GstBus) bus = gst_bus_new();
  g_autoptr(GError) error = NULL;
  g_autofree gchar *debug = NULL;

  gst_element_set_bus(element, bus);
  g_assert_cmpint(gst_element_set_state(element, GST_STATE_PAUSED), ==, wanted);
  g_autoptr(GstMessage) message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
  g_assert_nonnull(message);
  gst_message_parse_error(message, &error, &debug);
  g_test_message("%s", error->message);
  g_assert_error(error, domain, code);
  g_assert_nonnull(strstr(error->message, word));
  gst_element_set_state(element, GST_STATE_NULL);
  gst_element_set_bus(element, NULL);
}

static void
test_publish_unwritable(void)
{
  static const gchar *const paths[] = {"/no/such/folder/objects.jsonl", "/proc/version/x", "/"};

  for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
    g_autoptr(GstElement) publish =
        gst_object_ref_sink(gst_element_factory_make("inferpublish", NULL));
    g_object_set(publish, "file-path", paths[i], NULL);
    expect_error(publish, GST_STATE_CHANGE_FAILURE, GST_RESOURCE_ERROR,
                 GST_RESOURCE_ERROR_OPEN_WRITE, paths[i]);
  }
  g_autoptr(GstElement) publish =
      gst_object_ref_sink(gst_element_factory_make("inferpublish", NULL));
  g_object_set(publish, "file-path", "/dev/null", "tags", "{nonsense", NULL);
  expect_error(publish, GST_STATE_CHANGE_FAILURE, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
               "{nonsense");
}

static void
test_publish_disk_full(void)
{
  GstElement *publish = gst_element_factory_make("inferpublish", NULL);
  g_autoptr(GstBus) bus = gst_bus_new();
  g_autoptr(GError) error = NULL;
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);

  if (g_access("/dev/full", W_OK) != 0) {
    g_test_skip("there is no /dev/full");
    gst_object_unref(gst_object_ref_sink(publish));
    return;
  }
  g_object_set(publish, "file-path", "/dev/full", NULL);
  GstHarness *harness = harness_for(publish, "RGB", WIDTH, HEIGHT);
  gst_element_set_bus(harness->element, bus);
  g_assert_cmpint(gst_harness_push(harness, make_buffer(&info, 0)), ==, GST_FLOW_ERROR);
  g_autoptr(GstMessage) message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
  g_assert_nonnull(message);
  gst_message_parse_error(message, &error, NULL);
  g_assert_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
  g_assert_nonnull(strstr(error->message, "/dev/full"));
  gst_element_set_bus(harness->element, NULL);
  gst_harness_teardown(harness);
}

static gpointer
push_many(gpointer harness)
{
  for (guint i = 0; i < 300; i++)
    push_frame(harness, i);
  return NULL;
}

/* Two elements, one file under two spellings, no line lost or mixed. */
static void
test_publish_shared(Fixture *fixture, gconstpointer data)
{
  g_autofree gchar *other = g_build_filename(fixture->folder, ".", "objects.jsonl", NULL);
  g_autofree gchar *path = fixture->path;
  GstHarness *first = publish_harness(fixture);
  push_frame(first, 0);
  fixture->path = other;
  GstHarness *second = publish_harness(fixture);
  GThread *threads[2] = {g_thread_new("first", push_many, first),
                         g_thread_new("second", push_many, second)};

  fixture->path = g_steal_pointer(&path);
  g_thread_join(threads[0]);
  gst_harness_teardown(first);
  g_thread_join(threads[1]);
  gst_harness_teardown(second);
  g_autoptr(GPtrArray) lines = read_lines(fixture->path);
  g_assert_cmpuint(lines->len, ==, 601);
}

/* As the last element of a pipeline it is the sink. */
static void
test_publish_at_end(Fixture *fixture, gconstpointer data)
{
  g_autofree gchar *text =
      g_strdup_printf("videotestsrc num-buffers=5 ! video/x-raw,format=I420,width=64,height=48 ! "
                      "queue ! inferpublish file-path=%s",
                      fixture->path);
  g_autoptr(GError) error = NULL;
  g_autoptr(GstElement) pipeline = gst_parse_launch(text, &error);

  g_assert_no_error(error);
  for (guint round = 0; round < 2; round++) {
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
        bus, 10 * GST_SECOND, (GstMessageType)(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
    g_assert_nonnull(message);
    g_assert_cmpstr(GST_MESSAGE_TYPE_NAME(message), ==, "eos");
    gst_element_set_state(pipeline, GST_STATE_NULL);
    g_autoptr(GPtrArray) lines = read_lines(fixture->path);
    g_assert_cmpuint(lines->len, ==, 5);
  }
}

static void
test_publish_classification(Fixture *fixture, gconstpointer data)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstHarness *harness = publish_harness(fixture);
  GstBuffer *buffer = make_buffer(&info, 0);
  GstInferObject objects[2] = {make_object("car", 2, 1.4, 2.5, 30, 20),
                               make_object(NULL, -1, 4, 6, 7, 5)};
  g_autolist(GstStructure) params = NULL;

  params =
      g_list_append(params, gst_structure_new("color", "label", G_TYPE_STRING, "red", "label_id",
                                              G_TYPE_INT, 3, "confidence", G_TYPE_DOUBLE, 0.1,
                                              "model_name", G_TYPE_STRING, "colors", NULL));
  params = g_list_append(params, gst_structure_new("color", "label", G_TYPE_STRING, "blue", NULL));
  params = g_list_append(params, gst_structure_new("x", "label", G_TYPE_STRING, "no", NULL));
  params = g_list_append(params, gst_structure_new_empty("tensor"));
  objects[0].id = 10;
  objects[0].params = params;
  objects[0].has_object_id = TRUE;
  objects[0].object_id = 1234567890123;
  objects[1].parent_id = 10;
  objects[1].confidence = 0;
  g_assert_true(
      gst_infer_meta_attach(buffer, &info, NULL, GST_BUFFER_OFFSET_NONE, objects, 2, NULL));
  GST_BUFFER_PTS(buffer) = GST_CLOCK_TIME_NONE;
  gst_harness_push(harness, buffer);
  gst_harness_teardown(harness);

  g_autoptr(GPtrArray) lines = read_lines(fixture->path);
  g_assert_cmpuint(lines->len, ==, 1);
  g_assert_false(json_object_has_member(lines->pdata[0], "timestamp"));
  JsonArray *found = json_object_get_array_member(lines->pdata[0], "objects");
  JsonObject *car = json_array_get_object_element(found, 0);
  JsonObject *part = json_array_get_object_element(found, 1);
  JsonObject *color = json_object_get_object_member(car, "color");
  g_assert_cmpint(json_object_get_int_member(car, "id"), ==, 1234567890123);
  g_assert_cmpint(json_object_get_int_member(car, "x"), ==, 1);
  g_assert_cmpint(json_object_get_int_member(car, "w"), ==, 30);
  g_assert_cmpstr(json_object_get_string_member(color, "label"), ==, "red");
  g_assert_cmpint(json_object_get_int_member(color, "label_id"), ==, 3);
  g_assert_true(json_object_get_double_member(color, "confidence") == 0.1);
  g_assert_cmpstr(
      json_object_get_string_member(json_object_get_object_member(color, "model"), "name"), ==,
      "colors");
  g_assert_false(json_object_has_member(car, "tensor"));
  g_assert_cmpint(json_object_get_int_member(part, "parent_id"), ==, 10);
  g_assert_cmpstr(json_object_get_string_member(part, "roi_type"), ==, "object");
  g_assert_false(
      json_object_has_member(json_object_get_object_member(part, "detection"), "confidence"));
}

/* A frame whose objects are those of an earlier one says so; others say nothing. */
static void
test_publish_carried(Fixture *fixture, gconstpointer data)
{
  GstVideoInfo info = make_info("RGB", WIDTH, HEIGHT);
  GstHarness *harness = publish_harness(fixture);
  const GstInferObject object = make_object("car", 2, 1, 2, 30, 20);

  for (guint i = 0; i < 2; i++) {
    const GstInferAttachment what = {.stream = "cam", .frame = i, .carried = i == 1};
    GstBuffer *buffer = make_buffer(&info, i);
    g_assert_true(gst_infer_meta_attach_full(buffer, &info, &what, &object, 1));
    gst_harness_push(harness, buffer);
  }
  gst_harness_teardown(harness);

  g_autoptr(GPtrArray) lines = read_lines(fixture->path);
  g_assert_cmpuint(lines->len, ==, 2);
  g_assert_false(json_object_has_member(lines->pdata[0], "carried"));
  g_assert_true(json_object_get_boolean_member(lines->pdata[1], "carried"));
}

#define ADD(name, func) g_test_add("/publish/" name, Fixture, NULL, setup, func, teardown)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  gst_init(&argc, &argv);
  GST_ELEMENT_REGISTER(inferpublish, NULL);
  ADD("lines", test_publish);
  ADD("options", test_publish_options);
  ADD("classification", test_publish_classification);
  ADD("carried", test_publish_carried);
  ADD("shared", test_publish_shared);
  ADD("at-end", test_publish_at_end);
  g_test_add_func("/publish/unwritable", test_publish_unwritable);
  g_test_add_func("/publish/disk-full", test_publish_disk_full);
  return g_test_run();
}
