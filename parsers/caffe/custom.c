/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "../plugin.h"

/*
 * Layers of branches of Caffe that nobody here knows. Where a plugin has their type, the values of
 * their message "..._param" in the prototxt become its fields, and their weights constant inputs
 * behind the bottoms.
 */

/* A layer in Python is of the type of its class. */
static const char *
plugin_type(const CaffeLayer *layer)
{
  const InferCaffe__PythonParameter *p = layer->def->python_param;

  return g_strcmp0(layer->def->type, "Python") == 0 ? p ? p->layer : NULL : layer->def->type;
}

gboolean
caffe_custom_is(const CaffeLayer *layer)
{
  const char *type = plugin_type(layer);

  return type && type[0] && g_utf8_validate(type, -1, NULL) && parsers_plugin_is(NULL, type);
}

gboolean
caffe_custom_check(const CaffeImport *im, const CaffeLayer *layer, GError **error)
{
  for (guint i = 0; i < im->net->custom->len; i++) {
    const PrototextCustom *custom = im->net->custom->pdata[i];
    if (custom->message == &layer->def->base) {
      return caffe_error(error, INFER_ERROR_MODEL, "line %u: LayerParameter has no field '%s'",
                         custom->line, custom->name);
    }
  }
  return TRUE;
}

/* The weights that the model has for the layer, in the file's dimensions. */
static gboolean
add_weights(CaffeImport *im, const CaffeLayer *layer, GPtrArray *inputs, GError **error)
{
  const CaffeDef *def =
      im->weights ? g_hash_table_lookup(im->weights_of, layer->def->name ? layer->def->name : "")
                  : NULL;

  for (gsize i = 0; def && i < def->n_blobs; i++) {
    InferDims dims = INFER_DIMS_SCALAR;
    if (caffe_blob_count(def->blobs[i], &dims) < 0) {
      return caffe_error(error, INFER_ERROR_MODEL,
                         "the dimensions of its weights %" G_GSIZE_FORMAT " are damaged", i);
    }
    g_autoptr(InferArray) array = caffe_blob_array(im->weights, def->blobs[i], &dims, error);
    if (!array) {
      return FALSE;
    }
    g_ptr_array_add(inputs, infer_network_add_constant(im->network, NULL, array));
  }
  return TRUE;
}

/* The parameters of a layer in Python: the whole text where the plugin has a field for it, else
 * each of them. */
static gboolean
add_python(const CaffeLayer *layer, GHashTable *fields, GError **error)
{
  const InferCaffe__PythonParameter *p = layer->def->python_param;
  const char *type = plugin_type(layer);
  g_autofree char *module = p->module ? g_utf8_make_valid(p->module, -1) : NULL;
  g_autofree char *text = p->param_str ? g_utf8_make_valid(p->param_str, -1) : NULL;

  if (module && parsers_plugin_has_field(NULL, type, "module")) {
    parsers_fields_add(fields, "module", g_variant_new_string(module));
  }
  if (text && parsers_plugin_has_field(NULL, type, "param_str")) {
    parsers_fields_add(fields, "param_str", g_variant_new_string(text));
    return TRUE;
  }
  return !text || caffe_param_string(text, fields, error);
}

gboolean
caffe_custom_emit(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  g_autoptr(GHashTable) fields = parsers_fields_new();
  g_autofree char *name =
      g_utf8_make_valid(layer->def->name ? layer->def->name : layer->def->type, -1);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  for (guint i = 0; i < layer->n_in; i++) {
    g_ptr_array_add(inputs, layer->in[i]);
  }
  if (!add_weights(im, layer, inputs, error) ||
      (g_str_equal(layer->def->type, "Python") && !add_python(layer, fields, error))) {
    return FALSE;
  }
  for (guint i = 0; i < im->net->custom->len; i++) {
    const PrototextCustom *custom = im->net->custom->pdata[i];
    if (custom->message != &layer->def->base) {
      continue;
    }
    g_variant_iter_init(&iter, custom->fields);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value)) {
      parsers_fields_add(fields, key, value);
    }
  }
  ParsersLayer plugin = {.type = plugin_type(layer),
                         .name = name,
                         .fields = fields,
                         .inputs = (InferTensor *const *)inputs->pdata,
                         .n_inputs = inputs->len,
                         .n_outputs = layer->n_out};
  InferNode *node = parsers_plugin_add(im->network, &plugin, error);
  for (guint i = 0; node && i < layer->n_out; i++) {
    caffe_top(layer, i, node->outputs[i]);
  }
  return node != NULL;
}
