/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graphdef-writer.h"

#include <math.h>

/*
 * A graph as TensorFlow's Object Detection API exports it, with nothing in it but its bones: two
 * anchors, a background and two classes, encodings and logits taken from the first pixels of the
 * image by fixed parts.
 */

enum { N_ANCHORS = 2, N_CLASSES = 2 };

static void
add_unpack(GByteArray *graph, const char *name, const char *input, gint64 axis, gint64 num)
{
  GByteArray *node = gw_node(name, "Unpack", input, NULL);
  gw_int(node, "axis", axis);
  gw_int(node, "num", num);
  gw_add(graph, node);
}

/* A tensor array of a loop: filled from @given where there is one, and read as "name/read". */
static void
add_array(GByteArray *graph, const char *name, const char *given)
{
  g_autofree char *flow = g_strconcat(name, ":1", NULL);
  g_autofree char *scatter = g_strconcat(name, "/scatter", NULL);
  g_autofree char *enter = g_strconcat(name, "/enter", NULL);
  g_autofree char *enter1 = g_strconcat(name, "/enter1", NULL);
  g_autofree char *read = g_strconcat(name, "/read", NULL);

  gw_op(graph, name, "TensorArrayV3", "size", NULL);
  gw_op(graph, enter, "Enter", name, NULL);
  if (given) {
    gw_op(graph, scatter, "TensorArrayScatterV3", name, "range", given, flow, NULL);
    gw_op(graph, enter1, "Enter", scatter, NULL);
    gw_op(graph, read, "TensorArrayReadV3", enter, "loop", enter1, NULL);
  }
}

/* What the loop stores in an array, gathered outside as "name/gather". */
static void
add_result(GByteArray *graph, const char *name, const char *value, const gint64 *dims, gsize n)
{
  g_autofree char *enter = g_strconcat(name, "/enter", NULL);
  g_autofree char *write = g_strconcat(name, "/write", NULL);
  g_autofree char *next = g_strconcat(name, "/next", NULL);
  g_autofree char *gather = g_strconcat(name, "/gather", NULL);

  add_array(graph, name, NULL);
  gw_op(graph, write, "TensorArrayWriteV3", enter, "loop", value, "flow", NULL);
  gw_op(graph, next, "NextIteration", write, NULL);
  GByteArray *node = gw_node(gather, "TensorArrayGatherV3", name, "range", "exit", NULL);
  gw_shape(node, "element_shape", dims, n);
  gw_add(graph, node);
}

static void
add_loop(GByteArray *graph)
{
  GW_INT32_SCALAR(graph, "start", 0);
  GW_INT32_SCALAR(graph, "size", 1);
  GW_INT32_SCALAR(graph, "delta", 1);
  gw_op(graph, "range", "Range", "start", "size", "delta", NULL);
  gw_op(graph, "loop/enter", "Enter", "start", NULL);
  gw_op(graph, "loop/merge", "Merge", "loop/enter", "loop/next", NULL);
  gw_op(graph, "loop", "Switch", "loop/merge", "loop/cond", NULL);
  gw_op(graph, "loop/next", "NextIteration", "loop", NULL);
  gw_op(graph, "loop/cond", "LoopCond", "loop/merge", NULL);
  gw_op(graph, "flow", "Identity", "loop", NULL);
  gw_op(graph, "exit", "Exit", "loop", NULL);
}

/* @size_of_frame: the size is computed from the frame. */
static void
add_front(GByteArray *graph, gboolean size_of_frame)
{
  gw_placeholder(graph, "image_tensor", GW_UINT8, (gint64[]){-1, -1, -1, 3}, 4);
  GByteArray *node = gw_node("float", "Cast", "image_tensor", NULL);
  gw_type(node, "SrcT", GW_UINT8);
  gw_type(node, "DstT", GW_FLOAT);
  gw_add(graph, node);
  add_array(graph, "frames", "float");
  GW_INT32S(graph, "resize/size", 4, 6);
  GW_INT32_SCALAR(graph, "resize/dim", 0);
  gw_op(graph, "resize/shape", "Shape", "frames/read", NULL);
  gw_op(graph, "resize/frame", "ExpandDims", "frames/read", "resize/dim", NULL);
  node = gw_node("resize", "ResizeBilinear", "resize/frame",
                 size_of_frame ? "resize/shape" : "resize/size", NULL);
  gw_bool(node, "align_corners", 1);
  gw_add(graph, node);
  node = gw_node("resize/squeeze", "Squeeze", "resize", NULL);
  gw_ints(node, "squeeze_dims", (gint64[]){0}, 1);
  gw_add(graph, node);
  add_result(graph, "resized", "resize/squeeze", (gint64[]){4, 6, 3}, 3);
  GW_INT32S(graph, "true/shape", 4, 6, 3);
  add_result(graph, "true", "true/shape", (gint64[]){3}, 1);
  gw_floats(graph, "mean", (float[]){120, 110, 100}, (gint64[]){3}, 1);
  gw_float(graph, "factor", 0.5f);
  gw_op(graph, "less", "Sub", "resized/gather", "mean", NULL);
  gw_op(graph, "image", "Mul", "factor", "less", NULL);
}

/* Parts of the flat image: eight numbers are encodings, six are logits. */
static void
add_predictor(GByteArray *graph)
{
  GW_INT32S(graph, "flat/shape", -1, 72);
  gw_op(graph, "flat", "Reshape", "image", "flat/shape", NULL);
  GW_INT32S(graph, "codes/begin", 0, 0);
  GW_INT32S(graph, "codes/size", -1, 8);
  gw_op(graph, "codes/part", "Slice", "flat", "codes/begin", "codes/size", NULL);
  GW_INT32S(graph, "codes/shape", -1, N_ANCHORS, 4);
  gw_op(graph, "codes", "Reshape", "codes/part", "codes/shape", NULL);
  GW_INT32S(graph, "logits/begin", 0, 8);
  GW_INT32S(graph, "logits/size", -1, 6);
  gw_op(graph, "logits/part", "Slice", "flat", "logits/begin", "logits/size", NULL);
  GW_INT32S(graph, "logits/shape", -1, N_ANCHORS, N_CLASSES + 1);
  gw_op(graph, "logits", "Reshape", "logits/part", "logits/shape", NULL);
  gw_op(graph, "convert", "Sigmoid", "logits", NULL);
  GW_INT32S(graph, "scores/begin", 0, 0, 1);
  GW_INT32S(graph, "scores/size", -1, -1, -1);
  gw_op(graph, "scores", "Slice", "convert", "scores/begin", "scores/size", NULL);
}

static const float anchor_corners[8] = {0.1f, 0.2f, 0.5f, 0.4f, 0.5f, 0.5f, 0.9f, 1.0f};

/* @half: anything else than 0.5 makes it another coder than the one that is known. */
static void
add_decode(GByteArray *graph, float half)
{
  gw_floats(graph, "anchors", anchor_corners, (gint64[]){N_ANCHORS, 4}, 2);
  GW_INT32S(graph, "turn", 1, 0);
  GW_INT32S(graph, "rows", -1, 4);
  gw_op(graph, "anchors/turned", "Transpose", "anchors", "turn", NULL);
  gw_op(graph, "codes/rows", "Reshape", "codes", "rows", NULL);
  gw_op(graph, "codes/turned", "Transpose", "codes/rows", "turn", NULL);
  add_unpack(graph, "a", "anchors/turned", 0, 4);
  add_unpack(graph, "t", "codes/turned", 0, 4);
  gw_float(graph, "half", half);
  gw_float(graph, "two", 2);
  gw_float(graph, "centre/scale", 8);
  gw_float(graph, "size/scale", 0.25f);
  for (guint i = 0; i < 2; i++) {
#define NAME(text) (i ? "x" text : "y" text)
    gw_op(graph, NAME("size"), "Sub", i ? "a:3" : "a:2", i ? "a:1" : "a", NULL);
    gw_op(graph, NAME("halfsize"), "Mul", "half", NAME("size"), NULL);
    gw_op(graph, NAME("centre"), "Add", i ? "a:1" : "a", NAME("halfsize"), NULL);
    gw_op(graph, NAME("move"), "RealDiv", i ? "t:1" : "t", "centre/scale", NULL);
    gw_op(graph, NAME("moved"), "Mul", NAME("move"), NAME("size"), NULL);
    gw_op(graph, NAME("at"), "Add", NAME("moved"), NAME("centre"), NULL);
    gw_op(graph, NAME("log"), "Mul", "size/scale", i ? "t:3" : "t:2", NULL);
    gw_op(graph, NAME("exp"), "Exp", NAME("log"), NULL);
    gw_op(graph, NAME("grown"), "Mul", NAME("exp"), NAME("size"), NULL);
    gw_op(graph, NAME("reach"), "RealDiv", NAME("grown"), "two", NULL);
    gw_op(graph, NAME("min"), "Sub", NAME("at"), NAME("reach"), NULL);
    gw_op(graph, NAME("max"), "Add", NAME("at"), NAME("reach"), NULL);
#undef NAME
  }
  gw_op(graph, "boxes/packed", "Pack", "ymin", "xmin", "ymax", "xmax", NULL);
  gw_op(graph, "boxes/turned", "Transpose", "boxes/packed", "turn", NULL);
  GW_INT32S(graph, "boxes/shape", -1, N_ANCHORS, 4);
  gw_op(graph, "boxes/flat", "Reshape", "boxes/turned", "boxes/shape", NULL);
  GW_INT32_SCALAR(graph, "boxes/dim", 2);
  gw_op(graph, "boxes", "ExpandDims", "boxes/flat", "boxes/dim", NULL);
}

static void
add_suppression(GByteArray *graph)
{
  add_array(graph, "in/boxes", "boxes");
  add_array(graph, "in/scores", "scores");
  GW_INT32S(graph, "class/shape", -1);
  GW_INT32S(graph, "class/size", -1, 1);
  gw_float(graph, "iou", 0.5f);
  gw_float(graph, "least", 0.25f);
  GW_INT32_SCALAR(graph, "limit", 7);
  GW_INT32_SCALAR(graph, "many", 50);
  gw_op(graph, "per/class", "Minimum", "limit", "many", NULL);
  GByteArray *node = gw_node("box", "Squeeze", "in/boxes/read", NULL);
  gw_ints(node, "squeeze_dims", (gint64[]){1}, 1);
  gw_add(graph, node);
  GW_INT32S(graph, "class0/begin", 0, 0);
  GW_INT32S(graph, "class1/begin", 0, 1);
  gw_op(graph, "class0", "Slice", "in/scores/read", "class0/begin", "class/size", NULL);
  gw_op(graph, "class1", "Slice", "in/scores/read", "class1/begin", "class/size", NULL);
  gw_op(graph, "row0", "Reshape", "class0", "class/shape", NULL);
  gw_op(graph, "row1", "Reshape", "class1", "class/shape", NULL);
  gw_op(graph, "nms0", "NonMaxSuppressionV3", "box", "row0", "per/class", "iou", "least", NULL);
  gw_op(graph, "nms1", "NonMaxSuppressionV3", "box", "row1", "per/class", "iou", "least", NULL);
  gw_op(graph, "kept", "Frobnicate", "nms0", "nms1", NULL);
}

/* The window is made of the frames' true sizes, as they are for a keeper of aspect ratios. */
static void
add_window(GByteArray *graph)
{
  GByteArray *node = gw_node("true/float", "Cast", "true/gather", NULL);
  gw_type(node, "SrcT", GW_INT32);
  gw_type(node, "DstT", GW_FLOAT);
  gw_add(graph, node);
  add_unpack(graph, "true/part", "true/float", 1, 3);
  gw_op(graph, "window/zero", "ZerosLike", "true/part", NULL);
  gw_float(graph, "window/height", 4);
  gw_float(graph, "window/width", 6);
  gw_op(graph, "window/bottom", "RealDiv", "true/part", "window/height", NULL);
  gw_op(graph, "window/right", "RealDiv", "true/part:1", "window/width", NULL);
  node = gw_node("window", "Pack", "window/zero", "window/zero", "window/bottom", "window/right",
                 NULL);
  gw_int(node, "axis", 1);
  gw_add(graph, node);
  add_array(graph, "in/window", "window");
  add_unpack(graph, "edge", "in/window/read", 0, 4);
  gw_op(graph, "clip/least", "Minimum", "kept", "edge:2", NULL);
  gw_op(graph, "clip", "Maximum", "clip/least", "edge", NULL);
  gw_op(graph, "clip/greatest", "Maximum", "clip", "edge:1", NULL);
  gw_op(graph, "clip/last", "Minimum", "clip/greatest", "edge:3", NULL);
}

static void
add_outputs(GByteArray *graph)
{
  add_result(graph, "out/boxes", "clip/last", (gint64[]){9, 4}, 2);
  add_result(graph, "out/scores", "kept:1", (gint64[]){9}, 1);
  add_result(graph, "out/classes", "kept:2", (gint64[]){9}, 1);
  add_result(graph, "out/count", "kept:3", NULL, 0);
  gw_op(graph, "detection_boxes", "Identity", "out/boxes/gather", NULL);
  gw_op(graph, "detection_scores", "Identity", "out/scores/gather", NULL);
  gw_float(graph, "first", 1);
  gw_op(graph, "classes", "Add", "out/classes/gather", "first", NULL);
  gw_op(graph, "detection_classes", "Identity", "classes", NULL);
  gw_op(graph, "num_detections", "Identity", "out/count/gather", NULL);
}

static GByteArray *
detector(gboolean size_of_frame, float half)
{
  GByteArray *graph = g_byte_array_new();

  add_loop(graph);
  add_front(graph, size_of_frame);
  add_predictor(graph);
  add_decode(graph, half);
  add_suppression(graph);
  add_window(graph);
  add_outputs(graph);
  return graph;
}

static void
test_network(void)
{
  g_autoptr(GByteArray) graph = detector(FALSE, 0.5f);
  static const char *const outputs[] = {"detection_boxes", "detection_scores", "detection_classes",
                                        "num_detections"};
  GError *error = NULL;
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_assert_cmpuint(infer_network_get_n_inputs(network), ==, 3);
  InferTensor *input = infer_network_get_input(network, 0);
  g_assert_cmpstr(input->name, ==, "image_tensor");
  g_assert_cmpint(input->type, ==, INFER_TYPE_FLOAT);
  g_assert_cmpint(input->dims.n, ==, 4);
  g_assert_true(INFER_DIM_IS_SYMBOL(input->dims.d[0]));
  g_assert_cmpint(input->dims.d[1], ==, 4);
  g_assert_cmpint(input->dims.d[2], ==, 6);
  InferTensor *score = infer_network_find_tensor(network, "score_threshold");
  InferTensor *iou = infer_network_find_tensor(network, "iou_threshold");
  g_assert_true(score && score->initial && iou && iou->initial);
  g_assert_cmpfloat(infer_array_get_double(score->initial, 0), ==, 0.25);
  g_assert_cmpfloat(infer_array_get_double(iou->initial, 0), ==, 0.5);
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 4);
  for (guint i = 0; i < 4; i++) {
    g_assert_cmpstr(infer_network_get_output(network, i)->name, ==, outputs[i]);
  }
  InferTensor *boxes = infer_network_get_output(network, 0);
  InferNode *nms = boxes->producer;
  g_assert_cmpint(boxes->dims.d[1], ==, 9);
  g_assert_cmpstr(infer_node_get_op_name(nms), ==, "infer.DetectionNMS");
  g_assert_cmpint(infer_node_get_int(nms, "max_per_class", 0), ==, 7);
  g_assert_cmpint(infer_node_get_int(nms, "max_total", 0), ==, 9);
  g_assert_cmpint(infer_node_get_int(nms, "class_offset", 0), ==, 1);
  g_assert_true(infer_node_has_attr(nms, "clip_window"));
}

static void
test_model_info(void)
{
  g_autoptr(GByteArray) graph = detector(FALSE, 0.5f);
  const float mean[3] = {120, 110, 100};
  GError *error = NULL;
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);

  g_assert_no_error(error);
  InferModelInfo *info = infer_network_get_model_info(network);
  const InferPreprocess *pre = infer_model_info_get_preprocess(info);
  const InferDetectionOutputs *outputs = infer_model_info_get_detections(info);
  g_assert_cmpstr(infer_model_info_get_input(info), ==, "image_tensor");
  g_assert_cmpint(pre->color, ==, INFER_COLOR_RGB);
  g_assert_cmpint(pre->resize, ==, INFER_RESIZE_STRETCH);
  g_assert_cmpint(pre->filter, ==, INFER_FILTER_BILINEAR);
  g_assert_cmpint(pre->coordinates, ==, INFER_COORDINATES_ALIGN_CORNERS);
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpfloat_with_epsilon(pre->scale[i], 0.5, 1e-6);
    g_assert_cmpfloat_with_epsilon(pre->bias[i], -0.5 * (double)mean[i], 1e-5);
  }
  g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_DETECTIONS);
  g_assert_true(outputs && outputs->yxyx);
  g_assert_cmpint(outputs->first_class, ==, 1);
  g_assert_cmpstr(outputs->boxes, ==, "detection_boxes");
}

static void
expect_box(float *box, const float *anchor, const float *code)
{
  for (guint i = 0; i < 2; i++) {
    float size = anchor[i + 2] - anchor[i];
    float at = anchor[i] + size / 2 + code[i] / 8 * size;
    float reach = expf(code[i + 2] * 0.25f) * size / 2;
    box[i] = CLAMP(at - reach, 0, 1);
    box[i + 2] = CLAMP(at + reach, 0, 1);
  }
}

static void
test_values(void)
{
  g_autoptr(GByteArray) graph = detector(FALSE, 0.5f);
  /* Two sets of encodings; logits of background, first and second class for either anchor. */
  float image[72] = {0.5f, -1, 0.25f, 0.5f, -0.5f, 0.25f, -1, 0.5f, 4, -3, 2, 5, 1, -4};
  GError *error = NULL;
  float want[4];
  g_autoptr(InferNetwork) network = gw_parse(graph, &error);

  g_assert_no_error(error);
  g_autoptr(InferArray) boxes = gw_run(network, 0, image);
  g_autoptr(InferArray) scores = gw_run(network, 1, image);
  g_autoptr(InferArray) classes = gw_run(network, 2, image);
  g_autoptr(InferArray) count = gw_run(network, 3, image);
  g_assert_cmpfloat(infer_array_get_double(count, 0), ==, 2);
  g_assert_cmpfloat(infer_array_get_double(classes, 0), ==, 2);
  g_assert_cmpfloat(infer_array_get_double(classes, 1), ==, 1);
  g_assert_cmpfloat_with_epsilon(infer_array_get_double(scores, 0), 1 / (1 + exp(-2)), 1e-6);
  g_assert_cmpfloat_with_epsilon(infer_array_get_double(scores, 1), 1 / (1 + exp(-1)), 1e-6);
  for (guint k = 0; k < 2; k++) {
    expect_box(want, anchor_corners + k * 4, image + k * 4);
    for (guint i = 0; i < 4; i++) {
      g_assert_cmpfloat_with_epsilon(infer_array_get_double(boxes, k * 4 + i), want[i], 1e-5);
    }
  }
}

static void
check_refused(GByteArray *graph, const char *text)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(gw_parse(graph, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  if (!strstr(error->message, text)) {
    g_error("\"%s\" does not say \"%s\"", error->message, text);
  }
}

static void
test_refused(void)
{
  g_autoptr(GByteArray) aspect = detector(TRUE, 0.5f);
  g_autoptr(GByteArray) coder = detector(FALSE, 0.25f);

  check_refused(aspect, "fixed_shape_resizer");
  check_refused(coder, "box decoding");
}

/* The raw outputs can be asked for, and the frames' pre-processing stays the same. */
static void
test_raw_outputs(void)
{
  g_autoptr(GByteArray) graph = detector(FALSE, 0.5f);
  const char *const names[] = {"codes", "scores", NULL};
  const char *const both[] = {"codes", "detection_boxes:0", NULL};
  GError *error = NULL;
  g_autoptr(InferNetwork) network = gw_parse_outputs(graph, names, &error);

  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 2);
  g_assert_cmpuint(infer_network_get_n_inputs(network), ==, 1);
  g_assert_cmpint(infer_model_info_get_decoder(infer_network_get_model_info(network)), ==,
                  INFER_DECODER_NONE);
  g_autoptr(InferNetwork) all = gw_parse_outputs(graph, both, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_outputs(all), ==, 5);
  g_assert_cmpstr(infer_network_get_output(all, 4)->name, ==, "codes");
}

static void
test_corrupted(void)
{
  g_autoptr(GByteArray) graph = detector(FALSE, 0.5f);
  g_autoptr(GRand) random = g_rand_new_with_seed(30);

  for (guint i = 0; i < 500; i++) {
    g_autofree guint8 *copy = g_memdup2(graph->data, graph->len);
    for (gint k = g_rand_int_range(random, 1, 5); k > 0; k--) {
      copy[g_rand_int_range(random, 0, (gint)graph->len)] = (guint8)g_rand_int(random);
    }
    g_autoptr(GBytes) bytes = g_bytes_new(copy, graph->len);
    g_autoptr(GError) error = NULL;
    g_autoptr(InferNetwork) network = infer_parse_tensorflow_bytes(bytes, "bad.pb", NULL, &error);
    g_assert_true((network != NULL) != (error != NULL));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tensorflow-detection/network", test_network);
  g_test_add_func("/tensorflow-detection/model-info", test_model_info);
  g_test_add_func("/tensorflow-detection/values", test_values);
  g_test_add_func("/tensorflow-detection/refused", test_refused);
  g_test_add_func("/tensorflow-detection/raw-outputs", test_raw_outputs);
  g_test_add_func("/tensorflow-detection/corrupted", test_corrupted);
  return g_test_run();
}
