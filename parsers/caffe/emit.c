/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <op.h>

#include <string.h>

/* Priors and shapes are computed while parsing; but a small file must not make a large
 * computation. */
#define MAX_FOLD ((gsize)64 << 20)
#define MAX_FOLD_ALL ((gsize)512 << 20)

static char *
node_name(CaffeLayer *layer)
{
  const char *name = layer->def->name && layer->def->name[0] ? layer->def->name : layer->def->type;
  guint number = layer->n_nodes++;

  return number ? g_strdup_printf("%s/%u", name, number) : g_strdup(name);
}

static gboolean
foldable(const char *op)
{
  static const char *const ops[] = {
      "Reshape", "Concat", "Slice",      "Split", "Squeeze", "Transpose", "Add",       "Mul", "Sub",
      "Div",     "Sqrt",   "Reciprocal", "Neg",   "Tile",    "Cast",      "Unsqueeze", "Pow", NULL};
  return g_strv_contains(ops, op);
}

static gboolean
fold(CaffeImport *im, const char *name, const char *op, GVariant *attrs, InferTensor *const *inputs,
     guint n_inputs, InferTensor **outputs, guint n_outputs)
{
  g_autoptr(InferNetwork) side = NULL;
  g_autoptr(GPtrArray) tensors = g_ptr_array_new();
  gsize size = 0;

  if (!foldable(op)) {
    return FALSE;
  }
  for (guint i = 0; i < n_inputs; i++) {
    if (!inputs[i] || !inputs[i]->value) {
      return FALSE;
    }
  }
  side = infer_network_new();
  for (guint i = 0; i < n_inputs; i++) {
    g_ptr_array_add(tensors, infer_network_add_constant(side, NULL, inputs[i]->value));
  }
  InferNode *node = infer_network_add_node(side, op, name, (InferTensor *const *)tensors->pdata,
                                           n_inputs, attrs, n_outputs, NULL);
  for (guint i = 0; node && i < n_outputs; i++) {
    gint64 count = infer_dims_count(&node->outputs[i]->dims);
    gsize bytes = count < 0 ? MAX_FOLD + 1 : infer_type_size(node->outputs[i]->type, count);
    if (bytes > MAX_FOLD) {
      return FALSE;
    }
    size += bytes;
  }
  if (!node || size > MAX_FOLD_ALL - im->folded) {
    return FALSE;
  }
  im->folded += size;
  g_autofree const InferArray **in = g_new0(const InferArray *, n_inputs);
  g_autofree InferArray **out = g_new0(InferArray *, n_outputs);
  for (guint i = 0; i < n_inputs; i++) {
    in[i] = inputs[i]->value;
  }
  if (!infer_op_eval_alloc(node, in, n_inputs, out, n_outputs, NULL)) {
    return FALSE;
  }
  for (guint i = 0; i < n_outputs; i++) {
    outputs[i] = infer_network_add_constant(im->network, name, out[i]);
    infer_array_unref(out[i]);
  }
  return TRUE;
}

gboolean
caffe_add_n(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs,
            InferTensor *const *inputs, guint n_inputs, InferTensor **outputs, guint n_outputs,
            GError **error)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;
  g_autofree char *name = node_name(layer);

  if (fold(im, name, op, owned, inputs, n_inputs, outputs, n_outputs)) {
    return TRUE;
  }
  InferNode *node =
      infer_network_add_node(im->network, op, name, inputs, n_inputs, owned, n_outputs, error);
  if (!node) {
    return FALSE;
  }
  memcpy(outputs, node->outputs, sizeof(InferTensor *) * n_outputs);
  return TRUE;
}

InferTensor *
caffe_add(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs,
          InferTensor *const *inputs, guint n_inputs, GError **error)
{
  InferTensor *output = NULL;

  return caffe_add_n(im, layer, op, attrs, inputs, n_inputs, &output, 1, error) ? output : NULL;
}

InferTensor *
caffe_add1(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs, InferTensor *input,
           GError **error)
{
  if (!input) {
    g_clear_pointer(&attrs, g_variant_unref);
    return NULL;
  }
  return caffe_add(im, layer, op, attrs, &input, 1, error);
}

InferTensor *
caffe_add2(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs, InferTensor *a,
           InferTensor *b, GError **error)
{
  if (!a || !b) {
    g_clear_pointer(&attrs, g_variant_unref);
    return NULL;
  }
  return caffe_add(im, layer, op, attrs, (InferTensor *[]){a, b}, 2, error);
}

InferTensor *
caffe_ints(CaffeImport *im, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(im->network, NULL, array);
}

InferTensor *
caffe_float(CaffeImport *im, double value)
{
  g_autoptr(InferArray) array = infer_array_new_float((float)value);

  return infer_network_add_constant(im->network, NULL, array);
}

InferTensor *
caffe_floats(CaffeImport *im, const float *values, const InferDims *dims)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);

  memcpy(array->data, values, array->size);
  return infer_network_add_constant(im->network, NULL, array);
}

InferTensor *
caffe_reshape(CaffeImport *im, CaffeLayer *layer, InferTensor *input, const gint64 *dims, gsize n,
              GError **error)
{
  return caffe_add2(im, layer, "Reshape", NULL, input, caffe_ints(im, dims, n), error);
}

InferTensor *
caffe_transpose(CaffeImport *im, CaffeLayer *layer, InferTensor *input, const gint64 *order,
                gsize n, GError **error)
{
  return caffe_add1(im, layer, "Transpose", infer_attrs_new("perm", 'I', order, n, NULL), input,
                    error);
}

gboolean
caffe_top(CaffeLayer *layer, guint index, InferTensor *tensor)
{
  if (!tensor || index >= layer->n_out) {
    return FALSE;
  }
  layer->out[index] = tensor;
  return TRUE;
}

gboolean
caffe_arity(const CaffeLayer *layer, guint min_in, guint max_in, guint n_out, GError **error)
{
  if (layer->n_in < min_in || layer->n_in > max_in) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has %u bottoms, %u to %u are needed",
                       layer->n_in, min_in, max_in);
  }
  return layer->n_out == n_out || caffe_error(error, INFER_ERROR_MODEL,
                                              "it has %u tops, %u are needed", layer->n_out, n_out);
}

gboolean
caffe_axis(const InferTensor *tensor, gint64 axis, gint *result, GError **error)
{
  gint rank = tensor->dims.n;

  if (rank < 0) {
    return caffe_error(error, INFER_ERROR_SHAPE, "the number of dimensions is not known");
  }
  if (axis < -rank || axis >= rank) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "axis %" G_GINT64_FORMAT " is not one of %d dimensions", axis, rank);
  }
  *result = (gint)(axis < 0 ? axis + rank : axis);
  return TRUE;
}

gboolean
caffe_image(const CaffeLayer *layer, guint index, GError **error)
{
  const InferDims *dims = &layer->in[index]->dims;

  if (dims->n == 4 && dims->d[1] > 0 && dims->d[2] > 0 && dims->d[3] > 0) {
    return TRUE;
  }
  g_autofree char *text = infer_dims_to_string(dims);
  return caffe_error(error, INFER_ERROR_SHAPE,
                     "bottom %u is %s; four dimensions are needed, the last three known", index,
                     text);
}
