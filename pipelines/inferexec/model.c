/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <infer/parsers.h>

/* What the parsers allow for an open batch by default. */
#define DEFAULT_MAX_BATCH 1024

typedef InferNetwork *(*ParseFunc)(const char *path, const InferParseOptions *options,
                                   GError **error);

const char *
exec_model_file(const ExecArgs *args)
{
  return args->onnx     ? args->onnx
         : args->tf     ? args->tf
         : args->uff    ? args->uff
         : args->deploy ? args->deploy
                        : args->model;
}

/* infer_parse_file() also reads the .modelinfo file; a file that it would not recognise goes to the
 * parser that was asked for, which says what is wrong with it. */
static InferNetwork *
parse_as(const char *flag, const char *path, InferFormat format, ParseFunc parse,
         const InferParseOptions *options, GError **error)
{
  InferFormat found = infer_format_of_file(path, NULL);

  if (found == INFER_FORMAT_PLAN) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s=%s: this is a plan, not a model; load it with --loadEngine", flag, path);
    return NULL;
  }
  return found == format ? infer_parse_file(path, options, error) : parse(path, options, error);
}

/* The other formats find their .modelinfo file in infer_parse_file(). */
static InferNetwork *
parse_caffe(const ExecArgs *args, const InferParseOptions *options, GError **error)
{
  g_autoptr(InferNetwork) network = infer_parse_caffe(args->deploy, args->model, options, error);
  g_autofree char *over =
      network != NULL ? infer_model_info_find(args->model != NULL ? args->model : args->deploy)
                      : NULL;
  if (network != NULL && over == NULL && args->model != NULL)
    over = infer_model_info_find(args->deploy);
  if (over != NULL &&
      !infer_model_info_load_over(infer_network_get_model_info(network), over, error))
    return NULL;
  return g_steal_pointer(&network);
}

/* "name,3,300,300" as the parser takes it; UFF's finds out by the first layer whether the channels
 * come first in the file too. */
static char *
input_shape(const char *flag, const char *text, guint rank, GError **error)
{
  g_auto(GStrv) parts = g_strsplit(text, ",", -1);
  guint n = g_strv_length(parts);
  g_autofree char *dims = n > 1 ? g_strjoinv("x", parts + 1) : NULL;
  guint64 dim;

  for (guint i = 1; i < n; i++) {
    if (!g_ascii_string_to_unsigned(parts[i], 10, 1, 1 << 24, &dim, NULL))
      n = 0;
  }
  if (n < 2 || (rank > 0 && n != rank + 1) || parts[0][0] == '\0') {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s=%s: a name and %s numbers from 1 are needed, as in in,3,300,300", flag, text,
                rank > 0 ? "three" : "its");
    return NULL;
  }
  return g_strconcat(parts[0], ":", dims, NULL);
}

/* Returns: (transfer full) (nullable): what a flag says of inputs, for the parser. */
static char **
input_shapes(const char *flag, const GPtrArray *texts, guint rank, GError **error)
{
  g_autoptr(GStrvBuilder) shapes = g_strv_builder_new();

  for (guint i = 0; texts != NULL && i < texts->len; i++) {
    g_autofree char *shape = input_shape(flag, texts->pdata[i], rank, error);
    if (shape == NULL)
      return NULL;
    g_strv_builder_add(shapes, shape);
  }
  return g_strv_builder_end(shapes);
}

static InferNetwork *
parse_tf(const ExecArgs *args, InferParseOptions *options, GError **error)
{
  g_auto(GStrv) shapes = input_shapes("tfInput", args->tf_inputs, 0, error);

  if (shapes == NULL)
    return NULL;
  options->shapes = (const char *const *)shapes;
  InferNetwork *network =
      parse_as("tf", args->tf, INFER_FORMAT_TENSORFLOW, infer_parse_tensorflow, options, error);
  options->shapes = NULL;
  return network;
}

static InferNetwork *
parse_uff(const ExecArgs *args, InferParseOptions *options, GError **error)
{
  g_auto(GStrv) shapes = input_shapes("uffInput", args->uff_inputs, 3, error);

  if (shapes == NULL)
    return NULL;
  if (args->uff_nhwc && shapes[0] == NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "--uffNHWC needs --uffInput");
    return NULL;
  }
  options->shapes = (const char *const *)shapes;
  InferNetwork *network =
      parse_as("uff", args->uff, INFER_FORMAT_UFF, infer_parse_uff, options, error);
  options->shapes = NULL;
  return network;
}

InferNetwork *
exec_model_parse(const ExecArgs *args, GPtrArray *problems, GError **error)
{
  InferParseOptions options = {.outputs = (const char *const *)args->outputs, .problems = problems};
  guint most = MAX(args->batch, args->max_batch);

  if (most > DEFAULT_MAX_BATCH)
    options.max_batch = most;
  if (args->onnx != NULL)
    return parse_as("onnx", args->onnx, INFER_FORMAT_ONNX, infer_parse_onnx, &options, error);
  if (args->tf != NULL)
    return parse_tf(args, &options, error);
  if (args->uff != NULL)
    return parse_uff(args, &options, error);
  if (args->deploy != NULL)
    return parse_caffe(args, &options, error);
  return infer_parse_file(args->model, &options, error);
}

gboolean
exec_load_plugins(const ExecArgs *args, GError **error)
{
  for (guint i = 0; args->plugins != NULL && i < args->plugins->len; i++) {
    if (!infer_plugin_load(args->plugins->pdata[i], error))
      return FALSE;
  }
  return TRUE;
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
  return g_strcmp0(a, b);
}

static void
print_operators(InferNetwork *network)
{
  g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
  guint n = infer_network_get_n_nodes(network);

  for (guint i = 0; i < n; i++) {
    const char *op = infer_node_get_op_name(infer_network_get_node(network, i));
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, op));
    g_hash_table_insert(counts, (gpointer)op, GUINT_TO_POINTER(count + 1));
  }
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(counts), by_name);
  for (GList *name = names; name != NULL; name = name->next)
    exec_info("  %-24s %u", (const char *)name->data,
              GPOINTER_TO_UINT(g_hash_table_lookup(counts, name->data)));
}

gboolean
exec_model_check(const ExecArgs *args, GError **error)
{
  const char *path = exec_model_file(args);

  if (!exec_load_plugins(args, error))
    return FALSE;
  if (path == NULL || infer_format_of_file(path, NULL) == INFER_FORMAT_PLAN) {
    path = path != NULL ? path : args->load_engine;
    if (!infer_engine_check_file(path, args->device, error))
      return FALSE;
    exec_info("%s: the plan can be loaded", path);
    return TRUE;
  }
  g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GError) trouble = NULL;
  g_autoptr(InferNetwork) network = exec_model_parse(args, problems, &trouble);
  if (network != NULL) {
    exec_info("%s: every node can be used: %u nodes, %u inputs, %u outputs", path,
              infer_network_get_n_nodes(network), infer_network_get_n_inputs(network),
              infer_network_get_n_outputs(network));
    print_operators(network);
    return TRUE;
  }
  if (problems->len == 0) {
    g_propagate_error(error, g_steal_pointer(&trouble));
    return FALSE;
  }
  for (guint i = 0; i < problems->len; i++)
    exec_info("Cannot be used: %s", (const char *)problems->pdata[i]);
  g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED, "%s: %u node%s cannot be used", path,
              problems->len, problems->len == 1 ? "" : "s");
  return FALSE;
}
