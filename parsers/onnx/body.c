/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Subgraphs that become sub-networks of the engine. What they read of the graphs around them are
 * inputs: the engine knows no scopes. */

/* --- what a value is --- */

void
onnx_spec_of(const InferTensor *tensor, OnnxSpec *spec)
{
  spec->kind = tensor->kind;
  spec->type = tensor->type;
  spec->dims = tensor->dims;
  spec->item_dims = tensor->item_dims;
}

gboolean
onnx_spec_join(OnnxSpec *spec, const OnnxSpec *other)
{
  gboolean changed = parsers_join_dims(&spec->dims, &other->dims);

  return parsers_join_dims(&spec->item_dims, &other->item_dims) || changed;
}

static void
shape_dims(const InferOnnx__Shape *shape, InferDims *dims)
{
  *dims = INFER_DIMS_UNKNOWN;
  if (!shape || shape->n_dim > INFER_MAX_DIMS) {
    return;
  }
  dims->n = (gint)shape->n_dim;
  for (gint i = 0; i < dims->n; i++) {
    const InferOnnx__Dim *dim = shape->dim[i];
    dims->d[i] = dim->has_dim_value && dim->dim_value >= 0 ? dim->dim_value : INFER_DIM_UNKNOWN;
  }
}

gboolean
onnx_spec_of_type(const InferOnnx__Type *type, OnnxSpec *spec)
{
  const InferOnnx__Type *inner = type;
  guint kind = 0;

  if (inner && inner->optional_type) {
    kind |= INFER_KIND_OPTIONAL;
    inner = inner->optional_type->elem_type;
  }
  if (inner && inner->sequence_type) {
    kind |= INFER_KIND_SEQUENCE;
    inner = inner->sequence_type->elem_type;
  }
  if (!inner || !inner->tensor_type) {
    return FALSE;
  }
  spec->kind = (InferKind)kind;
  spec->type = onnx_type(inner->tensor_type->has_elem_type ? inner->tensor_type->elem_type : 0);
  spec->dims = spec->item_dims = INFER_DIMS_UNKNOWN;
  shape_dims(inner->tensor_type->shape, kind ? &spec->item_dims : &spec->dims);
  return spec->type != INFER_TYPE_UNDEFINED;
}

/* --- values across networks --- */

static InferTensor *
local_tensor(OnnxBody *body, InferTensor *tensor, GError **error)
{
  if (!body || tensor->network == body->network) {
    return tensor;
  }
  InferTensor *twin = g_hash_table_lookup(body->twins, tensor);
  if (twin) {
    return twin;
  }
  g_autoptr(InferArray) known = parsers_known(tensor);
  if (known) {
    twin = infer_network_add_constant(body->network, tensor->name, known);
  } else {
    InferTensor *outer = local_tensor(body->parent, tensor, error);
    g_autofree char *name = g_strdup_printf("%s.%u", tensor->name, body->captures->len);
    while (infer_network_find_tensor(body->network, name)) {
      char *longer = g_strconcat(name, "'", NULL);
      g_free(name);
      name = longer;
    }
    const InferDims *dims = tensor->kind == INFER_KIND_TENSOR ? &tensor->dims : &tensor->item_dims;
    twin = outer ? infer_network_add_input_value(body->network, name, tensor->kind, tensor->type,
                                                 dims, error)
                 : NULL;
    if (!twin) {
      return NULL;
    }
    g_ptr_array_add(body->captures, outer);
    g_hash_table_insert(body->twins, outer, twin);
  }
  g_hash_table_insert(body->twins, tensor, twin);
  return twin;
}

gboolean
onnx_body_capture(OnnxImport *im, OnnxBody *body, InferTensor *tensor, GError **error)
{
  return local_tensor(body, tensor, error) != NULL;
}

OnnxValue *
onnx_local(OnnxImport *im, OnnxValue *value, GError **error)
{
  if (!im->body || (value->kind != ONNX_TENSOR && value->kind != ONNX_SEQUENCE)) {
    return value;
  }
  if (value->kind == ONNX_TENSOR) {
    InferTensor *tensor = local_tensor(im->body, value->tensor, error);
    return tensor == value->tensor ? value : tensor ? onnx_value(im, ONNX_TENSOR, tensor) : NULL;
  }
  OnnxValue *list = onnx_value(im, ONNX_SEQUENCE, NULL);
  list->type = value->type;
  for (guint i = 0; i < value->items->len; i++) {
    OnnxValue *item = onnx_local(im, value->items->pdata[i], error);
    if (!item) {
      return NULL;
    }
    g_ptr_array_add(list->items, item);
  }
  return list;
}

InferTensor *
onnx_tensor_of(OnnxImport *im, const OnnxCall *call, OnnxValue *value, GError **error)
{
  GVariant *attrs = NULL;

  switch (value->kind) {
  case ONNX_TENSOR:
    return value->tensor;
  case ONNX_SEQUENCE: {
    guint n = value->items->len;
    g_autofree InferTensor **items = g_new0(InferTensor *, n + 1);
    for (guint i = 0; i < n; i++) {
      items[i] = ((const OnnxValue *)value->items->pdata[i])->tensor;
    }
    if (n == 0 && value->type != INFER_TYPE_UNDEFINED) {
      attrs = infer_attrs_new("dtype", 'i', (gint64)value->type, NULL);
    }
    return onnx_add(im, call, "sequence", n ? "SequenceConstruct" : "SequenceEmpty", attrs, items,
                    n, error);
  }
  case ONNX_NOTHING: {
    gint64 type = value->type ? (gint64)value->type : INFER_TYPE_FLOAT;
    attrs = infer_attrs_new("dtype", 'i', type, "sequence", 'i', (gint64)value->sequence, NULL);
    return onnx_add(im, call, "nothing", "Optional", attrs, NULL, 0, error);
  }
  default:
    onnx_error(error, INFER_ERROR_UNSUPPORTED, "a value is read that no operator gives");
    return NULL;
  }
}

InferTensor *
onnx_conform(OnnxImport *im, const OnnxCall *call, InferTensor *tensor, InferKind kind,
             GError **error)
{
  gboolean have = (tensor->kind & INFER_KIND_OPTIONAL) != 0;
  gboolean want = (kind & INFER_KIND_OPTIONAL) != 0;

  if (have == want) {
    return tensor;
  }
  return onnx_add1(im, call, want ? "optional" : "value", want ? "Optional" : "OptionalGetElement",
                   NULL, tensor, error);
}

/* --- bodies --- */

void
onnx_body_free(OnnxBody *body)
{
  g_clear_object(&body->network);
  g_ptr_array_unref(body->captures);
  g_hash_table_unref(body->twins);
  g_ptr_array_unref(body->outputs);
  g_free(body);
}

static OnnxBody *
body_open(OnnxImport *im)
{
  OnnxBody *body = g_new0(OnnxBody, 1);

  body->parent = im->body;
  body->network = infer_network_new();
  body->captures = g_ptr_array_new();
  body->twins = g_hash_table_new(NULL, NULL);
  body->outputs = g_ptr_array_new();
  /* Dimensions name symbols by number. */
  for (guint i = 0; i < infer_network_get_n_symbols(im->network); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(im->network, i);
    infer_network_add_symbol(body->network, symbol->name, symbol->min, symbol->opt, symbol->max);
  }
  return body;
}

static gboolean
bind_specs(OnnxImport *im, OnnxScope *scope, const InferOnnx__Graph *graph, const OnnxSpec *specs,
           guint n_specs, GError **error)
{
  if (graph->n_input != n_specs) {
    return onnx_error(error, INFER_ERROR_MODEL,
                      "the subgraph has %" G_GSIZE_FORMAT " inputs; %u are given", graph->n_input,
                      n_specs);
  }
  for (guint i = 0; i < n_specs; i++) {
    g_autofree char *name = onnx_valid(graph->input[i]->name);
    const InferDims *dims =
        specs[i].kind == INFER_KIND_TENSOR ? &specs[i].dims : &specs[i].item_dims;
    InferTensor *tensor =
        infer_network_add_input_value(im->network, name, specs[i].kind, specs[i].type, dims, error);
    if (!tensor || !onnx_bind(scope, graph->input[i]->name ? graph->input[i]->name : "",
                              onnx_value(im, ONNX_TENSOR, tensor), error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
take_outputs(OnnxImport *im, const OnnxScope *scope, const InferOnnx__Graph *graph, OnnxBody *body,
             GError **error)
{
  for (gsize i = 0; i < graph->n_output; i++) {
    OnnxValue *value = onnx_lookup(scope, graph->output[i]->name ? graph->output[i]->name : "");
    if (!value) {
      g_autofree char *name = onnx_valid(graph->output[i]->name);
      return onnx_error(error, INFER_ERROR_MODEL, "the subgraph's output '%s' is never computed",
                        name);
    }
    if (value->kind == ONNX_FAILED) {
      return FALSE; /* the cause is remembered */
    }
    value = onnx_local(im, value, error);
    if (!value) {
      return FALSE;
    }
    g_ptr_array_add(body->outputs, value);
  }
  return TRUE;
}

static gboolean
import_body(OnnxImport *im, OnnxScope *scope, const InferOnnx__Graph *graph, OnnxBody *body,
            const OnnxSpec *specs, guint n_specs, const GPtrArray *captures, GError **error)
{
  g_autoptr(GPtrArray) wanted = g_ptr_array_new();

  for (gsize i = 0; i < graph->n_output; i++) {
    g_ptr_array_add(wanted, graph->output[i]->name ? graph->output[i]->name : (gpointer) "");
  }
  g_ptr_array_add(wanted, NULL);
  if (!bind_specs(im, scope, graph, specs, n_specs, error)) {
    return FALSE;
  }
  for (guint i = 0; captures && i < captures->len; i++) {
    if (!onnx_body_capture(im, body, captures->pdata[i], error)) {
      return FALSE;
    }
  }
  return onnx_import_initializers(im, scope, graph, error) &&
         onnx_import_nodes(im, scope, graph->node, graph->n_node,
                           (const char *const *)wanted->pdata, error) &&
         take_outputs(im, scope, graph, body, error);
}

OnnxBody *
onnx_body_new(OnnxImport *im, const OnnxCall *call, const InferOnnx__Graph *graph,
              const char *suffix, const OnnxSpec *specs, guint n_specs, const GPtrArray *captures,
              GError **error)
{
  g_autofree char *prefix = g_strdup_printf("%s/%s/", call->name, suffix);
  g_autoptr(OnnxScope) scope = onnx_scope_new(call->scope, prefix);
  g_autoptr(OnnxBody) body = body_open(im);
  InferNetwork *around = im->network;

  im->body = body;
  im->network = body->network;
  gboolean good = import_body(im, scope, graph, body, specs, n_specs, captures, error);
  im->body = body->parent;
  im->network = around;
  return good ? g_steal_pointer(&body) : NULL;
}

void
onnx_body_output(const OnnxBody *body, guint index, OnnxSpec *spec)
{
  const OnnxValue *value = body->outputs->pdata[index];

  if (value->kind == ONNX_TENSOR) {
    onnx_spec_of(value->tensor, spec);
    return;
  }
  *spec = (OnnxSpec){.kind = INFER_KIND_SEQUENCE, .type = value->type};
  spec->dims = spec->item_dims = INFER_DIMS_UNKNOWN;
  if (value->kind == ONNX_NOTHING) {
    spec->kind = value->sequence ? INFER_KIND_OPTIONAL_SEQUENCE : INFER_KIND_OPTIONAL;
  }
  for (guint i = 0; value->items && i < value->items->len; i++) {
    const InferTensor *item = ((const OnnxValue *)value->items->pdata[i])->tensor;
    spec->type = item->type;
    if (i == 0) {
      spec->item_dims = item->dims;
    } else {
      parsers_join_dims(&spec->item_dims, &item->dims);
    }
  }
}

static gboolean
mark_outputs(OnnxImport *im, const OnnxCall *call, OnnxBody *body, const gboolean *wrap,
             GError **error)
{
  for (guint i = 0; i < body->outputs->len; i++) {
    InferTensor *tensor = onnx_tensor_of(im, call, body->outputs->pdata[i], error);
    if (tensor && wrap && wrap[i]) {
      tensor = onnx_conform(im, call, tensor, INFER_KIND_OPTIONAL, error);
    }
    if (!tensor || !infer_network_mark_output(body->network, tensor, NULL, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
onnx_body_close(OnnxImport *im, const OnnxCall *call, OnnxBody *body, const gboolean *wrap,
                GError **error)
{
  InferNetwork *around = im->network;

  im->body = body;
  im->network = body->network;
  gboolean good = mark_outputs(im, call, body, wrap, error);
  im->body = body->parent;
  im->network = around;
  InferNetwork *pruned = good ? parsers_prune(body->network, error) : NULL;
  if (pruned) {
    g_object_unref(body->network);
    body->network = pruned;
  }
  return pruned != NULL;
}
