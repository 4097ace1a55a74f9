/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "placement.h"
#include "planner.h"

#include <string.h>

/*
 * Tensors that share memory form trees. A link says how a tensor follows from its host: the same
 * elements under another shape or order, or a part of them. Split, Slice and views hang their
 * outputs under their input. Concat hangs its inputs under its output, for which the tree of such
 * an input is turned around, so that whatever was its root follows from the input.
 */
typedef enum {
  LINK_NONE, /* memory of its own */
  LINK_RESHAPE,
  LINK_TRANSPOSE,
  LINK_PART,
} LinkKind;

typedef struct {
  LinkKind kind;
  guint host;
  gint64 perm[INFER_MAX_DIMS];  /* TRANSPOSE: axis of the host for each of ours */
  gint64 start[INFER_MAX_DIMS]; /* PART: in elements along each axis */
} Link;

typedef struct {
  InferPrepared *prepared;
  InferDevice *device;
  InferNetwork *network;
  Link *links;
  gint64 *shifts;   /* in elements from the root's first */
  GArray **touched; /* per tensor: steps that read or write it */
  GHashTable *dirty;
  /* What a trial that fails goes back to. */
  Link *saved_links;
  gint64 *saved_shifts;
  InferBuffer *saved_buffers;
} Placement;

/* Dimensions @first to @last of @from have as many elements as @begin to @end of @to; they have to
 * lie at equal distances. */
static gboolean
reshape_run(const InferDims *from, const gint64 *from_strides, gint first, gint last,
            const InferDims *to, gint begin, gint end, gint64 *to_strides)
{
  gint64 inner = 0, next = 0;

  for (gint axis = last; axis >= first; axis--) {
    if (from->d[axis] == 1)
      continue;
    if (inner && from_strides[axis] != next)
      return FALSE;
    inner = inner ? inner : from_strides[axis];
    if (__builtin_mul_overflow(from_strides[axis], from->d[axis], &next))
      return FALSE;
  }
  for (gint axis = end; inner && axis >= begin; axis--) {
    to_strides[axis] = inner;
    if (__builtin_mul_overflow(inner, to->d[axis], &inner))
      return FALSE;
  }
  return TRUE;
}

gboolean
infer_place_reshape(const InferDims *from, const gint64 *from_strides, const InferDims *to,
                    gint64 *to_strides)
{
  gint i = 0, k = 0;

  if (infer_dims_count(from) != infer_dims_count(to))
    return FALSE;
  for (gint axis = 0; axis < to->n; axis++)
    to_strides[axis] = 1;
  if (infer_dims_count(from) == 0)
    return TRUE;
  /* Runs of dimensions with the same number of elements correspond. */
  for (; i < from->n || k < to->n; i++, k++) {
    gint64 a = i < from->n ? from->d[i] : 1, b = k < to->n ? to->d[k] : 1;
    gint first = i, begin = k;

    while (a != b) {
      if (a < b && ++i < from->n)
        a *= from->d[i];
      else if (b < a && ++k < to->n)
        b *= to->d[k];
      else
        return FALSE;
    }
    if (!reshape_run(from, from_strides, first, MIN(i, from->n - 1), to, begin, MIN(k, to->n - 1),
                     to_strides))
      return FALSE;
  }
  return TRUE;
}

static InferBuffer *
buffer_of(const Placement *self, guint tensor)
{
  return &self->prepared->buffers[tensor];
}

static const InferTensor *
tensor_of(const Placement *self, guint index)
{
  return infer_network_get_tensor(self->network, index);
}

/* --- following links --- */

static gboolean
follow_part(const InferBuffer *host, const Link *link, InferBuffer *buffer, gint64 *shift)
{
  if (host->dims.n != buffer->dims.n || host->type != buffer->type)
    return FALSE;
  for (gint i = 0; i < host->dims.n; i++) {
    if (link->start[i] < 0 || buffer->dims.d[i] > host->dims.d[i] ||
        link->start[i] > host->dims.d[i] - buffer->dims.d[i])
      return FALSE;
    buffer->strides[i] = host->strides[i];
    *shift += link->start[i] * host->strides[i];
  }
  return TRUE;
}

static gboolean
follow(Placement *self, guint tensor)
{
  const Link *link = &self->links[tensor];
  const InferBuffer *host = buffer_of(self, link->host);
  InferBuffer *buffer = buffer_of(self, tensor);

  self->shifts[tensor] = self->shifts[link->host];
  if (link->kind == LINK_PART)
    return follow_part(host, link, buffer, &self->shifts[tensor]);
  if (link->kind == LINK_RESHAPE)
    return infer_place_reshape(&host->dims, host->strides, &buffer->dims, buffer->strides);
  for (gint i = 0; i < buffer->dims.n; i++)
    buffer->strides[i] = host->strides[link->perm[i]];
  return TRUE;
}

/* --- what steps accept --- */

/* Dimensions of one element take no part in where elements lie. */
static gboolean
is_dense(const Placement *self, guint tensor)
{
  const InferBuffer *buffer = buffer_of(self, tensor);
  gint64 strides[INFER_MAX_DIMS];

  infer_order_strides(&self->prepared->program->orders[tensor], &buffer->dims, strides);
  for (gint i = 0; i < buffer->dims.n; i++)
    if (buffer->dims.d[i] != 1 && buffer->strides[i] != strides[i])
      return FALSE;
  return TRUE;
}

/* Strides that grow as the tensor's order says, with gaps at most: what layouts promise. */
static gboolean
keeps_order(const Placement *self, guint tensor)
{
  const InferBuffer *buffer = buffer_of(self, tensor);
  const InferOrder *order = &self->prepared->program->orders[tensor];
  gint64 least = 1;

  for (gint i = order->n - 1; i >= 0; i--) {
    gint axis = order->axis[i];
    if (buffer->dims.d[axis] == 1)
      continue;
    if (buffer->strides[axis] < least ||
        __builtin_mul_overflow(buffer->strides[axis], buffer->dims.d[axis], &least))
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_aligned(const Placement *self, guint tensor)
{
  gsize bytes = infer_type_size(buffer_of(self, tensor)->type, self->shifts[tensor]);

  return self->device->backend->host_memory || bytes % 64 == 0;
}

/* Roots are aligned; a part is as far as its distance from its root. */
static gsize
alignment_of(const Placement *self, guint tensor)
{
  gsize bytes = infer_type_size(buffer_of(self, tensor)->type, self->shifts[tensor]);

  return bytes == 0 ? INFER_MEMORY_ALIGNMENT : MIN(bytes & -bytes, INFER_MEMORY_ALIGNMENT);
}

static gboolean
accepts_operand(const Placement *self, const InferImpl *impl, const InferPrepare *prepare,
                gboolean output, guint index)
{
  const InferStep *step = prepare->step;
  guint tensor = (output ? step->outputs[index] : step->inputs[index])->index;

  if (self->links[tensor].kind == LINK_NONE || buffer_of(self, tensor)->value)
    return TRUE;
  if (is_dense(self, tensor) && is_aligned(self, tensor))
    return TRUE;
  return impl->strided && impl->strided(prepare, output, index);
}

/* Whether a step takes all its operands where they lie now. */
static gboolean
accepts(const Placement *self, guint index)
{
  const InferStep *step = self->prepared->program->steps->pdata[index];
  const InferImpl *impl = self->prepared->impls[index];
  g_autofree InferBuffer *inputs = NULL;
  g_autofree InferBuffer *outputs = NULL;
  InferPrepare prepare = {.device = self->device, .step = step};

  if (infer_step_is_view(step) || self->prepared->skipped[index])
    return TRUE;
  infer_prepared_operands(self->prepared, index, &inputs, &outputs);
  for (guint i = 0; i < step->n_inputs; i++)
    inputs[i].alignment = alignment_of(self, step->inputs[i]->index);
  for (guint i = 0; i < step->n_outputs; i++)
    outputs[i].alignment = alignment_of(self, step->outputs[i]->index);
  prepare.inputs = inputs;
  prepare.outputs = outputs;
  for (guint i = 0; i < step->n_inputs; i++)
    if (!accepts_operand(self, impl, &prepare, FALSE, i))
      return FALSE;
  for (guint i = 0; i < step->n_outputs; i++)
    if (!accepts_operand(self, impl, &prepare, TRUE, i))
      return FALSE;
  return TRUE;
}

/* Follows the links to everything below @tensor; notes the steps that have to be asked. */
static gboolean
update_below(Placement *self, guint tensor)
{
  g_autoptr(GArray) queue = g_array_new(FALSE, FALSE, sizeof(guint));

  g_array_append_val(queue, tensor);
  for (guint at = 0; at < queue->len; at++) {
    guint host = g_array_index(queue, guint, at);

    /* What leaves has memory of its own. */
    if (tensor_of(self, host)->is_output || !follow(self, host) || !keeps_order(self, host))
      return FALSE;
    for (guint i = 0; i < self->touched[host]->len; i++)
      g_hash_table_add(self->dirty, GUINT_TO_POINTER(g_array_index(self->touched[host], guint, i)));
    for (guint i = 0; i < self->prepared->n_tensors; i++)
      if (self->links[i].kind != LINK_NONE && self->links[i].host == host)
        g_array_append_val(queue, i);
  }
  return TRUE;
}

static gboolean
dirty_accept(Placement *self)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init(&iter, self->dirty);
  while (g_hash_table_iter_next(&iter, &key, NULL))
    if (!accepts(self, GPOINTER_TO_UINT(key)))
      return FALSE;
  return TRUE;
}

/* --- parts --- */

static gboolean
may_be_part(const Placement *self, guint tensor)
{
  const InferTensor *t = tensor_of(self, tensor);

  return !t->is_input && !t->is_output && !t->value && !self->prepared->known[tensor] &&
         infer_type_bits(t->type) >= 8;
}

/* The link back along @link, which leads from @tensor to its host. */
static Link
reversed(const Link *link, guint tensor, gint rank)
{
  Link result = {.kind = link->kind, .host = tensor};

  for (gint i = 0; link->kind == LINK_TRANSPOSE && i < rank; i++)
    result.perm[link->perm[i]] = i;
  return result;
}

/* Makes @tensor the root of its tree. */
static gboolean
turn_around(Placement *self, guint tensor)
{
  Link next = self->links[tensor];
  guint at = tensor;

  if (!may_be_part(self, tensor))
    return FALSE;
  self->links[tensor].kind = LINK_NONE;
  while (next.kind != LINK_NONE) {
    guint host = next.host;
    Link after = self->links[host];

    if (next.kind == LINK_PART || !may_be_part(self, host))
      return FALSE;
    self->links[host] = reversed(&next, at, buffer_of(self, host)->dims.n);
    next = after;
    at = host;
  }
  return tensor_of(self, at)->producer != NULL;
}

static guint
root_of(const Placement *self, guint tensor)
{
  while (self->links[tensor].kind != LINK_NONE)
    tensor = self->links[tensor].host;
  return tensor;
}

/* Puts @tensor into @host where that is possible at all. */
static gboolean
hang(Placement *self, guint tensor, guint host, const gint64 *start, gboolean turn)
{
  Link *link = &self->links[tensor];

  if (root_of(self, tensor) == root_of(self, host) || !may_be_part(self, tensor) ||
      !infer_order_equal(&self->prepared->program->orders[tensor],
                         &self->prepared->program->orders[host]))
    return FALSE;
  if (turn ? !turn_around(self, tensor) : link->kind != LINK_NONE)
    return FALSE;
  *link = (Link){.kind = LINK_PART, .host = host};
  memcpy(link->start, start, sizeof link->start);
  return update_below(self, tensor);
}

typedef struct {
  guint tensor, host;
  gboolean turn;
  gint64 start[INFER_MAX_DIMS];
} Part;

static gboolean
joint_parts(const Placement *self, const InferNode *node, gboolean concat, GArray *parts)
{
  const InferTensor *whole = concat ? node->outputs[0] : node->inputs[0];
  guint n = concat ? node->n_inputs : node->n_outputs;
  gint rank = buffer_of(self, whole->index)->dims.n;
  gint64 axis = infer_node_get_int(node, "axis", 0), at = 0;

  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank)
    return FALSE;
  for (guint i = 0; i < n; i++) {
    const InferTensor *tensor = concat ? node->inputs[i] : node->outputs[i];
    Part part = {.host = whole->index, .turn = concat};

    if (!tensor)
      return FALSE;
    part.tensor = tensor->index;
    part.start[axis] = at;
    at += buffer_of(self, tensor->index)->dims.d[axis];
    g_array_append_val(parts, part);
  }
  return TRUE;
}

static const InferArray *
constant(const InferNode *node, guint index, gboolean *ok)
{
  const InferTensor *tensor = index < node->n_inputs ? node->inputs[index] : NULL;

  *ok = *ok && (!tensor || tensor->value);
  return tensor ? tensor->value : NULL;
}

static gboolean
slice_part(const Placement *self, const InferNode *node, GArray *parts)
{
  gboolean ok = TRUE;
  const InferArray *starts = constant(node, 1, &ok), *axes = constant(node, 3, &ok);
  const InferArray *steps = constant(node, 4, &ok);
  const InferBuffer *in = buffer_of(self, node->inputs[0]->index);
  Part part = {.tensor = node->outputs[0]->index, .host = node->inputs[0]->index};
  gint64 n = starts ? infer_array_count(starts) : -1;

  if (!ok || n < 0 || (axes && infer_array_count(axes) != n) ||
      (steps && infer_array_count(steps) != n))
    return FALSE;
  for (gint64 i = 0; i < n; i++) {
    gint64 axis = axes ? infer_array_get_int(axes, (gsize)i) : i;
    gint64 start = infer_array_get_int(starts, (gsize)i), dim;

    axis += axis < 0 ? in->dims.n : 0;
    if (axis < 0 || axis >= in->dims.n || (steps && infer_array_get_int(steps, (gsize)i) != 1))
      return FALSE;
    dim = in->dims.d[axis];
    part.start[axis] = CLAMP(start < 0 ? start + dim : start, 0, dim);
  }
  g_array_append_val(parts, part);
  return TRUE;
}

/* The parts that a step copies; FALSE where it is no such step. */
static gboolean
find_parts(const Placement *self, const InferStep *step, gboolean concat, GArray *parts)
{
  const InferNode *node = step->nodes[0];
  const char *op = node->op->name;

  if (infer_step_is_view(step) || step->n_nodes != 1 || node->n_inputs == 0 || !node->inputs[0])
    return FALSE;
  if (strcmp(op, "Concat") == 0)
    return concat && joint_parts(self, node, TRUE, parts);
  if (concat || node->inputs[0]->value)
    return FALSE;
  if (strcmp(op, "Split") == 0)
    return joint_parts(self, node, FALSE, parts);
  return strcmp(op, "Slice") == 0 && slice_part(self, node, parts);
}

static void
save(Placement *self)
{
  guint n = self->prepared->n_tensors;

  memcpy(self->saved_links, self->links, n * sizeof *self->links);
  memcpy(self->saved_shifts, self->shifts, n * sizeof *self->shifts);
  memcpy(self->saved_buffers, self->prepared->buffers, n * sizeof *self->saved_buffers);
}

static void
restore(Placement *self)
{
  guint n = self->prepared->n_tensors;

  memcpy(self->links, self->saved_links, n * sizeof *self->links);
  memcpy(self->shifts, self->saved_shifts, n * sizeof *self->shifts);
  memcpy(self->prepared->buffers, self->saved_buffers, n * sizeof *self->saved_buffers);
}

/* Puts parts @from up to @to in place, all or none of them. */
static gboolean
try_parts(Placement *self, const GArray *parts, guint from, guint to)
{
  save(self);
  g_hash_table_remove_all(self->dirty);
  for (guint i = from; i < to; i++) {
    const Part *part = &g_array_index(parts, Part, i);
    if (!hang(self, part->tensor, part->host, part->start, part->turn)) {
      restore(self);
      return FALSE;
    }
  }
  if (dirty_accept(self))
    return TRUE;
  restore(self);
  return FALSE;
}

static void
place_step(Placement *self, guint index, gboolean concat)
{
  const InferStep *step = self->prepared->program->steps->pdata[index];
  g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(Part));

  if (self->prepared->skipped[index] || !find_parts(self, step, concat, parts))
    return;
  self->prepared->skipped[index] = TRUE;
  if (try_parts(self, parts, 0, parts->len))
    return;
  self->prepared->skipped[index] = FALSE;
  for (guint i = 0; self->prepared->impls[index]->strided && i < parts->len; i++)
    try_parts(self, parts, i, i + 1);
}

/* --- all --- */

static void
link_views(Placement *self)
{
  const InferPrepared *prepared = self->prepared;

  for (guint s = 0; s < prepared->n_steps; s++) {
    const InferStep *step = prepared->program->steps->pdata[s];
    const InferNode *node = step->nodes[0];
    Link *link;
    gint rank;

    if (!infer_step_is_view(step) || prepared->skipped[s])
      continue;
    link = &self->links[node->outputs[0]->index];
    *link = (Link){.kind = LINK_RESHAPE, .host = node->inputs[0]->index};
    rank = buffer_of(self, link->host)->dims.n;
    if (strcmp(node->op->name, "Transpose") == 0) {
      gsize n;
      const gint64 *perm = infer_node_get_ints(node, "perm", &n);
      link->kind = LINK_TRANSPOSE;
      for (gint i = 0; i < rank; i++)
        link->perm[i] = perm ? perm[i] : rank - 1 - i;
    }
  }
}

static void
find_touched(Placement *self)
{
  const InferPrepared *prepared = self->prepared;

  for (guint i = 0; i < prepared->n_tensors; i++)
    self->touched[i] = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint s = 0; s < prepared->n_steps; s++) {
    const InferStep *step = prepared->program->steps->pdata[s];
    for (guint i = 0; i < step->n_inputs; i++)
      g_array_append_val(self->touched[step->inputs[i]->index], s);
    for (guint i = 0; i < step->n_outputs; i++)
      g_array_append_val(self->touched[step->outputs[i]->index], s);
  }
}

void
infer_place_tensors(InferPrepared *prepared, InferDevice *device)
{
  guint n = prepared->n_tensors;
  Placement self = {.prepared = prepared, .device = device, .network = prepared->program->network};

  self.links = g_new0(Link, n + 1);
  self.shifts = g_new0(gint64, n + 1);
  self.touched = g_new0(GArray *, n + 1);
  self.dirty = g_hash_table_new(NULL, NULL);
  self.saved_links = g_new(Link, n + 1);
  self.saved_shifts = g_new(gint64, n + 1);
  self.saved_buffers = g_new(InferBuffer, n + 1);
  find_touched(&self);
  link_views(&self);
  /* The last one first, so that what is joined again and again ends in one memory. */
  for (guint s = prepared->n_steps; s-- > 0;)
    place_step(&self, s, TRUE);
  for (guint s = 0; s < prepared->n_steps; s++)
    place_step(&self, s, FALSE);
  for (guint i = 0; i < n; i++) {
    prepared->roots[i] = root_of(&self, i);
    prepared->shifts[i] = infer_type_size(prepared->buffers[i].type, self.shifts[i]);
    prepared->buffers[i].alignment = alignment_of(&self, i);
    g_array_unref(self.touched[i]);
  }
  g_free(self.links);
  g_free(self.shifts);
  g_free(self.touched);
  g_free(self.saved_links);
  g_free(self.saved_shifts);
  g_free(self.saved_buffers);
  g_hash_table_unref(self.dirty);
}
