/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/context.h>
#include "engine-private.h"
#include "staging.h"
#include "graph.h"
#include "tail.h"

#include <string.h>

/* The image input, where the model info names one that looks like one. */
typedef struct {
  const InferTensor *tensor;
  gint axis_h, axis_w, axis_c;
} ImageInput;

struct _InferContext {
  GObject parent;

  InferEngine *engine;
  InferStream *stream;
  GHashTable *prepared;     /* InferSymbolValues -> InferPrepared */
  InferSymbolValues values; /* of open dimensions; the batch's place is not used */
  InferPrepared *current;
  guint batch;
  guint8 *memory;
  gsize memory_size;
  InferStaging *staging; /* (nullable): where the host cannot reach the memory */
  GHashTable *bound;     /* name -> InferArray: inputs that are sequences or optionals */
  GCancellable *cancellable;
  gboolean trial;
  GHashTable *strings;     /* name of an input -> InferArray */
  GHashTable *tail_values; /* InferTensor of the tail -> InferArray, of the last run */
  InferArray **defaults;   /* per input: contents of optional ones */

  ImageInput image;
  InferFrame *frames; /* of the job under way, max_batch of them */
  guint n_frames;

  gboolean profiling;
  guint64 *times; /* per step */
};

G_DEFINE_FINAL_TYPE(InferContext, infer_context, G_TYPE_OBJECT)

static const InferBackend *
backend_of(InferContext *self)
{
  return self->engine->device->backend;
}

static guint
values_hash(gconstpointer key)
{
  const InferSymbolValues *values = key;
  guint hash = 0;

  for (guint i = 0; i < INFER_MAX_SYMBOLS; i++)
    hash = hash * 31 + (guint)values->values[i];
  return hash;
}

static gboolean
values_equal(gconstpointer a, gconstpointer b)
{
  return memcmp(a, b, sizeof(InferSymbolValues)) == 0;
}

static void
infer_context_init(InferContext *self)
{
  self->prepared = g_hash_table_new_full(values_hash, values_equal, g_free, infer_prepared_free);
  self->bound =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)infer_array_unref);
  self->tail_values = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
  self->strings =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)infer_array_unref);
}

static void
infer_context_finalize(GObject *object)
{
  InferContext *self = INFER_CONTEXT(object);

  if (self->stream) {
    backend_of(self)->stream_sync(self->stream, NULL);
    backend_of(self)->stream_free(self->stream);
  }
  g_hash_table_unref(self->prepared);
  g_hash_table_unref(self->bound);
  g_hash_table_unref(self->tail_values);
  g_clear_pointer(&self->staging, infer_staging_free);
  g_clear_object(&self->cancellable);
  g_hash_table_unref(self->strings);
  if (self->memory)
    backend_of(self)->free(self->engine->device, self->memory);
  if (self->defaults)
    for (guint i = 0; i < infer_network_get_n_inputs(self->engine->program->network); i++)
      g_clear_pointer(&self->defaults[i], infer_array_unref);
  g_free(self->defaults);
  g_free(self->frames);
  g_free(self->times);
  g_clear_object(&self->engine);
  G_OBJECT_CLASS(infer_context_parent_class)->finalize(object);
}

static void
infer_context_class_init(InferContextClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_context_finalize;
}

static InferNetwork *
network_of(InferContext *self)
{
  return self->engine->program->network;
}

static void
find_image(InferContext *self)
{
  const char *name = infer_model_info_get_input(self->engine->info);
  InferTensor *tensor = name ? infer_network_find_tensor(network_of(self), name) : NULL;
  const InferDims *dims;

  if (!tensor || !tensor->is_input || tensor->dims.n != 4 ||
      (tensor->type != INFER_TYPE_FLOAT && tensor->type != INFER_TYPE_UINT8))
    return;
  dims = &tensor->dims;
  self->image.tensor = tensor;
  if (dims->d[1] != 1 && dims->d[1] != 3 && (dims->d[3] == 1 || dims->d[3] == 3)) {
    self->image.axis_h = 1, self->image.axis_w = 2, self->image.axis_c = 3;
  } else if (dims->d[1] == 1 || dims->d[1] == 3) {
    self->image.axis_c = 1, self->image.axis_h = 2, self->image.axis_w = 3;
  } else {
    self->image.tensor = NULL;
  }
}

static gboolean
copy_defaults(InferContext *self, GError **error)
{
  guint n = infer_network_get_n_inputs(network_of(self));

  self->defaults = g_new0(InferArray *, n + 1);
  for (guint i = 0; i < n; i++) {
    const InferArray *initial = infer_network_get_input(network_of(self), i)->initial;
    if (!initial || initial->type == INFER_TYPE_STRING)
      continue;
    self->defaults[i] = infer_array_new(initial->type, &initial->dims, error);
    if (!self->defaults[i])
      return FALSE;
    memcpy(self->defaults[i]->data, initial->data, initial->size);
  }
  return TRUE;
}

InferContext *
infer_context_new(InferEngine *engine, GError **error)
{
  g_autoptr(InferContext) self = g_object_new(INFER_TYPE_CONTEXT, NULL);

  self->engine = g_object_ref(engine);
  self->times = g_new0(guint64, engine->program->steps->len + 1);
  self->frames = g_new0(InferFrame, engine->max_batch);
  self->values = infer_engine_values(engine, 1, INFER_RANGE_OPT);
  self->stream = backend_of(self)->stream_new(engine->device, error);
  if (!self->stream || !copy_defaults(self, error))
    return NULL;
  if (!backend_of(self)->host_memory)
    self->staging =
        infer_staging_new(engine->device, infer_network_get_n_tensors(network_of(self)));
  find_image(self);
  return g_steal_pointer(&self);
}

InferEngine *
infer_context_get_engine(InferContext *self)
{
  return self->engine;
}

/* --- shapes --- */

static gboolean
grow_memory(InferContext *self, gsize size, GError **error)
{
  guint8 *memory;

  if (size <= self->memory_size)
    return TRUE;
  memory = backend_of(self)->alloc(self->engine->device, size, error);
  if (!memory)
    return FALSE;
  if (self->memory)
    backend_of(self)->free(self->engine->device, self->memory);
  self->memory = memory;
  self->memory_size = size;
  self->current = NULL; /* its pointers are gone */
  return TRUE;
}

static InferPrepared *
get_prepared(InferContext *self, guint batch, GError **error)
{
  InferEngine *engine = self->engine;
  InferSymbolValues values = self->values;
  InferPrepared *prepared;
  guint size;

  if (batch < 1 || batch > engine->max_batch) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "a batch of %u cannot be run: the plan was built for 1 to %u", batch,
                engine->max_batch);
    return NULL;
  }
  size = infer_engine_round_batch(engine, batch);
  if (engine->batch_symbol)
    values.values[INFER_DIM_SYMBOL_INDEX(engine->batch_symbol)] = size;
  prepared = g_hash_table_lookup(self->prepared, &values);
  if (prepared)
    return prepared;
  prepared = infer_prepared_new(engine->program, engine->device, engine->packs, &values, size,
                                FALSE, error);
  if (!prepared)
    return NULL;
  if (!grow_memory(self, prepared->memory_size, error)) {
    infer_prepared_free(prepared);
    return NULL;
  }
  g_hash_table_insert(self->prepared, g_memdup2(&values, sizeof values), prepared);
  return prepared;
}

gboolean
infer_context_prepare(InferContext *self, guint batch, GError **error)
{
  InferPrepared *current = self->current;

  if (!get_prepared(self, batch, error))
    return FALSE;
  /* Growing the memory moved the current batch's as well. */
  return !current || self->current || infer_context_set_batch(self, self->batch, error);
}

static gboolean
write_default(InferContext *self, guint input, GError **error)
{
  const InferTensor *tensor = infer_network_get_input(network_of(self), input);
  const InferArray *value = self->defaults[input];

  if (self->staging)
    return infer_staging_set(self->staging, tensor->index, value->data, value->size, error);
  memcpy(infer_prepared_data(self->current, tensor, self->memory), value->data, value->size);
  return TRUE;
}

static gboolean
write_defaults(InferContext *self, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_inputs(network_of(self)); i++)
    if (self->defaults[i] && !write_default(self, i, error))
      return FALSE;
  return TRUE;
}

gboolean
infer_context_set_batch(InferContext *self, guint batch, GError **error)
{
  InferPrepared *prepared = get_prepared(self, batch, error);

  if (!prepared)
    return FALSE;
  self->batch = batch;
  if (self->current == prepared)
    return TRUE;
  self->current = prepared;
  infer_prepared_set_base(prepared, self->memory);
  return write_defaults(self, error);
}

static gboolean
set_symbol(InferContext *self, const InferTensor *tensor, gint axis, gint64 value, guint *batch,
           GError **error)
{
  gint64 dim = tensor->dims.d[axis];
  const InferSymbol *symbol =
      infer_network_get_symbol(network_of(self), INFER_DIM_SYMBOL_INDEX(dim));

  if (value < symbol->min || value > symbol->max) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "input '%s': dimension %d ('%s') is %" G_GINT64_FORMAT
                ", the plan was built for %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                tensor->name, axis, symbol->name, value, symbol->min, symbol->max);
    return FALSE;
  }
  if (dim == self->engine->batch_symbol)
    *batch = (guint)value;
  else
    self->values.values[INFER_DIM_SYMBOL_INDEX(dim)] = value;
  return TRUE;
}

/* Gives symbols the values with which @tensor has @dims. */
static gboolean
match_dims(InferContext *self, const InferTensor *tensor, const InferDims *dims, guint *batch,
           GError **error)
{
  gboolean fits = dims->n == tensor->dims.n;

  for (gint i = 0; fits && i < dims->n; i++) {
    if (INFER_DIM_IS_SYMBOL(tensor->dims.d[i])) {
      if (!set_symbol(self, tensor, i, dims->d[i], batch, error))
        return FALSE;
    } else {
      fits = dims->d[i] == tensor->dims.d[i];
    }
  }
  if (!fits) {
    g_autofree char *wanted = infer_dims_to_string(dims);
    g_autofree char *have = infer_dims_to_string(&tensor->dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "input '%s' has dimensions %s, not %s",
                tensor->name, have, wanted);
  }
  return fits;
}

gboolean
infer_context_set_dims(InferContext *self, const char *name, const InferDims *dims, GError **error)
{
  const InferTensor *tensor = name ? infer_network_find_tensor(network_of(self), name) : NULL;
  const InferSymbolValues before = self->values;
  guint batch = MAX(self->batch, 1);

  if (!tensor || !tensor->is_input) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "the plan has no input '%s'",
                name ? name : "(null)");
    return FALSE;
  }
  if (match_dims(self, tensor, dims, &batch, error) && infer_context_set_batch(self, batch, error))
    return TRUE;
  self->values = before;
  return FALSE;
}

guint
infer_context_get_batch(InferContext *self)
{
  return self->current ? self->batch : 0;
}

/* Returns: (nullable): an output that depends on data, as the last run left it. */
static const InferArray *
find_tail_output(InferContext *self, const char *name)
{
  InferNetwork *tail = self->engine->tail;
  const InferTensor *tensor = tail && name ? infer_network_find_tensor(tail, name) : NULL;

  return tensor && tensor->is_output && tensor->kind == INFER_KIND_TENSOR
             ? g_hash_table_lookup(self->tail_values, tensor)
             : NULL;
}

static const InferTensor *
find_binding(InferContext *self, const char *name, GError **error)
{
  const InferTensor *tensor = name ? infer_network_find_tensor(network_of(self), name) : NULL;
  const InferBinding *binding = infer_engine_find_binding(self->engine, name);

  if (!self->current) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE, "no batch is set yet");
    return NULL;
  }
  if (tensor && (tensor->is_input || tensor->is_output) && tensor->kind == INFER_KIND_TENSOR)
    return tensor;
  if (binding && binding->kind != INFER_KIND_TENSOR)
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' is a %s, which has no memory of its own; use infer_context_set_value() or "
                "infer_context_get_value()",
                name, infer_kind_name(binding->kind));
  else if (binding)
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "the size of '%s' depends on data; it is known after a run", name);
  else
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "the plan has no input or output '%s'",
                name ? name : "(null)");
  return NULL;
}

/* An output may have lost the symbol on its way; what is prepared for @batch rows has them first.
 */
static gboolean
output_has_rows(InferContext *self, const InferTensor *tensor)
{
  return self->engine->batch_symbol && tensor->is_output && tensor->dims.n > 0 &&
         tensor->dims.d[0] < 0 &&
         self->current->buffers[tensor->index].dims.d[0] == self->current->batch;
}

gboolean
infer_context_get_dims(InferContext *self, const char *name, InferDims *dims, GError **error)
{
  const InferArray *dynamic = find_tail_output(self, name);
  const InferTensor *tensor = dynamic ? NULL : find_binding(self, name, error);

  if (dynamic)
    *dims = dynamic->dims;
  if (!tensor)
    return dynamic != NULL;
  *dims = self->current->buffers[tensor->index].dims;
  if (infer_engine_has_rows(self->engine, tensor) || output_has_rows(self, tensor))
    dims->d[0] = self->batch;
  return TRUE;
}

/* A copy in host memory; what was not copied by the last run yet is fetched. */
static gpointer
map_copy(InferContext *self, const InferTensor *tensor, GError **error)
{
  const InferBackend *backend = backend_of(self);
  gsize size = infer_buffer_size(&self->current->buffers[tensor->index]);
  gboolean fresh;
  gpointer memory = infer_staging_map(self->staging, tensor->index, size, &fresh, error);

  if (memory && fresh &&
      (!backend->download(self->stream, memory,
                          infer_prepared_data(self->current, tensor, self->memory), size, error) ||
       !backend->stream_sync(self->stream, error)))
    return NULL;
  return memory;
}

gpointer
infer_context_map(InferContext *self, const char *name, gsize *size, GError **error)
{
  const InferArray *dynamic = find_tail_output(self, name);
  const InferTensor *tensor = dynamic ? NULL : find_binding(self, name, error);
  InferDims dims;

  if (dynamic) {
    if (size)
      *size = dynamic->size;
    return dynamic->data;
  }

  if (!tensor || !infer_context_get_dims(self, name, &dims, error))
    return NULL;
  if (size)
    *size = infer_type_size(tensor->type, infer_dims_count(&dims));
  return self->staging ? map_copy(self, tensor, error)
                       : infer_prepared_data(self->current, tensor, self->memory);
}

gpointer
infer_context_map_device(InferContext *self, const char *name, GError **error)
{
  const InferTensor *tensor = find_binding(self, name, error);

  if (!tensor)
    return NULL;
  if (self->staging)
    infer_staging_forget(self->staging, tensor->index);
  return infer_prepared_data(self->current, tensor, self->memory);
}

gboolean
infer_context_set_strings(InferContext *self, const char *name, const char *const *strings, gsize n,
                          GError **error)
{
  const InferTensor *tensor = find_binding(self, name, error);
  InferArray *array;
  InferDims dims;

  if (!tensor || !infer_context_get_dims(self, name, &dims, error))
    return FALSE;
  if (!tensor->is_input || tensor->type != INFER_TYPE_STRING) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "'%s' is not an input of strings", name);
    return FALSE;
  }
  array = infer_array_new_strings(&dims, strings, n, error);
  if (!array) {
    g_prefix_error(error, "input '%s': ", name);
    return FALSE;
  }
  g_hash_table_insert(self->strings, g_strdup(name), array);
  return TRUE;
}

char **
infer_context_get_strings(InferContext *self, const char *name, GError **error)
{
  const InferArray *array = find_tail_output(self, name);
  g_autoptr(GPtrArray) list = NULL;

  if (!array || array->type != INFER_TYPE_STRING) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' is not an output of strings that a run has computed", name ? name : "(null)");
    return NULL;
  }
  list = g_ptr_array_new();
  for (gint64 i = 0; i < infer_array_count(array); i++)
    g_ptr_array_add(list, g_strdup(infer_array_get_string(array, (gsize)i)));
  g_ptr_array_add(list, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}

gboolean
infer_context_set_input_bytes(InferContext *self, const char *name, GBytes *bytes, GError **error)
{
  gsize size, have;
  gconstpointer data = g_bytes_get_data(bytes, &have);
  const InferTensor *tensor = find_binding(self, name, error);
  gpointer memory = tensor ? infer_context_map(self, name, &size, error) : NULL;

  if (!memory)
    return FALSE;
  if (!tensor->is_input || size != have) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' %s %" G_GSIZE_FORMAT " bytes, %" G_GSIZE_FORMAT " were given", name,
                tensor->is_input ? "takes" : "is an output of", size, have);
    return FALSE;
  }
  if (size)
    memcpy(memory, data, size);
  return TRUE;
}

GBytes *
infer_context_get_output_bytes(InferContext *self, const char *name, GError **error)
{
  gsize size;
  gconstpointer memory = infer_context_map(self, name, &size, error);

  return memory ? g_bytes_new(memory, size) : NULL;
}

gboolean
infer_context_set_value(InferContext *self, const char *name, InferArray *value, GError **error)
{
  const InferBinding *binding = infer_engine_find_binding(self->engine, name);
  InferArray *kept;

  if (!binding || !binding->is_input || binding->kind != infer_array_get_kind(value) ||
      binding->type != value->type) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "'%s' cannot be set to a %s of %s: it %s",
                name ? name : "(null)", infer_kind_name(infer_array_get_kind(value)),
                infer_type_name(value->type),
                !binding || !binding->is_input ? "is no input" : "is of another kind or type");
    return FALSE;
  }
  if (binding->kind == INFER_KIND_TENSOR) {
    g_autoptr(GBytes) bytes = infer_array_get_bytes(value);
    return infer_context_set_input_bytes(self, name, bytes, error);
  }
  kept = infer_array_keep(value, error);
  if (kept)
    g_hash_table_replace(self->bound, g_strdup(name), kept);
  return kept != NULL;
}

InferArray *
infer_context_get_value(InferContext *self, const char *name, GError **error)
{
  InferNetwork *tail = self->engine->tail;
  const InferBinding *binding = infer_engine_find_binding(self->engine, name);
  InferTensor *tensor = binding && tail ? infer_network_find_tensor(tail, name) : NULL;
  InferArray *value = tensor ? g_hash_table_lookup(self->tail_values, tensor) : NULL;
  InferDims dims;
  gsize size;
  gpointer memory;

  if (!value && binding && binding->is_input)
    value = g_hash_table_lookup(self->bound, name);
  if (value && (tensor->is_output || binding->kind != INFER_KIND_TENSOR))
    return infer_array_keep(value, error);
  memory = infer_context_map(self, name, &size, error);
  if (!memory || !infer_context_get_dims(self, name, &dims, error))
    return NULL;
  return infer_array_new_from_data(binding->type, &dims, memory, size, error);
}

gboolean
infer_context_set_scalar(InferContext *self, const char *name, double value)
{
  for (guint i = 0; i < infer_network_get_n_inputs(network_of(self)); i++) {
    const InferTensor *tensor = infer_network_get_input(network_of(self), i);

    if (!g_str_equal(tensor->name, name) || !self->defaults[i] ||
        infer_array_count(self->defaults[i]) != 1)
      continue;
    infer_array_set_double(self->defaults[i], 0, value);
    return !self->current || write_default(self, i, NULL);
  }
  return FALSE;
}

/* --- runs --- */

static gboolean
run_frames(gpointer data, InferStream *stream, GError **error)
{
  InferContext *self = data;
  const InferTensor *tensor = self->image.tensor;
  const InferBuffer *buffer = &self->current->buffers[tensor->index];
  InferImageTarget target = {
      .data = infer_prepared_data(self->current, tensor, self->memory),
      .type = tensor->type,
      .width = (guint)buffer->dims.d[self->image.axis_w],
      .height = (guint)buffer->dims.d[self->image.axis_h],
      .channels = (guint)buffer->dims.d[self->image.axis_c],
      .stride_n = buffer->strides[0],
      .stride_c = buffer->strides[self->image.axis_c],
      .stride_y = buffer->strides[self->image.axis_h],
      .stride_x = buffer->strides[self->image.axis_w],
  };

  return backend_of(self)->preprocess(stream, self->frames, self->n_frames,
                                      infer_model_info_get_preprocess(self->engine->info), &target,
                                      error);
}

gboolean
infer_context_enqueue_frames(InferContext *self, const InferFrame *frames, guint n_frames,
                             InferPlacement *placements, GError **error)
{
  const InferPreprocess *pre = infer_model_info_get_preprocess(self->engine->info);
  const InferDims *dims;

  if (!self->current || n_frames > self->batch) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE, "%u frames do not fit a batch of %u",
                n_frames, self->current ? self->batch : 0);
    return FALSE;
  }
  if (!self->image.tensor) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the model has no image input: none is named in its model info that is float or "
                "uint8 of 4 dimensions with 1 or 3 channels; name it in a .modelinfo file");
    return FALSE;
  }
  dims = &self->current->buffers[self->image.tensor->index].dims;
  for (guint i = 0; i < n_frames; i++) {
    if (!infer_frame_validate(&frames[i], error))
      return FALSE;
    self->frames[i] = frames[i];
    if (placements)
      placements[i] = infer_frame_place(&frames[i], pre, (guint)dims->d[self->image.axis_w],
                                        (guint)dims->d[self->image.axis_h]);
  }
  self->n_frames = n_frames;
  if (self->staging)
    infer_staging_forget(self->staging, self->image.tensor->index);
  return backend_of(self)->stream_run(self->stream, run_frames, self, error);
}

/* Rows that the batch does not fill hold zeros, so that their results are the same every time. */
static gboolean
zero_unused_rows(InferContext *self, InferStream *stream, GError **error)
{
  if (self->batch == self->current->batch)
    return TRUE;
  for (guint i = 0; i < infer_network_get_n_inputs(network_of(self)); i++) {
    const InferTensor *tensor = infer_network_get_input(network_of(self), i);
    guint8 *data;
    gsize row;

    if (!infer_engine_has_rows(self->engine, tensor))
      continue;
    row = infer_buffer_size(&self->current->buffers[tensor->index]) / self->current->batch;
    data = (guint8 *)infer_prepared_data(self->current, tensor, self->memory) + row * self->batch;
    row *= self->current->batch - self->batch;
    if (!self->staging)
      memset(data, 0, row);
    else if (!backend_of(self)->fill(stream, data, 0, row, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
take_bound(InferContext *self, InferTensor *input, GError **error)
{
  InferArray *value = g_hash_table_lookup(self->bound, input->name);

  if (!value) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "input '%s' is not set; call infer_context_set_value() first", input->name);
    return FALSE;
  }
  g_hash_table_insert(self->tail_values, input, infer_array_ref(value));
  return TRUE;
}

/* The strings that were set, the input's default, or empty ones. */
static InferArray *
tail_strings(InferContext *self, const InferTensor *source, const InferDims *dims, GError **error)
{
  InferArray *array = g_hash_table_lookup(self->strings, source->name);

  array = array ? array : source->initial;
  if (!array)
    return infer_array_new(INFER_TYPE_STRING, dims, error);
  if (infer_dims_equal(&array->dims, dims))
    return infer_array_ref(array);
  g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
              "the strings of input '%s' were set for other dimensions", source->name);
  return NULL;
}

/* What depends on data, from what the steps left. */
static gboolean
run_tail(InferContext *self, InferStream *stream, GError **error)
{
  InferNetwork *tail = self->engine->tail;

  if (self->staging && !backend_of(self)->stream_sync(stream, error))
    return FALSE;
  g_hash_table_remove_all(self->tail_values);
  for (guint i = 0; i < infer_network_get_n_inputs(tail); i++) {
    InferTensor *input = infer_network_get_input(tail, i);
    const InferTensor *source;
    const InferBuffer *buffer;
    gpointer data;
    InferArray *array;

    if (input->kind != INFER_KIND_TENSOR) {
      if (!take_bound(self, input, error))
        return FALSE;
      continue;
    }
    source = infer_network_find_tensor(network_of(self), input->name);
    buffer = source ? &self->current->buffers[source->index] : NULL;
    if (!buffer) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "there is no tensor '%s'", input->name);
      return FALSE;
    }
    if (buffer->type == INFER_TYPE_STRING) {
      array = tail_strings(self, source, &buffer->dims, error);
    } else {
      data = self->staging ? map_copy(self, source, error)
                           : infer_prepared_data(self->current, source, self->memory);
      array = data ? infer_array_new_view(buffer->type, &buffer->dims, data) : NULL;
    }
    if (!array)
      return FALSE;
    g_hash_table_insert(self->tail_values, input, array);
  }
  return infer_tail_run(tail, self->tail_values, error);
}

static gboolean
run_each(InferContext *self, InferStream *stream, GError **error)
{
  const InferPrepared *prepared = self->current;

  if (self->profiling && !backend_of(self)->stream_mark(stream, 0, error))
    return FALSE;
  for (guint i = 0; i < prepared->n_steps; i++) {
    if (!infer_prepared_run_step(prepared, i, self->memory, stream, error)) {
      const InferStep *step = prepared->program->steps->pdata[i];
      g_prefix_error(error, "step '%s': ", step->name);
      return FALSE;
    }
    if (self->profiling && !backend_of(self)->stream_mark(stream, i + 1, error))
      return FALSE;
  }
  return TRUE;
}

/* The first run goes step by step, since libraries allocate in it; the second is captured, and
 * from then on the graph is launched. What cannot be captured goes on step by step. */
static gboolean
run_graph(InferContext *self, InferStream *stream, GError **error)
{
  const InferBackend *backend = backend_of(self);
  InferPrepared *prepared = self->current;

  if (!self->profiling && !prepared->graph && prepared->n_runs == 1 &&
      infer_prepared_can_capture(prepared) && backend->capture_begin(stream, NULL)) {
    gboolean ok = run_each(self, stream, NULL);
    prepared->graph = backend->capture_end(stream, NULL);
    if (!ok && prepared->graph) {
      backend->graph_free(prepared->graph);
      prepared->graph = NULL;
    }
  }
  prepared->n_runs = MIN(prepared->n_runs + 1, 2);
  return prepared->graph && !self->profiling ? backend->graph_launch(prepared->graph, stream, error)
                                             : run_each(self, stream, error);
}

/* What is made up may make no sense to what depends on it; stopping is another matter. */
static gboolean
finish_tail(InferContext *self, InferStream *stream, GError **error)
{
  if (!self->engine->tail || run_tail(self, stream, error))
    return TRUE;
  if (!self->trial || g_cancellable_is_cancelled(self->cancellable))
    return FALSE;
  g_clear_error(error);
  return TRUE;
}

static gboolean
run_planned(InferContext *self, InferStream *stream, GError **error)
{
  if ((self->staging &&
       !infer_staging_upload(self->staging, self->current, self->memory, stream, error)) ||
      !zero_unused_rows(self, stream, error) || !run_graph(self, stream, error) ||
      (self->staging &&
       !infer_staging_download(self->staging, self->current, self->memory, stream, error)))
    return FALSE;
  return finish_tail(self, stream, error);
}

static gboolean
run_steps(gpointer data, InferStream *stream, GError **error)
{
  InferContext *self = data;
  gboolean ok;

  if (self->cancellable)
    g_cancellable_push_current(self->cancellable);
  infer_graph_set_trial(self->trial);
  ok = run_planned(self, stream, error);
  infer_graph_set_trial(FALSE);
  if (self->cancellable)
    g_cancellable_pop_current(self->cancellable);
  return ok;
}

void
infer_context_set_cancellable(InferContext *self, GCancellable *cancellable)
{
  g_set_object(&self->cancellable, cancellable);
}

void
infer_context_set_trial(InferContext *self, gboolean trial)
{
  self->trial = trial;
}

gboolean
infer_context_enqueue(InferContext *self, GError **error)
{
  if (!self->current) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_STATE,
                "nothing is prepared; call infer_context_set_batch() first");
    return FALSE;
  }
  return backend_of(self)->stream_run(self->stream, run_steps, self, error);
}

gboolean
infer_context_synchronize(InferContext *self, GError **error)
{
  if (!backend_of(self)->stream_sync(self->stream, error))
    return FALSE;
  for (guint i = 0; self->profiling && self->current && i < self->current->n_steps; i++)
    self->times[i] = backend_of(self)->stream_elapsed(self->stream, i + 1);
  return TRUE;
}

gboolean
infer_context_run(InferContext *self, GError **error)
{
  return infer_context_enqueue(self, error) && infer_context_synchronize(self, error);
}

void
infer_context_set_profiling(InferContext *self, gboolean profiling)
{
  self->profiling = profiling;
}

gboolean
infer_context_get_step_time(InferContext *self, guint index, InferStepTime *time)
{
  const GPtrArray *steps = self->engine->program->steps;
  const InferStep *step;

  if (index >= steps->len)
    return FALSE;
  step = steps->pdata[index];
  time->name = step->name;
  time->implementation = !step->impl || (self->current && self->current->skipped[index]) ? "view"
                         : self->current ? self->current->impls[index]->name
                                         : step->impl->name;
  time->nanoseconds = self->times[index];
  return TRUE;
}

gsize
infer_context_get_memory_size(InferContext *self, gsize *tensors_size)
{
  if (tensors_size)
    *tensors_size = self->current ? self->current->tensors_size : 0;
  return self->current ? self->current->memory_size : 0;
}
