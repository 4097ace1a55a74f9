/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Constants, and operators that only pass values on. */

static InferArray *
array_of_numbers(const InferOnnx__Attr *attr, InferType type, gboolean list, GError **error)
{
  gboolean real = type == INFER_TYPE_FLOAT;
  gsize n = !list ? 1 : real ? attr->n_floats : attr->n_ints;
  InferDims dims = list ? INFER_DIMS((gint64)n) : INFER_DIMS_SCALAR;
  InferArray *array = infer_array_new(type, &dims, error);

  for (gsize i = 0; array && i < n; i++) {
    if (real) {
      ((float *)array->data)[i] = list ? attr->floats[i] : attr->f;
    } else {
      ((gint64 *)array->data)[i] = list ? attr->ints[i] : attr->i;
    }
  }
  return array;
}

static InferArray *
constant_array(OnnxImport *im, const OnnxCall *call, GError **error)
{
  static const struct {
    const char *name;
    InferType type;
    gboolean list;
  } kinds[] = {
      {"value_float", INFER_TYPE_FLOAT, FALSE},
      {"value_floats", INFER_TYPE_FLOAT, TRUE},
      {"value_int", INFER_TYPE_INT64, FALSE},
      {"value_ints", INFER_TYPE_INT64, TRUE},
  };
  const InferOnnx__Attr *attr = onnx_attr(call, "value");

  if (attr && attr->t) {
    InferArray *array = onnx_array(im, attr->t, error);
    return array ? infer_array_ref(array) : NULL;
  }
  attr = onnx_attr(call, "sparse_value");
  if (attr && attr->sparse_tensor) {
    InferArray *array = onnx_array_sparse(im, attr->sparse_tensor, error);
    return array ? infer_array_ref(array) : NULL;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
    attr = onnx_attr(call, kinds[i].name);
    if (attr) {
      return array_of_numbers(attr, kinds[i].type, kinds[i].list, error);
    }
  }
  onnx_error(error, INFER_ERROR_UNSUPPORTED,
             onnx_has(call, "value_string") || onnx_has(call, "value_strings")
                 ? "strings are not supported"
                 : "the constant has no value");
  return NULL;
}

static gboolean
constant(OnnxImport *im, OnnxCall *call, GError **error)
{
  g_autoptr(InferArray) array = constant_array(im, call, error);

  return array && onnx_out(im, call, 0, onnx_const(im, call, NULL, array));
}

static gboolean
constant_of_shape(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOnnx__Attr *attr = onnx_attr(call, "value");
  if (!attr || !attr->t) {
    return TRUE;
  }
  InferArray *array = onnx_array(im, attr->t, error);
  if (!array) {
    return FALSE;
  }
  if (infer_array_count(array) != 1) {
    return onnx_error(error, INFER_ERROR_MODEL, "the value has to be one element");
  }
  InferTensor *shape = onnx_require(call, 0, error);
  if (!shape) {
    return FALSE;
  }
  gboolean narrow = array->type == INFER_TYPE_FLOAT16 || array->type == INFER_TYPE_BFLOAT16;
  gboolean real = narrow || array->type == INFER_TYPE_FLOAT || array->type == INFER_TYPE_DOUBLE;
  onnx_set_int(call, "dtype", narrow ? INFER_TYPE_FLOAT : (gint64)array->type);
  if (real) {
    g_variant_dict_insert(call->dict, "value", "d", infer_array_get_double(array, 0));
  } else {
    onnx_set_int(call, "int_value", infer_array_get_int(array, 0));
  }
  if (!narrow) {
    return TRUE;
  }
  InferTensor *filled =
      onnx_add1(im, call, "float", "ConstantOfShape", g_variant_dict_end(call->dict), shape, error);
  GVariant *attrs = infer_attrs_new("to", 'i', (gint64)array->type, NULL);
  return filled && onnx_out(im, call, 0, onnx_add1(im, call, NULL, "Cast", attrs, filled, error));
}

/* A value passes through: sequences and optionals as they are. */
static gboolean
identity(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = call->values->len == 1 ? call->values->pdata[0] : NULL;

  if (!value) {
    return onnx_error(error, INFER_ERROR_MODEL, "it has to have one input");
  }
  if (value->kind != ONNX_TENSOR || value->tensor->value) {
    call->out[0] = value;
    call->done = TRUE;
  }
  return TRUE;
}

/* --- optionals --- */

/* Whether the engine alone knows if there is a value. */
static gboolean
is_open(const OnnxValue *value)
{
  return value && value->kind == ONNX_TENSOR && (value->tensor->kind & INFER_KIND_OPTIONAL);
}

static gboolean
optional(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = call->values->len ? call->values->pdata[0] : NULL;
  const InferOnnx__Attr *attr = onnx_attr(call, "type");
  OnnxSpec spec;

  if (!value) {
    value = onnx_value(im, ONNX_NOTHING, NULL);
    if (attr && onnx_spec_of_type(attr->tp, &spec)) {
      value->type = spec.type;
      value->sequence = spec.kind == INFER_KIND_SEQUENCE;
    }
  }
  call->out[0] = value;
  call->done = TRUE;
  return TRUE;
}

static gboolean
optional_has_element(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = call->values->len ? call->values->pdata[0] : NULL;
  double has = value && value->kind != ONNX_NOTHING ? 1 : 0;

  return is_open(value) ||
         onnx_out(im, call, 0, onnx_const_scalar(im, call, NULL, INFER_TYPE_BOOL, has));
}

static gboolean
optional_get_element(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = call->values->len ? call->values->pdata[0] : NULL;

  if (!value || value->kind == ONNX_NOTHING) {
    return onnx_error(error, INFER_ERROR_MODEL, "the optional has no value");
  }
  if (is_open(value)) {
    return TRUE;
  }
  call->out[0] = value;
  call->done = TRUE;
  return TRUE;
}

const OnnxRule onnx_rules_constant[] = {
    {"Constant", 0, constant},
    {"ConstantOfShape", 0, constant_of_shape},
    {"Identity", 0, identity},
    {"Optional", 0, optional},
    {"OptionalHasElement", 0, optional_has_element},
    {"OptionalGetElement", 0, optional_get_element},
    {NULL, 0, NULL},
};
