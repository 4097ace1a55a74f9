/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* A model's own functions are written out where they are called. */

static gboolean
bind_attrs(OnnxScope *scope, const OnnxCall *call, const InferOnnx__Function *function)
{
  GHashTableIter iter;
  gpointer name, attr;

  scope->attrs = g_hash_table_new(g_str_hash, g_str_equal);
  for (gsize i = 0; i < function->n_attribute_proto; i++) {
    InferOnnx__Attr *fallback = function->attribute_proto[i];
    if (fallback->name) {
      g_hash_table_insert(scope->attrs, fallback->name, fallback);
    }
  }
  g_hash_table_iter_init(&iter, call->attrs);
  while (g_hash_table_iter_next(&iter, &name, &attr)) {
    g_hash_table_insert(scope->attrs, name, attr);
  }
  return TRUE;
}

static gboolean
bind_inputs(OnnxImport *im, OnnxScope *scope, const OnnxCall *call,
            const InferOnnx__Function *function, GError **error)
{
  if (call->values->len > function->n_input) {
    return onnx_error(error, INFER_ERROR_MODEL,
                      "the function has %" G_GSIZE_FORMAT " inputs; %u are given",
                      function->n_input, call->values->len);
  }
  for (guint i = 0; i < function->n_input; i++) {
    OnnxValue *value = i < call->values->len ? call->values->pdata[i] : NULL;
    /* An input that is not given is absent for the nodes that read it. */
    value = value ? value : onnx_value(im, ONNX_NOTHING, NULL);
    if (!onnx_bind(scope, function->input[i], value, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
take_outputs(const OnnxScope *scope, OnnxCall *call, const InferOnnx__Function *function,
             GError **error)
{
  for (guint i = 0; i < call->n_outputs; i++) {
    if (i >= function->n_output) {
      return onnx_error(error, INFER_ERROR_MODEL, "the function has no output %u", i);
    }
    call->out[i] = onnx_lookup(scope, function->output[i]);
    if (!call->out[i] && call->def->output[i][0]) {
      g_autofree char *name = onnx_valid(function->output[i]);
      return onnx_error(error, INFER_ERROR_MODEL, "the function's output '%s' is never computed",
                        name);
    }
  }
  call->done = TRUE;
  return TRUE;
}

gboolean
onnx_call_function(OnnxImport *im, OnnxCall *call, const InferOnnx__Function *function,
                   GError **error)
{
  g_autofree char *prefix = g_strdup_printf("%s/", call->name);
  g_autoptr(OnnxScope) scope = onnx_scope_new(NULL, prefix);
  g_autoptr(GPtrArray) wanted = g_ptr_array_new();

  scope->depth = call->scope->depth + 1;
  for (guint i = 0; i < MIN(call->n_outputs, function->n_output); i++) {
    g_ptr_array_add(wanted, function->output[i]);
  }
  g_ptr_array_add(wanted, NULL);
  return onnx_scope_opsets(scope, function->opset_import, function->n_opset_import, error) &&
         bind_attrs(scope, call, function) && bind_inputs(im, scope, call, function, error) &&
         onnx_import_nodes(im, scope, function->node, function->n_node,
                           (const char *const *)wanted->pdata, error) &&
         take_outputs(scope, call, function, error);
}
