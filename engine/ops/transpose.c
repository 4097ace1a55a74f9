/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_transpose[];

typedef struct {
  gint n;
  gint64 dims[DATA_MAX_INTS], dst[DATA_MAX_INTS], src[DATA_MAX_INTS];
} Block;

/* Drops dimensions of one element and merges those that follow each other on both sides, so that
 * the innermost run is as long as it can be. FALSE where there is nothing to copy. */
static gboolean
block_init(Block *block, gint n, const gint64 *dims, const gint64 *dst, const gint64 *src)
{
  block->n = 0;
  for (gint i = 0; i < n; i++) {
    if (dims[i] <= 0)
      return FALSE;
    if (dims[i] == 1)
      continue;
    gint last = block->n - 1;
    if (last >= 0 && block->dst[last] == dst[i] * dims[i] && block->src[last] == src[i] * dims[i]) {
      block->dims[last] *= dims[i];
    } else {
      last = block->n++;
      block->dims[last] = dims[i];
    }
    block->dst[last] = dst[i];
    block->src[last] = src[i];
  }
  if (block->n == 0) {
    block->n = 1;
    block->dims[0] = block->dst[0] = block->src[0] = 1;
  }
  return TRUE;
}

#define COPY_RUN(SIZE)                                                                             \
  for (gint64 i = 0; i < n; i++)                                                                   \
  memcpy(dst + i * dst_step, src + i * src_step, SIZE)

/* A constant size lets the compiler turn memcpy into one load and one store. */
static void
copy_run(char *dst, const char *src, gsize size, gint64 n, gint64 dst_stride, gint64 src_stride)
{
  gint64 dst_step = dst_stride * (gint64)size, src_step = src_stride * (gint64)size;
  if (dst_stride == 1 && src_stride == 1) {
    memcpy(dst, src, (gsize)n * size);
    return;
  }
  switch (size) {
  case 1:
    COPY_RUN(1);
    break;
  case 2:
    COPY_RUN(2);
    break;
  case 4:
    COPY_RUN(4);
    break;
  case 8:
    COPY_RUN(8);
    break;
  default:
    COPY_RUN(size);
    break;
  }
}

void
infer_data_copy(void *dst, const void *src, gsize size, gint n, const gint64 *dims,
                const gint64 *dst_strides, const gint64 *src_strides)
{
  Block block;
  if (!block_init(&block, n, dims, dst_strides, src_strides))
    return;
  gint last = block.n - 1;
  gint64 at[DATA_MAX_INTS] = {0};
  char *to = dst;
  const char *from = src;
  for (;;) {
    copy_run(to, from, size, block.dims[last], block.dst[last], block.src[last]);
    gint axis = last - 1;
    for (; axis >= 0; axis--) {
      to += block.dst[axis] * (gint64)size;
      from += block.src[axis] * (gint64)size;
      if (++at[axis] < block.dims[axis])
        break;
      to -= block.dst[axis] * block.dims[axis] * (gint64)size;
      from -= block.src[axis] * block.dims[axis] * (gint64)size;
      at[axis] = 0;
    }
    if (axis < 0)
      return;
  }
}

/* The permutation of a node for a tensor of @rank; the rank of "perm" itself where @rank is -1.
 * *n stays -1 where neither says. */
static gboolean
transpose_perm(const InferNode *node, gint rank, gint *perm, gint *n, GError **error)
{
  gsize count = 0;
  const gint64 *list = infer_node_get_ints(node, "perm", &count);
  gboolean given = infer_node_has_attr(node, "perm");
  *n = rank;
  if (!given) {
    for (gint i = 0; i < rank; i++)
      perm[i] = rank - 1 - i;
    return TRUE;
  }
  if (count > INFER_MAX_DIMS || (rank >= 0 && count != (gsize)rank))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "perm has %" G_GSIZE_FORMAT " axes, the input has rank %d", count, rank);
  guint seen = 0;
  for (gsize i = 0; i < count; i++) {
    if (list[i] < 0 || list[i] >= (gint64)count || (seen & (1u << list[i])))
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "perm is not a permutation: axis %" G_GINT64_FORMAT
                            " is out of range or twice there",
                            list[i]);
    seen |= 1u << list[i];
    perm[i] = (gint)list[i];
  }
  *n = (gint)count;
  return TRUE;
}

static gboolean
transpose_infer(InferShapeArgs *args, GError **error)
{
  if (!data_require(args, 0, error))
    return FALSE;
  const InferDims *in = &args->in[0].dims;
  InferDims out = INFER_DIMS_UNKNOWN;
  gint perm[INFER_MAX_DIMS];
  if (!transpose_perm(args->node, in->n, perm, &out.n, error))
    return FALSE;
  for (gint i = 0; i < out.n; i++)
    out.d[i] = in->n >= 0 ? in->d[perm[i]] : INFER_DIM_UNKNOWN;
  if (!data_set(args, 0, args->in[0].type, &out, error))
    return FALSE;
  data_pass_content(args);
  return TRUE;
}

static gboolean
transpose_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  gint perm[INFER_MAX_DIMS], n;
  gint64 in_strides[INFER_MAX_DIMS], src[INFER_MAX_DIMS], dst[INFER_MAX_DIMS];
  if (!transpose_perm(args->node, in->dims.n, perm, &n, error))
    return FALSE;
  InferDims dims = {.n = n};
  data_strides(&in->dims, in_strides);
  for (gint i = 0; i < n; i++) {
    dims.d[i] = in->dims.d[perm[i]];
    src[i] = in_strides[perm[i]];
  }
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  data_strides(&dims, dst);
  infer_data_copy(out->data, in->data, data_element_size(in), n, dims.d, dst, src);
  return TRUE;
}

static const InferAttrSpec transpose_attrs[] = {{"perm", 'I', FALSE}, {NULL, 0, FALSE}};

static const InferOp transpose = {
    .name = "Transpose",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = transpose_attrs,
    .infer = transpose_infer,
    .eval = transpose_eval,
};

const InferOp *const infer_ops_transpose[] = {&transpose, NULL};
