/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include "cpu.h"

/* The CPU's box decoding and non-maximum suppression give the bits of the operators' own eval. */

#define MAX_OPERANDS 4

typedef struct {
  InferNetwork *network;
  InferNode *node;
  InferArray *in[MAX_OPERANDS];
  guint n_in, n_out;
} Case;

static InferArray *
new_array(const InferDims *dims)
{
  g_autoptr(GError) error = NULL;
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, dims, &error);

  g_assert_no_error(error);
  return array;
}

/* Makes a network of one node whose inputs are the case's arrays. */
static void
case_build(Case *test, const char *op, GVariant *attrs)
{
  InferTensor *tensors[MAX_OPERANDS];
  g_autoptr(GError) error = NULL;

  test->network = infer_network_new();
  for (guint i = 0; i < test->n_in; i++) {
    g_autofree char *name = g_strdup_printf("in%u", i);

    tensors[i] = infer_network_add_input(test->network, name, INFER_TYPE_FLOAT, &test->in[i]->dims,
                                         NULL, &error);
    g_assert_no_error(error);
  }
  test->node = infer_network_add_node(test->network, op, "node", tensors, test->n_in, attrs,
                                      test->n_out, &error);
  g_assert_no_error(error);
}

static void
case_clear(Case *test)
{
  for (guint i = 0; i < test->n_in; i++)
    infer_array_unref(test->in[i]);
  g_object_unref(test->network);
}

/* Runs @impl as the engine would, into memory that holds garbage. */
static void
run_impl(const Case *test, const InferImpl *impl, guint threads, InferArray *const *reference,
         gfloat **out)
{
  InferDevice device = {.name = (char *)"cpu", .key = (char *)"test", .threads = threads};
  InferNode *nodes[1] = {test->node};
  InferStep step = {.name = (char *)"step",
                    .n_nodes = 1,
                    .nodes = nodes,
                    .n_inputs = test->n_in,
                    .inputs = test->node->inputs,
                    .n_outputs = test->n_out,
                    .outputs = test->node->outputs,
                    .impl = impl};
  InferLayout in_layouts[MAX_OPERANDS] = {0}, out_layouts[MAX_OPERANDS] = {0};
  InferBuffer inputs[MAX_OPERANDS] = {0}, outputs[MAX_OPERANDS] = {0};
  InferPrepare prepare = {.device = &device, .step = &step, .inputs = inputs, .outputs = outputs};
  void *in_data[MAX_OPERANDS], *out_data[MAX_OPERANDS], *workspace;
  g_autoptr(GError) error = NULL;

  g_assert_true(impl->supports(&device, &step, in_layouts, out_layouts));
  for (guint i = 0; i < test->n_in; i++) {
    inputs[i].type = INFER_TYPE_FLOAT;
    inputs[i].dims = test->in[i]->dims;
    in_data[i] = test->in[i]->data;
  }
  for (guint i = 0; i < test->n_out; i++) {
    outputs[i].type = INFER_TYPE_FLOAT;
    outputs[i].dims = reference[i]->dims;
    out[i] = g_malloc(reference[i]->size + 1);
    memset(out[i], 0xa5, reference[i]->size);
    out_data[i] = out[i];
  }
  impl->prepare(&prepare, &error);
  g_assert_no_error(error);
  workspace = aligned_alloc(64, (prepare.workspace + 64) & ~(gsize)63);
  memset(workspace, 0xa5, prepare.workspace);
  for (guint i = 0; i < 2; i++) {
    impl->run(prepare.state, NULL, in_data, out_data, workspace, &error);
    g_assert_no_error(error);
  }
  free(workspace);
  impl->release(prepare.state);
}

/* The same bits; which NaN a NaN is is left to the compiler. */
static void
assert_same(const float *got, const float *want, gsize n, guint output)
{
  for (gsize i = 0; i < n; i++) {
    if (isnan(got[i]) ? !isnan(want[i]) : memcmp(&got[i], &want[i], sizeof *got) != 0)
      g_error("output %u, element %" G_GSIZE_FORMAT ": %.9g instead of %.9g", output, i,
              (double)got[i], (double)want[i]);
  }
}

static void
case_check(const Case *test, const InferImpl *impl, guint threads)
{
  g_autoptr(GError) error = NULL;
  InferArray *reference[MAX_OPERANDS] = {NULL};
  float *out[MAX_OPERANDS] = {NULL};

  infer_op_eval_alloc(test->node, (const InferArray *const *)test->in, test->n_in, reference,
                      test->n_out, &error);
  g_assert_no_error(error);
  run_impl(test, impl, threads, reference, out);
  for (guint i = 0; i < test->n_out; i++) {
    assert_same(out[i], reference[i]->data, reference[i]->size / sizeof(float), i);
    g_free(out[i]);
    infer_array_unref(reference[i]);
  }
}

static float
pick(const float *values, guint n)
{
  return values[g_test_rand_int_range(0, (gint)n)];
}

/* infer.BoxDecode */

static void
test_boxdecode(void)
{
  static const gint64 sizes[] = {0, 1, 7, 300, 3000};
  static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -0.0f};

  for (guint i = 0; i < 40; i++) {
    gint64 n = g_test_rand_int_range(1, 4), a = sizes[i % G_N_ELEMENTS(sizes)];
    static const double scales[4] = {5, 7, 3, 2};
    Case test = {.n_in = 2, .n_out = 1};
    GVariant *attrs;

    test.in[0] = new_array(&INFER_DIMS(n, a, 4));
    test.in[1] = new_array(&INFER_DIMS(a, 4));
    for (guint k = 0; k < 2; k++) {
      for (gint64 e = 0; e < infer_array_count(test.in[k]); e++)
        ((float *)test.in[k]->data)[e] = g_test_rand_int_range(0, 50)
                                             ? (float)g_test_rand_double_range(-1, 2)
                                             : pick(odd, G_N_ELEMENTS(odd));
    }
    attrs = i & 1 ? infer_attrs_new("clip", 'i', (gint64)(i >> 1 & 1), NULL)
                  : infer_attrs_new("clip", 'i', (gint64)(i >> 1 & 1), "scales", 'F', scales,
                                    (gsize)4, NULL);
    case_build(&test, "infer.BoxDecode", attrs);
    case_check(&test, &infer_cpu_boxdecode, 2);
    case_clear(&test);
  }
}

/* infer.DetectionNMS */

typedef struct {
  gint64 images, boxes, classes, box_classes;
  gboolean four;           /* boxes have four dimensions */
  guint levels;            /* scores take so many values, to make ties; 0 for any */
  double odd;              /* part of scores and coordinates that are no ordinary numbers */
  float score, iou;        /* thresholds */
  gint64 per_class, total; /* limits */
  gint64 background, offset;
  gboolean agnostic, clip;
} NmsCase;

static float
random_score(const NmsCase *c)
{
  static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, -1.0f};

  if (g_test_rand_double() < c->odd)
    return pick(odd, G_N_ELEMENTS(odd));
  if (c->levels)
    return (float)g_test_rand_int_range(0, (gint)c->levels + 1) / (float)c->levels;
  return (float)g_test_rand_double();
}

static void
random_box(const NmsCase *c, float *box)
{
  static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e30f, -5.0f};
  double y = g_test_rand_double_range(-0.1, 1), x = g_test_rand_double_range(-0.1, 1);
  double h = g_test_rand_double_range(-0.1, 0.5), w = g_test_rand_double_range(-0.1, 0.5);
  const double corners[4] = {y, x, y + h, x + w};

  for (guint i = 0; i < 4; i++)
    box[i] = g_test_rand_double() < c->odd ? pick(odd, G_N_ELEMENTS(odd)) : (float)corners[i];
}

static GVariant *
nms_attrs(const NmsCase *c)
{
  static const double window[4] = {0, 0.05, 1, 0.9};
  GVariant *attrs = infer_attrs_new("max_per_class", 'i', c->per_class, "max_total", 'i', c->total,
                                    "background", 'i', c->background, "class_offset", 'i',
                                    c->offset, "class_agnostic", 'i', (gint64)c->agnostic,
                                    c->clip ? "clip_window" : NULL, 'F', window, (gsize)4, NULL);

  return attrs;
}

static void
nms_check(const NmsCase *c, guint threads)
{
  Case test = {.n_in = 4, .n_out = 4};
  gint64 groups = c->four ? c->box_classes : 1;

  test.in[0] = c->four ? new_array(&INFER_DIMS(c->images, c->boxes, groups, 4))
                       : new_array(&INFER_DIMS(c->images, c->boxes, 4));
  test.in[1] = new_array(&INFER_DIMS(c->images, c->boxes, c->classes));
  test.in[2] = infer_array_new_float(c->score);
  test.in[3] = infer_array_new_float(c->iou);
  for (gint64 i = 0; i < c->images * c->boxes * groups; i++)
    random_box(c, (float *)test.in[0]->data + 4 * i);
  for (gint64 i = 0; i < infer_array_count(test.in[1]); i++)
    ((float *)test.in[1]->data)[i] = random_score(c);
  case_build(&test, "infer.DetectionNMS", nms_attrs(c));
  case_check(&test, &infer_cpu_detectionnms, threads);
  case_clear(&test);
}

static void
nms_random(NmsCase *c, gint64 boxes)
{
  static const float thresholds[] = {0,    0.01f, 0.3f,      0.5f,     0.7f, 0.99f,
                                     1.0f, -1.0f, -INFINITY, INFINITY, NAN};
  static const gint64 limits[] = {1, 2, 7, 100, 5000};

  *c = (NmsCase){.images = g_test_rand_int_range(1, 4), .boxes = boxes};
  c->classes = g_test_rand_int_range(1, boxes > 500 ? 12 : 40);
  c->four = g_test_rand_bit();
  c->box_classes = g_test_rand_bit() ? c->classes : 1;
  c->levels = g_test_rand_bit() ? (guint)g_test_rand_int_range(1, 20) : 0;
  c->odd = g_test_rand_bit() ? 0 : 0.05;
  c->score =
      g_test_rand_bit() ? (float)g_test_rand_double() : pick(thresholds, G_N_ELEMENTS(thresholds));
  c->iou =
      g_test_rand_bit() ? (float)g_test_rand_double() : pick(thresholds, G_N_ELEMENTS(thresholds));
  c->per_class = limits[g_test_rand_int_range(0, G_N_ELEMENTS(limits))];
  c->total = limits[g_test_rand_int_range(0, G_N_ELEMENTS(limits))];
  c->background = g_test_rand_int_range(-2, (gint)c->classes + 1);
  c->offset = g_test_rand_int_range(-1, 3);
  c->agnostic = g_test_rand_int_range(0, 3) == 0;
  c->clip = g_test_rand_bit();
}

static void
test_nms(gconstpointer user_data)
{
  gint most = GPOINTER_TO_INT(user_data);

  for (guint i = 0; i < (most > 500 ? 30 : 400); i++) {
    NmsCase c;

    nms_random(&c, g_test_rand_int_range(0, most + 1));
    nms_check(&c, 1 + i % 3);
  }
}

/* As single-shot detectors have it: many boxes, one class in ninety, a low threshold. */
static void
test_nms_detector(void)
{
  NmsCase c = {.images = 2,
               .boxes = 1917,
               .classes = 91,
               .four = TRUE,
               .box_classes = 1,
               .score = 1e-8f,
               .iou = 0.6f,
               .per_class = 100,
               .total = 100,
               .clip = TRUE};

  nms_check(&c, 2);
  c.score = 0.3f;
  nms_check(&c, 2);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/detection/boxdecode", test_boxdecode);
  g_test_add_data_func("/detection/nms/few", GINT_TO_POINTER(4), test_nms);
  g_test_add_data_func("/detection/nms/some", GINT_TO_POINTER(120), test_nms);
  g_test_add_data_func("/detection/nms/many", GINT_TO_POINTER(3000), test_nms);
  g_test_add_func("/detection/nms/detector", test_nms_detector);
  return g_test_run();
}
