/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/broadcast.h"
#include "ops/convert.h"

#include <math.h>
#include <string.h>

typedef enum {
  REDUCE_SUM,
  REDUCE_MEAN,
  REDUCE_MAX,
  REDUCE_MIN,
  REDUCE_PROD,
  REDUCE_L1,
  REDUCE_L2,
  REDUCE_LOG_SUM,
  REDUCE_LOG_SUM_EXP,
  REDUCE_SUM_SQUARE,
} ReduceKind;

typedef struct {
  InferOp op;
  ReduceKind kind;
} Reduce;

static ReduceKind
kind_of(const InferNode *node)
{
  return ((const Reduce *)node->op)->kind;
}

/* Which axes go. An empty list means all of them, or none with noop_with_empty_axes. */
static gboolean
reduced_axes(const InferNode *node, gint rank, const gint64 *axes, gsize n, gboolean *reduced,
             GError **error)
{
  gboolean all = n == 0 && infer_node_get_int(node, "noop_with_empty_axes", 0) == 0;

  for (gint i = 0; i < rank; i++)
    reduced[i] = all;
  for (gsize i = 0; i < n; i++) {
    gint axis;

    if (!infer_op_axis(node, axes[i], rank, &axis, error))
      return FALSE;
    if (reduced[axis])
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "axis %d is there twice", axis);
    reduced[axis] = TRUE;
  }
  return TRUE;
}

static InferDims
reduced_dims(const InferDims *in, const gboolean *reduced, gboolean keep)
{
  InferDims out = {.n = 0};

  for (gint i = 0; i < in->n; i++)
    if (!reduced[i])
      out.d[out.n++] = in->d[i];
    else if (keep)
      out.d[out.n++] = 1;
  return out;
}

/* What is known when the axes are computed by the network. */
static InferDims
dims_of_unknown_axes(const InferShapeArgs *args, gboolean keep)
{
  const InferDims *axes = &args->in[1].dims;
  InferDims out = {.n = -1};
  gint rank = args->in[0].dims.n;

  if (rank < 0)
    return out;
  if (keep)
    out.n = rank;
  else if (axes->n == 1 && axes->d[0] > 0 && axes->d[0] <= rank)
    out.n = rank - (gint)axes->d[0];
  for (gint i = 0; i < out.n; i++)
    out.d[i] = INFER_DIM_UNKNOWN;
  return out;
}

/* Shape arithmetic: the number of elements, the largest dimension ... */
static void
reduce_content(InferShapeArgs *args)
{
  const InferOperand *in = &args->in[0];
  ReduceKind kind = kind_of(args->node);
  InferOperand *out = &args->out[0];
  InferElement total = infer_element_number(kind == REDUCE_PROD ? 1 : 0);

  if (in->dims.n != 1 || in->dims.d[0] < 1 || in->dims.d[0] > INFER_MAX_DIMS ||
      infer_dims_count(&out->dims) != 1 || in->type != out->type ||
      !(in->type == INFER_TYPE_INT64 || in->type == INFER_TYPE_INT32))
    return;
  for (gint i = 0; i < in->dims.d[0]; i++) {
    InferElement e = infer_element_get(in, i);

    if (kind == REDUCE_PROD)
      total = infer_element_mul(total, e);
    else if (kind == REDUCE_SUM)
      total = infer_element_add(total, e);
    else if ((kind != REDUCE_MAX && kind != REDUCE_MIN) || !infer_element_is_number(e))
      return;
    else if (i == 0 || (kind == REDUCE_MAX ? e.value > total.value : e.value < total.value))
      total = e;
  }
  out->has_content = TRUE;
  out->content.n = 1;
  infer_element_put(out, 0, total);
}

static gboolean
check_type(const InferShapeArgs *args, GError **error)
{
  ReduceKind kind = kind_of(args->node);

  if (kind == REDUCE_MAX || kind == REDUCE_MIN)
    return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                                 INFER_TYPE_INT32, INFER_TYPE_INT64, INFER_TYPE_UINT32,
                                 INFER_TYPE_UINT64, INFER_TYPE_INT8, INFER_TYPE_UINT8,
                                 INFER_TYPE_BOOL, INFER_TYPE_UNDEFINED);
  return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_INT32, INFER_TYPE_INT64, INFER_TYPE_UINT32,
                               INFER_TYPE_UINT64, INFER_TYPE_UNDEFINED);
}

static gboolean
reduce_infer(InferShapeArgs *args, GError **error)
{
  gboolean keep = infer_node_get_int(args->node, "keepdims", 1) != 0;
  gboolean has_axes = args->n_in > 1 && args->in[1].type != INFER_TYPE_UNDEFINED;
  gboolean reduced[INFER_MAX_DIMS];
  g_autofree gint64 *axes = NULL;
  gsize n = 0;

  if (!check_type(args, error) ||
      (has_axes && !infer_op_require_type(args, 1, error, INFER_TYPE_INT64, INFER_TYPE_UNDEFINED)))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (has_axes && args->in[1].dims.n > 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "axes have %d dimensions, not 1",
                          args->in[1].dims.n);
  axes = infer_op_const_ints(args, 1, &n);
  if (has_axes && !axes && infer_dims_count(&args->in[1].dims) != 0) {
    args->out[0].dims = dims_of_unknown_axes(args, keep);
    return TRUE;
  }
  if (args->in[0].dims.n < 0)
    return TRUE;
  if (!reduced_axes(args->node, args->in[0].dims.n, axes, n, reduced, error))
    return FALSE;
  args->out[0].dims = reduced_dims(&args->in[0].dims, reduced, keep);
  if (args->in[0].dims.n == 1 && reduced[0])
    reduce_content(args);
  return TRUE;
}

/* The kept and the reduced dimensions of an array, with its strides in elements. */
typedef struct {
  gint n_kept, n_reduced;
  gint64 kept[INFER_MAX_DIMS], kept_stride[INFER_MAX_DIMS];
  gint64 reduced[INFER_MAX_DIMS], reduced_stride[INFER_MAX_DIMS];
  gint64 n_outer, n_inner;
} Nest;

static void
nest_init(Nest *nest, const InferDims *dims, const gboolean *reduced, gint64 n_outer)
{
  gint64 strides[INFER_MAX_DIMS];

  memset(nest, 0, sizeof *nest);
  nest->n_outer = n_outer;
  nest->n_inner = infer_dims_count(dims) / n_outer;
  infer_op_broadcast_strides(dims, dims, strides);
  for (gint i = 0; i < dims->n; i++)
    if (reduced[i]) {
      nest->reduced[nest->n_reduced] = dims->d[i];
      nest->reduced_stride[nest->n_reduced++] = strides[i];
    } else {
      nest->kept[nest->n_kept] = dims->d[i];
      nest->kept_stride[nest->n_kept++] = strides[i];
    }
}

static gint64
offset_of(gint64 index, gint n, const gint64 *dims, const gint64 *strides)
{
  gint64 offset = 0;

  for (gint i = n - 1; i >= 0; i--) {
    offset += index % dims[i] * strides[i];
    index /= dims[i];
  }
  return offset;
}

typedef struct {
  double sum, most;
} FloatState;

static void
add_floats(ReduceKind kind, FloatState *s, const double *x, gint64 n)
{
  for (gint64 i = 0; i < n; i++) {
    double v = x[i];

    switch (kind) {
    case REDUCE_MAX:
      s->sum = v > s->sum || v != v ? v : s->sum;
      break;
    case REDUCE_MIN:
      s->sum = v < s->sum || v != v ? v : s->sum;
      break;
    case REDUCE_PROD:
      s->sum *= v;
      break;
    case REDUCE_L1:
      s->sum += fabs(v);
      break;
    case REDUCE_L2:
    case REDUCE_SUM_SQUARE:
      s->sum += v * v;
      break;
    case REDUCE_LOG_SUM_EXP:
      /* The sum is kept relative to the largest element so far. */
      if (v > s->most) {
        s->sum = (s->most == -INFINITY ? 0 : s->sum * exp(s->most - v)) + 1;
        s->most = v;
      } else if (v != -INFINITY) {
        s->sum += v == s->most ? 1 : exp(v - s->most);
      }
      break;
    default:
      s->sum += v;
    }
  }
}

static double
finish_floats(ReduceKind kind, const FloatState *s, gint64 n)
{
  switch (kind) {
  case REDUCE_MEAN:
    return s->sum / (double)n;
  case REDUCE_L2:
    return sqrt(s->sum);
  case REDUCE_LOG_SUM:
    return log(s->sum);
  case REDUCE_LOG_SUM_EXP:
    return s->most == -INFINITY ? log(s->sum) : s->most + log(s->sum);
  default:
    return s->sum;
  }
}

static double
reduce_floats(ReduceKind kind, const Nest *nest, const InferArray *x, gint64 base)
{
  FloatState state = {.sum = kind == REDUCE_MAX    ? -INFINITY
                             : kind == REDUCE_MIN  ? INFINITY
                             : kind == REDUCE_PROD ? 1
                                                   : 0,
                      .most = -INFINITY};
  gint last = nest->n_reduced - 1;
  gint64 run = last >= 0 ? nest->reduced[last] : 1;
  gint64 stride = last >= 0 ? nest->reduced_stride[last] : 1;
  double buffer[256];

  for (gint64 i = 0; i < nest->n_inner; i += run) {
    gint64 at = base + offset_of(i, nest->n_reduced, nest->reduced, nest->reduced_stride);

    for (gint64 j = 0; j < run; j += G_N_ELEMENTS(buffer)) {
      gint64 n = MIN(run - j, (gint64)G_N_ELEMENTS(buffer));

      infer_load_doubles(x->type, x->data, at + j * stride, stride, n, buffer);
      add_floats(kind, &state, buffer, n);
    }
  }
  return finish_floats(kind, &state, nest->n_inner);
}

/* Sums and products wrap. Signed and unsigned numbers of 64 bits differ only when compared. */
static void
add_integer(ReduceKind kind, gboolean is_signed, guint64 *sum, guint64 v)
{
  guint64 flip = is_signed ? (guint64)1 << 63 : 0;

  switch (kind) {
  case REDUCE_MAX:
    *sum = (v ^ flip) > (*sum ^ flip) ? v : *sum;
    break;
  case REDUCE_MIN:
    *sum = (v ^ flip) < (*sum ^ flip) ? v : *sum;
    break;
  case REDUCE_PROD:
    *sum *= v;
    break;
  case REDUCE_L1:
    *sum += is_signed && (gint64)v < 0 ? 0 - v : v;
    break;
  case REDUCE_SUM_SQUARE:
    *sum += v * v;
    break;
  default:
    *sum += v;
  }
}

static gboolean
is_signed_type(InferType type)
{
  return type == INFER_TYPE_INT8 || type == INFER_TYPE_INT32 || type == INFER_TYPE_INT64;
}

/* What the largest of no elements is: the least number of the type; and the other way round. */
static guint64
extreme_of(InferType type, gboolean least)
{
  guint bits = type == INFER_TYPE_BOOL ? 1 : infer_type_bits(type);

  if (!is_signed_type(type))
    return least ? 0 : G_MAXUINT64 >> (64 - bits);
  return least ? ~(G_MAXUINT64 >> (65 - bits)) : G_MAXUINT64 >> (65 - bits);
}

static guint64
reduce_integers(ReduceKind kind, const Nest *nest, const InferArray *x, gint64 base)
{
  gboolean is_signed = is_signed_type(x->type);
  guint64 sum = kind == REDUCE_PROD ? 1 : 0;

  if (kind == REDUCE_MAX || kind == REDUCE_MIN)
    sum = extreme_of(x->type, kind == REDUCE_MAX);
  for (gint64 i = 0; i < nest->n_inner; i++) {
    gint64 at = base + offset_of(i, nest->n_reduced, nest->reduced, nest->reduced_stride);

    add_integer(kind, is_signed, &sum, (guint64)infer_array_get_int(x, (gsize)at));
  }
  if (kind != REDUCE_MEAN || nest->n_inner == 0)
    return sum;
  return is_signed ? (guint64)((gint64)sum / nest->n_inner) : sum / (guint64)nest->n_inner;
}

static void
store_integer(InferArray *y, gint64 at, guint64 value)
{
  switch (infer_type_bits(y->type)) {
  case 8:
    ((guint8 *)y->data)[at] = (guint8)value;
    break;
  case 32:
    ((guint32 *)y->data)[at] = (guint32)value;
    break;
  default:
    ((guint64 *)y->data)[at] = value;
  }
}

static gboolean
reduce_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *list = args->n_in > 1 ? args->in[1] : NULL;
  gboolean keep = infer_node_get_int(args->node, "keepdims", 1) != 0;
  ReduceKind kind = kind_of(args->node);
  gboolean roots = kind == REDUCE_L2 || kind == REDUCE_LOG_SUM || kind == REDUCE_LOG_SUM_EXP;
  gboolean exact = !infer_type_is_float(x->type) && !roots;
  gboolean reduced[INFER_MAX_DIMS];
  InferDims dims;
  Nest nest;

  if (!reduced_axes(args->node, x->dims.n, list ? list->data : NULL,
                    list ? (gsize)infer_array_count(list) : 0, reduced, error))
    return FALSE;
  dims = reduced_dims(&x->dims, reduced, keep);
  if (!args->out[0] && !(args->out[0] = infer_array_new(x->type, &dims, error)))
    return FALSE;
  if (infer_array_count(args->out[0]) == 0)
    return TRUE;
  nest_init(&nest, &x->dims, reduced, infer_array_count(args->out[0]));
  for (gint64 i = 0; i < nest.n_outer; i++) {
    gint64 base = offset_of(i, nest.n_kept, nest.kept, nest.kept_stride);

    if (exact)
      store_integer(args->out[0], i, reduce_integers(kind, &nest, x, base));
    else
      infer_store_double(args->out[0], i, reduce_floats(kind, &nest, x, base));
  }
  return TRUE;
}

static gboolean
arg_infer(InferShapeArgs *args, GError **error)
{
  gboolean keep = infer_node_get_int(args->node, "keepdims", 1) != 0;
  const InferDims *x = &args->in[0].dims;
  gboolean reduced[INFER_MAX_DIMS] = {FALSE};
  gint axis;

  if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT8,
                             INFER_TYPE_INT16, INFER_TYPE_INT32, INFER_TYPE_INT64, INFER_TYPE_UINT8,
                             INFER_TYPE_UINT16, INFER_TYPE_UINT32, INFER_TYPE_UINT64,
                             INFER_TYPE_UNDEFINED))
    return FALSE;
  args->out[0].type = INFER_TYPE_INT64;
  if (x->n < 0)
    return TRUE;
  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 0), x->n, &axis, error))
    return FALSE;
  if (x->d[axis] == 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "axis %d is empty", axis);
  reduced[axis] = TRUE;
  args->out[0].dims = reduced_dims(x, reduced, keep);
  return TRUE;
}

/* Whether a is before b: NumPy's order, in which not-a-number comes first, and exact for 64 bits.
 */
static gboolean
beats(const InferArray *x, gint64 a, gint64 b, gboolean largest, gboolean ties)
{
  if (infer_type_is_float(x->type)) {
    double va = infer_array_get_double(x, (gsize)a), vb = infer_array_get_double(x, (gsize)b);

    if (va != va || vb != vb)
      return va != va && (vb == vb || ties);
    return (largest ? va > vb : va < vb) || (ties && va == vb);
  }
  guint64 flip = x->type == INFER_TYPE_UINT64 ? 0 : (guint64)1 << 63;
  guint64 ia = (guint64)infer_array_get_int(x, (gsize)a) ^ flip;
  guint64 ib = (guint64)infer_array_get_int(x, (gsize)b) ^ flip;

  return (largest ? ia > ib : ia < ib) || (ties && ia == ib);
}

static gboolean
arg_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  gboolean largest = kind_of(args->node) == REDUCE_MAX;
  gboolean ties = infer_node_get_int(args->node, "select_last_index", 0) != 0;
  gint64 outer = 1, inner = 1;
  gint axis;

  if (infer_array_count(x) == 0)
    return TRUE;
  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 0), x->dims.n, &axis,
                     error))
    return FALSE;
  for (gint i = 0; i < axis; i++)
    outer *= x->dims.d[i];
  for (gint i = axis + 1; i < x->dims.n; i++)
    inner *= x->dims.d[i];
  for (gint64 i = 0; i < outer * inner; i++) {
    gint64 base = i / inner * inner * x->dims.d[axis] + i % inner, best = 0;

    for (gint64 j = 1; j < x->dims.d[axis]; j++)
      if (beats(x, base + j * inner, base + best * inner, largest, ties))
        best = j;
    ((gint64 *)args->out[0]->data)[i] = best;
  }
  return TRUE;
}

static const InferAttrSpec reduce_attrs[] = {
    {"keepdims", 'i', FALSE}, {"noop_with_empty_axes", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec arg_attrs[] = {{"axis", 'i', FALSE},
                                          {"keepdims", 'i', FALSE},
                                          {"select_last_index", 'i', FALSE},
                                          {NULL, 0, FALSE}};

#define REDUCE(NAME, VERSION, KIND, INPUTS, ATTRS, INFER, EVAL)                                    \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = VERSION,                                                                     \
           .min_inputs = 1,                                                                        \
           .max_inputs = INPUTS,                                                                   \
           .min_outputs = 1,                                                                       \
           .max_outputs = 1,                                                                       \
           .attrs = ATTRS,                                                                         \
           .infer = INFER,                                                                         \
           .eval = EVAL},                                                                          \
    .kind = KIND                                                                                   \
  }
#define BY_AXES(NAME, VERSION, KIND)                                                               \
  REDUCE(NAME, VERSION, KIND, 2, reduce_attrs, reduce_infer, reduce_eval)
#define ARGUMENT(NAME, KIND) REDUCE(NAME, 13, KIND, 1, arg_attrs, arg_infer, arg_eval)

static const Reduce ops[] = {
    BY_AXES("ReduceSum", 13, REDUCE_SUM),
    BY_AXES("ReduceMean", 18, REDUCE_MEAN),
    BY_AXES("ReduceMax", 20, REDUCE_MAX),
    BY_AXES("ReduceMin", 20, REDUCE_MIN),
    BY_AXES("ReduceProd", 18, REDUCE_PROD),
    BY_AXES("ReduceL1", 18, REDUCE_L1),
    BY_AXES("ReduceL2", 18, REDUCE_L2),
    BY_AXES("ReduceLogSum", 18, REDUCE_LOG_SUM),
    BY_AXES("ReduceLogSumExp", 18, REDUCE_LOG_SUM_EXP),
    BY_AXES("ReduceSumSquare", 18, REDUCE_SUM_SQUARE),
    ARGUMENT("ArgMax", REDUCE_MAX),
    ARGUMENT("ArgMin", REDUCE_MIN),
};

extern const InferOp *const infer_ops_reduce[];
const InferOp *const infer_ops_reduce[] = {
    &ops[0].op, &ops[1].op, &ops[2].op, &ops[3].op,  &ops[4].op,  &ops[5].op, &ops[6].op,
    &ops[7].op, &ops[8].op, &ops[9].op, &ops[10].op, &ops[11].op, NULL};
