/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "passes/passes.h"
#include "program-private.h"

#include <string.h>

/*
 * Convolutions that read one tensor through the same window become one, with their weights joined,
 * whose result is split. The input is read once, and few channels fill the machine better together.
 * A split is free where the readers accept parts of a larger tensor; elsewhere it is a copy, which
 * must cost less than what is saved.
 */
#define MAX_SIBLINGS 16

/* What a step costs beside its arithmetic, and moving memory, on a CPU of a few cores: order of
 * magnitude is enough. */
#define STEP_NANOSECONDS 6000.0
#define NANOSECONDS_PER_BYTE 0.1

typedef struct {
  InferNode *conv;
  InferNode *tail; /* the activation behind it, where it has one */
} Sibling;

typedef struct {
  InferNetwork *network;
  InferDevice *device;
  InferUses *uses;
} Pass;

static gint64
attr_or(const InferNode *node, const char *name, gsize i, gint64 fallback)
{
  gsize n;
  const gint64 *list = infer_node_get_ints(node, name, &n);

  return list && i < n ? list[i] : fallback;
}

/* --- the same window, the same activation --- */

static gboolean
can_join(const InferNode *node)
{
  const InferTensor *x = node->inputs[0];

  return infer_pass_conv_channels(node) > 0 && infer_node_get_int(node, "group", 1) == 1 && x &&
         !x->value && x->type == INFER_TYPE_FLOAT && x->dims.n >= 3 && !node->outputs[0]->is_output;
}

static gboolean
same_window(const InferNode *a, const InferNode *b)
{
  const InferDims *wa = &a->inputs[1]->dims, *wb = &b->inputs[1]->dims;
  gsize spatial = (gsize)wa->n - 2;

  if (a->inputs[0] != b->inputs[0] || wa->n != wb->n ||
      !g_str_equal(infer_node_get_string(a, "auto_pad", "NOTSET"),
                   infer_node_get_string(b, "auto_pad", "NOTSET")))
    return FALSE;
  for (gsize i = 0; i < spatial; i++)
    if (wa->d[i + 2] != wb->d[i + 2] ||
        attr_or(a, "strides", i, 1) != attr_or(b, "strides", i, 1) ||
        attr_or(a, "dilations", i, 1) != attr_or(b, "dilations", i, 1) ||
        attr_or(a, "pads", i, 0) != attr_or(b, "pads", i, 0) ||
        attr_or(a, "pads", spatial + i, 0) != attr_or(b, "pads", spatial + i, 0))
      return FALSE;
  return TRUE;
}

/* The only reader of a convolution, where it is a function of its result alone. */
static InferNode *
find_tail(const Pass *self, const InferNode *conv)
{
  InferNode *node = infer_uses_single(self->uses, conv->outputs[0]);

  if (!node || !(node->op->flags & INFER_OP_POINTWISE) || node->n_outputs != 1 ||
      node->inputs[0] != conv->outputs[0])
    return NULL;
  for (guint i = 1; i < node->n_inputs; i++)
    if (node->inputs[i] &&
        (!node->inputs[i]->value || infer_array_count(node->inputs[i]->value) != 1))
      return NULL;
  return node;
}

static gboolean
same_tail(const InferNode *a, const InferNode *b)
{
  if (!a || !b)
    return a == b;
  if (a->op != b->op || a->n_inputs != b->n_inputs || !g_variant_equal(a->attrs, b->attrs))
    return FALSE;
  for (guint i = 1; i < a->n_inputs; i++) {
    const InferTensor *x = a->inputs[i], *y = b->inputs[i];
    if (!x != !y || (x && (x->type != y->type || x->value->size != y->value->size ||
                           memcmp(x->value->data, y->value->data, x->value->size) != 0)))
      return FALSE;
  }
  return TRUE;
}

/* --- whether it pays --- */

static double
count_bytes(const InferTensor *tensor)
{
  double bytes = sizeof(float);

  for (gint i = 0; i < tensor->dims.n; i++)
    bytes *= tensor->dims.d[i] > 0 ? (double)tensor->dims.d[i] : 1;
  return bytes;
}

/* Whether @node can read a part of a larger tensor; what copies anyway can too. */
static gboolean
reads_parts(const Pass *self, InferNode *node)
{
  g_autofree InferLayout *inputs = NULL;
  g_autofree InferLayout *outputs = NULL;
  InferStep *step = infer_step_new(&node, 1, 0);
  const InferImpl *impl;

  inputs = g_new0(InferLayout, step->n_inputs + 1);
  outputs = g_new0(InferLayout, step->n_outputs + 1);
  impl = infer_step_choose(self->device, step, inputs, outputs);
  infer_step_free(step);
  return impl->strided != NULL;
}

static InferTensor *
result_of(const Sibling *sibling)
{
  return sibling->tail ? sibling->tail->outputs[0] : sibling->conv->outputs[0];
}

static gboolean
is_free(const Pass *self, const InferTensor *tensor)
{
  const GPtrArray *readers = self->uses->nodes[tensor->index];

  if (tensor->is_output)
    return FALSE;
  for (guint i = 0; i < readers->len; i++)
    if (!reads_parts(self, readers->pdata[i]))
      return FALSE;
  return TRUE;
}

static gboolean
pays(const Pass *self, const Sibling *siblings, guint n)
{
  double saved = (n - 1) * STEP_NANOSECONDS, spent = 0;

  saved += (n - 1) * count_bytes(siblings[0].conv->inputs[0]) * NANOSECONDS_PER_BYTE / 2;
  for (guint i = 0; i < n; i++)
    if (!is_free(self, result_of(&siblings[i])))
      spent += count_bytes(result_of(&siblings[i])) * NANOSECONDS_PER_BYTE * 2;
  if (spent > 0)
    spent += STEP_NANOSECONDS;
  return saved > spent;
}

/* --- joining --- */

static InferTensor *
joined_weights(InferNetwork *network, const Sibling *siblings, guint n, gint64 channels)
{
  InferDims dims = siblings[0].conv->inputs[1]->dims;
  g_autoptr(InferArray) array = NULL;
  g_autofree char *name = g_strconcat(siblings[0].conv->name, ".joined", NULL);
  gsize at = 0;

  dims.d[0] = channels;
  array = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
  if (!array)
    return NULL;
  for (guint i = 0; i < n; i++) {
    const InferArray *part = siblings[i].conv->inputs[1]->value;
    memcpy((guint8 *)array->data + at, part->data, part->size);
    at += part->size;
  }
  return infer_network_add_constant(network, name, array);
}

static InferTensor *
joined_bias(InferNetwork *network, const Sibling *siblings, guint n, gint64 channels)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(channels), NULL);
  g_autofree char *name = g_strconcat(siblings[0].conv->name, ".joined.bias", NULL);
  float *at = array ? array->data : NULL;

  for (guint i = 0; at && i < n; i++) {
    const InferNode *conv = siblings[i].conv;
    gint64 count = infer_pass_conv_channels(conv);

    memset(at, 0, (gsize)count * sizeof(float));
    if (conv->n_inputs > 2 && conv->inputs[2])
      memcpy(at, conv->inputs[2]->value->data, (gsize)count * sizeof(float));
    at += count;
  }
  return array ? infer_network_add_constant(network, name, array) : NULL;
}

static InferNode *
add_split(InferNetwork *network, const char *name, InferTensor *whole, const gint64 *sizes, guint n,
          GError **error)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(sizes, n);
  g_autofree char *split_name = g_strconcat(name, ".split", NULL);
  InferTensor *inputs[2] = {whole, infer_network_add_constant(network, NULL, array)};

  return infer_network_add_node(network, "Split", split_name, inputs, 2,
                                infer_attrs_new("axis", 'i', (gint64)1, NULL), n, error);
}

static gboolean
join(Pass *self, const Sibling *siblings, guint n, GError **error)
{
  const InferNode *first = siblings[0].conv, *tail = siblings[0].tail;
  g_autofree char *name = g_strdup_printf("%s+%u", first->name, n - 1);
  g_autofree char *tail_name = tail ? g_strdup_printf("%s+%u", tail->name, n - 1) : NULL;
  gint64 sizes[MAX_SIBLINGS], channels = 0;
  InferTensor *inputs[3] = {first->inputs[0]};
  InferNode *node;

  for (guint i = 0; i < n; i++)
    channels += sizes[i] = infer_pass_conv_channels(siblings[i].conv);
  inputs[1] = joined_weights(self->network, siblings, n, channels);
  inputs[2] = joined_bias(self->network, siblings, n, channels);
  if (!inputs[1] || !inputs[2])
    return TRUE;
  node = infer_network_add_node(self->network, "Conv", name, inputs, 3, first->attrs, 1, error);
  if (node && tail) {
    g_autofree InferTensor **list = g_memdup2(tail->inputs, tail->n_inputs * sizeof *list);
    list[0] = node->outputs[0];
    node = infer_network_add_node(self->network, tail->op->name, tail_name, list, tail->n_inputs,
                                  tail->attrs, 1, error);
  }
  node = node ? add_split(self->network, name, node->outputs[0], sizes, n, error) : NULL;
  for (guint i = 0; node && i < n; i++)
    if (!infer_network_replace(self->network, result_of(&siblings[i]), node->outputs[i])) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "'%s' cannot be replaced",
                  siblings[i].conv->name);
      return FALSE;
    }
  return node != NULL;
}

static guint
find_siblings(const Pass *self, InferNode *first, GHashTable *done, Sibling *siblings)
{
  const GPtrArray *readers = self->uses->nodes[first->inputs[0]->index];
  guint n = 1;

  siblings[0] = (Sibling){first, find_tail(self, first)};
  for (guint i = 0; i < readers->len && n < MAX_SIBLINGS; i++) {
    InferNode *node = readers->pdata[i];
    InferNode *tail;

    if (node == first || g_hash_table_contains(done, node) || strcmp(node->op->name, "Conv") != 0 ||
        node->inputs[0] != first->inputs[0] || !can_join(node) || !same_window(first, node))
      continue;
    tail = find_tail(self, node);
    if (same_tail(siblings[0].tail, tail))
      siblings[n++] = (Sibling){node, tail};
  }
  return n;
}

gint
infer_pass_horizontal(InferNetwork *network, InferDevice *device, GError **error)
{
  g_autoptr(InferUses) uses = infer_uses_new(network);
  g_autoptr(GHashTable) done = g_hash_table_new(NULL, NULL);
  Pass self = {network, device, uses};
  guint nodes = infer_network_get_n_nodes(network);
  gint changes = 0;

  for (guint i = 0; i < nodes; i++) {
    InferNode *node = infer_network_get_node(network, i);
    Sibling siblings[MAX_SIBLINGS];
    guint n;

    if (strcmp(node->op->name, "Conv") != 0 || g_hash_table_contains(done, node) || !can_join(node))
      continue;
    /* Of what was joined a moment ago the readers are not known; there is another round. */
    if (node->inputs[0]->index >= uses->n)
      continue;
    n = find_siblings(&self, node, done, siblings);
    if (n < 2 || !pays(&self, siblings, n))
      continue;
    for (guint k = 0; k < n; k++)
      g_hash_table_add(done, siblings[k].conv);
    if (!join(&self, siblings, n, error))
      return -1;
    changes++;
  }
  return changes;
}
