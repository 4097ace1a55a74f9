/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* The domain ai.onnx.ml. */

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
    gsize n = (gsize)infer_array_count(array);
    gboolean real = infer_type_is_float(array->type);
    g_autofree double *reals = g_new(double, n + 1);
    g_autofree gint64 *ints = g_new(gint64, n + 1);
    for (gsize i = 0; i < n; i++) {
      reals[i] = infer_array_get_double(array, i);
      ints[i] = infer_array_get_int(array, i);
    }
    GVariant *list = g_variant_new_fixed_array(real ? G_VARIANT_TYPE_DOUBLE : G_VARIANT_TYPE_INT64,
                                               real ? (gconstpointer)reals : ints, n, 8);
    g_variant_dict_insert_value(call->dict, name, list);
  }
  return TRUE;
}

const OnnxRule onnx_rules_ml[] = {
    {"TreeEnsemble", 0, tensor_lists},
    {NULL, 0, NULL},
};
