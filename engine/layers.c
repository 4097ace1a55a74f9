/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

#include <stdarg.h>
#include <string.h>

void
infer_layer_begin(InferLayer *layer)
{
  layer->failed = layer->error && *layer->error;
  if (layer->name && *layer->name)
    return;
  g_snprintf(layer->made_up, sizeof layer->made_up, "%s_%u", layer->kind,
             infer_network_get_n_nodes(layer->network));
  g_strdelimit(layer->made_up, " ", '_');
  layer->name = layer->made_up;
}

gboolean
infer_layer_error(InferLayer *layer, InferError code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  if (layer->failed)
    return FALSE;
  layer->failed = TRUE;
  va_start(args, format);
  message = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(layer->error, INFER_ERROR, (gint)code, "layer '%s' (%s): %s", layer->name,
              layer->kind, message);
  return FALSE;
}

gboolean
infer_layer_allows(InferLayer *layer, const InferTensor *tensor)
{
  if (!tensor || tensor->network == layer->network)
    return TRUE;
  return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "tensor '%s' is of another network",
                           tensor->name);
}

gboolean
infer_layer_needs(InferLayer *layer, ...)
{
  const InferTensor *tensor;
  gboolean good = !layer->failed;
  va_list args;

  va_start(args, layer);
  for (guint i = 0; good && (tensor = va_arg(args, InferTensor *)) != INFER_LAYER_END; i++) {
    if (tensor)
      good = infer_layer_allows(layer, tensor);
    else
      good = infer_layer_error(layer, INFER_ERROR_ARGUMENT, "input %u is missing", i);
  }
  va_end(args);
  return good;
}

gboolean
infer_layer_choice(InferLayer *layer, const char *what, int value, gsize n)
{
  if (value >= 0 && (gsize)value < n)
    return TRUE;
  return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "%s %d is not known", what, value);
}

gboolean
infer_layer_list(InferLayer *layer, const char *what, const InferDims *list, gint n)
{
  if (!list)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "%s is missing", what);
  if (list->n < 0 || list->n > INFER_MAX_DIMS)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "%s has %d numbers, 0 to %d can be", what,
                             list->n, INFER_MAX_DIMS);
  if (n >= 0 && list->n != n)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "%s has %d numbers, %d are needed", what,
                             list->n, n);
  return TRUE;
}

InferDims
infer_layer_list_or(const InferDims *list, gint n, gint64 fallback)
{
  InferDims result = {.n = n};

  if (list)
    return *list;
  for (gint i = 0; i < n; i++)
    result.d[i] = fallback;
  return result;
}

/* @array under other dimensions of as many elements; its memory is shared where it owns it. */
static InferArray *
reshape(InferArray *array, const InferDims *dims, GError **error)
{
  InferArray *result;

  if (array->owner && array->data == g_bytes_get_data(array->owner, NULL) &&
      array->size == g_bytes_get_size(array->owner))
    return infer_array_new_from_bytes(array->type, dims, array->owner, error);
  result = infer_array_new(array->type, dims, error);
  if (result && array->size)
    memcpy(result->data, array->data, array->size);
  return result;
}

InferTensor *
infer_layer_constant(InferLayer *layer, const char *what, InferArray *array, const InferDims *dims)
{
  g_autofree char *part = g_strconcat(layer->name, ".", what, NULL);
  g_autoptr(InferArray) shaped = NULL;

  if (layer->failed)
    return NULL;
  if (!array) {
    infer_layer_error(layer, INFER_ERROR_ARGUMENT, "the %s is missing", what);
    return NULL;
  }
  if (!dims || infer_dims_equal(&array->dims, dims))
    return infer_network_add_constant(layer->network, part, array);
  if (infer_dims_count(dims) != infer_array_count(array)) {
    g_autofree char *have = infer_dims_to_string(&array->dims);
    g_autofree char *want = infer_dims_to_string(dims);
    infer_layer_error(layer, INFER_ERROR_SHAPE, "the %s is %s, %s is needed", what, have, want);
    return NULL;
  }
  shaped = reshape(array, dims, layer->error);
  layer->failed = !shaped;
  return shaped ? infer_network_add_constant(layer->network, part, shaped) : NULL;
}

InferTensor *
infer_layer_ints(InferLayer *layer, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_layer_constant(layer, "list", array, NULL);
}

InferTensor *
infer_layer_list_constant(InferLayer *layer, const InferDims *list)
{
  return infer_layer_ints(layer, list->d, (gsize)list->n);
}

InferTensor *
infer_layer_number(InferLayer *layer, InferType type, double value)
{
  const InferDims scalar = INFER_DIMS_SCALAR;
  g_autoptr(InferArray) array = NULL;

  if (layer->failed)
    return NULL;
  array = infer_array_new(type, &scalar, layer->error);
  layer->failed = !array;
  if (!array)
    return NULL;
  infer_array_set_double(array, 0, value);
  return infer_layer_constant(layer, "number", array, NULL);
}

static InferNode *
add_node(InferLayer *layer, const char *name, const char *op, InferTensor *const *inputs, guint n,
         GVariant *attrs, guint n_outputs)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;

  InferNode *node;

  if (layer->failed)
    return NULL;
  node =
      infer_network_add_node(layer->network, op, name, inputs, n, owned, n_outputs, layer->error);
  layer->failed = !node;
  return node;
}

InferNode *
infer_layer_node(InferLayer *layer, const char *op, InferTensor *const *inputs, guint n_inputs,
                 GVariant *attrs, guint n_outputs)
{
  return add_node(layer, layer->name, op, inputs, n_inputs, attrs, n_outputs);
}

InferTensor *
infer_layer_last(InferLayer *layer, const char *op, InferTensor *const *inputs, guint n_inputs,
                 GVariant *attrs)
{
  InferNode *node = add_node(layer, layer->name, op, inputs, n_inputs, attrs, 1);

  return node ? node->outputs[0] : NULL;
}

InferTensor *
infer_layer_part(InferLayer *layer, const char *op, InferTensor *const *inputs, guint n_inputs,
                 GVariant *attrs)
{
  g_autofree char *name = g_strdup_printf("%s.%u", layer->name, ++layer->n_parts);
  InferNode *node = add_node(layer, name, op, inputs, n_inputs, attrs, 1);

  return node ? node->outputs[0] : NULL;
}
