/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-seed.h"
#include "net-check.h"

/* A network for every layer of infer/layers.h: defined, built, saved, loaded, run, and compared
 * with the evaluation of its nodes. */

static InferTensor *
image(Seed *s)
{
  return in(s, FLOAT, INFER_DIMS(s->batch, 4, 9, 10));
}

/* --- one function a row, or a family --- */

static void
convolution(Seed *s)
{
  InferTensor *x = image(s);

  out(s, infer_network_add_convolution(s->net, x, 6, D(3, 3), w(s, INFER_DIMS(6, 4, 3, 3)),
                                       w(s, INFER_DIMS(6)), D(2, 1), D(1, 1), D(0, 2), ROUND_DOWN,
                                       NULL, 1, NAME, s->e));
  /* Weights without a shape; groups; a dilation; a last window that hangs over. */
  out(s, infer_network_add_convolution(s->net, x, 8, D(3, 2), w(s, INFER_DIMS(8 * 2 * 6)), NULL,
                                       D(4, 4), NULL, NULL, ROUND_UP, D(2, 1), 2, NULL, s->e));
  x = infer_network_add_convolution(s->net, x, 4, D(3, 3), w(s, INFER_DIMS(4, 1, 3, 3)), NULL,
                                    D(2, 2), NULL, NULL, INFER_PADDING_MODE_SAME_UPPER, NULL, 4,
                                    NULL, s->e);
  g_assert_true(!x || (x->dims.d[2] == 5 && x->dims.d[3] == 5));
  out(s, x);
}

static void
deconvolution(Seed *s)
{
  InferTensor *x = image(s);

  out(s, infer_network_add_deconvolution(s->net, x, 6, D(3, 3), w(s, INFER_DIMS(4, 6, 3, 3)),
                                         w(s, INFER_DIMS(6)), D(2, 2), D(1, 1), NULL, ROUND_DOWN,
                                         NULL, 1, NAME, s->e));
  out(s, infer_network_add_deconvolution(s->net, x, 4, D(4, 4), w(s, INFER_DIMS(4, 1, 4, 4)), NULL,
                                         D(2, 2), NULL, NULL, INFER_PADDING_MODE_SAME_LOWER, NULL,
                                         4, NULL, s->e));
}

static void
fully_connected(Seed *s)
{
  out(s, infer_network_add_fully_connected(s->net, image(s), 7, w(s, INFER_DIMS(7, 360)),
                                           w(s, INFER_DIMS(7)), NAME, s->e));
  out(s, infer_network_add_fully_connected(s->net, in(s, FLOAT, INFER_DIMS(s->batch, 5)), 3,
                                           w(s, INFER_DIMS(3, 5)), NULL, NULL, s->e));
}

static void
pooling(Seed *s)
{
  InferTensor *x = image(s);

  for (int kind = INFER_POOLING_MAX; kind <= INFER_POOLING_L2; kind++) {
    out(s, infer_network_add_pooling(s->net, x, (InferPooling)kind, D(3, 2), D(2, 2), D(1, 0),
                                     D(1, 1), ROUND_DOWN, TRUE, 0.25, NULL, s->e));
    out(s, infer_network_add_pooling(s->net, x, (InferPooling)kind, D(4, 4), NULL, NULL, NULL,
                                     ROUND_UP, FALSE, 0.5, NULL, s->e));
    out(s, infer_network_add_pooling(s->net, x, (InferPooling)kind, NULL, NULL, NULL, NULL,
                                     ROUND_DOWN, FALSE, 0.5, NULL, s->e));
  }
}

static void
activation(Seed *s)
{
  InferTensor *x = image(s);

  for (int i = INFER_ACTIVATION_RELU; i <= INFER_ACTIVATION_MISH; i++)
    out(s, infer_network_add_activation(s->net, x, (InferActivation)i, 0.2, 0.75, NULL, s->e));
}

static void
lrn(Seed *s)
{
  out(s, infer_network_add_lrn(s->net, image(s), 3, 0.5, 0.75, 2, NAME, s->e));
}

static void
scale(Seed *s)
{
  InferTensor *x = in_range(s, INFER_DIMS(s->batch, 4, 3, 2), 0.5, 2);

  out(s, infer_network_add_scale(s->net, x, INFER_SCALE_MODE_UNIFORM, w(s, INFER_DIMS(1)),
                                 w(s, INFER_DIMS(1)), w(s, INFER_DIMS(1)), 1, NAME, s->e));
  out(s, infer_network_add_scale(s->net, x, INFER_SCALE_MODE_CHANNEL, w(s, INFER_DIMS(4)),
                                 w(s, INFER_DIMS(4)), NULL, 1, NULL, s->e));
  out(s, infer_network_add_scale(s->net, x, INFER_SCALE_MODE_ELEMENT_WISE, NULL, NULL,
                                 w(s, INFER_DIMS(4, 3, 2)), 1, NULL, s->e));
  out(s, infer_network_add_scale(s->net, x, INFER_SCALE_MODE_UNIFORM, NULL, NULL, NULL, 1, NULL,
                                 s->e));
}

static void
batch_normalization(Seed *s)
{
  const InferDims four = INFER_DIMS(4);

  out(s, infer_network_add_batch_normalization(s->net, image(s), w(s, four), w(s, four), w(s, four),
                                               w(s, four), 1e-5, NAME, s->e));
}

static void
normalization(Seed *s)
{
  InferTensor *x = image(s);
  InferTensor *channels = c(s, INFER_DIMS(4)), *row = c(s, INFER_DIMS(10));

  out(s, infer_network_add_normalization(s->net, x, INFER_NORMALIZATION_INSTANCE, channels,
                                         channels, 0, 0, 1e-5, NAME, s->e));
  out(s, infer_network_add_normalization(s->net, x, INFER_NORMALIZATION_GROUP, channels, NULL, 0, 2,
                                         1e-5, NULL, s->e));
  out(s, infer_network_add_normalization(s->net, x, INFER_NORMALIZATION_LAYER, row, row, -1, 0,
                                         1e-5, NULL, s->e));
  out(s, infer_network_add_normalization(s->net, x, INFER_NORMALIZATION_LAYER, row, NULL, 3, 0,
                                         1e-5, NULL, s->e));
  out(s, infer_network_add_normalization(s->net, x, INFER_NORMALIZATION_RMS, row, NULL, -1, 0, 1e-5,
                                         NULL, s->e));
}

static void
soft_max(Seed *s)
{
  InferTensor *x = image(s);

  out(s, infer_network_add_soft_max(s->net, x, 1, FALSE, NAME, s->e));
  out(s, infer_network_add_soft_max(s->net, x, -1, TRUE, NULL, s->e));
}

static void
concatenation(Seed *s)
{
  InferTensor *both[] = {image(s), in(s, FLOAT, INFER_DIMS(s->batch, 2, 9, 10))};

  out(s, infer_network_add_concatenation(s->net, both, 2, 1, NAME, s->e));
}

static void
element_wise(Seed *s)
{
  InferTensor *a = in_range(s, INFER_DIMS(s->batch, 3, 4), 0.5, 3), *b = c(s, INFER_DIMS(3, 1));
  InferTensor *i = in(s, INT64, INFER_DIMS(s->batch, 2)), *j = INTS(INFER_DIMS(2), 2, -3), *p, *q;

  for (int k = INFER_ELEMENT_WISE_SUM; k <= INFER_ELEMENT_WISE_LESS_OR_EQUAL; k++)
    if (k < INFER_ELEMENT_WISE_AND || k > INFER_ELEMENT_WISE_XOR)
      out(s, infer_network_add_element_wise(s->net, a, b, (InferElementWise)k, NULL, s->e));
  out(s, infer_network_add_element_wise(s->net, i, j, INFER_ELEMENT_WISE_FLOOR_DIV, NAME, s->e));
  p = infer_network_add_element_wise(s->net, a, b, INFER_ELEMENT_WISE_GREATER, NULL, s->e);
  q = infer_network_add_element_wise(s->net, a, c(s, INFER_DIMS(4)), INFER_ELEMENT_WISE_LESS, NULL,
                                     s->e);
  for (int k = INFER_ELEMENT_WISE_AND; k <= INFER_ELEMENT_WISE_XOR; k++)
    out(s, infer_network_add_element_wise(s->net, p, q, (InferElementWise)k, NULL, s->e));
}

static void
unary(Seed *s)
{
  InferTensor *x = in_range(s, INFER_DIMS(s->batch, 12), 0.1f, 0.9f);
  InferTensor *large = in_range(s, INFER_DIMS(s->batch, 12), 1, 4), *flag;

  for (int k = INFER_UNARY_EXP; k <= INFER_UNARY_IS_NAN; k++)
    if (k != INFER_UNARY_NOT)
      out(s, infer_network_add_unary(s->net, k == INFER_UNARY_ACOSH ? large : x, (InferUnary)k,
                                     NULL, s->e));
  flag = infer_network_add_element_wise(s->net, x, large, INFER_ELEMENT_WISE_LESS, NULL, s->e);
  out(s, infer_network_add_unary(s->net, flag, INFER_UNARY_NOT, NAME, s->e));
}

static void
padding(Seed *s)
{
  static const InferSampleMode modes[] = {INFER_SAMPLE_MODE_WRAP, INFER_SAMPLE_MODE_CLAMP,
                                          INFER_SAMPLE_MODE_FILL, INFER_SAMPLE_MODE_REFLECT};
  InferTensor *x = image(s);

  for (guint i = 0; i < G_N_ELEMENTS(modes); i++)
    out(s, infer_network_add_padding(s->net, x, D(1, 2), D(3, 0), modes[i], 0.5, NULL, s->e));
  out(s, infer_network_add_padding(s->net, x, D(-1, 2), D(0, -3), INFER_SAMPLE_MODE_FILL, 0, NAME,
                                   s->e));
}

static void
shuffle(Seed *s)
{
  InferTensor *x = image(s);

  out(s, infer_network_add_shuffle(s->net, x, D(0, 2, 3, 1), D(0, -1, 4), TRUE, D(0, 2, 1), NAME,
                                   s->e));
  out(s, infer_network_add_shuffle(s->net, x, NULL, NULL, TRUE, D(0, 1, 3, 2), NULL, s->e));
  out(s, infer_network_add_shuffle(s->net, x, NULL, NULL, TRUE, NULL, NULL, s->e));
}

static void
reduce(Seed *s)
{
  InferTensor *x = in_range(s, INFER_DIMS(s->batch, 3, 4, 5), 0.5, 1.5);

  for (int k = INFER_REDUCE_SUM; k <= INFER_REDUCE_LOG_SUM_EXP; k++)
    out(s, infer_network_add_reduce(s->net, x, (InferReduce)k, D(2, -1), k % 2, NULL, s->e));
  out(s, infer_network_add_reduce(s->net, in(s, FLOAT, INFER_DIMS(3, 4)), INFER_REDUCE_SUM, NULL,
                                  FALSE, NAME, s->e));
}

static void
top_k(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 8));

  outs(s, infer_network_add_top_k(s->net, x, INFER_TOP_K_MAX, 3, 1, NAME, s->e));
  outs(s, infer_network_add_top_k(s->net, x, INFER_TOP_K_MIN, 2, -1, NULL, s->e));
}

static void
gather(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(3, 4)), *i = in(s, INT64, INFER_DIMS(2));

  out(s, infer_network_add_gather(s->net, x, i, INFER_GATHER_MODE_DEFAULT, 1, 0, NAME, s->e));
  out(s, infer_network_add_gather(s->net, x, INTS(INFER_DIMS(3, 2), 0, 1, 2, 3, -1, 0),
                                  INFER_GATHER_MODE_ELEMENT, 1, 0, NULL, s->e));
  out(s,
      infer_network_add_gather(
          s->net, x, ints_of(s, INFER_TYPE_INT32, INFER_DIMS(2, 2), (const gint64[]){0, 1, 2, 3}),
          INFER_GATHER_MODE_ND, 0, 0, NULL, s->e));
}

static void
matrix_multiply(Seed *s)
{
  InferTensor *a = in(s, FLOAT, INFER_DIMS(2, 3, 4)), *b = in(s, FLOAT, INFER_DIMS(2, 5, 4));
  InferTensor *v = c(s, INFER_DIMS(2, 4)), *u = c(s, INFER_DIMS(2, 5));

  out(s, infer_network_add_matrix_multiply(s->net, a, INFER_MATRIX_OPERATION_NONE, b,
                                           INFER_MATRIX_OPERATION_TRANSPOSE, NAME, s->e));
  out(s, infer_network_add_matrix_multiply(s->net, a, INFER_MATRIX_OPERATION_NONE, v,
                                           INFER_MATRIX_OPERATION_VECTOR, NULL, s->e));
  out(s, infer_network_add_matrix_multiply(s->net, u, INFER_MATRIX_OPERATION_VECTOR, b,
                                           INFER_MATRIX_OPERATION_NONE, NULL, s->e));
  out(s, infer_network_add_matrix_multiply(s->net, v, INFER_MATRIX_OPERATION_VECTOR, v,
                                           INFER_MATRIX_OPERATION_VECTOR, NULL, s->e));
}

static void
rnn(Seed *s)
{
  static const gint64 gates[] = {1, 1, 4, 3, 3};
  InferTensor *x = in(s, FLOAT, INFER_DIMS(5, 2, 3)), *state = in(s, FLOAT, INFER_DIMS(2, 2, 4));
  InferTensor *lengths = ints_of(s, INFER_TYPE_INT32, INFER_DIMS(2), (const gint64[]){5, 3});

  for (int k = INFER_RNN_KIND_RELU; k <= INFER_RNN_KIND_GRU_LINEAR; k++) {
    gint64 rows = gates[k] * 4;

    outs(s, infer_network_add_rnn(s->net, x, (InferRnnKind)k, INFER_RNN_DIRECTION_BIDIRECTIONAL, 4,
                                  w(s, INFER_DIMS(2, rows, 3)), w(s, INFER_DIMS(2, rows, 4)),
                                  w(s, INFER_DIMS(2, 2 * rows)), lengths, state,
                                  k == INFER_RNN_KIND_LSTM ? state : NULL, NULL, s->e));
    outs(s, infer_network_add_rnn(s->net, x, (InferRnnKind)k, INFER_RNN_DIRECTION_REVERSE, 4,
                                  w(s, INFER_DIMS(1, rows, 3)), w(s, INFER_DIMS(1, rows, 4)), NULL,
                                  NULL, NULL, NULL, NULL, s->e));
  }
}

static void
identity(Seed *s)
{
  out(s, infer_network_add_identity(s->net, image(s), NAME, s->e));
}

static void
cast(Seed *s)
{
  InferTensor *x = in_range(s, INFER_DIMS(s->batch, 6), -5, 5);

  out(s, infer_network_add_cast(s->net, x, INFER_TYPE_INT32, NAME, s->e));
  out(s, infer_network_add_cast(s->net, x, INFER_TYPE_BOOL, NULL, s->e));
}

static void
slice(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(4, 6)), *y;

  y = infer_network_add_slice(s->net, x, D(1, 0), D(2, -1), D(1, 4),
                              INFER_SAMPLE_MODE_STRICT_BOUNDS, 0, NAME, s->e);
  g_assert_true(!y || infer_dims_equal(&y->dims, D(2, 2)));
  out(s, y);
  out(s, infer_network_add_slice(s->net, x, D(3, 5), D(4, 2), D(-1, -5),
                                 INFER_SAMPLE_MODE_STRICT_BOUNDS, 0, NULL, s->e));
  out(s, infer_network_add_slice(s->net, x, D(-2, 4), D(4, 3), D(2, 2), INFER_SAMPLE_MODE_FILL, 0.5,
                                 NULL, s->e));
  out(s, infer_network_add_slice(s->net, x, D(-2, 7), D(8, 9), D(1, -1), INFER_SAMPLE_MODE_REFLECT,
                                 0, NULL, s->e));
  out(s, infer_network_add_slice(s->net, image(s), D(0, 1, 0, 0), D(-1, 2, -1, 5), NULL,
                                 INFER_SAMPLE_MODE_STRICT_BOUNDS, 0, NULL, s->e));
}

static void
resize(Seed *s)
{
  InferTensor *x = image(s), *fixed = in(s, FLOAT, INFER_DIMS(1, 2, 5, 6));

  out(s, infer_network_add_resize(s->net, x, NULL, (const double[]){1, 1, 2, 1.5}, 4,
                                  INFER_RESIZE_MODE_NEAREST, INFER_COORDINATES_ASYMMETRIC,
                                  INFER_RESIZE_ROUND_FLOOR, 0, FALSE, NAME, s->e));
  out(s, infer_network_add_resize(s->net, fixed, D(1, 2, 9, 3), NULL, 0, INFER_RESIZE_MODE_LINEAR,
                                  INFER_COORDINATES_ALIGN_CORNERS, INFER_RESIZE_ROUND_HALF_DOWN, 0,
                                  FALSE, NULL, s->e));
  out(s, infer_network_add_resize(s->net, fixed, D(1, 2, 8, 9), NULL, 0, INFER_RESIZE_MODE_CUBIC,
                                  INFER_COORDINATES_HALF_PIXEL, INFER_RESIZE_ROUND_HALF_UP, -0.5,
                                  TRUE, NULL, s->e));
}

static void
parametric_relu(Seed *s)
{
  out(s,
      infer_network_add_parametric_relu(s->net, image(s), c(s, INFER_DIMS(4, 1, 1)), NAME, s->e));
}

static void
fill(Seed *s)
{
  for (int k = INFER_FILL_CONSTANT; k <= INFER_FILL_RANDOM_NORMAL; k++)
    out(s, infer_network_add_fill(s->net, D(2, 5), (InferFill)k, -1, 0.5, FLOAT, 7, NULL, s->e));
  out(s, infer_network_add_fill(s->net, D(3), INFER_FILL_LINSPACE, 4, -2, INT64, 0, NAME, s->e));
}

static void
select_layer(Seed *s)
{
  InferTensor *x = image(s), *y = c(s, INFER_DIMS(4, 1, 1));
  InferTensor *flag =
      infer_network_add_element_wise(s->net, x, y, INFER_ELEMENT_WISE_GREATER, NULL, s->e);

  out(s, infer_network_add_select(s->net, flag, x, y, NAME, s->e));
}

static void
quantize(Seed *s)
{
  InferTensor *x = in_range(s, INFER_DIMS(s->batch, 4, 3, 3), -60, 60);
  InferTensor *zero = ints_of(s, INFER_TYPE_UINT8, INFER_DIMS(4), (const gint64[]){0, 9, 128, 255});

  out(s, infer_network_add_quantize(s->net, x, c(s, INFER_DIMS(4)), zero, 1, INFER_TYPE_UINT8, NAME,
                                    s->e));
  out(s, infer_network_add_quantize(s->net, x, c(s, INFER_DIMS_SCALAR), NULL, 0, INFER_TYPE_INT8,
                                    NULL, s->e));
}

static void
dequantize(Seed *s)
{
  InferTensor *x = in_range(s, INFER_DIMS(s->batch, 4, 3, 3), -60, 60);
  InferTensor *zero = ints_of(s, INFER_TYPE_INT8, INFER_DIMS(4), (const gint64[]){0, 9, -128, 127});
  InferTensor *step = c(s, INFER_DIMS(4));

  x = infer_network_add_quantize(s->net, x, step, zero, 1, INFER_TYPE_INT8, NULL, s->e);
  out(s, infer_network_add_dequantize(s->net, x, step, zero, 1, NAME, s->e));
  out(s, infer_network_add_dequantize(s->net, x, c(s, INFER_DIMS_SCALAR), NULL, 0, NULL, s->e));
}

static void
scatter(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(3, 4)), *u = in(s, FLOAT, INFER_DIMS(2, 2));

  out(s, infer_network_add_scatter(s->net, x, INTS(INFER_DIMS(2, 2), 0, 3, 1, -1), u,
                                   INFER_SCATTER_MODE_ELEMENT, 1, NAME, s->e));
  out(s,
      infer_network_add_scatter(s->net, x, INTS(INFER_DIMS(2, 2), 0, 3, 2, 1),
                                in(s, FLOAT, INFER_DIMS(2)), INFER_SCATTER_MODE_ND, 0, NULL, s->e));
}

static void
one_hot(Seed *s)
{
  out(s, infer_network_add_one_hot(s->net, in(s, INT64, INFER_DIMS(2, 3)), c(s, INFER_DIMS(2)),
                                   INTS(INFER_DIMS_SCALAR, 3), 1, NAME, s->e));
}

/* Engines have outputs of known sizes: what is found is known once the constants are folded, and is
 * added to an input. */
static void
found(Seed *s, InferTensor *tensor)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(1));

  tensor = infer_network_add_cast(s->net, tensor, FLOAT, NULL, s->e);
  out(s, infer_network_add_element_wise(s->net, tensor, x, INFER_ELEMENT_WISE_SUM, NULL, s->e));
}

static void
non_zero(Seed *s)
{
  found(s,
        infer_network_add_non_zero(s->net, INTS(INFER_DIMS(2, 3), 0, 1, 0, 5, 0, -1), NAME, s->e));
}

static void
grid_sample(Seed *s)
{
  static const InferSampleMode modes[] = {INFER_SAMPLE_MODE_CLAMP, INFER_SAMPLE_MODE_FILL,
                                          INFER_SAMPLE_MODE_REFLECT};
  InferTensor *x = in(s, FLOAT, INFER_DIMS(2, 3, 5, 6));
  InferTensor *grid = in_range(s, INFER_DIMS(2, 4, 4, 2), -1.2f, 1.2f);

  for (int k = INFER_RESIZE_MODE_NEAREST; k <= INFER_RESIZE_MODE_CUBIC; k++)
    out(s, infer_network_add_grid_sample(s->net, x, grid, (InferResizeMode)k, modes[k], k % 2, NULL,
                                         s->e));
}

static void
nms(Seed *s)
{
  InferTensor *boxes = c(s, INFER_DIMS(1, 12, 4)), *scores = c(s, INFER_DIMS(1, 2, 12));

  found(s, infer_network_add_nms(s->net, boxes, scores, 4, 0.5, 0.2, TRUE, NAME, s->e));
}

static void
detection_nms(Seed *s)
{
  InferTensor *boxes = in_range(s, INFER_DIMS(2, 12, 1, 4), 0, 1);
  InferTensor *scores = in_range(s, INFER_DIMS(2, 12, 3), 0, 1);

  outs(s, infer_network_add_detection_nms(s->net, boxes, scores, c(s, INFER_DIMS_SCALAR),
                                          c(s, INFER_DIMS_SCALAR), 5, 8, NAME, s->e));
}

static void
reverse_sequence(Seed *s)
{
  out(s, infer_network_add_reverse_sequence(s->net, in(s, FLOAT, INFER_DIMS(2, 5, 3)),
                                            INTS(INFER_DIMS(2), 5, 2), 0, 1, NAME, s->e));
}

static void
squeeze(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 1, 3, 1));

  out(s, infer_network_add_squeeze(s->net, x, D(1, -1), NAME, s->e));
  out(s, infer_network_add_squeeze(s->net, in(s, FLOAT, INFER_DIMS(1, 4, 1)), NULL, NULL, s->e));
}

static void
unsqueeze(Seed *s)
{
  out(s, infer_network_add_unsqueeze(s->net, in(s, FLOAT, INFER_DIMS(s->batch, 3)), D(1, -1), NAME,
                                     s->e));
}

static void
cumulative(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 3, 4));

  for (guint i = 0; i < 4; i++)
    out(s, infer_network_add_cumulative(s->net, x, i % 2 ? -1 : 1, i & 1, i & 2, NULL, s->e));
}

static void
shape(Seed *s)
{
  out(s, infer_network_add_shape(s->net, image(s), NAME, s->e));
}

static void
einsum(Seed *s)
{
  InferTensor *both[] = {in(s, FLOAT, INFER_DIMS(2, 3, 4)), in(s, FLOAT, INFER_DIMS(2, 4, 5))};

  out(s, infer_network_add_einsum(s->net, both, 2, "bij,bjk->bik", NAME, s->e));
}

static void
flatten(Seed *s)
{
  out(s, infer_network_add_flatten(s->net, image(s), 1, NAME, s->e));
  out(s, infer_network_add_flatten(s->net, image(s), -1, NULL, s->e));
}

static void
split(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 5, 4));

  outs(s, infer_network_add_split(s->net, x, 1, D(1, 3, 1), 0, NAME, s->e));
  outs(s, infer_network_add_split(s->net, x, 1, NULL, 2, NULL, s->e));
  outs(s, infer_network_add_split(s->net, x, -1, NULL, 4, NULL, s->e));
}

static void
tile(Seed *s)
{
  out(s, infer_network_add_tile(s->net, in(s, FLOAT, INFER_DIMS(s->batch, 2, 3)), D(1, 3, 2), NAME,
                                s->e));
}

static void
expand(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 1, 3));

  out(s, infer_network_add_expand(s->net, x, D(1, 4, 1), NAME, s->e));
  out(s, infer_network_add_expand(s->net, x, D(2, 1, 1, 3), NULL, s->e));
}

static void
depth_to_space(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 8, 3, 2));

  out(s, infer_network_add_depth_to_space(s->net, x, 2, FALSE, NAME, s->e));
  out(s, infer_network_add_depth_to_space(s->net, x, 2, TRUE, NULL, s->e));
}

static void
space_to_depth(Seed *s)
{
  out(s, infer_network_add_space_to_depth(s->net, in(s, FLOAT, INFER_DIMS(s->batch, 2, 6, 4)), 2,
                                          NAME, s->e));
}

static void
range(Seed *s)
{
  InferTensor *limit = in(s, INT64, INFER_DIMS_SCALAR);
  const gint64 start = -3, delta = 2;

  out(s, infer_network_add_range(s->net, ints_of(s, INT64, INFER_DIMS_SCALAR, &start), limit,
                                 ints_of(s, INT64, INFER_DIMS_SCALAR, &delta), NAME, s->e));
}

static void
arg_reduce(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(s->batch, 3, 5));

  out(s, infer_network_add_arg_reduce(s->net, x, INFER_TOP_K_MAX, 1, TRUE, FALSE, NAME, s->e));
  out(s, infer_network_add_arg_reduce(s->net, x, INFER_TOP_K_MIN, -1, FALSE, TRUE, NULL, s->e));
}

static void
roi_align(Seed *s)
{
  InferTensor *x = in(s, FLOAT, INFER_DIMS(2, 3, 8, 8));
  InferTensor *images = INTS(INFER_DIMS(3), 0, 1, 1);
  InferTensor *low = in_range(s, INFER_DIMS(3, 2), 0, 5),
              *more = in_range(s, INFER_DIMS(3, 2), 1, 9);
  InferTensor *ends[] = {
      low, infer_network_add_element_wise(s->net, low, more, INFER_ELEMENT_WISE_SUM, NULL, s->e)};
  InferTensor *rois = infer_network_add_concatenation(s->net, ends, 2, 1, NULL, s->e);

  out(s,
      infer_network_add_roi_align(s->net, x, rois, images, 2, 3, 2, 0.5, FALSE, TRUE, NAME, s->e));
  out(s, infer_network_add_roi_align(s->net, x, rois, images, 3, 3, 0, 1, TRUE, FALSE, NULL, s->e));
}

typedef struct {
  const char *name;
  void (*define)(Seed *seed);
} Row;

#define ROW(NAME)                                                                                  \
  {                                                                                                \
#NAME, NAME                                                                                    \
  }
static const Row rows[] = {ROW(convolution),
                           ROW(deconvolution),
                           ROW(fully_connected),
                           ROW(pooling),
                           ROW(activation),
                           ROW(lrn),
                           ROW(scale),
                           ROW(batch_normalization),
                           ROW(normalization),
                           ROW(soft_max),
                           ROW(concatenation),
                           ROW(element_wise),
                           ROW(unary),
                           ROW(padding),
                           ROW(shuffle),
                           ROW(reduce),
                           ROW(top_k),
                           ROW(gather),
                           ROW(matrix_multiply),
                           ROW(rnn),
                           ROW(identity),
                           ROW(cast),
                           ROW(slice),
                           ROW(resize),
                           ROW(parametric_relu),
                           ROW(fill),
                           {"select", select_layer},
                           ROW(quantize),
                           ROW(dequantize),
                           ROW(scatter),
                           ROW(one_hot),
                           ROW(non_zero),
                           ROW(grid_sample),
                           ROW(nms),
                           ROW(detection_nms),
                           ROW(reverse_sequence),
                           ROW(squeeze),
                           ROW(unsqueeze),
                           ROW(cumulative),
                           ROW(shape),
                           ROW(einsum),
                           ROW(flatten),
                           ROW(split),
                           ROW(tile),
                           ROW(expand),
                           ROW(depth_to_space),
                           ROW(space_to_depth),
                           ROW(range),
                           ROW(arg_reduce),
                           ROW(roi_align)};

static void
test_row(gconstpointer data)
{
  const Row *row = data;
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(5);
  g_autoptr(GPtrArray) arrays = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  g_autoptr(GError) error = NULL;
  Seed seed = {.net = network, .random = random, .arrays = arrays, .e = &error};

  seed.batch = infer_network_add_symbol(network, "batch", 1, 2, 2);
  row->define(&seed);
  if (error || !net_check(network, "cpu", 2, 3, 1e-4, &error))
    g_test_fail_printf("%s: %s", row->name, error->message);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *path = g_strconcat("/layers/", rows[i].name, NULL);
    g_test_add_data_func(path, &rows[i], test_row);
  }
  return g_test_run();
}
