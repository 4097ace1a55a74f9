/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each decoder against a plain restatement, on random outputs of a model. */
#include <infer/infer.h>
#include <math.h>
#include <string.h>

#define BATCH 2
#define SIDE 64 /* of the image; 64 + 16 + 4 cells */
#define CELLS 84
#define CLASSES 5
#define MAX_BOXES 4096
#define SCORE 0.4f
#define IOU 0.45f
#define TOTAL 100

typedef struct {
  float box[4]; /* corners, normalised */
  float score;
  gint class;
} Box;

typedef struct {
  const char *name; /* of the decoder; the name it is guessed by where @guess */
  gboolean guess;
  guint n_heads;
  InferDims heads[3];
  gint64 background;
  guint (*decode)(float *const *heads, Box *boxes); /* of one row of the batch */
} Case;

static float
sigmoid(float x)
{
  return 1 / (1 + expf(-x));
}

static void
set_centre(Box *box, float x, float y, float w, float h)
{
  box->box[0] = (x - w / 2) / SIDE;
  box->box[1] = (y - h / 2) / SIDE;
  box->box[2] = (x + w / 2) / SIDE;
  box->box[3] = (y + h / 2) / SIDE;
}

static guint
each_class(Box *boxes, guint n, const Box *box, const float *scores, gsize step, float factor)
{
  for (gint c = 0; c < CLASSES; c++) {
    boxes[n] = *box;
    boxes[n].score = scores[(gsize)c * step] * factor;
    boxes[n++].class = c;
  }
  return n;
}

static guint
plain_yolov5(float *const *heads, Box *boxes)
{
  guint n = 0;

  for (guint a = 0; a < 3 * CELLS; a++) {
    const float *row = heads[0] + a * (5 + CLASSES);
    Box box;
    set_centre(&box, row[0], row[1], row[2], row[3]);
    n = each_class(boxes, n, &box, row + 5, 1, row[4]);
  }
  return n;
}

/* Anchors and cells as the heads hold them before anything was decoded. */
static guint
plain_maps(float *const *heads, Box *boxes)
{
  static const float anchors[3][6] = {
      {10, 13, 16, 30, 33, 23}, {30, 61, 62, 45, 59, 119}, {116, 90, 156, 198, 373, 326}};
  guint n = 0;

  for (guint m = 0; m < 3; m++) {
    const guint side = SIDE / (8u << m), cells = side * side;
    for (guint a = 0; a < 3; a++) {
      for (guint i = 0; i < cells; i++) {
        const float *at = heads[m] + a * (5 + CLASSES) * cells + i;
        float v[5 + CLASSES];
        Box box;
        for (guint k = 0; k < 5 + CLASSES; k++)
          v[k] = sigmoid(at[k * cells]);
        const float stride = (float)(8u << m);
        set_centre(&box, (2 * v[0] - 0.5f + (float)(i % side)) * stride,
                   (2 * v[1] - 0.5f + (float)(i / side)) * stride,
                   4 * v[2] * v[2] * anchors[m][2 * a], 4 * v[3] * v[3] * anchors[m][2 * a + 1]);
        n = each_class(boxes, n, &box, v + 5, 1, v[4]);
      }
    }
  }
  return n;
}

static guint
plain_maps5(float *const *heads, Box *boxes)
{
  float *moved[3];
  guint n;

  for (guint m = 0; m < 3; m++) {
    const guint side = SIDE / (8u << m), cells = side * side, depth = 5 + CLASSES;
    moved[m] = g_new(float, 3 * depth * cells);
    for (guint a = 0; a < 3; a++)
      for (guint i = 0; i < cells; i++)
        for (guint k = 0; k < depth; k++)
          moved[m][(a * depth + k) * cells + i] = heads[m][(a * cells + i) * depth + k];
  }
  n = plain_maps(moved, boxes);
  for (guint m = 0; m < 3; m++)
    g_free(moved[m]);
  return n;
}

static guint
plain_yolov8(float *const *heads, Box *boxes)
{
  guint n = 0;

  for (guint a = 0; a < CELLS; a++) {
    const float *at = heads[0] + a;
    Box box;
    set_centre(&box, at[0], at[CELLS], at[2 * CELLS], at[3 * CELLS]);
    n = each_class(boxes, n, &box, at + 4 * CELLS, CELLS, 1);
  }
  return n;
}

static guint
plain_yolox(float *const *heads, Box *boxes)
{
  const float *row = heads[0];
  guint n = 0;

  for (guint stride = 8; stride <= 32; stride *= 2) {
    for (guint i = 0; i < SIDE / stride * (SIDE / stride); i++, row += 5 + CLASSES) {
      const float x = (float)(i % (SIDE / stride)), y = (float)(i / (SIDE / stride));
      Box box;
      set_centre(&box, (row[0] + x) * (float)stride, (row[1] + y) * (float)stride,
                 expf(row[2]) * (float)stride, expf(row[3]) * (float)stride);
      n = each_class(boxes, n, &box, row + 5, 1, row[4]);
    }
  }
  return n;
}

static guint
plain_fastestdet(float *const *heads, Box *boxes)
{
  const guint side = SIDE / 16, cells = side * side;
  guint n = 0;

  for (guint i = 0; i < cells; i++) {
    const float *at = heads[0] + i;
    float scores[CLASSES];
    Box box;
    set_centre(&box, (tanhf(at[cells]) + (float)(i % side)) / (float)side * SIDE,
               (tanhf(at[2 * cells]) + (float)(i / side)) / (float)side * SIDE,
               sigmoid(at[3 * cells]) * SIDE, sigmoid(at[4 * cells]) * SIDE);
    for (guint c = 0; c < CLASSES; c++)
      scores[c] = powf(at[0], 0.6f) * powf(at[(5 + c) * cells], 0.4f);
    n = each_class(boxes, n, &box, scores, 1, 1);
  }
  return n;
}

/* Corners as they are; the first class is the background. */
static guint
plain_ssd(float *const *heads, Box *boxes)
{
  guint n = 0;

  for (guint a = 0; a < CELLS; a++) {
    Box box;
    memcpy(box.box, heads[1] + a * 4, sizeof box.box);
    n = each_class(boxes, n, &box, heads[0] + a * (CLASSES + 1) + 1, 1, 1);
  }
  return n;
}

static const Case cases[] = {
    {"yolov5", TRUE, 1, {{3, {BATCH, 3 * CELLS, 5 + CLASSES}}}, -1, plain_yolov5},
    {"yolov5",
     TRUE,
     3,
     {{4, {BATCH, 3 * (5 + CLASSES), 8, 8}},
      {4, {BATCH, 3 * (5 + CLASSES), 4, 4}},
      {4, {BATCH, 3 * (5 + CLASSES), 2, 2}}},
     -1,
     plain_maps},
    {"yolov5",
     TRUE,
     3,
     {{5, {BATCH, 3, 8, 8, 5 + CLASSES}},
      {5, {BATCH, 3, 4, 4, 5 + CLASSES}},
      {5, {BATCH, 3, 2, 2, 5 + CLASSES}}},
     -1,
     plain_maps5},
    {"yolov8", TRUE, 1, {{3, {BATCH, 4 + CLASSES, CELLS}}}, -1, plain_yolov8},
    {"yolox", TRUE, 1, {{3, {BATCH, CELLS, 5 + CLASSES}}}, -1, plain_yolox},
    {"fastestdet", TRUE, 1, {{4, {BATCH, 5 + CLASSES, 4, 4}}}, -1, plain_fastestdet},
    {"ssd", TRUE, 2, {{3, {BATCH, CELLS, CLASSES + 1}}, {3, {BATCH, CELLS, 4}}}, 0, plain_ssd},
};

static int
by_score(const void *a, const void *b)
{
  const Box *x = a, *y = b;

  return x->score > y->score ? -1 : x->score < y->score;
}

static float
overlap(const Box *a, const Box *b)
{
  const float w = fminf(a->box[2], b->box[2]) - fmaxf(a->box[0], b->box[0]);
  const float h = fminf(a->box[3], b->box[3]) - fmaxf(a->box[1], b->box[1]);
  const float both = fmaxf(w, 0) * fmaxf(h, 0);
  const float sum = (a->box[2] - a->box[0]) * (a->box[3] - a->box[1]) +
                    (b->box[2] - b->box[0]) * (b->box[3] - b->box[1]) - both;

  return sum > 0 ? both / sum : 0;
}

static gboolean
clip(Box *box)
{
  for (guint k = 0; k < 4; k++)
    box->box[k] = fminf(fmaxf(box->box[k], 0), 1);
  return (box->box[2] - box->box[0]) * (box->box[3] - box->box[1]) > 0;
}

/* Drops the weak, sorts, drops what overlaps a stronger one of its class, clips the rest, and drops
 * what lies outside. */
static guint
suppress(Box *boxes, guint n)
{
  guint kept = 0, alive = 0, inside = 0;

  for (guint i = 0; i < n; i++)
    if (boxes[i].score > SCORE)
      boxes[alive++] = boxes[i];
  qsort(boxes, alive, sizeof *boxes, by_score);
  for (guint i = 0; i < alive; i++) {
    gboolean drop = FALSE;
    for (guint k = 0; k < kept; k++)
      drop |= boxes[k].class == boxes[i].class && overlap(&boxes[k], &boxes[i]) > IOU;
    if (!drop)
      boxes[kept++] = boxes[i];
  }
  for (guint i = 0; i < kept && inside < TOTAL; i++)
    if (clip(&boxes[i]))
      boxes[inside++] = boxes[i];
  return inside;
}

/* Pixels for centres and sizes, 0..1 for what is a probability: what real outputs are like. */
static void
fill(const Case *c, guint head, float *data, gsize n)
{
  const InferDims *dims = &c->heads[head];
  const gint64 rows = dims->n == 3 ? dims->d[1] : 0, depth = dims->n == 3 ? dims->d[2] : 0;

  for (gsize i = 0; i < n; i++) {
    const float unit = (float)g_test_rand_double_range(0, 1);
    gint64 column = -1;
    if (g_str_equal(c->name, "yolov8"))
      column = (gint64)i / depth % rows;
    else if (dims->n == 3)
      column = (gint64)i % depth;
    data[i] = unit;
    if (c->n_heads == 3)
      data[i] = 6 * unit - 3;
    else if (g_str_equal(c->name, "ssd") && depth == 4)
      data[i] = column < 2 ? 0.6f * unit : 0.6f + 0.4f * unit;
    else if (g_str_equal(c->name, "yolox") && column >= 0 && column < 4)
      data[i] = 2 * unit - 0.5f;
    else if (g_str_has_prefix(c->name, "yolov") && column >= 0 && column < 4)
      data[i] = (column < 2 ? SIDE : SIDE / 2) * unit;
    else if (g_str_equal(c->name, "fastestdet") && (i / 16) % (5 + CLASSES) >= 1 &&
             (i / 16) % (5 + CLASSES) < 5)
      data[i] = 4 * unit - 2;
  }
}

/* A network whose outputs are what it is given: copies of inputs, beside an image. */
static InferNetwork *
make_network(const Case *c)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  g_autoptr(GError) error = NULL;
  const InferDims image = INFER_DIMS(BATCH, 3, SIDE, SIDE);

  infer_network_add_input(network, "image", INFER_TYPE_FLOAT, &image, NULL, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < c->n_heads; i++) {
    g_autofree char *in = g_strdup_printf("in%u", i), *out = g_strdup_printf("out%u", i);
    InferTensor *x =
        infer_network_add_input(network, in, INFER_TYPE_FLOAT, &c->heads[i], NULL, &error);
    InferNode *node = infer_network_add_node(network, "Neg", NULL, &x, 1, NULL, 1, &error);
    g_assert_no_error(error);
    infer_network_mark_output(network, node->outputs[0], out, &error);
    g_assert_no_error(error);
  }
  infer_model_info_set_input(info, "image");
  infer_model_info_set_score_threshold(info, (double)SCORE);
  infer_network_set_model_info(network, info);
  return network;
}

static InferContext *
build(InferNetwork *network)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(GError) error = NULL;
  InferContext *context;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  infer_builder_set_timing_cache(builder, "");
  engine = infer_builder_build(builder, network, "decoder", NULL, &error);
  g_assert_no_error(error);
  context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  infer_context_set_batch(context, 1, &error);
  g_assert_no_error(error);
  return context;
}

static const float *
output(InferContext *context, const char *name)
{
  g_autoptr(GError) error = NULL;
  const float *data = infer_context_map(context, name, NULL, &error);

  g_assert_no_error(error);
  return data;
}

static void
compare(const Case *c, InferContext *context, const InferDetectionOutputs *names, float **heads,
        const gsize *sizes)
{
  const float *boxes = output(context, names->boxes), *scores = output(context, names->scores);
  const float *classes = output(context, names->classes), *count = output(context, names->count);
  g_autofree Box *wanted = g_new(Box, MAX_BOXES);
  guint all = 0;

  for (guint row = 0; row < BATCH; row++) {
    float *at[3] = {NULL};
    for (guint i = 0; i < c->n_heads; i++)
      at[i] = heads[i] + row * (sizes[i] / BATCH);
    const guint n = suppress(wanted, c->decode(at, wanted));
    g_assert_cmpfloat((double)count[row], ==, (double)n);
    all += n;
    for (guint i = 0; i < n; i++) {
      const gsize k = row * TOTAL + i;
      g_assert_cmpfloat_with_epsilon(scores[k], wanted[i].score, 1e-5f);
      g_assert_cmpint((gint)classes[k], ==, wanted[i].class);
      for (guint e = 0; e < 4; e++)
        g_assert_cmpfloat_with_epsilon(boxes[4 * k + e], wanted[i].box[e], 1e-5f);
    }
  }
  g_test_message("%s: %u objects", c->name, all);
  g_assert_cmpuint(all, >, BATCH);
}

static void
test_detector(gconstpointer data)
{
  const Case *c = data;
  g_autoptr(InferNetwork) network = make_network(c);
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;
  InferModelInfo *info = infer_network_get_model_info(network);
  const InferDetectionOutputs *names;
  float *heads[3];
  gsize sizes[3];

  g_assert_cmpstr(infer_decoder_get_name(infer_network_guess_decoder(network)), ==, c->name);
  infer_network_append_decoder(network, &error);
  g_assert_no_error(error);
  g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_DETECTIONS);
  names = infer_model_info_get_detections(info);
  g_assert_cmpint(names->n_classes, ==, CLASSES);
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 4);
  /* What was appended is not appended again. */
  g_assert_true(infer_network_append_decoder(network, &error));
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 4);

  context = build(network);
  for (guint round = 0; round < 3; round++) {
    for (guint i = 0; i < c->n_heads; i++) {
      g_autofree char *name = g_strdup_printf("in%u", i);
      float *input = infer_context_map(context, name, &sizes[i], &error);
      g_assert_no_error(error);
      sizes[i] /= sizeof *input;
      heads[i] = g_new(float, sizes[i]);
      fill(c, i, heads[i], sizes[i]);
      for (gsize k = 0; k < sizes[i]; k++)
        input[k] = -heads[i][k];
    }
    infer_context_run(context, &error);
    g_assert_no_error(error);
    compare(c, context, names, heads, sizes);
    for (guint i = 0; i < c->n_heads; i++)
      g_free(heads[i]);
  }
}

/* One row for each object: the numbers are those of the model, scaled. */
static void
test_one_to_one(void)
{
  const Case c = {"yolov10", TRUE, 1, {{3, {BATCH, 30, 6}}}, -1, NULL};
  g_autoptr(InferNetwork) network = make_network(&c);
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;
  const InferDetectionOutputs *names;
  float *input;

  g_assert_cmpint(infer_network_guess_decoder(network), ==, INFER_DECODER_YOLOV10);
  infer_network_append_decoder(network, &error);
  g_assert_no_error(error);
  names = infer_model_info_get_detections(infer_network_get_model_info(network));
  context = build(network);
  input = infer_context_map(context, "in0", NULL, &error);
  for (guint i = 0; i < BATCH * 30 * 6; i++)
    input[i] = -(float)i;
  infer_context_run(context, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < BATCH * 30; i++) {
    for (guint k = 0; k < 4; k++)
      g_assert_cmpfloat_with_epsilon(output(context, names->boxes)[4 * i + k],
                                     (float)(6 * i + k) / SIDE, 1e-4f);
    g_assert_cmpfloat(output(context, names->scores)[i], ==, (float)(6 * i + 4));
    g_assert_cmpfloat(output(context, names->classes)[i], ==, (float)(6 * i + 5));
  }
  for (guint row = 0; row < BATCH; row++)
    g_assert_cmpfloat(output(context, names->count)[row], ==, 30);
}

static void
run_classifier(const char *activation, gint rank)
{
  const Case c = {"classification", TRUE, 1, {{rank, {BATCH, 20, 1, 1}}}, -1, NULL};
  g_autoptr(InferNetwork) network = make_network(&c);
  InferModelInfo *info = infer_network_get_model_info(network);
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;
  const InferDetectionOutputs *names;
  float *input, sum, best;
  guint at;

  g_assert_cmpint(infer_network_guess_decoder(network), ==, INFER_DECODER_CLASSIFICATION);
  infer_model_info_set_option(info, "activation", activation);
  infer_model_info_set_option(info, "top-k", "3");
  infer_network_append_decoder(network, &error);
  g_assert_no_error(error);
  names = infer_model_info_get_detections(info);
  g_assert_cmpint(names->n_classes, ==, 20);
  context = build(network);
  input = infer_context_map(context, "in0", NULL, &error);
  for (guint i = 0; i < BATCH * 20; i++)
    input[i] = (float)g_test_rand_double_range(-4, 4);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  for (guint row = 0; row < BATCH; row++) {
    float x[20];
    sum = 0;
    for (guint i = 0; i < 20; i++)
      sum += expf(x[i] = -input[row * 20 + i]);
    for (guint k = 0; k < 3; k++) {
      best = -INFINITY;
      at = 0;
      for (guint i = 0; i < 20; i++) {
        if (x[i] > best) {
          best = x[i];
          at = i;
        }
      }
      x[at] = -INFINITY;
      if (g_strcmp0(activation, "none") != 0)
        best = g_strcmp0(activation, "sigmoid") == 0 ? sigmoid(best) : expf(best) / sum;
      g_assert_cmpfloat_with_epsilon(output(context, names->scores)[3 * row + k], best, 1e-5f);
      g_assert_cmpint(((const gint64 *)(gconstpointer)output(context, names->classes))[3 * row + k],
                      ==, at);
    }
  }
}

static void
test_classification(void)
{
  run_classifier(NULL, 2);
  run_classifier("softmax", 4);
  run_classifier("sigmoid", 2);
  run_classifier("none", 3);
}

/* What the outputs do not fit is refused with its reason, and nothing is guessed where nothing is
 * known. */
static void
test_refusals(void)
{
  static const struct {
    Case c;
    const char *key, *value, *part;
  } wrong[] = {
      {{"yolox", FALSE, 1, {{3, {BATCH, CELLS + 1, 9}}}, -1, NULL}, NULL, NULL, "84"},
      {{"yolov8", FALSE, 1, {{2, {BATCH, 9}}}, -1, NULL}, NULL, NULL, "3 dimensions"},
      {{"yolov10", FALSE, 1, {{3, {BATCH, 30, 7}}}, -1, NULL}, NULL, NULL, "[N,K,6]"},
      {{"ssd", FALSE, 2, {{3, {BATCH, 9, 5}}, {3, {BATCH, 9, 5}}}, -1, NULL}, NULL, NULL, "four"},
      {{"fastestdet", FALSE, 1, {{4, {BATCH, 5, 4, 4}}}, -1, NULL}, NULL, NULL, "5+C"},
      {{"classification", FALSE, 1, {{4, {BATCH, 5, 4, 4}}}, -1, NULL}, NULL, NULL, "beside"},
      {{"classification", FALSE, 1, {{2, {BATCH, 5}}}, -1, NULL}, "top-k", "none", "top-k=none"},
      {{"yolov8", FALSE, 1, {{3, {BATCH, 9, CELLS}}}, -1, NULL},
       "iou-threshold",
       "7",
       "iou-threshold=7"},
      {{"yolov5",
        FALSE,
        3,
        {{4, {BATCH, 30, 8, 8}}, {4, {BATCH, 30, 4, 4}}, {4, {BATCH, 30, 2, 2}}},
        -1,
        NULL},
       "anchors",
       "1,2,3",
       "9 pairs"},
  };

  for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autoptr(InferNetwork) network = make_network(&wrong[i].c);
    InferModelInfo *info = infer_network_get_model_info(network);
    g_autoptr(GError) error = NULL;
    InferDecoder decoder;

    g_assert_true(infer_decoder_from_name(wrong[i].c.name, &decoder));
    infer_model_info_set_decoder(info, decoder);
    if (wrong[i].key)
      infer_model_info_set_option(info, wrong[i].key, wrong[i].value);
    g_assert_false(infer_network_append_decoder(network, &error));
    g_test_message("%s", error->message);
    g_assert_error(error, INFER_ERROR, INFER_ERROR_MODEL);
    g_assert_nonnull(strstr(error->message, wrong[i].part));
  }
  const Case unknown = {"none", FALSE, 1, {{3, {BATCH, 7, 7}}}, -1, NULL};
  g_autoptr(InferNetwork) network = make_network(&unknown);
  g_assert_cmpint(infer_network_guess_decoder(network), ==, INFER_DECODER_NONE);
  g_assert_true(infer_network_append_decoder(network, NULL));
  g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 1);
}

/* A plan knows what was appended. */
static void
test_kept_in_plan(void)
{
  g_autoptr(InferNetwork) network = make_network(&cases[3]);
  g_autoptr(InferContext) context = NULL;
  g_autoptr(InferEngine) loaded = NULL;
  g_autoptr(GBytes) plan = NULL;
  g_autoptr(GError) error = NULL;
  InferModelInfo *info;

  infer_network_append_decoder(network, &error);
  g_assert_no_error(error);
  context = build(network);
  plan = infer_engine_serialize(infer_context_get_engine(context), &error);
  g_assert_no_error(error);
  loaded = infer_engine_new_from_bytes(plan, NULL, "cpu", 1, &error);
  g_assert_no_error(error);
  info = infer_engine_get_model_info(loaded);
  g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_DETECTIONS);
  g_assert_cmpint(infer_model_info_get_detections(info)->n_classes, ==, CLASSES);
  g_assert_nonnull(infer_engine_find_binding(loaded, "iou_threshold"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/decoders/%u-%s", i, cases[i].name);
    g_test_add_data_func(path, &cases[i], test_detector);
  }
  g_test_add_func("/decoders/one-to-one", test_one_to_one);
  g_test_add_func("/decoders/classification", test_classification);
  g_test_add_func("/decoders/refusals", test_refusals);
  g_test_add_func("/decoders/kept-in-plan", test_kept_in_plan);
  return g_test_run();
}
