/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

#include <string.h>

/* Rounds after which states that still change are taken for unknown, first in their dimensions. */
#define EXACT_ROUNDS 2
#define RANK_ROUNDS 4
#define MAX_ROUNDS 6

gboolean
control_captures(const InferNode *node, guint n_in, guint least, guint *captures, GError **error)
{
  gint64 n = infer_node_get_int(node, "captures", 0);

  if (n < 0 || n > (gint64)n_in - least)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%" G_GINT64_FORMAT " of its %u inputs cannot be captures", n, n_in);
  *captures = (guint)n;
  return TRUE;
}

gboolean
control_put(const InferEvalArgs *args, guint index, InferArray *array, GError **error)
{
  InferArray *out = args->out[index];

  if (!out) {
    args->out[index] = infer_array_keep(array, error);
    return args->out[index] != NULL;
  }
  if (out->type != array->type || out->kind != array->kind ||
      !infer_dims_equal(&out->dims, &array->dims)) {
    g_autofree char *have = infer_dims_to_string(&array->dims);
    g_autofree char *want = infer_dims_to_string(&out->dims);
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "output %u is %s %s, not %s %s",
                          index, infer_type_name(array->type), have, infer_type_name(out->type),
                          want);
  }
  if (out->size)
    memcpy(out->data, array->data, out->size);
  return TRUE;
}

gboolean
control_finish(const InferEvalArgs *args, gboolean ok, GError **error)
{
  if (ok || !infer_graph_is_trial() || g_cancellable_is_cancelled(g_cancellable_get_current()))
    return ok;
  for (guint i = 0; i < args->n_out; i++)
    if (!args->out[i] || args->out[i]->owner)
      return FALSE;
  for (guint i = 0; i < args->n_out; i++)
    memset(args->out[i]->data, 0, args->out[i]->size);
  g_clear_error(error);
  return TRUE;
}

/* --- inference --- */

static gboolean
same_state(const InferOperand *a, const InferOperand *b)
{
  return infer_dims_equal(&a->dims, &b->dims) && infer_dims_equal(&a->item_dims, &b->item_dims) &&
         a->has_content == b->has_content &&
         (!a->has_content || infer_dims_equal(&a->content, &b->content));
}

static void
widen(InferOperand *state, guint round)
{
  state->has_content = FALSE;
  for (gint k = 0; k < state->dims.n; k++)
    state->dims.d[k] = INFER_DIM_UNKNOWN;
  for (gint k = 0; k < state->item_dims.n; k++)
    state->item_dims.d[k] = INFER_DIM_UNKNOWN;
  if (round >= RANK_ROUNDS)
    state->dims = state->item_dims = INFER_DIMS_UNKNOWN;
}

/* What the states are before an iteration, whichever it is. Returns: whether they changed. */
static gboolean
join_states(InferShapeArgs *args, InferOperand *states, const InferOperand *next, guint n,
            guint round, gboolean *changed, GError **error)
{
  *changed = FALSE;
  for (guint i = 0; i < n; i++) {
    const InferOperand before = states[i];

    if (!infer_operand_join(&states[i], &next[i]))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "state %u is a %s of %s before an iteration and a %s of %s after it", i,
                            infer_kind_name(before.kind), infer_type_name(before.type),
                            infer_kind_name(next[i].kind), infer_type_name(next[i].type));
    if (!same_state(&states[i], &before)) {
      *changed = TRUE;
      if (round >= EXACT_ROUNDS)
        widen(&states[i], round);
    }
  }
  for (guint i = 0; *changed && round + 2 >= MAX_ROUNDS && i < n; i++)
    widen(&states[i], round);
  return TRUE;
}

gboolean
control_infer_states(InferShapeArgs *args, InferOperand *in, guint n_in, guint first,
                     guint n_states, InferOperand *out, guint n_out, guint first_out,
                     GError **error)
{
  InferNetwork *body = args->node->graphs[0];
  gboolean changed = TRUE;

  for (guint i = 0; i < n_states; i++)
    in[first + i].value = NULL; /* it holds for the first iteration only */
  for (guint round = 0; changed; round++) {
    if (round >= MAX_ROUNDS)
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "what its iterations hand on has no type that lasts");
    if (!infer_graph_infer(body, in, n_in, out, n_out, FALSE, error) ||
        !join_states(args, in + first, out + first_out, n_states, round, &changed, error))
      return FALSE;
  }
  return !args->settle || infer_graph_infer(body, in, n_in, out, n_out, TRUE, error);
}

/* --- what iterations collect --- */

void
control_lists_init(ControlLists *self, guint n)
{
  self->n = n;
  self->bytes = 0;
  self->lists = g_new0(GPtrArray *, n + 1);
  for (guint i = 0; i < n; i++)
    self->lists[i] = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
}

void
control_lists_clear(ControlLists *self)
{
  for (guint i = 0; i < self->n; i++)
    g_ptr_array_unref(self->lists[i]);
  g_free(self->lists);
}

gboolean
control_lists_add(ControlLists *self, const InferNode *node, guint index, InferArray *array,
                  gsize carried, GError **error)
{
  self->bytes += infer_array_total_size(array) + sizeof(InferArray);
  g_ptr_array_add(self->lists[index], array);
  if (self->bytes <= CONTROL_MAX_BYTES && carried <= CONTROL_MAX_BYTES - self->bytes)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_MEMORY,
                        "after %u iterations it holds more than %" G_GSIZE_FORMAT
                        " bytes; bound its trip count",
                        self->lists[index]->len, CONTROL_MAX_BYTES);
}

/* Without an iteration only inference knows what would have been collected. */
static InferArray *
stack_nothing(const InferNode *node, guint graph_output, gint64 axis, GError **error)
{
  InferNetwork *body = node->graphs[0];
  const InferTensor *item = infer_network_get_output(body, graph_output);
  InferDims dims = {.n = MAX(item->dims.n, 0) + 1};

  axis += axis < 0 ? dims.n : 0;
  if (axis < 0 || axis >= dims.n || dims.n > INFER_MAX_DIMS) {
    infer_op_error(node, error, INFER_ERROR_SHAPE, "axis %" G_GINT64_FORMAT " is none", axis);
    return NULL;
  }
  for (gint i = 0; i < dims.n; i++) {
    gint k = i > axis ? i - 1 : i;
    dims.d[i] = i == axis ? 0 : MAX(item->dims.d[k], 0);
  }
  return infer_array_new(item->type, &dims, error);
}

static InferArray *
stack(ControlLists *self, const InferNode *node, guint index, guint graph_output, gint64 axis,
      gboolean backwards, GError **error)
{
  GPtrArray *list = self->lists[index];
  InferArray *stacked;

  if (list->len == 0)
    return stack_nothing(node, graph_output, axis, error);
  for (guint i = 0; backwards && i < list->len / 2; i++) {
    gpointer last = list->pdata[list->len - 1 - i];
    list->pdata[list->len - 1 - i] = list->pdata[i];
    list->pdata[i] = last;
  }
  stacked = infer_arrays_join((InferArray *const *)list->pdata, list->len, axis, TRUE, error);
  if (!stacked)
    g_prefix_error(error, "node '%s' (%s), what it collects: ", node->name, node->op->name);
  return stacked;
}

gboolean
control_lists_put(ControlLists *self, const InferEvalArgs *args, guint index, guint output,
                  guint graph_output, gint64 axis, gboolean backwards, GError **error)
{
  const InferArray *out = args->out[output];
  g_autoptr(InferArray) stacked = NULL;

  if (out && out->size == 0 && self->lists[index]->len == 0)
    return TRUE;
  stacked = stack(self, args->node, index, graph_output, axis, backwards, error);
  return stacked && control_put(args, output, stacked, error);
}
