/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cuda-check.h"
#include "move.h"

#include <math.h>

/* Detection on the device gives what eval gives: ties, counts, order and all. */

static gint64
pick(gint least, gint most)
{
  return g_test_rand_int_range(least, most + 1);
}

static InferArray *
scalar(float value)
{
  InferArray *array = check_array(INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, 1);

  *(float *)array->data = value;
  return array;
}

static void
test_boxdecode(void)
{
  if (check_device()) {
    g_test_skip("its inputs have different rows, which an engine takes for one batch");
    return;
  }
  for (guint i = 0; i < 20; i++) {
    Check check = {.op = "infer.BoxDecode",
                   .impl = &infer_cuda_boxdecode,
                   .n_in = 2,
                   .n_out = 1,
                   .tolerance = 1e-6};
    gint64 n = pick(1, 300);

    check.in[0] = CHECK_ARRAY(INFER_TYPE_FLOAT, 5, pick(1, 3), n, 4);
    check.in[1] = CHECK_ARRAY(INFER_TYPE_FLOAT, 1, n, 4);
    check.varying[0] = TRUE;
    check.varying[1] = i % 2;
    check.attrs = infer_attrs_new("clip", 'i', (gint64)(i % 3 == 0), NULL);
    check_run(&check);
  }
}

/* Boxes that overlap much, scores with many ties. */
static void
nms_case(guint i, gint64 batch, gint64 boxes, gint64 classes)
{
  static const double window[4] = {0, 0, 0.8, 0.9};
  Check check = {
      .op = "infer.DetectionNMS", .impl = &infer_cuda_detectionnms, .n_in = 4, .n_out = 4};
  gboolean each = i % 3 == 0;
  float *score;

  check.in[0] = each ? CHECK_ARRAY(INFER_TYPE_FLOAT, 1, batch, boxes, classes, 4)
                     : CHECK_ARRAY(INFER_TYPE_FLOAT, 1, batch, boxes, 4);
  check.in[1] = CHECK_ARRAY(INFER_TYPE_FLOAT, 1, batch, boxes, classes);
  score = check.in[1]->data;
  for (gint64 k = 0; k < batch * boxes * classes; k++) {
    if (i % 2)
      score[k] = (float)(gint)(score[k] * 8) / 8;
    if (pick(0, 200) == 0)
      score[k] = pick(0, 1) ? NAN : -0.0f;
  }
  check.in[2] = scalar(i % 4 ? -0.5f : 0.3f);
  check.in[3] = scalar(i % 5 == 0 ? -0.1f : i % 2 ? 0.5f : 0.2f);
  for (guint k = 0; k < 4; k++)
    check.varying[k] = k < 2 || i % 2;
  if (i % 2)
    check.attrs = infer_attrs_new("max_per_class", 'i', pick(1, 60), "max_total", 'i', pick(1, 100),
                                  "background", 'i', pick(-1, 1), "class_offset", 'i', pick(-1, 1),
                                  "class_agnostic", 'i', (gint64)(i % 4 == 1), "clip_window", 'F',
                                  window, (gsize)4, NULL);
  else
    check.attrs = infer_attrs_new("max_per_class", 'i', pick(1, 700), "max_total", 'i',
                                  pick(1, 900), "class_agnostic", 'i', (gint64)(i % 4 == 2), NULL);
  check_run(&check);
}

static void
test_nms(void)
{
  for (guint i = 0; i < 24; i++)
    nms_case(i, pick(1, 2), pick(1, 90), pick(1, 5));
}

/* More candidates than a chunk holds. */
static void
test_nms_many(void)
{
  for (guint i = 0; i < 6; i++)
    nms_case(i, 1, 1700, 2);
}

static void
test_nms_empty(void)
{
  nms_case(1, 2, 0, 3);
  nms_case(2, 2, 5, 0);
}

static void
test_topk(void)
{
  static const InferType types[] = {INFER_TYPE_FLOAT, INFER_TYPE_INT8,   INFER_TYPE_UINT8,
                                    INFER_TYPE_INT32, INFER_TYPE_UINT32, INFER_TYPE_INT16,
                                    INFER_TYPE_UINT16};

  for (guint i = 0; i < 28; i++) {
    Check check = {.op = "TopK", .impl = &infer_cuda_topk, .n_in = 2, .n_out = 2};
    gint64 dims[3] = {pick(1, 3), pick(1, 4), pick(1, 3)}, axis = pick(0, 2);

    dims[axis] = i % 4 == 0 ? 2500 : pick(1, 60);
    if (i % 4 == 0)
      dims[(axis + 1) % 3] = 1;
    check.in[0] =
        CHECK_ARRAY(types[i % G_N_ELEMENTS(types)], i % 2 ? 5 : 200, dims[0], dims[1], dims[2]);
    if (check.in[0]->type == INFER_TYPE_FLOAT)
      for (gint64 k = 0; k < infer_array_count(check.in[0]); k += 7)
        ((float *)check.in[0]->data)[k] = k % 2 ? NAN : -0.0f;
    check.in[1] = CHECK_INTS(pick(0, (gint)dims[axis]));
    check.varying[0] = TRUE;
    check.attrs = infer_attrs_new("axis", 'i', axis, "largest", 'i', (gint64)(i % 3 != 0), NULL);
    check_run(&check);
  }
}

static void
test_roialign(void)
{
  if (check_device()) {
    g_test_skip("its inputs have different rows, which an engine takes for one batch");
    return;
  }
  for (guint i = 0; i < 32; i++) {
    Check check = {
        .op = "RoiAlign", .impl = &infer_cuda_roialign, .n_in = 3, .n_out = 1, .tolerance = 1e-6};
    gint64 n = pick(1, 4), images = pick(1, 3);

    check.in[0] = CHECK_ARRAY(INFER_TYPE_FLOAT, 5, images, pick(1, 3), pick(1, 9), pick(1, 9));
    check.in[1] = CHECK_ARRAY(INFER_TYPE_FLOAT, 12, n, 4);
    check.in[2] = CHECK_ARRAY(INFER_TYPE_INT64, 0, n);
    for (gint64 k = 0; k < n; k++)
      ((gint64 *)check.in[2]->data)[k] = pick(0, (gint)images - 1);
    check.varying[0] = check.varying[1] = TRUE;
    check.varying[2] = i % 3;
    check.attrs =
        infer_attrs_new("output_height", 'i', pick(1, 4), "output_width", 'i', pick(1, 4),
                        "sampling_ratio", 'i', pick(0, 3), "spatial_scale", 'f', 0.7, "mode", 's',
                        i % 2 ? "max" : "avg", "coordinate_transformation_mode", 's',
                        i % 4 > 1 ? "half_pixel" : "output_half_pixel", NULL);
    check_run(&check);
  }
}

static void
test_gridsample(void)
{
  static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic"};
  static const char *const paddings[] = {"zeros", "border", "reflection"};

  for (guint i = 0; i < 60; i++) {
    Check check = {.op = "GridSample",
                   .impl = &infer_cuda_gridsample,
                   .n_in = 2,
                   .n_out = 1,
                   .tolerance = 1e-6};
    gint64 n = pick(1, 2), c = pick(1, 3);

    if (i % 4 == 0) {
      check.in[0] = CHECK_ARRAY(INFER_TYPE_FLOAT, 5, n, c, pick(1, 4), pick(1, 4), pick(1, 4));
      check.in[1] = CHECK_ARRAY(INFER_TYPE_FLOAT, 2, n, 2, 3, 2, 3);
    } else {
      check.in[0] = CHECK_ARRAY(INFER_TYPE_FLOAT, 5, n, c, pick(1, 7), pick(1, 7));
      check.in[1] = CHECK_ARRAY(INFER_TYPE_FLOAT, 2, n, pick(1, 5), pick(1, 5), 2);
    }
    check.varying[0] = TRUE;
    check.varying[1] = i % 2;
    check.attrs = infer_attrs_new("mode", 's', modes[i % 5], "padding_mode", 's', paddings[i % 3],
                                  "align_corners", 'i', (gint64)(i % 7 > 3), NULL);
    check_run(&check);
  }
}

static void
test_priorbox(void)
{
  static const double least[] = {30, 60}, most[] = {60, 111}, ratios[] = {2, 3}, variance = 0.2;

  for (guint i = 0; i < 4; i++) {
    Check check = {.op = "infer.PriorBox", .impl = &infer_cuda_priorbox, .n_in = 2, .n_out = 1};

    check.in[0] = CHECK_ARRAY(INFER_TYPE_FLOAT, 1, 2, 4, pick(1, 9), pick(1, 9));
    check.in[1] = CHECK_ARRAY(INFER_TYPE_FLOAT, 1, 2, 3, 50, 70);
    check.varying[0] = check.varying[1] = TRUE;
    check.attrs = infer_attrs_new("min_size", 'F', least, (gsize)2, "max_size", 'F', most, (gsize)2,
                                  "aspect_ratio", 'F', ratios, (gsize)2, "variance", 'F', &variance,
                                  (gsize)1, "clip", 'i', (gint64)(i % 2), NULL);
    check_run(&check);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cuda-detection/boxdecode", test_boxdecode);
  g_test_add_func("/cuda-detection/nms", test_nms);
  g_test_add_func("/cuda-detection/nms-many", test_nms_many);
  g_test_add_func("/cuda-detection/nms-empty", test_nms_empty);
  g_test_add_func("/cuda-detection/topk", test_topk);
  g_test_add_func("/cuda-detection/roialign", test_roialign);
  g_test_add_func("/cuda-detection/gridsample", test_gridsample);
  g_test_add_func("/cuda-detection/priorbox", test_priorbox);
  return check_main(check_device());
}
