/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

static gboolean
scan_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  DataInts axes;
  gint axis;

  if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT32,
                             INFER_TYPE_INT64, INFER_TYPE_UINT32, INFER_TYPE_UINT64,
                             INFER_TYPE_UNDEFINED) ||
      !infer_check_scalar(args, 1, error) || !data_ints(args, 1, &axes, error))
    return FALSE;
  if (x->n >= 0 && axes.n == 1 && axes.known[0] &&
      !infer_op_axis(args->node, axes.v[0], x->n, &axis, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = *x;
  return TRUE;
}

/* Integers are taken as unsigned so that they wrap; reals are accumulated as double. */
#define DEFINE_SCAN(NAME, T, ACC, FIRST, OP)                                                       \
  static void NAME(const T *x, T *y, gint64 n, gint64 stride, gboolean exclusive)                  \
  {                                                                                                \
    ACC all = FIRST;                                                                               \
    for (gint64 i = 0; i < n; i++, x += stride, y += stride) {                                     \
      ACC before = all;                                                                            \
      all = all OP * x;                                                                            \
      *y = (T)(exclusive ? before : all);                                                          \
    }                                                                                              \
  }

#define DEFINE_SCANS(NAME, FIRST, OP)                                                              \
  DEFINE_SCAN(NAME##_float, float, double, FIRST, OP)                                              \
  DEFINE_SCAN(NAME##_double, double, double, FIRST, OP)                                            \
  DEFINE_SCAN(NAME##_32, guint32, guint32, FIRST, OP)                                              \
  DEFINE_SCAN(NAME##_64, guint64, guint64, FIRST, OP)                                              \
  static void NAME##_line(const InferArray *x, InferArray *y, gint64 at, gint64 n, gint64 stride,  \
                          gboolean exclusive)                                                      \
  {                                                                                                \
    if (x->type == INFER_TYPE_FLOAT)                                                               \
      NAME##_float((const float *)x->data + at, (float *)y->data + at, n, stride, exclusive);      \
    else if (x->type == INFER_TYPE_DOUBLE)                                                         \
      NAME##_double((const double *)x->data + at, (double *)y->data + at, n, stride, exclusive);   \
    else if (infer_type_bits(x->type) == 32)                                                       \
      NAME##_32((const guint32 *)x->data + at, (guint32 *)y->data + at, n, stride, exclusive);     \
    else                                                                                           \
      NAME##_64((const guint64 *)x->data + at, (guint64 *)y->data + at, n, stride, exclusive);     \
  }

DEFINE_SCANS(sum, 0, +)
DEFINE_SCANS(product, 1, *)

typedef void (*LineFunc)(const InferArray *x, InferArray *y, gint64 at, gint64 n, gint64 stride,
                         gboolean exclusive);

static gboolean
scan_eval(const InferEvalArgs *args, LineFunc scan_line, GError **error)
{
  const InferArray *x = args->in[0];
  gboolean exclusive = infer_node_get_int(args->node, "exclusive", 0) != 0;
  gboolean reverse = infer_node_get_int(args->node, "reverse", 0) != 0;
  gint64 count = infer_array_count(x), inner = 1, size;
  gint axis;

  if (!infer_op_axis(args->node, infer_array_get_int(args->in[1], 0), x->dims.n, &axis, error))
    return FALSE;
  size = x->dims.d[axis];
  for (gint i = axis + 1; i < x->dims.n; i++)
    inner *= x->dims.d[i];
  for (gint64 line = 0; count > 0 && line < count / size; line++) {
    gint64 at = line / inner * size * inner + line % inner;

    scan_line(x, args->out[0], reverse ? at + (size - 1) * inner : at, size,
              reverse ? -inner : inner, exclusive);
  }
  return TRUE;
}

static gboolean
cumsum_eval(const InferEvalArgs *args, GError **error)
{
  return scan_eval(args, sum_line, error);
}

static gboolean
cumprod_eval(const InferEvalArgs *args, GError **error)
{
  return scan_eval(args, product_line, error);
}

static const InferAttrSpec attrs[] = {
    {"exclusive", 'i', FALSE}, {"reverse", 'i', FALSE}, {NULL, 0, FALSE}};

#define SCAN(ID, NAME, VERSION)                                                                    \
  static const InferOp ID = {.name = NAME,                                                         \
                             .version = VERSION,                                                   \
                             .min_inputs = 2,                                                      \
                             .max_inputs = 2,                                                      \
                             .min_outputs = 1,                                                     \
                             .max_outputs = 1,                                                     \
                             .attrs = attrs,                                                       \
                             .infer = scan_infer,                                                  \
                             .eval = ID##_eval}

SCAN(cumsum, "CumSum", 14);
SCAN(cumprod, "CumProd", 26);

extern const InferOp *const infer_ops_cumsum[];
const InferOp *const infer_ops_cumsum[] = {&cumsum, &cumprod, NULL};
