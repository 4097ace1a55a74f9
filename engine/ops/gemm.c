/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/gemm.h"
#include "ops/convert.h"

#include <string.h>

/* Integers multiply as unsigned so that they wrap. */
#define DEFINE_GEMM(NAME, T)                                                                       \
  static void NAME##_row(gboolean trans_b, gint64 n, gint64 k, const T *a, gint64 stride,          \
                         const T *b, T *out)                                                       \
  {                                                                                                \
    memset(out, 0, sizeof(T) * (gsize)n);                                                          \
    if (!trans_b) {                                                                                \
      for (gint64 l = 0; l < k; l++) {                                                             \
        const T x = a[l * stride];                                                                 \
        for (gint64 j = 0; j < n; j++)                                                             \
          out[j] += x * b[l * n + j];                                                              \
      }                                                                                            \
      return;                                                                                      \
    }                                                                                              \
    for (gint64 j = 0; j < n; j++) {                                                               \
      T sum = 0;                                                                                   \
      for (gint64 l = 0; l < k; l++)                                                               \
        sum += a[l * stride] * b[j * k + l];                                                       \
      out[j] = sum;                                                                                \
    }                                                                                              \
  }                                                                                                \
  static gboolean NAME(gboolean trans_a, gboolean trans_b, gint64 m, gint64 n, gint64 k,           \
                       gconstpointer a, gconstpointer b, gpointer out, GError **error)             \
  {                                                                                                \
    for (gint64 i = 0; i < m; i++) {                                                               \
      if (!infer_op_go_on(error))                                                                  \
        return FALSE;                                                                              \
      NAME##_row(trans_b, n, k, (const T *)a + (trans_a ? i : i * k), trans_a ? m : 1, b,          \
                 (T *)out + i * n);                                                                \
    }                                                                                              \
    return TRUE;                                                                                   \
  }

DEFINE_GEMM(gemm_float, float)
DEFINE_GEMM(gemm_double, double)
DEFINE_GEMM(gemm_32, guint32)
DEFINE_GEMM(gemm_64, guint64)

typedef gboolean (*GemmFunc)(gboolean trans_a, gboolean trans_b, gint64 m, gint64 n, gint64 k,
                             gconstpointer a, gconstpointer b, gpointer out, GError **error);

static const GemmFunc functions[INFER_N_TYPES] = {
    [INFER_TYPE_FLOAT] = gemm_float, [INFER_TYPE_DOUBLE] = gemm_double,
    [INFER_TYPE_INT32] = gemm_32,    [INFER_TYPE_UINT32] = gemm_32,
    [INFER_TYPE_INT64] = gemm_64,    [INFER_TYPE_UINT64] = gemm_64,
};

gboolean
infer_gemm_supports(InferType type)
{
  return (guint)type < INFER_N_TYPES && functions[type];
}

gboolean
infer_gemm(InferType type, gboolean trans_a, gboolean trans_b, gint64 m, gint64 n, gint64 k,
           gconstpointer a, gconstpointer b, gpointer out, GError **error)
{
  return m <= 0 || n <= 0 || functions[type](trans_a, trans_b, m, n, k, a, b, out, error);
}

/* Rows and columns of input @index, after transposing; unknown where the rank is. */
static gboolean
matrix(const InferShapeArgs *args, guint index, const char *trans, gint64 *rows, gint64 *columns,
       GError **error)
{
  const InferDims *dims = &args->in[index].dims;
  gboolean swap = infer_node_get_int(args->node, trans, 0) != 0;

  *rows = *columns = INFER_DIM_UNKNOWN;
  if (dims->n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, index, 2, 2, error))
    return FALSE;
  *rows = dims->d[swap ? 1 : 0];
  *columns = dims->d[swap ? 0 : 1];
  return TRUE;
}

static gboolean
check_types(const InferShapeArgs *args, GError **error)
{
  for (guint i = 0; i < args->n_in; i++) {
    InferType type = args->in[i].type;

    if (i == 2 && type == INFER_TYPE_UNDEFINED)
      continue;
    if (!infer_gemm_supports(infer_op_eval_type(args, i)))
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "input %u is of type %s, which is not supported", i,
                            infer_type_name(type));
    if (type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                            i, infer_type_name(type), infer_type_name(args->in[0].type));
  }
  return TRUE;
}

static gboolean
check_addend(const InferShapeArgs *args, const InferDims *out, GError **error)
{
  const InferDims *c;

  if (args->n_in < 3 || args->in[2].type == INFER_TYPE_UNDEFINED || args->in[2].dims.n < 0)
    return TRUE;
  c = &args->in[2].dims;
  for (gint i = 0; i < c->n && c->n <= 2; i++) {
    gint64 want = out->d[2 - c->n + i];

    if (c->d[i] >= 0 && c->d[i] != 1 && want >= 0 && c->d[i] != want)
      break;
    if (i == c->n - 1)
      return TRUE;
  }
  if (c->n == 0)
    return TRUE;
  g_autofree char *have = infer_dims_to_string(c);
  g_autofree char *need = infer_dims_to_string(out);
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                        "C is %s, which is not broadcast to %s", have, need);
}

static gboolean
gemm_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;
  gint64 m, n, ka, kb;

  if (!check_types(args, error) || !matrix(args, 0, "transA", &m, &ka, error) ||
      !matrix(args, 1, "transB", &kb, &n, error))
    return FALSE;
  if (ka >= 0 && kb >= 0 && ka != kb)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "A has %" G_GINT64_FORMAT " columns, B has %" G_GINT64_FORMAT " rows", ka,
                          kb);
  args->out[0].type = args->in[0].type;
  *out = INFER_DIMS(m, n);
  return check_addend(args, out, error);
}

typedef struct {
  gconstpointer data;
  gint64 row, column;
} Addend;

#define DEFINE_FINISH(NAME, T)                                                                     \
  static void NAME(const Addend *c, double alpha, double beta, gint64 m, gint64 n, T *out)         \
  {                                                                                                \
    for (gint64 i = 0; i < m; i++)                                                                 \
      for (gint64 j = 0; j < n; j++) {                                                             \
        T *to = out + i * n + j;                                                                   \
        if (alpha != 1)                                                                            \
          *to *= (T)alpha;                                                                         \
        if (c->data)                                                                               \
          *to += (T)beta * ((const T *)c->data)[i * c->row + j * c->column];                       \
      }                                                                                            \
  }

DEFINE_FINISH(finish_float, float)
DEFINE_FINISH(finish_double, double)

/* Integers are scaled as doubles, and added with wrapping. */
static void
finish_integers(const Addend *c, const InferArray *addend, double alpha, double beta, InferArray *y)
{
  gint64 n = y->dims.d[1], count = infer_array_count(y);

  for (gint64 i = 0; i < count; i++) {
    guint64 value, more = 0;

    if (alpha != 1)
      infer_store_double(y, i, alpha * infer_array_get_double(y, (gsize)i));
    value = (guint64)infer_array_get_int(y, (gsize)i);
    if (addend) {
      gsize at = (gsize)(i / n * c->row + i % n * c->column);
      double scaled = beta * infer_array_get_double(addend, at);

      if (beta == 1)
        more = (guint64)infer_array_get_int(addend, at);
      else if (scaled == scaled)
        more = (guint64)(gint64)CLAMP(scaled, -0x1p62, 0x1p62);
    }
    if (infer_type_bits(y->type) == 32)
      ((guint32 *)y->data)[i] = (guint32)(value + more);
    else
      ((guint64 *)y->data)[i] = value + more;
  }
}

static gboolean
gemm_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *a = args->in[0], *b = args->in[1];
  const InferArray *c = args->n_in > 2 ? args->in[2] : NULL;
  InferArray *y = args->out[0];
  gboolean trans_a = infer_node_get_int(args->node, "transA", 0) != 0;
  gboolean trans_b = infer_node_get_int(args->node, "transB", 0) != 0;
  double alpha = infer_node_get_float(args->node, "alpha", 1);
  double beta = infer_node_get_float(args->node, "beta", 1);
  gint64 m = y->dims.d[0], n = y->dims.d[1];
  gint64 strides[INFER_MAX_DIMS] = {0, 0};
  Addend addend = {0};

  if (!infer_gemm(y->type, trans_a, trans_b, m, n, a->dims.d[trans_a ? 0 : 1], a->data, b->data,
                  y->data, error))
    return FALSE;
  if (c) {
    infer_op_broadcast_strides(&c->dims, &y->dims, strides);
    addend = (Addend){c->data, strides[0], strides[1]};
  }
  if (y->type == INFER_TYPE_FLOAT)
    finish_float(&addend, alpha, beta, m, n, y->data);
  else if (y->type == INFER_TYPE_DOUBLE)
    finish_double(&addend, alpha, beta, m, n, y->data);
  else
    finish_integers(&addend, c, alpha, beta, y);
  return TRUE;
}

static const InferAttrSpec gemm_attrs[] = {{"alpha", 'f', FALSE},
                                           {"beta", 'f', FALSE},
                                           {"transA", 'i', FALSE},
                                           {"transB", 'i', FALSE},
                                           {NULL, 0, FALSE}};

static const InferOp gemm = {.name = "Gemm",
                             .version = 13,
                             .min_inputs = 2,
                             .max_inputs = 3,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attrs = gemm_attrs,
                             .infer = gemm_infer,
                             .eval = gemm_eval};

extern const InferOp *const infer_ops_gemm[];
const InferOp *const infer_ops_gemm[] = {&gemm, NULL};
