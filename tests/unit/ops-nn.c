/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops-check.h"

/* Layers of networks: shapes, and results small enough to work out by hand. */

#define UINT8 INFER_TYPE_UINT8
#define INT8 INFER_TYPE_INT8
#define INT32 INFER_TYPE_INT32
#define UNKNOWN INFER_DIM_UNKNOWN

static InferArray *
ints(InferDims dims, const double *values)
{
  return array(INT64, dims, values);
}

/* Takes the arrays. The second output has other dimensions than the first. */
static void
check_both(const char *op, GVariant *attrs, InferArray *const *in, guint n_in, InferDims dims,
           const double *want, InferDims dims2, const double *want2)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferArray *out[2] = {NULL};
  InferNode *node = add(network, op, attrs, in, n_in, 2, &error);

  g_assert_no_error(error);
  g_assert_true(infer_dims_equal(&node->outputs[0]->dims, &dims));
  g_assert_true(infer_dims_equal(&node->outputs[1]->dims, &dims2));
  infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, 2, &error);
  g_assert_no_error(error);
  compare(op, out[0], dims, want);
  compare(op, out[1], dims2, want2);
  release(out, 2);
  release(in, n_in);
}

static GVariant *
attrs_with_strings(const char *name, const char *const *list)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", name, g_variant_new_strv(list, -1));
  return g_variant_builder_end(&builder);
}

static void
test_convtranspose(void)
{
  InferDims x = D(1, 2, 4, 4), w = D(2, 3, 3, 3);

  check("ConvTranspose", NULL, IN(floats(D(1, 1, 2), N(1, 2)), floats(D(1, 1, 3), N(1, 10, 100))),
        D(1, 1, 4), N(1, 12, 120, 200));
  check("ConvTranspose", infer_attrs_new("strides", 'I', I(2), "output_padding", 'I', I(1), NULL),
        IN(floats(D(1, 1, 2), N(1, 2)), floats(D(1, 1, 2), N(1, 10)), floats(D(1), N(5))),
        D(1, 1, 5), N(6, 15, 7, 25, 5));
  check("ConvTranspose", infer_attrs_new("pads", 'I', I(1, 0), "dilations", 'I', I(2), NULL),
        IN(floats(D(1, 1, 2), N(1, 2)), floats(D(1, 1, 2), N(1, 10))), D(1, 1, 3), N(2, 10, 20));
  check("ConvTranspose", infer_attrs_new("group", INT(2), NULL),
        IN(floats(D(1, 2, 1), N(2, 3)), floats(D(2, 1, 2), N(1, 10, 100, 1000))), D(1, 2, 2),
        N(2, 20, 300, 3000));
  check("ConvTranspose", infer_attrs_new("strides", 'I', I(2), "auto_pad", 's', "SAME_UPPER", NULL),
        IN(floats(D(1, 1, 2), N(1, 2)), floats(D(1, 1, 3), N(1, 10, 100))), D(1, 1, 4),
        N(1, 10, 102, 20));
  check("ConvTranspose", infer_attrs_new("strides", 'I', I(2), "output_shape", 'I', I(4), NULL),
        IN(floats(D(1, 1, 2), N(1, 2)), floats(D(1, 1, 3), N(1, 10, 100))), D(1, 1, 4),
        N(10, 102, 20, 200));
  refuse_shape("ConvTranspose", NULL, SHAPES(D(1, 3, 4, 4), w));
  refuse_shape("ConvTranspose", NULL, SHAPES(x, D(2, 3, 3)));
  refuse_shape("ConvTranspose", NULL, SHAPES(x, w, D(4)));
  refuse_shape("ConvTranspose", infer_attrs_new("group", INT(3), NULL), SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("group", INT(0), NULL), SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("pads", 'I', I(4, 4, 4, 4), NULL), SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("strides", 'I', I(0, 1), NULL), SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("output_padding", 'I', I(1, 1), NULL),
               SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("output_padding", 'I', I(-1, 0), NULL),
               SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("output_shape", 'I', I(4), NULL), SHAPES(x, w));
  refuse_shape("ConvTranspose", infer_attrs_new("strides", 'I', I(1 << 30, 1 << 30), NULL),
               SHAPES(D(1, 2, 1 << 18, 1 << 18), w));
}

static void
test_deformconv(void)
{
  InferDims x = D(1, 1, 3, 3), w = D(1, 1, 2, 2), o = D(1, 8, 2, 2);
  double zero[32] = {0};

  /* Without offsets it is a convolution. */
  check("DeformConv", NULL,
        IN(counting(x), floats(w, N(1, 2, 3, 4)), floats(o, zero), floats(D(1), N(1))),
        D(1, 1, 2, 2), N(38, 48, 68, 78));
  /* Half a pixel down, half a pixel right; zero outside; halved. */
  check("DeformConv", NULL,
        IN(counting(D(1, 1, 2, 2)), floats(D(1, 1, 1, 1), N(1)),
           floats(D(1, 2, 2, 2), N(0.5, 0, 0, 0, 0.5, 0, 0, 0.5)), NULL,
           floats(D(1, 1, 2, 2), N(0.5, 1, 1, 1))),
        D(1, 1, 2, 2), N(1.25, 2, 3, 2));
  refuse_shape("DeformConv", NULL, SHAPES(x, w, D(1, 4, 2, 2)));
  refuse_shape("DeformConv", NULL, SHAPES(x, w, D(1, 8, 3, 2)));
  refuse_shape("DeformConv", NULL, SHAPES(x, w, o, D(2)));
  refuse_shape("DeformConv", infer_attrs_new("offset_group", INT(2), NULL), SHAPES(x, w, o));
  refuse_shape("DeformConv", infer_attrs_new("offset_group", INT(0), NULL), SHAPES(x, w, o));
}

static void
test_unpool(void)
{
  GVariant *attrs = infer_attrs_new("kernel_shape", 'I', I(2), "strides", 'I', I(2), NULL);

  g_variant_ref_sink(attrs);
  check("MaxUnpool", attrs, IN(floats(D(1, 1, 2), N(7, 8)), ints(D(1, 1, 2), N(1, 2))), D(1, 1, 4),
        N(0, 7, 8, 0));
  check("MaxUnpool", infer_attrs_new("kernel_shape", 'I', I(2, 2), "strides", 'I', I(2, 2), NULL),
        IN(floats(D(1, 1, 1, 2), N(7, 8)), ints(D(1, 1, 1, 2), N(4, 3)), ints(D(4), N(1, 1, 3, 5))),
        D(1, 1, 3, 5), N(0, 0, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  refuse("MaxUnpool", attrs, IN(floats(D(1, 1, 2), N(7, 8)), ints(D(1, 1, 3), N(0, 1, 2))));
  refuse("MaxUnpool", attrs,
         IN(floats(D(1, 1, 2), N(7, 8)), ints(D(1, 1, 2), N(0, 1)), ints(D(3), N(1, 1, 3))));
  refuse("MaxUnpool", attrs,
         IN(floats(D(1, 1, 2), N(7, 8)), ints(D(1, 1, 2), N(0, 1)), ints(D(2), N(1, 9))));
  refuse("MaxUnpool", attrs, IN(floats(D(1, 1, 2), N(7, 8)), floats(D(1, 1, 2), N(0, 1))));
  g_variant_unref(attrs);
}

/* What shape inference cannot know has to fail in the evaluation. */
static void
refuse_values(const char *op, GVariant *attrs, InferArray *const *in, guint n_in)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferArray *out[3] = {NULL};
  InferNode *node = add(network, op, attrs, in, n_in, 1, &error);

  g_assert_no_error(error);
  if (infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, 1, &error))
    g_error("%s was computed", op);
  g_assert_true(error && error->domain == INFER_ERROR);
  release(in, n_in);
}

static void
test_values(void)
{
  refuse_values("MaxUnpool", infer_attrs_new("kernel_shape", 'I', I(2), NULL),
                IN(floats(D(1, 1, 1), N(7)), ints(D(1, 1, 1), N(2))));
  refuse_values("MaxUnpool", infer_attrs_new("kernel_shape", 'I', I(2), NULL),
                IN(floats(D(1, 1, 1), N(7)), ints(D(1, 1, 1), N(-1))));
  refuse_values("RoiAlign", NULL,
                IN(counting(D(1, 1, 2, 2)), floats(D(1, 4), N(0, 0, 1, 1)), ints(D(1), N(1))));
  refuse_values("RoiAlign", NULL,
                IN(counting(D(1, 1, 2, 2)), floats(D(1, 4), N(0, 0, NAN, 1)), ints(D(1), N(0))));
  refuse_values("MaxRoiPool", infer_attrs_new("pooled_shape", 'I', I(1, 1), NULL),
                IN(counting(D(1, 1, 2, 2)), floats(D(1, 5), N(-1, 0, 0, 1, 1))));
  refuse_values("RNN", NULL,
                IN(counting(D(1, 1, 1)), counting(D(1, 1, 1)), counting(D(1, 1, 1)), NULL,
                   array(INT32, D(1), N(2))));
}

static void
test_normalization(void)
{
  double r = 1 / sqrt(1.25);

  check("LRN", infer_attrs_new("size", INT(3), "alpha", 'f', 3.0, "beta", 'f', 1.0, NULL),
        IN(floats(D(1, 3, 1), N(1, 2, 3))), D(1, 3, 1), N(1 / 6.0, 2 / 15.0, 3 / 14.0));
  check("InstanceNormalization", infer_attrs_new("epsilon", 'f', 0.0, NULL),
        IN(floats(D(1, 2, 2), N(1, 3, 10, 30)), floats(D(2), N(2, 3)), floats(D(2), N(0, 5))),
        D(1, 2, 2), N(-2, 2, 2, 8));
  check("GroupNormalization", infer_attrs_new("epsilon", 'f', 0.0, "num_groups", INT(1), NULL),
        IN(floats(D(1, 2, 2), N(1, 2, 3, 4)), floats(D(2), N(1, 2)), floats(D(2), N(0, 0))),
        D(1, 2, 2), N(-1.5 * r, -0.5 * r, r, 3 * r));
  check_both("LayerNormalization", infer_attrs_new("epsilon", 'f', 0.0, NULL),
             IN(floats(D(2, 2), N(1, 3, 20, 40)), floats(D(2), N(1, 2)), floats(D(1), N(10))),
             D(2, 2), N(9, 12, 9, 12), D(2, 1), N(2, 30));
  check("RMSNormalization", infer_attrs_new("epsilon", 'f', 0.0, NULL),
        IN(floats(D(1, 2), N(1, 7)), floats(D(2), N(1, 2))), D(1, 2), N(0.2, 2.8));
  check("MeanVarianceNormalization", infer_attrs_new("axes", 'I', I(-1), NULL),
        IN(floats(D(2, 2), N(1, 3, 5, 5))), D(2, 2), N(-1, 1, 0, 0));
  check("LpNormalization", infer_attrs_new("axis", INT(0), NULL),
        IN(floats(D(2, 2), N(3, 0, 4, 0))), D(2, 2), N(0.6, 0, 0.8, 0));
  check("LpNormalization", infer_attrs_new("p", INT(1), NULL), IN(floats(D(2), N(-1, 3))), D(2),
        N(-0.25, 0.75));
  refuse_shape("LRN", NULL, SHAPES(D(1, 3, 1)));
  refuse_shape("LRN", infer_attrs_new("size", INT(0), NULL), SHAPES(D(1, 3, 1)));
  refuse_shape("LRN", infer_attrs_new("size", INT(1), NULL), SHAPES(D(3)));
  refuse_shape("InstanceNormalization", NULL, SHAPES(D(1, 2, 2), D(2), D(3)));
  refuse_shape("GroupNormalization", NULL, SHAPES(D(1, 2, 2), D(2), D(2)));
  refuse_shape("GroupNormalization", infer_attrs_new("num_groups", INT(3), NULL),
               SHAPES(D(1, 2, 2), D(2), D(2)));
  refuse_shape("GroupNormalization", infer_attrs_new("num_groups", INT(0), NULL),
               SHAPES(D(1, 2, 2), D(2), D(2)));
  refuse_shape("LayerNormalization", NULL, SHAPES(D(2, 3), D(2)));
  refuse_shape("LayerNormalization", NULL, SHAPES(D(3), D(1, 3)));
  refuse_shape("LayerNormalization", infer_attrs_new("axis", INT(2), NULL), SHAPES(D(2, 3), D(3)));
  refuse_shape("LayerNormalization", infer_attrs_new("stash_type", INT(16), NULL),
               SHAPES(D(2, 3), D(3)));
  refuse_shape("MeanVarianceNormalization", NULL, SHAPES(D(2, 3)));
  refuse_shape("LpNormalization", infer_attrs_new("p", INT(3), NULL), SHAPES(D(2, 3)));
}

/* One unit of one input: the weights are plain numbers. */
static void
test_rnn(void)
{
  const char *const relu[] = {"Relu", NULL}, *const unknown[] = {"Frob", NULL};
  const char *const affine[] = {"affine", "Affine", NULL};
  const char *const both[] = {"Relu", "Relu", "Relu", NULL};
  InferDims x = D(2, 3, 4), w = D(1, 5, 4), r = D(1, 5, 5);

  check_both("RNN", attrs_with_strings("activations", relu),
             IN(floats(D(3, 1, 1), N(1, 2, 3)), floats(D(1, 1, 1), N(1)), floats(D(1, 1, 1), N(10)),
                floats(D(1, 2), N(0.25, 0.25))),
             D(3, 1, 1, 1), N(1.5, 17.5, 178.5), D(1, 1, 1), N(178.5));
  check_both("RNN", attrs_with_strings("activations", relu),
             IN(floats(D(2, 2, 1), N(1, 2, 3, 4)), floats(D(1, 1, 1), N(1)),
                floats(D(1, 1, 1), N(10)), NULL, array(INT32, D(2), N(1, 2)),
                floats(D(1, 2, 1), N(1, 0))),
             D(2, 1, 2, 1), N(11, 2, 0, 24), D(1, 2, 1), N(11, 24));
  check_both(
      "RNN", infer_attrs_new("direction", 's', "bidirectional", "layout", INT(1), NULL),
      IN(floats(D(1, 2, 1), N(1, 2)), floats(D(2, 1, 1), N(1, 1)), floats(D(2, 1, 1), N(0, 1))),
      D(1, 2, 2, 1), N(tanh(1), tanh(1 + tanh(2)), tanh(2), tanh(2)), D(1, 2, 1),
      N(tanh(2), tanh(1 + tanh(2))));
  check("RNN", infer_attrs_new("clip", 'f', 0.5, NULL),
        IN(floats(D(2, 1, 1), N(-9, 9)), floats(D(1, 1, 1), N(1)), floats(D(1, 1, 1), N(0))),
        D(2, 1, 1, 1), N(tanh(-0.5), tanh(0.5)));
  /* z = x + h, r = 2 x + h, and the new state x + r h, or with the reset after the product. */
  check("GRU", attrs_with_strings("activations", affine),
        IN(floats(D(1, 1, 1), N(1)), floats(D(1, 3, 1), N(1, 2, 1)), floats(D(1, 3, 1), N(1, 1, 1)),
           floats(D(1, 6), N(0, 0, 0, 0, 0, 1)), NULL, floats(D(1, 1, 1), N(3))),
        D(1, 1, 1, 1), N((1 - 4) * (1 + 5 * 3 + 1) + 4 * 3));
  check("GRU", infer_attrs_new("linear_before_reset", INT(1), NULL),
        IN(floats(D(1, 1, 1), N(0)), floats(D(1, 3, 1), N(0, 0, 0)), floats(D(1, 3, 1), N(0, 0, 1)),
           floats(D(1, 6), N(0, 0, 0, 0, 0, 1)), NULL, floats(D(1, 1, 1), N(3))),
        D(1, 1, 1, 1), N(0.5 * tanh(0.5 * 4) + 0.5 * 3));
  refuse_shape("RNN", NULL, SHAPES(x, w, D(1, 5, 4)));
  refuse_shape("RNN", NULL, SHAPES(x, D(1, 5, 3), r));
  refuse_shape("RNN", NULL, SHAPES(x, D(2, 5, 4), r));
  refuse_shape("RNN", NULL, SHAPES(x, w, r, D(1, 9)));
  refuse_shape("RNN", NULL, SHAPES(D(2, 4), w, r));
  refuse_shape("GRU", NULL, SHAPES(x, w, r));
  refuse_shape("RNN", infer_attrs_new("hidden_size", INT(4), NULL), SHAPES(x, w, r));
  refuse_shape("RNN", infer_attrs_new("layout", INT(2), NULL), SHAPES(x, w, r));
  refuse_shape("RNN", infer_attrs_new("clip", 'f', -1.0, NULL), SHAPES(x, w, r));
  refuse_shape("RNN", infer_attrs_new("direction", 's', "sideways", NULL), SHAPES(x, w, r));
  refuse_shape("RNN", attrs_with_strings("activations", unknown), SHAPES(x, w, r));
  refuse_shape("RNN", attrs_with_strings("activations", both), SHAPES(x, w, r));
}

static double
sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static void
test_lstm(void)
{
  double i = sigmoid(1 + 0.1 * 2), f = sigmoid(3 + 0.3 * 2), c = f * 2 + i * tanh(4);
  double o = sigmoid(2 + 0.2 * c), c2 = (1 - i) * 2 + i * tanh(4), o2 = sigmoid(2 + 0.2 * c2);
  GVariant *attrs = infer_attrs_new("input_forget", INT(1), NULL);

  for (int forget = 0; forget < 2; forget++)
    check_both("LSTM", forget ? attrs : NULL,
               IN(floats(D(1, 1, 1), N(1)), floats(D(1, 4, 1), N(1, 2, 3, 4)),
                  floats(D(1, 4, 1), N(5, 6, 7, 8)), NULL, NULL, NULL, floats(D(1, 1, 1), N(2)),
                  floats(D(1, 3), N(0.1, 0.2, 0.3))),
               D(1, 1, 1, 1), forget ? N(o2 * tanh(c2)) : N(o * tanh(c)), D(1, 1, 1),
               forget ? N(o2 * tanh(c2)) : N(o * tanh(c)));
  refuse_shape("LSTM", NULL, SHAPES(D(2, 3, 4), D(1, 20, 4), D(1, 20, 6)));
}

static void
test_sampling(void)
{
  check("GridSample", NULL,
        IN(counting(D(1, 1, 2, 2)), floats(D(1, 1, 3, 2), N(0, 0, -0.5, -0.5, 1, 1))),
        D(1, 1, 1, 3), N(2.5, 1, 1));
  check("GridSample",
        infer_attrs_new("align_corners", INT(1), "padding_mode", 's', "border", "mode", 's',
                        "nearest", NULL),
        IN(counting(D(1, 1, 2, 2)), floats(D(1, 1, 3, 2), N(1, -1, -9, 9, NAN, INFINITY))),
        D(1, 1, 1, 3), N(2, 3, 3));
  check("GridSample", infer_attrs_new("padding_mode", 's', "reflection", NULL),
        IN(counting(D(1, 1, 3)), floats(D(1, 2, 1), N(-4 / 3.0, 2))), D(1, 1, 2), N(1, 2));
  refuse_shape("GridSample", NULL, SHAPES(D(1, 1, 2, 2), D(1, 1, 1, 3)));
  refuse_shape("GridSample", NULL, SHAPES(D(2, 1, 2, 2), D(1, 1, 1, 2)));
  refuse_shape("GridSample", NULL, SHAPES(D(1, 1, 0, 2), D(1, 1, 1, 2)));
  refuse_shape("GridSample", infer_attrs_new("mode", 's', "", NULL),
               SHAPES(D(1, 1, 2, 2), D(1, 1, 1, 2)));
  check("AffineGrid", infer_attrs_new("align_corners", INT(1), NULL),
        IN(floats(D(1, 2, 3), N(2, 0, 0, 0, 1, 10)), ints(D(4), N(1, 1, 1, 2))), D(1, 1, 2, 2),
        N(-2, 10, 2, 10));
  refuse("AffineGrid", NULL, IN(counting(D(1, 2, 3)), ints(D(3), N(1, 1, 2))));
  refuse("AffineGrid", NULL, IN(counting(D(1, 2, 2)), ints(D(4), N(1, 1, 2, 2))));
  refuse("AffineGrid", NULL, IN(counting(D(1, 2, 3)), ints(D(4), N(1, 1, -2, 2))));
  check("RoiAlign",
        infer_attrs_new("coordinate_transformation_mode", 's', "output_half_pixel", NULL),
        IN(counting(D(1, 1, 2, 2)), floats(D(1, 4), N(0, 0, 1, 1)), ints(D(1), N(0))),
        D(1, 1, 1, 1), N(2.5));
  /* Nothing of it is on the plane, however far it reaches. */
  check("RoiAlign", NULL,
        IN(counting(D(1, 1, 2, 2)), floats(D(1, 4), N(9, 9, 1e30, 1e30)), ints(D(1), N(0))),
        D(1, 1, 1, 1), N(0));
  refuse_shape("RoiAlign", NULL, SHAPES(D(1, 1, 2, 2), D(1, 4), D(1)));
  refuse("RoiAlign", infer_attrs_new("sampling_ratio", INT(-1), NULL),
         IN(counting(D(1, 1, 2, 2)), floats(D(1, 4), N(0, 0, 1, 1)), ints(D(1), N(0))));
  check("MaxRoiPool", infer_attrs_new("pooled_shape", 'I', I(1, 2), NULL),
        IN(counting(D(1, 1, 2, 3)), floats(D(1, 5), N(0, 0, 0, 1, 9))), D(1, 1, 1, 2), N(4, 5));
  refuse_shape("MaxRoiPool", infer_attrs_new("pooled_shape", 'I', I(0, 2), NULL),
               SHAPES(D(1, 1, 2, 3), D(1, 5)));
}

static void
test_blocks(void)
{
  check("DepthToSpace", infer_attrs_new("blocksize", INT(2), NULL), IN(counting(D(1, 8, 1, 1))),
        D(1, 2, 2, 2), N(1, 3, 5, 7, 2, 4, 6, 8));
  check("DepthToSpace", infer_attrs_new("blocksize", INT(2), "mode", 's', "CRD", NULL),
        IN(counting(D(1, 8, 1, 1))), D(1, 2, 2, 2), N(1, 2, 3, 4, 5, 6, 7, 8));
  check("SpaceToDepth", infer_attrs_new("blocksize", INT(2), NULL), IN(counting(D(1, 2, 2, 2))),
        D(1, 8, 1, 1), N(1, 5, 2, 6, 3, 7, 4, 8));
  refuse_shape("DepthToSpace", infer_attrs_new("blocksize", INT(2), NULL), SHAPES(D(1, 6, 1, 1)));
  refuse_shape("DepthToSpace", infer_attrs_new("blocksize", INT(0), NULL), SHAPES(D(1, 6, 1, 1)));
  refuse_shape("DepthToSpace", infer_attrs_new("blocksize", INT(1), "mode", 's', "DRC", NULL),
               SHAPES(D(1, 6, 1, 1)));
  refuse_shape("SpaceToDepth", infer_attrs_new("blocksize", INT(2), NULL), SHAPES(D(1, 6, 1, 2)));
  refuse_shape("SpaceToDepth", infer_attrs_new("blocksize", INT(G_MAXINT64), NULL),
               SHAPES(D(1, 6, 1, 2)));
  check("Col2Im", NULL, IN(counting(D(1, 2, 3)), ints(D(1), N(4)), ints(D(1), N(2))), D(1, 1, 4),
        N(1, 6, 8, 6));
  refuse("Col2Im", NULL, IN(counting(D(1, 2, 4)), ints(D(1), N(4)), ints(D(1), N(2))));
  refuse("Col2Im", NULL, IN(counting(D(1, 3, 3)), ints(D(1), N(4)), ints(D(1), N(2))));
  refuse("Col2Im", NULL, IN(counting(D(1, 2, 3)), ints(D(1), N(4)), ints(D(1), N(0))));
  refuse("Col2Im", NULL, IN(counting(D(1, 2, 3)), ints(D(2), N(4, 1)), ints(D(1), N(2))));
}

static GVariant *
equation(const char *text)
{
  return infer_attrs_new("equation", 's', text, NULL);
}

static void
test_einsum(void)
{
  check("Einsum", equation("ij,jk->ki"), IN(counting(D(2, 2)), counting(D(2, 1))), D(1, 2),
        N(5, 11));
  check("Einsum", equation("ii"), IN(counting(D(2, 2))), SCALAR, N(5));
  check("Einsum", equation("ii -> i"), IN(counting(D(2, 2))), D(2), N(1, 4));
  check("Einsum", equation("ba"), IN(counting(D(2, 2))), D(2, 2), N(1, 3, 2, 4));
  check("Einsum", equation("...i,i->..."), IN(counting(D(2, 1, 2)), floats(D(2), N(1, 10))),
        D(2, 1), N(21, 43));
  check("Einsum", equation("a,b,ab->"), IN(counting(D(2)), counting(D(2)), counting(D(2, 2))),
        SCALAR, N(27));
  check("Einsum", equation("i,i->i"),
        IN(array(UINT8, D(2), N(20, 3)), array(UINT8, D(2), N(20, 4))), D(2), N(144, 12));
  refuse_shape("Einsum", NULL, SHAPES(D(2)));
  refuse_shape("Einsum", equation("i"), SHAPES(D(2, 2)));
  refuse_shape("Einsum", equation("i,i"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("i"), SHAPES(D(2), D(2)));
  refuse_shape("Einsum", equation("i,i"), SHAPES(D(2), D(3)));
  refuse_shape("Einsum", equation("i->j"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("i->ii"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("i-"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("i->i,"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("i..."), SHAPES(SCALAR));
  refuse_shape("Einsum", equation("......i"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("i.."), SHAPES(D(2)));
  refuse_shape("Einsum", equation("abcdefghi"), SHAPES(D(2)));
  refuse_shape("Einsum", equation("abcde,fghij"), SHAPES(D(2, 2, 2, 2, 2), D(2, 2, 2, 2, 2)));
  refuse_shape("Einsum", equation("a,b->ab"), SHAPES(D((gint64)1 << 37), D((gint64)1 << 37)));
}

static void
test_integer_products(void)
{
  check("MatMulInteger", NULL,
        IN(array(UINT8, D(2, 2), N(1, 2, 3, 4)), array(INT8, D(2, 1), N(-1, 5)),
           array(UINT8, D(2), N(1, 0)), array(INT8, D(1), N(1))),
        D(2, 1), N(4, 10));
  check("ConvInteger", infer_attrs_new("pads", 'I', I(1, 0), NULL),
        IN(array(UINT8, D(1, 1, 2), N(12, 13)), array(UINT8, D(1, 1, 2), N(1, 2)),
           array(UINT8, SCALAR, N(10))),
        D(1, 1, 2), N(4, 8));
  check("QLinearMatMul", NULL,
        IN(array(UINT8, D(1, 2), N(4, 8)), floats(SCALAR, N(0.5)), array(UINT8, SCALAR, N(2)),
           array(INT8, D(2, 2), N(1, 100, 2, 100)), floats(D(2), N(1, 2)),
           array(INT8, D(2), N(0, 0)), floats(SCALAR, N(2)), array(UINT8, SCALAR, N(1))),
        D(1, 2), N(5, 255));
  check("QLinearConv", NULL,
        IN(array(UINT8, D(1, 1, 2), N(4, 8)), floats(SCALAR, N(0.5)), array(UINT8, SCALAR, N(2)),
           array(INT8, D(2, 1, 1), N(2, -100)), floats(D(2), N(1, 1)), array(INT8, D(2), N(0, 0)),
           floats(SCALAR, N(1)), array(UINT8, SCALAR, N(100))),
        D(1, 2, 2), N(102, 106, 0, 0));
  refuse("MatMulInteger", NULL, IN(array(UINT8, D(2, 2), N(1, 2, 3, 4)), counting(D(2, 1))));
  refuse("MatMulInteger", NULL,
         IN(array(UINT8, D(2, 2), N(1, 2, 3, 4)), array(INT8, D(2, 1), N(-1, 5)),
            array(INT8, SCALAR, N(0))));
  refuse("MatMulInteger", NULL,
         IN(array(UINT8, D(2, 2), N(1, 2, 3, 4)), array(INT8, D(2, 1), N(-1, 5)),
            array(UINT8, D(3), N(0, 0, 0))));
  refuse("MatMulInteger", NULL,
         IN(array(UINT8, D(2, 2), N(1, 2, 3, 4)), array(INT8, D(1, 2), N(-1, 5))));
  refuse("ConvInteger", NULL,
         IN(array(UINT8, D(1, 1, 2), N(12, 13)), array(UINT8, D(1, 2, 2), N(1, 2, 3, 4))));
  refuse("ConvInteger", infer_attrs_new("group", INT(-1), NULL),
         IN(array(UINT8, D(1, 1, 2), N(12, 13)), array(UINT8, D(1, 1, 2), N(1, 2))));
}

static void
test_quantize(void)
{
  check("QuantizeLinear", NULL,
        IN(floats(D(6), N(1, 3, -1, 1000, -1000, NAN)), floats(SCALAR, N(2)),
           array(UINT8, SCALAR, N(10))),
        D(6), N(10, 12, 10, 255, 0, 10));
  check("QuantizeLinear",
        infer_attrs_new("axis", INT(0), "output_dtype", INT(INFER_TYPE_INT16), NULL),
        IN(floats(D(2, 1), N(1e6, -7)), floats(D(2), N(1, 2))), D(2, 1), N(32767, -4));
  check("QuantizeLinear", infer_attrs_new("axis", INT(-1), "block_size", INT(2), NULL),
        IN(floats(D(1, 3), N(4, 8, 8)), floats(D(1, 2), N(1, 2))), D(1, 3), N(4, 8, 4));
  check("DequantizeLinear", infer_attrs_new("axis", INT(1), NULL),
        IN(array(INT8, D(1, 2), N(-128, 4)), floats(D(2), N(1, 0.5)), array(INT8, D(2), N(127, 0))),
        D(1, 2), N(-255, 2));
  check("DequantizeLinear", infer_attrs_new("axis", INT(0), "block_size", INT(2), NULL),
        IN(array(INT32, D(3, 2), N(1, 2, 3, 4, 5, 6)), floats(D(2, 2), N(1, 10, 100, 1000))),
        D(3, 2), N(1, 20, 3, 40, 500, 6000));
  refuse("QuantizeLinear", NULL, IN(counting(D(2, 3)), floats(D(2), N(1, 2))));
  refuse("QuantizeLinear", infer_attrs_new("axis", INT(2), NULL),
         IN(counting(D(2, 3)), floats(D(2), N(1, 2))));
  refuse("QuantizeLinear", NULL,
         IN(counting(D(2, 3)), floats(SCALAR, N(1)), array(INT32, SCALAR, N(1))));
  refuse("QuantizeLinear", infer_attrs_new("output_dtype", INT(99), NULL),
         IN(counting(D(2, 3)), floats(SCALAR, N(1)), array(UINT8, SCALAR, N(1))));
  refuse("QuantizeLinear", infer_attrs_new("block_size", INT(-1), NULL),
         IN(counting(D(2, 3)), floats(SCALAR, N(1))));
  refuse("QuantizeLinear", infer_attrs_new("block_size", INT(2), NULL),
         IN(counting(D(2, 3)), floats(D(2, 1), N(1, 1))));
  refuse("DequantizeLinear", NULL, IN(counting(D(2, 3)), floats(SCALAR, N(1))));
  refuse("DequantizeLinear", NULL,
         IN(array(INT8, D(1), N(1)), floats(SCALAR, N(1)), array(UINT8, SCALAR, N(1))));
}

static void
test_dynamic_quantize(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferArray *in[] = {floats(D(3), N(-1, 0, 254))}, *out[3] = {NULL};
  InferNode *node = add(network, "DynamicQuantizeLinear", NULL, in, 1, 3, &error);

  g_assert_no_error(error);
  infer_op_eval_alloc(node, (const InferArray *const *)in, 1, out, 3, &error);
  g_assert_no_error(error);
  compare("DynamicQuantizeLinear", out[0], D(3), N(0, 1, 255));
  compare("DynamicQuantizeLinear", out[1], SCALAR, N(1));
  compare("DynamicQuantizeLinear", out[2], SCALAR, N(1));
  release(out, 3);
  release(in, 1);
}

/* Keys are all alike, so that what is looked at is averaged. */
static void
test_attention(void)
{
  InferDims q = D(1, 2, 1, 1), k = D(1, 1, 2, 1);
  double zero[4] = {0};

  check("Attention", NULL, IN(counting(q), floats(k, zero), floats(k, N(2, 4))), q, N(3, 3));
  check("Attention", infer_attrs_new("is_causal", INT(1), NULL),
        IN(counting(k), floats(k, zero), floats(k, N(2, 4))), k, N(2, 3));
  check("Attention", NULL,
        IN(counting(k), floats(k, zero), floats(k, N(2, 4)),
           array(INFER_TYPE_BOOL, D(2, 2), N(0, 1, 0, 0))),
        k, N(4, 0));
  check("Attention", infer_attrs_new("q_num_heads", INT(2), "kv_num_heads", INT(1), NULL),
        IN(counting(D(1, 1, 2)), floats(D(1, 1, 1), zero), floats(D(1, 1, 1), N(4)), NULL,
           floats(D(1, 1, 1, 1), zero), floats(D(1, 1, 1, 1), N(8))),
        D(1, 1, 2), N(6, 6));
  check("Attention", infer_attrs_new("scale", 'f', 1.0, NULL),
        IN(floats(D(1, 1, 1, 1), N(M_LN2)), floats(k, N(0, 1)), floats(k, N(3, 6))), D(1, 1, 1, 1),
        N(5));
  refuse_shape("Attention", NULL, SHAPES(q, k, D(1, 1, 3, 1)));
  refuse_shape("Attention", NULL, SHAPES(q, D(1, 1, 2, 2), k));
  refuse_shape("Attention", NULL, SHAPES(D(1, 2, 1), D(1, 2, 1), D(1, 2, 1)));
  refuse_shape("Attention", NULL, SHAPES(q, D(1, 3, 2, 1), D(1, 3, 2, 1)));
  refuse_shape("Attention", NULL, SHAPES(q, D(1, 0, 2, 1), D(1, 0, 2, 1)));
  refuse_shape("Attention", NULL, SHAPES(q, k, k, D(1, 3)));
  refuse_shape("Attention", infer_attrs_new("left_window_size", INT(-2), NULL), SHAPES(q, k, k));
  refuse_shape("Attention", infer_attrs_new("q_num_heads", INT(0), "kv_num_heads", INT(1), NULL),
               SHAPES(D(1, 1, 2), D(1, 1, 1), D(1, 1, 1)));
}

static void
test_small(void)
{
  check2("Dropout", NULL, IN(counting(D(2)), floats(SCALAR, N(0.5))), D(2), N(1, 2), N(1, 1));
  check("Dropout", NULL,
        IN(counting(D(2)), floats(SCALAR, N(0)), array(INFER_TYPE_BOOL, SCALAR, N(1))), D(2),
        N(1, 2));
  refuse("Dropout", NULL, IN(counting(D(2)), NULL, array(INFER_TYPE_BOOL, SCALAR, N(1))));
  check("CumSum", NULL, IN(counting(D(2, 2)), ints(SCALAR, N(1))), D(2, 2), N(1, 3, 3, 7));
  check("CumSum", infer_attrs_new("exclusive", INT(1), "reverse", INT(1), NULL),
        IN(array(INT32, D(3), N(1, 2, 3)), ints(D(1), N(-1))), D(3), N(5, 3, 0));
  check("CumSum", NULL, IN(array(INT32, D(2), N(G_MAXINT32, 1)), ints(SCALAR, N(0))), D(2),
        N(G_MAXINT32, G_MININT32));
  refuse("CumSum", NULL, IN(counting(D(2, 2)), ints(SCALAR, N(2))));
  refuse("CumSum", NULL, IN(counting(D(2, 2)), ints(D(2), N(0, 1))));
  check("Det", NULL, IN(floats(D(2, 2, 2), N(1, 2, 3, 4, 0, 2, 3, 0))), D(2), N(-2, -6));
  check("Det", NULL, IN(floats(D(2, 2), N(1, 2, 2, 4))), SCALAR, N(0));
  refuse_shape("Det", NULL, SHAPES(D(2, 3)));
  refuse_shape("Det", NULL, SHAPES(D(2)));
}

static void
test_symbols(void)
{
  g_autoptr(InferNetwork) net = infer_network_new();
  gint64 n = infer_network_add_symbol(net, "batch", 1, 1, 8);
  gint64 h = infer_network_add_symbol(net, "height", 1, 8, 64);

  expect_shape(net, "ConvTranspose", infer_attrs_new("strides", 'I', I(2, 2), NULL),
               SHAPES(D(n, 2, h, 3), D(2, 4, 2, 2)), D(n, 4, UNKNOWN, 6));
  expect_shape(net, "ConvTranspose", infer_attrs_new("pads", 'I', I(1, 1, 1, 1), NULL),
               SHAPES(D(n, 2, h, 3), D(2, 4, 3, 3)), D(n, 4, h, 3));
  expect_shape(net, "DeformConv", NULL, SHAPES(D(n, 2, h, 3), D(4, 2, 1, 1), D(n, 2, h, 3)),
               D(n, 4, h, 3));
  expect_shape(net, "LRN", infer_attrs_new("size", INT(3), NULL), SHAPES(D(n, 3, h)), D(n, 3, h));
  expect_shape(net, "LayerNormalization", NULL, SHAPES(D(n, h, 8), D(8)), D(n, h, 8));
  expect_shape(net, "InstanceNormalization", NULL, SHAPES(D(n, h, 8), D(4), D(4)), D(n, 4, 8));
  expect_shape(net, "DepthToSpace", infer_attrs_new("blocksize", INT(2), NULL),
               SHAPES(D(n, 8, h, 3)), D(n, 2, UNKNOWN, 6));
  expect_shape(net, "GridSample", NULL, SHAPES(D(n, 3, 8, 8), D(n, h, 4, 2)), D(n, 3, h, 4));
  expect_shape(net, "Einsum", equation("bij,bjk->bik"), SHAPES(D(n, h, 3), D(n, 3, 5)), D(n, h, 5));
  expect_shape(net, "Einsum", equation("...ij,jk"), SHAPES(D(n, 2, h, 3), D(3, 5)), D(n, 2, h, 5));
  expect_shape(net, "RNN", NULL, SHAPES(D(h, n, 4), D(1, 5, 4), D(1, 5, 5)), D(h, 1, n, 5));
  expect_shape(net, "LSTM", infer_attrs_new("layout", INT(1), NULL),
               SHAPES(D(n, h, 4), D(1, 20, 4), D(1, 20, 5)), D(n, h, 1, 5));
  expect_shape(net, "Det", NULL, SHAPES(D(n, h, h)), D(n));
  expect_shape(net, "MaxRoiPool", infer_attrs_new("pooled_shape", 'I', I(2, 3), NULL),
               SHAPES(D(1, 4, h, 8), D(n, 5)), D(n, 4, 2, 3));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ops-nn/convtranspose", test_convtranspose);
  g_test_add_func("/ops-nn/deformconv", test_deformconv);
  g_test_add_func("/ops-nn/unpool", test_unpool);
  g_test_add_func("/ops-nn/values", test_values);
  g_test_add_func("/ops-nn/normalization", test_normalization);
  g_test_add_func("/ops-nn/rnn", test_rnn);
  g_test_add_func("/ops-nn/lstm", test_lstm);
  g_test_add_func("/ops-nn/sampling", test_sampling);
  g_test_add_func("/ops-nn/blocks", test_blocks);
  g_test_add_func("/ops-nn/einsum", test_einsum);
  g_test_add_func("/ops-nn/integer-products", test_integer_products);
  g_test_add_func("/ops-nn/quantize", test_quantize);
  g_test_add_func("/ops-nn/dynamic-quantize", test_dynamic_quantize);
  g_test_add_func("/ops-nn/attention", test_attention);
  g_test_add_func("/ops-nn/small", test_small);
  g_test_add_func("/ops-nn/symbols", test_symbols);
  return g_test_run();
}
