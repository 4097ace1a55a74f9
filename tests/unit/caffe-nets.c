/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole nets of Caffe: the files of tests/data against the reference, and what nets consist of. */
#include "caffe-check.h"
#include "net-check.h"

#include <math.h>

/* A file with random weights: the engine on the processor against the nodes one by one. */
static void
test_file(gconstpointer name)
{
  GError *error = NULL;
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", name, NULL);
  const InferParseOptions options = {.max_batch = 2};
  g_autoptr(InferNetwork) network = infer_parse_file(path, &options, &error);

  g_assert_no_error(error);
  InferTensor *info = infer_network_find_tensor(network, "im_info");
  if (info) {
    info->has_range = TRUE;
    info->range_min = 64;
    info->range_max = 96;
  }
  net_check(network, "cpu", 2, 3, 1e-4, &error);
  g_assert_no_error(error);
}

/* Layers that name their weights alike have the same ones, in today's form and in the old one. */
static void
test_shared(void)
{
  static const char *const names[2] = {
      CC_INPUT("x", "1,3") "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' param { "
                           "name: 'w' lr_mult: 1 } param { name: 'b' } inner_product_param { "
                           "num_output: 3 } }\n"
                           "layer { name: 'c' type: 'InnerProduct' bottom: 'x' top: 'c' param { "
                           "name: 'w' share_mode: PERMISSIVE } param { name: 'b' } "
                           "inner_product_param { num_output: 3 } }\n"
                           "layer { name: 'd' type: 'InnerProduct' bottom: 'x' top: 'd' "
                           "inner_product_param { num_output: 3 } }\n"
                           "layer { name: 'y' type: 'Eltwise' bottom: 'a' bottom: 'c' top: 'y' "
                           "eltwise_param { coeff: [1, -1] } }\n"
                           "layer { name: 'z' type: 'Eltwise' bottom: 'a' bottom: 'd' top: 'z' "
                           "eltwise_param { coeff: [1, -1] } }\n",
      "input: 'x' input_dim: [1, 3, 1, 1]\n"
      "layers { name: 'a' type: INNER_PRODUCT bottom: 'x' top: 'a' param: 'w' param: 'b' "
      "inner_product_param { num_output: 3 } }\n"
      "layers { name: 'c' type: INNER_PRODUCT bottom: 'x' top: 'c' param: 'w' param: 'b' "
      "blob_share_mode: STRICT inner_product_param { num_output: 3 } }\n"
      "layers { name: 'd' type: INNER_PRODUCT bottom: 'x' top: 'd' inner_product_param { "
      "num_output: 3 } }\n"
      "layers { name: 'y' type: ELTWISE bottom: 'a' bottom: 'c' top: 'y' eltwise_param { coeff: 1 "
      "coeff: -1 } }\n"
      "layers { name: 'z' type: ELTWISE bottom: 'a' bottom: 'd' top: 'z' eltwise_param { coeff: 1 "
      "coeff: -1 } }\n"};
  const float x[3] = {1, 2, 3}, zero[3] = {0};

  for (guint i = 0; i < 2; i++) {
    GError *error = NULL;
    g_autoptr(InferNetwork) network = cc_parse(names[i], NULL, NULL, &error);
    g_assert_no_error(error);
    g_autoptr(GBytes) same = cc_run(network, &(CcInput){"x", x, 3}, 1, 0);
    cc_compare(same, zero, 3, 0);
    g_autoptr(GBytes) other = cc_run(network, &(CcInput){"x", x, 3}, 1, 1);
    g_assert_cmpfloat(*(const float *)g_bytes_get_data(other, NULL), !=, 0);
  }
  cc_refuse(
      CC_INPUT("x", "1,3") "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' param "
                           "{ name: 'w' } inner_product_param { num_output: 3 } }\n"
                           "layer { name: 'c' type: 'InnerProduct' bottom: 'x' top: 'c' param "
                           "{ name: 'w' } inner_product_param { num_output: 4 } }",
      "'c' (InnerProduct) in line 3: the weights 'w' that it shares are 3x3, it needs 4x3");
}

/* Of two layers that share weights the caffemodel may have only the first. */
static void
test_shared_model(void)
{
  const float weights[2] = {3, 4}, x[2] = {1, 10}, want[1] = {86};
  GByteArray *net = g_byte_array_new();

  cc_layer(net, "a", (const float *[]){weights}, (gsize[]){2}, 1);
  cc_check1(
      CC_INPUT("x", "1,2") "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' param "
                           "{ name: 'w' } inner_product_param { num_output: 1 bias_term: "
                           "false } }\n"
                           "layer { name: 'c' type: 'InnerProduct' bottom: 'x' top: 'c' param "
                           "{ name: 'w' } inner_product_param { num_output: 1 bias_term: "
                           "false } }\n"
                           "layer { name: 'y' type: 'Eltwise' bottom: 'a' bottom: 'c' top: "
                           "'y' }",
      net, x, 2, want, 1);
}

static void
check_input(const char *text, const InferDims *dims, float scale, float bias)
{
  GError *error = NULL;
  g_autoptr(InferNetwork) network = cc_parse(text, NULL, NULL, &error);

  g_assert_no_error(error);
  const InferTensor *input = infer_network_get_input(network, 0);
  const InferPreprocess *pre =
      infer_model_info_get_preprocess(infer_network_get_model_info(network));
  g_assert_cmpuint(infer_network_get_n_inputs(network), ==, 1);
  g_assert_cmpint(input->dims.n, ==, dims->n);
  for (gint i = 1; i < dims->n; i++) {
    g_assert_cmpint(input->dims.d[i], ==, dims->d[i]);
  }
  g_assert_cmpfloat_with_epsilon(pre->scale[0], scale, 1e-6);
  g_assert_cmpfloat_with_epsilon(pre->bias[0], bias, 1e-6);
}

#define RELU "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y' }\n"

static void
test_inputs(void)
{
  check_input(
      "layer { name: 'd' type: 'ImageData' top: 'x' top: 'label' image_data_param { source: "
      "'list.txt' batch_size: 1 shuffle: true new_height: 6 new_width: 7 is_color: false } "
      "}\n" RELU,
      &INFER_DIMS(1, 1, 6, 7), 1, 0);
  check_input("layer { name: 'd' type: 'Data' top: 'x' top: 'label' include { phase: TRAIN } "
              "transform_param { crop_size: 9 } }\n"
              "layer { name: 'd' type: 'Data' top: 'x' top: 'label' include { phase: TEST } "
              "transform_param { mirror: false crop_size: 5 mean_value: [8, 9, 10] scale: 0.5 } "
              "data_param { source: 'lmdb' batch_size: 50 backend: LMDB } }\n" RELU,
              &INFER_DIMS(1, 3, 5, 5), 0.5f, -4);
  check_input("layer { name: 'd' type: 'MemoryData' top: 'x' top: 'label' memory_data_param { "
              "batch_size: 1 channels: 2 height: 3 width: 4 } }\n" RELU,
              &INFER_DIMS(1, 2, 3, 4), 1, 0);
  check_input("layer { name: 'd' type: 'WindowData' top: 'x' window_data_param { source: 'w' "
              "batch_size: 1 crop_size: 8 fg_threshold: 0.5 context_pad: 16 } }\n" RELU,
              &INFER_DIMS(1, 3, 8, 8), 1, 0);
  check_input("layers { name: 'd' type: DATA top: 'x' top: 'label' data_param { source: 'l' "
              "batch_size: 1 crop_size: 4 mirror: true scale: 0.25 } }\n"
              "layers { name: 'y' type: RELU bottom: 'x' top: 'y' }\n",
              &INFER_DIMS(1, 3, 4, 4), 0.25f, 0);
  check_input("layers { layer { name: 'd' type: 'data' source: 'l' batchsize: 1 cropsize: 4 scale: "
              "0.25 } top: 'x' top: 'label' }\n"
              "layers { layer { name: 'y' type: 'relu' } bottom: 'x' top: 'y' }\n",
              &INFER_DIMS(1, 3, 4, 4), 0.25f, 0);
  check_input("layer { name: 'd' type: 'DummyData' top: 'x' dummy_data_param { shape { dim: [1, 7] "
              "} } }\n" RELU,
              &INFER_DIMS(1, 7), 1, 0);
}

/* What training adds is not there; its rules choose between layers. */
static void
test_phases(void)
{
  GError *error = NULL;
  const float x[2] = {-1, 2}, want[2] = {1, 2};
  static const char *const text = CC_INPUT(
      "x",
      "1,2") "layer { name: 'l' type: 'DummyData' top: 'label' dummy_data_param { shape { dim: 1 } "
             "} "
             "include { phase: TRAIN } }\n"
             "layer { name: 'n' type: 'Power' bottom: 'x' top: 'x' power_param { scale: -9 } "
             "exclude { "
             "phase: TEST } }\n"
             "layer { name: 'y' type: 'AbsVal' bottom: 'x' top: 'y' }\n"
             "layer { name: 'q' type: 'Silence' bottom: 'x' }\n"
             "layer { name: 's' type: 'SoftmaxWithLoss' bottom: 'y' bottom: 'label' top: 'loss' }\n"
             "layer { name: 't' type: 'OhemTripletLoss' bottom: 'y' bottom: 'label' top: 'loss2' "
             "}\n"
             "layer { name: 'a' type: 'Accuracy' bottom: 'y' bottom: 'label' top: 'accuracy' "
             "include { "
             "phase: TEST } }\n";
  g_autoptr(InferNetwork) network = cc_parse(text, NULL, NULL, &error);

  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 1);
  cc_check1(text, NULL, x, 2, want, 2);
}

static void
psroi(const float *x, const float *roi, float *out)
{
  for (gint i = 0; i < 8; i++) {
    float left = roundf(roi[1]) * 0.5f, top = roundf(roi[2]) * 0.5f;
    float w = ((roundf(roi[3]) + 1) * 0.5f - left) / 2, h = ((roundf(roi[4]) + 1) * 0.5f - top) / 2;
    gint y0 = (gint)floorf(top + (float)(i / 2 % 2) * h);
    gint y1 = (gint)ceilf(top + (float)(i / 2 % 2 + 1) * h);
    gint x0 = (gint)floorf(left + (float)(i % 2) * w);
    gint x1 = (gint)ceilf(left + (float)(i % 2 + 1) * w);
    float sum = 0;
    for (gint row = MAX(y0, 0); row < MIN(y1, 6); row++) {
      for (gint column = MAX(x0, 0); column < MIN(x1, 5); column++) {
        sum += x[(i * 6 + row) * 5 + column];
      }
    }
    out[i] = sum / (float)((MIN(y1, 6) - MAX(y0, 0)) * (MIN(x1, 5) - MAX(x0, 0)));
  }
}

static void
test_psroi(void)
{
  const float rois[10] = {0, 1, 2, 8, 9, 0, 0.4f, 3.6f, 5, 30};
  float x[8 * 30], want[16];

  cc_fill(x, G_N_ELEMENTS(x), 4);
  psroi(x, rois, want);
  psroi(x, rois + 5, want + 8);
  cc_check(CC_INPUT("x", "1,8,6,5") CC_INPUT("r", "2,5") "layer { name: 'y' type: 'PSROIPooling' "
                                                         "bottom: 'x' bottom: 'r' top: 'y' "
                                                         "psroi_pooling_param { spatial_scale: 0.5 "
                                                         "output_dim: 2 group_size: 2 } }",
           NULL, (CcInput[]){{"x", x, G_N_ELEMENTS(x)}, {"r", rois, 10}}, 2, want, 16);
}

#define SCORES CC_INPUT("s", "1,4,2,3") CC_INPUT("d", "1,8,2,3")
#define RPN SCORES CC_INPUT("i", "1,3") "layer { name: 'y' bottom: 's' bottom: 'd' "
#define RPN_IN "bottom: 'i' top: 'y' "

/* The same parameters written in every way there is. */
static void
test_proposal(void)
{
  static const char *const forms[] = {
      RPN RPN_IN "type: 'Proposal' proposal_param { feat_stride: 8 ratio: 1 scale: 1 scale: 2 "
                 "post_nms_topn: 4 min_size: 2 } }",
      RPN RPN_IN "type: 'Python' python_param { layer: 'ProposalLayer' param_str: \"'feat_stride': "
                 "8\\n'scales': !!python/tuple [1, 2]\\n'ratios': [1]\\n'post_nms_topn': "
                 "4\\n'min_size': 2.0\" } }",
      RPN RPN_IN
      "type: 'Python' python_param { layer: 'ProposalLayer' param_str: \"{'feat_stride': "
      "8, 'scales': (1, 2), 'ratios': (1.0,), 'post_nms_topN': 4, 'min_size': 2}\" } }",
      RPN RPN_IN
      "type: 'Python' python_param { layer: 'ProposalLayer' param_str: 'feat_stride: 8 # "
      "pixels\\nscales:\\n- 1\\n- 2\\nratios: [1]\\npost_nms_topn: 4\\nmin_size: 2\\n' } "
      "}",
  };
  const float info[3] = {16, 24, 1};
  float scores[24], deltas[48];
  g_autoptr(GBytes) first = NULL;

  cc_fill(scores, 24, 1);
  cc_fill(deltas, 48, 2);
  for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
    GError *error = NULL;
    g_autoptr(InferNetwork) network = cc_parse(forms[i], NULL, NULL, &error);
    g_assert_no_error(error);
    g_autoptr(GBytes) out =
        cc_run(network, (CcInput[]){{"s", scores, 24}, {"d", deltas, 48}, {"i", info, 3}}, 3, 0);
    g_assert_cmpuint(g_bytes_get_size(out), ==, 4 * 5 * sizeof(float));
    if (!first) {
      first = g_bytes_ref(out);
    }
    g_assert_true(g_bytes_equal(first, out));
  }
  cc_refuse(RPN RPN_IN "type: 'Python' python_param { layer: 'ProposalLayer' param_str: "
                       "\"'colour': 3\" } }",
            "its parameter 'colour' is not known");
  cc_refuse(RPN RPN_IN "type: 'Python' python_param { layer: 'ProposalLayer' param_str: "
                       "\"'scales': [1, \" } }",
            "are not understood");
  cc_refuse(RPN RPN_IN "type: 'Python' python_param { layer: 'Magic' } }",
            "no plugin of the name 'Magic' is registered");
}

/* TensorRT's layer is the two others in one. */
static void
test_fused(void)
{
  static const char *const pool =
      "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.125 "
      "}";
  g_autofree char *fused =
      g_strdup_printf(CC_INPUT("m", "1,2,2,3") RPN
                      "bottom: 'm' bottom: 'i' top: 'r' top: 'p' type: 'RPROI' "
                      "region_proposal_param { feature_stride: 8 prenms_top: 100 "
                      "nms_max_out: 4 anchor_ratio_count: 1 anchor_scale_count: 2 "
                      "anchor_ratio: 1 anchor_scale: 1 anchor_scale: 2 min_box_size: 2 "
                      "} %s }",
                      pool);
  g_autofree char *apart =
      g_strdup_printf(CC_INPUT("m", "1,2,2,3") RPN RPN_IN
                      "type: 'Proposal' proposal_param { feat_stride: 8 "
                      "pre_nms_topn: 100 ratio: 1 scale: 1 scale: 2 "
                      "post_nms_topn: 4 min_size: 2 } }\n"
                      "layer { name: 'p' type: 'ROIPooling' bottom: 'm' bottom: "
                      "'y' top: 'p' %s }",
                      pool);
  const float info[3] = {16, 24, 1};
  float scores[24], deltas[48], map[12];
  const CcInput in[4] = {{"m", map, 12}, {"s", scores, 24}, {"d", deltas, 48}, {"i", info, 3}};
  GError *error = NULL;

  cc_fill(scores, 24, 1);
  cc_fill(deltas, 48, 2);
  cc_fill(map, 12, 3);
  g_autoptr(InferNetwork) one = cc_parse(fused, NULL, NULL, &error);
  g_assert_no_error(error);
  g_autoptr(InferNetwork) two = cc_parse(apart, NULL, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(infer_network_get_n_outputs(one), ==, 2);
  g_autoptr(GBytes) want = cc_run(two, in, 4, 0);
  g_autoptr(GBytes) have = cc_run(one, in, 4, 1);
  g_assert_true(g_bytes_equal(want, have));
  g_autoptr(GBytes) rois = cc_run(one, in, 4, 0);
  g_assert_cmpuint(g_bytes_get_size(rois), ==, 4 * 4 * sizeof(float));
}

/* One prior and two classes with a box each, of which the second is the background. */
static void
test_own_boxes(void)
{
  GError *error = NULL;
  const float data[1] = {0}, code[8] = {0.5f, 0, 0, 0, 9, 9, 9, 9}, scores[2] = {0.75f, 0.25f};
  const float want[4] = {0.25f + 0.5f * 0.1f * 0.5f, 0.25f, 0.75f + 0.5f * 0.1f * 0.5f, 0.75f};
  g_autoptr(InferNetwork) network = cc_parse(
      CC_INPUT("c", "1,8") CC_INPUT("s", "1,2")
          CC_INPUT("m", "1,1,1,1") "layer { name: 'p' type: 'PriorBox' bottom: 'm' bottom: 'm' "
                                   "top: 'p' prior_box_param { "
                                   "min_size: 4 img_size: 8 variance: [0.1, 0.1, 0.2, 0.2] } }\n"
                                   "layer { name: 'y' type: 'DetectionOutput' bottom: 'c' bottom: "
                                   "'s' bottom: 'p' top: 'y' "
                                   "detection_output_param { num_classes: 2 share_location: false "
                                   "background_label_id: 1 "
                                   "keep_top_k: 1 code_type: CENTER_SIZE nms_param { "
                                   "nms_threshold: 0.5 top_k: 4 } } }",
      NULL, NULL, &error);

  g_assert_no_error(error);
  g_autoptr(GBytes) out =
      cc_run(network, (CcInput[]){{"c", code, 8}, {"s", scores, 2}, {"m", data, 1}}, 3, 0);
  cc_compare(out, want, 4, 1e-6);
}

/* NumPy's files: a header in Python, then the elements. */
static void
test_numpy(void)
{
  static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1, 2), }\n";
  const double values[6] = {1, 3, 4, 6, 10, 20};
  float means[3];
  GByteArray *file = g_byte_array_new();
  g_autoptr(GError) error = NULL;

  g_byte_array_append(file, (const guint8 *)"\x93NUMPY\1\0", 8);
  g_byte_array_append(file, (const guint8[2]){sizeof header - 1, 0}, 2);
  g_byte_array_append(file, (const guint8 *)header, sizeof header - 1);
  g_byte_array_append(file, (const guint8 *)values, sizeof values);
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(file);
  g_autoptr(InferArray) mean = infer_caffe_parse_mean(bytes, "mean", &error);
  g_assert_no_error(error);
  infer_caffe_channel_means(mean, means);
  g_assert_cmpfloat(means[0], ==, 2);
  g_assert_cmpfloat(means[1], ==, 5);
  g_assert_cmpfloat(means[2], ==, 15);
  g_autoptr(GBytes) part = g_bytes_new_from_bytes(bytes, 0, g_bytes_get_size(bytes) - 1);
  g_assert_null(infer_caffe_parse_mean(part, "mean", &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
}

/* Every layer that has a problem is named with its line. */
static void
test_errors(void)
{
  cc_refuse(CC_INPUT("x", "1,3,4,4") "\n\nlayer {\n  name: 'y' type: 'Pooling' bottom: 'x' top: "
                                     "'y' pooling_param { kernel_size: 0 } }",
            "'y' (Pooling) in line 4: a kernel of 0");
  cc_refuse("input: 'x' input_dim: [1, 1, 2, 2]\n"
            "layers { name: 'y' type: CONVOLUTION bottom: 'x' top: 'y' }",
            "'y' (Convolution) in line 2: it has no convolution_param");
  cc_refuse(CC_INPUT("x", "1,3,4,4") CC_LAYER("Pooling", "pooling_param { pool: AVE kernel_size: 2 "
                                                         "} top: 'm'"),
            "only maxima have a mask");
}

int
main(int argc, char **argv)
{
  static const char *const files[] = {"alexnet", "googlenet",  "vgg16",          "resnet",
                                      "ssd",     "squeezenet", "squeezenet-ssd", "faster-rcnn"};

  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autofree char *path = g_strconcat("/caffe-nets/", files[i], NULL);
    g_test_add_data_func_full(path, g_strconcat(files[i], ".prototxt", NULL), test_file, g_free);
  }
  g_test_add_func("/caffe-nets/shared", test_shared);
  g_test_add_func("/caffe-nets/shared-model", test_shared_model);
  g_test_add_func("/caffe-nets/inputs", test_inputs);
  g_test_add_func("/caffe-nets/phases", test_phases);
  g_test_add_func("/caffe-nets/psroi", test_psroi);
  g_test_add_func("/caffe-nets/proposal", test_proposal);
  g_test_add_func("/caffe-nets/fused", test_fused);
  g_test_add_func("/caffe-nets/own-boxes", test_own_boxes);
  g_test_add_func("/caffe-nets/numpy", test_numpy);
  g_test_add_func("/caffe-nets/errors", test_errors);
  return g_test_run();
}
