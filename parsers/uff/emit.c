/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"

static char *
node_name(UffNode *node)
{
  g_autofree char *valid = g_utf8_make_valid(node->def->id, -1);
  guint number = node->n_nodes++;

  return number ? g_strdup_printf("%s/%u", valid, number) : g_steal_pointer(&valid);
}

InferTensor *
uff_add(UffImport *im, UffNode *node, const char *op, GVariant *attrs, InferTensor *const *inputs,
        guint n_inputs, GError **error)
{
  g_autofree char *name = node_name(node);
  InferNode *added =
      infer_network_add_node(im->network, op, name, inputs, n_inputs, attrs, 1, error);

  return added ? added->outputs[0] : NULL;
}

InferTensor *
uff_add1(UffImport *im, UffNode *node, const char *op, GVariant *attrs, InferTensor *input,
         GError **error)
{
  if (!input) {
    g_clear_pointer(&attrs, g_variant_unref);
    return NULL;
  }
  return uff_add(im, node, op, attrs, &input, 1, error);
}

InferTensor *
uff_add2(UffImport *im, UffNode *node, const char *op, GVariant *attrs, InferTensor *a,
         InferTensor *b, GError **error)
{
  if (!a || !b) {
    g_clear_pointer(&attrs, g_variant_unref);
    return NULL;
  }
  return uff_add(im, node, op, attrs, (InferTensor *[]){a, b}, 2, error);
}

InferTensor *
uff_list(UffImport *im, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(im->network, NULL, array);
}

InferTensor *
uff_float(UffImport *im, double value)
{
  g_autoptr(InferArray) array = infer_array_new_float((float)value);

  return infer_network_add_constant(im->network, NULL, array);
}

InferTensor *
uff_to_int64(UffImport *im, UffNode *node, InferTensor *tensor, GError **error)
{
  if (!tensor || tensor->type == INFER_TYPE_INT64) {
    return tensor;
  }
  if (tensor->value && infer_type_is_integer(tensor->type)) {
    g_autoptr(InferArray) wide = infer_array_new(INFER_TYPE_INT64, &tensor->value->dims, error);
    for (gint64 i = 0; wide && i < infer_array_count(wide); i++) {
      ((gint64 *)wide->data)[i] = infer_array_get_int(tensor->value, (gsize)i);
    }
    return wide ? infer_network_add_constant(im->network, NULL, wide) : NULL;
  }
  return uff_add1(im, node, "Cast", infer_attrs_new("to", 'i', (gint64)INFER_TYPE_INT64, NULL),
                  tensor, error);
}

gint
uff_const_ints(UffImport *im, UffNode *node, guint index, gint64 *values, gint max, GError **error)
{
  InferTensor *tensor = uff_in(im, node, index, error);
  gint64 n = tensor && tensor->value ? infer_array_count(tensor->value) : -1;

  if (!tensor) {
    return -1;
  }
  if (n < 0 || n > max) {
    uff_error(error, INFER_ERROR_UNSUPPORTED, "'%s' is not a constant of at most %d integers",
              node->inputs[index]->def->id, max);
    return -1;
  }
  for (gint64 i = 0; i < n; i++) {
    values[i] = infer_array_get_int(tensor->value, (gsize)i);
  }
  return (gint)n;
}

/* The dimension that stands last moved to the second place, or back. */
static InferTensor *
move_channels(UffImport *im, UffNode *node, InferTensor *tensor, gboolean forth, GError **error)
{
  gint rank = tensor->dims.n;
  gint64 order[INFER_MAX_DIMS];

  if (rank < 3) {
    uff_error(error, INFER_ERROR_SHAPE, "'%s' has %d dimensions and is no image", tensor->name,
              rank);
    return NULL;
  }
  for (gint i = 0; i < rank; i++) {
    order[i] = i == 0 ? 0 : forth ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
  }
  return uff_add1(im, node, "Transpose", infer_attrs_new("perm", 'I', order, (gsize)rank, NULL),
                  tensor, error);
}

InferTensor *
uff_out_plain(UffImport *im, UffNode *node, GError **error)
{
  if (!node->plain && node->nchw) {
    node->plain = move_channels(im, node, node->nchw, FALSE, error);
  } else if (!node->plain) {
    uff_error(error, INFER_ERROR_MODEL, "'%s' puts nothing out", node->def->id);
  }
  return node->plain;
}

static UffNode *
source(const UffNode *node, guint index, GError **error)
{
  if (index < node->n_inputs) {
    return node->inputs[index];
  }
  uff_error(error, INFER_ERROR_MODEL, "it has no input %u", index);
  return NULL;
}

InferTensor *
uff_in(UffImport *im, UffNode *node, guint index, GError **error)
{
  UffNode *from = source(node, index, error);

  return from ? uff_out_plain(im, from, error) : NULL;
}

InferTensor *
uff_in_nchw(UffImport *im, UffNode *node, guint index, GError **error)
{
  UffNode *from = source(node, index, error);

  if (from && !from->nchw && from->plain) {
    from->nchw = move_channels(im, from, from->plain, TRUE, error);
  } else if (from && !from->nchw) {
    uff_error(error, INFER_ERROR_MODEL, "'%s' puts nothing out", from->def->id);
  }
  return from ? from->nchw : NULL;
}

gboolean
uff_out(UffNode *node, InferTensor *tensor, gboolean nchw)
{
  if (nchw) {
    node->nchw = tensor;
  } else {
    node->plain = tensor;
  }
  return tensor != NULL;
}

gint
uff_rank(const UffNode *node, guint index)
{
  const UffNode *from = index < node->n_inputs ? node->inputs[index] : NULL;
  const InferTensor *tensor = from ? from->plain ? from->plain : from->nchw : NULL;

  return tensor ? tensor->dims.n : -1;
}
