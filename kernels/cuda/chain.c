/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"

#include <math.h>
#include <string.h>

/*
 * From pointwise nodes to a function of CUDA C++. Every value becomes an array of neighbours;
 * operands that come from outside are read by their strides, scalars are written as numbers.
 * The arithmetic of each operator is in source/math.cu.
 */

typedef enum {
  FORM_SAME,  /* op_NAME(x ...), as many operands as the node has */
  FORM_FOLD,  /* op_NAME(op_NAME(x, y), z) ... */
  FORM_MEAN,  /* the same with Add, divided by the number */
  FORM_CLIP,  /* bounds that may be absent */
  FORM_CAST,  /* by type */
  FORM_WHERE, /* c ? x : y */
  FORM_NORM,  /* BatchNormalization */
} Form;

/**
 * Function:
 * @attrs: up to two attributes that are handed over
 * @fallback: their defaults
 */
typedef struct {
  const char *op;
  Form form;
  const char *attrs[2];
  double fallback[2];
} Function;

static const Function functions[] = {
    {"Abs"},
    {"Neg"},
    {"Sign"},
    {"Relu"},
    {"BitwiseNot"},
    {"Exp"},
    {"Log"},
    {"Sqrt"},
    {"Reciprocal"},
    {"Floor"},
    {"Ceil"},
    {"Round"},
    {"Sin"},
    {"Cos"},
    {"Tan"},
    {"Asin"},
    {"Acos"},
    {"Atan"},
    {"Sinh"},
    {"Cosh"},
    {"Tanh"},
    {"Asinh"},
    {"Acosh"},
    {"Atanh"},
    {"Erf"},
    {"LeakyRelu", FORM_SAME, {"alpha"}, {0.01}},
    {"Elu", FORM_SAME, {"alpha"}, {1}},
    {"Selu", FORM_SAME, {"alpha", "gamma"}, {1.67326319217681884765625, 1.05070102214813232421875}},
    {"Celu", FORM_SAME, {"alpha"}, {1}},
    {"Sigmoid"},
    {"HardSigmoid", FORM_SAME, {"alpha", "beta"}, {0.2, 0.5}},
    {"HardSwish"},
    {"Softplus"},
    {"Softsign"},
    {"ThresholdedRelu", FORM_SAME, {"alpha"}, {1}},
    {"Gelu"},
    {"Mish"},
    {"Swish", FORM_SAME, {"alpha"}, {1}},
    {"Shrink", FORM_SAME, {"bias", "lambd"}, {0, 0.5}},
    {"Binarizer", FORM_SAME, {"threshold"}, {0}},
    {"Not"},
    {"IsNaN"},
    {"IsInf", FORM_SAME, {"detect_negative", "detect_positive"}, {1, 1}},
    {"Add"},
    {"Sub"},
    {"Mul"},
    {"Div"},
    {"Mod"},
    {"Max", FORM_FOLD},
    {"Min", FORM_FOLD},
    {"Sum", FORM_FOLD},
    {"Mean", FORM_MEAN},
    {"PRelu"},
    {"Equal"},
    {"Greater"},
    {"GreaterOrEqual"},
    {"Less"},
    {"LessOrEqual"},
    {"And"},
    {"Or"},
    {"Xor"},
    {"BitwiseAnd"},
    {"BitwiseOr"},
    {"BitwiseXor"},
    {"BitShift"},
    {"Pow"},
    {"Clip", FORM_CLIP},
    {"Cast", FORM_CAST},
    {"Where", FORM_WHERE},
    {"BatchNormalization", FORM_NORM},
};

static const Function *
find_function(const InferNode *node)
{
  const char *name = infer_node_get_op_name(node);

  for (gsize i = 0; i < G_N_ELEMENTS(functions); i++)
    if (g_str_equal(functions[i].op, name))
      return &functions[i];
  return NULL;
}

/* --- what can be one --- */

static gint
node_of(const InferStep *step, const InferTensor *tensor, guint before)
{
  for (guint i = 0; i < before; i++)
    for (guint k = 0; k < step->nodes[i]->n_outputs; k++)
      if (step->nodes[i]->outputs[k] == tensor)
        return (gint)i;
  return -1;
}

/* Its statistics are vectors along the channels, not broadcast as the other operators do. */
static gboolean
is_per_channel(const InferNode *node, guint index)
{
  return index > 0 && g_str_equal(infer_node_get_op_name(node), "BatchNormalization");
}

/* One operand cannot be broadcast in two ways. */
static gboolean
has_other_use(const InferStep *step, const InferNode *node, const InferTensor *tensor)
{
  for (guint i = 0; i < step->n_nodes; i++)
    for (guint k = 0; k < step->nodes[i]->n_inputs; k++)
      if (step->nodes[i]->inputs[k] == tensor && !is_per_channel(step->nodes[i], k))
        return TRUE;
  return FALSE;
}

static gboolean
supports_node(const InferStep *step, guint at, gboolean anchored)
{
  const InferNode *node = step->nodes[at];

  if (!find_function(node) || node->n_outputs != 1 || node->outputs[0]->dims.n < 0 ||
      !infer_cuda_type(node->outputs[0]->type) || infer_node_get_int(node, "training_mode", 0))
    return FALSE;
  for (guint i = 0; i < node->n_inputs; i++) {
    const InferTensor *tensor = node->inputs[i];

    if (tensor && is_per_channel(node, i) && has_other_use(step, node, tensor))
      return FALSE;
    if (tensor && (!infer_cuda_type(tensor->type) || tensor->dims.n < 0 ||
                   (!is_per_channel(node, i) && tensor->dims.n > step->outputs[0]->dims.n)))
      return FALSE;
  }
  /* What the anchor makes exists at the places of its output alone. */
  if (anchored)
    return infer_dims_equal(&node->outputs[0]->dims, &step->outputs[0]->dims);
  return TRUE;
}

gboolean
infer_cuda_chain_supports(const InferStep *step, gboolean anchored)
{
  const InferTensor *out = step->outputs[0];
  guint last = step->n_nodes - 1;

  if (step->n_outputs != 1 || step->anchor != 0 || step->n_inputs > INFER_CUDA_MAX_INPUTS ||
      step->nodes[last]->outputs[0] != out || out->dims.n < 0 || !infer_cuda_type(out->type))
    return FALSE;
  if (anchored && (step->nodes[0]->n_outputs != 1 ||
                   !infer_dims_equal(&step->nodes[0]->outputs[0]->dims, &out->dims)))
    return FALSE;
  for (gint i = 0; step->n_nodes > 1 && i < out->dims.n; i++)
    if (out->dims.d[i] == INFER_DIM_UNKNOWN)
      return FALSE;
  for (guint i = anchored ? 1 : 0; i < step->n_nodes; i++)
    if (!supports_node(step, i, anchored))
      return FALSE;
  return TRUE;
}

/* Calls @func for each operand that the chain reads from outside. */
typedef void (*LeafFunc)(const InferStep *step, const InferNode *node, guint index, guint input,
                         gpointer user_data);

static void
foreach_leaf(const InferStep *step, gboolean anchored, LeafFunc func, gpointer user_data)
{
  for (guint i = anchored ? 1 : 0; i < step->n_nodes; i++)
    for (guint k = 0; k < step->nodes[i]->n_inputs; k++) {
      const InferTensor *tensor = step->nodes[i]->inputs[k];
      gint input = tensor ? infer_step_find_input(step, tensor) : -1;

      if (input >= 0 && node_of(step, tensor, i) < 0)
        func(step, step->nodes[i], k, (guint)input, user_data);
    }
}

typedef struct {
  InferLayout layout, *inputs;
} Layouts;

static void
set_layout(const InferStep *step, const InferNode *node, guint index, guint input, gpointer data)
{
  const Layouts *layouts = data;

  if (!step->inputs[input]->value && step->inputs[input]->dims.n == step->outputs[0]->dims.n)
    layouts->inputs[input] = layouts->layout;
}

void
infer_cuda_chain_layouts(const InferStep *step, gboolean anchored, InferLayout layout,
                         InferLayout *inputs, InferLayout *outputs)
{
  Layouts layouts = {layout, inputs};

  foreach_leaf(step, anchored, set_layout, &layouts);
  outputs[0] = layout;
}

typedef struct {
  guint input;
  gboolean found;
} Search;

static void
find_leaf(const InferStep *step, const InferNode *node, guint index, guint input, gpointer data)
{
  Search *search = data;

  search->found = search->found || search->input == input;
}

gboolean
infer_cuda_chain_reads(const InferStep *step, guint input)
{
  Search search = {input, FALSE};

  foreach_leaf(step, TRUE, find_leaf, &search);
  return search.found;
}

/* --- index space --- */

typedef struct {
  InferCudaSpace *space;
  const InferPrepare *prepare;
  gboolean failed;
} SpaceBuild;

static void
add_leaf(const InferStep *step, const InferNode *node, guint index, guint input, gpointer data)
{
  SpaceBuild *build = data;
  const InferBuffer *buffer = &build->prepare->inputs[input];
  InferCudaSpace *space = build->space;
  gint skip = is_per_channel(node, index) ? 1 : space->n - buffer->dims.n;

  if (skip < 0 || skip + buffer->dims.n > space->n) {
    build->failed = TRUE;
    return;
  }
  for (gint i = 0; i < space->n; i++) {
    gint k = i - skip;
    gint64 d = k < 0 || k >= buffer->dims.n ? 1 : buffer->dims.d[k];

    build->failed = build->failed || (d != 1 && d != space->dims[i]);
    space->in[input][i] = d == 1 ? 0 : buffer->strides[k];
  }
}

gboolean
infer_cuda_space_init(InferCudaSpace *space, const InferPrepare *prepare, gboolean anchored,
                      GError **error)
{
  const InferBuffer *out = &prepare->outputs[0];
  SpaceBuild build = {space, prepare, FALSE};

  memset(space, 0, sizeof *space);
  space->n = MAX(out->dims.n, 1);
  space->dims[0] = space->out[0] = 1;
  space->vector = space->n > 1 ? 1 : 0;
  for (gint i = 0; i < out->dims.n; i++) {
    space->dims[i] = out->dims.d[i];
    space->out[i] = out->strides[i];
  }
  foreach_leaf(prepare->step, anchored, add_leaf, &build);
  if (build.failed)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its operands cannot be broadcast");
  return TRUE;
}

static void
swap_axes(InferCudaSpace *space, gint a, gint b, guint n_inputs)
{
  gint64 *lists[2 + INFER_CUDA_MAX_INPUTS] = {space->dims, space->out};

  for (guint i = 0; i < n_inputs; i++)
    lists[2 + i] = space->in[i];
  for (guint i = 0; i < 2 + n_inputs; i++) {
    gint64 value = lists[i][a];
    lists[i][a] = lists[i][b];
    lists[i][b] = value;
  }
}

static gboolean
can_join(const InferCudaSpace *space, gint a, gint b, guint n_inputs)
{
  gint64 d = space->dims[b];

  if (space->out[a] != space->out[b] * d)
    return FALSE;
  for (guint i = 0; i < n_inputs; i++)
    if (space->in[i][a] != space->in[i][b] * d)
      return FALSE;
  return TRUE;
}

static void
copy_axis(InferCudaSpace *space, gint to, gint from, guint n_inputs)
{
  space->dims[to] = space->dims[from];
  space->out[to] = space->out[from];
  for (guint i = 0; i < n_inputs; i++)
    space->in[i][to] = space->in[i][from];
}

void
infer_cuda_space_merge(InferCudaSpace *space, guint n_inputs)
{
  gint n = 0;

  for (gint i = 1; i < space->n; i++)
    for (gint k = i; k > 0 && space->out[k - 1] < space->out[k]; k--)
      swap_axes(space, k - 1, k, n_inputs);
  for (gint i = 0; i < space->n; i++) {
    if (space->dims[i] == 1)
      continue;
    if (n > 0 && can_join(space, n - 1, i, n_inputs)) {
      gint64 d = space->dims[n - 1];
      copy_axis(space, n - 1, i, n_inputs);
      space->dims[n - 1] *= d;
    } else {
      copy_axis(space, n++, i, n_inputs);
    }
  }
  if (n == 0) {
    space->dims[0] = space->out[0] = 1;
    for (guint i = 0; i < n_inputs; i++)
      space->in[i][0] = 0;
    n = 1;
  }
  space->n = n;
  space->vector = n - 1;
}

static gint64
extent_of(gint n, const gint64 *dims, const gint64 *strides)
{
  gint64 extent = 1;

  for (gint i = 0; i < n; i++)
    extent += dims[i] > 0 ? (dims[i] - 1) * strides[i] : 0;
  return extent;
}

gboolean
infer_cuda_space_is_wide(const InferCudaSpace *space, const InferPrepare *prepare)
{
  gint64 most = extent_of(space->n, space->dims, space->out), count = 1;

  for (gint i = 0; i < space->n; i++)
    count *= space->dims[i];
  most = MAX(most, count);
  for (guint i = 0; i < prepare->step->n_inputs; i++) {
    const InferBuffer *buffer = &prepare->inputs[i];
    most = MAX(most, extent_of(buffer->dims.n, buffer->dims.d, buffer->strides));
  }
  return most > G_MAXINT32 / 2;
}

/* --- source --- */

typedef struct {
  GString *text;
  const InferPrepare *prepare;
  const InferStep *step;
  const InferCudaSpace *space;
  gboolean anchored;
  gboolean loaded[INFER_CUDA_MAX_INPUTS];
} Writer;

static void
write_number(GString *text, InferType type, double number, gint64 integer)
{
  char digits[64];

  if (!infer_type_is_float(type))
    g_string_append_printf(text, "((%s)(long long)0x%" G_GINT64_MODIFIER "xull)",
                           infer_cuda_value_type(type), (guint64)integer);
  else if (isnan(number) || isinf(number))
    g_string_append_printf(text, "((%s)__int_as_float(0x%x))", infer_cuda_value_type(type),
                           isnan(number) ? 0x7fc00000u
                           : number < 0  ? 0xff800000u
                                         : 0x7f800000u);
  else
    g_string_append_printf(text, "((%s)%s)", infer_cuda_value_type(type),
                           g_ascii_formatd(digits, sizeof digits, "%.17e", number));
}

static void
write_scalar(GString *text, const InferArray *value)
{
  write_number(text, value->type, infer_array_get_double(value, 0), infer_array_get_int(value, 0));
}

/* The element offset of input @input; "o" where it lies as the output does. */
static void
write_offset(const Writer *self, guint input)
{
  const InferCudaSpace *space = self->space;
  gboolean same = TRUE, any = FALSE;

  for (gint i = 0; i < space->n; i++)
    same = same && (space->dims[i] == 1 || space->in[input][i] == space->out[i]);
  if (same) {
    g_string_append(self->text, "o");
    return;
  }
  for (gint i = 0; i < space->n; i++)
    if (space->in[input][i] != 0) {
      g_string_append_printf(self->text, "%si[%d] * (idx)%" G_GINT64_FORMAT, any ? " + " : "", i,
                             space->in[input][i]);
      any = TRUE;
    }
  if (!any)
    g_string_append(self->text, "0");
}

static void
write_load(Writer *self, guint input)
{
  const InferBuffer *buffer = &self->prepare->inputs[input];
  const InferCudaSpace *space = self->space;
  gint64 stride = space->vector >= 0 ? space->in[input][space->vector] : 0;
  gint aligned = infer_cuda_aligned(buffer, space->n, space->dims, space->in[input], space->vector);

  if (self->loaded[input])
    return;
  self->loaded[input] = TRUE;
  g_string_append_printf(self->text, "  %s x%u[V];\n", infer_cuda_value_type(buffer->type), input);
  if (infer_buffer_is_inline(self->prepare, input)) {
    g_string_append_printf(self->text, "  for (int k = 0; k < V; k++)\n    x%u[k] = ", input);
    write_scalar(self->text, buffer->value);
    g_string_append(self->text, ";\n");
    return;
  }
  if (stride == 1)
    g_string_append_printf(self->text, "  load<V, %d>(", aligned);
  else
    g_string_append(self->text, stride == 0 ? "  load_same<V>(" : "  load_strided<V>(");
  g_string_append_printf(self->text, "(const %s *)p.p[%u] + (", infer_cuda_type(buffer->type),
                         input);
  write_offset(self, input);
  g_string_append(self->text, ")");
  if (stride != 0 && stride != 1)
    g_string_append_printf(self->text, ", (idx)%" G_GINT64_FORMAT, stride);
  g_string_append_printf(self->text, ", x%u);\n", input);
}

static void
write_operand(const Writer *self, guint at, guint index)
{
  const InferTensor *tensor = self->step->nodes[at]->inputs[index];
  gint node = node_of(self->step, tensor, at);

  if (node == 0 && self->anchored)
    g_string_append(self->text, "a[k]");
  else if (node >= 0)
    g_string_append_printf(self->text, "t%d[k]", node);
  else
    g_string_append_printf(self->text, "x%d[k]", infer_step_find_input(self->step, tensor));
}

/* The name of the function where the operator has several. */
static const char *
function_name(const InferNode *node)
{
  const char *op = infer_node_get_op_name(node);

  if (g_str_equal(op, "Gelu"))
    return g_str_equal(infer_node_get_string(node, "approximate", "none"), "tanh") ? "GeluTanh"
                                                                                   : "GeluErf";
  if (g_str_equal(op, "BitShift"))
    return g_str_equal(infer_node_get_string(node, "direction", ""), "RIGHT") ? "ShiftRight"
                                                                              : "ShiftLeft";
  if (g_str_equal(op, "Mod"))
    return infer_node_get_int(node, "fmod", 0) ? "FMod" : "Mod";
  if (g_str_equal(op, "Equal") && node->inputs[0]->type == INFER_TYPE_BOOL)
    return "EqualBool";
  return g_str_equal(op, "Sum") || g_str_equal(op, "Mean") ? "Add" : op;
}

/* Attributes as further operands, and the bracket that ends them. */
static void
write_attrs(GString *text, const InferNode *node, const Function *function)
{
  for (guint i = 0; i < 2 && function->attrs[i]; i++) {
    gboolean flag = g_str_has_prefix(function->attrs[i], "detect_");
    double value = flag ? infer_node_get_int(node, function->attrs[i], 1) != 0
                        : infer_node_get_float(node, function->attrs[i], function->fallback[i]);

    g_string_append(text, ", ");
    write_number(text, node->inputs[0]->type, value, (gint64)value);
  }
  g_string_append(text, ")");
}

static void
write_call(const Writer *self, guint at, const Function *function)
{
  const InferNode *node = self->step->nodes[at];

  g_string_append_printf(self->text, "op_%s(", function_name(node));
  for (guint i = 0; i < node->n_inputs; i++) {
    g_string_append(self->text, i > 0 ? ", " : "");
    write_operand(self, at, i);
  }
  write_attrs(self->text, node, function);
}

static void
write_fold(const Writer *self, guint at)
{
  const InferNode *node = self->step->nodes[at];

  for (guint i = 1; i < node->n_inputs; i++)
    g_string_append_printf(self->text, "op_%s(", function_name(node));
  for (guint i = 0; i < node->n_inputs; i++) {
    g_string_append(self->text, i > 0 ? ", " : "");
    write_operand(self, at, i);
    g_string_append(self->text, i > 0 ? ")" : "");
  }
}

static void
write_clip(const Writer *self, guint at)
{
  const InferNode *node = self->step->nodes[at];
  gboolean low = node->n_inputs > 1 && node->inputs[1],
           high = node->n_inputs > 2 && node->inputs[2];

  g_string_append_printf(self->text, "%s%s", high ? "clip_high(" : "", low ? "clip_low(" : "");
  write_operand(self, at, 0);
  for (guint i = 1; i <= 2; i++)
    if (i == 1 ? low : high) {
      g_string_append(self->text, ", ");
      write_operand(self, at, i);
      g_string_append(self->text, ")");
    }
}

static void
write_cast(const Writer *self, guint at)
{
  InferType type = self->step->nodes[at]->outputs[0]->type;

  if (type == INFER_TYPE_BOOL)
    g_string_append(self->text, "cast_bool(");
  else if (infer_cuda_is_half(type))
    g_string_append(self->text, type == INFER_TYPE_FLOAT16 ? "cast_half(" : "cast_bf16(");
  else
    g_string_append_printf(self->text, "cast_to<%s>(", infer_cuda_value_type(type));
  write_operand(self, at, 0);
  g_string_append(self->text, ")");
}

static void
write_where(const Writer *self, guint at)
{
  for (guint i = 0; i < 3; i++) {
    g_string_append(self->text, i == 0 ? "" : i == 1 ? " ? " : " : ");
    write_operand(self, at, i);
  }
}

/* Scale, bias, mean, variance. */
static void
write_norm(const Writer *self, guint at)
{
  static const char *const between[] = {"(", " - ", ") * (", " / op_Sqrt(", " + ", ")) + "};
  static const guint order[] = {0, 3, 1, 4};
  const InferNode *node = self->step->nodes[at];
  InferType type = node->inputs[0]->type;

  for (guint i = 0; i < 4; i++) {
    g_string_append(self->text, between[i]);
    write_operand(self, at, order[i]);
  }
  g_string_append(self->text, between[4]);
  write_number(self->text, type, infer_node_get_float(node, "epsilon", 1e-5), 0);
  g_string_append(self->text, between[5]);
  write_operand(self, at, 2);
}

static void
write_node(Writer *self, guint at)
{
  const InferNode *node = self->step->nodes[at];
  const Function *function = find_function(node);

  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] && node_of(self->step, node->inputs[i], at) < 0)
      write_load(self, (guint)infer_step_find_input(self->step, node->inputs[i]));
  g_string_append_printf(self->text,
                         "  %s t%u[V];\n#pragma unroll\n  for (int k = 0; k < V; k++)\n"
                         "    t%u[k] = ",
                         infer_cuda_value_type(node->outputs[0]->type), at, at);
  switch (function->form) {
  case FORM_FOLD:
    write_fold(self, at);
    break;
  case FORM_MEAN:
    g_string_append(self->text, "(");
    write_fold(self, at);
    g_string_append_printf(self->text, ") / %u", node->n_inputs);
    break;
  case FORM_CLIP:
    write_clip(self, at);
    break;
  case FORM_CAST:
    write_cast(self, at);
    break;
  case FORM_WHERE:
    write_where(self, at);
    break;
  case FORM_NORM:
    write_norm(self, at);
    break;
  default:
    write_call(self, at, function);
  }
  g_string_append(self->text, ";\n");
}

gboolean
infer_cuda_chain_append(GString *source, const InferPrepare *prepare, gboolean anchored,
                        const InferCudaSpace *space, GError **error)
{
  const InferStep *step = prepare->step;
  InferType type = step->outputs[0]->type;
  Writer writer = {source, prepare, step, space, anchored, {FALSE}};

  if (!infer_cuda_chain_supports(step, anchored))
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "its nodes are not functions of elements");
  infer_cuda_define_text(source, "OUT_T", infer_cuda_type(type));
  infer_cuda_define_text(source, "OUT_V", infer_cuda_value_type(type));
  g_string_append_printf(source,
                         "template <int V, class A> INLINE void chain(const Params &p, idx o, "
                         "const idx (&i)[%d], const A (&a)[V], OUT_V (&r)[V])\n{\n",
                         space->n);
  for (guint i = anchored ? 1 : 0; i < step->n_nodes; i++)
    write_node(&writer, i);
  g_string_append(source, "#pragma unroll\n  for (int k = 0; k < V; k++)\n    r[k] = ");
  if (anchored && step->n_nodes == 1)
    g_string_append(source, "(OUT_V)a[k];\n}\n");
  else
    g_string_append_printf(source, "t%u[k];\n}\n", step->n_nodes - 1);
  return TRUE;
}

/* --- functions of one number --- */

gboolean
infer_cuda_unary_supports(const InferNode *node)
{
  const Function *function = find_function(node);
  double bound;

  if (!function || node->n_inputs < 1 || node->n_outputs != 1 || !node->inputs[0] ||
      node->inputs[0]->value || !infer_cuda_is_data(node->inputs[0]->type) ||
      !infer_cuda_is_data(node->outputs[0]->type))
    return FALSE;
  if (function->form == FORM_CLIP) {
    for (guint i = 1; i < node->n_inputs; i++)
      if (node->inputs[i] && !infer_cuda_scalar(node->inputs[i], &bound))
        return FALSE;
    return TRUE;
  }
  return function->form == FORM_SAME && node->n_inputs == 1;
}

void
infer_cuda_unary_append(GString *source, const char *name, InferNode *const *nodes, guint n)
{
  static const char *const clips[] = {"", "clip_low", "clip_high"};

  g_string_append_printf(source, "INLINE float %s(float x)\n{\n", name);
  for (guint i = 0; i < n; i++) {
    const Function *function = find_function(nodes[i]);

    for (guint k = 1; function->form == FORM_CLIP && k < MIN(nodes[i]->n_inputs, 3); k++)
      if (nodes[i]->inputs[k]) {
        g_string_append_printf(source, "  x = %s(x, ", clips[k]);
        write_scalar(source, nodes[i]->inputs[k]->value);
        g_string_append(source, ");\n");
      }
    if (function->form == FORM_CLIP)
      continue;
    g_string_append_printf(source, "  x = op_%s(x", function_name(nodes[i]));
    write_attrs(source, nodes[i], function);
    g_string_append(source, ";\n");
  }
  g_string_append(source, "  return x;\n}\n");
}
