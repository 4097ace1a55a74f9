/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* The domain ai.onnx.ml. */

static GVariant *
number_list(const InferArray *array)
{
  gsize n = (gsize)infer_array_count(array);
  gboolean real = infer_type_is_float(array->type);
  g_autofree double *reals = g_new(double, n + 1);
  g_autofree gint64 *ints = g_new(gint64, n + 1);

  for (gsize i = 0; i < n; i++) {
    reals[i] = infer_array_get_double(array, i);
    ints[i] = infer_array_get_int(array, i);
  }
  return g_variant_new_fixed_array(real ? G_VARIANT_TYPE_DOUBLE : G_VARIANT_TYPE_INT64,
                                   real ? (gconstpointer)reals : ints, n, 8);
}

/* Lists that newer operators have as tensors. */
static gboolean
tensor_lists(OnnxImport *im, OnnxCall *call, GError **error)
{
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init(&iter, call->attrs);
  while (g_hash_table_iter_next(&iter, &name, &value)) {
    const InferOnnx__Attr *attr = value;
    if (!attr->t) {
      continue;
    }
    InferArray *array = onnx_array(im, attr->t, error);
    if (!array) {
      return FALSE;
    }
    g_variant_dict_insert_value(call->dict, name, number_list(array));
  }
  return TRUE;
}

static GVariant *
string_list(const InferArray *array)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (gsize i = 0; i < (gsize)infer_array_count(array); i++) {
    g_variant_builder_add_value(
        &builder, g_variant_new_take_string(onnx_valid(infer_array_get_string(array, i))));
  }
  return g_variant_builder_end(&builder);
}

/* keys_tensor and values_tensor become lists of their types, default_tensor a number or string. */
static gboolean
label_tensor(OnnxImport *im, OnnxCall *call, const char *prefix, InferType *type, GError **error)
{
  g_autofree char *tensor = g_strconcat(prefix, "_tensor", NULL);
  const InferOnnx__Attr *attr = onnx_attr(call, tensor);

  if (!attr || !attr->t) {
    return TRUE;
  }
  InferArray *array = onnx_array(im, attr->t, error);
  if (!array) {
    return FALSE;
  }
  gboolean one = g_str_equal(prefix, "default");
  gsize n = (gsize)infer_array_count(array);
  if (one && n != 1) {
    return onnx_error(error, INFER_ERROR_MODEL, "default_tensor has to be one element");
  }
  *type = array->type;
  gboolean string = array->type == INFER_TYPE_STRING, real = infer_type_is_float(array->type);
  const char *kind = string ? "string" : real ? "float" : "int64";
  g_autofree char *name = g_strdup_printf("%s_%s%s", prefix, kind, one ? "" : "s");
  GVariant *value = NULL;
  if (string) {
    g_autofree char *text = onnx_valid(infer_array_get_string(array, 0));
    value = one ? g_variant_new_string(text) : string_list(array);
  } else if (one) {
    value = real ? g_variant_new_double(infer_array_get_double(array, 0))
                 : g_variant_new_int64(infer_array_get_int(array, 0));
  } else {
    value = number_list(array);
  }
  g_variant_dict_insert_value(call->dict, name, value);
  return TRUE;
}

static gboolean
label_encoder(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferType keys = INFER_TYPE_UNDEFINED, values = INFER_TYPE_UNDEFINED,
            fallback = INFER_TYPE_UNDEFINED;

  if (!label_tensor(im, call, "keys", &keys, error) ||
      !label_tensor(im, call, "values", &values, error) ||
      !label_tensor(im, call, "default", &fallback, error)) {
    return FALSE;
  }
  if (values != INFER_TYPE_UNDEFINED) {
    onnx_set_int(call, "dtype", (gint64)values);
  }
  return TRUE;
}

const OnnxRule onnx_rules_ml[] = {
    {"TreeEnsemble", 0, tensor_lists},
    {"LabelEncoder", 0, label_encoder},
    {NULL, 0, NULL},
};
