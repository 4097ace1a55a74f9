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
