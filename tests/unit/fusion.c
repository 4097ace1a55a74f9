/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How networks are cut into steps and where conversions of layouts come, on a made-up device. */
#include "plan.h"

#include <string.h>

/* --- a device --- */

static struct {
  gboolean pools; /* convolutions take the pooling behind them */
} device_can;

static gboolean
is(const InferNode *node, const char *op)
{
  return g_str_equal(infer_node_get_op_name(node), op);
}

static gboolean
conv_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  for (guint i = 0; i < step->n_nodes; i++) {
    const InferNode *node = step->nodes[i];
    gboolean pool = is(node, "MaxPool") && i + 1 == step->n_nodes && device_can.pools;

    if (i == step->anchor ? !is(node, "Conv")
                          : !is(node, i < step->anchor ? "Cast" : "Relu") && !pool)
      return FALSE;
  }
  inputs[0] = outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

static gboolean
any_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  for (guint i = 0; i < step->n_inputs; i++)
    if (!step->inputs[i]->value)
      inputs[i] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return step->anchor == 0 && step->n_nodes == 1;
}

static const InferImpl leading = {
    .name = "leading", .supports = conv_supports, .takes_leading = TRUE};
static const InferImpl plain = {.name = "plain", .supports = conv_supports};
static const InferImpl any = {.name = "any", .supports = any_supports};

static const InferImpl *const *
impls_leading(const char *op)
{
  static const InferImpl *const conv[] = {&leading, NULL}, *const others[] = {&any, NULL};

  return g_str_equal(op, "Conv") ? conv : others;
}

static const InferImpl *const *
impls_plain(const char *op)
{
  static const InferImpl *const conv[] = {&plain, NULL}, *const others[] = {&any, NULL};

  return g_str_equal(op, "Conv") ? conv : others;
}

static const InferBackend backend_leading = {.name = "test", .impls = impls_leading};
static const InferBackend backend_plain = {.name = "test", .impls = impls_plain};

/* --- networks --- */

static InferTensor *
add(InferNetwork *network, const char *op, InferTensor *const *in, guint n, GVariant *attrs)
{
  g_autoptr(GError) error = NULL;
  InferNode *node = infer_network_add_node(network, op, NULL, in, n, attrs, 1, &error);

  g_assert_no_error(error);
  return node->outputs[0];
}

static InferTensor *
conv(InferNetwork *network, InferTensor *x, gint64 out)
{
  InferDims dims = INFER_DIMS(out, x->dims.d[1], 1, 1);
  g_autoptr(InferArray) value = infer_array_new(x->type, &dims, NULL);
  InferTensor *w = infer_network_add_constant(network, NULL, value);

  return add(network, "Conv", (InferTensor *[]){x, w}, 2, NULL);
}

static InferTensor *
cast(InferNetwork *network, InferTensor *x, InferType type)
{
  return add(network, "Cast", &x, 1, infer_attrs_new("to", 'i', (gint64)type, NULL));
}

static InferTensor *
pool(InferNetwork *network, InferTensor *x)
{
  const gint64 two[] = {2, 2};

  return add(
      network, "MaxPool", &x, 1,
      infer_attrs_new("kernel_shape", 'I', two, (gsize)2, "strides", 'I', two, (gsize)2, NULL));
}

static InferTensor *
input(InferNetwork *network)
{
  gint64 batch = infer_network_add_symbol(network, "batch", 1, 8, 8);

  return infer_network_add_input(network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(batch, 3, 16, 16),
                                 NULL, NULL);
}

static void
leave(InferNetwork *network, InferTensor *tensor, const char *name)
{
  g_assert_true(infer_network_mark_output(network, tensor, name, NULL));
}

/* "Cast Conv* Relu | MaxPool*": steps and their anchors, where a node is not alone. */
static char *
describe(const GPtrArray *steps)
{
  GString *text = g_string_new(NULL);

  for (guint i = 0; i < steps->len; i++) {
    const InferStep *step = steps->pdata[i];

    g_string_append(text, i > 0 ? " | " : "");
    for (guint k = 0; k < step->n_nodes; k++)
      g_string_append_printf(text, "%s%s%s", k > 0 ? " " : "",
                             infer_node_get_op_name(step->nodes[k]),
                             step->n_nodes > 1 && k == step->anchor ? "*" : "");
  }
  return g_string_free(text, FALSE);
}

static void
assert_cut(InferNetwork *network, const InferBackend *backend, const char *want)
{
  InferDevice device = {.backend = backend, .name = (char *)"test"};
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) steps = infer_pass_fusion(network, &device, TRUE, &error);
  g_autofree char *have = NULL;

  g_assert_no_error(error);
  have = describe(steps);
  g_assert_cmpstr(have, ==, want);
}

static void
assert_lowered(InferNetwork *network, const char *want)
{
  InferDevice device = {.backend = &backend_plain, .name = (char *)"test"};
  g_autoptr(GError) error = NULL;
  g_autoptr(InferProgram) program = infer_lower(network, &device, TRUE, &error);
  g_autofree char *have = NULL;

  g_assert_no_error(error);
  g_assert_true(infer_program_check(program, &device, &error));
  g_assert_no_error(error);
  have = describe(program->steps);
  g_assert_cmpstr(have, ==, want);
}

/* --- steps --- */

static InferNetwork *
stem(gboolean shared)
{
  InferNetwork *network = infer_network_new();
  InferTensor *x = cast(network, input(network), INFER_TYPE_FLOAT16), *y;

  if (shared)
    leave(network, add(network, "Abs", &x, 1, NULL), "z");
  y = conv(network, x, 8);
  y = add(network, "Relu", &y, 1, NULL);
  y = pool(network, y);
  leave(network, add(network, "Exp", &y, 1, NULL), "y");
  return network;
}

static void
test_stem(void)
{
  g_autoptr(InferNetwork) network = stem(FALSE);
  g_autoptr(InferNetwork) shared = stem(TRUE);

  device_can.pools = TRUE;
  assert_cut(network, &backend_leading, "Cast Conv* Relu MaxPool | Exp");
  assert_cut(network, &backend_plain, "Cast | Conv* Relu MaxPool | Exp");
  /* What two read has to be there. */
  assert_cut(shared, &backend_leading, "Cast | Abs | Conv* Relu MaxPool | Exp");
  device_can.pools = FALSE;
  assert_cut(network, &backend_leading, "Cast Conv* Relu | MaxPool | Exp");
}

/* A pooling that two read, and the step of one that comes out in two places. */
static void
test_pool_stays(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = conv(network, input(network), 8);

  leave(network, pool(network, x), "y");
  leave(network, add(network, "Relu", &x, 1, NULL), "z");
  device_can.pools = TRUE;
  assert_cut(network, &backend_plain, "Conv | MaxPool | Relu");
}

/* --- layouts --- */

static InferTensor *
resize(InferNetwork *network, InferTensor *x, float factor)
{
  const float scales[] = {1, 1, factor, factor};
  g_autoptr(GBytes) bytes = g_bytes_new(scales, sizeof scales);
  g_autoptr(InferArray) value =
      infer_array_new_from_bytes(INFER_TYPE_FLOAT, &INFER_DIMS(4), bytes, NULL);

  return add(network, "Resize",
             (InferTensor *[]){x, NULL, infer_network_add_constant(network, NULL, value)}, 3, NULL);
}

/* The conversion goes to where the tensor is smallest, over more than one step. */
static void
test_smallest(void)
{
  g_autoptr(InferNetwork) larger = infer_network_new();
  g_autoptr(InferNetwork) smaller = infer_network_new();
  InferTensor *x;

  x = conv(larger, cast(larger, input(larger), INFER_TYPE_FLOAT16), 40);
  leave(larger, resize(larger, cast(larger, x, INFER_TYPE_FLOAT), 8), "y");
  assert_lowered(larger, "Cast | infer.Reformat | Conv | infer.Reformat | Cast | Resize");

  x = conv(smaller, input(smaller), 40);
  x = resize(smaller, resize(smaller, x, 0.5f), 2);
  leave(smaller, resize(smaller, x, 0.75f), "y");
  assert_lowered(smaller, "infer.Reformat | Conv | Resize | infer.Reformat | Resize | Resize");
}

/* All that read a tensor in another layout share its conversion, which decides with them. */
static void
test_shared(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = conv(network, input(network), 40);

  for (guint i = 0; i < 3; i++) {
    const char *const ops[] = {"Abs", "Exp", "Neg"};
    const char *const names[] = {"a", "b", "c"};

    leave(network, add(network, ops[i], &x, 1, NULL), names[i]);
  }
  assert_lowered(network, "infer.Reformat | Conv | infer.Reformat | Abs | Exp | Neg");
}

/* What lies between two that want the same stays with them. */
static void
test_between(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferTensor *x = conv(network, input(network), 8);
  const gint64 perm[] = {0, 2, 3, 1};

  x = conv(network, resize(network, add(network, "Exp", &x, 1, NULL), 0.5f), 8);
  x = add(network, "Transpose", &x, 1, infer_attrs_new("perm", 'I', perm, (gsize)4, NULL));
  leave(network, add(network, "Exp", &x, 1, NULL), "y");
  assert_lowered(network, "infer.Reformat | Conv | Exp | Resize | Conv | Transpose | Exp");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/fusion/stem", test_stem);
  g_test_add_func("/fusion/pool-stays", test_pool_stays);
  g_test_add_func("/layouts/smallest", test_smallest);
  g_test_add_func("/layouts/shared", test_shared);
  g_test_add_func("/layouts/between", test_between);
  return g_test_run();
}
