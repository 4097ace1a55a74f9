/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/plugin.h>
#include "backend.h"

G_BEGIN_DECLS

/**
 * InferPlugin: a layer that was registered. Lives as long as the process.
 * @op: what the engine sees of it; first, so that the one is the other
 * @creator: what the plugin said
 * @library: path or name of what registered it
 * @fallbacks: values of the fields that may be left out
 * @impls: (element-type InferPluginStep): %NULL-terminated; replaced as a whole, never changed
 */
typedef struct {
  InferOp op;
  const InferPluginCreator *creator;
  char *id;
  char *library;
  GHashTable *fallbacks;
  gpointer *impls;
} InferPlugin;

/** InferPluginStep: an implementation as the engine sees it; first, so that the one is the other.
 */
typedef struct {
  InferImpl impl;
  const InferPluginImpl *plugin;
  char *name;
} InferPluginStep;

/* plugin.c: the registry */

/** The layer of an operator. */
static inline const InferPlugin *
infer_plugin_of(const InferOp *op)
{
  return (op->flags & INFER_OP_PLUGIN) ? (const InferPlugin *)op : NULL;
}

/** The layer's implementations, %NULL-terminated; others may be added meanwhile. */
static inline const InferPluginStep *const *
infer_plugin_impls(const InferPlugin *plugin)
{
  static const InferPluginStep *const none = NULL;
  gpointer *list = g_atomic_pointer_get(&((InferPlugin *)plugin)->impls);

  return list ? (const InferPluginStep *const *)(gpointer)list : &none;
}

/** infer_plugin_op: Returns: (nullable): the operator "namespace.Name", of the newest version, or
 *  "namespace.Name@version". Loads the search directories where it is not known. */
const InferOp *infer_plugin_op(const char *name);

/** infer_plugin_unknown: Returns: (transfer full): why a layer cannot be had and what to do;
 *  @version 0 for any. */
char *infer_plugin_unknown(const char *id, guint version);

/** Whether an operator's name is one of a plugin, registered or not. */
gboolean infer_plugin_is_id(const char *name);

/* plugin-check.c */

/** Checks all that a creator says. */
gboolean infer_plugin_check_creator(const InferPluginCreator *creator, GError **error);
gboolean infer_plugin_check_impl(const InferPluginImpl *impl, GError **error);
/** The value of a field that is left out. Returns: (transfer full) (nullable): %NULL without
 *  @error where there is none. */
GVariant *infer_plugin_parse_fallback(const InferPluginField *field, GError **error);

/* plugin-fields.c */

/** Fields in the types of the layer, with what was left out. Returns: (transfer full) (nullable) */
GVariant *infer_plugin_fields(const InferPlugin *plugin, const char *node, GVariant *given,
                              GError **error);

/* plugin-op.c: what the engine calls */

/** Fills the operator of a layer. */
void infer_plugin_init_op(InferPlugin *plugin);
/** Fills an implementation. */
void infer_plugin_init_step(InferPluginStep *step, const char *id, const InferPluginImpl *impl);

/** infer_plugin_choose: Returns: (nullable): the first implementation of the step's anchor that
 *  supports it; fills the layouts. */
const InferImpl *infer_plugin_choose(InferDevice *device, const InferStep *step,
                                     InferLayout *inputs, InferLayout *outputs);
/** infer_plugin_find_impl: Returns: (nullable): the implementation of that name. */
const InferImpl *infer_plugin_find_impl(InferDevice *device, const InferOp *op, const char *name);

/** The first node of a step that has no reference. */
const InferNode *infer_step_find_opaque(const InferStep *step);

G_END_DECLS
