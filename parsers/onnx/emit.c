/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <op.h>

/* Constants are computed while parsing, so that shapes, conditions and trip counts are numbers;
 * but a small file must not make a large computation. */
#define MAX_FOLD ((gsize)16 << 20)
#define MAX_FOLD_ALL ((gsize)512 << 20)

OnnxValue *
onnx_value(OnnxImport *im, OnnxKind kind, InferTensor *tensor)
{
  OnnxValue *value = g_new0(OnnxValue, 1);

  value->kind = kind;
  value->tensor = tensor;
  if (kind == ONNX_SEQUENCE) {
    value->items = g_ptr_array_new();
  }
  g_ptr_array_add(im->arena, value);
  return value;
}

InferTensor *
onnx_in(const OnnxCall *call, guint index)
{
  return index < call->in->len ? call->in->pdata[index] : NULL;
}

void
onnx_set_in(OnnxCall *call, guint index, InferTensor *tensor)
{
  while (call->in->len <= index) {
    g_ptr_array_add(call->in, NULL);
  }
  call->in->pdata[index] = tensor;
}

InferTensor *
onnx_require(const OnnxCall *call, guint index, GError **error)
{
  InferTensor *tensor = onnx_in(call, index);

  if (!tensor) {
    onnx_error(error, INFER_ERROR_MODEL, "input %u is missing", index);
  }
  return tensor;
}

/* Work that is more than its outputs' bytes, numbers that are drawn anew at each run, and the
 * quantization that the engine looks for. */
static gboolean
is_left(const char *op)
{
  static const char *const left[] = {"Conv",
                                     "ConvTranspose",
                                     "DeformConv",
                                     "ConvInteger",
                                     "QLinearConv",
                                     "MatMul",
                                     "MatMulInteger",
                                     "QLinearMatMul",
                                     "Gemm",
                                     "Einsum",
                                     "MaxPool",
                                     "AveragePool",
                                     "LpPool",
                                     "GlobalMaxPool",
                                     "GlobalLpPool",
                                     "TopK",
                                     "GlobalAveragePool",
                                     "Resize",
                                     "LSTM",
                                     "GRU",
                                     "RNN",
                                     "Attention",
                                     "LinearAttention",
                                     "GridSample",
                                     "RoiAlign",
                                     "MaxRoiPool",
                                     "DFT",
                                     "STFT",
                                     "NonMaxSuppression",
                                     "Unique",
                                     "Det",
                                     "Bernoulli",
                                     "Multinomial",
                                     "RandomNormalLike",
                                     "RandomUniformLike",
                                     "Dropout",
                                     "RandomNormal",
                                     "RandomUniform",
                                     "QuantizeLinear",
                                     "DequantizeLinear",
                                     "TreeEnsemble",
                                     "DynamicQuantizeLinear",
                                     NULL};

  return g_strv_contains(left, op);
}

static gboolean
fold_fits(OnnxImport *im, const InferNode *node)
{
  gsize size = 0;

  for (guint i = 0; i < node->n_outputs; i++) {
    gint64 count = infer_dims_count(&node->outputs[i]->dims);
    gsize bytes = count < 0 ? MAX_FOLD + 1 : infer_type_size(node->outputs[i]->type, count);
    if (bytes > MAX_FOLD || infer_type_bits(node->outputs[i]->type) == 0) {
      return FALSE;
    }
    size += bytes;
  }
  if (size > MAX_FOLD_ALL - im->folded) {
    return FALSE;
  }
  im->folded += size;
  return TRUE;
}

static gboolean
all_known(InferTensor *const *inputs, guint n_inputs)
{
  for (guint i = 0; i < n_inputs; i++) {
    if (inputs[i] && !inputs[i]->value && !inputs[i]->has_content) {
      return FALSE;
    }
    if (inputs[i] && inputs[i]->value && inputs[i]->value->size > MAX_FOLD) {
      return FALSE;
    }
  }
  return n_inputs > 0;
}

/* The operator on constants, in a network of its own. */
static InferNode *
side_node(InferNetwork *side, const char *name, const char *op, GVariant *attrs,
          InferTensor *const *inputs, guint n_inputs, guint n_outputs)
{
  g_autofree InferTensor **constants = g_new0(InferTensor *, n_inputs + 1);

  for (guint i = 0; i < n_inputs; i++) {
    g_autoptr(InferArray) array = inputs[i] ? parsers_known(inputs[i]) : NULL;
    if (inputs[i] && !array) {
      return NULL;
    }
    constants[i] = array ? infer_network_add_constant(side, NULL, array) : NULL;
  }
  return infer_network_add_node(side, op, name, constants, n_inputs, attrs, n_outputs, NULL);
}

/* Whether the operator could be computed: then its outputs are constants of the network. */
static gboolean
fold(OnnxImport *im, const char *name, const char *op, GVariant *attrs, InferTensor *const *inputs,
     guint n_inputs, InferTensor **outputs, guint n_outputs)
{
  if (is_left(op) || !all_known(inputs, n_inputs)) {
    return FALSE;
  }
  g_autoptr(InferNetwork) side = infer_network_new();
  InferNode *node = side_node(side, name, op, attrs, inputs, n_inputs, n_outputs);
  if (!node || !fold_fits(im, node)) {
    return FALSE;
  }
  g_autofree const InferArray **in = g_new0(const InferArray *, n_inputs + 1);
  g_autofree InferArray **out = g_new0(InferArray *, n_outputs + 1);
  for (guint i = 0; i < n_inputs; i++) {
    in[i] = node->inputs[i] ? node->inputs[i]->value : NULL;
  }
  if (!infer_op_eval_alloc(node, in, n_inputs, out, n_outputs, NULL)) {
    return FALSE;
  }
  for (guint i = 0; i < n_outputs; i++) {
    outputs[i] = infer_network_add_constant(im->network, name, out[i]);
    infer_array_unref(out[i]);
  }
  return TRUE;
}

static char *
full_name(const OnnxCall *call, const char *suffix)
{
  return suffix ? g_strdup_printf("%s/%s", call->name, suffix) : g_strdup(call->name);
}

gboolean
onnx_add_n(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op,
           GVariant *attrs, InferTensor *const *inputs, guint n_inputs, InferTensor **outputs,
           guint n_outputs, GError **error)
{
  g_autofree char *name = full_name(call, suffix);
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;

  if (fold(im, name, op, owned, inputs, n_inputs, outputs, n_outputs)) {
    return TRUE;
  }
  InferNode *node =
      infer_network_add_node(im->network, op, name, inputs, n_inputs, owned, n_outputs, error);
  for (guint i = 0; node && i < n_outputs; i++) {
    InferTensor *output = node->outputs[i];
    /* The shape of a tensor of constant dimensions is a constant although the tensor is none. */
    g_autoptr(InferArray) known = parsers_known(output);
    outputs[i] = known ? infer_network_add_constant(im->network, output->name, known) : output;
  }
  return node != NULL;
}

InferTensor *
onnx_add(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op, GVariant *attrs,
         InferTensor *const *inputs, guint n_inputs, GError **error)
{
  InferTensor *output = NULL;

  return onnx_add_n(im, call, suffix, op, attrs, inputs, n_inputs, &output, 1, error) ? output
                                                                                      : NULL;
}

InferTensor *
onnx_add1(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op, GVariant *attrs,
          InferTensor *input, GError **error)
{
  return onnx_add(im, call, suffix, op, attrs, &input, 1, error);
}

InferTensor *
onnx_add2(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op, GVariant *attrs,
          InferTensor *a, InferTensor *b, GError **error)
{
  return onnx_add(im, call, suffix, op, attrs, (InferTensor *[]){a, b}, 2, error);
}

InferTensor *
onnx_const(OnnxImport *im, const OnnxCall *call, const char *suffix, InferArray *array)
{
  g_autofree char *name = full_name(call, suffix);

  return infer_network_add_constant(im->network, name, array);
}

InferTensor *
onnx_const_ints(OnnxImport *im, const OnnxCall *call, const char *suffix, const gint64 *values,
                gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return onnx_const(im, call, suffix, array);
}

InferTensor *
onnx_const_scalar(OnnxImport *im, const OnnxCall *call, const char *suffix, InferType type,
                  double value)
{
  g_autoptr(InferArray) array = infer_array_new(type, &INFER_DIMS_SCALAR, NULL);

  infer_array_set_double(array, 0, value);
  return onnx_const(im, call, suffix, array);
}

InferTensor *
onnx_unsqueeze(OnnxImport *im, const OnnxCall *call, const char *suffix, InferTensor *input,
               const gint64 *axes, gsize n, GError **error)
{
  if (n == 0) {
    return input;
  }
  InferTensor *list = onnx_const_ints(im, call, "axes", axes, n);
  return onnx_add2(im, call, suffix, "Unsqueeze", NULL, input, list, error);
}

gboolean
onnx_out(OnnxImport *im, OnnxCall *call, guint index, InferTensor *tensor)
{
  call->done = TRUE;
  if (tensor && index < call->n_outputs) {
    call->out[index] = onnx_value(im, ONNX_TENSOR, tensor);
  }
  return tensor != NULL;
}
