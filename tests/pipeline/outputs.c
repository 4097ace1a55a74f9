/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models that are no detectors: classifiers, and outputs that are left to others. */
#include "gstinferanalytics.h"
#include "gstinfermeta.h"
#include "toyharness.h"

/* The mean colours as scores of three classes, by the decoder that is asked for. */
static void
save(const char *path, InferDecoder decoder)
{
  static const char *const labels[] = {"red", "green", "blue", NULL};
  const InferPreprocess pre = {.filter = INFER_FILTER_NEAREST,
                               .scale = {1 / 255.0f, 1 / 255.0f, 1 / 255.0f}};
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(GError) error = NULL;
  const gint64 batch = infer_network_add_symbol(network, "batch", 1, 1, MAX_BATCH);
  const gint64 axes[] = {2, 3};
  g_autoptr(InferArray) array = infer_array_new_int64s(axes, 2);
  InferTensor *inputs[2] = {infer_network_add_input(network, "image", INFER_TYPE_FLOAT,
                                                    &INFER_DIMS(batch, 3, 4, 4), NULL, &error),
                            infer_network_add_constant(network, NULL, array)};
  InferNode *node =
      infer_network_add_node(network, "ReduceMean", NULL, inputs, 2,
                             infer_attrs_new("keepdims", 'i', (gint64)0, NULL), 1, &error);

  g_assert_no_error(error);
  infer_network_mark_output(network, node->outputs[0], "means", &error);
  infer_model_info_set_input(info, "image");
  infer_model_info_set_preprocess(info, &pre);
  infer_model_info_set_labels(info, labels);
  infer_model_info_set_score_threshold(info, 0.25);
  infer_model_info_set_decoder(info, decoder);
  infer_model_info_set_option(info, "activation", "none");
  infer_network_set_model_info(network, info);
  if (decoder != INFER_DECODER_NONE)
    infer_network_append_decoder(network, &error);
  g_assert_no_error(error);
  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, MAX_BATCH);
  engine = infer_builder_build(builder, network, "means", NULL, &error);
  g_assert_no_error(error);
  g_assert_true(infer_engine_save(engine, path, &error));
}

/* The best class covers the frame; those above the threshold are its parameters, best first. */
static void
test_classification(void)
{
  g_autofree char *path = g_build_filename(folder, "classes.plan", NULL);
  GstElement *infer = make_infer();
  g_autoptr(GstBuffer) out = NULL;
  g_autoptr(GArray) objects = NULL;
  const GstInferObject *object;
  const char *const names[] = {"classification", "classification_2"};
  const char *const labels[] = {"green", "red"};
  GstHarness *harness;

  save(path, INFER_DECODER_CLASSIFICATION);
  g_object_set(infer, "model-file", path, NULL);
  harness = add_stream(infer);
  wait_ready(infer);
  gst_harness_push(harness, frame(100, 0)); /* green 200, blue 50 */
  out = gst_harness_pull(harness);
  objects = gst_infer_meta_collect(out, NULL, NULL);
  g_assert_cmpuint(objects->len, ==, 1);
  object = &g_array_index(objects, GstInferObject, 0);
  g_assert_cmpstr(g_quark_to_string(object->label), ==, "green");
  g_assert_cmpint(object->label_id, ==, 1);
  g_assert_cmpfloat_with_epsilon(object->confidence, 200 / 255.0, 1e-3);
  g_assert_cmpfloat(object->w, ==, WIDTH);
  g_assert_cmpfloat(object->h, ==, HEIGHT);
  g_assert_cmpuint(g_list_length(object->params), ==, 2);
  for (guint i = 0; i < 2; i++) {
    const GstStructure *param = g_list_nth_data(object->params, i);
    g_assert_true(gst_structure_has_name(param, names[i]));
    g_assert_cmpstr(gst_structure_get_string(param, "label"), ==, labels[i]);
    g_assert_cmpstr(gst_structure_get_string(param, "model_name"), ==, "classes");
  }
  gst_harness_teardown(harness);
  gst_object_unref(infer);
  g_unlink(path);
}

/* Nothing is found, and the frames say that they were looked at. */
static void
check_raw(InferDecoder decoder, const char *property)
{
  g_autofree char *path = g_build_filename(folder, "raw.plan", NULL);
  GstElement *infer = make_infer();
  g_autoptr(GstBuffer) out = NULL;
  g_autoptr(GArray) objects = NULL;
  GstInferResult result;
  GstHarness *harness;

  save(path, decoder);
  g_object_set(infer, "model-file", path, "attach-tensors", TRUE, "decoder", property, NULL);
  harness = add_stream(infer);
  wait_ready(infer);
  gst_harness_push(harness, frame(100, 0));
  out = gst_harness_pull(harness);
  objects = gst_infer_meta_collect(out, NULL, &result);
  g_assert_cmpuint(objects->len, ==, 0);
  g_assert_true(result.inferred);
  g_assert_false(result.carried);
  g_assert_cmpstr(result.model_name, ==, "raw");
  if (gst_infer_tensors_count(out) >= 0) {
    float means[3];
    g_assert_cmpint(gst_infer_tensors_count(out), ==, 1);
    g_assert_true(gst_infer_tensors_read(out, "means", means, sizeof means));
    g_assert_cmpfloat_with_epsilon(means[0], 100 / 255.0f, 1e-3f);
    g_assert_cmpfloat_with_epsilon(means[1], 200 / 255.0f, 1e-3f);
    g_assert_cmpfloat_with_epsilon(means[2], 50 / 255.0f, 1e-3f);
  }
  gst_harness_teardown(harness);
  gst_object_unref(infer);
  g_unlink(path);
}

/* As the plan says, or as the property says of a plan that says nothing. */
static void
test_raw(void)
{
  check_raw(INFER_DECODER_RAW, NULL);
  check_raw(INFER_DECODER_NONE, "raw");
}

static void
expect_error(GstElement *element, const char *part)
{
  g_autoptr(GstBus) bus = gst_bus_new();
  g_autoptr(GstMessage) message = NULL;
  g_autoptr(GError) error = NULL;

  gst_element_set_bus(element, bus);
  gst_element_set_state(element, GST_STATE_PAUSED);
  message = gst_bus_timed_pop_filtered(bus, 10 * GST_SECOND, GST_MESSAGE_ERROR);
  g_assert_nonnull(message);
  gst_message_parse_error(message, &error, NULL);
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, part));
  gst_element_set_state(element, GST_STATE_NULL);
  gst_element_set_bus(element, NULL);
}

static void
test_refusals(void)
{
  g_autofree char *path = g_build_filename(folder, "unknown.plan", NULL);
  GstElement *infer = make_infer();

  save(path, INFER_DECODER_NONE);
  g_object_set(infer, "model-file", path, NULL);
  expect_error(infer, "inferexec --decoder");
  g_object_set(infer, "decoder", "tealeaves", NULL);
  expect_error(infer, "tealeaves");
  g_object_set(infer, "decoder", "auto", "plugins", "/nowhere/layers.so", NULL);
  expect_error(infer, "/nowhere/layers.so");
  gst_object_unref(infer);
  g_unlink(path);
}

int
main(int argc, char **argv)
{
  int result;

  gst_init(&argc, &argv);
  g_test_init(&argc, &argv, NULL);
  set_up_plan("infer-outputs");
  g_test_add_func("/infer/classification", test_classification);
  g_test_add_func("/infer/raw", test_raw);
  g_test_add_func("/infer/refusals", test_refusals);
  result = g_test_run();
  tear_down_plan();
  return result;
}
