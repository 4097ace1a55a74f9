/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks through an engine on the CPU against node by node evaluation, for a batch of 1 and of 3,
 * and how many steps are left to run. */
#include <infer/infer.h>
#include "op.h"

#include <math.h>
#include <string.h>

#include "small-net.h"

#define MAX_BATCH 3

typedef struct {
  InferNetwork *network;
  GRand *random;
  gint64 batch;
} Net;

static void
net_init(Net *net)
{
  net->network = infer_network_new();
  net->random = g_rand_new_with_seed(11);
  net->batch = infer_network_add_symbol(net->network, "batch", 1, 1, 8);
}

static void
net_clear(Net *net)
{
  g_object_unref(net->network);
  g_rand_free(net->random);
}

static InferTensor *
input(Net *net, const char *name, const InferDims *dims)
{
  InferTensor *tensor =
      infer_network_add_input(net->network, name, INFER_TYPE_FLOAT, dims, NULL, NULL);

  g_assert_nonnull(tensor);
  return tensor;
}

static InferNode *
node(Net *net, const char *op, InferTensor *const *inputs, guint n, GVariant *attrs, guint outputs)
{
  g_autoptr(GError) error = NULL;
  InferNode *added =
      infer_network_add_node(net->network, op, NULL, inputs, n, attrs, outputs, &error);

  g_assert_no_error(error);
  return added;
}

static InferTensor *
op1(Net *net, const char *op, InferTensor *x, GVariant *attrs)
{
  return node(net, op, &x, 1, attrs, 1)->outputs[0];
}

static InferTensor *
op2(Net *net, const char *op, InferTensor *a, InferTensor *b, GVariant *attrs)
{
  return node(net, op, (InferTensor *[]){a, b}, 2, attrs, 1)->outputs[0];
}

static InferTensor *
weight(Net *net, const InferDims *dims)
{
  return small_net_weight(net->network, net->random, NULL, dims, 0.5);
}

static InferTensor *
ints(Net *net, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(net->network, NULL, array);
}

static InferTensor *
number(Net *net, float value)
{
  g_autoptr(InferArray) array = infer_array_new_float(value);

  return infer_network_add_constant(net->network, NULL, array);
}

static InferTensor *
conv(Net *net, InferTensor *x, gint64 out, gint64 kernel, gint64 group)
{
  gint64 pad = kernel / 2, pads[] = {pad, pad, pad, pad};
  InferTensor *w = weight(net, &INFER_DIMS(out, x->dims.d[1] / group, kernel, kernel));
  InferTensor *b = weight(net, &INFER_DIMS(out));

  return node(net, "Conv", (InferTensor *[]){x, w, b}, 3,
              infer_attrs_new("pads", 'I', pads, (gsize)4, "group", 'i', group, NULL), 1)
      ->outputs[0];
}

static InferTensor *
conv_relu(Net *net, InferTensor *x, gint64 out, gint64 kernel)
{
  return op1(net, "Relu", conv(net, x, out, kernel, 1), NULL);
}

static InferTensor *
concat(Net *net, InferTensor *const *inputs, guint n, gint64 axis)
{
  return node(net, "Concat", inputs, n, infer_attrs_new("axis", 'i', axis, NULL), 1)->outputs[0];
}

static void
leave(Net *net, InferTensor *tensor, const char *name)
{
  g_autoptr(GError) error = NULL;

  infer_network_mark_output(net->network, tensor, name, &error);
  g_assert_no_error(error);
}

/* --- running --- */

static gsize
row_size(const InferTensor *tensor)
{
  gsize size = sizeof(float);

  for (gint i = 1; i < tensor->dims.n; i++)
    size *= (gsize)tensor->dims.d[i];
  return size;
}

/* Row r of every input depends on r alone. */
static void
fill(const InferTensor *tensor, guint batch, float *data)
{
  gsize n = row_size(tensor) / sizeof(float);

  for (guint row = 0; row < batch; row++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(100 + row);
    for (gsize i = 0; i < n; i++)
      data[row * n + i] = (float)g_rand_double_range(random, -2, 2);
  }
}

static GHashTable *
evaluate(InferNetwork *network, guint batch)
{
  GHashTable *values = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    InferTensor *tensor = infer_network_get_input(network, i);
    InferDims dims = tensor->dims;
    InferArray *array;

    dims.d[0] = batch;
    array = infer_array_new(tensor->type, &dims, NULL);
    fill(tensor, batch, array->data);
    g_hash_table_insert(values, tensor, array);
  }
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *n = infer_network_get_node(network, i);
    const InferArray *in[16] = {NULL};
    InferArray *out[16] = {NULL};

    for (guint j = 0; j < n->n_inputs; j++)
      if (n->inputs[j])
        in[j] =
            n->inputs[j]->value ? n->inputs[j]->value : g_hash_table_lookup(values, n->inputs[j]);
    infer_op_eval_alloc(n, in, n->n_inputs, out, n->n_outputs, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < n->n_outputs; j++)
      g_hash_table_insert(values, n->outputs[j], out[j]);
  }
  return values;
}

static InferContext *
run(InferEngine *engine, InferNetwork *network, guint batch)
{
  g_autoptr(GError) error = NULL;
  InferContext *context = infer_context_new(engine, &error);

  g_assert_no_error(error);
  infer_context_set_profiling(context, TRUE);
  infer_context_set_batch(context, batch, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *tensor = infer_network_get_input(network, i);
    fill(tensor, batch, infer_context_map(context, tensor->name, NULL, NULL));
  }
  /* Twice: what one run leaves in memory that is shared must not show in the next. */
  for (guint i = 0; i < 2; i++) {
    infer_context_run(context, &error);
    g_assert_no_error(error);
  }
  return context;
}

static guint
count_running(InferContext *context)
{
  InferStepTime time;
  guint n = 0;

  for (guint i = 0; infer_context_get_step_time(context, i, &time); i++) {
    n += !g_str_equal(time.implementation, "view");
    g_test_message("%s: %s", time.name, time.implementation);
  }
  return n;
}

static void
compare(InferEngine *engine, InferNetwork *network, guint batch, guint steps)
{
  g_autoptr(GHashTable) want = evaluate(network, batch);
  g_autoptr(InferContext) context = run(engine, network, batch);

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    InferTensor *tensor = infer_network_get_output(network, i);
    const InferArray *array = g_hash_table_lookup(want, tensor);
    gsize size;
    const float *have = infer_context_map(context, tensor->name, &size, NULL);
    const float *values = array->data;

    g_assert_cmpuint(size, ==, array->size);
    for (gsize k = 0; k < size / sizeof(float); k++)
      if (!(fabsf(have[k] - values[k]) <= 1e-4f * (1 + fabsf(values[k]))))
        g_error("batch %u, output '%s', element %zu: %g instead of %g", batch, tensor->name, k,
                (double)have[k], (double)values[k]);
  }
  g_assert_cmpuint(count_running(context), ==, steps);
}

/* A row gives the same bits whatever the batch. */
static void
compare_rows(InferEngine *engine, InferNetwork *network)
{
  g_autoptr(InferContext) one = run(engine, network, 1);
  g_autoptr(InferContext) all = run(engine, network, MAX_BATCH);

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    const char *name = infer_network_get_output(network, i)->name;
    gsize size;
    const guint8 *a = infer_context_map(one, name, &size, NULL);
    const guint8 *b = infer_context_map(all, name, NULL, NULL);

    g_assert_cmpmem(a, size, b, size);
  }
}

/* Without fusion every node is a step, and the result is the same. */
static void
check_plain(Net *net, guint steps)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_fusion(builder, FALSE);
  engine = infer_builder_build(builder, net->network, "test", NULL, &error);
  g_assert_no_error(error);
  compare(engine, net->network, 1, steps);
}

/* @one and @many: steps that run for a batch of 1 and of 3. */
static void
check(Net *net, guint one, guint many)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferEngine) again = NULL;
  g_autoptr(GBytes) plan = NULL;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 2);
  infer_builder_set_max_batch(builder, MAX_BATCH);
  engine = infer_builder_build(builder, net->network, "test", NULL, &error);
  g_assert_no_error(error);
  plan = infer_engine_serialize(engine, &error);
  g_assert_no_error(error);
  again = infer_engine_new_from_bytes(plan, "test", "cpu", 2, &error);
  g_assert_no_error(error);
  compare(engine, net->network, 1, one);
  compare(again, net->network, MAX_BATCH, many);
  compare_rows(again, net->network);
}

/* --- parts of other tensors --- */

static void
test_concat_rows(void)
{
  Net net;
  InferTensor *parts[3], *x;

  /* Heads of a detector: [1, boxes, 4] joined along the boxes. */
  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 16, 8, 8));
  for (guint i = 0; i < 3; i++) {
    gint64 perm[] = {0, 2, 3, 1}, target[] = {0, -1, 4};
    parts[i] = conv(&net, x, i == 1 ? 24 : 12, 3, 1);
    parts[i] = op1(&net, "Transpose", parts[i], infer_attrs_new("perm", 'I', perm, (gsize)4, NULL));
    parts[i] = op2(&net, "Reshape", parts[i], ints(&net, target, 3), NULL);
    x = i == 0 ? op1(&net, "Abs", x, NULL) : op1(&net, "Neg", x, NULL);
  }
  leave(&net, concat(&net, parts, 3, 1), "boxes");
  /* What all of them read is converted once, before the pointwise nodes. */
  check(&net, 6, 7);
  net_clear(&net);
}

static void
test_concat_channels(void)
{
  Net net;
  InferTensor *x, *parts[4];
  gint64 kernel[] = {3, 3}, pads[] = {1, 1, 1, 1};

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 16, 9, 7));
  x = conv_relu(&net, x, 16, 3);
  parts[0] = conv_relu(&net, x, 8, 1);
  parts[1] = conv_relu(&net, conv_relu(&net, x, 8, 1), 12, 3);
  parts[2] = op1(
      &net, "MaxPool", x,
      infer_attrs_new("kernel_shape", 'I', kernel, (gsize)2, "pads", 'I', pads, (gsize)4, NULL));
  parts[3] = op1(&net, "Abs", x, NULL);
  x = concat(&net, parts, 4, 1);
  leave(&net, conv(&net, x, 8, 3, 1), "y");
  check(&net, 10, 10);
  net_clear(&net);
}

/* What is joined again and again lies in one memory. */
static void
test_concat_dense(void)
{
  Net net;
  InferTensor *x;

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 8, 6, 6));
  x = op1(&net, "Exp", x, NULL);
  for (guint i = 0; i < 3; i++)
    x = concat(&net, (InferTensor *[]){x, op1(&net, "Neg", x, NULL)}, 2, 1);
  leave(&net, op1(&net, "GlobalAveragePool", x, NULL), "y");
  check(&net, 6, 6);
  net_clear(&net);
}

static void
test_split(void)
{
  Net net;
  InferTensor *x, *sum;
  InferNode *split;

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 8, 6, 6));
  x = conv_relu(&net, x, 24, 3);
  split = node(&net, "Split", (InferTensor *[]){x, ints(&net, (gint64[]){4, 8, 12}, 3)}, 2,
               infer_attrs_new("axis", 'i', (gint64)1, NULL), 3);
  sum = conv(&net, split->outputs[1], 12, 1, 1);
  sum = op2(&net, "Mul", sum, split->outputs[2], NULL);
  leave(&net, sum, "y");
  leave(&net, op1(&net, "GlobalMaxPool", split->outputs[0], NULL), "z");
  /* The convolution wants its part for itself. */
  check(&net, 7, 7);
  net_clear(&net);
}

static void
test_slice(void)
{
  Net net;
  InferTensor *x, *a, *b;

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 10));
  a = node(&net, "Slice",
           (InferTensor *[]){x, ints(&net, (gint64[]){-4}, 1), ints(&net, (gint64[]){100}, 1),
                             ints(&net, (gint64[]){1}, 1)},
           4, NULL, 1)
          ->outputs[0];
  b = node(&net, "Slice",
           (InferTensor *[]){x, ints(&net, (gint64[]){0}, 1), ints(&net, (gint64[]){8}, 1),
                             ints(&net, (gint64[]){1}, 1), ints(&net, (gint64[]){2}, 1)},
           5, NULL, 1)
          ->outputs[0];
  leave(&net, op2(&net, "Sub", a, b, NULL), "y");
  check(&net, 2, 2);
  net_clear(&net);
}

/* An input, an output and a tensor that is joined twice stay where they are. */
static void
test_concat_copies(void)
{
  Net net;
  InferTensor *x, *y, *c;

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 4, 5, 5));
  y = op1(&net, "Exp", x, NULL);
  c = concat(&net, (InferTensor *[]){x, y, x, weight(&net, &INFER_DIMS(1, 4, 5, 5))}, 3, 1);
  c = concat(&net, (InferTensor *[]){c, op1(&net, "Abs", x, NULL), c}, 3, 1);
  leave(&net, y, "y");
  leave(&net, op1(&net, "Neg", c, NULL), "c");
  check(&net, 5, 5);
  net_clear(&net);
}

/* --- functions of elements --- */

static InferTensor *
scaled(Net *net, InferTensor *x, float factor)
{
  return op2(net, "Mul", x, number(net, factor), NULL);
}

/* Gelu by tanh, as it is exported, on a row and on channels; one step each. */
static void
test_chain(void)
{
  Net net;

  net_init(&net);
  for (guint i = 0; i < 2; i++) {
    InferDims dims = i ? INFER_DIMS(net.batch, 5, 33, 41) : INFER_DIMS(net.batch, 3001);
    InferTensor *x = input(&net, i ? "x" : "u", &dims), *y;

    y = op2(&net, "Mul", op2(&net, "Pow", x, number(&net, 2), NULL), x, NULL);
    y = op1(&net, "Tanh", scaled(&net, op2(&net, "Add", x, scaled(&net, y, 0.044715f), NULL), 0.8f),
            NULL);
    y = scaled(&net, op2(&net, "Mul", x, op2(&net, "Add", y, number(&net, 1), NULL), NULL), 0.5f);
    leave(&net, y, i ? "y" : "v");
  }
  check(&net, 2, 2);
  net_clear(&net);
}

/* Broadcast operands of every kind, two branches, and a reader of a convolution's layout. */
static void
test_chain_broadcast(void)
{
  Net net;
  InferTensor *x, *y, *z;

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 6, 19, 23));
  z = input(&net, "z", &INFER_DIMS(net.batch, 6, 1, 1));
  x = conv(&net, x, 6, 3, 1);
  y = op2(&net, "Mul", x, z, NULL);
  y = op2(&net, "Sub", weight(&net, &INFER_DIMS(6, 1, 1)), y, NULL);
  y = op1(&net, "Sigmoid", y, NULL);
  z = op1(&net, "LeakyRelu", op2(&net, "Div", x, number(&net, 3), NULL), NULL);
  y = op2(&net, "Max", y, z, NULL);
  y = op2(&net, "PRelu", y, weight(&net, &INFER_DIMS(6, 1, 1)), NULL);
  leave(&net, op2(&net, "Add", y, weight(&net, &INFER_DIMS(23)), NULL), "y");
  /* One copy in, the convolution, the chain, one copy out. */
  check(&net, 4, 4);
  net_clear(&net);
}

/* --- convolutions side by side --- */

static void
test_siblings(void)
{
  Net net;
  InferTensor *x, *parts[4];

  net_init(&net);
  x = input(&net, "x", &INFER_DIMS(net.batch, 24, 9, 7));
  x = conv_relu(&net, x, 24, 3);
  for (guint i = 0; i < 3; i++)
    parts[i] = conv_relu(&net, x, 4 + 4 * i, 1);
  parts[3] = op1(&net, "Sigmoid", conv(&net, x, 8, 1, 1), NULL);
  parts[2] = conv_relu(&net, parts[2], 16, 3);
  leave(&net, concat(&net, parts, 4, 1), "y");
  leave(&net, conv(&net, parts[1], 5, 1, 1), "z");
  /* Reformat, convolution, three siblings, the other one, their reader with its copy, the join of
   * what the siblings share, z, and what leaves. */
  check(&net, 10, 10);
  check_plain(&net, 17);
  net_clear(&net);
}

/* A transpose that moves nothing, since all but one dimension are 1, leaves as a view: in memory it
 * is what leaves. The plan has to read as it was written. */
static void
test_transposed_row(void)
{
  Net net;
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferTensor *y;

  net_init(&net);
  y = op1(&net, "Relu", input(&net, "x", &INFER_DIMS(1, 6)), NULL);
  g_assert_true(infer_network_mark_output(net.network, op1(&net, "Transpose", y, NULL), "y", NULL));
  infer_builder_set_device(builder, "cpu");
  g_autoptr(InferEngine) engine = infer_builder_build(builder, net.network, NULL, NULL, &error);
  g_assert_no_error(error);
  g_autoptr(GBytes) plan = infer_engine_serialize(engine, &error);
  g_assert_no_error(error);
  g_autoptr(InferEngine) loaded = infer_engine_new_from_bytes(plan, "row", "cpu", 1, &error);
  g_assert_no_error(error);
  compare(loaded, net.network, 1, 1);
  net_clear(&net);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/lowering/concat-rows", test_concat_rows);
  g_test_add_func("/lowering/concat-channels", test_concat_channels);
  g_test_add_func("/lowering/concat-dense", test_concat_dense);
  g_test_add_func("/lowering/split", test_split);
  g_test_add_func("/lowering/slice", test_slice);
  g_test_add_func("/lowering/concat-copies", test_concat_copies);
  g_test_add_func("/lowering/chain", test_chain);
  g_test_add_func("/lowering/chain-broadcast", test_chain_broadcast);
  g_test_add_func("/lowering/siblings", test_siblings);
  g_test_add_func("/lowering/transposed-row", test_transposed_row);
  return g_test_run();
}
