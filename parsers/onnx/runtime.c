/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* If, Loop, Scan and SequenceMap that depend on data: nodes of the engine with sub-networks. */

/* States whose dimensions change are imported again with less known of them. */
#define MAX_ROUNDS 4

static gboolean
add_node(OnnxImport *im, OnnxCall *call, GPtrArray *inputs, GVariant *attrs, OnnxBody **bodies,
         guint n_bodies, guint n_outputs, InferNode **node, GError **error)
{
  InferNetwork *graphs[2] = {NULL, NULL};

  for (guint i = 0; i < n_bodies; i++) {
    graphs[i] = bodies[i]->network;
  }
  *node = infer_network_add_node_full(im->network, call->op, call->name,
                                      (InferTensor *const *)inputs->pdata, inputs->len, attrs,
                                      graphs, n_bodies, n_outputs, error);
  return *node != NULL;
}

static gboolean
put_out(OnnxImport *im, OnnxCall *call, const InferNode *node, GError **error)
{
  if (node->n_outputs < call->n_outputs) {
    return onnx_error(error, INFER_ERROR_MODEL, "the subgraph has too few outputs: %u are read",
                      call->n_outputs);
  }
  for (guint i = 0; i < call->n_outputs; i++) {
    onnx_out(im, call, i, node->outputs[i]);
  }
  call->done = TRUE;
  return TRUE;
}

static void
add_all(GPtrArray *to, const GPtrArray *from)
{
  for (guint i = 0; i < from->len; i++) {
    g_ptr_array_add(to, from->pdata[i]);
  }
}

/* --- If --- */

/* A value in one branch and an optional in the other are optionals. */
static gboolean
unify(const OnnxBody *a, const OnnxBody *b, gboolean *wrap_a, gboolean *wrap_b, GError **error)
{
  if (a->outputs->len != b->outputs->len) {
    return onnx_error(error, INFER_ERROR_MODEL, "the branches have %u and %u outputs",
                      a->outputs->len, b->outputs->len);
  }
  for (guint i = 0; i < a->outputs->len; i++) {
    OnnxSpec first, second;
    onnx_body_output(a, i, &first);
    onnx_body_output(b, i, &second);
    wrap_a[i] = !(first.kind & INFER_KIND_OPTIONAL) && (second.kind & INFER_KIND_OPTIONAL);
    wrap_b[i] = !(second.kind & INFER_KIND_OPTIONAL) && (first.kind & INFER_KIND_OPTIONAL);
  }
  return TRUE;
}

/* Both branches take what either reads. */
static gboolean
share_captures(OnnxImport *im, OnnxBody *first, const OnnxBody *second, GError **error)
{
  for (guint i = first->captures->len; i < second->captures->len; i++) {
    if (!onnx_body_capture(im, first, second->captures->pdata[i], error)) {
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
onnx_run_if(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOnnx__Graph *then_graph = onnx_attr_graph(call, "then_branch", error);
  const InferOnnx__Graph *else_graph =
      then_graph ? onnx_attr_graph(call, "else_branch", error) : NULL;
  InferTensor *condition = else_graph ? onnx_require(call, 0, error) : NULL;
  if (!condition) {
    return FALSE;
  }
  g_autoptr(OnnxBody) first =
      onnx_body_new(im, call, then_graph, "then_branch", NULL, 0, NULL, error);
  g_autoptr(OnnxBody) second =
      first ? onnx_body_new(im, call, else_graph, "else_branch", NULL, 0, first->captures, error)
            : NULL;
  if (!second) {
    return FALSE;
  }
  guint n = MAX(first->outputs->len, second->outputs->len);
  g_autofree gboolean *wrap_first = g_new0(gboolean, n + 1);
  g_autofree gboolean *wrap_second = g_new0(gboolean, n + 1);
  if (!unify(first, second, wrap_first, wrap_second, error) ||
      !share_captures(im, first, second, error) ||
      !onnx_body_close(im, call, first, wrap_first, error) ||
      !onnx_body_close(im, call, second, wrap_second, error)) {
    return FALSE;
  }
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  g_ptr_array_add(inputs, condition);
  add_all(inputs, first->captures);
  InferNode *node = NULL;
  OnnxBody *bodies[] = {first, second};
  return add_node(im, call, inputs, NULL, bodies, 2, n, &node, error) &&
         put_out(im, call, node, error);
}

/* --- what iterations hand on --- */

/* Imports a body whose inputs from @first on are states, until what is known of them lasts.
 * @specs: changed to what is known; @wrap: states that are optionals before an iteration only */
static OnnxBody *
import_states(OnnxImport *im, const OnnxCall *call, const InferOnnx__Graph *graph, OnnxSpec *specs,
              guint n_specs, guint first, guint n_states, guint first_out, gboolean *wrap,
              GError **error)
{
  for (guint round = 0; round <= MAX_ROUNDS; round++) {
    gboolean changed = FALSE;
    g_autoptr(OnnxBody) body = onnx_body_new(im, call, graph, "body", specs, n_specs, NULL, error);
    if (!body) {
      return NULL;
    }
    if (body->outputs->len < first_out + n_states) {
      onnx_error(error, INFER_ERROR_MODEL, "the body has too few outputs");
      return NULL;
    }
    for (guint i = 0; i < n_states; i++) {
      OnnxSpec next, *state = &specs[first + i];
      onnx_body_output(body, first_out + i, &next);
      wrap[first_out + i] =
          (state->kind & INFER_KIND_OPTIONAL) && !(next.kind & INFER_KIND_OPTIONAL);
      if (wrap[first_out + i] && next.kind == INFER_KIND_TENSOR) {
        next.item_dims = next.dims;
        next.dims = INFER_DIMS_UNKNOWN;
      }
      changed = onnx_spec_join(state, &next) || changed;
      if (changed && round + 1 >= MAX_ROUNDS) {
        state->dims = state->item_dims = INFER_DIMS_UNKNOWN;
      }
    }
    if (!changed) {
      return g_steal_pointer(&body);
    }
  }
  onnx_error(error, INFER_ERROR_UNSUPPORTED,
             "the dimensions of what iterations hand on never last");
  return NULL;
}

/* The states' tensors of the network around, in @inputs and @specs. */
static gboolean
take_states(OnnxImport *im, OnnxCall *call, guint from, guint n, GPtrArray *inputs, OnnxSpec *specs,
            GError **error)
{
  for (guint i = 0; i < n; i++) {
    OnnxValue *value = from + i < call->values->len ? call->values->pdata[from + i] : NULL;
    InferTensor *tensor =
        onnx_tensor_of(im, call, value ? value : onnx_value(im, ONNX_NOTHING, NULL), error);
    if (!tensor) {
      return FALSE;
    }
    g_ptr_array_add(inputs, tensor);
    onnx_spec_of(tensor, &specs[i]);
  }
  return TRUE;
}

/* A state that is an optional only because it was one at first leaves as its value. */
static gboolean
unwrap_out(OnnxImport *im, OnnxCall *call, const gboolean *wrap, guint n, GError **error)
{
  for (guint i = 0; i < MIN(n, call->n_outputs); i++) {
    if (!wrap[i] || !call->out[i]) {
      continue;
    }
    InferTensor *value = onnx_conform(im, call, call->out[i]->tensor, INFER_KIND_TENSOR, error);
    if (!value) {
      return FALSE;
    }
    call->out[i] = onnx_value(im, ONNX_TENSOR, value);
  }
  return TRUE;
}

static InferTensor *
tensor_or_none(const OnnxCall *call, guint index)
{
  const OnnxValue *value = index < call->values->len ? call->values->pdata[index] : NULL;

  return value && value->kind == ONNX_TENSOR ? value->tensor : NULL;
}

gboolean
onnx_run_loop(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOnnx__Graph *graph = onnx_attr_graph(call, "body", error);
  guint n_carried = call->values->len > 2 ? call->values->len - 2 : 0;
  if (!graph) {
    return FALSE;
  }
  g_autofree OnnxSpec *specs = g_new0(OnnxSpec, n_carried + 3);
  g_autofree gboolean *wrap = g_new0(gboolean, graph->n_output + n_carried + 2);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  g_ptr_array_add(inputs, tensor_or_none(call, 0));
  g_ptr_array_add(inputs, tensor_or_none(call, 1));
  specs[0] = (OnnxSpec){.type = INFER_TYPE_INT64, .item_dims = INFER_DIMS_UNKNOWN};
  specs[1] = (OnnxSpec){.type = INFER_TYPE_BOOL, .item_dims = INFER_DIMS_UNKNOWN};
  if (!take_states(im, call, 2, n_carried, inputs, specs + 2, error)) {
    return FALSE;
  }
  g_autoptr(OnnxBody) body =
      import_states(im, call, graph, specs, n_carried + 2, 2, n_carried, 1, wrap, error);
  if (!body || !onnx_body_close(im, call, body, wrap, error)) {
    return FALSE;
  }
  add_all(inputs, body->captures);
  GVariant *attrs = infer_attrs_new("captures", 'i', (gint64)body->captures->len, NULL);
  InferNode *node = NULL;
  return add_node(im, call, inputs, attrs, &body, 1, body->outputs->len - 1, &node, error) &&
         put_out(im, call, node, error) && unwrap_out(im, call, wrap + 1, n_carried, error);
}

/* --- Scan --- */

static gboolean
slice_spec(OnnxSpec *spec, gint64 axis, GError **error)
{
  gint rank = spec->dims.n;

  if (spec->kind != INFER_KIND_TENSOR) {
    return onnx_error(error, INFER_ERROR_MODEL, "a scan goes through tensors only");
  }
  if (rank < 0) {
    return TRUE;
  }
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank) {
    return onnx_error(error, INFER_ERROR_MODEL, "a scan axis does not fit %d dimensions", rank);
  }
  for (gint i = (gint)axis; i + 1 < rank; i++) {
    spec->dims.d[i] = spec->dims.d[i + 1];
  }
  spec->dims.n--;
  return TRUE;
}

/* Attributes of the node: what the model gave and the number of captures. */
static GVariant *
scan_attrs(OnnxCall *call, guint captures)
{
  onnx_set_int(call, "captures", captures);
  return g_variant_dict_end(call->dict);
}

gboolean
onnx_run_scan(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOnnx__Graph *graph = onnx_attr_graph(call, "body", error);
  gint64 n_scanned = onnx_int(call, "num_scan_inputs", 0);
  guint n = call->values->len;
  if (!graph) {
    return FALSE;
  }
  if (n_scanned < 1 || n_scanned > n) {
    return onnx_error(error, INFER_ERROR_MODEL, "num_scan_inputs %" G_GINT64_FORMAT " does not fit",
                      n_scanned);
  }
  guint n_states = n - (guint)n_scanned;
  gsize n_axes = 0;
  g_autofree gint64 *axes = onnx_ints(call, "scan_input_axes", &n_axes);
  g_autofree OnnxSpec *specs = g_new0(OnnxSpec, n + 1);
  g_autofree gboolean *wrap = g_new0(gboolean, graph->n_output + n + 1);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  if (!take_states(im, call, 0, n, inputs, specs, error)) {
    return FALSE;
  }
  for (guint i = 0; i < (guint)n_scanned; i++) {
    if (!slice_spec(&specs[n_states + i], axes && i < n_axes ? axes[i] : 0, error)) {
      return FALSE;
    }
  }
  g_autoptr(OnnxBody) body = import_states(im, call, graph, specs, n, 0, n_states, 0, wrap, error);
  if (!body || !onnx_body_close(im, call, body, wrap, error)) {
    return FALSE;
  }
  add_all(inputs, body->captures);
  InferNode *node = NULL;
  return add_node(im, call, inputs, scan_attrs(call, body->captures->len), &body, 1,
                  body->outputs->len, &node, error) &&
         put_out(im, call, node, error) && unwrap_out(im, call, wrap, n_states, error);
}

/* --- SequenceMap --- */

gboolean
onnx_run_map(OnnxImport *im, OnnxCall *call, GError **error)
{
  const InferOnnx__Graph *graph = onnx_attr_graph(call, "body", error);
  guint n = call->values->len;
  if (!graph) {
    return FALSE;
  }
  g_autofree OnnxSpec *specs = g_new0(OnnxSpec, n + 1);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  if (!take_states(im, call, 0, n, inputs, specs, error)) {
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    if (specs[i].kind == INFER_KIND_SEQUENCE) {
      specs[i].kind = INFER_KIND_TENSOR;
      specs[i].dims = specs[i].item_dims;
    }
  }
  g_autoptr(OnnxBody) body = onnx_body_new(im, call, graph, "body", specs, n, NULL, error);
  if (!body || !onnx_body_close(im, call, body, NULL, error)) {
    return FALSE;
  }
  add_all(inputs, body->captures);
  GVariant *attrs = infer_attrs_new("captures", 'i', (gint64)body->captures->len, NULL);
  InferNode *node = NULL;
  return add_node(im, call, inputs, attrs, &body, 1, body->outputs->len, &node, error) &&
         put_out(im, call, node, error);
}
