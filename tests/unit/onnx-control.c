/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ONNX's control flow where it depends on data: scopes, states that grow, sequences, optionals. */
#include "onnx-writer.h"

static InferContext *
open_context(GByteArray *model)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = ow_parse(model, &error);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  InferContext *context;

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  engine = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_set_batch(context, 1, &error));
  return context;
}

static InferArray *
array_of(InferType type, InferDims dims, gconstpointer data)
{
  InferArray *array = infer_array_new(type, &dims, NULL);

  memcpy(array->data, data, array->size);
  return array;
}

static void
set(InferContext *context, const char *name, InferType type, InferDims dims, gconstpointer data)
{
  g_autoptr(InferArray) array = array_of(type, dims, data);
  g_autoptr(GError) error = NULL;

  infer_context_set_value(context, name, array, &error);
  g_assert_no_error(error);
}

static InferArray *
run(InferContext *context, const char *output)
{
  g_autoptr(GError) error = NULL;
  InferArray *value;

  infer_context_run(context, &error);
  g_assert_no_error(error);
  value = infer_context_get_value(context, output, &error);
  g_assert_no_error(error);
  return value;
}

static void
check(const InferArray *have, InferDims dims, const float *want)
{
  g_autofree char *have_dims = infer_dims_to_string(&have->dims);
  g_autofree char *want_dims = infer_dims_to_string(&dims);

  g_assert_cmpstr(have_dims, ==, want_dims);
  for (gint64 i = 0; i < infer_array_count(have); i++)
    g_assert_cmpfloat(infer_array_get_double(have, (gsize)i), ==, (double)want[i]);
}

static void
bool_input(GByteArray *graph, const char *name)
{
  pw_message(graph, 11, ow_value(name, INFER_TYPE_BOOL, &INFER_DIMS_SCALAR, NULL));
}

static void
number_input(GByteArray *graph, const char *name)
{
  pw_message(graph, 11, ow_value(name, INFER_TYPE_INT64, &INFER_DIMS_SCALAR, NULL));
}

static GByteArray *
one_node(const char *op, const char *inputs, const char *output)
{
  GByteArray *graph = g_byte_array_new();

  ow_add(graph, ow_node(op, inputs, output));
  ow_output(graph, output);
  return graph;
}

/* A loop whose body has an If that reads the loop's state, the outer graph's input and constant,
 * by names that mean something else outside. */
static GByteArray *
nested_model(void)
{
  GByteArray *graph = g_byte_array_new(), *body = g_byte_array_new();
  GByteArray *loop = ow_node("Loop", "n - x", "y"), *choice = ow_node("If", "c", "y");
  const float ten = 10;

  number_input(body, "i");
  bool_input(body, "going");
  ow_input(body, "state", &INFER_DIMS(2), NULL);
  ow_graph(choice, "then_branch", one_node("Add", "state x", "sum"));
  ow_graph(choice, "else_branch", one_node("Mul", "state ten", "product"));
  ow_add(body, choice);
  ow_output(body, "going");
  ow_output(body, "y");
  number_input(graph, "n");
  bool_input(graph, "c");
  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_constant(graph, "ten", INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, &ten);
  ow_graph(loop, "body", body);
  ow_add(graph, loop);
  ow_output(graph, "y");
  return ow_model(graph, 17);
}

static void
test_nested(void)
{
  g_autoptr(InferContext) context = open_context(nested_model());
  const float x[] = {1, 2}, sums[] = {4, 8}, products[] = {1000, 2000};
  g_autoptr(InferArray) first = NULL, second = NULL;
  const gint64 three = 3;
  guint8 yes = 1;

  set(context, "n", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &three);
  set(context, "x", INFER_TYPE_FLOAT, INFER_DIMS(2), x);
  set(context, "c", INFER_TYPE_BOOL, INFER_DIMS_SCALAR, &yes);
  first = run(context, "y");
  check(first, INFER_DIMS(2), sums);
  yes = 0;
  set(context, "c", INFER_TYPE_BOOL, INFER_DIMS_SCALAR, &yes);
  second = run(context, "y");
  check(second, INFER_DIMS(2), products);
}

/* Goes on while the sum is below a limit; what is carried grows by "x" each time. */
static GByteArray *
while_model(void)
{
  GByteArray *graph = g_byte_array_new(), *body = g_byte_array_new();
  GByteArray *loop = ow_node("Loop", "- go s", "y"), *concat = ow_node("Concat", "s x", "longer");
  GByteArray *sum = ow_node("ReduceSum", "longer", "sum");

  number_input(body, "i");
  bool_input(body, "going");
  ow_input(body, "s", &INFER_DIMS(1), NULL);
  ow_int(concat, "axis", 0);
  ow_add(body, concat);
  ow_int(sum, "keepdims", 0);
  ow_add(body, sum);
  ow_add(body, ow_node("Less", "sum limit", "on"));
  ow_output(body, "on");
  ow_output(body, "longer");
  bool_input(graph, "go");
  ow_input(graph, "s", &INFER_DIMS(1), NULL);
  ow_input(graph, "x", &INFER_DIMS(1), NULL);
  pw_message(graph, 11, ow_value("limit", INFER_TYPE_FLOAT, &INFER_DIMS_SCALAR, NULL));
  ow_graph(loop, "body", body);
  ow_add(graph, loop);
  ow_output(graph, "y");
  return ow_model(graph, 17);
}

static void
test_while(void)
{
  g_autoptr(InferContext) context = open_context(while_model());
  const float s = 1, x = 2, limit = 6, grown[] = {1, 2, 2, 2};
  g_autoptr(InferArray) first = NULL, second = NULL;
  guint8 yes = 1;

  set(context, "go", INFER_TYPE_BOOL, INFER_DIMS_SCALAR, &yes);
  set(context, "s", INFER_TYPE_FLOAT, INFER_DIMS(1), &s);
  set(context, "x", INFER_TYPE_FLOAT, INFER_DIMS(1), &x);
  set(context, "limit", INFER_TYPE_FLOAT, INFER_DIMS_SCALAR, &limit);
  first = run(context, "y");
  check(first, INFER_DIMS(4), grown);
  yes = 0;
  set(context, "go", INFER_TYPE_BOOL, INFER_DIMS_SCALAR, &yes);
  second = run(context, "y");
  check(second, INFER_DIMS(1), grown);
}

/* A sequence that is known while parsing, but read where only the run says. */
static GByteArray *
sequence_model(void)
{
  GByteArray *graph = g_byte_array_new();

  ow_input(graph, "a", &INFER_DIMS(2), NULL);
  ow_input(graph, "b", &INFER_DIMS(2), NULL);
  number_input(graph, "at");
  ow_add(graph, ow_node("SequenceConstruct", "a b a", "list"));
  ow_add(graph, ow_node("SequenceAt", "list at", "item"));
  ow_add(graph, ow_node("Neg", "item", "y"));
  ow_output(graph, "y");
  ow_output(graph, "list");
  return ow_model(graph, 17);
}

static void
test_sequence(void)
{
  g_autoptr(InferContext) context = open_context(sequence_model());
  const float a[] = {1, 2}, b[] = {3, 4}, want[] = {-3, -4};
  g_autoptr(InferArray) item = NULL, list = NULL;
  const gint64 at = -2;

  set(context, "a", INFER_TYPE_FLOAT, INFER_DIMS(2), a);
  set(context, "b", INFER_TYPE_FLOAT, INFER_DIMS(2), b);
  set(context, "at", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &at);
  item = run(context, "y");
  check(item, INFER_DIMS(2), want);
  list = run(context, "list");
  g_assert_cmpuint(infer_array_get_n_items(list), ==, 3);
  check(infer_array_get_item(list, 1), INFER_DIMS(2), b);
}

/* The body is no graph that can be used: the cause is named once. */
static void
test_refused(void)
{
  GByteArray *graph = g_byte_array_new(), *choice = ow_node("If", "c", "y");
  g_autoptr(InferNetwork) network = NULL;
  g_autoptr(GError) error = NULL;

  bool_input(graph, "c");
  ow_input(graph, "x", &INFER_DIMS(2), NULL);
  ow_graph(choice, "then_branch", one_node("NoSuchOperator", "x", "a"));
  ow_graph(choice, "else_branch", one_node("Neg", "x", "b"));
  ow_add(graph, choice);
  ow_output(graph, "y");
  network = ow_parse(ow_model(graph, 17), &error);
  g_assert_null(network);
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  g_assert_nonnull(strstr(error->message, "NoSuchOperator"));
  g_assert_nonnull(strstr(error->message, "1 node cannot"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/onnx-control/nested", test_nested);
  g_test_add_func("/onnx-control/while", test_while);
  g_test_add_func("/onnx-control/sequence", test_sequence);
  g_test_add_func("/onnx-control/refused", test_refused);
  return g_test_run();
}
