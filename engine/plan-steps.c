/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a plan that say how its network is run. */
#include "plan-reader.h"
#include "plugin-private.h"

static const InferImpl *
find_impl(InferDevice *device, const InferNode *anchor, const char *name)
{
  if (g_str_equal(name, infer_impl_reference.name))
    return &infer_impl_reference;
  if (g_str_equal(name, infer_impl_reformat.name))
    return &infer_impl_reformat;
  return infer_plugin_of(anchor->op) ? infer_plugin_find_impl(device, anchor->op, name)
                                     : infer_device_find_impl(device, anchor->op->name, name);
}

gboolean
infer_plan_read_steps(InferPlanReader *self, InferProgram *program, InferDevice *device,
                      GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "steps", INFER_PLAN_STEPS, error);
  guint at = 0, n_nodes = infer_network_get_n_nodes(self->network);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    const char *name, *impl;
    guint32 n, anchor;
    g_autofree InferNode **nodes = NULL;
    InferStep *step;

    g_variant_get_child(part, i, "(&suu&s)", &name, &n, &anchor, &impl);
    if (n == 0 || n > n_nodes - at || anchor >= n)
      return infer_plan_damaged(self->source, error, "step '%s' has an impossible number of nodes",
                                name);
    nodes = g_new(InferNode *, n);
    for (guint j = 0; j < n; j++)
      nodes[j] = infer_network_get_node(self->network, at++);
    step = infer_step_new(nodes, n, anchor);
    g_ptr_array_add(program->steps, step);
    if (!*impl)
      continue;
    step->impl = find_impl(device, nodes[anchor], impl);
    if (!step->impl) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                  "plan '%s', step '%s': device %s has no implementation '%s'; %s", self->source,
                  name, device->name, impl,
                  infer_plugin_of(nodes[anchor]->op)
                      ? "load the plugin's library that brings it (--plugins, INFER_PLUGIN_PATH), "
                        "or build the plan again"
                      : "build the plan again on this machine");
      return FALSE;
    }
  }
  if (part && at != n_nodes)
    return infer_plan_damaged(self->source, error, "some nodes belong to no step");
  return part != NULL;
}

static gboolean
read_choice(InferPlanReader *self, const InferStep *step, InferDevice *device, GVariant *item,
            InferChoice *choice, GError **error)
{
  const char *impl, *tactic;

  g_variant_get(item, "(&s&s)", &impl, &tactic);
  choice->tactic = *tactic ? g_strdup(tactic) : NULL;
  if (!*impl)
    return TRUE;
  choice->impl = step->impl ? find_impl(device, step->nodes[step->anchor], impl) : NULL;
  return choice->impl ||
         infer_plan_damaged(self->source, error, "step '%s' is tuned for '%s', which cannot run it",
                            step->name, impl);
}

static gboolean
read_tuning(InferPlanReader *self, InferProgram *program, InferDevice *device, GVariant *item,
            GError **error)
{
  g_autoptr(GVariant) numbers = NULL;
  g_autoptr(GVariant) list = NULL;
  InferSymbolValues values = {{0}};
  InferTuning *tuning;
  const gint64 *numbers_data;
  gsize n;

  g_variant_get(item, "(@ax@a(ss))", &numbers, &list);
  numbers_data = g_variant_get_fixed_array(numbers, &n, 8);
  if (n > INFER_MAX_SYMBOLS || g_variant_n_children(list) != program->steps->len)
    return infer_plan_damaged(self->source, error, "a tuning is for another network");
  for (gsize i = 0; i < n; i++)
    values.values[i] = numbers_data[i];
  tuning = infer_tuning_new(&values, program->steps->len);
  g_ptr_array_add(program->tunings, tuning);
  for (guint i = 0; i < tuning->n; i++) {
    g_autoptr(GVariant) choice = g_variant_get_child_value(list, i);
    if (!read_choice(self, program->steps->pdata[i], device, choice, &tuning->choices[i], error))
      return FALSE;
  }
  return TRUE;
}

/* Tactics mean something on the device and with the libraries that they were measured on. */
gboolean
infer_plan_read_tunings(InferPlanReader *self, InferProgram *program, InferDevice *device,
                        GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "tunings", INFER_PLAN_TUNINGS, error);
  const char *key = NULL;

  if (!part)
    return FALSE;
  program->tunings = g_ptr_array_new_with_free_func(infer_tuning_free);
  if (!g_variant_lookup(self->table, "device-key", "&s", &key) || !g_str_equal(key, device->key))
    return TRUE;
  for (gsize i = 0; i < g_variant_n_children(part); i++) {
    g_autoptr(GVariant) item = g_variant_get_child_value(part, i);
    if (!read_tuning(self, program, device, item, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
infer_plan_read_packs(InferPlanReader *self, InferEngine *engine, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "packs", INFER_PLAN_PACKS, error);
  const char *key = NULL;

  if (!part)
    return FALSE;
  if (!g_variant_lookup(self->table, "device-key", "&s", &key) ||
      !g_str_equal(key, engine->device->key)) {
    g_info("plan '%s' was made for '%s', this is '%s': weights are packed again", self->source,
           key ? key : "", engine->device->key);
    return TRUE;
  }
  for (gsize i = 0; i < g_variant_n_children(part); i++) {
    guint32 tensor;
    gint blob;
    g_autoptr(GVariant) bytes = NULL;
    g_autoptr(GBytes) pack_key = NULL;

    g_variant_get_child(part, i, "(u@ayi)", &tensor, &bytes, &blob);
    pack_key = g_variant_get_data_as_bytes(bytes);
    if (!infer_plan_blob(self, blob))
      return infer_plan_damaged(self->source, error, "packed weights lie outside the file");
    infer_packs_add(engine->packs, tensor, pack_key, infer_plan_blob(self, blob));
  }
  return TRUE;
}

gboolean
infer_plan_read_timings(InferPlanReader *self, InferEngine *engine, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "timings", INFER_PLAN_TIMINGS, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    InferTiming timing;
    g_variant_get_child(part, i, "(ut)", &timing.batch, &timing.nanoseconds);
    g_array_append_val(engine->timings, timing);
  }
  return part != NULL;
}
