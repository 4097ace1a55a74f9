/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Older versions of operators on shapes: what was an attribute is an input now. */

static gboolean
move_ints(OnnxImport *im, OnnxCall *call, const char *name, guint index)
{
  gsize n = 0;
  g_autofree gint64 *values = onnx_ints(call, name, &n);

  if (values) {
    onnx_set_in(call, index, onnx_const_ints(im, call, name, values, n));
    onnx_drop(call, name);
  }
  return TRUE;
}

static gboolean
axes_input(OnnxImport *im, OnnxCall *call, GError **error)
{
  return move_ints(im, call, "axes", 1);
}

static gboolean
reshape_input(OnnxImport *im, OnnxCall *call, GError **error)
{
  return move_ints(im, call, "shape", 1);
}

static gboolean
slice_inputs(OnnxImport *im, OnnxCall *call, GError **error)
{
  return move_ints(im, call, "starts", 1) && move_ints(im, call, "ends", 2) &&
         move_ints(im, call, "axes", 3);
}

static gboolean
pad_inputs(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);

  if (!x) {
    return FALSE;
  }
  move_ints(im, call, "paddings", 1);
  move_ints(im, call, "pads", 1);
  if (onnx_has(call, "value")) {
    onnx_set_in(call, 2,
                onnx_const_scalar(im, call, "value", x->type, onnx_float(call, "value", 0)));
    onnx_drop(call, "value");
  }
  return TRUE;
}

static gboolean
split_input(OnnxImport *im, OnnxCall *call, GError **error)
{
  return move_ints(im, call, "split", 1);
}

static gboolean
split_count(OnnxImport *im, OnnxCall *call, GError **error)
{
  if (!onnx_in(call, 1) && !onnx_has(call, "num_outputs")) {
    onnx_set_int(call, "num_outputs", call->n_outputs);
  }
  return TRUE;
}

static gboolean
topk_input(OnnxImport *im, OnnxCall *call, GError **error)
{
  if (onnx_has(call, "k")) {
    const gint64 k = onnx_int(call, "k", 0);
    onnx_set_in(call, 1, onnx_const_ints(im, call, "k", &k, 1));
    onnx_drop(call, "k");
  }
  return TRUE;
}

static gboolean
concat_axis(OnnxImport *im, OnnxCall *call, GError **error)
{
  onnx_set_int(call, "axis", onnx_int(call, "axis", 1));
  return TRUE;
}

/* Opset 5 and before: so many tiles of one axis. */
static gboolean
tile_axis(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);
  InferTensor *tiles = onnx_in(call, 1), *axis = onnx_in(call, 2);
  g_autoptr(InferArray) n = tiles ? parsers_known(tiles) : NULL;
  g_autoptr(InferArray) at = axis ? parsers_known(axis) : NULL;
  gint64 repeats[INFER_MAX_DIMS] = {1, 1, 1, 1, 1, 1, 1, 1};

  if (!x || !n || !at || infer_array_count(n) != 1 || infer_array_count(at) != 1 || x->dims.n < 1) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "tiles and axis have to be constants, and the rank known");
  }
  gint64 index = infer_array_get_int(at, 0);
  if (index < 0 || index >= x->dims.n) {
    return onnx_error(error, INFER_ERROR_SHAPE, "the axis does not fit %d dimensions", x->dims.n);
  }
  repeats[index] = infer_array_get_int(n, 0);
  g_ptr_array_set_size(call->in, 1);
  onnx_set_in(call, 1, onnx_const_ints(im, call, "repeats", repeats, (gsize)x->dims.n));
  return TRUE;
}

static gboolean
scatter(OnnxImport *im, OnnxCall *call, GError **error)
{
  call->op = "ScatterElements";
  return TRUE;
}

static gboolean
dft_axis(OnnxImport *im, OnnxCall *call, GError **error)
{
  onnx_set_in(
      call, 2,
      onnx_const_scalar(im, call, "axis", INFER_TYPE_INT64, (double)onnx_int(call, "axis", 1)));
  onnx_drop(call, "axis");
  return TRUE;
}

/* --- PyTorch's way to say that a dimension stays --- */

/* Whether all elements of a constant are @value. */
static gboolean
is_all(const InferTensor *tensor, gint64 value)
{
  g_autoptr(InferArray) known = tensor ? parsers_known(tensor) : NULL;
  gint64 n = known && infer_type_is_integer(known->type) ? infer_array_count(known) : 0;

  for (gint64 i = 0; i < n; i++) {
    if (infer_array_get_int(known, (gsize)i) != value) {
      return FALSE;
    }
  }
  return n > 0;
}

/* A dimension, which cannot be -1. */
static gboolean
is_dim(const InferTensor *tensor)
{
  return tensor->has_content && tensor->content.n == 1 && tensor->content.d[0] != INFER_DIM_UNKNOWN;
}

/* The inputs of the Concat that made @shape, -1 replaced by @one. Returns: NULL where it is
 * something else. */
static GPtrArray *
replace_minus(const InferTensor *shape, InferTensor *one)
{
  const InferNode *concat = shape->producer;
  g_autoptr(GPtrArray) parts = g_ptr_array_new();

  /* A vector that is made a vector. */
  if (concat && g_str_equal(infer_node_get_op_name(concat), "Reshape") &&
      concat->inputs[0]->dims.n == 1) {
    concat = concat->inputs[0]->producer;
  }
  if (!concat || !g_str_equal(infer_node_get_op_name(concat), "Concat")) {
    return NULL;
  }
  for (guint i = 0; i < concat->n_inputs; i++) {
    InferTensor *part = concat->inputs[i];
    g_autoptr(InferArray) known = parsers_known(part);
    if (infer_dims_count(&part->dims) != 1 || (!known && !is_dim(part))) {
      return NULL;
    }
    g_ptr_array_add(parts, is_all(part, -1) ? one : part);
  }
  return g_steal_pointer(&parts);
}

/* Where(shape == -1, 1, shape), for an Expand: the numbers of a shape can be followed, comparisons
 * with it cannot. */
static gboolean
where_minus(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *condition = onnx_in(call, 0), *ones = onnx_in(call, 1), *shape = onnx_in(call, 2);
  const InferNode *equal = condition ? condition->producer : NULL;
  const gint64 number = 1;

  if (!equal || !shape || !g_str_equal(infer_node_get_op_name(equal), "Equal") ||
      !is_all(ones, 1) || shape->type != INFER_TYPE_INT64 || shape->dims.n != 1) {
    return TRUE;
  }
  gboolean minus = (equal->inputs[0] == shape && is_all(equal->inputs[1], -1)) ||
                   (equal->inputs[1] == shape && is_all(equal->inputs[0], -1));
  InferTensor *one = minus ? onnx_const_ints(im, call, "one", &number, 1) : NULL;
  g_autoptr(GPtrArray) parts = minus ? replace_minus(shape, one) : NULL;
  if (!parts) {
    return TRUE;
  }
  return onnx_out(im, call, 0,
                  onnx_add(im, call, NULL, "Concat", infer_attrs_new("axis", 'i', (gint64)0, NULL),
                           (InferTensor *const *)parts->pdata, parts->len, error));
}

const OnnxRule onnx_rules_shape[] = {
    {"Where", 0, where_minus},     {"Squeeze", 13, axes_input},
    {"Unsqueeze", 13, axes_input}, {"Reshape", 5, reshape_input},
    {"Slice", 10, slice_inputs},   {"Pad", 11, pad_inputs},
    {"Split", 13, split_input},    {"Split", 18, split_count},
    {"TopK", 10, topk_input},      {"Concat", 4, concat_axis},
    {"Tile", 6, tile_axis},        {"Scatter", 0, scatter},
    {"DFT", 20, dft_axis},         {NULL, 0, NULL},
};
