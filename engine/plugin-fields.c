/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin-private.h"

#include <string.h>

/*
 * Fields come from programs in other languages, which write numbers of any width, and from models,
 * whose formats know fewer types. What can be said without losing anything becomes the field's
 * type; a float never becomes an integer.
 */

static gboolean
get_int(GVariant *value, gint64 *number)
{
  switch (g_variant_classify(value)) {
  case G_VARIANT_CLASS_BOOLEAN:
    *number = g_variant_get_boolean(value);
    return TRUE;
  case G_VARIANT_CLASS_BYTE:
    *number = g_variant_get_byte(value);
    return TRUE;
  case G_VARIANT_CLASS_INT16:
    *number = g_variant_get_int16(value);
    return TRUE;
  case G_VARIANT_CLASS_UINT16:
    *number = g_variant_get_uint16(value);
    return TRUE;
  case G_VARIANT_CLASS_INT32:
    *number = g_variant_get_int32(value);
    return TRUE;
  case G_VARIANT_CLASS_UINT32:
    *number = g_variant_get_uint32(value);
    return TRUE;
  case G_VARIANT_CLASS_INT64:
    *number = g_variant_get_int64(value);
    return TRUE;
  case G_VARIANT_CLASS_UINT64:
    *number = (gint64)g_variant_get_uint64(value);
    return *number >= 0;
  default:
    return FALSE;
  }
}

static GVariant *
to_int(GVariant *value)
{
  gint64 number;

  return get_int(value, &number) ? g_variant_new_int64(number) : NULL;
}

static GVariant *
to_float(GVariant *value)
{
  gint64 number;

  if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE))
    return g_variant_new_double(g_variant_get_double(value));
  return get_int(value, &number) ? g_variant_new_double((double)number) : NULL;
}

static GVariant *
to_string(GVariant *value)
{
  return g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
             ? g_variant_new_string(g_variant_get_string(value, NULL))
             : NULL;
}

typedef GVariant *(*Convert)(GVariant *value);

/* A list, or the one element of a list. */
static GVariant *
to_list(GVariant *value, Convert convert, const GVariantType *element)
{
  g_autoptr(GPtrArray) items = g_ptr_array_new();
  gboolean list = g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY);
  gsize n = list ? g_variant_n_children(value) : 1;
  gboolean good = TRUE;
  GVariant *result = NULL;

  for (gsize i = 0; i < n && good; i++) {
    g_autoptr(GVariant) child = list ? g_variant_get_child_value(value, i) : g_variant_ref(value);
    g_autoptr(GVariant) inner =
        g_variant_is_of_type(child, G_VARIANT_TYPE_VARIANT) ? g_variant_get_variant(child) : NULL;
    GVariant *item = convert(inner ? inner : child);

    good = item != NULL;
    if (good)
      g_ptr_array_add(items, g_variant_ref_sink(item));
  }
  if (good)
    result = g_variant_new_array(element, (GVariant *const *)items->pdata, items->len);
  g_ptr_array_foreach(items, (GFunc)(void (*)(void))g_variant_unref, NULL);
  return result;
}

static GVariant *
to_bytes(GVariant *value)
{
  gsize n;
  const char *text;

  if (g_variant_is_of_type(value, G_VARIANT_TYPE_BYTESTRING))
    return g_variant_ref(value);
  if (!g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    return NULL;
  text = g_variant_get_string(value, &n);
  return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, text, n, 1);
}

/* Returns: (transfer full) (nullable) */
static GVariant *
convert(char kind, GVariant *value)
{
  GVariant *result = NULL;

  if (kind == 'i')
    result = to_int(value);
  else if (kind == 'f')
    result = to_float(value);
  else if (kind == 's')
    result = to_string(value);
  else if (kind == 'I')
    result = to_list(value, to_int, G_VARIANT_TYPE_INT64);
  else if (kind == 'F')
    result = to_list(value, to_float, G_VARIANT_TYPE_DOUBLE);
  else if (kind == 'S')
    result = to_list(value, to_string, G_VARIANT_TYPE_STRING);
  else
    result = to_bytes(value);
  return result ? g_variant_take_ref(result) : NULL;
}

static const char *
kind_name(char kind)
{
  static const char kinds[] = "ifsIFSy";
  static const char *const names[] = {
      "an integer",       "a float",           "a string", "a list of integers",
      "a list of floats", "a list of strings", "bytes"};
  const char *found = strchr(kinds, kind);

  return names[found ? found - kinds : 0];
}

static const InferPluginField *
find_field(const InferPlugin *plugin, const char *name)
{
  for (const InferPluginField *field = plugin->creator->fields; field && field->name; field++)
    if (g_str_equal(field->name, name))
      return field;
  return NULL;
}

static gboolean G_GNUC_PRINTF(4, 5)
    refuse(const InferPlugin *plugin, const char *node, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "node '%s' (%s %u): %s", node, plugin->id,
              plugin->op.version, text);
  return FALSE;
}

static gboolean
add_field(const InferPlugin *plugin, const char *node, GVariantDict *dict, const char *name,
          GVariant *value, GError **error)
{
  const InferPluginField *field = find_field(plugin, name);
  g_autoptr(GVariant) converted = field ? convert(field->kind, value) : NULL;

  if (!field) {
    g_autoptr(GString) known = g_string_new(NULL);
    for (field = plugin->creator->fields; field && field->name; field++)
      g_string_append_printf(known, "%s%s", known->len ? ", " : "", field->name);
    return refuse(plugin, node, error, "it has no field '%s'; its fields are: %s", name,
                  known->len ? known->str : "none");
  }
  if (!converted) {
    g_autofree char *text = g_variant_print(value, FALSE);
    if (strlen(text) > 60)
      strcpy(g_utf8_find_prev_char(text, text + 57), "...");
    return refuse(plugin, node, error, "field '%s' is %s, and %s (type '%s') is not", name,
                  kind_name(field->kind), text, g_variant_get_type_string(value));
  }
  g_variant_dict_insert_value(dict, name, converted);
  return TRUE;
}

GVariant *
infer_plugin_fields(const InferPlugin *plugin, const char *node, GVariant *given, GError **error)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
  GVariantBuilder builder;
  GVariantIter iter;
  const char *name;
  GVariant *value;

  if (given && !g_variant_is_of_type(given, G_VARIANT_TYPE_VARDICT)) {
    refuse(plugin, node, error, "its fields are of type '%s', not 'a{sv}'",
           g_variant_get_type_string(given));
    return NULL;
  }
  if (given)
    g_variant_iter_init(&iter, given);
  while (given && g_variant_iter_loop(&iter, "{&sv}", &name, &value))
    if (!add_field(plugin, node, &dict, name, value, error)) {
      g_variant_unref(value);
      return NULL;
    }
  /* In the creator's order, so that equal nodes have equal bytes. */
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  for (const InferPluginField *field = plugin->creator->fields; field && field->name; field++) {
    g_autoptr(GVariant) found = g_variant_dict_lookup_value(&dict, field->name, NULL);
    GVariant *chosen = found ? found : g_hash_table_lookup(plugin->fallbacks, field->name);

    if (!chosen && field->required) {
      refuse(plugin, node, error, "field '%s' (%s) is missing", field->name,
             kind_name(field->kind));
      g_variant_builder_clear(&builder);
      return NULL;
    }
    if (chosen)
      g_variant_builder_add(&builder, "{sv}", field->name, chosen);
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}
