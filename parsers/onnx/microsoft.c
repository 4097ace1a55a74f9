/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* The operators of com.microsoft that runtimes' optimizers leave in models. */

static InferTensor *
add_optional(OnnxImport *im, const OnnxCall *call, const char *suffix, InferTensor *a,
             InferTensor *b, GError **error)
{
  return a && b ? onnx_add2(im, call, suffix, "Add", NULL, a, b, error) : a;
}

static gboolean
gelu(OnnxImport *im, OnnxCall *call, GError **error)
{
  const char *kind = g_str_equal(call->op, "FastGelu") ? "tanh" : "none";
  InferTensor *x = onnx_require(call, 0, error);

  x = add_optional(im, call, "bias", x, onnx_in(call, 1), error);
  return x && onnx_out(im, call, 0,
                       onnx_add1(im, call, NULL, "Gelu",
                                 infer_attrs_new("approximate", 's', kind, NULL), x, error));
}

static gboolean
quick_gelu(OnnxImport *im, OnnxCall *call, GError **error)
{
  g_variant_dict_insert(call->dict, "alpha", "d", onnx_float(call, "alpha", 1.702));
  call->op = "Swish";
  return TRUE;
}

/* --- activations inside of other operators --- */

static InferTensor *
clip(OnnxImport *im, const OnnxCall *call, InferTensor *x, const double *params, gsize n,
     GError **error)
{
  InferTensor *inputs[3] = {x, NULL, NULL};

  for (gsize i = 0; i < MIN(n, 2); i++) {
    inputs[i + 1] = onnx_const_scalar(im, call, "bound", x->type, params[i]);
  }
  return onnx_add(im, call, NULL, "Clip", NULL, inputs, 3, error);
}

static InferTensor *
activate(OnnxImport *im, OnnxCall *call, InferTensor *x, GError **error)
{
  static const char *const plain[] = {"Relu", "Tanh", "Sigmoid", NULL};
  g_autofree char *name = onnx_string(call, "activation", "");
  g_autoptr(GVariant) list =
      g_variant_dict_lookup_value(call->dict, "activation_params", G_VARIANT_TYPE("ad"));
  gsize n = 0;
  const double *params = list ? g_variant_get_fixed_array(list, &n, sizeof *params) : NULL;

  if (!name[0]) {
    return x;
  }
  if (g_strv_contains(plain, name)) {
    return onnx_add1(im, call, NULL, name, NULL, x, error);
  }
  if (g_str_equal(name, "Clip")) {
    return clip(im, call, x, params, n, error);
  }
  if (g_str_equal(name, "LeakyRelu")) {
    double alpha = n > 0 ? params[0] : onnx_float(call, "leaky_relu_alpha", 0.01);
    return onnx_add1(im, call, NULL, name, infer_attrs_new("alpha", 'f', alpha, NULL), x, error);
  }
  if (g_str_equal(name, "HardSigmoid")) {
    double alpha = n > 0 ? params[0] : 0.2, beta = n > 1 ? params[1] : 0.5;
    return onnx_add1(im, call, NULL, name,
                     infer_attrs_new("alpha", 'f', alpha, "beta", 'f', beta, NULL), x, error);
  }
  onnx_error(error, INFER_ERROR_UNSUPPORTED, "the activation '%s' is not supported", name);
  return NULL;
}

/* The attributes of the operator itself; those of its activation stay with the call. */
static GVariant *
attrs_without_activation(OnnxCall *call)
{
  g_autoptr(GVariant) all = g_variant_ref_sink(g_variant_dict_end(call->dict));
  g_autoptr(GVariantDict) kept = g_variant_dict_new(all);

  g_variant_dict_unref(call->dict);
  call->dict = g_variant_dict_new(all);
  g_variant_dict_remove(kept, "activation");
  g_variant_dict_remove(kept, "activation_params");
  g_variant_dict_remove(kept, "leaky_relu_alpha");
  return g_variant_dict_end(kept);
}

static gboolean
fused_conv(OnnxImport *im, OnnxCall *call, GError **error)
{
  GVariant *attrs = attrs_without_activation(call);
  guint n = onnx_in(call, 2) ? 3 : 2;

  if (call->in->len < 2) {
    g_variant_unref(g_variant_ref_sink(attrs));
    return onnx_error(error, INFER_ERROR_MODEL, "it has no weights");
  }
  InferTensor *x =
      onnx_add(im, call, "conv", "Conv", attrs, (InferTensor *const *)call->in->pdata, n, error);
  x = add_optional(im, call, "sum", x, onnx_in(call, 3), error);
  return x && onnx_out(im, call, 0, activate(im, call, x, error));
}

static gboolean
fused_gemm(OnnxImport *im, OnnxCall *call, GError **error)
{
  GVariant *attrs = attrs_without_activation(call);
  InferTensor *x = onnx_add(im, call, "gemm", "Gemm", attrs, (InferTensor *const *)call->in->pdata,
                            call->in->len, error);

  return x && onnx_out(im, call, 0, activate(im, call, x, error));
}

/* --- products --- */

static InferTensor *
swap_last(OnnxImport *im, const OnnxCall *call, InferTensor *x, GError **error)
{
  gint64 perm[INFER_MAX_DIMS];
  gint n = x->dims.n;

  if (n < 2) {
    onnx_error(error, INFER_ERROR_SHAPE, "a matrix has to have at least 2 dimensions, it has %d",
               n);
    return NULL;
  }
  for (gint i = 0; i < n; i++) {
    perm[i] = i < n - 2 ? i : 2 * n - 3 - i;
  }
  return onnx_add1(im, call, "transposed", "Transpose",
                   infer_attrs_new("perm", 'I', perm, (gsize)n, NULL), x, error);
}

static gboolean
fused_matmul(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *a = onnx_require(call, 0, error), *b = a ? onnx_require(call, 1, error) : NULL;
  double alpha = onnx_float(call, "alpha", 1);

  if (!b) {
    return FALSE;
  }
  if (onnx_int(call, "transBatchA", 0) || onnx_int(call, "transBatchB", 0)) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "transBatchA and B are not supported");
  }
  a = onnx_int(call, "transA", 0) && a->dims.n != 1 ? swap_last(im, call, a, error) : a;
  b = a && onnx_int(call, "transB", 0) && b->dims.n != 1 ? swap_last(im, call, b, error) : b;
  if (!a || !b) {
    return FALSE;
  }
  gboolean scaled = alpha < 1 || alpha > 1;
  InferTensor *c = onnx_add2(im, call, scaled ? "product" : NULL, "MatMul", NULL, a, b, error);
  if (c && scaled) {
    InferTensor *factor = onnx_const_scalar(im, call, "alpha", c->type, alpha);
    c = onnx_add2(im, call, NULL, "Mul", NULL, c, factor, error);
  }
  return onnx_out(im, call, 0, c);
}

/* --- quantized operators: the operator between its neighbours' conversions --- */

static InferTensor *
dequantized(OnnxImport *im, const OnnxCall *call, guint index, GError **error)
{
  InferTensor *inputs[3] = {onnx_require(call, index, error), onnx_in(call, index + 1),
                            onnx_in(call, index + 2)};

  return inputs[0] ? onnx_add(im, call, "real", "DequantizeLinear", NULL, inputs, inputs[2] ? 3 : 2,
                              error)
                   : NULL;
}

static gboolean
quantized_out(OnnxImport *im, OnnxCall *call, InferTensor *x, guint index, GError **error)
{
  InferTensor *inputs[3] = {x, onnx_in(call, index), onnx_in(call, index + 1)};

  return x && onnx_out(im, call, 0,
                       onnx_add(im, call, NULL, "QuantizeLinear", NULL, inputs, inputs[2] ? 3 : 2,
                                error));
}

static gboolean
qlinear_binary(OnnxImport *im, OnnxCall *call, GError **error)
{
  const char *op = call->op + strlen("QLinear");
  InferTensor *a = dequantized(im, call, 0, error);
  InferTensor *b = a ? dequantized(im, call, 3, error) : NULL;

  return b &&
         quantized_out(im, call, onnx_add2(im, call, "result", op, NULL, a, b, error), 6, error);
}

static gboolean
qlinear_unary(OnnxImport *im, OnnxCall *call, GError **error)
{
  const char *op = call->op + strlen("QLinear");

  if (onnx_int(call, "channels_last", 0)) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "channels_last is not supported");
  }
  onnx_drop(call, "channels_last");
  InferTensor *x = dequantized(im, call, 0, error);
  return x &&
         quantized_out(im, call,
                       onnx_add1(im, call, "result", op, g_variant_dict_end(call->dict), x, error),
                       3, error);
}

static gboolean
qlinear_concat(OnnxImport *im, OnnxCall *call, GError **error)
{
  guint n = call->in->len < 2 ? 0 : (call->in->len - 2) / 3;
  g_autofree InferTensor **parts = g_new0(InferTensor *, n + 1);

  if (n == 0 || call->in->len != 2 + 3 * n) {
    return onnx_error(error, INFER_ERROR_MODEL, "%u inputs are not 2 and 3 for each tensor",
                      call->in->len);
  }
  for (guint i = 0; i < n; i++) {
    parts[i] = dequantized(im, call, 2 + 3 * i, error);
    if (!parts[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', onnx_int(call, "axis", 0), NULL);
  return quantized_out(im, call, onnx_add(im, call, "result", "Concat", attrs, parts, n, error), 0,
                       error);
}

/* --- normalizations --- */

/* The sum is the fourth output, which the next block adds to. */
static gboolean
skip_normalization(OnnxImport *im, OnnxCall *call, GError **error)
{
  gboolean simple = g_str_equal(call->op, "SkipSimplifiedLayerNormalization");
  InferTensor *x = onnx_require(call, 0, error), *skip = x ? onnx_require(call, 1, error) : NULL;
  InferTensor *gamma = skip ? onnx_require(call, 2, error) : NULL;
  InferTensor *inputs[3] = {NULL, gamma, simple ? NULL : onnx_in(call, 3)};

  if (!gamma) {
    return FALSE;
  }
  x = onnx_add2(im, call, "sum", "Add", NULL, x, skip, error);
  inputs[0] = x = add_optional(im, call, "bias", x, onnx_in(call, simple ? 3 : 4), error);
  if (!x) {
    return FALSE;
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)-1, "epsilon", 'f',
                                    onnx_float(call, "epsilon", 1e-12), NULL);
  InferTensor *y = onnx_add(im, call, NULL, simple ? "RMSNormalization" : "LayerNormalization",
                            attrs, inputs, inputs[2] ? 3 : 2, error);
  onnx_out(im, call, 3, x);
  return onnx_out(im, call, 0, y);
}

/* Operators that are ONNX's under the same or another name. */
static gboolean
same(OnnxImport *im, OnnxCall *call, GError **error)
{
  if (g_str_equal(call->op, "SimplifiedLayerNormalization")) {
    call->op = "RMSNormalization";
  }
  return TRUE;
}

const OnnxRule onnx_rules_microsoft[] = {
    {"Gelu", 0, gelu},
    {"BiasGelu", 0, gelu},
    {"FastGelu", 0, gelu},
    {"QuickGelu", 0, quick_gelu},
    {"FusedConv", 0, fused_conv},
    {"FusedGemm", 0, fused_gemm},
    {"FusedMatMul", 0, fused_matmul},
    {"QLinearAdd", 0, qlinear_binary},
    {"QLinearMul", 0, qlinear_binary},
    {"QLinearSigmoid", 0, qlinear_unary},
    {"QLinearLeakyRelu", 0, qlinear_unary},
    {"QLinearAveragePool", 0, qlinear_unary},
    {"QLinearGlobalAveragePool", 0, qlinear_unary},
    {"QLinearConcat", 0, qlinear_concat},
    {"SkipLayerNormalization", 0, skip_normalization},
    {"SkipSimplifiedLayerNormalization", 0, skip_normalization},
    {"LayerNormalization", 0, same},
    {"SimplifiedLayerNormalization", 0, same},
    {"QuantizeLinear", 0, same},
    {"DequantizeLinear", 0, same},
    {NULL, 0, NULL},
};
