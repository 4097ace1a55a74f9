/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops-check.h"

/* Operators that index, select, sample and transform, and those of our own domain. */

#define INTS(DIMS, ...) array(INT64, DIMS, N(__VA_ARGS__))
#define ONE(V) array(INT64, SCALAR, N(V))
#define BOOLS(DIMS, ...) array(INFER_TYPE_BOOL, DIMS, N(__VA_ARGS__))
#define F(...) ((const double[]){__VA_ARGS__}), (gsize)(sizeof((double[]){__VA_ARGS__}) / 8)
#define UNKNOWN INFER_DIM_UNKNOWN

/* Takes the arrays. Evaluates on inputs of which the network knows @known, which may be less than
 * what the arrays have; the first output has to be @want. */
static void
check_late(const char *op, GVariant *attrs, InferArray *const *in, guint n_in, guint n_out,
           InferDims known, InferDims dims, const double *want)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *tensors[8] = {NULL};
  InferArray *out[4] = {NULL};

  for (guint i = 0; i < n_in; i++) {
    g_autofree char *name = g_strdup_printf("in%u", i);

    if (in[i])
      tensors[i] = infer_network_add_input(network, name, in[i]->type, &in[i]->dims, NULL, &error);
    g_assert_no_error(error);
  }
  InferNode *node =
      infer_network_add_node(network, op, "node", tensors, n_in, attrs, n_out, &error);
  g_assert_no_error(error);
  g_assert_true(infer_dims_equal(&node->outputs[0]->dims, &known));
  g_assert_true(infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, n_out, &error));
  g_assert_no_error(error);
  compare(op, out[0], dims, want);
  release(out, n_out);
  release(in, n_in);
}

/* Takes the arrays. The node is good, its data are not. */
static void
fail_late(const char *op, GVariant *attrs, InferArray *const *in, guint n_in)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferArray *out[1] = {NULL};
  InferNode *node = add(network, op, attrs, in, n_in, 1, &error);

  g_assert_no_error(error);
  g_assert_false(infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, 1, &error));
  g_assert_nonnull(error);
  g_assert_true(error->domain == INFER_ERROR);
  release(in, n_in);
}

static void
test_scatter(void)
{
  check("ScatterElements", infer_attrs_new("axis", INT(1), NULL),
        IN(counting(D(1, 4)), INTS(D(1, 2), 1, -1), floats(D(1, 2), N(9, 8))), D(1, 4),
        N(1, 9, 3, 8));
  check("ScatterElements", infer_attrs_new("reduction", 's', "add", NULL),
        IN(INTS(D(2), 1, 2), INTS(D(3), 1, 1, 0), INTS(D(3), 5, 6, 7)), D(2), N(8, 13));
  check("ScatterElements", infer_attrs_new("reduction", 's', "mul", NULL),
        IN(array(INFER_TYPE_INT8, D(1), N(100)), INTS(D(1), 0), array(INFER_TYPE_INT8, D(1), N(3))),
        D(1), N(44));
  check("ScatterElements", infer_attrs_new("reduction", 's', "max", NULL),
        IN(floats(D(2), N(1, NAN)), INTS(D(2), 0, 1), floats(D(2), N(NAN, 1))), D(2), N(NAN, NAN));
  check("ScatterND", NULL, IN(counting(D(2, 2)), INTS(D(1, 1), -1), floats(D(1, 2), N(8, 9))),
        D(2, 2), N(1, 2, 8, 9));
  check("ScatterND", infer_attrs_new("reduction", 's', "min", NULL),
        IN(counting(D(2, 2)), INTS(D(2, 2), 0, 1, 1, 1), floats(D(2), N(0, 9))), D(2, 2),
        N(1, 0, 3, 4));
  check("TensorScatter", infer_attrs_new("mode", 's', "circular", NULL),
        IN(counting(D(1, 3, 1)), floats(D(1, 2, 1), N(8, 9)), INTS(D(1), 2)), D(1, 3, 1),
        N(9, 2, 8));
  fail_late("ScatterElements", NULL, IN(counting(D(2)), INTS(D(1), 2), counting(D(1))));
  fail_late("ScatterElements", NULL, IN(counting(D(2)), INTS(D(1), -3), counting(D(1))));
  fail_late("ScatterND", NULL, IN(counting(D(2)), INTS(D(1, 1), 2), counting(D(1))));
  fail_late("TensorScatter", NULL, IN(counting(D(1, 3, 1)), counting(D(1, 2, 1)), INTS(D(1), 2)));
  refuse("ScatterElements", NULL, IN(counting(D(2)), INTS(D(1), 0), counting(D(2))));
  refuse("ScatterElements", NULL, IN(counting(D(1, 2)), INTS(D(2, 2), 0, 0, 0, 0), counting(D(2))));
  refuse("ScatterElements", infer_attrs_new("axis", INT(G_MININT64), NULL),
         IN(counting(D(1)), INTS(D(1), 0), counting(D(1))));
  refuse("ScatterElements", infer_attrs_new("reduction", 's', "mean", NULL),
         IN(counting(D(1)), INTS(D(1), 0), counting(D(1))));
  refuse("ScatterND", NULL, IN(counting(D(2)), INTS(D(1, 2), 0, 0), counting(D(1))));
  refuse("ScatterND", NULL, IN(counting(D(2)), INTS(D(1, 1), 0), INTS(D(1), 0)));
  refuse("TensorScatter", infer_attrs_new("axis", INT(0), NULL),
         IN(counting(D(2, 2)), counting(D(2, 2))));
}

static void
test_select(void)
{
  InferDims late = D(2, UNKNOWN);

  check_late("NonZero", NULL, IN(floats(D(2, 2), N(0, -1, NAN, -0.0))), 1, late, D(2, 2),
             N(0, 1, 1, 0));
  check_late("NonZero", NULL, IN(floats(SCALAR, N(5))), 1, D(0, UNKNOWN), D(0, 1), N(0));
  check("Compress", infer_attrs_new("axis", INT(-1), NULL),
        IN(counting(D(2, 3)), BOOLS(D(3), 0, 1, 1)), D(2, 2), N(2, 3, 5, 6));
  check_late("Compress", NULL, IN(counting(D(2, 2)), BOOLS(D(3), 1, 0, 1)), 1, D(UNKNOWN), D(2),
             N(1, 3));
  refuse("Compress", NULL, IN(counting(D(1)), BOOLS(D(2), 0, 1)));
  refuse("Compress", infer_attrs_new("axis", INT(1), NULL), IN(counting(D(1)), BOOLS(D(1), 1)));
  check_late("Unique", NULL, IN(floats(D(5), N(3, 1, NAN, 1, NAN))), 4, D(UNKNOWN), D(3),
             N(1, 3, NAN));
  check_late("Unique", infer_attrs_new("sorted", INT(0), NULL), IN(floats(D(4), N(3, 1, 3, 2))), 3,
             D(UNKNOWN), D(3), N(3, 1, 2));
  check_late("Unique", infer_attrs_new("axis", INT(0), NULL),
             IN(floats(D(3, 2), N(2, 1, 0, 5, 2, 1))), 2, D(UNKNOWN, 2), D(2, 2), N(0, 5, 2, 1));
  refuse("Unique", infer_attrs_new("axis", INT(2), NULL), IN(counting(D(2))));
  check("OneHot", NULL, IN(INTS(D(3), 1, -1, 5), ONE(2), floats(D(2), N(0, 7))), D(3, 2),
        N(0, 7, 0, 7, 0, 0));
  refuse("OneHot", NULL, IN(INTS(D(1), 0), ONE(0), counting(D(2))));
  refuse("OneHot", NULL, IN(INTS(D(1), 0), ONE(2), counting(D(3))));
  refuse("OneHot", infer_attrs_new("axis", INT(3), NULL),
         IN(INTS(D(1), 0), ONE(2), counting(D(2))));
  check("Trilu", infer_attrs_new("upper", INT(0), NULL), IN(counting(D(2, 3)), ONE(1)), D(2, 3),
        N(1, 2, 0, 4, 5, 6));
  check("Trilu", NULL, IN(counting(D(2, 2)), ONE(G_MININT64)), D(2, 2), N(1, 2, 3, 4));
  refuse("Trilu", NULL, IN(counting(D(2))));
  check("EyeLike", infer_attrs_new("k", INT(1), "dtype", INT(INFER_TYPE_INT32), NULL),
        IN(counting(D(2, 2))), D(2, 2), N(0, 1, 0, 0));
  check("EyeLike", infer_attrs_new("k", INT(G_MININT64), NULL), IN(counting(D(1, 2))), D(1, 2),
        N(0, 0));
  refuse("EyeLike", infer_attrs_new("dtype", INT(INFER_TYPE_STRING), NULL), IN(counting(D(1, 1))));
}

static void
test_rearrange(void)
{
  check("ReverseSequence", infer_attrs_new("time_axis", INT(1), "batch_axis", INT(0), NULL),
        IN(counting(D(2, 3)), INTS(D(2), 2, 3)), D(2, 3), N(2, 1, 3, 6, 5, 4));
  fail_late("ReverseSequence", NULL, IN(counting(D(2, 1)), INTS(D(1), 3)));
  refuse("ReverseSequence", infer_attrs_new("time_axis", INT(1), NULL),
         IN(counting(D(2, 2)), INTS(D(2), 1, 1)));
  check("CenterCropPad", NULL, IN(counting(D(3, 2)), INTS(D(2), 1, 4)), D(1, 4), N(0, 3, 4, 0));
  check("CenterCropPad", infer_attrs_new("axes", 'I', I(-1), NULL),
        IN(counting(D(1, 4)), INTS(D(1), 1)), D(1, 1), N(2));
  refuse("CenterCropPad", NULL, IN(counting(D(3)), INTS(D(1), -1)));
  refuse("CenterCropPad", infer_attrs_new("axes", 'I', I(0, 0), NULL),
         IN(counting(D(3)), INTS(D(2), 1, 1)));
  check("infer.Reorg", NULL, IN(counting(D(1, 4, 2, 2))), D(1, 16, 1, 1),
        N(1, 3, 9, 11, 2, 4, 10, 12, 5, 7, 13, 15, 6, 8, 14, 16));
  refuse("infer.Reorg", NULL, IN(counting(D(1, 3, 2, 2))));
  refuse("infer.Reorg", infer_attrs_new("stride", INT(0), NULL), IN(counting(D(1, 4, 2, 2))));
  refuse("infer.Reorg", infer_attrs_new("stride", INT(G_MAXINT64), NULL),
         IN(counting(D(1, 4, 2, 2))));
}

static void
test_suppression(void)
{
  const double boxes[] = {0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 5, 1, 6};

  check_late("NonMaxSuppression", NULL,
             IN(floats(D(1, 3, 4), boxes), floats(D(1, 1, 3), N(0.5, 0.9, 0.7)), ONE(9),
                floats(SCALAR, N(0.5))),
             1, D(UNKNOWN, 3), D(2, 3), N(0, 0, 1, 0, 0, 2));
  check_late("NonMaxSuppression", NULL,
             IN(floats(D(1, 3, 4), boxes), floats(D(1, 1, 3), N(0.5, NAN, 0.7)), ONE(9),
                floats(SCALAR, N(0.5)), floats(SCALAR, N(0.6))),
             1, D(UNKNOWN, 3), D(1, 3), N(0, 0, 2));
  check_late("NonMaxSuppression", infer_attrs_new("center_point_box", INT(1), NULL),
             IN(floats(D(1, 2, 4), N(0.5, 0.5, 1, 1, 0.5, 0.6, 1, 1)),
                floats(D(1, 1, 2), N(0.5, 0.9)), ONE(9), floats(SCALAR, N(0.5))),
             1, D(UNKNOWN, 3), D(1, 3), N(0, 0, 1));
  check_late("NonMaxSuppression", NULL,
             IN(floats(D(1, 3, 4), boxes), floats(D(1, 1, 3), N(0.5, 0.9, 0.7))), 1, D(UNKNOWN, 3),
             D(0, 3), N(0));
  refuse_shape("NonMaxSuppression", NULL, SHAPES(D(1, 3, 5), D(1, 1, 3)));
  refuse_shape("NonMaxSuppression", NULL, SHAPES(D(1, 3, 4), D(1, 1, 2)));
  refuse_shape("NonMaxSuppression", infer_attrs_new("center_point_box", INT(2), NULL),
               SHAPES(D(1, 3, 4), D(1, 1, 3)));
}

/* The same seed gives the same numbers, another one others, and they are spread as they should. */
static void
test_random(void)
{
  static const char *const ops[] = {"RandomUniform", "RandomNormal"};
  double sum[2] = {0}, squares[2] = {0};

  for (guint k = 0; k < 2; k++) {
    g_autoptr(InferNetwork) network = infer_network_new();
    g_autoptr(GError) error = NULL;
    InferArray *out[3] = {NULL};

    for (guint i = 0; i < 3; i++) {
      GVariant *attrs = infer_attrs_new("shape", 'I', I(100, 50), "seed", 'f', i / 2 + 1.0, NULL);
      InferNode *node = infer_network_add_node(network, ops[k], NULL, NULL, 0, attrs, 1, &error);

      g_assert_no_error(error);
      g_assert_true(infer_op_eval_alloc(node, NULL, 0, &out[i], 1, &error));
    }
    g_assert_cmpmem(out[0]->data, out[0]->size, out[1]->data, out[1]->size);
    g_assert_cmpint(memcmp(out[0]->data, out[2]->data, out[0]->size), !=, 0);
    for (gsize i = 0; i < 5000; i++) {
      double value = infer_array_get_double(out[0], i);
      sum[k] += value / 5000;
      squares[k] += value * value / 5000;
    }
    release(out, 3);
  }
  g_assert_cmpfloat_with_epsilon(sum[0], 0.5, 0.02);
  g_assert_cmpfloat_with_epsilon(squares[0], 1 / 3.0, 0.02);
  g_assert_cmpfloat_with_epsilon(sum[1], 0, 0.05);
  g_assert_cmpfloat_with_epsilon(squares[1], 1, 0.06);
  check("Bernoulli", NULL, IN(floats(D(3), N(0, 1, NAN))), D(3), N(0, 1, 0));
  check("Multinomial", infer_attrs_new("sample_size", INT(2), NULL),
        IN(floats(D(1, 3), N(-INFINITY, 0, -INFINITY))), D(1, 2), N(1, 1));
  refuse("RandomUniform", infer_attrs_new("shape", 'I', I(-1), NULL), NULL, 0);
  refuse("RandomNormal", infer_attrs_new("shape", 'I', I(1, 1, 1, 1, 1, 1, 1, 1, 1), NULL), NULL,
         0);
  refuse("RandomNormal", infer_attrs_new("shape", 'I', I(G_MAXINT64, 2), NULL), NULL, 0);
  refuse("Multinomial", infer_attrs_new("sample_size", INT(-1), NULL), IN(counting(D(1, 2))));
}

static void
test_fourier(void)
{
  check("DFT", infer_attrs_new("onesided", INT(1), NULL), IN(counting(D(1, 3, 1))), D(1, 2, 2),
        N(6, 0, -1.5, 0.8660254));
  check("DFT", infer_attrs_new("inverse", INT(1), NULL),
        IN(floats(D(1, 2, 2), N(4, 0, 2, 0)), NULL, ONE(1)), D(1, 2, 2), N(3, 0, 1, 0));
  check("DFT", infer_attrs_new("inverse", INT(1), "onesided", INT(1), NULL),
        IN(floats(D(1, 2, 2), N(6, 0, -1.5, 0.8660254)), ONE(3)), D(1, 3, 1), N(1, 2, 3));
  check("DFT", NULL, IN(counting(D(1, 2, 1)), ONE(4)), D(1, 4, 2), N(3, 0, 1, -2, -1, 0, 1, 2));
  refuse("DFT", NULL, IN(counting(D(1, 2, 1)), ONE(0)));
  refuse("DFT", NULL, IN(counting(D(1, 2, 1)), ONE(G_MAXINT64)));
  refuse("DFT", NULL, IN(counting(D(1, 2, 1)), NULL, ONE(-1)));
  refuse("DFT", NULL, IN(counting(D(1, 2, 3))));
  check("STFT", NULL, IN(counting(D(1, 4, 1)), ONE(2), NULL, ONE(2)), D(1, 2, 2, 2),
        N(3, 0, -1, 0, 7, 0, -1, 0));
  refuse("STFT", NULL, IN(counting(D(1, 4, 1)), ONE(0), NULL, ONE(2)));
  refuse("STFT", NULL, IN(counting(D(1, 4, 1)), ONE(1), NULL, ONE(5)));
  refuse("STFT", NULL, IN(counting(D(1, 4, 1)), ONE(1), counting(D(3)), ONE(2)));
  refuse("STFT", NULL, IN(counting(D(1, 4, 2)), ONE(1), NULL, ONE(2)));
}

/* A size is an input of the network here, so that windows are known at run time only. */
static void
test_windows(void)
{
  check_late("HannWindow", NULL, IN(ONE(4)), 1, D(UNKNOWN), D(4), N(0, 0.5, 1, 0.5));
  check_late("HammingWindow", infer_attrs_new("periodic", INT(0), NULL), IN(ONE(3)), 1, D(UNKNOWN),
             D(3), N(2 / 23.0, 1, 2 / 23.0));
  check_late("BlackmanWindow", infer_attrs_new("periodic", INT(0), NULL), IN(ONE(1)), 1, D(UNKNOWN),
             D(1), N(1));
  check_late("HannWindow", NULL, IN(ONE(0)), 1, D(UNKNOWN), D(0), N(0));
  fail_late("HannWindow", NULL, IN(ONE(-1)));
  refuse("HannWindow", infer_attrs_new("output_datatype", INT(-5), NULL), IN(ONE(1)));
  refuse("HannWindow", NULL, IN(counting(D(1))));
}

static void
test_training(void)
{
  check("NegativeLogLikelihoodLoss", infer_attrs_new("reduction", 's', "sum", NULL),
        IN(counting(D(2, 2)), INTS(D(2), 1, 0)), SCALAR, N(-5));
  check("SoftmaxCrossEntropyLoss", infer_attrs_new("ignore_index", INT(-1), NULL),
        IN(floats(D(2, 2), N(0, 0, 9, 9)), INTS(D(2), 1, -1)), SCALAR, N(M_LN2));
  fail_late("NegativeLogLikelihoodLoss", NULL, IN(counting(D(1, 2)), INTS(D(1), 2)));
  refuse("NegativeLogLikelihoodLoss", NULL, IN(counting(D(2, 2)), INTS(D(3), 0, 0, 0)));
  refuse("NegativeLogLikelihoodLoss", infer_attrs_new("reduction", 's', "", NULL),
         IN(counting(D(1, 2)), INTS(D(1), 0)));
  check2("Adagrad", infer_attrs_new("epsilon", 'f', 0.0, NULL),
         IN(floats(SCALAR, N(0.5)), ONE(0), floats(D(1), N(1)), floats(D(1), N(3)),
            floats(D(1), N(16))),
         D(1), N(0.7), N(25));
  refuse("Adagrad", NULL, IN(counting(SCALAR), ONE(0), counting(D(1)), counting(D(1))));
  refuse("Adam", NULL, IN(counting(SCALAR), ONE(0), counting(D(1))));
}

static void
test_features(void)
{
  check("ArrayFeatureExtractor", NULL, IN(counting(D(2, 3)), INTS(D(2), 2, 0)), D(2, 2),
        N(3, 1, 6, 4));
  fail_late("ArrayFeatureExtractor", NULL, IN(counting(D(2, 3)), INTS(D(1), -1)));
  check("Binarizer", infer_attrs_new("threshold", 'f', 2.0, NULL), IN(counting(D(3))), D(3),
        N(0, 0, 1));
  check("LabelEncoder",
        infer_attrs_new("keys_floats", 'F', F(1, NAN, 1), "values_int64s", 'I', I(5, 6, 7), NULL),
        IN(floats(D(3), N(1, NAN, 2))), D(3), N(7, 6, -1));
  refuse("LabelEncoder",
         infer_attrs_new("keys_floats", 'F', F(1), "values_int64s", 'I', I(5, 6), NULL),
         IN(counting(D(1))));
  refuse("LabelEncoder", NULL, IN(counting(D(1))));
  check("CastLike", NULL, IN(floats(D(2), N(1.5, -2.5)), INTS(D(1), 0)), D(2), N(1, -2));
  check("RotaryEmbedding", NULL,
        IN(counting(D(1, 1, 1, 2)), floats(D(1, 1, 1), N(0)), floats(D(1, 1, 1), N(1))),
        D(1, 1, 1, 2), N(-2, 1));
  refuse("RotaryEmbedding", NULL,
         IN(counting(D(1, 1, 2)), counting(D(1, 1, 1)), counting(D(1, 1, 1))));
  fail_late("RotaryEmbedding", NULL,
            IN(counting(D(1, 1, 1, 2)), counting(D(1, 1)), counting(D(1, 1)), INTS(D(1, 1), 1)));
}

static GVariant *
grams(const char *mode, gint64 skip, gint64 first, gint64 index)
{
  return infer_attrs_new("mode", 's', mode, "min_gram_length", INT(1), "max_gram_length", INT(2),
                         "max_skip_count", 'i', skip, "ngram_counts", 'I', I(first, 1),
                         "ngram_indexes", 'I', I(0, index), "pool_int64s", 'I', I(7, 7, 8), NULL);
}

static void
test_grams(void)
{
  check("TfIdfVectorizer", grams("TF", 1, 0, 2), IN(INTS(D(4), 7, 8, 8, 7)), D(3), N(2, 0, 2));
  check("TfIdfVectorizer", grams("IDF", G_MAXINT64, 0, 1), IN(INTS(D(4), 7, 8, 8, 7)), D(2),
        N(1, 1));
  refuse("TfIdfVectorizer", grams("TF", 1, 1, 1), IN(INTS(D(1), 7)));
  refuse("TfIdfVectorizer", grams("TF", 1, 0, -1), IN(INTS(D(1), 7)));
  refuse("TfIdfVectorizer", grams("TF", 1, 0, G_MAXINT64), IN(INTS(D(1), 7)));
  refuse("TfIdfVectorizer", grams("BM25", 1, 0, 1), IN(INTS(D(1), 7)));
}

/* Two nodes: feature 0 below 1 is leaf 0, else node @next, where a member of {5} is leaf 1. */
static GVariant *
tree(gint64 next, gint64 leaf, gint64 feature)
{
  return infer_attrs_new("tree_roots", 'I', I(0), "n_targets", INT(2), "nodes_featureids", 'I',
                         I(0, feature), "nodes_modes", 'I', I(1, 6), "nodes_splits", 'F', F(1, 0),
                         "nodes_truenodeids", 'I', I(0, 1), "nodes_trueleafs", 'I', I(1, 1),
                         "nodes_falsenodeids", 'I', I(next, leaf), "nodes_falseleafs", 'I',
                         I(0, leaf >= 0), "leaf_targetids", 'I', I(0, 1, 1), "leaf_weights", 'F',
                         F(10, 20, 30), "membership_values", 'F', F(5), NULL);
}

static void
test_trees(void)
{
  check("TreeEnsemble", tree(1, 2, 0), IN(floats(D(4, 1), N(0, 5, 6, NAN))), D(4, 2),
        N(10, 0, 0, 20, 0, 30, 0, 30));
  fail_late("TreeEnsemble", tree(0, 2, 0), IN(floats(D(1, 1), N(3))));
  refuse("TreeEnsemble", tree(2, 2, 0), IN(floats(D(1, 1), N(3))));
  refuse("TreeEnsemble", tree(1, 3, 0), IN(floats(D(1, 1), N(3))));
  refuse("TreeEnsemble", tree(1, -1, 0), IN(floats(D(1, 1), N(3))));
  refuse("TreeEnsemble", tree(1, 2, 1), IN(floats(D(1, 1), N(3))));
  refuse("TreeEnsemble", NULL, IN(floats(D(1, 1), N(3))));
}

static void
test_priors(void)
{
  GVariant *attrs = infer_attrs_new("min_size", 'F', F(4), "max_size", 'F', F(9), "aspect_ratio",
                                    'F', F(1, 4), "variance", 'F', F(1, 2, 3, 4), NULL);

  check("infer.PriorBox", attrs, IN(counting(D(1, 1, 1, 1)), counting(D(1, 1, 2, 4))), D(1, 2, 16),
        N(0, -0.5, 1, 1.5, -0.25, -1, 1.25, 2, -0.5, 0, 1.5, 1, 0.25, -1.5, 0.75, 2.5, 1, 2, 3, 4,
          1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4));
  refuse("infer.PriorBox", NULL, IN(counting(D(1, 1, 1, 1)), counting(D(1, 1, 2, 4))));
  refuse("infer.PriorBox", infer_attrs_new("min_size", 'F', F(0), NULL),
         IN(counting(D(1, 1, 1, 1)), counting(D(1, 1, 2, 4))));
  refuse("infer.PriorBox", infer_attrs_new("min_size", 'F', F(1), "max_size", 'F', F(1, 2), NULL),
         IN(counting(D(1, 1, 1, 1)), counting(D(1, 1, 2, 4))));
  refuse("infer.PriorBox", infer_attrs_new("min_size", 'F', F(1), "step", 'f', NAN, NULL),
         IN(counting(D(1, 1, 1, 1)), counting(D(1, 1, 2, 4))));
  refuse("infer.PriorBox", infer_attrs_new("min_size", 'F', F(1), NULL),
         IN(counting(D(1, 1)), counting(D(1, 1, 2, 4))));
}

static GVariant *
yolo(gint64 version, gint64 stride, const double *anchors, gsize n)
{
  return infer_attrs_new("anchors", 'F', anchors, n, "stride", 'i', stride, "version", 'i', version,
                         NULL);
}

static void
refuse_yolo(GVariant *attrs, InferDims dims)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *x = infer_network_add_input(network, "x", FLOAT, &dims, NULL, &error);

  g_assert_null(infer_network_add_node(network, "infer.YoloDecode", NULL, &x, 1, attrs, 2, &error));
  g_assert_true(error && error->domain == INFER_ERROR);
}

static void
test_detectors(void)
{
  const double none[6] = {0};

  check("infer.Normalize", infer_attrs_new("across_spatial", INT(0), NULL),
        IN(floats(D(1, 2, 1, 1), N(3, 4)), floats(D(2), N(10, 20))), D(1, 2, 1, 1), N(6, 16));
  refuse("infer.Normalize", NULL, IN(counting(D(1, 2, 1, 1)), counting(D(3))));
  refuse("infer.Normalize", infer_attrs_new("eps", 'f', -1.0, NULL),
         IN(counting(D(1, 2)), counting(D(2))));
  check_late("infer.YoloDecode", yolo(3, 8, F(4, 6)), IN(array(FLOAT, D(1, 6, 1, 1), none)), 2,
             D(1, 1, 4), D(1, 1, 4), N(2, 1, 6, 7));
  check_late("infer.YoloDecode", yolo(5, 8, F(4, 6)), IN(array(FLOAT, D(1, 6, 1, 1), none)), 2,
             D(1, 1, 4), D(1, 1, 4), N(2, 1, 6, 7));
  refuse_yolo(yolo(6, 8, F(4, 6)), D(1, 6, 1, 1));
  refuse_yolo(yolo(3, 0, F(4, 6)), D(1, 6, 1, 1));
  refuse_yolo(yolo(3, 8, F(4)), D(1, 6, 1, 1));
  refuse_yolo(yolo(3, 8, F(4, 6)), D(1, 5, 1, 1));
  refuse_yolo(yolo(3, 8, F(4, 6)), D(1, 6, 1));
}

static GVariant *
bins(gint64 n, double scale)
{
  return infer_attrs_new("pooled_h", 'i', n, "pooled_w", 'i', n, "spatial_scale", 'f', scale, NULL);
}

static void
test_regions(void)
{
  check("infer.RoiPool", bins(2, 0.5),
        IN(counting(D(1, 1, 4, 4)), floats(D(2, 5), N(0, 0, 0, 6, 6, 0, 90, 90, 99, 99))),
        D(2, 1, 2, 2), N(6, 8, 14, 16, 0, 0, 0, 0));
  check("infer.RoiPool", bins(1, 1),
        IN(counting(D(1, 1, 1, 2)), floats(D(1, 5), N(0, NAN, -INFINITY, INFINITY, 1e30))),
        D(1, 1, 1, 1), N(2));
  fail_late("infer.RoiPool", bins(1, 1),
            IN(counting(D(1, 1, 1, 1)), floats(D(1, 5), N(1, 0, 0, 1, 1))));
  fail_late("infer.RoiPool", bins(1, 1),
            IN(counting(D(1, 1, 1, 1)), floats(D(1, 5), N(NAN, 0, 0, 1, 1))));
  refuse("infer.RoiPool", bins(0, 1), IN(counting(D(1, 1, 1, 1)), counting(D(1, 5))));
  refuse("infer.RoiPool", bins(1, NAN), IN(counting(D(1, 1, 1, 1)), counting(D(1, 5))));
  refuse("infer.RoiPool", bins(1, 1), IN(counting(D(1, 1, 1, 1)), counting(D(1, 4))));
}

static GVariant *
own_bins(gint64 outputs, gint64 group, double scale)
{
  return infer_attrs_new("output_dim", INT(outputs), "group_size", INT(group), "spatial_scale", 'f',
                         scale, NULL);
}

static void
test_own_bins(void)
{
  /* Four channels of 2x2: each bin of the one output is the mean of its quarter of its channel. */
  check("infer.PsRoiPool", own_bins(1, 2, 1),
        IN(counting(D(1, 4, 2, 2)), floats(D(2, 5), N(0, 0, 0, 1, 1, 0, 90, 90, 99, 99))),
        D(2, 1, 2, 2), N(1, 6, 11, 16, 0, 0, 0, 0));
  check("infer.PsRoiPool", own_bins(2, 1, 1),
        IN(counting(D(1, 2, 1, 2)), floats(D(1, 5), N(0, NAN, -INFINITY, INFINITY, 1e30))),
        D(1, 2, 1, 1), N(1.5, 3.5));
  fail_late("infer.PsRoiPool", own_bins(1, 1, 1),
            IN(counting(D(1, 1, 1, 1)), floats(D(1, 5), N(1, 0, 0, 1, 1))));
  refuse("infer.PsRoiPool", own_bins(0, 1, 1), IN(counting(D(1, 1, 1, 1)), counting(D(1, 5))));
  refuse("infer.PsRoiPool", own_bins(1, 2, 1), IN(counting(D(1, 3, 1, 1)), counting(D(1, 5))));
  refuse("infer.PsRoiPool", own_bins(1, 1, NAN), IN(counting(D(1, 1, 1, 1)), counting(D(1, 5))));
  refuse("infer.PsRoiPool", own_bins(1, 1, 1), IN(counting(D(1, 1, 1, 1)), counting(D(1, 4))));
}

static void
test_proposal(void)
{
  const double one[] = {1}, zeros[8] = {0}, scores[] = {0, 0, 0.5, 0.75};
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferArray *out[3] = {NULL};
  InferArray *in[] = {floats(D(1, 2, 1, 2), scores), floats(D(1, 4, 1, 2), zeros),
                      floats(D(1, 3), N(16, 32, 1))};
  GVariant *attrs = infer_attrs_new("ratios", 'F', one, (gsize)1, "scales", 'F', one, (gsize)1,
                                    "post_nms_topn", INT(3), NULL);
  InferNode *node = add(network, "infer.Proposal", attrs, in, 3, 3, &error);

  g_assert_no_error(error);
  g_assert_true(infer_op_eval_alloc(node, (const InferArray *const *)in, 3, out, 3, &error));
  g_assert_no_error(error);
  compare("infer.Proposal", out[0], D(3, 5), N(0, 16, 0, 31, 15, 0, 0, 0, 16, 15, 0, 0, 0, 0, 0));
  compare("infer.Proposal", out[1], D(3), N(0.75, 0.5, 0));
  compare("infer.Proposal", out[2], D(1), N(2));
  release(out, 3);
  release(in, 3);
}

static void
test_shapes(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);

  expect_shape(network, "Trilu", NULL, SHAPES(D(n, 3, 3)), D(n, 3, 3));
  expect_shape(network, "NonZero", NULL, SHAPES(D(n, 3)), D(2, UNKNOWN));
  expect_shape(network, "DFT", infer_attrs_new("onesided", INT(1), NULL), SHAPES(D(n, 8, 1)),
               D(n, 5, 2));
  expect_shape(network, "DFT", NULL, SHAPES(D(4, n, 1)), D(4, n, 2));
  expect_shape(network, "infer.Reorg", NULL, SHAPES(D(n, 64, 26, 26)), D(n, 256, 13, 13));
  expect_shape(network, "infer.PriorBox", infer_attrs_new("min_size", 'F', F(8), NULL),
               SHAPES(D(n, 3, 2, 2), D(n, 3, 9, 9)), D(1, 2, 16));
  expect_shape(network, "infer.RoiPool", bins(7, 0.0625), SHAPES(D(1, 256, 14, 14), D(n, 5)),
               D(n, 256, 7, 7));
  expect_shape(network, "infer.Normalize", NULL, SHAPES(D(n, 4, 2, 2), D(4)), D(n, 4, 2, 2));
}

/* Values that no model should have, for every attribute of an operator, one at a time. */
static GVariant *
odd_attr(const InferAttrSpec *spec, guint i)
{
  static const gint64 ints[] = {G_MININT64, -1, 0, 3, G_MAXINT64};
  static const double reals[] = {-INFINITY, -1, 0, NAN, 1e300};
  GVariantDict dict;
  GVariant *value = NULL;

  switch (spec->kind) {
  case 'i':
    value = g_variant_new_int64(ints[i]);
    break;
  case 'f':
    value = g_variant_new_double(reals[i]);
    break;
  case 's':
    value = g_variant_new_string(i ? "none" : "");
    break;
  case 'I':
    value = g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, &ints[i], i ? 1 : 0, 8);
    break;
  case 'F':
    value = g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, &reals[i], i ? 1 : 0, 8);
    break;
  default:
    value = g_variant_new_strv(NULL, 0);
  }
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert_value(&dict, spec->name, value);
  return g_variant_dict_end(&dict);
}

static void
try_node(const InferOp *op, GVariant *attrs, InferArray *const *in)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  guint n_in = MIN(op->max_inputs, 5), n_out = MIN(op->max_outputs, 2);
  InferArray *out[4] = {NULL};
  InferNode *node = add(network, op->name, attrs, in, n_in, n_out, &error);

  g_assert_true(node || error);
  if (!node)
    return;
  if (infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, n_out, &error))
    release(out, n_out);
  else
    g_assert_nonnull(error);
}

static void
test_odd(void)
{
  static const char list[] =
      "ScatterElements ScatterND TensorScatter NonZero Compress OneHot Trilu EyeLike "
      "NonMaxSuppression Unique ReverseSequence CenterCropPad RandomUniform "
      "RandomNormalLike Bernoulli Multinomial HannWindow DFT STFT MelWeightMatrix "
      "SoftmaxCrossEntropyLoss Adagrad RotaryEmbedding TfIdfVectorizer CastLike "
      "ArrayFeatureExtractor Binarizer LabelEncoder infer.PriorBox infer.Proposal "
      "infer.RoiPool infer.PsRoiPool infer.Normalize infer.Reorg infer.YoloDecode TreeEnsemble";
  g_auto(GStrv) ops = g_strsplit(list, " ", -1);
  const InferDims dims[] = {SCALAR, D(0), D(2), D(2, 1), D(1, 2, 2), D(1, 6, 2, 2), D(2, 0, 1, 4)};
  const double values[24] = {-1, 2, NAN, 1, -7};
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);

  for (char **name = ops; *name; name++) {
    const InferOp *op = infer_op_find(*name);

    g_assert_nonnull(op);
    for (guint round = 0; round < 200; round++) {
      const InferAttrSpec *spec = op->attrs;
      InferArray *in[5] = {NULL};

      for (guint i = 0; i < 5; i++) {
        guint type = g_rand_int_range(rand, 0, 3), shape = g_rand_int_range(rand, 0, 7);
        in[i] = array(type == 0 ? INT64 : FLOAT, dims[round % 2 ? round / 2 % 7 : shape], values);
      }
      if (spec)
        for (guint skip = g_rand_int_range(rand, 0, 4); skip > 0 && spec[1].name; skip--)
          spec++;
      try_node(op, spec ? odd_attr(spec, g_rand_int_range(rand, 0, 5)) : NULL, in);
      release(in, 5);
    }
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ops/scatter", test_scatter);
  g_test_add_func("/ops/select", test_select);
  g_test_add_func("/ops/rearrange", test_rearrange);
  g_test_add_func("/ops/suppression", test_suppression);
  g_test_add_func("/ops/random", test_random);
  g_test_add_func("/ops/fourier", test_fourier);
  g_test_add_func("/ops/windows", test_windows);
  g_test_add_func("/ops/training", test_training);
  g_test_add_func("/ops/features", test_features);
  g_test_add_func("/ops/grams", test_grams);
  g_test_add_func("/ops/trees", test_trees);
  g_test_add_func("/ops/priors", test_priors);
  g_test_add_func("/ops/detectors", test_detectors);
  g_test_add_func("/ops/regions", test_regions);
  g_test_add_func("/ops/own-bins", test_own_bins);
  g_test_add_func("/ops/proposal", test_proposal);
  g_test_add_func("/ops/late-shapes", test_shapes);
  g_test_add_func("/ops/odd", test_odd);
  return g_test_run();
}
