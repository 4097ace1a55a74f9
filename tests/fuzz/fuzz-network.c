/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libFuzzer target: bytes are calls of the network API: inputs, constants, and nodes of any
 * operator with any attributes. What is a network in the end is built and run.
 */
#include <infer/infer.h>

#include <string.h>

#include "fuzz.h"
#include "op.h"

#define MAX_CALLS 24
#define MAX_TENSORS 64
/* Larger tensors only take time. */
#define MAX_ELEMENTS 20000

typedef struct {
  const guint8 *data;
  gsize size, at;
  InferNetwork *network;
  InferTensor *tensors[MAX_TENSORS];
  guint n_tensors;
} Fuzz;

static guint
byte(Fuzz *self)
{
  return self->at < self->size ? self->data[self->at++] : 0;
}

/* Mostly small numbers, now and then one that overflows. */
static gint64
number(Fuzz *self)
{
  guint kind = byte(self);

  if (kind < 200)
    return (gint64)(kind % 12) - 2;
  if (kind < 240)
    return (gint64)byte(self) * 257 - 3000;
  return kind & 1 ? G_MAXINT64 - byte(self) : G_MININT64 + byte(self);
}

static void
keep(Fuzz *self, InferTensor *tensor)
{
  gint64 count = tensor ? infer_dims_count(&tensor->dims) : 0;

  if (tensor && self->n_tensors < MAX_TENSORS && count <= MAX_ELEMENTS)
    self->tensors[self->n_tensors++] = tensor;
}

static InferDims
dims(Fuzz *self)
{
  InferDims result = {.n = (gint)(byte(self) % 6)};

  for (gint i = 0; i < result.n; i++)
    result.d[i] = byte(self) % 7;
  return result;
}

static void
add_input(Fuzz *self)
{
  g_autofree char *name = g_strdup_printf("input-%u", self->n_tensors);
  InferDims shape = dims(self);

  if (byte(self) % 2 && shape.n)
    shape.d[0] = infer_network_add_symbol(self->network, "batch", 1, 1, 4);
  keep(self, infer_network_add_input(self->network, name,
                                     byte(self) % 3 ? INFER_TYPE_FLOAT : (InferType)byte(self),
                                     &shape, NULL, NULL));
}

static void
add_constant(Fuzz *self)
{
  static const InferType types[] = {INFER_TYPE_FLOAT, INFER_TYPE_INT64, INFER_TYPE_INT64,
                                    INFER_TYPE_INT32, INFER_TYPE_BOOL,  INFER_TYPE_UINT8};
  InferType type = types[byte(self) % G_N_ELEMENTS(types)];
  InferDims shape = type == INFER_TYPE_INT64 ? INFER_DIMS(byte(self) % 6) : dims(self);
  g_autoptr(InferArray) array = infer_array_new(type, &shape, NULL);

  if (!array || infer_array_count(array) > MAX_ELEMENTS)
    return;
  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i,
                           type == INFER_TYPE_FLOAT ? byte(self) / 16.0 - 8 : (double)number(self));
  keep(self, infer_network_add_constant(self->network, NULL, array));
}

static GVariant *
attribute(Fuzz *self, char kind)
{
  gint64 list[8];
  double floats[8];
  gsize n = byte(self) % 8;
  const char *const words[] = {"constant", "reflect",    "linear", "nearest", "SAME_UPPER",
                               "VALID",    "NOTSET",     "add",    "cubic",   "forward",
                               "reverse",  "asymmetric", "yx",     "xy",      "i,j->ij"};

  for (gsize i = 0; i < n; i++) {
    list[i] = number(self);
    floats[i] = (double)list[i] / 2;
  }
  switch (kind) {
  case 'i':
    return g_variant_new_int64(number(self));
  case 'f':
    return g_variant_new_double((double)number(self) / 4);
  case 's':
    return g_variant_new_string(words[byte(self) % G_N_ELEMENTS(words)]);
  case 'I':
    return g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, list, n, 8);
  case 'F':
    return g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, floats, n, 8);
  default:
    return g_variant_new_strv(words, (gssize)n);
  }
}

static void
add_node(Fuzz *self)
{
  const InferOp *const *ops = infer_op_list();
  guint n_ops = 0, n_inputs, n_outputs;
  const InferOp *op;
  InferTensor *inputs[8] = {NULL};
  GVariantBuilder attrs;
  InferNode *node;

  while (ops[n_ops])
    n_ops++;
  op = ops[(byte(self) * 256 + byte(self)) % n_ops];
  n_inputs = MIN(op->min_inputs + byte(self) % 3, 8);
  for (guint i = 0; i < n_inputs; i++)
    if (self->n_tensors && byte(self) % 16)
      inputs[i] = self->tensors[byte(self) % self->n_tensors];
  g_variant_builder_init(&attrs, G_VARIANT_TYPE_VARDICT);
  for (const InferAttrSpec *spec = op->attrs; spec && spec->name; spec++)
    if (spec->required || byte(self) % 3 == 0)
      g_variant_builder_add(&attrs, "{sv}", spec->name, attribute(self, spec->kind));
  n_outputs = op->min_outputs + (op->max_outputs > op->min_outputs ? byte(self) % 2 : 0);
  node = infer_network_add_node(self->network, op->name, NULL, inputs, n_inputs,
                                g_variant_builder_end(&attrs), n_outputs, NULL);
  for (guint i = 0; node && i < node->n_outputs; i++)
    keep(self, node->outputs[i]);
}

static void
build_and_run(Fuzz *self)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(GBytes) plan = NULL;

  for (guint i = 0; i < 3 && i < self->n_tensors; i++)
    infer_network_mark_output(self->network, self->tensors[self->n_tensors - 1 - i], NULL, NULL);
  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, 2);
  infer_builder_set_timing_cache(builder, "");
  engine = infer_builder_build(builder, self->network, NULL, NULL, &error);
  /* What was built has to compute what the reference computes. */
  if (!engine && error && g_error_matches(error, INFER_ERROR, INFER_ERROR_VERIFY))
    g_error("%s", error->message);
  plan = engine ? infer_engine_serialize(engine, NULL) : NULL;
  if (plan) {
    g_autoptr(InferEngine) loaded = infer_engine_new_from_bytes(plan, "fuzzed", "cpu", 1, &error);
    if (!loaded)
      g_error("a plan that was just written cannot be read: %s", error->message);
  }
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
  Fuzz self = {.data = data, .size = size, .network = infer_network_new()};

  for (guint i = 0; i < MAX_CALLS && self.at < self.size; i++) {
    guint what = byte(&self) % 8;
    if (what == 0 || self.n_tensors == 0)
      add_input(&self);
    else if (what <= 2)
      add_constant(&self);
    else
      add_node(&self);
  }
  build_and_run(&self);
  g_object_unref(self.network);
  return 0;
}

GPtrArray *
fuzz_seeds(void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  g_autoptr(GRand) random = g_rand_new_with_seed(3);

  for (guint i = 0; i < 64; i++) {
    guint8 bytes[400];
    for (guint k = 0; k < sizeof bytes; k++)
      bytes[k] = (guint8)g_rand_int_range(random, 0, 256);
    g_ptr_array_add(seeds, g_bytes_new(bytes, sizeof bytes));
  }
  return seeds;
}
