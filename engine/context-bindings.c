/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inputs and outputs of a context: where they are and how large. */
#include "context-private.h"
#include "graph.h"

#include <string.h>

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
  const InferTensor *tensor =
      name ? infer_network_find_tensor(infer_context_network(self), name) : NULL;
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

void
infer_context_tensor_dims(InferContext *self, const InferTensor *tensor, InferDims *dims)
{
  *dims = self->current->buffers[tensor->index].dims;
  if (infer_engine_has_rows(self->engine, tensor) || output_has_rows(self, tensor))
    dims->d[0] = self->batch;
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
  infer_context_tensor_dims(self, tensor, dims);
  return TRUE;
}

gpointer
infer_context_map_copy(InferContext *self, const InferTensor *tensor, GError **error)
{
  const InferBackend *backend = infer_context_backend(self);
  gsize size = infer_buffer_size(&self->current->buffers[tensor->index]);
  gboolean fresh;
  gpointer memory = infer_staging_map(self->staging, tensor->index, size, &fresh, error);

  if (memory && fresh &&
      (!backend->download(self->stream, memory, infer_context_data(self, tensor), size, error) ||
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
  return self->staging ? infer_context_map_copy(self, tensor, error)
                       : infer_context_data(self, tensor);
}

gpointer
infer_context_map_device(InferContext *self, const char *name, GError **error)
{
  const InferTensor *tensor = find_binding(self, name, error);

  if (!tensor)
    return NULL;
  if (self->staging)
    infer_staging_forget(self->staging, tensor->index);
  return infer_context_data(self, tensor);
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
  g_hash_table_replace(self->bound, g_strdup(name), array);
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

/* Strings, sequences and optionals are held as values. */
static gboolean
has_bytes(const InferBinding *binding)
{
  return binding->kind == INFER_KIND_TENSOR && binding->type != INFER_TYPE_STRING;
}

static gboolean
check_string_dims(InferContext *self, const char *name, const InferArray *value, GError **error)
{
  g_autofree char *want = NULL;
  g_autofree char *have = NULL;
  InferDims dims;

  if (!infer_context_get_dims(self, name, &dims, error))
    return FALSE;
  if (infer_dims_equal(&dims, &value->dims))
    return TRUE;
  want = infer_dims_to_string(&dims);
  have = infer_dims_to_string(&value->dims);
  g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "input '%s' has dimensions %s, %s were given",
              name, want, have);
  return FALSE;
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
  if (has_bytes(binding)) {
    g_autoptr(GBytes) bytes = infer_array_get_bytes(value);
    return infer_context_set_input_bytes(self, name, bytes, error);
  }
  if (binding->kind == INFER_KIND_TENSOR && !check_string_dims(self, name, value, error))
    return FALSE;
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
  if (value && (!has_bytes(binding) || tensor->is_output))
    return infer_array_keep(value, error);
  memory = infer_context_map(self, name, &size, error);
  if (!memory || !infer_context_get_dims(self, name, &dims, error))
    return NULL;
  return infer_array_new_from_data(binding->type, &dims, memory, size, error);
}

gboolean
infer_context_set_scalar(InferContext *self, const char *name, double value)
{
  for (guint i = 0; i < infer_network_get_n_inputs(infer_context_network(self)); i++) {
    const InferTensor *tensor = infer_network_get_input(infer_context_network(self), i);

    if (!g_str_equal(tensor->name, name) || !self->defaults[i] ||
        infer_array_count(self->defaults[i]) != 1)
      continue;
    infer_array_set_double(self->defaults[i], 0, value);
    return !self->current || infer_context_write_default(self, i, NULL);
  }
  return FALSE;
}
