/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cuda-check.h"
#include "move.h"

#include <string.h>

/* Kernels that move elements give the bytes of eval, in any order of memory, with gaps. */

#define ROUNDS 40

static const InferType sizes[] = {INFER_TYPE_UINT8, INFER_TYPE_FLOAT16, INFER_TYPE_FLOAT,
                                  INFER_TYPE_INT64};

static InferType
any_type(void)
{
  return sizes[g_test_rand_int_range(0, G_N_ELEMENTS(sizes))];
}

static gint64
pick(gint least, gint most)
{
  return g_test_rand_int_range(least, most + 1);
}

static void
test_divisor(void)
{
  for (guint i = 0; i < 200000; i++) {
    guint32 n = (guint32)g_test_rand_int() & INFER_CUDA_MOST;
    guint32 d = ((guint32)g_test_rand_int() >> g_test_rand_int_range(1, 32)) | 1;

    g_assert_cmpuint(infer_cuda_divide(n, infer_cuda_divisor(d)), ==, n / d);
  }
  for (guint32 d = 1; d < 3000; d++)
    for (guint32 k = 0; k < 3; k++) {
      guint32 n = k == 0 ? d - 1 : k == 1 ? d : INFER_CUDA_MOST;
      g_assert_cmpuint(infer_cuda_divide(n, infer_cuda_divisor(d)), ==, n / d);
    }
}

static void
test_transpose(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    gint64 perm[4] = {0, 1, 2, 3};
    gboolean large = i % 2 == 0;
    Check check = {.op = "Transpose", .impl = &infer_cuda_transpose, .n_in = 1, .n_out = 1};

    for (gint k = 3; k > 0; k--) {
      gint j = (gint)pick(0, k);
      gint64 swap = perm[k];
      perm[k] = perm[j];
      perm[j] = swap;
    }
    check.in[0] = CHECK_ARRAY(any_type(), 100, pick(1, 3), pick(1, large ? 130 : 5), pick(1, 9),
                              pick(1, large ? 70 : 5));
    check.varying[0] = TRUE;
    check.attrs = infer_attrs_new("perm", 'I', perm, (gsize)4, NULL);
    check_run(&check);
  }
}

static void
test_reformat(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "infer.Reformat", .impl = &infer_cuda_reformat, .n_in = 1, .n_out = 1};
    gint64 channels = i % 3 == 0 ? 3 : pick(1, 9) * 8;

    check.in[0] = CHECK_ARRAY(any_type(), 100, pick(1, 2), channels, pick(1, 20), pick(1, 20));
    check.varying[0] = i % 5 != 4;
    check_run(&check);
  }
}

static void
test_slice(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Slice", .impl = &infer_cuda_slice, .n_in = 5, .n_out = 1};
    gint64 start[3], end[3], step[3], axes[3] = {1, -1, 2};

    check.in[0] = CHECK_ARRAY(any_type(), 100, 2, pick(1, 16), pick(1, 9), pick(1, 16));
    for (guint k = 0; k < 3; k++) {
      start[k] = pick(-20, 20);
      end[k] = pick(-20, 20);
      step[k] = pick(0, 2) ? pick(1, 3) : -pick(1, 3);
    }
    check.in[1] = check_ints(3, start);
    check.in[2] = check_ints(3, end);
    check.in[3] = check_ints(3, axes);
    check.in[4] = check_ints(3, step);
    check.varying[0] = TRUE;
    check_run(&check);
  }
}

static void
test_expand(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Expand", .impl = &infer_cuda_expand, .n_in = 2, .n_out = 1};
    gint64 dims[3] = {pick(1, 5), pick(1, 9), pick(1, 16)};

    check.in[0] =
        CHECK_ARRAY(any_type(), 100, i % 2 ? 1 : dims[0], i % 3 ? 1 : dims[1], i % 5 ? dims[2] : 1);
    if (i % 4 == 0)
      check.in[1] = CHECK_INTS(pick(1, 3), dims[0], dims[1], dims[2]);
    else
      check.in[1] = check_ints(3, dims);
    check.varying[0] = TRUE;
    check_run(&check);
  }
}

static void
test_tile(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Tile", .impl = &infer_cuda_tile, .n_in = 2, .n_out = 1};

    check.in[0] = CHECK_ARRAY(any_type(), 100, pick(1, 3), pick(1, 5), pick(1, 4), pick(1, 9));
    check.in[1] = CHECK_INTS(pick(1, 2), pick(1, 3), pick(i == 0 ? 0 : 1, 2), pick(1, 3));
    check.varying[0] = TRUE;
    check_run(&check);
  }
}

static void
test_shuffle(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.impl = &infer_cuda_shuffle, .n_in = 1, .n_out = 1};
    gint64 block = pick(1, 3), c = pick(1, 8), h = pick(1, 5), w = pick(1, 6);
    gboolean space = i % 2;

    check.op = space ? "DepthToSpace" : "SpaceToDepth";
    check.in[0] = space ? CHECK_ARRAY(any_type(), 100, 2, c * block * block, h, w)
                        : CHECK_ARRAY(any_type(), 100, 2, c, h * block, w * block);
    check.varying[0] = TRUE;
    check.attrs = infer_attrs_new("blocksize", 'i', block, "mode", 's',
                                  g_test_rand_bit() ? "CRD" : "DCR", NULL);
    check_run(&check);
  }
}

static void
test_concat(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Concat", .impl = &infer_cuda_concat, .n_in = 3, .n_out = 1};
    InferType type = any_type();
    gint64 dims[4] = {2, pick(1, 16), pick(1, 5), pick(1, 9)};
    gint axis = (gint)pick(0, 3);

    for (guint k = 0; k < 3; k++) {
      dims[axis] = pick(1, 3) * (i % 2 ? 8 : 1);
      check.in[k] = CHECK_ARRAY(type, 100, dims[0], dims[1], dims[2], dims[3]);
      check.varying[k] = i % 4 || k;
    }
    check.attrs = infer_attrs_new("axis", 'i', (gint64)axis - (i % 3 ? 4 : 0), NULL);
    check_run(&check);
  }
}

static void
test_split(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Split", .impl = &infer_cuda_split, .n_in = 2, .n_out = 3};
    gint64 parts[3] = {pick(0, 8), pick(1, 8), pick(1, 8)};

    check.in[0] = CHECK_ARRAY(any_type(), 100, 2, parts[0] + parts[1] + parts[2], 3, pick(1, 9));
    check.in[1] = check_ints(3, parts);
    check.varying[0] = TRUE;
    check.attrs = infer_attrs_new("axis", 'i', (gint64)1, NULL);
    check_run(&check);
  }
}

static void
test_pad(void)
{
  static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};

  for (guint i = 0; i < 2 * ROUNDS; i++) {
    Check check = {.op = "Pad", .impl = &infer_cuda_pad, .n_in = 4, .n_out = 1};
    InferType type = any_type();

    check.in[0] = CHECK_ARRAY(type, 100, pick(1, 3), pick(3, 9), pick(3, 9));
    check.in[1] = CHECK_INTS(pick(-2, 5), pick(-1, 20), pick(0, 5), pick(-1, 3));
    if (i % 3)
      check.in[2] = check_array(type, &INFER_DIMS_SCALAR, 100);
    check.in[3] = CHECK_INTS(-1, 1);
    check.varying[0] = TRUE;
    check.varying[2] = i % 2;
    check.attrs = infer_attrs_new("mode", 's', modes[i % 4], NULL);
    check_run(&check);
  }
}

/* Indices in [-size, size), of either type. */
static InferArray *
indices(const InferDims *dims, gint64 size)
{
  g_autoptr(GError) error = NULL;
  InferArray *array =
      infer_array_new(g_test_rand_bit() ? INFER_TYPE_INT32 : INFER_TYPE_INT64, dims, &error);

  g_assert_no_error(error);
  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i, (double)pick((gint)-size, (gint)size - 1));
  return array;
}

static void
test_gather(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Gather", .impl = &infer_cuda_gather, .n_in = 2, .n_out = 1};
    gint64 axis = pick(0, 2), dims[3] = {pick(1, 5), pick(1, 6), i % 2 ? 16 : pick(1, 9)};

    check.in[0] = CHECK_ARRAY(any_type(), 100, dims[0], dims[1], dims[2]);
    check.in[1] = i % 5 == 0 ? indices(&INFER_DIMS_SCALAR, dims[axis])
                             : indices(&INFER_DIMS(pick(0, 4), pick(1, 4)), dims[axis]);
    check.varying[0] = TRUE;
    check.varying[1] = i % 3;
    check.attrs = infer_attrs_new("axis", 'i', axis, NULL);
    check_run(&check);
  }
}

static void
test_gather_elements(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "GatherElements", .impl = &infer_cuda_gather, .n_in = 2, .n_out = 1};
    gint64 axis = pick(0, 2), dims[3] = {pick(1, 5), pick(1, 6), pick(1, 9)}, want[3];

    for (guint k = 0; k < 3; k++)
      want[k] = k == axis ? pick(1, 12) : pick(1, (gint)dims[k]);
    check.in[0] = CHECK_ARRAY(any_type(), 100, dims[0], dims[1], dims[2]);
    check.in[1] = indices(&INFER_DIMS(want[0], want[1], want[2]), dims[axis]);
    check.varying[0] = check.varying[1] = TRUE;
    check.attrs = infer_attrs_new("axis", 'i', axis, NULL);
    check_run(&check);
  }
}

static void
test_gather_nd(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "GatherND", .impl = &infer_cuda_gather, .n_in = 2, .n_out = 1};
    gint64 batch = pick(0, 1), depth = pick(1, 3 - (gint)batch), n = pick(1, 5);

    check.in[0] = CHECK_ARRAY(any_type(), 100, 5, 5, 5);
    check.in[1] = indices(&INFER_DIMS(batch ? 5 : n, n, depth), 5);
    check.varying[0] = check.varying[1] = TRUE;
    check.attrs = infer_attrs_new("batch_dims", 'i', batch, NULL);
    check_run(&check);
  }
}

static const char *const reductions[] = {"none", "add", "mul", "max", "min"};
static const InferType scatter_types[] = {INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT8,
                                          INFER_TYPE_INT32, INFER_TYPE_UINT8,  INFER_TYPE_INT64,
                                          INFER_TYPE_BOOL};

static void
test_scatter_elements(void)
{
  for (guint i = 0; i < 2 * ROUNDS; i++) {
    Check check = {.op = "ScatterElements", .impl = &infer_cuda_scatter, .n_in = 3, .n_out = 1};
    gint64 axis = pick(0, 2), dims[3] = {pick(1, 5), pick(1, 6), pick(1, 9)}, want[3];
    InferType type = scatter_types[i % G_N_ELEMENTS(scatter_types)];

    for (guint k = 0; k < 3; k++)
      want[k] = k == axis ? pick(1, 12) : pick(1, (gint)dims[k]);
    check.in[0] = CHECK_ARRAY(type, 100, dims[0], dims[1], dims[2]);
    check.in[1] = indices(&INFER_DIMS(want[0], want[1], want[2]), dims[axis]);
    check.in[2] = CHECK_ARRAY(type, 100, want[0], want[1], want[2]);
    check.varying[0] = check.varying[1] = check.varying[2] = TRUE;
    check.attrs = infer_attrs_new("axis", 'i', axis, "reduction", 's',
                                  reductions[i % G_N_ELEMENTS(reductions)], NULL);
    check_run(&check);
  }
}

static void
test_scatter_nd(void)
{
  for (guint i = 0; i < 2 * ROUNDS; i++) {
    Check check = {.op = "ScatterND", .impl = &infer_cuda_scatter, .n_in = 3, .n_out = 1};
    gint64 depth = pick(1, 3), n = pick(1, 12);
    InferType type = scatter_types[i % G_N_ELEMENTS(scatter_types)];
    InferDims dims = {.n = 4 - (gint)depth, .d = {n, 4, 4}};

    check.in[0] = CHECK_ARRAY(type, 100, 4, 4, 4);
    check.in[1] = indices(&INFER_DIMS(n, depth), 4);
    check.in[2] = check_array(type, &dims, 100);
    check.varying[0] = check.varying[2] = TRUE;
    check.varying[1] = i % 2;
    check.attrs = infer_attrs_new("reduction", 's', reductions[i % G_N_ELEMENTS(reductions)], NULL);
    check_run(&check);
  }
}

static void
test_where(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "Where", .impl = &infer_cuda_where, .n_in = 3, .n_out = 1};
    InferType type = any_type();
    gint64 a = pick(1, 5), b = pick(1, 9), c = pick(1, 7);

    check.in[0] = CHECK_ARRAY(INFER_TYPE_BOOL, 1, 2, i % 2 ? a : 1, b, c);
    check.in[1] =
        i % 3 ? CHECK_ARRAY(type, 100, 2, a, b, 1) : check_array(type, &INFER_DIMS_SCALAR, 9);
    check.in[2] = CHECK_ARRAY(type, 100, a, 1, c);
    check.varying[0] = check.varying[1] = TRUE;
    check.varying[2] = i % 2;
    check_run(&check);
  }
}

static void
test_onehot(void)
{
  for (guint i = 0; i < ROUNDS; i++) {
    Check check = {.op = "OneHot", .impl = &infer_cuda_onehot, .n_in = 3, .n_out = 1};
    static const InferType types[] = {INFER_TYPE_INT8, INFER_TYPE_UINT8, INFER_TYPE_INT32,
                                      INFER_TYPE_INT64};

    check.in[0] = CHECK_ARRAY(types[i % 4], 12, pick(1, 4), pick(1, 5));
    check.in[1] = CHECK_INTS(pick(1, 9));
    check.in[2] = CHECK_ARRAY(any_type(), 100, 2);
    check.varying[0] = TRUE;
    check.varying[2] = i % 2;
    check.attrs = infer_attrs_new("axis", 'i', pick(-3, 2), NULL);
    check_run(&check);
  }
}

static void
test_fill(void)
{
  static const InferType types[] = {INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT8,
                                    INFER_TYPE_INT64, INFER_TYPE_BOOL,   INFER_TYPE_UINT16};

  for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
    Check check = {
        .op = "ConstantOfShape", .impl = &infer_cuda_constantofshape, .n_in = 1, .n_out = 1};

    check.in[0] = CHECK_INTS(3, 5, 2);
    check.attrs = infer_attrs_new("dtype", 'i', (gint64)types[i], "value", 'f', 1.1, "int_value",
                                  'i', (gint64)-77, NULL);
    check_run(&check);
  }
}

static void
test_cast(void)
{
  static const InferType types[] = {INFER_TYPE_FLOAT,    INFER_TYPE_DOUBLE, INFER_TYPE_FLOAT16,
                                    INFER_TYPE_BFLOAT16, INFER_TYPE_BOOL,   INFER_TYPE_INT8,
                                    INFER_TYPE_INT16,    INFER_TYPE_INT32,  INFER_TYPE_INT64,
                                    INFER_TYPE_UINT8,    INFER_TYPE_UINT16, INFER_TYPE_UINT32,
                                    INFER_TYPE_UINT64};

  for (guint i = 0; i < G_N_ELEMENTS(types); i++)
    for (guint k = 0; k < G_N_ELEMENTS(types); k++) {
      Check check = {.op = "Cast", .impl = &infer_cuda_cast, .n_in = 1, .n_out = 1};

      check.in[0] = CHECK_ARRAY(types[i], k % 2 ? 300 : 1e10, 2, 33, 5);
      check.varying[0] = TRUE;
      check.attrs = infer_attrs_new("to", 'i', (gint64)types[k], NULL);
      check_run(&check);
    }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cuda-move/divisor", test_divisor);
  g_test_add_func("/cuda-move/transpose", test_transpose);
  g_test_add_func("/cuda-move/reformat", test_reformat);
  g_test_add_func("/cuda-move/slice", test_slice);
  g_test_add_func("/cuda-move/expand", test_expand);
  g_test_add_func("/cuda-move/tile", test_tile);
  g_test_add_func("/cuda-move/shuffle", test_shuffle);
  g_test_add_func("/cuda-move/concat", test_concat);
  g_test_add_func("/cuda-move/split", test_split);
  g_test_add_func("/cuda-move/pad", test_pad);
  g_test_add_func("/cuda-move/gather", test_gather);
  g_test_add_func("/cuda-move/gather-elements", test_gather_elements);
  g_test_add_func("/cuda-move/gather-nd", test_gather_nd);
  g_test_add_func("/cuda-move/scatter-elements", test_scatter_elements);
  g_test_add_func("/cuda-move/scatter-nd", test_scatter_nd);
  g_test_add_func("/cuda-move/where", test_where);
  g_test_add_func("/cuda-move/onehot", test_onehot);
  g_test_add_func("/cuda-move/fill", test_fill);
  g_test_add_func("/cuda-move/cast", test_cast);
  return check_main(check_device());
}
