/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "staging.h"

#include <string.h>

typedef struct {
  void *memory;
  gsize capacity;
  gsize size;
  gboolean mapped; /* copied in every run */
  gboolean set;    /* copied in the next run */
} Copy;

struct _InferStaging {
  InferDevice *device;
  guint n;
  Copy *copies; /* by tensor */
};

InferStaging *
infer_staging_new(InferDevice *device, guint n_tensors)
{
  InferStaging *self = g_new0(InferStaging, 1);

  self->device = device;
  self->n = n_tensors;
  self->copies = g_new0(Copy, n_tensors + 1);
  return self;
}

void
infer_staging_free(InferStaging *self)
{
  for (guint i = 0; i < self->n; i++)
    if (self->copies[i].memory)
      self->device->backend->free_host(self->device, self->copies[i].memory);
  g_free(self->copies);
  g_free(self);
}

static gboolean
reserve(InferStaging *self, Copy *copy, gsize size, GError **error)
{
  void *memory;

  copy->size = size;
  if (copy->memory && size <= copy->capacity)
    return TRUE;
  memory = self->device->backend->alloc_host(self->device, MAX(size, 1), error);
  if (!memory)
    return FALSE;
  if (copy->memory)
    self->device->backend->free_host(self->device, copy->memory);
  memset(memory, 0, size);
  copy->memory = memory;
  copy->capacity = size;
  return TRUE;
}

gpointer
infer_staging_map(InferStaging *self, guint tensor, gsize size, gboolean *fresh, GError **error)
{
  Copy *copy = &self->copies[tensor];

  *fresh = !copy->mapped;
  if (!reserve(self, copy, size, error))
    return NULL;
  copy->mapped = TRUE;
  return copy->memory;
}

gboolean
infer_staging_set(InferStaging *self, guint tensor, gconstpointer data, gsize size, GError **error)
{
  Copy *copy = &self->copies[tensor];

  if (!reserve(self, copy, size, error))
    return FALSE;
  memcpy(copy->memory, data, size);
  copy->set = TRUE;
  return TRUE;
}

void
infer_staging_forget(InferStaging *self, guint tensor)
{
  self->copies[tensor].mapped = FALSE;
  self->copies[tensor].set = FALSE;
}

gboolean
infer_staging_upload(InferStaging *self, const InferPrepared *prepared, guint8 *base,
                     InferStream *stream, GError **error)
{
  InferNetwork *network = prepared->program->network;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *tensor = infer_network_get_input(network, i);
    Copy *copy = &self->copies[tensor->index];

    if (!copy->mapped && !copy->set)
      continue;
    copy->set = FALSE;
    if (!self->device->backend->upload(stream, infer_prepared_data(prepared, tensor, base),
                                       copy->memory, copy->size, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
infer_staging_download(InferStaging *self, const InferPrepared *prepared, guint8 *base,
                       InferStream *stream, GError **error)
{
  InferNetwork *network = prepared->program->network;

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    const InferTensor *tensor = infer_network_get_output(network, i);
    const Copy *copy = &self->copies[tensor->index];

    if (copy->mapped &&
        !self->device->backend->download(
            stream, copy->memory, infer_prepared_data(prepared, tensor, base), copy->size, error))
      return FALSE;
  }
  return TRUE;
}
