/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include <stdarg.h>

const char *
infer_node_get_op_name(const InferNode *node)
{
  return node->op->name;
}

gboolean
infer_node_set_precision(InferNode *node, InferType type, GError **error)
{
  if (type != INFER_TYPE_UNDEFINED && type != INFER_TYPE_FLOAT && type != INFER_TYPE_FLOAT16 &&
      type != INFER_TYPE_BFLOAT16)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "layers cannot be told to compute in %s; there are float, float16 and "
                          "bfloat16",
                          infer_type_name(type));
  node->precision = type;
  return TRUE;
}

gboolean
infer_node_set_device(InferNode *node, const char *device, GError **error)
{
  if (device && !g_str_equal(device, "host"))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "a layer cannot be placed on '%s'; there is \"host\"", device);
  node->on_host = device != NULL;
  return TRUE;
}

guint
infer_node_get_op_version(const InferNode *node)
{
  return node->op->version;
}

static GVariant *
lookup(const InferNode *node, const char *name, const GVariantType *type)
{
  return g_variant_lookup_value(node->attrs, name, type);
}

gint64
infer_node_get_int(const InferNode *node, const char *name, gint64 fallback)
{
  g_autoptr(GVariant) value = lookup(node, name, G_VARIANT_TYPE_INT64);

  return value ? g_variant_get_int64(value) : fallback;
}

double
infer_node_get_float(const InferNode *node, const char *name, double fallback)
{
  g_autoptr(GVariant) value = lookup(node, name, G_VARIANT_TYPE_DOUBLE);

  return value ? g_variant_get_double(value) : fallback;
}

const char *
infer_node_get_string(const InferNode *node, const char *name, const char *fallback)
{
  const char *text = NULL;

  return g_variant_lookup(node->attrs, name, "&s", &text) ? text : fallback;
}

static gconstpointer
fixed_list(const InferNode *node, const char *name, const char *type, gsize size, gsize *n)
{
  g_autoptr(GVariant) value = lookup(node, name, G_VARIANT_TYPE(type));

  *n = 0;
  /* The elements live in the dictionary's own bytes, which the node keeps. */
  return value ? g_variant_get_fixed_array(value, n, size) : NULL;
}

const gint64 *
infer_node_get_ints(const InferNode *node, const char *name, gsize *n)
{
  return fixed_list(node, name, "ax", 8, n);
}

const double *
infer_node_get_floats(const InferNode *node, const char *name, gsize *n)
{
  return fixed_list(node, name, "ad", 8, n);
}

const guint8 *
infer_node_get_bytes(const InferNode *node, const char *name, gsize *n)
{
  return fixed_list(node, name, "ay", 1, n);
}

const char **
infer_node_get_strings(const InferNode *node, const char *name)
{
  g_autoptr(GVariant) value = lookup(node, name, G_VARIANT_TYPE_STRING_ARRAY);

  return value ? g_variant_get_strv(value, NULL) : NULL;
}

gboolean
infer_node_has_attr(const InferNode *node, const char *name)
{
  g_autoptr(GVariant) value = lookup(node, name, NULL);

  return value != NULL;
}

GVariant *
infer_attrs_new(const char *first, ...)
{
  GVariantBuilder builder;
  va_list args;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  va_start(args, first);
  for (const char *name = first; name; name = va_arg(args, const char *)) {
    int kind = va_arg(args, int);
    GVariant *value = NULL;

    if (kind == 'i') {
      value = g_variant_new_int64(va_arg(args, gint64));
    } else if (kind == 'f') {
      value = g_variant_new_double(va_arg(args, double));
    } else if (kind == 's') {
      value = g_variant_new_string(va_arg(args, const char *));
    } else if (kind == 'I' || kind == 'F') {
      gconstpointer list = va_arg(args, gconstpointer);
      gsize n = va_arg(args, gsize);
      value = g_variant_new_fixed_array(kind == 'I' ? G_VARIANT_TYPE_INT64 : G_VARIANT_TYPE_DOUBLE,
                                        list, n, 8);
    } else {
      g_critical("infer_attrs_new: attribute '%s' has the unknown kind '%c'", name, kind);
      break;
    }
    g_variant_builder_add(&builder, "{sv}", name, value);
  }
  va_end(args);
  return g_variant_builder_end(&builder);
}
