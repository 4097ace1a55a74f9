/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/infer.h>

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin-layers.h"

/* The folder with the libraries of plugin-lib.c, from PLUGIN_TEST_LIBRARIES. */
static const char *libraries;

static char *
library(const char *name)
{
  return g_strdup_printf("%s/libtest-plugin-%s.so", libraries, name);
}

#define assert_says(ERROR, CODE, ...)                                                              \
  G_STMT_START                                                                                     \
  {                                                                                                \
    const char *const wanted[] = {__VA_ARGS__};                                                    \
    g_assert_error(ERROR, INFER_ERROR, (gint)(CODE));                                              \
    for (guint w = 0; w < G_N_ELEMENTS(wanted); w++)                                               \
      if (!strstr((ERROR)->message, wanted[w]))                                                    \
        g_error("'%s' is not in '%s'", wanted[w], (ERROR)->message);                               \
    g_clear_error(&(ERROR));                                                                       \
  }                                                                                                \
  G_STMT_END

/* --- networks --- */

static InferTensor *
image(InferNetwork *network)
{
  InferDims dims = {.n = 4, .d = {0, 3, 4, 5}};

  dims.d[0] = infer_network_add_symbol(network, "batch", 1, 1, 64);
  return infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &dims, NULL, NULL);
}

/* x -> layer -> y */
static InferNetwork *
one_layer(const char *plugin, GVariant *fields, GError **error)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = image(network);
  InferNode *node = infer_network_add_plugin(network, plugin, 0, "layer", &x, 1, fields, 0, error);

  if (!node || !infer_network_mark_output(network, node->outputs[0], "y", error))
    return NULL;
  return g_steal_pointer(&network);
}

static GVariant *
factor(double value)
{
  return infer_attrs_new("factor", 'f', value, NULL);
}

static InferEngine *
build_on(InferNetwork *network, const char *device, guint batch, GError **error)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();

  infer_builder_set_device(builder, device);
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, batch);
  return infer_builder_build(builder, network, "a test", NULL, error);
}

static InferEngine *
build(const char *plugin, const char *device, guint batch, GError **error)
{
  g_autoptr(InferNetwork) network = one_layer(plugin, factor(3), error);

  return network ? build_on(network, device, batch, error) : NULL;
}

/* y of a run with @batch rows of numbers that go on from row to row, from @first. */
static float *
run(InferEngine *engine, guint batch, guint first, gsize *n)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  gsize size;
  float *x;

  g_assert_no_error(error);
  infer_context_set_batch(context, batch, &error);
  g_assert_no_error(error);
  x = infer_context_map(context, "x", &size, &error);
  for (gsize i = 0; i < size / sizeof(float); i++)
    x[i] = (float)(first + i) / 7;
  infer_context_run(context, &error);
  g_assert_no_error(error);
  x = infer_context_map(context, "y", &size, &error);
  *n = size / sizeof(float);
  return g_memdup2(x, size);
}

static void
check_scaled(InferEngine *engine, float by, float plus)
{
  gsize n;
  g_autofree float *y = run(engine, 1, 0, &n);

  g_assert_cmpuint(n, ==, 60);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon(y[i], (float)i / 7 * by + plus, 1e-5);
}

/* Runs a test in a process that has other plugins, with the engine's plan. */
static void
check_in_process(InferEngine *engine, const char *test)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp("infer-plugin-XXXXXX", &error);
  g_autofree char *path = g_build_filename(folder, "saved.plan", NULL);

  g_assert_true(infer_engine_save(engine, path, &error));
  g_setenv("PLUGIN_TEST_PLAN", path, TRUE);
  g_test_trap_subprocess(test, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_unlink(path);
  g_rmdir(folder);
  g_test_trap_assert_passed();
}

/* --- registration --- */

static void
test_libraries(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *abi = library("abi"), *empty = library("empty"), *fails = library("fails");
  g_autofree char *good = library("good"), *half = library("half");
  g_autoptr(InferPluginInfo) info = NULL;
  g_autoptr(InferEngine) engine = NULL;
  gsize n;
  g_autofree float *y = NULL;

  g_assert_false(infer_plugin_load("/nowhere/libx.so", &error));
  assert_says(error, INFER_ERROR_ARGUMENT, "/nowhere/libx.so", "cannot be loaded");
  g_assert_false(infer_plugin_load(abi, &error));
  assert_says(error, INFER_ERROR_VERSION, abi, "interface 77", "this is 1");
  g_assert_false(infer_plugin_load(empty, &error));
  assert_says(error, INFER_ERROR_ARGUMENT, empty, "infer_plugin_entry");
  g_assert_false(infer_plugin_load(fails, &error));
  assert_says(error, INFER_ERROR_DEVICE, fails, "the licence has run out");
  g_assert_null(infer_plugin_find("library.Negate", 0, &error));
  assert_says(error, INFER_ERROR_UNSUPPORTED, "library.Negate", "--plugins", "INFER_PLUGIN_PATH");

  /* The implementation first, then the layer that it is for. */
  g_assert_true(infer_plugin_load(half, &error));
  g_assert_true(infer_plugin_load(good, &error));
  g_assert_true(infer_plugin_load(good, &error));
  g_assert_no_error(error);
  info = infer_plugin_find("Negate", 0, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(info->id, ==, "library.Negate");
  g_assert_cmpuint(info->version, ==, 3);
  g_assert_cmpstr(info->library, ==, good);
  g_assert_cmpstrv(info->backends, ((const char *[]){"cpu", NULL}));
  {
    g_autoptr(InferNetwork) network = one_layer("library.Negate", NULL, &error);
    g_assert_no_error(error);
    g_test_expect_message("infer", G_LOG_LEVEL_MESSAGE, "*layer*no reference*");
    engine = build_on(network, "cpu", 1, &error);
    g_test_assert_expected_messages();
    g_assert_no_error(error);
  }
  y = run(engine, 1, 0, &n);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat(y[i], ==, -(float)i / 7);
  check_in_process(engine, "/plugin/plan/subprocess/half");
}

static const InferPluginCreator *bad_creator;

static gboolean
init_bad(InferPluginRegistrar *registrar, GError **error)
{
  return infer_plugin_register_creator(registrar, bad_creator, error);
}

static void
check_bad(const InferPluginCreator *creator, const char *words)
{
  InferPluginEntry entry = {INFER_PLUGIN_ABI, "bad", NULL, init_bad};
  g_autoptr(GError) error = NULL;

  bad_creator = creator;
  g_assert_false(infer_plugin_register(&entry, &error));
  assert_says(error, INFER_ERROR_ARGUMENT, words, "bad");
}

static gboolean
any_shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs, guint n_outputs,
          InferPluginOperand *outputs, GError **error)
{
  return TRUE;
}

static void
test_bad_creators(void)
{
  static const InferPluginField unknown[] = {{"a", 'q', FALSE, NULL, NULL}, {NULL}};
  static const InferPluginField twice[] = {{"a", 'i'}, {"a", 'f'}, {NULL}};
  static const InferPluginField fallback[] = {{"a", 'i', FALSE, "0.5", NULL}, {NULL}};
  static const InferPluginImpl impl[] = {{.backend = "cpu"}, {NULL}};
  const InferPluginCreator good = {.name_space = "bad",
                                   .name = "B",
                                   .version = 1,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .shape = any_shape};
  InferPluginCreator bad;

#define BAD(FIELD, VALUE, WORDS) bad = good, bad.FIELD = VALUE, check_bad(&bad, WORDS)
  BAD(name_space, "infer", "'infer' cannot be a namespace");
  BAD(name_space, "ai.onnx.ml", "cannot be a namespace");
  BAD(name_space, NULL, "cannot be a namespace");
  BAD(name, "a.b", "'a.b' cannot name a layer");
  BAD(name, "", "cannot name a layer");
  BAD(version, 0, "versions begin with 1");
  BAD(shape, NULL, "no shape()");
  BAD(min_outputs, 2, "outputs cannot be");
  BAD(fields, unknown, "unknown kind 'q'");
  BAD(fields, twice, "field 'a' is there twice");
  BAD(fields, fallback, "fallback '0.5' is not of kind 'i'");
  BAD(impls, impl, "no run()");
#undef BAD
  plugin_layers_register(FALSE);
  {
    g_autoptr(GError) error = NULL;
    g_assert_false(infer_plugin_register(&plugin_layers_again, &error));
    assert_says(error, INFER_ERROR_ARGUMENT, "'test.Scale' of version 1", "layers of the test",
                "layers again");
  }
}

static void
test_list(void)
{
  g_autoptr(GPtrArray) list = NULL;
  g_autoptr(GVariant) fields = NULL;
  const InferPluginInfo *scale = NULL;
  const char *name, *kind, *fallback, *text;
  gboolean required;

  plugin_layers_register(FALSE);
  list = infer_plugin_list();
  for (guint i = 0; i < list->len; i++) {
    const InferPluginInfo *info = list->pdata[i];
    if (i)
      g_assert_cmpstr(((InferPluginInfo *)list->pdata[i - 1])->id, <=, info->id);
    if (g_str_equal(info->id, "test.Scale") && info->version == 1)
      scale = info;
  }
  g_assert_nonnull(scale);
  g_assert_cmpstr(scale->description, ==, "scales");
  g_assert_cmpstrv(scale->backends, ((const char *[]){"cpu", "reference", NULL}));
  fields = infer_plugin_info_get_fields(scale);
  g_variant_get_child(fields, 1, "(&s&sb&s&s)", &name, &kind, &required, &fallback, &text);
  g_assert_cmpstr(name, ==, "offset");
  g_assert_cmpstr(kind, ==, "f");
  g_assert_false(required);
  g_assert_cmpstr(fallback, ==, "0.25");
  g_assert_cmpstr(text, ==, "what is added");
}

/* --- fields --- */

static void
check_refused(const char *plugin, GVariant *fields, InferError code, const char *a, const char *b)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = one_layer(plugin, fields, &error);

  g_assert_null(network);
  assert_says(error, code, a, b, "layer");
}

static void
test_fields(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = NULL;
  g_autofree const char **names = NULL;
  const InferNode *node;
  const gint64 *axes;
  const guint8 *blob;
  gsize n;

  plugin_layers_register(FALSE);
  check_refused("test.Scale", NULL, INFER_ERROR_ARGUMENT, "field 'factor' (a float) is missing",
                "test.Scale 1");
  check_refused("test.Scale", infer_attrs_new("factor", 'f', 1.0, "colour", 'i', (gint64)3, NULL),
                INFER_ERROR_ARGUMENT, "no field 'colour'", "factor, offset, axes");
  check_refused("test.Scale", infer_attrs_new("factor", 's', "much", NULL), INFER_ERROR_ARGUMENT,
                "field 'factor' is a float", "'much'");
  check_refused("test.Scale", infer_attrs_new("factor", 'f', 1.0, "order", 'f', 2.0, NULL),
                INFER_ERROR_ARGUMENT, "field 'order' is an integer", "2.0");
  check_refused("test.None", NULL, INFER_ERROR_UNSUPPORTED, "'test.None' is not registered",
                "INFER_PLUGIN_PATH");
  check_refused("Twice", NULL, INFER_ERROR_ARGUMENT, "'test.Twice'", "'other.Twice'");
  network = one_layer("Scale",
                      g_variant_new_parsed("{'factor': <uint32 3>, 'axes': <byte 7>, 'names': "
                                           "<['a', 'b']>, 'blob': <b'xy'>, 'order': <true>}"),
                      &error);
  g_assert_no_error(error);
  node = infer_network_get_node(network, 0);
  g_assert_cmpstr(infer_node_get_op_name(node), ==, "test.Scale");
  g_assert_cmpuint(infer_node_get_op_version(node), ==, 1);
  g_assert_cmpfloat(infer_node_get_float(node, "factor", 0), ==, 3);
  g_assert_cmpfloat(infer_node_get_float(node, "offset", 0), ==, 0.25);
  g_assert_cmpint(infer_node_get_int(node, "order", 0), ==, 1);
  g_assert_cmpstr(infer_node_get_string(node, "label", NULL), ==, "plain");
  axes = infer_node_get_ints(node, "axes", &n);
  g_assert_true(n == 1 && axes[0] == 7);
  blob = infer_node_get_bytes(node, "blob", &n);
  g_assert_cmpmem(blob, n, "xy", 3);
  names = infer_node_get_strings(node, "names");
  g_assert_cmpstrv(names, ((const char *[]){"a", "b", NULL}));
}

static void
test_answers(void)
{
  plugin_layers_register(FALSE);
  check_refused("test.Silent", NULL, INFER_ERROR_FAILED, "does not say why", "test.Silent");
  check_refused("test.Foreign", NULL, INFER_ERROR_SHAPE, "dimensions that cannot be", "output 0");
}

/* --- engines --- */

static void
test_run(void)
{
  static const char *const devices[] = {"cpu", "null"};

  plugin_layers_register(FALSE);
  for (guint i = 0; i < G_N_ELEMENTS(devices); i++) {
    static const char *const layers[] = {"test.Scale", "test.Reference", "test.Null"};
    for (guint k = 0; k < G_N_ELEMENTS(layers); k++) {
      g_autoptr(GError) error = NULL;
      g_autoptr(InferEngine) engine = build(layers[k], devices[i], 2, &error);
      gboolean own = g_str_equal(layers[k], i ? "test.Null" : "test.Scale");

      g_assert_no_error(error);
      g_atomic_int_set(&plugin_layers_runs, 0);
      check_scaled(engine, 3, 0.25);
      g_assert_cmpint(g_atomic_int_get(&plugin_layers_runs), ==, own ? 1 : 0);
    }
  }
}

/* Constant inputs, a convolution before and a ReLU behind: channels-last memory goes through. */
static void
test_network(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferArray) ones = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(16, 3, 1, 1), NULL);
  g_autoptr(InferArray) weights = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(2), NULL);
  g_autoptr(InferEngine) engine = NULL;
  g_autofree char *steps = NULL;
  g_autofree float *y = NULL;
  InferTensor *in[2] = {image(network), NULL};
  InferNode *node;
  gsize n;

  plugin_layers_register(FALSE);
  for (guint i = 0; i < 48; i++)
    ((float *)ones->data)[i] = 1;
  ((float *)weights->data)[1] = 2;
  in[1] = infer_network_add_constant(network, NULL, ones);
  node = infer_network_add_node(network, "Conv", "conv", in, 2, NULL, 1, &error);
  node =
      infer_network_add_plugin(network, "test.Rows", 4, "rows", node->outputs, 1, NULL, 0, &error);
  in[0] = node->outputs[0];
  in[1] = infer_network_add_constant(network, NULL, weights);
  node = infer_network_add_plugin(network, "test.Scale", 1, "scale", in, 2, factor(2), 0, &error);
  node = infer_network_add_node(network, "Relu", "relu", node->outputs, 1, NULL, 1, &error);
  g_assert_no_error(error);
  infer_network_mark_output(network, node->outputs[0], "y", &error);
  engine = build_on(network, "cpu", 3, &error);
  g_assert_no_error(error);
  steps = infer_engine_inspect(engine);
  g_assert_nonnull(strstr(steps, "test.last"));
  g_assert_nonnull(strstr(steps, "test.Scale.cpu"));
  y = run(engine, 3, 0, &n);
  for (gsize i = 0; i < n; i++) {
    gsize row = i / (16 * 20), channel = i / 20 % 16, pixel = i % 20;
    float sum = 0;
    for (gsize c = 0; c < 3; c++)
      sum += (float)(row * 60 + c * 20 + pixel) / 7;
    g_assert_cmpfloat_with_epsilon(y[i], sum * (float)channel * 2 + 2.25, 2e-2);
  }
}

/* On a device whose memory the host cannot reach constants are in its memory, too. */
static void
test_device_memory(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferArray) weights = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(2), NULL);
  g_autoptr(InferEngine) engine = NULL;
  InferTensor *in[2] = {image(network), NULL};
  InferNode *node;

  plugin_layers_register(FALSE);
  ((float *)weights->data)[1] = 2;
  in[1] = infer_network_add_constant(network, NULL, weights);
  node = infer_network_add_plugin(network, "test.Null", 0, "layer", in, 2, factor(2), 0, &error);
  g_assert_no_error(error);
  infer_network_mark_output(network, node->outputs[0], "y", &error);
  engine = build_on(network, "null", 2, &error);
  g_assert_no_error(error);
  g_atomic_int_set(&plugin_layers_runs, 0);
  check_scaled(engine, 2, 2.25);
  g_assert_cmpint(g_atomic_int_get(&plugin_layers_runs), ==, 1);
}

static void
test_batch_invariance(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;

  plugin_layers_register(FALSE);
  engine = build("test.Scale", "cpu", 7, &error);
  g_assert_no_error(error);
  for (guint batch = 1; batch <= 7; batch++) {
    gsize n, n_row;
    g_autofree float *all = run(engine, batch, 0, &n);

    for (guint i = 0; i < batch; i++) {
      g_autofree float *row = run(engine, 1, i * 60, &n_row);
      g_assert_cmpmem(row, n_row * sizeof(float), all + i * n_row, n_row * sizeof(float));
    }
  }
}

static void
test_verify(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;

  plugin_layers_register(FALSE);
  g_assert_null(build("test.Wrong", "cpu", 1, &error));
  assert_says(error, INFER_ERROR_VERIFY, "step 'layer' (test.Wrong.cpu) is wrong");
  g_assert_null(build("test.Failing", "cpu", 1, &error));
  assert_says(error, INFER_ERROR_DEVICE, "the board is not plugged in", "layer");
  g_test_expect_message("infer", G_LOG_LEVEL_MESSAGE, "*layer*could not be compared*");
  engine = build("test.Opaque", "cpu", 1, &error);
  g_test_assert_expected_messages();
  g_assert_no_error(error);
  check_scaled(engine, 3, 0.25);
  g_assert_null(build("test.Opaque", "null", 1, &error));
  assert_says(error, INFER_ERROR_UNSUPPORTED, "no implementation for device 'null'", "layer");
  {
    g_autoptr(InferNetwork) network = one_layer("test.Nowhere", factor(1), &error);
    g_assert_no_error(error);
    g_assert_null(build_on(network, "cpu", 1, &error));
    assert_says(error, INFER_ERROR_UNSUPPORTED, "no implementation for device 'cpu'");
  }
}

static void
test_constants(void)
{
  static const char *const layers[] = {"test.Scale", "test.Opaque"};

  plugin_layers_register(FALSE);
  for (guint i = 0; i < G_N_ELEMENTS(layers); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(InferNetwork) network = infer_network_new();
    g_autoptr(InferArray) value = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(3, 4, 5), NULL);
    InferTensor *in[2] = {image(network), infer_network_add_constant(network, NULL, value)};
    g_autoptr(InferEngine) engine = NULL;
    InferNode *node =
        infer_network_add_plugin(network, layers[i], 0, "layer", in + 1, 1, factor(5), 0, &error);

    g_assert_no_error(error);
    in[1] = node->outputs[0];
    node = infer_network_add_node(network, "Add", "add", in, 2, NULL, 1, &error);
    infer_network_mark_output(network, node->outputs[0], "y", &error);
    if (i)
      g_test_expect_message("infer", G_LOG_LEVEL_MESSAGE, "*could not be compared*");
    engine = build_on(network, "cpu", 1, &error);
    g_test_assert_expected_messages();
    g_assert_no_error(error);
    check_scaled(engine, 1, 0.25);
  }
}

static void
test_dynamic(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferNetwork) network = NULL;
  gsize n;
  g_autofree float *y = NULL;

  plugin_layers_register(FALSE);
  network = one_layer("test.Positive", NULL, &error);
  g_assert_no_error(error);
  engine = build_on(network, "cpu", 1, &error);
  g_assert_no_error(error);
  y = run(engine, 1, 0, &n);
  g_assert_cmpuint(n, ==, 59);
}

/* --- plans --- */

static InferEngine *
load(GBytes *plan, GError **error)
{
  return infer_engine_new_from_bytes(plan, "saved.plan", "cpu", 1, error);
}

static void
test_plan(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferEngine) loaded = NULL;
  g_autoptr(GBytes) plan = NULL;

  plugin_layers_register(FALSE);
  engine = build("test.Scale", "cpu", 2, &error);
  g_assert_no_error(error);
  plan = infer_engine_serialize(engine, &error);
  g_assert_no_error(error);
  loaded = load(plan, &error);
  g_assert_no_error(error);
  g_atomic_int_set(&plugin_layers_runs, 0);
  check_scaled(loaded, 3, 0.25);
  g_assert_cmpint(g_atomic_int_get(&plugin_layers_runs), ==, 1);

  /* In processes that do not have the layer, or another version of it. */
  check_in_process(engine, "/plugin/plan/subprocess/without");
  check_in_process(engine, "/plugin/plan/subprocess/newer");
}

static void
test_plan_without(void)
{
  g_autoptr(GError) error = NULL;
  const char *path = g_getenv("PLUGIN_TEST_PLAN");

  g_assert_nonnull(path);
  g_assert_null(infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error));
  assert_says(error, INFER_ERROR_VERSION, path, "node 'layer'", "'test.Scale' of version 1",
              "not registered", "--plugins", "INFER_PLUGIN_PATH");
  plugin_layers_register(FALSE);
  g_object_unref(infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error));
  g_assert_no_error(error);
}

static void
test_plan_newer(void)
{
  g_autoptr(GError) error = NULL;
  const char *path = g_getenv("PLUGIN_TEST_PLAN");

  g_assert_nonnull(path);
  plugin_layers_register(TRUE);
  g_assert_null(infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error));
  assert_says(error, INFER_ERROR_VERSION, "'test.Scale' of version 1", "there is version 2",
              "newer layers");
  /* Both versions side by side: the plan gets its own, a new node the newest. */
  plugin_layers_register(FALSE);
  g_object_unref(infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error));
  g_assert_no_error(error);
  {
    g_autoptr(InferNetwork) network = one_layer("test.Scale", factor(1), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(infer_node_get_op_version(infer_network_get_node(network, 0)), ==, 2);
    g_assert_null(infer_plugin_find("Scale", 7, &error));
    assert_says(error, INFER_ERROR_VERSION, "of version 7", "version 1", "version 2");
  }
}

/* The half with the layer is loaded, the half with the implementation is not. */
static void
test_plan_half(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autofree char *good = library("good"), *half = library("half");
  const char *path = g_getenv("PLUGIN_TEST_PLAN");

  g_assert_nonnull(path);
  g_assert_true(infer_plugin_load(good, &error));
  g_assert_null(infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error));
  assert_says(error, INFER_ERROR_VERSION, "'library.Negate.cpu'", "--plugins");
  g_assert_true(infer_plugin_load(half, &error));
  engine = infer_engine_new_from_file(path, "cpu", 1, INFER_LOAD_MAP, &error);
  g_assert_no_error(error);
}

static void
test_search_path(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferPluginInfo) info = NULL;

  if (!g_test_subprocess()) {
    g_autofree char *folder = g_dir_make_tmp("infer-plugin-XXXXXX", &error);
    g_autofree char *from = library("good"), *to = g_build_filename(folder, "libgood.so", NULL);
    g_autofree char *path = g_strdup_printf("/nowhere::%s", folder);

    g_assert_cmpint(symlink(from, to), ==, 0);
    g_setenv("INFER_PLUGIN_PATH", path, TRUE);
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_unsetenv("INFER_PLUGIN_PATH");
    g_unlink(to);
    g_rmdir(folder);
    g_test_trap_assert_passed();
    return;
  }
  info = infer_plugin_find("library.Negate", 3, &error);
  g_assert_no_error(error);
  g_assert_true(g_str_has_suffix(info->library, "/libgood.so"));
}

static gpointer
load_and_look(gpointer data)
{
  g_autofree char *good = library("good"), *half = library("half");

  for (guint i = 0; i < 50; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;

    infer_plugin_load(i % 2 ? good : half, &error);
    g_assert_no_error(error);
    plugin_layers_register(FALSE);
    list = infer_plugin_list();
    g_assert_cmpuint(list->len, >, 5);
    infer_plugin_info_free(infer_plugin_find("test.Scale", 1, &error));
    g_assert_no_error(error);
  }
  return NULL;
}

static void
test_threads(void)
{
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    threads[i] = g_thread_new("load", load_and_look, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    g_thread_join(threads[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  libraries = g_getenv("PLUGIN_TEST_LIBRARIES");
  g_assert_nonnull(libraries);
  g_test_add_func("/plugin/libraries", test_libraries);
  g_test_add_func("/plugin/bad-creators", test_bad_creators);
  g_test_add_func("/plugin/list", test_list);
  g_test_add_func("/plugin/fields", test_fields);
  g_test_add_func("/plugin/answers", test_answers);
  g_test_add_func("/plugin/run", test_run);
  g_test_add_func("/plugin/network", test_network);
  g_test_add_func("/plugin/device-memory", test_device_memory);
  g_test_add_func("/plugin/batch-invariance", test_batch_invariance);
  g_test_add_func("/plugin/verify", test_verify);
  g_test_add_func("/plugin/constants", test_constants);
  g_test_add_func("/plugin/dynamic", test_dynamic);
  g_test_add_func("/plugin/plan", test_plan);
  g_test_add_func("/plugin/plan/subprocess/without", test_plan_without);
  g_test_add_func("/plugin/plan/subprocess/newer", test_plan_newer);
  g_test_add_func("/plugin/plan/subprocess/half", test_plan_half);
  g_test_add_func("/plugin/search-path", test_search_path);
  g_test_add_func("/plugin/threads", test_threads);
  return g_test_run();
}
