/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

#include <math.h>

/* Vaswani et al., "Attention Is All You Need", 2017, section 3.2, with heads that share keys
 * (Ainslie et al., 2023), a cache of earlier keys, and windows. */

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_LENGTHS };
enum { QK_PRODUCT, QK_CAPPED, QK_MASKED, QK_SOFTMAX };

/* @flat: heads are side by side in the last of three dimensions */
typedef struct {
  gboolean flat;
  gint64 batch, q_heads, kv_heads, q_len, kv_len, past, total, head, v_head;
} Sizes;

static gboolean
split_heads(const InferNode *node, const char *name, gint64 hidden, gint64 *heads, gint64 *size,
            GError **error)
{
  if (!infer_check_int(node, name, 0, 1, G_MAXINT32, heads, error))
    return FALSE;
  if (hidden >= 0 && hidden % *heads != 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " elements do not divide into %" G_GINT64_FORMAT
                          " heads",
                          hidden, *heads);
  *size = hidden >= 0 ? hidden / *heads : INFER_DIM_UNKNOWN;
  return TRUE;
}

static gboolean
read_flat(const InferNode *node, const InferDims *q, const InferDims *k, const InferDims *v,
          Sizes *s, GError **error)
{
  gint64 head = -1, heads = 0;

  s->batch = q->d[0];
  s->q_len = q->d[1];
  s->kv_len = k->d[1] < 0 ? v->d[1] : k->d[1];
  if (!split_heads(node, "q_num_heads", q->d[2], &s->q_heads, &s->head, error) ||
      !split_heads(node, "kv_num_heads", k->d[2], &s->kv_heads, &head, error) ||
      !split_heads(node, "kv_num_heads", v->d[2], &heads, &s->v_head, error))
    return FALSE;
  s->head = s->head < 0 ? head : s->head;
  if (head >= 0 && head != s->head)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "heads of %" G_GINT64_FORMAT " and of %" G_GINT64_FORMAT " elements",
                          s->head, head);
  return TRUE;
}

/* With the ranks known. Past keys and their number are looked at by the caller. */
static gboolean
read_sizes(const InferNode *node, const InferDims *q, const InferDims *k, const InferDims *v,
           const InferDims *past, Sizes *s, GError **error)
{
  s->flat = q->n == 3;
  if (q->n != k->n || q->n != v->n || q->n < 3 || q->n > 4)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the inputs have %d, %d and %d dimensions; all need 3, or 4", q->n, k->n,
                          v->n);
  if (s->flat) {
    if (!read_flat(node, q, k, v, s, error))
      return FALSE;
  } else {
    s->batch = q->d[0];
    s->q_heads = q->d[1];
    s->q_len = q->d[2];
    s->head = q->d[3] < 0 ? k->d[3] : q->d[3];
    s->kv_heads = k->d[1] < 0 ? v->d[1] : k->d[1];
    s->kv_len = k->d[2] < 0 ? v->d[2] : k->d[2];
    s->v_head = v->d[3];
  }
  if (s->kv_heads == 0 || (s->q_heads >= 0 && s->kv_heads > 0 && s->q_heads % s->kv_heads != 0))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " query heads cannot share %" G_GINT64_FORMAT
                          " key heads",
                          s->q_heads, s->kv_heads);
  s->past = !past ? 0 : past->n == 4 ? past->d[2] : INFER_DIM_UNKNOWN;
  s->total = s->past == 0 ? s->kv_len : INFER_DIM_UNKNOWN;
  if (s->past > 0 && s->kv_len >= 0 &&
      (__builtin_add_overflow(s->past, s->kv_len, &s->total) || s->total > G_MAXINT64 / 16))
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "there are too many keys");
  return TRUE;
}

static gboolean
check_mask(const InferShapeArgs *args, const Sizes *s, GError **error)
{
  const gint64 want[] = {s->batch, s->q_heads, s->q_len, s->total};
  const InferDims *m = args->n_in > IN_MASK ? &args->in[IN_MASK].dims : NULL;

  if (!infer_check_present(args, IN_MASK) || m->n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, IN_MASK, 1, 4, error))
    return FALSE;
  for (gint i = 0; i < m->n; i++) {
    gint64 dim = want[i + 4 - m->n];
    gboolean last = i == m->n - 1;

    if (dim >= 0 && m->d[i] >= 0 && (last ? m->d[i] > dim : m->d[i] != dim && m->d[i] != 1))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "the mask has %" G_GINT64_FORMAT
                            " in dimension %d for %" G_GINT64_FORMAT,
                            m->d[i], i, dim);
  }
  return TRUE;
}

static gboolean
check_operands(const InferShapeArgs *args, Sizes *s, GError **error)
{
  gint64 *q[] = {&s->batch, &s->q_heads, &s->q_len, &s->head};
  gint64 *k[] = {&s->batch, &s->kv_heads, &s->kv_len, &s->head};
  gint64 *v[] = {&s->batch, &s->kv_heads, &s->kv_len, &s->v_head};
  gint64 *past_k[] = {&s->batch, &s->kv_heads, &s->past, &s->head};
  gint64 *past_v[] = {&s->batch, &s->kv_heads, &s->past, &s->v_head}, any = INFER_DIM_UNKNOWN;

  if (s->flat) {
    q[1] = &s->q_len;
    k[1] = v[1] = &s->kv_len;
    q[2] = k[2] = v[2] = &any;
  }
  for (guint i = 0; i < 3; i++, any = INFER_DIM_UNKNOWN)
    if (!infer_check_dims(args, i, s->flat ? 3 : 4, i == 0 ? q : i == 1 ? k : v, error))
      return FALSE;
  return infer_check_dims(args, IN_PAST_K, 4, past_k, error) &&
         infer_check_dims(args, IN_PAST_V, 4, past_v, error) &&
         infer_check_vector(args, IN_LENGTHS, &s->batch, error) && check_mask(args, s, error);
}

static gboolean
check_types(const InferShapeArgs *args, GError **error)
{
  gboolean past = infer_check_present(args, IN_PAST_K);

  if (past != infer_check_present(args, IN_PAST_V) ||
      (past && infer_check_present(args, IN_LENGTHS)))
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "past keys need past values, and exclude numbers of keys");
  if (infer_check_present(args, IN_LENGTHS) &&
      !infer_op_require_type(args, IN_LENGTHS, error, INFER_TYPE_INT64, INFER_TYPE_UNDEFINED))
    return FALSE;
  for (guint i = IN_PAST_K; past && i <= IN_PAST_V; i++)
    if (args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                            i, infer_type_name(args->in[i].type),
                            infer_type_name(args->in[0].type));
  return infer_check_reals(args, IN_Q, IN_V, error) &&
         (!infer_check_present(args, IN_MASK) ||
          infer_op_require_type(args, IN_MASK, error, INFER_TYPE_BOOL, args->in[0].type,
                                INFER_TYPE_UNDEFINED));
}

static gboolean
check_attrs(const InferNode *node, GError **error)
{
  gint64 value;
  double cap = infer_node_get_float(node, "softcap", 0);

  if (!(cap >= 0))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "softcap is %g", cap);
  return infer_check_int(node, "qk_matmul_output_mode", 0, 0, 3, &value, error) &&
         infer_check_int(node, "left_window_size", -1, -1, G_MAXINT32, &value, error) &&
         infer_check_int(node, "right_window_size", -1, -1, G_MAXINT32, &value, error) &&
         infer_check_int(node, "is_causal", 0, 0, 1, &value, error);
}

static gboolean
attention_infer(InferShapeArgs *args, GError **error)
{
  const InferOperand *in = args->in;
  gboolean past = infer_check_present(args, IN_PAST_K);
  InferDims dims[4];
  Sizes s;

  if (!check_types(args, error) || !check_attrs(args->node, error))
    return FALSE;
  for (guint i = 0; i < args->n_out; i++)
    args->out[i].type = in[0].type;
  if (in[IN_Q].dims.n < 0 || in[IN_K].dims.n < 0 || in[IN_V].dims.n < 0)
    return TRUE;
  if (!read_sizes(args->node, &in[IN_Q].dims, &in[IN_K].dims, &in[IN_V].dims,
                  past ? &in[IN_PAST_K].dims : NULL, &s, error) ||
      !check_operands(args, &s, error))
    return FALSE;
  dims[0] = s.flat ? INFER_DIMS(s.batch, s.q_len, infer_check_product(s.q_heads, s.v_head))
                   : INFER_DIMS(s.batch, s.q_heads, s.q_len, s.v_head);
  dims[1] = INFER_DIMS(s.batch, s.kv_heads, s.total, s.head);
  dims[2] = INFER_DIMS(s.batch, s.kv_heads, s.total, s.v_head);
  dims[3] = INFER_DIMS(s.batch, s.q_heads, s.q_len, s.total);
  for (guint i = 0; i < args->n_out; i++)
    args->out[i].dims = dims[i];
  return TRUE;
}

/* A row of logits, and of what is added up for the output. */
static gsize
attention_scratch(const InferShapeArgs *args)
{
  const InferOperand *in = args->in;
  Sizes s;

  if (!read_sizes(args->node, &in[IN_Q].dims, &in[IN_K].dims, &in[IN_V].dims,
                  infer_check_present(args, IN_PAST_K) ? &in[IN_PAST_K].dims : NULL, &s, NULL))
    return 0;
  return infer_check_bytes(s.total + s.v_head, sizeof(double), 0);
}

typedef struct {
  const InferEvalArgs *args;
  Sizes s;
  double scale, cap;
  gint64 left, right;
  gint qk_mode;
  const InferArray *mask, *lengths;
  gint64 mask_strides[4], mask_last;
  double *logits, *sums;
} Run;

/* Where the vector of a head at a position starts. */
static gint64
vector_at(const Sizes *s, gint64 heads, gint64 length, gint64 size, gint64 b, gint64 h, gint64 i)
{
  return (s->flat ? (b * length + i) * heads + h : (b * heads + h) * length + i) * size;
}

/* Key or value @t of a head: among the past ones, or the new ones. */
static const InferArray *
memory(const Run *run, guint fresh, gint64 b, gint64 h, gint64 t, gint64 *at)
{
  const Sizes *s = &run->s;
  gint64 size = fresh == IN_K ? s->head : s->v_head;

  if (t < s->past) {
    *at = ((b * s->kv_heads + h) * s->past + t) * size;
    return run->args->in[fresh == IN_K ? IN_PAST_K : IN_PAST_V];
  }
  *at = vector_at(s, s->kv_heads, s->kv_len, size, b, h, t - s->past);
  return run->args->in[fresh];
}

/* What is added to a logit: 0, minus infinity, or the mask's number. */
static double
bias_of(const Run *run, gint64 b, gint64 h, gint64 i, gint64 t)
{
  const Sizes *s = &run->s;
  gint64 length = run->lengths ? ((const gint64 *)run->lengths->data)[b] : s->total;
  gint64 distance = i + (run->lengths ? length - s->q_len : s->past) - t, at;

  if (t >= length || (run->left >= 0 && distance > run->left) ||
      (run->right >= 0 && -distance > run->right) || (run->mask && t >= run->mask_last))
    return -INFINITY;
  if (!run->mask)
    return 0;
  at = b * run->mask_strides[0] + h * run->mask_strides[1] + i * run->mask_strides[2] + t;
  if (run->mask->type == INFER_TYPE_BOOL)
    return ((const guint8 *)run->mask->data)[at] ? 0 : -INFINITY;
  return infer_real(run->mask, at);
}

static void
put_qk(const Run *run, gint mode, gint64 at, double value)
{
  if (run->args->n_out > 3 && run->qk_mode == mode)
    infer_real_set(run->args->out[3], at, value);
}

/* The probabilities of one query; all zero where it may look at nothing. */
static void
weigh(const Run *run, gint64 b, gint64 h, gint64 i)
{
  const Sizes *s = &run->s;
  gint64 q_at = vector_at(s, s->q_heads, s->q_len, s->head, b, h, i);
  gint64 qk_at = ((b * s->q_heads + h) * s->q_len + i) * s->total;
  double most = -INFINITY, sum = 0;

  for (gint64 t = 0; t < s->total; t++) {
    gint64 at;
    const InferArray *k = memory(run, IN_K, b, h / (s->q_heads / s->kv_heads), t, &at);
    double bias = bias_of(run, b, h, i, t), logit = 0;

    for (gint64 d = 0; d < s->head; d++)
      logit += infer_real(run->args->in[IN_Q], q_at + d) * infer_real(k, at + d);
    logit *= run->scale;
    put_qk(run, QK_PRODUCT, qk_at + t, logit);
    logit = run->cap > 0 ? run->cap * tanh(logit / run->cap) : logit;
    put_qk(run, QK_CAPPED, qk_at + t, logit);
    logit = bias == -INFINITY ? bias : logit + bias;
    put_qk(run, QK_MASKED, qk_at + t, logit);
    run->logits[t] = logit;
    most = MAX(most, logit);
  }
  for (gint64 t = 0; t < s->total; t++) {
    run->logits[t] = most == -INFINITY ? 0 : exp(run->logits[t] - most);
    sum += run->logits[t];
  }
  for (gint64 t = 0; t < s->total; t++) {
    run->logits[t] = sum == 0 ? 0 : run->logits[t] / sum;
    put_qk(run, QK_SOFTMAX, qk_at + t, run->logits[t]);
  }
}

static void
attend(const Run *run, gint64 b, gint64 h, gint64 i)
{
  const Sizes *s = &run->s;
  gint64 to = vector_at(s, s->q_heads, s->q_len, s->v_head, b, h, i);

  weigh(run, b, h, i);
  for (gint64 d = 0; d < s->v_head; d++)
    run->sums[d] = 0;
  for (gint64 t = 0; t < s->total; t++) {
    gint64 at;
    const InferArray *v = memory(run, IN_V, b, h / (s->q_heads / s->kv_heads), t, &at);

    /* What may not be looked at may hold anything. */
    for (gint64 d = 0; run->logits[t] != 0 && d < s->v_head; d++)
      run->sums[d] += run->logits[t] * infer_real(v, at + d);
  }
  for (gint64 d = 0; d < s->v_head; d++)
    infer_real_set(run->args->out[0], to + d, run->sums[d]);
}

static void
store_present(const Run *run, guint fresh, InferArray *out)
{
  const Sizes *s = &run->s;
  gint64 size = fresh == IN_K ? s->head : s->v_head, to = 0;

  for (gint64 bh = 0; bh < s->batch * s->kv_heads; bh++)
    for (gint64 t = 0; t < s->total; t++) {
      gint64 at;
      const InferArray *from = memory(run, fresh, bh / s->kv_heads, bh % s->kv_heads, t, &at);

      for (gint64 d = 0; d < size; d++)
        infer_real_set(out, to++, infer_real(from, at + d));
    }
}

static void
init_run(Run *run, const InferEvalArgs *args)
{
  const InferNode *node = args->node;
  gint64 right = infer_node_get_int(node, "right_window_size", -1);

  run->args = args;
  run->scale = infer_node_get_float(node, "scale", 1 / sqrt((double)MAX(run->s.head, 1)));
  run->cap = infer_node_get_float(node, "softcap", 0);
  run->left = infer_node_get_int(node, "left_window_size", -1);
  /* Causal attention is a window that does not reach to the right. */
  run->right = infer_node_get_int(node, "is_causal", 0) ? 0 : right;
  run->qk_mode = (gint)infer_node_get_int(node, "qk_matmul_output_mode", 0);
  run->mask = data_array(args, IN_MASK);
  run->lengths = data_array(args, IN_LENGTHS);
  run->logits = args->scratch;
  run->sums = run->logits + run->s.total;
  if (run->mask) {
    const InferDims *m = &run->mask->dims;
    gint64 stride = run->mask_last = m->d[m->n - 1];

    for (gint i = m->n - 2, j = 2; i >= 0; i--, j--) {
      run->mask_strides[j] = m->d[i] == 1 ? 0 : stride;
      stride *= m->d[i];
    }
  }
}

static gboolean
attention_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *past = data_array(args, IN_PAST_K);
  Run run = {.args = args};
  const Sizes *s = &run.s;

  if (!read_sizes(args->node, &args->in[IN_Q]->dims, &args->in[IN_K]->dims, &args->in[IN_V]->dims,
                  past ? &past->dims : NULL, &run.s, error))
    return FALSE;
  init_run(&run, args);
  for (gint64 b = 0; b < s->batch; b++) {
    gint64 length = run.lengths ? ((const gint64 *)run.lengths->data)[b] : 0;

    if (length < 0 || length > s->total)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "row %" G_GINT64_FORMAT " has %" G_GINT64_FORMAT
                            " keys of %" G_GINT64_FORMAT,
                            b, length, s->total);
    for (gint64 h = 0; h < s->q_heads; h++)
      for (gint64 i = 0; i < s->q_len; i++) {
        if (!infer_op_go_on(error))
          return FALSE;
        attend(&run, b, h, i);
      }
  }
  if (args->n_out > 1)
    store_present(&run, IN_K, args->out[1]);
  if (args->n_out > 2)
    store_present(&run, IN_V, args->out[2]);
  return TRUE;
}

/* softmax_precision is at least met: everything is computed in double precision. */
static const InferAttrSpec attrs[] = {{"is_causal", 'i', FALSE},
                                      {"kv_num_heads", 'i', FALSE},
                                      {"left_window_size", 'i', FALSE},
                                      {"q_num_heads", 'i', FALSE},
                                      {"qk_matmul_output_mode", 'i', FALSE},
                                      {"right_window_size", 'i', FALSE},
                                      {"scale", 'f', FALSE},
                                      {"softcap", 'f', FALSE},
                                      {"softmax_precision", 'i', FALSE},
                                      {NULL, 0, FALSE}};

static const InferOp attention = {.name = "Attention",
                                  .version = 25,
                                  .min_inputs = 3,
                                  .max_inputs = 7,
                                  .min_outputs = 1,
                                  .max_outputs = 4,
                                  .attrs = attrs,
                                  .infer = attention_infer,
                                  .scratch = attention_scratch,
                                  .eval = attention_eval};

extern const InferOp *const infer_ops_attention[];
const InferOp *const infer_ops_attention[] = {&attention, NULL};
