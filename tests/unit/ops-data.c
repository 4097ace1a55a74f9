/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops-test.h"

/* Operators that move data: shapes through the network's public interface, values against cases
 * worked out by hand. */

static void
test_cast(void)
{
  static const guint16 halves[] = {0x3c00, 0x7c00, 0x8000, 0x0001, 0x6800, 0xbc01};
  static const gint8 saturated[] = {-128, 127, 0, 2, -2, 127};
  static const guint8 wrapped[] = {255, 0, 44};
  static const guint16 brains[] = {0x3f80, 0x3f82, 0x7f80, 0xff80};
  const InferDims six = INFER_DIMS(6);
  assert_same(EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_INT8)),
                    FLOATS(six, -1000, 1e30f, NAN, 2.9f, -2.9f, INFINITY)),
              array_of(INFER_TYPE_INT8, six, saturated));
  assert_same(EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_UINT8)), LIST(-1, 256, 300)),
              array_of(INFER_TYPE_UINT8, INFER_DIMS(3), wrapped));
  /* 2049 lies between two halves, the even one is below; 2^-25 is half of the least one. */
  g_autoptr(InferArray) half = EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_FLOAT16)),
                                     FLOATS(six, 1, 65520, -0x1p-25f, 0x1.8p-25f, 2049, -1.0009f));
  g_assert_cmpmem(half->data, half->size, halves, sizeof halves);
  assert_same(EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_FLOAT)), infer_array_ref(half)),
              FLOATS(six, 1, INFINITY, -0.0f, 0x1p-24f, 2048, -1.0009765625f));
  g_autoptr(InferArray) brain =
      EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_BFLOAT16)),
            FLOATS(INFER_DIMS(4), 1.00390625f, 1.01171875f, 3.4e38f, -INFINITY));
  g_assert_cmpmem(brain->data, brain->size, brains, sizeof brains);
  assert_same(EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_INT64)),
                    EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_BOOL)),
                          FLOATS(INFER_DIMS(4), 0, -0.0f, NAN, 0.1f))),
              LIST(0, 0, 1, 1));
  assert_same(EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_INT64)),
                    EVAL1("Cast", ATTRS(INT("to", INFER_TYPE_UINT64)), LIST(-1, G_MAXINT64))),
              LIST(-1, G_MAXINT64));

  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = input(network, INFER_TYPE_FLOAT, six);
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Cast", ATTRS(INT("to", INFER_TYPE_COMPLEX64)), x);
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Cast", ATTRS(INT("to", INFER_N_TYPES)), x);
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Cast", ATTRS(INT("to", 1 << 30)), x);
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Cast", ATTRS(INT("to", -1)), x);
  REFUSE(network, INFER_ERROR_ARGUMENT, "Cast", NULL, x);
}

/* The ways in which exporters compute shapes, with a batch that is not known. */
static void
test_shape_arithmetic(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 batch = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x = input(network, INFER_TYPE_FLOAT, INFER_DIMS(batch, 19, 19, 12));
  InferTensor *shape = ADD(network, "Shape", NULL, x);
  assert_dims(&shape->content, INFER_DIMS(batch, 19, 19, 12));
  InferTensor *n = ADD(network, "Gather", NULL, shape, constant(network, SCALAR(-4)));
  assert_dims(&n->content, INFER_DIMS(batch));
  n = ADD(network, "Unsqueeze", NULL, n, constant(network, LIST(0)));
  InferTensor *target = ADD(network, "Concat", ATTRS(INT("axis", 0)), n,
                            constant(network, LIST(-1)), constant(network, LIST(4)));
  /* The constant -1 must not read as the first symbol. */
  assert_dims(&target->content, INFER_DIMS(batch, UNKNOWN, 4));
  assert_dims(&ADD(network, "Reshape", NULL, x, target)->dims, INFER_DIMS(batch, 1083, 4));

  InferTensor *cut = ADD(network, "Slice", NULL, shape, constant(network, LIST(0)),
                         constant(network, LIST(G_MAXINT64)), constant(network, LIST(0)),
                         constant(network, LIST(3)));
  assert_dims(&cut->content, INFER_DIMS(batch, 12));
  InferTensor *narrow = ADD(network, "Cast", ATTRS(INT("to", INFER_TYPE_INT32)), cut);
  assert_dims(&narrow->content, INFER_DIMS(batch, 12));
  assert_dims(&ADD(network, "Cast", ATTRS(INT("to", INFER_TYPE_INT8)), cut)->content,
              INFER_DIMS(UNKNOWN, 12));
  assert_dims(&ADD(network, "ConstantOfShape", NULL, cut)->dims, INFER_DIMS(batch, 12));
  InferTensor *row = input(network, INFER_TYPE_FLOAT, INFER_DIMS(12));
  assert_dims(&ADD(network, "Expand", NULL, row, cut)->dims, INFER_DIMS(batch, 12));
  assert_dims(&ADD(network, "Tile", NULL, input(network, INFER_TYPE_FLOAT, INFER_DIMS(1, 5)),
                   ADD(network, "Concat", ATTRS(INT("axis", 0)), n, constant(network, LIST(2))))
                   ->dims,
              INFER_DIMS(batch, 10));
  InferTensor *scalar = ADD(network, "Squeeze", NULL, n);
  assert_dims(&scalar->dims, INFER_DIMS_SCALAR);
  assert_dims(&ADD(network, "Range", NULL, constant(network, SCALAR(0)), scalar,
                   constant(network, SCALAR(1)))
                   ->dims,
              INFER_DIMS(batch));
  InferTensor *parts[] = {ADD(network, "Shape", ATTRS(INT("start", 1), INT("end", -1)), x)};
  assert_dims(&parts[0]->content, INFER_DIMS(19, 19));
  assert_dims(&ADD(network, "Size", NULL, x)->content, INFER_DIMS(UNKNOWN));
  assert_dims(&ADD(network, "Size", NULL, row)->content, INFER_DIMS(12));
  InferTensor *dims[] = {shape};
  InferNode *split = infer_network_add_node(network, "Split", NULL, dims, 1,
                                            ATTRS(INT("num_outputs", 2)), 2, NULL);
  assert_dims(&split->outputs[0]->content, INFER_DIMS(batch, 19));
  assert_dims(&split->outputs[1]->content, INFER_DIMS(19, 12));
}

static void
test_reshape(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  gint64 m = infer_network_add_symbol(network, "m", 1, 1, 8);
  InferTensor *x = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 3, 4));
  InferTensor *y = input(network, INFER_TYPE_FLOAT, INFER_DIMS(2, 3, 4));
  InferTensor *z = input(network, INFER_TYPE_FLOAT, INFER_DIMS(0, 3, 4));
#define TO(X, ...) &ADD(network, "Reshape", NULL, X, constant(network, LIST(__VA_ARGS__)))->dims
  assert_dims(TO(x, 0, -1), INFER_DIMS(n, 12));
  assert_dims(TO(x, -1, 6, 2), INFER_DIMS(n, 6, 2));
  assert_dims(TO(x, -1, 6), INFER_DIMS(UNKNOWN, 6));
  assert_dims(TO(y, 4, -1, 3), INFER_DIMS(4, 2, 3));
  assert_dims(TO(y, 24), INFER_DIMS(24));
  assert_dims(TO(z, 0, -1), INFER_DIMS(0, 12));
  assert_dims(TO(x, 2, 2, 12), INFER_DIMS(2, 2, 12));
  InferTensor *two = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, m));
  assert_dims(TO(two, 0, 1, -1), INFER_DIMS(n, 1, m));
  assert_dims(TO(two, -1), INFER_DIMS(UNKNOWN));
  InferTensor *open = input(network, INFER_TYPE_INT64, INFER_DIMS(3));
  assert_dims(&ADD(network, "Reshape", NULL, x, open)->dims, INFER_DIMS(UNKNOWN, UNKNOWN, UNKNOWN));
  assert_dims(
      &ADD(network, "Reshape", ATTRS(INT("allowzero", 1)), z, constant(network, LIST(5, 0)))->dims,
      INFER_DIMS(5, 0));
#define BAD(X, ...)                                                                                \
  REFUSE(network, INFER_ERROR_SHAPE, "Reshape", NULL, X, constant(network, LIST(__VA_ARGS__)))
  BAD(y, 5, -1);
  BAD(y, -1, -1);
  BAD(y, 4, 5);
  BAD(y, -2, 12);
  BAD(y, 2, 3, 4, 0);
  BAD(y, G_MAXINT64, G_MAXINT64, 2);
  REFUSE(network, INFER_ERROR_SHAPE, "Reshape", ATTRS(INT("allowzero", 1)), z,
         constant(network, LIST(0, -1)));
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Reshape", NULL, y,
         constant(network, LIST(1, 1, 1, 1, 1, 1, 1, 1, 24)));
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Reshape", NULL, y, x);

  assert_dims(&ADD(network, "Flatten", NULL, x)->dims, INFER_DIMS(n, 12));
  assert_dims(&ADD(network, "Flatten", ATTRS(INT("axis", 0)), y)->dims, INFER_DIMS(1, 24));
  assert_dims(&ADD(network, "Flatten", ATTRS(INT("axis", -1)), y)->dims, INFER_DIMS(6, 4));
  REFUSE(network, INFER_ERROR_SHAPE, "Flatten", ATTRS(INT("axis", 4)), y);
  InferTensor *ones = input(network, INFER_TYPE_FLOAT, INFER_DIMS(1, n, 1, 5));
  assert_dims(&ADD(network, "Squeeze", NULL, ones, constant(network, LIST(-2, 0)))->dims,
              INFER_DIMS(n, 5));
  g_assert_cmpint(ADD(network, "Squeeze", NULL, ones)->dims.n, ==, -1);
  REFUSE(network, INFER_ERROR_SHAPE, "Squeeze", NULL, ones, constant(network, LIST(3)));
  REFUSE(network, INFER_ERROR_SHAPE, "Squeeze", NULL, ones, constant(network, LIST(0, -4)));
  assert_dims(&ADD(network, "Unsqueeze", NULL, x, constant(network, LIST(-1, 0)))->dims,
              INFER_DIMS(1, n, 3, 4, 1));
  REFUSE(network, INFER_ERROR_SHAPE, "Unsqueeze", NULL, x, constant(network, LIST(5)));
  REFUSE(network, INFER_ERROR_SHAPE, "Unsqueeze", NULL, x, constant(network, LIST(1, 1)));
  assert_same(EVAL1("Reshape", NULL, iota(INFER_DIMS(2, 3)), LIST(3, -1)),
              FLOATS(INFER_DIMS(3, 2), 0, 1, 2, 3, 4, 5));
  FAIL("Reshape", NULL, iota(INFER_DIMS(2, 3)), LIST(4, -1));
}

static void
test_concat_split(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *a = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 3));
  InferTensor *b = input(network, INFER_TYPE_FLOAT, INFER_DIMS(2, 4));
  assert_dims(&ADD(network, "Concat", ATTRS(INT("axis", -1)), a, b)->dims, INFER_DIMS(2, 7));
  REFUSE(network, INFER_ERROR_SHAPE, "Concat", ATTRS(INT("axis", 0)), a, b);
  REFUSE(network, INFER_ERROR_SHAPE, "Concat", ATTRS(INT("axis", 2)), a, a);
  REFUSE(network, INFER_ERROR_SHAPE, "Concat", ATTRS(INT("axis", 0)), a,
         input(network, INFER_TYPE_INT64, INFER_DIMS(2, 3)));
  assert_same(EVAL1("Concat", ATTRS(INT("axis", 1)), iota(INFER_DIMS(2, 2)), iota(INFER_DIMS(2, 1)),
                    iota(INFER_DIMS(2, 0))),
              FLOATS(INFER_DIMS(2, 3), 0, 1, 0, 2, 3, 1));

  InferArray *out[3];
  EVAL("Split", ATTRS(INT("axis", 1), INT("num_outputs", 3)), out, 3, iota(INFER_DIMS(2, 5)));
  assert_same(out[0], FLOATS(INFER_DIMS(2, 2), 0, 1, 5, 6));
  assert_same(out[1], FLOATS(INFER_DIMS(2, 2), 2, 3, 7, 8));
  assert_same(out[2], FLOATS(INFER_DIMS(2, 1), 4, 9));
  EVAL("Split", ATTRS(INT("axis", -2)), out, 2, iota(INFER_DIMS(3, 2)), LIST(1, 2));
  assert_same(out[0], FLOATS(INFER_DIMS(1, 2), 0, 1));
  assert_same(out[1], FLOATS(INFER_DIMS(2, 2), 2, 3, 4, 5));
  FAIL("Split", NULL, iota(INFER_DIMS(3)), LIST(2));
  FAIL("Split", NULL, iota(INFER_DIMS(3)), LIST(-3));
  REFUSE(network, INFER_ERROR_SHAPE, "Split", ATTRS(INT("num_outputs", 2)), b);
  REFUSE(network, INFER_ERROR_SHAPE, "Split", NULL, b, constant(network, LIST(1, 1)));
}

static void
test_slice(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 10));
  InferTensor *zeros = constant(network, LIST(0, 0));
  assert_dims(&ADD(network, "Slice", NULL, x, zeros, constant(network, LIST(G_MAXINT64, -3)))->dims,
              INFER_DIMS(n, 7));
  assert_dims(&ADD(network, "Slice", NULL, x, zeros, constant(network, LIST(1, 3)))->dims,
              INFER_DIMS(UNKNOWN, 3));
  InferTensor *open = input(network, INFER_TYPE_INT64, INFER_DIMS(1));
  assert_dims(&ADD(network, "Slice", NULL, x, open, open, constant(network, LIST(-1)))->dims,
              INFER_DIMS(n, UNKNOWN));
  REFUSE(network, INFER_ERROR_SHAPE, "Slice", NULL, x, zeros, zeros,
         constant(network, LIST(1, -1)));
  REFUSE(network, INFER_ERROR_SHAPE, "Slice", NULL, x, zeros, zeros, NULL,
         constant(network, LIST(1, 0)));
  REFUSE(network, INFER_ERROR_SHAPE, "Slice", NULL, x, zeros, constant(network, LIST(1)));

  assert_same(
      EVAL1("Slice", NULL, iota(INFER_DIMS(2, 5)), LIST(-1), LIST(G_MININT64), LIST(1), LIST(-2)),
      FLOATS(INFER_DIMS(2, 3), 4, 2, 0, 9, 7, 5));
  assert_same(EVAL1("Slice", NULL, iota(INFER_DIMS(2, 5)), LIST(1, 1), LIST(100, -1)),
              FLOATS(INFER_DIMS(1, 3), 6, 7, 8));
  assert_same(
      EVAL1("Slice", NULL, iota(INFER_DIMS(5)), LIST(3), LIST(1), LIST(0), LIST(G_MAXINT64)),
      iota(INFER_DIMS(0)));
  assert_same(EVAL1("Slice", NULL, iota(INFER_DIMS(5)), LIST(9), LIST(-9), NULL, LIST(G_MININT64)),
              FLOATS(INFER_DIMS(1), 4));
}

static void
test_move(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 3, 4));
  assert_dims(&ADD(network, "Transpose", NULL, x)->dims, INFER_DIMS(4, 3, n));
  REFUSE(network, INFER_ERROR_SHAPE, "Transpose", ATTRS(INT_LIST("perm", 0, 1)), x);
  REFUSE(network, INFER_ERROR_SHAPE, "Transpose", ATTRS(INT_LIST("perm", 0, 1, 1)), x);
  REFUSE(network, INFER_ERROR_SHAPE, "Transpose", ATTRS(INT_LIST("perm", 0, 1, -1)), x);
  assert_same(EVAL1("Transpose", NULL, iota(INFER_DIMS(2, 3))),
              FLOATS(INFER_DIMS(3, 2), 0, 3, 1, 4, 2, 5));
  assert_same(
      EVAL1("Transpose", ATTRS(INT_LIST("perm", 1, 3, 0, 2)),
            EVAL1("Transpose", ATTRS(INT_LIST("perm", 2, 0, 3, 1)), iota(INFER_DIMS(2, 3, 4, 5)))),
      iota(INFER_DIMS(2, 3, 4, 5)));
  assert_same(EVAL1("Transpose", ATTRS(INT_LIST("perm", 0, 2, 1)), iota(INFER_DIMS(2, 2, 2))),
              FLOATS(INFER_DIMS(2, 2, 2), 0, 2, 1, 3, 4, 6, 5, 7));

  assert_same(EVAL1("Expand", NULL, iota(INFER_DIMS(2, 1)), LIST(2, 1, 3)),
              FLOATS(INFER_DIMS(2, 2, 3), 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1));
  FAIL("Expand", NULL, iota(INFER_DIMS(2)), LIST(3));
  FAIL("Expand", NULL, iota(INFER_DIMS(2)), LIST(-1));
  assert_same(EVAL1("Tile", NULL, iota(INFER_DIMS(2, 2)), LIST(2, 2)),
              FLOATS(INFER_DIMS(4, 4), 0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3));
  assert_same(EVAL1("Tile", NULL, iota(INFER_DIMS(2)), LIST(0)), iota(INFER_DIMS(0)));
  FAIL("Tile", NULL, iota(INFER_DIMS(2)), LIST(-1));
  FAIL("Tile", NULL, iota(INFER_DIMS(2)), LIST(G_MAXINT64));
  REFUSE(network, INFER_ERROR_SHAPE, "Tile", NULL, x, constant(network, LIST(1, 1)));
  assert_same(EVAL1("infer.Reformat", NULL, iota(INFER_DIMS(2, 3))), iota(INFER_DIMS(2, 3)));
  assert_same(EVAL1("Identity", NULL, iota(INFER_DIMS(2, 3))), iota(INFER_DIMS(2, 3)));
  assert_same(EVAL1("Shape", ATTRS(INT("start", -1)), iota(INFER_DIMS(2, 3))), LIST(3));
  assert_same(EVAL1("Size", NULL, iota(INFER_DIMS(2, 3))), SCALAR(6));
}

static void
test_gather(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 3, 4));
  InferTensor *i = input(network, INFER_TYPE_INT64, INFER_DIMS(2, 2));
  assert_dims(&ADD(network, "Gather", ATTRS(INT("axis", 1)), x, i)->dims, INFER_DIMS(n, 2, 2, 4));
  assert_dims(&ADD(network, "GatherND", NULL, x, i)->dims, INFER_DIMS(2, 4));
  REFUSE(network, INFER_ERROR_SHAPE, "Gather", ATTRS(INT("axis", 3)), x, i);
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Gather", NULL, x, x);
  REFUSE(network, INFER_ERROR_SHAPE, "GatherElements", NULL, x, i);
  REFUSE(network, INFER_ERROR_SHAPE, "GatherND", ATTRS(INT("batch_dims", 2)), x, i);
  REFUSE(network, INFER_ERROR_SHAPE, "Gather", NULL, ADD(network, "Shape", NULL, x),
         constant(network, SCALAR(3)));

  assert_same(EVAL1("Gather", ATTRS(INT("axis", 1)), iota(INFER_DIMS(2, 3)), LIST(-1, 0)),
              FLOATS(INFER_DIMS(2, 2), 2, 0, 5, 3));
  assert_same(EVAL1("Gather", NULL, iota(INFER_DIMS(2, 3)), SCALAR(1)),
              FLOATS(INFER_DIMS(3), 3, 4, 5));
  FAIL("Gather", NULL, iota(INFER_DIMS(2, 3)), LIST(2));
  FAIL("Gather", NULL, iota(INFER_DIMS(2, 3)), LIST(G_MININT64));
  assert_same(EVAL1("GatherElements", ATTRS(INT("axis", 1)), iota(INFER_DIMS(2, 3)),
                    INTS(INFER_DIMS(2, 2), 0, 2, -1, 1)),
              FLOATS(INFER_DIMS(2, 2), 0, 2, 5, 4));
  assert_same(EVAL1("GatherElements", NULL, iota(INFER_DIMS(2, 3)), INTS(INFER_DIMS(1, 2), 1, 0)),
              FLOATS(INFER_DIMS(1, 2), 3, 1));
  FAIL("GatherElements", NULL, iota(INFER_DIMS(2, 3)), INTS(INFER_DIMS(1, 1), 2));
  assert_same(
      EVAL1("GatherND", NULL, iota(INFER_DIMS(2, 2, 2)), INTS(INFER_DIMS(2, 2), 0, 1, 1, 0)),
      FLOATS(INFER_DIMS(2, 2), 2, 3, 4, 5));
  assert_same(EVAL1("GatherND", ATTRS(INT("batch_dims", 1)), iota(INFER_DIMS(2, 2, 2)),
                    INTS(INFER_DIMS(2, 1), 1, -2)),
              FLOATS(INFER_DIMS(2, 2), 2, 3, 4, 5));
  FAIL("GatherND", NULL, iota(INFER_DIMS(2, 2)), INTS(INFER_DIMS(1, 2), 0, 2));
}

static void
test_pad(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  gint64 n = infer_network_add_symbol(network, "batch", 1, 1, 8);
  InferTensor *x = input(network, INFER_TYPE_FLOAT, INFER_DIMS(n, 3));
  assert_dims(&ADD(network, "Pad", NULL, x, constant(network, LIST(0, 1, 0, -2)))->dims,
              INFER_DIMS(n, 2));
  assert_dims(
      &ADD(network, "Pad", NULL, x, constant(network, LIST(1, 1)), NULL, constant(network, LIST(0)))
           ->dims,
      INFER_DIMS(UNKNOWN, 3));
  REFUSE(network, INFER_ERROR_SHAPE, "Pad", NULL, x, constant(network, LIST(0, 0, 0)));
  REFUSE(network, INFER_ERROR_SHAPE, "Pad", NULL, x, constant(network, LIST(0, -2, 0, -2)));
  REFUSE(network, INFER_ERROR_SHAPE, "Pad", NULL, x,
         constant(network, LIST(0, G_MAXINT64, 0, G_MININT64)));
  REFUSE(network, INFER_ERROR_UNSUPPORTED, "Pad", ATTRS("mode", 's', "mirror"), x,
         constant(network, LIST(0, 0, 0, 0)));

  assert_same(
      EVAL1("Pad", NULL, iota(INFER_DIMS(2, 2)), LIST(1, 0, 0, 1), FLOATS(INFER_DIMS_SCALAR, 9)),
      FLOATS(INFER_DIMS(3, 3), 9, 9, 9, 0, 1, 9, 2, 3, 9));
  assert_same(EVAL1("Pad", NULL, iota(INFER_DIMS(4)), LIST(-1, 1)),
              FLOATS(INFER_DIMS(4), 1, 2, 3, 0));
  assert_same(EVAL1("Pad", ATTRS("mode", 's', "reflect"), iota(INFER_DIMS(3)), LIST(4, 3)),
              FLOATS(INFER_DIMS(10), 0, 1, 2, 1, 0, 1, 2, 1, 0, 1));
  assert_same(EVAL1("Pad", ATTRS("mode", 's', "edge"), iota(INFER_DIMS(3)), LIST(-1, 2)),
              FLOATS(INFER_DIMS(4), 1, 2, 2, 2));
  assert_same(
      EVAL1("Pad", ATTRS("mode", 's', "wrap"), iota(INFER_DIMS(2, 3)), LIST(2, 1), NULL, LIST(-1)),
      FLOATS(INFER_DIMS(2, 6), 1, 2, 0, 1, 2, 0, 4, 5, 3, 4, 5, 3));
  FAIL("Pad", ATTRS("mode", 's', "edge"), iota(INFER_DIMS(0)), LIST(1, 0));
}

static void
test_make(void)
{
  assert_same(EVAL1("Range", NULL, SCALAR(5), SCALAR(-2), SCALAR(-3)), LIST(5, 2, -1));
  assert_same(EVAL1("Range", NULL, FLOATS(INFER_DIMS_SCALAR, 0), FLOATS(INFER_DIMS_SCALAR, 1),
                    FLOATS(INFER_DIMS_SCALAR, 0.25f)),
              FLOATS(INFER_DIMS(4), 0, 0.25f, 0.5f, 0.75f));
  FAIL("Range", NULL, SCALAR(0), SCALAR(1), SCALAR(0));
  FAIL("Range", NULL, SCALAR(G_MININT64), SCALAR(G_MAXINT64), SCALAR(1));
  FAIL("Range", NULL, FLOATS(INFER_DIMS_SCALAR, 0), FLOATS(INFER_DIMS_SCALAR, INFINITY),
       FLOATS(INFER_DIMS_SCALAR, 1));
  assert_same(EVAL1("ConstantOfShape", ATTRS("value", 'f', 2.5), LIST(2, 1)),
              FLOATS(INFER_DIMS(2, 1), 2.5f, 2.5f));
  assert_same(EVAL1("ConstantOfShape", ATTRS(INT("dtype", INFER_TYPE_INT64), INT("int_value", -7)),
                    LIST(3)),
              LIST(-7, -7, -7));
  FAIL("ConstantOfShape", NULL, LIST(-1));
  FAIL("ConstantOfShape", NULL, LIST(G_MAXINT64, G_MAXINT64));
}

static void
test_topk(void)
{
  InferArray *out[2];
  EVAL("TopK", NULL, out, 2, FLOATS(INFER_DIMS(2, 4), 1, NAN, 3, 3, -0.0f, 0, -1, -2), LIST(3));
  assert_same(out[0], FLOATS(INFER_DIMS(2, 3), NAN, 3, 3, 0, 0, -1));
  assert_same(out[1], INTS(INFER_DIMS(2, 3), 1, 2, 3, 0, 1, 2));
  EVAL("TopK", ATTRS(INT("axis", 0), INT("largest", 0)), out, 2,
       INTS(INFER_DIMS(3, 2), 5, G_MININT64, 5, 0, 4, G_MAXINT64), LIST(2));
  assert_same(out[0], INTS(INFER_DIMS(2, 2), 4, G_MININT64, 5, 0));
  assert_same(out[1], INTS(INFER_DIMS(2, 2), 2, 0, 0, 1));
  FAIL("TopK", NULL, iota(INFER_DIMS(3)), LIST(4));
  FAIL("TopK", NULL, iota(INFER_DIMS(3)), LIST(-1));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ops/cast", test_cast);
  g_test_add_func("/ops/shape-arithmetic", test_shape_arithmetic);
  g_test_add_func("/ops/reshape", test_reshape);
  g_test_add_func("/ops/concat-split", test_concat_split);
  g_test_add_func("/ops/slice", test_slice);
  g_test_add_func("/ops/move", test_move);
  g_test_add_func("/ops/gather", test_gather);
  g_test_add_func("/ops/pad", test_pad);
  g_test_add_func("/ops/make", test_make);
  g_test_add_func("/ops/topk", test_topk);
  return g_test_run();
}
