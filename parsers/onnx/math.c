/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Older versions of pointwise operators, reductions, softmax and products. */

/* Opset 6 and before: the second operand's dimensions stand at an axis of the first's. */
static gboolean
broadcast_at_axis(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *a = onnx_require(call, 0, error), *b = a ? onnx_require(call, 1, error) : NULL;
  gboolean has_axis = onnx_has(call, "axis");
  gint64 axis = onnx_int(call, "axis", 0);
  gint64 axes[INFER_MAX_DIMS];
  gsize n = 0;

  onnx_drop(call, "broadcast");
  onnx_drop(call, "axis");
  if (!b) {
    return FALSE;
  }
  if (!has_axis || b->dims.n == 0) {
    return TRUE;
  }
  if (a->dims.n < 0 || b->dims.n < 0) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the ranks are not known, which a broadcast at an axis needs");
  }
  axis += axis < 0 ? a->dims.n : 0;
  if (axis < 0 || axis + b->dims.n > a->dims.n) {
    return onnx_error(error, INFER_ERROR_SHAPE,
                      "%d dimensions at axis %" G_GINT64_FORMAT " do not fit into %d", b->dims.n,
                      axis, a->dims.n);
  }
  for (gint64 i = axis + b->dims.n; i < a->dims.n; i++) {
    axes[n] = b->dims.n + (gint64)n;
    n++;
  }
  InferTensor *spread = onnx_unsqueeze(im, call, "broadcast", b, axes, n, error);
  onnx_set_in(call, 1, spread);
  return spread != NULL;
}

/* Opset 6 and before: one slope a channel. */
static gboolean
prelu_slope(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_in(call, 0), *slope = onnx_in(call, 1);
  gint64 axes[INFER_MAX_DIMS] = {1, 2, 3, 4, 5, 6, 7, 8};

  if (!x || !slope || slope->dims.n != 1 || x->dims.n < 3 || slope->dims.d[0] == 1) {
    return TRUE;
  }
  InferTensor *spread = onnx_unsqueeze(im, call, "slope", slope, axes, (gsize)x->dims.n - 2, error);
  onnx_set_in(call, 1, spread);
  return spread != NULL;
}

static gboolean
gemm_broadcast(OnnxImport *im, OnnxCall *call, GError **error)
{
  onnx_drop(call, "broadcast");
  return TRUE;
}

static gboolean
move_scalar(OnnxImport *im, OnnxCall *call, const char *name, guint index, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);

  if (!x) {
    return FALSE;
  }
  if (onnx_has(call, name)) {
    onnx_set_in(call, index, onnx_const_scalar(im, call, name, x->type, onnx_float(call, name, 0)));
    onnx_drop(call, name);
  }
  return TRUE;
}

static gboolean
clip_bounds(OnnxImport *im, OnnxCall *call, GError **error)
{
  return move_scalar(im, call, "min", 1, error) && move_scalar(im, call, "max", 2, error);
}

static gboolean
selu_defaults(OnnxImport *im, OnnxCall *call, GError **error)
{
  g_variant_dict_insert(call->dict, "alpha", "d", onnx_float(call, "alpha", 1.6732));
  g_variant_dict_insert(call->dict, "gamma", "d", onnx_float(call, "gamma", 1.0507));
  return TRUE;
}

static gboolean
cast_name(OnnxImport *im, OnnxCall *call, GError **error)
{
  static const char *const names[] = {
      "UNDEFINED", "FLOAT", "UINT8",   "INT8",   "UINT16", "INT16",  "INT32",     "INT64",
      "STRING",    "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128"};
  g_autofree char *text = onnx_string(call, "to", NULL);

  if (!text) {
    return TRUE;
  }
  for (guint i = 1; i < G_N_ELEMENTS(names); i++) {
    if (g_ascii_strcasecmp(text, names[i]) == 0) {
      onnx_set_int(call, "to", i);
      return TRUE;
    }
  }
  return onnx_error(error, INFER_ERROR_MODEL, "the type '%s' does not exist", text);
}

static gboolean
reduce_axes(OnnxImport *im, OnnxCall *call, GError **error)
{
  gsize n = 0;
  g_autofree gint64 *axes = onnx_ints(call, "axes", &n);

  if (axes) {
    onnx_set_in(call, 1, onnx_const_ints(im, call, "axes", axes, n));
    onnx_drop(call, "axes");
  }
  return TRUE;
}

/* --- opset 12 and before: softmax over all dimensions from an axis on --- */

static gboolean
rest_is_one(const InferTensor *x, gint64 axis)
{
  for (gint64 i = axis + 1; i < x->dims.n; i++) {
    if (x->dims.d[i] != 1) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
softmax_flat(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);
  gint64 axis = onnx_int(call, "axis", 1);

  if (!x) {
    return FALSE;
  }
  if (x->dims.n < 0) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the rank is not known, which this version needs");
  }
  axis += axis < 0 ? x->dims.n : 0;
  onnx_set_int(call, "axis", axis);
  if (axis < 0 || axis > x->dims.n) {
    return onnx_error(error, INFER_ERROR_SHAPE, "the axis does not fit %d dimensions", x->dims.n);
  }
  if (axis < x->dims.n && rest_is_one(x, axis)) {
    return TRUE;
  }
  InferTensor *shape = onnx_add1(im, call, "shape", "Shape", NULL, x, error);
  InferTensor *flat = shape ? onnx_add1(im, call, "flat", "Flatten",
                                        infer_attrs_new("axis", 'i', axis, NULL), x, error)
                            : NULL;
  InferTensor *soft = flat ? onnx_add1(im, call, "flat/result", call->op,
                                       infer_attrs_new("axis", 'i', (gint64)1, NULL), flat, error)
                           : NULL;
  return soft &&
         onnx_out(im, call, 0, onnx_add2(im, call, NULL, "Reshape", NULL, soft, shape, error));
}

const OnnxRule onnx_rules_math[] = {
    {"Add", 7, broadcast_at_axis},        {"Sub", 7, broadcast_at_axis},
    {"Mul", 7, broadcast_at_axis},        {"Div", 7, broadcast_at_axis},
    {"Pow", 7, broadcast_at_axis},        {"And", 7, broadcast_at_axis},
    {"Or", 7, broadcast_at_axis},         {"Xor", 7, broadcast_at_axis},
    {"Equal", 7, broadcast_at_axis},      {"Greater", 7, broadcast_at_axis},
    {"Less", 7, broadcast_at_axis},       {"PRelu", 7, prelu_slope},
    {"Gemm", 7, gemm_broadcast},          {"Clip", 11, clip_bounds},
    {"Selu", 6, selu_defaults},           {"Cast", 6, cast_name},
    {"ReduceSum", 13, reduce_axes},       {"ReduceMean", 18, reduce_axes},
    {"ReduceMax", 18, reduce_axes},       {"ReduceMin", 18, reduce_axes},
    {"ReduceProd", 18, reduce_axes},      {"ReduceL1", 18, reduce_axes},
    {"ReduceL2", 18, reduce_axes},        {"ReduceLogSum", 18, reduce_axes},
    {"ReduceLogSumExp", 18, reduce_axes}, {"ReduceSumSquare", 18, reduce_axes},
    {"Softmax", 13, softmax_flat},        {"LogSoftmax", 13, softmax_flat},
    {"Hardmax", 13, softmax_flat},        {NULL, 0, NULL},
};
