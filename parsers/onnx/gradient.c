/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gradient.h"

#include <string.h>

/*
 * Gradient: the nodes between some tensors and one that is computed from them are written out once
 * more with the node's inputs in the place of those tensors, and then differentiated backwards,
 * from the result on (Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976). What
 * comes of it is operators again, which a further Gradient can differentiate.
 */

/* --- what is differentiated --- */

static char **
names_of(const OnnxCall *call, const char *name)
{
  g_autoptr(GVariant) list = g_variant_dict_lookup_value(call->dict, name, G_VARIANT_TYPE("as"));

  return list ? g_variant_dup_strv(list, NULL) : g_new0(char *, 1);
}

/* A tensor of its own, so that a constant is a variable, and one that is given twice is two. */
static InferTensor *
variable(OnnxImport *im, const OnnxCall *call, InferTensor *x, GError **error)
{
  g_autofree char *name = g_strdup_printf("%s/variable", call->name);
  InferNode *node = infer_network_add_node(im->network, "Identity", name, &x, 1, NULL, 1, error);

  return node ? node->outputs[0] : NULL;
}

static gboolean
bind_variables(OnnxImport *im, const OnnxCall *call, OnnxScope *scope, char **xs, char **zs,
               InferTensor **variables, GError **error)
{
  guint n = g_strv_length(xs);

  if (n == 0 || call->in->len != n + g_strv_length(zs)) {
    return onnx_error(error, INFER_ERROR_MODEL, "%u inputs do not fit %u xs and %u zs",
                      call->in->len, n, g_strv_length(zs));
  }
  for (guint i = 0; i < call->in->len; i++) {
    InferTensor *x = onnx_require(call, i, error);
    if (x && i < n) {
      variables[i] = x = variable(im, call, x, error);
    }
    if (!x || !onnx_bind(scope, i < n ? xs[i] : zs[i - n], onnx_value(im, ONNX_TENSOR, x), error)) {
      return FALSE;
    }
  }
  return TRUE;
}

/* The graph's nodes without those that would compute a variable. */
static GPtrArray *
other_nodes(const OnnxScope *graph, const OnnxScope *scope)
{
  GPtrArray *nodes = g_ptr_array_new();

  for (gsize i = 0; i < graph->n_nodes; i++) {
    InferOnnx__Node *node = graph->nodes[i];
    gboolean bound = FALSE;
    for (gsize k = 0; k < node->n_output; k++) {
      bound = bound || g_hash_table_contains(scope->values, node->output[k]);
    }
    if (!bound) {
      g_ptr_array_add(nodes, node);
    }
  }
  return nodes;
}

static InferTensor *
write_out(OnnxImport *im, const OnnxCall *call, OnnxScope *scope, const char *y, GError **error)
{
  const char *const wanted[] = {y, NULL};
  g_autoptr(GPtrArray) nodes = other_nodes(call->scope, scope);

  if (!onnx_import_nodes(im, scope, (InferOnnx__Node **)nodes->pdata, nodes->len, wanted, error)) {
    return NULL;
  }
  const OnnxValue *value = onnx_lookup(scope, y);
  if (value && value->kind == ONNX_FAILED) {
    return NULL;
  }
  if (!value || value->kind != ONNX_TENSOR) {
    onnx_error(error, INFER_ERROR_MODEL, "y, '%s', is no tensor of the graph", y);
    return NULL;
  }
  return value->tensor;
}

/* --- backwards --- */

static gboolean
add_up(OnnxGradient *g, InferTensor *tensor, InferTensor *part, GError **error)
{
  InferTensor *sum = g_hash_table_lookup(g->sums, tensor);

  if (part && sum) {
    part = onnx_add2(g->im, g->call, "sum", "Add", NULL, sum, part, error);
  }
  if (part) {
    g_hash_table_insert(g->sums, tensor, part);
  }
  return part != NULL;
}

static gboolean
pass_back(OnnxGradient *g, const InferNode *node, GError **error)
{
  const char *op = infer_node_get_op_name(node);
  InferTensor *dy = g_hash_table_lookup(g->sums, node->outputs[0]);

  for (guint i = 1; i < node->n_outputs; i++) {
    if (g_hash_table_lookup(g->sums, node->outputs[i])) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                        "the derivative of output %u of %s is not known", i, op);
    }
  }
  for (guint i = 0; dy && i < node->n_inputs; i++) {
    if (!node->inputs[i] || !g_hash_table_contains(g->active, node->inputs[i])) {
      continue;
    }
    OnnxDerivative derivative = onnx_derivative(op);
    if (!derivative) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED, "the derivative of %s is not known", op);
    }
    if (!add_up(g, node->inputs[i], derivative(g, node, i, dy, error), error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static void
mark_active(OnnxGradient *g, guint first, guint end)
{
  for (guint i = first; i < end; i++) {
    const InferNode *node = infer_network_get_node(g->im->network, i);
    gboolean active = FALSE;
    for (guint k = 0; k < node->n_inputs; k++) {
      active = active || (node->inputs[k] && g_hash_table_contains(g->active, node->inputs[k]));
    }
    for (guint k = 0; active && k < node->n_outputs; k++) {
      g_hash_table_add(g->active, node->outputs[k]);
    }
  }
}

static InferTensor *
filled(OnnxGradient *g, InferTensor *like, double value, GError **error)
{
  InferTensor *shape = onnx_add1(g->im, g->call, "shape", "Shape", NULL, like, error);

  return shape ? onnx_add2(g->im, g->call, "filled", "Expand", NULL,
                           onnx_const_scalar(g->im, g->call, "value", like->type, value), shape,
                           error)
               : NULL;
}

/* Nodes were added in an order in which each reads what came before it. */
static gboolean
differentiate(OnnxGradient *g, guint first, InferTensor *y, GError **error)
{
  guint end = infer_network_get_n_nodes(g->im->network);

  mark_active(g, first, end);
  if (!add_up(g, y, filled(g, y, 1, error), error)) {
    return FALSE;
  }
  for (guint i = end; i > first; i--) {
    const InferNode *node = infer_network_get_node(g->im->network, i - 1);
    if (g_hash_table_contains(g->active, node->outputs[0]) && !pass_back(g, node, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
onnx_gradient(OnnxImport *im, OnnxCall *call, GError **error)
{
  g_autofree char *prefix = g_strdup_printf("%s/", call->name);
  g_autoptr(OnnxScope) scope = onnx_scope_new(call->scope, prefix);
  g_autoptr(GHashTable) sums = g_hash_table_new(NULL, NULL);
  g_autoptr(GHashTable) active = g_hash_table_new(NULL, NULL);
  g_auto(GStrv) xs = names_of(call, "xs"), zs = names_of(call, "zs");
  g_autofree InferTensor **variables = g_new0(InferTensor *, g_strv_length(xs) + 1);
  g_autofree char *target = onnx_string(call, "y", "");
  OnnxGradient g = {im, call, sums, active};

  if (!bind_variables(im, call, scope, xs, zs, variables, error)) {
    return FALSE;
  }
  guint first = infer_network_get_n_nodes(im->network);
  InferTensor *y = write_out(im, call, scope, target, error);
  if (!y) {
    return FALSE;
  }
  for (guint i = 0; xs[i]; i++) {
    g_hash_table_add(active, variables[i]);
  }
  if (!differentiate(&g, first, y, error)) {
    return FALSE;
  }
  for (guint i = 0; xs[i] && i < call->n_outputs; i++) {
    InferTensor *dx = g_hash_table_lookup(sums, variables[i]);
    if (!onnx_out(im, call, i, dx ? dx : filled(&g, variables[i], 0, error))) {
      return FALSE;
    }
  }
  return TRUE;
}

const OnnxRule onnx_rules_training[] = {
    {"Gradient", 0, onnx_gradient},
    {NULL, 0, NULL},
};
