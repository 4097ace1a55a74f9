/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "program-private.h"
#include "widen.h"

#include <string.h>

#define ALIGN(size) (((size) + 63) / 64 * 64)

/* --- the nodes' own evaluation --- */

typedef struct {
  InferArray *array; /* a view whose data is set at each run */
  gsize offset;      /* in the workspace, of what stays inside the step */
  gint operand;      /* index among inputs, then outputs; -1 inside */
  gsize host;        /* offset of an operand's copy */
} Value;

typedef struct {
  const InferStep *step;
  InferDevice *device;
  void *host;            /* copies of operands, then the workspace, where the device's memory
                            cannot be reached */
  GArray *values;        /* Value */
  GHashTable *by_tensor; /* InferTensor -> index + 1 in values */
  InferEvalArgs *calls;  /* one per node */
  gsize *scratch;        /* offsets in the workspace */
  guint *widens;         /* per node: InferWidening of its operands */
  InferWiden **wide;     /* per node; NULL where it has none */
  gsize *wide_offset;    /* in the workspace */
} Reference;

static guint
add_value(Reference *self, const InferTensor *tensor, const InferBuffer *buffer, gint operand)
{
  Value value = {.operand = operand};

  value.array =
      infer_array_new_view(buffer->type, &buffer->dims, buffer->value ? buffer->value->data : NULL);
  g_array_append_val(self->values, value);
  g_hash_table_insert(self->by_tensor, (gpointer)tensor, GUINT_TO_POINTER(self->values->len));
  return self->values->len - 1;
}

static Value *
find_value(Reference *self, const InferTensor *tensor)
{
  guint index = GPOINTER_TO_UINT(g_hash_table_lookup(self->by_tensor, tensor));

  return index ? &g_array_index(self->values, Value, index - 1) : NULL;
}

static void
reference_release(gpointer state)
{
  Reference *self = state;

  for (guint i = 0; self->calls && i < self->step->n_nodes; i++) {
    g_free((gpointer)self->calls[i].in);
    g_free(self->calls[i].out);
    infer_widen_free(self->wide[i]);
  }
  for (guint i = 0; i < self->values->len; i++)
    infer_array_unref(g_array_index(self->values, Value, i).array);
  if (self->host)
    self->device->backend->free_host(self->device, self->host);
  g_array_unref(self->values);
  g_hash_table_unref(self->by_tensor);
  g_free(self->calls);
  g_free(self->scratch);
  g_free(self->widens);
  g_free(self->wide);
  g_free(self->wide_offset);
  g_free(self);
}

/* Strings have no bytes in buffers. */
static gboolean
refuse_strings(const InferNode *node, const InferOperand *operands, guint n, GError **error)
{
  for (guint i = 0; i < n; i++)
    if (operands[i].type == INFER_TYPE_STRING)
      return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                            "it works on strings, which a step cannot; the plan is damaged");
  return TRUE;
}

/* Dimensions that are computed beside the network, as those of a resize to computed sizes, are
 * known of what leaves the step, and scratch memory depends on them. */
static gboolean
prepare_output(Reference *self, const InferTensor *tensor, InferOperand *operand, gsize *workspace,
               GError **error)
{
  const Value *value = find_value(self, tensor);

  if (value) {
    operand->type = value->array->type;
    operand->dims = value->array->dims;
    return TRUE;
  }
  if (!infer_dims_is_constant(&operand->dims)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "the dimensions of '%s' are not known inside of a step", tensor->name);
    return FALSE;
  }
  InferBuffer buffer = {.type = operand->type, .dims = operand->dims};
  guint at = add_value(self, tensor, &buffer, -1);
  g_array_index(self->values, Value, at).offset = *workspace;
  *workspace += ALIGN(infer_type_size(buffer.type, infer_dims_count(&buffer.dims)));
  return TRUE;
}

static gboolean
prepare_node(Reference *self, guint index, gsize *workspace, GError **error)
{
  const InferNode *node = self->step->nodes[index];
  g_autofree InferOperand *in = g_new0(InferOperand, node->n_inputs + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, node->n_outputs + 1);
  InferShapeArgs args = {
      .node = node, .n_in = node->n_inputs, .in = in, .n_out = node->n_outputs, .out = out};

  for (guint j = 0; j < node->n_inputs; j++) {
    Value *value = node->inputs[j] ? find_value(self, node->inputs[j]) : NULL;
    if (!value)
      continue;
    in[j].type = value->array->type;
    in[j].dims = value->array->dims;
    if (node->inputs[j]->value)
      infer_operand_from_array(&in[j], node->inputs[j]->value);
  }
  if (!refuse_strings(node, in, node->n_inputs, error) ||
      !infer_widen_shape(node, in, node->n_inputs, out, node->n_outputs, &self->widens[index],
                         error) ||
      !refuse_strings(node, out, node->n_outputs, error))
    return FALSE;
  for (guint j = 0; j < node->n_outputs; j++)
    if (!prepare_output(self, node->outputs[j], &out[j], workspace, error))
      return FALSE;
  self->scratch[index] = *workspace;
  if (node->op->scratch)
    *workspace += ALIGN(infer_widen_scratch(&args, self->widens[index]));
  return TRUE;
}

static void
bind_calls(Reference *self)
{
  for (guint i = 0; i < self->step->n_nodes; i++) {
    const InferNode *node = self->step->nodes[i];
    const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
    InferArray **out = g_new0(InferArray *, node->n_outputs + 1);

    for (guint j = 0; j < node->n_inputs; j++)
      if (node->inputs[j])
        in[j] = find_value(self, node->inputs[j])->array;
    for (guint j = 0; j < node->n_outputs; j++)
      out[j] = find_value(self, node->outputs[j])->array;
    self->calls[i] = (InferEvalArgs){
        .node = node, .n_in = node->n_inputs, .in = in, .n_out = node->n_outputs, .out = out};
  }
}

/* Memory of the host for all that the nodes read and write. */
static gboolean
alloc_host(Reference *self, InferPrepare *prepare, GError **error)
{
  gsize size = prepare->workspace;

  for (guint i = 0; i < self->values->len; i++) {
    Value *value = &g_array_index(self->values, Value, i);
    if (value->operand < 0 || value->array->data)
      continue;
    value->host = size;
    size += ALIGN(value->array->size);
  }
  self->host = self->device->backend->alloc_host(self->device, MAX(size, 1), error);
  prepare->workspace = 0;
  return self->host != NULL;
}

static gboolean
prepare_widening(Reference *self, gsize *workspace, GError **error)
{
  for (guint i = 0; i < self->step->n_nodes; i++) {
    const InferNode *node = self->step->nodes[i];
    g_autofree gboolean *constant = g_new0(gboolean, node->n_inputs + 1);
    gsize size;

    if (self->widens[i] == 0)
      continue;
    for (guint j = 0; j < node->n_inputs; j++)
      constant[j] = node->inputs[j] && node->inputs[j]->value && self->calls[i].in[j]->data;
    self->wide[i] = infer_widen_new(&self->calls[i], self->widens[i], constant, &size, error);
    if (!self->wide[i])
      return FALSE;
    self->wide_offset[i] = *workspace;
    *workspace += ALIGN(size);
  }
  return TRUE;
}

static gboolean
reference_prepare(InferPrepare *prepare, GError **error)
{
  Reference *self = g_new0(Reference, 1);
  const InferStep *step = prepare->step;
  gsize workspace = 0;

  self->step = step;
  self->device = prepare->device;
  self->values = g_array_new(FALSE, TRUE, sizeof(Value));
  self->by_tensor = g_hash_table_new(NULL, NULL);
  self->scratch = g_new0(gsize, step->n_nodes + 1);
  self->widens = g_new0(guint, step->n_nodes + 1);
  self->wide = g_new0(InferWiden *, step->n_nodes + 1);
  self->wide_offset = g_new0(gsize, step->n_nodes + 1);
  for (guint i = 0; i < step->n_inputs; i++)
    add_value(self, step->inputs[i], &prepare->inputs[i], (gint)i);
  for (guint i = 0; i < step->n_outputs; i++)
    add_value(self, step->outputs[i], &prepare->outputs[i], (gint)(step->n_inputs + i));
  for (guint i = 0; i < step->n_nodes; i++)
    if (!prepare_node(self, i, &workspace, error)) {
      reference_release(self);
      return FALSE;
    }
  self->calls = g_new0(InferEvalArgs, step->n_nodes);
  bind_calls(self);
  if (!prepare_widening(self, &workspace, error)) {
    reference_release(self);
    return FALSE;
  }
  prepare->workspace = workspace;
  if (!self->device->backend->host_memory && !alloc_host(self, prepare, error)) {
    reference_release(self);
    return FALSE;
  }
  prepare->state = self;
  return TRUE;
}

/* Copies the inputs to the host, or the outputs from it, and waits. */
static gboolean
copy_operands(Reference *self, InferStream *stream, void *const *operands, gboolean output,
              GError **error)
{
  const InferBackend *backend = self->device->backend;

  for (guint i = 0; i < self->values->len; i++) {
    const Value *value = &g_array_index(self->values, Value, i);
    guint8 *host = (guint8 *)self->host + value->host;
    gint index = value->operand - (output ? (gint)self->step->n_inputs : 0);

    if (value->operand < 0 || output != (value->operand >= (gint)self->step->n_inputs) ||
        (!output && self->step->inputs[index]->value))
      continue;
    if (output ? !backend->upload(stream, operands[index], host, value->array->size, error)
               : !backend->download(stream, host, operands[index], value->array->size, error))
      return FALSE;
  }
  return backend->stream_sync(stream, error);
}

static gboolean
run_node(Reference *self, guint index, guint8 *workspace, GError **error)
{
  InferEvalArgs *call = &self->calls[index];

  call->scratch = workspace + self->scratch[index];
  if (self->wide[index])
    return infer_widen_run(self->wide[index], workspace + self->wide_offset[index], call->scratch,
                           error);
  return call->node->op->eval(call, error);
}

static gboolean
eval_all(Reference *self, guint8 *workspace, GError **error)
{
  for (guint i = 0; i < self->step->n_nodes; i++)
    if (!run_node(self, i, workspace, error))
      return FALSE;
  return TRUE;
}

static gboolean
run_by_copies(Reference *self, InferStream *stream, void *const *inputs, void *const *outputs,
              GError **error)
{
  for (guint i = 0; i < self->values->len; i++) {
    Value *value = &g_array_index(self->values, Value, i);
    gboolean constant = value->operand >= 0 && (guint)value->operand < self->step->n_inputs &&
                        self->step->inputs[value->operand]->value;

    if (value->operand < 0)
      value->array->data = (guint8 *)self->host + value->offset;
    else if (!constant)
      value->array->data = (guint8 *)self->host + value->host;
  }
  return copy_operands(self, stream, inputs, FALSE, error) && eval_all(self, self->host, error) &&
         copy_operands(self, stream, outputs, TRUE, error);
}

static gboolean
reference_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
              void *workspace, GError **error)
{
  Reference *self = state;

  if (self->host)
    return run_by_copies(self, stream, inputs, outputs, error);
  for (guint i = 0; i < self->values->len; i++) {
    Value *value = &g_array_index(self->values, Value, i);

    if (value->operand < 0)
      value->array->data = (guint8 *)workspace + value->offset;
    else if ((guint)value->operand < self->step->n_inputs)
      value->array->data = inputs[value->operand];
    else
      value->array->data = outputs[(guint)value->operand - self->step->n_inputs];
  }
  return eval_all(self, workspace, error);
}

static gboolean
reference_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                   InferLayout *outputs)
{
  return TRUE;
}

const InferImpl infer_impl_reference = {
    .name = "reference",
    .batch_invariant = TRUE,
    .on_host = TRUE,
    .takes_leading = TRUE,
    .supports = reference_supports,
    .prepare = reference_prepare,
    .release = reference_release,
    .run = reference_run,
};

/* --- copies between orders --- */

typedef struct {
  InferDims dims;
  gint64 in[INFER_MAX_DIMS], out[INFER_MAX_DIMS];
  gsize size;
} Reformat;

static gboolean
reformat_prepare(InferPrepare *prepare, GError **error)
{
  Reformat *self;
  guint bits = infer_type_bits(prepare->inputs[0].type);

  if (bits < 8) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "elements of type %s cannot be moved one by one",
                infer_type_name(prepare->inputs[0].type));
    return FALSE;
  }
  self = g_new0(Reformat, 1);
  self->dims = prepare->outputs[0].dims;
  self->size = bits / 8;
  memcpy(self->in, prepare->inputs[0].strides, sizeof self->in);
  memcpy(self->out, prepare->outputs[0].strides, sizeof self->out);
  prepare->state = self;
  return TRUE;
}

static gboolean
reformat_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
             void *workspace, GError **error)
{
  const Reformat *self = state;
  gint64 count = infer_dims_count(&self->dims), at[INFER_MAX_DIMS] = {0}, from = 0, to = 0;

  for (gint64 i = 0; i < count; i++) {
    memcpy((guint8 *)outputs[0] + (gsize)to * self->size,
           (const guint8 *)inputs[0] + (gsize)from * self->size, self->size);
    for (gint axis = self->dims.n - 1; axis >= 0; axis--) {
      from += self->in[axis];
      to += self->out[axis];
      if (++at[axis] < self->dims.d[axis])
        break;
      from -= self->in[axis] * at[axis];
      to -= self->out[axis] * at[axis];
      at[axis] = 0;
    }
  }
  return TRUE;
}

const InferImpl infer_impl_reformat = {
    .name = "reformat",
    .batch_invariant = TRUE,
    .supports = reference_supports,
    .prepare = reformat_prepare,
    .release = g_free,
    .run = reformat_run,
};
