/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "../plugin.h"

#include <string.h>

/*
 * Operators that a user's library brought to TensorFlow, and a plugin brings to us. They are named
 * "Name" or "Domain>Name"; attributes that are only types, shapes or hints of TensorFlow are left
 * out unless the plugin has a field for them.
 */

static char *
split_name(const TfNode *node, const char **type)
{
  const char *op = node->def->op, *mark = strrchr(op, '>');

  *type = mark ? mark + 1 : op;
  return mark ? g_strdelimit(g_strndup(op, (gsize)(mark - op)), ">", '.') : NULL;
}

gboolean
tf_plugin_is(const TfNode *node)
{
  const char *type;
  g_autofree char *domain = split_name(node, &type);

  return type[0] && g_utf8_validate(node->def->op, -1, NULL) && parsers_plugin_is(domain, type);
}

static GVariant *
text_variant(const ProtobufCBinaryData *text)
{
  return g_variant_new_take_string(g_utf8_make_valid((const char *)text->data, (gssize)text->len));
}

static GVariant *
list_variant(const InferTf__List *list)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, list->n_s   ? G_VARIANT_TYPE_STRING_ARRAY
                                   : list->n_f ? G_VARIANT_TYPE("ad")
                                               : G_VARIANT_TYPE("ax"));
  for (gsize i = 0; i < list->n_s; i++) {
    g_variant_builder_add_value(&builder, text_variant(&list->s[i]));
  }
  for (gsize i = 0; i < list->n_f && !list->n_s; i++) {
    g_variant_builder_add(&builder, "d", (double)list->f[i]);
  }
  for (gsize i = 0; i < list->n_i && !list->n_s && !list->n_f; i++) {
    g_variant_builder_add(&builder, "x", list->i[i]);
  }
  return g_variant_builder_end(&builder);
}

/* Returns: (nullable): NULL for what says nothing of the layer, or what a field cannot be. */
static GVariant *
attr_variant(const InferTf__Attr *attr)
{
  if (attr->has_i) {
    return g_variant_new_int64(attr->i);
  }
  if (attr->has_f) {
    return g_variant_new_double((double)attr->f);
  }
  if (attr->has_b) {
    return g_variant_new_int64(attr->b ? 1 : 0);
  }
  if (attr->has_s) {
    return text_variant(&attr->s);
  }
  return attr->list ? list_variant(attr->list) : NULL;
}

static gboolean
collect_fields(const TfNode *node, const char *domain, const char *type, GHashTable *fields,
               GError **error)
{
  for (gsize i = 0; i < node->def->n_attr; i++) {
    const InferTf__AttrEntry *entry = node->def->attr[i];
    gboolean has = entry->key && parsers_plugin_has_field(domain, type, entry->key);

    if (!entry->key || !entry->value || (entry->key[0] == '_' && !has)) {
      continue;
    }
    GVariant *value = attr_variant(entry->value);
    if (!value && has && entry->value->has_type) {
      value = g_variant_new_int64(tf_type(entry->value->type));
    }
    if (!value && (has || entry->value->tensor)) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED,
                      "its attribute '%s' is of a kind that fields of plugins cannot be",
                      entry->key);
    }
    if (value) {
      parsers_fields_add(fields, entry->key, value);
    }
  }
  return TRUE;
}

static gboolean
emit_plugin(TfImport *im, TfNode *node, GError **error)
{
  const char *type;
  g_autofree char *domain = split_name(node, &type);
  g_autofree InferTensor **inputs = g_new0(InferTensor *, node->n_inputs + 1);
  g_autofree char *name = tf_node_name(node);
  g_autoptr(GHashTable) fields = parsers_fields_new();
  ParsersLayer layer = {.domain = domain,
                        .type = type,
                        .name = name,
                        .fields = fields,
                        .inputs = inputs,
                        .n_inputs = node->n_inputs};

  for (guint i = 0; i < node->n_inputs; i++) {
    inputs[i] = tf_in(im, node, i, error);
    if (!inputs[i]) {
      return FALSE;
    }
  }
  for (guint i = 0; node->readers && i < node->readers->len; i++) {
    const TfNode *reader = node->readers->pdata[i];
    for (guint k = 0; k < reader->n_inputs; k++) {
      if (reader->inputs[k].node == node) {
        layer.n_outputs = MAX(layer.n_outputs, reader->inputs[k].port + 1);
      }
    }
  }
  if (!collect_fields(node, domain, type, fields, error)) {
    return FALSE;
  }
  InferNode *added = parsers_plugin_add(im->network, &layer, error);
  for (guint i = 0; added && i < added->n_outputs; i++) {
    tf_out(node, i, added->outputs[i]);
  }
  return added != NULL;
}

const TfOp tf_op_plugin = {"plugin", emit_plugin};
