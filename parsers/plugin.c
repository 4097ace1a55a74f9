/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin.h"

#include <string.h>

GHashTable *
parsers_fields_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_variant_unref);
}

void
parsers_fields_add(GHashTable *fields, const char *name, GVariant *value)
{
  g_hash_table_replace(fields, g_utf8_make_valid(name, -1), g_variant_ref_sink(value));
}

static char *
full_name(const char *domain, const char *type)
{
  return domain && domain[0] ? g_strdup_printf("%s.%s", domain, type) : g_strdup(type);
}

gboolean
parsers_plugin_is(const char *domain, const char *type)
{
  g_autofree char *name = full_name(domain, type);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferPluginInfo) info = infer_plugin_find(name, 0, &error);

  /* A name that two namespaces have is one of a plugin, too; adding it says so. */
  return info != NULL || g_error_matches(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
}

static gboolean
has_field(const InferPluginInfo *info, const char *name)
{
  g_autoptr(GVariant) fields = infer_plugin_info_get_fields(info);
  gboolean found = FALSE;

  for (gsize i = 0; i < g_variant_n_children(fields) && !found; i++) {
    g_autoptr(GVariant) field = g_variant_get_child_value(fields, i);
    const char *other;

    g_variant_get_child(field, 0, "&s", &other);
    found = g_str_equal(other, name);
  }
  return found;
}

gboolean
parsers_plugin_has_field(const char *domain, const char *type, const char *name)
{
  g_autofree char *plugin = full_name(domain, type);
  g_autoptr(InferPluginInfo) info = infer_plugin_find(plugin, 0, NULL);

  return info && has_field(info, name);
}

/* The newest version that is not above the one that the model was written for. */
static guint
choose_version(const char *id, guint most)
{
  g_autoptr(GPtrArray) list = infer_plugin_list();
  guint best = 0;

  for (guint i = 0; i < list->len && most; i++) {
    const InferPluginInfo *info = list->pdata[i];
    if (g_str_equal(info->id, id) && info->version <= most)
      best = MAX(best, info->version);
  }
  /* Where there is none, asking for the model's version gives the error that names both. */
  return best ? best : most;
}

/* Takes a field that chooses the plugin, where the plugin has none of that name. */
static GVariant *
take_choice(const InferPluginInfo *info, GHashTable *fields, const char *name)
{
  GVariant *value = info && has_field(info, name) ? NULL : g_hash_table_lookup(fields, name);

  if (value)
    g_variant_ref(value);
  if (value)
    g_hash_table_remove(fields, name);
  return value;
}

/* "1", 1 or 1.0. FALSE where it is none of them. */
static gboolean
read_version(GVariant *value, guint *version)
{
  g_autofree char *text = g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                              ? g_variant_dup_string(value, NULL)
                              : g_variant_print(value, FALSE);
  guint64 number;

  if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, &number, NULL))
    return FALSE;
  *version = (guint)number;
  return TRUE;
}

static gboolean
by_choice(ParsersLayer *layer, char **name, guint *version, GError **error)
{
  g_autoptr(InferPluginInfo) info = infer_plugin_find(*name, 0, NULL);
  g_autoptr(GVariant) space = take_choice(info, layer->fields, "plugin_namespace");
  g_autoptr(GVariant) number = take_choice(info, layer->fields, "plugin_version");

  if (space && g_variant_is_of_type(space, G_VARIANT_TYPE_STRING) &&
      g_variant_get_string(space, NULL)[0]) {
    g_free(*name);
    *name = full_name(g_variant_get_string(space, NULL), layer->type);
  }
  if (number && !read_version(number, version)) {
    g_autofree char *text = g_variant_print(number, FALSE);
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "plugin_version is %s, not a number from 1",
                text);
    return FALSE;
  }
  if (!number && layer->version)
    *version = choose_version(*name, layer->version);
  return TRUE;
}

static GVariant *
fields_variant(GHashTable *fields)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init(&iter, fields);
  while (g_hash_table_iter_next(&iter, &name, &value))
    g_variant_dict_insert_value(&dict, name, value);
  return g_variant_dict_end(&dict);
}

InferNode *
parsers_plugin_add(InferNetwork *network, ParsersLayer *layer, GError **error)
{
  g_autofree char *name = full_name(layer->domain, layer->type);
  guint version = 0;

  if (!by_choice(layer, &name, &version, error))
    return NULL;
  return infer_network_add_plugin(network, name, version, layer->name, layer->inputs,
                                  layer->n_inputs, fields_variant(layer->fields), layer->n_outputs,
                                  error);
}

char *
parsers_op_key(const InferNode *node)
{
  const char *name = infer_node_get_op_name(node);

  /* Of our own operators there is one version; of a plugin's there may be several. */
  return strchr(name, '.') && !g_str_has_prefix(name, "infer.")
             ? g_strdup_printf("%s@%u", name, infer_node_get_op_version(node))
             : g_strdup(name);
}
