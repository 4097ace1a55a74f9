/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin-private.h"

#include <string.h>

/*
 * Between the engine's structures and the public ones: shape inference and evaluation of a plugin's
 * operator, and its implementations. What plugins answer is checked as far as it can be, so that a
 * mistake in one is an error that names it.
 */

#define MAX_WORKSPACE ((gsize)1 << 40)

/* Makes the plugin's error the engine's. */
static gboolean
failed(const InferNode *node, GError *reason, const char *what, GError **error)
{
  g_autoptr(GError) owned = reason;
  gint code = reason && reason->domain == INFER_ERROR ? reason->code : INFER_ERROR_FAILED;

  return infer_op_error(node, error, (InferError)code, "%s", reason ? reason->message : what);
}

/* --- the operator --- */

static InferPluginOperand *
operands_new(const InferOperand *list, guint n)
{
  InferPluginOperand *operands = g_new0(InferPluginOperand, n + 1);

  for (guint i = 0; i < n; i++)
    operands[i] = (InferPluginOperand){.type = list[i].type,
                                       .dims = list[i].dims,
                                       .value = list[i].value,
                                       .has_content = list[i].has_content,
                                       .content = list[i].content};
  return operands;
}

static gboolean
has_symbol(const InferDims *dims, gint64 symbol)
{
  for (gint i = 0; i < dims->n; i++)
    if (dims->d[i] == symbol)
      return TRUE;
  return FALSE;
}

/* Symbols that no input has would be of another network, or of none. */
static gboolean
dims_follow(const InferShapeArgs *args, const InferDims *dims)
{
  if (dims->n < -1 || dims->n > INFER_MAX_DIMS)
    return FALSE;
  for (gint i = 0; i < dims->n; i++) {
    gboolean found = !INFER_DIM_IS_SYMBOL(dims->d[i]);

    for (guint j = 0; j < args->n_in && !found; j++)
      found = has_symbol(&args->in[j].dims, dims->d[i]) ||
              (args->in[j].has_content && has_symbol(&args->in[j].content, dims->d[i]));
    if (!found)
      return FALSE;
  }
  return TRUE;
}

static gboolean
take_output(InferShapeArgs *args, guint index, const InferPluginOperand *from, GError **error)
{
  InferOperand *to = &args->out[index];

  if (!dims_follow(args, &from->dims) ||
      (from->has_content && !dims_follow(args, &from->content)) ||
      (guint)from->type >= INFER_N_TYPES)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the plugin gives output %u a type or dimensions that cannot be", index);
  to->type = from->type;
  to->dims = from->dims;
  to->has_content = from->has_content && from->content.n >= 0 && to->dims.n >= 0 && to->dims.n <= 1;
  to->content = from->content;
  return TRUE;
}

static gboolean
plugin_infer(InferShapeArgs *args, GError **error)
{
  const InferPluginCreator *creator = infer_plugin_of(args->node->op)->creator;
  g_autofree InferPluginOperand *in = operands_new(args->in, args->n_in);
  g_autofree InferPluginOperand *out = operands_new(args->out, args->n_out);
  GError *reason = NULL;

  if (!creator->shape(args->node, args->n_in, in, args->n_out, out, &reason) || reason)
    return failed(args->node, reason, "the plugin refuses it and does not say why", error);
  for (guint i = 0; i < args->n_out; i++)
    if (!take_output(args, i, &out[i], error))
      return FALSE;
  return TRUE;
}

static gsize
plugin_scratch(const InferShapeArgs *args)
{
  const InferPluginCreator *creator = infer_plugin_of(args->node->op)->creator;
  g_autofree InferPluginOperand *in = operands_new(args->in, args->n_in);
  g_autofree InferPluginOperand *out = operands_new(args->out, args->n_out);
  gsize size = creator->scratch(args->node, args->n_in, in, args->n_out, out);

  return MIN(size, MAX_WORKSPACE);
}

static gboolean
plugin_eval(const InferEvalArgs *args, GError **error)
{
  const InferPluginCreator *creator = infer_plugin_of(args->node->op)->creator;
  GError *reason = NULL;

  if (creator->eval(args->node, args->n_in, args->in, args->n_out, args->out, args->scratch,
                    &reason) &&
      !reason)
    return TRUE;
  return failed(args->node, reason, "the plugin's reference fails and does not say why", error);
}

static gboolean
plugin_no_eval(const InferEvalArgs *args, GError **error)
{
  return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                        "the plugin has no reference evaluation, which is needed here");
}

void
infer_plugin_init_op(InferPlugin *plugin)
{
  const InferPluginCreator *creator = plugin->creator;
  InferAttrSpec *attrs;
  guint n = 0;

  while (creator->fields && creator->fields[n].name)
    n++;
  attrs = g_new0(InferAttrSpec, n + 1);
  for (guint i = 0; i < n; i++)
    attrs[i] = (InferAttrSpec){creator->fields[i].name, creator->fields[i].kind,
                               creator->fields[i].required};
  plugin->op = (InferOp){
      .name = plugin->id,
      .version = creator->version,
      .min_inputs = creator->min_inputs,
      .max_inputs = creator->max_inputs,
      .min_outputs = creator->min_outputs,
      .max_outputs = creator->max_outputs,
      .attrs = attrs,
      .flags = INFER_OP_PLUGIN | (creator->eval ? 0 : INFER_OP_OPAQUE),
      .infer = plugin_infer,
      .scratch = creator->eval && creator->scratch ? plugin_scratch : NULL,
      .eval = creator->eval ? plugin_eval : plugin_no_eval,
  };
}

const InferNode *
infer_step_find_opaque(const InferStep *step)
{
  for (guint i = 0; i < step->n_nodes; i++)
    if (step->nodes[i]->op->flags & INFER_OP_OPAQUE)
      return step->nodes[i];
  return NULL;
}

/* --- implementations --- */

static const InferPluginStep *
step_of(const InferImpl *impl)
{
  return (const InferPluginStep *)impl;
}

/* Row @formats for operand @index, NULL where the row has none. */
static const InferPluginFormat *
format_at(const InferPluginFormat *formats, guint index)
{
  guint n = 0;

  while (n < INFER_PLUGIN_MAX_FORMATS && formats[n].type)
    n++;
  return n ? &formats[MIN(index, n - 1)] : NULL;
}

static gboolean
types_fit(const InferPluginFormat *formats, InferTensor *const *tensors, guint n)
{
  for (guint i = 0; i < n; i++) {
    const InferPluginFormat *format = format_at(formats, i);
    if (!format || (tensors[i] && tensors[i]->type != format->type))
      return FALSE;
  }
  return TRUE;
}

static InferLayout
to_layout(InferPluginLayout layout)
{
  return layout == INFER_PLUGIN_CHANNELS_LAST ? INFER_LAYOUT_CHANNELS_LAST
         : layout == INFER_PLUGIN_ANY         ? INFER_LAYOUT_ANY
                                              : INFER_LAYOUT_ROW_MAJOR;
}

/* FALSE where a tensor that is read twice would have to lie in two ways. */
static gboolean
set_layouts(const InferStep *step, const InferPluginFormats *row, InferLayout *inputs,
            InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  g_autofree gboolean *seen = g_new0(gboolean, step->n_inputs + 1);

  for (guint i = 0; i < node->n_inputs; i++) {
    gint at = node->inputs[i] ? infer_step_find_input(step, node->inputs[i]) : -1;
    InferLayout layout = to_layout(format_at(row->inputs, i)->layout);

    if (at < 0)
      continue;
    if (step->inputs[at]->value)
      layout = INFER_LAYOUT_ROW_MAJOR;
    if (seen[at] && inputs[at] != layout)
      return FALSE;
    seen[at] = TRUE;
    inputs[at] = layout;
  }
  for (guint i = 0; i < node->n_outputs; i++)
    outputs[i] = to_layout(format_at(row->outputs, i)->layout);
  return TRUE;
}

static InferPluginOperand *
tensor_operands(InferTensor *const *tensors, guint n)
{
  g_autofree InferOperand *list = g_new0(InferOperand, n + 1);

  for (guint i = 0; i < n; i++)
    infer_operand_from_tensor(&list[i], tensors[i]);
  return operands_new(list, n);
}

static gboolean
asks_support(const InferPluginImpl *impl, const InferNode *node)
{
  g_autofree InferPluginOperand *in = tensor_operands(node->inputs, node->n_inputs);
  g_autofree InferPluginOperand *out = tensor_operands(node->outputs, node->n_outputs);

  return !impl->supports || impl->supports(node, node->n_inputs, in, node->n_outputs, out);
}

static gboolean
plugin_step_supports(const InferPluginStep *self, InferDevice *device, const InferStep *step,
                     InferLayout *inputs, InferLayout *outputs)
{
  const InferPluginImpl *impl = self->plugin;
  const InferNode *node = step->nodes[0];

  if (step->n_nodes != 1 || step->n_outputs != node->n_outputs ||
      !g_str_equal(device->backend->name, impl->backend))
    return FALSE;
  for (guint i = 0; i < impl->n_formats; i++)
    if (types_fit(impl->formats[i].inputs, node->inputs, node->n_inputs) &&
        types_fit(impl->formats[i].outputs, node->outputs, node->n_outputs) &&
        set_layouts(step, &impl->formats[i], inputs, outputs))
      return asks_support(impl, node);
  return FALSE;
}

static gboolean
impl_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  return step->impl && step->impl->supports == impl_supports &&
         infer_plugin_of(step->nodes[0]->op) &&
         plugin_step_supports(step_of(step->impl), device, step, inputs, outputs);
}

/* A prepared step: what the plugin sees, and where each of its operands is among the step's. */
typedef struct {
  const InferPluginImpl *impl;
  const InferBackend *backend;
  InferPluginPrepare prepare;
  InferPluginTensor *in, *out;
  gint *map;
  const void **constants;
  const void **in_data;
} State;

static void
impl_release(gpointer data)
{
  State *self = data;

  if (self->impl && self->impl->release)
    self->impl->release(self->prepare.state);
  g_free(self->in);
  g_free(self->out);
  g_free(self->map);
  g_free(self->constants);
  g_free(self->in_data);
  g_free(self);
}

static void
take_buffer(InferPluginTensor *tensor, const InferBuffer *buffer)
{
  tensor->type = buffer->type;
  tensor->dims = buffer->dims;
  memcpy(tensor->strides, buffer->strides, sizeof tensor->strides);
  tensor->value = buffer->value;
}

static State *
state_new(const InferPrepare *prepare)
{
  const InferNode *node = prepare->step->nodes[0];
  State *self = g_new0(State, 1);

  self->backend = prepare->device->backend;
  self->in = g_new0(InferPluginTensor, node->n_inputs + 1);
  self->out = g_new0(InferPluginTensor, node->n_outputs + 1);
  self->map = g_new0(gint, node->n_inputs + 1);
  self->constants = g_new0(const void *, node->n_inputs + 1);
  self->in_data = g_new0(const void *, node->n_inputs + 1);
  for (guint i = 0; i < node->n_inputs; i++) {
    self->map[i] = node->inputs[i] ? infer_step_find_input(prepare->step, node->inputs[i]) : -1;
    if (self->map[i] >= 0)
      take_buffer(&self->in[i], &prepare->inputs[self->map[i]]);
  }
  for (guint i = 0; i < node->n_outputs; i++)
    take_buffer(&self->out[i], &prepare->outputs[i]);
  self->prepare = (InferPluginPrepare){.node = node,
                                       .device = prepare->device->name,
                                       .threads = prepare->device->threads,
                                       .n_inputs = node->n_inputs,
                                       .inputs = self->in,
                                       .n_outputs = node->n_outputs,
                                       .outputs = self->out};
  return self;
}

static gboolean
copy_constant(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  memcpy(dst, value->data, value->size);
  return TRUE;
}

/* Constants where the device can read them. */
static gboolean
place_constants(State *self, InferPrepare *prepare, GError **error)
{
  static const char key[] = "plugin";

  for (guint i = 0; i < self->prepare.n_inputs && !self->backend->host_memory; i++) {
    const InferArray *value = self->in[i].value;

    if (!value)
      continue;
    self->constants[i] = infer_prepare_pack(prepare, (guint)self->map[i], key, sizeof key,
                                            value->size, copy_constant, NULL, error);
    if (!self->constants[i])
      return FALSE;
  }
  return TRUE;
}

static gboolean
impl_prepare(InferPrepare *prepare, GError **error)
{
  const InferPluginImpl *impl = step_of(prepare->step->impl)->plugin;
  const InferNode *node = prepare->step->nodes[0];
  State *self = state_new(prepare);
  GError *reason = NULL;
  gboolean ok;

  if (!place_constants(self, prepare, error)) {
    impl_release(self);
    return FALSE;
  }
  ok = !impl->prepare || impl->prepare(&self->prepare, &reason);
  if (ok)
    self->impl = impl;
  if (!ok || reason) {
    impl_release(self);
    return failed(node, reason, "the plugin cannot prepare it and does not say why", error);
  }
  if (self->prepare.workspace > MAX_WORKSPACE) {
    infer_op_error(node, error, INFER_ERROR_MEMORY,
                   "the plugin wants %" G_GSIZE_FORMAT " bytes of workspace",
                   self->prepare.workspace);
    impl_release(self);
    return FALSE;
  }
  prepare->workspace = self->prepare.workspace;
  prepare->state = self;
  return TRUE;
}

static gboolean
impl_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
         void *workspace, GError **error)
{
  State *self = state;
  GError *reason = NULL;
  InferPluginRun run = {.state = self->prepare.state,
                        .inputs = self->in_data,
                        .outputs = outputs,
                        .workspace = workspace};

  if (self->backend->stream_native)
    run.stream = self->backend->stream_native(stream);
  for (guint i = 0; i < self->prepare.n_inputs; i++)
    self->in_data[i] = self->constants[i]  ? self->constants[i]
                       : self->map[i] >= 0 ? inputs[self->map[i]]
                                           : NULL;
  if (self->impl->run(&run, &reason) && !reason)
    return TRUE;
  return failed(self->prepare.node, reason, "the plugin fails and does not say why", error);
}

static gboolean
impl_strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return step_of(prepare->step->impl)->plugin->strided;
}

void
infer_plugin_init_step(InferPluginStep *step, const char *id, const InferPluginImpl *impl)
{
  step->plugin = impl;
  step->name = impl->name ? g_strdup(impl->name) : g_strdup_printf("%s.%s", id, impl->backend);
  step->impl = (InferImpl){
      .name = step->name,
      .batch_invariant = impl->batch_invariant,
      .supports = impl_supports,
      .prepare = impl_prepare,
      .release = impl_release,
      .run = impl_run,
      .strided = impl->strided ? impl_strided : NULL,
      .on_host = impl->synchronous,
  };
}

const InferImpl *
infer_plugin_choose(InferDevice *device, const InferStep *step, InferLayout *inputs,
                    InferLayout *outputs)
{
  const InferPlugin *plugin = infer_plugin_of(step->nodes[step->anchor]->op);

  /* A library that brings only an implementation is looked for by nobody else. */
  infer_plugin_load_all();
  for (const InferPluginStep *const *list = infer_plugin_impls(plugin); *list; list++)
    if (plugin_step_supports(*list, device, step, inputs, outputs))
      return &(*list)->impl;
  return NULL;
}

const InferImpl *
infer_plugin_find_impl(InferDevice *device, const InferOp *op, const char *name)
{
  const InferPlugin *plugin = infer_plugin_of(op);

  infer_plugin_load_all();
  for (const InferPluginStep *const *list = infer_plugin_impls(plugin); *list; list++)
    if (g_str_equal((*list)->impl.name, name) &&
        g_str_equal((*list)->plugin->backend, device->backend->name))
      return &(*list)->impl;
  return NULL;
}
