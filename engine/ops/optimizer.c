/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert.h"
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_optimizer[];

/* Steps of training: Adagrad, Adam and Momentum. Inputs are the rate R, the count of updates T,
 * then all tensors, all gradients, and each kind of state; outputs the tensors and the states. */

typedef struct {
  double rate, count;
  double norm, epsilon, decay, alpha, beta, norm_post;
  gboolean nesterov;
} Step;

/* Updates a value @x and its states with gradient @g. */
typedef void (*StepFunc)(const Step *step, double g, double *x, double *state);

static const char *const modes[] = {"standard", "nesterov", NULL};

static void
adagrad_step(const Step *step, double g, double *x, double *state)
{
  double gradient = step->norm * *x + g;
  state[0] += gradient * gradient;
  *x -= step->rate / (1 + step->count * step->decay) * gradient / (sqrt(state[0]) + step->epsilon);
}

static void
adam_step(const Step *step, double g, double *x, double *state)
{
  double gradient = step->norm * *x + g, rate = step->rate;
  state[0] = step->alpha * state[0] + (1 - step->alpha) * gradient;
  state[1] = step->beta * state[1] + (1 - step->beta) * gradient * gradient;
  if (step->count > 0)
    rate *= sqrt(1 - pow(step->beta, step->count)) / (1 - pow(step->alpha, step->count));
  *x -= rate * state[0] / (sqrt(state[1]) + step->epsilon);
  *x *= 1 - step->norm_post;
}

static void
momentum_step(const Step *step, double g, double *x, double *state)
{
  double gradient = step->norm * *x + g;
  state[0] = step->alpha * state[0] + (step->count > 0 ? step->beta : 1) * gradient;
  *x -= step->rate * (step->nesterov ? gradient + step->alpha * state[0] : state[0]);
}

/* How many tensors there are, by the inputs: the tensor, its gradient and its states each. */
static gboolean
count_tensors(const InferNode *node, guint n_in, guint n_out, guint states, guint *n,
              GError **error)
{
  *n = (n_in - 2) / (2 + states);
  if (n_in == 2 || (n_in - 2) % (2 + states) != 0 || n_out != *n * (1 + states))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%u inputs and %u outputs are not 2 and %u for each tensor, and %u for "
                          "each tensor",
                          n_in, n_out, 2 + states, 1 + states);
  return TRUE;
}

static gboolean
step_infer(InferShapeArgs *args, guint states, GError **error)
{
  guint n, mode;
  if (!number_choice(args->node, "mode", modes, &mode, error) ||
      !number_require_real(args, 0, error) || !number_require_scalar(args, 0, error) ||
      !number_require_index(args, 1, error) || !number_require_scalar(args, 1, error) ||
      !count_tensors(args->node, args->n_in, args->n_out, states, &n, error))
    return FALSE;
  for (guint i = 0; i < n; i++) {
    InferDims dims = args->in[2 + i].dims;
    for (guint k = 0; k < 2 + states; k++) {
      const InferDims *have = &args->in[2 + k * n + i].dims;
      gboolean good = dims.n < 0 || have->n < 0 || dims.n == have->n;
      if (!number_require_real(args, 2 + k * n + i, error) ||
          !number_require_same(args, 2 + k * n + i, 2 + i, error))
        return FALSE;
      for (gint d = 0; good && dims.n >= 0 && d < have->n; d++)
        good = number_fits(dims.d[d], have->d[d]);
      if (!good)
        return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                              "input %u has other dimensions than its tensor, input %u",
                              2 + k * n + i, 2 + i);
    }
    for (guint k = 0; k < 1 + states; k++)
      if (!data_set(args, k * n + i, args->in[2 + i].type, &dims, error))
        return FALSE;
  }
  return TRUE;
}

static gboolean
step_params(const InferEvalArgs *args, Step *step, GError **error)
{
  const InferNode *node = args->node;
  guint mode;
  if (infer_array_count(args->in[0]) != 1 || infer_array_count(args->in[1]) != 1)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "R and T must be one element");
  if (!number_choice(node, "mode", modes, &mode, error))
    return FALSE;
  gboolean adam = g_str_equal(infer_node_get_op_name(node), "Adam");
  *step = (Step){
      .rate = infer_array_get_double(args->in[0], 0),
      .count = infer_array_get_double(args->in[1], 0),
      .norm = infer_node_get_float(node, "norm_coefficient", 0),
      .epsilon = infer_node_get_float(node, "epsilon", 1e-6),
      .decay = infer_node_get_float(node, "decay_factor", 0),
      .alpha = infer_node_get_float(node, "alpha", adam ? 0.9 : 0),
      .beta = infer_node_get_float(node, "beta", adam ? 0.999 : 0),
      .norm_post = infer_node_get_float(node, "norm_coefficient_post", 0),
      .nesterov = mode == 1,
  };
  return TRUE;
}

static gboolean
step_eval(const InferEvalArgs *args, guint states, StepFunc func, GError **error)
{
  Step step;
  guint n;
  if (!step_params(args, &step, error) ||
      !count_tensors(args->node, args->n_in, args->n_out, states, &n, error))
    return FALSE;
  for (guint i = 0; i < n; i++) {
    const InferArray *x = args->in[2 + i], *gradient = args->in[2 + n + i];
    InferArray *out[3] = {NULL};
    gint64 count = infer_array_count(x);
    for (guint k = 0; k < 2 + states; k++)
      if (infer_array_count(args->in[2 + k * n + i]) != count)
        return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                              "input %u has another size than its tensor", 2 + k * n + i);
    for (guint k = 0; k < 1 + states; k++)
      if (!(out[k] = data_output(args, k * n + i, x->type, &x->dims, error)))
        return FALSE;
    for (gsize at = 0; at < (gsize)count; at++) {
      double value = infer_array_get_double(x, at), state[2] = {0};
      for (guint k = 0; k < states; k++)
        state[k] = infer_array_get_double(args->in[2 + (2 + k) * n + i], at);
      func(&step, infer_array_get_double(gradient, at), &value, state);
      infer_store_double(out[0], (gint64)at, value);
      for (guint k = 0; k < states; k++)
        infer_store_double(out[1 + k], (gint64)at, state[k]);
    }
  }
  return TRUE;
}

static const InferAttrSpec adagrad_attrs[] = {{"decay_factor", 'f', FALSE},
                                              {"epsilon", 'f', FALSE},
                                              {"norm_coefficient", 'f', FALSE},
                                              {NULL, 0, FALSE}};
static const InferAttrSpec adam_attrs[] = {{"alpha", 'f', FALSE},
                                           {"beta", 'f', FALSE},
                                           {"epsilon", 'f', FALSE},
                                           {"norm_coefficient", 'f', FALSE},
                                           {"norm_coefficient_post", 'f', FALSE},
                                           {NULL, 0, FALSE}};
static const InferAttrSpec momentum_attrs[] = {{"alpha", 'f', TRUE},
                                               {"beta", 'f', TRUE},
                                               {"mode", 's', TRUE},
                                               {"norm_coefficient", 'f', TRUE},
                                               {NULL, 0, FALSE}};

#define OPTIMIZER(ID, NAME, STATES)                                                                \
  static gboolean ID##_infer(InferShapeArgs *args, GError **error)                                 \
  {                                                                                                \
    return step_infer(args, STATES, error);                                                        \
  }                                                                                                \
  static gboolean ID##_eval(const InferEvalArgs *args, GError **error)                             \
  {                                                                                                \
    return step_eval(args, STATES, ID##_step, error);                                              \
  }                                                                                                \
  static const InferOp ID = {                                                                      \
      .name = NAME,                                                                                \
      .version = 1,                                                                                \
      .min_inputs = 3,                                                                             \
      .max_inputs = INFER_OP_VARIADIC,                                                             \
      .min_outputs = 1,                                                                            \
      .max_outputs = INFER_OP_VARIADIC,                                                            \
      .attrs = ID##_attrs,                                                                         \
      .infer = ID##_infer,                                                                         \
      .eval = ID##_eval,                                                                           \
  };

OPTIMIZER(adagrad, "Adagrad", 1)
OPTIMIZER(adam, "Adam", 2)
OPTIMIZER(momentum, "Momentum", 1)

const InferOp *const infer_ops_optimizer[] = {&adagrad, &adam, &momentum, NULL};
