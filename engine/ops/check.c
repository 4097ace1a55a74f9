/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"

#include <string.h>

#define MAX_ATTR ((gint64)1 << 31)

gboolean
infer_check_reals(const InferShapeArgs *args, guint first, guint last, GError **error)
{
  InferType type = INFER_TYPE_UNDEFINED;

  for (guint i = first; i <= last && i < args->n_in; i++) {
    if (!infer_check_present(args, i))
      continue;
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_UNDEFINED))
      return FALSE;
    if (type != INFER_TYPE_UNDEFINED && args->in[i].type != type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input %u is %s",
                            i, infer_type_name(args->in[i].type), first, infer_type_name(type));
    type = args->in[i].type;
  }
  return TRUE;
}

gboolean
infer_check_dims(const InferShapeArgs *args, guint index, gint n, gint64 *const *dims,
                 GError **error)
{
  const InferDims *have = index < args->n_in ? &args->in[index].dims : NULL;

  if (!infer_check_present(args, index) || have->n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, index, n, n, error))
    return FALSE;
  for (gint i = 0; i < n; i++) {
    if (have->d[i] >= 0 && *dims[i] >= 0 && have->d[i] != *dims[i]) {
      g_autofree char *text = infer_dims_to_string(have);
      return infer_op_error(
          args->node, error, INFER_ERROR_SHAPE,
          "input %u is %s; the other inputs and attributes ask for %" G_GINT64_FORMAT
          " in dimension %d",
          index, text, *dims[i], i);
    }
    if (have->d[i] >= 0 || *dims[i] == INFER_DIM_UNKNOWN)
      *dims[i] = have->d[i];
  }
  return TRUE;
}

gboolean
infer_check_vector(const InferShapeArgs *args, guint index, gint64 *length, GError **error)
{
  return infer_check_dims(args, index, 1, (gint64 *[]){length}, error);
}

gboolean
infer_check_scalar(const InferShapeArgs *args, guint index, GError **error)
{
  const InferDims *dims = index < args->n_in ? &args->in[index].dims : NULL;
  g_autofree char *text = NULL;

  if (!infer_check_present(args, index) || dims->n <= 0 || (dims->n == 1 && dims->d[0] < 0) ||
      infer_dims_count(dims) == 1)
    return TRUE;
  text = infer_dims_to_string(dims);
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, not a scalar", index,
                        text);
}

gboolean
infer_check_int(const InferNode *node, const char *name, gint64 fallback, gint64 least, gint64 most,
                gint64 *value, GError **error)
{
  *value = infer_node_get_int(node, name, fallback);
  if (*value >= least && *value <= most)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "%s is %" G_GINT64_FORMAT ", allowed are %" G_GINT64_FORMAT
                        " to %" G_GINT64_FORMAT,
                        name, *value, least, most);
}

gboolean
infer_check_ints(const InferNode *node, const char *name, gint n, gint64 least, gint64 fallback,
                 gint64 *list, GError **error)
{
  gsize have = 0;
  const gint64 *values = infer_node_get_ints(node, name, &have);

  for (gint i = 0; i < n; i++)
    list[i] = fallback;
  if (!values || have == 0)
    return TRUE;
  if (have != (gsize)n)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%s has %" G_GSIZE_FORMAT " elements, %d are needed", name, have, n);
  for (gint i = 0; i < n; i++) {
    if (values[i] < least || values[i] > MAX_ATTR)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "%s has the element %" G_GINT64_FORMAT ", allowed are %" G_GINT64_FORMAT
                            " to %" G_GINT64_FORMAT,
                            name, values[i], least, MAX_ATTR);
    list[i] = values[i];
  }
  return TRUE;
}

gboolean
infer_check_choice(const InferNode *node, const char *name, const char *fallback,
                   const char *const *names, gint *choice, GError **error)
{
  const char *value = infer_node_get_string(node, name, fallback);
  g_autofree char *list = NULL;

  for (*choice = 0; names[*choice]; (*choice)++)
    if (strcmp(value, names[*choice]) == 0)
      return TRUE;
  list = g_strjoinv(", ", (char **)names);
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "%s is '%.32s'; it can be %s", name,
                        value, list);
}

InferDims
infer_check_unknown(gint n)
{
  InferDims dims = {.n = n};

  for (gint i = 0; i < n; i++)
    dims.d[i] = INFER_DIM_UNKNOWN;
  return dims;
}

gint64
infer_check_product(gint64 a, gint64 b)
{
  gint64 product;

  if (a == 1)
    return b;
  if (b == 1)
    return a;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product))
    return INFER_DIM_UNKNOWN;
  return product;
}

gsize
infer_check_bytes(gint64 count, gsize size, gsize more)
{
  gsize bytes;

  if (count < 0 || __builtin_mul_overflow((gsize)count, size, &bytes) ||
      __builtin_add_overflow(bytes, more, &bytes) || bytes > G_MAXSIZE / 2)
    return G_MAXSIZE / 2;
  return bytes;
}

void
infer_real_moments(const InferArray *array, gint64 at, gint64 stride, gint64 n, double *mean,
                   double *variance)
{
  double sum = 0, squares = 0;

  for (gint64 i = 0; i < n; i++)
    sum += infer_real(array, at + i * stride);
  *mean = n ? sum / (double)n : 0;
  for (gint64 i = 0; i < n; i++) {
    double d = infer_real(array, at + i * stride) - *mean;
    squares += d * d;
  }
  *variance = n ? squares / (double)n : 0;
}
