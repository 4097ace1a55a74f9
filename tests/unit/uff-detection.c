/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A detector as TensorRT's sample exports it: anchors, joined codes and scores, suppression. */
#include "caffe-check.h"
#include "uff-writer.h"

#include <math.h>

#define IN(...) ((const char *const[]){__VA_ARGS__, NULL})
#define INTS(...) ((const gint64[]){__VA_ARGS__}), sizeof((const gint64[]){__VA_ARGS__}) / 8

enum { CLASSES = 3, BOXES = 4 * 3 + 4 };

/* Two maps of 2x2 and 1x1 cells, with three and four boxes a cell; weights of zero but for a bias
 * that the test gives, so that codes and scores are known. */
static GBytes *
write_graph(const float *code, const float *score)
{
  static const gint64 sizes[2] = {2, 1}, boxes[2] = {3, 4};
  GByteArray *graph = g_byte_array_new(), *data = g_byte_array_new(), *fields = g_byte_array_new();
  static const float zeros[256] = {0};
  float bias[2][BOXES * 4 + BOXES * CLASSES];

  /* The sample's input has its channels first, before layers that have them last. */
  uff_set_ints(fields, "shape", INTS(1, 3, 4, 4));
  uff_node(graph, "Input", "Input", fields, NULL, NULL);
  for (guint kind = 0; kind < 2; kind++) {
    for (guint i = 0; i < 2; i++) {
      g_autofree char *name = g_strdup_printf("%s%u", kind ? "conf" : "loc", i);
      g_autofree char *filter = g_strconcat(name, "/filter", NULL);
      g_autofree char *add = g_strconcat(name, "/bias", NULL);
      g_autofree char *conv = g_strconcat(name, "/conv", NULL);
      gint64 width = kind ? CLASSES : 4, n = boxes[i] * width, stride = i ? 4 : 2;
      const float *from = (kind ? score : code) + (i ? 12 * width : 0);
      memcpy(bias[kind] + i * 64, from, (gsize)n * sizeof *from);
      uff_const(graph, data, filter, zeros, (const gint64[]){1, 1, 3, n}, 4);
      uff_const(graph, data, add, bias[kind] + i * 64, &n, 1);
      fields = g_byte_array_new();
      uff_set_ints(fields, "strides", INTS(stride, stride));
      uff_set_orders(fields, IN("N+C", "+CK"));
      uff_node(graph, conv, "Conv", fields, "Input", filter);
      fields = g_byte_array_new();
      uff_set_text(fields, "func", "add");
      uff_node(graph, name, "Binary", fields, conv, add);
    }
  }
  fields = g_byte_array_new();
  uff_set_int(fields, "numLayers_u_int", 2);
  uff_set_double(fields, "minSize_u_float", 0.2);
  uff_set_double(fields, "maxSize_u_float", 0.8);
  uff_set_doubles(fields, "aspectRatios_u_flist", (const double[]){1, 2, 0.5}, 3);
  uff_set_doubles(fields, "variance_u_flist", (const double[]){0.1, 0.1, 0.2, 0.2}, 4);
  uff_set_ints(fields, "featureMapShapes_u_ilist", sizes, 2);
  uff_node_n(graph, "GridAnchor", "_GridAnchor_TRT", fields, NULL);
  fields = g_byte_array_new();
  uff_set_int(fields, "axis", 2);
  uff_node_n(graph, "concat_priorbox", "Concat", fields, IN("GridAnchor", "GridAnchor"));
  for (guint kind = 0; kind < 2; kind++) {
    fields = g_byte_array_new();
    uff_set_int(fields, "axis_u_int", 1);
    uff_set_int(fields, "ignoreBatch_u_int", 0);
    uff_node_n(graph, kind ? "concat_box_conf" : "concat_box_loc", "_FlattenConcat_TRT", fields,
               kind ? IN("conf0", "conf1") : IN("loc0", "loc1"));
  }
  fields = g_byte_array_new();
  uff_set_int(fields, "shareLocation_u_int", 1);
  uff_set_int(fields, "varianceEncodedInTarget_u_int", 0);
  uff_set_int(fields, "backgroundLabelId_u_int", 0);
  uff_set_double(fields, "confidenceThreshold_u_float", 0.6);
  uff_set_double(fields, "nmsThreshold_u_float", 0.6);
  uff_set_int(fields, "topK_u_int", 10);
  uff_set_int(fields, "keepTopK_u_int", 5);
  uff_set_int(fields, "numClasses_u_int", CLASSES);
  uff_set_ints(fields, "inputOrder_u_ilist", INTS(0, 2, 1));
  uff_set_int(fields, "confSigmoid_u_int", 1);
  uff_set_int(fields, "isNormalized_u_int", 1);
  uff_node_n(graph, "NMS", "_NMS_TRT", fields,
             IN("concat_box_loc", "concat_priorbox", "concat_box_conf"));
  uff_node(graph, "out", "MarkOutput", NULL, "NMS", NULL);
  return g_byte_array_free_to_bytes(uff_meta(graph, data));
}

static void
test_ssd(void)
{
  GError *error = NULL;
  float code[BOXES * 4] = {0}, score[BOXES * CLASSES], x[48] = {0}, want[8];
  const double r = sqrt(2);

  for (guint i = 0; i < G_N_ELEMENTS(score); i++) {
    score[i] = -9;
  }
  /* The wide box of the large cell, moved down by an eighth of its height and twice as wide; and
   * the small box of every cell of the first map, because the layer is the same for all of them. */
  score[13 * CLASSES + 2] = 3;
  code[13 * 4] = 0.125f / 0.1f;
  code[13 * 4 + 3] = logf(2) / 0.2f;
  score[0 * CLASSES + 1] = 1;
  score[0 * CLASSES + 0] = 8;
  g_autoptr(GBytes) bytes = write_graph(code, score);
  g_autoptr(InferNetwork) network = infer_parse_uff_bytes(bytes, "ssd", NULL, &error);
  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  const InferDetectionOutputs *outputs =
      infer_model_info_get_detections(infer_network_get_model_info(network));
  g_assert_cmpstr(outputs->boxes, ==, "NMS/boxes");
  g_assert_true(outputs->yxyx);
  g_assert_cmpint(outputs->first_class, ==, 1);
  g_assert_cmpint(outputs->n_classes, ==, CLASSES - 1);
  const CcInput in = {"Input", x, 48};
  g_autoptr(GBytes) count = cc_run(network, &in, 1, 3);
  cc_compare(count, (const float[]){5}, 1, 0);
  g_autoptr(GBytes) classes = cc_run(network, &in, 1, 2);
  cc_compare(classes, (const float[]){2, 1, 1, 1, 1}, 5, 0);
  g_autoptr(GBytes) boxes = cc_run(network, &in, 1, 0);
  g_autoptr(GBytes) two = g_bytes_new_from_bytes(boxes, 0, sizeof want);
  double h = 0.8 / r, w = 0.8 * r;
  want[0] = (float)(0.5 + 0.125 * h - h / 2);
  want[1] = (float)(0.5 - w);
  want[2] = (float)(0.5 + 0.125 * h + h / 2);
  want[3] = (float)(0.5 + w);
  for (guint i = 0; i < 4; i++) {
    want[4 + i] = i < 2 ? 0.2f : 0.3f;
  }
  cc_compare(two, want, 8, 1e-5);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/uff-detection/ssd", test_ssd);
  return g_test_run();
}
