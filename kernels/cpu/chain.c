/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <math.h>

static gboolean
append(InferCpuChain *chain, InferCpuPost post)
{
  if (chain->n == INFER_CPU_MAX_POST_OPS)
    return FALSE;
  chain->post[chain->n++] = post;
  return TRUE;
}

/* oneDNN 2.6 gives all post-operations of one algorithm the parameters of one of them. */
static gboolean
append_eltwise(InferCpuChain *chain, dnnl_alg_kind_t alg, float alpha, float beta)
{
  for (guint i = 0; i < chain->n; i++) {
    const InferCpuPost *post = &chain->post[i];
    if (post->kind == INFER_CPU_POST_ELTWISE && post->alg == alg &&
        (post->alpha != alpha || post->beta != beta))
      return FALSE;
  }
  return append(chain, (InferCpuPost){INFER_CPU_POST_ELTWISE, alg, alpha, beta, -1});
}

static gboolean
append_unary(InferCpuChain *chain, InferCpuUnary op, float alpha, float beta)
{
  switch (op) {
  case INFER_CPU_UNARY_CLIP:
    if (!(alpha <= beta))
      return FALSE;
    if (alpha == 0.0f && isinf(beta))
      return append_eltwise(chain, dnnl_eltwise_relu, 0.0f, 0.0f);
    return append_eltwise(chain, dnnl_eltwise_clip, alpha, beta);
  case INFER_CPU_UNARY_LEAKY_RELU:
    return append_eltwise(chain, dnnl_eltwise_relu, alpha, 0.0f);
  case INFER_CPU_UNARY_SIGMOID:
    return append_eltwise(chain, dnnl_eltwise_logistic, 0.0f, 0.0f);
  case INFER_CPU_UNARY_TANH:
    return append_eltwise(chain, dnnl_eltwise_tanh, 0.0f, 0.0f);
  case INFER_CPU_UNARY_ELU:
    return append_eltwise(chain, dnnl_eltwise_elu, alpha, 0.0f);
  case INFER_CPU_UNARY_HARD_SIGMOID:
    return append_eltwise(chain, dnnl_eltwise_linear, alpha, beta) &&
           append_eltwise(chain, dnnl_eltwise_clip, 0.0f, 1.0f);
  case INFER_CPU_UNARY_HARD_SWISH:
    if (fabsf(alpha - 1.0f / 6.0f) > 1e-6f || beta != 0.5f)
      return FALSE;
    return append_eltwise(chain, dnnl_eltwise_hardswish, 0.0f, 0.0f);
  case INFER_CPU_UNARY_SWISH:
    return append_eltwise(chain, dnnl_eltwise_swish, alpha, 0.0f);
  case INFER_CPU_UNARY_MISH:
    return append_eltwise(chain, dnnl_eltwise_mish, 0.0f, 0.0f);
  case INFER_CPU_UNARY_GELU_ERF:
    return append_eltwise(chain, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
  case INFER_CPU_UNARY_GELU_TANH:
    return append_eltwise(chain, dnnl_eltwise_gelu_tanh, 0.0f, 0.0f);
  default:
    return FALSE;
  }
}

static gboolean
is_op(const InferNode *node, const char *name)
{
  return g_str_equal(infer_node_get_op_name(node), name);
}

/* The other operand of a node with two, one of which is @tensor. */
static const InferTensor *
other_input(const InferNode *node, const InferTensor *tensor)
{
  if (node->n_inputs != 2 || node->inputs[0] == node->inputs[1])
    return NULL;
  if (node->inputs[0] == tensor)
    return node->inputs[1];
  return node->inputs[1] == tensor ? node->inputs[0] : NULL;
}

static gboolean
append_add(const InferStep *step, const InferNode *node, const InferTensor *tensor, gboolean first,
           InferCpuChain *chain)
{
  const InferTensor *other = other_input(node, tensor);
  gint input = other != NULL ? infer_step_find_input(step, other) : -1;
  if (input < 0)
    return FALSE;
  if (other->value != NULL) {
    chain->bias = input;
    return first;
  }
  if (!infer_dims_equal(&other->dims, &tensor->dims))
    return FALSE;
  chain->n_adds++;
  return append(chain, (InferCpuPost){INFER_CPU_POST_ADD, dnnl_alg_kind_undef, 0, 0, input});
}

/* x * sigmoid(x) and x * hardsigmoid(x) come as two nodes. Returns: how many were taken. */
static guint
append_activation(const InferNode *const *nodes, guint n, const InferTensor *tensor,
                  InferCpuChain *chain)
{
  InferCpuUnary op;
  float alpha, beta;
  if (nodes[0]->inputs[0] != tensor || !infer_cpu_unary_parse(nodes[0], &op, &alpha, &beta))
    return 0;
  if (n > 1 && is_op(nodes[1], "Mul") && other_input(nodes[1], tensor) == nodes[0]->outputs[0]) {
    if (op == INFER_CPU_UNARY_SIGMOID)
      return append_unary(chain, INFER_CPU_UNARY_SWISH, 1.0f, 0.0f) ? 2 : 0;
    if (op == INFER_CPU_UNARY_HARD_SIGMOID)
      return append_unary(chain, INFER_CPU_UNARY_HARD_SWISH, alpha, beta) ? 2 : 0;
    return 0;
  }
  return append_unary(chain, op, alpha, beta) ? 1 : 0;
}

gboolean
infer_cpu_chain_parse(const InferStep *step, InferCpuChain *chain)
{
  *chain = (InferCpuChain){.bias = -1};
  if (step->anchor != 0 || step->n_nodes == 0 || step->n_outputs != 1 ||
      step->nodes[0]->n_outputs != 1)
    return FALSE;
  const InferTensor *tensor = step->nodes[0]->outputs[0];
  for (guint i = 1; i < step->n_nodes;) {
    const InferNode *node = step->nodes[i];
    guint taken = 1;
    if (is_op(node, "Add")) {
      if (!append_add(step, node, tensor, i == 1, chain))
        return FALSE;
    } else {
      taken = append_activation((const InferNode *const *)step->nodes + i, step->n_nodes - i,
                                tensor, chain);
      if (taken == 0)
        return FALSE;
    }
    i += taken;
    tensor = step->nodes[i - 1]->outputs[0];
  }
  return tensor == step->outputs[0];
}
