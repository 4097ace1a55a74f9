/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* AttributeProto.AttributeType */
enum { AT_FLOAT = 1, AT_INT, AT_STRING, AT_TENSOR, AT_GRAPH, AT_FLOATS, AT_INTS, AT_STRINGS };

/* Old writers left the type out. */
static gint
attr_type(const InferOnnx__Attr *attr)
{
  if (attr->has_type && attr->type > 0) {
    return attr->type;
  }
  return attr->has_f       ? AT_FLOAT
         : attr->has_i     ? AT_INT
         : attr->has_s     ? AT_STRING
         : attr->t         ? AT_TENSOR
         : attr->g         ? AT_GRAPH
         : attr->n_floats  ? AT_FLOATS
         : attr->n_strings ? AT_STRINGS
                           : AT_INTS;
}

static GVariant *
float_list(const InferOnnx__Attr *attr)
{
  g_autofree double *list = g_new(double, attr->n_floats + 1);

  for (gsize i = 0; i < attr->n_floats; i++) {
    list[i] = (double)attr->floats[i];
  }
  return g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, list, attr->n_floats, sizeof *list);
}

static GVariant *
string_list(const InferOnnx__Attr *attr)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE("as"));
  for (gsize i = 0; i < attr->n_strings; i++) {
    g_variant_builder_add_value(&builder, g_variant_new_take_string(onnx_text(&attr->strings[i])));
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
int_list(const InferOnnx__Attr *attr)
{
  return g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, attr->ints, attr->n_ints, sizeof(gint64));
}

/* Returns: (nullable): NULL for what the engine has no attributes of. */
static GVariant *
attr_variant(const InferOnnx__Attr *attr)
{
  switch (attr_type(attr)) {
  case AT_FLOAT:
    return g_variant_new_double(attr->has_f ? (double)attr->f : 0);
  case AT_INT:
    return g_variant_new_int64(attr->has_i ? attr->i : 0);
  case AT_STRING:
    return attr->has_s ? g_variant_new_take_string(onnx_text(&attr->s)) : g_variant_new_string("");
  case AT_FLOATS:
    return float_list(attr);
  case AT_INTS:
    return int_list(attr);
  case AT_STRINGS:
    return string_list(attr);
  default:
    return NULL;
  }
}

/* The attribute that a function was called with, for one that refers to it. */
static const InferOnnx__Attr *
resolve(const OnnxScope *scope, const InferOnnx__Attr *attr)
{
  if (!attr->ref_attr_name || !attr->ref_attr_name[0]) {
    return attr;
  }
  return scope->attrs ? g_hash_table_lookup(scope->attrs, attr->ref_attr_name) : NULL;
}

gboolean
onnx_collect_attrs(OnnxCall *call, GError **error)
{
  call->attrs = g_hash_table_new(g_str_hash, g_str_equal);
  call->dict = g_variant_dict_new(NULL);
  for (gsize i = 0; i < call->def->n_attribute; i++) {
    const InferOnnx__Attr *named = call->def->attribute[i];
    const InferOnnx__Attr *attr = resolve(call->scope, named);
    /* A reference to an attribute that the call does not give is an attribute that is absent. */
    if (!attr) {
      continue;
    }
    if (!named->name || !named->name[0] || !g_utf8_validate(named->name, -1, NULL)) {
      return onnx_error(error, INFER_ERROR_MODEL, "an attribute has no name");
    }
    if (!g_hash_table_insert(call->attrs, named->name, (gpointer)attr)) {
      return onnx_error(error, INFER_ERROR_MODEL, "the attribute '%s' is given twice", named->name);
    }
    GVariant *value = attr_variant(attr);
    if (value) {
      g_variant_dict_insert_value(call->dict, named->name, value);
    }
  }
  return TRUE;
}

const InferOnnx__Attr *
onnx_attr(const OnnxCall *call, const char *name)
{
  return g_hash_table_lookup(call->attrs, name);
}

const InferOnnx__Graph *
onnx_attr_graph(const OnnxCall *call, const char *name, GError **error)
{
  const InferOnnx__Attr *attr = onnx_attr(call, name);

  if (!attr || !attr->g) {
    onnx_error(error, INFER_ERROR_MODEL, "the graph '%s' is missing", name);
    return NULL;
  }
  return attr->g;
}

gint64
onnx_int(const OnnxCall *call, const char *name, gint64 fallback)
{
  gint64 value = fallback;

  return g_variant_dict_lookup(call->dict, name, "x", &value) ? value : fallback;
}

double
onnx_float(const OnnxCall *call, const char *name, double fallback)
{
  double value = fallback;

  return g_variant_dict_lookup(call->dict, name, "d", &value) ? value : fallback;
}

char *
onnx_string(const OnnxCall *call, const char *name, const char *fallback)
{
  char *value = NULL;

  return g_variant_dict_lookup(call->dict, name, "s", &value) ? value : g_strdup(fallback);
}

gint64 *
onnx_ints(const OnnxCall *call, const char *name, gsize *n)
{
  g_autoptr(GVariant) value = g_variant_dict_lookup_value(call->dict, name, G_VARIANT_TYPE("ax"));

  *n = 0;
  if (!value) {
    return NULL;
  }
  gconstpointer list = g_variant_get_fixed_array(value, n, sizeof(gint64));
  gint64 *copy = g_new0(gint64, *n + 1);
  if (*n > 0) {
    memcpy(copy, list, *n * sizeof(gint64));
  }
  return copy;
}

gboolean
onnx_has(const OnnxCall *call, const char *name)
{
  return g_variant_dict_contains(call->dict, name);
}

void
onnx_drop(OnnxCall *call, const char *name)
{
  g_variant_dict_remove(call->dict, name);
}

void
onnx_set_int(OnnxCall *call, const char *name, gint64 value)
{
  g_variant_dict_insert_value(call->dict, name, g_variant_new_int64(value));
}

void
onnx_set_string(OnnxCall *call, const char *name, const char *value)
{
  g_variant_dict_insert_value(call->dict, name, g_variant_new_string(value));
}
