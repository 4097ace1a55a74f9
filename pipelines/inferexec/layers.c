/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <string.h>

/* What one of --layerPrecisions or --layerDevices says of layers whose names match. */
typedef struct {
  char *name;
  GPatternSpec *pattern; /* (nullable): where the name has a * */
  const char *value;     /* behind the last colon */
  guint matches;
} Rule;

typedef gboolean (*ApplyFunc)(InferNode *node, const char *value, GError **error);

static void
rule_free(gpointer data)
{
  Rule *rule = data;

  g_free(rule->name);
  g_clear_pointer(&rule->pattern, g_pattern_spec_free);
  g_free(rule);
}

static gboolean
apply_precision(InferNode *node, const char *value, GError **error)
{
  InferType type = strcmp(value, "fp32") == 0   ? INFER_TYPE_FLOAT
                   : strcmp(value, "fp16") == 0 ? INFER_TYPE_FLOAT16
                                                : INFER_TYPE_BFLOAT16;
  return infer_node_set_precision(node, type, error);
}

static gboolean
apply_device(InferNode *node, const char *value, GError **error)
{
  return infer_node_set_device(node, strcmp(value, "host") == 0 ? "host" : NULL, error);
}

static GPtrArray *
parse_rules(const char *flag, char **items, const char *const *values, GError **error)
{
  g_autoptr(GPtrArray) rules = g_ptr_array_new_with_free_func(rule_free);

  for (char **item = items; *item != NULL; item++) {
    const char *colon = strrchr(*item, ':');
    if (colon == NULL || colon == *item || !g_strv_contains(values, colon + 1)) {
      g_autofree char *allowed = g_strjoinv(", ", (char **)values);
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "--%s=%s: allowed is NAME:VALUE with one of %s, more of them with commas between",
                  flag, *item, allowed);
      return NULL;
    }
    Rule *rule = g_new0(Rule, 1);
    rule->name = g_strndup(*item, (gsize)(colon - *item));
    rule->value = colon + 1;
    if (strchr(rule->name, '*') != NULL)
      rule->pattern = g_pattern_spec_new(rule->name);
    g_ptr_array_add(rules, rule);
  }
  return g_steal_pointer(&rules);
}

/* The last rule with the very name, else the last whose pattern matches. */
static Rule *
find_rule(GPtrArray *rules, const char *name)
{
  Rule *found = NULL;

  for (guint i = 0; i < rules->len; i++) {
    Rule *rule = rules->pdata[i];
    gboolean matches = rule->pattern != NULL ? g_pattern_spec_match_string(rule->pattern, name)
                                             : strcmp(rule->name, name) == 0;
    rule->matches += matches;
    if (matches && (found == NULL || rule->pattern == NULL || found->pattern != NULL))
      found = rule;
  }
  return found;
}

static gboolean
apply_rules(const char *flag, char **items, const char *const *values, ApplyFunc apply,
            InferNetwork *network, GError **error)
{
  if (items == NULL)
    return TRUE;
  g_autoptr(GPtrArray) rules = parse_rules(flag, items, values, error);
  if (rules == NULL)
    return FALSE;
  guint n = infer_network_get_n_nodes(network);
  for (guint i = 0; i < n; i++) {
    InferNode *node = infer_network_get_node(network, i);
    const Rule *rule = find_rule(rules, node->name);
    if (rule != NULL && !apply(node, rule->value, error))
      return FALSE;
  }
  for (guint i = 0; i < rules->len; i++) {
    const Rule *rule = rules->pdata[i];
    if (rule->matches != 0)
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s: no layer %s '%s'; --dumpLayerInfo prints their names", flag,
                rule->pattern != NULL ? "matches" : "is called", rule->name);
    return FALSE;
  }
  return TRUE;
}

gboolean
exec_layers_set(const ExecArgs *args, InferNetwork *network, GError **error)
{
  static const char *const precisions[] = {"fp32", "fp16", "bf16", NULL};
  static const char *const devices[] = {"host", "device", NULL};

  return apply_rules("layerPrecisions", args->layer_precisions, precisions, apply_precision,
                     network, error) &&
         apply_rules("layerDevices", args->layer_devices, devices, apply_device, network, error);
}
