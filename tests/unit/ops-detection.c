/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops-test.h"

/* The detection operators: values against cases worked out by hand and a plain second
 * implementation. */

static void
test_box_decode(void)
{
  const double scales[] = {1, 2, 1, 1};
  assert_same(EVAL1("infer.BoxDecode", ATTRS("scales", 'F', scales, (gsize)4),
                    FLOATS(INFER_DIMS(1, 2, 4), 1, 1, 0, 0, 0, 0, NAN, INFINITY),
                    FLOATS(INFER_DIMS(2, 4), 0, 0, 2, 4, 1, 1, 3, 3)),
              FLOATS(INFER_DIMS(1, 2, 4), 2, 2, 4, 6, NAN, -INFINITY, NAN, INFINITY));
  assert_same(EVAL1("infer.BoxDecode", ATTRS("order", 's', "xy", INT("clip", 1)),
                    FLOATS(INFER_DIMS(1, 1, 4), 0, 0, NAN, 0),
                    FLOATS(INFER_DIMS(1, 4), 0.5f, -1, 1, 2)),
              FLOATS(INFER_DIMS(1, 1, 4), 0, 0, 0, 1));
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *codes = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 7, 4));
  InferTensor *anchors = input(network, INFER_TYPE_FLOAT, INFER_DIMS(7, 4));
  assert_dims(&ADD(network, "infer.BoxDecode", NULL, codes, anchors)->dims, INFER_DIMS(n, 7, 4));
  REFUSE(network, INFER_ERROR_SHAPE, "infer.BoxDecode", NULL, codes, codes);
  REFUSE(network, INFER_ERROR_ARGUMENT, "infer.BoxDecode", ATTRS("order", 's', "zz"), codes,
         anchors);
  REFUSE(network, INFER_ERROR_ARGUMENT, "infer.BoxDecode", ATTRS("scales", 'F', scales, (gsize)3),
         codes, anchors);
}

#define NMS(...) ATTRS(INT("max_per_class", 2), INT("max_total", 3), __VA_ARGS__)
#define THRESHOLDS(S, I) FLOATS(INFER_DIMS_SCALAR, S), FLOATS(INFER_DIMS_SCALAR, I)

static void
test_nms(void)
{
  const double window[] = {0, 0, 10, 10};
  InferArray *out[4];
  /* Box 1 lies over box 0 by 9 / 11, box 2 has its corners swapped, box 3 is outside. */
  InferArray *boxes =
      FLOATS(INFER_DIMS(1, 4, 4), 0, 0, 10, 10, 0, 1, 10, 11, 30, 30, 20, 20, 50, 50, 60, 60);
  InferArray *scores = FLOATS(INFER_DIMS(1, 4, 2), 0.5f, 0.9f, 0.5f, 0.1f, 0.5f, NAN, 0.25f, 0.9f);
  EVAL("infer.DetectionNMS", NMS(INT("class_offset", 1)), out, 4, infer_array_ref(boxes),
       infer_array_ref(scores), THRESHOLDS(0.2f, 0.5f));
  assert_same(out[1], FLOATS(INFER_DIMS(1, 3), 0.9f, 0.9f, 0.5f));
  assert_same(out[2], FLOATS(INFER_DIMS(1, 3), 2, 2, 1));
  assert_same(out[0], FLOATS(INFER_DIMS(1, 3, 4), 0, 0, 10, 10, 50, 50, 60, 60, 0, 0, 10, 10));
  assert_same(out[3], FLOATS(INFER_DIMS(1), 3));
  /* The first class alone, cut to the window, which leaves box 0 only: both kept, one dropped. */
  EVAL("infer.DetectionNMS", NMS(INT("background", 1), "clip_window", 'F', window, (gsize)4), out,
       4, infer_array_ref(boxes), infer_array_ref(scores), THRESHOLDS(0.2f, 0.5f));
  assert_same(out[1], FLOATS(INFER_DIMS(1, 3), 0.5f, 0, 0));
  assert_same(out[2], FLOATS(INFER_DIMS(1, 3), 0, 0, 0));
  assert_same(out[0], FLOATS(INFER_DIMS(1, 3, 4), 0, 0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0));
  assert_same(out[3], FLOATS(INFER_DIMS(1), 1));
  /* One suppression: boxes 0 and 3 of class 1 fill it, the best classes of the others come after.
   */
  EVAL("infer.DetectionNMS", NMS(INT("class_agnostic", 1)), out, 4, boxes, scores,
       THRESHOLDS(0.2f, 0.5f));
  assert_same(out[1], FLOATS(INFER_DIMS(1, 3), 0.9f, 0.9f, 0));
  assert_same(out[2], FLOATS(INFER_DIMS(1, 3), 1, 1, 0));
  infer_array_unref(out[0]);
  assert_same(out[3], FLOATS(INFER_DIMS(1), 2));

  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *b = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 5, 2, 4));
  InferTensor *s = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 5, 2));
  InferTensor *t = input(network, INFER_TYPE_FLOAT, INFER_DIMS_SCALAR);
  assert_dims(&ADD(network, "infer.DetectionNMS", NMS("order", 's', "xy"), b, s, t, t)->dims,
              INFER_DIMS(n, 3, 4));
  REFUSE(network, INFER_ERROR_SHAPE, "infer.DetectionNMS", NMS("order", 's', "xy"), b, b, t, t);
  REFUSE(network, INFER_ERROR_SHAPE, "infer.DetectionNMS", NMS("order", 's', "xy"), b, s, t, s);
  REFUSE(network, INFER_ERROR_ARGUMENT, "infer.DetectionNMS",
         NMS("clip_window", 'F', window, (gsize)3), b, s, t, t);
  REFUSE(network, INFER_ERROR_ARGUMENT, "infer.DetectionNMS",
         ATTRS(INT("max_per_class", 0), INT("max_total", G_MAXINT64)), b, s, t, t);
  REFUSE(network, INFER_ERROR_ARGUMENT, "infer.DetectionNMS", NULL, b, s, t, t);
}

enum { BOXES = 60, CLASSES = 19, MOST = 5 };

static float
plain_iou(const float *a, const float *b)
{
  float low[2], high[2], area[2] = {1, 1}, both = 1;
  for (int i = 0; i < 2; i++) {
    float p = fminf(a[i], a[i + 2]), q = fmaxf(a[i], a[i + 2]);
    float r = fminf(b[i], b[i + 2]), s = fmaxf(b[i], b[i + 2]);
    area[0] *= q - p;
    area[1] *= s - r;
    low[i] = fmaxf(p, r);
    high[i] = fminf(q, s);
    both *= fmaxf(high[i] - low[i], 0);
  }
  return area[0] > 0 && area[1] > 0 ? both / (area[0] + area[1] - both) : 0;
}

/* The definition, word by word: sort all, walk, sort again; returns how many, in rows of score,
 * class and box. */
static int
plain_nms(const float *boxes, const float *scores, float low, float iou, int total,
          float (*rows)[3])
{
  int n = 0;
  for (int c = 0; c < CLASSES; c++) {
    int kept[MOST], n_kept = 0;
    gboolean used[BOXES] = {FALSE};
    for (;;) {
      int best = -1;
      for (int i = 0; i < BOXES; i++)
        if (!used[i] && scores[i * CLASSES + c] > low &&
            (best < 0 || scores[i * CLASSES + c] > scores[best * CLASSES + c]))
          best = i;
      if (best < 0 || n_kept == MOST)
        break;
      used[best] = TRUE;
      gboolean free = TRUE;
      for (int k = 0; k < n_kept; k++)
        free = free && plain_iou(boxes + 4 * best, boxes + 4 * kept[k]) <= iou;
      if (!free)
        continue;
      kept[n_kept++] = best;
      int at = n++;
      for (; at > 0 && rows[at - 1][0] < scores[best * CLASSES + c]; at--)
        memcpy(rows[at], rows[at - 1], sizeof rows[0]);
      rows[at][0] = scores[best * CLASSES + c];
      rows[at][1] = (float)c;
      rows[at][2] = (float)best;
    }
  }
  return MIN(n, total);
}

static void
test_nms_random(void)
{
  for (int round = 0; round < 200; round++) {
    static float rows[CLASSES * MOST + 1][3];
    int total = round % 2 ? 7 : 200;
    const InferDims box_dims = INFER_DIMS(1, BOXES, 1, 4), dims = INFER_DIMS(1, BOXES, CLASSES);
    g_autoptr(InferArray) boxes = infer_array_new(INFER_TYPE_FLOAT, &box_dims, NULL);
    g_autoptr(InferArray) scores = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
    float *box = boxes->data, *score = scores->data;
    for (int i = 0; i < 4 * BOXES; i++)
      box[i] = (float)g_test_rand_int_range(0, 12);
    /* Few values, so that many are equal. */
    for (int i = 0; i < BOXES * CLASSES; i++)
      score[i] = (float)g_test_rand_int_range(0, 20) / 16;
    InferArray *out[4];
    EVAL("infer.DetectionNMS", ATTRS(INT("max_per_class", MOST), INT("max_total", total)), out, 4,
         infer_array_ref(boxes), infer_array_ref(scores), THRESHOLDS(0.4f, 0.3f));
    int n = plain_nms(box, score, 0.4f, 0.3f, total, rows);
    g_assert_cmpfloat(((float *)out[3]->data)[0], ==, n);
    for (int i = 0; i < n; i++) {
      g_assert_cmpfloat(((float *)out[1]->data)[i], ==, rows[i][0]);
      g_assert_cmpfloat(((float *)out[2]->data)[i], ==, rows[i][1]);
      g_assert_cmpmem((float *)out[0]->data + 4 * i, 16, box + 4 * (int)rows[i][2], 16);
    }
    for (int i = 0; i < 4; i++)
      infer_array_unref(out[i]);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ops/box-decode", test_box_decode);
  g_test_add_func("/ops/nms", test_nms);
  g_test_add_func("/ops/nms-random", test_nms_random);
  return g_test_run();
}
