/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/rnn-cell.h"
#include "ops/check.h"

#include <math.h>
#include <string.h>

typedef enum {
  ACT_AFFINE,
  ACT_ELU,
  ACT_HARD_SIGMOID,
  ACT_LEAKY_RELU,
  ACT_RELU,
  ACT_SCALED_TANH,
  ACT_SIGMOID,
  ACT_SOFTPLUS,
  ACT_SOFTSIGN,
  ACT_TANH,
  ACT_THRESHOLDED_RELU,
} Act;

/* Names, how many of alpha and beta they take, and what these are when not given. */
static const struct {
  const char *name;
  gboolean alpha, beta;
  double default_alpha, default_beta;
} acts[] = {
    [ACT_AFFINE] = {"Affine", TRUE, TRUE, 1, 0},
    [ACT_ELU] = {"Elu", TRUE, FALSE, 1, 0},
    [ACT_HARD_SIGMOID] = {"HardSigmoid", TRUE, TRUE, 0.2, 0.5},
    [ACT_LEAKY_RELU] = {"LeakyRelu", TRUE, FALSE, 0.01, 0},
    [ACT_RELU] = {"Relu", FALSE, FALSE, 0, 0},
    [ACT_SCALED_TANH] = {"ScaledTanh", TRUE, TRUE, 1, 1},
    [ACT_SIGMOID] = {"Sigmoid", FALSE, FALSE, 0, 0},
    [ACT_SOFTPLUS] = {"Softplus", FALSE, FALSE, 0, 0},
    [ACT_SOFTSIGN] = {"Softsign", FALSE, FALSE, 0, 0},
    [ACT_TANH] = {"Tanh", FALSE, FALSE, 0, 0},
    [ACT_THRESHOLDED_RELU] = {"ThresholdedRelu", TRUE, FALSE, 1, 0},
};

static double
sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static double
activate(const InferCell *cell, guint index, double x)
{
  const InferCellActivation *a = &cell->activations[index];

  if (cell->clip > 0)
    x = CLAMP(x, -cell->clip, cell->clip);
  switch (a->kind) {
  case ACT_AFFINE:
    return a->alpha * x + a->beta;
  case ACT_ELU:
    return x < 0 ? a->alpha * expm1(x) : x;
  case ACT_HARD_SIGMOID:
    return CLAMP(a->alpha * x + a->beta, 0, 1);
  case ACT_LEAKY_RELU:
    return x < 0 ? a->alpha * x : x;
  case ACT_RELU:
    return x < 0 ? 0 : x;
  case ACT_SCALED_TANH:
    return a->alpha * tanh(a->beta * x);
  case ACT_SIGMOID:
    return sigmoid(x);
  case ACT_SOFTPLUS:
    return MAX(x, 0) + log1p(exp(-fabs(x)));
  case ACT_SOFTSIGN:
    return x / (1 + fabs(x));
  case ACT_THRESHOLDED_RELU:
    return x > a->alpha ? x : 0;
  default:
    return tanh(x);
  }
}

guint
infer_cell_n_activations(InferCellKind kind)
{
  return kind == INFER_CELL_RNN ? 1 : kind == INFER_CELL_GRU ? 2 : 3;
}

gint64
infer_cell_n_gates(InferCellKind kind)
{
  return kind == INFER_CELL_RNN ? 1 : kind == INFER_CELL_GRU ? 3 : 4;
}

/* What is used without the attribute: Sigmoid for gates, else Tanh. */
static const char *
default_name(InferCellKind kind, guint index)
{
  return kind != INFER_CELL_RNN && index == 0 ? "Sigmoid" : "Tanh";
}

static gboolean
find_act(const InferNode *node, const char *name, gint *kind, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS(acts); i++)
    if (g_ascii_strcasecmp(acts[i].name, name) == 0) {
      *kind = (gint)i;
      return TRUE;
    }
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "the activation '%.32s' is not known; Sigmoid, Tanh and Relu are some that "
                        "are",
                        name);
}

/* Alphas and betas are lists without gaps: each activation that takes one uses the next. */
static gboolean
read_activations(const InferNode *node, InferCellKind kind, guint direction, guint n_directions,
                 InferCell *cell, GError **error)
{
  g_autoptr(GVariant) names =
      g_variant_lookup_value(node->attrs, "activations", G_VARIANT_TYPE("as"));
  guint per = infer_cell_n_activations(kind);
  gsize n = names ? g_variant_n_children(names) : 0, n_alpha, n_beta, alpha = 0, beta = 0;
  const double *alphas = infer_node_get_floats(node, "activation_alpha", &n_alpha);
  const double *betas = infer_node_get_floats(node, "activation_beta", &n_beta);

  if (n != 0 && n != per * n_directions)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "it has %" G_GSIZE_FORMAT " activations, %u are needed", n,
                          per * n_directions);
  for (guint i = 0; i < per * (direction + 1); i++) {
    const char *name = default_name(kind, i % per);
    InferCellActivation act;

    if (n != 0)
      g_variant_get_child(names, i, "&s", &name);
    if (!find_act(node, name, &act.kind, error))
      return FALSE;
    act.alpha = acts[act.kind].default_alpha;
    act.beta = acts[act.kind].default_beta;
    if (acts[act.kind].alpha && alpha < n_alpha)
      act.alpha = alphas[alpha++];
    if (acts[act.kind].beta && beta < n_beta)
      act.beta = betas[beta++];
    if (i >= per * direction)
      cell->activations[i - per * direction] = act;
  }
  return TRUE;
}

gboolean
infer_cell_read(const InferNode *node, InferCellKind kind, guint direction, guint n_directions,
                InferCell *cell, GError **error)
{
  memset(cell, 0, sizeof *cell);
  cell->kind = kind;
  cell->gates = infer_cell_n_gates(kind);
  cell->clip = infer_node_get_float(node, "clip", 0);
  cell->linear_before_reset = infer_node_get_int(node, "linear_before_reset", 0) != 0;
  cell->input_forget = infer_node_get_int(node, "input_forget", 0) != 0;
  if (!(cell->clip >= 0))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "clip is %g, which is negative",
                          cell->clip);
  return read_activations(node, kind, direction, n_directions, cell, error);
}

gint64
infer_cell_work(InferCellKind kind, gint64 hidden)
{
  return infer_check_product(hidden, infer_cell_n_gates(kind) + 2);
}

#define DEFINE_DOT(T)                                                                              \
  static double dot_##T(const T *w, const double *x, gint64 n)                                     \
  {                                                                                                \
    double sum = 0;                                                                                \
    for (gint64 i = 0; i < n; i++)                                                                 \
      sum += (double)w[i] * x[i];                                                                  \
    return sum;                                                                                    \
  }

DEFINE_DOT(float)
DEFINE_DOT(double)

static double
dot(const InferArray *w, gint64 at, const double *x, gint64 n)
{
  return w->type == INFER_TYPE_FLOAT ? dot_float((const float *)w->data + at, x, n)
                                     : dot_double((const double *)w->data + at, x, n);
}

/* Unit @unit of gate @gate: what comes from the input, and from the state. */
static double
from_input(const InferCell *cell, gint64 gate, gint64 unit, const double *x)
{
  gint64 row = gate * cell->hidden + unit;
  double bias = cell->b ? infer_real(cell->b, cell->b_at + row) : 0;

  return bias + dot(cell->w, cell->w_at + row * cell->inputs, x, cell->inputs);
}

static double
from_state(const InferCell *cell, gint64 gate, gint64 unit, const double *h)
{
  gint64 row = gate * cell->hidden + unit;
  double bias = cell->b ? infer_real(cell->b, cell->b_at + cell->gates * cell->hidden + row) : 0;

  return bias + dot(cell->r, cell->r_at + row * cell->hidden, h, cell->hidden);
}

static double
peephole(const InferCell *cell, gint64 gate, gint64 unit, double c)
{
  return cell->p ? infer_real(cell->p, cell->p_at + gate * cell->hidden + unit) * c : 0;
}

static void
step_rnn(const InferCell *cell, const double *x, double *h)
{
  for (gint64 i = 0; i < cell->hidden; i++)
    cell->work[i] = activate(cell, 0, from_input(cell, 0, i, x) + from_state(cell, 0, i, h));
  memcpy(h, cell->work, (gsize)cell->hidden * sizeof(double));
}

/* Gates: update, reset, hidden. The reset is applied to the state before the recurrent product, or
 * to that product. */
static void
step_gru(const InferCell *cell, const double *x, double *h)
{
  gint64 n = cell->hidden;
  double *update = cell->work, *reset = update + n, *next = reset + n, *state = next + n;

  for (gint64 i = 0; i < n; i++) {
    update[i] = activate(cell, 0, from_input(cell, 0, i, x) + from_state(cell, 0, i, h));
    reset[i] = activate(cell, 0, from_input(cell, 1, i, x) + from_state(cell, 1, i, h));
    state[i] = reset[i] * h[i];
  }
  for (gint64 i = 0; i < n; i++) {
    double recurrent = cell->linear_before_reset ? reset[i] * from_state(cell, 2, i, h)
                                                 : from_state(cell, 2, i, state);

    next[i] = activate(cell, 1, from_input(cell, 2, i, x) + recurrent);
  }
  for (gint64 i = 0; i < n; i++)
    h[i] = (1 - update[i]) * next[i] + update[i] * h[i];
}

/* Gates: input, output, forget, cell. Peepholes look at the old state, but the output gate's at
 * the new one. */
static void
step_lstm(const InferCell *cell, const double *x, double *h, double *c)
{
  gint64 n = cell->hidden;
  double *sums = cell->work;

  for (gint64 gate = 0; gate < 4; gate++)
    for (gint64 i = 0; i < n; i++)
      sums[gate * n + i] = from_input(cell, gate, i, x) + from_state(cell, gate, i, h);
  for (gint64 i = 0; i < n; i++) {
    double in = activate(cell, 0, sums[i] + peephole(cell, 0, i, c[i]));
    double forget = cell->input_forget
                        ? 1 - in
                        : activate(cell, 0, sums[2 * n + i] + peephole(cell, 2, i, c[i]));
    double out;

    c[i] = forget * c[i] + in * activate(cell, 1, sums[3 * n + i]);
    out = activate(cell, 0, sums[n + i] + peephole(cell, 1, i, c[i]));
    h[i] = out * activate(cell, 2, c[i]);
  }
}

void
infer_cell_step(const InferCell *cell, const double *x, double *h, double *c)
{
  if (cell->kind == INFER_CELL_RNN)
    step_rnn(cell, x, h);
  else if (cell->kind == INFER_CELL_GRU)
    step_gru(cell, x, h);
  else
    step_lstm(cell, x, h, c);
}
