/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Upsample, and what Resize was before it had coordinates and sizes. */

/* Opset 10 and before: pixel x reads x / scale, rounded as whole scales have it. */
static gboolean
as_asymmetric(OnnxImport *im, OnnxCall *call, InferTensor *scales)
{
  g_autofree char *mode = onnx_string(call, "mode", "nearest");
  g_autoptr(InferArray) known = parsers_known(scales);
  gboolean smaller = FALSE;

  for (gsize i = 0; known && i < (gsize)infer_array_count(known); i++) {
    smaller = smaller || infer_array_get_double(known, i) < 1;
  }
  call->op = "Resize";
  g_ptr_array_set_size(call->in, 1);
  onnx_set_string(call, "mode", g_str_equal(mode, "bilinear") ? "linear" : mode);
  onnx_set_string(call, "coordinate_transformation_mode", "asymmetric");
  onnx_set_string(call, "nearest_mode", smaller ? "ceil" : "floor");
  onnx_set_in(call, 1, NULL);
  onnx_set_in(call, 2, scales);
  return TRUE;
}

static InferTensor *
float_list(OnnxImport *im, const OnnxCall *call, const double *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS((gint64)n), NULL);

  for (gsize i = 0; array && i < n; i++) {
    ((float *)array->data)[i] = (float)values[i];
  }
  return array ? onnx_const(im, call, "scales", array) : NULL;
}

static InferTensor *
scales_attr(OnnxImport *im, OnnxCall *call)
{
  g_autoptr(GVariant) list =
      g_variant_dict_lookup_value(call->dict, "scales", G_VARIANT_TYPE("ad"));
  InferTensor *scales = NULL;

  if (list) {
    gsize n = 0;
    const double *values = g_variant_get_fixed_array(list, &n, sizeof *values);
    scales = float_list(im, call, values, n);
  } else if (onnx_has(call, "width_scale") && onnx_has(call, "height_scale")) {
    const double values[] = {1, 1, onnx_float(call, "height_scale", 1),
                             onnx_float(call, "width_scale", 1)};
    scales = float_list(im, call, values, 4);
  }
  onnx_drop(call, "scales");
  onnx_drop(call, "width_scale");
  onnx_drop(call, "height_scale");
  return scales;
}

static gboolean
upsample(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *scales = call->opset < 9 ? scales_attr(im, call) : onnx_in(call, 1);

  return scales ? as_asymmetric(im, call, scales)
                : onnx_error(error, INFER_ERROR_MODEL, "it has no scales");
}

static gboolean
resize_10(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *scales = onnx_require(call, 1, error);

  return scales && as_asymmetric(im, call, scales);
}

/* An empty tensor stands for an input that is absent. */
static gboolean
resize_empty(OnnxImport *im, OnnxCall *call, GError **error)
{
  for (guint i = 1; i < call->in->len; i++) {
    InferTensor *input = call->in->pdata[i];
    if (input && infer_dims_count(&input->dims) == 0) {
      call->in->pdata[i] = NULL;
    }
  }
  return TRUE;
}

const OnnxRule onnx_rules_resize[] = {
    /* In this order: what Upsample becomes is no Resize of its own opset. */
    {"Resize", 11, resize_10},
    {"Resize", 0, resize_empty},
    {"Upsample", 0, upsample},
    {NULL, 0, NULL},
};
