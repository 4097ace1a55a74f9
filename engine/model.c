/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

InferModel *
infer_model_new(InferNetwork *network, gboolean fusion, InferPrecisions precisions)
{
  InferModel *self = g_new0(InferModel, 1);

  self->network = g_object_ref(network);
  self->missing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  self->fusion = fusion;
  self->precisions = precisions;
  return self;
}

void
infer_model_free(InferModel *self)
{
  g_object_unref(self->network);
  g_hash_table_unref(self->missing);
  g_free(self);
}

gboolean
infer_model_is_weight_type(InferType type)
{
  guint bits = infer_type_bits(type);

  return bits > 0 && (infer_type_is_float(type) || (infer_type_is_integer(type) && bits <= 8));
}

gboolean
infer_model_is_weight(const InferTensor *tensor)
{
  return tensor->value && tensor->kind == INFER_KIND_TENSOR &&
         infer_model_is_weight_type(tensor->type);
}

gboolean
infer_model_is_stripped(const InferTensor *tensor)
{
  return infer_model_is_weight(tensor) && tensor->value->size >= INFER_MODEL_MIN_STRIPPED;
}
