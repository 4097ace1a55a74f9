/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onnx-values.h"
#include "onnx-board.h"
#include "op.h"

#include <infer/parsers.h>
#include <math.h>
#include <string.h>

/*
 * ONNX's backend tests: folders with a model and with inputs and outputs for it.
 *
 *   onnx-conformance [--device cpu] [--reference] [--filter NAME] [--exclusions FILE --set NAME]
 *     [--tap] DIR ...
 *
 * Every DIR/.../model.onnx beside folders test_data_set_* is a test. It passes when the outputs are
 * those of the files within the runner's tolerances (a file "tolerance" beside the model may say
 * others). By default a model is built for the device and run there; where a dimension depends on
 * data, or with --reference, its nodes are evaluated one by one.
 *
 * The test suite runs the models of Debian's package libonnx-testdata. The newest ones, by hand:
 *
 *   python3 -m venv DIR/venv && DIR/venv/bin/pip install onnx pillow
 *   DIR/venv/bin/python tests/conformance/write-onnx-tests.py DIR/models
 *   pipelines/env build/tests/onnx-conformance --exclusions tests/conformance/onnx-exclusions.txt \
 *     --set newest DIR/models
 */

typedef struct {
  const char *device;
  gboolean reference;
  const char *filter;
  Board *board;
} Run;

static void
unref_array(gpointer array)
{
  if (array != NULL)
    infer_array_unref(array);
}

/* --- tensor files --- */

static void
put_varint(GByteArray *out, guint64 value)
{
  do {
    guint8 byte = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    g_byte_array_append(out, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

static void
put_field(GByteArray *out, guint field, gconstpointer data, gsize size)
{
  put_varint(out, field << 3 | 2);
  put_varint(out, size);
  g_byte_array_append(out, data, (guint)size);
}

static void
put_child(GByteArray *out, guint field, GByteArray *child)
{
  put_field(out, field, child->data, child->len);
  g_byte_array_unref(child);
}

/* A TensorProto is read by making it the initializer of a model; its last name counts. */
static InferArray *
read_tensor(const guint8 *data, gsize size, const char *path, GError **error)
{
  GByteArray *tensor = g_byte_array_new(), *graph = g_byte_array_new();
  GByteArray *model = g_byte_array_new(), *output = g_byte_array_new();
  const guint8 version[] = {0x08, 8};
  g_byte_array_append(tensor, data, (guint)size);
  put_field(tensor, 8, "t", 1);
  put_field(output, 1, "t", 1);
  put_child(graph, 5, tensor);
  put_child(graph, 12, output);
  g_byte_array_append(model, version, sizeof version);
  put_child(model, 7, graph);
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(model);
  g_autoptr(InferNetwork) network = infer_parse_onnx_bytes(bytes, path, NULL, error);
  if (network == NULL)
    return NULL;
  const InferNode *node = infer_network_get_output(network, 0)->producer;
  return infer_array_ref(node->inputs[0]->value);
}

static GPtrArray *
read_values(InferNetwork *network, const char *folder, gboolean inputs, GError **error)
{
  g_autoptr(GPtrArray) arrays = g_ptr_array_new_with_free_func(unref_array);
  for (guint i = 0;; i++) {
    g_autofree char *name = g_strdup_printf("%s_%u.pb", inputs ? "input" : "output", i);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    const InferTensor *tensor =
        inputs ? infer_network_get_input(network, i) : infer_network_get_output(network, i);
    InferKind kind = tensor != NULL ? tensor->kind : INFER_KIND_TENSOR;
    InferType type = tensor != NULL ? tensor->type : INFER_TYPE_FLOAT;
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
      return g_steal_pointer(&arrays);
    InferArray *array = onnx_read_value(path, kind, type, read_tensor, error);
    if (array == NULL)
      return NULL;
    g_ptr_array_add(arrays, array);
  }
}

/* Tests of ONNX 1.12 and before have the bits of bfloat16 as uint16. */
static InferArray *
as_type(InferArray *array, InferType type)
{
  InferArray *view;
  if (type != INFER_TYPE_BFLOAT16 || array->type != INFER_TYPE_UINT16)
    return infer_array_ref(array);
  view = infer_array_new_from_data(type, &array->dims, array->data, array->size, NULL);
  return view != NULL ? view : infer_array_ref(array);
}

/* --- comparing --- */

static gboolean differ(GError **error, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static gboolean
differ(GError **error, const char *name, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY, "output '%s': %s", name, text);
  return FALSE;
}

static gboolean compare(const char *name, const InferArray *want, const InferArray *have,
                        double rtol, double atol, GError **error);

static gboolean
compare_items(const char *name, const InferArray *want, const InferArray *have, double rtol,
              double atol, GError **error)
{
  guint n = infer_array_get_n_items(want), n_have = infer_array_get_n_items(have);
  if (infer_array_get_kind(want) != infer_array_get_kind(have) || n != n_have ||
      want->type != have->type)
    return differ(error, name, "%s of %u %s, expected %s of %u %s",
                  infer_kind_name(infer_array_get_kind(have)), n_have, infer_type_name(have->type),
                  infer_kind_name(infer_array_get_kind(want)), n, infer_type_name(want->type));
  for (guint i = 0; i < n; i++)
    if (!compare(name, infer_array_get_item(want, i), infer_array_get_item(have, i), rtol, atol,
                 error))
      return FALSE;
  return TRUE;
}

static gboolean
compare(const char *name, const InferArray *want, const InferArray *have, double rtol, double atol,
        GError **error)
{
  if (infer_array_get_kind(want) != INFER_KIND_TENSOR ||
      infer_array_get_kind(have) != INFER_KIND_TENSOR)
    return compare_items(name, want, have, rtol, atol, error);
  g_autofree char *want_dims = infer_dims_to_string(&want->dims);
  g_autofree char *have_dims = infer_dims_to_string(&have->dims);
  if (want->type != have->type || !infer_dims_equal(&want->dims, &have->dims))
    return differ(error, name, "%s %s, expected %s %s", infer_type_name(have->type), have_dims,
                  infer_type_name(want->type), want_dims);
  gint64 count = infer_array_count(want);
  for (gint64 i = 0; want->type == INFER_TYPE_STRING && i < count; i++)
    if (strcmp(infer_array_get_string(want, (gsize)i), infer_array_get_string(have, (gsize)i)) != 0)
      return differ(error, name, "element %" G_GINT64_FORMAT " is '%s', expected '%s'", i,
                    infer_array_get_string(have, (gsize)i), infer_array_get_string(want, (gsize)i));
  if (want->type == INFER_TYPE_STRING)
    return TRUE;
  /* Two units in the last place, as ONNX's own runner allows. */
  if (want->type == INFER_TYPE_BFLOAT16)
    rtol = MAX(rtol, 0x1p-6);
  InferType part = want->type == INFER_TYPE_COMPLEX64    ? INFER_TYPE_FLOAT
                   : want->type == INFER_TYPE_COMPLEX128 ? INFER_TYPE_DOUBLE
                                                         : want->type;
  InferDims flat = INFER_DIMS(part == want->type ? count : 2 * count);
  g_autoptr(InferArray) a = infer_array_new_view(part, &flat, want->data);
  g_autoptr(InferArray) b = infer_array_new_view(part, &flat, have->data);
  for (gint64 i = 0; i < flat.d[0]; i++) {
    double x = infer_array_get_double(a, (gsize)i), y = infer_array_get_double(b, (gsize)i);
    if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= atol + rtol * fabs(x))
      continue;
    return differ(error, name, "element %" G_GINT64_FORMAT " is %.9g, expected %.9g", i, y, x);
  }
  return TRUE;
}

/* --- running --- */

/* Puts the arrays at their places among the network's inputs. */
static GPtrArray *
bind_inputs(InferNetwork *network, GPtrArray *files, GError **error)
{
  g_autoptr(GPtrArray) bound = g_ptr_array_new_with_free_func(unref_array);
  guint n = infer_network_get_n_inputs(network), next = 0;
  for (guint i = 0; i < n; i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    /* Optional inputs are left at their defaults where there are not enough files. */
    gboolean given = next < files->len && (!input->initial || files->len - next >= n - i);
    InferArray *file = given ? files->pdata[next++] : input->initial;
    if (file == NULL) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "no file for input '%s'", input->name);
      return NULL;
    }
    InferArray *array = as_type(file, input->type);
    if (array->type != input->type || infer_array_get_kind(array) != input->kind) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "input '%s' is %s, the file has %s",
                  input->name, infer_type_name(input->type), infer_type_name(array->type));
      infer_array_unref(array);
      return NULL;
    }
    g_ptr_array_add(bound, array);
  }
  return g_steal_pointer(&bound);
}

static gboolean
evaluate_node(const InferNode *node, GHashTable *values, GError **error)
{
  g_autofree const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
  g_autofree InferArray **out = g_new0(InferArray *, node->n_outputs + 1);
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] != NULL)
      in[i] = node->inputs[i]->value ? node->inputs[i]->value
                                     : g_hash_table_lookup(values, node->inputs[i]);
  if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
    return FALSE;
  for (guint i = 0; i < node->n_outputs; i++)
    g_hash_table_insert(values, node->outputs[i], out[i]);
  return TRUE;
}

static GPtrArray *
run_reference(InferNetwork *network, GPtrArray *inputs, GError **error)
{
  g_autoptr(GHashTable) values = g_hash_table_new_full(NULL, NULL, NULL, unref_array);
  g_autoptr(GPtrArray) outputs = g_ptr_array_new_with_free_func(unref_array);
  for (guint i = 0; i < inputs->len; i++)
    g_hash_table_insert(values, infer_network_get_input(network, i),
                        infer_array_ref(inputs->pdata[i]));
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    if (!evaluate_node(infer_network_get_node(network, i), values, error))
      return NULL;
  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    InferArray *array = g_hash_table_lookup(values, infer_network_get_output(network, i));
    g_ptr_array_add(outputs, infer_array_ref(array));
  }
  return g_steal_pointer(&outputs);
}

/* Open dimensions are fixed at what the files have. */
static gboolean
fix_symbols(InferNetwork *network, GPtrArray *inputs, guint *batch, GError **error)
{
  for (guint i = 0; i < inputs->len; i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    const InferArray *array = inputs->pdata[i];
    for (gint k = 0; k < MIN(input->dims.n, array->dims.n); k++) {
      if (!INFER_DIM_IS_SYMBOL(input->dims.d[k]))
        continue;
      const InferSymbol *symbol =
          infer_network_get_symbol(network, INFER_DIM_SYMBOL_INDEX(input->dims.d[k]));
      gint64 size = array->dims.d[k];
      if (g_str_equal(symbol->name, "batch"))
        *batch = (guint)CLAMP(size, 1, G_MAXINT);
      if (!infer_network_set_symbol_range(network, symbol->name, size, size, size, error))
        return FALSE;
    }
  }
  return TRUE;
}

/* A batch has a row at least. */
static gboolean
is_empty(InferNetwork *network, GPtrArray *inputs)
{
  for (guint i = 0; i < inputs->len; i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    const InferArray *array = inputs->pdata[i];
    if (input->dims.n > 0 && INFER_DIM_IS_SYMBOL(input->dims.d[0]) && array->dims.d[0] == 0)
      return TRUE;
  }
  return FALSE;
}

/* Some of ONNX 1.12's tests have an input whose file contradicts the model's dimensions. */
static gboolean
other_dims(InferNetwork *network, GPtrArray *inputs)
{
  for (guint i = 0; i < inputs->len; i++) {
    const InferDims *dims = &infer_network_get_input(network, i)->dims;
    if (infer_dims_is_constant(dims) &&
        !infer_dims_equal(dims, &((const InferArray *)inputs->pdata[i])->dims))
      return TRUE;
  }
  return FALSE;
}

static GPtrArray *
collect_outputs(InferNetwork *network, InferContext *context, GError **error)
{
  g_autoptr(GPtrArray) outputs = g_ptr_array_new_with_free_func(unref_array);
  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    const InferTensor *output = infer_network_get_output(network, i);
    InferDims dims;
    gsize size;
    if (output->kind != INFER_KIND_TENSOR || output->type == INFER_TYPE_STRING) {
      InferArray *value = infer_context_get_value(context, output->name, error);
      if (value == NULL)
        return NULL;
      g_ptr_array_add(outputs, value);
      continue;
    }
    gpointer memory = infer_context_map(context, output->name, &size, error);
    if (memory == NULL || !infer_context_get_dims(context, output->name, &dims, error))
      return NULL;
    InferArray *array = infer_array_new_from_data(output->type, &dims, memory, size, error);
    if (array == NULL)
      return NULL;
    g_ptr_array_add(outputs, array);
  }
  return g_steal_pointer(&outputs);
}

static GPtrArray *
run_device(Run *run, InferNetwork *network, GPtrArray *inputs, GError **error)
{
  guint batch = 1;
  if (!fix_symbols(network, inputs, &batch, error))
    return NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  infer_builder_set_device(builder, run->device);
  infer_builder_set_max_batch(builder, batch);
  infer_builder_set_verify(builder, FALSE);
  g_autoptr(InferEngine) engine = infer_builder_build(builder, network, "onnx", NULL, error);
  g_autoptr(InferContext) context = engine != NULL ? infer_context_new(engine, error) : NULL;
  if (context == NULL || !infer_context_set_batch(context, batch, error))
    return NULL;
  for (guint i = 0; i < inputs->len; i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    const InferArray *array = inputs->pdata[i];
    gsize size;
    if (input->kind != INFER_KIND_TENSOR || input->type == INFER_TYPE_STRING) {
      if (!infer_context_set_value(context, input->name, inputs->pdata[i], error))
        return NULL;
      continue;
    }
    gpointer memory = infer_context_map(context, input->name, &size, error);
    if (memory == NULL)
      return NULL;
    if (size != array->size) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED,
                  "input '%s' has %" G_GSIZE_FORMAT " bytes, the file %" G_GSIZE_FORMAT,
                  input->name, size, array->size);
      return NULL;
    }
    memcpy(memory, array->data, size);
  }
  return infer_context_run(context, error) ? collect_outputs(network, context, error) : NULL;
}

/* --- a test --- */

static gboolean
draws_numbers(InferNetwork *network)
{
  static const char *const random[] = {
      "Bernoulli",         "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
      "RandomUniformLike", NULL};
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    const char *op = infer_node_get_op_name(node);
    if (g_strv_contains(random, op) ||
        (g_str_equal(op, "Dropout") && node->n_inputs > 2 && node->inputs[2] != NULL))
      return TRUE;
  }
  return FALSE;
}

static void
read_tolerance(const char *folder, double *rtol, double *atol)
{
  g_autofree char *path = g_build_filename(folder, "tolerance", NULL);
  g_autofree char *text = NULL;
  *rtol = 1e-3;
  *atol = 1e-7;
  if (g_file_get_contents(path, &text, NULL, NULL)) {
    char *end;
    *rtol = g_ascii_strtod(text, &end);
    *atol = g_ascii_strtod(end, NULL);
  }
}

static gboolean
check_set(Run *run, InferNetwork *network, const char *folder, const char *set, GError **error)
{
  g_autofree char *path = g_build_filename(folder, set, NULL);
  double rtol, atol;
  read_tolerance(folder, &rtol, &atol);
  g_autoptr(GPtrArray) files = read_values(network, path, TRUE, error);
  g_autoptr(GPtrArray) want = files != NULL ? read_values(network, path, FALSE, error) : NULL;
  g_autoptr(GPtrArray) inputs = want != NULL ? bind_inputs(network, files, error) : NULL;
  if (inputs == NULL)
    return FALSE;
  gboolean reference = run->reference || is_empty(network, inputs) || other_dims(network, inputs);
  g_autoptr(GPtrArray) have =
      reference ? run_reference(network, inputs, error) : run_device(run, network, inputs, error);
  if (have == NULL)
    return FALSE;
  for (guint i = 0; i < want->len; i++) {
    if (i >= have->len) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY, "%u outputs, expected %u", have->len,
                  want->len);
      return FALSE;
    }
    const InferArray *array = have->pdata[i];
    g_autoptr(InferArray) expected = as_type(want->pdata[i], array->type);
    if (!compare(infer_network_get_output(network, i)->name, expected, array, rtol, atol, error))
      return FALSE;
  }
  return TRUE;
}

static Verdict
skip(GError **error, const char *reason)
{
  g_set_error_literal(error, INFER_ERROR, INFER_ERROR_FAILED, reason);
  return SKIPPED;
}

static Verdict
check_folder(Run *run, const char *folder, GError **error)
{
  g_autofree char *model = g_build_filename(folder, "model.onnx", NULL);
  g_autoptr(InferNetwork) network = infer_parse_onnx(model, NULL, error);
  if (network == NULL)
    return FAILED;
  if (!infer_network_validate(network, error))
    return FAILED;
  if (draws_numbers(network))
    return skip(error, "it draws random numbers");
  g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
  guint sets = 0;
  for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
    if (!g_str_has_prefix(name, "test_data_set_"))
      continue;
    sets++;
    if (!check_set(run, network, folder, name, error))
      return FAILED;
  }
  return sets > 0 ? PASSED : skip(error, "no inputs and outputs come with it");
}

/* --- the walk --- */

static void
run_test(Run *run, const char *folder)
{
  g_autofree char *name = g_path_get_basename(folder);
  g_autoptr(GError) error = NULL;
  if (run->filter != NULL && strstr(name, run->filter) == NULL)
    return;
  Verdict verdict = check_folder(run, folder, &error);
  board_add(run->board, name, verdict,
            error != NULL        ? error->message
            : verdict == SKIPPED ? "it draws random numbers"
                                 : NULL);
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
walk(Run *run, const char *folder, guint depth)
{
  g_autofree char *model = g_build_filename(folder, "model.onnx", NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  if (g_file_test(model, G_FILE_TEST_EXISTS)) {
    run_test(run, folder);
    return;
  }
  g_autoptr(GDir) dir = depth > 0 ? g_dir_open(folder, 0, NULL) : NULL;
  for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir))
    g_ptr_array_add(names, g_build_filename(folder, name, NULL));
  g_ptr_array_sort(names, compare_names);
  for (guint i = 0; i < names->len; i++)
    if (g_file_test(names->pdata[i], G_FILE_TEST_IS_DIR))
      walk(run, names->pdata[i], depth - 1);
}

int
main(int argc, char **argv)
{
  g_autofree char *device = NULL, *filter = NULL, *exclusions = NULL, *set = NULL;
  g_auto(GStrv) folders = NULL;
  gboolean reference = FALSE, tap = FALSE;
  const GOptionEntry options[] = {
      {"device", 0, 0, G_OPTION_ARG_STRING, &device, "what to build for", "cpu"},
      {"reference", 0, 0, G_OPTION_ARG_NONE, &reference, "evaluate the nodes one by one", NULL},
      {"filter", 0, 0, G_OPTION_ARG_STRING, &filter, "tests with this in their name", "NAME"},
      {"exclusions", 0, 0, G_OPTION_ARG_FILENAME, &exclusions, "known failures", "FILE"},
      {"set", 0, 0, G_OPTION_ARG_STRING, &set, "whose known failures count", "NAME"},
      {"tap", 0, 0, G_OPTION_ARG_NONE, &tap, "print results for meson", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &folders, "folders", "DIR ..."},
      {NULL}};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;
  g_option_context_add_main_entries(context, options, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || folders == NULL) {
    g_printerr("%s\n", error != NULL ? error->message : "a folder is needed");
    return 2;
  }
  g_autoptr(Board) board = board_new(exclusions, set != NULL ? set : "", tap, &error);
  if (board == NULL) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  Run run = {device != NULL ? device : "cpu", reference, filter, board};
  for (guint i = 0; folders[i] != NULL; i++) {
    if (tap && !g_file_test(folders[i], G_FILE_TEST_IS_DIR)) {
      g_print("1..0 # SKIP %s is not there; install libonnx-testdata\n", folders[i]);
      return 77;
    }
    walk(&run, folders[i], 16);
  }
  return board_finish(board, filter == NULL) ? 0 : 1;
}
