/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "../partial.h"

static const CaffeOp *const families[] = {
    caffe_ops_convolution, caffe_ops_pooling, caffe_ops_pointwise,
    caffe_ops_norm,        caffe_ops_shape,   caffe_ops_resize,
    caffe_ops_detection,   caffe_ops_region,  caffe_ops_recurrent,
};

static void
problem(CaffeImport *im, const CaffeDef *layer, const char *text, gint code)
{
  if (im->problems->len == 0) {
    im->problem_code = code;
  }
  guint line = caffe_net_line(im->net, layer);
  g_autofree char *where = line ? g_strdup_printf(" in line %u", line) : g_strdup("");
  g_ptr_array_add(im->problems, g_strdup_printf("'%s' (%s)%s: %s", layer->name ? layer->name : "",
                                                layer->type, where, text));
}

static gboolean
report(CaffeImport *im, GError **error)
{
  g_autofree char *text = NULL;

  if (im->problems->len == 0) {
    return TRUE;
  }
  text = parsers_tell_problems(im->options, im->problems, "layer");
  return caffe_error(error, (InferError)im->problem_code, "%s", text);
}

/* The bottoms of a layer. A blob that is there but has no tensor is what a layer with a problem
 * would have made: that layer is named already. */
static gboolean
find_bottoms(CaffeImport *im, CaffeLayer *layer, gboolean *broken, GError **error)
{
  *broken = FALSE;
  for (guint i = 0; i < layer->n_in; i++) {
    const char *name = layer->def->bottom[i];
    gpointer tensor = NULL;
    if (!g_hash_table_lookup_extended(im->blobs, name, NULL, &tensor)) {
      return caffe_error(error, INFER_ERROR_MODEL, "no layer before it has the top '%s'", name);
    }
    layer->in[i] = tensor;
    *broken = *broken || !tensor;
  }
  return TRUE;
}

static gboolean
emit_op(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  const CaffeOp *op = g_hash_table_lookup(im->ops, layer->def->type);
  gboolean broken;

  if (!find_bottoms(im, layer, &broken, error)) {
    return FALSE;
  }
  static const CaffeOp custom = {"custom", caffe_custom_emit, NULL};
  /* The one layer in Python that is known is there for nets without a plugin. */
  gboolean open = !op || !op->emit || g_str_equal(layer->def->type, "Python");
  if (open && caffe_custom_is(layer)) {
    op = &custom;
  }
  if (!op || !op->emit) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "%s",
                       op ? op->reason
                          : "this type of layer is not supported, and no plugin of that name is "
                            "registered (--plugins=LIBRARY, INFER_PLUGIN_PATH)");
  }
  if (op != &custom && !caffe_custom_check(im, layer, error)) {
    return FALSE;
  }
  if (broken) {
    return im->problems->len > 0 ||
           caffe_error(error, INFER_ERROR_UNSUPPORTED, "it reads what is not one tensor");
  }
  return op->emit(im, layer, error);
}

static void
emit_layer(CaffeImport *im, const CaffeDef *def)
{
  g_autofree InferTensor **in = g_new0(InferTensor *, def->n_bottom + 1);
  g_autofree InferTensor **out = g_new0(InferTensor *, def->n_top + 1);
  CaffeLayer layer = {
      .def = def, .n_in = (guint)def->n_bottom, .in = in, .n_out = (guint)def->n_top, .out = out};
  GError *error = NULL;

  if (!emit_op(im, &layer, &error)) {
    problem(im, def, error ? error->message : "it could not be added",
            error ? error->code : INFER_ERROR_FAILED);
    g_clear_error(&error);
  }
  for (gsize i = 0; i < def->n_top; i++) {
    g_hash_table_insert(im->blobs, def->top[i], out[i]);
  }
}

static gboolean
mark_outputs(CaffeImport *im, GPtrArray *outputs, GError **error)
{
  for (guint i = 0; i < outputs->len; i++) {
    const char *name = outputs->pdata[i];
    InferTensor *tensor = g_hash_table_lookup(im->blobs, name);
    if (!tensor && im->detections && g_hash_table_contains(im->blobs, name)) {
      continue;
    }
    if (!tensor) {
      return caffe_error(error, INFER_ERROR_ARGUMENT, "no layer has the top '%s'", name);
    }
    g_autofree char *valid = g_utf8_make_valid(name, -1);
    /* An input, a constant, or what is an output already under another name, gets a node. */
    if (tensor->is_input || tensor->is_output || !tensor->producer) {
      InferNode *node =
          infer_network_add_node(im->network, "Identity", NULL, &tensor, 1, NULL, 1, error);
      tensor = node ? node->outputs[0] : NULL;
    }
    /* A layer in the place of the input itself: the name of the layer is left. */
    InferTensor *other = infer_network_find_tensor(im->network, valid);
    gboolean taken = other && other->is_input;
    if (!tensor || !infer_network_mark_output(im->network, tensor, taken ? NULL : valid, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static void
index_all(CaffeImport *im)
{
  im->ops = g_hash_table_new(g_str_hash, g_str_equal);
  for (gsize i = 0; i < G_N_ELEMENTS(families); i++) {
    for (const CaffeOp *op = families[i]; op->type; op++) {
      g_hash_table_insert(im->ops, (gpointer)op->type, (gpointer)op);
    }
  }
  im->weights_of = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; im->weights && i < im->weights->layers->len; i++) {
    CaffeDef *layer = im->weights->layers->pdata[i];
    if (layer->name && layer->n_blobs > 0) {
      g_hash_table_insert(im->weights_of, layer->name, layer);
    }
  }
}

static void
import_clear(CaffeImport *im)
{
  g_clear_object(&im->network);
  g_clear_object(&im->info);
  g_clear_pointer(&im->layers, g_ptr_array_unref);
  g_clear_pointer(&im->blobs, g_hash_table_unref);
  g_clear_pointer(&im->weights_of, g_hash_table_unref);
  g_clear_pointer(&im->ops, g_hash_table_unref);
  g_clear_pointer(&im->shared, g_hash_table_unref);
  g_clear_pointer(&im->problems, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CaffeImport, import_clear)

static InferNetwork *
import(CaffeNet *net, CaffeNet *weights, const char *folder, const InferParseOptions *options,
       GError **error)
{
  g_auto(CaffeImport)
      im = {.net = net, .weights = weights, .folder = folder, .options = options, .seed = 1};
  g_autoptr(GPtrArray) outputs = g_ptr_array_new();

  im.network = infer_network_new();
  im.info = infer_model_info_new();
  im.layers = g_ptr_array_new();
  im.blobs = g_hash_table_new(g_str_hash, g_str_equal);
  im.problems = g_ptr_array_new_with_free_func(g_free);
  im.shared =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)infer_array_unref);
  index_all(&im);
  if (!caffe_select(&im, outputs, error) || !caffe_inputs(&im, error)) {
    return NULL;
  }
  for (guint i = 0; i < im.layers->len; i++) {
    const CaffeDef *layer = im.layers->pdata[i];
    if (!caffe_is_input(layer->type)) {
      emit_layer(&im, layer);
    }
  }
  if (!report(&im, error) || !mark_outputs(&im, outputs, error)) {
    return NULL;
  }
  infer_network_set_model_info(im.network, im.info);
  return g_steal_pointer(&im.network);
}

static InferNetwork *
parse(GBytes *prototxt, GBytes *caffemodel, const char *folder, const InferParseOptions *options,
      GError **error)
{
  g_autoptr(CaffeNet) net = NULL;
  g_autoptr(CaffeNet) weights = NULL;

  if (prototxt) {
    net = caffe_net_from_text(prototxt, error);
    if (net && caffemodel) {
      weights = caffe_net_from_binary(caffemodel, TRUE, error);
    }
  } else if (caffemodel) {
    net = caffe_net_from_binary(caffemodel, FALSE, error);
  } else {
    caffe_error(error, INFER_ERROR_ARGUMENT, "there is neither a prototxt nor a caffemodel");
  }
  if (!net || (prototxt && caffemodel && !weights)) {
    return NULL;
  }
  return import(net, prototxt ? weights : net, folder, options, error);
}

static InferNetwork *
parse_named(GBytes *prototxt, GBytes *caffemodel, const char *source, const char *folder,
            const InferParseOptions *options, GError **error)
{
  GError *trouble = NULL;
  InferNetwork *network = parse(prototxt, caffemodel, folder, options, &trouble);

  if (!network) {
    caffe_error(error, (InferError)trouble->code, "%s: %s", source ? source : "net",
                trouble->message);
    g_error_free(trouble);
  }
  return network;
}

InferNetwork *
infer_parse_caffe_bytes(GBytes *prototxt, GBytes *caffemodel, const char *source,
                        const InferParseOptions *options, GError **error)
{
  return parse_named(prototxt, caffemodel, source, NULL, options, error);
}

static gboolean
load(const char *path, GBytes **bytes, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = path ? g_mapped_file_new(path, FALSE, &trouble) : NULL;

  *bytes = file ? g_mapped_file_get_bytes(file) : NULL;
  return !path || file || caffe_error(error, INFER_ERROR_FAILED, "%s", trouble->message);
}

InferNetwork *
infer_parse_caffe(const char *prototxt, const char *caffemodel, const InferParseOptions *options,
                  GError **error)
{
  g_autoptr(GBytes) text = NULL;
  g_autoptr(GBytes) model = NULL;
  const char *first = prototxt ? prototxt : caffemodel;
  g_autofree char *folder = first ? g_path_get_dirname(first) : NULL;

  if (!load(prototxt, &text, error) || !load(caffemodel, &model, error)) {
    return NULL;
  }
  g_autofree char *source = prototxt && caffemodel
                                ? g_strdup_printf("%s with %s", prototxt, caffemodel)
                                : g_strdup(first);
  return parse_named(text, model, source, folder, options, error);
}
