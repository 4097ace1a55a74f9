/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include <math.h>

typedef enum { SOFTMAX, LOG_SOFTMAX, HARDMAX } SoftmaxKind;

typedef struct {
  InferOp op;
  SoftmaxKind kind;
} Softmax;

static gboolean
softmax_infer(InferShapeArgs *args, GError **error)
{
  gint axis;

  if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                             INFER_TYPE_UNDEFINED))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = args->in[0].dims;
  return args->in[0].dims.n < 0 ||
         infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), args->in[0].dims.n,
                       &axis, error);
}

/* A line along the axis: the largest element is taken off before exponentials can overflow. */
#define DEFINE_LINE(NAME, T)                                                                       \
  static void NAME(SoftmaxKind kind, const T *x, T *y, gint64 n, gint64 stride)                    \
  {                                                                                                \
    gint64 best = 0;                                                                               \
    double sum = 0;                                                                                \
    for (gint64 i = 1; i < n; i++)                                                                 \
      if (x[i * stride] > x[best * stride])                                                        \
        best = i;                                                                                  \
    double most = (double)x[best * stride];                                                        \
    for (gint64 i = 0; i < n && kind != HARDMAX; i++)                                              \
      sum += exp((double)x[i * stride] - most);                                                    \
    double log_sum = kind == LOG_SOFTMAX ? log(sum) : 0;                                           \
    for (gint64 i = 0; i < n; i++) {                                                               \
      double value = (double)x[i * stride] - most;                                                 \
      y[i * stride] = (T)(kind == HARDMAX       ? (double)(i == best)                              \
                          : kind == LOG_SOFTMAX ? value - log_sum                                  \
                                                : exp(value) / sum);                               \
    }                                                                                              \
  }

DEFINE_LINE(line_float, float)
DEFINE_LINE(line_double, double)

static gboolean
softmax_eval(const InferEvalArgs *args, GError **error)
{
  SoftmaxKind kind = ((const Softmax *)args->node->op)->kind;
  const InferArray *x = args->in[0];
  gint64 outer = 1, inner = 1, n;
  gint axis;

  if (infer_array_count(x) == 0)
    return TRUE;
  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", -1), x->dims.n, &axis,
                     error))
    return FALSE;
  n = x->dims.d[axis];
  for (gint i = 0; i < axis; i++)
    outer *= x->dims.d[i];
  for (gint i = axis + 1; i < x->dims.n; i++)
    inner *= x->dims.d[i];
  for (gint64 i = 0; i < outer * inner; i++) {
    gint64 at = i / inner * inner * n + i % inner;

    if (x->type == INFER_TYPE_FLOAT)
      line_float(kind, (const float *)x->data + at, (float *)args->out[0]->data + at, n, inner);
    else
      line_double(kind, (const double *)x->data + at, (double *)args->out[0]->data + at, n, inner);
  }
  return TRUE;
}

static const InferAttrSpec softmax_attrs[] = {{"axis", 'i', FALSE}, {NULL, 0, FALSE}};

#define SOFTMAX_OP(NAME, KIND)                                                                     \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = 13,                                                                          \
           .min_inputs = 1,                                                                        \
           .max_inputs = 1,                                                                        \
           .min_outputs = 1,                                                                       \
           .max_outputs = 1,                                                                       \
           .attrs = softmax_attrs,                                                                 \
           .infer = softmax_infer,                                                                 \
           .eval = softmax_eval},                                                                  \
    .kind = KIND                                                                                   \
  }

static const Softmax ops[] = {SOFTMAX_OP("Softmax", SOFTMAX), SOFTMAX_OP("LogSoftmax", LOG_SOFTMAX),
                              SOFTMAX_OP("Hardmax", HARDMAX)};

extern const InferOp *const infer_ops_softmax[];
const InferOp *const infer_ops_softmax[] = {&ops[0].op, &ops[1].op, &ops[2].op, NULL};
