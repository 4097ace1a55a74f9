/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_constantofshape[];

static gboolean
fill_dims(const InferNode *node, const DataInts *shape, InferDims *out, GError **error)
{
  if (shape->n > INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the shape has %d dimensions, at most %d are supported", shape->n,
                          INFER_MAX_DIMS);
  out->n = shape->n;
  for (gint i = 0; i < shape->n; i++) {
    if (shape->known[i] && shape->v[i] < 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the shape has the negative dimension %" G_GINT64_FORMAT, shape->v[i]);
    out->d[i] = shape->v[i];
  }
  return TRUE;
}

static gboolean
fill_infer(InferShapeArgs *args, GError **error)
{
  const InferNode *node = args->node;
  gint64 dtype = infer_node_get_int(node, "dtype", INFER_TYPE_FLOAT);
  DataInts shape = {0};
  InferDims dims;
  gboolean integer = dtype > 0 && dtype < INFER_N_TYPES &&
                     infer_type_is_integer((InferType)dtype) &&
                     infer_type_bits((InferType)dtype) >= 8;
  if (!integer && dtype != INFER_TYPE_FLOAT && dtype != INFER_TYPE_DOUBLE &&
      dtype != INFER_TYPE_BOOL)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "element type %" G_GINT64_FORMAT
                          " is not supported; float, double, bool and integers are",
                          dtype);
  if (!data_ints(args, 0, &shape, error) || !fill_dims(node, &shape, &dims, error) ||
      !data_set(args, 0, (InferType)dtype, &dims, error))
    return FALSE;
  InferOperand *out = &args->out[0];
  gint64 value = infer_node_get_int(node, "int_value", 0);
  gint64 n = dims.n == 0 ? 1 : dims.d[0];
  /* A number that the type cuts is not its content. */
  gboolean fits = integer && value >= 0 && value >> (infer_type_bits((InferType)dtype) - 1) == 0;
  if (fits && (dims.n == 0 || dims.n == 1) && n >= 0 && n <= INFER_MAX_DIMS) {
    out->has_content = TRUE;
    out->content.n = (gint)n;
    for (gint i = 0; i < n; i++)
      out->content.d[i] = value;
  }
  return TRUE;
}

/* One element as bytes. An integer's low bytes come first in the host's order or last. */
static void
fill_element(const InferNode *node, InferType type, gsize size, char *element)
{
  gint64 integer = infer_node_get_int(node, "int_value", 0);
  double real = infer_node_get_float(node, "value", 0);
  float single = (float)real;
  if (type == INFER_TYPE_BOOL)
    integer = integer != 0;
  if (type == INFER_TYPE_FLOAT)
    memcpy(element, &single, size);
  else if (type == INFER_TYPE_DOUBLE)
    memcpy(element, &real, size);
  else
    memcpy(element, (char *)&integer + (G_BYTE_ORDER == G_LITTLE_ENDIAN ? 0 : 8 - size), size);
}

static gboolean
fill_eval(const InferEvalArgs *args, GError **error)
{
  InferType type = (InferType)infer_node_get_int(args->node, "dtype", INFER_TYPE_FLOAT);
  DataInts shape = {0};
  InferDims dims;
  if (!data_ints_from_array(args->node, args->in[0], &shape, error) ||
      !fill_dims(args->node, &shape, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, type, &dims, error);
  if (!out)
    return FALSE;
  char element[sizeof(gint64)];
  gsize size = data_element_size(out);
  fill_element(args->node, type, size, element);
  const gint64 strides[] = {1}, none[] = {0};
  const gint64 count[] = {infer_array_count(out)};
  infer_data_copy(out->data, element, size, 1, count, strides, none);
  return TRUE;
}

static const InferAttrSpec fill_attrs[] = {
    {"value", 'f', FALSE}, {"dtype", 'i', FALSE}, {"int_value", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp constant_of_shape = {
    .name = "ConstantOfShape",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = fill_attrs,
    .infer = fill_infer,
    .eval = fill_eval,
};

const InferOp *const infer_ops_constantofshape[] = {&constant_of_shape, NULL};
