/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Streams in common batches give what each gives alone: the results of every frame, bit for bit.
 *
 *     invariance [FOLDER]
 *
 * A network of convolutions with random weights reads noise that differs by stream and frame; where
 * FOLDER holds the demo's detector and video, that detector reads parts of the video, each stream
 * another.
 */
#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>
#include <infer/parsers.h>
#include <math.h>

#define MAX_STREAMS 32
#define FRAMES 6
#define SIDE 48
#define INPUT 32
#define BOXES 12
#define PATIENCE (240 * GST_SECOND)

static const guint counts[] = {1, 2, 3, 5, 8, 16, 32};
static char *folder, *plan, *data;

typedef struct {
  const char *model;
  const char *properties;
  guint frames;
  GstSample *samples[MAX_STREAMS][FRAMES];
  GArray *alone[MAX_STREAMS][FRAMES]; /* of gdouble */
} Case;

/* --- a network --- */

static InferTensor *
node(InferNetwork *network, const char *op, InferTensor *a, InferTensor *b, GVariant *attrs)
{
  g_autoptr(GError) error = NULL;
  InferTensor *inputs[] = {a, b};
  InferNode *made = infer_network_add_node(network, op, NULL, inputs, b ? 2 : 1, attrs, 1, &error);

  g_assert_no_error(error);
  return made->outputs[0];
}

static InferTensor *
conv(InferNetwork *network, InferTensor *x, GRand *random, gint64 from, gint64 to, gint64 stride)
{
  const InferDims dims = INFER_DIMS(to, from, 3, 3);
  g_autoptr(InferArray) weights = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
  const gint64 strides[] = {stride, stride}, pads[] = {1, 1, 1, 1};

  for (gint64 i = 0; i < to * from * 9; i++)
    ((float *)weights->data)[i] = (float)(g_rand_double_range(random, -1, 1) / sqrt(3.0 * from));
  return node(
      network, "Conv", x, infer_network_add_constant(network, NULL, weights),
      infer_attrs_new("strides", 'I', strides, (gsize)2, "pads", 'I', pads, (gsize)4, NULL));
}

static InferTensor *
shaped(InferNetwork *network, InferTensor *x, gint64 *dims, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(dims, n);

  return node(network, "Reshape", x, infer_network_add_constant(network, NULL, array), NULL);
}

static InferTensor *
head(InferNetwork *network, InferTensor *x, GRand *random, gint64 width)
{
  InferTensor *y = conv(network, x, random, 24, BOXES * width, 2);

  y = node(network, "GlobalAveragePool", y, NULL, NULL);
  y = node(network, "Sigmoid", y, NULL, NULL);
  return width > 1 ? shaped(network, y, (gint64[]){-1, BOXES, width}, 3)
                   : shaped(network, y, (gint64[]){-1, BOXES}, 2);
}

static InferTensor *
with_number(InferNetwork *network, const char *op, InferTensor *x, float value)
{
  g_autoptr(InferArray) array = infer_array_new_float(value);

  return node(network, op, x, infer_network_add_constant(network, NULL, array), NULL);
}

static void
output(InferNetwork *network, InferTensor *tensor, const char *name)
{
  g_autoptr(GError) error = NULL;

  infer_network_mark_output(network, tensor, name, &error);
  g_assert_no_error(error);
}

static void
describe(InferNetwork *network)
{
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  const InferPreprocess pre = {.color = INFER_COLOR_RGB,
                               .resize = INFER_RESIZE_STRETCH,
                               .filter = INFER_FILTER_BILINEAR,
                               .scale = {1 / 64.0f, 1 / 64.0f, 1 / 64.0f},
                               .bias = {-2, -2, -2}};
  const InferDetectionOutputs outputs = {
      .boxes = "boxes", .scores = "scores", .classes = "classes", .count = "count"};

  infer_model_info_set_input(info, "image");
  infer_model_info_set_preprocess(info, &pre);
  infer_model_info_set_detections(info, &outputs);
  infer_model_info_set_score_threshold(info, 0.01);
  infer_network_set_model_info(network, info);
}

static void
save(InferNetwork *network, const char *source, const char *path)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_max_batch(builder, MAX_STREAMS);
  engine = infer_builder_build(builder, network, source, NULL, &error);
  g_assert_no_error(error);
  infer_engine_save(engine, path, &error);
  g_assert_no_error(error);
}

static void
save_plan(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  g_autoptr(InferNetwork) network = infer_network_new();
  const gint64 batch = infer_network_add_symbol(network, "batch", 1, 1, MAX_STREAMS);
  InferTensor *x = infer_network_add_input(network, "image", INFER_TYPE_FLOAT,
                                           &INFER_DIMS(batch, 3, INPUT, INPUT), NULL, &error);

  g_assert_no_error(error);
  x = node(network, "Relu", conv(network, x, random, 3, 16, 2), NULL, NULL);
  x = node(network, "Relu", conv(network, x, random, 16, 24, 1), NULL, NULL);
  output(network, head(network, x, random, 4), "boxes");
  InferTensor *scores = head(network, x, random, 1);
  output(network, scores, "scores");
  InferTensor *zeros = with_number(network, "Mul", scores, 0);
  g_autoptr(InferArray) axis = infer_array_new_int64s((gint64[]){1}, 1);
  output(network, with_number(network, "Add", zeros, 1), "classes");
  output(network,
         node(network, "ReduceMean", with_number(network, "Add", zeros, BOXES),
              infer_network_add_constant(network, NULL, axis),
              infer_attrs_new("keepdims", 'i', (gint64)0, NULL)),
         "count");
  describe(network);
  save(network, "convolutions", plan);
}

static void
save_detector(const char *model, const char *path)
{
  const InferParseOptions options = {.max_batch = MAX_STREAMS};
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_parse_file(model, &options, &error);

  g_assert_no_error(error);
  infer_network_append_decoder(network, &error);
  g_assert_no_error(error);
  save(network, model, path);
}

/* --- frames --- */

static void
make_noise(Case *c)
{
  g_autoptr(GstCaps) caps =
      gst_caps_from_string("video/x-raw,format=RGBx,width=48,height=48,framerate=25/1");

  for (guint s = 0; s < MAX_STREAMS; s++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(100 + s);
    for (guint f = 0; f < c->frames; f++) {
      guint8 *bytes = g_malloc(SIDE * SIDE * 4);
      for (guint i = 0; i < SIDE * SIDE * 4; i++)
        bytes[i] = (guint8)g_rand_int_range(random, 0, (gint)(64 + 5 * s));
      g_autoptr(GstBuffer) buffer = gst_buffer_new_wrapped(bytes, SIDE * SIDE * 4);
      GST_BUFFER_PTS(buffer) = f * GST_SECOND / 25;
      c->samples[s][f] = gst_sample_new(buffer, caps, NULL, NULL);
    }
  }
}

static GstElement *
launch(const char *line)
{
  g_autoptr(GError) error = NULL;
  GstElement *pipeline = gst_parse_launch(line, &error);

  g_assert_no_error(error);
  return pipeline;
}

/* One video in parts: each stream has frames of its own. */
static void
decode(Case *c, const char *video)
{
  g_autofree char *line = g_strdup_printf("filesrc location=\"%s\" ! decodebin ! videoconvert ! "
                                          "video/x-raw,format=I420 ! appsink name=o sync=false",
                                          video);
  GstElement *pipeline = launch(line);
  g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), "o");

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  for (guint s = 0; s < MAX_STREAMS; s++) {
    for (guint f = 0; f < c->frames; f++) {
      for (guint skip = 0; skip < 9; skip++) {
        g_clear_pointer(&c->samples[s][f], gst_sample_unref);
        c->samples[s][f] = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), PATIENCE);
        g_assert_nonnull(c->samples[s][f]);
      }
    }
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
}

/* --- pipelines --- */

static GstElement *
make_pipeline(const Case *c, guint first, guint n, guint batch)
{
  g_autoptr(GString) line = g_string_new(NULL);

  /* A batch waits until it is full, or the streams are over. */
  g_string_append_printf(line,
                         "infer name=i model-file=\"%s\" device=cpu batch-size=%u "
                         "batch-timeout=100000000000 %s ",
                         c->model, batch, c->properties);
  for (guint i = 0; i < n; i++)
    g_string_append_printf(line,
                           "appsrc name=a%u format=time ! i.sink_%u i.src_%u ! "
                           "appsink name=o%u sync=false async=false ",
                           i, i, i, i);
  GstElement *pipeline = launch(line->str);
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("a%u", i);
    g_autoptr(GstElement) src = gst_bin_get_by_name(GST_BIN(pipeline), name);
    g_object_set(src, "caps", gst_sample_get_caps(c->samples[first + i][0]), NULL);
    for (guint f = 0; f < c->frames; f++) {
      GstBuffer *buffer = gst_buffer_copy(gst_sample_get_buffer(c->samples[first + i][f]));
      GST_BUFFER_PTS(buffer) = f * GST_SECOND / 25;
      gst_app_src_push_buffer(GST_APP_SRC(src), buffer);
    }
    gst_app_src_end_of_stream(GST_APP_SRC(src));
  }
  return pipeline;
}

/* Every number of every object, as it is. */
static GArray *
results_of(GstBuffer *buffer)
{
  static const char *const fields[] = {"confidence", "x_min", "x_max", "y_min", "y_max"};
  GArray *results = g_array_new(FALSE, FALSE, sizeof(gdouble));
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state,
                                                  GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    const GstVideoRegionOfInterestMeta *roi = (gpointer)meta;
    const GstStructure *detection =
        gst_video_region_of_interest_meta_get_param((gpointer)roi, "detection");
    const gdouble place[] = {roi->x, roi->y, roi->w, roi->h};
    gint label = -1;

    g_array_append_vals(results, place, 4);
    g_assert_true(gst_structure_get_int(detection, "label_id", &label));
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
      gdouble value = 0;
      g_assert_true(gst_structure_get_double(detection, fields[i], &value));
      g_array_append_val(results, value);
    }
    const gdouble id = label;
    g_array_append_val(results, id);
  }
  return results;
}

static guint
largest_batch(GstElement *pipeline)
{
  g_autoptr(GstElement) infer = gst_bin_get_by_name(GST_BIN(pipeline), "i");
  GstStructure *stats = NULL;
  guint largest = 0;

  g_object_get(infer, "stats", &stats, NULL);
  g_assert_true(gst_structure_get_uint(stats, "largest-batch", &largest));
  gst_structure_free(stats);
  return largest;
}

/* Runs @n streams from @first on; what comes out goes to @results. Returns the largest batch. */
static guint
run(const Case *c, guint first, guint n, guint batch, GArray *results[MAX_STREAMS][FRAMES])
{
  GstElement *pipeline = make_pipeline(c, first, n, batch);
  guint largest;

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("o%u", i);
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), name);
    for (guint f = 0; f < c->frames; f++) {
      g_autoptr(GstSample) sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), PATIENCE);
      g_assert_nonnull(sample);
      g_assert_cmpuint(GST_BUFFER_PTS(gst_sample_get_buffer(sample)), ==, f * GST_SECOND / 25);
      results[first + i][f] = results_of(gst_sample_get_buffer(sample));
    }
  }
  largest = largest_batch(pipeline);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  return largest;
}

static gboolean
same(const GArray *a, const GArray *b)
{
  return a->len == b->len && memcmp(a->data, b->data, a->len * sizeof(gdouble)) == 0;
}

/* Each stream alone, in batches of one; content that is alike would hide a mix-up. */
static void
run_alone(Case *c)
{
  guint alike = 0;

  for (guint s = 0; s < MAX_STREAMS; s++) {
    g_assert_cmpuint(run(c, s, 1, 1, c->alone), ==, 1);
    for (guint f = 0; f < c->frames; f++)
      alike += s > 0 && same(c->alone[s][f], c->alone[s - 1][f]);
  }
  g_assert_cmpuint(alike, ==, 0);
}

static void
check(Case *c, guint n)
{
  GArray *results[MAX_STREAMS][FRAMES] = {{NULL}};
  const guint largest = run(c, 0, n, n, results);
  guint objects = 0, different = 0;

  for (guint s = 0; s < n; s++) {
    for (guint f = 0; f < c->frames; f++) {
      objects += results[s][f]->len / 10;
      different += !same(results[s][f], c->alone[s][f]);
      g_array_unref(results[s][f]);
    }
  }
  g_test_message("%2u streams: %3u frames in batches of up to %2u, %4u objects; %u frames differ "
                 "from those of the stream alone",
                 n, n * c->frames, largest, objects, different);
  g_assert_cmpuint(largest, ==, n);
  g_assert_cmpuint(objects, >, 0);
  g_assert_cmpuint(different, ==, 0);
}

static void
check_all(Case *c)
{
  run_alone(c);
  for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
    check(c, counts[i]);
  for (guint s = 0; s < MAX_STREAMS; s++) {
    for (guint f = 0; f < c->frames; f++) {
      gst_sample_unref(c->samples[s][f]);
      g_array_unref(c->alone[s][f]);
    }
  }
}

static void
test_convolutions(void)
{
  Case c = {.model = plan, .properties = "", .frames = FRAMES};

  make_noise(&c);
  check_all(&c);
}

static void
test_detector(void)
{
  g_autofree char *model = g_build_filename(data, "frozen_inference_graph.pb", NULL);
  g_autofree char *video = g_build_filename(data, "vtest.avi", NULL);
  g_autofree char *built = g_build_filename(folder, "detector.plan", NULL);
  Case c = {.model = built, .properties = "score-threshold=0.05", .frames = 2};

  if (!g_file_test(model, G_FILE_TEST_EXISTS) || !g_file_test(video, G_FILE_TEST_EXISTS)) {
    g_test_skip("the demo's model and video were not fetched");
    return;
  }
  save_detector(model, built);
  decode(&c, video);
  check_all(&c);
  g_unlink(built);
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  data = argc > 1 ? argv[1] : ".";
  folder = g_dir_make_tmp("invariance-XXXXXX", NULL);
  plan = g_build_filename(folder, "convolutions.plan", NULL);
  save_plan();
  g_test_add_func("/invariance/convolutions", test_convolutions);
  g_test_add_func("/invariance/detector", test_detector);
  result = g_test_run();
  g_unlink(plan);
  g_rmdir(folder);
  g_free(plan);
  g_free(folder);
  gst_deinit();
  return result;
}
