/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "broadcast.h"
#include "data.h"

G_BEGIN_DECLS

/* What operators on numbers check of their inputs, and scalars that give a dimension. */

/** number_require: input @index is there, of integers, booleans, floats or doubles. */
static inline gboolean
number_require(const InferShapeArgs *args, guint index, GError **error)
{
  return data_require(args, index, error) &&
         infer_op_require_type(args, index, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_INT8, INFER_TYPE_INT16, INFER_TYPE_INT32,
                               INFER_TYPE_INT64, INFER_TYPE_UINT8, INFER_TYPE_UINT16,
                               INFER_TYPE_UINT32, INFER_TYPE_UINT64, INFER_TYPE_BOOL,
                               INFER_TYPE_UNDEFINED);
}

/** number_require_real: input @index is there, of floats or doubles. */
static inline gboolean
number_require_real(const InferShapeArgs *args, guint index, GError **error)
{
  return data_require(args, index, error) &&
         infer_op_require_type(args, index, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_UNDEFINED);
}

/** number_require_index: input @index is there, of int32 or int64. */
static inline gboolean
number_require_index(const InferShapeArgs *args, guint index, GError **error)
{
  return data_require(args, index, error) &&
         infer_op_require_type(args, index, error, INFER_TYPE_INT64, INFER_TYPE_INT32,
                               INFER_TYPE_UNDEFINED);
}

/** number_require_same: input @index is there, of the type of input @other. */
static inline gboolean
number_require_same(const InferShapeArgs *args, guint index, guint other, GError **error)
{
  if (!data_require(args, index, error))
    return FALSE;
  if (args->in[index].type == args->in[other].type)
    return TRUE;
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                        "input %u is of type %s, input %u of type %s; they must be the same", index,
                        infer_type_name(args->in[index].type), other,
                        infer_type_name(args->in[other].type));
}

/** number_fits: whether two dimensions can be the same. */
static inline gboolean
number_fits(gint64 a, gint64 b)
{
  return a < 0 || b < 0 || a == b;
}

/** number_require_scalar: input @index can be of one element. */
static inline gboolean
number_require_scalar(const InferShapeArgs *args, guint index, GError **error)
{
  const InferDims *dims = &args->in[index].dims;
  for (gint i = 0; i < dims->n; i++)
    if (!number_fits(dims->d[i], 1)) {
      g_autofree char *text = infer_dims_to_string(dims);
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "input %u has dimensions %s, one element is needed", index, text);
    }
  return TRUE;
}

/** number_scalar: the one element of integer input @index as far as it is known. */
static inline InferElement
number_scalar(const InferShapeArgs *args, guint index)
{
  const InferOperand *in = &args->in[index];
  if (in->value)
    return infer_array_count(in->value) == 1
               ? infer_element_number(infer_array_get_int(in->value, 0))
               : INFER_ELEMENT_UNKNOWN;
  InferDims content;
  if (!infer_op_content(args, index, &content) || content.n != 1 ||
      content.d[0] == INFER_DIM_UNKNOWN)
    return INFER_ELEMENT_UNKNOWN;
  return (InferElement){TRUE, content.d[0] < 0, content.d[0]};
}

/** number_dim: @e as a dimension; the number has to be checked before. */
static inline gint64
number_dim(InferElement e)
{
  return e.known ? e.value : INFER_DIM_UNKNOWN;
}

/** number_type: attribute @name as an element type; numbers of 8 bits and more that
 *  infer_array_set_double() stores. */
static inline gboolean
number_type(const InferNode *node, const char *name, InferType fallback, InferType *type,
            GError **error)
{
  gint64 value = infer_node_get_int(node, name, fallback);
  gboolean good = value > 0 && value < INFER_N_TYPES;
  *type = good ? (InferType)value : INFER_TYPE_UNDEFINED;
  if (good && (*type == INFER_TYPE_FLOAT || *type == INFER_TYPE_DOUBLE || *type == INFER_TYPE_BOOL))
    return TRUE;
  if (good && infer_type_is_integer(*type) && infer_type_bits(*type) >= 8)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "%s=%" G_GINT64_FORMAT " (%s) is not supported; float, double, bool and "
                        "integers are",
                        name, value, good ? infer_type_name(*type) : "unknown");
}

/** number_choice: the index of string attribute @name in a list that ends with %NULL. */
static inline gboolean
number_choice(const InferNode *node, const char *name, const char *const *choices, guint *choice,
              GError **error)
{
  const char *have = infer_node_get_string(node, name, choices[0]);
  for (*choice = 0; choices[*choice]; (*choice)++)
    if (g_str_equal(have, choices[*choice]))
      return TRUE;
  g_autofree char *list = g_strjoinv(", ", (char **)choices);
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "%s is '%s', it must be one of: %s",
                        name, have, list);
}

G_END_DECLS
