/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "../partial.h"

#include <string.h>

#define DEFAULT_MAX_BATCH 1024
/* The range of a dimension that is open and not the batch. */
#define DEFAULT_OPEN 224
#define DEFAULT_MAX_OPEN 8192

InferArray *
onnx_array(OnnxImport *im, const InferOnnx__Tensor *tensor, GError **error)
{
  InferArray *array = g_hash_table_lookup(im->arrays, tensor);

  if (!array) {
    array = onnx_tensor_array(im->model, tensor, error);
    if (array) {
      g_hash_table_insert(im->arrays, (gpointer)tensor, array);
    }
  }
  return array;
}

InferArray *
onnx_array_sparse(OnnxImport *im, const InferOnnx__SparseTensor *sparse, GError **error)
{
  InferArray *array = g_hash_table_lookup(im->arrays, sparse);

  if (!array) {
    array = onnx_sparse_array(im->model, sparse, error);
    if (array) {
      g_hash_table_insert(im->arrays, (gpointer)sparse, array);
    }
  }
  return array;
}

/* --- inputs --- */

/* Whether a first dimension of that name, or without one, counts frames. */
static gboolean
is_batch_name(const char *name, gint rank)
{
  static const char *const names[] = {"batch", "batch_size", "batchsize", "n",
                                      "none",  "-1",         "?",         NULL};
  g_autofree char *lower = g_ascii_strdown(name, -1);

  if (!lower[0] || g_str_has_prefix(lower, "unk")) {
    return rank == 4;
  }
  return g_strv_contains(names, lower);
}

static gint64
open_dim(OnnxImport *im, const char *input, const char *param, gint axis, gint rank)
{
  if (axis == 0 && is_batch_name(param, rank)) {
    guint max = im->options && im->options->max_batch ? im->options->max_batch : DEFAULT_MAX_BATCH;
    return infer_network_add_symbol(im->network, "batch", 1, 1, max);
  }
  g_autofree char *made_up = g_strdup_printf("%s.%d", input, axis);
  return infer_network_add_symbol(im->network, param[0] ? param : made_up, 1, DEFAULT_OPEN,
                                  DEFAULT_MAX_OPEN);
}

static gboolean
input_dims(OnnxImport *im, const char *name, const InferOnnx__Shape *shape, InferDims *dims,
           GError **error)
{
  if (!shape) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "input '%s' has no shape; export the model with one", name);
  }
  if (shape->n_dim > INFER_MAX_DIMS) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "input '%s' has %" G_GSIZE_FORMAT " dimensions; at most %d can be", name,
                      shape->n_dim, INFER_MAX_DIMS);
  }
  dims->n = (gint)shape->n_dim;
  for (gint i = 0; i < dims->n; i++) {
    const InferOnnx__Dim *dim = shape->dim[i];
    g_autofree char *param = onnx_valid(dim->dim_param);
    /* Some writers say -1 for a dimension that is open. */
    if (dim->has_dim_value && dim->dim_value < -1) {
      return onnx_error(error, INFER_ERROR_MODEL, "input '%s': dimension %d is %" G_GINT64_FORMAT,
                        name, i, (gint64)dim->dim_value);
    }
    dims->d[i] = dim->has_dim_value && dim->dim_value >= 0 ? dim->dim_value
                                                           : open_dim(im, name, param, i, dims->n);
  }
  return TRUE;
}

/* A sequence or an optional. */
static gboolean
add_value(OnnxImport *im, OnnxScope *scope, const InferOnnx__ValueInfo *info, const char *name,
          const OnnxSpec *spec, GError **error)
{
  if (!name[0]) {
    return onnx_error(error, INFER_ERROR_MODEL, "an input has no name");
  }
  InferTensor *tensor = infer_network_add_input_value(im->network, name, spec->kind, spec->type,
                                                      &spec->item_dims, error);
  return tensor && onnx_bind(scope, info->name, onnx_value(im, ONNX_TENSOR, tensor), error);
}

static gboolean
add_input(OnnxImport *im, OnnxScope *scope, const InferOnnx__ValueInfo *info, InferArray *initial,
          GError **error)
{
  g_autofree char *name = onnx_valid(info->name);
  const InferOnnx__TensorType *type = info->type ? info->type->tensor_type : NULL;
  OnnxSpec spec;
  InferDims dims;

  if (!type && onnx_spec_of_type(info->type, &spec)) {
    return add_value(im, scope, info, name, &spec, error);
  }
  if (!type) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "input '%s' is %s", name,
                      !info->type                 ? "of no type"
                      : info->type->has_map_type  ? "a map"
                      : info->type->sequence_type ? "a sequence, but not of tensors"
                                                  : "of a type that is not supported");
  }
  InferType element = onnx_type(type->has_elem_type ? type->elem_type : 0);
  if (element == INFER_TYPE_UNDEFINED) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "input '%s': the element type %d is not known", name, type->elem_type);
  }
  if (!name[0]) {
    return onnx_error(error, INFER_ERROR_MODEL, "an input has no name");
  }
  if (initial) {
    dims = initial->dims;
  } else if (!input_dims(im, name, type->shape, &dims, error)) {
    return FALSE;
  }
  InferTensor *tensor = infer_network_add_input(im->network, name, element, &dims, initial, error);
  return tensor && onnx_bind(scope, info->name, onnx_value(im, ONNX_TENSOR, tensor), error);
}

static const InferOnnx__Tensor *
find_initializer(GHashTable *names, const char *name)
{
  return name ? g_hash_table_lookup(names, name) : NULL;
}

/* From IR version 4 on an initializer that is an input as well is a default. A number such as a
 * threshold stays changeable; larger ones are weights, which a plan has to know. */
static InferArray *
default_of(OnnxImport *im, const InferOnnx__Tensor *tensor)
{
  if (!im->model->def->has_ir_version || im->model->def->ir_version < 4 || tensor->n_dims > 0 ||
      tensor->data_type != INFER_TYPE_FLOAT) {
    return NULL;
  }
  return onnx_array(im, tensor, NULL);
}

static gboolean
all_inputs(OnnxImport *im, OnnxScope *scope, const InferOnnx__Graph *graph, GError **error)
{
  g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

  for (gsize i = 0; i < graph->n_initializer; i++) {
    InferOnnx__Tensor *tensor = graph->initializer[i];
    g_hash_table_insert(names, tensor->name ? tensor->name : (gpointer) "", tensor);
  }
  for (gsize i = 0; i < graph->n_sparse_initializer; i++) {
    InferOnnx__SparseTensor *sparse = graph->sparse_initializer[i];
    if (sparse->values && sparse->values->name) {
      g_hash_table_insert(names, sparse->values->name, sparse->values);
    }
  }
  for (gsize i = 0; i < graph->n_input; i++) {
    const InferOnnx__Tensor *tensor = find_initializer(names, graph->input[i]->name);
    InferArray *initial = tensor ? default_of(im, tensor) : NULL;
    if ((!tensor || initial) && !add_input(im, scope, graph->input[i], initial, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

/* --- outputs --- */

/* Whether the model says that an output is an optional. */
static InferKind
declared_kind(const InferOnnx__Graph *graph, const char *name, InferKind kind)
{
  OnnxSpec spec;

  for (gsize i = 0; i < graph->n_output; i++) {
    if (g_strcmp0(graph->output[i]->name, name) == 0 &&
        onnx_spec_of_type(graph->output[i]->type, &spec)) {
      return spec.kind;
    }
  }
  return kind;
}

static gboolean
mark_output(OnnxImport *im, const OnnxScope *scope, const char *name, GError **error)
{
  g_autofree char *valid = onnx_valid(name);
  OnnxValue *value = onnx_lookup(scope, name);
  const OnnxCall call = {.scope = scope, .name = valid};

  if (!value) {
    return onnx_error(error, INFER_ERROR_MODEL, "the output '%s' is not in the graph", valid);
  }
  if (value->kind == ONNX_FAILED) {
    return TRUE; /* the cause is remembered */
  }
  if (value->kind == ONNX_MISSING) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the output '%s' is one that its operator does not have here", valid);
  }
  InferTensor *tensor = onnx_tensor_of(im, &call, value, error);
  if (tensor) {
    InferKind kind = declared_kind(im->model->def->graph, name, tensor->kind);
    tensor = onnx_conform(im, &call, tensor, kind, error);
  }
  return tensor && infer_network_mark_output(im->network, tensor, valid, error);
}

static GPtrArray *
wanted_outputs(const OnnxImport *im, const InferOnnx__Graph *graph)
{
  GPtrArray *names = g_ptr_array_new();
  const char *const *asked = im->options ? im->options->outputs : NULL;

  for (gsize i = 0; asked && asked[i]; i++) {
    g_ptr_array_add(names, (gpointer)asked[i]);
  }
  for (gsize i = 0; (!asked || !asked[0]) && i < graph->n_output; i++) {
    g_ptr_array_add(names, graph->output[i]->name ? graph->output[i]->name : (gpointer) "");
  }
  g_ptr_array_add(names, NULL);
  return names;
}

static gboolean
import_graph(OnnxImport *im, OnnxScope *scope, GError **error)
{
  const InferOnnx__Graph *graph = im->model->def->graph;
  g_autoptr(GPtrArray) wanted = wanted_outputs(im, graph);

  if (wanted->len < 2) {
    return onnx_error(error, INFER_ERROR_MODEL, "the graph has no output");
  }
  if (!all_inputs(im, scope, graph, error) || !onnx_import_initializers(im, scope, graph, error) ||
      !onnx_import_nodes(im, scope, graph->node, graph->n_node, (const char *const *)wanted->pdata,
                         error)) {
    return FALSE;
  }
  for (guint i = 0; i + 1 < wanted->len; i++) {
    if (!mark_output(im, scope, wanted->pdata[i], error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
report(OnnxImport *im, GError **error)
{
  g_autofree char *text = NULL;

  if (im->problems->len == 0) {
    return TRUE;
  }
  text = parsers_tell_problems(im->options, im->problems, "node");
  return onnx_error(error, (InferError)im->problem_code, "%s", text);
}

/* Names the image input, when there is only one thing that could be it. */
static InferModelInfo *
guess_image(OnnxImport *im)
{
  InferModelInfo *info = infer_model_info_new();
  const InferTensor *image = NULL;
  guint found = 0;

  for (guint i = 0; i < infer_network_get_n_inputs(im->network); i++) {
    InferTensor *input = infer_network_get_input(im->network, i);
    gint64 last = input->dims.n == 4 ? input->dims.d[3] : 0;
    gint64 second = input->dims.n == 4 ? input->dims.d[1] : 0;
    if (!input->initial && (last == 1 || last == 3 || second == 1 || second == 3)) {
      image = input;
      found++;
    }
  }
  if (found == 1) {
    InferPreprocess pre = *infer_model_info_get_preprocess(info);
    float scale = infer_type_is_float(image->type) ? 1.0f / 255.0f : 1.0f;
    for (gint i = 0; i < 3; i++) {
      pre.scale[i] = scale;
      pre.bias[i] = 0;
    }
    infer_model_info_set_input(info, image->name);
    infer_model_info_set_preprocess(info, &pre);
    g_info("input '%s' is taken for an image whose pixels are scaled by %g; a .modelinfo file can "
           "say otherwise",
           image->name, (double)scale);
  }
  return info;
}

static void
import_clear(OnnxImport *im)
{
  g_clear_object(&im->network);
  g_clear_pointer(&im->arena, g_ptr_array_unref);
  g_clear_pointer(&im->problems, g_ptr_array_unref);
  g_clear_pointer(&im->culprits, g_ptr_array_unref);
  g_clear_pointer(&im->named, g_hash_table_unref);
  g_clear_pointer(&im->arrays, g_hash_table_unref);
  g_clear_pointer(&im->model, onnx_model_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OnnxImport, import_clear)

static void
value_free(gpointer data)
{
  OnnxValue *value = data;

  g_clear_pointer(&value->items, g_ptr_array_unref);
  g_free(value);
}

static InferNetwork *
parse(GBytes *bytes, const char *folder, const InferParseOptions *options, GError **error)
{
  g_auto(OnnxImport) im = {.options = options};

  im.model = onnx_model_load(bytes, folder, error);
  if (!im.model) {
    return NULL;
  }
  /* Models in memory have no folder. */
  im.model->mapped = folder != NULL;
  im.network = infer_network_new();
  im.arena = g_ptr_array_new_with_free_func(value_free);
  im.problems = g_ptr_array_new_with_free_func(g_free);
  im.culprits = g_ptr_array_new();
  im.named = g_hash_table_new(NULL, NULL);
  im.arrays = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
  g_autoptr(OnnxScope) scope = onnx_scope_new(NULL, "");
  GError *trouble = NULL;
  gboolean done = onnx_scope_opsets(scope, im.model->def->opset_import,
                                    im.model->def->n_opset_import, &trouble) &&
                  import_graph(&im, scope, &trouble);
  /* Nodes that cannot be used are the cause of what else went wrong. */
  if (!report(&im, error)) {
    g_clear_error(&trouble);
    return NULL;
  }
  if (!done) {
    g_propagate_error(error, trouble);
    return NULL;
  }
  g_autoptr(InferModelInfo) info = guess_image(&im);
  infer_network_set_model_info(im.network, info);
  return parsers_prune(im.network, error);
}

static InferNetwork *
parse_named(GBytes *bytes, const char *source, const char *folder, const InferParseOptions *options,
            GError **error)
{
  GError *trouble = NULL;
  InferNetwork *network = parse(bytes, folder, options, &trouble);

  if (!network) {
    g_autofree char *text = g_utf8_make_valid(trouble->message, -1);
    onnx_error(error, (InferError)trouble->code, "%s: %s", source ? source : "model", text);
    g_error_free(trouble);
  }
  return network;
}

InferNetwork *
infer_parse_onnx_bytes(GBytes *bytes, const char *source, const InferParseOptions *options,
                       GError **error)
{
  return parse_named(bytes, source, NULL, options, error);
}

InferNetwork *
infer_parse_onnx(const char *path, const InferParseOptions *options, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &trouble);
  if (!file) {
    onnx_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
    return NULL;
  }
  g_autoptr(GBytes) bytes = g_mapped_file_get_bytes(file);
  g_autofree char *folder = g_path_get_dirname(path);
  return parse_named(bytes, path, folder, options, error);
}
