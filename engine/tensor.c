/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network-private.h"

#include <math.h>

/* Tensors and nodes belong to their network: what holds one holds the network. */

static gpointer
tensor_hold(gpointer boxed)
{
  g_object_ref(((InferTensor *)boxed)->network);
  return boxed;
}

static void
tensor_release(gpointer boxed)
{
  g_object_unref(((InferTensor *)boxed)->network);
}

G_DEFINE_BOXED_TYPE(InferTensor, infer_tensor, tensor_hold, tensor_release)

static gpointer
node_hold(gpointer boxed)
{
  g_object_ref(((InferNode *)boxed)->network);
  return boxed;
}

static void
node_release(gpointer boxed)
{
  g_object_unref(((InferNode *)boxed)->network);
}

G_DEFINE_BOXED_TYPE(InferNode, infer_node, node_hold, node_release)

const InferDims *
infer_tensor_get_dims(InferTensor *tensor)
{
  return &tensor->dims;
}

InferTensor *
infer_node_get_output(const InferNode *node, guint index)
{
  return index < node->n_outputs ? node->outputs[index] : NULL;
}

InferTensor *
infer_node_get_input(const InferNode *node, guint index)
{
  return index < node->n_inputs ? node->inputs[index] : NULL;
}

gboolean
infer_tensor_set_name(InferTensor *tensor, const char *name, GError **error)
{
  if (*name && infer_network_rename(tensor->network, tensor, name))
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "tensor '%s' cannot be named '%s': %s",
              tensor->name, name,
              *name ? "an input or output of that name is there already" : "a name is needed");
  return FALSE;
}

gboolean
infer_tensor_set_type(InferTensor *tensor, InferType type, GError **error)
{
  InferType before = tensor->type;

  if (!tensor->is_input || tensor->initial) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "the type of tensor '%s' cannot be set: it is not an input without a default; "
                "add a cast instead",
                tensor->name);
    return FALSE;
  }
  if (infer_type_bits(type) == 0 && type != INFER_TYPE_STRING) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "input '%s': type %d is not known",
                tensor->name, (int)type);
    return FALSE;
  }
  tensor->type = type;
  if (infer_network_infer(tensor->network, error))
    return TRUE;
  tensor->type = before;
  infer_network_infer(tensor->network, NULL);
  g_prefix_error(error, "input '%s' cannot be %s: ", tensor->name, infer_type_name(type));
  return FALSE;
}

gboolean
infer_tensor_set_dynamic_range(InferTensor *tensor, float min, float max, GError **error)
{
  if (!isfinite(min) || !isfinite(max) || min >= max) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "tensor '%s': the range from %g to %g is none", tensor->name, (double)min,
                (double)max);
    return FALSE;
  }
  tensor->has_range = TRUE;
  tensor->range_min = min;
  tensor->range_max = max;
  return TRUE;
}

gboolean
infer_network_mark_debug(InferNetwork *network, InferTensor *tensor, GError **error)
{
  if (tensor->network != network || !tensor->producer) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                tensor->network != network
                    ? "'%s' cannot be marked for debugging: it is a tensor of another network"
                    : "'%s' cannot be marked for debugging: an input or constant holds what it was "
                      "given",
                tensor->name);
    return FALSE;
  }
  tensor->is_debug = TRUE;
  return TRUE;
}

void
infer_network_unmark_debug(InferNetwork *network, InferTensor *tensor)
{
  if (tensor->network == network)
    tensor->is_debug = FALSE;
}
