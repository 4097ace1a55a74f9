/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include "half.h"

#include <gio/gio.h>

#include <stdarg.h>

gboolean
infer_op_error(const InferNode *node, GError **error, InferError code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start(args, format);
  message = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, (gint)code, "node '%s' (%s): %s", node->name, node->op->name,
              message);
  return FALSE;
}

gboolean
infer_op_go_on(GError **error)
{
  return !g_cancellable_set_error_if_cancelled(g_cancellable_get_current(), error);
}

InferType
infer_op_eval_type(const InferShapeArgs *args, guint index)
{
  InferType type = args->in[index].type;

  if (!infer_type_is_half(type))
    return type;
  *args->widens |= INFER_WIDEN_HALF;
  return INFER_TYPE_FLOAT;
}

gboolean
infer_op_require_type(const InferShapeArgs *args, guint index, GError **error, ...)
{
  g_autoptr(GString) allowed = NULL;
  InferType have = args->in[index].type;
  gboolean listed = FALSE, real = FALSE;
  va_list list;
  int type;

  va_start(list, error);
  while ((type = va_arg(list, int)) != INFER_TYPE_UNDEFINED) {
    listed = listed || (InferType)type == have;
    real = real || type == INFER_TYPE_FLOAT;
  }
  va_end(list);
  if (listed || (real && infer_op_eval_type(args, index) != have))
    return TRUE;
  allowed = g_string_new(NULL);
  va_start(list, error);
  while ((type = va_arg(list, int)) != INFER_TYPE_UNDEFINED)
    g_string_append_printf(allowed, "%s%s", allowed->len ? ", " : "",
                           infer_type_name((InferType)type));
  va_end(list);
  return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                        "input %u is of type %s; supported: %s", index, infer_type_name(have),
                        allowed->str);
}

gboolean
infer_op_require_rank(const InferShapeArgs *args, guint index, gint min, gint max, GError **error)
{
  gint n = args->in[index].dims.n;

  if (n < 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the rank of input %u is not known",
                          index);
  if (n < min || n > max)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "input %u has %d dimensions; %d to %d are needed", index, n, min, max);
  return TRUE;
}

gboolean
infer_op_axis(const InferNode *node, gint64 axis, gint rank, gint *result, GError **error)
{
  if (axis < -(gint64)rank || axis >= rank)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "axis %" G_GINT64_FORMAT " is not one of %d dimensions", axis, rank);
  *result = (gint)(axis < 0 ? axis + rank : axis);
  return TRUE;
}

gboolean
infer_op_broadcast(const InferNode *node, const InferDims *a, const InferDims *b, InferDims *out,
                   GError **error)
{
  if (a->n < 0 || b->n < 0) {
    *out = INFER_DIMS_UNKNOWN;
    return TRUE;
  }
  out->n = MAX(a->n, b->n);
  for (gint i = 0; i < out->n; i++) {
    gint ia = i - (out->n - a->n), ib = i - (out->n - b->n);
    gint64 da = ia < 0 ? 1 : a->d[ia], db = ib < 0 ? 1 : b->d[ib];

    if (da == db || db == 1)
      out->d[i] = da;
    else if (da == 1)
      out->d[i] = db;
    else if (da >= 0 && db >= 0) {
      g_autofree char *left = infer_dims_to_string(a);
      g_autofree char *right = infer_dims_to_string(b);
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "%s and %s do not broadcast", left,
                            right);
    } else if (da >= 0 || db >= 0) {
      /* A symbol against a number other than 1: it can only be 1 or that number. */
      out->d[i] = MAX(da, db);
    } else
      out->d[i] = INFER_DIM_UNKNOWN;
  }
  return TRUE;
}

gboolean
infer_op_content(const InferShapeArgs *args, guint index, InferDims *content)
{
  if (index >= args->n_in || !args->in[index].has_content)
    return FALSE;
  *content = args->in[index].content;
  return TRUE;
}

gint64 *
infer_op_const_ints(const InferShapeArgs *args, guint index, gsize *n)
{
  const InferArray *value = index < args->n_in ? args->in[index].value : NULL;
  gint64 *list;

  *n = 0;
  if (!value)
    return NULL;
  *n = (gsize)infer_array_count(value);
  list = g_new(gint64, *n + 1);
  for (gsize i = 0; i < *n; i++)
    list[i] = infer_array_get_int(value, i);
  return list;
}

void
infer_op_broadcast_strides(const InferDims *in, const InferDims *out, gint64 *strides)
{
  gint64 stride = 1;

  for (gint i = out->n - 1; i >= 0; i--) {
    gint j = i - (out->n - in->n);

    if (j < 0) {
      strides[i] = 0;
      continue;
    }
    strides[i] = in->d[j] == 1 && out->d[i] != 1 ? 0 : stride;
    stride *= in->d[j];
  }
}

char **
infer_op_strings(const InferNode *node, const char *name, gsize *n)
{
  g_autoptr(GVariant) value =
      node->attrs ? g_variant_lookup_value(node->attrs, name, G_VARIANT_TYPE_STRING_ARRAY) : NULL;

  *n = 0;
  return value ? g_variant_dup_strv(value, n) : NULL;
}
