/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "../plugin.h"

#include <op.h>
#include <string.h>

/* The newest opset whose operators are known. */
#define MAX_OPSET 28

static const OnnxRule *const standard[] = {
    onnx_rules_control, onnx_rules_constant,  onnx_rules_sequence,
    onnx_rules_math,    onnx_rules_shape,     onnx_rules_resize,
    onnx_rules_nn,      onnx_rules_attention, NULL,
};
static const OnnxRule *const learning[] = {onnx_rules_ml, NULL};
static const OnnxRule *const preview[] = {onnx_rules_preview, NULL};
static const OnnxRule *const training[] = {onnx_rules_training, NULL};
static const OnnxRule *const microsoft[] = {onnx_rules_microsoft, NULL};

typedef struct {
  const char *domain;
  const OnnxRule *const *rules;
  gboolean has_ops; /* the engine's operators are this domain's */
} Domain;

static const Domain domains[] = {
    {"", standard, TRUE},
    {"ai.onnx.ml", learning, TRUE},
    {"ai.onnx.preview", preview, FALSE},
    {"ai.onnx.preview.training", training, TRUE},
    {"com.microsoft", microsoft, FALSE},
};

static const Domain *
find_domain(const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS(domains); i++) {
    if (g_str_equal(domains[i].domain, name)) {
      return &domains[i];
    }
  }
  return NULL;
}

static const char *
domain_of(const InferOnnx__Node *node)
{
  return !node->domain || g_str_equal(node->domain, "ai.onnx") ? "" : node->domain;
}

static gint64
opset_of(const OnnxScope *scope, const char *domain)
{
  const gint64 *version = g_hash_table_lookup(scope->opsets, domain);
  return version ? *version : 1;
}

static gboolean
has_rule(const OnnxRule *const *tables, const char *op)
{
  for (; tables && *tables; tables++) {
    for (const OnnxRule *rule = *tables; rule->op; rule++) {
      if (g_str_equal(rule->op, op)) {
        return TRUE;
      }
    }
  }
  return FALSE;
}

/* What nothing of ours can be: a node of a domain of the plugin's, or of ONNX's own, where
 * exporters put operators for TensorRT's plugins. */
static gboolean
is_plugin(const Domain *domain, const InferOnnx__Node *node)
{
  const char *op = node->op_type ? node->op_type : "";

  if (domain &&
      (has_rule(domain->rules, op) || (domain->has_ops && !strchr(op, '.') && infer_op_find(op)))) {
    return FALSE;
  }
  return op[0] && g_utf8_validate(op, -1, NULL) && g_utf8_validate(domain_of(node), -1, NULL) &&
         parsers_plugin_is(domain_of(node), op);
}

static gboolean
check_supported(const OnnxImport *im, const OnnxScope *scope, const InferOnnx__Node *node,
                GError **error)
{
  const char *op = node->op_type ? node->op_type : "";
  const Domain *domain = find_domain(domain_of(node));

  if (onnx_model_function(im->model, domain_of(node), op, node->overload)) {
    return TRUE;
  }
  if (is_plugin(domain, node)) {
    return TRUE;
  }
  if (!domain) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the model has no function of that name, and neither the domain is known nor "
                      "a plugin '%s.%s' registered (--plugins=LIBRARY, INFER_PLUGIN_PATH)",
                      domain_of(node), op);
  }
  if (g_str_equal(domain->domain, "") && opset_of(scope, "") > MAX_OPSET) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the opset is newer than %d; export the model with an older one", MAX_OPSET);
  }
  if (has_rule(domain->rules, op) || (domain->has_ops && !strchr(op, '.') && infer_op_find(op))) {
    return TRUE;
  }
  return onnx_error(error, INFER_ERROR_UNSUPPORTED, "this operator is not supported");
}

void
onnx_problem(OnnxImport *im, const OnnxScope *scope, const InferOnnx__Node *node, GError *error)
{
  const char *domain = domain_of(node);
  g_autofree char *name = onnx_valid(node->name && node->name[0] ? node->name
                                     : node->n_output            ? node->output[0]
                                                                 : "");

  if (g_hash_table_add(im->named, (gpointer)node)) {
    g_ptr_array_add(im->culprits, (gpointer)node);
    if (im->problems->len == 0) {
      im->problem_code = error->code;
    }
    g_ptr_array_add(im->problems,
                    g_strdup_printf("'%s%s' (%s of %s %" G_GINT64_FORMAT "): %s", scope->prefix,
                                    name, node->op_type ? node->op_type : "?",
                                    domain[0] ? domain : "opset", opset_of(scope, domain),
                                    error->message));
  }
  g_error_free(error);
}

void
onnx_forget(OnnxImport *im, guint n)
{
  for (guint i = n; i < im->culprits->len; i++) {
    g_hash_table_remove(im->named, im->culprits->pdata[i]);
  }
  g_ptr_array_set_size(im->culprits, (gint)MIN(n, im->culprits->len));
  g_ptr_array_set_size(im->problems, (gint)MIN(n, im->problems->len));
}

static void
call_clear(OnnxCall *call)
{
  g_free(call->name);
  g_clear_pointer(&call->attrs, g_hash_table_unref);
  g_clear_pointer(&call->dict, g_variant_dict_unref);
  g_clear_pointer(&call->values, g_ptr_array_unref);
  g_clear_pointer(&call->in, g_ptr_array_unref);
  g_free(call->out);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OnnxCall, call_clear)

/* Returns: FALSE with @error unset where an input's problem is known already. */
static gboolean
take_inputs(OnnxImport *im, OnnxCall *call, GError **error)
{
  gboolean good = TRUE;

  call->values = g_ptr_array_new();
  call->in = g_ptr_array_new();
  for (gsize i = 0; i < call->def->n_input; i++) {
    const char *name = call->def->input[i];
    OnnxValue *value = name[0] ? onnx_lookup(call->scope, name) : NULL;
    if (name[0] && !value) {
      g_autofree char *valid = onnx_valid(name);
      return onnx_error(error, INFER_ERROR_MODEL, "its input '%s' is not in the graph", valid);
    }
    if (value && value->kind == ONNX_MISSING) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                        "it reads '%s', an output that is not supported", name);
    }
    good = good && (!value || value->kind != ONNX_FAILED);
    value = value ? onnx_local(im, value, error) : NULL;
    if (name[0] && !value) {
      return FALSE;
    }
    g_ptr_array_add(call->values, value);
    g_ptr_array_add(call->in, value ? value->tensor : NULL);
  }
  return good;
}

static void
init_call(OnnxCall *call)
{
  const InferOnnx__Node *def = call->def;
  g_autofree char *name = onnx_valid(def->name && def->name[0] ? def->name
                                     : def->n_output           ? def->output[0]
                                                               : "node");

  call->op = def->op_type;
  call->domain = domain_of(def);
  call->opset = opset_of(call->scope, call->domain);
  call->name = g_strdup_printf("%s%s", call->scope->prefix, name);
  call->n_outputs = (guint)def->n_output;
  while (call->n_outputs > 0 && !def->output[call->n_outputs - 1][0]) {
    call->n_outputs--;
  }
  call->out = g_new0(OnnxValue *, def->n_output + 1);
}

static gboolean
apply_rules(OnnxImport *im, OnnxCall *call, GError **error)
{
  const Domain *domain = find_domain(call->domain);
  const OnnxRule *const *tables = domain->rules;

  for (; tables && *tables; tables++) {
    for (const OnnxRule *rule = *tables; rule->op && !call->done; rule++) {
      if (!g_str_equal(rule->op, call->op) || (rule->before && call->opset >= rule->before)) {
        continue;
      }
      if (!rule->handle(im, call, error)) {
        return FALSE;
      }
    }
  }
  return TRUE;
}

/* The operator as it now stands. */
static gboolean
emit(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOp *op = infer_op_find(call->op);

  if (!op) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "this operator is not supported");
  }
  for (guint i = 0; i < call->values->len; i++) {
    const OnnxValue *value = call->values->pdata[i];
    if (value && value->kind == ONNX_SEQUENCE && !call->in->pdata[i]) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED, "input %u is a sequence", i);
    }
  }
  while (call->in->len > op->min_inputs && !call->in->pdata[call->in->len - 1]) {
    g_ptr_array_set_size(call->in, (gint)call->in->len - 1);
  }
  onnx_drop(call, "consumed_inputs");
  guint n = MIN(MAX(call->n_outputs, op->min_outputs), op->max_outputs);
  g_autofree InferTensor **outputs = g_new0(InferTensor *, n + 1);
  if (!onnx_add_n(im, call, NULL, call->op, g_variant_dict_end(call->dict),
                  (InferTensor *const *)call->in->pdata, call->in->len, outputs, n, error)) {
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    onnx_out(im, call, i, outputs[i]);
  }
  return TRUE;
}

static gboolean
add_plugin_field(OnnxCall *call, GHashTable *fields, const InferOnnx__Attr *attr, GError **error)
{
  g_autoptr(GVariant) value = g_variant_dict_lookup_value(call->dict, attr->name, NULL);

  if (!value) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the attribute '%s' is a tensor or a graph, which fields of plugins cannot "
                      "be; make a tensor a constant input",
                      attr->name);
  }
  parsers_fields_add(fields, attr->name, value);
  return TRUE;
}

static gboolean
call_plugin(OnnxImport *im, OnnxCall *call, GError **error)
{
  g_autoptr(GHashTable) fields = parsers_fields_new();
  gboolean standard_domain = call->domain[0] == '\0';
  ParsersLayer layer = {.domain = call->domain,
                        .type = call->op,
                        .version = standard_domain ? 0 : (guint)CLAMP(call->opset, 1, G_MAXINT),
                        .name = call->name,
                        .fields = fields,
                        .inputs = (InferTensor *const *)call->in->pdata,
                        .n_inputs = call->in->len,
                        .n_outputs = call->n_outputs};

  for (gsize i = 0; i < call->def->n_attribute; i++) {
    if (onnx_attr(call, call->def->attribute[i]->name) &&
        !add_plugin_field(call, fields, call->def->attribute[i], error)) {
      return FALSE;
    }
  }
  for (guint i = 0; i < call->values->len; i++) {
    const OnnxValue *value = call->values->pdata[i];
    if (value && value->kind != ONNX_TENSOR) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED, "input %u is not a tensor", i);
    }
  }
  InferNode *node = parsers_plugin_add(im->network, &layer, error);
  for (guint i = 0; node && i < MIN(node->n_outputs, call->n_outputs); i++) {
    onnx_out(im, call, i, node->outputs[i]);
  }
  return node != NULL;
}

static gboolean
import_call(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOnnx__Function *function =
      onnx_model_function(im->model, call->domain, call->op, call->def->overload);

  if (!onnx_collect_attrs(call, error)) {
    return FALSE;
  }
  if (function) {
    return onnx_call_function(im, call, function, error);
  }
  if (is_plugin(find_domain(call->domain), call->def)) {
    return call_plugin(im, call, error);
  }
  return apply_rules(im, call, error) && (call->done || emit(im, call, error));
}

void
onnx_import_node(OnnxImport *im, OnnxScope *scope, const InferOnnx__Node *node)
{
  g_auto(OnnxCall) call = {.scope = scope, .def = node};
  GError *error = NULL;
  gboolean good = check_supported(im, scope, node, &error);

  if (good) {
    init_call(&call);
    good = take_inputs(im, &call, &error) && import_call(im, &call, &error);
  }
  if (!good && error) {
    onnx_problem(im, scope, node, error);
  }
  for (gsize i = 0; i < node->n_output; i++) {
    OnnxValue *value = good ? call.out[i] : NULL;
    if (!value) {
      value = onnx_value(im, good ? ONNX_MISSING : ONNX_FAILED, NULL);
    }
    if (node->output[i][0]) {
      g_hash_table_insert(scope->values, node->output[i], value);
    }
  }
}
