/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sub-networks, sequences and optionals: built, run, stored in plans, refused and stopped. */
#include <infer/infer.h>

#include <string.h>

#include "control-net.h"

/* A context of an engine that has been through a plan. */
static InferContext *
open_context(InferNetwork *network)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) built = NULL, loaded = NULL;
  g_autoptr(GBytes) plan = NULL;
  InferContext *context;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  if (infer_network_get_n_symbols(network) > 0)
    infer_builder_set_profile(builder, "length", 1, 4, 100);
  built = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  plan = infer_engine_serialize(built, &error);
  g_assert_no_error(error);
  loaded = infer_engine_new_from_bytes(plan, NULL, "cpu", 1, &error);
  g_assert_no_error(error);
  context = infer_context_new(loaded, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_set_batch(context, 1, &error));
  return context;
}

static void
set(InferContext *context, const char *name, InferType type, InferDims dims, gconstpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) array = infer_array_new(type, &dims, NULL);

  memcpy(array->data, data, array->size);
  infer_context_set_value(context, name, array, &error);
  g_assert_no_error(error);
}

static void
run(InferContext *context)
{
  g_autoptr(GError) error = NULL;

  infer_context_run(context, &error);
  g_assert_no_error(error);
}

static void
check(InferContext *context, const char *name, InferDims dims, const double *want)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) have = infer_context_get_value(context, name, &error);

  g_assert_no_error(error);
  g_autofree char *want_dims = infer_dims_to_string(&dims);
  g_autofree char *have_dims = infer_dims_to_string(&have->dims);
  g_assert_cmpstr(have_dims, ==, want_dims);
  for (gint64 i = 0; i < infer_array_count(have); i++)
    g_assert_cmpfloat(infer_array_get_double(have, (gsize)i), ==, want[i]);
}

static void
test_if(void)
{
  g_autoptr(InferNetwork) network = control_net_if();
  g_autoptr(InferContext) context = open_context(network);
  const float x[] = {1, 2, 3};
  const guint8 yes = 1, no = 0;

  set(context, "x", INFER_TYPE_FLOAT, INFER_DIMS(3), x);
  set(context, "yes", INFER_TYPE_BOOL, INFER_DIMS_SCALAR, &yes);
  run(context);
  check(context, "y", INFER_DIMS(3), (double[]){2, 3, 4});
  set(context, "yes", INFER_TYPE_BOOL, INFER_DIMS_SCALAR, &no);
  run(context);
  check(context, "y", INFER_DIMS(3), (double[]){10, 20, 30});
}

static void
test_loop(void)
{
  g_autoptr(InferNetwork) network = control_net_loop();
  g_autoptr(InferContext) context = open_context(network);
  const float x[] = {1, 3};
  const gint64 three = 3, none = 0;

  set(context, "x", INFER_TYPE_FLOAT, INFER_DIMS(2), x);
  set(context, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &three);
  run(context);
  check(context, "sum", INFER_DIMS(2), (double[]){8, 24});
  check(context, "steps", INFER_DIMS(3, 2), (double[]){2, 6, 4, 12, 8, 24});
  set(context, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &none);
  run(context);
  check(context, "sum", INFER_DIMS(2), (double[]){1, 3});
  check(context, "steps", INFER_DIMS(0, 2), NULL);
}

/* Two states in ten rows backwards, with a row of each collected along axis 1. */
static InferNetwork *
scan_network(gint64 length)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(InferNetwork) body = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *in[2], *sum;
  gint64 one = 1;
  InferNode *node;

  in[0] = control_input(body, "sum", INFER_TYPE_FLOAT, INFER_DIMS(2));
  in[1] = control_input(body, "row", INFER_TYPE_FLOAT, INFER_DIMS(2));
  sum = control_add(body, "Add", NULL, 2, in[0], in[1]);
  control_output(body, sum, "next");
  control_output(body, sum, "partial");
  if (length < 0)
    length = infer_network_add_symbol(network, "length", 1, 4, 100);
  in[0] = control_input(network, "start", INFER_TYPE_FLOAT, INFER_DIMS(2));
  in[1] = control_input(network, "rows", INFER_TYPE_FLOAT, INFER_DIMS(length, 2));
  node = infer_network_add_node_full(network, "Scan", "sums", in, 2,
                                     infer_attrs_new("num_scan_inputs", 'i', (gint64)1,
                                                     "scan_input_directions", 'I', &one, (gsize)1,
                                                     "scan_output_axes", 'I', &one, (gsize)1, NULL),
                                     &body, 1, 2, &error);
  g_assert_no_error(error);
  control_output(network, node->outputs[0], "total");
  control_output(network, node->outputs[1], "partial");
  return network;
}

/* Written out where the length is constant, run by the engine where it is not: the same. */
static void
test_scan(void)
{
  const gint64 lengths[] = {4, -1, 2000};

  for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
    g_autoptr(InferNetwork) network = scan_network(lengths[i]);
    g_autoptr(InferContext) context = open_context(network);
    g_autofree char *text = infer_engine_inspect(infer_context_get_engine(context));
    const float start[] = {0, 100}, rows[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    g_assert_true((strstr(text, "\"Scan\"") == NULL) == (lengths[i] == 4));
    if (lengths[i] > 4)
      continue;
    set(context, "start", INFER_TYPE_FLOAT, INFER_DIMS(2), start);
    set(context, "rows", INFER_TYPE_FLOAT, INFER_DIMS(4, 2), rows);
    run(context);
    check(context, "total", INFER_DIMS(2), (double[]){16, 120});
    check(context, "partial", INFER_DIMS(2, 4), (double[]){7, 12, 15, 16, 108, 114, 118, 120});
  }
}

static InferArray *
make_list(guint n)
{
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  g_autoptr(GError) error = NULL;
  InferArray *list;

  for (guint i = 0; i < n; i++) {
    InferArray *item = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(i + 1), NULL);
    for (guint k = 0; k <= i; k++)
      ((float *)item->data)[k] = (float)(10 * i + k);
    g_ptr_array_add(items, item);
  }
  list = infer_array_new_sequence(INFER_TYPE_FLOAT, (InferArray *const *)items->pdata, n, &error);
  g_assert_no_error(error);
  return list;
}

static void
test_sequence(void)
{
  g_autoptr(InferNetwork) network = control_net_sequence();
  g_autoptr(InferContext) context = open_context(network);
  const InferBinding *binding =
      infer_engine_find_binding(infer_context_get_engine(context), "list");
  g_autoptr(InferArray) list = make_list(3);
  g_autoptr(InferArray) rest = NULL;
  g_autoptr(GError) error = NULL;
  const gint64 last = -1, far = 3;

  g_assert_cmpint(binding->kind, ==, INFER_KIND_SEQUENCE);
  g_assert_true(binding->is_input);
  g_assert_null(infer_context_map(context, "list", NULL, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  set(context, "at", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &last);
  g_assert_false(infer_context_run(context, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_STATE);
  g_clear_error(&error);

  g_assert_true(infer_context_set_value(context, "list", list, &error));
  run(context);
  check(context, "item", INFER_DIMS(3), (double[]){20, 21, 22});
  check(context, "count", INFER_DIMS_SCALAR, (double[]){3});
  rest = infer_context_get_value(context, "rest", &error);
  g_assert_cmpint(infer_array_get_kind(rest), ==, INFER_KIND_SEQUENCE);
  g_assert_cmpuint(infer_array_get_n_items(rest), ==, 2);
  g_assert_cmpfloat(infer_array_get_double(infer_array_get_item(rest, 1), 1), ==, 11);
  g_assert_null(infer_array_get_item(rest, 2));

  set(context, "at", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &far);
  g_assert_false(infer_context_run(context, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_assert_nonnull(strstr(error->message, "position 3"));
}

static void
test_optional(void)
{
  g_autoptr(InferNetwork) network = control_net_optional();
  g_autoptr(InferContext) context = open_context(network);
  g_autoptr(InferArray) five = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1), NULL);
  g_autoptr(InferArray) some = NULL, none = NULL;
  g_autoptr(GError) error = NULL;

  *(float *)five->data = 5;
  some = infer_array_new_optional(INFER_KIND_OPTIONAL, INFER_TYPE_FLOAT, five, &error);
  none = infer_array_new_optional(INFER_KIND_OPTIONAL, INFER_TYPE_FLOAT, NULL, &error);
  g_assert_true(infer_context_set_value(context, "maybe", some, &error));
  run(context);
  check(context, "has", INFER_DIMS_SCALAR, (double[]){1});
  check(context, "value", INFER_DIMS(1), (double[]){5});
  g_assert_true(infer_context_set_value(context, "maybe", none, &error));
  run(context);
  check(context, "has", INFER_DIMS_SCALAR, (double[]){0});
  check(context, "value", INFER_DIMS(1), (double[]){7});
  g_assert_false(infer_context_set_value(context, "maybe", five, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
}

/* --- sub-networks whose course is known --- */

static void
test_written_out(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferNetwork) choice = control_net_if();
  g_autoptr(InferNetwork) loop = control_net_loop();
  g_autoptr(GError) error = NULL;
  InferTensor *x = control_input(network, "x", INFER_TYPE_FLOAT, INFER_DIMS(3));
  InferTensor *z = control_input(network, "z", INFER_TYPE_FLOAT, INFER_DIMS(2));
  const InferNode *like = infer_network_get_node(choice, 0);
  g_autoptr(InferContext) context = NULL;
  g_autofree char *text = NULL;
  InferNode *node;

  node = infer_network_add_if(network, NULL, control_number(network, INFER_TYPE_BOOL, 0), &x, 1,
                              infer_node_get_graph(like, 0), infer_node_get_graph(like, 1), &error);
  g_assert_no_error(error);
  control_output(network, node->outputs[0], "y");
  like = infer_network_get_node(loop, 0);
  g_assert_cmpuint(like->n_graphs, ==, 1);
  {
    InferTensor *two = control_number(network, INFER_TYPE_FLOAT, 2);
    node = infer_network_add_loop(network, NULL, control_number(network, INFER_TYPE_INT64, 2), NULL,
                                  &z, 1, &two, 1, infer_node_get_graph(like, 0), &error);
  }
  g_assert_no_error(error);
  g_assert_true(infer_dims_equal(&node->outputs[1]->dims, &INFER_DIMS(2, 2)));
  control_output(network, node->outputs[0], "sum");
  control_output(network, node->outputs[1], "steps");
  context = open_context(network);
  text = infer_engine_inspect(infer_context_get_engine(context));
  g_assert_null(strstr(text, "\"If\""));
  g_assert_null(strstr(text, "\"Loop\""));
  set(context, "x", INFER_TYPE_FLOAT, INFER_DIMS(3), (float[]){1, 2, 3});
  set(context, "z", INFER_TYPE_FLOAT, INFER_DIMS(2), (float[]){1, 2});
  run(context);
  check(context, "y", INFER_DIMS(3), (double[]){10, 20, 30});
  check(context, "sum", INFER_DIMS(2), (double[]){4, 8});
  check(context, "steps", INFER_DIMS(2, 2), (double[]){2, 4, 4, 8});
}

/* --- loops without an end --- */

/* "x" is joined with itself as often as "trips" says. */
static InferNetwork *
growing_network(gboolean grows)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(InferNetwork) body = infer_network_new();
  InferTensor *trips = control_input(network, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  InferTensor *x = control_input(network, "x", INFER_TYPE_FLOAT, INFER_DIMS(1024));
  InferTensor *going, *inner;
  g_autoptr(GError) error = NULL;
  InferNode *node;

  control_input(body, "iteration", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  going = control_input(body, "going", INFER_TYPE_BOOL, INFER_DIMS_SCALAR);
  inner = control_input(body, "inner", INFER_TYPE_FLOAT, INFER_DIMS(INFER_DIM_UNKNOWN));
  control_output(body, going, "on");
  control_output(body,
                 grows ? control_add(body, "Concat", infer_attrs_new("axis", 'i', (gint64)0, NULL),
                                     2, inner, inner)
                       : control_add(body, "Neg", NULL, 1, inner),
                 "more");
  node = infer_network_add_loop(network, "endless", trips, NULL, &x, 1, NULL, 0, body, &error);
  g_assert_no_error(error);
  g_assert_true(infer_dims_equal(&node->outputs[0]->dims,
                                 grows ? &INFER_DIMS(INFER_DIM_UNKNOWN) : &INFER_DIMS(1024)));
  control_output(network, node->outputs[0], "all");
  return network;
}

static gpointer
cancel_soon(gpointer cancellable)
{
  g_usleep(50000);
  g_cancellable_cancel(cancellable);
  return NULL;
}

static void
test_cancel(void)
{
  g_autoptr(InferNetwork) network = growing_network(FALSE);
  g_autoptr(InferContext) context = open_context(network);
  g_autoptr(GCancellable) cancellable = g_cancellable_new();
  g_autoptr(GError) error = NULL;
  const gint64 for_ever = G_MAXINT64;
  GThread *thread;

  set(context, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &for_ever);
  infer_context_set_cancellable(context, cancellable);
  thread = g_thread_new("cancel", cancel_soon, cancellable);
  g_assert_false(infer_context_run(context, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join(thread);
}

static void
test_growth(void)
{
  g_autoptr(InferNetwork) network = growing_network(TRUE);
  g_autoptr(InferContext) context = open_context(network);
  g_autoptr(GError) error = NULL;
  const gint64 three = 3;
  InferDims dims;

  set(context, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &three);
  run(context);
  g_assert_true(infer_context_get_dims(context, "all", &dims, &error));
  g_assert_true(infer_dims_equal(&dims, &INFER_DIMS(8192)));
}

/* A megabyte goes into a sequence as often as "trips" says; it is the same one every time. */
static InferNetwork *
hoarding_network(void)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(InferNetwork) body = infer_network_new();
  g_autoptr(InferArray) megabyte = infer_array_new(INFER_TYPE_UINT8, &INFER_DIMS(1 << 20), NULL);
  InferTensor *trips = control_input(network, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  InferTensor *list = control_add(network, "SequenceEmpty",
                                  infer_attrs_new("dtype", 'i', (gint64)INFER_TYPE_UINT8, NULL), 0);
  g_autoptr(GError) error = NULL;
  InferTensor *going, *inner;
  InferNode *node;

  control_input(body, "iteration", INFER_TYPE_INT64, INFER_DIMS_SCALAR);
  going = control_input(body, "going", INFER_TYPE_BOOL, INFER_DIMS_SCALAR);
  inner = infer_network_add_input_value(body, "inner", INFER_KIND_SEQUENCE, INFER_TYPE_UINT8, NULL,
                                        NULL);
  control_output(body, going, "on");
  control_output(body,
                 control_add(body, "SequenceInsert", NULL, 2, inner,
                             infer_network_add_constant(body, "megabyte", megabyte)),
                 "more");
  node = infer_network_add_loop(network, "hoarder", trips, NULL, &list, 1, NULL, 0, body, &error);
  g_assert_no_error(error);
  control_output(network, node->outputs[0], "all");
  return network;
}

static void
test_memory(void)
{
  g_autoptr(InferNetwork) network = hoarding_network();
  g_autoptr(InferContext) context = open_context(network);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) all = NULL;
  const gint64 for_ever = G_MAXINT64, three = 3;

  set(context, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &three);
  run(context);
  all = infer_context_get_value(context, "all", &error);
  g_assert_cmpuint(infer_array_get_n_items(all), ==, 3);
  set(context, "trips", INFER_TYPE_INT64, INFER_DIMS_SCALAR, &for_ever);
  g_assert_false(infer_context_run(context, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_MEMORY);
  g_assert_nonnull(strstr(error->message, "hoarder"));
}

/* --- what is refused --- */

static void
test_refused(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(InferNetwork) one = infer_network_new();
  g_autoptr(InferNetwork) other = infer_network_new();
  g_autoptr(InferArray) number = infer_array_new_float(1);
  g_autoptr(GError) error = NULL;
  InferTensor *yes = control_input(network, "yes", INFER_TYPE_BOOL, INFER_DIMS_SCALAR);
  InferTensor *list;

  control_output(one, control_number(one, INFER_TYPE_FLOAT, 1), "y");
  control_output(other, control_number(other, INFER_TYPE_INT64, 1), "y");
  g_assert_null(infer_network_add_if(network, NULL, yes, NULL, 0, one, other, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_clear_error(&error);
  g_assert_null(infer_network_add_if(network, NULL, yes, &yes, 1, one, one, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_clear_error(&error);
  g_assert_null(infer_network_add_node(network, "If", NULL, &yes, 1, NULL, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  g_assert_null(infer_network_add_loop(network, NULL, NULL, yes, NULL, 0, NULL, 0, one, &error));
  g_assert_nonnull(error);
  g_clear_error(&error);
  /* A sequence is no tensor. */
  list = control_add(network, "SequenceEmpty", NULL, 0);
  g_assert_null(infer_network_add_node(network, "Relu", NULL, &list, 1, NULL, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_clear_error(&error);
  g_assert_null(infer_array_new_sequence(INFER_TYPE_INT64, &number, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
}

static void
test_too_deep(void)
{
  g_autoptr(InferNetwork) graph = infer_network_new();
  g_autoptr(GError) error = NULL;
  guint depth = 0;

  control_output(graph, control_number(graph, INFER_TYPE_FLOAT, 1), "y");
  for (; depth < 3 * INFER_MAX_NESTING; depth++) {
    InferNetwork *around = infer_network_new();
    InferTensor *yes = control_number(around, INFER_TYPE_BOOL, 1);
    InferNode *node = infer_network_add_if(around, NULL, yes, NULL, 0, graph, graph, &error);

    g_object_unref(graph);
    graph = around;
    if (!node)
      break;
    control_output(around, node->outputs[0], "y");
  }
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  g_assert_cmpuint(depth, ==, INFER_MAX_NESTING);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/control/if", test_if);
  g_test_add_func("/control/loop", test_loop);
  g_test_add_func("/control/scan", test_scan);
  g_test_add_func("/control/sequence", test_sequence);
  g_test_add_func("/control/optional", test_optional);
  g_test_add_func("/control/written-out", test_written_out);
  g_test_add_func("/control/cancel", test_cancel);
  g_test_add_func("/control/growth", test_growth);
  g_test_add_func("/control/memory", test_memory);
  g_test_add_func("/control/refused", test_refused);
  g_test_add_func("/control/too-deep", test_too_deep);
  return g_test_run();
}
