/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <math.h>

/*
 * Attention and its companions that are written out as other operators: FlexAttention with its
 * subgraphs, and the convolution with a memory of state space models. Numbers of 16 bits are
 * computed as floats, which is what these operators ask for.
 */

static gboolean
is_narrow(InferType type)
{
  return type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16;
}

static InferTensor *
cast(OnnxImport *im, const OnnxCall *call, const char *suffix, InferTensor *x, InferType type,
     GError **error)
{
  return !x || x->type == type
             ? x
             : onnx_add1(im, call, suffix, "Cast", infer_attrs_new("to", 'i', (gint64)type, NULL),
                         x, error);
}

static InferType
wide_type(InferType type)
{
  return is_narrow(type) ? INFER_TYPE_FLOAT : type;
}

/* Makes floats of all inputs of 16 bits. Returns: FALSE with an error. */
static gboolean
widen(OnnxImport *im, OnnxCall *call, GError **error)
{
  for (guint i = 0; i < call->in->len; i++) {
    InferTensor *input = call->in->pdata[i];
    g_autofree char *suffix = g_strdup_printf("wide.%u", i);
    if (input && is_narrow(input->type)) {
      input = call->in->pdata[i] = cast(im, call, suffix, input, INFER_TYPE_FLOAT, error);
      if (!input) {
        return FALSE;
      }
    }
  }
  return TRUE;
}

/* --- LinearAttention --- */

static gboolean
linear_attention(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *q = onnx_require(call, 0, error), *past = onnx_in(call, 3);
  InferTensor *outputs[2] = {NULL, NULL};
  guint n = MAX(1, MIN(call->n_outputs, 2));

  if (!q) {
    return FALSE;
  }
  InferType types[2] = {q->type, past ? past->type : q->type};
  if (!is_narrow(types[0]) && !is_narrow(types[1])) {
    return TRUE;
  }
  if (!widen(im, call, error) ||
      !onnx_add_n(im, call, "wide", call->op, g_variant_dict_end(call->dict),
                  (InferTensor *const *)call->in->pdata, call->in->len, outputs, n, error)) {
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    if (!onnx_out(im, call, i, cast(im, call, i ? "state" : NULL, outputs[i], types[i], error))) {
      return FALSE;
    }
  }
  return TRUE;
}

/* --- CausalConvWithState --- */

static InferTensor *
with_past(OnnxImport *im, const OnnxCall *call, InferTensor *x, InferTensor *past, gint64 before,
          GError **error)
{
  const gint64 pads[] = {0, 0, before, 0, 0, 0};

  if (past) {
    return onnx_add2(im, call, "history", "Concat", infer_attrs_new("axis", 'i', (gint64)2, NULL),
                     past, x, error);
  }
  return onnx_add2(im, call, "history", "Pad", NULL, x, onnx_const_ints(im, call, "pads", pads, 6),
                   error);
}

/* The last steps of the history, which the next call begins with. */
static InferTensor *
last_steps(OnnxImport *im, const OnnxCall *call, InferTensor *history, gint64 n, GError **error)
{
  const gint64 start = n > 0 ? -n : G_MAXINT64, end = G_MAXINT64, axis = 2;
  InferTensor *inputs[] = {history, onnx_const_ints(im, call, "start", &start, 1),
                           onnx_const_ints(im, call, "end", &end, 1),
                           onnx_const_ints(im, call, "axis", &axis, 1)};

  return onnx_add(im, call, "state", "Slice", NULL, inputs, 4, error);
}

static gboolean
check_activation(const OnnxCall *call, gboolean *swish, GError **error)
{
  g_autofree char *name = onnx_string(call, "activation", "none");

  *swish = g_str_equal(name, "silu") || g_str_equal(name, "swish");
  return *swish || g_str_equal(name, "none") ||
         onnx_error(error, INFER_ERROR_UNSUPPORTED, "the activation '%s' is not known", name);
}

static gboolean
causal_conv(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error), *w = x ? onnx_require(call, 1, error) : NULL;
  gboolean swish = FALSE;

  if (!w || !check_activation(call, &swish, error)) {
    return FALSE;
  }
  if (w->dims.n != 3 || w->dims.d[0] < 1 || w->dims.d[2] < 1) {
    return onnx_error(error, INFER_ERROR_SHAPE,
                      "the weights must be three dimensions of known sizes");
  }
  InferType type = x->type;
  gint64 channels = w->dims.d[0], before = w->dims.d[2] - 1;
  if (!widen(im, call, error)) {
    return FALSE;
  }
  InferTensor *history = with_past(im, call, onnx_in(call, 0), onnx_in(call, 3), before, error);
  InferTensor *inputs[] = {history, onnx_in(call, 1), onnx_in(call, 2)};
  InferTensor *y =
      history ? onnx_add(im, call, "conv", "Conv", infer_attrs_new("group", 'i', channels, NULL),
                         inputs, inputs[2] ? 3 : 2, error)
              : NULL;
  y = y && swish ? onnx_add1(im, call, "swish", "Swish", NULL, y, error) : y;
  InferTensor *state = y ? last_steps(im, call, history, before, error) : NULL;
  return state && onnx_out(im, call, 0, cast(im, call, "narrow", y, type, error)) &&
         onnx_out(im, call, 1, cast(im, call, "state/narrow", state, type, error));
}

/* --- FlexAttention --- */

typedef struct {
  gint64 heads, groups, size;
  InferType type, precision;
  double scale;
} Flex;

static gboolean
read_flex(const OnnxCall *call, const InferTensor *q, const InferTensor *k, Flex *flex,
          GError **error)
{
  if (q->dims.n != 4 || k->dims.n != 4 || q->dims.d[1] < 1 || k->dims.d[1] < 1 ||
      q->dims.d[1] % k->dims.d[1]) {
    return onnx_error(error, INFER_ERROR_SHAPE,
                      "four dimensions, and query heads that are a multiple of the key heads, are "
                      "needed");
  }
  flex->heads = q->dims.d[1];
  flex->groups = q->dims.d[1] / k->dims.d[1];
  flex->size = MAX(q->dims.d[3], k->dims.d[3]);
  flex->type = q->type;
  if (flex->size < 1 && !onnx_has(call, "scale")) {
    return onnx_error(error, INFER_ERROR_SHAPE, "the size of a head is not known");
  }
  flex->scale = onnx_float(call, "scale", 1 / sqrt((double)MAX(flex->size, 1)));
  gint64 fallback = q->type == INFER_TYPE_DOUBLE ? INFER_TYPE_DOUBLE : INFER_TYPE_FLOAT;
  flex->precision = onnx_type(onnx_int(call, "softmax_precision", fallback));
  return flex->precision == INFER_TYPE_FLOAT || flex->precision == INFER_TYPE_DOUBLE ||
         is_narrow(flex->precision) ||
         onnx_error(error, INFER_ERROR_UNSUPPORTED, "softmax_precision is not a type of reals");
}

/* Heads that are shared are repeated, one for each query head. */
static InferTensor *
repeat_heads(OnnxImport *im, const OnnxCall *call, const char *name, const Flex *flex,
             InferTensor *x, GError **error)
{
  const gint64 axis = 2, repeats[] = {1, 1, flex->groups, 1, 1};
  const gint64 shape[] = {0, flex->heads, -1, x->dims.d[3]};
  g_autofree char *tile = g_strdup_printf("%s/tile", name);
  g_autofree char *apart = g_strdup_printf("%s/apart", name);

  if (flex->groups == 1) {
    return x;
  }
  if (x->dims.d[3] < 1) {
    onnx_error(error, INFER_ERROR_SHAPE, "the size of a head is not known");
    return NULL;
  }
  InferTensor *y = onnx_unsqueeze(im, call, apart, x, &axis, 1, error);
  y = y ? onnx_add2(im, call, tile, "Tile", NULL, y,
                    onnx_const_ints(im, call, "repeats", repeats, 5), error)
        : NULL;
  return y ? onnx_add2(im, call, name, "Reshape", NULL, y,
                       onnx_const_ints(im, call, "shape", shape, 4), error)
           : NULL;
}

/* The subgraph @name on @x, of the precision that was asked for; @x where there is none. */
static InferTensor *
modify(OnnxImport *im, const OnnxCall *call, const char *name, const Flex *flex, InferTensor *x,
       GError **error)
{
  const InferOnnx__Attr *attr = onnx_attr(call, name);
  g_autofree char *to = g_strdup_printf("%s/in", name);

  if (!x || !attr) {
    return x;
  }
  const InferOnnx__Graph *graph = onnx_attr_graph(call, name, error);
  InferTensor *input = graph ? cast(im, call, to, x, flex->precision, error) : NULL;
  if (!input) {
    return NULL;
  }
  OnnxValue *value = onnx_value(im, ONNX_TENSOR, input);
  g_autoptr(GPtrArray) outputs = onnx_inline(im, call, graph, name, &value, 1, error);
  if (!outputs) {
    return NULL;
  }
  const OnnxValue *result = outputs->len == 1 ? outputs->pdata[0] : NULL;
  if (result && result->kind == ONNX_FAILED) {
    return NULL;
  }
  if (!result || result->kind != ONNX_TENSOR) {
    onnx_error(error, INFER_ERROR_MODEL, "%s must give one tensor", name);
    return NULL;
  }
  return result->tensor;
}

static InferTensor *
scaled_scores(OnnxImport *im, const OnnxCall *call, const Flex *flex, InferTensor *q,
              InferTensor *k, GError **error)
{
  const gint64 swap[] = {0, 1, 3, 2};
  GVariant *perm = infer_attrs_new("perm", 'I', swap, (gsize)4, NULL);
  InferTensor *turned = onnx_add1(im, call, "k/transposed", "Transpose", perm, k, error);
  InferTensor *scores = turned ? onnx_add2(im, call, "qk", "MatMul", NULL, q, turned, error) : NULL;

  return scores ? onnx_add2(im, call, "scores", "Mul", NULL, scores,
                            onnx_const_scalar(im, call, "scale", q->type, flex->scale), error)
                : NULL;
}

static gboolean
flex_attention(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *q = onnx_require(call, 0, error), *k = q ? onnx_require(call, 1, error) : NULL;
  InferTensor *v = k ? onnx_require(call, 2, error) : NULL;
  Flex flex = {0};

  if (!v || !read_flex(call, q, k, &flex, error)) {
    return FALSE;
  }
  InferType wide = flex.precision == INFER_TYPE_DOUBLE ? INFER_TYPE_DOUBLE : wide_type(flex.type);
  q = cast(im, call, "q/wide", q, wide, error);
  k = q ? cast(im, call, "k/wide", k, wide, error) : NULL;
  v = k ? cast(im, call, "v/wide", v, wide, error) : NULL;
  k = v ? repeat_heads(im, call, "k", &flex, k, error) : NULL;
  v = k ? repeat_heads(im, call, "v", &flex, v, error) : NULL;
  InferTensor *x = v ? scaled_scores(im, call, &flex, q, k, error) : NULL;
  x = modify(im, call, "score_mod", &flex, x, error);
  x = x ? cast(im, call, "scores/wide", x, wide, error) : NULL;
  x = x ? onnx_add1(im, call, "probabilities", "Softmax",
                    infer_attrs_new("axis", 'i', (gint64)-1, NULL), x, error)
        : NULL;
  x = modify(im, call, "prob_mod", &flex, x, error);
  x = x ? cast(im, call, "probabilities/wide", x, wide, error) : NULL;
  x = x ? onnx_add2(im, call, "wide", "MatMul", NULL, x, v, error) : NULL;
  return x && onnx_out(im, call, 0, cast(im, call, NULL, x, flex.type, error));
}

const OnnxRule onnx_rules_attention[] = {
    {"LinearAttention", 0, linear_attention},
    {"CausalConvWithState", 0, causal_conv},
    {NULL, 0, NULL},
};

const OnnxRule onnx_rules_preview[] = {
    {"FlexAttention", 0, flex_attention},
    {NULL, 0, NULL},
};
