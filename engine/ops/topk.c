/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_topk[];

/* An element: a key whose order is that of the result, and where it was. */
typedef struct {
  guint64 key;
  gint64 index;
} Entry;

#define SIGN_BIT (G_GUINT64_CONSTANT(1) << 63)

/* Maps a double to an integer of the same order. Both zeros are one, and a NaN of any sign comes
 * after infinity, so that the order is total. */
static guint64
float_key(double value)
{
  guint64 bits;
  if (value != value)
    return G_MAXUINT64;
  value = value == 0 ? 0 : value;
  memcpy(&bits, &value, sizeof bits);
  return bits & SIGN_BIT ? ~bits : bits | SIGN_BIT;
}

static guint64
element_key(const InferArray *in, gsize at)
{
  switch (in->type) {
  case INFER_TYPE_FLOAT:
    return float_key(((const float *)in->data)[at]);
  case INFER_TYPE_DOUBLE:
    return float_key(((const double *)in->data)[at]);
  case INFER_TYPE_UINT64:
    return ((const guint64 *)in->data)[at];
  default:
    return (guint64)infer_array_get_int(in, at) ^ SIGN_BIT;
  }
}

static inline gboolean
comes_before(const Entry *a, const Entry *b)
{
  return a->key != b->key ? a->key > b->key : a->index < b->index;
}

/* A heap with the entry that comes last on top. */
static void
sift_down(Entry *heap, gint64 n, gint64 at)
{
  Entry entry = heap[at];
  for (;;) {
    gint64 child = 2 * at + 1;
    if (child >= n)
      break;
    if (child + 1 < n && comes_before(&heap[child], &heap[child + 1]))
      child++;
    if (!comes_before(&entry, &heap[child]))
      break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = entry;
}

/* Puts the first @k of @n elements, @step apart, into @heap, sorted. */
static void
select_first(const InferArray *in, gsize offset, gint64 n, gsize step, gint64 k, gboolean largest,
             Entry *heap)
{
  for (gint64 i = 0; i < n; i++) {
    guint64 key = element_key(in, offset + (gsize)i * step);
    Entry entry = {largest ? key : ~key, i};
    if (i < k) {
      heap[i] = entry;
      if (i == k - 1)
        for (gint64 at = k / 2; at-- > 0;)
          sift_down(heap, k, at);
    } else if (comes_before(&entry, &heap[0])) {
      heap[0] = entry;
      sift_down(heap, k, 0);
    }
  }
  for (gint64 last = k - 1; last > 0; last--) {
    Entry entry = heap[last];
    heap[last] = heap[0];
    heap[0] = entry;
    sift_down(heap, last, 0);
  }
}

static gboolean
topk_dims(const InferNode *node, const InferDims *in, const DataInts *k, gint *axis, InferDims *out,
          GError **error)
{
  *out = *in;
  if (k->n >= 0 && k->n != 1)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "k has %d values, 1 is needed", k->n);
  if (in->n < 0)
    return TRUE;
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", -1), in->n, axis, error))
    return FALSE;
  gint64 d = in->d[*axis];
  out->d[*axis] = k->n == 1 ? k->v[0] : INFER_DIM_UNKNOWN;
  if (k->n == 1 && k->known[0] && (k->v[0] < 0 || (d >= 0 && k->v[0] > d)))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "k is %" G_GINT64_FORMAT ", the axis has %" G_GINT64_FORMAT " elements",
                          k->v[0], d);
  return TRUE;
}

static gboolean
topk_infer(InferShapeArgs *args, GError **error)
{
  DataInts k;
  InferDims dims;
  gint axis;
  return data_require(args, 0, error) &&
         infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT8,
                               INFER_TYPE_INT16, INFER_TYPE_INT32, INFER_TYPE_INT64,
                               INFER_TYPE_UINT8, INFER_TYPE_UINT16, INFER_TYPE_UINT32,
                               INFER_TYPE_UINT64, INFER_TYPE_UNDEFINED) &&
         data_ints(args, 1, &k, error) &&
         topk_dims(args->node, &args->in[0].dims, &k, &axis, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error) &&
         data_set(args, 1, INFER_TYPE_INT64, &dims, error);
}

/* The entries of one row; 0 where k is known at run time only, and eval makes room itself. */
static gsize
topk_scratch(const InferShapeArgs *args)
{
  const InferDims *dims = &args->out[0].dims;
  gint axis;
  if (!infer_dims_is_constant(dims) ||
      !infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), dims->n, &axis, NULL))
    return 0;
  return (gsize)dims->d[axis] * sizeof(Entry);
}

static void
topk_rows(const InferArray *in, gint axis, gint64 k, gboolean largest, Entry *heap,
          InferArray *values, InferArray *indices)
{
  gint64 rows = data_product(&in->dims, 0, axis), d = in->dims.d[axis];
  gint64 inner = data_product(&in->dims, axis + 1, in->dims.n);
  gsize size = data_element_size(in);
  for (gint64 row = 0; row < rows; row++)
    for (gint64 i = 0; i < inner; i++) {
      gsize from = (gsize)(row * d * inner + i), to = (gsize)(row * k * inner + i);
      select_first(in, from, d, (gsize)inner, k, largest, heap);
      for (gint64 n = 0; n < k; n++, to += (gsize)inner) {
        memcpy((char *)values->data + to * size,
               (const char *)in->data + (from + (gsize)(heap[n].index * inner)) * size, size);
        ((gint64 *)indices->data)[to] = heap[n].index;
      }
    }
}

static gboolean
topk_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  DataInts list;
  InferDims dims;
  gint axis;
  if (!data_ints_from_array(args->node, args->in[1], &list, error) ||
      !topk_dims(args->node, &in->dims, &list, &axis, &dims, error))
    return FALSE;
  g_autofree Entry *own = NULL;
  Entry *heap = args->scratch;
  gint64 k = dims.d[axis];
  if (!args->out[0] || !heap) {
    heap = own = g_try_new(Entry, (gsize)MAX(k, 1));
    if (!heap)
      return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                            "no memory for %" G_GINT64_FORMAT " entries", k);
  }
  InferArray *values = data_output(args, 0, in->type, &dims, error);
  InferArray *indices = values ? data_output(args, 1, INFER_TYPE_INT64, &dims, error) : NULL;
  if (!indices)
    return FALSE;
  if (values->size > 0)
    topk_rows(in, axis, k, infer_node_get_int(args->node, "largest", 1) != 0, heap, values,
              indices);
  return TRUE;
}

/* Without "sorted" any order will do, so it is the sorted one. */
static const InferAttrSpec topk_attrs[] = {
    {"axis", 'i', FALSE}, {"largest", 'i', FALSE}, {"sorted", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp topk = {
    .name = "TopK",
    .version = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 2,
    .max_outputs = 2,
    .attrs = topk_attrs,
    .infer = topk_infer,
    .scratch = topk_scratch,
    .eval = topk_eval,
};

const InferOp *const infer_ops_topk[] = {&topk, NULL};
