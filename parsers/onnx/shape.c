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

const OnnxRule onnx_rules_shape[] = {
    {"Squeeze", 13, axes_input},
    {"Unsqueeze", 13, axes_input},
    {"Reshape", 5, reshape_input},
    {"Slice", 10, slice_inputs},
    {"Pad", 11, pad_inputs},
    {"Split", 13, split_input},
    {"Split", 18, split_count},
    {"TopK", 10, topk_input},
    {"Concat", 4, concat_axis},
    {"Tile", 6, tile_axis},
    {"Scatter", 0, scatter},
    {"DFT", 20, dft_axis},
    {NULL, 0, NULL},
};
