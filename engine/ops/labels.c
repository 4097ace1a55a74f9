/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/labels.h"

#include "ops/convert.h"
#include "ops/data.h"
#include "ops/order.h"

/* One list of keys and one of values; the others are NULL. */
typedef struct {
  GStrv string_keys, string_values;
  const gint64 *int_keys, *int_values;
  const double *float_keys, *float_values;
  gsize n;
} Labels;

static void
labels_clear(Labels *labels)
{
  g_strfreev(labels->string_keys);
  g_strfreev(labels->string_values);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Labels, labels_clear)

gboolean
infer_labels_concern(const InferNode *node)
{
  return infer_node_has_attr(node, "keys_strings") || infer_node_has_attr(node, "values_strings") ||
         infer_node_has_attr(node, "dtype");
}

static gboolean
labels_read(const InferNode *node, Labels *labels, GError **error)
{
  gsize keys[3] = {0}, values[3] = {0};

  labels->string_keys = infer_op_strings(node, "keys_strings", &keys[0]);
  labels->int_keys = infer_node_get_ints(node, "keys_int64s", &keys[1]);
  labels->float_keys = infer_node_get_floats(node, "keys_floats", &keys[2]);
  labels->string_values = infer_op_strings(node, "values_strings", &values[0]);
  labels->int_values = infer_node_get_ints(node, "values_int64s", &values[1]);
  labels->float_values = infer_node_get_floats(node, "values_floats", &values[2]);
  labels->n = keys[0] + keys[1] + keys[2];
  if (values[0] + values[1] + values[2] != labels->n ||
      MAX(MAX(keys[0], keys[1]), keys[2]) != labels->n ||
      MAX(MAX(values[0], values[1]), values[2]) != labels->n || labels->n == 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "one list of keys and one of values are needed, of the same length");
  labels->int_keys = keys[1] ? labels->int_keys : NULL;
  labels->float_keys = keys[2] ? labels->float_keys : NULL;
  if (!keys[0])
    g_clear_pointer(&labels->string_keys, g_strfreev);
  if (!values[0])
    g_clear_pointer(&labels->string_values, g_strfreev);
  labels->int_values = values[1] ? labels->int_values : NULL;
  labels->float_values = values[2] ? labels->float_values : NULL;
  return TRUE;
}

static gboolean
check_input(const InferShapeArgs *args, const Labels *labels, GError **error)
{
  if (labels->string_keys)
    return infer_op_require_type(args, 0, error, INFER_TYPE_STRING, INFER_TYPE_UNDEFINED);
  if (labels->int_keys)
    return infer_op_require_type(args, 0, error, INFER_TYPE_INT64, INFER_TYPE_INT32,
                                 INFER_TYPE_INT16, INFER_TYPE_UNDEFINED);
  return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_UNDEFINED);
}

gboolean
infer_labels_infer(InferShapeArgs *args, GError **error)
{
  g_auto(Labels) labels = {0};
  gint64 type;

  if (!labels_read(args->node, &labels, error) || !check_input(args, &labels, error))
    return FALSE;
  type = infer_node_get_int(args->node, "dtype",
                            labels.string_values ? INFER_TYPE_STRING
                            : labels.int_values  ? INFER_TYPE_INT64
                                                 : INFER_TYPE_FLOAT);
  if ((type == INFER_TYPE_STRING) != (labels.string_values != NULL) || type < 0 ||
      (type != INFER_TYPE_STRING && type != INFER_TYPE_FLOAT && type != INFER_TYPE_DOUBLE &&
       !infer_type_is_integer((InferType)type)))
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "dtype=%" G_GINT64_FORMAT " is not a type of the values", type);
  return data_set(args, 0, (InferType)type, &args->in[0].dims, error);
}

/* Keys as what infer_order_key() makes of elements. Of equal keys the last one counts. */
static GHashTable *
make_table(const Labels *labels, gboolean single)
{
  GHashTable *table = labels->string_keys
                          ? g_hash_table_new(g_str_hash, g_str_equal)
                          : g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

  for (gsize i = 0; i < labels->n; i++) {
    gpointer index = GSIZE_TO_POINTER(i + 1);

    if (labels->string_keys) {
      g_hash_table_insert(table, labels->string_keys[i], index);
    } else {
      double key = labels->float_keys ? labels->float_keys[i] : 0;
      guint64 *order = g_new(guint64, 1);

      *order = labels->int_keys ? infer_order_int(labels->int_keys[i])
                                : infer_order_double(single ? (double)(float)key : key);
      g_hash_table_replace(table, order, index);
    }
  }
  return table;
}

static void
store_label(const InferNode *node, const Labels *labels, gsize index, InferArray *out, gsize i)
{
  if (labels->string_values)
    infer_array_set_string(out, i,
                           index ? labels->string_values[index - 1]
                                 : infer_node_get_string(node, "default_string", "_Unused"));
  else if (labels->int_values && out->type == INFER_TYPE_INT64)
    ((gint64 *)out->data)[i] =
        index ? labels->int_values[index - 1] : infer_node_get_int(node, "default_int64", -1);
  else if (labels->int_values)
    infer_array_set_double(out, i,
                           (double)(index ? labels->int_values[index - 1]
                                          : infer_node_get_int(node, "default_int64", -1)));
  else
    infer_store_double(out, (gint64)i,
                       index ? labels->float_values[index - 1]
                             : infer_node_get_float(node, "default_float", -0.0));
}

gboolean
infer_labels_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  g_autoptr(GHashTable) table = NULL;
  g_auto(Labels) labels = {0};

  if (!labels_read(args->node, &labels, error))
    return FALSE;
  table = make_table(&labels, in->type == INFER_TYPE_FLOAT);
  for (gint64 i = 0; i < infer_array_count(in); i++) {
    guint64 order = labels.string_keys ? 0 : infer_order_key(in, i);
    gconstpointer key =
        labels.string_keys ? (gconstpointer)infer_array_get_string(in, (gsize)i) : &order;

    store_label(args->node, &labels, GPOINTER_TO_SIZE(g_hash_table_lookup(table, key)),
                args->out[0], (gsize)i);
  }
  return TRUE;
}
