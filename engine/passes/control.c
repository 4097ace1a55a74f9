/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"
#include "passes/passes.h"

#include <string.h>

/*
 * Sub-networks whose course is known become part of the network around them, where they can be
 * planned: an If with a constant condition, a short Loop or Scan of constant length. What remains
 * takes constants along and is given nothing that it does not read.
 */

/* The most iterations that are written out, and the most nodes that may come of it. */
#define MAX_TRIPS 64
#define MAX_NODES 1024

/* --- writing sub-networks out --- */

static InferTensor *
twin_of(InferNetwork *network, GHashTable *twins, InferTensor *tensor)
{
  InferTensor *twin = tensor ? g_hash_table_lookup(twins, tensor) : NULL;

  if (!tensor || twin)
    return twin;
  if (tensor->value) {
    twin = infer_network_add_constant(network, tensor->name, tensor->value);
    g_hash_table_insert(twins, tensor, twin);
  }
  return twin;
}

/* Adds the nodes of @graph, whose inputs are @inputs. @outputs has room for its outputs. */
static gboolean
graft(InferNetwork *network, InferNetwork *graph, InferTensor *const *inputs, InferTensor **outputs,
      GError **error)
{
  g_autoptr(GHashTable) twins = g_hash_table_new(NULL, NULL);

  for (guint i = 0; i < graph->inputs->len; i++)
    if (inputs[i])
      g_hash_table_insert(twins, graph->inputs->pdata[i], inputs[i]);
  for (guint i = 0; i < graph->nodes->len; i++) {
    const InferNode *node = graph->nodes->pdata[i];
    g_autofree InferTensor **in = g_new0(InferTensor *, node->n_inputs + 1);
    InferNode *copy;

    for (guint j = 0; j < node->n_inputs; j++)
      in[j] = twin_of(network, twins, node->inputs[j]);
    copy = infer_network_add_node_full(network, node->op->name, node->name, in, node->n_inputs,
                                       node->attrs, node->graphs, node->n_graphs, node->n_outputs,
                                       error);
    if (!copy)
      return FALSE;
    for (guint j = 0; j < node->n_outputs; j++)
      g_hash_table_insert(twins, node->outputs[j], copy->outputs[j]);
  }
  for (guint i = 0; i < graph->outputs->len; i++)
    outputs[i] = twin_of(network, twins, graph->outputs->pdata[i]);
  return TRUE;
}

/* What is an output of the network has to be written by a node, and once only. */
static gboolean
take_place(InferNetwork *network, InferTensor *from, InferTensor *to, GError **error)
{
  InferNode *copy;

  if (infer_network_replace(network, from, to))
    return TRUE;
  copy = infer_network_add_node(network, "Identity", NULL, &to, 1, NULL, 1, error);
  return copy && infer_network_replace(network, from, copy->outputs[0]);
}

static gboolean
take_places(InferNetwork *network, const InferNode *node, InferTensor *const *outputs,
            GError **error)
{
  for (guint i = 0; i < node->n_outputs; i++)
    if (!take_place(network, node->outputs[i], outputs[i], error))
      return FALSE;
  return TRUE;
}

/* Returns: 1 when @node was an If of a known branch, 0 when not, -1 with @error. */
static gint
inline_if(InferNetwork *network, InferNode *node, GError **error)
{
  const InferArray *condition = node->inputs[0]->value;
  g_autofree InferTensor **outputs = g_new0(InferTensor *, node->n_outputs + 1);
  InferNetwork *branch;

  if (!condition || infer_array_count(condition) != 1)
    return 0;
  branch = node->graphs[infer_array_get_int(condition, 0) ? 0 : 1];
  return graft(network, branch, node->inputs + 1, outputs, error) &&
                 take_places(network, node, outputs, error)
             ? 1
             : -1;
}

/* --- iterations --- */

typedef struct {
  InferNetwork *network;
  InferNode *node;
  InferNetwork *body;
  gint64 trips;
  guint n_states;
  guint n_scans;
  guint first_in;  /* input of the body and of the node that is the first state */
  guint first_out; /* output of the body that is the first state */
  InferTensor **in;
  InferTensor **out;
  InferTensor **collected; /* of scan i and iteration t at i * trips + t */
} Unroll;

static InferTensor *
constant_number(InferNetwork *network, InferType type, gint64 value)
{
  g_autoptr(InferArray) array = infer_array_new(type, &INFER_DIMS_SCALAR, NULL);

  infer_array_set_double(array, 0, (double)value);
  return infer_network_add_constant(network, NULL, array);
}

static InferTensor *
add1(InferNetwork *network, const char *op, InferTensor *const *inputs, guint n, GVariant *attrs,
     GError **error)
{
  InferNode *node = infer_network_add_node(network, op, NULL, inputs, n, attrs, 1, error);

  return node ? node->outputs[0] : NULL;
}

static InferTensor *
stack(Unroll *self, guint scan, gint64 axis, gboolean backwards, GError **error)
{
  g_autofree InferTensor **rows = g_new0(InferTensor *, (gsize)self->trips + 1);
  g_autoptr(InferArray) list = infer_array_new_int64s(&axis, 1);
  InferTensor *axes = infer_network_add_constant(self->network, NULL, list);

  for (gint64 t = 0; t < self->trips; t++) {
    InferTensor *in[] = {self->collected[scan * self->trips + t], axes};
    gint64 place = backwards ? self->trips - 1 - t : t;
    rows[place] = add1(self->network, "Unsqueeze", in, 2, NULL, error);
    if (!rows[place])
      return NULL;
  }
  return add1(self->network, "Concat", rows, (guint)self->trips,
              infer_attrs_new("axis", 'i', axis, NULL), error);
}

static gboolean
run_trip(Unroll *self, gint64 trip, GError **error)
{
  if (!graft(self->network, self->body, self->in, self->out, error))
    return FALSE;
  for (guint i = 0; i < self->n_states; i++)
    self->in[self->first_in + i] = self->out[self->first_out + i];
  for (guint i = 0; i < self->n_scans; i++)
    self->collected[i * self->trips + trip] = self->out[self->first_out + self->n_states + i];
  return TRUE;
}

static void
unroll_open(Unroll *self)
{
  self->in = g_new0(InferTensor *, self->node->n_inputs + 1);
  self->out = g_new0(InferTensor *, self->body->outputs->len + 1);
  self->collected = g_new0(InferTensor *, (gsize)self->n_scans * (gsize)self->trips + 1);
  memcpy(self->in, self->node->inputs, self->node->n_inputs * sizeof *self->in);
}

static void
unroll_clear(Unroll *self)
{
  g_free(self->in);
  g_free(self->out);
  g_free(self->collected);
}

static gboolean
is_short(const Unroll *self)
{
  return self->trips > 0 && self->trips <= MAX_TRIPS &&
         self->trips * (gint64)MAX(self->body->nodes->len, 1) <= MAX_NODES;
}

/* The states as the last iteration left them, and what was collected. */
static gboolean
unroll_finish(Unroll *self, const gint64 *axes, const gint64 *back, GError **error)
{
  g_autofree InferTensor **outputs = g_new0(InferTensor *, self->node->n_outputs + 1);

  for (guint i = 0; i < self->n_states; i++)
    outputs[i] = self->in[self->first_in + i];
  for (guint i = 0; i < self->n_scans; i++) {
    outputs[self->n_states + i] = stack(self, i, axes ? axes[i] : 0, back && back[i] != 0, error);
    if (!outputs[self->n_states + i])
      return FALSE;
  }
  return take_places(self->network, self->node, outputs, error);
}

static gint
unroll_loop(InferNetwork *network, InferNode *node, GError **error)
{
  guint captures = (guint)infer_node_get_int(node, "captures", 0);
  Unroll self = {.network = network,
                 .node = node,
                 .body = node->graphs[0],
                 .trips = infer_graph_loop_trips(node),
                 .n_states = node->n_inputs - 2 - captures,
                 .first_in = 2,
                 .first_out = 1};
  gboolean ok = TRUE;

  if (!is_short(&self))
    return 0;
  self.n_scans = node->n_outputs - self.n_states;
  unroll_open(&self);
  self.in[1] = constant_number(network, INFER_TYPE_BOOL, 1);
  for (gint64 t = 0; ok && t < self.trips; t++) {
    self.in[0] = constant_number(network, INFER_TYPE_INT64, t);
    ok = run_trip(&self, t, error);
  }
  ok = ok && unroll_finish(&self, NULL, NULL, error);
  unroll_clear(&self);
  return ok ? 1 : -1;
}

static gint64
list_element(const gint64 *list, gsize n, guint index)
{
  return list && index < n ? list[index] : 0;
}

/* Element @at of what is gone through becomes an input of the body. */
static gboolean
take_slices(Unroll *self, guint n_scanned, gint64 at, GError **error)
{
  gsize n_axes, n_back;
  const gint64 *axes = infer_node_get_ints(self->node, "scan_input_axes", &n_axes);
  const gint64 *back = infer_node_get_ints(self->node, "scan_input_directions", &n_back);

  for (guint i = 0; i < n_scanned; i++) {
    gint64 axis = list_element(axes, n_axes, i);
    gint64 place = list_element(back, n_back, i) ? self->trips - 1 - at : at;
    InferTensor *in[] = {self->node->inputs[self->n_states + i],
                         constant_number(self->network, INFER_TYPE_INT64, place)};
    self->in[self->n_states + i] =
        add1(self->network, "Gather", in, 2, infer_attrs_new("axis", 'i', axis, NULL), error);
    if (!self->in[self->n_states + i])
      return FALSE;
  }
  return TRUE;
}

static gint64
scan_length(const InferNode *node, guint n_states)
{
  gsize n_axes;
  const gint64 *axes = infer_node_get_ints(node, "scan_input_axes", &n_axes);
  const InferDims *dims = &node->inputs[n_states]->dims;
  gint64 axis = list_element(axes, n_axes, 0);

  axis += axis < 0 ? dims->n : 0;
  return axis >= 0 && axis < dims->n ? dims->d[axis] : -1;
}

static gint
unroll_scan(InferNetwork *network, InferNode *node, GError **error)
{
  guint captures = (guint)infer_node_get_int(node, "captures", 0);
  guint n_scanned = (guint)infer_node_get_int(node, "num_scan_inputs", 0);
  guint n_states = node->n_inputs - captures - n_scanned;
  gsize n;
  const gint64 *axes = infer_node_get_ints(node, "scan_output_axes", &n);
  const gint64 *back = infer_node_get_ints(node, "scan_output_directions", &n);
  Unroll self = {.network = network,
                 .node = node,
                 .body = node->graphs[0],
                 .trips = scan_length(node, n_states),
                 .n_states = n_states,
                 .n_scans = node->n_outputs - n_states};
  gboolean ok = TRUE;

  if (!is_short(&self))
    return 0;
  unroll_open(&self);
  for (gint64 t = 0; ok && t < self.trips; t++)
    ok = take_slices(&self, n_scanned, t, error) && run_trip(&self, t, error);
  ok = ok && unroll_finish(&self, axes, back, error);
  unroll_clear(&self);
  return ok ? 1 : -1;
}

/* --- captures --- */

static gboolean
is_read(InferNetwork *graph, const InferTensor *tensor)
{
  for (guint i = 0; i < graph->nodes->len; i++) {
    const InferNode *node = graph->nodes->pdata[i];
    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j] == tensor)
        return TRUE;
  }
  return tensor->is_output;
}

static guint
count_captures(const InferNode *node)
{
  return g_str_equal(node->op->name, "If") ? node->n_inputs - 1
                                           : (guint)infer_node_get_int(node, "captures", 0);
}

/* A constant goes into the sub-networks; what none of them reads goes. */
static gboolean
can_drop(const InferNode *node, guint from_end, const InferTensor *outer)
{
  if (outer && outer->value)
    return TRUE;
  for (guint g = 0; g < node->n_graphs; g++) {
    GPtrArray *inputs = node->graphs[g]->inputs;
    if (is_read(node->graphs[g], inputs->pdata[inputs->len - from_end]))
      return FALSE;
  }
  return TRUE;
}

static void
drop_capture(InferNode *node, guint from_end)
{
  guint place = node->n_inputs - from_end;
  InferTensor *outer = node->inputs[place];

  for (guint g = 0; g < node->n_graphs; g++) {
    GPtrArray *inputs = node->graphs[g]->inputs;
    InferTensor *inner = inputs->pdata[inputs->len - from_end];
    inner->is_input = FALSE;
    if (outer && outer->value)
      infer_network_set_value(node->graphs[g], inner, outer->value);
    g_ptr_array_remove_index(inputs, inputs->len - from_end);
  }
  for (guint i = place; i + 1 < node->n_inputs; i++)
    node->inputs[i] = node->inputs[i + 1];
  node->n_inputs--;
}

static gint
trim_captures(InferNode *node, GError **error)
{
  guint captures = count_captures(node), left = captures;

  for (guint from_end = captures; from_end > 0; from_end--)
    if (can_drop(node, from_end, node->inputs[node->n_inputs - from_end])) {
      drop_capture(node, from_end);
      left--;
    }
  if (left == captures)
    return 0;
  if (infer_node_has_attr(node, "captures")) {
    GVariantDict dict;
    g_variant_dict_init(&dict, node->attrs);
    g_variant_dict_insert(&dict, "captures", "x", (gint64)left);
    infer_node_set_attrs(node, g_variant_dict_end(&dict));
  }
  for (guint g = 0; g < node->n_graphs; g++)
    if (infer_network_compact(node->graphs[g], error) < 0)
      return -1;
  return 1;
}

gint
infer_pass_control(InferNetwork *network, GError **error)
{
  static const struct {
    const char *op;
    gint (*write_out)(InferNetwork *network, InferNode *node, GError **error);
  } rules[] = {{"If", inline_if}, {"Loop", unroll_loop}, {"Scan", unroll_scan}};
  gint changes = 0;
  guint n_nodes = infer_network_get_n_nodes(network);

  for (guint i = 0; i < n_nodes; i++) {
    InferNode *node = infer_network_get_node(network, i);
    gint done = 0;

    if (node->n_graphs == 0)
      continue;
    for (guint k = 0; done == 0 && k < G_N_ELEMENTS(rules); k++)
      if (g_str_equal(node->op->name, rules[k].op))
        done = rules[k].write_out(network, node, error);
    if (done == 0)
      done = trim_captures(node, error);
    if (done < 0)
      return -1;
    changes += done;
  }
  return changes;
}
