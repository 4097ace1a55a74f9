/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "list.h"

static const gint64 to_nchw[4] = {0, 3, 1, 2};
static const gint64 to_nhwc[4] = {0, 2, 3, 1};

gint64
tf_nchw_axis(gint64 axis)
{
  static const gint64 places[4] = {0, 2, 3, 1};
  return axis >= 0 && axis < 4 ? places[axis] : axis;
}

TfValue *
tf_output(TfNode *node, guint port)
{
  if (!node->values) {
    node->values = g_array_new(FALSE, TRUE, sizeof(TfValue));
  }
  if (node->values->len <= port) {
    g_array_set_size(node->values, port + 1);
  }
  return &g_array_index(node->values, TfValue, port);
}

TfValue *
tf_value(TfNode *node, guint index, GError **error)
{
  if (index >= node->n_inputs) {
    tf_error(error, INFER_ERROR_MODEL, "input %u is missing; the node has %u", index,
             node->n_inputs);
    return NULL;
  }
  const TfEdge *edge = &node->inputs[index];
  GArray *values = edge->node ? edge->node->values : NULL;
  TfValue *value =
      values && edge->port < values->len ? &g_array_index(values, TfValue, edge->port) : NULL;
  if (value && value->thing) {
    tf_error(error, INFER_ERROR_UNSUPPORTED,
             "input %u ('%s') is a variable or a list, which this operator does not take", index,
             edge->node->def->name);
    return NULL;
  }
  if (!value || (!value->tf && !value->nchw)) {
    tf_error(error, INFER_ERROR_MODEL, "input %u reads output %u of '%s', which has none", index,
             edge->port, edge->node ? edge->node->def->name : "?");
    return NULL;
  }
  return value;
}

InferTensor *
tf_value_form(TfImport *im, TfNode *owner, TfValue *value, gboolean nchw, GError **error)
{
  InferTensor **form = nchw ? &value->nchw : &value->tf;
  InferTensor *other = nchw ? value->tf : value->nchw;

  if (*form) {
    return *form;
  }
  if (nchw && other->dims.n >= 0 && other->dims.n != 4) {
    tf_error(error, INFER_ERROR_SHAPE, "an image of 4 dimensions is needed, '%s' has %d",
             other->name, other->dims.n);
    return NULL;
  }
  *form =
      tf_transpose(im, owner, nchw ? "nchw" : "nhwc", other, nchw ? to_nchw : to_nhwc, 4, error);
  return *form;
}

static InferTensor *
input_form(TfImport *im, TfNode *node, guint index, gboolean nchw, GError **error)
{
  TfValue *value = tf_value(node, index, error);

  return value ? tf_value_form(im, node->inputs[index].node, value, nchw, error) : NULL;
}

InferTensor *
tf_in(TfImport *im, TfNode *node, guint index, GError **error)
{
  return input_form(im, node, index, FALSE, error);
}

InferTensor *
tf_in_nchw(TfImport *im, TfNode *node, guint index, GError **error)
{
  return input_form(im, node, index, TRUE, error);
}

gboolean
tf_has_nchw(TfNode *node, guint index)
{
  TfValue *value = tf_value(node, index, NULL);
  return value && value->nchw;
}

gint
tf_in_rank(TfNode *node, guint index)
{
  TfValue *value = tf_value(node, index, NULL);
  return !value ? -1 : value->nchw ? 4 : value->tf->dims.n;
}

InferArray *
tf_const(TfNode *node, guint index, GError **error)
{
  TfValue *value = tf_value(node, index, error);
  if (!value) {
    return NULL;
  }
  InferArray *array = value->tf ? parsers_known(value->tf) : NULL;
  if (!array) {
    tf_error(error, INFER_ERROR_UNSUPPORTED, "input %u ('%s') has to be a constant", index,
             node->inputs[index].node->def->name);
  }
  return array;
}

gboolean
tf_const_ints(TfNode *node, guint index, gint64 *values, gsize max, gsize *n, GError **error)
{
  g_autoptr(InferArray) array = tf_const(node, index, error);
  if (!array) {
    return FALSE;
  }
  *n = (gsize)infer_array_count(array);
  if (*n > max || array->dims.n > 1 || !infer_type_is_integer(array->type)) {
    return tf_error(error, INFER_ERROR_MODEL,
                    "input %u has to be at most %" G_GSIZE_FORMAT " integers", index, max);
  }
  for (gsize i = 0; i < *n; i++) {
    values[i] = infer_array_get_int(array, i);
  }
  return TRUE;
}

gboolean
tf_axis(gint64 *axis, gint rank, GError **error)
{
  gint limit = rank < 0 ? INFER_MAX_DIMS : rank;

  if (*axis < -limit || *axis >= limit) {
    return tf_error(error, INFER_ERROR_MODEL,
                    "the axis %" G_GINT64_FORMAT " does not fit %d dimensions", *axis, rank);
  }
  *axis += *axis < 0 && rank >= 0 ? rank : 0;
  return TRUE;
}

gboolean
tf_const_axis(TfNode *node, guint index, gint rank, gint64 *axis, GError **error)
{
  gsize n = 0;

  if (!tf_const_ints(node, index, axis, 1, &n, error)) {
    return FALSE;
  }
  return n == 1 ? tf_axis(axis, rank, error)
                : tf_error(error, INFER_ERROR_MODEL, "input %u has to be one integer", index);
}

gboolean
tf_out(TfNode *node, guint port, InferTensor *tensor)
{
  tf_output(node, port)->tf = tensor;
  return tensor != NULL;
}

gboolean
tf_out_nchw(TfNode *node, guint port, InferTensor *tensor)
{
  tf_output(node, port)->nchw = tensor;
  return tensor != NULL;
}

gboolean
tf_out_as(TfNode *node, guint port, InferTensor *tensor, gboolean nchw)
{
  return nchw ? tf_out_nchw(node, port, tensor) : tf_out(node, port, tensor);
}

gboolean
tf_forward(TfNode *node, guint port, guint index, GError **error)
{
  TfThing *thing = tf_thing_in(node, index);
  TfValue *value = thing ? NULL : tf_value(node, index, error);
  if (!value && !thing) {
    return FALSE;
  }
  TfValue copy = value ? *value : (TfValue){.thing = thing};
  *tf_output(node, port) = copy;
  return TRUE;
}
