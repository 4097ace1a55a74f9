/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-private.h"

#include <errno.h>
#include <string.h>

G_DEFINE_FINAL_TYPE(InferEngine, infer_engine, G_TYPE_OBJECT)

static gpointer
binding_copy(gpointer boxed)
{
  InferBinding *copy = g_memdup2(boxed, sizeof(InferBinding));

  copy->name = g_strdup(copy->name);
  return copy;
}

static void
binding_free(gpointer boxed)
{
  g_free((char *)((InferBinding *)boxed)->name);
  g_free(boxed);
}

G_DEFINE_BOXED_TYPE(InferBinding, infer_binding, binding_copy, binding_free)

static void
infer_engine_init(InferEngine *self)
{
  self->packs = infer_packs_new();
  self->debug = g_new0(char *, 1);
  self->bindings = g_array_new(FALSE, TRUE, sizeof(InferBinding));
  self->timings = g_array_new(FALSE, TRUE, sizeof(InferTiming));
  self->notes = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(self->notes, NULL);
}

static void
infer_engine_finalize(GObject *object)
{
  InferEngine *self = INFER_ENGINE(object);

  g_clear_pointer(&self->program, infer_program_free);
  g_clear_object(&self->tail);
  g_strfreev(self->outputs);
  g_strfreev(self->debug);
  g_clear_pointer(&self->packs, infer_packs_free);
  g_clear_pointer(&self->model, infer_model_free);
  g_clear_pointer(&self->device, infer_device_unref);
  g_clear_object(&self->info);
  g_array_unref(self->bindings);
  g_array_unref(self->timings);
  g_ptr_array_unref(self->notes);
  g_free(self->source);
  G_OBJECT_CLASS(infer_engine_parent_class)->finalize(object);
}

static void
infer_engine_class_init(InferEngineClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_engine_finalize;
}

static void
find_batch(InferEngine *self)
{
  InferNetwork *network = self->program->network;

  self->batch_symbol = 0;
  self->max_batch = 1;
  for (guint i = 0; i < infer_network_get_n_symbols(network); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(network, i);
    if (!g_str_equal(symbol->name, "batch"))
      continue;
    self->batch_symbol = INFER_DIM_SYMBOL(i);
    self->max_batch = (guint)CLAMP(symbol->max, 1, 65536);
  }
}

InferSymbolValues
infer_engine_values(InferEngine *self, guint batch, InferRange range)
{
  InferNetwork *network = self->program->network;
  InferSymbolValues values = {{0}};

  for (guint i = 0; i < MIN(infer_network_get_n_symbols(network), INFER_MAX_SYMBOLS); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(network, i);
    values.values[i] = range == INFER_RANGE_MIN   ? symbol->min
                       : range == INFER_RANGE_OPT ? symbol->opt
                                                  : symbol->max;
  }
  if (self->batch_symbol)
    values.values[INFER_DIM_SYMBOL_INDEX(self->batch_symbol)] = batch;
  return values;
}

static gboolean
add_binding(InferEngine *self, const InferTensor *tensor, const InferOperand *largest,
            GError **error)
{
  InferBinding binding = {.name = tensor->name,
                          .is_input = tensor->is_input,
                          .is_optional = tensor->initial != NULL,
                          .type = tensor->type,
                          .kind = tensor->kind,
                          .dims = tensor->dims};

  binding.max_size = largest ? infer_type_size(tensor->type, infer_dims_count(&largest->dims)) : 0;
  if (binding.max_size == G_MAXSIZE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the dimensions of '%s' are not known in advance", tensor->name);
    return FALSE;
  }
  g_array_append_val(self->bindings, binding);
  return TRUE;
}

static gboolean
find_bindings(InferEngine *self, GError **error)
{
  InferNetwork *network = self->program->network;
  g_autofree InferOperand *largest = g_new0(InferOperand, infer_network_get_n_tensors(network) + 1);
  InferSymbolValues values = infer_engine_values(self, self->max_batch, INFER_RANGE_MAX);

  if (infer_network_get_n_symbols(network) > INFER_MAX_SYMBOLS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the network has %u open dimensions, at most %u are supported",
                infer_network_get_n_symbols(network), INFER_MAX_SYMBOLS);
    return FALSE;
  }
  if (!infer_network_shapes(network, &values, largest, error))
    return FALSE;
  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *tensor = infer_network_get_input(network, i);
    if (!add_binding(self, tensor, &largest[tensor->index], error))
      return FALSE;
  }
  for (guint i = 0; self->tail && i < infer_network_get_n_inputs(self->tail); i++) {
    const InferTensor *tensor = infer_network_get_input(self->tail, i);
    if (tensor->kind != INFER_KIND_TENSOR && !add_binding(self, tensor, NULL, error))
      return FALSE;
  }
  for (guint i = 0; self->outputs[i]; i++) {
    const InferTensor *tensor = infer_network_find_tensor(network, self->outputs[i]);
    gboolean in_program = tensor && tensor->is_output;

    if (!in_program && self->tail)
      tensor = infer_network_find_tensor(self->tail, self->outputs[i]);
    if (!tensor || !tensor->is_output) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "there is no output '%s'",
                  self->outputs[i]);
      return FALSE;
    }
    if (!add_binding(self, tensor, in_program ? &largest[tensor->index] : NULL, error))
      return FALSE;
  }
  return TRUE;
}

InferEngine *
infer_engine_new(InferProgram *program, InferNetwork *tail, const char *const *outputs,
                 InferDevice *device, const char *source, GError **error)
{
  g_autoptr(InferEngine) self = g_object_new(INFER_TYPE_ENGINE, NULL);
  InferNetwork *network = program->network;
  InferModelInfo *info = infer_network_get_model_info(network);

  self->program = program;
  self->tail = tail;
  self->outputs = g_strdupv((char **)outputs);
  self->device = infer_device_ref(device);
  self->source = g_strdup(source ? source : "a network");
  self->info = info ? g_object_ref(info) : infer_model_info_new();
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    self->has_graphs |= infer_network_get_node(network, i)->n_graphs > 0;
  find_batch(self);
  if (!find_bindings(self, error))
    return NULL;
  return g_steal_pointer(&self);
}

guint
infer_engine_round_batch(InferEngine *self, guint batch)
{
  /* Rows without a frame would count in what depends on data. */
  guint step = batch <= 8 || self->tail || self->has_graphs ? 1
               : batch <= 32                                ? 4
               : batch <= 128                               ? 8
                                                            : 32;

  return MIN((batch + step - 1) / step * step, self->max_batch);
}

guint
infer_engine_next_size(InferEngine *self, guint size)
{
  return size >= self->max_batch ? 0 : MIN(MAX(size * 2, 1), self->max_batch);
}

gboolean
infer_engine_has_rows(InferEngine *self, const InferTensor *input)
{
  return self->batch_symbol && input->dims.n > 0 && input->dims.d[0] == self->batch_symbol;
}

guint
infer_engine_get_n_bindings(InferEngine *self)
{
  return self->bindings->len;
}

const InferBinding *
infer_engine_get_binding(InferEngine *self, guint index)
{
  return index < self->bindings->len ? &g_array_index(self->bindings, InferBinding, index) : NULL;
}

const InferBinding *
infer_engine_find_binding(InferEngine *self, const char *name)
{
  for (guint i = 0; name && i < self->bindings->len; i++) {
    const InferBinding *binding = infer_engine_get_binding(self, i);
    if (g_str_equal(binding->name, name))
      return binding;
  }
  return NULL;
}

gboolean
infer_engine_set_debug(InferEngine *self, const char *const *names, GError **error)
{
  for (guint i = 0; names[i]; i++) {
    const InferTensor *tensor = infer_network_find_tensor(self->program->network, names[i]);

    if ((!tensor || !tensor->is_output) && self->tail)
      tensor = infer_network_find_tensor(self->tail, names[i]);
    if (!tensor || !tensor->is_output) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "there is no debug tensor '%s'", names[i]);
      return FALSE;
    }
  }
  g_strfreev(self->debug);
  self->debug = g_strdupv((char **)names);
  return TRUE;
}

gboolean
infer_engine_is_refittable(InferEngine *self)
{
  return self->model != NULL;
}

gboolean
infer_engine_is_stripped(InferEngine *self)
{
  return self->hollow;
}

const char *const *
infer_engine_get_debug_names(InferEngine *self)
{
  return (const char *const *)self->debug;
}

const char *const *
infer_engine_get_notes(InferEngine *self)
{
  return (const char *const *)self->notes->pdata;
}

InferModelInfo *
infer_engine_get_model_info(InferEngine *self)
{
  return self->info;
}

const char *
infer_engine_get_device(InferEngine *self)
{
  return self->device->name;
}

guint
infer_engine_get_max_batch(InferEngine *self)
{
  return self->max_batch;
}

guint64
infer_engine_get_run_time(InferEngine *self, guint batch)
{
  guint64 best = 0;

  for (guint i = 0; i < self->timings->len; i++) {
    const InferTiming *timing = &g_array_index(self->timings, InferTiming, i);
    best = timing->nanoseconds;
    if (timing->batch >= batch)
      break;
  }
  return best;
}

guint
infer_engine_get_best_batch(InferEngine *self)
{
  /* A larger batch waits longer for its frames, so it has to be worth it. */
  const double gain = 0.97;
  double least = G_MAXDOUBLE;
  guint best = 0;

  for (guint i = 0; i < self->timings->len; i++) {
    const InferTiming *timing = &g_array_index(self->timings, InferTiming, i);
    double row = (double)timing->nanoseconds / MAX(timing->batch, 1);

    if (timing->batch <= self->max_batch && row < least * (best ? gain : 1)) {
      least = row;
      best = timing->batch;
    }
  }
  return best ? best : self->max_batch;
}

gsize
infer_engine_get_weights_size(InferEngine *self)
{
  gsize size = self->packs->size;

  for (guint i = 0; i < infer_network_get_n_tensors(self->program->network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(self->program->network, i);
    size += tensor->value ? tensor->value->size : 0;
  }
  return size;
}

/* --- files --- */

GBytes *
infer_engine_serialize(InferEngine *self, GError **error)
{
  return infer_plan_write(self, error);
}

gboolean
infer_engine_save(InferEngine *self, const char *path, GError **error)
{
  g_autoptr(GBytes) bytes = infer_plan_write(self, error);
  gsize size;
  const char *data;

  if (!bytes)
    return FALSE;
  data = g_bytes_get_data(bytes, &size);
  /* A new file is renamed over the old one, which stays mapped by those who use it. */
  if (g_file_set_contents_full(path, data, (gssize)size,
                               G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644,
                               error))
    return TRUE;
  g_prefix_error(error, "the plan cannot be written: ");
  return FALSE;
}

static GBytes *
read_plan(const char *path, InferLoadFlags flags, GError **error)
{
  g_autoptr(GMappedFile) mapped = NULL;
  char *data;
  gsize size;

  if (flags & INFER_LOAD_READ) {
    if (g_file_get_contents(path, &data, &size, error))
      return g_bytes_new_take(data, size);
  } else {
    mapped = g_mapped_file_new(path, FALSE, error);
    if (mapped)
      return g_mapped_file_get_bytes(mapped);
  }
  g_prefix_error(error, "the plan cannot be read: ");
  return NULL;
}

InferEngine *
infer_engine_new_from_file(const char *path, const char *device, guint threads,
                           InferLoadFlags flags, GError **error)
{
  g_autoptr(GBytes) bytes = read_plan(path, flags, error);

  return bytes ? infer_plan_read(bytes, path, device, threads, error) : NULL;
}

InferEngine *
infer_engine_new_from_bytes(GBytes *bytes, const char *source, const char *device, guint threads,
                            GError **error)
{
  return infer_plan_read(bytes, source ? source : "memory", device, threads, error);
}
