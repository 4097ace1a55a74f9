/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin-private.h"

#include <string.h>

static gboolean G_GNUC_PRINTF(2, 3) refuse(GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, INFER_ERROR, INFER_ERROR_ARGUMENT, text);
  return FALSE;
}

static gboolean
is_word(const char *text, const char *also)
{
  if (!text || !*text || g_ascii_isdigit(*text))
    return FALSE;
  for (; *text; text++)
    if (!g_ascii_isalnum(*text) && *text != '_' && !strchr(also, *text))
      return FALSE;
  return TRUE;
}

/* Names of operators that are not plugins' must not come to be. */
static gboolean
is_namespace(const char *name)
{
  return is_word(name, ".-") && name[strlen(name) - 1] != '.' && !strstr(name, "..") &&
         *name != '.' && !g_str_equal(name, "infer") && !g_str_has_prefix(name, "infer.") &&
         !g_str_equal(name, "ai.onnx") && !g_str_has_prefix(name, "ai.onnx.");
}

gboolean
infer_plugin_is_id(const char *name)
{
  const char *dot = strrchr(name, '.');
  g_autofree char *space = dot ? g_strndup(name, (gsize)(dot - name)) : NULL;

  return space && is_namespace(space);
}

static const GVariantType *
kind_type(char kind)
{
  switch (kind) {
  case 'i':
    return G_VARIANT_TYPE_INT64;
  case 'f':
    return G_VARIANT_TYPE_DOUBLE;
  case 's':
    return G_VARIANT_TYPE_STRING;
  case 'I':
    return G_VARIANT_TYPE("ax");
  case 'F':
    return G_VARIANT_TYPE("ad");
  case 'S':
    return G_VARIANT_TYPE_STRING_ARRAY;
  case 'y':
    return G_VARIANT_TYPE_BYTESTRING;
  default:
    return NULL;
  }
}

GVariant *
infer_plugin_parse_fallback(const InferPluginField *field, GError **error)
{
  g_autoptr(GError) reason = NULL;
  GVariant *value;

  if (!field->fallback)
    return NULL;
  value = g_variant_parse(kind_type(field->kind), field->fallback, NULL, NULL, &reason);
  if (!value)
    refuse(error, "field '%s': its fallback '%s' is not of kind '%c': %s", field->name,
           field->fallback, field->kind, reason->message);
  return value;
}

static gboolean
check_fields(const InferPluginField *fields, GError **error)
{
  for (const InferPluginField *field = fields; field && field->name; field++) {
    g_autoptr(GError) reason = NULL;
    g_autoptr(GVariant) value = NULL;

    if (!is_word(field->name, ""))
      return refuse(error, "'%s' cannot name a field", field->name);
    for (const InferPluginField *other = fields; other != field; other++)
      if (g_str_equal(other->name, field->name))
        return refuse(error, "field '%s' is there twice", field->name);
    if (!kind_type(field->kind))
      return refuse(error, "field '%s' has the unknown kind '%c'; there are i, f, s, I, F, S, y",
                    field->name, field->kind);
    if (field->required && field->fallback)
      return refuse(error, "field '%s' is required and has a fallback", field->name);
    value = infer_plugin_parse_fallback(field, &reason);
    if (reason) {
      g_propagate_error(error, g_steal_pointer(&reason));
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_formats(const InferPluginFormat *formats)
{
  for (guint i = 0; i < INFER_PLUGIN_MAX_FORMATS && formats[i].type; i++)
    if (infer_type_bits(formats[i].type) < 8 || (guint)formats[i].layout > INFER_PLUGIN_ANY)
      return FALSE;
  return TRUE;
}

gboolean
infer_plugin_check_impl(const InferPluginImpl *impl, GError **error)
{
  if (!is_word(impl->backend, ""))
    return refuse(error, "an implementation names no backend");
  if (impl->name && (!is_word(impl->name, ".-") || g_str_equal(impl->name, "reference") ||
                     g_str_equal(impl->name, "reformat")))
    return refuse(error, "'%s' cannot name an implementation", impl->name);
  if (!impl->run)
    return refuse(error, "the implementation for %s has no run()", impl->backend);
  if (!impl->formats || impl->n_formats == 0)
    return refuse(error, "the implementation for %s says no formats", impl->backend);
  for (guint i = 0; i < impl->n_formats; i++)
    if (!check_formats(impl->formats[i].inputs) || !impl->formats[i].outputs[0].type ||
        !check_formats(impl->formats[i].outputs))
      return refuse(error, "the implementation for %s has an impossible row %u of formats",
                    impl->backend, i);
  return TRUE;
}

gboolean
infer_plugin_check_creator(const InferPluginCreator *creator, GError **error)
{
  if (!is_namespace(creator->name_space))
    return refuse(error, "'%s' cannot be a namespace",
                  creator->name_space ? creator->name_space : "");
  if (!is_word(creator->name, ""))
    return refuse(error, "'%s' cannot name a layer", creator->name ? creator->name : "");
  if (creator->version == 0)
    return refuse(error, "versions begin with 1");
  if (!creator->shape)
    return refuse(error, "it has no shape()");
  if (creator->min_outputs == 0 || creator->min_outputs > creator->max_outputs ||
      creator->min_inputs > creator->max_inputs)
    return refuse(error, "%u to %u inputs and %u to %u outputs cannot be", creator->min_inputs,
                  creator->max_inputs, creator->min_outputs, creator->max_outputs);
  for (const InferPluginImpl *impl = creator->impls; impl && impl->backend; impl++) {
    if (!infer_plugin_check_impl(impl, error))
      return FALSE;
    for (const InferPluginImpl *other = creator->impls; other != impl; other++)
      if (g_str_equal(other->backend, impl->backend) && g_strcmp0(other->name, impl->name) == 0)
        return refuse(error, "two implementations for %s have one name", impl->backend);
  }
  return check_fields(creator->fields, error);
}
