/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <math.h>

/* How the operators' attributes become the two parameters of a loop. */
typedef struct {
  const char *name;
  InferCpuUnary op;
  const char *alpha_name, *beta_name;
  double alpha, beta;
} Entry;

static const Entry entries[] = {
    {"Relu", INFER_CPU_UNARY_CLIP, NULL, NULL, 0.0, INFINITY},
    {"Clip", INFER_CPU_UNARY_CLIP, NULL, NULL, -INFINITY, INFINITY},
    {"LeakyRelu", INFER_CPU_UNARY_LEAKY_RELU, "alpha", NULL, 0.01, 0.0},
    {"Sigmoid", INFER_CPU_UNARY_SIGMOID, NULL, NULL, 0.0, 0.0},
    {"Tanh", INFER_CPU_UNARY_TANH, NULL, NULL, 0.0, 0.0},
    {"Exp", INFER_CPU_UNARY_EXP, NULL, NULL, 0.0, 0.0},
    {"Log", INFER_CPU_UNARY_LOG, NULL, NULL, 0.0, 0.0},
    {"Sqrt", INFER_CPU_UNARY_SQRT, NULL, NULL, 0.0, 0.0},
    {"Abs", INFER_CPU_UNARY_ABS, NULL, NULL, 0.0, 0.0},
    {"Neg", INFER_CPU_UNARY_NEG, NULL, NULL, 0.0, 0.0},
    {"Reciprocal", INFER_CPU_UNARY_RECIPROCAL, NULL, NULL, 0.0, 0.0},
    {"Floor", INFER_CPU_UNARY_FLOOR, NULL, NULL, 0.0, 0.0},
    {"Ceil", INFER_CPU_UNARY_CEIL, NULL, NULL, 0.0, 0.0},
    {"Elu", INFER_CPU_UNARY_ELU, "alpha", NULL, 1.0, 0.0},
    {"Selu", INFER_CPU_UNARY_SELU, "alpha", "gamma", 1.67326319217681884765625,
     1.05070102214813232421875},
    {"HardSigmoid", INFER_CPU_UNARY_HARD_SIGMOID, "alpha", "beta", 0.2, 0.5},
    {"HardSwish", INFER_CPU_UNARY_HARD_SWISH, NULL, NULL, 1.0 / 6.0, 0.5},
    {"Swish", INFER_CPU_UNARY_SWISH, "alpha", NULL, 1.0, 0.0},
    {"Round", INFER_CPU_UNARY_ROUND, NULL, NULL, 0.0, 0.0},
    {"Softplus", INFER_CPU_UNARY_SOFTPLUS, NULL, NULL, 0.0, 0.0},
    {"Softsign", INFER_CPU_UNARY_SOFTSIGN, NULL, NULL, 0.0, 0.0},
    {"Mish", INFER_CPU_UNARY_MISH, NULL, NULL, 0.0, 0.0},
    {"Erf", INFER_CPU_UNARY_ERF, NULL, NULL, 0.0, 0.0},
    {"Gelu", INFER_CPU_UNARY_GELU_ERF, NULL, NULL, 0.0, 0.0},
};

/* The bounds of a Clip are inputs; both may be absent. */
static gboolean
read_clip(const InferNode *node, float *alpha, float *beta)
{
  float *bounds[] = {alpha, beta};
  for (guint i = 0; i < 2; i++) {
    double value;
    if (node->n_inputs <= i + 1 || node->inputs[i + 1] == NULL)
      continue;
    if (!infer_cpu_scalar(node->inputs[i + 1], &value))
      return FALSE;
    *bounds[i] = (float)value;
  }
  return TRUE;
}

gboolean
infer_cpu_unary_parse(const InferNode *node, InferCpuUnary *op, float *alpha, float *beta)
{
  const char *name = infer_node_get_op_name(node);
  for (guint i = 0; i < G_N_ELEMENTS(entries); i++) {
    const Entry *entry = &entries[i];
    if (!g_str_equal(entry->name, name))
      continue;
    *op = entry->op;
    *alpha = (float)(entry->alpha_name != NULL
                         ? infer_node_get_float(node, entry->alpha_name, entry->alpha)
                         : entry->alpha);
    *beta =
        (float)(entry->beta_name != NULL ? infer_node_get_float(node, entry->beta_name, entry->beta)
                                         : entry->beta);
    if (g_str_equal(name, "Gelu") &&
        g_str_equal(infer_node_get_string(node, "approximate", "none"), "tanh"))
      *op = INFER_CPU_UNARY_GELU_TANH;
    return !g_str_equal(name, "Clip") || read_clip(node, alpha, beta);
  }
  return FALSE;
}

typedef struct {
  const InferCpuKernels *kernels;
  gint64 count;
  guint input;
  guint n;
  struct {
    InferCpuUnary op;
    float alpha, beta;
  } ops[8];
} Unary;

/* A chain of unary functions, each on the result of the one before. */
static gboolean
parse(const InferStep *step, Unary *unary)
{
  if (step->anchor != 0 || step->n_outputs != 1 || step->n_nodes > G_N_ELEMENTS(unary->ops) ||
      !infer_cpu_all_float(step))
    return FALSE;
  const InferTensor *tensor = step->nodes[0]->n_inputs > 0 ? step->nodes[0]->inputs[0] : NULL;
  gint input = tensor != NULL ? infer_step_find_input(step, tensor) : -1;
  if (input < 0 || tensor->value != NULL)
    return FALSE;
  unary->input = input;
  for (unary->n = 0; unary->n < step->n_nodes; unary->n++) {
    const InferNode *node = step->nodes[unary->n];
    if (node->inputs[0] != tensor ||
        !infer_cpu_unary_parse(node, &unary->ops[unary->n].op, &unary->ops[unary->n].alpha,
                               &unary->ops[unary->n].beta))
      return FALSE;
    tensor = node->outputs[0];
  }
  return tensor == step->outputs[0];
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  Unary unary;
  if (!parse(step, &unary))
    return FALSE;
  inputs[unary.input] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static gboolean
prepare_unary(InferPrepare *prepare, GError **error)
{
  g_autofree Unary *unary = g_new0(Unary, 1);
  if (!parse(prepare->step, unary))
    return infer_cpu_fail(prepare, error, INFER_ERROR_FAILED, "not a unary function");
  unary->kernels = infer_cpu_device(prepare->device)->kernels;
  unary->count = infer_dims_count(&prepare->outputs[0].dims);
  prepare->state = g_steal_pointer(&unary);
  return TRUE;
}

typedef struct {
  const Unary *unary;
  const float *src;
  float *dst;
} Call;

/* Pieces that stay in the first-level cache from one function to the next. */
#define PIECE 4096

static void
run_range(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Unary *unary = call->unary;
  for (gint64 at = begin; at < end; at += PIECE) {
    gint64 n = MIN(end - at, PIECE);
    const float *src = call->src + at;
    for (guint i = 0; i < unary->n; i++) {
      unary->kernels->unary(unary->ops[i].op, call->dst + at, src, n, unary->ops[i].alpha,
                            unary->ops[i].beta);
      src = call->dst + at;
    }
  }
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Unary *unary = state;
  Call call = {unary, inputs[unary->input], outputs[0]};
  infer_cpu_parallel(unary->count, unary->n, run_range, &call);
  return TRUE;
}

const InferImpl infer_cpu_unary = {
    .name = "cpu.unary",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_unary,
    .release = g_free,
    .run = run,
};
