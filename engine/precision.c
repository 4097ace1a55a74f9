/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "precision.h"
#include "program-private.h"

#include <string.h>

/* A layer that is refused makes its neighbours' types change at most; this bounds what would not
 * end. */
#define MAX_ROUNDS 16

/*
 * The types are decided for all layers at once, then tried: those for which the device has nothing
 * go back to FP32, until all have an implementation.
 */
typedef struct {
  InferDevice *device;
  guint n;
  InferType *types; /* by node: what it computes in */
} Assignment;

typedef struct {
  InferNetwork *network; /* being changed */
  GHashTable *casts;     /* "tensor type" -> InferTensor */
} Conversion;

/* --- what has to stay --- */

static gboolean
is_exact(const InferNode *node)
{
  static const char *const names[] = {
      "NonMaxSuppression", "TopK",           "CumSum",           "Range", "Cast",
      "CastLike",          "QuantizeLinear", "DequantizeLinear", NULL};

  return g_str_has_prefix(node->op->name, "infer.") || g_strv_contains(names, node->op->name);
}

/* Nodes that only hand on what they get. */
static gboolean
moves(const InferNode *node)
{
  static const char *const names[] = {"Concat", "Slice",  "Split",   "Transpose", "Gather",
                                      "Tile",   "Expand", "Squeeze", "Unsqueeze", NULL};

  return (node->op->flags & INFER_OP_VIEW) || g_strv_contains(names, node->op->name);
}

/* With those that compute on each element alone: what makes a coordinate. */
static gboolean
hands_on(const InferNode *node)
{
  return (node->op->flags & INFER_OP_POINTWISE) || moves(node);
}

static void
keep_before(Assignment *self, GHashTable *indices, const InferNode *node)
{
  for (guint i = 0; i < node->n_inputs; i++) {
    const InferNode *producer = node->inputs[i] ? node->inputs[i]->producer : NULL;
    if (producer && hands_on(producer))
      self->types[GPOINTER_TO_UINT(g_hash_table_lookup(indices, producer))] = INFER_TYPE_FLOAT;
  }
}

/* Backwards, so that a node's readers have been decided before it is. */
static void
decide(Assignment *self, InferNetwork *network, InferType type)
{
  g_autoptr(GHashTable) indices = g_hash_table_new(NULL, NULL);
  g_autofree gboolean *exact = g_new0(gboolean, self->n + 1);

  for (guint i = 0; i < self->n; i++) {
    g_hash_table_insert(indices, infer_network_get_node(network, i), GUINT_TO_POINTER(i));
    self->types[i] = type;
  }
  for (guint i = self->n; i-- > 0;) {
    const InferNode *node = infer_network_get_node(network, i);
    exact[i] = is_exact(node);
    if (exact[i] || (self->types[i] == INFER_TYPE_FLOAT && hands_on(node)))
      keep_before(self, indices, node);
    if (exact[i] || node->on_host)
      self->types[i] = INFER_TYPE_FLOAT;
  }
  for (guint i = 0; i < self->n; i++) {
    const InferNode *node = infer_network_get_node(network, i);
    if (node->precision != INFER_TYPE_UNDEFINED)
      self->types[i] = node->precision;
  }
}

/* --- conversion --- */

/* Parameters that are float whatever the data is. */
static gboolean
is_parameter(const InferNode *node, guint input)
{
  static const char *const names[] = {"Resize", "Upsample", NULL};

  return input > 0 && g_strv_contains(names, node->op->name);
}

static InferTensor *
cast(Conversion *self, InferTensor *tensor, InferType type, GError **error)
{
  g_autofree char *key = g_strdup_printf("%p %d", (gpointer)tensor, (gint)type);
  g_autofree char *name = g_strdup_printf("%s.%s", tensor->name, infer_type_name(type));
  InferTensor *twin = g_hash_table_lookup(self->casts, key);
  InferNode *node;

  if (twin)
    return twin;
  node = infer_network_add_node(self->network, "Cast", name, &tensor, 1,
                                infer_attrs_new("to", 'i', (gint64)type, NULL), 1, error);
  if (!node)
    return NULL;
  twin = node->outputs[0];
  if (tensor->value) {
    InferArray *value = NULL;
    const InferArray *in = tensor->value;
    if (!infer_op_eval_alloc(node, &in, 1, &value, 1, error))
      return NULL;
    infer_network_set_value(self->network, twin, value);
    infer_array_unref(value);
  }
  g_hash_table_insert(self->casts, g_steal_pointer(&key), twin);
  return twin;
}

static gboolean
is_half(InferType type)
{
  return type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16;
}

/* Gives @node inputs of its type. */
static gboolean
convert_inputs(Conversion *self, InferNode *node, InferType type, GError **error)
{
  g_autofree InferTensor **inputs = g_new0(InferTensor *, node->n_inputs + 1);

  for (guint i = 0; i < node->n_inputs; i++) {
    InferTensor *input = node->inputs[i];
    InferType want = is_parameter(node, i) ? INFER_TYPE_FLOAT : type;

    inputs[i] = input;
    if (!input || input->type == want || (input->type != INFER_TYPE_FLOAT && !is_half(input->type)))
      continue;
    inputs[i] = cast(self, input, want, error);
    if (!inputs[i])
      return FALSE;
  }
  infer_node_set_inputs(node, inputs, node->n_inputs);
  return TRUE;
}

/* The types of a node's outputs follow from its inputs'. */
static gboolean
infer_types(const InferNode *node, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, node->n_inputs + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, node->n_outputs + 1);

  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i])
      infer_operand_from_tensor(&in[i], node->inputs[i]);
  if (!infer_op_shape(node, in, node->n_inputs, out, node->n_outputs, error))
    return FALSE;
  for (guint i = 0; i < node->n_outputs; i++)
    node->outputs[i]->type = out[i].type;
  return TRUE;
}

/* What leaves keeps its type. */
static gboolean
convert_outputs(Conversion *self, const InferType *types, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_outputs(self->network); i++) {
    InferTensor *output = infer_network_get_output(self->network, i), *twin;

    if (output->type == types[i])
      continue;
    twin = cast(self, output, types[i], error);
    if (!twin || !infer_network_replace_output(self->network, output, twin))
      return FALSE;
  }
  return TRUE;
}

static InferType *
output_types(InferNetwork *network)
{
  InferType *types = g_new0(InferType, infer_network_get_n_outputs(network) + 1);

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++)
    types[i] = infer_network_get_output(network, i)->type;
  return types;
}

/* Whether a node has a choice at all: it reads or writes floats, not only their dimensions, and
 * what it writes follows what it reads. */
static gboolean
has_floats(const InferNode *node)
{
  if (strcmp(node->op->name, "Shape") == 0 || strcmp(node->op->name, "Size") == 0)
    return FALSE;
  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i] &&
        (node->inputs[i]->type == INFER_TYPE_FLOAT || is_half(node->inputs[i]->type)))
      return strcmp(node->op->name, "Cast") != 0;
  return FALSE;
}

/* What moves data takes it in the type that it has. */
static InferType
type_of_data(const InferNode *node, InferType type)
{
  for (guint i = 0; moves(node) && node->precision == INFER_TYPE_UNDEFINED && i < node->n_inputs;
       i++) {
    const InferTensor *input = node->inputs[i];
    if (input && !input->value && (input->type == INFER_TYPE_FLOAT || is_half(input->type)))
      return input->type;
  }
  return type;
}

static gboolean
is_supported(InferDevice *device, InferNode *node)
{
  InferStep *step = infer_step_new(&node, 1, 0);
  g_autofree InferLayout *inputs = g_new0(InferLayout, step->n_inputs + 1);
  g_autofree InferLayout *outputs = g_new0(InferLayout, step->n_outputs + 1);
  const InferImpl *impl = infer_step_choose(device, step, inputs, outputs);

  infer_step_free(step);
  return impl != &infer_impl_reference || (node->op->flags & INFER_OP_VIEW) ||
         strcmp(node->op->name, "Transpose") == 0;
}

static gboolean
refuse(Assignment *self, guint index, const InferNode *node, const GError *reason, GError **error)
{
  InferType asked = node->precision;

  if (is_half(asked)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "layer '%s' (%s) was asked to compute in %s, which device %s does not do%s%s",
                node->name, node->op->name, infer_type_name(asked), self->device->name,
                reason ? ": " : "", reason ? reason->message : "");
    return FALSE;
  }
  self->types[index] = INFER_TYPE_FLOAT;
  return TRUE;
}

/* Converts what has a half type. Returns: (nullable): the network where every layer is supported;
 * else @refused layers went back to FP32. */
static InferNetwork *
try_types(Assignment *self, InferNetwork *network, guint *refused, GError **error)
{
  g_autoptr(InferNetwork) copy = infer_network_copy(network);
  g_autofree InferType *outputs = output_types(network);
  Conversion conversion = {.network = copy};
  gboolean ok = TRUE;

  conversion.casts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; ok && i < self->n; i++) {
    InferNode *node = infer_network_get_node(copy, i);
    g_autoptr(GError) reason = NULL;

    if (!has_floats(node)) {
      ok = infer_types(node, error);
      continue;
    }
    self->types[i] = type_of_data(node, self->types[i]);
    ok = convert_inputs(&conversion, node, self->types[i], error);
    if (ok && (!infer_types(node, &reason) ||
               (is_half(self->types[i]) && !is_supported(self->device, node)))) {
      if (self->types[i] == INFER_TYPE_FLOAT) {
        g_propagate_error(error, g_steal_pointer(&reason));
        ok = FALSE;
      } else {
        (*refused)++;
        ok = refuse(self, i, node, reason, error) &&
             convert_inputs(&conversion, node, INFER_TYPE_FLOAT, error) && infer_types(node, error);
      }
    }
  }
  ok = ok && convert_outputs(&conversion, outputs, error);
  g_hash_table_unref(conversion.casts);
  if (!ok || infer_network_compact(copy, error) < 0 || !infer_network_infer(copy, error) ||
      !infer_network_validate(copy, error))
    return NULL;
  return g_steal_pointer(&copy);
}

static void
note_kept(const Assignment *self, InferNetwork *network, InferType type, GPtrArray *notes)
{
  g_autoptr(GString) names = g_string_new(NULL);
  guint n = 0, floats = 0;

  for (guint i = 0; i < self->n; i++) {
    const InferNode *node = infer_network_get_node(network, i);

    if (!has_floats(node))
      continue;
    floats++;
    if (self->types[i] != INFER_TYPE_FLOAT)
      continue;
    if (n++ < 20)
      g_string_append_printf(names, "%s%s (%s)", n > 1 ? ", " : "", node->name, node->op->name);
  }
  if (n == 0)
    return;
  if (n == floats)
    g_ptr_array_add(notes, g_strdup_printf("%s was asked for; device %s has it for none of the "
                                           "layers, and all compute in float",
                                           infer_type_name(type), self->device->name));
  else
    g_ptr_array_add(notes, g_strdup_printf("%u of %u layers stay in float: %s%s", n, floats,
                                           names->str, n > 20 ? " ..." : ""));
}

InferNetwork *
infer_assign_precision(InferNetwork *network, InferDevice *device, InferType type, GPtrArray *notes,
                       GError **error)
{
  Assignment self = {.device = device, .n = infer_network_get_n_nodes(network)};
  g_autofree InferType *types = g_new0(InferType, self.n + 1);
  InferNetwork *result = NULL;
  guint refused = 1;

  self.types = types;
  decide(&self, network, type);
  for (guint round = 0; refused && round < MAX_ROUNDS; round++) {
    refused = 0;
    g_clear_object(&result);
    result = try_types(&self, network, &refused, error);
    if (!result)
      return NULL;
  }
  if (is_half(type))
    note_kept(&self, network, type, notes);
  return result;
}
