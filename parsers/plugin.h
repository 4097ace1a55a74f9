/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

G_BEGIN_DECLS

/*
 * Layers of a model that no parser knows and that a plugin has. What the layers are called differs:
 * ONNX says a domain, the others only a type, which then has to be unique among the plugins.
 */

/**
 * ParsersLayer: a layer of an unknown type.
 * @domain: (nullable): namespace
 * @type: type
 * @version: greatest version of the plugin that is meant; 0 for the newest
 * @name: name of the node
 * @fields: (element-type utf8 GVariant): what the model says of it; the helper adds to and takes
 *   from it
 * @inputs: inputs; %NULL where absent
 */
typedef struct {
  const char *domain;
  const char *type;
  guint version;
  const char *name;
  GHashTable *fields;
  InferTensor *const *inputs;
  guint n_inputs;
  guint n_outputs;
} ParsersLayer;

/** parsers_fields_new: an empty table for ParsersLayer.fields. */
GHashTable *parsers_fields_new(void);
/** parsers_fields_add: @value is sunk. */
void parsers_fields_add(GHashTable *fields, const char *name, GVariant *value);

/** parsers_plugin_is: whether there is a plugin for a type, of whatever version. */
gboolean parsers_plugin_is(const char *domain, const char *type);

/** parsers_plugin_has_field: whether that plugin has a field. */
gboolean parsers_plugin_has_field(const char *domain, const char *type, const char *name);

/**
 * parsers_plugin_add: adds the layer. As in TensorRT the fields "plugin_version" and
 * "plugin_namespace" choose the plugin where it has none of these names.
 *
 * Returns: (transfer none) (nullable): the node, or %NULL with @error
 */
InferNode *parsers_plugin_add(InferNetwork *network, ParsersLayer *layer, GError **error);

/** parsers_op_key: Returns: (transfer full): what infer_network_add_node() calls the operator of
 *  @node, of the version that it has. */
char *parsers_op_key(const InferNode *node);

G_END_DECLS
