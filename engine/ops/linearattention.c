/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

#include <math.h>

/*
 * Attention whose memory is one matrix a head, read and updated at each step: Katharopoulos et
 * al., "Transformers are RNNs", 2020; with decay, Yang et al., "Gated Linear Attention", 2023; with
 * corrections, Schlag et al., "Linear Transformers Are Secretly Fast Weight Programmers", 2021, and
 * Yang et al., "Gated Delta Networks", 2024.
 */

enum { IN_Q, IN_K, IN_V, IN_STATE, IN_DECAY, IN_BETA };

static const char *const rules[] = {"linear", "gated", "delta", "gated_delta", NULL};

/* @decay: numbers a head, @beta: heads that have their own */
typedef struct {
  gint64 batch, steps, q_heads, kv_heads, key, value;
  gint64 decay, beta;
  gboolean gated, delta;
} Sizes;

static gboolean
read_attrs(const InferNode *node, Sizes *s, GError **error)
{
  gint rule;

  if (!infer_check_choice(node, "update_rule", "gated_delta", rules, &rule, error) ||
      !infer_check_int(node, "q_num_heads", 0, 1, G_MAXINT32, &s->q_heads, error) ||
      !infer_check_int(node, "kv_num_heads", 0, 1, G_MAXINT32, &s->kv_heads, error))
    return FALSE;
  if (s->q_heads % s->kv_heads != 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%" G_GINT64_FORMAT " query heads cannot share %" G_GINT64_FORMAT
                          " key heads",
                          s->q_heads, s->kv_heads);
  s->gated = rule == 1 || rule == 3;
  s->delta = rule >= 2;
  return TRUE;
}

static gboolean
check_present(const InferShapeArgs *args, const Sizes *s, GError **error)
{
  const char *rule = infer_node_get_string(args->node, "update_rule", "gated_delta");

  for (guint i = IN_Q; i <= IN_V; i++)
    if (!data_require(args, i, error))
      return FALSE;
  if (infer_check_present(args, IN_DECAY) != s->gated ||
      infer_check_present(args, IN_BETA) != s->delta)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "update_rule '%s' needs %s decay and %s beta", rule,
                          s->gated ? "a" : "no", s->delta ? "a" : "no");
  return infer_check_reals(args, IN_Q, IN_BETA, error);
}

/* How many of @heads' numbers there are, of @hidden in a row. */
static gboolean
split(const InferNode *node, gint64 hidden, gint64 heads, gint64 *size, GError **error)
{
  gint64 each = hidden < 0 ? INFER_DIM_UNKNOWN : hidden / heads;

  if (hidden >= 0 && (hidden % heads != 0 || (*size >= 0 && *size != each)))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " elements do not divide into %" G_GINT64_FORMAT
                          " heads like those of the other inputs",
                          hidden, heads);
  *size = *size < 0 ? each : *size;
  return TRUE;
}

static gboolean
read_rows(const InferShapeArgs *args, Sizes *s, gint64 *hidden, GError **error)
{
  for (guint i = 0; i <= IN_BETA; i++) {
    hidden[i] = INFER_DIM_UNKNOWN;
    if (i != IN_STATE &&
        !infer_check_dims(args, i, 3, (gint64 *[]){&s->batch, &s->steps, &hidden[i]}, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_gates(const InferShapeArgs *args, Sizes *s, const gint64 *hidden, GError **error)
{
  gint64 decay = hidden[IN_DECAY], beta = hidden[IN_BETA];

  s->decay = decay == s->kv_heads ? 1 : s->key;
  s->beta = beta;
  if (s->gated && decay >= 0 && decay != s->kv_heads &&
      (s->key >= 0 && decay != infer_check_product(s->kv_heads, s->key)))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the decay has %" G_GINT64_FORMAT " elements for %" G_GINT64_FORMAT
                          " heads of %" G_GINT64_FORMAT,
                          decay, s->kv_heads, s->key);
  if (s->delta && beta >= 0 && beta != 1 && beta != s->kv_heads)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "beta has %" G_GINT64_FORMAT " elements for %" G_GINT64_FORMAT " heads",
                          beta, s->kv_heads);
  return TRUE;
}

static gboolean
read_sizes(const InferShapeArgs *args, Sizes *s, GError **error)
{
  gint64 hidden[IN_BETA + 1];

  s->batch = s->steps = s->key = s->value = INFER_DIM_UNKNOWN;
  if (!read_attrs(args->node, s, error) || !check_present(args, s, error) ||
      !read_rows(args, s, hidden, error) ||
      !infer_check_dims(args, IN_STATE, 4,
                        (gint64 *[]){&s->batch, &s->kv_heads, &s->key, &s->value}, error))
    return FALSE;
  return split(args->node, hidden[IN_Q], s->q_heads, &s->key, error) &&
         split(args->node, hidden[IN_K], s->kv_heads, &s->key, error) &&
         split(args->node, hidden[IN_V], s->kv_heads, &s->value, error) &&
         read_gates(args, s, hidden, error);
}

static gboolean
linear_infer(InferShapeArgs *args, GError **error)
{
  Sizes s;

  if (!read_sizes(args, &s, error))
    return FALSE;
  InferDims out = INFER_DIMS(s.batch, s.steps, infer_check_product(s.q_heads, s.value));
  InferDims state = INFER_DIMS(s.batch, s.kv_heads, s.key, s.value);
  return data_set(args, 0, args->in[IN_Q].type, &out, error) &&
         (args->n_out < 2 || data_set(args, 1, args->in[IN_Q].type, &state, error));
}

/* The memory of a head, and what it recalls. */
static gsize
linear_scratch(const InferShapeArgs *args)
{
  Sizes s;

  if (!read_sizes(args, &s, NULL))
    return 0;
  gint64 most = s.value > 0 ? G_MAXINT64 / 16 / s.value - 1 : G_MAXINT64 / 16;
  return infer_check_bytes(s.key > most ? -1 : (s.key + 1) * s.value, sizeof(double), 0);
}

typedef struct {
  const InferEvalArgs *args;
  Sizes s;
  double scale;
  double *state, *recalled;
} Run;

static void
forget(const Run *run, gint64 row, gint64 h)
{
  const Sizes *s = &run->s;
  const InferArray *decay = run->args->in[IN_DECAY];

  for (gint64 k = 0; k < s->key; k++) {
    double keep =
        exp(infer_real(decay, (row * s->kv_heads + h) * s->decay + (s->decay > 1 ? k : 0)));
    for (gint64 v = 0; v < s->value; v++)
      run->state[k * s->value + v] *= keep;
  }
}

/* What is written: the value, or a part of what differs from what the key recalls. */
static void
correct(const Run *run, gint64 row, gint64 h)
{
  const Sizes *s = &run->s;
  const InferArray *key = run->args->in[IN_K], *value = run->args->in[IN_V];
  gint64 at = (row * s->kv_heads + h);

  for (gint64 v = 0; v < s->value; v++) {
    double recalled = 0, target = infer_real(value, at * s->value + v);
    for (gint64 k = 0; s->delta && k < s->key; k++)
      recalled += run->state[k * s->value + v] * infer_real(key, at * s->key + k);
    if (s->delta)
      target = infer_real(run->args->in[IN_BETA], row * s->beta + (s->beta > 1 ? h : 0)) *
               (target - recalled);
    run->recalled[v] = target;
  }
  for (gint64 k = 0; k < s->key; k++)
    for (gint64 v = 0; v < s->value; v++)
      run->state[k * s->value + v] += infer_real(key, at * s->key + k) * run->recalled[v];
}

static void
answer(const Run *run, gint64 row, gint64 h)
{
  const Sizes *s = &run->s;
  gint64 group = s->q_heads / s->kv_heads;

  for (gint64 q = h * group; q < (h + 1) * group; q++)
    for (gint64 v = 0; v < s->value; v++) {
      double sum = 0;
      for (gint64 k = 0; k < s->key; k++)
        sum += infer_real(run->args->in[IN_Q], (row * s->q_heads + q) * s->key + k) *
               run->state[k * s->value + v];
      infer_real_set(run->args->out[0], (row * s->q_heads + q) * s->value + v, sum * run->scale);
    }
}

static void
run_head(const Run *run, gint64 b, gint64 h)
{
  const Sizes *s = &run->s;
  const InferArray *past = data_array(run->args, IN_STATE);
  gint64 n = s->key * s->value, at = (b * s->kv_heads + h) * n;

  for (gint64 i = 0; i < n; i++)
    run->state[i] = past ? infer_real(past, at + i) : 0;
  for (gint64 t = 0; t < s->steps; t++) {
    gint64 row = b * s->steps + t;

    if (s->gated)
      forget(run, row, h);
    correct(run, row, h);
    answer(run, row, h);
  }
  for (gint64 i = 0; run->args->n_out > 1 && i < n; i++)
    infer_real_set(run->args->out[1], at + i, run->state[i]);
}

static gboolean
linear_eval(const InferEvalArgs *args, GError **error)
{
  InferOperand operands[IN_BETA + 1] = {0};
  InferShapeArgs shapes = {.node = args->node, .n_in = args->n_in, .in = operands};
  Run run = {.args = args, .state = args->scratch};

  for (guint i = 0; i < args->n_in; i++)
    if (args->in[i])
      infer_operand_from_array(&operands[i], args->in[i]);
  if (!read_sizes(&shapes, &run.s, error))
    return FALSE;
  double scale = infer_node_get_float(args->node, "scale", 0);
  run.scale = scale == 0 ? 1 / sqrt((double)MAX(run.s.key, 1)) : scale;
  run.recalled = run.state + run.s.key * run.s.value;
  for (gint64 b = 0; b < run.s.batch; b++)
    for (gint64 h = 0; h < run.s.kv_heads; h++) {
      if (!infer_op_go_on(error))
        return FALSE;
      run_head(&run, b, h);
    }
  return TRUE;
}

/* chunk_size is advice on speed. */
static const InferAttrSpec attrs[] = {{"chunk_size", 'i', FALSE},  {"kv_num_heads", 'i', TRUE},
                                      {"q_num_heads", 'i', TRUE},  {"scale", 'f', FALSE},
                                      {"update_rule", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp linear = {.name = "LinearAttention",
                               .version = 27,
                               .min_inputs = 3,
                               .max_inputs = 6,
                               .min_outputs = 1,
                               .max_outputs = 2,
                               .attrs = attrs,
                               .infer = linear_infer,
                               .scratch = linear_scratch,
                               .eval = linear_eval};

extern const InferOp *const infer_ops_linearattention[];
const InferOp *const infer_ops_linearattention[] = {&linear, NULL};
