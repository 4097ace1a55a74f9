/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fused.h"

#include <math.h>
#include <string.h>

typedef struct {
  const InferStep *step;
  InferCudaFused *chain;
  gint axis;
  gint64 channels;
  const InferTensor *result; /* of the anchor: all have its dimensions */
  GHashTable *values;        /* tensor -> 1 + index of the value */
} Parser;

static gint
value_of(const Parser *self, const InferTensor *tensor)
{
  return GPOINTER_TO_INT(g_hash_table_lookup(self->values, tensor)) - 1;
}

/* Returns: the index of the value made; -1 where there is no room. */
static gint
emit(Parser *self, InferEpilogueOp op)
{
  InferEpilogueProgram *program = &self->chain->program;

  if (program->n == INFER_EPILOGUE_MAX_OPS || op.a < 0)
    return -1;
  program->ops[program->n] = op;
  return ++program->n;
}

static gint
emit_unary(Parser *self, InferEpilogueMode mode, gint a, double p0, double p1)
{
  return emit(self, (InferEpilogueOp){mode, INFER_EPILOGUE_NONE, a, 0, (float)p0, (float)p1});
}

static gint
emit_scalar(Parser *self, InferEpilogueMode mode, gint a, double scalar)
{
  return emit(self, (InferEpilogueOp){mode, INFER_EPILOGUE_SCALAR, a, 0, (float)scalar, 0.0f});
}

static gint
emit_values(Parser *self, InferEpilogueMode mode, gint a, gint b)
{
  return b < 0 ? -1 : emit(self, (InferEpilogueOp){mode, INFER_EPILOGUE_VALUE, a, b, 0, 0});
}

static gint
add_side(Parser *self, const InferTensor *tensor, gboolean constant)
{
  InferCudaFused *chain = self->chain;
  gint input = infer_step_find_input(self->step, tensor);

  if (input < 0)
    return -1;
  for (guint i = 0; i < chain->n_sides; i++)
    if (chain->sides[i] == input)
      return (gint)i;
  if (chain->n_sides == INFER_EPILOGUE_MAX_SIDES)
    return -1;
  chain->sides[chain->n_sides] = input;
  chain->constant[chain->n_sides] = constant;
  return (gint)chain->n_sides++;
}

/* Whether a constant has one element for each channel and no more. */
static gboolean
is_channels(const Parser *self, const InferTensor *tensor)
{
  gint rank = self->result->dims.n, axis = self->axis < 0 ? rank + self->axis : self->axis;
  gint at = tensor->dims.n - (rank - axis);

  return at >= 0 && tensor->dims.n <= rank && tensor->dims.d[at] == self->channels &&
         infer_array_count(tensor->value) == self->channels;
}

/* An operation whose second operand is @tensor, from outside the step. */
static gint
emit_side(Parser *self, InferEpilogueMode mode, gint a, const InferTensor *tensor)
{
  gint side;

  if (!tensor || tensor->type != self->chain->type)
    return -1;
  if (tensor->value && infer_array_count(tensor->value) == 1 &&
      tensor->dims.n <= self->result->dims.n)
    return emit_scalar(self, mode, a, infer_array_get_double(tensor->value, 0));
  if (tensor->value ? !is_channels(self, tensor)
                    : !infer_dims_equal(&tensor->dims, &self->result->dims))
    return -1;
  side = add_side(self, tensor, tensor->value != NULL);
  if (side < 0)
    return -1;
  return emit(
      self, (InferEpilogueOp){mode, tensor->value ? INFER_EPILOGUE_CHANNEL : INFER_EPILOGUE_TENSOR,
                              a, side, 0, 0});
}

static gint
parse_binary(Parser *self, const InferNode *node, InferEpilogueMode mode)
{
  gboolean swaps = mode != INFER_EPILOGUE_SUB && mode != INFER_EPILOGUE_DIV;
  gint a, b;

  if (node->n_inputs != 2)
    return -1;
  a = value_of(self, node->inputs[0]);
  b = value_of(self, node->inputs[1]);
  if (a >= 0 && b >= 0)
    return emit_values(self, mode, a, b);
  if (a >= 0)
    return emit_side(self, mode, a, node->inputs[1]);
  return swaps ? emit_side(self, mode, b, node->inputs[0]) : -1;
}

static gboolean
bound(const InferNode *node, guint index, double *value)
{
  const InferTensor *tensor = index < node->n_inputs ? node->inputs[index] : NULL;

  if (!tensor)
    return TRUE;
  if (!tensor->value || infer_array_count(tensor->value) != 1)
    return FALSE;
  *value = infer_array_get_double(tensor->value, 0);
  return TRUE;
}

static gint
parse_clip(Parser *self, const InferNode *node, gint a)
{
  double low = -INFINITY, high = INFINITY;

  if (!bound(node, 1, &low) || !bound(node, 2, &high) || !(low <= high))
    return -1;
  return emit_unary(self, INFER_EPILOGUE_RELU, a, low, high);
}

static gint
hard_sigmoid(Parser *self, gint a, double alpha, double beta)
{
  gint scaled = emit_scalar(self, INFER_EPILOGUE_MUL, a, alpha);

  return emit_unary(self, INFER_EPILOGUE_RELU, emit_scalar(self, INFER_EPILOGUE_ADD, scaled, beta),
                    0.0, 1.0);
}

/* max(x, 0) + slope * min(x, 0) */
static gint
parse_prelu(Parser *self, const InferNode *node, gint a)
{
  gint above, below;

  if (node->n_inputs != 2 || !node->inputs[1]->value)
    return -1;
  above = emit_unary(self, INFER_EPILOGUE_RELU, a, 0.0, INFINITY);
  below = emit_scalar(self, INFER_EPILOGUE_MIN, a, 0.0);
  return emit_values(self, INFER_EPILOGUE_ADD, above,
                     emit_side(self, INFER_EPILOGUE_MUL, below, node->inputs[1]));
}

static gint
parse_unary(Parser *self, const InferNode *node, gint a)
{
  static const struct {
    const char *op;
    InferEpilogueMode mode;
    const char *attr;
    double p0, p1;
  } table[] = {
      {"Relu", INFER_EPILOGUE_RELU, NULL, 0.0, INFINITY},
      {"LeakyRelu", INFER_EPILOGUE_LEAKY, "alpha", 0.01, 0.0},
      {"Sigmoid", INFER_EPILOGUE_SIGMOID, NULL, 0.0, 0.0},
      {"Tanh", INFER_EPILOGUE_TANH, NULL, 0.0, 0.0},
      {"Elu", INFER_EPILOGUE_ELU, "alpha", 1.0, 0.0},
      {"Swish", INFER_EPILOGUE_SWISH, "alpha", 1.0, 0.0},
      {"Softplus", INFER_EPILOGUE_SOFTPLUS, NULL, 0.0, 0.0},
      {"Exp", INFER_EPILOGUE_EXP, NULL, 0.0, 0.0},
      {"Abs", INFER_EPILOGUE_ABS, NULL, 0.0, 0.0},
      {"Neg", INFER_EPILOGUE_NEG, NULL, 0.0, 0.0},
      {"Sqrt", INFER_EPILOGUE_SQRT, NULL, 0.0, 0.0},
  };
  const char *op = infer_node_get_op_name(node);

  for (guint i = 0; i < G_N_ELEMENTS(table); i++)
    if (g_str_equal(table[i].op, op))
      return emit_unary(self, table[i].mode, a,
                        table[i].attr ? infer_node_get_float(node, table[i].attr, table[i].p0)
                                      : table[i].p0,
                        table[i].p1);
  if (g_str_equal(op, "Clip"))
    return parse_clip(self, node, a);
  if (g_str_equal(op, "PRelu"))
    return parse_prelu(self, node, a);
  if (g_str_equal(op, "Gelu"))
    return emit_unary(self,
                      g_str_equal(infer_node_get_string(node, "approximate", "none"), "tanh")
                          ? INFER_EPILOGUE_GELU_TANH
                          : INFER_EPILOGUE_GELU,
                      a, 0.0, 0.0);
  if (g_str_equal(op, "HardSigmoid"))
    return hard_sigmoid(self, a, infer_node_get_float(node, "alpha", 0.2),
                        infer_node_get_float(node, "beta", 0.5));
  if (g_str_equal(op, "HardSwish"))
    return emit_values(self, INFER_EPILOGUE_MUL, a, hard_sigmoid(self, a, 1.0 / 6.0, 0.5));
  if (g_str_equal(op, "Mish")) {
    gint soft = emit_unary(self, INFER_EPILOGUE_SOFTPLUS, a, 0.0, 0.0);
    return emit_values(self, INFER_EPILOGUE_MUL, a,
                       emit_unary(self, INFER_EPILOGUE_TANH, soft, 0.0, 0.0));
  }
  return -1;
}

static gint
parse_node(Parser *self, const InferNode *node)
{
  static const struct {
    const char *op;
    InferEpilogueMode mode;
  } binary[] = {{"Add", INFER_EPILOGUE_ADD}, {"Sub", INFER_EPILOGUE_SUB},
                {"Mul", INFER_EPILOGUE_MUL}, {"Div", INFER_EPILOGUE_DIV},
                {"Max", INFER_EPILOGUE_MAX}, {"Min", INFER_EPILOGUE_MIN}};
  const char *op = infer_node_get_op_name(node);

  if (node->n_outputs != 1 || node->n_inputs == 0 || !node->inputs[0] ||
      node->outputs[0]->type != self->chain->type ||
      !infer_dims_equal(&node->outputs[0]->dims, &self->result->dims))
    return -1;
  for (guint i = 0; i < G_N_ELEMENTS(binary); i++)
    if (g_str_equal(binary[i].op, op))
      return parse_binary(self, node, binary[i].mode);
  return parse_unary(self, node, value_of(self, node->inputs[0]));
}

/* x * sigmoid(x) is one operation, which more engines have. */
static gboolean
join_gate(InferEpilogueProgram *program)
{
  InferEpilogueOp *last = &program->ops[MAX(program->n, 2) - 1], *before = last - 1;

  if (program->n < 2 || last->mode != INFER_EPILOGUE_MUL || last->operand != INFER_EPILOGUE_VALUE ||
      before->mode != INFER_EPILOGUE_SIGMOID)
    return FALSE;
  if (!((last->a == before->a && last->b == program->n - 1) ||
        (last->b == before->a && last->a == program->n - 1)))
    return FALSE;
  *before = (InferEpilogueOp){INFER_EPILOGUE_SWISH, INFER_EPILOGUE_NONE, before->a, 0, 1.0f, 0};
  program->n--;
  return TRUE;
}

static gboolean
parse_all(Parser *self, const InferTensor *bias)
{
  const InferStep *step = self->step;
  InferCudaFused *chain = self->chain;
  gint value = 0;

  if (bias) {
    if (bias->type != chain->type || !bias->value ||
        infer_array_count(bias->value) != self->channels)
      return FALSE;
    value = emit(self, (InferEpilogueOp){INFER_EPILOGUE_ADD, INFER_EPILOGUE_CHANNEL, 0,
                                         add_side(self, bias, TRUE), 0, 0});
    if (chain->n_sides == 0)
      return FALSE;
  }
  g_hash_table_insert(self->values, (gpointer)self->result, GINT_TO_POINTER(value + 1));
  for (guint i = 1; i < step->n_nodes; i++) {
    if (parse_node(self, step->nodes[i]) < 0)
      return FALSE;
    if (join_gate(&chain->program))
      g_hash_table_remove(self->values, step->nodes[i - 1]->outputs[0]);
    g_hash_table_insert(self->values, step->nodes[i]->outputs[0],
                        GINT_TO_POINTER(chain->program.n + 1));
  }
  return value_of(self, step->outputs[0]) == chain->program.n;
}

gboolean
infer_cuda_fused_parse(const InferStep *step, const InferTensor *bias, gint axis, gint64 channels,
                       InferCudaFused *chain)
{
  Parser self = {.step = step, .chain = chain, .axis = axis, .channels = channels};
  gboolean ok;

  memset(chain, 0, sizeof *chain);
  if (step->anchor != 0 || step->n_outputs != 1 || step->nodes[0]->n_outputs != 1)
    return FALSE;
  self.result = step->nodes[0]->outputs[0];
  chain->type = self.result->type;
  if (chain->type != INFER_TYPE_FLOAT && chain->type != INFER_TYPE_FLOAT16 &&
      chain->type != INFER_TYPE_BFLOAT16)
    return FALSE;
  self.values = g_hash_table_new(NULL, NULL);
  ok = parse_all(&self, bias);
  g_hash_table_unref(self.values);
  return ok;
}

/* --- constants --- */

typedef struct {
  gint64 groups, padded;
  gsize element;
} Padding;

static gboolean
pack_side(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const Padding *padding = user_data;
  gsize row = value->size / (gsize)padding->groups;

  memset(dst, 0, (gsize)(padding->groups * padding->padded) * padding->element);
  for (gint64 g = 0; g < padding->groups; g++)
    memcpy((guint8 *)dst + (gsize)(g * padding->padded) * padding->element,
           (const guint8 *)value->data + (gsize)g * row, row);
  return TRUE;
}

const void *
infer_cuda_fused_side(InferPrepare *prepare, const InferCudaFused *chain, guint side, gint64 groups,
                      gint64 padded, GError **error)
{
  Padding padding = {groups, padded, infer_type_bits(chain->type) / 8};
  struct {
    char name[8];
    gint64 groups, padded;
  } key = {"side", groups, padded};

  return infer_prepare_pack(prepare, (guint)chain->sides[side], &key, sizeof key,
                            (gsize)(groups * padded) * padding.element, pack_side, &padding, error);
}

/* --- kernels --- */

CUfunction
infer_cuda_fused_kernel(InferCudaDevice *device, InferType type, GError **error)
{
  return infer_cuda_fixed(device,
                          type == INFER_TYPE_FLOAT     ? "infer_epilogue_f32"
                          : type == INFER_TYPE_FLOAT16 ? "infer_epilogue_f16"
                                                       : "infer_epilogue_bf16",
                          error);
}

InferCudaSize
infer_cuda_fused_blocks(const InferCudaDevice *device, gint64 n)
{
  gint64 wanted = (n + 255) / 256, most = (gint64)device->n_multiprocessors * 8;

  return (InferCudaSize){(guint)CLAMP(wanted, 1, most), 1, 1};
}
