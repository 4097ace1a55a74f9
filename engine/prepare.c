/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"
#include "placement.h"
#include "planner.h"

#include <stdlib.h>
#include <string.h>

/* --- packed weights --- */

static void
pack_free(gpointer data)
{
  InferPack *pack = data;

  g_bytes_unref(pack->key);
  g_bytes_unref(pack->data);
  g_free(pack);
}

static void
free_device_memory(InferPacks *packs)
{
  for (guint i = 0; i < packs->entries->len; i++) {
    InferPack *pack = packs->entries->pdata[i];
    if (pack->memory)
      packs->device->backend->free(packs->device, pack->memory);
  }
}

InferPacks *
infer_packs_new(void)
{
  InferPacks *packs = g_new0(InferPacks, 1);

  g_mutex_init(&packs->lock);
  packs->entries = g_ptr_array_new_with_free_func(pack_free);
  packs->by_key = g_hash_table_new(g_bytes_hash, g_bytes_equal);
  return packs;
}

void
infer_packs_free(InferPacks *packs)
{
  free_device_memory(packs);
  g_hash_table_unref(packs->by_key);
  g_ptr_array_unref(packs->entries);
  g_mutex_clear(&packs->lock);
  g_free(packs);
}

void
infer_packs_add(InferPacks *packs, guint tensor, GBytes *key, GBytes *data)
{
  InferPack *pack = g_new0(InferPack, 1);

  pack->tensor = tensor;
  pack->key = g_bytes_ref(key);
  pack->data = g_bytes_ref(data);
  packs->size += g_bytes_get_size(data);
  g_ptr_array_add(packs->entries, pack);
  g_hash_table_insert(packs->by_key, pack->key, pack);
}

static GBytes *
pack_key(guint tensor, gconstpointer key, gsize key_size)
{
  GByteArray *whole = g_byte_array_new();
  guint32 index = GUINT32_TO_LE(tensor);

  g_byte_array_append(whole, (const guint8 *)&index, sizeof index);
  g_byte_array_append(whole, key, (guint)key_size);
  return g_byte_array_free_to_bytes(whole);
}

static GBytes *
make_pack(const InferTensor *tensor, gsize size, InferPackFunc pack, gpointer user_data,
          GError **error)
{
  gsize rounded = (size + INFER_MEMORY_ALIGNMENT) / INFER_MEMORY_ALIGNMENT * INFER_MEMORY_ALIGNMENT;
  gpointer memory = size <= (gsize)1 << 40 ? aligned_alloc(INFER_MEMORY_ALIGNMENT, rounded) : NULL;

  if (!memory) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
                "%" G_GSIZE_FORMAT " bytes for the packed weights of '%s' cannot be had", size,
                tensor->name);
    return NULL;
  }
  /* Padding of a packed format is written by nobody, and plans have to be reproducible. */
  memset(memory, 0, rounded);
  if (!pack(user_data, tensor->value, memory, error)) {
    free(memory);
    return NULL;
  }
  return g_bytes_new_with_free_func(memory, size, free, memory);
}

/* Where the device reads a pack: copied there when it is first asked for. */
static const void *
pack_memory(InferPacks *packs, InferPack *pack, InferDevice *device, GError **error)
{
  const InferBackend *backend = device->backend;
  gsize size;
  gconstpointer data = g_bytes_get_data(pack->data, &size);
  void *memory;

  if (backend->host_memory || pack->memory)
    return backend->host_memory ? data : pack->memory;
  memory = backend->alloc(device, MAX(size, 1), error);
  if (!memory)
    return NULL;
  if (!backend->load(device, memory, data, size, error)) {
    backend->free(device, memory);
    return NULL;
  }
  packs->device = device;
  pack->memory = memory;
  return memory;
}

const void *
infer_prepare_pack(InferPrepare *prepare, guint input, gconstpointer key, gsize key_size,
                   gsize size, InferPackFunc pack, gpointer user_data, GError **error)
{
  InferPacks *packs = prepare->packer;
  const InferTensor *tensor = prepare->step->inputs[input];
  g_autoptr(GBytes) whole = pack_key(tensor->index, key, key_size);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&packs->lock);
  InferPack *found = g_hash_table_lookup(packs->by_key, whole);
  g_autoptr(GBytes) data = NULL;

  if (!tensor->value) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "'%s' is not constant and cannot be packed",
                tensor->name);
    return NULL;
  }
  if (!found || g_bytes_get_size(found->data) != size) {
    data = make_pack(tensor, size, pack, user_data, error);
    if (!data)
      return NULL;
    infer_packs_add(packs, tensor->index, whole, data);
    found = g_hash_table_lookup(packs->by_key, whole);
  }
  return pack_memory(packs, found, prepare->device, error);
}

/* --- dimensions --- */

gsize
infer_buffer_size(const InferBuffer *buffer)
{
  return infer_type_size(buffer->type, infer_dims_count(&buffer->dims));
}

static gboolean
set_buffer(InferPrepared *self, const InferTensor *tensor, const InferOperand *operand,
           GError **error)
{
  InferBuffer *buffer = &self->buffers[tensor->index];
  const InferOrder *order = &self->program->orders[tensor->index];

  /* Inputs of strings take no memory; what reads them comes after the steps. */
  if (!infer_dims_is_constant(&operand->dims) ||
      (operand->type == INFER_TYPE_STRING && !tensor->is_input)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the dimensions of '%s' depend on data; such networks are not supported",
                tensor->name);
    return FALSE;
  }
  if (order->n != operand->dims.n || tensor->type != operand->type) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "'%s' has another rank or type now than when it was lowered", tensor->name);
    return FALSE;
  }
  buffer->type = operand->type;
  buffer->dims = operand->dims;
  buffer->value = operand->value;
  buffer->alignment = INFER_MEMORY_ALIGNMENT;
  infer_order_strides(order, &buffer->dims, buffer->strides);
  return TRUE;
}

static void
input_operand(InferOperand *operand, const InferTensor *tensor, const InferSymbolValues *values)
{
  infer_operand_from_tensor(operand, tensor);
  for (gint i = 0; i < operand->dims.n; i++)
    if (INFER_DIM_IS_SYMBOL(operand->dims.d[i]) &&
        INFER_DIM_SYMBOL_INDEX(operand->dims.d[i]) < INFER_MAX_SYMBOLS)
      operand->dims.d[i] = values->values[INFER_DIM_SYMBOL_INDEX(operand->dims.d[i])];
}

static gboolean
node_shapes(const InferNode *node, InferOperand *operands, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, node->n_inputs + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, node->n_outputs + 1);

  for (guint j = 0; j < node->n_inputs; j++)
    if (node->inputs[j])
      in[j] = operands[node->inputs[j]->index];
  if (!infer_op_shape(node, in, node->n_inputs, out, node->n_outputs, error))
    return FALSE;
  for (guint j = 0; j < node->n_outputs; j++)
    operands[node->outputs[j]->index] = out[j];
  return TRUE;
}

gboolean
infer_network_shapes(InferNetwork *network, const InferSymbolValues *values, InferOperand *operands,
                     GError **error)
{
  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(network, i);
    if (tensor->is_input || tensor->value)
      input_operand(&operands[i], tensor, values);
  }
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    if (!node_shapes(infer_network_get_node(network, i), operands, error))
      return FALSE;
  return TRUE;
}

/* --- what shapes alone tell --- */

static gboolean
is_known_step(const InferPrepared *self, guint index)
{
  const InferStep *step = self->program->steps->pdata[index];

  for (guint i = 0; i < step->n_outputs; i++)
    if (!self->known[step->outputs[i]->index])
      return FALSE;
  return step->n_outputs > 0;
}

static gboolean
load_known(InferPrepared *self, guint tensor, GError **error)
{
  const InferArray *value = self->known[tensor];
  guint8 *memory = self->known_memory + self->offsets[tensor];

  if (!self->backend->host_memory)
    return self->backend->load(self->device, memory, value->data, value->size, error);
  memcpy(memory, value->data, value->size);
  return TRUE;
}

/* The contents of small vectors of integers that follow from shapes (Shape, and what is computed
 * of it) are written once, here, and the steps that would compute them are not run. */
static gboolean
settle_known(InferPrepared *self, const InferOperand *operands, GError **error)
{
  gsize size = 0;

  for (guint i = 0; i < self->n_tensors; i++) {
    const InferTensor *tensor = infer_network_get_tensor(self->program->network, i);
    const InferBuffer *buffer = &self->buffers[i];

    if (!tensor->producer || tensor->is_output || !infer_operand_is_known(&operands[i]))
      continue;
    self->known[i] =
        infer_operand_content_new(buffer->type, &buffer->dims, &operands[i].content, error);
    if (!self->known[i])
      return FALSE;
    self->offsets[i] = size;
    size += INFER_MEMORY_ALIGNMENT;
  }
  if (size == 0)
    return TRUE;
  self->known_memory = self->backend->alloc(self->device, size, error);
  if (!self->known_memory)
    return FALSE;
  for (guint i = 0; i < self->n_tensors; i++)
    if (self->known[i] && !load_known(self, i, error))
      return FALSE;
  for (guint s = 0; s < self->n_steps; s++)
    self->skipped[s] = is_known_step(self, s);
  return TRUE;
}

static gboolean
infer_concrete(InferPrepared *self, const InferSymbolValues *values, GError **error)
{
  g_autofree InferOperand *operands = g_new0(InferOperand, self->n_tensors + 1);

  if (!infer_network_shapes(self->program->network, values, operands, error))
    return FALSE;
  for (guint i = 0; i < self->n_tensors; i++)
    if (!set_buffer(self, infer_network_get_tensor(self->program->network, i), &operands[i], error))
      return FALSE;
  return settle_known(self, operands, error);
}

/* --- steps --- */

void
infer_prepared_operands(const InferPrepared *self, guint index, InferBuffer **inputs,
                        InferBuffer **outputs)
{
  const InferStep *step = self->program->steps->pdata[index];

  *inputs = g_new0(InferBuffer, step->n_inputs + 1);
  *outputs = g_new0(InferBuffer, step->n_outputs + 1);
  for (guint i = 0; i < step->n_inputs; i++)
    (*inputs)[i] = self->buffers[step->inputs[i]->index];
  for (guint i = 0; i < step->n_outputs; i++)
    (*outputs)[i] = self->buffers[step->outputs[i]->index];
}

/* A tactic that was measured at other shapes need not take these; then the implementation chooses,
 * except where all shapes have to use one tactic. */
static gboolean
prepare_tactic(InferPrepared *self, guint index, InferPrepare *prepare, GError **error)
{
  const InferImpl *impl = self->impls[index];
  g_autoptr(GError) failure = NULL;

  prepare->tactic = self->tuning ? self->tuning->choices[index].tactic : NULL;
  if (impl->prepare(prepare, &failure))
    return TRUE;
  if (!prepare->tactic || self->backend->exact_rows) {
    g_propagate_error(error, g_steal_pointer(&failure));
    return FALSE;
  }
  g_info("step '%s' (%s): tactic '%s' is not taken: %s", prepare->step->name, impl->name,
         prepare->tactic, failure->message);
  prepare->tactic = NULL;
  prepare->workspace = 0;
  return impl->prepare(prepare, error);
}

static gboolean
prepare_step(InferPrepared *self, guint index, InferDevice *device, InferPacks *packs,
             GError **error)
{
  const InferStep *step = self->program->steps->pdata[index];
  g_autofree InferBuffer *inputs = NULL;
  g_autofree InferBuffer *outputs = NULL;
  InferPrepare prepare = {.device = device, .step = step, .packer = packs};

  if (infer_step_is_view(step) || self->skipped[index])
    return TRUE;
  infer_prepared_operands(self, index, &inputs, &outputs);
  prepare.inputs = inputs;
  prepare.outputs = outputs;
  if (!prepare_tactic(self, index, &prepare, error)) {
    g_prefix_error(error, "step '%s' (%s): ", step->name, self->impls[index]->name);
    return FALSE;
  }
  self->states[index] = prepare.state;
  self->workspace_sizes[index] = prepare.workspace;
  return TRUE;
}

/* The steps of a device are prepared side by side, since its libraries compile; the host's are
 * prepared one by one in this thread, whose team of threads they are for. */
typedef struct {
  InferPrepared *prepared;
  InferDevice *device;
  InferPacks *packs;
  GMutex lock;
  GError *error; /* the first one */
} Preparing;

static void
prepare_in_pool(gpointer data, gpointer user_data)
{
  Preparing *all = user_data;
  g_autoptr(GError) error = NULL;

  if (prepare_step(all->prepared, GPOINTER_TO_UINT(data) - 1, all->device, all->packs, &error))
    return;
  g_mutex_lock(&all->lock);
  if (!all->error)
    all->error = g_steal_pointer(&error);
  g_mutex_unlock(&all->lock);
}

static gboolean
prepare_steps(InferPrepared *self, InferDevice *device, InferPacks *packs, GError **error)
{
  Preparing all = {.prepared = self, .device = device, .packs = packs};
  GThreadPool *pool = NULL;

  if (!device->backend->host_memory)
    pool = g_thread_pool_new(prepare_in_pool, &all, (gint)g_get_num_processors(), FALSE, NULL);
  if (!pool) {
    for (guint i = 0; i < self->n_steps; i++)
      if (!prepare_step(self, i, device, packs, error))
        return FALSE;
    return TRUE;
  }
  g_mutex_init(&all.lock);
  for (guint i = 0; i < self->n_steps; i++)
    g_thread_pool_push(pool, GUINT_TO_POINTER(i + 1), NULL);
  g_thread_pool_free(pool, FALSE, TRUE);
  g_mutex_clear(&all.lock);
  if (!all.error)
    return TRUE;
  g_propagate_error(error, all.error);
  return FALSE;
}

static void
choose_impls(InferPrepared *self, const InferSymbolValues *values)
{
  const InferTuning *tuning = infer_program_find_tuning(self->program, values);

  self->tuning = tuning;
  self->impls = g_new0(const InferImpl *, self->n_steps + 1);
  for (guint i = 0; i < self->n_steps; i++) {
    const InferStep *step = self->program->steps->pdata[i];
    self->impls[i] = tuning && tuning->choices[i].impl ? tuning->choices[i].impl : step->impl;
  }
}

/* --- memory --- */

static void
touch(InferLife *life, guint step)
{
  life->first = MIN(life->first, step);
  life->last = MAX(life->last, step);
}

static void
find_lives(InferPrepared *self, InferLife *lives, gboolean keep_all)
{
  for (guint i = 0; i < self->n_tensors; i++)
    lives[i] = (InferLife){.first = G_MAXUINT, .last = 0};
  for (guint s = 0; s < self->n_steps; s++) {
    const InferStep *step = self->program->steps->pdata[s];
    if (is_known_step(self, s))
      continue;
    for (guint i = 0; i < step->n_inputs; i++)
      touch(&lives[self->roots[step->inputs[i]->index]], s);
    for (guint i = 0; i < step->n_outputs; i++)
      touch(&lives[self->roots[step->outputs[i]->index]], s);
    lives[self->n_tensors + s] =
        (InferLife){.first = s, .last = s, .size = self->workspace_sizes[s]};
  }
  if (keep_all)
    for (guint i = 0; i < self->n_tensors; i++)
      lives[i].first = 0, lives[i].last = self->n_steps;
}

/* Inputs and outputs lie at the start, apart from what is reused, since users read and write
 * them between runs. */
static gboolean
place_io(InferPrepared *self, gboolean *is_io)
{
  gsize offset = 0;

  for (guint i = 0; i < self->n_tensors; i++) {
    const InferTensor *tensor = infer_network_get_tensor(self->program->network, i);
    guint root = self->roots[i];
    gsize size;

    if ((!tensor->is_input && !tensor->is_output) || is_io[root])
      continue;
    is_io[root] = TRUE;
    size = infer_buffer_size(&self->buffers[root]);
    self->offsets[root] = offset;
    if (size > ((gsize)1 << 40) ||
        __builtin_add_overflow(offset, size + INFER_MEMORY_ALIGNMENT, &offset))
      return FALSE;
    offset -= offset % INFER_MEMORY_ALIGNMENT;
  }
  self->io_size = offset;
  return TRUE;
}

/* Whether a tensor takes part of the memory of a context. */
static gboolean
has_memory(const InferPrepared *self, guint tensor)
{
  return self->roots[tensor] == tensor && !self->buffers[tensor].value && !self->known[tensor];
}

static gboolean
place_all(InferPrepared *self, gboolean keep_all, GError **error)
{
  g_autofree InferLife *lives = g_new0(InferLife, self->n_tensors + self->n_steps + 1);
  g_autofree gboolean *is_io = g_new0(gboolean, self->n_tensors + 1);
  gsize arena;

  find_lives(self, lives, keep_all);
  if (!place_io(self, is_io))
    goto too_large;
  for (guint i = 0; i < self->n_tensors; i++) {
    gsize size = has_memory(self, i) ? infer_buffer_size(&self->buffers[i]) : 0;
    if (size > ((gsize)1 << 40))
      goto too_large;
    self->tensors_size += size;
    lives[i].size = is_io[i] || lives[i].first == G_MAXUINT ? 0 : size;
  }
  if (!infer_plan_memory(lives, self->n_tensors + self->n_steps, &arena) ||
      arena > ((gsize)1 << 40))
    goto too_large;
  for (guint i = 0; i < self->n_tensors; i++)
    if (has_memory(self, i) && !is_io[i])
      self->offsets[i] = self->io_size + lives[i].offset;
  for (guint s = 0; s < self->n_steps; s++)
    self->workspaces[s] = self->io_size + lives[self->n_tensors + s].offset;
  self->memory_size = self->io_size + arena;
  return TRUE;

too_large:
  g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "the network needs too much memory");
  return FALSE;
}

static void
alloc_pointers(InferPrepared *self)
{
  guint n = 0;

  for (guint s = 0; s < self->n_steps; s++) {
    const InferStep *step = self->program->steps->pdata[s];
    self->step_pointers[s] = n;
    n += step->n_inputs + step->n_outputs;
  }
  self->pointers = g_new0(gpointer, n + 1);
}

static void
forget_graph(InferPrepared *self)
{
  if (self->graph)
    self->backend->graph_free(self->graph);
  self->graph = NULL;
  self->n_runs = 0;
}

void
infer_prepared_set_base(InferPrepared *self, guint8 *base)
{
  forget_graph(self);
  for (guint s = 0; s < self->n_steps; s++) {
    const InferStep *step = self->program->steps->pdata[s];
    gpointer *list = self->pointers + self->step_pointers[s];

    for (guint i = 0; i < step->n_inputs; i++)
      *list++ = infer_prepared_data(self, step->inputs[i], base);
    for (guint i = 0; i < step->n_outputs; i++)
      *list++ = infer_prepared_data(self, step->outputs[i], base);
  }
}

gboolean
infer_prepared_can_capture(const InferPrepared *self)
{
  for (guint s = 0; s < self->n_steps; s++) {
    const InferStep *step = self->program->steps->pdata[s];
    if (!infer_step_is_view(step) && !self->skipped[s] && self->impls[s]->on_host)
      return FALSE;
  }
  return self->backend->capture_begin != NULL;
}

gboolean
infer_prepared_run_step(const InferPrepared *self, guint index, guint8 *base, InferStream *stream,
                        GError **error)
{
  const InferStep *step = self->program->steps->pdata[index];
  gpointer *list = self->pointers + self->step_pointers[index];

  if (infer_step_is_view(step) || self->skipped[index])
    return TRUE;
  return self->impls[index]->run(self->states[index], stream, list, list + step->n_inputs,
                                 infer_prepared_at(self, self->workspaces[index], base), error);
}

gboolean
infer_prepared_run_made_up(const InferPrepared *self, guint8 *base, InferStream *stream,
                           GCancellable *cancellable, GError **error)
{
  gboolean ok = TRUE;

  if (cancellable)
    g_cancellable_push_current(cancellable);
  infer_graph_set_trial(TRUE);
  for (guint i = 0; ok && i < self->n_steps; i++)
    ok = infer_op_go_on(error) && infer_prepared_run_step(self, i, base, stream, error);
  infer_graph_set_trial(FALSE);
  if (cancellable)
    g_cancellable_pop_current(cancellable);
  return ok;
}

InferPrepared *
infer_prepared_new(const InferProgram *program, InferDevice *device, InferPacks *packs,
                   const InferSymbolValues *values, guint batch, gboolean keep_all, GError **error)
{
  InferPrepared *self = g_new0(InferPrepared, 1);
  gboolean ok;

  self->batch = batch;
  self->program = program;
  self->device = device;
  self->backend = device->backend;
  self->n_tensors = infer_network_get_n_tensors(program->network);
  self->n_steps = program->steps->len;
  self->buffers = g_new0(InferBuffer, self->n_tensors + 1);
  self->roots = g_new0(guint, self->n_tensors + 1);
  self->shifts = g_new0(gsize, self->n_tensors + 1);
  self->known = g_new0(InferArray *, self->n_tensors + 1);
  self->skipped = g_new0(gboolean, self->n_steps + 1);
  self->offsets = g_new0(gsize, self->n_tensors + 1);
  self->states = g_new0(gpointer, self->n_steps + 1);
  self->workspaces = g_new0(gsize, self->n_steps + 1);
  self->workspace_sizes = g_new0(gsize, self->n_steps + 1);
  self->step_pointers = g_new0(guint, self->n_steps + 1);
  choose_impls(self, values);
  ok = infer_concrete(self, values, error);
  if (ok)
    infer_place_tensors(self, device);
  ok = ok && prepare_steps(self, device, packs, error);
  if (!ok || !place_all(self, keep_all, error)) {
    infer_prepared_free(self);
    return NULL;
  }
  alloc_pointers(self);
  return self;
}

void
infer_prepared_free(gpointer data)
{
  InferPrepared *self = data;

  forget_graph(self);
  for (guint i = 0; i < self->n_steps; i++)
    if (self->states[i] && self->impls[i]->release)
      self->impls[i]->release(self->states[i]);
  g_free(self->impls);
  g_free(self->buffers);
  g_free(self->roots);
  g_free(self->shifts);
  if (self->known_memory)
    self->backend->free(self->device, self->known_memory);
  for (guint i = 0; i < self->n_tensors; i++)
    if (self->known[i])
      infer_array_unref(self->known[i]);
  g_free(self->known);
  g_free(self->skipped);
  g_free(self->offsets);
  g_free(self->states);
  g_free(self->workspaces);
  g_free(self->workspace_sizes);
  g_free(self->step_pointers);
  g_free(self->pointers);
  g_free(self);
}
