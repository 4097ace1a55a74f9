/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UFF's operations against loops that say what they do, in the file's order of dimensions. */
#include "caffe-check.h"
#include "uff-writer.h"

#include <math.h>

/* A graph that is being written: nodes, and the contents of constants. */
typedef struct {
  GByteArray *nodes, *data;
} Graph;

#define IN(...) ((const char *const[]){__VA_ARGS__, NULL})
#define INTS(...) ((const gint64[]){__VA_ARGS__}), sizeof((const gint64[]){__VA_ARGS__}) / 8

static Graph
begin(const gint64 *dims, gsize n)
{
  Graph g = {g_byte_array_new(), g_byte_array_new()};
  GByteArray *fields = g_byte_array_new();

  uff_set_ints(fields, "shape", dims, n);
  uff_node(g.nodes, "x", "Input", fields, NULL, NULL);
  return g;
}

static void
add(Graph *g, const char *id, const char *op, GByteArray *fields, const char *const *inputs)
{
  uff_node_n(g->nodes, id, op, fields, inputs);
}

static void
floats(Graph *g, const char *id, const float *values, const gint64 *dims, gsize n)
{
  uff_const(g->nodes, g->data, id, values, dims, n);
}

static void
ints(Graph *g, const char *id, const gint32 *values, gint64 n)
{
  uff_const_int32(g->nodes, g->data, id, values, &n, 1);
}

static InferNetwork *
finish(Graph *g, GError **error)
{
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(uff_meta(g->nodes, g->data));

  return infer_parse_uff_bytes(bytes, "graph", NULL, error);
}

static void
check_bytes(Graph *g, const float *x, gsize n_x, gconstpointer want, gsize size, double tolerance)
{
  GError *error = NULL;
  g_autoptr(InferNetwork) network = finish(g, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_autoptr(GBytes) out = cc_run(network, &(CcInput){"x", x, n_x}, 1, 0);
  if (tolerance > 0) {
    cc_compare(out, want, size / sizeof(float), tolerance);
  } else {
    g_assert_cmpmem(g_bytes_get_data(out, NULL), g_bytes_get_size(out), want, size);
  }
}

static void
check(Graph *g, const float *x, gsize n_x, const float *want, gsize n)
{
  check_bytes(g, x, n_x, want, n * sizeof *want, 1e-5);
}

static GByteArray *
of_int(const char *key, gint64 value)
{
  GByteArray *fields = g_byte_array_new();

  uff_set_int(fields, key, value);
  return fields;
}

static GByteArray *
of_text(const char *key, const char *value)
{
  GByteArray *fields = g_byte_array_new();

  uff_set_text(fields, key, value);
  return fields;
}

typedef struct {
  gint h, w, c, k, kernel, stride, dilation, group, pad; /* pad -1: TensorFlow's "same" */
  const char *left, *right;
} Conv;

/* One pass over image [h, w, c] in the order of @p, or back. */
static gsize
convolve(const Conv *p, const float *x, const float *filter, float *out)
{
  gint span = p->dilation * (p->kernel - 1) + 1, oh, ow, top, side;
  gint per = p->c / p->group, multiple = p->k / p->group;
  gboolean first = p->left[1] == 'C';

  if (p->pad < 0) {
    oh = (p->h + p->stride - 1) / p->stride;
    ow = (p->w + p->stride - 1) / p->stride;
    top = MAX((oh - 1) * p->stride + span - p->h, 0) / 2;
    side = MAX((ow - 1) * p->stride + span - p->w, 0) / 2;
  } else {
    oh = (p->h + 2 * p->pad - span) / p->stride + 1;
    ow = (p->w + 2 * p->pad - span) / p->stride + 1;
    top = side = p->pad;
  }
  for (gint i = 0; i < oh * ow * p->k; i++) {
    gint y = i / p->k / ow, z = i / p->k % ow, k = i % p->k;
    double sum = 0;
    for (gint j = 0; j < p->kernel * p->kernel * per; j++) {
      gint a = j / per / p->kernel, b = j / per % p->kernel, c = k / multiple * per + j % per;
      gint row = y * p->stride - top + a * p->dilation;
      gint column = z * p->stride - side + b * p->dilation;
      gboolean rows_first = p->right[0] == '+';
      gint at = rows_first && p->group == p->c && p->group > 1
                    ? ((a * p->kernel + b) * p->c + k / multiple) * multiple + k % multiple
                : rows_first ? ((a * p->kernel + b) * per + j % per) * p->k + k
                             : ((k * per + j % per) * p->kernel + a) * p->kernel + b;
      if (row >= 0 && row < p->h && column >= 0 && column < p->w) {
        gint from = first ? (c * p->h + row) * p->w + column : (row * p->w + column) * p->c + c;
        sum += (double)x[from] * (double)filter[at];
      }
    }
    out[first ? (k * oh + y) * ow + z : i] = (float)sum;
  }
  return (gsize)(oh * ow * p->k);
}

static GByteArray *
conv_fields(const Conv *p)
{
  GByteArray *fields = g_byte_array_new();

  uff_set_ints(fields, "strides", INTS(p->stride, p->stride));
  uff_set_ints(fields, "dilation", INTS(p->dilation, p->dilation));
  uff_set_int(fields, "number_groups", p->group);
  if (p->pad < 0) {
    uff_set_text(fields, "implicit_padding", "same");
  } else {
    uff_set_ints(fields, "padding", INTS(p->pad, p->pad));
  }
  uff_set_orders(fields, IN(p->left, p->right));
  return fields;
}

static void
test_conv(void)
{
  static const Conv cases[] = {
      {6, 5, 3, 4, 3, 2, 1, 1, -1, "N+C", "+CK"}, {7, 7, 3, 4, 3, 1, 2, 1, -1, "N+C", "+CK"},
      {6, 5, 4, 4, 3, 1, 1, 1, 1, "N+C", "+CK"},  {6, 5, 4, 8, 3, 1, 1, 4, -1, "N+C", "+CK"},
      {6, 5, 4, 6, 2, 1, 1, 2, 0, "NC+", "KC+"},
  };
  float x[CC_MAX], filter[CC_MAX], want[CC_MAX];

  cc_fill(x, CC_MAX, 1);
  cc_fill(filter, CC_MAX, 2);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    const Conv *p = &cases[i];
    gboolean first = p->left[1] == 'C', single = p->group > 1 && p->right[0] == '+';
    Graph g = first ? begin(INTS(-1, p->c, p->h, p->w)) : begin(INTS(-1, p->h, p->w, p->c));
    if (single) {
      floats(&g, "f", filter, INTS(p->kernel, p->kernel, p->c, p->k / p->group));
    } else if (first) {
      floats(&g, "f", filter, INTS(p->k, p->c / p->group, p->kernel, p->kernel));
    } else {
      floats(&g, "f", filter, INTS(p->kernel, p->kernel, p->c, p->k));
    }
    add(&g, "y", "Conv", conv_fields(p), IN("x", "f"));
    gsize n = convolve(p, x, filter, want);
    check(&g, x, (gsize)(p->h * p->w * p->c), want, n);
  }
}

/* The gradient of a convolution: every product that makes an element of it goes back. */
static void
test_conv_transpose(void)
{
  static const struct {
    gint h, out, kernel, stride;
    gboolean same, shaped;
  } cases[] = {{3, 6, 4, 2, TRUE, TRUE},
               {3, 5, 3, 2, TRUE, TRUE},
               {3, 6, 3, 2, TRUE, FALSE},
               {3, 7, 3, 2, FALSE, TRUE},
               {3, 8, 3, 2, FALSE, TRUE}};
  enum { C = 2, K = 3 };
  float x[CC_MAX], filter[CC_MAX], want[CC_MAX];

  cc_fill(x, CC_MAX, 1);
  cc_fill(filter, CC_MAX, 2);
  for (gsize t = 0; t < G_N_ELEMENTS(cases); t++) {
    gint h = cases[t].h, out = cases[t].out, kernel = cases[t].kernel, stride = cases[t].stride;
    gint pad = cases[t].same ? MAX((h - 1) * stride + kernel - out, 0) / 2 : 0;
    GByteArray *fields = g_byte_array_new();
    Graph g = begin(INTS(-1, h, h, C));
    memset(want, 0, sizeof want);
    for (gint i = 0; i < h * h * C; i++) {
      for (gint j = 0; j < kernel * kernel * K; j++) {
        gint row = i / C / h * stride - pad + j / K / kernel;
        gint column = i / C % h * stride - pad + j / K % kernel;
        if (row >= 0 && row < out && column >= 0 && column < out) {
          want[(row * out + column) * K + j % K] += x[i] * filter[j * C + i % C];
        }
      }
    }
    floats(&g, "f", filter, INTS(kernel, kernel, K, C));
    if (cases[t].shaped) {
      ints(&g, "s", (const gint32[]){1, out, out, K}, 4);
    }
    uff_set_ints(fields, "strides", INTS(stride, stride));
    uff_set_orders(fields, IN("N+C", "+KC"));
    if (cases[t].same) {
      uff_set_text(fields, "implicit_padding", "same");
    }
    add(&g, "y", "ConvTranspose", fields, cases[t].shaped ? IN("x", "f", "s") : IN("x", "f"));
    check(&g, x, (gsize)(h * h * C), want, (gsize)(out * out * K));
  }
}

/* TensorFlow's LRN: a radius, and alpha for each element. */
static void
test_lrn(void)
{
  Graph g = begin(INTS(-1, 2, 2, 5));
  GByteArray *fields = g_byte_array_new(), *same = g_byte_array_new();
  float x[20], want[20];

  cc_fill(x, 20, 4);
  for (gint i = 0; i < 20; i++) {
    double sum = 0;
    for (gint c = MAX(i % 5 - 2, 0); c <= MIN(i % 5 + 2, 4); c++) {
      sum += pow((double)x[i / 5 * 5 + c], 2);
    }
    want[i] = (float)((double)x[i] / pow(1.5 + 0.25 * sum, 0.75));
  }
  uff_set_int(fields, "window_size", 2);
  uff_set_double(fields, "alpha", 0.25);
  uff_set_double(fields, "beta", 0.75);
  uff_set_double(fields, "k", 1.5);
  uff_set_orders(fields, IN("NC+"));
  uff_set_text(same, "func", "max");
  uff_set_ints(same, "kernel", INTS(1, 1));
  uff_set_ints(same, "strides", INTS(1, 1));
  uff_set_orders(same, IN("N+C"));
  add(&g, "p", "Pool", same, IN("x"));
  add(&g, "y", "LRN", fields, IN("p"));
  check(&g, x, 20, want, 20);
}

static void
test_matrix(void)
{
  static const char *const formats[] = {"CK", "KC"};
  float x[3], weights[6], want[2];

  cc_fill(x, 3, 1);
  cc_fill(weights, 6, 2);
  for (guint i = 0; i < 2; i++) {
    Graph g = begin(INTS(-1, 3));
    GByteArray *fields = g_byte_array_new();
    for (guint k = 0; k < 2; k++) {
      want[k] = 0;
      for (guint c = 0; c < 3; c++) {
        want[k] += x[c] * weights[i ? k * 3 + c : c * 2 + k];
      }
    }
    if (i) {
      floats(&g, "w", weights, INTS(2, 3));
    } else {
      floats(&g, "w", weights, INTS(3, 2));
    }
    uff_set_orders(fields, IN("NC", formats[i]));
    add(&g, "y", i ? "MatMul" : "FullyConnected", fields, IN("x", "w"));
    check(&g, x, 3, want, 2);
  }
}

static void
test_slice(void)
{
  const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const float middle[4] = {11, 9, 7, 5}, row[4] = {4, 5, 6, 7};
  Graph g = begin(INTS(-1, 3, 4));
  GByteArray *fields = of_int("begin_mask", 1);

  /* [:, 2:0:-1, ::-2], and [:, 1] */
  ints(&g, "b", (const gint32[]){7, 2, -1}, 3);
  ints(&g, "e", (const gint32[]){7, 0, 9}, 3);
  ints(&g, "s", (const gint32[]){1, -1, -2}, 3);
  uff_set_int(fields, "end_mask", 5);
  add(&g, "y", "StridedSlice", fields, IN("x", "b", "e", "s"));
  check(&g, x, 12, middle, 4);
  g = begin(INTS(-1, 3, 4));
  ints(&g, "b", (const gint32[]){0, 1}, 2);
  ints(&g, "e", (const gint32[]){0, 9}, 2);
  ints(&g, "s", (const gint32[]){1, 1}, 2);
  fields = of_int("begin_mask", 1);
  uff_set_int(fields, "end_mask", 1);
  uff_set_int(fields, "shrink_axis_mask", 2);
  add(&g, "y", "StridedSlice", fields, IN("x", "b", "e", "s"));
  check(&g, x, 12, row, 4);
}

/* What TensorFlow writes for a flattening: the batch from Shape, stacked with the rest. */
static void
test_shape(void)
{
  const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  Graph g = begin(INTS(-1, 3, 4));
  const gint32 twelve = 12;

  add(&g, "shape", "Shape", NULL, IN("x"));
  ints(&g, "b", (const gint32[]){0}, 1);
  ints(&g, "e", (const gint32[]){1}, 1);
  add(&g, "n", "StridedSlice", of_int("shrink_axis_mask", 1), IN("shape", "b", "e", "e"));
  uff_const_int32(g.nodes, g.data, "rest", &twelve, NULL, 0);
  add(&g, "dims", "Stack", of_int("axis", 0), IN("n", "rest"));
  add(&g, "y", "Reshape", NULL, IN("x", "dims"));
  {
    GError *error = NULL;
    g_autoptr(InferNetwork) network = finish(&g, &error);
    g_assert_no_error(error);
    const InferDims *dims = &infer_network_get_output(network, 0)->dims;
    g_assert_cmpint(dims->n, ==, 2);
    g_assert_cmpint(dims->d[0], ==, infer_network_get_input(network, 0)->dims.d[0]);
    g_assert_cmpint(dims->d[1], ==, 12);
    g_autoptr(GBytes) out = cc_run(network, &(CcInput){"x", x, 12}, 1, 0);
    cc_compare(out, x, 12, 0);
  }
}

static void
test_best(void)
{
  const float x[6] = {3, 9, 4, 1, 7, 8};
  const gint32 most[2] = {1, 2}, least[3] = {1, 1, 0};
  Graph g = begin(INTS(-1, 2, 3));

  add(&g, "y", "ArgMax", of_int("axis", 2), IN("x"));
  check_bytes(&g, x, 6, most, sizeof most, 0);
  g = begin(INTS(-1, 2, 3));
  add(&g, "y", "ArgMin", of_int("axis", 1), IN("x"));
  check_bytes(&g, x, 6, least, sizeof least, 0);
}

static void
test_moves(void)
{
  const float x[4] = {1, 2, 3, 4}, stacked[8] = {1, 1, 2, 2, 3, 3, 4, 4};
  const float gathered[6] = {2, 1, 2, 4, 3, 4}, padded[6] = {0, 1, 2, 0, 3, 4};
  GByteArray *fields;
  Graph g = begin(INTS(-1, 4));

  add(&g, "y", "Stack", of_int("axis", 2), IN("x", "x"));
  check(&g, x, 4, stacked, 8);
  g = begin(INTS(-1, 2, 2));
  ints(&g, "i", (const gint32[]){1, 0, 1}, 3);
  add(&g, "y", "GatherV2", of_int("axis", 2), IN("x", "i"));
  check(&g, x, 4, gathered, 6);
  g = begin(INTS(-1, 2, 2));
  uff_const_int32(g.nodes, g.data, "p", (const gint32[]){0, 0, 0, 0, 1, 0}, INTS(3, 2));
  add(&g, "y", "Pad", NULL, IN("x", "p"));
  check(&g, x, 4, padded, 6);
  g = begin(INTS(-1, 1, 4, 1));
  fields = g_byte_array_new();
  uff_set_ints(fields, "permutation", INTS(1, 0));
  add(&g, "s", "Squeeze", NULL, IN("x"));
  add(&g, "e", "ExpandDims", of_int("axis", 1), IN("s"));
  add(&g, "y", "Identity", NULL, IN("e"));
  g_byte_array_unref(fields);
  check(&g, x, 4, x, 4);
}

/* After a pool the image lies the other way; nothing of that is to be seen. */
static void
test_after_image(void)
{
  static const char *const pool[] = {"N+C", NULL};
  float x[12], joined[24], padded[30], mean[2], soft[12], sum[12];
  const float plus[2] = {1, -1};

  cc_fill(x, 12, 5);
  for (guint which = 0; which < 5; which++) {
    Graph g = begin(INTS(-1, 2, 3, 2));
    GByteArray *fields = g_byte_array_new();
    uff_set_text(fields, "func", "avg");
    uff_set_ints(fields, "kernel", INTS(1, 1));
    uff_set_ints(fields, "strides", INTS(1, 1));
    uff_set_orders(fields, pool);
    add(&g, "p", "Pool", fields, IN("x"));
    memset(padded, 0, sizeof padded);
    memset(mean, 0, sizeof mean);
    for (guint i = 0; i < 12; i++) {
      joined[i / 6 * 12 + i % 6] = joined[i / 6 * 12 + 6 + i % 6] = x[i];
      padded[i / 6 * 10 + i % 6 + 2] = x[i];
      mean[i % 2] += x[i] / 6;
      soft[i] = expf(x[i]) / (expf(x[i]) + expf(x[i ^ 1]));
      sum[i] = x[i] * x[i] + plus[i % 2];
    }
    if (which == 0) {
      add(&g, "y", "Concat", of_int("axis", 2), IN("p", "p"));
      check(&g, x, 12, joined, 24);
    } else if (which == 1) {
      uff_const_int32(g.nodes, g.data, "d", (const gint32[]){0, 0, 0, 0, 1, 1, 0, 0}, INTS(4, 2));
      add(&g, "y", "Pad", NULL, IN("p", "d"));
      check(&g, x, 12, padded, 20);
    } else if (which == 2) {
      fields = of_text("func", "mean");
      uff_set_ints(fields, "axes", INTS(1, 2));
      add(&g, "y", "Reduce", fields, IN("p"));
      check(&g, x, 12, mean, 2);
    } else if (which == 3) {
      add(&g, "y", "Softmax", of_int("axis", 0), IN("p"));
      check(&g, x, 12, soft, 12);
    } else {
      floats(&g, "c", plus, INTS(2));
      add(&g, "q", "Unary", of_text("func", "square"), IN("p"));
      add(&g, "y", "Binary", of_text("func", "add"), IN("q", "c"));
      check(&g, x, 12, sum, 12);
    }
  }
}

static void
refuse(Graph *g, const char *message)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(finish(g, &error));
  if (!strstr(error->message, message)) {
    g_error("'%s' is not in: %s", message, error->message);
  }
}

static void
test_errors(void)
{
  Graph g = begin(INTS(-1, 3, 4));

  add(&g, "y", "StridedSlice", NULL, IN("x", "x", "x", "x"));
  refuse(&g, "'y' (StridedSlice): 'x' is not a constant of at most");
  g = begin(INTS(-1, 3, 4, 1));
  add(&g, "y", "ConvTranspose", NULL, IN("x", "x"));
  refuse(&g, "its filter is not a constant");
  g = begin(INTS(-1, 3, 4));
  add(&g, "y", "Unary", of_text("func", "magic"), IN("x"));
  refuse(&g, "the function 'magic' is not known");
  g = begin(INTS(-1, 3, 4));
  add(&g, "y", "Split", NULL, IN("x"));
  refuse(&g, "'y' (Split): this operation is not supported");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/uff-ops/conv", test_conv);
  g_test_add_func("/uff-ops/conv-transpose", test_conv_transpose);
  g_test_add_func("/uff-ops/lrn", test_lrn);
  g_test_add_func("/uff-ops/matrix", test_matrix);
  g_test_add_func("/uff-ops/slice", test_slice);
  g_test_add_func("/uff-ops/shape", test_shape);
  g_test_add_func("/uff-ops/best", test_best);
  g_test_add_func("/uff-ops/moves", test_moves);
  g_test_add_func("/uff-ops/after-image", test_after_image);
  g_test_add_func("/uff-ops/errors", test_errors);
  return g_test_run();
}
