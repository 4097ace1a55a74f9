/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"
#include "../partial.h"

#include "../plugin.h"

#include <string.h>

/* The dimensions of an input: what the caller says, then what the file says. */
static gboolean
input_dims(UffImport *im, const UffNode *node, InferDims *dims, GError **error)
{
  gint64 list[INFER_MAX_DIMS];
  gsize n = uff_ints(im, node, "shape", list, INFER_MAX_DIMS);

  if (!parsers_find_shape(im->options, node->def->id, dims, error)) {
    return FALSE;
  }
  if (dims->n > 1) {
    return TRUE;
  }
  for (gsize i = 1; i < n; i++) {
    dims->d[dims->n++] = list[i];
    if (list[i] < 1) {
      n = 0;
    }
  }
  if (n < 2) {
    return uff_error(error, INFER_ERROR_ARGUMENT,
                     "the file does not say its dimensions; give them as a shape '%s:28x28x1', in "
                     "the file's order and without the batch",
                     node->def->id);
  }
  return TRUE;
}

static gboolean
emit_input(UffImport *im, UffNode *node, GError **error)
{
  guint max = im->options && im->options->max_batch ? im->options->max_batch : 1024;
  g_autofree char *name = g_utf8_make_valid(node->def->id, -1);
  InferDims dims;

  if (!input_dims(im, node, &dims, error)) {
    return FALSE;
  }
  dims.d[0] = infer_network_add_symbol(im->network, "batch", 1, 1, max);
  const InferUff__Data *dtype = uff_field(im, node, "dtype");
  InferType type = dtype && dtype->has_dtype ? uff_type(dtype->dtype) : INFER_TYPE_FLOAT;
  if (type == INFER_TYPE_UNDEFINED || !infer_type_is_integer(type)) {
    type = INFER_TYPE_FLOAT;
  }
  return uff_out(node, infer_network_add_input(im->network, name, type, &dims, NULL, error), FALSE);
}

static const UffOp uff_ops_input[] = {{"Input", emit_input}, {NULL, NULL}};

/* "_Name" is a plugin of that name; keys of its fields end in their type, as in "scale_u_float". */
static gboolean
emit_plugin(UffImport *im, UffNode *node, GError **error)
{
  const char *type = node->def->operation + 1;
  g_autofree InferTensor **inputs = g_new0(InferTensor *, node->n_inputs + 1);
  g_autofree char *name = g_utf8_make_valid(node->def->id, -1);
  g_autoptr(GHashTable) fields = parsers_fields_new();
  ParsersLayer layer = {.type = type,
                        .name = name,
                        .fields = fields,
                        .inputs = inputs,
                        .n_inputs = node->n_inputs,
                        .n_outputs = 1};

  for (guint i = 0; i < node->n_inputs; i++) {
    inputs[i] = uff_in(im, node, i, error);
    if (!inputs[i]) {
      return FALSE;
    }
  }
  for (gsize i = 0; i < node->def->n_fields; i++) {
    const InferUff__Entry *entry = node->def->fields[i];
    const char *suffix = entry->key ? g_strrstr(entry->key, "_u_") : NULL;
    g_autofree char *key = suffix ? g_strndup(entry->key, (gsize)(suffix - entry->key))
                                  : g_strdup(entry->key ? entry->key : "");
    gboolean layout = g_str_has_suffix(key, "_orders") || g_str_has_suffix(key, "_order");
    if (layout && !parsers_plugin_has_field(NULL, type, key)) {
      continue;
    }
    GVariant *value = uff_variant(uff_field(im, node, entry->key ? entry->key : ""));
    if (!value) {
      return uff_error(error, INFER_ERROR_UNSUPPORTED,
                       "its field '%s' is of a kind that plugins have not", key);
    }
    parsers_fields_add(fields, key, value);
  }
  InferNode *added = parsers_plugin_add(im->network, &layer, error);
  return added && uff_out(node, added->outputs[0], FALSE);
}

static gboolean
is_plugin(const UffNode *node)
{
  const char *name = node->def->operation;

  return name[0] == '_' && name[1] && g_utf8_validate(name, -1, NULL) &&
         parsers_plugin_is(NULL, name + 1);
}

static void
emit_node(UffImport *im, UffNode *node)
{
  static const UffOp plugin = {"_", emit_plugin};
  const UffOp *op = g_hash_table_lookup(im->ops, node->def->operation);
  GError *error = NULL;

  for (guint i = 0; i < node->n_inputs; i++) {
    node->failed = node->failed || node->inputs[i]->failed;
  }
  /* A user's plugin stands before the layers of TensorRT's that are built in. */
  if ((!op || node->def->operation[0] == '_') && is_plugin(node)) {
    op = &plugin;
  }
  if (!op && node->def->operation[0] == '_') {
    uff_error(&error, INFER_ERROR_UNSUPPORTED,
              "operations with '_' are code of the program that the model was made for; no plugin "
              "of the name '%s' is registered (--plugins=LIBRARY, INFER_PLUGIN_PATH)",
              node->def->operation + 1);
  } else if (!op) {
    uff_error(&error, INFER_ERROR_UNSUPPORTED, "this operation is not supported");
  } else if (!node->failed && !op->emit(im, node, &error) && !error) {
    uff_error(&error, INFER_ERROR_FAILED, "it could not be added");
  }
  if (error) {
    node->failed = TRUE;
    if (im->problems->len == 0) {
      im->problem_code = error->code;
    }
    g_ptr_array_add(im->problems, g_strdup_printf("'%s' (%s): %s", node->def->id,
                                                  node->def->operation, error->message));
    g_error_free(error);
  }
}

/* Adds what @root needs, inputs first; without recursion, for a graph may be a long chain. */
static gboolean
import_from(UffImport *im, UffNode *root, GError **error)
{
  g_autoptr(GPtrArray) stack = g_ptr_array_new();

  if (!root->done) {
    root->open = TRUE;
    g_ptr_array_add(stack, root);
  }
  while (stack->len > 0) {
    UffNode *node = stack->pdata[stack->len - 1];
    if (node->next < node->n_inputs) {
      UffNode *from = node->inputs[node->next++];
      if (from->open) {
        return uff_error(error, INFER_ERROR_MODEL, "the graph has a cycle through '%s'",
                         from->def->id);
      }
      if (!from->done) {
        from->open = TRUE;
        g_ptr_array_add(stack, from);
      }
      continue;
    }
    node->open = FALSE;
    node->done = TRUE;
    g_ptr_array_set_size(stack, (gint)stack->len - 1);
    emit_node(im, node);
  }
  return TRUE;
}

static gboolean
report(UffImport *im, GError **error)
{
  g_autofree char *text = NULL;

  if (im->problems->len == 0) {
    return TRUE;
  }
  text = parsers_tell_problems(im->options, im->problems, "node");
  return uff_error(error, (InferError)im->problem_code, "%s", text);
}

/* The nodes that are outputs: by name, by MarkOutput, or because nothing reads them. */
static gboolean
find_outputs(UffImport *im, GPtrArray *outputs, GError **error)
{
  const char *const *asked = im->options ? im->options->outputs : NULL;

  for (gsize i = 0; asked && asked[i]; i++) {
    UffNode *node = g_hash_table_lookup(im->by_name, asked[i]);
    if (!node) {
      return uff_error(error, INFER_ERROR_ARGUMENT, "there is no node '%s' to be an output",
                       asked[i]);
    }
    g_ptr_array_add(outputs, node);
  }
  for (guint i = 0; i < im->n_nodes && !(asked && asked[0]); i++) {
    UffNode *node = &im->nodes[i];
    if (g_str_equal(node->def->operation, "MarkOutput") && node->n_inputs == 1) {
      g_ptr_array_add(outputs, node->inputs[0]);
    }
  }
  for (guint i = 0, none = outputs->len == 0; i < im->n_nodes && none; i++) {
    if (im->nodes[i].readers == 0) {
      g_ptr_array_add(outputs, &im->nodes[i]);
    }
  }
  return outputs->len > 0 || uff_error(error, INFER_ERROR_MODEL, "the graph has no output");
}

static gboolean
mark_output(UffImport *im, UffNode *node, GError **error)
{
  if (node->detections) {
    return TRUE;
  }
  InferTensor *tensor = uff_out_plain(im, node, error);
  g_autofree char *name = g_utf8_make_valid(node->def->id, -1);

  if (tensor && (tensor->is_input || tensor->is_output || !tensor->producer)) {
    tensor = uff_add1(im, node, "Identity", NULL, tensor, error);
  }
  return tensor && infer_network_mark_output(im->network, tensor, name, error);
}

/* A name that is misspelt would leave the file's dimensions as they are. */
static gboolean
check_shapes(const UffImport *im, GError **error)
{
  const char *const *shapes = im->options ? im->options->shapes : NULL;

  for (gsize i = 0; shapes && shapes[i]; i++) {
    const char *colon = strrchr(shapes[i], ':');
    g_autofree char *name = g_strndup(shapes[i], colon ? (gsize)(colon - shapes[i]) : 0);
    const UffNode *node = g_hash_table_lookup(im->by_name, name);
    if (!node || !g_str_equal(node->def->operation, "Input")) {
      return uff_error(error, INFER_ERROR_ARGUMENT, "the shape '%s' is of no input of the graph",
                       shapes[i]);
    }
  }
  return TRUE;
}

static void
guess_image(UffImport *im, InferModelInfo *info)
{
  const InferTensor *input =
      infer_network_get_n_inputs(im->network) == 1 ? infer_network_get_input(im->network, 0) : NULL;

  if (input && input->dims.n == 4) {
    infer_model_info_set_input(info, input->name);
  }
}

static void
import_clear(UffImport *im)
{
  for (guint i = 0; i < im->n_nodes; i++) {
    g_free(im->nodes[i].inputs);
  }
  g_free(im->nodes);
  g_clear_pointer(&im->by_name, g_hash_table_unref);
  g_clear_pointer(&im->data, g_hash_table_unref);
  g_clear_pointer(&im->ops, g_hash_table_unref);
  g_clear_pointer(&im->problems, g_ptr_array_unref);
  g_clear_object(&im->network);
  if (im->graph) {
    infer_uff__meta_graph__free_unpacked(im->graph, &im->allocator.base);
  }
  g_clear_pointer(&im->ranges, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UffImport, import_clear)

static InferNetwork *
parse(GBytes *bytes, const InferParseOptions *options, GError **error)
{
  static const UffOp *const families[] = {uff_ops_input, uff_ops_layers, uff_ops_shape,
                                          uff_ops_slice, uff_ops_detection};
  g_auto(UffImport) im = {.options = options, .bytes = bytes};
  g_autoptr(GPtrArray) outputs = g_ptr_array_new();
  g_autoptr(InferModelInfo) info = infer_model_info_new();

  im.by_name = g_hash_table_new(g_str_hash, g_str_equal);
  im.data = g_hash_table_new(g_str_hash, g_str_equal);
  im.ops = g_hash_table_new(g_str_hash, g_str_equal);
  im.problems = g_ptr_array_new_with_free_func(g_free);
  im.network = infer_network_new();
  im.info = info;
  for (gsize i = 0; i < G_N_ELEMENTS(families); i++) {
    for (const UffOp *op = families[i]; op->name; op++) {
      g_hash_table_insert(im.ops, (gpointer)op->name, (gpointer)op);
    }
  }
  if (!uff_graph_load(&im, error) || !check_shapes(&im, error) ||
      !find_outputs(&im, outputs, error)) {
    return NULL;
  }
  for (guint i = 0; i < outputs->len; i++) {
    if (!import_from(&im, outputs->pdata[i], error)) {
      return NULL;
    }
  }
  if (!report(&im, error)) {
    return NULL;
  }
  for (guint i = 0; i < outputs->len; i++) {
    if (!mark_output(&im, outputs->pdata[i], error)) {
      return NULL;
    }
  }
  guess_image(&im, info);
  infer_network_set_model_info(im.network, info);
  return g_steal_pointer(&im.network);
}

InferNetwork *
infer_parse_uff_bytes(GBytes *bytes, const char *source, const InferParseOptions *options,
                      GError **error)
{
  GError *trouble = NULL;
  InferNetwork *network = parse(bytes, options, &trouble);

  if (!network) {
    uff_error(error, (InferError)trouble->code, "%s: %s", source ? source : "graph",
              trouble->message);
    g_error_free(trouble);
  }
  return network;
}

InferNetwork *
infer_parse_uff(const char *path, const InferParseOptions *options, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &trouble);

  if (!file) {
    uff_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
    return NULL;
  }
  g_autoptr(GBytes) bytes = g_mapped_file_get_bytes(file);
  return infer_parse_uff_bytes(bytes, path, options, error);
}
