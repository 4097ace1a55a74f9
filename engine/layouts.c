/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layouts.h"

#include <string.h>

/*
 * Which steps work channels-last and which row-major is a minimum cut: steps that insist on one of
 * the two are on its sides, and what is cut is converted. A tensor has beside its maker two more
 * vertices, a copy of each layout: all readers that want the other one share a conversion.
 *
 *   maker --bytes--> row-major copy --> readers        (--> without a name: never cut)
 *   readers --> channels-last copy --bytes--> maker
 *
 * The flow is found along shortest paths (Edmonds and Karp 1972).
 */

#define LAST 0u /* the source: channels-last */
#define ROWS 1u /* the sink: row-major */
#define UNKNOWN G_MAXUINT
/* What starting a conversion costs, in bytes. */
#define START (64 << 10)
#define NEVER (G_MAXINT64 / 4)

typedef struct {
  guint to;
  gint64 room;
  gint next; /* of the same vertex; -1 for none */
} Edge;

typedef struct {
  guint tensor, vertex;
} Reader;

typedef struct {
  InferNetwork *network;
  InferDevice *device;
  GArray *edges;  /* Edge; the reverse of i is i ^ 1 */
  GArray *firsts; /* gint by vertex */
  GArray *readers;
  guint *makers; /* vertex by tensor */
} Layouts;

/* --- the graph --- */

static guint
add_vertex(Layouts *self)
{
  gint none = -1;

  g_array_append_val(self->firsts, none);
  return self->firsts->len - 1;
}

static void
add_edge(Layouts *self, guint from, guint to, gint64 room)
{
  Edge edge = {to, room, g_array_index(self->firsts, gint, from)};
  Edge back = {from, 0, g_array_index(self->firsts, gint, to)};

  g_array_index(self->firsts, gint, from) = (gint)self->edges->len;
  g_array_append_val(self->edges, edge);
  g_array_index(self->firsts, gint, to) = (gint)self->edges->len;
  g_array_append_val(self->edges, back);
}

static void
add_reader(Layouts *self, const InferTensor *tensor, guint vertex)
{
  Reader reader = {tensor->index, vertex};

  if (!tensor->value && vertex != UNKNOWN)
    g_array_append_val(self->readers, reader);
}

/* What it costs to convert a tensor, at the sizes that are tuned for; 0 where there is nothing to
 * convert. */
static gint64
cost_of(const Layouts *self, const InferTensor *tensor)
{
  InferOrder plain = infer_order_row_major(tensor->dims.n);
  InferOrder last = infer_order_channels_last(tensor->dims.n);
  double bytes = infer_type_bits(tensor->type) / 8.0;

  if (infer_order_same_memory(&plain, &last, &tensor->dims))
    return 0;
  for (gint i = 0; i < tensor->dims.n; i++) {
    gint64 d = tensor->dims.d[i];
    const InferSymbol *symbol =
        INFER_DIM_IS_SYMBOL(d) ? infer_network_get_symbol(self->network, INFER_DIM_SYMBOL_INDEX(d))
                               : NULL;

    bytes *= (double)(symbol ? symbol->opt : MAX(d, 1));
  }
  return START + (gint64)MIN(2 * bytes, 1e15);
}

static void
add_tensor(Layouts *self, guint index, const GArray *readers)
{
  guint maker = self->makers[index], rows, last;
  gint64 cost = cost_of(self, infer_network_get_tensor(self->network, index));

  if (maker == UNKNOWN || readers->len == 0 || cost == 0)
    return;
  rows = add_vertex(self);
  last = add_vertex(self);
  add_edge(self, maker, rows, cost);
  add_edge(self, last, maker, cost);
  for (guint i = 0; i < readers->len; i++) {
    guint reader = g_array_index(readers, guint, i);

    add_edge(self, rows, reader, NEVER);
    add_edge(self, reader, last, NEVER);
  }
}

static gint
compare_readers(gconstpointer a, gconstpointer b)
{
  guint x = ((const Reader *)a)->tensor, y = ((const Reader *)b)->tensor;

  return x < y ? -1 : x > y;
}

static void
add_tensors(Layouts *self)
{
  g_autoptr(GArray) group = g_array_new(FALSE, FALSE, sizeof(guint));

  g_array_sort(self->readers, compare_readers);
  for (guint i = 0; i < self->readers->len;) {
    guint tensor = g_array_index(self->readers, Reader, i).tensor;

    g_array_set_size(group, 0);
    for (; i < self->readers->len && g_array_index(self->readers, Reader, i).tensor == tensor; i++)
      g_array_append_val(group, g_array_index(self->readers, Reader, i).vertex);
    add_tensor(self, tensor, group);
  }
}

/* --- steps --- */

static guint
vertex_of(const InferOrder *order, const InferDims *dims)
{
  InferOrder plain = infer_order_row_major(order->n), last = infer_order_channels_last(order->n);

  if (infer_order_same_memory(order, &plain, dims))
    return ROWS;
  return infer_order_same_memory(order, &last, dims) ? LAST : UNKNOWN;
}

/* Views are row-major; a transpose takes what comes. */
static gboolean
add_view(Layouts *self, const InferStep *step)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *in = node->n_inputs ? node->inputs[0] : NULL, *out = node->outputs[0];
  gint64 perm[INFER_MAX_DIMS];
  InferOrder order;

  if (step->n_nodes != 1 || !in || in->value || node->n_outputs != 1)
    return FALSE;
  if (infer_step_is_transpose(step, perm)) {
    order = self->makers[in->index] == LAST ? infer_order_channels_last(in->dims.n)
                                            : infer_order_row_major(in->dims.n);
    order = infer_order_transposed(&order, perm);
    self->makers[out->index] =
        self->makers[in->index] <= ROWS ? vertex_of(&order, &out->dims) : UNKNOWN;
    return TRUE;
  }
  if (!(node->op->flags & INFER_OP_VIEW))
    return FALSE;
  add_reader(self, in, ROWS);
  self->makers[out->index] = ROWS;
  return TRUE;
}

/* The vertex of what a step does in any order: one of its own where it can choose. */
static guint
vertex_of_any(Layouts *self, const InferStep *step, const InferLayout *inputs)
{
  gint rank = step->outputs[0]->dims.n;
  gboolean any = FALSE;

  for (guint i = 0; i < step->n_inputs; i++) {
    const InferTensor *tensor = step->inputs[i];

    if (inputs[i] != INFER_LAYOUT_ANY)
      continue;
    if (infer_settles_row_major(tensor))
      return ROWS;
    if (tensor->value || tensor->dims.n != rank)
      continue;
    /* Something else, which a transpose left, is taken as it is. */
    if (self->makers[tensor->index] == UNKNOWN)
      return UNKNOWN;
    any = TRUE;
  }
  return any && rank >= 3 ? add_vertex(self) : ROWS;
}

static guint
add_step(Layouts *self, const InferStep *step)
{
  g_autofree InferLayout *inputs = g_new0(InferLayout, step->n_inputs + 1);
  g_autofree InferLayout *outputs = g_new0(InferLayout, step->n_outputs + 1);
  const guint fixed[] = {ROWS, LAST};
  gint rank = step->outputs[0]->dims.n;
  guint any;

  infer_step_choose(self->device, step, inputs, outputs);
  any = vertex_of_any(self, step, inputs);
  for (guint i = 0; i < step->n_inputs; i++)
    add_reader(self, step->inputs[i],
               inputs[i] != INFER_LAYOUT_ANY     ? fixed[inputs[i]]
               : step->inputs[i]->dims.n == rank ? any
                                                 : ROWS);
  for (guint i = 0; i < step->n_outputs; i++)
    self->makers[step->outputs[i]->index] = outputs[i] != INFER_LAYOUT_ANY     ? fixed[outputs[i]]
                                            : step->outputs[i]->dims.n == rank ? any
                                                                               : ROWS;
  return any;
}

/* --- the cut --- */

static void
push(Layouts *self, const gint *via)
{
  gint64 flow = NEVER;

  for (guint at = ROWS; at != LAST; at = g_array_index(self->edges, Edge, via[at] ^ 1).to)
    flow = MIN(flow, g_array_index(self->edges, Edge, via[at]).room);
  for (guint at = ROWS; at != LAST; at = g_array_index(self->edges, Edge, via[at] ^ 1).to) {
    g_array_index(self->edges, Edge, via[at]).room -= flow;
    g_array_index(self->edges, Edge, via[at] ^ 1).room += flow;
  }
}

/* Breadth first from @start along edges with room, or with @back against them. @via: the edge by
 * which a vertex was reached, -1 where it was not. */
static void
walk(const Layouts *self, guint start, gboolean back, gint *via, guint *queue)
{
  guint n = 0;

  for (guint i = 0; i < self->firsts->len; i++)
    via[i] = -1;
  queue[n++] = start;
  for (guint i = 0; i < n; i++)
    for (gint e = g_array_index(self->firsts, gint, queue[i]); e >= 0;
         e = g_array_index(self->edges, Edge, e).next) {
      const Edge *edge = &g_array_index(self->edges, Edge, e);
      gint64 room = back ? g_array_index(self->edges, Edge, e ^ 1).room : edge->room;

      if (room > 0 && via[edge->to] < 0 && edge->to != start) {
        via[edge->to] = e;
        queue[n++] = edge->to;
      }
    }
}

InferLayout *
infer_choose_layouts(InferNetwork *network, InferDevice *device, const GPtrArray *steps)
{
  guint n_tensors = infer_network_get_n_tensors(network);
  g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
  g_autoptr(GArray) firsts = g_array_new(FALSE, FALSE, sizeof(gint));
  g_autoptr(GArray) readers = g_array_new(FALSE, FALSE, sizeof(Reader));
  g_autofree guint *makers = g_new(guint, n_tensors + 1);
  g_autofree guint *chosen = g_new(guint, steps->len + 1);
  g_autofree gint *via = NULL;
  g_autofree guint *queue = NULL;
  InferLayout *layouts = g_new(InferLayout, steps->len + 1);
  Layouts self = {network, device, edges, firsts, readers, makers};

  add_vertex(&self);
  add_vertex(&self);
  for (guint i = 0; i < n_tensors; i++)
    makers[i] = ROWS;
  for (guint i = 0; i < steps->len; i++)
    chosen[i] = add_view(&self, steps->pdata[i]) ? UNKNOWN : add_step(&self, steps->pdata[i]);
  for (guint i = 0; i < infer_network_get_n_outputs(network); i++)
    add_reader(&self, infer_network_get_output(network, i), ROWS);
  add_tensors(&self);
  via = g_new(gint, firsts->len);
  queue = g_new(guint, firsts->len);
  for (walk(&self, LAST, FALSE, via, queue); via[ROWS] >= 0; walk(&self, LAST, FALSE, via, queue))
    push(&self, via);
  /* Of the cheapest cuts the one with most channels-last, which is what devices like. */
  walk(&self, ROWS, TRUE, via, queue);
  for (guint i = 0; i < steps->len; i++)
    layouts[i] = chosen[i] == UNKNOWN || chosen[i] <= ROWS ? INFER_LAYOUT_ANY
                 : via[chosen[i]] >= 0                     ? INFER_LAYOUT_ROW_MAJOR
                                                           : INFER_LAYOUT_CHANNELS_LAST;
  return layouts;
}
